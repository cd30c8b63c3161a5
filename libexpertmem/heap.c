// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The heap of an expert.
 *
 * Blocks of up to 32 KiB come from *slabs*: 64 KiB cut into blocks of one size class.
 * Larger blocks are regions of their own. Nothing about a block is kept in or beside
 * it, so no write through a block, before it, behind it or after its end can reach
 * what the heap knows:
 *
 *	segment	  a region that grows in place, an array of slabs. The first megabyte
 *		  is in the small window, the rest in the huge one.
 *	slabs[]	  one struct em_slab for each, in a region beside
 *	states[]  for each block of a slab its size or, when free, the next free one
 *	large[]	  a hash table from the address of a large block to its size
 *
 * So a pointer is checked in a handful of steps, whatever it is: its distance from the
 * segment's start gives the slab, its distance in there the block by a multiplication,
 * and the block's state says whether it is live. The address itself is never read.
 */
#include <string.h>

#include "internal.h"

#define SLAB_SHIFT	16
#define SLAB_SIZE	(1UL << SLAB_SHIFT)
#define SMALL_MAX	32768UL

/* slabs that the small window gives before the huge one is used */
#define SMALL_SEGMENT	(1UL << 20)

/* The state of a block: 0 not used yet, size + 1 live, FREE + the next one free */
#define STATE_LIVE_MAX	(SMALL_MAX + 1)
#define STATE_FREE	(SMALL_MAX + 2)
#define NO_BLOCK	(UINT16_MAX - STATE_FREE)

#define STATES_MIN	64UL

/**
 * struct em_slab - 64 KiB of blocks of one class
 * @base: its first byte
 * @states: one for each block
 * @next: in the list of slabs with a free block, or of the empty ones
 * @prev: NULL for the first
 * @block: bytes of a block; 0 while the slab has no class
 * @inverse: 2^32 / @block, rounded up
 * @blocks: how many
 * @fresh: those from here on have not been used
 * @free: the first free one below @fresh, or NO_BLOCK
 * @used: how many are live
 * @class: index of the class
 */
struct em_slab {
	char *base;
	uint16_t *states;
	struct em_slab *next;
	struct em_slab *prev;
	uint32_t block;
	uint32_t inverse;
	uint16_t blocks;
	uint16_t fresh;
	uint16_t free;
	uint16_t used;
	uint8_t class;
} __attribute__((aligned(64)));

/* A large block; @address 0: this place of the table is free. */
struct em_large {
	uintptr_t address;
	size_t size;
};

/* What a good pointer is: either a block of a slab or a large one. */
struct block {
	struct em_slab *slab;
	unsigned int index;
	struct em_large *large;
};

/* From a page on, classes are whole pages: such blocks are page aligned. */
static const uint16_t class_size[EM_CLASSES] = {
	16, 32, 48, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 640, 768,
	896, 1024, 1280, 1536, 1792, 2048, 2560, 3072, 3584, 4096, 8192, 12288, 16384, 20480,
	32768,
};

/* log2 of a power of two or of what is next above */
static unsigned int log2_up(size_t size)
{
	return size <= 1 ? 0 : 64 - __builtin_clzl(size - 1);
}

static unsigned int class_of(size_t size)
{
	unsigned int log;

	if (size <= 128)
		return size ? (size - 1) / 16 : 0;
	if (size <= 3584) {
		log = log2_up(size);	/* four classes up to each power of two */
		return 8 + (log - 8) * 4 + ((size - 1) >> (log - 3)) - 4;
	}
	if (size <= 20480)
		return 26 + (size + EM_PAGE - 1) / EM_PAGE;
	return EM_CLASSES - 1;
}

static void count(struct em_expert *expert, int blocks, ssize_t bytes)
{
	struct em_control *control = expert->control;
	uint64_t live = control->live_bytes + bytes;

	/* Hosts read them from other processes. */
	__atomic_store_n(&control->live_blocks, control->live_blocks + blocks,
			 __ATOMIC_RELAXED);
	__atomic_store_n(&control->live_bytes, live, __ATOMIC_RELAXED);
	if (live > control->peak_bytes)
		__atomic_store_n(&control->peak_bytes, live, __ATOMIC_RELAXED);
}

