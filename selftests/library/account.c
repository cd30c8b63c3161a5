// SPDX-License-Identifier: GPL-2.0
/*
 * An expert in libexpertmem: its limit, the statistics that it is told, and many experts
 * beside each other. Tests run on both backends. Tests of pages that a pipe or a socket still
 * references need the module, since only the module counts such pages.
 *
 * needs: module native
 * also: arm64 fast
 */
#include <sys/resource.h>
#include <sys/uio.h>

#include "library_test.h"

static struct crowd crowd;

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
		EXPECT_GE(limit, stats_of(key).peak);
	}
	EXPECT_EQ(EXPERTMEM_OK, expertmem_close(key));
}

TEST_F(expert, shrinking_never_fails_even_at_the_limit)
{
	static struct block blocks[20000];
	uint64_t limit = 24 * MIB;
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
	EXPECT_GE(4096, stats_of(key).peak);
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
		EXPECT_EQ(n * each[i], stats_of(key).peak_blocks);
		/* 16 bytes need 4 more, and 1/16 of the blocks waits to be used */
		EXPECT_GE(22 * MIB + 512 * KIB, stats_of(key).committed);
		EXPECT_EQ(EXPERTMEM_OK, expertmem_close(key));
	}
}

TEST_F(expert, statistics_are_exact)
{
	unsigned char *first = get(self->key, 1000), *second = get(self->key, 100000);
	struct expertmem_heap_stats stats;
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
	EXPECT_EQ(101000, stats.peak_blocks);
	EXPECT_LE(stats.live_bytes, stats.committed);
	EXPECT_LE(stats.committed, stats.peak);
	EXPECT_LE(stats.peak_blocks, stats.peak);
	EXPECT_EQ(0, stats.terminating);
	EXPECT_EQ(0, stats.reclaimed_now);
	EXPECT_EQ(0, stats.reclaimed_bytes);
	EXPECT_TRUE(all_bytes((void *)stats.reserved, sizeof(stats.reserved), 0));
	EXPECT_EQ(EXPERTMEM_E_INVALID, expertmem_heap_stats(self->key, NULL));
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

/* ------------------------------------------------------------------------ windows */

/*
 * The length of both windows around @p: of mappings that touch each other, but not of read-only
 * ones, which are tables. Windows are placed at whole GiB.
 */
static uint64_t windows_around(const void *p)
{
	unsigned long start, end, from = 0, to = 0;
	FILE *file = fopen("/proc/self/maps", "re");
	char line[512], perms[8];

	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%lx-%lx %7s", &start, &end, perms) != 3)
			continue;
		if (start != to || !strcmp(perms, "r--p")) {
			if ((uintptr_t)p >= from && (uintptr_t)p < to)
				break;
			from = strcmp(perms, "r--p") ? start : end;
		}
		to = end;
	}
	if (file)
		fclose(file);
	return (to & ~(GIB - 1)) - ((from + GIB - 1) & ~(GIB - 1));
}

/* The least power of two that is 8 times as much, from 64 GiB to 1 TiB. */
static uint64_t window_for(uint64_t memory)
{
	uint64_t window = 64 * GIB;

	while (window < TIB && window / 8 < memory)
		window *= 2;
	return window;
}

TEST_F(expert, a_window_has_64_gib_or_8_times_the_memory_that_the_expert_may_have)
{
	static const uint64_t limits[] = {
		64 * MIB, 8 * GIB, 8 * GIB + 1, 16 * GIB, 100 * GIB, 128 * GIB, 5 * TIB,
	};
	unsigned char *block;
	HEXPERTKEY key;
	size_t i;

	NEED_WHOLE_WINDOWS();
	for (i = 0; i < COUNT_OF(limits); i++) {
		key = open_expert(variant->backend, limits[i], 0);
		block = get(key, 8 * MIB);
		ASSERT_NE(NULL, block);
		EXPECT_EQ(2 * window_for(limits[i]), windows_around(block));
		EXPECT_EQ(EXPERTMEM_OK, expertmem_close(key));
	}
	block = get(self->key, 8 * MIB);
	ASSERT_NE(NULL, block);
	EXPECT_EQ(2 * window_for(sysconf(_SC_PHYS_PAGES) * PAGE), windows_around(block));
}

