// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * sigaction(), signal() and its siblings, of a preloaded program. They hide the handler of crash.c, and
 * report the default action instead, because programs act on what they find: a Java VM would chain to
 * that handler instead of writing its own report.
 */
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>

#include "internal.h"

static int (*real_sigaction)(int number, const struct sigaction *action,
			     struct sigaction *before);

__attribute__((constructor)) static void find_real(void)
{
	*(void **)&real_sigaction = dlsym(RTLD_NEXT, "sigaction");
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

/* By name, because C libraries have different sets of these functions. */
static sighandler_t call(void **real, const char *name, int number, sighandler_t handler)
{
	sighandler_t (*function)(int number, sighandler_t handler), before;

	if (!*real)
		*real = dlsym(RTLD_NEXT, name);
	*(void **)&function = *real;
	if (!function) {
		errno = ENOSYS;
		return SIG_ERR;
	}
	before = function(number, handler);
	return em_crash_is_handler(before) ? SIG_DFL : before;
}

#define FUNCTION(name)						\
sighandler_t name(int number, sighandler_t handler);		\
sighandler_t name(int number, sighandler_t handler)		\
{								\
	static void *real;					\
								\
	return call(&real, #name, number, handler);		\
}

FUNCTION(signal)
FUNCTION(bsd_signal)
FUNCTION(ssignal)
FUNCTION(sysv_signal)
FUNCTION(__sysv_signal)
FUNCTION(sigset)
