/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * /dev/expertmem: memory for experts that the kernel takes back.
 *
 * Opening the device makes an *expert*. It has one life:
 *
 *	idle -> running -> (terminating) -> reclaimed
 *
 *   idle		CONFIGURE may be called, once.
 *   running		a window has been mapped.
 *   terminating	TERMINATE was called: ALLOC and REALLOC fail with
 *			ECANCELED, memory stays usable, FREE works.
 *   reclaimed		all pages are free, and the expert gets no more: RECLAIM
 *			was called, the last window was unmapped (munmap, exec),
 *			or the process that mapped the windows died. Final.
 *
 * An expert reaches its memory through two *windows*, large sparse shared
 * mappings of the device. Each window can be mapped once in the expert's life,
 * as a whole, at its own device offset. The length of the mapping, up to a
 * maximum, is the size of the window. A window belongs to the process that
 * mapped it. It cannot be split, moved, grown or made executable, and is left
 * out of core dumps. When that process dies, its windows are reclaimed, even if
 * another process shares or holds its mm. A child of fork() inherits the
 * addresses. Every touch there faults, unless FORK has made an heir for the
 * child.
 *
 * Memory exists only in *regions*, which ALLOC makes inside a window. A touch
 * outside of all regions faults (SIGSEGV). The device offset of its first byte
 * names a region. The address of a region is
 *
 *	window's address + (region's offset - window's offset)
 *
 * The first touch of a page allocates it, filled with zeros. It is charged to
 * the memory cgroup of the process that mapped the window. It may be swapped,
 * unless the expert is unswappable. If pages of a region of the small window are
 * written to in order, up to 31 more pages of the region are allocated ahead.
 * madvise(MADV_RANDOM) for the whole window turns this off. madvise(MADV_REMOVE)
 * frees pages inside a region, and keeps the region. It fails with EBUSY while
 * somebody else holds a page of the range. Between two regions at least one
 * granule stays unmapped.
 *
 * A page that a pipe, a socket or a device still holds when its region is freed
 * or shrunk, or its expert is reclaimed, is *pinned*. It stays charged to the
 * expert, its user and all experts until the last reference is dropped, even
 * after the expert was released.
 *
 * Limits: each expert has a limit in bytes of regions and pinned pages. The owner
 * may lower the limit. Only a caller with CAP_NET_ADMIN may raise it. A limit of
 * 0 means no limit. The module's parameters limit all experts of one user
 * together, and all experts of the system together. One sixteenth of the limits
 * of the system is reserved for experts that were opened with CAP_SYS_RESOURCE.
 * The limits of a user do not apply to these experts. The user is the real uid of
 * the process that opened the expert. In a user namespace whose creator is not
 * root, the user is the creator of the namespace.
 *
 * Access: programs open the device with O_RDWR. A descriptor opened with O_RDONLY
 * allows only GET_INFO, STAT and the status page: mmap() of a window fails with
 * EACCES, other ioctls with EBADF.
 * open() fails with
 *	EINVAL		the access mode is neither O_RDWR nor O_RDONLY
 *	ENFILE		max_experts are open and not reclaimed
 *	EDQUOT		the user has uid_max_experts open, the reclaimed ones included
 *	ENOMEM		out of memory
 *
 * Reserved fields and undocumented flags must be zero, or the call fails with
 * EINVAL. Calls may sleep. Any thread and any process that holds the descriptor
 * may make them. A call that fails changes nothing, unless it is documented
 * below. Errors common to all calls:
 *
 *	EFAULT		the argument is not readable, or not writable where the
 *			call writes it
 *	EINVAL		unknown flag or non-zero reserved field
 *	ENOTTY		unknown ioctl
 */
#ifndef _UAPI_LINUX_EXPERTMEM_H
#define _UAPI_LINUX_EXPERTMEM_H

#include <linux/ioctl.h>
#include <linux/types.h>

