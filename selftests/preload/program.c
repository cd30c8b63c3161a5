// SPDX-License-Identifier: GPL-2.0
/*
 * The malloc family in programs with threads, signals and plug-ins. Except for the tests of
 * signals, they pass with the C library's malloc, too. Run them with libexpertmem-malloc.so
 * preloaded.
 *
 * needs: module native preload
 */
#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/uio.h>

#include "malloc_test.h"

FIXTURE(program) {
	struct heap heap;
};

FIXTURE_SETUP(program)
{
	self->heap.seed = 1;
	ASSERT_TRUE(heap_churn(&self->heap, 1000));
}

/* Whatever a test did, the heap has taken no harm. */
FIXTURE_TEARDOWN(program)
{
	EXPECT_TRUE(heap_churn(&self->heap, 1000));
	EXPECT_TRUE(heap_is_intact(&self->heap));
	heap_free(&self->heap);
}

/* ------------------------------------------------------------------------ threads */

#define RING 512

/* One thread allocates, the next one checks and frees. */
struct ring {
	struct block *blocks[RING];
	struct ring *next;
	unsigned int seed;
	unsigned long steps;
};

static void *pass_on(void *arg)
{
	struct ring *ring = arg;
	unsigned long put = 0, got = 0;
	bool intact = true;

	while (got < ring->steps || put < ring->steps) {
		struct block **slot = &ring->blocks[got % RING];
		struct block *block = __atomic_exchange_n(slot, NULL, __ATOMIC_ACQUIRE);

		if (block) {
			intact &= block_is_intact(block);
			release(block);
			got++;
		}
		slot = &ring->next->blocks[put % RING];
		if (put < ring->steps && !__atomic_load_n(slot, __ATOMIC_RELAXED)) {
			block = block_new(some_size(&ring->seed), put);
			__atomic_store_n(slot, block, __ATOMIC_RELEASE);
			put++;
		} else if (!block) {
			sched_yield();
		}
	}
	return (void *)intact;
}

TEST_F(program, threads_free_what_others_have_allocated)
{
	static struct ring rings[THREADS];
	pthread_t threads[THREADS];
	void *intact;
	size_t i;

	for (i = 0; i < THREADS; i++) {
		rings[i].next = &rings[(i + 1) % THREADS];
		rings[i].seed = i;
		rings[i].steps = rounds(50000);
	}
	for (i = 0; i < THREADS; i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, pass_on, &rings[i]));
	for (i = 0; i < THREADS; i++) {
		ASSERT_EQ(0, pthread_join(threads[i], &intact));
		EXPECT_TRUE(intact);
	}
}

static void *short_life(void *arg)
{
	struct block *kept = block_new(100, 1), *freed = block_new(3000, 2);
	bool intact = !arg || block_is_intact(arg);

	intact &= block_is_intact(freed);
	release(freed);
	release(arg);
	return intact ? kept : NULL;
}

TEST_F(program, ten_thousand_threads_come_and_go)
{
	unsigned long i, count = rounds(10000);
	struct block *block = NULL;
	pthread_t thread;
	void *next;

	for (i = 0; i < count; i++) {
		ASSERT_EQ(0, pthread_create(&thread, NULL, short_life, block));
		ASSERT_EQ(0, pthread_join(thread, &next));
		ASSERT_NE(NULL, next);
		block = next;
	}
	EXPECT_TRUE(block_is_intact(block));
	release(block);
}

static pthread_key_t thread_key;
static int destroyed;

/* Also after the thread's other destructors, in another round. */
static void destroy(void *value)
{
	struct block *block = value, *next;

	if (block_is_intact(block))
		__atomic_add_fetch(&destroyed, 1, __ATOMIC_RELAXED);
	if (block->byte) {
		next = block_new(block->size * 2, block->byte - 1);
		pthread_setspecific(thread_key, next);
	}
	release(block);
}

static void *set_value(void *arg)
{
	pthread_setspecific(thread_key, block_new(1000, 2));
	return arg;
}

