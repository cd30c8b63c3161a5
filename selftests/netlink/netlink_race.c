// SPDX-License-Identifier: GPL-2.0
/*
 * Generic netlink while experts are opened and closed: dumps, requests about an expert that is
 * closed at that moment, and the unloading of the module. EXPERTMEM_ROUNDS multiplies the
 * number of rounds.
 *
 * needs: module root
 * also: unload
 */
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "harness.h"
#include "memory_test.h"
#include "netlink_test.h"

#define WINDOW		GIB
#define MANY		10000
#define IDS		(1UL << 22)
#define MODULE		"/expertmem.ko"

FIXTURE(netlink)
{
	struct nl nl;
};

FIXTURE_SETUP(netlink)
{
	NEED_DEVICE();
	ASSERT_EQ(nl_open(&self->nl), 0);
}

FIXTURE_TEARDOWN(netlink)
{
	close(self->nl.fd);
}

static int stop;

/* Open an expert and release it, again and again; some hold one for a while. */
static void *come_and_go(void *arg)
{
	int fds[8] = { -1, -1, -1, -1, -1, -1, -1, -1 };
	unsigned long *count = arg;
	int *fd;

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		fd = &fds[*count % COUNT_OF(fds)];
		if (*fd >= 0)
			close(*fd);
		*fd = expert_open();
		__atomic_store_n(count, *count + 1, __ATOMIC_RELAXED);
		sched_yield();
	}
	for (fd = fds; fd < fds + COUNT_OF(fds); fd++)
		if (*fd >= 0)
			close(*fd);
	return NULL;
}

static void count_id(const struct told *t, void *arg)
{
	unsigned char *seen = arg;

	if (t->value[E(ID)] < IDS)
		seen[t->value[E(ID)]]++;
}

TEST_F(netlink, who_lives_all_through_a_dump_of_ten_thousand_is_in_it_once)
{
	const struct rlimit limit = { 2 * MANY, 2 * MANY };
	unsigned long i, dump, twice, wrong, coming[2] = { }, interrupted = 0;
	unsigned char *seen = calloc(IDS, 1);
	pthread_t threads[2];
	__u64 *ids, before;
	int fd;

	ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
	ids = calloc(MANY, sizeof(*ids));
	for (i = 0; i < MANY; i++) {
		fd = expert_open();
		ASSERT_GE(fd, 0);
		ids[i] = expert_stat(fd).id;
		ASSERT_LT(ids[i], IDS);
	}
	ASSERT_EQ(nl_dump(&self->nl, 0, count_id, seen), 0);
	EXPECT_FALSE(self->nl.interrupted);

	for (i = 0; i < COUNT_OF(threads); i++)
		ASSERT_EQ(pthread_create(&threads[i], NULL, come_and_go, &coming[i]), 0);
	for (dump = 0; dump < rounds(5); dump++) {
		memset(seen, 0, IDS);
		before = __atomic_load_n(&coming[0], __ATOMIC_RELAXED);
		ASSERT_EQ(nl_dump(&self->nl, 0, count_id, seen), 0);
		wrong = 0;
		for (i = 0; i < MANY; i++)
			wrong += seen[ids[i]] != 1;
		EXPECT_EQ(wrong, 0);
		twice = 0;
		for (i = 0; i < IDS; i++)
			twice += seen[i] > 1;
		EXPECT_EQ(twice, 0);
		interrupted += self->nl.interrupted;
		while (__atomic_load_n(&coming[0], __ATOMIC_RELAXED) == before)
			sched_yield();
	}
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	for (i = 0; i < COUNT_OF(threads); i++)
		pthread_join(threads[i], NULL);
	/* a dump is many messages long, and they come and go between any two */
	EXPECT_GT(interrupted, 0);
}

/* ---------------------------------------------------------------- racing the end */

static __u64 target;
static unsigned long asked;

