// SPDX-License-Identifier: GPL-2.0
/*
 * Events by generic netlink: which change sends which event, what is reported as lost when
 * nobody reads, and how many events of one user are sent.
 *
 * needs: module root
 */
#include <sched.h>

#include "harness.h"
#include "netlink_test.h"
#include "users_test.h"

#define WINDOW		GIB

FIXTURE(events)
{
	struct nl nl;		/* asks */
	struct nl listener;	/* hears */
};

FIXTURE_SETUP(events)
{
	NEED_DEVICE();
	ASSERT_EQ(nl_open(&self->nl), 0);
	ASSERT_EQ(nl_open(&self->listener), 0);
	ASSERT_EQ(nl_join(&self->listener), 0);
}

FIXTURE_TEARDOWN(events)
{
	close(self->listener.fd);
	close(self->nl.fd);
}

#define EXPECT_EVENT(event, t)	EXPECT_EQ(nl_event(&self->listener, t), \
					  EXPERTMEM_EVENT_##event)
#define EXPECT_NO_EVENT()	do {						\
		struct told nothing;						\
		EXPECT_EQ(nl_event(&self->listener, &nothing), -EAGAIN);	\
	} while (0)

/* It is there already when the call that causes it returns: nothing here waits. */
TEST_F(events, a_life_is_told_in_order)
{
	struct window window;
	int fd = expert_open();
	__u64 id, offset;
	struct told t;

	ASSERT_GE(fd, 0);
	id = expert_stat(fd).id;
	EXPECT_EVENT(OPENED, &t);
	EXPECT_EQ(t.value[E(ID)], id);
	EXPECT_EQ(t.value[E(STATE)], EXPERTMEM_STATE_IDLE);
	EXPECT_EQ(t.value[E(OPENER)], getpid());
	EXPECT_FALSE(told(&t, E(NAME)));

	ASSERT_EQ(expert_configure(fd, "told", 2 * MIB, 0), 0);
	EXPECT_NO_EVENT();
	ASSERT_EQ(window_map(&window, &small_window, fd, WINDOW), 0);
	EXPECT_EVENT(RUNNING, &t);
	EXPECT_EQ(t.value[E(ID)], id);
	EXPECT_STREQ(t.name, "told");
	EXPECT_EQ(t.value[E(STATE)], EXPERTMEM_STATE_RUNNING);
	EXPECT_EQ(t.value[E(PID)], getpid());

	ASSERT_EQ(region_alloc(&window, MIB, &offset), 0);
	EXPECT_NO_EVENT();
	EXPECT_EQ(region_alloc(&window, 2 * MIB, &offset), -EDQUOT);
	EXPECT_EVENT(LIMIT_HIT, &t);
	EXPECT_EQ(t.value[E(LIMIT)], 2 * MIB);
	EXPECT_EQ(t.value[E(COMMITTED)], MIB);
	EXPECT_EQ(t.value[E(REFUSED)], 1);

	ASSERT_EQ(nl_set(&self->nl, id, GIB), 0);
	EXPECT_NO_EVENT();
	ASSERT_EQ(expert_terminate(fd), 0);
	EXPECT_EVENT(TERMINATE, &t);
	EXPECT_EQ(t.value[E(STATE)], EXPERTMEM_STATE_TERMINATING);
	ASSERT_EQ(expert_terminate(fd), 0);
	EXPECT_NO_EVENT();

	munmap(window.addr, window.size);
	EXPECT_EVENT(RECLAIMED, &t);
	EXPECT_EQ(t.value[E(STATE)], EXPERTMEM_STATE_RECLAIMED);
	EXPECT_EQ(t.value[E(CAUSE)], EXPERTMEM_CAUSE_DETACH);
	EXPECT_EQ(t.value[E(SIGNAL)], 0);
	EXPECT_EQ(t.value[E(RECLAIMED_BYTES)], MIB);
	EXPECT_EQ(t.value[E(RECLAIMED_REGIONS)], 1);
	ASSERT_EQ(expert_terminate(fd), 0);
	EXPECT_NO_EVENT();

	close(fd);
	EXPECT_EVENT(RELEASED, &t);
	EXPECT_EQ(t.value[E(ID)], id);
	EXPECT_STREQ(t.name, "told");
	EXPECT_EQ(t.value[E(RECLAIMED_BYTES)], MIB);
	EXPECT_NO_EVENT();
}

