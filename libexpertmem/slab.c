// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Free, resize and walk small blocks, in slabs of any owner. See types.h.
 *
 * em_slab_free() and em_slab_resize() are called in a section, or with the expert's lock held.
 */
#include "internal.h"
#include "slab.h"

/*
 * Remote free: push block @i to the list @remote of @slab. If the list was empty, push the slab to
 * @pending of its owner, who moves the blocks into the queue when it needs blocks.
 */
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
 * @tcache: the calling thread's tcache
 * @slab: the slab of the block, from em_slab_at()
 * @offset: offset of the block in the slab, from em_slab_at()
 *
 * Return: EM_DONE; EM_NOT_A_BLOCK if no live block starts there; EM_NEEDS_SHARING: call
 * em_slab_share(), and try again.
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
		/*
		 * Of several threads that free the block, one claims it. A resize changes @state:
		 * try again.
		 */
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

/*
 * Resize a block in place. EM_NOT_A_BLOCK: no live block starts there, its class is not @class, or it has no
 * room for @size. @class: of @size; or of the slab, for a block that shall stay whatever the class of @size.
 */
enum em_outcome em_slab_resize(struct em_expert *expert, struct em_tcache *tcache,
			     struct em_slab *slab, uint32_t offset, size_t size,
			     unsigned int class)
{
	uintptr_t owner;
	uint32_t i;
	uint16_t state = em_slab_read_state(slab, offset, &owner, &i);

	if (!em_is_live(state) || class != slab->class || size > slab->block)
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

/* Can the calling thread, which has @tcache, free blocks of this slab without the lock? */
bool em_slab_is_mine(const struct em_slab *slab, const struct em_tcache *tcache)
{
	uintptr_t owner = em_read_once(&slab->owner);

	return owner & EM_SHARED || (em_tcache_of_owner(owner) == tcache && !(owner & EM_SHARING));
}

/* ------------------------------------------------------ with the expert's lock held */

/*
 * Make a slab shared: from now on every free of its blocks, also by the owner, changes the state
 * of the block by a compare-and-swap. Waits until the owner has left a section that may still free without one. The
 * lock may be released meanwhile.
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
			uint8_t revoked = tcache->revoked[slab->class];

			if (revoked < REVOKED_MAX)
				em_write_once(&tcache->revoked[slab->class], revoked + 1);
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
