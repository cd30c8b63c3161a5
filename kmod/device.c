// SPDX-License-Identifier: GPL-2.0
/*
 * The device: its file operations and ioctls. One open of the device is one expert.
 */
#include <linux/anon_inodes.h>
#include <linux/capability.h>
#include <linux/compat.h>
#include <linux/cred.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pid.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/timekeeping.h>
#include <linux/uaccess.h>

#include "compat.h"
#include "expertmem.h"
#include "trace.h"

/* Add a new expert to the table, so that it can be found, and send the event OPENED. */
static int expert_enter(struct expertmem_expert *expert)
{
	int err;

	mutex_lock(&expert->lock);
	err = expertmem_enter(expert);
	if (!err)
		expertmem_event(expert, EXPERTMEM_EVENT_OPENED);
	mutex_unlock(&expert->lock);
	return err;
}

/*
 * Remove an expert from the table, and mark it released. A netlink request that has found it
 * already waits for its locks, and then finds @released set. The files of the windows are dropped
 * here: each holds a reference to the module, and pinned pages may keep the expert for long.
 */
static void expert_leave(struct expertmem_expert *expert)
{
	struct expertmem_window *windows[] = { &expert->small, &expert->huge };
	int i;

	expertmem_leave(expert);
	down_write(&expert->reclaim_lock);
	mutex_lock(&expert->lock);
	if (expert->state != EXPERTMEM_STATE_RECLAIMED)
		expertmem_uncharge_expert();
	expertmem_uncharge_expert_user(expert);
	expertmem_disinherit(expert);
	expert->released = true;
	expertmem_event(expert, EXPERTMEM_EVENT_RELEASED);
	for (i = 0; i < ARRAY_SIZE(windows); i++) {
		if (windows[i]->file)
			fput(windows[i]->file);
		windows[i]->file = NULL;
	}
	mutex_unlock(&expert->lock);
	up_write(&expert->reclaim_lock);
}

static int expert_open(struct inode *inode, struct file *file)
{
	struct expertmem_expert *expert;
	int err = -ENOMEM;

	/* the modes are O_RDWR and O_RDONLY (GET_INFO, STAT and the status page only) */
	if (!(file->f_mode & FMODE_READ))
		return -EINVAL;
	expert = kzalloc(sizeof(*expert), GFP_KERNEL_ACCOUNT);
	if (!expert)
		return -ENOMEM;
	expert->status = alloc_page(GFP_KERNEL_ACCOUNT | __GFP_ZERO);
	if (!expert->status)
		goto err_expert;
	expert->user = expertmem_user_get();
	if (!expert->user)
		goto err_status;
	expert->privileged = ns_capable_noaudit(&init_user_ns, CAP_SYS_RESOURCE);
	err = expertmem_charge_expert(expert);
	if (err)
		goto err_user;

	kref_init(&expert->ref);
	init_rwsem(&expert->reclaim_lock);
	mutex_init(&expert->lock);
	mutex_init(&expert->pins_lock);
	INIT_LIST_HEAD(&expert->pins);
	INIT_LIST_HEAD(&expert->holder);
	expert->uid = current_uid();
	expert->opener = get_pid(task_tgid(current));
	expert->opened = ktime_get_boottime_ns();
	expert->id = expertmem_new_id();
	expert->file = file;
	expert->limit = READ_ONCE(expertmem_default_limit);
	expertmem_window_init(&expert->small, expert, EXPERTMEM_SMALL_OFFSET, 1);
	expertmem_window_init(&expert->huge, expert, EXPERTMEM_HUGE_OFFSET,
			      PMD_SIZE >> PAGE_SHIFT);
	file->private_data = expert;
	err = expert_enter(expert);
	if (err)
		goto err_charge;
	atomic64_inc(&expertmem_totals.opened);
	trace_expertmem_open(expert->id);
	return nonseekable_open(inode, file);

err_charge:
	expertmem_uncharge_expert();
	expertmem_uncharge_expert_user(expert);
	put_pid(expert->opener);
err_user:
	expertmem_user_put(expert->user);
err_status:
	put_page(expert->status);
err_expert:
	kfree(expert);
	return err;
}

static bool has_memory(const struct expertmem_window *window)
{
	return window->file && !window->emptied;
}

static int expert_release(struct inode *inode, struct file *file)
{
	struct expertmem_expert *expert = file->private_data;
	struct expertmem_reclaim result;

	/* A mapped window would hold the device file. FORK may have made windows never mapped. */
	if (has_memory(&expert->small) || has_memory(&expert->huge))
		expertmem_reclaim(expert, NULL, EXPERTMEM_CAUSE_DETACH, &result);
	trace_expertmem_release(expert->id, (u64)expert->peak << PAGE_SHIFT);
	expert_leave(expert);
	expertmem_put(expert);
	return 0;
}

static const struct file_operations status_fops = {
	.owner	= THIS_MODULE,
};

/*
 * Map the status page. The mapping gets a file of its own, because a reference to the device file
 * would keep the expert open.
 */
static int status_mmap(struct expertmem_expert *expert, struct vm_area_struct *vma)
{
	struct file *file;
	int err;

	if (vma_pages(vma) != 1 || !(vma->vm_flags & VM_MAYSHARE) ||
	    vma->vm_flags & (VM_WRITE | VM_EXEC))
		return -EINVAL;
	file = anon_inode_getfile("[expertmem-status]", &status_fops, NULL, O_RDONLY);
	if (IS_ERR(file))
		return PTR_ERR(file);
	vm_flags_clear(vma, VM_MAYWRITE | VM_MAYEXEC);
	vm_flags_set(vma, VM_DONTEXPAND | VM_DONTDUMP);
	err = vm_insert_page(vma, vma->vm_start, expert->status);
	if (!err)
		vma_set_file(vma, file);
	fput(file);
	return err;
}

