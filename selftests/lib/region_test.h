/* SPDX-License-Identifier: GPL-2.0 */
/* Shared by the tests of regions: a long window of each kind, with no limit. */
#ifndef REGION_TEST_H
#define REGION_TEST_H

#include "harness.h"
#include "expertmem_test.h"

FIXTURE(region) {
	struct window w;
	struct parameter total_limit;
};

FIXTURE_VARIANT(region) {
	struct window kind;
};

FIXTURE_VARIANT_ADD(region, small) {
	.kind = SMALL_WINDOW,
};

FIXTURE_VARIANT_ADD(region, huge) {
	.kind = HUGE_WINDOW,
};

FIXTURE_SETUP(region)
{
	NEED_DEVICE();
	if (parameter_set(&self->total_limit, "total_limit", "0"))
		SKIP_TEST("cannot write " PARAMETERS "total_limit; be root");
	ASSERT_EQ(0, window_open(&self->w, &variant->kind, TIB, 0));
}

FIXTURE_TEARDOWN(region)
{
	window_close(&self->w);
	EXPECT_EQ(0, parameter_restore(&self->total_limit));
}

static inline __u64 round_up(__u64 size, __u64 granule)
{
	return (size + granule - 1) / granule * granule;
}

static inline __u64 committed(const struct window *w)
{
	return expert_stat(w->fd).committed;
}

static inline __u64 resident(const struct window *w)
{
	return expert_stat(w->fd).resident;
}

#endif /* REGION_TEST_H */
