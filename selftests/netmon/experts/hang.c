// SPDX-License-Identifier: GPL-2.0
/* Is never heard of again, and so cannot learn that it should stop. */
#include "expert.h"

RUN
{
	take(key, 5000);
	while (1)
		pause();
}
