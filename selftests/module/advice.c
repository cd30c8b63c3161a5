// SPDX-License-Identifier: GPL-2.0
/*
 * madvise(), mlock(), msync() and the calls for memory policy on a window. After each call,
 * whether it succeeded or not: the bytes of regions are unchanged, addresses outside of
 * regions fault, STAT returns the same numbers, and the window still works.
 *
 * needs: module root
 */
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <linux/mempolicy.h>

#include "advice_test.h"
#include "memory_test.h"
#include "users_test.h"

/* The headers of Debian 12 do not have these. */
#ifndef SYS_set_mempolicy_home_node
#define SYS_set_mempolicy_home_node	450
#endif
#ifndef PR_SET_MEMORY_MERGE
#define PR_SET_MEMORY_MERGE		67
#endif

/* -------------------------------------------------------------------- madvise */

/* What madvise() answers; where no bit says otherwise, EINVAL. */
#define REFUSED		0
#define PART		1	/* 0 for a part of a window */
#define WHOLE		2	/* 0 for a whole window */
#define FAULTS		4	/* 0 inside a region, EFAULT elsewhere */
#define OPTIONAL	8	/* EINVAL on a kernel that does not have this advice */

/**
 * struct advice - a value of madvise()
 * @value: the number
 * @name: for messages
 * @answers: REFUSED, or bits from PART to OPTIONAL
 */
struct advice {
	int value;
	const char *name;
	int answers;
};

/*
 * Every advice but three. MADV_REMOVE discards bytes, and has a test of its own. MADV_HWPOISON
 * (100) and MADV_SOFT_OFFLINE (101) take memory away from the machine.
 */
static const struct advice advices[] = {
	{ 0, "MADV_NORMAL", PART | WHOLE },
	{ 1, "MADV_RANDOM", WHOLE },
	{ 2, "MADV_SEQUENTIAL", WHOLE },
	{ 3, "MADV_WILLNEED", PART | WHOLE },
	{ 4, "MADV_DONTNEED", PART | WHOLE },
	{ 8, "MADV_FREE", REFUSED },
	{ 10, "MADV_DONTFORK", WHOLE },
	{ 11, "MADV_DOFORK", WHOLE | OPTIONAL },
	{ 12, "MADV_MERGEABLE", PART | WHOLE | OPTIONAL },
	{ 13, "MADV_UNMERGEABLE", PART | WHOLE | OPTIONAL },
	{ 14, "MADV_HUGEPAGE", WHOLE | OPTIONAL },
	{ 15, "MADV_NOHUGEPAGE", WHOLE | OPTIONAL },
	{ 16, "MADV_DONTDUMP", PART | WHOLE },
	{ 17, "MADV_DODUMP", REFUSED },
	{ 18, "MADV_WIPEONFORK", REFUSED },
	{ 19, "MADV_KEEPONFORK", PART | WHOLE },
	{ 20, "MADV_COLD", PART | WHOLE },
	{ 21, "MADV_PAGEOUT", PART | WHOLE },
	{ 22, "MADV_POPULATE_READ", FAULTS },
	{ 23, "MADV_POPULATE_WRITE", FAULTS },
	{ 24, "MADV_DONTNEED_LOCKED", PART | WHOLE },
	{ 25, "MADV_COLLAPSE", REFUSED },
	{ 102, "MADV_GUARD_INSTALL", REFUSED },
	{ 103, "MADV_GUARD_REMOVE", REFUSED },
};

#define ADVICE_FIRST	(-1)
#define ADVICE_LAST	128

/*
 * The entry of @value. A kernel that takes an advice which is not in the table fails the test:
 * somebody has to find out first what that advice does to a window.
 */
static struct advice advice_of(int value)
{
	struct advice none = { .value = value, .name = "an unknown advice", .answers = REFUSED };
	size_t i;

	for (i = 0; i < COUNT_OF(advices); i++)
		if (advices[i].value == value)
			return advices[i];
	return none;
}

