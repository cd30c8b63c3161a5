// SPDX-License-Identifier: GPL-2.0
/*
 * Generic netlink: what each request answers, who may send it, and which malformed requests
 * are refused.
 *
 * needs: module root
 */
#include <sched.h>

#include "harness.h"
#include "netlink_test.h"

#define WINDOW		GIB
#define OWNER		1000
#define STRANGER	1001

/* An id that no expert has. */
#define NOBODY		(~0ULL - 1)

static __u64 boottime(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return now.tv_sec * 1000000000ULL + now.tv_nsec;
}

/* A kernel may be built without a kind of namespace. */
#define NEED_NAMESPACE(kind)							\
	do {									\
		if (access("/proc/self/ns/" kind, F_OK))			\
			SKIP_TEST("this kernel has no " kind " namespaces");	\
	} while (0)

/* Run @fn in a child whose user is @uid; what it returns, 0 or a negative errno. */
static int as_user(uid_t uid, int (*fn)(void *arg), void *arg)
{
	pid_t pid = fork();

	if (!pid) {
		if (setresgid(uid, uid, uid) || setresuid(uid, uid, uid))
			_exit(200);
		_exit(-fn(arg));
	}
	return -child_status(pid);
}

/* An expert that @uid opens, whom the device's rights would not let. */
static int open_as(uid_t uid)
{
	int fd;

	if (setresuid(uid, 0, 0))
		return -errno;
	fd = expert_open();
	return setresuid(0, 0, 0) ? -errno : fd;
}

/* ---------------------------------------------------------------------- requests */

FIXTURE(expert)
{
	struct window window;
	struct nl nl;
	__u64 id;
	__u64 region;
};

FIXTURE_SETUP(expert)
{
	NEED_DEVICE();
	ASSERT_EQ(window_open(&self->window, &small_window, WINDOW, 64 * MIB), 0);
	ASSERT_EQ(region_alloc(&self->window, MIB, &self->region), 0);
	/* In order, more pages would be made ahead. */
	for (int i = 7; i >= 0; i--)
		memset(at(&self->window, self->region + i * PAGE), 1, PAGE);
	ASSERT_EQ(nl_open(&self->nl), 0);
	self->id = expert_stat(self->window.fd).id;
}

FIXTURE_TEARDOWN(expert)
{
	close(self->nl.fd);
	window_close(&self->window);
}

TEST_F(expert, what_get_says_is_what_stat_says)
{
	struct expertmem_stat stat;
	__u64 offset;
	struct told t;

	EXPECT_EQ(region_alloc(&self->window, GIB / 2, &offset), -EDQUOT);
	ASSERT_EQ(region_alloc(&self->window, 3 * MIB, &offset), 0);
	ASSERT_EQ(region_free(&self->window, offset), 0);
	stat = expert_stat(self->window.fd);
	ASSERT_EQ(nl_do(&self->nl, EXPERTMEM_CMD_EXPERT_GET, self->id, &t), 0);
	EXPECT_EQ(t.cmd, EXPERTMEM_CMD_EXPERT_GET);
	EXPECT_EQ(t.value[E(ID)], stat.id);
	EXPECT_STREQ(t.name, "test");
	EXPECT_EQ(t.value[E(STATE)], EXPERTMEM_STATE_RUNNING);
	EXPECT_EQ(t.value[E(FLAGS)], stat.flags);
	EXPECT_EQ(t.value[E(REGIONS)], 1);
	EXPECT_EQ(t.value[E(REGIONS)], stat.regions);
	EXPECT_EQ(t.value[E(COMMITTED)], MIB);
	EXPECT_EQ(t.value[E(COMMITTED)], stat.committed);
	EXPECT_EQ(t.value[E(RESIDENT)], 8 * PAGE);
	EXPECT_EQ(t.value[E(RESIDENT)], stat.resident);
	EXPECT_EQ(t.value[E(PEAK)], 4 * MIB);
	EXPECT_EQ(t.value[E(PEAK)], stat.peak);
	EXPECT_EQ(t.value[E(LIMIT)], 64 * MIB);
	EXPECT_EQ(t.value[E(LIMIT)], stat.limit);
	EXPECT_EQ(t.value[E(REFUSED)], 1);
	EXPECT_EQ(t.value[E(REFUSED)], stat.refused);
	EXPECT_EQ(t.value[E(UID)], 0);
	EXPECT_EQ(t.value[E(OPENER)], getpid());
	EXPECT_EQ(t.value[E(PID)], getpid());
}

