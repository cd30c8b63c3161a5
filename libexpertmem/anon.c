// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Regions from private memory of the process. Both windows are mapped at once,
 * readable and writable, so that a region costs no mapping of its own
 * (vm.max_map_count) and no system call until it is freed. What the kernel module
 * does with addresses is done here with a tree of the gaps between regions.
 */
#include <string.h>
#include <sys/mman.h>

#include <linux/expertmem.h>

#include "internal.h"

/* regions from this size on are placed where they can grow, as the module does */
#define ROOMY	(256UL << 10)

/* regions of the small window that have grown to this size have huge pages inside */
#define LARGE	(2 * EM_HUGE)

/* at this one, the pages that are there become huge ones (Linux 6.1) */
#define SETTLED	(4 * EM_HUGE)
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif

/**
 * struct node - a region and the gap behind it
 * @start: offset in the window
 * @size: bytes reserved for the region
 * @gap: bytes from its end to the next region or the end of the window
 * @widest: the widest gap in the subtree
 * @priority: random; no child has a higher one
 * @child: nodes below and above @start, as indices; 0: none
 */
struct node {
	size_t start;
	size_t size;
	size_t gap;
	size_t widest;
	uint32_t priority;
	uint32_t child[2];
};

/*
 * The gaps of a window: a treap by address, in an array that the system fills with
 * zeros as it is touched. Node 1 is an empty region at the start of the window.
 */
struct em_gaps {
	uint32_t root;
	uint32_t used;
	uint32_t free;
	uint32_t seed;
	size_t capacity;
	struct node nodes[];
};

/* address space, not memory: enough nodes for a window full of one-page regions */
static size_t gaps_size(const struct em_expert *expert)
{
	return sizeof(struct em_gaps) +
	       (expert->window / (2 * EM_PAGE) + 2) * sizeof(struct node);
}

static size_t max(size_t a, size_t b)
{
	return a > b ? a : b;
}

static void update(struct em_gaps *gaps, uint32_t i)
{
	struct node *node = &gaps->nodes[i];

	node->widest = max(node->gap, max(gaps->nodes[node->child[0]].widest,
					  gaps->nodes[node->child[1]].widest));
}

