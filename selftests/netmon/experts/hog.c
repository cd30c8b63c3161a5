// SPDX-License-Identifier: GPL-2.0
/* Takes all it can get, 1 GiB at most; succeeds if it was told that there is no more. */
#include "expert.h"

#define BLOCK (1 << 20)
#define BLOCKS 1024

RUN
{
	void *blocks[BLOCKS];
	DWORD error = NMERR_SUCCESS;
	int count;

	for (count = 0; count < BLOCKS; count++) {
		blocks[count] = ExpertAllocMemory(key, BLOCK, &error);
		if (!blocks[count])
			break;
		memset(blocks[count], 0xe5, BLOCK);
	}
	printf("hog: %d MiB, then error %u\n", count, error);
	while (count--)
		ExpertFreeMemory(key, blocks[count]);
	return error == NMERR_OUT_OF_MEMORY;
}