TEST_F(expert, what_is_not_so_yet_is_not_said)
{
	const __u32 later = 1U << E(NAME) | 1U << E(PID) | 1U << E(CAUSE) |
			    1U << E(SIGNAL) | 1U << E(RECLAIMED_BYTES) |
			    1U << E(RECLAIMED_RESIDENT) | 1U << E(RECLAIMED_REGIONS) |
			    1U << E(EVENT);
	__u64 before = boottime();
	int fd = expert_open();
	__u64 after = boottime();
	struct told t;

	ASSERT_GE(fd, 0);
	ASSERT_EQ(nl_do(&self->nl, EXPERTMEM_CMD_EXPERT_GET, expert_stat(fd).id, &t), 0);
	EXPECT_EQ(t.has & later, 0);
	EXPECT_EQ(t.value[E(STATE)], EXPERTMEM_STATE_IDLE);
	EXPECT_GE(t.value[E(OPENED)], before);
	EXPECT_LE(t.value[E(OPENED)], after);
	close(fd);
}

TEST_F(expert, pid_is_of_the_process_that_mapped_it)
{
	int fd = expert_open(), ready[2], go[2];
	struct window window;
	struct told t;
	char byte = 0;
	pid_t pid;

	ASSERT_EQ(pipe(ready), 0);
	ASSERT_EQ(pipe(go), 0);
	pid = fork();
	if (!pid) {
		byte = window_map(&window, &small_window, fd, MIB);
		if (write(ready[1], &byte, 1) == 1 && read(go[0], &byte, 1) == 1)
			_exit(0);
		_exit(1);
	}
	ASSERT_EQ(read(ready[0], &byte, 1), 1);
	ASSERT_EQ(byte, 0);
	ASSERT_EQ(nl_do(&self->nl, EXPERTMEM_CMD_EXPERT_GET, expert_stat(fd).id, &t), 0);
	EXPECT_EQ(t.value[E(OPENER)], getpid());
	EXPECT_EQ(t.value[E(PID)], pid);
	ASSERT_EQ(write(go[1], &byte, 1), 1);
	EXPECT_EQ(child_status(pid), 0);
	/* and it stays that one */
	ASSERT_EQ(nl_do(&self->nl, EXPERTMEM_CMD_EXPERT_GET, expert_stat(fd).id, &t), 0);
	EXPECT_EQ(t.value[E(PID)], pid);
	EXPECT_EQ(t.value[E(CAUSE)], EXPERTMEM_CAUSE_DETACH);
	EXPECT_TRUE(told(&t, E(SIGNAL)));
	EXPECT_EQ(t.value[E(SIGNAL)], 0);
	close(fd);
}

TEST_F(expert, a_limit_below_what_is_committed_takes_nothing_away)
{
	__u64 offset;

	ASSERT_EQ(nl_set(&self->nl, self->id, PAGE), 0);
	EXPECT_EQ(expert_stat(self->window.fd).limit, PAGE);
	EXPECT_EQ(expert_stat(self->window.fd).committed, MIB);
	EXPECT_EQ(region_alloc(&self->window, PAGE, &offset), -EDQUOT);
	EXPECT_EQ(region_realloc(&self->window, self->region, 2 * MIB), -EDQUOT);
	EXPECT_TRUE(all_bytes(at(&self->window, self->region), 8 * PAGE, 1));
	EXPECT_EQ(region_realloc(&self->window, self->region, PAGE), 0);
	EXPECT_EQ(region_alloc(&self->window, PAGE, &offset), -EDQUOT);

	ASSERT_EQ(nl_set(&self->nl, self->id, 0), 0);
	EXPECT_EQ(region_alloc(&self->window, 100 * MIB, &offset), 0);
}

