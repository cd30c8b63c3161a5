// SPDX-License-Identifier: LGPL-2.1-or-later
/* Allocate, free, resize, walk and trim with the expert's lock held: the locked path of calls. */
#include <string.h>

#include "internal.h"

static bool is_small(size_t room, size_t alignment)
{
	return room <= EM_SMALL_MAX && alignment <= EM_PAGE;
}

static void *try_alloc(struct em_expert *expert, struct em_tcache *tcache, size_t size,
		       size_t alignment)
{
	size_t room = em_debug_padded_size(expert, size);
	void *p;

	if (em_debug_is_guarded(expert, size, alignment))
		p = em_large_alloc_guarded(expert, size);
	else if (is_small(room, alignment))
		return em_slab_alloc(expert, tcache, size, em_class_of(room, alignment));
	else
		p = em_large_alloc(expert, size, room, alignment);
	if (p)
		em_count(expert, tcache, 1, size);
	return p;
}

/* Memory is short: pool the unused slabs of all tcaches, and trim the pool. */
static void make_room(struct em_expert *expert, struct em_tcache *tcache)
{
	/* This is a signal's handler: its thread is in a section, and uses its slabs. */
	if (em_self->busy == EM_PARKED)
		return;
	em_pause(expert);
	em_collect(expert, tcache);
	em_pool_trim(expert);
	em_large_trim(expert);
	em_heap_check(expert);
	em_unpause(expert);
	expert->heap.nr_trimmed = em_read_once(&expert->heap.nr_put);
}

/* Bytes of room of a live block: the size of its class, or em_large_room(). */
static size_t room_of(const struct em_expert *expert, const void *p)
{
	uint32_t offset;
	struct em_slab *slab = em_slab_at(expert, p, &offset);

	return slab ? slab->block : em_large_room(em_large_find(expert, p));
}

/* Allocate a block. @site: return address of the call, for findings. NULL: no memory. */
void *em_heap_alloc(struct em_expert *expert, size_t size, size_t alignment, const void *site)
{
	struct em_tcache *tcache = em_tcache_get(expert);
	size_t room = em_debug_padded_size(expert, size);
	void *p;

	if (!tcache || size > expert->window)
		return NULL;
	p = try_alloc(expert, tcache, size, alignment);
	if (!p) {
		make_room(expert, tcache);
		p = try_alloc(expert, tcache, size, alignment);
	}
	if (!p && is_small(room, alignment))
		p = em_slab_use_quarantine(expert, tcache, size, em_class_of(room, alignment));
	if (p && expert->debug & EM_DEBUG_BLOCKS)
		em_debug_on_alloc(expert, p, size, room_of(expert, p), site);
	return p;
}

/* Free a small block. False: it is not live. */
static bool free_small(struct em_expert *expert, struct em_tcache *tcache, void *p)
{
	struct em_slab *slab;
	uint32_t offset;

	while ((slab = em_slab_at(expert, p, &offset))) {
		switch (em_slab_free(expert, tcache, slab, offset)) {
		case EM_DONE:
			em_tcache_release(expert, tcache);
			return true;
		case EM_NOT_A_BLOCK:
			return false;
		case EM_NEEDS_SHARING:
			em_slab_share(expert, slab);
		}
	}
	return false;
}

/*
 * Free a block. False: @p is not the start of a live block, and nothing changed. @found receives an
 * overrun that EM_DEBUG_CANARY has found.
 */
bool em_heap_free(struct em_expert *expert, void *p, struct expertmem_finding *found)
{
	struct em_tcache *tcache = em_tcache_get(expert);
	uint32_t offset;
	size_t size;

	if (!tcache || !em_heap_size(expert, p, &size))
		return false;
	if (expert->debug & EM_DEBUG_BLOCKS)
		em_debug_on_free(expert, p, size, room_of(expert, p), found);
	if (em_slab_at(expert, p, &offset))
		return free_small(expert, tcache, p);
	em_count(expert, tcache, -1, -(int64_t)size);
	em_large_free(expert, em_large_find(expert, p));
	return true;
}

/* @size receives the bytes that were asked for. False: @p is not the start of a live block. */
bool em_heap_size(const struct em_expert *expert, const void *p, size_t *size)
{
	const struct em_slab *slab;
	struct em_large *large;
	uint32_t offset;

	slab = em_slab_at(expert, p, &offset);
	if (slab)
		return em_slab_size(slab, offset, size);
	large = em_large_find(expert, p);
	if (large)
		*size = em_large_size(large);
	return large;
}

