// SPDX-License-Identifier: GPL-2.0
/*
 * Injected faults: for each entry into the module, the first, second, third ... allocation and
 * user copy of a call fails in turn, until the call has no more of them. After each failure
 * nothing has changed, and the repeated call succeeds. Allocations of the mm on behalf of the
 * calling thread fail, too.
 *
 * The kernel needs FAULT_INJECTION with FAILSLAB, FAIL_PAGE_ALLOC, FAULT_INJECTION_USERCOPY
 * and FAULT_INJECTION_DEBUG_FS, and "slub_debug=A,radix_tree_node" on its command line.
 *
 * needs: module root debug
 * also: slow
 * vm: --excuse event_define_fields --append slub_debug=A,radix_tree_node
 */
#include <sys/syscall.h>

#include "faults_calls.h"
#include "memory_test.h"

#define MODULE		"/expertmem.ko"
#define MODPROBE	"/proc/sys/kernel/modprobe"
#define KMEMLEAK	"/sys/kernel/debug/kmemleak"

/* The harness runs each test in a process of its own: this comes before all of them. */
static void __attribute__((constructor)) forget_older_leaks(void)
{
	file_write(KMEMLEAK, "scan");
	file_write(KMEMLEAK, "clear");
}

/* ------------------------------------------------------------------ every way in */

FIXTURE(entry)
{
	struct world world;
};

/**
 * struct entry - one way into the module
 * @make: what it needs, made anew for each attempt
 * @call: it
 * @drop: check what it did, and undo that
 * @errors: what it may fail with
 * @charges: where it is refused memory, that is counted
 * @changes: one that fails may have done its work, as the uAPI header says
 * @listens: somebody hears of it, or of having missed something
 */
FIXTURE_VARIANT(entry)
{
	int (*make)(struct world *w);
	int (*call)(struct world *w);
	int (*drop)(struct world *w);
	int errors[4];
	bool charges;
	bool changes;
	bool listens;
};

#define ENTRY(name, ...) FIXTURE_VARIANT_ADD(entry, name) { __VA_ARGS__ }
#define MEMORY	{ ENOMEM, EFAULT }

ENTRY(open, .call = call_open, .drop = drop_expert, .errors = MEMORY);
ENTRY(open_heard, .call = call_open, .drop = drop_expert, .errors = MEMORY, .listens = true);
ENTRY(close, .make = make_expert, .call = call_close);
ENTRY(close_heard, .make = make_expert, .call = call_close, .listens = true);
ENTRY(exit, .make = make_expert, .call = call_exit, .drop = drop_ended);
ENTRY(exit_heard, .make = make_expert, .call = call_exit, .drop = drop_ended, .listens = true);
ENTRY(get_info, .call = call_get_info, .errors = { EFAULT });
ENTRY(stat, .call = call_stat, .errors = { EFAULT });
ENTRY(configure, .make = make_expert, .call = call_configure, .drop = drop_expert,
      .errors = { EFAULT });
ENTRY(terminate, .make = make_expert, .call = call_terminate, .drop = drop_terminating);
ENTRY(terminate_heard, .make = make_expert, .call = call_terminate, .drop = drop_terminating,
      .listens = true);
ENTRY(reclaim, .make = make_regions, .call = call_reclaim, .drop = drop_reclaimed,
      .errors = { EFAULT }, .changes = true);
ENTRY(reclaim_heard, .make = make_regions, .call = call_reclaim, .drop = drop_reclaimed,
      .errors = { EFAULT }, .changes = true, .listens = true);
ENTRY(mmap_small, .make = make_expert, .call = call_mmap_small, .drop = drop_window,
      .errors = { ENOMEM });
ENTRY(mmap_huge, .make = make_expert, .call = call_mmap_huge, .drop = drop_window,
      .errors = { ENOMEM });
ENTRY(mmap_status, .make = make_expert, .call = call_mmap_status, .drop = drop_expert,
      .errors = { ENOMEM });
ENTRY(mmap_heard, .make = make_expert, .call = call_mmap_small, .drop = drop_window,
      .errors = { ENOMEM }, .listens = true);
