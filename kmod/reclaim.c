// SPDX-License-Identifier: GPL-2.0
/*
 * Reclaim: taking everything back, whatever the expert is doing.
 *
 *	close the gates of the windows, under expert->lock
 *	truncate their files; no fault and no populate adds a page any more
 *	free the regions, which nobody finds any more
 */
#include <linux/mm.h>
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
 */
void expertmem_reclaim(struct expertmem *expert, struct expertmem_window *only,
		       enum expertmem_cause cause, struct expertmem_reclaim *result)
{
	struct expertmem_window *windows[] = { &expert->small, &expert->huge };
	bool retired[ARRAY_SIZE(windows)] = { };
	int i;

	memset(result, 0, sizeof(*result));
	mutex_lock(&expert->reclaim_lock);
	mutex_lock(&expert->lock);
	for (i = 0; i < ARRAY_SIZE(windows); i++)
		if (!only || only == windows[i])
			retired[i] = window_retire(windows[i], result);
	expert->reclaimed += result->bytes;
	if (expert->state != EXPERTMEM_STATE_RECLAIMED &&
	    expert->small.state != WINDOW_MAPPED && expert->huge.state != WINDOW_MAPPED) {
		expert->state = EXPERTMEM_STATE_RECLAIMED;
		expert->cause = cause;
		expertmem_set_status(expert, EXPERTMEM_STATUS_RECLAIMED);
	}
	mutex_unlock(&expert->lock);

	for (i = 0; i < ARRAY_SIZE(windows); i++) {
		if (!retired[i])
			continue;
		expertmem_window_truncate(windows[i], windows[i]->first,
					  windows[i]->pages);
		expertmem_regions_destroy(windows[i]);
	}
	mutex_unlock(&expert->reclaim_lock);
	if (retired[0] || retired[1])
		trace_expertmem_reclaim(expert->id, cause, result);
}
