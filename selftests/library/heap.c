// SPDX-License-Identifier: GPL-2.0
/*
 * libexpertmem: blocks of every size beside each other, allocation up to the limit, memory that
 * trim returns to the kernel, and slots that many experts use one after the other. Every test runs
 * on both backends.
 *
 * needs: module native
 * also: long asan tsan arm64
 */
#include <link.h>
#include <pthread.h>

#include "heap_test.h"

static struct classes classes;

/* -------------------------------------------------------------------------- sizes */

/* Make or resize them to the given sizes, and look whether they are what they should be. */
static bool reach(HEXPERTKEY key, struct block *blocks, const size_t *to, size_t count)
{
	size_t i, kept;

	for (i = 0; i < count; i++) {
		struct block *block = &blocks[i];
		struct answer answer = resize(key, block->at, to[i]);

		if (!answer.block || answer.error ||
		    (uintptr_t)answer.block % (to[i] < PAGE ? 16 : PAGE))
			return false;
		kept = block->at && block->size < to[i] ? block->size : to[i];
		if (block->at && !filled(&(struct block){ answer.block, block->size,
							  block->seed }, kept))
			return false;
		*block = (struct block){ answer.block, to[i], to[i] + i };
		fill(block);
	}
	for (i = 0; i < count; i++)
		if (!intact(key, &blocks[i]))
			return false;
	return true;
}

static bool release(HEXPERTKEY key, struct block *blocks, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++) {
		/* in an order of their own: 7 is no divisor of the counts here */
		struct block *block = &blocks[i * 7 % count];

		if (!intact(key, block) || ExpertFreeMemory(key, block->at) != NMERR_SUCCESS)
			return false;
	}
	return true;
}

TEST_F(expert, every_size_lives_beside_its_neighbours)
{
	static struct block blocks[512], sorted[512];
	size_t to[COUNT_OF(blocks)], base, i;

	SKIP_UNDER_TSAN();
	for (base = 0; base <= SLAB_MAX; base += COUNT_OF(blocks)) {
		memset(blocks, 0, sizeof(blocks));
		for (i = 0; i < COUNT_OF(blocks); i++)
			to[i] = base + i;
		ASSERT_TRUE(reach(self->key, blocks, to, COUNT_OF(blocks))) {
			TH_LOG("sizes from %zu", base);
		}
		memcpy(sorted, blocks, sizeof(blocks));
		ASSERT_TRUE(are_all(self->key, sorted, COUNT_OF(blocks)));
		ASSERT_TRUE(release(self->key, blocks, COUNT_OF(blocks)));
	}
	EXPECT_TRUE(are_all(self->key, sorted, 0));
}

#define BOUNDARIES	(3 * (CLASSES_MAX + 32))

/* Each boundary, and a byte to either side. */
static size_t boundaries(size_t *at)
{
	static const size_t unit[] = { PAGE, 64 * KIB, HUGE };
	size_t count = 0, i;

	for (i = 0; i < 3 * classes.count; i++)
		at[count++] = classes.size[i / 3] + i % 3 - 1;
	for (i = 0; i < COUNT_OF(unit) * 8 * 3; i++)
		at[count++] = unit[i / 24] * (1 + i / 3 % 8) + i % 3 - 1;
	return count;
}

TEST_F(expert, sizes_around_every_boundary_become_each_other)
{
	static struct block blocks[BOUNDARIES], sorted[BOUNDARIES];
	size_t at[BOUNDARIES], to[BOUNDARIES], count, round, i;
	uint64_t random = 5;

	SKIP_UNDER_TSAN();
	ASSERT_TRUE(find_classes(self->key, &classes));
	count = boundaries(at);
	for (round = 0; round < 6; round++) {
		/* as they are, up to the next and back, then anything */
		for (i = 0; i < count; i++)
			to[i] = at[round < 4 ? (i + round % 3) % count :
				   random_next(&random) % count];
		ASSERT_TRUE(reach(self->key, blocks, to, count)) {
			TH_LOG("round %zu", round);
		}
		memcpy(sorted, blocks, sizeof(blocks));
		ASSERT_TRUE(are_all(self->key, sorted, count));
	}
	for (i = 0; i < count; i++)
		ASSERT_EQ(NMERR_SUCCESS, ExpertFreeMemory(self->key, blocks[i].at));
	EXPECT_TRUE(are_all(self->key, sorted, 0));
}

