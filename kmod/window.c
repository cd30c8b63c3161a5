// SPDX-License-Identifier: GPL-2.0
/*
 * Windows: shared mappings of private shmem files. This file checks the gate at every fault, makes
 * orphans of copied mappings, and reclaims a window when its mapping ends. shmem and the mm do the
 * rest.
 */
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/falloc.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pagemap.h>
#include <linux/pid.h>
#include <linux/sched/mm.h>
#include <linux/shmem_fs.h>
#include <linux/sizes.h>
#include <linux/vmstat.h>
#include <linux/xarray.h>

#include "compat.h"
#include "expertmem.h"

/* Is the page at @index poisoned (bad memory)? */
static bool is_poisoned(struct address_space *mapping, pgoff_t index)
{
	struct folio *folio;
	bool poisoned;

	rcu_read_lock();
	folio = xa_load(&mapping->i_pages, index);
	poisoned = folio && !xa_is_value(folio) && PageHWPoison(folio_file_page(folio, index));
	rcu_read_unlock();
	return poisoned;
}

/* A fault in the small window makes pages ahead, up to the end of so many aligned pages. */
#define AHEAD_PAGES	((unsigned long)SZ_128K >> PAGE_SHIFT)

/*
 * Has the program written to the page before the one of the fault? The page table is read without
 * its lock, so the answer is a hint. The fault's lock of the mm or VMA keeps the table; since 6.14,
 * where an empty table may be freed under that lock, RCU does. If the page is in another page
 * table, the answer is yes.
 */
static bool has_written_before(const struct vm_fault *vmf)
{
	unsigned long address = vmf->address - PAGE_SIZE;
	bool dirty = false;
	pmd_t pmd;
	pte_t pte;

	if (!pte_index(vmf->address))
		return true;
	rcu_read_lock();
	pmd = READ_ONCE(*vmf->pmd);
	if (pmd_present(pmd) && !pmd_bad(pmd)) {
		pte = READ_ONCE(*pte_offset_kernel(&pmd, address));
		dirty = pte_present(pte) && pte_dirty(pte);
	}
	rcu_read_unlock();
	return dirty;
}

/*
 * The number of resident pages just before @index, at most @most. page_cache_prev_miss() of 6.1
 * does not tell whether the first page of a range is missing, too.
 */
static unsigned long pages_before(struct address_space *mapping, pgoff_t index,
				  unsigned long most)
{
	XA_STATE(xas, &mapping->i_pages, index - 1);
	unsigned long pages = 0;
	void *entry;

	rcu_read_lock();
	while (pages < most) {
		entry = xas_prev(&xas);
		if (!entry || xas_retry(&xas, entry) || xa_is_value(entry))
			break;
		pages++;
	}
	rcu_read_unlock();
	return pages;
}

/*
 * Find the last page to make ahead of a write whose page was missing; vmf->pgoff: none. If the
 * program has written to the page before, it probably writes to pages in order. Then as many pages
 * are made ahead as exist before, at most those of the aligned 128 KiB. Writes in order cause one
 * fault for 128 KiB. If the program goes on elsewhere, it has not written to the last page, and no
 * more are made ahead.
 */
static pgoff_t ahead_of(const struct vm_fault *vmf, struct address_space *mapping, pgoff_t first,
			pgoff_t last)
{
	struct expertmem_window *window = vmf->vma->vm_private_data;
	unsigned long room = AHEAD_PAGES - 1 - pte_index(vmf->address) % AHEAD_PAGES;
	unsigned long before = min(vmf->pgoff - first, AHEAD_PAGES - 1);
	pgoff_t present = vmf->pgoff + 1;

	if (!(vmf->flags & FAULT_FLAG_WRITE) || vmf->vma->vm_flags & VM_RAND_READ ||
	    window->granule > 1 || expertmem_window_has_loan(window) || !before || !room ||
	    !has_written_before(vmf))
		return vmf->pgoff;
	last = min(last, vmf->pgoff + min(room, pages_before(mapping, vmf->pgoff, before)));
	if (xa_find(&mapping->i_pages, &present, last, XA_PRESENT))
		last = present - 1;
	return last;
}

/*
 * Map the resident pages from @start to @end, which have the page table of the fault. In a write
 * fault, the mm would mark all that it maps as dirty. These pages are clean.
 */
