// SPDX-License-Identifier: GPL-2.0
/*
 * Experts: the table of those that are open, their references, and what there is to say of one.
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

/* Reclaims for which nobody waits uninterruptibly, or whose process has died. */
struct workqueue_struct *expertmem_workqueue;

/* those that are open, by id */
static DEFINE_XARRAY_FLAGS(experts, XA_FLAGS_ACCOUNT);
static atomic64_t last_id;
/* of what is in experts; changes with it, under its lock; never 0 */
static unsigned int generation = 1;

/**
 * expertmem_generation() - has an expert been opened or released?
 *
 * Return: a number, not 0, that is another one where that was so.
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
 * Return: the expert, with a reference; NULL where there is none that is open.
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
 * expertmem_next() - go through the experts
 * @id: where to begin; receives the id of what is found
 *
 * Context: takes the xa_lock of the experts.
 * Return: as expertmem_find().
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
 * expertmem_new_id() - number an expert that is being opened
 *
 * Return: an id that no other expert has had since the module was loaded.
 */
u64 expertmem_new_id(void)
{
	return atomic64_inc_return(&last_id);
}

/**
 * expertmem_enter() - let others find an expert
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
 * expertmem_leave() - let others find an expert no more
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
 * expertmem_put() - drop a reference
 * @expert: the expert
 *
 * Context: the last one in process context, with none of the expert's locks held.
 */
void expertmem_put(struct expertmem_expert *expert)
{
	kref_put(&expert->ref, expert_destroy);
}

/**
 * expertmem_set_status() - say something on the status page
 * @expert: the expert
 * @flags: EXPERTMEM_STATUS_*, in addition to what it says already
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
 * expertmem_window_resident() - what a window has in memory
 * @window: the window
 *
 * Context: expert->lock held.
 * Return: pages.
 */
unsigned long expertmem_window_resident(const struct expertmem_window *window)
{
	lockdep_assert_held(&window->expert->lock);
	return window->file ? READ_ONCE(window->file->f_mapping->nrpages) : 0;
}

/**
 * expertmem_snapshot() - what an expert has
 * @expert: the expert
 * @stat: receives it
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
 * expertmem_disinherit() - no further child gets the heir
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
 * expertmem_reclaim_soon() - reclaim a window, without waiting for it
 * @window: the window
 *
 * Context: a reference to the expert held; any locks.
 */
void expertmem_reclaim_soon(struct expertmem_window *window)
{
	kref_get(&window->expert->ref);
	if (!queue_work(expertmem_workqueue, &window->work))
		expertmem_put(window->expert);
}