/* -------------------------------------------------------------------------- limits */

/* Blocks of one size until there is no room; how many, ~0 if it was not told so. */
static size_t exhaust(HEXPERTKEY key, struct block *blocks, size_t most, size_t size,
		      uint64_t limit)
{
	struct answer answer;
	size_t n;

	for (n = 0; n < most; n++) {
		answer = alloc(key, size);
		if (!answer.block)
			return says(answer, NMERR_OUT_OF_MEMORY) ? n : ~0UL;
		if (answer.error || stats_of(key).committed > limit)
			return ~0UL;
		blocks[n] = (struct block){ answer.block, size, n };
		fill(&blocks[n]);
	}
	return ~0UL;
}

TEST_F(expert, at_the_limit_what_was_freed_can_be_had_again)
{
	static const size_t each[] = { 100, 1000, 4096, 5000, 32768, 40000, 300000, 2 * MIB };
	static struct block blocks[100000];
	const uint64_t limit = 8 * MIB;
	size_t i, n, one, round;

	SKIP_UNDER_TSAN();
	for (i = 0; i < COUNT_OF(each); i++) {
		HEXPERTKEY key = open_expert(variant->backend, limit, 0);
		struct block *block;

		n = exhaust(key, blocks, COUNT_OF(blocks), each[i], limit);
		ASSERT_NE(~0UL, n);
		ASSERT_LE(limit / 4, n * each[i]);
		for (round = 0; round < 50; round++) {
			one = round * 7919 % n;
			block = &blocks[one];
			ASSERT_TRUE(intact(key, block));
			ASSERT_EQ(NMERR_SUCCESS, ExpertFreeMemory(key, block->at));
			block->at = get(key, each[i]);
			ASSERT_NE(NULL, block->at) {
				TH_LOG("blocks of %zu", each[i]);
			}
			fill(block);
			ASSERT_TRUE(says(resize(key, block->at, limit), NMERR_OUT_OF_MEMORY));
			ASSERT_GE(limit, stats_of(key).committed);
		}
		ASSERT_EQ(n, stats_of(key).live_blocks);
		for (one = 0; one < n; one++) {
			ASSERT_TRUE(intact(key, &blocks[one]));
			ASSERT_EQ(NMERR_SUCCESS, ExpertFreeMemory(key, blocks[one].at));
		}
		/* and any other size has the room that this one had */
		one = each[(i + 3) % COUNT_OF(each)];
		n = exhaust(key, blocks, COUNT_OF(blocks), one, limit);
		ASSERT_NE(~0UL, n);
		ASSERT_LE(limit / 4, n * one);
		ASSERT_GE(limit, stats_of(key).peak);
		ASSERT_EQ(EXPERTMEM_OK, expertmem_close(key));
	}
}

/* ------------------------------------------------------------------------ given back */

static struct block many[200000];

/* 48 MiB in blocks of one size. */
static size_t take_much(HEXPERTKEY key, size_t size)
{
	size_t count = 48 * MIB / (size + 16), i;

	if (count > COUNT_OF(many))
		count = COUNT_OF(many);
	for (i = 0; i < count; i++) {
		many[i] = (struct block){ get(key, size), size, i };
		if (!many[i].at)
			return 0;
		many[i].at[0] = 1;
	}
	return count;
}

static const size_t kinds[] = { 100, 256, 1000, 4096, 20000, 40000, 3 * MIB };

