// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The host's calls: the table of experts of this process.
 *
 * A key is an index into the table and the generation of that slot, so a key that was
 * closed is told apart from the one that has its slot now. Slots and their locks are
 * never freed: a call that comes after closing finds another generation and says so.
 *
 * Locks: table_lock (which slots are taken) before an expert's lock (all else about it).
 * Two experts' locks are held together only around fork(), in the order of the table.
 */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/expertmem.h>

#include "internal.h"

#define INDEX_BITS	12
#define ADDRESS_BITS	47

/* The nth expert of a process has windows of 1/n of the share, so that all find place. */
#define WINDOW_MAX	(1UL << 40)
#define WINDOW_SHARE	(1UL << 42)
/* what looks for leaks reads all that is mapped */
#define WINDOW_DEBUG	(1UL << 34)

_Static_assert(EM_MAX_EXPERTS == 1 << INDEX_BITS, "an index must fit into a key");

static struct em_expert experts[EM_MAX_EXPERTS];
/* for every EM_WINDOW_MIN of addresses: 0, or 1 + the index of the expert there */
static uint16_t owners[1UL << (ADDRESS_BITS - EM_WINDOW_SHIFT)];
static pthread_mutex_t table_lock = PTHREAD_MUTEX_INITIALIZER;
static bool taken[EM_MAX_EXPERTS];
static unsigned int open_experts;
const uint32_t em_closed = EXPERTMEM_STATUS_RECLAIMED;

/* The expert is the heap of this program, through the malloc family. */
bool em_whole_program;

static HEXPERTKEY key_of(const struct em_expert *expert)
{
	uintptr_t index = expert - experts;

	return (HEXPERTKEY)(expert->generation << INDEX_BITS | index);
}

/* The only expert that can have this key. */
struct em_expert *em_slot_of(HEXPERTKEY key)
{
	return &experts[(uintptr_t)key & (EM_MAX_EXPERTS - 1)];
}

/*
 * Lock a slot, whoever has it. Where calls may come from signal handlers, signals are
 * blocked, so that none waits for a lock that its own thread holds.
 */
void em_lock_slot(struct em_expert *expert)
{
	struct em_thread *self = em_self;
	sigset_t all, before;

	if (em_whole_program) {
		sigfillset(&all);
		pthread_sigmask(SIG_BLOCK, &all, &before);
	}
	/* A section that a signal has interrupted goes on when this call has ended. */
	if (self->index && self->busy == EM_BUSY)
		__atomic_store_n(&self->busy, EM_PARKED, __ATOMIC_RELEASE);
	pthread_mutex_lock(&expert->lock);
	if (em_whole_program)
		expert->signals = before;
}

