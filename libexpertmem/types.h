/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The structures of the library, and the words for the parts of an expert's heap.
 *
 *   block	what ExpertAllocMemory() returns. The block's *state* says whether the block is
 *		live, and its size.
 *   slab	64 KiB, cut into blocks of one size class. A block that has no class is *large*: it
 *		has a region of its own, which a hash table finds by the block's address.
 *   span	4 or 8 slabs that are cut into blocks together. With malloc() in private memory, some
 *		classes have spans, because less is left at the end. The first slab has all that belongs to
 *		the span; the others have no owner and no class. A thread that has few blocks of
 *		such a class has them in single slabs.
 *   chunk	32 slabs. A huge chunk is a region of the huge window. The heap's first slabs are in
 *		small chunks, which are one growing region of the small window.
 *   tcache	the slabs that one thread has of one expert. For each class there is a *current*
 *		slab, where the thread allocates, and a list of *partial* slabs with free blocks.
 *   owner	the tcache that a slab belongs to. Only the owner's thread allocates in the slab.
 *		Until another thread frees a block there, the owner frees without atomic
 *		operations. The first free by another thread takes the lock and
 *		makes the slab *shared* until it is pooled.
 *
 * Metadata is never inside or next to a block. The states, the queues, the tcaches and the table of
 * large blocks are in regions of their own. The table of slabs is outside of the windows. So no
 * overrun, underrun or use after free of a block overwrites metadata.
 *
 * A pointer is checked without being dereferenced. Its distance from the start of the windows
 * gives the slab. A multiplication turns its offset in the slab into the number of a block. The
 * state of that block says whether the block is live.
 *
 * The free blocks of a slab are a FIFO queue: the next block to be allocated is the one that was
 * freed first. The last @quarantine blocks of the queue are not allocated until memory is short, so
 * that most double frees find the block still free, and are reported. malloc() in private memory
 * fills up a slab that is filled for the first time: blocks that were never used need no quarantine.
 */
#ifndef EM_TYPES_H
#define EM_TYPES_H

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <expertmem.h>

#define EM_MAX_EXPERTS	4096
#define EM_PAGE		4096UL
#define EM_HUGE		(2UL << 20)

/* The size and the address of a window are multiples of 1 << EM_WINDOW_SHIFT, 1 GiB. */
#define EM_WINDOW_SHIFT	30
#ifdef __aarch64__
#define EM_ADDRESS_BITS	48
#else
#define EM_ADDRESS_BITS	47
#endif
#define EM_WINDOW_MIN	(1UL << EM_WINDOW_SHIFT)

enum em_window { EM_SMALL_WINDOW, EM_HUGE_WINDOW };

/*
 * The most tcaches of an expert, and the most threads with a record. Further threads share tcache
 * 0.
 */
#define EM_THREADS	8192

/* Tables become writable in steps of so many bytes. */
#define EM_STEP		(64UL << 10)

#define EM_SLAB_SHIFT	16
#define EM_SLAB_SIZE	(1UL << EM_SLAB_SHIFT)
#define EM_CHUNK_SLABS	32U
#define EM_CHUNK_SIZE	(EM_CHUNK_SLABS * EM_SLAB_SIZE)
#define EM_SMALL_MAX	39872UL
#define EM_CLASSES	99
#define EM_SPAN_CLASS	74		/* from here on, the classes may have spans of 4 slabs */
#define EM_LONG_SPAN_CLASS 90		/* from here on, of 8 */
#define EM_NO_CLASS	EM_CLASSES	/* of a large block */

/* Blocks up to here have a quarantine. */
#define EM_FAST_MAX	4096UL

/*
 * The state of a block is a uint16_t:
 *
 *   EM_STATE_FREE			never used, or in the queue of free blocks
 *   1 + size				live; the size is at most EM_SMALL_MAX
 *   EM_STATE_REMOTE + n		remotely freed and in the list at @remote of the slab; n is the
 *					number of the next block in that list, which was freed before;
 *					EM_NO_BLOCK at the end of the list
 *   EM_STATE_CLAIMED			a thread has won the compare-and-swap that decides which thread
 *					frees the block, and is about to put it into the queue or list.
 *					em_fast_free_shared() changes the state to EM_STATE_FREE at once
 */
