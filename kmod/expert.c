// SPDX-License-Identifier: GPL-2.0
/*
 * Experts: the table of open experts, their reference counts, and snapshots of their state.
 */
#include <linux/atomic.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/pid.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#include "expertmem.h"

struct expertmem_totals expertmem_totals;

/* Runs reclaims: for netlink requests, after a death, and of borrowers that have lost pages. */
struct workqueue_struct *expertmem_workqueue;

/* the open experts, by id */
static DEFINE_XARRAY_FLAGS(experts, XA_FLAGS_ACCOUNT);
static atomic64_t last_id;
/* odd, so never 0; changes when the table changes; written under the xa_lock of the experts */
static unsigned int generation = 1;

/**
 * expertmem_generation() - detect that experts were opened or released
 *
 * Return: a nonzero counter that changes when an expert is opened or released.
 */
unsigned int expertmem_generation(void)
{
	return READ_ONCE(generation);
}

/**
 * expertmem_find() - find an expert by its id
 * @id: its id
 *
 * Context: takes the xa_lock of the experts.
 * Return: the expert, with a reference; NULL if no open expert has this id.
 */
struct expertmem_expert *expertmem_find(unsigned long id)
{
	struct expertmem_expert *expert;

	xa_lock(&experts);
	expert = xa_load(&experts, id);
	if (expert)
		kref_get(&expert->ref);
	xa_unlock(&experts);
	return expert;
}

/**
 * expertmem_next() - find the expert with the lowest id from @id on
 * @id: the lowest id to look for; receives the id of the expert that was found
 *
 * Context: takes the xa_lock of the experts.
 * Return: the expert, with a reference; NULL if there is none.
 */
struct expertmem_expert *expertmem_next(unsigned long *id)
{
	struct expertmem_expert *expert;

	xa_lock(&experts);
	expert = xa_find(&experts, id, ULONG_MAX, XA_PRESENT);
	if (expert)
		kref_get(&expert->ref);
	xa_unlock(&experts);
	return expert;
}

/**
 * expertmem_new_id() - get an id for an expert that is being opened
 *
 * Return: an id that no expert has had since the module was loaded.
 */
u64 expertmem_new_id(void)
{
	return atomic64_inc_return(&last_id);
}

/**
 * expertmem_enter() - add an expert to the table of open experts
 * @expert: the expert, whose id is set
 *
 * Context: process context; takes the xa_lock of the experts.
 * Return: 0, or -ENOMEM.
 */
int expertmem_enter(struct expertmem_expert *expert)
{
	int err;

	xa_lock(&experts);
	err = __xa_insert(&experts, expert->id, expert, GFP_KERNEL);
	if (!err)
		WRITE_ONCE(generation, generation + 2);
	xa_unlock(&experts);
	return err;
}

/**
 * expertmem_leave() - remove an expert from the table of open experts
 * @expert: the expert
 *
 * Context: takes the xa_lock of the experts.
 */
void expertmem_leave(struct expertmem_expert *expert)
{
	xa_lock(&experts);
	__xa_erase(&experts, expert->id);
	WRITE_ONCE(generation, generation + 2);
	xa_unlock(&experts);
}

static void expert_destroy(struct kref *ref)
{
	struct expertmem_expert *expert = container_of(ref, struct expertmem_expert, ref);

	put_page(expert->status);
	put_pid(expert->small.mapper);
	put_pid(expert->huge.mapper);
	put_pid(expert->opener);
	expertmem_user_put(expert->user);
	WARN_ON_ONCE(expert->small.lender || expert->huge.lender);
	mutex_destroy(&expert->small.loan_lock);
	mutex_destroy(&expert->huge.loan_lock);
	mutex_destroy(&expert->pins_lock);
	mutex_destroy(&expert->lock);
	kfree(expert);
}

/**
 * expertmem_put() - drop a reference to an expert
 * @expert: the expert
 *
 * Context: process context, with none of the expert's locks held, unless the caller knows that
 *	another reference remains.
 */
void expertmem_put(struct expertmem_expert *expert)
{
	kref_put(&expert->ref, expert_destroy);
}

/**
 * expertmem_set_status() - set flags on the status page
 * @expert: the expert
 * @flags: EXPERTMEM_STATUS_*, added to the flags that are set already
 *
 * Context: expert->lock held.
 */
void expertmem_set_status(struct expertmem_expert *expert, u32 flags)
{
	struct expertmem_status *status = page_address(expert->status);

	lockdep_assert_held(&expert->lock);
	WRITE_ONCE(status->flags, status->flags | flags);
}

/**
 * expertmem_window_resident() - count the resident pages of a window
 * @window: the window
 *
 * The mm removes pages from the page cache in batches, and adjusts nrpages once for each batch.
 * Under xa_lock, nrpages is the number of pages that a lookup can find.
 *
 * Context: expert->lock held; interrupts on; takes xa_lock.
 * Return: number of pages in the page cache of the window's file; pages in swap do not count.
 */
unsigned long expertmem_window_resident(const struct expertmem_window *window)
{
	struct address_space *mapping;
	unsigned long pages;

	lockdep_assert_held(&window->expert->lock);
	if (!window->file)
		return 0;
	mapping = window->file->f_mapping;
	pages = READ_ONCE(mapping->nrpages);
	if (pages) {
		xa_lock_irq(&mapping->i_pages);
		pages = mapping->nrpages;
		xa_unlock_irq(&mapping->i_pages);
	}
	return pages;
}

/**
 * expertmem_snapshot() - read the state of an expert at one moment
 * @expert: the expert
 * @stat: receives the state
 *
 * Context: expert->lock held.
 */
void expertmem_snapshot(const struct expertmem_expert *expert, struct expertmem_stat *stat)
{
	unsigned long resident = expertmem_window_resident(&expert->small) +
				 expertmem_window_resident(&expert->huge);

	*stat = (struct expertmem_stat) {
		.id		= expert->id,
		.state		= expert->state,
		.flags		= expert->flags,
		.limit		= expert->limit,
		.regions	= expert->small.nr_regions + expert->huge.nr_regions,
		.committed	= (u64)expertmem_committed(expert) << PAGE_SHIFT,
		.resident	= (u64)resident << PAGE_SHIFT,
		.peak		= (u64)expert->peak << PAGE_SHIFT,
		.refused	= expert->refused,
		.reclaimed_bytes	= expert->freed.reclaimed_bytes,
		.cause		= expert->cause,
		.pinned		= (u64)atomic_long_read(&expert->pinned) << PAGE_SHIFT,
	};
	memcpy(stat->name, expert->name, sizeof(stat->name));
}

/**
 * expertmem_disinherit() - drop the heir, so that no further child gets it
 * @expert: the expert
 *
 * Context: expert->lock held.
 */
void expertmem_disinherit(struct expertmem_expert *expert)
{
	lockdep_assert_held(&expert->lock);
	if (!expert->heir)
		return;
	fput(expert->heir);
	put_pid(expert->testator);
	expert->heir = NULL;
}

/**
 * expertmem_reclaim_soon() - have a worker reclaim a window
 * @window: the window
 *
 * Context: any; the caller has a reference to the expert.
 */
void expertmem_reclaim_soon(struct expertmem_window *window)
{
	kref_get(&window->expert->ref);
	if (!queue_work(expertmem_workqueue, &window->work))
		expertmem_put(window->expert);
}