static bool is_tried(int value)
{
	return value != MADV_REMOVE && value != 100 && value != 101;
}

static bool may_answer(const struct advice *advice, const struct range *range, int answer)
{
	if (advice->answers & OPTIONAL && answer == -EINVAL)
		return true;
	if (advice->answers & FAULTS)
		return answer == (range->inside ? 0 : -EFAULT);
	return answer == (advice->answers & (range->whole ? WHOLE : PART) ? 0 : -EINVAL);
}

TEST_F(window, no_advice_changes_anything)
{
	struct range ranges[RANGES];
	int value, answer, i;

	ranges_of(self, ranges);
	for (value = ADVICE_FIRST; value <= ADVICE_LAST; value++) {
		const struct advice advice = advice_of(value);

		if (!is_tried(value))
			continue;
		for (i = 0; i < RANGES; i++) {
			answer = result(madvise(ranges[i].addr, ranges[i].size, value));
			EXPECT_TRUE(may_answer(&advice, &ranges[i], answer))
				TH_LOG("%s (%d) of %s: %d", advice.name, value, ranges[i].name,
				       answer);
		}
		EXPECT_UNCHANGED(self, "%s (%d)", advice.name, value);
	}
}

static int process_advise(int pidfd, void *addr, size_t size, int value, unsigned int flags)
{
	struct iovec iov = { addr, size };
	long advised = syscall(SYS_process_madvise, pidfd, &iov, 1, value, flags);

	return advised == (long)size ? 0 : advised < 0 ? -errno : -EIO;
}

TEST_F(window, no_advice_by_process_madvise_changes_anything)
{
	struct range ranges[RANGES];
	int pidfd = result(syscall(SYS_pidfd_open, getpid(), 0));
	int value, answer, i;

	ASSERT_LE(0, pidfd);
	ranges_of(self, ranges);
	for (value = ADVICE_FIRST; value <= ADVICE_LAST; value++) {
		/* Kernels differ in which advice they take by this call. */
		struct advice advice = advice_of(value);

		if (!is_tried(value))
			continue;
		advice.answers |= OPTIONAL;
		for (i = 0; i < RANGES; i++) {
			answer = process_advise(pidfd, ranges[i].addr, ranges[i].size, value, 0);
			EXPECT_TRUE(may_answer(&advice, &ranges[i], answer))
				TH_LOG("%s (%d) of %s: %d", advice.name, value, ranges[i].name,
				       answer);
			EXPECT_EQ(-EINVAL, process_advise(pidfd, ranges[i].addr, ranges[i].size,
							  value, 1));
		}
		EXPECT_UNCHANGED(self, "%s (%d)", advice.name, value);
	}
}

/* Advice pages memory out only where the system has swap. */
TEST_F(window, memory_that_is_paged_out_comes_back)
{
	const struct window *w = &self->w;
	unsigned char *addr = at(w, self->offset);
	time_t end = time(NULL) + 60;
	int err = swap_on(RAMDISK);

	if (err)
		SKIP_TEST(RAMDISK ": %s; modprobe brd", strerror(-err));
	do {
		EXPECT_EQ(0, madvise(addr, self->size, MADV_PAGEOUT));
	} while (expert_stat(w->fd).resident == self->size && time(NULL) < end);
	EXPECT_GT(self->size, expert_stat(w->fd).resident);
	EXPECT_EQ(self->size, expert_stat(w->fd).committed);
	EXPECT_UNCHANGED(self, "MADV_PAGEOUT");
	EXPECT_EQ(0, madvise(addr, self->size, MADV_PAGEOUT));
	EXPECT_EQ(0, madvise(addr, self->size, MADV_WILLNEED));
	EXPECT_EQ(0, swapoff(RAMDISK));
	EXPECT_EQ(self->size, expert_stat(w->fd).resident);
	EXPECT_UNCHANGED(self, "swapoff()");
}

