// SPDX-License-Identifier: GPL-2.0
/*
 * One measure of one allocator: measure-API MEASURE [ARGUMENT]. serve() says how it is
 * driven. Nanoseconds are of one operation unless a line says otherwise.
 */
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>

#include "adapters.h"

static char **arguments;	/* NULL behind the last */
static bool failed;

static void *get(size_t size)
{
	void *block = heap_alloc(size);

	if (!block)
		die("out of memory");
	use(block, size);
	return block;
}

static size_t number(const char *word)
{
	char *end;
	size_t value = word ? strtoul(word, &end, 10) : 0;

	if (!word || !*word || *end)
		die("this measure takes a number");
	return value;
}

/* The best of several runs of @work, by @times. */
static void best(const char *what, void (*work)(void), double times)
{
	uint64_t least = UINT64_MAX, spent;
	int i;

	for (i = 0; i < SLICES; i++) {
		spent = clock_ns();
		work();
		spent = clock_ns() - spent;
		if (spent < least)
			least = spent;
	}
	say(what, least / times);
}

static void put(void *block)
{
	/* not to be written by both threads all the time */
	if (!heap_free(block))
		failed = true;
}

/* Pairs: alloc a block, free it */

#define PAIRS	20000

static size_t pair_size;

static void pair_setup(void)
{
	pair_size = number(arguments[0]);
}

static void pair(void)
{
	int i;

	for (i = 0; i < PAIRS; i++)
		put(get(pair_size));
}

static void pair_round(void)
{
	best("ns", pair, PAIRS);
}

/*
 * The same to count instructions of, under callgrind: nothing is written, and size 0 is the
 * loop alone. Runs of N and 2N differ by what N pairs cost.
 */
static void count_round(void)
{
	size_t i, size = number(arguments[0]), times = number(arguments[1]);

	for (i = 0; i < times; i++) {
		void *block = size ? heap_alloc(size) : NULL;

		__asm__ volatile("" : "+r"(block));
		if (size)
			put(block);
	}
}

/* LIFO: 100 blocks of 16 to 1024 bytes, the last freed first */

#define LIFO_BLOCKS	100
#define LIFO_TIMES	100

static uint16_t lifo_sizes[LIFO_TIMES][LIFO_BLOCKS];

static void lifo_setup(void)
{
	uint64_t seed = 2;
	size_t i;

	for (i = 0; i < LIFO_TIMES * LIFO_BLOCKS; i++)
		(&lifo_sizes[0][0])[i] = random_between(&seed, 16, 1024);
}

static void lifo(void)
{
	void *blocks[LIFO_BLOCKS];
	int i, j;

	for (i = 0; i < LIFO_TIMES; i++) {
		for (j = 0; j < LIFO_BLOCKS; j++)
			blocks[j] = get(lifo_sizes[i][j]);
		while (j--)
			put(blocks[j]);
	}
}

static void lifo_round(void)
{
	best("ns", lifo, LIFO_TIMES * LIFO_BLOCKS);
}

/* Churn: a random one of many blocks is replaced in each step */

#define CHURN_BLOCKS	10000
#define CHURN_STEPS	65536
#define CHURN_SLICE	16384

static struct {
	uint16_t index;
	uint16_t size;
} churn_steps[CHURN_STEPS];

static void *churn_blocks[CHURN_BLOCKS];

static void churn_setup(void)
{
	uint64_t seed = 4;
	int i;

	for (i = 0; i < CHURN_STEPS; i++) {
		churn_steps[i].index = random_next(&seed) % CHURN_BLOCKS;
		churn_steps[i].size = random_between(&seed, 16, 4096);
	}
	for (i = 0; i < CHURN_BLOCKS; i++)
		churn_blocks[i] = get(random_between(&seed, 16, 4096));
}

static void churn(void)
{
	static unsigned int step;
	int i;

	for (i = 0; i < CHURN_SLICE; i++, step = (step + 1) % CHURN_STEPS) {
		void **block = &churn_blocks[churn_steps[step].index];

		put(*block);
		*block = get(churn_steps[step].size);
	}
}

static void churn_round(void)
{
	best("ns", churn, CHURN_SLICE);
}

/* Two threads that are to run at once may otherwise find themselves on one CPU. */
static void pin(unsigned int me)
{
	cpu_set_t all, one;
	unsigned int cpu;

	if (sched_getaffinity(0, sizeof(all), &all))
		die("sched_getaffinity failed");
	me %= CPU_COUNT(&all);
	for (cpu = 0; !CPU_ISSET(cpu, &all) || me--; cpu++)
		;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	sched_setaffinity(0, sizeof(one), &one);
}

