// SPDX-License-Identifier: GPL-2.0
/*
 * Events by generic netlink: what is told when, and what happens when nobody hears it.
 */
#include <sched.h>

#include "harness.h"
#include "netlink_test.h"

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
	EXPECT_EQ(t.value[E(FREED_BYTES)], MIB);
	EXPECT_EQ(t.value[E(FREED_REGIONS)], 1);
	ASSERT_EQ(expert_terminate(fd), 0);
	EXPECT_NO_EVENT();

	close(fd);
	EXPECT_EVENT(RELEASED, &t);
	EXPECT_EQ(t.value[E(ID)], id);
	EXPECT_STREQ(t.name, "told");
	EXPECT_EQ(t.value[E(FREED_BYTES)], MIB);
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
	const enum expertmem_cause causes[] = { EXPERTMEM_CAUSE_RECLAIM,
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
		ASSERT_EQ(causes[i] == EXPERTMEM_CAUSE_RECLAIM ?
			  expert_reclaim(window.fd, &result) :
			  nl_do(&self->nl, EXPERTMEM_CMD_RECLAIM, id, NULL), 0);
		EXPECT_EVENT(RECLAIMED, &t);
		EXPECT_EQ(t.value[E(ID)], id);
		EXPECT_EQ(t.value[E(CAUSE)], causes[i]);
		EXPECT_EQ(t.value[E(FREED_BYTES)], MIB);
		EXPECT_EQ(t.value[E(FREED_RESIDENT)], MIB);
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
		EXPECT_EQ(t.value[E(FREED_RESIDENT)], MIB);
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

TEST_HARNESS_MAIN
