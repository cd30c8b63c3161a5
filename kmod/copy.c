// SPDX-License-Identifier: GPL-2.0
/*
 * Copy: make the regions of one expert, the source, again in another, the destination, at the same
 * offsets. COPY and FORK use it.
 *
 *	List the regions of the source, under its expert->lock.
 *	Enter the same regions in the destination, under its expert->lock. They are busy, and
 *	their gates are closed.
 *	Copy the pages, with neither lock held.
 *	Publish all regions under one hold of the lock, and map the pages. After an error, truncate
 *	and destroy the regions instead.
 *
 * FORK publishes the regions before pages are copied, because nobody can touch the destination
 * yet. Then the source lends its pages (loan.c). If the source itself borrows, its lender lends
 * to the destination too, and the pages that the source has are copied.
 */
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "expertmem.h"
#include "trace.h"

/* Number of regions to enter before the destination's expert->lock is dropped for others. */
#define BATCH	256

/**
 * struct extent - a region of the source, as it was when it was listed
 * @first: page offset in the window of its first page
 * @huge: it is in the huge window
 * @pages: number of pages that could be touched
 * @room: number of pages from ALLOC's room
 * @owed: number of pages that its lender may hold
 * @copy: the region of the destination that is its copy
 */
struct extent {
	pgoff_t first;
	bool huge;
	unsigned long pages;
	unsigned long room;
	unsigned long owed;
	struct expertmem_region *copy;
};

/**
 * struct copy - the state of one COPY or FORK
 * @from: the source
 * @to: the destination
 * @extents: array of the listed regions, sorted by offset
 * @nr: number of @extents
 * @made: number of @extents, from the first on, whose @copy has been allocated
 * @entered: number of @extents, from the first on, whose @copy is in the destination's tree
 * @pages: number of pages copied so far
 * @lend: the source is to lend its pages (FORK)
 * @lent: the window of the destination that is about to borrow
 */
struct copy {
	struct expertmem_expert *from;
	struct expertmem_expert *to;
	struct extent *extents;
	unsigned long nr;
	unsigned long made;
	unsigned long entered;
	unsigned long pages;
	bool lend;
	const struct expertmem_window *lent;
};

static struct expertmem_window *window_of(struct expertmem_expert *expert,
					  const struct extent *extent)
{
	return extent->huge ? &expert->huge : &expert->small;
}

static unsigned long nr_regions(const struct expertmem_expert *expert)
{
	lockdep_assert_held(&expert->lock);
	return expert->small.nr_regions + expert->huge.nr_regions;
}

/*
 * List the touchable pages of each region. A region that is being made or freed has none, and
 * one that is being resized has those of the smaller size.
 */
static void list_window(struct copy *copy, struct expertmem_window *window)
{
	struct expertmem_region *region = NULL;

	lockdep_assert_held(&window->expert->lock);
	if (window->state != WINDOW_MAPPED)
		return;
	while ((region = expertmem_regions_walk(window, region))) {
		if (region->pages)
			copy->extents[copy->nr++] = (struct extent) {
				.first = region->first,
				.huge = window == &copy->from->huge,
				.pages = region->pages,
				.room = region->room,
				.owed = region->owed,
			};
		cond_resched();
	}
}

