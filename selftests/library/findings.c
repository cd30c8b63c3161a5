// SPDX-License-Identifier: GPL-2.0
/*
 * libexpertmem: which listener hears of a bad call, when, and with which numbers. safety.c
 * tests which finding each kind of bad pointer causes. Every test runs on both backends.
 *
 * needs: module native
 * also: asan tsan arm64 fast
 */
#include <pthread.h>

#include "heap_test.h"

static struct crowd crowd;
static struct heard heard, others;

TEST_F(expert, nothing_is_heard_of_good_calls)
{
	struct expertmem_heap_stats stats;

	ASSERT_EQ(EXPERTMEM_OK, expertmem_listen(self->key, hear, &heard));
	ASSERT_TRUE(crowd_make(&crowd, self->key));
	EXPECT_TRUE(crowd_is_well(&crowd));
	EXPECT_EQ(NMERR_SUCCESS, ExpertFreeMemory(self->key, NULL));
	EXPECT_TRUE(says(alloc(self->key, too_large), NMERR_OUT_OF_MEMORY));
	EXPECT_TRUE(says(resize(self->key, crowd.blocks[5].at, too_large),
			 NMERR_OUT_OF_MEMORY));
	EXPECT_EQ(EXPERTMEM_OK, expertmem_heap_stats(self->key, &stats));
	EXPECT_EQ(EXPERTMEM_OK, expertmem_trim(self->key, NULL));
	EXPECT_EQ(EXPERTMEM_OK, expertmem_terminate(self->key));
	EXPECT_EQ(NMERR_EXPERT_TERMINATE, ExpertFreeMemory(self->key, crowd.blocks[5].at));
	EXPECT_EQ(EXPERTMEM_OK, expertmem_close(self->key));
	EXPECT_EQ(0, heard.count);
	self->key = NULL;
}

TEST_F(expert, an_expert_without_memory_has_a_listener_too)
{
	ASSERT_EQ(EXPERTMEM_OK, expertmem_listen(self->key, hear, &heard));
	EXPECT_TRUE(is_bad(self->key, &heard, &heard, NMERR_INVALID_PARAMETER, 64));
	EXPECT_EQ(0, stats_of(self->key).live_blocks);
}

TEST_F(expert, the_last_listener_is_the_one)
{
	unsigned char *p = get(self->key, 100);

	ASSERT_EQ(EXPERTMEM_OK, expertmem_listen(self->key, hear, &heard));
	ASSERT_EQ(EXPERTMEM_OK, expertmem_listen(self->key, hear, &others));
	EXPECT_EQ(NMERR_INVALID_PARAMETER, ExpertFreeMemory(self->key, p + 1));
	EXPECT_EQ(0, heard.count);
	EXPECT_TRUE(heard_bad(&others, self->key, EXPERTMEM_BAD_FREE,
			      NMERR_INVALID_PARAMETER, p + 1));
	ASSERT_EQ(EXPERTMEM_OK, expertmem_listen(self->key, NULL, NULL));
	EXPECT_EQ(NMERR_INVALID_PARAMETER, refused(self->key, p + 1));
	EXPECT_EQ(0, heard.count + others.count);
	EXPECT_EQ(NMERR_SUCCESS, ExpertFreeMemory(self->key, p));
}

/* Whose key is given hears of it, not whose block it is. */
TEST_F(expert, each_expert_has_its_own_listener)
{
	HEXPERTKEY other = open_expert(variant->backend, 0, 0);
	unsigned char *p = get(other, 100);

	ASSERT_NE(NULL, p);
	ASSERT_EQ(EXPERTMEM_OK, expertmem_listen(self->key, hear, &heard));
	EXPECT_EQ(NMERR_INVALID_PARAMETER, ExpertFreeMemory(other, p + 1));
	EXPECT_EQ(0, heard.count);
	ASSERT_EQ(EXPERTMEM_OK, expertmem_listen(other, hear, &others));
	EXPECT_TRUE(is_bad(self->key, &heard, p, NMERR_ACCESS_DENIED, 64));
	EXPECT_EQ(0, others.count);
	EXPECT_TRUE(is_bad(other, &others, p + 1, NMERR_INVALID_PARAMETER, 64));
	EXPECT_EQ(0, heard.count);
	EXPECT_EQ(NMERR_SUCCESS, ExpertFreeMemory(other, p));
	EXPECT_EQ(EXPERTMEM_OK, expertmem_close(other));
}