#define EM_BLOCKS_MAX	4096U
#define EM_NO_BLOCK	EM_BLOCKS_MAX
#define EM_STATE_FREE	0
#define EM_STATE_REMOTE	(EM_SMALL_MAX + 2)
#define EM_STATE_CLAIMED UINT16_MAX

/* @size: bytes of the region, a multiple of EM_PAGE */
typedef void (*em_region_visitor)(char *region, size_t size, void *arg);

/*
 * em_slab.quarantine of a slab without a quarantine. As it is the largest number, em_fast_alloc()
 * never takes a block from such a slab.
 */
#define EM_NO_QUARANTINE	UINT16_MAX

/* Low bits of em_slab.owner; the other bits are the address of the owner's tcache. */
#define EM_SHARED	1UL	/* each free claims its block by a compare-and-swap */
#define EM_SHARING	2UL	/* em_slab_share() waits for the owner; frees take the lock */
#define EM_OWNER_FLAGS	3UL

/* The pages of a chunk. */
enum em_pages {
	EM_HUGE_PAGES,	/* a region of the huge window */
	EM_SMALL_PAGES,	/* a region of the huge window, of private memory, without huge pages */
	EM_ANY_PAGES,	/* a part of em_heap.small, for blocks of any size */
};

enum em_where {
	EM_POOL,	/* has no class; in the bit mask of its chunk, or in em_heap.limbo */
	EM_CURRENT,	/* em_bin.current: the owner allocates here */
	EM_PARTIAL,	/* in the list em_bin.partial */
	EM_FULL,	/* has few free blocks; in no list */
	EM_SPARE,	/* has no live block; in the list em_tcache.spare, to be pooled */
};

/**
 * struct em_table - a table of the library, whose first part is writable
 * @start: address of the first byte
 * @size: bytes that are mapped; those from @writable on are read-only, and read as zeros
 * @writable: bytes from @start on that can be written; only grows, by compare-and-swap
 */
struct em_table {
	char *start;
	size_t size;
	size_t writable;
};

/*
 * The counts of one tcache. Its thread has allocated @blocks blocks more than it has freed, and
 * @peak_mark - @credit bytes more; both are negative for a thread that frees other threads' blocks.
 * When @credit falls below 0, the expert may have a new peak: em_note_peak(). Only the tcache's
 * thread writes; hosts read from other processes.
 */
struct em_count {
	int64_t blocks, peak_mark, credit;
} __attribute__((aligned(64)));

/*
 * Memory that an expert's process and its hosts share. The expert can overwrite all of it, so hosts
 * only report what it says.
 */
struct em_shared {
	uint32_t flags;			/* ANON: the status word, EXPERTMEM_STATUS_*; atomic */
	pid_t owner;			/* the process that is attached; 0: none yet */
	uint64_t peak_blocks;		/* most bytes in live blocks; written by compare-and-swap */
	uint64_t committed, peak;	/* ANON: bytes; written with the expert's lock held */
	uint64_t sequence;		/* seqlock of @progress: odd while it is written */
	struct expertmem_progress progress;
	EXPERTSTARTUPINFO startup;
	int64_t own_blocks, own_bytes;	/* of em_own_alloc(), included in @counts; atomic */
	uint32_t nr_counts;		/* entries of @counts in use; only grows */
	struct em_count counts[EM_THREADS];	/* by number of the tcache */
};

struct em_expert;
struct em_tcache;
struct em_slab;

/**
 * struct em_thread - the record of a thread that makes calls, and what it caches of one expert
 * @word: the record's own address in a section; EM_PARKED while a signal has interrupted the section
 *	and the signal's handler makes a locked call; else @key
 * @key: key of the expert that the thread used last, which may have been closed since; EM_IDLE:
 *	none yet
 * @status: that expert's status word; or &em_closed, so that the next section begins by begin() of
 *	netmon.c, which looks at the expert's gate
 * @tcache: the thread's tcache of that expert
 * @count: tcache->count
 * @base: expert->base
 * @nr_slabs: number of entries of @slabs
 * @slabs: expert->slabs
 * @classes: expert->classes
 * @expert: that expert's slot
 * @index: index of the record in em_threads
 * @tid: gettid() of the thread; 0: the record is free. Written by compare-and-swap
 * @calls: number of locked calls that found no tcache of the thread; see em_tcache_get()
 * @user: number of threads that have had this record so far
 *
 * A new thread takes over the record of a thread that has ended, and with it the tcaches of that
 * record in all experts. Only the record's thread writes it, but for @tid, and for @status, which
 * em_close_gate() sets to &em_closed.
 *
 * All fields from @tcache to @classes are valid while the expert with @key is open: no other expert ever
 * gets that key. The copies shorten the chain of dependent loads of the fast paths.
 */