TEST_F(window, removing_pages_takes_those_of_the_region_only)
{
	unsigned char *addr = at(&self->w, self->offset);
	struct range ranges[RANGES];
	int i;

	ranges_of(self, ranges);
	for (i = 0; i < RANGES; i++) {
		const struct range *range = &ranges[i];
		bool misses = !range->inside && range->addr > addr;

		ASSERT_EQ(0, madvise(range->addr, range->size, MADV_REMOVE))
			TH_LOG("%s", range->name);
		EXPECT_TRUE(range->inside ? all_bytes(range->addr, range->size, 0) :
					    all_bytes(addr, self->size, misses ? BYTE : 0))
			TH_LOG("%s", range->name);
		memset(addr, BYTE, self->size);
		EXPECT_UNCHANGED(self, "MADV_REMOVE of %s", range->name);
	}
}

/*
 * For a mapping with VM_DONTEXPAND the mm refuses huge pages of its own making, guard regions,
 * core dumps and growing. The region here has room for an aligned huge page.
 */
TEST_F(window, what_dontexpand_forbids_is_refused)
{
	const struct window *w = &self->w;
	const int forbidden[] = { 17 /* DODUMP */, 25 /* COLLAPSE */, 102, 103 /* GUARD_* */ };
	unsigned char *addr;
	__u64 offset;
	size_t i;

	ASSERT_EQ(0, region_alloc_flags(w, EXPERTMEM_ALLOC_POPULATE, 2 * HUGE, 0, &offset));
	addr = at(w, offset);
	addr += -(unsigned long)addr % HUGE;
	memset(addr, BYTE, HUGE);
	for (i = 0; i < COUNT_OF(forbidden); i++) {
		EXPECT_EQ(-EINVAL, result(madvise(addr, HUGE, forbidden[i])))
			TH_LOG("advice %d", forbidden[i]);
		EXPECT_EQ(-EINVAL, result(madvise(w->addr, w->size, forbidden[i])))
			TH_LOG("advice %d", forbidden[i]);
		EXPECT_TRUE(all_bytes(addr, HUGE, BYTE));
	}
	EXPECT_EQ(MAP_FAILED, mremap(w->addr, w->size, w->size + HUGE, 0));
	EXPECT_EQ(MAP_FAILED, mremap(w->addr, 0, w->size, MREMAP_MAYMOVE));
	ASSERT_EQ(0, region_free(w, offset));
	EXPECT_UNCHANGED(self, "all of these");
}

#define KHUGEPAGED	"/sys/kernel/mm/transparent_hugepage/khugepaged/"

/* How often khugepaged has scanned all processes; -1: this kernel has no khugepaged. */
static long full_scans(void)
{
	char text[32];

	return file_read(KHUGEPAGED "full_scans", text, sizeof(text)) ? -1 : atol(text);
}

/* khugepaged scans only processes that have a mapping which it may collapse. */
TEST_F(window, khugepaged_leaves_windows_alone)
{
	const struct window *w = &self->w;
	time_t end = time(NULL) + 300;
	long scans = full_scans();
	unsigned char *bait;
	char old[32];

	bait = mmap(NULL, 4 * HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, bait);
	if (scans < 0 || file_read(KHUGEPAGED "scan_sleep_millisecs", old, sizeof(old)) ||
	    madvise(bait, 4 * HUGE, MADV_HUGEPAGE) || madvise(w->addr, w->size, MADV_HUGEPAGE))
		SKIP_TEST("this kernel has no khugepaged");
	memset(bait, OTHER, 4 * HUGE);
	ASSERT_EQ(0, file_write(KHUGEPAGED "scan_sleep_millisecs", "10"));
	/* A scan that is under way may have passed this process already. */
	while (full_scans() < scans + 3 && time(NULL) < end)
		usleep(50000);
	EXPECT_LE(scans + 3, full_scans());
	EXPECT_EQ(0, file_write(KHUGEPAGED "scan_sleep_millisecs", old));
	EXPECT_UNCHANGED(self, "khugepaged");
	munmap(bait, 4 * HUGE);
}