TEST_F(expert, trim_gives_back_nearly_all_that_was_freed)
{
	size_t i, n, count;

	for (i = 0; i < COUNT_OF(kinds); i++) {
		HEXPERTKEY key = open_expert(variant->backend, 0, 0);
		struct block kept = { get(key, kinds[i]), kinds[i], i };
		uint64_t base, most, bytes = POISON64, after;

		ASSERT_NE(NULL, kept.at);
		fill(&kept);
		ASSERT_EQ(EXPERTMEM_OK, expertmem_trim(key, NULL));
		base = stats_of(key).committed;
		count = take_much(key, kinds[i]);
		ASSERT_NE(0, count);
		most = stats_of(key).committed;
		ASSERT_LE(base + 16 * MIB, most);
		for (n = 0; n < count; n++)
			ASSERT_EQ(NMERR_SUCCESS, ExpertFreeMemory(key, many[n].at));
		most = stats_of(key).committed;
		ASSERT_EQ(EXPERTMEM_OK, expertmem_trim(key, &bytes));
		after = stats_of(key).committed;
		EXPECT_EQ(most - after, bytes);
		EXPECT_GE(base + 4 * MIB, after) {
			TH_LOG("blocks of %zu", kinds[i]);
		}
		EXPECT_GE(after, stats_of(key).resident);
		/* once is enough */
		EXPECT_EQ(EXPERTMEM_OK, expertmem_trim(key, &bytes));
		EXPECT_EQ(0, bytes);
		EXPECT_TRUE(intact(key, &kept));
		EXPECT_NE(0, take_much(key, kinds[i]));
		EXPECT_EQ(EXPERTMEM_OK, expertmem_close(key));
	}
}

TEST_F(expert, trim_leaves_live_blocks_alone)
{
	static struct crowd crowd;
	size_t i, n, count;
	uint64_t bytes;

	ASSERT_TRUE(crowd_make(&crowd, self->key));
	for (i = 0; i < COUNT_OF(kinds); i++) {
		count = take_much(self->key, kinds[i]);
		ASSERT_NE(0, count);
		/* each sixteenth lives on for a while */
		for (n = 0; n < count; n++)
			if (n % 16)
				ASSERT_EQ(NMERR_SUCCESS,
					  ExpertFreeMemory(self->key, many[n].at));
		ASSERT_EQ(EXPERTMEM_OK, expertmem_trim(self->key, &bytes));
		for (n = 0; n < count; n += 16) {
			ASSERT_EQ(kinds[i], ExpertMemorySize(self->key, many[n].at));
			ASSERT_EQ(1, many[n].at[0]);
			ASSERT_EQ(NMERR_SUCCESS, ExpertFreeMemory(self->key, many[n].at));
		}
	}
	ASSERT_EQ(EXPERTMEM_OK, expertmem_trim(self->key, &bytes));
	EXPECT_TRUE(crowd_is_well(&crowd));
}

TEST_F(expert, trim_of_nothing_gives_nothing)
{
	uint64_t bytes = POISON64;

	EXPECT_EQ(EXPERTMEM_E_KEY, expertmem_trim(NULL, &bytes));
	EXPECT_EQ(POISON64, bytes);
	EXPECT_EQ(EXPERTMEM_OK, expertmem_trim(self->key, &bytes));
	EXPECT_EQ(0, bytes);
	EXPECT_EQ(0, stats_of(self->key).committed);
	ASSERT_NE(0, take_much(self->key, 1000));
	ASSERT_EQ(EXPERTMEM_OK, expertmem_terminate(self->key));
	EXPECT_EQ(EXPERTMEM_OK, expertmem_trim(self->key, &bytes));
	EXPECT_EQ(1000, ExpertMemorySize(self->key, many[0].at));
	ASSERT_EQ(EXPERTMEM_OK, expertmem_reclaim(self->key, NULL));
	EXPECT_EQ(EXPERTMEM_OK, expertmem_trim(self->key, &bytes));
	EXPECT_EQ(0, bytes);
}

/* ------------------------------------------------------------------ kept regions */

#ifdef __SANITIZE_ADDRESS__
#define NEED_KEPT_REGIONS()	SKIP(return, "with AddressSanitizer no region is kept")
#else
#define NEED_KEPT_REGIONS()	do { } while (0)
#endif

/* Free so many large blocks that the expert keeps the regions of the next ones. */
static bool free_many(HEXPERTKEY key, size_t size)
{
	for (unsigned int i = 0; i < 32; i++) {
		unsigned char *block = get(key, size);

		if (!block || ExpertFreeMemory(key, block))
			return false;
	}
	return true;
}