/* Add @more bytes to a region that has @size, or make it with @room to grow, if need be less. */
static bool grow(struct em_expert *expert, char **region, size_t *size, size_t more,
		 enum em_window window, size_t room)
{
	if (*region && !expert->backend->resize(expert, *region, *size, *size + more))
		return false;
	for (; !*region && room >= more; room /= 2)
		*region = expert->backend->alloc(expert, window, more, room);
	if (!*region)
		return false;
	*size += more;
	return true;
}

/* Room for the states of @blocks blocks, zeroed. */
static unsigned int states_order(unsigned int blocks)
{
	size_t size = blocks * sizeof(uint16_t);

	return size <= STATES_MIN ? 0 : log2_up(size) - log2_up(STATES_MIN);
}

static bool states_grow(struct em_expert *expert, size_t size)
{
	struct em_heap *heap = &expert->heap;

	return grow(expert, &heap->states, &heap->states_size, em_round_up(size, EM_PAGE),
		    EM_SMALL_WINDOW, expert->window / 8);
}

static uint16_t *states_get(struct em_expert *expert, unsigned int blocks)
{
	struct em_heap *heap = &expert->heap;
	unsigned int order = states_order(blocks);
	size_t size = STATES_MIN << order;
	uint16_t *states = heap->states_free[order];

	if (states) {
		memcpy(&heap->states_free[order], states, sizeof(states));
		return memset(states, 0, size);
	}
	if (heap->states_size - heap->states_used < size && !states_grow(expert, size))
		return NULL;
	states = (uint16_t *)(heap->states + heap->states_used);
	heap->states_used += size;
	return states;
}

static void states_put(struct em_heap *heap, uint16_t *states, unsigned int blocks)
{
	unsigned int order = states_order(blocks);

	memcpy(states, &heap->states_free[order], sizeof(states));
	heap->states_free[order] = states;
}

static void list_add(struct em_slab **list, struct em_slab *slab)
{
	slab->prev = NULL;
	slab->next = *list;
	if (slab->next)
		slab->next->prev = slab;
	*list = slab;
}

static void list_del(struct em_slab **list, struct em_slab *slab)
{
	if (slab->next)
		slab->next->prev = slab->prev;
	if (slab->prev)
		slab->prev->next = slab->next;
	else
		*list = slab->next;
}

/* How far a segment is to be able to grow. */
static size_t segment_room(const struct em_expert *expert)
{
	return expert->window / 2;
}

static bool segment_grow_slabs(struct em_expert *expert, struct em_segment *segment)
{
	return grow(expert, (char **)&segment->slabs, &segment->slabs_size, EM_PAGE,
		    EM_SMALL_WINDOW,
		    (segment_room(expert) >> SLAB_SHIFT) * sizeof(struct em_slab));
}

/* Add empty slabs at the end of a segment: one, or a huge page's worth. */
static bool segment_grow(struct em_expert *expert, enum em_window window)
{
	struct em_segment *segment = &expert->heap.segments[window];
	size_t old = segment->size >> SLAB_SHIFT;
	size_t more = window == EM_HUGE_WINDOW ? EM_HUGE : SLAB_SIZE;
	size_t end = old + (more >> SLAB_SHIFT);
	size_t i;

	if (end * sizeof(struct em_slab) > segment->slabs_size &&
	    !segment_grow_slabs(expert, segment))
		return false;
	if (!grow(expert, &segment->base, &segment->size, more, window,
		  segment_room(expert)))
		return false;
	for (i = end; i-- > old; ) {
		segment->slabs[i].base = segment->base + (i << SLAB_SHIFT);
		list_add(&expert->heap.empty, &segment->slabs[i]);
	}
	return true;
}

/* Huge pages as soon as they pay, but rather small ones than none. */
static bool heap_grow(struct em_expert *expert)
{
	if (expert->heap.segments[EM_SMALL_WINDOW].size >= SMALL_SEGMENT &&
	    !(expert->flags & EXPERTMEM_NO_HUGE) && segment_grow(expert, EM_HUGE_WINDOW))
		return true;
	return segment_grow(expert, EM_SMALL_WINDOW);
}