/*
 * Version 2 added pinned pages, limits per user, and CONFIG_DEFAULT_LIMIT. Limit 0 in CONFIGURE
 * means no limit since then, and raising a limit needs CAP_NET_ADMIN.
 */
#define EXPERTMEM_ABI_VERSION	2

/*
 * Device offsets to pass to mmap(). All three mappings must be MAP_SHARED.
 *
 *   status	one page, struct expertmem_status; PROT_READ only; any number of
 *		mappings, in any process, at any time
 *   small	4 KiB granules; mapped length a multiple of the page size
 *   huge	2 MiB granules, so that a huge page never reaches past its region;
 *		mapped length a multiple of the huge granule
 *
 * mmap() fails with
 *	EINVAL		another offset; a length that is zero, too long or not a
 *			multiple; MAP_PRIVATE; PROT_EXEC; PROT_WRITE on the status page
 *	EACCES		a window, and the descriptor was opened with O_RDONLY
 *	EBUSY		the window is or was mapped already
 *	ECANCELED	a window of an expert that is terminating
 *	ESHUTDOWN	a window of an expert that was reclaimed
 *	ENOMEM		no memory for the window's file
 * A mapping of the status page does not keep the expert open.
 */
#define EXPERTMEM_STATUS_OFFSET	((__u64)0)
#define EXPERTMEM_SMALL_OFFSET	((__u64)1 << 42)
#define EXPERTMEM_HUGE_OFFSET	((__u64)1 << 43)
/* greatest length of a window, bytes (4 TiB) */
#define EXPERTMEM_WINDOW_MAX	((__u64)1 << 42)
/* greatest number of regions in a window */
#define EXPERTMEM_REGIONS_MAX	(1U << 20)

/* The status page: tells an expert without a call that it was asked to stop. */
struct expertmem_status {
	__u32 flags;			/* EXPERTMEM_STATUS_* */
	__u32 reserved[15];
};

#define EXPERTMEM_STATUS_TERMINATE	(1U << 0)	/* TERMINATE was called */
#define EXPERTMEM_STATUS_RECLAIMED	(1U << 1)	/* the expert was reclaimed */

/*
 * GET_INFO - get the version, the features and the limits of the module.
 *
 * Works in any state. Check that @abi is at least the version that the program was written for:
 * later versions only add to earlier ones.
 */
struct expertmem_info {
	__u32 abi;			/* EXPERTMEM_ABI_VERSION */
	__u32 features;			/* EXPERTMEM_FEATURE_* */
	__u32 small_granule;		/* bytes */
	__u32 huge_granule;		/* bytes */
	__aligned_u64 window_max;	/* bytes, EXPERTMEM_WINDOW_MAX */
	__aligned_u64 default_limit;	/* bytes per expert, 0: none */
	__aligned_u64 total_limit;	/* bytes of all experts, 0: none */
	__u32 max_experts;		/* limit of experts open at once, 0: none */
	__u32 experts;			/* experts open now, without reclaimed ones */
	__aligned_u64 uid_limit;	/* bytes of one user's experts, 0: none */
	__aligned_u64 uid_charged;	/* bytes in regions and pinned of this user */
	__u32 uid_max_experts;		/* limit of one user's open experts, 0: none */
	__u32 uid_experts;		/* open experts of this user, with reclaimed ones */
	__aligned_u64 reserved[5];
};

/* Huge pages back the huge window; without this feature, pages of 4 KiB do. */
#define EXPERTMEM_FEATURE_HUGE		(1U << 0)
#define EXPERTMEM_FEATURE_UNSWAPPABLE	(1U << 1)

