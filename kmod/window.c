// SPDX-License-Identifier: GPL-2.0
/*
 * Windows: how an expert sees its regions. A window is a shared mapping of a private
 * shmem file; what this file adds is the gate in front of every fault, and what
 * happens when the mapping is copied or goes away. All else is the mm's.
 */
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pagemap.h>
#include <linux/pid.h>
#include <linux/sched/signal.h>
#include <linux/shmem_fs.h>
#include <linux/xarray.h>

#include "compat.h"
#include "expertmem.h"

/* May the toucher of @vmf see that page? Sets the bounds of the page's region. */
static bool gate(const struct vm_fault *vmf, pgoff_t *first, pgoff_t *last)
{
	struct expertmem_window *window = vmf->vma->vm_private_data;

	return expertmem_region_gate(window, vmf->pgoff, first, last);
}

/*
 * The page at @index, made where there is none, and locked; else an error. Called with
 * the invalidate_lock held.
 */
static struct page *locked_page(struct address_space *mapping, pgoff_t index, gfp_t gfp)
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

/*
 * With the invalidate_lock held the gate does not close between the look at it and
 * the arrival of the page, and truncation, which comes after closing, will find the
 * page. From then on the folio lock, held until the page is mapped, does the same.
 */
static vm_fault_t window_fault(struct vm_fault *vmf)
{
	struct address_space *mapping = vmf->vma->vm_file->f_mapping;
	vm_fault_t ret = VM_FAULT_LOCKED;
	pgoff_t first, last;
	struct page *page;

	filemap_invalidate_lock_shared(mapping);
	if (!gate(vmf, &first, &last)) {
		ret = VM_FAULT_SIGSEGV;
		goto unlock;
	}
	page = locked_page(mapping, vmf->pgoff, mapping_gfp_mask(mapping));
	if (IS_ERR(page))
		ret = vmf_error(PTR_ERR(page));
	else
		vmf->page = page;
unlock:
	filemap_invalidate_unlock_shared(mapping);
	return ret;
}

/* Map the pages around a fault that are there already, within the region. */
static vm_fault_t window_map_pages(struct vm_fault *vmf, pgoff_t start, pgoff_t end)
{
	pgoff_t first, last;

	if (!gate(vmf, &first, &last))
		return 0;	/* window_fault() will say so */
	return filemap_map_pages(vmf, max(start, first), min(end, last));
}

static vm_fault_t orphan_fault(struct vm_fault *vmf)
{
	return VM_FAULT_SIGSEGV;
}

static void orphan_open(struct vm_area_struct *vma)
{
	struct expertmem_window *window = vma->vm_private_data;

	get_file(window->expert->file);
}

static void orphan_close(struct vm_area_struct *vma)
{
	struct expertmem_window *window = vma->vm_private_data;

	fput(window->expert->file);
}

/* A window that came to another process: MADV_DOFORK, then fork. */
static const struct vm_operations_struct orphan_ops = {
	.open	= orphan_open,
	.close	= orphan_close,
	.fault	= orphan_fault,
};

static void window_open(struct vm_area_struct *vma)
{
	struct expertmem_window *window = vma->vm_private_data;

	get_file(window->expert->file);
	if (vma->vm_mm == window->mm)
		window->vmas++;
	else
		vma->vm_ops = &orphan_ops;
}

static void window_close(struct vm_area_struct *vma)
{
	struct expertmem_window *window = vma->vm_private_data;
	struct expertmem *expert = window->expert;
	struct expertmem_reclaim result;

	if (!--window->vmas)
		expertmem_reclaim(expert, window, EXPERTMEM_CAUSE_DETACH, &result);
	fput(expert->file);
}

/* Windows stay whole, and stay where they are. */
static int window_may_split(struct vm_area_struct *vma, unsigned long addr)
{
	return -EINVAL;
}

static int window_mremap(struct vm_area_struct *vma)
{
	return -EINVAL;
}

static const struct vm_operations_struct window_ops = {
	.open		= window_open,
	.close		= window_close,
	.may_split	= window_may_split,
	.mremap		= window_mremap,
	.fault		= window_fault,
	.map_pages	= window_map_pages,
};

static long window_fallocate(struct file *file, int mode, loff_t offset, loff_t len)
{
	return file_inode(file)->i_fop->fallocate(file, mode, offset, len);
}

/*
 * What the mm may ask of a window's file: madvise(MADV_REMOVE) and msync(). There is no
 * mmap, or remap_file_pages() would map the pages with no gate in front of them.
 */
static const struct file_operations window_fops = {
	.owner		= THIS_MODULE,
	.fallocate	= window_fallocate,
	.fsync		= noop_fsync,
};

/* The file that holds the pages, at the same offsets as the device has them. */
static struct file *window_file(const struct expertmem_window *window)
{
	loff_t size = (loff_t)(window->first + window->pages) << PAGE_SHIFT;
	struct file *file;

