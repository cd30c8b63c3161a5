// SPDX-License-Identifier: GPL-2.0
/*
 * COPY: an expert gets a copy of another expert's memory. Which regions and bytes it copies,
 * which calls it refuses, and a fork whose child attaches the copy of its parent's memory.
 *
 * needs: module root
 */
#include <sys/stat.h>

#include "copy_test.h"

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE	0x100000
#endif

#define INSTANCE	"/sys/kernel/tracing/instances/expertmem-copy/"
#define SHMEM_ENABLED	"/sys/kernel/mm/transparent_hugepage/shmem_enabled"

/* The other of the two windows. */
static const struct window *other_kind(const struct window *w)
{
	return w->offset == EXPERTMEM_SMALL_OFFSET ? &huge_window : &small_window;
}

/* The call fails, and nobody has more or less than before. */
static void expect_refusal(struct __test_metadata *_metadata, int err,
			   const struct window *to, const struct window *from)
{
	struct expertmem_stat source = expert_stat(from->fd), stat = expert_stat(to->fd);

	stat.refused += err == -EDQUOT || err == -ENOMEM;
	EXPECT_EQ(err, expert_copy(to->fd, from->fd));
	EXPECT_TRUE(unchanged(from->fd, &source));
	EXPECT_TRUE(unchanged(to->fd, &stat));
}

/* ------------------------------------------------------------- what is copied */

TEST_F(copy, bytes_are_the_same_for_every_size)
{
	static const __u64 sizes[] = {
		1, 2 * PAGE, 3 * PAGE, 64 * PAGE, HUGE - PAGE, HUGE, HUGE + PAGE,
		5 * MIB, 17 * MIB, 48 * MIB,
	};
	const struct window *from = &self->from, *to = &self->to;
	__u64 offsets[COUNT_OF(sizes)], rounded[COUNT_OF(sizes)];
	size_t i;

	for (i = 0; i < COUNT_OF(sizes); i++) {
		ASSERT_EQ(0, region_alloc(from, sizes[i], &offsets[i]));
		rounded[i] = (sizes[i] + from->granule - 1) / from->granule * from->granule;
		fill(from, offsets[i], rounded[i]);
	}
	ASSERT_EQ(0, expert_copy(to->fd, from->fd));
	EXPECT_TRUE(alike(to->fd, from->fd));
	EXPECT_EQ(expert_stat(from->fd).peak, expert_stat(to->fd).peak);
	for (i = 0; i < COUNT_OF(sizes); i++) {
		EXPECT_TRUE(is_filled(to, offsets[i], rounded[i]))
			TH_LOG("size %llu", sizes[i]);
		EXPECT_TRUE(is_filled(from, offsets[i], rounded[i]));
		/* and what is around it is no memory */
		EXPECT_EQ(SIGSEGV, read_touch(at(to, offsets[i] - 1)));
		EXPECT_EQ(SIGSEGV, read_touch(at(to, offsets[i] + rounded[i])));
	}
}

TEST_F(copy, neither_sees_what_the_other_writes_later)
{
	const struct window *from = &self->from, *to = &self->to;
	const __u64 size = 4 * from->granule;
	__u64 offset;

	ASSERT_EQ(0, region_touched(from, size, &offset));
	ASSERT_EQ(0, expert_copy(to->fd, from->fd));
	memset(at(to, offset), 1, size);
	EXPECT_TRUE(is_touched(from, offset, size));
	memset(at(from, offset), 2, size);
	EXPECT_TRUE(all_bytes(at(to, offset), size, 1));
}

TEST_F(copy, copy_outlives_its_source)
{
	const struct window *to = &self->to;
	const __u64 size = 4 * to->granule;
	__u32 experts = expert_info(to->fd).experts;
	struct window from;
	__u64 offset;

	ASSERT_EQ(0, window_open(&from, &variant->kind, GIB, 0));
	EXPECT_EQ(-EINVAL, expert_copy(from.fd, from.fd));
	ASSERT_EQ(0, region_touched(&from, size, &offset));
	ASSERT_EQ(0, expert_copy(to->fd, from.fd));
	EXPECT_EQ(-EBUSY, expert_copy(to->fd, from.fd));
	window_close(&from);
	/* to which no call has kept a reference */
	EXPECT_EQ(experts, expert_info(to->fd).experts);
	EXPECT_TRUE(is_touched(to, offset, size));
	EXPECT_EQ(size, expert_stat(to->fd).resident);
}

