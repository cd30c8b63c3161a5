// SPDX-License-Identifier: GPL-2.0
/*
 * No memory for the trees: which experts there are, and which regions. A tree asks again
 * when it is refused a node, so one fault as in faults.c it survives; here none is given.
 *
 * The kernel needs FAULT_INJECTION, FAILSLAB and FAULT_INJECTION_DEBUG_FS, and
 * "slub_debug=A,maple_node,radix_tree_node" on its command line.
 */
#include "harness.h"
#include "expertmem_test.h"

#define FAILSLAB	"/sys/kernel/debug/failslab/"
#define MARK		"/sys/kernel/slab/%s/failslab"
#define MANY		300

static const char *const knobs[][2] = {
	{ FAILSLAB "cache-filter", "Y" },
	{ FAILSLAB "task-filter", "Y" },
	{ FAILSLAB "ignore-gfp-wait", "N" },
	{ FAILSLAB "verbose", "0" },
	{ FAILSLAB "interval", "1" },
	{ FAILSLAB "times", "-1" },
	{ FAILSLAB "probability", "100" },
};

/* From here on this process is given no node of a tree. */
static void starve(bool on)
{
	if (file_write("/proc/self/make-it-fail", on ? "1" : "0"))
		abort();
}

static bool can_starve(void)
{
	static const char *const caches[] = { "maple_node", "radix_tree_node" };
	char path[64], mark[8] = "";
	size_t i;

	for (i = 0; i < COUNT_OF(caches); i++) {
		snprintf(path, sizeof(path), MARK, caches[i]);
		if (file_read(path, mark, sizeof(mark)) || mark[0] != '1')
			return false;
	}
	for (i = 0; i < COUNT_OF(knobs); i++)
		if (file_write(knobs[i][0], knobs[i][1]))
			return false;
	return true;
}

FIXTURE(starved)
{
	struct window window;	/* has place for just MANY regions of a page */
	__u64 offsets[MANY];
};

FIXTURE_SETUP(starved)
{
	NEED_DEVICE();
	if (!can_starve())
		SKIP_TEST("the kernel must have FAILSLAB, and be told \"slub_debug=A,maple_node,radix_tree_node\"");
	ASSERT_EQ(0, window_open(&self->window, &small_window, (2 * MANY + 1) * PAGE, 0));
}

FIXTURE_TEARDOWN(starved)
{
	window_close(&self->window);
	file_write(FAILSLAB "probability", "0");
	file_write(FAILSLAB "cache-filter", "N");
	file_write(FAILSLAB "task-filter", "N");
}

static void fill_window(struct __test_metadata *_metadata, FIXTURE_DATA(starved) *self)
{
	int i;

	for (i = 0; i < MANY; i++) {
		ASSERT_EQ(0, region_alloc(&self->window, PAGE, &self->offsets[i]));
		*(int *)at(&self->window, self->offsets[i]) = i;
	}
}

static int wrong_contents(const FIXTURE_DATA(starved) *self)
{
	int i, wrong = 0;

	for (i = 0; i < MANY; i++)
		wrong += *(int *)at(&self->window, self->offsets[i]) != i;
	return wrong;
}

TEST_F(starved, region_that_cannot_be_entered_is_refused_and_leaves_nothing)
{
	const struct window *w = &self->window;
	int i, refused = 0, err;

	for (i = 0; i < MANY; i++) {
		starve(true);
		err = region_alloc(w, PAGE, &self->offsets[i]);
		starve(false);
		if (err) {
			EXPECT_EQ(-ENOMEM, err);
			refused++;
			EXPECT_EQ(i * PAGE, expert_stat(w->fd).committed);
			ASSERT_EQ(0, region_alloc(w, PAGE, &self->offsets[i]));
		}
		*(int *)at(w, self->offsets[i]) = i;
	}
	EXPECT_LT(0, refused);
	EXPECT_EQ(refused, expert_stat(w->fd).refused);
	EXPECT_EQ(MANY, expert_stat(w->fd).regions);
	EXPECT_EQ(0, wrong_contents(self));
	TH_LOG("%d of %d refused", refused, MANY);
}

TEST_F(starved, region_that_cannot_be_taken_out_is_free_but_for_its_addresses)
{
	const struct window *w = &self->window;
	int i, dead = 0;

	fill_window(_metadata, self);
	for (i = 0; i < MANY; i++) {
		starve(true);
		ASSERT_EQ(0, region_free(w, self->offsets[i]));
		starve(false);
		EXPECT_EQ(SIGSEGV, read_touch(at(w, self->offsets[i])));
		EXPECT_EQ(-ENOENT, region_free(w, self->offsets[i]));
		EXPECT_EQ(-ENOENT, region_realloc(w, self->offsets[i], PAGE));
		EXPECT_EQ((MANY - i - 1) * PAGE, expert_stat(w->fd).committed);
	}
	EXPECT_EQ(0, expert_stat(w->fd).regions);
	EXPECT_EQ(0, expert_stat(w->fd).resident);

	for (i = 0; i < MANY; i++)
		dead += region_alloc(w, PAGE, &self->offsets[i]) == -ENOSPC;
	EXPECT_LT(0, dead);
	EXPECT_EQ(MANY - dead, expert_stat(w->fd).regions);
	TH_LOG("%d of %d keep their addresses", dead, MANY);
}

TEST_F(starved, region_that_cannot_be_extended_stays_as_it_is)
{
	const struct window *w = &self->window;
	int i, refused = 0, err;

	fill_window(_metadata, self);
	for (i = 0; i < MANY; i += 2)
		ASSERT_EQ(0, region_free(w, self->offsets[i]));
	/* each has place for one more behind it now, where the next one went */
	for (i = 1; i < MANY; i += 2) {
		starve(true);
		err = region_realloc(w, self->offsets[i], 2 * PAGE);
		starve(false);
		if (!err)
			continue;
		EXPECT_TRUE(err == -ENOMEM || err == -ENOSPC) TH_LOG("%s", strerror(-err));
		refused += err == -ENOMEM;
		EXPECT_EQ(i, *(int *)at(w, self->offsets[i]));
		EXPECT_EQ(SIGSEGV, read_touch(at(w, self->offsets[i] + PAGE)));
		if (err == -ENOMEM)
			ASSERT_EQ(0, region_realloc(w, self->offsets[i], 2 * PAGE));
	}
	EXPECT_LT(0, refused);
	EXPECT_EQ(refused, expert_stat(w->fd).refused);
	TH_LOG("%d of %d refused", refused, MANY / 2);
}

TEST_F(starved, expert_that_cannot_be_entered_is_refused_and_leaves_nothing)
{
	const __u32 experts = expert_info(self->window.fd).experts;
	int i, refused = 0, fd;

	for (i = 0; i < MANY; i++) {
		starve(true);
		fd = open(DEVICE, O_RDWR | O_CLOEXEC);
		starve(false);
		if (fd < 0) {
			EXPECT_EQ(ENOMEM, errno);
			refused++;
			EXPECT_EQ(experts, expert_info(self->window.fd).experts);
			fd = expert_open();
			ASSERT_LE(0, fd);
		}
		EXPECT_EQ(experts + 1, expert_info(self->window.fd).experts);
		close(fd);
	}
	EXPECT_LT(0, refused);
	TH_LOG("%d of %d refused", refused, MANY);
}

TEST_HARNESS_MAIN
