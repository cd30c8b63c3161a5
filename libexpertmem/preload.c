// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * libexpertmem-malloc.so: the malloc family, for programs that know nothing of experts.
 *
 * Preloaded, it makes the whole heap of a program one expert. That expert is opened by the
 * first call, which may come from the dynamic loader, before any constructor has run. It
 * is never closed: the kernel takes the memory back when the process ends or calls exec.
 *
 *	EXPERTMEM_FD	 descriptor of the expert that "expertmem run" has opened for the
 *			 program; whoever adopts it takes it out of the environment
 *	EXPERTMEM_LIMIT	 most bytes of an expert opened here, as 65536, 64M or 1.5GiB; 0 or
 *			 "none": no limit; "default", or not set: the module's default_limit
 *	EXPERTMEM_NAME	 its name, instead of the program's
 *
 * A program that another one starts, with other rights maybe, must run even where it can
 * have no expert of the kernel's: then its heap is private memory. EXPERTMEM_BACKEND=device
 * forbids that: such a program ends before its first instruction.
 *
 * Fork and signals are the library's business: see em_preloaded.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "internal.h"
#include "raw.h"
#include "text.h"

/* what malloc() promises for every size */
#define ALIGNMENT 16UL

static HEXPERTKEY program;	/* the expert's key; NULL: not opened yet */
static HEXPERTKEY former;	/* the expert that @program has replaced: see go_private(); or NULL */
static pid_t opener;		/* the thread that is opening it */

/*
 * What that thread allocates meanwhile: opening an expert may call functions of another
 * preloaded library. Never given back. The size of a block is right before it.
 */
static char early[64 << 10] __attribute__((aligned(4096)));
static size_t early_used;

static void *early_alloc(size_t alignment, size_t size)
{
	size_t start = early_used + sizeof(size);

	if (alignment > EM_PAGE || size > sizeof(early))
		return NULL;
	start = em_round_up(start, alignment);
	if (start + size > sizeof(early))
		return NULL;
	early_used = start + size;
	memcpy(early + start - sizeof(size), &size, sizeof(size));
	return early + start;
}

static bool is_early(const void *p)
{
	return (uintptr_t)p - (uintptr_t)early < sizeof(early);
}

static size_t early_size(const void *p)
{
	size_t size;

	memcpy(&size, (const char *)p - sizeof(size), sizeof(size));
	return size;
}

/* What the dynamic loader ends with where a program cannot be started. */
static __attribute__((noreturn)) void die(const char *subject, const char *problem)
{
	em_say("libexpertmem-malloc: ", subject, problem);
	_exit(127);
}

/* A user who has set a limit does not want to run without. */
static uint64_t get_limit(void)
{
	const char *text = secure_getenv("EXPERTMEM_LIMIT");
	uint64_t limit;

	if (!text || !*text || !strcmp(text, "default"))
		return EXPERTMEM_LIMIT_DEFAULT;
	if (!strcmp(text, "none"))
		return 0;
	if (!em_parse_size(text, &limit))
		die("EXPERTMEM_LIMIT in the environment is no limit: write bytes, as 65536 or 64M, default or none: ",
		    text);
	return limit;
}

/*
 * An expert of the program's own. A limit above the module's default_limit may have been set
 * for a parent that had the right to it (CAP_NET_ADMIN): then the default is the limit. A heap
 * outside of the module would escape that limit.
 */
static int open_own(const struct expertmem_options *options, HEXPERTKEY *key)
{
	struct expertmem_options less = *options;
	int error = expertmem_open(options, key);

	if (error != EXPERTMEM_E_LIMIT)
		return error;
	less.limit = EXPERTMEM_LIMIT_DEFAULT;
	return expertmem_open(&less, key);
}

static void get_name(char name[static 32])
{
	const char *given = secure_getenv("EXPERTMEM_NAME");

	if (given && *given)
		strncpy(name, given, 31);
	else
		prctl(PR_GET_NAME, name);
	em_plain_text(name);
}

/* Is it this process's to use? Not where another one has made it its own. */
static bool is_ours(HEXPERTKEY key)
{
	DWORD error;
	void *block = ExpertAllocMemory(key, 0, &error);

	if (!block && error == NMERR_OUT_OF_MEMORY)
		die("", expertmem_strerror(EXPERTMEM_E_NOMEM));
	ExpertFreeMemory(key, block);
	return block || error == NMERR_EXPERT_TERMINATE;
}

