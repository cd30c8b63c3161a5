// SPDX-License-Identifier: GPL-2.0
/* Lacks one of the two functions of an expert. */
#define NO_REGISTER
#include "expert.h"

RUN
{
	puts("noregister: must not run");
	return TRUE;
}