TEST_F(expert, terminate_asks_the_expert_to_stop)
{
	const volatile struct expertmem_status *status = status_map(self->window.fd);
	__u64 offset;

	ASSERT_NE((void *)status, MAP_FAILED);
	EXPECT_EQ(status->flags, 0);
	ASSERT_EQ(nl_do(&self->nl, EXPERTMEM_CMD_TERMINATE, self->id, NULL), 0);
	EXPECT_EQ(status->flags, EXPERTMEM_STATUS_TERMINATE);
	EXPECT_EQ(expert_stat(self->window.fd).state, EXPERTMEM_STATE_TERMINATING);
	EXPECT_EQ(region_alloc(&self->window, PAGE, &offset), -ECANCELED);
	EXPECT_EQ(nl_do(&self->nl, EXPERTMEM_CMD_TERMINATE, self->id, NULL), 0);
	EXPECT_EQ(region_free(&self->window, self->region), 0);
}

TEST_F(expert, reclaim_says_what_it_gave_back)
{
	struct expertmem_stat stat;
	struct told t;

	ASSERT_EQ(nl_do(&self->nl, EXPERTMEM_CMD_RECLAIM, self->id, &t), 0);
	EXPECT_EQ(t.cmd, EXPERTMEM_CMD_RECLAIM);
	EXPECT_EQ(t.value[E(ID)], self->id);
	EXPECT_EQ(t.value[E(RECLAIMED_BYTES)], MIB);
	EXPECT_EQ(t.value[E(RECLAIMED_RESIDENT)], 8 * PAGE);
	EXPECT_EQ(t.value[E(RECLAIMED_REGIONS)], 1);
	EXPECT_EQ(read_touch(at(&self->window, self->region)), SIGSEGV);
	stat = expert_stat(self->window.fd);
	EXPECT_EQ(stat.state, EXPERTMEM_STATE_RECLAIMED);
	EXPECT_EQ(stat.cause, EXPERTMEM_CAUSE_OPERATOR);
	EXPECT_EQ(stat.resident, 0);

	/* once more: nothing is left, and what there was is not forgotten */
	ASSERT_EQ(nl_do(&self->nl, EXPERTMEM_CMD_RECLAIM, self->id, &t), 0);
	EXPECT_EQ(t.value[E(RECLAIMED_BYTES)], 0);
	EXPECT_EQ(t.value[E(RECLAIMED_REGIONS)], 0);
	ASSERT_EQ(nl_do(&self->nl, EXPERTMEM_CMD_EXPERT_GET, self->id, &t), 0);
	EXPECT_EQ(t.value[E(CAUSE)], EXPERTMEM_CAUSE_OPERATOR);
	EXPECT_EQ(t.value[E(RECLAIMED_BYTES)], MIB);
	EXPECT_EQ(t.value[E(RECLAIMED_RESIDENT)], 8 * PAGE);
	EXPECT_EQ(t.value[E(RECLAIMED_REGIONS)], 1);
	EXPECT_EQ(t.value[E(SIGNAL)], 0);
}

/* Every request with this id: what each is answered. */
static int ask_all(struct nl *nl, __u64 id, int errors[5])
{
	struct told t;

	errors[0] = nl_do(nl, EXPERTMEM_CMD_EXPERT_GET, id, &t);
	errors[1] = nl_dump(nl, id, keep_one, &t);
	errors[2] = nl_set(nl, id, 1);
	errors[3] = nl_do(nl, EXPERTMEM_CMD_TERMINATE, id, NULL);
	errors[4] = nl_do(nl, EXPERTMEM_CMD_RECLAIM, id, &t);
	return 0;
}

TEST_F(expert, nobody_has_an_id_that_was_not_given_or_is_gone)
{
	int fd = expert_open(), errors[5];
	__u64 ids[] = { 0, NOBODY, expert_stat(fd).id };
	size_t i, j;

	ASSERT_GE(fd, 0);
	close(fd);
	for (i = 0; i < COUNT_OF(ids); i++) {
		ask_all(&self->nl, ids[i], errors);
		for (j = ids[i] ? 0 : 2; j < COUNT_OF(errors); j++)
			EXPECT_EQ(errors[j], -ENOENT) TH_LOG("id %zu, request %zu", i, j);
	}
}

