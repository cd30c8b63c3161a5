// SPDX-License-Identifier: LGPL-2.1-or-later
/* struct em_array: regions of metadata that grow in place. The expert's lock is held. */
#include <string.h>

#include "internal.h"

/* Make @array at least @used + @more bytes large. False: no memory. */
bool em_array_grow(struct em_expert *expert, struct em_array *array, size_t more)
{
	size_t size = em_round_up(array->used + more, EM_PAGE);

	em_assert_locked(expert);
	if (size <= array->size)
		return true;
	if (size > array->room ||
	    !expert->backend->resize(expert, array->base, array->size, size, !array->sparse))
		return false;
	em_debug_on_metadata(expert, array->base + array->size, size - array->size);
	array->size = size;
	return true;
}

/* Empty @array and shrink it to one page of zeros. False: nothing changed. */
bool em_array_clear(struct em_expert *expert, struct em_array *array)
{
	if (array->size > EM_PAGE &&
	    !expert->backend->resize(expert, array->base, array->size, EM_PAGE, false))
		return false;
	array->size = EM_PAGE;
	array->used = 0;
	memset(array->base, 0, EM_PAGE);
	return true;
}

/*
 * Allocate the region of an array, with @room bytes of addresses to grow into, or fewer if they are
 * not free. The pages before and behind are guard pages, which stop overruns of blocks.
 */
static bool array_init(struct em_expert *expert, struct em_array *array, size_t size,
		       size_t room)
{
	for (; !array->base && room >= size; room /= 2) {
		array->base = expert->backend->alloc(expert, EM_SMALL_WINDOW, size, room);
		if (!array->base)
			continue;
		room = em_round_up(room, EM_PAGE);
		expert->backend->guard(expert, array->base - EM_PAGE, true);
		expert->backend->guard(expert, array->base + room, true);
		array->room = room;
		break;
	}
	if (!array->base)
		return false;
	em_debug_on_metadata(expert, array->base, size);
	array->size = size;
	return true;
}

/*
 * Allocate all arrays before the first block, so that their addresses never belonged to a block: a
 * write to a freed block cannot reach them.
 */
bool em_heap_prepare(struct em_expert *expert)
{
	struct em_heap *heap = &expert->heap;
	size_t window = expert->window;

	/* em_slab_extend() writes to no queue of a slab where no block has been freed. */
	heap->queues.sparse = true;
	/* Large blocks have the other 31/64 of the window: see window_for() in registry.c. */
	return array_init(expert, &heap->small, EM_PAGE, window / 4) &&
	       array_init(expert, &heap->states, EM_PAGE, window / 8) &&
	       array_init(expert, &heap->queues, EM_PAGE, window / 8) &&
	       array_init(expert, &heap->tables, EM_PAGE, window / 64) &&
	       array_init(expert, &heap->tcaches, EM_PAGE,
			  EM_THREADS * sizeof(struct em_tcache));
}
