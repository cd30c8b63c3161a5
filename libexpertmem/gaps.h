/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The tree of the gaps between the regions of a window: see gaps.c. */
#ifndef EM_GAPS_H
#define EM_GAPS_H

#include "types.h"

#pragma GCC visibility push(hidden)

/**
 * struct em_node - a region and the gap behind it
 * @start: offset in the window
 * @size: bytes reserved for the region
 * @gap: bytes from its end to the next region or the end of the window
 * @widest: the widest gap in the subtree
 * @priority: random; no child has a higher one
 * @child: nodes below and above @start, as indices; 0: none
 */
struct em_node {
	size_t start;
	size_t size;
	size_t gap;
	size_t widest;
	uint32_t priority;
	uint32_t child[2];
};

/*
 * The gaps of a window: a treap by address, in an array that moves when it grows. Node 1 is an
 * empty region at the start of the window.
 */
struct em_gaps {
	uint64_t **units;		/* pages of bits: which units are mapped; NULL: none */
	size_t mapped;			/* bytes of the units that are mapped */
	size_t size;			/* bytes of this structure */
	uint32_t root;
	uint32_t used;
	uint32_t free;
	uint32_t seed;
	struct em_node nodes[];
};

static inline size_t em_max(size_t a, size_t b)
{
	return a > b ? a : b;
}

void em_gaps_init(struct em_gaps *gaps, size_t window);
bool em_gaps_has_node(const struct em_gaps *gaps);
size_t em_gaps_insert(struct em_gaps *gaps, size_t size, size_t guard, bool roomy);
void em_gaps_remove(struct em_gaps *gaps, size_t start);
bool em_gaps_resize(struct em_gaps *gaps, size_t start, size_t old, size_t size, size_t guard);

#pragma GCC visibility pop

#endif /* EM_GAPS_H */