TEST_F(expert, stats_add_up_and_count_on)
{
	struct told before = nl_stats(&self->nl), t;
	struct window other;
	__u64 offset;

	EXPECT_EQ(before.value[S(EXPERTS)], expert_info(self->window.fd).experts);
	EXPECT_EQ(before.value[S(MAX_EXPERTS)], expert_info(self->window.fd).max_experts);
	EXPECT_EQ(before.value[S(TOTAL_LIMIT)], expert_info(self->window.fd).total_limit);
	EXPECT_EQ(before.value[S(DEFAULT_LIMIT)],
		  expert_info(self->window.fd).default_limit);
	ASSERT_EQ(window_open(&other, &huge_window, WINDOW, 8 * MIB), 0);
	ASSERT_EQ(region_alloc(&other, 4 * MIB, &offset), 0);
	*at(&other, offset) = 1;
	EXPECT_EQ(region_alloc(&other, 6 * MIB, &offset), -EDQUOT);
	t = nl_stats(&self->nl);
	EXPECT_EQ(t.value[S(EXPERTS)], before.value[S(EXPERTS)] + 1);
	EXPECT_EQ(t.value[S(OPENED)], before.value[S(OPENED)] + 1);
	EXPECT_EQ(t.value[S(REGIONS)], before.value[S(REGIONS)] + 1);
	EXPECT_EQ(t.value[S(COMMITTED)], before.value[S(COMMITTED)] + 4 * MIB);
	EXPECT_EQ(t.value[S(RESIDENT)],
		  before.value[S(RESIDENT)] + expert_stat(other.fd).resident);
	EXPECT_GT(t.value[S(RESIDENT)], before.value[S(RESIDENT)]);
	EXPECT_EQ(t.value[S(REFUSED)], before.value[S(REFUSED)] + 1);

	munmap(other.addr, other.size);
	t = nl_stats(&self->nl);
	EXPECT_EQ(t.value[S(DETACHED)], before.value[S(DETACHED)] + 1);
	EXPECT_EQ(t.value[S(KILLED)], before.value[S(KILLED)]);
	EXPECT_EQ(t.value[S(RECLAIMED_BYTES)], before.value[S(RECLAIMED_BYTES)] + 4 * MIB);
	EXPECT_EQ(t.value[S(COMMITTED)], before.value[S(COMMITTED)]);
	close(other.fd);
	EXPECT_EQ(nl_stats(&self->nl).value[S(EXPERTS)], before.value[S(EXPERTS)]);

	ASSERT_EQ(nl_do(&self->nl, EXPERTMEM_CMD_RECLAIM, self->id, NULL), 0);
	ASSERT_EQ(nl_do(&self->nl, EXPERTMEM_CMD_RECLAIM, self->id, NULL), 0);
	t = nl_stats(&self->nl);
	EXPECT_EQ(t.value[S(OPERATOR)], before.value[S(OPERATOR)] + 1);
	EXPECT_EQ(t.value[S(RECLAIMED)], before.value[S(RECLAIMED)]);
	EXPECT_EQ(t.value[S(RECLAIMED_BYTES)], before.value[S(RECLAIMED_BYTES)] + 5 * MIB);
	EXPECT_EQ(t.value[S(LOST_EVENTS)], 0);
}

/* ----------------------------------------------------------------------- regions */

struct regions {
	unsigned long count;
	__u64 last;
	__u64 size;
	__u64 room;
	__u64 resident;
	__u64 id;
	bool in_order;
};

static void add_region(const struct told *t, void *arg)
{
	struct regions *sum = arg;

	sum->in_order &= t->value[R(OFFSET)] > sum->last;
	sum->last = t->value[R(OFFSET)];
	sum->id = t->value[R(ID)];
	sum->size += t->value[R(SIZE)];
	sum->room += t->value[R(ROOM)];
	sum->resident += t->value[R(RESIDENT)];
	sum->count++;
}

