// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Tcaches: the slabs that each thread has of an expert, with a bin for each class. See types.h.
 *
 * The functions of the first part are called in a section, or with the expert's lock held, and only
 * for the calling thread's tcache. Tcache 0 is used only with the lock held.
 */
#include "internal.h"
#include "slab.h"

/* In an expert with TCACHES_MANY tcaches, a thread gets a tcache after CALLS_FEW locked calls. */
#define TCACHES_MANY	16
#define CALLS_FEW	64

/* A class of which a tcache has so many slabs is split. Before, each part would take more memory. */
#define SLABS_MANY	24

/* After so many slabs were pooled, the next thread that pools slabs empties its bins, too. */
#define PUTS_MANY	64

/*
 * Placeholder for em_bin.current of a bin without a current slab: it has no free block. Never
 * written.
 */
struct em_slab em_no_slab = { .where = EM_CURRENT };

/*
 * Move a slab to the list that its number of free blocks asks for: full to partial, and partial to
 * spare if no block is live. The only partial slab of a bin is kept, because the next block is
 * probably of its class.
 */
void em_tcache_place(struct em_tcache *tcache, struct em_slab *slab)
{
	struct em_slab **partial = &tcache->bins[slab->class].partial;

	if (slab->where == EM_FULL && (int)(slab->tail - slab->wake) >= 0) {
		slab->where = EM_PARTIAL;
		em_slab_wake_at(slab, slab->fresh);
		em_slab_list_add(partial, slab);
	}
	if (slab->where == EM_PARTIAL && em_slab_is_free(slab) && (*partial)->next) {
		em_slab_list_del(partial, slab);
		slab->where = EM_SPARE;
		slab->next = tcache->spare;
		tcache->spare = slab;
	}
}

static void collect_pending(struct em_tcache *tcache)
{
	struct em_slab *slab, *next;

	slab = em_xchg_acquire(&tcache->pending, NULL);
	for (; slab; slab = next) {
		next = slab->pending;
		em_slab_collect(slab);
		em_tcache_place(tcache, slab);
	}
}

static void set_current(struct em_tcache *tcache, unsigned int class, struct em_slab *slab)
{
	slab->where = EM_CURRENT;
	slab->limit = slab->head;
	slab->wake = slab->tail - 1;	/* @tail gets there after 2^32 - 1 frees: practically never */
	tcache->bins[class].current = slab;
}

static void retire(struct em_tcache *tcache, struct em_slab *slab)
{
	if (slab == &em_no_slab)
		return;
	tcache->bins[slab->class].current = &em_no_slab;
	slab->where = EM_FULL;
	em_slab_wake_at(slab, em_slab_quarantine(slab) + (slab->blocks / 16 ? slab->blocks / 16 : 1));
}

/*
 * Find a current slab with a free block in this tcache. NULL: that needs another slab from the
 * pool.
 */
static struct em_slab *refill(struct em_tcache *tcache, unsigned int class)
{
	struct em_bin *bin = &tcache->bins[class];
	struct em_slab *slab = bin->current;

	for (;;) {
		if (em_slab_avail(slab))
			return slab;
		if (slab->fresh < slab->blocks) {
			em_slab_extend(slab);
			continue;
		}
		if (em_read_once(&tcache->pending)) {
			collect_pending(tcache);
			continue;
		}
		retire(tcache, slab);
		slab = bin->partial;
		if (!slab)
			return NULL;
		em_slab_list_del(&bin->partial, slab);
		set_current(tcache, class, slab);
	}
}

/* Allocate a block of @class from this tcache. NULL: that needs another slab from the pool. */
void *em_tcache_alloc(struct em_expert *expert, struct em_tcache *tcache, size_t size,
		     unsigned int class)
{
	struct em_bin *bin = &tcache->bins[class];
	struct em_slab *slab = refill(tcache, class);
	unsigned int left, avail;
	void *p;

	if (!slab)
		return NULL;
	em_count(expert, tcache, 1, size);
	em_bin_peek(bin, slab, slab->head);
	p = em_bin_pop(bin, slab, size);
	slab->limit = slab->head;
	if (slab->quarantine == EM_NO_QUARANTINE)
		return p;
	left = slab->tail - slab->head;
	avail = em_slab_avail(slab);
	/* em_fast_alloc() leaves one block in the queue, for em_bin_peek() */
	if (left)
		slab->limit += avail < left ? avail : left - 1;
	else
		retire(tcache, slab);	/* filled up for the first time */
	return p;
}

