// SPDX-License-Identifier: GPL-2.0
/* Is not content with the capture. */
#include "expert.h"

RUN
{
	puts("refuse: not this capture");
	return FALSE;
}