TEST_F(expert, regions_of_both_windows_are_told_in_order)
{
	struct regions sum = { .in_order = true };
	struct window huge;
	__u64 offset;

	ASSERT_EQ(window_map(&huge, &huge_window, self->window.fd, WINDOW), 0);
	ASSERT_EQ(region_alloc_flags(&huge, EXPERTMEM_ALLOC_POPULATE, HUGE, 4 * HUGE,
				     &offset), 0);
	ASSERT_EQ(nl_dump(&self->nl, self->id, add_region, &sum), 0);
	EXPECT_TRUE(sum.in_order);
	EXPECT_EQ(sum.id, self->id);
	EXPECT_EQ(sum.count, 2);
	EXPECT_EQ(sum.last, offset);
	EXPECT_EQ(sum.size, MIB + HUGE);
	EXPECT_EQ(sum.room, 4 * HUGE);
	EXPECT_EQ(sum.resident, 8 * PAGE + HUGE);
	ASSERT_EQ(nl_do(&self->nl, EXPERTMEM_CMD_RECLAIM, self->id, NULL), 0);
	sum.count = 0;
	EXPECT_EQ(nl_dump(&self->nl, self->id, add_region, &sum), 0);
	EXPECT_EQ(sum.count, 0);
}

TEST_F(expert, a_hundred_thousand_regions_are_all_told)
{
	unsigned long i, more = rounds(100000);
	struct regions sum = { .in_order = true };
	__u64 offset = self->region;

	ASSERT_EQ(nl_set(&self->nl, self->id, 0), 0);
	for (i = 0; i < more; i++)
		ASSERT_EQ(region_alloc(&self->window, PAGE, &offset), 0);
	*at(&self->window, offset) = 1;
	ASSERT_EQ(nl_dump(&self->nl, self->id, add_region, &sum), 0);
	EXPECT_TRUE(sum.in_order);
	EXPECT_EQ(sum.count, 1 + more);
	EXPECT_EQ(sum.size, MIB + more * PAGE);
	EXPECT_EQ(sum.resident, 9 * PAGE);
}

/* The first message of the dump is there; the others are made when they are asked for. */
static void release_in_dump(const struct told *t, void *arg)
{
	struct window *window = arg;

	if (window->fd >= 0)
		window_close(window);
	window->fd = -1;
}

TEST_F(expert, an_expert_that_vanishes_in_a_dump_of_regions_is_no_error)
{
	unsigned long i;
	__u64 offset;

	for (i = 0; i < 2000; i++)
		ASSERT_EQ(region_alloc(&self->window, PAGE, &offset), 0);
	EXPECT_EQ(nl_dump(&self->nl, self->id, release_in_dump, &self->window), 0);
	EXPECT_EQ(self->window.fd, -1);
}

/* ------------------------------------------------------------------------ rights */

struct asked {
	__u64 id;
	int errors[5];
	unsigned long seen;
	__u64 last;
};

static void see(const struct told *t, void *arg)
{
	struct asked *asked = arg;

	asked->seen++;
	asked->last = t->value[E(ID)];
}

static int ask(void *arg)
{
	struct asked *asked = arg;
	struct nl nl;
	int err;

	err = nl_open(&nl) ?: ask_all(&nl, asked->id, asked->errors) ?:
	      nl_dump(&nl, 0, see, asked);
	return err ?: nl_join(&nl) == -EPERM ? 0 : -EBADE;
}

/* Room for what a child finds out. */
static struct asked *new_asked(__u64 id)
{
	struct asked *asked = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	asked->id = id;
	return asked;
}

TEST_F(expert, a_stranger_may_do_nothing_and_sees_nothing)
{
	struct asked *asked = new_asked(self->id);
	size_t i;

	ASSERT_EQ(as_user(STRANGER, ask, asked), 0);
	for (i = 0; i < COUNT_OF(asked->errors); i++)
		EXPECT_EQ(asked->errors[i], -EPERM) TH_LOG("request %zu", i);
	EXPECT_EQ(asked->seen, 0);
	EXPECT_EQ(expert_stat(self->window.fd).state, EXPERTMEM_STATE_RUNNING);
	EXPECT_EQ(expert_stat(self->window.fd).limit, 64 * MIB);
}