/*
 * CONFIGURE - set the name, the flags and the limit of an expert.
 *
 * The call works once, before a window is mapped. So a process that adopted the
 * descriptor cannot change what the host has set. When an expert is opened, its
 * limit is the module's default_limit. To keep the limit that the expert has, set
 * CONFIG_DEFAULT_LIMIT, and @limit to 0.
 *
 *	EINVAL		@name is not terminated, is not UTF-8, or holds a control
 *			character: U+0000 to U+001F, U+007F to U+009F
 *	EBUSY		configured already, or a window has been mapped
 *	ESHUTDOWN	the expert was reclaimed
 *	EPERM		UNSWAPPABLE, and the caller has neither CAP_IPC_LOCK nor an
 *			unlimited RLIMIT_MEMLOCK; or @limit is greater than the
 *			expert's limit (0 is the greatest), and the caller lacks
 *			CAP_NET_ADMIN
 */
struct expertmem_config {
	char name[32];			/* NUL-terminated, padded with NUL */
	__aligned_u64 limit;		/* bytes, 0: none */
	__u32 flags;			/* EXPERTMEM_CONFIG_* */
	__u32 reserved;
};

/* Pages are never swapped out, so that captured traffic does not reach a disk. */
#define EXPERTMEM_CONFIG_UNSWAPPABLE	(1U << 0)
/* Keep the limit that the expert has: default_limit, or the one that an operator has set. */
#define EXPERTMEM_CONFIG_DEFAULT_LIMIT	(1U << 1)

/*
 * ALLOC - make a region.
 *
 * @size is rounded up to the window's granule, and the result is charged. @room is
 * the size to which the region must be able to grow in place. Its addresses stay
 * free until the region is freed. If @room is 0, a region of 256 KiB or more, and
 * every region in the huge window, is placed in the middle of a large gap, so that
 * it can probably grow. Smaller regions take the lowest place that fits. A granule
 * on either side of a region stays unmapped.
 *
 *	EINVAL		@size is zero; @room is not zero and below @size
 *	ENXIO		the window is not mapped
 *	EDQUOT		the expert's limit, or its user's, would be passed
 *	ENOSPC		no gap of that size in the window, or REGIONS_MAX reached
 *	ENOMEM		total_limit would be passed; out of memory; with POPULATE: a
 *			page could not be allocated
 *	EINTR		with POPULATE: the caller was killed
 *	ECANCELED	the expert is terminating
 *	ESHUTDOWN	the expert was reclaimed, or the window unmapped
 */
struct expertmem_alloc {
	__aligned_u64 size;		/* in: bytes */
	__aligned_u64 room;		/* in: bytes, 0: no reservation */
	__aligned_u64 offset;		/* out: the region's device offset */
	__u32 flags;			/* EXPERTMEM_ALLOC_* */
	__u32 reserved;
};

#define EXPERTMEM_ALLOC_HUGE		(1U << 0)	/* in the huge window */
/*
 * Allocate all pages in the call, or fail. No touch can then run out of memory. Whoever
 * calls, the pages are mapped in the process that mapped the window, and count as its
 * resident memory. REALLOC populates the pages that it adds.
 */
#define EXPERTMEM_ALLOC_POPULATE	(1U << 1)

/*
 * REALLOC - resize a region where it is.
 *
 * A region never moves. Shrinking frees the pages behind the new end. Pages that are
 * added read as zero.
 *
 *	EINVAL		@size is zero
 *	ENOENT		no region starts at @offset
 *	EBUSY		another thread is making, resizing or freeing this region
 *	ENOSPC		another region or the end of the window is in the way: make a
 *			new region, copy the bytes, and free this one
 *	EDQUOT, ENOMEM, EINTR, ECANCELED, ESHUTDOWN	as ALLOC
 */
struct expertmem_realloc {
	__aligned_u64 offset;		/* in */
	__aligned_u64 size;		/* in: bytes, rounded up to granules */
	__u32 flags;			/* EXPERTMEM_ALLOC_POPULATE or 0 */
	__u32 reserved;
};

/*
 * FREE - free a region. On return its addresses fault, and all its pages but the
 * pinned ones are free.
 *
 *	ENOENT		no region starts at @offset
 *	EBUSY		another thread is making, resizing or freeing this region
 *	ESHUTDOWN	the expert was reclaimed, or the window unmapped
 */
