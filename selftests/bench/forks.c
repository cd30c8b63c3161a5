// SPDX-License-Identifier: GPL-2.0
/*
 * What fork() costs a program with a heap of 200 MiB in blocks of 1000 bytes. It prints the
 * nanoseconds of a fork whose child exits at once, up to its end, and of the first write to a page
 * after a fork, in the parent and in the child. In "vm/run --icount" these are instructions.
 */
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SIZE	1000
#define BLOCKS	(200u << 20 >> 10)
#define PAGE	4096
#define FORKS	20

static char *blocks[BLOCKS];

static uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC_RAW, &time);
	return time.tv_sec * 1000000000ULL + time.tv_nsec;
}

static pid_t must_fork(void)
{
	pid_t pid = fork();

	if (pid >= 0)
		return pid;
	perror("fork");
	exit(1);
}

static uint64_t fork_and_exit(void)
{
	uint64_t begun = now();

	for (int i = 0; i < FORKS; i++) {
		pid_t pid = must_fork();

		if (!pid)
			_exit(0);
		waitpid(pid, NULL, 0);
	}
	return (now() - begun) / FORKS;
}

/* Write to each page once: a page has four blocks or more. */
static uint64_t write_all(void)
{
	uint64_t begun = now();
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
	return (now() - begun) / pages;
}

/* The parent writes while a child exists, or the child writes. */
static uint64_t write_after_fork(int child_writes)
{
	uint64_t result = 0;
	int ends[2];
	pid_t pid;

	if (pipe(ends)) {
		perror("pipe");
		exit(1);
	}
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
		if (!blocks[i]) {
			perror("malloc");
			return 1;
		}
		memset(blocks[i], 1, SIZE);
	}
	printf("fork=%llu", (unsigned long long)fork_and_exit());
	printf(" parent=%llu", (unsigned long long)write_after_fork(0));
	printf(" child=%llu\n", (unsigned long long)write_after_fork(1));
	return 0;
}
