/* SPDX-License-Identifier: GPL-2.0 */
/* Injecting faults, and the world that must not change by them. */
#ifndef FAULTS_H
#define FAULTS_H

#include "copy_test.h"
#include "netlink_test.h"

#define WINDOW		TIB
#define INJECT		"/sys/kernel/debug/fail"

/* more than any call has allocations and user copies */
#define ENDLESS		20000

/* ----------------------------------------------------------------- injecting */

static int fail_nth = -1;

/* From here on the @nth allocation or user copy of this thread fails. */
static void arm(unsigned int nth)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%u", nth);

	if (pwrite(fail_nth, text, len, 0) != len)
		abort();
}

/* How many more it would have taken; 0: one failed. Read and write are user copies, too. */
static unsigned int disarm(void)
{
	char text[16] = "";
	ssize_t got = pread(fail_nth, text, sizeof(text) - 1, 0);

	while (pwrite(fail_nth, "0", 1, 0) != 1)
		;
	return got > 0 ? strtoul(text, NULL, 10) : ENDLESS;
}

/* Which allocations may fail: all. By itself, this makes none fail. */
static const char *const knobs[][2] = {
	{ INJECT "slab/ignore-gfp-wait", "N" },
	{ INJECT "slab/verbose", "0" },
	{ INJECT "_page_alloc/ignore-gfp-wait", "N" },
	{ INJECT "_page_alloc/ignore-gfp-highmem", "N" },
	{ INJECT "_page_alloc/min-order", "0" },
	{ INJECT "_page_alloc/verbose", "0" },
	{ INJECT "_usercopy/verbose", "0" },
};

/* @missing: what the kernel does not have */
static int injection_set_up(const char **missing)
{
	size_t i;

	for (i = 0; i < COUNT_OF(knobs); i++) {
		*missing = knobs[i][0];
		if (file_write(knobs[i][0], knobs[i][1]))
			return -errno;
	}
	*missing = "/proc/thread-self/fail-nth";
	fail_nth = open(*missing, O_RDWR | O_CLOEXEC);
	return fail_nth < 0 ? -errno : 0;
}

/* ----------------------------------------------------------------- the world */

/**
 * struct world - what calls work on, and what must not change when they fail
 * @nl: for requests
 * @ear: hears events, where the variant listens
 * @small: a window of the expert that is there all the time
 * @huge: the other one of that expert
 * @kept: a region in each, filled
 * @made: the expert of one attempt, with its windows where it has any
 * @made_huge: the other one of @made
 * @offset: a region of one attempt
 * @pid: the process of one attempt
 * @armed: that number; 0: not at all
 * @failed: whether something was made to fail in this attempt
 * @unsure: the answer was lost, and with it whether the deed is done
 * @told: how many messages a dump had
 */
struct world {
	struct nl nl;
	struct nl ear;
	struct window small;
	struct window huge;
	__u64 kept[2];
	struct window made;
	struct window made_huge;
	__u64 offset;
	pid_t pid;
	unsigned int armed;
	bool failed;
	bool unsure;
	unsigned int told;
};

/* The numbers that a failed call leaves as they were. */
struct numbers {
	struct expertmem_stat kept;
	struct expertmem_stat made;
	__u64 experts;
	__u64 regions;
	__u64 committed;
	__u64 resident;
};

static struct numbers numbers(struct world *w)
{
	struct told t = nl_stats(&w->nl);
	struct numbers n = {
		.kept = expert_stat(w->small.fd),
		.experts = t.value[S(EXPERTS)],
		.regions = t.value[S(REGIONS)],
		.committed = t.value[S(COMMITTED)],
		.resident = t.value[S(RESIDENT)],
	};

	n.kept.refused = 0;
	if (w->made.fd >= 0)
		n.made = expert_stat(w->made.fd);
	n.made.refused = 0;
	return n;
}

static bool is_unchanged(struct world *w, const struct numbers *before)
{
	struct numbers now = numbers(w);

	return !memcmp(&now, before, sizeof(now));
}

static bool is_kept(const struct world *w)
{
	return is_filled(&w->small, w->kept[0], 4 * PAGE) &&
	       is_touched(&w->huge, w->kept[1], HUGE);
}

static void begin(struct world *w)
{
	if (w->armed)
		arm(w->armed);
}

static void end(struct world *w)
{
	if (w->armed)
		w->failed = !disarm();
	w->armed = 0;
}

/* In an attempt's call, all between these two; the answer is an errno or 0. */
#define INJECTED(w, expression)						\
	({								\
		int __err;						\
									\
		begin(w);						\
		__err = (expression);					\
		end(w);							\
		__err;							\
	})

#endif /* FAULTS_H */
