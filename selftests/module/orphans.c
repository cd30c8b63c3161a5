// SPDX-License-Identifier: GPL-2.0
/*
 * Orphans: the mapping that a child inherits after MADV_DOFORK. No page of it can be touched,
 * and no call on it succeeds but an munmap() of all of it. The bytes of the parent are
 * unchanged, whatever the child or a grandchild tries.
 *
 * needs: module root
 */
#include <sys/syscall.h>
#include <sys/uio.h>
#include <linux/futex.h>

#include "advice_test.h"
#include "users_test.h"

/**
 * struct attack - what children try, and the first check that fails
 * @window: the fixture of their parent
 * @line: the line of the check; 0: none has failed
 * @answer: what the call answered there
 */
struct attack {
	const FIXTURE_DATA(window) *window;
	int line;
	int answer;
};

/* A check in a child: @cond judges answer, which is what the call @got has answered. */
#define CHECK(attack, cond, got)						\
	do {									\
		int answer = (got);						\
										\
		if (!(cond)) {							\
			(attack)->line = __LINE__;				\
			(attack)->answer = answer;				\
			return;							\
		}								\
	} while (0)

#define ANSWERS(attack, expected, got)	CHECK(attack, answer == (expected), got)

static void try_touching(struct attack *attack)
{
	struct range ranges[RANGES];
	int i;

	ranges_of(attack->window, ranges);
	for (i = 0; i < RANGES; i++) {
		ANSWERS(attack, SIGSEGV, read_touch(ranges[i].addr));
		ANSWERS(attack, SIGSEGV, write_touch(ranges[i].addr));
		ANSWERS(attack, SIGSEGV, write_touch(ranges[i].addr + ranges[i].size - 1));
	}
}

/* The kernel touches the mapping for the child. */
static void try_system_calls(struct attack *attack)
{
	unsigned char *addr = at(&attack->window->w, attack->window->offset);
	unsigned char buffer[64] = { };
	struct iovec here = { buffer, sizeof(buffer) }, there = { addr, sizeof(buffer) };
	int ends[2], memory;

	ANSWERS(attack, 0, pipe(ends));
	ANSWERS(attack, -EFAULT, result(write(ends[1], addr, sizeof(buffer))));
	ANSWERS(attack, -EFAULT, result(vmsplice(ends[1], &there, 1, 0)));
	ANSWERS(attack, sizeof(buffer), result(write(ends[1], buffer, sizeof(buffer))));
	ANSWERS(attack, -EFAULT, result(read(ends[0], addr, sizeof(buffer))));
	close(ends[0]);
	close(ends[1]);
	ANSWERS(attack, -EFAULT, expert_ioctl(attack->window->w.fd, EXPERTMEM_IOC_STAT, addr));
	ANSWERS(attack, -EFAULT, result(process_vm_readv(getpid(), &here, 1, &there, 1, 0)));
	ANSWERS(attack, -EFAULT, result(process_vm_writev(getpid(), &here, 1, &there, 1, 0)));
	ANSWERS(attack, -EFAULT, result(syscall(SYS_futex, addr, FUTEX_WAKE, 1, NULL, NULL, 0)));

	/* By this file, the kernel would write to a private mapping that is read-only. */
	memory = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	CHECK(attack, answer >= 0, memory);
	ANSWERS(attack, -EIO, result(pread(memory, buffer, sizeof(buffer), (long)addr)));
	ANSWERS(attack, -EIO, result(pwrite(memory, buffer, sizeof(buffer), (long)addr)));
	close(memory);
}

static void try_removing(struct attack *attack)
{
	int pidfd = result(syscall(SYS_pidfd_open, getpid(), 0));
	struct range ranges[RANGES];
	int i;

	ranges_of(attack->window, ranges);
	for (i = 0; i < RANGES; i++) {
		struct iovec iov = { ranges[i].addr, ranges[i].size };

		ANSWERS(attack, -EACCES, result(madvise(iov.iov_base, iov.iov_len, MADV_REMOVE)));
		CHECK(attack, answer == -EINVAL || answer == -EACCES,
		      result(syscall(SYS_process_madvise, pidfd, &iov, 1, MADV_REMOVE, 0)));
	}
	close(pidfd);
}

/* Kernels answer differently. 100 and 101 would take memory away from the machine. */
static void try_advice(struct attack *attack)
{
	struct range ranges[RANGES];
	int value, i;

	ranges_of(attack->window, ranges);
	for (value = 0; value <= 128; value++) {
		for (i = 0; i < RANGES; i++) {
			if (value != 100 && value != 101)
				madvise(ranges[i].addr, ranges[i].size, value);
		}
	}
	for (i = 0; i < RANGES; i++) {
		ANSWERS(attack, -EFAULT, result(madvise(ranges[i].addr, ranges[i].size,
							MADV_POPULATE_READ)));
		CHECK(attack, answer < 0, result(madvise(ranges[i].addr, ranges[i].size,
							 MADV_POPULATE_WRITE)));
		ANSWERS(attack, -ENOMEM, result(mlock(ranges[i].addr, ranges[i].size)));
		ANSWERS(attack, 0, result(msync(ranges[i].addr, ranges[i].size, MS_SYNC)));
	}
}

