/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The heap of an expert: its words, its data, and the steps that every call takes.
 *
 *   block	what a call returns. Its *state* says whether it is live, and its size.
 *   slab	64 KiB cut into blocks of one class. Blocks larger than half of that
 *		are *large*: regions of their own, in a table by address.
 *   chunk	32 slabs. A huge chunk is a region of the huge window; the first slabs
 *		are in small chunks, one region of the small window that grows.
 *   tcache	what one thread has of the expert: for each class a *current* slab,
 *		where it allocates, and *partial* ones, which have some free blocks.
 *   owner	the tcache that a slab belongs to. Its thread alone allocates there. As
 *		long as no other thread has freed a block there, the owner frees without
 *		atomic operations, too; then the slab becomes *shared* for good.
 *
 * Nothing about a block is kept in or beside it. States, tcaches and the table of large
 * blocks are in regions of their own, what is known of slabs is in memory outside the
 * windows, so no write through a block, before it, behind it or after its end reaches
 * what the heap knows.
 *
 * So a pointer is checked in a handful of steps, whatever it is: its distance from the
 * start of the windows gives the slab, its distance in there the number of the block by a
 * multiplication, and the block's state says whether it is live. The address itself is
 * never read.
 *
 * Free blocks of a slab are a queue: the one that is used next was freed longest ago, and
 * some always wait (@quarantine), so that a block that is freed twice is most probably still
 * known to be free.
 */
#ifndef EM_HEAP_H
#define EM_HEAP_H

#define EM_SLAB_SHIFT	16
#define EM_SLAB_SIZE	(1UL << EM_SLAB_SHIFT)
#define EM_CHUNK_SLABS	32U
#define EM_CHUNK_SIZE	(EM_CHUNK_SLABS * EM_SLAB_SIZE)
#define EM_SMALL_MAX	32768UL
#define EM_CLASSES	33

/* Up to here, the class of a size comes from a table. */
#define EM_FAST_MAX	4096UL

/*
 * The state of a block: size + 1 if live; 0 not used yet, or in the queue; REMOTE + the
 * number of the block that another thread has freed before.
 */
#define EM_BLOCKS_MAX	4096U
#define EM_NO_BLOCK	EM_BLOCKS_MAX
#define EM_STATE_FREE	0
#define EM_STATE_REMOTE	(EM_SMALL_MAX + 2)
#define EM_STATE_CLAIMED UINT16_MAX

/* @size: in whole pages */
typedef void (*em_region_visitor)(char *region, size_t size, void *arg);

/* in em_slab.quarantine: none has to wait, and no call takes a block just so */
#define EM_NO_QUARANTINE	UINT32_MAX

/* in em_slab.owner, which else is the address of a tcache */
#define EM_SHARED	1UL	/* every free is atomic */
#define EM_SHARING	2UL	/* about to become shared: not without the lock */
#define EM_OWNER_FLAGS	3UL

enum em_where {
	EM_POOL,	/* of no class; in the mask of its chunk, or in limbo */
	EM_CURRENT,	/* its owner allocates here */
	EM_PARTIAL,	/* in a list of its owner */
	EM_FULL,	/* hardly a free block; in no list */
	EM_SPARE,	/* all free; in a list of its owner, to be given back */
};

/**
 * struct em_slab - 64 KiB of blocks of one class
 * @owner: the tcache, and EM_SHARED or EM_SHARING; 0 while the slab has no class
 * @states: one for each block, and a 0 behind
 * @base: the first byte; NULL where there is no slab
 * @inverse: 2^32 / @block, rounded up; 0 while the slab has no class
 * @mask: of what counts, for places in the queue; one less than a power of two
 * @queue: numbers of free blocks, each XOR its place: so zeros are all of them in order
 * @head: counts what was taken from the queue
 * @tail: counts what was put into it
 * @quarantine: how many are to wait; or EM_NO_QUARANTINE
 * @wake: at this @tail the slab belongs in another list
 * @block: bytes of a block
 * @class: index of the class
 * @where: enum em_where
 * @clean: in the pool, and without pages
 * @writable: only in the first slab of each EM_STEP of the table of slabs: that part of the table
 *	can be written
 * @blocks: how many
 * @fresh: those from here on have not been used, and are not in the queue
 * @next: in the list of @where
 * @prev: the same; the first one's is the last
 * @remote: the block that another thread freed last, or EM_NO_BLOCK
 * @pending: next in the owner's list of slabs that have such blocks
 * @chunk: only in the first slab of a chunk
 *
 * What is before @mask is read by every thread in a section; @remote and @pending are
 * written by every thread; the rest is the owner's.
 */