/* Producer and consumer: one thread allocates, another one frees */

#define BATCH		64
#define BATCHES		16	/* on their way at most */
#define REMOTE_BATCHES	200	/* in a slice */

static void *ring[BATCHES][BATCH];
static unsigned int produced, consumed;
static sem_t remote_go;
static uint16_t remote_sizes[4096];

static void wait_while(const unsigned int *counter, unsigned int value)
{
	int spins = 0;

	while (__atomic_load_n(counter, __ATOMIC_ACQUIRE) == value) {
		__builtin_ia32_pause();
		/* the other one may have no CPU */
		if (++spins % 256 == 0)
			sched_yield();
	}
}

static void *consumer(void *arg)
{
	int i;

	pin(1);
	for (;;) {
		unsigned int n = consumed;

		if (n % REMOTE_BATCHES == 0)
			sem_wait(&remote_go);
		wait_while(&produced, n);
		for (i = 0; i < BATCH; i++)
			put(ring[n % BATCHES][i]);
		__atomic_store_n(&consumed, n + 1, __ATOMIC_RELEASE);
	}
	return arg;
}

static void remote_setup(void)
{
	uint64_t seed = 5;
	pthread_t thread;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(remote_sizes); i++)
		remote_sizes[i] = random_between(&seed, 16, 1024);
	if (sem_init(&remote_go, 0, 0) || pthread_create(&thread, NULL, consumer, NULL))
		die("no thread");
	pin(0);
}

static void remote(void)
{
	int i, j;

	sem_post(&remote_go);
	for (i = 0; i < REMOTE_BATCHES; i++) {
		unsigned int n = produced;

		wait_while(&consumed, n - BATCHES);
		for (j = 0; j < BATCH; j++)
			ring[n % BATCHES][j] = get(remote_sizes[(n * BATCH + j) %
							       ARRAY_SIZE(remote_sizes)]);
		__atomic_store_n(&produced, n + 1, __ATOMIC_RELEASE);
	}
	while (__atomic_load_n(&consumed, __ATOMIC_ACQUIRE) != produced)
		sched_yield();
}

static void remote_round(void)
{
	best("ns", remote, REMOTE_BATCHES * BATCH);
}

/* Two threads, each with blocks of its own, against one */

#define SCALE_BLOCKS	100
#define SCALE_STEPS	30000

static pthread_barrier_t scale_barrier;
static uint64_t scale_begun[2], scale_ended[2];
static unsigned int scale_threads, scale_arrived;

static void scale_work(unsigned int me)
{
	void *blocks[SCALE_BLOCKS];
	unsigned int i;

	for (i = 0; i < SCALE_BLOCKS; i++)
		blocks[i] = get(64);
	/* a barrier wakes the one later than the other */
	__atomic_add_fetch(&scale_arrived, 1, __ATOMIC_ACQ_REL);
	for (i = 1; __atomic_load_n(&scale_arrived, __ATOMIC_ACQUIRE) < scale_threads; i++)
		if (i % 4096 == 0)
			sched_yield();
	scale_begun[me] = clock_ns();
	for (i = 0; i < SCALE_STEPS; i++) {
		unsigned int step = (i + me * CHURN_STEPS / 2) % CHURN_STEPS;
		void **block = &blocks[churn_steps[step].index % SCALE_BLOCKS];

		put(*block);
		*block = get(churn_steps[step].size / 4 + 1);
	}
	scale_ended[me] = clock_ns();
	for (i = 0; i < SCALE_BLOCKS; i++)
		put(blocks[i]);
}

static void *scale_thread(void *arg)
{
	unsigned int me = *(unsigned int *)arg;

	pin(me);
	for (;;) {
		pthread_barrier_wait(&scale_barrier);
		if (me < scale_threads)
			scale_work(me);
		pthread_barrier_wait(&scale_barrier);
	}
	return arg;
}

static void scale_setup(void)
{
	static unsigned int me[2] = { 0, 1 };
	pthread_t thread;

	churn_setup();
	pthread_barrier_init(&scale_barrier, NULL, 3);
	if (pthread_create(&thread, NULL, scale_thread, &me[0]) ||
	    pthread_create(&thread, NULL, scale_thread, &me[1]))
		die("no thread");
}

