// SPDX-License-Identifier: GPL-2.0
/*
 * libexpertmem: random calls are compared with a model, from one thread and from several, and
 * calls race for one block or expert. Every test runs on both backends.
 *
 * needs: module native
 * also: asan tsan arm64
 */
#include <pthread.h>

#include "library_test.h"

static struct crowd crowd;

/* ------------------------------------------------- random calls against a model */

#define SEED	20260731
#define MODEL	256

struct model {
	HEXPERTKEY key;
	uint64_t random;
	unsigned long steps;
	struct block blocks[MODEL];
	pthread_t thread;
};

static size_t random_size(uint64_t *random)
{
	switch (random_next(random) % 64) {
	case 0:
		return random_next(random) % (4 * MIB);
	case 1 ... 3:
		return random_next(random) % 300000;
	case 4 ... 15:
		return random_next(random) % 40000;
	case 16 ... 31:
		return random_next(random) % 17;
	default:
		return random_next(random) % 1500;
	}
}

static bool model_step(struct model *model)
{
	struct block *block = &model->blocks[random_next(&model->random) % MODEL];
	size_t size = random_size(&model->random);
	struct answer answer;
	size_t kept;

	if (block->at && !intact(model->key, block))
		return false;
	switch (random_next(&model->random) % 8) {
	case 0 ... 2:
		if (ExpertFreeMemory(model->key, block->at))
			return false;
		*block = (struct block){ };
		return true;
	case 3:
		return !block->at ||
		       (refused(model->key, block->at + 1) == NMERR_INVALID_PARAMETER &&
			says(resize(model->key, block->at, too_large), NMERR_OUT_OF_MEMORY) &&
			intact(model->key, block));
	default:
		answer = resize(model->key, block->at, size);
		if (!answer.block || answer.error)
			return false;
		block->at = answer.block;
		kept = block->size < size ? block->size : size;
		if (!filled(block, kept))
			return false;
		block->size = size;
		block->seed = random_next(&model->random);
		fill(block);
		return intact(model->key, block);
	}
}

/* The step at which the heap and the model part, 0 if they do not. */
static unsigned long model_run(struct model *model)
{
	unsigned long i;

	for (i = 1; i <= model->steps; i++)
		if (!model_step(model))
			return i;
	return 0;
}

static void *model_thread(void *arg)
{
	return (void *)model_run(arg);
}

/* The live blocks of some models, one behind the other. */
static size_t model_blocks(const struct model *models, size_t count, struct block *blocks)
{
	size_t i, live = 0;

	for (i = 0; i < count * MODEL; i++)
		if (models[i / MODEL].blocks[i % MODEL].at)
			blocks[live++] = models[i / MODEL].blocks[i % MODEL];
	return live;
}

TEST_F(expert, random_calls_do_what_a_model_does)
{
	static struct model model;
	struct block blocks[MODEL];
	unsigned long i;

	model.key = self->key;
	model.random = SEED;
	model.steps = 500;
	for (i = 0; i < 40; i++) {
		ASSERT_EQ(0, model_run(&model)) {
			TH_LOG("in round %lu of seed %u", i, SEED);
		}
		ASSERT_TRUE(are_all(self->key, blocks, model_blocks(&model, 1, blocks)));
	}
}

TEST_F(expert, threads_share_an_expert)
{
	static struct model models[4];
	static struct block blocks[COUNT_OF(models) * MODEL];
	void *failed;
	size_t i;

	for (i = 0; i < COUNT_OF(models); i++) {
		models[i].key = self->key;
		models[i].random = SEED + i;
		models[i].steps = 5000;
		ASSERT_EQ(0, pthread_create(&models[i].thread, NULL, model_thread, &models[i]));
	}
	for (i = 0; i < COUNT_OF(models); i++) {
		ASSERT_EQ(0, pthread_join(models[i].thread, &failed));
		EXPECT_EQ(NULL, failed) {
			TH_LOG("at this step of seed %zu", SEED + i);
		}
	}
	EXPECT_TRUE(are_all(self->key, blocks, model_blocks(models, COUNT_OF(models), blocks)));
}

