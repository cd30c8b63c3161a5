// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * An expert that does nothing gives back what it keeps for its next blocks. A thread looks
 * after all experts of the process. It is there only while there is something to give
 * back, so most processes hardly ever have it.
 */
#include <limits.h>
#include <time.h>

#include <linux/expertmem.h>

#include "internal.h"

#define STACK	(256L << 10)

static bool running;

static bool set_running(void)
{
	return !em_xchg(&running, true);
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

		if (!em_read_once(&em_taken[i]))
			continue;
		em_lock_slot(expert);
		put = em_read_once(&heap->nr_put);
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

static void *idle(void *arg)
{
	const struct timespec second = { .tv_sec = 1 };

	do {
		do
			nanosleep(&second, NULL);
		while (em_trim_idle());
		em_store_release(&running, false);
		/* Whoever found it running until now relied on it. */
	} while (em_trim_idle() && set_running());
	return arg;
}

/* Slabs were pooled: have somebody look whether they are used again. */
void em_idle_start(void)
{
	pthread_attr_t attr;
	sigset_t all, before;
	pthread_t thread;

	if (em_read_once(&running) || !set_running())
		return;
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, STACK > PTHREAD_STACK_MIN ? STACK : PTHREAD_STACK_MIN);
	/* Without the thread, memory is given back when it is short, or asked for. */
	if (pthread_create(&thread, &attr, idle, NULL))
		em_store_release(&running, false);
	pthread_attr_destroy(&attr);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void em_idle_after_fork(void)
{
	running = false;
}
