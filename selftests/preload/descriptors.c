// SPDX-License-Identifier: GPL-2.0
/*
 * The descriptor of the heap stays open and usable in a program that closes and duplicates
 * descriptors, also by close_range() and dup2() on its number. The tests pass with the C
 * library's malloc, too. Run them with libexpertmem-malloc.so preloaded and the module loaded.
 *
 * needs: module native preload
 */
#include <dirent.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "../../libexpertmem/raw.h"
#include "malloc_test.h"

/* Numbers that programs may choose. */
#define LOW		128

extern char **environ;

static char self_path[4096];

FIXTURE(program) {
	struct heap heap;
	int fd;
};

FIXTURE_SETUP(program)
{
	self->fd = expert_of_program();
	ASSERT_TRUE(heap_churn(&self->heap, 500));
}

/* The heap still grows, by regions that it did not have. */
FIXTURE_TEARDOWN(program)
{
	struct block *large = block_new(40 * MIB, 3);

	EXPECT_NE(NULL, large);
	if (large)
		release(large);
	EXPECT_TRUE(heap_churn(&self->heap, 500));
	EXPECT_TRUE(heap_is_intact(&self->heap));
	heap_free(&self->heap);
}

#define NEED_EXPERT()								\
	do {									\
		if (self->fd < 0)						\
			SKIP(return, "the heap is no expert of the module");	\
	} while (0)

TEST_F(program, descriptor_is_a_high_one_that_exec_closes)
{
	NEED_EXPERT();
	EXPECT_LT(LOW, self->fd);
	EXPECT_EQ(FD_CLOEXEC, fcntl(self->fd, F_GETFD));
}

TEST_F(program, close_leaves_it_open_and_says_that_it_is_not)
{
	int fd;

	NEED_EXPERT();
	errno = 0;
	EXPECT_EQ(-1, close(self->fd));
	EXPECT_EQ(EBADF, errno);
	for (fd = 3; fd < 4096; fd++)
		close(fd);
	EXPECT_EQ(self->fd, expert_of_program());
}

TEST_F(program, ranges_are_closed_but_for_it)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC), above;
	const int high = self->fd < 0 ? 900 : self->fd + 1;

	above = fcntl(null, F_DUPFD, high);
	ASSERT_LE(high, above);
	EXPECT_EQ(0, close_range(3, ~0U, 0));
	EXPECT_EQ(-1, fcntl(null, F_GETFD));
	EXPECT_EQ(-1, fcntl(above, F_GETFD));
	EXPECT_EQ(self->fd, expert_of_program());

	null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	above = fcntl(null, F_DUPFD, high);
	ASSERT_LE(high, above);
	closefrom(3);
	EXPECT_EQ(-1, fcntl(null, F_GETFD));
	EXPECT_EQ(-1, fcntl(above, F_GETFD));
	EXPECT_EQ(self->fd, expert_of_program());
	if (self->fd >= 0) {
		EXPECT_EQ(0, close_range(self->fd, self->fd, 0));
		EXPECT_EQ(0, close_range(self->fd, ~0U, 0));
		EXPECT_EQ(0, close_range(0, 0, CLOSE_RANGE_CLOEXEC));
		EXPECT_EQ(self->fd, expert_of_program());
	}
}

TEST_F(program, every_number_can_be_had_by_dup2)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC), i;

	NEED_EXPERT();
	for (i = 0; i < 10; i++) {
		int fd = expert_of_program();

		ASSERT_EQ(fd, i % 2 ? dup2(null, fd) : dup3(null, fd, O_CLOEXEC));
		EXPECT_EQ(i % 2 ? 0 : FD_CLOEXEC, fcntl(fd, F_GETFD));
		EXPECT_NE(fd, expert_of_program());
		EXPECT_LT(LOW, expert_of_program());
		EXPECT_EQ(0, close(fd));
	}
}

TEST_F(program, it_cannot_be_duplicated)
{
	NEED_EXPERT();
	EXPECT_EQ(-1, dup2(self->fd, 50));
	EXPECT_EQ(EBADF, errno);
	EXPECT_EQ(-1, dup3(self->fd, 50, 0));
	EXPECT_EQ(EBADF, errno);
	EXPECT_EQ(-1, dup2(self->fd, self->fd));
	EXPECT_EQ(EBADF, errno);
	EXPECT_EQ(-1, dup(self->fd));
	EXPECT_EQ(EBADF, errno);
	EXPECT_EQ(NULL, fdopen(self->fd, "r"));
	EXPECT_EQ(EBADF, errno);
	EXPECT_EQ(-1, fcntl(50, F_GETFD));
}

TEST_F(program, calls_by_number_leave_it_alone)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	NEED_EXPERT();
	EXPECT_EQ(-1, syscall(SYS_close, self->fd));
	EXPECT_EQ(EBADF, errno);
	EXPECT_EQ(-1, syscall(SYS_dup, self->fd));
	EXPECT_EQ(EBADF, errno);
	EXPECT_EQ(-1, syscall(SYS_dup3, self->fd, 50, 0));
	EXPECT_EQ(EBADF, errno);
	EXPECT_EQ(0, syscall(SYS_close_range, 3, ~0U, 0));
	EXPECT_EQ(-1, fcntl(null, F_GETFD));
	EXPECT_EQ(self->fd, expert_of_program());
}

