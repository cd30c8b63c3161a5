/* SPDX-License-Identifier: GPL-2.0 */
/* Shared by the tests of pinned pages: a byte of a window that a pipe pins. */
#ifndef EXPERTMEM_HELD_TEST_H
#define EXPERTMEM_HELD_TEST_H

#include <sys/uio.h>

#include "harness.h"
#include "expertmem_test.h"

#define WINDOW		GIB
/* how long the kernel may take to let go behind the scenes, in seconds */
#define SETTLE		60

#define BYTE		0x5a
#define OTHER		0xc3

/* Is this what a kernel answers that has no io_uring, or no fixed buffers in windows? */
static inline bool is_missing(int err)
{
	return err == -ENOSYS || err == -EOPNOTSUPP || err == -EPERM;
}

/* The descriptors that hold a byte: it is let go when all of them are closed. */
struct grip {
	int fds[4];
	int nr;
};

static inline int grip_by_pipe(struct grip *grip, void *addr)
{
	struct iovec iov = { .iov_base = addr, .iov_len = 1 };

	if (pipe2(grip->fds, O_CLOEXEC))
		return -errno;
	grip->nr = 2;
	return vmsplice(grip->fds[1], &iov, 1, 0) == 1 ? 0 : -errno;
}

static inline void let_go(const struct grip *grip)
{
	int i;

	for (i = 0; i < grip->nr; i++)
		close(grip->fds[i]);
}

static inline __u64 resident(int fd)
{
	return expert_stat(fd).resident;
}

/* Wait until an expert that does nothing has no pinned pages. */
static inline bool wait_unpinned(int fd)
{
	struct timespec nap = { .tv_nsec = 20 * 1000 * 1000 };
	time_t end = time(NULL) + SETTLE;

	while (expert_stat(fd).pinned) {
		if (time(NULL) >= end)
			return false;
		nanosleep(&nap, NULL);
	}
	return true;
}

#endif /* EXPERTMEM_HELD_TEST_H */
