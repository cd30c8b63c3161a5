// SPDX-License-Identifier: GPL-2.0
/*
 * libexpertmem: each system call of the library that the kernel can refuse fails in turn. For
 * each call of the library the first, second, third ... system call fails, alone or with all
 * that follow, until the call makes no more. After each failure: the documented error, every
 * block, size and number unchanged, and the repeated call succeeds.
 *
 * This program defines the functions of libc that make these system calls, which hides libc's
 * from the library. Each failure has a process of its own, in which the library was not used
 * before.
 *
 * needs: module native
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdarg.h>
#include <sys/syscall.h>

#include "library_test.h"

/* ---------------------------------------------------------------------- injection */

/* The next calls, until @skip have succeeded; then one, or all, fail. */
static struct {
	bool armed, all;
	bool shrinks;		/* a region, which the module always can */
	unsigned int skip;
	unsigned int failed;
	const char *what;	/* failed first */
} injection;

static bool fails(const char *what, int err)
{
	if (!injection.armed)
		return false;
	if (injection.skip) {
		injection.skip--;
		return false;
	}
	if (injection.failed && !injection.all)
		return false;
	if (!injection.failed++)
		injection.what = what;
	errno = err;
	return true;
}

/* The function that is hidden by the caller of the same name. */
#define HIDDEN(name)							\
	({								\
		static typeof(&(name)) hidden;				\
									\
		if (!hidden)						\
			hidden = (typeof(&(name)))dlsym(RTLD_NEXT, #name);	\
		hidden;							\
	})

void *mmap(void *addr, size_t length, int prot, int flags, int fd, off_t offset)
{
	return fails("mmap", ENOMEM) ? MAP_FAILED :
	       HIDDEN(mmap)(addr, length, prot, flags, fd, offset);
}

int munmap(void *addr, size_t length)
{
	return fails("munmap", ENOMEM) ? -1 : HIDDEN(munmap)(addr, length);
}

void *mremap(void *addr, size_t old, size_t new, int flags, ...)
{
	va_list args;
	void *to;

	va_start(args, flags);
	to = va_arg(args, void *);
	va_end(args);
	return fails("mremap", ENOMEM) ? MAP_FAILED :
	       HIDDEN(mremap)(addr, old, new, flags, to);
}

int mprotect(void *addr, size_t length, int prot)
{
	return fails("mprotect", ENOMEM) ? -1 : HIDDEN(mprotect)(addr, length, prot);
}

/* EINVAL is for memory that somebody has locked. */
int madvise(void *addr, size_t length, int advice)
{
	int err = advice == MADV_DONTNEED || advice == MADV_REMOVE ? EINVAL : ENOMEM;

	return fails("madvise", err) ? -1 : HIDDEN(madvise)(addr, length, advice);
}

int open(const char *path, int flags, ...)
{
	return fails("open", EMFILE) ? -1 : HIDDEN(open)(path, flags);
}

/* The module refuses the others only where the library has made a mistake. */
int ioctl(int fd, unsigned long request, ...)
{
	va_list args;
	void *arg;

	va_start(args, request);
	arg = va_arg(args, void *);
	va_end(args);
	if ((request == EXPERTMEM_IOC_ALLOC || request == EXPERTMEM_IOC_FORK ||
	     (request == EXPERTMEM_IOC_REALLOC && !injection.shrinks)) &&
	    fails("ioctl", ENOMEM))
		return -1;
	return HIDDEN(ioctl)(fd, request, arg);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *),
		   void *arg)
{
	return fails("pthread_create", EAGAIN) ? EAGAIN :
	       HIDDEN(pthread_create)(thread, attr, start, arg);
}

/* ------------------------------------------------------------------------- entries */

/* What a process says of its injection. */
struct verdict {
	bool done;			/* it lived to the end */
	unsigned int failed;
	char what[16];
	char wrong[64];
};

static struct verdict *verdict;

/* What an entry works on, in its process. */
struct scene {
	enum expertmem_backend backend;
	HEXPERTKEY key, other;
	struct crowd crowd;
	struct block block;
	int result;
};

static struct scene scene;

static bool out_of_memory(struct answer answer)
{
	scene.result = answer.block ? 0 : answer.error;
	return scene.result == 0 || scene.result == NMERR_OUT_OF_MEMORY;
}