/* Whatever comes of it, ask and order about the one expert that lives just now. */
static void *bother(void *arg)
{
	const int cmd = (long)arg;
	static const int fine[] = { 0, ENOENT };
	long wrong = 0;
	struct told t;
	struct nl nl;
	__u64 id;
	int err;

	if (nl_open(&nl))
		return (void *)-1L;
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		id = __atomic_load_n(&target, __ATOMIC_RELAXED);
		if (cmd == EXPERTMEM_CMD_EXPERT_SET)
			err = nl_set(&nl, id, 64 * MIB);
		else if (cmd == EXPERTMEM_CMD_REGION_GET)
			err = id ? nl_dump(&nl, id, keep_one, &t) : 0;
		else
			err = nl_do(&nl, cmd, id, &t);
		if (-err != fine[0] && -err != fine[1])
			wrong = err;
		__atomic_fetch_add(&asked, 1, __ATOMIC_RELAXED);
		sched_yield();
	}
	close(nl.fd);
	return (void *)wrong;
}

static const long bothers[] = {
	EXPERTMEM_CMD_EXPERT_GET, EXPERTMEM_CMD_REGION_GET, EXPERTMEM_CMD_EXPERT_SET,
	EXPERTMEM_CMD_TERMINATE, EXPERTMEM_CMD_RECLAIM,
};

static void bother_all(struct __test_metadata *_metadata, pthread_t *threads)
{
	size_t i;

	stop = 0;
	for (i = 0; i < COUNT_OF(bothers); i++)
		ASSERT_EQ(pthread_create(&threads[i], NULL, bother, (void *)bothers[i]), 0);
}

static void bother_no_more(struct __test_metadata *_metadata, pthread_t *threads)
{
	void *wrong;
	size_t i;

	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	for (i = 0; i < COUNT_OF(bothers); i++) {
		pthread_join(threads[i], &wrong);
		EXPECT_EQ((long)wrong, 0) TH_LOG("command %ld", bothers[i]);
	}
	TH_LOG("%lu requests", asked);
}

/* One life in a short time; any step may find that the expert is over. */
static void live(bool huge)
{
	struct window window;
	__u64 offset;
	int i;

	if (window_open(&window, huge ? &huge_window : &small_window, WINDOW, 0))
		return;
	__atomic_store_n(&target, expert_stat(window.fd).id, __ATOMIC_RELAXED);
	for (i = 0; i < 10; i++)
		if (region_alloc_flags(&window, EXPERTMEM_ALLOC_POPULATE, 2 * PAGE, 0,
				       &offset))
			break;
	window_close(&window);
}

TEST_F(netlink, requests_race_release)
{
	pthread_t threads[COUNT_OF(bothers)];
	struct memory before;
	unsigned long i;

	live(false);
	before = memory_now();
	bother_all(_metadata, threads);
	for (i = 0; i < rounds(2000); i++)
		live(i % 2);
	bother_no_more(_metadata, threads);
	EXPECT_TRUE(memory_is_back(&before, 4 * MIB, 30));
}

TEST_F(netlink, requests_race_exit)
{
	pthread_t threads[COUNT_OF(bothers)];
	struct memory before;
	unsigned long i;
	unsigned long reclaimed = 0;
	__u64 *shared, *mapped;
	pid_t pid;
	int fd;

	shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(shared, MAP_FAILED);
	mapped = shared + 1;
	before = memory_now();
	bother_all(_metadata, threads);
	for (i = 0; i < rounds(300); i++) {
		/* half of them hold the descriptor here, too */
		fd = i % 2 ? expert_open() : -1;
		*mapped = 0;
		pid = fork();
		if (!pid) {
			int own = fd >= 0 ? fd : expert_open();
			struct window window;
			__u64 offset;

			__atomic_store_n(shared, expert_stat(own).id, __ATOMIC_RELEASE);
			if (!window_map(&window, &small_window, own, WINDOW)) {
				__atomic_store_n(mapped, 1, __ATOMIC_RELEASE);
				region_alloc_flags(&window, EXPERTMEM_ALLOC_POPULATE, MIB,
						   0, &offset);
			}
			for (;;)
				pause();
		}
		while (!__atomic_load_n(shared, __ATOMIC_ACQUIRE))
			sched_yield();
		__atomic_store_n(&target, *shared, __ATOMIC_RELAXED);
		*shared = 0;
		kill(pid, SIGKILL);
		EXPECT_EQ(child_status(pid), 128 + SIGKILL);
		if (fd < 0)
			continue;
		/* who died before its window was there had nothing that could be reclaimed */
		if (*mapped) {
			EXPECT_EQ(expert_stat(fd).state, EXPERTMEM_STATE_RECLAIMED);
			reclaimed++;
		}
		close(fd);
	}
	bother_no_more(_metadata, threads);
	EXPECT_GT(reclaimed, 0);
	EXPECT_TRUE(memory_is_back(&before, 4 * MIB, 30));
}

