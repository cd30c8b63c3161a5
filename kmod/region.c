// SPDX-License-Identifier: GPL-2.0
/*
 * Regions: which parts of a window hold memory.
 *
 * The tree of a window maps device page offsets to regions. An entry covers what is
 * reserved for its region (@span pages); the gate lets the expert touch the first
 * @pages of these.
 */
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/sched.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include "expertmem.h"

/* In the small window, regions from this size on are given room to grow. */
#define ROOMY_PAGES	(SZ_256K >> PAGE_SHIFT)

/* pages in the regions of all experts */
static atomic_long_t total_pages;

static int charge(struct expertmem_window *window, unsigned long pages)
{
	struct expertmem *expert = window->expert;
	unsigned long committed = expertmem_committed(expert) + pages;
	u64 total_limit = READ_ONCE(expertmem_total_limit);
	unsigned long total;

	lockdep_assert_held(&expert->lock);
	if (expert->limit && committed > expert->limit >> PAGE_SHIFT)
		return -EDQUOT;

	total = atomic_long_add_return(pages, &total_pages);
	if (total_limit && total > total_limit >> PAGE_SHIFT) {
		atomic_long_sub(pages, &total_pages);
		return -ENOMEM;
	}
	window->committed += pages;
	return 0;
}

static void uncharge(struct expertmem_window *window, unsigned long pages)
{
	lockdep_assert_held(&window->expert->lock);
	window->committed -= pages;
	atomic_long_sub(pages, &total_pages);
}

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
 * expertmem_region_close() - close the gate of the end of a busy region
 * @window: its window
 * @region: the region
 * @pages: behind the first so many, nothing is paged in after this
 *
 * Context: expert->lock held; may sleep.
 */
void expertmem_region_close(struct expertmem_window *window,
			    struct expertmem_region *region, unsigned long pages)
{
	struct address_space *mapping = window->file->f_mapping;

	filemap_invalidate_lock(mapping);
	WRITE_ONCE(region->pages, pages);
	filemap_invalidate_unlock(mapping);
}

/**
 * expertmem_region_publish() - done with a busy region
 * @expert: the expert
 * @region: the region; all that it is charged for may be touched from now on
 *
 * Context: expert->lock held.
 */
void expertmem_region_publish(struct expertmem *expert, struct expertmem_region *region)
{
	lockdep_assert_held(&expert->lock);
	expert->peak = max(expert->peak, expertmem_committed(expert));
	WRITE_ONCE(region->pages, region->charged);
	region->state = REGION_LIVE;
}

/**
 * expertmem_region_destroy() - take a busy region out of the tree, and free it
 * @window: its window, which is not gone
 * @region: the region, its pages truncated
 *
 * Where the tree has no memory for that, the addresses stay reserved.
 *
 * Context: expert->lock held; may sleep.
 */
void expertmem_region_destroy(struct expertmem_window *window,
			      struct expertmem_region *region)
{
	uncharge(window, region->charged);
	region->charged = 0;
	window->nr_regions--;
	if (mtree_store_range(&window->regions, region->first,
			      region->first + region->span - 1, NULL, GFP_KERNEL)) {
		region->state = REGION_DEAD;
		return;
	}
	kfree_rcu(region, rcu);
}

/**
 * expertmem_region_trim() - give back the end of a busy region, but for its room
 * @window: its window, which is not gone
 * @region: the region, its pages behind @pages truncated
 * @pages: what stays
 *
 * Context: expert->lock held; may sleep.
 */
void expertmem_region_trim(struct expertmem_window *window,
			   struct expertmem_region *region, unsigned long pages)
{
	unsigned long span = max(pages, region->room);

	uncharge(window, region->charged - pages);
	region->charged = pages;
	if (span < region->span &&
	    !mtree_store_range(&window->regions, region->first + span,
			       region->first + region->span - 1, NULL, GFP_KERNEL))
		region->span = span;
}

/**
 * expertmem_region_extend() - charge a busy region for more, and reserve its addresses
 * @window: its window, which is not gone
 * @region: the region; may be touched no further until it is published
 * @pages: how long it is to be, more than it is charged for
 *
 * Context: expert->lock held; may sleep.
 * Return: 0, or what the uAPI header says of REALLOC.
 */
int expertmem_region_extend(struct expertmem_window *window,
			    struct expertmem_region *region, unsigned long pages)
{
	unsigned long index = region->first + region->span;
	pgoff_t end = region->first + pages;
	int err;

	if (pages > region->span &&
	    (end + window->granule > window->first + window->pages ||
	     mt_find(&window->regions, &index, end + window->granule - 1)))
		return -ENOSPC;

	err = charge(window, pages - region->charged);
	if (err)
		return err;
	if (pages > region->span) {
		err = mtree_store_range(&window->regions, region->first, end - 1,
					region, GFP_KERNEL);
		if (err) {
			uncharge(window, pages - region->charged);
			return err;
		}
		region->span = pages;
	}
	region->charged = pages;
	return 0;
}

/* The first page of the lowest, or highest, gap of @pages. */
static int find_gap(struct expertmem_window *window, unsigned long pages,
		    bool highest, pgoff_t *first)
{
	MA_STATE(mas, &window->regions, 0, 0);
	pgoff_t max = window->first + window->pages - 1;
	int err;

	if (pages > window->pages)
		return -ENOSPC;

	mas_lock(&mas);
	err = highest ? mas_empty_area_rev(&mas, window->first, max, pages) :
			mas_empty_area(&mas, window->first, max, pages);
	mas_unlock(&mas);
	if (err)
		return -ENOSPC;
	*first = mas.index;
	return 0;
}

