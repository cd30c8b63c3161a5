// SPDX-License-Identifier: GPL-2.0
/* Does not want to be registered. */
#define NO_REGISTER
#include "expert.h"

BOOL WINAPI Register(PEXPERTENUMINFO info UNUSED)
{
	return FALSE;
}

RUN
{
	puts("unwilling: must not run");
	return TRUE;
}
