// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Small blocks: chunks of slabs, and what each thread has of them. See heap.h.
 *
 * em_local_*() and em_slab_free() are called in a section or with the expert's lock
 * held, and only for a local of the calling thread (with the lock held also for local 0);
 * the rest with the lock held.
 */
#include <string.h>

#include "internal.h"

#define STATES_MIN	64UL

/* small chunks that are filled before huge ones are taken */
#define SMALL_SEGMENT	(4UL << 20)

/* so many slabs that are to be reused wait for one em_quiesce() */
#define LIMBO_MAX	32

/* as often slabs of a class are made shared; then they are so from the start */
#define REVOKED_MAX	4

/* From a page on, classes are whole pages: such blocks are page aligned. */
static const uint16_t class_size[EM_CLASSES] = {
	16, 32, 48, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 640, 768,
	896, 1024, 1280, 1536, 1792, 2048, 2560, 3072, 3584, 4096, 8192, 12288, 16384, 20480,
	32768,
};

#define C4(n)	n, n, n, n
#define C8(n)	C4(n), C4(n)
#define C16(n)	C8(n), C8(n)
#define C32(n)	C16(n), C16(n)

/* by size in units of 16 bytes, rounded up */
const uint8_t em_class[EM_FAST_MAX / 16 + 1] = {
	0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 8, 9, 9, 10, 10, 11, 11,
	C4(12), C4(13), C4(14), C4(15), C8(16), C8(17), C8(18), C8(19),
	C16(20), C16(21), C16(22), C16(23), C32(24), C32(25), C32(26), C32(27),
};

/* of @size up to EM_SMALL_MAX */
static unsigned int class_of(size_t size)
{
	if (size <= EM_FAST_MAX)
		return em_class[(size + 15) / 16];
	if (size <= 20480)
		return 26 + (size + EM_PAGE - 1) / EM_PAGE;
	return EM_CLASSES - 1;
}

/* The first class whose blocks are aligned, up to a page: slabs start at pages. */
unsigned int em_class_of(size_t size, size_t alignment)
{
	unsigned int class = class_of(size);

	while (class_size[class] & (alignment - 1))
		class++;
	return class;
}

/* Blocks that always wait in the queue. */
static unsigned int reserve(const struct em_slab *slab)
{
	return slab->block <= EM_FAST_MAX ? slab->blocks / 16 : 0;
}

/* @avail of a slab whose blocks are all free */
static int all_free(const struct em_slab *slab)
{
	return (int)slab->fresh - (int)reserve(slab);
}

static struct em_local *owner_of(uintptr_t owner)
{
	return (struct em_local *)(owner & ~EM_OWNER_FLAGS);
}

static struct em_slab *chunk_of(struct em_slab *slab)
{
	return (struct em_slab *)((uintptr_t)slab & ~(EM_PAGE - 1));
}

_Static_assert(sizeof(struct em_slab) * EM_CHUNK_SLABS == EM_PAGE,
	       "the slabs of a chunk are a page");

/* Lists: @prev of the first is the last, @next of the last is NULL. */
static void list_add(struct em_slab **list, struct em_slab *slab)
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

static void list_del(struct em_slab **list, struct em_slab *slab)
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

/* ------------------------------------------------------------- the queue of a slab */

static void push(struct em_slab *slab, unsigned int i)
{
	em_set_state(slab->states, i, EM_STATE_FREE + EM_NO_BLOCK);
	if (slab->head == EM_NO_BLOCK)
		slab->head = i;
	else
		em_set_state(slab->states, slab->tail, EM_STATE_FREE + i);
	slab->tail = i;
	slab->avail++;
}

static void *pop(struct em_slab *slab, size_t size)
{
	unsigned int i = slab->head;

	slab->avail--;
	slab->head = em_get_state(slab->states, i) - EM_STATE_FREE;
	em_set_state(slab->states, i, size + 1);
	return slab->base + (size_t)i * slab->block;
}

/* Enter fresh blocks: about a page of them at a time, so that the rest costs no memory. */
static void extend(struct em_slab *slab)
{
	unsigned int more = EM_PAGE > slab->block ? EM_PAGE / slab->block : 1;

	if (!slab->fresh)
		more += reserve(slab);
	while (more-- && slab->fresh < slab->blocks)
		push(slab, slab->fresh++);
}

