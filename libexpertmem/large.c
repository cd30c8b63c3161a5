// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Large blocks: each has a region of its own, which a hash table finds by the block's address. The
 * table is written with the expert's lock held. Sections read it by a seqlock, and take the lock if
 * it was written meanwhile.
 *
 * An expert that frees many large blocks *keeps* the regions of the last ones, with their pages, for
 * its next large blocks. Otherwise each allocation would fault all its pages in again.
 */
#include <string.h>

#include "internal.h"

/* A block that grows gets 1/GROW_PART of its size more, but at most GROW_MAX bytes. */
#define GROW_PART	16
#define GROW_MAX	(1UL << 20)

/* Regions are kept after so many frees of large blocks, which show that there will be more. */
#define KEEP_AFTER	16
/* Kept regions have at most so many bytes, or 1/KEEP_PART of what large blocks have. */
#define KEEP_BYTES	(4UL << 20)
#define KEEP_PART	4
/* A block's kept region may have 1/FIT_PART of its size and FIT_BYTES too much. */
#define FIT_PART	8
#define FIT_BYTES	(16UL << 10)
/* Above so many bytes, new pages of zeros are cheaper than to hold the lock and write zeros. */
#define ZERO_MAX	(256UL << 10)

static size_t table_size(size_t places)
{
	return sizeof(struct em_large_table) + places * sizeof(struct em_large);
}

static void set(struct em_large *large, const struct em_large *to)
{
	em_write_once(&large->address, to->address);
	em_write_once(&large->size, to->size);
	large->room = to->room;
	large->region = to->region;
}

static void write_begin(struct em_heap *heap)
{
	em_write_once(&heap->large_version, heap->large_version + 1);
	em_release_fence();
}

static void write_end(struct em_heap *heap)
{
	em_store_release(&heap->large_version, heap->large_version + 1);
}

/* Make sure that the table has a free entry. False: no memory. */
static bool reserve(struct em_expert *expert)
{
	struct em_heap *heap = &expert->heap;
	struct em_large_table *old = heap->large, *table;
	size_t places = old ? (old->mask + 1) * 2 : 128, i;

	if (old && heap->nr_large < (old->mask + 1) / 2)
		return true;
	if (!em_array_grow(expert, &heap->tables, table_size(places)))
		return false;
	table = (struct em_large_table *)(heap->tables.base + heap->tables.used);
	heap->tables.used += table_size(places);
	table->mask = places - 1;
	if (old)
		memcpy(table->kept, old->kept, sizeof(table->kept));
	for (i = 0; old && i <= old->mask; i++)
		if (old->places[i].address)
			*em_large_slot(table, old->places[i].address) = old->places[i];
	em_store_release(&heap->large, table);
	return true;
}

/* The live block that starts at @p, or NULL. */
struct em_large *em_large_find(const struct em_expert *expert, const void *p)
{
	struct em_large *large;

	if (!expert->heap.large || !p)
		return NULL;
	large = em_large_slot(expert->heap.large, (uintptr_t)p);
	return large->address ? large : NULL;
}

size_t em_large_size(const struct em_large *large)
{
	return large->size;
}

/* The size, and the bytes behind that a canary may take. */
size_t em_large_room(const struct em_large *large)
{
	return large->room;
}

/* Bytes of the region: at least 1, as a region of a block without bytes has a page. */
static size_t region_size(const struct em_large *large)
{
	return large->address - (uintptr_t)large->region + (large->room ? large->room : 1);
}

/* Bytes of the window that the block's region takes. */
size_t em_large_taken(const struct em_expert *expert, const struct em_large *large)
{
	return em_round_up(region_size(large), em_granule(em_window_of(expert, large->region)));
}

/* Does rounding up to huge pages add at most an eighth? */
static bool suits_huge(size_t size)
{
	return em_round_up(size, EM_HUGE) - size <= size / 8;
}

/* Allocate a region, in the huge window if the size suits it. */
static char *get_region(struct em_expert *expert, size_t size)
{
	char *region = NULL;

	if (!(expert->flags & EXPERTMEM_NO_HUGE) && suits_huge(size))
		region = expert->backend->alloc(expert, EM_HUGE_WINDOW, size, 0);
	return region ? region : expert->backend->alloc(expert, EM_SMALL_WINDOW, size, 0);
}

/* ----------------------------------------------------------------------- kept regions */

/* Take the entry @i out of the list. */
static struct em_kept unkeep(struct em_heap *heap, unsigned int i)
{
	struct em_kept *kept = heap->large->kept, taken = kept[i];

	memmove(&kept[i], &kept[i + 1], (--heap->nr_kept - i) * sizeof(*kept));
	heap->kept_bytes -= taken.size;
	return taken;
}

static void give_back(struct em_expert *expert, char *region, size_t size)
{
	em_crash_freed(region, size);
	expert->backend->free(expert, region, size);
}

