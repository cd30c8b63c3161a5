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
 *   reclaimed		every page is back and stays back: RECLAIM was called,
 *			the last window was unmapped (munmap, exec), or the
 *			process that mapped the windows died. Final.
 *
 * An expert reaches its memory through two *windows*, large sparse shared
 * mappings of the device. Each can be mapped once in the expert's life, whole,
 * at its own device offset, at any length up to the maximum; the length of the
 * mapping is the size of the window. A window belongs to the process that
 * mapped it: it cannot be split, moved, grown or made executable, and is left
 * out of core dumps. When that process dies, its windows are reclaimed, also
 * where another process shares or holds its mm. A child of fork() inherits the
 * addresses, where every touch faults, unless FORK has made something for them.
 *
 * Memory exists only in *regions*, made by ALLOC inside a window. Addresses
 * outside a region fault (SIGSEGV). A region is named by the device offset of
 * its first byte; its address is
 *
 *	window's address + (region's offset - window's offset)
 *
 * Pages appear at the first touch, filled with zeros, are charged to the memory
 * cgroup of the process that mapped the window, and may be swapped unless the
 * expert is unswappable. madvise(MADV_REMOVE) gives pages inside a region back
 * and keeps the region; it fails with EBUSY while a page of that range is held
 * by somebody else. Between two regions at least one granule stays unmapped.
 *
 * A page that a pipe, a socket or a device still holds when its region is freed
 * or shrunk, or its expert reclaimed, is *pinned*: it stays charged to the
 * expert, its user and all experts until it is let go, also when the expert has
 * been released.
 *
 * Limits: each expert has one, in bytes of regions and pinned pages. Whoever
 * opened the expert may lower it; only CAP_NET_ADMIN raises it. 0 means no limit
 * wherever a limit is given or shown. All experts of one user together, and all
 * experts of the system, are bounded by the module's parameters; of the latter,
 * one sixteenth is reserved for experts opened with CAP_SYS_RESOURCE, to which
 * the bounds of a user do not apply. The user is the real uid of whoever opened
 * the expert; in a user namespace whose creator is not root, it is the creator.
 *
 * Access: the device opens O_RDWR. Opened O_RDONLY, a descriptor is good for
 * looking only, by GET_INFO, STAT and the status page: mmap() of a window fails
 * with EACCES, other ioctls with EBADF.
 * open() fails with
 *	EINVAL		any other access mode, such as O_WRONLY
 *	ENFILE		max_experts are open and not reclaimed
 *	EDQUOT		the user has uid_max_experts open, the reclaimed ones included
 *	ENOMEM		out of memory
 *
 * Every structure must have its flags and reserved fields zero where no flag is
 * documented, or the call fails with EINVAL. Calls may sleep, may be made from
 * any thread and any process that holds the descriptor, and change nothing when
 * they fail. Errors common to all of them:
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
 * 2: pinned pages, bounds per user, CONFIG_DEFAULT_LIMIT; limit 0 in CONFIGURE is none;
 *    raising a limit needs CAP_NET_ADMIN
 */
#define EXPERTMEM_ABI_VERSION	2

/*
 * Device offsets to pass to mmap(). All three maps must be MAP_SHARED.
 *
 *   status	one page, struct expertmem_status; PROT_READ only; any number of
 *		mappings, in any process, at any time
 *   small	4 KiB granules; mapped length a multiple of the page size
 *   huge	2 MiB granules, so that a huge page never reaches past its region;
 *		mapped length a multiple of the huge granule
 *
 * mmap() fails with
 *	EINVAL		other offset, length zero, too long or not a multiple,
 *			MAP_PRIVATE, PROT_EXEC, PROT_WRITE on the status page
 *	EACCES		a window, and the descriptor was opened O_RDONLY
 *	EBUSY		the window is or was mapped already
 *	ECANCELED	a window of an expert that is terminating
 *	ESHUTDOWN	a window of an expert that was reclaimed
 *	ENOMEM		no memory for the window's file
 * A mapping of the status page does not keep the expert open.
 */
