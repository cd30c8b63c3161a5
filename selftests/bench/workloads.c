// SPDX-License-Identifier: GPL-2.0
/*
 * The programs that allocators are usually compared with, written afresh from what is
 * published about them. They call malloc and free, whoever's these are (LD_PRELOAD), and
 * look whether every byte of every block is still what they wrote.
 *
 *	larson		servers, whose threads end and leave their blocks to the next one
 *			(Larson and Krishnan, 1998)
 *	xmalloc		threads that allocate, and others that free (Lever and Boreham, 2000)
 *	cache-scratch	a block from another thread is freed, then small ones are written
 *			to: does the allocator give two threads one cache line? (Berger, 2000)
 *	cache-thrash	the same without the gift
 *	mstress		threads come and go, some blocks stay, some change hands (Leijen, 2019)
 *	sh6bench	batches of mixed, mostly small sizes, freed in either order
 *			(MicroQuill, 1999)
 *	sh8bench	the same by several threads, each of which frees what another one made
 *			(MicroQuill, 2000)
 *	alloc-test	random blocks of a large set are replaced; sizes are mostly small
 *			(OLogN, 2018)
 *	malloc-large	blocks of 5 to 25 MiB, with one byte written in each page (Leijen, 2019)
 *	glibc-simple	many blocks of one size, freed in the order of their allocation
 *			(bench-malloc-simple of the GNU C library)
 *	glibc-thread	threads replace random blocks of a small set; sizes by an inverse square
 *			(bench-malloc-thread of the GNU C library)
 *	rptest		threads replace random blocks of up to 16,000 bytes, and hand half of
 *			them on (Jansson, 2017)
 *	mleak		threads that allocate little and end, one after the other (Leijen, 2019)
 *	phases		five phases, each with other sizes; nine of ten blocks of the last phase
 *			are freed while 40 MiB are allocated
 *	sparse		500 MB of blocks of 5 to 32 KiB, of each of which one byte is written
 *	cfrac		factors numbers; a small block for every operation (Barrett, 1989)
 */
#include <pthread.h>
#include <semaphore.h>
#include <sys/mman.h>

#include "workload.h"

static unsigned int work;	/* scale of what each thread does, 100 is normal */

/* larson */

#define LARSON_BLOCKS		10000
#define LARSON_GENERATIONS	20

struct server {
	struct block *blocks[LARSON_BLOCKS];
	uint64_t seed;
	int generation;
};

static sem_t larson_ended;

/* Replace blocks, most of them one's predecessors', then leave all to a successor. */
static void *larson_thread(void *arg)
{
	struct server *server = arg;
	pthread_t successor;
	unsigned int i;

	for (i = 0; i < work * 1000; i++) {
		struct block **block = &server->blocks[random_next(&server->seed) %
						       LARSON_BLOCKS];

		block_free(*block);
		*block = block_new(random_between(&server->seed, 10, 500));
	}
	if (++server->generation == LARSON_GENERATIONS)
		sem_post(&larson_ended);
	else if (pthread_create(&successor, NULL, larson_thread, server))
		wrong("no more threads");
	pthread_detach(pthread_self());
	return NULL;
}

void larson(unsigned int threads, unsigned int scale)
{
	struct server *servers[MAX_THREADS];
	pthread_t id;
	unsigned int i, j;

	work = scale;
	sem_init(&larson_ended, 0, 0);
	for (i = 0; i < threads; i++) {
		servers[i] = checked(calloc(1, sizeof(struct server)));
		servers[i]->seed = i + 1;
		for (j = 0; j < LARSON_BLOCKS; j++)
			servers[i]->blocks[j] = block_new(random_between(&servers[i]->seed,
									 10, 500));
	}
	for (i = 0; i < threads; i++)
		if (pthread_create(&id, NULL, larson_thread, servers[i]))
			wrong("no more threads");
	for (i = 0; i < threads; i++)
		sem_wait(&larson_ended);
	live_phase_ends();
	for (i = 0; i < threads; i++) {
		for (j = 0; j < LARSON_BLOCKS; j++)
			block_free(servers[i]->blocks[j]);
		free(servers[i]);
	}
}

