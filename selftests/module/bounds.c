// SPDX-License-Identifier: GPL-2.0
/*
 * The module's parameters, and the bytes that all experts of one user may have committed. A
 * user who reaches this bound keeps no other user from allocating, whatever it does with
 * experts, threads, pinned pages and user namespaces. A reserve is left for root.
 * max_experts.c tests the number of experts.
 *
 * needs: module root
 */
#include <sys/uio.h>

#include "bounds_test.h"

/* ----------------------------------------------------------------- parameters */

static const char *const bounds[] = { "uid_limit", "uid_max_experts" };

TEST_F(bounds, parameters_are_a_number_or_auto)
{
	static const struct {
		const char *written, *read;
	} values[] = {
		{ "auto", "auto" }, { "0", "0" }, { "auto\n", "auto" }, { "1", "1" },
		{ "64K", "65536" }, { "123\n", "123" },
		{ "15E", "17293822569102704640" }, { "2p", "2251799813685248" }, { "auto", "auto" },
	};
	static const char *const junk[] = {
		"\n", "AUTO", "Auto", "aut", "autos", "auto ", " auto", "auto\n\n", "-1", "none",
		"half", "1x", "64MB", "0auto",
	};
	/* what would wrap around to a number; and the one that means auto in the module */
	static const char *const too_large[] = {
		"18446744073709551615", "18446744073709551616", "99999999999999999999999",
		"16E", "32E", "16384P", "16777216T", "18014398509481984K",
	};
	size_t i, j;

	for (i = 0; i < COUNT_OF(bounds); i++) {
		for (j = 0; j < COUNT_OF(values); j++) {
			ASSERT_EQ(parameter_write(bounds[i], values[j].written), 0);
			EXPECT_STREQ(parameter_read(bounds[i]), values[j].read);
		}
		for (j = 0; j < COUNT_OF(junk); j++) {
			EXPECT_EQ(parameter_write(bounds[i], junk[j]), -EINVAL)
				TH_LOG("%s=\"%s\"", bounds[i], junk[j]);
			EXPECT_STREQ(parameter_read(bounds[i]), "auto");
		}
		for (j = 0; j < COUNT_OF(too_large); j++)
			EXPECT_EQ(parameter_write(bounds[i], too_large[j]), -ERANGE)
				TH_LOG("%s: number %zu", bounds[i], j);
		ASSERT_EQ(parameter_write(bounds[i], "auto"), 0);
	}
}

TEST_F(bounds, info_and_stats_have_the_numbers_that_auto_stands_for)
{
	static const struct {
		const char *total, *bound, *auto_is;
	} halves[] = {
		{ "1T", "auto", "549755813888" }, { "64M", "auto", "33554432" },
		{ "0", "auto", "0" }, { "64M", "1M", "1048576" }, { "64M", "0", "0" },
		{ "0", "4096", "4096" }, { "1M", "2M", "2097152" },
	};
	int fd = expert_open();
	struct expertmem_info info;
	struct told t;
	size_t i;

	ASSERT_GE(fd, 0);
	for (i = 0; i < COUNT_OF(halves); i++) {
		ASSERT_EQ(parameter_write("total_limit", halves[i].total), 0);
		ASSERT_EQ(parameter_write("uid_limit", halves[i].bound), 0);
		info = expert_info(fd);
		t = nl_stats(&self->nl);
		EXPECT_EQ(info.uid_limit, strtoull(halves[i].auto_is, NULL, 10));
		EXPECT_EQ(t.value[S(UID_LIMIT)], info.uid_limit);
	}
	for (i = 0; i < 100; i++) {
		char number[16];

		snprintf(number, sizeof(number), "%zu", i);
		ASSERT_EQ(parameter_write("max_experts", number), 0);
		info = expert_info(fd);
		t = nl_stats(&self->nl);
		/* half of an odd number is rounded, but not to 0, which is no bound */
		EXPECT_GE(info.uid_max_experts, i / 2);
		EXPECT_LE(info.uid_max_experts, (i + 1) / 2);
		EXPECT_EQ(!info.uid_max_experts, !i);
		EXPECT_EQ(t.value[S(UID_MAX_EXPERTS)], info.uid_max_experts);
	}
	ASSERT_EQ(parameter_write("uid_max_experts", "7"), 0);
	EXPECT_EQ(expert_info(fd).uid_max_experts, 7);
	ASSERT_EQ(parameter_write("uid_max_experts", "0"), 0);
	EXPECT_EQ(expert_info(fd).uid_max_experts, 0);
	ASSERT_EQ(parameter_write("total_limit", "1"), 0);
	ASSERT_EQ(parameter_write("uid_limit", "auto"), 0);
	EXPECT_NE(expert_info(fd).uid_limit, 0);
	close(fd);
}

