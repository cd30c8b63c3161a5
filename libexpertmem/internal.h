/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files of the library share.
 *
 *   api.c	the calls of Netmon.h, without a lock as far as that goes
 *   locked.c	the same with the expert's lock held
 *   expert.c	the host's calls
 *   table.c	the table of experts: keys, locks, fork
 *   addresses.c	where windows and tables are, and what of them is mapped
 *   report.c	what "expertmem run" is told of the process that it runs
 *   crash.c	how that process crashes
 *   idle.c	a thread that trims experts which do nothing
 *   thread.c	the threads that make calls, and how to wait for them
 *   heap.c	blocks, with the expert's lock held; trimming, walking
 *   slab.c	small blocks: slabs, and what each thread has of them
 *   pool.c	slabs of no class, and the chunks that they are in
 *   large.c	large blocks: regions, and a table of them
 *   debug.c	EXPERTMEM_DEBUG, valgrind, AddressSanitizer
 *   device.c	regions from the kernel module
 *   anon.c	regions from private memory of the process
 *
 * and, in libexpertmem-malloc.so alone, for programs that know nothing of experts
 *
 *   malloc.c	the malloc family
 *   process.c	what makes a child
 *   descriptors.c	what closes the heap's descriptor
 *   filters.c	what filters system calls
 *   handlers.c	what asks for the handlers of signals
 *
 * How the heap works is at the top of heap.h.
 *
 * An expert's addresses are one aligned range: the small window, then the huge one.
 * em_owner_of() tells from an address whose it is.
 *
 * How calls keep out of each other's way:
 *
 *   sections	Most calls take no lock. They set self->busy, see that the gate of the
 *		expert has their key, do their work on what belongs to the thread, and
 *		clear busy again. A section takes no lock, makes no system call and
 *		never waits.
 *   stop	Who must have an expert for itself (to close, trim, walk or fork it)
 *		takes its lock, closes its gate, and waits until each thread was seen
 *		outside a section (em_wait_all()). Calls then find the gate closed, and
 *		wait for the lock.
 *   lock	What needs more than the thread's own slabs: getting and giving back
 *		slabs, large blocks, experts in debug mode.
 *
 * Setting busy and reading the gate must not change places. The price of that is
 * paid by who waits, with membarrier(), not by every call.
 */
#ifndef EM_INTERNAL_H
#define EM_INTERNAL_H

#include <pthread.h>
#include <signal.h>
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

extern const struct em_backend em_device, em_anon;

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

#include "heap.h"

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

/* table.c; by index, and for every EM_WINDOW_MIN of addresses 0 or 1 + the index */
extern struct em_expert em_experts[EM_MAX_EXPERTS];
extern uint16_t em_owners[1UL << (EM_ADDRESS_BITS - EM_WINDOW_SHIFT)];

/* The only expert that can have this key. */
static inline struct em_expert *em_slot_of(HEXPERTKEY key)
{
	return &em_experts[(uintptr_t)key & (EM_MAX_EXPERTS - 1)];
}

/* The expert in whose windows @p is, or NULL. @p is not read. */
static inline struct em_expert *em_owner_of(const void *p)
{
	uintptr_t address = (uintptr_t)p;
	unsigned int owner;

	if (address >> EM_ADDRESS_BITS)
		return NULL;
	owner = __atomic_load_n(&em_owners[address >> EM_WINDOW_SHIFT], __ATOMIC_RELAXED);
	return owner ? &em_experts[owner - 1] : NULL;
}

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

/* The slab that @p points into; NULL also where large blocks may be. */
static inline struct em_slab *em_slab_at(const struct em_expert *expert, const void *p,
					 uint32_t *offset)
{
	size_t at = (uintptr_t)p - (uintptr_t)expert->base;
	struct em_slab *slab;

	if (at >= expert->span)
		return NULL;
	slab = &expert->slabs[at / EM_SLAB_SIZE];
	*offset = at % EM_SLAB_SIZE;
	return __atomic_load_n(&slab->base, __ATOMIC_ACQUIRE) ? slab : NULL;
}

