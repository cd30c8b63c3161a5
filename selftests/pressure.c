// SPDX-License-Identifier: GPL-2.0
/*
 * Windows under pressure: control groups that are full, swap that comes and goes, bad memory,
 * and a swap disk that does not answer. What an expert keeps is right, and an operator can
 * always see and end it.
 */
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "harness.h"
#include "memory_test.h"
#include "nbd_test.h"
#include "netlink_test.h"

#ifndef MADV_SOFT_OFFLINE
#define MADV_SOFT_OFFLINE	101
#endif

#define CGROUP		"/sys/fs/cgroup/"
#define GROUP		CGROUP "expertmem-pressure/"
#define ZRAM		"/dev/zram0"
#define CLUSTER		"/proc/sys/vm/page-cluster"

#define WINDOW		GIB
/* a region that goes to swap */
#define SIZE		(16 * MIB)
/* what the counters of a group lag behind */
#define SLACK		(2 * MIB)
/* how long to wait for what the kernel does behind the scenes, in seconds */
#define PATIENCE	120

/* -------------------------------------------------------------- control groups */

static void make_group(struct __test_metadata *_metadata)
{
	file_write(CGROUP "cgroup.subtree_control", "+memory");
	if (mkdir(GROUP, 0755) && errno != EEXIST)
		SKIP_TEST(GROUP ": %s; mount cgroup2, be root", strerror(errno));
	if (access(GROUP "memory.reclaim", W_OK))
		SKIP_TEST("cgroup2 has no memory controller with memory.reclaim");
	ASSERT_EQ(file_write(GROUP "memory.max", "max"), 0);
	ASSERT_EQ(file_write(GROUP "memory.high", "max"), 0);
}

static int join_group(void)
{
	return file_write(GROUP "cgroup.procs", "0");
}

static void remove_group(struct __test_metadata *_metadata)
{
	time_t end = time(NULL) + PATIENCE;

	EXPECT_EQ(file_write(CGROUP "cgroup.procs", "0"), 0);
	/* a process that was killed may still be on its way out */
	while (rmdir(GROUP) && time(NULL) < end)
		usleep(20000);
	EXPECT_EQ(access(GROUP, F_OK), -1);
}

static __u64 group_value(const char *file)
{
	char path[128], text[32];

	snprintf(path, sizeof(path), GROUP "%s", file);
	return file_read(path, text, sizeof(text)) ? ~0ULL : strtoull(text, NULL, 10);
}

static __u64 group_shmem(void)
{
	return value_in(GROUP "memory.stat", "shmem");
}

/* ------------------------------------------------------------------------ swap */

static int brd_on(void)
{
	if (access(RAMDISK, F_OK) && system("modprobe brd rd_nr=1 rd_size=65536 2>/dev/null"))
		return -ENODEV;
	return swap_on(RAMDISK);
}

static int zram_on(void)
{
	int err;

	/* on 6.1 zram's default compressor is a module of its own */
	(void)!system("modprobe lzo-rle 2>/dev/null");
	if (access(ZRAM, F_OK) && system("modprobe zram num_devices=1 2>/dev/null"))
		return -ENODEV;
	file_write("/sys/block/zram0/reset", "1");
	err = file_write("/sys/block/zram0/disksize", "64M");
	return err ? err : swap_on(ZRAM);
}

/* A disk to swap to. */
struct disk {
	const char *path;
	int (*on)(void);
};

static const struct disk brd = { RAMDISK, brd_on };
static const struct disk zram = { ZRAM, zram_on };

static __u64 resident(int fd)
{
	return expert_stat(fd).resident;
}

/* Have the memory of the group go to swap until an expert has none; what it has left. */
static __u64 swap_out(int fd)
{
	int tries;

	for (tries = 0; tries < 50 && (resident(fd) || meminfo("SwapCached")); tries++)
		file_write(GROUP "memory.reclaim", "64M");
	return resident(fd);
}

/*
 * Have pages of a window go to swap, so that they are not in the swap cache any more, either.
 * The counters of both lag behind: mincore() knows.
 */
static bool swap_out_all(const struct window *window, __u64 offset, unsigned int pages)
{
	unsigned char in[64];
	unsigned int i, left = pages;
	int tries;

	for (tries = 0; tries < 100 && left; tries++) {
		file_write(GROUP "memory.reclaim", "64M");
		if (mincore(at(window, offset), pages * PAGE, in))
			return false;
		for (i = left = 0; i < pages; i++)
			left += in[i] & 1;
	}
	return !left;
}

/* Every page begins with its address in the device. */
static void write_pages(const struct window *window, __u64 offset, __u64 size)
{
	__u64 end = offset + size;

	for (; offset < end; offset += PAGE)
		*(__u64 *)at(window, offset) = offset;
}

static bool pages_are_right(const struct window *window, __u64 offset, __u64 size)
{
	__u64 end = offset + size;

	for (; offset < end; offset += PAGE)
		if (*(__u64 *)at(window, offset) != offset)
			return false;
	return true;
}

FIXTURE(swap)
{
	struct window window;
	char cluster[16];	/* how many pages are read at once, as it was */
	__u64 free;		/* swap space, when nothing is swapped out */
};

FIXTURE_VARIANT(swap)
{
	const struct window *kind;
	const struct disk *disk;
};

FIXTURE_VARIANT_ADD(swap, small_brd) { .kind = &small_window, .disk = &brd };
FIXTURE_VARIANT_ADD(swap, huge_brd) { .kind = &huge_window, .disk = &brd };
FIXTURE_VARIANT_ADD(swap, small_zram) { .kind = &small_window, .disk = &zram };
FIXTURE_VARIANT_ADD(swap, huge_zram) { .kind = &huge_window, .disk = &zram };

FIXTURE_SETUP(swap)
{
	int err;

	NEED_DEVICE();
	make_group(_metadata);
	err = variant->disk->on();
	if (err)
		SKIP_TEST("%s: %s; the kernel's module for it is missing",
			  variant->disk->path, strerror(-err));
	ASSERT_EQ(file_read(CLUSTER, self->cluster, sizeof(self->cluster)), 0);
	ASSERT_EQ(file_write(CLUSTER, "0"), 0);
	self->free = meminfo("SwapFree");
	ASSERT_EQ(window_open(&self->window, variant->kind, WINDOW, 0), 0);
}