struct em_slab {
	uintptr_t owner;
	uint16_t *states;
	char *base;
	uint32_t inverse;
	uint32_t mask;
	uint16_t *queue;
	uint32_t head;
	uint32_t tail;
	uint32_t quarantine;
	uint32_t wake;
	uint16_t block;

	/* another cache line, for other threads write here */
	uint32_t remote __attribute__((aligned(64)));
	uint16_t blocks;
	uint16_t fresh;
	struct em_slab *pending;
	struct em_slab *next, *prev;
	uint8_t class;
	uint8_t where;
	bool clean;
	bool writable;
	struct {
		uint32_t pool;			/* a bit for each slab in the pool */
		struct em_slab *next, *prev;	/* in heap.chunks */
	} chunk;
} __attribute__((aligned(128)));

/**
 * struct em_bin - what a thread has of a class of an expert
 * @current: the slab where it allocates; em_no_slab where there is none
 * @next_state: state of the block at the head of its queue, if the slab has a quarantine
 * @next_block: that block
 * @partial: slabs that have some free blocks
 */
struct em_bin {
	struct em_slab *current;
	uint16_t *next_state;
	char *next_block;
	struct em_slab *partial;
};

/**
 * struct em_tcache - what a thread has of an expert
 * @bins: by class
 * @count: of blocks and bytes, in what is shared with the host
 * @spare: all free; to be given back to the pool
 * @thread: index of the thread; 0: the tcache that is used with the lock held
 * @user: which of the threads that had that index
 * @passed: a block was freed whose owner may be asleep: look after it later
 * @revoked: by class, how many slabs became shared, up to some
 * @pending: slabs where other threads have freed blocks
 */
struct em_tcache {
	struct em_bin bins[EM_CLASSES];
	struct em_count *count;
	struct em_slab *spare;
	uint32_t thread;
	uint32_t user;
	bool passed;
	uint8_t revoked[EM_CLASSES];
	struct em_slab *pending __attribute__((aligned(64)));
} __attribute__((aligned(64)));

/* A large block; @address 0: this place of the table is free. */
struct em_large {
	uintptr_t address;
	size_t size;
	size_t room;		/* the same, and what is kept behind */
	char *region;		/* starts before @address where that is aligned */
};

/*
 * Open addressing: at most half of the places are taken. A table is replaced by one of
 * twice the size behind it. The old one stays, for calls may still look there.
 */
struct em_large_table {
	size_t mask;
	struct em_large places[];
};

/* A region that grows in place, used from its start. */
struct em_array {
	char *base;
	size_t used, size;
};

/* Under the expert's lock. */
struct em_heap {
	struct em_slab *chunks;		/* those with slabs in the pool */
	struct em_slab *limbo;		/* to be pooled after em_wait_all() */
	unsigned int nr_limbo;
	unsigned int nr_chunks;		/* huge ones */
	unsigned int nr_empty;		/* of these, with all slabs in the pool */
	unsigned int nr_slabs;		/* with a class */
	size_t tidy_at;			/* chunks at which to look what threads keep */
	/* slabs pooled or left to others so far; at the last look by idle.c; at the last trim */
	uint64_t nr_put, nr_seen, nr_trimmed;
	struct em_array small;		/* where small slabs are */
	size_t huge_first, huge_end;	/* between these slabs are those of huge chunks */
	struct em_array tcaches;
	unsigned int nr_tcaches;
	uint16_t *tcache_of;		/* by index of the thread; 0: none */
	struct em_array states;
	struct em_array queues;
	struct em_free_states *free_states[EM_CLASSES];
	struct em_array tables;		/* of large blocks */
	struct em_large_table *large;
	uint32_t large_version;		/* odd while the table is written */
	size_t nr_large;
};

/* What became of a block of a slab; EM_NEEDS_SHARING: em_slab_share() it, then try again. */
enum em_outcome { EM_DONE, EM_NOT_A_BLOCK, EM_NEEDS_SHARING };

/* slab.c */
extern struct em_slab em_no_slab;
extern const uint8_t em_class[EM_FAST_MAX / 16 + 1];
extern const uint16_t em_class_size[EM_CLASSES];
int64_t em_live_bytes(const struct em_shared *shared, unsigned int *threads);
void em_note_peak(struct em_expert *expert, struct em_tcache *tcache);
void em_count(struct em_expert *expert, struct em_tcache *tcache, int blocks, int64_t bytes);
struct em_tcache *em_tcache_of(const struct em_expert *expert, const struct em_thread *thread);
void em_tcache_inherit(struct em_tcache *tcache, uint32_t user);
struct em_tcache *em_tcache_get(struct em_expert *expert);
unsigned int em_class_of(size_t size, size_t alignment);
void *em_tcache_alloc(struct em_expert *expert, struct em_tcache *tcache, size_t size,
		     unsigned int class);