TEST_F(events, an_idle_life_is_told_too)
{
	int fd = expert_open();
	struct told t;

	close(fd);
	EXPECT_EVENT(OPENED, &t);
	EXPECT_EVENT(RELEASED, &t);
	EXPECT_EQ(t.value[E(STATE)], EXPERTMEM_STATE_IDLE);
	EXPECT_FALSE(told(&t, E(CAUSE)));
	EXPECT_NO_EVENT();
}

TEST_F(events, reclaim_by_its_host_and_by_an_operator_have_their_causes)
{
	const enum expertmem_cause causes[] = { EXPERTMEM_CAUSE_HOST,
						EXPERTMEM_CAUSE_OPERATOR };
	struct expertmem_reclaim result;
	struct window window;
	__u64 id, offset;
	struct told t;
	size_t i;

	for (i = 0; i < COUNT_OF(causes); i++) {
		ASSERT_EQ(window_open(&window, &small_window, WINDOW, 0), 0);
		id = expert_stat(window.fd).id;
		ASSERT_EQ(region_alloc_flags(&window, EXPERTMEM_ALLOC_POPULATE, MIB, 0,
					     &offset), 0);
		EXPECT_EVENT(OPENED, &t);
		EXPECT_EVENT(RUNNING, &t);
		ASSERT_EQ(causes[i] == EXPERTMEM_CAUSE_HOST ?
			  expert_reclaim(window.fd, &result) :
			  nl_do(&self->nl, EXPERTMEM_CMD_RECLAIM, id, NULL), 0);
		EXPECT_EVENT(RECLAIMED, &t);
		EXPECT_EQ(t.value[E(ID)], id);
		EXPECT_EQ(t.value[E(CAUSE)], causes[i]);
		EXPECT_EQ(t.value[E(RECLAIMED_BYTES)], MIB);
		EXPECT_EQ(t.value[E(RECLAIMED_RESIDENT)], MIB);
		/* what was said is so when it is said */
		EXPECT_EQ(t.value[E(RESIDENT)], 0);
		window_close(&window);
		EXPECT_EVENT(RELEASED, &t);
		EXPECT_EQ(t.value[E(CAUSE)], causes[i]);
		EXPECT_NO_EVENT();
	}
}

TEST_F(events, the_first_of_two_windows_that_goes_is_no_end)
{
	struct window small, huge;
	struct told t;

	ASSERT_EQ(window_open(&small, &small_window, WINDOW, 0), 0);
	ASSERT_EQ(window_map(&huge, &huge_window, small.fd, WINDOW), 0);
	EXPECT_EVENT(OPENED, &t);
	EXPECT_EVENT(RUNNING, &t);
	munmap(small.addr, small.size);
	EXPECT_NO_EVENT();
	munmap(huge.addr, huge.size);
	EXPECT_EVENT(RECLAIMED, &t);
	close(small.fd);
	EXPECT_EVENT(RELEASED, &t);
}

/* A process with an expert that holds memory, then ends itself as @arg says. */
static int live_and_end(int sig, int status)
{
	struct window window;
	__u64 offset;

	if (window_open(&window, &small_window, WINDOW, 0) ||
	    region_alloc_flags(&window, EXPERTMEM_ALLOC_POPULATE, MIB, 0, &offset))
		_exit(99);
	if (sig)
		raise(sig);
	_exit(status);
}

TEST_F(events, a_signal_that_kills_is_told_by_its_number)
{
	const int signals[] = { SIGKILL, SIGTERM, SIGSEGV, SIGABRT, 0 };
	struct told before = nl_stats(&self->nl), t;
	pid_t pid;
	size_t i;

	for (i = 0; i < COUNT_OF(signals); i++) {
		pid = fork();
		if (!pid)
			live_and_end(signals[i], 9);
		EXPECT_EQ(child_status(pid), signals[i] ? 128 + signals[i] : 9);
		EXPECT_EVENT(OPENED, &t);
		EXPECT_EVENT(RUNNING, &t);
		EXPECT_EQ(t.value[E(PID)], pid);
		EXPECT_EVENT(RECLAIMED, &t);
		EXPECT_EQ(t.value[E(CAUSE)], EXPERTMEM_CAUSE_DETACH);
		EXPECT_EQ(t.value[E(SIGNAL)], signals[i]);
		EXPECT_EQ(t.value[E(PID)], pid);
		EXPECT_EQ(t.value[E(RECLAIMED_RESIDENT)], MIB);
		EXPECT_EVENT(RELEASED, &t);
		EXPECT_NO_EVENT();
	}
	t = nl_stats(&self->nl);
	EXPECT_EQ(t.value[S(DETACHED)], before.value[S(DETACHED)] + COUNT_OF(signals));
	EXPECT_EQ(t.value[S(KILLED)], before.value[S(KILLED)] + COUNT_OF(signals) - 1);
}

