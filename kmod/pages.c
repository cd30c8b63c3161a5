// SPDX-License-Identifier: GPL-2.0
/*
 * Ranges of pages of a window: populate, map, copy and truncate them, and punch holes.
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

/* Make the page at @index of a busy region. Return it locked, or an ERR_PTR() for the caller. */
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
		err = expertmem_loan_touch(window, index, EXPERTMEM_NO_KILL);
	if (!err) {
		page = expertmem_page_make(mapping, index, EXPERTMEM_NO_KILL);
		err = PTR_ERR_OR_ZERO(page);
	}
	filemap_invalidate_unlock_shared(mapping);
	if (err)
		return ERR_PTR(err == -ESHUTDOWN ? err : -ENOMEM);
	return page;
}

/*
 * Get the mm that maps a window, with a reference; NULL if its process has ended. The caller may be
 * another process that has the descriptor.
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
			/* a thread that has ended has no mm */
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

/* Make pages, and charge them to the active memory cgroup. */
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
 * expertmem_window_populate() - make the pages of a range
 * @window: the window
 * @first: page offset in the window of the first page
 * @pages: number of pages, all of one busy region
 *
 * The pages are charged to the memory cgroup of the process that mapped the window.
 *
 * Context: no lock held; may sleep.
 * Return: 0; -ENOMEM; -EINTR if the caller is being killed; -ESHUTDOWN if the window is gone.
 *	After an error, the pages that were made before it stay.
 */