TEST_F(window, advice_for_the_whole_process_changes_nothing)
{
	const struct window *w = &self->w;
	int persona;

	/* A kernel that does not have one of these answers EINVAL. */
	prctl(PR_SET_MEMORY_MERGE, 1, 0, 0, 0);
	EXPECT_UNCHANGED(self, "PR_SET_MEMORY_MERGE");
	prctl(PR_SET_MEMORY_MERGE, 0, 0, 0, 0);
	prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
	EXPECT_UNCHANGED(self, "PR_SET_THP_DISABLE");
	prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0);
	EXPECT_EQ(-1, prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, at(w, self->offset), self->size,
			    "x"));
	EXPECT_EQ(-1, prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, w->addr, w->size, "x"));
	EXPECT_UNCHANGED(self, "PR_SET_VMA_ANON_NAME");

	/* This personality makes readable memory executable. A window stays as it is. */
	persona = personality(0xffffffff);
	ASSERT_LE(0, personality(persona | READ_IMPLIES_EXEC));
	EXPECT_EQ(0, mprotect(w->addr, w->size, PROT_READ));
	EXPECT_EQ(0, mprotect(w->addr, w->size, PROT_READ | PROT_WRITE));
	EXPECT_EQ(-EACCES, result(mprotect(w->addr, w->size, PROT_READ | PROT_EXEC)));
	personality(persona);
	EXPECT_UNCHANGED(self, "READ_IMPLIES_EXEC");
}

/* ---------------------------------------------------------------- core dumps */

#define CORE_PATTERN	"/proc/sys/kernel/core_pattern"
#define CORE_FILE	"/tmp/expertmem-core"
#define CORE_LINE	64

/*
 * Fill memory with a sequence that is nowhere else in the process. The window and a buffer, which
 * shows that the dump is complete, have different keys.
 */
static void fill_for_core(volatile unsigned char *addr, size_t size, int key)
{
	size_t i;

	for (i = 0; i < size; i++)
		addr[i] = key ^ i % CORE_LINE * 7;
}

static bool core_has(const unsigned char *core, size_t size, int key)
{
	unsigned char line[CORE_LINE];

	fill_for_core(line, sizeof(line), key);
	return memmem(core, size, line, sizeof(line));
}

/* An expert that asks for its window in its core dump, and dies. */
static void die_with_window(const struct window *kind)
{
	struct rlimit limit = { RLIM_INFINITY, RLIM_INFINITY };
	unsigned char *buffer = malloc(PAGE);
	struct window w;
	__u64 offset;

	if (!buffer || window_open(&w, kind, WINDOW_SIZE, 0) || region_alloc(&w, HUGE, &offset))
		_exit(1);
	fill_for_core(at(&w, offset), HUGE, 0xc3);
	fill_for_core(buffer, PAGE, 0x3c);
	madvise(w.addr, w.size, MADV_DODUMP);
	if (setrlimit(RLIMIT_CORE, &limit) || file_write("/proc/self/coredump_filter", "0x1ff"))
		_exit(2);
	abort();
}

TEST_F(window, core_dump_has_no_byte_of_a_window)
{
	char pattern[256];
	unsigned char *core;
	off_t size;
	pid_t pid;
	int fd;

	if (file_read(CORE_PATTERN, pattern, sizeof(pattern)) ||
	    file_write(CORE_PATTERN, CORE_FILE))
		SKIP_TEST("cannot have core dumps: %s", strerror(errno));
	pid = fork();
	if (!pid)
		die_with_window(&variant->kind);
	EXPECT_EQ(128 + SIGABRT, child_status(pid));
	EXPECT_EQ(0, file_write(CORE_PATTERN, pattern));
	fd = open(CORE_FILE, O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, fd);
	unlink(CORE_FILE);
	size = lseek(fd, 0, SEEK_END);
	core = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
	ASSERT_NE(MAP_FAILED, core);
	EXPECT_TRUE(core_has(core, size, 0x3c));
	EXPECT_FALSE(core_has(core, size, 0xc3));
	munmap(core, size);
	close(fd);
	EXPECT_UNCHANGED(self, "the core dump of another expert");
}

