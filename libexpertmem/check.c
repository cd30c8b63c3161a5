// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * EXPERTMEM_DEBUG=check: verify the invariants of a heap, at each trim, also when memory is short, and
 * at close. The first invariant that does not hold ends the process: em_abort().
 */
#include "slab.h"

/* The counts of a walk over all slabs. */
struct totals {
	int64_t blocks, bytes;		/* live */
	size_t slabs;			/* with a class */
	size_t pooled;			/* without a class */
	size_t where[EM_SPARE + 1];	/* slabs, by enum em_where */
};

static void expect(bool holds, const char *what, const void *where)
{
	if (!holds)
		em_abort(what, where);
}

static void check_queue(const struct em_slab *slab)
{
	uint64_t seen[EM_BLOCKS_MAX / 64] = { 0 };
	uint32_t n;

	expect(slab->tail - slab->head <= slab->fresh, "a queue has more blocks than were used", slab);
	for (n = slab->head; n != slab->tail; n++) {
		unsigned int i = slab->queue[n & slab->mask] ^ (n & slab->mask);

		expect(i < slab->fresh, "a queue has a block that was never used", slab);
		expect(!(seen[i / 64] >> i % 64 & 1), "a queue has a block twice", slab);
		expect(slab->states[i] == EM_STATE_FREE, "a queue has a block that is not free", slab);
		seen[i / 64] |= 1UL << i % 64;
	}
}

static void check_remote(const struct em_slab *slab)
{
	unsigned int i = slab->remote, n;

	for (n = 0; i != EM_NO_BLOCK; n++) {
		expect(n < slab->blocks && i < slab->fresh, "a list of remote frees is broken", slab);
		expect(slab->states[i] >= EM_STATE_REMOTE &&
		       slab->states[i] <= EM_STATE_REMOTE + EM_NO_BLOCK,
		       "a list of remote frees has another block", slab);
		i = slab->states[i] - EM_STATE_REMOTE;
	}
}

static void check_blocks(const struct em_slab *slab, struct totals *totals)
{
	for (unsigned int i = 0; i <= slab->blocks; i++) {
		uint16_t state = slab->states[i];

		expect(i < slab->fresh || state == EM_STATE_FREE,
		       "a block that was never used has a state", slab);
		if (!em_is_live(state))
			continue;
		expect(state - 1U <= slab->block, "a block is larger than its class", slab);
		totals->blocks++;
		totals->bytes += state - 1;
	}
}

static void check_slab(const struct em_expert *expert, const struct em_slab *slab,
		       struct totals *totals)
{
	const struct em_tcache *tcache = em_tcache_of_owner(slab->owner);
	size_t i = slab - expert->slabs;

	expect(slab->base == expert->base + i * EM_SLAB_SIZE, "a slab has the wrong address", slab);
	expect(slab->where <= EM_SPARE, "a slab is nowhere", slab);
	if (slab->before) {
		const struct em_slab *first = slab - slab->before;

		expect(first->inverse && !first->before &&
		       slab->before < first->slabs, "a slab is in no span", slab);
		expect(!slab->inverse && !slab->owner, "a later slab of a span is in use", slab);
		totals->slabs++;
		return;
	}
	totals->where[slab->where]++;
	if (!slab->inverse) {
		expect(slab->where == EM_POOL && !slab->owner, "a slab without a class is in use", slab);
		totals->pooled++;
		return;
	}
	totals->slabs++;
	expect(slab->class < EM_CLASSES && slab->block == em_class_size[slab->class] &&
	       (slab->slabs == 1 || slab->slabs == em_class_slabs(slab->class)) &&
	       slab->blocks == slab->slabs * EM_SLAB_SIZE / slab->block &&
	       slab->fresh <= slab->blocks,
	       "a slab does not fit its class", slab);
	expect(slab->where != EM_POOL && (size_t)((char *)tcache - expert->heap.tcaches.base) <
	       expert->heap.tcaches.used, "a slab has no owner", slab);
	check_queue(slab);
	check_remote(slab);
	check_blocks(slab, totals);
}