/*
 * Find a place for @region, with a granule unmapped on either side. Large regions go
 * to the middle of a gap that is at least half as large as the largest, so that with
 * n of them each has about 1/n of the window to grow into. Small ones are packed from
 * the top, where they are in no one's way until the window is full.
 */
static int find_place(struct expertmem_window *window,
		      const struct expertmem_region *region, pgoff_t *first)
{
	unsigned long guard = window->granule;
	unsigned long need = region->span + 2 * guard;
	bool packed = window->granule == 1 && region->span < ROOMY_PAGES;
	unsigned long gap;
	int err;

	if (!packed && !region->room) {
		for (gap = window->pages / 2; gap > need; gap /= 2) {
			if (find_gap(window, gap, false, first))
				continue;
			*first += min(gap / 2, gap - region->span - guard);
			*first = round_down(*first, window->granule);
			return 0;
		}
	}
	err = find_gap(window, need, packed, first);
	*first += guard;
	return err;
}

/* Is the place that @region is to have free, and a granule on either side of it? */
static int check_place(struct expertmem_window *window,
		       const struct expertmem_region *region)
{
	unsigned long index = region->first - window->granule;
	pgoff_t end = region->first + region->span + window->granule;

	if (end > window->first + window->pages)
		return -ENOSPC;
	return mt_find(&window->regions, &index, end - 1) ? -EBUSY : 0;
}

/**
 * expertmem_region_insert() - enter a new, busy region with its gate closed
 * @window: the window
 * @region: the region; its first page is where it has to be, or 0 and set here
 *
 * Context: expert->lock held; may sleep.
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
	/* The tree is freed in one go, and its memory is charged to nobody. */
	if (window->nr_regions >= EXPERTMEM_REGIONS_MAX)
		return -ENOSPC;
	err = region->first ? check_place(window, region) :
			      find_place(window, region, &region->first);
	if (err)
		return err;
	err = charge(window, region->charged);
	if (err)
		return err;
	err = mtree_insert_range(&window->regions, region->first,
				 region->first + region->span - 1, region,
				 GFP_KERNEL);
	if (err) {
		uncharge(window, region->charged);
		return err;
	}
	window->nr_regions++;
	return 0;
}

/**
 * expertmem_region_gate() - may this page be touched?
 * @window: the window
 * @pgoff: the page, as a device page offset
 * @first: receives the first page of its region
 * @last: receives the last page of its region that may be touched
 *
 * Context: any; no lock needed, but only with the invalidate_lock held does the
 *	answer stay true.
 * Return: whether it may.
 */
bool expertmem_region_gate(struct expertmem_window *window, pgoff_t pgoff,
			   pgoff_t *first, pgoff_t *last)
{
	struct expertmem_region *region = NULL;
	unsigned long pages = 0;

	/* A window seen as mapped keeps its regions until rcu_read_unlock(). */
	rcu_read_lock();
	if (READ_ONCE(window->state) == WINDOW_MAPPED)
		region = mtree_load(&window->regions, pgoff);
	if (region) {
		pages = READ_ONCE(region->pages);
		*first = region->first;
		*last = region->first + pages - 1;
	}
	rcu_read_unlock();
	return pages && pgoff <= *last;
}

/**
 * expertmem_region_next() - look at a region
 * @expert: the expert
 * @from: the lowest device page offset at which it may start
 * @region: receives what it is like; nothing that is not there yet, or not any more
 *
 * Context: takes expert->lock; may sleep.
 * Return: its window; NULL: there are no more.
 */
struct expertmem_window *expertmem_region_next(struct expertmem *expert, pgoff_t from,
					       struct expertmem_region *region)
{
	struct expertmem_window *windows[] = { &expert->small, &expert->huge };
	struct expertmem_window *window = NULL;
	struct expertmem_region *found;
	unsigned long index;
	int i;

	mutex_lock(&expert->lock);
	for (i = 0; i < ARRAY_SIZE(windows); i++) {
		if (windows[i]->state != WINDOW_MAPPED)
			continue;
		index = from;
		mt_for_each(&windows[i]->regions, found, index, ULONG_MAX) {
			if (found->pages && found->first >= from) {
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
 * expertmem_regions_retire() - close the gate of a whole window for good
 * @window: a window
 *
 * Its regions count no more; their pages are still to be truncated.
 *
 * Context: expert->lock held; may sleep.
 * Return: true for the one caller that must then expertmem_regions_destroy() it.
 */
bool expertmem_regions_retire(struct expertmem_window *window)
{
	struct address_space *mapping;

	lockdep_assert_held(&window->expert->lock);
	if (window->state != WINDOW_MAPPED) {
		window->state = WINDOW_GONE;
		return false;
	}
	mapping = window->file->f_mapping;
	filemap_invalidate_lock(mapping);
	WRITE_ONCE(window->state, WINDOW_GONE);
	filemap_invalidate_unlock(mapping);
	uncharge(window, window->committed);
	window->nr_regions = 0;
	return true;
}

/**
 * expertmem_regions_destroy() - free all regions of a retired window
 * @window: the window, its pages truncated
 *
 * Context: expert->reclaim_lock held; only the caller of expertmem_regions_retire()
 *	that was told to. May sleep.
 */
void expertmem_regions_destroy(struct expertmem_window *window)
{
	unsigned long index = 0;
	struct expertmem_region *region;

	mt_for_each(&window->regions, region, index, ULONG_MAX) {
		kfree_rcu(region, rcu);
		cond_resched();
	}
	mtree_destroy(&window->regions);
}
