// SPDX-License-Identifier: LGPL-2.1-or-later
/* Slabs of no class, and the chunks that they are in. The expert's lock is held. */
#include <string.h>
#include <sys/mman.h>

#include "internal.h"
#include "slab.h"

/* The heap takes huge chunks after so many bytes of small slabs. */
#define SMALL_SEGMENT	(8UL << 20)

/*
 * Private memory: so many dirty slabs may be pooled of each enum em_pages, and 1/DIRTY_PART of the
 * slabs in use. Above DIRTY_MANY and the slabs in use, their pages are given back soon.
 */
#define DIRTY_FEW	8
#define DIRTY_PART	16
#define DIRTY_MANY	32
/* purge() looks at the pool after so many puts, and 1/PURGE_PART of the slabs in use. */
#define PURGE_AFTER	64
#define PURGE_PART	4
/* purge() gives up after so many refused calls; mlock() of the program is one reason. */
#define REFUSALS	8

/*
 * A slab for one kind of pages is taken from a chunk with the other kind if so many are pooled there,
 * and 1/OTHERS_PART of the slabs in use.
 */
#define OTHERS_MANY	EM_CHUNK_SLABS
#define OTHERS_PART	8

/* The first slabs of a class of a tcache have small pages. */
#define SLABS_FEW	2

/* With so many chunks, no more get small pages: they could each be a mapping (vm.max_map_count). */
#define CHUNKS_MANY	8192

/* So many chunks are searched for pooled slabs in a row. */
#define SEARCH_MOST	256

/* When so many slabs are in limbo, one em_wait_all() is done for all of them. */
#define LIMBO_MAX	32

_Static_assert(sizeof(struct em_slab) * EM_CHUNK_SLABS == EM_PAGE,
	       "the table of slabs has a page for each chunk");

static struct em_slab *chunk_of(struct em_slab *slab)
{
	return (struct em_slab *)((uintptr_t)slab & ~(EM_PAGE - 1));
}

/* Is the chunk a region of its own, in the huge window? */
static bool is_region(const struct em_slab *chunk)
{
	return chunk->chunk.pages != EM_ANY_PAGES;
}

static bool is_empty(const struct em_slab *chunk)
{
	return !~chunk->chunk.pool;
}

static bool is_pooled(struct em_slab *slab)
{
	return chunk_of(slab)->chunk.pool & 1U << (slab - chunk_of(slab));
}

/* Add a chunk to its list of chunks with pooled slabs, as the first or the last one. */
static void chunk_add(struct em_heap *heap, struct em_slab *chunk, bool first)
{
	struct em_slab **list = &heap->pools[chunk->chunk.pages].chunks, *head = *list;

	chunk->chunk.next = NULL;
	chunk->chunk.prev = chunk;
	*list = chunk;
	if (!head)
		return;
	chunk->chunk.prev = head->chunk.prev;
	if (first) {
		chunk->chunk.next = head;
	} else {
		head->chunk.prev->chunk.next = chunk;
		*list = head;
	}
	head->chunk.prev = chunk;
}

static void chunk_del(struct em_heap *heap, struct em_slab *chunk)
{
	struct em_slab **list = &heap->pools[chunk->chunk.pages].chunks;

	if (chunk->chunk.next)
		chunk->chunk.next->chunk.prev = chunk->chunk.prev;
	else
		/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): it has @chunk at least */
		(*list)->chunk.prev = chunk->chunk.prev;
	if (*list == chunk)
		*list = chunk->chunk.next;
	else
		chunk->chunk.prev->chunk.next = chunk->chunk.next;
}

/* Make the EM_STEP of the table of slabs with @slab writable; that includes all of its chunk. */
static bool make_writable(struct em_expert *expert, struct em_slab *slab)
{
	size_t first = (slab - expert->slabs) & ~(EM_STEP / sizeof(*slab) - 1);
	struct em_slab *part = &expert->slabs[first];

	if (part->writable)
		return true;
	if (mprotect(part, EM_STEP, PROT_READ | PROT_WRITE))
		return false;
	part->writable = true;
	return true;
}

