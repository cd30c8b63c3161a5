// SPDX-License-Identifier: GPL-2.0
/*
 * Regions: the ranges of a window that hold memory, and the gate that faults check.
 *
 * The regions of a window are nodes of a red-black tree, sorted by their first page. Each
 * reserves @span pages; the gate lets the expert touch the first @pages of these. Every node
 * stores the gap before it and the largest gap in its subtree, so that a place is found in
 * O(log n). The tree needs no memory besides the regions, which are charged to the memory cgroup
 * of the caller. Removing a region cannot fail.
 *
 * Writers hold expert->lock. The gate reads the tree under RCU, without that lock. Rotations never
 * make a loop, and window->seq shows whether a writer changed the tree during a lookup. Such a
 * lookup is repeated under expert->lock.
 */
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/rbtree_augmented.h>
#include <linux/sched.h>
#include <linux/seqlock.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include "expertmem.h"

/* In the small window, regions of at least this size are placed so that they can grow. */
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

/* The page behind the span of a region. */
static pgoff_t region_end(const struct expertmem_region *region)
{
	return region->first + region->span;
}

/* The page behind the last region. */
static pgoff_t regions_end(const struct expertmem_window *window)
{
	struct expertmem_region *last = last_region(window);

	return last ? region_end(last) : 0;
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

/* Set the gap before @region, in pages. */
static void set_gap(struct expertmem_region *region, unsigned long gap)
{
	region->gap = gap;
	gap_callbacks.propagate(&region->node, NULL);
}

/* Set the number of pages that @region reserves. */
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
	region->gap = region->first - (before ? region_end(before) : 0);
	region->max_gap = region->gap;

	write_seqcount_begin(&window->seq);
	/* the barrier in write_seqcount_begin() publishes the fields that the gate reads */
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
 * @first: page offset in the window
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
 * expertmem_region_close() - close the gate of pages at the end of a busy region
 * @region: the region
 * @pages: number of pages, from the start of the region, that still pass the gate
 *
 * Faults that passed the gate before may still be running. Call
 * expertmem_window_wait_for_faults() next, without expert->lock.
 *
 * Context: expert->lock held.
 */
void expertmem_region_close(struct expertmem_region *region, unsigned long pages)
{
	WRITE_ONCE(region->pages, pages);
	WRITE_ONCE(region->owed, min(region->owed, pages));
}

/**
 * expertmem_window_wait_for_faults() - wait for faults that passed the gate before it was closed
 * @window: the window, which has a file; the gate of a part of it, or of all, was closed
 *
 * Afterwards no fault adds a page to that part. A fault that has locked its page already may still
 * map it. Truncation locks the page, too, and so waits for such a fault.
 *
 * Context: none of the expert's locks held but reclaim_lock; may sleep.
 */
void expertmem_window_wait_for_faults(struct expertmem_window *window)
{
	filemap_invalidate_lock(window->file->f_mapping);
	filemap_invalidate_unlock(window->file->f_mapping);
}

/**
 * expertmem_region_publish() - open the gate of a busy region, and make the region live
 * @expert: the expert
 * @region: the region; all its charged pages may be touched from now on
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
 * expertmem_region_destroy() - remove a busy region from the tree, uncharge it, and free it
 * @window: the region's window, which is not gone
 * @region: the region, whose pages were truncated
 * @pinned: number of its pages that are charged as pinned now
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
 * expertmem_region_trim() - uncharge the end of a busy region, and keep its room reserved
 * @window: the region's window, which is not gone
 * @region: the region, whose pages behind the first @pages were truncated
 * @pages: number of pages that stay
 * @pinned: number of truncated pages that are charged as pinned now
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
 * expertmem_region_extend() - charge more pages to a busy region, and reserve their addresses
 * @window: the region's window, which is not gone
 * @region: the region; the new pages do not pass the gate until it is published
 * @pages: new size in pages, greater than @region->charged
 *
 * Context: expert->lock held.
 * Return: 0 or a negative errno, as the uAPI header says of REALLOC.
 */
int expertmem_region_extend(struct expertmem_window *window,
			    struct expertmem_region *region, unsigned long pages)
{
	struct expertmem_region *next = region_after(region);
	pgoff_t bound = next ? next->first : window->pages;
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

/* Find the lowest gap of at least @pages pages; sets @first to its first page. */
static int find_gap(const struct expertmem_window *window, unsigned long pages, pgoff_t *first)
{
	struct expertmem_region *region = to_region(window->regions.rb_node), *left;

	if (!region || region->max_gap < pages) {
		*first = regions_end(window);
		return window->pages - *first < pages ? -ENOSPC : 0;
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

	return max(root ? root->max_gap : 0, window->pages - regions_end(window));
}

/*
 * Find a place for @region, with an unmapped granule on either side. Large regions go to the middle
 * of a gap that is at least half as large as the largest. With n of them, each then has about 1/n
 * of the window to grow into. Small regions take the lowest place that fits, which keeps the
 * number of page tables low.
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

/* Is the place at @region->first free, with a granule on either side? */
static int check_place(const struct expertmem_window *window,
		       const struct expertmem_region *region)
{
	pgoff_t end = region_end(region) + window->granule;
	struct expertmem_region *before = region_at(window, end - 1);

	if (end > window->pages)
		return -ENOSPC;
	return before && region_end(before) + window->granule > region->first ? -EBUSY : 0;
}

/**
 * expertmem_region_insert() - charge a new, busy region, and add it to the tree
 * @window: the window
 * @region: the region, whose gate is closed; its @first is the place where it must be, or 0: find
 *	a place, and set @first
 *
 * Context: expert->lock held.
 * Return: 0 or a negative errno, as the uAPI header says of ALLOC; -EBUSY if another region is in
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
	/* reclaim frees all regions of a tree in one loop, so their number is limited */
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

/* Find the region at @pgoff, or NULL. Return false if the tree was changed during the lookup. */
static bool look_up(struct expertmem_window *window, pgoff_t pgoff,
		    struct expertmem_region **region)
{
	unsigned int seq = raw_seqcount_begin(&window->seq.seqcount);

	*region = region_at(window, pgoff);
	return !read_seqcount_retry(&window->seq.seqcount, seq);
}

/**
 * struct bounds - a copy of the fields of a region that lockless readers need
 * @first: page offset in the window of the first page
 * @pages: number of pages that may be touched; 0: there is no region
 * @owed: number of pages that may have to be copied from the lender first
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
 * Get the bounds of the region at @pgoff. The caller holds the invalidate_lock. Reclaim takes that
 * lock before it frees the tree, so the tree of a window that is not gone stays valid.
 * @wait: see expertmem_region_gate().
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
 * expertmem_region_gate() - the gate: may a page be touched?
 * @window: the window; no page of a window that is not mapped passes
 * @pgoff: the page, as a page offset in the window
 * @first: receives the first page of its region
 * @last: receives the last page of its region that may be touched
 * @wait: if the tree is being changed, wait for that; otherwise the page does not pass
 *
 * Context: the invalidate_lock of the window's file held, so that the answer stays true until the
 *	lock is dropped. With @wait, takes expert->lock.
 * Return: true if the page passes the gate.
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
 * expertmem_region_owes() - may a page have to be copied from the lender first?
 * @window: the window, a borrower
 * @pgoff: the page, as a page offset in the window
 *
 * Context: the invalidate_lock of the window's file held, so that the region is not freed; takes
 *	expert->lock. The answer may change from true to false when the region is paid off.
 * Return: true if the region owes the page.
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
 * expertmem_region_owing() - find the first region that owes pages in a range
 * @window: the window, a borrower
 * @from: first page of the range, as a page offset in the window
 * @last: last page of the range, as a page offset in the window
 * @first: receives the first page of the region
 * @end: receives the last page that the region owes, at least @from
 *
 * Context: takes expert->lock.
 * Return: true if there is one.
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
 * expertmem_region_clear_owed() - record that a region owes nothing any more
 * @window: the region's window
 * @first: first page of the region, as a page offset in the window
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
 * expertmem_region_next() - copy the first region that starts at an offset or behind it
 * @expert: the expert
 * @from: the lowest device page offset at which the region may start
 * @region: receives a copy of the region; regions without touchable pages are skipped
 *
 * Context: takes expert->lock; may sleep.
 * Return: the region's window; NULL if there is no such region, or the caller is being killed.
 */
struct expertmem_window *expertmem_region_next(struct expertmem_expert *expert, pgoff_t from,
					       struct expertmem_region *region)
{
	struct expertmem_window *windows[] = { &expert->small, &expert->huge };
	struct expertmem_window *window = NULL;
	struct expertmem_region *found;
	pgoff_t first;
	int i;

	if (mutex_lock_killable(&expert->lock))
		return NULL;
	for (i = 0; i < ARRAY_SIZE(windows); i++) {
		if (!expertmem_window_lives(windows[i]))
			continue;
		first = from - min(from, windows[i]->first);
		found = first ? region_at(windows[i], first - 1) : NULL;
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
 * expertmem_regions_walk() - iterate over the regions of a window, sorted by offset
 * @window: the window, mapped
 * @region: the previous region, or NULL to begin
 *
 * Context: expert->lock held.
 * Return: the next region, busy ones included; NULL at the end.
 */
struct expertmem_region *expertmem_regions_walk(const struct expertmem_window *window,
						const struct expertmem_region *region)
{
	lockdep_assert_held(&window->expert->lock);
	return region ? region_after(region) : first_region(window);
}

/**
 * expertmem_regions_destroy() - free all regions of a window that is gone
 * @regions: the tree, which was taken from the window; no fault that passed the gate still runs
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
