// SPDX-License-Identifier: GPL-2.0
/*
 * The calls of libexpertmem that allocate, resize, free and examine blocks: their results for
 * each kind of key and size. account.c tests limits and statistics, pointers.c tests pointers,
 * threads.c tests threads, open.c and host.c test the host's side. Every test runs on both
 * backends.
 *
 * needs: module native
 * also: arm64 fast
 */
#include "library_test.h"

static struct crowd crowd;

/* ----------------------------------------------------------------------- bad keys */

/* Does every call say that this is no key, and leave alone what it would fill in? */
static bool is_no_key(HEXPERTKEY key, void *block)
{
	EXPERTSTARTUPINFO startup;
	struct expertmem_progress progress;
	struct expertmem_heap_stats stats;
	uint64_t bytes = POISON64;

	memset(&startup, POISON, sizeof(startup));
	memset(&progress, POISON, sizeof(progress));
	memset(&stats, POISON, sizeof(stats));
	return says(alloc(key, 1), NMERR_INVALID_EXPERT_HANDLE) &&
	       says(resize(key, block, 1), NMERR_INVALID_EXPERT_HANDLE) &&
	       says(resize(key, NULL, 1), NMERR_INVALID_EXPERT_HANDLE) &&
	       !ExpertAllocMemory(key, 1, NULL) && !ExpertReallocMemory(key, block, 1, NULL) &&
	       ExpertFreeMemory(key, block) == NMERR_INVALID_EXPERT_HANDLE &&
	       ExpertFreeMemory(key, NULL) == NMERR_INVALID_EXPERT_HANDLE &&
	       ExpertMemorySize(key, block) == 0 &&
	       ExpertIndicateStatus(key, EXPERTSTATUS_RUNNING, 0, "no", 1) ==
			NMERR_INVALID_EXPERT_HANDLE &&
	       ExpertGetStartupInfo(key, &startup) == NMERR_INVALID_EXPERT_HANDLE &&
	       all_bytes((void *)&startup, sizeof(startup), POISON) &&
	       expertmem_close(key) == EXPERTMEM_E_KEY &&
	       expertmem_fd(key) == EXPERTMEM_E_KEY &&
	       expertmem_terminate(key) == EXPERTMEM_E_KEY &&
	       expertmem_reclaim(key, &bytes) == EXPERTMEM_E_KEY && bytes == POISON64 &&
	       expertmem_heap_stats(key, &stats) == EXPERTMEM_E_KEY &&
	       all_bytes((void *)&stats, sizeof(stats), POISON) &&
	       expertmem_progress(key, &progress) == EXPERTMEM_E_KEY &&
	       all_bytes((void *)&progress, sizeof(progress), POISON) &&
	       expertmem_walk(key, visit, NULL) == EXPERTMEM_E_KEY;
}

TEST_F(expert, keys_never_issued_are_no_keys)
{
	uintptr_t bits = (uintptr_t)self->key;
	static int object;
	int i;

	ASSERT_TRUE(crowd_make(&crowd, self->key));
	EXPECT_TRUE(is_no_key(NULL, crowd.blocks[0].at));
	EXPECT_TRUE(is_no_key((HEXPERTKEY)-1, crowd.blocks[0].at));
	EXPECT_TRUE(is_no_key(&object, crowd.blocks[0].at));
	EXPECT_TRUE(is_no_key(&self->key, crowd.blocks[0].at));
	EXPECT_TRUE(is_no_key(crowd.blocks[0].at, crowd.blocks[0].at));
	for (i = 0; i < 64; i++)
		EXPECT_TRUE(is_no_key((HEXPERTKEY)(bits ^ 1UL << i), crowd.blocks[0].at));
	for (i = 1; i < 5000; i++)
		EXPECT_TRUE(is_no_key((HEXPERTKEY)(bits + i), crowd.blocks[0].at));
	EXPECT_TRUE(crowd_is_well(&crowd));
}