/* -------------------------------------------------------- populating and RSS */

/* Resident bytes of this process's mapping at @addr; the kernel counts page table entries. */
static __u64 rss_of(const void *addr)
{
	char line[512], start[32];
	bool ours = false;
	__u64 kib = ~0ULL;
	FILE *file = fopen("/proc/self/smaps", "re");

	snprintf(start, sizeof(start), "%lx-", (unsigned long)addr);
	while (file && kib == ~0ULL && fgets(line, sizeof(line), file)) {
		if (!strncmp(line, start, strlen(start)))
			ours = true;
		else if (ours && sscanf(line, "Rss: %llu kB", &kib) == 1)
			break;
	}
	if (file)
		fclose(file);
	return kib == ~0ULL ? kib : kib * KIB;
}

/* The counter of the process that the OOM killer reads. */
static __u64 status_rss(void)
{
	return value_in("/proc/self/status", "RssShmem") * KIB;
}

static long minor_faults(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_minflt;
}

#define POPULATED	(8 * MIB)

/*
 * The error of status_rss(): each CPU adds its part late, and in the VM programs and libraries
 * are files of a tmpfs, too.
 */
#define RSS_NOISE	(4 * MIB)

/* Faults of the process on other memory. */
#define FAULT_NOISE	64

TEST_F(window, populated_memory_is_resident_before_it_is_touched)
{
	const struct window *w = &self->w;
	__u64 rss = rss_of(w->addr), status = status_rss(), offset;
	long faults;

	EXPECT_EQ(self->size, rss);
	ASSERT_EQ(0, region_alloc_flags(w, EXPERTMEM_ALLOC_POPULATE, POPULATED, 2 * POPULATED,
					&offset));
	EXPECT_EQ(rss + POPULATED, rss_of(w->addr));
	EXPECT_LE(status + POPULATED - RSS_NOISE, status_rss());
	ASSERT_EQ(0, region_realloc_flags(w, EXPERTMEM_ALLOC_POPULATE, offset, 2 * POPULATED));
	EXPECT_EQ(rss + 2 * POPULATED, rss_of(w->addr));
	EXPECT_LE(status + 2 * POPULATED - RSS_NOISE, status_rss());

	faults = minor_faults();
	memset(at(w, offset), OTHER, 2 * POPULATED);
	EXPECT_LE(minor_faults(), faults + FAULT_NOISE);

	ASSERT_EQ(0, region_realloc(w, offset, POPULATED));
	EXPECT_EQ(rss + POPULATED, rss_of(w->addr));
	ASSERT_EQ(0, region_free(w, offset));
	EXPECT_EQ(rss, rss_of(w->addr));
	EXPECT_GE(status + RSS_NOISE, status_rss());
	EXPECT_UNCHANGED(self, "FREE");
}

/**
 * struct populate - ALLOC and REALLOC in another process
 * @w: the window, which is mapped in the test
 * @offset: receives the offset of the region
 * @own: receives by how much the RSS of the other process has grown, bytes
 */
struct populate {
	struct window w;
	__u64 offset;
	__u64 own;
};

static long populate(void *arg)
{
	struct populate *job = arg;
	__u64 before = status_rss();
	int err = region_alloc_flags(&job->w, EXPERTMEM_ALLOC_POPULATE, POPULATED, 2 * POPULATED,
				     &job->offset);

	if (!err)
		err = region_realloc_flags(&job->w, EXPERTMEM_ALLOC_POPULATE, job->offset,
					   2 * POPULATED);
	job->own = status_rss() - before;
	return err;
}

