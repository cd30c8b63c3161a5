// SPDX-License-Identifier: GPL-2.0
/*
 * The malloc family in private memory, or with locked memory of the module: blocks of 5 to 39 KiB
 * are in spans of several slabs. They come and go in random order, in several threads, which free
 * each other's blocks. Bad pointers into spans are ignored.
 *
 * needs: module native preload
 * also: checked
 */
#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "malloc_test.h"

#define LEAST		5000
#define MOST		41000
#define SLAB		65536

static size_t (*volatile usable)(void *) = malloc_usable_size;
static void *(*volatile aligned)(size_t, size_t) = memalign;

FIXTURE(limited) {
	unsigned int seed;
};

FIXTURE_SETUP(limited)
{
	struct rlimit limit = { .rlim_cur = 8UL << 30, .rlim_max = RLIM_INFINITY };

	if (!is_experts_malloc())
		SKIP_TEST("needs libexpertmem-malloc.so: LD_PRELOAD it");
	ASSERT_EQ(0, setrlimit(RLIMIT_DATA, &limit));
	/* the limit does not count memory of the module */
	if (expert_of_program() >= 0 && mlockall(MCL_FUTURE))
		SKIP_TEST("mlockall: %s; be root", strerror(errno));
	self->seed = 1;
}

FIXTURE_TEARDOWN(limited)
{
}

static size_t random_size(unsigned int *seed)
{
	return LEAST + rand_r(seed) % (MOST - LEAST);
}

static unsigned char *filled(size_t size, unsigned char byte)
{
	unsigned char *p = allocate(size);

	if (!p)
		abort();
	return memset(p, byte, size);
}

/* ------------------------------------------------------------- one thread, each size */

TEST_F(limited, blocks_of_each_size_lie_side_by_side)
{
	unsigned char *blocks[60];
	size_t size, i;

	for (size = LEAST; size < MOST; size += 64 * (1 + rand_r(&self->seed) % 4)) {
		for (i = 0; i < COUNT_OF(blocks); i++) {
			blocks[i] = filled(size, i);
			ASSERT_EQ(0, (uintptr_t)blocks[i] % 16);
		}
		for (i = 0; i < COUNT_OF(blocks); i++) {
			ASSERT_EQ(size, usable(blocks[i]));
			ASSERT_TRUE(all_bytes(blocks[i], size, i)) {
				TH_LOG("%zu bytes", size);
			}
			release(blocks[i]);
		}
	}
}

TEST_F(limited, aligned_blocks_are_in_no_span_that_does_not_align)
{
	size_t alignment, n;

	for (alignment = 16; alignment <= 4 * PAGE; alignment *= 2) {
		for (n = 0; n < 100; n++) {
			size_t size = random_size(&self->seed);
			unsigned char *p = aligned(alignment, size);

			ASSERT_NE(NULL, p);
			ASSERT_EQ(0, (uintptr_t)p % alignment);
			memset(p, n, size);
			ASSERT_EQ(size, usable(p));
			release(p);
		}
	}
}

TEST_F(limited, realloc_moves_blocks_in_and_out_of_spans)
{
	size_t size = random_size(&self->seed), next, n;
	unsigned char *p = filled(size, 0);

	for (n = 1; n < rounds(20000); n++) {
		next = rand_r(&self->seed) % 3 ? random_size(&self->seed) : rand_r(&self->seed) % 100000U;
		p = resize(p, next + 1);
		ASSERT_NE(NULL, p);
		ASSERT_TRUE(all_bytes(p, size < next ? size : next, n - 1));
		size = next;
		memset(p, n, size);
	}
	release(p);
}

/* -------------------------------------------------------------------- bad pointers */

/*
 * Each page, and each place where a slab begins, of an array of blocks that fills spans. The sizes are
 * those of all classes of spans.
 */
TEST_F(limited, pointers_into_blocks_of_spans_are_ignored)
{
	static const size_t sizes[] = {
		5184, 5696, 6208, 6848, 7680, 8704, 10048, 11392, 11904, 12480, 13760, 14528,
		15360, 17408, 18688, 20096, 23616, 24832, 25984, 27456, 29056, 30400, 34816,
		37184, 39872,
	};
	unsigned char *blocks[80];
	size_t i, j, at;

	for (j = 0; j < COUNT_OF(sizes); j++) {
		for (i = 0; i < COUNT_OF(blocks); i++)
			blocks[i] = filled(sizes[j], i);
		for (i = 0; i < COUNT_OF(blocks); i++) {
			for (at = 16; at < sizes[j]; at += (uintptr_t)(blocks[i] + at) % 1024 ? 16 : 1008) {
				release(blocks[i] + at);
				ASSERT_EQ(0, usable(blocks[i] + at));
				ASSERT_EQ(NULL, resize(blocks[i] + at, 20000));
			}
		}
		for (i = 0; i < COUNT_OF(blocks); i++) {
			ASSERT_TRUE(all_bytes(blocks[i], sizes[j], i));
			release(blocks[i]);
			release(blocks[i]);
			ASSERT_EQ(0, usable(blocks[i]));
			ASSERT_EQ(NULL, resize(blocks[i], 20000));
		}
	}
}

