// SPDX-License-Identifier: GPL-2.0
/*
 * Loans: the pages of a forked child, copied one by one when they are needed.
 *
 * FORK makes the heir's window a borrower of its parent's window, the lender. The borrower has
 * copies of all regions, and its regions owe their pages. The lender's page holds the bytes of an
 * owed page until the page is copied:
 *
 *	A fault of the borrower copies the page before it maps the copy.
 *	A fault of the lender copies the page for each borrower before it maps the page. A loan
 *	begins by unmapping all of the lender's pages, so that every touch is such a fault.
 *	FREE, REALLOC, MADV_REMOVE and a reclaim of the lender copy a page before they free it.
 *	MADV_REMOVE in the borrower first copies all pages that the region owes. Afterwards the
 *	region owes nothing; otherwise a later touch would copy the lender's page again.
 *
 * A page that is in the borrower's file is not owed any more. If the lender has no page, a fault of
 * the lender therefore makes a page of zeros for the borrower. A page of zeros that the lender
 * frees is copied like others: without a copy, a fault of the borrower would read the lender's page
 * while it is truncated, and could so make a new one there.
 *
 * When the borrower forks, its heir borrows from the same lender, and FORK copies the pages that
 * the borrower has. So a window never borrows and lends at the same time. A loan ends only when one
 * of the two windows is reclaimed, even if nothing is owed any more. Populate and COPY copy owed
 * pages as a fault does.
 *
 * A device may write to the lender's pages after the fork, without a fault. The borrower sees these
 * bytes in pages of which it has no copy yet.
 */
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>
#include <linux/shmem_fs.h>
#include <linux/xarray.h>

#include "compat.h"
#include "expertmem.h"

/*
 * When memory runs out, these copies fail. They do not invoke the OOM killer, and do not use the
 * memory reserves of a task that is being killed.
 */
#define CALL_GFP	(EXPERTMEM_NO_KILL | __GFP_NOMEMALLOC)

/* Free pages that were just added to the borrower's file, and that nobody has mapped yet. */
static void drop_page(struct address_space *mapping, struct page *page, pgoff_t index,
		      unsigned long pages)
{
	unlock_page(page);
	put_page(page);
	shmem_truncate_range(mapping->host, (loff_t)index << PAGE_SHIFT,
			     ((loff_t)(index + pages) << PAGE_SHIFT) - 1);
}

/* Get the page of a lender at @index, with a reference; NULL if it has none, and so reads zeros. */
static struct page *lender_page(struct address_space *mapping, pgoff_t index, gfp_t gfp)
{
	struct page *page;

	if (!xa_load(&mapping->i_pages, index))
		return NULL;
	page = expertmem_page_read(mapping, index, gfp);
	return IS_ERR(page) && page != ERR_PTR(-ENOMEM) ? ERR_PTR(-EIO) : page;
}

/* Copy the lender's pages from @index on into @pages pages from @to on, which hold zeros. */
static int copy_from_lender(struct address_space *lender, pgoff_t index, struct page *to,
			    unsigned long pages, gfp_t gfp)
{
	struct folio *folio = page_folio(to);
	unsigned long i = folio_page_idx(folio, to), n;
	struct page *from;
	int err = 0;

	for (; !err && pages; pages -= n, index += n, i += n) {
		n = 1;
		from = lender_page(lender, index, gfp);
		if (!from)
			continue;
		if (IS_ERR(from))
			return PTR_ERR(from);
		n = min(expertmem_pages_from(from), pages);
		err = expertmem_pages_copy(folio_page(folio, i), from, n);
		put_page(from);
	}
	return err;
}

/*
 * Copy a page that @to owes at @index from its lender @from, unless @to has the page. If the lender
 * has no page, the copy holds zeros. Sets @pages to the number of pages that are done, from @index
 * on, none beyond the granule. The borrower's invalidate_lock is held.
 * Return: 0; -ENOMEM; -EIO if the page cannot be read.
 */
static int copy_owed(struct expertmem_window *to, struct expertmem_window *from, pgoff_t index,
		     gfp_t gfp, unsigned long *pages)
{
	struct address_space *mapping = to->file->f_mapping;
	pgoff_t end = round_down(index, to->granule) + to->granule;
	struct page *page;
	int err;

	*pages = 1;
	/* an entry: the page is in memory or in swap */
	if (xa_load(&mapping->i_pages, index))
		return 0;
	page = expertmem_page_make(mapping, index, gfp);
	if (IS_ERR(page))
		/* a fault with ENOMEM is repeated; strict overcommit, which is ENOSPC, lasts */
		return gfp || page == ERR_PTR(-ENOMEM) ? -ENOMEM : -EIO;
	*pages = min(expertmem_pages_from(page), end - index);
	err = copy_from_lender(from->file->f_mapping, index, page, *pages, gfp);
	if (err)
		drop_page(mapping, page, index, *pages);
	else
		expertmem_page_put_dirty(page);
	return err;
}

