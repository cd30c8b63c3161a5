// SPDX-License-Identifier: GPL-2.0
/*
 * ALLOC, REALLOC and FREE: make, resize and free a region. Each call
 *
 *	takes expert->lock; finds the region or enters a new one, marks it busy, charges its
 *	pages, or closes the gate of the pages that are to go;
 *	without the lock, populates the new pages, or waits for faults and truncates the old ones;
 *	takes expert->lock; publishes the region, or removes it and uncharges its pages;
 *	without the lock, maps the pages that were populated.
 */
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "expertmem.h"
#include "trace.h"

#define ALLOC_FLAGS	(EXPERTMEM_ALLOC_HUGE | EXPERTMEM_ALLOC_POPULATE)

static unsigned long to_pages(const struct expertmem_window *window, u64 bytes)
{
	return round_up(DIV_ROUND_UP_ULL(bytes, PAGE_SIZE), window->granule);
}

static struct expertmem_window *window_at(struct expertmem_expert *expert, u64 offset)
{
	if (offset >= EXPERTMEM_SMALL_OFFSET &&
	    offset - EXPERTMEM_SMALL_OFFSET < EXPERTMEM_WINDOW_MAX)
		return &expert->small;
	if (offset >= EXPERTMEM_HUGE_OFFSET &&
	    offset - EXPERTMEM_HUGE_OFFSET < EXPERTMEM_WINDOW_MAX)
		return &expert->huge;
	return NULL;
}

/* Find the region that starts at @offset, and mark it busy. */
static struct expertmem_region *region_take(struct expertmem_window *window, u64 offset)
{
	struct expertmem_region *region;

	lockdep_assert_held(&window->expert->lock);
	region = expertmem_region_find(window, (offset >> PAGE_SHIFT) - window->first);
	if (!region || !PAGE_ALIGNED(offset))
		return ERR_PTR(-ENOENT);
	if (region->state == REGION_BUSY)
		return ERR_PTR(-EBUSY);
	region->state = REGION_BUSY;
	return region;
}

/* The region is published last, after its offset was written to user space. */
static int do_alloc(struct expertmem_expert *expert, struct expertmem_alloc *arg,
		    struct expertmem_alloc __user *uarg)
{
	struct expertmem_window *window;
	struct expertmem_region *region;
	unsigned long pages, pinned = 0;
	pgoff_t first;
	int err;

	if (arg->flags & ~ALLOC_FLAGS || arg->reserved || !arg->size ||
	    (arg->room && arg->room < arg->size))
		return -EINVAL;
	if (arg->size > EXPERTMEM_WINDOW_MAX || arg->room > EXPERTMEM_WINDOW_MAX)
		return -ENOSPC;

	window = arg->flags & EXPERTMEM_ALLOC_HUGE ? &expert->huge : &expert->small;
	region = kzalloc(sizeof(*region), GFP_KERNEL_ACCOUNT);
	if (!region)
		return -ENOMEM;
	pages = to_pages(window, arg->size);
	region->charged = pages;
	region->room = to_pages(window, arg->room);
	region->span = max(region->charged, region->room);
	region->state = REGION_BUSY;

	mutex_lock(&expert->lock);
	err = expertmem_region_insert(window, region);
	if (err)
		kfree(region);
	else
		first = region->first;
	mutex_unlock(&expert->lock);
	if (err)
		return err;

	arg->offset = (u64)(window->first + first) << PAGE_SHIFT;
	if (arg->flags & EXPERTMEM_ALLOC_POPULATE)
		err = expertmem_window_populate(window, first, pages);
	if (!err && put_user(arg->offset, &uarg->offset))
		err = -EFAULT;
	if (err)
		pinned = expertmem_window_truncate(window, first, pages);

	mutex_lock(&expert->lock);
	if (window->state == WINDOW_GONE)
		err = -ESHUTDOWN;
	else if (err)
		expertmem_region_destroy(window, region, pinned);
	else
		expertmem_region_publish(expert, region);
	mutex_unlock(&expert->lock);
	if (!err && arg->flags & EXPERTMEM_ALLOC_POPULATE)
		expertmem_window_map(window, first, pages);
	return err;
}

static int do_realloc(struct expertmem_expert *expert, const struct expertmem_realloc *arg)
{
	struct expertmem_window *window;
	unsigned long old, pages, pinned = 0;
	struct expertmem_region *region;
	pgoff_t first;
	int err;

	if (arg->flags & ~EXPERTMEM_ALLOC_POPULATE || arg->reserved || !arg->size)
		return -EINVAL;
	window = window_at(expert, arg->offset);
	if (!window)
		return -ENOENT;
	if (arg->size > EXPERTMEM_WINDOW_MAX)
		return -ENOSPC;
	pages = to_pages(window, arg->size);

	mutex_lock(&expert->lock);
	err = expertmem_window_usable(window);
	if (err)
		goto unlock;
	region = region_take(window, arg->offset);
	if (IS_ERR(region)) {
		err = PTR_ERR(region);
		goto unlock;
	}
	first = region->first;
	old = region->charged;
	if (pages < old) {
		expertmem_region_close(region, pages);
	} else if (pages > old) {
		err = expertmem_region_extend(window, region, pages);
		if (err) {
			expertmem_region_publish(expert, region);
			goto unlock;
		}
	}
	mutex_unlock(&expert->lock);

	if (pages > old && arg->flags & EXPERTMEM_ALLOC_POPULATE)
		err = expertmem_window_populate(window, first + old, pages - old);
	if (pages < old) {
		expertmem_window_wait_for_faults(window);
		pinned = expertmem_window_truncate(window, first + pages, old - pages);
	} else if (err) {
		pinned = expertmem_window_truncate(window, first + old, pages - old);
	}

	mutex_lock(&expert->lock);
	if (window->state == WINDOW_GONE) {
		err = -ESHUTDOWN;
	} else {
		if (pages < old || err)
			expertmem_region_trim(window, region, min(pages, old), pinned);
		expertmem_region_publish(expert, region);
	}
	mutex_unlock(&expert->lock);
	if (!err && pages > old && arg->flags & EXPERTMEM_ALLOC_POPULATE)
		expertmem_window_map(window, first + old, pages - old);
	return err;

unlock:
	mutex_unlock(&expert->lock);
	return err;
}

