// SPDX-License-Identifier: GPL-2.0
/*
 * The pages of a window's file: making, mapping, copying, counting and giving them back.
 */
#include <linux/fs.h>
#include <linux/list.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/pid.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/shmem_fs.h>
#include <linux/sizes.h>
#include <linux/xarray.h>

#include "compat.h"
#include "expertmem.h"

/* Running out of memory in a call is an error, not a reason to kill anyone. */
#define CALL_GFP	(__GFP_RETRY_MAYFAIL | __GFP_NOWARN)

/* Have the page at @index, in a busy region: locked, or the error for the caller. */
static struct page *make_page(struct expertmem_window *window, pgoff_t index)
{
	struct address_space *mapping = window->file->f_mapping;
	struct page *page;
	int err;

	if (fatal_signal_pending(current))
		return ERR_PTR(-EINTR);

	filemap_invalidate_lock_shared(mapping);
	if (READ_ONCE(window->state) == WINDOW_GONE)
		err = -ESHUTDOWN;
	else
		err = expertmem_loan_touch(window, index, CALL_GFP);
	if (!err) {
		page = expertmem_page_get(mapping, index, mapping_gfp_mask(mapping) | CALL_GFP);
		err = PTR_ERR_OR_ZERO(page);
	}
	filemap_invalidate_unlock_shared(mapping);
	if (err)
		return ERR_PTR(err == -ESHUTDOWN ? err : -ENOMEM);
	return page;
}

/*
 * The mm that shows a window, with a reference; NULL where its process has ended. Another
 * process that has the descriptor may work on the regions, too.
 */
static struct mm_struct *owner_mm(const struct expertmem_window *window)
{
	struct task_struct *leader, *thread;
	struct mm_struct *mm = NULL;

	if (current->mm == window->mm) {
		mmget(current->mm);
		return current->mm;
	}
	rcu_read_lock();
	leader = pid_task(window->mapper, PIDTYPE_TGID);
	if (leader)
		for_each_thread(leader, thread) {
			/* the first thread may have ended, and have none */
			mm = get_task_mm(thread);
			if (mm)
				break;
		}
	rcu_read_unlock();
	if (mm && mm != window->mm) {
		mmput(mm);
		mm = NULL;
	}
	return mm;
}

/* Make pages; what is allocated is charged to the memory cgroup that is active. */
static int make_pages(struct expertmem_window *window, pgoff_t first, unsigned long pages)
{
	pgoff_t index = first;
	struct page *page;

	while (index < first + pages) {
		page = make_page(window, index);
		if (IS_ERR(page))
			return PTR_ERR(page);
		index += expertmem_pages_from(page);
		expertmem_page_put_dirty(page);
		cond_resched();
	}
	return 0;
}

/**
 * expertmem_window_populate() - make pages exist
 * @window: the window
 * @first: device page offset
 * @pages: how many, all of one busy region
 *
 * Context: no lock held; may sleep.
 * Return: 0, -ENOMEM, -EINTR where the caller is being killed, -ESHUTDOWN where the
 *	window went meanwhile. What was paged in before an error stays.
 */
int expertmem_window_populate(struct expertmem_window *window, pgoff_t first,
			      unsigned long pages)
{
	struct mem_cgroup *memcg, *old;
	struct mm_struct *mm;
	int err;

	/* Nobody has mapped yet what FORK has made. */
	if (likely(current->mm == window->mm) || !window->mapper)
		return make_pages(window, first, pages);
	mm = owner_mm(window);
	if (!mm)
		return -ESHUTDOWN;
	memcg = get_mem_cgroup_from_mm(mm);
	old = set_active_memcg(memcg);
	err = make_pages(window, first, pages);
	set_active_memcg(old);
	mem_cgroup_put(memcg);
	mmput(mm);
	return err;
}

/* The page at @index, and those that one fault of the mm maps along with it. */
static unsigned long step_at(struct address_space *mapping, pgoff_t index)
{
	unsigned long around = SZ_64K >> PAGE_SHIFT;
	unsigned long folio = 1UL << xa_get_order(&mapping->i_pages, index);

	return max(folio, around) - (index & (max(folio, around) - 1));
}

