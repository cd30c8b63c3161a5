// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * libexpertmem-malloc.so: the malloc family, for programs that know nothing of experts.
 *
 * When it is preloaded, the whole heap of the program is one expert. The first call opens the expert,
 * perhaps in the dynamic loader, before any constructor has run. Nothing closes it: the kernel
 * reclaims it when the process ends or calls exec.
 *
 *	EXPERTMEM_FD	 descriptor of the expert that "expertmem run" has opened for the
 *			 program; the library that adopts it unsets the variable
 *	EXPERTMEM_LIMIT	 most bytes of an expert opened here, as 65536, 64M or 1.5GiB; 0 or
 *			 "none": no limit; "default", or not set: the module's default_limit
 *	EXPERTMEM_NAME	 its name, instead of the program's
 *
 * A program that the program starts may have no permission for the device, or too few addresses, and
 * must run all the same: then its heap is private memory. With EXPERTMEM_BACKEND=device it ends
 * instead, before its first instruction.
 *
 * See em_preloaded for what the library does about fork() and signals.
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

#include "fast.h"
#include "raw.h"
#include "report.h"
#include "text.h"

/* bytes; the alignment that malloc() guarantees */
#define ALIGNMENT 16UL

static HEXPERTKEY program;	/* the expert's key; NULL: not opened yet */
static HEXPERTKEY former;	/* the expert that @program has replaced: see go_private(); or NULL */
static pid_t opener;		/* the thread that is opening it */

/*
 * Blocks for the thread that is opening the expert, as that may call functions of another preloaded
 * library, which allocate. They are never freed. The size of a block is in the bytes before it.
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

/* End the process by status 127, as the dynamic loader does if a program cannot be started. */
static __attribute__((noreturn)) void die(const char *subject, const char *problem)
{
	em_say("libexpertmem-malloc: ", subject, problem);
	_exit(127);
}

/* The limit in EXPERTMEM_LIMIT, in bytes. Ends the process if it is invalid. */
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
 * Open an expert. EXPERTMEM_LIMIT may have been set for a parent with CAP_NET_ADMIN, and be above the
 * module's default_limit: then the default is the limit. Private memory would escape it.
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

/* Attach the expert to this process. False: another process is attached. */
static bool is_ours(HEXPERTKEY key)
{
	struct em_expert *expert = em_slot_of(key);
	DWORD error;
	void *block;

	expert->classes = em_classes_of_malloc;
	/* The checks of blocks know no spans. */
	expert->packs = expert->backend->id == EXPERTMEM_BACKEND_ANON &&
			!(expert->debug & EM_DEBUG_BLOCKS);
	if (expert->packs)
		em_classes_split(EM_NO_CLASS);
	block = ExpertAllocMemory(key, 0, &error);
	if (!block && error == NMERR_OUT_OF_MEMORY)
		die("", expertmem_strerror(EXPERTMEM_E_NOMEM));
	ExpertFreeMemory(key, block);
	return block || error == NMERR_EXPERT_TERMINATE;
}

/* Does EXPERTMEM_BACKEND=device forbid private memory? */
static bool wants_device(void)
{
	enum expertmem_backend backend = EXPERTMEM_BACKEND_AUTO;

	return em_choose_backend(&backend) && backend == EXPERTMEM_BACKEND_DEVICE;
}

/* Open the expert: the one in EXPERTMEM_FD, else a new one of the module, else private memory. */
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
	if (!em_device_only && em_addresses_are_few())
		options.backend = EXPERTMEM_BACKEND_ANON;
	get_name(name);
	/*
	 * Programs that this one starts must not take another file with this number for the expert.
	 */
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

/*
 * Open the expert, or wait until another thread has opened it. NULL: this thread is opening it, and
 * calls malloc() meanwhile.
 */
static noinline __attribute__((cold)) HEXPERTKEY open_program(void)
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
 * Open the expert before main(), also if nothing was allocated, so that the program does not get its
 * descriptor number. This may run before the C library has set @environ.
 */