/*
 * What grows gets its room before the first large block: each of those is put where it
 * can grow itself, so that soon no wide gap is left. (The huge segment, which costs 2 MiB,
 * takes what there is, for the small one can replace it.)
 */
static bool heap_prepare(struct em_expert *expert)
{
	struct em_heap *heap = &expert->heap;
	struct em_segment *small = &heap->segments[EM_SMALL_WINDOW];
	struct em_segment *huge = &heap->segments[EM_HUGE_WINDOW];

	return (small->size || segment_grow(expert, EM_SMALL_WINDOW)) &&
	       (huge->slabs_size || expert->flags & EXPERTMEM_NO_HUGE ||
		segment_grow_slabs(expert, huge)) &&
	       (heap->states_size || states_grow(expert, EM_PAGE));
}

static struct em_slab *slab_get(struct em_expert *expert, unsigned int class)
{
	struct em_heap *heap = &expert->heap;
	unsigned int blocks = SLAB_SIZE / class_size[class];
	struct em_slab *slab;
	uint16_t *states;

	if (!heap->empty && !heap_grow(expert))
		return NULL;
	states = states_get(expert, blocks);
	if (!states)
		return NULL;
	slab = heap->empty;
	list_del(&heap->empty, slab);
	slab->states = states;
	slab->block = class_size[class];
	slab->inverse = (1ULL << 32) / slab->block + 1;
	slab->blocks = blocks;
	slab->fresh = 0;
	slab->free = NO_BLOCK;
	slab->used = 0;
	slab->class = class;
	list_add(&heap->partial[class], slab);
	return slab;
}

static void slab_put(struct em_heap *heap, struct em_slab *slab)
{
	list_del(&heap->partial[slab->class], slab);
	slab->block = 0;
	states_put(heap, slab->states, slab->blocks);
	list_add(&heap->empty, slab);
}

static void *slab_alloc(struct em_expert *expert, size_t size)
{
	unsigned int class = class_of(size), i;
	struct em_heap *heap = &expert->heap;
	struct em_slab *slab = heap->partial[class];

	if (!slab)
		slab = slab_get(expert, class);
	if (!slab)
		return NULL;
	i = slab->free;
	if (i != NO_BLOCK)
		slab->free = slab->states[i] - STATE_FREE;
	else
		i = slab->fresh++;
	slab->states[i] = size + 1;
	if (++slab->used == slab->blocks)
		list_del(&heap->partial[class], slab);
	return slab->base + i * slab->block;
}

static void slab_free(struct em_heap *heap, struct em_slab *slab, unsigned int i)
{
	slab->states[i] = STATE_FREE + slab->free;
	slab->free = i;
	if (slab->used-- == slab->blocks)
		list_add(&heap->partial[slab->class], slab);
	/* The last slab of its class stays, for the next block is probably like it. */
	if (!slab->used && (slab->prev || slab->next))
		slab_put(heap, slab);
}

static struct em_large *large_slot(const struct em_heap *heap, uintptr_t address)
{
	size_t i = (address >> 12) * 0x9e3779b97f4a7c15 >> 20;

	for (;; i++) {
		struct em_large *large = &heap->large[i & heap->large_mask];

		if (large->address == address || !large->address)
			return large;
	}
}

/* Make place for one more large block: at most half of the table is in use. */
static bool large_reserve(struct em_expert *expert)
{
	struct em_heap *heap = &expert->heap;
	struct em_heap old = *heap;
	size_t i;

	if (heap->large && heap->large_count < (heap->large_mask + 1) / 2)
		return true;
	heap->large_size = old.large ? old.large_size * 2 : EM_PAGE;
	heap->large = expert->backend->alloc(expert, EM_SMALL_WINDOW, heap->large_size, 0);
	if (!heap->large) {
		heap->large = old.large;
		heap->large_size = old.large_size;
		return false;
	}
	heap->large_mask = heap->large_size / sizeof(struct em_large) - 1;
	if (!old.large)
		return true;
	for (i = 0; i <= old.large_mask; i++)
		if (old.large[i].address)
			*large_slot(heap, old.large[i].address) = old.large[i];
	expert->backend->free(expert, old.large, old.large_size);
	return true;
}

