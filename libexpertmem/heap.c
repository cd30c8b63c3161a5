// SPDX-License-Identifier: LGPL-2.1-or-later
/* Allocate, free, resize, walk and trim with the expert's lock held: the locked path of calls. */
#include <string.h>

#include "internal.h"

static void *try_alloc(struct em_expert *expert, struct em_tcache *tcache, size_t size,
		       size_t alignment, bool zeroed)
{
	size_t room = em_debug_padded_size(expert, size);
	unsigned int class = em_class_of(expert, room, alignment);
	void *p;

	if (em_debug_is_guarded(expert, size, alignment))
		p = em_large_alloc_guarded(expert, size);
	else if (class != EM_NO_CLASS)
		return em_slab_alloc(expert, tcache, size, class);
	else
		p = em_large_alloc(expert, size, room, alignment, zeroed);
	if (p)
		em_count(expert, tcache, 1, size);
	return p;
}

/*
 * Memory is short: give back kept regions, pool the unused slabs of all tcaches, and trim the pool.
 */
static void make_room(struct em_expert *expert, struct em_tcache *tcache)
{
	em_large_drop_kept(expert);
	/* This is a signal's handler: its thread is in a section, and uses its slabs. */
	if (em_self->word == EM_PARKED)
		return;
	em_pause(expert);
	em_collect(expert, tcache);
	em_pool_trim(expert);
	em_large_trim(expert);
	em_heap_check(expert);
	em_unpause(expert);
	expert->heap.nr_trimmed = em_read_once(&expert->heap.nr_put);
}

/**
 * struct block - the address of a block, looked up once for each call
 * @p: the address
 * @slab: the slab that @p points into; NULL: it points into none
 * @offset: of @p in the slab
 * @large: the large block at @p; NULL: there is none. Stale once large blocks were allocated,
 *	freed or trimmed.
 */
struct block {
	void *p;
	struct em_slab *slab;
	uint32_t offset;
	struct em_large *large;
};

static struct block look_up(const struct em_expert *expert, const void *p)
{
	struct block block = { .p = (void *)p };

	block.slab = em_slab_at(expert, p, &block.offset);
	if (!block.slab)
		block.large = em_large_find(expert, p);
	return block;
}

/* @size receives the bytes that were asked for. False: the block is not live. */
static bool size_of(const struct block *block, size_t *size)
{
	if (block->slab)
		return em_slab_size(block->slab, block->offset, size);
	if (block->large)
		*size = em_large_size(block->large);
	return block->large;
}

/* Bytes of room of a live block: the size of its class, or em_large_room(). */
static size_t room_of(const struct block *block)
{
	return block->slab ? block->slab->block : em_large_room(block->large);
}

static void note_alloc(struct em_expert *expert, void *p, size_t size, const void *site)
{
	const struct block block = look_up(expert, p);

	em_debug_on_alloc(expert, p, size, room_of(&block), site);
}

/*
 * Allocate a block. @zeroed: a block of more than EM_SMALL_MAX bytes shall be zeros, unless
 * EM_DEBUG_FILL fills it. @site: return address of the call, for findings. NULL: no memory.
 */
void *em_heap_alloc(struct em_expert *expert, size_t size, size_t alignment, bool zeroed,
		    const void *site)
{
	struct em_tcache *tcache = em_tcache_get(expert);
	unsigned int class;
	void *p;

	if (!tcache || size > expert->window)
		return NULL;
	class = em_class_of(expert, em_debug_padded_size(expert, size), alignment);
	p = try_alloc(expert, tcache, size, alignment, zeroed);
	if (!p && em_large_drop_kept(expert))
		p = try_alloc(expert, tcache, size, alignment, zeroed);
	if (!p) {
		make_room(expert, tcache);
		p = try_alloc(expert, tcache, size, alignment, zeroed);
	}
	if (!p && class != EM_NO_CLASS)
		p = em_slab_use_quarantine(expert, tcache, size, class);
	if (p && expert->debug & EM_DEBUG_BLOCKS)
		note_alloc(expert, p, size, site);
	return p;
}

/* Free a small block. False: it is not live. */
static bool free_small(struct em_expert *expert, struct em_tcache *tcache,
		       const struct block *block)
{
	struct em_slab *slab = block->slab;
	uint32_t offset = block->offset;

	while (slab) {
		switch (em_slab_free(expert, tcache, slab, offset)) {
		case EM_DONE:
			em_tcache_release(expert, tcache);
			return true;
		case EM_NOT_A_BLOCK:
			return false;
		case EM_NEEDS_SHARING:
			/* This pauses the expert: the slab may be in the pool afterwards. */
			em_slab_share(expert, slab);
			slab = em_slab_at(expert, block->p, &offset);
		}
	}
	return false;
}

