// SPDX-License-Identifier: GPL-2.0
/*
 * libexpertmem: two threads free or resize one block at the same time, and exactly one of them
 * succeeds. Then threads whose expert is terminated or closed by another thread get the
 * documented error. Every test runs on both backends.
 *
 * needs: module native
 * also: long asan tsan watched arm64
 */
#include <pthread.h>

#include "heap_test.h"

/* All parties leave it at nearly the same instruction. */
struct meeting {
	unsigned int parties, arrived;
};

/* @turn: how many arrivals the caller has waited for; 0 at first */
static void meet(struct meeting *meeting, unsigned int *turn)
{
	unsigned int spins = 0;

	*turn += meeting->parties;
	__atomic_add_fetch(&meeting->arrived, 1, __ATOMIC_ACQ_REL);
	while ((int)(__atomic_load_n(&meeting->arrived, __ATOMIC_ACQUIRE) - *turn) < 0)
		if (++spins % 256 == 0)
			sched_yield();
}

/* ----------------------------------------------------- two threads, one block */

enum call { FREE, GROW, SHRINK, SAME, SIZE, CALLS };

/* What a racer did, and what it was told. */
struct racer {
	struct race *race;
	enum call call;
	struct answer answer;
	size_t size;
	pthread_t thread;
};

struct race {
	HEXPERTKEY key;
	struct block block;
	struct meeting meeting;
	struct racer racers[2];
	unsigned long rounds;
};

static size_t size_after(enum call call, size_t size)
{
	return call == GROW ? 3 * size + 100 : call == SHRINK ? size / 5 : size;
}

static void compete(struct racer *racer)
{
	struct race *race = racer->race;
	unsigned char *p = race->block.at;
	size_t size = race->block.size;

	racer->answer = (struct answer){ };
	switch (racer->call) {
	case FREE:
		racer->answer.error = ExpertFreeMemory(race->key, p);
		break;
	case SIZE:
		racer->size = ExpertMemorySize(race->key, p);
		break;
	default:
		racer->answer = resize(race->key, p, size_after(racer->call, size));
	}
}

static void *race_thread(void *arg)
{
	struct racer *racer = arg;
	unsigned int turn = 0;
	unsigned long i;

	for (i = 0; i < racer->race->rounds; i++) {
		meet(&racer->race->meeting, &turn);
		compete(racer);
		meet(&racer->race->meeting, &turn);
	}
	return NULL;
}

/* The size that the block may have had when somebody looked; 0: it was gone. */
static bool plausible(const struct race *race, const struct racer *looked,
		      const struct racer *other)
{
	size_t size = race->block.size;

	return looked->size == size || looked->size == 0 ||
	       looked->size == size_after(other->call, size);
}

static bool refused_it(const struct racer *racer)
{
	return !racer->answer.block && racer->answer.error == NMERR_INVALID_PARAMETER;
}

/*
 * Is there an order of the two calls in which they answer this? @left: the address of
 * the block that remains, or NULL.
 */
static bool serial(const struct race *race, const struct racer *first,
		   const struct racer *second, unsigned char **left)
{
	unsigned char *at = race->block.at;
	const struct racer *racer = first;

	for (;;) {
		if (racer->call == SIZE) {
			if (!plausible(race, racer, racer == first ? second : first))
				return false;
		} else if (at != race->block.at) {
			/* freed, or moved: no block for the second */
			if (!refused_it(racer))
				return false;
		} else if (racer->answer.error != NMERR_SUCCESS) {
			return false;
		} else {
			at = racer->answer.block;
			if ((racer->call == FREE) != !at)
				return false;
		}
		if (racer == second)
			break;
		racer = second;
	}
	*left = at;
	return true;
}

/* Did exactly one win, and is what remains as it should be? Frees it. */
static bool settled(struct race *race)
{
	const struct racer *one = &race->racers[0], *other = &race->racers[1];
	struct block *block = &race->block;
	size_t size, kept;
	unsigned char *at;

	if (!serial(race, one, other, &at) && !serial(race, other, one, &at))
		return false;
	if (!at)
		return stats_of(race->key).live_blocks == 0;
	size = ExpertMemorySize(race->key, at);
	kept = size < block->size ? size : block->size;
	if (kept > size_after(SHRINK, block->size))
		kept = size_after(SHRINK, block->size);
	block->at = at;
	return filled(block, kept) && stats_of(race->key).live_blocks == 1 &&
	       stats_of(race->key).live_bytes == size &&
	       ExpertFreeMemory(race->key, at) == NMERR_SUCCESS;
}

