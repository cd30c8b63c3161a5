// SPDX-License-Identifier: GPL-2.0
/*
 * libexpertmem: each kind of bad pointer, by name. Each call refuses it and reports one
 * finding; the blocks around it are unchanged, and the heap still works. Every test runs on
 * both backends.
 *
 * needs: module native
 * also: asan tsan watched arm64
 */
#include "heap_test.h"

static struct crowd crowd;
static struct heard heard;
static struct classes classes;

/* A crowd, the classes of its heap, and somebody who listens. */
static bool scene_make(HEXPERTKEY key)
{
	return find_classes(key, &classes) && crowd_make(&crowd, key) &&
	       expertmem_listen(key, hear, &heard) == EXPERTMEM_OK;
}

/* Some blocks of one size, probably side by side. */
struct row {
	struct block blocks[3];
};

static bool row_make(struct row *row, HEXPERTKEY key, size_t size)
{
	size_t i;

	for (i = 0; i < COUNT_OF(row->blocks); i++) {
		struct block *block = &row->blocks[i];

		*block = (struct block){ get(key, size), size, size + i };
		if (!block->at)
			return false;
		fill(block);
	}
	return true;
}

static bool row_has(const struct row *row, const void *p)
{
	size_t i;

	for (i = 0; i < COUNT_OF(row->blocks); i++)
		if (row->blocks[i].at == p)
			return true;
	return false;
}

/* Was nothing changed? Frees the row. */
static bool row_is_well(struct row *row, HEXPERTKEY key)
{
	size_t i;

	for (i = 0; i < COUNT_OF(row->blocks); i++)
		if (!intact(key, &row->blocks[i]) ||
		    ExpertFreeMemory(key, row->blocks[i].at) != NMERR_SUCCESS)
			return false;
	return crowd_is_well(&crowd) && !heard.count;
}

/* ------------------------------------------------------------------ beside a block */

TEST_F(expert, every_byte_inside_a_small_block_is_bad)
{
	struct row row;
	size_t i, j;

	ASSERT_TRUE(scene_make(self->key));
	for (i = 0; i < classes.count; i++) {
		size_t size = classes.size[i];

		ASSERT_TRUE(row_make(&row, self->key, size));
		for (j = 1; j < size; j += j < PAGE || size - j < 64 ? 1 : 16)
			ASSERT_TRUE(is_bad(self->key, &heard, row.blocks[1].at + j,
					   NMERR_INVALID_PARAMETER, size)) {
				TH_LOG("byte %zu of a block of %zu", j, size);
			}
		ASSERT_TRUE(row_is_well(&row, self->key));
	}
}

TEST_F(expert, the_surroundings_of_a_small_block_are_bad)
{
	static const ssize_t far[] = {
		-65536, -8192, -4096, -2048, -1024, -512, -256, 256, 512, 1024, 2048, 4096,
		8192, 65536, 2 * MIB, -2 * (ssize_t)MIB,
	};
	struct row row;
	size_t i, j;

	ASSERT_TRUE(scene_make(self->key));
	for (i = 0; i < classes.count; i++) {
		size_t size = classes.size[i];
		unsigned char *p;

		ASSERT_TRUE(row_make(&row, self->key, size));
		p = row.blocks[1].at;
		for (j = 0; j < 2 * 64 + 64 + COUNT_OF(far); j++) {
			ssize_t offset = j < 128 ? (ssize_t)j - 128 :
					 j < 192 ? (ssize_t)(size + j - 128) : far[j - 192];

			if (crowd_has(&crowd, p + offset) || row_has(&row, p + offset))
				continue;
			ASSERT_TRUE(is_bad(self->key, &heard, p + offset,
					   NMERR_INVALID_PARAMETER, size)) {
				TH_LOG("%zd from a block of %zu", offset, size);
			}
		}
		ASSERT_TRUE(row_is_well(&row, self->key));
	}
}

