// SPDX-License-Identifier: GPL-2.0
/*
 * Pinned pages: a pipe or io_uring references a page of a region that is freed, shrunk or
 * reclaimed. The page stays charged until the last reference is gone.
 *
 * needs: module root
 * also: slow
 */
#include <linux/io_uring.h>
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>

#include "held_test.h"
#include "memory_test.h"
#include "module_test.h"
#include "netlink_test.h"
#include "users_test.h"

/* of the region, a page of whose last granule is held */
#define GRANULES	4

/* --------------------------------------------------------------- ways to hold */

/* A second pipe has it from the first one, which is gone. */
static int grip_by_tee(struct grip *grip, void *addr)
{
	struct grip first;
	int err = grip_by_pipe(&first, addr);

	if (err)
		return err;
	if (pipe2(grip->fds, O_CLOEXEC) || tee(first.fds[0], grip->fds[1], 1, 0) != 1)
		return -errno;
	grip->nr = 2;
	close(first.fds[0]);
	close(first.fds[1]);
	return 0;
}

static int grip_by_io_uring(struct grip *grip, void *addr)
{
	struct io_uring_params params = { };
	struct iovec iov = { .iov_base = addr, .iov_len = 1 };

	grip->fds[0] = result(syscall(SYS_io_uring_setup, 1, &params));
	if (grip->fds[0] < 0)
		return grip->fds[0];
	grip->nr = 1;
	return result(syscall(SYS_io_uring_register, grip->fds[0], IORING_REGISTER_BUFFERS,
			      &iov, 1));
}

/**
 * struct held - a region, of which one byte is held
 * @offset: of the region, GRANULES granules long; all of them have memory
 * @at: offset of the byte, in the last granule
 * @unit: bytes of the page that it is in: 4 KiB, or 2 MiB of a huge page
 * @grip: who holds it
 */
struct held {
	__u64 offset;
	__u64 at;
	__u64 unit;
	struct grip grip;
};

/* Make a region in @window, and have a byte of it held. */
static int take(const struct window *window, int (*grip)(struct grip *grip, void *addr),
		struct held *held)
{
	__u64 granule = window->granule, before, i;
	int err = region_alloc(window, GRANULES * granule, &held->offset);

	if (err)
		return err;
	for (i = 0; i < GRANULES - 1; i++)
		*at(window, held->offset + i * granule) = BYTE;
	held->at = held->offset + i * granule + granule / 2;
	before = resident(window->fd);
	*at(window, held->at) = BYTE;
	held->unit = resident(window->fd) - before;
	return grip(&held->grip, at(window, held->at));
}

/* ------------------------------------------------ held over the end of memory */

FIXTURE(held)
{
	struct window window;	/* not mapped yet */
	struct held *held;	/* shared with children */
	struct nl nl;
	struct told stats;	/* before */
	__u64 uid_charged;	/* before */
	int other;		/* another expert of this user */
};

FIXTURE_VARIANT(held)
{
	const struct window *kind;
	int (*grip)(struct grip *grip, void *addr);
	bool late;		/* the kernel lets go behind the scenes */
};

FIXTURE_VARIANT_ADD(held, small_pipe) {
	.kind = &small_window, .grip = grip_by_pipe,
};

FIXTURE_VARIANT_ADD(held, huge_pipe) {
	.kind = &huge_window, .grip = grip_by_pipe,
};

FIXTURE_VARIANT_ADD(held, small_tee) {
	.kind = &small_window, .grip = grip_by_tee,
};

FIXTURE_VARIANT_ADD(held, huge_tee) {
	.kind = &huge_window, .grip = grip_by_tee,
};

FIXTURE_VARIANT_ADD(held, small_io_uring) {
	.kind = &small_window, .grip = grip_by_io_uring, .late = true,
};

FIXTURE_VARIANT_ADD(held, huge_io_uring) {
	.kind = &huge_window, .grip = grip_by_io_uring, .late = true,
};

