// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A hash table from numbers to addresses, with open addressing and linear probing. At most three of
 * four entries are used. The entries are memory of the expert.
 */
#include <string.h>

#include "capture.h"

#define FIRST_SIZE	64u

static uint32_t place_of(uint64_t number, uint32_t size)
{
	return (uint32_t)(number * 0x9e3779b97f4a7c15 >> 32) & (size - 1);
}

/* The entry of @number, or the free entry where it belongs. */
static struct em_index_entry *find(const struct em_index *index, uint64_t number)
{
	uint32_t i = place_of(number, index->size);

	while (index->entries[i].value && index->entries[i].key != number)
		i = (i + 1) & (index->size - 1);
	return &index->entries[i];
}

void *em_index_get(const struct em_index *index, uint64_t key)
{
	return index->size ? find(index, key)->value : NULL;
}

static DWORD grow(HEXPERTKEY key, struct em_index *index)
{
	struct em_index larger = { .size = index->size ? index->size * 2 : FIRST_SIZE };
	DWORD error;

	if (!larger.size)
		return NMERR_OUT_OF_MEMORY;
	larger.entries = em_own_alloc(key, larger.size * sizeof(*larger.entries), &error);
	if (!larger.entries)
		return error;
	memset(larger.entries, 0, larger.size * sizeof(*larger.entries));
	for (uint32_t i = 0; i < index->size; i++)
		if (index->entries[i].value)
			*find(&larger, index->entries[i].key) = index->entries[i];
	larger.used = index->used;
	em_own_free(key, index->entries);
	*index = larger;
	return NMERR_SUCCESS;
}

DWORD em_index_put(HEXPERTKEY key, struct em_index *index, uint64_t number, void *value)
{
	if (index->used >= index->size / 4 * 3) {
		DWORD error = grow(key, index);

		if (error)
			return error;
	}
	*find(index, number) = (struct em_index_entry){ .key = number, .value = value };
	index->used++;
	return NMERR_SUCCESS;
}

/*
 * Remove an entry. A search ends at a free entry, so entries behind the removed one move into the
 * hole.
 */
void em_index_remove(struct em_index *index, uint64_t number)
{
	uint32_t mask = index->size - 1, hole, i;

	if (!index->size || !find(index, number)->value)
		return;
	hole = i = find(index, number) - index->entries;
	for (;;) {
		i = (i + 1) & mask;
		if (!index->entries[i].value)
			break;
		/* the search for this entry begins behind the hole: the entry can stay */
		if (((i - place_of(index->entries[i].key, index->size)) & mask) <
		    ((i - hole) & mask))
			continue;
		index->entries[hole] = index->entries[i];
		hole = i;
	}
	index->entries[hole].value = NULL;
	index->used--;
}
