// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The table of em_experts of this process: keys, locks, addresses, fork.
 *
 * A key is an index into the table and the generation of that slot, so a key that was
 * closed is told apart from the one that has its slot now. Slots and their locks are
 * never freed: a call that comes after closing finds another generation and says so.
 *
 * Locks: table_lock (which slots are taken) before an expert's lock (all else about it).
 * Two experts' locks are held together only around fork(), in the order of the table.
 */
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/expertmem.h>

#include "internal.h"
#include "raw.h"

#define INDEX_BITS	12

_Static_assert(EM_MAX_EXPERTS == 1 << INDEX_BITS, "an index must fit into a key");

struct em_expert em_experts[EM_MAX_EXPERTS];
/* for every EM_WINDOW_MIN of addresses: 0, or 1 + the index of the expert there */
uint16_t em_owners[1UL << (EM_ADDRESS_BITS - EM_WINDOW_SHIFT)];
static pthread_mutex_t table_lock = PTHREAD_MUTEX_INITIALIZER;
pthread_mutex_t em_private_lock = PTHREAD_MUTEX_INITIALIZER;
static bool taken[EM_MAX_EXPERTS];
static unsigned int open_experts;
const uint32_t em_closed = EXPERTMEM_STATUS_RECLAIMED;

/* The expert is the heap of this program, through the malloc family. */
bool em_preloaded;

HEXPERTKEY em_key_of(const struct em_expert *expert)
{
	uintptr_t index = expert - em_experts;

	return (HEXPERTKEY)(expert->generation << INDEX_BITS | index);
}

/*
 * Lock a slot, whoever has it. Where calls may come from signal handlers, signals are
 * blocked, so that none waits for a lock that its own thread holds; not where the program
 * filters its system calls, which the call for that may not be among.
 */
void em_lock_slot(struct em_expert *expert)
{
	struct em_thread *self = em_self;
	bool masked = em_preloaded && em_unfiltered_begin();
	sigset_t all, before;

	if (masked) {
		sigfillset(&all);
		pthread_sigmask(SIG_BLOCK, &all, &before);
	}
	/* A section that a signal has interrupted goes on when this call has ended. */
	if (self->index && self->busy == EM_BUSY)
		__atomic_store_n(&self->busy, EM_PARKED, __ATOMIC_RELEASE);
	pthread_mutex_lock(&expert->lock);
	expert->masked = masked;
	if (masked)
		expert->signals = before;
}

void em_unlock(struct em_expert *expert)
{
	struct em_thread *self = em_self;
	sigset_t before = expert->signals;
	bool masked = expert->masked;

	bool idle = __atomic_load_n(&expert->heap.nr_put, __ATOMIC_RELAXED) !=
		    expert->heap.nr_seen && !em_preloaded;

	pthread_mutex_unlock(&expert->lock);
	/* Released, so that who takes the record over knows that all this was before. */
	if (self->index)
		__atomic_store_n(&self->busy, self->busy == EM_PARKED ? EM_BUSY : self->busy,
				 __ATOMIC_RELEASE);
	if (masked) {
		pthread_sigmask(SIG_SETMASK, &before, NULL);
		em_unfiltered_end();
	}
	if (idle)
		em_idle_start();
}

/* Trim what has not pooled a slab since the last time. True: there will be more to do. */
bool em_trim_idle(void)
{
	bool more = false;
	unsigned int i;
	uint64_t put;

	for (i = 0; i < EM_MAX_EXPERTS; i++) {
		struct em_expert *expert = &em_experts[i];
		struct em_heap *heap = &expert->heap;

		if (!__atomic_load_n(&taken[i], __ATOMIC_RELAXED))
			continue;
		em_lock_slot(expert);
		put = __atomic_load_n(&heap->nr_put, __ATOMIC_RELAXED);
		if (expert->key && expert->attached && put != heap->nr_trimmed &&
		    !(em_status(expert) & EXPERTMEM_STATUS_RECLAIMED)) {
			if (heap->nr_seen == put)
				em_heap_trim(expert);
			else
				more = true;
		}
		heap->nr_seen = put;
		em_unlock(expert);
	}
	return more;
}