static void try_protecting(struct attack *attack)
{
	const int prots[] = {
		PROT_WRITE, PROT_READ | PROT_WRITE, PROT_EXEC, PROT_READ | PROT_EXEC,
	};
	struct range ranges[RANGES];
	size_t prot;
	int i;

	ranges_of(attack->window, ranges);
	for (i = 0; i < RANGES; i++) {
		for (prot = 0; prot < COUNT_OF(prots); prot++)
			ANSWERS(attack, -EACCES, result(mprotect(ranges[i].addr, ranges[i].size,
								 prots[prot])));
		if (!ranges[i].whole)
			ANSWERS(attack, -EINVAL, result(mprotect(ranges[i].addr, ranges[i].size,
								 PROT_NONE)));
	}
	ANSWERS(attack, 0, result(mprotect(ranges[RANGES - 1].addr, ranges[RANGES - 1].size,
					   PROT_NONE)));
	ANSWERS(attack, 0, result(mprotect(ranges[RANGES - 1].addr, ranges[RANGES - 1].size,
					   PROT_READ)));
}

static int map_fixed(const struct range *range)
{
	void *addr = mmap(range->addr, range->size, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);

	return addr == MAP_FAILED ? -errno : 0;
}

static int move(const struct range *range, size_t old_size, size_t size, int flags)
{
	void *addr = mremap(range->addr, old_size, size, flags, range->addr - 4 * GIB);

	return addr == MAP_FAILED ? -errno : 0;
}

static void try_remapping(struct attack *attack)
{
	const int ways[] = { MREMAP_MAYMOVE, MREMAP_MAYMOVE | MREMAP_FIXED,
			     MREMAP_MAYMOVE | MREMAP_DONTUNMAP };
	struct range ranges[RANGES];
	size_t way;
	int i;

	ranges_of(attack->window, ranges);
	for (i = 0; i < RANGES; i++) {
		const struct range *range = &ranges[i];

		for (way = 0; way < COUNT_OF(ways); way++) {
			CHECK(attack, answer == -EINVAL || answer == -EFAULT,
			      move(range, 0, range->size, ways[way]));
			CHECK(attack, answer == -EINVAL || answer == -EFAULT,
			      move(range, range->size, range->size + HUGE, ways[way]));
			/* The same size at the same place is no change. */
			if (way)
				ANSWERS(attack, -EINVAL, move(range, range->size, range->size,
							      ways[way]));
		}
		CHECK(attack, answer == -1,
		      remap_file_pages(range->addr, range->size, 0,
				       attack->window->offset / PAGE, 0));
		if (range->whole)
			continue;
		ANSWERS(attack, -EINVAL, result(munmap(range->addr, range->size)));
		CHECK(attack, answer == -EINVAL || answer == -ENOMEM, map_fixed(range));
	}
}

static void (*const attempts[])(struct attack *attack) = {
	try_touching, try_system_calls, try_removing, try_advice, try_protecting, try_remapping,
	/* again, after all that the kernel has accepted */
	try_removing, try_touching, try_system_calls,
};

/* Try everything in a child, and before that in the child of the child. */
static void try_in_child(struct attack *attack, int generations)
{
	const struct window *w = &attack->window->w;
	pid_t pid = fork();
	size_t i;

	if (pid) {
		CHECK(attack, !answer, child_status(pid));
		return;
	}
	if (generations > 1) {
		madvise(w->addr, w->size, MADV_DOFORK);
		try_in_child(attack, generations - 1);
	}
	for (i = 0; i < COUNT_OF(attempts) && !attack->line; i++)
		attempts[i](attack);
	if (!attack->line && munmap(w->addr, w->size))
		attack->line = __LINE__;
	_exit(0);
}

TEST_F(window, child_and_grandchild_can_do_nothing_with_an_inherited_window)
{
	struct attack *attack = shared(sizeof(*attack));

	ASSERT_NE(NULL, attack);
	NEED_INHERITANCE(&self->w);
	attack->window = self;
	try_in_child(attack, 2);
	EXPECT_EQ(0, attack->line) TH_LOG("the call there answered %d", attack->answer);
	EXPECT_UNCHANGED(self, "all of that");
}

TEST_F(window, no_other_process_reaches_an_inherited_window)
{
	const struct window *w = &self->w;
	unsigned char *addr = at(w, self->offset), buffer[64] = { };
	struct iovec here = { buffer, sizeof(buffer) }, there = { addr, sizeof(buffer) };
	char path[128];
	int memory;
	pid_t pid;

	NEED_INHERITANCE(w);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		for (;;)
			pause();
	}
	EXPECT_EQ(-EFAULT, result(process_vm_readv(pid, &here, 1, &there, 1, 0)));
	EXPECT_EQ(-EFAULT, result(process_vm_writev(pid, &here, 1, &there, 1, 0)));
	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	memory = open(path, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, memory);
	EXPECT_EQ(-EIO, result(pread(memory, buffer, sizeof(buffer), (long)addr)));
	EXPECT_EQ(-EIO, result(pwrite(memory, buffer, sizeof(buffer), (long)addr)));
	close(memory);
	snprintf(path, sizeof(path), "/proc/%d/map_files/%lx-%lx", pid, (unsigned long)w->addr,
		 (unsigned long)(w->addr + w->size));
	EXPECT_EQ(-EIO, result(open(path, O_RDWR | O_CLOEXEC)));
	EXPECT_EQ(-EIO, result(truncate(path, 0)));
	EXPECT_UNCHANGED(self, "all of that");
	EXPECT_EQ(0, kill(pid, SIGKILL));
	EXPECT_EQ(128 + SIGKILL, child_status(pid));
	EXPECT_UNCHANGED(self, "the end of the child");
}

TEST_HARNESS_MAIN
