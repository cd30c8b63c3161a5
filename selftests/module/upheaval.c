// SPDX-License-Identifier: GPL-2.0
/*
 * Upheaval: tenants create, write, resize and free regions, while other threads do to the
 * windows all that the mm permits: remap, protect, advise, unmap parts, fork, read by system
 * call, and pin pages in pipes. The expert is reclaimed meanwhile.
 *
 * Each word that a tenant writes names its page and its region. A reader sees from this word
 * whether the page was ever mapped where another region should be.
 *
 * needs: module root
 * also: slow
 */
#include <sys/syscall.h>
#include <sys/uio.h>

#include "memory_test.h"
#include "race_test.h"

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP	4
#endif

/* The windows are short, so that all of their pages are met often. */
#define SMALL_PAGES	1024UL
#define HUGE_PAGES	(64 * HUGE / PAGE)

#define MAX_GRANULES	4	/* of a region */
#define MAX_REGIONS	8	/* of a tenant */
#define MAX_HELD	8	/* pages in a pipe */

/* What the expert may have: less than all tenants want. */
#define LIMIT		(12 * HUGE)

/* How long the test runs, in seconds, and how many FREEs there are at least. */
#define SECONDS		60
#define FREES		10000
/* It runs on until there were so many, but for no longer than this. */
#define PATIENCE	7200

/* how long the kernel may take to let go behind the scenes, in seconds */
#define SETTLE		120

/*
 * The first word of a page, all that is written of it: a serial number, and below that the
 * index of the page in its window. Each granule of a region gets a serial number when ALLOC
 * or REALLOC has made it. They grow.
 */
#define INDEX_BITS	20
#define INDEX_MASK	((1ULL << INDEX_BITS) - 1)

/**
 * struct place - a window and what is known of it
 * @window: the window
 * @pages: how many it has
 * @owner: by page: serial number of the granule that was last there and whose page this is, in
 *	which its word is written, << 1; | 1 until FREE or REALLOC that gives it up returns
 * @live: by granule: of how many regions it is: one more after ALLOC or REALLOC has returned,
 *	one less after FREE or REALLOC has returned
 * @making: calls of ALLOC and REALLOC under way, their update of @live included
 * @made: how many of these are over
 */
struct place {
	struct window window;
	unsigned long pages;
	__u64 *owner;
	int *live;
	long making;
	long made;
};

static struct place small, huge;
static __u64 last_serial;
static unsigned long frees;
static int stop;		/* all threads are to end */
static int reclaimed;		/* the expert has been reclaimed, or will be in a moment */

/* The first thing that must not happen, in words. */
static const char *wrong;
static __u64 wrong_values[3];

static void report(const char *what, __u64 one, __u64 two, __u64 three)
{
	const char *none = NULL;

	if (__atomic_compare_exchange_n(&wrong, &none, what, false, __ATOMIC_SEQ_CST,
					__ATOMIC_SEQ_CST)) {
		wrong_values[0] = one;
		wrong_values[1] = two;
		wrong_values[2] = three;
	}
	__atomic_store_n(&stop, 1, __ATOMIC_SEQ_CST);
}

#define load(pointer)		__atomic_load_n(pointer, __ATOMIC_SEQ_CST)
#define store(pointer, value)	__atomic_store_n(pointer, value, __ATOMIC_SEQ_CST)
#define add(pointer, value)	__atomic_add_fetch(pointer, value, __ATOMIC_SEQ_CST)

static __u64 tag(__u64 serial, unsigned long page)
{
	return serial << INDEX_BITS | page;
}

/*
 * judge() - may @word be in @page?
 *
 * @before: the page's owner, read before the page was looked at.
 */
static void judge(__u64 word, unsigned long page, __u64 before)
{
	__u64 serial = word >> INDEX_BITS;

	if (!word)
		return;
	if ((word & INDEX_MASK) != page)
		report("a word of another page", word, page, before);
	else if (serial < before >> 1)
		report("a word of an older region", word, page, before);
	else if (serial == before >> 1 && !(before & 1))
		report("a word of a region that was freed", word, page, before);
}

/* What was just looked at, and no word of a time to come. */
static void judge_now(__u64 word, unsigned long page, __u64 before)
{
	judge(word, page, before);
	if (word >> INDEX_BITS > load(&last_serial))
		report("a word that nobody has written", word, page, before);
}

