/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the files of the module share.
 *
 * Layers: a file calls only files of the layers below its own.
 * selftests/static/layers_check verifies that.
 *
 *   main.c			load and unload the module
 *   netlink.c			requests of operators and owners
 *   device.c			file operations and ioctls of the device
 *   control.c			CONFIGURE, the limit, TERMINATE
 *   fork.c			FORK: heirs
 *   copy.c			COPY: the regions of one expert, made again in another
 *   alloc.c			ALLOC, REALLOC, FREE
 *   window.c			mmap and page faults of windows
 *   orphan.c			the copies of a window's mapping in child processes
 *   reclaim.c			reclaim of windows, and the death of their process
 *   pages.c			ranges of pages: populate, map, copy, truncate, punch holes
 *   loan.c			owed pages of heirs
 *   pinned.c			pages that others still reference after a truncation
 *   region.c			the tree of regions, and the gate
 *   events.c			events to netlink listeners
 *   message.c			contents of netlink messages
 *   page.c			single pages of a window's file
 *   expert.c			experts: table, references, snapshot
 *   account.c			limits and charges
 *   mount.c, params.c, trace.c	tmpfs mounts, module parameters, tracepoints
 *
 * Lifetimes:
 *
 * An expert can be found by its id from open to release of the device file. A mapping of a window
 * holds a reference to the device file. No window is therefore mapped when release runs.
 *
 * Code that works on an expert without the device file holds a reference to the expert: netlink
 * requests, queued work, the list of experts with pinned pages, and the files of windows. The
 * expert may be released meanwhile. Such code then finds expert->released set and changes
 * nothing but the charges of pages that are pinned no longer.
 *
 * window->file is the shmem file of a window. It exists from mmap or FORK until the expert is
 * released.
 *
 * A window that borrows (loan.c) holds a reference to the device file of its lender. The lender
 * is therefore not released before the loan has ended. A reclaim of either window ends the loan.
 *
 * Locks, from the outermost to the innermost:
 *
 *   mm->mmap_lock		The mm holds it around mmap, open and close of a mapping, and
 *				around a fault. Since 6.6 a fault may hold the lock of the VMA
 *				instead.
 *   expert->reclaim_lock	Shared: reclaims, which may run side by side, and MADV_REMOVE
 *				while it settles loans. Exclusive: release, which drops the
 *				files of the windows.
 *   expert->pins_lock		Protects expert->pins. Held from the search for pinned pages in
 *				a part of a range (64 MiB at most) until that part is truncated.
 *   mapping->invalidate_lock	The lock of a window file's page cache. Shared: from the check
 *				of the gate until the page is in the file and locked; in
 *				fault-around, and for pages made ahead, until the pages are
 *				mapped. Exclusive: to wait for the faults that passed the gate
 *				before it was closed. Afterwards no fault adds a page there. A
 *				fault that has locked its page may still map it; truncation
 *				waits for that page's lock. MADV_REMOVE holds invalidate_lock
 *				exclusively while it truncates pages whose gate is open.
 *   window->borrowers_lock	Of a lender. Protects its list of borrowers. Taken inside the
 *				lender's invalidate_lock, or without it.
 *   mapping->invalidate_lock	Of a borrower, shared, inside the lender's. A lender never
 *				borrows, so there is no third one.
 *   window->loan_lock		Of a borrower. Protects its lender, and the copying of pages
 *				that it owes.
 *   expert->lock		Protects the state, the charges, and the fields of regions.
 *				Writers of the trees of regions hold it. It is never held while
 *				the memory of experts is allocated, read, truncated or copied,
 *				or while a lock of the mm is awaited. Nobody therefore waits
 *				long for it, whatever the expert is doing.
 *   folio lock, i_mmap lock	Inside the mm; never held together with expert->lock, and inside all
 *				others above.
 *   xa_lock of the experts	Protects the table of experts; held from the lookup of an expert
 *				until there is a reference to it.
 *   xa_lock of the users	Protects the table of users and their reference counts.
 *   user->lock			Protects a user's budget of events; inside expert->lock.
 *   drain_lock			Of pinned.c: one drain of the LRU caches at a time; no other
 *				lock of the module is taken inside.
 *   holders_lock		Protects the list of experts with pinned pages.
 *   pid->wait_pidfd.lock	The kernel holds it when it reports that a process died.
 *
 * COPY works on two experts, and holds expert->lock of only one at a time.
 *
 * Work that takes long (populate, copy, truncate) is done without expert->lock. The region is
 * marked busy meanwhile, and other calls leave it alone. Reclaim does not wait for the call that
 * marked the region: it closes the gate of the whole window and frees the regions, and that call
 * finds the window gone. A second caller of reclaim does not wait for the first but truncates the
 * same windows: the first may be a process that gets little CPU time.
 */