/* The kernel's promise was asked for: is private memory forbidden? */
static bool wants_device(void)
{
	enum expertmem_backend backend = EXPERTMEM_BACKEND_AUTO;

	return em_choose_backend(&backend) && backend == EXPERTMEM_BACKEND_DEVICE;
}

/* The expert that was opened for the program, else one of its own, else private memory. */
static HEXPERTKEY open_any(void)
{
	char name[32] = "";
	struct expertmem_options options = {
		.name = name,
		.limit = get_limit(),
	};
	const char *passed = secure_getenv("EXPERTMEM_FD");
	HEXPERTKEY key;
	uint64_t fd;
	int error;

	em_preloaded = true;
	em_device_only = wants_device();
	get_name(name);
	/* Not for others: what this process opens under that number later is no expert. */
	unsetenv("EXPERTMEM_FD");
	if (passed && em_parse_size(passed, &fd) && fd <= INT32_MAX && !expertmem_adopt(fd, &key)) {
		if (is_ours(key))
			return key;
		expertmem_close(key);
	}
	error = open_own(&options, &key);
	if (error && !em_device_only) {
		options.backend = EXPERTMEM_BACKEND_ANON;
		error = expertmem_open(&options, &key);
	}
	if (error)
		die(em_device_only ? "EXPERTMEM_BACKEND=device forbids private memory, and " : "",
		    expertmem_strerror(error));
	is_ours(key);
	return key;
}

/* Open the expert, or wait until another thread has. NULL to the one that is opening it. */
static __attribute__((noinline, cold)) HEXPERTKEY open_program(void)
{
	pid_t self = em_raw(SYS_gettid, 0, 0, 0), other;
	HEXPERTKEY key;

	do {
		other = 0;
		if (em_try_cmpxchg_acquire(&opener, &other, self)) {
			if (!program)
				em_store_release(&program, open_any());
			em_store_release(&opener, 0);
			return program;
		}
		sched_yield();
		key = em_load_acquire(&program);
	} while (!key && other != self);
	return key;
}

static void at_exit(int status, void *arg)
{
	(void)status, (void)arg;
	em_debug_exit();
}

/*
 * What the program closes or duplicates is to find it open, also where nothing was allocated.
 * This runs before the C library has set the environment up.
 */
__attribute__((constructor)) static void open_early(int argc, char **argv, char **envp)
{
	(void)argc, (void)argv;
	if (!environ)
		environ = envp;
	free(malloc(1));
	/* Registered first, it is called last: after the destructors of program and libraries. */
	if (em_slot_of(program)->debug & EM_DEBUG_SITES)
		on_exit(at_exit, NULL);
}

static inline HEXPERTKEY get_program(void)
{
	return em_read_once(&program);
}

/* The expert that @p is to be looked for in. */
static inline HEXPERTKEY program_of(const void *p)
{
	if (__builtin_expect(former != NULL, false) && em_owner_of(p) == em_slot_of(former))
		return former;
	return get_program();
}

/*
 * A filter of the program's refuses the calls of the kernel module, so the expert gets no more
 * memory. Blocks that there are stay; new ones come from private memory, in an expert of its own.
 * Its limit is that of the environment: what the first one has cannot be asked for any more.
 *
 * Returns the expert to allocate from, or NULL if @key is the only one.
 */
static HEXPERTKEY go_private(HEXPERTKEY key)
{
	struct expertmem_options options = {
		.name = "", .limit = get_limit(), .backend = EXPERTMEM_BACKEND_ANON,
	};
	HEXPERTKEY other;

	if (!em_read_once(&em_device_refused))
		return NULL;
	pthread_mutex_lock(&em_private_lock);
	if (!former && !expertmem_open(&options, &other)) {
		if (is_ours(other)) {
			em_store_release(&former, key);
			em_store_release(&program, other);
			em_say("expertmem: a filter of system calls refuses those of /dev/expertmem;",
			       " the program goes on", " with private memory");
		} else {
			expertmem_close(other);
		}
	}
	pthread_mutex_unlock(&em_private_lock);
	return get_program() == key ? NULL : get_program();
}

/* The descriptor of the program's expert; -1: it has none. */
int em_program_fd(void)
{
	HEXPERTKEY key = former ? former : get_program();
	const struct em_expert *expert = em_slot_of(key);

	if (!key || expert->backend->id != EXPERTMEM_BACKEND_DEVICE)
		return -1;
	return em_read_once(&expert->fd);
}

/* Is it this process's, and not that of a parent with the same memory? */
bool em_program_is_here(void)
{
	return em_slot_of(get_program())->shared->owner == em_process();
}

