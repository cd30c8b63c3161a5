// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Regions from private memory of the process. What the kernel module does with addresses is
 * done here with a tree of the gaps between regions.
 *
 * A window is mapped in units of 16 KiB when a region first comes there. A unit stays mapped
 * when the region is freed, so that most regions cost neither a mapping of their own
 * (vm.max_map_count) nor a system call. Units in no region are unmapped when there are many, or
 * when the kernel refuses to map more.
 */
#include <string.h>
#include <sys/mman.h>

#include <linux/expertmem.h>

#include "internal.h"
#include "gaps.h"

/* musl has only the names of older kernels */
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE	23
#endif

/* regions of at least this size are placed where they can grow, as the module does */
#define ROOMY	(256UL << 10)

/* regions of the small window that have grown to this size have huge pages inside */
#define LARGE	(2 * EM_HUGE)

/* at this size, their resident pages are collapsed into huge pages (Linux 6.1) */
#define SETTLED	(4 * EM_HUGE)
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif

/* Windows are mapped in units of this size. em_gaps.units has a bit for each unit, in pages. */
#define UNIT		(16UL << 10)
#define PAGE_UNITS	(EM_PAGE * 8)

/*
 * Up to AHEAD_MAX bytes are mapped ahead in the small window, and up to 1/AHEAD_PART of @committed.
 */
#define AHEAD_MAX	(1UL << 20)
#define AHEAD_PART	16

/* tidy() leaves so many mapped bytes outside of regions, and 1/AHEAD_PART of @committed. */
#define IDLE_MAX	(4UL << 20)

/*
 * The smallest hole that is made by unmapping. Each hole is one more mapping, and a process can have
 * 65,530 (vm.max_map_count): with REGIONS_MANY regions in a window the hole is at least UNMAP_LARGE.
 */
#define UNMAP_LEAST	(256UL << 10)
#define UNMAP_LARGE	(2UL << 20)
#define REGIONS_MANY	8192

static size_t units_size(const struct em_expert *expert)
{
	return em_round_up(expert->window / UNIT / PAGE_UNITS * sizeof(uint64_t *), EM_PAGE);
}

static size_t rounded(enum em_window window, size_t size)
{
	return em_round_up(size, em_granule(window));
}

static bool charge(struct em_expert *expert, size_t size)
{
	struct em_shared *shared = expert->shared;
	uint64_t committed = shared->committed + size;

	if (expert->limit && committed > expert->limit)
		return false;
	shared->committed = committed;
	if (committed > shared->peak)
		shared->peak = committed;
	return true;
}

/* Pages that the program has locked by mlock() have to be unlocked first. */
static bool anon_discard(void *start, size_t size)
{
	if (!madvise(start, size, MADV_DONTNEED) ||
	    (!munlock(start, size) && !madvise(start, size, MADV_DONTNEED)))
		return true;
	memset(start, 0, size);
	return false;
}

/* ------------------------------------------------------------------ what is mapped */

enum mapped { MAPPED, REFUSED, FOREIGN };

/* The word of 64 bits with the bit of @unit: 1 if the unit is mapped. */
static uint64_t word_of(const struct em_gaps *gaps, size_t unit)
{
	const uint64_t *page = gaps->units[unit / PAGE_UNITS];

	return page ? page[unit % PAGE_UNITS / 64] : 0;
}

static bool is_mapped(const struct em_gaps *gaps, size_t unit)
{
	return word_of(gaps, unit) >> unit % 64 & 1;
}

/* The first unit from @i on, but before @end, that is not as @i is; else @end. */
static size_t units_until(const struct em_gaps *gaps, size_t i, size_t end)
{
	uint64_t flip = is_mapped(gaps, i) ? UINT64_MAX : 0;
	uint64_t others = (word_of(gaps, i) ^ flip) >> i % 64;

	while (!others) {
		/* A missing page stands for PAGE_UNITS units that are not mapped. */
		size_t step = flip || gaps->units[i / PAGE_UNITS] ? 64 : PAGE_UNITS;

		i = (i / step + 1) * step;
		if (i >= end)
			return end;
		others = word_of(gaps, i) ^ flip;
	}
	i += __builtin_ctzl(others);
	return i < end ? i : end;
}