/* Give back the oldest kept regions, until the others have at most @most bytes. */
static void shrink_kept(struct em_expert *expert, size_t most)
{
	while (expert->heap.kept_bytes > most) {
		struct em_kept oldest = unkeep(&expert->heap, 0);

		give_back(expert, oldest.region, oldest.size);
	}
}

static size_t most_kept(const struct em_heap *heap)
{
	size_t most = heap->large_bytes / KEEP_PART;

	return most < KEEP_BYTES ? KEEP_BYTES : most;
}

/* Keep the region of a freed block, or give it back. */
static void keep(struct em_expert *expert, const struct em_large *freed)
{
	struct em_heap *heap = &expert->heap;
	size_t size = em_large_taken(expert, freed), most = most_kept(heap);
	/* The tools of EM_DEBUG_BLOCKS find uses of freed memory, if it is not used again. */
	bool keeps = heap->nr_large_freed >= KEEP_AFTER && size <= most &&
		     !(expert->debug & EM_DEBUG_BLOCKS);

	if (heap->nr_large_freed < KEEP_AFTER)
		heap->nr_large_freed++;
	shrink_kept(expert, keeps ? most - size : most);
	if (!keeps) {
		give_back(expert, freed->region, size);
		return;
	}
	if (heap->nr_kept == EM_KEPT_MAX)
		shrink_kept(expert, heap->kept_bytes - 1);
	heap->large->kept[heap->nr_kept++] = (struct em_kept){ freed->region, size };
	heap->kept_bytes += size;
	/* trim.c gives it back if the expert does nothing. */
	em_fetch_add_relaxed(&heap->nr_put, 1);
}

/*
 * Choose a kept region for @size bytes: the smallest one that has enough, else the largest one. Of
 * several of one size, that is the last freed one. False: none is kept.
 */
static bool choose_kept(const struct em_heap *heap, size_t size, unsigned int *chosen)
{
	const struct em_kept *kept = heap->large->kept;

	*chosen = 0;
	for (unsigned int i = 1; i < heap->nr_kept; i++) {
		size_t best = kept[*chosen].size, room = kept[i].size;

		if (best >= size ? room >= size && room <= best : room >= best)
			*chosen = i;
	}
	return heap->nr_kept;
}

/*
 * Get a kept region for @size bytes. One that has much more gives the rest back. One that has less
 * grows, if the addresses behind it are free. Its region is NULL if none fits.
 */
static struct em_kept get_kept(struct em_expert *expert, size_t size)
{
	static const struct em_kept none;
	struct em_heap *heap = &expert->heap;
	enum em_window window;
	unsigned int chosen;
	struct em_kept kept;
	size_t to;

	if (!choose_kept(heap, size, &chosen))
		return none;
	kept = heap->large->kept[chosen];
	/* Growing much would leave most pages to be faulted in; shrinking much would waste pages. */
	if (kept.size < size / 2 || kept.size / 4 > em_round_up(size, EM_PAGE))
		return none;
	window = em_window_of(expert, kept.region);
	if (window == EM_HUGE_WINDOW && !suits_huge(size))
		return none;
	to = em_round_up(size, em_granule(window));
	if (kept.size >= to && kept.size <= size + size / FIT_PART + (expert->saves ? 0 : FIT_BYTES))
		return unkeep(heap, chosen);
	if (!expert->backend->resize(expert, kept.region, kept.size, to, true))
		return none;
	if (kept.size > to)
		em_crash_freed(kept.region + to, kept.size - to);
	unkeep(heap, chosen);
	kept.size = to;
	return kept;
}

/* ----------------------------------------------------------------------------- blocks */

static void *insert(struct em_expert *expert, const struct em_large *large)
{
	struct em_heap *heap = &expert->heap;

	write_begin(heap);
	set(em_large_slot(heap->large, large->address), large);
	write_end(heap);
	heap->nr_large++;
	heap->large_bytes += em_large_taken(expert, large);
	em_debug_region(expert, large->region, region_size(large));
	return (void *)large->address;
}

/**
 * em_large_alloc() - a block that is a region
 * @expert: the expert
 * @size: bytes
 * @room: at least @size
 * @alignment: a power of two
 * @zeroed: the @size bytes shall be 0; else their contents are unspecified
 *
 * Return: the block, or NULL.
 */
void *em_large_alloc(struct em_expert *expert, size_t size, size_t room, size_t alignment,
		     bool zeroed)
{
	size_t more = alignment > EM_PAGE ? alignment - EM_PAGE : 0, need = (room ? room : 1) + more;
	struct em_large large = { .size = size, .room = room };
	struct em_kept kept = { 0 };

	if (size > expert->window || more > expert->window / 2 || !reserve(expert))
		return NULL;
	if (!zeroed || size <= ZERO_MAX)
		kept = get_kept(expert, need);
	large.region = kept.region ? kept.region : get_region(expert, need);
	if (!large.region)
		return NULL;
	large.address = em_round_up((uintptr_t)large.region, alignment);
	if (kept.region) {
		large.room = kept.size - (large.address - (uintptr_t)kept.region);
		if (zeroed)
			memset((void *)large.address, 0, size);
	}
	return insert(expert, &large);
}