/* Give it another number: its own will be somebody else's. False: there is none. */
bool em_program_fd_moves(void)
{
	struct em_expert *expert = em_lock(former ? former : get_program());
	int fd = -1;

	if (!expert)
		return false;
	fd = fcntl(expert->fd, F_DUPFD_CLOEXEC, expert->fd + 1);
	if (fd < 0)
		fd = fcntl(expert->fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	if (fd >= 0)
		em_write_once(&expert->fd, fd);
	em_unlock(expert);
	return fd >= 0;
}

/* The caller of the function of the malloc family that all INLINE ones are part of. */
#define CALLER __builtin_return_address(0)
#define INLINE static inline __attribute__((always_inline))

/* @alignment: a power of two; @site: who asks for the block */
static inline void *get_block(HEXPERTKEY key, size_t alignment, size_t size, bool zeroed,
			      const void *site)
{
	if (zeroed)
		return em_alloc_zeroed(key, size, site, NULL);
	if (alignment > ALIGNMENT)
		return em_alloc_aligned(key, alignment, size, site, NULL);
	return em_alloc(key, size, site, NULL);
}

/* With @key there was no block. Had it been opened yet? */
static __attribute__((noinline, cold)) void *
no_block(HEXPERTKEY key, size_t alignment, size_t size, bool zeroed, const void *site)
{
	void *block = NULL;

	if (!key) {
		key = open_program();
		block = key ? get_block(key, alignment, size, zeroed, site) :
			      early_alloc(alignment, size);
	} else {
		key = go_private(key);
		if (key)
			block = get_block(key, alignment, size, zeroed, site);
	}
	if (!block)
		errno = ENOMEM;
	return block;
}

INLINE void *allocate(size_t alignment, size_t size, bool zeroed)
{
	HEXPERTKEY key = get_program();
	void *block = get_block(key, alignment, size, zeroed, CALLER);

	return __builtin_expect(block != NULL, true) ? block :
	       no_block(key, alignment, size, zeroed, CALLER);
}

void *malloc(size_t size)
{
	return allocate(ALIGNMENT, size, false);
}

void *calloc(size_t count, size_t size)
{
	if (__builtin_mul_overflow(count, size, &size)) {
		errno = ENOMEM;
		return NULL;
	}
	return allocate(ALIGNMENT, size, true);
}

/* What is no block of the program's is left alone; EXPERTMEM_DEBUG can tell of it. */
void free(void *p)
{
	int saved = errno;

	if (!is_early(p))
		ExpertFreeMemory(program_of(p), p);
	errno = saved;
}

/* Resize a block where it cannot be resized: to the expert that the program has now. */
static void *move(void *p, size_t size)
{
	size_t old = malloc_usable_size(p);
	void *block = malloc(size);

	if (!block)
		return NULL;
	memcpy(block, p, old < size ? old : size);
	free(p);
	return block;
}

/* A size of 0 frees, as it always has in this C library. */
INLINE void *reallocate(void *p, size_t size)
{
	HEXPERTKEY key;
	DWORD error;
	void *block;

	if (!p)
		return allocate(ALIGNMENT, size, false);
	if (!size) {
		free(p);
		return NULL;
	}
	if (is_early(p))
		return move(p, size);
	key = program_of(p);
	block = em_realloc(key, p, size, CALLER, &error);
	if (__builtin_expect(!block, false) && error == NMERR_OUT_OF_MEMORY &&
	    (key == former || go_private(key)))
		return move(p, size);
	if (__builtin_expect(!block, false))
		errno = error == NMERR_INVALID_PARAMETER ? EINVAL : ENOMEM;
	return block;
}

void *realloc(void *p, size_t size)
{
	return reallocate(p, size);
}

void *reallocarray(void *p, size_t count, size_t size)
{
	if (__builtin_mul_overflow(count, size, &size)) {
		errno = ENOMEM;
		return NULL;
	}
	return reallocate(p, size);
}

size_t malloc_usable_size(void *p)
{
	if (!p)
		return 0;
	return is_early(p) ? early_size(p) : ExpertMemorySize(program_of(p), p);
}

/* Nobody else gives unused memory back: there is no thread that could look for it. */
int malloc_trim(size_t keep)
{
	uint64_t bytes = 0;

	(void)keep;
	expertmem_trim(get_program(), &bytes);
	return bytes > 0;
}

int posix_memalign(void **p, size_t alignment, size_t size)
{
	int saved = errno;
	void *block;

	if (alignment % sizeof(void *) || !alignment || alignment & (alignment - 1))
		return EINVAL;
	block = allocate(alignment, size, false);
	errno = saved;
	if (!block)
		return ENOMEM;
	*p = block;
	return 0;
}

/* What is no power of two is rounded up, as the C library does. */
INLINE void *allocate_aligned(size_t alignment, size_t size)
{
	if (alignment > SIZE_MAX / 2 + 1) {
		errno = EINVAL;
		return NULL;
	}
	if (alignment & (alignment - 1))
		alignment = 1UL << (64 - __builtin_clzl(alignment));
	return allocate(alignment, size, false);
}

void *memalign(size_t alignment, size_t size)
{
	return allocate_aligned(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
	return allocate_aligned(alignment, size);
}

void *valloc(size_t size)
{
	return allocate(EM_PAGE, size, false);
}

void *pvalloc(size_t size)
{
	size_t pages = em_round_up(size, EM_PAGE);

	return allocate(EM_PAGE, pages < size ? size : pages, false);
}

/* C23's. The heap knows the size and the alignment of a block. */
void free_sized(void *p, size_t size);
void free_aligned_sized(void *p, size_t alignment, size_t size);

void free_sized(void *p, size_t size)
{
	(void)size;
	free(p);
}

void free_aligned_sized(void *p, size_t alignment, size_t size)
{
	(void)alignment, (void)size;
	free(p);
}

/* --------------------------------------------------------------- what the heap has */

struct mallinfo2 mallinfo2(void)
{
	struct expertmem_heap_stats stats = { 0 };

	expertmem_heap_stats(get_program(), &stats);
	return (struct mallinfo2){
		.arena		= stats.committed,
		.uordblks	= stats.live_bytes,
		.fordblks	= stats.committed > stats.live_bytes ?
				  stats.committed - stats.live_bytes : 0,
	};
}

static int at_most_int(size_t value)
{
	return value < INT_MAX ? (int)value : INT_MAX;
}

struct mallinfo mallinfo(void)
{
	struct mallinfo2 info = mallinfo2();

	return (struct mallinfo){
		.arena		= at_most_int(info.arena),
		.uordblks	= at_most_int(info.uordblks),
		.fordblks	= at_most_int(info.fordblks),
	};
}

void malloc_stats(void)
{
	struct expertmem_heap_stats stats = { 0 };

	expertmem_heap_stats(get_program(), &stats);
	fprintf(stderr, "expert %llu: %llu bytes in %llu blocks, %llu bytes with the heap's own data\n",
		(unsigned long long)stats.id, (unsigned long long)stats.live_bytes,
		(unsigned long long)stats.live_blocks, (unsigned long long)stats.committed);
}

/* In the form that the C library has, with one heap. */
int malloc_info(int options, FILE *out)
{
	struct expertmem_heap_stats stats = { 0 };

	if (options)
		return EINVAL;
	expertmem_heap_stats(get_program(), &stats);
	fprintf(out, "<malloc version=\"1\">\n<heap nr=\"0\">\n"
		"<total type=\"rest\" count=\"%llu\" size=\"%llu\"/>\n"
		"<system type=\"current\" size=\"%llu\"/>\n<system type=\"max\" size=\"%llu\"/>\n"
		"</heap>\n</malloc>\n",
		(unsigned long long)stats.live_blocks, (unsigned long long)stats.live_bytes,
		(unsigned long long)stats.committed, (unsigned long long)stats.peak);
	return ferror(out) ? -1 : 0;
}

/* Nothing of this heap can be set so: a program that tries goes on. */
int mallopt(int parameter, int value)
{
	(void)value;
	return (parameter >= M_ARENA_MAX && parameter <= M_TRIM_THRESHOLD) ||
	       parameter == M_MXFAST;
}

/* ----------------------------------------------------------------------- plug-ins */

static void *(*real_dlopen)(const char *file, int mode);

__attribute__((constructor)) static void find_dlopen(void)
{
	*(void **)&real_dlopen = dlsym(RTLD_NEXT, "dlopen");
}

/*
 * With RTLD_DEEPBIND a plug-in would have the C library's malloc(), and a block that it hands to
 * the program, or gets from it, would be freed by the wrong one. The last call is a jump, for
 * dlopen() looks at where it is called from.
 */
void *dlopen(const char *file, int mode)
{
	return real_dlopen(file, mode & ~RTLD_DEEPBIND);
}