/* xmalloc: every other thread allocates batches, the rest frees them */

#define XMALLOC_BATCH	1000
#define XMALLOC_QUEUE	20

struct batch {
	struct batch *next;
	struct block *blocks[XMALLOC_BATCH];
};

static pthread_mutex_t queue_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t queue_changed = PTHREAD_COND_INITIALIZER;
static struct batch *queue;
static int queued;

static void queue_put(struct batch *batch)
{
	pthread_mutex_lock(&queue_lock);
	while (queued == XMALLOC_QUEUE)
		pthread_cond_wait(&queue_changed, &queue_lock);
	batch->next = queue;
	queue = batch;
	queued++;
	pthread_cond_broadcast(&queue_changed);
	pthread_mutex_unlock(&queue_lock);
}

static struct batch *queue_get(void)
{
	struct batch *batch;

	pthread_mutex_lock(&queue_lock);
	while (!queued)
		pthread_cond_wait(&queue_changed, &queue_lock);
	batch = queue;
	queue = batch->next;
	queued--;
	pthread_cond_broadcast(&queue_changed);
	pthread_mutex_unlock(&queue_lock);
	return batch;
}

static void batch_free(struct batch *batch)
{
	unsigned int i;

	for (i = 0; i < XMALLOC_BATCH; i++)
		block_free(batch->blocks[i]);
	free(batch);
}

static struct batch *batch_new(uint64_t *seed)
{
	struct batch *batch = checked(malloc(sizeof(*batch)));
	unsigned int i;

	for (i = 0; i < XMALLOC_BATCH; i++)
		batch->blocks[i] = block_new(random_between(seed, 16, 256));
	return batch;
}

static unsigned int pairs;

/* Consumers stop earlier, and leave some batches. */
static void *xmalloc_thread(void *arg)
{
	uint64_t seed = (uintptr_t)arg + 1;
	unsigned int i, batches = work * 25;

	if ((uintptr_t)arg % 2) {
		for (i = 0; i < batches - XMALLOC_QUEUE / pairs; i++)
			batch_free(queue_get());
	} else {
		for (i = 0; i < batches; i++)
			queue_put(batch_new(&seed));
	}
	return NULL;
}

void xmalloc(unsigned int threads, unsigned int scale)
{
	work = scale;
	pairs = (threads + 1) / 2;
	run_threads(pairs * 2, xmalloc_thread);
	live_phase_ends();
	while (queued)
		batch_free(queue_get());
}

/* cache-scratch, cache-thrash: is a thread's small block in a line of its own? */

#define CACHE_BYTES	8
#define CACHE_WRITES	500

static unsigned char *gifts[MAX_THREADS];

static void *cache_thread(void *arg)
{
	uintptr_t me = (uintptr_t)arg;
	unsigned int i, j, k;

	free(gifts[me]);
	for (i = 0; i < work * 1500; i++) {
		volatile unsigned char *bytes = checked(malloc(CACHE_BYTES));

		for (k = 0; k < CACHE_BYTES; k++)
			bytes[k] = me;
		for (j = 0; j < CACHE_WRITES; j++)
			for (k = 0; k < CACHE_BYTES; k++)
				bytes[k]++;
		for (k = 0; k < CACHE_BYTES; k++)
			if (bytes[k] != (unsigned char)(me + CACHE_WRITES))
				wrong("a byte of a block has changed");
		free((void *)bytes);
	}
	if (!me)
		live_phase_ends();
	return NULL;
}

void cache_thrash(unsigned int threads, unsigned int scale)
{
	work = scale;
	run_threads(threads, cache_thread);
}

void cache_scratch(unsigned int threads, unsigned int scale)
{
	unsigned int i;

	for (i = 0; i < threads; i++)
		gifts[i] = checked(malloc(CACHE_BYTES));
	cache_thrash(threads, scale);
}