/* The tcache of @thread, or NULL. In a section of that thread, or with the lock held. */
struct em_tcache *em_tcache_of(const struct em_expert *expert, const struct em_thread *thread)
{
	uint16_t number = em_load_acquire(&expert->heap.tcache_of[thread->index]);

	return number ? (struct em_tcache *)expert->heap.tcaches.base + number : NULL;
}

/*
 * Take over the tcache of a thread that has ended, perhaps in the middle of a section: compute
 * @next_state and @next_block anew, and have the next allocation look at @tail.
 */
void em_tcache_inherit(struct em_tcache *tcache, uint32_t user)
{
	unsigned int class;

	for (class = 0; class < EM_CLASSES; class++) {
		struct em_bin *bin = &tcache->bins[class];
		struct em_slab *slab = bin->current;

		if (slab == &em_no_slab)
			continue;
		/* as in em_tcache_alloc(): em_bin_peek() needs a block */
		if (slab->head == slab->tail && slab->fresh == slab->blocks) {
			retire(tcache, slab);
			continue;
		}
		slab->limit = slab->head;
		em_bin_peek(bin, slab, slab->head);
	}
	tcache->user = user;
}

/* ------------------------------------------------------ with the expert's lock held */

/*
 * Pool the slabs of a tcache without a live block. @heir, if not NULL, gets the other current and
 * partial slabs; the expert is paused then.
 */
static void empty_bins(struct em_expert *expert, struct em_tcache *tcache, struct em_tcache *heir)
{
	struct em_slab *slab, *next;
	unsigned int class;

	for (class = 0; class < EM_CLASSES; class++) {
		struct em_bin *bin = &tcache->bins[class];

		/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): nr_tcaches counts them */
		slab = bin->current;
		if (slab != &em_no_slab && (heir || em_slab_is_free(slab))) {
			bin->current = &em_no_slab;
			slab->where = EM_PARTIAL;
			em_slab_wake_at(slab, slab->fresh);
			em_slab_list_add(&bin->partial, slab);
		}
		for (slab = bin->partial; slab; slab = next) {
			next = slab->next;
			if (em_slab_is_free(slab)) {
				em_slab_list_del(&bin->partial, slab);
				em_slab_put(expert, slab);
			} else if (heir) {
				em_slab_list_del(&bin->partial, slab);
				slab->owner = (uintptr_t)heir | (slab->owner & EM_OWNER_FLAGS);
				tcache->nr_slabs[class] -= slab->slabs;
				heir->nr_slabs[class] += slab->slabs;
				em_slab_list_add(&heir->bins[class].partial, slab);
			}
		}
	}
}

static void pool_spare(struct em_expert *expert, struct em_tcache *tcache)
{
	struct em_slab *slab;

	while ((slab = tcache->spare)) {
		tcache->spare = slab->next;
		em_slab_put(expert, slab);
	}
}

/*
 * Give the spare slabs of a tcache to the pool. After PUTS_MANY puts, also those without a live block that
 * its bins have kept for the next one: a program that has freed most of its blocks may need none.
 */
void em_tcache_release(struct em_expert *expert, struct em_tcache *tcache)
{
	pool_spare(expert, tcache);
	if (expert->heap.puts_since_emptied < PUTS_MANY)
		return;
	empty_bins(expert, tcache, NULL);
	expert->heap.puts_since_emptied = 0;
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
	for (class = 0; class <= EM_NO_CLASS; class++)
		tcache->bins[class].current = &em_no_slab;
	tcache->count = &expert->shared->counts[heap->nr_tcaches];
	tcache->thread = thread;
	tcache->fills = expert->packs;
	em_write_once(&expert->shared->nr_counts, heap->nr_tcaches + 1);
	if (thread)
		em_store_release(&heap->tcache_of[thread], heap->nr_tcaches);
	heap->nr_tcaches++;
	return tcache;
}

/*
 * The calling thread's tcache, which is made if there is none. Tcache 0 instead: in a signal's
 * handler, with EM_DEBUG_BLOCKS, if EM_THREADS tcaches exist, and for the first CALLS_FEW calls of a
 * thread if TCACHES_MANY exist, because short-lived threads need none. NULL: no memory.
 */
struct em_tcache *em_tcache_get(struct em_expert *expert)
{
	struct em_heap *heap = &expert->heap;
	struct em_thread *self = em_self;
	struct em_tcache *tcache = NULL;

