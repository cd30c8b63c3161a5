// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The table of the experts of this process, and where their windows are.
 *
 * A key is the index of a slot and the slot's generation, so that no key is ever used again. Slots
 * and their locks are never freed: a call with a key that was closed finds another generation, and
 * fails.
 *
 * Lock order: em_private_lock, em_table_lock (protects em_taken), the lock of an expert, em_place_lock
 * (protects the choice of addresses). Two experts' locks are held together only around fork(), in the
 * order of the table.
 *
 * RLIMIT_AS counts every mapping. With vm.overcommit_memory=2 large mappings use up the memory that the
 * kernel promises. In both cases the anon backend does not reserve its windows by a mapping: em_place().
 */
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <linux/expertmem.h>

#include "internal.h"

#define INDEX_BITS	12

_Static_assert(EM_MAX_EXPERTS == 1 << INDEX_BITS, "an index must fit into a key");

struct em_expert em_experts[EM_MAX_EXPERTS];
/* for each EM_WINDOW_MIN of addresses: 0, or 1 + the index of the expert with windows there */
uint16_t em_owners[1UL << (EM_ADDRESS_BITS - EM_WINDOW_SHIFT)];
pthread_mutex_t em_table_lock = PTHREAD_MUTEX_INITIALIZER;
bool em_taken[EM_MAX_EXPERTS];
static unsigned int open_experts;
const uint32_t em_closed = EXPERTMEM_STATUS_RECLAIMED;

/* This is libexpertmem-malloc.so: the expert is the heap of the program. */
bool em_preloaded;

HEXPERTKEY em_key_of(const struct em_expert *expert)
{
	uintptr_t index = expert - em_experts;

	return (HEXPERTKEY)(expert->generation << INDEX_BITS | index);
}

/* ---------------------------------------------------------------------------- slots */

/*
 * Make all slots before @end writable. The first slots share a page with other data, and always
 * are.
 */
static bool slots_use(const struct em_expert *end)
{
	static struct em_table slots;
	char *start = (char *)em_round_up((uintptr_t)em_experts, EM_PAGE);
	size_t size = (char *)&em_experts[EM_MAX_EXPERTS] - start;

	if (!slots.start && !em_table_map(&slots, start, size & ~(EM_PAGE - 1), MAP_PRIVATE))
		return false;
	return (const char *)end <= start || em_table_use(&slots, (const char *)end - start);
}

/* Take a free slot of the table. */
int em_slot_get(struct em_expert **slot)
{
	int error = EXPERTMEM_E_TOO_MANY;
	unsigned int i = 0;

	pthread_mutex_lock(&em_table_lock);
	while (i < EM_MAX_EXPERTS && em_taken[i])
		i++;
	if (i < EM_MAX_EXPERTS)
		error = slots_use(&em_experts[i + 1]) ? EXPERTMEM_OK : EXPERTMEM_E_NOMEM;
	if (!error) {
		*slot = &em_experts[i];
		em_write_once(&em_taken[i], true);
		em_add_return_relaxed(&open_experts, 1);
	}
	pthread_mutex_unlock(&em_table_lock);
	return error;
}

/* Number of taken slots of this process. */
static unsigned int nr_experts(void)
{
	return em_read_once(&open_experts);
}

void em_slot_put(struct em_expert *expert)
{
	pthread_mutex_lock(&em_table_lock);
	em_write_once(&em_taken[expert - em_experts], false);
	em_sub_return_relaxed(&open_experts, 1);
	pthread_mutex_unlock(&em_table_lock);
}

/* ------------------------------------------------------------------------ addresses */

/*
 * A window has WINDOW_USUAL (64 GiB) of addresses, or WINDOW_TIMES the memory that the expert can have,
 * rounded up to a power of two, if that is more. The nth expert of a process has windows of at most
 * WINDOW_SHARE / n bytes, so that there are addresses for all.
 */
#define WINDOW_USUAL	(1UL << 36)
#define WINDOW_TIMES	8
#define WINDOW_LEAST	5
#define WINDOW_MAX	(1UL << 40)
#define WINDOW_SHARE	(1UL << 42)

