// SPDX-License-Identifier: LGPL-2.1-or-later
/* Regions of the heap's own data, which grow in place. The expert's lock is held. */
#include <string.h>

#include "internal.h"

/* Make sure that @array has @more bytes behind what is used. */
bool em_array_grow(struct em_expert *expert, struct em_array *array, size_t more)
{
	size_t size = em_round_up(array->used + more, EM_PAGE);

	if (size <= array->size)
		return true;
	if (!expert->backend->resize(expert, array->base, array->size, size))
		return false;
	em_debug_on_metadata(expert, array->base + array->size, size - array->size);
	array->size = size;
	return true;
}

/* Use it from the start again, with all bytes 0. */
bool em_array_clear(struct em_expert *expert, struct em_array *array)
{
	if (array->size > EM_PAGE &&
	    !expert->backend->resize(expert, array->base, array->size, EM_PAGE))
		return false;
	array->size = EM_PAGE;
	array->used = 0;
	memset(array->base, 0, EM_PAGE);
	return true;
}

/*
 * Get an array its region, and the addresses that it may grow into. Nothing is mapped
 * before and behind these, so that no overrun comes in.
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
		break;
	}
	if (!array->base)
		return false;
	em_debug_on_metadata(expert, array->base, size);
	array->size = size;
	return true;
}

/*
 * Before the first block, all that grows gets its addresses: no block was there ever, so
 * not even a write to a block that was freed long ago comes there.
 */
bool em_heap_prepare(struct em_expert *expert)
{
	struct em_heap *heap = &expert->heap;
	size_t window = expert->window;

	/* Large blocks have the other 31/64 of the window: see window_for() in registry.c. */
	return array_init(expert, &heap->small, EM_PAGE, window / 4) &&
	       array_init(expert, &heap->states, EM_PAGE, window / 8) &&
	       array_init(expert, &heap->queues, EM_PAGE, window / 8) &&
	       array_init(expert, &heap->tables, EM_PAGE, window / 64) &&
	       array_init(expert, &heap->tcaches, EM_PAGE,
			  EM_THREADS * sizeof(struct em_tcache));
}
