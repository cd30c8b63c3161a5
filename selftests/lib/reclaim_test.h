/* SPDX-License-Identifier: GPL-2.0 */
/*
 * An expert that holds memory in both windows, and ends. The test is the host, and keeps
 * a descriptor to ask the kernel what it thinks is left.
 */
#ifndef RECLAIM_TEST_H
#define RECLAIM_TEST_H

#include <sys/prctl.h>
#include <sys/socket.h>

#include "harness.h"
#include "memory_test.h"

/* in each of the two windows */
#define HELD		(32 * MIB)
#define TOTAL		(2 * HELD)
#define WINDOW		GIB
#define THREADS		8

/* How long freeing behind the scenes may take, even on a slow machine. */
#define SETTLE		10

/**
 * struct expert - an expert that holds memory
 * @fd: its descriptor
 * @line: to the other side: the expert's end, or the host's
 * @stuck: a socket of the host's, in which stays what is sent
 * @kin: shared with the host: somebody whom the expert started
 * @small: with a region of HELD bytes at @small_region
 * @huge: with a region of HELD bytes at @huge_region
 */
struct expert {
	int fd;
	int line;
	int stuck;
	volatile pid_t *kin;
	struct window small;
	struct window huge;
	__u64 small_region;
	__u64 huge_region;
};

static inline bool say(int line, char what)
{
	return write(line, &what, 1) == 1;
}

/* What the other side says; 0 when it is gone. */
static inline char hear(int line)
{
	char what;

	return read(line, &what, 1) == 1 ? what : 0;
}

static inline int hold(struct expert *expert, __u64 size)
{
	int err;

	err = window_map(&expert->small, &small_window, expert->fd, WINDOW);
	if (!err)
		err = window_map(&expert->huge, &huge_window, expert->fd, WINDOW);
	if (!err)
		err = region_alloc(&expert->small, size, &expert->small_region);
	if (!err)
		err = region_alloc(&expert->huge, size, &expert->huge_region);
	if (!err) {
		memset(at(&expert->small, expert->small_region), 's', size);
		memset(at(&expert->huge, expert->huge_region), 'h', size);
	}
	return err;
}

static inline void let_go(struct expert *expert)
{
	munmap(expert->small.addr, expert->small.size);
	munmap(expert->huge.addr, expert->huge.size);
}

static inline void does_nothing(struct expert *expert)
{
	for (;;)
		pause();
}

static inline void does_segv(struct expert *expert)
{
	*(volatile char *)expert->small.addr = 0;
}

FIXTURE(expert)
{
	struct expert expert;
	struct memory before;
	struct parameter total_limit;
	pid_t pid;
};

FIXTURE_SETUP(expert)
{
	NEED_DEVICE();
	ASSERT_EQ(parameter_set(&self->total_limit, "total_limit", "1T"), 0);
	self->expert.kin = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
				MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(self->expert.kin, MAP_FAILED);

	/* what the first expert makes the kernel keep is no leak */
	self->expert.fd = expert_open();
	ASSERT_GE(self->expert.fd, 0);
	ASSERT_EQ(hold(&self->expert, HUGE), 0);
	let_go(&self->expert);
	close(self->expert.fd);

	self->before = memory_now();
	self->expert.fd = expert_open();
	ASSERT_GE(self->expert.fd, 0);
}

FIXTURE_TEARDOWN(expert)
{
	/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): the setup made it */
	if (*self->expert.kin)
		kill(*self->expert.kin, SIGKILL);
	EXPECT_EQ(parameter_restore(&self->total_limit), 0);
}

/* Start an expert that holds TOTAL bytes; once told to go on, it does @what. */
static inline void start(struct __test_metadata *_metadata, FIXTURE_DATA(expert) *self,
			 void (*what)(struct expert *expert))
{
	struct expertmem_stat stat;
	int line[2];

	ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, line), 0);
	self->pid = fork();
	ASSERT_GE(self->pid, 0);
	if (!self->pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(line[0]);
		self->expert.line = line[1];
		if (hold(&self->expert, HELD) || !say(line[1], 'h') || !hear(line[1]))
			_exit(1);
		what(&self->expert);
		_exit(2);
	}
	close(line[1]);
	self->expert.line = line[0];
	ASSERT_EQ(hear(line[0]), 'h');

	/* with the memory held, all that is checked later says so */
	stat = expert_stat(self->expert.fd);
	ASSERT_EQ(stat.state, EXPERTMEM_STATE_RUNNING);
	ASSERT_EQ(stat.cause, EXPERTMEM_CAUSE_NONE);
	ASSERT_EQ(stat.committed, TOTAL);
	ASSERT_EQ(stat.resident, TOTAL);
	ASSERT_EQ(stat.regions, 2);
	ASSERT_EQ(stat.reclaimed_bytes, 0);
	ASSERT_FALSE(memory_is_back(&self->before, TOTAL - MEMORY_NOISE, 0));
}

static inline void go(struct __test_metadata *_metadata, FIXTURE_DATA(expert) *self)
{
	ASSERT_TRUE(say(self->expert.line, 'g'));
}

static inline void kill_expert(struct __test_metadata *_metadata, FIXTURE_DATA(expert) *self)
{
	ASSERT_EQ(kill(self->pid, SIGKILL), 0);
	ASSERT_EQ(child_status(self->pid), 128 + SIGKILL);
}

static inline void check_stat(struct __test_metadata *_metadata, int fd, __u32 cause, __u64 bytes)
{
	struct expertmem_stat stat = expert_stat(fd);

	EXPECT_EQ(stat.state, EXPERTMEM_STATE_RECLAIMED);
	EXPECT_EQ(stat.cause, cause);
	EXPECT_EQ(stat.committed, 0);
	EXPECT_EQ(stat.resident, 0);
	EXPECT_EQ(stat.regions, 0);
	EXPECT_EQ(stat.reclaimed_bytes, bytes);
}

static inline void check(struct __test_metadata *_metadata, FIXTURE_DATA(expert) *self,
			 __u32 cause)
{
	struct expertmem_stat stat = expert_stat(self->expert.fd);

	check_stat(_metadata, self->expert.fd, cause, TOTAL);
	EXPECT_EQ(stat.peak, TOTAL);
	EXPECT_TRUE(memory_is_back(&self->before, MEMORY_NOISE, SETTLE));
}

static inline void check_result(struct __test_metadata *_metadata,
				const struct expertmem_reclaim *result, __u64 bytes, int regions)
{
	EXPECT_EQ(result->reclaimed_bytes, bytes);
	EXPECT_EQ(result->reclaimed_resident, bytes);
	EXPECT_EQ(result->reclaimed_regions, regions);
	EXPECT_EQ(result->flags, 0);
	EXPECT_EQ(result->reserved, 0);
}

#endif /* RECLAIM_TEST_H */
