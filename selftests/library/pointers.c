// SPDX-License-Identifier: GPL-2.0
/*
 * libexpertmem: each call refuses a pointer that is no block with an error code, and a stray
 * write of the program does not reach the metadata of the heap. Every test runs on both
 * backends.
 *
 * needs: module native
 * also: tsan arm64 fast
 */
#include "library_test.h"

static struct crowd crowd;

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

	NEED_WHOLE_WINDOWS();
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

TEST_HARNESS_MAIN
