// SPDX-License-Identifier: GPL-2.0
/*
 * Experts: one open of the device is one expert. Its file operations, its state, and
 * the ioctls that concern it as a whole.
 */
#include <linux/capability.h>
#include <linux/compat.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "compat.h"
#include "expertmem.h"
#include "trace.h"

static atomic64_t last_id;
static atomic_t nr_experts;

/**
 * expertmem_set_status() - say something on the status page
 * @expert: the expert
 * @flags: EXPERTMEM_STATUS_*, in addition to what it says already
 *
 * Context: expert->lock held.
 */
void expertmem_set_status(struct expertmem *expert, u32 flags)
{
	struct expertmem_status *status = page_address(expert->status);

	lockdep_assert_held(&expert->lock);
	WRITE_ONCE(status->flags, status->flags | flags);
}

/**
 * expertmem_committed() - what counts against the expert's limit
 * @expert: the expert
 *
 * Context: expert->lock held.
 * Return: pages in the regions of both windows.
 */
unsigned long expertmem_committed(const struct expertmem *expert)
{
	lockdep_assert_held(&expert->lock);
	return expert->small.committed + expert->huge.committed;
}

static int expert_open(struct inode *inode, struct file *file)
{
	unsigned int max = READ_ONCE(expertmem_max_experts);
	struct expertmem *expert;
	int err = -ENOMEM;

	if (atomic_inc_return(&nr_experts) > max && max) {
		err = -ENFILE;
		goto err_count;
	}
	expert = kzalloc(sizeof(*expert), GFP_KERNEL_ACCOUNT);
	if (!expert)
		goto err_count;
	expert->status = alloc_page(GFP_KERNEL_ACCOUNT | __GFP_ZERO);
	if (!expert->status)
		goto err_expert;

	mutex_init(&expert->reclaim_lock);
	mutex_init(&expert->lock);
	expert->id = atomic64_inc_return(&last_id);
	expert->file = file;
	expert->limit = READ_ONCE(expertmem_default_limit);
	expertmem_window_init(&expert->small, expert, EXPERTMEM_SMALL_OFFSET, 1);
	expertmem_window_init(&expert->huge, expert, EXPERTMEM_HUGE_OFFSET,
			      PMD_SIZE >> PAGE_SHIFT);
	file->private_data = expert;
	trace_expertmem_open(expert->id);
	return nonseekable_open(inode, file);

err_expert:
	kfree(expert);
err_count:
	atomic_dec(&nr_experts);
	return err;
}

static int expert_release(struct inode *inode, struct file *file)
{
	struct expertmem *expert = file->private_data;

	/* The mappings of the windows held the file: they are gone, and with them all. */
	trace_expertmem_release(expert->id, (u64)expert->peak << PAGE_SHIFT);
	if (expert->small.file)
		fput(expert->small.file);
	if (expert->huge.file)
		fput(expert->huge.file);
	put_page(expert->status);
	mutex_destroy(&expert->lock);
	mutex_destroy(&expert->reclaim_lock);
	kfree(expert);
	atomic_dec(&nr_experts);
	return 0;
}

static int status_mmap(struct expertmem *expert, struct vm_area_struct *vma)
{
	if (vma_pages(vma) != 1 || !(vma->vm_flags & VM_MAYSHARE) ||
	    vma->vm_flags & (VM_WRITE | VM_EXEC))
		return -EINVAL;
	vm_flags_clear(vma, VM_MAYWRITE | VM_MAYEXEC);
	vm_flags_set(vma, VM_DONTEXPAND | VM_DONTDUMP);
	return vm_insert_page(vma, vma->vm_start, expert->status);
}

static int expert_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct expertmem *expert = file->private_data;

	switch ((u64)vma->vm_pgoff << PAGE_SHIFT) {
	case EXPERTMEM_STATUS_OFFSET:
		return status_mmap(expert, vma);
	case EXPERTMEM_SMALL_OFFSET:
		return expertmem_window_mmap(&expert->small, vma);
	case EXPERTMEM_HUGE_OFFSET:
		return expertmem_window_mmap(&expert->huge, vma);
	default:
		return -EINVAL;
	}
}

static int expert_get_info(struct expertmem_info __user *uarg)
{
	struct expertmem_info info = {
		.abi		= EXPERTMEM_ABI_VERSION,
		.features	= EXPERTMEM_FEATURE_UNSWAPPABLE,
		.small_granule	= PAGE_SIZE,
		.huge_granule	= PMD_SIZE,
		.window_max	= EXPERTMEM_WINDOW_MAX,
		.default_limit	= READ_ONCE(expertmem_default_limit),
		.total_limit	= READ_ONCE(expertmem_total_limit),
		.max_experts	= READ_ONCE(expertmem_max_experts),
		.experts	= atomic_read(&nr_experts),
	};

	if (expertmem_has_huge())
		info.features |= EXPERTMEM_FEATURE_HUGE;
	return copy_to_user(uarg, &info, sizeof(info)) ? -EFAULT : 0;
}