ENTRY(munmap, .make = make_regions, .call = call_munmap, .drop = drop_huge_window,
      .errors = { ENOMEM });
ENTRY(alloc_small, .call = call_alloc_small, .drop = free_small, .errors = MEMORY,
      .charges = true);
ENTRY(alloc_room, .call = call_alloc_room, .drop = free_small, .errors = MEMORY,
      .charges = true);
ENTRY(alloc_populated, .call = call_alloc_populated, .drop = free_small, .errors = MEMORY,
      .charges = true);
ENTRY(alloc_huge, .call = call_alloc_huge, .drop = free_huge, .errors = MEMORY,
      .charges = true);
ENTRY(alloc_huge_populated, .call = call_alloc_huge_populated, .drop = free_huge,
      .errors = MEMORY, .charges = true);
ENTRY(realloc_grow, .make = make_growing, .call = call_realloc_grow, .drop = free_grown,
      .errors = MEMORY, .charges = true);
ENTRY(realloc_populated, .make = make_growing, .call = call_realloc_populated,
      .drop = free_grown, .errors = MEMORY, .charges = true);
ENTRY(realloc_shrink, .make = make_region, .call = call_realloc_shrink, .drop = free_shrunk,
      .errors = { EFAULT });
ENTRY(free, .make = make_region, .call = call_free, .drop = is_freed, .errors = { EFAULT });
ENTRY(copy, .make = make_windows, .call = call_copy, .drop = drop_copy, .errors = MEMORY,
      .charges = true);
ENTRY(touch, .make = make_untouched, .call = call_touch, .drop = free_small);
ENTRY(touch_huge, .make = make_untouched_huge, .call = call_touch_huge, .drop = free_huge);
ENTRY(touch_by_madvise, .make = make_untouched, .call = call_populate, .drop = free_small,
      .errors = { ENOMEM });
ENTRY(touch_by_read, .make = make_untouched, .call = call_read_into, .drop = free_small,
      .errors = { EFAULT }, .changes = true);
ENTRY(fork, .call = call_fork, .drop = drop_expert,
      .errors = { ENOMEM, EFAULT, ENFILE, EMFILE });
ENTRY(fork_populate, .call = call_fork_populate, .drop = drop_expert,
      .errors = { ENOMEM, EFAULT, ENFILE, EMFILE });
ENTRY(touch_of_lender, .make = make_heir, .call = call_touch, .drop = drop_heir);
ENTRY(touch_of_borrower, .make = make_heir, .call = call_touch_borrower, .drop = drop_heir);
ENTRY(free_of_lender, .make = make_heir, .call = call_free, .drop = drop_freed_and_heir,
      .errors = { EFAULT }, .changes = true);
ENTRY(remove_from_borrower, .make = make_heir, .call = call_remove_from_borrower,
      .drop = drop_heir, .errors = { ENOMEM }, .changes = true);
ENTRY(netlink_get, .call = call_nl_get, .errors = { ENOMEM, EFAULT, ENOBUFS });
ENTRY(netlink_dump, .call = call_nl_dump, .errors = { ENOMEM, EFAULT, ENOBUFS });
ENTRY(netlink_regions, .call = call_nl_regions, .errors = { ENOMEM, EFAULT, ENOBUFS });
ENTRY(netlink_stats, .call = call_nl_stats, .errors = { ENOMEM, EFAULT, ENOBUFS });
ENTRY(netlink_set, .make = make_expert, .call = call_nl_set, .drop = drop_expert,
      .errors = { ENOMEM, EFAULT, ENOBUFS });
ENTRY(netlink_terminate, .make = make_expert, .call = call_nl_terminate,
      .drop = drop_terminating, .errors = { ENOMEM, EFAULT, ENOBUFS });
ENTRY(netlink_reclaim, .make = make_regions, .call = call_nl_reclaim, .drop = drop_reclaimed,
      .errors = { ENOMEM, EFAULT, ENOBUFS });
