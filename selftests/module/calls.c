// SPDX-License-Identifier: GPL-2.0
/*
 * Concurrent calls: threads allocate, resize, free and map in one expert, or end it. No call
 * returns an error that its documentation does not name, and all memory is returned at the
 * end. EXPERTMEM_ROUNDS multiplies the number of rounds.
 *
 * needs: module root
 * also: slow
 */
#include "race_test.h"

FIXTURE(calls)
{
	struct window window;
};

FIXTURE_VARIANT(calls)
{
	const struct window *kind;
	unsigned long rounds;
};

FIXTURE_VARIANT_ADD(calls, small) { .kind = &small_window, .rounds = 500 };
FIXTURE_VARIANT_ADD(calls, huge) { .kind = &huge_window, .rounds = 100 };

/* room for about a third of what random_calls() would like */
#define LIMIT_GRANULES	64

FIXTURE_SETUP(calls)
{
	NEED_DEVICE();
	ASSERT_EQ(window_open(&self->window, variant->kind, WINDOW,
			      LIMIT_GRANULES * variant->kind->granule), 0);
}

FIXTURE_TEARDOWN(calls)
{
	window_close(&self->window);
}

#define SLOTS		32
#define MOST_GRANULES	12

/*
 * Offsets of regions. A live region is in a slot, or the thread that made it is about
 * to put it there, or the thread that took it out is about to free it; but what is in
 * a slot may have been freed, and its place may be another region's by now.
 */
static __u64 slots[SLOTS];

struct caller {
	pthread_t thread;
	struct window *window;
	unsigned long rounds;
	unsigned int seed;
	unsigned long done;
	const char *call;
	int err;
};

static int free_for_sure(struct window *window, __u64 offset)
{
	int err;

	do {
		err = region_free(window, offset);
	} while (err == -EBUSY);
	return err == -ENOENT ? 0 : err;
}

static __u64 slot_swap(unsigned int slot, __u64 offset)
{
	return __atomic_exchange_n(&slots[slot], offset, __ATOMIC_SEQ_CST);
}

static bool one_of(int err, const int *allowed)
{
	while (*allowed && *allowed != -err)
		allowed++;
	return err == 0 || *allowed;
}

static void *random_calls(void *arg)
{
	static const int of_alloc[] = { ENOSPC, EDQUOT, ENOMEM, 0 };
	static const int of_realloc[] = { ENOSPC, EDQUOT, ENOMEM, ENOENT, EBUSY, 0 };
	static const int of_free[] = { ENOENT, EBUSY, 0 };
	struct caller *caller = arg;
	struct window *window = caller->window;
	unsigned int random, slot, flags;
	__u64 offset, size;
	unsigned long i;
	int err = 0;

	for (i = 0; i < caller->rounds; i++) {
		random = rand_r(&caller->seed);
		slot = random / 16 % SLOTS;
		size = (1 + random / 1024 % MOST_GRANULES) * window->granule;
		flags = random & 8 ? EXPERTMEM_ALLOC_POPULATE : 0;
		offset = __atomic_load_n(&slots[slot], __ATOMIC_SEQ_CST);
		switch (random % 8) {
		case 0: case 1: case 2:
			caller->call = "ALLOC";
			err = region_alloc_flags(window, flags, size,
						 random & 0x100 ? 2 * size : 0, &offset);
			if (!one_of(err, of_alloc))
				return NULL;
			if (err)
				break;
			poke((__u64 *)at(window, offset), random);
			offset = slot_swap(slot, offset);
			caller->call = "FREE of the replaced";
			err = offset ? free_for_sure(window, offset) : 0;
			if (err)
				return NULL;
			break;
		case 3: case 4:
			caller->call = "REALLOC";
			err = region_realloc_flags(window, flags, offset, size);
			if (!one_of(err, of_realloc))
				return NULL;
			break;
		case 5:
			/* and it stays in its slot */
			caller->call = "FREE of anybody's";
			err = region_free(window, offset);
			if (!one_of(err, of_free))
				return NULL;
			break;
		case 6:
			caller->call = "FREE of what is none";
			err = region_free(window, window->offset + 1 + size);
			if (err != -ENOENT)
				return NULL;
			break;
		case 7:
			if (offset)
				poke((__u64 *)at(window, offset + size - PAGE), random);
			offset = slot_swap(slot, 0);
			caller->call = "FREE";
			err = offset ? free_for_sure(window, offset) : 0;
			if (err)
				return NULL;
			break;
		}
		caller->err = err;
		caller->done++;
	}
	return NULL;
}

