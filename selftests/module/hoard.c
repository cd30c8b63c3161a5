// SPDX-License-Identifier: GPL-2.0
/*
 * Pinned pages as an attack: an expert, or a user who opens experts one after the other, pins
 * pages in pipes and frees their regions, again and again. The bytes that stay charged never
 * exceed the limit.
 *
 * needs: module root
 */
#include <sched.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "held_test.h"
#include "netlink_test.h"
#include "users_test.h"

#define LOOPS		64

/**
 * struct hoard - what a loop does, and how far it comes
 * @kind: window
 * @limit: of each expert, bytes
 * @next: make the byte held once more; 0 or a negative errno
 * @experts: one process after the other, each with an expert
 * @window: of the expert, where there is but one
 * @offset: of its region, 0: none
 * @grips: who holds them
 * @nr: how many there are
 * @unit: bytes that one holds
 * @err: why the loop ended
 * @stat: of the expert at the end, where there is but one
 */
struct hoard {
	const struct window *kind;
	__u64 limit;
	int (*next)(struct hoard *hoard);
	struct window window;
	__u64 offset;
	struct grip grips[LOOPS];
	int nr;
	__u64 unit;
	int err;
	struct expertmem_stat stat;
};

static int hoard_open(struct hoard *hoard)
{
	int fd = expert_open();
	int err;

	if (fd < 0)
		return fd;
	err = expert_configure(fd, "hoard", hoard->limit, 0);
	return err ? err : window_map(&hoard->window, hoard->kind, fd, WINDOW);
}

/* Touch a page, and have it held. */
static int hoard_grip(struct hoard *hoard, __u64 offset)
{
	__u64 before = resident(hoard->window.fd);
	int err;

	*at(&hoard->window, offset) = BYTE;
	hoard->unit = resident(hoard->window.fd) - before;
	err = grip_by_pipe(&hoard->grips[hoard->nr], at(&hoard->window, offset));
	if (!err)
		hoard->nr++;
	return err;
}

static int hoard_by_free(struct hoard *hoard)
{
	__u64 offset;
	int err;

	if (!hoard->nr) {
		err = hoard_open(hoard);
		if (err)
			return err;
	}
	err = region_alloc(&hoard->window, 1, &offset);
	if (!err)
		err = hoard_grip(hoard, offset);
	return err ? err : region_free(&hoard->window, offset);
}

static int hoard_by_shrinking(struct hoard *hoard)
{
	const __u64 granule = hoard->kind->granule;
	int err = 0;

	if (!hoard->nr) {
		err = hoard_open(hoard);
		if (!err)
			err = region_alloc_flags(&hoard->window, 0, granule, 2 * granule,
						 &hoard->offset);
	}
	if (!err)
		err = region_realloc(&hoard->window, hoard->offset, 2 * granule);
	if (!err)
		err = hoard_grip(hoard, hoard->offset + granule);
	return err ? err : region_realloc(&hoard->window, hoard->offset, granule);
}

static int hoard_by_removing(struct hoard *hoard)
{
	int err = 0;

	if (!hoard->nr) {
		err = hoard_open(hoard);
		if (!err)
			err = region_alloc(&hoard->window, hoard->kind->granule, &hoard->offset);
	}
	if (!err)
		err = hoard_grip(hoard, hoard->offset);
	return err ? err : result(madvise(at(&hoard->window, hoard->offset),
					  hoard->kind->granule, MADV_REMOVE));
}

/* Each of these has an expert of its own, which it ends; the region is all it may have. */
static int hoard_anew(struct hoard *hoard)
{
	int err = hoard_open(hoard);

	if (!err)
		err = region_alloc(&hoard->window, hoard->limit, &hoard->offset);
	return err ? err : hoard_grip(hoard, hoard->offset);
}

static int hoard_by_reclaim(struct hoard *hoard)
{
	struct expertmem_reclaim arg;
	int err = hoard_anew(hoard);

	if (!err)
		err = expert_reclaim(hoard->window.fd, &arg);
	window_close(&hoard->window);
	return err;
}

static int hoard_by_unmapping(struct hoard *hoard)
{
	int err = hoard_anew(hoard);

	window_close(&hoard->window);
	return err;
}

/* The pipe stays with the parent, which shares the descriptors. */
static int hoard_by_exit(struct hoard *hoard)
{
	pid_t pid = syscall(SYS_clone, CLONE_FILES | SIGCHLD, NULL, NULL, NULL, NULL);
	int err;

	if (pid)
		return -child_status(pid);
	err = hoard_anew(hoard);
	close(hoard->window.fd);
	_exit(-err);
}

static long hoard_all(void *arg)
{
	struct hoard *hoard = arg;

	while (!hoard->err && hoard->nr < LOOPS)
		hoard->err = hoard->next(hoard);
	hoard->stat = expert_stat(hoard->window.fd);
	return 0;
}

FIXTURE(hoard)
{
	struct hoard *hoard;
	struct parameter uid_limit;
	struct stat device;
	int other;		/* an expert of the owner's */
	__u64 uid_charged;
};

FIXTURE_VARIANT(hoard)
{
	const struct window *kind;
	__u64 limit;		/* of an expert */
};

FIXTURE_VARIANT_ADD(hoard, small) { .kind = &small_window, .limit = 16 * PAGE };
FIXTURE_VARIANT_ADD(hoard, huge) { .kind = &huge_window, .limit = HUGE };

/* What the experts of a user may have, in granules: more than one of them may. */
#define OF_USER		32