#ifndef EXPERTMEM_KMOD_H
#define EXPERTMEM_KMOD_H

#include <linux/atomic.h>
#include <linux/kref.h>
#include <linux/mm_types.h>
#include <linux/mutex.h>
#include <linux/rbtree.h>
#include <linux/rcupdate.h>
#include <linux/rwsem.h>
#include <linux/seqlock.h>
#include <linux/uidgid.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <uapi/linux/expertmem.h>

struct address_space;
struct expertmem_request;
struct expertmem_user;
struct file;
struct folio;
struct mem_cgroup;
struct pid;
struct vfsmount;
struct vm_area_struct;

/**
 * enum expertmem_window_state - the states of a window, in the order in which they follow
 * @WINDOW_UNMAPPED: not mapped yet; has no file and no regions
 * @WINDOW_PREPARED: FORK has given it a file and regions; a child may map it
 * @WINDOW_MOVING: prepared by FORK, and a child is mapping it
 * @WINDOW_MAPPED: mapped; may have regions
 * @WINDOW_GONE: unmapped or reclaimed; no page passes the gate any more
 */
enum expertmem_window_state {
	WINDOW_UNMAPPED,
	WINDOW_PREPARED,
	WINDOW_MOVING,
	WINDOW_MAPPED,
	WINDOW_GONE,
};

/**
 * struct expertmem_window - one of the two mappings of an expert
 * @expert: the expert that the window is a part of; constant
 * @state: enum expertmem_window_state; written under expert->lock, also read without it
 * @granule: pages; regions start and end at multiples of it; constant
 * @first: the device page offset at which the window starts; constant. All other page offsets
 *	count from there, also those in @file
 * @pages: length of the window in pages; written with @file
 * @committed: pages charged for regions; protected by expert->lock
 * @nr_regions: number of regions in the tree; protected by expert->lock
 * @emptied: the window is gone, its pages are free, and no regions are charged any more;
 *	protected by expert->lock
 * @regions: tree of the regions by page offset; writers hold expert->lock
 * @seq: sequence counter of @regions, for readers without expert->lock
 * @file: the shmem file that holds the pages; set by mmap or FORK, dropped by release, both
 *	under expert->lock; stable for callers that hold the device file or a mapping
 * @mm: the mm that maps the window, or that has an orphan for it, without a reference;
 *	dereferenced only while the window is mapped, otherwise compared
 * @address: address of the mapping or the orphan in @mm; constant once @mm is set
 * @inherited: a child has an orphan for this window; protected by expert->lock of the
 *	parent's expert
 * @vmas: number of VMAs of @mm that map the window (two during mremap); protected by the
 *	mmap_lock of @mm
 * @mapper: the process that mapped the window, with a reference; set once, at mmap
 * @death: entry in the pidfd wait queue of @mapper, from mmap to the end of the mapping
 * @work: reclaims the window after the death of @mapper, or after @lost was set
 * @signal: signal that killed @mapper, or 0; written before @work is queued
 * @lender: the window whose pages the regions owe, with a reference to its device file, or
 *	NULL; set by FORK; written under @loan_lock and @lender's @borrowers_lock
 * @lost: a page that this window owes could not be copied before the lender changed or freed
 *	it; the window is being reclaimed; set under the lender's @borrowers_lock, never cleared
 * @loan: entry in @lender's @borrowers
 * @loan_memcg: the memory cgroup of the caller of FORK, with a reference during the loan; the
 *	copies that @lender makes are charged to it
 * @loan_lock: see the top of this file
 * @borrowers: list of the windows whose @lender is this one; protected by @borrowers_lock
 * @borrowers_lock: see the top of this file
 */
