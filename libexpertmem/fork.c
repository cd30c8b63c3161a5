// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A fork of an expert has none of its memory, unless the expert is the heap of the whole
 * program: then the child goes on with a copy, which is made before the fork.
 * The child's em_experts have new locks: those of the parent may have been held by threads
 * that the child does not have.
 */
#include <unistd.h>

#include "internal.h"

pthread_mutex_t em_private_lock = PTHREAD_MUTEX_INITIALIZER;

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
	pthread_mutex_unlock(&em_table_lock);
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

		if (!em_taken[i])
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
			em_write_once(&expert->gate, 0);
			em_set_owner(expert, false);
			em_teardown(expert);
		}
	}
	pthread_mutex_unlock(&em_table_lock);
	pthread_mutex_unlock(&em_private_lock);
	for (i = 0; i < EM_MAX_EXPERTS; i++)
		if (em_taken[i] && !em_experts[i].key)
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

/* Called by a constructor of host.c: a program that is linked statically gets this file then. */
void em_fork_init(void)
{
	pthread_atfork(at_fork_prepare, at_fork_parent, at_fork_child);
}