struct em_thread {
	uintptr_t word;
	uintptr_t key;
	const uint32_t *status;
	struct em_tcache *tcache;
	struct em_count *count;
	char *base;
	size_t nr_slabs;
	struct em_slab *slabs;

	const uint16_t *classes;
	struct em_expert *expert;
	uint32_t index;
	pid_t tid;
	uint32_t calls;
	uint32_t user;
} __attribute__((aligned(128)));

/*
 * Values of em_thread.word and @key that are no keys of experts. They are addresses, as em_busy() is, so that
 * no caller passes one for a key by accident: that would begin a section inside of a section.
 */
extern const char em_words[3] __attribute__((visibility("hidden")));
#define EM_IDLE		((uintptr_t)&em_words[0])
#define EM_NOBODY	((uintptr_t)&em_words[1])	/* of threads without a record */
#define EM_PARKED	((uintptr_t)&em_words[2])

/* em_thread.word in a section: the fast paths have this address in a register. */
static inline uintptr_t em_busy(const struct em_thread *thread)
{
	return (uintptr_t)thread;
}

/**
 * struct em_slab - 64 KiB of blocks of one class
 * @owner: address of the owner's tcache, with EM_SHARED or EM_SHARING; 0 while the slab has no class
 * @states: state of each block, and one more that is always EM_STATE_FREE
 * @base: address of the slab's first byte; NULL where there is no slab
 * @inverse: 2^32 / @block, rounded up; 0 while the slab has no class; see em_block_at()
 * @mask: number of entries of @queue minus 1; @head & @mask and @tail & @mask are indices of entries
 * @queue: ring of free blocks. An entry is the block's number XOR the entry's index, so that a ring
 *	of zeros has all blocks in order
 * @head: number of blocks that were taken from the ring so far, modulo 2^32
 * @tail: number of blocks that were put into the ring so far, modulo 2^32
 * @extended: @tail after the last em_slab_extend()
 * @limit: number that @head can reach before em_fast_alloc() has to look at @tail; at most
 *	@tail - @quarantine or @extended, and less than @tail. If a slab has lost its quarantine, it is
 *	@head. Classes above EM_FAST_MAX do not use it
 * @wake: when @tail reaches this number, em_tcache_place() has to look at the slab
 * @quarantine: number of free blocks that are not to be allocated; or EM_NO_QUARANTINE
 * @block: bytes of a block
 * @class: index of the class in em_class_size
 * @where: enum em_where
 * @slabs: number of slabs: 1, or those of a span
 * @before: number of slabs of the same span before this one. Every thread reads it. It is written with the
 *	lock held, while no block of the span is live
 * @clean: the slab is in the pool and has no pages
 * @writable: only in the first slab of each EM_STEP of the table of slabs: this part of the table
 *	can be written
 * @blocks: number of blocks
 * @fresh: number of the first block that was never used; it and those after it are not in @queue
 * @next: next slab of the list that @where names, or of em_heap.limbo
 * @prev: previous slab of that list; for the first slab, the last one
 * @remote: number of the block that was remotely freed last, or EM_NO_BLOCK
 * @pending: next slab of em_tcache.pending
 * @chunk: only in the first slab of a chunk
 *
 * Every thread in a section reads @class, @blocks, @before and the fields before @mask. Every thread
 * writes @remote and @pending by compare-and-swap; they have a cache line of their own against false
 * sharing with the fields that the fast paths use. The owner's thread writes @head, @tail, @queue,
 * @fresh, @extended, @limit, @wake, @where and the lists, without a lock. The expert's lock is held where
 * em_slab_share() changes @owner and em_slab_use_quarantine() changes @quarantine. All other fields
 * are written with the lock held, while the slab has no owner.
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
	uint32_t extended;
	uint32_t limit;
	uint32_t wake;
	uint16_t quarantine;
	uint16_t block;

	/* Other threads write here: another cache line, against false sharing. */
	uint32_t remote __attribute__((aligned(64)));
	uint16_t blocks;
	uint16_t fresh;
	struct em_slab *pending;
	struct em_slab *next, *prev;
	uint8_t class;
	uint8_t where;
	uint8_t slabs;
	uint8_t before;
	bool clean;
	bool writable;
	struct {
		uint32_t pool;			/* bit i: slab i of the chunk is in the pool */
		uint32_t pages;			/* enum em_pages */
		struct em_slab *next, *prev;	/* in em_pool.chunks; the first one's @prev is the last */
	} chunk;
} __attribute__((aligned(128)));