ENTRY(netlink_join, .call = call_nl_join, .drop = leave, .errors = { ENOMEM, EFAULT });

FIXTURE_SETUP(entry)
{
	struct world *w = &self->world;
	const char *missing;

	NEED_DEVICE();
	if (injection_set_up(&missing))
		SKIP_TEST("%s: %s; the kernel must have fault injection", missing,
			  strerror(errno));
	faults_catch();
	w->made.fd = -1;
	ASSERT_EQ(0, nl_open(&w->nl));
	ASSERT_EQ(0, window_open(&w->small, &small_window, WINDOW, 0));
	ASSERT_EQ(0, window_map(&w->huge, &huge_window, w->small.fd, WINDOW));
	ASSERT_EQ(0, region_alloc(&w->small, 4 * PAGE, &w->kept[0]));
	fill(&w->small, w->kept[0], 4 * PAGE);
	ASSERT_EQ(0, region_touched(&w->huge, HUGE, &w->kept[1]));
	if (variant->listens) {
		ASSERT_EQ(0, nl_open(&w->ear));
		ASSERT_EQ(0, nl_join(&w->ear));
	}
}

FIXTURE_TEARDOWN(entry)
{
	/* the process ends: all of it goes */
}

static int nothing(struct world *w)
{
	return 0;
}

static bool is_one_of(int err, const int *errors, size_t n)
{
	while (n--)
		if (errors[n] && err == -errors[n])
			return true;
	return false;
}

static __u64 refused(struct world *w)
{
	return expert_stat(w->small.fd).refused +
	       (w->made.fd < 0 ? 0 : expert_stat(w->made.fd).refused);
}

/* Has somebody who listens got a message, or the news that one was lost? */
static bool is_heard(struct world *w)
{
	struct told t;
	int event = nl_event(&w->ear, &t);

	while (nl_event(&w->ear, &t) != -EAGAIN)
		;
	return event >= 0 || event == -ENOBUFS;
}

TEST_F(entry, fails_as_documented_changes_nothing_and_then_works)
{
	int (*make)(struct world *w) = variant->make ?: nothing;
	int (*drop)(struct world *w) = variant->drop ?: nothing;
	unsigned int nth, tries = 0, failures = 0, unsure = 0;
	struct world *w = &self->world;
	struct numbers start, before;
	__u64 were_refused;
	int err;

	/* what is made only once is made here */
	ASSERT_EQ(0, make(w));
	ASSERT_EQ(0, variant->call(w));
	ASSERT_EQ(0, drop(w));

	/* very many are those of a loop, of which not every round is tried */
	for (nth = 1; nth < ENDLESS; nth += 1 + nth / 16, tries++) {
		start = numbers(w);
		ASSERT_EQ(0, make(w));
		before = numbers(w);
		were_refused = refused(w);
		if (variant->listens)
			is_heard(w);
		w->armed = nth;
		w->failed = false;
		w->unsure = false;
		err = variant->call(w);
		unsure += w->unsure;
		if (err) {
			failures++;
			ASSERT_TRUE(w->failed);
			EXPECT_TRUE(is_one_of(err, variant->errors,
					      COUNT_OF(variant->errors)))
				TH_LOG("number %u made it fail with %s", nth, strerror(-err));
			EXPECT_TRUE(variant->changes || w->unsure || is_unchanged(w, &before))
				TH_LOG("number %u", nth);
			EXPECT_EQ(refused(w) - were_refused,
				  variant->charges && err == -ENOMEM);
			ASSERT_EQ(0, variant->call(w)) TH_LOG("after number %u", nth);
		}
		if (variant->listens)
			EXPECT_TRUE(is_heard(w)) TH_LOG("number %u", nth);
		ASSERT_EQ(0, drop(w)) TH_LOG("number %u", nth);
		EXPECT_TRUE(is_unchanged(w, &start)) TH_LOG("number %u", nth);
		ASSERT_TRUE(is_kept(w));
		if (!w->failed)
			break;
	}
	ASSERT_FALSE(w->failed);
	TH_LOG("%u injected, %u calls failed, %u answers lost", tries, failures, unsure);
	/* what has no error to fail with did not fail */
	EXPECT_EQ(!failures, !variant->errors[0]);
}