TEST_F(expert, threads_with_an_expert_each_do_not_meet)
{
	static struct model models[4];
	struct block blocks[MODEL];
	void *failed;
	size_t i;

	for (i = 0; i < COUNT_OF(models); i++) {
		models[i].key = open_expert(variant->backend, 0, 0);
		models[i].random = SEED - i;
		models[i].steps = 2000;
		ASSERT_EQ(0, pthread_create(&models[i].thread, NULL, model_thread, &models[i]));
	}
	for (i = 0; i < COUNT_OF(models); i++) {
		ASSERT_EQ(0, pthread_join(models[i].thread, &failed));
		EXPECT_EQ(NULL, failed);
		EXPECT_TRUE(are_all(models[i].key, blocks,
				    model_blocks(&models[i], 1, blocks)));
		EXPECT_EQ(EXPERTMEM_OK, expertmem_close(models[i].key));
	}
}

/* Each thread frees the blocks that its neighbour makes. */
struct passer {
	HEXPERTKEY key;
	int in, out;
	uint64_t random;
	pthread_t thread;
};

#define PASSED	3000

static void *pass(void *arg)
{
	struct passer *passer = arg;
	struct block block;
	uintptr_t wrong = 0;
	int i;

	for (i = 0; i < PASSED; i++) {
		block.size = random_next(&passer->random) % (i % 16 ? 1000 : 100000);
		block.seed = random_next(&passer->random);
		block.at = get(passer->key, block.size);
		if (!block.at)
			return (void *)-1;
		fill(&block);
		if (write(passer->out, &block, sizeof(block)) != sizeof(block) ||
		    read(passer->in, &block, sizeof(block)) != sizeof(block))
			return (void *)-1;
		wrong += !intact(passer->key, &block);
		wrong += ExpertFreeMemory(passer->key, block.at) != NMERR_SUCCESS;
	}
	return (void *)wrong;
}

TEST_F(expert, a_block_may_be_freed_by_any_thread)
{
	static struct passer passers[4];
	int pipes[COUNT_OF(passers)][2];
	struct block none;
	void *wrong;
	size_t i;

	for (i = 0; i < COUNT_OF(passers); i++)
		ASSERT_EQ(0, pipe(pipes[i]));
	for (i = 0; i < COUNT_OF(passers); i++) {
		passers[i] = (struct passer){
			.key = self->key, .random = SEED + i, .in = pipes[i][0],
			.out = pipes[(i + 1) % COUNT_OF(passers)][1],
		};
		ASSERT_EQ(0, pthread_create(&passers[i].thread, NULL, pass, &passers[i]));
	}
	for (i = 0; i < COUNT_OF(passers); i++) {
		ASSERT_EQ(0, pthread_join(passers[i].thread, &wrong));
		EXPECT_EQ(NULL, wrong);
	}
	EXPECT_TRUE(are_all(self->key, &none, 0));
}

/* -------------------------------------------------------------------------- races */

#define ROUNDS	10000

struct race {
	HEXPERTKEY key;
	void *block;
	pthread_barrier_t barrier;
	size_t code;
	unsigned long wrong;
	bool stop;
};

static void *race_free(void *arg)
{
	struct race *race = arg;
	int i;

	for (i = 0; i < ROUNDS; i++) {
		pthread_barrier_wait(&race->barrier);
		race->code = ExpertFreeMemory(race->key, race->block);
		pthread_barrier_wait(&race->barrier);
	}
	return NULL;
}

TEST_F(expert, of_two_threads_that_free_a_block_one_wins)
{
	struct race race = { .key = self->key };
	unsigned long won = 0, lost = 0;
	pthread_t thread;
	size_t code;
	int i;

	ASSERT_EQ(0, pthread_barrier_init(&race.barrier, NULL, 2));
	ASSERT_EQ(0, pthread_create(&thread, NULL, race_free, &race));
	for (i = 0; i < ROUNDS; i++) {
		race.block = get(self->key, sizes[i % (i % 100 ? 10 : COUNT_OF(sizes))]);
		pthread_barrier_wait(&race.barrier);
		code = ExpertFreeMemory(self->key, race.block);
		pthread_barrier_wait(&race.barrier);
		won += (code == NMERR_SUCCESS) + (race.code == NMERR_SUCCESS);
		lost += (code == NMERR_INVALID_PARAMETER) +
			(race.code == NMERR_INVALID_PARAMETER);
	}
	ASSERT_EQ(0, pthread_join(thread, NULL));
	EXPECT_EQ(ROUNDS, won);
	EXPECT_EQ(ROUNDS, lost);
	EXPECT_EQ(0, stats_of(self->key).live_blocks);
	EXPECT_EQ(0, stats_of(self->key).live_bytes);
}