	file = compat_shmem_file_setup(expertmem_mount(window), "expertmem", size);
	/* That there is no memory for the inode is ENOSPC there. */
	if (IS_ERR(file))
		return file == ERR_PTR(-ENOSPC) ? ERR_PTR(-ENOMEM) : file;
	__module_get(THIS_MODULE);
	file->f_op = &window_fops;
	/* Only reachable through the device, whose rights are checked there. */
	file_inode(file)->i_flags |= S_PRIVATE;
	if (window->expert->flags & EXPERTMEM_CONFIG_UNSWAPPABLE)
		mapping_set_unevictable(file->f_mapping);
	return file;
}

/**
 * expertmem_window_mmap() - map a window
 * @window: the window
 * @vma: a new mapping of the device at the window's offset
 *
 * Context: from the device's mmap, mmap_lock held for writing; takes expert->lock.
 * Return: 0 or a negative errno, as the uAPI header says.
 */
int expertmem_window_mmap(struct expertmem_window *window, struct vm_area_struct *vma)
{
	struct expertmem *expert = window->expert;
	struct file *file;
	int err = 0;

	if (vma->vm_pgoff != window->first || !(vma->vm_flags & VM_SHARED) ||
	    vma->vm_flags & VM_EXEC || !IS_ALIGNED(vma_pages(vma), window->granule) ||
	    vma_pages(vma) > EXPERTMEM_WINDOW_MAX >> PAGE_SHIFT)
		return -EINVAL;

	mutex_lock(&expert->lock);
	if (expert->state == EXPERTMEM_STATE_RECLAIMED)
		err = -ESHUTDOWN;
	else if (window->state != WINDOW_UNMAPPED)
		err = -EBUSY;
	if (err)
		goto unlock;

	window->pages = vma_pages(vma);
	file = window_file(window);
	if (IS_ERR(file)) {
		err = PTR_ERR(file);
		goto unlock;
	}
	window->file = file;
	window->mm = vma->vm_mm;
	window->vmas = 1;
	window->state = WINDOW_MAPPED;
	if (expert->state == EXPERTMEM_STATE_IDLE)
		expert->state = EXPERTMEM_STATE_RUNNING;
	if (!expert->mapper) {
		expert->mapper = get_pid(task_tgid(current));
		expertmem_event(expert, EXPERTMEM_EVENT_RUNNING);
	}

	get_file(expert->file);
	vma_set_file(vma, file);
	vma->vm_private_data = window;
	vma->vm_ops = &window_ops;
	/* A core dump would look at every page of terabytes. */
	vm_flags_set(vma, VM_DONTCOPY | VM_DONTEXPAND | VM_DONTDUMP);
	vm_flags_clear(vma, VM_MAYEXEC);
unlock:
	mutex_unlock(&expert->lock);
	return err;
}

/* Running out of memory in a call is an error, not a reason to kill anyone. */
static gfp_t call_gfp(struct address_space *mapping)
{
	return mapping_gfp_mask(mapping) | __GFP_RETRY_MAYFAIL | __GFP_NOWARN;
}

/* Have the page at @index, in a busy region: locked, or the error for the caller. */
static struct page *make_page(struct expertmem_window *window, pgoff_t index)
{
	struct address_space *mapping = window->file->f_mapping;
	struct page *page;

	if (fatal_signal_pending(current))
		return ERR_PTR(-EINTR);

	filemap_invalidate_lock_shared(mapping);
	if (READ_ONCE(window->state) == WINDOW_GONE) {
		page = ERR_PTR(-ESHUTDOWN);
	} else {
		page = locked_page(mapping, index, call_gfp(mapping));
		if (IS_ERR(page))
			page = ERR_PTR(-ENOMEM);
	}
	filemap_invalidate_unlock_shared(mapping);
	return page;
}

/* A clean page of a shmem file may be dropped, for it reads as zero. */
static void keep_page(struct page *page)
{
	folio_mark_dirty(page_folio(page));
	unlock_page(page);
	put_page(page);
}

/* How many pages its folio, to which there is a reference, has from that page on. */
static unsigned long pages_from(struct page *page)
{
	struct folio *folio = page_folio(page);

	return folio_nr_pages(folio) - folio_page_idx(folio, page);
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
	pgoff_t index = first;
	struct page *page;

	while (index < first + pages) {
		page = make_page(window, index);
		if (IS_ERR(page))
			return PTR_ERR(page);
		index += pages_from(page);
		keep_page(page);
		cond_resched();
	}
	return 0;
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
	if (READ_ONCE(window->state) == WINDOW_GONE) {
		page = ERR_PTR(-ESHUTDOWN);
	} else if (xa_find(&mapping->i_pages, index, last, XA_PRESENT) &&
		   expertmem_region_gate(window, *index, &first, &end)) {
		page = shmem_read_mapping_page_gfp(mapping, *index, call_gfp(mapping));
		if (IS_ERR(page) && page != ERR_PTR(-ENOMEM))
			page = ERR_PTR(-EIO);
	}
	filemap_invalidate_unlock_shared(mapping);
	return page;
}

