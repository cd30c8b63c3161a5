// SPDX-License-Identifier: GPL-2.0
/* Succeeds, but forgets seven of its ten blocks. */
#include "expert.h"

RUN
{
	for (int i = 0; i < 10; i++) {
		void *block = take(key, 1000);

		if (i >= 7)
			ExpertFreeMemory(key, block);
	}
	return TRUE;
}
