// SPDX-License-Identifier: GPL-2.0
/*
 * Pinned pages: pages of freed regions that a pipe, a socket or a device still references.
 *
 * Before a range is truncated, its gate is closed and the range is unmapped. From then on nobody
 * takes a new reference to its pages but the mm itself, for moments. Somebody else therefore holds
 * a folio that has more references than the page cache and the LRU lists account for. Such a folio
 * gets a struct pin, with a reference of our own, and is truncated like all others. It stays
 * charged as long as it has foreign references.
 *
 * A fault that locked its page before the gate was closed may map it later, and others may then
 * take references through that mapping. The fault itself has a reference, too, so this folio has a
 * struct pin already.
 *
 * Truncations of one range can run in parallel (FREE and reclaim). Collecting, truncating and
 * settling therefore is one critical section of expert->pins_lock. Otherwise each truncation would
 * count the other's references as foreign ones. A truncation that finds no held folio does not take
 * pins_lock: another truncation of the range may take the references
 * of this one for foreign ones, and count the pages as pinned until the next check.
 */
#include <linux/atomic.h>
#include <linux/cpu.h>
#include <linux/jiffies.h>
#include <linux/ktime.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/pagemap.h>
#include <linux/percpu.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#include "compat.h"
#include "expertmem.h"

/**
 * struct pin - a folio that may be pinned
 * @link: entry in the list of a truncation, then in expert->pins
 * @folio: the folio, with a reference
 */
struct pin {
	struct list_head link;
	struct folio *folio;
};

/* Experts whose list of pins is not empty; the list holds a reference to each. */
static LIST_HEAD(holders);
static DEFINE_SPINLOCK(holders_lock);

#define DRAIN_INTERVAL	(HZ / 10)

static DEFINE_MUTEX(drain_lock);	/* one drain of all CPUs at a time */
static unsigned long next_drain = INITIAL_JIFFIES;	/* earliest time; under drain_lock */
static unsigned int drains;		/* number of drains begun; written under drain_lock */
static bool drain_all;	/* held pages were found since the last drain */
static DEFINE_PER_CPU(struct work_struct, drain_work);
static atomic_t nr_draining;		/* number of queued works that have not run yet */
static DECLARE_WAIT_QUEUE_HEAD(drained);

static void look_again(struct work_struct *work);
static DECLARE_DELAYED_WORK(look_again_work, look_again);

/**
 * expertmem_drain_lru() - empty this CPU's batches of folios that change their LRU list
 *
 * A batch holds a reference to each of its folios. Releasing any folio_batch drains all LRU batches
 * of the current CPU.
 *
 * Context: may sleep.
 */
void expertmem_drain_lru(void)
{
	struct page *page = alloc_page(GFP_KERNEL);
	struct folio_batch batch;

	if (!page)
		return;
	folio_batch_init(&batch);
	folio_batch_add(&batch, page_folio(page));
	folio_batch_release(&batch);
}

static void drain_this_cpu(struct work_struct *work)
{
	expertmem_drain_lru();
	if (atomic_dec_and_test(&nr_draining))
		wake_up(&drained);
}

/* A CPU that a real-time thread occupies never runs the work: wait a second at most. */
static void drain_lru_of_all(void)
{
	int cpu;

	cpus_read_lock();
	for_each_online_cpu(cpu) {
		atomic_inc(&nr_draining);
		if (!schedule_work_on(cpu, per_cpu_ptr(&drain_work, cpu)))
			atomic_dec(&nr_draining);	/* still queued */
	}
	cpus_read_unlock();
	wait_event_killable_timeout(drained, !atomic_read(&nr_draining), HZ);
}

/**
 * expertmem_drain_lru_all() - empty the batches of all CPUs
 *
 * A drain also wakes isolated CPUs. There are therefore at most ten drains a second, and only if
 * held pages were found since the last one. A caller waits for a drain that begins after the call.
 * A caller that is being killed does not wait.
 *
 * Context: may sleep; takes cpu_hotplug_lock, so no lock of the mm may be held.
 */
void expertmem_drain_lru_all(void)
{
	unsigned int begun = READ_ONCE(drains);
	long left;

	if (mutex_lock_killable(&drain_lock))
		return;
	left = next_drain - jiffies;
	if (!READ_ONCE(drain_all) || drains != begun)
		goto unlock;
	if (left > 0)
		schedule_timeout_killable(left);
	if (fatal_signal_pending(current))
		goto unlock;
	WRITE_ONCE(drains, drains + 1);
	WRITE_ONCE(drain_all, false);
	drain_lru_of_all();
	next_drain = jiffies + DRAIN_INTERVAL;
unlock:
	mutex_unlock(&drain_lock);
}

/* The kernel never drops its reference to a poisoned page: do not count it as a pin. */
static bool is_bad(struct folio *folio)
{
	return folio_test_hwpoison(folio) ||
	       (folio_test_large(folio) && folio_test_has_hwpoisoned(folio));
}

