// SPDX-License-Identifier: GPL-2.0
/*
 * Regions: which parts of a window hold memory.
 *
 * The regions of a window are nodes of a red-black tree, sorted by their first page. Each
 * reserves @span pages; the gate lets the expert touch the first @pages of these. Every node
 * knows the gap before it and the largest gap in its subtree, so that a place is found in
 * O(log n). The tree needs no memory but the regions, which are charged to the memory cgroup
 * of whoever makes them, and taking a region out cannot fail.
 *
 * Writers hold expert->lock. The gate reads the tree without it: rotations never make a
 * loop, and a lookup that a writer disturbed is repeated (window->seq).
 */
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/rbtree_augmented.h>
#include <linux/sched.h>
#include <linux/seqlock.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include "expertmem.h"

/* In the small window, regions from this size on are given room to grow. */
#define ROOMY_PAGES	(SZ_256K >> PAGE_SHIFT)

#define to_region(rb)	rb_entry_safe(rb, struct expertmem_region, node)

/* ----------------------------------------------------------------------- tree */

static unsigned long gap_before(const struct expertmem_region *region)
{
	return region->gap;
}

RB_DECLARE_CALLBACKS_MAX(static, gap_callbacks, struct expertmem_region, node,
			 unsigned long, max_gap, gap_before)

static struct expertmem_region *first_region(const struct expertmem_window *window)
{
	return to_region(rb_first(&window->regions));
}

static struct expertmem_region *last_region(const struct expertmem_window *window)
{
	return to_region(rb_last(&window->regions));
}

static struct expertmem_region *region_after(const struct expertmem_region *region)
{
	return to_region(rb_next(&region->node));
}

/* The page behind what a region reserves. */
static pgoff_t region_end(const struct expertmem_region *region)
{
	return region->first + region->span;
}

static pgoff_t window_end(const struct expertmem_window *window)
{
	return window->first + window->pages;
}

/* The page behind all regions. */
static pgoff_t regions_end(const struct expertmem_window *window)
{
	struct expertmem_region *last = last_region(window);

	return last ? region_end(last) : window->first;
}

/* The last region that starts at @pgoff or before it. */
static struct expertmem_region *region_at(const struct expertmem_window *window, pgoff_t pgoff)
{
	struct rb_node *node = READ_ONCE(window->regions.rb_node);
	struct expertmem_region *region, *found = NULL;

	while (node) {
		region = to_region(node);
		if (region->first <= pgoff) {
			found = region;
			node = READ_ONCE(node->rb_right);
		} else {
			node = READ_ONCE(node->rb_left);
		}
	}
	return found;
}

/* The gap before @region has become @gap pages long. */
static void set_gap(struct expertmem_region *region, unsigned long gap)
{
	region->gap = gap;
	gap_callbacks.propagate(&region->node, NULL);
}

/* @region has come to reserve @span pages. */
static void set_span(struct expertmem_region *region, unsigned long span)
{
	struct expertmem_region *next = region_after(region);

	if (next)
		set_gap(next, next->gap + region->span - span);
	region->span = span;
}

static void link_region(struct expertmem_window *window, struct expertmem_region *region)
{
	struct rb_node **link = &window->regions.rb_node, *parent = NULL;
	struct expertmem_region *before = NULL, *next;

	while (*link) {
		parent = *link;
		if (to_region(parent)->first < region->first) {
			before = to_region(parent);
			link = &parent->rb_right;
		} else {
			link = &parent->rb_left;
		}
	}
	region->gap = region->first - (before ? region_end(before) : window->first);
	region->max_gap = region->gap;

	write_seqcount_begin(&window->seq);
	/* write_seqcount_begin() is a barrier: what the gate reads of it is there before */
	rb_link_node(&region->node, parent, link);
	gap_callbacks.propagate(parent, NULL);
	rb_insert_augmented(&region->node, &window->regions, &gap_callbacks);
	write_seqcount_end(&window->seq);

	next = region_after(region);
	if (next)
		set_gap(next, next->first - region_end(region));
	window->nr_regions++;
}

