// SPDX-License-Identifier: GPL-2.0
/*
 * The malloc family in programs that fork and call exec: parent and child each have a working
 * heap and the right bytes. The tests pass with the C library's malloc, too. Run them with
 * libexpertmem-malloc.so preloaded.
 *
 * needs: module native preload
 */
#include <linux/sched.h>
#include <pthread.h>
#include <sched.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <ucontext.h>

#include "malloc_test.h"

FIXTURE(process) {
	struct heap heap;
};

FIXTURE_SETUP(process)
{
	self->heap.seed = 1;
	ASSERT_TRUE(heap_churn(&self->heap, 1000));
}

/* Whatever a test did, the heap has taken no harm. */
FIXTURE_TEARDOWN(process)
{
	EXPECT_TRUE(heap_churn(&self->heap, 1000));
	EXPECT_TRUE(heap_is_intact(&self->heap));
	heap_free(&self->heap);
}

/* --------------------------------------------------------------------------- fork */

/* In a child: what the parent had is there, and the heap goes on. */
static void __attribute__((noreturn)) child_checks(struct heap *heap, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (!heap_is_intact(&heap[i]))
			_exit(1);
	for (i = 0; i < count; i++) {
		heap_free(&heap[i]);
		if (!heap_churn(&heap[i], 500) || !heap_is_intact(&heap[i]))
			_exit(2);
	}
	_exit(0);
}

TEST_F(process, a_child_has_what_its_parent_had_and_frees_only_its_own)
{
	struct block *large = block_new(20 * MIB, 77);
	pid_t child = fork();

	ASSERT_LE(0, child);
	if (!child) {
		if (!block_is_intact(large))
			_exit(3);
		memset(large->at, 0, large->size);
		release(large);
		child_checks(&self->heap, 1);
	}
	EXPECT_EQ(0, child_status(child));
	EXPECT_TRUE(block_is_intact(large));
	EXPECT_TRUE(heap_is_intact(&self->heap));
	release(large);
}

TEST_F(process, a_child_lives_on_when_its_parent_has_ended)
{
	int ends[2];
	char answer = 0;
	pid_t child;

	ASSERT_EQ(0, pipe(ends));
	child = fork();
	ASSERT_LE(0, child);
	if (!child) {
		pid_t parent = getpid(), grandchild = fork();

		if (grandchild)
			_exit(grandchild < 0);
		while (getppid() == parent)
			usleep(1000);
		answer = heap_churn(&self->heap, 5000) && heap_is_intact(&self->heap) ? 'y' : 'n';
		_exit(write(ends[1], &answer, 1) != 1);
	}
	close(ends[1]);
	EXPECT_EQ(0, child_status(child));
	EXPECT_EQ(1, read(ends[0], &answer, 1));
	EXPECT_EQ('y', answer);
	close(ends[0]);
}

/* Allocate and free large blocks until the heap keeps their regions; write to all their bytes. */
static bool churn_large(void)
{
	for (unsigned int i = 0; i < 64; i++) {
		size_t size = MIB + i % 8 * 64 * KIB;
		unsigned char *block = malloc(size);

		if (!block)
			return false;
		memset(block, i, size);
		if (block[0] != (unsigned char)i || block[size - 1] != (unsigned char)i)
			return false;
		free(block);
	}
	return true;
}

TEST_F(process, a_child_goes_on_with_the_regions_that_its_parent_has_kept)
{
	ASSERT_TRUE(churn_large());
	for (unsigned int i = 0; i < 5; i++) {
		pid_t child = fork();

		ASSERT_LE(0, child);
		if (!child)
			_exit(!churn_large() || !heap_is_intact(&self->heap));
		EXPECT_TRUE(churn_large());
		EXPECT_EQ(0, child_status(child));
		EXPECT_TRUE(heap_is_intact(&self->heap));
	}
}

TEST_F(process, each_generation_has_the_heap_of_the_one_before)
{
	int generation;
	pid_t child;

	for (generation = 0; generation < 10; generation++) {
		child = fork();
		ASSERT_LE(0, child);
		if (child)
			break;
		if (!heap_is_intact(&self->heap) || !heap_churn(&self->heap, 100))
			_exit(100);
	}
	if (generation == 10)
		_exit(10);
	if (generation)
		_exit(child_status(child));
	EXPECT_EQ(10, child_status(child));
}