/* The span is pooled, and its slabs get other classes. */
TEST_F(limited, pointers_into_what_was_a_span_are_ignored)
{
	unsigned char *blocks[400], *small[4000];
	size_t i, n;

	for (n = 0; n < 5; n++) {
		for (i = 0; i < COUNT_OF(blocks); i++)
			blocks[i] = filled(n % 2 ? 26000 : 13700, i);
		for (i = 0; i < COUNT_OF(blocks); i++)
			release(blocks[i]);
		malloc_trim(0);
		for (i = 0; i < COUNT_OF(small); i++)
			small[i] = filled(1500, i);
		for (i = 0; i < COUNT_OF(blocks); i++) {
			/* a small block may begin there */
			if (usable(blocks[i]))
				continue;
			release(blocks[i]);
			ASSERT_EQ(NULL, resize(blocks[i], 100));
		}
		for (i = 0; i < COUNT_OF(small); i++) {
			ASSERT_TRUE(all_bytes(small[i], 1500, i));
			release(small[i]);
		}
	}
}

/* --------------------------------------------------------------- little memory left */

/* Every second slab of a full heap is free: there is no room for a span. */
TEST_F(limited, where_no_span_fits_blocks_come_in_single_slabs)
{
	struct rlimit limit = { .rlim_cur = 200 * MIB, .rlim_max = RLIM_INFINITY };
	static unsigned char *small[250000], *blocks[20000];
	size_t count, freed = 0, got = 0, i;

	if (expert_of_program() >= 0)
		SKIP(return, "the limit does not count memory of the module");
	ASSERT_EQ(0, setrlimit(RLIMIT_DATA, &limit));
	for (count = 0; count < COUNT_OF(small) && (small[count] = allocate(1000)); count++)
		memset(small[count], count, 1000);
	ASSERT_GT(COUNT_OF(small), count);
	for (i = 0; i < count; i++) {
		if ((uintptr_t)small[i] / SLAB % 2)
			continue;
		release(small[i]);
		small[i] = NULL;
		freed += 1000;
	}
	for (i = 0; i < COUNT_OF(blocks) && (blocks[i] = allocate(13700)); i++) {
		memset(blocks[i], i, 13700);
		got += 13700;
	}
	EXPECT_LE(freed / 10 * 7, got) {
		TH_LOG("%zu KiB of %zu", got / 1024, freed / 1024);
	}
	while (i--) {
		EXPECT_TRUE(all_bytes(blocks[i], 13700, i));
		release(blocks[i]);
	}
	for (i = 0; i < count; i++)
		EXPECT_TRUE(!small[i] || all_bytes(small[i], 1000, i));
}

/* ------------------------------------------------------------------------- threads */

#define PLACES	600

/* A place where any thread puts and frees blocks. */
static struct place {
	pthread_mutex_t lock;
	struct block *block;
} places[PLACES];

static void *come_and_go(void *arg)
{
	unsigned int seed = (uintptr_t)arg;
	uintptr_t wrong = 0;
	unsigned long n;

	for (n = rounds(60000); n; n--) {
		struct place *place = &places[rand_r(&seed) % PLACES];
		size_t size = rand_r(&seed) % 4 ? random_size(&seed) : rand_r(&seed) % 3000U;
		struct block *old;

		pthread_mutex_lock(&place->lock);
		old = place->block;
		if (old) {
			wrong += !block_is_intact(old) || usable(old) != sizeof(*old) + old->size;
			release(old);
			/* nobody may have it now but another thread */
			place->block = NULL;
		}
		if (!old || rand_r(&seed) % 2)
			place->block = block_new(size, n);
		pthread_mutex_unlock(&place->lock);
		if (n % 4096 == 0)
			malloc_trim(0);
	}
	return (void *)wrong;
}

TEST_F(limited, threads_free_each_others_blocks)
{
	pthread_t threads[THREADS];
	void *wrong;
	size_t i, n;

	for (i = 0; i < PLACES; i++)
		pthread_mutex_init(&places[i].lock, NULL);
	for (n = 0; n < 3; n++) {
		for (i = 0; i < THREADS; i++)
			ASSERT_EQ(0, pthread_create(&threads[i], NULL, come_and_go, (void *)(n * THREADS + i + 1)));
		for (i = 0; i < THREADS; i++) {
			ASSERT_EQ(0, pthread_join(threads[i], &wrong));
			EXPECT_EQ(NULL, wrong);
		}
	}
	for (i = 0; i < PLACES; i++) {
		if (places[i].block)
			EXPECT_TRUE(block_is_intact(places[i].block));
		release(places[i].block);
	}
	malloc_trim(0);
}

/* The limit may come when threads already have slabs of other classes. */
TEST(a_limit_that_comes_later_changes_no_block)
{
	struct rlimit limit = { .rlim_cur = 8UL << 30, .rlim_max = RLIM_INFINITY };
	unsigned char *blocks[300];
	unsigned int seed = 7;
	size_t sizes[300], i;

	for (i = 0; i < COUNT_OF(blocks); i++) {
		if (i == COUNT_OF(blocks) / 2)
			ASSERT_EQ(0, setrlimit(RLIMIT_DATA, &limit));
		sizes[i] = random_size(&seed);
		blocks[i] = filled(sizes[i], i);
	}
	for (i = 0; i < COUNT_OF(blocks); i++) {
		EXPECT_TRUE(all_bytes(blocks[i], sizes[i], i));
		blocks[i] = resize(blocks[i], sizes[i] / 2);
		EXPECT_TRUE(all_bytes(blocks[i], sizes[i] / 2, i));
		release(blocks[i]);
	}
}

TEST_HARNESS_MAIN
