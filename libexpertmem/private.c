// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A copy of the heap in private memory, which replaces the windows of the module:
 *
 * - in a child of a program whose filter of system calls (seccomp) refuses ioctl() of the module. The
 *   parent copies all regions before the fork. That needs only mmap(), munmap() and mremap(), which
 *   malloc() of the C library needs, too;
 * - in a program that is about to set RLIMIT_AS, where this limit is too low for the windows.
 */
#include <string.h>
#include <sys/mman.h>

#include "internal.h"

/* Each region of a copy is a mapping. A process can have 65,530 of them (vm.max_map_count). */
#define REGIONS_MAX	32768

/**
 * struct em_copy - a copy of all regions of an expert; their contents begin at the next page
 * @size: bytes of this mapping
 * @count: number of regions
 * @parts: address and size of each region, in bytes; a multiple of EM_PAGE
 */
struct em_copy {
	size_t size;
	size_t count;
	struct {
		char *region;
		size_t size;
	} parts[];
};

static size_t header_size(size_t count)
{
	return em_round_up(sizeof(struct em_copy) +
			   count * sizeof(((struct em_copy *)NULL)->parts[0]), EM_PAGE);
}

static void measure(char *region, size_t size, void *arg)
{
	struct em_copy *copy = arg;

	(void)region;
	copy->count++;
	copy->size += size;
}

static bool is_zero(const char *page)
{
	return !*page && !memcmp(page, page + 1, EM_PAGE - 1);
}

static void add(char *region, size_t size, void *arg)
{
	struct em_copy *copy = arg;

	copy->parts[copy->count].region = region;
	copy->parts[copy->count++].size = size;
}

/* Pages of zeros are skipped: new private memory reads as zeros. */
static void copy_pages(char *to, const char *from, size_t size)
{
	for (; size; size -= EM_PAGE, from += EM_PAGE, to += EM_PAGE)
		if (!is_zero(from))
			memcpy(to, from, EM_PAGE);
}

/*
 * Copy the regions. With @moves, give back their pages meanwhile, so that there are not twice as many.
 * False: somebody else holds a page, as for direct I/O, and may write to it. Then no page is given back.
 */
static bool copy_regions(struct em_copy *copy, bool moves)
{
	char *start = (char *)copy + header_size(copy->count), *to = start;
	size_t i, step, left;

	for (i = 0; i < copy->count; i++) {
		char *from = copy->parts[i].region;

		for (left = copy->parts[i].size; left; left -= step, from += step, to += step) {
			step = left < EM_HUGE ? left : EM_HUGE;
			copy_pages(to, from, step);
			if (moves && madvise(from, step, MADV_REMOVE))
				goto undo;
		}
	}
	return true;
undo:
	for (i = 0; start < to; i++, start += step) {
		step = copy->parts[i].size;
		if (step > (size_t)(to - start))
			step = (size_t)(to - start);
		copy_pages(copy->parts[i].region, start, step);
	}
	return false;
}

/**
 * em_copy_make() - copy the regions of an expert
 * @expert: the expert, paused
 * @moves: give back the expert's pages. The heap can only be used after em_copy_use().
 *
 * Return: the copy. NULL: the heap stays as it is, because there is no memory for a copy, there are too
 * many regions, or, with @moves, somebody else holds a page.
 */
struct em_copy *em_copy_make(struct em_expert *expert, bool moves)
{
	struct em_copy need = { 0 }, *copy;

	em_heap_regions(expert, measure, &need);
	if (need.count > REGIONS_MAX)
		return NULL;
	need.size += header_size(need.count);
	copy = mmap(NULL, need.size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (copy == MAP_FAILED)
		return NULL;
	/* A huge page would make zeros of its other pages resident. */
	madvise(copy, need.size, MADV_NOHUGEPAGE);
	copy->size = need.size;
	/* The heap's metadata is in regions, too: list all regions before one is given back. */
	em_heap_regions(expert, add, copy);
	if (copy_regions(copy, moves))
		return copy;
	em_copy_drop(copy);
	return NULL;
}

void em_copy_drop(struct em_copy *copy)
{
	munmap(copy, copy->size);
}

/**
 * em_copy_free() - give back the pages of a region of a copy
 * @region: its first byte
 * @size: bytes
 */
void em_copy_free(char *region, size_t size)
{
	munmap(region, em_round_up(size, EM_PAGE));
}

/**
 * em_copy_use() - replace the windows by the copy
 * @expert: the expert, in a process of one thread
 * @copy: the copy of its regions, which moves to their addresses
 *
 * No region grows any more. Other mappings of the process may come to addresses outside of the regions.
 *
 * Return: false where the kernel refuses a mapping; then the process has no heap.
 */
bool em_copy_use(struct em_expert *expert, struct em_copy *copy)
{
	char *from = (char *)copy + header_size(copy->count);
	size_t i;

	if (munmap(expert->base, expert->window * 2))
		return false;
	expert->unmapped = true;
	for (i = 0; i < copy->count; i++) {
		size_t size = copy->parts[i].size;

		if (mremap(from, size, size, MREMAP_MAYMOVE | MREMAP_FIXED,
			   copy->parts[i].region) == MAP_FAILED)
			return false;
		if (em_window_of(expert, copy->parts[i].region) == EM_HUGE_WINDOW)
			madvise(copy->parts[i].region, size, MADV_HUGEPAGE);
		from += size;
	}
	munmap(copy, header_size(copy->count));
	/* Replace the status page of the parent's expert by one of zeros. */
	return mmap((void *)expert->status, EM_PAGE, PROT_READ,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED;
}
