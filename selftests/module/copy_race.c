// SPDX-License-Identifier: GPL-2.0
/*
 * COPY that is killed, reclaimed, raced by other calls, short of memory, or copies from and to
 * swap. The copy is complete, or the call fails and leaves nothing. EXPERTMEM_ROUNDS
 * multiplies the number of rounds of some tests.
 *
 * needs: module root
 * also: slow
 */
#include <pthread.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "copy_test.h"
#include "memory_test.h"

#define CGROUP		"/sys/fs/cgroup/"
#define GROUP		CGROUP "expertmem-copy/"

/* What takes long enough to be interrupted. */
#define BIG		(128 * MIB)
#define SLACK		(2 * MIB)
#define SETTLE		10

/* A COPY in a thread of its own. */
struct copier {
	pthread_t thread;
	int to;
	int from;
	int err;
};

static void *copy_once(void *arg)
{
	struct copier *copier = arg;

	copier->err = expert_copy(copier->to, copier->from);
	return NULL;
}

/* Wait until it is in the middle, or was too quick for that. */
static void wait_for_pages(int fd)
{
	while (expert_stat(fd).resident < MIB)
		sched_yield();
}

TEST_F(copy, kill_in_the_middle_leaves_nothing)
{
	const struct window *from = &self->from, *to = &self->to;
	struct expertmem_stat before;
	bool interrupted = false;
	__u64 offset;
	pid_t pid;
	int i;

	ASSERT_EQ(0, region_touched(from, BIG, &offset));
	before = expert_stat(from->fd);
	for (i = 0; i < 10 && !interrupted; i++) {
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid)
			_exit(expert_copy(to->fd, from->fd) ? 1 : 0);
		wait_for_pages(to->fd);
		kill(pid, SIGKILL);
		ASSERT_NE(1, child_status(pid));
		interrupted = region_free(to, offset) == -ENOENT;
		EXPECT_TRUE(is_empty(to->fd));
	}
	ASSERT_TRUE(interrupted);
	EXPECT_TRUE(unchanged(from->fd, &before));
	EXPECT_EQ(0, expert_copy(to->fd, from->fd));
	EXPECT_TRUE(is_touched(to, offset, BIG));
}

TEST_F(copy, death_of_the_destination_in_the_middle_leaves_nothing)
{
	const struct window *from = &self->from;
	struct memory before;
	struct window to;
	__u32 experts;
	__u64 offset;
	pid_t pid;

	ASSERT_EQ(0, region_touched(from, BIG, &offset));
	/* what the first copy makes the kernel keep is no leak */
	ASSERT_EQ(0, expert_copy(self->to.fd, from->fd));
	ASSERT_EQ(0, region_free(&self->to, offset));
	experts = expert_info(from->fd).experts;
	before = memory_now();
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		if (window_open(&to, &variant->kind, TIB, 0) ||
		    expert_copy(to.fd, from->fd))
			_exit(1);
		pause();
	}
	while (meminfo("Shmem") < before.shmem + 8 * MIB)
		sched_yield();
	kill(pid, SIGKILL);
	ASSERT_EQ(128 + SIGKILL, child_status(pid));
	EXPECT_EQ(experts, expert_info(from->fd).experts);
	EXPECT_TRUE(memory_is_back(&before, MEMORY_NOISE, SETTLE));
	EXPECT_TRUE(is_touched(from, offset, BIG));
}

TEST_F(copy, reclaim_of_the_source_in_the_middle_leaves_nothing)
{
	struct expertmem_reclaim arg;
	struct copier copier = { };
	struct window from, to;
	__u64 offset;
	int i;

	for (i = 0; i < 10 && copier.err != -ESHUTDOWN; i++) {
		ASSERT_EQ(0, window_open(&from, &variant->kind, TIB, 0));
		ASSERT_EQ(0, window_open(&to, &variant->kind, TIB, 0));
		ASSERT_EQ(0, region_touched(&from, BIG, &offset));
		copier = (struct copier){ .to = to.fd, .from = from.fd };
		ASSERT_EQ(0, pthread_create(&copier.thread, NULL, copy_once, &copier));
		wait_for_pages(to.fd);
		ASSERT_EQ(0, expert_reclaim(from.fd, &arg));
		EXPECT_EQ(BIG, arg.reclaimed_bytes);
		ASSERT_EQ(0, pthread_join(copier.thread, NULL));
		EXPECT_TRUE(is_empty(from.fd));
		EXPECT_TRUE(copier.err ? is_empty(to.fd) : is_touched(&to, offset, BIG));
		window_close(&from);
		window_close(&to);
	}
	EXPECT_EQ(-ESHUTDOWN, copier.err);
}