static bool open_other(void)
{
	struct expertmem_options options = { .name = "other", .backend = scene.backend };

	scene.other = NULL;
	scene.result = expertmem_open(&options, &scene.other);
	return scene.result ? !scene.other && (scene.result == EXPERTMEM_E_NOMEM ||
					       scene.result == EXPERTMEM_E_TOO_MANY) :
	       !!scene.other;
}

static bool other_is_good(void)
{
	struct block block = { get(scene.other, 100000), 100000, 7 };

	if (!block.at)
		return false;
	fill(&block);
	return intact(scene.other, &block) && are_all(scene.other, &block, 1);
}

static bool alloc_some(size_t size)
{
	struct answer answer = alloc(scene.key, size);

	scene.block = (struct block){ answer.block, size, 99 };
	return out_of_memory(answer);
}

static bool alloc_small(void)	{ return alloc_some(48); }
static bool alloc_page(void)	{ return alloc_some(PAGE); }
static bool alloc_slab(void)	{ return alloc_some(30000); }
static bool alloc_large(void)	{ return alloc_some(300000); }
static bool alloc_huge(void)	{ return alloc_some(8 * MIB); }

/* The new block is there, and the others as they were. */
static bool block_is_good(void)
{
	if (!scene.block.at || crowd_has(&scene.crowd, scene.block.at))
		return false;
	fill(&scene.block);
	return intact(scene.key, &scene.block) &&
	       ExpertFreeMemory(scene.key, scene.block.at) == NMERR_SUCCESS;
}

/* Resize a block of the crowd's, and back again. */
static bool resize_some(size_t i, size_t size)
{
	struct block *block = &scene.crowd.blocks[i];
	struct block old = *block;
	struct answer answer;

	injection.shrinks = size < old.size;
	answer = resize(scene.key, block->at, size);
	if (answer.block) {
		block->at = answer.block;
		block->size = size;
		if (!filled(&(struct block){ answer.block, old.size, old.seed },
			    old.size < size ? old.size : size))
			return false;
		fill(block);
	}
	return out_of_memory(answer) && (answer.block || size > old.size);
}

static bool grow_small(void)	{ return resize_some(6, 1000); }
static bool grow_to_large(void)	{ return resize_some(10, 500000); }
static bool grow_large(void)	{ return resize_some(23, 700000); }
static bool grow_huge(void)	{ return resize_some(27, 40 * MIB); }
static bool shrink_large(void)	{ return resize_some(25, 70000); }
static bool shrink_to_small(void) { return resize_some(24, 10); }

static bool free_block(void)
{
	SIZE_T code = ExpertFreeMemory(scene.key, scene.block.at);

	scene.block.at = NULL;
	return code == NMERR_SUCCESS;
}

static bool trim(void)
{
	scene.result = 0;
	return expertmem_trim(scene.key, NULL) == EXPERTMEM_OK;
}

static bool walk_and_look(void)
{
	struct expertmem_progress progress;
	struct expertmem_heap_stats stats;
	EXPERTSTARTUPINFO startup;
	struct visited visited = { .room = 0 };

	scene.result = 0;
	return expertmem_walk(scene.key, visit, &visited) == -1 &&
	       expertmem_heap_stats(scene.key, &stats) == EXPERTMEM_OK && stats.live_blocks == CROWD &&
	       expertmem_progress(scene.key, &progress) == EXPERTMEM_OK &&
	       ExpertIndicateStatus(scene.key, EXPERTSTATUS_RUNNING, 0, "x", 1) == NMERR_SUCCESS &&
	       ExpertGetStartupInfo(scene.key, &startup) == NMERR_SUCCESS &&
	       ExpertMemorySize(scene.key, scene.crowd.blocks[20].at) == scene.crowd.blocks[20].size;
}

static void *first_of_thread(void *arg)
{
	*(bool *)arg = alloc_some(200);
	return NULL;
}

/* The thread itself is not the library's to make. */
static bool from_a_thread(void)
{
	pthread_t thread;
	bool good = false;

	return !HIDDEN(pthread_create)(&thread, NULL, first_of_thread, &good) &&
	       !pthread_join(thread, NULL) && good;
}

static bool close_expert(void)
{
	scene.result = 0;
	return expertmem_close(scene.key) == EXPERTMEM_OK &&
	       expertmem_close(scene.key) == EXPERTMEM_E_KEY;
}