/* ---------------------------------------------------------------------- bytes */

FIXTURE(bytes)
{
	FIXTURE_DATA(bounds) of;
};

FIXTURE_VARIANT(bytes)
{
	struct window kind;
};

FIXTURE_VARIANT_ADD(bytes, small) {
	.kind = SMALL_WINDOW,
};

FIXTURE_VARIANT_ADD(bytes, huge) {
	.kind = HUGE_WINDOW,
};

FIXTURE_SETUP(bytes)
{
	bounds_setup(_metadata, &self->of, NULL);
}

FIXTURE_TEARDOWN(bytes)
{
	bounds_teardown(_metadata, &self->of, NULL);
}

/* An expert that @who opens; its window is the caller's, who is root. */
static int window_open_as(const struct actor *who, struct window *w, const struct window *kind)
{
	int fd = open_as(who);

	return fd < 0 ? fd : window_map(w, kind, fd, WINDOW);
}

/* fill() - commit all that @w gets, but for less than a granule; @err: what ended it */
static __u64 fill(const struct window *w, int *err)
{
	__u64 size = 16 * MIB, sum = 0, offset;

	while (size >= w->granule) {
		*err = region_alloc(w, size, &offset);
		if (*err)
			size /= 2;
		else
			sum += size;
	}
	return sum;
}

#define EXPECT_FILLED(w, bytes, error)						\
	do {									\
		int fill_err = 1;						\
										\
		EXPECT_EQ(fill(w, &fill_err), bytes);				\
		EXPECT_EQ(fill_err, error);					\
	} while (0)

static __u64 charged(const struct window *w)
{
	return expert_info(w->fd).uid_charged;
}

TEST_F(bytes, a_user_that_hoards_leaves_others_theirs_and_root_the_reserve)
{
	struct window one, more, others, roots;
	__u64 offset;
	struct told t;

	ASSERT_EQ(window_open_as(&owner, &one, &variant->kind), 0);
	ASSERT_EQ(window_open_as(&owner, &more, &variant->kind), 0);
	ASSERT_EQ(window_open_as(&member, &others, &variant->kind), 0);
	ASSERT_EQ(window_open_as(&root, &roots, &variant->kind), 0);

	/* by how many experts makes no difference */
	ASSERT_EQ(region_alloc(&more, 8 * MIB, &offset), 0);
	EXPECT_EQ(charged(&one), 8 * MIB);
	EXPECT_FILLED(&one, UID_LIMIT - 8 * MIB, -EDQUOT);
	EXPECT_EQ(region_alloc(&more, 1, &offset), -EDQUOT);
	EXPECT_EQ(offset, POISON64);
	EXPECT_EQ(expert_stat(more.fd).committed, 8 * MIB);
	EXPECT_EQ(expert_stat(more.fd).refused, 1);
	EXPECT_EQ(charged(&one), UID_LIMIT);
	EXPECT_EQ(charged(&more), UID_LIMIT);

	EXPECT_EQ(charged(&others), 0);
	EXPECT_FILLED(&others, TOTAL - RESERVE - UID_LIMIT, -ENOMEM);
	EXPECT_EQ(charged(&others), TOTAL - RESERVE - UID_LIMIT);
	EXPECT_EQ(charged(&one), UID_LIMIT);

	EXPECT_FILLED(&roots, RESERVE, -ENOMEM);
	EXPECT_EQ(charged(&roots), RESERVE);
	t = nl_stats(&self->of.nl);
	EXPECT_EQ(t.value[S(COMMITTED)], TOTAL);
	EXPECT_EQ(t.value[S(UID_LIMIT)], UID_LIMIT);

	window_close(&one);
	EXPECT_EQ(charged(&more), 8 * MIB);
	/* what the owner had is for anybody, but not beyond its bound */
	EXPECT_FILLED(&others, UID_LIMIT - (TOTAL - RESERVE - UID_LIMIT), -EDQUOT);
	EXPECT_FILLED(&roots, TOTAL - RESERVE - UID_LIMIT - 8 * MIB, -ENOMEM);
	window_close(&more);
	window_close(&others);
	window_close(&roots);
}