TEST_F(copy, reclaim_of_the_destination_in_the_middle_leaves_nothing)
{
	struct copier copier = { };
	struct expertmem_reclaim arg;
	struct expertmem_stat before;
	struct window to;
	__u64 offset;
	int i;

	ASSERT_EQ(0, region_touched(&self->from, BIG, &offset));
	before = expert_stat(self->from.fd);
	for (i = 0; i < 10 && copier.err != -ESHUTDOWN; i++) {
		ASSERT_EQ(0, window_open(&to, &variant->kind, TIB, 0));
		copier = (struct copier){ .to = to.fd, .from = self->from.fd };
		ASSERT_EQ(0, pthread_create(&copier.thread, NULL, copy_once, &copier));
		wait_for_pages(to.fd);
		ASSERT_EQ(0, expert_reclaim(to.fd, &arg));
		EXPECT_EQ(BIG, arg.reclaimed_bytes);
		/* COPY need not have noticed for the pages to be gone */
		EXPECT_TRUE(is_empty(to.fd));
		ASSERT_EQ(0, pthread_join(copier.thread, NULL));
		EXPECT_TRUE(is_empty(to.fd));
		EXPECT_EQ(SIGSEGV, read_touch(at(&to, offset)));
		window_close(&to);
	}
	EXPECT_EQ(-ESHUTDOWN, copier.err);
	EXPECT_TRUE(unchanged(self->from.fd, &before));
}

TEST_F(copy, region_that_is_freed_in_the_middle_leaves_no_page_behind)
{
	const __u64 size = 8 * MIB;
	struct copier copier;
	struct window to;
	unsigned long i;
	__u64 offset, j;

	for (i = 0; i < rounds(50); i++) {
		ASSERT_EQ(0, window_open(&to, &variant->kind, TIB, 0));
		ASSERT_EQ(0, region_touched(&self->from, size, &offset));
		copier = (struct copier){ .to = to.fd, .from = self->from.fd };
		ASSERT_EQ(0, pthread_create(&copier.thread, NULL, copy_once, &copier));
		wait_for_pages(to.fd);
		ASSERT_EQ(0, region_free(&self->from, offset));
		ASSERT_EQ(0, pthread_join(copier.thread, NULL));
		ASSERT_EQ(0, copier.err);
		ASSERT_TRUE(is_empty(self->from.fd));
		/* what was copied before is there, the rest is zero */
		ASSERT_EQ(size, expert_stat(to.fd).committed);
		for (j = 0; j < size && *at(&to, offset + j); j += PAGE)
			ASSERT_EQ(word_at(offset + j), *(__u64 *)at(&to, offset + j));
		EXPECT_LE(MIB, j);
		ASSERT_TRUE(all_bytes(at(&to, offset + j), size - j, 0));
		window_close(&to);
	}
}

/* With no pages to copy, it comes while regions are entered, or just before they open. */
TEST_F(copy, reclaim_of_the_destination_finds_whatever_regions_there_are)
{
	enum { REGIONS = 2000 };
	struct copier copier;
	struct expertmem_reclaim arg;
	unsigned long i, over = 0, n = rounds(100);
	struct window to;
	__u64 offset;
	int j;

	for (j = 0; j < REGIONS; j++)
		ASSERT_EQ(0, region_alloc(&self->from, 1, &offset));
	for (i = 0; i < n; i++) {
		ASSERT_EQ(0, window_open(&to, &variant->kind, TIB, 0));
		copier = (struct copier){ .to = to.fd, .from = self->from.fd };
		ASSERT_EQ(0, pthread_create(&copier.thread, NULL, copy_once, &copier));
		while (expert_stat(to.fd).regions < i * REGIONS / n)
			sched_yield();
		ASSERT_EQ(0, expert_reclaim(to.fd, &arg));
		EXPECT_TRUE(is_empty(to.fd));
		ASSERT_EQ(0, pthread_join(copier.thread, NULL));
		EXPECT_TRUE(is_empty(to.fd));
		over += !copier.err;
		ASSERT_TRUE(!copier.err || copier.err == -ESHUTDOWN);
		window_close(&to);
	}
	TH_LOG("%lu of %lu were done before", over, n);
	EXPECT_EQ(REGIONS, expert_stat(self->from.fd).regions);
}

