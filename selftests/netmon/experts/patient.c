// SPDX-License-Identifier: GPL-2.0
/* Works until it is told to stop; then it cleans up and returns at once. */
#include "expert.h"

RUN
{
	void *block = take(key, 5000);

	while (ExpertIndicateStatus(key, EXPERTSTATUS_RUNNING, 0, "waiting\a patiently", 42) !=
	       NMERR_EXPERT_TERMINATE)
		nap();
	printf("patient: free answers %u\n", (unsigned int)ExpertFreeMemory(key, block));
	return FALSE;
}