static void say(const struct race *race, size_t size)
{
	static const char *const names[] = { "free", "grow", "shrink", "same", "size" };
	struct expertmem_heap_stats stats = stats_of(race->key);
	size_t i;

	fprintf(stderr, "# %p of %zu; %llu blocks, %llu bytes live;", race->block.at, size,
		(unsigned long long)stats.live_blocks, (unsigned long long)stats.live_bytes);
	for (i = 0; i < 2; i++)
		fprintf(stderr, " %s: %p, %u, %zu;", names[race->racers[i].call],
			race->racers[i].answer.block, race->racers[i].answer.error,
			race->racers[i].size);
	fprintf(stderr, "\n");
}

/*
 * All pairs of calls, blocks of all kinds. With @owner, who made the block is one of the
 * two. The round that was not settled, or 0.
 */
static unsigned long race_all(struct race *race, bool owner)
{
	static const size_t kinds[] = { 1, 16, 50, 100, 300, 1000, 3000, 4096, 9000, 32768,
					40000, 300000 };
	unsigned int turn = 0, threads = owner ? 1 : 2, i;
	unsigned long round, wrong = 0;
	uint64_t random = 9 + owner;

	race->rounds = rounds(20000);
	race->meeting.parties = 1 + threads;
	for (i = 0; i < 2; i++)
		race->racers[i].race = race;
	for (i = 0; i < threads; i++)
		if (pthread_create(&race->racers[i].thread, NULL, race_thread,
				   &race->racers[i]))
			return ~0UL;
	for (round = 1; round <= race->rounds; round++) {
		size_t size = kinds[random_next(&random) % COUNT_OF(kinds)];

		/* half of the time, both free */
		for (i = 0; i < 2; i++)
			race->racers[i].call = round % 2 ? FREE : random_next(&random) % CALLS;
		race->block = (struct block){ get(race->key, size), size, round };
		fill(&race->block);
		meet(&race->meeting, &turn);
		if (owner)
			compete(&race->racers[1]);
		meet(&race->meeting, &turn);
		if (!wrong && !settled(race)) {
			wrong = round;
			say(race, size);
		}
	}
	for (i = 0; i < threads; i++)
		pthread_join(race->racers[i].thread, NULL);
	return wrong;
}

TEST_F(expert, of_the_owner_and_another_thread_one_wins)
{
	static struct race race;

	race.key = self->key;
	EXPECT_EQ(0, race_all(&race, true));
}

TEST_F(expert, of_two_other_threads_one_wins)
{
	static struct race race;

	race.key = self->key;
	EXPECT_EQ(0, race_all(&race, false));
}

/* ------------------------------------------------------------ terminated meanwhile */

#define OWN	300

/* A thread that goes on until it is told to stop, and cleans up as it should. */
struct worker {
	HEXPERTKEY key;
	uint64_t random;
	unsigned long calls, *total;
	struct block blocks[OWN];
	pthread_t thread;
};

/* The code; ~0 if anything is wrong. */
static DWORD one_call(struct worker *worker, struct block *block)
{
	size_t size = random_next(&worker->random) %
		      (random_next(&worker->random) % 32 ? 2000 : 100000);
	struct answer answer;

	if (block->at && !intact(worker->key, block))
		return ~0U;
	if (block->at && random_next(&worker->random) % 2) {
		unsigned char *p = block->at;

		block->at = NULL;
		return ExpertFreeMemory(worker->key, p);
	}
	answer = resize(worker->key, block->at, size);
	if (answer.block) {
		*block = (struct block){ answer.block, size, size };
		fill(block);
	}
	return !answer.block == (answer.error != NMERR_SUCCESS) ? answer.error : ~0U;
}

static void *work(void *arg)
{
	struct worker *worker = arg;
	uintptr_t wrong = 0;
	bool told = false;
	DWORD code;
	size_t i;

	while (!told) {
		i = random_next(&worker->random) % OWN;
		code = one_call(worker, &worker->blocks[i]);
		wrong += code != NMERR_SUCCESS && code != NMERR_EXPERT_TERMINATE;
		told = code == NMERR_EXPERT_TERMINATE;
		__atomic_add_fetch(worker->total, 1, __ATOMIC_RELAXED);
	}
	/* from now on, nothing else */
	wrong += !says(alloc(worker->key, 1), NMERR_EXPERT_TERMINATE);
	for (i = 0; i < OWN; i++)
		if (worker->blocks[i].at)
			wrong += !intact(worker->key, &worker->blocks[i]) ||
				 ExpertFreeMemory(worker->key, worker->blocks[i].at) !=
					NMERR_EXPERT_TERMINATE;
	return (void *)wrong;
}