/**
 * struct em_bin - the slabs of one class in a tcache
 * @current: the slab where the thread allocates; &em_no_slab: none
 * @next_state: address of the state of the block at the head of the queue of @current
 * @next_block: address of that block
 * @partial: list of slabs with free blocks
 *
 * @next_state and @next_block are precomputed by em_bin_peek() for the fast path. They are valid
 * if @current has a quarantine, and a block in its queue: otherwise no fast path uses them. Only
 * the thread of the tcache uses a bin, or who has paused the expert.
 */
struct em_bin {
	struct em_slab *current;
	uint16_t *next_state;
	char *next_block;
	struct em_slab *partial;
};

/**
 * struct em_tcache - the slabs that one thread has of one expert
 * @bins: by class; the bin of EM_NO_CLASS never has a slab
 * @count: the thread's counts of live blocks and bytes, in em_shared.counts
 * @spare: list of slabs without a live block, which the next locked call pools
 * @thread: index of the thread's record in em_threads; 0: tcache 0, used with the lock held
 * @user: em_thread.user of the thread that used the tcache last
 * @nr_slabs: by class, number of slabs that the tcache owns
 * @passed: this thread has remotely freed a block. As the owner may make no more calls, the end of
 *	the section starts the thread of trim.c
 * @fills: new slabs are filled up. A freed block then waits for as many frees as the quarantine has
 *	blocks; otherwise, for as many allocations
 * @revoked: by class, number of slabs that became shared so far; saturates at REVOKED_MAX
 * @singles: for each class of spans, number of single slabs that the thread has got so far; saturates
 * @pending: list of slabs with remotely freed blocks; other threads push by compare-and-swap, the
 *	owner takes the whole list by an exchange
 *
 * Only the thread @thread uses a tcache, in a section or with the lock held, apart from @pending, and
 * from @revoked and @nr_slabs, which other threads write with the lock held; the thread reads @revoked
 * in sections, too. A thread that has paused the expert uses all tcaches.
 */
struct em_tcache {
	struct em_bin bins[EM_CLASSES + 1];
	struct em_count *count;
	struct em_slab *spare;
	uint32_t thread;
	uint32_t user;
	uint32_t nr_slabs[EM_CLASSES];
	bool passed;
	bool fills;
	uint8_t revoked[EM_CLASSES];
	uint8_t singles[EM_CLASSES - EM_SPAN_CLASS];
	struct em_slab *pending __attribute__((aligned(64)));
} __attribute__((aligned(64)));

/*
 * A large block. @address 0: this entry of the hash table is free. Written with the expert's lock
 * held, between write_begin() and write_end() of large.c; sections read @address and @size by the
 * seqlock em_heap.large_version.
 */
struct em_large {
	uintptr_t address;
	size_t size;
	size_t room;		/* @size, and bytes behind for a canary or for growing */
	char *region;		/* start of the block's region; at most @address, less if aligned */
};

/*
 * A region that a freed large block has left, for the next large block of about this size. @size:
 * bytes, a multiple of the window's granule.
 */
struct em_kept {
	char *region;
	size_t size;
};

/* Most regions that an expert keeps. */
#define EM_KEPT_MAX	32