TEST_F(expert, blocks_of_any_one_size_can_have_the_whole_limit)
{
	/* with the smallest window for this limit; untouched, they take no memory */
	static const uint64_t limit = 8 * GIB;
	static const size_t each[] = { 32769, 300 * KIB, 1100 * KIB, 5 * MIB, 100 * MIB };
	static const unsigned int flags[] = { 0, EXPERTMEM_NO_HUGE };
	struct expertmem_heap_stats stats;
	HEXPERTKEY key;
	size_t i, j;

	for (i = 0; i < COUNT_OF(each); i++) {
		for (j = 0; j < COUNT_OF(flags); j++) {
			key = open_expert(variant->backend, limit, flags[j]);
			while (alloc(key, each[i]).block)
				;
			stats = stats_of(key);
			EXPECT_LE(limit - 2 * each[i] - 64 * MIB, stats.committed) {
				TH_LOG("blocks of %zu bytes, flags %u", each[i], flags[j]);
			}
			EXPECT_EQ(EXPERTMEM_OK, expertmem_close(key));
		}
	}
}

/* ------------------------------------------------------------ pages that a pipe holds */

/* Put a byte into a pipe without copying it: the pipe holds its page until it is read. */
static bool hold(const int ends[2], const unsigned char *byte)
{
	struct iovec iov = { (void *)byte, 1 };

	return vmsplice(ends[1], &iov, 1, 0) == 1;
}

/* Let go of such a page; what its byte was, or -1. */
static int let_go(const int ends[2])
{
	unsigned char byte;

	return read(ends[0], &byte, 1) == 1 ? byte : -1;
}

static bool is_present(const unsigned char *page)
{
	unsigned char present = 0;

	return !mincore((void *)page, PAGE, &present) && present & 1;
}

/* Blocks of a page, 16 to a slab, on more slabs than the heap keeps at hand. */
#define PAGES_OF_BLOCKS	256

TEST_F(device, a_trim_tries_again_where_a_pipe_has_held_a_page)
{
	unsigned char *blocks[PAGES_OF_BLOCKS], *last, *block;
	size_t i, n = PAGES_OF_BLOCKS / 2, present;
	int ends[2];

	ASSERT_EQ(0, pipe(ends));
	for (i = 0; i < PAGES_OF_BLOCKS; i++) {
		blocks[i] = get(self->key, PAGE);
		ASSERT_NE(NULL, blocks[i]);
		memset(blocks[i], i, PAGE);
	}
	/* a slab that stays, behind the others: they are not given back as addresses */
	last = get(self->key, 32000);
	ASSERT_NE(NULL, last);
	ASSERT_TRUE(hold(ends, blocks[n]));
	for (i = 0; i < PAGES_OF_BLOCKS; i++)
		ASSERT_EQ(NMERR_SUCCESS, ExpertFreeMemory(self->key, blocks[i]));
	EXPECT_EQ(EXPERTMEM_OK, expertmem_trim(self->key, NULL));
	for (i = present = 0; i < PAGES_OF_BLOCKS; i++)
		present += is_present(blocks[i]);
	EXPECT_EQ(1, present);
	EXPECT_TRUE(is_present(blocks[n]));

	/* the page is not the pipe's alone, so it is not pinned */
	EXPECT_EQ(0, stats_of(self->key).pinned);
	EXPECT_EQ((unsigned char)n, let_go(ends));
	EXPECT_EQ(EXPERTMEM_OK, expertmem_trim(self->key, NULL));
	EXPECT_FALSE(is_present(blocks[n]));
	for (i = 0; i < PAGES_OF_BLOCKS; i++) {
		block = get(self->key, PAGE);
		ASSERT_NE(NULL, block);
		memset(block, 1, PAGE);
	}
	EXPECT_EQ(NMERR_SUCCESS, ExpertFreeMemory(self->key, last));
}

