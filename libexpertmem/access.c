// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The threads that make calls, and how calls keep apart: sections, locks and pauses.
 *
 * A thread gets a record in its first call, and keeps it. The library is not told when a thread
 * ends; em_is_dead() asks the kernel by tgkill(). The next new thread takes over the record of a
 * thread that has ended, with its tcaches. Until then em_collect() can give the slabs of such
 * tcaches to another thread.
 */
#include <errno.h>
#include <linux/membarrier.h>
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

#include "internal.h"
#include "raw.h"

/*
 * A new thread looks at so many records for one whose thread has ended, before it uses a new one.
 */
#define PROBES	8

const char em_words[3] = "";

/* The record of threads without a record. No key equals its word: see em_is_word(). */
static struct em_thread nobody = { .word = EM_NOBODY, .key = EM_IDLE, .status = &em_closed };

__thread struct em_thread *em_self = &nobody;

/* Number of em_pause() of this thread without their em_unpause(), and of em_relock() under way. */
__thread unsigned int em_pauses, em_relocks;
struct em_thread *em_threads;
static struct em_table table;	/* the memory of em_threads */

/* number of records that have been used; record 0 belongs to no thread */
static uint32_t nr_threads = 1;
static uint32_t probe;
static pid_t process;
static bool has_membarrier;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static __thread bool is_registering __attribute__((tls_model("initial-exec")));

/* Make the table of threads, and register for membarrier(), once in a process. */
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

	/*
	 * The kernel reuses thread numbers: a record with the caller's number is of a thread that
	 * has ended.
	 */
	return (old == tid || em_is_dead(thread)) &&
	       em_try_cmpxchg(&thread->tid, &old, tid);
}

