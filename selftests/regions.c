// SPDX-License-Identifier: GPL-2.0
/*
 * Regions: ALLOC, REALLOC and FREE, in both windows.
 */
#include "kselftest_harness.h"

#include "expertmem_test.h"

#define SEED	20251

FIXTURE(region) {
	struct window w;
	struct parameter total_limit;
};

FIXTURE_VARIANT(region) {
	struct window kind;
};

FIXTURE_VARIANT_ADD(region, small) {
	.kind = SMALL_WINDOW,
};

FIXTURE_VARIANT_ADD(region, huge) {
	.kind = HUGE_WINDOW,
};

FIXTURE_SETUP(region)
{
	NEED_DEVICE();
	if (parameter_set(&self->total_limit, "total_limit", "0"))
		SKIP_TEST("cannot write " PARAMETERS "total_limit; be root");
	ASSERT_EQ(0, window_open(&self->w, &variant->kind, TIB, 0));
}

FIXTURE_TEARDOWN(region)
{
	window_close(&self->w);
	EXPECT_EQ(0, parameter_restore(&self->total_limit));
}

static __u64 round_up(__u64 size, __u64 granule)
{
	return (size + granule - 1) / granule * granule;
}

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

static __u64 committed(const struct window *w)
{
	return expert_stat(w->fd).committed;
}

static __u64 resident(const struct window *w)
{
	return expert_stat(w->fd).resident;
}

/* ---------------------------------------------------------------------- sizes */

TEST_F(region, size_is_rounded_up_to_granules)
{
	static const __u64 sizes[] = {
		1, PAGE - 1, PAGE, PAGE + 1, HUGE - 1, HUGE, HUGE + 1, HUGE + PAGE,
	};
	const struct window *w = &self->w;
	__u64 offset, size;
	size_t i;

	for (i = 0; i < COUNT_OF(sizes); i++) {
		size = round_up(sizes[i], w->granule);
		ASSERT_EQ(0, region_alloc(w, sizes[i], &offset));
		EXPECT_EQ(0, offset % w->granule);
		EXPECT_EQ(size, committed(w));
		EXPECT_EQ(1, expert_stat(w->fd).regions);
		EXPECT_EQ(0, write_touch(at(w, offset)));
		EXPECT_EQ(0, write_touch(at(w, offset + size - 1)));
		EXPECT_EQ(SIGSEGV, read_touch(at(w, offset + size)));
		EXPECT_EQ(SIGSEGV, read_touch(at(w, offset - 1)));
		ASSERT_EQ(0, region_free(w, offset));
		EXPECT_EQ(0, committed(w));
		EXPECT_EQ(0, resident(w));
		EXPECT_EQ(0, expert_stat(w->fd).regions);
	}
}

TEST_F(region, size_zero_is_invalid)
{
	__u64 offset;

	EXPECT_EQ(-EINVAL, region_alloc(&self->w, 0, &offset));
	EXPECT_EQ(POISON64, offset);
	EXPECT_EQ(0, committed(&self->w));
}

TEST_F(region, size_beyond_the_window_has_no_space)
{
	static const __u64 sizes[] = {
		TIB - 1, TIB, TIB + 1, EXPERTMEM_WINDOW_MAX, EXPERTMEM_WINDOW_MAX + 1,
		1ULL << 63, -HUGE, -PAGE, -1ULL,
	};
	__u64 offset;
	size_t i;

	for (i = 0; i < COUNT_OF(sizes); i++) {
		EXPECT_EQ(-ENOSPC, region_alloc(&self->w, sizes[i], &offset));
		EXPECT_EQ(POISON64, offset);
	}
	EXPECT_EQ(0, committed(&self->w));
	EXPECT_EQ(0, expert_stat(self->w.fd).peak);
}

TEST_F(region, one_region_can_have_all_but_the_ends_of_the_window)
{
	const struct window *w = &self->w;
	__u64 size = w->size - 2 * w->granule;
	__u64 offset;

	ASSERT_EQ(0, region_alloc(w, size, &offset));
	EXPECT_EQ(w->offset + w->granule, offset);
	EXPECT_EQ(0, write_touch(at(w, offset)));
	EXPECT_EQ(0, write_touch(at(w, offset + size - 1)));
	EXPECT_EQ(SIGSEGV, read_touch(at(w, w->offset)));
	EXPECT_EQ(SIGSEGV, read_touch(at(w, offset + size)));
	EXPECT_EQ(-ENOSPC, region_realloc(w, offset, size + w->granule));
	EXPECT_EQ(size, committed(w));
}

