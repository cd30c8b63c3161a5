// SPDX-License-Identifier: GPL-2.0
/*
 * Windows: what may be done with a mapping of the device, and what becomes of it in
 * fork and exec.
 */
#include <sys/uio.h>

#include "kselftest_harness.h"

#include "expertmem_test.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif

#define WINDOW_SIZE	GIB
#define BYTE		0x5a

FIXTURE(window) {
	struct window w;
	__u64 offset;		/* a region in it, full of BYTE */
	__u64 size;
};

FIXTURE_VARIANT(window) {
	struct window kind;
};

FIXTURE_VARIANT_ADD(window, small) {
	.kind = SMALL_WINDOW,
};

FIXTURE_VARIANT_ADD(window, huge) {
	.kind = HUGE_WINDOW,
};

FIXTURE_SETUP(window)
{
	NEED_DEVICE();
	ASSERT_EQ(0, window_open(&self->w, &variant->kind, WINDOW_SIZE, 0));
	self->size = 4 * self->w.granule;
	ASSERT_EQ(0, region_alloc(&self->w, self->size, &self->offset));
	memset(at(&self->w, self->offset), BYTE, self->size);
}

FIXTURE_TEARDOWN(window)
{
	window_close(&self->w);
}

static bool intact(const FIXTURE_DATA(window) *self)
{
	struct expertmem_stat stat = expert_stat(self->w.fd);

	return stat.state == EXPERTMEM_STATE_RUNNING && stat.committed == self->size &&
	       stat.resident == self->size &&
	       all_bytes(at(&self->w, self->offset), self->size, BYTE);
}

/* The other of the two windows. */
static const struct window *other_kind(const struct window *w)
{
	return w->offset == EXPERTMEM_SMALL_OFFSET ? &huge_window : &small_window;
}

static int map(int fd, size_t size, int prot, int flags, __u64 offset)
{
	void *addr = mmap(NULL, size, prot, flags, fd, offset);

	return addr == MAP_FAILED ? -errno : 0;
}

/* Wait for the other end of a pipe to be closed. */
static void wait_for_close(int fd)
{
	char byte;

	while (read(fd, &byte, 1) > 0)
		;
}

/* -------------------------------------------------------------------- mapping */

TEST_F(window, longest_window_is_mapped_aligned)
{
	struct window w;

	ASSERT_EQ(0, window_open(&w, &variant->kind, EXPERTMEM_WINDOW_MAX, 0));
	EXPECT_EQ(0, (uintptr_t)w.addr % w.granule);
	EXPECT_EQ(SIGSEGV, read_touch(w.addr));
	EXPECT_EQ(SIGSEGV, read_touch(w.addr + w.size - 1));
	window_close(&w);
}

TEST_F(window, mapping_that_is_no_window_is_invalid)
{
	const int rw = PROT_READ | PROT_WRITE;
	__u64 offset = self->w.offset, granule = self->w.granule;
	struct window w;
	int fd = expert_open();

	ASSERT_LE(0, fd);
	EXPECT_EQ(-EINVAL, map(fd, MIB * 2, rw, MAP_PRIVATE, offset));
	EXPECT_EQ(-EINVAL, map(fd, MIB * 2, rw | PROT_EXEC, MAP_SHARED, offset));
	EXPECT_EQ(-EINVAL, map(fd, MIB * 2, PROT_EXEC, MAP_SHARED, offset));
	EXPECT_EQ(-EINVAL, map(fd, 0, rw, MAP_SHARED, offset));
	EXPECT_EQ(-EINVAL, map(fd, EXPERTMEM_WINDOW_MAX + granule, rw, MAP_SHARED, offset));
	EXPECT_EQ(-EINVAL, map(fd, MIB * 2, rw, MAP_SHARED, offset + 1));
	EXPECT_EQ(-EINVAL, map(fd, MIB * 2, rw, MAP_SHARED, offset + PAGE));
	EXPECT_EQ(-EINVAL, map(fd, MIB * 2, rw, MAP_SHARED, offset - PAGE));
	EXPECT_EQ(-EINVAL, map(fd, MIB * 2, rw, MAP_SHARED, offset + HUGE));
	EXPECT_EQ(-EINVAL, map(fd, MIB * 2, rw, MAP_SHARED, PAGE));
	EXPECT_EQ(-EINVAL, map(fd, MIB * 2, rw, MAP_SHARED, 3 * EXPERTMEM_WINDOW_MAX));
	if (granule > PAGE) {
		EXPECT_EQ(-EINVAL, map(fd, granule + PAGE, rw, MAP_SHARED, offset));
		EXPECT_EQ(-EINVAL, map(fd, granule / 2, rw, MAP_SHARED, offset));
	}

	/* and none of these was the one mapping that it may have */
	EXPECT_EQ(EXPERTMEM_STATE_IDLE, expert_stat(fd).state);
	EXPECT_EQ(0, window_map(&w, &variant->kind, fd, 2 * MIB));
	window_close(&w);
}