int expertmem_window_populate(struct expertmem_window *window, pgoff_t first,
			      unsigned long pages)
{
	struct mem_cgroup *memcg, *old;
	struct mm_struct *mm;
	int err;

	/* a window that FORK has prepared is not mapped yet: charge the caller */
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

/* The number of pages, from @index on, that one fault maps: its folio, or 64 KiB around it. */
static unsigned long step_at(struct address_space *mapping, pgoff_t index)
{
	unsigned long around = SZ_64K >> PAGE_SHIFT;
	unsigned long folio = 1UL << xa_get_order(&mapping->i_pages, index);

	return max(folio, around) - (index & (max(folio, around) - 1));
}

/**
 * expertmem_window_map() - map the resident pages of a range
 * @window: the window
 * @first: page offset in the window of the first page
 * @pages: number of pages, all of one region whose gate is open
 *
 * The pages are mapped in the process that mapped the window, and count as its resident memory,
 * also for the OOM killer. Pages that cannot be mapped are left to a later touch.
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
		address = window->address + (index << PAGE_SHIFT);
		if (mmap_read_lock_killable(mm))
			break;
		/*
		 * While the window is mapped, no other mapping can be at this address. A read fault
		 * also maps the pages around it, and in a shared mapping maps them writable.
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
 * Get the next page of the file, in memory or in swap, from @index to @last; sets @index.
 * NULL: there is none, or the region there was freed. If madvise() removes a page between the two
 * lookups, the second one makes it again, filled with zeros, as a touch would.
 */
static struct page *next_page(struct expertmem_window *window, unsigned long *index,
			      pgoff_t last)
{
	struct address_space *mapping = window->file->f_mapping;
	struct page *page = NULL;
	pgoff_t first, end;

	filemap_invalidate_lock_shared(mapping);
	/* under this lock, all pages in a borrower's file are complete copies */
	mutex_lock(&window->loan_lock);
	if (READ_ONCE(window->state) == WINDOW_GONE || window->lost) {
		page = ERR_PTR(-ESHUTDOWN);
	} else if (xa_find(&mapping->i_pages, index, last, XA_PRESENT) &&
		   expertmem_region_gate(window, *index, &first, &end, true)) {
		page = expertmem_page_read(mapping, *index, EXPERTMEM_NO_KILL);
		if (IS_ERR(page) && page != ERR_PTR(-ENOMEM))
			page = ERR_PTR(-EIO);
	}
	mutex_unlock(&window->loan_lock);
	filemap_invalidate_unlock_shared(mapping);
	return page;
}

/*
 * Copy @n pages from @source on to @index; sets @n to the number of pages copied. If @to borrows, a
 * page that the lender copies there at the same time is overwritten by this copy, which has the
 * bytes that the child wrote.
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
		err = expertmem_loan_touch(to, index, EXPERTMEM_NO_KILL);
	mutex_lock(&to->loan_lock);
	if (!err && (READ_ONCE(to->state) == WINDOW_GONE || to->lost))
		err = -ESHUTDOWN;
	if (!err) {
		page = expertmem_page_make(mapping, index, EXPERTMEM_NO_KILL);
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
 * expertmem_window_copy() - copy the pages in a window's file to another window
 * @to: the destination
 * @from: the source; its region may be freed meanwhile
 * @first: page offset in the window of the first page, in both windows
 * @pages: number of pages, all of one region in @to that no other call changes
 * @zeros: copy pages of zeros, too: otherwise a borrower would take the lender's page instead
 * @copied: increased by the number of pages that were copied
 *
 * Context: no lock held; may sleep.
 * Return: 0; -ENOMEM; -EINTR if the caller is being killed; -ESHUTDOWN if either window is gone;
 *	-EIO if a page cannot be read. After an error, the pages that were copied before it stay.
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

/*
 * Truncations are done in parts of this size. A process that truncates the same range then does not
 * wait long for pins_lock when its holder gets little CPU time.
 */
#define TRUNCATE_PAGES	(SZ_64M >> PAGE_SHIFT)

/* Parts that are copied for borrowers first are smaller, because the copies take memory. */
#define LENT_PAGES	(SZ_2M >> PAGE_SHIFT)

/* Truncate the pages from @first to @last. Return how many of them were pinned. */
static unsigned long truncate_part(struct expertmem_window *window, pgoff_t first, pgoff_t last)
{
	struct address_space *mapping = window->file->f_mapping;
	struct expertmem_expert *expert = window->expert;
	unsigned long pinned = 0;
	pgoff_t index = first;
	struct folio *held;
	LIST_HEAD(pins);

	/* even_cows: a shared mapping has no private copies, but it unmaps hwpoison entries, too */
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
 * expertmem_window_truncate() - unmap and free the pages of a range
 * @window: the window
 * @first: page offset in the window of the first page
 * @pages: number of pages; no fault can make any of them: their gate was never open, or it was
 *	closed, and expertmem_window_wait_for_faults() has returned since
 *
 * Context: mmap_lock and expert->reclaim_lock may be held; takes expert->pins_lock and
 *	expert->lock; may sleep.
 * Return: number of pages that were held when they were truncated. They are not charged for a
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

	/* regions are often freed without having been touched: skip ranges without pages */
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
 * Does somebody hold a page from @first to @last? The gate is open, but the invalidate_lock is held
 * exclusively, so that no fault can pass. Faults that have locked their page already are awaited.
 * Other references may be gone after a moment, so the check is repeated a few times.
 */
static bool is_range_held(struct address_space *mapping, pgoff_t first, pgoff_t last)
{
	int looks = 64, tries = 4;
	struct folio *held;
	pgoff_t index;

	while (looks-- && tries) {
		unmap_mapping_pages(mapping, first, last - first + 1, true);
		/* unmapping has put pages into batches, which hold references */
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

/* Free the pages of a part whose gate is open; -EBUSY if somebody holds one of them. */
static int punch_part(struct address_space *mapping, unsigned long granule, loff_t offset,
		      loff_t end)
{
	/* check whole granules: a huge page that is covered in part is zeroed there, not freed */
	pgoff_t first = round_down(offset >> PAGE_SHIFT, granule);
	pgoff_t last = round_up(DIV_ROUND_UP_ULL(end, PAGE_SIZE), granule) - 1;
	int err = -EBUSY;

	filemap_invalidate_lock(mapping);
	if (!is_range_held(mapping, first, last)) {
		expertmem_page_set_no_kill(mapping, false);
		shmem_truncate_range(mapping->host, offset, end - 1);
		expertmem_page_set_no_kill(mapping, true);
		err = 0;
	}
	filemap_invalidate_unlock(mapping);
	return err;
}

/*
 * Called before pages of a range are freed: a borrower copies the pages that it owes there, and a
 * lender copies its pages for its borrowers.
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
 * expertmem_punch_hole() - free pages of a window, and keep the regions (MADV_REMOVE)
 * @window: the window; its expert may have been released
 * @file: the window's file, with a reference
 * @offset: start of the range in the file, bytes
 * @len: length of the range, bytes
 *
 * A region is charged for its size, whether its pages exist or not. Held pages that were removed
 * from the file would be charged to nobody, so they are not removed. A huge page that the range
 * covers in part is zeroed there.
 *
 * Context: may sleep.
 * Return: 0; -EBUSY if somebody holds a page: earlier parts of the range (64 MiB each) may have
 *	been freed; -EINTR if the caller is being killed; -ENOMEM or -EIO if a page that a
 *	region owes cannot be copied.
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
		/* a borrower may owe pages where its file has none */
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
			/* batches of other CPUs may hold pages */
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