TEST_F(copy, pages_never_touched_stay_holes)
{
	const struct window *from = &self->from, *to = &self->to;
	const __u64 granule = from->granule, size = 64 * HUGE;
	__u64 offset, resident;

	ASSERT_EQ(0, region_alloc(from, size, &offset));
	*at(from, offset) = 1;
	*at(from, offset + 7 * granule) = 2;
	*at(from, offset + size - 1) = 3;
	resident = expert_stat(from->fd).resident;
	ASSERT_EQ(0, expert_copy(to->fd, from->fd));
	EXPECT_EQ(resident, expert_stat(from->fd).resident);
	EXPECT_EQ(resident, expert_stat(to->fd).resident);
	EXPECT_EQ(size, expert_stat(to->fd).committed);
	EXPECT_EQ(1, *at(to, offset));
	EXPECT_EQ(2, *at(to, offset + 7 * granule));
	EXPECT_EQ(3, *at(to, offset + size - 1));
	EXPECT_TRUE(all_bytes(at(to, offset + 1), 7 * granule - 1, 0));
	EXPECT_TRUE(all_bytes(at(to, offset + 7 * granule + 1), size - 7 * granule - 2, 0));
}

/* Page by page, it would take days. */
TEST_F(copy, terabytes_of_holes_cost_nothing)
{
	const struct window *from = &self->from, *to = &self->to;
	__u64 offset;

	ASSERT_EQ(0, region_alloc(from, TIB / 2, &offset));
	*at(from, offset + TIB / 4) = 1;
	ASSERT_EQ(0, expert_copy(to->fd, from->fd));
	EXPECT_TRUE(alike(to->fd, from->fd));
	EXPECT_EQ(1, *at(to, offset + TIB / 4));
	EXPECT_EQ(0, write_touch(at(to, offset + TIB / 2 - 1)));
}

TEST_F(copy, pages_removed_from_a_region_are_holes)
{
	const struct window *from = &self->from, *to = &self->to;
	const __u64 granule = from->granule;
	__u64 offset;

	ASSERT_EQ(0, region_touched(from, 4 * granule, &offset));
	ASSERT_EQ(0, madvise(at(from, offset + granule), 2 * granule, MADV_REMOVE));
	ASSERT_EQ(0, expert_copy(to->fd, from->fd));
	EXPECT_EQ(2 * granule, expert_stat(to->fd).resident);
	EXPECT_TRUE(is_touched(to, offset, granule));
	EXPECT_TRUE(all_bytes(at(to, offset + granule), 2 * granule, 0));
	EXPECT_TRUE(is_touched(to, offset + 3 * granule, granule));
}

TEST_F(copy, parts_of_a_huge_page_are_copied)
{
	const struct window *from = &self->from, *to = &self->to;
	__u64 offset;

	ASSERT_EQ(0, region_touched(from, 2 * HUGE, &offset));
	/* what was one page is many, of which some are missing */
	ASSERT_EQ(0, madvise(at(from, offset + 3 * PAGE), 100 * PAGE, MADV_REMOVE));
	ASSERT_EQ(0, expert_copy(to->fd, from->fd));
	EXPECT_TRUE(is_touched(to, offset, 3 * PAGE));
	EXPECT_TRUE(all_bytes(at(to, offset + 3 * PAGE), 100 * PAGE, 0));
	EXPECT_TRUE(is_touched(to, offset + 103 * PAGE, 2 * HUGE - 103 * PAGE));
}