/* A name is printed by tools and logs: one line of text, padded with NUL. */
static bool name_is_valid(const char *name, size_t size)
{
	size_t len = strnlen(name, size);
	size_t i;

	for (i = 0; i < len; i++)
		if ((unsigned char)name[i] < ' ' || name[i] == 0x7f)
			return false;
	return len < size && !memchr_inv(name + len, 0, size - len);
}

static int expert_configure(struct expertmem *expert,
			    struct expertmem_config __user *uarg)
{
	struct expertmem_config config;
	int err = 0;

	if (copy_from_user(&config, uarg, sizeof(config)))
		return -EFAULT;
	if (config.flags & ~EXPERTMEM_CONFIG_UNSWAPPABLE || config.reserved ||
	    !name_is_valid(config.name, sizeof(config.name)))
		return -EINVAL;
	if (!config.limit)
		config.limit = READ_ONCE(expertmem_default_limit);
	/* Not counted as locked memory, so only for those who may lock any amount. */
	if (config.flags & EXPERTMEM_CONFIG_UNSWAPPABLE &&
	    rlimit(RLIMIT_MEMLOCK) != RLIM_INFINITY && !capable(CAP_IPC_LOCK))
		return -EPERM;

	mutex_lock(&expert->lock);
	if (expert->state == EXPERTMEM_STATE_RECLAIMED) {
		err = -ESHUTDOWN;
	} else if (expert->configured || expert->small.state != WINDOW_UNMAPPED ||
		   expert->huge.state != WINDOW_UNMAPPED) {
		err = -EBUSY;
	} else {
		expert->configured = true;
		expert->flags = config.flags;
		expert->limit = config.limit;
		memcpy(expert->name, config.name, sizeof(expert->name));
	}
	mutex_unlock(&expert->lock);
	trace_expertmem_configure(expert->id, &config, err);
	return err;
}

static int expert_terminate(struct expertmem *expert)
{
	mutex_lock(&expert->lock);
	if (expert->state != EXPERTMEM_STATE_RECLAIMED) {
		expert->state = EXPERTMEM_STATE_TERMINATING;
		expertmem_set_status(expert, EXPERTMEM_STATUS_TERMINATE);
	}
	mutex_unlock(&expert->lock);
	trace_expertmem_terminate(expert->id);
	return 0;
}

static int expert_reclaim(struct expertmem *expert,
			  struct expertmem_reclaim __user *uarg)
{
	struct expertmem_reclaim arg;

	if (copy_from_user(&arg, uarg, sizeof(arg)))
		return -EFAULT;
	if (arg.flags || arg.reserved)
		return -EINVAL;
	expertmem_reclaim(expert, NULL, EXPERTMEM_CAUSE_RECLAIM, &arg);
	return copy_to_user(uarg, &arg, sizeof(arg)) ? -EFAULT : 0;
}

static int expert_stat(struct expertmem *expert, struct expertmem_stat __user *uarg)
{
	struct expertmem_stat stat = { };
	unsigned long resident;

	mutex_lock(&expert->lock);
	resident = expertmem_window_resident(&expert->small) +
		   expertmem_window_resident(&expert->huge);
	stat.id = expert->id;
	stat.state = expert->state;
	stat.flags = expert->flags;
	stat.limit = expert->limit;
	stat.regions = expert->small.nr_regions + expert->huge.nr_regions;
	stat.committed = (u64)expertmem_committed(expert) << PAGE_SHIFT;
	stat.resident = (u64)resident << PAGE_SHIFT;
	stat.peak = (u64)expert->peak << PAGE_SHIFT;
	stat.refused = expert->refused;
	stat.reclaimed = expert->reclaimed;
	stat.cause = expert->cause;
	memcpy(stat.name, expert->name, sizeof(stat.name));
	mutex_unlock(&expert->lock);
	return copy_to_user(uarg, &stat, sizeof(stat)) ? -EFAULT : 0;
}

static long expert_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct expertmem *expert = file->private_data;
	void __user *uarg = (void __user *)arg;

	switch (cmd) {
	case EXPERTMEM_IOC_GET_INFO:
		return expert_get_info(uarg);
	case EXPERTMEM_IOC_CONFIGURE:
		return expert_configure(expert, uarg);
	case EXPERTMEM_IOC_ALLOC:
		return expertmem_region_alloc(expert, uarg);
	case EXPERTMEM_IOC_REALLOC:
		return expertmem_region_realloc(expert, uarg);
	case EXPERTMEM_IOC_FREE:
		return expertmem_region_free(expert, uarg);
	case EXPERTMEM_IOC_TERMINATE:
		return arg ? -EINVAL : expert_terminate(expert);
	case EXPERTMEM_IOC_RECLAIM:
		return expert_reclaim(expert, uarg);
	case EXPERTMEM_IOC_STAT:
		return expert_stat(expert, uarg);
	case EXPERTMEM_IOC_COPY:
		return expertmem_copy(expert, uarg);
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
