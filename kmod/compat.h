/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The only file that depends on kernel versions. All other files are written for the newest
 * kernel. This one adds what older kernels lack or name otherwise.
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

/* Since 7.1 struct folio_batch has a header of its own. */
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

/* Before 6.6 a fault in a file mapping always held mmap_lock, never the lock of the VMA. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 6, 0)
static inline void release_fault_lock(struct vm_fault *vmf)
{
	mmap_read_unlock(vmf->vma->vm_mm);
}
#endif

/* vfs_parse_fs_string() lost its length argument in 6.18. */
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

/*
 * Get the folio at @index of a shmem file, locked, as write() does: a folio that is missing is made, by
 * the allocation flags of the file, and is not up to date, as shmem does not clear it. Kernels
 * before 6.9 do not export shmem_get_folio(). Since 6.12 it has a hint for the size of the folio,
 * and write_begin() another type.
 */
static inline int compat_shmem_get_folio(struct address_space *mapping, pgoff_t index,
					 struct folio **folio)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 12, 0)
	struct page *page;
	void *unused;
	int err;

	err = mapping->a_ops->write_begin(NULL, mapping, (loff_t)index << PAGE_SHIFT, PAGE_SIZE,
					  &page, &unused);
	if (!err)
		*folio = page_folio(page);
	return err;
#else
	return shmem_get_folio(mapping->host, index, i_size_read(mapping->host), folio, SGP_WRITE);
#endif
}

/* Before 6.7 groups had the flags of requests. 6.1.y has the newer flag since a backport. */
#ifndef GENL_MCAST_CAP_NET_ADMIN
#define GENL_MCAST_CAP_NET_ADMIN GENL_UNS_ADMIN_PERM
#endif

/* Since 6.6 a dump has a genl_info. */
static inline struct nlattr **compat_dump_attrs(struct netlink_callback *cb)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 6, 0)
	return genl_dumpit_info(cb)->attrs;
#else
	return genl_info_dump(cb)->attrs;
#endif
}

/*
 * A socket can join the number of a group before a family registers it, and then no right is
 * checked. Since 6.8 the module checks the right of each listener when it sends an event. Before
 * 6.8 it can only remove sockets that have joined already: unregistering the family does that. A
 * socket that joins again after each of 8 tries makes loading fail with EBUSY. Group numbers above
 * BITS_PER_LONG are not checked: unregistering would read behind the end of the group bitmaps of
 * sockets that were created before.
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