/*
 * A hash table of large blocks, with open addressing. At most half of the entries are taken. When
 * it is full, a table of twice the size is made behind it in em_heap.tables. The old table stays,
 * because sections may still read it. @kept: regions without a block, in the order of their
 * frees; only the newest table's are valid. @mask is the number of entries minus 1.
 */
struct em_large_table {
	struct em_kept kept[EM_KEPT_MAX];
	size_t mask;
	struct em_large places[];
};

/*
 * A region that grows in place. @used bytes from @base on are in use, @size bytes are allocated, and
 * @room bytes are reserved: behind them is a guard page. @sparse: many pages are read but never written,
 * so huge pages would waste memory. Written with the expert's lock held.
 */
struct em_array {
	char *base;
	size_t used, size, room;
	bool sparse;
};

/**
 * struct em_pool - the pooled slabs of chunks with one enum em_pages
 * @chunks: list of the chunks that have pooled slabs; empty ones of the huge window are last
 * @nr_slabs: number of these slabs
 * @nr_dirty: number of these slabs whose pages were not given back
 * @low_dirty: the lowest @nr_dirty since purge() of pool.c looked
 */
struct em_pool {
	struct em_slab *chunks;
	unsigned int nr_slabs, nr_dirty, low_dirty;
};

/* The heap of an expert. The expert's lock protects all fields, but see @nr_put and @large. */
struct em_heap {
	struct em_pool pools[EM_ANY_PAGES + 1];	/* by enum em_pages */
	struct em_slab *limbo;		/* list of shared slabs, to be pooled after em_wait_all() */
	unsigned int nr_limbo;
	unsigned int nr_chunks;		/* huge chunks: regions of the huge window */
	unsigned int nr_empty;		/* huge chunks with all slabs in the pool */
	unsigned int nr_slabs;		/* slabs that have a class */
	unsigned int puts_since_emptied;	/* slabs that were pooled since a tcache's bins were emptied */
	unsigned int puts_since_purge;	/* slabs that were pooled since purge() of pool.c looked */
	size_t tidy_at;			/* nr_chunks at which tidy() looks into the tcaches */
	/*
	 * @nr_put: number of slabs and spans that were pooled, or got their first remotely freed block, so
	 * far; every thread adds to it, atomically. @nr_seen: @nr_put when trim.c looked last.
	 * @nr_trimmed: @nr_put at the last trim.
	 */
	uint64_t nr_put, nr_seen, nr_trimmed;
	struct em_array small;		/* the slabs of small chunks */
	size_t huge_first, huge_end;	/* all slabs of huge chunks have indices from @huge_first to @huge_end - 1 */
	struct em_array tcaches;	/* struct em_tcache, by number */
	unsigned int nr_tcaches;
	uint16_t *tcache_of;		/* number of the tcache, by index of the thread; 0: none */
	struct em_array states;		/* of blocks, em_slab.states */
	struct em_array queues;		/* of slabs, em_slab.queue */
	struct em_free_states *free_states[EM_CLASSES];
	struct em_array tables;		/* struct em_large_table, the newest one last */
	struct em_large_table *large;	/* the newest table; sections read it */
	uint32_t large_version;		/* seqlock of the table: odd while it is written */
	size_t nr_large;
	unsigned int nr_large_freed;	/* large blocks freed so far; saturates at KEEP_AFTER of large.c */
	unsigned int nr_kept;		/* entries of large->kept in use */
	size_t kept_bytes;		/* of all kept regions */
	size_t large_bytes;		/* of the regions of all large blocks */
};

/*
 * Result of em_slab_free() and em_slab_resize(). EM_NEEDS_SHARING: nothing was done; call
 * em_slab_share() with the lock held, then try again.
 */
enum em_outcome { EM_DONE, EM_NOT_A_BLOCK, EM_NEEDS_SHARING };

/* RLIMIT_AS or RLIMIT_DATA of so many bytes limits nothing. */
#define EM_LIMIT_FAR		(1UL << 38)

/* Bytes of addresses that a process needs besides the heap, for stacks and libraries: see unreserve() */
#define EM_ADDRESSES_LEAST	(256UL << 20)

