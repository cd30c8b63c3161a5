// SPDX-License-Identifier: GPL-2.0
/*
 * The shadow model: what the documentation says that experts, windows, regions and pages
 * are like. It makes no calls.
 */
#include "fuzz.h"

/* A region from this size on has room to grow, others are packed from the bottom. */
#define ROOMY	(256 * KIB)

struct shadow shadow;

void may_fail(struct errors *errors, bool condition, int err)
{
	if (condition)
		errors->list[errors->nr++] = -err;
}

static __u64 span_of(const struct shadow_region *region)
{
	return region->room > region->size ? region->room : region->size;
}

static __u64 end_of(const struct shadow_region *region)
{
	return region->offset + span_of(region);
}

/* ------------------------------------------------------------------------- experts */

void shadow_open(struct shadow_expert *expert, __u64 id, enum process process)
{
	memset(expert, 0, sizeof(*expert));
	expert->exists = true;
	expert->held = 1U << process;
	expert->opener = process == HERE ? getpid() : shadow.child;
	expert->stat.id = id;
	expert->stat.limit = shadow.default_limit;
	expert->windows[0].offset = EXPERTMEM_SMALL_OFFSET;
	expert->windows[0].granule = PAGE;
	expert->windows[1].offset = EXPERTMEM_HUGE_OFFSET;
	expert->windows[1].granule = HUGE;
}

/* Is it released? It lives as long as a descriptor or a mapping of a window. */
bool shadow_release(struct shadow_expert *expert)
{
	if (expert->held || expert->windows[0].addr || expert->windows[1].addr)
		return false;
	expert->exists = false;
	return true;
}

void shadow_close(struct shadow_expert *expert, enum process process)
{
	expert->held &= ~(1U << process);
	shadow_release(expert);
}

unsigned int shadow_count(void)
{
	unsigned int i, count = 0;

	for (i = 0; i < EXPERTS; i++)
		count += shadow.experts[i].exists;
	return count;
}

/* Those that count for max_experts. */
unsigned int shadow_count_live(void)
{
	unsigned int i, count = 0;

	for (i = 0; i < EXPERTS; i++)
		count += shadow.experts[i].exists &&
			 shadow.experts[i].stat.state != EXPERTMEM_STATE_RECLAIMED;
	return count;
}

static __u64 committed_in(const struct shadow_window *window)
{
	__u64 committed = 0;
	unsigned int i;

	for (i = 0; i < window->nr_regions; i++)
		committed += window->regions[i].size;
	return committed;
}

__u64 shadow_committed(const struct shadow_expert *expert)
{
	return committed_in(&expert->windows[0]) + committed_in(&expert->windows[1]);
}

__u64 shadow_total(void)
{
	__u64 total = 0;
	unsigned int i;

	for (i = 0; i < EXPERTS; i++)
		if (shadow.experts[i].exists)
			total += shadow_committed(&shadow.experts[i]);
	return total;
}

bool shadow_would_pass(__u64 limit, __u64 committed, __u64 more)
{
	return limit && (more > limit || committed > limit - more);
}

static void raise_peak(struct shadow_expert *expert)
{
	__u64 committed = shadow_committed(expert);

	if (committed > expert->stat.peak)
		expert->stat.peak = committed;
}

/* ------------------------------------------------------------------------- regions */

/* The gap below region @i, or above the last one: where it starts, and how long it is. */
static __u64 gap_below(const struct shadow_window *window, unsigned int i, __u64 *start)
{
	__u64 end = i < window->nr_regions ? window->regions[i].offset :
					     window->offset + window->size;

	*start = i ? end_of(&window->regions[i - 1]) : window->offset;
	return end - *start;
}

static __u64 largest_gap(const struct shadow_window *window)
{
	__u64 start, gap, largest = 0;
	unsigned int i;

	for (i = 0; i <= window->nr_regions; i++) {
		gap = gap_below(window, i, &start);
		if (gap > largest)
			largest = gap;
	}
	return largest;
}

bool shadow_fits(const struct shadow_window *window, __u64 span)
{
	return largest_gap(window) >= span + 2 * window->granule;
}