#define NOBODY	65534

/* In a child of root's: give all rights up, and fork. The child's limit is none, as its parent's. */
static void __attribute__((noreturn)) fork_as_nobody(struct heap *heap)
{
	pid_t child;

	if (expert_stat(expert_of_program()).limit || setresuid(NOBODY, NOBODY, NOBODY))
		_exit(10);
	child = fork();
	if (!child) {
		if (expert_stat(expert_of_program()).limit)
			_exit(11);
		child_checks(heap, 1);
	}
	_exit(heap_is_intact(heap) && child > 0 ? child_status(child) : 12);
}

/* fork() fails by @error, and the heap stays as it was. @grows: the heap can still allocate. */
static void __attribute__((noreturn)) fail_as_nobody(struct heap *heap, int error, bool grows)
{
	pid_t child;

	if (setresuid(NOBODY, NOBODY, NOBODY))
		_exit(10);
	child = fork();
	if (!child)
		_exit(11);
	if (child > 0 || errno != error)
		_exit(12);
	_exit(heap_is_intact(heap) && (!grows || heap_churn(heap, 100)) ? 0 : 13);
}

#define NEED_MODULE_AND_ROOT()							\
	do {									\
		if (expert_of_program() < 0 || geteuid() ||			\
		    expert_stat(expert_of_program()).limit)			\
			SKIP(return, "needs the kernel module, no limit, and root");	\
	} while (0)

/* Nobody may open the device: a child's expert is made from its parent's. */
TEST_F(process, a_child_has_its_parents_limit_and_needs_no_rights)
{
	struct parameter parameter;
	pid_t child;

	NEED_MODULE_AND_ROOT();
	ASSERT_EQ(0, parameter_set(&parameter, "default_limit", "64K"));
	child = fork();
	if (!child)
		fork_as_nobody(&self->heap);
	EXPECT_EQ(0, child_status(child));
	EXPECT_EQ(0, parameter_restore(&parameter));
}

TEST_F(process, fork_fails_where_a_child_cannot_have_the_heap)
{
	static const struct {
		const char *parameter, *value;
		int error;
		bool grows;
	} refusals[] = {
		{ "uid_limit", "64K", ENOMEM, true }, { "total_limit", "64K", ENOMEM, false },
		{ "max_experts", "1", EAGAIN, true },
	};
	struct parameter parameter;
	pid_t child;

	NEED_MODULE_AND_ROOT();
	for (size_t i = 0; i < COUNT_OF(refusals); i++) {
		snprintf(parameter.path, sizeof(parameter.path), PARAMETERS "%s", refusals[i].parameter);
		ASSERT_EQ(0, file_read(parameter.path, parameter.old, sizeof(parameter.old)));
		child = fork();
		if (!child) {
			if (file_write(parameter.path, refusals[i].value))
				_exit(14);
			fail_as_nobody(&self->heap, refusals[i].error, refusals[i].grows);
		}
		EXPECT_EQ(0, child_status(child)) TH_LOG("%s", refusals[i].parameter);
		EXPECT_EQ(0, parameter_restore(&parameter));
	}
}

TEST_F(process, fork_fails_where_no_descriptor_is_left)
{
	struct rlimit before, few = { 64, 64 };
	int null, fds[64], count = 0;
	pid_t child;

	if (expert_of_program() < 0)
		SKIP(return, "needs the kernel module");
	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &before));
	few.rlim_max = before.rlim_max;
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &few));
	while ((null = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0)
		fds[count++] = null;
	child = fork();
	if (!child)
		_exit(1);
	EXPECT_EQ(-1, child);
	EXPECT_EQ(EAGAIN, errno);
	EXPECT_LT(0, count);
	while (count)
		EXPECT_EQ(0, close(fds[--count]));
	child = fork();
	if (!child)
		child_checks(&self->heap, 1);
	EXPECT_EQ(0, child_status(child));
	EXPECT_EQ(0, setrlimit(RLIMIT_NOFILE, &before));
}

/* -------------------------------------------------- children that are made otherwise */

#define STACK	(256 * KIB)

static int check_in_child(void *heap)
{
	child_checks(heap, 1);
}

