// SPDX-License-Identifier: GPL-2.0
/*
 * The expertmem module: loading and unloading.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/kernel.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sizes.h>
#include <linux/workqueue.h>
#include <net/genetlink.h>

#include "expertmem.h"

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

	/* The library and the documentation expect granules of 4 KiB and 2 MiB. */
	if (PAGE_SIZE != SZ_4K) {
		pr_err("the page size of this kernel is %lu KiB, and the module needs 4 KiB\n",
		       PAGE_SIZE / SZ_1K);
		return -EOPNOTSUPP;
	}

	/* the default of total_limit is half of the memory, as the size of a tmpfs */
	if (expertmem_total_limit == U64_MAX)
		expertmem_total_limit = (u64)totalram_pages() / 2 << PAGE_SHIFT;

	expertmem_workqueue = alloc_workqueue("expertmem", WQ_UNBOUND | WQ_MEM_RECLAIM,
					      WQ_MAX_ACTIVE);
	if (!expertmem_workqueue)
		return -ENOMEM;
	expertmem_pins_init();
	err = expertmem_mounts_init();
	if (err)
		goto err_workqueue;
	err = expertmem_netlink_register();
	if (err)
		goto err_mounts;
	err = misc_register(&device);
	if (err)
		goto err_netlink;
	return 0;

err_netlink:
	expertmem_netlink_unregister();
err_mounts:
	expertmem_mounts_destroy();
err_workqueue:
	destroy_workqueue(expertmem_workqueue);
	return err;
}

static void __exit expertmem_exit(void)
{
	misc_deregister(&device);
	expertmem_netlink_unregister();
	/* Reclaims whose requests gave up waiting still run, and hold references to experts. */
	flush_workqueue(expertmem_workqueue);
	expertmem_pins_destroy();
	destroy_workqueue(expertmem_workqueue);
	expertmem_users_destroy();
	expertmem_mounts_destroy();
}

module_init(expertmem_init);
module_exit(expertmem_exit);

MODULE_DESCRIPTION("Memory for experts that the kernel takes back");
MODULE_AUTHOR("The expertmem developers");
MODULE_VERSION(EXPERTMEM_VERSION);
MODULE_LICENSE("GPL");
MODULE_ALIAS_GENL_FAMILY(EXPERTMEM_FAMILY_NAME);
