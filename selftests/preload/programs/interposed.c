// SPDX-License-Identifier: GPL-2.0
/* A library that interposes what the heap and others call, and allocates there. */
#include <stdarg.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* The compiler would leave out a block that nobody uses. */
static void allocate_block(size_t size)
{
	char *volatile block = malloc(size);

	free(block);
}

/* The heap always takes its lock for the large block. */
static void allocate(void)
{
	allocate_block(100);
	allocate_block(100000);
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

/* The heap maps memory with its lock held, so it must not call these. */
void *mmap(void *start, size_t size, int protection, int flags, int fd, off_t offset)
{
	allocate();
	return (void *)syscall(SYS_mmap, start, size, protection, flags, fd, offset);
}

int munmap(void *start, size_t size)
{
	allocate();
	return (int)syscall(SYS_munmap, start, size);
}

int mprotect(void *start, size_t size, int protection)
{
	allocate();
	return (int)syscall(SYS_mprotect, start, size, protection);
}

int madvise(void *start, size_t size, int advice)
{
	allocate();
	return (int)syscall(SYS_madvise, start, size, advice);
}

int ioctl(int fd, unsigned long request, ...)
{
	va_list list;
	void *arg;

	va_start(list, request);
	arg = va_arg(list, void *);
	va_end(list);
	allocate();
	return (int)syscall(SYS_ioctl, fd, request, arg);
}

/* The heap interposes these two as well. */
int dup3(int from, int to, int flags)
{
	allocate();
	return (int)syscall(SYS_dup3, from, to, flags);
}

int close_range(unsigned int first, unsigned int last, int flags)
{
	allocate();
	return (int)syscall(SYS_close_range, first, last, flags);
}

/* The heap prints messages with its lock held, so it must not call this. */
ssize_t write(int fd, const void *bytes, size_t size)
{
	allocate();
	return syscall(SYS_write, fd, bytes, size);
}

__attribute__((constructor)) static void start(void)
{
	allocate();
	getpid();
	if (dup3(STDIN_FILENO, 900, 0) == 900)
		close_range(900, 900, 0);
}
