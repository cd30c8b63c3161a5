// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Addresses of the process: where the windows of an expert are, and the tables of the library.
 *
 * The kernel counts a private mapping that can be written as memory of the process, whether it
 * was touched or not: for vm.overcommit_memory=2, for RLIMIT_DATA, for mlockall() and in a core
 * file. The library maps much more than it ever touches, so all of that is read-only or
 * inaccessible, and no part of a core file, until it is used.
 *
 * RLIMIT_AS counts every mapping, and strict overcommit keeps a part of the memory from processes
 * with many addresses. Under these the windows of the anon backend are not mapped before they are
 * used: see em_place().
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "internal.h"
#include "raw.h"

/*
 * A window has 64 GiB of addresses, or so many times the memory that the expert may have, as a
 * power of two, if that is more. The nth expert of a process has windows of at most 1/n of the
 * share, so that all find place.
 */
#define WINDOW_USUAL	(1UL << 36)
#define WINDOW_TIMES	8
#define WINDOW_LEAST	5
#define WINDOW_MAX	(1UL << 40)
#define WINDOW_SHARE	(1UL << 42)

/*
 * Windows that are not mapped yet are at least so far below what the kernel maps next; closer
 * where a kernel has few addresses, as one for arm64 with 39 bits.
 */
#define AWAY		(1UL << 38)

/* Two experts must not choose the same addresses. Taken with an expert's lock held. */
pthread_mutex_t em_place_lock = PTHREAD_MUTEX_INITIALIZER;

/**
 * em_map() - memory of the library itself
 * @size: bytes
 * @sharing: MAP_PRIVATE or MAP_SHARED
 *
 * Much of it is never touched, so it does not come in huge pages.
 *
 * Return: the memory, or NULL.
 */
void *em_map(size_t size, int sharing)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       sharing | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	madvise(p, size, MADV_NOHUGEPAGE);
	return p;
}

/**
 * em_table_map() - addresses for a table that reads as zeros
 * @table: the table
 * @start: where it is to be; NULL: anywhere
 * @size: bytes, a multiple of EM_PAGE
 * @sharing: MAP_PRIVATE or MAP_SHARED
 *
 * Return: false if the kernel refuses.
 */
bool em_table_map(struct em_table *table, void *start, size_t size, int sharing)
{
	void *p = mmap(start, size, PROT_READ, sharing | MAP_ANONYMOUS | MAP_NORESERVE |
		       (start ? MAP_FIXED : 0), -1, 0);

	*table = (struct em_table){ .start = p, .size = size };
	if (p == MAP_FAILED)
		return false;
	madvise(p, size, MADV_NOHUGEPAGE);
	madvise(p, size, MADV_DONTDUMP);
	return true;
}

/**
 * em_table_use() - make the first bytes of a table writable
 * @table: the table
 * @end: how many bytes
 *
 * Threads may call this at the same time.
 *
 * Return: false if the kernel refuses.
 */
bool em_table_use(struct em_table *table, size_t end)
{
	size_t before = __atomic_load_n(&table->writable, __ATOMIC_ACQUIRE);

	end = em_round_up(end, EM_STEP);
	if (end > table->size)
		end = table->size;
	if (end <= before)
		return true;
	if (mprotect(table->start + before, end - before, PROT_READ | PROT_WRITE))
		return false;
	while (before < end &&
	       !__atomic_compare_exchange_n(&table->writable, &before, end, true,
					    __ATOMIC_RELEASE, __ATOMIC_RELAXED))
		;
	return true;
}

/*
 * Are pages as large as EM_PAGE, and do addresses have no more than EM_ADDRESS_BITS? The kernel
 * puts the stack of a process near the highest address.
 */
bool em_kernel_suits(void)
{
	const int on_stack = 0;

	return sysconf(_SC_PAGESIZE) == EM_PAGE && !((uintptr_t)&on_stack >> EM_ADDRESS_BITS);
}

/* RLIMIT_AS or RLIMIT_DATA, in bytes; SIZE_MAX: none that matters. */
static size_t limit_of(int resource)
{
	struct rlimit limit;

	return getrlimit(resource, &limit) || limit.rlim_cur >= AWAY ? SIZE_MAX : limit.rlim_cur;
}

/* Is vm.overcommit_memory 2? Then the kernel promises no more memory than it has. */
bool em_is_strict(void)
{
	long fd = em_raw6(SYS_openat, AT_FDCWD, (long)"/proc/sys/vm/overcommit_memory",
			  O_RDONLY | O_CLOEXEC, 0, 0, 0);
	char mode = '0';

	if (fd < 0)
		return false;
	em_raw(SYS_read, fd, (long)&mode, 1);
	em_raw(SYS_close, fd, 0, 0);
	return mode == '2';
}