TEST_F(bytes, what_is_given_back_in_any_way_the_user_may_have_again)
{
	enum { BY_FREE, BY_SHRINKING, BY_RECLAIM, BY_OPERATOR, BY_UNMAPPING, BY_CLOSING, WAYS };
	const __u64 granule = variant->kind.granule;
	struct expertmem_reclaim reclaim;
	struct window keeper, w;
	__u64 offset, none;
	int way;

	ASSERT_EQ(window_open_as(&owner, &keeper, &variant->kind), 0);
	for (way = 0; way < WAYS; way++) {
		ASSERT_EQ(window_open_as(&owner, &w, &variant->kind), 0);
		ASSERT_EQ(region_alloc(&w, UID_LIMIT, &offset), 0);
		*at(&w, offset) = 1;
		EXPECT_EQ(region_alloc(&keeper, 1, &none), -EDQUOT);
		switch (way) {
		case BY_FREE:
			ASSERT_EQ(region_free(&w, offset), 0);
			break;
		case BY_SHRINKING:
			ASSERT_EQ(region_realloc(&w, offset, granule), 0);
			break;
		case BY_RECLAIM:
			ASSERT_EQ(expert_reclaim(w.fd, &reclaim), 0);
			break;
		case BY_OPERATOR:
			ASSERT_EQ(nl_do(&self->of.nl, EXPERTMEM_CMD_RECLAIM, expert_stat(w.fd).id,
					NULL), 0);
			break;
		case BY_UNMAPPING:
			munmap(w.addr, w.size);
			break;
		case BY_CLOSING:
			window_close(&w);
			break;
		}
		EXPECT_EQ(charged(&keeper), way == BY_SHRINKING ? granule : 0);
		EXPECT_EQ(region_alloc(&keeper, UID_LIMIT - granule, &offset), 0)
			TH_LOG("way %d", way);
		EXPECT_EQ(region_free(&keeper, offset), 0);
		if (way != BY_CLOSING)
			window_close(&w);
		EXPECT_EQ(charged(&keeper), 0);
	}
	window_close(&keeper);
}

TEST_F(bytes, realloc_and_copy_obey_the_bound_as_alloc_does)
{
	struct expertmem_copy copy = { };
	struct window source, w;
	__u64 offset, other;

	ASSERT_EQ(window_open_as(&root, &source, &variant->kind), 0);
	ASSERT_EQ(region_alloc(&source, 8 * MIB, &offset), 0);
	memset(at(&source, offset), 1, 8 * MIB);
	ASSERT_EQ(window_open_as(&owner, &w, &variant->kind), 0);
	ASSERT_EQ(parameter_write("uid_limit", "6M"), 0);
	copy.fd = source.fd;
	EXPECT_EQ(expert_ioctl(w.fd, EXPERTMEM_IOC_COPY, &copy), -EDQUOT);
	EXPECT_EQ(expert_stat(w.fd).regions, 0);
	EXPECT_EQ(charged(&w), 0);
	ASSERT_EQ(region_alloc_flags(&w, 0, 4 * MIB, 16 * MIB, &other), 0);
	EXPECT_EQ(region_realloc(&w, other, 8 * MIB), -EDQUOT);
	EXPECT_EQ(region_realloc_flags(&w, EXPERTMEM_ALLOC_POPULATE, other, 8 * MIB), -EDQUOT);
	EXPECT_EQ(expert_stat(w.fd).committed, 4 * MIB);
	EXPECT_EQ(expert_stat(w.fd).refused, 3);
	EXPECT_EQ(region_realloc(&w, other, 6 * MIB), 0);
	EXPECT_EQ(charged(&w), 6 * MIB);
	ASSERT_EQ(region_free(&w, other), 0);
	ASSERT_EQ(parameter_write("uid_limit", "8M"), 0);
	EXPECT_EQ(expert_ioctl(w.fd, EXPERTMEM_IOC_COPY, &copy), 0);
	EXPECT_EQ(charged(&w), 8 * MIB);
	window_close(&source);
	window_close(&w);
}