static int expert_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct expertmem_expert *expert = file->private_data;
	/* O_RDONLY descriptors map only the status page */
	int err = file->f_mode & FMODE_WRITE ? 0 : -EACCES;

	switch ((u64)vma->vm_pgoff << PAGE_SHIFT) {
	case EXPERTMEM_STATUS_OFFSET:
		return status_mmap(expert, vma);
	case EXPERTMEM_SMALL_OFFSET:
		return err ?: expertmem_window_mmap(&expert->small, vma);
	case EXPERTMEM_HUGE_OFFSET:
		return err ?: expertmem_window_mmap(&expert->huge, vma);
	default:
		return -EINVAL;
	}
}

static int expert_get_info(struct expertmem_expert *expert, struct expertmem_info __user *uarg)
{
	unsigned long charged;
	struct expertmem_info info = {
		.abi		= EXPERTMEM_ABI_VERSION,
		.features	= EXPERTMEM_FEATURE_UNSWAPPABLE,
		.small_granule	= PAGE_SIZE,
		.huge_granule	= PMD_SIZE,
		.window_max	= EXPERTMEM_WINDOW_MAX,
		.default_limit	= READ_ONCE(expertmem_default_limit),
		.total_limit	= READ_ONCE(expertmem_total_limit),
		.max_experts	= READ_ONCE(expertmem_max_experts),
		.experts	= expertmem_nr_experts(),
		.uid_limit	= expertmem_effective_uid_limit(),
		.uid_max_experts = expertmem_effective_uid_max_experts(),
		.uid_experts	= expertmem_user_usage(expert, &charged),
	};

	info.uid_charged = (u64)charged << PAGE_SHIFT;
	if (expertmem_has_huge())
		info.features |= EXPERTMEM_FEATURE_HUGE;
	return copy_to_user(uarg, &info, sizeof(info)) ? -EFAULT : 0;
}

static int expert_reclaim(struct expertmem_expert *expert,
			  struct expertmem_reclaim __user *uarg)
{
	struct expertmem_reclaim arg;

	if (copy_from_user(&arg, uarg, sizeof(arg)))
		return -EFAULT;
	if (arg.flags || arg.reserved)
		return -EINVAL;
	expertmem_reclaim(expert, NULL, EXPERTMEM_CAUSE_HOST, &arg);
	return copy_to_user(uarg, &arg, sizeof(arg)) ? -EFAULT : 0;
}

static int expert_stat(struct expertmem_expert *expert, struct expertmem_stat __user *uarg)
{
	struct expertmem_stat stat;

	if (atomic_long_read(&expert->pinned))
		expertmem_drain_lru_all();
	expertmem_pins_check(expert);
	mutex_lock(&expert->lock);
	expertmem_snapshot(expert, &stat);
	mutex_unlock(&expert->lock);
	return copy_to_user(uarg, &stat, sizeof(stat)) ? -EFAULT : 0;
}

/* The COPY ioctl. The descriptor of the source must be one of this device. */
static int expert_copy(struct expertmem_expert *expert, struct expertmem_copy __user *uarg)
{
	struct expertmem_copy arg;
	struct file *file;
	int err = 0;

	if (copy_from_user(&arg, uarg, sizeof(arg)))
		return -EFAULT;
	if (arg.flags || memchr_inv(arg.reserved, 0, sizeof(arg.reserved)))
		return -EINVAL;
	file = fget(arg.fd);
	if (!file)
		return -EBADF;
	if (file->f_op != &expertmem_fops || file->private_data == expert)
		err = -EINVAL;
	else if (!(file->f_mode & FMODE_WRITE))
		err = -EBADF;
	if (!err)
		err = expertmem_copy_regions(expert, file->private_data, false);
	fput(file);
	return err;
}

static long expert_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct expertmem_expert *expert = file->private_data;
	void __user *uarg = (void __user *)arg;
	/* O_RDONLY descriptors allow only GET_INFO and STAT */
	int err = file->f_mode & FMODE_WRITE ? 0 : -EBADF;

	switch (cmd) {
	case EXPERTMEM_IOC_GET_INFO:
		return expert_get_info(expert, uarg);
	case EXPERTMEM_IOC_STAT:
		return expert_stat(expert, uarg);
	case EXPERTMEM_IOC_CONFIGURE:
		return err ?: expertmem_configure(expert, uarg);
	case EXPERTMEM_IOC_ALLOC:
		return err ?: expertmem_alloc(expert, uarg);
	case EXPERTMEM_IOC_REALLOC:
		return err ?: expertmem_realloc(expert, uarg);
	case EXPERTMEM_IOC_FREE:
		return err ?: expertmem_free(expert, uarg);
	case EXPERTMEM_IOC_TERMINATE:
		return err ?: (arg ? -EINVAL : expertmem_terminate(expert));
	case EXPERTMEM_IOC_RECLAIM:
		return err ?: expert_reclaim(expert, uarg);
	case EXPERTMEM_IOC_COPY:
		return err ?: expert_copy(expert, uarg);
	case EXPERTMEM_IOC_FORK:
		return err ?: expertmem_fork(expert, uarg);
	default:
		return -ENOTTY;
	}
}

const struct file_operations expertmem_fops = {
	.owner			= THIS_MODULE,
	.open			= expert_open,
	.release		= expert_release,
	.mmap			= expert_mmap,
	.get_unmapped_area	= thp_get_unmapped_area,
	.unlocked_ioctl		= expert_ioctl,
	.compat_ioctl		= compat_ptr_ioctl,
};