FIXTURE_SETUP(held)
{
	time_t end = time(NULL) + SETTLE;

	NEED_DEVICE();
	self->held = shared(sizeof(*self->held));
	ASSERT_NE(self->held, NULL);
	self->other = expert_open();
	ASSERT_GE(self->other, 0);
	ASSERT_EQ(nl_open(&self->nl), 0);
	/* the kernel may still hold a page of the test before */
	while (nl_stats(&self->nl).value[S(PINNED)] && time(NULL) < end)
		usleep(20000);
	self->stats = nl_stats(&self->nl);
	self->uid_charged = expert_info(self->other).uid_charged;
	self->window = *variant->kind;
	self->window.fd = expert_open();
	ASSERT_GE(self->window.fd, 0);
	ASSERT_EQ(expert_configure(self->window.fd, "held", GRANULES * variant->kind->granule,
				   0), 0);
}

FIXTURE_TEARDOWN(held)
{
	close(self->window.fd);
	close(self->other);
	close(self->nl.fd);
}

/* Map the window, and hold a byte in it; or skip. */
#define TAKE()									\
	do {									\
		int take_err = window_map(&self->window, variant->kind,		\
				     self->window.fd, WINDOW);			\
										\
		ASSERT_EQ(take_err, 0);						\
		take_err = take(&self->window, variant->grip, self->held);		\
		if (is_missing(take_err))						\
			SKIP(return, "this kernel does not hold windows so: %s", \
			     strerror(-take_err));					\
		ASSERT_EQ(take_err, 0);						\
	} while (0)

/* What users and all experts together are charged for. */
static void check_charges(struct __test_metadata *_metadata, FIXTURE_DATA(held) *self,
			  __u64 committed, __u64 pinned)
{
	struct told stats = nl_stats(&self->nl);

	EXPECT_EQ(stats.value[S(COMMITTED)], self->stats.value[S(COMMITTED)] + committed);
	EXPECT_EQ(stats.value[S(PINNED)], self->stats.value[S(PINNED)] + pinned);
	EXPECT_EQ(expert_info(self->other).uid_charged,
		  self->uid_charged + committed + pinned);
}

static void check(struct __test_metadata *_metadata, FIXTURE_DATA(held) *self,
		  __u64 committed, __u64 pinned)
{
	struct expertmem_stat stat = expert_stat(self->window.fd);
	struct told told;

	EXPECT_EQ(stat.committed, committed);
	EXPECT_EQ(stat.pinned, pinned);
	EXPECT_EQ(nl_do(&self->nl, EXPERTMEM_CMD_EXPERT_GET, stat.id, &told), 0);
	EXPECT_EQ(told.value[E(PINNED)], pinned);
	EXPECT_EQ(told.value[E(COMMITTED)], committed);
	check_charges(_metadata, self, committed, pinned);
}

/* The holder lets go, and at once nothing is pinned. */
static void release(struct __test_metadata *_metadata, FIXTURE_DATA(held) *self,
		    const FIXTURE_VARIANT(held) *variant, __u64 committed)
{
	let_go(&self->held->grip);
	if (variant->late)
		EXPECT_TRUE(wait_unpinned(self->window.fd));
	check(_metadata, self, committed, 0);
}

static void unmap(FIXTURE_DATA(held) *self)
{
	munmap(self->window.addr, self->window.size);
}

TEST_F(held, page_stays_charged_over_free)
{
	const __u64 size = GRANULES * variant->kind->granule;

	TAKE();
	check(_metadata, self, size, 0);
	ASSERT_EQ(region_free(&self->window, self->held->offset), 0);
	check(_metadata, self, 0, self->held->unit);
	EXPECT_EQ(resident(self->window.fd), 0);
	release(_metadata, self, variant, 0);
	unmap(self);
}

TEST_F(held, page_stays_charged_over_shrinking)
{
	const __u64 granule = variant->kind->granule, size = GRANULES * granule;

	TAKE();
	ASSERT_EQ(region_realloc(&self->window, self->held->offset, size - granule), 0);
	check(_metadata, self, size - granule, self->held->unit);
	release(_metadata, self, variant, size - granule);
	/* what comes back is zero, although the page lived on */
	ASSERT_EQ(region_realloc(&self->window, self->held->offset, size), 0);
	EXPECT_TRUE(all_bytes(at(&self->window, self->held->at), granule / 2, 0));
	check(_metadata, self, size, 0);
	unmap(self);
}

