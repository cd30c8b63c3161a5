// SPDX-License-Identifier: GPL-2.0
/*
 * The pages of a window: advice about them, huge pages, and reads and writes that the kernel
 * makes in system calls.
 *
 * needs: module root
 */
#include <sys/uio.h>

#include "window_test.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif

/* -------------------------------------------------------- pages that are made ahead */

/* Write to one page in @step of a new region of @pages pages. Returns the pages it has then. */
static __u64 pages_after(const struct window *w, __u64 pages, __u64 step)
{
	__u64 before = expert_stat(w->fd).resident, offset, i;

	if (region_alloc(w, pages * PAGE, &offset))
		return 0;
	for (i = 0; i < pages; i += step)
		*at(w, offset + i * PAGE) = BYTE;
	return (expert_stat(w->fd).resident - before) / PAGE;
}

#define SMALL_ONLY() do { if (self->w.granule != PAGE)			\
	SKIP(return, "the huge window has huge pages"); } while (0)

TEST_F(window, pages_touched_in_order_are_made_ahead_and_hold_zeros)
{
	static const __u64 after[] = { 1, 3, 3, 7, 7, 7, 7, 15, 15, 15, 15, 15, 15, 15, 15, 31 };
	const struct window *w = &self->w;
	__u64 before = expert_stat(w->fd).resident, offset, block, i;

	SMALL_ONLY();
	ASSERT_EQ(0, region_alloc(w, 96 * PAGE, &offset));
	/* Pages are made ahead up to the end of 128 KiB of addresses. */
	block = -(unsigned long)at(w, offset) % (32 * PAGE) / PAGE;
	for (i = 0; i < COUNT_OF(after); i++) {
		unsigned char *page = at(w, offset + (block + i) * PAGE);

		/* before the reads: a page that is read first is not made ahead of others */
		*(volatile unsigned char *)page = BYTE;
		__asm__ volatile("" : : : "memory");
		ASSERT_TRUE(all_bytes(page + 1, PAGE - 1, 0)) {
			TH_LOG("page %llu", i);
		}
		EXPECT_EQ(after[i] * PAGE, expert_stat(w->fd).resident - before) {
			TH_LOG("page %llu", i);
		}
	}
	EXPECT_TRUE(all_bytes(at(w, self->offset), self->size, BYTE));
}

TEST_F(window, pages_touched_out_of_order_are_not_made_ahead)
{
	SMALL_ONLY();
	EXPECT_EQ(50, pages_after(&self->w, 100, 2));
	EXPECT_EQ(10, pages_after(&self->w, 100, 10));
}

/* As the slabs of a heap whose first one is full. */
TEST_F(window, a_stride_after_full_pages_makes_few_pages_ahead)
{
	const struct window *w = &self->w;
	__u64 before = expert_stat(w->fd).resident, offset, i;
	unsigned char *start;

	SMALL_ONLY();
	ASSERT_EQ(0, region_alloc(w, (4096 + 32) * PAGE, &offset));
	start = at(w, offset) + -(unsigned long)at(w, offset) % (32 * PAGE);
	memset(start, BYTE, 32 * PAGE);
	for (i = 32; i < 4096; i += 16)
		start[i * PAGE] = BYTE;
	/* 286 pages are written to; at the start of each of 9 page tables, 31 may be made ahead. */
	EXPECT_GE((286 + 9 * 31) * PAGE, expert_stat(w->fd).resident - before);
}

TEST_F(window, pages_that_are_read_are_not_made_ahead)
{
	const struct window *w = &self->w;
	__u64 before = expert_stat(w->fd).resident, offset;

	SMALL_ONLY();
	ASSERT_EQ(0, region_alloc(w, 32 * PAGE, &offset));
	ASSERT_TRUE(all_bytes(at(w, offset), 20 * PAGE, 0));
	EXPECT_EQ(20 * PAGE, expert_stat(w->fd).resident - before);
}