TEST_F(region, limit_can_be_had_and_not_a_byte_more)
{
	__u64 limit = 4 * variant->kind.granule;
	struct window w;
	__u64 offset;

	ASSERT_EQ(0, window_open(&w, &variant->kind, TIB, limit));
	EXPECT_EQ(-EDQUOT, region_alloc(&w, limit + 1, &offset));
	EXPECT_EQ(POISON64, offset);
	EXPECT_EQ(0, committed(&w));
	EXPECT_EQ(0, expert_stat(w.fd).peak);
	EXPECT_EQ(0, region_alloc(&w, limit, &offset));
	EXPECT_EQ(limit, committed(&w));
	EXPECT_EQ(-EDQUOT, region_alloc(&w, 1, &offset));
	EXPECT_EQ(limit, committed(&w));
	EXPECT_EQ(limit, expert_stat(w.fd).peak);
	EXPECT_EQ(2, expert_stat(w.fd).refused);
	window_close(&w);
}

TEST_F(region, limit_that_ends_inside_a_granule_excludes_it)
{
	__u64 granule = variant->kind.granule;
	struct window w;
	__u64 offset;

	ASSERT_EQ(0, window_open(&w, &variant->kind, TIB, 4 * granule - 1));
	EXPECT_EQ(-EDQUOT, region_alloc(&w, 4 * granule, &offset));
	EXPECT_EQ(-EDQUOT, region_alloc(&w, 4 * granule - 1, &offset));
	EXPECT_EQ(0, region_alloc(&w, 3 * granule, &offset));
	EXPECT_EQ(3 * granule, committed(&w));
	window_close(&w);
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

/* ----------------------------------------------------- arguments that are wrong */

TEST_F(region, alloc_with_an_unknown_flag_is_invalid)
{
	__u64 offset;
	int bit;

	for (bit = 2; bit < 32; bit++)
		EXPECT_EQ(-EINVAL, region_alloc_flags(&self->w, 1U << bit, 1, 0, &offset));
	EXPECT_EQ(POISON64, offset);
	EXPECT_EQ(0, committed(&self->w));
}

TEST_F(region, alloc_with_a_reserved_field_is_invalid)
{
	struct expertmem_alloc arg = {
		.size = 1, .flags = self->w.flags, .reserved = 1, .offset = POISON64,
	};

	EXPECT_EQ(-EINVAL, expert_ioctl(self->w.fd, EXPERTMEM_IOC_ALLOC, &arg));
	EXPECT_EQ(POISON64, arg.offset);
	EXPECT_EQ(0, committed(&self->w));
}

TEST_F(region, realloc_with_an_unknown_flag_is_invalid)
{
	__u64 offset;
	int bit;

	ASSERT_EQ(0, region_alloc(&self->w, 1, &offset));
	for (bit = 0; bit < 32; bit++) {
		if (1U << bit == EXPERTMEM_ALLOC_POPULATE)
			continue;
		EXPECT_EQ(-EINVAL, region_realloc_flags(&self->w, 1U << bit, offset, HUGE * 2));
	}
	EXPECT_EQ(self->w.granule, committed(&self->w));
}

TEST_F(region, realloc_with_a_reserved_field_is_invalid)
{
	struct expertmem_realloc arg = { .size = 2 * HUGE, .reserved = 1 };

	ASSERT_EQ(0, region_alloc(&self->w, 1, (__u64 *)&arg.offset));
	EXPECT_EQ(-EINVAL, expert_ioctl(self->w.fd, EXPERTMEM_IOC_REALLOC, &arg));
	EXPECT_EQ(self->w.granule, committed(&self->w));
}

TEST_F(region, free_with_a_flag_is_invalid)
{
	struct expertmem_free arg;
	__u64 offset;
	int bit;

	ASSERT_EQ(0, region_alloc(&self->w, 1, &offset));
	for (bit = 0; bit < 32; bit++) {
		arg = (struct expertmem_free){ .offset = offset, .flags = 1U << bit };
		EXPECT_EQ(-EINVAL, expert_ioctl(self->w.fd, EXPERTMEM_IOC_FREE, &arg));
	}
	EXPECT_EQ(self->w.granule, committed(&self->w));
}

TEST_F(region, free_with_a_reserved_field_is_invalid)
{
	struct expertmem_free arg = { .reserved = 1 };

	ASSERT_EQ(0, region_alloc(&self->w, 1, (__u64 *)&arg.offset));
	EXPECT_EQ(-EINVAL, expert_ioctl(self->w.fd, EXPERTMEM_IOC_FREE, &arg));
	EXPECT_EQ(self->w.granule, committed(&self->w));
}

TEST_F(region, calls_with_a_bad_pointer_fault)
{
	static const unsigned long calls[] = {
		EXPERTMEM_IOC_ALLOC, EXPERTMEM_IOC_REALLOC, EXPERTMEM_IOC_FREE,
	};
	char *page = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t i;

	ASSERT_NE(MAP_FAILED, page);
	for (i = 0; i < COUNT_OF(calls); i++) {
		EXPECT_EQ(-EFAULT, expert_ioctl(self->w.fd, calls[i], NULL));
		EXPECT_EQ(-EFAULT, expert_ioctl(self->w.fd, calls[i], page));
		EXPECT_EQ(-EFAULT, expert_ioctl(self->w.fd, calls[i], (void *)-PAGE));
	}
	EXPECT_EQ(0, committed(&self->w));
}

TEST_F(region, alloc_that_cannot_say_where_leaves_nothing)
{
	__u64 granule = variant->kind.granule;
	struct expertmem_alloc *arg;
	struct window w;
	__u64 offset;

	/* a window that holds one region: one that was left would be in the way */
	ASSERT_EQ(0, window_open(&w, &variant->kind, 3 * granule, 0));
	arg = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, arg);
	arg->size = granule;
	arg->flags = w.flags | EXPERTMEM_ALLOC_POPULATE;
	ASSERT_EQ(0, mprotect(arg, PAGE, PROT_READ));

	EXPECT_EQ(-EFAULT, expert_ioctl(w.fd, EXPERTMEM_IOC_ALLOC, arg));
	EXPECT_EQ(0, arg->offset);
	EXPECT_EQ(0, committed(&w));
	EXPECT_EQ(0, resident(&w));
	EXPECT_EQ(0, expert_stat(w.fd).regions);
	EXPECT_EQ(SIGSEGV, read_touch(w.addr + granule));
	EXPECT_EQ(0, region_alloc(&w, granule, &offset));
	window_close(&w);
}

