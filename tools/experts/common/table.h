/* SPDX-License-Identifier: GPL-2.0 */
/* A hash table in the memory of an expert. */
#ifndef TABLE_H
#define TABLE_H

#include <stddef.h>
#include <stdint.h>
#include <Netmon.h>

/**
 * struct table - entries in the order in which they were added, and a hash table of them
 * @expert: key of the expert whose memory it is
 * @key_size: bytes of a key, a multiple of 8; each entry begins with its key
 * @entry_size: bytes of an entry
 * @entries: the entries
 * @count: number of entries
 * @room: number of entries that there is memory for
 * @slots: index of an entry plus one, or 0: the slot is free. At least half of the slots are free
 * @slot_count: number of slots, a power of two
 * @seed: random, so that nobody can make a capture whose keys all hash to one slot
 */
struct table {
	HEXPERTKEY expert;
	size_t key_size, entry_size;
	char *entries;
	uint32_t count, room;
	uint32_t *slots;
	uint32_t slot_count;
	uint64_t seed;
};

/* Make an empty table. It has no memory yet. */
void table_init(struct table *table, HEXPERTKEY expert, size_t key_size, size_t entry_size);

/* The entry with this key, or NULL. It is valid until the next table_add(). */
void *table_find(const struct table *table, const void *key);

/*
 * The entry with this key, which is added if it is not there: its bytes behind the key are zero then.
 * It is valid until the next table_add(). NULL: there is no memory, or the expert has to stop; @error
 * says which. The table is unchanged then.
 */
void *table_add(struct table *table, const void *key, DWORD *error);

/* The entry number @i, from 0 to table->count - 1. */
void *table_at(const struct table *table, uint32_t i);

/* Sort the entries. Afterwards table_at() is the only call that finds them. */
void table_sort(struct table *table, int (*compare)(const void *left, const void *right));

/* Free the memory. Works also after NMERR_EXPERT_TERMINATE. */
void table_free(struct table *table);

#endif /* TABLE_H */