TEST_F(window, no_page_is_made_ahead_behind_the_end_of_a_region)
{
	const struct window *w = &self->w;
	__u64 before, offset, pages;

	SMALL_ONLY();
	for (pages = 1; pages <= 40; pages++)
		EXPECT_EQ(pages, pages_after(w, pages, 1));
	before = expert_stat(w->fd).resident;
	ASSERT_EQ(0, region_alloc(w, 40 * PAGE, &offset));
	memset(at(w, offset), BYTE, 20 * PAGE);
	EXPECT_LT(20 * PAGE, expert_stat(w->fd).resident - before);
	ASSERT_EQ(0, region_realloc(w, offset, 20 * PAGE));
	EXPECT_EQ(20 * PAGE, expert_stat(w->fd).resident - before);
	EXPECT_EQ(SIGSEGV, read_touch(at(w, offset + 20 * PAGE)));
	EXPECT_EQ(SIGSEGV, write_touch(at(w, offset + 21 * PAGE)));
	ASSERT_EQ(0, region_realloc(w, offset, 40 * PAGE));
	EXPECT_TRUE(all_bytes(at(w, offset), 20 * PAGE, BYTE));
	EXPECT_TRUE(all_bytes(at(w, offset + 20 * PAGE), 20 * PAGE, 0));
}

TEST_F(window, random_access_by_advice_makes_no_page_ahead)
{
	const struct window *w = &self->w;
	__u64 before = expert_stat(w->fd).resident, offset, i;

	SMALL_ONLY();
	ASSERT_EQ(0, madvise(w->addr, w->size, MADV_RANDOM));
	ASSERT_EQ(0, region_alloc(w, 32 * PAGE, &offset));
	for (i = 0; i < 32; i++) {
		*at(w, offset + i * PAGE) = BYTE;
		ASSERT_EQ((i + 1) * PAGE, expert_stat(w->fd).resident - before);
	}
	ASSERT_EQ(0, madvise(w->addr, w->size, MADV_NORMAL));
	EXPECT_EQ(32, pages_after(w, 32, 1));
}

/* -------------------------------------------------------------------- madvise */

TEST_F(window, pages_given_back_read_as_zero)
{
	const struct window *w = &self->w;
	unsigned char *addr = at(w, self->offset);

	ASSERT_EQ(0, madvise(addr + w->granule, 2 * w->granule, MADV_REMOVE));
	EXPECT_EQ(self->size, expert_stat(w->fd).committed);
	EXPECT_EQ(self->size - 2 * w->granule, expert_stat(w->fd).resident);
	EXPECT_TRUE(all_bytes(addr, w->granule, BYTE));
	EXPECT_TRUE(all_bytes(addr + w->granule, 2 * w->granule, 0));
	EXPECT_TRUE(all_bytes(addr + 3 * w->granule, w->granule, BYTE));
	EXPECT_EQ(0, write_touch(addr + w->granule));
	EXPECT_EQ(SIGSEGV, read_touch(addr + self->size));
}

TEST_F(window, single_page_given_back_reads_as_zero)
{
	unsigned char *addr = at(&self->w, self->offset);

	ASSERT_EQ(0, madvise(addr + PAGE, PAGE, MADV_REMOVE));
	EXPECT_TRUE(all_bytes(addr, PAGE, BYTE));
	EXPECT_TRUE(all_bytes(addr + PAGE, PAGE, 0));
	EXPECT_TRUE(all_bytes(addr + 2 * PAGE, self->size - 2 * PAGE, BYTE));
	memset(addr + PAGE, BYTE, PAGE);
	EXPECT_TRUE(intact(self));
}

TEST_F(window, advice_to_drop_pages_keeps_the_data)
{
	const struct window *w = &self->w;

	ASSERT_EQ(0, madvise(at(w, self->offset), self->size, MADV_DONTNEED));
	EXPECT_TRUE(intact(self));
	ASSERT_EQ(0, madvise(w->addr, w->size, MADV_DONTNEED));
	EXPECT_TRUE(intact(self));
}

TEST_F(window, syncing_is_no_error)
{
	EXPECT_EQ(0, msync(self->w.addr, self->w.size, MS_SYNC));
	EXPECT_TRUE(intact(self));
}

TEST_F(window, pages_can_be_populated_by_advice_within_a_region_only)
{
	const struct window *w = &self->w;
	__u64 offset;

	ASSERT_EQ(0, region_alloc(w, self->size, &offset));
	EXPECT_EQ(0, madvise(at(w, offset), self->size, MADV_POPULATE_WRITE));
	EXPECT_EQ(2 * self->size, expert_stat(w->fd).resident);
	EXPECT_EQ(-EFAULT, result(madvise(at(w, offset), self->size + w->granule,
					  MADV_POPULATE_WRITE)));
	EXPECT_EQ(-EFAULT, result(madvise(at(w, offset + self->size), w->granule,
					  MADV_POPULATE_READ)));
	EXPECT_EQ(2 * self->size, expert_stat(w->fd).resident);
}