static const size_t large[] = {
	40000, 65535, 65536, 65537, 100000, 262144, MIB, 2 * MIB - 1, 2 * MIB, 2 * MIB + 1,
	3 * MIB, 4 * MIB, 40 * MIB,
};

TEST_F(expert, every_page_of_a_large_block_but_the_first_is_bad)
{
	uint64_t random = 77;
	struct row row;
	size_t i, j;

	ASSERT_TRUE(scene_make(self->key));
	for (i = 0; i < COUNT_OF(large); i++) {
		size_t size = large[i];
		unsigned char *p;

		ASSERT_TRUE(row_make(&row, self->key, size));
		p = row.blocks[1].at;
		for (j = 0; j < 1500; j++) {
			/* at its start and its end each byte, then pages, then anything */
			size_t pages = size / PAGE, offset =
				j < 300 ? j + 1 : j < 600 ? size - 300 + j - 300 :
				j < 1000 && j - 599 <= pages ? (j - 599) * PAGE :
				j < 1200 ? (1 + random_next(&random) % pages) * PAGE :
				1 + random_next(&random) % size;

			ASSERT_TRUE(is_bad(self->key, &heard, p + offset,
					   NMERR_INVALID_PARAMETER, size)) {
				TH_LOG("byte %zu of a block of %zu", offset, size);
			}
		}
		ASSERT_TRUE(row_is_well(&row, self->key));
	}
}

TEST_F(expert, the_surroundings_of_a_large_block_are_bad)
{
	static const ssize_t around[] = {
		-1, -8, -15, -16, -17, -64, -4096, -4097, -8192, -65536, -2 * (ssize_t)MIB,
		1, 8, 15, 16, 17, 64, 4095, 4096, 4097, 8192, 65536, 2 * MIB,
	};
	struct row row;
	size_t i, j;

	ASSERT_TRUE(scene_make(self->key));
	for (i = 0; i < COUNT_OF(large); i++) {
		size_t size = large[i];
		unsigned char *p;

		ASSERT_TRUE(row_make(&row, self->key, size));
		p = row.blocks[1].at;
		for (j = 0; j < 3 * COUNT_OF(around); j++) {
			ssize_t offset = around[j % COUNT_OF(around)];

			if (j >= COUNT_OF(around) && offset > 0)
				offset += size;
			if (j >= 2 * COUNT_OF(around) && offset > 0)
				offset = ((offset - 1) | (PAGE - 1)) + 1;
			if (!crowd_has(&crowd, p + offset) && !row_has(&row, p + offset))
				ASSERT_TRUE(is_bad(self->key, &heard, p + offset,
						   NMERR_INVALID_PARAMETER, size)) {
					TH_LOG("%zd from a block of %zu", offset, size);
				}
		}
		ASSERT_TRUE(row_is_well(&row, self->key));
	}
}

/* -------------------------------------------------------------------------- freed */

TEST_F(expert, a_block_freed_just_now_is_bad)
{
	size_t i, size;
	struct row row;
	void *p;

	ASSERT_TRUE(scene_make(self->key));
	for (i = 0; i < classes.count + COUNT_OF(large); i++) {
		size = i < classes.count ? classes.size[i] : large[i - classes.count];
		ASSERT_TRUE(row_make(&row, self->key, size));
		p = get(self->key, size);
		ASSERT_NE(NULL, p);
		EXPECT_EQ(NMERR_SUCCESS, ExpertFreeMemory(self->key, p));
		EXPECT_EQ(0, heard.count);
		EXPECT_TRUE(is_bad(self->key, &heard, p, NMERR_INVALID_PARAMETER, size)) {
			TH_LOG("a block of %zu", size);
		}
		ASSERT_TRUE(row_is_well(&row, self->key));
	}
}

/* What the next call that frees or resizes @p must say: some block may be there again. */
static DWORD expected(unsigned char *const *live, size_t count, const void *p)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (live[i] == p)
			return NMERR_SUCCESS;
	return NMERR_INVALID_PARAMETER;
}

