// SPDX-License-Identifier: GPL-2.0
/*
 * Fork: how a child gets the memory that its parent has.
 *
 *	FORK, in the parent, makes an expert, the heir, whose windows are prepared: they
 *	have files and copies of the parent's regions, but no mapping; the pages are copied
 *	when either of the two touches them (loan.c)
 *	fork(), in the same thread, has the mm copy the mappings of the parent's windows;
 *	the copies, here called orphans, refer to the heir's windows
 *	the first touch of an orphan in the child maps the heir's window in its place
 *
 * The orphans of all other children, and of children of children, refer to nothing, and
 * fault.
 */
#include <linux/cred.h>
#include <linux/fcntl.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/pid.h>
#include <linux/sched.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "compat.h"
#include "expertmem.h"

/* --------------------------------------------------------------------- orphans */

/*
 * Map the prepared window at the orphan's place, which closes the orphan. Its pages are in
 * use from the first moment: those who look for resident memory see them.
 *
 * The mm is not locked from the look at the orphan until this. A thread of the child that maps
 * something else there, while another one touches it first, may lose that.
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
		/* nobody else will: the next touch faults */
		if (READ_ONCE(window->state) == WINDOW_MOVING)
			expertmem_reclaim(expert, window, EXPERTMEM_CAUSE_DETACH, &result);
		return;
	}
	while (expertmem_region_next(expert, from, &region) == window) {
		expertmem_window_map(window, region.first, region.pages);
		from = region.first + 1;
	}
}

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
 * The lock of the fault is dropped for the mapping. The mm then looks the address up again,
 * and finds the window, or an orphan whose window is gone.
 */
static vm_fault_t orphan_fault(struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	struct expertmem_window *window = vma->vm_private_data;
	unsigned long protection = vma->vm_flags & (VM_READ | VM_WRITE);
	unsigned long address = vma->vm_start;
	enum expertmem_window_state state;
	struct file *file;

	/* Another process cannot map anything here. */
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
		schedule_timeout_uninterruptible(1);	/* another thread does it */
	fput(file);
	return VM_FAULT_RETRY;
}

/* A copy, be it a child's, or the mm's while it tries to move the mapping. */
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

/* Nothing can be done to an orphan but to unmap it whole. */
static const struct vm_operations_struct orphan_ops = {
	.open		= orphan_open,
	.close		= orphan_close,
	.may_split	= expertmem_window_may_split,
	.mremap		= expertmem_window_mremap,
	.fault		= orphan_fault,
};

/* The window that the current thread's child is to have where @vma is, or NULL. */
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
 * expertmem_orphan_init() - a window's mapping has been copied for another process
 * @vma: the copy
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

/* ------------------------------------------------------------------------ FORK */

/*
 * Have the windows of @expert been mapped by this process? What it has inherited and has not
 * touched yet is.
 */
static int check_caller(struct expertmem_expert *expert)
{
	struct expertmem_window *windows[] = { &expert->small, &expert->huge };
	int err = -ENXIO, i;

	for (i = 0; i < ARRAY_SIZE(windows); i++)
		if (READ_ONCE(windows[i]->mm) == current->mm &&
		    begin_move(windows[i]) == WINDOW_PREPARED)
			take_over(windows[i], windows[i]->address, PROT_READ | PROT_WRITE);
	mutex_lock(&expert->lock);
	for (i = 0; i < ARRAY_SIZE(windows); i++) {
		if (!expertmem_window_lives(windows[i]))
			continue;
		err = windows[i]->state == WINDOW_MAPPED && windows[i]->mm == current->mm ?
		      0 : -EPERM;
		if (err)
			break;
	}
	if (expert->state == EXPERTMEM_STATE_RECLAIMED)
		err = -ESHUTDOWN;
	mutex_unlock(&expert->lock);
	return err;
}

static void configure(struct expertmem_expert *heir, struct expertmem_expert *expert)
{
	struct expertmem_stat stat;

	mutex_lock(&expert->lock);
	expertmem_snapshot(expert, &stat);
	mutex_unlock(&expert->lock);

	mutex_lock(&heir->lock);
	heir->configured = true;
	heir->limit = stat.limit;
	heir->flags = stat.flags;
	memcpy(heir->name, stat.name, sizeof(heir->name));
	mutex_unlock(&heir->lock);
}

