// SPDX-License-Identifier: GPL-2.0
/*
 * libexpertmem: which memory stray writes of a program can damage, and how long the address of a
 * freed block stays in quarantine. Every test runs on both backends.
 *
 * needs: module native
 * also: tsan arm64
 */
#include <pthread.h>

#include "heap_test.h"

/* ------------------------------------------------------------ writes that go astray */

#define LIVE	2000
#define PAGES	(1 << 16)

/* Blocks, and every page that one of them has ever been in. */
struct field {
	HEXPERTKEY key;
	uint64_t random;
	size_t count, nr_pages;
	struct block blocks[LIVE];
	uintptr_t pages[PAGES];
};

static struct field field;

static bool grow_one(struct field *f, size_t size)
{
	struct block *block = &f->blocks[f->count];
	uintptr_t page;

	*block = (struct block){ get(f->key, size), size, random_next(&f->random) };
	if (!block->at)
		return false;
	fill(block);
	f->count++;
	for (page = (uintptr_t)block->at & -PAGE;
	     page < (uintptr_t)block->at + size && f->nr_pages < PAGES; page += PAGE)
		f->pages[f->nr_pages++] = page;
	return true;
}

static bool reap_one(struct field *f, size_t i)
{
	if (!intact(f->key, &f->blocks[i]) ||
	    ExpertFreeMemory(f->key, f->blocks[i].at) != NMERR_SUCCESS)
		return false;
	f->blocks[i] = f->blocks[--f->count];
	return true;
}

static size_t any_size(struct field *f)
{
	switch (random_next(&f->random) % 64) {
	case 0:
		return random_next(&f->random) % (256 * KIB);
	case 1 ... 3:
		return random_next(&f->random) % SLAB_MAX;
	case 4 ... 11:
		return random_next(&f->random) % 5000;
	default:
		return random_next(&f->random) % 700;
	}
}

/* Random calls, each checked. */
static bool work(struct field *f, size_t steps)
{
	while (steps--) {
		struct block *block = &f->blocks[random_next(&f->random) % LIVE];
		size_t size = any_size(f), old = block->size;

		if (block >= f->blocks + f->count) {
			if (!grow_one(f, size))
				return false;
			continue;
		}
		if (random_next(&f->random) % 2) {
			if (!reap_one(f, block - f->blocks))
				return false;
			continue;
		}
		block->at = resize(f->key, block->at, size).block;
		if (!block->at || !filled(block, old < size ? old : size))
			return false;
		block->size = size;
		fill(block);
	}
	return true;
}

static int by_value(const void *a, const void *b)
{
	uintptr_t left = *(const uintptr_t *)a, right = *(const uintptr_t *)b;

	return (left > right) - (left < right);
}

/* Write these bytes, unless they fault. */
static size_t spoil(uintptr_t from, uintptr_t to, unsigned char byte)
{
	if (from >= to)
		return 0;
	/* with the mask: ThreadSanitizer's handler blocks all signals */
	if (sigsetjmp(fault_env, 1)) {
		fault_expected = false;
		return 0;
	}
	fault_expected = true;
	memset((void *)from, byte, to - from);
	fault_expected = false;
	return to - from;
}

/* Write every byte of every page that is in no live block. Returns how many. */
static size_t scribble(struct field *f, unsigned char byte)
{
	struct block *block = f->blocks, *end = block + f->count;
	size_t i, kept = 0, written = 0;

	faults_catch();
	qsort(f->blocks, f->count, sizeof(*f->blocks), by_address);
	qsort(f->pages, f->nr_pages, sizeof(*f->pages), by_value);
	for (i = 0; i < f->nr_pages; i++) {
		uintptr_t at = f->pages[i], page_end = at + PAGE;

		if (kept && f->pages[kept - 1] == at)
			continue;
		f->pages[kept++] = at;
		while (block < end && (uintptr_t)block->at + block->size <= at)
			block++;
		/* from the end of each block in the page to the next one's start */
		for (; block < end && (uintptr_t)block->at < page_end; block++) {
			written += spoil(at, (uintptr_t)block->at, byte);
			at = (uintptr_t)block->at + block->size;
			if (at >= page_end)
				break;
		}
		written += spoil(at, page_end, byte);
	}
	f->nr_pages = kept;
	return written;
}

