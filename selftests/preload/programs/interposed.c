// SPDX-License-Identifier: GPL-2.0
/* A library that interposes what others call while they start, and allocates there. */
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static void allocate(void)
{
	free(malloc(100));
}

pid_t getpid(void)
{
	allocate();
	return (pid_t)syscall(SYS_getpid);
}

int clock_gettime(clockid_t clock, struct timespec *time)
{
	allocate();
	return (int)syscall(SYS_clock_gettime, clock, time);
}

/* Only until main(): later the heap itself maps memory with its lock held. */
static int started;

void *mmap(void *start, size_t size, int protection, int flags, int fd, off_t offset)
{
	if (!started)
		allocate();
	return (void *)syscall(SYS_mmap, start, size, protection, flags, fd, offset);
}

__attribute__((constructor)) static void start(void)
{
	allocate();
	getpid();
	started = 1;
}
