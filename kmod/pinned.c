// SPDX-License-Identifier: GPL-2.0
/*
 * Pinned pages: pages of freed regions that a pipe, a socket or a device still holds.
 *
 * Before a range is truncated its gate is closed and it is unmapped, so that nobody can take
 * a new reference to its pages but the mm itself, for moments. A folio with more references
 * than its place in the file and on the LRU lists explain is therefore held by somebody. It
 * gets a struct pin, with a reference of our own, and is truncated like all others; while
 * somebody else still refers to it afterwards, it stays charged. A fault that had its page
 * before the gate was closed may map it later, and others may then take references through
 * that mapping; but the fault itself has one as well, so this folio has a struct pin already.
 *
 * Truncations of one range can run side by side (FREE and reclaim). Collecting, truncating
 * and settling is one critical section of expert->pins_lock, or each would take the
 * reference of the other for a foreign one. One that has found nothing held truncates without
 * that lock: its reference may be taken for a pin until the next look.
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
 * struct pin - a folio that may be, or is, pinned
 * @link: in the list of a truncation, then in expert->pins
 * @folio: the folio, with a reference
 */
struct pin {
	struct list_head link;
	struct folio *folio;
};

/* Experts with a non-empty list of pins; each has a reference while it is in here. */
static LIST_HEAD(holders);
static DEFINE_SPINLOCK(holders_lock);

#define DRAIN_INTERVAL	(HZ / 10)

static DEFINE_MUTEX(drain_lock);	/* one drain of all CPUs at a time */
static unsigned long next_drain = INITIAL_JIFFIES;	/* under drain_lock: not before */
static unsigned int drains;		/* that have begun; written under drain_lock */
static bool drain_all;	/* since the last drain, pages were found to be held */
static DEFINE_PER_CPU(struct work_struct, drain_work);
static atomic_t nr_draining;		/* works that have been queued and have not run */
static DECLARE_WAIT_QUEUE_HEAD(drained);

static void look_again(struct work_struct *work);
static DECLARE_DELAYED_WORK(look_again_work, look_again);

/**
 * expertmem_drain_lru() - empty this CPU's batches of folios that change their LRU list
 *
 * A batch has a reference to each of its folios. Releasing any batch empties all of the CPU.
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

/* A CPU on which a real-time thread runs for ever does not answer: do not wait long for it. */
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
 * A drain wakes isolated CPUs as well, so there are at most ten a second, and only when pages
 * were found to be held since the last one. Callers wait for a drain that begins after they
 * asked, the next but one at the latest; whoever is being killed does not wait.
 *
 * Context: may sleep; takes cpu_hotplug_lock, so no lock of the mm's is held.
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

/* The kernel keeps a reference to bad memory for good. */
static bool is_bad(struct folio *folio)
{
	return folio_test_hwpoison(folio) ||
	       (folio_test_large(folio) && folio_test_has_hwpoisoned(folio));
}

/*
 * References that the mm itself has for a while: of whoever moves a folio that is not on an LRU
 * list, and of the swap cache.
 */
static int own_refs(struct folio *folio)
{
	return !folio_test_lru(folio) +
	       (folio_test_swapcache(folio) ? folio_nr_pages(folio) : 0);
}

/*
 * Has the folio more references than @expected and those of the mm? The mm's count only if it
 * has them before and after the count is read: a foreign one is never taken for one that has
 * just come or gone.
 */
static bool is_held(struct folio *folio, int expected)
{
	int before, refs;

	before = own_refs(folio);
	smp_rmb();	/* pairs with the atomic operations on flags and count in the mm */
	refs = folio_ref_count(folio);
	smp_rmb();	/* as above */
	return refs > expected + min(before, own_refs(folio)) && !is_bad(folio);
}

/**
 * expertmem_next_held() - find a folio in a window's file that somebody holds
 * @mapping: of the file
 * @index: where to begin; receives the index behind what is found
 * @last: last index; a folio that reaches past it is left out
 *
 * Context: gate closed, or invalidate_lock held exclusively; range unmapped; may sleep.
 * Return: the folio, with a reference; NULL: no more.
 */
struct folio *expertmem_next_held(struct address_space *mapping, pgoff_t *index, pgoff_t last)
{
	XA_STATE(xas, &mapping->i_pages, *index);
	struct folio *folio;

	rcu_read_lock();
	xas_for_each(&xas, folio, last) {
		if (xas_retry(&xas, folio) || xa_is_value(folio))
			continue;	/* a moment of reclaim, or in swap */
		/* the most common case first: FREE is to cost no more for this loop */
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
			continue;	/* freed, or frozen: nobody holds it then */
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

/* List the folios of a range that may be pinned. Return how many pages they have. */
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
		/* FREE and the end of a process cannot fail for want of a few bytes. */
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
 * They are charged before they leave the file: a reclaim that finds the file empty uncharges
 * all that is charged for regions.
 *
 * Context: expert->pins_lock held; as expertmem_next_held(); takes expert->lock.
 * Return: pages, charged as of expertmem_charge_pinned().
 */
unsigned long expertmem_pins_collect(struct expertmem_window *window, pgoff_t first,
				     pgoff_t last, struct list_head *pins)
{
	unsigned long pages;

	lockdep_assert_held(&window->expert->pins_lock);
	/* unmapping has filled the batches of this CPU */
	expertmem_drain_lru();
	pages = list_held(window->file->f_mapping, first, last, pins);
	if (pages)
		expertmem_charge_pinned(window, pages);
	return pages;
}

/* Free the pins whose folio nobody else holds any more. Returns the number of their pages. */
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
 * expertmem_pins_settle() - keep those of a list that are pinned, and uncharge the others
 * @expert: the expert
 * @pins: from expertmem_pins_collect(); truncated since; empty afterwards
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
		/* not the last reference: the caller has one */
		expertmem_put(expert);
	}
}

/**
 * expertmem_pins_check() - uncharge the pinned pages that have been let go
 * @expert: the expert, to which the caller has a reference
 *
 * While a truncation of this expert is under way nothing is done, and nobody waits.
 *
 * Context: process context; no lock of the expert's held.
 */
void expertmem_pins_check(struct expertmem_expert *expert)
{
	if (!atomic_long_read(&expert->pinned) || !mutex_trylock(&expert->pins_lock))
		return;
	check_pins(expert);
	mutex_unlock(&expert->pins_lock);
}

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
 * Whoever lets go of a page does not tell us. Looking takes at most a thirtieth of the time
 * of one CPU, however many pages are pinned. Not on our own queue: what the drain waits for
 * need not have a rescuer.
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
	/* This may come later than what was queued meanwhile. */
	if (more)
		mod_delayed_work(system_unbound_wq, &look_again_work,
				 max_t(unsigned long, HZ,
				       nsecs_to_jiffies((ktime_get_ns() - start) * 30)));
}

/**
 * expertmem_pins_init() - the module is being loaded
 */
void expertmem_pins_init(void)
{
	int cpu;

	for_each_possible_cpu(cpu)
		INIT_WORK(per_cpu_ptr(&drain_work, cpu), drain_this_cpu);
}

/**
 * expertmem_pins_destroy() - forget all pins
 *
 * The pages are whoever's who still holds them.
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
		expertmem_put(expert);	/* of the list */
		expertmem_put(expert);
	}
}
