// SPDX-License-Identifier: GPL-2.0
/* Dies before anyone has called it. */
#include "expert.h"

static void __attribute__((constructor)) die(void)
{
	abort();
}

RUN
{
	return TRUE;
}