static int prepare(struct expertmem_window *window, const struct expertmem_window *from)
{
	struct file *file;
	int err = 0;

	if (READ_ONCE(from->state) != WINDOW_MAPPED)
		return 0;
	file = expertmem_window_file(window, from->pages);
	if (IS_ERR(file))
		return PTR_ERR(file);
	mutex_lock(&window->expert->lock);
	if (window->state == WINDOW_UNMAPPED) {
		expertmem_window_set_file(window, file, from->pages);
		window->state = WINDOW_PREPARED;
	} else {	/* an operator has reclaimed it already */
		err = -ESHUTDOWN;
	}
	mutex_unlock(&window->expert->lock);
	if (err)
		fput(file);
	return err;
}

static int inherit(struct expertmem_expert *heir, struct expertmem_expert *expert, bool lend)
{
	int err;

	configure(heir, expert);
	err = prepare(&heir->small, &expert->small);
	if (!err)
		err = prepare(&heir->huge, &expert->huge);
	if (!err)
		err = expertmem_copy_regions(heir, expert, lend);
	return err;
}

static struct file *make_heir(struct expertmem_expert *expert, bool lend)
{
	struct expertmem_reclaim result;
	struct file *heir;
	int err;

	heir = dentry_open(&expert->file->f_path, O_RDWR | O_LARGEFILE, current_cred());
	if (IS_ERR(heir))
		return heir;
	err = inherit(heir->private_data, expert, lend);
	if (!err)
		return heir;
	/* the file goes when the call returns; what it is charged for must not wait for that */
	expertmem_reclaim(heir->private_data, NULL, EXPERTMEM_CAUSE_DETACH, &result);
	fput(heir);
	return ERR_PTR(err);
}

/* An expert that was reclaimed meanwhile has no heirs. */
static int set_heir(struct expertmem_expert *expert, struct file *heir)
{
	int err = -ESHUTDOWN;

	mutex_lock(&expert->lock);
	expertmem_disinherit(expert);
	if (expert->state != EXPERTMEM_STATE_RECLAIMED) {
		expert->heir = get_file(heir);
		expert->testator = get_pid(task_pid(current));
		err = 0;
	}
	mutex_unlock(&expert->lock);
	return err;
}

/**
 * expertmem_fork() - the FORK ioctl
 * @expert: the expert
 * @uarg: its argument
 *
 * Context: process context, may sleep; takes expert->lock of the expert and of the heir.
 * Return: 0 or a negative errno, as the uAPI header says.
 */
int expertmem_fork(struct expertmem_expert *expert, struct expertmem_fork __user *uarg)
{
	struct expertmem_fork arg;
	struct file *heir;
	int err;

	if (copy_from_user(&arg, uarg, sizeof(arg)))
		return -EFAULT;
	if (arg.fd || (arg.flags && arg.flags != EXPERTMEM_FORK_END &&
		       arg.flags != EXPERTMEM_FORK_POPULATE) ||
	    memchr_inv(arg.reserved, 0, sizeof(arg.reserved)))
		return -EINVAL;
	if (arg.flags == EXPERTMEM_FORK_END) {
		mutex_lock(&expert->lock);
		expertmem_disinherit(expert);
		mutex_unlock(&expert->lock);
		return 0;
	}
	err = check_caller(expert);
	if (err)
		return err;
	arg.fd = get_unused_fd_flags(O_CLOEXEC);
	if (arg.fd < 0)
		return arg.fd;
	heir = make_heir(expert, arg.flags != EXPERTMEM_FORK_POPULATE);
	/* another thread gives up what it owes: then it owes nothing any more */
	if (heir == ERR_PTR(-EAGAIN))
		heir = make_heir(expert, false);
	err = PTR_ERR_OR_ZERO(heir);
	if (err)
		goto err_fd;
	if (copy_to_user(uarg, &arg, sizeof(arg)))
		err = -EFAULT;
	if (!err)
		err = set_heir(expert, heir);
	if (err)
		goto err_heir;
	fd_install(arg.fd, heir);
	return 0;

err_heir:
	fput(heir);
err_fd:
	put_unused_fd(arg.fd);
	return err;
}
