// SPDX-License-Identifier: GPL-2.0
/*
 * libexpertmem: threads that start and end while others allocate. A thread ends normally, or
 * by a raw exit system call that runs no destructor. The blocks of an ended thread stay valid,
 * and other threads can free them. Every test runs on both backends.
 *
 * needs: module native
 * also: long asan tsan watched arm64
 */
#include <pthread.h>
#include <sys/syscall.h>

#include "heap_test.h"

/* What memory may remain in use when nothing is: much less than the tests use. */
#define REMAINS		(4 * MIB)

static uint64_t committed_after_trim(HEXPERTKEY key)
{
	return expertmem_trim(key, NULL) ? POISON64 : stats_of(key).committed;
}

/* ------------------------------------------------------------------ one after another */

#define LEFT	24

/* What each thread finds, frees, and leaves anew. */
struct estate {
	HEXPERTKEY key;
	struct block blocks[LEFT];
	uint64_t random;
};

static void *inherit(void *arg)
{
	struct estate *estate = arg;
	uintptr_t wrong = 0;
	size_t i;

	for (i = 0; i < LEFT; i++) {
		struct block *block = &estate->blocks[i];
		size_t size = random_next(&estate->random) % (i ? 2000 : 70000);

		wrong += block->at && (!intact(estate->key, block) ||
				       ExpertFreeMemory(estate->key, block->at) != NMERR_SUCCESS);
		*block = (struct block){ get(estate->key, size), size, size };
		if (block->at)
			fill(block);
		else
			wrong++;
	}
	return (void *)wrong;
}

TEST_F(expert, of_10000_threads_in_sequence_nothing_piles_up)
{
	struct estate estate = { .key = self->key, .random = 10000 };
	unsigned long i, count = rounds(10000);
	uint64_t early = 0, most = 0;
	pthread_t thread;
	void *wrong;

	for (i = 0; i < count; i++) {
		ASSERT_EQ(0, pthread_create(&thread, NULL, inherit, &estate));
		ASSERT_EQ(0, pthread_join(thread, &wrong));
		ASSERT_EQ(NULL, wrong);
		if (stats_of(self->key).committed > most)
			most = stats_of(self->key).committed;
		if (i == count / 20)
			early = most;
	}
	EXPECT_GE(early + 2 * REMAINS, most);
	EXPECT_TRUE(are_all(self->key, estate.blocks, LEFT));
	for (i = 0; i < LEFT; i++)
		EXPECT_EQ(NMERR_SUCCESS, ExpertFreeMemory(self->key, estate.blocks[i].at));
	EXPECT_TRUE(are_all(self->key, estate.blocks, 0));
	EXPECT_GE(REMAINS, committed_after_trim(self->key));
}

/* --------------------------------------------------------------------- many at once */

#define CROWDED	500
#define EACH	40

struct crowded {
	HEXPERTKEY key;
	pthread_barrier_t *all;
	struct block blocks[EACH];
	pthread_t thread;
	bool clean, raw;
};

static void *be_crowded(void *arg)
{
	struct crowded *one = arg;
	size_t i;

	for (i = 0; i < EACH; i++) {
		size_t size = ((uintptr_t)one / 64 + i * 97) % (i ? 1500 : 20000);

		one->blocks[i] = (struct block){ get(one->key, size), size, i };
		if (!one->blocks[i].at)
			return one;
		fill(&one->blocks[i]);
	}
	if (one->all)
		pthread_barrier_wait(one->all);
	for (i = 0; one->clean && i < EACH; i++)
		if (!intact(one->key, &one->blocks[i]) ||
		    ExpertFreeMemory(one->key, one->blocks[i].at) != NMERR_SUCCESS)
			return one;
	/* no destructor, no cleanup: what a thread in trouble does */
	if (one->raw)
		syscall(SYS_exit, 0);
	return NULL;
}

static bool start(struct crowded *one, HEXPERTKEY key)
{
	pthread_attr_t attr;
	int err;

	one->key = key;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 256 * KIB);
	err = pthread_create(&one->thread, &attr, be_crowded, one);
	pthread_attr_destroy(&attr);
	return !err;
}

/* Free what those left that were not clean. */
static bool clean_up(struct crowded *crowded, size_t count)
{
	size_t i, j;

	for (i = 0; i < count; i++)
		for (j = 0; !crowded[i].clean && j < EACH; j++)
			if (!intact(crowded[i].key, &crowded[i].blocks[j]) ||
			    ExpertFreeMemory(crowded[i].key, crowded[i].blocks[j].at))
				return false;
	return true;
}

