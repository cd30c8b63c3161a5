// SPDX-License-Identifier: GPL-2.0
/*
 * Races: threads touch memory while others free, resize, unmap, fork or swap it. A thread
 * never reads a page of another region: it gets the right bytes, or SIGSEGV. EXPERTMEM_ROUNDS
 * multiplies the number of rounds.
 *
 * needs: module root swap
 * also: slow
 */
#include <sys/uio.h>

#include "memory_test.h"
#include "race_test.h"

#define TOUCHERS	3
#define MAX_PAGES	64
#define LINE		512	/* words per page */

/*
 * Time, for who touches a region. It is even while the region's memory is the same,
 * odd while somebody is taking it away and giving fresh memory back.
 */
static __u64 clock_now;

static __u64 now(void)
{
	__u64 time;

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	time = __atomic_load_n(&clock_now, __ATOMIC_SEQ_CST);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return time;
}

static void tick(void)
{
	__atomic_fetch_add(&clock_now, 1, __ATOMIC_SEQ_CST);
}

/**
 * struct toucher - a thread that writes and reads its own words of a region
 * @thread: it
 * @base: the region, or the part of it that is touched
 * @pages: how many pages are touched
 * @stride: words between two of them
 * @slot: which word in each page is its own
 * @stop: end
 * @touches: that succeeded
 * @faults: that raised SIGSEGV
 * @wrong: a sentence about the first thing that must not happen
 * @value: what it saw
 * @last: by page: what it wrote last, between which times
 */
struct toucher {
	pthread_t thread;
	volatile __u64 *base;
	unsigned int pages;
	size_t stride;
	unsigned int slot;
	int stop;
	unsigned long touches;
	unsigned long faults;
	const char *wrong;
	__u64 value;
	struct {
		__u64 tag;
		__u64 from;
		__u64 to;
	} last[MAX_PAGES];
};

static const char *judge(const struct toucher *toucher, unsigned int page, __u64 value,
			 __u64 from, __u64 to)
{
	__typeof__(&toucher->last[0]) last = &toucher->last[page];

	if (value && value != last->tag)
		return "bytes that were never written, or overwritten";
	/* the write was to memory that was gone for certain before this read */
	if (value && from > last->to + 2)
		return "bytes of a region that was freed";
	if (!value && last->tag && !(from % 2) && last->from == to)
		return "zeros where nothing was freed";
	return NULL;
}

static void *touch_words(void *arg)
{
	struct toucher *toucher = arg;
	volatile __u64 *word;
	__u64 from, serial = 0;
	unsigned int page;
	const char *wrong;
	int sig;

	while (!__atomic_load_n(&toucher->stop, __ATOMIC_RELAXED)) {
		/* with few CPUs, the others would hardly run */
		if (serial % 16 == 0)
			sched_yield();
		page = (serial * 7 + toucher->slot) % toucher->pages;
		word = toucher->base + page * toucher->stride + toucher->slot;

		from = now();
		sig = peek(word, &toucher->value);
		if (!sig) {
			wrong = judge(toucher, page, toucher->value, from, now());
			if (wrong) {
				toucher->wrong = wrong;
				break;
			}
		} else if (sig != SIGSEGV) {
			toucher->wrong = "another signal than SIGSEGV";
			break;
		}

		from = now();
		sig = poke(word, ++serial << 8 | toucher->slot);
		if (!sig) {
			toucher->last[page].tag = serial << 8 | toucher->slot;
			toucher->last[page].from = from;
			toucher->last[page].to = now();
			__atomic_store_n(&toucher->touches, toucher->touches + 1,
					 __ATOMIC_RELAXED);
		} else {
			__atomic_store_n(&toucher->faults, toucher->faults + 1,
					 __ATOMIC_RELAXED);
			/* whoever took the memory away is to get on with it */
			sched_yield();
		}
	}
	return NULL;
}

static struct toucher touchers[TOUCHERS];