/* Enter what other threads have freed. */
static void collect(struct em_slab *slab)
{
	unsigned int i = __atomic_exchange_n(&slab->remote, EM_NO_BLOCK, __ATOMIC_ACQUIRE);

	while (i != EM_NO_BLOCK) {
		unsigned int next = em_get_state(slab->states, i) - EM_STATE_REMOTE;

		push(slab, i);
		i = next;
	}
}

/* ------------------------------------------------------------------------- locals */

/*
 * More blocks of a slab are free: it may belong elsewhere. A partial one that is all
 * free is spare, unless it is the only one, for the next block is probably like it.
 */
void em_local_place(struct em_local *local, struct em_slab *slab)
{
	if (slab->where == EM_FULL && slab->avail >= slab->wake) {
		slab->where = EM_PARTIAL;
		slab->wake = all_free(slab);
		list_add(&local->partial[slab->class], slab);
	}
	if (slab->where == EM_PARTIAL && slab->avail == all_free(slab) &&
	    local->partial[slab->class]->next) {
		list_del(&local->partial[slab->class], slab);
		slab->where = EM_SPARE;
		slab->next = local->spare;
		local->spare = slab;
	}
}

static void collect_all(struct em_local *local)
{
	struct em_slab *slab, *next;

	slab = __atomic_exchange_n(&local->pending, NULL, __ATOMIC_ACQUIRE);
	for (; slab; slab = next) {
		next = slab->pending;
		collect(slab);
		em_local_place(local, slab);
	}
}

static void set_current(struct em_local *local, unsigned int class, struct em_slab *slab)
{
	slab->where = EM_CURRENT;
	slab->wake = INT32_MAX;
	local->current[class] = slab;
}

static void retire(struct em_local *local, struct em_slab *slab)
{
	if (slab == &local->none)
		return;
	local->current[slab->class] = &local->none;
	slab->where = EM_FULL;
	slab->wake = slab->blocks / 16 ? slab->blocks / 16 : 1;
	em_local_place(local, slab);
}

/* A current slab that has a free block, without asking for more slabs, or NULL. */
static struct em_slab *refill(struct em_local *local, unsigned int class)
{
	struct em_slab *slab = local->current[class];

	for (;;) {
		if (slab->avail > 0)
			return slab;
		if (slab->fresh < slab->blocks) {
			extend(slab);
			continue;
		}
		if (__atomic_load_n(&local->pending, __ATOMIC_RELAXED)) {
			collect_all(local);
			continue;
		}
		retire(local, slab);
		slab = local->partial[class];
		if (!slab)
			return NULL;
		list_del(&local->partial[class], slab);
		set_current(local, class, slab);
	}
}

/* Count what was allocated or, below 0, freed. Hosts read it from other processes. */
void em_count(struct em_expert *expert, struct em_local *local, int blocks, int64_t bytes)
{
	em_add(&local->count->blocks, blocks);
	if (em_add(&local->count->bytes, bytes) > local->mark)
		em_note_peak(expert, local);
}

/**
 * em_note_peak() - more bytes are live than this thread has seen
 * @expert: the expert
 * @local: of the calling thread
 *
 * The peak of one thread is exact. With more of them each may be 4 KiB above its mark
 * before the sum is looked at.
 */
void em_note_peak(struct em_expert *expert, struct em_local *local)
{
	struct em_control *control = expert->control;
	unsigned int n = __atomic_load_n(&control->nr_counts, __ATOMIC_RELAXED), used = 0, i;
	uint64_t peak = __atomic_load_n(&control->peak_bytes, __ATOMIC_RELAXED);
	int64_t live = 0, slack = 0;

	for (i = 0; i < n; i++) {
		int64_t bytes = __atomic_load_n(&control->counts[i].bytes, __ATOMIC_RELAXED);

		live += bytes;
		used += bytes != 0;
	}
	if (used > 1)
		slack = 4096;
	if (live > (int64_t)peak)
		__atomic_store_n(&control->peak_bytes, live, __ATOMIC_RELAXED);
	else if (used)
		slack += ((int64_t)peak - live) / used;
	local->mark = local->count->bytes + slack;
}

/* A block of this class, or NULL: that needs another slab. */
void *em_local_alloc(struct em_expert *expert, struct em_local *local, size_t size,
		     unsigned int class)
{
	struct em_slab *slab = refill(local, class);

	if (!slab)
		return NULL;
	em_count(expert, local, 1, size);
	return pop(slab, size);
}

