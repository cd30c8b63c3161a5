// SPDX-License-Identifier: GPL-2.0
/* Is told to stop, and says that it will not. It ignores polite signals, too. */
#include <signal.h>

#include "expert.h"

RUN
{
	int told = 0;

	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	take(key, 5000);
	while (1) {
		DWORD error = ExpertIndicateStatus(key, EXPERTSTATUS_RUNNING, 0, "busy", 50);

		if (error == NMERR_EXPERT_TERMINATE && !told++) {
			puts("stubborn: I will not");
			fflush(stdout);
		}
		nap();
	}
}