static pid_t by_Fork(struct heap *heap)
{
	pid_t child = _Fork();

	if (!child)
		child_checks(heap, 1);
	return child;
}

static pid_t by_syscall(struct heap *heap)
{
	pid_t child = syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);

	if (!child)
		child_checks(heap, 1);
	return child;
}

static pid_t by_clone3(struct heap *heap)
{
	struct clone_args args = { .exit_signal = SIGCHLD };
	pid_t child = syscall(SYS_clone3, &args, sizeof(args));

	if (!child)
		child_checks(heap, 1);
	return child;
}

static pid_t by_clone_on_heap(struct heap *heap)
{
	char *stack = malloc(STACK);
	pid_t child = clone(check_in_child, stack + STACK, SIGCHLD, heap);

	free(stack);
	return child;
}

static pid_t by_clone_elsewhere(struct heap *heap)
{
	static char stack[STACK] __attribute__((aligned(16)));

	return clone(check_in_child, stack + STACK, SIGCHLD, heap);
}

/* The descriptors are the parent's as well, which the child must leave open. */
static pid_t by_clone_with_files(struct heap *heap)
{
	static char stack[STACK] __attribute__((aligned(16)));

	return clone(check_in_child, stack + STACK, SIGCHLD | CLONE_FILES, heap);
}

/* What it has answered is told through its stack. */
struct routine {
	ucontext_t back, context;
	struct heap *heap;
	pid_t child;
};

static struct routine routine;

static void in_coroutine(void)
{
	char bytes[3000];

	memset(bytes, 5, sizeof(bytes));
	routine.child = fork();
	if (!routine.child) {
		for (size_t i = 0; i < sizeof(bytes); i++)
			if (bytes[i] != 5)
				_exit(4);
		child_checks(routine.heap, 1);
	}
}

static pid_t by_coroutine_on_heap(struct heap *heap)
{
	char *stack = malloc(STACK);

	routine.heap = heap;
	getcontext(&routine.context);
	routine.context.uc_stack.ss_sp = stack;
	routine.context.uc_stack.ss_size = STACK;
	routine.context.uc_link = &routine.back;
	makecontext(&routine.context, in_coroutine, 0);
	swapcontext(&routine.back, &routine.context);
	free(stack);
	return routine.child;
}

static void *fork_on_heap(void *heap)
{
	pid_t child = fork();

	if (!child)
		child_checks(heap, 1);
	return (void *)(long)child;
}

/* The C library keeps what it knows of a thread on the thread's stack. */
static pid_t by_thread_on_heap(struct heap *heap)
{
	pthread_attr_t attr;
	pthread_t thread;
	void *stack, *child = (void *)-1L;

	if (posix_memalign(&stack, 4096, STACK))
		return -1;
	pthread_attr_init(&attr);
	pthread_attr_setstack(&attr, stack, STACK);
	if (!pthread_create(&thread, &attr, fork_on_heap, heap))
		pthread_join(thread, &child);
	free(stack);
	return (pid_t)(long)child;
}

FIXTURE(made) {
	FIXTURE_DATA(process) of;
};

FIXTURE_VARIANT(made) {
	pid_t (*make)(struct heap *heap);
};

FIXTURE_VARIANT_ADD(made, by_Fork) { .make = by_Fork };
FIXTURE_VARIANT_ADD(made, by_syscall) { .make = by_syscall };
FIXTURE_VARIANT_ADD(made, by_clone3) { .make = by_clone3 };
FIXTURE_VARIANT_ADD(made, by_clone_on_heap) { .make = by_clone_on_heap };
FIXTURE_VARIANT_ADD(made, by_clone_elsewhere) { .make = by_clone_elsewhere };
FIXTURE_VARIANT_ADD(made, by_clone_with_files) { .make = by_clone_with_files };
FIXTURE_VARIANT_ADD(made, by_coroutine_on_heap) { .make = by_coroutine_on_heap };
FIXTURE_VARIANT_ADD(made, by_thread_on_heap) { .make = by_thread_on_heap };

FIXTURE_SETUP(made)
{
	self->of.heap.seed = 3;
	ASSERT_TRUE(heap_churn(&self->of.heap, 1000));
}