TEST_F(events, a_process_that_unmaps_before_it_dies_was_not_killed_with_it)
{
	struct window window;
	struct told t;
	pid_t pid;

	pid = fork();
	if (!pid) {
		if (window_open(&window, &small_window, WINDOW, 0))
			_exit(99);
		munmap(window.addr, window.size);
		raise(SIGKILL);
	}
	EXPECT_EQ(child_status(pid), 128 + SIGKILL);
	EXPECT_EVENT(OPENED, &t);
	EXPECT_EVENT(RUNNING, &t);
	EXPECT_EVENT(RECLAIMED, &t);
	EXPECT_EQ(t.value[E(SIGNAL)], 0);
	EXPECT_EVENT(RELEASED, &t);
}

TEST_F(events, a_limit_that_is_hit_a_thousand_times_is_told_about_once_a_second)
{
	struct timespec start, end;
	struct window window;
	unsigned long i, seconds, hits = 0;
	__u64 offset;
	struct told t;
	int event;

	ASSERT_EQ(window_open(&window, &small_window, WINDOW, MIB), 0);
	EXPECT_EVENT(OPENED, &t);
	EXPECT_EVENT(RUNNING, &t);
	clock_gettime(CLOCK_MONOTONIC, &start);
	for (i = 0; i < 1000; i++)
		ASSERT_EQ(region_alloc(&window, 2 * MIB, &offset), -EDQUOT);
	clock_gettime(CLOCK_MONOTONIC, &end);
	seconds = end.tv_sec - start.tv_sec + 1;
	while ((event = nl_event(&self->listener, &t)) == EXPERTMEM_EVENT_LIMIT_HIT)
		hits++;
	EXPECT_EQ(event, -EAGAIN);
	EXPECT_GE(hits, 1);
	EXPECT_LE(hits, seconds + 1);
	EXPECT_EQ(expert_stat(window.fd).refused, 1000);

	/* a second later it is news again */
	sleep(2);
	ASSERT_EQ(region_alloc(&window, 2 * MIB, &offset), -EDQUOT);
	EXPECT_EVENT(LIMIT_HIT, &t);
	EXPECT_EQ(t.value[E(REFUSED)], 1001);

	/* and another expert's is, at once */
	window_close(&window);
	ASSERT_EQ(window_open(&window, &small_window, WINDOW, MIB), 0);
	ASSERT_EQ(region_alloc(&window, 2 * MIB, &offset), -EDQUOT);
	EXPECT_EVENT(RECLAIMED, &t);
	EXPECT_EVENT(RELEASED, &t);
	EXPECT_EVENT(OPENED, &t);
	EXPECT_EVENT(RUNNING, &t);
	EXPECT_EVENT(LIMIT_HIT, &t);
	window_close(&window);
}

TEST_F(events, a_reader_that_is_slow_is_told_that_it_missed_some)
{
	struct told before = nl_stats(&self->nl), t;
	unsigned long i, opened = 5000;
	int event, heard = 0, overruns = 0, fd;

	/* it reads nothing, and nobody who causes events notices */
	for (i = 0; i < opened; i++) {
		fd = expert_open();
		ASSERT_GE(fd, 0);
		ASSERT_EQ(close(fd), 0);
	}
	while ((event = nl_event(&self->listener, &t)) != -EAGAIN) {
		if (event == -ENOBUFS)
			overruns++;
		else
			heard++;
	}
	EXPECT_GT(overruns, 0);
	EXPECT_GT(heard, 0);
	EXPECT_LT(heard, (int)(2 * opened));
	EXPECT_EQ(nl_stats(&self->nl).value[S(OPENED)], before.value[S(OPENED)] + opened);

	/* having read, it hears again */
	fd = expert_open();
	EXPECT_EVENT(OPENED, &t);
	EXPECT_EQ(t.value[E(ID)], expert_stat(fd).id);
	close(fd);
	EXPECT_EVENT(RELEASED, &t);
}

/*
 * A second is the least that the reader sleeps, a thousand events the least that happen
 * meanwhile: on a machine that is fast enough, that is the rate, and far more.
 */