/**
 * struct actor - a thread
 * @thread: it
 * @name: for the report
 * @act: what it does again and again
 * @place: where
 * @seed: of its random numbers
 * @done: how often it did so
 * @hits: how often that met a region
 */
struct actor {
	pthread_t thread;
	const char *name;
	void (*act)(struct actor *actor);
	struct place *place;
	unsigned int seed;
	unsigned long done;
	unsigned long hits;
};

static unsigned long any(struct actor *actor, unsigned long n)
{
	return rand_r(&actor->seed) % n;
}

static volatile __u64 *word_of(const struct place *place, unsigned long page)
{
	return (__u64 *)(place->window.addr + page * PAGE);
}

static void *run(void *arg)
{
	struct actor *actor = arg;

	while (!load(&stop)) {
		actor->act(actor);
		actor->done++;
	}
	return NULL;
}

/* -------------------------------------------------------------------- tenants */

/**
 * struct region - a region of a tenant
 * @offset: of the region; 0: none
 * @granules: how long it is
 * @serials: of its granules
 */
struct region {
	__u64 offset;
	unsigned long granules;
	__u64 serials[MAX_GRANULES];
};

static __thread struct region regions[MAX_REGIONS];

/* The index of a region's first granule in its window. */
static unsigned long first_granule(const struct place *place, const struct region *region)
{
	return (region->offset - place->window.offset) / place->window.granule;
}

/* The page of granule @i in which its word is. In a huge page it is not always the same. */
static unsigned long page_of(const struct place *place, const struct region *region,
			     unsigned long i)
{
	unsigned long per_granule = place->window.granule / PAGE;

	return (first_granule(place, region) + i) * per_granule +
	       (per_granule > 1 ? 1 + region->serials[i] % 8 : 0);
}

/* The granules from @from to @to have been made. */
static void enter(struct place *place, struct region *region, unsigned long from,
		  unsigned long to)
{
	unsigned long i;

	for (i = from; i < to; i++) {
		region->serials[i] = add(&last_serial, 1);
		store(&place->owner[page_of(place, region, i)], region->serials[i] << 1 | 1);
		add(&place->live[first_granule(place, region) + i], 1);
	}
}

/*
 * The granules from @from to @to have been given up. Another tenant may have made them anew
 * meanwhile, and entered them.
 */
static void leave(struct place *place, const struct region *region, unsigned long from,
		  unsigned long to)
{
	unsigned long i;
	__u64 mine;

	for (i = from; i < to; i++) {
		mine = region->serials[i] << 1 | 1;
		__atomic_compare_exchange_n(&place->owner[page_of(place, region, i)], &mine,
					    mine & ~1ULL, false, __ATOMIC_SEQ_CST,
					    __ATOMIC_SEQ_CST);
		add(&place->live[first_granule(place, region) + i], -1);
	}
}

/* Did a call fail for a reason that there may be at any time? */
static bool may_fail(int err)
{
	return err == -EDQUOT || err == -ENOMEM || err == -ENOSPC ||
	       (err == -ESHUTDOWN && load(&reclaimed));
}

static void tenant_alloc(struct actor *actor, struct region *region)
{
	struct place *place = actor->place;
	unsigned long granules = 1 + any(actor, MAX_GRANULES);
	__u64 room = any(actor, 2) * MAX_GRANULES * place->window.granule;
	int err;

	add(&place->making, 1);
	err = region_alloc_flags(&place->window, any(actor, 8) ? 0 : EXPERTMEM_ALLOC_POPULATE,
				 granules * place->window.granule, room, &region->offset);
	region->granules = granules;
	if (!err)
		enter(place, region, 0, granules);
	add(&place->made, 1);
	add(&place->making, -1);
	if (err) {
		region->offset = 0;
		if (!may_fail(err))
			report("ALLOC failed", -err, granules, room);
	}
}

static void tenant_realloc(struct actor *actor, struct region *region)
{
	struct place *place = actor->place;
	unsigned long granules = 1 + any(actor, MAX_GRANULES);
	int err;

	add(&place->making, 1);
	err = region_realloc(&place->window, region->offset, granules * place->window.granule);
	if (!err) {
		enter(place, region, region->granules, granules);
		leave(place, region, granules, region->granules);
		region->granules = granules;
	}
	add(&place->made, 1);
	add(&place->making, -1);
	if (err && !may_fail(err))
		report("REALLOC failed", -err, granules, region->granules);
}

