// SPDX-License-Identifier: GPL-2.0
/*
 * RECLAIM: the host takes the memory of an expert that runs, in the middle of any call or touch.
 * All memory is returned. From then on, a touch gets SIGSEGV and a call ESHUTDOWN.
 *
 * needs: module root
 */
#include <pthread.h>
#include <sched.h>

#include "reclaim_test.h"

static void does_as_told(struct expert *expert)
{
	unsigned char *addr[] = {
		at(&expert->small, expert->small_region), at(&expert->huge, expert->huge_region),
		expert->small.addr, expert->huge.addr,
	};
	char answer = 'y';
	__u64 offset;
	size_t i;

	for (i = 0; i < COUNT_OF(addr); i++)
		if (read_touch(addr[i]) != SIGSEGV || write_touch(addr[i]) != SIGSEGV)
			answer = 't';
	if (region_alloc(&expert->small, PAGE, &offset) != -ESHUTDOWN ||
	    region_alloc(&expert->huge, HUGE, &offset) != -ESHUTDOWN ||
	    offset != POISON64)
		answer = 'a';
	if (region_realloc(&expert->small, expert->small_region, PAGE) != -ESHUTDOWN)
		answer = 'r';
	if (region_free(&expert->small, expert->small_region) != -ESHUTDOWN)
		answer = 'f';
	say(expert->line, answer);
	does_segv(expert);
}

TEST_F(expert, reclaim_takes_all_from_a_living_expert_for_good)
{
	const volatile struct expertmem_status *status = status_map(self->expert.fd);
	struct expertmem_reclaim result;

	ASSERT_NE(status, MAP_FAILED);
	start(_metadata, self, does_as_told);
	EXPECT_EQ(status->flags, 0);
	ASSERT_EQ(expert_reclaim(self->expert.fd, &result), 0);
	check_result(_metadata, &result, TOTAL, 2);
	EXPECT_EQ(status->flags, EXPERTMEM_STATUS_RECLAIMED);
	check(_metadata, self, EXPERTMEM_CAUSE_HOST);

	ASSERT_EQ(expert_reclaim(self->expert.fd, &result), 0);
	check_result(_metadata, &result, 0, 0);

	go(_metadata, self);
	EXPECT_EQ(hear(self->expert.line), 'y');
	EXPECT_EQ(child_status(self->pid), 128 + SIGSEGV);
	check(_metadata, self, EXPERTMEM_CAUSE_HOST);
}

TEST_F(expert, reclaim_of_an_idle_expert_ends_it)
{
	struct expertmem_reclaim result;
	struct window window;
	int i;

	for (i = 0; i < 2; i++) {
		ASSERT_EQ(expert_reclaim(self->expert.fd, &result), 0);
		check_result(_metadata, &result, 0, 0);
		check_stat(_metadata, self->expert.fd, EXPERTMEM_CAUSE_HOST, 0);
	}
	EXPECT_EQ(window_map(&window, &small_window, self->expert.fd, MIB), -ESHUTDOWN);
	EXPECT_EQ(window_map(&window, &huge_window, self->expert.fd, HUGE), -ESHUTDOWN);
	EXPECT_EQ(expert_configure(self->expert.fd, "late", 0, 0), -ESHUTDOWN);
}

static unsigned long touches[THREADS];

static void *touch_until_fault(void *arg)
{
	struct expert *expert = arg;
	static unsigned int next;
	unsigned int me = __atomic_fetch_add(&next, 1, __ATOMIC_RELAXED) % THREADS;
	struct window *window = me % 2 ? &expert->huge : &expert->small;
	__u64 *region = (__u64 *)at(window, me % 2 ? expert->huge_region :
						     expert->small_region);
	unsigned long i;
	int sig;

	for (i = me * 512;; i = (i + 512) % (HELD / 8)) {
		sig = poke(region + i, i);
		if (sig)
			return (void *)(long)sig;
		__atomic_store_n(&touches[me], touches[me] + 1, __ATOMIC_RELAXED);
	}
}

TEST_F(expert, reclaim_faults_every_one_of_eight_touching_threads)
{
	struct expertmem_reclaim result;
	pthread_t threads[THREADS];
	void *sig;
	int i;

	faults_catch();
	ASSERT_EQ(hold(&self->expert, HELD), 0);
	for (i = 0; i < THREADS; i++)
		ASSERT_EQ(pthread_create(&threads[i], NULL, touch_until_fault,
					 &self->expert), 0);
	for (i = 0; i < THREADS; i++)
		while (__atomic_load_n(&touches[i], __ATOMIC_RELAXED) < 100)
			sched_yield();

	ASSERT_EQ(expert_reclaim(self->expert.fd, &result), 0);
	check_result(_metadata, &result, TOTAL, 2);
	check_stat(_metadata, self->expert.fd, EXPERTMEM_CAUSE_HOST, TOTAL);
	for (i = 0; i < THREADS; i++) {
		ASSERT_EQ(pthread_join(threads[i], &sig), 0);
		EXPECT_EQ((long)sig, SIGSEGV);
	}
	check(_metadata, self, EXPERTMEM_CAUSE_HOST);
}

