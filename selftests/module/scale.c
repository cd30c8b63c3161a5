// SPDX-License-Identifier: GPL-2.0
/*
 * Thousands of experts at a time: the numbers of experts and bytes are right, and all memory
 * is returned.
 *
 * needs: module root
 */
#include <sys/resource.h>

#include "harness.h"
#include "memory_test.h"

#define EXPERTS		10000
#define WINDOW		MIB

/*
 * What may remain of 10,000 closed experts: slabs keep some of their empty pages, and
 * the page tables of half of the windows stay until the process ends. It is less than
 * a tenth of what the experts' structures and pages took.
 */
#define NOISE		(16 * MIB)
#define SETTLE		30

FIXTURE(scale)
{
	struct parameter max_experts;
	struct memory before;
	__u64 slab;
	__u32 others;
};

struct one {
	int fd;
	struct window window;
};

static struct one experts[EXPERTS];

static int start(struct one *one, int i)
{
	char name[32];
	__u64 offset;
	int err;

	one->fd = expert_open();
	if (one->fd < 0)
		return one->fd;
	snprintf(name, sizeof(name), "expert %d", i);
	err = expert_configure(one->fd, name, WINDOW, 0);
	if (err || i % 2)
		return err;
	err = window_map(&one->window, &small_window, one->fd, WINDOW);
	if (!err)
		err = region_alloc(&one->window, PAGE, &offset);
	if (!err)
		*at(&one->window, offset) = 1;
	return err;
}

static void end(struct one *one)
{
	if (one->window.addr)
		munmap(one->window.addr, one->window.size);
	one->window.addr = NULL;
	close(one->fd);
}

FIXTURE_SETUP(scale)
{
	struct rlimit files = { EXPERTS + 100, EXPERTS + 100 };
	int fd;

	NEED_DEVICE();
	if (setrlimit(RLIMIT_NOFILE, &files))
		SKIP_TEST("cannot open %d files: %s", EXPERTS, strerror(errno));
	ASSERT_EQ(parameter_set(&self->max_experts, "max_experts", "0"), 0);

	/* what the first expert makes the kernel keep is no leak */
	ASSERT_EQ(start(&experts[0], 0), 0);
	end(&experts[0]);

	fd = expert_open();
	ASSERT_GE(fd, 0);
	self->others = expert_info(fd).experts - 1;
	close(fd);
	self->before = memory_now();
	self->slab = meminfo("Slab");
}

FIXTURE_TEARDOWN(scale)
{
	EXPECT_EQ(parameter_restore(&self->max_experts), 0);
}

TEST_F(scale, ten_thousand_experts_leave_nothing_behind)
{
	struct expertmem_stat stat;
	struct memory full;
	__u64 id = 0;
	char name[32];
	int i;

	for (i = 0; i < EXPERTS; i++)
		ASSERT_EQ(start(&experts[i], i), 0);
	EXPECT_EQ(expert_info(experts[0].fd).experts, EXPERTS + self->others);

	for (i = 0; i < EXPERTS; i++) {
		stat = expert_stat(experts[i].fd);
		snprintf(name, sizeof(name), "expert %d", i);
		ASSERT_STREQ(stat.name, name);
		/* in the order of opening, so that no two are the same */
		ASSERT_GT(stat.id, id);
		id = stat.id;
		ASSERT_EQ(stat.state, i % 2 ? EXPERTMEM_STATE_IDLE :
					      EXPERTMEM_STATE_RUNNING);
		ASSERT_EQ(stat.regions, !(i % 2));
		ASSERT_EQ(stat.committed, i % 2 ? 0 : PAGE);
		ASSERT_EQ(stat.resident, i % 2 ? 0 : PAGE);
	}

	full = memory_now();
	TH_LOG("an expert takes %llu bytes, of these %llu in slabs",
	       (self->before.free - full.free) / EXPERTS,
	       (meminfo("Slab") - self->slab) / EXPERTS);
	EXPECT_FALSE(memory_is_back(&self->before, NOISE, 0));

	/* the later half first, and the windows of the rest at once */
	for (i = EXPERTS / 2; i < EXPERTS; i++)
		end(&experts[i]);
	EXPECT_EQ(expert_info(experts[0].fd).experts, EXPERTS / 2 + self->others);
	for (i = 1; i < EXPERTS / 2; i++)
		end(&experts[i]);
	EXPECT_EQ(expert_info(experts[0].fd).experts, 1 + self->others);
	EXPECT_EQ(expert_stat(experts[0].fd).resident, PAGE);
	end(&experts[0]);
	EXPECT_TRUE(memory_is_back(&self->before, NOISE, SETTLE));
	EXPECT_TRUE(slabs_linger() || meminfo("Slab") <= self->slab + NOISE);
}

TEST_F(scale, the_expert_too_many_is_refused_until_another_ends)
{
	char max[16];
	int i;

	snprintf(max, sizeof(max), "%u", EXPERTS + self->others);
	ASSERT_EQ(file_write(PARAMETERS "max_experts", max), 0);
	for (i = 0; i < EXPERTS; i++) {
		experts[i].fd = expert_open();
		ASSERT_GE(experts[i].fd, 0);
	}
	EXPECT_EQ(expert_open(), -ENFILE);
	EXPECT_EQ(expert_info(experts[0].fd).experts, EXPERTS + self->others);
	close(experts[1].fd);
	experts[1].fd = expert_open();
	EXPECT_GE(experts[1].fd, 0);
	EXPECT_EQ(expert_open(), -ENFILE);
}

TEST_HARNESS_MAIN