#define EXPERTMEM_STATUS_OFFSET	((__u64)0)
#define EXPERTMEM_SMALL_OFFSET	((__u64)1 << 42)
#define EXPERTMEM_HUGE_OFFSET	((__u64)1 << 43)
/* longest window, bytes (4 TiB) */
#define EXPERTMEM_WINDOW_MAX	((__u64)1 << 42)
/* most regions in a window */
#define EXPERTMEM_REGIONS_MAX	(1U << 20)

/* The status page: what asks the expert to stop, for the price of one load. */
struct expertmem_status {
	__u32 flags;			/* EXPERTMEM_STATUS_* */
	__u32 reserved[15];
};

#define EXPERTMEM_STATUS_TERMINATE	(1U << 0)	/* TERMINATE was called */
#define EXPERTMEM_STATUS_RECLAIMED	(1U << 1)	/* the memory is gone */

/*
 * GET_INFO - what this module is and what its limits are.
 *
 * In any state. Compare @abi first: a greater one only adds.
 */
struct expertmem_info {
	__u32 abi;			/* EXPERTMEM_ABI_VERSION */
	__u32 features;			/* EXPERTMEM_FEATURE_* */
	__u32 small_granule;		/* bytes */
	__u32 huge_granule;		/* bytes */
	__aligned_u64 window_max;	/* bytes, EXPERTMEM_WINDOW_MAX */
	__aligned_u64 default_limit;	/* bytes per expert, 0: none */
	__aligned_u64 total_limit;	/* bytes of all experts, 0: none */
	__u32 max_experts;		/* open at once, 0: any number */
	__u32 experts;			/* open now, without reclaimed ones */
	__aligned_u64 uid_limit;	/* bytes of one user's experts, 0: none */
	__aligned_u64 uid_charged;	/* bytes in regions and pinned, this user's */
	__u32 uid_max_experts;		/* of one user, 0: any number */
	__u32 uid_experts;		/* open now, this user's */
	__aligned_u64 reserved[5];
};

/* The huge window is backed by huge pages (otherwise by small ones). */
#define EXPERTMEM_FEATURE_HUGE		(1U << 0)
#define EXPERTMEM_FEATURE_UNSWAPPABLE	(1U << 1)

/*
 * CONFIGURE - name and limit an expert. Once, and before any window is mapped, so
 * that an expert that adopted the descriptor cannot lift what its host has set.
 * An expert that is not configured has the module's default_limit of the moment
 * it was opened; to keep that limit, set CONFIG_DEFAULT_LIMIT and @limit 0.
 *
 *	EINVAL		@name is not terminated, is not UTF-8, or holds a control
 *			character: U+0000 to U+001F, U+007F to U+009F
 *	EBUSY		configured already, or a window has been mapped
 *	ESHUTDOWN	the expert was reclaimed
 *	EPERM		UNSWAPPABLE without CAP_IPC_LOCK or an unlimited
 *			RLIMIT_MEMLOCK; or @limit is above the limit that the expert
 *			has (0 is above any), and the caller lacks CAP_NET_ADMIN
 */
struct expertmem_config {
	char name[32];			/* NUL-terminated, padded with NUL */
	__aligned_u64 limit;		/* bytes, 0: none */
	__u32 flags;			/* EXPERTMEM_CONFIG_* */
	__u32 reserved;
};

/* Pages never go to swap: captured traffic does not reach a disk. */
#define EXPERTMEM_CONFIG_UNSWAPPABLE	(1U << 0)
/* Keep the limit that the expert has: default_limit, or what an operator has set. */
#define EXPERTMEM_CONFIG_DEFAULT_LIMIT	(1U << 1)

/*
 * ALLOC - make a region.
 *
 * @size is rounded up to the window's granule; that much is charged. @room is how
 * far the region is to be able to grow in place, counted from its start: those
 * addresses are kept free until the region is freed. Without it, a region of 256 KiB
 * or more (every one in the huge window) is placed in the middle of a largest gap,
 * so that it can probably grow a lot; smaller ones take the lowest place that fits.
 * A granule on either side of a region stays unmapped.
 *
 *	EINVAL		@size is zero; @room is not zero and below @size
 *	ENXIO		the window is not mapped
 *	EDQUOT		the expert's limit, or its user's, would be passed
 *	ENOSPC		no gap of that size in the window, or REGIONS_MAX reached
 *	ENOMEM		all experts' limit would be passed; out of memory;
 *			with POPULATE: not every page could be had
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
 * The pages exist on return, or the call fails: no fault fails later. They are mapped
 * in the process that mapped the window, whoever calls, and count as its resident
 * memory. With REALLOC, the pages that are added.
 */