static void *race_stale(void *arg)
{
	struct race *race = arg;
	DWORD code;

	while (!__atomic_load_n(&race->stop, __ATOMIC_RELAXED)) {
		code = ExpertFreeMemory(race->key, race->block);
		if (code != NMERR_SUCCESS && code != NMERR_INVALID_PARAMETER)
			race->wrong++;
	}
	return NULL;
}

/* Live or not, it is this expert's: whoever looks at the wrong moment is not denied. */
TEST_F(expert, a_stale_pointer_is_never_taken_for_anothers)
{
	struct race race = { .key = self->key };
	pthread_t thread;
	DWORD code;
	int i;

	race.block = get(self->key, 64);
	ASSERT_NE(NULL, race.block);
	ASSERT_EQ(0, pthread_create(&thread, NULL, race_stale, &race));
	for (i = 0; i < 100000; i++) {
		void *p = get(self->key, 64);

		code = ExpertFreeMemory(self->key, p);
		if (!p || (code != NMERR_SUCCESS &&
			   (code != NMERR_INVALID_PARAMETER || p != race.block)))
			break;
	}
	__atomic_store_n(&race.stop, true, __ATOMIC_RELAXED);
	ASSERT_EQ(0, pthread_join(thread, NULL));
	EXPECT_EQ(100000, i);
	EXPECT_EQ(0, race.wrong);
}

/* Call until the key is closed; how many answers were none of those that may be. */
/* Ends the walk at the third block. */
static int third(void *block, size_t size, void *arg)
{
	return ++*(int *)arg == 3;
}

static void *race_close(void *arg)
{
	struct race *race = arg;
	struct expertmem_progress progress;
	struct expertmem_heap_stats stats;
	uintptr_t wrong = 0;
	struct answer answer;
	uint64_t i;

	for (i = 0; ; i++) {
		answer = alloc(race->key, i * 977 % 70000);
		if (says(answer, NMERR_INVALID_EXPERT_HANDLE))
			return (void *)wrong;
		wrong += !answer.block || answer.error;
		answer = resize(race->key, answer.block, i * 1009 % 70000);
		wrong += answer.error != NMERR_SUCCESS &&
			 answer.error != NMERR_INVALID_EXPERT_HANDLE;
		if (answer.block && i % 2) {
			DWORD code = ExpertFreeMemory(race->key, answer.block);

			wrong += code != NMERR_SUCCESS && code != NMERR_INVALID_EXPERT_HANDLE;
		}
		ExpertMemorySize(race->key, answer.block);
		ExpertIndicateStatus(race->key, EXPERTSTATUS_RUNNING, 0, "racing", 1);
		if (i % 8 == 0) {
			expertmem_heap_stats(race->key, &stats);
			expertmem_progress(race->key, &progress);
			expertmem_walk(race->key, third, &(int){ 0 });
		}
		__atomic_add_fetch(&race->code, 1, __ATOMIC_RELAXED);
	}
}

TEST_F(expert, an_expert_may_be_closed_while_threads_use_it)
{
	pthread_t threads[3];
	int round, i;
	void *wrong;

	for (round = 0; round < 50; round++) {
		struct race race = { .key = open_expert(variant->backend, 0, 0) };

		ASSERT_NE(NULL, race.key);
		for (i = 0; i < 3; i++)
			ASSERT_EQ(0, pthread_create(&threads[i], NULL, race_close, &race));
		while (__atomic_load_n(&race.code, __ATOMIC_RELAXED) < (size_t)round)
			sched_yield();
		EXPECT_EQ(EXPERTMEM_OK, expertmem_close(race.key));
		for (i = 0; i < 3; i++) {
			ASSERT_EQ(0, pthread_join(threads[i], &wrong));
			EXPECT_EQ(NULL, wrong);
		}
		/* who comes after them is not disturbed */
		if (round % 10 == 0) {
			race.key = open_expert(variant->backend, 0, 0);
			ASSERT_TRUE(crowd_make(&crowd, race.key));
			EXPECT_TRUE(crowd_is_well(&crowd));
			EXPECT_EQ(EXPERTMEM_OK, expertmem_close(race.key));
		}
	}
}

TEST_HARNESS_MAIN
