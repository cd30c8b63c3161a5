// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * setrlimit() and prlimit() of a preloaded program. RLIMIT_AS counts addresses that are reserved for
 * a heap as if they were used. They are unmapped before the program lowers this limit: otherwise it
 * could map nothing any more, as a stack for a thread, or a library.
 */
#include <sys/resource.h>

#include "internal.h"
#include "raw.h"

#ifdef __GLIBC__
#define RESOURCE __rlimit_resource_t
#else
#define RESOURCE int
#endif

static int set(pid_t pid, int resource, const struct rlimit *new, struct rlimit *old)
{
	if (new && resource == RLIMIT_AS && new->rlim_cur != RLIM_INFINITY &&
	    (!pid || pid == em_process()))
		em_program_unreserve(new->rlim_cur);
	return (int)em_answer(em_raw6(SYS_prlimit64, pid, resource, (long)new, (long)old, 0, 0));
}

int setrlimit(RESOURCE resource, const struct rlimit *limit)
{
	return set(0, resource, limit, NULL);
}

int prlimit(pid_t pid, RESOURCE resource, const struct rlimit *new, struct rlimit *old)
{
	return set(pid, resource, new, old);
}

/* In a program of 64 bits, these are other names. */
int setrlimit64(RESOURCE resource, const struct rlimit64 *limit)
	__attribute__((alias("setrlimit")));
int prlimit64(pid_t pid, RESOURCE resource, const struct rlimit64 *new, struct rlimit64 *old)
	__attribute__((alias("prlimit")));