static void expect_not_found(struct __test_metadata *_metadata, const struct window *w,
			     __u64 offset)
{
	EXPECT_EQ(-ENOENT, region_free(w, offset))
		TH_LOG("offset %#llx", offset);
	EXPECT_EQ(-ENOENT, region_realloc(w, offset, w->granule))
		TH_LOG("offset %#llx", offset);
}

TEST_F(region, offsets_that_start_no_region_are_not_found)
{
	const struct window *w = &self->w;
	__u64 granule = w->granule;
	__u64 offset, freed, inside;

	ASSERT_EQ(0, region_alloc(w, granule, &freed));
	ASSERT_EQ(0, region_alloc(w, 4 * granule, &offset));
	ASSERT_EQ(0, region_free(w, freed));
	*at(w, offset) = 1;
	inside = offset - w->offset;

	/* next to the region, in it, before it, behind it */
	expect_not_found(_metadata, w, offset - granule);
	expect_not_found(_metadata, w, offset - 1);
	expect_not_found(_metadata, w, offset + 1);
	expect_not_found(_metadata, w, offset + PAGE / 2);
	expect_not_found(_metadata, w, offset + granule);
	expect_not_found(_metadata, w, offset + 2 * granule);
	expect_not_found(_metadata, w, offset + 4 * granule);
	expect_not_found(_metadata, w, freed);

	/* what might be taken for its offset */
	expect_not_found(_metadata, w, inside);
	expect_not_found(_metadata, w, inside + EXPERTMEM_WINDOW_MAX * 3);
	expect_not_found(_metadata, w, inside + EXPERTMEM_SMALL_OFFSET +
			 EXPERTMEM_HUGE_OFFSET - w->offset);
	expect_not_found(_metadata, w, (uintptr_t)at(w, offset));
	expect_not_found(_metadata, w, offset / PAGE);
	expect_not_found(_metadata, w, offset + (1ULL << 63));

	/* the ends of the window and of all numbers */
	expect_not_found(_metadata, w, w->offset - 1);
	expect_not_found(_metadata, w, w->offset);
	expect_not_found(_metadata, w, w->offset + w->size - granule);
	expect_not_found(_metadata, w, w->offset + w->size);
	expect_not_found(_metadata, w, 0);
	expect_not_found(_metadata, w, 1);
	expect_not_found(_metadata, w, 1ULL << 63);
	expect_not_found(_metadata, w, -granule);
	expect_not_found(_metadata, w, -1ULL);

	EXPECT_EQ(4 * granule, committed(w));
	EXPECT_EQ(1, *at(w, offset));
	EXPECT_EQ(0, region_free(w, offset));
}