/*
 * References that the mm itself may hold for a while: one while it has taken the folio off the LRU
 * lists, and one for each page in the swap cache.
 */
static int own_refs(struct folio *folio)
{
	return !folio_test_lru(folio) +
	       (folio_test_swapcache(folio) ? folio_nr_pages(folio) : 0);
}

/*
 * Does the folio have more references than @expected and those of the mm? The mm's references are
 * subtracted only if it has them before and after the reference count is read. So a reference that
 * the mm has just taken or dropped never hides a foreign one.
 */
static bool is_held(struct folio *folio, int expected)
{
	int before, refs;

	before = own_refs(folio);
	smp_rmb();	/* pairs with the mm's atomic operations on folio flags and refcount */
	refs = folio_ref_count(folio);
	smp_rmb();	/* pairs with the mm's atomic operations on folio flags and refcount */
	return refs > expected + min(before, own_refs(folio)) && !is_bad(folio);
}

/**
 * expertmem_next_held() - find a folio in a window's file that somebody holds
 * @mapping: the mapping of the file
 * @index: first index to look at; receives the index behind the folio that was found
 * @last: last index to look at; folios that reach past it are left out
 *
 * Context: gate closed, or invalidate_lock held exclusively; range unmapped; may sleep.
 * Return: the folio, with a reference; NULL if there is none.
 */
struct folio *expertmem_next_held(struct address_space *mapping, pgoff_t *index, pgoff_t last)
{
	XA_STATE(xas, &mapping->i_pages, *index);
	struct folio *folio;

	rcu_read_lock();
	xas_for_each(&xas, folio, last) {
		if (xas_retry(&xas, folio) || xa_is_value(folio))
			continue;	/* the tree is changing here, or the page is in swap */
		/* the most common case first, to keep FREE fast */
		if (likely(folio_ref_count(folio) == 1) || !is_held(folio, folio_nr_pages(folio))) {
			if (unlikely(need_resched())) {
				xas_pause(&xas);
				rcu_read_unlock();
				cond_resched();
				rcu_read_lock();
			}
			continue;
		}
		if (!folio_try_get(folio))
			continue;	/* freed, or its count is frozen: nobody else holds it */
		if (folio == xas_reload(&xas) && folio->index >= *index &&
		    folio->index + folio_nr_pages(folio) - 1 <= last) {
			rcu_read_unlock();
			WRITE_ONCE(drain_all, true);
			*index = folio->index + folio_nr_pages(folio);
			return folio;
		}
		folio_put(folio);
	}
	rcu_read_unlock();
	return NULL;
}

/* List the folios of a range that may be pinned. Return the number of their pages. */
static unsigned long list_held(struct address_space *mapping, pgoff_t first, pgoff_t last,
			       struct list_head *pins)
{
	unsigned long pages = 0;
	struct folio *folio;
	struct pin *pin;

	while (first <= last) {
		folio = expertmem_next_held(mapping, &first, last);
		if (!folio)
			break;
		/* FREE and the exit of a process cannot fail */
		pin = kmalloc(sizeof(*pin), GFP_KERNEL_ACCOUNT | __GFP_NOFAIL);
		pin->folio = folio;
		list_add_tail(&pin->link, pins);
		pages += folio_nr_pages(folio);
		cond_resched();
	}
	return pages;
}

/**
 * expertmem_pins_collect() - list the folios of a range that may be pinned, and charge them
 * @window: the window
 * @first: first page of the range, index in the file
 * @last: last page of the range
 * @pins: receives the list
 *
 * The pages are charged as pinned before they leave the file, because a reclaim that finds the file
 * empty uncharges all that is charged for regions.
 *
 * Context: expert->pins_lock held; gate closed; range unmapped; takes expert->lock; may sleep.
 * Return: number of pages, charged by expertmem_charge_pinned().
 */
unsigned long expertmem_pins_collect(struct expertmem_window *window, pgoff_t first,
				     pgoff_t last, struct list_head *pins)
{
	unsigned long pages;

	lockdep_assert_held(&window->expert->pins_lock);
	/* unmapping has put pages into the batches of this CPU, which hold references */
	expertmem_drain_lru();
	pages = list_held(window->file->f_mapping, first, last, pins);
	if (pages)
		expertmem_charge_pinned(window, pages);
	return pages;
}

/* Free the pins of folios without foreign references. Return the number of their pages. */
static unsigned long drop_pins(struct list_head *pins)
{
	unsigned long pages = 0;
	struct pin *pin, *next;

	list_for_each_entry_safe(pin, next, pins, link) {
		if (!is_held(pin->folio, 1)) {
			pages += folio_nr_pages(pin->folio);
			list_del(&pin->link);
			folio_put(pin->folio);
			kfree(pin);
		}
		cond_resched();
	}
	return pages;
}

