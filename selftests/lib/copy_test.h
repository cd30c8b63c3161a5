/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Shared by the tests of COPY: two experts, and a pattern whose words differ at each offset.
 */
#ifndef COPY_TEST_H
#define COPY_TEST_H

#include "harness.h"

#include "expertmem_test.h"

static inline int expert_copy(int to, int from)
{
	struct expertmem_copy arg = { .fd = from };

	return expert_ioctl(to, EXPERTMEM_IOC_COPY, &arg);
}

/* What belongs into a word of a window: another for each, and never zero. */
static inline __u64 word_at(__u64 offset)
{
	return offset * 0x9e3779b97f4a7c15ULL | 1;
}

static inline void fill(const struct window *w, __u64 offset, __u64 size)
{
	__u64 end = offset + size;

	for (; offset < end; offset += sizeof(__u64))
		*(__u64 *)at(w, offset) = word_at(offset);
}

static inline bool is_filled(const struct window *w, __u64 offset, __u64 size)
{
	__u64 end = offset + size;

	for (; offset < end; offset += sizeof(__u64))
		if (*(__u64 *)at(w, offset) != word_at(offset))
			return false;
	return true;
}

/* Make a region in which every page has been written to. */
static inline int region_touched(const struct window *w, __u64 size, __u64 *offset)
{
	int err = region_alloc(w, size, offset);
	__u64 i;

	for (i = 0; !err && i < size; i += PAGE)
		*(__u64 *)at(w, *offset + i) = word_at(*offset + i);
	return err;
}

static inline bool is_touched(const struct window *w, __u64 offset, __u64 size)
{
	__u64 i;

	for (i = 0; i < size; i += PAGE)
		if (*(__u64 *)at(w, offset + i) != word_at(offset + i))
			return false;
	return true;
}

static inline bool is_empty(int fd)
{
	struct expertmem_stat stat = expert_stat(fd);

	return !stat.regions && !stat.committed && !stat.resident;
}

/* As far as regions go, and what is in memory of them. */
static inline bool alike(int a, int b)
{
	struct expertmem_stat x = expert_stat(a), y = expert_stat(b);

	return x.regions == y.regions && x.committed == y.committed &&
	       x.resident == y.resident;
}

static inline bool unchanged(int fd, const struct expertmem_stat *before)
{
	struct expertmem_stat stat = expert_stat(fd);

	return !memcmp(&stat, before, sizeof(stat));
}

FIXTURE(copy) {
	struct window from;
	struct window to;
	struct parameter total_limit;
};

FIXTURE_VARIANT(copy) {
	struct window kind;
};

FIXTURE_VARIANT_ADD(copy, small) {
	.kind = SMALL_WINDOW,
};

FIXTURE_VARIANT_ADD(copy, huge) {
	.kind = HUGE_WINDOW,
};

FIXTURE_SETUP(copy)
{
	NEED_DEVICE();
	if (parameter_set(&self->total_limit, "total_limit", "0"))
		SKIP_TEST("cannot write " PARAMETERS "total_limit; be root");
	ASSERT_EQ(0, window_open(&self->from, &variant->kind, TIB, 0));
	ASSERT_EQ(0, window_open(&self->to, &variant->kind, TIB, 0));
}

FIXTURE_TEARDOWN(copy)
{
	window_close(&self->from);
	window_close(&self->to);
	EXPECT_EQ(0, parameter_restore(&self->total_limit));
}

#endif /* COPY_TEST_H */