/**
 * expertmem_window_map() - map pages that are there, in the process that shows the window
 * @window: the window
 * @first: device page offset
 * @pages: how many, all of one region whose gate is open
 *
 * They are resident for the mm and its OOM killer from then on. What cannot be mapped is left
 * to a later touch.
 *
 * Context: no lock held; may sleep.
 */
void expertmem_window_map(struct expertmem_window *window, pgoff_t first, unsigned long pages)
{
	struct address_space *mapping = window->file->f_mapping;
	struct mm_struct *mm = owner_mm(window);
	unsigned int flags = mm == current->mm ? 0 : FAULT_FLAG_REMOTE;
	unsigned long index = first;
	unsigned long address;
	void *entry;
	int err = 0;

	if (!mm)
		return;
	while (!err && !fatal_signal_pending(current)) {
		entry = xa_find(&mapping->i_pages, &index, first + pages - 1, XA_PRESENT);
		if (!entry)
			break;
		if (xa_is_value(entry)) {
			index++;
			continue;
		}
		address = window->address + ((index - window->first) << PAGE_SHIFT);
		if (mmap_read_lock_killable(mm))
			break;
		/*
		 * While the window is mapped, nothing else can be at this address. A read fault
		 * maps what is around it, writable in a shared mapping.
		 */
		err = READ_ONCE(window->state) == WINDOW_MAPPED ?
		      fixup_user_fault(mm, address, flags, NULL) : -ESHUTDOWN;
		mmap_read_unlock(mm);
		index += step_at(mapping, index);
		cond_resched();
	}
	mmput(mm);
}

/*
 * The next page that is there, in memory or in swap, from @index to @last; sets @index.
 * NULL: none is left, or the region there has gone. A page that madvise() removes
 * between the two looks comes back, filled with zeros: as if it were touched.
 */
static struct page *next_page(struct expertmem_window *window, unsigned long *index,
			      pgoff_t last)
{
	struct address_space *mapping = window->file->f_mapping;
	struct page *page = NULL;
	pgoff_t first, end;

	filemap_invalidate_lock_shared(mapping);
	/* what a borrower has when this is held is copied whole */
	mutex_lock(&window->loan_lock);
	if (READ_ONCE(window->state) == WINDOW_GONE || window->lost) {
		page = ERR_PTR(-ESHUTDOWN);
	} else if (xa_find(&mapping->i_pages, index, last, XA_PRESENT) &&
		   expertmem_region_gate(window, *index, &first, &end, true)) {
		page = shmem_read_mapping_page_gfp(mapping, *index,
						   mapping_gfp_mask(mapping) | CALL_GFP);
		if (IS_ERR(page) && page != ERR_PTR(-ENOMEM))
			page = ERR_PTR(-EIO);
	}
	mutex_unlock(&window->loan_lock);
	filemap_invalidate_unlock_shared(mapping);
	return page;
}

/*
 * Put copies of @n pages from @source on at @index; sets @n to how many there was place for. What
 * a lender copies there meanwhile comes before.
 */
static int put_copies(struct expertmem_window *to, pgoff_t index, struct page *source,
		      unsigned long *n)
{
	struct address_space *mapping = to->file->f_mapping;
	struct page *page;
	int err = 0;

	if (fatal_signal_pending(current))
		return -EINTR;
	filemap_invalidate_lock_shared(mapping);
	if (!READ_ONCE(to->lender))
		err = expertmem_loan_touch(to, index, CALL_GFP);
	mutex_lock(&to->loan_lock);
	if (!err && (READ_ONCE(to->state) == WINDOW_GONE || to->lost))
		err = -ESHUTDOWN;
	if (!err) {
		page = expertmem_page_get(mapping, index, mapping_gfp_mask(mapping) | CALL_GFP);
		err = IS_ERR(page) ? -ENOMEM : 0;
	}
	if (!err) {
		*n = min(*n, expertmem_pages_from(page));
		err = expertmem_pages_copy(page, source, *n);
		expertmem_page_put_dirty(page);
	}
	mutex_unlock(&to->loan_lock);
	filemap_invalidate_unlock_shared(mapping);
	return err;
}