struct expertmem_window {
	struct expertmem_expert *expert;
	enum expertmem_window_state state;
	unsigned long granule;
	pgoff_t first;
	unsigned long pages;
	unsigned long committed;
	unsigned long nr_regions;
	bool emptied;
	struct rb_root regions;
	seqcount_mutex_t seq;
	struct file *file;
	struct mm_struct *mm;
	unsigned long address;
	bool inherited;
	unsigned int vmas;
	struct pid *mapper;
	wait_queue_entry_t death;
	struct work_struct work;
	u32 signal;
	struct expertmem_window *lender;
	bool lost;
	struct list_head loan;
	struct mem_cgroup *loan_memcg;
	struct mutex loan_lock;		/* see the top of this file */
	struct list_head borrowers;
	struct rw_semaphore borrowers_lock;	/* see the top of this file */
};

/* Is the window prepared, moving or mapped, so that it can have regions? */
static inline bool expertmem_window_lives(const struct expertmem_window *window)
{
	enum expertmem_window_state state = READ_ONCE(window->state);

	return state > WINDOW_UNMAPPED && state < WINDOW_GONE;
}

/* Does the window lend or borrow, or is it a borrower that has lost pages? */
static inline bool expertmem_window_has_loan(const struct expertmem_window *window)
{
	/* @lost is set first; the worker ends the loan later */
	return smp_load_acquire(&window->lender) || READ_ONCE(window->lost) ||
	       !list_empty(&window->borrowers);
}

/**
 * enum expertmem_region_state - who may change a region
 * @REGION_LIVE: any call that holds expert->lock
 * @REGION_BUSY: only the call that marked it busy, and reclaim. Paying off a loan clears @owed, and
 *	MADV_REMOVE frees pages, in either state
 */
enum expertmem_region_state {
	REGION_LIVE,
	REGION_BUSY,
};

/**
 * struct expertmem_region - a range of a window that holds memory
 * @node: entry in the window's tree
 * @first: page offset of the first page in the window; constant once the region is in the tree
 * @pages: number of pages, from @first on, that may be touched; also read without a lock
 * @charged: number of pages counted against the limits; at least @pages
 * @room: number of pages to keep reserved, from ALLOC; constant
 * @span: number of pages reserved in the tree; at least @charged
 * @owed: number of pages, from @first on, that the lender holds where the window's file has no
 *	copy; at most @pages; also read without a lock
 * @state: enum expertmem_region_state
 * @gap: number of free pages before @first, back to the end of the previous region's @span, or
 *	to the start of the window
 * @max_gap: the largest @gap in the subtree of @node
 * @rcu: frees the region after a grace period, because readers of the tree may still look at it
 *
 * Writers of all fields hold expert->lock.
 */
struct expertmem_region {
	struct rb_node node;
	pgoff_t first;
	unsigned long pages;
	unsigned long charged;
	unsigned long room;
	unsigned long span;
	unsigned long owed;
	enum expertmem_region_state state;
	union {
		struct {
			unsigned long gap;
			unsigned long max_gap;
		};
		struct rcu_head rcu;
	};
};

/**
 * struct expertmem_expert - one open of the device
 * @reclaim_lock: see the top of this file
 * @lock: see the top of this file
 * @ref: reference count; references are held by the device file, the files of windows, netlink
 *	requests, queued work, and the list of experts with pinned pages
 * @id: number of the expert, never reused while the module is loaded; constant
 * @file: the device file, without a reference; constant
 * @told: the event RECLAIMED has been sent; protected by @lock
 * @request: the reclaim that a worker runs and that further requests join, or NULL; protected
 *	by @lock
 * @released: the device file is gone, and nothing changes the expert's state any more;
 *	protected by @lock
 * @privileged: opened with CAP_SYS_RESOURCE: the bounds of a user do not apply, and the
 *	reserve may be used; constant
 * @uid: the owner: real uid of the process that opened the expert; constant
 * @user: the user that the expert is charged to, with a reference; constant
 * @opener: the process that opened the expert, with a reference; constant
 * @mapper: the process that mapped a window first, or NULL; the reference is that of the
 *	window's @mapper; set once, under @lock
 * @opened: time of the open, in ns of CLOCK_BOOTTIME; constant
 * @state: enum expertmem_state; protected by @lock
 * @cause: cause of the reclaim; protected by @lock
 * @configured: CONFIGURE has been called, or FORK has made the expert; protected by @lock
 * @flags: EXPERTMEM_CONFIG_UNSWAPPABLE or 0; protected by @lock
 * @name: name from CONFIGURE, padded with NUL; protected by @lock
 * @limit: limit in bytes, 0: no limit; protected by @lock
 * @pinned: number of pages of folios in @pins, and of folios that a truncation is checking;
 *	updated atomically
 * @pins_lock: see the top of this file
 * @pins: list of the folios that are pinned; protected by @pins_lock
 * @holder: entry in the list of experts with pinned pages; protected by holders_lock
 * @peak: the most pages that were charged when a region was published; protected by @lock
 * @refused: number of ALLOC, REALLOC and COPY calls that failed with EDQUOT or ENOMEM;
 *	protected by @lock
 * @next_hit: earliest time of the next event LIMIT_HIT, in ns of CLOCK_MONOTONIC; protected
 *	by @lock
 * @signal: signal that killed the process that mapped the windows, or 0; set by reclaim,
 *	protected by @lock
 * @freed: sum of what reclaims took back, as RECLAIM returns it; protected by @lock
 * @heir: the device file of the expert that the next child of @testator gets, with a reference,
 *	or NULL; protected by @lock
 * @testator: the thread that called FORK, with a reference, valid while @heir is set; protected
 *	by @lock
 * @status: the status page; callers of mmap() map it read-only
 * @small: the window of 4 KiB granules
 * @huge: the window of 2 MiB granules
 */
