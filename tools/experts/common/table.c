// SPDX-License-Identifier: GPL-2.0
#include "table.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

void table_init(struct table *table, HEXPERTKEY expert, size_t key_size, size_t entry_size)
{
	*table = (struct table){
		.expert = expert, .key_size = key_size, .entry_size = entry_size,
	};
	/* without random numbers, as early at boot, the address of a variable has to do */
	if (getrandom(&table->seed, sizeof(table->seed), GRND_NONBLOCK) < 0)
		table->seed = (uintptr_t)&table;
}

void *table_at(const struct table *table, uint32_t i)
{
	return table->entries + i * table->entry_size;
}

static uint32_t first_slot(const struct table *table, const char *key)
{
	uint64_t hash = table->seed, word;

	for (size_t i = 0; i < table->key_size; i += sizeof(word)) {
		memcpy(&word, key + i, sizeof(word));
		hash = (hash ^ word) * 0x9e3779b97f4a7c15;
		hash ^= hash >> 32;
	}
	hash = (hash ^ table->seed) * 0xd6e8feb86659fd93;
	return (hash ^ hash >> 32) & (table->slot_count - 1);
}

/* The slot of this key, or the free slot for it. */
static uint32_t *find_slot(const struct table *table, const void *key)
{
	uint32_t i = first_slot(table, key);

	/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): the caller has made slots */
	while (table->slots[i] &&
	       memcmp(table_at(table, table->slots[i] - 1), key, table->key_size))
		i = (i + 1) & (table->slot_count - 1);
	return &table->slots[i];
}

void *table_find(const struct table *table, const void *key)
{
	const uint32_t *slot = table->slots ? find_slot(table, key) : NULL;

	return slot && *slot ? table_at(table, *slot - 1) : NULL;
}

/*
 * Double the room. ExpertReallocMemory() of NULL allocates a block. If it fails, the old block is
 * unchanged. If only the second call fails, the entries have more memory than @room says.
 */
static DWORD grow(struct table *table)
{
	uint32_t room = table->room ? 2 * table->room : 256;
	uint32_t slot_count = 2 * room;
	uint32_t *slots;
	char *entries;
	DWORD error;

	if (slot_count < room)
		return NMERR_OUT_OF_MEMORY;
	entries = ExpertReallocMemory(table->expert, table->entries, room * table->entry_size,
				      &error);
	if (!entries)
		return error;
	table->entries = entries;

	slots = ExpertReallocMemory(table->expert, table->slots, slot_count * sizeof(*slots),
				    &error);
	if (!slots)
		return error;
	table->slots = slots;
	table->room = room;
	table->slot_count = slot_count;

	memset(slots, 0, slot_count * sizeof(*slots));
	for (uint32_t i = 0; i < table->count; i++)
		*find_slot(table, table_at(table, i)) = i + 1;
	return NMERR_SUCCESS;
}

void *table_add(struct table *table, const void *key, DWORD *error)
{
	uint32_t *slot = table->slots ? find_slot(table, key) : NULL;
	char *entry;

	if (slot && *slot)
		return table_at(table, *slot - 1);
	if (table->count == table->room) {
		*error = grow(table);
		if (*error != NMERR_SUCCESS)
			return NULL;
	}
	/* look again: growing has moved the slots */
	slot = find_slot(table, key);
	entry = table_at(table, table->count++);
	*slot = table->count;
	memcpy(entry, key, table->key_size);
	memset(entry + table->key_size, 0, table->entry_size - table->key_size);
	return entry;
}

void table_sort(struct table *table, int (*compare)(const void *left, const void *right))
{
	if (table->count)
		qsort(table->entries, table->count, table->entry_size, compare);
}

void table_free(struct table *table)
{
	/* freeing NULL does nothing */
	ExpertFreeMemory(table->expert, table->slots);
	ExpertFreeMemory(table->expert, table->entries);
	table->slots = NULL;
	table->entries = NULL;
	table->count = table->room = 0;
}
