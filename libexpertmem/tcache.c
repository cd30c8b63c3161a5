// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What each thread has of an expert: a tcache, with a bin for each class. See types.h.
 *
 * The first half is called in a section, or with the expert's lock held, and only for a tcache of
 * the calling thread; tcache 0 is for who holds the lock.
 */
#include "internal.h"
#include "slab.h"

/* From so many tcaches on, a thread gets one after so many calls that take the lock. */
#define TCACHES_MANY	16
#define CALLS_FEW	64

/* the current slab of a class that has none; never written */
struct em_slab em_no_slab = { .where = EM_CURRENT };

/*
 * More blocks of a slab are free: it may belong elsewhere. A partial one that is all
 * free is spare, unless it is the only one, for the next block is probably like it.
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
	slab->wake = slab->tail - 1;	/* as good as never, and harmless */
	tcache->bins[class].current = slab;
}

static void retire(struct em_tcache *tcache, struct em_slab *slab)
{
	if (slab == &em_no_slab)
		return;
	tcache->bins[slab->class].current = &em_no_slab;
	slab->where = EM_FULL;
	em_slab_wake_at(slab, em_slab_reserve(slab) + (slab->blocks / 16 ? slab->blocks / 16 : 1));
}

/* A current slab that has a free block, without asking for more slabs, or NULL. */
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

/* The tcache of a thread in a section, or NULL. */
struct em_tcache *em_tcache_of(const struct em_expert *expert, const struct em_thread *thread)
{
	uint16_t number = em_load_acquire(&expert->heap.tcache_of[thread->index]);

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

/* ------------------------------------------------------ with the expert's lock held */

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
	em_write_once(&expert->shared->nr_counts, heap->nr_tcaches + 1);
	if (thread)
		em_store_release(&heap->tcache_of[thread], heap->nr_tcaches);
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

/* Look what threads keep before the heap grows by half, so that nothing is stranded. */
static void tidy(struct em_expert *expert)
{
	struct em_heap *heap = &expert->heap;

	if (heap->nr_tcaches <= 2 || heap->nr_chunks < heap->tidy_at ||
	    em_self->busy == EM_PARKED)
		return;
	heap->tidy_at = heap->nr_chunks * 3 / 2 + 8;
	em_pause(expert);
	em_collect(expert, em_tcache_get(expert));
	em_unpause(expert);
}

/* A slab of @class from the pool, current in @tcache. */
static bool get_slab(struct em_expert *expert, struct em_tcache *tcache, unsigned int class)
{
	uintptr_t owner = (uintptr_t)tcache;
	struct em_heap *heap = &expert->heap;
	struct em_slab *slab, *old;

	if (!heap->chunks && !em_pool_recycle(expert))
		tidy(expert);
	slab = em_slab_get(expert, class);
	if (!slab)
		return false;
	/* While the pool was looked into, this thread may have inherited one. */
	old = tcache->bins[class].current;
	retire(tcache, old);
	em_tcache_place(tcache, old);
	em_slab_extend(slab);
	set_current(tcache, class, slab);
	if (!tcache->thread || tcache->revoked[class] >= REVOKED_MAX)
		owner |= EM_SHARED;
	em_store_release(&slab->owner, owner);
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
		if (em_tcache_of_owner(slab->owner) != tcache || slab->class != class)
			continue;
		slab->quarantine = EM_NO_QUARANTINE;
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
				em_slab_list_add(&heir->bins[class].partial, slab);
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