TEST_F(region, another_experts_offset_is_not_found)
{
	struct window w;
	__u64 offset;

	ASSERT_EQ(0, window_open(&w, &variant->kind, TIB, 0));
	ASSERT_EQ(0, region_alloc(&w, 1, &offset));
	*at(&w, offset) = 1;
	EXPECT_EQ(-ENOENT, region_free(&self->w, offset));
	EXPECT_EQ(-ENOENT, region_realloc(&self->w, offset, 2 * HUGE));
	EXPECT_EQ(w.granule, committed(&w));
	EXPECT_EQ(1, *at(&w, offset));
	window_close(&w);
}

TEST_F(region, second_free_is_not_found)
{
	__u64 offset, other;

	ASSERT_EQ(0, region_alloc(&self->w, 1, &offset));
	ASSERT_EQ(0, region_alloc(&self->w, 1, &other));
	ASSERT_EQ(0, region_free(&self->w, offset));
	EXPECT_EQ(-ENOENT, region_free(&self->w, offset));
	EXPECT_EQ(-ENOENT, region_realloc(&self->w, offset, 1));
	EXPECT_EQ(self->w.granule, committed(&self->w));
}

/* -------------------------------------------------------------------- realloc */

TEST_F(region, realloc_up_keeps_the_contents)
{
	const struct window *w = &self->w;
	__u64 size = 2 * w->granule;
	__u64 offset;

	ASSERT_EQ(0, region_alloc_flags(w, 0, size, 2 * size, &offset));
	memset(at(w, offset), 1, size);
	ASSERT_EQ(0, region_realloc(w, offset, 2 * size - 1));
	EXPECT_EQ(2 * size, committed(w));
	EXPECT_EQ(1, expert_stat(w->fd).regions);
	EXPECT_TRUE(all_bytes(at(w, offset), size, 1));
	EXPECT_TRUE(all_bytes(at(w, offset + size), size, 0));
	EXPECT_EQ(0, write_touch(at(w, offset + 2 * size - 1)));
	EXPECT_EQ(SIGSEGV, read_touch(at(w, offset + 2 * size)));
}

TEST_F(region, realloc_down_gives_the_end_back)
{
	const struct window *w = &self->w;
	__u64 size = 4 * w->granule;
	__u64 offset;

	ASSERT_EQ(0, region_alloc(w, size, &offset));
	memset(at(w, offset), 1, size);
	ASSERT_EQ(0, region_realloc(w, offset, w->granule));
	EXPECT_EQ(w->granule, committed(w));
	EXPECT_EQ(w->granule, resident(w));
	EXPECT_EQ(size, expert_stat(w->fd).peak);
	EXPECT_TRUE(all_bytes(at(w, offset), w->granule, 1));
	EXPECT_EQ(SIGSEGV, read_touch(at(w, offset + w->granule)));
	EXPECT_EQ(SIGSEGV, read_touch(at(w, offset + size - 1)));
}

TEST_F(region, realloc_to_the_same_size_changes_nothing)
{
	const struct window *w = &self->w;
	__u64 offset;

	ASSERT_EQ(0, region_alloc(w, w->granule, &offset));
	memset(at(w, offset), 1, w->granule);
	EXPECT_EQ(0, region_realloc(w, offset, w->granule));
	EXPECT_EQ(0, region_realloc(w, offset, w->granule - 1));
	EXPECT_EQ(0, region_realloc(w, offset, 1));
	EXPECT_EQ(w->granule, committed(w));
	EXPECT_TRUE(all_bytes(at(w, offset), w->granule, 1));
	EXPECT_EQ(SIGSEGV, read_touch(at(w, offset + w->granule)));
}

TEST_F(region, realloc_to_zero_is_invalid)
{
	__u64 offset;

	ASSERT_EQ(0, region_alloc(&self->w, 1, &offset));
	*at(&self->w, offset) = 1;
	EXPECT_EQ(-EINVAL, region_realloc(&self->w, offset, 0));
	EXPECT_EQ(self->w.granule, committed(&self->w));
	EXPECT_EQ(1, *at(&self->w, offset));
}