/* Memory for the list is allocated without the lock. Meanwhile regions may be added; then retry. */
static int list_regions(struct copy *copy)
{
	struct expertmem_expert *from = copy->from;
	unsigned long max = 0;
	unsigned long nr;

	for (;;) {
		mutex_lock(&from->lock);
		if (from->state == EXPERTMEM_STATE_RECLAIMED) {
			mutex_unlock(&from->lock);
			return -ESHUTDOWN;
		}
		nr = nr_regions(from);
		if (nr <= max) {
			list_window(copy, &from->small);
			list_window(copy, &from->huge);
			mutex_unlock(&from->lock);
			return 0;
		}
		mutex_unlock(&from->lock);

		max = nr + nr / 8;
		kvfree(copy->extents);
		copy->extents = kvmalloc_array(max, sizeof(*copy->extents),
					       GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
		if (!copy->extents)
			return -ENOMEM;
	}
}

/* The destination was reclaimed, or has lost a window: give up. */
static bool is_over(const struct expertmem_expert *to)
{
	lockdep_assert_held(&to->lock);
	return to->state == EXPERTMEM_STATE_RECLAIMED ||
	       to->small.state == WINDOW_GONE || to->huge.state == WINDOW_GONE;
}

static int check_destination(const struct expertmem_expert *to)
{
	if (is_over(to))
		return -ESHUTDOWN;
	if (to->state == EXPERTMEM_STATE_TERMINATING)
		return -ECANCELED;
	return nr_regions(to) ? -EBUSY : 0;
}

/* Allocate the regions of the destination before its lock is taken. */
static int make_regions(struct copy *copy)
{
	struct expertmem_region *region;
	struct extent *extent;

	for (; copy->made < copy->nr; copy->made++) {
		if (fatal_signal_pending(current))
			return -EINTR;
		region = kzalloc(sizeof(*region), GFP_KERNEL_ACCOUNT);
		if (!region)
			return -ENOMEM;
		extent = &copy->extents[copy->made];
		region->first = extent->first;
		region->charged = extent->pages;
		region->room = extent->room;
		region->span = max(region->charged, region->room);
		region->state = REGION_BUSY;
		extent->copy = region;
		cond_resched();
	}
	return 0;
}

static int enter_region(struct expertmem_expert *to, const struct extent *extent)
{
	if (fatal_signal_pending(current))
		return -EINTR;
	return expertmem_region_insert(window_of(to, extent), extent->copy);
}

static int enter_regions(struct copy *copy)
{
	struct expertmem_expert *to = copy->to;
	int err;

	mutex_lock(&to->lock);
	err = check_destination(to);
	while (!err && copy->entered < copy->nr) {
		err = enter_region(to, &copy->extents[copy->entered]);
		if (err)
			break;
		if (++copy->entered % BATCH == 0) {
			mutex_unlock(&to->lock);
			cond_resched();
			mutex_lock(&to->lock);
		}
	}
	mutex_unlock(&to->lock);
	return err;
}

/* Copy the pages of all regions, or of those in @only, a window of the destination. */
static int copy_pages(struct copy *copy, const struct expertmem_window *only)
{
	const struct extent *extent;
	unsigned long i;
	int err;

	for (i = 0; i < copy->nr; i++) {
		extent = &copy->extents[i];
		if (only && window_of(copy->to, extent) != only)
			continue;
		err = expertmem_window_copy(window_of(copy->to, extent),
					    window_of(copy->from, extent), extent->first,
					    extent->pages, copy->lend, &copy->pages);
		if (err)
			return err;
		cond_resched();
	}
	return 0;
}

static int publish_regions(struct copy *copy)
{
	struct expertmem_expert *to = copy->to;
	unsigned long i;
	int err = 0;

	mutex_lock(&to->lock);
	if (is_over(to))
		err = -ESHUTDOWN;
	for (i = 0; !err && i < copy->nr; i++) {
		expertmem_region_publish(to, copy->extents[i].copy);
		cond_resched();
	}
	mutex_unlock(&to->lock);
	return err;
}

/* Set owed of the regions in copy->lent: @all pages, or as many as the source's region owes. */
static void owe(void *arg, bool all)
{
	struct copy *copy = arg;
	unsigned long i;

	mutex_lock(&copy->to->lock);
	for (i = 0; !is_over(copy->to) && i < copy->nr; i++) {
		const struct extent *extent = &copy->extents[i];

		if (window_of(copy->to, extent) == copy->lent)
			WRITE_ONCE(extent->copy->owed, all ? extent->pages : extent->owed);
		cond_resched();
	}
	mutex_unlock(&copy->to->lock);
}

/*
 * Does the source still owe all that the destination was set to owe? A source that was paid off
 * in the meantime may have freed a page, which the destination would get from the lender again.
 * A source clears region->owed before it frees such a page, so the check sees it: -EAGAIN.
 */
static int check_debts(struct copy *copy)
{
	struct expertmem_region *region;
	const struct extent *extent;
	unsigned long i;
	int err = 0;

	mutex_lock(&copy->from->lock);
	for (i = 0; !err && i < copy->nr; i++) {
		extent = &copy->extents[i];
		if (!extent->owed || window_of(copy->to, extent) != copy->lent)
			continue;
		region = expertmem_window_lives(window_of(copy->from, extent)) ?
			 expertmem_region_find(window_of(copy->from, extent), extent->first) : NULL;
		if (!region || region->owed < extent->owed)
			err = -EAGAIN;
		cond_resched();
	}
	mutex_unlock(&copy->from->lock);
	return err;
}

static int lend_window(struct copy *copy, struct expertmem_window *to,
		       struct expertmem_window *from)
{
	int err;

	if (!to->file)
		return 0;
	copy->lent = to;
	err = expertmem_loan_begin(to, from, owe, copy);
	if (err > 0)
		return 0;
	return err ?: copy_pages(copy, to) ?: check_debts(copy);
}

static int lend_pages(struct copy *copy)
{
	return lend_window(copy, &copy->to->small, &copy->from->small) ?:
	       lend_window(copy, &copy->to->huge, &copy->from->huge);
}

/* Map the copies, so that they count as resident memory of the destination's process. */
static void map_pages(struct copy *copy)
{
	const struct extent *extent;
	unsigned long i;

	for (i = 0; copy->pages && i < copy->nr; i++) {
		extent = &copy->extents[i];
		expertmem_window_map(window_of(copy->to, extent), extent->first,
				     extent->pages);
	}
}

/* Undo after an error; the gates were never open. A window that is gone has freed its regions. */
static void destroy_regions(struct copy *copy)
{
	struct expertmem_window *window;
	const struct extent *extent;
	unsigned long pinned;

	while (copy->made > copy->entered)
		kfree(copy->extents[--copy->made].copy);
	while (copy->entered) {
		extent = &copy->extents[--copy->entered];
		window = window_of(copy->to, extent);
		pinned = expertmem_window_truncate(window, extent->first, extent->pages);
		mutex_lock(&copy->to->lock);
		if (window->state != WINDOW_GONE)
			expertmem_region_destroy(window, extent->copy, pinned);
		mutex_unlock(&copy->to->lock);
		cond_resched();
	}
}

/* COPY copies only the pages in the source's file: copy the pages that the source owes there. */
static int pay_off(struct expertmem_expert *expert)
{
	struct expertmem_window *windows[] = { &expert->small, &expert->huge };
	int err = 0, i;

	for (i = 0; !err && i < ARRAY_SIZE(windows); i++)
		if (READ_ONCE(windows[i]->state) == WINDOW_MAPPED)
			err = expertmem_loan_pay_off(windows[i], 0, ULONG_MAX);
	return err;
}

static int do_copy(struct copy *copy)
{
	int err;

	err = copy->lend ? 0 : pay_off(copy->from);
	if (!err)
		err = list_regions(copy);
	if (!err)
		err = make_regions(copy);
	if (!err)
		err = enter_regions(copy);
	if (!err && !copy->lend)
		err = copy_pages(copy, NULL);
	if (!err)
		err = publish_regions(copy);
	if (err)
		destroy_regions(copy);
	else if (copy->lend)
		err = lend_pages(copy);		/* after an error, the caller closes the heir */
	else
		map_pages(copy);
	return err;
}

/**
 * expertmem_copy_regions() - copy the regions of an expert to another, at the same offsets
 * @to: the destination
 * @from: the source
 * @lend: the destination is an heir, and borrows the pages; the caller closes it after an error
 *
 * Context: process context, may sleep; takes expert->lock of either expert, and with @lend the
 *	caller's mmap_lock. The caller holds the device files of both.
 * Return: 0 or a negative errno, as the uAPI header says of COPY; -EAGAIN if the source was paid
 *	off while the destination began to borrow the same pages.
 */
int expertmem_copy_regions(struct expertmem_expert *to, struct expertmem_expert *from, bool lend)
{
	struct copy copy = { };
	int err;

	do {
		kvfree(copy.extents);
		copy = (struct copy){ .to = to, .from = from, .lend = lend };
		err = do_copy(&copy);
	} while (expertmem_try_again(to, err));
	expertmem_count_refused(to, err);
	trace_expertmem_copy(to->id, from->id, copy.nr, (u64)copy.pages << PAGE_SHIFT, err);
	kvfree(copy.extents);
	return err;
}