/* Resize a small block in place. @stay: also if @size belongs to a smaller class. */
static bool resize_small(struct em_expert *expert, struct em_tcache *tcache, void *p, size_t size,
			 bool stay)
{
	struct em_slab *slab;
	uint32_t offset;

	while ((slab = em_slab_at(expert, p, &offset))) {
		switch (em_slab_resize(expert, tcache, slab, offset, size, stay)) {
		case EM_DONE:
			return true;
		case EM_NOT_A_BLOCK:
			return false;
		case EM_NEEDS_SHARING:
			em_slab_share(expert, slab);
		}
	}
	return false;
}

static bool resize_large(struct em_expert *expert, struct em_tcache *tcache, void *p, size_t size)
{
	struct em_large *large = em_large_find(expert, p);
	size_t old;

	if (!large)
		return false;
	old = em_large_size(large);
	if (!em_large_resize(expert, large, size)) {
		if (size <= old)
			return false;
		make_room(expert, tcache);
		large = em_large_find(expert, p);
		if (!large || !em_large_resize(expert, large, size))
			return false;
	}
	em_count(expert, tcache, 0, (int64_t)size - (int64_t)old);
	return true;
}

/* Resize a block in place. @stay: also if a block of @size would be of another class, or small. */
static bool resize(struct em_expert *expert, struct em_tcache *tcache, void *p, size_t size,
		   bool stay)
{
	uint32_t offset;

	/*
	 * With debugging each realloc moves the block, so that a use of the old pointer is found.
	 */
	if (expert->debug & EM_DEBUG_BLOCKS && !stay)
		return false;
	if (em_slab_at(expert, p, &offset))
		return resize_small(expert, tcache, p, size, stay);
	return (stay || size > EM_SMALL_MAX) && resize_large(expert, tcache, p, size);
}

/*
 * Resize a block, in place or by a copy. NULL: no memory, and the old block is unchanged; or @bad is
 * true: @p is not the start of a live block. Shrinking needs no memory, because a block can stay.
 */
void *em_heap_realloc(struct em_expert *expert, void *p, size_t size, const void *site,
		      bool *bad, struct expertmem_finding *found)
{
	struct em_tcache *tcache = em_tcache_get(expert);
	size_t old;
	void *new;

	*bad = !tcache || !em_heap_size(expert, p, &old);
	if (*bad)
		return NULL;
	if (resize(expert, tcache, p, size, false))
		return p;
	new = em_heap_alloc(expert, size, 1, site);
	if (!new) {
		if (size > old || !resize(expert, tcache, p, size, true))
			return NULL;
		if (expert->debug & EM_DEBUG_BLOCKS)
			em_debug_on_shrink(expert, p, old, size, room_of(expert, p));
		return p;
	}
	memcpy(new, p, old < size ? old : size);
	*bad = !em_heap_free(expert, p, found);
	if (!*bad)
		return new;
	/* Another thread has freed the old block meanwhile. */
	em_heap_free(expert, new, found);
	return NULL;
}

/* Give all memory back that no block needs. */
void em_heap_trim(struct em_expert *expert)
{
	if (!expert->heap.nr_tcaches)
		return;
	make_room(expert, em_self->index ? em_tcache_of(expert, em_self) : NULL);
}

/* Call @visit for each region of the heap. The expert is paused. */
void em_heap_regions(struct em_expert *expert, em_region_visitor visit, void *arg)
{
	struct em_heap *heap = &expert->heap;
	const struct em_array *arrays[] = {
		&heap->small, &heap->states, &heap->queues, &heap->tables, &heap->tcaches,
	};
	size_t i;

	for (i = 0; i < sizeof(arrays) / sizeof(arrays[0]); i++)
		if (arrays[i]->base)
			visit(arrays[i]->base, arrays[i]->size, arg);
	em_pool_regions(expert, visit, arg);
	em_large_regions(expert, visit, arg);
}

int em_heap_walk(struct em_expert *expert,
		 int (*visit)(void *block, size_t size, void *arg), void *arg)
{
	int result;

	if (!expert->heap.nr_tcaches)
		return 0;
	em_pause(expert);
	result = em_slabs_walk(expert, visit, arg);
	if (!result)
		result = em_large_walk(expert, visit, arg);
	em_unpause(expert);
	return result;
}