/* thread.c */
extern __thread struct em_tls em_tls __attribute__((tls_model("initial-exec"), aligned(64)));
#define em_self (em_tls.self)
extern struct em_thread *em_threads;
struct em_thread *em_register(void);
bool em_is_dead(const struct em_thread *thread);
bool em_wait_for(const struct em_thread *thread);
bool em_wait_all(void);
bool em_has_sections(void);
extern bool em_filtered;
bool em_unfiltered_begin(void);
void em_unfiltered_end(void);
void em_set_filtered(void);
pid_t em_process(void);
void em_threads_after_fork(void);

/* idle.c */
void em_idle_start(void);
void em_idle_after_fork(void);

/* addresses.c */
void *em_map(size_t size, int sharing);
bool em_table_map(struct em_table *table, void *start, size_t size, int sharing);
bool em_table_use(struct em_table *table, size_t end);
bool em_is_strict(void);
bool em_kernel_suits(void);
extern pthread_mutex_t em_place_lock;
bool em_place(struct em_expert *expert, size_t most);
void em_set_owner(const struct em_expert *expert, bool owner);

/* table.c */
extern const uint32_t em_closed;	/* the status of experts that are not open */
extern bool em_preloaded;
struct em_expert *em_lock(HEXPERTKEY key);
void em_unlock(struct em_expert *expert);
void em_relock(struct em_expert *expert);
void em_pause(struct em_expert *expert);
void em_unpause(struct em_expert *expert);
int em_attach(struct em_expert *expert);
int em_slot_get(struct em_expert **slot);
void em_slot_put(struct em_expert *expert);
unsigned int em_nr_experts(void);
HEXPERTKEY em_key_of(const struct em_expert *expert);
void em_teardown(struct em_expert *expert);
bool em_trim_idle(void);
void em_lock_slot(struct em_expert *expert);

int em_fork_prepare(void);
void em_fork_parent(bool shares_files);
void em_fork_child(bool shares_files);
int em_fork_wrapped(bool wrapped);
void em_filter_begin(void);
/* malloc.c's, taken before all others: the program's expert is being replaced */
extern pthread_mutex_t em_private_lock;

/* report.c */
struct em_shared *em_shared_get(struct em_table *counts);
void em_shared_put(const struct em_table *counts);
bool em_shared_inherit(struct em_table *counts);
void em_report_begin(const struct em_shared *shared);
void em_report_after_fork(void);
void em_report_heap_lost(void);
struct em_crash *em_report_crash(void);

/* crash.c */
void em_crash_catch(void);
void em_crash_freed(const void *start, size_t size);
bool em_crash_is_handler(void (*handler)(int number));

/* expert.c */
bool em_choose_backend(enum expertmem_backend *backend);
void em_report_finding(const struct expertmem_finding *finding);
void em_say(const char *who, const char *what, const char *which);

/* malloc.c */
int em_program_fd(void);
bool em_program_is_here(void);
bool em_program_fd_moves(void);

/* device.c */
extern bool em_device_refused;
extern bool em_device_only;

/* private.c */
struct em_copy *em_copy_make(struct em_expert *expert);
void em_copy_drop(struct em_copy *copy);
bool em_copy_use(struct em_expert *expert, struct em_copy *copy);
void em_copy_free(char *region, size_t size);

/* debug.c */
bool em_debug_parse(unsigned int *flags);
bool em_debug_attach(struct em_expert *expert);
void em_debug_on_map(const struct em_expert *expert, void *start, size_t size);
void em_debug_on_close(struct em_expert *expert);
void em_debug_detach(struct em_expert *expert);
size_t em_debug_padded_size(const struct em_expert *expert, size_t size);
bool em_debug_is_guarded(struct em_expert *expert, size_t size, size_t alignment);
void em_debug_on_alloc(struct em_expert *expert, void *p, size_t size, size_t room,
		   const void *site);