TEST_F(expert, the_owner_may_do_all_and_sees_no_other)
{
	int fd = open_as(OWNER);
	struct asked *asked;
	struct told t;
	size_t i;

	ASSERT_GE(fd, 0);
	asked = new_asked(expert_stat(fd).id);
	ASSERT_EQ(as_user(OWNER, ask, asked), 0);
	for (i = 0; i < COUNT_OF(asked->errors); i++)
		EXPECT_EQ(asked->errors[i], 0) TH_LOG("request %zu", i);
	EXPECT_EQ(asked->seen, 1);
	EXPECT_EQ(asked->last, asked->id);
	EXPECT_EQ(expert_stat(fd).state, EXPERTMEM_STATE_RECLAIMED);
	EXPECT_EQ(expert_stat(fd).limit, 1);
	ASSERT_EQ(nl_do(&self->nl, EXPERTMEM_CMD_EXPERT_GET, asked->id, &t), 0);
	EXPECT_EQ(t.value[E(UID)], OWNER);
	close(fd);
}

/* Root there, nobody here: CAP_NET_ADMIN of a namespace's own is none of ours. */
static int ask_in_namespaces(void *arg)
{
	pid_t pid;

	if (unshare(CLONE_NEWUSER | CLONE_NEWPID))
		return -errno;
	pid = fork();
	if (!pid)
		_exit(-ask(arg));
	return -child_status(pid);
}

TEST_F(expert, root_of_another_user_namespace_is_a_stranger)
{
	struct asked *asked = new_asked(self->id);
	size_t i;

	NEED_NAMESPACE("user");
	NEED_NAMESPACE("pid");
	ASSERT_EQ(as_user(STRANGER, ask_in_namespaces, asked), 0);
	for (i = 0; i < COUNT_OF(asked->errors); i++)
		EXPECT_EQ(asked->errors[i], -EPERM) TH_LOG("request %zu", i);
	EXPECT_EQ(asked->seen, 0);
}

/* In namespaces of its own, what does an owner read of uid and pids? */
struct seen_inside {
	int fd;
	__u64 id;
	struct told t;
};

static int get_inside(void *arg)
{
	struct seen_inside *seen = arg;
	struct window window;
	struct nl nl;

	return window_map(&window, &small_window, seen->fd, MIB) ?: nl_open(&nl) ?:
	       nl_do(&nl, EXPERTMEM_CMD_EXPERT_GET, seen->id, &seen->t) ?:
	       getpid() == 1 ? 0 : -EBADE;
}

static int unshare_and_get(void *arg)
{
	pid_t pid;

	if (unshare(CLONE_NEWUSER | CLONE_NEWPID))
		return -errno;
	pid = fork();
	if (!pid)
		_exit(-get_inside(arg));
	return -child_status(pid);
}

TEST_F(expert, pids_and_uids_are_those_that_the_reader_sees)
{
	struct seen_inside *seen = (void *)new_asked(0);
	struct told t;

	NEED_NAMESPACE("user");
	NEED_NAMESPACE("pid");
	seen->fd = open_as(OWNER);
	ASSERT_GE(seen->fd, 0);
	seen->id = expert_stat(seen->fd).id;
	ASSERT_EQ(as_user(OWNER, unshare_and_get, seen), 0);
	EXPECT_EQ(seen->t.value[E(PID)], 1);
	EXPECT_TRUE(told(&seen->t, E(OPENER)));
	EXPECT_EQ(seen->t.value[E(OPENER)], 0);
	/* no uid is mapped there */
	EXPECT_EQ(seen->t.value[E(UID)], 65534);

	ASSERT_EQ(nl_do(&self->nl, EXPERTMEM_CMD_EXPERT_GET, seen->id, &t), 0);
	EXPECT_EQ(t.value[E(UID)], OWNER);
	EXPECT_EQ(t.value[E(OPENER)], getpid());
	EXPECT_GT(t.value[E(PID)], 1);
}

static int resolve_elsewhere(void *arg)
{
	struct nl nl;

	return unshare(CLONE_NEWNET) ? -errno : nl_open(&nl);
}

TEST_F(expert, there_is_no_such_family_in_another_network_namespace)
{
	NEED_NAMESPACE("net");
	EXPECT_EQ(as_user(0, resolve_elsewhere, NULL), -ENOENT);
}

/* --------------------------------------------------------------------- malformed */

#define COMMANDS	(EXPERTMEM_CMD_MAX + 1)

