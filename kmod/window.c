// SPDX-License-Identifier: GPL-2.0
/*
 * Windows: how an expert sees its regions. A window is a shared mapping of a private
 * shmem file; what this file adds is the gate in front of every fault, and what
 * happens when the mapping is copied or goes away. All else is the mm's.
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
#include <linux/vmstat.h>
#include <linux/xarray.h>

#include "compat.h"
#include "expertmem.h"

/* Is the page at @index in swap? */
static bool is_swapped_out(struct address_space *mapping, pgoff_t index)
{
	return READ_ONCE(SHMEM_I(mapping->host)->swapped) &&
	       xa_is_value(xa_load(&mapping->i_pages, index));
}

/* Is the page at @index known to be bad? */
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

/* The page of a fault that has passed the gate, locked, in vmf->page. */
static vm_fault_t fault_page(struct vm_fault *vmf, struct address_space *mapping)
{
	vm_fault_t ret = VM_FAULT_LOCKED;
	struct page *page;
	int err;

	err = expertmem_loan_touch(vmf->vma->vm_private_data, vmf->pgoff, 0);
	if (err)
		return err == -ESHUTDOWN ? VM_FAULT_SIGSEGV : vmf_error(err);
	if (is_swapped_out(mapping, vmf->pgoff)) {
		count_vm_event(PGMAJFAULT);
		ret |= VM_FAULT_MAJOR;
	}
	page = expertmem_page_get(mapping, vmf->pgoff, mapping_gfp_mask(mapping));
	if (!IS_ERR(page)) {
		vmf->page = page;
		return ret;
	}
	if (page == ERR_PTR(-EIO) && is_poisoned(mapping, vmf->pgoff))
		return VM_FAULT_HWPOISON;
	return vmf_error(PTR_ERR(page));
}

/* The same for a fault that another process causes (ptrace, process_vm_writev()). */
static vm_fault_t foreign_fault_page(struct vm_fault *vmf, struct address_space *mapping)
{
	struct mem_cgroup *memcg = get_mem_cgroup_from_mm(vmf->vma->vm_mm);
	struct mem_cgroup *old = set_active_memcg(memcg);
	vm_fault_t ret = fault_page(vmf, mapping);

	set_active_memcg(old);
	mem_cgroup_put(memcg);
	return ret;
}

/*
 * With the invalidate_lock held the gate does not close between the look at it and
 * the arrival of the page, and truncation, which comes after closing, will find the
 * page. From then on the folio lock, held until the page is mapped, does the same.
 *
 * The page is charged to the memory cgroup of whoever owns the window.
 */
static vm_fault_t window_fault(struct vm_fault *vmf)
{
	struct address_space *mapping = vmf->vma->vm_file->f_mapping;
	vm_fault_t ret = VM_FAULT_SIGSEGV;
	pgoff_t first, last;

	filemap_invalidate_lock_shared(mapping);
	if (expertmem_region_gate(vmf->vma->vm_private_data, vmf->pgoff, &first, &last, true))
		ret = likely(current->mm == vmf->vma->vm_mm) ? fault_page(vmf, mapping) :
							       foreign_fault_page(vmf, mapping);
	filemap_invalidate_unlock_shared(mapping);
	return ret;
}

/*
 * Map the pages around a fault that are there already, within the region. This must not
 * sleep. Where somebody is closing a gate or changing the regions, window_fault() waits instead.
 */
static vm_fault_t window_map_pages(struct vm_fault *vmf, pgoff_t start, pgoff_t end)
{
	struct address_space *mapping = vmf->vma->vm_file->f_mapping;
	struct expertmem_window *window = vmf->vma->vm_private_data;
	vm_fault_t ret = 0;
	pgoff_t first, last;

	/* Of a lender, each page is copied before it is mapped. A borrower's may be half a copy. */
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
	/* An orphan in a child shows the file of its parent's window. */
	if (current->mm != file_inode(file)->i_private)
		return -EACCES;
	if (mode != (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE))
		return -EOPNOTSUPP;
	return expertmem_punch_hole(file->private_data, file, offset, len);
}

static int window_release(struct inode *inode, struct file *file)
{
	struct expertmem_window *window = file->private_data;

	expertmem_put(window->expert);
	return 0;
}

/*
 * What the mm may ask of a window's file: madvise(MADV_REMOVE) and msync(). There is no
 * mmap, or remap_file_pages() would map the pages with no gate in front of them.
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
 * @pages: its length
 *
 * The pages are at the same offsets as the device has them. The file holds a reference to the
 * expert: an orphan may show it after the expert was released.
 *
 * Context: may sleep.
 * Return: the file, or an ERR_PTR().
 */
struct file *expertmem_window_file(struct expertmem_window *window, unsigned long pages)
{
	loff_t size = (loff_t)(window->first + pages) << PAGE_SHIFT;
	struct file *file;

	file = compat_shmem_file_setup(expertmem_mount(window), "expertmem", size);
	/* That there is no memory for the inode is ENOSPC there. */
	if (IS_ERR(file))
		return file == ERR_PTR(-ENOSPC) ? ERR_PTR(-ENOMEM) : file;
	__module_get(THIS_MODULE);
	file->f_op = &window_fops;
	kref_get(&window->expert->ref);
	file->private_data = window;
	/*
	 * The file that is open here is the only way to the pages. /proc/PID/map_files leads
	 * root to the inode: every operation of a bad inode, from open to truncate, fails.
	 */
	make_bad_inode(file_inode(file));
	file_inode(file)->i_flags |= S_PRIVATE | S_NOCMTIME;
	return file;
}

/**
 * expertmem_window_set_file() - give a window its file
 * @window: the window
 * @file: from expertmem_window_file(); its reference is the window's from now on
 * @pages: its length
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

/* Whether a window can be mapped now. One that FORK has made is as long as its parent's. */
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
	file_inode(window->file)->i_private = vma->vm_mm;
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
	vma->vm_private_data = window;
	vma->vm_ops = &window_ops;
	/*
	 * No VM_DONTCOPY: a child gets an orphan. VM_DONTDUMP: a core dump would look at every
	 * page of terabytes. VM_DONTEXPAND: besides growing by mremap(), it makes the mm
	 * refuse what would go round the gate or the file's accounts: MADV_COLLAPSE and
	 * khugepaged (a huge page that reaches past a region), MADV_DODUMP, mlock(), KSM,
	 * guard regions, and merging with a neighbour.
	 */
	vm_flags_set(vma, VM_DONTEXPAND | VM_DONTDUMP);
	vm_flags_clear(vma, VM_MAYEXEC);
	return 0;
}

/**
 * expertmem_window_init() - prepare a window of a new expert
 * @window: the window, zeroed
 * @expert: its expert
 * @offset: its device offset, bytes
 * @granule: pages
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