static void unlink_region(struct expertmem_window *window, struct expertmem_region *region)
{
	struct expertmem_region *next = region_after(region);
	unsigned long freed = region->gap + region->span;

	write_seqcount_begin(&window->seq);
	rb_erase_augmented(&region->node, &window->regions, &gap_callbacks);
	write_seqcount_end(&window->seq);
	if (next)
		set_gap(next, next->gap + freed);
	window->nr_regions--;
}

/* -------------------------------------------------------------------- regions */

/**
 * expertmem_window_usable() - may regions of a window be made or resized?
 * @window: the window
 *
 * Context: expert->lock held.
 * Return: 0, -ESHUTDOWN or -ECANCELED.
 */
int expertmem_window_usable(const struct expertmem_window *window)
{
	lockdep_assert_held(&window->expert->lock);
	if (window->expert->state == EXPERTMEM_STATE_RECLAIMED ||
	    window->state == WINDOW_GONE)
		return -ESHUTDOWN;
	if (window->expert->state == EXPERTMEM_STATE_TERMINATING)
		return -ECANCELED;
	return 0;
}

/**
 * expertmem_region_find() - find the region that starts at an offset
 * @window: the window
 * @first: device page offset
 *
 * Context: expert->lock held.
 * Return: the region, or NULL.
 */
struct expertmem_region *expertmem_region_find(const struct expertmem_window *window,
					       pgoff_t first)
{
	struct expertmem_region *region = region_at(window, first);

	lockdep_assert_held(&window->expert->lock);
	return region && region->first == first ? region : NULL;
}

/**
 * expertmem_region_close() - close the gate of the end of a busy region
 * @region: the region
 * @pages: faults behind the first so many are refused from now on
 *
 * Faults that have passed the gate before may still be under way: without expert->lock, call
 * expertmem_window_wait_for_faults() next.
 *
 * Context: expert->lock held.
 */
void expertmem_region_close(struct expertmem_region *region, unsigned long pages)
{
	WRITE_ONCE(region->pages, pages);
	WRITE_ONCE(region->owed, min(region->owed, pages));
}

/**
 * expertmem_window_wait_for_faults() - wait for faults that have passed the gate
 * @window: the window, which has a file; part of the gate, or all, has been closed
 *
 * Afterwards no fault adds a page there. One that has its page already, locked, may still
 * map it: truncation, which locks it as well, waits for that.
 *
 * Context: no lock of the expert's held but reclaim_lock; may sleep.
 */
void expertmem_window_wait_for_faults(struct expertmem_window *window)
{
	filemap_invalidate_lock(window->file->f_mapping);
	filemap_invalidate_unlock(window->file->f_mapping);
}

/**
 * expertmem_region_publish() - done with a busy region
 * @expert: the expert
 * @region: the region; all that it is charged for may be touched from now on
 *
 * Context: expert->lock held.
 */
void expertmem_region_publish(struct expertmem_expert *expert, struct expertmem_region *region)
{
	lockdep_assert_held(&expert->lock);
	expert->peak = max(expert->peak, expertmem_charged(expert));
	WRITE_ONCE(region->pages, region->charged);
	region->state = REGION_LIVE;
}

/**
 * expertmem_region_destroy() - take a busy region out of the tree, and free it
 * @window: its window, which is not gone
 * @region: the region, its pages truncated
 * @pinned: how many of these are charged as pinned now
 *
 * Context: expert->lock held.
 */
void expertmem_region_destroy(struct expertmem_window *window,
			      struct expertmem_region *region, unsigned long pinned)
{
	expertmem_uncharge(window, region->charged - pinned);
	unlink_region(window, region);
	kfree_rcu(region, rcu);
}