struct expertmem_free {
	__aligned_u64 offset;		/* in */
	__u32 flags;			/* 0 */
	__u32 reserved;
};

/*
 * TERMINATE - ask the expert to stop. The argument is 0. The call sets a flag on the
 * status page. It has no effect on an expert that is terminating or was reclaimed.
 */

/*
 * RECLAIM - free all pages of the expert, whatever it is doing.
 *
 * On return all pages but the pinned ones are free. Every touch of a window faults.
 * CONFIGURE, ALLOC, REALLOC, FREE, COPY and FORK fail with ESHUTDOWN. Another RECLAIM
 * succeeds and returns zeros. If the result cannot be written (EFAULT), the pages are
 * free all the same. The page tables of a window stay until it is unmapped: at most
 * 4 KiB for every 2 MiB of its length.
 */
struct expertmem_reclaim {
	__aligned_u64 reclaimed_bytes;	/* out: bytes that were in regions */
	__aligned_u64 reclaimed_resident;	/* out: bytes of these that were resident */
	__aligned_u64 reclaimed_regions;	/* out: number of regions */
	__u32 flags;			/* in: 0 */
	__u32 reserved;
};

/* STAT - get the state of the expert. Works in any state. */
struct expertmem_stat {
	__aligned_u64 id;		/* never reused while the module is loaded */
	char name[32];
	__u32 state;			/* EXPERTMEM_STATE_* */
	__u32 flags;			/* EXPERTMEM_CONFIG_UNSWAPPABLE or 0 */
	__aligned_u64 limit;		/* bytes, 0: none */
	__aligned_u64 regions;		/* number of regions */
	__aligned_u64 committed;	/* bytes in regions */
	__aligned_u64 resident;		/* bytes in memory, without pages in swap */
	__aligned_u64 peak;		/* most bytes committed and pinned at one time */
	__aligned_u64 refused;		/* calls that failed with EDQUOT or ENOMEM */
	__aligned_u64 reclaimed_bytes;	/* bytes in regions that were reclaimed */
	__u32 cause;			/* EXPERTMEM_CAUSE_*; NONE until reclaimed */
	__u32 reserved0;
	__aligned_u64 pinned;		/* bytes of freed pages that are still held */
	__aligned_u64 reserved[7];
};

enum expertmem_state {
	EXPERTMEM_STATE_IDLE,
	EXPERTMEM_STATE_RUNNING,
	EXPERTMEM_STATE_TERMINATING,
	EXPERTMEM_STATE_RECLAIMED
};

enum expertmem_cause {
	EXPERTMEM_CAUSE_NONE,
	EXPERTMEM_CAUSE_DETACH,		/* the last window was unmapped, or its process died */
	EXPERTMEM_CAUSE_HOST,		/* the RECLAIM ioctl */
	EXPERTMEM_CAUSE_OPERATOR	/* RECLAIM by netlink */
};

