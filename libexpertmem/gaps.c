// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The regions of a window of the anon backend and the gaps between them, in a treap: a binary tree
 * ordered by address, and a heap by random priorities, which keeps it balanced. The expert's lock is
 * held.
 */
#include "internal.h"
#include "gaps.h"

static void update(struct em_gaps *gaps, uint32_t i)
{
	struct em_node *node = &gaps->nodes[i];

	node->widest = em_max(node->gap, em_max(gaps->nodes[node->child[0]].widest,
					  gaps->nodes[node->child[1]].widest));
}

/* Split the tree @i into the nodes that start below @start, and the others. */
static void split(struct em_gaps *gaps, uint32_t i, size_t start, uint32_t *below,
		  uint32_t *rest)
{
	struct em_node *node = &gaps->nodes[i];

	if (!i) {
		*below = 0;
		*rest = 0;
		return;
	}
	if (node->start < start) {
		split(gaps, node->child[1], start, &node->child[1], rest);
		*below = i;
	} else {
		split(gaps, node->child[0], start, below, &node->child[0]);
		*rest = i;
	}
	update(gaps, i);
}

/* Join two trees. All nodes of @a start below all nodes of @b. */
static uint32_t join(struct em_gaps *gaps, uint32_t a, uint32_t b)
{
	if (!a || !b)
		return a ? a : b;
	if (gaps->nodes[a].priority > gaps->nodes[b].priority) {
		gaps->nodes[a].child[1] = join(gaps, gaps->nodes[a].child[1], b);
		update(gaps, a);
		return a;
	}
	gaps->nodes[b].child[0] = join(gaps, a, gaps->nodes[b].child[0]);
	update(gaps, b);
	return b;
}

/* The node with the highest start that is not above @start. */
static uint32_t at_or_below(const struct em_gaps *gaps, size_t start)
{
	uint32_t i = gaps->root, found = 0;

	while (i) {
		if (gaps->nodes[i].start <= start)
			found = i;
		i = gaps->nodes[i].child[gaps->nodes[i].start <= start];
	}
	return found;
}

/* Set a node's gap, and update @widest of its ancestors. */
static void set_gap(struct em_gaps *gaps, uint32_t i, size_t gap)
{
	uint32_t below, rest, above;
	size_t start = gaps->nodes[i].start;

	split(gaps, gaps->root, start, &below, &rest);
	split(gaps, rest, start + 1, &rest, &above);
	gaps->nodes[i].gap = gap;
	update(gaps, i);
	gaps->root = join(gaps, below, join(gaps, i, above));
}

/* The lowest node with a gap of at least @need bytes; 0: none. */
static uint32_t first_gap(const struct em_gaps *gaps, size_t need)
{
	uint32_t i = gaps->root;

	while (i && gaps->nodes[i].widest >= need) {
		uint32_t below = gaps->nodes[i].child[0];

		if (gaps->nodes[below].widest >= need)
			i = below;
		else if (gaps->nodes[i].gap >= need)
			return i;
		else
			i = gaps->nodes[i].child[1];
	}
	return 0;
}

/* Take a free node. There is one: em_gaps_has_node(). */
static uint32_t new_node(struct em_gaps *gaps, size_t start, size_t size)
{
	uint32_t i = gaps->free;

	if (i)
		gaps->free = gaps->nodes[i].child[0];
	else
		i = ++gaps->used;
	gaps->seed = gaps->seed * 1664525 + 1013904223;
	gaps->nodes[i] = (struct em_node){
		.start = start, .size = size, .priority = gaps->seed,
	};
	return i;
}

/*
 * Insert a region of @size bytes, with @guard bytes free on either side. @roomy: in the middle of the
 * widest gap, so that it can grow. Else at the bottom of the lowest gap that fits. Returns the
 * region's offset, or 0: no gap fits.
 */
size_t em_gaps_insert(struct em_gaps *gaps, size_t size, size_t guard, bool roomy)
{
	size_t need = size + 2 * guard, before = guard, start;
	uint32_t i, new, below, rest;
	struct em_node *node;

	i = first_gap(gaps, roomy ? em_max(need, gaps->nodes[gaps->root].widest) : need);
	if (!i)
		return 0;
	node = &gaps->nodes[i];
	if (roomy) {
		before = node->gap - size - guard;
		if (node->gap / 2 < before)
			before = node->gap / 2;
		before &= ~(guard - 1);
	}

	start = node->start + node->size + before;
	new = new_node(gaps, start, size);
	gaps->nodes[new].gap = node->gap - before - size;
	update(gaps, new);
	set_gap(gaps, i, before);
	split(gaps, gaps->root, start, &below, &rest);
	gaps->root = join(gaps, below, join(gaps, new, rest));
	return start;
}

void em_gaps_remove(struct em_gaps *gaps, size_t start)
{
	uint32_t previous = at_or_below(gaps, start - 1), i, below, above;
	struct em_node *node;

	split(gaps, gaps->root, start, &below, &i);
	split(gaps, i, start + 1, &i, &above);
	gaps->root = join(gaps, below, above);
	node = &gaps->nodes[i];
	set_gap(gaps, previous, gaps->nodes[previous].gap + node->size + node->gap);
	node->child[0] = gaps->free;
	gaps->free = i;
}

/*
 * Resize a region in place. A region with a reservation beyond its @old bytes keeps the reservation.
 * False: the gap behind is too short.
 */
bool em_gaps_resize(struct em_gaps *gaps, size_t start, size_t old, size_t size, size_t guard)
{
	uint32_t i = at_or_below(gaps, start);
	struct em_node *node = &gaps->nodes[i];

	if (old < node->size && size <= node->size)
		return true;
	if (size > node->size && size - node->size + guard > node->gap)
		return false;
	set_gap(gaps, i, node->gap + node->size - size);
	node->size = size;
	return true;
}

/* Initialize the tree of a window of @window bytes without regions. */
void em_gaps_init(struct em_gaps *gaps, size_t window)
{
	gaps->root = new_node(gaps, 0, 0);
	set_gap(gaps, gaps->root, window);
}

/* Is there a free node in the array? Else it has to grow before em_gaps_insert(). */
bool em_gaps_has_node(const struct em_gaps *gaps)
{
	return gaps->free || sizeof(*gaps) + (gaps->used + 2) * sizeof(gaps->nodes[0]) <= gaps->size;
}