/* How often to try: there is much more to copy in the huge window. */
static unsigned long rounds_for(const struct window *kind, unsigned long count)
{
	return rounds(kind->granule == PAGE ? count : count / 15);
}

/* Two experts that can copy each other have no regions. Here, one has. */
TEST_F(copy, crossing_copies_do_not_wait_for_each_other)
{
	const struct window *from = &self->from;
	const __u64 size = 4 * from->granule;
	struct copier back;
	unsigned long i;
	struct window to;
	__u64 below, offset;

	/* the region lies where a window of 1 GiB has no place */
	ASSERT_EQ(0, region_alloc_flags(from, 0, 1, GIB, &below));
	ASSERT_EQ(0, region_touched(from, size, &offset));
	ASSERT_EQ(0, region_free(from, below));
	for (i = 0; i < rounds_for(&variant->kind, 150); i++) {
		ASSERT_EQ(0, window_open(&to, &variant->kind, GIB, 0));
		back = (struct copier){ .to = from->fd, .from = to.fd };
		ASSERT_EQ(0, pthread_create(&back.thread, NULL, copy_once, &back));
		/* this window is too short */
		EXPECT_EQ(-ENOSPC, expert_copy(to.fd, from->fd));
		ASSERT_EQ(0, pthread_join(back.thread, NULL));
		ASSERT_EQ(-EBUSY, back.err);
		window_close(&to);

		ASSERT_EQ(0, window_open(&to, &variant->kind, TIB, 0));
		back = (struct copier){ .to = from->fd, .from = to.fd };
		ASSERT_EQ(0, pthread_create(&back.thread, NULL, copy_once, &back));
		ASSERT_EQ(0, expert_copy(to.fd, from->fd));
		ASSERT_EQ(0, pthread_join(back.thread, NULL));
		ASSERT_EQ(-EBUSY, back.err);
		ASSERT_TRUE(is_touched(&to, offset, size));
		window_close(&to);
	}
	EXPECT_EQ(size, expert_stat(from->fd).resident);
}

TEST_F(copy, one_of_two_copies_to_one_expert_succeeds)
{
	const struct window *from = &self->from;
	const __u64 size = 4 * from->granule;
	struct copier twin;
	unsigned long i;
	struct window to;
	__u64 offset;
	int err;

	ASSERT_EQ(0, region_touched(from, size, &offset));
	for (i = 0; i < rounds_for(&variant->kind, 150); i++) {
		ASSERT_EQ(0, window_open(&to, &variant->kind, TIB, 0));
		twin = (struct copier){ .to = to.fd, .from = from->fd };
		ASSERT_EQ(0, pthread_create(&twin.thread, NULL, copy_once, &twin));
		err = expert_copy(to.fd, from->fd);
		ASSERT_EQ(0, pthread_join(twin.thread, NULL));
		ASSERT_TRUE(!err != !twin.err);
		ASSERT_EQ(-EBUSY, err + twin.err);
		ASSERT_EQ(size, expert_stat(to.fd).committed);
		ASSERT_TRUE(is_touched(&to, offset, size));
		window_close(&to);
	}
}

/* A thread that always has one region, or is about to. */
struct allocator {
	pthread_t thread;
	const struct window *window;
	bool stop;
};

static void *alloc_and_free(void *arg)
{
	const struct allocator *allocator = arg;
	__u64 offset;

	while (!__atomic_load_n(&allocator->stop, __ATOMIC_RELAXED))
		if (!region_alloc(allocator->window, 1, &offset))
			region_free(allocator->window, offset);
	return NULL;
}

