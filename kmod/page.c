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

#include "expertmem.h"

/**
 * expertmem_page_get() - get a page of a window's file, and make it if there is none
 * @mapping: the mapping of the file
 * @index: the page's index in the file
 * @gfp: allocation flags for a page that is made
 *
 * Context: invalidate_lock held; may sleep.
 * Return: the page, locked, with a reference; -ENOMEM; -EIO if the page cannot be read.
 */
struct page *expertmem_page_get(struct address_space *mapping, pgoff_t index, gfp_t gfp)
{
	struct page *page;

	for (;;) {
		page = shmem_read_mapping_page_gfp(mapping, index, gfp);
		if (IS_ERR(page))
			return page;
		lock_page(page);
		if (page_folio(page)->mapping == mapping)
			return page;
		/* the page was swapped out before it could be locked: try again */
		unlock_page(page);
		put_page(page);
	}
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
