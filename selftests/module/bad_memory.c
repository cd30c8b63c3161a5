// SPDX-License-Identifier: GPL-2.0
/*
 * Memory failure (hwpoison) in a page of a window: a process that touches the page gets
 * SIGBUS. The region can be freed, its place can be allocated again, and the expert works on.
 *
 * needs: module root
 * also: slow
 */
#include <sys/uio.h>

#include "pressure_test.h"

static sigjmp_buf bad_env;
static siginfo_t bad_info;

static void bad_memory(int sig, siginfo_t *info, void *context)
{
	bad_info = *info;
	siglongjmp(bad_env, sig);
}

/* The signal that reading a byte raises; bad_info says more. */
static int read_bad(const volatile unsigned char *addr)
{
	struct sigaction action = { .sa_sigaction = bad_memory, .sa_flags = SA_SIGINFO }, old;
	int sig;

	memset(&bad_info, 0, sizeof(bad_info));
	sigaction(SIGBUS, &action, &old);
	sig = sigsetjmp(bad_env, 1);
	if (!sig)
		(void)*addr;
	sigaction(SIGBUS, &old, NULL);
	return sig;
}

#define BAD_GRANULES	4

FIXTURE(bad)
{
	struct window window;
	__u64 offset;		/* of a region; in its second granule is the bad page */
	unsigned char *page;
	__u64 size;
};

FIXTURE_VARIANT(bad)
{
	const struct window *kind;
};

FIXTURE_VARIANT_ADD(bad, small) { .kind = &small_window };
FIXTURE_VARIANT_ADD(bad, huge) { .kind = &huge_window };

FIXTURE_SETUP(bad)
{
	NEED_DEVICE();
	ASSERT_EQ(window_open(&self->window, variant->kind, WINDOW, 0), 0);
	self->size = BAD_GRANULES * variant->kind->granule;
	ASSERT_EQ(region_alloc(&self->window, self->size, &self->offset), 0);
	write_pages(&self->window, self->offset, self->size);
	self->page = at(&self->window, self->offset) + variant->kind->granule +
		     variant->kind->granule / 2 / PAGE * PAGE;
}

FIXTURE_TEARDOWN(bad)
{
	window_close(&self->window);
}

/* Since 6.11 the kernel sends whoever reports a mapped page as bad a signal at once. */
static int make_bad(void *page)
{
	struct sigaction action = { .sa_sigaction = bad_memory, .sa_flags = SA_SIGINFO }, old;
	int err = 0;

	sigaction(SIGBUS, &action, &old);
	if (!sigsetjmp(bad_env, 1))
		err = result(madvise(page, PAGE, MADV_HWPOISON));
	sigaction(SIGBUS, &old, NULL);
	return err;
}

#define MAKE_BAD()								\
	do {									\
		int bad_err = make_bad(self->page);				\
										\
		if (bad_err == -EINVAL || bad_err == -EPERM)			\
			SKIP(return, "this kernel does not know bad memory: %s",	\
			     strerror(-bad_err));				\
		ASSERT_EQ(bad_err, 0);						\
	} while (0)

/* All pages but the bad one. */
static bool others_are_right(const FIXTURE_DATA(bad) *self)
{
	__u64 bad = self->offset + (self->page - at(&self->window, self->offset));

	return pages_are_right(&self->window, self->offset, bad - self->offset) &&
	       pages_are_right(&self->window, bad + PAGE, self->offset + self->size - bad - PAGE);
}

TEST_F(bad, touching_a_bad_page_is_a_sigbus_that_says_so)
{
	MAKE_BAD();
	EXPECT_EQ(read_bad(self->page), SIGBUS);
	EXPECT_EQ(bad_info.si_code, BUS_MCEERR_AR);
	EXPECT_EQ(bad_info.si_addr, self->page);
	EXPECT_EQ(1UL << bad_info.si_addr_lsb, PAGE);
	EXPECT_EQ(write_touch(self->page), SIGBUS);
	EXPECT_TRUE(others_are_right(self));
	EXPECT_EQ(expert_stat(self->window.fd).state, EXPERTMEM_STATE_RUNNING);
	/* and does not go away */
	EXPECT_EQ(read_bad(self->page), SIGBUS);
}