FIXTURE_TEARDOWN(swap)
{
	window_close(&self->window);
	EXPECT_EQ(swapoff(variant->disk->path), 0);
	EXPECT_EQ(file_write(CLUSTER, self->cluster), 0);
	remove_group(_metadata);
}

/* Wait until the swap space is free again, but for @kept bytes and a little of this process. */
static bool swap_is_back(const FIXTURE_DATA(swap) *self, __u64 kept)
{
	time_t end = time(NULL) + PATIENCE;

	while (meminfo("SwapFree") + kept + SLACK < self->free && time(NULL) < end)
		usleep(20000);
	return meminfo("SwapFree") + kept + SLACK >= self->free;
}

TEST_F(swap, pages_come_back_from_swap)
{
	__u64 offset;

	ASSERT_EQ(join_group(), 0);
	ASSERT_EQ(region_alloc(&self->window, SIZE, &offset), 0);
	write_pages(&self->window, offset, SIZE);
	EXPECT_LE(swap_out(self->window.fd), SIZE / 8);
	EXPECT_LE(meminfo("SwapFree"), self->free - SIZE / 2);
	EXPECT_EQ(expert_stat(self->window.fd).committed, SIZE);
	EXPECT_TRUE(pages_are_right(&self->window, offset, SIZE));
	EXPECT_EQ(resident(self->window.fd), SIZE);
	EXPECT_EQ(expert_stat(self->window.fd).pinned, 0);
	EXPECT_EQ(read_touch(at(&self->window, offset + SIZE)), SIGSEGV);
	ASSERT_EQ(region_free(&self->window, offset), 0);
	EXPECT_TRUE(swap_is_back(self, 0));
}

TEST_F(swap, free_shrink_and_reclaim_give_swap_back)
{
	const __u64 granule = variant->kind->granule;
	struct expertmem_reclaim arg;
	__u64 offset;

	ASSERT_EQ(join_group(), 0);
	ASSERT_EQ(region_alloc(&self->window, SIZE, &offset), 0);
	write_pages(&self->window, offset, SIZE);
	EXPECT_LE(swap_out(self->window.fd), SIZE / 8);
	ASSERT_EQ(region_free(&self->window, offset), 0);
	EXPECT_TRUE(swap_is_back(self, 0));

	ASSERT_EQ(region_alloc(&self->window, SIZE, &offset), 0);
	write_pages(&self->window, offset, SIZE);
	EXPECT_LE(swap_out(self->window.fd), SIZE / 8);
	ASSERT_EQ(region_realloc(&self->window, offset, granule), 0);
	EXPECT_TRUE(swap_is_back(self, granule));
	ASSERT_EQ(region_realloc(&self->window, offset, SIZE), 0);
	EXPECT_TRUE(pages_are_right(&self->window, offset, granule));
	EXPECT_TRUE(all_bytes(at(&self->window, offset + granule), SIZE - granule, 0));

	write_pages(&self->window, offset, SIZE);
	EXPECT_LE(swap_out(self->window.fd), SIZE / 8);
	ASSERT_EQ(expert_reclaim(self->window.fd, &arg), 0);
	EXPECT_EQ(arg.bytes, SIZE);
	EXPECT_TRUE(swap_is_back(self, 0));
	EXPECT_EQ(expert_stat(self->window.fd).pinned, 0);
}

/* What is given back there and then is no page that somebody holds. */
TEST_F(swap, madv_remove_takes_pages_out_of_swap)
{
	__u64 offset;

	ASSERT_EQ(join_group(), 0);
	ASSERT_EQ(region_alloc(&self->window, SIZE, &offset), 0);
	write_pages(&self->window, offset, SIZE);
	EXPECT_LE(swap_out(self->window.fd), SIZE / 8);
	EXPECT_EQ(madvise(at(&self->window, offset), SIZE, MADV_REMOVE), 0);
	EXPECT_TRUE(swap_is_back(self, 0));
	EXPECT_TRUE(all_bytes(at(&self->window, offset), SIZE, 0));
	EXPECT_EQ(expert_stat(self->window.fd).committed, SIZE);
}

static long major_faults(void)
{
	struct rusage usage;

	return getrusage(RUSAGE_SELF, &usage) ? -1 : usage.ru_majflt;
}

TEST_F(swap, swap_ins_are_major_faults_and_nothing_else_is)
{
	__u64 offset, out, events;
	long before;

	ASSERT_EQ(join_group(), 0);
	ASSERT_EQ(region_alloc(&self->window, SIZE, &offset), 0);
	/* what this test itself uses is not to be swapped in while it counts */
	ASSERT_EQ(mlockall(MCL_CURRENT), 0);
	before = major_faults();
	write_pages(&self->window, offset, SIZE);
	EXPECT_EQ(major_faults(), before);
	/* pages that are there, but not mapped any more */
	ASSERT_EQ(madvise(at(&self->window, offset), SIZE, MADV_DONTNEED), 0);
	EXPECT_TRUE(pages_are_right(&self->window, offset, SIZE));
	EXPECT_EQ(major_faults(), before);

	out = (SIZE - swap_out(self->window.fd)) / PAGE;
	ASSERT_GE(out, SIZE / PAGE / 2);
	events = value_in("/proc/vmstat", "pgmajfault");
	before = major_faults();
	EXPECT_TRUE(pages_are_right(&self->window, offset, SIZE));
	TH_LOG("%llu pages were in swap, %ld major faults", out, major_faults() - before);
	EXPECT_LE(major_faults() - before, (long)out);
	/* a kernel may read a huge page at once */
	EXPECT_GE(major_faults() - before, (long)(out * PAGE / variant->kind->granule));
	EXPECT_GE(value_in("/proc/vmstat", "pgmajfault") - events,
		  out * PAGE / variant->kind->granule);

	before = major_faults();
	EXPECT_TRUE(pages_are_right(&self->window, offset, SIZE));
	EXPECT_EQ(major_faults(), before);
	munlockall();
}

/* More than a group may have at once goes to swap meanwhile. */
static void fill_beyond(struct __test_metadata *_metadata, FIXTURE_DATA(swap) *self,
			const char *file, __u64 *offset)
{
	int i;

	ASSERT_EQ(file_write(file, "8M"), 0);
	ASSERT_EQ(join_group(), 0);
	ASSERT_EQ(region_alloc(&self->window, SIZE, offset), 0);
	for (i = 0; i < 2; i++) {
		write_pages(&self->window, *offset, SIZE);
		ASSERT_TRUE(pages_are_right(&self->window, *offset, SIZE));
	}
	EXPECT_EQ(expert_stat(self->window.fd).state, EXPERTMEM_STATE_RUNNING);
	EXPECT_LE(meminfo("SwapFree"), self->free - SIZE / 4);
	EXPECT_EQ(value_in(GROUP "memory.events", "oom_kill"), 0);
}