/* --------------------------------------------------------------------- the module */

FIXTURE(module)
{
	__u64 shmem;
	__u32 features;
	char modprobe[128];
	int file;
};

static int load_with(int file, const char *parameters)
{
	return result(syscall(SYS_finit_module, file, parameters, 0));
}

static int load(int file)
{
	return load_with(file, "max_experts=100");
}

static int unload(void)
{
	return result(syscall(SYS_delete_module, "expertmem", O_NONBLOCK));
}

FIXTURE_SETUP(module)
{
	const char *missing;
	int fd;

	NEED_DEVICE();
	if (injection_set_up(&missing))
		SKIP_TEST("%s: %s; the kernel must have fault injection", missing,
			  strerror(errno));
	self->file = open(MODULE, O_RDONLY | O_CLOEXEC);
	if (self->file < 0)
		SKIP_TEST(MODULE ": %s", strerror(errno));
	/* to ask for its netlink family would load it */
	ASSERT_EQ(0, file_read(MODPROBE, self->modprobe, sizeof(self->modprobe)));
	ASSERT_EQ(0, file_write(MODPROBE, "\n"));
	fd = expert_open();
	self->features = expert_info(fd).features;
	close(fd);
	/* a first time, for what is made only once */
	ASSERT_EQ(0, unload());
	ASSERT_EQ(0, load(self->file));
	ASSERT_EQ(0, unload());
	self->shmem = memory_now().shmem;
}

FIXTURE_TEARDOWN(module)
{
	/* what else was lost is for kmemleak to say: such kernels free late */
	EXPECT_LE(memory_now().shmem, self->shmem + MEMORY_NOISE);
	EXPECT_EQ(0, load(self->file));
	EXPECT_EQ(0, file_write(MODPROBE, self->modprobe));
}

/* All that @features promises is there, or nothing is. */
static int is_loaded(__u32 features)
{
	struct window window;
	struct nl nl;
	__u64 offset;
	int err;

	err = nl_open(&nl);
	close(nl.fd);
	if (access(DEVICE, F_OK))
		return err == -ENOENT ? 0 : -EIO;
	if (err)
		return -EIO;
	if (window_open(&window, &huge_window, GIB, 0) ||
	    expert_info(window.fd).features != features ||
	    region_touched(&window, HUGE, &offset))
		return -EIO;
	window_close(&window);
	return 1;
}

/* How much of what loading needs comes before the module has its parameters. */
static unsigned int needed_before_parameters(struct __test_metadata *_metadata, int file)
{
	arm(ENDLESS);
	EXPECT_EQ(-EINVAL, load_with(file, "max_experts=any"));
	return ENDLESS - disarm();
}

TEST_F(module, loads_whole_or_fails_and_leaves_nothing)
{
	const unsigned int before = needed_before_parameters(_metadata, self->file);
	unsigned int nth, injected = 0, failures = 0;
	bool failed = true;
	int err;

	/* with fewer rounds, not every number of what is no doing of the module is tried */
	for (nth = 1; failed && nth < ENDLESS; nth += nth < before ? 1000 / rounds(1000) : 1) {
		arm(nth);
		err = load(self->file);
		failed = !disarm();
		injected += failed;
		failures += !!err;
		EXPECT_EQ(err ? 0 : 1, is_loaded(self->features)) TH_LOG("number %u", nth);
		EXPECT_TRUE(!err || err == -ENOMEM || err == -EFAULT)
			TH_LOG("number %u made it fail with %s", nth, strerror(-err));
		if (!err)
			ASSERT_EQ(0, unload());
	}
	ASSERT_FALSE(failed);
	ASSERT_EQ(0, err);
	TH_LOG("%u injected, %u calls failed; %u before the module's parameters, %u in all", injected,
	       failures, before, nth);
	EXPECT_GT(failures, 0);
}