TEST_F(program, a_child_has_a_heap_though_the_limit_is_below_the_number)
{
	struct rlimit before, few = { 64, 64 };
	pid_t child;

	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &before));
	few.rlim_max = before.rlim_max;
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &few));
	child = fork();
	if (!child)
		_exit(!heap_is_intact(&self->heap) || !heap_churn(&self->heap, 500) ||
		      child_status(fork() ?: (_exit(!heap_is_intact(&self->heap)), 0)));
	EXPECT_EQ(0, child_status(child));
	EXPECT_EQ(0, setrlimit(RLIMIT_NOFILE, &before));
}

TEST_F(program, others_are_closed_and_duplicated_as_ever)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC), copy;

	ASSERT_LE(0, null);
	EXPECT_EQ(null, dup2(null, null));
	EXPECT_EQ(60, dup2(null, 60));
	EXPECT_EQ(61, dup3(60, 61, O_CLOEXEC));
	EXPECT_EQ(-1, dup3(60, 60, 0));
	EXPECT_EQ(EINVAL, errno);
	copy = fcntl(61, F_DUPFD_CLOEXEC, 70);
	EXPECT_EQ(70, copy);
	EXPECT_EQ(0, close(60));
	EXPECT_EQ(-1, close(60));
	EXPECT_EQ(EBADF, errno);
	EXPECT_EQ(-1, dup(60));
	EXPECT_EQ(EBADF, errno);
	EXPECT_EQ(0, syscall(SYS_close, dup(61)));
	EXPECT_EQ(0, fclose(fdopen(dup(61), "r")));
	EXPECT_EQ(-1, dup2(60, 62));
	EXPECT_EQ(-1, dup2(60, 60));
	EXPECT_EQ(EBADF, errno);
	EXPECT_EQ(0, close_range(61, 70, 0));
	EXPECT_EQ(-1, fcntl(70, F_GETFD));
	EXPECT_EQ(0, close(null));
}

/* It has its own descriptors, and its parent's memory. */
TEST_F(program, child_of_vfork_does_no_harm)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	pid_t child = vfork();

	if (!child) {
		dup2(null, self->fd < 0 ? 50 : self->fd);
		closefrom(3);
		execl("/bin/true", "true", NULL);
		_exit(127);
	}
	EXPECT_EQ(0, child_status(child));
	EXPECT_EQ(self->fd, expert_of_program());
}

TEST_F(program, child_of_fork_has_it_under_the_same_number)
{
	pid_t child;

	NEED_EXPERT();
	child = fork();
	if (!child) {
		if (expert_of_program() != self->fd || fcntl(3, F_GETFD) == 0)
			_exit(1);
		closefrom(3);
		_exit(!heap_is_intact(&self->heap) || !heap_churn(&self->heap, 300));
	}
	EXPECT_EQ(0, child_status(child));
	EXPECT_EQ(self->fd, expert_of_program());
}

/* The lowest numbers are for whatever the program opens first. */
TEST_F(program, program_without_standard_streams_keeps_its_numbers)
{
	char *const argv[] = { self_path, "--streams", NULL };
	posix_spawn_file_actions_t actions;
	pid_t child;
	int fd;

	posix_spawn_file_actions_init(&actions);
	for (fd = 0; fd < 3; fd++)
		posix_spawn_file_actions_addclose(&actions, fd);
	ASSERT_EQ(0, posix_spawn(&child, self_path, &actions, NULL, argv, environ));
	posix_spawn_file_actions_destroy(&actions);
	EXPECT_EQ(0, child_status(child));
}

TEST_F(program, few_descriptors_are_enough)
{
	char *const argv[] = { self_path, "--few", NULL };
	struct rlimit few = { 16, 16 };
	pid_t child = fork();

	ASSERT_LE(0, child);
	if (!child) {
		setrlimit(RLIMIT_NOFILE, &few);
		execv(self_path, argv);
		_exit(127);
	}
	EXPECT_EQ(0, child_status(child));
}

/* By system calls of the program's own nothing is protected; the parent's heap goes on. */
TEST_F(program, heap_without_descriptor_says_why_it_does_not_grow)
{
	char said[256] = "";
	int line[2];
	pid_t child;

	NEED_EXPERT();
	ASSERT_EQ(0, pipe2(line, O_CLOEXEC));
	child = fork();
	ASSERT_LE(0, child);
	if (!child) {
		long answer;
		void *block;

		dup2(line[1], STDERR_FILENO);
		answer = em_raw(SYS_close, self->fd, 0, 0);
		block = malloc(100 * MIB);
		_exit(answer || block || errno != ENOMEM);
	}
	EXPECT_EQ(0, child_status(child));
	close(line[1]);
	EXPECT_LT(0, read(line[0], said, sizeof(said) - 1));
	EXPECT_NE(NULL, strstr(said, "descriptor"));
	close(line[0]);
}

static bool heap_works(void)
{
	struct heap heap = { .seed = 9 };

	return heap_churn(&heap, 300) && heap_is_intact(&heap);
}

int main(int argc, char **argv)
{
	if (realpath("/proc/self/exe", self_path) && argc > 1 && !strcmp(argv[1], "--streams"))
		return open("/dev/null", O_RDWR) != 0 || open("/dev/null", O_RDWR) != 1 ||
		       open("/dev/null", O_RDWR) != 2 || !heap_works();
	if (argc > 1 && !strcmp(argv[1], "--few"))
		return open("/dev/null", O_RDWR) > 5 || !heap_works();
	return test_harness_run(argc, argv);
}