void em_tcache_place(struct em_tcache *tcache, struct em_slab *slab);
void em_tcache_release(struct em_expert *expert, struct em_tcache *tcache);
void *em_slab_use_quarantine(struct em_expert *expert, struct em_tcache *tcache, size_t size,
		     unsigned int class);
void *em_slab_alloc(struct em_expert *expert, struct em_tcache *tcache, size_t size,
		    unsigned int class);
enum em_outcome em_slab_free(struct em_expert *expert, struct em_tcache *tcache,
			   struct em_slab *slab, uint32_t offset);
enum em_outcome em_slab_resize(struct em_expert *expert, struct em_tcache *tcache,
			     struct em_slab *slab, uint32_t offset, size_t size, bool stay);
bool em_slab_is_mine(const struct em_slab *slab, const struct em_tcache *tcache);
void em_slab_share(struct em_expert *expert, struct em_slab *slab);
void em_collect(struct em_expert *expert, struct em_tcache *heir);
int em_slabs_walk(struct em_expert *expert,
		  int (*visit)(void *block, size_t size, void *arg), void *arg);

/* pool.c */
struct em_slab *em_slab_get(struct em_expert *expert, unsigned int class);
void em_slab_put(struct em_expert *expert, struct em_slab *slab);
bool em_pool_recycle(struct em_expert *expert);
void em_pool_trim(struct em_expert *expert);
void em_pool_regions(struct em_expert *expert, em_region_visitor visit, void *arg);

/* large.c */
struct em_large *em_large_find(const struct em_expert *expert, const void *p);
void *em_large_alloc(struct em_expert *expert, size_t size, size_t room, size_t alignment);
void *em_large_alloc_guarded(struct em_expert *expert, size_t size);
bool em_large_resize(struct em_expert *expert, struct em_large *large, size_t size);
size_t em_large_free(struct em_expert *expert, struct em_large *large);
size_t em_large_size(const struct em_large *large);
size_t em_large_room(const struct em_large *large);
void em_large_trim(struct em_expert *expert);
void em_large_regions(struct em_expert *expert, em_region_visitor visit, void *arg);
int em_large_walk(struct em_expert *expert,
		  int (*visit)(void *block, size_t size, void *arg), void *arg);

/* heap.c; the lock is held */
bool em_array_grow(struct em_expert *expert, struct em_array *array, size_t more);
bool em_array_clear(struct em_expert *expert, struct em_array *array);
bool em_heap_prepare(struct em_expert *expert);
void em_heap_regions(struct em_expert *expert, em_region_visitor visit, void *arg);
void *em_heap_alloc(struct em_expert *expert, size_t size, size_t alignment,
		    const void *site);
void *em_heap_realloc(struct em_expert *expert, void *p, size_t size, const void *site,
		      bool *bad, struct expertmem_finding *found);
bool em_heap_free(struct em_expert *expert, void *p, struct expertmem_finding *found);
bool em_heap_size(const struct em_expert *expert, const void *p, size_t *size);
void em_heap_trim(struct em_expert *expert);
int em_heap_walk(struct em_expert *expert,
		 int (*visit)(void *block, size_t size, void *arg), void *arg);

/*
 * The number of the block that starts @offset into a slab. False if none does: exact
 * quotients are those whose fraction is too small to be another one's.
 */
static inline bool em_block_at(const struct em_slab *slab, uint32_t offset, uint32_t *i)
{
	uint32_t inverse = __atomic_load_n(&slab->inverse, __ATOMIC_RELAXED);
	uint64_t quotient = (uint64_t)offset * inverse;

	*i = quotient >> 32;
	return (uint32_t)quotient < inverse;
}

static inline uint16_t em_get_state(const uint16_t *states, unsigned int i)
{
	return __atomic_load_n(&states[i], __ATOMIC_RELAXED);
}

static inline void em_set_state(uint16_t *states, unsigned int i, uint16_t state)
{
	__atomic_store_n(&states[i], state, __ATOMIC_RELAXED);
}

/*
 * Know the block at @head before the call that takes it: until it is known where a store
 * goes, what is read behind it may have to wait.
 */
static inline void em_bin_peek(struct em_bin *bin, const struct em_slab *slab, uint32_t head)
{
	size_t place = head & slab->mask, i = slab->queue[place] ^ place;

	bin->next_state = &slab->states[i];
	bin->next_block = slab->base + i * slab->block;
}

