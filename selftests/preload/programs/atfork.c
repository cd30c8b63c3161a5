// SPDX-License-Identifier: GPL-2.0
/*
 * To be preloaded: handlers of fork() that allocate and free, registered before any other
 * library could.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static char *blocks[3];

static void renew(int i)
{
	if (blocks[i] && strspn(blocks[i], "x") != 100000 + (size_t)i)
		abort();
	free(blocks[i]);
	blocks[i] = calloc(1, 100001 + i);
	memset(blocks[i], 'x', 100000 + i);
}

static void prepare(void)
{
	renew(0);
	renew(1);
	renew(2);
}

static void parent(void)
{
	renew(0);
	renew(1);
}

static void child(void)
{
	renew(0);
	renew(2);
}

__attribute__((constructor)) static void init(void)
{
	pthread_atfork(prepare, parent, child);
}
