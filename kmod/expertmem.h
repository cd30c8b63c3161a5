/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the files of the module share.
 *
 * Layers: a file calls only files of the layers below its own. selftests/layers_check verifies
 * that.
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
 * Lifetimes: an expert can be found by its id from open to release of the device
 * file. A mapping of a window holds a reference to that file, so release sees no
 * mapping. Whoever works on an expert without the file (netlink, the worker that reclaims
 * after the death of a process, the list of pinned pages) holds a reference to the expert:
 * it may be released meanwhile, and is then left alone. The expert refers to the shmem file
 * of a window from the window's mmap to the release; that file has a reference to the expert.
 * A window that borrows (loan.c) holds a reference to the device file of its lender, which is
 * therefore not released before the loan has ended; reclaiming either of them ends it.
 *
 * Locks, in the order in which they are taken:
 *
 *   mm->mmap_lock		held by the mm around mmap, fault, open and close
 *   expert->reclaim_lock	shared: reclaims, which may run side by side, and
 *				MADV_REMOVE while it looks for loans; exclusive: release, which
 *				drops the windows' files
 *   expert->pins_lock		expert->pins; held from looking for pinned pages of a
 *				part of a range, 64 MiB at most, until it is truncated
 *   expert->lock		state, charges, the region trees' writers, a region's
 *				fields but for @pages; never held while memory is
 *				allocated, a lock of the mm is waited for, or pages are
 *				read, truncated or copied to or from user space. So
 *				nobody waits long for it, whatever the expert is doing.
 *   mapping->invalidate_lock	the gate; expert->lock may be taken inside of it, and not
 *				the other way round. Shared:
 *				around a look at the gate and the page that it lets in.
 *				Exclusive: to wait, after the gate was closed, for those
 *				who had passed it. From then on nothing adds or maps a
 *				page there, and truncation needs no lock. Also held
 *				exclusively while MADV_REMOVE truncates a part of a
 *				range whose gate is open.
 *   window->borrowers_lock	of a lender: who borrows from it; taken inside of the lender's
 *				invalidate_lock, or with none held
 *   mapping->invalidate_lock	of a borrower, shared, inside of its lender's: lenders never
 *				borrow
 *   window->loan_lock		of a borrower, inside of its invalidate_lock: its lender, and
 *				which pages have been copied while they are owed;
 *				expert->lock of the borrower may be taken inside of it
 *   folio lock, i_mmap lock	inside the mm
 *   xa_lock of the experts	which there are; from finding one to having a reference
 *   xa_lock of the users	which there are, and how many experts refer to each
 *   holders_lock		which experts have pinned pages
 *   pid->wait_pidfd.lock	held by the kernel when it tells that a process died
 *
 * COPY works on two experts, and holds a lock of only one at a time.
 *
 * Work that takes long (populating, truncating) is done with no lock of ours held,
 * on a region that is marked busy, so that no one else changes it meanwhile. Only
 * reclaim does not wait for it: it closes the whole window and frees the regions,
 * and whoever worked on one finds the window gone. Whoever calls for a reclaim that another
 * has begun helps: nobody waits for a process that may have little of a CPU.
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
 * enum expertmem_window_state - a window has one life
 * @WINDOW_UNMAPPED: not mapped yet
 * @WINDOW_PREPARED: made by FORK, with regions; a child may map it
 * @WINDOW_MOVING: the same, and a child is mapping it
 * @WINDOW_MAPPED: mapped; has regions
 * @WINDOW_GONE: unmapped or reclaimed; the gate is closed for good
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
 * @expert: whose it is
 * @state: enum expertmem_window_state; written under expert->lock, read by the gate
 *	without it
 * @granule: pages; regions start and end at multiples of it
 * @first: the device page offset at which the window starts
 * @pages: how long the window is
 * @committed: pages in regions; under expert->lock
 * @nr_regions: under expert->lock
 * @emptied: the window is gone, its pages are back, and nothing is charged for regions any
 *	more; under expert->lock
 * @regions: tree of the regions by device page offset; writers hold expert->lock
 * @seq: of @regions, for the gate
 * @file: the shmem file that holds the pages; set at mmap or by FORK, dropped at release,
 *	under expert->lock; whoever has the device file, or a mapping, needs no lock
 * @mm: who mapped it, or has an orphan for it; only compared
 * @address: where that is; it cannot move
 * @inherited: a child has an orphan for it; under expert->lock of the parent's expert
 * @vmas: how many vmas of @mm show it (two during mremap); under its mmap_lock
 * @mapper: the process that mapped it; set once, at mmap
 * @death: entry in @mapper's wait queue, from mmap to the end of the mapping
 * @work: reclaims the window after the death of @mapper, or when it is @lost
 * @signal: that killed @mapper, 0: none; written before @work is queued
 * @lender: whose pages the regions owe, with a reference to its device file, or NULL; set by
 *	FORK; written under @loan_lock and @lender's @borrowers_lock
 * @lost: a page that it owes could not be copied before the lender gave it up
 * @loan: entry in @lender's @borrowers
 * @loan_memcg: the memory cgroup of who called FORK; pages that @lender copies are charged to it
 * @loan_lock: see the top of this file
 * @borrowers: the windows whose @lender this one is; under @borrowers_lock
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