/* Start them; the caller from now on goes first, and they share the other CPUs. */
static void touchers_start(struct __test_metadata *_metadata, void *base,
			   unsigned int pages, size_t stride)
{
	const struct sched_param first = { .sched_priority = 1 };
	int i;

	ASSERT_LE(pages, MAX_PAGES);
	faults_catch();
	for (i = 0; i < TOUCHERS; i++) {
		touchers[i] = (struct toucher) {
			.base = base, .pages = pages, .stride = stride / sizeof(__u64),
			.slot = i + 1,
		};
		ASSERT_EQ(pthread_create(&touchers[i].thread, NULL, touch_words,
					 &touchers[i]), 0);
	}
	for (i = 0; i < TOUCHERS; i++)
		while (!__atomic_load_n(&touchers[i].touches, __ATOMIC_RELAXED) &&
		       !touchers[i].wrong)
			sched_yield();
	EXPECT_EQ(sched_setscheduler(0, SCHED_FIFO, &first), 0);
}

static unsigned long touchers_stop(struct __test_metadata *_metadata)
{
	unsigned long touches = 0, faults = 0;
	int i;

	for (i = 0; i < TOUCHERS; i++)
		__atomic_store_n(&touchers[i].stop, 1, __ATOMIC_RELAXED);
	for (i = 0; i < TOUCHERS; i++) {
		EXPECT_EQ(pthread_join(touchers[i].thread, NULL), 0);
		EXPECT_EQ(touchers[i].wrong, NULL)
			TH_LOG("a thread saw %s: %#llx", touchers[i].wrong,
			       touchers[i].value);
		touches += touchers[i].touches;
		faults += touchers[i].faults;
	}
	TH_LOG("%lu touches, %lu faults", touches, faults);
	EXPECT_GT(touches, 0);
	return faults;
}

/* ------------------------------------------------------- memory comes and goes */

FIXTURE(touch)
{
	struct window window;
};

FIXTURE_VARIANT(touch)
{
	const struct window *kind;
	unsigned int granules;	/* in the region */
	unsigned long rounds;
	unsigned long frees;
	bool pageout;		/* while another thread pages everything out */
};

FIXTURE_VARIANT_ADD(touch, small) {
	.kind = &small_window, .granules = 4, .rounds = 1000, .frees = 100000,
};

FIXTURE_VARIANT_ADD(touch, huge) {
	.kind = &huge_window, .granules = 2, .rounds = 50, .frees = 100,
};

FIXTURE_VARIANT_ADD(touch, small_with_swap) {
	.kind = &small_window, .granules = 4, .rounds = 100, .frees = 200, .pageout = true,
};

FIXTURE_VARIANT_ADD(touch, huge_with_swap) {
	.kind = &huge_window, .granules = 2, .rounds = 10, .frees = 20, .pageout = true,
};

FIXTURE_SETUP(touch)
{
	int err;

	NEED_DEVICE();
	if (variant->pageout) {
		err = swap_on(RAMDISK);
		if (err)
			SKIP_TEST(RAMDISK ": %s; load brd", strerror(-err));
	}
	ASSERT_EQ(window_open(&self->window, variant->kind, WINDOW, 0), 0);
}

FIXTURE_TEARDOWN(touch)
{
	window_close(&self->window);
	if (variant->pageout)
		EXPECT_EQ(swapoff(RAMDISK), 0);
}

struct pager {
	pthread_t thread;
	void *addr;
	size_t size;
	int stop;
};

static void *page_out(void *arg)
{
	struct pager *pager = arg;

	while (!__atomic_load_n(&pager->stop, __ATOMIC_RELAXED))
		madvise(pager->addr, pager->size, MADV_PAGEOUT);
	return NULL;
}

static void pager_start(struct __test_metadata *_metadata, struct pager *pager,
			void *addr, size_t size)
{
	*pager = (struct pager) { .addr = addr, .size = size };
	ASSERT_EQ(pthread_create(&pager->thread, NULL, page_out, pager), 0);
}

static void pager_stop(struct __test_metadata *_metadata, struct pager *pager)
{
	__atomic_store_n(&pager->stop, 1, __ATOMIC_RELAXED);
	ASSERT_EQ(pthread_join(pager->thread, NULL), 0);
}