static bool all_intact(const struct field *f)
{
	size_t i;

	for (i = 0; i < f->count; i++)
		if (!intact(f->key, &f->blocks[i]))
			return false;
	return true;
}

TEST_F(expert, writes_outside_live_blocks_do_not_reach_the_heap)
{
	static const unsigned char bytes[] = { 0xff, 0, 1, 0x7f, 0x80, 0xfe };
	size_t round;

	field.key = self->key;
	field.random = 20261121;
	for (round = 0; round < 24; round++) {
		ASSERT_TRUE(work(&field, 3000));
		ASSERT_LT(MIB / 4, scribble(&field, bytes[round % COUNT_OF(bytes)]));
		ASSERT_TRUE(all_intact(&field));
		ASSERT_TRUE(are_all(self->key, field.blocks, field.count));
		if (round % 8 == 7) {
			/* what pages it gets next, the old ones were blocks' */
			while (field.count)
				ASSERT_TRUE(reap_one(&field, field.count - 1));
			scribble(&field, bytes[round % COUNT_OF(bytes)]);
			ASSERT_EQ(EXPERTMEM_OK, expertmem_trim(self->key, NULL));
			scribble(&field, bytes[round % COUNT_OF(bytes)]);
			ASSERT_TRUE(are_all(self->key, field.blocks, 0));
		}
	}
}

/*
 * The more large blocks there are, the more room the heap needs to know them: none of it
 * may be where a block was.
 */
TEST_F(expert, writes_to_freed_large_blocks_do_not_reach_the_heap)
{
	size_t i, size;

	field.key = self->key;
	field.random = 81;
	for (i = 1; i <= 2048; i++) {
		size = 33000 + random_next(&field.random) % 90000;
		ASSERT_TRUE(i % 3 ? grow_one(&field, i % 5 ? size : size % 512) :
				    reap_one(&field, size % field.count));
		if (i % 128)
			continue;
		scribble(&field, 0xff);
		ASSERT_TRUE(are_all(self->key, field.blocks, field.count));
	}
	ASSERT_TRUE(all_intact(&field));
	ASSERT_TRUE(work(&field, 3000));
	ASSERT_TRUE(are_all(self->key, field.blocks, field.count));
}

/* Freed by another thread, a block is on its way back: that is nothing to be spoiled either. */
static void *reap_odd(void *arg)
{
	struct field *f = arg;
	size_t i;

	for (i = f->count; i-- > 0; )
		if (i % 2 && !reap_one(f, i))
			return f;
	return NULL;
}

TEST_F(expert, writes_to_blocks_that_another_thread_freed_do_not_reach_the_heap)
{
	pthread_t thread;
	size_t round;
	void *failed;

	field.key = self->key;
	field.random = 1121;
	for (round = 0; round < 8; round++) {
		while (field.count < LIVE)
			ASSERT_TRUE(grow_one(&field, any_size(&field)));
		ASSERT_EQ(0, pthread_create(&thread, NULL, reap_odd, &field));
		ASSERT_EQ(0, pthread_join(thread, &failed));
		ASSERT_EQ(NULL, failed);
		scribble(&field, round % 2 ? 0 : 0xff);
		ASSERT_TRUE(work(&field, 1000));
		ASSERT_TRUE(are_all(self->key, field.blocks, field.count));
	}
}

/* ---------------------------------------------------------------- how long it rests */

/*
 * What can be told from an address ends where it is handed out again. For blocks of up to
 * a page, that is not before a sixteenth of a slab's blocks of that class were, unless the
 * slab was given back meanwhile.
 */
#define RESTING_MAX	PAGE

static size_t rest(size_t block)
{
	return 64 * KIB / (block ? (block + 15) & ~15UL : 16) / 16;
}

TEST_F(expert, a_block_is_not_the_next_one_after_its_free)
{
	size_t size;

	for (size = 1; size <= RESTING_MAX; size += size < 256 ? 1 : 7) {
		unsigned char *p = get(self->key, size), *next;

		ASSERT_EQ(NMERR_SUCCESS, ExpertFreeMemory(self->key, p));
		next = get(self->key, size);
		ASSERT_NE(NULL, next);
		ASSERT_NE(p, next) {
			TH_LOG("a block of %zu", size);
		}
		ASSERT_EQ(NMERR_INVALID_PARAMETER, ExpertFreeMemory(self->key, p));
		ASSERT_EQ(NMERR_SUCCESS, ExpertFreeMemory(self->key, next));
		ASSERT_EQ(NMERR_INVALID_PARAMETER, ExpertFreeMemory(self->key, p));
		ASSERT_EQ(NMERR_INVALID_PARAMETER, ExpertFreeMemory(self->key, next));
	}
}

