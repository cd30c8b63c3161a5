// SPDX-License-Identifier: GPL-2.0
/*
 * The number of experts of one user: no user keeps others from opening experts, whatever it
 * does with threads, processes and user namespaces. A reclaimed expert does not count. A
 * reserve is left for root.
 *
 * needs: module root
 */
#include "bounds_test.h"

static void reclaim_many(struct __test_metadata *_metadata, struct nl *nl,
			 const struct many *many)
{
	int i;

	for (i = 0; i < many->count; i++)
		EXPECT_EQ(nl_do(nl, EXPERTMEM_CMD_RECLAIM, expert_stat(many->fds[i]).id, NULL), 0);
}

TEST_F(bounds, a_user_that_opens_all_it_can_leaves_others_theirs_and_root_the_reserve)
{
	struct many *first = new_many(), *second = new_many(), *roots = new_many();
	struct expertmem_info info;
	struct told t;

	EXPECT_OPENED(&owner, first, UID_EXPERTS, -EDQUOT);
	EXPECT_OPENED(&member, second, MAX_EXPERTS - EXPERTS_RESERVE - UID_EXPERTS, -ENFILE);
	EXPECT_OPENED(&root, roots, EXPERTS_RESERVE, -ENFILE);
	info = expert_info(first->fds[0]);
	EXPECT_EQ(info.experts, MAX_EXPERTS);
	EXPECT_EQ(info.max_experts, MAX_EXPERTS);
	EXPECT_EQ(info.uid_experts, UID_EXPERTS);
	EXPECT_EQ(info.uid_max_experts, UID_EXPERTS);
	EXPECT_EQ(expert_info(second->fds[0]).uid_experts, second->count);
	EXPECT_EQ(expert_info(roots->fds[0]).uid_experts, EXPERTS_RESERVE);
	t = nl_stats(&self->nl);
	EXPECT_EQ(t.value[S(EXPERTS)], MAX_EXPERTS);
	EXPECT_EQ(t.value[S(UID_MAX_EXPERTS)], UID_EXPERTS);

	/* one that the owner closes the member may open, but none of the reserve */
	close_many(roots);
	close(first->fds[--first->count]);
	EXPECT_OPENED(&member, roots, 1, -ENFILE);
	EXPECT_EQ(open_as(&owner), -ENFILE);
	close_many(first);
	close_many(second);
	close_many(roots);
}

TEST_F(bounds, reclaimed_experts_keep_nobody_out_but_their_own_user)
{
	struct many *first = new_many(), *second = new_many(), *third = new_many();
	const int others = MAX_EXPERTS - EXPERTS_RESERVE - UID_EXPERTS;

	EXPECT_OPENED(&owner, first, UID_EXPERTS, -EDQUOT);
	EXPECT_OPENED(&member, second, others, -ENFILE);
	reclaim_many(_metadata, &self->nl, first);
	EXPECT_EQ(expert_info(first->fds[0]).experts, others);
	EXPECT_EQ(expert_info(first->fds[0]).uid_experts, UID_EXPERTS);
	EXPECT_EQ(nl_stats(&self->nl).value[S(EXPERTS)], others);
	EXPECT_EQ(open_as(&owner), -EDQUOT);
	/* to reclaim them again changes nothing */
	reclaim_many(_metadata, &self->nl, first);
	EXPECT_EQ(as(&operator, open_many, third), MAX_EXPERTS - EXPERTS_RESERVE - others);
	EXPECT_EQ(expert_info(first->fds[0]).experts, MAX_EXPERTS - EXPERTS_RESERVE);

	/* nor does it to close them, but for their user, who may open as many as there is room */
	close_many(first);
	EXPECT_EQ(nl_stats(&self->nl).value[S(EXPERTS)], MAX_EXPERTS - EXPERTS_RESERVE);
	EXPECT_OPENED(&owner, first, 0, -ENFILE);
	close_many(third);
	EXPECT_OPENED(&owner, first, UID_EXPERTS, -EDQUOT);
	EXPECT_EQ(expert_info(first->fds[0]).uid_experts, UID_EXPERTS);
	close_many(first);
	close_many(second);
	EXPECT_EQ(nl_stats(&self->nl).value[S(EXPERTS)], 0);
}

/* A process whose windows are the experts', and that dies. */
static long map_and_die(void *arg)
{
	const struct many *many = arg;
	struct window w;
	int i;

	for (i = 0; i < many->count; i++)
		if (window_map(&w, i % 2 ? &small_window : &huge_window, many->fds[i], HUGE))
			return i;
	raise(SIGKILL);
	return 0;
}