/* A block of another thread's slab goes into the queue when that thread needs it. */
static void push_remote(struct em_slab *slab, struct em_local *owner, unsigned int i)
{
	uint32_t head = __atomic_load_n(&slab->remote, __ATOMIC_RELAXED);

	do
		em_set_state(slab->states, i, EM_STATE_REMOTE + head);
	while (!__atomic_compare_exchange_n(&slab->remote, &head, i, true,
					    __ATOMIC_RELEASE, __ATOMIC_RELAXED));
	if (head != EM_NO_BLOCK)
		return;
	slab->pending = __atomic_load_n(&owner->pending, __ATOMIC_RELAXED);
	while (!__atomic_compare_exchange_n(&owner->pending, &slab->pending, slab, true,
					    __ATOMIC_RELEASE, __ATOMIC_RELAXED))
		;
}

/* The owner's flags, and the state of the block at @offset; 0 if none starts there. */
static uint16_t look(const struct em_slab *slab, uint32_t offset, uintptr_t *owner,
		     unsigned int *i)
{
	/* Before all else: what the slab is does not change while a shared one is seen. */
	*owner = __atomic_load_n(&slab->owner, __ATOMIC_ACQUIRE);
	*i = em_block_at(slab, offset);
	return *i < slab->blocks ? em_get_state(slab->states, *i) : 0;
}

/**
 * em_slab_free() - free a small block
 * @expert: the expert
 * @local: of the calling thread
 * @slab: from em_slab_at()
 * @offset: the same
 *
 * Return: EM_FREED, EM_BAD, or EM_FOREIGN: em_slab_share() it, and try again.
 */
enum em_freed em_slab_free(struct em_expert *expert, struct em_local *local,
			   struct em_slab *slab, uint32_t offset)
{
	uintptr_t owner;
	unsigned int i;
	uint16_t state = look(slab, offset, &owner, &i);

	if (!em_is_live(state))
		return EM_BAD;
	if (owner & EM_SHARED) {
		/* The one who claims it frees it. It may be resized meanwhile. */
		while (!__atomic_compare_exchange_n(&slab->states[i], &state, EM_STATE_CLAIMED,
						    false, __ATOMIC_ACQ_REL,
						    __ATOMIC_RELAXED))
			if (!em_is_live(state))
				return EM_BAD;
	} else if (owner_of(owner) != local || owner & EM_SHARING) {
		return EM_FOREIGN;
	}
	em_count(expert, local, -1, -(int64_t)(state - 1));
	if (owner_of(owner) == local) {
		push(slab, i);
		em_local_place(local, slab);
	} else {
		push_remote(slab, owner_of(owner), i);
	}
	return EM_FREED;
}

/* Resize a block where it is. EM_BAD also where it belongs in another class (but @stay). */
enum em_freed em_slab_resize(struct em_expert *expert, struct em_local *local,
			     struct em_slab *slab, uint32_t offset, size_t size, bool stay)
{
	uintptr_t owner;
	unsigned int i;
	uint16_t state = look(slab, offset, &owner, &i);

	if (!em_is_live(state) ||
	    (stay ? size > slab->block : size > EM_SMALL_MAX || class_of(size) != slab->class))
		return EM_BAD;
	if (!(owner & EM_SHARED)) {
		if (owner_of(owner) != local || owner & EM_SHARING)
			return EM_FOREIGN;
		em_set_state(slab->states, i, size + 1);
	} else {
		while (!__atomic_compare_exchange_n(&slab->states[i], &state, size + 1, false,
						    __ATOMIC_RELAXED, __ATOMIC_RELAXED))
			if (!em_is_live(state))
				return EM_BAD;
	}
	em_count(expert, local, 0, (int64_t)size - (state - 1));
	return EM_FREED;
}

/* May the calling thread, whose this local is, free there without the lock? */
bool em_slab_is_mine(const struct em_slab *slab, const struct em_local *local)
{
	uintptr_t owner = __atomic_load_n(&slab->owner, __ATOMIC_RELAXED);

	return owner & EM_SHARED || (owner_of(owner) == local && !(owner & EM_SHARING));
}

/* Is a live block there, and how large? In a section or with the lock held. */
bool em_slab_size(const struct em_slab *slab, uint32_t offset, size_t *size)
{
	uintptr_t owner;
	unsigned int i;
	uint16_t state = look(slab, offset, &owner, &i);

	*size = state - 1U;
	return em_is_live(state);
}

