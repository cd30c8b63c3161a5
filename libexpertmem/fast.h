/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The fast paths of allocating and freeing a block: in a section, with slabs of the calling thread.
 * They are inline in the calls of Netmon.h and in the malloc family.
 */
#ifndef EM_FAST_H
#define EM_FAST_H

#include "internal.h"

#define fast_inline	static inline __attribute__((always_inline))

/*
 * At the end of a fast path: a hint that the arguments of the call stay in their registers, which emits
 * no instruction. Otherwise GCC moves them to others first, as it prefers these for temporary values.
 */
#ifdef __x86_64__
#define EM_STAY(...)	__asm__ volatile("" : : __VA_ARGS__)
#else
#define EM_STAY(...)	((void)0)
#endif

/*
 * The results of a fast path. After EM_FAST_DONE and EM_FAST_NOTHING no section is open. All others
 * leave the section open for the function that goes on.
 */
enum em_fast {
	EM_FAST_DONE,
	EM_FAST_NOTHING,	/* no section could begin, or the current slab needs a refill */
	EM_FAST_PEAK,		/* allocated; the credit of the thread is used up: em_end_peak() */
	EM_FAST_WAKE,		/* freed; the tail of the slab has reached its @wake: em_end_free() */
	EM_FAST_ELSEWHERE,	/* the pointer is not in the windows of the expert */
	EM_FAST_OTHER,		/* no unshared slab of this thread is at the pointer */
	EM_FAST_BAD,		/* the pointer is no live block */
};

/* The bin for blocks of @size bytes in the tcache of the calling thread. */
fast_inline struct em_bin *em_bin_of(const struct em_thread *self, size_t size)
{
	return (struct em_bin *)((char *)self->tcache->bins + em_read_once(&self->classes[(size + 15) / 16]));
}

/*
 * Allocate a block of more than EM_FAST_MAX bytes. Its slab has no quarantine, so what em_bin_peek() has
 * computed is not valid.
 */
fast_inline enum em_fast em_fast_alloc_medium(HEXPERTKEY key, size_t size, void **block)
{
	struct em_thread *self = em_self;
	struct em_slab *slab;
	uint32_t place, i;

	if (size > EM_SMALL_MAX || !em_begin(self, key))
		return EM_FAST_NOTHING;
	slab = em_bin_of(self, size)->current;
	if (unlikely(slab->tail == slab->head)) {
		em_end_of(self, key);
		return EM_FAST_NOTHING;
	}
	place = slab->head & slab->mask;
	i = slab->queue[place] ^ place;
	em_set_state(slab->states, i, size + 1);
	em_barrier();	/* in this order, as of em_slab_push() */
	slab->head++;
	*block = slab->base + i * slab->block;
	em_add(&self->count->blocks, 1);
	if (unlikely(em_add(&self->count->credit, -(int64_t)size) < 0))
		return EM_FAST_PEAK;
	em_end_of(self, key);
	return EM_FAST_DONE;
}

fast_inline enum em_fast em_fast_alloc(HEXPERTKEY key, size_t size, void **block)
{
	struct em_thread *self = em_self;
	struct em_count *count;
	struct em_slab *slab;
	struct em_bin *bin;

	if (unlikely(size > EM_FAST_MAX))
		return em_fast_alloc_medium(key, size, block);
	if (unlikely(!em_begin(self, key)))
		return EM_FAST_NOTHING;
	bin = em_bin_of(self, size);
	/* Keeps GCC from computing the address of the bin twice. */
	__asm__("" : "+r"(bin));
	slab = bin->current;
	if (unlikely(slab->head == slab->limit)) {
		uint32_t avail = slab->tail - slab->head;

		/* em_slab_avail() looks at @extended, too */
		if (__builtin_sub_overflow(avail, slab->quarantine, &avail) || !avail) {
			em_end_of(self, key);
			return EM_FAST_NOTHING;
		}
		slab->limit += avail;
	}
	*block = em_bin_pop(bin, slab, size);
	/* em_count() */
	count = self->count;
	em_add(&count->blocks, 1);
	if (unlikely(em_add(&count->credit, -(int64_t)size) < 0))
		return EM_FAST_PEAK;
	em_end_of(self, key);
	return EM_FAST_DONE;
}

/* @slab receives the entry for @p in the table of slabs, with EM_FAST_WAKE and EM_FAST_OTHER. */
fast_inline enum em_fast em_fast_free(HEXPERTKEY key, void *p, struct em_slab **slab)
{
	struct em_thread *self = em_self;
	struct em_count *count;
	uint32_t offset, i, size;

	*slab = NULL;
	if (unlikely(!em_begin(self, key)))
		return EM_FAST_NOTHING;
	if (unlikely(!em_slab_of(self, p, slab, &offset)))
		return EM_FAST_ELSEWHERE;
	if (unlikely(em_read_once(&(*slab)->owner) != (uintptr_t)self->tcache))
		return EM_FAST_OTHER;
	if (unlikely(!em_block_at(*slab, offset, &i)))
		return EM_FAST_BAD;
	size = em_get_state((*slab)->states, i) - 1U;
	if (unlikely(size > EM_SMALL_MAX))	/* not em_is_live() */
		return EM_FAST_BAD;
	/* em_count(), before the stores of em_slab_push(), whose addresses are known late */
	count = self->count;
	em_add(&count->blocks, -1);
	em_add(&count->credit, size);
	if (unlikely(em_slab_push(*slab, i) == (*slab)->wake))
		return EM_FAST_WAKE;
	em_end_of(self, key);
	return EM_FAST_DONE;
}

/*
 * After EM_FAST_OTHER: free a block of a shared slab of this thread. A shared slab keeps its class until
 * the section ends. Returns EM_FAST_OTHER if the slab is not one of those.
 */
fast_inline enum em_fast em_fast_free_shared(HEXPERTKEY key, void *p, struct em_slab *slab)
{
	struct em_thread *self = em_self;
	uint16_t state;
	uint32_t i;

	if (em_load_acquire(&slab->owner) != ((uintptr_t)self->tcache | EM_SHARED))
		return EM_FAST_OTHER;
	if (unlikely(!em_block_at(slab, (uintptr_t)p % EM_SLAB_SIZE, &i)))
		return EM_FAST_BAD;
	state = em_get_state(slab->states, i);
	do	/* Other threads free or resize the block, too; one free succeeds. */
		if (unlikely(!em_is_live(state)))
			return EM_FAST_BAD;
	while (unlikely(!em_try_cmpxchg(&slab->states[i], &state, EM_STATE_FREE)));
	em_add(&self->count->blocks, -1);
	em_add(&self->count->credit, state - 1);
	if (unlikely(em_slab_push(slab, i) == slab->wake))
		return EM_FAST_WAKE;
	em_end_of(self, key);
	return EM_FAST_DONE;
}

#endif /* EM_FAST_H */