TEST_F(held, page_stays_charged_over_reclaim)
{
	struct expertmem_reclaim arg;

	TAKE();
	ASSERT_EQ(expert_reclaim(self->window.fd, &arg), 0);
	EXPECT_EQ(arg.reclaimed_bytes, GRANULES * variant->kind->granule);
	check(_metadata, self, 0, self->held->unit);
	EXPECT_EQ(resident(self->window.fd), 0);
	EXPECT_EQ(expert_stat(self->window.fd).state, EXPERTMEM_STATE_RECLAIMED);
	release(_metadata, self, variant, 0);
	unmap(self);
}

TEST_F(held, page_stays_charged_over_reclaim_by_an_operator)
{
	struct told told;

	TAKE();
	ASSERT_EQ(nl_do(&self->nl, EXPERTMEM_CMD_RECLAIM, expert_stat(self->window.fd).id,
			&told), 0);
	EXPECT_EQ(told.value[E(RECLAIMED_BYTES)], GRANULES * variant->kind->granule);
	check(_metadata, self, 0, self->held->unit);
	release(_metadata, self, variant, 0);
	unmap(self);
}

TEST_F(held, page_stays_charged_over_unmapping)
{
	TAKE();
	unmap(self);
	check(_metadata, self, 0, self->held->unit);
	release(_metadata, self, variant, 0);
}

/* In a child that shares the descriptors: it ends with the byte held by one of these. */
static int take_and_end(FIXTURE_DATA(held) *self, const FIXTURE_VARIANT(held) *variant,
			int signal)
{
	pid_t pid = syscall(SYS_clone, CLONE_FILES | SIGCHLD, NULL, NULL, NULL, NULL);
	int err;

	if (pid)
		return child_status(pid);
	err = window_map(&self->window, variant->kind, self->window.fd, WINDOW);
	if (!err)
		err = take(&self->window, variant->grip, self->held);
	if (!err && signal)
		kill(getpid(), signal);
	_exit(-err);
}

TEST_F(held, page_stays_charged_over_exit)
{
	int status = take_and_end(self, variant, 0);

	if (is_missing(-status))
		SKIP(return, "this kernel does not hold windows so: %s", strerror(status));
	ASSERT_EQ(status, 0);
	check(_metadata, self, 0, self->held->unit);
	EXPECT_EQ(expert_stat(self->window.fd).cause, EXPERTMEM_CAUSE_DETACH);
	release(_metadata, self, variant, 0);
}

TEST_F(held, page_stays_charged_over_sigkill)
{
	int status = take_and_end(self, variant, SIGKILL);

	if (is_missing(-status))
		SKIP(return, "this kernel does not hold windows so: %s", strerror(status));
	ASSERT_EQ(status, 128 + SIGKILL);
	check(_metadata, self, 0, self->held->unit);
	EXPECT_EQ(expert_stat(self->window.fd).cause, EXPERTMEM_CAUSE_DETACH);
	release(_metadata, self, variant, 0);
}

/* Wait until nothing is charged to the user any more. */
static bool wait_uncharged(FIXTURE_DATA(held) *self)
{
	struct timespec nap = { .tv_nsec = 20 * 1000 * 1000 };
	time_t end = time(NULL) + SETTLE;

	while (expert_info(self->other).uid_charged != self->uid_charged) {
		if (time(NULL) >= end)
			return false;
		nanosleep(&nap, NULL);
	}
	return true;
}

TEST_F(held, page_stays_charged_to_the_user_when_the_expert_is_released)
{
	TAKE();
	unmap(self);
	check(_metadata, self, 0, self->held->unit);
	close(self->window.fd);
	self->window.fd = -1;
	check_charges(_metadata, self, 0, self->held->unit);
	/* however often the module looks */
	sleep(3);
	check_charges(_metadata, self, 0, self->held->unit);

	let_go(&self->held->grip);
	EXPECT_TRUE(wait_uncharged(self));
	check_charges(_metadata, self, 0, 0);
}

TEST_F(held, page_is_uncharged_though_nobody_looks)
{
	TAKE();
	ASSERT_EQ(region_free(&self->window, self->held->offset), 0);
	check(_metadata, self, 0, self->held->unit);
	let_go(&self->held->grip);
	/* neither STATS_GET nor GET_INFO of another expert looks at this one */
	EXPECT_TRUE(wait_uncharged(self));
	check(_metadata, self, 0, 0);
	unmap(self);
}