__attribute__((constructor)) static void open_early(int argc, char **argv, char **envp)
{
	(void)argc, (void)argv;
	if (!environ)
		environ = envp;
	free(malloc(1));
	/*
	 * Functions of on_exit() run in reverse order: this one runs after those of program and
	 * libraries.
	 */
	if (em_slot_of(program)->debug & EM_DEBUG_SITES)
		on_exit(at_exit, NULL);
}

static inline HEXPERTKEY get_program(void)
{
	return em_read_once(&program);
}

/* The key of the expert that may have @p. */
static inline HEXPERTKEY program_of(const void *p)
{
	if (unlikely(former) && em_owner_of(p) == em_slot_of(former))
		return former;
	return get_program();
}

/*
 * If the expert gets no more memory of the module, for the reason in em_device_refused, open a second
 * expert, of private memory, for new blocks; old blocks stay in the first one. The second
 * one's limit is EXPERTMEM_LIMIT, as the module cannot be asked for the limit of the first.
 *
 * Returns the key of the second expert. NULL: there is none.
 */
static HEXPERTKEY go_private(HEXPERTKEY key)
{
	struct expertmem_options options = {
		.name = "", .limit = get_limit(), .backend = EXPERTMEM_BACKEND_ANON,
		.flags = em_slot_of(key)->flags & EXPERTMEM_NO_HUGE,
	};
	HEXPERTKEY other;

	if (!em_read_once(&em_device_refused))
		return NULL;
	pthread_mutex_lock(&em_private_lock);
	if (!former && !expertmem_open(&options, &other)) {
		if (is_ours(other)) {
			em_store_release(&former, key);
			em_store_release(&program, other);
			em_say("expertmem: ", em_read_once(&em_device_refused),
			       "; the program goes on with private memory");
			em_report_went_private();
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

/* Is this process attached to the expert? A child of vfork() is not: its parent is. */
bool em_program_is_here(void)
{
	return em_slot_of(get_program())->shared->owner == em_process();
}

/*
 * Duplicate the descriptor to another number, as dup2() will replace this one. False: no number is
 * free.
 */
bool em_program_fd_moves(void)
{
	struct em_expert *expert = em_lock(former ? former : get_program());
	int fd = -1;

	if (!expert)
		return false;
	/* fcntl() may be of another preloaded library, which allocates. */
	fd = (int)em_raw(SYS_fcntl, expert->fd, F_DUPFD_CLOEXEC, expert->fd + 1);
	if (fd < 0)
		fd = (int)em_raw(SYS_fcntl, expert->fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	if (fd >= 0)
		em_write_once(&expert->fd, fd);
	em_unlock(expert);
	return fd >= 0;
}

/*
 * The program's memory is about to be limited or locked: save it from now on. No limit of the process counts
 * the module's memory, but mlockall() makes all of its pages resident.
 */
void em_program_save(bool locks)
{
	HEXPERTKEY key = get_program();
	struct em_expert *expert = key && em_program_is_here() ? em_lock(key) : NULL;

	if (!expert)
		return;
	expert->packs |= locks && !(expert->debug & EM_DEBUG_BLOCKS);
	if (expert->packs)
		em_classes_save(expert);
	em_unlock(expert);
}

/* The process is about to set RLIMIT_AS to @limit bytes. Nothing to do in a child of vfork(). */
void em_program_unreserve(size_t limit)
{
	HEXPERTKEY key = get_program();
	struct em_expert *expert;

	if (!key || !em_program_is_here())
		return;
	do {
		expert = em_lock(key);
		if (!expert)
			return;
		expert->backend->unreserve(expert, limit);
		em_unlock(expert);
		/* Where the limit would refuse to map the second expert, open it now. */
		key = em_address_space() + EM_ADDRESSES_LEAST > limit ? go_private(key) : NULL;
	} while (key);
}

/* The caller of the function of the malloc family that all INLINE ones are part of. */
#define CALLER __builtin_return_address(0)
#define INLINE static inline __attribute__((always_inline))

/* Slow path: @key has no block. Open the program's expert, or go on with private memory. */
static noinline __attribute__((cold)) void *no_block(HEXPERTKEY key, size_t size, size_t alignment,
						     bool zeroed, const void *site)
{
	void *block = NULL;

	if (!key) {
		key = open_program();
		block = key ? em_alloc(key, size, alignment, zeroed, site, NULL) :
			      early_alloc(alignment > ALIGNMENT ? alignment : ALIGNMENT, size);
	} else {
		key = go_private(key);
		if (key)
			block = em_alloc(key, size, alignment, zeroed, site, NULL);
	}
	if (!block)
		errno = ENOMEM;
	return block;
}

/* @alignment: a power of two; @zeroed: as of em_heap_alloc(); @site: who asks for the block */
static noinline void *allocate_from(size_t size, size_t alignment, bool zeroed, const void *site)
{
	HEXPERTKEY key = get_program();
	void *block = key ? em_alloc(key, size, alignment, zeroed, site, NULL) : NULL;

	return likely(block) ? block : no_block(key, size, alignment, zeroed, site);
}

INLINE void *allocate(size_t alignment, size_t size)
{
	void *block;

	if (alignment > ALIGNMENT)
		return allocate_from(size, alignment, false, CALLER);
	switch (em_fast_alloc(get_program(), size, &block)) {
	case EM_FAST_DONE:
		return block;
	case EM_FAST_PEAK:
		return em_end_peak(block, NULL);
	default:
		return allocate_from(size, 1, false, CALLER);
	}
}

void *malloc(size_t size)
{
	return allocate(ALIGNMENT, size);
}

void *calloc(size_t count, size_t size)
{
	void *block;

	if (__builtin_mul_overflow(count, size, &size)) {
		errno = ENOMEM;
		return NULL;
	}
	block = size <= EM_SMALL_MAX ? allocate(ALIGNMENT, size) :
				       allocate_from(size, 1, true, CALLER);
	if (block && (size <= EM_SMALL_MAX || is_early(block) || em_slot_of(get_program())->debug))
		memset(block, 0, size);
	return block;
}

/* Slow path of free(): @done is what em_fast_free() has done with @key. */
static noinline void free_slowly(void *p, HEXPERTKEY key, enum em_fast done, struct em_slab *slab)
{
	int saved;

	/* Only these two leave it open whose block it is. */
	if (done == EM_FAST_NOTHING || done == EM_FAST_ELSEWHERE) {
		bool is_block = p && !is_early(p);
		HEXPERTKEY owner = program_of(p);

		if (done == EM_FAST_ELSEWHERE && (!is_block || owner != key)) {
			em_end(em_self);
			done = EM_FAST_NOTHING;
		}
		if (!is_block)
			return;
		key = owner;
	}
	saved = errno;
	em_end_free(key, p, done, slab);
	errno = saved;
}

/* EM_FAST_WAKE has a path of its own: it needs no pointer, so that free() saves no register. */
static noinline void free_woken(HEXPERTKEY key, struct em_slab *slab)
{
	free_slowly(NULL, key, EM_FAST_WAKE, slab);
}

static noinline void free_other(void *p, HEXPERTKEY key, struct em_slab *slab)
{
	enum em_fast done = em_fast_free_shared(key, p, slab);

	if (unlikely(done != EM_FAST_DONE))
		free_slowly(p, key, done, slab);
}

/* A pointer that is no block is ignored. EXPERTMEM_DEBUG=report prints it. */
void free(void *p)
{
	HEXPERTKEY key = get_program();
	struct em_slab *slab;
	enum em_fast done = em_fast_free(key, p, &slab);

	if (done == EM_FAST_WAKE)
		free_woken(key, slab);
	else if (done == EM_FAST_OTHER)
		free_other(p, key, slab);
	else if (done != EM_FAST_DONE)
		free_slowly(p, key, done, slab);
	else
		EM_STAY("D"(p));
}

/* Resize a block by a copy in the program's current expert. */
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
		return allocate(ALIGNMENT, size);
	if (!size) {
		free(p);
		return NULL;
	}
	if (is_early(p))
		return move(p, size);
	key = program_of(p);
	block = em_realloc(key, p, size, CALLER, &error);
	if (unlikely(!block) && error == NMERR_OUT_OF_MEMORY &&
	    (key == former || go_private(key)))
		return move(p, size);
	if (unlikely(!block))
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

/* In a preloaded program the thread of trim.c does not run, so only this gives idle memory back. */
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
	block = allocate(alignment, size);
	errno = saved;
	if (!block)
		return ENOMEM;
	*p = block;
	return 0;
}

/* An alignment that is no power of two is rounded up to one, as the C library does. */
INLINE void *allocate_aligned(size_t alignment, size_t size)
{
	if (alignment > SIZE_MAX / 2 + 1) {
		errno = EINVAL;
		return NULL;
	}
	if (alignment & (alignment - 1))
		alignment = 1UL << (64 - __builtin_clzl(alignment));
	return allocate(alignment, size);
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
	return allocate(EM_PAGE, size);
}

void *pvalloc(size_t size)
{
	size_t pages = em_round_up(size, EM_PAGE);

	return allocate(EM_PAGE, pages < size ? size : pages);
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

static struct expertmem_heap_stats program_stats(void)
{
	struct expertmem_heap_stats stats = { 0 }, old = { 0 };

	expertmem_heap_stats(get_program(), &stats);
	if (former) {
		expertmem_heap_stats(former, &old);
		stats.live_bytes += old.live_bytes;
		stats.live_blocks += old.live_blocks;
		stats.committed += old.committed;
		stats.peak += old.peak;
	}
	return stats;
}

static size_t free_bytes(const struct expertmem_heap_stats *stats)
{
	return stats->committed > stats->live_bytes ? stats->committed - stats->live_bytes : 0;
}

struct mallinfo2 mallinfo2(void)
{
	struct expertmem_heap_stats stats = program_stats();

	return (struct mallinfo2){
		.arena		= stats.committed,
		.uordblks	= stats.live_bytes,
		.fordblks	= free_bytes(&stats),
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
	struct expertmem_heap_stats stats = program_stats();

	fprintf(stderr, "expert %llu: %llu bytes in %llu blocks, %llu bytes with the heap's own data\n",
		(unsigned long long)stats.id, (unsigned long long)stats.live_bytes,
		(unsigned long long)stats.live_blocks, (unsigned long long)stats.committed);
}

/* @mapped: what the C library prints of blocks that it maps, or "" */
static void print_totals(FILE *out, const struct expertmem_heap_stats *stats, const char *mapped)
{
	size_t idle = free_bytes(stats);

	fprintf(out, "<total type=\"fast\" count=\"0\" size=\"0\"/>\n"
		"<total type=\"rest\" count=\"%d\" size=\"%zu\"/>\n%s"
		"<system type=\"current\" size=\"%llu\"/>\n<system type=\"max\" size=\"%llu\"/>\n",
		idle > 0, idle, mapped, (unsigned long long)stats->committed,
		(unsigned long long)stats->peak);
}

/* In the form that the C library has, with one heap. "rest" is memory that is free. */
int malloc_info(int options, FILE *out)
{
	struct expertmem_heap_stats stats = program_stats();

	if (options)
		return EINVAL;
	fputs("<malloc version=\"1\">\n<heap nr=\"0\">\n<sizes>\n</sizes>\n", out);
	print_totals(out, &stats, "");
	fputs("</heap>\n", out);
	print_totals(out, &stats, "<total type=\"mmap\" count=\"0\" size=\"0\"/>\n");
	fputs("</malloc>\n", out);
	return ferror(out) ? -1 : 0;
}

/* Returns 1, success, for the parameters of the C library, but has no effect. */
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