/* Can the window have regions? */
static inline bool expertmem_window_lives(const struct expertmem_window *window)
{
	enum expertmem_window_state state = READ_ONCE(window->state);

	return state > WINDOW_UNMAPPED && state < WINDOW_GONE;
}

/* Does the window lend to another one, or borrow, or has it lost what it borrowed? */
static inline bool expertmem_window_has_loan(const struct expertmem_window *window)
{
	/* the loan of a window that is lost ends later */
	return smp_load_acquire(&window->lender) || READ_ONCE(window->lost) ||
	       !list_empty(&window->borrowers);
}

/**
 * enum expertmem_region_state - who may change a region
 * @REGION_LIVE: whoever holds expert->lock
 * @REGION_BUSY: the call that marked it
 */
enum expertmem_region_state {
	REGION_LIVE,
	REGION_BUSY,
};

/**
 * struct expertmem_region - a range of a window that holds memory
 * @node: in the window's tree
 * @first: device page offset; constant
 * @pages: how many of them may be touched; read without a lock
 * @charged: pages counted against the limits; at least @pages
 * @room: pages to keep reserved, as asked for in ALLOC; constant
 * @span: pages reserved in the tree; at least @charged
 * @owed: the first so many pages have the bytes of the lender's, where there is no copy yet;
 *	at most @pages; read without a lock
 * @state: enum expertmem_region_state
 * @gap: pages between what the region before reserves, or the start of the window, and @first
 * @max_gap: the largest @gap in the subtree of @node
 * @rcu: readers of the gate may still look at @node and @pages
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
 * @ref: held by the device file, by requests, by work that is queued, and by the list of
 *	experts with pins
 * @id: never reused while the module is loaded
 * @file: the device file; the expert does not hold a reference to it
 * @told: the event that it was reclaimed has been sent; under @lock
 * @request: a reclaim in a worker that others may join, or NULL; under @lock
 * @released: the device file is gone, and nothing is to change any more; under @lock
 * @privileged: opened with CAP_SYS_RESOURCE: no bounds of its user, and the reserve
 * @uid: who opened it
 * @user: the account that it is charged to
 * @opener: the process that did
 * @mapper: the process that mapped a window first, a copy of that window's @mapper; set
 *	once, under @lock
 * @opened: when, in ns of CLOCK_BOOTTIME
 * @state: enum expertmem_state; under @lock
 * @cause: why it was reclaimed; under @lock
 * @configured: CONFIGURE has been called
 * @flags: EXPERTMEM_CONFIG_*
 * @name: from CONFIGURE
 * @limit: bytes, 0: none; under @lock
 * @pinned: pages of @pins
 * @pins_lock: see the top of this file
 * @pins: the folios that are pinned
 * @holder: entry in the list of experts with pins
 * @peak: the most pages charged; under @lock
 * @refused: ALLOC, REALLOC and COPY that failed for want of memory; under @lock
 * @next_hit: when refusals are an event again, in ns; under @lock
 * @signal: that killed its process, once reclaimed; under @lock
 * @freed: what was there when windows were taken back; under @lock
 * @heir: the file of the expert that the next child of @testator gets, with a reference, or
 *	NULL; under @lock
 * @testator: the thread that has called FORK, with a reference while there is a @heir; under
 *	@lock
 * @status: the status page, mapped read-only by whoever asks
 * @small: small pages
 * @huge: huge pages
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
 * struct expertmem_totals - what happened since the module was loaded
 * @opened: experts
 * @refused: calls that failed for want of memory
 * @reclaimed: experts, by cause
 * @killed: of those reclaimed because their process ended, by a signal
 * @reclaimed_bytes: that were in regions when reclaimed
 * @lost_events: that could not be sent
 * @suppressed_events: that passed the budget of their user
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
struct page *expertmem_page_get(struct address_space *mapping, pgoff_t index, gfp_t gfp);
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