TEST_F(expert, threads_are_told_to_terminate_and_clean_up)
{
	static struct worker workers[4];
	unsigned long round, total;
	struct block none;
	void *wrong;
	size_t i;

	for (round = 0; round < rounds(60); round++) {
		HEXPERTKEY key = open_expert(variant->backend, 0, 0);

		total = 0;
		for (i = 0; i < COUNT_OF(workers); i++) {
			workers[i] = (struct worker){
				.key = key, .random = 1 + round * 8 + i, .total = &total,
			};
			ASSERT_EQ(0, pthread_create(&workers[i].thread, NULL, work,
						    &workers[i]));
		}
		while (__atomic_load_n(&total, __ATOMIC_RELAXED) < round * 100)
			sched_yield();
		ASSERT_EQ(EXPERTMEM_OK, expertmem_terminate(key));
		for (i = 0; i < COUNT_OF(workers); i++) {
			ASSERT_EQ(0, pthread_join(workers[i].thread, &wrong));
			EXPECT_EQ(NULL, wrong);
		}
		EXPECT_TRUE(are_all(key, &none, 0));
		ASSERT_EQ(EXPERTMEM_OK, expertmem_close(key));
	}
}

/* --------------------------------------------------------------- closed meanwhile */

#define SHARED	600

/* Blocks that somebody else made, and what became of the thread that frees a third. */
struct freer {
	HEXPERTKEY key;
	void **blocks;
	size_t first, freed;
	unsigned long *total;
	pthread_t thread;
};

/* The key is good, until it is not: then it stays so. */
static void *free_third(void *arg)
{
	struct freer *freer = arg;
	struct expertmem_heap_stats stats;
	uintptr_t wrong = 0;
	bool closed = false;
	size_t i;

	for (i = freer->first; i < SHARED; i += 3) {
		DWORD code = ExpertFreeMemory(freer->key, freer->blocks[i]);

		wrong += code != (closed ? NMERR_INVALID_EXPERT_HANDLE : NMERR_SUCCESS) &&
			 code != NMERR_INVALID_EXPERT_HANDLE;
		closed = code == NMERR_INVALID_EXPERT_HANDLE;
		freer->freed += !closed;
		if (i % 16 == 0)
			wrong += expertmem_heap_stats(freer->key, &stats) == EXPERTMEM_OK && closed;
		if (i % 64 == 0)
			wrong += expertmem_trim(freer->key, NULL) == EXPERTMEM_OK && closed;
		__atomic_add_fetch(freer->total, 1, __ATOMIC_RELAXED);
	}
	return (void *)wrong;
}

/* Who has the place next is not disturbed by those that are late. */
TEST_F(expert, a_close_races_with_others_that_free)
{
	static void *blocks[SHARED];
	struct block next[20];
	struct freer freers[3];
	unsigned long round, total;
	uint64_t random = 3;
	HEXPERTKEY key, new;
	void *wrong;
	size_t i;

	for (round = 0; round < rounds(300); round++) {
		key = open_expert(variant->backend, 0, 0);
		for (i = 0; i < SHARED; i++) {
			blocks[i] = get(key, random_next(&random) % (i % 50 ? 3000 : 100000));
			ASSERT_NE(NULL, blocks[i]);
		}
		total = 0;
		for (i = 0; i < COUNT_OF(freers); i++) {
			freers[i] = (struct freer){ key, blocks, i, 0, &total, 0 };
			ASSERT_EQ(0, pthread_create(&freers[i].thread, NULL, free_third,
						    &freers[i]));
		}
		while (__atomic_load_n(&total, __ATOMIC_RELAXED) < round * 2 % SHARED)
			sched_yield();
		ASSERT_EQ(EXPERTMEM_OK, expertmem_close(key));
		new = open_expert(variant->backend, 0, 0);
		for (i = 0; i < COUNT_OF(next); i++) {
			next[i] = (struct block){ get(new, i * 100), i * 100, i };
			ASSERT_NE(NULL, next[i].at);
			fill(&next[i]);
		}
		for (i = 0; i < COUNT_OF(freers); i++) {
			ASSERT_EQ(0, pthread_join(freers[i].thread, &wrong));
			EXPECT_EQ(NULL, wrong);
		}
		EXPECT_EQ(EXPERTMEM_E_KEY, expertmem_close(key));
		for (i = 0; i < COUNT_OF(next); i++)
			ASSERT_TRUE(intact(new, &next[i]));
		ASSERT_TRUE(are_all(new, next, COUNT_OF(next)));
		ASSERT_EQ(EXPERTMEM_OK, expertmem_close(new));
	}
}

TEST_HARNESS_MAIN