TEST_F(bytes, the_bound_can_be_changed_at_any_time_and_takes_nothing_away)
{
	struct window w;
	__u64 offset;

	ASSERT_EQ(window_open_as(&owner, &w, &variant->kind), 0);
	ASSERT_EQ(region_alloc_flags(&w, 0, 16 * MIB, 128 * MIB, &offset), 0);
	memset(at(&w, offset), 'x', 16 * MIB);
	ASSERT_EQ(parameter_write("uid_limit", "8M"), 0);
	EXPECT_EQ(expert_info(w.fd).uid_limit, 8 * MIB);
	EXPECT_EQ(charged(&w), 16 * MIB);
	EXPECT_TRUE(all_bytes(at(&w, offset), 16 * MIB, 'x'));
	EXPECT_FILLED(&w, 0, -EDQUOT);
	ASSERT_EQ(region_realloc(&w, offset, 10 * MIB), 0);
	EXPECT_EQ(region_realloc(&w, offset, 12 * MIB), -EDQUOT);
	ASSERT_EQ(region_realloc(&w, offset, 6 * MIB), 0);
	EXPECT_EQ(region_realloc(&w, offset, 8 * MIB), 0);
	EXPECT_TRUE(all_bytes(at(&w, offset), 6 * MIB, 'x'));

	ASSERT_EQ(parameter_write("uid_limit", "40M"), 0);
	EXPECT_EQ(region_realloc(&w, offset, 42 * MIB), -EDQUOT);
	EXPECT_EQ(region_realloc(&w, offset, 40 * MIB), 0);
	/* no bound but the total's, nor one beyond it */
	ASSERT_EQ(parameter_write("uid_limit", "0"), 0);
	EXPECT_EQ(region_realloc(&w, offset, TOTAL - RESERVE + HUGE), -ENOMEM);
	EXPECT_EQ(region_realloc(&w, offset, TOTAL - RESERVE), 0);
	ASSERT_EQ(parameter_write("uid_limit", "1G"), 0);
	EXPECT_EQ(region_realloc(&w, offset, TOTAL - RESERVE + HUGE), -ENOMEM);

	/* auto follows the total */
	ASSERT_EQ(parameter_write("uid_limit", "auto"), 0);
	EXPECT_EQ(region_realloc(&w, offset, TOTAL - RESERVE + HUGE), -EDQUOT);
	ASSERT_EQ(parameter_write("total_limit", "160M"), 0);
	EXPECT_EQ(expert_info(w.fd).uid_limit, 80 * MIB);
	EXPECT_EQ(region_realloc(&w, offset, 80 * MIB + 1), -EDQUOT);
	EXPECT_EQ(region_realloc(&w, offset, 80 * MIB), 0);
	ASSERT_EQ(parameter_write("total_limit", "0"), 0);
	EXPECT_EQ(expert_info(w.fd).uid_limit, 0);
	EXPECT_EQ(region_realloc(&w, offset, 128 * MIB), 0);
	window_close(&w);
}

TEST_F(bytes, an_expert_opened_with_the_capability_has_the_totals_bound_only)
{
	struct window w;

	ASSERT_EQ(window_open_as(&exempt_owner, &w, &variant->kind), 0);
	EXPECT_FILLED(&w, TOTAL, -ENOMEM);
	EXPECT_EQ(charged(&w), TOTAL);
	window_close(&w);

	/* whose expert it is and who calls, here root, makes no difference */
	ASSERT_EQ(window_open_as(&owner, &w, &variant->kind), 0);
	EXPECT_FILLED(&w, UID_LIMIT, -EDQUOT);
	window_close(&w);
}