/* Free a block, or return false: it is not live, and nothing changed. */
static bool free_block(struct em_expert *expert, struct em_tcache *tcache,
		       const struct block *block, struct expertmem_finding *found)
{
	size_t size;

	if (!size_of(block, &size))
		return false;
	if (expert->debug & EM_DEBUG_BLOCKS)
		em_debug_on_free(expert, block->p, size, room_of(block), found);
	if (block->slab)
		return free_small(expert, tcache, block);
	em_count(expert, tcache, -1, -(int64_t)size);
	em_large_free(expert, block->large);
	return true;
}

/*
 * Free a block. False: @p is not the start of a live block, and nothing changed. @found receives an
 * overrun that EM_DEBUG_CANARY has found.
 */
bool em_heap_free(struct em_expert *expert, void *p, struct expertmem_finding *found)
{
	struct em_tcache *tcache = em_tcache_get(expert);
	const struct block block = look_up(expert, p);

	return tcache && free_block(expert, tcache, &block, found);
}

/* @size receives the bytes that were asked for. False: @p is not the start of a live block. */
bool em_heap_size(const struct em_expert *expert, const void *p, size_t *size)
{
	const struct block block = look_up(expert, p);

	return size_of(&block, size);
}

/* Resize a small block in place. @class: of @size. @stay: also if that is a smaller class. */
static bool resize_small(struct em_expert *expert, struct em_tcache *tcache,
			 const struct block *block, size_t size, unsigned int class, bool stay)
{
	struct em_slab *slab = block->slab;
	uint32_t offset = block->offset;

	while (slab) {
		switch (em_slab_resize(expert, tcache, slab, offset, size,
				       stay ? slab->class : class)) {
		case EM_DONE:
			return true;
		case EM_NOT_A_BLOCK:
			return false;
		case EM_NEEDS_SHARING:
			em_slab_share(expert, slab);
			slab = em_slab_at(expert, block->p, &offset);
		}
	}
	return false;
}

static bool resize_large(struct em_expert *expert, struct em_tcache *tcache, struct block *block,
			 size_t size)
{
	size_t old = em_large_size(block->large);
	bool done = em_large_resize(expert, block->large, size);

	/* A kept region may be behind the block. */
	if (!done && size > old && em_large_drop_kept(expert))
		done = em_large_resize(expert, block->large, size);
	if (!done && size > old) {
		make_room(expert, tcache);
		block->large = em_large_find(expert, block->p);
		done = block->large && em_large_resize(expert, block->large, size);
	}
	if (!done)
		return false;
	em_count(expert, tcache, 0, (int64_t)size - (int64_t)old);
	return true;
}

/* Resize a block in place. @stay: also if a block of @size would be of another class, or small. */
static bool resize(struct em_expert *expert, struct em_tcache *tcache, struct block *block,
		   size_t size, bool stay)
{
	unsigned int class = em_class_of(expert, size, 1);

	/*
	 * With debugging each realloc moves the block, so that a use of the old pointer is found.
	 */
	if (expert->debug & EM_DEBUG_BLOCKS && !stay)
		return false;
	if (block->slab)
		return resize_small(expert, tcache, block, size, class, stay);
	return (stay || class == EM_NO_CLASS) && resize_large(expert, tcache, block, size);
}

/*
 * Resize a block, in place or by a copy. NULL: no memory, and the old block is unchanged; or @bad is
 * true: @p is not the start of a live block. Shrinking needs no memory, because a block can stay.
 */
void *em_heap_realloc(struct em_expert *expert, void *p, size_t size, const void *site,
		      bool *bad, struct expertmem_finding *found)
{
	struct em_tcache *tcache = em_tcache_get(expert);
	struct block block = look_up(expert, p);
	size_t old;
	void *new;

	*bad = !tcache || !size_of(&block, &old);
	if (*bad)
		return NULL;
	if (resize(expert, tcache, &block, size, false))
		return p;
	new = em_heap_alloc(expert, size, 1, false, site);
	/* An allocation may move the entries of large blocks, and make_room() the slabs. */
	block = look_up(expert, p);
	if (!new) {
		if (size > old || !size_of(&block, &old) ||
		    !resize(expert, tcache, &block, size, true))
			return NULL;
		if (expert->debug & EM_DEBUG_BLOCKS)
			em_debug_on_shrink(expert, p, old, size, room_of(&block));
		return p;
	}
	memcpy(new, p, old < size ? old : size);
	*bad = !free_block(expert, tcache, &block, found);
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