static void tenant_free(struct actor *actor, struct region *region)
{
	int err = region_free(&actor->place->window, region->offset);

	if (!err) {
		leave(actor->place, region, 0, region->granules);
		add(&frees, 1);
	} else if (!may_fail(err)) {
		report("FREE failed", -err, region->offset, region->granules);
	}
	region->offset = 0;
}

/* Memory may vanish (MADV_REMOVE) or be out of reach (mprotect()). It may not be another's. */
static void tenant_touch(struct actor *actor, const struct region *region)
{
	struct place *place = actor->place;
	unsigned long page, i, per_granule = place->window.granule / PAGE;
	__u64 word, mine;

	for (i = 0; i < region->granules; i++) {
		page = page_of(place, region, i);
		mine = tag(region->serials[i], page);
		if (!peek(word_of(place, page), &word) && word && word != mine)
			report("a tenant's page has another word", word, mine, page);
		if (!poke(word_of(place, page), mine))
			actor->hits++;
	}
	/* the granules before it and behind it are nobody's */
	page = first_granule(place, region) * per_granule;
	if (!peek(word_of(place, page) - 1, &word))
		report("the word before a region can be read", word, page, 0);
	page += region->granules * per_granule;
	if (!peek(word_of(place, page), &word))
		report("the word behind a region can be read", word, page, 0);
}

static void be_tenant(struct actor *actor)
{
	struct region *region = &regions[any(actor, MAX_REGIONS)];

	if (!region->offset) {
		tenant_alloc(actor, region);
		if (!region->offset) {
			/* there is room when others have freed something, or this one has */
			region = &regions[any(actor, MAX_REGIONS)];
			if (region->offset)
				tenant_free(actor, region);
			else
				sched_yield();
			return;
		}
		tenant_touch(actor, region);
		return;
	}
	tenant_touch(actor, region);
	if (any(actor, 3))
		tenant_free(actor, region);
	else
		tenant_realloc(actor, region);
}

/* ----------------------------------------------------------------- who looks on */

/* Outside regions, nothing can be read. */
static void be_prober(struct actor *actor)
{
	struct place *place = actor->place;
	unsigned long page = any(actor, place->pages);
	unsigned long granule = page * PAGE / place->window.granule;
	__u64 before = load(&place->owner[page]), word;
	long made = load(&place->made);
	bool quiet = !load(&place->making) && !load(&place->live[granule]);
	bool seen = !peek(word_of(place, page), &word);

	if (!seen) {
		if (any(actor, 64) == 0)
			usleep(100);
		return;
	}
	judge_now(word, page, before);
	actor->hits++;
	if (quiet && !load(&place->live[granule]) && !load(&place->making) &&
	    made == load(&place->made))
		report("a page of no region can be read", word, page, before);
}

/* Of a page, nothing but its first word is ever written. */
static void judge_page(const __u64 *words, unsigned long page, __u64 before)
{
	judge_now(words[0], page, before);
	if (!all_bytes((const unsigned char *)(words + 1), PAGE - sizeof(*words), 0))
		report("bytes that nobody has written", words[0], page, before);
}

/* As /proc/PID/mem, a debugger and process_vm_readv() see the windows. */
static void be_reader(struct actor *actor)
{
	static __thread __u64 words[MAX_GRANULES * PAGE / sizeof(__u64)];
	struct place *place = actor->place;
	unsigned long page = any(actor, place->pages - MAX_GRANULES), i;
	struct iovec local = { words, sizeof(words) };
	struct iovec remote = { (void *)word_of(place, page), sizeof(words) };
	__u64 before[MAX_GRANULES];
	ssize_t got;

	for (i = 0; i < MAX_GRANULES; i++)
		before[i] = load(&place->owner[page + i]);
	got = process_vm_readv(getpid(), &local, 1, &remote, 1, 0);
	for (i = 0; (ssize_t)((i + 1) * PAGE) <= got; i++, actor->hits++)
		judge_page(words + i * PAGE / sizeof(*words), page + i, before[i]);
	if (actor->done % 16 == 0)
		usleep(500);
}

/**
 * struct splice - a page in a pipe
 * @page: its index
 * @before: its owner before it came there
 * @after: and after
 */