/* Where there was a huge page for the one, there may be none for the other. */
TEST_F(copy, huge_and_small_pages_are_copied_to_each_other)
{
	const struct window *from = &self->from, *to = &self->to;
	char old[64], *chosen;
	__u64 one, two;
	int err;

	if (file_read(SHMEM_ENABLED, old, sizeof(old)))
		SKIP_TEST(SHMEM_ENABLED ": %s", strerror(errno));
	/* "always within_size advise [never] deny force" */
	chosen = strchr(old, '[') + 1;
	*strchr(chosen, ']') = '\0';

	ASSERT_EQ(0, region_alloc(from, 2 * HUGE, &one));
	ASSERT_EQ(0, region_alloc(from, 2 * HUGE, &two));
	fill(from, one, 2 * HUGE);
	ASSERT_EQ(0, file_write(SHMEM_ENABLED, "deny"));
	fill(from, two, 2 * HUGE);
	err = expert_copy(to->fd, from->fd);
	ASSERT_EQ(0, file_write(SHMEM_ENABLED, chosen));
	ASSERT_EQ(0, err);
	EXPECT_TRUE(is_filled(to, one, 2 * HUGE));
	EXPECT_TRUE(is_filled(to, two, 2 * HUGE));

	/* and back: from small pages to huge ones */
	ASSERT_EQ(0, region_free(from, one));
	ASSERT_EQ(0, region_free(from, two));
	ASSERT_EQ(0, expert_copy(from->fd, to->fd));
	EXPECT_TRUE(is_filled(from, one, 2 * HUGE));
	EXPECT_TRUE(is_filled(from, two, 2 * HUGE));
}

TEST_F(copy, room_is_kept)
{
	const __u64 granule = variant->kind.granule, room = 16 * granule;
	struct window from, to;
	__u64 offset, other;

	ASSERT_EQ(0, window_open(&from, &variant->kind, 64 * granule, 0));
	ASSERT_EQ(0, window_open(&to, &variant->kind, 64 * granule, 0));
	ASSERT_EQ(0, region_alloc_flags(&from, 0, granule, room, &offset));
	fill(&from, offset, granule);
	ASSERT_EQ(0, expert_copy(to.fd, from.fd));
	EXPECT_EQ(granule, expert_stat(to.fd).committed);
	EXPECT_EQ(SIGSEGV, read_touch(at(&to, offset + granule)));

	/* in a window that is otherwise full */
	while (!region_alloc(&to, granule, &other))
		EXPECT_TRUE(other + granule < offset || other > offset + room);
	EXPECT_EQ(0, region_realloc(&to, offset, room));
	EXPECT_EQ(0, write_touch(at(&to, offset + room - 1)));
	EXPECT_EQ(SIGSEGV, read_touch(at(&to, offset + room)));
	EXPECT_EQ(SIGSEGV, read_touch(at(&to, offset - 1)));
	EXPECT_TRUE(is_filled(&to, offset, granule));
	window_close(&from);
	window_close(&to);
}

TEST_F(copy, regions_of_the_copy_are_regions)
{
	const struct window *from = &self->from, *to = &self->to;
	const __u64 granule = from->granule;
	__u64 one, two, three;

	ASSERT_EQ(0, region_touched(from, 4 * granule, &one));
	ASSERT_EQ(0, region_touched(from, 4 * granule, &two));
	ASSERT_EQ(0, expert_copy(to->fd, from->fd));
	EXPECT_EQ(-ENOENT, region_free(to, one + granule));
	EXPECT_EQ(0, region_realloc(to, one, granule));
	EXPECT_EQ(5 * granule, expert_stat(to->fd).resident);
	EXPECT_EQ(SIGSEGV, read_touch(at(to, one + granule)));
	EXPECT_EQ(0, region_free(to, two));
	EXPECT_EQ(SIGSEGV, read_touch(at(to, two)));
	EXPECT_EQ(0, region_alloc(to, granule, &three));
	EXPECT_TRUE(all_bytes(at(to, three), granule, 0));
	EXPECT_EQ(0, region_free(to, three));
	EXPECT_EQ(0, region_free(to, one));
	EXPECT_TRUE(is_empty(to->fd));
	EXPECT_TRUE(is_touched(from, one, 4 * granule));
	EXPECT_TRUE(is_touched(from, two, 4 * granule));
}