static void check_slabs(const struct em_expert *expert, struct totals *totals)
{
	const struct em_heap *heap = &expert->heap;
	const char *end = heap->small.base + heap->small.used;
	const char *base = (char *)em_round_up((uintptr_t)heap->small.base, EM_SLAB_SIZE);
	unsigned int chunks = 0;

	for (; base + EM_SLAB_SIZE <= end; base += EM_SLAB_SIZE)
		check_slab(expert, &expert->slabs[(base - expert->base) / EM_SLAB_SIZE], totals);
	for (size_t i = heap->huge_first; i < heap->huge_end; i++) {
		if (!expert->slabs[i].base)
			continue;
		check_slab(expert, &expert->slabs[i], totals);
		chunks += i % EM_CHUNK_SLABS == 0;
	}
	expect(chunks == heap->nr_chunks, "the number of huge chunks is wrong", heap);
	expect(totals->slabs == heap->nr_slabs, "the number of slabs is wrong", heap);
}

static void check_list(const struct em_slab *slab, const struct em_tcache *tcache,
		       unsigned int class, size_t *left)
{
	const struct em_slab *first = slab, *last = slab;

	for (; slab; slab = slab->next) {
		expect((*left)--, "a list of partial slabs is too long", tcache);
		expect(slab->where == EM_PARTIAL && slab->class == class &&
		       em_tcache_of_owner(slab->owner) == tcache &&
		       (slab == first || slab->prev == last), "a list of partial slabs is broken", slab);
		last = slab;
	}
	expect(!first || first->prev == last, "a list of partial slabs has another end", tcache);
}

static void check_tcaches(const struct em_expert *expert, struct totals *totals)
{
	const struct em_tcache *tcache = (struct em_tcache *)expert->heap.tcaches.base;
	size_t slabs = 0;

	for (unsigned int i = 0; i < expert->heap.nr_tcaches; i++, tcache++) {
		for (unsigned int class = 0; class < EM_CLASSES; class++) {
			const struct em_slab *slab = tcache->bins[class].current;

			slabs += tcache->nr_slabs[class];
			check_list(tcache->bins[class].partial, tcache, class,
				   &totals->where[EM_PARTIAL]);
			if (slab == &em_no_slab)
				continue;
			expect(slab->where == EM_CURRENT && slab->class == class &&
			       em_tcache_of_owner(slab->owner) == tcache,
			       "the current slab of a bin is another one's", slab);
			expect(totals->where[EM_CURRENT]--, "two bins have one current slab", slab);
		}
		for (const struct em_slab *slab = tcache->spare; slab; slab = slab->next)
			expect(slab->where == EM_SPARE && totals->where[EM_SPARE]--,
			       "a list of spare slabs is broken", slab);
	}
	expect(slabs == totals->slabs, "the number of slabs of a tcache is wrong", expert);
	expect(!totals->where[EM_CURRENT] && !totals->where[EM_PARTIAL] && !totals->where[EM_SPARE],
	       "a slab is in no list", expert);
}

/* Check the pool of chunks with @pages. Returns the number of its empty chunks in the huge window. */
static unsigned int check_chunks(const struct em_expert *expert, enum em_pages pages)
{
	const struct em_pool *pool = &expert->heap.pools[pages];
	unsigned int slabs = 0, dirty = 0, empty = 0;

	for (const struct em_slab *chunk = pool->chunks; chunk; chunk = chunk->chunk.next) {
		bool is_empty = chunk->chunk.pool == UINT32_MAX;

		expect(chunk->chunk.pool, "a chunk in the pool has no slab there", chunk);
		expect(chunk->chunk.pages == pages &&
		       (!chunk->chunk.next || chunk->chunk.next->chunk.prev == chunk),
		       "a list of chunks is broken", chunk);
		for (unsigned int i = 0; i < EM_CHUNK_SLABS; i++) {
			if (!(chunk->chunk.pool >> i & 1))
				continue;
			expect(chunk[i].base && !chunk[i].inverse && slabs++ < pool->nr_slabs,
			       "the pool has a slab that is in use", &chunk[i]);
			dirty += !chunk[i].clean;
		}
		expect(!is_empty ||
		       (em_window_of(expert, chunk->base) == EM_SMALL_WINDOW) == (pages == EM_ANY_PAGES),
		       "a chunk is in the list of another window", chunk);
		empty += is_empty && pages != EM_ANY_PAGES;
	}
	expect(slabs == pool->nr_slabs, "the number of pooled slabs is wrong", pool);
	expect(dirty == pool->nr_dirty, "the number of dirty slabs is wrong", pool);
	return empty;
}