static bool is_child;

/*
 * The pages are back, whether or not the addresses are, unless every way to give them
 * back fails. What follows is another expert's.
 */
static bool is_given_back(void)
{
	unsigned char resident;
	size_t i;

	for (i = 0; i < CROWD && !injection.all && !is_child; i++) {
		resident = 0;
		if (!mincore((void *)((uintptr_t)scene.crowd.blocks[i].at & -PAGE), 1, &resident) &&
		    resident & 1)
			return false;
	}
	return open_other() && !scene.result && other_is_good();
}

/* An expert is not inherited; what fails in the child counts, too. */
static bool fork_off(void)
{
	pid_t pid = fork();
	int status;

	injection.armed = false;
	if (!pid) {
		/* addresses that could not be unmapped show the parent's pages, and fault */
		is_child = scene.backend == EXPERTMEM_BACKEND_DEVICE;
		verdict->failed = injection.failed;
		_exit(!(expertmem_close(scene.key) == EXPERTMEM_E_KEY && is_given_back()));
	}
	scene.result = 0;
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

static bool adopt(void)
{
	int fd = HIDDEN(open)("/dev/expertmem", O_RDWR);

	scene.other = NULL;
	scene.result = expertmem_adopt(fd, &scene.other);
	if (scene.result)
		return !close(fd) && scene.result == EXPERTMEM_E_NOMEM;
	return true;
}

static bool reclaim(void)
{
	scene.result = expertmem_reclaim(scene.key, NULL);
	return !scene.result || scene.result == EXPERTMEM_E_NOMEM;
}

/**
 * struct entry - a call of the library
 * @name: its name
 * @call: makes it; true: it did what is documented, and scene.result says what
 * @good: what it made is as it should be, and is undone
 * @make: something for @call
 * @empty: it is the first one; else there are blocks of all kinds
 * @ends: there is no expert afterwards
 * @device: only for this backend
 */
static const struct entry {
	const char *name;
	bool (*call)(void);
	bool (*good)(void);
	bool (*make)(void);
	bool empty;
	bool ends;
	bool device;
} entries[] = {
	{ "open", .call = open_other, .good = other_is_good, .empty = true },
	{ "open of a second expert", .call = open_other, .good = other_is_good },
	{ "adopt", .call = adopt, .good = other_is_good, .device = true },
	{ "first alloc", .call = alloc_small, .good = block_is_good, .empty = true },
	{ "first alloc, large", .call = alloc_large, .good = block_is_good, .empty = true },
	{ "alloc", .call = alloc_small, .good = block_is_good },
	{ "alloc of a page", .call = alloc_page, .good = block_is_good },
	{ "alloc of a slab", .call = alloc_slab, .good = block_is_good },
	{ "alloc, large", .call = alloc_large, .good = block_is_good },
	{ "alloc, huge", .call = alloc_huge, .good = block_is_good },
	{ "alloc in a new thread", .call = from_a_thread, .good = block_is_good },
	{ "realloc", .call = grow_small },
	{ "realloc to a large block", .call = grow_to_large },
	{ "realloc of a large block", .call = grow_large },
	{ "realloc of a huge block", .call = grow_huge },
	{ "realloc that shrinks", .call = shrink_large },
	{ "realloc to a small block", .call = shrink_to_small },
	{ "free", .call = free_block, .make = alloc_small },
	{ "free of a slab", .call = free_block, .make = alloc_slab },
	{ "free, large", .call = free_block, .make = alloc_large },
	{ "free, huge", .call = free_block, .make = alloc_huge },
	{ "trim", .call = trim },
	{ "walk, stats, size, status", .call = walk_and_look },
	{ "fork", .call = fork_off },
	{ "reclaim", .call = reclaim, .good = is_given_back, .ends = true },
	{ "close", .call = close_expert, .good = is_given_back, .ends = true },
};

/* --------------------------------------------------------------------------- tests */

#define RIGHT(condition)						\
	do {								\
		if (!(condition)) {					\
			snprintf(verdict->wrong, sizeof(verdict->wrong), "%s", #condition);	\
			return;						\
		}							\
	} while (0)

static bool same_numbers(const struct expertmem_heap_stats *a, const struct expertmem_heap_stats *b)
{
	return a->live_blocks == b->live_blocks && a->live_bytes == b->live_bytes &&
	       a->limit == b->limit && a->terminating == b->terminating &&
	       a->reclaimed_now == b->reclaimed_now && a->backend == b->backend;
}

static void inject(const struct entry *entry, unsigned int nth, bool all)
{
	struct expertmem_heap_stats before = { 0 }, after;

	scene.key = open_expert(scene.backend, 0, 0);
	RIGHT(scene.key);
	if (!entry->empty)
		RIGHT(crowd_make(&scene.crowd, scene.key));
	if (entry->make)
		RIGHT(entry->make());
	before = stats_of(scene.key);

	injection.skip = nth;
	injection.all = all;
	injection.armed = true;
	scene.result = 0;
	if (!entry->call())
		snprintf(verdict->wrong, sizeof(verdict->wrong), "answer %d", scene.result);
	injection.armed = false;
	verdict->failed += injection.failed;
	if (injection.what)
		snprintf(verdict->what, sizeof(verdict->what), "%s", injection.what);
	if (verdict->wrong[0])
		return;
	RIGHT(injection.failed || !scene.result);

	if (scene.result) {
		after = stats_of(scene.key);
		RIGHT(same_numbers(&before, &after));
		if (!entry->empty)
			RIGHT(crowd_is_well(&scene.crowd));
		/* once more, and nothing fails */
		RIGHT(entry->call());
		RIGHT(!scene.result);
	}
	RIGHT(!entry->good || entry->good());
	if (!entry->ends) {
		if (!entry->empty)
			RIGHT(crowd_is_well(&scene.crowd));
		RIGHT(expertmem_close(scene.key) == EXPERTMEM_OK);
	}
}

/* In a process of its own; false: there was nothing left to fail. */
static bool try(const struct entry *entry, unsigned int nth, bool all)
{
	pid_t pid;
	int status;

	memset(verdict, 0, sizeof(*verdict));
	pid = fork();
	if (!pid) {
		alarm(120);
		inject(entry, nth, all);
		verdict->done = true;
		_exit(0);
	}
	waitpid(pid, &status, 0);
	if (!verdict->done)
		snprintf(verdict->wrong, sizeof(verdict->wrong), "ended with status %#x", status);
	return verdict->failed;
}

FIXTURE(injected) {
	int none;
};

FIXTURE_VARIANT(injected) {
	enum expertmem_backend backend;
	bool all;
};

FIXTURE_VARIANT_ADD(injected, anon_one) {
	.backend = EXPERTMEM_BACKEND_ANON,
};

FIXTURE_VARIANT_ADD(injected, anon_all) {
	.backend = EXPERTMEM_BACKEND_ANON,
	.all = true,
};

FIXTURE_VARIANT_ADD(injected, device_one) {
	.backend = EXPERTMEM_BACKEND_DEVICE,
};

FIXTURE_VARIANT_ADD(injected, device_all) {
	.backend = EXPERTMEM_BACKEND_DEVICE,
	.all = true,
};

FIXTURE_SETUP(injected)
{
	NEED_BACKEND(variant->backend);
	verdict = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)verdict);
	scene.backend = variant->backend;
}

FIXTURE_TEARDOWN(injected)
{
}

TEST_F(injected, a_system_call_that_fails_is_an_error_code_and_changes_nothing)
{
	unsigned int i, nth, injections = 0, wrong = 0, tried = 0;

	NEED_REAL_KERNEL("a child that fork() has made does not always get this far");
	for (i = 0; i < COUNT_OF(entries); i++) {
		if (entries[i].device && variant->backend != EXPERTMEM_BACKEND_DEVICE)
			continue;
		tried++;
		for (nth = 0; try(&entries[i], nth, variant->all) || verdict->wrong[0]; nth++) {
			injections++;
			if (!verdict->wrong[0])
				continue;
			wrong++;
			TH_LOG("%s, %s number %u%s: %s", entries[i].name, verdict->what, nth + 1,
			       variant->all ? " and all that follow" : "", verdict->wrong);
			if (!verdict->failed)
				break;
		}
	}
	TH_LOG("%u entries, %u injections, %u failures", tried, injections, wrong);
	EXPECT_EQ(0, wrong);
	EXPECT_LT(tried, injections);
}

TEST_HARNESS_MAIN