TEST_F(bad, region_with_a_bad_page_can_be_freed_and_its_place_used_again)
{
	__u64 again;

	MAKE_BAD();
	ASSERT_EQ(region_free(&self->window, self->offset), 0);
	check_empty(_metadata, self->window.fd);
	ASSERT_EQ(region_alloc(&self->window, self->size, &again), 0);
	ASSERT_EQ(again, self->offset);
	EXPECT_TRUE(all_bytes(at(&self->window, again), self->size, 0));
	write_pages(&self->window, again, self->size);
	EXPECT_TRUE(pages_are_right(&self->window, again, self->size));
}

TEST_F(bad, region_with_a_bad_page_can_be_shrunk)
{
	const __u64 granule = variant->kind->granule;

	MAKE_BAD();
	ASSERT_EQ(region_realloc(&self->window, self->offset, granule), 0);
	EXPECT_EQ(expert_stat(self->window.fd).committed, granule);
	EXPECT_EQ(resident(self->window.fd), granule);
	EXPECT_EQ(expert_stat(self->window.fd).pinned, 0);
	ASSERT_EQ(region_realloc(&self->window, self->offset, self->size), 0);
	EXPECT_TRUE(pages_are_right(&self->window, self->offset, granule));
	EXPECT_TRUE(all_bytes(at(&self->window, self->offset + granule), self->size - granule,
			      0));
}

TEST_F(bad, bad_page_can_be_removed)
{
	MAKE_BAD();
	EXPECT_EQ(madvise(self->page, PAGE, MADV_REMOVE), 0);
	EXPECT_EQ(read_bad(self->page), 0);
	EXPECT_TRUE(all_bytes(self->page, PAGE, 0));
	EXPECT_TRUE(others_are_right(self));
}

TEST_F(bad, expert_with_a_bad_page_can_be_reclaimed)
{
	struct expertmem_reclaim arg;

	MAKE_BAD();
	ASSERT_EQ(expert_reclaim(self->window.fd, &arg), 0);
	EXPECT_EQ(arg.reclaimed_bytes, self->size);
	check_empty(_metadata, self->window.fd);
}

TEST_F(bad, copy_of_a_bad_page_is_eio_and_leaves_nothing)
{
	struct expertmem_copy arg = { .fd = self->window.fd };
	struct window copy;

	ASSERT_EQ(window_open(&copy, variant->kind, WINDOW, 0), 0);
	MAKE_BAD();
	EXPECT_EQ(expert_ioctl(copy.fd, EXPERTMEM_IOC_COPY, &arg), -EIO);
	check_empty(_metadata, copy.fd);
	EXPECT_EQ(read_touch(at(&copy, self->offset)), SIGSEGV);
	EXPECT_TRUE(others_are_right(self));
	/* without it, there is nothing wrong */
	ASSERT_EQ(madvise(self->page, PAGE, MADV_REMOVE), 0);
	EXPECT_EQ(expert_ioctl(copy.fd, EXPERTMEM_IOC_COPY, &arg), 0);
	window_close(&copy);
}

/* The page is replaced by another one while it can be read. */
TEST_F(bad, page_that_goes_out_of_service_loses_nothing)
{
	int tries, err = -EBUSY;

	for (tries = 0; tries < 20 && err; tries++) {
		err = result(madvise(self->page, PAGE, MADV_SOFT_OFFLINE));
		if (err == -EINVAL || err == -EPERM || err == -EOPNOTSUPP)
			SKIP(return, "this kernel takes no pages out of service: %s",
			     strerror(-err));
	}
	EXPECT_EQ(err, 0);
	EXPECT_TRUE(pages_are_right(&self->window, self->offset, self->size));
	EXPECT_EQ(resident(self->window.fd), self->size);
	write_pages(&self->window, self->offset, self->size);
	EXPECT_TRUE(pages_are_right(&self->window, self->offset, self->size));
	ASSERT_EQ(region_free(&self->window, self->offset), 0);
	check_empty(_metadata, self->window.fd);
}

TEST_HARNESS_MAIN