static void map_resident(struct vm_fault *vmf, pgoff_t start, pgoff_t end)
{
	enum fault_flag flags = vmf->flags;

	vmf->flags &= ~FAULT_FLAG_WRITE;
	filemap_map_pages(vmf, start, end);
	vmf->flags = flags;
}

/*
 * Make and map the pages after the one of the fault, up to @last. They are charged as that page. If
 * memory runs out, they are left out.
 */
static void make_ahead(struct vm_fault *vmf, struct address_space *mapping, pgoff_t last)
{
	pgoff_t index = vmf->pgoff;
	struct page *page;

	/* others must not wait for pages that nobody has asked for */
	while (index < last && !fatal_signal_pending(current) &&
	       !rwsem_is_contended(&mapping->invalidate_lock)) {
		page = expertmem_page_make(mapping, index + 1, EXPERTMEM_NO_KILL);
		if (IS_ERR(page))
			break;
		unlock_page(page);
		put_page(page);
		index++;
	}
	if (index > vmf->pgoff)
		map_resident(vmf, vmf->pgoff + 1, index);
}

/* Make the page of a fault, and pages ahead of it. Return it locked, or an ERR_PTR(). */
static struct page *make_missing(struct vm_fault *vmf, struct address_space *mapping,
				 pgoff_t first, pgoff_t last)
{
	struct page *page = expertmem_page_make(mapping, vmf->pgoff, 0);

	if (IS_ERR(page))
		return page;
	last = ahead_of(vmf, mapping, first, last);
	if (last == vmf->pgoff)
		return page;
	/* reclaim for the other pages may wait for this one */
	unlock_page(page);
	make_ahead(vmf, mapping, last);
	return expertmem_page_lock(mapping, vmf->pgoff, page, 0);
}

/* Set vmf->page to the page of a fault that has passed the gate, locked. */
static vm_fault_t fault_page(struct vm_fault *vmf, struct address_space *mapping, pgoff_t first,
			     pgoff_t last)
{
	vm_fault_t ret = VM_FAULT_LOCKED;
	struct page *page;
	void *entry;
	int err;

	err = expertmem_loan_touch(vmf->vma->vm_private_data, vmf->pgoff, 0);
	if (err)
		return err == -ESHUTDOWN ? VM_FAULT_SIGSEGV : vmf_error(err);
	entry = xa_load(&mapping->i_pages, vmf->pgoff);
	if (xa_is_value(entry)) {
		/* the page is in swap */
		count_vm_event(PGMAJFAULT);
		ret |= VM_FAULT_MAJOR;
	}
	page = entry ? expertmem_page_get(mapping, vmf->pgoff, 0) :
		       make_missing(vmf, mapping, first, last);
	if (!IS_ERR(page)) {
		vmf->page = page;
		return ret;
	}
	if (page == ERR_PTR(-EIO) && is_poisoned(mapping, vmf->pgoff))
		return VM_FAULT_HWPOISON;
	return vmf_error(PTR_ERR(page));
}

/* As fault_page(), for a fault that another process causes: charge the owner of the window. */
static vm_fault_t foreign_fault_page(struct vm_fault *vmf, struct address_space *mapping,
				     pgoff_t first, pgoff_t last)
{
	struct mem_cgroup *memcg = get_mem_cgroup_from_mm(vmf->vma->vm_mm);
	struct mem_cgroup *old = set_active_memcg(memcg);
	vm_fault_t ret = fault_page(vmf, mapping, first, last);

	set_active_memcg(old);
	mem_cgroup_put(memcg);
	return ret;
}

/*
 * Whoever closes the gate waits for the invalidate_lock before truncation. The page of a fault that
 * passed the gate under this lock is therefore in the file when truncation begins, and truncation
 * finds it. The fault holds the folio lock until the page is mapped, and truncation waits for it.
 * Pages made ahead are mapped under the invalidate_lock.
 *
 * The page is charged to the memory cgroup of the process that mapped the window.
 */
static vm_fault_t window_fault(struct vm_fault *vmf)
{
	struct address_space *mapping = vmf->vma->vm_file->f_mapping;
	vm_fault_t ret = VM_FAULT_SIGSEGV;
	pgoff_t first, last;

	filemap_invalidate_lock_shared(mapping);
	if (expertmem_region_gate(vmf->vma->vm_private_data, vmf->pgoff, &first, &last, true))
		ret = likely(current->mm == vmf->vma->vm_mm) ?
		      fault_page(vmf, mapping, first, last) :
		      foreign_fault_page(vmf, mapping, first, last);
	filemap_invalidate_unlock_shared(mapping);
	return ret;
}