TEST_F(events, a_thousand_events_a_second_do_not_wait_for_who_reads_few_of_them)
{
	const unsigned long naps = 5, least = 1000;
	unsigned long nap, count, opened = 0, overruns = 0;
	const int small = 1;	/* the least that there is: an overrun in each nap */
	struct timespec start, now;
	struct told before, t;
	__u64 last = 0;
	int event, fd;

	ASSERT_EQ(setsockopt(self->listener.fd, SOL_SOCKET, SO_RCVBUF, &small,
			     sizeof(small)), 0);
	before = nl_stats(&self->nl);
	for (nap = 0; nap < naps; nap++) {
		clock_gettime(CLOCK_MONOTONIC, &start);
		count = 0;
		do {
			fd = expert_open();
			ASSERT_GE(fd, 0);
			ASSERT_EQ(close(fd), 0);
			count += 2;
			clock_gettime(CLOCK_MONOTONIC, &now);
		} while (count < least || now.tv_sec - start.tv_sec < 2);
		TH_LOG("%lu events in %lds", count, (long)(now.tv_sec - start.tv_sec));
		opened += count / 2;

		/* few of each heap are there to read, behind the news that some were lost */
		while ((event = nl_event(&self->listener, &t)) != -EAGAIN) {
			if (event == -ENOBUFS) {
				overruns++;
				continue;
			}
			ASSERT_GE(event, 0);
			EXPECT_GE(t.value[E(ID)], last);
			last = t.value[E(ID)];
		}
	}
	EXPECT_EQ(overruns, naps);
	t = nl_stats(&self->nl);
	EXPECT_EQ(t.value[S(OPENED)], before.value[S(OPENED)] + opened);
	EXPECT_EQ(t.value[S(EXPERTS)], before.value[S(EXPERTS)]);
}

/* Losing is the listener's affair, unless it asks that the sender be told. */
TEST_F(events, what_a_listener_misses_is_counted_if_it_wants_that)
{
	const int small = 1, yes = 1;
	unsigned long i, lost;
	struct told t;

	ASSERT_EQ(setsockopt(self->listener.fd, SOL_SOCKET, SO_RCVBUF, &small,
			     sizeof(small)), 0);
	lost = nl_stats(&self->nl).value[S(LOST_EVENTS)];
	for (i = 0; i < 100; i++)
		close(expert_open());
	EXPECT_EQ(nl_stats(&self->nl).value[S(LOST_EVENTS)], lost);
	while (nl_event(&self->listener, &t) != -EAGAIN)
		;

	ASSERT_EQ(setsockopt(self->listener.fd, SOL_NETLINK, NETLINK_BROADCAST_ERROR, &yes,
			     sizeof(yes)), 0);
	for (i = 0; i < 100; i++)
		close(expert_open());
	EXPECT_GT(nl_stats(&self->nl).value[S(LOST_EVENTS)], lost + 100);
	EXPECT_LE(nl_stats(&self->nl).value[S(LOST_EVENTS)], lost + 200);
}

TEST_F(events, who_does_not_listen_hears_nothing)
{
	struct told t;
	int fd;

	fd = expert_open();
	EXPECT_EVENT(OPENED, &t);
	EXPECT_EQ(nl_event(&self->nl, &t), -EAGAIN);
	ASSERT_EQ(setsockopt(self->listener.fd, SOL_NETLINK, NETLINK_DROP_MEMBERSHIP,
			     &self->listener.group, sizeof(__u32)), 0);
	close(fd);
	EXPECT_NO_EVENT();
}

/* Joins as root, then listens as nobody: the right was needed to join. */
TEST_F(events, only_who_may_administer_the_network_may_listen)
{
	struct nl nl;

	ASSERT_EQ(nl_open(&nl), 0);
	ASSERT_EQ(setresuid(1001, 1001, 1001), 0);
	EXPECT_EQ(nl_join(&nl), -EPERM);
	close(nl.fd);
}

/* ---------------------------------------------------------------------- a flood */

#define BURST		256	/* events of one user that are told at once */
#define RATE		64	/* and later, in a second */

FIXTURE(flood)
{
	struct nl nl;		/* asks */
	struct nl listener;	/* hears, and has room for all that a flood can bring */
	struct stat device;
	struct actor user;	/* with a full budget, for nobody has seen it before */
	struct actor other;	/* another */
	__u64 suppressed;	/* before */
	struct timespec start;
};