/* The open expert of this key with its lock held, or NULL. */
struct em_expert *em_lock(HEXPERTKEY key)
{
	struct em_expert *expert = em_slot_of(key);

	/* A slot that was never used is not writable, its lock neither. */
	if (!__atomic_load_n(&expert->generation, __ATOMIC_ACQUIRE))
		return NULL;
	em_lock_slot(expert);
	if (key && expert->key == key)
		return expert;
	em_unlock(expert);
	return NULL;
}

/* Let others have the lock for a moment. The expert is not closed meanwhile. */
void em_relock(struct em_expert *expert)
{
	expert->refs++;
	em_unlock(expert);
	sched_yield();
	em_lock_slot(expert);
	expert->refs--;
}

/*
 * Let no call into the expert, and wait for those that are there. The lock, which is
 * held, may be given up meanwhile.
 */
void em_pause(struct em_expert *expert)
{
	expert->pause_depth++;
	__atomic_store_n(&expert->gate, 0, __ATOMIC_RELAXED);
	while (!em_wait_all())
		em_relock(expert);
}

/* Undo em_pause(); with the lock held. */
void em_unpause(struct em_expert *expert)
{
	if (!--expert->pause_depth && expert->attached &&
	    !(expert->debug & EM_DEBUG_BLOCKS) && em_has_sections())
		__atomic_store_n(&expert->gate, expert->key, __ATOMIC_RELEASE);
}

/* What is known of slabs, and which tcache a thread has. Not charged: it is little. */
static bool tables_get(struct em_expert *expert)
{
	struct em_table slabs;

	if (!em_table_map(&slabs, NULL, expert->window * 2 / EM_SLAB_SIZE * sizeof(*expert->slabs),
			  MAP_PRIVATE))
		return false;
	expert->heap.tcache_of = em_map(EM_THREADS * sizeof(*expert->heap.tcache_of), MAP_PRIVATE);
	if (!expert->heap.tcache_of) {
		munmap(slabs.start, slabs.size);
		return false;
	}
	expert->slabs = (struct em_slab *)slabs.start;
	expert->span = expert->window * 2;
	return true;
}

static void tables_put(struct em_expert *expert)
{
	munmap(expert->slabs, expert->span / EM_SLAB_SIZE * sizeof(*expert->slabs));
	munmap(expert->heap.tcache_of, EM_THREADS * sizeof(*expert->heap.tcache_of));
	expert->span = 0;
}

/* Addresses and all that goes with them, for windows of @most bytes; enum expertmem_error */
static int attach(struct em_expert *expert, size_t most)
{
	int error = EXPERTMEM_E_NOMEM;

	/* To the kernel, an expert whose window is unmapped has ended: it is kept. */
	if (!expert->mapped && !em_place(expert, most))
		return error;
	if (!tables_get(expert))
		goto err_place;
	if (!em_debug_attach(expert))
		goto err_debug;
	error = expert->backend->attach(expert);
	if (!error)
		return error;
err_debug:
	em_debug_detach(expert);
	tables_put(expert);
err_place:
	if (!expert->mapped) {
		expert->backend->unmap(expert);
		em_set_owner(expert, false);
	}
	return error;
}

/*
 * Make this process the expert's, at its first allocation. E_BUSY where another one is,
 * E_NOMEM where there are no addresses. Limits may let the windows be, but not what comes with
 * them: then windows of half the size are tried.
 */