TEST_F(bounds, experts_whose_process_is_dead_keep_nobody_out_though_descriptors_are_left)
{
	struct many *many = new_many(), *others = new_many();
	time_t end;

	EXPECT_OPENED(&owner, many, UID_EXPERTS, -EDQUOT);
	EXPECT_EQ(as(&owner, map_and_die, many), -ECHILD);
	for (end = time(NULL) + 60; nl_stats(&self->nl).value[S(EXPERTS)] && time(NULL) < end;)
		usleep(10000);
	EXPECT_EQ(nl_stats(&self->nl).value[S(EXPERTS)], 0);
	EXPECT_EQ(expert_info(many->fds[0]).uid_experts, UID_EXPERTS);
	EXPECT_OPENED(&owner, others, 0, -EDQUOT);
	EXPECT_OPENED(&member, others, UID_EXPERTS, -EDQUOT);
	close_many(many);
	close_many(others);
}

TEST_F(bounds, descriptors_for_reading_only_are_experts_as_well)
{
	struct many *many = new_many(), *others = new_many();

	many->flags = O_RDONLY | O_CLOEXEC;
	EXPECT_OPENED(&owner, many, UID_EXPERTS, -EDQUOT);
	EXPECT_EQ(open_as(&owner), -EDQUOT);
	EXPECT_OPENED(&member, others, MAX_EXPERTS - EXPERTS_RESERVE - UID_EXPERTS, -ENFILE);
	close_many(many);
	close_many(others);
}

TEST_F(bounds, how_many_a_user_may_open_can_be_changed_at_any_time)
{
	struct many *many = new_many(), *more = new_many();

	EXPECT_OPENED(&owner, many, UID_EXPERTS, -EDQUOT);
	ASSERT_EQ(parameter_write("uid_max_experts", "4"), 0);
	EXPECT_EQ(expert_info(many->fds[0]).uid_max_experts, 4);
	EXPECT_EQ(expert_info(many->fds[0]).uid_experts, UID_EXPERTS);
	EXPECT_OPENED(&owner, more, 0, -EDQUOT);
	EXPECT_EQ(expert_stat(many->fds[UID_EXPERTS - 1]).state, EXPERTMEM_STATE_IDLE);
	ASSERT_EQ(parameter_write("uid_max_experts", "20"), 0);
	EXPECT_OPENED(&owner, more, 20 - UID_EXPERTS, -EDQUOT);
	close_many(more);
	ASSERT_EQ(parameter_write("uid_max_experts", "0"), 0);
	EXPECT_OPENED(&owner, more, MAX_EXPERTS - EXPERTS_RESERVE - UID_EXPERTS, -ENFILE);
	close_many(more);
	ASSERT_EQ(parameter_write("uid_max_experts", "1000"), 0);
	EXPECT_OPENED(&owner, more, MAX_EXPERTS - EXPERTS_RESERVE - UID_EXPERTS, -ENFILE);
	close_many(more);

	/* auto follows max_experts; without that there is no bound */
	ASSERT_EQ(parameter_write("uid_max_experts", "auto"), 0);
	ASSERT_EQ(parameter_write("max_experts", "48"), 0);
	EXPECT_OPENED(&owner, more, 24 - UID_EXPERTS, -EDQUOT);
	close_many(more);
	ASSERT_EQ(parameter_write("max_experts", "0"), 0);
	EXPECT_OPENED(&owner, more, MANY, 0);
	close_many(more);

	/* fewer than there are: nobody opens another, and the open ones stay */
	ASSERT_EQ(parameter_write("max_experts", "8"), 0);
	EXPECT_EQ(open_as(&owner), -EDQUOT);
	EXPECT_EQ(open_as(&member), -ENFILE);
	EXPECT_EQ(open_as(&root), -ENFILE);
	EXPECT_EQ(expert_stat(many->fds[0]).state, EXPERTMEM_STATE_IDLE);
	close_many(many);
	close(open_as(&member));
}

/* So few that a sixteenth is none: there is no reserve. */
TEST_F(bounds, the_smallest_numbers_of_experts_have_no_reserve_and_lock_nobody_out)
{
	struct many *many = new_many();
	char number[16];
	int max;

	ASSERT_EQ(parameter_write("uid_max_experts", "0"), 0);
	for (max = 1; max <= 40; max++) {
		snprintf(number, sizeof(number), "%d", max);
		ASSERT_EQ(parameter_write("max_experts", number), 0);
		EXPECT_OPENED(&owner, many, max - max / 16, -ENFILE);
		close_many(many);
		EXPECT_OPENED(&root, many, max, -ENFILE);
		close_many(many);
	}
	ASSERT_EQ(parameter_write("max_experts", "1"), 0);
	ASSERT_EQ(parameter_write("uid_max_experts", "auto"), 0);
	EXPECT_EQ(as(&owner, open_many, many), 1);
	close_many(many);
}

