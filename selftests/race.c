// SPDX-License-Identifier: GPL-2.0
/*
 * Races: what threads that touch memory see while others free, resize, unmap, fork or
 * swap it. Every test does a number of rounds, that EXPERTMEM_ROUNDS multiplies.
 */
#include <pthread.h>
#include <sched.h>

#include "kselftest_harness.h"
#include "memory_test.h"

#define WINDOW		GIB
#define TIMEOUT		3600
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

static void check_empty(struct __test_metadata *_metadata, int fd)
{
	struct expertmem_stat stat = expert_stat(fd);

	EXPECT_EQ(stat.regions, 0);
	EXPECT_EQ(stat.committed, 0);
	EXPECT_EQ(stat.resident, 0);
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

TEST_F_TIMEOUT(touch, nothing_of_a_freed_region_is_ever_seen, TIMEOUT)
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

TEST_F_TIMEOUT(touch, nothing_of_a_shrunk_tail_is_ever_seen, TIMEOUT)
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

TEST_F_TIMEOUT(touch, nothing_of_removed_pages_is_ever_seen, TIMEOUT)
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

TEST_F_TIMEOUT(stay, no_byte_changes_when_mappings_are_dropped, TIMEOUT)
{
	no_byte_changes(_metadata, &self->window, rounds(variant->rounds), drop_mappings);
}

TEST_F_TIMEOUT(stay, no_byte_changes_under_compaction, TIMEOUT)
{
	if (access("/proc/sys/vm/compact_memory", W_OK))
		SKIP_TEST("/proc/sys/vm/compact_memory: %s", strerror(errno));
	no_byte_changes(_metadata, &self->window, rounds(5), compact);
}

TEST_F_TIMEOUT(stay, no_byte_changes_when_unmapping_parts_is_refused, TIMEOUT)
{
	no_byte_changes(_metadata, &self->window, rounds(variant->rounds), unmap_parts);
}

TEST_F_TIMEOUT(stay, no_byte_changes_under_fork, TIMEOUT)
{
	no_byte_changes(_metadata, &self->window, rounds(50), fork_child);
}

TEST_F_TIMEOUT(stay, no_byte_changes_under_fork_that_copies_the_mapping, TIMEOUT)
{
	no_byte_changes(_metadata, &self->window, rounds(50), fork_child_with_mapping);
}

/* ------------------------------------------------------------- calls at once */

FIXTURE(calls)
{
	struct window window;
};

FIXTURE_VARIANT(calls)
{
	const struct window *kind;
	unsigned long rounds;
};

FIXTURE_VARIANT_ADD(calls, small) { .kind = &small_window, .rounds = 500 };
FIXTURE_VARIANT_ADD(calls, huge) { .kind = &huge_window, .rounds = 100 };

/* room for about a third of what random_calls() would like */
#define LIMIT_GRANULES	64

FIXTURE_SETUP(calls)
{
	NEED_DEVICE();
	ASSERT_EQ(window_open(&self->window, variant->kind, WINDOW,
			      LIMIT_GRANULES * variant->kind->granule), 0);
}

FIXTURE_TEARDOWN(calls)
{
	window_close(&self->window);
}

#define SLOTS		32
#define MOST_GRANULES	12

/*
 * Offsets of regions. A live region is in a slot, or the thread that made it is about
 * to put it there, or the thread that took it out is about to free it; but what is in
 * a slot may have been freed, and its place may be another region's by now.
 */
static __u64 slots[SLOTS];

struct caller {
	pthread_t thread;
	struct window *window;
	unsigned long rounds;
	unsigned int seed;
	unsigned long done;
	const char *call;
	int err;
};

static int free_for_sure(struct window *window, __u64 offset)
{
	int err;

	do {
		err = region_free(window, offset);
	} while (err == -EBUSY);
	return err == -ENOENT ? 0 : err;
}

static __u64 slot_swap(unsigned int slot, __u64 offset)
{
	return __atomic_exchange_n(&slots[slot], offset, __ATOMIC_SEQ_CST);
}

static bool one_of(int err, const int *allowed)
{
	while (*allowed && *allowed != -err)
		allowed++;
	return err == 0 || *allowed;
}

static void *random_calls(void *arg)
{
	static const int of_alloc[] = { ENOSPC, EDQUOT, ENOMEM, 0 };
	static const int of_realloc[] = { ENOSPC, EDQUOT, ENOMEM, ENOENT, EBUSY, 0 };
	static const int of_free[] = { ENOENT, EBUSY, 0 };
	struct caller *caller = arg;
	struct window *window = caller->window;
	unsigned int random, slot, flags;
	__u64 offset, size;
	unsigned long i;
	int err = 0;

	for (i = 0; i < caller->rounds; i++) {
		random = rand_r(&caller->seed);
		slot = random / 16 % SLOTS;
		size = (1 + random / 1024 % MOST_GRANULES) * window->granule;
		flags = random & 8 ? EXPERTMEM_ALLOC_POPULATE : 0;
		offset = __atomic_load_n(&slots[slot], __ATOMIC_SEQ_CST);
		switch (random % 8) {
		case 0: case 1: case 2:
			caller->call = "ALLOC";
			err = region_alloc_flags(window, flags, size,
						 random & 0x100 ? 2 * size : 0, &offset);
			if (!one_of(err, of_alloc))
				return NULL;
			if (err)
				break;
			poke((__u64 *)at(window, offset), random);
			offset = slot_swap(slot, offset);
			caller->call = "FREE of the replaced";
			err = offset ? free_for_sure(window, offset) : 0;
			if (err)
				return NULL;
			break;
		case 3: case 4:
			caller->call = "REALLOC";
			err = region_realloc_flags(window, flags, offset, size);
			if (!one_of(err, of_realloc))
				return NULL;
			break;
		case 5:
			/* and it stays in its slot */
			caller->call = "FREE of anybody's";
			err = region_free(window, offset);
			if (!one_of(err, of_free))
				return NULL;
			break;
		case 6:
			caller->call = "FREE of what is none";
			err = region_free(window, window->offset + 1 + size);
			if (err != -ENOENT)
				return NULL;
			break;
		case 7:
			if (offset)
				poke((__u64 *)at(window, offset + size - PAGE), random);
			offset = slot_swap(slot, 0);
			caller->call = "FREE";
			err = offset ? free_for_sure(window, offset) : 0;
			if (err)
				return NULL;
			break;
		}
		caller->err = err;
		caller->done++;
	}
	return NULL;
}

TEST_F_TIMEOUT(calls, at_random_leave_the_books_right, TIMEOUT)
{
	struct window *window = &self->window;
	struct expertmem_stat stat, less;
	struct caller callers[4];
	__u64 value, pages;
	int i;

	memset(slots, 0, sizeof(slots));
	faults_catch();
	for (i = 0; i < 4; i++) {
		callers[i] = (struct caller) {
			.window = window, .seed = i,
			/* enough to reach the limit, with any factor */
			.rounds = 100 + rounds(variant->rounds),
		};
		ASSERT_EQ(pthread_create(&callers[i].thread, NULL, random_calls,
					 &callers[i]), 0);
	}
	for (i = 0; i < 4; i++) {
		ASSERT_EQ(pthread_join(callers[i].thread, NULL), 0);
		EXPECT_EQ(callers[i].done, callers[i].rounds)
			TH_LOG("%s said %s", callers[i].call, strerror(-callers[i].err));
	}

	stat = expert_stat(window->fd);
	EXPECT_LE(stat.peak, stat.limit);
	EXPECT_GT(stat.refused, 0);
	EXPECT_GT(stat.regions, 0);
	/* each region counts for as much as can be touched of it */
	for (i = 0; i < SLOTS; i++) {
		for (pages = 0; slots[i]; pages++)
			if (peek((__u64 *)at(window, slots[i] + pages * window->granule),
				 &value))
				break;
		if (region_free(window, slots[i]))
			continue;
		less = expert_stat(window->fd);
		EXPECT_EQ(less.regions, stat.regions - 1);
		EXPECT_EQ(less.committed, stat.committed - pages * window->granule);
		stat = less;
	}
	check_empty(_metadata, window->fd);
}

/* A second thread that does the same call at the same moment, again and again. */
struct twin {
	pthread_t thread;
	int (*call)(struct twin *twin);
	struct window window;
	__u64 offset;
	unsigned long begun;
	unsigned long ended;
	int err;
};

static void wait_for(const unsigned long *count, unsigned long value)
{
	while (__atomic_load_n(count, __ATOMIC_ACQUIRE) < value)
		sched_yield();
}

static void *twin_loop(void *arg)
{
	struct twin *twin = arg;
	unsigned long i;

	for (i = 1; twin->call; i++) {
		wait_for(&twin->begun, i);
		if (twin->call)
			twin->err = twin->call(twin);
		__atomic_store_n(&twin->ended, i, __ATOMIC_RELEASE);
	}
	return NULL;
}

static void twin_start(struct __test_metadata *_metadata, struct twin *twin,
		       int (*call)(struct twin *twin))
{
	twin->call = call;
	twin->begun = 0;
	twin->ended = 0;
	ASSERT_EQ(pthread_create(&twin->thread, NULL, twin_loop, twin), 0);
}

/* Both call; what this one got is returned, what the twin got is in @twin. */
static int twin_call(struct twin *twin)
{
	struct twin mine = *twin;
	int err;

	__atomic_store_n(&twin->begun, twin->begun + 1, __ATOMIC_RELEASE);
	err = twin->call(&mine);
	wait_for(&twin->ended, twin->begun);
	if (!err)
		twin->window = mine.window;
	return err;
}

static void twin_stop(struct __test_metadata *_metadata, struct twin *twin)
{
	twin->call = NULL;
	__atomic_store_n(&twin->begun, twin->begun + 1, __ATOMIC_RELEASE);
	ASSERT_EQ(pthread_join(twin->thread, NULL), 0);
}

static int twin_free(struct twin *twin)
{
	return region_free(&twin->window, twin->offset);
}

TEST_F_TIMEOUT(calls, that_free_one_region_succeed_once, TIMEOUT)
{
	unsigned long i, n = rounds(variant->rounds), busy = 0, first = 0;
	struct twin twin = { .window = self->window };
	int mine, other;

	twin_start(_metadata, &twin, twin_free);
	for (i = 0; i < n; i++) {
		ASSERT_EQ(region_alloc(&self->window, PAGE, &twin.offset), 0);
		*at(&self->window, twin.offset) = 1;
		mine = twin_call(&twin);
		ASSERT_TRUE(!mine != !twin.err);
		first += !mine;
		other = mine ? mine : twin.err;
		ASSERT_TRUE(other == -ENOENT || other == -EBUSY);
		busy += other == -EBUSY;
	}
	twin_stop(_metadata, &twin);
	TH_LOG("%lu of %lu were busy; one thread won %lu", busy, n, first);
	check_empty(_metadata, self->window.fd);
}

static int twin_map(struct twin *twin)
{
	return window_map(&twin->window, &small_window, twin->window.fd, MIB);
}

TEST_F_TIMEOUT(calls, that_map_one_window_succeed_once, TIMEOUT)
{
	unsigned long i, n = rounds(variant->rounds / 4);
	struct twin twin = { };
	struct expertmem_stat stat;
	int mine, other;

	twin_start(_metadata, &twin, twin_map);
	for (i = 0; i < n; i++) {
		twin.window.fd = expert_open();
		ASSERT_GE(twin.window.fd, 0);
		mine = twin_call(&twin);
		other = mine ? mine : twin.err;
		ASSERT_TRUE(!mine != !twin.err);
		ASSERT_EQ(other, -EBUSY);
		stat = expert_stat(twin.window.fd);
		ASSERT_EQ(stat.state, EXPERTMEM_STATE_RUNNING);
		ASSERT_EQ(munmap(twin.window.addr, MIB), 0);
		stat = expert_stat(twin.window.fd);
		ASSERT_EQ(stat.state, EXPERTMEM_STATE_RECLAIMED);
		close(twin.window.fd);
	}
	twin_stop(_metadata, &twin);
}

static void *alloc_until_refused(void *arg)
{
	struct caller *caller = arg;
	__u64 offset;

	for (caller->done = 0;; caller->done++) {
		caller->err = region_alloc(caller->window, PAGE, &offset);
		if (caller->err)
			return NULL;
		*at(caller->window, offset) = 1;
		if (!caller->done)
			__atomic_store_n(&slots[0], offset, __ATOMIC_SEQ_CST);
	}
}

TEST_F_TIMEOUT(calls, to_alloc_end_with_terminate, TIMEOUT)
{
	unsigned long i, n = rounds(variant->rounds / 20);
	struct expertmem_stat stat;
	struct caller caller;
	struct window window;
	__u64 offset;

	for (i = 0; i < n; i++) {
		ASSERT_EQ(window_open(&window, variant->kind, WINDOW, 0), 0);
		caller.window = &window;
		slots[0] = 0;
		ASSERT_EQ(pthread_create(&caller.thread, NULL, alloc_until_refused,
					 &caller), 0);
		while (!__atomic_load_n(&slots[0], __ATOMIC_SEQ_CST))
			sched_yield();
		ASSERT_EQ(expert_terminate(window.fd), 0);
		ASSERT_EQ(region_alloc(&window, PAGE, &offset), -ECANCELED);
		ASSERT_EQ(pthread_join(caller.thread, NULL), 0);
		ASSERT_EQ(caller.err, -ECANCELED);
		stat = expert_stat(window.fd);
		EXPECT_EQ(stat.state, EXPERTMEM_STATE_TERMINATING);
		EXPECT_EQ(stat.regions, caller.done);
		EXPECT_EQ(stat.committed, caller.done * window.granule);
		EXPECT_EQ(*at(&window, slots[0]), 1);
		ASSERT_EQ(region_free(&window, slots[0]), 0);
		window_close(&window);
	}
}

TEST_HARNESS_MAIN
