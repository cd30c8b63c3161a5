// SPDX-License-Identifier: GPL-2.0
/*
 * libexpertmem: system calls for memory on blocks, which a program may treat like any other
 * memory. "What it does not do" in Documentation/admin-guide/expertmem.rst lists the
 * differences that this program tests. Every test runs on both backends.
 *
 * needs: module native
 * also: arm64 fast
 */
#include <fcntl.h>
#include <linux/mempolicy.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include "heap_test.h"

#define RW	(PROT_READ | PROT_WRITE)

static int error_of(long result)
{
	return result < 0 ? errno : 0;
}

/* The page inside a block that each call is about. */
static unsigned char *page_of(const struct block *block)
{
	return block->at + PAGE;
}

static int protect(const struct block *block, int how)
{
	return error_of(mprotect(page_of(block), PAGE, how));
}

/* What undoes it, where it was allowed, is no error either. */
static int advise(const struct block *block, int how)
{
	return error_of(madvise(page_of(block), PAGE, how));
}

static int lock(const struct block *block, int how)
{
	return error_of(how ? mlock(page_of(block), PAGE) : munlock(page_of(block), PAGE));
}

static int set_policy(const struct block *block, int how)
{
	unsigned long first = 1;

	return error_of(syscall(SYS_mbind, page_of(block), PAGE, how, &first, 8, 0));
}

/* In this order: each undoes the one before it, where that was allowed. */
static const struct call {
	const char *name;
	int (*make)(const struct block *block, int how);
	int how;
	int device, anon;	/* errno, 0: it is allowed */
} calls[] = {
	{ "mprotect(PROT_READ)", protect, PROT_READ, EINVAL, 0 },
	{ "mprotect(PROT_NONE)", protect, PROT_NONE, EINVAL, 0 },
	{ "mprotect(PROT_EXEC)", protect, RW | PROT_EXEC, EACCES, 0 },
	{ "mprotect() to what it is", protect, RW, 0, 0 },
	{ "madvise(MADV_RANDOM)", advise, MADV_RANDOM, EINVAL, 0 },
	{ "madvise(MADV_SEQUENTIAL)", advise, MADV_SEQUENTIAL, EINVAL, 0 },
	{ "madvise(MADV_NORMAL)", advise, MADV_NORMAL, 0, 0 },
	{ "madvise(MADV_DONTFORK)", advise, MADV_DONTFORK, EINVAL, 0 },
	{ "madvise(MADV_DOFORK)", advise, MADV_DOFORK, 0, 0 },
	{ "madvise(MADV_WIPEONFORK)", advise, MADV_WIPEONFORK, EINVAL, 0 },
	{ "madvise(MADV_KEEPONFORK)", advise, MADV_KEEPONFORK, 0, 0 },
	{ "madvise(MADV_DODUMP)", advise, MADV_DODUMP, EINVAL, 0 },
	{ "madvise(MADV_DONTDUMP)", advise, MADV_DONTDUMP, 0, 0 },
	{ "madvise(MADV_WILLNEED)", advise, MADV_WILLNEED, 0, 0 },
	{ "madvise(MADV_COLD)", advise, MADV_COLD, 0, 0 },
	{ "madvise(MADV_PAGEOUT)", advise, MADV_PAGEOUT, 0, 0 },
	{ "madvise(MADV_POPULATE_WRITE)", advise, MADV_POPULATE_WRITE, 0, 0 },
	{ "mlock()", lock, true, 0, 0 },
	{ "munlock()", lock, false, 0, 0 },
	{ "mbind(MPOL_BIND)", set_policy, MPOL_BIND, EINVAL, 0 },
};

/* In a slab, a region of the small window, and one of the huge window. */
static const size_t some_sizes[] = { 8192, 100000, 4 * MIB };