TEST_F(window, read_only_descriptor_has_no_window)
{
	int fd = open(DEVICE, O_RDONLY);

	ASSERT_LE(0, fd);
	EXPECT_EQ(-EACCES, map(fd, 2 * MIB, PROT_READ | PROT_WRITE, MAP_SHARED, self->w.offset));
	EXPECT_EQ(-EINVAL, map(fd, 2 * MIB, PROT_READ, MAP_SHARED, self->w.offset));
	EXPECT_EQ(EXPERTMEM_STATE_IDLE, expert_stat(fd).state);
	close(fd);
}

TEST_F(window, second_mapping_is_busy)
{
	const int rw = PROT_READ | PROT_WRITE;
	struct window other;
	pid_t pid;

	EXPECT_EQ(-EBUSY, map(self->w.fd, 2 * MIB, rw, MAP_SHARED, self->w.offset));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(-map(self->w.fd, 2 * MIB, rw, MAP_SHARED, self->w.offset));
	EXPECT_EQ(EBUSY, child_status(pid));
	EXPECT_TRUE(intact(self));

	/* nor when the first one is gone, but the expert lives */
	ASSERT_EQ(0, window_map(&other, other_kind(&self->w), self->w.fd, 2 * MIB));
	ASSERT_EQ(0, munmap(self->w.addr, self->w.size));
	EXPECT_EQ(-EBUSY, map(self->w.fd, 2 * MIB, rw, MAP_SHARED, self->w.offset));
	EXPECT_EQ(EXPERTMEM_STATE_RUNNING, expert_stat(self->w.fd).state);
}

TEST_F(window, populating_a_mapping_finds_nothing_to_populate)
{
	int fd = expert_open();

	ASSERT_LE(0, fd);
	EXPECT_EQ(0, map(fd, TIB, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
			 self->w.offset));
	EXPECT_EQ(0, expert_stat(fd).resident);
	close(fd);
}

TEST_F(window, locking_all_memory_does_no_harm)
{
	struct window other;
	__u64 offset;

	ASSERT_EQ(0, mlockall(MCL_CURRENT | MCL_FUTURE));
	EXPECT_TRUE(intact(self));
	ASSERT_EQ(0, window_map(&other, other_kind(&self->w), self->w.fd, TIB));
	ASSERT_EQ(0, region_alloc(&other, 1, &offset));
	EXPECT_EQ(0, write_touch(at(&other, offset)));
	ASSERT_EQ(0, munlockall());
	ASSERT_EQ(0, region_free(&other, offset));
	EXPECT_TRUE(intact(self));
	munmap(other.addr, other.size);
}

/* --------------------------------------------------------- windows stay whole */

TEST_F(window, part_of_a_window_cannot_be_unmapped)
{
	const struct window *w = &self->w;

	EXPECT_EQ(-EINVAL, result(munmap(w->addr, w->granule)));
	EXPECT_EQ(-EINVAL, result(munmap(w->addr + w->size - w->granule, w->granule)));
	EXPECT_EQ(-EINVAL, result(munmap(at(w, self->offset), self->size)));
	EXPECT_TRUE(intact(self));
	EXPECT_EQ(SIGSEGV, read_touch(w->addr));
	EXPECT_EQ(0, region_free(w, self->offset));
}