/* Where the header says that a region is to be: call it before shadow_insert(). */
bool shadow_placed_well(const struct shadow_window *window,
			const struct shadow_region *region)
{
	__u64 guard = window->granule, span = span_of(region), largest = largest_gap(window);
	bool packed = guard == PAGE && span < ROOMY;
	__u64 start, gap;
	unsigned int i;

	if (region->offset % guard)
		return false;
	for (i = 0; i <= window->nr_regions; i++) {
		gap = gap_below(window, i, &start);
		if (region->offset >= start + gap) {
			/* packed ones are in the lowest gap that is large enough */
			if (packed && gap >= span + 2 * guard)
				return false;
			continue;
		}
		if (region->offset < start + guard ||
		    region->offset + span + guard > start + gap)
			return false;
		if (packed)
			return region->offset == start + guard;
		if (!region->room && largest / 8 >= span + 2 * guard)
			return start + gap - region->offset - span >= largest / 8;
		return true;
	}
	return false;
}

bool shadow_can_grow(const struct shadow_window *window,
		     const struct shadow_region *region, __u64 size)
{
	unsigned int i = region - window->regions + 1;
	__u64 start, gap;

	if (size <= span_of(region))
		return true;
	gap = gap_below(window, i, &start);
	return region->offset + size + window->granule <= start + gap;
}

struct shadow_region *shadow_region_at(struct shadow_window *window, __u64 offset)
{
	unsigned int i;

	for (i = 0; i < window->nr_regions; i++)
		if (window->regions[i].offset == offset)
			return &window->regions[i];
	return NULL;
}

bool shadow_touchable(const struct shadow_window *window, __u64 offset)
{
	unsigned int i;

	for (i = 0; window->state == MAPPED && i < window->nr_regions; i++)
		if (offset >= window->regions[i].offset &&
		    offset - window->regions[i].offset < window->regions[i].size)
			return true;
	return false;
}

void shadow_insert(struct shadow_expert *expert, struct shadow_window *window,
		   const struct shadow_region *region)
{
	unsigned int i = window->nr_regions++;

	for (; i && window->regions[i - 1].offset > region->offset; i--)
		window->regions[i] = window->regions[i - 1];
	window->regions[i] = *region;
	raise_peak(expert);
}

void shadow_resize(struct shadow_expert *expert, struct shadow_window *window,
		   struct shadow_region *region, __u64 size)
{
	if (size < region->size)
		shadow_drop(window, region->offset + size, region->offset + region->size);
	region->size = size;
	raise_peak(expert);
}

void shadow_remove(struct shadow_window *window, struct shadow_region *region)
{
	unsigned int i = region - window->regions;

	shadow_drop(window, region->offset, region->offset + region->size);
	window->nr_regions--;
	for (; i < window->nr_regions; i++)
		window->regions[i] = window->regions[i + 1];
}

/* --------------------------------------------------------------------------- pages */

bool shadow_has_room(const struct shadow_window *window, __u64 pages)
{
	return window->nr_pages + pages <= PAGES_KNOWN &&
	       (window->granule == PAGE || window->nr_granules + pages <= GRANULES_KNOWN);
}

struct shadow_page *shadow_page(struct shadow_window *window, __u64 offset)
{
	unsigned int i;

	for (i = 0; i < window->nr_pages; i++)
		if (window->pages[i].offset == (offset & ~(PAGE - 1)))
			return &window->pages[i];
	return NULL;
}

static struct shadow_granule *granule_of(struct shadow_window *window, __u64 offset)
{
	unsigned int i;

	offset &= ~(HUGE - 1);
	for (i = 0; i < window->nr_granules; i++)
		if (window->granules[i].offset == offset)
			return &window->granules[i];
	window->granules[i] = (struct shadow_granule) { .offset = offset };
	window->nr_granules++;
	return &window->granules[i];
}

/* A page comes into being, filled with zeros, where it is not there yet. */
struct shadow_page *shadow_present(struct shadow_window *window, __u64 offset)
{
	struct shadow_page *page = shadow_page(window, offset);

	if (!page) {
		page = &window->pages[window->nr_pages++];
		*page = (struct shadow_page) { .offset = offset & ~(PAGE - 1) };
	}
	if (window->granule == HUGE)
		granule_of(window, offset);
	return page;
}

void shadow_populate(struct shadow_window *window, __u64 from, __u64 to)
{
	for (; from < to; from += window->granule) {
		if (window->granule == HUGE)
			granule_of(window, from)->full = true;
		else
			shadow_present(window, from);
	}
}

void shadow_drop(struct shadow_window *window, __u64 from, __u64 to)
{
	unsigned int i;

	for (i = window->nr_pages; i--;)
		if (window->pages[i].offset >= from && window->pages[i].offset < to)
			window->pages[i] = window->pages[--window->nr_pages];
	for (i = window->nr_granules; i--;) {
		__u64 start = window->granules[i].offset;

		if (start >= from && start + HUGE <= to)
			window->granules[i] = window->granules[--window->nr_granules];
		else if (start < to && start + HUGE > from)
			window->granules[i].full = false;
	}
}