/*
 * Copy the granule that contains @index, if it is owed. The caller holds the borrower's
 * invalidate_lock, so that the region is not freed meanwhile.
 *
 * Whether the page is owed is decided under loan_lock. Otherwise a fault of the borrower could
 * decide, sleep until the region owes nothing any more, and then copy what the lender wrote later.
 */
static int copy_granule(struct expertmem_window *borrower, pgoff_t index, gfp_t gfp)
{
	pgoff_t next = round_down(index, borrower->granule), end = next + borrower->granule;
	struct expertmem_window *lender = borrower->lender;
	unsigned long pages;
	int err = 0;

	lockdep_assert_held(&borrower->loan_lock);
	if (!lender || borrower->lost || !expertmem_region_owes(borrower, index))
		return 0;
	while (!err && next < end) {
		err = copy_owed(borrower, lender, next, gfp, &pages);
		next += pages;
	}
	return err;
}

/*
 * Reclaim the borrower's window, because a page cannot be copied, and the lender is about to change
 * or free it. A fault that is copying the page at this moment finds @lost set before it maps the
 * copy.
 */
static void give_up(struct expertmem_window *borrower)
{
	WRITE_ONCE(borrower->lost, true);
	smp_wmb();	/* before the lender's page changes; pairs with expertmem_loan_touch() */
	expertmem_reclaim_soon(borrower);
}

/*
 * Copy a granule for a borrower before the lender changes or frees it. The lender's invalidate_lock
 * may be held. This waits while a fault of the borrower copies a granule, or reads it from swap.
 */
static int lend_granule(struct expertmem_window *borrower, pgoff_t index, gfp_t gfp)
{
	struct rw_semaphore *lock = &borrower->file->f_mapping->invalidate_lock;
	int err;

	down_read_nested(lock, SINGLE_DEPTH_NESTING);
	mutex_lock(&borrower->loan_lock);
	err = copy_granule(borrower, index, gfp);
	mutex_unlock(&borrower->loan_lock);
	up_read(lock);
	return err;
}

/*
 * Copy a granule for all borrowers of @lender.
 *
 * In a fault of the lender (@take is false), a copy that is charged to the lender's own memory
 * cgroup @own may invoke the OOM killer, and an error makes the fault fail. If a copy is charged to
 * another cgroup, its borrower is given up instead: that cgroup may have no process to kill. An
 * unreadable page (-EIO) makes the borrower be given up, too.
 *
 * When the lender frees the page (@take is true), the caller cannot fail: after every error the
 * borrower is given up.
 */
static int lend_to_all(struct expertmem_window *lender, pgoff_t index, gfp_t gfp,
		       struct mem_cgroup *own, bool take)
{
	struct expertmem_window *borrower;
	struct mem_cgroup *old;
	int err = 0;
	bool must;

	down_read(&lender->borrowers_lock);
	list_for_each_entry(borrower, &lender->borrowers, loan) {
		if (READ_ONCE(borrower->lost))
			continue;
		must = take || own != borrower->loan_memcg;
		old = set_active_memcg(borrower->loan_memcg);
		err = lend_granule(borrower, index, must ? CALL_GFP : gfp);
		set_active_memcg(old);
		if (err == -EIO || (err && must)) {
			give_up(borrower);
			err = 0;
		}
		if (err)
			break;
	}
	up_read(&lender->borrowers_lock);
	return err;
}

/**
 * expertmem_loan_touch() - copy a page before a window's file gets or maps it
 * @window: the page's window: a borrower, a lender or neither
 * @index: the page, as a page offset in the window
 * @gfp: allocation flags in addition to those of a fault
 *
 * A borrower copies the page if it owes it. A lender copies the page for its borrowers.
 *
 * Context: invalidate_lock held; the page has passed the gate, or is one of a busy region; may
 *	sleep.
 * Return: 0; -ENOMEM; -EIO if the lender's page cannot be read; -ESHUTDOWN if the window is gone,
 *	or has lost a page that it owed.
 */