TEST_F(copy, ten_thousand_regions_are_copied)
{
	enum { REGIONS = 10000 };
	const struct window *from = &self->from, *to = &self->to;
	/* in the huge window, all of them would be too much */
	const int stride = from->granule == PAGE ? 1 : REGIONS / 5;
	static __u64 offsets[REGIONS];
	int i;

	for (i = 0; i < REGIONS; i++) {
		ASSERT_EQ(0, region_alloc(from, 1, &offsets[i]));
		if (i % stride == 0)
			fill(from, offsets[i], from->granule);
	}
	ASSERT_EQ(0, expert_copy(to->fd, from->fd));
	EXPECT_EQ(REGIONS, expert_stat(to->fd).regions);
	EXPECT_TRUE(alike(to->fd, from->fd));
	for (i = 0; i < REGIONS; i += stride) {
		ASSERT_TRUE(is_filled(to, offsets[i], to->granule));
		ASSERT_EQ(SIGSEGV, read_touch(at(to, offsets[i] + to->granule)));
	}
	for (i = 0; i < REGIONS; i++)
		ASSERT_EQ(0, region_free(to, offsets[i]));
	EXPECT_TRUE(is_empty(to->fd));
}

TEST_F(copy, both_windows_are_copied)
{
	const struct window *kind = other_kind(&self->from);
	struct window from, to;
	__u64 one, two;

	ASSERT_EQ(0, window_map(&from, kind, self->from.fd, GIB));
	ASSERT_EQ(0, window_map(&to, kind, self->to.fd, GIB));
	ASSERT_EQ(0, region_touched(&self->from, 2 * HUGE, &one));
	ASSERT_EQ(0, region_touched(&from, 3 * HUGE, &two));
	ASSERT_EQ(0, expert_copy(to.fd, from.fd));
	EXPECT_TRUE(alike(to.fd, from.fd));
	EXPECT_TRUE(is_touched(&self->to, one, 2 * HUGE));
	EXPECT_TRUE(is_touched(&to, two, 3 * HUGE));
	munmap(from.addr, from.size);
	munmap(to.addr, to.size);
}

TEST_F(copy, window_without_regions_need_not_be_mapped)
{
	struct window from;
	__u64 offset;

	ASSERT_EQ(0, window_map(&from, other_kind(&self->from), self->from.fd, GIB));
	ASSERT_EQ(0, region_touched(&self->from, HUGE, &offset));
	ASSERT_EQ(0, expert_copy(self->to.fd, self->from.fd));
	EXPECT_TRUE(is_touched(&self->to, offset, HUGE));
	munmap(from.addr, from.size);
}

TEST_F(copy, nothing_is_copied_from_nothing)
{
	int idle = expert_open(), other = expert_open();

	ASSERT_LE(0, idle);
	ASSERT_LE(0, other);
	EXPECT_EQ(0, expert_copy(self->to.fd, self->from.fd));
	EXPECT_EQ(0, expert_copy(self->to.fd, idle));
	EXPECT_EQ(0, expert_copy(other, idle));
	EXPECT_TRUE(is_empty(self->to.fd));
	EXPECT_EQ(EXPERTMEM_STATE_IDLE, expert_stat(other).state);
	close(idle);
	close(other);
}

TEST_F(copy, name_and_limit_are_not_copied)
{
	struct window from, to = { .fd = expert_open() };
	struct expertmem_stat stat;
	__u64 offset;

	ASSERT_LE(0, to.fd);
	ASSERT_EQ(0, window_open(&from, &variant->kind, GIB, 64 * MIB));
	ASSERT_EQ(0, expert_configure(to.fd, "other", 32 * MIB, EXPERTMEM_CONFIG_UNSWAPPABLE));
	ASSERT_EQ(0, window_map(&to, &variant->kind, to.fd, GIB));
	ASSERT_EQ(0, region_touched(&from, HUGE, &offset));
	ASSERT_EQ(0, expert_copy(to.fd, from.fd));
	stat = expert_stat(to.fd);
	EXPECT_STREQ("other", stat.name);
	EXPECT_EQ(32 * MIB, stat.limit);
	EXPECT_EQ(EXPERTMEM_CONFIG_UNSWAPPABLE, stat.flags);
	EXPECT_EQ(0, expert_stat(from.fd).flags);
	window_close(&from);
	window_close(&to);
}