/*
 * COPY - copy the regions of another expert, at the same offsets.
 *
 * The call is made on the destination, which has mapped its windows. @fd is the source.
 * Whoever holds that descriptor, opened with O_RDWR, can read the source's memory in
 * this way. Hand it only to processes that may. FORK copies memory for a child.
 *
 * The destination must have no region. Afterwards it has every region of the source, at
 * the same offset, of the same size and room, with the same bytes. Pages that the source
 * has in memory or in swap are copied, unless they hold only zeros. For other pages, the
 * destination gets none. (A granule of the huge window that exists in part may become
 * complete.) The destination keeps its name, limit and flags. Regions are charged to it
 * as by ALLOC. The copied pages are charged to the memory cgroup of the caller.
 *
 * The source may be used meanwhile, and does not wait. Its regions are listed at one
 * moment. A region that is being made or freed at that moment is missed, and one that is
 * being resized has the smaller size. The bytes are read after that, page by page, in a
 * race with writers. If a region is freed or shrunk before its pages are read, these are
 * zero, or are those of a new region in its place.
 *
 * After an error, the destination has no regions of the source.
 *
 *	EBADF		@fd is not open, or was opened with O_RDONLY
 *	EINVAL		@fd is not an expert, or is the destination
 *	EBUSY		the destination has a region, or ALLOC or another COPY makes
 *			one where the copy needs the place
 *	ENXIO		the source has a region in a window that the destination has
 *			not mapped
 *	ENOSPC		a window of the destination is too short for a region
 *	EDQUOT		the destination's limit, or its user's, would be passed
 *	ENOMEM		total_limit would be passed; out of memory
 *	EIO		a page of the source cannot be read: swap device, bad memory
 *	EINTR		the caller was killed
 *	ECANCELED	the destination is terminating
 *	ESHUTDOWN	the source was reclaimed, or loses a window meanwhile; the
 *			destination was reclaimed, or has lost a window
 */
struct expertmem_copy {
	__s32 fd;			/* in: the source */
	__u32 flags;			/* 0 */
	__aligned_u64 reserved[3];
};

/*
 * FORK - make an heir: an expert for the next child of the calling thread.
 *
 * The heir has the name, the limit and the flags of this expert, windows of the same length, and
 * a copy of the regions. The regions are charged to the heir by the call. @fd receives a
 * descriptor of the heir, with FD_CLOEXEC. The caller needs neither the right to open the device
 * nor a path to it.
 *
 * A page is copied when this expert or the heir touches it for the first time after the call. A
 * page is also copied when this expert frees it, even if it holds only zeros. Copies for a touch
 * of the heir are charged to the memory cgroup of the child, all others to that of the caller of
 * FORK. With FORK_POPULATE, the call copies all pages, as COPY does.
 *
 * The heir's window is reclaimed, and its child gets SIGSEGV, if a page cannot be copied (no
 * memory, bad memory) when this expert frees it, or if it cannot be read when this expert touches
 * it. So it is if a touch of this expert finds the memory cgroup of the caller of FORK full, and
 * this expert's process is in another one. If a device writes to this expert's memory after the
 * call, by a request from before, the child may see the bytes.
 *
 * The next child with an mm of its own (fork, clone without CLONE_VM) that the calling thread makes
 * gets the heir's windows, at the addresses of this expert's windows. The kernel maps each window
 * when the child touches it for the first time. Before that, only a process that has the
 * descriptor @fd can map it, and the memory is reclaimed when the child exits or calls exec. If a
 * window cannot be mapped (RLIMIT_AS), it is reclaimed, and the child gets SIGSEGV. Protection keys
 * and memory policies are not inherited.
 *
 * The child may miss bytes that are written to the windows between the call and fork(). The
 * caller must keep other threads from writing there, and from calling FORK, and its stack must be
 * outside of the windows. After fork(), whether it succeeded or not, the parent calls FORK with
 * FORK_END, and closes @fd. If this expert is reclaimed, later children do not get the heir.
 * Other children get no heir: in these, the addresses of the windows fault.
 *
 *	EPERM		another process has mapped the windows
 *	ENXIO		no window is mapped
 *	EMFILE, ENFILE, EDQUOT, ENOMEM	as open()
 *	EDQUOT, ENOMEM, EIO, EINTR, ECANCELED, ESHUTDOWN	as COPY
 *	EINVAL		both flags are set
 */
struct expertmem_fork {
	__s32 fd;			/* in: 0; out: the heir */
	__u32 flags;			/* EXPERTMEM_FORK_* */
	__aligned_u64 reserved[3];
};

/* Drop the heir: the child was made, or will not be. No effect if there is no heir. */
#define EXPERTMEM_FORK_END	(1U << 0)
#define EXPERTMEM_FORK_POPULATE	(1U << 1)