static bool make_pages(struct em_gaps *gaps, size_t i, size_t end)
{
	for (i /= PAGE_UNITS; i * PAGE_UNITS < end; i++)
		if (!gaps->units[i]) {
			gaps->units[i] = em_map(EM_PAGE, MAP_PRIVATE);
			if (!gaps->units[i])
				return false;
		}
	return true;
}

static void set_units(struct em_gaps *gaps, size_t i, size_t end, bool mapped)
{
	gaps->mapped += (mapped ? end - i : i - end) * UNIT;
	for (; i < end; i++) {
		uint64_t *word = &gaps->units[i / PAGE_UNITS][i % PAGE_UNITS / 64];

		*word = (*word & ~(1UL << i % 64)) | (uint64_t)mapped << i % 64;
	}
}

/* Make addresses inaccessible, and keep them. @fixed: MAP_FIXED or MAP_FIXED_NOREPLACE */
static bool reserve(void *start, size_t size, int fixed)
{
	if (mmap(start, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | fixed, -1,
		 0) == MAP_FAILED)
		return false;
	madvise(start, size, MADV_DONTDUMP);
	return true;
}

/*
 * mmap() of reserved addresses was refused. If the process has more addresses than RLIMIT_AS, all mmap()
 * fails, and what is reserved can still be made accessible. mprotect() is not used for any other reason:
 * it would not count what strict overcommit and RLIMIT_DATA limit.
 */