TEST_F(copy, copy_can_be_copied)
{
	const struct window *from = &self->from, *to = &self->to;
	struct window third;
	__u64 offset;

	ASSERT_EQ(0, region_touched(from, 2 * HUGE, &offset));
	ASSERT_EQ(0, window_open(&third, &variant->kind, TIB, 0));
	ASSERT_EQ(0, expert_copy(to->fd, from->fd));
	ASSERT_EQ(0, region_free(from, offset));
	ASSERT_EQ(0, expert_copy(third.fd, to->fd));
	EXPECT_TRUE(is_touched(&third, offset, 2 * HUGE));
	/* and an expert that was emptied is as good as new */
	ASSERT_EQ(0, expert_copy(from->fd, third.fd));
	EXPECT_TRUE(is_touched(from, offset, 2 * HUGE));
	window_close(&third);
}

/* ----------------------------------------------------------- what is refused */

TEST_F(copy, descriptor_must_be_open)
{
	int closed = expert_open();
	int path = open(DEVICE, O_PATH);

	ASSERT_LE(0, closed);
	ASSERT_LE(0, path);
	close(closed);
	EXPECT_EQ(-EBADF, expert_copy(self->to.fd, -1));
	EXPECT_EQ(-EBADF, expert_copy(self->to.fd, closed));
	EXPECT_EQ(-EBADF, expert_copy(self->to.fd, path));
	EXPECT_EQ(-EBADF, expert_copy(self->to.fd, 1 << 30));
	EXPECT_TRUE(is_empty(self->to.fd));
	close(path);
}

TEST_F(copy, descriptor_must_be_an_experts)
{
	int ends[2], null = open("/dev/null", O_RDWR);

	ASSERT_LE(0, null);
	ASSERT_EQ(0, pipe(ends));
	EXPECT_EQ(-EINVAL, expert_copy(self->to.fd, null));
	EXPECT_EQ(-EINVAL, expert_copy(self->to.fd, ends[0]));
	EXPECT_TRUE(is_empty(self->to.fd));
	close(null);
}

TEST_F(copy, expert_cannot_copy_itself)
{
	int again = dup(self->to.fd);

	EXPECT_EQ(-EINVAL, expert_copy(self->to.fd, self->to.fd));
	EXPECT_EQ(-EINVAL, expert_copy(self->to.fd, again));
	EXPECT_TRUE(is_empty(self->to.fd));
	close(again);
}

TEST_F(copy, flags_and_reserved_fields_must_be_zero)
{
	struct expertmem_copy arg;
	__u64 offset;
	size_t i;

	ASSERT_EQ(0, region_touched(&self->from, HUGE, &offset));
	for (i = 0; i < 32; i++) {
		arg = (struct expertmem_copy){ .fd = self->from.fd, .flags = 1U << i };
		EXPECT_EQ(-EINVAL, expert_ioctl(self->to.fd, EXPERTMEM_IOC_COPY, &arg));
	}
	for (i = 0; i < COUNT_OF(arg.reserved); i++) {
		arg = (struct expertmem_copy){ .fd = self->from.fd };
		arg.reserved[i] = 1ULL << 63;
		EXPECT_EQ(-EINVAL, expert_ioctl(self->to.fd, EXPERTMEM_IOC_COPY, &arg));
	}
	EXPECT_EQ(-EFAULT, expert_ioctl(self->to.fd, EXPERTMEM_IOC_COPY, NULL));
	EXPECT_TRUE(is_empty(self->to.fd));
}

TEST_F(copy, destination_that_has_a_region_is_busy)
{
	struct window other;
	__u64 offset, own;

	ASSERT_EQ(0, region_touched(&self->from, HUGE, &offset));
	ASSERT_EQ(0, region_touched(&self->to, HUGE, &own));
	expect_refusal(_metadata, -EBUSY, &self->to, &self->from);
	EXPECT_TRUE(is_touched(&self->to, own, HUGE));
	ASSERT_EQ(0, region_free(&self->to, own));

	/* in either window */
	ASSERT_EQ(0, window_map(&other, other_kind(&self->to), self->to.fd, GIB));
	ASSERT_EQ(0, region_touched(&other, HUGE, &own));
	expect_refusal(_metadata, -EBUSY, &self->to, &self->from);
	ASSERT_EQ(0, region_free(&other, own));

	ASSERT_EQ(0, expert_copy(self->to.fd, self->from.fd));
	expect_refusal(_metadata, -EBUSY, &self->to, &self->from);
	EXPECT_TRUE(is_touched(&self->to, offset, HUGE));
	munmap(other.addr, other.size);
}

