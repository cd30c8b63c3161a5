// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Small blocks that are freed, resized and walked, whoever owns their slab. See types.h.
 *
 * em_slab_free() and em_slab_resize() are called in a section, or with the expert's lock held.
 */
#include "internal.h"
#include "slab.h"

/* A block of another thread's slab goes into the queue when that thread needs it. */
static void push_remote(struct em_expert *expert, struct em_tcache *tcache, struct em_slab *slab,
			struct em_tcache *owner, unsigned int i)
{
	struct em_slab *pending;
	uint32_t head = em_read_once(&slab->remote);

	do
		em_set_state(slab->states, i, EM_STATE_REMOTE + head);
	while (!em_try_cmpxchg(&slab->remote, &head, i));
	if (head != EM_NO_BLOCK)
		return;
	pending = em_read_once(&owner->pending);
	do
		slab->pending = pending;
	while (!em_try_cmpxchg_release(&owner->pending, &pending, slab));
	em_fetch_add_relaxed(&expert->heap.nr_put, 1);
	tcache->passed = true;
}

/**
 * em_slab_free() - free a small block
 * @expert: the expert
 * @tcache: of the calling thread
 * @slab: from em_slab_at()
 * @offset: the same
 *
 * Return: EM_DONE, EM_NOT_A_BLOCK, or EM_NEEDS_SHARING: em_slab_share() it, and try again.
 */
enum em_outcome em_slab_free(struct em_expert *expert, struct em_tcache *tcache,
			   struct em_slab *slab, uint32_t offset)
{
	uintptr_t owner;
	uint32_t i;
	uint16_t state = em_slab_read_state(slab, offset, &owner, &i);

	if (!em_is_live(state))
		return EM_NOT_A_BLOCK;
	if (owner & EM_SHARED) {
		/* The one who claims it frees it. It may be resized meanwhile. */
		while (!em_try_cmpxchg(&slab->states[i], &state, EM_STATE_CLAIMED))
			if (!em_is_live(state))
				return EM_NOT_A_BLOCK;
	} else if (em_tcache_of_owner(owner) != tcache || owner & EM_SHARING) {
		return EM_NEEDS_SHARING;
	}
	em_count(expert, tcache, -1, 1 - (int64_t)state);
	if (em_tcache_of_owner(owner) == tcache) {
		em_slab_push(slab, i);
		em_tcache_place(tcache, slab);
	} else {
		push_remote(expert, tcache, slab, em_tcache_of_owner(owner), i);
	}
	return EM_DONE;
}

/* Resize a block where it is. EM_NOT_A_BLOCK also where it belongs in another class (but @stay). */
enum em_outcome em_slab_resize(struct em_expert *expert, struct em_tcache *tcache,
			     struct em_slab *slab, uint32_t offset, size_t size, bool stay)
{
	uintptr_t owner;
	uint32_t i;
	uint16_t state = em_slab_read_state(slab, offset, &owner, &i);

	if (!em_is_live(state) ||
	    (stay ? size > slab->block : size > EM_SMALL_MAX || em_class_of_size(size) != slab->class))
		return EM_NOT_A_BLOCK;
	if (!(owner & EM_SHARED)) {
		if (em_tcache_of_owner(owner) != tcache || owner & EM_SHARING)
			return EM_NEEDS_SHARING;
		em_set_state(slab->states, i, size + 1);
	} else {
		while (!em_try_cmpxchg_relaxed(&slab->states[i], &state, size + 1))
			if (!em_is_live(state))
				return EM_NOT_A_BLOCK;
	}
	em_count(expert, tcache, 0, (int64_t)size - (state - 1));
	return EM_DONE;
}

/* May the calling thread, whose this tcache is, free there without the lock? */
bool em_slab_is_mine(const struct em_slab *slab, const struct em_tcache *tcache)
{
	uintptr_t owner = em_read_once(&slab->owner);

	return owner & EM_SHARED || (em_tcache_of_owner(owner) == tcache && !(owner & EM_SHARING));
}

/* ------------------------------------------------------ with the expert's lock held */

/*
 * Let every thread free blocks of this slab: its owner no longer may without atomic
 * operations. The lock may be given up in between.
 */
void em_slab_share(struct em_expert *expert, struct em_slab *slab)
{
	for (;;) {
		uintptr_t owner = slab->owner;
		struct em_tcache *tcache = em_tcache_of_owner(owner);

		if (!owner || owner & EM_SHARED)
			return;
		em_write_once(&slab->owner, owner | EM_SHARING);
		if (em_wait_for(&em_threads[tcache->thread])) {
			if (tcache->revoked[slab->class] < REVOKED_MAX)
				tcache->revoked[slab->class]++;
			em_store_release(&slab->owner, (owner & ~EM_SHARING) | EM_SHARED);
			return;
		}
		em_relock(expert);
	}
}

/* ---------------------------------------------------------- with the expert stopped */

static int walk(const struct em_slab *slab,
		int (*visit)(void *block, size_t size, void *arg), void *arg)
{
	unsigned int i, n = slab->inverse ? slab->fresh : 0;
	int result = 0;

	for (i = 0; i < n && !result; i++)
		if (em_is_live(slab->states[i]))
			result = visit(slab->base + (size_t)i * slab->block,
				       slab->states[i] - 1U, arg);
	return result;
}

int em_slabs_walk(struct em_expert *expert,
		  int (*visit)(void *block, size_t size, void *arg), void *arg)
{
	const struct em_heap *heap = &expert->heap;
	size_t i = (heap->small.base - expert->base) / EM_SLAB_SIZE;
	size_t end = i + heap->small.used / EM_SLAB_SIZE + 1;
	int result = 0;

	for (; i < end && !result; i++)
		result = walk(&expert->slabs[i], visit, arg);
	for (i = heap->huge_first; i < heap->huge_end && !result; i++)
		result = walk(&expert->slabs[i], visit, arg);
	return result;
}
