/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One face for every allocator that is compared. The Makefile compiles measure.c once for
 * each API_*; API_malloc is whatever malloc the process has, by LD_PRELOAD.
 *
 *	heap_open, heap_close	   what a client has to itself, and its end
 *	heap_alloc, heap_realloc
 *	heap_free		   false if the allocator says that it failed
 *
 * What an allocator has not, it is not asked for: see the lists in "run".
 */
#ifndef ADAPTERS_H
#define ADAPTERS_H

#include "bench.h"

#if defined(API_expert)

#include <expertmem.h>
#define HEAP_WALKS

static HEXPERTKEY heap;

static inline void heap_open(void)
{
	struct expertmem_options options = { .name = "bench" };

	if (expertmem_open(&options, &heap))
		die("expertmem_open failed");
}

static inline void heap_close(void)
{
	if (expertmem_close(heap))
		die("expertmem_close failed");
}

static inline void *heap_alloc(size_t size)
{
	DWORD error;

	return ExpertAllocMemory(heap, size, &error);
}

static inline void *heap_realloc(void *block, size_t size)
{
	DWORD error;

	return ExpertReallocMemory(heap, block, size, &error);
}

static inline bool heap_free(void *block)
{
	return ExpertFreeMemory(heap, block) == NMERR_SUCCESS;
}

#elif defined(API_malloc)

static inline void heap_open(void)
{
}

static inline void heap_close(void)
{
}

static inline void *heap_alloc(size_t size)
{
	return malloc(size);
}

static inline void *heap_realloc(void *block, size_t size)
{
	return realloc(block, size);
}

static inline bool heap_free(void *block)
{
	free(block);
	return true;
}

#elif defined(API_jemalloc)

#include <jemalloc/jemalloc.h>

static unsigned int arena, tcache;
static int heap;

static inline void heap_open(void)
{
	size_t size = sizeof(arena);

	if (mallctl("arenas.create", &arena, &size, NULL, 0) ||
	    mallctl("tcache.create", &tcache, &size, NULL, 0))
		die("jemalloc has no more arenas");
	heap = MALLOCX_ARENA(arena) | MALLOCX_TCACHE(tcache);
}

static inline void heap_close(void)
{
	char name[40];

	snprintf(name, sizeof(name), "arena.%u.destroy", arena);
	if (mallctl("tcache.destroy", NULL, NULL, &tcache, sizeof(tcache)) ||
	    mallctl(name, NULL, NULL, NULL, 0))
		die("jemalloc cannot destroy the arena");
}

static inline void *heap_alloc(size_t size)
{
	return mallocx(size, heap);
}

static inline void *heap_realloc(void *block, size_t size)
{
	return rallocx(block, size, heap);
}

static inline bool heap_free(void *block)
{
	dallocx(block, heap);
	return true;
}

#elif defined(API_mimalloc)

#include <mimalloc.h>

static mi_heap_t *heap;

static inline void heap_open(void)
{
	heap = mi_heap_new();
}

static inline void heap_close(void)
{
	mi_heap_destroy(heap);
}

static inline void *heap_alloc(size_t size)
{
	return mi_heap_malloc(heap, size);
}

static inline void *heap_realloc(void *block, size_t size)
{
	return mi_heap_realloc(heap, block, size);
}

static inline bool heap_free(void *block)
{
	mi_free(block);
	return true;
}

#elif defined(API_talloc)

#include <talloc.h>

static void *heap;

static inline void heap_open(void)
{
	heap = talloc_new(NULL);
}

static inline void heap_close(void)
{
	talloc_free(heap);
}

static inline void *heap_alloc(size_t size)
{
	return talloc_size(heap, size);
}

static inline void *heap_realloc(void *block, size_t size)
{
	return talloc_realloc_size(heap, block, size);
}

static inline bool heap_free(void *block)
{
	return !talloc_free(block);
}

#elif defined(API_apr)

#include <apr_general.h>
#include <apr_pools.h>

static apr_pool_t *heap;

static inline void heap_open(void)
{
	apr_initialize();
	/* with an allocator of its own, which goes with it */
	if (apr_pool_create_unmanaged_ex(&heap, NULL, NULL) != APR_SUCCESS)
		die("apr_pool_create failed");
}

static inline void heap_close(void)
{
	apr_pool_destroy(heap);
}

static inline void *heap_alloc(size_t size)
{
	return apr_palloc(heap, size);
}

/* A pool only grows, until it is destroyed. */
static inline void *heap_realloc(void *block, size_t size)
{
	(void)block;
	return heap_alloc(size);
}

static inline bool heap_free(void *block)
{
	return block;
}

#elif defined(API_wmem)

#include <wsutil/wmem/wmem.h>

static wmem_allocator_t *heap;

static inline void heap_open(void)
{
	wmem_init();
	heap = wmem_allocator_new(WMEM_ALLOCATOR_BLOCK);
}

static inline void heap_close(void)
{
	wmem_destroy_allocator(heap);
}

static inline void *heap_alloc(size_t size)
{
	return wmem_alloc(heap, size);
}

static inline void *heap_realloc(void *block, size_t size)
{
	return wmem_realloc(heap, block, size);
}

static inline bool heap_free(void *block)
{
	wmem_free(heap, block);
	return true;
}

#elif defined(API_none)

/* No allocator: what the machine and the loops can do at best. */

static inline void heap_open(void)
{
}

static inline void heap_close(void)
{
}

static inline void *heap_alloc(size_t size)
{
	static __thread char blocks[128][4096];
	static __thread unsigned int next;

	(void)size;
	return blocks[next++ % 128];
}

static inline void *heap_realloc(void *block, size_t size)
{
	(void)size;
	return block;
}

static inline bool heap_free(void *block)
{
	return block;
}

#endif

#endif /* ADAPTERS_H */
