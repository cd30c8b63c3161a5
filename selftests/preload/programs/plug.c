// SPDX-License-Identifier: GPL-2.0
/* A plug-in that makes blocks which the program frees, and the other way round. */
#include <stdio.h>
#include <stdlib.h>

void *make(size_t size);
void drop(void *block);
int use_libc(void);

void *make(size_t size)
{
	return malloc(size);
}

void drop(void *block)
{
	free(block);
}

/* What the C library has allocated is freed here. */
int use_libc(void)
{
	char *text = NULL;

	if (asprintf(&text, "%s", "text") != 4)
		return 1;
	free(text);
	return 0;
}