TEST_F(copy, window_with_a_region_must_be_mapped)
{
	struct window from, to;
	__u64 one, two;

	ASSERT_EQ(0, window_map(&from, other_kind(&self->from), self->from.fd, GIB));
	ASSERT_EQ(0, region_touched(&self->from, HUGE, &one));
	ASSERT_EQ(0, region_touched(&from, HUGE, &two));
	expect_refusal(_metadata, -ENXIO, &self->to, &self->from);
	ASSERT_EQ(0, window_map(&to, other_kind(&self->from), self->to.fd, GIB));
	EXPECT_EQ(0, expert_copy(self->to.fd, self->from.fd));
	EXPECT_TRUE(is_touched(&to, two, HUGE));
	munmap(from.addr, from.size);
	munmap(to.addr, to.size);
}

TEST_F(copy, window_must_reach_a_granule_past_the_last_region)
{
	const struct window *kind = &variant->kind;
	const __u64 granule = kind->granule;
	struct window from, to;
	__u64 first, last, end;

	ASSERT_EQ(0, window_open(&from, kind, 64 * granule, 0));
	ASSERT_EQ(0, region_alloc_flags(&from, 0, granule, 16 * granule, &first));
	ASSERT_EQ(0, region_alloc_flags(&from, 0, granule, 2 * granule, &last));
	if (first > last)
		last = first + 14 * granule;
	end = last + 2 * granule;

	ASSERT_EQ(0, window_open(&to, kind, end - kind->offset, 0));
	expect_refusal(_metadata, -ENOSPC, &to, &from);
	window_close(&to);
	ASSERT_EQ(0, window_open(&to, kind, end + granule - kind->offset, 0));
	EXPECT_EQ(0, expert_copy(to.fd, from.fd));
	window_close(&to);
	window_close(&from);
}

TEST_F(copy, limit_is_the_destinations)
{
	const __u64 granule = variant->kind.granule;
	struct window to;
	__u64 one, two;

	ASSERT_EQ(0, region_touched(&self->from, 3 * granule, &one));
	ASSERT_EQ(0, region_touched(&self->from, 4 * granule, &two));
	ASSERT_EQ(0, window_open(&to, &variant->kind, TIB, 7 * granule - 1));
	expect_refusal(_metadata, -EDQUOT, &to, &self->from);
	EXPECT_EQ(0, expert_stat(to.fd).peak);
	window_close(&to);
	ASSERT_EQ(0, window_open(&to, &variant->kind, TIB, 7 * granule));
	EXPECT_EQ(0, expert_copy(to.fd, self->from.fd));
	EXPECT_EQ(7 * granule, expert_stat(to.fd).committed);
	EXPECT_EQ(-EDQUOT, region_alloc(&to, 1, &one));
	window_close(&to);
}

TEST_F(copy, limit_of_all_experts_counts_the_copy_too)
{
	const __u64 granule = variant->kind.granule;
	char limit[32];
	__u64 one, two;

	ASSERT_EQ(0, region_touched(&self->from, 3 * granule, &one));
	ASSERT_EQ(0, region_touched(&self->from, 4 * granule, &two));
	snprintf(limit, sizeof(limit), "%llu", 14 * granule - 1);
	ASSERT_EQ(0, file_write(PARAMETERS "total_limit", limit));
	expect_refusal(_metadata, -ENOMEM, &self->to, &self->from);
	snprintf(limit, sizeof(limit), "%llu", 14 * granule);
	ASSERT_EQ(0, file_write(PARAMETERS "total_limit", limit));
	EXPECT_EQ(0, expert_copy(self->to.fd, self->from.fd));
	/* and the refused one is not counted any more */
	EXPECT_EQ(-ENOMEM, region_alloc(&self->to, 1, &one));
	ASSERT_EQ(0, region_free(&self->to, two));
	EXPECT_EQ(0, region_alloc(&self->to, 4 * granule, &one));
}