TEST_F(expert, a_block_freed_long_ago_is_bad_unless_it_is_handed_out_again)
{
	unsigned char *freed[CLASSES_MAX + COUNT_OF(large)], *live[300] = { };
	size_t count, i, j, bad = 0;
	uint64_t random = 4711;

	ASSERT_TRUE(scene_make(self->key));
	count = classes.count + COUNT_OF(large);
	for (i = 0; i < count; i++) {
		freed[i] = get(self->key, i < classes.count ? classes.size[i] :
					  large[i - classes.count]);
		ASSERT_NE(NULL, freed[i]);
	}
	for (i = 0; i < count; i++)
		ASSERT_EQ(NMERR_SUCCESS, ExpertFreeMemory(self->key, freed[i]));
	for (i = 0; i < 30000; i++) {
		unsigned char **one = &live[random_next(&random) % COUNT_OF(live)];
		/* NOLINTNEXTLINE(clang-analyzer-core.DivideZero): there are large ones */
		unsigned char *p = freed[random_next(&random) % count];

		ASSERT_EQ(NMERR_SUCCESS, ExpertFreeMemory(self->key, *one));
		*one = get(self->key, random_next(&random) %
				      (i % 64 ? 3000 : i % 512 ? 50000 : 3 * MIB));
		ASSERT_NE(NULL, *one);
		ASSERT_EQ(0, heard.count);
		if (expected(live, COUNT_OF(live), p))
			ASSERT_TRUE(is_bad(self->key, &heard, p, NMERR_INVALID_PARAMETER, 100));
	}
	for (i = 0; i < count; i++)
		bad += expected(live, COUNT_OF(live), freed[i]) != NMERR_SUCCESS;
	EXPECT_LT(count / 2, bad);
	for (j = 0; j < COUNT_OF(live); j++)
		EXPECT_EQ(NMERR_SUCCESS, ExpertFreeMemory(self->key, live[j]));
	for (i = 0; i < count; i++)
		EXPECT_TRUE(is_bad(self->key, &heard, freed[i], NMERR_INVALID_PARAMETER, 100));
	EXPECT_TRUE(crowd_is_well(&crowd));
}

/* --------------------------------------------------------------- never a block here */