/* A page that is known to be bad is not read: that is fatal to more than the caller. */
static int copy_pages(struct page *to, struct page *from, unsigned long pages)
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
 * expertmem_window_copy() - copy what is there of a region of another window
 * @to: the window
 * @from: the other window; its region may be freed meanwhile
 * @first: device page offset, in both
 * @pages: how many, all of one busy region in @to
 * @copied: increased by how many pages were copied
 *
 * Context: no lock held; may sleep.
 * Return: 0; as expertmem_window_populate(), of either window; -EIO where a page cannot
 *	be read. What was copied before an error stays.
 */
int expertmem_window_copy(struct expertmem_window *to, struct expertmem_window *from,
			  pgoff_t first, unsigned long pages, unsigned long *copied)
{
	pgoff_t last = first + pages - 1;
	unsigned long index = first;
	struct page *page, *source;
	unsigned long n;
	int err;

	while (index <= last) {
		source = next_page(from, &index, last);
		if (IS_ERR_OR_NULL(source))
			return PTR_ERR_OR_ZERO(source);
		page = make_page(to, index);
		if (IS_ERR(page)) {
			put_page(source);
			return PTR_ERR(page);
		}
		n = min3(pages_from(source), pages_from(page), last - index + 1);
		err = copy_pages(page, source, n);
		keep_page(page);
		put_page(source);
		if (err)
			return err;
		*copied += n;
		index += n;
		cond_resched();
	}
	return 0;
}

/**
 * expertmem_window_truncate() - give pages back and unmap them
 * @window: the window
 * @first: device page offset
 * @pages: how many; the gate must be closed for all of them
 *
 * Context: mmap_lock and expert->reclaim_lock may be held, expert->lock is not; may
 *	sleep.
 */
void expertmem_window_truncate(struct expertmem_window *window, pgoff_t first,
			       unsigned long pages)
{
	struct address_space *mapping = window->file->f_mapping;
	pgoff_t last = first + pages - 1;
	unsigned long index = first;

	/* Freeing what was never touched is common, and cheap. */
	if (!xa_find(&mapping->i_pages, &index, last, XA_PRESENT))
		return;
	unmap_mapping_pages(mapping, first, pages, false);
	shmem_truncate_range(mapping->host, (loff_t)first << PAGE_SHIFT,
			     ((loff_t)(last + 1) << PAGE_SHIFT) - 1);
}

/**
 * expertmem_window_resident() - what a window has in memory
 * @window: the window
 *
 * Context: expert->lock held.
 * Return: pages.
 */
unsigned long expertmem_window_resident(const struct expertmem_window *window)
{
	lockdep_assert_held(&window->expert->lock);
	return window->file ? READ_ONCE(window->file->f_mapping->nrpages) : 0;
}

/**
 * expertmem_window_resident_in() - what a part of a window has in memory
 * @window: the window, mapped once
 * @first: device page offset
 * @pages: how many to look at
 *
 * Context: no lock needed, but a reference to the expert; may sleep.
 * Return: pages, of no particular moment.
 */
unsigned long expertmem_window_resident_in(const struct expertmem_window *window,
					   pgoff_t first, unsigned long pages)
{
	struct xarray *xa = &window->file->f_mapping->i_pages;
	unsigned long resident = 0;
	XA_STATE(xas, xa, first);
	void *entry;

	rcu_read_lock();
	xas_for_each(&xas, entry, first + pages - 1) {
		/* neither a node that has just gone nor a page in swap */
		if (!xas_retry(&xas, entry) && !xa_is_value(entry))
			resident += 1UL << xa_get_order(xa, xas.xa_index);
		if (need_resched()) {
			xas_pause(&xas);
			rcu_read_unlock();
			cond_resched();
			rcu_read_lock();
		}
	}
	rcu_read_unlock();
	return min(resident, pages);
}

/**
 * expertmem_window_init() - prepare a window of a new expert
 * @window: the window, zeroed
 * @expert: its expert
 * @offset: its device offset, bytes
 * @granule: pages
 */
void expertmem_window_init(struct expertmem_window *window, struct expertmem *expert,
			   u64 offset, unsigned long granule)
{
	window->expert = expert;
	window->first = offset >> PAGE_SHIFT;
	window->granule = granule;
	mt_init_flags(&window->regions, MT_FLAGS_ALLOC_RANGE | MT_FLAGS_USE_RCU);
}
