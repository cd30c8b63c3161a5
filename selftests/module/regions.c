// SPDX-License-Identifier: GPL-2.0
/*
 * ALLOC, REALLOC and FREE in both windows: results, contents and error codes. placement.c
 * tests where regions are placed.
 *
 * needs: module root
 * also: 32bit
 */
#include "region_test.h"

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
	EXPECT_EQ(2 * w->granule, arg.reclaimed_bytes);
	EXPECT_EQ(1, arg.reclaimed_regions);
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