void em_unlock(struct em_expert *expert)
{
	struct em_thread *self = em_self;
	sigset_t before = expert->signals;

	pthread_mutex_unlock(&expert->lock);
	if (self->index && self->busy == EM_PARKED)
		__atomic_store_n(&self->busy, EM_BUSY, __ATOMIC_RELAXED);
	if (em_whole_program)
		pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* The open expert of this key with its lock held, or NULL. */
struct em_expert *em_lock(HEXPERTKEY key)
{
	struct em_expert *expert = em_slot_of(key);

	em_lock_slot(expert);
	if (key && expert->key == key)
		return expert;
	em_unlock(expert);
	return NULL;
}

/* Let others have the lock for a moment. The expert is not closed meanwhile. */
void em_relock(struct em_expert *expert)
{
	expert->pins++;
	em_unlock(expert);
	sched_yield();
	em_lock_slot(expert);
	expert->pins--;
}

/*
 * Let no call into the expert, and wait for those that are there. The lock, which is
 * held, may be given up meanwhile.
 */
void em_stop(struct em_expert *expert)
{
	expert->stops++;
	__atomic_store_n(&expert->gate, 0, __ATOMIC_RELAXED);
	while (!em_quiesce())
		em_relock(expert);
}

/* Undo em_stop(); with the lock held. */
void em_resume(struct em_expert *expert)
{
	if (!--expert->stops && expert->attached &&
	    !(expert->debug & EM_DEBUG_BLOCKS) && em_has_sections())
		__atomic_store_n(&expert->gate, expert->key, __ATOMIC_RELEASE);
}

/* The expert in whose windows @p is, or NULL. @p is not read. */
struct em_expert *em_owner_of(const void *p)
{
	uintptr_t address = (uintptr_t)p;
	unsigned int owner;

	if (address >> ADDRESS_BITS)
		return NULL;
	owner = __atomic_load_n(&owners[address >> EM_WINDOW_SHIFT], __ATOMIC_RELAXED);
	return owner ? &experts[owner - 1] : NULL;
}

static void set_owner(const struct em_expert *expert, unsigned int owner)
{
	size_t i = (uintptr_t)expert->base >> EM_WINDOW_SHIFT;
	size_t end = i + (expert->window * 2 >> EM_WINDOW_SHIFT);

	for (; i < end; i++)
		__atomic_store_n(&owners[i], owner, __ATOMIC_RELAXED);
}

/* Addresses for both windows, aligned, with nothing there yet. */
static bool reserve(struct em_expert *expert)
{
	size_t window = WINDOW_SHARE / __atomic_load_n(&open_experts, __ATOMIC_RELAXED);
	size_t most = expert->debug & EM_DEBUG_BLOCKS ? WINDOW_DEBUG : WINDOW_MAX;
	char *start = MAP_FAILED, *end;
	size_t size;

	if (window > most)
		window = most;
	for (window &= ~(EM_WINDOW_MIN - 1); start == MAP_FAILED; window /= 2) {
		window &= ~(EM_WINDOW_MIN - 1);
		if (!window)
			return false;
		size = window * 2 + EM_WINDOW_MIN;
		start = mmap(NULL, size, PROT_NONE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		expert->window = window;
	}
	end = start + size;
	expert->base = (char *)(((uintptr_t)start + EM_WINDOW_MIN - 1) &
				~(EM_WINDOW_MIN - 1));
	if (expert->base > start)
		munmap(start, expert->base - start);
	if (end > expert->base + expert->window * 2)
		munmap(expert->base + expert->window * 2,
		       end - (expert->base + expert->window * 2));
	return true;
}

/*
 * Memory of the library itself, or NULL. Much of it is never touched, so it is not to
 * come in huge pages.
 */
void *em_map(size_t size, int sharing)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       sharing | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	madvise(p, size, MADV_NOHUGEPAGE);
	return p;
}

/* What tells of the huge window, and which local a thread has; not charged. */
static size_t tables_size(const struct em_expert *expert)
{
	return (expert->window >> 21) * sizeof(*expert->map) +
	       EM_THREADS * sizeof(*expert->heap.local_of);
}

static bool tables_get(struct em_expert *expert)
{
	expert->map = em_map(tables_size(expert), MAP_PRIVATE);
	if (!expert->map)
		return false;
	expert->heap.local_of = (uint16_t *)(expert->map + (expert->window >> 21));
	expert->huge = em_window_base(expert, EM_HUGE_WINDOW);
	expert->huge_size = expert->window;
	return true;
}

/*
 * Make this process the expert's, at its first allocation. E_BUSY where another one is,
 * E_NOMEM where there are no addresses.
 */
int em_attach(struct em_expert *expert)
{
	int error = EXPERTMEM_E_NOMEM;
	pid_t nobody = 0;

	if (expert->attached)
		return EXPERTMEM_OK;
	if (!__atomic_compare_exchange_n(&expert->control->owner, &nobody, getpid(), false,
					 __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		return EXPERTMEM_E_BUSY;
	if (!reserve(expert))
		goto err_owner;
	error = expert->backend->attach(expert);
	if (error)
		goto err_windows;
	error = EXPERTMEM_E_NOMEM;
	if (!tables_get(expert))
		goto err_windows;
	if (!em_debug_attach(expert))
		goto err_tables;
	set_owner(expert, expert - experts + 1);
	expert->attached = true;
	expert->stops++;
	em_resume(expert);
	return EXPERTMEM_OK;

err_tables:
	munmap(expert->map, tables_size(expert));
err_windows:
	munmap(expert->base, expert->window * 2);
err_owner:
	__atomic_store_n(&expert->control->owner, 0, __ATOMIC_RELAXED);
	return error;
}

/* End the expert of this slot, here; its lock is held, and no call is in it. */
static void teardown(struct em_expert *expert)
{
	expert->key = 0;
	expert->status = &em_closed;
	if (expert->attached) {
		munmap(expert->base, expert->window * 2);
		munmap(expert->map, tables_size(expert));
		em_debug_detach(expert);
	}
	expert->backend->close(expert);
	munmap(expert->control, sizeof(*expert->control));
}

static struct em_expert *slot_get(void)
{
	struct em_expert *expert = NULL;
	unsigned int i;

	pthread_mutex_lock(&table_lock);
	for (i = 0; i < EM_MAX_EXPERTS && !expert; i++)
		if (!taken[i])
			expert = &experts[i];
	if (expert) {
		taken[expert - experts] = true;
		__atomic_add_fetch(&open_experts, 1, __ATOMIC_RELAXED);
	}
	pthread_mutex_unlock(&table_lock);
	return expert;
}

static void slot_put(struct em_expert *expert)
{
	pthread_mutex_lock(&table_lock);
	taken[expert - experts] = false;
	__atomic_sub_fetch(&open_experts, 1, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&table_lock);
}

/*
 * A fork of an expert has none of its memory, unless the expert is the heap of the whole
 * program: then the child goes on with a copy. The child's experts have new locks: those
 * of the parent may have been held by threads that the child does not have.
 */
static void fork_prepare(void)
{
	unsigned int i;

	pthread_mutex_lock(&table_lock);
	for (i = 0; i < EM_MAX_EXPERTS; i++) {
		if (!taken[i] || !experts[i].keep)
			continue;
		em_lock_slot(&experts[i]);
		if (experts[i].attached)
			em_stop(&experts[i]);
	}
}

static void fork_parent(void)
{
	unsigned int i;

	for (i = EM_MAX_EXPERTS; i--; ) {
		if (!taken[i] || !experts[i].keep)
			continue;
		if (experts[i].attached)
			em_resume(&experts[i]);
		em_unlock(&experts[i]);
	}
	pthread_mutex_unlock(&table_lock);
}

static void fork_child(void)
{
	unsigned int i;

	em_threads_after_fork();
	pthread_mutex_unlock(&table_lock);
	for (i = 0; i < EM_MAX_EXPERTS; i++) {
		struct em_expert *expert = &experts[i];

		if (!taken[i])
			continue;
		pthread_mutex_init(&expert->lock, NULL);
		if (expert->key && expert->attached) {
			__atomic_store_n(&expert->gate, 0, __ATOMIC_RELAXED);
			set_owner(expert, 0);
			em_threads_forget(expert);
			teardown(expert);
		}
		if (!expert->key)
			slot_put(expert);
	}
}

__attribute__((constructor)) static void init(void)
{
	pthread_atfork(fork_prepare, fork_parent, fork_child);
}

/* Make an expert in a free slot; @fd: a descriptor to adopt, or -1 */
static int open_slot(const struct expertmem_options *options,
		     const struct em_backend *backend, int fd, HEXPERTKEY *key)
{
	struct em_control *control;
	struct em_expert *expert;
	unsigned int debug;
	uint64_t generation;
	int error;

	if (!em_debug_parse(&debug))
		return EXPERTMEM_E_INVALID;
	expert = slot_get();
	if (!expert)
		return EXPERTMEM_E_TOO_MANY;
	control = em_map(sizeof(*control), MAP_SHARED);
	if (!control) {
		slot_put(expert);
		return EXPERTMEM_E_NOMEM;
	}
	if (options->startup)
		control->startup = *options->startup;

	em_lock_slot(expert);
	generation = expert->generation + 1;
	memset(&expert->huge, 0, offsetof(struct em_expert, lock) -
				 offsetof(struct em_expert, huge));
	memset(&expert->generation, 0,
	       sizeof(*expert) - offsetof(struct em_expert, generation));
	expert->generation = generation;
	expert->backend = backend;
	expert->flags = options->flags;
	expert->keep = em_whole_program;
	expert->debug = debug;
	expert->control = control;
	error = backend->open(expert, options, fd);
	if (error)
		expert->status = &em_closed;
	else
		*key = expert->key = key_of(expert);
	em_unlock(expert);

	if (error) {
		munmap(control, sizeof(*control));
		slot_put(expert);
	}
	return error;
}

static bool choose_backend(enum expertmem_backend *backend)
{
	const char *name = secure_getenv("EXPERTMEM_BACKEND");

	if (*backend == EXPERTMEM_BACKEND_AUTO && name && *name) {
		if (!strcmp(name, "device"))
			*backend = EXPERTMEM_BACKEND_DEVICE;
		else if (!strcmp(name, "anon"))
			*backend = EXPERTMEM_BACKEND_ANON;
		else
			return strcmp(name, "auto") == 0;
	}
	return *backend >= EXPERTMEM_BACKEND_AUTO && *backend <= EXPERTMEM_BACKEND_ANON;
}

static bool options_are_valid(const struct expertmem_options *options)
{
	const unsigned char *c = (const unsigned char *)options->name;
	size_t i;

	for (i = 0; i < sizeof(options->reserved) / sizeof(options->reserved[0]); i++)
		if (options->reserved[i])
			return false;
	for (i = 0; c[i]; i++)
		if (c[i] < ' ' || c[i] == 0x7f)
			return false;
	return i < sizeof(((struct expertmem_config *)0)->name) &&
	       !(options->flags & ~(EXPERTMEM_NO_HUGE | EXPERTMEM_UNSWAPPABLE |
				    EXPERTMEM_POPULATE));
}

int expertmem_open(const struct expertmem_options *options, HEXPERTKEY *key)
{
	struct expertmem_options chosen = { 0 };
	char name[sizeof(((struct expertmem_config *)0)->name)] = "";
	int error = EXPERTMEM_E_NO_MODULE;

	if (options)
		chosen = *options;
	if (!chosen.name) {
		strncpy(name, program_invocation_short_name, sizeof(name) - 1);
		chosen.name = name;
	}
	if (!key || !options_are_valid(&chosen) || !choose_backend(&chosen.backend))
		return EXPERTMEM_E_INVALID;

	if (chosen.backend != EXPERTMEM_BACKEND_ANON)
		error = open_slot(&chosen, &em_device, -1, key);
	if (chosen.backend == EXPERTMEM_BACKEND_ANON ||
	    (chosen.backend == EXPERTMEM_BACKEND_AUTO && error == EXPERTMEM_E_NO_MODULE))
		error = open_slot(&chosen, &em_anon, -1, key);
	return error;
}

int expertmem_adopt(int fd, HEXPERTKEY *key)
{
	static const struct expertmem_options none;

	if (fd < 0 || !key)
		return EXPERTMEM_E_INVALID;
	return open_slot(&none, &em_device, fd, key);
}

int expertmem_close(HEXPERTKEY key)
{
	struct em_expert *expert;

	em_register();
	em_debug_leaks(key);
	expert = em_lock(key);
	while (expert && expert->pins) {
		em_unlock(expert);
		sched_yield();
		expert = em_lock(key);
	}
	if (!expert)
		return EXPERTMEM_E_KEY;
	/* From here on the key is nobody's, also while em_stop() gives the lock up. */
	expert->key = 0;
	if (expert->attached)
		set_owner(expert, 0);
	em_stop(expert);
	em_threads_forget(expert);
	if (expert->attached && !(em_status(expert) & EXPERTMEM_STATUS_RECLAIMED))
		em_debug_forget(expert);
	teardown(expert);
	em_unlock(expert);
	slot_put(expert);
	return EXPERTMEM_OK;
}

int expertmem_fd(HEXPERTKEY key)
{
	struct em_expert *expert = em_lock(key);
	int fd;

	if (!expert)
		return EXPERTMEM_E_KEY;
	fd = expert->backend->id == EXPERTMEM_BACKEND_DEVICE ? expert->fd :
							     EXPERTMEM_E_UNSUPPORTED;
	em_unlock(expert);
	return fd;
}

int expertmem_terminate(HEXPERTKEY key)
{
	struct em_expert *expert = em_lock(key);

	if (!expert)
		return EXPERTMEM_E_KEY;
	expert->backend->terminate(expert);
	em_unlock(expert);
	return EXPERTMEM_OK;
}

int expertmem_reclaim(HEXPERTKEY key, uint64_t *bytes)
{
	struct em_expert *expert = em_lock(key);
	uint64_t given = 0;
	bool done;

	if (!expert)
		return EXPERTMEM_E_KEY;
	done = expert->backend->reclaim(expert, &given);
	em_unlock(expert);
	if (bytes && done)
		*bytes = given;
	return done ? EXPERTMEM_OK : EXPERTMEM_E_UNSUPPORTED;
}

/* Threads go on counting meanwhile, and a block may be freed by another one. */
static void sum_counts(struct em_control *control, struct expertmem_stats *stats)
{
	uint32_t n = __atomic_load_n(&control->nr_counts, __ATOMIC_RELAXED), i;
	int64_t blocks = 0, bytes = 0;

	for (i = 0; i < n && i < EM_THREADS; i++) {
		blocks += __atomic_load_n(&control->counts[i].blocks, __ATOMIC_RELAXED);
		bytes += __atomic_load_n(&control->counts[i].bytes, __ATOMIC_RELAXED);
	}
	stats->live_blocks = blocks > 0 ? blocks : 0;
	stats->live_bytes = bytes > 0 ? bytes : 0;
	stats->peak_bytes = __atomic_load_n(&control->peak_bytes, __ATOMIC_RELAXED);
	if (stats->peak_bytes < stats->live_bytes)
		stats->peak_bytes = stats->live_bytes;
}

int expertmem_stats(HEXPERTKEY key, struct expertmem_stats *stats)
{
	struct em_expert *expert;
	uint32_t status;

	if (!stats)
		return EXPERTMEM_E_INVALID;
	expert = em_lock(key);
	if (!expert)
		return EXPERTMEM_E_KEY;
	status = em_status(expert);
	*stats = (struct expertmem_stats){
		.backend	= expert->backend->id,
		.terminating	= !!(status & EXPERTMEM_STATUS_TERMINATE),
		.reclaimed_now	= !!(status & EXPERTMEM_STATUS_RECLAIMED),
	};
	sum_counts(expert->control, stats);
	expert->backend->stats(expert, stats);
	em_unlock(expert);
	return EXPERTMEM_OK;
}

/* Read without stopping the writer, who may die in the middle: then it is torn. */
int expertmem_progress(HEXPERTKEY key, struct expertmem_progress *progress)
{
	struct em_expert *expert;
	uint64_t before, after;
	int tries = 1000;

	if (!progress)
		return EXPERTMEM_E_INVALID;
	expert = em_lock(key);
	if (!expert)
		return EXPERTMEM_E_KEY;
	do {
		before = __atomic_load_n(&expert->control->sequence, __ATOMIC_ACQUIRE);
		*progress = expert->control->progress;
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		after = __atomic_load_n(&expert->control->sequence, __ATOMIC_RELAXED);
	} while ((before != after || before % 2) && --tries);
	progress->text[sizeof(progress->text) - 1] = '\0';
	em_unlock(expert);
	return EXPERTMEM_OK;
}

int expertmem_walk(HEXPERTKEY key, int (*visit)(void *block, size_t size, void *arg),
		   void *arg)
{
	struct em_expert *expert;
	int result = 0;

	if (!visit)
		return EXPERTMEM_E_INVALID;
	expert = em_lock(key);
	if (!expert)
		return EXPERTMEM_E_KEY;
	if (expert->attached && !(em_status(expert) & EXPERTMEM_STATUS_RECLAIMED))
		result = em_heap_walk(expert, visit, arg);
	em_unlock(expert);
	return result;
}

int expertmem_trim(HEXPERTKEY key, uint64_t *bytes)
{
	struct expertmem_stats before = { 0 }, after = { 0 };
	struct em_expert *expert;

	em_register();
	expert = em_lock(key);
	if (!expert)
		return EXPERTMEM_E_KEY;
	if (expert->attached && !(em_status(expert) & EXPERTMEM_STATUS_RECLAIMED)) {
		expert->backend->stats(expert, &before);
		em_heap_trim(expert);
		expert->backend->stats(expert, &after);
	}
	em_unlock(expert);
	if (bytes)
		*bytes = before.committed > after.committed ?
			 before.committed - after.committed : 0;
	return EXPERTMEM_OK;
}

int expertmem_listen(HEXPERTKEY key, expertmem_listener listener, void *arg)
{
	struct em_expert *expert = em_lock(key);

	if (!expert)
		return EXPERTMEM_E_KEY;
	__atomic_store_n(&expert->listener, listener, __ATOMIC_RELAXED);
	expert->listener_arg = arg;
	em_unlock(expert);
	return EXPERTMEM_OK;
}

/* Is there anybody to tell what is found? */
bool em_is_heard(HEXPERTKEY key)
{
	const struct em_expert *expert = em_slot_of(key);

	return __atomic_load_n(&expert->listener, __ATOMIC_RELAXED) ||
	       expert->debug & (EM_DEBUG_REPORT | EM_DEBUG_ABORT);
}

void em_tell(const struct expertmem_finding *finding)
{
	struct em_expert *expert = em_lock(finding->key);
	expertmem_listener listener;
	unsigned int debug;
	void *arg;

	if (!expert)
		return;
	listener = expert->listener;
	arg = expert->listener_arg;
	debug = expert->debug;
	em_unlock(expert);
	if (listener)
		listener(finding, arg);
	em_debug_tell(finding, debug, listener);
}

const char *expertmem_strerror(int error)
{
	switch (error) {
	case EXPERTMEM_OK:
		return "success";
	case EXPERTMEM_E_INVALID:
		return "an argument is not allowed, or in the environment EXPERTMEM_BACKEND is none of device, anon and auto, or EXPERTMEM_DEBUG has a word other than canary, fill, guard, sites, report, abort and all";
	case EXPERTMEM_E_KEY:
		return "the key is not of an open expert";
	case EXPERTMEM_E_NOMEM:
		return "out of memory or of addresses: raise the memory limit of the process (ulimit -v) or of its control group";
	case EXPERTMEM_E_NO_MODULE:
		return "there is no /dev/expertmem: load the kernel module (modprobe expertmem), or work without it (EXPERTMEM_BACKEND=anon)";
	case EXPERTMEM_E_ACCESS:
		return "/dev/expertmem may not be opened: become a member of the group that owns it (usermod -aG expertmem USER, then log in again)";
	case EXPERTMEM_E_ABI:
		return "the loaded expertmem module is older than this library: install the module of the same version, then rmmod expertmem and modprobe expertmem";
	case EXPERTMEM_E_NO_DEVICE:
		return "that is not the expertmem device: remove what is at /dev/expertmem and load the kernel module again, or pass a descriptor of the device";
	case EXPERTMEM_E_TOO_MANY:
		return "too many experts or open files: close some, or raise the module's max_experts or the limit of open files (ulimit -n)";
	case EXPERTMEM_E_PERM:
		return "unswappable memory is not permitted: it needs CAP_IPC_LOCK, or an unlimited RLIMIT_MEMLOCK (ulimit -l unlimited)";
	case EXPERTMEM_E_UNSUPPORTED:
		return "the backend in use cannot do that: it needs the kernel module";
	case EXPERTMEM_E_BUSY:
		return "the expert is in use by another process: open one of your own";
	case EXPERTMEM_E_RECLAIMED:
		return "the expert's memory was reclaimed: open a new expert";
	default:
		return "unknown error";
	}
}