int em_attach(struct em_expert *expert)
{
	pid_t nobody = 0;
	size_t most = 0;
	int error;

	if (expert->attached)
		return EXPERTMEM_OK;
	if (!__atomic_compare_exchange_n(&expert->shared->owner, &nobody,
					 em_process(), false,
					 __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		return EXPERTMEM_E_BUSY;
	do {
		error = attach(expert, most);
		most = expert->window / 2;
	} while (error == EXPERTMEM_E_NOMEM && most >= EM_WINDOW_MIN && !expert->mapped);
	if (error) {
		__atomic_store_n(&expert->shared->owner, 0, __ATOMIC_RELAXED);
		return error;
	}
	em_report_begin(expert->shared);
	expert->attached = true;
	expert->pause_depth++;
	em_unpause(expert);
	return EXPERTMEM_OK;
}

/* End the expert of this slot, here; its lock is held, and no call is in it. */
void em_teardown(struct em_expert *expert)
{
	expert->key = 0;
	if (expert->attached || expert->mapped)
		expert->backend->unmap(expert);
	if (expert->attached) {
		tables_put(expert);
		em_debug_detach(expert);
	}
	expert->attached = false;
	expert->heap.nr_seen = expert->heap.nr_put;
	expert->backend->close(expert);
	expert->status = &em_closed;
	em_shared_put(&expert->counts);
}

/* Slots that were never used are not writable; the first are in a page with other data. */
static bool slots_use(const struct em_expert *end)
{
	static struct em_table slots;
	char *start = (char *)em_round_up((uintptr_t)em_experts, EM_PAGE);
	size_t size = (char *)&em_experts[EM_MAX_EXPERTS] - start;

	if (!slots.start && !em_table_map(&slots, start, size & ~(EM_PAGE - 1), MAP_PRIVATE))
		return false;
	return (const char *)end <= start || em_table_use(&slots, (const char *)end - start);
}

/* Take a free slot of the table. */
int em_slot_get(struct em_expert **slot)
{
	int error = EXPERTMEM_E_TOO_MANY;
	unsigned int i = 0;

	pthread_mutex_lock(&table_lock);
	while (i < EM_MAX_EXPERTS && taken[i])
		i++;
	if (i < EM_MAX_EXPERTS)
		error = slots_use(&em_experts[i + 1]) ? EXPERTMEM_OK : EXPERTMEM_E_NOMEM;
	if (!error) {
		*slot = &em_experts[i];
		__atomic_store_n(&taken[i], true, __ATOMIC_RELAXED);
		__atomic_add_fetch(&open_experts, 1, __ATOMIC_RELAXED);
	}
	pthread_mutex_unlock(&table_lock);
	return error;
}

/* How many experts this process has. */
unsigned int em_nr_experts(void)
{
	return __atomic_load_n(&open_experts, __ATOMIC_RELAXED);
}

void em_slot_put(struct em_expert *expert)
{
	pthread_mutex_lock(&table_lock);
	__atomic_store_n(&taken[expert - em_experts], false, __ATOMIC_RELAXED);
	__atomic_sub_fetch(&open_experts, 1, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&table_lock);
}

/*
 * A fork of an expert has none of its memory, unless the expert is the heap of the whole
 * program: then the child goes on with a copy, which is made before the fork.
 * The child's em_experts have new locks: those of the parent may have been held by threads
 * that the child does not have.
 */
static bool held[EM_MAX_EXPERTS];	/* locked, and the child is to have them */

/* Why the thread's child cannot have them, enum expertmem_error; and will its caller say so? */
static __thread int fork_error __attribute__((tls_model("initial-exec")));
static __thread bool fork_is_wrapped __attribute__((tls_model("initial-exec")));

/**
 * em_fork_prepare() - lock and stop the experts that a child is to have, and copy them
 *
 * Every other call waits until em_fork_parent(). What is written to the heap from now on is
 * missing in the child.
 *
 * Return: enum expertmem_error; em_fork_parent() is to be called after an error as well.
 */
int em_fork_prepare(void)
{
	unsigned int i;

	fork_error = EXPERTMEM_OK;
	pthread_mutex_lock(&em_private_lock);
	pthread_mutex_lock(&table_lock);
	for (i = 0; i < EM_MAX_EXPERTS; i++) {
		held[i] = taken[i] && em_experts[i].inherit_on_fork;
		if (!held[i])
			continue;
		em_lock_slot(&em_experts[i]);
		if (!em_experts[i].attached)
			continue;
		em_pause(&em_experts[i]);
		if (!fork_error)
			fork_error = em_experts[i].backend->fork_prepare(&em_experts[i]);
	}
	pthread_mutex_lock(&em_place_lock);
	return fork_error;
}

/**
 * em_fork_parent() - there is a child, or there will be none
 * @shares_files: the child has the same table of descriptors
 */
void em_fork_parent(bool shares_files)
{
	unsigned int i;

	pthread_mutex_unlock(&em_place_lock);
	for (i = EM_MAX_EXPERTS; i--; ) {
		if (!held[i])
			continue;
		if (em_experts[i].attached) {
			em_experts[i].backend->fork_parent(&em_experts[i], shares_files);
			em_unpause(&em_experts[i]);
		}
		em_unlock(&em_experts[i]);
	}
	pthread_mutex_unlock(&table_lock);
	pthread_mutex_unlock(&em_private_lock);
}

/* The expert is the heap of this process, which cannot go on without. */
static void inherit(struct em_expert *expert, bool shares_files)
{
	int error = fork_error;

	if (expert->attached) {
		if (!error)
			error = expert->backend->fork_child(expert, shares_files);
		if (!error && !em_shared_inherit(&expert->counts))
			error = EXPERTMEM_E_NOMEM;
		if (error) {
			if (!fork_is_wrapped)
				em_say("expertmem: a fork cannot have its parent's memory: ",
				       expertmem_strerror(error), "");
			_exit(127);
		}
		expert->shared->owner = em_process();
		if (em_tls.expert == expert)
			em_tls.status = expert->status;
		/* Threads that wanted it stopped are not here. */
		expert->pause_depth = 1;
		expert->refs = 0;
		em_unpause(expert);
	}
	em_unlock(expert);
}

/**
 * em_fork_child() - in the child: go on with a copy of what the parent had
 * @shares_files: it has the same table of descriptors as the parent
 *
 * Ends the process where there is none.
 */
void em_fork_child(bool shares_files)
{
	unsigned int i;

	em_threads_after_fork();
	em_idle_after_fork();
	em_report_after_fork();
	pthread_mutex_unlock(&em_place_lock);
	for (i = EM_MAX_EXPERTS; i--; ) {
		struct em_expert *expert = &em_experts[i];

		if (!taken[i])
			continue;
		if (held[i]) {
			expert->masked = expert->masked && em_unfiltered_begin();
			inherit(expert, shares_files);
			continue;
		}
		/* A thread of the parent, which is not here, may hold the lock. */
		pthread_mutex_init(&expert->lock, NULL);
		expert->mapped = 0;
		if (expert->key && expert->attached) {
			__atomic_store_n(&expert->gate, 0, __ATOMIC_RELAXED);
			em_set_owner(expert, false);
			em_teardown(expert);
		}
	}
	pthread_mutex_unlock(&table_lock);
	pthread_mutex_unlock(&em_private_lock);
	for (i = 0; i < EM_MAX_EXPERTS; i++)
		if (taken[i] && !em_experts[i].key)
			em_slot_put(&em_experts[i]);
}

/**
 * em_fork_wrapped() - whoever calls fork() now looks at the outcome
 * @wrapped: from now on, or no longer
 *
 * Return: why the last child of this thread could not have the heap, enum expertmem_error.
 */
int em_fork_wrapped(bool wrapped)
{
	fork_is_wrapped = wrapped;
	return fork_error;
}

/**
 * em_filter_begin() - the program is about to filter its system calls
 *
 * Ends all sections of the program's heap for good: see em_filtered.
 */
void em_filter_begin(void)
{
	unsigned int i;

	if (em_filtered)
		return;
	pthread_mutex_lock(&table_lock);
	for (i = 0; i < EM_MAX_EXPERTS; i++) {
		struct em_expert *expert = &em_experts[i];

		if (!taken[i] || !expert->inherit_on_fork)
			continue;
		em_lock_slot(expert);
		if (expert->attached)
			em_pause(expert);
		em_unlock(expert);
	}
	pthread_mutex_unlock(&table_lock);
	em_set_filtered();
}

static void at_fork_prepare(void)
{
	em_fork_prepare();
}

static void at_fork_parent(void)
{
	em_fork_parent(false);
}

static void at_fork_child(void)
{
	em_fork_child(false);
}

__attribute__((constructor)) static void init(void)
{
	pthread_atfork(at_fork_prepare, at_fork_parent, at_fork_child);
}