TEST_F(expert, a_closed_key_is_no_key)
{
	HEXPERTKEY other = open_expert(variant->backend, 0, 0);
	unsigned char *block = get(other, 100);

	ASSERT_NE(NULL, block);
	ASSERT_TRUE(crowd_make(&crowd, self->key));
	EXPECT_EQ(EXPERTMEM_OK, expertmem_close(other));
	EXPECT_TRUE(is_no_key(other, block));
	EXPECT_TRUE(is_no_key(other, crowd.blocks[0].at));
	EXPECT_TRUE(crowd_is_well(&crowd));
}

TEST_F(expert, a_closed_key_does_not_come_back)
{
	static HEXPERTKEY keys[1000];
	size_t i, j;

	for (i = 0; i < COUNT_OF(keys); i++) {
		keys[i] = open_expert(variant->backend, 0, 0);
		ASSERT_NE(NULL, keys[i]);
		for (j = 0; j < i; j++)
			ASSERT_NE(keys[j], keys[i]);
		if (i % 100 == 99)
			EXPECT_NE(NULL, get(keys[i], 100));
		if (i + 1 < COUNT_OF(keys))
			ASSERT_EQ(EXPERTMEM_OK, expertmem_close(keys[i]));
	}
	/* now somebody has the slot that they all had */
	ASSERT_TRUE(crowd_make(&crowd, keys[--i]));
	EXPECT_EQ(NMERR_SUCCESS, ExpertFreeMemory(keys[i], crowd.blocks[CROWD - 1].at));
	crowd.blocks[CROWD - 1].at = get(keys[i], crowd.blocks[CROWD - 1].size);
	fill(&crowd.blocks[CROWD - 1]);
	for (j = 0; j < i; j++)
		ASSERT_TRUE(is_no_key(keys[j], crowd.blocks[0].at));
	EXPECT_EQ(1 + CROWD, stats_of(keys[i]).live_blocks);
	EXPECT_EQ(EXPERTMEM_OK, expertmem_close(keys[i]));
}

/* -------------------------------------------------------------------------- sizes */

TEST_F(expert, blocks_of_size_0_are_distinct_and_live)
{
	static struct block blocks[5000];
	size_t i;

	for (i = 0; i < COUNT_OF(blocks); i++) {
		blocks[i].at = get(self->key, 0);
		ASSERT_NE(NULL, blocks[i].at);
		ASSERT_EQ(0, (uintptr_t)blocks[i].at % 16);
	}
	EXPECT_TRUE(are_all(self->key, blocks, COUNT_OF(blocks)));
	for (i = 0; i < COUNT_OF(blocks); i++) {
		ASSERT_EQ(NMERR_SUCCESS, ExpertFreeMemory(self->key, blocks[i].at));
		ASSERT_EQ(NMERR_INVALID_PARAMETER, refused(self->key, blocks[i].at));
	}
	EXPECT_TRUE(are_all(self->key, blocks, 0));
}

TEST_F(expert, the_error_may_be_null)
{
	struct block block = { .size = 100 };

	block.at = ExpertAllocMemory(self->key, 100, NULL);
	ASSERT_NE(NULL, block.at);
	fill(&block);
	EXPECT_EQ(NULL, ExpertAllocMemory(self->key, too_large, NULL));
	EXPECT_EQ(NULL, ExpertReallocMemory(self->key, block.at, too_large, NULL));
	EXPECT_EQ(NULL, ExpertReallocMemory(self->key, block.at + 1, 1, NULL));
	EXPECT_TRUE(intact(self->key, &block));
	block.at = ExpertReallocMemory(self->key, block.at, 50000, NULL);
	ASSERT_NE(NULL, block.at);
	EXPECT_TRUE(filled(&block, 100));
	block.size = 50000;
	EXPECT_TRUE(are_all(self->key, &block, 1));
}

