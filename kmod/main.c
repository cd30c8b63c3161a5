// SPDX-License-Identifier: GPL-2.0
/*
 * The expertmem module: parameters, the two private mounts, netlink, the device.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/ctype.h>
#include <linux/fs.h>
#include <linux/fs_context.h>
#include <linux/kernel.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mount.h>
#include <linux/overflow.h>
#include <linux/string.h>
#include <net/genetlink.h>

#include "compat.h"
#include "expertmem.h"

u64 expertmem_default_limit;
u64 expertmem_total_limit = U64_MAX;	/* until loading is done: not given */
unsigned int expertmem_max_experts = 16384;
u64 expertmem_uid_limit = EXPERTMEM_AUTO;
u64 expertmem_uid_max_experts = EXPERTMEM_AUTO;

/* Reclaims for which nobody waits uninterruptibly, or whose process has died. */
struct workqueue_struct *expertmem_workqueue;

/* How long the number at the start of @val is, which is decimal, or hexadecimal after 0x. */
static size_t number_length(const char *val)
{
	if (val[0] == '0' && tolower(val[1]) == 'x')
		return 2 + strspn(val + 2, "0123456789abcdefABCDEF");
	return strspn(val, "0123456789");
}

/* a parameter in bytes, a number with an optional K, M, G, T, P or E */
static int size_set(const char *val, const struct kernel_param *kp)
{
	static const char units[] = "KMGTPE";
	size_t nr = number_length(val);
	const char *unit = NULL;
	char digits[24] = "";
	u64 size;
	int err;

	if (nr >= sizeof(digits))
		return -ERANGE;
	memcpy(digits, val, nr);
	err = kstrtou64(digits, 0, &size);
	if (err)
		return err;
	val += nr;
	if (*val)
		unit = strchr(units, toupper(*val));
	if (unit) {
		if (check_shl_overflow(size, 10 * (unit - units + 1), &size))
			return -ERANGE;
		val++;
	}
	if (*val && strcmp(val, "\n"))
		return -EINVAL;
	if (size == U64_MAX)
		return -ERANGE;		/* stands for "not given" and "auto" */
	WRITE_ONCE(*(u64 *)kp->arg, size);
	return 0;
}

static int size_get(char *buffer, const struct kernel_param *kp)
{
	return sysfs_emit(buffer, "%llu\n", READ_ONCE(*(u64 *)kp->arg));
}

static const struct kernel_param_ops param_ops_size = {
	.set = size_set,
	.get = size_get,
};

#define param_check_size(name, p) __param_check(name, p, u64)

/* a size, or the word "auto" */
static int auto_size_set(const char *val, const struct kernel_param *kp)
{
	if (!sysfs_streq(val, "auto"))
		return size_set(val, kp);
	WRITE_ONCE(*(u64 *)kp->arg, EXPERTMEM_AUTO);
	return 0;
}

static int auto_size_get(char *buffer, const struct kernel_param *kp)
{
	if (READ_ONCE(*(u64 *)kp->arg) == EXPERTMEM_AUTO)
		return sysfs_emit(buffer, "auto\n");
	return size_get(buffer, kp);
}

static const struct kernel_param_ops param_ops_auto_size = {
	.set = auto_size_set,
	.get = auto_size_get,
};

#define param_check_auto_size(name, p) __param_check(name, p, u64)

module_param_named(default_limit, expertmem_default_limit, size, 0644);
MODULE_PARM_DESC(default_limit,
		 "Bytes that an expert may have in regions unless configured otherwise, 0: no limit (default)");
module_param_named(total_limit, expertmem_total_limit, size, 0644);
MODULE_PARM_DESC(total_limit,
		 "Bytes that all experts together may have in regions or pinned, 0: no limit (default: half of the memory)");
module_param_named(max_experts, expertmem_max_experts, uint, 0644);
MODULE_PARM_DESC(max_experts,
		 "Experts that may be open at once, 0: any number (default: 16384)");
module_param_named(uid_limit, expertmem_uid_limit, auto_size, 0644);
MODULE_PARM_DESC(uid_limit,
		 "Bytes that all experts of one user may have, 0: no limit, auto: half of total_limit (default)");
module_param_named(uid_max_experts, expertmem_uid_max_experts, auto_size, 0644);
MODULE_PARM_DESC(uid_max_experts,
		 "Experts that one user may have open, 0: any number, auto: half of max_experts (default)");