#define EXPERTMEM_IOC_MAGIC	0xEA

#define EXPERTMEM_IOC_GET_INFO	_IOR(EXPERTMEM_IOC_MAGIC, 0x00, struct expertmem_info)
#define EXPERTMEM_IOC_CONFIGURE	_IOW(EXPERTMEM_IOC_MAGIC, 0x01, struct expertmem_config)
#define EXPERTMEM_IOC_ALLOC	_IOWR(EXPERTMEM_IOC_MAGIC, 0x02, struct expertmem_alloc)
#define EXPERTMEM_IOC_REALLOC	_IOW(EXPERTMEM_IOC_MAGIC, 0x03, struct expertmem_realloc)
#define EXPERTMEM_IOC_FREE	_IOW(EXPERTMEM_IOC_MAGIC, 0x04, struct expertmem_free)
#define EXPERTMEM_IOC_TERMINATE	_IO(EXPERTMEM_IOC_MAGIC, 0x05)
#define EXPERTMEM_IOC_RECLAIM	_IOWR(EXPERTMEM_IOC_MAGIC, 0x06, struct expertmem_reclaim)
#define EXPERTMEM_IOC_STAT	_IOR(EXPERTMEM_IOC_MAGIC, 0x07, struct expertmem_stat)
#define EXPERTMEM_IOC_COPY	_IOW(EXPERTMEM_IOC_MAGIC, 0x08, struct expertmem_copy)
#define EXPERTMEM_IOC_FORK	_IOWR(EXPERTMEM_IOC_MAGIC, 0x09, struct expertmem_fork)

/*
 * Generic netlink family "expertmem": state and control of experts, for operators and owners.
 *
 * Documentation/netlink/specs/expertmem.yaml describes the family in the kernel's own format. The
 * family exists only in the initial network namespace.
 *
 * Every user may read the totals. Owners may read their experts, TERMINATE and RECLAIM them, and
 * lower their limits. A process with CAP_NET_ADMIN in the initial user namespace may do all this
 * to all experts, raise limits, and join EVENTS. Both the process that opened the socket and the
 * sender must have the right. In a dump, the reader must have it, too.
 *
 * An expert is named by its ID, which is never used again while the module is loaded. Pids are
 * those of the reader's pid namespace, 0 if the process is not visible there. Pids in events are
 * those of the initial namespace. Unknown attributes and flags are refused; the extended ack
 * names them.
 *
 * Errors common to all requests:
 *
 *	EINVAL		an attribute is missing, unknown or malformed
 *	EPERM		CAP_NET_ADMIN is missing, and the expert has another owner, or
 *			the limit would be raised, or the socket would join EVENTS
 *	EINTR		a signal came; a RECLAIM that has begun goes on
 *	ENOENT		there is no expert with this ID, or it has just been released
 *	EOPNOTSUPP	there is no such command, or the command works only as a dump, or
 *			does not work as a dump
 */
#define EXPERTMEM_FAMILY_NAME		"expertmem"
#define EXPERTMEM_FAMILY_VERSION	1
#define EXPERTMEM_MCGRP_EVENTS		"events"

/*
 * EXPERT_GET	Get one expert by ID, or, as a dump, all experts that the caller may read. A dump
 *		during which experts were opened or released is marked NLM_F_DUMP_INTR.
 * REGION_GET	Dump the regions of the expert with this ID, as REGION_*.
 * EXPERT_SET	Set LIMIT of the expert with this ID; 0: no limit. If the expert has more than the
 *		new limit, it keeps that, and gets no more. The owner may lower the limit; raising
 *		it needs CAP_NET_ADMIN.
 * TERMINATE	Do what EXPERTMEM_IOC_TERMINATE does.
 * RECLAIM	Do what EXPERTMEM_IOC_RECLAIM does. The reply has ID, RECLAIMED_BYTES,
 *		RECLAIMED_RESIDENT and RECLAIMED_REGIONS. The request fails with EINPROGRESS after
 *		two seconds; the reclaim goes on, and another RECLAIM waits for its end.
 * STATS_GET	Get the module's totals, as STATS_*.
 * EVENT	Sent to the group EVENTS, with EVENT, SUPPRESSED, and all attributes that EXPERT_GET
 *		has. An event is lost if there is no memory for it; listeners then get ENOBUFS.
 *		Each user has a budget of events. Events beyond it are counted in SUPPRESSED.
 *		Experts opened with CAP_SYS_RESOURCE have no budget.
 */