TEST_F(held, page_counts_against_the_limit_until_it_is_let_go)
{
	const __u64 granule = variant->kind->granule, size = GRANULES * granule;
	struct expertmem_stat stat;
	__u64 offset, again;
	time_t end;
	int err;

	TAKE();
	ASSERT_EQ(region_free(&self->window, self->held->offset), 0);
	EXPECT_EQ(region_alloc(&self->window, size, &offset), -EDQUOT);
	ASSERT_EQ(region_alloc(&self->window, size - granule, &offset), 0);
	EXPECT_EQ(region_realloc(&self->window, offset, size), -EDQUOT);
	if (self->held->unit == granule)
		EXPECT_EQ(region_alloc(&self->window, 1, &again), -EDQUOT);
	stat = expert_stat(self->window.fd);
	EXPECT_EQ(stat.refused, self->held->unit == granule ? 3 : 2);
	EXPECT_EQ(stat.peak, size);
	check(_metadata, self, size - granule, self->held->unit);

	/* the first call after that works */
	let_go(&self->held->grip);
	end = time(NULL) + (variant->late ? SETTLE : 0);
	do {
		err = region_realloc(&self->window, offset, size);
	} while (err == -EDQUOT && time(NULL) < end);
	EXPECT_EQ(err, 0);
	check(_metadata, self, size, 0);
	EXPECT_EQ(region_realloc(&self->window, offset, size + granule), -EDQUOT);
	unmap(self);
}

TEST_F(held, page_counts_against_the_total_until_it_is_let_go)
{
	const __u64 size = GRANULES * variant->kind->granule;
	struct parameter total_limit = { };
	char text[32];
	__u64 offset;
	time_t end;
	int err;

	TAKE();
	snprintf(text, sizeof(text), "%llu", self->stats.value[S(COMMITTED)] +
		 self->stats.value[S(PINNED)] + size);
	ASSERT_EQ(parameter_set(&total_limit, "total_limit", text), 0);
	ASSERT_EQ(region_free(&self->window, self->held->offset), 0);
	/* the expert has no limit any more: what is refused is refused by the total */
	EXPECT_EQ(nl_set(&self->nl, expert_stat(self->window.fd).id, 0), 0);
	EXPECT_EQ(region_alloc(&self->window, size, &offset), -ENOMEM);
	let_go(&self->held->grip);
	end = time(NULL) + (variant->late ? SETTLE : 0);
	do {
		err = region_alloc(&self->window, size, &offset);
	} while (err == -ENOMEM && time(NULL) < end);
	EXPECT_EQ(err, 0);
	check(_metadata, self, size, 0);
	EXPECT_EQ(parameter_restore(&total_limit), 0);
	unmap(self);
}

TEST_F(held, copy_is_refused_while_the_page_fills_the_limit)
{
	const __u64 size = GRANULES * variant->kind->granule;
	struct expertmem_copy arg = { };
	struct window source;
	__u64 offset;
	time_t end;
	int err;

	ASSERT_EQ(window_open(&source, variant->kind, WINDOW, 0), 0);
	self->uid_charged += size;
	self->stats.value[S(COMMITTED)] += size;
	ASSERT_EQ(region_alloc(&source, size, &offset), 0);
	TAKE();
	ASSERT_EQ(region_free(&self->window, self->held->offset), 0);
	arg.fd = source.fd;
	EXPECT_EQ(expert_ioctl(self->window.fd, EXPERTMEM_IOC_COPY, &arg), -EDQUOT);
	check(_metadata, self, 0, self->held->unit);
	let_go(&self->held->grip);
	end = time(NULL) + (variant->late ? SETTLE : 0);
	do {
		err = expert_ioctl(self->window.fd, EXPERTMEM_IOC_COPY, &arg);
	} while (err == -EDQUOT && time(NULL) < end);
	EXPECT_EQ(err, 0);
	check(_metadata, self, size, 0);
	unmap(self);
	window_close(&source);
}

TEST_F(held, page_that_two_hold_is_charged_once_and_until_the_second_lets_go)
{
	struct grip second;

	TAKE();
	ASSERT_EQ(variant->grip(&second, at(&self->window, self->held->at)), 0);
	ASSERT_EQ(region_free(&self->window, self->held->offset), 0);
	check(_metadata, self, 0, self->held->unit);
	let_go(&self->held->grip);
	check(_metadata, self, 0, self->held->unit);
	self->held->grip = second;
	release(_metadata, self, variant, 0);
	unmap(self);
}