static struct vfsmount *small_mount;
static struct vfsmount *huge_mount;

/*
 * A mount of our own, so that huge pages are decided here and by no default of the
 * system's: one that reached past a small region would open the gate for what is
 * behind it. Mounts made by the kernel have no size limit.
 */
static struct vfsmount *mount_tmpfs(const char *huge)
{
	struct file_system_type *type = get_fs_type("tmpfs");
	struct fs_context *fc;
	struct vfsmount *mnt;
	int err;

	if (!type)
		return ERR_PTR(-ENODEV);
	fc = fs_context_for_mount(type, SB_KERNMOUNT);
	module_put(type->owner);
	if (IS_ERR(fc))
		return ERR_CAST(fc);
	err = compat_parse_fs_string(fc, "huge", huge);
	mnt = err ? ERR_PTR(err) : fc_mount(fc);
	put_fs_context(fc);
	return mnt;
}

/**
 * expertmem_mount() - where the file of a window is to live
 * @window: the window
 *
 * Return: a mount that stays until the module goes.
 */
struct vfsmount *expertmem_mount(const struct expertmem_window *window)
{
	return huge_mount && window->granule > 1 ? huge_mount : small_mount;
}

/**
 * expertmem_has_huge() - is the huge window backed by huge pages?
 *
 * Return: whether the kernel has huge pages in tmpfs.
 */
bool expertmem_has_huge(void)
{
	return huge_mount;
}

static struct miscdevice device = {
	.minor	= MISC_DYNAMIC_MINOR,
	.name	= "expertmem",
	.fops	= &expertmem_fops,
	.mode	= 0660,
};

static int __init expertmem_init(void)
{
	int err;

	BUILD_BUG_ON(BITS_PER_LONG < 64);

	/* The library and the documentation count on granules of 4 KiB and 2 MiB. */
	if (PAGE_SIZE != SZ_4K) {
		pr_err("needs a kernel with pages of 4 KiB; those of this one have %lu KiB\n",
		       PAGE_SIZE / SZ_1K);
		return -EOPNOTSUPP;
	}

	/* as tmpfs does */
	if (expertmem_total_limit == U64_MAX)
		expertmem_total_limit = (u64)totalram_pages() / 2 << PAGE_SHIFT;

	expertmem_workqueue = alloc_workqueue("expertmem", WQ_UNBOUND | WQ_MEM_RECLAIM,
					      WQ_MAX_ACTIVE);
	if (!expertmem_workqueue)
		return -ENOMEM;
	expertmem_pins_init();
	small_mount = mount_tmpfs("never");
	err = PTR_ERR_OR_ZERO(small_mount);
	if (err)
		goto err_workqueue;
	huge_mount = mount_tmpfs("always");
	if (huge_mount == ERR_PTR(-EINVAL)) {
		pr_info("no huge pages in tmpfs, all windows use small ones\n");
		huge_mount = NULL;
	}
	err = PTR_ERR_OR_ZERO(huge_mount);
	if (err)
		goto err_small_mount;
	err = expertmem_netlink_register();
	if (err)
		goto err_huge_mount;
	err = misc_register(&device);
	if (err)
		goto err_netlink;
	return 0;

err_netlink:
	expertmem_netlink_unregister();
err_huge_mount:
	kern_unmount(huge_mount);
err_small_mount:
	kern_unmount(small_mount);
err_workqueue:
	destroy_workqueue(expertmem_workqueue);
	return err;
}

static void __exit expertmem_exit(void)
{
	misc_deregister(&device);
	expertmem_netlink_unregister();
	/* Reclaims that go on without those who asked for them hold experts. */
	flush_workqueue(expertmem_workqueue);
	expertmem_pins_destroy();
	destroy_workqueue(expertmem_workqueue);
	expertmem_users_destroy();
	kern_unmount(huge_mount);
	kern_unmount(small_mount);
}

module_init(expertmem_init);
module_exit(expertmem_exit);

MODULE_DESCRIPTION("Memory for experts that the kernel takes back");
MODULE_AUTHOR("The expertmem developers");
MODULE_VERSION(EXPERTMEM_VERSION);
MODULE_LICENSE("GPL");
MODULE_ALIAS_GENL_FAMILY(EXPERTMEM_FAMILY_NAME);