TEST_F(copy, terminating_destination_gets_nothing)
{
	__u64 offset;

	ASSERT_EQ(0, region_touched(&self->from, HUGE, &offset));
	ASSERT_EQ(0, expert_terminate(self->to.fd));
	expect_refusal(_metadata, -ECANCELED, &self->to, &self->from);
}

TEST_F(copy, terminating_source_is_copied)
{
	__u64 offset;

	ASSERT_EQ(0, region_touched(&self->from, HUGE, &offset));
	ASSERT_EQ(0, expert_terminate(self->from.fd));
	EXPECT_EQ(0, expert_copy(self->to.fd, self->from.fd));
	EXPECT_TRUE(is_touched(&self->to, offset, HUGE));
	EXPECT_EQ(EXPERTMEM_STATE_RUNNING, expert_stat(self->to.fd).state);
}

TEST_F(copy, reclaimed_source_has_shut_down)
{
	struct expertmem_reclaim arg;
	__u64 offset;

	ASSERT_EQ(0, region_touched(&self->from, HUGE, &offset));
	ASSERT_EQ(0, expert_reclaim(self->from.fd, &arg));
	expect_refusal(_metadata, -ESHUTDOWN, &self->to, &self->from);
}

TEST_F(copy, source_whose_process_died_has_shut_down)
{
	struct window from = { .fd = expert_open() };
	__u64 offset;
	pid_t pid;

	ASSERT_LE(0, from.fd);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		if (window_map(&from, &variant->kind, from.fd, GIB) ||
		    region_touched(&from, HUGE, &offset))
			_exit(1);
		kill(getpid(), SIGKILL);
	}
	ASSERT_EQ(128 + SIGKILL, child_status(pid));
	expect_refusal(_metadata, -ESHUTDOWN, &self->to, &from);
	close(from.fd);
}

TEST_F(copy, window_that_the_source_has_unmapped_is_not_copied)
{
	struct window from;
	__u64 one, two;

	ASSERT_EQ(0, window_map(&from, other_kind(&self->from), self->from.fd, GIB));
	ASSERT_EQ(0, region_touched(&self->from, HUGE, &one));
	ASSERT_EQ(0, region_touched(&from, HUGE, &two));
	munmap(from.addr, from.size);
	EXPECT_EQ(0, expert_copy(self->to.fd, self->from.fd));
	EXPECT_EQ(HUGE, expert_stat(self->to.fd).committed);
	EXPECT_TRUE(is_touched(&self->to, one, HUGE));
}

TEST_F(copy, destination_without_its_window_has_shut_down)
{
	struct expertmem_reclaim arg;
	struct window to, other;
	__u64 offset;

	ASSERT_EQ(0, region_touched(&self->from, HUGE, &offset));
	ASSERT_EQ(0, window_open(&to, &variant->kind, TIB, 0));
	ASSERT_EQ(0, window_map(&other, other_kind(&to), to.fd, GIB));
	ASSERT_EQ(0, munmap(to.addr, to.size));
	expect_refusal(_metadata, -ESHUTDOWN, &other, &self->from);
	ASSERT_EQ(0, munmap(other.addr, other.size));
	expect_refusal(_metadata, -ESHUTDOWN, &other, &self->from);
	close(to.fd);

	ASSERT_EQ(0, expert_reclaim(self->to.fd, &arg));
	expect_refusal(_metadata, -ESHUTDOWN, &self->to, &self->from);
}

/* Who has a page mapped that goes bad is told so. */
static void bad_memory_noticed(int sig)
{
}

