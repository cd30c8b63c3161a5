/* SPDX-License-Identifier: GPL-2.0 */
/* Shared by the tests of the malloc family. */
#ifndef MALLOC_TEST_H
#define MALLOC_TEST_H

#include <dlfcn.h>
#include <malloc.h>

#include "harness.h"
#include "expertmem_test.h"

/* What the compiler cannot see through: it knows these functions, and what is wrong. */
static void *(*volatile allocate)(size_t) = malloc;
static void *(*volatile resize)(void *, size_t) = realloc;
static void (*volatile release)(void *) = free;

static inline bool is_experts_malloc(void)
{
	Dl_info info;

	return dladdr(dlsym(RTLD_DEFAULT, "malloc"), &info) &&
	       strstr(info.dli_fname, "libexpertmem-malloc");
}

/* ----------------------------------------------------------- blocks with contents */

struct block {
	size_t size;
	unsigned char byte;
	unsigned char at[];
};

static inline struct block *block_new(size_t size, unsigned char byte)
{
	struct block *block = allocate(sizeof(*block) + size);

	if (!block)
		abort();
	block->size = size;
	block->byte = byte;
	memset(block->at, byte, size);
	return block;
}

static inline bool block_is_intact(const struct block *block)
{
	return all_bytes(block->at, block->size, block->byte);
}

/* Many sizes, the large ones rarely. */
static inline size_t some_size(unsigned int *seed)
{
	unsigned int random = rand_r(seed);

	if (random % 256 == 0)
		return random % 300000;
	return random % 8 ? random % 200 : random % 5000;
}

#define HEAP 300

/* What one thread has: blocks that come and go. */
struct heap {
	struct block *blocks[HEAP];
	unsigned int seed;
};

static inline bool heap_churn(struct heap *heap, unsigned long steps)
{
	while (steps--) {
		size_t i = rand_r(&heap->seed) % HEAP;

		if (heap->blocks[i] && !block_is_intact(heap->blocks[i]))
			return false;
		release(heap->blocks[i]);
		heap->blocks[i] = block_new(some_size(&heap->seed), heap->seed >> 8);
	}
	return true;
}

static inline bool heap_is_intact(const struct heap *heap)
{
	size_t i;

	for (i = 0; i < HEAP; i++)
		if (heap->blocks[i] && !block_is_intact(heap->blocks[i]))
			return false;
	return true;
}

static inline void heap_free(struct heap *heap)
{
	size_t i;

	for (i = 0; i < HEAP; i++) {
		release(heap->blocks[i]);
		heap->blocks[i] = NULL;
	}
}

/* ------------------------------------------------------------------- in threads */

#define THREADS 4

static bool stop;	/* tells threads to end */

static inline bool stopped(void)
{
	return __atomic_load_n(&stop, __ATOMIC_RELAXED);
}

static inline void stop_all(bool now)
{
	__atomic_store_n(&stop, now, __ATOMIC_RELAXED);
}

static inline void *churn_until_stopped(void *arg)
{
	struct heap *heap = arg;
	bool intact = true;

	while (!stopped())
		intact &= heap_churn(heap, 100);
	intact &= heap_is_intact(heap);
	heap_free(heap);
	return (void *)intact;
}

/* The expert that is the heap of this process; -1 with the C library's malloc. */
static inline int expert_of_program(void)
{
	char path[64], target[64];
	ssize_t length;
	int fd;

	for (fd = 0; fd < 4096; fd++) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		length = readlink(path, target, sizeof(target) - 1);
		if (length < 0)
			continue;
		target[length] = '\0';
		if (!strcmp(target, DEVICE))
			return fd;
	}
	return -1;
}

#endif /* MALLOC_TEST_H */