/**
 * expertmem_region_trim() - give back the end of a busy region, but for its room
 * @window: its window, which is not gone
 * @region: the region, its pages behind @pages truncated
 * @pages: what stays
 * @pinned: how many of the others are charged as pinned now
 *
 * Context: expert->lock held.
 */
void expertmem_region_trim(struct expertmem_window *window, struct expertmem_region *region,
			   unsigned long pages, unsigned long pinned)
{
	expertmem_uncharge(window, region->charged - pages - pinned);
	region->charged = pages;
	set_span(region, max(pages, region->room));
}

/**
 * expertmem_region_extend() - charge a busy region for more, and reserve its addresses
 * @window: its window, which is not gone
 * @region: the region; may be touched no further until it is published
 * @pages: how long it is to be, more than it is charged for
 *
 * Context: expert->lock held.
 * Return: 0, or what the uAPI header says of REALLOC.
 */
int expertmem_region_extend(struct expertmem_window *window,
			    struct expertmem_region *region, unsigned long pages)
{
	struct expertmem_region *next = region_after(region);
	pgoff_t bound = next ? next->first : window_end(window);
	int err;

	if (pages > region->span && region->first + pages + window->granule > bound)
		return -ENOSPC;
	err = expertmem_charge(window, pages - region->charged);
	if (err)
		return err;
	region->charged = pages;
	if (pages > region->span)
		set_span(region, pages);
	return 0;
}

/* The first page of the lowest gap of at least @pages. */
static int find_gap(const struct expertmem_window *window, unsigned long pages, pgoff_t *first)
{
	struct expertmem_region *region = to_region(window->regions.rb_node), *left;

	if (!region || region->max_gap < pages) {
		*first = regions_end(window);
		return window_end(window) - *first < pages ? -ENOSPC : 0;
	}
	for (;;) {
		left = to_region(region->node.rb_left);
		if (left && left->max_gap >= pages) {
			region = left;
			continue;
		}
		if (region->gap >= pages)
			break;
		region = to_region(region->node.rb_right);
	}
	*first = region->first - region->gap;
	return 0;
}

static unsigned long largest_gap(const struct expertmem_window *window)
{
	struct expertmem_region *root = to_region(window->regions.rb_node);

	return max(root ? root->max_gap : 0, window_end(window) - regions_end(window));
}

/*
 * Find a place for @region, with a granule unmapped on either side. Large regions go to the
 * middle of a gap that is at least half as large as the largest, so that with n of them each
 * has about 1/n of the window to grow into. Small ones take the lowest place that fits: the
 * fewer addresses were ever touched, the fewer page tables there are.
 */
static int find_place(const struct expertmem_window *window,
		      const struct expertmem_region *region, pgoff_t *first)
{
	unsigned long guard = window->granule;
	unsigned long need = region->span + 2 * guard;
	bool packed = window->granule == 1 && region->span < ROOMY_PAGES;
	unsigned long gap = window->pages / 2;
	unsigned long largest;
	int err;

	if (!packed && !region->room) {
		largest = largest_gap(window);
		while (gap > largest)
			gap /= 2;
		if (gap > need && !find_gap(window, gap, first)) {
			*first += min(gap / 2, gap - region->span - guard);
			*first = round_down(*first, window->granule);
			return 0;
		}
	}
	err = find_gap(window, need, first);
	*first += guard;
	return err;
}

/* Is the place that @region is to have free, and a granule on either side of it? */
static int check_place(const struct expertmem_window *window,
		       const struct expertmem_region *region)
{
	pgoff_t end = region_end(region) + window->granule;
	struct expertmem_region *before = region_at(window, end - 1);

	if (end > window_end(window))
		return -ENOSPC;
	return before && region_end(before) + window->granule > region->first ? -EBUSY : 0;
}

