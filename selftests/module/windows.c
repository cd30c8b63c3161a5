// SPDX-License-Identifier: GPL-2.0
/*
 * Windows: which mappings of the device are possible, and what becomes of them in fork and
 * exec.
 *
 * needs: module root
 */
#include "window_test.h"

/* The other of the two windows. */
static const struct window *other_kind(const struct window *w)
{
	return w->offset == EXPERTMEM_SMALL_OFFSET ? &huge_window : &small_window;
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
	EXPECT_EQ(-EACCES, map(fd, 2 * MIB, PROT_READ, MAP_SHARED, self->w.offset));
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
	EXPECT_EQ(self->size, stat.reclaimed_bytes);
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
	EXPECT_EQ(self->size + other.granule, stat.reclaimed_bytes);
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

	NEED_INHERITANCE(w);
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

	NEED_INHERITANCE(w);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(munmap(w->addr, w->size) ? 1 : 0);
	EXPECT_EQ(0, child_status(pid));
	EXPECT_TRUE(intact(self));
	EXPECT_EQ(0, write_touch(at(w, self->offset)));
}

TEST_F(window, grandchild_that_inherits_a_window_has_and_takes_nothing)
{
	const struct window *w = &self->w;
	pid_t pid;

	NEED_INHERITANCE(w);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		/* who is its parent then is no owner */
		pid = fork();
		if (!pid)
			_exit(read_touch(at(w, self->offset)) != SIGSEGV);
		_exit(munmap(w->addr, w->size) || child_status(pid));
	}
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
	EXPECT_EQ(variant->kind.granule, stat.reclaimed_bytes);
	EXPECT_EQ(0, kill(pid, SIGKILL));
	EXPECT_EQ(128 + SIGKILL, child_status(pid));
	close(done[0]);
	close(fd);
}

TEST_HARNESS_MAIN