/*
 * Map resident pages around a fault, as far as its region reaches. This must not sleep. If the
 * invalidate_lock is taken or the tree is being changed, nothing is mapped here, and window_fault()
 * waits instead.
 */
static vm_fault_t window_map_pages(struct vm_fault *vmf, pgoff_t start, pgoff_t end)
{
	struct address_space *mapping = vmf->vma->vm_file->f_mapping;
	struct expertmem_window *window = vmf->vma->vm_private_data;
	vm_fault_t ret = 0;
	pgoff_t first, last;

	/* a lender must copy pages before they are mapped; a borrower's copy may be incomplete */
	if (expertmem_window_has_loan(window) || !filemap_invalidate_trylock_shared(mapping))
		return 0;
	if (expertmem_region_gate(window, vmf->pgoff, &first, &last, false))
		ret = filemap_map_pages(vmf, max(start, first), min(end, last));
	filemap_invalidate_unlock_shared(mapping);
	return ret;
}

static void window_open(struct vm_area_struct *vma)
{
	struct expertmem_window *window = vma->vm_private_data;

	if (vma->vm_mm != window->mm) {
		expertmem_orphan_init(vma);
		return;
	}
	get_file(window->expert->file);
	window->vmas++;
}

static void window_close(struct vm_area_struct *vma)
{
	struct expertmem_window *window = vma->vm_private_data;
	struct expertmem_expert *expert = window->expert;
	struct expertmem_reclaim result;

	if (!--window->vmas) {
		expertmem_reclaim(expert, window, EXPERTMEM_CAUSE_DETACH, &result);
		expertmem_death_unwatch(window);
	}
	fput(expert->file);
}

static const struct vm_operations_struct window_ops = {
	.open		= window_open,
	.close		= window_close,
	.may_split	= expertmem_window_may_split,
	.mremap		= expertmem_window_mremap,
	.fault		= window_fault,
	.map_pages	= window_map_pages,
};

static long window_fallocate(struct file *file, int mode, loff_t offset, loff_t len)
{
	struct expertmem_window *window = file->private_data;

	/* an orphan in a child maps the file of the parent's window: refuse its MADV_REMOVE */
	if (current->mm != window->mm)
		return -EACCES;
	if (mode != (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE))
		return -EOPNOTSUPP;
	return expertmem_punch_hole(window, file, offset, len);
}

static int window_release(struct inode *inode, struct file *file)
{
	struct expertmem_window *window = file->private_data;

	expertmem_put(window->expert);
	return 0;
}

/*
 * The file operations that the mm calls: fallocate for madvise(MADV_REMOVE), and fsync for msync().
 * There is no mmap: remap_file_pages() would call it, and map the pages without the gate.
 */
static const struct file_operations window_fops = {
	.owner		= THIS_MODULE,
	.fallocate	= window_fallocate,
	.fsync		= noop_fsync,
	.release	= window_release,
};

/**
 * expertmem_window_file() - make the file that holds a window's pages
 * @window: the window
 * @pages: length of the window in pages
 *
 * Page offsets in the file count from the start of the window. The file holds a reference to the
 * expert, because an orphan may map the file after the expert was released.
 *
 * Context: may sleep.
 * Return: the file, or an ERR_PTR().
 */
struct file *expertmem_window_file(struct expertmem_window *window, unsigned long pages)
{
	loff_t size = (loff_t)pages << PAGE_SHIFT;
	struct file *file;

	file = compat_shmem_file_setup(expertmem_mount(window), "expertmem", size);
	/* shmem returns ENOSPC when it cannot allocate the inode */
	if (IS_ERR(file))
		return file == ERR_PTR(-ENOSPC) ? ERR_PTR(-ENOMEM) : file;
	expertmem_page_set_no_kill(file->f_mapping, true);
	__module_get(THIS_MODULE);
	file->f_op = &window_fops;
	kref_get(&window->expert->ref);
	file->private_data = window;
	/*
	 * Only this open file gives access to the pages. Root could reach the inode by
	 * /proc/PID/map_files, but every operation on a bad inode, from open to truncate, fails.
	 */
	make_bad_inode(file_inode(file));
	file_inode(file)->i_flags |= S_PRIVATE | S_NOCMTIME;
	return file;
}

