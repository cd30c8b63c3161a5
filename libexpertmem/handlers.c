// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * sigaction() and signal() of a preloaded program. They hide the handler of crash.c, and report the
 * default action instead, because programs act on what they find: a Java VM would chain to that
 * handler instead of writing its own report.
 */
#include <dlfcn.h>
#include <signal.h>

#include "internal.h"

static int (*real_sigaction)(int number, const struct sigaction *action,
			     struct sigaction *before);
static sighandler_t (*real_signal)(int number, sighandler_t handler);

__attribute__((constructor)) static void find_real(void)
{
	*(void **)&real_sigaction = dlsym(RTLD_NEXT, "sigaction");
	*(void **)&real_signal = dlsym(RTLD_NEXT, "signal");
}

int sigaction(int number, const struct sigaction *action, struct sigaction *before)
{
	int error;

	if (!real_sigaction)	/* called by another library's constructor, before ours */
		find_real();
	error = real_sigaction(number, action, before);
	if (!error && before && em_crash_is_handler(before->sa_handler))
		*before = (struct sigaction){ .sa_handler = SIG_DFL };
	return error;
}

sighandler_t signal(int number, sighandler_t handler)
{
	sighandler_t before;

	if (!real_signal)
		find_real();
	before = real_signal(number, handler);
	return em_crash_is_handler(before) ? SIG_DFL : before;
}