TEST_F(expert, of_500_threads_at_once_nothing_remains)
{
	static struct crowded crowded[CROWDED];
	pthread_barrier_t all;
	size_t i, round;
	void *wrong;

	for (round = 0; round < 4; round++) {
		ASSERT_EQ(0, pthread_barrier_init(&all, NULL, CROWDED));
		for (i = 0; i < CROWDED; i++) {
			crowded[i].all = &all;
			crowded[i].clean = i % 2;
			ASSERT_TRUE(start(&crowded[i], self->key));
		}
		for (i = 0; i < CROWDED; i++) {
			ASSERT_EQ(0, pthread_join(crowded[i].thread, &wrong));
			EXPECT_EQ(NULL, wrong);
		}
		EXPECT_EQ(CROWDED / 2 * EACH, stats_of(self->key).live_blocks);
		ASSERT_TRUE(clean_up(crowded, CROWDED));
		EXPECT_EQ(0, stats_of(self->key).live_blocks);
		EXPECT_EQ(0, stats_of(self->key).live_bytes);
		/* once the next 500 find what the last 500 had */
		if (round % 2)
			EXPECT_GE(REMAINS, committed_after_trim(self->key));
	}
}

/* Sanitizers do not bear threads that end without telling them. */
#if !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
TEST_F(expert, a_thread_that_just_stops_leaves_nothing_behind)
{
	static struct crowded crowded[8];
	size_t i, round;

	for (round = 0; round < 200; round++) {
		for (i = 0; i < COUNT_OF(crowded); i++) {
			crowded[i].raw = true;
			crowded[i].clean = i % 2;
			ASSERT_TRUE(start(&crowded[i], self->key));
		}
		for (i = 0; i < COUNT_OF(crowded); i++)
			ASSERT_EQ(0, pthread_join(crowded[i].thread, NULL));
		EXPECT_EQ(COUNT_OF(crowded) / 2 * EACH, stats_of(self->key).live_blocks);
		ASSERT_TRUE(clean_up(crowded, COUNT_OF(crowded)));
	}
	EXPECT_EQ(0, stats_of(self->key).live_blocks);
	EXPECT_EQ(0, stats_of(self->key).live_bytes);
	EXPECT_GE(4 * REMAINS, stats_of(self->key).peak);
	EXPECT_GE(REMAINS, committed_after_trim(self->key));
}
#endif

/* ------------------------------------------------------------------ blocks that travel */

#define QUEUE	512

struct belt {
	HEXPERTKEY key;
	struct block blocks[QUEUE];
	size_t made, taken, count;
	size_t size;			/* 0: any */
};

static void *produce(void *arg)
{
	struct belt *belt = arg;
	uint64_t random = 31;
	size_t i;

	for (i = 0; i < belt->count; i++) {
		struct block *block = &belt->blocks[i % QUEUE];
		size_t size = belt->size ? belt->size : 1 + random_next(&random) % 3000;

		while (i - __atomic_load_n(&belt->taken, __ATOMIC_ACQUIRE) >= QUEUE)
			sched_yield();
		*block = (struct block){ get(belt->key, size), size, i };
		if (!block->at)
			return belt;
		block->at[size / 2] = i;
		__atomic_store_n(&belt->made, i + 1, __ATOMIC_RELEASE);
	}
	return NULL;
}

static void *consume(void *arg)
{
	struct belt *belt = arg;
	uintptr_t wrong = 0;
	size_t i;

	for (i = 0; i < belt->count; i++) {
		struct block *block = &belt->blocks[i % QUEUE];

		while (i >= __atomic_load_n(&belt->made, __ATOMIC_ACQUIRE))
			sched_yield();
		if (!block->at)
			break;
		wrong += block->at[block->size / 2] != (unsigned char)i ||
			 ExpertMemorySize(belt->key, block->at) != block->size ||
			 ExpertFreeMemory(belt->key, block->at) != NMERR_SUCCESS;
		__atomic_store_n(&belt->taken, i + 1, __ATOMIC_RELEASE);
	}
	return (void *)wrong;
}

TEST_F(expert, what_others_free_comes_back_to_who_allocates)
{
	static const size_t kinds[] = { 64, 1000, 4096, 20000, 40000, 0 };
	pthread_t producer, consumer;
	static struct belt belt;
	void *wrong;
	size_t i;

	for (i = 0; i < COUNT_OF(kinds); i++) {
		HEXPERTKEY key = open_expert(variant->backend, 0, 0);

		belt = (struct belt){
			.key = key, .size = kinds[i],
			.count = rounds(kinds[i] > 10000 ? 10000 : 100000),
		};
		ASSERT_EQ(0, pthread_create(&producer, NULL, produce, &belt));
		ASSERT_EQ(0, pthread_create(&consumer, NULL, consume, &belt));
		ASSERT_EQ(0, pthread_join(producer, &wrong));
		EXPECT_EQ(NULL, wrong);
		ASSERT_EQ(0, pthread_join(consumer, &wrong));
		EXPECT_EQ(NULL, wrong);
		EXPECT_EQ(0, stats_of(key).live_blocks);
		EXPECT_EQ(0, stats_of(key).live_bytes);
		/* no more than the queue and what waits on its way back */
		EXPECT_GE(2 * REMAINS + 2 * QUEUE * (kinds[i] + PAGE),
			  stats_of(key).peak) {
			TH_LOG("blocks of %zu", kinds[i]);
		}
		EXPECT_GE(REMAINS, committed_after_trim(key));
		EXPECT_EQ(EXPERTMEM_OK, expertmem_close(key));
	}
}

TEST_HARNESS_MAIN