	em_assert_locked(expert);
	if (!heap->nr_tcaches && (!em_heap_prepare(expert) || !tcache_new(expert, 0)))
		return NULL;
	if (self->index && em_is_idle(self) && !(expert->debug & EM_DEBUG_BLOCKS)) {
		tcache = em_tcache_of(expert, self);
		if (!tcache && (heap->nr_tcaches < TCACHES_MANY || ++self->calls > CALLS_FEW))
			tcache = tcache_new(expert, self->index);
	}
	return tcache ? tcache : (struct em_tcache *)heap->tcaches.base;
}

/*
 * Each time the heap has grown by half, pool the unused slabs of all tcaches, before it grows more.
 */
static void tidy(struct em_expert *expert)
{
	struct em_heap *heap = &expert->heap;

	if (heap->nr_tcaches <= 2 || heap->nr_chunks < heap->tidy_at ||
	    em_self->word == EM_PARKED)
		return;
	heap->tidy_at = heap->nr_chunks * 3 / 2 + 8;
	em_pause(expert);
	em_collect(expert, em_tcache_get(expert));
	em_unpause(expert);
}

/*
 * A slab of @class from the pool, or a span. A thread gets a span only when it has got as many single slabs
 * so far: a span for a few blocks would waste addresses in every thread. NULL: no memory.
 */
static struct em_slab *slab_or_span(struct em_expert *expert, struct em_tcache *tcache,
				    unsigned int class)
{
	unsigned int count = em_class_slabs(class);
	uint8_t *singles = count > 1 ? &tcache->singles[class - EM_SPAN_CLASS] : NULL;
	struct em_slab *slab;

	if (singles && *singles < count)
		count = 1;
	if (!em_pool_serves(expert, tcache, class, count) &&
	    (!em_pool_recycle(expert) || !em_pool_serves(expert, tcache, class, count)))
		tidy(expert);
	slab = em_slab_get(expert, tcache, class, count);
	if (!slab && count > 1)
		return em_slab_get(expert, tcache, class, 1);
	if (slab && singles && count == 1)
		++*singles;
	return slab;
}

/* Make a slab or span of @class current in @tcache. */
static bool get_slab(struct em_expert *expert, struct em_tcache *tcache, unsigned int class)
{
	struct em_slab *slab = slab_or_span(expert, tcache, class), *old;
	uintptr_t owner = (uintptr_t)tcache;

	if (!slab)
		return false;
	/*
	 * em_collect() in tidy() may have given this thread the slabs of a thread that has ended.
	 */
	old = tcache->bins[class].current;
	retire(tcache, old);
	em_tcache_place(tcache, old);
	em_slab_extend(slab);
	set_current(tcache, class, slab);
	tcache->nr_slabs[class] += slab->slabs;
	if (expert->packs && tcache->nr_slabs[class] >= SLABS_MANY)
		em_classes_split(class);
	if (!tcache->thread || tcache->revoked[class] >= REVOKED_MAX)
		owner |= EM_SHARED;
	em_store_release(&slab->owner, owner);
	return true;
}

/* Allocate a block, from another slab of the pool if need be. NULL: no memory. */
void *em_slab_alloc(struct em_expert *expert, struct em_tcache *tcache, size_t size,
		    unsigned int class)
{
	void *p = em_tcache_alloc(expert, tcache, size, class);

	if (p || !get_slab(expert, tcache, class))
		return p;
	return em_tcache_alloc(expert, tcache, size, class);
}

/* End the quarantine of the slabs of this class in @tcache, among @n slabs. Is a block free now? */
static bool use_quarantine(struct em_tcache *tcache, unsigned int class, struct em_slab *slab,
			   size_t n)
{
	bool found = false;

	for (; n--; slab++) {
		if (em_tcache_of_owner(slab->owner) != tcache || slab->class != class)
			continue;
		slab->quarantine = EM_NO_QUARANTINE;
		slab->limit = slab->head;
		if (slab->where != EM_CURRENT)
			em_slab_wake_at(slab, slab->where == EM_FULL ? 1 : slab->fresh);
		em_tcache_place(tcache, slab);
		found |= em_slab_avail(slab);
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

/* ---------------------------------------------------------- with the expert stopped */

static void empty_tcache(struct em_expert *expert, struct em_tcache *tcache,
			 struct em_tcache *heir)
{
	collect_pending(tcache);
	empty_bins(expert, tcache, heir);
	pool_spare(expert, tcache);
}

/**
 * em_collect() - pool the slabs without a live block of all tcaches
 * @expert: the expert, paused
 * @heir: the calling thread's tcache, or NULL; gets the slabs of threads that have ended
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
	heap->puts_since_emptied = 0;
	em_pool_recycle(expert);
}