struct splice {
	unsigned long page;
	__u64 before;
	__u64 after;
};

/* Hold pages in a pipe for a while. What was of one region all the time stays that region's. */
static void be_splicer(struct actor *actor)
{
	static __thread __u64 words[PAGE / sizeof(__u64)];
	struct place *place = actor->place;
	struct splice held[MAX_HELD];
	int ends[2], i, n = 0;

	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK))
		return report("pipe2() failed", errno, 0, 0);
	for (i = 0; i < 4 * MAX_HELD && n < MAX_HELD; i++) {
		struct splice *splice = &held[n];
		struct iovec iov = { .iov_len = PAGE };

		splice->page = any(actor, place->pages);
		/* most pages are nobody's */
		if (place->window.granule > PAGE)
			splice->page = splice->page / 512 * 512 + 1 + splice->page % 8;
		iov.iov_base = (void *)word_of(place, splice->page);
		splice->before = load(&place->owner[splice->page]);
		if (vmsplice(ends[1], &iov, 1, SPLICE_F_NONBLOCK) == (ssize_t)PAGE)
			n++;
		splice->after = load(&place->owner[splice->page]);
	}
	usleep(any(actor, 3000));
	for (i = 0; i < n; i++) {
		struct splice *splice = &held[i];

		if (read(ends[0], words, PAGE) != (ssize_t)PAGE) {
			report("a page is missing in the pipe", i, n, errno);
			break;
		}
		judge_page(words, splice->page, splice->before);
		if (splice->before & 1 && splice->before == splice->after && words[0] &&
		    words[0] >> INDEX_BITS != splice->before >> 1)
			report("a held page has got a word of a later region", words[0],
			       splice->page, splice->before);
		actor->hits++;
	}
	close(ends[0]);
	close(ends[1]);
}

/* --------------------------------------------------------------- who disturbs */

/* All that there is but for MADV_HWPOISON and MADV_SOFT_OFFLINE, which use memory up. */
static const int advices[] = {
	0, 1, 2, 3, 4, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25,
	26, 27, 102, 103, -1, 1000,
};

/* A part of a window, and never all of it. */
static void any_part(struct actor *actor, unsigned char **addr, size_t *size)
{
	const struct place *place = actor->place;
	unsigned long first = any(actor, place->pages - 1), max = place->pages - 1 - first;

	if (max > 4 * place->window.granule / PAGE)
		max = 4 * place->window.granule / PAGE;
	*addr = (unsigned char *)word_of(place, first);
	*size = (1 + any(actor, max)) * PAGE;
}

static void be_adviser(struct actor *actor)
{
	const struct window *window = &actor->place->window;
	int advice = advices[any(actor, COUNT_OF(advices))];
	unsigned char *addr;
	struct iovec iov;
	size_t size;
	int pidfd;

	any_part(actor, &addr, &size);
	switch (any(actor, 4)) {
	case 0:
		/* of nobody's memory, or all of the tenants' would vanish all the time */
		if (advice != MADV_REMOVE)
			actor->hits += !madvise(window->addr, window->size, advice);
		break;
	case 1:
		pidfd = syscall(SYS_pidfd_open, getpid(), 0);
		iov = (struct iovec){ addr, size };
		if (pidfd >= 0) {
			syscall(SYS_process_madvise, pidfd, &iov, 1, advice, 0);
			close(pidfd);
		}
		break;
	default:
		actor->hits += !madvise(addr, size, advice);
	}
	usleep(200 + any(actor, 500));
}

static void must_fail(const char *what, long ret, const void *addr, size_t size)
{
	if (ret != -1)
		report(what, ret, (unsigned long)addr, size);
}

