// SPDX-License-Identifier: GPL-2.0
/* Works until it is told to stop; then it cleans up and returns at once. */
#include "expert.h"

RUN
{
	void *block = ExpertAllocMemory(key, 5000, NULL);	/* NULL: it was told already */

	while (ExpertIndicateStatus(key, EXPERTSTATUS_RUNNING, 0, "waiting\a patiently", 42) !=
	       NMERR_EXPERT_TERMINATE)
		nap();
	if (block)
		printf("patient: free answers %u\n", (unsigned int)ExpertFreeMemory(key, block));
	return FALSE;
}