/**
 * expertmem_region_insert() - enter a new, busy region with its gate closed
 * @window: the window
 * @region: the region; its first page is where it has to be, or 0 and set here
 *
 * Context: expert->lock held.
 * Return: 0, or what the uAPI header says of ALLOC; -EBUSY where another region is in
 *	the way.
 */
int expertmem_region_insert(struct expertmem_window *window,
			    struct expertmem_region *region)
{
	int err;

	err = expertmem_window_usable(window);
	if (err)
		return err;
	if (window->state == WINDOW_UNMAPPED)
		return -ENXIO;
	/* The tree is freed in one go. */
	if (window->nr_regions >= EXPERTMEM_REGIONS_MAX)
		return -ENOSPC;
	err = region->first ? check_place(window, region) :
			      find_place(window, region, &region->first);
	if (err)
		return err;
	err = expertmem_charge(window, region->charged);
	if (err)
		return err;
	link_region(window, region);
	return 0;
}

/* The region at @pgoff, or NULL; false: the tree is being changed. */
static bool look_up(struct expertmem_window *window, pgoff_t pgoff,
		    struct expertmem_region **region)
{
	unsigned int seq = raw_seqcount_begin(&window->seq.seqcount);

	*region = region_at(window, pgoff);
	return !read_seqcount_retry(&window->seq.seqcount, seq);
}

/**
 * struct bounds - what readers of the tree want to know of a region
 * @first: device page offset
 * @pages: how many of them may be touched; 0: there is no region
 * @owed: how many of them may have to be copied from the lender first
 */
struct bounds {
	pgoff_t first;
	unsigned long pages;
	unsigned long owed;
};

static void read_bounds(const struct expertmem_region *region, struct bounds *bounds)
{
	if (!region)
		return;
	bounds->first = region->first;
	bounds->pages = READ_ONCE(region->pages);
	bounds->owed = READ_ONCE(region->owed);
}

/*
 * The bounds of the region at @pgoff. The invalidate_lock is held, and until it is dropped a window
 * that was seen to live keeps its tree. @wait: see expertmem_region_gate().
 */
static struct bounds bounds_at(struct expertmem_window *window, pgoff_t pgoff, bool wait)
{
	struct expertmem_region *region;
	struct bounds bounds = { };
	bool sure;

	rcu_read_lock();
	sure = look_up(window, pgoff, &region);
	if (sure)
		read_bounds(region, &bounds);
	rcu_read_unlock();
	if (!sure && wait) {
		mutex_lock(&window->expert->lock);
		if (expertmem_window_lives(window))
			read_bounds(region_at(window, pgoff), &bounds);
		mutex_unlock(&window->expert->lock);
	}
	return bounds;
}

/**
 * expertmem_region_gate() - may this page be touched?
 * @window: the window
 * @pgoff: the page, as a device page offset
 * @first: receives the first page of its region
 * @last: receives the last page of its region that may be touched
 * @wait: where a region is just being made or freed, wait for that; otherwise the answer is no
 *
 * Context: the invalidate_lock of the window's file held, so that the answer stays true. With
 *	@wait, takes expert->lock.
 * Return: whether it may.
 */
bool expertmem_region_gate(struct expertmem_window *window, pgoff_t pgoff,
			   pgoff_t *first, pgoff_t *last, bool wait)
{
	struct bounds bounds;

	if (READ_ONCE(window->state) != WINDOW_MAPPED)
		return false;
	bounds = bounds_at(window, pgoff, wait);
	*first = bounds.first;
	*last = bounds.first + bounds.pages - 1;
	return bounds.pages && pgoff <= *last;
}

/**
 * expertmem_region_owes() - may this page have to be copied from the lender first?
 * @window: the window, a borrower
 * @pgoff: the page, as a device page offset
 *
 * Context: the invalidate_lock of the window's file held, so that the answer stays true, but
 *	for a region that is being paid off; takes expert->lock.
 * Return: whether it may.
 */