/* When was each address freed, counted in blocks of its class that were made? */
struct rested {
	unsigned char *at;
	size_t when;
};

static struct rested resting[1 << 16];

static struct rested *rested(const unsigned char *at)
{
	size_t i = (uintptr_t)at * 0x9e3779b97f4a7c15 >> 48;

	while (resting[i].at && resting[i].at != at)
		i = (i + 1) % COUNT_OF(resting);
	return &resting[i];
}

/*
 * The shortest rest of any block of that size over @steps random calls that keep about
 * @live blocks.
 */
static size_t shortest_rest(HEXPERTKEY key, size_t size, size_t live, size_t steps)
{
	static unsigned char *blocks[4096];
	size_t made = 0, shortest = SIZE_MAX, i;
	uint64_t random = size + live;
	struct rested *one;

	memset(resting, 0, sizeof(resting));
	memset(blocks, 0, sizeof(blocks));
	while (steps--) {
		unsigned char **block = &blocks[random_next(&random) % (2 * live)];

		if (*block) {
			if (ExpertFreeMemory(key, *block) != NMERR_SUCCESS)
				return 0;
			*rested(*block) = (struct rested){ *block, made };
			*block = NULL;
			continue;
		}
		*block = get(key, size);
		one = rested(*block);
		if (one->at && made - one->when < shortest)
			shortest = made - one->when;
		made++;
	}
	for (i = 0; i < COUNT_OF(blocks); i++)
		if (ExpertFreeMemory(key, blocks[i]) != NMERR_SUCCESS)
			return 0;
	/* nothing is left that might be given back in the middle of the next run */
	return expertmem_trim(key, NULL) ? 0 : shortest;
}

TEST_F(expert, a_freed_block_rests_while_a_sixteenth_of_a_slab_is_made)
{
	static struct classes classes;
	size_t i, j;

	ASSERT_TRUE(find_classes(self->key, &classes));
	ASSERT_EQ(EXPERTMEM_OK, expertmem_trim(self->key, NULL));
	for (i = 0; i < classes.count && classes.size[i] <= RESTING_MAX; i++) {
		size_t size = classes.size[i], blocks = 64 * KIB / (size ? size : 16);
		/* a few, about a slab, some slabs */
		const size_t live[] = { 1, 3, blocks / 2, blocks - 1, blocks, 3 * blocks };

		for (j = 0; j < COUNT_OF(live); j++) {
			size_t shortest = live[j] && live[j] <= 2048 ?
				shortest_rest(self->key, size, live[j], 8 * blocks + 1000) :
				SIZE_MAX;

			ASSERT_LE(rest(size), shortest) {
				TH_LOG("blocks of %zu, case %zu", size, j);
			}
		}
	}
}

/* The same for a block that another thread freed. */
static void *free_it(void *arg)
{
	struct block *block = arg;

	return (void *)ExpertFreeMemory((HEXPERTKEY)block->seed, block->at);
}

TEST_F(expert, a_block_that_another_thread_freed_is_not_the_next_one)
{
	static const size_t small[] = { 1, 16, 64, 100, 256, 1000, 1024, 2048, 4096 };
	pthread_t thread;
	void *code;
	size_t i;

	for (i = 0; i < 40 * COUNT_OF(small); i++) {
		size_t size = small[i % COUNT_OF(small)];
		struct block block = { get(self->key, size), size, (uintptr_t)self->key };
		unsigned char *next;

		ASSERT_EQ(0, pthread_create(&thread, NULL, free_it, &block));
		ASSERT_EQ(0, pthread_join(thread, &code));
		ASSERT_EQ(NULL, code);
		next = get(self->key, size);
		ASSERT_NE(block.at, next);
		ASSERT_EQ(NMERR_INVALID_PARAMETER, ExpertFreeMemory(self->key, block.at));
		ASSERT_EQ(NMERR_SUCCESS, ExpertFreeMemory(self->key, next));
	}
}

TEST_HARNESS_MAIN