/* Pages are there only where somebody wrote: no size is too dear to try. */
TEST_F(expert, every_size_is_exact_and_aligned)
{
	struct block block = { .seed = 7 };
	struct answer answer;
	size_t size;

	for (size = 0; size <= 70000; size++) {
		size_t alignment = size < PAGE ? 16 : PAGE;

		answer = alloc(self->key, size);
		ASSERT_EQ(NMERR_SUCCESS, answer.error);
		ASSERT_NE(NULL, answer.block);
		ASSERT_EQ(0, (uintptr_t)answer.block % alignment);
		ASSERT_EQ(size, ExpertMemorySize(self->key, answer.block));
		ASSERT_EQ(NMERR_SUCCESS, ExpertFreeMemory(self->key, answer.block));
		ASSERT_EQ(0, ExpertMemorySize(self->key, answer.block));
	}
	answer = alloc(self->key, 0);
	for (size = 0; size <= 70000; size++) {
		size_t alignment = size < PAGE ? 16 : PAGE;

		answer = resize(self->key, answer.block, size);
		ASSERT_EQ(NMERR_SUCCESS, answer.error);
		ASSERT_NE(NULL, answer.block);
		ASSERT_EQ(0, (uintptr_t)answer.block % alignment);
		ASSERT_EQ(size, ExpertMemorySize(self->key, answer.block));
		if (size)
			answer.block[size - 1] = pattern(block.seed, size - 1);
	}
	block.at = answer.block;
	block.size = 70000;
	EXPECT_TRUE(filled(&block, 70000));
	EXPECT_TRUE(are_all(self->key, &block, 1));
}

TEST_F(expert, what_is_too_large_is_out_of_memory)
{
	static const size_t large[] = {
		SIZE_MAX, SIZE_MAX - 1, SIZE_MAX - 4094, SIZE_MAX - 4095, SIZE_MAX - 2 * MIB,
		SIZE_MAX - 65535, (1UL << 63) + 1, 1UL << 63, (1UL << 63) - 1, 1UL << 62,
		1UL << 48, 1UL << 47, 1UL << 43, (1UL << 43) - 1, (1UL << 42) + 1,
	};
	size_t i, j;

	ASSERT_TRUE(crowd_make(&crowd, self->key));
	for (i = 0; i < COUNT_OF(large); i++) {
		EXPECT_TRUE(says(alloc(self->key, large[i]), NMERR_OUT_OF_MEMORY));
		EXPECT_TRUE(says(resize(self->key, NULL, large[i]), NMERR_OUT_OF_MEMORY));
		for (j = 0; j < CROWD; j++)
			EXPECT_TRUE(says(resize(self->key, crowd.blocks[j].at, large[i]),
					 NMERR_OUT_OF_MEMORY));
	}
	EXPECT_TRUE(crowd_is_well(&crowd));
}

TEST_F(expert, what_is_over_the_limit_is_out_of_memory)
{
	static const size_t over[] = {
		64 * MIB + 1, 64 * MIB, 64 * MIB - 1, 65 * MIB, 128 * MIB, GIB,
	};
	HEXPERTKEY key = open_expert(variant->backend, 64 * MIB, 0);
	size_t i, j;

	EXPECT_EQ(64 * MIB, stats_of(key).limit);
	ASSERT_TRUE(crowd_make(&crowd, key));
	for (i = 0; i < COUNT_OF(over); i++) {
		EXPECT_TRUE(says(alloc(key, over[i]), NMERR_OUT_OF_MEMORY));
		for (j = 0; j < CROWD; j++)
			EXPECT_TRUE(says(resize(key, crowd.blocks[j].at, over[i]),
					 NMERR_OUT_OF_MEMORY));
		EXPECT_GE(64 * MIB, stats_of(key).peak);
	}
	EXPECT_TRUE(crowd_is_well(&crowd));
	EXPECT_EQ(EXPERTMEM_OK, expertmem_close(key));
}

/* ------------------------------------------------------------------------ realloc */

TEST_F(expert, realloc_of_null_is_alloc)
{
	struct block blocks[2] = { { .size = 0 }, { .size = 1000 } };
	struct answer answer = resize(self->key, NULL, 0);

	EXPECT_EQ(NMERR_SUCCESS, answer.error);
	blocks[0].at = answer.block;
	answer = resize(self->key, NULL, 1000);
	EXPECT_EQ(NMERR_SUCCESS, answer.error);
	blocks[1].at = answer.block;
	ASSERT_NE(NULL, blocks[0].at);
	ASSERT_NE(NULL, blocks[1].at);
	EXPECT_TRUE(are_all(self->key, blocks, 2));
}