TEST_F(held, pages_of_one_place_are_charged_one_by_one)
{
	struct held first;

	TAKE();
	first = *self->held;
	ASSERT_EQ(nl_set(&self->nl, expert_stat(self->window.fd).id, 0), 0);
	ASSERT_EQ(region_free(&self->window, first.offset), 0);
	ASSERT_EQ(take(&self->window, variant->grip, self->held), 0);
	EXPECT_EQ(self->held->at, first.at);
	ASSERT_EQ(region_free(&self->window, self->held->offset), 0);
	check(_metadata, self, 0, first.unit + self->held->unit);
	let_go(&first.grip);
	if (variant->late)
		while (expert_stat(self->window.fd).pinned > self->held->unit)
			sched_yield();
	check(_metadata, self, 0, self->held->unit);
	release(_metadata, self, variant, 0);
	unmap(self);
}

/* madvise(MADV_REMOVE); where the holder goes behind the scenes, wait for that. */
static int remove_soon(void *addr, size_t size, bool late)
{
	time_t end = time(NULL) + (late ? SETTLE : 0);
	int err;

	do {
		err = result(madvise(addr, size, MADV_REMOVE));
	} while (err == -EBUSY && time(NULL) < end);
	return err;
}

TEST_F(held, madv_remove_of_a_held_page_is_busy_and_changes_nothing)
{
	const __u64 granule = variant->kind->granule, size = GRANULES * granule;
	unsigned char *region;
	__u64 before, i;

	TAKE();
	region = at(&self->window, self->held->offset);
	for (i = 0; i < size; i += PAGE)
		memset(region + i, 1 + i / PAGE % 250, PAGE);
	before = resident(self->window.fd);

	errno = 0;
	EXPECT_EQ(madvise(region, size, MADV_REMOVE), -1);
	EXPECT_EQ(errno, EBUSY);
	errno = 0;
	EXPECT_EQ(madvise(region + size - granule, granule, MADV_REMOVE), -1);
	EXPECT_EQ(errno, EBUSY);
	EXPECT_EQ(resident(self->window.fd), before);
	for (i = 0; i < size; i += PAGE)
		ASSERT_TRUE(all_bytes(region + i, PAGE, 1 + i / PAGE % 250));
	check(_metadata, self, size, 0);

	/* where nothing is held, it works */
	EXPECT_EQ(madvise(region, size - granule, MADV_REMOVE), 0);
	EXPECT_EQ(resident(self->window.fd), before / GRANULES);
	EXPECT_TRUE(all_bytes(region, size - granule, 0));
	for (i = size - granule; i < size; i += PAGE)
		ASSERT_TRUE(all_bytes(region + i, PAGE, 1 + i / PAGE % 250));

	let_go(&self->held->grip);
	EXPECT_EQ(remove_soon(region, size, variant->late), 0);
	EXPECT_EQ(resident(self->window.fd), 0);
	EXPECT_TRUE(all_bytes(region, size, 0));
	check(_metadata, self, size, 0);
	unmap(self);
}

/* A part of a huge page cannot be given back while the page is held. */
TEST_F(held, madv_remove_of_a_part_of_a_held_page_is_busy_and_changes_nothing)
{
	const __u64 granule = variant->kind->granule;
	unsigned char *last, *page;

	if (variant->kind->granule == PAGE)
		SKIP(return, "madvise() knows no parts of small pages");
	TAKE();
	if (self->held->unit == PAGE)
		SKIP(return, "this kernel has no huge pages for windows");
	last = at(&self->window, self->held->offset) + (GRANULES - 1) * granule;
	page = at(&self->window, self->held->at);
	memset(last, BYTE, granule);
	errno = 0;
	EXPECT_EQ(madvise(page, PAGE, MADV_REMOVE), -1);
	EXPECT_EQ(errno, EBUSY);
	EXPECT_TRUE(all_bytes(last, granule, BYTE));
	errno = 0;
	EXPECT_EQ(madvise(last, granule - PAGE, MADV_REMOVE), -1);
	EXPECT_EQ(errno, EBUSY);
	EXPECT_TRUE(all_bytes(last, granule, BYTE));
	/* it begins in another page, and ends in the held one */
	errno = 0;
	EXPECT_EQ(madvise(last - PAGE, granule, MADV_REMOVE), -1);
	EXPECT_EQ(errno, EBUSY);
	EXPECT_TRUE(all_bytes(last, granule, BYTE));

	let_go(&self->held->grip);
	EXPECT_EQ(remove_soon(page, PAGE, variant->late), 0);
	EXPECT_TRUE(all_bytes(page, PAGE, 0));
	EXPECT_TRUE(all_bytes(last, page - last, BYTE));
	unmap(self);
}