FIXTURE_SETUP(hoard)
{
	char text[32];

	NEED_USERS();
	self->hoard = shared(sizeof(*self->hoard));
	ASSERT_NE(self->hoard, NULL);
	*self->hoard = (struct hoard) { .kind = variant->kind, .limit = variant->limit };
	ASSERT_EQ(group_device(&self->device, 0660), 0);
	self->other = open_as(&owner);
	ASSERT_GE(self->other, 0);
	self->uid_charged = expert_info(self->other).uid_charged;
	snprintf(text, sizeof(text), "%llu", self->uid_charged + OF_USER * variant->kind->granule);
	ASSERT_EQ(parameter_set(&self->uid_limit, "uid_limit", text), 0);
}

FIXTURE_TEARDOWN(hoard)
{
	EXPECT_EQ(parameter_restore(&self->uid_limit), 0);
	EXPECT_EQ(ungroup_device(&self->device), 0);
	close(self->other);
}

static __u64 charged(const FIXTURE_DATA(hoard) *self)
{
	return expert_info(self->other).uid_charged - self->uid_charged;
}

static void check_hoard(struct __test_metadata *_metadata, FIXTURE_DATA(hoard) *self,
			int err, __u64 held)
{
	struct hoard *hoard = self->hoard;
	time_t end;
	int i;

	EXPECT_EQ(hoard->err, err);
	EXPECT_EQ(hoard->nr * hoard->unit, held);
	EXPECT_EQ(charged(self), held + hoard->stat.committed);
	for (i = 0; i < hoard->nr; i++)
		let_go(&hoard->grips[i]);
	for (end = time(NULL) + SETTLE; charged(self) && time(NULL) < end;)
		sched_yield();
	EXPECT_EQ(charged(self), hoard->stat.committed);
}

TEST_F(hoard, loop_of_alloc_and_free_ends_at_the_experts_limit)
{
	self->hoard->next = hoard_by_free;
	ASSERT_EQ(as(&owner, hoard_all, self->hoard), 0);
	EXPECT_EQ(self->hoard->stat.limit, variant->limit);
	EXPECT_EQ(self->hoard->stat.pinned, variant->limit);
	EXPECT_EQ(self->hoard->stat.peak, variant->limit);
	self->hoard->stat.committed = 0;
	check_hoard(_metadata, self, -EDQUOT, variant->limit);
	close(self->hoard->window.fd);
}

TEST_F(hoard, loop_of_growing_and_shrinking_ends_at_the_experts_limit)
{
	const __u64 granule = variant->kind->granule;
	__u64 limit = variant->limit;

	/* it takes two granules in regions */
	if (limit == granule)
		limit = 3 * granule;
	self->hoard->limit = limit;
	self->hoard->next = hoard_by_shrinking;
	ASSERT_EQ(as(&owner, hoard_all, self->hoard), 0);
	EXPECT_EQ(self->hoard->stat.pinned, limit - granule);
	EXPECT_EQ(self->hoard->stat.peak, limit);
	/* the process has ended, and its region with it */
	self->hoard->stat.committed = 0;
	check_hoard(_metadata, self, -EDQUOT, limit - granule);
	close(self->hoard->window.fd);
}

TEST_F(hoard, loop_of_madv_remove_holds_one_page)
{
	self->hoard->next = hoard_by_removing;
	ASSERT_EQ(as(&owner, hoard_all, self->hoard), 0);
	self->hoard->stat.committed = 0;
	check_hoard(_metadata, self, -EBUSY, self->hoard->unit);
	close(self->hoard->window.fd);
}

/* Each of these experts may have one granule, and has it. */
static void check_hoard_anew(struct __test_metadata *_metadata, FIXTURE_DATA(hoard) *self,
			     const FIXTURE_VARIANT(hoard) *variant,
			     int (*next)(struct hoard *hoard))
{
	self->hoard->next = next;
	self->hoard->limit = variant->kind->granule;
	ASSERT_EQ(as(&owner, hoard_all, self->hoard), 0);
	self->hoard->stat.committed = 0;
	check_hoard(_metadata, self, -EDQUOT, OF_USER * self->hoard->unit);
}

TEST_F(hoard, loop_of_reclaimed_experts_ends_at_the_users_limit)
{
	check_hoard_anew(_metadata, self, variant, hoard_by_reclaim);
}

TEST_F(hoard, loop_of_unmapped_experts_ends_at_the_users_limit)
{
	check_hoard_anew(_metadata, self, variant, hoard_by_unmapping);
}

TEST_F(hoard, loop_of_processes_that_exit_ends_at_the_users_limit)
{
	check_hoard_anew(_metadata, self, variant, hoard_by_exit);
}

/* Those of root have no limit as a user's. */
TEST_F(hoard, loop_of_processes_of_root_ends_at_the_total_limit)
{
	struct parameter total_limit = { };
	struct told stats;
	char text[32];
	struct nl nl;

	ASSERT_EQ(nl_open(&nl), 0);
	stats = nl_stats(&nl);
	snprintf(text, sizeof(text), "%llu", stats.value[S(COMMITTED)] +
		 stats.value[S(PINNED)] + OF_USER * variant->kind->granule);
	ASSERT_EQ(parameter_set(&total_limit, "total_limit", text), 0);
	self->hoard->next = hoard_by_exit;
	self->hoard->limit = variant->kind->granule;
	hoard_all(self->hoard);
	EXPECT_EQ(self->hoard->err, -ENOMEM);
	EXPECT_EQ(self->hoard->nr * self->hoard->unit, OF_USER * variant->kind->granule);
	EXPECT_EQ(nl_stats(&nl).value[S(PINNED)],
		  stats.value[S(PINNED)] + self->hoard->nr * self->hoard->unit);
	EXPECT_EQ(parameter_restore(&total_limit), 0);
	close(nl.fd);
}

TEST_HARNESS_MAIN