TEST_F(expert, realloc_to_0_leaves_a_live_block_of_size_0)
{
	struct block blocks[COUNT_OF(sizes)] = { };
	struct answer answer;
	size_t i;

	for (i = 0; i < COUNT_OF(sizes); i++) {
		answer = resize(self->key, get(self->key, sizes[i]), 0);
		EXPECT_EQ(NMERR_SUCCESS, answer.error);
		ASSERT_NE(NULL, answer.block);
		blocks[i].at = answer.block;
	}
	EXPECT_TRUE(are_all(self->key, blocks, COUNT_OF(sizes)));
	for (i = 0; i < COUNT_OF(sizes); i++) {
		answer = resize(self->key, blocks[i].at, sizes[i]);
		EXPECT_EQ(NMERR_SUCCESS, answer.error);
		EXPECT_EQ(sizes[i], ExpertMemorySize(self->key, answer.block));
		EXPECT_EQ(NMERR_SUCCESS, ExpertFreeMemory(self->key, answer.block));
	}
	EXPECT_TRUE(are_all(self->key, blocks, 0));
}

/* Is a block what it was, as far as it still is, after a change from one size to another? */
static bool realloc_keeps(HEXPERTKEY key, size_t from, size_t to)
{
	struct block block = { get(key, from), from, from + to };
	struct answer answer;

	if (!block.at)
		return false;
	fill(&block);
	answer = resize(key, block.at, to);
	if (!answer.block || answer.error)
		return false;
	block.at = answer.block;
	if (!filled(&block, from < to ? from : to))
		return false;
	block.size = to;
	fill(&block);
	return intact(key, &block) && are_all(key, &block, 1) &&
	       ExpertFreeMemory(key, block.at) == NMERR_SUCCESS;
}

TEST_F(expert, realloc_keeps_the_contents_between_any_two_sizes)
{
	static const size_t ends[] = {
		0, 1, 16, 17, 128, 129, 3584, 3585, 4095, 4096, 4097, 20480, 20481, 32767,
		32768, 32769, 65536, 262144, MIB, 2 * MIB - 1, 2 * MIB, 2 * MIB + 1,
	};
	size_t i, j;

	for (i = 0; i < COUNT_OF(ends); i++) {
		for (j = 0; j < COUNT_OF(ends); j++) {
			ASSERT_TRUE(realloc_keeps(self->key, ends[i], ends[j])) {
				TH_LOG("from %zu to %zu", ends[i], ends[j]);
			}
		}
	}
}

TEST_F(expert, realloc_keeps_the_contents_of_a_very_large_block)
{
	static const size_t ends[] = {
		0, 4095, 32768, 32769, MIB, 2 * MIB, 2 * MIB + 1, 16 * MIB - 1, 16 * MIB + 1,
	};
	size_t i;

	for (i = 0; i < COUNT_OF(ends); i++) {
		EXPECT_TRUE(realloc_keeps(self->key, ends[i], 16 * MIB));
		EXPECT_TRUE(realloc_keeps(self->key, 16 * MIB, ends[i]));
	}
}

TEST_F(expert, a_large_block_grows_where_it_is)
{
	static const size_t from[] = { MIB, 2 * MIB };
	size_t i, size;

	for (i = 0; i < COUNT_OF(from); i++) {
		unsigned char *block = get(self->key, from[i]);

		ASSERT_NE(NULL, block);
		for (size = from[i]; size <= 256 * MIB; size += 64 * KIB) {
			struct answer answer = resize(self->key, block, size);

			ASSERT_EQ(block, answer.block);
			ASSERT_EQ(NMERR_SUCCESS, answer.error);
			block[size - 1] = pattern(i, size);
		}
		EXPECT_EQ(256 * MIB, ExpertMemorySize(self->key, block));
		for (size = from[i]; size <= 256 * MIB; size += 64 * KIB)
			ASSERT_EQ(pattern(i, size), block[size - 1]);
		EXPECT_EQ(NMERR_SUCCESS, ExpertFreeMemory(self->key, block));
	}
}

