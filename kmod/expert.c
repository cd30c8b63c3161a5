// SPDX-License-Identifier: GPL-2.0
/*
 * Experts: one open of the device is one expert. Its file operations, its state, and
 * the ioctls that concern it as a whole.
 */
#include <linux/anon_inodes.h>
#include <linux/capability.h>
#include <linux/compat.h>
#include <linux/cred.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/nls.h>
#include <linux/pid.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/timekeeping.h>
#include <linux/uaccess.h>
#include <linux/xarray.h>

#include "compat.h"
#include "expertmem.h"
#include "trace.h"

struct expertmem_totals expertmem_totals;

/* those that are open, by id */
static DEFINE_XARRAY_FLAGS(experts, XA_FLAGS_ACCOUNT);
static atomic64_t last_id;
/* of what is in experts; changes with it, under its lock; never 0 */
static unsigned int generation = 1;

/**
 * expertmem_generation() - has an expert been opened or released?
 *
 * Return: a number, not 0, that is another one where that was so.
 */
unsigned int expertmem_generation(void)
{
	return READ_ONCE(generation);
}

/**
 * expertmem_find() - find an expert by its id
 * @id: its id
 *
 * Context: takes the xa_lock of the experts.
 * Return: the expert, with a reference; NULL where there is none that is open.
 */
struct expertmem_expert *expertmem_find(unsigned long id)
{
	struct expertmem_expert *expert;

	xa_lock(&experts);
	expert = xa_load(&experts, id);
	if (expert)
		kref_get(&expert->ref);
	xa_unlock(&experts);
	return expert;
}

/**
 * expertmem_next() - go through the experts
 * @id: where to begin; receives the id of what is found
 *
 * Context: takes the xa_lock of the experts.
 * Return: as expertmem_find().
 */
struct expertmem_expert *expertmem_next(unsigned long *id)
{
	struct expertmem_expert *expert;

	xa_lock(&experts);
	expert = xa_find(&experts, id, ULONG_MAX, XA_PRESENT);
	if (expert)
		kref_get(&expert->ref);
	xa_unlock(&experts);
	return expert;
}

static void expert_destroy(struct kref *ref)
{
	struct expertmem_expert *expert = container_of(ref, struct expertmem_expert, ref);

	put_page(expert->status);
	put_pid(expert->small.mapper);
	put_pid(expert->huge.mapper);
	put_pid(expert->opener);
	expertmem_user_put(expert->user);
	WARN_ON_ONCE(expert->small.lender || expert->huge.lender);
	mutex_destroy(&expert->small.loan_lock);
	mutex_destroy(&expert->huge.loan_lock);
	mutex_destroy(&expert->pins_lock);
	mutex_destroy(&expert->lock);
	kfree(expert);
}

/**
 * expertmem_put() - drop a reference
 * @expert: the expert
 *
 * Context: the last one in process context, with none of the expert's locks held.
 */
void expertmem_put(struct expertmem_expert *expert)
{
	kref_put(&expert->ref, expert_destroy);
}

/* From here on others find it. */
static int expert_enter(struct expertmem_expert *expert)
{
	int err;

	mutex_lock(&expert->lock);
	xa_lock(&experts);
	err = __xa_insert(&experts, expert->id, expert, GFP_KERNEL);
	if (!err)
		WRITE_ONCE(generation, generation + 2);
	xa_unlock(&experts);
	if (!err)
		expertmem_event(expert, EXPERTMEM_EVENT_OPENED);
	mutex_unlock(&expert->lock);
	return err;
}

/*
 * Who has found it already waits for its locks, and then leaves it alone. An expert that stays
 * for its pinned pages has no files any more: these would keep the module.
 */
