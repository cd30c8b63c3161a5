// SPDX-License-Identifier: GPL-2.0
/*
 * Copy: the regions of one expert, made again in another at the same offsets. It is for
 * fork(), which windows do not survive.
 *
 *	list the regions of the source, under its lock
 *	enter regions like these in the destination, under its lock; they are busy, and
 *	their gates are closed
 *	copy the pages, with neither lock held
 *	open all gates at once, and map the pages; or truncate and destroy
 *
 * FORK opens the gates first, for nobody can touch the destination yet. Then the source lends
 * its pages (loan.c), or, if it borrows itself, those that it has are copied.
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

/* Regions to enter before others may have the destination's lock. */
#define BATCH	256

/**
 * struct extent - a region of the source as it was found
 * @first: device page offset
 * @pages: how many of them could be touched
 * @room: how many it reserved when it was made
 * @owed: how many of them it may owe to its lender
 * @copy: the region like it in the destination
 */
struct extent {
	pgoff_t first;
	unsigned long pages;
	unsigned long room;
	unsigned long owed;
	struct expertmem_region *copy;
};

/**
 * struct copy - a call of COPY
 * @from: the source
 * @to: the destination
 * @extents: by offset
 * @nr: how many
 * @made: the first of these have a region in their @copy
 * @entered: the first of these, whose region is in the destination
 * @pages: copied
 * @lend: the source lends its pages
 * @lent: in which window of the destination it is about to
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
	return extent->first < expert->huge.first ? &expert->small : &expert->huge;
}

static unsigned long nr_regions(const struct expertmem_expert *expert)
{
	lockdep_assert_held(&expert->lock);
	return expert->small.nr_regions + expert->huge.nr_regions;
}

/*
 * What can be touched of a region is what its owner knows to be there: nothing of one
 * that is being made or freed, the lesser size of one that is being resized.
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
				.pages = region->pages,
				.room = region->room,
				.owed = region->owed,
			};
		cond_resched();
	}
}

/* Memory for the list is had without the lock: until then there may be more of them. */
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

/* Without a window that it had, the destination has no use for the copy. */
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

/* Memory for the regions is had before the lock is taken. */
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

/* @only: a window of the destination; NULL: both */
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

/* Have the regions of the window owe @all pages, or those that the regions of the source owe. */
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
 * Does the source still owe what the destination owes? It has copied a page, and given it up
 * again, only after it owed no more.
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

/* The copies are in use from the first moment: those who look for resident memory see them. */
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

/* Their gates were never open. A window that is gone has freed its regions. */
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

/* Only pages that the source has are copied: have it copy those that it owes. */
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
 * expertmem_copy_regions() - have what another expert has, at the same offsets
 * @to: the destination
 * @from: the source
 * @lend: the destination is an heir, and may borrow pages; after an error it is to be closed
 *
 * Context: process context, may sleep; takes expert->lock of either expert, and with @lend the
 *	caller's mmap_lock. The caller has the files of both.
 * Return: 0 or a negative errno, as the uAPI header says of COPY; -EAGAIN where the source has
 *	given up what the destination was to borrow.
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