TEST_F(expert, a_command_that_does_not_exist_or_is_no_request_is_refused)
{
	const __u8 none[] = { 0, EXPERTMEM_CMD_EVENT, COMMANDS, 255 };
	size_t i;

	for (i = 0; i < COUNT_OF(none); i++)
		EXPECT_EQ(nl_do(&self->nl, none[i], self->id, NULL), -EOPNOTSUPP);
}

TEST_F(expert, without_an_id_a_request_is_refused_and_the_ack_says_so)
{
	const __u8 commands[] = { EXPERTMEM_CMD_EXPERT_GET, EXPERTMEM_CMD_TERMINATE,
				  EXPERTMEM_CMD_RECLAIM };
	struct request req;
	size_t i;

	for (i = 0; i < COUNT_OF(commands); i++) {
		req = request(&self->nl, commands[i], 0);
		EXPECT_EQ(nl_talk(&self->nl, &req, NULL), -EINVAL);
		EXPECT_EQ(self->nl.missing, E(ID));
	}
	req = request(&self->nl, EXPERTMEM_CMD_EXPERT_SET, 0);
	put_u64(&req, E(ID), self->id);
	EXPECT_EQ(nl_talk(&self->nl, &req, NULL), -EINVAL);
	EXPECT_EQ(self->nl.missing, E(LIMIT));
	req = request(&self->nl, EXPERTMEM_CMD_REGION_GET, NLM_F_DUMP);
	EXPECT_EQ(nl_talk(&self->nl, &req, NULL), -EINVAL);
}

TEST_F(expert, attributes_that_a_request_does_not_have_are_refused_and_pointed_at)
{
	const int wrong[] = { E(PAD), E(NAME), E(LIMIT), E(EVENT), EXPERTMEM_A_EXPERT_MAX + 1,
			      1000 };
	struct request req;
	size_t i;

	for (i = 0; i < COUNT_OF(wrong); i++) {
		req = request(&self->nl, EXPERTMEM_CMD_TERMINATE, 0);
		put_u64(&req, E(ID), self->id);
		put_u64(&req, wrong[i], 1);
		EXPECT_EQ(nl_talk(&self->nl, &req, NULL), -EINVAL);
		EXPECT_EQ(self->nl.bad, NLMSG_LENGTH(GENL_HDRLEN) + NLA_HDRLEN + 8)
			TH_LOG("attribute %d: %s", wrong[i], self->nl.said);
	}
	req = request(&self->nl, EXPERTMEM_CMD_STATS_GET, 0);
	put_u64(&req, 1, 1);
	EXPECT_EQ(nl_talk(&self->nl, &req, NULL), -EINVAL);
	req = request(&self->nl, EXPERTMEM_CMD_EXPERT_GET, NLM_F_DUMP);
	put_u64(&req, E(ID), self->id);
	EXPECT_EQ(nl_talk(&self->nl, &req, NULL), -EINVAL);
	EXPECT_EQ(expert_stat(self->window.fd).state, EXPERTMEM_STATE_RUNNING);
}

TEST_F(expert, an_id_of_another_size_is_refused)
{
	const size_t sizes[] = { 0, 1, 4, 7, 9, 16, 200 };
	unsigned char data[200] = { };
	struct request req;
	size_t i;

	memcpy(data, &self->id, sizeof(self->id));
	for (i = 0; i < COUNT_OF(sizes); i++) {
		req = request(&self->nl, EXPERTMEM_CMD_TERMINATE, 0);
		put(&req, E(ID), data, sizes[i]);
		EXPECT_LT(nl_talk(&self->nl, &req, NULL), 0) TH_LOG("%zu bytes", sizes[i]);
		EXPECT_EQ(self->nl.bad, NLMSG_LENGTH(GENL_HDRLEN));
	}
	req = request(&self->nl, EXPERTMEM_CMD_TERMINATE, 0);
	put(&req, E(ID) | NLA_F_NESTED, data, 8);
	EXPECT_EQ(nl_talk(&self->nl, &req, NULL), -EINVAL);
	EXPECT_EQ(expert_stat(self->window.fd).state, EXPERTMEM_STATE_RUNNING);
}

