// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * setrlimit(), prlimit() and mlockall() of a preloaded program. RLIMIT_AS counts addresses that are
 * reserved for a heap as if they were used. Before the program lowers this limit, the heap gives such
 * addresses up: otherwise the program could map nothing any more, as a stack for a thread, or a library.
 * When memory is limited or locked, the heap saves it from then on.
 */
#include <errno.h>
#include <sys/mman.h>
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

/* Can @new be read? The kernel reads it before it looks at the number of the resource. */
static bool is_readable(const struct rlimit *new)
{
	return em_raw6(SYS_prlimit64, 0, -1, (long)new, 0, 0, 0) == -EINVAL;
}

static int set(pid_t pid, int resource, const struct rlimit *new, struct rlimit *old)
{
	if ((resource == RLIMIT_AS || resource == RLIMIT_DATA) && new && is_this_process(pid) &&
	    is_readable(new) && new->rlim_cur <= new->rlim_max && new->rlim_cur != RLIM_INFINITY) {
		if (resource == RLIMIT_AS)
			em_program_unreserve(new->rlim_cur);
		/* afterwards: the program may have another expert now */
		if (new->rlim_cur < EM_LIMIT_FAR)
			em_program_save(false);
	}
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

int mlockall(int flags)
{
	em_program_save(true);
	return (int)em_answer(em_raw(SYS_mlockall, flags, 0, 0));
}

/* In a program of 64 bits, these are other names. musl defines them as macros. */
#ifdef __GLIBC__
int setrlimit64(RESOURCE resource, const struct rlimit64 *limit)
	__attribute__((alias("setrlimit")));
int prlimit64(pid_t pid, RESOURCE resource, const struct rlimit64 *new, struct rlimit64 *old)
	__attribute__((alias("prlimit")));
#endif