TEST_F(program, destructors_of_threads_allocate_and_free)
{
	pthread_t threads[100];
	size_t i;

	ASSERT_EQ(0, pthread_key_create(&thread_key, destroy));
	for (i = 0; i < COUNT_OF(threads); i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, set_value, NULL));
	for (i = 0; i < COUNT_OF(threads); i++)
		ASSERT_EQ(0, pthread_join(threads[i], NULL));
	EXPECT_EQ(3 * COUNT_OF(threads), destroyed);
	pthread_key_delete(thread_key);
}

static void *cancelled(void *arg)
{
	struct heap heap = { .seed = (uintptr_t)arg };

	while (heap_churn(&heap, 10))
		pthread_testcancel();
	return NULL;
}

TEST_F(program, threads_are_cancelled)
{
	pthread_t threads[50];
	void *end;
	size_t i;

	for (i = 0; i < COUNT_OF(threads); i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, cancelled, (void *)i));
	for (i = 0; i < COUNT_OF(threads); i++) {
		ASSERT_EQ(0, pthread_cancel(threads[i]));
		ASSERT_EQ(0, pthread_join(threads[i], &end));
		EXPECT_EQ(PTHREAD_CANCELED, end);
	}
}

/* ------------------------------------------------------------------------ signals */

/* While one thread is in the handler, the next signal interrupts another one. */
static __thread struct heap signal_heap;
static int signals_seen, signals_bad;

static void allocate_in_handler(int sig)
{
	if (!heap_churn(&signal_heap, 5))
		__atomic_add_fetch(&signals_bad, 1, __ATOMIC_RELAXED);
	__atomic_add_fetch(&signals_seen, 1, __ATOMIC_RELAXED);
}

static void *churn_under_signals(void *arg)
{
	void *intact = churn_until_stopped(arg);

	return heap_is_intact(&signal_heap) ? intact : NULL;
}

TEST_F(program, signal_handlers_allocate_in_the_middle_of_malloc)
{
	const struct itimerval often = { { 0, 500 }, { 0, 500 } }, never = {};
	struct sigaction action = { .sa_handler = allocate_in_handler };
	struct heap other = { .seed = 2 };
	pthread_t thread;
	void *intact;

	if (!is_experts_malloc())
		SKIP_TEST("needs libexpertmem-malloc.so: the C library's malloc cannot do this");
	signal_heap.seed = 3;
	ASSERT_EQ(0, sigaction(SIGALRM, &action, NULL));
	ASSERT_EQ(0, pthread_create(&thread, NULL, churn_under_signals, &other));
	ASSERT_EQ(0, setitimer(ITIMER_REAL, &often, NULL));
	while (__atomic_load_n(&signals_seen, __ATOMIC_RELAXED) < (int)rounds(2000))
		ASSERT_TRUE(heap_churn(&self->heap, 100));
	ASSERT_EQ(0, setitimer(ITIMER_REAL, &never, NULL));
	stop_all(true);
	ASSERT_EQ(0, pthread_join(thread, &intact));
	stop_all(false);
	EXPECT_TRUE(intact);
	EXPECT_EQ(0, signals_bad);
	EXPECT_TRUE(heap_is_intact(&signal_heap));
}

/* ------------------------------------------------------------------------- dlopen */

TEST_F(program, libraries_are_loaded_and_unloaded)
{
	unsigned long i, count = rounds(200);

	for (i = 0; i < count; i++) {
		void *library = dlopen("libexpertmem.so.1", RTLD_NOW | RTLD_LOCAL);

		ASSERT_NE(NULL, library) {
			TH_LOG("%s", dlerror());
		}
		ASSERT_NE(NULL, dlsym(library, "expertmem_open"));
		ASSERT_EQ(NULL, dlopen("no such library", RTLD_NOW));
		ASSERT_NE(NULL, dlerror());
		ASSERT_EQ(0, dlclose(library));
		ASSERT_TRUE(heap_churn(&self->heap, 20));
	}
}

