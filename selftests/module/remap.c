// SPDX-License-Identifier: GPL-2.0
/*
 * Calls that would cut a window, move it, resize it, change the protection of a part, or map
 * something over a part. The kernel refuses each of them, also for a range that includes
 * memory beside the window.
 *
 * needs: module root
 */
#include <sys/ipc.h>
#include <sys/shm.h>
#include <sys/syscall.h>

#include "advice_test.h"

/* The headers of Debian 12 do not have this. */
#ifndef SYS_mseal
#define SYS_mseal	462
#endif

/* The byte of the memory beside a window. */
#define NEIGHBOUR	0x33

/* ----------------------------------------------------- remapping and unmapping */

FIXTURE(between) {
	FIXTURE_DATA(window) of;
	unsigned char *before, *behind;	/* HUGE bytes each, full of NEIGHBOUR */
};

FIXTURE_VARIANT(between) {
	struct window kind;
};

FIXTURE_VARIANT_ADD(between, small) {
	.kind = SMALL_WINDOW,
};

FIXTURE_VARIANT_ADD(between, huge) {
	.kind = HUGE_WINDOW,
};

FIXTURE_SETUP(between)
{
	struct window *w = &self->of.w;
	unsigned char *area;

	NEED_DEVICE();
	area = mmap(NULL, WINDOW_SIZE + 3 * HUGE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	ASSERT_NE(MAP_FAILED, area);
	self->before = area - (unsigned long)area % HUGE + HUGE;
	self->behind = self->before + HUGE + WINDOW_SIZE;
	*w = variant->kind;
	w->size = WINDOW_SIZE;
	w->fd = expert_open();
	ASSERT_LE(0, w->fd);
	w->addr = mmap(self->before + HUGE, WINDOW_SIZE, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_FIXED, w->fd, w->offset);
	ASSERT_EQ(self->before + HUGE, w->addr);
	self->of.size = 4 * w->granule;
	ASSERT_EQ(0, region_alloc(w, self->of.size, &self->of.offset));
	memset(at(w, self->of.offset), BYTE, self->of.size);
	memset(self->before, NEIGHBOUR, HUGE);
	memset(self->behind, NEIGHBOUR, HUGE);
}

FIXTURE_TEARDOWN(between)
{
	munmap(self->before, WINDOW_SIZE + 2 * HUGE);
	close(self->of.w.fd);
}

static bool neighbours_are_whole(const FIXTURE_DATA(between) *self)
{
	return !write_touch(self->before) && !write_touch(self->behind) &&
	       all_bytes(self->before, HUGE, NEIGHBOUR) && all_bytes(self->behind, HUGE, NEIGHBOUR);
}

#define PIECES	(RANGES + 1)

/* Ranges that would cut the window: its parts, and parts together with memory beside it. */
static void pieces_of(const FIXTURE_DATA(between) *self, struct range pieces[PIECES])
{
	const struct window *w = &self->of.w;

	ranges_of(&self->of, pieces);
	pieces[RANGES - 1] = (struct range) {
		w->addr - HUGE, 2 * HUGE, "the first part and memory before it", false, false,
	};
	pieces[RANGES] = (struct range) {
		self->behind - HUGE, 2 * HUGE, "the last part and memory behind it", false, false,
	};
}

TEST_F(between, no_piece_can_be_unmapped)
{
	struct range pieces[PIECES];
	int i;

	pieces_of(self, pieces);
	for (i = 0; i < PIECES; i++) {
		EXPECT_EQ(-EINVAL, result(munmap(pieces[i].addr, pieces[i].size)))
			TH_LOG("%s", pieces[i].name);
		EXPECT_TRUE(neighbours_are_whole(self)) TH_LOG("%s", pieces[i].name);
		EXPECT_UNCHANGED(&self->of, "munmap() of %s", pieces[i].name);
	}
}

TEST_F(between, unmapping_it_with_what_is_beside_it_reclaims)
{
	const struct window *w = &self->of.w;
	struct expertmem_stat stat;

	ASSERT_EQ(0, munmap(self->before + PAGE, WINDOW_SIZE + 2 * HUGE - 2 * PAGE));
	stat = expert_stat(w->fd);
	EXPECT_EQ(EXPERTMEM_STATE_RECLAIMED, stat.state);
	EXPECT_EQ(EXPERTMEM_CAUSE_DETACH, stat.cause);
	EXPECT_EQ(self->of.size, stat.reclaimed_bytes);
	EXPECT_EQ(0, stat.resident);
	EXPECT_EQ(SIGSEGV, read_touch(at(w, self->of.offset)));
	EXPECT_EQ(0, read_touch(self->before));
	EXPECT_EQ(0, read_touch(self->behind + HUGE - 1));
}

static int map_over(const struct range *range, int flags, int fd, __u64 offset)
{
	void *addr = mmap(range->addr, range->size, PROT_READ, flags | MAP_FIXED, fd, offset);

	return addr == MAP_FAILED ? -errno : 0;
}

TEST_F(between, nothing_can_be_mapped_over_a_piece)
{
	const struct window *w = &self->of.w;
	bool small = w->offset == EXPERTMEM_SMALL_OFFSET;
	__u64 other = small ? EXPERTMEM_HUGE_OFFSET : EXPERTMEM_SMALL_OFFSET;
	int memory = memfd_create("over", MFD_CLOEXEC), stranger_fd = expert_open();
	const struct {
		const char *name;
		int flags, fd;
		__u64 offset;
	} over[] = {
		{ "private memory", MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0 },
		{ "shared memory", MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0 },
		{ "locked memory", MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED, -1, 0 },
		{ "memory that grows", MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN, -1, 0 },
		{ "a file", MAP_SHARED, memory, 0 },
		{ "the status page", MAP_SHARED, w->fd, EXPERTMEM_STATUS_OFFSET },
		{ "this window", MAP_SHARED, w->fd, w->offset },
		{ "the other window", MAP_SHARED, w->fd, other },
		{ "a window of another expert", MAP_SHARED, stranger_fd, w->offset },
	};
	struct range pieces[PIECES];
	size_t what;
	int i;

	ASSERT_LE(0, memory);
	ASSERT_LE(0, stranger_fd);
	ASSERT_EQ(0, ftruncate(memory, GIB));
	pieces_of(self, pieces);
	for (what = 0; what < COUNT_OF(over); what++) {
		for (i = 0; i < PIECES; i++) {
			EXPECT_GT(0, map_over(&pieces[i], over[what].flags, over[what].fd,
					      over[what].offset))
				TH_LOG("%s over %s", over[what].name, pieces[i].name);
			EXPECT_EQ(-EEXIST, map_over(&pieces[i], over[what].flags |
						    MAP_FIXED_NOREPLACE, over[what].fd,
						    over[what].offset))
				TH_LOG("%s over %s", over[what].name, pieces[i].name);
			EXPECT_TRUE(neighbours_are_whole(self));
		}
		EXPECT_UNCHANGED(&self->of, "mapping %s over it", over[what].name);
	}
	/* A refused call does not count as the one mapping that each window may have. */
	EXPECT_EQ(0, map(w->fd, 2 * MIB, PROT_READ, MAP_SHARED, other));
	EXPECT_EQ(0, map(stranger_fd, 2 * MIB, PROT_READ, MAP_SHARED, w->offset));
	close(stranger_fd);
	close(memory);
}

TEST_F(between, no_segment_can_be_attached_over_a_piece)
{
	struct range pieces[PIECES];
	int segment, i;

	pieces_of(self, pieces);
	for (i = 0; i < PIECES; i++) {
		segment = shmget(IPC_PRIVATE, pieces[i].size, 0600);
		if (segment < 0)
			SKIP_TEST("no System V shared memory: %s", strerror(errno));
		EXPECT_EQ(MAP_FAILED, shmat(segment, pieces[i].addr, SHM_REMAP))
			TH_LOG("%s", pieces[i].name);
		EXPECT_EQ(MAP_FAILED, shmat(segment, pieces[i].addr, 0))
			TH_LOG("%s", pieces[i].name);
		EXPECT_EQ(0, shmctl(segment, IPC_RMID, NULL));
		EXPECT_TRUE(neighbours_are_whole(self));
		EXPECT_UNCHANGED(&self->of, "shmat() over %s", pieces[i].name);
	}
}

TEST_F(between, window_cannot_be_mapped_over_itself)
{
	const struct window *w = &self->of.w;
	const struct range whole = { w->addr, w->size, "the window", true, false };

	EXPECT_GT(0, map_over(&whole, MAP_SHARED, w->fd, w->offset));
	/* The mm has unmapped the window before it asks the module to map it. */
	EXPECT_EQ(EXPERTMEM_STATE_RECLAIMED, expert_stat(w->fd).state);
	EXPECT_EQ(0, expert_stat(w->fd).resident);
	EXPECT_EQ(SIGSEGV, read_touch(at(w, self->of.offset)));
	EXPECT_TRUE(neighbours_are_whole(self));
}

TEST_F(between, no_piece_can_be_protected)
{
	const int prots[] = { PROT_NONE, PROT_READ, PROT_WRITE, PROT_EXEC, PROT_READ | PROT_EXEC,
			      PROT_READ | PROT_WRITE | PROT_EXEC };
	const struct window *w = &self->of.w;
	struct range pieces[PIECES];
	size_t prot;
	int i, answer;

	pieces_of(self, pieces);
	for (i = 0; i < PIECES; i++) {
		for (prot = 0; prot < COUNT_OF(prots); prot++) {
			answer = result(mprotect(pieces[i].addr, pieces[i].size, prots[prot]));
			EXPECT_TRUE(answer == -EINVAL || (prots[prot] & PROT_EXEC &&
							  answer == -EACCES))
				TH_LOG("%s, %d: %d", pieces[i].name, prots[prot], answer);
			/* The mm may have protected the memory beside the window already. */
			ASSERT_EQ(0, mprotect(self->before, HUGE, PROT_READ | PROT_WRITE));
			ASSERT_EQ(0, mprotect(self->behind, HUGE, PROT_READ | PROT_WRITE));
		}
		EXPECT_EQ(0, mprotect(pieces[i].addr, pieces[i].size, PROT_READ | PROT_WRITE));
		EXPECT_TRUE(neighbours_are_whole(self));
		EXPECT_UNCHANGED(&self->of, "mprotect() of %s", pieces[i].name);
	}
	EXPECT_EQ(-EINVAL, result(mprotect(w->addr, w->size, PROT_READ | PROT_GROWSDOWN)));
	EXPECT_EQ(-EINVAL, result(mprotect(w->addr, w->size, PROT_READ | PROT_GROWSUP)));
	EXPECT_UNCHANGED(&self->of, "growing");
}

TEST_F(between, window_can_be_protected_with_what_is_beside_it)
{
	const struct window *w = &self->of.w;
	unsigned char *addr = at(w, self->of.offset);

	ASSERT_EQ(0, mprotect(self->before, WINDOW_SIZE + 2 * HUGE, PROT_NONE));
	EXPECT_EQ(SIGSEGV, read_touch(addr));
	EXPECT_EQ(SIGSEGV, read_touch(addr + self->of.size));
	ASSERT_EQ(0, mprotect(self->before, WINDOW_SIZE + 2 * HUGE, PROT_READ));
	EXPECT_EQ(0, read_touch(addr));
	EXPECT_EQ(SIGSEGV, write_touch(addr));
	EXPECT_EQ(SIGSEGV, read_touch(addr + self->of.size));
	ASSERT_EQ(0, mprotect(self->before, WINDOW_SIZE + 2 * HUGE, PROT_READ | PROT_WRITE));
	EXPECT_TRUE(neighbours_are_whole(self));
	EXPECT_UNCHANGED(&self->of, "mprotect()");
}

/**
 * struct form - a form of mremap()
 * @flags: MREMAP_*
 * @old_size: 0: a second mapping of the same pages; 1: of the size of the range
 * @more: the new size is the size of the range and so many bytes; negative: half of the range
 * @size_0: the new size is 0
 */
struct form {
	int flags;
	int old_size;
	long more;
	bool size_0;
};

static void *remap(const struct range *range, const struct form *form, void *target)
{
	size_t size = form->size_0 ? 0 : form->more < 0 ? range->size / 2 :
							   range->size + form->more;

	return mremap(range->addr, form->old_size ? range->size : 0, size, form->flags, target);
}

TEST_F(between, no_form_of_mremap_moves_resizes_or_doubles_a_window)
{
	const int ways[] = { 0, MREMAP_MAYMOVE, MREMAP_MAYMOVE | MREMAP_FIXED,
			     MREMAP_MAYMOVE | MREMAP_DONTUNMAP,
			     MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP };
	unsigned char *target = mmap(NULL, 2 * WINDOW_SIZE, PROT_NONE,
				     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	struct range ranges[RANGES];
	size_t way;
	int i, n;

	ASSERT_NE(MAP_FAILED, target);
	ranges_of(&self->of, ranges);
	for (way = 0; way < COUNT_OF(ways); way++) {
		const struct form forms[] = {
			{ ways[way], 1, -1, false },
			{ ways[way], 1, HUGE, false },
			{ ways[way], 1, 0, true },
			{ ways[way], 0, 0, false },
			{ ways[way], 0, HUGE, false },
			{ ways[way], 0, 0, true },
			/* Without a flag that forces a move, this form changes nothing. */
			{ ways[way], 1, 0, false },
		};
		bool moves = ways[way] & ~MREMAP_MAYMOVE;

		for (i = 0; i < RANGES; i++) {
			for (n = 0; n < (int)COUNT_OF(forms) - !moves; n++) {
				if (forms[n].more < 0 && ranges[i].size == PAGE)
					continue;
				EXPECT_EQ(MAP_FAILED, remap(&ranges[i], &forms[n], target))
					TH_LOG("%s, flags %d, form %d", ranges[i].name,
					       ways[way], n);
				EXPECT_EQ(SIGSEGV, read_touch(target));
			}
		}
		EXPECT_TRUE(neighbours_are_whole(self));
		EXPECT_UNCHANGED(&self->of, "mremap() with %d", ways[way]);
	}
	munmap(target, 2 * WINDOW_SIZE);
}

TEST_F(between, nothing_can_be_moved_over_a_piece)
{
	struct range pieces[PIECES];
	unsigned char *more;
	int i;

	pieces_of(self, pieces);
	for (i = 0; i < PIECES; i++) {
		more = mmap(NULL, pieces[i].size, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		ASSERT_NE(MAP_FAILED, more);
		memset(more, OTHER, pieces[i].size);
		EXPECT_EQ(MAP_FAILED, mremap(more, pieces[i].size, pieces[i].size,
					     MREMAP_MAYMOVE | MREMAP_FIXED, pieces[i].addr))
			TH_LOG("%s", pieces[i].name);
		EXPECT_TRUE(all_bytes(more, pieces[i].size, OTHER));
		EXPECT_TRUE(neighbours_are_whole(self));
		EXPECT_UNCHANGED(&self->of, "mremap() over %s", pieces[i].name);
		munmap(more, pieces[i].size);
	}
}

/* Since 6.17 one call moves several mappings. */
TEST_F(between, moving_several_mappings_leaves_the_window)
{
	size_t size = WINDOW_SIZE + 2 * HUGE;
	unsigned char *hole = mmap(NULL, size, PROT_NONE,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	ASSERT_NE(MAP_FAILED, hole);
	EXPECT_EQ(MAP_FAILED, mremap(self->before, size, size, MREMAP_MAYMOVE | MREMAP_FIXED,
				     hole));
	EXPECT_NE(0, read_touch(hole + HUGE + (self->of.offset - self->of.w.offset)));
	EXPECT_UNCHANGED(&self->of, "mremap()");
	munmap(hole, size);
}

TEST_F(between, moving_a_mapping_over_the_whole_window_reclaims)
{
	const struct window *w = &self->of.w;
	unsigned char *more = mmap(NULL, w->size, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	ASSERT_NE(MAP_FAILED, more);
	more[0] = OTHER;
	ASSERT_EQ(w->addr, mremap(more, w->size, w->size, MREMAP_MAYMOVE | MREMAP_FIXED, w->addr));
	EXPECT_EQ(OTHER, w->addr[0]);
	EXPECT_EQ(0, *at(w, self->of.offset));
	EXPECT_EQ(EXPERTMEM_STATE_RECLAIMED, expert_stat(w->fd).state);
	EXPECT_EQ(EXPERTMEM_CAUSE_DETACH, expert_stat(w->fd).cause);
	EXPECT_EQ(0, expert_stat(w->fd).resident);
	EXPECT_TRUE(neighbours_are_whole(self));
}

TEST_F(between, pages_of_no_piece_can_be_remapped)
{
	const struct window *w = &self->of.w;
	const __u64 offsets[] = { 0, w->offset, self->of.offset, w->offset + w->size };
	struct range pieces[PIECES];
	size_t offset;
	int i, flags;

	pieces_of(self, pieces);
	for (i = 0; i < PIECES; i++) {
		for (offset = 0; offset < COUNT_OF(offsets); offset++) {
			for (flags = 0; flags <= MAP_NONBLOCK; flags += MAP_NONBLOCK) {
				EXPECT_EQ(-1, remap_file_pages(pieces[i].addr, pieces[i].size, 0,
							       offsets[offset] / PAGE, flags))
					TH_LOG("%s", pieces[i].name);
			}
		}
		EXPECT_TRUE(neighbours_are_whole(self));
		EXPECT_UNCHANGED(&self->of, "remap_file_pages() of %s", pieces[i].name);
	}
}

/* --------------------------------------------------- protection keys and seals */

TEST_F(between, protection_key_is_of_the_whole_window_or_refused)
{
	const struct window *w = &self->of.w;
	unsigned char *addr = at(w, self->of.offset);
	struct range pieces[PIECES];
	int key = pkey_alloc(0, 0), i;
	__u64 offset;

	if (key < 0)
		SKIP_TEST("no protection keys: %s", strerror(errno));
	pieces_of(self, pieces);
	for (i = 0; i < PIECES; i++) {
		EXPECT_EQ(-EINVAL, result(pkey_mprotect(pieces[i].addr, pieces[i].size,
							PROT_READ | PROT_WRITE, key)))
			TH_LOG("%s", pieces[i].name);
		ASSERT_EQ(0, pkey_mprotect(self->before, HUGE, PROT_READ | PROT_WRITE, 0));
		ASSERT_EQ(0, pkey_mprotect(self->behind, HUGE, PROT_READ | PROT_WRITE, 0));
		EXPECT_UNCHANGED(&self->of, "pkey_mprotect() of %s", pieces[i].name);
	}

	ASSERT_EQ(0, pkey_mprotect(w->addr, w->size, PROT_READ | PROT_WRITE, key));
	/* touch() jumps out of a signal handler, where the kernel has taken the key away. */
	ASSERT_EQ(0, pkey_set(key, PKEY_DISABLE_ACCESS));
	EXPECT_EQ(SIGSEGV, read_touch(addr));
	ASSERT_EQ(0, region_alloc_flags(w, EXPERTMEM_ALLOC_POPULATE, HUGE, 0, &offset));
	EXPECT_EQ(SIGSEGV, read_touch(at(w, offset)));
	EXPECT_EQ(0, region_free(w, offset));
	ASSERT_EQ(0, pkey_set(key, PKEY_DISABLE_WRITE));
	EXPECT_EQ(0, read_touch(addr));
	EXPECT_EQ(SIGSEGV, write_touch(addr));
	ASSERT_EQ(0, pkey_set(key, 0));
	EXPECT_EQ(SIGSEGV, read_touch(addr + self->of.size));
	ASSERT_EQ(0, pkey_mprotect(w->addr, w->size, PROT_READ | PROT_WRITE, 0));
	EXPECT_UNCHANGED(&self->of, "pkey_mprotect()");
	pkey_free(key);
}

TEST_F(between, seal_is_of_the_whole_window_and_keeps_no_memory)
{
	const struct window *w = &self->of.w;
	const struct range whole = { w->addr, w->size, "the window", true, false };
	struct range pieces[PIECES];
	struct expertmem_reclaim freed;
	int i;

	if (syscall(SYS_mseal, w->addr, 0, 0) && errno != EINVAL)
		SKIP_TEST("this kernel has no seals: %s", strerror(errno));
	pieces_of(self, pieces);
	/* The ranges behind these would seal the memory beside the window, too. */
	for (i = 0; i < RANGES - 1; i++) {
		EXPECT_EQ(-EINVAL, result(syscall(SYS_mseal, pieces[i].addr, pieces[i].size, 0)))
			TH_LOG("%s", pieces[i].name);
		EXPECT_UNCHANGED(&self->of, "mseal() of %s", pieces[i].name);
	}

	ASSERT_EQ(0, syscall(SYS_mseal, w->addr, w->size, 0));
	EXPECT_EQ(-EPERM, result(munmap(w->addr, w->size)));
	EXPECT_EQ(-EPERM, result(mprotect(w->addr, w->size, PROT_READ)));
	EXPECT_EQ(-EPERM, map_over(&whole, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
	EXPECT_UNCHANGED(&self->of, "mseal()");
	ASSERT_EQ(0, expert_reclaim(w->fd, &freed));
	EXPECT_EQ(self->of.size, freed.reclaimed_bytes);
	EXPECT_EQ(0, expert_stat(w->fd).resident);
	EXPECT_EQ(SIGSEGV, read_touch(at(w, self->of.offset)));
}

TEST_HARNESS_MAIN
