// SPDX-License-Identifier: GPL-2.0
/* Takes all that it may, says what refused it more, and goes on with that until told to stop. */
#include "expert.h"

#define BLOCK (1 << 20)
#define BLOCKS 1024

RUN
{
	DWORD error = NMERR_SUCCESS;
	int count;

	for (count = 0; count < BLOCKS; count++) {
		void *block = ExpertAllocMemory(key, BLOCK, &error);

		if (!block)
			break;
		memset(block, 0xe5, BLOCK);
	}
	printf("greedy: %d blocks of 1 MiB, then error %u, %s\n", count, error,
	       error == NMERR_OUT_OF_MEMORY ? "NMERR_OUT_OF_MEMORY" : "which is wrong");
	fflush(stdout);
	while (ExpertIndicateStatus(key, EXPERTSTATUS_RUNNING, 0, "working", 50) !=
	       NMERR_EXPERT_TERMINATE)
		nap();
	return TRUE;
}