TEST_F(bytes, no_other_capability_lifts_the_bound)
{
	struct actor who = owner;
	struct window w;
	__u64 offset;
	int cap;

	ASSERT_EQ(parameter_write("uid_limit", "4M"), 0);
	for (cap = 0; cap <= CAP_LAST_CAP; cap++) {
		who.caps = 1ULL << cap;
		ASSERT_EQ(window_open_as(&who, &w, &variant->kind), 0);
		EXPECT_EQ(region_alloc(&w, 8 * MIB, &offset),
			  cap == CAP_SYS_RESOURCE ? 0 : -EDQUOT) TH_LOG("capability %d", cap);
		window_close(&w);
	}
}

TEST_F(bytes, the_limit_of_an_expert_is_one_of_several)
{
	struct window w;
	__u64 offset;

	ASSERT_EQ(window_open_as(&owner, &w, &variant->kind), 0);
	ASSERT_EQ(nl_set(&self->of.nl, expert_stat(w.fd).id, 4 * MIB), 0);
	EXPECT_EQ(region_alloc(&w, 6 * MIB, &offset), -EDQUOT);
	ASSERT_EQ(nl_set(&self->of.nl, expert_stat(w.fd).id, 2 * TOTAL), 0);
	EXPECT_EQ(region_alloc(&w, UID_LIMIT + HUGE, &offset), -EDQUOT);
	/* a refused request is charged to nobody */
	EXPECT_EQ(charged(&w), 0);
	ASSERT_EQ(parameter_write("uid_limit", "0"), 0);
	EXPECT_EQ(region_alloc(&w, TOTAL, &offset), -ENOMEM);
	EXPECT_EQ(charged(&w), 0);
	EXPECT_EQ(nl_stats(&self->of.nl).value[S(COMMITTED)], 0);
	window_close(&w);
}

/* A byte of each page stays in a pipe, when its region is freed. */
static int pin(const struct window *w, int pipe_end)
{
	struct iovec iov = { .iov_len = 1 };
	__u64 offset;
	int err = region_alloc(w, w->granule, &offset);

	if (err)
		return err;
	*at(w, offset) = 1;
	iov.iov_base = at(w, offset);
	if (vmsplice(pipe_end, &iov, 1, SPLICE_F_NONBLOCK) != 1)
		err = -errno;
	return region_free(w, offset) ?: err;
}

TEST_F(bytes, pages_that_others_hold_count_for_the_user_until_they_are_let_go)
{
	int ends[64][2], pipes = 0, err;
	struct window w, others;
	time_t end;
	__u64 offset;

	ASSERT_EQ(parameter_write("uid_limit", "4M"), 0);
	ASSERT_EQ(window_open_as(&owner, &w, &variant->kind), 0);
	ASSERT_EQ(window_open_as(&member, &others, &variant->kind), 0);
	ASSERT_EQ(pipe(ends[pipes]), 0);
	while ((err = pin(&w, ends[pipes][1])) != -EDQUOT) {
		if (err == -EAGAIN && ++pipes < (int)COUNT_OF(ends))
			err = result(pipe(ends[pipes]));
		ASSERT_EQ(err, 0);
	}
	EXPECT_EQ(expert_stat(w.fd).committed, 0);
	EXPECT_EQ(expert_stat(w.fd).pinned, 4 * MIB);
	EXPECT_EQ(charged(&w), 4 * MIB);
	EXPECT_EQ(nl_stats(&self->of.nl).value[S(PINNED)], 4 * MIB);
	EXPECT_EQ(region_alloc(&others, 4 * MIB, &offset), 0);
	EXPECT_EQ(charged(&others), 4 * MIB);

	/* another expert of the user does not help it, nor to close the one that it was */
	window_close(&w);
	ASSERT_EQ(window_open_as(&owner, &w, &variant->kind), 0);
	EXPECT_EQ(region_alloc(&w, 1, &offset), -EDQUOT);
	EXPECT_EQ(charged(&w), 4 * MIB);
	for (; pipes >= 0; pipes--) {
		close(ends[pipes][0]);
		close(ends[pipes][1]);
	}
	/* work of the kernel finds that they were let go */
	for (end = time(NULL) + 60; charged(&w) && time(NULL) < end;)
		usleep(10000);
	EXPECT_EQ(charged(&w), 0);
	EXPECT_EQ(region_alloc(&w, 4 * MIB, &offset), 0);
	window_close(&w);
	window_close(&others);
}