TEST_F(device, freed_pages_that_a_pipe_holds_are_pinned_until_it_lets_go)
{
	struct expertmem_heap_stats before, after;
	unsigned char *block;
	int ends[2];

	ASSERT_EQ(0, pipe(ends));
	/* the heap's table of large blocks is there, too */
	ASSERT_EQ(NMERR_SUCCESS, ExpertFreeMemory(self->key, get(self->key, 300 * KIB)));
	before = stats_of(self->key);
	EXPECT_EQ(0, before.pinned);
	block = get(self->key, 300 * KIB);
	ASSERT_NE(NULL, block);
	memset(block, 7, 300 * KIB);
	ASSERT_TRUE(hold(ends, block + 100 * KIB));
	ASSERT_EQ(NMERR_SUCCESS, ExpertFreeMemory(self->key, block));
	after = stats_of(self->key);
	EXPECT_EQ(before.committed, after.committed);
	EXPECT_EQ(PAGE, after.pinned);
	/* what comes to be there next is not what the pipe holds */
	block = get(self->key, 300 * KIB);
	ASSERT_NE(NULL, block);
	EXPECT_TRUE(all_bytes(block, 300 * KIB, 0));
	memset(block, 8, 300 * KIB);
	EXPECT_EQ(7, let_go(ends));
	EXPECT_EQ(0, stats_of(self->key).pinned);
}

TEST_F(device, what_trim_says_it_gave_back_is_without_pinned_pages)
{
	static unsigned char *blocks[16 * MIB / PAGE];
	struct expertmem_heap_stats before, after;
	uint64_t bytes = POISON64, pinned;
	int ends[2];
	size_t i;

	ASSERT_EQ(0, pipe(ends));
	for (i = 0; i < COUNT_OF(blocks); i++) {
		blocks[i] = get(self->key, PAGE);
		ASSERT_NE(NULL, blocks[i]);
		memset(blocks[i], 3, PAGE);
	}
	/* in each of the chunks that slabs beyond the first 8 MiB are in */
	for (i = 8 * MIB / PAGE; i < COUNT_OF(blocks); i += HUGE / PAGE / 2)
		ASSERT_TRUE(hold(ends, blocks[i]));
	for (i = 0; i < COUNT_OF(blocks); i++)
		ASSERT_EQ(NMERR_SUCCESS, ExpertFreeMemory(self->key, blocks[i]));
	before = stats_of(self->key);
	EXPECT_EQ(EXPERTMEM_OK, expertmem_trim(self->key, &bytes));
	after = stats_of(self->key);
	EXPECT_LT(after.committed, before.committed);
	EXPECT_LT(before.pinned, after.pinned);
	EXPECT_EQ(before.committed + before.pinned - after.committed - after.pinned, bytes);
	pinned = after.pinned;
	EXPECT_LE(PAGE, pinned);
	while (pinned && after.pinned) {
		ASSERT_EQ(3, let_go(ends));
		pinned = after.pinned;
		after = stats_of(self->key);
		EXPECT_GE(pinned, after.pinned);
	}
	EXPECT_EQ(0, after.pinned);
}

/* ------------------------------------------------------------------- many experts */

TEST_F(expert, a_process_can_have_1000_experts)
{
	static struct block blocks[1000][3], sorted[3000];
	static HEXPERTKEY keys[1000];
	struct rlimit files;
	size_t i, j;

	NEED_REAL_KERNEL("it has too few addresses below what it maps");
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
	memcpy(sorted, blocks, sizeof(sorted));
	EXPECT_TRUE(disjoint(sorted, COUNT_OF(sorted)));
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
