// SPDX-License-Identifier: GPL-2.0
/*
 * Reclaim: taking everything back, whatever the expert is doing.
 *
 *	close the gates of the windows, under expert->lock
 *	truncate their files; no fault and no populate adds a page any more
 *	free the regions, which nobody finds any more
 */
#include <linux/mm.h>
#include <linux/pid.h>
#include <linux/sched/signal.h>
#include <linux/string.h>

#include "expertmem.h"
#include "trace.h"

/* Close the gate, and add what is behind it to @result. */
static bool window_retire(struct expertmem_window *window,
			  struct expertmem_reclaim *result)
{
	if (window->state == WINDOW_MAPPED) {
		result->bytes += (u64)window->committed << PAGE_SHIFT;
		result->resident += (u64)expertmem_window_resident(window) << PAGE_SHIFT;
		result->regions += window->nr_regions;
	}
	return expertmem_regions_retire(window);
}

/* The signal that the process dies of whose windows go: none if somebody else ends them. */
static u32 fatal_signal(const struct expertmem *expert)
{
	if (!(current->flags & PF_EXITING) || task_tgid(current) != expert->mapper)
		return 0;
	return current->exit_code & 0x7f;
}

/* Without its windows, an expert has ended. */
static bool expert_ends(struct expertmem *expert, enum expertmem_cause cause)
{
	lockdep_assert_held(&expert->lock);
	if (expert->state == EXPERTMEM_STATE_RECLAIMED ||
	    expert->small.state == WINDOW_MAPPED || expert->huge.state == WINDOW_MAPPED)
		return false;
	expert->state = EXPERTMEM_STATE_RECLAIMED;
	expert->cause = cause;
	expertmem_set_status(expert, EXPERTMEM_STATUS_RECLAIMED);
	atomic64_inc(&expertmem_totals.reclaimed[cause]);
	if (cause == EXPERTMEM_CAUSE_DETACH)
		expert->signal = fatal_signal(expert);
	if (expert->signal)
		atomic64_inc(&expertmem_totals.killed);
	return true;
}

static void add_freed(struct expertmem *expert, const struct expertmem_reclaim *result)
{
	lockdep_assert_held(&expert->lock);
	expert->freed.bytes += result->bytes;
	expert->freed.resident += result->resident;
	expert->freed.regions += result->regions;
	atomic64_add(result->bytes, &expertmem_totals.freed_bytes);
}

/**
 * expertmem_reclaim() - take windows back; without its windows, an expert ends
 * @expert: the expert
 * @only: one window, which was unmapped; NULL: both, wherever they are mapped
 * @cause: why
 * @result: receives what was given back by this call; flags and reserved are zero
 *
 * When it returns the pages are free, also where another caller was first.
 *
 * Context: process context; may sleep; mmap_lock may be held; takes
 *	expert->reclaim_lock and expert->lock.
 * Return: 0, or -ENOENT where the expert is released: only for who has no file of it.
 */
int expertmem_reclaim(struct expertmem *expert, struct expertmem_window *only,
		      enum expertmem_cause cause, struct expertmem_reclaim *result)
{
	struct expertmem_window *windows[] = { &expert->small, &expert->huge };
	bool retired[ARRAY_SIZE(windows)] = { };
	bool released, ends = false;
	int i;

	memset(result, 0, sizeof(*result));
	mutex_lock(&expert->reclaim_lock);
	mutex_lock(&expert->lock);
	released = expert->released;
	if (!released) {
		for (i = 0; i < ARRAY_SIZE(windows); i++)
			if (!only || only == windows[i])
				retired[i] = window_retire(windows[i], result);
		add_freed(expert, result);
		ends = expert_ends(expert, cause);
	}
	mutex_unlock(&expert->lock);

	for (i = 0; i < ARRAY_SIZE(windows); i++) {
		if (!retired[i])
			continue;
		expertmem_window_truncate(windows[i], windows[i]->first,
					  windows[i]->pages);
		expertmem_regions_destroy(windows[i]);
	}
	if (ends) {
		mutex_lock(&expert->lock);
		expertmem_event(expert, EXPERTMEM_EVENT_RECLAIMED);
		mutex_unlock(&expert->lock);
	}
	mutex_unlock(&expert->reclaim_lock);
	if (retired[0] || retired[1])
		trace_expertmem_reclaim(expert->id, cause, result);
	return released ? -ENOENT : 0;
}