static void check_pools(const struct em_expert *expert, size_t slabs)
{
	const struct em_heap *heap = &expert->heap;
	unsigned int empty = 0, limbo = 0;
	size_t pooled = 0;

	for (enum em_pages pages = EM_HUGE_PAGES; pages <= EM_ANY_PAGES; pages++) {
		empty += check_chunks(expert, pages);
		pooled += heap->pools[pages].nr_slabs;
	}
	for (const struct em_slab *slab = heap->limbo; slab; slab = slab->next)
		expect(!slab->inverse && limbo++ < heap->nr_limbo, "a slab in limbo is in use", slab);
	expect(limbo == heap->nr_limbo, "the number of slabs in limbo is wrong", heap);
	expect(empty == heap->nr_empty, "the number of empty chunks is wrong", heap);
	expect(pooled + limbo == slabs, "a slab without a class is not in the pool", heap);
}

static void check_large(const struct em_expert *expert, struct totals *totals)
{
	const struct em_heap *heap = &expert->heap;
	struct em_large_table *table = heap->large;
	size_t n = 0, kept = 0, taken = 0;

	expect(!(heap->large_version & 1), "the table of large blocks is being written", heap);
	for (size_t i = 0; table && i <= table->mask; i++) {
		const struct em_large *large = &table->places[i];

		if (!large->address)
			continue;
		expect(em_large_slot(table, large->address) == large,
		       "a large block is in the wrong place of its table", large);
		expect(large->size <= large->room && (uintptr_t)large->region <= large->address,
		       "a large block is not in its region", large);
		n++;
		taken += em_large_taken(expert, large);
		totals->blocks++;
		totals->bytes += large->size;
	}
	expect(n == heap->nr_large, "the number of large blocks is wrong", heap);
	expect(taken == heap->large_bytes, "the size of the large blocks' regions is wrong", heap);
	for (unsigned int i = 0; table && i < heap->nr_kept; i++) {
		expect(!em_large_slot(table, (uintptr_t)table->kept[i].region)->address,
		       "a kept region has a block", &table->kept[i]);
		kept += table->kept[i].size;
	}
	expect(kept == heap->kept_bytes, "the size of the kept regions is wrong", heap);
}

static void check_counts(const struct em_expert *expert, const struct totals *totals)
{
	int64_t blocks = 0, bytes = 0;

	for (unsigned int i = 0; i < expert->heap.nr_tcaches; i++) {
		const struct em_count *count = &expert->shared->counts[i];

		blocks += count->blocks;
		bytes += count->peak_mark - count->credit;
	}
	expect(blocks == totals->blocks, "the count of live blocks is wrong", expert);
	expect(bytes == totals->bytes, "the count of live bytes is wrong", expert);
}

/**
 * em_heap_check() - end the process if an invariant of the heap does not hold
 * @expert: the expert, locked and paused
 *
 * Does nothing without EM_DEBUG_CHECK, and in a signal's handler, whose thread may be in a section.
 */
void em_heap_check(const struct em_expert *expert)
{
	struct totals totals = { 0 };

	if (!(expert->debug & EM_DEBUG_CHECK) || !expert->heap.nr_tcaches ||
	    em_self->word == EM_PARKED)
		return;
	em_assert_locked(expert);
	check_slabs(expert, &totals);
	check_large(expert, &totals);
	check_counts(expert, &totals);
	check_pools(expert, totals.pooled);
	check_tcaches(expert, &totals);
}
