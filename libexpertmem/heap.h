/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The heap of an expert: its words, its data, and the steps that every call takes.
 *
 *   block	what a call returns. Its *state* says whether it is live, and its size.
 *   slab	64 KiB cut into blocks of one class. Blocks larger than half of that
 *		are *large*: regions of their own, in a table by address.
 *   chunk	32 slabs. A huge chunk is a region of the huge window; the first slabs
 *		are in small chunks, one region of the small window that grows.
 *   local	what one thread has of the expert: for each class a *current* slab,
 *		where it allocates, and *partial* ones, which have some free blocks.
 *   owner	the local that a slab belongs to. Its thread alone allocates there. As
 *		long as no other thread has freed a block there, the owner frees without
 *		atomic operations, too; then the slab becomes *shared* for good.
 *
 * Nothing about a block is kept in or beside it. Slabs, states, locals and the table of
 * large blocks are in regions of their own, so no write through a block, before it,
 * behind it or after its end reaches what the heap knows.
 *
 * So a pointer is checked in a handful of steps, whatever it is: its distance from the
 * start of the window gives the slab, its distance in there the number of the block by a
 * multiplication, and the block's state says whether it is live. The address itself is
 * never read.
 *
 * Free blocks of a slab are a queue, linked through their states: the one that is used
 * next was freed longest ago, and some always wait (@reserve), so that a block that is
 * freed twice is most probably still known to be free.
 */
#ifndef EM_HEAP_H
#define EM_HEAP_H

#define EM_SLAB_SHIFT	16
#define EM_SLAB_SIZE	(1UL << EM_SLAB_SHIFT)
#define EM_CHUNK_SLABS	32U
#define EM_CHUNK_SIZE	(EM_CHUNK_SLABS * EM_SLAB_SIZE)
#define EM_SMALL_MAX	32768UL
#define EM_CLASSES	33

/* Up to here, slabs have so many blocks that their queue is never empty. */
#define EM_FAST_MAX	4096UL

/*
 * The state of a block: 0 not used yet, size + 1 live, else free. FREE + the number of
 * the next one in the queue; REMOTE + that of the one that another thread freed before.
 */
#define EM_BLOCKS_MAX	4096U
#define EM_NO_BLOCK	EM_BLOCKS_MAX
#define EM_STATE_FREE	(EM_SMALL_MAX + 2)
#define EM_STATE_REMOTE	(EM_STATE_FREE + EM_BLOCKS_MAX + 1)
#define EM_STATE_CLAIMED UINT16_MAX

/* in em_slab.owner, which else is the address of a local */
#define EM_SHARED	1UL	/* every free is atomic */
#define EM_BIG		2UL	/* the queue may be empty */
#define EM_SHARING	4UL	/* about to become shared: not without the lock */
#define EM_OWNER_FLAGS	7UL

enum em_where {
	EM_POOL,	/* of no class; in the mask of its chunk, or in limbo */
	EM_CURRENT,	/* its owner allocates here */
	EM_PARTIAL,	/* in a list of its owner */
	EM_FULL,	/* hardly a free block; in no list */
	EM_SPARE,	/* all free; in a list of its owner, to be given back */
};

/**
 * struct em_slab - 64 KiB of blocks of one class
 * @owner: the local, and EM_SHARED, EM_BIG; 0 while the slab has no class
 * @states: one for each block
 * @inverse: of the odd factor of @block, modulo 2^32
 * @blocks: how many; 0 while the slab has no class
 * @shift: log2 of the other factor
 * @class: index of the class
 * @head: the first free block, or EM_NO_BLOCK
 * @tail: the last one
 * @avail: how many are free, less those that are to wait
 * @wake: at this @avail the slab belongs in another list
 * @block: bytes of a block
 * @base: the first byte
 * @fresh: blocks from here on have not been used, and are not in the queue
 * @where: enum em_where
 * @clean: in the pool, and without pages
 * @next: in the list of @where
 * @prev: the same; the first one's is the last
 * @remote: the block that another thread freed last, or EM_NO_BLOCK
 * @pending: next in the owner's list of slabs that have such blocks
 * @chunk: only in the first slab of a chunk
 *
 * What is before @head is read by every thread in a section; @remote and @pending are
 * written by every thread; the rest is the owner's.
 */
struct em_slab {
	uintptr_t owner;
	uint16_t *states;
	uint32_t inverse;
	uint16_t blocks;
	uint8_t shift;
	uint8_t class;

	uint16_t head;
	uint16_t tail;
	int32_t avail;
	int32_t wake;
	uint32_t block;
	char *base;
	uint16_t fresh;
	uint8_t where;
	bool clean;

	/* another cache line: other threads write here */
	uint32_t remote __attribute__((aligned(64)));
	struct em_slab *pending;
	struct em_slab *next, *prev;
	struct {
		struct em_slab *next, *prev;	/* in heap.chunks */
		uint32_t pool;			/* a bit for each slab in the pool */
	} chunk;
} __attribute__((aligned(128)));

/**
 * struct em_local - what a thread has of an expert
 * @current: by class; @none where there is none
 * @count: of blocks and bytes, in what is shared with the host
 * @mark: when more bytes are live than this, look whether that is a new peak
 * @partial: by class
 * @spare: all free; to be given back to the pool
 * @thread: index of the thread; 0: the local that is used with the lock held
 * @revoked: by class, how many slabs became shared, up to some
 * @pending: slabs where other threads have freed blocks
 * @none: a slab without blocks
 */