TEST_F(copy, page_in_bad_memory_is_an_error)
{
	const struct window *from = &self->from, *to = &self->to;
	__u64 good, bad;

	ASSERT_EQ(0, region_touched(from, 2 * HUGE, &good));
	ASSERT_EQ(0, region_touched(from, 2 * HUGE, &bad));
	signal(SIGBUS, bad_memory_noticed);
	if (madvise(at(from, bad + HUGE + 5 * PAGE), PAGE, MADV_HWPOISON))
		SKIP_TEST("MADV_HWPOISON: %s", strerror(errno));
	expect_refusal(_metadata, -EIO, to, from);
	ASSERT_EQ(0, region_free(from, bad));
	EXPECT_EQ(0, expert_copy(to->fd, from->fd));
	EXPECT_TRUE(is_touched(to, good, 2 * HUGE));
}

/* ------------------------------------------------------------------------ fork */

/* In the child: a bit for whatever is not as it is in the parent. */
static int be_a_fork(const struct window *windows, const __u64 *offsets, __u64 size)
{
	int fd = expert_open(), err = 0, i;

	for (i = 0; i < 2; i++) {
		const struct window *w = &windows[i];

		if (mmap(w->addr, w->size, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_FIXED, fd, w->offset) != w->addr)
			return 1;
	}
	if (expert_copy(fd, windows[0].fd))
		return 2;
	for (i = 0; i < 2; i++) {
		if (!is_filled(&windows[i], offsets[i], size))
			err |= 4;
		/* this is the child's, whatever becomes of the parent's */
		memset(at(&windows[i], offsets[i]), 0xcc, size);
		if (read_touch(at(&windows[i], offsets[i] + size)) != SIGSEGV)
			err |= 8;
	}
	if (expert_stat(fd).committed != 2 * size ||
	    expert_stat(windows[0].fd).committed != 2 * size)
		err |= 16;
	return err;
}

TEST_F(copy, forked_child_has_its_parents_memory_at_the_same_addresses)
{
	const __u64 size = 4 * HUGE;
	struct window windows[2] = { self->from };
	struct expertmem_stat before;
	__u64 offsets[2];
	pid_t pid;
	int i;

	ASSERT_EQ(0, window_map(&windows[1], other_kind(&self->from), self->from.fd, GIB));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, region_alloc(&windows[i], size, &offsets[i]));
		fill(&windows[i], offsets[i], size);
	}
	before = expert_stat(self->from.fd);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(be_a_fork(windows, offsets, size));
	EXPECT_EQ(0, child_status(pid));
	EXPECT_TRUE(unchanged(self->from.fd, &before));
	for (i = 0; i < 2; i++)
		EXPECT_TRUE(is_filled(&windows[i], offsets[i], size));
	munmap(windows[1].addr, windows[1].size);
}

/* --------------------------------------------------------------------- tracing */

TEST(copy_is_traced)
{
	char want[2][128], trace[8192];
	struct window from, to;
	__u64 id, source, offset;

	NEED_DEVICE();
	if (mkdir(INSTANCE, 0755) && errno != EEXIST)
		SKIP_TEST(INSTANCE ": %s; mount tracefs, be root", strerror(errno));
	ASSERT_EQ(0, file_write(INSTANCE "events/expertmem/expertmem_copy/enable", "1"));
	ASSERT_EQ(0, window_open(&from, &small_window, GIB, 0));
	ASSERT_EQ(0, window_open(&to, &small_window, GIB, 0));
	ASSERT_EQ(0, region_alloc(&from, MIB, &offset));
	*at(&from, offset) = 1;
	ASSERT_EQ(0, expert_copy(to.fd, from.fd));
	ASSERT_EQ(-EBUSY, expert_copy(to.fd, from.fd));
	id = expert_stat(to.fd).id;
	source = expert_stat(from.fd).id;
	snprintf(want[0], sizeof(want[0]),
		 "expertmem_copy: id=%llu from=%llu regions=1 bytes=4096 err=0\n", id, source);
	snprintf(want[1], sizeof(want[1]),
		 "expertmem_copy: id=%llu from=%llu regions=1 bytes=0 err=%d", id, source, -EBUSY);
	ASSERT_EQ(0, file_read(INSTANCE "trace", trace, sizeof(trace)));
	EXPECT_NE(NULL, strstr(trace, want[0]));
	EXPECT_NE(NULL, strstr(trace, want[1]));
	window_close(&from);
	window_close(&to);
	EXPECT_EQ(0, rmdir(INSTANCE));
}

TEST_HARNESS_MAIN