#define EXPERTMEM_ALLOC_POPULATE	(1U << 1)

/*
 * REALLOC - resize a region where it is.
 *
 * A region never moves. Shrinking gives the pages behind the new end back; grown
 * memory reads as zero.
 *
 *	EINVAL		@size is zero
 *	ENOENT		no region starts at @offset
 *	EBUSY		another thread is making, resizing or freeing this region
 *	ENOSPC		another region is in the way: ALLOC, copy, FREE
 *	EDQUOT, ENOMEM, EINTR, ECANCELED, ESHUTDOWN	as ALLOC
 */
struct expertmem_realloc {
	__aligned_u64 offset;		/* in */
	__aligned_u64 size;		/* in: bytes, rounded up to granules */
	__u32 flags;			/* EXPERTMEM_ALLOC_POPULATE or 0 */
	__u32 reserved;
};

/*
 * FREE - give a region back. On return its addresses fault and its pages are
 * free, but for pinned ones.
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
 * TERMINATE takes no argument (pass 0): the expert is asked to stop. Its status
 * page says so from now on. No effect on an expert that terminates already or
 * was reclaimed.
 */

/*
 * RECLAIM - take everything back, now, whatever the expert is doing.
 *
 * On return every page is free, but for pinned ones; a touch of a window faults,
 * other calls fail with ESHUTDOWN. Reclaiming again succeeds and returns zeros. With
 * EFAULT for the result the memory is back nevertheless. Page tables of the windows
 * stay until they are unmapped: at most 4 KiB for every 2 MiB of a window's length.
 */
struct expertmem_reclaim {
	__aligned_u64 reclaimed_bytes;	/* out: in regions */
	__aligned_u64 reclaimed_resident;	/* out: of these, in memory */
	__aligned_u64 reclaimed_regions;	/* out */
	__u32 flags;			/* in: 0 */
	__u32 reserved;
};

/* STAT - the kernel's view of the expert. In any state. */
struct expertmem_stat {
	__aligned_u64 id;		/* never reused while loaded */
	char name[32];
	__u32 state;			/* EXPERTMEM_STATE_* */
	__u32 flags;			/* EXPERTMEM_CONFIG_UNSWAPPABLE or 0 */
	__aligned_u64 limit;		/* bytes, 0: none */
	__aligned_u64 regions;
	__aligned_u64 committed;	/* bytes in regions */
	__aligned_u64 resident;		/* bytes in memory; not what is in swap */
	__aligned_u64 peak;		/* most bytes committed and pinned ever */
	__aligned_u64 refused;		/* calls refused for memory */
	__aligned_u64 reclaimed_bytes;	/* that were in regions when reclaimed */
	__u32 cause;			/* EXPERTMEM_CAUSE_*, once reclaimed */
	__u32 reserved0;
	__aligned_u64 pinned;		/* bytes of freed pages that somebody still holds */
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
	EXPERTMEM_CAUSE_HOST,	/* RECLAIM, the ioctl */
	EXPERTMEM_CAUSE_OPERATOR	/* RECLAIM, by netlink */
};