TEST_F(expert, the_first_large_blocks_that_are_freed_are_given_back_at_once)
{
	unsigned char *block;
	uint64_t base;

	ASSERT_NE(NULL, get(self->key, 100000));
	base = stats_of(self->key).committed;
	for (unsigned int i = 0; i < 8; i++) {
		block = get(self->key, MIB);
		ASSERT_NE(NULL, block);
		ASSERT_EQ(NMERR_SUCCESS, ExpertFreeMemory(self->key, block));
		EXPECT_EQ(base, stats_of(self->key).committed);
	}
}

TEST_F(expert, a_large_block_gets_the_region_that_another_one_has_left)
{
	const size_t most[] = { MIB, MIB - 1, MIB - 16 * PAGE, MIB + MIB / 4, MIB / 2 };
	unsigned char *first, *second;

	NEED_KEPT_REGIONS();
	ASSERT_TRUE(free_many(self->key, MIB));
	for (size_t i = 0; i < COUNT_OF(most); i++) {
		first = get(self->key, MIB);
		ASSERT_NE(NULL, first);
		memset(first, 1, MIB);
		ASSERT_EQ(NMERR_SUCCESS, ExpertFreeMemory(self->key, first));
		EXPECT_EQ(NMERR_INVALID_PARAMETER, refused(self->key, first));
		EXPECT_EQ(NMERR_INVALID_PARAMETER, refused(self->key, first + PAGE));
		second = get(self->key, most[i]);
		ASSERT_NE(NULL, second);
		EXPECT_EQ(first, second);
		EXPECT_EQ(most[i], ExpertMemorySize(self->key, second));
		memset(second, 2, most[i]);
		EXPECT_EQ(NMERR_SUCCESS, ExpertFreeMemory(self->key, second));
	}
}

TEST_F(expert, private_pages_of_blocks_that_are_not_written_take_no_memory)
{
	static unsigned char *blocks[4096];
	uint64_t before = own_memory();

	if (variant->backend != EXPERTMEM_BACKEND_ANON)
		SKIP(return, "the module's huge window has huge pages only");
	for (size_t i = 0; i < COUNT_OF(blocks); i++) {
		blocks[i] = get(self->key, 32 * KIB);
		ASSERT_NE(NULL, blocks[i]);
		blocks[i][i % 8 * PAGE] = (unsigned char)i;
	}
	/* A page for each block is 16 MiB, all pages are 128 MiB. */
	EXPECT_GT(before + 48 * MIB, own_memory());
	for (size_t i = 0; i < COUNT_OF(blocks); i++) {
		ASSERT_EQ((unsigned char)i, blocks[i][i % 8 * PAGE]);
		ASSERT_EQ(NMERR_SUCCESS, ExpertFreeMemory(self->key, blocks[i]));
	}
}

/* Few live blocks keep all chunks; blocks that need chunks of another kind must not add as many. */
TEST_F(expert, slabs_of_freed_blocks_serve_blocks_of_all_sizes)
{
	const size_t bytes[][2] = { { KIB, 8 * KIB }, { 8 * KIB, KIB } };
	static unsigned char *blocks[40 * KIB];

	SKIP_UNDER_TSAN();
	for (size_t way = 0; way < COUNT_OF(bytes); way++) {
		size_t count = 40 * MIB / bytes[way][0], i;
		uint64_t committed;

		for (i = 0; i < count; i++) {
			blocks[i] = get(self->key, bytes[way][0]);
			ASSERT_NE(NULL, blocks[i]);
		}
		for (i = 0; i < count; i++)
			if (i % (MIB / bytes[way][0]))
				ASSERT_EQ(NMERR_SUCCESS, ExpertFreeMemory(self->key, blocks[i]));
		committed = stats_of(self->key).committed;
		for (i = 0; i < 20 * MIB / bytes[way][1]; i++)
			ASSERT_NE(NULL, get(self->key, bytes[way][1]));
		EXPECT_GT(committed + 10 * MIB, stats_of(self->key).committed);
		EXPECT_EQ(EXPERTMEM_OK, expertmem_close(self->key));
		self->key = open_expert(variant->backend, 0, 0);
	}
}