/*
 * A backend allocates regions: zeroed ranges of a window, aligned to pages. Sizes are in bytes and
 * are rounded up to the granule of the window. All functions are called with the expert's lock
 * held. open(), stats(), terminate(), reclaim() and close() may be called in any process of the
 * expert, the others only in the process that is attached.
 */
struct em_backend {
	enum expertmem_backend id;
	/* Open an expert, or adopt @fd if it is not negative; enum expertmem_error. */
	int (*open)(struct em_expert *expert, const struct expertmem_options *options,
		    int fd);
	/* True: parts of the windows are mapped when regions use them. False: attach() maps all. */
	bool maps_parts;
	/* Map both windows at expert->base, of expert->window bytes each; enum expertmem_error. */
	int (*attach)(struct em_expert *expert);
	/* Unmap both windows. */
	void (*unmap)(struct em_expert *expert);
	/* Returns the region, or NULL. @room: bytes for growing, as of EXPERTMEM_IOC_ALLOC. */
	void *(*alloc)(struct em_expert *expert, enum em_window window, size_t size,
		       size_t room);
	/*
	 * Resize a region in place. False: it has its old size. @huge: private memory may have huge
	 * pages there.
	 */
	bool (*resize)(struct em_expert *expert, void *region, size_t old, size_t size,
		       bool huge);
	void (*free)(struct em_expert *expert, void *region, size_t size);
	/*
	 * Give back the pages of a part of a region. True: all pages are given back, and read as
	 * zeros. False: some pages are not; each has its old bytes or zeros.
	 */
	bool (*discard)(void *start, size_t size);
	/* @page is in no region. @guard: make it fault when touched. Else undo that. */
	void (*guard)(struct em_expert *expert, void *page, bool guard);
	/*
	 * fork_prepare() makes the child's copy of the heap before a fork. fork_parent() follows in
	 * the parent, also if the fork failed. fork_child() puts the copy in place in the child, at
	 * the addresses of the parent's heap. @shares_files: child and parent share one table of
	 * descriptors (CLONE_FILES). Both ints are enum expertmem_error.
	 */
	int (*fork_prepare)(struct em_expert *expert);
	void (*fork_parent)(struct em_expert *expert, bool shares_files);
	int (*fork_child)(struct em_expert *expert, bool shares_files);
	/*
	 * The process is about to set RLIMIT_AS to @limit bytes, which counts addresses: unmap those
	 * that no region uses. The module's windows are replaced by private memory.
	 */
	void (*unreserve)(struct em_expert *expert, size_t limit);
	/* Set EXPERTMEM_STATUS_TERMINATE. False: it failed. */
	bool (*terminate)(struct em_expert *expert);
	/* Give back all pages; @bytes receives how many. enum expertmem_error: nothing changed. */
	int (*reclaim)(struct em_expert *expert, uint64_t *bytes);
	void (*stats)(struct em_expert *expert, struct expertmem_heap_stats *stats);
	/* Undo open(). The windows are unmapped already. */
	void (*close)(struct em_expert *expert);
};

enum {
	EM_DEBUG_CANARY		= 1 << 0,
	EM_DEBUG_FILL		= 1 << 1,
	EM_DEBUG_GUARD		= 1 << 2,
	EM_DEBUG_SITES		= 1 << 3,
	EM_DEBUG_VALGRIND	= 1 << 4,
	EM_DEBUG_ASAN		= 1 << 5,
	/* Any of the flags above: hooks look at each block, so every call takes the lock. */
	EM_DEBUG_BLOCKS		= (1 << 6) - 1,
	EM_DEBUG_REPORT		= 1 << 6,
	EM_DEBUG_ABORT		= 1 << 7,
	EM_DEBUG_CHECK		= 1 << 8,
	EM_DEBUG_LISTENS		= EM_DEBUG_REPORT | EM_DEBUG_ABORT,
};

/* Members of a structure that can also be named together, as the member @name. */
#define EM_GROUP(name, ...) \
	union { \
		struct { __VA_ARGS__ }; \
		struct { __VA_ARGS__ } name; \
	}

/*
 * A part of an expert that only libexpertmem.so has: its capture or its events. The files above
 * netmon.c set it, and the files below call it, so that libexpertmem-malloc.so needs no such file.
 */
