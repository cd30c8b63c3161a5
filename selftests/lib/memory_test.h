/* SPDX-License-Identifier: GPL-2.0 */
/* The memory of the system: how much of it is in use, and a disk in it to swap to. */
#ifndef EXPERTMEM_MEMORY_TEST_H
#define EXPERTMEM_MEMORY_TEST_H

#include <sys/stat.h>
#include <sys/swap.h>

#include "expertmem_test.h"

/* Where "modprobe brd" puts the first of its disks in memory. */
#define RAMDISK		"/dev/ram0"

/* swap_on() - make a block device a swap space, as mkswap does, and swap to it */
static inline int swap_on(const char *path)
{
	struct {
		char boot[1024];
		__u32 version, last_page, bad_pages;
	} header = { .version = 1 };
	int fd = open(path, O_RDWR | O_CLOEXEC);
	int err = 0;
	off_t size;

	if (fd < 0)
		return -errno;
	size = lseek(fd, 0, SEEK_END);
	header.last_page = size / PAGE - 1;
	if (size < (off_t)(4 * MIB) || pwrite(fd, &header, sizeof(header), 0) != sizeof(header) ||
	    pwrite(fd, "SWAPSPACE2", 10, PAGE - 10) != 10 || fsync(fd))
		err = -EIO;
	close(fd);
	return err ? err : result(swapon(path, 0));
}

/* What two readings of an idle system differ by. */
#define MEMORY_NOISE	MIB

/*
 * slabs_linger() - a debug kernel keeps what kfree() was given for a while, and what it
 * knows of each object besides. There kmemleak watches the slabs.
 */
static inline bool slabs_linger(void)
{
	return !access("/sys/kernel/debug/kmemleak", F_OK);
}

/**
 * struct memory - how much of the system's memory is in use; bytes
 * @shmem: in shmem files
 * @free: free, with what lies ready on the lists of each CPU, and slabs that linger
 */
struct memory {
	__u64 shmem;
	__u64 free;
};

static inline struct memory memory_now(void)
{
	struct memory memory;
	unsigned long pages;
	char line[256];
	FILE *file;

	/* caches, and pages whose last reference waits in a batch of some CPU */
	file_write("/proc/sys/vm/drop_caches", "3");
	memory.shmem = meminfo("Shmem");
	memory.free = meminfo("MemFree");
	if (slabs_linger())
		memory.free += meminfo("SUnreclaim");
	file = fopen("/proc/zoneinfo", "re");
	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, " count: %lu", &pages) == 1)
			memory.free += pages * PAGE;
	if (file)
		fclose(file);
	return memory;
}

/*
 * memory_is_back() - is as much free as @before? The kernel frees some of it behind
 * the scenes (RCU, deferred work): look again for @seconds before the answer is no.
 */
static inline bool memory_is_back(const struct memory *before, __u64 noise, int seconds)
{
	struct timespec nap = { .tv_nsec = 20 * 1000 * 1000 };
	time_t end = time(NULL) + seconds;
	struct memory now;

	for (;;) {
		now = memory_now();
		if (now.shmem <= before->shmem + noise &&
		    before->shmem <= now.shmem + noise &&
		    now.free + noise >= before->free)
			return true;
		if (time(NULL) >= end)
			break;
		nanosleep(&nap, NULL);
	}
	if (seconds)
		fprintf(stderr, "# shmem %llu KiB, before %llu; free %llu KiB, before %llu\n",
			now.shmem / KIB, before->shmem / KIB,
			now.free / KIB, before->free / KIB);
	return false;
}

/* Make a control group, whose directory ends in a slash. Returns why there is none, or NULL. */
static inline const char *group_make(const char *group)
{
	char file[128];

	file_write("/sys/fs/cgroup/cgroup.subtree_control", "+memory");
	if (mkdir(group, 0755) && errno != EEXIST)
		return "no control group can be made; mount cgroup2, be root";
	snprintf(file, sizeof(file), "%smemory.reclaim", group);
	return access(file, W_OK) ? "cgroup2 has no memory controller with memory.reclaim" : NULL;
}

#define NEED_GROUP(group)							\
	do {									\
		const char *missing = group_make(group);			\
										\
		if (missing)							\
			SKIP_TEST("%s: %s", group, missing);			\
	} while (0)

#endif /* EXPERTMEM_MEMORY_TEST_H */
