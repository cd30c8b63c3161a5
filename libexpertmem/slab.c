// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Small blocks: slabs, and what each thread has of them. See types.h.
 *
 * em_local_*() and em_slab_*() are called in a section, or with the expert's lock held,
 * and only for a tcache of the calling thread; tcache 0 is for who holds the lock.
 */
#include <string.h>

#include "internal.h"

/* So often slabs of a class become shared; then they are so from the start. */
#define REVOKED_MAX	4

/* From so many tcaches on, a thread gets one after so many calls that take the lock. */
#define TCACHES_MANY	16
#define CALLS_FEW	64

/* From a page on, classes are whole pages: such blocks are page aligned. */
const uint16_t em_class_size[EM_CLASSES] = {
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

/* the current slab of a class that has none; never written */
struct em_slab em_no_slab = { .where = EM_CURRENT };

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

	/* NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult): the last is a page's */
	while (em_class_size[class] & (alignment - 1))
		class++;
	return class;
}

/* How many free blocks are to wait. */
static unsigned int reserve_of(const struct em_slab *slab)
{
	return slab->quarantine == EM_NO_QUARANTINE ? 0 : slab->quarantine;
}

/* How many may be used. */
static int avail(const struct em_slab *slab)
{
	return (int)(slab->tail - slab->head - reserve_of(slab));
}

/* Does no block live? */
static bool is_all_free(const struct em_slab *slab)
{
	return slab->tail - slab->head == slab->fresh;
}

/* Have a look when so many blocks are free. */
static void wake_at(struct em_slab *slab, unsigned int blocks)
{
	slab->wake = slab->head + blocks;
}

static struct em_tcache *owner_of(uintptr_t owner)
{
	return (struct em_tcache *)(owner & ~EM_OWNER_FLAGS);
}

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

/* Enter fresh blocks: about a page of them at a time, so that the rest costs no memory. */
static void extend(struct em_slab *slab)
{
	unsigned int more = EM_PAGE > slab->block ? EM_PAGE / slab->block : 1;

	if (!slab->fresh)
		more += reserve_of(slab);
	while (more-- && slab->fresh < slab->blocks) {
		uint32_t place = slab->tail & slab->mask;
		uint16_t entry = slab->fresh ^ place;

		/* Where nothing was freed yet, the queue needs no page. */
		if (slab->queue[place] != entry)
			slab->queue[place] = entry;
		slab->fresh++;
		__atomic_store_n(&slab->tail, slab->tail + 1, __ATOMIC_RELEASE);
	}
}

/* Enter what other threads have freed. */
static void collect(struct em_slab *slab)
{
	unsigned int i = __atomic_exchange_n(&slab->remote, EM_NO_BLOCK, __ATOMIC_ACQ_REL);

	while (i != EM_NO_BLOCK) {
		unsigned int next = em_get_state(slab->states, i) - EM_STATE_REMOTE;

		em_slab_push(slab, i);
		i = next;
	}
}

/* ------------------------------------------------------------------------- tcaches */

/*
 * More blocks of a slab are free: it may belong elsewhere. A partial one that is all
 * free is spare, unless it is the only one, for the next block is probably like it.
 */
void em_tcache_place(struct em_tcache *tcache, struct em_slab *slab)
{
	struct em_slab **partial = &tcache->bins[slab->class].partial;

	if (slab->where == EM_FULL && (int)(slab->tail - slab->wake) >= 0) {
		slab->where = EM_PARTIAL;
		wake_at(slab, slab->fresh);
		list_add(partial, slab);
	}
	if (slab->where == EM_PARTIAL && is_all_free(slab) && (*partial)->next) {
		list_del(partial, slab);
		slab->where = EM_SPARE;
		slab->next = tcache->spare;
		tcache->spare = slab;
	}
}

