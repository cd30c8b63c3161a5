// SPDX-License-Identifier: LGPL-2.1-or-later
/* Slabs of no class, and the chunks that they are in. The expert's lock is held. */
#include <string.h>
#include <sys/mman.h>

#include "internal.h"

/* small slabs that are used before huge chunks are */
#define SMALL_SEGMENT	(8UL << 20)

/* so many slabs that are to be used again wait for one em_wait_all() */
#define LIMBO_MAX	32

_Static_assert(sizeof(struct em_slab) * EM_CHUNK_SLABS == EM_PAGE,
	       "what is known of a chunk's slabs is a page");

static struct em_slab *chunk_of(struct em_slab *slab)
{
	return (struct em_slab *)((uintptr_t)slab & ~(EM_PAGE - 1));
}

static bool is_huge(const struct em_expert *expert, const struct em_slab *chunk)
{
	return (size_t)(chunk->base - expert->base) - expert->window < expert->window;
}

static bool is_empty(const struct em_slab *chunk)
{
	return !~chunk->chunk.pool;
}

static bool is_pooled(struct em_slab *slab)
{
	return chunk_of(slab)->chunk.pool & 1U << (slab - chunk_of(slab));
}

/* Chunks with slabs in the pool: the first one's @prev is the last. */
static void chunk_add(struct em_heap *heap, struct em_slab *chunk, bool first)
{
	struct em_slab *head = heap->chunks;

	chunk->chunk.next = NULL;
	chunk->chunk.prev = chunk;
	heap->chunks = chunk;
	if (!head)
		return;
	chunk->chunk.prev = head->chunk.prev;
	if (first) {
		chunk->chunk.next = head;
	} else {
		head->chunk.prev->chunk.next = chunk;
		heap->chunks = head;
	}
	head->chunk.prev = chunk;
}

static void chunk_del(struct em_heap *heap, struct em_slab *chunk)
{
	if (chunk->chunk.next)
		chunk->chunk.next->chunk.prev = chunk->chunk.prev;
	else
		/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): it has @chunk at least */
		heap->chunks->chunk.prev = chunk->chunk.prev;
	if (heap->chunks == chunk)
		heap->chunks = chunk->chunk.next;
	else
		chunk->chunk.prev->chunk.next = chunk->chunk.next;
}

/* Make the table of slabs writable where @slab is, and so where all of its chunk is. */
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

	/* A large block may be there next. */
	for (i = 0; i < EM_CHUNK_SLABS; i++)
		em_write_once(&chunk[i].base, NULL);
	chunk_del(heap, chunk);
	chunk->chunk.pool = 0;
	heap->nr_empty--;
	heap->nr_chunks--;
	em_crash_freed(base, EM_CHUNK_SIZE);
	expert->backend->free(expert, base, EM_CHUNK_SIZE);
}

/*
 * Enter a slab that no call can know any more. What is empty comes last in the list, so
 * that it can be given back; a few empty chunks are kept.
 */
static void pool_put(struct em_expert *expert, struct em_slab *slab)
{
	struct em_heap *heap = &expert->heap;
	struct em_slab *chunk = chunk_of(slab);

	if (!chunk->chunk.pool)
		chunk_add(heap, chunk, true);
	chunk->chunk.pool |= 1U << (slab - chunk);
	slab->where = EM_POOL;
	if (!is_empty(chunk) || !is_huge(expert, chunk))
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
}

static struct em_slab *pool_get(struct em_expert *expert)
{
	struct em_slab *chunk = expert->heap.chunks, *slab;

	if (!chunk)
		return NULL;
	if (is_empty(chunk) && is_huge(expert, chunk))
		expert->heap.nr_empty--;
	slab = chunk + __builtin_ctz(chunk->chunk.pool);
	unpool(&expert->heap, slab);
	return slab;
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
	pool_put(expert, slab);
	return true;
}

static bool grow_huge(struct em_expert *expert)
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
	chunk->chunk.pool = UINT32_MAX;
	chunk_add(heap, chunk, true);
	heap->nr_chunks++;
	heap->nr_empty++;
	if (!heap->huge_end || first < heap->huge_first)
		heap->huge_first = first;
	if (first + EM_CHUNK_SLABS > heap->huge_end)
		heap->huge_end = first + EM_CHUNK_SLABS;
	return true;
}

/* More slabs: huge pages as soon as they pay, but rather small ones than none. */
static bool grow(struct em_expert *expert)
{
	/* with AddressSanitizer they are never given back, see shrink_small() */
	size_t most = expert->debug & EM_DEBUG_ASAN ? SMALL_SEGMENT / 4 : SMALL_SEGMENT;

	if (expert->heap.small.used >= most &&
	    !(expert->flags & EXPERTMEM_NO_HUGE) && grow_huge(expert))
		return true;
	return grow_small(expert);
}

/* ------------------------------------------------------------------ slabs of a class */

/* States and queue of a slab that has none now are kept for the next of its class. */
struct em_free_states {
	struct em_free_states *next;
	uint16_t *queue;
};

