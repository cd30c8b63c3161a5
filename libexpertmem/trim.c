// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A thread trims the experts of the process that have stopped pooling slabs for a second. It runs
 * only while some expert may have memory to give back, so most processes hardly ever have it.
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

/*
 * Trim the experts in which no slab was pooled since the last look. True: slabs were pooled in
 * some, so look again.
 */
static bool trim_idle(void)
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
		while (trim_idle());
		em_store_release(&running, false);
		/* em_idle_start() may have found @running true until now: look once more. */
	} while (trim_idle() && set_running());
	return arg;
}

/* Start the thread, if it does not run: it trims the expert if the pooled slabs stay unused. */
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
	/* Without the thread, memory is given back by expertmem_trim(), or when it is short. */
	if (pthread_create(&thread, &attr, idle, NULL))
		em_store_release(&running, false);
	pthread_attr_destroy(&attr);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void em_idle_after_fork(void)
{
	running = false;
}