/* Take an entry out; those behind it that it kept from their place move up. */
static void large_delete(struct em_heap *heap, struct em_large *hole)
{
	struct em_large *entry = hole, moved;

	heap->large_count--;
	hole->address = 0;
	for (;;) {
		if (++entry > &heap->large[heap->large_mask])
			entry = heap->large;
		if (!entry->address)
			return;
		moved = *entry;
		entry->address = 0;
		*large_slot(heap, moved.address) = moved;
	}
}

static void *large_alloc(struct em_expert *expert, size_t size)
{
	bool huge = !(expert->flags & EXPERTMEM_NO_HUGE) &&
		    em_round_up(size, EM_HUGE) - size <= size / 8;
	struct em_large *large;
	void *region = NULL;

	if (size > expert->window || !heap_prepare(expert) || !large_reserve(expert))
		return NULL;
	if (huge)
		region = expert->backend->alloc(expert, EM_HUGE_WINDOW, size, 0);
	if (!region)
		region = expert->backend->alloc(expert, EM_SMALL_WINDOW, size, 0);
	if (!region)
		return NULL;
	large = large_slot(&expert->heap, (uintptr_t)region);
	large->address = (uintptr_t)region;
	large->size = size;
	expert->heap.large_count++;
	return region;
}

/* A region has a page, also where its block has shrunk to no byte. */
static size_t region_size(size_t size)
{
	return size ? size : 1;
}

/* Resize a large block in place. */
static bool large_resize(struct em_expert *expert, struct em_large *large, size_t size)
{
	void *region = (void *)large->address;
	size_t unit = em_granule(em_window_of(expert, region));
	size_t old = region_size(large->size), new = region_size(size);

	if (size > expert->window)
		return false;
	if (em_round_up(new, unit) != em_round_up(old, unit) &&
	    !expert->backend->resize(expert, region, old, new))
		return false;
	large->size = size;
	return true;
}

/* The live block that starts at @p, if there is one. @p is not read. */
static bool find(const struct em_expert *expert, const void *p, struct block *block)
{
	const struct em_heap *heap = &expert->heap;
	const struct em_segment *segment;
	struct em_slab *slab;
	uint16_t state;
	size_t offset;
	int i;

	for (i = 0; i < 2; i++) {
		segment = &heap->segments[i];
		offset = (uintptr_t)p - (uintptr_t)segment->base;
		if (offset >= segment->size)
			continue;
		slab = &segment->slabs[offset >> SLAB_SHIFT];
		offset &= SLAB_SIZE - 1;
		block->slab = slab;
		block->large = NULL;
		block->index = (uint64_t)offset * slab->inverse >> 32;
		if (!slab->block || block->index * slab->block != offset ||
		    block->index >= slab->blocks)
			return false;
		state = slab->states[block->index];
		return state && state <= STATE_LIVE_MAX;
	}
	if (!heap->large || !p)
		return false;
	block->slab = NULL;
	block->large = large_slot(heap, (uintptr_t)p);
	return block->large->address;
}

static size_t block_size(const struct block *block)
{
	return block->slab ? block->slab->states[block->index] - 1U : block->large->size;
}

static void release(struct em_expert *expert, const struct block *block)
{
	struct em_heap *heap = &expert->heap;

	if (block->slab) {
		slab_free(heap, block->slab, block->index);
	} else {
		expert->backend->free(expert, (void *)block->large->address,
				      region_size(block->large->size));
		large_delete(heap, block->large);
	}
}

/* Give back the slabs at the end of a segment that are empty. True if there were any. */
static bool segment_trim(struct em_expert *expert, enum em_window window)
{
	struct em_segment *segment = &expert->heap.segments[window];
	size_t unit = window == EM_HUGE_WINDOW ? EM_HUGE : SLAB_SIZE;
	size_t end = segment->size >> SLAB_SHIFT, i = end, size;

	while (i && !segment->slabs[i - 1].block)
		i--;
	/* A region cannot be resized to nothing. */
	size = i ? em_round_up(i << SLAB_SHIFT, unit) : unit;
	if (size >= segment->size ||
	    !expert->backend->resize(expert, segment->base, segment->size, size))
		return false;
	for (i = size >> SLAB_SHIFT; i < end; i++)
		list_del(&expert->heap.empty, &segment->slabs[i]);
	segment->size = size;
	return true;
}