static void collect_pending(struct em_tcache *tcache)
{
	struct em_slab *slab, *next;

	slab = __atomic_exchange_n(&tcache->pending, NULL, __ATOMIC_ACQUIRE);
	for (; slab; slab = next) {
		next = slab->pending;
		collect(slab);
		em_tcache_place(tcache, slab);
	}
}

static void set_current(struct em_tcache *tcache, unsigned int class, struct em_slab *slab)
{
	slab->where = EM_CURRENT;
	slab->wake = slab->tail - 1;	/* as good as never, and harmless */
	tcache->bins[class].current = slab;
}

static void retire(struct em_tcache *tcache, struct em_slab *slab)
{
	if (slab == &em_no_slab)
		return;
	tcache->bins[slab->class].current = &em_no_slab;
	slab->where = EM_FULL;
	wake_at(slab, reserve_of(slab) + (slab->blocks / 16 ? slab->blocks / 16 : 1));
}

/* A current slab that has a free block, without asking for more slabs, or NULL. */
static struct em_slab *refill(struct em_tcache *tcache, unsigned int class)
{
	struct em_bin *bin = &tcache->bins[class];
	struct em_slab *slab = bin->current;

	for (;;) {
		if (avail(slab))
			return slab;
		if (slab->fresh < slab->blocks) {
			extend(slab);
			continue;
		}
		if (__atomic_load_n(&tcache->pending, __ATOMIC_RELAXED)) {
			collect_pending(tcache);
			continue;
		}
		retire(tcache, slab);
		slab = bin->partial;
		if (!slab)
			return NULL;
		list_del(&bin->partial, slab);
		set_current(tcache, class, slab);
	}
}

/* Count what was allocated or, below 0, freed. Hosts read it from other processes. */
void em_count(struct em_expert *expert, struct em_tcache *tcache, int blocks, int64_t bytes)
{
	em_add(&tcache->count->blocks, blocks);
	if (em_add(&tcache->count->credit, -bytes) < 0)
		em_note_peak(expert, tcache);
}

/* The bytes that all threads have. Never more than there were at some moment. */
int64_t em_live_bytes(const struct em_shared *shared, unsigned int *threads)
{
	unsigned int n = __atomic_load_n(&shared->nr_counts, __ATOMIC_RELAXED), i;
	int64_t bytes = 0;

	*threads = 0;
	for (i = 0; i < n && i < EM_THREADS; i++) {
		const struct em_count *count = &shared->counts[i];
		int64_t mark = __atomic_load_n(&count->peak_mark, __ATOMIC_ACQUIRE);
		int64_t left = __atomic_load_n(&count->credit, __ATOMIC_RELAXED);

		bytes += mark - left;
		*threads += mark != left;
	}
	return bytes;
}

/**
 * em_note_peak() - more bytes are live than this thread has seen
 * @expert: the expert
 * @tcache: of the calling thread
 *
 * The peak of one thread is exact. With more of them each may be 4 KiB above its mark
 * before the sum is looked at.
 */