TEST_F(window, part_of_a_window_cannot_be_protected)
{
	const struct window *w = &self->w;

	EXPECT_EQ(-EINVAL, result(mprotect(w->addr, w->granule, PROT_NONE)));
	EXPECT_EQ(-EINVAL, result(mprotect(at(w, self->offset), self->size, PROT_READ)));
	EXPECT_EQ(-EINVAL, result(mprotect(w->addr + w->size - PAGE, PAGE, PROT_NONE)));
	EXPECT_EQ(0, write_touch(at(w, self->offset)));
	EXPECT_TRUE(intact(self));
}

TEST_F(window, whole_window_can_be_protected)
{
	const struct window *w = &self->w;

	ASSERT_EQ(0, mprotect(w->addr, w->size, PROT_NONE));
	EXPECT_EQ(SIGSEGV, read_touch(at(w, self->offset)));
	ASSERT_EQ(0, mprotect(w->addr, w->size, PROT_READ));
	EXPECT_EQ(0, read_touch(at(w, self->offset)));
	EXPECT_EQ(SIGSEGV, write_touch(at(w, self->offset)));
	ASSERT_EQ(0, mprotect(w->addr, w->size, PROT_READ | PROT_WRITE));
	EXPECT_EQ(0, write_touch(at(w, self->offset)));
	EXPECT_TRUE(intact(self));
}

TEST_F(window, window_cannot_be_made_executable)
{
	const struct window *w = &self->w;

	EXPECT_EQ(-EACCES, result(mprotect(w->addr, w->size, PROT_READ | PROT_EXEC)));
	EXPECT_EQ(-EACCES, result(mprotect(w->addr, w->size, PROT_EXEC)));
	EXPECT_EQ(0, write_touch(at(w, self->offset)));
	EXPECT_TRUE(intact(self));
}