/* The same for the whole heap, with the slabs that were kept for the next block. */
static bool heap_trim(struct em_expert *expert)
{
	struct em_heap *heap = &expert->heap;
	struct em_slab *slab, *next;
	unsigned int class;
	bool small, huge;

	for (class = 0; class < EM_CLASSES; class++) {
		for (slab = heap->partial[class]; slab; slab = next) {
			next = slab->next;
			if (!slab->used)
				slab_put(heap, slab);
		}
	}
	small = segment_trim(expert, EM_SMALL_WINDOW);
	huge = segment_trim(expert, EM_HUGE_WINDOW);
	return small || huge;
}

static void *try_get(struct em_expert *expert, size_t size)
{
	return size <= SMALL_MAX ? slab_alloc(expert, size) : large_alloc(expert, size);
}

static void *get(struct em_expert *expert, size_t size)
{
	void *p = try_get(expert, size);

	return p || !heap_trim(expert) ? p : try_get(expert, size);
}

static bool resize(struct em_expert *expert, struct em_large *large, size_t size)
{
	return large_resize(expert, large, size) ||
	       (size > large->size && heap_trim(expert) &&
		large_resize(expert, large, size));
}

/* A new block, or NULL. */
void *em_heap_alloc(struct em_expert *expert, size_t size)
{
	void *p = get(expert, size);

	if (p)
		count(expert, 1, size);
	return p;
}

/*
 * The resized block, or NULL with the old one as it was. A block that shrinks can
 * always stay where it is.
 */
void *em_heap_realloc(struct em_expert *expert, void *p, size_t size, bool *bad)
{
	struct block block;
	size_t old;
	void *new;

	*bad = !find(expert, p, &block);
	if (*bad)
		return NULL;
	old = block_size(&block);
	if (block.slab && size <= SMALL_MAX && class_of(size) == block.slab->class)
		goto in_place;
	if (block.large && size > SMALL_MAX && resize(expert, block.large, size))
		goto resized;

	new = get(expert, size);
	find(expert, p, &block);	/* the table of large blocks may have moved */
	if (new) {
		memcpy(new, p, old < size ? old : size);
		release(expert, &block);
		p = new;
		goto resized;
	}
	if (size > old || (block.large && !large_resize(expert, block.large, size)))
		return NULL;
	if (block.large)
		goto resized;
in_place:
	block.slab->states[block.index] = size + 1;
resized:
	count(expert, 0, (ssize_t)(size - old));
	return p;
}

/* False for anything but the start of a live block, with nothing changed. */
bool em_heap_free(struct em_expert *expert, void *p)
{
	struct block block;
	size_t size;

	if (!find(expert, p, &block))
		return false;
	size = block_size(&block);
	release(expert, &block);
	count(expert, -1, -(ssize_t)size);
	return true;
}

/* The size asked for; false as in em_heap_free(). */
bool em_heap_size(struct em_expert *expert, const void *p, size_t *size)
{
	struct block block;

	if (!find(expert, p, &block))
		return false;
	*size = block_size(&block);
	return true;
}

static int walk_slab(struct em_slab *slab,
		     int (*visit)(void *block, size_t size, void *arg), void *arg)
{
	unsigned int i;
	int result = 0;

	for (i = 0; slab->block && i < slab->fresh && !result; i++) {
		uint16_t state = slab->states[i];

		if (state && state <= STATE_LIVE_MAX)
			result = visit(slab->base + i * slab->block, state - 1U, arg);
	}
	return result;
}

int em_heap_walk(struct em_expert *expert,
		 int (*visit)(void *block, size_t size, void *arg), void *arg)
{
	struct em_heap *heap = &expert->heap;
	int result = 0;
	size_t i;
	int s;

	for (s = 0; s < 2; s++)
		for (i = 0; i < heap->segments[s].size >> SLAB_SHIFT && !result; i++)
			result = walk_slab(&heap->segments[s].slabs[i], visit, arg);
	for (i = 0; heap->large && i <= heap->large_mask && !result; i++)
		if (heap->large[i].address)
			result = visit((void *)heap->large[i].address,
				       heap->large[i].size, arg);
	return result;
}