TEST_F(expert, of_a_closed_key_nothing_is_heard)
{
	HEXPERTKEY key = open_expert(variant->backend, 0, 0), next;
	unsigned char *p = get(key, 100);

	ASSERT_EQ(EXPERTMEM_OK, expertmem_listen(key, hear, &heard));
	ASSERT_EQ(EXPERTMEM_OK, expertmem_close(key));
	EXPECT_EQ(EXPERTMEM_E_KEY, expertmem_listen(key, hear, &heard));
	EXPECT_EQ(EXPERTMEM_E_KEY, expertmem_listen(NULL, hear, &heard));
	EXPECT_EQ(NMERR_INVALID_EXPERT_HANDLE, refused(key, p));
	/* nor does who has its place inherit its listener */
	next = open_expert(variant->backend, 0, 0);
	EXPECT_EQ(NMERR_INVALID_PARAMETER, refused(next, p));
	EXPECT_EQ(0, heard.count);
	EXPECT_EQ(EXPERTMEM_OK, expertmem_close(next));
}

TEST_F(expert, a_terminating_experts_bad_free_is_heard)
{
	unsigned char *p = get(self->key, 100);

	ASSERT_EQ(EXPERTMEM_OK, expertmem_listen(self->key, hear, &heard));
	ASSERT_EQ(EXPERTMEM_OK, expertmem_terminate(self->key));
	EXPECT_EQ(NMERR_INVALID_PARAMETER, ExpertFreeMemory(self->key, p + 1));
	EXPECT_TRUE(heard_bad(&heard, self->key, EXPERTMEM_BAD_FREE, NMERR_INVALID_PARAMETER,
			      p + 1));
	EXPECT_EQ(NMERR_EXPERT_TERMINATE, ExpertFreeMemory(self->key, p));
	EXPECT_EQ(0, heard.count);
}

/* ----------------------------------------------------------- what a listener may do */

static unsigned int depth, deepest, mistakes;

/* Does all that an expert does, and even makes the same mistake. */
static void busy(const struct expertmem_finding *finding, void *arg)
{
	HEXPERTKEY key = finding->key;
	struct visited none = { };
	struct block blocks[2];
	size_t i;

	if (++depth > deepest)
		deepest = depth;
	for (i = 0; i < COUNT_OF(blocks); i++) {
		blocks[i] = (struct block){ get(key, 100), 100, i };
		fill(&blocks[i]);
		blocks[i].at = resize(key, blocks[i].at, 100000 * i + 50).block;
		blocks[i].size = 50;
		mistakes += !filled(&blocks[i], 50);
	}
	mistakes += expertmem_walk(key, visit, &none) != -1;
	mistakes += expertmem_trim(key, NULL) != EXPERTMEM_OK;
	mistakes += stats_of(key).live_blocks != 1 + 2 * depth;
	if (depth < 3)
		mistakes += ExpertFreeMemory(key, arg) != NMERR_INVALID_PARAMETER;
	else
		mistakes += expertmem_listen(key, hear, &heard) != EXPERTMEM_OK;
	for (i = 0; i < COUNT_OF(blocks); i++)
		mistakes += ExpertFreeMemory(key, blocks[i].at) != NMERR_SUCCESS;
	depth--;
}

TEST_F(expert, a_listener_may_make_calls_itself)
{
	struct block block = { get(self->key, 1000), 1000, 1 };

	ASSERT_NE(NULL, block.at);
	fill(&block);
	ASSERT_EQ(EXPERTMEM_OK, expertmem_listen(self->key, busy, block.at + 16));
	EXPECT_EQ(NMERR_INVALID_PARAMETER, ExpertFreeMemory(self->key, block.at + 16));
	EXPECT_EQ(3, deepest);
	EXPECT_EQ(0, depth);
	EXPECT_EQ(0, mistakes);
	EXPECT_TRUE(is_bad(self->key, &heard, block.at + 16, NMERR_INVALID_PARAMETER, 64));
	EXPECT_TRUE(intact(self->key, &block));
	EXPECT_TRUE(are_all(self->key, &block, 1));
}

