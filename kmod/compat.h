/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The only place that knows kernel versions. The rest is written for the newest
 * kernel; what older ones lack or name otherwise is here.
 */
#ifndef EXPERTMEM_COMPAT_H
#define EXPERTMEM_COMPAT_H

#include <linux/fs_context.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/shmem_fs.h>
#include <linux/string.h>
#include <linux/version.h>
#include <net/genetlink.h>

/* Batches of folios got a header of their own in 7.1. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(7, 1, 0)
#include <linux/folio_batch.h>
#else
#include <linux/pagevec.h>
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0)
static inline void vm_flags_set(struct vm_area_struct *vma, unsigned long flags)
{
	vma->vm_flags |= flags;
}

static inline void vm_flags_clear(struct vm_area_struct *vma, unsigned long flags)
{
	vma->vm_flags &= ~flags;
}
#endif

/* Before 6.6 a fault in a file's mapping always held mmap_lock. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 6, 0)
static inline void release_fault_lock(struct vm_fault *vmf)
{
	mmap_read_unlock(vmf->vma->vm_mm);
}
#endif

/* The length argument went in 6.18. */
static inline int compat_parse_fs_string(struct fs_context *fc, const char *key,
					 const char *value)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 18, 0)
	return vfs_parse_fs_string(fc, key, value, strlen(value));
#else
	return vfs_parse_fs_string(fc, key, value);
#endif
}

/* VM_NORESERVE became a bit of vma_flags_t in 7.0. */
static inline struct file *compat_shmem_file_setup(struct vfsmount *mnt,
						   const char *name, loff_t size)
{
#ifdef mk_vma_flags
	return shmem_file_setup_with_mnt(mnt, name, size,
					 mk_vma_flags(VMA_NORESERVE_BIT));
#else
	return shmem_file_setup_with_mnt(mnt, name, size, VM_NORESERVE);
#endif
}

/* Before 6.7 a group had the flags of requests. 6.1.y has got the newer ones. */
#ifndef GENL_MCAST_CAP_NET_ADMIN
#define GENL_MCAST_CAP_NET_ADMIN GENL_UNS_ADMIN_PERM
#endif

/* A dump has had a genl_info since 6.6. */
static inline struct nlattr **compat_dump_attrs(struct netlink_callback *cb)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 6, 0)
	return genl_dumpit_info(cb)->attrs;
#else
	return genl_info_dump(cb)->attrs;
#endif
}

/*
 * A group's number can be joined before it is anybody's, and then nobody is asked for
 * the right. Since 6.8 listeners can be looked at when something is sent; before, those
 * can only be put out who are there already, which unregistering does. Who comes back
 * each time keeps the module from being loaded. Numbers above that of bits in a long are
 * left alone: there it would look behind the bits of sockets that are older than they are.
 */
static inline int compat_genl_register_family(struct genl_family *family)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 8, 0)
	int tries = 8, err;

	do {
		err = genl_register_family(family);
		if (err || family->mcgrp_offset > BITS_PER_LONG ||
		    !genl_has_listeners(family, &init_net, 0))
			return err;
		genl_unregister_family(family);
	} while (--tries);
	return -EBUSY;
#else
	return genl_register_family(family);
#endif
}

static inline int
compat_genlmsg_multicast(const struct genl_family *family, struct net *net,
			 struct sk_buff *skb, unsigned int group, gfp_t gfp,
			 int (*listener_not_permitted)(struct sock *, struct sk_buff *, void *))
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 8, 0)
	return genlmsg_multicast_netns(family, net, skb, 0, group, gfp);
#else
	return genlmsg_multicast_netns_filtered(family, net, skb, 0, group, gfp,
						listener_not_permitted, NULL);
#endif
}

#endif /* EXPERTMEM_COMPAT_H */