static bool use_reserved(void *start, size_t size)
{
	void *probe = mmap(NULL, EM_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (probe != MAP_FAILED)
		munmap(probe, EM_PAGE);
	else if (!em_limits_data() && !mprotect(start, size, PROT_READ | PROT_WRITE))
		return !madvise(start, size, MADV_DODUMP);
	/* Kernels before 6.12 may have unmapped the addresses before they refused. */
	reserve(start, size, MAP_FIXED_NOREPLACE);
	return false;
}

/*
 * Map units, none of which is mapped. FOREIGN: the addresses were not reserved, and another mapping
 * of the process is there: the kernel has chosen other addresses.
 */
static enum mapped map_units(struct em_expert *expert, enum em_window window, size_t i,
			     size_t end)
{
	char *start = em_window_base(expert, window) + i * UNIT;
	size_t size = (end - i) * UNIT;
	void *p;

	if (!make_pages(expert->gaps[window], i, end))
		return REFUSED;
	p = mmap(start, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS |
		 (expert->unmapped ? 0 : MAP_FIXED), -1, 0);
	if (p == MAP_FAILED && !expert->unmapped && use_reserved(start, size))
		p = start;
	if (p == MAP_FAILED)
		return REFUSED;
	if (p != start) {
		munmap(p, size);
		return FOREIGN;
	}
	/* A hint: kernels without huge pages do not know it. */
	madvise(start, size, window == EM_HUGE_WINDOW ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	set_units(expert->gaps[window], i, end, true);
	em_debug_on_map(expert, start, size);
	return MAPPED;
}

/* Unmap units, all of which are mapped. They stay if the process has too many mappings. */
static void unmap_units(struct em_expert *expert, enum em_window window, size_t i, size_t end)
{
	char *start = em_window_base(expert, window) + i * UNIT;
	size_t size = (end - i) * UNIT;

	if (expert->unmapped ? munmap(start, size) : !reserve(start, size, MAP_FIXED))
		return;
	set_units(expert->gaps[window], i, end, false);
}

/* Unmap the mapped units of a range without regions, in pieces of at least @least bytes. */
static void unmap_range(struct em_expert *expert, enum em_window window, size_t start,
			size_t size, size_t least)
{
	const struct em_gaps *gaps = expert->gaps[window];
	size_t i = em_round_up(start, UNIT) / UNIT, end = (start + size) / UNIT, next;

	for (; i < end; i = next) {
		next = units_until(gaps, i, end);
		if (is_mapped(gaps, i) && (next - i) * UNIT >= least)
			unmap_units(expert, window, i, next);
	}
}

static void unmap_gaps(struct em_expert *expert, enum em_window window, uint32_t i,
		       size_t least)
{
	const struct em_node *node = &expert->gaps[window]->nodes[i];

	if (!i || node->widest < least)
		return;
	unmap_gaps(expert, window, node->child[0], least);
	unmap_range(expert, window, node->start + node->size, node->gap, least);
	unmap_gaps(expert, window, node->child[1], least);
}

static size_t mapped_bytes(const struct em_expert *expert)
{
	return expert->gaps[EM_SMALL_WINDOW]->mapped + expert->gaps[EM_HUGE_WINDOW]->mapped;
}

/* Mapped bytes outside of regions. */
static size_t idle_bytes(const struct em_expert *expert)
{
	return mapped_bytes(expert) - expert->shared->committed;
}

static size_t least_hole(const struct em_gaps *gaps)
{
	return gaps->used < REGIONS_MANY ? UNMAP_LEAST : UNMAP_LARGE;
}

static void unmap_idle(struct em_expert *expert)
{
	enum em_window window;

	for (window = EM_SMALL_WINDOW; window <= EM_HUGE_WINDOW; window++) {
		const struct em_gaps *gaps = expert->gaps[window];

		unmap_gaps(expert, window, gaps->root, least_hole(gaps));
	}
	expert->idle = idle_bytes(expert);
}

/*
 * After memory was given back: unmap idle units, if there are many more than after the last time.
 */
static void tidy(struct em_expert *expert)
{
	size_t idle = idle_bytes(expert);

	if (idle < expert->idle)
		expert->idle = idle;
	if (idle > expert->idle + IDLE_MAX + expert->shared->committed / AHEAD_PART)
		unmap_idle(expert);
}

/* Number of units to map behind unit @end, for the next regions. */
static size_t units_ahead(const struct em_expert *expert, enum em_window window, size_t end)
{
	size_t ahead = expert->shared->committed / AHEAD_PART, last = expert->window / UNIT;

	if (window == EM_HUGE_WINDOW || end == last || is_mapped(expert->gaps[window], end))
		return 0;
	ahead = (ahead < AHEAD_MAX ? ahead : AHEAD_MAX) / UNIT;
	if (end + ahead < last)
		last = end + ahead;
	return ahead ? units_until(expert->gaps[window], end, last) - end : 0;
}

/* Map the units of a range that are not mapped. */
static enum mapped map_range(struct em_expert *expert, enum em_window window, size_t start,
			     size_t size)
{
	size_t i = start / UNIT, end = (start + size - 1) / UNIT + 1, next;
	struct em_gaps *gaps = expert->gaps[window];
	enum mapped mapped = MAPPED;

	for (; i < end && mapped == MAPPED; i = next) {
		next = units_until(gaps, i, end);
		if (is_mapped(gaps, i))
			continue;
		if (next == end && map_units(expert, window, i, end + units_ahead(expert, window,
										 end)) == MAPPED)
			break;
		mapped = map_units(expert, window, i, next);
		if (mapped != REFUSED)
			continue;
		unmap_idle(expert);
		mapped = map_units(expert, window, i, next);
	}
	return mapped;
}

static void give_back(struct em_expert *expert, char *start, size_t size)
{
	anon_discard(start, size);
	expert->shared->committed -= size;
}

static enum mapped take(struct em_expert *expert, char *start, size_t size)
{
	enum em_window window = em_window_of(expert, start);
	enum mapped mapped;

	if (!size)
		return MAPPED;
	if (!charge(expert, size))
		return REFUSED;
	mapped = map_range(expert, window, start - em_window_base(expert, window), size);
	if (mapped != MAPPED) {
		expert->shared->committed -= size;
		return mapped;
	}
	if (!(expert->flags & EXPERTMEM_POPULATE) ||
	    !madvise(start, size, MADV_POPULATE_WRITE))
		return MAPPED;
	give_back(expert, start, size);
	return REFUSED;
}

static int anon_open(struct em_expert *expert, const struct expertmem_options *options,
		     int adopted)
{
	(void)adopted;
	if (options->flags & EXPERTMEM_UNSWAPPABLE)
		return EXPERTMEM_E_UNSUPPORTED;
	expert->limit = options->limit == EXPERTMEM_LIMIT_DEFAULT ? 0 : options->limit;
	expert->status = &expert->shared->flags;
	return EXPERTMEM_OK;
}

static void anon_close(struct em_expert *expert)
{
	(void)expert;
}

/* The windows are unmapped, part by part where others may be in between. */
static void anon_unmap(struct em_expert *expert)
{
	enum em_window window;

	if (!expert->unmapped && munmap(expert->base, expert->window * 2))
		madvise(expert->base, expert->window * 2, MADV_DONTNEED);
	for (window = EM_SMALL_WINDOW; window <= EM_HUGE_WINDOW; window++) {
		struct em_gaps *gaps = expert->gaps[window];

		if (!gaps)
			continue;
		if (expert->unmapped)
			unmap_range(expert, window, 0, expert->window, UNIT);
		expert->gaps[window] = NULL;
		for (size_t i = 0; i < expert->window / UNIT / PAGE_UNITS; i++)
			if (gaps->units[i])
				munmap(gaps->units[i], EM_PAGE);
		munmap(gaps->units, units_size(expert));
		munmap(gaps, gaps->size);
	}
}

static struct em_gaps *gaps_new(const struct em_expert *expert)
{
	struct em_gaps *gaps = em_map(EM_PAGE, MAP_PRIVATE);

	if (!gaps)
		return NULL;
	gaps->size = EM_PAGE;
	gaps->units = em_map(units_size(expert), MAP_PRIVATE);
	if (!gaps->units) {
		munmap(gaps, EM_PAGE);
		return NULL;
	}
	em_gaps_init(gaps, expert->window);
	return gaps;
}

/* Make sure that the tree has a free node. False: no memory. */
static bool gaps_grow(struct em_expert *expert, enum em_window window)
{
	struct em_gaps *gaps = expert->gaps[window];
	size_t size = gaps->size;

	if (em_gaps_has_node(gaps))
		return true;
	gaps = mremap(gaps, size, size * 2, MREMAP_MAYMOVE);
	if (gaps == MAP_FAILED)
		return false;
	gaps->size = size * 2;
	expert->gaps[window] = gaps;
	return true;
}

/* anon_unmap() undoes a failure. */
static int anon_attach(struct em_expert *expert)
{
	expert->gaps[EM_SMALL_WINDOW] = gaps_new(expert);
	expert->gaps[EM_HUGE_WINDOW] = gaps_new(expert);
	return expert->gaps[EM_SMALL_WINDOW] && expert->gaps[EM_HUGE_WINDOW] ?
	       EXPERTMEM_OK : EXPERTMEM_E_NOMEM;
}

/* Pages outside of regions may be mapped, and then do not fault. Guard pages do. */
static void anon_guard(struct em_expert *expert, void *page, bool guard)
{
	enum em_window window = em_window_of(expert, page);

	/* Map the page first: a unit that is mapped later would replace PROT_NONE. */
	if (map_range(expert, window, (char *)page - em_window_base(expert, window), EM_PAGE) == MAPPED)
		mprotect(page, EM_PAGE, guard ? PROT_NONE : PROT_READ | PROT_WRITE);
}

/* fork() itself copies private memory. */
static int anon_fork_prepare(struct em_expert *expert)
{
	(void)expert;
	return EXPERTMEM_OK;
}

static void anon_fork_parent(struct em_expert *expert, bool shares_files)
{
	(void)expert, (void)shares_files;
}

static int anon_fork_child(struct em_expert *expert, bool shares_files)
{
	(void)expert, (void)shares_files;
	return EXPERTMEM_OK;
}

/* Is a region placed where it can grow? Not with many regions: each may become a mapping. */
static bool may_grow(const struct em_gaps *gaps, enum em_window window, size_t size)
{
	return gaps->used < REGIONS_MANY && (window == EM_HUGE_WINDOW || size >= ROOMY);
}

/*
 * Free bytes on either side of a region, which keep an overrun from the next region. Where memory is
 * limited, large blocks have none. The first gap in the window is a page, before the first array: a
 * region of one page must not get there.
 */
static size_t guard_of(const struct em_expert *expert, enum em_window window, size_t size)
{
	return expert->saves && window == EM_SMALL_WINDOW && size > EM_PAGE ? 0 : em_granule(window);
}

/*
 * Place a region of @size bytes, with @span bytes reserved for it, and @guard bytes on either side. A
 * range with a foreign mapping stays in the tree as a region that nobody uses.
 */
static void *place(struct em_expert *expert, enum em_window window, size_t size, size_t span,
		   size_t guard, bool roomy)
{
	enum mapped mapped = FOREIGN;
	char *region = NULL;
	size_t start;

	while (mapped == FOREIGN) {
		if (!gaps_grow(expert, window))
			return NULL;
		start = em_gaps_insert(expert->gaps[window], span, guard, roomy);
		if (!start)
			return NULL;
		region = em_window_base(expert, window) + start;
		mapped = take(expert, region, size);
	}
	if (mapped == MAPPED)
		return region;
	em_gaps_remove(expert->gaps[window], start);
	return NULL;
}

static void *anon_alloc(struct em_expert *expert, enum em_window window, size_t size,
			size_t room)
{
	void *region = NULL;
	size_t span;

	size = rounded(window, size);
	span = em_max(size, rounded(window, room));
	/* The guard page behind an array must stay free, also if a later region of a program asks for none. */
	if (room && window == EM_SMALL_WINDOW && expert->classes != em_classes_of_api)
		span += EM_PAGE;
	if (!room && may_grow(expert->gaps[window], window, size))
		region = place(expert, window, size, span, em_granule(window), true);
	/* Where RLIMIT_AS refuses more pages for gaps->units, those of low addresses exist. */
	if (!region)
		region = place(expert, window, size, span,
			       room ? em_granule(window) : guard_of(expert, window, size), false);
	return region;
}

/* Advise huge pages for the inside of a region that has grown large in the small window. */
static void advise(struct em_expert *expert, char *region, size_t size, int advice)
{
	char *start = (char *)em_round_up((uintptr_t)region, EM_HUGE);

	if (size >= LARGE && em_window_of(expert, region) == EM_SMALL_WINDOW &&
	    !(expert->flags & EXPERTMEM_NO_HUGE))
		madvise(start, (region + size - start) & ~(EM_HUGE - 1), advice);
}

static bool anon_resize(struct em_expert *expert, void *region, size_t old, size_t size, bool huge)
{
	enum em_window window = em_window_of(expert, region);
	struct em_gaps *gaps = expert->gaps[window];
	size_t start = (char *)region - em_window_base(expert, window);

	old = rounded(window, old);
	size = rounded(window, size);
	if (!em_gaps_resize(gaps, start, old, size, guard_of(expert, window, size)))
		return false;
	if (size < old) {
		give_back(expert, (char *)region + size, old - size);
		unmap_range(expert, window, start + size, old - size, least_hole(gaps));
	} else if (take(expert, (char *)region + old, size - old) != MAPPED) {
		return em_gaps_resize(gaps, start, size, old, 0), false;
	}
	if (huge && size / EM_HUGE > old / EM_HUGE) {
		advise(expert, region, size, MADV_HUGEPAGE);
		if (size >= SETTLED)
			advise(expert, region, size, MADV_COLLAPSE);
	}
	return true;
}

static void anon_free(struct em_expert *expert, void *region, size_t size)
{
	enum em_window window = em_window_of(expert, region);

	give_back(expert, region, rounded(window, size));
	advise(expert, region, rounded(window, size), MADV_NOHUGEPAGE);
	em_gaps_remove(expert->gaps[window],
		    (char *)region - em_window_base(expert, window));
	tidy(expert);
}

/* Unmap the units of a window that no region has used, which are reserved. */
static void unmap_reserved(struct em_expert *expert, enum em_window window)
{
	size_t i, next, end = expert->window / UNIT;

	for (i = 0; i < end; i = next) {
		next = units_until(expert->gaps[window], i, end);
		if (!is_mapped(expert->gaps[window], i))
			munmap(em_window_base(expert, window) + i * UNIT, (next - i) * UNIT);
	}
}

/*
 * From now on another mapping may get the addresses: map_units() expects that. They are kept if the
 * process could map less than EM_ADDRESSES_LEAST all the same. Then every mmap() fails, and the heap goes on
 * in reserved addresses: see use_reserved(). They are also kept if the kernel maps from low to high addresses
 * (the legacy layout): its next mappings would come between regions, where arrays grow.
 */
static void anon_unreserve(struct em_expert *expert, size_t limit)
{
	bool grows_up = (uintptr_t)expert->base > (uintptr_t)em_experts;
	size_t has = em_address_space();	/* 0: not known */
	size_t reserved = expert->window * 2 - mapped_bytes(expert);

	if (expert->unmapped || grows_up || (has > reserved && has - reserved + EM_ADDRESSES_LEAST > limit))
		return;
	unmap_reserved(expert, EM_SMALL_WINDOW);
	unmap_reserved(expert, EM_HUGE_WINDOW);
	expert->unmapped = true;
}

static bool anon_terminate(struct em_expert *expert)
{
	em_or_return_relaxed(&expert->shared->flags, EXPERTMEM_STATUS_TERMINATE);
	return true;
}

/* Replace all mappings of the windows by inaccessible ones, which keep the addresses. */
static bool protect_all(struct em_expert *expert)
{
	size_t i, next, end = expert->window / UNIT;
	enum em_window window;

	/* RLIMIT_AS may refuse mmap() */
	if (!expert->unmapped)
		return reserve(expert->base, expert->window * 2, MAP_FIXED) ||
		       (!mprotect(expert->base, expert->window * 2, PROT_NONE) &&
			!munlock(expert->base, expert->window * 2) &&
			!madvise(expert->base, expert->window * 2, MADV_DONTNEED));
	for (window = EM_SMALL_WINDOW; window <= EM_HUGE_WINDOW; window++)
		for (i = 0; i < end; i = next) {
			next = units_until(expert->gaps[window], i, end);
			if (is_mapped(expert->gaps[window], i) &&
			    !reserve(em_window_base(expert, window) + i * UNIT, (next - i) * UNIT,
				     MAP_FIXED))
				return false;
		}
	return true;
}

static int anon_reclaim(struct em_expert *expert, uint64_t *bytes)
{
	if (!expert->attached && expert->shared->owner)
		return EXPERTMEM_E_UNSUPPORTED;
	if (expert->attached && !protect_all(expert))
		return EXPERTMEM_E_NOMEM;
	em_or_return_relaxed(&expert->shared->flags, EXPERTMEM_STATUS_RECLAIMED);
	*bytes = expert->shared->committed;
	expert->shared->committed = 0;
	return EXPERTMEM_OK;
}

static void anon_stats(struct em_expert *expert, struct expertmem_heap_stats *stats)
{
	stats->limit = expert->limit;
	stats->committed = expert->shared->committed;
	stats->resident = stats->committed;
	stats->peak = expert->shared->peak;
}

const struct em_backend em_anon = {
	.id		= EXPERTMEM_BACKEND_ANON,
	.open		= anon_open,
	.maps_parts	= true,
	.attach		= anon_attach,
	.unmap		= anon_unmap,
	.alloc		= anon_alloc,
	.resize		= anon_resize,
	.free		= anon_free,
	.discard	= anon_discard,
	.guard		= anon_guard,
	.fork_prepare	= anon_fork_prepare,
	.fork_parent	= anon_fork_parent,
	.fork_child	= anon_fork_child,
	.unreserve	= anon_unreserve,
	.terminate	= anon_terminate,
	.reclaim	= anon_reclaim,
	.stats		= anon_stats,
	.close		= anon_close,
};