TEST_F(touch, nothing_of_a_freed_region_is_ever_seen)
{
	__u64 size = variant->granules * variant->kind->granule, offset, again, value;
	unsigned long i, n = rounds(variant->frees);
	volatile __u64 *own;
	struct pager pager;

	ASSERT_EQ(region_alloc(&self->window, size, &offset), 0);
	own = (__u64 *)at(&self->window, offset);
	if (variant->pageout)
		pager_start(_metadata, &pager, at(&self->window, offset), size);
	touchers_start(_metadata, at(&self->window, offset), variant->granules,
		       variant->kind->granule);
	for (i = 0; i < n; i++) {
		ASSERT_EQ(poke(own, ~0ULL), 0);
		tick();
		ASSERT_EQ(region_free(&self->window, offset), 0);
		ASSERT_EQ(peek(own, &value), SIGSEGV);
		/* the only region: it comes to the same place */
		ASSERT_EQ(region_alloc(&self->window, size, &again), 0);
		ASSERT_EQ(again, offset);
		tick();
		ASSERT_EQ(peek(own, &value), 0);
		ASSERT_EQ(value, 0);
	}
	tick();
	ASSERT_EQ(region_free(&self->window, offset), 0);
	check_empty(_metadata, self->window.fd);
	EXPECT_GT(touchers_stop(_metadata), 0);
	if (variant->pageout)
		pager_stop(_metadata, &pager);
	check_empty(_metadata, self->window.fd);
}

TEST_F(touch, nothing_of_a_shrunk_tail_is_ever_seen)
{
	__u64 size = variant->granules * variant->kind->granule, offset, value;
	unsigned long i, n = rounds(variant->rounds);
	volatile __u64 *kept, *own;
	unsigned char *tail;
	struct pager pager;

	ASSERT_EQ(region_alloc_flags(&self->window, 0, 2 * size, 2 * size, &offset), 0);
	kept = (__u64 *)at(&self->window, offset);
	tail = at(&self->window, offset) + size;
	own = (__u64 *)tail;
	if (variant->pageout)
		pager_start(_metadata, &pager, at(&self->window, offset), 2 * size);
	touchers_start(_metadata, tail, variant->granules, variant->kind->granule);
	for (i = 0; i < n; i++) {
		ASSERT_EQ(poke(own, ~0ULL), 0);
		ASSERT_EQ(poke(kept, i), 0);
		tick();
		ASSERT_EQ(region_realloc(&self->window, offset, size), 0);
		ASSERT_EQ(peek(own, &value), SIGSEGV);
		ASSERT_EQ(region_realloc(&self->window, offset, 2 * size), 0);
		tick();
		ASSERT_EQ(peek(own, &value), 0);
		ASSERT_EQ(value, 0);
		ASSERT_EQ(peek(kept, &value), 0);
		ASSERT_EQ(value, i);
	}
	EXPECT_EQ(expert_stat(self->window.fd).committed, 2 * size);
	EXPECT_EQ(expert_stat(self->window.fd).regions, 1);
	tick();
	ASSERT_EQ(region_free(&self->window, offset), 0);
	EXPECT_GT(touchers_stop(_metadata), 0);
	if (variant->pageout)
		pager_stop(_metadata, &pager);
	check_empty(_metadata, self->window.fd);
}