struct em_part {
	/*
	 * expertmem_close() has made the key invalid, and calls this without a lock. Returns when no
	 * call uses the part any more, apart from sections.
	 */
	void (*close)(struct em_expert *expert);
	/* Free the part. The expert's lock is held, and the expert is paused, or this is a child. */
	void (*release)(struct em_expert *expert);
	/* This is a child of fork(), in which the expert stays open. */
	void (*after_fork)(struct em_expert *expert);
};

enum { EM_PART_CLIENT, EM_PART_EVENTS, EM_PARTS };

/**
 * struct em_expert - a slot of the table of experts; never freed
 * @gate: the key while sections may begin by begin(); 0 while calls have to take the lock
 * @base: address of the small window; the huge window follows it
 * @span: bytes of both windows; 0 while they are not mapped
 * @slabs: table of slabs: an entry for each EM_SLAB_SIZE bytes of the windows
 *
 * Sections read these four fields without the lock. The lock protects all other fields; those that
 * are read without it are said to be atomic. The members of @opened are 0 when an expert is opened.
 */
struct em_expert {
	HEXPERTKEY gate;
	char *base;
	size_t span;
	struct em_slab *slabs;

	pthread_mutex_t lock;
	sigset_t signals;		/* signal mask that em_unlock() restores, if @masked */
	bool masked;
	const void *holder;		/* &em_self of the thread that holds @lock; NULL: none does */
	uint64_t generation;		/* number of experts that have had this slot; atomic */
	EM_GROUP(opened,
	HEXPERTKEY key;			/* 0: not open */
	const uint32_t *status;		/* EXPERTMEM_STATUS_*; &em_closed while no expert is open */
	bool attached;			/* this process has the windows and the heap */
	bool inherit_on_fork;		/* a child gets a copy of the heap: the program is preloaded */
	unsigned int pause_depth;	/* number of em_pause() without their em_unpause() */
	unsigned int refs;		/* number of calls in em_relock(); expertmem_close() waits */
	unsigned int flags;		/* EXPERTMEM_NO_HUGE, ... */
	unsigned int debug;		/* EM_DEBUG_* */
	unsigned int guard_tick;	/* EM_DEBUG_GUARD: number of blocks that could get a guard page */
	struct em_sites *sites;		/* EM_DEBUG_SITES: who allocated which block */
	struct {
		void *start;
		size_t size;
	} *poisoned;			/* EM_DEBUG_ASAN: regions to unpoison at close */
	size_t nr_poisoned;
	bool has_listener;		/* findings are reported: listener, or EM_DEBUG_LISTENS; atomic */
	uint64_t limit;			/* ANON: most committed bytes; 0: no limit */
	int fd;				/* DEVICE: descriptor; -1: the heap has moved to private memory */
	int heir;			/* DEVICE: descriptor of the child's expert, during fork(); -1: none */
	struct em_copy *copy;		/* DEVICE: private copy, during fork() or unreserve() */
	unsigned int mapped;		/* DEVICE: number of windows that are mapped */
	const struct em_backend *backend;
	struct em_shared *shared;
	struct em_table counts;		/* the memory of @shared */
	size_t window;			/* bytes of one window */
	/* A table of classes.c: the offset of the class in em_tcache.bins by (size + 15) / 16. */
	const uint16_t *classes;
	bool packs;			/* classes are split, and new slabs are filled up */
	bool saves;			/* save memory that is mapped, also if that costs time */
	bool unmapped;			/* no mapping reserves the windows' addresses without a region */
	struct em_gaps *gaps[2];	/* ANON: gaps between regions, by enum em_window */
	size_t idle;			/* ANON: idle_bytes() when unmap_idle() ran last, or less */
	struct em_heap heap;
	expertmem_listener listener;	/* NULL: none */
	void *listener_arg;
	const struct em_part *parts[EM_PARTS];	/* NULL: the expert has no such part */
	struct em_client *client;	/* capture.h; NULL: no capture; atomic */
	struct em_events *events;	/* event.c; NULL: events are dropped */
	);
} __attribute__((aligned(64)));

#endif /* EM_TYPES_H */