/*
 * COPY - have what another expert has, at the same offsets.
 *
 * The call is made on the destination, which has mapped its windows. @fd is the
 * source. To hold that descriptor, opened O_RDWR, is all the right that it takes to
 * read the source's memory: hand it to nobody who must not. FORK copies for a child.
 *
 * The destination has no region before, and afterwards every region of the source:
 * at the same offset, of the same size and room, with the same bytes. Pages that the
 * source has in memory or in swap are copied, but those that hold nothing but zeros;
 * where it has none, the destination gets none (in the huge window, a granule that is
 * there in part may become whole). Its name, limit and flags stay its own. Regions
 * are charged to it as by ALLOC, and its pages to the memory cgroup of the caller.
 *
 * The source may be in use meanwhile, and is not held up. Its regions are those of
 * one moment: one that a call is making or freeing just then is missed, one that is
 * being resized has the lesser size. The bytes are read after that, page by page, as
 * by any reader that races with a writer; of a region that is freed or shrunk before
 * its pages were read, these are zero, or those of a region made in that place.
 *
 * After an error, the destination has nothing of it.
 *
 *	EBADF		@fd is not open, or was opened O_RDONLY
 *	EINVAL		@fd is not an expert, or the same one
 *	EBUSY		the destination has a region, or gets one by ALLOC or another
 *			COPY where this one needs the place
 *	ENXIO		a window in which the source has a region is not mapped
 *	ENOSPC		that window is too short
 *	EDQUOT		the destination's limit, or its user's, would be passed
 *	ENOMEM		all experts' limit would be passed; out of memory
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
 * FORK - let the next child have what this expert has.
 *
 * The call makes an expert, the heir: with the name, the limit and the flags of this one,
 * windows of the same length, and a copy of the regions. These are charged at once. A page is
 * copied when this expert or the heir touches it first, or when this one gives it up and it holds
 * more than zeros. If it cannot be copied when it is given up (no memory, bad memory), or for a
 * touch of this expert when the caller's memory cgroup was another one and is full, the heir is
 * reclaimed, and its child gets SIGSEGV. What a device writes to this expert's memory, by a
 * request from before the call, may be seen by the child. Pages that are copied for this expert
 * are charged to the caller's memory cgroup. With FORK_POPULATE, all pages are copied by the
 * call, as by COPY. @fd receives a descriptor of the heir, with FD_CLOEXEC. Neither the right to
 * open the device nor a path to it is needed.
 *
 * The next child with an mm of its own (fork, clone without CLONE_VM) that the calling
 * thread makes gets the heir's windows, at the addresses of this expert's. The kernel maps
 * each when the child touches it first; it need not do anything for that. Before that, other
 * processes cannot reach the memory, and it is reclaimed when the child exits or calls exec.
 * A window that cannot be mapped then (RLIMIT_AS) is lost, and the child gets SIGSEGV.
 * Protection keys and memory policies are not inherited.
 *
 * What is written to the windows between the call and fork() is missing in the child, so
 * other threads must be kept from it, from another FORK as well, and the stack must be
 * elsewhere. After fork(), whether it succeeded or not, the parent calls FORK with FORK_END
 * and closes @fd. When this expert is reclaimed, no child gets the heir any more. Other
 * children get none: there, the addresses of the windows fault.
 *
 *	EPERM		another process has mapped the windows
 *	ENXIO		no window is mapped
 *	EMFILE, ENFILE, EDQUOT, ENOMEM	as open()
 *	EDQUOT, ENOMEM, EIO, EINTR, ECANCELED, ESHUTDOWN	as COPY
 *	EINVAL		both flags
 */
struct expertmem_fork {
	__s32 fd;			/* in: 0; out: the heir */
	__u32 flags;			/* EXPERTMEM_FORK_* */
	__aligned_u64 reserved[3];
};

/* The child has been made, or will not be. No effect where there is no heir. */
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
 * Generic netlink family "expertmem": who has what, for operators.
 *
 * Documentation/netlink/specs/expertmem.yaml describes it in the kernel's own format. It
 * is there in the initial network namespace only.
 *
 * Everybody may read the totals, and the experts that they opened; TERMINATE, RECLAIM and
 * lowering the limit of these are theirs, too. With CAP_NET_ADMIN in the initial user
 * namespace the same goes for all experts, and for raising limits and EVENTS. Both whoever
 * opened the socket and whoever sends must have the right; in a dump, whoever reads as well.
 *
 * An expert is named by its ID, which is never used again while the module is loaded. Pids
 * are those that the reader sees, 0 where it does not see the process; in events, those of
 * the initial namespace. Unknown attributes and flags are refused; the extended ack says
 * which.
 *
 * Errors common to all requests:
 *
 *	EINVAL		an attribute is missing, unknown or malformed
 *	EPERM		the expert was opened by someone else, or the limit would be
 *			raised, and CAP_NET_ADMIN is missing; joining EVENTS, as well
 *	EINTR		a signal came; a RECLAIM that has begun goes on
 *	ENOENT		there is no expert with this ID, or it has just been released
 *	EOPNOTSUPP	there is no such command, or it is one for a dump only, or for none
 */