TEST_F(window, populated_memory_is_resident_where_the_window_is_whoever_populates)
{
	const struct actor *const who[] = { &root, &stranger };
	const struct window *w = &self->w;
	__u64 rss = rss_of(w->addr), status = status_rss();
	struct populate *job = shared(sizeof(*job));
	size_t i;

	if (geteuid())
		SKIP_TEST("cannot become another user; be root");
	ASSERT_NE(NULL, job);
	for (i = 0; i < COUNT_OF(who); i++) {
		job->w = *w;
		ASSERT_EQ(0, as(who[i], populate, job)) TH_LOG("%s", who[i]->name);
		EXPECT_GE(RSS_NOISE, job->own) TH_LOG("%s", who[i]->name);
		EXPECT_EQ(rss + 2 * POPULATED, rss_of(w->addr)) TH_LOG("%s", who[i]->name);
		EXPECT_LE(status + 2 * POPULATED - RSS_NOISE, status_rss());
		EXPECT_TRUE(all_bytes(at(w, job->offset), 2 * POPULATED, 0));
		ASSERT_EQ(0, region_free(w, job->offset));
		EXPECT_EQ(rss, rss_of(w->addr));
	}
	EXPECT_UNCHANGED(self, "FREE");
}

/* Bytes that this process has locked in memory. */
static __u64 locked(void)
{
	return value_in("/proc/self/status", "VmLck");
}

TEST_F(window, flags_of_mmap_neither_populate_nor_lock_a_window)
{
	const int flags[] = { MAP_POPULATE, MAP_POPULATE | MAP_NONBLOCK, MAP_LOCKED,
			      MAP_LOCKED | MAP_POPULATE, MAP_NORESERVE, MAP_STACK };
	struct window w = variant->kind;
	__u64 offset;
	size_t i;

	w.size = WINDOW_SIZE;
	for (i = 0; i < COUNT_OF(flags); i++) {
		w.fd = expert_open();
		ASSERT_LE(0, w.fd);
		w.addr = mmap(NULL, w.size, PROT_READ | PROT_WRITE, MAP_SHARED | flags[i], w.fd,
			      w.offset);
		ASSERT_NE(MAP_FAILED, w.addr) TH_LOG("flags %x", flags[i]);
		ASSERT_EQ(0, region_alloc(&w, 4 * w.granule, &offset));
		EXPECT_EQ(0, expert_stat(w.fd).resident) TH_LOG("flags %x", flags[i]);
		EXPECT_EQ(0, write_touch(at(&w, offset)));
		EXPECT_EQ(w.granule, expert_stat(w.fd).resident) TH_LOG("flags %x", flags[i]);
		EXPECT_EQ(SIGSEGV, read_touch(at(&w, offset - 1)));
		EXPECT_EQ(0, locked()) TH_LOG("flags %x", flags[i]);
		window_close(&w);
	}
	EXPECT_UNCHANGED(self, "mapping other windows");
}

TEST_F(window, memory_can_be_populated_while_the_window_is_protected)
{
	const struct window *w = &self->w;
	const int prots[] = { PROT_NONE, PROT_READ };
	__u64 offset;
	size_t i;

	for (i = 0; i < COUNT_OF(prots); i++) {
		ASSERT_EQ(0, mprotect(w->addr, w->size, prots[i]));
		ASSERT_EQ(0, region_alloc_flags(w, EXPERTMEM_ALLOC_POPULATE, HUGE, 0, &offset));
		EXPECT_EQ(self->size + HUGE, expert_stat(w->fd).resident);
		EXPECT_EQ(SIGSEGV, write_touch(at(w, offset)));
		EXPECT_EQ(prots[i] == PROT_NONE ? SIGSEGV : 0, read_touch(at(w, offset)));
		ASSERT_EQ(0, mprotect(w->addr, w->size, PROT_READ | PROT_WRITE));
		EXPECT_TRUE(all_bytes(at(w, offset), HUGE, 0));
		memset(at(w, offset), OTHER, HUGE);
		ASSERT_EQ(0, region_free(w, offset));
		EXPECT_UNCHANGED(self, "populating with protection %d", prots[i]);
	}
}