/* mstress: what a thread leaves in "shared" is taken by some other, perhaps much later */

#define MSTRESS_THREADS	12	/* one after the other, for each that runs at a time */
#define MSTRESS_SHARED	2000
#define MSTRESS_OWN	5000

static struct block *shared[MSTRESS_SHARED];

/* Most are small; one in 500 has pages. */
static size_t mstress_size(uint64_t *seed)
{
	unsigned int max = 32U << random_next(seed) % 6;

	if (random_next(seed) % 500 == 0)
		max *= 64;
	return random_between(seed, 16, max);
}

static struct block *mstress_new(uint64_t *seed)
{
	size_t size = mstress_size(seed), i;
	unsigned char *zeros;

	if (random_next(seed) % 8)
		return block_new(size);
	zeros = checked(calloc(1, size));
	for (i = 0; i < size; i++)
		if (zeros[i])
			wrong("calloc gave a byte that is not zero");
	block_fill((struct block *)zeros, size);
	return (struct block *)zeros;
}

static void *mstress_thread(void *arg)
{
	struct block **own = checked(calloc(MSTRESS_OWN, sizeof(*own)));
	static unsigned int threads;
	uint64_t seed = __atomic_add_fetch(&threads, 1, __ATOMIC_RELAXED);
	unsigned int i;

	for (i = 0; i < work * 1200; i++) {
		struct block **block = &own[random_next(&seed) % MSTRESS_OWN];

		switch (random_next(&seed) % 8) {
		case 0:
			*block = __atomic_exchange_n(&shared[random_next(&seed) % MSTRESS_SHARED],
						     *block, __ATOMIC_ACQ_REL);
			break;
		case 1:
			if (*block)
				*block = block_resize(*block, mstress_size(&seed));
			break;
		default:
			block_free(*block);
			*block = mstress_new(&seed);
		}
	}
	for (i = 0; i < MSTRESS_OWN; i++)
		block_free(own[i]);
	free(own);
	return arg;
}

void mstress(unsigned int threads, unsigned int scale)
{
	unsigned int i;

	work = scale;
	for (i = 0; i < MSTRESS_THREADS; i++)
		run_threads(threads, mstress_thread);
	live_phase_ends();
	for (i = 0; i < MSTRESS_SHARED; i++)
		block_free(shared[i]);
}

/* sh6bench: batches; most of a batch is freed with it, some blocks stay for long */

#define SH6_BATCH	20000
#define SH6_KEPT	20	/* one of so many stays, for as many batches */

static void *sh6_thread(void *arg)
{
	struct block **blocks = checked(malloc(SH6_BATCH * sizeof(*blocks)));
	struct block **kept = checked(calloc(SH6_BATCH, sizeof(*kept)));
	uint64_t seed = (uintptr_t)arg + 1;
	unsigned int i, j, used;

	for (i = 0; i < work * 2; i++) {
		for (j = 0; j < SH6_BATCH; j++)
			/* half of them below 64 bytes, a quarter below 128, ... */
			blocks[j] = block_new(random_between(&seed, 8, 64 << __builtin_ctz(
							     random_next(&seed) | 16)));
		used = i % SH6_KEPT * (SH6_BATCH / SH6_KEPT);
		for (j = 0; j < SH6_BATCH; j += SH6_KEPT) {
			struct block **place = &kept[used++];

			block_free(*place);
			*place = blocks[j];
			blocks[j] = NULL;
		}
		for (j = 0; j < SH6_BATCH; j += 2)
			block_free(blocks[j]);
		for (j = SH6_BATCH; j > 0; j -= 2)
			block_free(blocks[j - 1]);
	}
	if (!arg)
		live_phase_ends();
	for (j = 0; j < SH6_BATCH; j++)
		block_free(kept[j]);
	free(kept);
	free(blocks);
	return NULL;
}

void sh6bench(unsigned int threads, unsigned int scale)
{
	work = scale;
	run_threads(threads, sh6_thread);
}

/* sh8bench: each thread frees the blocks that its neighbour has left in a batch */

