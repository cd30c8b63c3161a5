// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Experts across fork(). A child has none of the memory of its parent's experts. The exception is
 * the heap of a preloaded program: the child goes on with a copy, which is made before the fork.
 *
 * The locks of experts without a copy are initialized anew in the child, because a thread of the
 * parent may have held them.
 */
#include <unistd.h>

#include "internal.h"

pthread_mutex_t em_private_lock = PTHREAD_MUTEX_INITIALIZER;

static bool held[EM_MAX_EXPERTS];	/* locked by em_fork_prepare(); the child gets a copy */

/*
 * @fork_error: why this thread's last child could not get the heap, enum expertmem_error.
 * @fork_is_wrapped: fork() of process.c returns that error, so the child prints no message.
 */
static __thread int fork_error __attribute__((tls_model("initial-exec")));
static __thread bool fork_is_wrapped __attribute__((tls_model("initial-exec")));

/**
 * em_fork_prepare() - lock, pause and copy the experts that a child inherits
 *
 * All calls of other threads wait until em_fork_parent(). Writes to the heap after this call are
 * not in the child's copy.
 *
 * Return: enum expertmem_error. After an error, em_fork_parent() has to be called as well.
 */
int em_fork_prepare(void)
{
	unsigned int i;

	fork_error = EXPERTMEM_OK;
	pthread_mutex_lock(&em_private_lock);
	pthread_mutex_lock(&em_table_lock);
	for (i = 0; i < EM_MAX_EXPERTS; i++) {
		held[i] = em_taken[i] && em_experts[i].inherit_on_fork;
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
 * em_fork_parent() - undo em_fork_prepare() in the parent, whether or not there is a child
 * @shares_files: parent and child share one table of descriptors (CLONE_FILES)
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
	pthread_mutex_unlock(&em_table_lock);
	pthread_mutex_unlock(&em_private_lock);
}

/* In the child: use the copy of the heap. Ends the process where that fails. */
static void inherit(struct em_expert *expert, bool shares_files)
{
	int error = fork_error;

	if (expert->attached) {
		if (!error)
			error = expert->backend->fork_child(expert, shares_files);
		if (!error && !em_shared_inherit(&expert->counts))
			error = EXPERTMEM_E_NOMEM;
		if (error) {
			/* the wrapper of fork() tells the parent of @fork_error only */
			if (!fork_is_wrapped || !fork_error)
				em_say("expertmem: a fork cannot have its parent's memory: ",
				       expertmem_strerror(error), "");
			_exit(127);
		}
		expert->shared->owner = em_process();
		/*
		 * Of the threads that had paused the expert or were in em_relock(), only this one is in
		 * the child.
		 */
		expert->pause_depth = em_pauses;
		expert->refs = em_relocks;
		em_unpause(expert);
	}
	em_unlock(expert);
}

/* In the child: the expert is open, and not attached; or a thread of the parent was closing it. */
static void parts_after_fork(struct em_expert *expert)
{
	for (int i = 0; i < EM_PARTS; i++) {
		if (!expert->parts[i])
			continue;
		if (expert->key)
			expert->parts[i]->after_fork(expert);
		else
			expert->parts[i]->release(expert);
	}
}

/**
 * em_fork_child() - in the child: use the copies of inherited experts, and tear down the others
 * @shares_files: parent and child share one table of descriptors (CLONE_FILES)
 *
 * An expert that no process has attached keeps its key: parent or child can attach it. A slot that
 * a thread of the parent was opening or closing is free in the child.
 *
 * Ends the process if it cannot have its heap.
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

		if (!em_taken[i])
			continue;
		if (held[i]) {
			expert->masked = expert->masked && em_unfiltered_begin();
			inherit(expert, shares_files);
			continue;
		}
		/* A thread of the parent may hold the lock; it is not in the child. */
		pthread_mutex_init(&expert->lock, NULL);
		expert->mapped = 0;
		expert->pause_depth = 0;
		expert->refs = 0;
		/* em_threads_after_fork() has closed the records. */
		em_write_once(&expert->gate, 0);
		if (expert->key && expert->attached) {
			em_set_owner(expert, false);
			em_teardown(expert);
		} else {
			parts_after_fork(expert);
		}
	}
	pthread_mutex_unlock(&em_table_lock);
	pthread_mutex_unlock(&em_private_lock);
	for (i = 0; i < EM_MAX_EXPERTS; i++)
		if (em_taken[i] && !em_experts[i].key)
			em_slot_put(&em_experts[i]);
}

/**
 * em_fork_wrapped() - say whether fork() is called by the wrapper of process.c
 * @wrapped: true before fork(), false after it
 *
 * Return: why the last child of this thread could not get the heap, enum expertmem_error.
 */
int em_fork_wrapped(bool wrapped)
{
	fork_is_wrapped = wrapped;
	return fork_error;
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

/*
 * Register the handlers of fork(). A constructor of host.c calls this: nothing else would pull this
 * file out of libexpertmem.a.
 */
void em_fork_init(void)
{
	pthread_atfork(at_fork_prepare, at_fork_parent, at_fork_child);
}