/*
 * The length of a window: the expert can have all of its memory in blocks of any one size. Its
 * memory is its limit or, where it has none, that of the machine. Blocks of 32 KiB to some MiB
 * take the most addresses: they are regions of the small window, 31/64 of which are for them
 * (em_heap_prepare()), and gaps that are too short for another block may be half of that. So
 * memory can be 15/64 of a window, which is more than 1/WINDOW_LEAST.
 *
 * Where the process has a limit, tables are as small as they can be.
 */
static size_t window_for(struct em_expert *expert, bool strict)
{
	struct expertmem_heap_stats stats = { 0 };
	size_t window = WINDOW_USUAL, limit = limit_of(RLIMIT_AS);
	uint64_t memory;

	if (limit > limit_of(RLIMIT_DATA))
		limit = limit_of(RLIMIT_DATA);

	/* What looks for leaks reads all that is mapped. */
	if (expert->debug & EM_DEBUG_BLOCKS)
		return window;
	expert->backend->stats(expert, &stats);
	memory = stats.limit ? stats.limit : sysconf(_SC_PHYS_PAGES) * EM_PAGE;
	if (limit < memory || strict)
		return em_round_up((limit < memory ? limit : memory) * WINDOW_LEAST, EM_WINDOW_MIN);
	while (window < WINDOW_MAX && window / WINDOW_TIMES < memory)
		window *= 2;
	return window;
}

/* Addresses of @size bytes, mapped and inaccessible; NULL: there are none. */
static char *reserve(size_t size)
{
	char *start, *base, *end;

	start = mmap(NULL, size + EM_WINDOW_MIN, PROT_NONE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (start == MAP_FAILED)
		return NULL;
	end = start + size + EM_WINDOW_MIN;
	base = (char *)em_round_up((uintptr_t)start, EM_WINDOW_MIN);
	if (base > start)
		munmap(start, base - start);
	if (end > base + size)
		munmap(base + size, end - (base + size));
	madvise(base, size, MADV_DONTDUMP);
	return base;
}

/* Is one of @size bytes from @base on in the windows of an expert? */
static bool is_owned(uintptr_t base, size_t size)
{
	size_t i = base >> EM_WINDOW_SHIFT, end = (base + size) >> EM_WINDOW_SHIFT;

	for (; i < end; i++)
		if (__atomic_load_n(&em_owners[i], __ATOMIC_RELAXED))
			return true;
	return false;
}

/*
 * Addresses of @size bytes that the kernel will not come to by itself: it maps from high to low
 * addresses, and under RLIMIT_AS not so much as to get there.
 */
static char *choose(size_t size)
{
	void *next = mmap(NULL, EM_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uintptr_t base, away;

	if (next == MAP_FAILED)
		return NULL;
	munmap(next, EM_PAGE);
	base = (uintptr_t)next & ~(EM_WINDOW_MIN - 1);
	away = base / 4 < AWAY ? base / 4 & ~(EM_WINDOW_MIN - 1) : AWAY;
	if (base < 2 * away + size)
		return NULL;
	for (base -= away + size; base >= away; base -= EM_WINDOW_MIN)
		if (!is_owned(base, size))
			return (char *)base;
	return NULL;
}

/**
 * em_place() - find addresses for both windows of an expert, and make it their owner
 * @expert: the expert; @base, @window and @unmapped are set
 * @most: bytes of a window at most; 0: what the expert may need
 *
 * Return: false if there are none.
 */
bool em_place(struct em_expert *expert, size_t most)
{
	size_t window = WINDOW_SHARE / em_nr_experts();
	size_t limit = limit_of(RLIMIT_AS);
	bool strict = expert->backend->maps_parts && !em_filtered && em_is_strict();
	bool chosen = expert->backend->maps_parts && (limit < SIZE_MAX || strict);

	/* A core file tells nothing by it. */
	madvise((void *)em_round_up((uintptr_t)em_owners, EM_PAGE), sizeof(em_owners) - EM_PAGE,
		MADV_DONTDUMP);
	if (!most)
		most = window_for(expert, strict);
	/* What is mapped at once leaves a quarter to the program. */
	if (!chosen && most > limit / 8 * 3)
		most = limit / 8 * 3;
	if (window > most)
		window = most;
	pthread_mutex_lock(&em_place_lock);
	for (expert->base = NULL; !expert->base; window /= 2) {
		window &= ~(EM_WINDOW_MIN - 1);
		if (!window)
			break;
		expert->window = window;
		expert->base = chosen ? choose(window * 2) : reserve(window * 2);
	}
	if (expert->base)
		em_set_owner(expert, true);
	else
		expert->window = 0;
	pthread_mutex_unlock(&em_place_lock);
	expert->unmapped = chosen;
	return expert->base;
}

/* The expert is in the table of owners, or is so no longer. */
void em_set_owner(const struct em_expert *expert, bool owner)
{
	size_t i = (uintptr_t)expert->base >> EM_WINDOW_SHIFT;
	size_t end = i + (expert->window * 2 >> EM_WINDOW_SHIFT);

	for (; i < end; i++)
		__atomic_store_n(&em_owners[i], owner ? expert - em_experts + 1 : 0,
				 __ATOMIC_RELAXED);
}
