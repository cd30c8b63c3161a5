// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Filters of system calls (seccomp) that a preloaded program sets by prctl(); process.c handles
 * those by syscall(). em_filter_begin() is called first: from then on the library makes only system
 * calls that malloc() of the C library makes.
 *
 * The library does not see a filter that a program is started with. Such a filter must allow the
 * calls of the C library at start, and rt_sigprocmask, gettid, getpid, prctl and membarrier.
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