TEST_F(expert, protection_and_advice_change_no_byte_and_some_of_it_is_refused)
{
	size_t i, j;

	for (i = 0; i < COUNT_OF(some_sizes); i++) {
		struct block block = { get(self->key, some_sizes[i]), some_sizes[i], i };

		ASSERT_NE(NULL, block.at);
		fill(&block);
		for (j = 0; j < COUNT_OF(calls); j++) {
			const struct call *call = &calls[j];
			int expected = variant->backend == EXPERTMEM_BACKEND_DEVICE ?
				       call->device : call->anon;
			int error = call->make(&block, call->how);

			/* a kernel without nodes */
			if (call->make == set_policy && error == ENOSYS)
				continue;
			EXPECT_EQ(expected, error) {
				TH_LOG("%s of %zu bytes: %s", call->name, some_sizes[i],
				       strerror(error));
			}
			if (call->make != protect || call->how == RW)
				EXPECT_TRUE(intact(self->key, &block));
		}
		EXPECT_EQ(NMERR_SUCCESS, ExpertFreeMemory(self->key, block.at));
	}
}

/* Shared memory keeps its bytes when it is no longer mapped. */
TEST_F(expert, dontneed_and_free_lose_bytes_of_private_memory_alone)
{
	bool device = variant->backend == EXPERTMEM_BACKEND_DEVICE;
	struct block block = { get(self->key, 100000), 100000, 1 };

	NEED_REAL_KERNEL("it takes advice that Linux refuses");
	ASSERT_NE(NULL, block.at);
	fill(&block);
	EXPECT_EQ(device ? EINVAL : 0, advise(&block, MADV_FREE));
	fill(&block);
	EXPECT_EQ(0, advise(&block, MADV_DONTNEED));
	EXPECT_EQ(device, intact(self->key, &block));
	EXPECT_EQ(device ? pattern(1, PAGE) : 0, *page_of(&block));
	/* what frees the pages of shared memory */
	EXPECT_EQ(device ? 0 : EINVAL, advise(&block, MADV_REMOVE));
	EXPECT_EQ(0, *page_of(&block));
	fill(&block);
	EXPECT_TRUE(intact(self->key, &block));
}

TEST_F(expert, memory_of_blocks_is_not_registered_with_userfaultfd_where_it_is_the_modules)
{
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	struct uffdio_api api = { .api = UFFD_API };
	size_t i;

	if (fd < 0 || ioctl(fd, UFFDIO_API, &api))
		SKIP_TEST("no userfaultfd: %s", strerror(errno));
	for (i = 0; i < COUNT_OF(some_sizes); i++) {
		struct block block = { get(self->key, some_sizes[i]), some_sizes[i], i };
		struct uffdio_register arg = {
			.range = { (unsigned long)page_of(&block), PAGE },
			.mode = UFFDIO_REGISTER_MODE_MISSING,
		};
		int error = error_of(ioctl(fd, UFFDIO_REGISTER, &arg));

		EXPECT_EQ(variant->backend == EXPERTMEM_BACKEND_DEVICE ? EINVAL : 0, error);
		if (!error)
			EXPECT_EQ(0, ioctl(fd, UFFDIO_UNREGISTER, &arg.range));
	}
	close(fd);
}

/* Private memory does all of this, to the program's own harm. Huge pages: where there are any. */
TEST_F(device, no_part_of_a_block_gets_huge_pages_or_is_unmapped_moved_or_replaced)
{
	size_t i;

	for (i = 0; i < COUNT_OF(some_sizes); i++) {
		struct block block = { get(self->key, some_sizes[i]), some_sizes[i], i };
		unsigned char *page = page_of(&block);

		ASSERT_NE(NULL, block.at);
		fill(&block);
		EXPECT_EQ(EINVAL, advise(&block, MADV_HUGEPAGE));
		EXPECT_EQ(EINVAL, advise(&block, MADV_NOHUGEPAGE));
		EXPECT_EQ(EINVAL, error_of(munmap(page, PAGE)));
		EXPECT_EQ(MAP_FAILED, mremap(page, PAGE, 2 * PAGE, MREMAP_MAYMOVE));
		EXPECT_EQ(MAP_FAILED, mmap(page, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
					   -1, 0));
		EXPECT_TRUE(intact(self->key, &block));
	}
}

TEST_HARNESS_MAIN
