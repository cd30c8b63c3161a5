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
static FILE *(*real_fdopen)(int fd, const char *mode);

/* close() is a cancellation point, so it calls the C library. A stream's close() is inside of that. */
__attribute__((constructor)) static void find_real(void)
{
	*(void **)&real_close = dlsym(RTLD_NEXT, "close");
	*(void **)&real_fdopen = dlsym(RTLD_NEXT, "fdopen");
}

/* Is @fd the descriptor of the program's heap? */
static bool is_ours(int fd)
{
	return fd >= 0 && fd == em_program_fd() && em_program_is_here();
}

/* close() or dup() */
static long do_one(long number, int fd)
{
	return is_ours(fd) ? -EBADF : em_raw(number, fd, 0, 0);
}

static long do_close_range(unsigned int first, unsigned int last, unsigned int flags)
{
	int ours = em_program_fd();
	unsigned int fd = ours;
	long answer = 0;

	/* The descriptor is close-on-exec already. */
	if (ours < 0 || fd < first || fd > last || flags & CLOSE_RANGE_CLOEXEC ||
	    !em_program_is_here())
		return em_raw(SYS_close_range, first, last, flags);
	if (first < fd)
		answer = em_raw(SYS_close_range, first, fd - 1, flags);
	if (!answer && fd < last)
		answer = em_raw(SYS_close_range, fd + 1, last, flags);
	return answer;
}

static long do_dup3(int from, int to, int flags)
{
	if (is_ours(from))
		return -EBADF;
	if (is_ours(to) && !em_program_fd_moves())
		return -EMFILE;
	return em_raw(SYS_dup3, from, to, flags);
}

static long do_dup2(int from, int to)
{
	if (from != to)
		return do_dup3(from, to, 0);
	return is_ours(from) || em_raw(SYS_fcntl, from, F_GETFD, 0) < 0 ? -EBADF : to;
}

/*
 * Make the system call with this number in the way of the functions below, if it is of a descriptor.
 * Returns what the kernel returns. False: it is another system call.
 */
bool em_descriptor_call(long number, const long args[static 3], long *answer)
{
	switch (number) {
	case SYS_close:
	case SYS_dup:
		*answer = do_one(number, (int)args[0]);
		return true;
	case SYS_close_range:
		*answer = do_close_range((unsigned int)args[0], (unsigned int)args[1], (unsigned int)args[2]);
		return true;
#ifdef SYS_dup2
	case SYS_dup2:
		*answer = do_dup2((int)args[0], (int)args[1]);
		return true;
#endif
	case SYS_dup3:
		*answer = do_dup3((int)args[0], (int)args[1], (int)args[2]);
		return true;
	default:
		return false;
	}
}

int close(int fd)
{
	return real_close && !is_ours(fd) ? real_close(fd) : (int)em_answer(do_one(SYS_close, fd));
}

int close_range(unsigned int first, unsigned int last, int flags)
{
	return (int)em_answer(do_close_range(first, last, flags));
}

void closefrom(int first)
{
	do_close_range(first < 0 ? 0 : first, UINT_MAX, 0);
}

int dup(int from)
{
	return (int)em_answer(do_one(SYS_dup, from));
}

int dup2(int from, int to)
{
	return (int)em_answer(do_dup2(from, to));
}

int dup3(int from, int to, int flags)
{
	return (int)em_answer(do_dup3(from, to, flags));
}

FILE *fdopen(int fd, const char *mode)
{
	if (is_ours(fd)) {
		errno = EBADF;
		return NULL;
	}
	if (!real_fdopen)
		find_real();
	return real_fdopen(fd, mode);
}