#define EXPERTMEM_FAMILY_NAME		"expertmem"
#define EXPERTMEM_FAMILY_VERSION	1
#define EXPERTMEM_MCGRP_EVENTS		"events"

/*
 * EXPERT_GET	one expert by ID, or, as a dump, all that the caller may read. A dump during
 *		which experts were opened or released is marked NLM_F_DUMP_INTR.
 * REGION_GET	a dump only: the regions of the expert with this ID, as REGION_*
 * EXPERT_SET	LIMIT of the expert with this ID; 0: none. It may be below what the expert
 *		has: then it gets no more, and loses nothing. Whoever opened the expert may
 *		lower its limit; raising it needs CAP_NET_ADMIN.
 * TERMINATE	as EXPERTMEM_IOC_TERMINATE
 * RECLAIM	as EXPERTMEM_IOC_RECLAIM; replies with ID, RECLAIMED_BYTES, RECLAIMED_RESIDENT and
 *		RECLAIMED_REGIONS. EINPROGRESS where it takes longer than two seconds: it goes on,
 *		and a RECLAIM that is sent before its end waits for the same one.
 * STATS_GET	the module's totals, as STATS_*
 * EVENT	sent to the group EVENTS: EVENT, SUPPRESSED and all that EXPERT_GET has. What
 *		cannot be sent for want of memory is lost; listeners then get ENOBUFS. Each
 *		user but root has a budget of events; what passes it is counted in SUPPRESSED.
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

/* of one expert; sizes in bytes */
enum expertmem_a_expert {
	EXPERTMEM_A_EXPERT_PAD = 1,
	EXPERTMEM_A_EXPERT_ID,		/* u64 */
	EXPERTMEM_A_EXPERT_NAME,	/* string; not there before CONFIGURE */
	EXPERTMEM_A_EXPERT_UID,		/* u32, of who opened it */
	EXPERTMEM_A_EXPERT_OPENER,	/* u32, pid of who opened it */
	EXPERTMEM_A_EXPERT_PID,		/* u32, of who mapped it; not there before that */
	EXPERTMEM_A_EXPERT_OPENED,	/* u64, ns of CLOCK_BOOTTIME */
	EXPERTMEM_A_EXPERT_STATE,	/* u32, enum expertmem_state */
	EXPERTMEM_A_EXPERT_FLAGS,	/* u32, EXPERTMEM_CONFIG_* */
	EXPERTMEM_A_EXPERT_REGIONS,	/* u64 */
	EXPERTMEM_A_EXPERT_COMMITTED,	/* u64, in regions */
	EXPERTMEM_A_EXPERT_RESIDENT,	/* u64, in memory */
	EXPERTMEM_A_EXPERT_PEAK,	/* u64, most committed and pinned ever */
	EXPERTMEM_A_EXPERT_LIMIT,	/* u64, 0: none */
	EXPERTMEM_A_EXPERT_REFUSED,	/* u64, calls refused for memory */
	EXPERTMEM_A_EXPERT_CAUSE,	/* u32, enum expertmem_cause; once reclaimed */
	EXPERTMEM_A_EXPERT_SIGNAL,	/* u32, that killed its process, 0: none; once reclaimed */
	EXPERTMEM_A_EXPERT_RECLAIMED_BYTES,	/* u64, that were in regions when reclaimed */
	EXPERTMEM_A_EXPERT_RECLAIMED_RESIDENT,	/* u64, of these, in memory */
	EXPERTMEM_A_EXPERT_RECLAIMED_REGIONS,	/* u64 */
	EXPERTMEM_A_EXPERT_EVENT,	/* u32, enum expertmem_event */
	EXPERTMEM_A_EXPERT_PINNED,	/* u64, of freed pages that somebody still holds */
	EXPERTMEM_A_EXPERT_SUPPRESSED,	/* u64, as STATS_SUPPRESSED_EVENTS; events only */