TEST_F(region, realloc_beyond_the_window_has_no_space)
{
	static const __u64 sizes[] = {
		TIB, EXPERTMEM_WINDOW_MAX, EXPERTMEM_WINDOW_MAX + 1, 1ULL << 63, -PAGE, -1ULL,
	};
	__u64 offset;
	size_t i;

	ASSERT_EQ(0, region_alloc(&self->w, 1, &offset));
	*at(&self->w, offset) = 1;
	for (i = 0; i < COUNT_OF(sizes); i++)
		EXPECT_EQ(-ENOSPC, region_realloc(&self->w, offset, sizes[i]));
	EXPECT_EQ(self->w.granule, committed(&self->w));
	EXPECT_EQ(self->w.granule, expert_stat(self->w.fd).peak);
	EXPECT_EQ(1, *at(&self->w, offset));
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

TEST_F(region, realloc_over_the_limit_changes_nothing)
{
	__u64 limit = 4 * variant->kind.granule;
	struct window w;
	__u64 offset;

	ASSERT_EQ(0, window_open(&w, &variant->kind, TIB, limit));
	ASSERT_EQ(0, region_alloc_flags(&w, 0, limit - 1, 2 * limit, &offset));
	memset(at(&w, offset), 1, limit);
	EXPECT_EQ(-EDQUOT, region_realloc(&w, offset, limit + 1));
	EXPECT_EQ(limit, committed(&w));
	EXPECT_EQ(limit, expert_stat(w.fd).peak);
	EXPECT_EQ(1, expert_stat(w.fd).refused);
	EXPECT_TRUE(all_bytes(at(&w, offset), limit, 1));
	EXPECT_EQ(SIGSEGV, read_touch(at(&w, offset + limit)));

	/* what shrinking gives back may be had again */
	EXPECT_EQ(0, region_realloc(&w, offset, limit / 2));
	EXPECT_EQ(0, region_realloc(&w, offset, limit));
	window_close(&w);
}

/* ------------------------------------------------------------------- contents */

TEST_F(region, memory_that_was_freed_comes_back_zeroed)
{
	__u64 granule = variant->kind.granule;
	struct window w;
	__u64 offset;
	int round;

	/* room for one region, so that it is the same memory every time */
	ASSERT_EQ(0, window_open(&w, &variant->kind, 4 * granule, 0));
	for (round = 0; round < 3; round++) {
		ASSERT_EQ(0, region_alloc(&w, 2 * granule, &offset));
		EXPECT_TRUE(all_bytes(at(&w, offset), 2 * granule, 0));
		memset(at(&w, offset), 0xff, 2 * granule);
		ASSERT_EQ(0, region_free(&w, offset));
	}
	window_close(&w);
}

TEST_F(region, memory_that_was_shrunk_away_comes_back_zeroed)
{
	const struct window *w = &self->w;
	__u64 offset;

	ASSERT_EQ(0, region_alloc(w, 3 * w->granule, &offset));
	memset(at(w, offset), 0xff, 3 * w->granule);
	ASSERT_EQ(0, region_realloc(w, offset, w->granule));
	ASSERT_EQ(0, region_realloc(w, offset, 3 * w->granule));
	EXPECT_TRUE(all_bytes(at(w, offset), w->granule, 0xff));
	EXPECT_TRUE(all_bytes(at(w, offset + w->granule), 2 * w->granule, 0));
}

TEST_F(region, freed_memory_faults)
{
	const struct window *w = &self->w;
	__u64 offset;

	ASSERT_EQ(0, region_alloc(w, 2 * w->granule, &offset));
	memset(at(w, offset), 1, 2 * w->granule);
	ASSERT_EQ(0, region_free(w, offset));
	EXPECT_EQ(0, resident(w));
	EXPECT_EQ(SIGSEGV, read_touch(at(w, offset)));
	EXPECT_EQ(SIGSEGV, write_touch(at(w, offset)));
	EXPECT_EQ(SIGSEGV, read_touch(at(w, offset + 2 * w->granule - 1)));
}

TEST_F(region, populated_memory_is_there_without_a_touch)
{
	const struct window *w = &self->w;
	__u64 size = 2 * w->granule;
	__u64 offset, untouched;

	ASSERT_EQ(0, region_alloc(w, size, &untouched));
	EXPECT_EQ(0, resident(w));
	ASSERT_EQ(0, region_alloc_flags(w, EXPERTMEM_ALLOC_POPULATE, size, 3 * size, &offset));
	EXPECT_EQ(size, resident(w));
	EXPECT_EQ(2 * size, committed(w));
	EXPECT_TRUE(all_bytes(at(w, offset), size, 0));
	EXPECT_EQ(size, resident(w));

	ASSERT_EQ(0, region_realloc_flags(w, EXPERTMEM_ALLOC_POPULATE, offset, 2 * size));
	EXPECT_EQ(2 * size, resident(w));
	EXPECT_TRUE(all_bytes(at(w, offset), 2 * size, 0));
	ASSERT_EQ(0, region_realloc(w, offset, 3 * size));
	EXPECT_EQ(2 * size, resident(w));
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

TEST_F_TIMEOUT(region, large_region_grows_a_thousandfold_in_place, 120)
{
	NEED_LONG_WINDOW();
	grow_in_steps(_metadata, &self->w, 0);
}

TEST_F_TIMEOUT(region, large_region_grows_a_thousandfold_among_a_hundred, 120)
{
	NEED_LONG_WINDOW();
	grow_in_steps(_metadata, &self->w, 100);
}

TEST_F_TIMEOUT(region, hundred_thousand_regions_come_and_go_in_any_order, 120)
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

TEST_F_TIMEOUT(region, any_sequence_of_calls_agrees_with_a_model, 120)
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

/* ---------------------------------------------------------- an expert that ends */

TEST_F(region, terminating_expert_keeps_its_memory_and_gets_no_more)
{
	const struct window *w = &self->w;
	__u64 size = 2 * w->granule;
	__u64 offset, other;

	ASSERT_EQ(0, region_alloc(w, size, &offset));
	*at(w, offset) = 1;
	ASSERT_EQ(0, expert_terminate(w->fd));
	EXPECT_EQ(-ECANCELED, region_alloc(w, 1, &other));
	EXPECT_EQ(POISON64, other);
	EXPECT_EQ(-ECANCELED, region_realloc(w, offset, 2 * size));
	EXPECT_EQ(-ECANCELED, region_realloc(w, offset, size));
	EXPECT_EQ(-ECANCELED, region_realloc(w, offset, w->granule));
	EXPECT_EQ(size, committed(w));
	EXPECT_EQ(0, expert_stat(w->fd).refused);

	EXPECT_EQ(1, *at(w, offset));
	EXPECT_EQ(0, write_touch(at(w, offset + size - 1)));
	EXPECT_EQ(0, region_free(w, offset));
	EXPECT_EQ(0, committed(w));
	EXPECT_EQ(SIGSEGV, read_touch(at(w, offset)));
}

TEST_F(region, reclaimed_expert_has_no_memory_and_gets_none)
{
	const struct window *w = &self->w;
	struct expertmem_reclaim arg;
	__u64 offset, other;

	ASSERT_EQ(0, region_alloc(w, 2 * w->granule, &offset));
	*at(w, offset) = 1;
	ASSERT_EQ(0, expert_reclaim(w->fd, &arg));
	EXPECT_EQ(2 * w->granule, arg.bytes);
	EXPECT_EQ(1, arg.regions);
	EXPECT_EQ(-ESHUTDOWN, region_alloc(w, 1, &other));
	EXPECT_EQ(POISON64, other);
	EXPECT_EQ(-ESHUTDOWN, region_realloc(w, offset, 1));
	EXPECT_EQ(-ESHUTDOWN, region_free(w, offset));
	EXPECT_EQ(SIGSEGV, read_touch(at(w, offset)));
	EXPECT_EQ(0, committed(w));
	EXPECT_EQ(0, resident(w));
}

TEST_F(region, memory_comes_only_once_the_window_is_mapped)
{
	struct window w = variant->kind;
	__u64 offset;

	w.fd = expert_open();
	ASSERT_LE(0, w.fd);
	EXPECT_EQ(-ENXIO, region_alloc(&w, 1, &offset));
	EXPECT_EQ(POISON64, offset);
	EXPECT_EQ(-ENOENT, region_realloc(&w, w.offset + w.granule, 1));
	EXPECT_EQ(-ENOENT, region_free(&w, w.offset + w.granule));
	ASSERT_EQ(0, window_map(&w, &variant->kind, w.fd, TIB));
	EXPECT_EQ(0, region_alloc(&w, 1, &offset));
	window_close(&w);
}

TEST_HARNESS_MAIN