static void *populate_until_shutdown(void *arg)
{
	struct expert *expert = arg;
	struct window *window;
	__u64 offset;
	long err, i;

	for (i = 0;; i++) {
		window = i % 8 ? &expert->small : &expert->huge;
		err = region_alloc_flags(window, EXPERTMEM_ALLOC_POPULATE,
					 i % 8 ? 64 * KIB : HUGE, 0, &offset);
		if (!err && i % 4)
			err = region_free(window, offset);
		if (err)
			return (void *)err;
	}
}

TEST_F(expert, reclaim_leaves_nothing_of_a_racing_alloc_and_populate)
{
	unsigned long i, n = rounds(40);
	struct expertmem_reclaim result;
	struct expertmem_stat stat;
	pthread_t threads[4];
	struct expert expert;
	size_t t;
	void *err;

	for (i = 0; i < n; i++) {
		expert.fd = expert_open();
		ASSERT_GE(expert.fd, 0);
		ASSERT_EQ(hold(&expert, HUGE), 0);
		for (t = 0; t < COUNT_OF(threads); t++)
			ASSERT_EQ(pthread_create(&threads[t], NULL,
						 populate_until_shutdown, &expert), 0);
		do {
			sched_yield();
			stat = expert_stat(expert.fd);
		} while (stat.resident < 2 * HUGE + i * 128 * KIB);
		ASSERT_EQ(expert_reclaim(expert.fd, &result), 0);
		EXPECT_GE(result.reclaimed_bytes, result.reclaimed_resident);
		EXPECT_GE(result.reclaimed_bytes, 2 * HUGE);
		EXPECT_EQ(expert_stat(expert.fd).resident, 0);
		for (t = 0; t < COUNT_OF(threads); t++) {
			ASSERT_EQ(pthread_join(threads[t], &err), 0);
			ASSERT_EQ((long)err, -ESHUTDOWN);
		}
		check_stat(_metadata, expert.fd, EXPERTMEM_CAUSE_HOST, result.reclaimed_bytes);
		let_go(&expert);
		close(expert.fd);
	}
	EXPECT_TRUE(memory_is_back(&self->before, MEMORY_NOISE, SETTLE));
}

/*
 * An expert that ends at the same moment: each byte is reclaimed once. Who comes too
 * early waits longer the next time.
 */
static void race_with_reclaim(struct __test_metadata *_metadata,
			      FIXTURE_DATA(expert) *self, bool by_munmap)
{
	unsigned long i, n = rounds(60), first = 0, second = 0;
	volatile unsigned long spin, delay = 0;
	struct expertmem_reclaim result;
	struct expertmem_stat stat;
	struct expert expert;
	int line[2];
	pid_t pid;

	for (i = 0; i < n; i++) {
		expert.fd = expert_open();
		ASSERT_GE(expert.fd, 0);
		ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, line), 0);
		*self->expert.kin = 0;
		pid = fork();
		ASSERT_GE(pid, 0);
		if (!pid) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			if (hold(&expert, HUGE) || !say(line[1], 'h'))
				_exit(1);
			while (!*self->expert.kin)
				;
			if (by_munmap)
				let_go(&expert);
			_exit(0);
		}
		close(line[1]);
		ASSERT_EQ(hear(line[0]), 'h');
		*self->expert.kin = 1;
		for (spin = 0; spin < delay; spin++)
			;
		ASSERT_EQ(expert_reclaim(expert.fd, &result), 0);
		stat = expert_stat(expert.fd);
		EXPECT_EQ(stat.state, EXPERTMEM_STATE_RECLAIMED);
		EXPECT_EQ(stat.resident, 0);
		EXPECT_EQ(result.reclaimed_bytes, HUGE * result.reclaimed_regions);
		EXPECT_LE(result.reclaimed_regions, 2);
		EXPECT_LE(result.reclaimed_resident, result.reclaimed_bytes);
		EXPECT_EQ(child_status(pid), 0);
		check_stat(_metadata, expert.fd, result.reclaimed_regions ? EXPERTMEM_CAUSE_HOST :
			   EXPERTMEM_CAUSE_DETACH, 2 * HUGE);
		if (result.reclaimed_regions)
			delay += 1000 + delay / 2;
		else
			delay -= delay / 4;
		first += result.reclaimed_regions == 2;
		second += result.reclaimed_regions == 0;
		close(line[0]);
		close(expert.fd);
	}
	*self->expert.kin = 0;
	TH_LOG("RECLAIM was first %lu times, second %lu times, between %lu times", first,
	       second, n - first - second);
	EXPECT_TRUE(memory_is_back(&self->before, MEMORY_NOISE, SETTLE));
}

TEST_F(expert, reclaim_and_munmap_at_once_give_each_byte_back_once)
{
	race_with_reclaim(_metadata, self, true);
}

TEST_F(expert, reclaim_and_exit_at_once_give_each_byte_back_once)
{
	race_with_reclaim(_metadata, self, false);
}

TEST_HARNESS_MAIN
