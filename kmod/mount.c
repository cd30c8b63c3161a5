// SPDX-License-Identifier: GPL-2.0
/*
 * The two private mounts of tmpfs in which the files of the windows live.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/fs.h>
#include <linux/fs_context.h>
#include <linux/module.h>
#include <linux/mount.h>

#include "compat.h"
#include "expertmem.h"

static struct vfsmount *small_mount;
static struct vfsmount *huge_mount;

/*
 * Mount a tmpfs of our own, so that "huge=" does not depend on the system's default: a huge page
 * that reached past the end of a small region would let the expert touch memory behind the region.
 * Mounts made by the kernel have no size limit.
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
 * expertmem_mount() - get the mount for the file of a window
 * @window: the window
 *
 * Return: a mount that exists until the module is unloaded.
 */
struct vfsmount *expertmem_mount(const struct expertmem_window *window)
{
	return huge_mount && window->granule > 1 ? huge_mount : small_mount;
}

/**
 * expertmem_has_huge() - is the huge window backed by huge pages?
 *
 * Return: true if the kernel has huge pages in tmpfs.
 */
bool expertmem_has_huge(void)
{
	return huge_mount;
}

/**
 * expertmem_mounts_init() - make both mounts
 *
 * Context: the module is being loaded.
 * Return: 0 or a negative errno.
 */
int __init expertmem_mounts_init(void)
{
	int err;

	small_mount = mount_tmpfs("never");
	err = PTR_ERR_OR_ZERO(small_mount);
	if (err)
		return err;
	huge_mount = mount_tmpfs("always");
	if (huge_mount == ERR_PTR(-EINVAL)) {
		pr_info("no huge pages in tmpfs: the huge window uses pages of 4 KiB\n");
		huge_mount = NULL;
	}
	err = PTR_ERR_OR_ZERO(huge_mount);
	if (err)
		kern_unmount(small_mount);
	return err;
}

/**
 * expertmem_mounts_destroy() - unmount both mounts
 *
 * Context: the module is being unloaded; no window has a file.
 */
void expertmem_mounts_destroy(void)
{
	kern_unmount(huge_mount);
	kern_unmount(small_mount);
}