TEST_F(swap, region_beyond_memory_high_keeps_its_bytes)
{
	__u64 offset;

	fill_beyond(_metadata, self, GROUP "memory.high", &offset);
	EXPECT_GT(value_in(GROUP "memory.events", "high"), 0);
	ASSERT_EQ(region_free(&self->window, offset), 0);
	EXPECT_TRUE(swap_is_back(self, 0));
	EXPECT_GE(SLACK, group_shmem());
}

TEST_F(swap, region_beyond_memory_max_keeps_its_bytes)
{
	__u64 offset;

	fill_beyond(_metadata, self, GROUP "memory.max", &offset);
	EXPECT_GT(value_in(GROUP "memory.events", "max"), 0);
	ASSERT_EQ(region_free(&self->window, offset), 0);
	EXPECT_TRUE(swap_is_back(self, 0));
	EXPECT_GE(SLACK, group_shmem());
}

TEST_F(swap, copy_beyond_memory_max_has_the_same_bytes)
{
	struct expertmem_copy arg = { .fd = self->window.fd };
	struct window copy;
	__u64 offset;

	fill_beyond(_metadata, self, GROUP "memory.max", &offset);
	ASSERT_EQ(window_open(&copy, variant->kind, WINDOW, 0), 0);
	ASSERT_EQ(expert_ioctl(copy.fd, EXPERTMEM_IOC_COPY, &arg), 0);
	EXPECT_TRUE(pages_are_right(&copy, offset, SIZE));
	EXPECT_TRUE(pages_are_right(&self->window, offset, SIZE));
	EXPECT_EQ(value_in(GROUP "memory.events", "oom_kill"), 0);
	window_close(&copy);
}

TEST_F(swap, populating_beyond_memory_max_works_with_swap)
{
	__u64 offset, i;

	ASSERT_EQ(file_write(GROUP "memory.max", "8M"), 0);
	ASSERT_EQ(join_group(), 0);
	ASSERT_EQ(region_alloc_flags(&self->window, EXPERTMEM_ALLOC_POPULATE, SIZE, 0, &offset),
		  0);
	for (i = 0; i < SIZE; i += PAGE)
		ASSERT_EQ(*(__u64 *)at(&self->window, offset + i), 0);
	EXPECT_EQ(value_in(GROUP "memory.events", "oom_kill"), 0);
}

/* ------------------------------------------------------------ swap, under load */

#define WORKERS		3
#define MAX_GRANULES	4

/* Makes, writes, checks, resizes and frees regions of its own. */
struct worker {
	pthread_t thread;
	const struct window *window;
	unsigned int seed;
	int stop;
	unsigned long frees;
	const char *wrong;
};

static unsigned int any(struct worker *worker, unsigned int n)
{
	return rand_r(&worker->seed) % n;
}

/* Pages hold their address and a serial number; those that are new, zero. */
static bool write_words(const struct window *window, __u64 from, __u64 to, __u64 serial)
{
	for (; from < to; from += PAGE) {
		__u64 *page = (__u64 *)at(window, from);

		if (page[0] || page[1])
			return false;
		page[0] = from;
		page[1] = serial;
	}
	return true;
}

static bool words_are(const struct window *window, __u64 from, __u64 to, __u64 serial)
{
	for (; from < to; from += PAGE) {
		const __u64 *page = (__u64 *)at(window, from);

		if (page[0] != from || page[1] != serial)
			return false;
	}
	return true;
}

static const char *work_once(struct worker *worker, __u64 serial)
{
	const struct window *window = worker->window;
	__u64 granule = window->granule, offset, size, next;
	int i;

	size = (1 + any(worker, MAX_GRANULES)) * granule;
	if (region_alloc_flags(window, 0, size, MAX_GRANULES * granule, &offset))
		return "ALLOC failed";
	if (!write_words(window, offset, offset + size, serial))
		return "a new region is not zero";
	for (i = any(worker, 4); i; i--) {
		next = (1 + any(worker, MAX_GRANULES)) * granule;
		if (any(worker, 4) == 0)
			madvise(at(window, offset), size, MADV_PAGEOUT);
		if (!words_are(window, offset, offset + size, serial))
			return "a region has changed";
		if (region_realloc(window, offset, next))
			return "REALLOC failed";
		if (next > size && !write_words(window, offset + size, offset + next, serial))
			return "what a region grew by is not zero";
		size = next;
	}
	if (!words_are(window, offset, offset + size, serial))
		return "a region has changed";
	return region_free(window, offset) ? "FREE failed" : NULL;
}