struct expertmem_expert {
	struct rw_semaphore reclaim_lock;	/* see the top of this file */
	struct mutex lock;		/* see the top of this file */
	struct kref ref;
	u64 id;
	struct file *file;
	bool told;
	struct expertmem_request *request;
	bool released;
	bool privileged;
	kuid_t uid;
	struct expertmem_user *user;
	struct pid *opener;
	struct pid *mapper;
	u64 opened;
	enum expertmem_state state;
	enum expertmem_cause cause;
	bool configured;
	u32 flags;
	char name[sizeof_field(struct expertmem_config, name)];
	u64 limit;
	atomic_long_t pinned;
	struct mutex pins_lock;		/* see the top of this file */
	struct list_head pins;
	struct list_head holder;
	unsigned long peak;
	u64 refused;
	u64 next_hit;
	u32 signal;
	struct expertmem_reclaim freed;
	struct file *heir;
	struct pid *testator;
	struct page *status;
	struct expertmem_window small;
	struct expertmem_window huge;
};

/**
 * struct expertmem_totals - counters since the module was loaded
 * @opened: number of experts that were opened
 * @refused: number of calls that failed with EDQUOT or ENOMEM
 * @reclaimed: number of experts that were reclaimed, by cause
 * @killed: number of experts that were reclaimed because a signal killed their process
 * @reclaimed_bytes: bytes that were in regions when these were reclaimed
 * @lost_events: number of events that could not be sent for want of memory
 * @suppressed_events: number of events beyond the budget of their user, which were not sent
 */
struct expertmem_totals {
	atomic64_t opened;
	atomic64_t refused;
	atomic64_t reclaimed[EXPERTMEM_CAUSE_OPERATOR + 1];
	atomic64_t killed;
	atomic64_t reclaimed_bytes;
	atomic64_t lost_events;
	atomic64_t suppressed_events;
};

/* params.c */
#define EXPERTMEM_AUTO	U64_MAX		/* uid_limit, uid_max_experts: half of the total */
extern u64 expertmem_default_limit;
extern u64 expertmem_total_limit;
extern unsigned int expertmem_max_experts;
extern u64 expertmem_uid_limit;
extern u64 expertmem_uid_max_experts;

/* mount.c */
int expertmem_mounts_init(void);
void expertmem_mounts_destroy(void);
struct vfsmount *expertmem_mount(const struct expertmem_window *window);
bool expertmem_has_huge(void);

/* account.c */
struct expertmem_user *expertmem_user_get(void);
void expertmem_user_put(struct expertmem_user *user);
void expertmem_users_destroy(void);
bool expertmem_user_may_tell(struct expertmem_expert *expert);
u64 expertmem_effective_uid_limit(void);
unsigned int expertmem_effective_uid_max_experts(void);
int expertmem_charge_expert(struct expertmem_expert *expert);
void expertmem_uncharge_expert(void);
void expertmem_uncharge_expert_user(struct expertmem_expert *expert);
unsigned int expertmem_nr_experts(void);
unsigned int expertmem_user_usage(const struct expertmem_expert *expert, unsigned long *pages);
unsigned long expertmem_committed(const struct expertmem_expert *expert);
unsigned long expertmem_charged(const struct expertmem_expert *expert);
int expertmem_charge(struct expertmem_window *window, unsigned long pages);
void expertmem_uncharge(struct expertmem_window *window, unsigned long pages);
void expertmem_charge_pinned(struct expertmem_window *window, unsigned long pages);
void expertmem_uncharge_pinned(struct expertmem_expert *expert, unsigned long pages);
unsigned long expertmem_total_pinned(void);