#define SH8_BATCH	2000

static struct block **sh8_batches[MAX_THREADS];
static unsigned int sh8_threads;

static void *sh8_thread(void *arg)
{
	uint64_t seed = (uintptr_t)arg + 1;
	unsigned int i, j;

	for (i = 0; i < work * 20; i++) {
		struct block **batch = checked(malloc(SH8_BATCH * sizeof(*batch)));

		for (j = 0; j < SH8_BATCH; j++)
			batch[j] = block_new(random_between(&seed, 8, 64 << __builtin_ctz(
							    random_next(&seed) | 16)));
		batch = __atomic_exchange_n(&sh8_batches[((uintptr_t)arg + i) % sh8_threads],
					    batch, __ATOMIC_ACQ_REL);
		for (j = 0; batch && j < SH8_BATCH; j++)
			block_free(batch[j]);
		free(batch);
	}
	return NULL;
}

void sh8bench(unsigned int threads, unsigned int scale)
{
	unsigned int i, j;

	work = scale;
	sh8_threads = threads;
	run_threads(threads, sh8_thread);
	live_phase_ends();
	for (i = 0; i < threads; i++) {
		for (j = 0; sh8_batches[i] && j < SH8_BATCH; j++)
			block_free(sh8_batches[i][j]);
		free(sh8_batches[i]);
	}
}

static void free_all(struct block **blocks, unsigned int count)
{
	unsigned int i;

	for (i = 0; i < count; i++)
		block_free(blocks[i]);
}

/*
 * In a thread: replace random ones of @count blocks, @times times, and free all. @size: the size of a
 * new one. A block that is exchanged with one of @others may come from another thread.
 */
static void *replace(void *arg, unsigned int count, unsigned long times,
		     size_t (*size)(uint64_t *seed), struct block **others)
{
	struct block **own = checked(calloc(count, sizeof(*own)));
	uint64_t seed = (uintptr_t)arg + 1;

	while (times--) {
		struct block **block = &own[random_next(&seed) % count];

		if (others && random_next(&seed) % 2)
			*block = __atomic_exchange_n(&others[random_next(&seed) % count], *block,
						     __ATOMIC_ACQ_REL);
		block_free(*block);
		*block = block_new(size(&seed));
	}
	if (!arg)
		live_phase_ends();
	free_all(own, count);
	free(own);
	return NULL;
}

/* alloc-test */

#define ALLOC_TEST_BLOCKS	50000

static size_t alloc_test_size(uint64_t *seed)
{
	return random_between(seed, 8, 16 << random_next(seed) % 7);
}

static void *alloc_test_thread(void *arg)
{
	return replace(arg, ALLOC_TEST_BLOCKS, work * 20000UL, alloc_test_size, NULL);
}

void alloc_test(unsigned int threads, unsigned int scale)
{
	work = scale;
	run_threads(threads, alloc_test_thread);
}

/* malloc-large */

#define LARGE_BLOCKS	20

void malloc_large(unsigned int threads, unsigned int scale)
{
	unsigned char *blocks[LARGE_BLOCKS] = { NULL };
	uint64_t seed = threads;
	unsigned int i;

	for (i = 0; i < scale * 2; i++) {
		unsigned int place = random_next(&seed) % LARGE_BLOCKS;
		size_t size = random_between(&seed, 5 * MIB, 25 * MIB), at;

		if (blocks[place] && *blocks[place] != place)
			wrong("a byte of a block has changed");
		free(blocks[place]);
		blocks[place] = checked(malloc(size));
		for (at = 0; at < size; at += 4096)
			blocks[place][at] = place;
	}
	live_phase_ends();
	for (i = 0; i < LARGE_BLOCKS; i++)
		free(blocks[i]);
}

/* glibc-simple, glibc-thread */

#define SIMPLE_BLOCKS	1600
#define THREAD_BLOCKS	1024

