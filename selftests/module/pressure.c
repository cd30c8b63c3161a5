// SPDX-License-Identifier: GPL-2.0
/*
 * Windows under memory pressure: control groups at their limit, and swap that is turned on and
 * off. The bytes of an expert stay right, and are charged to the control group of the process
 * that touched them.
 *
 * needs: module root
 * also: slow
 */
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "pressure_test.h"

#define ZRAM		"/dev/zram0"
#define CLUSTER		"/proc/sys/vm/page-cluster"

/* a region that goes to swap */
#define SIZE		(16 * MIB)
/* what the counters of a group lag behind */
#define SLACK		(2 * MIB)

/* -------------------------------------------------------------- control groups */

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

/* Have the memory of the group go to swap until an expert has none; what it has left. */
static __u64 swap_out(int fd)
{
	int tries;

	for (tries = 0; tries < 50 && (resident(fd) || meminfo("SwapCached")); tries++)
		file_write(GROUP "memory.reclaim", "64M");
	return resident(fd);
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
	EXPECT_EQ(arg.reclaimed_bytes, SIZE);
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
	unsigned long i, n = rounds(20);
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

TEST_HARNESS_MAIN