static void resident_in(const struct shadow_window *window, __u64 *low, __u64 *high)
{
	unsigned int i, j;

	for (i = 0; i < window->nr_pages; i++) {
		const struct shadow_page *page = &window->pages[i];
		bool counted = false;

		for (j = 0; j < window->nr_granules; j++)
			counted |= window->granules[j].full &&
				   window->granules[j].offset == (page->offset & ~(HUGE - 1));
		if (!counted && (page->written || !window->vague))
			*low += PAGE;
		if (window->granule == PAGE)
			*high += PAGE;
	}
	for (i = 0; i < window->nr_granules; i++) {
		if (window->granules[i].full)
			*low += HUGE;
		*high += HUGE;
	}
}

void shadow_resident(const struct shadow_expert *expert, __u64 *low, __u64 *high)
{
	*low = 0;
	*high = 0;
	resident_in(&expert->windows[0], low, high);
	resident_in(&expert->windows[1], low, high);
}

/* All regions of one expert in another, or nothing. Pages of zeros are not copied. */
void shadow_copy(struct shadow_expert *to, const struct shadow_expert *from)
{
	const struct shadow_window *source;
	struct shadow_window *copy;
	unsigned int i, j;

	for (i = 0; i < 2; i++) {
		source = &from->windows[i];
		copy = &to->windows[i];
		for (j = 0; j < source->nr_regions; j++)
			shadow_insert(to, copy, &source->regions[j]);
		copy->nr_pages = source->nr_pages;
		copy->nr_granules = source->nr_granules;
		copy->vague = true;
		memcpy(copy->pages, source->pages, sizeof(copy->pages));
		memcpy(copy->granules, source->granules, sizeof(copy->granules));
		for (j = 0; j < copy->nr_granules; j++)
			copy->granules[j].full = false;
	}
}

/* -------------------------------------------------------------------------- ending */

static void window_goes(struct shadow_expert *expert, struct shadow_window *window)
{
	if (window->state == MAPPED) {
		expert->freed.reclaimed_bytes += committed_in(window);
		expert->freed.reclaimed_regions += window->nr_regions;
	}
	window->state = GONE;
	window->nr_regions = 0;
	window->nr_pages = 0;
	window->nr_granules = 0;
}

void shadow_reclaim(struct shadow_expert *expert, struct shadow_window *only,
		    enum expertmem_cause cause, __u32 signal)
{
	unsigned int i;

	for (i = 0; i < 2; i++)
		if (!only || only == &expert->windows[i])
			window_goes(expert, &expert->windows[i]);
	expert->stat.reclaimed_bytes = expert->freed.reclaimed_bytes;
	if (expert->stat.state == EXPERTMEM_STATE_RECLAIMED ||
	    expert->windows[0].state == MAPPED || expert->windows[1].state == MAPPED)
		return;
	expert->stat.state = EXPERTMEM_STATE_RECLAIMED;
	expert->stat.cause = cause;
	expert->signal = signal;
	expert->status_flags |= EXPERTMEM_STATUS_RECLAIMED;
}

void shadow_terminate(struct shadow_expert *expert)
{
	if (expert->stat.state >= EXPERTMEM_STATE_TERMINATING)
		return;
	expert->stat.state = EXPERTMEM_STATE_TERMINATING;
	expert->status_flags |= EXPERTMEM_STATUS_TERMINATE;
}

/* Its mappings go, and where it does not live on after exec() its descriptors too. */
void shadow_process_ends(enum process process, __u32 signal, bool all)
{
	pid_t pid = process == HERE ? getpid() : shadow.child;
	struct shadow_window *window;
	struct shadow_expert *expert;
	unsigned int i, j;

	for (i = 0; i < EXPERTS; i++) {
		expert = &shadow.experts[i];
		if (!expert->exists)
			continue;
		for (j = 0; j < 2; j++) {
			window = &expert->windows[j];
			if (process == CHILD)
				expert->orphan[j] = NULL;
			if (!window->addr || window->process != process)
				continue;
			window->addr = NULL;
			shadow_reclaim(expert, window, EXPERTMEM_CAUSE_DETACH,
				       expert->mapper == pid ? signal : 0);
		}
		expert->status[process] = NULL;
		if (all)
			shadow_close(expert, process);
		else
			shadow_release(expert);
	}
}