/* Add @dirty to the number of dirty slabs in the pool, of chunks with @pages. */
static void count_dirty(struct em_heap *heap, enum em_pages pages, int dirty)
{
	struct em_pool *pool = &heap->pools[pages];

	pool->nr_dirty += dirty;
	if (pool->low_dirty > pool->nr_dirty)
		pool->low_dirty = pool->nr_dirty;
}

/* Add @sign times the slabs of a chunk, all of which are pooled, to the counts of its pool. */
static void count_chunk(struct em_heap *heap, const struct em_slab *chunk, int sign)
{
	int dirty = 0;

	for (unsigned int i = 0; i < EM_CHUNK_SLABS; i++)
		dirty += !chunk[i].clean;
	heap->pools[chunk->chunk.pages].nr_slabs += sign * (int)EM_CHUNK_SLABS;
	count_dirty(heap, chunk->chunk.pages, sign * dirty);
}

/* Advise the kernel which pages a chunk shall have. It is a hint, of private memory only. */
static void advise(const struct em_slab *chunk, enum em_pages pages)
{
	madvise(chunk->base, EM_CHUNK_SIZE, pages == EM_HUGE_PAGES ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
}

static void slab_init(struct em_slab *slab, char *base)
{
	slab->remote = EM_NO_BLOCK;
	slab->clean = true;
	em_store_release(&slab->base, base);
}

/* Give back a huge chunk, all of whose slabs are in the pool. */
static void chunk_free(struct em_expert *expert, struct em_slab *chunk)
{
	struct em_heap *heap = &expert->heap;
	char *base = chunk->base;
	unsigned int i;

	count_chunk(heap, chunk, -1);
	chunk_del(heap, chunk);
	chunk->chunk.pool = 0;
	heap->nr_empty--;
	heap->nr_chunks--;
	/* The next region at these addresses shall have huge pages. */
	if (chunk->chunk.pages == EM_SMALL_PAGES)
		advise(chunk, EM_HUGE_PAGES);
	/* A large block may get these addresses next. */
	for (i = 0; i < EM_CHUNK_SLABS; i++)
		em_write_once(&chunk[i].base, NULL);
	em_crash_freed(base, EM_CHUNK_SIZE);
	expert->backend->free(expert, base, EM_CHUNK_SIZE);
}

/*
 * Put a slab into the pool. No section uses it any more. A chunk without slabs in use moves to the
 * end of the list, where it is used last, and is given back if there are more than a few.
 */
static void pool_put(struct em_expert *expert, struct em_slab *slab)
{
	struct em_heap *heap = &expert->heap;
	struct em_slab *chunk = chunk_of(slab);

	if (!chunk->chunk.pool)
		chunk_add(heap, chunk, true);
	chunk->chunk.pool |= 1U << (slab - chunk);
	slab->where = EM_POOL;
	heap->pools[chunk->chunk.pages].nr_slabs++;
	if (!slab->clean)
		count_dirty(heap, chunk->chunk.pages, 1);
	heap->puts_since_purge++;
	if (!is_empty(chunk) || !is_region(chunk))
		return;
	chunk_del(heap, chunk);
	chunk_add(heap, chunk, false);
	if (++heap->nr_empty > 1 + heap->nr_chunks / 8)
		chunk_free(expert, chunk);
}

static void unpool(struct em_heap *heap, struct em_slab *slab)
{
	struct em_slab *chunk = chunk_of(slab);

	chunk->chunk.pool &= ~(1U << (slab - chunk));
	if (!chunk->chunk.pool)
		chunk_del(heap, chunk);
	heap->pools[chunk->chunk.pages].nr_slabs--;
	if (!slab->clean)
		count_dirty(heap, chunk->chunk.pages, -1);
}

static bool is_dirty(struct em_slab *slab)
{
	return is_pooled(slab) && !slab->clean;
}

/* The pages of a dirty slab were given back. */
static void set_clean(struct em_heap *heap, struct em_slab *slab)
{
	slab->clean = true;
	count_dirty(heap, chunk_of(slab)->chunk.pages, -1);
}

/*
 * Give the pages of pooled slabs back until @most are dirty, of the chunks that were used least
 * recently first. Memory that the program has locked stays, as munlock() would not be undone.
 */
static void purge_to(struct em_heap *heap, struct em_pool *pool, unsigned int most)
{
	struct em_slab *chunk = pool->chunks ? pool->chunks->chunk.prev : NULL;
	unsigned int i, refusals = 0;

	while (chunk && pool->nr_dirty > most) {
		for (i = 0; i < EM_CHUNK_SLABS && pool->nr_dirty > most && refusals < REFUSALS; i++) {
			if (!is_dirty(&chunk[i]))
				continue;
			if (!madvise(chunk[i].base, EM_SLAB_SIZE, MADV_DONTNEED))
				set_clean(heap, &chunk[i]);
			else
				refusals++;
		}
		chunk = chunk == pool->chunks || refusals == REFUSALS ? NULL : chunk->chunk.prev;
	}
}

static bool gives_pages_back(const struct em_expert *expert)
{
	return expert->backend->id == EXPERTMEM_BACKEND_ANON &&
	       !(expert->flags & EXPERTMEM_POPULATE);
}

/*
 * Slabs were pooled: give pages of pooled slabs back, if they are many and were not needed for a
 * while. Time is counted in puts: reading a clock could be refused by a filter of system calls.
 * Not with the module: it clears a part of a huge page, but cannot free it.
 */
static void purge(struct em_expert *expert)
{
	struct em_heap *heap = &expert->heap;
	unsigned int few = DIRTY_FEW + heap->nr_slabs / DIRTY_PART;
	bool late = heap->puts_since_purge >= PURGE_AFTER + heap->nr_slabs / PURGE_PART;
	struct em_pool *pool;

	if (!gives_pages_back(expert) || heap->puts_since_purge < DIRTY_MANY)
		return;
	for (pool = heap->pools; pool <= &heap->pools[EM_ANY_PAGES]; pool++) {
		if (pool->nr_dirty > DIRTY_MANY + heap->nr_slabs)
			purge_to(heap, pool, few);
		else if (late && pool->low_dirty > few)
			/* @low_dirty of them were dirty all the time. */
			purge_to(heap, pool, pool->nr_dirty - pool->low_dirty + few);
		else if (!late)
			continue;
		pool->low_dirty = pool->nr_dirty;
		heap->puts_since_purge = 0;
	}
}

/* A chunk with @pages without slabs in use; NULL: there is none. */
static struct em_slab *empty_chunk(const struct em_heap *heap, enum em_pages pages)
{
	struct em_slab *first = heap->pools[pages].chunks;

	return first && is_empty(first->chunk.prev) ? first->chunk.prev : NULL;
}

static bool has_many(const struct em_heap *heap, enum em_pages pages)
{
	return heap->pools[pages].nr_slabs > OTHERS_MANY + heap->nr_slabs / OTHERS_PART;
}

/*
 * The slabs of the mask @pool at which @count slabs begin that are all in @pool. @count is 1, 4 or 8, and
 * the places are multiples of it.
 */
static uint32_t starts(uint32_t pool, unsigned int count)
{
	for (unsigned int n = 1; n < count; n *= 2)
		pool &= pool >> n;
	return pool & UINT32_MAX / ((1U << count) - 1);
}

/* A chunk with @pages that has @count slabs in a row in the pool; NULL: none was found. */
static struct em_slab *find(const struct em_heap *heap, enum em_pages pages, unsigned int count)
{
	struct em_slab *chunk = heap->pools[pages].chunks;

	for (unsigned int n = 0; chunk && n < SEARCH_MOST; n++, chunk = chunk->chunk.next)
		if (starts(chunk->chunk.pool, count))
			return chunk;
	return empty_chunk(heap, pages);
}

/*
 * Find the chunk for @count slabs that shall have @pages. In this order: one with these pages; one of the
 * small window; one with the other pages, if it is empty, or if many slabs are pooled there. NULL: the
 * heap should grow.
 */
static struct em_slab *choose(const struct em_heap *heap, enum em_pages pages, unsigned int count)
{
	struct em_slab *chunk = find(heap, pages, count);

	if (!chunk)
		chunk = find(heap, EM_ANY_PAGES, count);
	if (!chunk)
		chunk = empty_chunk(heap, !pages);
	if (!chunk && has_many(heap, !pages))
		chunk = find(heap, !pages, count);
	return chunk;
}

/* Move an empty chunk to the pool of @pages. */
static void convert(struct em_heap *heap, struct em_slab *chunk, enum em_pages pages)
{
	count_chunk(heap, chunk, -1);
	chunk_del(heap, chunk);
	advise(chunk, pages);
	chunk->chunk.pages = pages;
	chunk_add(heap, chunk, false);
	count_chunk(heap, chunk, 1);
}

/* Take @count slabs in a row, which @chunk has, out of the pool. Returns the first. NULL: no chunk. */
static struct em_slab *take(struct em_expert *expert, struct em_slab *chunk, unsigned int count)
{
	struct em_slab *slab;

	if (!chunk)
		return NULL;
	if (is_empty(chunk) && is_region(chunk)) {
		expert->heap.nr_empty--;
		/* no empty chunk any more: those are the last ones */
		chunk_del(&expert->heap, chunk);
		chunk_add(&expert->heap, chunk, true);
	}
	slab = chunk + __builtin_ctz(starts(chunk->chunk.pool, count));
	for (unsigned int i = 0; i < count; i++)
		unpool(&expert->heap, &slab[i]);
	return slab;
}

/* Get @count slabs for @pages from the pool. NULL: the heap should grow. */
static struct em_slab *pool_get(struct em_expert *expert, enum em_pages pages, unsigned int count)
{
	struct em_slab *chunk = choose(&expert->heap, pages, count);

	if (chunk && chunk->chunk.pages == !pages && is_empty(chunk))
		convert(&expert->heap, chunk, pages);
	return take(expert, chunk, count);
}

static bool grow_small(struct em_expert *expert)
{
	struct em_array *small = &expert->heap.small;
	char *base = (char *)em_round_up((uintptr_t)small->base + small->used, EM_SLAB_SIZE);
	size_t more = base + EM_SLAB_SIZE - (small->base + small->used);
	struct em_slab *slab = &expert->slabs[(base - expert->base) / EM_SLAB_SIZE];

	if (!make_writable(expert, slab) || !em_array_grow(expert, small, more))
		return false;
	small->used += more;
	slab_init(slab, base);
	chunk_of(slab)->chunk.pages = EM_ANY_PAGES;
	pool_put(expert, slab);
	return true;
}

/* Get a chunk of the huge window. If @pages is EM_SMALL_PAGES, it will have no huge pages. */
static bool grow_huge(struct em_expert *expert, enum em_pages pages)
{
	struct em_heap *heap = &expert->heap;
	char *base = expert->backend->alloc(expert, EM_HUGE_WINDOW, EM_CHUNK_SIZE,
					    EM_CHUNK_SIZE);
	struct em_slab *chunk;
	size_t first, i;

	if (!base)
		return false;
	first = (base - expert->base) / EM_SLAB_SIZE;
	chunk = &expert->slabs[first];
	if (!make_writable(expert, chunk)) {
		expert->backend->free(expert, base, EM_CHUNK_SIZE);
		return false;
	}
	for (i = 0; i < EM_CHUNK_SLABS; i++)
		slab_init(&chunk[i], base + i * EM_SLAB_SIZE);
	if (pages == EM_SMALL_PAGES)
		advise(chunk, pages);
	chunk->chunk.pages = pages;
	chunk->chunk.pool = UINT32_MAX;
	chunk_add(heap, chunk, true);
	count_chunk(heap, chunk, 1);
	heap->nr_chunks++;
	heap->nr_empty++;
	if (!heap->huge_end || first < heap->huge_first)
		heap->huge_first = first;
	if (first + EM_CHUNK_SLABS > heap->huge_end)
		heap->huge_end = first + EM_CHUNK_SLABS;
	return true;
}

/* Get more slabs: a huge chunk after SMALL_SEGMENT, a small slab before or if that fails. */
static bool grow(struct em_expert *expert, enum em_pages pages)
{
	/* with AddressSanitizer they are never given back, see shrink_small() */
	size_t most = expert->debug & EM_DEBUG_ASAN ? SMALL_SEGMENT / 4 : SMALL_SEGMENT;

	if (expert->heap.small.used >= most &&
	    !(expert->flags & EXPERTMEM_NO_HUGE) && grow_huge(expert, pages))
		return true;
	return grow_small(expert);
}

/* ------------------------------------------------------------------ slabs of a class */

/* Number of blocks of @class in @count slabs. */
static unsigned int blocks_of(unsigned int class, unsigned int count)
{
	return count * EM_SLAB_SIZE / em_class_size[class];
}

/* States and queue of a pooled slab, in a free list of its class for the next slab. */
struct em_free_states {
	struct em_free_states *next;
	uint16_t *queue;
};

/*
 * Processors predict store forwarding by the low 12 bits of addresses (4 KiB aliasing). A call reads
 * and writes the states and the queue of a slab alternately, often from their starts. So the queue
 * of a slab is so many bytes further into its page than its states.
 */
#define QUEUE_OFFSET	64

/*
 * Bytes of the states: one for each block, and one that is always EM_STATE_FREE. The arrays of all slabs
 * and spans of a class have one size, as em_heap.free_states passes them on.
 */
static size_t states_size(const struct em_slab *slab)
{
	return em_round_up((blocks_of(slab->class, em_class_slabs(slab->class)) + 1) * sizeof(uint16_t), 64);
}

/* Bytes of the queue; rounded like the states, to keep their distance by QUEUE_OFFSET. */
static size_t queue_size(const struct em_slab *slab)
{
	return em_round_up((slab->mask + 2) * sizeof(uint16_t), 64);
}

/* Give @slab states and a queue of zeros. False: no memory. */
static bool states_get(struct em_expert *expert, struct em_slab *slab)
{
	struct em_heap *heap = &expert->heap;
	struct em_free_states *free = heap->free_states[slab->class];
	uint16_t *states = (uint16_t *)free;

	if (free) {
		heap->free_states[slab->class] = free->next;
		slab->queue = memset(free->queue, 0, queue_size(slab));
		memset(states, 0, states_size(slab));
	} else {
		/*
		 * A section may read the new address of the states with an old number of a block: up to
		 * EM_BLOCKS_MAX states have to be readable.
		 */
		if (!em_array_grow(expert, &heap->states,
				   states_size(slab) + EM_BLOCKS_MAX * sizeof(*states)) ||
		    !em_array_grow(expert, &heap->queues, QUEUE_OFFSET + queue_size(slab)))
			return false;
		states = (uint16_t *)(heap->states.base + heap->states.used);
		heap->states.used += states_size(slab);
		slab->queue = (uint16_t *)(heap->queues.base + QUEUE_OFFSET +
					   heap->queues.used);
		heap->queues.used += queue_size(slab);
	}
	/* Pairs with em_slab_read_state(), which sees the zeros and the fields written before. */
	em_store_release(&slab->states, states);
	return true;
}

static void states_put(struct em_heap *heap, struct em_slab *slab)
{
	struct em_free_states *free = (struct em_free_states *)slab->states;

	/* a later slab of a span */
	if (!free)
		return;
	/* A look-up of a bad pointer must not read states that are of another slab, or given back. */
	em_write_once(&slab->states, NULL);
	free->next = heap->free_states[slab->class];
	free->queue = slab->queue;
	heap->free_states[slab->class] = free;
}

/*
 * Move the slabs in limbo to the pool, after all sections have ended that may still use their old
 * class, because they were shared. False: limbo stays as it is; em_wait_all() has failed, or limbo is empty, or
 * this is a signal's handler.
 */
bool em_pool_recycle(struct em_expert *expert)
{
	struct em_heap *heap = &expert->heap;
	struct em_slab *slab;

	if (!heap->limbo || em_self->word == EM_PARKED || !em_wait_all())
		return false;
	while ((slab = heap->limbo)) {
		heap->limbo = slab->next;
		states_put(heap, slab);
		pool_put(expert, slab);
	}
	heap->nr_limbo = 0;
	purge(expert);
	return true;
}

static void put_one(struct em_expert *expert, struct em_slab *slab, bool shared)
{
	struct em_heap *heap = &expert->heap;

	em_write_once(&slab->before, 0);
	slab->clean = false;
	heap->nr_slabs--;
	if (!shared) {
		states_put(heap, slab);
		pool_put(expert, slab);
		return;
	}
	slab->where = EM_POOL;
	slab->next = heap->limbo;
	heap->limbo = slab;
	heap->nr_limbo++;
}

/* Pool a slab, or the slabs of a span, without a live block: they have no class any more. */
void em_slab_put(struct em_expert *expert, struct em_slab *slab)
{
	unsigned int count = slab->slabs;
	bool shared = slab->owner & EM_SHARED;

	em_assert_locked(expert);
	em_tcache_of_owner(slab->owner)->nr_slabs[slab->class] -= count;
	em_write_once(&slab->owner, 0);
	em_write_once(&slab->inverse, 0);
	em_fetch_add_relaxed(&expert->heap.nr_put, 1);
	expert->heap.puts_since_emptied++;
	for (unsigned int i = 0; i < count; i++)
		put_one(expert, &slab[i], shared);
	if (!shared)
		purge(expert);
	else if (expert->heap.nr_limbo >= LIMBO_MAX)
		em_pool_recycle(expert);
}

/*
 * The pages for a slab of @class of @tcache. A program may write to few pages of a block of several pages,
 * and a thread may have few blocks of a class. A huge page would take memory for all pages. The module's
 * huge window has huge pages only.
 */
static enum em_pages pages_of(const struct em_expert *expert, const struct em_tcache *tcache,
			      unsigned int class)
{
	bool sparse = em_class_size[class] > EM_PAGE || tcache->nr_slabs[class] < SLABS_FEW;

	return sparse && gives_pages_back(expert) && expert->heap.nr_chunks < CHUNKS_MANY ?
	       EM_SMALL_PAGES : EM_HUGE_PAGES;
}

/* Does the pool have @count slabs in a row for em_slab_get(), so that the heap need not grow? */
bool em_pool_serves(const struct em_expert *expert, const struct em_tcache *tcache,
		    unsigned int class, unsigned int count)
{
	return choose(&expert->heap, pages_of(expert, tcache, class), count);
}

/* Get @count slabs in a row, from the pool, or from memory of the backend. NULL: no memory. */
static struct em_slab *get(struct em_expert *expert, enum em_pages pages, unsigned int count)
{
	struct em_slab *slab = pool_get(expert, pages, count);
	/* A small chunk grows slab by slab. The first place may be up to @count - 1 slabs further. */
	unsigned int steps = 2 * count - 1;

	while (!slab && steps-- && grow(expert, pages))
		slab = pool_get(expert, pages, count);
	return slab ? slab : take(expert, find(&expert->heap, !pages, count), count);
}

/* Get a slab of @class, or a span of @count slabs, for @tcache. It has no owner yet. NULL: no memory. */
struct em_slab *em_slab_get(struct em_expert *expert, const struct em_tcache *tcache,
			    unsigned int class, unsigned int count)
{
	unsigned int most = blocks_of(class, em_class_slabs(class)), i;
	struct em_heap *heap = &expert->heap;
	struct em_slab *slab;

	em_assert_locked(expert);
	slab = get(expert, pages_of(expert, tcache, class), count);
	if (!slab)
		return NULL;
	slab->class = class;
	slab->block = em_class_size[class];
	em_write_once(&slab->blocks, blocks_of(class, count));
	slab->slabs = count;
	slab->fresh = 0;
	slab->quarantine = slab->block <= EM_FAST_MAX ? slab->blocks / 16 : EM_NO_QUARANTINE;
	slab->mask = 1;
	while (slab->mask + 1 < most)
		slab->mask = slab->mask * 2 + 1;
	slab->head = 0;
	slab->tail = 0;
	slab->limit = 0;
	if (!states_get(expert, slab)) {
		for (i = 0; i < count; i++)
			pool_put(expert, &slab[i]);
		return NULL;
	}
	for (i = 1; i < count; i++)
		em_write_once(&slab[i].before, i);
	heap->nr_slabs += count;
	em_write_once(&slab->inverse, UINT32_MAX / slab->block + 1);
	em_debug_slab(expert, slab->base);
	return slab;
}

/* ------------------------------------------------------------ with the expert stopped */

/* Give back the pooled slabs at the end of the small chunks, apart from the first slab. */
static void shrink_small(struct em_expert *expert)
{
	struct em_array *small = &expert->heap.small;
	char *first = (char *)em_round_up((uintptr_t)small->base, EM_SLAB_SIZE);
	size_t used = small->used;
	struct em_slab *slab;
	uint32_t offset;

	while (small->base + used > first + EM_SLAB_SIZE) {
		slab = em_slab_at(expert, small->base + used - EM_SLAB_SIZE, &offset);
		if (!is_pooled(slab))
			break;
		used -= EM_SLAB_SIZE;
	}
	/* em_debug_on_close() has to know the poisoned range. */
	if (used == small->used || expert->debug & EM_DEBUG_ASAN)
		return;
	if (!expert->backend->resize(expert, small->base, small->size, used, false))
		return;
	while (small->used > used) {
		small->used -= EM_SLAB_SIZE;
		slab = em_slab_at(expert, small->base + small->used, &offset);
		unpool(&expert->heap, slab);
		slab->clean = true;
	}
	small->size = used;
}

static void trim_list(struct em_expert *expert, struct em_slab *chunk)
{
	struct em_slab *next;

	for (; chunk; chunk = next) {
		next = chunk->chunk.next;
		if (is_empty(chunk) && is_region(chunk)) {
			chunk_free(expert, chunk);
			continue;
		}
		/*
		 * If a pipe or a device pins a page, the slab stays dirty, and the next trim tries
		 * again.
		 */
		for (unsigned int i = 0; i < EM_CHUNK_SLABS; i++)
			if (is_dirty(&chunk[i]) && !(expert->flags & EXPERTMEM_POPULATE) &&
			    expert->backend->discard(chunk[i].base, EM_SLAB_SIZE))
				set_clean(&expert->heap, &chunk[i]);
	}
}

/**
 * em_pool_trim() - give the memory of pooled slabs back
 * @expert: the expert, paused, after em_collect()
 *
 * Huge chunks without slabs in use are freed. Of other chunks, the pages of pooled slabs are given back.
 */
void em_pool_trim(struct em_expert *expert)
{
	struct em_heap *heap = &expert->heap;

	shrink_small(expert);
	for (struct em_pool *pool = heap->pools; pool <= &heap->pools[EM_ANY_PAGES]; pool++)
		trim_list(expert, pool->chunks);
	if (!heap->nr_slabs && !heap->limbo && em_array_clear(expert, &heap->states) &&
	    em_array_clear(expert, &heap->queues))
		memset(heap->free_states, 0, sizeof(heap->free_states));
}

void em_pool_regions(struct em_expert *expert, em_region_visitor visit, void *arg)
{
	size_t i;

	for (i = expert->heap.huge_first; i < expert->heap.huge_end; i += EM_CHUNK_SLABS)
		if (expert->slabs[i].base)
			visit(expert->slabs[i].base, EM_CHUNK_SIZE, arg);
}