	__EXPERTMEM_A_EXPERT_MAX,
	EXPERTMEM_A_EXPERT_MAX = __EXPERTMEM_A_EXPERT_MAX - 1
};

enum expertmem_a_region {
	EXPERTMEM_A_REGION_PAD = 1,
	EXPERTMEM_A_REGION_ID,		/* u64, of the expert; the only one in a request */
	EXPERTMEM_A_REGION_OFFSET,	/* u64, device offset */
	EXPERTMEM_A_REGION_SIZE,	/* u64 */
	EXPERTMEM_A_REGION_ROOM,	/* u64, as asked for in ALLOC */
	EXPERTMEM_A_REGION_RESIDENT,	/* u64 */

	__EXPERTMEM_A_REGION_MAX,
	EXPERTMEM_A_REGION_MAX = __EXPERTMEM_A_REGION_MAX - 1
};

enum expertmem_a_stats {
	EXPERTMEM_A_STATS_PAD = 1,
	EXPERTMEM_A_STATS_EXPERTS,	/* u32, open now, without reclaimed ones */
	EXPERTMEM_A_STATS_MAX_EXPERTS,	/* u32, 0: any number */
	EXPERTMEM_A_STATS_OPENED,	/* u64, experts since the module was loaded */
	EXPERTMEM_A_STATS_REGIONS,	/* u64 */
	EXPERTMEM_A_STATS_COMMITTED,	/* u64 */
	EXPERTMEM_A_STATS_RESIDENT,	/* u64 */
	EXPERTMEM_A_STATS_TOTAL_LIMIT,	/* u64, 0: none */
	EXPERTMEM_A_STATS_DEFAULT_LIMIT,	/* u64, 0: none */
	EXPERTMEM_A_STATS_REFUSED,	/* u64, calls refused for memory */
	EXPERTMEM_A_STATS_DETACHED,	/* u64, experts reclaimed, by cause */
	EXPERTMEM_A_STATS_KILLED,	/* u64, of DETACHED, by a signal */
	EXPERTMEM_A_STATS_RECLAIMED,	/* u64 */
	EXPERTMEM_A_STATS_OPERATOR,	/* u64 */
	EXPERTMEM_A_STATS_RECLAIMED_BYTES,	/* u64, by reclaims */
	EXPERTMEM_A_STATS_LOST_EVENTS,	/* u64, that could not be sent */
	EXPERTMEM_A_STATS_PINNED,	/* u64, of freed pages that somebody still holds */
	EXPERTMEM_A_STATS_UID_LIMIT,	/* u64, bytes of one user's experts, 0: none */
	EXPERTMEM_A_STATS_UID_MAX_EXPERTS,	/* u32, of one user, 0: any number */
	EXPERTMEM_A_STATS_SUPPRESSED_EVENTS,	/* u64, that passed their user's budget */

	__EXPERTMEM_A_STATS_MAX,
	EXPERTMEM_A_STATS_MAX = __EXPERTMEM_A_STATS_MAX - 1
};

/*
 * LIMIT_HIT is sent at most once a second for each expert; REFUSED says how often it was
 * hit. RECLAIMED is sent when the memory is back; it has CAUSE, SIGNAL and FREED_*.
 */
enum expertmem_event {
	EXPERTMEM_EVENT_OPENED,
	EXPERTMEM_EVENT_RUNNING,	/* a window was mapped */
	EXPERTMEM_EVENT_LIMIT_HIT,	/* refused memory: EDQUOT or ENOMEM */
	EXPERTMEM_EVENT_TERMINATE,	/* asked to stop */
	EXPERTMEM_EVENT_RECLAIMED,
	EXPERTMEM_EVENT_RELEASED	/* the last descriptor was closed */
};

#endif /* _UAPI_LINUX_EXPERTMEM_H */