FIXTURE_SETUP(flood)
{
	const int room = 64 * MIB;

	NEED_USERS();
	self->user = member;
	self->user.uid = self->user.euid = 1000000 + 2 * getpid();
	self->other = member;
	self->other.uid = self->other.euid = self->user.uid + 1;
	ASSERT_EQ(group_device(&self->device, 0660), 0);
	ASSERT_EQ(nl_open(&self->nl), 0);
	ASSERT_EQ(nl_open(&self->listener), 0);
	ASSERT_EQ(setsockopt(self->listener.fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)),
		  0);
	ASSERT_EQ(nl_join(&self->listener), 0);
	self->suppressed = nl_stats(&self->nl).value[S(SUPPRESSED_EVENTS)];
	clock_gettime(CLOCK_MONOTONIC, &self->start);
}

FIXTURE_TEARDOWN(flood)
{
	close(self->listener.fd);
	close(self->nl.fd);
	EXPECT_EQ(ungroup_device(&self->device), 0);
}

static __u64 suppressed_events(struct nl *nl)
{
	return nl_stats(nl).value[S(SUPPRESSED_EVENTS)];
}

/* The most events of one user that can have been told since the test began. */
static unsigned long most_told(const struct timespec *start)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return BURST + (now.tv_sec - start->tv_sec + 1) * RATE;
}

/* Open and close so many experts: each is two events. How many there were. */
static long come_and_go(void *arg)
{
	unsigned long i, count = *(unsigned long *)arg;
	int fd;

	for (i = 0; i < count; i++) {
		fd = expert_open();
		if (fd < 0)
			return fd;
		close(fd);
	}
	return 2 * count;
}

/**
 * struct heard - what a listener has heard
 * @events: of the user that was asked for
 * @others: of other users
 * @suppressed: what the last event says of suppressed ones
 * @ordered: that number never became less, and was in every event
 */
struct heard {
	unsigned long events;
	unsigned long others;
	__u64 suppressed;
	bool ordered;
};

static struct heard hear_all(struct nl *listener, uid_t uid)
{
	struct heard heard = { .ordered = true };
	struct told t;

	while (nl_event(listener, &t) >= 0) {
		if (t.value[E(UID)] == uid)
			heard.events++;
		else
			heard.others++;
		if (!told(&t, E(SUPPRESSED)) || t.value[E(SUPPRESSED)] < heard.suppressed)
			heard.ordered = false;
		heard.suppressed = t.value[E(SUPPRESSED)];
	}
	return heard;
}

/* Use up the budget of a user: until some events were suppressed. How many events it took. */
static long flood_as(const struct actor *who, struct nl *nl)
{
	unsigned long count = 500;
	__u64 before = suppressed_events(nl);
	time_t end = time(NULL) + 120;
	long events = 0, more;

	do {
		more = as(who, come_and_go, &count);
		if (more < 0)
			return more;
		events += more;
	} while (suppressed_events(nl) == before && time(NULL) < end);
	return events;
}

TEST_F(flood, what_passes_a_users_budget_is_counted_and_not_told)
{
	unsigned long count = 2000;
	long events = as(&self->user, come_and_go, &count);
	struct heard heard;
	__u64 suppressed;

	ASSERT_EQ(events, 2 * count);
	heard = hear_all(&self->listener, self->user.uid);
	suppressed = suppressed_events(&self->nl) - self->suppressed;
	EXPECT_GE(heard.events, BURST);
	EXPECT_LE(heard.events, most_told(&self->start));
	/* none is told and counted, none is neither */
	EXPECT_EQ(heard.events + suppressed, events);
	EXPECT_EQ(heard.others, 0);
	EXPECT_TRUE(heard.ordered);
	EXPECT_LE(heard.suppressed, self->suppressed + suppressed);
	TH_LOG("%lu of %ld events were told", heard.events, events);
}

TEST_F(flood, a_burst_that_the_budget_allows_is_told_in_full)
{
	unsigned long count = BURST / 2;
	struct heard heard;

	ASSERT_EQ(as(&self->other, come_and_go, &count), BURST);
	heard = hear_all(&self->listener, self->other.uid);
	EXPECT_EQ(heard.events, BURST);
	EXPECT_EQ(suppressed_events(&self->nl), self->suppressed);
	EXPECT_EQ(heard.suppressed, self->suppressed);
}