TEST_F(copy, copy_to_an_expert_that_allocates_is_whole_or_nothing)
{
	enum { REGIONS = 300 };
	const struct window *from = &self->from, *to = &self->to;
	struct allocator other = { .window = to };
	unsigned long i, done = 0, n = rounds(100);
	__u64 offsets[REGIONS];
	int err, j;

	for (j = 0; j < REGIONS; j++)
		ASSERT_EQ(0, region_alloc(from, 1, &offsets[j]));
	ASSERT_EQ(0, pthread_create(&other.thread, NULL, alloc_and_free, &other));
	for (i = 0; i < n; i++) {
		err = expert_copy(to->fd, from->fd);
		if (err) {
			ASSERT_EQ(-EBUSY, err);
			continue;
		}
		done++;
		for (j = 0; j < REGIONS; j++)
			ASSERT_EQ(0, region_free(to, offsets[j]));
	}
	__atomic_store_n(&other.stop, true, __ATOMIC_RELAXED);
	ASSERT_EQ(0, pthread_join(other.thread, NULL));
	TH_LOG("%lu of %lu succeeded", done, n);
	EXPECT_TRUE(is_empty(to->fd));
}

/* Threads that make, write, resize and free regions of their own, all the time. */
#define CHURNERS	2
#define SLOTS		8

struct churner {
	pthread_t thread;
	const struct window *window;
	unsigned int seed;
	bool stop;
	unsigned long calls;
	int err;
	__u64 offsets[SLOTS];
};

static void *churn(void *arg)
{
	struct churner *churner = arg;
	const struct window *w = churner->window;
	unsigned int random, slot, flags;
	__u64 offset, size;

	while (!churner->err && !__atomic_load_n(&churner->stop, __ATOMIC_RELAXED)) {
		random = rand_r(&churner->seed);
		slot = random / 16 % SLOTS;
		size = (1 + random / 1024 % 4) * w->granule;
		flags = random & 8 ? EXPERTMEM_ALLOC_POPULATE : 0;
		offset = churner->offsets[slot];
		if (!offset)
			churner->err = region_alloc_flags(w, flags, size, 0, &offset);
		else if (random & 4)
			churner->err = region_realloc_flags(w, flags, offset, size);
		else
			churner->err = region_free(w, offset);
		if (churner->err == -ENOSPC)
			churner->err = 0;	/* grows into a neighbour */
		else if (!churner->offsets[slot] || random & 4)
			fill(w, offset + size - w->granule, PAGE);
		else
			offset = 0;
		__atomic_store_n(&churner->offsets[slot], offset, __ATOMIC_RELAXED);
		churner->calls++;
	}
	return NULL;
}

static void churn_stop(struct __test_metadata *_metadata, struct churner *churner)
{
	size_t i;

	__atomic_store_n(&churner->stop, true, __ATOMIC_RELAXED);
	ASSERT_EQ(0, pthread_join(churner->thread, NULL));
	EXPECT_EQ(0, churner->err);
	EXPECT_LT(0, churner->calls);
	for (i = 0; i < SLOTS; i++)
		if (churner->offsets[i])
			EXPECT_EQ(0, region_free(churner->window, churner->offsets[i]));
}

/* What of a churner's regions is in the copy holds nothing but its own bytes. */
static bool churned_words_are_right(const struct churner *churner, const struct window *to)
{
	__u64 offset, value;
	size_t i, page;

	for (i = 0; i < SLOTS; i++) {
		offset = __atomic_load_n(&churner->offsets[i], __ATOMIC_RELAXED);
		for (page = 0; offset && page < 4; page++, offset += to->granule)
			if (!peek((__u64 *)at(to, offset), &value) &&
			    value && value != word_at(offset))
				return false;
	}
	return true;
}