/* ------------------------------------------------------------- user namespaces */

TEST_F(bytes, bytes_of_a_users_own_namespace_count_as_the_users)
{
	const struct level level = { .map = OWNERS_MAP, .uid = 3 };
	struct many *many = new_many();
	struct window in, out;
	__u64 offset;

	NEED_USER_NAMESPACES();
	many->most = 1;
	ASSERT_EQ(open_inside(&owner, &level, 1, many), 1);
	ASSERT_EQ(window_map(&in, &variant->kind, many->fds[0], WINDOW), 0);
	ASSERT_EQ(window_open_as(&owner, &out, &variant->kind), 0);
	ASSERT_EQ(region_alloc(&out, 8 * MIB, &offset), 0);
	EXPECT_EQ(charged(&in), 8 * MIB);
	EXPECT_FILLED(&in, UID_LIMIT - 8 * MIB, -EDQUOT);
	EXPECT_EQ(region_alloc(&out, 1, &offset), -EDQUOT);
	window_close(&in);
	EXPECT_EQ(charged(&out), 8 * MIB);
	window_close(&out);
}

/* ----------------------------------------------------------- many at the same time */

static void *take_bytes(void *arg)
{
	struct racer *racer = arg;
	__u64 offset;

	pthread_barrier_wait(racer->start);
	while (!(racer->err = region_alloc(&racer->w, racer->w.granule, &offset)))
		racer->got++;
	return NULL;
}

TEST_F(bytes, threads_get_exactly_what_their_user_may_have)
{
	/* a few hundred granules at most, so that many rounds have an end */
	const bool small = variant->kind.granule == PAGE;
	const __u64 limit = small ? 2 * MIB : 32 * MIB;
	static struct racer racers[THREADS];
	unsigned long round, sum;
	int i;

	ASSERT_EQ(parameter_write("uid_limit", small ? "2M" : "32M"), 0);
	for (round = 0; round < rounds(40); round++) {
		for (i = 0; i < THREADS; i++)
			ASSERT_EQ(window_open_as(&owner, &racers[i].w, &variant->kind), 0);
		run(_metadata, racers, take_bytes);
		for (i = 0, sum = 0; i < THREADS; i++) {
			ASSERT_EQ(racers[i].err, -EDQUOT);
			sum += racers[i].got;
		}
		ASSERT_EQ(sum * variant->kind.granule, limit);
		ASSERT_EQ(charged(&racers[0].w), limit);
		for (i = 0; i < THREADS; i++)
			window_close(&racers[i].w);
	}
}

TEST_F(bytes, threads_of_many_users_get_exactly_the_total_without_the_reserve)
{
	const bool small = variant->kind.granule == PAGE;
	const __u64 total = small ? 2 * MIB : 64 * MIB;
	static struct racer racers[THREADS];
	struct actor who = member;
	unsigned long round, sum;
	int i;

	ASSERT_EQ(parameter_write("total_limit", small ? "2M" : "64M"), 0);
	ASSERT_EQ(parameter_write("uid_limit", "0"), 0);
	for (round = 0; round < rounds(40); round++) {
		for (i = 0; i < THREADS; i++) {
			who.uid = who.euid = 2000 + i;
			ASSERT_EQ(window_open_as(&who, &racers[i].w, &variant->kind), 0);
		}
		run(_metadata, racers, take_bytes);
		for (i = 0, sum = 0; i < THREADS; i++) {
			ASSERT_EQ(racers[i].err, -ENOMEM);
			sum += racers[i].got;
		}
		ASSERT_EQ(sum * variant->kind.granule, total - total / 16);
		for (i = 0; i < THREADS; i++)
			window_close(&racers[i].w);
	}
}

static void *take_and_give_back(void *arg)
{
	struct racer *racer = arg;
	__u64 offset;
	int err;

	pthread_barrier_wait(racer->start);
	while (racer->tries--) {
		err = region_alloc(&racer->w, racer->w.granule, &offset);
		if (!err) {
			count_holders(racer, charged(&racer->w) / racer->w.granule);
			err = region_free(&racer->w, offset);
		}
		if (err && err != -EDQUOT)
			racer->err = err;
	}
	return NULL;
}

