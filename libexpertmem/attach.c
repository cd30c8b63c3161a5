// SPDX-License-Identifier: LGPL-2.1-or-later
/* Attach an expert to this process in its first allocation, and tear it down in close. */
#include <sys/mman.h>

#include <linux/expertmem.h>

#include "internal.h"

/* Map the table of slabs and @tcache_of. The expert is not charged for them, as they are small. */
static bool tables_get(struct em_expert *expert)
{
	struct em_table slabs;

	if (!em_table_map(&slabs, NULL, expert->window * 2 / EM_SLAB_SIZE * sizeof(*expert->slabs),
			  MAP_PRIVATE))
		return false;
	expert->heap.tcache_of = em_map(EM_THREADS * sizeof(*expert->heap.tcache_of), MAP_PRIVATE);
	if (!expert->heap.tcache_of) {
		munmap(slabs.start, slabs.size);
		return false;
	}
	expert->slabs = (struct em_slab *)slabs.start;
	expert->span = expert->window * 2;
	return true;
}

static void tables_put(struct em_expert *expert)
{
	munmap(expert->slabs, expert->span / EM_SLAB_SIZE * sizeof(*expert->slabs));
	munmap(expert->heap.tcache_of, EM_THREADS * sizeof(*expert->heap.tcache_of));
	expert->span = 0;
}

/* Find addresses, and map windows of at most @most bytes, and tables; enum expertmem_error. */
static int attach(struct em_expert *expert, size_t most)
{
	int error = EXPERTMEM_E_NOMEM;

	/*
	 * The module reclaims an expert when its last window is unmapped. So a mapped window stays.
	 */
	if (!expert->mapped && !em_place(expert, most))
		return error;
	if (!tables_get(expert))
		goto err_place;
	if (!em_debug_attach(expert))
		goto err_debug;
	error = expert->backend->attach(expert);
	if (!error)
		return error;
err_debug:
	em_debug_detach(expert);
	tables_put(expert);
err_place:
	if (!expert->mapped) {
		expert->backend->unmap(expert);
		em_set_owner(expert, false);
	}
	return error;
}

/*
 * Attach the expert to this process. E_BUSY: another process is attached. E_NOMEM: no addresses or
 * no memory. Limits such as RLIMIT_AS may leave place for the windows but not for the tables: then
 * windows of half the size are tried.
 */
int em_attach(struct em_expert *expert)
{
	pid_t nobody = 0;
	size_t most = 0;
	int error;

	if (expert->attached)
		return EXPERTMEM_OK;
	if (!em_try_cmpxchg_relaxed(&expert->shared->owner, &nobody, em_process()))
		return EXPERTMEM_E_BUSY;
	do {
		error = attach(expert, most);
		most = expert->window / 2;
	} while (error == EXPERTMEM_E_NOMEM && most >= EM_WINDOW_MIN && !expert->mapped);
	if (error) {
		em_write_once(&expert->shared->owner, 0);
		return error;
	}
	if (em_report_begin(expert->shared))
		em_crash_catch();
	expert->attached = true;
	expert->pause_depth++;
	em_unpause(expert);
	return EXPERTMEM_OK;
}

/* Release all that the expert of this slot has in this process. It is locked, and paused. */
void em_teardown(struct em_expert *expert)
{
	expert->key = 0;
	if (expert->attached || expert->mapped)
		expert->backend->unmap(expert);
	if (expert->attached) {
		tables_put(expert);
		em_debug_detach(expert);
	}
	for (int i = 0; i < EM_PARTS; i++)
		if (expert->parts[i])
			expert->parts[i]->release(expert);
	expert->attached = false;
	expert->heap.nr_seen = expert->heap.nr_put;
	expert->backend->close(expert);
	expert->status = &em_closed;
	em_shared_put(&expert->counts);
}