TEST_F(window, pages_cannot_be_collapsed_across_regions)
{
	const struct window *w = &self->w;
	unsigned char *addr = at(w, self->offset);

	addr -= (addr - w->addr) % HUGE;
	EXPECT_EQ(-EINVAL, result(madvise(addr, HUGE, MADV_COLLAPSE)));
	EXPECT_TRUE(intact(self));
}

TEST_F(window, window_cannot_be_put_into_core_dumps)
{
	const struct window *w = &self->w;
	char line[512], start[32], *flags = NULL;
	bool ours = false;
	FILE *file;

	EXPECT_EQ(-EINVAL, result(madvise(w->addr, w->size, MADV_DODUMP)));
	file = fopen("/proc/self/smaps", "re");
	ASSERT_NE(NULL, file);
	snprintf(start, sizeof(start), "%lx-", (unsigned long)w->addr);
	while (!flags && fgets(line, sizeof(line), file)) {
		if (!strncmp(line, start, strlen(start)))
			ours = true;
		else if (ours && !strncmp(line, "VmFlags:", 8))
			flags = line;
	}
	fclose(file);
	ASSERT_NE(NULL, flags);
	EXPECT_NE(NULL, strstr(flags, " dd "));	/* do not dump */
	EXPECT_NE(NULL, strstr(flags, " de "));	/* do not expand */
}

/* ------------------------------------------------- the kernel reads and writes */

TEST_F(window, memory_can_be_given_to_a_pipe)
{
	struct iovec iov = { at(&self->w, self->offset), PAGE };
	unsigned char page[PAGE];
	int ends[2];

	ASSERT_EQ(0, pipe(ends));
	ASSERT_EQ(PAGE, vmsplice(ends[1], &iov, 1, 0));
	ASSERT_EQ(0, region_free(&self->w, self->offset));
	EXPECT_EQ(0, expert_stat(self->w.fd).resident);
	/* the pipe holds the page */
	ASSERT_EQ(PAGE, read(ends[0], page, PAGE));
	EXPECT_TRUE(all_bytes(page, PAGE, BYTE));
	close(ends[0]);
	close(ends[1]);
}

TEST_F(window, another_process_can_read_and_write_regions_only)
{
	const struct window *w = &self->w;
	unsigned char *addr = at(w, self->offset);
	unsigned char page[PAGE];
	struct iovec here = { page, PAGE };
	struct iovec region = { addr, PAGE };
	struct iovec behind = { addr + self->size, PAGE };
	pid_t pid = fork();

	ASSERT_LE(0, pid);
	if (!pid) {
		int err = 0;

		pid = getppid();
		if (process_vm_readv(pid, &here, 1, &region, 1, 0) != PAGE ||
		    !all_bytes(page, PAGE, BYTE))
			err |= 1;
		if (process_vm_readv(pid, &here, 1, &behind, 1, 0) != -1 || errno != EFAULT)
			err |= 2;
		if (process_vm_writev(pid, &here, 1, &behind, 1, 0) != -1 || errno != EFAULT)
			err |= 4;
		memset(page, 1, PAGE);
		if (process_vm_writev(pid, &here, 1, &region, 1, 0) != PAGE)
			err |= 8;
		_exit(err);
	}
	EXPECT_EQ(0, child_status(pid));
	EXPECT_TRUE(all_bytes(addr, PAGE, 1));
	memset(addr, BYTE, PAGE);
	EXPECT_TRUE(intact(self));
}

TEST_F(window, system_calls_on_memory_outside_regions_fault)
{
	const struct window *w = &self->w;
	unsigned char *addr = at(w, self->offset);
	unsigned char page[PAGE];
	int ends[2];

	memset(page, BYTE, PAGE);
	ASSERT_EQ(0, pipe(ends));
	EXPECT_EQ(-EFAULT, result(write(ends[1], addr + self->size, PAGE)));
	EXPECT_EQ(-EFAULT, result(write(ends[1], addr - PAGE, PAGE)));
	EXPECT_EQ(-EFAULT, result(write(ends[1], w->addr, PAGE)));
	ASSERT_EQ(PAGE, write(ends[1], page, PAGE));
	EXPECT_EQ(-EFAULT, result(read(ends[0], addr + self->size, PAGE)));
	EXPECT_EQ(-EFAULT, expert_ioctl(w->fd, EXPERTMEM_IOC_STAT, addr + self->size));
	EXPECT_TRUE(intact(self));

	EXPECT_EQ(PAGE, write(ends[1], addr, PAGE));
	EXPECT_EQ(PAGE, read(ends[0], addr + self->size - PAGE, PAGE));
	EXPECT_TRUE(intact(self));
	close(ends[0]);
	close(ends[1]);
}

