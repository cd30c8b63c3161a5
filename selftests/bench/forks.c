// SPDX-License-Identifier: GPL-2.0
/*
 * This program measures what fork() costs with a heap of 200 MiB in blocks of 1000 bytes. It prints
 * the nanoseconds of a fork whose child exits at once, up to its end, and of the first write to a
 * page after a fork, in the parent and in the child. In "vm/run --icount" these are instructions.
 */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

#define SIZE	1000
#define BLOCKS	(200 * MIB / 1024)
#define FORKS	20

static char *blocks[BLOCKS];

static pid_t must_fork(void)
{
	pid_t pid = fork();

	if (pid < 0)
		die(strerror(errno));
	return pid;
}

static uint64_t fork_and_exit(void)
{
	uint64_t begun = clock_ns();

	for (int i = 0; i < FORKS; i++) {
		pid_t pid = must_fork();

		if (!pid)
			_exit(0);
		waitpid(pid, NULL, 0);
	}
	return (clock_ns() - begun) / FORKS;
}

/* Write to each page once: a page has four blocks or more. */
static uint64_t write_all(void)
{
	uint64_t begun = clock_ns();
	uintptr_t last = 0;
	size_t pages = 0;

	for (size_t i = 0; i < BLOCKS; i++) {
		uintptr_t page = (uintptr_t)blocks[i] / PAGE;

		if (page == last)
			continue;
		*(volatile char *)blocks[i] = 2;
		last = page;
		pages++;
	}
	return (clock_ns() - begun) / pages;
}

/* The parent writes while a child exists, or the child writes. */
static uint64_t write_after_fork(bool child_writes)
{
	uint64_t result = 0;
	int ends[2];
	pid_t pid;

	if (pipe(ends))
		die(strerror(errno));
	pid = must_fork();
	if (!pid) {
		if (child_writes)
			result = write_all();
		else
			pause();
		_exit(write(ends[1], &result, sizeof(result)) != sizeof(result));
	}
	if (child_writes) {
		if (read(ends[0], &result, sizeof(result)) != sizeof(result))
			result = 0;
	} else {
		result = write_all();
		kill(pid, SIGKILL);
	}
	waitpid(pid, NULL, 0);
	return result;
}

int main(void)
{
	for (size_t i = 0; i < BLOCKS; i++) {
		blocks[i] = malloc(SIZE);
		if (!blocks[i])
			die(strerror(errno));
		memset(blocks[i], 1, SIZE);
	}
	say("fork", fork_and_exit());
	say("parent", write_after_fork(false));
	say("child", write_after_fork(true));
	printf("\n");
	return 0;
}
