// SPDX-License-Identifier: GPL-2.0
/*
 * A program that crashes, or leaks, as its argument says. Memory that is not executable is
 * called where that is the way to be refused with the heap of every kind.
 */
#include <linux/seccomp.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define LARGE	(1UL << 20)

#define ON_ITS_OWN __attribute__((noinline)) static void

/* Volatile, so that neither a compiler nor a checker knows what comes. */
static char *volatile small, *volatile large, *volatile null;
static volatile int zero;

ON_ITS_OWN touch(char *p)
{
	*(volatile char *)p = 1;
}

ON_ITS_OWN call(char *p)
{
	((void (*)(void))(uintptr_t)p)();
	/* not the last thing that it does, or it would be a jump */
	__asm__ volatile("");
}

ON_ITS_OWN touch_null(void)
{
	touch(null);
}

ON_ITS_OWN touch_live(void)
{
	call(small + 10);
}

ON_ITS_OWN touch_behind(void)
{
	call(small + 105);
}

ON_ITS_OWN touch_freed(void)
{
	free(small);
	call(small + 10);
}

ON_ITS_OWN touch_large(void)
{
	call(large + 1000);
}

ON_ITS_OWN touch_behind_large(void)
{
	call(large + LARGE + 5);
}

/* The pages behind the block may be mapped: the fault can come later. */
ON_ITS_OWN overrun_large(void)
{
	volatile char *block = malloc(50000);

	for (size_t i = 50000; ; i++)
		block[i] = 1;
}

ON_ITS_OWN touch_before_large(void)
{
	call(large - 5);
}

ON_ITS_OWN touch_freed_large(void)
{
	free(large);
	call(large + 1000);
}

ON_ITS_OWN touch_foreign(void)
{
	touch(mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

ON_ITS_OWN touch_nowhere(void)
{
	touch(null + 0xdddddddddddddddd);
}

ON_ITS_OWN divide(void)
{
	zero = 100 / zero;
}

ON_ITS_OWN execute_nothing(void)
{
	__builtin_trap();
}

ON_ITS_OWN fail(void)
{
	abort();
}

ON_ITS_OWN killed(void)
{
	kill(getpid(), SIGSEGV);
	pause();
}

static void *run_thread(void *arg)
{
	touch_null();
	return arg;
}

ON_ITS_OWN thread(void)
{
	pthread_t other;

	pthread_create(&other, NULL, run_thread, NULL);
	pthread_join(other, NULL);
}

/* The child's crash is not this one's. */
ON_ITS_OWN after_child(void)
{
	pid_t child = fork();
	int status;

	if (!child)
		touch_null();
	waitpid(child, &status, 0);
	printf("child: %d\n", WTERMSIG(status));
	fflush(stdout);
	killed();
}

/* A system call would end it by SIGKILL. */
ON_ITS_OWN in_seccomp(void)
{
	prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT);
	touch_null();
}

static void leave(int number)
{
	_exit(40 + number);
}

ON_ITS_OWN handle(void)
{
	signal(SIGSEGV, leave);
	touch_null();
}

/* What are the handlers, to this program? */
ON_ITS_OWN look(void)
{
	static const int numbers[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT };
	static sighandler_t (*const setters[])(int number, sighandler_t handler) = {
		sysv_signal, ssignal, signal,
	};
	struct sigaction before;

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		sigaction(numbers[i], NULL, &before);
		if (before.sa_handler != SIG_DFL || before.sa_flags)
			printf("sigaction(%d) is not the default\n", numbers[i]);
		for (size_t j = 0; j < sizeof(setters) / sizeof(setters[0]); j++)
			if (setters[j](numbers[i], leave) != SIG_DFL ||
			    setters[j](numbers[i], SIG_DFL) != leave)
				printf("setter %zu of signal %d does not return the default\n", j, numbers[i]);
	}
}

/* Each way to allocate, with a size of its own. */
static void *volatile kept[9];

ON_ITS_OWN leak(void)
{
	kept[0] = malloc(1001);
	kept[1] = calloc(1, 1002);
	kept[2] = realloc(NULL, 1003);
	kept[3] = realloc(malloc(10), 1004);
	kept[4] = reallocarray(NULL, 1, 1005);
	kept[5] = aligned_alloc(64, 1006);
	kept[6] = memalign(64, 1007);
	kept[7] = pvalloc(1008);
	kept[8] = malloc(5000);
	if (!kept[8])
		fputs("no memory\n", stderr);
}

int main(int argc, char **argv)
{
	static const struct { const char *name; void (*run)(void); } ways[] = {
		{ "null", touch_null }, { "live", touch_live }, { "behind", touch_behind },
		{ "freed", touch_freed }, { "large", touch_large },
		{ "behind-large", touch_behind_large }, { "before-large", touch_before_large },
		{ "overrun-large", overrun_large },
		{ "freed-large", touch_freed_large }, { "foreign", touch_foreign },
		{ "nowhere", touch_nowhere }, { "divide", divide }, { "illegal", execute_nothing },
		{ "abort", fail }, { "killed", killed }, { "thread", thread },
		{ "after-child", after_child }, { "seccomp", in_seccomp }, { "handler", handle },
		{ "look", look }, { "leak", leak },
	};

	small = malloc(100);
	large = malloc(LARGE);
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		if (argc == 2 && !strcmp(argv[1], ways[i].name)) {
			ways[i].run();
			return 0;
		}
	}
	fputs("crashes: how?\n", stderr);
	return 2;
}