/* -------------------------------------------------------------------------- pool */

static unsigned int states_order(unsigned int blocks)
{
	unsigned int order = 0;

	while (STATES_MIN << order < blocks * sizeof(uint16_t))
		order++;
	return order;
}

/* States of @blocks blocks, all 0. */
static uint16_t *states_get(struct em_expert *expert, unsigned int blocks)
{
	struct em_heap *heap = &expert->heap;
	unsigned int order = states_order(blocks);
	size_t size = STATES_MIN << order;
	uint16_t *states = heap->free_states[order];

	if (states) {
		memcpy(&heap->free_states[order], states, sizeof(states));
		return memset(states, 0, size);
	}
	if (!em_array_grow(expert, &heap->states, size))
		return NULL;
	states = (uint16_t *)(heap->states.base + heap->states.used);
	heap->states.used += size;
	return states;
}

static void states_put(struct em_heap *heap, uint16_t *states, unsigned int blocks)
{
	unsigned int order = states_order(blocks);

	memcpy(states, &heap->free_states[order], sizeof(states));
	heap->free_states[order] = states;
}

static bool is_huge(const struct em_expert *expert, const struct em_slab *chunk)
{
	return (size_t)(chunk->base - expert->huge) < expert->huge_size;
}

/* The list of chunks: the first one's @prev is the last. */
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
		heap->chunks->chunk.prev = chunk->chunk.prev;
	if (heap->chunks == chunk)
		heap->chunks = chunk->chunk.next;
	else
		chunk->chunk.prev->chunk.next = chunk->chunk.next;
}

static bool is_empty(const struct em_slab *chunk)
{
	return !~chunk->chunk.pool;
}

