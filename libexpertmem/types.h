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

/* windows are multiples of this, and start at one */
#define EM_WINDOW_SHIFT	30
#ifdef __aarch64__
#define EM_ADDRESS_BITS	48
#else
#define EM_ADDRESS_BITS	47
#endif
#define EM_WINDOW_MIN	(1UL << EM_WINDOW_SHIFT)

enum em_window { EM_SMALL_WINDOW, EM_HUGE_WINDOW };

/* Threads that can have slabs of their own at the same time; the others share some. */
#define EM_THREADS	16384

/* what is mapped, or made writable, at a time */
#define EM_STEP		(64UL << 10)

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
 * struct em_table - memory that reads as zeros, and can be written up to some place
 * @start: the first byte
 * @size: bytes in all, also while they are read-only
 * @writable: bytes from @start on that can be written; only grows
 */
struct em_table {
	char *start;
	size_t size;
	size_t writable;
};

/*
 * What a thread has allocated, less what it has freed: @blocks, and @peak_mark - @credit bytes.
 * When @credit falls below 0 that may be a new peak.
 */
struct em_count {
	int64_t blocks, peak_mark, credit;
} __attribute__((aligned(64)));

/*
 * What an expert and its hosts share across fork(). The expert can spoil it, so the
 * hosts only report what it says.
 */
struct em_shared {
	uint32_t flags;			/* EXPERTMEM_STATUS_*, for ANON */
	pid_t owner;			/* the process that allocates; 0: none yet */
	uint64_t peak_blocks;
	uint64_t committed, peak;	/* ANON */
	uint64_t sequence;		/* odd while progress is written */
	struct expertmem_progress progress;
	EXPERTSTARTUPINFO startup;
	uint32_t nr_counts;
	struct em_count counts[EM_THREADS];	/* by number of the tcache */
};

/**
 * struct em_thread - a thread that makes calls
 * @busy: EM_BUSY in a section; EM_PARKED while that is interrupted by a signal whose
 *	handler makes a call
 * @index: in the table of threads
 * @tid: the kernel's number of the thread; 0: the record is free
 * @calls: that took a lock, up to some
 * @user: counts the threads that had it
 *
 * A record whose thread has ended is taken over by a new one, with all that it had in
 * every expert.
 */
struct em_thread {
	uint32_t busy;
	uint32_t index;
	pid_t tid;
	uint32_t calls;
	uint32_t user;
} __attribute__((aligned(64)));

enum { EM_IDLE, EM_BUSY, EM_PARKED };

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
	/* slabs pooled or left to others so far; at the last look by trim.c; at the last trim */
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

struct em_expert;

/**
 * struct em_tls - what a thread keeps at hand; nobody else reads it
 * @self: its record
 * @key: of the expert whose section it was in last; that may be closed since
 * @expert: the same
 * @status: expert->status; that it is there, only the gate tells
 * @tcache: what the thread has of it
 * @count: tcache->count
 * @base: expert->base
 * @span: expert->span
 * @slabs: where expert->slabs would have the slab at address 0
 *
 * All but @self stays right as long as @key is that of an expert: a key is never used
 * again. It is copied here because a call is as fast as its longest chain of loads.
 */
struct em_tls {
	struct em_thread *self;
	HEXPERTKEY key;
	struct em_expert *expert;
	const uint32_t *status;
	struct em_tcache *tcache;
	struct em_count *count;
	char *base;
	size_t span;
	uintptr_t slabs;
};

/*
 * A backend hands out regions: zeroed ranges of a window, page aligned. Sizes are in
 * bytes and rounded up to the granule of the window. All but open() and stats() are
 * called in the expert's process, with the expert's lock held.
 */