TEST_F(touch, nothing_of_removed_pages_is_ever_seen)
{
	__u64 size = variant->granules * variant->kind->granule, offset, value;
	unsigned long i, n = rounds(variant->rounds);
	volatile __u64 *own;
	struct pager pager;

	ASSERT_EQ(region_alloc(&self->window, size, &offset), 0);
	own = (__u64 *)at(&self->window, offset);
	if (variant->pageout)
		pager_start(_metadata, &pager, at(&self->window, offset), size);
	touchers_start(_metadata, at(&self->window, offset), variant->granules,
		       variant->kind->granule);
	for (i = 0; i < n; i++) {
		ASSERT_EQ(poke(own, ~0ULL), 0);
		tick();
		ASSERT_EQ(madvise(at(&self->window, offset), size, MADV_REMOVE), 0);
		tick();
		ASSERT_EQ(peek(own, &value), 0);
		ASSERT_EQ(value, 0);
	}
	EXPECT_EQ(touchers_stop(_metadata), 0);
	if (variant->pageout)
		pager_stop(_metadata, &pager);
	EXPECT_EQ(expert_stat(self->window.fd).committed, size);
	ASSERT_EQ(region_free(&self->window, offset), 0);
	check_empty(_metadata, self->window.fd);
}

/* --------------------------------------------------------------- memory stays */

/* What may happen around a region that is there all the time. */
static void no_byte_changes(struct __test_metadata *_metadata, struct window *window,
			    unsigned long n, int (*disturb)(struct window *window,
							    __u64 offset, __u64 size))
{
	__u64 size = 4 * window->granule, offset;
	unsigned long i;

	ASSERT_EQ(region_alloc(window, size, &offset), 0);
	touchers_start(_metadata, at(window, offset), 4, window->granule);
	for (i = 0; i < n; i++)
		ASSERT_EQ(disturb(window, offset, size), 0);
	EXPECT_EQ(touchers_stop(_metadata), 0);
	EXPECT_EQ(expert_stat(window->fd).state, EXPERTMEM_STATE_RUNNING);
	EXPECT_EQ(expert_stat(window->fd).committed, size);
	ASSERT_EQ(region_free(window, offset), 0);
	check_empty(_metadata, window->fd);
}

/* The numbers tell which call went wrong. */
static int drop_mappings(struct window *window, __u64 offset, __u64 size)
{
	if (madvise(at(window, offset), size, MADV_DONTNEED))
		return 1;
	if (madvise(window->addr, window->size, MADV_DONTNEED))
		return 2;
	return madvise(at(window, offset), size, MADV_PAGEOUT) ? 3 : 0;
}

static int compact(struct window *window, __u64 offset, __u64 size)
{
	if (file_write("/proc/sys/vm/compact_memory", "1"))
		return 1;
	return file_write("/proc/sys/vm/drop_caches", "3") ? 2 : 0;
}

static int unmap_parts(struct window *window, __u64 offset, __u64 size)
{
	unsigned char *region = at(window, offset);
	size_t rest = window->addr + window->size - region;

	if (!munmap(region, window->granule) || errno != EINVAL)
		return 1;
	if (!munmap(region, rest) || errno != EINVAL)
		return 2;
	if (!munmap(window->addr, region + size - window->addr) || errno != EINVAL)
		return 3;
	if (!mprotect(region, window->granule, PROT_READ) || errno != EINVAL)
		return 4;
	if (mmap(region, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
		 0) != MAP_FAILED)
		return 5;
	if (mremap(region, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, window->addr) !=
	    MAP_FAILED)
		return 6;
	if (mremap(window->addr, window->size, window->size + window->granule,
		   MREMAP_MAYMOVE) != MAP_FAILED)
		return 7;
	return 0;
}

/* The child has none of it, in whatever state the threads left it. */
static int fork_child(struct window *window, __u64 offset, __u64 size)
{
	pid_t pid = fork();

	if (!pid)
		_exit(read_touch(at(window, offset)) == SIGSEGV &&
		      write_touch(at(window, offset)) == SIGSEGV ? 0 : 1);
	return pid < 0 ? 2 : child_status(pid);
}

/* Even where it was told to inherit the mapping. */
static int fork_child_with_mapping(struct window *window, __u64 offset, __u64 size)
{
	int err;

	if (madvise(window->addr, window->size, MADV_DOFORK))
		return 3;
	err = fork_child(window, offset, size);
	return madvise(window->addr, window->size, MADV_DONTFORK) ? 4 : err;
}

FIXTURE(stay)
{
	struct window window;
};

FIXTURE_VARIANT(stay)
{
	const struct window *kind;
	unsigned long rounds;
};