/* expert.c */
extern struct expertmem_totals expertmem_totals;
extern struct workqueue_struct *expertmem_workqueue;
unsigned int expertmem_generation(void);
struct expertmem_expert *expertmem_find(unsigned long id);
struct expertmem_expert *expertmem_next(unsigned long *id);
u64 expertmem_new_id(void);
int expertmem_enter(struct expertmem_expert *expert);
void expertmem_leave(struct expertmem_expert *expert);
void expertmem_put(struct expertmem_expert *expert);
void expertmem_snapshot(const struct expertmem_expert *expert, struct expertmem_stat *stat);
void expertmem_set_status(struct expertmem_expert *expert, u32 flags);
unsigned long expertmem_window_resident(const struct expertmem_window *window);
void expertmem_disinherit(struct expertmem_expert *expert);
void expertmem_reclaim_soon(struct expertmem_window *window);

/* page.c */
/* Flags of an allocation that fails when memory runs out, and does not invoke the OOM killer. */
#define EXPERTMEM_NO_KILL	(__GFP_RETRY_MAYFAIL | __GFP_NOWARN)
void expertmem_page_set_no_kill(struct address_space *mapping, bool no_kill);
struct page *expertmem_page_read(struct address_space *mapping, pgoff_t index, gfp_t more);
struct page *expertmem_page_lock(struct address_space *mapping, pgoff_t index, struct page *page,
				 gfp_t more);
struct page *expertmem_page_get(struct address_space *mapping, pgoff_t index, gfp_t more);
struct page *expertmem_page_make(struct address_space *mapping, pgoff_t index, gfp_t more);
void expertmem_page_put_dirty(struct page *page);
unsigned long expertmem_pages_from(struct page *page);
bool expertmem_pages_are_zero(struct page *page, unsigned long pages);
int expertmem_pages_copy(struct page *to, struct page *from, unsigned long pages);
unsigned long expertmem_window_resident_in(struct expertmem_window *window,
					   pgoff_t first, unsigned long pages);

/* events.c */
void expertmem_event(struct expertmem_expert *expert, enum expertmem_event event);

/* region.c */
int expertmem_window_usable(const struct expertmem_window *window);
struct expertmem_region *expertmem_region_find(const struct expertmem_window *window,
					       pgoff_t first);
int expertmem_region_insert(struct expertmem_window *window,
			    struct expertmem_region *region);
void expertmem_window_wait_for_faults(struct expertmem_window *window);
void expertmem_region_publish(struct expertmem_expert *expert, struct expertmem_region *region);
void expertmem_region_destroy(struct expertmem_window *window,
			      struct expertmem_region *region, unsigned long pinned);
int expertmem_region_extend(struct expertmem_window *window,
			    struct expertmem_region *region, unsigned long pages);
void expertmem_region_close(struct expertmem_region *region, unsigned long pages);
void expertmem_region_trim(struct expertmem_window *window, struct expertmem_region *region,
			   unsigned long pages, unsigned long pinned);
bool expertmem_region_gate(struct expertmem_window *window, pgoff_t pgoff,
			   pgoff_t *first, pgoff_t *last, bool wait);
bool expertmem_region_owes(struct expertmem_window *window, pgoff_t pgoff);
bool expertmem_region_owing(struct expertmem_window *window, pgoff_t from, pgoff_t last,
			    pgoff_t *first, pgoff_t *end);
void expertmem_region_clear_owed(struct expertmem_window *window, pgoff_t first);
struct expertmem_window *expertmem_region_next(struct expertmem_expert *expert, pgoff_t from,
					       struct expertmem_region *region);
struct expertmem_region *expertmem_regions_walk(const struct expertmem_window *window,
						const struct expertmem_region *region);
void expertmem_regions_destroy(struct rb_root regions);

