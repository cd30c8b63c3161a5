// SPDX-License-Identifier: GPL-2.0
/*
 * The addresses of regions: room to grow, neighbours, the gaps that stay unmapped between
 * regions, full windows, and random sequences of calls.
 *
 * needs: module root
 * also: 32bit
 */
#include "region_test.h"

#define SEED	20251

/* xorshift64: the same sequence on every machine */
static __u64 random_next(__u64 *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static __u64 random_below(__u64 *state, __u64 bound)
{
	return random_next(state) % bound;
}

static int compare_offsets(const void *a, const void *b)
{
	__u64 x = *(const __u64 *)a, y = *(const __u64 *)b;

	return x < y ? -1 : x > y;
}

/*
 * Fill a window with regions of one granule, each with its number in its first byte,
 * sorted by their place. Returns how many.
 */
static size_t fill(const struct window *w, __u64 *offsets, size_t max)
{
	size_t n = 0;
	size_t i;

	while (n < max && !region_alloc(w, w->granule, &offsets[n]))
		n++;
	qsort(offsets, n, sizeof(*offsets), compare_offsets);
	for (i = 0; i < n; i++)
		*at(w, offsets[i]) = (unsigned char)i;
	return n;
}

/* ----------------------------------------------------------------------- room */

TEST_F(region, room_below_size_is_invalid)
{
	__u64 granule = self->w.granule;
	__u64 offset;

	EXPECT_EQ(-EINVAL, region_alloc_flags(&self->w, 0, granule, granule - 1, &offset));
	EXPECT_EQ(-EINVAL, region_alloc_flags(&self->w, 0, granule, 1, &offset));
	EXPECT_EQ(POISON64, offset);
	EXPECT_EQ(0, committed(&self->w));
}

TEST_F(region, room_beyond_the_window_has_no_space)
{
	static const __u64 rooms[] = {
		TIB, TIB + 1, EXPERTMEM_WINDOW_MAX + 1, 1ULL << 63, -1ULL,
	};
	__u64 offset;
	size_t i;

	for (i = 0; i < COUNT_OF(rooms); i++)
		EXPECT_EQ(-ENOSPC, region_alloc_flags(&self->w, 0, 1, rooms[i], &offset));
	EXPECT_EQ(POISON64, offset);
	EXPECT_EQ(0, committed(&self->w));
	EXPECT_EQ(0, expert_stat(self->w.fd).peak);
}

TEST_F(region, room_is_not_charged)
{
	__u64 offset;

	ASSERT_EQ(0, region_alloc_flags(&self->w, 0, 1, 64 * HUGE, &offset));
	EXPECT_EQ(self->w.granule, committed(&self->w));
	EXPECT_EQ(SIGSEGV, read_touch(at(&self->w, offset + self->w.granule)));
}

TEST_F(region, room_is_kept_in_a_crowded_window)
{
	__u64 granule = variant->kind.granule;
	__u64 offset, other, size;
	__u64 others[64];
	struct window w;
	size_t n;

	ASSERT_EQ(0, window_open(&w, &variant->kind, 64 * granule, 0));
	ASSERT_EQ(0, region_alloc_flags(&w, 0, 1, 16 * granule, &offset));
	n = fill(&w, others, COUNT_OF(others));
	ASSERT_LT(0, n);
	for (size = 2 * granule; size <= 16 * granule; size += granule)
		EXPECT_EQ(0, region_realloc(&w, offset, size));

	/* also what was given back is still its own */
	ASSERT_EQ(0, region_realloc(&w, offset, granule));
	EXPECT_EQ(-ENOSPC, region_alloc(&w, 1, &other));
	EXPECT_EQ(0, region_realloc(&w, offset, 16 * granule));
	EXPECT_EQ((n + 16) * granule, committed(&w));

	/* until it is freed */
	ASSERT_EQ(0, region_free(&w, offset));
	EXPECT_EQ(0, region_alloc(&w, 16 * granule, &offset));
	window_close(&w);
}

TEST_F(region, small_regions_take_the_lowest_place_that_is_free)
{
	static const size_t freed[] = { 5, 20, 40 };
	__u64 offsets[64], offset;
	size_t i;

	if (self->w.granule != PAGE)
		SKIP(return, "regions of the huge window are large");
	for (i = 0; i < COUNT_OF(offsets); i++) {
		ASSERT_EQ(0, region_alloc(&self->w, 1, &offsets[i]));
		if (i)
			EXPECT_LT(offsets[i - 1], offsets[i]);
	}
	for (i = COUNT_OF(freed); i--;)
		EXPECT_EQ(0, region_free(&self->w, offsets[freed[i]]));
	for (i = 0; i < COUNT_OF(freed); i++) {
		ASSERT_EQ(0, region_alloc(&self->w, 1, &offset));
		EXPECT_EQ(offsets[freed[i]], offset);
	}
}

TEST_F(region, small_regions_that_come_and_go_add_few_page_tables)
{
	long tables = 0;
	__u64 offset;
	int i;

	if (self->w.granule != PAGE)
		SKIP(return, "regions of the huge window are large");
	for (i = 0; i < 10000; i++) {
		ASSERT_EQ(0, region_alloc(&self->w, 1 + i % 64 * PAGE, &offset));
		*at(&self->w, offset) = 1;
		ASSERT_EQ(0, region_free(&self->w, offset));
		if (!i)
			tables = value_in("/proc/self/status", "VmPTE");
	}
	/* 640 page tables if each region had a place of its own; some are of this test itself */
	EXPECT_GE(tables + 64, value_in("/proc/self/status", "VmPTE"));
}

TEST_F(region, realloc_against_a_neighbour_has_no_space)
{
	__u64 granule = variant->kind.granule;
	__u64 offsets[16];
	struct window w;
	size_t n, i;

	ASSERT_EQ(0, window_open(&w, &variant->kind, 16 * granule, 0));
	n = fill(&w, offsets, COUNT_OF(offsets));
	ASSERT_LT(1, n);
	for (i = 0; i + 1 < n; i++)
		if (offsets[i + 1] == offsets[i] + 2 * granule)
			break;
	ASSERT_LT(i + 1, n);
	EXPECT_EQ(-ENOSPC, region_realloc(&w, offsets[i], 2 * granule));
	EXPECT_EQ(n * granule, committed(&w));
	EXPECT_EQ(i, *at(&w, offsets[i]));
	EXPECT_EQ(SIGSEGV, read_touch(at(&w, offsets[i] + granule)));
	EXPECT_EQ(i + 1, *at(&w, offsets[i + 1]));

	ASSERT_EQ(0, region_free(&w, offsets[i + 1]));
	EXPECT_EQ(0, region_realloc(&w, offsets[i], 2 * granule));
	EXPECT_EQ(i, *at(&w, offsets[i]));
	window_close(&w);
}

/* ------------------------------------------------------------------ placement */

TEST_F(region, granule_between_regions_stays_unmapped)
{
	enum { COUNT = 300 };
	const struct window *w = &self->w;
	struct { __u64 offset, size; } regions[COUNT];
	__u64 random = SEED;
	size_t i;

	NEED_LONG_WINDOW();
	for (i = 0; i < COUNT; i++) {
		regions[i].size = (1 + random_below(&random, 100)) * w->granule;
		ASSERT_EQ(0, region_alloc(w, regions[i].size, &regions[i].offset));
	}
	/* the offset comes first, and two regions never have the same */
	qsort(regions, COUNT, sizeof(regions[0]), compare_offsets);
	EXPECT_LE(w->offset + w->granule, regions[0].offset);
	for (i = 0; i < COUNT; i++) {
		__u64 end = regions[i].offset + regions[i].size;
		__u64 next = i + 1 < COUNT ? regions[i + 1].offset : w->offset + w->size;

		EXPECT_EQ(0, regions[i].offset % w->granule);
		EXPECT_LE(end + w->granule, next);
		if (i % 10)
			continue;
		EXPECT_EQ(SIGSEGV, read_touch(at(w, regions[i].offset - 1)));
		EXPECT_EQ(SIGSEGV, read_touch(at(w, end)));
	}
}

static void grow_in_steps(struct __test_metadata *_metadata, const struct window *w,
			  size_t others)
{
	__u64 first = round_up(MIB, w->granule);
	__u64 offset, size;

	while (others--) {
		ASSERT_EQ(0, region_alloc(w, MIB, &offset));
		*at(w, offset) = 2;
	}
	ASSERT_EQ(0, region_alloc(w, MIB, &offset));
	memset(at(w, offset), 1, MIB);
	for (size = first; size <= GIB; size += w->granule) {
		ASSERT_EQ(0, region_realloc(w, offset, size));
	}
	EXPECT_TRUE(all_bytes(at(w, offset), MIB, 1));
	EXPECT_TRUE(all_bytes(at(w, offset + MIB), first - MIB, 0));
	EXPECT_EQ(0, write_touch(at(w, offset + GIB - 1)));
}

TEST_F(region, large_region_grows_a_thousandfold_in_place)
{
	NEED_LONG_WINDOW();
	grow_in_steps(_metadata, &self->w, 0);
}

TEST_F(region, large_region_grows_a_thousandfold_among_a_hundred)
{
	NEED_LONG_WINDOW();
	grow_in_steps(_metadata, &self->w, 100);
}

TEST_F(region, hundred_thousand_regions_come_and_go_in_any_order)
{
	enum { COUNT = 100000 };
	const struct window *w = &self->w;
	__u64 *offsets = malloc(COUNT * sizeof(*offsets));
	__u64 *sorted = malloc(COUNT * sizeof(*offsets));
	__u64 random = SEED;
	size_t i, j;

	NEED_LONG_WINDOW();
	ASSERT_NE(NULL, offsets);
	ASSERT_NE(NULL, sorted);
	for (i = 0; i < COUNT; i++) {
		ASSERT_EQ(0, region_alloc(w, w->granule, &offsets[i]));
	}
	EXPECT_EQ(COUNT, expert_stat(w->fd).regions);
	EXPECT_EQ(COUNT * w->granule, committed(w));

	memcpy(sorted, offsets, COUNT * sizeof(*offsets));
	qsort(sorted, COUNT, sizeof(*sorted), compare_offsets);
	for (i = 1; i < COUNT; i++) {
		ASSERT_LE(sorted[i - 1] + 2 * w->granule, sorted[i]);
	}

	for (i = COUNT; i > 0; i--) {
		j = random_below(&random, i);
		ASSERT_EQ(0, region_free(w, offsets[j]));
		offsets[j] = offsets[i - 1];
		if (i % 1000 == 0) {
			EXPECT_EQ(i - 1, expert_stat(w->fd).regions);
			EXPECT_EQ((i - 1) * w->granule, committed(w));
		}
	}
	EXPECT_EQ(0, expert_stat(w->fd).regions);
	EXPECT_EQ(COUNT * w->granule, expert_stat(w->fd).peak);
	free(offsets);
	free(sorted);
}

/* -------------------------------------------------------- against a shadow model */

#define SHADOWS		24
#define SHADOW_GRANULES	4

/* A region as it should be; each of its granules begins with @tag and its number. */
struct shadow {
	__u64 offset;
	__u64 granules;
	__u64 tag;
};

static __u64 *mark(const struct window *w, const struct shadow *shadow, __u64 granule)
{
	return (__u64 *)at(w, shadow->offset + granule * w->granule);
}

static void write_marks(const struct window *w, const struct shadow *shadow, __u64 from)
{
	for (; from < shadow->granules; from++)
		*mark(w, shadow, from) = shadow->tag + from;
}

/* The first granules of a region bear its marks; the rest, just grown, is zero. */
static bool marks_are_right(const struct window *w, const struct shadow *shadow, __u64 old)
{
	__u64 i;

	for (i = 0; i < shadow->granules; i++)
		if (*mark(w, shadow, i) != (i < old ? shadow->tag + i : 0))
			return false;
	return true;
}

TEST_F(region, any_sequence_of_calls_agrees_with_a_model)
{
	struct shadow shadows[SHADOWS] = { };
	__u64 granule = variant->kind.granule;
	__u64 live = 0, total = 0, most = 0;
	__u64 random = SEED;
	struct shadow *s;
	struct window w;
	/* zeroing a huge page takes its time where the machine is emulated */
	int steps = granule == PAGE ? 5000 : 200;
	__u64 old, size;
	int step, err;

	TH_LOG("seed %d", SEED);
	/* small enough to be full now and then */
	ASSERT_EQ(0, window_open(&w, &variant->kind, 80 * granule, 0));
	for (step = 0; step < steps; step++) {
		s = &shadows[random_below(&random, SHADOWS)];
		old = s->granules;
		size = 1 + random_below(&random, SHADOW_GRANULES);
		if (!old) {
			err = region_alloc(&w, size * granule - random_below(&random, PAGE),
					   &s->offset);
			ASSERT_TRUE(!err || err == -ENOSPC) TH_LOG("%d", err);
			if (err)
				continue;
			s->tag = random_next(&random) | 1;
			s->granules = size;
			live++;
		} else if (random_below(&random, 2)) {
			ASSERT_EQ(0, region_free(&w, s->offset));
			s->granules = 0;
			live--;
		} else {
			err = region_realloc(&w, s->offset, size * granule);
			ASSERT_TRUE(!err || err == -ENOSPC) TH_LOG("%d", err);
			if (!err)
				s->granules = size;
		}
		total += s->granules - old;
		if (total > most)
			most = total;
		ASSERT_TRUE(marks_are_right(&w, s, old)) TH_LOG("step %d", step);
		write_marks(&w, s, old);
		ASSERT_EQ(total * granule, committed(&w));
		ASSERT_EQ(live, expert_stat(w.fd).regions);
	}
	EXPECT_EQ(most * granule, expert_stat(w.fd).peak);
	/* every granule of a live region was touched, none of a freed one is left */
	EXPECT_EQ(total * granule, resident(&w));
	for (s = shadows; s < shadows + SHADOWS; s++)
		EXPECT_TRUE(marks_are_right(&w, s, s->granules));
	window_close(&w);
}

/* ------------------------------------------------------------------ full windows */

TEST_F(region, full_window_loses_nothing)
{
	__u64 granule = variant->kind.granule;
	__u64 offsets[128], offset;
	struct window w;
	size_t n, i;

	ASSERT_EQ(0, window_open(&w, &variant->kind, 65 * granule, 0));
	n = fill(&w, offsets, COUNT_OF(offsets));
	/* packed, every second granule is a region; with gaps at least every third */
	EXPECT_LE(65 / 3, n);
	EXPECT_GE(32, n);
	EXPECT_EQ(-ENOSPC, region_alloc(&w, 1, &offset));
	EXPECT_EQ(POISON64, offset);
	EXPECT_EQ(n * granule, committed(&w));
	for (i = 0; i < n; i++)
		EXPECT_EQ(i, *at(&w, offsets[i]));

	/* one that is freed can be had again */
	ASSERT_EQ(0, region_free(&w, offsets[n / 2]));
	ASSERT_EQ(0, region_alloc(&w, 1, &offset));
	EXPECT_EQ(0, *at(&w, offset));
	EXPECT_EQ(-ENOSPC, region_alloc(&w, 1, &offsets[n / 2]));
	offsets[n / 2] = offset;

	/* and with all freed, the whole window */
	for (i = 0; i < n; i++) {
		ASSERT_EQ(0, region_free(&w, offsets[i]));
	}
	EXPECT_EQ(0, region_alloc(&w, 63 * granule, &offset));
	window_close(&w);
}

TEST_F(region, window_of_less_than_three_granules_holds_nothing)
{
	struct window w;
	__u64 offset;
	int granules;

	for (granules = 1; granules < 3; granules++) {
		ASSERT_EQ(0, window_open(&w, &variant->kind, granules * variant->kind.granule, 0));
		EXPECT_EQ(-ENOSPC, region_alloc(&w, 1, &offset));
		EXPECT_EQ(POISON64, offset);
		EXPECT_EQ(0, committed(&w));
		EXPECT_EQ(0, expert_stat(w.fd).peak);
		window_close(&w);
	}
}

TEST_HARNESS_MAIN
