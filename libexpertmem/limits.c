// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * setrlimit() and prlimit() of a preloaded program. RLIMIT_AS counts addresses that are reserved for
 * a heap as if they were used. They are unmapped when the program lowers this limit: otherwise it could
 * map nothing any more, as a stack for a thread, or a library.
 */
#include <sys/resource.h>

#include "internal.h"
#include "raw.h"

#ifdef __GLIBC__
#define RESOURCE __rlimit_resource_t
#else
#define RESOURCE int
#endif

static bool is_this_process(pid_t pid)
{
	return !pid || pid == em_process() || pid == em_raw(SYS_gettid, 0, 0, 0);
}

/* The kernel reads @new, which may be no valid pointer. */
static int set(pid_t pid, int resource, const struct rlimit *new, struct rlimit *old)
{
	long answer = em_raw6(SYS_prlimit64, pid, resource, (long)new, (long)old, 0, 0);
	struct rlimit now;

	if (!answer && new && resource == RLIMIT_AS && is_this_process(pid) &&
	    !em_raw6(SYS_prlimit64, 0, RLIMIT_AS, 0, (long)&now, 0, 0) &&
	    now.rlim_cur != RLIM_INFINITY)
		em_program_unreserve(now.rlim_cur);
	return (int)em_answer(answer);
}

int setrlimit(RESOURCE resource, const struct rlimit *limit)
{
	return set(0, resource, limit, NULL);
}

int prlimit(pid_t pid, RESOURCE resource, const struct rlimit *new, struct rlimit *old)
{
	return set(pid, resource, new, old);
}

/* In a program of 64 bits, these are other names. musl defines them as macros. */
#ifdef __GLIBC__
int setrlimit64(RESOURCE resource, const struct rlimit64 *limit)
	__attribute__((alias("setrlimit")));
int prlimit64(pid_t pid, RESOURCE resource, const struct rlimit64 *new, struct rlimit64 *old)
	__attribute__((alias("prlimit")));
#endif