FIXTURE_TEARDOWN(made)
{
	EXPECT_TRUE(heap_churn(&self->of.heap, 1000));
	EXPECT_TRUE(heap_is_intact(&self->of.heap));
	heap_free(&self->of.heap);
}

TEST_F(made, child_has_what_its_parent_had)
{
	int i;

	for (i = 0; i < 3; i++) {
		pid_t child = variant->make(&self->of.heap);

		ASSERT_LT(0, child);
		EXPECT_EQ(0, child_status(child));
		EXPECT_TRUE(heap_is_intact(&self->of.heap));
	}
}

static int call_exec(void *path)
{
	char *const argv[] = { path, NULL };

	execv(path, argv);
	return 126;
}

/* Children that share the mm, or end at once, take nothing with them. */
TEST_F(process, children_that_need_no_heap_leave_it_alone)
{
	static char stack[STACK] __attribute__((aligned(16)));
	static char path[] = "/bin/true";
	pid_t child;
	int i;

	for (i = 0; i < 10; i++) {
		child = clone(call_exec, stack + STACK, CLONE_VM | CLONE_VFORK | SIGCHLD, path);
		ASSERT_LT(0, child);
		EXPECT_EQ(0, child_status(child));
		child = fork();
		if (!child)
			_exit(0);
		EXPECT_EQ(0, child_status(child));
	}
}

/* fork() then resets the locks of all streams, which are blocks of the heap. */
TEST_F(process, arguments_that_cannot_be_read_are_refused)
{
	EXPECT_EQ(-1, syscall(SYS_clone3, 8L, 64L));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(-1, syscall(SYS_clone3, 0L, 64L));
	EXPECT_EQ(EFAULT, errno);
}

TEST_F(process, a_child_of_a_program_with_threads_has_its_streams)
{
	static struct heap other;
	pthread_t thread;
	void *intact;
	pid_t child;
	FILE *file;

	ASSERT_EQ(0, pthread_create(&thread, NULL, churn_until_stopped, &other));
	file = fopen("/dev/zero", "re");
	ASSERT_NE(NULL, file);
	child = fork();
	if (!child)
		_exit(fgetc(file) == EOF || fclose(file) || !heap_is_intact(&self->heap));
	EXPECT_EQ(0, child_status(child));
	EXPECT_NE(EOF, fgetc(file));
	fclose(file);
	stop_all(true);
	ASSERT_EQ(0, pthread_join(thread, &intact));
	EXPECT_TRUE(intact);
	stop_all(false);
}

struct forker {
	pthread_t thread;
	struct heap heap;
	unsigned long forks;
	int failed;		/* status of a child */
};

/* Its own blocks stand still meanwhile; those of the others may be half written. */
static void *fork_often(void *arg)
{
	struct forker *forker = arg;
	unsigned long i;

	for (i = 0; i < forker->forks && !forker->failed; i++) {
		pid_t child;

		if (!heap_churn(&forker->heap, 50)) {
			forker->failed = -1;
			break;
		}
		child = fork();
		if (!child)
			child_checks(&forker->heap, 1);
		forker->failed = child < 0 ? -1 : child_status(child);
	}
	return NULL;
}

TEST_F(process, many_threads_fork_while_others_allocate)
{
	static struct forker forkers[THREADS];
	static struct heap others[THREADS];
	pthread_t threads[THREADS];
	void *intact;
	size_t i;

	for (i = 0; i < THREADS; i++) {
		others[i].seed = i;
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, churn_until_stopped, &others[i]));
	}
	for (i = 0; i < THREADS; i++) {
		forkers[i].heap.seed = 100 + i;
		forkers[i].forks = rounds(100);
		ASSERT_EQ(0, pthread_create(&forkers[i].thread, NULL, fork_often, &forkers[i]));
	}
	for (i = 0; i < THREADS; i++) {
		ASSERT_EQ(0, pthread_join(forkers[i].thread, NULL));
		EXPECT_EQ(0, forkers[i].failed);
		EXPECT_TRUE(heap_is_intact(&forkers[i].heap));
		heap_free(&forkers[i].heap);
	}
	stop_all(true);
	for (i = 0; i < THREADS; i++) {
		ASSERT_EQ(0, pthread_join(threads[i], &intact));
		EXPECT_TRUE(intact);
	}
	stop_all(false);
}