/* Cut the tree @i in two: what starts below @start, and the rest. */
static void split(struct em_gaps *gaps, uint32_t i, size_t start, uint32_t *below,
		  uint32_t *rest)
{
	struct node *node = &gaps->nodes[i];

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

/* Join two trees, all of @a below all of @b. */
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

/* The node that starts at @start, or the last one below. */
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

/* Set a node's gap, and what its ancestors know of it. */
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

/* The lowest node with a gap of @need. */
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

static uint32_t new_node(struct em_gaps *gaps, size_t start, size_t size)
{
	uint32_t i = gaps->free;

	if (i)
		gaps->free = gaps->nodes[i].child[0];
	else if (gaps->used < gaps->capacity)
		i = ++gaps->used;
	else
		return 0;
	gaps->seed = gaps->seed * 1664525 + 1013904223;
	gaps->nodes[i] = (struct node){
		.start = start, .size = size, .priority = gaps->seed,
	};
	return i;
}

/*
 * A place for @size bytes, with a granule free on either side: in the middle of the
 * widest gap where it may grow (@roomy), else at the bottom of the lowest gap that fits.
 * Returns the new region's offset, or 0.
 */
static size_t gaps_insert(struct em_gaps *gaps, size_t size, size_t guard, bool roomy)
{
	size_t need = size + 2 * guard, before = guard, start;
	uint32_t i, new, below, rest;
	struct node *node;

	i = first_gap(gaps, roomy ? max(need, gaps->nodes[gaps->root].widest) : need);
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
	if (!new)
		return 0;
	gaps->nodes[new].gap = node->gap - before - size;
	update(gaps, new);
	set_gap(gaps, i, before);
	split(gaps, gaps->root, start, &below, &rest);
	gaps->root = join(gaps, below, join(gaps, new, rest));
	return start;
}

static void gaps_remove(struct em_gaps *gaps, size_t start)
{
	uint32_t previous = at_or_below(gaps, start - 1), i, below, above;
	struct node *node;

	split(gaps, gaps->root, start, &below, &i);
	split(gaps, i, start + 1, &i, &above);
	gaps->root = join(gaps, below, above);
	node = &gaps->nodes[i];
	set_gap(gaps, previous, gaps->nodes[previous].gap + node->size + node->gap);
	node->child[0] = gaps->free;
	gaps->free = i;
}

/* Resize in place; what has a reservation that is large enough keeps it. */
static bool gaps_resize(struct em_gaps *gaps, size_t start, size_t old, size_t size,
			size_t guard)
{
	uint32_t i = at_or_below(gaps, start);
	struct node *node = &gaps->nodes[i];

	if (old < node->size && size <= node->size)
		return true;
	if (size > node->size && size - node->size + guard > node->gap)
		return false;
	set_gap(gaps, i, node->gap + node->size - size);
	node->size = size;
	return true;
}

static size_t rounded(enum em_window window, size_t size)
{
	return em_round_up(size, em_granule(window));
}

static bool charge(struct em_expert *expert, size_t size)
{
	struct em_control *control = expert->control;
	uint64_t committed = control->committed + size;

	if (expert->limit && committed > expert->limit)
		return false;
	control->committed = committed;
	if (committed > control->peak_committed)
		control->peak_committed = committed;
	return true;
}

/* Pages that somebody has locked, and left so, are not given back before that is undone. */
static bool anon_discard(void *start, size_t size)
{
	if (!madvise(start, size, MADV_DONTNEED) ||
	    (!munlock(start, size) && !madvise(start, size, MADV_DONTNEED)))
		return true;
	memset(start, 0, size);
	return false;
}

static void give_back(struct em_expert *expert, char *start, size_t size)
{
	anon_discard(start, size);
	expert->control->committed -= size;
}

static bool take(struct em_expert *expert, char *start, size_t size)
{
	if (!charge(expert, size))
		return false;
	if (!(expert->flags & EXPERTMEM_POPULATE) ||
	    !madvise(start, size, MADV_POPULATE_WRITE))
		return true;
	give_back(expert, start, size);
	return false;
}

static int anon_open(struct em_expert *expert, const struct expertmem_options *options,
		     int adopted)
{
	(void)adopted;
	if (options->flags & EXPERTMEM_UNSWAPPABLE)
		return EXPERTMEM_E_UNSUPPORTED;
	expert->limit = options->limit == EXPERTMEM_LIMIT_DEFAULT ? 0 : options->limit;
	expert->status = &expert->control->flags;
	return EXPERTMEM_OK;
}

static void anon_close(struct em_expert *expert)
{
	enum em_window window;

	for (window = EM_SMALL_WINDOW; window <= EM_HUGE_WINDOW; window++) {
		if (expert->gaps[window])
			munmap(expert->gaps[window], gaps_size(expert));
		expert->gaps[window] = NULL;
	}
}

static int anon_attach(struct em_expert *expert)
{
	enum em_window window;

	anon_close(expert);	/* what an attempt that failed has left */
	for (window = EM_SMALL_WINDOW; window <= EM_HUGE_WINDOW; window++) {
		struct em_gaps *gaps = em_map(gaps_size(expert), MAP_PRIVATE);

		if (!gaps)
			goto err_gaps;
		expert->gaps[window] = gaps;
		gaps->capacity = expert->window / (2 * EM_PAGE);
		gaps->root = new_node(gaps, 0, 0);
		set_gap(gaps, gaps->root, expert->window);
	}
	if (mmap(expert->base, expert->window * 2, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1,
		 0) == MAP_FAILED)
		goto err_gaps;
	/* Hints: kernels without huge pages do not know them. */
	madvise(em_window_base(expert, EM_SMALL_WINDOW), expert->window, MADV_NOHUGEPAGE);
	madvise(em_window_base(expert, EM_HUGE_WINDOW), expert->window, MADV_HUGEPAGE);
	madvise(expert->base, expert->window * 2, MADV_DONTDUMP);
	return EXPERTMEM_OK;

err_gaps:
	anon_close(expert);
	return EXPERTMEM_E_NOMEM;
}

/* What is in no region is there to be touched, too, but for these. */
static void anon_guard(struct em_expert *expert, void *page, bool guard)
{
	(void)expert;
	mprotect(page, EM_PAGE, guard ? PROT_NONE : PROT_READ | PROT_WRITE);
}

/* Private memory is the child's already. */
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

static void *anon_alloc(struct em_expert *expert, enum em_window window, size_t size,
			size_t room)
{
	struct em_gaps *gaps = expert->gaps[window];
	size_t start;
	char *region;

	size = rounded(window, size);
	room = rounded(window, room);
	start = gaps_insert(gaps, max(size, room), em_granule(window),
			    !room && (window == EM_HUGE_WINDOW || size >= ROOMY));
	if (!start)
		return NULL;
	region = em_window_base(expert, window) + start;
	if (take(expert, region, size))
		return region;
	gaps_remove(gaps, start);
	return NULL;
}

/* What grows large in the small window gets huge pages inside nevertheless. */
static void advise(struct em_expert *expert, char *region, size_t size, int advice)
{
	char *start = (char *)em_round_up((uintptr_t)region, EM_HUGE);

	if (size >= LARGE && em_window_of(expert, region) == EM_SMALL_WINDOW &&
	    !(expert->flags & EXPERTMEM_NO_HUGE))
		madvise(start, (region + size - start) & ~(EM_HUGE - 1), advice);
}

static bool anon_resize(struct em_expert *expert, void *region, size_t old, size_t size)
{
	enum em_window window = em_window_of(expert, region);
	struct em_gaps *gaps = expert->gaps[window];
	size_t start = (char *)region - em_window_base(expert, window);

	old = rounded(window, old);
	size = rounded(window, size);
	if (!gaps_resize(gaps, start, old, size, em_granule(window)))
		return false;
	if (size < old)
		give_back(expert, (char *)region + size, old - size);
	else if (!take(expert, (char *)region + old, size - old))
		return gaps_resize(gaps, start, size, old, em_granule(window)), false;
	if (size / EM_HUGE > old / EM_HUGE) {
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
	gaps_remove(expert->gaps[window],
		    (char *)region - em_window_base(expert, window));
}

static bool anon_terminate(struct em_expert *expert)
{
	__atomic_or_fetch(&expert->control->flags, EXPERTMEM_STATUS_TERMINATE,
			  __ATOMIC_RELAXED);
	return true;
}

static int anon_reclaim(struct em_expert *expert, uint64_t *bytes)
{
	if (!expert->attached && expert->control->owner)
		return EXPERTMEM_E_UNSUPPORTED;
	if (expert->attached &&
	    mmap(expert->base, expert->window * 2, PROT_NONE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED)
		return EXPERTMEM_E_NOMEM;
	__atomic_or_fetch(&expert->control->flags, EXPERTMEM_STATUS_RECLAIMED,
			  __ATOMIC_RELAXED);
	*bytes = expert->control->committed;
	expert->control->committed = 0;
	return EXPERTMEM_OK;
}

static void anon_stats(struct em_expert *expert, struct expertmem_stats *stats)
{
	stats->limit = expert->limit;
	stats->committed = expert->control->committed;
	stats->resident = stats->committed;
	stats->peak_committed = expert->control->peak_committed;
}

const struct em_backend em_anon = {
	.id		= EXPERTMEM_BACKEND_ANON,
	.open		= anon_open,
	.attach		= anon_attach,
	.alloc		= anon_alloc,
	.resize		= anon_resize,
	.free		= anon_free,
	.discard	= anon_discard,
	.guard		= anon_guard,
	.fork_prepare	= anon_fork_prepare,
	.fork_parent	= anon_fork_parent,
	.fork_child	= anon_fork_child,
	.terminate	= anon_terminate,
	.reclaim	= anon_reclaim,
	.stats		= anon_stats,
	.close		= anon_close,
};
