// SPDX-License-Identifier: GPL-2.0
/*
 * Holds three blocks, 9 MiB in all, when it writes where it must not. Before, it gives the file
 * CRASH_FILE the path of its own file, if that is set.
 */
#include <dlfcn.h>

#include "expert.h"

static void replace_own_file(void)
{
	const char *file = getenv("CRASH_FILE");
	Dl_info info;

	if (file && dladdr((void *)replace_own_file, &info) && rename(file, info.dli_fname))
		perror(file);
}

RUN
{
	volatile int *volatile nowhere = NULL;

	for (int mib = 2; mib <= 4; mib++)
		take(key, (SIZE_T)mib << 20);
	replace_own_file();
	puts("crash: about to");
	fflush(stdout);
	/* cppcheck-suppress nullPointer; the crash */
	/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): the same */
	*nowhere = 0;
	return TRUE;
}