/* The thread of this record is outside of a section, and the record about no expert. */
static void set_idle(struct em_thread *thread)
{
	em_write_once(&thread->word, EM_IDLE);
	thread->key = EM_IDLE;
	em_write_once(&thread->status, &em_closed);
	em_write_once(&thread->expert, NULL);
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
	do {	/* Another thread may probe the new record, and take it over first. */
		i = em_read_once(&nr_threads);
		if (i == EM_THREADS || !em_table_use(&table, (i + 1) * sizeof(*em_threads)))
			return NULL;
	} while (!em_try_cmpxchg(&nr_threads, &i, i + 1) ||
		 !take_over(&em_threads[i], tid));
found:
	/* Acquire: pairs with the release in em_end() of the last user. */
	em_load_acquire(&em_threads[i].word);
	set_idle(&em_threads[i]);
	em_threads[i].index = i;
	em_threads[i].calls = 0;
	em_threads[i].user++;
	em_store_release(&em_threads[i].tid, tid);
	/*
	 * nr_threads is incremented before the first section begins; pairs with em_mb() in
	 * barrier().
	 */
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
	/* init() calls mmap(), which another preloaded library may interpose, and allocate there. */
	if (is_registering || !em_unfiltered_begin())
		return NULL;
	is_registering = true;
	/* A signal's handler that makes a call must not get a second record for this thread. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	pthread_once(&once, init);
	/*
	 * A child of vfork() gets none: the record would have the number of a thread that ends, and
	 * the parent's thread would go on with the record.
	 */
	if (em_self == &nobody && em_threads && em_process() == process) {
		struct em_thread *record = get_record();

		if (record)
			em_self = record;
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	em_unfiltered_end();
	is_registering = false;
	errno = saved;
	return em_self != &nobody ? em_self : NULL;
}

/*
 * A full memory barrier in all threads of the process: every section that begins after it sees
 * what the caller has written before it.
 */
static void barrier(void)
{
	if (em_filtered)
		return;
	/*
	 * Pairs with em_mb() in get_record(): a thread that nr_threads does not include yet sees
	 * it, too.
	 */
	em_mb();
	if (em_read_once(&nr_threads) <= 2 && em_self != &nobody)
		return;
	/* The call allocates a mask of CPUs. Without the barrier nothing is safe, so try again. */
	while (em_raw(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == -ENOMEM)
		sched_yield();
}

/*
 * Wait until @thread has left its section. False: a signal's handler has interrupted the section,
 * and may wait for the caller's lock.
 *
 * If the caller is such a handler as well, this returns true although @thread is still in its
 * section: each of two handlers would wait for ever for the section that the other one has
 * interrupted. That is safe because a handler does little with an expert that it has not really
 * got for itself:
 *
 *   em_slab_share()	Owner and other threads can free different blocks of a slab at the same time:
 *			the states are separate, and only the owner writes the queue. All that is
 *			lost is that two threads that free one block right now are not found out.
 *   fork()		The child has neither the thread nor its handler, and treats the section as
 *			that of a thread that has ended: em_slab_push().
 *   walk		Only reads.
 *
 * make_room(), tidy() and em_pool_recycle(), which take slabs away from threads, do nothing in a
 * handler. A handler that closes or reclaims the expert of a call that is under way in another
 * thread is an error of the program.
 */
static bool wait_for(const struct em_thread *thread)
{
	unsigned int spins = 0;

	while (thread != em_self && !em_filtered) {
		uintptr_t word = em_load_acquire(&thread->word);

		if (word == EM_PARKED)
			return em_self->word == EM_PARKED;
		if (word != em_busy(thread))
			return true;
		if (++spins % 128)
			continue;
		/*
		 * The thread may have ended in its section: its signal handler called
		 * pthread_exit().
		 */
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
 * Return: false if a signal has interrupted the section, and the signal's handler may wait for the
 * caller's lock: release the lock for a moment (em_relock()), and try again.
 */
bool em_wait_for(const struct em_thread *thread)
{
	barrier();
	return wait_for(thread);
}

/* em_wait_for() each thread but the caller. */
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

/*
 * Is @key the address of a record, or of one of em_words? A thread would look as if it was in a section of an
 * expert with such a key. In a static program, em_words are at low addresses, as keys are.
 */
bool em_is_word(uintptr_t key)
{
	pthread_once(&once, init);
	return key - (uintptr_t)em_words < sizeof(em_words) ||
	       key - (uintptr_t)em_threads < EM_THREADS * sizeof(*em_threads);
}

/* May sections begin? Not without membarrier(), by which a pause waits for them. */
static bool has_sections(void)
{
	pthread_once(&once, init);
	return em_threads && has_membarrier && !em_filtered;
}

/* getpid(); the number from before a filter of system calls was set, which may refuse getpid(). */
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
			set_idle(&em_threads[i]);
	}
	if (em_self != &nobody) {
		em_self->tid = em_filtered ? process : current_tid();
		em_self->status = &em_closed;
	}
	if (has_membarrier && !em_filtered)
		em_raw(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0);
}

/* ---------------------------------------------------------------------------- locks */

/*
 * Lock a slot, with or without an open expert. In a preloaded program all signals are blocked until
 * em_unlock(): a handler that calls malloc() would wait for a lock that its own thread holds. That
 * is not done after the program has set a filter of system calls, which may refuse rt_sigprocmask().
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
	/* This is a signal's handler that has interrupted a section. em_unlock() sets the word back. */
	if (self->index && self->word == em_busy(self))
		em_store_release(&self->word, EM_PARKED);
	pthread_mutex_lock(&expert->lock);
	expert->holder = &em_self;
	expert->masked = masked;
	if (masked)
		expert->signals = before;
}

void em_unlock(struct em_expert *expert)
{
	struct em_thread *self = em_self;
	sigset_t before = expert->signals;
	bool masked = expert->masked;

	expert->holder = NULL;
	pthread_mutex_unlock(&expert->lock);
	/*
	 * Release: pairs with the load of the word in get_record(), by the next thread with this
	 * record.
	 */
	if (self->index)
		em_store_release(&self->word, self->word == EM_PARKED ? em_busy(self) : self->word);
	if (masked) {
		pthread_sigmask(SIG_SETMASK, &before, NULL);
		em_unfiltered_end();
	}
}

/* The open expert of this key with its lock held, or NULL. */
struct em_expert *em_lock(HEXPERTKEY key)
{
	struct em_expert *expert = em_slot_of(key);

	/*
	 * NULL is in slot 0. A thread that opens the program's expert there holds the slot's lock, and
	 * may call malloc().
	 */
	if (!key)
		return NULL;
	/* A slot that was never used is read-only memory: its lock cannot be taken. */
	if (!em_load_acquire(&expert->generation))
		return NULL;
	em_lock_slot(expert);
	if (expert->key == key)
		return expert;
	em_unlock(expert);
	return NULL;
}

/*
 * Release the lock for a moment. @refs keeps expertmem_close() waiting meanwhile. In a preloaded program,
 * a signal's handler may run meanwhile, and call fork().
 */
void em_relock(struct em_expert *expert)
{
	em_relocks++;
	expert->refs++;
	em_unlock(expert);
	sched_yield();
	em_lock_slot(expert);
	expert->refs--;
	em_relocks--;
}

/* --------------------------------------------------------------------------- pauses */

/*
 * Close the gate: begin() of netmon.c begins no section of the expert any more. Records that are about
 * the expert get another status word, so that their threads call begin() for the next section.
 */
void em_close_gate(struct em_expert *expert)
{
	uint32_t i, n = em_load_acquire(&nr_threads);

	em_write_once(&expert->gate, 0);
	for (i = 1; i < n; i++)
		if (em_read_once(&em_threads[i].expert) == expert)
			em_write_once(&em_threads[i].status, &em_closed);
}

/*
 * Pause the expert: close its gate, and wait until each other thread has been outside of a section
 * once. A section that would begin later finds the gate closed and waits for the lock. The lock is
 * held before and afterwards, and may be released in between.
 *
 * A thread that is in begin() meanwhile may have seen the gate open, and write its status pointer after
 * em_close_gate() has. The first wait is for such threads. The second wait is for the sections that
 * used such a pointer until em_close_gate() was called again.
 */
void em_pause(struct em_expert *expert)
{
	em_assert_locked(expert);
	em_pauses++;
	expert->pause_depth++;
	for (int i = 0; i < 2; i++) {
		em_close_gate(expert);
		while (!em_wait_all())
			em_relock(expert);
	}
}

/* Undo one em_pause(). The lock is held. The last one opens the gate, if sections may begin. */
void em_unpause(struct em_expert *expert)
{
	em_pauses--;
	if (!--expert->pause_depth && expert->attached &&
	    !(expert->debug & EM_DEBUG_BLOCKS) && has_sections())
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