void em_note_peak(struct em_expert *expert, struct em_tcache *tcache)
{
	struct em_shared *shared = expert->shared;
	uint64_t peak = __atomic_load_n(&shared->peak_blocks, __ATOMIC_RELAXED);
	struct em_count *count = tcache->count;
	int64_t bytes, slack = 0;
	unsigned int threads;

	bytes = em_live_bytes(shared, &threads);
	if (threads > 1)
		slack = 4096;
	while (bytes > (int64_t)peak &&
	       !__atomic_compare_exchange_n(&shared->peak_blocks, &peak, bytes, true,
					    __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
	if (bytes < (int64_t)peak && threads)
		slack += ((int64_t)peak - bytes) / threads;
	/* Who reads in between finds too little, not too much. */
	bytes = count->peak_mark - count->credit;
	__atomic_store_n(&count->credit, slack, __ATOMIC_RELAXED);
	__atomic_store_n(&count->peak_mark, bytes + slack, __ATOMIC_RELEASE);
}

/* A block of this class, or NULL: that needs another slab. */
void *em_tcache_alloc(struct em_expert *expert, struct em_tcache *tcache, size_t size,
		     unsigned int class)
{
	struct em_slab *slab = refill(tcache, class);

	if (!slab)
		return NULL;
	em_count(expert, tcache, 1, size);
	em_bin_peek(&tcache->bins[class], slab, slab->head);
	return em_bin_pop(&tcache->bins[class], slab, size);
}

/* A block of another thread's slab goes into the queue when that thread needs it. */
static void push_remote(struct em_expert *expert, struct em_tcache *tcache, struct em_slab *slab,
			struct em_tcache *owner, unsigned int i)
{
	struct em_slab *pending;
	uint32_t head = __atomic_load_n(&slab->remote, __ATOMIC_RELAXED);

	do
		em_set_state(slab->states, i, EM_STATE_REMOTE + head);
	while (!__atomic_compare_exchange_n(&slab->remote, &head, i, true,
					    __ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
	if (head != EM_NO_BLOCK)
		return;
	pending = __atomic_load_n(&owner->pending, __ATOMIC_RELAXED);
	do
		slab->pending = pending;
	while (!__atomic_compare_exchange_n(&owner->pending, &pending, slab, true,
					    __ATOMIC_RELEASE, __ATOMIC_RELAXED));
	__atomic_fetch_add(&expert->heap.nr_put, 1, __ATOMIC_RELAXED);
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
		while (!__atomic_compare_exchange_n(&slab->states[i], &state, EM_STATE_CLAIMED,
						    false, __ATOMIC_ACQ_REL,
						    __ATOMIC_RELAXED))
			if (!em_is_live(state))
				return EM_NOT_A_BLOCK;
	} else if (owner_of(owner) != tcache || owner & EM_SHARING) {
		return EM_NEEDS_SHARING;
	}
	em_count(expert, tcache, -1, 1 - (int64_t)state);
	if (owner_of(owner) == tcache) {
		em_slab_push(slab, i);
		em_tcache_place(tcache, slab);
	} else {
		push_remote(expert, tcache, slab, owner_of(owner), i);
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
	    (stay ? size > slab->block : size > EM_SMALL_MAX || class_of(size) != slab->class))
		return EM_NOT_A_BLOCK;
	if (!(owner & EM_SHARED)) {
		if (owner_of(owner) != tcache || owner & EM_SHARING)
			return EM_NEEDS_SHARING;
		em_set_state(slab->states, i, size + 1);
	} else {
		while (!__atomic_compare_exchange_n(&slab->states[i], &state, size + 1, false,
						    __ATOMIC_RELAXED, __ATOMIC_RELAXED))
			if (!em_is_live(state))
				return EM_NOT_A_BLOCK;
	}
	em_count(expert, tcache, 0, (int64_t)size - (state - 1));
	return EM_DONE;
}

/* May the calling thread, whose this tcache is, free there without the lock? */
bool em_slab_is_mine(const struct em_slab *slab, const struct em_tcache *tcache)
{
	uintptr_t owner = __atomic_load_n(&slab->owner, __ATOMIC_RELAXED);

	return owner & EM_SHARED || (owner_of(owner) == tcache && !(owner & EM_SHARING));
}

/* The tcache of a thread in a section, or NULL. */
struct em_tcache *em_tcache_of(const struct em_expert *expert, const struct em_thread *thread)
{
	uint16_t number = __atomic_load_n(&expert->heap.tcache_of[thread->index],
					  __ATOMIC_ACQUIRE);

	return number ? (struct em_tcache *)expert->heap.tcaches.base + number : NULL;
}

/* This thread takes over a tcache whose thread may have ended in the middle of a call. */
void em_tcache_inherit(struct em_tcache *tcache, uint32_t user)
{
	unsigned int class;

	for (class = 0; class < EM_CLASSES; class++) {
		struct em_bin *bin = &tcache->bins[class];

		if (bin->current != &em_no_slab)
			em_bin_peek(bin, bin->current, bin->current->head);
	}
	tcache->user = user;
}

/* ------------------------------------------------------- with the expert's lock held */

/* Give the spare slabs of a tcache back. */
void em_tcache_release(struct em_expert *expert, struct em_tcache *tcache)
{
	struct em_slab *slab;

	while ((slab = tcache->spare)) {
		tcache->spare = slab->next;
		em_slab_put(expert, slab);
	}
}

static struct em_tcache *tcache_new(struct em_expert *expert, uint32_t thread)
{
	struct em_heap *heap = &expert->heap;
	struct em_tcache *tcache;
	unsigned int class;

	if (heap->nr_tcaches == EM_THREADS ||
	    !em_table_use(&expert->counts, offsetof(struct em_shared, counts) +
			  (heap->nr_tcaches + 1) * sizeof(struct em_count)) ||
	    !em_array_grow(expert, &heap->tcaches, sizeof(*tcache)))
		return NULL;
	tcache = (struct em_tcache *)(heap->tcaches.base + heap->tcaches.used);
	heap->tcaches.used += sizeof(*tcache);
	for (class = 0; class < EM_CLASSES; class++)
		tcache->bins[class].current = &em_no_slab;
	tcache->count = &expert->shared->counts[heap->nr_tcaches];
	tcache->thread = thread;
	__atomic_store_n(&expert->shared->nr_counts, heap->nr_tcaches + 1, __ATOMIC_RELAXED);
	if (thread)
		__atomic_store_n(&heap->tcache_of[thread], heap->nr_tcaches, __ATOMIC_RELEASE);
	heap->nr_tcaches++;
	return tcache;
}

/*
 * The tcache of the calling thread, made where there is none yet; tcache 0 for calls from
 * signal handlers, in debug mode, where there are too many threads, and where many have
 * one already, for the first calls of a thread: perhaps it makes no more.
 */
struct em_tcache *em_tcache_get(struct em_expert *expert)
{
	struct em_heap *heap = &expert->heap;
	struct em_thread *self = em_self;
	struct em_tcache *tcache = NULL;

	if (!heap->nr_tcaches && (!em_heap_prepare(expert) || !tcache_new(expert, 0)))
		return NULL;
	if (self->index && self->busy == EM_IDLE && !(expert->debug & EM_DEBUG_BLOCKS)) {
		tcache = em_tcache_of(expert, self);
		if (!tcache && (heap->nr_tcaches < TCACHES_MANY || ++self->calls > CALLS_FEW))
			tcache = tcache_new(expert, self->index);
	}
	return tcache ? tcache : (struct em_tcache *)heap->tcaches.base;
}

/*
 * Let every thread free blocks of this slab: its owner no longer may without atomic
 * operations. The lock may be given up in between.
 */
void em_slab_share(struct em_expert *expert, struct em_slab *slab)
{
	for (;;) {
		uintptr_t owner = slab->owner;
		struct em_tcache *tcache = owner_of(owner);

		if (!owner || owner & EM_SHARED)
			return;
		__atomic_store_n(&slab->owner, owner | EM_SHARING, __ATOMIC_RELAXED);
		if (em_wait_for(&em_threads[tcache->thread])) {
			if (tcache->revoked[slab->class] < REVOKED_MAX)
				tcache->revoked[slab->class]++;
			__atomic_store_n(&slab->owner, (owner & ~EM_SHARING) | EM_SHARED,
					 __ATOMIC_RELEASE);
			return;
		}
		em_relock(expert);
	}
}

/* A slab of @class from the pool, current in @tcache. */
static bool get_slab(struct em_expert *expert, struct em_tcache *tcache, unsigned int class)
{
	struct em_slab *slab = em_slab_get(expert, class), *old;
	uintptr_t owner = (uintptr_t)tcache;

	if (!slab)
		return false;
	/* While the pool was looked into, this thread may have inherited one. */
	old = tcache->bins[class].current;
	retire(tcache, old);
	em_tcache_place(tcache, old);
	extend(slab);
	set_current(tcache, class, slab);
	if (!tcache->thread || tcache->revoked[class] >= REVOKED_MAX)
		owner |= EM_SHARED;
	__atomic_store_n(&slab->owner, owner, __ATOMIC_RELEASE);
	return true;
}

/* A block, from a new slab if need be, or NULL. */
void *em_slab_alloc(struct em_expert *expert, struct em_tcache *tcache, size_t size,
		    unsigned int class)
{
	void *p = em_tcache_alloc(expert, tcache, size, class);

	if (p || !get_slab(expert, tcache, class))
		return p;
	return em_tcache_alloc(expert, tcache, size, class);
}

/* Memory is short: use blocks of this tcache that are to wait, or too few to be listed. */
static bool use_quarantine(struct em_tcache *tcache, unsigned int class, struct em_slab *slab,
			   size_t n)
{
	bool found = false;

	for (; n--; slab++) {
		if (owner_of(slab->owner) != tcache || slab->class != class)
			continue;
		slab->quarantine = EM_NO_QUARANTINE;
		if (slab->where != EM_CURRENT)
			wake_at(slab, slab->where == EM_FULL ? 1 : slab->fresh);
		em_tcache_place(tcache, slab);
		found |= avail(slab);
	}
	return found;
}

void *em_slab_use_quarantine(struct em_expert *expert, struct em_tcache *tcache, size_t size,
		     unsigned int class)
{
	struct em_heap *heap = &expert->heap;
	size_t small = (heap->small.base - expert->base) / EM_SLAB_SIZE;
	bool found;

	collect_pending(tcache);
	found = use_quarantine(tcache, class, &expert->slabs[small],
		       heap->small.used / EM_SLAB_SIZE + 1);
	found |= use_quarantine(tcache, class, &expert->slabs[heap->huge_first],
			heap->huge_end - heap->huge_first);
	return found ? em_tcache_alloc(expert, tcache, size, class) : NULL;
}

/* ------------------------------------------------------------ with the expert stopped */

/* Give back the slabs of a tcache that are all free; to @heir, all that are of use. */
static void empty_tcache(struct em_expert *expert, struct em_tcache *tcache,
			 struct em_tcache *heir)
{
	struct em_slab *slab, *next;
	unsigned int class;

	collect_pending(tcache);
	for (class = 0; class < EM_CLASSES; class++) {
		struct em_bin *bin = &tcache->bins[class];

		slab = bin->current;
		if (slab != &em_no_slab && (heir || is_all_free(slab))) {
			bin->current = &em_no_slab;
			slab->where = EM_PARTIAL;
			wake_at(slab, slab->fresh);
			list_add(&bin->partial, slab);
		}
		for (slab = bin->partial; slab; slab = next) {
			next = slab->next;
			if (is_all_free(slab)) {
				list_del(&bin->partial, slab);
				em_slab_put(expert, slab);
			} else if (heir) {
				list_del(&bin->partial, slab);
				slab->owner = (uintptr_t)heir | (slab->owner & EM_OWNER_FLAGS);
				list_add(&heir->bins[class].partial, slab);
			}
		}
	}
	em_tcache_release(expert, tcache);
}

/**
 * em_collect() - pool what threads have and do not need
 * @expert: the expert, stopped
 * @heir: of the calling thread: gets what threads that have ended left; may be NULL
 */
void em_collect(struct em_expert *expert, struct em_tcache *heir)
{
	struct em_heap *heap = &expert->heap;
	struct em_tcache *tcaches = (struct em_tcache *)heap->tcaches.base;
	unsigned int i;

	for (i = 0; i < heap->nr_tcaches; i++) {
		bool inherit = heir && heir->thread && i && &tcaches[i] != heir &&
			       em_is_dead(&em_threads[tcaches[i].thread]);

		empty_tcache(expert, &tcaches[i], inherit ? heir : NULL);
	}
	em_pool_recycle(expert);
}

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