TEST_F(calls, at_random_leave_the_books_right)
{
	struct window *window = &self->window;
	struct expertmem_stat stat, less;
	struct caller callers[4];
	__u64 value, pages;
	int i;

	memset(slots, 0, sizeof(slots));
	faults_catch();
	for (i = 0; i < 4; i++) {
		callers[i] = (struct caller) {
			.window = window, .seed = i,
			/* enough to reach the limit, with any factor */
			.rounds = 100 + rounds(variant->rounds),
		};
		ASSERT_EQ(pthread_create(&callers[i].thread, NULL, random_calls,
					 &callers[i]), 0);
	}
	for (i = 0; i < 4; i++) {
		ASSERT_EQ(pthread_join(callers[i].thread, NULL), 0);
		EXPECT_EQ(callers[i].done, callers[i].rounds)
			TH_LOG("%s said %s", callers[i].call, strerror(-callers[i].err));
	}

	stat = expert_stat(window->fd);
	EXPECT_LE(stat.peak, stat.limit);
	EXPECT_GT(stat.refused, 0);
	EXPECT_GT(stat.regions, 0);
	/* each region counts for as much as can be touched of it */
	for (i = 0; i < SLOTS; i++) {
		for (pages = 0; slots[i]; pages++)
			if (peek((__u64 *)at(window, slots[i] + pages * window->granule),
				 &value))
				break;
		if (region_free(window, slots[i]))
			continue;
		less = expert_stat(window->fd);
		EXPECT_EQ(less.regions, stat.regions - 1);
		EXPECT_EQ(less.committed, stat.committed - pages * window->granule);
		stat = less;
	}
	check_empty(_metadata, window->fd);
}

/* A second thread that does the same call at the same moment, again and again. */
struct twin {
	pthread_t thread;
	int (*call)(struct twin *twin);
	struct window window;
	__u64 offset;
	unsigned long begun;
	unsigned long ended;
	int err;
};

static void wait_for(const unsigned long *count, unsigned long value)
{
	while (__atomic_load_n(count, __ATOMIC_ACQUIRE) < value)
		sched_yield();
}

static void *twin_loop(void *arg)
{
	struct twin *twin = arg;
	unsigned long i;

	for (i = 1; twin->call; i++) {
		wait_for(&twin->begun, i);
		if (twin->call)
			twin->err = twin->call(twin);
		__atomic_store_n(&twin->ended, i, __ATOMIC_RELEASE);
	}
	return NULL;
}

static void twin_start(struct __test_metadata *_metadata, struct twin *twin,
		       int (*call)(struct twin *twin))
{
	twin->call = call;
	twin->begun = 0;
	twin->ended = 0;
	ASSERT_EQ(pthread_create(&twin->thread, NULL, twin_loop, twin), 0);
}

/* Both call; what this one got is returned, what the twin got is in @twin. */
static int twin_call(struct twin *twin)
{
	struct twin mine = *twin;
	int err;

	__atomic_store_n(&twin->begun, twin->begun + 1, __ATOMIC_RELEASE);
	err = twin->call(&mine);
	wait_for(&twin->ended, twin->begun);
	if (!err)
		twin->window = mine.window;
	return err;
}

static void twin_stop(struct __test_metadata *_metadata, struct twin *twin)
{
	twin->call = NULL;
	__atomic_store_n(&twin->begun, twin->begun + 1, __ATOMIC_RELEASE);
	ASSERT_EQ(pthread_join(twin->thread, NULL), 0);
}

