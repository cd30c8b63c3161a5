/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Steps that slab.c and tcache.c share. */
#ifndef EM_SLAB_H
#define EM_SLAB_H

#include "internal.h"

/* When so many slabs of a class in a tcache became shared, new slabs are shared from the start. */
#define REVOKED_MAX	4

/* Number of free blocks in the quarantine. */
static inline unsigned int em_slab_quarantine(const struct em_slab *slab)
{
	return slab->quarantine == EM_NO_QUARANTINE ? 0 : slab->quarantine;
}

static inline struct em_tcache *em_tcache_of_owner(uintptr_t owner)
{
	return (struct em_tcache *)(owner & ~EM_OWNER_FLAGS);
}

/*
 * Number of free blocks in the queue that can be allocated. Those are the blocks before the quarantine.
 * Where em_tcache.fills says so, and the slab has no fresh blocks, they are also those before @extended: of
 * these, some were never used, and the others were put behind a quarantine when they were freed. Blocks
 * that other threads free come into the queue late, behind blocks that were freed after them: where that
 * happens, a slab is not filled up.
 */
static inline unsigned int em_slab_avail(const struct em_slab *slab)
{
	unsigned int free = slab->tail - slab->head, quarantine = em_slab_quarantine(slab);
	unsigned int avail = free > quarantine ? free - quarantine : 0;
	unsigned int last = slab->extended - slab->head;	/* large if @head is behind @extended */
	uintptr_t owner = em_read_once(&slab->owner);
	const struct em_tcache *tcache = em_tcache_of_owner(owner);

	if (slab->fresh < slab->blocks || last <= avail || last > free || owner & EM_SHARED)
		return avail;
	return tcache->fills && !em_read_once(&tcache->revoked[slab->class]) ? last : avail;
}

/* Is no block live? */
static inline bool em_slab_is_free(const struct em_slab *slab)
{
	return slab->tail - slab->head == slab->fresh;
}

/* Have em_tcache_place() called when @blocks blocks are in the queue. */
static inline void em_slab_wake_at(struct em_slab *slab, unsigned int blocks)
{
	slab->wake = slab->head + blocks;
}

/* Lists of slabs: @prev of the first slab is the last slab, @next of the last slab is NULL. */
static inline void em_slab_list_add(struct em_slab **list, struct em_slab *slab)
{
	struct em_slab *first = *list;

	slab->next = NULL;
	if (first) {
		slab->prev = first->prev;
		first->prev->next = slab;
		first->prev = slab;
	} else {
		slab->prev = slab;
		*list = slab;
	}
}

static inline void em_slab_list_del(struct em_slab **list, struct em_slab *slab)
{
	if (slab->next)
		slab->next->prev = slab->prev;
	else
		(*list)->prev = slab->prev;
	if (*list == slab)
		*list = slab->next;
	else
		slab->prev->next = slab->next;
}

/*
 * Put fresh blocks into the queue, about a page of them, so that the other pages stay untouched; or 8 of up
 * to 1 KiB, so that em_fast_alloc() seldom has to compute @limit anew.
 */
static inline void em_slab_extend(struct em_slab *slab)
{
	unsigned int more = EM_PAGE / slab->block, least = slab->block <= 1024 ? 8 : 1;

	if (more < least)
		more = least;
	if (!slab->fresh)
		more += em_slab_quarantine(slab);
	while (more-- && slab->fresh < slab->blocks) {
		uint32_t place = slab->tail & slab->mask;
		uint16_t entry = slab->fresh ^ place;

		/*
		 * Before the first free, all entries are right as zeros: touch no page of the
		 * queue.
		 */
		if (slab->queue[place] != entry)
			slab->queue[place] = entry;
		slab->fresh++;
		em_store_release(&slab->tail, slab->tail + 1);
	}
	slab->extended = slab->tail;
}

/*
 * Move the remotely freed blocks into the queue, the one that was freed first to the front. Only the owner
 * calls this, or who has paused.
 */
static inline void em_slab_collect(struct em_slab *slab)
{
	unsigned int i = em_xchg(&slab->remote, EM_NO_BLOCK), first = EM_NO_BLOCK, next;

	/* the list has the last one first: reverse it */
	for (; i != EM_NO_BLOCK; i = next) {
		next = em_get_state(slab->states, i) - EM_STATE_REMOTE;
		em_set_state(slab->states, i, EM_STATE_REMOTE + first);
		first = i;
	}
	for (; first != EM_NO_BLOCK; first = next) {
		next = em_get_state(slab->states, first) - EM_STATE_REMOTE;
		em_slab_push(slab, first);
	}
}

#endif /* EM_SLAB_H */