bool expertmem_region_owes(struct expertmem_window *window, pgoff_t pgoff)
{
	struct bounds bounds;

	if (!expertmem_window_lives(window))
		return false;
	bounds = bounds_at(window, pgoff, true);
	return pgoff - bounds.first < bounds.owed;
}

/**
 * expertmem_region_owing() - find a region that owes pages
 * @window: the window, a borrower
 * @from: it reaches to this device page offset, or beyond
 * @last: it begins there, or before
 * @first: receives its first page
 * @end: receives the last that it owes
 *
 * Context: takes expert->lock.
 * Return: whether there is one.
 */
bool expertmem_region_owing(struct expertmem_window *window, pgoff_t from, pgoff_t last,
			    pgoff_t *first, pgoff_t *end)
{
	struct expertmem_region *region = NULL;

	mutex_lock(&window->expert->lock);
	if (expertmem_window_lives(window))
		region = region_at(window, from) ?: first_region(window);
	while (region && region->first <= last &&
	       (!region->owed || region->first + region->owed <= from))
		region = region_after(region);
	if (region && region->first > last)
		region = NULL;
	if (region) {
		*first = region->first;
		*end = region->first + region->owed - 1;
	}
	mutex_unlock(&window->expert->lock);
	return region;
}

/**
 * expertmem_region_clear_owed() - a region owes nothing any more
 * @window: its window
 * @first: its first page, as a device page offset
 *
 * Context: takes expert->lock.
 */
void expertmem_region_clear_owed(struct expertmem_window *window, pgoff_t first)
{
	struct expertmem_region *region;

	mutex_lock(&window->expert->lock);
	region = expertmem_window_lives(window) ? expertmem_region_find(window, first) : NULL;
	if (region)
		WRITE_ONCE(region->owed, 0);
	mutex_unlock(&window->expert->lock);
}

/**
 * expertmem_region_next() - look at a region
 * @expert: the expert
 * @from: the lowest device page offset at which it may start
 * @region: receives what it is like; nothing that is not there yet, or not any more
 *
 * Context: takes expert->lock; may sleep.
 * Return: its window; NULL: there are no more, or the caller is being killed.
 */
struct expertmem_window *expertmem_region_next(struct expertmem_expert *expert, pgoff_t from,
					       struct expertmem_region *region)
{
	struct expertmem_window *windows[] = { &expert->small, &expert->huge };
	struct expertmem_window *window = NULL;
	struct expertmem_region *found;
	int i;

	if (mutex_lock_killable(&expert->lock))
		return NULL;
	for (i = 0; i < ARRAY_SIZE(windows); i++) {
		if (!expertmem_window_lives(windows[i]))
			continue;
		found = from ? region_at(windows[i], from - 1) : NULL;
		found = found ? region_after(found) : first_region(windows[i]);
		for (; found; found = region_after(found)) {
			if (found->pages) {
				*region = *found;
				window = windows[i];
				goto unlock;
			}
			cond_resched();
		}
	}
unlock:
	mutex_unlock(&expert->lock);
	return window;
}

/**
 * expertmem_regions_walk() - go through the regions of a window
 * @window: the window, mapped
 * @region: the region before, NULL: begin
 *
 * Context: expert->lock held.
 * Return: the next region by offset, busy ones included; NULL: no more.
 */
struct expertmem_region *expertmem_regions_walk(const struct expertmem_window *window,
						const struct expertmem_region *region)
{
	lockdep_assert_held(&window->expert->lock);
	return region ? region_after(region) : first_region(window);
}

/**
 * expertmem_regions_destroy() - free all regions of a window that is gone
 * @regions: what was its tree; no fault that has passed the gate is under way
 *
 * Context: may sleep.
 */
void expertmem_regions_destroy(struct rb_root regions)
{
	struct expertmem_region *region, *next;

	rbtree_postorder_for_each_entry_safe(region, next, &regions, node) {
		kfree(region);
		cond_resched();
	}
}
