/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Shared by the tests of the heap: a listener for findings, pointers that every call must
 * refuse, and the sizes at which blocks change their kind.
 */
#ifndef HEAP_TEST_H
#define HEAP_TEST_H

#include "library_test.h"

/* no block of a size above is in a slab with others */
#define SLAB_MAX	(64 * KIB)

/* ----------------------------------------------------------------------- findings */

/* What a listener heard. */
struct heard {
	unsigned long count;
	struct expertmem_finding last;
};

static inline void hear(const struct expertmem_finding *finding, void *arg)
{
	struct heard *heard = arg;

	heard->last = *finding;
	heard->count++;
}

/* Was there one finding since the last look, a bad call with this pointer? */
static inline bool heard_bad(struct heard *heard, HEXPERTKEY key,
			     enum expertmem_finding_kind kind, DWORD error, const void *p)
{
	const struct expertmem_finding *last = &heard->last;
	bool is = heard->count == 1 && last->key == key && last->kind == kind &&
		  last->error == error && last->pointer == p && !last->size &&
		  !last->blocks && !last->site;

	*heard = (struct heard){ };
	return is;
}

/*
 * Do all calls refuse @p with this code, and is each heard once? @size: what realloc is
 * to make of it.
 */
static inline bool is_bad(HEXPERTKEY key, struct heard *heard, const void *p, DWORD code,
			  size_t size)
{
	return !heard->count &&
	       ExpertFreeMemory(key, (void *)p) == code &&
	       heard_bad(heard, key, EXPERTMEM_BAD_FREE, code, p) &&
	       says(resize(key, (void *)p, size), code) &&
	       heard_bad(heard, key, EXPERTMEM_BAD_REALLOC, code, p) &&
	       says(resize(key, (void *)p, 2 * size + 64), code) &&
	       heard_bad(heard, key, EXPERTMEM_BAD_REALLOC, code, p) &&
	       ExpertMemorySize(key, (void *)p) == 0 &&
	       heard_bad(heard, key, EXPERTMEM_BAD_SIZE, code, p);
}

/* -------------------------------------------------------------------------- sizes */

#define CLASSES_MAX	512

/* The largest size of each class. */
struct classes {
	size_t count;
	size_t size[CLASSES_MAX];
};

/* Where all of them move, in debug mode: all sizes at which a class may end. */
static inline void guess_classes(struct classes *classes)
{
	size_t size, step = 16;

	classes->count = 0;
	for (size = 16; size <= SLAB_MAX; size += step) {
		classes->size[classes->count++] = size;
		if (size == 16 * step)
			step *= 2;
	}
}

/* There a block that grows has to move. */
static inline bool find_classes(HEXPERTKEY key, struct classes *classes)
{
	unsigned char *block = get(key, 0), *at = block;
	size_t size;

	classes->count = 0;
	for (size = 1; block && size <= SLAB_MAX; size++) {
		block = resize(key, at, size).block;
		if (block != at && classes->count < CLASSES_MAX)
			classes->size[classes->count++] = size - 1;
		at = block;
		if (classes->count == 8 && size == 8) {
			guess_classes(classes);
			break;
		}
	}
	return block && classes->count && classes->count < CLASSES_MAX &&
	       ExpertFreeMemory(key, block) == NMERR_SUCCESS;
}

/* for what has one thread only, and takes minutes there */
#ifdef __SANITIZE_THREAD__
#define SKIP_UNDER_TSAN()	SKIP(return, "one thread has no races")
#else
#define SKIP_UNDER_TSAN()
#endif

#endif /* HEAP_TEST_H */