static void be_mapper(struct actor *actor)
{
	const struct window *window = &actor->place->window;
	unsigned char *addr, *other;
	size_t size;

	any_part(actor, &addr, &size);
	other = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	switch (any(actor, 12)) {
	case 0:
		must_fail("munmap() of a part", munmap(addr, size), addr, size);
		break;
	case 1:
		must_fail("mmap() over a part",
			  (long)mmap(addr, size, PROT_READ,
				     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0), addr, size);
		break;
	case 2:
		must_fail("mremap() onto a part",
			  (long)mremap(other, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, addr),
			  addr, size);
		break;
	case 3:
		must_fail("mremap() of a part",
			  (long)mremap(addr, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, other),
			  addr, size);
		/* where it was to go to is gone */
		other = MAP_FAILED;
		break;
	case 4:
		must_fail("mremap() that grows",
			  (long)mremap(window->addr, window->size, window->size + HUGE,
				       MREMAP_MAYMOVE), addr, size);
		break;
	case 5:
		must_fail("mremap() that shrinks",
			  (long)mremap(window->addr, window->size, window->size - HUGE, 0),
			  addr, size);
		break;
	case 6:
		must_fail("mremap() that doubles",
			  (long)mremap(addr, 0, size, MREMAP_MAYMOVE), addr, size);
		break;
	case 7:
		must_fail("mremap() that leaves the mapping",
			  (long)mremap(window->addr, window->size, window->size,
				       MREMAP_MAYMOVE | MREMAP_DONTUNMAP), addr, size);
		break;
	case 8:
		must_fail("remap_file_pages()",
			  syscall(SYS_remap_file_pages, addr, size, 0, 0, 0), addr, size);
		break;
	case 9:
		must_fail("mprotect() of a part", mprotect(addr, size, PROT_NONE), addr, size);
		break;
	case 10:
		must_fail("mprotect() with PROT_EXEC",
			  mprotect(window->addr, window->size, PROT_READ | PROT_EXEC), addr, size);
		break;
	case 11:
		/* this one works */
		mprotect(window->addr, window->size, any(actor, 2) ? PROT_READ : PROT_NONE);
		sched_yield();
		if (mprotect(window->addr, window->size, PROT_READ | PROT_WRITE))
			report("mprotect() failed", errno, 0, 0);
		actor->hits++;
	}
	if (other != MAP_FAILED)
		munmap(other, size);
	usleep(200 + any(actor, 500));
}

/* What a child can do with the windows of its parent; 0: nothing. */
static int child_reach(struct actor *actor)
{
	struct place *places[] = { &small, &huge };
	unsigned long i, j;
	__u64 word;

	for (i = 0; i < COUNT_OF(places); i++) {
		const struct place *place = places[i];

		for (j = 0; j < 64; j++)
			if (!peek(word_of(place, any(actor, place->pages)), &word))
				return 1;
		for (j = 0; j < place->pages; j++)
			if (load(&place->owner[j]) & 1 && !peek(word_of(place, j), &word))
				return 2;
		if (!madvise(place->window.addr, place->window.size, MADV_REMOVE))
			return 3;
		if (!madvise(place->window.addr + HUGE, HUGE, MADV_REMOVE))
			return 4;
	}
	return 0;
}

static void be_forker(struct actor *actor)
{
	static const char *const reasons[] = {
		"a child died or has run out of memory", "a child reads a page",
		"a child reads a page of a region", "MADV_REMOVE of all works in a child",
		"MADV_REMOVE of a part works in a child",
	};
	const struct window *window = &actor->place->window;
	int status;
	pid_t pid;

	madvise(window->addr, window->size, any(actor, 4) ? MADV_DOFORK : MADV_DONTFORK);
	pid = fork();
	if (!pid)
		_exit(child_reach(actor));
	status = pid < 0 ? 100 : child_status(pid);
	if (status)
		report(reasons[status < 5 ? status : 0], status, 0, 0);
	else
		actor->hits++;
	usleep(2000 + any(actor, 5000));
}

/* -------------------------------------------------------------------- the test */

static void place_open(struct __test_metadata *_metadata, struct place *place,
		       const struct window *kind, int fd, unsigned long pages)
{
	*place = (struct place) {
		.pages = pages,
		.owner = calloc(pages, sizeof(*place->owner)),
		.live = calloc(pages, sizeof(*place->live)),
	};
	ASSERT_NE(place->owner, NULL);
	ASSERT_NE(place->live, NULL);
	ASSERT_EQ(window_map(&place->window, kind, fd, pages * PAGE), 0);
}