/* Give back a huge chunk, all of whose slabs are in the pool. */
static void chunk_free(struct em_expert *expert, struct em_slab *chunk)
{
	struct em_heap *heap = &expert->heap;
	char *base = chunk->base;

	em_debug_region(expert, base, EM_HUGE, true);
	__atomic_store_n(&expert->map[(base - expert->huge) / EM_HUGE], NULL,
			 __ATOMIC_RELAXED);
	chunk_del(heap, chunk);
	heap->nr_empty--;
	heap->nr_chunks--;
	/* The page stays: calls may still look there. */
	chunk->next = heap->free_pages;
	heap->free_pages = chunk;
	expert->backend->free(expert, base, EM_HUGE);
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

static struct em_slab *pool_get(struct em_expert *expert)
{
	struct em_heap *heap = &expert->heap;
	struct em_slab *chunk = heap->chunks, *slab;

	if (!chunk)
		return NULL;
	if (is_empty(chunk) && is_huge(expert, chunk))
		heap->nr_empty--;
	slab = chunk + __builtin_ctz(chunk->chunk.pool);
	chunk->chunk.pool &= chunk->chunk.pool - 1;
	if (!chunk->chunk.pool)
		chunk_del(heap, chunk);
	return slab;
}

static void chunk_init(struct em_slab *slab, char *base, unsigned int n)
{
	for (; n--; slab++, base += EM_SLAB_SIZE) {
		slab->base = base;
		slab->remote = EM_NO_BLOCK;
		slab->clean = true;
	}
}

static bool grow_small(struct em_expert *expert)
{
	struct em_heap *heap = &expert->heap;
	struct em_array *slabs = &heap->small_slabs;
	size_t n = expert->small_size / EM_SLAB_SIZE;
	struct em_slab *slab;

	if (n % EM_CHUNK_SLABS == 0) {
		slabs->used = n / EM_CHUNK_SLABS * EM_PAGE;
		if (!em_array_grow(expert, slabs, EM_PAGE))
			return false;
		expert->small_slabs = (struct em_slab *)slabs->base;
	}
	slab = &expert->small_slabs[n];
	if (!em_array_grow(expert, &heap->small, EM_SLAB_SIZE))
		return false;
	heap->small.used += EM_SLAB_SIZE;
	expert->small = heap->small.base;
	slabs->used = (n / EM_CHUNK_SLABS + 1) * EM_PAGE;
	chunk_init(slab, expert->small + n * EM_SLAB_SIZE, 1);
	pool_put(expert, slab);
	__atomic_store_n(&expert->small_size, (n + 1) * EM_SLAB_SIZE, __ATOMIC_RELEASE);
	return true;
}

static bool grow_huge(struct em_expert *expert)
{
	struct em_heap *heap = &expert->heap;
	struct em_array *pages = &heap->huge_slabs;
	struct em_slab *chunk = heap->free_pages;
	char *base;

	if (!chunk) {
		if (!em_array_grow(expert, pages, EM_PAGE))
			return false;
		chunk = (struct em_slab *)(pages->base + pages->used);
	}
	base = expert->backend->alloc(expert, EM_HUGE_WINDOW, EM_HUGE, EM_HUGE);
	if (!base)
		return false;
	if (heap->free_pages)
		heap->free_pages = chunk->next;
	else
		pages->used += EM_PAGE;
	chunk_init(chunk, base, EM_CHUNK_SLABS);
	chunk->chunk.pool = UINT32_MAX;
	chunk_add(heap, chunk, true);
	heap->nr_chunks++;
	heap->nr_empty++;
	__atomic_store_n(&expert->map[(base - expert->huge) / EM_HUGE], chunk,
			 __ATOMIC_RELEASE);
	return true;
}

/* More slabs: huge pages as soon as they pay, but rather small ones than none. */
static bool grow(struct em_expert *expert)
{
	if (expert->small_size >= SMALL_SEGMENT && !(expert->flags & EXPERTMEM_NO_HUGE) &&
	    grow_huge(expert))
		return true;
	return grow_small(expert);
}

/* The slabs in limbo were shared: calls under way may still take them for what they were. */
static bool empty_limbo(struct em_expert *expert)
{
	struct em_heap *heap = &expert->heap;
	struct em_slab *slab;

	if (!heap->limbo || em_self->busy != EM_IDLE || !em_quiesce())
		return false;
	while ((slab = heap->limbo)) {
		heap->limbo = slab->next;
		states_put(heap, slab->states, EM_SLAB_SIZE / slab->block);
		pool_put(expert, slab);
	}
	heap->nr_limbo = 0;
	return true;
}

/* Take its class from a slab whose blocks are all free. */
static void slab_put(struct em_expert *expert, struct em_slab *slab)
{
	struct em_heap *heap = &expert->heap;
	bool shared = slab->owner & EM_SHARED;

	__atomic_store_n(&slab->owner, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&slab->blocks, 0, __ATOMIC_RELAXED);
	slab->clean = false;
	heap->nr_slabs--;
	heap->nr_put++;
	if (!shared) {
		states_put(heap, slab->states, EM_SLAB_SIZE / slab->block);
		pool_put(expert, slab);
		return;
	}
	slab->where = EM_POOL;
	slab->next = heap->limbo;
	heap->limbo = slab;
	if (++heap->nr_limbo >= LIMBO_MAX)
		empty_limbo(expert);
}

/* The multiplier that divides by an odd number, where nothing remains. */
static uint32_t inverse_of(uint32_t odd)
{
	uint32_t x = odd;	/* right in 3 bits; each step doubles them */

	while (odd * x != 1)
		x *= 2 - odd * x;
	return x;
}

/* A slab of @class from the pool, current in @local, or NULL. */
static struct em_slab *slab_get(struct em_expert *expert, struct em_local *local,
				unsigned int class)
{
	struct em_heap *heap = &expert->heap;
	unsigned int blocks = EM_SLAB_SIZE / class_size[class];
	uint16_t *states = states_get(expert, blocks);
	struct em_slab *slab;
	uintptr_t owner = (uintptr_t)local;

	if (!states)
		return NULL;
	slab = pool_get(expert);
	if (!slab && empty_limbo(expert))
		slab = pool_get(expert);
	if (!slab && heap->nr_locals > 2 && heap->nr_chunks >= heap->tidy_at) {
		heap->tidy_at = heap->nr_chunks * 3 / 2 + 8;
		em_stop(expert);
		em_slabs_tidy(expert, local);
		em_resume(expert);
		slab = pool_get(expert);
	}
	if (!slab && grow(expert))
		slab = pool_get(expert);
	if (!slab) {
		states_put(heap, states, blocks);
		return NULL;
	}
	heap->nr_slabs++;
	slab->block = class_size[class];
	slab->class = class;
	slab->head = EM_NO_BLOCK;
	slab->fresh = 0;
	__atomic_store_n(&slab->states, states, __ATOMIC_RELAXED);
	__atomic_store_n(&slab->shift, __builtin_ctz(slab->block), __ATOMIC_RELAXED);
	__atomic_store_n(&slab->inverse, inverse_of(slab->block >> slab->shift),
			 __ATOMIC_RELAXED);
	__atomic_store_n(&slab->blocks, blocks, __ATOMIC_RELAXED);
	slab->avail = -(int32_t)reserve(slab);
	set_current(local, class, slab);
	em_debug_region(expert, slab->base, EM_SLAB_SIZE, false);
	if (!local->thread || local->revoked[class] >= REVOKED_MAX)
		owner |= EM_SHARED;
	if (slab->block > EM_FAST_MAX)
		owner |= EM_BIG;
	__atomic_store_n(&slab->owner, owner, __ATOMIC_RELEASE);
	return slab;
}

/* ------------------------------------------------------- with the expert's lock held */

/* Give the spare slabs of a local back. */
void em_local_release(struct em_expert *expert, struct em_local *local)
{
	struct em_slab *slab;

	while ((slab = local->spare)) {
		local->spare = slab->next;
		slab_put(expert, slab);
	}
}

/* The local of the calling thread, made where there is none yet; local 0 without one. */
struct em_local *em_local_get(struct em_expert *expert)
{
	struct em_heap *heap = &expert->heap;
	struct em_thread *self = em_self;
	bool own = self->busy == EM_IDLE && !(expert->debug & EM_DEBUG_BLOCKS);
	uint16_t number = own ? heap->local_of[self->index] : 0;
	struct em_local *locals = (struct em_local *)heap->locals.base, *local;
	unsigned int class;

	if (number || (!own && heap->nr_locals))
		return &locals[number];
	if (heap->nr_locals == EM_THREADS ||
	    (!heap->nr_locals && !em_heap_prepare(expert)) ||
	    !em_array_grow(expert, &heap->locals,
			   sizeof(*local) * (own && !heap->nr_locals ? 2 : 1)))
		return heap->nr_locals ? locals : NULL;
	locals = (struct em_local *)heap->locals.base;
	do {
		number = heap->nr_locals++;
		local = &locals[number];
		heap->locals.used += sizeof(*local);
		for (class = 0; class < EM_CLASSES; class++)
			local->current[class] = &local->none;
		local->count = &expert->control->counts[number];
		local->thread = number ? self->index : 0;
		__atomic_store_n(&expert->control->nr_counts, number + 1, __ATOMIC_RELAXED);
	} while (own && !number);
	if (number)
		__atomic_store_n(&heap->local_of[self->index], number, __ATOMIC_RELEASE);
	return local;
}

/* The local of a thread in a section, or NULL. */
struct em_local *em_local_of(const struct em_expert *expert, const struct em_thread *thread)
{
	uint16_t number = __atomic_load_n(&expert->heap.local_of[thread->index],
					  __ATOMIC_ACQUIRE);

	return number ? (struct em_local *)expert->heap.locals.base + number : NULL;
}

/*
 * Let every thread free blocks of this slab: its owner no longer may without atomic
 * operations. The lock may be given up in between.
 */
void em_slab_share(struct em_expert *expert, struct em_slab *slab)
{
	for (;;) {
		uintptr_t owner = slab->owner;
		struct em_local *local = owner_of(owner);

		if (!owner || owner & EM_SHARED)
			return;
		__atomic_store_n(&slab->owner, owner | EM_SHARING, __ATOMIC_RELAXED);
		if (em_wait_for(&em_threads[local->thread])) {
			if (local->revoked[slab->class] < REVOKED_MAX)
				local->revoked[slab->class]++;
			__atomic_store_n(&slab->owner, (owner & ~EM_SHARING) | EM_SHARED,
					 __ATOMIC_RELEASE);
			return;
		}
		em_relock(expert);
	}
}

/* A block, from a new slab if need be, or NULL. */
void *em_slab_alloc(struct em_expert *expert, struct em_local *local, size_t size,
		    unsigned int class)
{
	void *p = em_local_alloc(expert, local, size, class);

	if (p || !slab_get(expert, local, class))
		return p;
	return em_local_alloc(expert, local, size, class);
}

/* ------------------------------------------------------------ with the expert stopped */

/* Give back the slabs of a local that are all free; to @heir, all that are of use. */
static void tidy(struct em_expert *expert, struct em_local *local, struct em_local *heir)
{
	struct em_slab *slab, *next;
	unsigned int class;

	collect_all(local);
	for (class = 0; class < EM_CLASSES; class++) {
		slab = local->current[class];
		if (slab != &local->none && (heir || slab->avail == all_free(slab))) {
			local->current[class] = &local->none;
			slab->where = EM_PARTIAL;
			slab->wake = all_free(slab);
			list_add(&local->partial[class], slab);
		}
		for (slab = local->partial[class]; slab; slab = next) {
			next = slab->next;
			if (slab->avail == all_free(slab)) {
				list_del(&local->partial[class], slab);
				slab_put(expert, slab);
			} else if (heir) {
				list_del(&local->partial[class], slab);
				slab->owner = (uintptr_t)heir | (slab->owner & EM_OWNER_FLAGS);
				list_add(&heir->partial[class], slab);
			}
		}
	}
	em_local_release(expert, local);
}

/**
 * em_slabs_tidy() - pool what threads have and do not need
 * @expert: the expert, stopped
 * @heir: of the calling thread: gets what threads that have ended left; may be NULL
 */
void em_slabs_tidy(struct em_expert *expert, struct em_local *heir)
{
	struct em_heap *heap = &expert->heap;
	struct em_local *locals = (struct em_local *)heap->locals.base;
	unsigned int i;

	for (i = 0; i < heap->nr_locals; i++) {
		bool inherit = heir && heir->thread && i && &locals[i] != heir &&
			       em_is_dead(&em_threads[locals[i].thread]);

		tidy(expert, &locals[i], inherit ? heir : NULL);
	}
	empty_limbo(expert);
}

/* Give the small slabs at the end that are in the pool back, but the first. */
static void shrink_small(struct em_expert *expert)
{
	size_t old = expert->small_size / EM_SLAB_SIZE, n = old;

	while (n > 1) {
		struct em_slab *slab = &expert->small_slabs[n - 1], *chunk = chunk_of(slab);

		if (!(chunk->chunk.pool & 1U << (slab - chunk)))
			break;
		n--;
	}
	em_debug_region(expert, expert->small + n * EM_SLAB_SIZE, (old - n) * EM_SLAB_SIZE, true);
	if (n == old || !expert->backend->resize(expert, expert->small, old * EM_SLAB_SIZE,
						 n * EM_SLAB_SIZE))
		return;
	expert->heap.small.used = n * EM_SLAB_SIZE;
	expert->heap.small.size = n * EM_SLAB_SIZE;
	__atomic_store_n(&expert->small_size, n * EM_SLAB_SIZE, __ATOMIC_RELAXED);
	while (old-- > n) {
		struct em_slab *slab = &expert->small_slabs[old], *chunk = chunk_of(slab);

		chunk->chunk.pool &= ~(1U << (slab - chunk));
		if (!chunk->chunk.pool)
			chunk_del(&expert->heap, chunk);
	}
}

/**
 * em_slabs_trim() - give the pool back
 * @expert: the expert, stopped and tidied
 *
 * Empty chunks go as a whole; of others, the pages of slabs that are in the pool.
 */
void em_slabs_trim(struct em_expert *expert)
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
			if (!(chunk->chunk.pool & 1U << i) || chunk[i].clean ||
			    expert->flags & EXPERTMEM_POPULATE)
				continue;
			expert->backend->discard(chunk[i].base, EM_SLAB_SIZE);
			chunk[i].clean = true;
		}
	}
	if (!heap->nr_slabs && !heap->limbo && em_array_clear(expert, &heap->states))
		memset(heap->free_states, 0, sizeof(heap->free_states));
}

static int walk(const struct em_slab *slab,
		int (*visit)(void *block, size_t size, void *arg), void *arg)
{
	unsigned int i, n = slab->blocks ? slab->fresh : 0;
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
	const struct em_slab *slabs = (const struct em_slab *)expert->heap.huge_slabs.base;
	size_t n = expert->heap.huge_slabs.used / sizeof(*slabs), i;
	int result = 0;

	for (i = 0; i < expert->small_size / EM_SLAB_SIZE && !result; i++)
		result = walk(&expert->small_slabs[i], visit, arg);
	for (i = 0; i < n && !result; i++)
		result = walk(&slabs[i], visit, arg);
	return result;
}
