/* SPDX-License-Identifier: GPL-2.0 */
/* What the experts for tests share. Each is bad, or good, in one way. */
#ifndef TEST_EXPERT_H
#define TEST_EXPERT_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <Netmon.h>

#define UNUSED __attribute__((unused))

#define RUN BOOL WINAPI Run(HEXPERTKEY key UNUSED, PEXPERTCONFIG config UNUSED, \
			    PEXPERTSTARTUPINFO startup UNUSED, DWORD flags UNUSED, \
			    HWND window UNUSED)

#ifndef NO_REGISTER
BOOL WINAPI Register(PEXPERTENUMINFO info)
{
	strcpy(info->szName, "Test");
	return TRUE;
}
#endif

/* Some memory with something in it. */
static inline void *take(HEXPERTKEY key, SIZE_T bytes)
{
	DWORD error;
	void *block = ExpertAllocMemory(key, bytes, &error);

	if (!block) {
		printf("no memory: error %u\n", error);
		exit(99);
	}
	memset(block, 0xe5, bytes);
	return block;
}

static inline void nap(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 10 * 1000 * 1000 }, NULL);
}

#endif /* TEST_EXPERT_H */
