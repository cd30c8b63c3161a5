// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The threads that make calls, and how to wait for them.
 *
 * A thread gets a record with its first call and keeps it. Nobody is told when it ends;
 * the kernel is asked whether a thread with its number still exists. A record without a
 * thread goes, with all the slabs that belong to it, to the next thread that needs one;
 * if none comes, em_collect() takes what it has.
 */
#include <errno.h>
#include <linux/membarrier.h>
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

#include "internal.h"
#include "raw.h"

/* Records looked at for one whose thread has ended, before a new one is used. */
#define PROBES	8

/* an expert that is never open, and the thread of those that have no record */
static struct em_expert nobodys;
static struct em_thread nobody = { .busy = EM_BUSY };

__thread struct em_tls em_tls = {
	.self = &nobody, .expert = &nobodys, .status = &em_closed
};
struct em_thread *em_threads;
static struct em_table table;	/* where they are */

/* records that have been used; the first one belongs to no thread */
static uint32_t nr_threads = 1;
static uint32_t probe;
static pid_t process;
static bool has_membarrier;

static pthread_once_t once = PTHREAD_ONCE_INIT;

/* The table of threads, and what is asked once in a process. */
static void init(void)
{
	process = em_raw(SYS_getpid, 0, 0, 0);
	has_membarrier = !em_raw(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0,
				 0);
	if (em_table_map(&table, NULL, EM_THREADS * sizeof(*em_threads), MAP_PRIVATE))
		em_threads = (struct em_thread *)table.start;
}

static pid_t current_tid(void)
{
	return em_raw(SYS_gettid, 0, 0, 0);
}

/* Has the thread of this record ended? */
bool em_is_dead(const struct em_thread *thread)
{
	pid_t tid = em_read_once(&thread->tid);

	return !tid || (!em_filtered && em_raw(SYS_tgkill, process, tid, 0) == -ESRCH);
}

/* Take over a record whose thread has ended. */
static bool take_over(struct em_thread *thread, pid_t tid)
{
	pid_t old = em_read_once(&thread->tid);

	/* Where the number is the caller's own, its last user has ended. */
	return (old == tid || em_is_dead(thread)) &&
	       em_try_cmpxchg(&thread->tid, &old, tid);
}

/* A record for the calling thread, or NULL if there are no more. */
static struct em_thread *get_record(void)
{
	uint32_t used = em_read_once(&nr_threads), i, n;
	pid_t tid = current_tid();

	for (n = 0; n < PROBES && n < used - 1; n++) {
		i = 1 + em_fetch_add_relaxed(&probe, 1) % (used - 1);
		if (take_over(&em_threads[i], tid))
			goto found;
	}
	do {	/* another thread may find the new record as well */
		i = em_read_once(&nr_threads);
		if (i == EM_THREADS || !em_table_use(&table, (i + 1) * sizeof(*em_threads)))
			return NULL;
	} while (!em_try_cmpxchg(&nr_threads, &i, i + 1) ||
		 !take_over(&em_threads[i], tid));
found:
	/* What the last user did in its sections was before this. */
	em_load_acquire(&em_threads[i].busy);
	em_write_once(&em_threads[i].busy, EM_IDLE);
	em_threads[i].index = i;
	em_threads[i].calls = 0;
	em_threads[i].user++;
	em_store_release(&em_threads[i].tid, tid);
	/* Counted before its sections begin; pairs with the fence in barrier(). */
	em_mb();
	return &em_threads[i];
}

/* The record of the calling thread, which may be new; NULL if there are no more. */
struct em_thread *em_register(void)
{
	int saved = errno;
	sigset_t all, old;