/**
 * expertmem_window_copy() - copy what is there of a region of another window
 * @to: the window
 * @from: the other window; its region may be freed meanwhile
 * @first: device page offset, in both
 * @pages: how many, all of one region in @to that nobody else changes
 * @zeros: copy pages of zeros, too: a borrower that has none would have the lender's
 * @copied: increased by how many pages were copied
 *
 * Context: no lock held; may sleep.
 * Return: 0; as expertmem_window_populate(), of either window; -EIO where a page cannot
 *	be read. What was copied before an error stays.
 */
int expertmem_window_copy(struct expertmem_window *to, struct expertmem_window *from,
			  pgoff_t first, unsigned long pages, bool zeros,
			  unsigned long *copied)
{
	pgoff_t last = first + pages - 1;
	unsigned long index = first;
	struct page *source;
	unsigned long n;
	int err;

	while (index <= last) {
		source = next_page(from, &index, last);
		if (IS_ERR_OR_NULL(source))
			return PTR_ERR_OR_ZERO(source);
		n = min(expertmem_pages_from(source), last - index + 1);
		if (!zeros && expertmem_pages_are_zero(source, n)) {
			put_page(source);
			index += n;
			cond_resched();
			continue;
		}
		err = put_copies(to, index, source, &n);
		put_page(source);
		if (err)
			return err;
		*copied += n;
		index += n;
		cond_resched();
	}
	return 0;
}

/* Truncations are done in parts: nobody waits for one who has little of a CPU. */
#define TRUNCATE_PAGES	(SZ_64M >> PAGE_SHIFT)

/* A part that is copied for borrowers before is smaller: the copies take its place. */
#define LENT_PAGES	(SZ_2M >> PAGE_SHIFT)

/* Give the pages from @first to @last back. Return how many of them were pinned. */
static unsigned long truncate_part(struct expertmem_window *window, pgoff_t first, pgoff_t last)
{
	struct address_space *mapping = window->file->f_mapping;
	struct expertmem_expert *expert = window->expert;
	unsigned long pinned = 0;
	pgoff_t index = first;
	struct folio *held;
	LIST_HEAD(pins);

	/* A shared mapping has no copies on write, but marks of bad memory go with them. */
	unmap_mapping_pages(mapping, first, last - first + 1, true);
	held = expertmem_next_held(mapping, &index, last);
	if (held) {
		folio_put(held);
		mutex_lock(&expert->pins_lock);
		pinned = expertmem_pins_collect(window, first, last, &pins);
	}
	shmem_truncate_range(mapping->host, (loff_t)first << PAGE_SHIFT,
			     ((loff_t)(last + 1) << PAGE_SHIFT) - 1);
	if (held) {
		expertmem_pins_settle(expert, &pins);
		mutex_unlock(&expert->pins_lock);
	}
	return pinned;
}

/**
 * expertmem_window_truncate() - give pages back and unmap them
 * @window: the window
 * @first: device page offset
 * @pages: how many; no fault can make any: their gate was never open, or it was closed and
 *	expertmem_window_wait_for_faults() has returned since
 *
 * Context: mmap_lock and expert->reclaim_lock may be held; takes expert->pins_lock and
 *	expert->lock; may sleep.
 * Return: pages that somebody else holds, or held a moment ago. They are not charged for a
 *	region any more; see expertmem_charge_pinned().
 */
unsigned long expertmem_window_truncate(struct expertmem_window *window, pgoff_t first,
					unsigned long pages)
{
	struct address_space *mapping = window->file->f_mapping;
	pgoff_t last = first + pages - 1;
	unsigned long most = list_empty(&window->borrowers) ? TRUNCATE_PAGES : LENT_PAGES;
	unsigned long pinned = 0;
	unsigned long index = first;
	pgoff_t part;

	/* Freeing what was never touched is common, and cheap. */
	while (first <= last && xa_find(&mapping->i_pages, &index, last, XA_PRESENT)) {
		first = max(first, round_down(index, window->granule));
		part = min(last, first | (most - 1));
		expertmem_loan_take(window, first, part);
		pinned += truncate_part(window, first, part);
		first = part + 1;
		index = first;
	}
	return pinned;
}

