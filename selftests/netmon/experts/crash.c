// SPDX-License-Identifier: GPL-2.0
/* Holds three blocks, 9 MiB in all, when it writes where it must not. */
#include "expert.h"

RUN
{
	volatile int *volatile nowhere = NULL;

	for (int mib = 2; mib <= 4; mib++)
		take(key, (SIZE_T)mib << 20);
	puts("crash: about to");
	fflush(stdout);
	/* cppcheck-suppress nullPointer; the crash */
	/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): the same */
	*nowhere = 0;
	return TRUE;
}
