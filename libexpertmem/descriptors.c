// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The descriptor of a preloaded program's heap. The program has not opened it, so calls that close
 * descriptors skip it, and fail by EBADF. If dup2() asks for its number, it moves to another number.
 *
 * A child of vfork() has a copy of the descriptor, and shares the heap. It may close its copy.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <stdio.h>
#include <unistd.h>

#include "internal.h"
#include "raw.h"

static int (*real_close)(int fd);

/* close() is a cancellation point, so it calls the C library. The other calls are not. */
__attribute__((constructor)) static void find_real(void)
{
	*(void **)&real_close = dlsym(RTLD_NEXT, "close");
}

/* Is @fd the descriptor of the program's heap? */
bool em_is_program_fd(int fd)
{
	return fd >= 0 && fd == em_program_fd() && em_program_is_here();
}

int close(int fd)
{
	if (em_is_program_fd(fd))
		return (int)em_answer(-EBADF);
	return real_close ? real_close(fd) : (int)em_answer(em_raw(SYS_close, fd, 0, 0));
}

int close_range(unsigned int first, unsigned int last, int flags)
{
	int ours = em_program_fd();
	unsigned int fd = ours;
	long answer = 0;

	/* The descriptor is close-on-exec already. */
	if (ours < 0 || fd < first || fd > last || flags & CLOSE_RANGE_CLOEXEC ||
	    !em_program_is_here())
		return (int)em_answer(em_raw(SYS_close_range, first, last, flags));
	if (first < fd)
		answer = em_raw(SYS_close_range, first, fd - 1, flags);
	if (!answer && fd < last)
		answer = em_raw(SYS_close_range, fd + 1, last, flags);
	return (int)em_answer(answer);
}

void closefrom(int first)
{
	close_range(first < 0 ? 0 : first, UINT_MAX, 0);
}

int dup3(int from, int to, int flags)
{
	if (em_is_program_fd(from))
		return (int)em_answer(-EBADF);
	if (em_is_program_fd(to) && !em_program_fd_moves())
		return (int)em_answer(-EMFILE);
	return (int)em_answer(em_raw(SYS_dup3, from, to, flags));
}

int dup2(int from, int to)
{
	if (from != to)
		return dup3(from, to, 0);
	if (em_is_program_fd(from))
		return (int)em_answer(-EBADF);
	return fcntl(from, F_GETFD) < 0 ? -1 : to;
}

int dup(int from)
{
	if (em_is_program_fd(from))
		return (int)em_answer(-EBADF);
	return (int)em_answer(em_raw(SYS_dup, from, 0, 0));
}

/* A stream's close() is inside of the C library. */
FILE *fdopen(int fd, const char *mode)
{
	static FILE *(*real_fdopen)(int fd, const char *mode);

	if (em_is_program_fd(fd)) {
		errno = EBADF;
		return NULL;
	}
	if (!real_fdopen)
		*(void **)&real_fdopen = dlsym(RTLD_NEXT, "fdopen");
	return real_fdopen(fd, mode);
}
