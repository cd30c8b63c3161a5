// SPDX-License-Identifier: GPL-2.0
/*
 * The expert's side of libexpertmem: the memory calls, and all that can be wrong with a
 * key, a size or a pointer. Every test runs on both backends. The host's side is in
 * host.c.
 */
#include <pthread.h>
#include <sys/resource.h>

#include "library_test.h"

static struct crowd crowd;

/* ----------------------------------------------------------------------- bad keys */

/* Does every call say that this is no key, and leave alone what it would fill in? */
static bool is_no_key(HEXPERTKEY key, void *block)
{
	EXPERTSTARTUPINFO startup;
	struct expertmem_progress progress;
	struct expertmem_stats stats;
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
	       expertmem_stats(key, &stats) == EXPERTMEM_E_KEY &&
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
		EXPECT_GE(64 * MIB, stats_of(key).peak_committed);
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

	for (i = 0; i < COUNT_OF(ends); i++)
		for (j = 0; j < COUNT_OF(ends); j++)
			ASSERT_TRUE(realloc_keeps(self->key, ends[i], ends[j])) {
				TH_LOG("from %zu to %zu", ends[i], ends[j]);
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

/* -------------------------------------------------------------------- bad pointers */

TEST_F(expert, free_of_null_does_nothing)
{
	EXPECT_EQ(NMERR_SUCCESS, ExpertFreeMemory(self->key, NULL));
	ASSERT_TRUE(crowd_make(&crowd, self->key));
	EXPECT_EQ(NMERR_SUCCESS, ExpertFreeMemory(self->key, NULL));
	EXPECT_EQ(0, ExpertMemorySize(self->key, NULL));
	EXPECT_TRUE(crowd_is_well(&crowd));
}

TEST_F(expert, an_expert_without_memory_refuses_pointers)
{
	EXPECT_EQ(NMERR_INVALID_PARAMETER, ExpertFreeMemory(self->key, self));
	EXPECT_EQ(0, ExpertMemorySize(self->key, self));
	EXPECT_EQ(NMERR_INVALID_PARAMETER, refused(self->key, self));
	EXPECT_EQ(0, stats_of(self->key).live_blocks);
}

TEST_F(expert, pointers_into_blocks_are_bad)
{
	static const ssize_t offsets[] = {
		-1, -8, -15, -16, -17, -32, -48, -64, -4096, -65536, 1, 2, 7, 8, 15, 16, 17,
		32, 48, 64, 4095, 4096, 4097, 8192, 32768, 65535, 65536, 1048576, 2097152,
	};
	size_t i, j;

	ASSERT_TRUE(crowd_make(&crowd, self->key));
	for (i = 0; i < CROWD; i++) {
		const struct block *block = &crowd.blocks[i];
		unsigned char *others[] = {
			block->at + block->size, block->at + block->size - 1,
			block->at + block->size / 2, block->at + block->size + 16,
		};

		for (j = 0; j < COUNT_OF(offsets); j++)
			if (!crowd_has(&crowd, block->at + offsets[j]))
				ASSERT_EQ(NMERR_INVALID_PARAMETER,
					  refused(self->key, block->at + offsets[j]));
		for (j = 0; j < COUNT_OF(others); j++)
			if (!crowd_has(&crowd, others[j]))
				ASSERT_EQ(NMERR_INVALID_PARAMETER, refused(self->key, others[j]));
		/* all of them in some */
		for (j = 1; i < 20 && j < block->size; j++)
			ASSERT_EQ(NMERR_INVALID_PARAMETER, refused(self->key, block->at + j));
	}
	EXPECT_TRUE(crowd_is_well(&crowd));
}

TEST_F(expert, a_block_freed_twice_at_once_is_bad)
{
	unsigned char *p;
	size_t i;

	ASSERT_TRUE(crowd_make(&crowd, self->key));
	for (i = 0; i < COUNT_OF(sizes); i++) {
		p = get(self->key, sizes[i]);
		ASSERT_NE(NULL, p);
		EXPECT_EQ(NMERR_SUCCESS, ExpertFreeMemory(self->key, p));
		EXPECT_EQ(NMERR_INVALID_PARAMETER, ExpertFreeMemory(self->key, p));
		EXPECT_EQ(NMERR_INVALID_PARAMETER, refused(self->key, p));
	}
	EXPECT_TRUE(crowd_is_well(&crowd));
}

TEST_F(expert, what_realloc_has_moved_is_bad)
{
	struct answer answer;
	unsigned char *p;
	size_t i;

	ASSERT_TRUE(crowd_make(&crowd, self->key));
	for (i = 0; i < COUNT_OF(sizes); i++) {
		p = get(self->key, sizes[i]);
		answer = resize(self->key, p, sizes[i] < MIB ? 40 * sizes[i] + 64 : 10);
		ASSERT_NE(NULL, answer.block);
		if (answer.block != p)
			EXPECT_EQ(NMERR_INVALID_PARAMETER, refused(self->key, p));
		EXPECT_EQ(NMERR_SUCCESS, ExpertFreeMemory(self->key, answer.block));
		EXPECT_EQ(NMERR_INVALID_PARAMETER, refused(self->key, answer.block));
	}
	EXPECT_TRUE(crowd_is_well(&crowd));
}

/* Small blocks are freed, and only ever larger ones made, so that none is handed out again. */
TEST_F(expert, a_block_freed_thousands_of_calls_ago_is_bad)
{
	unsigned char *freed[100], *later[64] = { };
	uint64_t random = 99;
	size_t i, j;

	for (i = 0; i < COUNT_OF(freed); i++) {
		freed[i] = get(self->key, 40);
		ASSERT_NE(NULL, freed[i]);
	}
	/* the others keep their place from being cut anew */
	for (i = 0; i < COUNT_OF(freed); i += 2)
		EXPECT_EQ(NMERR_SUCCESS, ExpertFreeMemory(self->key, freed[i]));
	for (i = 0; i < 20000; i++) {
		j = random_next(&random) % COUNT_OF(later);
		ASSERT_EQ(NMERR_SUCCESS, ExpertFreeMemory(self->key, later[j]));
		later[j] = get(self->key, 100 + random_next(&random) % 50000);
		ASSERT_NE(NULL, later[j]);
		if (i % 1000 == 0)
			EXPECT_EQ(NMERR_INVALID_PARAMETER,
				  refused(self->key, freed[2 * (i / 1000)]));
	}
	for (i = 0; i < COUNT_OF(freed); i += 2)
		EXPECT_EQ(NMERR_INVALID_PARAMETER, refused(self->key, freed[i]));
	for (i = 1; i < COUNT_OF(freed); i += 2)
		EXPECT_EQ(NMERR_SUCCESS, ExpertFreeMemory(self->key, freed[i]));
	EXPECT_EQ(COUNT_OF(later), stats_of(self->key).live_blocks);
}

TEST_F(expert, pointers_to_anything_else_are_bad)
{
	static char in_data[64] = "data", in_bss[64];
	char on_stack[64], *heap = malloc(64);
	char *mapped = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *no_access = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	const uintptr_t bad[] = {
		(uintptr_t)on_stack, (uintptr_t)in_data, (uintptr_t)in_bss, (uintptr_t)heap,
		(uintptr_t)mapped, (uintptr_t)no_access, (uintptr_t)&refused, (uintptr_t)"text",
		(uintptr_t)self->key, (uintptr_t)&errno,
		/* the NULL page */
		1, 8, 16, 4080, 4095, 4096, 65536,
		/* the ends of the user's half, and what lies between the halves */
		0x7ffffffff000, 0x7fffffffffff, 0x800000000000, 0x0123456789abcdef,
		0x4141414141414140, 0xdeadbeefdeadbee0, 0x7fffffffffffffff, 0xffff7fffffffffff,
		/* the kernel's */
		0xffff800000000000, 0xffff888000000000, 0xffffffff81000000, (uintptr_t)-4096,
		(uintptr_t)-16, (uintptr_t)-1,
	};
	size_t i;

	ASSERT_TRUE(crowd_make(&crowd, self->key));
	memset(on_stack, POISON, sizeof(on_stack));
	/* nothing there any more */
	ASSERT_EQ(0, munmap(mapped, 16 * PAGE));
	for (i = 0; i < COUNT_OF(bad); i++)
		EXPECT_EQ(NMERR_INVALID_PARAMETER, refused(self->key, (void *)bad[i]));
	EXPECT_TRUE(all_bytes((void *)on_stack, sizeof(on_stack), POISON));
	EXPECT_EQ(0, strcmp(in_data, "data"));
	EXPECT_TRUE(crowd_is_well(&crowd));
	free(heap);
}

/* The map of the process that holds @p, and those that adjoin it. */
static bool mapped_around(const void *p, uintptr_t *start, uintptr_t *end)
{
	FILE *file = fopen("/proc/self/maps", "re");
	unsigned long low, high;
	char line[512];

	*start = 0;
	*end = 0;
	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%lx-%lx", &low, &high) != 2)
			continue;
		if (low != *end) {
			if (*end > (uintptr_t)p)
				break;
			*start = low;
		}
		*end = high;
	}
	if (file)
		fclose(file);
	return *start <= (uintptr_t)p && (uintptr_t)p < *end;
}

/*
 * Whatever the windows hold besides blocks, the heap's own data for instance: every page
 * near a block and near the windows' ends, and many places between.
 */
TEST_F(expert, pointers_into_the_windows_are_bad)
{
	uintptr_t start, end, p;
	uint64_t random = 12345;
	size_t i;

	ASSERT_TRUE(crowd_make(&crowd, self->key));
	for (i = 0; i < CROWD; i += 5) {
		uintptr_t at = (uintptr_t)crowd.blocks[i].at & -PAGE;

		for (p = at - 64 * PAGE; p < at + 64 * PAGE; p += PAGE)
			if (!crowd_has(&crowd, (void *)p))
				ASSERT_EQ(NMERR_INVALID_PARAMETER, refused(self->key, (void *)p));
	}
	ASSERT_TRUE(mapped_around(crowd.blocks[0].at, &start, &end));
	ASSERT_LE(GIB, end - start);
	for (i = 0; i < 2048; i++) {
		uintptr_t places[] = {
			start + i * PAGE, end - (i + 1) * PAGE, (start + end) / 2 + i * PAGE,
			(start + end) / 2 - i * PAGE,
			start + random_next(&random) % (end - start) / 16 * 16,
			start + random_next(&random) % (end - start) / HUGE * HUGE,
		};
		size_t j;

		for (j = 0; j < COUNT_OF(places); j++)
			if (!crowd_has(&crowd, (void *)places[j]))
				ASSERT_EQ(NMERR_INVALID_PARAMETER,
					  refused(self->key, (void *)places[j]));
	}
	EXPECT_TRUE(crowd_is_well(&crowd));
}

TEST_F(expert, anothers_block_is_denied_and_what_is_in_it_bad)
{
	HEXPERTKEY other = open_expert(variant->backend, 0, 0);
	unsigned char *p;
	size_t i;

	ASSERT_TRUE(crowd_make(&crowd, other));
	/* before it has memory of its own, and after */
	EXPECT_EQ(NMERR_ACCESS_DENIED, ExpertFreeMemory(self->key, crowd.blocks[0].at));
	ASSERT_NE(NULL, get(self->key, 10));
	for (i = 0; i < CROWD; i++) {
		p = crowd.blocks[i].at;
		EXPECT_EQ(NMERR_ACCESS_DENIED, refused(self->key, p));
		EXPECT_EQ(NMERR_INVALID_PARAMETER, refused(self->key, p + 1));
		EXPECT_EQ(NMERR_INVALID_PARAMETER, refused(self->key, p - 1));
		if (!crowd_has(&crowd, p + PAGE))
			EXPECT_EQ(NMERR_INVALID_PARAMETER, refused(self->key, p + PAGE));
	}
	p = get(other, 77);
	EXPECT_EQ(NMERR_SUCCESS, ExpertFreeMemory(other, p));
	EXPECT_EQ(NMERR_INVALID_PARAMETER, refused(self->key, p));
	EXPECT_TRUE(crowd_is_well(&crowd));
	EXPECT_EQ(1, stats_of(self->key).live_blocks);
	EXPECT_EQ(10, stats_of(self->key).live_bytes);
	EXPECT_EQ(EXPERTMEM_OK, expertmem_close(other));
}

TEST_F(expert, a_block_of_another_backends_expert_is_denied)
{
	HEXPERTKEY other = open_expert(EXPERTMEM_BACKEND_ANON, 0, 0);
	struct block block = { get(other, 100), 100, 1 };

	ASSERT_NE(NULL, block.at);
	fill(&block);
	ASSERT_TRUE(crowd_make(&crowd, self->key));
	EXPECT_EQ(NMERR_ACCESS_DENIED, refused(self->key, block.at));
	EXPECT_EQ(NMERR_ACCESS_DENIED, refused(other, crowd.blocks[3].at));
	EXPECT_TRUE(crowd_is_well(&crowd));
	EXPECT_TRUE(intact(other, &block));
	EXPECT_EQ(EXPERTMEM_OK, expertmem_close(other));
}

TEST_F(expert, a_dead_experts_block_is_bad)
{
	HEXPERTKEY other = open_expert(variant->backend, 0, 0);
	unsigned char *dead[COUNT_OF(sizes)], *live[COUNT_OF(sizes)];
	size_t i, again = 0;

	for (i = 0; i < COUNT_OF(sizes); i++) {
		dead[i] = get(other, sizes[i]);
		ASSERT_NE(NULL, dead[i]);
	}
	ASSERT_EQ(EXPERTMEM_OK, expertmem_close(other));
	for (i = 0; i < COUNT_OF(sizes); i++)
		EXPECT_EQ(NMERR_INVALID_PARAMETER, refused(self->key, dead[i]));

	/* whoever has these addresses next, has them as anybody else */
	other = open_expert(variant->backend, 0, 0);
	for (i = 0; i < COUNT_OF(sizes); i++) {
		live[i] = get(other, sizes[i]);
		ASSERT_NE(NULL, live[i]);
	}
	for (i = 0; i < COUNT_OF(sizes); i++) {
		again += live[i] == dead[i];
		EXPECT_EQ(ExpertMemorySize(other, dead[i]) || live[i] == dead[i] ?
			  NMERR_ACCESS_DENIED : NMERR_INVALID_PARAMETER,
			  refused(self->key, dead[i]));
	}
	printf("# %zu of %zu dead blocks were at the address of a live one\n", again,
	       COUNT_OF(sizes));
	EXPECT_EQ(COUNT_OF(sizes), stats_of(other).live_blocks);
	EXPECT_EQ(EXPERTMEM_OK, expertmem_close(other));
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
	peak = stats_of(self->key).peak_committed;
	EXPECT_EQ(0, stats_of(self->key).reclaimed_now);
	ASSERT_EQ(EXPERTMEM_OK, expertmem_reclaim(self->key, &bytes));
	EXPECT_EQ(committed, bytes);
	EXPECT_EQ(1, stats_of(self->key).reclaimed_now);
	EXPECT_EQ(0, stats_of(self->key).committed);
	EXPECT_EQ(0, stats_of(self->key).resident);
	EXPECT_EQ(peak, stats_of(self->key).peak_committed);
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

/* ------------------------------------------------------------- limits, statistics */

/* The sizes that the nth block of a test of limits has. */
static size_t mixed_size(size_t n)
{
	uint64_t random = n * 2654435761U + 1;
	uint64_t kind = random_next(&random) % 64;

	return random_next(&random) % (kind ? kind < 60 ? 2000 : 40000 : 3 * MIB);
}

/* How many blocks of mixed sizes there are room for; @most at most. */
static size_t exhaust(HEXPERTKEY key, unsigned char **blocks, size_t most, uint64_t limit)
{
	struct answer answer;
	size_t n;

	for (n = 0; n < most; n++) {
		answer = alloc(key, mixed_size(n));
		if (says(answer, NMERR_OUT_OF_MEMORY))
			return n;
		if (!answer.block || answer.error || stats_of(key).committed > limit)
			break;
		blocks[n] = answer.block;
	}
	return 0;
}

TEST_F(expert, what_fitted_into_the_limit_fits_again)
{
	static unsigned char *blocks[100000];
	uint64_t limit = 32 * MIB;
	HEXPERTKEY key = open_expert(variant->backend, limit, 0);
	size_t count, round, i;

	count = exhaust(key, blocks, COUNT_OF(blocks), limit);
	ASSERT_LT(1000, count);
	/* most of the limit is for blocks */
	EXPECT_LE(limit / 2, stats_of(key).live_bytes);
	for (round = 0; round < 3; round++) {
		for (i = 0; i < count; i++) {
			/* once backwards */
			size_t n = round == 1 ? count - 1 - i : i;

			ASSERT_EQ(NMERR_SUCCESS, ExpertFreeMemory(key, blocks[n]));
		}
		EXPECT_EQ(0, stats_of(key).live_blocks);
		EXPECT_EQ(0, stats_of(key).live_bytes);
		EXPECT_LE(count, exhaust(key, blocks, COUNT_OF(blocks), limit));
		EXPECT_GE(limit, stats_of(key).peak_committed);
	}
	EXPECT_EQ(EXPERTMEM_OK, expertmem_close(key));
}

TEST_F(expert, shrinking_never_fails_even_at_the_limit)
{
	static struct block blocks[20000];
	uint64_t limit = 24 * MIB, bytes = 0;
	HEXPERTKEY key = open_expert(variant->backend, limit, 0);
	size_t count = 0, i, round;

	/* sizes of every class but the smallest: there is no room to move any there */
	for (i = 0; i < COUNT_OF(blocks); i++) {
		struct block *block = &blocks[count];
		struct answer answer;

		block->size = 50000 + i % 7 * 100000;
		if (count >= 30)
			block->size = 30000;
		answer = alloc(key, block->size);
		if (!answer.block)
			break;
		block->at = answer.block;
		block->seed = count++;
		bytes += block->size;
		fill(block);
	}
	ASSERT_LT(40, count);
	/* and take what is left in pages */
	while (alloc(key, 33000).block)
		;
	for (round = 0; round < 3; round++) {
		for (i = 0; i < count; i++) {
			struct block *block = &blocks[i];
			size_t size = round == 0 ? block->size - 1 :
				      round == 1 ? block->size / 2 : 0;
			struct answer answer = resize(key, block->at, size);

			ASSERT_EQ(NMERR_SUCCESS, answer.error);
			ASSERT_NE(NULL, answer.block);
			block->at = answer.block;
			ASSERT_TRUE(filled(block, size));
			ASSERT_EQ(size, ExpertMemorySize(key, block->at));
			block->size = size;
			fill(block);
			ASSERT_GE(limit, stats_of(key).committed);
		}
	}
	for (i = 0; i < count; i++)
		ASSERT_EQ(NMERR_SUCCESS, ExpertFreeMemory(key, blocks[i].at));
	EXPECT_EQ(0, stats_of(key).live_bytes % 33000);
	EXPECT_EQ(EXPERTMEM_OK, expertmem_close(key));
}

/* No room is left in slabs nor for more: the block can only stay where it is. */
TEST_F(expert, a_large_block_shrinks_in_place_at_the_limit)
{
	static const size_t shrunk[] = { 0, 1, 16, 4096, 32768 };
	size_t i, n;

	for (i = 0; i < COUNT_OF(shrunk); i++) {
		HEXPERTKEY key = open_expert(variant->backend, MIB, 0);
		struct block block = { .size = 800 * KIB, .seed = i };
		struct answer answer;

		block.at = get(key, block.size);
		ASSERT_NE(NULL, block.at);
		fill(&block);
		for (n = 0; alloc(key, 32768).block; n++)
			;
		answer = resize(key, block.at, shrunk[i]);
		ASSERT_EQ(NMERR_SUCCESS, answer.error);
		ASSERT_EQ(block.at, answer.block);
		EXPECT_TRUE(filled(&block, shrunk[i]));
		EXPECT_EQ(shrunk[i], ExpertMemorySize(key, block.at));
		EXPECT_EQ(n + 1, stats_of(key).live_blocks);
		EXPECT_EQ(n * 32768 + shrunk[i], stats_of(key).live_bytes);
		/* its pages are back, but for a slab perhaps, and it can still grow and go */
		EXPECT_GE(MIB - 700 * KIB, stats_of(key).committed);
		answer = resize(key, block.at, 500 * KIB);
		EXPECT_EQ(NMERR_SUCCESS, answer.error);
		EXPECT_EQ(500 * KIB, ExpertMemorySize(key, answer.block));
		answer = resize(key, answer.block, 0);
		EXPECT_EQ(NMERR_SUCCESS, ExpertFreeMemory(key, answer.block));
		EXPECT_EQ(n, stats_of(key).live_blocks);
		EXPECT_EQ(n * 32768, stats_of(key).live_bytes);
		EXPECT_GE(MIB - 700 * KIB, stats_of(key).committed);
		EXPECT_EQ(EXPERTMEM_OK, expertmem_close(key));
	}
}

/* Each large block is put where it can grow; that must not cost small ones theirs. */
TEST_F(expert, small_blocks_find_room_whatever_was_there_first)
{
	static const size_t first[] = { 40000, 256 * KIB, MIB, 2 * MIB };
	size_t i, n;

	for (i = 0; i < COUNT_OF(first); i++) {
		HEXPERTKEY key = open_expert(variant->backend, 0, 0);

		for (n = 0; n < 1000; n++)
			ASSERT_NE(NULL, get(key, first[i]));
		for (n = 0; n < 100000; n++)
			ASSERT_NE(NULL, get(key, 1000));
		for (n = 0; n < 100; n++)
			ASSERT_NE(NULL, get(key, first[i]));
		EXPECT_EQ(101100, stats_of(key).live_blocks);
		EXPECT_EQ(EXPERTMEM_OK, expertmem_close(key));
	}
}

TEST_F(expert, small_blocks_that_were_freed_leave_room_for_a_large_one)
{
	HEXPERTKEY key = open_expert(variant->backend, 64 * MIB, 0);
	struct answer answer;
	void *last = NULL;
	size_t n = 0;

	for (;;) {
		answer = alloc(key, 1000);
		if (!answer.block)
			break;
		/* to free them without a table */
		memcpy(answer.block, &last, sizeof(last));
		last = answer.block;
		n++;
	}
	EXPECT_EQ(NMERR_OUT_OF_MEMORY, answer.error);
	EXPECT_LT(60000, n);
	while (last) {
		void *block = last;

		memcpy(&last, block, sizeof(last));
		ASSERT_EQ(NMERR_SUCCESS, ExpertFreeMemory(key, block));
	}
	EXPECT_NE(NULL, get(key, 48 * MIB));
	EXPECT_NE(NULL, get(key, 1000));
	EXPECT_EQ(EXPERTMEM_OK, expertmem_close(key));
}

TEST_F(expert, a_limit_too_small_for_anything_is_an_error)
{
	HEXPERTKEY key = open_expert(variant->backend, 4096, 0);
	struct block none;

	EXPECT_TRUE(says(alloc(key, 1), NMERR_OUT_OF_MEMORY));
	EXPECT_TRUE(says(alloc(key, 100000), NMERR_OUT_OF_MEMORY));
	EXPECT_TRUE(are_all(key, &none, 0));
	EXPECT_GE(4096, stats_of(key).peak_committed);
	EXPECT_EQ(EXPERTMEM_OK, expertmem_close(key));
}

TEST_F(expert, what_the_heap_takes_for_itself_is_little)
{
	static const size_t each[] = { 16, 64, 200, 1000 };
	size_t i, n;

	for (i = 0; i < COUNT_OF(each); i++) {
		HEXPERTKEY key = open_expert(variant->backend, 0, 0);

		ASSERT_NE(NULL, get(key, each[i]));
		EXPECT_GE(256 * KIB, stats_of(key).committed);
		for (n = 1; n < 16 * MIB / each[i]; n++)
			ASSERT_NE(NULL, get(key, each[i]));
		EXPECT_EQ(n * each[i], stats_of(key).live_bytes);
		EXPECT_EQ(n * each[i], stats_of(key).peak_bytes);
		/* 16 bytes need 2 more; the rest is far below 1/8 */
		EXPECT_GE(20 * MIB + 512 * KIB, stats_of(key).committed);
		EXPECT_EQ(EXPERTMEM_OK, expertmem_close(key));
	}
}

TEST_F(expert, statistics_are_exact)
{
	unsigned char *first = get(self->key, 1000), *second = get(self->key, 100000);
	struct expertmem_stats stats;
	struct answer answer;

	ASSERT_NE(NULL, first);
	ASSERT_NE(NULL, second);
	answer = resize(self->key, second, 50000);
	ASSERT_NE(NULL, answer.block);
	ASSERT_EQ(NMERR_SUCCESS, ExpertFreeMemory(self->key, first));
	stats = stats_of(self->key);
	EXPECT_EQ(variant->backend, stats.backend);
	EXPECT_EQ(variant->backend == EXPERTMEM_BACKEND_DEVICE, stats.id != 0);
	EXPECT_EQ(1, stats.live_blocks);
	EXPECT_EQ(50000, stats.live_bytes);
	EXPECT_EQ(101000, stats.peak_bytes);
	EXPECT_LE(stats.live_bytes, stats.committed);
	EXPECT_LE(stats.committed, stats.peak_committed);
	EXPECT_LE(stats.peak_bytes, stats.peak_committed);
	EXPECT_EQ(0, stats.terminating);
	EXPECT_EQ(0, stats.reclaimed_now);
	EXPECT_EQ(0, stats.reclaimed);
	EXPECT_TRUE(all_bytes((void *)stats.reserved, sizeof(stats.reserved), 0));
	EXPECT_EQ(EXPERTMEM_E_INVALID, expertmem_stats(self->key, NULL));
}

/* Returns 7 at the third block. */
static int third(void *block, size_t size, void *arg)
{
	return ++*(int *)arg == 3 ? 7 : 0;
}

TEST_F(expert, the_walk_visits_exactly_the_live_blocks)
{
	int calls = 0;
	size_t i;

	EXPECT_EQ(0, expertmem_walk(self->key, third, &calls));
	EXPECT_EQ(0, calls);
	ASSERT_TRUE(crowd_make(&crowd, self->key));
	EXPECT_TRUE(are_all(self->key, crowd.blocks, CROWD));
	EXPECT_EQ(7, expertmem_walk(self->key, third, &calls));
	EXPECT_EQ(3, calls);
	EXPECT_EQ(EXPERTMEM_E_INVALID, expertmem_walk(self->key, NULL, NULL));
	for (i = CROWD; i-- > 0; ) {
		ASSERT_EQ(NMERR_SUCCESS, ExpertFreeMemory(self->key, crowd.blocks[i].at));
		ASSERT_TRUE(are_all(self->key, crowd.blocks, i));
	}
}

/* --------------------------------------------------------- writes that go astray */

struct page {
	uintptr_t at;
};

static int by_page(const void *a, const void *b)
{
	const struct page *left = a, *right = b;

	return (left->at > right->at) - (left->at < right->at);
}

/*
 * Fill what is not in a live block of each page where a block is or was: freed blocks,
 * the slack behind live ones, and what no block ever used. Returns how many bytes.
 */
static size_t scribble(struct block *live, size_t count, struct page *pages, size_t nr_pages,
		       unsigned char byte)
{
	struct block *block = live;
	size_t i, written = 0;
	uintptr_t p;

	qsort(live, count, sizeof(*live), by_address);
	qsort(pages, nr_pages, sizeof(*pages), by_page);
	for (i = 0; i < nr_pages; i++) {
		if ((i && pages[i].at == pages[i - 1].at) || write_touch((void *)pages[i].at))
			continue;
		for (p = pages[i].at; p < pages[i].at + PAGE; p++) {
			while (block < live + count && (uintptr_t)block->at + block->size <= p)
				block++;
			if (block < live + count && (uintptr_t)block->at <= p)
				continue;
			*(unsigned char *)p = byte;
			written++;
		}
	}
	return written;
}

TEST_F(expert, stray_writes_do_not_reach_the_heap)
{
	static struct block blocks[3000];
	static struct page pages[100000];
	size_t count = 0, nr_pages = 0, i, round;
	uint64_t random = 2024;

	for (round = 0; round < 8; round++) {
		while (count < COUNT_OF(blocks)) {
			struct block *block = &blocks[count++];
			uintptr_t p;

			block->size = random_next(&random) % 64 ?
				      random_next(&random) % 2000 :
				      random_next(&random) % 32769;
			block->seed = random_next(&random);
			block->at = get(self->key, block->size);
			ASSERT_NE(NULL, block->at);
			fill(block);
			for (p = (uintptr_t)block->at & -PAGE;
			     p < (uintptr_t)block->at + block->size; p += PAGE)
				if (nr_pages < COUNT_OF(pages))
					pages[nr_pages++].at = p;
		}
		ASSERT_TRUE(are_all(self->key, blocks, count));
		for (i = 0; i < count; ) {
			ASSERT_TRUE(intact(self->key, &blocks[i]));
			if (random_next(&random) % 2) {
				i++;
				continue;
			}
			ASSERT_EQ(NMERR_SUCCESS, ExpertFreeMemory(self->key, blocks[i].at));
			blocks[i] = blocks[--count];
		}
		/* ones, zeros, and what the heap itself might have written */
		ASSERT_LT(MIB / 2, scribble(blocks, count, pages, nr_pages,
					    (const char[]){ 0xff, 0, 1, 0x80 }[round % 4]));
		for (i = 0; i < count; i++)
			ASSERT_TRUE(intact(self->key, &blocks[i]));
		ASSERT_TRUE(are_all(self->key, blocks, count));
	}
}

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
static void *race_close(void *arg)
{
	struct race *race = arg;
	struct expertmem_progress progress;
	struct expertmem_stats stats;
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
			expertmem_stats(race->key, &stats);
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

/* ------------------------------------------------------------------- many experts */

TEST_F(expert, a_process_can_have_1000_experts)
{
	static struct block blocks[1000][3];
	static HEXPERTKEY keys[1000];
	struct rlimit files;
	size_t i, j;

	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &files));
	if (variant->backend == EXPERTMEM_BACKEND_DEVICE && files.rlim_max < 1100)
		SKIP_TEST("1100 open files are needed; raise the hard limit (ulimit -Hn)");
	files.rlim_cur = files.rlim_max;
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &files));

	for (i = 0; i < 1000; i++) {
		keys[i] = open_expert(variant->backend, 4 * MIB, 0);
		ASSERT_NE(NULL, keys[i]);
		for (j = 0; j < 3; j++) {
			blocks[i][j] = (struct block){
				get(keys[i], 10 + j * 40000), 10 + j * 40000, i + j,
			};
			ASSERT_NE(NULL, blocks[i][j].at);
			fill(&blocks[i][j]);
		}
	}
	EXPECT_TRUE(disjoint(memcpy(malloc(sizeof(blocks)), blocks, sizeof(blocks)), 3000));
	for (i = 0; i < 1000; i++) {
		for (j = 0; j < 3; j++) {
			EXPECT_TRUE(intact(keys[i], &blocks[i][j]));
			EXPECT_EQ(NMERR_ACCESS_DENIED,
				  refused(keys[(i + 1) % 1000], blocks[i][j].at));
		}
	}
	for (i = 0; i < 1000; i += 2)
		EXPECT_EQ(EXPERTMEM_OK, expertmem_close(keys[i]));
	for (i = 1; i < 1000; i += 2) {
		EXPECT_TRUE(are_all(keys[i], blocks[i], 3));
		EXPECT_EQ(NMERR_INVALID_PARAMETER, refused(keys[i], blocks[i - 1][0].at));
		EXPECT_EQ(EXPERTMEM_OK, expertmem_close(keys[i]));
	}
}

/* A new block is never filled with what another expert left. */
TEST_F(expert, no_expert_sees_what_another_left)
{
	size_t round, i, b;

	for (round = 0; round < 20; round++) {
		HEXPERTKEY key = open_expert(variant->backend, 0, 0);

		for (i = 0; i < COUNT_OF(sizes); i++) {
			unsigned char *block = get(key, sizes[i]);

			ASSERT_NE(NULL, block);
			for (b = 0; b + 8 <= sizes[i]; b += 8)
				ASSERT_NE(POISON64, *(uint64_t *)(block + b));
			memset(block, POISON, sizes[i]);
		}
		EXPECT_EQ(EXPERTMEM_OK, expertmem_close(key));
	}
}

TEST_HARNESS_MAIN