struct em_local {
	struct em_slab *current[EM_CLASSES];
	struct em_count *count;
	int64_t mark;
	struct em_slab *partial[EM_CLASSES];
	struct em_slab *spare;
	uint32_t thread;
	uint8_t revoked[EM_CLASSES];
	struct em_slab *pending __attribute__((aligned(64)));
	struct em_slab none;
} __attribute__((aligned(64)));

/* A region that grows in place, used from its start. */
struct em_array {
	char *base;
	size_t used, size;
};

/* Under the expert's lock. */
struct em_heap {
	struct em_slab *chunks;		/* those with slabs in the pool */
	struct em_slab *limbo;		/* to be pooled after em_quiesce() */
	unsigned int nr_limbo;
	unsigned int nr_chunks;		/* huge ones */
	unsigned int nr_empty;		/* of these, with all slabs in the pool */
	unsigned int nr_slabs;		/* with a class */
	size_t tidy_at;			/* chunks at which to look what threads keep */
	/* slabs pooled so far; of these, at the last look by idle.c, and at the last trim */
	uint64_t nr_put, nr_seen, nr_trimmed;
	struct em_array small;		/* the slabs of small chunks */
	struct em_array small_slabs;	/* what is known of them */
	struct em_array huge_slabs;	/* the same of huge chunks, a page each */
	struct em_slab *free_pages;	/* of huge_slabs */
	struct em_array locals;
	unsigned int nr_locals;
	uint16_t *local_of;		/* by index of the thread; 0: none */
	struct em_array states;
	uint16_t *free_states[8];	/* by log2 of size */
	struct em_array tables;		/* of large blocks */
	struct em_large_table *large;
	uint32_t large_version;		/* odd while the table is written */
	size_t nr_large;
};

/* What became of a block of a slab; EM_FOREIGN: em_slab_share() it, then try again. */
enum em_freed { EM_FREED, EM_BAD, EM_FOREIGN };

/* slab.c */

extern const uint8_t em_class[EM_FAST_MAX / 16 + 1];
void em_note_peak(struct em_expert *expert, struct em_local *local);
void em_count(struct em_expert *expert, struct em_local *local, int blocks, int64_t bytes);
struct em_local *em_local_of(const struct em_expert *expert, const struct em_thread *thread);
struct em_local *em_local_get(struct em_expert *expert);
unsigned int em_class_of(size_t size, size_t alignment);
void *em_local_alloc(struct em_expert *expert, struct em_local *local, size_t size,
		     unsigned int class);
void em_local_place(struct em_local *local, struct em_slab *slab);
void em_local_release(struct em_expert *expert, struct em_local *local);
void *em_slab_alloc(struct em_expert *expert, struct em_local *local, size_t size,
		    unsigned int class);
enum em_freed em_slab_free(struct em_expert *expert, struct em_local *local,
			   struct em_slab *slab, uint32_t offset);
enum em_freed em_slab_resize(struct em_expert *expert, struct em_local *local,
			     struct em_slab *slab, uint32_t offset, size_t size, bool stay);
bool em_slab_size(const struct em_slab *slab, uint32_t offset, size_t *size);
bool em_slab_is_mine(const struct em_slab *slab, const struct em_local *local);
void em_slab_share(struct em_expert *expert, struct em_slab *slab);
void em_slabs_tidy(struct em_expert *expert, struct em_local *heir);
void em_slabs_trim(struct em_expert *expert);
int em_slabs_walk(struct em_expert *expert,
		  int (*visit)(void *block, size_t size, void *arg), void *arg);

/* large.c */
struct em_large *em_large_find(const struct em_expert *expert, const void *p);
int em_large_peek(const struct em_expert *expert, const void *p, size_t *size);
void *em_large_alloc(struct em_expert *expert, size_t size, size_t room, size_t alignment);
void *em_large_alloc_guarded(struct em_expert *expert, size_t size);
bool em_large_resize(struct em_expert *expert, struct em_large *large, size_t size);
size_t em_large_free(struct em_expert *expert, struct em_large *large);
size_t em_large_size(const struct em_large *large);
size_t em_large_room(const struct em_large *large);
void em_large_trim(struct em_expert *expert);
int em_large_walk(struct em_expert *expert,
		  int (*visit)(void *block, size_t size, void *arg), void *arg);

/* heap.c; the lock is held */
bool em_array_grow(struct em_expert *expert, struct em_array *array, size_t more);
bool em_array_clear(struct em_expert *expert, struct em_array *array);
bool em_heap_prepare(struct em_expert *expert);
void *em_heap_alloc(struct em_expert *expert, size_t size, size_t alignment,
		    const void *site);
void *em_heap_realloc(struct em_expert *expert, void *p, size_t size, const void *site,
		      bool *bad, struct expertmem_finding *found);
bool em_heap_free(struct em_expert *expert, void *p, struct expertmem_finding *found);
bool em_heap_size(const struct em_expert *expert, const void *p, size_t *size);
void em_heap_trim(struct em_expert *expert);
int em_heap_walk(struct em_expert *expert,
		 int (*visit)(void *block, size_t size, void *arg), void *arg);

/* The number of the block that starts at @offset; not below slab->blocks if none does. */
static inline uint32_t em_block_at(const struct em_slab *slab, uint32_t offset)
{
	uint32_t i = offset * slab->inverse;

	/* an exact quotient is small; anything else is not */
	return i >> slab->shift | i << (32 - slab->shift);
}

static inline uint16_t em_get_state(const uint16_t *states, unsigned int i)
{
	return __atomic_load_n(&states[i], __ATOMIC_RELAXED);
}

static inline void em_set_state(uint16_t *states, unsigned int i, uint16_t state)
{
	__atomic_store_n(&states[i], state, __ATOMIC_RELAXED);
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

#endif /* EM_HEAP_H */