/* Every event says how many were suppressed before it; the reader of others learns of it. */
TEST_F(flood, an_event_of_another_user_is_told_in_a_flood_and_says_how_many_are_missing)
{
	unsigned long one = 1;
	struct told t, none;
	int fd;

	ASSERT_GT(flood_as(&self->user, &self->nl), 0);
	hear_all(&self->listener, self->user.uid);
	ASSERT_GT(suppressed_events(&self->nl), self->suppressed);
	ASSERT_EQ(as(&self->other, come_and_go, &one), 2);
	EXPECT_EVENT(OPENED, &t);
	EXPECT_EQ(t.value[E(UID)], self->other.uid);
	EXPECT_EQ(t.value[E(SUPPRESSED)], suppressed_events(&self->nl));
	EXPECT_EVENT(RELEASED, &t);
	EXPECT_EQ(t.value[E(UID)], self->other.uid);

	/* it is for events only */
	fd = open_as(&self->other);
	ASSERT_GE(fd, 0);
	ASSERT_EQ(nl_do(&self->nl, EXPERTMEM_CMD_EXPERT_GET, expert_stat(fd).id, &none), 0);
	EXPECT_FALSE(told(&none, E(SUPPRESSED)));
	close(fd);
}

TEST_F(flood, processes_experts_and_descriptors_of_a_user_have_one_budget)
{
	unsigned long total = 0, count = 50;
	struct heard heard;
	int i, fd, keep = open_as(&self->user);

	ASSERT_GE(keep, 0);
	for (i = 0; i < 20; i++) {
		ASSERT_EQ(as(&self->user, come_and_go, &count), 2 * count);
		/* all its experts are closed now and then, which forgets nothing */
		if (i == 10)
			close(keep);
		/* an expert of its own with events of another kind */
		fd = open_as(&self->user);
		ASSERT_GE(fd, 0);
		EXPECT_EQ(expert_terminate(fd), 0);
		close(fd);
		total += 2 * count + 3;
	}
	heard = hear_all(&self->listener, self->user.uid);
	EXPECT_LE(heard.events, most_told(&self->start));
	EXPECT_EQ(heard.events + suppressed_events(&self->nl) - self->suppressed, total + 2);
}

TEST_F(flood, a_budget_fills_up_again)
{
	time_t end = time(NULL) + 120;
	unsigned long one = 1;
	struct heard heard;

	ASSERT_GT(flood_as(&self->user, &self->nl), 0);
	hear_all(&self->listener, self->user.uid);
	do {
		usleep(50000);
		ASSERT_EQ(as(&self->user, come_and_go, &one), 2);
		heard = hear_all(&self->listener, self->user.uid);
	} while (!heard.events && time(NULL) < end);
	EXPECT_GT(heard.events, 0);
	EXPECT_GT(heard.suppressed, self->suppressed);
}

TEST_F(flood, experts_opened_with_the_capability_have_no_budget)
{
	struct actor exempt = self->user;
	unsigned long count = 1000;
	struct heard heard;

	exempt.caps = CAP(SYS_RESOURCE);
	ASSERT_EQ(as(&root, come_and_go, &count), 2 * count);
	heard = hear_all(&self->listener, 0);
	EXPECT_EQ(heard.events, 2 * count);
	ASSERT_GT(flood_as(&self->user, &self->nl), 0);
	self->suppressed = suppressed_events(&self->nl);
	hear_all(&self->listener, self->user.uid);
	/* though the budget of their user is used up, and without using it */
	ASSERT_EQ(as(&exempt, come_and_go, &count), 2 * count);
	heard = hear_all(&self->listener, self->user.uid);
	EXPECT_EQ(heard.events, 2 * count);
	EXPECT_EQ(suppressed_events(&self->nl), self->suppressed);
}

/* What an expert's own code can repeat for ever without opening another. */
static long hit_limits(void *arg)
{
	struct expertmem_reclaim reclaim;
	struct window w;
	__u64 offset;
	long i;

	for (i = 0; i < *(long *)arg; i++) {
		if (window_open(&w, &small_window, MIB, PAGE) ||
		    region_alloc(&w, 2 * PAGE, &offset) != -EDQUOT ||
		    expert_terminate(w.fd) || expert_reclaim(w.fd, &reclaim))
			return -EBADE;
		window_close(&w);
	}
	/* opened, running, limit hit, terminate, reclaimed, released */
	return 6 * i;
}

TEST_F(flood, all_kinds_of_events_come_out_of_the_budget)
{
	long count = 300, events = as(&self->user, hit_limits, &count);
	struct heard heard;

	ASSERT_EQ(events, 6 * count);
	heard = hear_all(&self->listener, self->user.uid);
	EXPECT_LE(heard.events, most_told(&self->start));
	EXPECT_EQ(heard.events + suppressed_events(&self->nl) - self->suppressed, events);
}

TEST_HARNESS_MAIN