void em_debug_on_shrink(struct em_expert *expert, void *p, size_t old, size_t size, size_t room);
void em_debug_on_free(struct em_expert *expert, void *p, size_t size, size_t room,
		   struct expertmem_finding *found);
void em_debug_on_metadata(struct em_expert *expert, void *start, size_t size);
void em_debug_slab(struct em_expert *expert, void *start);
void em_debug_region(struct em_expert *expert, char *start, size_t size);
void em_debug_leaks(HEXPERTKEY key, bool is_exit);
void em_debug_exit(void);
void em_debug_report(const struct expertmem_finding *finding, unsigned int debug,
		     bool has_listener);

/* locked.c */
SIZE_T em_report_answer(HEXPERTKEY key, enum expertmem_finding_kind kind, const void *p,
		     DWORD error);
SIZE_T em_report_bad(HEXPERTKEY key, enum expertmem_finding_kind kind, const void *p);
void *em_alloc_locked(HEXPERTKEY key, size_t size, size_t alignment, const void *site,
		      DWORD *error);
void *em_realloc_locked(HEXPERTKEY key, void *p, size_t size, const void *site, DWORD *error);
SIZE_T em_free_locked(HEXPERTKEY key, void *p);
SIZE_T em_size_locked(HEXPERTKEY key, void *p);
void em_drop(HEXPERTKEY key, void *block);

static inline void *em_set_error(DWORD *error, DWORD code)
{
	if (error)
		*error = code;
	return NULL;
}

/* api.c: as the calls of Netmon.h, for the malloc family */
void *em_alloc(HEXPERTKEY key, size_t size, const void *site, DWORD *error);
void *em_alloc_aligned(HEXPERTKEY key, size_t alignment, size_t size, const void *site,
		       DWORD *error);
void *em_alloc_zeroed(HEXPERTKEY key, size_t size, const void *site, DWORD *error);
void *em_realloc(HEXPERTKEY key, void *p, size_t size, const void *site, DWORD *error);

static inline void em_enter(struct em_thread *self)
{
	__atomic_store_n(&self->busy, EM_BUSY, __ATOMIC_RELAXED);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);	/* pairs with em_wait_for() */
}

static inline void em_end(struct em_thread *self)
{
	__atomic_store_n(&self->busy, EM_IDLE, __ATOMIC_RELEASE);
}

/*
 * A section of calls that take no lock. True if the thread was last in one of the expert
 * with this key: then that is open, in this process, was not asked to stop, and stays as
 * it is until em_end(). Else there is no section.
 */
static inline bool em_begin(struct em_thread *self, HEXPERTKEY key)
{
	const struct em_expert *expert;

	if (__builtin_expect(self->busy, EM_IDLE) != EM_IDLE)
		return false;
	em_enter(self);
	expert = em_tls.expert;
	if (__builtin_expect(em_tls.key == key, true) &&
	    __builtin_expect(__atomic_load_n(&expert->gate, __ATOMIC_ACQUIRE) == key, true) &&
	    __builtin_expect(!__atomic_load_n(em_tls.status, __ATOMIC_RELAXED), true))
		return true;
	em_end(self);
	return false;
}

/*
 * In a section: what is known of the part of the windows that @p points into, and how far
 * into it. False: not in the windows.
 */
static inline bool em_slab_of(const void *p, struct em_slab **slab, uint32_t *offset)
{
	uintptr_t address = (uintptr_t)p;

	*slab = (struct em_slab *)(em_tls.slabs +
				   (address >> EM_SLAB_SHIFT) * sizeof(**slab));
	*offset = address % EM_SLAB_SIZE;
	return address - (uintptr_t)em_tls.base < em_tls.span;
}

#pragma GCC visibility pop

#endif /* EM_INTERNAL_H */