/* ------------------------------------------------------ held by the kernel only */

static cpu_set_t only(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return set;
}

/* What another CPU does with a page leaves references to it in lists of that CPU. */
struct visitor {
	pthread_t thread;
	pthread_barrier_t turn;
	unsigned char *page;
	int cpu;
	int (*visit)(unsigned char *page);
	bool stop;
	int err;
};

static int visit_by_touching(unsigned char *page)
{
	*page = BYTE;
	return 0;
}

static int visit_by_reading(unsigned char *page)
{
	char byte;
	struct iovec local = { &byte, 1 }, remote = { page, 1 };
	int i;

	*page = BYTE;
	for (i = 0; i < 3; i++)
		if (process_vm_readv(getpid(), &local, 1, &remote, 1, 0) != 1)
			return -errno;
	return 0;
}

static int visit_by_cold(unsigned char *page)
{
	*page = BYTE;
	return result(madvise(page, PAGE, MADV_COLD));
}

static int visit_by_splicing(unsigned char *page)
{
	struct grip grip;
	int err;

	*page = BYTE;
	err = grip_by_pipe(&grip, page);
	let_go(&grip);
	return err;
}

static void *visit(void *arg)
{
	struct visitor *visitor = arg;
	cpu_set_t set = only(visitor->cpu);

	visitor->err = result(sched_setaffinity(0, sizeof(set), &set));
	for (;;) {
		pthread_barrier_wait(&visitor->turn);
		if (visitor->stop)
			return NULL;
		if (!visitor->err)
			visitor->err = visitor->visit(visitor->page);
		pthread_barrier_wait(&visitor->turn);
	}
}

FIXTURE(visited)
{
	struct window window;
	struct visitor visitor;
};

FIXTURE_VARIANT(visited)
{
	const struct window *kind;
	int (*visit)(unsigned char *page);
};

FIXTURE_VARIANT_ADD(visited, small_touched) {
	.kind = &small_window, .visit = visit_by_touching,
};

FIXTURE_VARIANT_ADD(visited, small_read) {
	.kind = &small_window, .visit = visit_by_reading,
};

FIXTURE_VARIANT_ADD(visited, small_cold) {
	.kind = &small_window, .visit = visit_by_cold,
};

FIXTURE_VARIANT_ADD(visited, small_spliced) {
	.kind = &small_window, .visit = visit_by_splicing,
};

FIXTURE_VARIANT_ADD(visited, huge_read) {
	.kind = &huge_window, .visit = visit_by_reading,
};

FIXTURE_SETUP(visited)
{
	cpu_set_t first = only(0);

	NEED_DEVICE();
	self->visitor = (struct visitor) { .cpu = 1, .visit = variant->visit };
	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		SKIP_TEST("there is no second CPU");
	ASSERT_EQ(sched_setaffinity(0, sizeof(first), &first), 0);
	ASSERT_EQ(window_open(&self->window, variant->kind, WINDOW, 4 * variant->kind->granule),
		  0);
	ASSERT_EQ(pthread_barrier_init(&self->visitor.turn, NULL, 2), 0);
	ASSERT_EQ(pthread_create(&self->visitor.thread, NULL, visit, &self->visitor), 0);
}

FIXTURE_TEARDOWN(visited)
{
	self->visitor.stop = true;
	pthread_barrier_wait(&self->visitor.turn);
	pthread_join(self->visitor.thread, NULL);
	window_close(&self->window);
}