TEST_F(expert, a_small_need_does_not_take_a_much_larger_region)
{
	const size_t freed[] = { 3 * MIB, 2 * MIB };	/* of the small and of the huge window */
	unsigned char *large, *small;

	NEED_KEPT_REGIONS();
	for (size_t i = 0; i < COUNT_OF(freed); i++) {
		ASSERT_TRUE(free_many(self->key, freed[i]));
		large = get(self->key, freed[i]);
		ASSERT_NE(NULL, large);
		ASSERT_EQ(NMERR_SUCCESS, ExpertFreeMemory(self->key, large));
		small = get(self->key, 64 * KIB);
		ASSERT_NE(NULL, small);
		EXPECT_NE(large, small);
		EXPECT_EQ(large, get(self->key, freed[i]));
		ASSERT_EQ(EXPERTMEM_OK, expertmem_trim(self->key, NULL));
	}
}

TEST_F(expert, a_block_grows_over_the_region_that_is_kept_behind_it)
{
	unsigned char *blocks[64], *block;

	NEED_KEPT_REGIONS();
	ASSERT_TRUE(free_many(self->key, 100000));
	ASSERT_EQ(EXPERTMEM_OK, expertmem_trim(self->key, NULL));
	for (size_t i = 0; i < COUNT_OF(blocks); i++) {
		blocks[i] = get(self->key, 100000);
		ASSERT_NE(NULL, blocks[i]);
	}
	for (size_t i = 1; i < COUNT_OF(blocks); i++)
		ASSERT_EQ(NMERR_SUCCESS, ExpertFreeMemory(self->key, blocks[i]));
	block = resize(self->key, blocks[0], 400000).block;
	EXPECT_EQ(blocks[0], block);
}

TEST_F(expert, fewer_regions_are_kept_when_a_block_shrinks)
{
	unsigned char *block, *others[12];

	NEED_KEPT_REGIONS();
	ASSERT_TRUE(free_many(self->key, MIB));
	block = get(self->key, 64 * MIB);
	ASSERT_NE(NULL, block);
	for (size_t i = 0; i < COUNT_OF(others); i++) {
		others[i] = get(self->key, MIB);
		ASSERT_NE(NULL, others[i]);
	}
	for (size_t i = 0; i < COUNT_OF(others); i++)
		ASSERT_EQ(NMERR_SUCCESS, ExpertFreeMemory(self->key, others[i]));
	EXPECT_LE(64 * MIB + 12 * MIB, stats_of(self->key).committed);
	EXPECT_EQ(block, resize(self->key, block, 100000).block);
	EXPECT_GE(8 * MIB, stats_of(self->key).committed);
}

TEST_F(expert, few_regions_are_kept)
{
	uint64_t base;

	ASSERT_TRUE(free_many(self->key, MIB));
	ASSERT_EQ(EXPERTMEM_OK, expertmem_trim(self->key, NULL));
	ASSERT_NE(NULL, get(self->key, 100000));
	base = stats_of(self->key).committed;
	for (size_t i = 0; i < COUNT_OF(kinds); i++) {
		size_t count = take_much(self->key, kinds[i]);

		for (size_t n = 0; n < count; n++)
			ASSERT_EQ(NMERR_SUCCESS, ExpertFreeMemory(self->key, many[n].at));
		if (kinds[i] > 32 * KIB)
			EXPECT_GE(base + 5 * MIB, stats_of(self->key).committed);
		ASSERT_EQ(EXPERTMEM_OK, expertmem_trim(self->key, NULL));
	}
}

TEST_F(expert, kept_regions_are_given_up_for_the_limit)
{
	HEXPERTKEY key = open_expert(variant->backend, 16 * MIB, 0);
	unsigned char *block;

	ASSERT_TRUE(free_many(key, MIB));
	ASSERT_TRUE(free_many(key, 3 * MIB));
	for (unsigned int i = 0; i < 10; i++) {
		block = get(key, 12 * MIB);
		ASSERT_NE(NULL, block);
		ASSERT_EQ(NMERR_SUCCESS, ExpertFreeMemory(key, block));
		ASSERT_TRUE(free_many(key, 3 * MIB));
	}
	EXPECT_EQ(EXPERTMEM_OK, expertmem_close(key));
}