/*
 * Whether a store is to what is read next, processors guess by the last 12 bits of the
 * addresses. States and queue are written in turns, often from their start on: so the
 * queue of the first slab is so much farther into its page than its states are.
 */
#define QUEUE_OFFSET	64

/* One more than blocks. */
static size_t states_size(const struct em_slab *slab)
{
	return em_round_up((slab->blocks + 1) * sizeof(uint16_t), 64);
}

/* The same, so that slabs of one class do not change how far it is apart from states. */
static size_t queue_size(const struct em_slab *slab)
{
	return em_round_up((slab->mask + 2) * sizeof(uint16_t), 64);
}

/* Give @slab states and a queue, all 0; false: no memory. */
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
		/* A call that looks at a slab in the moment when it gets them may look behind. */
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
	/* Pairs with em_slab_read_state(): what was written of the slab and of its states is seen before. */
	em_store_release(&slab->states, states);
	return true;
}

static void states_put(struct em_heap *heap, const struct em_slab *slab)
{
	struct em_free_states *free = (struct em_free_states *)slab->states;

	free->next = heap->free_states[slab->class];
	free->queue = slab->queue;
	heap->free_states[slab->class] = free;
}

/* The slabs in limbo were shared: calls under way may still take them for what they were. */
bool em_pool_recycle(struct em_expert *expert)
{
	struct em_heap *heap = &expert->heap;
	struct em_slab *slab;

	if (!heap->limbo || em_self->busy == EM_PARKED || !em_wait_all())
		return false;
	while ((slab = heap->limbo)) {
		heap->limbo = slab->next;
		states_put(heap, slab);
		pool_put(expert, slab);
	}
	heap->nr_limbo = 0;
	return true;
}

/* Take its class from a slab whose blocks are all free. */
void em_slab_put(struct em_expert *expert, struct em_slab *slab)
{
	struct em_heap *heap = &expert->heap;
	bool shared = slab->owner & EM_SHARED;

	em_write_once(&slab->owner, 0);
	em_write_once(&slab->inverse, 0);
	slab->clean = false;
	heap->nr_slabs--;
	em_fetch_add_relaxed(&heap->nr_put, 1);
	if (!shared) {
		states_put(heap, slab);
		pool_put(expert, slab);
		return;
	}
	slab->where = EM_POOL;
	slab->next = heap->limbo;
	heap->limbo = slab;
	if (++heap->nr_limbo >= LIMBO_MAX)
		em_pool_recycle(expert);
}

/* A slab of @class, without an owner, or NULL. */
struct em_slab *em_slab_get(struct em_expert *expert, unsigned int class)
{
	struct em_heap *heap = &expert->heap;
	struct em_slab *slab;

	if (!heap->chunks && !grow(expert))
		return NULL;
	slab = pool_get(expert);
	slab->class = class;
	slab->block = em_class_size[class];
	slab->blocks = EM_SLAB_SIZE / slab->block;
	slab->fresh = 0;
	slab->quarantine = slab->block <= EM_FAST_MAX ? slab->blocks / 16 : EM_NO_QUARANTINE;
	slab->mask = 1;
	while (slab->mask + 1 < slab->blocks)
		slab->mask = slab->mask * 2 + 1;
	slab->head = 0;
	slab->tail = 0;
	if (!states_get(expert, slab)) {
		pool_put(expert, slab);
		return NULL;
	}
	heap->nr_slabs++;
	em_write_once(&slab->inverse, UINT32_MAX / slab->block + 1);
	em_debug_slab(expert, slab->base);
	return slab;
}

/* ------------------------------------------------------------ with the expert stopped */

/* Give the small slabs at the end that are in the pool back, but the first. */
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
	/* What is poisoned is to be known at close. */
	if (used == small->used || expert->debug & EM_DEBUG_ASAN)
		return;
	if (!expert->backend->resize(expert, small->base, small->size, used))
		return;
	while (small->used > used) {
		small->used -= EM_SLAB_SIZE;
		slab = em_slab_at(expert, small->base + small->used, &offset);
		unpool(&expert->heap, slab);
		slab->clean = true;
	}
	small->size = used;
}

/**
 * em_pool_trim() - give the pool back
 * @expert: the expert, stopped and tidied
 *
 * Empty chunks go as a whole; of others, the pages of slabs that are in the pool.
 */
void em_pool_trim(struct em_expert *expert)
{
	struct em_heap *heap = &expert->heap;
	struct em_slab *chunk, *next;
	unsigned int i;

	shrink_small(expert);
	for (chunk = heap->chunks; chunk; chunk = next) {
		next = chunk->chunk.next;
		if (is_empty(chunk) && is_huge(expert, chunk)) {
			chunk_free(expert, chunk);
			continue;
		}
		for (i = 0; i < EM_CHUNK_SLABS; i++) {
			if (!is_pooled(&chunk[i]) || chunk[i].clean ||
			    expert->flags & EXPERTMEM_POPULATE)
				continue;
			/* Where a pipe or a device holds a page, the next trim tries again. */
			chunk[i].clean = expert->backend->discard(chunk[i].base, EM_SLAB_SIZE);
		}
	}
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