TEST_F(expert, headers_that_lie_are_refused)
{
	struct request req = request(&self->nl, EXPERTMEM_CMD_TERMINATE, NLM_F_ACK);
	struct nlattr attr = { .nla_type = E(ID), .nla_len = 200 };
	struct told t;

	/* the attribute is longer than the message */
	put_u64(&req, E(ID), self->id);
	memcpy(req.attrs, &attr, sizeof(attr));
	EXPECT_EQ(nl_talk(&self->nl, &req, NULL), -EINVAL);
	/* shorter than its own header */
	attr.nla_len = 3;
	memcpy(req.attrs, &attr, sizeof(attr));
	EXPECT_EQ(nl_talk(&self->nl, &req, NULL), -EINVAL);

	/* bytes behind the last attribute */
	req = request(&self->nl, EXPERTMEM_CMD_TERMINATE, 0);
	put_u64(&req, E(ID), self->id);
	req.header.nlmsg_len += 2;
	EXPECT_EQ(nl_talk(&self->nl, &req, NULL), -EINVAL);

	/* no room for the generic header */
	req = request(&self->nl, EXPERTMEM_CMD_STATS_GET, 0);
	req.header.nlmsg_len = NLMSG_LENGTH(2);
	EXPECT_EQ(nl_talk(&self->nl, &req, NULL), -EINVAL);

	/* a reserved field; a flag that is none */
	req = request(&self->nl, EXPERTMEM_CMD_STATS_GET, 0);
	req.genl.reserved = 1;
	EXPECT_EQ(nl_talk(&self->nl, &req, NULL), -EINVAL);
	req = request(&self->nl, EXPERTMEM_CMD_STATS_GET, NLM_F_ROOT);
	EXPECT_EQ(nl_talk(&self->nl, &req, NULL), -EINVAL);
	req = request(&self->nl, EXPERTMEM_CMD_STATS_GET, NLM_F_DUMP);
	EXPECT_EQ(nl_talk(&self->nl, &req, NULL), -EOPNOTSUPP);
	req = request(&self->nl, EXPERTMEM_CMD_REGION_GET, 0);
	put_u64(&req, R(ID), self->id);
	EXPECT_EQ(nl_talk(&self->nl, &req, NULL), -EOPNOTSUPP);

	EXPECT_EQ(expert_stat(self->window.fd).state, EXPERTMEM_STATE_RUNNING);
	EXPECT_EQ(nl_do(&self->nl, EXPERTMEM_CMD_EXPERT_GET, self->id, &t), 0);
}

TEST_F(expert, noise_is_survived)
{
	struct request req;
	unsigned long i;
	struct told t;
	size_t j;

	srand(1);
	for (i = 0; i < rounds(20000); i++) {
		req = request(&self->nl, rand() % COMMANDS, rand() % 4 ? 0 : NLM_F_DUMP);
		/* whatever it is, it is for nobody's expert */
		for (j = 0; j < sizeof(req.attrs); j++)
			req.attrs[j] = rand() % 8 ? rand() % 16 : rand();
		req.attrs[4 + 7] = 0xff;
		req.header.nlmsg_len += rand() % sizeof(req.attrs);
		nl_talk(&self->nl, &req, NULL);
	}
	EXPECT_EQ(nl_do(&self->nl, EXPERTMEM_CMD_EXPERT_GET, self->id, &t), 0);
	EXPECT_EQ(t.value[E(STATE)], EXPERTMEM_STATE_RUNNING);
}

TEST_F(expert, a_replayed_request_is_answered_again)
{
	struct request req = request(&self->nl, EXPERTMEM_CMD_RECLAIM, 0);
	struct told first, second;
	__u32 seq;

	put_u64(&req, E(ID), self->id);
	ASSERT_EQ(nl_talk(&self->nl, &req, &first), 0);
	seq = self->nl.seq--;
	ASSERT_EQ(nl_talk(&self->nl, &req, &second), 0);
	EXPECT_EQ(self->nl.seq, seq);
	EXPECT_EQ(first.value[E(RECLAIMED_BYTES)], MIB);
	EXPECT_EQ(second.value[E(RECLAIMED_BYTES)], 0);
}

TEST_HARNESS_MAIN