/* ----------------------------------------------------- locking, syncing, looking */

/* mlock() populates what it would lock. It answers ENOMEM where there is no memory. */
TEST_F(window, locking_a_window_locks_nothing)
{
	struct range ranges[RANGES];
	int flags, answer, i;

	ranges_of(self, ranges);
	for (i = 0; i < RANGES; i++) {
		const struct range *range = &ranges[i];
		int expected = range->inside ? 0 : -ENOMEM;

		EXPECT_EQ(expected, result(mlock(range->addr, range->size)))
			TH_LOG("%s", range->name);
		EXPECT_EQ(0, locked());
		EXPECT_UNCHANGED(self, "mlock() of %s", range->name);
		answer = result(mlock2(range->addr, range->size, MLOCK_ONFAULT));
		EXPECT_TRUE(!answer || answer == expected) TH_LOG("%s: %d", range->name, answer);
		EXPECT_EQ(0, locked());
		EXPECT_UNCHANGED(self, "mlock2() of %s", range->name);
		EXPECT_EQ(0, munlock(range->addr, range->size)) TH_LOG("%s", range->name);
		EXPECT_UNCHANGED(self, "munlock() of %s", range->name);
	}
	for (flags = 1; flags < 8; flags++) {
		if (mlockall(flags))
			continue;
		EXPECT_UNCHANGED(self, "mlockall(%d)", flags);
		EXPECT_EQ(0, munlockall());
	}
	EXPECT_UNCHANGED(self, "munlockall()");
}

TEST_F(window, syncing_any_part_is_no_error)
{
	const int ways[] = { MS_SYNC, MS_ASYNC, MS_SYNC | MS_INVALIDATE, MS_INVALIDATE, 0 };
	struct range ranges[RANGES];
	size_t way;
	int i;

	ranges_of(self, ranges);
	for (i = 0; i < RANGES; i++) {
		for (way = 0; way < COUNT_OF(ways); way++) {
			EXPECT_EQ(0, msync(ranges[i].addr, ranges[i].size, ways[way]))
				TH_LOG("%s, %d", ranges[i].name, ways[way]);
		}
	}
	EXPECT_UNCHANGED(self, "msync()");
}

TEST_F(window, mincore_sees_the_pages_of_regions_only)
{
	const struct window *w = &self->w;
	size_t pages = w->size / PAGE, first = (self->offset - w->offset) / PAGE, i, wrong = 0;
	unsigned char *there = malloc(pages);

	ASSERT_NE(NULL, there);
	memset(there, POISON, pages);
	ASSERT_EQ(0, mincore(w->addr, w->size, there));
	for (i = 0; i < pages; i++)
		wrong += (there[i] & 1) != (i >= first && i < first + self->size / PAGE);
	EXPECT_EQ(0, wrong);
	free(there);
	EXPECT_UNCHANGED(self, "mincore()");
}

/* --------------------------------------------------------------- memory policy */

static int bind(const struct range *range, int mode, unsigned int flags)
{
	unsigned long nodes = 1;
	bool any = mode == MPOL_DEFAULT || mode == MPOL_LOCAL;

	return result(syscall(SYS_mbind, range->addr, range->size, mode, any ? NULL : &nodes,
			      any ? 0 : 8 * sizeof(nodes), flags));
}

/* With MPOL_MF_STRICT the kernel may find a page in another place than the policy says: EIO. */
static bool may_bind(const struct range *range, int mode, unsigned int flags, int answer)
{
	if (answer == -EIO)
		return flags == MPOL_MF_STRICT;
	if (range->whole)
		return !answer || (answer == -EINVAL && mode > MPOL_LOCAL);
	return answer == -EINVAL || (!answer && mode == MPOL_DEFAULT);
}