/**
 * expertmem_pins_settle() - keep the pins that are still held, and uncharge the others
 * @expert: the expert
 * @pins: list from expertmem_pins_collect(), whose folios were truncated; empty afterwards
 *
 * Context: expert->pins_lock held; may sleep.
 */
void expertmem_pins_settle(struct expertmem_expert *expert, struct list_head *pins)
{
	lockdep_assert_held(&expert->pins_lock);
	expertmem_uncharge_pinned(expert, drop_pins(pins));
	if (list_empty(pins))
		return;
	if (list_empty(&expert->pins)) {
		kref_get(&expert->ref);
		spin_lock(&holders_lock);
		list_add_tail(&expert->holder, &holders);
		spin_unlock(&holders_lock);
	}
	list_splice_init(pins, &expert->pins);
	queue_delayed_work(system_unbound_wq, &look_again_work, HZ);
}

static void check_pins(struct expertmem_expert *expert)
{
	bool last;

	lockdep_assert_held(&expert->pins_lock);
	if (list_empty(&expert->pins))
		return;
	expertmem_uncharge_pinned(expert, drop_pins(&expert->pins));
	last = list_empty(&expert->pins);
	if (last) {
		spin_lock(&holders_lock);
		list_del_init(&expert->holder);
		spin_unlock(&holders_lock);
		/* the caller has another reference */
		expertmem_put(expert);
	}
}

/**
 * expertmem_pins_check() - uncharge the pages that are not pinned any more
 * @expert: the expert, to which the caller has a reference
 *
 * Does nothing, and does not wait, while a truncation of this expert holds pins_lock.
 *
 * Context: process context; none of the expert's locks held.
 */
void expertmem_pins_check(struct expertmem_expert *expert)
{
	if (!atomic_long_read(&expert->pinned) || !mutex_trylock(&expert->pins_lock))
		return;
	check_pins(expert);
	mutex_unlock(&expert->pins_lock);
}

/* Get the first expert of @todo, with a reference, and move it to the end of the holders. */
static struct expertmem_expert *next_holder(struct list_head *todo)
{
	struct expertmem_expert *expert;

	spin_lock(&holders_lock);
	expert = list_first_entry_or_null(todo, struct expertmem_expert, holder);
	if (expert) {
		kref_get(&expert->ref);
		list_move_tail(&expert->holder, &holders);
	}
	spin_unlock(&holders_lock);
	return expert;
}

/*
 * Check all pins periodically, because the kernel does not report that a page's last reference is
 * dropped. The checks take at most 1/30 of one CPU's time, however many pages are pinned. They do
 * not run on expertmem_workqueue, which has WQ_MEM_RECLAIM: the drain waits for works on a
 * workqueue that has no rescuer.
 */
static void look_again(struct work_struct *work)
{
	struct expertmem_expert *expert;
	LIST_HEAD(todo);
	bool more;
	u64 start;

	expertmem_drain_lru_all();
	start = ktime_get_ns();
	spin_lock(&holders_lock);
	list_splice_init(&holders, &todo);
	spin_unlock(&holders_lock);
	while ((expert = next_holder(&todo))) {
		expertmem_pins_check(expert);
		expertmem_put(expert);
		cond_resched();
	}
	spin_lock(&holders_lock);
	more = !list_empty(&holders);
	spin_unlock(&holders_lock);
	/* mod_delayed_work(): replaces the earlier time that a truncation may have queued */
	if (more)
		mod_delayed_work(system_unbound_wq, &look_again_work,
				 max_t(unsigned long, HZ,
				       nsecs_to_jiffies((ktime_get_ns() - start) * 30)));
}

/**
 * expertmem_pins_init() - initialize the works that drain the CPUs
 *
 * Context: the module is being loaded.
 */
void expertmem_pins_init(void)
{
	int cpu;

	for_each_possible_cpu(cpu)
		INIT_WORK(per_cpu_ptr(&drain_work, cpu), drain_this_cpu);
}

/**
 * expertmem_pins_destroy() - free all pins
 *
 * The pages are freed when the last foreign reference is dropped.
 *
 * Context: the module is being unloaded; no expert is open.
 */
void expertmem_pins_destroy(void)
{
	struct expertmem_expert *expert;
	struct pin *pin, *next;
	int cpu;

	cancel_delayed_work_sync(&look_again_work);
	for_each_possible_cpu(cpu)
		cancel_work_sync(per_cpu_ptr(&drain_work, cpu));
	while ((expert = next_holder(&holders))) {
		mutex_lock(&expert->pins_lock);
		list_for_each_entry_safe(pin, next, &expert->pins, link) {
			folio_put(pin->folio);
			kfree(pin);
		}
		INIT_LIST_HEAD(&expert->pins);
		mutex_unlock(&expert->pins_lock);
		spin_lock(&holders_lock);
		list_del_init(&expert->holder);
		spin_unlock(&holders_lock);
		expertmem_put(expert);	/* the reference of the list */
		expertmem_put(expert);
	}
}