enum expertmem_cmd {
	EXPERTMEM_CMD_EXPERT_GET = 1,
	EXPERTMEM_CMD_REGION_GET,
	EXPERTMEM_CMD_EXPERT_SET,
	EXPERTMEM_CMD_TERMINATE,
	EXPERTMEM_CMD_RECLAIM,
	EXPERTMEM_CMD_STATS_GET,
	EXPERTMEM_CMD_EVENT,

	__EXPERTMEM_CMD_MAX,
	EXPERTMEM_CMD_MAX = __EXPERTMEM_CMD_MAX - 1
};

/* Attributes of an expert; sizes in bytes. */
enum expertmem_a_expert {
	EXPERTMEM_A_EXPERT_PAD = 1,
	EXPERTMEM_A_EXPERT_ID,		/* u64 */
	EXPERTMEM_A_EXPERT_NAME,	/* string; absent before CONFIGURE */
	EXPERTMEM_A_EXPERT_UID,		/* u32, real uid of the owner */
	EXPERTMEM_A_EXPERT_OPENER,	/* u32, pid of the process that opened it */
	EXPERTMEM_A_EXPERT_PID,		/* u32, pid of the process that mapped it; absent before */
	EXPERTMEM_A_EXPERT_OPENED,	/* u64, time of the open, ns of CLOCK_BOOTTIME */
	EXPERTMEM_A_EXPERT_STATE,	/* u32, enum expertmem_state */
	EXPERTMEM_A_EXPERT_FLAGS,	/* u32, EXPERTMEM_CONFIG_* */
	EXPERTMEM_A_EXPERT_REGIONS,	/* u64, number of regions */
	EXPERTMEM_A_EXPERT_COMMITTED,	/* u64, in regions */
	EXPERTMEM_A_EXPERT_RESIDENT,	/* u64, in memory */
	EXPERTMEM_A_EXPERT_PEAK,	/* u64, most committed and pinned at one time */
	EXPERTMEM_A_EXPERT_LIMIT,	/* u64, 0: no limit */
	EXPERTMEM_A_EXPERT_REFUSED,	/* u64, calls that failed with EDQUOT or ENOMEM */
	EXPERTMEM_A_EXPERT_CAUSE,	/* u32, enum expertmem_cause; absent before reclaim */
	EXPERTMEM_A_EXPERT_SIGNAL,	/* u32, signal that killed its process, 0: none; as CAUSE */
	EXPERTMEM_A_EXPERT_RECLAIMED_BYTES,	/* u64, that were in regions; as CAUSE */
	EXPERTMEM_A_EXPERT_RECLAIMED_RESIDENT,	/* u64, bytes of these that were resident */
	EXPERTMEM_A_EXPERT_RECLAIMED_REGIONS,	/* u64, number of regions */
	EXPERTMEM_A_EXPERT_EVENT,	/* u32, enum expertmem_event; events only */
	EXPERTMEM_A_EXPERT_PINNED,	/* u64, bytes of freed pages that are still held */
	EXPERTMEM_A_EXPERT_SUPPRESSED,	/* u64, as STATS_SUPPRESSED_EVENTS; events only */

	__EXPERTMEM_A_EXPERT_MAX,
	EXPERTMEM_A_EXPERT_MAX = __EXPERTMEM_A_EXPERT_MAX - 1
};