/*
 * Windows without a mapping are at least so many bytes below the address that the kernel maps next;
 * fewer if the kernel has few addresses, as on arm64 with 39 bits.
 */
#define AWAY		(1UL << 38)

/* Two experts must not choose the same addresses. Taken while an expert's lock is held. */
pthread_mutex_t em_place_lock = PTHREAD_MUTEX_INITIALIZER;

/*
 * The limit RLIMIT_AS or RLIMIT_DATA, in bytes; SIZE_MAX: it is unlimited, at least EM_LIMIT_FAR, or not
 * known, as the program's filter of system calls may refuse to tell.
 */
static size_t limit_of(int resource)
{
	struct rlimit limit = { .rlim_cur = RLIM_INFINITY };

	if (em_unfiltered_begin()) {
		getrlimit(resource, &limit);
		em_unfiltered_end();
	}
	return limit.rlim_cur >= EM_LIMIT_FAR ? SIZE_MAX : limit.rlim_cur;
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
	static uint64_t physical;	/* bytes of memory; atomic, 0: not known yet */
	struct expertmem_heap_stats stats = { 0 };
	size_t window = WINDOW_USUAL, limit = limit_of(RLIMIT_AS);
	uint64_t memory;

	/* A filter may refuse the system calls of sysconf(). */
	if (!em_read_once(&physical) && em_unfiltered_begin()) {
		em_write_once(&physical, sysconf(_SC_PHYS_PAGES) * EM_PAGE);
		em_unfiltered_end();
	}
	if (limit > limit_of(RLIMIT_DATA))
		limit = limit_of(RLIMIT_DATA);

	/* Leak checkers read all that is mapped: no larger than usual. */
	if (expert->debug & EM_DEBUG_BLOCKS)
		return window;
	expert->backend->stats(expert, &stats);
	memory = stats.limit ? stats.limit : em_read_once(&physical);
	if (limit < memory || strict)
		return em_round_up((limit < memory ? limit : memory) * WINDOW_LEAST, EM_WINDOW_MIN);
	while (window < WINDOW_MAX && window / WINDOW_TIMES < memory)
		window *= 2;
	return window;
}

/* Reserve @size bytes of addresses by an inaccessible mapping. NULL: the kernel refuses. */
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

/* Do the @size bytes from @base on overlap the windows of an expert? */
static bool is_owned(uintptr_t base, size_t size)
{
	size_t i = base >> EM_WINDOW_SHIFT, end = (base + size) >> EM_WINDOW_SHIFT;

	for (; i < end; i++)
		if (em_read_once(&em_owners[i]))
			return true;
	return false;
}

/*
 * Choose @size bytes of addresses without a mapping, which the kernel will not give to others: it maps
 * from high to low addresses, and RLIMIT_AS keeps it from getting AWAY further down.
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

/* Enter the windows of the expert into em_owners, or remove them. */
void em_set_owner(const struct em_expert *expert, bool owner)
{
	size_t i = (uintptr_t)expert->base >> EM_WINDOW_SHIFT;
	size_t end = i + (expert->window * 2 >> EM_WINDOW_SHIFT);

	for (; i < end; i++)
		em_write_once(&em_owners[i], owner ? expert - em_experts + 1 : 0);
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
	size_t window = WINDOW_SHARE / nr_experts();
	size_t limit = limit_of(RLIMIT_AS);
	bool strict = expert->backend->maps_parts && em_is_strict();
	bool chosen = expert->backend->maps_parts && (limit < SIZE_MAX || strict);

	/* Keep the table out of core files. */
	madvise((void *)em_round_up((uintptr_t)em_owners, EM_PAGE), sizeof(em_owners) - EM_PAGE,
		MADV_DONTDUMP);
	/* in a preloaded program */
	if (expert->packs && (chosen || limit_of(RLIMIT_DATA) < SIZE_MAX))
		em_classes_save(expert);
	if (!most)
		most = window_for(expert, strict);
	/* Windows that are mapped at once take at most 3/4 of RLIMIT_AS. */
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