TEST_F(window, ioctl_arguments_may_be_in_the_window)
{
	struct expertmem_alloc *alloc = (void *)at(&self->w, self->offset);
	struct expertmem_stat *stat = (void *)alloc;

	memset(alloc, 0, sizeof(*alloc));
	alloc->size = 1;
	alloc->flags = self->w.flags | EXPERTMEM_ALLOC_POPULATE;
	ASSERT_EQ(0, expert_ioctl(self->w.fd, EXPERTMEM_IOC_ALLOC, alloc));
	EXPECT_EQ(0, write_touch(at(&self->w, alloc->offset)));
	ASSERT_EQ(0, expert_ioctl(self->w.fd, EXPERTMEM_IOC_STAT, stat));
	EXPECT_EQ(self->size + self->w.granule, stat->committed);
}

TEST_F(window, device_is_no_file_to_read_write_or_seek)
{
	char byte = 0;

	EXPECT_EQ(-EINVAL, result(read(self->w.fd, &byte, 1)));
	EXPECT_EQ(-EINVAL, result(write(self->w.fd, &byte, 1)));
	EXPECT_EQ(-ESPIPE, result(pread(self->w.fd, &byte, 1, self->w.offset)));
	EXPECT_EQ(-ESPIPE, result(pwrite(self->w.fd, &byte, 1, self->w.offset)));
	EXPECT_EQ(-ESPIPE, result(lseek(self->w.fd, 0, SEEK_END)));
	EXPECT_EQ(-EINVAL, result(ftruncate(self->w.fd, 0)));
	EXPECT_TRUE(intact(self));
}

/* ----------------------------------------------------------------- huge pages */

TEST(huge_window_maps_huge_pages_up_to_the_end_of_a_region)
{
	struct window w;
	__u64 offset, before;
	const __u64 size = 64 * MIB;

	NEED_DEVICE();
	ASSERT_EQ(0, window_open(&w, &huge_window, GIB, 0));
	if (!(expert_info(w.fd).features & EXPERTMEM_FEATURE_HUGE))
		SKIP_TEST("this kernel has no huge pages in tmpfs");
	before = meminfo("ShmemPmdMapped");
	ASSERT_EQ(0, region_alloc(&w, size, &offset));
	memset(at(&w, offset), BYTE, size);
	EXPECT_LE(before + 60 * MIB, meminfo("ShmemPmdMapped"));
	EXPECT_EQ(SIGSEGV, read_touch(at(&w, offset + size)));
	EXPECT_EQ(SIGSEGV, read_touch(at(&w, offset - 1)));

	/* the end moves with the region */
	ASSERT_EQ(0, region_realloc(&w, offset, size / 2));
	EXPECT_EQ(SIGSEGV, read_touch(at(&w, offset + size / 2)));
	EXPECT_TRUE(all_bytes(at(&w, offset), size / 2, BYTE));
	EXPECT_GE(before + size / 2, meminfo("ShmemPmdMapped"));
	ASSERT_EQ(0, region_free(&w, offset));
	EXPECT_GE(before, meminfo("ShmemPmdMapped"));
	window_close(&w);
}

TEST(small_window_holds_no_huge_page)
{
	__u64 before = meminfo("ShmemHugePages");
	struct window w;
	__u64 offset;

	NEED_DEVICE();
	ASSERT_EQ(0, window_open(&w, &small_window, GIB, 0));
	ASSERT_EQ(0, region_alloc(&w, 16 * MIB, &offset));
	memset(at(&w, offset), BYTE, 16 * MIB);
	EXPECT_EQ(16 * MIB, expert_stat(w.fd).resident);
	EXPECT_EQ(before, meminfo("ShmemHugePages"));
	window_close(&w);
}

TEST_HARNESS_MAIN