enum expertmem_a_region {
	EXPERTMEM_A_REGION_PAD = 1,
	EXPERTMEM_A_REGION_ID,		/* u64, id of the expert; the only one in a request */
	EXPERTMEM_A_REGION_OFFSET,	/* u64, device offset */
	EXPERTMEM_A_REGION_SIZE,	/* u64, bytes */
	EXPERTMEM_A_REGION_ROOM,	/* u64, bytes, from ALLOC */
	EXPERTMEM_A_REGION_RESIDENT,	/* u64, bytes in memory */

	__EXPERTMEM_A_REGION_MAX,
	EXPERTMEM_A_REGION_MAX = __EXPERTMEM_A_REGION_MAX - 1
};

enum expertmem_a_stats {
	EXPERTMEM_A_STATS_PAD = 1,
	EXPERTMEM_A_STATS_EXPERTS,	/* u32, experts open now, without reclaimed ones */
	EXPERTMEM_A_STATS_MAX_EXPERTS,	/* u32, limit of EXPERTS, 0: no limit */
	EXPERTMEM_A_STATS_OPENED,	/* u64, experts opened since the module was loaded */
	EXPERTMEM_A_STATS_REGIONS,	/* u64, number of regions now */
	EXPERTMEM_A_STATS_COMMITTED,	/* u64, bytes in regions */
	EXPERTMEM_A_STATS_RESIDENT,	/* u64, bytes in memory */
	EXPERTMEM_A_STATS_TOTAL_LIMIT,	/* u64, bytes of all experts, 0: no limit */
	EXPERTMEM_A_STATS_DEFAULT_LIMIT,	/* u64, bytes of a new expert, 0: no limit */
	EXPERTMEM_A_STATS_REFUSED,	/* u64, calls that failed with EDQUOT or ENOMEM */
	EXPERTMEM_A_STATS_DETACHED,	/* u64, experts reclaimed with cause DETACH */
	EXPERTMEM_A_STATS_KILLED,	/* u64, experts of DETACHED that a signal killed */
	EXPERTMEM_A_STATS_RECLAIMED,	/* u64, experts reclaimed with cause HOST */
	EXPERTMEM_A_STATS_OPERATOR,	/* u64, experts reclaimed with cause OPERATOR */
	EXPERTMEM_A_STATS_RECLAIMED_BYTES,	/* u64, that were in reclaimed regions */
	EXPERTMEM_A_STATS_LOST_EVENTS,	/* u64, events that could not be sent */
	EXPERTMEM_A_STATS_PINNED,	/* u64, bytes of freed pages that are still held */
	EXPERTMEM_A_STATS_UID_LIMIT,	/* u64, bytes of one user's experts, 0: no limit */
	EXPERTMEM_A_STATS_UID_MAX_EXPERTS,	/* u32, experts of one user, 0: no limit */
	EXPERTMEM_A_STATS_SUPPRESSED_EVENTS,	/* u64, events beyond their user's budget */

	__EXPERTMEM_A_STATS_MAX,
	EXPERTMEM_A_STATS_MAX = __EXPERTMEM_A_STATS_MAX - 1
};

/*
 * LIMIT_HIT is sent at most once a second for each expert; REFUSED counts all refusals. RECLAIMED
 * is sent when the memory is free, with CAUSE, SIGNAL and RECLAIMED_*.
 */
enum expertmem_event {
	EXPERTMEM_EVENT_OPENED,
	EXPERTMEM_EVENT_RUNNING,	/* the first window was mapped */
	EXPERTMEM_EVENT_LIMIT_HIT,	/* a call failed with EDQUOT or ENOMEM */
	EXPERTMEM_EVENT_TERMINATE,	/* TERMINATE was called */
	EXPERTMEM_EVENT_RECLAIMED,	/* the memory is free */
	EXPERTMEM_EVENT_RELEASED	/* the last descriptor was closed */
};

#endif /* _UAPI_LINUX_EXPERTMEM_H */
