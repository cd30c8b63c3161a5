/* SPDX-License-Identifier: GPL-2.0 */
/* Shared by the tests of windows under memory pressure: a control group, and numbers of pages. */
#ifndef EXPERTMEM_PRESSURE_TEST_H
#define EXPERTMEM_PRESSURE_TEST_H

#include "harness.h"
#include "memory_test.h"
#include "netlink_test.h"

#ifndef MADV_SOFT_OFFLINE
#define MADV_SOFT_OFFLINE	101
#endif

#define CGROUP		"/sys/fs/cgroup/"
#define GROUP		CGROUP "expertmem-pressure/"

#define WINDOW		GIB
/* how long to wait for what the kernel does behind the scenes, in seconds */
#define PATIENCE	120

static inline void make_group(struct __test_metadata *_metadata)
{
	NEED_GROUP(GROUP);
	ASSERT_EQ(file_write(GROUP "memory.max", "max"), 0);
	ASSERT_EQ(file_write(GROUP "memory.high", "max"), 0);
}

static inline int join_group(void)
{
	return file_write(GROUP "cgroup.procs", "0");
}

static inline void remove_group(struct __test_metadata *_metadata)
{
	time_t end = time(NULL) + PATIENCE;

	EXPECT_EQ(file_write(CGROUP "cgroup.procs", "0"), 0);
	/* a process that was killed may still be on its way out */
	while (rmdir(GROUP) && time(NULL) < end)
		usleep(20000);
	EXPECT_EQ(access(GROUP, F_OK), -1);
}

static inline __u64 resident(int fd)
{
	return expert_stat(fd).resident;
}

/* Every page begins with its address in the device. */
static inline void write_pages(const struct window *window, __u64 offset, __u64 size)
{
	__u64 end = offset + size;

	for (; offset < end; offset += PAGE)
		*(__u64 *)at(window, offset) = offset;
}

static inline bool pages_are_right(const struct window *window, __u64 offset, __u64 size)
{
	__u64 end = offset + size;

	for (; offset < end; offset += PAGE)
		if (*(__u64 *)at(window, offset) != offset)
			return false;
	return true;
}

/*
 * Have pages of a window go to swap, so that they are not in the swap cache any more, either.
 * The counters of both lag behind: mincore() knows.
 */
static inline bool swap_out_all(const struct window *window, __u64 offset, unsigned int pages)
{
	unsigned char in[64];
	unsigned int i, left = pages;
	int tries;

	for (tries = 0; tries < 100 && left; tries++) {
		file_write(GROUP "memory.reclaim", "64M");
		if (mincore(at(window, offset), pages * PAGE, in))
			return false;
		for (i = left = 0; i < pages; i++)
			left += in[i] & 1;
	}
	return !left;
}

static inline void check_empty(struct __test_metadata *_metadata, int fd)
{
	time_t end = time(NULL) + PATIENCE;
	struct expertmem_stat stat = expert_stat(fd);

	EXPECT_EQ(stat.regions, 0);
	EXPECT_EQ(stat.committed, 0);
	EXPECT_EQ(stat.resident, 0);
	while (expert_stat(fd).pinned && time(NULL) < end)
		usleep(20000);
	EXPECT_EQ(expert_stat(fd).pinned, 0);
}

#endif /* EXPERTMEM_PRESSURE_TEST_H */