/* Large blocks of random sizes are replaced and resized; none may overlap another one. */
TEST_F(expert, blocks_in_regions_that_others_have_left_are_apart)
{
	static struct block blocks[24];
	uint64_t random = 7;

	memset(blocks, 0, sizeof(blocks));
	for (unsigned int step = 0; step < 3000; step++) {
		struct block *block = &blocks[random_next(&random) % COUNT_OF(blocks)];
		size_t size = 32 * KIB + random_next(&random) % (32 * KIB << random_next(&random) % 7);

		if (block->at)
			ASSERT_TRUE(intact(self->key, block)) {
				TH_LOG("step %u", step);
			}
		if (block->at && random_next(&random) % 4 == 0) {
			block->at = resize(self->key, block->at, size).block;
		} else {
			if (block->at)
				ASSERT_EQ(NMERR_SUCCESS, ExpertFreeMemory(self->key, block->at));
			block->at = get(self->key, size);
		}
		ASSERT_NE(NULL, block->at);
		block->size = size;
		block->seed = step;
		fill(block);
	}
	EXPECT_TRUE(release(self->key, blocks, COUNT_OF(blocks)));
}

/* Is no more than that committed after a while, in which nobody makes a memory call? */
static bool shrinks_to(HEXPERTKEY key, uint64_t committed)
{
	const struct timespec tick = { .tv_nsec = 50000000 };
	unsigned int ticks;

	for (ticks = 0; ticks < 200; ticks++) {
		if (stats_of(key).committed <= committed)
			return true;
		nanosleep(&tick, NULL);
	}
	return false;
}

TEST_F(expert, an_idle_expert_gives_memory_back_by_itself)
{
	size_t i, n, count;
	uint64_t base;

	for (i = 0; i < COUNT_OF(kinds); i++) {
		struct block kept = { get(self->key, kinds[i]), kinds[i], i };

		ASSERT_NE(NULL, kept.at);
		fill(&kept);
		ASSERT_EQ(EXPERTMEM_OK, expertmem_trim(self->key, NULL));
		base = stats_of(self->key).committed;
		count = take_much(self->key, kinds[i]);
		ASSERT_NE(0, count);
		for (n = 0; n < count; n++)
			ASSERT_EQ(NMERR_SUCCESS, ExpertFreeMemory(self->key, many[n].at));
		EXPECT_TRUE(shrinks_to(self->key, base + 4 * MIB)) {
			TH_LOG("blocks of %zu", kinds[i]);
		}
		EXPECT_TRUE(intact(self->key, &kept));
	}
}

struct maker {
	HEXPERTKEY key;
	size_t count;
	pthread_barrier_t made;
};

static void *make_and_wait(void *arg)
{
	struct maker *maker = arg;

	maker->count = take_much(maker->key, 1000);
	pthread_barrier_wait(&maker->made);
	/* makes no call any more, and does not end */
	pthread_barrier_wait(&maker->made);
	return NULL;
}

TEST_F(expert, what_others_freed_is_given_back_while_who_made_it_sleeps)
{
	struct maker maker = { .key = self->key };
	pthread_t thread;
	size_t n;

	ASSERT_EQ(0, pthread_barrier_init(&maker.made, NULL, 2));
	ASSERT_EQ(0, pthread_create(&thread, NULL, make_and_wait, &maker));
	pthread_barrier_wait(&maker.made);
	ASSERT_NE(0, maker.count);
	for (n = 0; n < maker.count; n++)
		ASSERT_EQ(NMERR_SUCCESS, ExpertFreeMemory(self->key, many[n].at));
	EXPECT_TRUE(shrinks_to(self->key, 4 * MIB));
	pthread_barrier_wait(&maker.made);
	ASSERT_EQ(0, pthread_join(thread, NULL));
}

/* ------------------------------------------------------------------------------ keys */

static int by_key(const void *a, const void *b)
{
	uintptr_t left = *(const uintptr_t *)a, right = *(const uintptr_t *)b;

	return (left > right) - (left < right);
}

static bool all_differ(HEXPERTKEY *keys, size_t count)
{
	size_t i;

	qsort(keys, count, sizeof(*keys), by_key);
	for (i = 1; i < count; i++)
		if (keys[i] == keys[i - 1])
			return false;
	return true;
}