TEST_F(copy, region_that_stays_is_right_whatever_becomes_of_others)
{
	const struct window *from = &self->from;
	const __u64 size = 2 * from->granule;
	struct churner churners[CHURNERS];
	__u64 offsets[4];
	struct window to;
	unsigned long i;
	size_t j;

	faults_catch();
	for (j = 0; j < COUNT_OF(offsets); j++) {
		ASSERT_EQ(0, region_alloc(from, size, &offsets[j]));
		fill(from, offsets[j], size);
	}
	for (j = 0; j < CHURNERS; j++) {
		churners[j] = (struct churner){ .window = from, .seed = j };
		ASSERT_EQ(0, pthread_create(&churners[j].thread, NULL, churn, &churners[j]));
	}
	for (i = 0; i < rounds_for(&variant->kind, 150); i++) {
		ASSERT_EQ(0, window_open(&to, &variant->kind, TIB, 0));
		ASSERT_EQ(0, expert_copy(to.fd, from->fd));
		for (j = 0; j < COUNT_OF(offsets); j++)
			ASSERT_TRUE(is_filled(&to, offsets[j], size));
		for (j = 0; j < CHURNERS; j++)
			ASSERT_TRUE(churned_words_are_right(&churners[j], &to));
		window_close(&to);
	}
	for (j = 0; j < CHURNERS; j++)
		churn_stop(_metadata, &churners[j]);
	EXPECT_EQ(COUNT_OF(offsets) * size, expert_stat(from->fd).committed);
	EXPECT_EQ(COUNT_OF(offsets) * size, expert_stat(from->fd).resident);
	for (j = 0; j < COUNT_OF(offsets); j++)
		EXPECT_TRUE(is_filled(from, offsets[j], size));
}

/* -------------------------------------------------------------- control groups */

#define COPIED	(32 * MIB)

/* Two experts, and a group for the caller of COPY. */
struct pair {
	struct window from;
	struct window to;
	__u64 offset;		/* a region of COPIED bytes, charged elsewhere */
};

FIXTURE(group) {
	struct pair pair;
	__u64 shmem;		/* what is in the group already */
};

FIXTURE_VARIANT(group) {
	struct window kind;
};

FIXTURE_VARIANT_ADD(group, small) {
	.kind = SMALL_WINDOW,
};

FIXTURE_VARIANT_ADD(group, huge) {
	.kind = HUGE_WINDOW,
};

static __u64 group_shmem(void)
{
	return value_in(GROUP "memory.stat", "shmem");
}

static void pair_make(struct __test_metadata *_metadata, struct pair *pair,
		      const struct window *kind)
{
	file_write(CGROUP "cgroup.subtree_control", "+memory");
	if (mkdir(GROUP, 0755) && errno != EEXIST)
		SKIP_TEST(GROUP ": %s; mount cgroup2, be root", strerror(errno));
	if (access(GROUP "memory.max", W_OK))
		SKIP_TEST("cgroup2 has no memory controller");
	ASSERT_EQ(0, window_open(&pair->from, kind, TIB, 0));
	ASSERT_EQ(0, window_open(&pair->to, kind, TIB, 0));
	ASSERT_EQ(0, region_touched(&pair->from, COPIED, &pair->offset));
}

static void pair_remove(struct __test_metadata *_metadata, struct pair *pair)
{
	window_close(&pair->from);
	window_close(&pair->to);
	EXPECT_EQ(0, file_write(CGROUP "cgroup.procs", "0"));
	EXPECT_EQ(0, rmdir(GROUP));
}

FIXTURE_SETUP(group)
{
	NEED_DEVICE();
	pair_make(_metadata, &self->pair, &variant->kind);
	self->shmem = group_shmem();
}

FIXTURE_TEARDOWN(group)
{
	pair_remove(_metadata, &self->pair);
}

static int copy_in_group(const struct pair *pair)
{
	int err = file_write(GROUP "cgroup.procs", "0");

	return err ? err : expert_copy(pair->to.fd, pair->from.fd);
}

TEST_F(group, pages_are_charged_to_the_group_of_the_caller)
{
	const struct pair *pair = &self->pair;

	ASSERT_EQ(0, copy_in_group(pair));
	EXPECT_LE(self->shmem + COPIED, group_shmem() + SLACK);
	EXPECT_GE(self->shmem + COPIED + SLACK, group_shmem());
	ASSERT_EQ(0, region_free(&pair->to, pair->offset));
	EXPECT_GE(self->shmem + SLACK, group_shmem());
	EXPECT_TRUE(is_touched(&pair->from, pair->offset, COPIED));
}