static uint64_t scale_run(unsigned int threads)
{
	scale_threads = threads;
	scale_arrived = 0;
	pthread_barrier_wait(&scale_barrier);
	pthread_barrier_wait(&scale_barrier);
	if (threads == 1)
		return scale_ended[0] - scale_begun[0];
	return (scale_ended[0] > scale_ended[1] ? scale_ended[0] : scale_ended[1]) -
	       (scale_begun[0] < scale_begun[1] ? scale_begun[0] : scale_begun[1]);
}

static void scale_round(void)
{
	say("one", scale_run(1));
	say("two", scale_run(2));
}

/* A block grows from 64 bytes to 64 MiB, each new page is touched; time of the whole */

#define GROWN	(64 * MIB)

static void grow(bool doubling)
{
	size_t size = 64, old, moves = 0, i;
	uint64_t begun = clock_ns();
	char *block = get(size), *moved;

	while (size < GROWN) {
		old = size;
		size = doubling ? size * 2 : (size + PAGE) & -PAGE;
		moved = heap_realloc(block, size);
		if (!moved)
			die("out of memory");
		moves += old >= MIB && moved != block;
		block = moved;
		for (i = old; i < size; i = (i + PAGE) & -PAGE)
			block[i] = 1;
		use(block, size);
	}
	put(block);
	say("us", (clock_ns() - begun) / 1e3);
	say("moves", moves);
}

static void grow_round(void)
{
	if (!arguments[0])
		die("grow double, or grow step");
	grow(!strcmp(arguments[0], "double"));
}

/* The end of a client that has 1,000,000 live blocks of 64 to 256 bytes; milliseconds */

#define MANY	1000000

static void **many;
static uint16_t *many_sizes;

static void close_setup(void)
{
	uint64_t seed = 9;
	int i;

	/* not from the allocator that is measured */
	heap_close();
	many = malloc(MANY * sizeof(*many));
	many_sizes = malloc(MANY * sizeof(*many_sizes));
	if (!many || !many_sizes)
		die("out of memory");
	for (i = 0; i < MANY; i++)
		many_sizes[i] = random_between(&seed, 64, 256);
}

static void fill(void)
{
	int i;

	heap_open();
	for (i = 0; i < MANY; i++)
		many[i] = get(many_sizes[i]);
}

#ifdef HEAP_WALKS
static int visit(void *block, size_t size, void *arg)
{
	(void)block;
	*(size_t *)arg += size;
	return 0;
}

static void walk(void)
{
	size_t bytes = 0, expected = 0;
	uint64_t begun = clock_ns();
	int i;

	expertmem_walk(heap, visit, &bytes);
	say("walk", (clock_ns() - begun) / 1e6);
	for (i = 0; i < MANY; i++)
		expected += many_sizes[i];
	failed |= bytes != expected;
}
#endif

static void free_all(void)
{
	uint64_t begun;
	int i;

	fill();
#ifdef HEAP_WALKS
	walk();
#endif
	begun = clock_ns();
	for (i = 0; i < MANY; i++)
		put(many[i]);
	heap_close();	/* so that here, too, the memory is given back */
	say("free", (clock_ns() - begun) / 1e6);
}

static void close_round(void)
{
	size_t before = resident_bytes(), full;
	uint64_t begun;

	free_all();
	fill();
	full = resident_bytes();
	begun = clock_ns();
	heap_close();
	say("close", (clock_ns() - begun) / 1e6);
	say("full_mib", (full - before) / (double)MIB);
	say("kept_mib", ((double)resident_bytes() - before) / MIB);
}

static const struct {
	const char *name;
	void (*setup)(void);
	void (*round)(void);
} measures[] = {
	{ "pair", pair_setup, pair_round },
	{ "count", NULL, count_round },
	{ "lifo", lifo_setup, lifo_round },
	{ "churn", churn_setup, churn_round },
	{ "remote", remote_setup, remote_round },
	{ "scale", scale_setup, scale_round },
	{ "grow", NULL, grow_round },
	{ "close", close_setup, close_round },
};

int main(int argc, char **argv)
{
	size_t i;

	if (argc < 2)
		die("which measure?");
	for (i = 0; i < ARRAY_SIZE(measures) && strcmp(measures[i].name, argv[1]); i++)
		;
	if (i == ARRAY_SIZE(measures))
		die("this allocator has no such measure");
	arguments = argv + 2;
	heap_open();
	if (measures[i].setup)
		measures[i].setup();
	serve(measures[i].round);
	if (failed)
		die("a block could not be freed");
	return 0;
}