static struct actor actors[] = {
	{ .name = "tenant", .act = be_tenant, .place = &small },
	{ .name = "tenant", .act = be_tenant, .place = &small },
	{ .name = "tenant of huge pages", .act = be_tenant, .place = &huge },
	{ .name = "prober", .act = be_prober, .place = &small },
	{ .name = "prober of huge pages", .act = be_prober, .place = &huge },
	{ .name = "reader", .act = be_reader, .place = &small },
	{ .name = "reader of huge pages", .act = be_reader, .place = &huge },
	{ .name = "splicer", .act = be_splicer, .place = &small },
	{ .name = "splicer of huge pages", .act = be_splicer, .place = &huge },
	{ .name = "adviser", .act = be_adviser, .place = &small },
	{ .name = "adviser of huge pages", .act = be_adviser, .place = &huge },
	{ .name = "mapper", .act = be_mapper, .place = &small },
	{ .name = "mapper of huge pages", .act = be_mapper, .place = &huge },
	{ .name = "forker", .act = be_forker, .place = &small },
	{ .name = "forker of huge pages", .act = be_forker, .place = &huge },
};

/* Returns the most bytes that were seen pinned meanwhile. */
static __u64 wait_for_frees(int fd, unsigned long seconds, unsigned long wanted)
{
	time_t begin = time(NULL), now;
	__u64 most = 0, pinned;

	do {
		usleep(20000);
		pinned = expert_stat(fd).pinned;
		if (pinned > most)
			most = pinned;
		now = time(NULL);
	} while (!load(&stop) && now < begin + PATIENCE &&
		 (now < begin + (time_t)seconds || load(&frees) < wanted));
	return most;
}

TEST(no_page_is_seen_that_belongs_to_another_region)
{
	unsigned long wanted = rounds(FREES), seconds = rounds(SECONDS);
	struct expertmem_reclaim arg;
	struct expertmem_stat stat;
	bool swap = false;
	time_t end;
	__u64 word, most;
	size_t i;
	int fd;

	NEED_DEVICE();
	fd = expert_open();
	ASSERT_GE(fd, 0);
	/* where there is a disk for it, MADV_PAGEOUT has a place to go */
	if (!access(RAMDISK, R_OK | W_OK))
		swap = !swap_on(RAMDISK);
	ASSERT_EQ(expert_configure(fd, "upheaval", LIMIT, 0), 0);
	place_open(_metadata, &small, &small_window, fd, SMALL_PAGES);
	place_open(_metadata, &huge, &huge_window, fd, HUGE_PAGES);
	faults_catch();
	for (i = 0; i < COUNT_OF(actors); i++) {
		actors[i].seed = i + 1;
		ASSERT_EQ(pthread_create(&actors[i].thread, NULL, run, &actors[i]), 0);
	}
	most = wait_for_frees(fd, seconds, wanted);
	stat = expert_stat(fd);
	TH_LOG("%lu FREEs; peak %llu, up to %llu pinned, %llu refused", load(&frees), stat.peak,
	       most, stat.refused);
	EXPECT_GT(most, 0);
	EXPECT_GE(load(&frees), wanted);
	EXPECT_EQ(stat.state, EXPERTMEM_STATE_RUNNING);
	EXPECT_LE(stat.peak, LIMIT);

	/* while all go on */
	store(&reclaimed, 1);
	ASSERT_EQ(expert_reclaim(fd, &arg), 0);
	for (i = 0; i < SMALL_PAGES; i++)
		ASSERT_EQ(peek(word_of(&small, i), &word), SIGSEGV);
	usleep(200000);
	store(&stop, 1);
	for (i = 0; i < COUNT_OF(actors); i++) {
		ASSERT_EQ(pthread_join(actors[i].thread, NULL), 0);
		TH_LOG("%s: %lu times, %lu hits", actors[i].name, actors[i].done,
		       actors[i].hits);
		EXPECT_GT(actors[i].done, 0);
		EXPECT_GT(actors[i].hits, 0);
	}
	EXPECT_EQ(wrong, NULL)
		TH_LOG("%s: %#llx %#llx %#llx", wrong, wrong_values[0], wrong_values[1],
		       wrong_values[2]);
	check_empty(_metadata, fd);
	for (end = time(NULL) + SETTLE; expert_stat(fd).pinned && time(NULL) < end;)
		usleep(20000);
	EXPECT_EQ(expert_stat(fd).pinned, 0);
	EXPECT_EQ(munmap(small.window.addr, small.window.size), 0);
	EXPECT_EQ(munmap(huge.window.addr, huge.window.size), 0);
	close(fd);
	if (swap)
		EXPECT_EQ(swapoff(RAMDISK), 0);
}

TEST_HARNESS_MAIN