TEST_F(expert, what_was_never_a_block_is_bad)
{
	static char in_data[64] = "data", in_bss[64];
	char on_stack[64] = "stack", *of_malloc = malloc(64);
	const int map = MAP_PRIVATE | MAP_ANONYMOUS;
	char *mapped = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, map, -1, 0);
	char *no_access = mmap(NULL, PAGE, PROT_NONE, map, -1, 0);
	char *hole = mmap(NULL, 3 * PAGE, PROT_READ, map, -1, 0);
	const struct {
		const char *kind;
		uintptr_t at;
	} never[] = {
		{ "stack", (uintptr_t)on_stack },
		{ "static", (uintptr_t)in_data },
		{ "static, zero", (uintptr_t)in_bss },
		{ "constant", (uintptr_t)large },
		{ "code", (uintptr_t)&row_has },
		{ "code of the library", (uintptr_t)&ExpertFreeMemory },
		{ "key", (uintptr_t)self->key },
		{ "thread local", (uintptr_t)&errno },
		{ "malloc", (uintptr_t)of_malloc },
		{ "foreign mapping", (uintptr_t)mapped },
		{ "mapping without access", (uintptr_t)no_access },
		{ "hole", (uintptr_t)hole + PAGE },
		{ "NULL page", 1 }, { "NULL page", 8 }, { "NULL page", 16 },
		{ "NULL page", PAGE - 16 }, { "first page that may be mapped", 65536 },
		{ "end of the user's half", 0x7ffffffff000 },
		{ "last byte of the user's half", 0x7fffffffffff },
		{ "end of 56 bits", 0x00fffffffffffff0 },
		{ "non-canonical", 0x800000000000 }, { "non-canonical", 0x0123456789abcde0 },
		{ "non-canonical", 0x4141414141414140 }, { "non-canonical", 0x7ffffffffffffff0 },
		{ "non-canonical", 0xffff7ffffffffff0 },
		{ "kernel", 0xffff800000000000 }, { "kernel", 0xffff888000000000 },
		{ "kernel", 0xffffffff81000000 }, { "vsyscall", 0xffffffffff600000 },
		{ "last page", (uintptr_t)-PAGE }, { "minus 16", (uintptr_t)-16 },
		{ "minus 1", (uintptr_t)-1 },
	};
	size_t i, bit;

	ASSERT_NE(MAP_FAILED, hole);
	ASSERT_EQ(0, munmap(hole + PAGE, PAGE));
	ASSERT_TRUE(scene_make(self->key));
	for (i = 0; i < COUNT_OF(never); i++) {
		EXPECT_TRUE(is_bad(self->key, &heard, (void *)never[i].at,
				   NMERR_INVALID_PARAMETER, 64)) {
			TH_LOG("%s", never[i].kind);
		}
		EXPECT_TRUE(crowd_is_well(&crowd));
	}
	/* a block's own address with one bit wrong */
	for (i = 0; i < CROWD; i++) {
		for (bit = 0; bit < 64; bit++) {
			uintptr_t p = (uintptr_t)crowd.blocks[i].at ^ 1UL << bit;

			if (!crowd_has(&crowd, (void *)p))
				ASSERT_TRUE(is_bad(self->key, &heard, (void *)p,
						   NMERR_INVALID_PARAMETER, 64));
		}
	}
	EXPECT_TRUE(crowd_is_well(&crowd));
	EXPECT_EQ(0, strcmp(in_data, "data"));
	EXPECT_EQ(0, strcmp(on_stack, "stack"));
	free(of_malloc);
}

/* The mapping that holds @p; false if there is none. */
static bool mapping_of(const void *p, uintptr_t *start, uintptr_t *end)
{
	FILE *file = fopen("/proc/self/maps", "re");
	bool found = false;
	char line[512];

	while (!found && file && fgets(line, sizeof(line), file))
		found = sscanf(line, "%lx-%lx", start, end) == 2 &&
			*start <= (uintptr_t)p && (uintptr_t)p < *end;
	if (file)
		fclose(file);
	return found;
}

/* Is nothing in this page a block, but for those of the crowd? */
static bool page_is_bad(HEXPERTKEY key, uintptr_t page)
{
	static const size_t offsets[] = { 0, 16, 64, 128, 1024, 2048, 4080 };
	size_t i;

	for (i = 0; i < COUNT_OF(offsets); i++) {
		void *p = (void *)(page + offsets[i]);

		if (!crowd_has(&crowd, p) &&
		    !is_bad(key, &heard, p, NMERR_INVALID_PARAMETER, 64))
			return false;
	}
	return true;
}

/*
 * Whatever lies in the windows, also what the heap keeps there for itself. The windows of
 * a process with many experts are small enough to look at every page that exists.
 */
TEST_F(expert, of_all_pages_of_the_windows_no_other_is_a_block)
{
	static unsigned char present[GIB / PAGE];
	uintptr_t start, end, chunk, seen[64] = { };
	size_t i, j, pages = 0, maps = 0;

	for (i = 0; i < 500; i++)
		ASSERT_NE(NULL, open_expert(variant->backend, 0, 0));
	ASSERT_TRUE(scene_make(self->key));
	for (i = 0; i < CROWD && maps < COUNT_OF(seen); i++) {
		ASSERT_TRUE(mapping_of(crowd.blocks[i].at, &start, &end));
		for (j = 0; j < maps && seen[j] != start; j++)
			;
		if (j < maps)
			continue;
		seen[maps++] = start;
		for (chunk = start; chunk < end; chunk += GIB) {
			size_t size = end - chunk < GIB ? end - chunk : GIB;

			ASSERT_EQ(0, mincore((void *)chunk, size, present));
			for (j = 0; j < size / PAGE; j++) {
				if (!(present[j] & 1))
					continue;
				pages++;
				ASSERT_TRUE(page_is_bad(self->key, chunk + j * PAGE));
			}
		}
	}
	/* at least those that the crowd has written */
	EXPECT_LT(1000, pages);
	EXPECT_TRUE(crowd_is_well(&crowd));
}

