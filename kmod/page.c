// SPDX-License-Identifier: GPL-2.0
/*
 * Pages of a window's file: get, put, compare, copy and count them.
 */
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/sched.h>
#include <linux/shmem_fs.h>
#include <linux/string.h>
#include <linux/xarray.h>

#include "compat.h"
#include "expertmem.h"

/* The flags of an allocation that may invoke the OOM killer. */
static gfp_t fault_gfp(struct address_space *mapping)
{
	return mapping_gfp_mask(mapping) & ~EXPERTMEM_NO_KILL;
}

/**
 * expertmem_page_set_no_kill() - set or clear EXPERTMEM_NO_KILL in the flags of a window's file
 * @mapping: the mapping of the file
 * @no_kill: whether to set them
 *
 * shmem allocates by the flags of the file where a caller cannot pass others: in make_cleared(), at
 * the ends of a hole, and for swapoff(8). EXPERTMEM_NO_KILL is always set, except in MADV_REMOVE:
 * shmem must not fail to read a page at the end of a hole.
 *
 * Context: nobody else uses the file, or its invalidate_lock held exclusively.
 */
void expertmem_page_set_no_kill(struct address_space *mapping, bool no_kill)
{
	mapping_set_gfp_mask(mapping, fault_gfp(mapping) | (no_kill ? EXPERTMEM_NO_KILL : 0));
}

static bool allocator_clears_pages(void)
{
	return want_init_on_alloc(0) || want_init_on_free();
}

/**
 * expertmem_page_read() - get a page of a window's file, unlocked
 * @mapping: the mapping of the file
 * @index: the page's index in the file
 * @more: allocation flags for a page that is made or swapped in, in addition to those of a fault:
 *	0; EXPERTMEM_NO_KILL; or this and others
 *
 * Context: invalidate_lock held, or of a lender's page the loan_lock of the borrower; may sleep.
 * Return: the page, with a reference; -ENOMEM; -ENOSPC with strict overcommit; -EIO if the page
 *	cannot be read.
 */
struct page *expertmem_page_read(struct address_space *mapping, pgoff_t index, gfp_t more)
{
	return shmem_read_mapping_page_gfp(mapping, index, fault_gfp(mapping) | more);
}

/**
 * expertmem_page_lock() - lock a page of a window's file
 * @mapping: the mapping of the file
 * @index: the page's index in the file
 * @page: the page, unlocked, with a reference, which this call takes over
 * @more: as of expertmem_page_read()
 *
 * While the reference is held, only truncation removes a page from the file, and it waits for the
 * invalidate_lock. Should the page be gone all the same, it is got anew.
 *
 * Context: invalidate_lock held; may sleep.
 * Return: the page, locked, with a reference; an error as of expertmem_page_read().
 */
struct page *expertmem_page_lock(struct address_space *mapping, pgoff_t index, struct page *page,
				 gfp_t more)
{
	while (!IS_ERR(page)) {
		lock_page(page);
		if (page_folio(page)->mapping == mapping)
			break;
		unlock_page(page);
		put_page(page);
		page = expertmem_page_read(mapping, index, more);
	}
	return page;
}

/**
 * expertmem_page_get() - get a page of a window's file that probably exists; make it if not
 * @mapping: the mapping of the file
 * @index: the page's index in the file
 * @more: as of expertmem_page_read()
 *
 * Context: invalidate_lock held; may sleep.
 * Return: the page, locked, with a reference; an error as of expertmem_page_read().
 */
struct page *expertmem_page_get(struct address_space *mapping, pgoff_t index, gfp_t more)
{
	return expertmem_page_lock(mapping, index, expertmem_page_read(mapping, index, more), more);
}

/*
 * Make a page of zeros that the allocator has cleared, so that shmem need not clear it. shmem marks
 * the folio as referenced, as for write(). A fault does not: reclaim would activate a referenced
 * folio when it looks at it first.
 *
 * A folio that is not up to date must not be unlocked: shmem would clear it later.
 */
static struct page *make_cleared(struct address_space *mapping, pgoff_t index)
{
	struct folio *folio;
	struct page *page;
	int err;

	err = compat_shmem_get_folio(mapping, index, &folio);
	if (err)
		return ERR_PTR(err);
	if (!folio_test_uptodate(folio)) {
		flush_dcache_folio(folio);
		folio_mark_uptodate(folio);
		folio_clear_referenced(folio);
	}
	page = folio_file_page(folio, index);
	if (!PageHWPoison(page))
		return page;
	folio_unlock(folio);
	folio_put(folio);
	return ERR_PTR(-EIO);
}