/* Where nobody has loaded the C++ library for all, new must find how it fails. */
TEST_F(program, new_throws_in_a_plug_in_of_a_program_in_c)
{
	char path[4096] = "";
	int (*new_throws)(void);
	void *library;

	ASSERT_LT(0, readlink("/proc/self/exe", path, sizeof(path) - 32));
	strcpy(strrchr(path, '/'), "/programs/plugin.so");
	library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	ASSERT_NE(NULL, library) {
		TH_LOG("%s", dlerror());
	}
	new_throws = (int (*)(void))dlsym(library, "new_throws");
	ASSERT_NE(NULL, new_throws);
	EXPECT_EQ(1, new_throws());
}

/* ---------------------------------------------------------------------- RLIMIT_AS */

static int limit_addresses(rlim_t bytes)
{
	const struct rlimit limit = { .rlim_cur = bytes, .rlim_max = RLIM_INFINITY };

	return setrlimit(RLIMIT_AS, &limit);
}

static bool can_map(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p != MAP_FAILED && !munmap(p, size);
}

TEST_F(program, limit_on_addresses_moves_the_heap)
{
	struct block *large = block_new(20 * MIB, 77);
	pid_t child;

	ASSERT_EQ(0, limit_addresses(4 * GIB));
	EXPECT_EQ(-1, expert_of_program());
	EXPECT_TRUE(can_map(GIB));
	EXPECT_TRUE(heap_is_intact(&self->heap));
	EXPECT_TRUE(heap_churn(&self->heap, 1000));
	child = fork();
	if (!child)
		_exit(!heap_is_intact(&self->heap) || !heap_churn(&self->heap, 1000) ||
		      !block_is_intact(large));
	EXPECT_EQ(0, child_status(child));
	EXPECT_TRUE(block_is_intact(large));
	release(large);
	EXPECT_EQ(0, limit_addresses(2 * GIB));
}

TEST_F(program, invalid_limit_on_addresses_moves_nothing)
{
	const struct rlimit odd = { .rlim_cur = 2, .rlim_max = 1 };
	int fd = expert_of_program();

	EXPECT_EQ(-1, setrlimit(RLIMIT_AS, &odd));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, setrlimit(RLIMIT_AS, (const struct rlimit *)8));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(fd, expert_of_program());
}

TEST_F(program, heap_does_not_move_while_somebody_holds_a_page)
{
	struct block *large = block_new(3 * MIB, 78);
	struct iovec page = { .iov_base = (char *)large + MIB, .iov_len = 4096 };
	char held[4096];
	int pipe_fd[2], fd = expert_of_program();

	ASSERT_EQ(0, pipe(pipe_fd));
	ASSERT_EQ(4096, vmsplice(pipe_fd[1], &page, 1, 0));
	ASSERT_EQ(0, limit_addresses(4 * GIB));
	EXPECT_EQ(fd, expert_of_program());
	EXPECT_TRUE(block_is_intact(large));
	memset(page.iov_base, 5, 4096);
	EXPECT_EQ(4096, read(pipe_fd[0], held, sizeof(held)));
	EXPECT_TRUE(all_bytes((unsigned char *)held, sizeof(held), 5));
	release(large);
	close(pipe_fd[0]);
	close(pipe_fd[1]);
}

static void *wait_for(void *barrier)
{
	pthread_barrier_wait(barrier);
	return NULL;
}

TEST_F(program, heap_does_not_move_while_there_are_threads)
{
	int fd = expert_of_program();
	pthread_barrier_t barrier;
	pthread_t thread;

	ASSERT_EQ(0, pthread_barrier_init(&barrier, NULL, 2));
	ASSERT_EQ(0, pthread_create(&thread, NULL, wait_for, &barrier));
	ASSERT_EQ(0, limit_addresses(4 * GIB));
	EXPECT_EQ(fd, expert_of_program());
	pthread_barrier_wait(&barrier);
	EXPECT_EQ(0, pthread_join(thread, NULL));
	ASSERT_EQ(0, limit_addresses(RLIM_INFINITY));
	ASSERT_EQ(0, limit_addresses(4 * GIB));
	EXPECT_EQ(-1, expert_of_program());
}

TEST_HARNESS_MAIN
