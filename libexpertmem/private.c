// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A copy of the heap in private memory, for a child of a program whose filter of system calls
 * (seccomp) refuses ioctl() of the module. The parent copies all regions before the fork. The child
 * moves the copies to the addresses of the regions. That needs only mmap(), munmap() and mremap(),
 * which malloc() of the C library needs, too.
 */
#include <string.h>
#include <sys/mman.h>

#include "internal.h"

/**
 * struct em_copy - a copy of all regions of an expert; their contents begin at the next page
 * @size: bytes of this mapping
 * @count: number of regions
 * @bytes: bytes of the regions, in whole pages; while em_copy_make() runs, those yet to be copied
 */
struct em_copy {
	size_t size;
	size_t count;
	size_t bytes;
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
	copy->bytes += size;
}

static bool is_zero(const char *page)
{
	return !*page && !memcmp(page, page + 1, EM_PAGE - 1);
}

/* Copy a region. Pages of zeros are skipped: new private memory reads as zeros. */
static void add(char *region, size_t size, void *arg)
{
	struct em_copy *copy = arg;
	char *to = (char *)copy + copy->size - copy->bytes;

	copy->parts[copy->count].region = region;
	copy->parts[copy->count++].size = size;
	copy->bytes -= size;
	for (; size; size -= EM_PAGE, region += EM_PAGE, to += EM_PAGE)
		if (!is_zero(region))
			memcpy(to, region, EM_PAGE);
}

/**
 * em_copy_make() - copy the regions of an expert
 * @expert: the expert, paused
 *
 * Return: the copy, or NULL: there is no memory for it.
 */
struct em_copy *em_copy_make(struct em_expert *expert)
{
	struct em_copy need = { 0 }, *copy;

	em_heap_regions(expert, measure, &need);
	need.size = header_size(need.count) + need.bytes;
	copy = mmap(NULL, need.size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (copy == MAP_FAILED)
		return NULL;
	copy->size = need.size;
	copy->bytes = need.bytes;
	em_heap_regions(expert, add, copy);
	return copy;
}

void em_copy_drop(struct em_copy *copy)
{
	munmap(copy, copy->size);
}

static bool make_unusable(char *start, size_t size)
{
	return mmap(start, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1,
		    0) != MAP_FAILED;
}

/**
 * em_copy_free() - give back the pages of a region of a copy
 * @region: its first byte
 * @size: bytes
 */
void em_copy_free(char *region, size_t size)
{
	make_unusable(region, em_round_up(size, EM_PAGE));
}

/**
 * em_copy_use() - in the child: replace the windows by the copy
 * @expert: the expert
 * @copy: the copy of its regions, which is unmapped
 *
 * Addresses outside of the regions fault, as before. No region grows any more.
 *
 * Return: false where the kernel refuses a mapping; then the child has no heap.
 */
bool em_copy_use(struct em_expert *expert, struct em_copy *copy)
{
	char *from = (char *)copy + header_size(copy->count);
	size_t i;

	if (munmap(expert->base, expert->window * 2) ||
	    !make_unusable(expert->base, expert->window * 2))
		return false;
	for (i = 0; i < copy->count; i++) {
		size_t size = copy->parts[i].size;

		if (mremap(from, size, size, MREMAP_MAYMOVE | MREMAP_FIXED,
			   copy->parts[i].region) == MAP_FAILED)
			return false;
		from += size;
	}
	munmap(copy, header_size(copy->count));
	/* Replace the status page of the parent's expert by one of zeros. */
	return mmap((void *)expert->status, EM_PAGE, PROT_READ,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED;
}