static void *work(void *arg)
{
	struct worker *worker = arg;
	__u64 serial = (__u64)worker->seed << 32;

	while (!worker->wrong && !__atomic_load_n(&worker->stop, __ATOMIC_RELAXED)) {
		worker->wrong = work_once(worker, ++serial);
		__atomic_add_fetch(&worker->frees, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

static void start_workers(struct __test_metadata *_metadata, struct worker *workers,
			  const struct window *window)
{
	int i;

	for (i = 0; i < WORKERS; i++) {
		workers[i] = (struct worker) { .window = window, .seed = i + 1 };
		ASSERT_EQ(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
	}
}

static void stop_workers(struct __test_metadata *_metadata, struct worker *workers)
{
	unsigned long frees = 0;
	int i;

	for (i = 0; i < WORKERS; i++)
		__atomic_store_n(&workers[i].stop, 1, __ATOMIC_RELAXED);
	for (i = 0; i < WORKERS; i++) {
		EXPECT_EQ(pthread_join(workers[i].thread, NULL), 0);
		EXPECT_EQ(workers[i].wrong, NULL)
			TH_LOG("%s", workers[i].wrong);
		frees += workers[i].frees;
	}
	TH_LOG("%lu regions", frees);
	EXPECT_GT(frees, 0);
}

static void check_empty(struct __test_metadata *_metadata, int fd)
{
	time_t end = time(NULL) + PATIENCE;
	struct expertmem_stat stat = expert_stat(fd);

	EXPECT_EQ(stat.regions, 0);
	EXPECT_EQ(stat.committed, 0);
	EXPECT_EQ(stat.resident, 0);
	while (expert_stat(fd).pinned && time(NULL) < end)
		usleep(20000);
	EXPECT_EQ(expert_stat(fd).pinned, 0);
}

/* All that is in swap is read back by swapoff(). */
TEST_F(swap, swapoff_brings_every_page_back)
{
	__u64 offset;

	ASSERT_EQ(join_group(), 0);
	ASSERT_EQ(region_alloc(&self->window, SIZE, &offset), 0);
	write_pages(&self->window, offset, SIZE);
	EXPECT_LE(swap_out(self->window.fd), SIZE / 8);
	ASSERT_EQ(swapoff(variant->disk->path), 0);
	EXPECT_EQ(resident(self->window.fd), SIZE);
	EXPECT_TRUE(pages_are_right(&self->window, offset, SIZE));
	ASSERT_EQ(region_free(&self->window, offset), 0);
	check_empty(_metadata, self->window.fd);
	ASSERT_EQ(variant->disk->on(), 0);
}

TEST_F(swap, no_byte_changes_when_swapoff_comes_under_load)
{
	unsigned long i, n = rounds(50);
	struct worker workers[WORKERS];

	ASSERT_EQ(join_group(), 0);
	start_workers(_metadata, workers, &self->window);
	for (i = 0; i < n; i++) {
		file_write(GROUP "memory.reclaim", "16M");
		if (swapoff(variant->disk->path))
			break;
		if (variant->disk->on())
			break;
	}
	EXPECT_EQ(i, n) TH_LOG("%s", strerror(errno));
	stop_workers(_metadata, workers);
	check_empty(_metadata, self->window.fd);
	EXPECT_TRUE(swap_is_back(self, 0));
}

TEST_F(swap, no_byte_changes_when_the_group_is_reclaimed_under_load)
{
	unsigned long i, n = rounds(200);
	struct worker workers[WORKERS];

	ASSERT_EQ(join_group(), 0);
	start_workers(_metadata, workers, &self->window);
	for (i = 0; i < n; i++) {
		file_write(GROUP "memory.reclaim", "16M");
		file_write(GROUP "memory.high", i % 2 ? "max" : "4M");
	}
	stop_workers(_metadata, workers);
	check_empty(_metadata, self->window.fd);
	EXPECT_TRUE(swap_is_back(self, 0));
}

/* ------------------------------------------------------ what groups are charged */

FIXTURE(group)
{
	struct parameter total_limit;
};

FIXTURE_SETUP(group)
{
	NEED_DEVICE();
	make_group(_metadata);
	ASSERT_EQ(parameter_set(&self->total_limit, "total_limit", "0"), 0);
}

FIXTURE_TEARDOWN(group)
{
	EXPECT_EQ(parameter_restore(&self->total_limit), 0);
	remove_group(_metadata);
}

/* Without swap a group that is above memory.high is slow, and loses nothing. */
TEST_F(group, region_above_memory_high_without_swap_keeps_its_bytes)
{
	struct window window;
	__u64 offset;

	ASSERT_EQ(file_write(GROUP "memory.high", "16M"), 0);
	ASSERT_EQ(join_group(), 0);
	ASSERT_EQ(window_open(&window, &small_window, WINDOW, 0), 0);
	ASSERT_EQ(region_alloc(&window, 16 * MIB, &offset), 0);
	write_pages(&window, offset, 16 * MIB);
	EXPECT_GT(value_in(GROUP "memory.events", "high"), 0);
	EXPECT_TRUE(pages_are_right(&window, offset, 16 * MIB));
	ASSERT_EQ(region_free(&window, offset), 0);
	check_empty(_metadata, window.fd);
	window_close(&window);
}

/* Write a byte into each of the pages of another process. */
static bool write_from_outside(pid_t pid, unsigned char *addr, size_t size)
{
	char byte = 1;
	struct iovec local = { &byte, 1 }, remote = { addr, 1 };

	for (; size; size -= PAGE, remote.iov_base = (char *)remote.iov_base + PAGE)
		if (process_vm_writev(pid, &local, 1, &remote, 1, 0) != 1)
			return false;
	return true;
}

TEST_F(group, pages_are_charged_to_the_group_of_the_owner_whoever_touches_them)
{
	unsigned char *window = MAP_FAILED;
	struct expertmem_alloc arg = { .size = SIZE };
	int fd = expert_open(), line[2];
	pid_t pid;

	ASSERT_GE(fd, 0);
	ASSERT_EQ(pipe(line), 0);
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		if (!join_group())
			window = mmap(NULL, WINDOW, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
				      EXPERTMEM_SMALL_OFFSET);
		if (write(line[1], &window, sizeof(window)) == sizeof(window))
			pause();
		_exit(1);
	}
	ASSERT_EQ(read(line[0], &window, sizeof(window)), sizeof(window));
	ASSERT_NE(window, MAP_FAILED);
	ASSERT_EQ(expert_ioctl(fd, EXPERTMEM_IOC_ALLOC, &arg), 0);
	EXPECT_GE(SLACK, group_shmem());
	EXPECT_TRUE(write_from_outside(pid, window + (arg.offset - EXPERTMEM_SMALL_OFFSET),
				       SIZE));
	EXPECT_EQ(resident(fd), SIZE);
	EXPECT_LE(SIZE, group_shmem() + SLACK);
	EXPECT_GE(SIZE + SLACK, group_shmem());
	kill(pid, SIGKILL);
	EXPECT_EQ(child_status(pid), 128 + SIGKILL);
	check_empty(_metadata, fd);
	close(fd);
}

/* What the slabs take, without what kmemleak keeps of each object. */
static __u64 slabs(void)
{
	unsigned long total, size, per_slab, pages, used;
	__u64 bytes = meminfo("Slab");
	char line[512], name[64];
	FILE *file = fopen("/proc/slabinfo", "re");

	while (file && fgets(line, sizeof(line), file)) {
		const char *data = strstr(line, "slabdata");

		if (!data || strncmp(line, "kmemleak", 8) ||
		    sscanf(line, "%63s %*u %lu %lu %lu %lu", name, &total, &size, &per_slab,
			   &pages) != 5 ||
		    sscanf(data, "slabdata %*u %lu", &used) != 1)
			continue;
		bytes -= used * pages * PAGE;
	}
	if (file)
		fclose(file);
	return bytes;
}

TEST_F(group, regions_are_charged_to_the_group_that_makes_them)
{
	unsigned long i, n = rounds(250000);
	__u64 before, charged, offset;
	struct window window;

	/* less is no more than the noise */
	if (n < 100000)
		n = 100000;
	ASSERT_EQ(join_group(), 0);
	ASSERT_EQ(window_open(&window, &small_window, TIB, 0), 0);
	ASSERT_EQ(region_alloc(&window, 1, &offset), 0);
	charged = group_value("memory.current");
	before = slabs();
	for (i = 0; i < n; i++)
		ASSERT_EQ(region_alloc(&window, 1, &offset), 0);
	charged = group_value("memory.current") - charged;
	before = slabs() - before;
	TH_LOG("%lu regions: the slabs grew by %llu KiB, the group's memory by %llu KiB",
	       n, before / KIB, charged / KIB);
	EXPECT_GE(before, n * 64);
	/* the kernel itself keeps a pointer for each object: 90 % is all of the rest */
	EXPECT_GE(charged * 100, before * 90);
	window_close(&window);
}

#define EXPERTS		2000

TEST_F(group, experts_are_charged_to_the_group_that_opens_them)
{
	const struct rlimit files = { 2 * EXPERTS, 2 * EXPERTS };
	static struct window windows[EXPERTS];
	unsigned long i, n = rounds(EXPERTS);
	__u64 before, charged;

	if (n < EXPERTS / 4)
		n = EXPERTS / 4;
	ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &files), 0);
	ASSERT_EQ(join_group(), 0);
	ASSERT_EQ(window_open(&windows[0], &small_window, MIB, 0), 0);
	charged = group_value("memory.current");
	before = slabs();
	for (i = 1; i < n; i++)
		ASSERT_EQ(window_open(&windows[i], &small_window, MIB, 0), 0);
	charged = group_value("memory.current") - charged;
	/* the status pages are no slabs */
	before = slabs() - before + n * PAGE;
	TH_LOG("%lu experts: the kernel took %llu KiB, the group's memory grew by %llu KiB",
	       n, before / KIB, charged / KIB);
	/* each CPU has some of the group's memory at hand */
	EXPECT_GE(charged * 100, before * 75);
	for (i = 0; i < n; i++)
		window_close(&windows[i]);
}

/* ------------------------------------------------------------------- bad memory */

static sigjmp_buf bad_env;
static siginfo_t bad_info;

static void bad_memory(int sig, siginfo_t *info, void *context)
{
	bad_info = *info;
	siglongjmp(bad_env, sig);
}

/* The signal that reading a byte raises; bad_info says more. */
static int read_bad(const volatile unsigned char *addr)
{
	struct sigaction action = { .sa_sigaction = bad_memory, .sa_flags = SA_SIGINFO }, old;
	int sig;

	memset(&bad_info, 0, sizeof(bad_info));
	sigaction(SIGBUS, &action, &old);
	sig = sigsetjmp(bad_env, 1);
	if (!sig)
		(void)*addr;
	sigaction(SIGBUS, &old, NULL);
	return sig;
}

#define BAD_GRANULES	4

FIXTURE(bad)
{
	struct window window;
	__u64 offset;		/* of a region; in its second granule is the bad page */
	unsigned char *page;
	__u64 size;
};

FIXTURE_VARIANT(bad)
{
	const struct window *kind;
};

FIXTURE_VARIANT_ADD(bad, small) { .kind = &small_window };
FIXTURE_VARIANT_ADD(bad, huge) { .kind = &huge_window };

FIXTURE_SETUP(bad)
{
	NEED_DEVICE();
	ASSERT_EQ(window_open(&self->window, variant->kind, WINDOW, 0), 0);
	self->size = BAD_GRANULES * variant->kind->granule;
	ASSERT_EQ(region_alloc(&self->window, self->size, &self->offset), 0);
	write_pages(&self->window, self->offset, self->size);
	self->page = at(&self->window, self->offset) + variant->kind->granule +
		     variant->kind->granule / 2 / PAGE * PAGE;
}

FIXTURE_TEARDOWN(bad)
{
	window_close(&self->window);
}

/* Since 6.11 the kernel sends whoever reports a mapped page as bad a signal at once. */
static int make_bad(void *page)
{
	struct sigaction action = { .sa_sigaction = bad_memory, .sa_flags = SA_SIGINFO }, old;
	int err = 0;

	sigaction(SIGBUS, &action, &old);
	if (!sigsetjmp(bad_env, 1))
		err = result(madvise(page, PAGE, MADV_HWPOISON));
	sigaction(SIGBUS, &old, NULL);
	return err;
}

#define MAKE_BAD()								\
	do {									\
		int bad_err = make_bad(self->page);				\
										\
		if (bad_err == -EINVAL || bad_err == -EPERM)			\
			SKIP(return, "this kernel does not know bad memory: %s",	\
			     strerror(-bad_err));				\
		ASSERT_EQ(bad_err, 0);						\
	} while (0)

/* All pages but the bad one. */
static bool others_are_right(const FIXTURE_DATA(bad) *self)
{
	__u64 bad = self->offset + (self->page - at(&self->window, self->offset));

	return pages_are_right(&self->window, self->offset, bad - self->offset) &&
	       pages_are_right(&self->window, bad + PAGE, self->offset + self->size - bad - PAGE);
}

TEST_F(bad, touching_a_bad_page_is_a_sigbus_that_says_so)
{
	MAKE_BAD();
	EXPECT_EQ(read_bad(self->page), SIGBUS);
	EXPECT_EQ(bad_info.si_code, BUS_MCEERR_AR);
	EXPECT_EQ(bad_info.si_addr, self->page);
	EXPECT_EQ(1UL << bad_info.si_addr_lsb, PAGE);
	EXPECT_EQ(write_touch(self->page), SIGBUS);
	EXPECT_TRUE(others_are_right(self));
	EXPECT_EQ(expert_stat(self->window.fd).state, EXPERTMEM_STATE_RUNNING);
	/* and does not go away */
	EXPECT_EQ(read_bad(self->page), SIGBUS);
}

TEST_F(bad, region_with_a_bad_page_can_be_freed_and_its_place_used_again)
{
	__u64 again;

	MAKE_BAD();
	ASSERT_EQ(region_free(&self->window, self->offset), 0);
	check_empty(_metadata, self->window.fd);
	ASSERT_EQ(region_alloc(&self->window, self->size, &again), 0);
	ASSERT_EQ(again, self->offset);
	EXPECT_TRUE(all_bytes(at(&self->window, again), self->size, 0));
	write_pages(&self->window, again, self->size);
	EXPECT_TRUE(pages_are_right(&self->window, again, self->size));
}

TEST_F(bad, region_with_a_bad_page_can_be_shrunk)
{
	const __u64 granule = variant->kind->granule;

	MAKE_BAD();
	ASSERT_EQ(region_realloc(&self->window, self->offset, granule), 0);
	EXPECT_EQ(expert_stat(self->window.fd).committed, granule);
	EXPECT_EQ(resident(self->window.fd), granule);
	EXPECT_EQ(expert_stat(self->window.fd).pinned, 0);
	ASSERT_EQ(region_realloc(&self->window, self->offset, self->size), 0);
	EXPECT_TRUE(pages_are_right(&self->window, self->offset, granule));
	EXPECT_TRUE(all_bytes(at(&self->window, self->offset + granule), self->size - granule,
			      0));
}

TEST_F(bad, bad_page_can_be_removed)
{
	MAKE_BAD();
	EXPECT_EQ(madvise(self->page, PAGE, MADV_REMOVE), 0);
	EXPECT_EQ(read_bad(self->page), 0);
	EXPECT_TRUE(all_bytes(self->page, PAGE, 0));
	EXPECT_TRUE(others_are_right(self));
}

TEST_F(bad, expert_with_a_bad_page_can_be_reclaimed)
{
	struct expertmem_reclaim arg;

	MAKE_BAD();
	ASSERT_EQ(expert_reclaim(self->window.fd, &arg), 0);
	EXPECT_EQ(arg.bytes, self->size);
	check_empty(_metadata, self->window.fd);
}

TEST_F(bad, copy_of_a_bad_page_is_eio_and_leaves_nothing)
{
	struct expertmem_copy arg = { .fd = self->window.fd };
	struct window copy;

	ASSERT_EQ(window_open(&copy, variant->kind, WINDOW, 0), 0);
	MAKE_BAD();
	EXPECT_EQ(expert_ioctl(copy.fd, EXPERTMEM_IOC_COPY, &arg), -EIO);
	check_empty(_metadata, copy.fd);
	EXPECT_EQ(read_touch(at(&copy, self->offset)), SIGSEGV);
	EXPECT_TRUE(others_are_right(self));
	/* without it, there is nothing wrong */
	ASSERT_EQ(madvise(self->page, PAGE, MADV_REMOVE), 0);
	EXPECT_EQ(expert_ioctl(copy.fd, EXPERTMEM_IOC_COPY, &arg), 0);
	window_close(&copy);
}

/* The page is replaced by another one while it can be read. */
TEST_F(bad, page_that_goes_out_of_service_loses_nothing)
{
	int tries, err = -EBUSY;

	for (tries = 0; tries < 20 && err; tries++) {
		err = result(madvise(self->page, PAGE, MADV_SOFT_OFFLINE));
		if (err == -EINVAL || err == -EPERM || err == -EOPNOTSUPP)
			SKIP(return, "this kernel takes no pages out of service: %s",
			     strerror(-err));
	}
	EXPECT_EQ(err, 0);
	EXPECT_TRUE(pages_are_right(&self->window, self->offset, self->size));
	EXPECT_EQ(resident(self->window.fd), self->size);
	write_pages(&self->window, self->offset, self->size);
	EXPECT_TRUE(pages_are_right(&self->window, self->offset, self->size));
	ASSERT_EQ(region_free(&self->window, self->offset), 0);
	check_empty(_metadata, self->window.fd);
}

/* --------------------------------------------- a swap disk that does not answer */

/* Pages that are in swap. */
#define SWAPPED		16

/* What a thread of the expert is to do when it is told to. */
enum job { FAULT, FREE, COPY, CHECK, JOBS };

/**
 * struct expert - a process with an expert whose pages are in swap, and with threads. Others do
 * not live in its mm: a fault that hangs may hold the lock of that.
 * @fds: the expert, and another one whose window is mapped, too
 * @windows: of these
 * @swapped: a region of SWAPPED pages in swap
 * @other: a region of a page that is in memory
 * @ready: the threads wait for their jobs; negative: what went wrong
 * @go: by job: to be done now
 * @tids: by job: whose it is
 * @done: by job: it is done
 * @results: by job
 */
struct expert {
	int fds[2];
	struct window windows[2];
	__u64 swapped;
	__u64 other;
	int ready;
	int go[JOBS];
	pid_t tids[JOBS];
	int done[JOBS];
	int results[JOBS];
};

/* Shared with the process. */
static struct expert *expert;

#define load(pointer)		__atomic_load_n(pointer, __ATOMIC_SEQ_CST)
#define store(pointer, value)	__atomic_store_n(pointer, value, __ATOMIC_SEQ_CST)

static int do_job(enum job job)
{
	struct expertmem_copy copy = { .fd = expert->fds[0] };
	__u64 value = 0;
	int sig;

	switch (job) {
	case FAULT:
		sig = peek((__u64 *)at(&expert->windows[0], expert->swapped), &value);
		return sig ? sig : value == expert->swapped ? 0 : -1;
	case FREE:
		return region_free(&expert->windows[0], expert->other);
	case COPY:
		return expert_ioctl(expert->fds[1], EXPERTMEM_IOC_COPY, &copy);
	default:
		return pages_are_right(&expert->windows[0], expert->swapped,
				       SWAPPED * PAGE) ? 0 : -1;
	}
}

static void *wait_for_job(void *arg)
{
	enum job job = (int *)arg - expert->go;

	store(&expert->tids[job], gettid());
	while (!load(&expert->go[job]))
		usleep(5000);
	expert->results[job] = do_job(job);
	store(&expert->done[job], 1);
	return NULL;
}

static int expert_begin(void)
{
	pthread_t thread;
	int i, err;

	/* nothing else of this process is to be in swap when that does not answer */
	if (join_group() || mlockall(MCL_CURRENT | MCL_FUTURE))
		return -EPERM;
	for (i = 0; i < 2; i++) {
		err = window_map(&expert->windows[i], &small_window, expert->fds[i], WINDOW);
		if (err)
			return err;
	}
	err = region_alloc(&expert->windows[0], SWAPPED * PAGE, &expert->swapped);
	if (err)
		return err;
	write_pages(&expert->windows[0], expert->swapped, SWAPPED * PAGE);
	if (!swap_out_all(&expert->windows[0], expert->swapped, SWAPPED))
		return -EBUSY;
	err = region_alloc(&expert->windows[0], PAGE, &expert->other);
	if (err)
		return err;
	*at(&expert->windows[0], expert->other) = 1;
	faults_catch();
	for (i = 0; i < JOBS; i++) {
		err = pthread_create(&thread, NULL, wait_for_job, &expert->go[i]);
		while (!err && !load(&expert->tids[i]))
			usleep(5000);
	}
	return -err;
}

FIXTURE(stuck)
{
	struct nbd nbd;
	struct nl nl;
	__u64 id;
	pid_t pid;		/* of the expert's process */
	time_t end;		/* of the patience */
};

/* Have something done that hangs until the disk answers, or until what hangs is over. */
static void start(enum job job)
{
	store(&expert->go[job], 1);
}

static bool is_done(enum job job)
{
	return load(&expert->done[job]);
}

FIXTURE_SETUP(stuck)
{
	int i, err;

	NEED_DEVICE();
	make_group(_metadata);
	err = nbd_open(&self->nbd);
	if (err)
		SKIP_TEST("no module nbd for a disk that can be made to wait: %s",
			  strerror(-err));
	ASSERT_EQ(swap_on(NBD_DISK), 0);
	ASSERT_EQ(nl_open(&self->nl), 0);
	expert = mmap(NULL, sizeof(*expert), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(expert, MAP_FAILED);
	for (i = 0; i < 2; i++) {
		expert->fds[i] = expert_open();
		ASSERT_GE(expert->fds[i], 0);
	}
	self->id = expert_stat(expert->fds[0]).id;
	self->pid = fork();
	ASSERT_GE(self->pid, 0);
	if (!self->pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		err = expert_begin();
		store(&expert->ready, err ? err : 1);
		for (;;)
			pause();
	}
	self->end = time(NULL) + PATIENCE;
	while (!load(&expert->ready) && time(NULL) < self->end)
		usleep(20000);
	ASSERT_EQ(expert->ready, 1);
	nbd_hold(&self->nbd, true);
}

FIXTURE_TEARDOWN(stuck)
{
	int i;

	nbd_hold(&self->nbd, false);
	kill(self->pid, SIGKILL);
	child_status(self->pid);
	for (i = 0; i < 2; i++)
		close(expert->fds[i]);
	EXPECT_EQ(swapoff(NBD_DISK), 0);
	nbd_close(&self->nbd);
	close(self->nl.fd);
	remove_group(_metadata);
}

/* Wait until a thread of the expert sleeps and cannot be interrupted. */
static bool wait_blocked(const FIXTURE_DATA(stuck) *self, enum job job)
{
	time_t end = time(NULL) + PATIENCE;
	char path[64], stat[256];
	const char *state;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", self->pid, expert->tids[job]);
	for (; time(NULL) < end; usleep(20000)) {
		state = file_read(path, stat, sizeof(stat)) ? NULL : strrchr(stat, ')');
		if (state && state[2] == 'D')
			return true;
	}
	return false;
}

/* Let the disk answer, and wait for what that ends. */
static void finish(struct __test_metadata *_metadata, FIXTURE_DATA(stuck) *self, enum job job)
{
	time_t end = time(NULL) + PATIENCE;

	EXPECT_FALSE(is_done(job));
	nbd_hold(&self->nbd, false);
	while (!is_done(job) && time(NULL) < end)
		usleep(20000);
	EXPECT_TRUE(is_done(job));
}

static void count_told(const struct told *told, void *arg)
{
	++*(int *)arg;
}

/*
 * In a child, which the test can end: ask everything that an operator may ask of an expert.
 * Returns which request failed.
 */
static int ask(__u64 id, int fd)
{
	struct told answer;
	struct nl nl;
	int n = 0;

	if (nl_open(&nl))
		return 1;
	if (nl_do(&nl, EXPERTMEM_CMD_EXPERT_GET, id, &answer) || answer.value[E(ID)] != id)
		return 2;
	if (nl_dump(&nl, 0, count_told, &n) || !n)
		return 3;
	if (nl_dump(&nl, id, count_told, &n))
		return 4;
	answer = nl_stats(&nl);
	if (!told(&answer, S(EXPERTS)))
		return 5;
	if (nl_set(&nl, id, GIB))
		return 6;
	if (nl_do(&nl, EXPERTMEM_CMD_TERMINATE, id, NULL))
		return 7;
	if (expert_stat(fd).id != id)
		return 8;
	return 0;
}

/* Wait for the end of a child; it is killed when that takes too long. 128 + the signal. */
static int patient_status(pid_t pid)
{
	time_t end = time(NULL) + PATIENCE;
	int status;

	while (!waitpid(pid, &status, WNOHANG)) {
		if (time(NULL) >= end)
			kill(pid, SIGKILL);
		usleep(20000);
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int ask_all(int fd)
{
	__u64 id = expert_stat(fd).id;
	pid_t pid = fork();

	if (!pid)
		_exit(ask(id, fd));
	return pid < 0 ? -errno : patient_status(pid);
}

TEST_F(stuck, requests_are_answered_while_a_fault_hangs)
{
	start(FAULT);
	ASSERT_TRUE(nbd_wait_held(&self->nbd));
	EXPECT_EQ(ask_all(expert->fds[0]), 0);
	EXPECT_EQ(expert_stat(expert->fds[0]).state, EXPERTMEM_STATE_TERMINATING);
	EXPECT_EQ(ask_all(expert->fds[0]), 0);
	finish(_metadata, self, FAULT);
	EXPECT_EQ(expert->results[FAULT], 0);
	start(CHECK);
	while (!is_done(CHECK) && time(NULL) < self->end)
		usleep(20000);
	EXPECT_TRUE(is_done(CHECK));
	EXPECT_EQ(expert->results[CHECK], 0);
}

TEST_F(stuck, requests_are_answered_while_free_waits_for_a_fault)
{
	start(FAULT);
	ASSERT_TRUE(nbd_wait_held(&self->nbd));
	start(FREE);
	EXPECT_TRUE(wait_blocked(self, FREE));
	EXPECT_EQ(ask_all(expert->fds[0]), 0);
	EXPECT_FALSE(is_done(FREE));
	finish(_metadata, self, FAULT);
	EXPECT_EQ(expert->results[FAULT], 0);
	while (!is_done(FREE) && time(NULL) < self->end)
		usleep(20000);
	EXPECT_EQ(expert->results[FREE], 0);
	EXPECT_EQ(expert_stat(expert->fds[0]).regions, 1);
}

TEST_F(stuck, requests_are_answered_while_copy_hangs)
{
	start(COPY);
	ASSERT_TRUE(nbd_wait_held(&self->nbd));
	EXPECT_EQ(ask_all(expert->fds[0]), 0);
	finish(_metadata, self, COPY);
	EXPECT_EQ(expert->results[COPY], 0);
	EXPECT_EQ(expert_stat(expert->fds[1]).regions, 2);
	EXPECT_EQ(expert_stat(expert->fds[1]).resident, (SWAPPED + 1) * PAGE);
}

TEST_F(stuck, requests_to_the_other_expert_are_answered_while_copy_hangs)
{
	start(COPY);
	ASSERT_TRUE(nbd_wait_held(&self->nbd));
	EXPECT_EQ(ask_all(expert->fds[1]), 0);
	finish(_metadata, self, COPY);
	/* it was terminated meanwhile; that stops no call which has begun */
	EXPECT_EQ(expert->results[COPY], 0);
}

static void interrupted(int sig)
{
}

/* In a child: what a RECLAIM that is interrupted by a signal returns. */
static pid_t reclaim_in_child(__u64 id)
{
	struct sigaction action = { .sa_handler = interrupted };
	pid_t pid = fork();
	struct nl nl;

	if (pid)
		return pid;
	sigaction(SIGUSR1, &action, NULL);
	if (nl_open(&nl))
		_exit(255);
	_exit(-nl_do(&nl, EXPERTMEM_CMD_RECLAIM, id, NULL));
}

/* Signal a child until it ends: what comes before it waits, it does not notice. */
static int interrupt(pid_t pid, int sig)
{
	time_t end = time(NULL) + PATIENCE;
	int status;

	while (!waitpid(pid, &status, WNOHANG)) {
		if (time(NULL) >= end)
			return -ETIMEDOUT;
		kill(pid, sig);
		usleep(100000);
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* A signal came, or the two seconds were over before one did. */
static bool is_cut_short(int status)
{
	return status == EINTR || status == EINPROGRESS;
}

static bool wait_reclaimed(int fd)
{
	time_t end = time(NULL) + PATIENCE;

	while (expert_stat(fd).state != EXPERTMEM_STATE_RECLAIMED && time(NULL) < end)
		usleep(20000);
	return expert_stat(fd).state == EXPERTMEM_STATE_RECLAIMED;
}

TEST_F(stuck, reclaim_can_be_interrupted_and_goes_on)
{
	pid_t first, second;

	start(FAULT);
	ASSERT_TRUE(nbd_wait_held(&self->nbd));
	first = reclaim_in_child(self->id);
	ASSERT_GT(first, 0);
	EXPECT_TRUE(wait_reclaimed(expert->fds[0]));
	EXPECT_TRUE(is_cut_short(interrupt(first, SIGUSR1)));
	EXPECT_EQ(ask_all(expert->fds[0]), 0);

	/* who comes second waits for the first; it can be interrupted and killed as well */
	first = reclaim_in_child(self->id);
	second = reclaim_in_child(self->id);
	usleep(200000);
	EXPECT_EQ(ask_all(expert->fds[0]), 0);
	EXPECT_TRUE(is_cut_short(interrupt(first, SIGUSR1)));
	EXPECT_EQ(interrupt(second, SIGKILL), 128 + SIGKILL);

	finish(_metadata, self, FAULT);
	/* it had passed the gate before */
	EXPECT_TRUE(!expert->results[FAULT] || expert->results[FAULT] == SIGSEGV);
	EXPECT_EQ(nl_do(&self->nl, EXPERTMEM_CMD_RECLAIM, self->id, NULL), 0);
	check_empty(_metadata, expert->fds[0]);
	EXPECT_EQ(expert_stat(expert->fds[0]).cause, EXPERTMEM_CAUSE_OPERATOR);
	EXPECT_EQ(expert_stat(expert->fds[0]).reclaimed, (SWAPPED + 1) * PAGE);
}

TEST_F(stuck, reclaim_that_takes_long_is_in_progress_and_goes_on)
{
	start(FAULT);
	ASSERT_TRUE(nbd_wait_held(&self->nbd));
	EXPECT_EQ(nl_do(&self->nl, EXPERTMEM_CMD_RECLAIM, self->id, NULL), -EINPROGRESS);
	EXPECT_EQ(nl_do(&self->nl, EXPERTMEM_CMD_RECLAIM, self->id, NULL), -EINPROGRESS);
	EXPECT_EQ(ask_all(expert->fds[0]), 0);
	finish(_metadata, self, FAULT);
	EXPECT_EQ(nl_do(&self->nl, EXPERTMEM_CMD_RECLAIM, self->id, NULL), 0);
	check_empty(_metadata, expert->fds[0]);
	EXPECT_EQ(expert_stat(expert->fds[0]).cause, EXPERTMEM_CAUSE_OPERATOR);
}

/* A process that was killed in a fault that hangs is not gone. Its expert can be seen. */
TEST_F(stuck, requests_are_answered_while_a_killed_process_hangs)
{
	start(FAULT);
	ASSERT_TRUE(nbd_wait_held(&self->nbd));
	ASSERT_EQ(kill(self->pid, SIGKILL), 0);
	EXPECT_EQ(ask_all(expert->fds[0]), 0);
	EXPECT_EQ(waitpid(self->pid, NULL, WNOHANG), 0);
	nbd_hold(&self->nbd, false);
	EXPECT_EQ(child_status(self->pid), 128 + SIGKILL);
	check_empty(_metadata, expert->fds[0]);
	EXPECT_EQ(expert_stat(expert->fds[0]).cause, EXPERTMEM_CAUSE_DETACH);
	self->pid = fork();
	if (!self->pid)
		_exit(0);
}

TEST_HARNESS_MAIN