TEST_F(module, unloads_whatever_fails)
{
	unsigned int nth, failures = 0;
	bool failed = true;
	int err;

	for (nth = 1; failed && nth < ENDLESS; nth++) {
		ASSERT_EQ(0, load(self->file));
		arm(nth);
		err = unload();
		failed = !disarm();
		if (err) {
			failures++;
			EXPECT_EQ(-EFAULT, err);	/* its name */
			EXPECT_EQ(1, is_loaded(self->features));
			ASSERT_EQ(0, unload());
		}
		EXPECT_EQ(0, is_loaded(self->features));
	}
	ASSERT_FALSE(failed);
	TH_LOG("%u injected, %u calls failed", nth - 2, failures);
}

/* ------------------------------------------------------------ no node of a tree at all */

#define FAILSLAB	"/sys/kernel/debug/failslab/"
#define NODES		"/sys/kernel/slab/radix_tree_node/failslab"
#define MANY		300

FIXTURE(starved)
{
	int fd;
};

/* A tree asks again when it is refused a node, so it survives a single fault. */
static void starve(bool on)
{
	if (file_write("/proc/self/make-it-fail", on ? "1" : "0"))
		abort();
}

static bool can_starve(void)
{
	static const char *const starving[][2] = {
		{ FAILSLAB "cache-filter", "Y" },
		{ FAILSLAB "task-filter", "Y" },
		{ FAILSLAB "ignore-gfp-wait", "N" },
		{ FAILSLAB "verbose", "0" },
		{ FAILSLAB "interval", "1" },
		{ FAILSLAB "times", "-1" },
		{ FAILSLAB "probability", "100" },
	};
	char mark[8] = "";
	size_t i;

	if (file_read(NODES, mark, sizeof(mark)) || mark[0] != '1')
		return false;
	for (i = 0; i < COUNT_OF(starving); i++)
		if (file_write(starving[i][0], starving[i][1]))
			return false;
	return true;
}

FIXTURE_SETUP(starved)
{
	NEED_DEVICE();
	if (!can_starve())
		SKIP_TEST("the kernel needs FAILSLAB and \"slub_debug=A,radix_tree_node\"");
	self->fd = expert_open();
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(starved)
{
	file_write(FAILSLAB "probability", "0");
	file_write(FAILSLAB "cache-filter", "N");
	file_write(FAILSLAB "task-filter", "N");
	close(self->fd);
}

TEST_F(starved, expert_that_cannot_be_entered_is_refused_and_leaves_nothing)
{
	const __u32 experts = expert_info(self->fd).experts;
	int i, refused = 0, fd;

	for (i = 0; i < MANY; i++) {
		starve(true);
		fd = open(DEVICE, O_RDWR | O_CLOEXEC);
		starve(false);
		if (fd < 0) {
			EXPECT_EQ(ENOMEM, errno);
			refused++;
			EXPECT_EQ(experts, expert_info(self->fd).experts);
			fd = expert_open();
			ASSERT_LE(0, fd);
		}
		EXPECT_EQ(experts + 1, expert_info(self->fd).experts);
		close(fd);
	}
	EXPECT_LT(0, refused);
	TH_LOG("%d of %d refused", refused, MANY);
}

/* ----------------------------------------------------------------- after all that */

FIXTURE(after)
{
};

FIXTURE_SETUP(after)
{
}

FIXTURE_TEARDOWN(after)
{
}

TEST_F(after, kmemleak_finds_nothing)
{
	char line[256];
	int lines = 0;
	FILE *file;

	if (file_write(KMEMLEAK, "scan"))
		SKIP_TEST(KMEMLEAK ": %s", strerror(errno));
	sleep(6);	/* it leaves what is younger than five seconds alone */
	ASSERT_EQ(0, file_write(KMEMLEAK, "scan"));
	file = fopen(KMEMLEAK, "re");
	ASSERT_NE(NULL, file);
	while (fgets(line, sizeof(line), file) && lines++ < 100)
		printf("# %s", line);
	fclose(file);
	EXPECT_EQ(0, lines);
}

TEST_HARNESS_MAIN