void glibc_simple(unsigned int threads, unsigned int scale)
{
	static struct block *blocks[SIMPLE_BLOCKS];
	unsigned int i, j;
	size_t size;

	(void)threads;
	for (i = 0; i < scale * 2; i++)
		for (size = 16; size <= 512; size *= 2) {
			for (j = 0; j < SIMPLE_BLOCKS; j++)
				blocks[j] = block_new(size);
			if (i == scale && size == 512)
				live_phase_ends();
			free_all(blocks, SIMPLE_BLOCKS);
		}
}

/* A size x of 8 to 32768, whose probability is as 1/x². */
static size_t inverse_square(uint64_t *seed)
{
	double random = (double)(random_next(seed) % 1000000) / 1000000;

	return 8 / (1 - random * (1 - 8.0 / 32768));
}

static void *glibc_thread_main(void *arg)
{
	return replace(arg, THREAD_BLOCKS, work * 50000UL, inverse_square, NULL);
}

void glibc_thread(unsigned int threads, unsigned int scale)
{
	work = scale;
	run_threads(threads, glibc_thread_main);
}

/* rptest */

#define RPTEST_BLOCKS	5000

static struct block *rptest_shared[RPTEST_BLOCKS];

static size_t rptest_size(uint64_t *seed)
{
	return random_between(seed, 16, 16 << random_next(seed) % 10) + random_next(seed) % 500;
}

static void *rptest_thread(void *arg)
{
	return replace(arg, RPTEST_BLOCKS, work * 4000UL, rptest_size, rptest_shared);
}

void rptest(unsigned int threads, unsigned int scale)
{
	work = scale;
	run_threads(threads, rptest_thread);
	free_all(rptest_shared, RPTEST_BLOCKS);
}

/* mleak */

#define MLEAK_BLOCKS	100

static void *mleak_thread(void *arg)
{
	return replace(arg, MLEAK_BLOCKS, MLEAK_BLOCKS, alloc_test_size, NULL);
}

void mleak(unsigned int threads, unsigned int scale)
{
	unsigned int i;

	for (i = 0; i < scale * 20; i++)
		run_threads(threads, mleak_thread);
}

/* phases */

#define PHASES_BLOCKS	800000

void phases(unsigned int threads, unsigned int scale)
{
	static const uint32_t sizes[][2] = {
		{ 16, 128 }, { 100, 800 }, { 600, 4000 }, { 3000, 20000 }, { 40, 300 },
	};
	static struct block *blocks[PHASES_BLOCKS] __attribute__((aligned(PAGE)));
	unsigned int phase, kept, count = 0, i;
	uint64_t seed = threads;
	size_t bytes;

	for (phase = 0; phase < ARRAY_SIZE(sizes); phase++) {
		for (i = 0, kept = 0; i < count; i++) {
			if (random_next(&seed) % 10)
				block_free(blocks[i]);
			else
				blocks[kept++] = blocks[i];
		}
		for (count = kept, bytes = 0; bytes < scale * 4 * MIB / 10 && count < PHASES_BLOCKS;
		     bytes += blocks[count++]->size)
			blocks[count] = block_new(random_between(&seed, sizes[phase][0],
								 sizes[phase][1]));
	}
	live_phase_ends();
	for (i = 0; i < count; i++)
		block_free(blocks[i]);
	/* The array does not count for what is left. */
	madvise(blocks, sizeof(blocks), MADV_DONTNEED);
}

/* sparse */

#define SPARSE_BYTES	500000000

void sparse(unsigned int threads, unsigned int scale)
{
	static char *blocks[SPARSE_BYTES / 5120];
	unsigned int count = 0, i;
	uint64_t seed = threads;
	size_t bytes = 0;

	while (bytes < scale * (size_t)(SPARSE_BYTES / 100) && count < ARRAY_SIZE(blocks)) {
		size_t size = random_between(&seed, 5120, 32768);

		blocks[count] = checked(malloc(size));
		blocks[count++][random_next(&seed) % size] = 1;
		bytes += size;
	}
	live_phase_ends();
	for (i = 0; i < count; i++)
		free(blocks[i]);
}