/* ------------------------------------------------------------------- the module */

static void ignore(const struct told *t, void *arg)
{
}

TEST_F(netlink, the_module_can_go_with_a_socket_open_but_not_with_an_expert)
{
	struct nl listener;
	struct told t;
	int fd, file;

	file = open(MODULE, O_RDONLY | O_CLOEXEC);
	if (file < 0)
		SKIP_TEST(MODULE ": %s", strerror(errno));
	ASSERT_EQ(nl_open(&listener), 0);
	ASSERT_EQ(nl_join(&listener), 0);
	fd = expert_open();
	ASSERT_GE(fd, 0);
	EXPECT_EQ(result(syscall(SYS_delete_module, "expertmem", O_NONBLOCK)), -EAGAIN);
	ASSERT_EQ(nl_do(&self->nl, EXPERTMEM_CMD_EXPERT_GET, expert_stat(fd).id, &t), 0);
	ASSERT_EQ(nl_dump(&self->nl, 0, ignore, NULL), 0);
	close(fd);

	ASSERT_EQ(result(syscall(SYS_delete_module, "expertmem", O_NONBLOCK)), 0);
	EXPECT_EQ(nl_do(&self->nl, EXPERTMEM_CMD_EXPERT_GET, 1, &t), -ENOENT);
	ASSERT_EQ(result(syscall(SYS_finit_module, file, "", 0)), 0);

	/* the old one's listener is not the new one's */
	while (nl_event(&listener, &t) != -EAGAIN)
		;
	close(listener.fd);
	close(self->nl.fd);
	ASSERT_EQ(nl_open(&self->nl), 0);
	EXPECT_EQ(nl_stats(&self->nl).value[S(OPENED)], 0);
}

/* As nobody in particular: a member of all groups but that of the families themselves. */
static int join_whatever_there_is(void)
{
	const struct sockaddr_nl any = { .nl_family = AF_NETLINK };
	__u32 group;
	int fd;

	if (seteuid(1001))
		return -1;
	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);
	/* who has no number is taken for the kernel, and hears nothing of what that says */
	if (bind(fd, (const struct sockaddr *)&any, sizeof(any)))
		return -1;
	for (group = 1; group < 1024; group++)
		if (group != GENL_ID_CTRL)
			setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group,
				   sizeof(group));
	return seteuid(0) ? -1 : fd;
}

TEST_F(netlink, who_joined_the_group_before_it_was_the_modules_hears_nothing)
{
	struct nl early = self->nl, listener;
	struct told t;
	int fd, file;

	file = open(MODULE, O_RDONLY | O_CLOEXEC);
	if (file < 0)
		SKIP_TEST(MODULE ": %s", strerror(errno));
	ASSERT_EQ(result(syscall(SYS_delete_module, "expertmem", O_NONBLOCK)), 0);
	early.fd = join_whatever_there_is();
	ASSERT_GE(early.fd, 0);
	ASSERT_EQ(result(syscall(SYS_finit_module, file, "", 0)), 0);
	ASSERT_EQ(nl_open(&listener), 0);
	ASSERT_EQ(nl_join(&listener), 0);

	fd = expert_open();
	ASSERT_GE(fd, 0);
	EXPECT_EQ(nl_event(&listener, &t), EXPERTMEM_EVENT_OPENED);
	EXPECT_EQ(nl_event(&early, &t), -EAGAIN);
	close(fd);
	EXPECT_EQ(nl_event(&listener, &t), EXPERTMEM_EVENT_RELEASED);
	EXPECT_EQ(nl_event(&early, &t), -EAGAIN);
}

TEST_HARNESS_MAIN