/**
 * expertmem_window_set_file() - set the file of a window
 * @window: the window
 * @file: the file from expertmem_window_file(); the window takes over the reference
 * @pages: length of the window in pages
 *
 * Context: expert->lock held.
 */
void expertmem_window_set_file(struct expertmem_window *window, struct file *file,
			       unsigned long pages)
{
	lockdep_assert_held(&window->expert->lock);
	if (window->expert->flags & EXPERTMEM_CONFIG_UNSWAPPABLE)
		mapping_set_unevictable(file->f_mapping);
	window->file = file;
	window->pages = pages;
}

/* Can a window be mapped now? A prepared window must have the length of the parent's window. */
static int check_mmap(const struct expertmem_window *window, unsigned long pages)
{
	lockdep_assert_held(&window->expert->lock);
	if (window->expert->state == EXPERTMEM_STATE_RECLAIMED)
		return -ESHUTDOWN;
	if (window->state == WINDOW_PREPARED || window->state == WINDOW_MOVING)
		return window->pages == pages ? 0 : -EINVAL;
	if (window->state != WINDOW_UNMAPPED)
		return -EBUSY;
	return window->expert->state == EXPERTMEM_STATE_TERMINATING ? -ECANCELED : 0;
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
	struct expertmem_expert *expert = window->expert;
	struct file *file, *new = NULL;
	int err;

	if (vma->vm_pgoff != window->first || !(vma->vm_flags & VM_SHARED) ||
	    vma->vm_flags & VM_EXEC || !IS_ALIGNED(vma_pages(vma), window->granule) ||
	    vma_pages(vma) > EXPERTMEM_WINDOW_MAX >> PAGE_SHIFT)
		return -EINVAL;

	mutex_lock(&expert->lock);
	err = check_mmap(window, vma_pages(vma));
	file = window->file;
	mutex_unlock(&expert->lock);
	if (err)
		return err;
	if (!file)
		new = expertmem_window_file(window, vma_pages(vma));
	if (IS_ERR(new))
		return PTR_ERR(new);

	mutex_lock(&expert->lock);
	err = check_mmap(window, vma_pages(vma));
	if (err) {
		mutex_unlock(&expert->lock);
		if (new)
			fput(new);
		return err;
	}
	if (new)
		expertmem_window_set_file(window, new, vma_pages(vma));
	window->mm = vma->vm_mm;
	window->address = vma->vm_start;
	window->vmas = 1;
	window->mapper = get_pid(task_tgid(current));
	window->state = WINDOW_MAPPED;
	if (expert->state == EXPERTMEM_STATE_IDLE)
		expert->state = EXPERTMEM_STATE_RUNNING;
	if (!expert->mapper) {
		expert->mapper = window->mapper;
		expertmem_event(expert, EXPERTMEM_EVENT_RUNNING);
	}
	mutex_unlock(&expert->lock);
	expertmem_death_watch(window);

	get_file(expert->file);
	vma_set_file(vma, window->file);
	/* low offsets keep the page cache's tree flat */
	vma->vm_pgoff = 0;
	vma->vm_private_data = window;
	vma->vm_ops = &window_ops;
	/*
	 * VM_DONTCOPY is not set, so that a child gets an orphan. VM_DONTDUMP: a core dump
	 * would look at every page of terabytes. VM_DONTEXPAND prevents growth by mremap().
	 * It also makes the mm refuse operations that would bypass the gate or the charges:
	 * MADV_COLLAPSE and khugepaged (a huge page that reaches past a region), MADV_DODUMP,
	 * mlock(), KSM, guard regions, and merging with a neighbouring mapping.
	 */
	vm_flags_set(vma, VM_DONTEXPAND | VM_DONTDUMP);
	vm_flags_clear(vma, VM_MAYEXEC);
	return 0;
}

/**
 * expertmem_window_init() - initialize a window of a new expert
 * @window: the window, zeroed
 * @expert: the expert
 * @offset: device offset of the window, bytes
 * @granule: granule of the window in pages
 */
void expertmem_window_init(struct expertmem_window *window, struct expertmem_expert *expert,
			   u64 offset, unsigned long granule)
{
	window->expert = expert;
	window->first = offset >> PAGE_SHIFT;
	window->granule = granule;
	window->regions = RB_ROOT;
	seqcount_mutex_init(&window->seq, &expert->lock);
	expertmem_loan_init(window);
	expertmem_reclaim_init(window);
}
