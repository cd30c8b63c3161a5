// SPDX-License-Identifier: GPL-2.0
/* Calls itself until the stack is at its end. */
#include "expert.h"

static int sink(int depth)
{
	volatile char frame[1000];

	frame[0] = (char)depth;
	return depth < 0 ? 0 : sink(depth + 1) + frame[0];
}

RUN
{
	return sink(1);
}