/* -------------------------------------------------------- terminating, reclaimed */

TEST_F(expert, a_terminating_expert_is_told_so_and_can_clean_up)
{
	EXPERTSTARTUPINFO startup;
	struct expertmem_progress progress;
	HEXPERTKEY other = open_expert(variant->backend, 0, 0);
	unsigned char *others = get(other, 10);
	size_t i;

	ASSERT_NE(NULL, others);
	ASSERT_TRUE(crowd_make(&crowd, self->key));
	EXPECT_EQ(0, stats_of(self->key).terminating);
	ASSERT_EQ(EXPERTMEM_OK, expertmem_terminate(self->key));
	ASSERT_EQ(EXPERTMEM_OK, expertmem_terminate(self->key));
	EXPECT_EQ(1, stats_of(self->key).terminating);
	EXPECT_EQ(0, stats_of(self->key).reclaimed_now);
	EXPECT_EQ(0, stats_of(other).terminating);

	EXPECT_TRUE(says(alloc(self->key, 1), NMERR_EXPERT_TERMINATE));
	EXPECT_TRUE(says(alloc(self->key, too_large), NMERR_EXPERT_TERMINATE));
	EXPECT_TRUE(says(resize(self->key, NULL, 1), NMERR_EXPERT_TERMINATE));
	EXPECT_TRUE(says(resize(self->key, self, 1), NMERR_EXPERT_TERMINATE));
	for (i = 0; i < CROWD; i++) {
		const struct block *block = &crowd.blocks[i];

		EXPECT_TRUE(says(resize(self->key, block->at, 0), NMERR_EXPERT_TERMINATE));
		EXPECT_TRUE(says(resize(self->key, block->at, block->size),
				 NMERR_EXPERT_TERMINATE));
		EXPECT_TRUE(says(resize(self->key, block->at, 2 * block->size),
				 NMERR_EXPERT_TERMINATE));
		EXPECT_TRUE(intact(self->key, block));
		fill(block);
	}
	EXPECT_TRUE(are_all(self->key, crowd.blocks, CROWD));

	memset(&startup, POISON, sizeof(startup));
	EXPECT_EQ(NMERR_EXPERT_TERMINATE, ExpertGetStartupInfo(self->key, &startup));
	EXPECT_TRUE(all_bytes((void *)&startup, sizeof(startup), 0));
	EXPECT_EQ(NMERR_EXPERT_TERMINATE,
		  ExpertIndicateStatus(self->key, EXPERTSTATUS_ABORTED, 1, "stopping", 50));
	EXPECT_EQ(EXPERTMEM_OK, expertmem_progress(self->key, &progress));
	EXPECT_EQ(EXPERTSTATUS_ABORTED, progress.status);
	EXPECT_EQ(0, strcmp("stopping", progress.text));

	EXPECT_EQ(NMERR_SUCCESS, ExpertFreeMemory(self->key, NULL));
	EXPECT_EQ(NMERR_INVALID_PARAMETER, ExpertFreeMemory(self->key, self));
	EXPECT_EQ(NMERR_INVALID_PARAMETER, ExpertFreeMemory(self->key, crowd.blocks[9].at + 1));
	EXPECT_EQ(NMERR_ACCESS_DENIED, ExpertFreeMemory(self->key, others));
	EXPECT_TRUE(are_all(self->key, crowd.blocks, CROWD));
	for (i = CROWD; i--; ) {
		EXPECT_EQ(NMERR_EXPERT_TERMINATE,
			  ExpertFreeMemory(self->key, crowd.blocks[i].at));
		EXPECT_EQ(NMERR_INVALID_PARAMETER,
			  ExpertFreeMemory(self->key, crowd.blocks[i].at));
		EXPECT_EQ(0, ExpertMemorySize(self->key, crowd.blocks[i].at));
	}
	EXPECT_TRUE(are_all(self->key, crowd.blocks, 0));
	EXPECT_EQ(NMERR_SUCCESS, ExpertFreeMemory(other, others));
	EXPECT_EQ(EXPERTMEM_OK, expertmem_close(other));
}