TEST_F(bounds, experts_opened_with_the_capability_are_not_bounded_by_their_user)
{
	struct actor who = owner;
	struct many *many = new_many();
	int cap, fd;

	EXPECT_OPENED(&exempt_owner, many, MAX_EXPERTS, -ENFILE);
	EXPECT_EQ(expert_info(many->fds[0]).uid_experts, MAX_EXPERTS);
	close_many(many);
	ASSERT_EQ(parameter_write("uid_max_experts", "1"), 0);
	fd = open_as(&owner);
	ASSERT_GE(fd, 0);
	for (cap = 0; cap <= CAP_LAST_CAP; cap++) {
		who.caps = 1ULL << cap;
		many->most = 1;
		EXPECT_EQ(as(&who, open_many, many), cap == CAP_SYS_RESOURCE)
			TH_LOG("capability %d", cap);
		close_many(many);
	}
	close(fd);
}

/* ------------------------------------------------------------- user namespaces */

TEST_F(bounds, the_uids_of_a_users_own_namespace_count_as_the_user)
{
	/* in its namespace, and in another inside of that one */
	struct level levels[] = {
		{ .map = OWNERS_MAP }, { .map = "0 0 1\n1 8 8\n", .uid = 5 },
	};
	struct many *many[6], *others = new_many();
	const int each = 4;
	int i, fd;

	NEED_USER_NAMESPACES();
	for (i = 0; i < (int)COUNT_OF(many); i++) {
		many[i] = new_many();
		many[i]->most = each;
		levels[0].uid = i % 2 ? 0 : i;
		EXPECT_EQ(open_inside(&owner, levels, 1 + i % 2, many[i]),
			  i < UID_EXPERTS / each ? each : 0);
		if (i >= UID_EXPERTS / each)
			EXPECT_EQ(many[i]->err, -EDQUOT);
	}
	EXPECT_EQ(expert_info(many[2]->fds[0]).uid_experts, UID_EXPERTS);
	EXPECT_EQ(open_as(&owner), -EDQUOT);
	EXPECT_OPENED(&member, others, MAX_EXPERTS - EXPERTS_RESERVE - UID_EXPERTS, -ENFILE);
	close_many(others);
	close_many(many[1]);
	fd = open_as(&owner);
	ASSERT_GE(fd, 0);
	EXPECT_EQ(expert_info(fd).uid_experts, UID_EXPERTS - each + 1);
	close(fd);
	for (i = 0; i < (int)COUNT_OF(many); i++)
		close_many(many[i]);
}

TEST_F(bounds, the_uids_of_a_container_that_root_made_are_users_of_their_own)
{
	struct level level = { .map = CONTAINERS_MAP };
	struct many *many[3];
	int i;

	NEED_USER_NAMESPACES();
	ASSERT_EQ(parameter_write("uid_max_experts", "5"), 0);
	for (i = 0; i < (int)COUNT_OF(many); i++) {
		many[i] = new_many();
		/* with all capabilities there, root inside has its bound, too */
		level.uid = i;
		EXPECT_EQ(open_inside(&container_root, &level, 1, many[i]), 5);
		EXPECT_EQ(many[i]->err, -EDQUOT);
		EXPECT_EQ(expert_info(many[i]->fds[0]).uid_experts, 5);
	}
	for (i = 0; i < (int)COUNT_OF(many); i++)
		close_many(many[i]);
}

TEST_F(bounds, the_uids_of_a_namespace_that_a_containers_user_made_count_as_that_user)
{
	/* user 1 of the container has got ids 8 to 15, of which it uses 10 */
	const struct level levels[] = {
		{ .map = CONTAINERS_MAP },
		{ .creator = 1, .map = "0 1 1\n1 8 8\n", .uid = 3 },
	};
	struct level itself = { .map = CONTAINERS_MAP, .uid = 1 };
	struct many *inside = new_many(), *outside = new_many();

	NEED_USER_NAMESPACES();
	ASSERT_EQ(parameter_write("uid_max_experts", "5"), 0);
	inside->most = 3;
	EXPECT_EQ(open_inside(&container_root, levels, 2, inside), 3);
	EXPECT_EQ(open_inside(&container_root, &itself, 1, outside), 2);
	EXPECT_EQ(outside->err, -EDQUOT);
	close_many(outside);
	itself.uid = 10;
	EXPECT_EQ(open_inside(&container_root, &itself, 1, outside), 5);
	close_many(inside);
	close_many(outside);
}