	if (em_self != &nobody)
		return em_self;
	if (!em_unfiltered_begin())
		return NULL;
	/* The calls of a signal's handler must not get another one meanwhile. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	pthread_once(&once, init);
	if (em_self == &nobody && em_threads) {
		struct em_thread *record = get_record();

		if (record)
			em_self = record;
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	em_unfiltered_end();
	errno = saved;
	return em_self != &nobody ? em_self : NULL;
}

/* Every section that begins from now on sees what the caller has written before. */
static void barrier(void)
{
	if (em_filtered)
		return;
	/* Pairs with the fence in get_record(): a thread that is not counted yet sees it as well. */
	em_mb();
	if (em_read_once(&nr_threads) <= 2 && em_self != &nobody)
		return;
	/* It needs memory, for a set of CPUs; there is no going on without it. */
	while (em_raw(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == -ENOMEM)
		sched_yield();
}

static bool wait_for(const struct em_thread *thread)
{
	unsigned int spins = 0;

	while (thread != em_self && !em_filtered) {
		switch (em_load_acquire(&thread->busy)) {
		case EM_IDLE:
			return true;
		case EM_PARKED:
			/* Two signal handlers must not wait for each other. */
			return em_self->busy == EM_PARKED;
		}
		if (++spins % 128)
			continue;
		/* A signal's handler may have ended it in the middle. */
		if (em_is_dead(thread))
			return true;
		sched_yield();
	}
	return true;
}

/**
 * em_wait_for() - wait until a thread has left the section that it may be in
 * @thread: the thread
 *
 * Return: false if that was interrupted by a signal whose handler may be waiting for a
 * lock: give up yours (em_relock()), and try again.
 */
bool em_wait_for(const struct em_thread *thread)
{
	barrier();
	return wait_for(thread);
}

/* The same for all threads but the caller. */
bool em_wait_all(void)
{
	uint32_t i, n;

	barrier();
	n = em_load_acquire(&nr_threads);
	for (i = 1; i < n; i++)
		if (!wait_for(&em_threads[i]))
			return false;
	return true;
}

/* May calls do without the lock? Not without a way to wait for them. */
bool em_has_sections(void)
{
	pthread_once(&once, init);
	return em_threads && has_membarrier && !em_filtered;
}

/* The process, as long as its system calls are not filtered. */
pid_t em_process(void)
{
	return em_filtered ? process : (pid_t)em_raw(SYS_getpid, 0, 0, 0);
}

/* Only the thread that called fork() lives on in the child. */
void em_threads_after_fork(void)
{
	uint32_t i;

	em_unfiltered_after_fork();
	process = em_process();
	for (i = 1; i < nr_threads; i++) {
		em_threads[i].tid = 0;
		if (&em_threads[i] != em_self)
			em_threads[i].busy = EM_IDLE;
	}
	if (em_self != &nobody)
		em_self->tid = em_filtered ? process : current_tid();
	if (has_membarrier && !em_filtered)
		em_raw(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0);
}

/* ---------------------------------------------------------------------------- locks */

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
		em_store_release(&self->busy, EM_PARKED);
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

	pthread_mutex_unlock(&expert->lock);
	/* Released, so that who takes the record over knows that all this was before. */
	if (self->index)
		em_store_release(&self->busy, self->busy == EM_PARKED ? EM_BUSY : self->busy);
	if (masked) {
		pthread_sigmask(SIG_SETMASK, &before, NULL);
		em_unfiltered_end();
	}
}

/* The open expert of this key with its lock held, or NULL. */
struct em_expert *em_lock(HEXPERTKEY key)
{
	struct em_expert *expert = em_slot_of(key);

	/* A slot that was never used is not writable, its lock neither. */
	if (!em_load_acquire(&expert->generation))
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

/* --------------------------------------------------------------------------- pauses */

/*
 * Let no call into the expert, and wait for those that are there. The lock, which is
 * held, may be given up meanwhile.
 */
void em_pause(struct em_expert *expert)
{
	expert->pause_depth++;
	em_write_once(&expert->gate, 0);
	while (!em_wait_all())
		em_relock(expert);
}

/* Undo em_pause(); with the lock held. */
void em_unpause(struct em_expert *expert)
{
	if (!--expert->pause_depth && expert->attached &&
	    !(expert->debug & EM_DEBUG_BLOCKS) && em_has_sections())
		em_store_release(&expert->gate, expert->key);
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
	pthread_mutex_lock(&em_table_lock);
	for (i = 0; i < EM_MAX_EXPERTS; i++) {
		struct em_expert *expert = &em_experts[i];

		if (!em_taken[i] || !expert->inherit_on_fork)
			continue;
		em_lock_slot(expert);
		if (expert->attached)
			em_pause(expert);
		em_unlock(expert);
	}
	pthread_mutex_unlock(&em_table_lock);
	em_set_filtered();
}