FIXTURE_VARIANT_ADD(stay, small) { .kind = &small_window, .rounds = 500 };
FIXTURE_VARIANT_ADD(stay, huge) { .kind = &huge_window, .rounds = 20 };

FIXTURE_SETUP(stay)
{
	NEED_DEVICE();
	ASSERT_EQ(window_open(&self->window, variant->kind, WINDOW, 0), 0);
}

FIXTURE_TEARDOWN(stay)
{
	window_close(&self->window);
}

TEST_F(stay, no_byte_changes_when_mappings_are_dropped)
{
	no_byte_changes(_metadata, &self->window, rounds(variant->rounds), drop_mappings);
}

TEST_F(stay, no_byte_changes_under_compaction)
{
	if (access("/proc/sys/vm/compact_memory", W_OK))
		SKIP_TEST("/proc/sys/vm/compact_memory: %s", strerror(errno));
	no_byte_changes(_metadata, &self->window, rounds(5), compact);
}

TEST_F(stay, no_byte_changes_when_unmapping_parts_is_refused)
{
	no_byte_changes(_metadata, &self->window, rounds(variant->rounds), unmap_parts);
}

TEST_F(stay, no_byte_changes_under_fork)
{
	no_byte_changes(_metadata, &self->window, rounds(50), fork_child);
}

TEST_F(stay, no_byte_changes_under_fork_that_copies_the_mapping)
{
	NEED_INHERITANCE(&self->window);
	no_byte_changes(_metadata, &self->window, rounds(50), fork_child_with_mapping);
}

/* ---------------------------------------------------------------------- pinned pages */

/* A region, a page of which is in a pipe, that one thread frees while another reclaims. */
struct last_page {
	struct window window;
	__u64 offset;
	pthread_barrier_t barrier;
};

static void *free_last_page(void *arg)
{
	struct last_page *last = arg;

	pthread_barrier_wait(&last->barrier);
	region_free(&last->window, last->offset);
	return NULL;
}

/* What is pinned; the worker that looks for what was let go may need a second. */
static bool pinned_becomes(int fd, __u64 bytes)
{
	int i;

	for (i = 0; i < 1000 && expert_stat(fd).pinned != bytes; i++)
		usleep(10000);
	return expert_stat(fd).pinned == bytes;
}

TEST(a_held_page_is_pinned_once_when_free_and_reclaim_meet)
{
	unsigned long left = rounds(2000);
	struct expertmem_reclaim result;
	struct last_page last;
	pthread_t thread;
	int held[2];
	char byte;

	NEED_DEVICE();
	ASSERT_EQ(0, pipe(held));
	ASSERT_EQ(0, pthread_barrier_init(&last.barrier, NULL, 2));
	while (left--) {
		struct iovec iov;

		ASSERT_EQ(0, window_open(&last.window, &small_window, GIB, 0));
		ASSERT_EQ(0, region_alloc(&last.window, 16 * PAGE, &last.offset));
		memset(at(&last.window, last.offset), 1, 16 * PAGE);
		iov = (struct iovec){ at(&last.window, last.offset), 1 };
		ASSERT_EQ(1, vmsplice(held[1], &iov, 1, 0));

		ASSERT_EQ(0, pthread_create(&thread, NULL, free_last_page, &last));
		pthread_barrier_wait(&last.barrier);
		ASSERT_EQ(0, expert_reclaim(last.window.fd, &result));
		ASSERT_EQ(0, pthread_join(thread, NULL));
		ASSERT_TRUE(pinned_becomes(last.window.fd, PAGE));
		ASSERT_EQ(0, expert_stat(last.window.fd).committed);

		ASSERT_EQ(1, read(held[0], &byte, 1));
		ASSERT_TRUE(pinned_becomes(last.window.fd, 0));
		ASSERT_EQ(0, expert_info(last.window.fd).uid_charged);
		window_close(&last.window);
	}
	close(held[0]);
	close(held[1]);
}

TEST_HARNESS_MAIN