/* ----------------------------------------------------------- many at the same time */

/* The calling thread alone is @uid and in the device's group; glibc's calls change all. */
static int become_in_thread(uid_t uid)
{
	const gid_t group = DEVICE_GROUP;

	return syscall(SYS_setgroups, 1, &group) || syscall(SYS_setresuid, uid, uid, uid);
}

static void *take_experts(void *arg)
{
	struct racer *racer = arg;
	int fd = -EPERM;

	if (become_in_thread(racer->uid))
		racer->err = -EPERM;
	pthread_barrier_wait(racer->start);
	while (racer->got < MANY) {
		fd = expert_open();
		if (fd < 0)
			break;
		racer->fds[racer->got++] = fd;
	}
	racer->err = fd;
	return NULL;
}

static unsigned long close_taken(struct racer *racers)
{
	unsigned long sum = 0;
	int i;

	for (i = 0; i < THREADS; i++)
		for (; racers[i].got; sum++)
			close(racers[i].fds[--racers[i].got]);
	return sum;
}

TEST_F(bounds, threads_open_exactly_as_many_experts_as_their_user_may_have)
{
	static struct racer racers[THREADS];
	unsigned long round;
	int i;

	for (round = 0; round < rounds(100); round++) {
		for (i = 0; i < THREADS; i++)
			racers[i].uid = OWNER_UID;
		run(_metadata, racers, take_experts);
		for (i = 0; i < THREADS; i++)
			ASSERT_EQ(racers[i].err, -EDQUOT);
		ASSERT_EQ(close_taken(racers), UID_EXPERTS);
	}
}

TEST_F(bounds, threads_of_many_users_open_exactly_max_experts_without_the_reserve)
{
	static struct racer racers[THREADS];
	unsigned long round;
	int i;

	ASSERT_EQ(parameter_write("uid_max_experts", "0"), 0);
	for (round = 0; round < rounds(100); round++) {
		for (i = 0; i < THREADS; i++)
			racers[i].uid = 2000 + i % 3;
		run(_metadata, racers, take_experts);
		for (i = 0; i < THREADS; i++)
			ASSERT_EQ(racers[i].err, -ENFILE);
		ASSERT_EQ(close_taken(racers), MAX_EXPERTS - EXPERTS_RESERVE);
	}
}

static void *open_and_close(void *arg)
{
	struct racer *racer = arg;
	int fd;

	if (become_in_thread(racer->uid))
		racer->err = -EPERM;
	pthread_barrier_wait(racer->start);
	while (racer->tries--) {
		fd = expert_open();
		if (fd >= 0) {
			count_holders(racer, expert_info(fd).uid_experts);
			close(fd);
		} else if (fd != -EDQUOT) {
			racer->err = fd;
		}
	}
	return NULL;
}

TEST_F(bounds, threads_that_race_to_open_the_last_expert_do_not_both_get_it)
{
	static struct racer racers[THREADS];
	unsigned long got = 0;
	int i, holders = 0;
	char number[16];

	snprintf(number, sizeof(number), "%d", ALLOWED);
	ASSERT_EQ(parameter_write("uid_max_experts", number), 0);
	for (i = 0; i < THREADS; i++)
		racers[i] = (struct racer) {
			.uid = OWNER_UID, .holders = &holders, .tries = rounds(20000),
		};
	run(_metadata, racers, open_and_close);
	for (i = 0; i < THREADS; i++) {
		EXPECT_EQ(racers[i].err, 0);
		EXPECT_LE(racers[i].most, ALLOWED);
		got += racers[i].got;
	}
	TH_LOG("%lu of %lu experts were opened", got, THREADS * rounds(20000));
	EXPECT_GT(got, 0);
}

/* Many users come and go; what is known of each does not stay wrong. */
TEST_F(bounds, users_that_are_forgotten_and_come_back_begin_anew)
{
	struct many *many = new_many();
	unsigned long i;
	int fd;

	for (i = 0; i < rounds(4000); i++) {
		fd = open_by_uid(10000 + i % 1000);
		ASSERT_GE(fd, 0);
		ASSERT_EQ(expert_info(fd).uid_experts, 1);
		ASSERT_EQ(expert_info(fd).uid_charged, 0);
		close(fd);
	}
	EXPECT_OPENED(&owner, many, UID_EXPERTS, -EDQUOT);
	close_many(many);
}

TEST_HARNESS_MAIN