int expertmem_loan_touch(struct expertmem_window *window, pgoff_t index, gfp_t gfp)
{
	struct mem_cgroup *own;
	int err = 0;

	/* pairs with end_loan(): if @lender is NULL, @lost is seen below */
	if (smp_load_acquire(&window->lender) && expertmem_region_owes(window, index)) {
		mutex_lock(&window->loan_lock);
		err = copy_granule(window, index, gfp);
		mutex_unlock(&window->loan_lock);
	} else if (!list_empty(&window->borrowers)) {
		/* a reclaim waits for the invalidate_lock: if not gone, window->mm is valid */
		if (READ_ONCE(window->state) == WINDOW_GONE)
			return -ESHUTDOWN;
		own = get_mem_cgroup_from_mm(window->mm);
		err = lend_to_all(window, index, gfp, own, false);
		mem_cgroup_put(own);
	}
	smp_rmb();	/* after the lender's page was read; pairs with give_up() */
	if (!err && (READ_ONCE(window->lost) || READ_ONCE(window->state) == WINDOW_GONE))
		err = -ESHUTDOWN;
	return err;
}

/**
 * expertmem_loan_take() - copy pages for all borrowers before a lender frees them
 * @window: the window, which may have no borrowers
 * @first: page offset in the window of the first page
 * @last: page offset in the window of the last page
 *
 * If a copy cannot be made, the borrower's window is reclaimed.
 *
 * Context: expert->reclaim_lock and mmap_lock may be held; may sleep.
 */
void expertmem_loan_take(struct expertmem_window *window, pgoff_t first, pgoff_t last)
{
	unsigned long index = first;

	while (!list_empty(&window->borrowers) && index <= last &&
	       xa_find(&window->file->f_mapping->i_pages, &index, last, XA_PRESENT)) {
		lend_to_all(window, index, CALL_GFP, NULL, true);
		index = round_down(index, window->granule) + window->granule;
		cond_resched();
	}
}

/* Copy the owed pages of a range of a borrower, as far as the lender has them. */
static int copy_range(struct expertmem_window *borrower, pgoff_t first, pgoff_t last)
{
	struct address_space *mapping;
	unsigned long index = first;
	bool found;
	int err = 0;

	while (!err && index <= last) {
		mutex_lock(&borrower->loan_lock);
		mapping = borrower->lender ? borrower->lender->file->f_mapping : NULL;
		found = mapping && xa_find(&mapping->i_pages, &index, last, XA_PRESENT);
		mutex_unlock(&borrower->loan_lock);
		if (!found)
			break;
		if (fatal_signal_pending(current))
			return -EINTR;
		err = lend_granule(borrower, index, CALL_GFP);
		index = round_down(index, borrower->granule) + borrower->granule;
		cond_resched();
	}
	return err;
}

/**
 * expertmem_loan_pay_off() - copy all owed pages of regions, which owe nothing afterwards
 * @window: the window, which may owe nothing
 * @first: page offset in the window
 * @last: page offset in the window; all regions that overlap @first to @last are paid off whole
 *
 * Context: no lock held but expert->reclaim_lock; may sleep.
 * Return: 0; -ENOMEM; -EIO if the lender's page cannot be read; -EINTR if the caller is being
 *	killed.
 */
int expertmem_loan_pay_off(struct expertmem_window *window, pgoff_t first, pgoff_t last)
{
	pgoff_t begin, end;
	int err = 0;

	while (!err && READ_ONCE(window->lender) &&
	       expertmem_region_owing(window, first, last, &begin, &end)) {
		err = copy_range(window, begin, end);
		if (!err)
			expertmem_region_clear_owed(window, begin);
		first = end + 1;
	}
	return err;
}

/* Get the lender of @window, with a reference to its device file; NULL if there is none. */
static struct expertmem_window *get_lender(struct expertmem_window *window)
{
	struct expertmem_window *lender;

	mutex_lock(&window->loan_lock);
	lender = window->lender;
	if (lender)
		get_file(lender->expert->file);
	mutex_unlock(&window->loan_lock);
	return lender;
}

static void end_loan(struct expertmem_window *lender, struct expertmem_window *borrower)
{
	lockdep_assert_held_write(&lender->borrowers_lock);
	mutex_lock(&borrower->loan_lock);
	smp_store_release(&borrower->lender, NULL);	/* pairs with expertmem_loan_touch() */
	mutex_unlock(&borrower->loan_lock);
	list_del_init(&borrower->loan);
	mem_cgroup_put(borrower->loan_memcg);
	fput(lender->expert->file);
}

/**
 * expertmem_loan_stop() - wait until no further loan of a window that is gone can begin
 * @window: the window, in state WINDOW_GONE
 *
 * A loan that begins checks the state under borrowers_lock. Afterwards every loan that saw another
 * state is in the list of borrowers.
 *
 * Context: expert->reclaim_lock and mmap_lock may be held; may sleep.
 */
