// SPDX-License-Identifier: GPL-2.0
/*
 * Single pages of a window's file: getting, putting, reading, copying and counting them.
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
 * expertmem_page_get() - have a page of a window's file
 * @mapping: of the file
 * @index: the page's index in it
 * @gfp: how to allocate the page where there is none
 *
 * Context: invalidate_lock held; may sleep.
 * Return: the page, locked, with a reference; -ENOMEM; -EIO where it cannot be read.
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
		/* swapped out before it could be locked */
		unlock_page(page);
		put_page(page);
	}
}

/**
 * expertmem_page_put_dirty() - unlock a page that was made or written to, and drop the reference
 * @page: the page
 *
 * A clean page of a shmem file may be dropped, for it reads as zero.
 */
void expertmem_page_put_dirty(struct page *page)
{
	folio_mark_dirty(page_folio(page));
	unlock_page(page);
	put_page(page);
}

/**
 * expertmem_pages_from() - how many pages a folio has from one of them on
 * @page: a page of the folio, with a reference
 *
 * Return: pages, @page included.
 */
unsigned long expertmem_pages_from(struct page *page)
{
	struct folio *folio = page_folio(page);

	return folio_nr_pages(folio) - folio_page_idx(folio, page);
}

/**
 * expertmem_pages_are_zero() - do pages hold nothing but zeros, as pages do that are not there?
 * @page: the first, with a reference
 * @pages: how many, all of its folio
 *
 * Return: whether they do; false also where one of them is known to be bad.
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
 * expertmem_pages_copy() - copy pages
 * @to: the first of the destination, locked
 * @from: the first of the source, with a reference
 * @pages: how many, all of one folio on either side
 *
 * A page that is known to be bad is not read: that is fatal to more than the caller.
 *
 * Return: 0, or -EIO where a page is known to be bad.
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
 * expertmem_window_resident_in() - what a part of a window has in memory
 * @window: the window
 * @first: device page offset
 * @pages: how many to look at
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
		/* neither a node that has just gone nor a page in swap */
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
