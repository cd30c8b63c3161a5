/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Shared by the tests of FORK: a parent with a region, and its children. The teardown of each
 * test checks that the parent's bytes are unchanged, and that as many experts are open as before.
 */
#ifndef EXPERTMEM_HEIR_TEST_H
#define EXPERTMEM_HEIR_TEST_H

#include "copy_test.h"
#include "netlink_test.h"
#include "users_test.h"

#define NAME		"parent"
#define LIMIT		(256 * MIB)
#define WINDOW_SIZE	GIB

/**
 * struct memory - an expert, and a region in which every page has been written to
 * @w: its window
 * @offset: of the region
 * @size: of the region, bytes
 */
struct memory {
	struct window w;
	__u64 offset;
	__u64 size;
};

/* What a child does with the memory, and the descriptor of its heir. */
#define CHILD_FN(name) void name(const struct memory *m, int heir)

/* A check in a child. */
#define CHECK(cond)								\
	do {									\
		if (!(cond)) {							\
			fprintf(stderr, "# %s:%d: not so: %s\n", __FILE__, __LINE__, #cond); \
			_exit(1);						\
		}								\
	} while (0)

static inline int expert_fork(int fd)
{
	struct expertmem_fork arg = { };
	int err = expert_ioctl(fd, EXPERTMEM_IOC_FORK, &arg);

	return err ? err : arg.fd;
}

/* FORK_END, and close the heir's descriptor. */
static inline int expert_fork_end(int fd, int heir)
{
	struct expertmem_fork arg = { .flags = EXPERTMEM_FORK_END };

	if (heir >= 0)
		close(heir);
	return expert_ioctl(fd, EXPERTMEM_IOC_FORK, &arg);
}

static inline bool has_bytes(const struct memory *m)
{
	return is_touched(&m->w, m->offset, m->size);
}

static inline int memory_make(struct memory *m, const struct window *kind, int fd, __u64 size)
{
	int err = fd < 0 ? fd : window_map(&m->w, kind, fd, WINDOW_SIZE);

	m->size = size;
	return err ? err : region_touched(&m->w, size, &m->offset);
}

FIXTURE(heir) {
	struct memory m;
	unsigned long experts;	/* open before the test */
};

FIXTURE_VARIANT(heir) {
	struct window kind;
};

FIXTURE_VARIANT_ADD(heir, small) {
	.kind = SMALL_WINDOW,
};

FIXTURE_VARIANT_ADD(heir, huge) {
	.kind = HUGE_WINDOW,
};

FIXTURE_SETUP(heir)
{
	int fd;

	NEED_DEVICE();
	self->experts = open_experts();
	fd = expert_open();
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, expert_configure(fd, NAME, LIMIT, 0));
	ASSERT_EQ(0, memory_make(&self->m, &variant->kind, fd, 4 * variant->kind.granule));
}

FIXTURE_TEARDOWN(heir)
{
	time_t end = time(NULL) + 60;

	EXPECT_TRUE(has_bytes(&self->m));
	EXPECT_EQ(EXPERTMEM_STATE_RUNNING, expert_stat(self->m.w.fd).state);
	window_close(&self->m.w);
	/* the mm of a child may outlive the child for a moment */
	while (open_experts() != self->experts && time(NULL) < end)
		usleep(10000);
	EXPECT_EQ(self->experts, open_experts());
}

/* FORK, and a child that calls @fn; then FORK_END. */
static inline pid_t spawn(const struct memory *m, int *heir, CHILD_FN((*fn)))
{
	pid_t pid;

	*heir = expert_fork(m->w.fd);
	if (*heir < 0)
		return *heir;
	fflush(NULL);
	pid = fork();
	if (!pid) {
		fn(m, *heir);
		_exit(0);
	}
	expert_fork_end(m->w.fd, -1);
	return pid;
}

/* A pipe. A process waits until all others have closed the end for writing. */
static int ends[2];

static inline void wait_for_others(void)
{
	char byte;

	close(ends[1]);
	while (read(ends[0], &byte, 1) > 0)
		;
	close(ends[0]);
}

/* A child whose function is to wait_for_others(). */
static inline pid_t spawn_waiting(const struct memory *m, int *heir, CHILD_FN((*fn)))
{
	return pipe(ends) ? -1 : spawn(m, heir, fn);
}

/* Let a child that waits go on; how it ends. */
static inline int finish(pid_t pid, int heir)
{
	int status;

	close(ends[1]);
	status = child_status(pid);
	close(ends[0]);
	close(heir);
	return status;
}

static inline CHILD_FN(wait_and_check)
{
	wait_for_others();
	CHECK(has_bytes(m));
}

/* How such a child ends. */
static inline int heir_status(const struct memory *m, CHILD_FN((*fn)))
{
	int heir, status;
	pid_t pid;

	pid = spawn(m, &heir, fn);
	if (pid < 0)
		return pid;
	status = child_status(pid);
	close(heir);
	return status;
}

/* How a child ends that touches the region: 0 or the signal. */
static inline int touch_status(const struct memory *m)
{
	pid_t pid = fork();

	if (!pid)
		_exit(read_touch(at(&m->w, m->offset)));
	return child_status(pid);
}

/* The window as the child has it. */
static inline struct window its_window(const struct memory *m, int heir)
{
	struct window w = m->w;

	w.fd = heir;
	return w;
}

static inline bool is_reclaimed(int heir)
{
	struct expertmem_stat stat = expert_stat(heir);

	return stat.state == EXPERTMEM_STATE_RECLAIMED && !stat.committed && !stat.resident &&
	       !stat.regions && stat.cause == EXPERTMEM_CAUSE_DETACH;
}

/* Page reclaim, for one, may hold the mm of a process for a moment after its end. */
static inline bool gets_reclaimed(int heir)
{
	time_t end = time(NULL) + 60;

	while (!is_reclaimed(heir) && time(NULL) < end)
		usleep(10000);
	return is_reclaimed(heir);
}

static inline bool same_info(int fd, const struct expertmem_info *before)
{
	struct expertmem_info info = expert_info(fd);

	return !memcmp(&info, before, sizeof(info));
}

/* FORK, and a child that has the first bytes of a region. */
static inline bool works(const struct window *w, __u64 offset)
{
	const struct memory m = { *w, offset, sizeof(__u64) };
	int heir = expert_fork(w->fd);
	bool good = heir >= 0 && !touch_status(&m) && gets_reclaimed(heir);

	return !expert_fork_end(w->fd, heir) && good;
}

#endif /* EXPERTMEM_HEIR_TEST_H */
