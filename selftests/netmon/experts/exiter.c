// SPDX-License-Identifier: GPL-2.0
/* Takes its whole process with it; the status is EXITER_STATUS, or 3. */
#include "expert.h"

RUN
{
	const char *status = getenv("EXITER_STATUS");

	take(key, 100);
	exit(status ? atoi(status) : 3);
}
