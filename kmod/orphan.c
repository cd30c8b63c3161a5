// SPDX-License-Identifier: GPL-2.0
/*
 * Orphans: the copies of a window's mapping that fork() leaves in a child.
 *
 * An orphan refers to a window of the heir (fork.c), if the thread that forked has one. The first
 * touch of such an orphan in the child maps the heir's window in its place. All other orphans refer
 * to no window, and every touch faults. So do the orphans of children of children.
 */
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/pid.h>
#include <linux/sched.h>

#include "compat.h"
#include "expertmem.h"

/*
 * Map the prepared window in place of the orphan, which closes the orphan. The pages that the
 * window's file has already are mapped at once, so that they count as the child's resident memory.
 *
 * The mm was not locked from the lookup of the orphan until here. If another thread of the child
 * unmaps the orphan in between and maps something else there, this mapping replaces it.
 */
static void take_over(struct expertmem_window *window, unsigned long address,
		      unsigned long protection)
{
	struct expertmem_expert *expert = window->expert;
	struct expertmem_reclaim result;
	struct expertmem_region region;
	pgoff_t from = window->first;

	address = vm_mmap(expert->file, address, window->pages << PAGE_SHIFT, protection,
			  MAP_SHARED | MAP_FIXED, window->first << PAGE_SHIFT);
	if (IS_ERR_VALUE(address)) {
		/* nobody else maps the window: reclaim it, and the next touch faults */
		if (READ_ONCE(window->state) == WINDOW_MOVING)
			expertmem_reclaim(expert, window, EXPERTMEM_CAUSE_DETACH, &result);
		return;
	}
	while (expertmem_region_next(expert, from, &region) == window) {
		expertmem_window_map(window, region.first, region.pages);
		from = window->first + region.first + 1;
	}
}

/* If the window is prepared, make it moving. Return the state that it had before. */
static enum expertmem_window_state begin_move(struct expertmem_window *window)
{
	enum expertmem_window_state state;

	mutex_lock(&window->expert->lock);
	state = window->state;
	if (state == WINDOW_PREPARED)
		window->state = WINDOW_MOVING;
	mutex_unlock(&window->expert->lock);
	return state;
}

/*
 * Drop the lock of the fault, map the window, and have the mm retry the fault. It then finds the
 * window at the address, or an orphan whose window is gone.
 */
static vm_fault_t orphan_fault(struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	struct expertmem_window *window = vma->vm_private_data;
	unsigned long protection = vma->vm_flags & (VM_READ | VM_WRITE);
	unsigned long address = vma->vm_start;
	enum expertmem_window_state state;
	struct file *file;

	/* A fault by another process, or one that cannot be retried, cannot map the window. */
	if (!window || current->mm != vma->vm_mm || !(vmf->flags & FAULT_FLAG_ALLOW_RETRY) ||
	    vmf->flags & FAULT_FLAG_RETRY_NOWAIT)
		return VM_FAULT_SIGSEGV;
	state = begin_move(window);
	if (state != WINDOW_PREPARED && state != WINDOW_MOVING)
		return VM_FAULT_SIGSEGV;

	file = get_file(window->expert->file);
	release_fault_lock(vmf);
	if (state == WINDOW_PREPARED)
		take_over(window, address, protection);
	else
		schedule_timeout_uninterruptible(1);	/* another thread maps the window */
	fput(file);
	return VM_FAULT_RETRY;
}

/* The mm has copied the orphan, for a child or for mremap(): the copy refers to no window. */
static void orphan_open(struct vm_area_struct *vma)
{
	vma->vm_private_data = NULL;
}

static void orphan_close(struct vm_area_struct *vma)
{
	struct expertmem_window *window = vma->vm_private_data;
	struct expertmem_reclaim result;

	if (!window)
		return;
	if (READ_ONCE(window->state) == WINDOW_PREPARED)
		expertmem_reclaim(window->expert, window, EXPERTMEM_CAUSE_DETACH, &result);
	fput(window->expert->file);
}

/* Windows and orphans cannot be split or moved. */
int expertmem_window_may_split(struct vm_area_struct *vma, unsigned long addr)
{
	return -EINVAL;
}

int expertmem_window_mremap(struct vm_area_struct *vma)
{
	return -EINVAL;
}

/* An orphan can only be unmapped as a whole. */
static const struct vm_operations_struct orphan_ops = {
	.open		= orphan_open,
	.close		= orphan_close,
	.may_split	= expertmem_window_may_split,
	.mremap		= expertmem_window_mremap,
	.fault		= orphan_fault,
};

/* Give the child the heir's window for its orphan @vma. Return the window, or NULL: none. */
static struct expertmem_window *take_inheritance(const struct vm_area_struct *vma)
{
	struct expertmem_window *window = vma->vm_private_data;
	struct expertmem_expert *expert = window->expert, *heir;
	struct expertmem_window *its = NULL;

	mutex_lock(&expert->lock);
	if (expert->heir && expert->testator == task_pid(current)) {
		heir = expert->heir->private_data;
		its = window == &expert->small ? &heir->small : &heir->huge;
		if (its->inherited || READ_ONCE(its->state) != WINDOW_PREPARED) {
			its = NULL;
		} else {
			its->inherited = true;
			its->mm = vma->vm_mm;
			its->address = vma->vm_start;
			get_file(expert->heir);
		}
	}
	mutex_unlock(&expert->lock);
	return its;
}

/**
 * expertmem_orphan_init() - make an orphan of the copy of a window's mapping
 * @vma: the copy, in the mm of the child
 *
 * Context: in fork(), mmap_lock of both processes held; takes expert->lock.
 */
void expertmem_orphan_init(struct vm_area_struct *vma)
{
	vma->vm_ops = &orphan_ops;
	vma->vm_private_data = take_inheritance(vma);
	if (!vma->vm_private_data)
		vm_flags_clear(vma, VM_WRITE | VM_MAYWRITE);
}

/**
 * expertmem_orphans_take_over() - map inherited windows that have not been touched yet
 * @expert: the expert; only those of its windows that the current process inherited are mapped
 *
 * Context: process context, may sleep; mmap_lock not held; takes expert->lock.
 */
void expertmem_orphans_take_over(struct expertmem_expert *expert)
{
	struct expertmem_window *windows[] = { &expert->small, &expert->huge };
	int i;

	for (i = 0; i < ARRAY_SIZE(windows); i++)
		if (READ_ONCE(windows[i]->mm) == current->mm &&
		    begin_move(windows[i]) == WINDOW_PREPARED)
			take_over(windows[i], windows[i]->address, PROT_READ | PROT_WRITE);
}
