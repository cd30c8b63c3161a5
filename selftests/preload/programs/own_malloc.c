// SPDX-License-Identifier: GPL-2.0
/* A program with its own malloc(): memory is given out from the start of an array to its end. */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

static char memory[1 << 20] __attribute__((aligned(16)));
static size_t used;

void *malloc(size_t size);
void *calloc(size_t count, size_t size);
void *realloc(void *p, size_t size);
void free(void *p);

void *malloc(size_t size)
{
	void *p = memory + used;

	if (size > sizeof(memory) - 32 - used)
		return NULL;
	used += (size + 31) & ~(size_t)15;
	return p;
}

void *calloc(size_t count, size_t size)
{
	return malloc(count * size);
}

void *realloc(void *p, size_t size)
{
	void *new = malloc(size);

	/* what is behind the old block is in the array, too */
	return p && new ? memcpy(new, p, size) : new;
}

void free(void *p)
{
	(void)p;
}

int main(void)
{
	char *p = malloc(10);

	printf("%s\n", p >= memory && p < memory + sizeof(memory) ? "own" : "other");
	free(p);
	return 0;
}