TEST_F(visited, page_that_nobody_holds_does_not_stay_pinned)
{
	unsigned long i, n = rounds(200), pinned = 0, refused = 0;
	__u64 offset, all = 4 * variant->kind->granule;

	for (i = 0; i < n; i++) {
		if (region_alloc(&self->window, all, &offset)) {
			refused++;
			ASSERT_TRUE(wait_unpinned(self->window.fd));
			ASSERT_EQ(region_alloc(&self->window, all, &offset), 0);
		}
		self->visitor.page = at(&self->window, offset);
		pthread_barrier_wait(&self->visitor.turn);
		pthread_barrier_wait(&self->visitor.turn);
		ASSERT_EQ(self->visitor.err, 0);
		ASSERT_EQ(region_free(&self->window, offset), 0);
		/* it may be, for a moment: the module wakes other CPUs only a few times a second */
		if (!wait_unpinned(self->window.fd))
			pinned++;
	}
	EXPECT_EQ(pinned, 0);
	/* an expert that may have so much has it */
	EXPECT_EQ(refused, 0);
}

TEST_F(visited, page_that_nobody_holds_does_not_count_against_the_limit)
{
	unsigned long i, n = rounds(200), refused = 0;
	__u64 offset, all = 4 * variant->kind->granule;

	for (i = 0; i < n; i++) {
		if (region_alloc(&self->window, all, &offset)) {
			refused++;
			ASSERT_TRUE(wait_unpinned(self->window.fd));
			ASSERT_EQ(region_alloc(&self->window, all, &offset), 0);
		}
		self->visitor.page = at(&self->window, offset);
		pthread_barrier_wait(&self->visitor.turn);
		pthread_barrier_wait(&self->visitor.turn);
		ASSERT_EQ(self->visitor.err, 0);
		ASSERT_EQ(region_free(&self->window, offset), 0);
	}
	EXPECT_EQ(refused, 0);
}

TEST_F(visited, page_that_nobody_holds_can_be_removed)
{
	unsigned long i, n = rounds(200), busy = 0;
	__u64 offset;

	ASSERT_EQ(region_alloc(&self->window, 4 * variant->kind->granule, &offset), 0);
	self->visitor.page = at(&self->window, offset);
	for (i = 0; i < n; i++) {
		pthread_barrier_wait(&self->visitor.turn);
		pthread_barrier_wait(&self->visitor.turn);
		ASSERT_EQ(self->visitor.err, 0);
		if (madvise(self->visitor.page, variant->kind->granule, MADV_REMOVE))
			busy++;
	}
	EXPECT_EQ(busy, 0);
}

/* ------------------------------------------------- the last: unloading the module */

FIXTURE(module)
{
	struct module loaded;
	struct memory before;
};

FIXTURE_VARIANT(module)
{
	const struct window *kind;
};

FIXTURE_VARIANT_ADD(module, small) { .kind = &small_window };
FIXTURE_VARIANT_ADD(module, huge) { .kind = &huge_window };

FIXTURE_SETUP(module)
{
	NEED_DEVICE();
	module_look(_metadata, &self->loaded);
	self->before = memory_now();
}

FIXTURE_TEARDOWN(module)
{
	EXPECT_EQ(module_load(&self->loaded), 0);
	close(self->loaded.file);
}

TEST_F(module, module_can_be_unloaded_while_a_pipe_holds_pages)
{
	struct window window;
	unsigned char byte;
	struct grip grips[3];
	struct held held;
	struct nl nl;
	size_t i;

	for (i = 0; i < COUNT_OF(grips); i++) {
		ASSERT_EQ(window_open(&window, variant->kind, WINDOW, 0), 0);
		ASSERT_EQ(take(&window, grip_by_pipe, &held), 0);
		grips[i] = held.grip;
		if (i)
			ASSERT_EQ(region_free(&window, held.offset), 0);
		window_close(&window);
	}
	ASSERT_EQ(module_unload(), 0);
	for (i = 0; i < COUNT_OF(grips); i++) {
		ASSERT_EQ(read(grips[i].fds[0], &byte, 1), 1);
		EXPECT_EQ(byte, BYTE);
		if (i == 1)
			ASSERT_EQ(result(syscall(SYS_finit_module, self->loaded.file,
						 self->loaded.parameters, 0)), 0);
	}
	ASSERT_EQ(nl_open(&nl), 0);
	EXPECT_EQ(nl_stats(&nl).value[S(PINNED)], 0);
	close(nl.fd);
	for (i = 0; i < COUNT_OF(grips); i++)
		let_go(&grips[i]);
	EXPECT_TRUE(memory_is_back(&self->before, 2 * MEMORY_NOISE, SETTLE));
}

TEST_HARNESS_MAIN
