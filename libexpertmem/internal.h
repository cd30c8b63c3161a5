/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files of the library share.
 *
 *   api.c	the calls of Netmon.h: keys, termination, codes
 *   expert.c	the host's calls: the table of experts, opening, closing, fork
 *   heap.c	blocks: slabs of small ones, a table of large ones
 *   device.c	regions from the kernel module
 *   anon.c	regions from private memory of the process
 *
 * An expert's addresses are one aligned range: the small window, then the huge one.
 * em_owner_of() tells from an address whose it is.
 */
#ifndef EM_INTERNAL_H
#define EM_INTERNAL_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <expertmem.h>

/* Only what the public headers declare is exported. */
#pragma GCC visibility push(hidden)

#define EM_MAX_EXPERTS	4096
#define EM_PAGE		4096UL
#define EM_HUGE		(2UL << 20)

/* windows are multiples of this, and start at one */
#define EM_WINDOW_SHIFT	30
#define EM_WINDOW_MIN	(1UL << EM_WINDOW_SHIFT)

#define EM_CLASSES	33

enum em_window { EM_SMALL_WINDOW, EM_HUGE_WINDOW };

/*
 * What an expert and its hosts share across fork(). The expert can spoil it, so the
 * hosts only report what it says.
 */
struct em_control {
	uint32_t flags;			/* EXPERTMEM_STATUS_*, for ANON */
	pid_t owner;			/* the process that allocates; 0: none yet */
	uint64_t live_blocks, live_bytes, peak_bytes;
	uint64_t committed, peak_committed;	/* ANON */
	uint64_t sequence;		/* odd while progress is written */
	struct expertmem_progress progress;
	EXPERTSTARTUPINFO startup;
};

struct em_expert;

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
	/* map both windows at expert->base, of expert->window bytes each */
	int (*attach)(struct em_expert *expert);
	/* the address, or NULL; @room as EXPERTMEM_IOC_ALLOC has it */
	void *(*alloc)(struct em_expert *expert, enum em_window window, size_t size,
		       size_t room);
	/* in place; false where that is not possible */
	bool (*resize)(struct em_expert *expert, void *region, size_t old, size_t size);
	void (*free)(struct em_expert *expert, void *region, size_t size);
	/* any process of the expert's; false where that cannot be done */
	bool (*terminate)(struct em_expert *expert);
	bool (*reclaim)(struct em_expert *expert, uint64_t *bytes);
	void (*stats)(struct em_expert *expert, struct expertmem_stats *stats);
	/* undo open() and attach(); the windows are unmapped already */
	void (*close)(struct em_expert *expert);
};

extern const struct em_backend em_device, em_anon;

/* where slabs come from: one region of a window that grows in place */
struct em_segment {
	char *base;
	size_t size;			/* bytes that are slabs */
	struct em_slab *slabs;		/* one each */
	size_t slabs_size;		/* bytes of that region */
};

struct em_heap {
	struct em_segment segments[2];	/* by enum em_window */
	struct em_slab *partial[EM_CLASSES];	/* slabs with a free block */
	struct em_slab *empty;		/* slabs of no class */
	/* states of the blocks of slabs: a region that grows, recycled by size */
	char *states;
	size_t states_used, states_size;
	uint16_t *states_free[8];
	/* large blocks: open addressing, by address */
	struct em_large *large;
	size_t large_count, large_mask, large_size;
};

struct em_expert {
	pthread_mutex_t lock;
	uint64_t generation;		/* counts the experts that had this slot */
	bool open;
	bool attached;			/* the heap is in this process */
	unsigned int flags;		/* EXPERTMEM_NO_HUGE, ... */
	uint64_t limit;			/* ANON */
	int fd;				/* DEVICE */
	const struct em_backend *backend;
	const uint32_t *status;		/* EXPERTMEM_STATUS_*, read on every call */
	struct em_control *control;
	char *base;
	size_t window;
	struct em_gaps *gaps[2];	/* ANON */
	struct em_heap heap;
};

static inline char *em_window_base(const struct em_expert *expert, enum em_window window)
{
	return expert->base + (window == EM_HUGE_WINDOW ? expert->window : 0);
}

static inline enum em_window em_window_of(const struct em_expert *expert, const void *p)
{
	return (size_t)((const char *)p - expert->base) >= expert->window ?
	       EM_HUGE_WINDOW : EM_SMALL_WINDOW;
}

/* what the addresses and sizes of a window's regions are multiples of */
static inline size_t em_granule(enum em_window window)
{
	return window == EM_HUGE_WINDOW ? EM_HUGE : EM_PAGE;
}

/* @unit is a power of two */
static inline size_t em_round_up(size_t size, size_t unit)
{
	return (size + unit - 1) & ~(unit - 1);
}

static inline uint32_t em_status(const struct em_expert *expert)
{
	return __atomic_load_n(expert->status, __ATOMIC_RELAXED);
}

/* expert.c */
struct em_expert *em_lock(HEXPERTKEY key);
void em_unlock(struct em_expert *expert);
int em_attach(struct em_expert *expert);
struct em_expert *em_lock_owner_of(const void *p);

/* heap.c; the expert's lock is held */
void *em_heap_alloc(struct em_expert *expert, size_t size);
void *em_heap_realloc(struct em_expert *expert, void *block, size_t size, bool *bad);
bool em_heap_free(struct em_expert *expert, void *block);
bool em_heap_size(struct em_expert *expert, const void *block, size_t *size);
int em_heap_walk(struct em_expert *expert,
		 int (*visit)(void *block, size_t size, void *arg), void *arg);

#pragma GCC visibility pop

#endif /* EM_INTERNAL_H */