static void expert_leave(struct expertmem_expert *expert)
{
	struct expertmem_window *windows[] = { &expert->small, &expert->huge };
	int i;

	xa_lock(&experts);
	__xa_erase(&experts, expert->id);
	WRITE_ONCE(generation, generation + 2);
	xa_unlock(&experts);

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

/**
 * expertmem_set_status() - say something on the status page
 * @expert: the expert
 * @flags: EXPERTMEM_STATUS_*, in addition to what it says already
 *
 * Context: expert->lock held.
 */
void expertmem_set_status(struct expertmem_expert *expert, u32 flags)
{
	struct expertmem_status *status = page_address(expert->status);

	lockdep_assert_held(&expert->lock);
	WRITE_ONCE(status->flags, status->flags | flags);
}

/**
 * expertmem_committed() - what the expert has in regions
 * @expert: the expert
 *
 * Context: expert->lock held.
 * Return: pages in the regions of both windows.
 */
unsigned long expertmem_committed(const struct expertmem_expert *expert)
{
	lockdep_assert_held(&expert->lock);
	return expert->small.committed + expert->huge.committed;
}

static int expert_open(struct inode *inode, struct file *file)
{
	struct expertmem_expert *expert;
	int err = -ENOMEM;

	/* O_RDONLY is for looking. Nothing can be done with less. */
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
	expert->id = atomic64_inc_return(&last_id);
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

	/* What was mapped held the file, and is gone. What FORK has made may never have been. */
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
 * The mapping gets a file of its own: as one of the device it would keep the expert, which
 * nobody can use any more, open.
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
	/* who may only look */
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

/*
 * A name is printed by tools and logs: one line of UTF-8, padded with NUL. Some terminals
 * obey U+0080 to U+009F as they do escape sequences.
 */
static bool name_is_valid(const char *name, size_t size)
{
	size_t len = strnlen(name, size);
	unicode_t c;
	size_t i;
	int n;

	for (i = 0; i < len; i += n) {
		n = utf8_to_utf32((const u8 *)name + i, len - i, &c);
		if (n < 0 || c < ' ' || (c >= 0x7f && c < 0xa0))
			return false;
	}
	return len < size && !memchr_inv(name + len, 0, size - len);
}

/* Is @limit more than the expert has? 0 means none. */
static bool is_raised(const struct expertmem_expert *expert, u64 limit)
{
	lockdep_assert_held(&expert->lock);
	return expert->limit && (!limit || limit > expert->limit);
}

#define CONFIG_FLAGS	(EXPERTMEM_CONFIG_UNSWAPPABLE | EXPERTMEM_CONFIG_DEFAULT_LIMIT)

static int expert_configure(struct expertmem_expert *expert,
			    struct expertmem_config __user *uarg)
{
	struct expertmem_config config;
	bool keep_limit, may_raise;
	int err = 0;

	if (copy_from_user(&config, uarg, sizeof(config)))
		return -EFAULT;
	keep_limit = config.flags & EXPERTMEM_CONFIG_DEFAULT_LIMIT;
	if (config.flags & ~CONFIG_FLAGS || config.reserved || (keep_limit && config.limit) ||
	    !name_is_valid(config.name, sizeof(config.name)))
		return -EINVAL;
	may_raise = keep_limit || ns_capable_noaudit(&init_user_ns, CAP_NET_ADMIN);
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
	} else if (!may_raise && is_raised(expert, config.limit)) {
		err = -EPERM;
	} else {
		expert->configured = true;
		expert->flags = config.flags & EXPERTMEM_CONFIG_UNSWAPPABLE;
		if (!keep_limit)
			expert->limit = config.limit;
		memcpy(expert->name, config.name, sizeof(expert->name));
	}
	mutex_unlock(&expert->lock);
	trace_expertmem_configure(expert->id, &config, err);
	return err;
}

/**
 * expertmem_terminate() - ask an expert to stop
 * @expert: the expert
 *
 * Context: takes expert->lock.
 * Return: 0; -EINTR where the caller is being killed; -ENOENT where the expert is released:
 *	only for who has no file of it.
 */
int expertmem_terminate(struct expertmem_expert *expert)
{
	int err = 0;

	if (mutex_lock_killable(&expert->lock))
		return -EINTR;
	if (expert->released) {
		err = -ENOENT;
	} else if (expert->state < EXPERTMEM_STATE_TERMINATING) {
		expert->state = EXPERTMEM_STATE_TERMINATING;
		expertmem_set_status(expert, EXPERTMEM_STATUS_TERMINATE);
		expertmem_event(expert, EXPERTMEM_EVENT_TERMINATE);
	}
	mutex_unlock(&expert->lock);
	if (!err)
		trace_expertmem_terminate(expert->id);
	return err;
}

/**
 * expertmem_set_limit() - limit an expert anew
 * @expert: the expert
 * @limit: bytes, 0: none; it may have more already, and then gets no more
 * @may_raise: the limit may become greater than it is
 *
 * Context: takes expert->lock.
 * Return: as expertmem_terminate(); -EPERM where the limit may not be raised.
 */
int expertmem_set_limit(struct expertmem_expert *expert, u64 limit, bool may_raise)
{
	int err = 0;

	if (mutex_lock_killable(&expert->lock))
		return -EINTR;
	if (expert->released)
		err = -ENOENT;
	else if (!may_raise && is_raised(expert, limit))
		err = -EPERM;
	else
		expert->limit = limit;
	mutex_unlock(&expert->lock);
	return err;
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

/**
 * expertmem_snapshot() - what an expert has
 * @expert: the expert
 * @stat: receives it
 *
 * Context: expert->lock held.
 */
void expertmem_snapshot(const struct expertmem_expert *expert, struct expertmem_stat *stat)
{
	unsigned long resident = expertmem_window_resident(&expert->small) +
				 expertmem_window_resident(&expert->huge);

	*stat = (struct expertmem_stat) {
		.id		= expert->id,
		.state		= expert->state,
		.flags		= expert->flags,
		.limit		= expert->limit,
		.regions	= expert->small.nr_regions + expert->huge.nr_regions,
		.committed	= (u64)expertmem_committed(expert) << PAGE_SHIFT,
		.resident	= (u64)resident << PAGE_SHIFT,
		.peak		= (u64)expert->peak << PAGE_SHIFT,
		.refused	= expert->refused,
		.reclaimed_bytes	= expert->freed.reclaimed_bytes,
		.cause		= expert->cause,
		.pinned		= (u64)atomic_long_read(&expert->pinned) << PAGE_SHIFT,
	};
	memcpy(stat->name, expert->name, sizeof(stat->name));
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

static long expert_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct expertmem_expert *expert = file->private_data;
	void __user *uarg = (void __user *)arg;
	/* who may only look */
	int err = file->f_mode & FMODE_WRITE ? 0 : -EBADF;

	switch (cmd) {
	case EXPERTMEM_IOC_GET_INFO:
		return expert_get_info(expert, uarg);
	case EXPERTMEM_IOC_STAT:
		return expert_stat(expert, uarg);
	case EXPERTMEM_IOC_CONFIGURE:
		return err ?: expert_configure(expert, uarg);
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
		return err ?: expertmem_copy(expert, uarg);
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
