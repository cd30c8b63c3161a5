// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Filters of system calls (seccomp) that a preloaded program sets for itself. The heap is told
 * before, for it makes some system calls that malloc() of the C library does not make. The other
 * way to set a filter is syscall(), in process.c.
 *
 * A filter that a program is started with is not seen: it must allow what the C library calls
 * when a program starts, and rt_sigprocmask, gettid, getpid, prctl and membarrier.
 */
#include <stdarg.h>
#include <sys/prctl.h>

#include "internal.h"
#include "raw.h"

int prctl(int option, ...)
{
	unsigned long args[4];
	va_list list;

	va_start(list, option);
	for (int i = 0; i < 4; i++)
		args[i] = va_arg(list, unsigned long);
	va_end(list);

	if (option == PR_SET_SECCOMP)
		em_filter_begin();
	return (int)em_answer(em_raw6(SYS_prctl, option, (long)args[0], (long)args[1],
				      (long)args[2], (long)args[3], 0));
}