/*
 * Does somebody hold a page from @first to @last? The gate is open, but no fault begins: the
 * invalidate_lock is held exclusively. One that has its page already is waited for. Others
 * that hold a page for a moment get a few.
 */
static bool is_range_held(struct address_space *mapping, pgoff_t first, pgoff_t last)
{
	int looks = 64, tries = 4;
	struct folio *held;
	pgoff_t index;

	while (looks-- && tries) {
		unmap_mapping_pages(mapping, first, last - first + 1, true);
		/* unmapping has filled batches, which hold pages */
		expertmem_drain_lru();
		index = first;
		held = expertmem_next_held(mapping, &index, last);
		if (!held)
			return false;
		if (!folio_test_locked(held) && !folio_mapped(held))
			tries--;
		folio_lock(held);
		folio_unlock(held);
		folio_put(held);
		cond_resched();
	}
	return true;
}

/* Give the pages of a part back, whose gate is open; -EBUSY: somebody holds one. */
static int punch_part(struct address_space *mapping, unsigned long granule, loff_t offset,
		      loff_t end)
{
	/* a huge page that is covered in part would be filled with zeros there */
	pgoff_t first = round_down(offset >> PAGE_SHIFT, granule);
	pgoff_t last = round_up(DIV_ROUND_UP_ULL(end, PAGE_SIZE), granule) - 1;
	int err = 0;

	filemap_invalidate_lock(mapping);
	if (is_range_held(mapping, first, last))
		err = -EBUSY;
	else
		shmem_truncate_range(mapping->host, offset, end - 1);
	filemap_invalidate_unlock(mapping);
	return err;
}

/*
 * Called before a range is given back: a borrower copies what it owes there, a lender hands its
 * pages to its borrowers.
 */
static int settle_loans(struct expertmem_window *window, pgoff_t first, pgoff_t last)
{
	struct expertmem_expert *expert = window->expert;
	int err = 0;

	down_read(&expert->reclaim_lock);
	if (window->file) {
		err = expertmem_loan_pay_off(window, first, last);
		expertmem_loan_take(window, first, last);
	}
	up_read(&expert->reclaim_lock);
	return err;
}

/**
 * expertmem_punch_hole() - give pages of a window back, and leave the regions as they are
 * @window: the window; its expert may have been released
 * @file: the window's file, with a reference
 * @offset: where to begin, bytes
 * @len: how much, bytes
 *
 * Pages of a region are charged whether they are there or not. Those that somebody else holds
 * would then be charged to nobody: they stay where they are. A page that only a part of the
 * range covers, of a huge one, is filled with zeros there.
 *
 * Context: may sleep.
 * Return: 0; -EBUSY where somebody holds a page: what lies before it may have been given
 *	back; -EINTR where the caller is being killed; -ENOMEM or -EIO where what a region owes
 *	cannot be copied.
 */
long expertmem_punch_hole(struct expertmem_window *window, struct file *file, loff_t offset,
			  loff_t len)
{
	struct address_space *mapping = file->f_mapping;
	unsigned long granule = window->granule;
	loff_t end = offset + len;
	unsigned long index;
	loff_t part;
	int err;

	while (offset < end) {
		index = offset >> PAGE_SHIFT;
		/* a borrower may have nothing there, and owe it */
		if (!expertmem_window_has_loan(window) &&
		    !xa_find(&mapping->i_pages, &index, (end - 1) >> PAGE_SHIFT, XA_PRESENT))
			return 0;
		part = min_t(loff_t, end, round_up(offset + 1, SZ_64M));
		err = settle_loans(window, round_down(offset >> PAGE_SHIFT, granule),
				   round_up(DIV_ROUND_UP_ULL(part, PAGE_SIZE), granule) - 1);
		if (err)
			return err;
		err = punch_part(mapping, granule, offset, part);
		if (err == -EBUSY) {
			/* perhaps by batches of other CPUs */
			expertmem_drain_lru_all();
			err = punch_part(mapping, granule, offset, part);
		}
		if (err)
			return err;
		if (fatal_signal_pending(current))
			return -EINTR;
		offset = part;
	}
	return 0;
}