TEST_F(window, window_cannot_be_moved_resized_or_doubled)
{
	const struct window *w = &self->w;
	unsigned char *hole = mmap(NULL, 2 * w->size, PROT_NONE,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	const struct {
		const char *what;
		unsigned char *addr;
		size_t old_size, new_size;
		int flags;
	} calls[] = {
		{ "shrink", w->addr, w->size, w->size / 2, 0 },
		{ "shrink and move", w->addr, w->size, w->size / 2, MREMAP_MAYMOVE | MREMAP_FIXED },
		{ "grow", w->addr, w->size, w->size + w->granule, 0 },
		{ "grow or move", w->addr, w->size, w->size + w->granule, MREMAP_MAYMOVE },
		{ "move", w->addr, w->size, w->size, MREMAP_MAYMOVE | MREMAP_FIXED },
		{ "move a part", at(w, self->offset), self->size, self->size,
		  MREMAP_MAYMOVE | MREMAP_FIXED },
		{ "double", w->addr, 0, w->size, MREMAP_MAYMOVE },
		{ "double a part", at(w, self->offset), 0, self->size, MREMAP_MAYMOVE },
		{ "leave behind", w->addr, w->size, w->size, MREMAP_MAYMOVE | MREMAP_DONTUNMAP },
	};
	size_t i;

	ASSERT_NE(MAP_FAILED, hole);
	for (i = 0; i < COUNT_OF(calls); i++) {
		EXPECT_EQ(MAP_FAILED, mremap(calls[i].addr, calls[i].old_size,
					     calls[i].new_size, calls[i].flags, hole))
			TH_LOG("%s", calls[i].what);
		/* which of the two is the mm's business */
		EXPECT_TRUE(errno == EINVAL || errno == EFAULT)
			TH_LOG("%s: %s", calls[i].what, strerror(errno));
		EXPECT_EQ(0, write_touch(at(w, self->offset)));
		EXPECT_TRUE(intact(self));
	}
	EXPECT_EQ(SIGSEGV, read_touch(hole));
	EXPECT_EQ(0, region_realloc(w, self->offset, w->granule));
}

TEST_F(window, pages_cannot_be_remapped)
{
	const struct window *w = &self->w;
	unsigned char *addr = at(w, self->offset);

	EXPECT_EQ(-1, remap_file_pages(w->addr, w->size, 0, w->offset / PAGE, 0));
	EXPECT_EQ(-1, remap_file_pages(addr, w->granule, 0, self->offset / PAGE, 0));
	EXPECT_EQ(-1, remap_file_pages(addr, w->granule, 0, w->offset / PAGE, 0));
	EXPECT_EQ(SIGSEGV, read_touch(w->addr));
	EXPECT_TRUE(intact(self));
}

TEST_F(window, nothing_can_be_mapped_over_part_of_a_window)
{
	const struct window *w = &self->w;
	void *addr = mmap(at(w, self->offset), w->granule, PROT_READ,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

	EXPECT_EQ(MAP_FAILED, addr);
	EXPECT_TRUE(errno == ENOMEM || errno == EINVAL);
	EXPECT_TRUE(intact(self));
}

TEST_F(window, mapping_over_the_whole_window_is_unmapping_it)
{
	const struct window *w = &self->w;

	ASSERT_EQ(w->addr, mmap(w->addr, w->size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS |
				MAP_NORESERVE | MAP_FIXED, -1, 0));
	EXPECT_EQ(EXPERTMEM_STATE_RECLAIMED, expert_stat(w->fd).state);
	EXPECT_EQ(EXPERTMEM_CAUSE_DETACH, expert_stat(w->fd).cause);
	EXPECT_EQ(0, expert_stat(w->fd).resident);
	EXPECT_EQ(0, *at(w, self->offset));
}

/* --------------------------------------------------------------------- unmap */

TEST_F(window, last_unmap_reclaims)
{
	const struct window *w = &self->w;
	struct expertmem_stat stat;
	__u64 offset;

	ASSERT_EQ(0, munmap(w->addr, w->size));
	stat = expert_stat(w->fd);
	EXPECT_EQ(EXPERTMEM_STATE_RECLAIMED, stat.state);
	EXPECT_EQ(EXPERTMEM_CAUSE_DETACH, stat.cause);
	EXPECT_EQ(0, stat.committed);
	EXPECT_EQ(0, stat.resident);
	EXPECT_EQ(0, stat.regions);
	EXPECT_EQ(self->size, stat.reclaimed);
	EXPECT_EQ(-ESHUTDOWN, map(w->fd, 2 * MIB, PROT_READ, MAP_SHARED, EXPERTMEM_SMALL_OFFSET));
	EXPECT_EQ(-ESHUTDOWN, map(w->fd, 2 * MIB, PROT_READ, MAP_SHARED, EXPERTMEM_HUGE_OFFSET));
	EXPECT_EQ(-ESHUTDOWN, region_alloc(w, 1, &offset));
	EXPECT_EQ(-ESHUTDOWN, region_realloc(w, self->offset, 1));
	EXPECT_EQ(-ESHUTDOWN, region_free(w, self->offset));
}

TEST_F(window, first_unmap_takes_the_regions_of_that_window)
{
	const struct window *w = &self->w;
	struct expertmem_stat stat;
	struct window other;
	__u64 offset, more;

	ASSERT_EQ(0, window_map(&other, other_kind(w), w->fd, GIB));
	ASSERT_EQ(0, region_alloc(&other, 1, &offset));
	*at(&other, offset) = 1;
	ASSERT_EQ(0, munmap(w->addr, w->size));
	stat = expert_stat(w->fd);
	EXPECT_EQ(EXPERTMEM_STATE_RUNNING, stat.state);
	EXPECT_EQ(EXPERTMEM_CAUSE_NONE, stat.cause);
	EXPECT_EQ(other.granule, stat.committed);
	EXPECT_EQ(other.granule, stat.resident);
	EXPECT_EQ(1, stat.regions);
	EXPECT_EQ(-ESHUTDOWN, region_alloc(w, 1, &more));
	EXPECT_EQ(-ESHUTDOWN, region_realloc(w, self->offset, 1));
	EXPECT_EQ(-ESHUTDOWN, region_free(w, self->offset));

	EXPECT_EQ(1, *at(&other, offset));
	EXPECT_EQ(0, region_alloc(&other, 1, &more));
	EXPECT_EQ(0, write_touch(at(&other, more)));
	EXPECT_EQ(0, region_free(&other, offset));

	ASSERT_EQ(0, munmap(other.addr, other.size));
	stat = expert_stat(w->fd);
	EXPECT_EQ(EXPERTMEM_STATE_RECLAIMED, stat.state);
	EXPECT_EQ(self->size + other.granule, stat.reclaimed);
	EXPECT_EQ(0, stat.resident);
}

/* -------------------------------------------------------------- fork and exec */

TEST_F(window, forked_child_has_no_window)
{
	pid_t pid = fork();

	ASSERT_LE(0, pid);
	if (!pid)
		_exit(read_touch(at(&self->w, self->offset)));
	EXPECT_EQ(SIGSEGV, child_status(pid));
	EXPECT_TRUE(intact(self));
}

TEST_F(window, child_with_the_descriptor_can_allocate_for_its_parent)
{
	__u64 *offset = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid;

	ASSERT_NE(MAP_FAILED, offset);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(-region_alloc_flags(&self->w, EXPERTMEM_ALLOC_POPULATE, 1, 0, offset));
	ASSERT_EQ(0, child_status(pid));
	EXPECT_EQ(0, write_touch(at(&self->w, *offset)));
	EXPECT_EQ(self->size + self->w.granule, expert_stat(self->w.fd).resident);
	EXPECT_EQ(0, region_free(&self->w, *offset));
	EXPECT_TRUE(intact(self));
}

TEST_F(window, window_that_a_child_inherits_is_empty_there)
{
	const struct window *w = &self->w;
	int done[2];
	pid_t pid;

	if (madvise(w->addr, w->size, MADV_DOFORK))
		SKIP_TEST("this kernel lets no child inherit a window");
	ASSERT_EQ(0, pipe(done));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		int sig = read_touch(at(w, self->offset));

		if (sig == SIGSEGV)
			sig = write_touch(at(w, self->offset));
		if (sig != SIGSEGV)
			_exit(1);
		close(done[0]);
		close(done[1]);
		pause();
		_exit(2);
	}
	close(done[1]);
	wait_for_close(done[0]);
	EXPECT_TRUE(intact(self));

	/* the child lives, and still shows a mapping of the device */
	ASSERT_EQ(0, munmap(w->addr, w->size));
	EXPECT_EQ(EXPERTMEM_STATE_RECLAIMED, expert_stat(w->fd).state);
	EXPECT_EQ(EXPERTMEM_CAUSE_DETACH, expert_stat(w->fd).cause);
	EXPECT_EQ(0, expert_stat(w->fd).resident);
	EXPECT_EQ(0, kill(pid, SIGKILL));
	EXPECT_EQ(128 + SIGKILL, child_status(pid));
	close(done[0]);
}

TEST_F(window, child_that_drops_an_inherited_window_takes_nothing)
{
	const struct window *w = &self->w;
	pid_t pid;

	if (madvise(w->addr, w->size, MADV_DOFORK))
		SKIP_TEST("this kernel lets no child inherit a window");
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(munmap(w->addr, w->size) ? 1 : 0);
	EXPECT_EQ(0, child_status(pid));
	EXPECT_TRUE(intact(self));
	EXPECT_EQ(0, write_touch(at(w, self->offset)));
}

TEST_F(window, exec_reclaims_while_the_descriptor_lives_on)
{
	struct expertmem_stat stat;
	struct window w;
	__u64 offset;
	int done[2];
	pid_t pid;
	int fd = open(DEVICE, O_RDWR);

	ASSERT_LE(0, fd);
	/* the writing end is closed by exec, which is when we go on */
	ASSERT_EQ(0, pipe2(done, O_CLOEXEC));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		if (window_map(&w, &variant->kind, fd, GIB) ||
		    region_alloc_flags(&w, EXPERTMEM_ALLOC_POPULATE, 1, 0, &offset))
			_exit(1);
		execlp("sleep", "sleep", "1000", NULL);
		_exit(2);
	}
	close(done[1]);
	wait_for_close(done[0]);
	stat = expert_stat(fd);
	EXPECT_EQ(EXPERTMEM_STATE_RECLAIMED, stat.state);
	EXPECT_EQ(EXPERTMEM_CAUSE_DETACH, stat.cause);
	EXPECT_EQ(0, stat.committed);
	EXPECT_EQ(0, stat.resident);
	EXPECT_EQ(variant->kind.granule, stat.reclaimed);
	EXPECT_EQ(0, kill(pid, SIGKILL));
	EXPECT_EQ(128 + SIGKILL, child_status(pid));
	close(done[0]);
	close(fd);
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
	EXPECT_NE(NULL, strstr(flags, " dc "));	/* do not copy on fork */
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

/* ------------------------------------------------------------- the status page */

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