/* pinned.c */
struct folio *expertmem_next_held(struct address_space *mapping, pgoff_t *index,
				  pgoff_t last);
unsigned long expertmem_pins_collect(struct expertmem_window *window, pgoff_t first,
				     pgoff_t last, struct list_head *pins);
void expertmem_pins_settle(struct expertmem_expert *expert, struct list_head *pins);
void expertmem_pins_init(void);
void expertmem_pins_check(struct expertmem_expert *expert);
void expertmem_pins_destroy(void);
void expertmem_drain_lru(void);
void expertmem_drain_lru_all(void);

/* loan.c */
void expertmem_loan_init(struct expertmem_window *window);
int expertmem_loan_begin(struct expertmem_window *window, struct expertmem_window *from,
			 void (*owe)(void *arg, bool all), void *arg);
int expertmem_loan_touch(struct expertmem_window *window, pgoff_t index, gfp_t gfp);
void expertmem_loan_take(struct expertmem_window *window, pgoff_t first, pgoff_t last);
int expertmem_loan_pay_off(struct expertmem_window *window, pgoff_t first, pgoff_t last);
void expertmem_loan_stop(struct expertmem_window *window);
void expertmem_loan_end(struct expertmem_window *window);

/* pages.c */
int expertmem_window_populate(struct expertmem_window *window, pgoff_t first,
			      unsigned long pages);
void expertmem_window_map(struct expertmem_window *window, pgoff_t first,
			  unsigned long pages);
int expertmem_window_copy(struct expertmem_window *to, struct expertmem_window *from,
			  pgoff_t first, unsigned long pages, bool zeros,
			  unsigned long *copied);
unsigned long expertmem_window_truncate(struct expertmem_window *window, pgoff_t first,
					unsigned long pages);
long expertmem_punch_hole(struct expertmem_window *window, struct file *file, loff_t offset,
			  loff_t len);

/* reclaim.c */
int expertmem_reclaim(struct expertmem_expert *expert, struct expertmem_window *only,
		      enum expertmem_cause cause, struct expertmem_reclaim *result);
int expertmem_reclaim_for_request(struct expertmem_expert *expert, enum expertmem_cause cause,
				  struct expertmem_reclaim *result);
void expertmem_reclaim_init(struct expertmem_window *window);
void expertmem_death_watch(struct expertmem_window *window);
void expertmem_death_unwatch(struct expertmem_window *window);

/* orphan.c */
int expertmem_window_may_split(struct vm_area_struct *vma, unsigned long addr);
int expertmem_window_mremap(struct vm_area_struct *vma);
void expertmem_orphan_init(struct vm_area_struct *vma);
void expertmem_orphans_take_over(struct expertmem_expert *expert);

/* window.c */
void expertmem_window_init(struct expertmem_window *window,
			   struct expertmem_expert *expert, u64 offset,
			   unsigned long granule);
int expertmem_window_mmap(struct expertmem_window *window,
			  struct vm_area_struct *vma);
struct file *expertmem_window_file(struct expertmem_window *window, unsigned long pages);
void expertmem_window_set_file(struct expertmem_window *window, struct file *file,
			       unsigned long pages);

/* alloc.c */
int expertmem_alloc(struct expertmem_expert *expert, struct expertmem_alloc __user *uarg);
int expertmem_realloc(struct expertmem_expert *expert, struct expertmem_realloc __user *uarg);
int expertmem_free(struct expertmem_expert *expert, struct expertmem_free __user *uarg);
bool expertmem_try_again(struct expertmem_expert *expert, int err);
int expertmem_count_refused(struct expertmem_expert *expert, int err);

/* copy.c */
int expertmem_copy_regions(struct expertmem_expert *to, struct expertmem_expert *from, bool lend);

/* fork.c */
int expertmem_fork(struct expertmem_expert *expert, struct expertmem_fork __user *uarg);

/* control.c */
int expertmem_configure(struct expertmem_expert *expert, struct expertmem_config __user *uarg);
int expertmem_terminate(struct expertmem_expert *expert);
int expertmem_set_limit(struct expertmem_expert *expert, u64 limit, bool may_raise);

/* device.c */
extern const struct file_operations expertmem_fops;

/* netlink.c */
int expertmem_netlink_register(void);
void expertmem_netlink_unregister(void);

#endif /* EXPERTMEM_KMOD_H */