void expertmem_loan_stop(struct expertmem_window *window)
{
	down_write(&window->borrowers_lock);
	up_write(&window->borrowers_lock);
}

/**
 * expertmem_loan_end() - end all loans of a window that is gone, as lender and as borrower
 * @window: the window, truncated; its borrowers have copies of the pages that they owed
 *
 * Context: expert->reclaim_lock and mmap_lock may be held; may sleep.
 */
void expertmem_loan_end(struct expertmem_window *window)
{
	struct expertmem_window *lender = get_lender(window), *borrower, *next;

	if (lender) {
		down_write(&lender->borrowers_lock);
		if (window->lender == lender)
			end_loan(lender, window);
		up_write(&lender->borrowers_lock);
		fput(lender->expert->file);
	}
	down_write(&window->borrowers_lock);
	list_for_each_entry_safe(borrower, next, &window->borrowers, loan)
		end_loan(window, borrower);
	up_write(&window->borrowers_lock);
}

/* Return: 0; -EAGAIN if the lender is gone; -ESHUTDOWN if the borrower was reclaimed. */
static int begin_loan(struct expertmem_window *lender, struct expertmem_window *borrower)
{
	int err = 0;

	down_write(&lender->borrowers_lock);
	mutex_lock(&borrower->loan_lock);
	if (READ_ONCE(lender->state) != WINDOW_MAPPED || READ_ONCE(lender->lost)) {
		err = -EAGAIN;
	} else if (!expertmem_window_lives(borrower)) {
		/* a later reclaim of the borrower takes loan_lock, and then finds the loan */
		err = -ESHUTDOWN;
	} else {
		get_file(lender->expert->file);
		borrower->loan_memcg = get_mem_cgroup_from_mm(current->mm);
		WRITE_ONCE(borrower->lender, lender);
		list_add_tail(&borrower->loan, &lender->borrowers);
	}
	mutex_unlock(&borrower->loan_lock);
	up_write(&lender->borrowers_lock);
	return err;
}

/*
 * Unmap the lender's pages, so that each touch faults. A fault that found no borrower may be about
 * to map its page: the exclusive locks of the mm and of the VMA wait for such faults.
 */
static int unmap_lender(struct expertmem_window *lender)
{
	struct vm_area_struct *vma;

	if (mmap_write_lock_killable(current->mm))
		return -EINTR;
	vma = vma_lookup(current->mm, lender->address);
	if (vma && vma->vm_private_data == lender)
		vm_flags_set(vma, 0);	/* waits for faults that hold only the lock of the vma */
	unmap_mapping_pages(lender->file->f_mapping, 0, lender->pages, false);
	mmap_write_unlock(current->mm);
	return 0;
}

/**
 * expertmem_loan_begin() - make an heir's window borrow the pages of its parent's window
 * @window: the heir's window, prepared by FORK, with regions that owe nothing yet; nobody can
 *	touch it
 * @from: the parent's window, mapped by the current process, with the same regions
 * @owe: sets how many pages the regions of @window owe: all if @all is true, otherwise as many as
 *	the regions of @from owe
 * @arg: argument for @owe
 *
 * If @from itself borrows, its lender lends to @window. The caller then copies the pages that @from
 * has, and checks that @from still owes the pages that @owe has set.
 *
 * Context: no lock held; the caller holds the device file of @from; may sleep.
 * Return: 1 if @from lends; 0 if @from borrows, and its lender lends; -EINTR; -ESHUTDOWN.
 */
int expertmem_loan_begin(struct expertmem_window *window, struct expertmem_window *from,
			 void (*owe)(void *arg, bool all), void *arg)
{
	struct expertmem_window *lender;
	int err;

	for (;;) {
		lender = get_lender(from);
		owe(arg, !lender);
		err = begin_loan(lender ?: from, window);
		if (!lender)
			break;
		fput(lender->expert->file);
		if (err != -EAGAIN)
			return err;
		/* the lender is being reclaimed: wait until its loan to @from has ended */
		if (fatal_signal_pending(current))
			return -EINTR;
		schedule_timeout_uninterruptible(1);
	}
	if (err == -EAGAIN)
		err = -ESHUTDOWN;
	return err ?: unmap_lender(from) ?: 1;
}

/**
 * expertmem_loan_init() - initialize the fields of a new window that loans use
 * @window: the window, zeroed
 */
void expertmem_loan_init(struct expertmem_window *window)
{
	INIT_LIST_HEAD(&window->loan);
	INIT_LIST_HEAD(&window->borrowers);
	init_rwsem(&window->borrowers_lock);
	mutex_init(&window->loan_lock);
}