static int do_free(struct expertmem_expert *expert, const struct expertmem_free *arg,
		   unsigned long *pages)
{
	struct expertmem_window *window;
	struct expertmem_region *region;
	unsigned long pinned;
	pgoff_t first;

	if (arg->flags || arg->reserved)
		return -EINVAL;
	window = window_at(expert, arg->offset);
	if (!window)
		return -ENOENT;

	mutex_lock(&expert->lock);
	if (expert->state == EXPERTMEM_STATE_RECLAIMED || window->state == WINDOW_GONE)
		region = ERR_PTR(-ESHUTDOWN);
	else
		region = region_take(window, arg->offset);
	if (IS_ERR(region)) {
		mutex_unlock(&expert->lock);
		return PTR_ERR(region);
	}
	first = region->first;
	*pages = region->charged;
	expertmem_region_close(region, 0);
	mutex_unlock(&expert->lock);

	expertmem_window_wait_for_faults(window);
	pinned = expertmem_window_truncate(window, first, *pages);

	mutex_lock(&expert->lock);
	if (window->state != WINDOW_GONE)
		expertmem_region_destroy(window, region, pinned);
	mutex_unlock(&expert->lock);
	return 0;
}

/**
 * expertmem_count_refused() - count a call that failed for want of memory, and send LIMIT_HIT
 * @expert: the expert
 * @err: the result of the call; only -EDQUOT and -ENOMEM are counted
 *
 * Context: takes expert->lock.
 * Return: @err.
 */
int expertmem_count_refused(struct expertmem_expert *expert, int err)
{
	u64 now;

	if (err == -EDQUOT || err == -ENOMEM) {
		atomic64_inc(&expertmem_totals.refused);
		mutex_lock(&expert->lock);
		expert->refused++;
		now = ktime_get_ns();
		if (now >= expert->next_hit) {
			expert->next_hit = now + NSEC_PER_SEC;
			expertmem_event(expert, EXPERTMEM_EVENT_LIMIT_HIT);
		}
		mutex_unlock(&expert->lock);
	}
	return err;
}

/**
 * expertmem_try_again() - uncharge pages that are not pinned any more after a refused call
 * @expert: the expert
 * @err: the result of the call; only -EDQUOT and -ENOMEM lead to another try
 *
 * Context: no lock held; may sleep.
 * Return: true if fewer pages are pinned now, so that the call may succeed.
 */
bool expertmem_try_again(struct expertmem_expert *expert, int err)
{
	long pinned = atomic_long_read(&expert->pinned);

	if ((err != -EDQUOT && err != -ENOMEM) || !pinned || fatal_signal_pending(current))
		return false;
	expertmem_drain_lru_all();
	expertmem_pins_check(expert);
	return atomic_long_read(&expert->pinned) < pinned;
}

/**
 * expertmem_alloc() - the ALLOC ioctl
 * @expert: the expert
 * @uarg: its argument
 *
 * Context: process context, may sleep; takes expert->lock.
 * Return: 0 or a negative errno, as the uAPI header says.
 */
int expertmem_alloc(struct expertmem_expert *expert, struct expertmem_alloc __user *uarg)
{
	struct expertmem_alloc arg;
	int err;

	if (copy_from_user(&arg, uarg, sizeof(arg)))
		return -EFAULT;
	arg.offset = 0;
	do {
		err = do_alloc(expert, &arg, uarg);
	} while (expertmem_try_again(expert, err));
	expertmem_count_refused(expert, err);
	trace_expertmem_alloc(expert->id, arg.offset, arg.size, arg.flags, err);
	return err;
}

/**
 * expertmem_realloc() - the REALLOC ioctl
 * @expert: the expert
 * @uarg: its argument
 *
 * Context: process context, may sleep; takes expert->lock.
 * Return: 0 or a negative errno, as the uAPI header says.
 */
int expertmem_realloc(struct expertmem_expert *expert, struct expertmem_realloc __user *uarg)
{
	struct expertmem_realloc arg;
	int err;

	if (copy_from_user(&arg, uarg, sizeof(arg)))
		return -EFAULT;
	do {
		err = do_realloc(expert, &arg);
	} while (expertmem_try_again(expert, err));
	expertmem_count_refused(expert, err);
	trace_expertmem_realloc(expert->id, arg.offset, arg.size, arg.flags, err);
	return err;
}

/**
 * expertmem_free() - the FREE ioctl
 * @expert: the expert
 * @uarg: its argument
 *
 * Context: process context, may sleep; takes expert->lock.
 * Return: 0 or a negative errno, as the uAPI header says.
 */
int expertmem_free(struct expertmem_expert *expert, struct expertmem_free __user *uarg)
{
	struct expertmem_free arg;
	unsigned long pages = 0;
	int err;

	if (copy_from_user(&arg, uarg, sizeof(arg)))
		return -EFAULT;
	err = do_free(expert, &arg, &pages);
	trace_expertmem_free(expert->id, arg.offset, (u64)pages << PAGE_SHIFT,
			     arg.flags, err);
	return err;
}
