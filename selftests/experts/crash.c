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
	*nowhere = 0;
	return TRUE;
}