static int twin_free(struct twin *twin)
{
	return region_free(&twin->window, twin->offset);
}

TEST_F(calls, that_free_one_region_succeed_once)
{
	unsigned long i, n = rounds(variant->rounds), busy = 0, first = 0;
	struct twin twin = { .window = self->window };
	int mine, other;

	twin_start(_metadata, &twin, twin_free);
	for (i = 0; i < n; i++) {
		ASSERT_EQ(region_alloc(&self->window, PAGE, &twin.offset), 0);
		*at(&self->window, twin.offset) = 1;
		mine = twin_call(&twin);
		ASSERT_TRUE(!mine != !twin.err);
		first += !mine;
		other = mine ? mine : twin.err;
		ASSERT_TRUE(other == -ENOENT || other == -EBUSY);
		busy += other == -EBUSY;
	}
	twin_stop(_metadata, &twin);
	TH_LOG("%lu of %lu were busy; one thread won %lu", busy, n, first);
	check_empty(_metadata, self->window.fd);
}

static int twin_map(struct twin *twin)
{
	return window_map(&twin->window, &small_window, twin->window.fd, MIB);
}

TEST_F(calls, that_map_one_window_succeed_once)
{
	unsigned long i, n = rounds(variant->rounds / 4);
	struct twin twin = { };
	struct expertmem_stat stat;
	int mine, other;

	twin_start(_metadata, &twin, twin_map);
	for (i = 0; i < n; i++) {
		twin.window.fd = expert_open();
		ASSERT_GE(twin.window.fd, 0);
		mine = twin_call(&twin);
		other = mine ? mine : twin.err;
		ASSERT_TRUE(!mine != !twin.err);
		ASSERT_EQ(other, -EBUSY);
		stat = expert_stat(twin.window.fd);
		ASSERT_EQ(stat.state, EXPERTMEM_STATE_RUNNING);
		ASSERT_EQ(munmap(twin.window.addr, MIB), 0);
		stat = expert_stat(twin.window.fd);
		ASSERT_EQ(stat.state, EXPERTMEM_STATE_RECLAIMED);
		close(twin.window.fd);
	}
	twin_stop(_metadata, &twin);
}

static void *alloc_until_refused(void *arg)
{
	struct caller *caller = arg;
	__u64 offset;

	for (caller->done = 0;; caller->done++) {
		caller->err = region_alloc(caller->window, PAGE, &offset);
		if (caller->err)
			return NULL;
		*at(caller->window, offset) = 1;
		if (!caller->done)
			__atomic_store_n(&slots[0], offset, __ATOMIC_SEQ_CST);
	}
}

TEST_F(calls, to_alloc_end_with_terminate)
{
	unsigned long i, n = rounds(variant->rounds / 20);
	struct expertmem_stat stat;
	struct caller caller;
	struct window window;
	__u64 offset;

	for (i = 0; i < n; i++) {
		ASSERT_EQ(window_open(&window, variant->kind, WINDOW, 0), 0);
		caller.window = &window;
		slots[0] = 0;
		ASSERT_EQ(pthread_create(&caller.thread, NULL, alloc_until_refused,
					 &caller), 0);
		while (!__atomic_load_n(&slots[0], __ATOMIC_SEQ_CST))
			sched_yield();
		ASSERT_EQ(expert_terminate(window.fd), 0);
		ASSERT_EQ(region_alloc(&window, PAGE, &offset), -ECANCELED);
		ASSERT_EQ(pthread_join(caller.thread, NULL), 0);
		ASSERT_EQ(caller.err, -ECANCELED);
		stat = expert_stat(window.fd);
		EXPECT_EQ(stat.state, EXPERTMEM_STATE_TERMINATING);
		EXPECT_EQ(stat.regions, caller.done);
		EXPECT_EQ(stat.committed, caller.done * window.granule);
		EXPECT_EQ(*at(&window, slots[0]), 1);
		ASSERT_EQ(region_free(&window, slots[0]), 0);
		window_close(&window);
	}
}

TEST_HARNESS_MAIN