/* ------------------------------------------------------------------- other experts' */

TEST_F(expert, a_freed_block_of_another_expert_is_bad)
{
	HEXPERTKEY other = open_expert(variant->backend, 0, 0);
	struct row row;
	size_t i, size;
	void *p;

	ASSERT_TRUE(scene_make(self->key));
	for (i = 0; i < classes.count + COUNT_OF(large); i++) {
		size = i < classes.count ? classes.size[i] : large[i - classes.count];
		ASSERT_TRUE(row_make(&row, other, size));
		p = row.blocks[1].at;
		EXPECT_TRUE(is_bad(self->key, &heard, p, NMERR_ACCESS_DENIED, size));
		EXPECT_TRUE(intact(other, &row.blocks[1]));
		EXPECT_EQ(NMERR_SUCCESS, ExpertFreeMemory(other, p));
		EXPECT_TRUE(is_bad(self->key, &heard, p, NMERR_INVALID_PARAMETER, size));
		EXPECT_TRUE(intact(other, &row.blocks[0]));
		EXPECT_TRUE(intact(other, &row.blocks[2]));
	}
	EXPECT_TRUE(crowd_is_well(&crowd));
	EXPECT_EQ(EXPERTMEM_OK, expertmem_close(other));
}

/* The pointers of a closed expert: good only where its successor has a block of its own. */
TEST_F(expert, the_addresses_of_a_closed_expert_are_those_of_who_has_them_now)
{
	unsigned char *dead[CLASSES_MAX + COUNT_OF(large)], *live[COUNT_OF(dead)];
	size_t count, i, again = 0, round;
	HEXPERTKEY other, closed;

	ASSERT_TRUE(scene_make(self->key));
	count = classes.count + COUNT_OF(large);
	for (round = 0; round < 50 && !again; round++) {
		closed = open_expert(variant->backend, 0, 0);
		for (i = 0; i < count; i++)
			dead[i] = get(closed, i < classes.count ? classes.size[i] :
					      large[i - classes.count]);
		ASSERT_EQ(EXPERTMEM_OK, expertmem_close(closed));
		/* it has every other block of them, and otherwise smaller ones */
		other = open_expert(variant->backend, 0, 0);
		for (i = 0; i < count; i++) {
			live[i] = get(other, i % 2 ? 1 : i < classes.count ? classes.size[i] :
						large[i - classes.count]);
			again += live[i] == dead[i];
		}
		for (i = 0; i < count; i++) {
			DWORD code = expected(live, count, dead[i]);

			EXPECT_EQ(NMERR_INVALID_EXPERT_HANDLE, refused(closed, dead[i]));
			EXPECT_TRUE(is_bad(self->key, &heard, dead[i],
					   code ? code : NMERR_ACCESS_DENIED, 64));
			if (code)
				EXPECT_EQ(code, refused(other, dead[i]));
		}
		EXPECT_EQ(count, stats_of(other).live_blocks);
		for (i = 0; i < count; i++)
			EXPECT_EQ(NMERR_SUCCESS, ExpertFreeMemory(other, live[i]));
		EXPECT_EQ(EXPERTMEM_OK, expertmem_close(other));
	}
	EXPECT_LT(0, again);
	EXPECT_TRUE(crowd_is_well(&crowd));
}

TEST_HARNESS_MAIN