TEST_F(window, memory_policy_is_of_the_whole_window_or_refused)
{
	const unsigned int ways[] = { 0, MPOL_MF_MOVE, MPOL_MF_MOVE_ALL, MPOL_MF_STRICT };
	struct range ranges[RANGES];
	int mode, answer, i;
	size_t way;

	ranges_of(self, ranges);
	if (bind(&ranges[RANGES - 1], MPOL_DEFAULT, 0) == -ENOSYS)
		SKIP_TEST("this kernel has no memory policies");
	for (mode = 0; mode <= 8; mode++) {
		for (i = 0; i < RANGES * (int)COUNT_OF(ways); i++) {
			const struct range *range = &ranges[i / COUNT_OF(ways)];

			way = i % COUNT_OF(ways);
			answer = bind(range, mode, ways[way]);
			EXPECT_TRUE(may_bind(range, mode, ways[way], answer))
				TH_LOG("mode %d of %s: %d", mode, range->name, answer);
		}
		EXPECT_UNCHANGED(self, "mbind() with mode %d", mode);
		EXPECT_EQ(0, bind(&ranges[RANGES - 1], MPOL_DEFAULT, 0));
	}
}

TEST_F(window, home_node_is_of_the_whole_window_or_refused)
{
	struct range ranges[RANGES];
	int expected, i;

	ranges_of(self, ranges);
	if (bind(&ranges[RANGES - 1], MPOL_BIND, 0) == -ENOSYS ||
	    (syscall(SYS_set_mempolicy_home_node, 0, 0, 0, 0) && errno == ENOSYS))
		SKIP_TEST("this kernel has no memory policies, or no home nodes");
	for (i = 0; i < RANGES; i++) {
		expected = ranges[i].whole ? 0 : -EINVAL;
		EXPECT_EQ(expected, result(syscall(SYS_set_mempolicy_home_node, ranges[i].addr,
						   ranges[i].size, 0, 0)))
			TH_LOG("%s", ranges[i].name);
		EXPECT_UNCHANGED(self, "set_mempolicy_home_node() of %s", ranges[i].name);
	}
}

TEST_F(window, pages_can_be_moved_between_nodes_and_holes_have_none)
{
	const struct window *w = &self->w;
	unsigned char *addr = at(w, self->offset);
	void *pages[] = {
		addr, addr + self->size - PAGE, addr + self->size, addr - PAGE,
		w->addr + w->size - PAGE,
	};
	int nodes[COUNT_OF(pages)] = { }, status[COUNT_OF(pages)];
	unsigned long all = ~0UL, first = 1;
	const int ways[] = { 0, MPOL_MF_MOVE, MPOL_MF_MOVE_ALL };
	size_t i, page;

	for (i = 0; i < COUNT_OF(ways); i++) {
		memset(status, POISON, sizeof(status));
		if (syscall(SYS_move_pages, 0, COUNT_OF(pages), pages, ways[i] ? nodes : NULL,
			    status, ways[i]) < 0)
			SKIP_TEST("this kernel has no nodes: %s", strerror(errno));
		EXPECT_LE(0, status[0]);
		EXPECT_LE(0, status[1]);
		for (page = 2; page < COUNT_OF(pages); page++) {
			EXPECT_TRUE(status[page] == -ENOENT || status[page] == -EFAULT)
				TH_LOG("page %zu: %d", page, status[page]);
		}
		EXPECT_UNCHANGED(self, "move_pages() with %d", ways[i]);
	}
	EXPECT_LE(0, syscall(SYS_migrate_pages, 0, 8 * sizeof(all), &all, &first));
	EXPECT_UNCHANGED(self, "migrate_pages()");
}

TEST_HARNESS_MAIN