#define SLOTS	4096

/* Every place is taken, left and taken again, three times. */
TEST(keys_stay_different_when_every_place_is_reused)
{
	static HEXPERTKEY keys[3 * SLOTS], now[SLOTS];
	static unsigned char *blocks[SLOTS];
	size_t round, i;

	NEED_REAL_KERNEL("it has too few addresses below what it maps");
	for (round = 0; round < 3; round++) {
		for (i = 0; i < SLOTS; i++) {
			now[i] = open_expert(EXPERTMEM_BACKEND_ANON, 0, 0);
			ASSERT_NE(NULL, now[i]);
			keys[round * SLOTS + i] = now[i];
			if (i % 64 == 0)
				blocks[i] = get(now[i], 100);
		}
		ASSERT_EQ(NULL, open_expert(EXPERTMEM_BACKEND_ANON, 0, 0));
		for (i = 0; i < round * SLOTS; i++)
			ASSERT_EQ(NMERR_INVALID_EXPERT_HANDLE,
				  ExpertFreeMemory(keys[i], blocks[i % SLOTS / 64 * 64]));
		for (i = 0; i < SLOTS; i++) {
			if (i % 64 == 0)
				ASSERT_EQ(100, ExpertMemorySize(now[i], blocks[i]));
			ASSERT_EQ(EXPERTMEM_OK, expertmem_close(now[i]));
		}
	}
	EXPECT_TRUE(all_differ(keys, COUNT_OF(keys)));
}

TEST(keys_of_one_place_stay_different)
{
	static HEXPERTKEY keys[20000];
	size_t i;

	for (i = 0; i < COUNT_OF(keys); i++) {
		keys[i] = open_expert(EXPERTMEM_BACKEND_ANON, 0, 0);
		if (i % 16 == 0)
			ASSERT_NE(NULL, get(keys[i], i));
		ASSERT_EQ(EXPERTMEM_OK, expertmem_close(keys[i]));
		ASSERT_TRUE(says(alloc(keys[i / 2], 1), NMERR_INVALID_EXPERT_HANDLE));
	}
	EXPECT_TRUE(all_differ(keys, COUNT_OF(keys)));
}

/* Number of calls that take an address in a file that the library was loaded from for a key. */
static int try_addresses(struct dl_phdr_info *info, size_t size, void *arg)
{
	unsigned long *taken = arg;
	uintptr_t at, end;
	DWORD error;

	(void)size;
	if (!strstr(info->dlpi_name, "libexpertmem"))
		return 0;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *part = &info->dlpi_phdr[i];

		at = info->dlpi_addr + part->p_vaddr;
		end = part->p_type == PT_LOAD ? at + part->p_filesz : at;
		for (; at < end; at++) {
			HEXPERTKEY key = (HEXPERTKEY)at;

			*taken += ExpertAllocMemory(key, 1, &error) ||
				  error != NMERR_INVALID_EXPERT_HANDLE;
			*taken += ExpertAllocMemory(key, 20000, &error) ||
				  error != NMERR_INVALID_EXPERT_HANDLE;
			*taken += ExpertFreeMemory(key, &error) != NMERR_INVALID_EXPERT_HANDLE;
			*taken += ExpertMemorySize(key, &error) != 0;
		}
	}
	return 0;
}

/* A thread's record has addresses of the library where it has no key; see em_words in types.h. */
TEST(no_address_of_the_library_is_a_key)
{
	unsigned long taken = 0;
	HEXPERTKEY key;
	void *p;

	/* before the thread has used an expert, and afterwards */
	dl_iterate_phdr(try_addresses, &taken);
	key = open_expert(EXPERTMEM_BACKEND_ANON, 0, 0);
	p = get(key, 1);
	dl_iterate_phdr(try_addresses, &taken);
	EXPECT_EQ(0, taken);
	EXPECT_EQ(NMERR_SUCCESS, ExpertFreeMemory(key, p));
	EXPECT_EQ(EXPERTMEM_OK, expertmem_close(key));
	EXPECT_TRUE(says(alloc(key, 1), NMERR_INVALID_EXPERT_HANDLE));
}

TEST_HARNESS_MAIN
