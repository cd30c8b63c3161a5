// SPDX-License-Identifier: GPL-2.0
/*
 * A program that allows itself only what malloc() of the C library calls, and then uses the heap.
 *
 *	sandbox kill|refuse|ioctl prctl|seccomp [threads|fork]
 *	sandbox exec PROGRAM [ARGUMENT]...
 *
 * kill: other system calls end the program; refuse: they fail with EPERM; ioctl: ioctl() fails so, and all
 * others end the program.
 * fork: a child, and its child, use blocks of the parent, too.
 * exec: execute a program under a filter that allows all.
 */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define BLOCKS 20000

#define ALLOW(name) \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_##name, 0, 1), \
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

/* the instruction that says what comes of ioctl() */
#define OF_IOCTL 2

/* what fork() needs beyond */
#define FORK_CALLS 5

static struct sock_filter filter[] = {
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_ioctl, 0, 1),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 1),	/* OF_IOCTL */
	ALLOW(brk), ALLOW(mmap), ALLOW(munmap), ALLOW(mremap), ALLOW(mprotect), ALLOW(madvise),
	ALLOW(futex), ALLOW(write), ALLOW(exit_group), ALLOW(exit),
	/* FORK_CALLS */
	ALLOW(clone), ALLOW(wait4), ALLOW(set_robust_list), ALLOW(rt_sigprocmask), ALLOW(gettid),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
};

static char *blocks[BLOCKS];
static pthread_barrier_t barrier;
static bool is_ours;	/* libexpertmem-malloc.so is preloaded */

static size_t size_of(unsigned int i)
{
	return i % 100 ? 16 + i % 3000 : 100000 + i * 50;
}

static void end(const char *what)
{
	(void)!write(STDOUT_FILENO, what, strlen(what));
	_exit(1);
}

static void fill(unsigned int from, unsigned int step)
{
	for (unsigned int i = from; i < BLOCKS; i += step) {
		blocks[i] = malloc(size_of(i));
		if (!blocks[i])
			end("malloc fails\n");
		memset(blocks[i], (int)i, size_of(i));
	}
}

static void check_and_free(unsigned int from, unsigned int step)
{
	char *volatile block;

	for (unsigned int i = from; i < BLOCKS; i += step) {
		for (size_t j = 0; j < size_of(i); j++)
			if (blocks[i][j] != (char)i)
				end("a block has changed\n");
		if (i % 2)
			blocks[i] = realloc(blocks[i], size_of(i) * 2);
		if (!blocks[i])
			end("realloc fails\n");
		block = blocks[i];
		free(block);
		/* A block that this heap has freed has no size. */
		if (is_ours && malloc_usable_size(block))
			end("a block is not freed\n");
	}
}

/* Free what the other thread has allocated. */
static void *run_thread(void *arg)
{
	unsigned int me = arg != NULL;

	if (!me)
		pthread_barrier_wait(&barrier);
	fill(me, 2);
	pthread_barrier_wait(&barrier);
	check_and_free(!me, 2);
	pthread_barrier_wait(&barrier);
	/* The end of a thread needs other system calls. */
	if (!me)
		pthread_barrier_wait(&barrier);
	return NULL;
}

/* The child's blocks are a copy of the parent's. */
static void use_children(unsigned int generations)
{
	int status;
	pid_t child;

	if (!generations)
		return;
	child = fork();
	if (child < 0)
		end("fork fails\n");
	if (!child) {
		use_children(generations - 1);
		check_and_free(0, 1);
		fill(0, 1);
		check_and_free(0, 1);
		_exit(0);
	}
	if (waitpid(child, &status, 0) != child || status)
		end("a child has failed\n");
}

static int set_filter(const char *action, const char *way, bool forks)
{
	size_t last = sizeof(filter) / sizeof(filter[0]) - 1;
	struct sock_fprog prog = { .filter = filter };

	if (!forks) {
		filter[last - 2 * FORK_CALLS] = filter[last];
		last -= 2 * FORK_CALLS;
	}
	prog.len = last + 1;
	if (!strcmp(action, "refuse"))
		filter[last].k = SECCOMP_RET_ERRNO | 1;
	else if (!strcmp(action, "kill"))
		filter[OF_IOCTL].k = filter[last].k;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -1;
	if (!strcmp(way, "prctl"))
		return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog);
	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &prog);
}

static int execute(char **argv)
{
	struct sock_filter all = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	const struct sock_fprog program = { .len = 1, .filter = &all };

	if (!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) &&
	    !prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
		execvp(argv[0], argv);
	perror(argv[0]);
	return 127;
}

int main(int argc, char **argv)
{
	pthread_t thread;
	char *before, *after;
	bool threads, forks;

	if (argc < 3)
		return 2;
	if (!strcmp(argv[1], "exec"))
		return execute(argv + 2);
	is_ours = getenv("LD_PRELOAD") != NULL;
	/* Several arenas need other system calls. */
	mallopt(M_ARENA_MAX, 1);
	before = malloc(100000);
	if (!before)
		return 2;
	memset(before, 1, 100000);
	pthread_barrier_init(&barrier, NULL, 2);
	/* The start of a thread needs other system calls, too. */
	threads = argc > 3 && !strcmp(argv[3], "threads");
	forks = argc > 3 && !threads;
	if (threads) {
		pthread_create(&thread, NULL, run_thread, NULL);
		pthread_barrier_wait(&barrier);
	}
	if (!threads)
		fill(0, 2);
	if (set_filter(argv[1], argv[2], forks)) {
		perror("seccomp");
		return 2;
	}
	if (threads) {
		run_thread(&thread);
	} else {
		fill(1, 2);
		use_children(forks ? 2 : 0);
		check_and_free(0, 1);
	}
	after = realloc(before, 200000000);
	if (!after || after[0] != 1 || after[99999] != 1)
		end("a block from before has changed\n");
	free(after);
	(void)!write(STDOUT_FILENO, "grown in the sandbox\n", 21);
	_exit(0);
}
