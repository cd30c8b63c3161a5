// SPDX-License-Identifier: GPL-2.0
/* Frees what it must not, and prints the answers. */
#include "expert.h"

static void try(const char *what, HEXPERTKEY key, void *block)
{
	printf("badfree: %s: %u\n", what, (unsigned int)ExpertFreeMemory(key, block));
}

RUN
{
	char on_stack[64];
	char *block = take(key, 100);

	try("inside a block", key, block + 16);
	try("the stack", key, on_stack);
	try("a wild pointer", key, (void *)0xdeadbeef0000);
	try("the block", key, block);
	try("the block again", key, block);
	return TRUE;
}