/*
 * Allocate a block whose end, rounded up to 16 bytes, is the end of its region, before a guard
 * page.
 */
void *em_large_alloc_guarded(struct em_expert *expert, size_t size)
{
	size_t room = em_round_up(size, 16);
	struct em_large large = { .size = size, .room = room };

	if (size > expert->window || !reserve(expert))
		return NULL;
	large.region = expert->backend->alloc(expert, EM_SMALL_WINDOW, room ? room : 1, 0);
	if (!large.region)
		return NULL;
	large.address = (uintptr_t)large.region + em_round_up(room ? room : 1, EM_PAGE) - room;
	/* A block of size 0 would begin behind the region. */
	if (!room)
		large.address -= 16;
	expert->backend->guard(expert, large.region + em_round_up(region_size(&large), EM_PAGE),
			       true);
	return insert(expert, &large);
}

static bool resize(struct em_expert *expert, struct em_large *large, size_t size, size_t room)
{
	struct em_large new = *large;
	size_t from, to;

	new.size = size;
	new.room = room;
	from = em_large_taken(expert, large);
	to = em_large_taken(expert, &new);
	if (from != to && !expert->backend->resize(expert, large->region, from, to, true))
		return false;
	if (large->address % EM_PAGE)
		expert->backend->guard(expert, large->region + from, false);
	expert->heap.large_bytes += to - from;
	write_begin(&expert->heap);
	set(large, &new);
	write_end(&expert->heap);
	shrink_kept(expert, most_kept(&expert->heap));
	return true;
}

/*
 * Resize a block in place. Shrinking always succeeds. A block that grows gets more bytes than asked
 * for if they are free, because it will probably grow again.
 */
bool em_large_resize(struct em_expert *expert, struct em_large *large, size_t size)
{
	size_t more = size / GROW_PART < GROW_MAX ? size / GROW_PART : GROW_MAX;

	if (size > expert->window)
		return false;
	if (size > large->size && size <= large->room)
		return resize(expert, large, size, large->room);
	return (size > large->size && resize(expert, large, size, size + more)) ||
	       resize(expert, large, size, size);
}

/* Free a block. Returns its size. */
size_t em_large_free(struct em_expert *expert, struct em_large *hole)
{
	static const struct em_large none;
	struct em_heap *heap = &expert->heap;
	struct em_large *large = hole, moved, freed = *hole;

	em_assert_locked(expert);
	write_begin(heap);
	set(hole, &none);
	/* Open addressing: insert the entries behind the hole anew, up to the next free one. */
	for (;;) {
		if (++large > &heap->large->places[heap->large->mask])
			large = heap->large->places;
		if (!large->address)
			break;
		moved = *large;
		set(large, &none);
		set(em_large_slot(heap->large, moved.address), &moved);
	}
	write_end(heap);
	heap->nr_large--;
	heap->large_bytes -= em_large_taken(expert, &freed);
	if (freed.address % EM_PAGE)
		expert->backend->guard(expert, freed.region +
				       em_round_up(region_size(&freed), EM_PAGE), false);
	keep(expert, &freed);
	return freed.size;
}

/* Give all kept regions back. False: there were none. */
bool em_large_drop_kept(struct em_expert *expert)
{
	bool any = expert->heap.nr_kept;

	em_assert_locked(expert);
	shrink_kept(expert, 0);
	return any;
}

/*
 * Give the tables back if there is no large block and no kept region. The expert is paused.
 */
void em_large_trim(struct em_expert *expert)
{
	struct em_heap *heap = &expert->heap;

	if (heap->nr_large || heap->nr_kept || !heap->large || !em_array_clear(expert, &heap->tables))
		return;
	heap->large = NULL;
}

void em_large_regions(struct em_expert *expert, em_region_visitor visit, void *arg)
{
	struct em_large_table *table = expert->heap.large;
	size_t i;

	for (i = 0; table && i <= table->mask; i++)
		if (table->places[i].address)
			visit(table->places[i].region, em_large_taken(expert, &table->places[i]), arg);
	for (i = 0; table && i < expert->heap.nr_kept; i++)
		visit(table->kept[i].region, table->kept[i].size, arg);
}

int em_large_walk(struct em_expert *expert,
		  int (*visit)(void *block, size_t size, void *arg), void *arg)
{
	struct em_large_table *table = expert->heap.large;
	int result = 0;
	size_t i;

	for (i = 0; table && i <= table->mask && !result; i++)
		if (table->places[i].address)
			result = visit((void *)table->places[i].address,
				       table->places[i].size, arg);
	return result;
}