/* Take the block that @bin knows, and aim at the one behind it. */
static inline void *em_bin_pop(struct em_bin *bin, struct em_slab *slab, size_t size)
{
	uint32_t head = slab->head + 1;
	void *block;

	em_set_state(bin->next_state, 0, size + 1);
	/* Else this would be one register more than there are to be had for nothing. */
	__atomic_signal_fence(__ATOMIC_ACQ_REL);
	block = bin->next_block;
	slab->head = head;
	em_bin_peek(bin, slab, head);
	return block;
}

/*
 * Put a block into the queue of its slab. In this order, for a thread can end anywhere,
 * and what it has done by half goes to another: so a block may be lost, but not be had
 * twice.
 */
static inline uint32_t em_slab_push(struct em_slab *slab, unsigned int i)
{
	uint32_t tail = slab->tail;
	uint32_t place = tail & slab->mask;
	uint16_t *states = slab->states, *queue = slab->queue;

	/* What is read here need not wait until it is known where these stores go. */
	__atomic_signal_fence(__ATOMIC_ACQ_REL);
	em_set_state(states, i, EM_STATE_FREE);
	queue[place] = i ^ place;
	__atomic_store_n(&slab->tail, tail + 1, __ATOMIC_RELEASE);
	return tail + 1;
}

/* Add to what only this thread writes, but others read. One instruction, if they let it. */
static inline int64_t em_add(int64_t *counter, int64_t n)
{
#ifdef __SANITIZE_THREAD__
	return __atomic_add_fetch(counter, n, __ATOMIC_RELAXED);
#else
	return *counter += n;
#endif
}

static inline bool em_is_live(uint16_t state)
{
	return (uint16_t)(state - 1) <= EM_SMALL_MAX;
}

/* Whose slab this is, and the state of the block at @offset; 0 if none starts there. */
static inline uint16_t em_slab_read_state(const struct em_slab *slab, uint32_t offset,
				    uintptr_t *owner, uint32_t *i)
{
	const uint16_t *states;
	uint16_t state;

	/*
	 * What a slab is does not change while it is seen to be shared, but one that belongs
	 * to another thread alone may get a new class in between.
	 */
	do {
		*owner = __atomic_load_n(&slab->owner, __ATOMIC_ACQUIRE);
		states = __atomic_load_n(&slab->states, __ATOMIC_ACQUIRE);
		state = em_block_at(slab, offset, i) ? em_get_state(states, *i) : 0;
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
	} while (__builtin_expect(*owner != __atomic_load_n(&slab->owner, __ATOMIC_RELAXED) ||
				  states != __atomic_load_n(&slab->states, __ATOMIC_RELAXED),
				  false));
	return state;
}

/* Is a live block there, and how large? In a section or with the lock held. */
static inline bool em_slab_size(const struct em_slab *slab, uint32_t offset, size_t *size)
{
	uintptr_t owner;
	uint32_t i;
	uint16_t state = em_slab_read_state(slab, offset, &owner, &i);

	*size = state - 1U;
	return em_is_live(state);
}

/* Where in the table the large block at @address is, or would be. */
static inline struct em_large *em_large_slot(struct em_large_table *table, uintptr_t address)
{
	size_t i = (address >> 4) * 0x9e3779b97f4a7c15 >> 20;

	for (;; i++) {
		struct em_large *large = &table->places[i & table->mask];
		uintptr_t found = __atomic_load_n(&large->address, __ATOMIC_RELAXED);

		if (found == address || !found)
			return large;
	}
}

/* In a section: 1 if a large block starts at @p, 0 if not, -1: look with the lock held. */
static inline int em_large_lookup_unlocked(const struct em_heap *heap, const void *p, size_t *size)
{
	uint32_t version = __atomic_load_n(&heap->large_version, __ATOMIC_ACQUIRE);
	struct em_large_table *table = __atomic_load_n(&heap->large, __ATOMIC_ACQUIRE);
	const struct em_large *large;
	bool found;

	/* but with EM_DEBUG_GUARD, for which there are no sections, they start at pages */
	if (!table || (uintptr_t)p % EM_PAGE)
		return 0;
	if (version & 1)
		return -1;
	large = em_large_slot(table, (uintptr_t)p);
	found = __atomic_load_n(&large->address, __ATOMIC_RELAXED);
	*size = __atomic_load_n(&large->size, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return __atomic_load_n(&heap->large_version, __ATOMIC_RELAXED) == version ? found : -1;
}

#endif /* EM_HEAP_H */