/* ------------------------------------------------------------------------- threads */

#define THREADS	4
#define BAD	2000

struct ear {
	unsigned long count, others;
	HEXPERTKEY key;
	bool stop;
};

/* Counts for the thread that it is called in, which it finds as the pointer. */
static void hear_in_thread(const struct expertmem_finding *finding, void *arg)
{
	struct ear *ear = arg;

	if (*(const pid_t *)finding->pointer == gettid())
		__atomic_add_fetch(&ear->count, 1, __ATOMIC_RELAXED);
}

static void *find_badly(void *arg)
{
	struct ear *ear = arg;
	pid_t here[2] = { gettid(), gettid() };
	uintptr_t wrong = 0;
	int i;

	for (i = 0; i < BAD; i++) {
		void *p = get(ear->key, i % 5000);

		wrong += ExpertFreeMemory(ear->key, &here[i % 2]) != NMERR_INVALID_PARAMETER;
		wrong += ExpertFreeMemory(ear->key, p) != NMERR_SUCCESS;
	}
	return (void *)wrong;
}

TEST_F(expert, each_thread_hears_of_its_own_calls)
{
	struct ear ear = { .key = self->key };
	pthread_t threads[THREADS];
	void *wrong;
	int i;

	ASSERT_EQ(EXPERTMEM_OK, expertmem_listen(self->key, hear_in_thread, &ear));
	for (i = 0; i < THREADS; i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, find_badly, &ear));
	for (i = 0; i < THREADS; i++) {
		ASSERT_EQ(0, pthread_join(threads[i], &wrong));
		EXPECT_EQ(NULL, wrong);
	}
	EXPECT_EQ(THREADS * BAD, ear.count);
	EXPECT_EQ(0, stats_of(self->key).live_blocks);
}

static struct ear left, right;

static void hear_left(const struct expertmem_finding *finding, void *arg)
{
	__atomic_add_fetch(arg == &left ? &left.count : &left.others, 1, __ATOMIC_RELAXED);
}

static void hear_right(const struct expertmem_finding *finding, void *arg)
{
	__atomic_add_fetch(arg == &right ? &right.count : &right.others, 1, __ATOMIC_RELAXED);
}

static void *replace(void *arg)
{
	struct ear *ear = arg;
	uintptr_t wrong = 0;

	while (!__atomic_load_n(&ear->stop, __ATOMIC_RELAXED)) {
		wrong += expertmem_listen(ear->key, hear_left, &left) != EXPERTMEM_OK;
		sched_yield();
		wrong += expertmem_listen(ear->key, hear_right, &right) != EXPERTMEM_OK;
		sched_yield();
	}
	return (void *)wrong;
}

TEST_F(expert, a_listener_never_hears_with_anothers_argument)
{
	struct ear ear = { .key = self->key };
	pthread_t threads[THREADS], replacer;
	void *wrong;
	int i;

	ASSERT_EQ(EXPERTMEM_OK, expertmem_listen(self->key, hear_left, &left));
	ASSERT_EQ(0, pthread_create(&replacer, NULL, replace, &ear));
	for (i = 0; i < THREADS; i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, find_badly, &ear));
	for (i = 0; i < THREADS; i++) {
		ASSERT_EQ(0, pthread_join(threads[i], &wrong));
		EXPECT_EQ(NULL, wrong);
	}
	__atomic_store_n(&ear.stop, true, __ATOMIC_RELAXED);
	ASSERT_EQ(0, pthread_join(replacer, &wrong));
	EXPECT_EQ(NULL, wrong);
	EXPECT_EQ(THREADS * BAD, left.count + right.count);
	EXPECT_EQ(0, left.others + right.others);
}

TEST_HARNESS_MAIN