static struct block *fork_blocks[3];
static unsigned int fork_calls;

static void at_fork(unsigned int i)
{
	release(fork_blocks[i]);
	fork_blocks[i] = block_new(5000 * (i + 1), ++fork_calls);
}

static void before_fork(void)
{
	at_fork(0);
}

static void after_fork_in_parent(void)
{
	at_fork(1);
}

static void after_fork_in_child(void)
{
	at_fork(2);
}

TEST_F(process, handlers_of_fork_allocate)
{
	unsigned int i;
	pid_t child;

	ASSERT_EQ(0, pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child));
	for (i = 0; i < 10; i++) {
		child = fork();
		ASSERT_LE(0, child);
		if (!child)
			_exit(fork_calls != 2 * i + 2 || !block_is_intact(fork_blocks[0]) ||
			      !block_is_intact(fork_blocks[2]) || !heap_is_intact(&self->heap));
		EXPECT_EQ(0, child_status(child));
		EXPECT_TRUE(block_is_intact(fork_blocks[0]));
		EXPECT_TRUE(block_is_intact(fork_blocks[1]));
	}
}

static void *fork_in_thread(void *arg)
{
	pid_t child = fork();

	if (!child)
		child_checks(arg, 1);
	return (void *)(long)(child < 0 ? -1 : child_status(child));
}

TEST_F(process, a_child_of_a_thread_starts_threads)
{
	pthread_t thread;
	void *status;
	pid_t child;

	ASSERT_EQ(0, pthread_create(&thread, NULL, fork_in_thread, &self->heap));
	ASSERT_EQ(0, pthread_join(thread, &status));
	EXPECT_EQ(0, (long)status);
	child = fork();
	ASSERT_LE(0, child);
	if (!child) {
		if (pthread_create(&thread, NULL, fork_in_thread, &self->heap) ||
		    pthread_join(thread, &status) || status)
			_exit(1);
		child_checks(&self->heap, 1);
	}
	EXPECT_EQ(0, child_status(child));
}

/* --------------------------------------------------------------------------- exec */

extern char **environ;

static char self_path[4096];
static char *const again[] = { self_path, "--again", NULL };

/* What runs after exec: the same program, with a heap of its own. */
static int run_again(void)
{
	struct heap heap = { .seed = 5 };

	return !heap_churn(&heap, 2000) || !heap_is_intact(&heap);
}

TEST_F(process, a_child_of_vfork_calls_exec)
{
	int i;

	for (i = 0; i < 20; i++) {
		pid_t child = vfork();

		if (!child) {
			execv(self_path, again);
			_exit(127);
		}
		ASSERT_LE(0, child);
		ASSERT_EQ(0, child_status(child));
		ASSERT_TRUE(heap_churn(&self->heap, 100));
	}
}

TEST_F(process, a_child_of_fork_calls_exec)
{
	pid_t child = fork();

	ASSERT_LE(0, child);
	if (!child) {
		heap_churn(&self->heap, 100);
		execv(self_path, again);
		_exit(127);
	}
	EXPECT_EQ(0, child_status(child));
}

static void *spawn_often(void *arg)
{
	unsigned long i, count = rounds(20);
	pid_t child;

	for (i = 0; i < count; i++)
		if (posix_spawn(&child, self_path, NULL, NULL, again, environ) ||
		    child_status(child))
			return arg;
	return NULL;
}

TEST_F(process, posix_spawn_in_threads_while_others_allocate)
{
	struct heap other = { .seed = 6 };
	pthread_t threads[THREADS + 1];
	void *end;
	size_t i;

	ASSERT_EQ(0, pthread_create(&threads[THREADS], NULL, churn_until_stopped, &other));
	for (i = 0; i < THREADS; i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, spawn_often, &other));
	for (i = 0; i < THREADS; i++) {
		ASSERT_EQ(0, pthread_join(threads[i], &end));
		EXPECT_EQ(NULL, end);
	}
	stop_all(true);
	ASSERT_EQ(0, pthread_join(threads[THREADS], &end));
	stop_all(false);
	EXPECT_TRUE(end);
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "--again"))
		return run_again();
	if (readlink("/proc/self/exe", self_path, sizeof(self_path) - 1) < 0)
		return KSFT_FAIL;
	return test_harness_run(argc, argv);
}