/**
 * expertmem_page_make() - get a page of a window's file that is probably missing
 * @mapping: the mapping of the file
 * @index: the page's index in the file
 * @more: as of expertmem_page_read()
 *
 * This differs from expertmem_page_get() in its cost. If the allocator clears pages, shmem does not
 * clear them once more. shmem takes no flags for such an allocation but those of the file. With
 * other flags, and if memory runs out for a fault, the page is made by expertmem_page_get().
 *
 * Context: invalidate_lock held; may sleep.
 * Return: the page, locked, with a reference; an error as of expertmem_page_read().
 */
struct page *expertmem_page_make(struct address_space *mapping, pgoff_t index, gfp_t more)
{
	struct page *page;

	if (!allocator_clears_pages() || more & ~EXPERTMEM_NO_KILL)
		return expertmem_page_get(mapping, index, more);
	page = make_cleared(mapping, index);
	return page == ERR_PTR(-ENOMEM) && !more ? expertmem_page_get(mapping, index, 0) : page;
}

/**
 * expertmem_page_put_dirty() - mark a page dirty, unlock it, and drop the reference
 * @page: the page
 *
 * The mm may drop a clean page of a shmem file, as if it held zeros.
 */
void expertmem_page_put_dirty(struct page *page)
{
	folio_mark_dirty(page_folio(page));
	unlock_page(page);
	put_page(page);
}

/**
 * expertmem_pages_from() - count the pages of a folio from one of them on
 * @page: a page of the folio, with a reference
 *
 * Return: number of pages, @page included.
 */
unsigned long expertmem_pages_from(struct page *page)
{
	struct folio *folio = page_folio(page);

	return folio_nr_pages(folio) - folio_page_idx(folio, page);
}

/**
 * expertmem_pages_are_zero() - do pages hold only zeros?
 * @page: the first page, with a reference
 * @pages: number of pages, all of one folio
 *
 * Return: true if all bytes are zero; false if not, or if a page is poisoned (bad memory).
 */
bool expertmem_pages_are_zero(struct page *page, unsigned long pages)
{
	struct folio *folio = page_folio(page);
	unsigned long i = folio_page_idx(folio, page);
	bool zero = true;
	void *bytes;

	for (; zero && pages; pages--) {
		page = folio_page(folio, i++);
		if (PageHWPoison(page))
			return false;
		bytes = kmap_local_page(page);
		zero = !memchr_inv(bytes, 0, PAGE_SIZE);
		kunmap_local(bytes);
	}
	return zero;
}

/**
 * expertmem_pages_copy() - copy the bytes of pages
 * @to: the first page of the destination, locked
 * @from: the first page of the source, with a reference
 * @pages: number of pages, all of one folio on either side
 *
 * A poisoned page is not read, because reading it may crash the machine.
 *
 * Return: 0, or -EIO if a page of the source is poisoned.
 */
int expertmem_pages_copy(struct page *to, struct page *from, unsigned long pages)
{
	struct folio *dst = page_folio(to), *src = page_folio(from);
	unsigned long d = folio_page_idx(dst, to), s = folio_page_idx(src, from);

	for (; pages; pages--) {
		to = folio_page(dst, d++);
		from = folio_page(src, s++);
		if (PageHWPoison(from))
			return -EIO;
		flush_dcache_page(from);
		copy_highpage(to, from);
		flush_dcache_page(to);
	}
	return 0;
}

/**
 * expertmem_window_resident_in() - count the resident pages in a part of a window
 * @window: the window
 * @first: page offset in the window of the first page
 * @pages: number of pages to look at
 *
 * Context: a reference to the expert held; takes expert->lock; may sleep.
 * Return: resident pages; a racy estimate.
 */
unsigned long expertmem_window_resident_in(struct expertmem_window *window,
					   pgoff_t first, unsigned long pages)
{
	XA_STATE(xas, NULL, first);
	unsigned long resident = 0;
	struct file *file;
	void *entry;

	if (mutex_lock_killable(&window->expert->lock))
		return 0;
	file = window->file ? get_file(window->file) : NULL;
	mutex_unlock(&window->expert->lock);
	if (!file)
		return 0;

	xas.xa = &file->f_mapping->i_pages;
	rcu_read_lock();
	xas_for_each(&xas, entry, first + pages - 1) {
		/* skip a node that was just removed, and pages in swap */
		if (!xas_retry(&xas, entry) && !xa_is_value(entry))
			resident += 1UL << xa_get_order(xas.xa, xas.xa_index);
		if (need_resched()) {
			xas_pause(&xas);
			rcu_read_unlock();
			cond_resched();
			rcu_read_lock();
		}
	}
	rcu_read_unlock();
	fput(file);
	return min(resident, pages);
}
