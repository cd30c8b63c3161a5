/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The tests of system calls on a window share this: the ranges of addresses that each call gets,
 * and a check of what no call may change.
 */
#ifndef ADVICE_TEST_H
#define ADVICE_TEST_H

#include "window_test.h"

/* The byte that a test writes to memory other than the region of the fixture. */
#define OTHER		0x77

/*
 * broken() - which promise about a window does not hold? NULL: all hold
 *
 * The fixture has one region in its window. This function makes, touches and frees another.
 */
static inline const char *broken(const FIXTURE_DATA(window) *self)
{
	const struct window *w = &self->w;
	struct expertmem_stat stat = expert_stat(w->fd);
	unsigned char *addr = at(w, self->offset), *more;
	__u64 offset;

	if (stat.state != EXPERTMEM_STATE_RUNNING)
		return "the expert does not run any more";
	if (stat.committed != self->size || stat.regions != 1 || stat.pinned)
		return "STAT counts something else";
	if (stat.resident > self->size)
		return "there are more pages than the region has";
	if (write_touch(addr) || write_touch(addr + self->size - 1))
		return "the region cannot be touched";
	if (!all_bytes(addr, self->size, BYTE))
		return "the region has other bytes";
	if (read_touch(addr - 1) != SIGSEGV || write_touch(addr - 1) != SIGSEGV ||
	    read_touch(addr + self->size) != SIGSEGV ||
	    write_touch(addr + self->size) != SIGSEGV || read_touch(w->addr) != SIGSEGV ||
	    read_touch(w->addr + w->size - 1) != SIGSEGV)
		return "memory outside regions can be touched";

	if (region_alloc(w, 1, &offset))
		return "ALLOC fails";
	more = at(w, offset);
	if (read_touch(more) || !all_bytes(more, w->granule, 0))
		return "a new region is not zero";
	memset(more, OTHER, w->granule);
	if (region_free(w, offset))
		return "FREE fails";
	if (read_touch(more) != SIGSEGV)
		return "a freed region can be touched";
	if (expert_stat(w->fd).committed != self->size)
		return "FREE gives nothing back";
	return NULL;
}

/* The check after each call. The arguments say what was called. */
#define EXPECT_UNCHANGED(self, fmt, ...)						\
	do {									\
		const char *what_ = broken(self);				\
										\
		EXPECT_EQ(NULL, what_)						\
			TH_LOG("after " fmt ": %s", ##__VA_ARGS__, what_);	\
	} while (0)

/**
 * struct range - a range of addresses that a system call gets
 * @addr: the first address
 * @size: bytes
 * @name: what the range is, for messages
 * @whole: the range is the whole window
 * @inside: every address of the range is in the region
 */
struct range {
	unsigned char *addr;
	size_t size;
	const char *name;
	bool whole;
	bool inside;
};

#define RANGES	6

/*
 * The whole window is last. A call that has succeeded on all of it finds nothing to change in a
 * part, and the kernel does not refuse that.
 */
static inline void ranges_of(const FIXTURE_DATA(window) *self, struct range ranges[RANGES])
{
	const struct window *w = &self->w;
	unsigned char *addr = at(w, self->offset);
	const struct range all[RANGES] = {
		{ addr + PAGE, PAGE, "a page of the region", false, true },
		{ addr, self->size, "the region", false, true },
		{ addr - w->granule, self->size + 2 * w->granule,
		  "the region and the holes beside it", false, false },
		{ addr + self->size, w->granule, "a hole", false, false },
		{ w->addr + w->size - PAGE, PAGE, "the last page", false, false },
		{ w->addr, w->size, "the window", true, false },
	};

	memcpy(ranges, all, sizeof(all));
}

#endif /* ADVICE_TEST_H */