TEST_F(group, copy_of_more_than_the_group_may_have_fails_and_kills_nobody)
{
	const struct pair *pair = &self->pair;
	struct expertmem_stat before = expert_stat(pair->from.fd);
	pid_t pid;

	ASSERT_EQ(0, file_write(GROUP "memory.max", "12M"));
	/* there is no such file where the kernel has no swap */
	file_write(GROUP "memory.swap.max", "0");
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(-copy_in_group(pair));
	EXPECT_EQ(ENOMEM, child_status(pid));
	EXPECT_EQ(0, value_in(GROUP "memory.events", "oom_kill"));
	EXPECT_TRUE(unchanged(pair->from.fd, &before));
	EXPECT_TRUE(is_empty(pair->to.fd));
	EXPECT_EQ(1, expert_stat(pair->to.fd).refused);
	EXPECT_TRUE(is_touched(&pair->from, pair->offset, COPIED));
}

/* ------------------------------------------------------------------------ swap */

/* The same, with swap space in memory. */
FIXTURE(swap) {
	struct pair pair;
	bool stop;
};

FIXTURE_VARIANT(swap) {
	struct window kind;
};

FIXTURE_VARIANT_ADD(swap, small) {
	.kind = SMALL_WINDOW,
};

FIXTURE_VARIANT_ADD(swap, huge) {
	.kind = HUGE_WINDOW,
};

FIXTURE_SETUP(swap)
{
	NEED_DEVICE();
	if (!access(RAMDISK, F_OK))
		SKIP_TEST(RAMDISK " is somebody's");
	if (system("modprobe brd rd_nr=1 rd_size=131072 2>/dev/null"))
		SKIP_TEST("no module brd for a disk in memory");
	ASSERT_EQ(0, swap_on(RAMDISK));
	pair_make(_metadata, &self->pair, &variant->kind);
}

FIXTURE_TEARDOWN(swap)
{
	pair_remove(_metadata, &self->pair);
	EXPECT_EQ(0, swapoff(RAMDISK));
	EXPECT_EQ(0, syscall(SYS_delete_module, "brd", O_NONBLOCK));
}

TEST_F(swap, pages_in_swap_are_copied)
{
	const struct pair *pair = &self->pair;

	ASSERT_EQ(0, madvise(at(&pair->from, pair->offset), COPIED, MADV_PAGEOUT));
	EXPECT_GE(COPIED / 2, expert_stat(pair->from.fd).resident);
	ASSERT_EQ(0, expert_copy(pair->to.fd, pair->from.fd));
	EXPECT_EQ(COPIED, expert_stat(pair->to.fd).resident);
	EXPECT_TRUE(is_touched(&pair->to, pair->offset, COPIED));
	EXPECT_TRUE(is_touched(&pair->from, pair->offset, COPIED));
}

TEST_F(swap, copy_may_go_to_swap_while_it_is_made)
{
	const struct pair *pair = &self->pair;

	ASSERT_EQ(0, file_write(GROUP "memory.max", "12M"));
	ASSERT_EQ(0, copy_in_group(pair));
	EXPECT_GE(12 * MIB, expert_stat(pair->to.fd).resident);
	EXPECT_TRUE(is_touched(&pair->to, pair->offset, COPIED));
	EXPECT_TRUE(is_touched(&pair->from, pair->offset, COPIED));
}

static void *page_out(void *arg)
{
	const FIXTURE_DATA(swap) *self = arg;

	while (!__atomic_load_n(&self->stop, __ATOMIC_RELAXED))
		madvise(at(&self->pair.from, self->pair.offset), COPIED, MADV_PAGEOUT);
	return NULL;
}

TEST_F(swap, pages_on_their_way_to_swap_are_copied)
{
	const struct pair *pair = &self->pair;
	struct window to;
	pthread_t pager;
	unsigned long i;

	ASSERT_EQ(0, pthread_create(&pager, NULL, page_out, self));
	for (i = 0; i < rounds(4); i++) {
		ASSERT_EQ(0, window_open(&to, &variant->kind, TIB, 0));
		ASSERT_EQ(0, expert_copy(to.fd, pair->from.fd));
		EXPECT_EQ(COPIED, expert_stat(to.fd).resident);
		EXPECT_TRUE(is_touched(&to, pair->offset, COPIED));
		window_close(&to);
	}
	__atomic_store_n(&self->stop, true, __ATOMIC_RELAXED);
	ASSERT_EQ(0, pthread_join(pager, NULL));
	EXPECT_TRUE(is_touched(&pair->from, pair->offset, COPIED));
}

TEST_HARNESS_MAIN
