// SPDX-License-Identifier: GPL-2.0
/*
 * The status page: a program reads the state of its expert from it without a system call, and
 * it agrees with STAT.
 *
 * needs: module root
 */
#include "harness.h"
#include "expertmem_test.h"

FIXTURE(status) {
	int fd;
	const volatile struct expertmem_status *page;
};

FIXTURE_SETUP(status)
{
	NEED_DEVICE();
	self->fd = expert_open();
	ASSERT_LE(0, self->fd);
	self->page = status_map(self->fd);
	ASSERT_NE(MAP_FAILED, self->page);
}

FIXTURE_TEARDOWN(status)
{
	munmap((void *)self->page, PAGE);
	close(self->fd);
}

TEST_F(status, page_is_read_only_for_good)
{
	EXPECT_EQ(-EINVAL, map(self->fd, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, 0));
	EXPECT_EQ(-EINVAL, map(self->fd, PAGE, PROT_WRITE, MAP_SHARED, 0));
	EXPECT_EQ(-EINVAL, map(self->fd, PAGE, PROT_READ | PROT_EXEC, MAP_SHARED, 0));
	EXPECT_EQ(-EACCES, result(mprotect((void *)self->page, PAGE, PROT_READ | PROT_WRITE)));
	EXPECT_EQ(-EACCES, result(mprotect((void *)self->page, PAGE, PROT_READ | PROT_EXEC)));
	EXPECT_EQ(0, read_touch((void *)self->page));
	EXPECT_EQ(SIGSEGV, write_touch((void *)self->page));
}

TEST_F(status, page_is_one_shared_page)
{
	EXPECT_EQ(-EINVAL, map(self->fd, PAGE, PROT_READ, MAP_PRIVATE, 0));
	EXPECT_EQ(-EINVAL, map(self->fd, 2 * PAGE, PROT_READ, MAP_SHARED, 0));
	EXPECT_EQ(-EINVAL, map(self->fd, 0, PROT_READ, MAP_SHARED, 0));
	EXPECT_EQ(0, map(self->fd, sizeof(struct expertmem_status), PROT_READ, MAP_SHARED, 0));
}

TEST_F(status, page_cannot_be_written_by_another_way)
{
	const unsigned char one = 1;
	int fd = open("/proc/self/mem", O_RDWR);

	ASSERT_LE(0, fd);
	EXPECT_EQ(-1, pwrite(fd, &one, 1, (off_t)(uintptr_t)self->page));
	EXPECT_EQ(0, self->page->flags);
	close(fd);
}

TEST_F(status, page_says_what_was_asked_and_done)
{
	const volatile struct expertmem_status *again = status_map(self->fd);
	struct expertmem_reclaim arg;

	ASSERT_NE(MAP_FAILED, again);
	EXPECT_TRUE(all_bytes((const unsigned char *)self->page, PAGE, 0));
	EXPECT_EQ(0, again->flags);
	ASSERT_EQ(0, expert_terminate(self->fd));
	EXPECT_EQ(EXPERTMEM_STATUS_TERMINATE, self->page->flags);
	EXPECT_EQ(EXPERTMEM_STATUS_TERMINATE, again->flags);
	ASSERT_EQ(0, expert_reclaim(self->fd, &arg));
	EXPECT_EQ(EXPERTMEM_STATUS_TERMINATE | EXPERTMEM_STATUS_RECLAIMED, self->page->flags);
	EXPECT_EQ(EXPERTMEM_STATUS_TERMINATE | EXPERTMEM_STATUS_RECLAIMED, again->flags);
	EXPECT_TRUE(all_bytes((const unsigned char *)self->page + sizeof(self->page->flags),
			      PAGE - sizeof(self->page->flags), 0));
}

TEST_F(status, page_says_that_the_last_window_is_gone)
{
	struct window w;

	ASSERT_EQ(0, window_map(&w, &small_window, self->fd, MIB));
	EXPECT_EQ(0, self->page->flags);
	ASSERT_EQ(0, munmap(w.addr, w.size));
	EXPECT_EQ(EXPERTMEM_STATUS_RECLAIMED, self->page->flags);
}

TEST_F(status, page_can_be_mapped_of_an_expert_that_is_gone)
{
	struct expertmem_reclaim arg;
	const volatile struct expertmem_status *late;

	ASSERT_EQ(0, expert_reclaim(self->fd, &arg));
	late = status_map(self->fd);
	ASSERT_NE(MAP_FAILED, late);
	EXPECT_EQ(EXPERTMEM_STATUS_RECLAIMED, late->flags);
}

TEST_F(status, page_can_be_seen_by_a_child)
{
	pid_t pid;

	ASSERT_EQ(0, expert_terminate(self->fd));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		const volatile struct expertmem_status *own = status_map(self->fd);

		if (read_touch((void *)self->page) || own == MAP_FAILED)
			_exit(1);
		_exit(self->page->flags == EXPERTMEM_STATUS_TERMINATE &&
		      own->flags == EXPERTMEM_STATUS_TERMINATE ? 0 : 2);
	}
	EXPECT_EQ(0, child_status(pid));
}

TEST_F(status, page_is_there_for_a_read_only_descriptor)
{
	int fd = open(DEVICE, O_RDONLY);
	const volatile struct expertmem_status *page;

	ASSERT_LE(0, fd);
	page = status_map(fd);
	ASSERT_NE(MAP_FAILED, page);
	EXPECT_EQ(0, page->flags);
	EXPECT_EQ(-EACCES, result(mprotect((void *)page, PAGE, PROT_READ | PROT_WRITE)));
	close(fd);
}

TEST_F(status, page_keeps_no_window_and_outlives_the_descriptor)
{
	struct window w;
	__u64 offset;

	ASSERT_EQ(0, window_map(&w, &small_window, self->fd, MIB));
	ASSERT_EQ(0, region_alloc(&w, 1, &offset));
	close(self->fd);
	self->fd = -1;
	EXPECT_EQ(0, write_touch(at(&w, offset)));
	EXPECT_EQ(0, self->page->flags);
	ASSERT_EQ(0, munmap(w.addr, w.size));
	EXPECT_EQ(EXPERTMEM_STATUS_RECLAIMED, self->page->flags);
}

TEST_HARNESS_MAIN
