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

/*
 * The program has filtered its system calls. From then on the library makes only those that
 * malloc() of the C library makes: it waits for no thread, so that no call is without the lock.
 */
bool em_filtered;

/* threads that are making other calls at the moment */
static unsigned int unfiltered;

/**
 * em_unfiltered_begin() - other system calls follow, until em_unfiltered_end()
 *
 * Return: false if they must not be made.
 */
bool em_unfiltered_begin(void)
{
	if (!__atomic_load_n(&em_filtered, __ATOMIC_RELAXED)) {
		__atomic_add_fetch(&unfiltered, 1, __ATOMIC_SEQ_CST);
		if (!__atomic_load_n(&em_filtered, __ATOMIC_SEQ_CST))
			return true;
		em_unfiltered_end();
	}
	return false;
}

void em_unfiltered_end(void)
{
	__atomic_sub_fetch(&unfiltered, 1, __ATOMIC_RELEASE);
}

/*
 * Let no more such calls be made, and wait for those that other threads are making. Not for ever:
 * this may be the handler of a signal that has interrupted one.
 */
void em_set_filtered(void)
{
	unsigned int tries = 10000;

	__atomic_store_n(&em_filtered, true, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&unfiltered, __ATOMIC_ACQUIRE) && tries--)
		sched_yield();
}

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
	pid_t tid = __atomic_load_n(&thread->tid, __ATOMIC_RELAXED);

	return !tid || (!em_filtered && em_raw(SYS_tgkill, process, tid, 0) == -ESRCH);
}

/* Take over a record whose thread has ended. */
static bool take_over(struct em_thread *thread, pid_t tid)
{
	pid_t old = __atomic_load_n(&thread->tid, __ATOMIC_RELAXED);

	/* Where the number is the caller's own, its last user has ended. */
	return (old == tid || em_is_dead(thread)) &&
	       __atomic_compare_exchange_n(&thread->tid, &old, tid, false, __ATOMIC_ACQ_REL,
					   __ATOMIC_RELAXED);
}

/* A record for the calling thread, or NULL if there are no more. */
static struct em_thread *get_record(void)
{
	uint32_t used = __atomic_load_n(&nr_threads, __ATOMIC_RELAXED), i, n;
	pid_t tid = current_tid();

	for (n = 0; n < PROBES && n < used - 1; n++) {
		i = 1 + __atomic_fetch_add(&probe, 1, __ATOMIC_RELAXED) % (used - 1);
		if (take_over(&em_threads[i], tid))
			goto found;
	}
	do {	/* another thread may find the new record as well */
		i = __atomic_load_n(&nr_threads, __ATOMIC_RELAXED);
		if (i == EM_THREADS || !em_table_use(&table, (i + 1) * sizeof(*em_threads)))
			return NULL;
	} while (!__atomic_compare_exchange_n(&nr_threads, &i, i + 1, false,
					      __ATOMIC_ACQ_REL, __ATOMIC_RELAXED) ||
		 !take_over(&em_threads[i], tid));
found:
	/* What the last user did in its sections was before this. */
	__atomic_load_n(&em_threads[i].busy, __ATOMIC_ACQUIRE);
	__atomic_store_n(&em_threads[i].busy, EM_IDLE, __ATOMIC_RELAXED);
	em_threads[i].index = i;
	em_threads[i].calls = 0;
	em_threads[i].user++;
	__atomic_store_n(&em_threads[i].tid, tid, __ATOMIC_RELEASE);
	/* Counted before its sections begin; pairs with the fence in barrier(). */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
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
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (__atomic_load_n(&nr_threads, __ATOMIC_RELAXED) <= 2 && em_self != &nobody)
		return;
	/* It needs memory, for a set of CPUs; there is no going on without it. */
	while (em_raw(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == -ENOMEM)
		sched_yield();
}

static bool wait_for(const struct em_thread *thread)
{
	unsigned int spins = 0;

	while (thread != em_self && !em_filtered) {
		switch (__atomic_load_n(&thread->busy, __ATOMIC_ACQUIRE)) {
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
	n = __atomic_load_n(&nr_threads, __ATOMIC_ACQUIRE);
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

	unfiltered = 0;
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