TEST_F(expert, an_expert_may_be_terminated_before_it_has_memory)
{
	ASSERT_EQ(EXPERTMEM_OK, expertmem_terminate(self->key));
	EXPECT_TRUE(says(alloc(self->key, 1), NMERR_EXPERT_TERMINATE));
	EXPECT_EQ(NMERR_SUCCESS, ExpertFreeMemory(self->key, NULL));
	EXPECT_EQ(NMERR_INVALID_PARAMETER, ExpertFreeMemory(self->key, self));
	EXPECT_EQ(0, stats_of(self->key).committed);
}

TEST_F(expert, a_reclaimed_expert_has_no_memory_and_is_told_so)
{
	uint64_t committed, peak, bytes = POISON64;
	HEXPERTKEY other = open_expert(variant->backend, 0, 0);
	EXPERTSTARTUPINFO startup;
	size_t i;

	ASSERT_TRUE(crowd_make(&crowd, self->key));
	committed = stats_of(self->key).committed;
	peak = stats_of(self->key).peak;
	EXPECT_EQ(0, stats_of(self->key).reclaimed_now);
	ASSERT_EQ(EXPERTMEM_OK, expertmem_reclaim(self->key, &bytes));
	EXPECT_EQ(committed, bytes);
	EXPECT_EQ(1, stats_of(self->key).reclaimed_now);
	EXPECT_EQ(0, stats_of(self->key).committed);
	EXPECT_EQ(0, stats_of(self->key).resident);
	EXPECT_EQ(peak, stats_of(self->key).peak);
	EXPECT_EQ(CROWD, stats_of(self->key).live_blocks);
	ASSERT_EQ(EXPERTMEM_OK, expertmem_reclaim(self->key, &bytes));
	EXPECT_EQ(0, bytes);
	EXPECT_EQ(EXPERTMEM_OK, expertmem_reclaim(self->key, NULL));

	for (i = 0; i < CROWD; i++) {
		unsigned char *p = crowd.blocks[i].at;

		EXPECT_NE(0, read_touch(p));
		EXPECT_NE(0, write_touch(p));
		EXPECT_EQ(NMERR_EXPERT_TERMINATE, ExpertFreeMemory(self->key, p));
		EXPECT_TRUE(says(resize(self->key, p, 1), NMERR_EXPERT_TERMINATE));
		EXPECT_EQ(0, ExpertMemorySize(self->key, p));
		EXPECT_EQ(NMERR_INVALID_PARAMETER, refused(other, p));
	}
	EXPECT_TRUE(says(alloc(self->key, 1), NMERR_EXPERT_TERMINATE));
	EXPECT_EQ(NMERR_EXPERT_TERMINATE, ExpertFreeMemory(self->key, self));
	EXPECT_EQ(NMERR_EXPERT_TERMINATE, ExpertGetStartupInfo(self->key, &startup));
	EXPECT_EQ(NMERR_EXPERT_TERMINATE,
		  ExpertIndicateStatus(self->key, EXPERTSTATUS_DONE, 0, NULL, 0));
	EXPECT_EQ(0, expertmem_walk(self->key, visit, &(struct visited){ .room = 0 }));
	EXPECT_EQ(EXPERTMEM_OK, expertmem_close(other));
}

TEST_F(expert, an_expert_may_be_reclaimed_before_it_has_memory)
{
	uint64_t bytes = POISON64;

	ASSERT_EQ(EXPERTMEM_OK, expertmem_reclaim(self->key, &bytes));
	EXPECT_EQ(0, bytes);
	EXPECT_TRUE(says(alloc(self->key, 1), NMERR_EXPERT_TERMINATE));
	EXPECT_EQ(1, stats_of(self->key).reclaimed_now);
}

TEST_HARNESS_MAIN