TEST_F(bytes, threads_that_race_for_the_last_granule_do_not_both_get_it)
{
	static struct racer racers[THREADS];
	unsigned long got = 0;
	int i, holders = 0;
	char limit[24];

	snprintf(limit, sizeof(limit), "%llu", ALLOWED * variant->kind.granule);
	ASSERT_EQ(parameter_write("uid_limit", limit), 0);
	for (i = 0; i < THREADS; i++) {
		racers[i] = (struct racer) { .holders = &holders, .tries = rounds(20000) };
		ASSERT_EQ(window_open_as(&owner, &racers[i].w, &variant->kind), 0);
	}
	run(_metadata, racers, take_and_give_back);
	for (i = 0; i < THREADS; i++) {
		EXPECT_EQ(racers[i].err, 0);
		EXPECT_LE(racers[i].most, ALLOWED);
		got += racers[i].got;
		window_close(&racers[i].w);
	}
	TH_LOG("%lu of %lu requests were granted", got, THREADS * rounds(20000));
	EXPECT_GT(got, 0);
}

static void *churn_bytes(void *arg)
{
	struct racer *racer = arg;
	unsigned int seed = racer->w.fd;
	__u64 offset, size;
	int err;

	pthread_barrier_wait(racer->start);
	while (*racer->go_on) {
		size = racer->w.granule << rand_r(&seed) % 4;
		err = region_alloc(&racer->w, size, &offset);
		if (err) {
			if (err != -EDQUOT && err != -ENOMEM)
				racer->err = err;
			continue;
		}
		racer->got++;
		if (rand_r(&seed) % 2)
			region_realloc(&racer->w, offset, racer->w.granule << rand_r(&seed) % 4);
		err = region_free(&racer->w, offset);
		if (err)
			racer->err = err;
	}
	return NULL;
}

TEST_F(bytes, what_a_user_has_never_passes_its_bound_while_that_is_changed)
{
	static struct racer racers[THREADS];
	const __u64 least = 2 * HUGE, most = 4 * HUGE;
	pthread_t threads[THREADS];
	pthread_barrier_t start;
	volatile bool go_on = true;
	unsigned long round, got = 0;
	struct window w;
	__u64 now;
	int i;

	ASSERT_EQ(window_open_as(&owner, &w, &variant->kind), 0);
	ASSERT_EQ(pthread_barrier_init(&start, NULL, THREADS + 1), 0);
	ASSERT_EQ(parameter_write("uid_limit", "8M"), 0);
	for (i = 0; i < THREADS; i++) {
		racers[i] = (struct racer) { .start = &start, .go_on = &go_on };
		ASSERT_EQ(window_open_as(&owner, &racers[i].w, &variant->kind), 0);
	}
	for (i = 0; i < THREADS; i++)
		ASSERT_EQ(pthread_create(&threads[i], NULL, churn_bytes, &racers[i]), 0);
	pthread_barrier_wait(&start);
	for (round = 0; round < rounds(4000); round++) {
		if (round % 100 == 0) {
			EXPECT_EQ(parameter_write("uid_limit", round % 200 ? "8M" : "4M"), 0);
			EXPECT_EQ(parameter_write("total_limit", round % 300 ? "64M" : "6M"), 0);
		}
		now = charged(&w);
		EXPECT_LE(now, most);
	}
	go_on = false;
	for (i = 0; i < THREADS; i++) {
		ASSERT_EQ(pthread_join(threads[i], NULL), 0);
		EXPECT_EQ(racers[i].err, 0);
		got += racers[i].got;
	}
	pthread_barrier_destroy(&start);
	TH_LOG("%lu regions came and went", got);
	/* in the end nothing is charged that is not there */
	EXPECT_EQ(charged(&w), 0);
	EXPECT_EQ(nl_stats(&self->of.nl).value[S(COMMITTED)], 0);
	ASSERT_EQ(parameter_write("total_limit", "64M"), 0);
	ASSERT_EQ(parameter_write("uid_limit", "4M"), 0);
	EXPECT_FILLED(&w, least, -EDQUOT);
	for (i = 0; i < THREADS; i++)
		window_close(&racers[i].w);
	window_close(&w);
}

TEST_HARNESS_MAIN