struct em_backend {
	enum expertmem_backend id;
	/* get the expert, or adopt @fd if not below 0; enum expertmem_error */
	int (*open)(struct em_expert *expert, const struct expertmem_options *options,
		    int fd);
	/* windows are mapped part by part, as they are used; false: at once */
	bool maps_parts;
	/* make both windows usable at expert->base, of expert->window bytes each */
	int (*attach)(struct em_expert *expert);
	/* undo that, and give the addresses back */
	void (*unmap)(struct em_expert *expert);
	/* the address, or NULL; @room as EXPERTMEM_IOC_ALLOC has it */
	void *(*alloc)(struct em_expert *expert, enum em_window window, size_t size,
		       size_t room);
	/* in place; false where that is not possible */
	bool (*resize)(struct em_expert *expert, void *region, size_t old, size_t size);
	void (*free)(struct em_expert *expert, void *region, size_t size);
	/*
	 * Give back the pages of a part of a region. True: all of them, and they read as
	 * zero. False: some are still there, with their bytes or with zeros.
	 */
	bool (*discard)(void *start, size_t size);
	/* make sure that the page, which is in no region, faults (@guard), or need not */
	void (*guard)(struct em_expert *expert, void *page, bool guard);
	/*
	 * Before a fork: make what the child is to have, at the same addresses. After it, in
	 * the parent, also where that failed. In the child: go on with it. The child may have
	 * the same table of descriptors as the parent; enum expertmem_error
	 */
	int (*fork_prepare)(struct em_expert *expert);
	void (*fork_parent)(struct em_expert *expert, bool shares_files);
	int (*fork_child)(struct em_expert *expert, bool shares_files);
	/* any process of the expert's; false where that cannot be done */
	bool (*terminate)(struct em_expert *expert);
	/* the same; enum expertmem_error, with nothing changed */
	int (*reclaim)(struct em_expert *expert, uint64_t *bytes);
	void (*stats)(struct em_expert *expert, struct expertmem_heap_stats *stats);
	/* undo open(); the windows are unmapped already */
	void (*close)(struct em_expert *expert);
};

enum {
	EM_DEBUG_CANARY		= 1 << 0,
	EM_DEBUG_FILL		= 1 << 1,
	EM_DEBUG_GUARD		= 1 << 2,
	EM_DEBUG_SITES		= 1 << 3,
	EM_DEBUG_VALGRIND	= 1 << 4,
	EM_DEBUG_ASAN		= 1 << 5,
	/* the above look at blocks, so no call may do without the lock */
	EM_DEBUG_BLOCKS		= (1 << 6) - 1,
	EM_DEBUG_REPORT		= 1 << 6,
	EM_DEBUG_ABORT		= 1 << 7,
	EM_DEBUG_LISTENS		= EM_DEBUG_REPORT | EM_DEBUG_ABORT,
};

/**
 * struct em_expert - a slot of the table of experts; never freed
 * @gate: the key, while calls may go ahead without the lock; else 0
 * @base: of the windows, first the small one, then the huge one
 * @span: bytes of both; 0 while they are not there
 * @slabs: one for each EM_SLAB_SIZE of them, whether or not blocks are there
 *
 * These tell all about a pointer into a slab; they are read without the lock. The
 * rest is under it.
 */
struct em_expert {
	HEXPERTKEY gate;
	char *base;
	size_t span;
	struct em_slab *slabs;

	pthread_mutex_t lock;
	sigset_t signals;		/* to be restored with the lock's release, if @masked */
	bool masked;
	uint64_t generation;		/* counts the experts that had this slot */
	HEXPERTKEY key;			/* 0: not open */
	const uint32_t *status;		/* EXPERTMEM_STATUS_*, always points to something */
	bool attached;			/* the heap is in this process */
	bool inherit_on_fork;			/* and in that of a fork */
	unsigned int pause_depth;		/* how many want the gate closed */
	unsigned int refs;		/* how many gave the lock up, but will go on */
	unsigned int flags;		/* EXPERTMEM_NO_HUGE, ... */
	unsigned int debug;		/* EM_DEBUG_* */
	unsigned int guard_tick;		/* blocks, with EM_DEBUG_GUARD */
	struct em_sites *sites;		/* with EM_DEBUG_SITES */
	struct {
		void *start;
		size_t size;
	} *poisoned;			/* with EM_DEBUG_ASAN */
	size_t nr_poisoned;
	bool has_listener;			/* somebody is to be told what is found */
	uint64_t limit;			/* ANON: bytes, 0: none */
	int fd;				/* DEVICE; -1: a child that has private memory */
	int heir;			/* DEVICE: the child's, around a fork; -1: none */
	struct em_copy *copy;		/* DEVICE: instead of that, where the module is refused */
	unsigned int mapped;		/* DEVICE: windows, also before all are */
	const struct em_backend *backend;
	struct em_shared *shared;
	struct em_table counts;		/* all of @shared, whose end is the counts */
	size_t window;			/* bytes of one */
	bool unmapped;			/* ANON: addresses are chosen, not reserved */
	struct em_gaps *gaps[2];	/* ANON */
	size_t idle;			/* ANON: mapped bytes in no region that are left so */
	struct em_heap heap;
	expertmem_listener listener;
	void *listener_arg;
} __attribute__((aligned(64)));

#endif /* EM_TYPES_H */
