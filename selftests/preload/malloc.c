// SPDX-License-Identifier: GPL-2.0
/*
 * The malloc family: each call keeps the promises of its man page, to programs that were
 * written for the C library's malloc. The tests pass with that one, too. Run them with
 * libexpertmem-malloc.so preloaded.
 *
 * needs: module native preload
 */
#include <limits.h>
#include <sys/uio.h>

#include "malloc_test.h"

static void *(*volatile allocate_array)(size_t, size_t) = calloc;
static void *(*volatile resize_array)(void *, size_t, size_t) = reallocarray;
static size_t (*volatile usable)(void *) = malloc_usable_size;
static const volatile size_t too_large = SIZE_MAX;

static const size_t sizes[] = {
	0, 1, 15, 16, 17, 100, 128, 129, 1000, 2048, 3585, 4095, 4096, 4097, 20481, 32767,
	32768, 32769, 65536, 100000, MIB, 2 * MIB, 3 * MIB + 1,
};

static bool is_aligned(const void *p, size_t alignment)
{
	return p && (uintptr_t)p % alignment == 0;
}

/* Did that call fail as it must? */
static bool failed(void *block, int error)
{
	bool right = !block && errno == error;

	release(block);
	errno = 0;
	return right;
}

/* ------------------------------------------------------------------------ sizes */

TEST(blocks_are_aligned_and_can_be_written_to_their_usable_end)
{
	unsigned char *blocks[4097];
	size_t i;

	for (i = 0; i < COUNT_OF(blocks); i++) {
		blocks[i] = allocate(i);
		ASSERT_TRUE(is_aligned(blocks[i], 16)) {
			TH_LOG("%zu bytes at %p", i, blocks[i]);
		}
		ASSERT_GE(usable(blocks[i]), i);
		memset(blocks[i], i, usable(blocks[i]));
	}
	for (i = 0; i < COUNT_OF(blocks); i++) {
		ASSERT_TRUE(all_bytes(blocks[i], usable(blocks[i]), i));
		release(blocks[i]);
	}
}

TEST(larger_blocks_of_any_size_live_side_by_side)
{
	unsigned char *blocks[3];
	size_t size, i;

	for (size = 4097; size < 40000; size += 16) {
		for (i = 0; i < COUNT_OF(blocks); i++) {
			blocks[i] = allocate(size);
			ASSERT_TRUE(is_aligned(blocks[i], 16)) {
				TH_LOG("%zu bytes at %p", size, blocks[i]);
			}
			memset(blocks[i], i + 1, size);
		}
		for (i = 0; i < COUNT_OF(blocks); i++)
			ASSERT_TRUE(all_bytes(blocks[i], size, i + 1));
		/* the last size of a class, and the first one of the next */
		blocks[0] = resize(blocks[0], size - 1);
		blocks[1] = resize(blocks[1], size + 1);
		ASSERT_TRUE(all_bytes(blocks[0], size - 1, 1));
		ASSERT_TRUE(all_bytes(blocks[1], size, 2));
		for (i = 0; i < COUNT_OF(blocks); i++)
			release(blocks[i]);
	}
}

TEST(blocks_of_no_byte_are_distinct)
{
	void *one = allocate(0), *two = allocate(0), *three = allocate_array(0, 7);

	EXPECT_NE(NULL, one);
	EXPECT_NE(NULL, two);
	EXPECT_NE(NULL, three);
	EXPECT_NE(one, two);
	EXPECT_NE(two, three);
	release(one);
	release(two);
	release(three);
}

TEST(null_is_freed_and_has_no_size)
{
	release(NULL);
	EXPECT_EQ(0, usable(NULL));
}

TEST(what_is_too_large_is_refused_with_enomem)
{
	errno = 0;
	EXPECT_TRUE(failed(allocate(too_large), ENOMEM));
	EXPECT_TRUE(failed(allocate((size_t)PTRDIFF_MAX + 1), ENOMEM));
	EXPECT_TRUE(failed(allocate_array(1, too_large), ENOMEM));
	EXPECT_TRUE(failed(resize(NULL, too_large), ENOMEM));
	EXPECT_TRUE(failed(valloc(too_large), ENOMEM));
	EXPECT_TRUE(failed(pvalloc(too_large), ENOMEM));
	EXPECT_TRUE(failed(aligned_alloc(64, too_large), ENOMEM));
	EXPECT_TRUE(failed(memalign(64, too_large), ENOMEM));
}

TEST(products_that_overflow_are_refused_with_enomem)
{
	const volatile size_t half = SIZE_MAX / 2 + 1;
	char *block = allocate(100);

	memset(block, 7, 100);
	errno = 0;
	EXPECT_TRUE(failed(allocate_array(half, 2), ENOMEM));
	EXPECT_TRUE(failed(allocate_array(2, half), ENOMEM));
	EXPECT_TRUE(failed(allocate_array(1UL << 32, 1UL << 32), ENOMEM));
	EXPECT_TRUE(failed(resize_array(block, half, 2), ENOMEM));
	EXPECT_TRUE(failed(resize_array(block, 1UL << 32, (1UL << 32) + 1), ENOMEM));
	EXPECT_TRUE(all_bytes((unsigned char *)block, 100, 7));
	release(block);
}

/* Who has a secret locks its pages, and may forget to unlock them. */
TEST(calloc_clears_what_was_locked_and_freed)
{
	size_t i;

	for (i = 1; i < COUNT_OF(sizes); i++) {
		unsigned char *block = allocate(sizes[i]);

		ASSERT_NE(NULL, block);
		memset(block, 0xff, sizes[i]);
		if (mlock(block, sizes[i]))
			SKIP(return, "so much memory may not be locked: ulimit -l");
		release(block);
		block = allocate_array(sizes[i], 1);
		ASSERT_NE(NULL, block);
		ASSERT_TRUE(all_bytes(block, sizes[i], 0)) {
			TH_LOG("%zu bytes", sizes[i]);
		}
		release(block);
	}
}

TEST(calloc_clears_what_was_used_before)
{
	size_t i, round;

	for (i = 0; i < COUNT_OF(sizes); i++) {
		for (round = 0; round < 50; round++) {
			unsigned char *dirty = allocate(sizes[i]), *clear;

			ASSERT_NE(NULL, dirty);
			memset(dirty, 0xff, sizes[i]);
			release(dirty);
			clear = allocate_array(sizes[i], 1);
			ASSERT_NE(NULL, clear);
			ASSERT_TRUE(all_bytes(clear, sizes[i], 0)) {
				TH_LOG("%zu bytes in round %zu", sizes[i], round);
			}
			memset(clear, 0xff, sizes[i]);
			release(clear);
		}
	}
}

/* What a pipe holds of a block is not given back with the block, nor found in the next one. */
TEST(calloc_clears_what_a_pipe_holds)
{
	unsigned char *block;
	struct iovec byte = { .iov_len = 1 };
	unsigned char read_back[3];
	int ends[2];
	size_t i, round;

	ASSERT_EQ(0, pipe(ends));
	for (i = 1; i < COUNT_OF(sizes); i++) {
		for (round = 0; round < 3; round++) {
			const size_t held[] = { 0, sizes[i] / 2, sizes[i] - 1 };
			size_t j;

			block = allocate(sizes[i]);
			ASSERT_NE(NULL, block);
			memset(block, 0xff, sizes[i]);
			for (j = 0; j < COUNT_OF(held); j++) {
				byte.iov_base = block + held[j];
				ASSERT_EQ(1, vmsplice(ends[1], &byte, 1, 0));
			}
			release(block);
			malloc_trim(0);
			block = allocate_array(sizes[i], 1);
			ASSERT_NE(NULL, block);
			ASSERT_TRUE(all_bytes(block, sizes[i], 0)) {
				TH_LOG("%zu bytes", sizes[i]);
			}
			ASSERT_EQ(3, read(ends[0], read_back, 3));
			release(block);
		}
	}
	close(ends[0]);
	close(ends[1]);
}

/* ---------------------------------------------------------------------- realloc */

TEST(realloc_keeps_what_fits)
{
	size_t i, j, kept;

	for (i = 0; i < COUNT_OF(sizes); i++) {
		for (j = 0; j < COUNT_OF(sizes); j++) {
			unsigned char *block = allocate(sizes[i] + 1);

			ASSERT_NE(NULL, block);
			memset(block, j + 1, sizes[i] + 1);
			block = resize(block, sizes[j] + 1);
			ASSERT_NE(NULL, block);
			kept = sizes[i] < sizes[j] ? sizes[i] : sizes[j];
			ASSERT_TRUE(all_bytes(block, kept + 1, j + 1)) {
				TH_LOG("from %zu to %zu bytes", sizes[i], sizes[j]);
			}
			memset(block, 0, sizes[j] + 1);
			release(block);
		}
	}
}

TEST(realloc_grows_a_block_to_64_mib_step_by_step)
{
	unsigned char *block = NULL;
	size_t size;

	for (size = 64; size <= 64 * MIB; size *= 2) {
		block = resize(block, size);
		ASSERT_NE(NULL, block);
		memset(block + size / 2, 0x5a, size / 2);
	}
	EXPECT_TRUE(all_bytes(block + 32, 64 * MIB - 32, 0x5a));
	for (; size >= 128; size /= 4)
		block = resize(block, size);
	EXPECT_TRUE(all_bytes(block + 32, 32, 0x5a));
	release(block);
}

TEST(realloc_that_fails_leaves_the_block_alone)
{
	size_t i;

	for (i = 0; i < COUNT_OF(sizes); i++) {
		unsigned char *block = allocate(sizes[i]);

		memset(block, 0x33, sizes[i]);
		errno = 0;
		EXPECT_TRUE(failed(resize(block, too_large), ENOMEM));
		EXPECT_TRUE(failed(resize(block, 1UL << 46), ENOMEM));
		EXPECT_TRUE(all_bytes(block, sizes[i], 0x33));
		release(block);
	}
}

TEST(realloc_of_null_allocates_and_to_nothing_frees)
{
	void *block = resize(NULL, 100);

	ASSERT_NE(NULL, block);
	errno = 0;
	EXPECT_EQ(NULL, resize(block, 0));
	EXPECT_EQ(0, errno);
	block = resize(NULL, 0);
	EXPECT_NE(NULL, block);
	release(block);
}

TEST(reallocarray_multiplies)
{
	unsigned char *block = resize_array(NULL, 1000, 3);

	ASSERT_NE(NULL, block);
	EXPECT_GE(usable(block), 3000);
	memset(block, 9, 3000);
	block = resize_array(block, 100000, 7);
	ASSERT_NE(NULL, block);
	EXPECT_GE(usable(block), 700000);
	EXPECT_TRUE(all_bytes(block, 3000, 9));
	release(block);
}

/* -------------------------------------------------------------------- alignment */

TEST(posix_memalign_aligns_up_to_64_mib)
{
	size_t alignment, i;
	void *block;

	for (alignment = sizeof(void *); alignment <= 64 * MIB; alignment *= 2) {
		for (i = 0; i < COUNT_OF(sizes); i++) {
			ASSERT_EQ(0, posix_memalign(&block, alignment, sizes[i]));
			ASSERT_TRUE(is_aligned(block, alignment)) {
				TH_LOG("%zu bytes at %p", sizes[i], block);
			}
			ASSERT_GE(usable(block), sizes[i]);
			memset(block, 1, usable(block));
			release(block);
		}
	}
}

TEST(aligned_blocks_live_side_by_side_and_can_be_resized)
{
	unsigned char *blocks[200];
	size_t i;

	for (i = 0; i < COUNT_OF(blocks); i++) {
		blocks[i] = memalign(16UL << i % 12, 10 * i + 1);
		ASSERT_TRUE(is_aligned(blocks[i], 16UL << i % 12));
		memset(blocks[i], i, 10 * i + 1);
	}
	for (i = 0; i < COUNT_OF(blocks); i++) {
		blocks[i] = resize(blocks[i], 20 * i + 1);
		ASSERT_NE(NULL, blocks[i]);
	}
	for (i = 0; i < COUNT_OF(blocks); i++) {
		EXPECT_TRUE(all_bytes(blocks[i], 10 * i + 1, i));
		release(blocks[i]);
	}
}

TEST(posix_memalign_says_why_not_and_changes_nothing)
{
	static const size_t wrong[] = { 0, 1, 2, 4, 3, 7, 12, 24, 48, 4095, SIZE_MAX };
	void *block = &block;
	size_t i;

	errno = 0;
	for (i = 0; i < COUNT_OF(wrong); i++)
		EXPECT_EQ(EINVAL, posix_memalign(&block, wrong[i], 64));
	EXPECT_EQ(ENOMEM, posix_memalign(&block, 64, too_large));
	EXPECT_EQ(&block, block);
}

TEST(memalign_rounds_an_odd_alignment_up)
{
	const volatile size_t odd = 48, huge = SIZE_MAX / 2 + 2, none = 0;
	void *blocks[] = {
		memalign(odd, 100), aligned_alloc(odd, 96), memalign(none, 100),
		memalign(1, 100),
	};
	size_t i;

	EXPECT_TRUE(is_aligned(blocks[0], 64));
	EXPECT_TRUE(is_aligned(blocks[1], 16));
	EXPECT_TRUE(is_aligned(blocks[2], 16));
	EXPECT_TRUE(is_aligned(blocks[3], 16));
	for (i = 0; i < COUNT_OF(blocks); i++)
		release(blocks[i]);
	errno = 0;
	EXPECT_TRUE(failed(memalign(huge, 1), EINVAL));
}

TEST(valloc_and_pvalloc_give_pages)
{
	void *block = valloc(10), *page = pvalloc(10), *none = pvalloc(0);

	EXPECT_TRUE(is_aligned(block, PAGE));
	EXPECT_TRUE(is_aligned(page, PAGE));
	EXPECT_GE(usable(page), PAGE);
	EXPECT_TRUE(is_aligned(none, PAGE));
	release(block);
	release(page);
	release(none);
}

/* ------------------------------------------------------------------------ errno */

TEST(free_leaves_errno_alone)
{
	static void *blocks[20000];
	size_t i, j;

	for (i = 0; i < COUNT_OF(sizes); i++) {
		for (j = 0; j < COUNT_OF(blocks) / (sizes[i] / 16 + 1) + 1; j++)
			blocks[j] = allocate(sizes[i]);
		while (j-- > 0) {
			errno = 12345;
			release(blocks[j]);
			ASSERT_EQ(12345, errno);
		}
	}
}

/* ------------------------------------------------- what other libraries allocate */

TEST(what_the_c_library_allocates_can_be_freed)
{
	char *line = NULL, *copy = strdup("text"), *printed, *stream = NULL;
	size_t size = 0;
	FILE *file = open_memstream(&stream, &size);

	ASSERT_NE(NULL, file);
	fputs("a stream", file);
	fclose(file);
	EXPECT_STREQ("a stream", stream);
	EXPECT_EQ(6, asprintf(&printed, "%d", 123456));
	file = fopen("/proc/self/status", "re");
	size = 0;
	EXPECT_LT(0, getline(&line, &size, file));
	fclose(file);
	EXPECT_GE(usable(line), size);
	release(line);
	release(copy);
	release(printed);
	release(stream);
}

/* ----------------------------------------------- what libexpertmem adds to that */

FIXTURE(experts) {
	unsigned char *blocks[100];
};

FIXTURE_SETUP(experts)
{
	size_t i;

	if (!is_experts_malloc())
		SKIP_TEST("needs libexpertmem-malloc.so: LD_PRELOAD it");
	for (i = 0; i < COUNT_OF(self->blocks); i++) {
		self->blocks[i] = allocate(1 + i * i * i);
		memset(self->blocks[i], i, 1 + i * i * i);
	}
}

FIXTURE_TEARDOWN(experts)
{
	size_t i;

	for (i = 0; i < COUNT_OF(self->blocks); i++) {
		EXPECT_TRUE(self->blocks[i] && all_bytes(self->blocks[i], 1 + i * i * i, i));
		release(self->blocks[i]);
	}
}

TEST_F(experts, a_bad_pointer_is_ignored)
{
	unsigned char *block = self->blocks[50], *freed = allocate(64), *large = allocate(MIB);
	long stack[2];
	void *bad[] = {
		block + 1, block + 8, block + 16, block - 1, block - 16, block + 4096, freed, large,
		stack, &stack[1], (void *)1, (void *)8, (void *)PAGE, (void *)is_aligned,
		(void *)(1UL << 46), (void *)(1UL << 62), (void *)-16L, self,
	};
	size_t i;

	release(freed);
	release(large);
	for (i = 0; i < COUNT_OF(bad); i++) {
		errno = 0;
		release(bad[i]);
		EXPECT_EQ(0, errno);
		EXPECT_TRUE(failed(resize(bad[i], 100), EINVAL));
		EXPECT_TRUE(failed(resize(bad[i], MIB), EINVAL));
		EXPECT_EQ(NULL, resize(bad[i], 0));
		EXPECT_EQ(0, usable(bad[i]));
	}
}

TEST_F(experts, malloc_trim_gives_memory_back)
{
	static void *blocks[50000];
	size_t i;

	for (i = 0; i < COUNT_OF(blocks); i++)
		blocks[i] = allocate(500);
	for (i = 0; i < COUNT_OF(blocks); i++)
		release(blocks[i]);
	EXPECT_EQ(1, malloc_trim(0));
	EXPECT_EQ(0, malloc_trim(0));
}

/* Few live blocks keep most chunks; the slabs between them must not stay in memory. */
TEST_F(experts, freed_blocks_beside_live_ones_give_their_pages_back)
{
	static unsigned char *blocks[64000];
	size_t before = own_memory(), most, i;

	if (!access("/dev/expertmem", F_OK))
		SKIP(return, "of a huge page in use, the module frees no part");
	for (i = 0; i < COUNT_OF(blocks); i++) {
		blocks[i] = allocate(1000);
		ASSERT_NE(NULL, blocks[i]);
		memset(blocks[i], i, 1000);
	}
	most = own_memory();
	ASSERT_LT(before + 48 * MIB, most);
	for (i = 0; i < COUNT_OF(blocks); i++)
		if (i % 640)
			release(blocks[i]);
	EXPECT_GT(before + 20 * MIB, own_memory());
	for (i = 0; i < COUNT_OF(blocks); i += 640) {
		ASSERT_TRUE(all_bytes(blocks[i], 1000, i));
		release(blocks[i]);
	}
}

TEST_F(experts, usable_is_what_was_asked_for)
{
	size_t i;

	for (i = 0; i < COUNT_OF(self->blocks); i++)
		EXPECT_EQ(1 + i * i * i, usable(self->blocks[i]));
}

/* ---------------------------------------------------------------- what the heap has */

/* Private memory: no block of a slab is left over when nothing was freed. */
TEST(blocks_fill_a_slab_up_before_they_take_the_next)
{
	static const size_t small[] = { 16, 64, 1024, 4096 };
	size_t i, j, used, blocks;
	uintptr_t slab, last;

	if (!is_experts_malloc() || expert_of_program() >= 0)
		SKIP(return, "needs libexpertmem-malloc.so and private memory");
	for (i = 0; i < COUNT_OF(small); i++) {
		blocks = 20 * 65536 / small[i];
		for (j = used = last = 0; j < blocks; j++, last = slab) {
			slab = (uintptr_t)allocate(small[i]) / 65536;
			ASSERT_NE(0, slab);
			used += slab != last;
		}
		/* some blocks may be in a slab that was there */
		EXPECT_GE(21, used) {
			TH_LOG("blocks of %zu", small[i]);
		}
	}
}

TEST(mallinfo_tells_of_blocks_that_are_there)
{
	struct mallinfo2 before = mallinfo2(), now;
	void *block[100];
	size_t i;

	for (i = 0; i < COUNT_OF(block); i++)
		block[i] = malloc(10000);
	now = mallinfo2();
	EXPECT_LE(before.uordblks + COUNT_OF(block) * 10000, now.uordblks + now.hblkhd);
	EXPECT_LE(now.uordblks, now.arena);
	EXPECT_LE(now.uordblks + now.fordblks, now.arena);
	for (i = 0; i < COUNT_OF(block); i++)
		free(block[i]);
	EXPECT_GE(now.uordblks, mallinfo2().uordblks + COUNT_OF(block) * 10000);
}

static unsigned long rest_of(const char *text)
{
	unsigned long size = ULONG_MAX;
	int count;

	text = text ? strstr(text, "<total type=\"rest\"") : NULL;
	if (text)
		sscanf(text, "<total type=\"rest\" count=\"%d\" size=\"%lu\"", &count, &size);
	return size;
}

TEST(malloc_info_is_a_document_and_takes_no_options)
{
	void *live = allocate(1000000000);
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	ASSERT_NE(NULL, out);
	EXPECT_EQ(0, malloc_info(0, out));
	EXPECT_EQ(EINVAL, malloc_info(1, out));
	/* cppcheck-suppress useClosedFile; it is opened above */
	ASSERT_EQ(0, fclose(out));
	EXPECT_EQ(text, strstr(text, "<malloc version="));
	EXPECT_NE(NULL, strstr(text, "<system type=\"current\" size="));
	/* "rest" is free memory, in the heap and in all */
	EXPECT_LT(rest_of(strstr(text, "<heap")), 1000000000);
	EXPECT_LT(rest_of(strstr(text, "</heap>")), 1000000000);
	EXPECT_NE(NULL, strstr(text, "</malloc>"));
	free(text);
	release(live);
}

TEST(one_library_has_the_whole_family)
{
	static const char *const names[] = {
		"mallinfo", "mallinfo2", "malloc_info", "malloc_stats", "mallopt", "malloc_trim",
		"malloc_usable_size", "reallocarray", "pvalloc",
	};
	Dl_info family, one;

	ASSERT_NE(0, dladdr(dlsym(RTLD_DEFAULT, "malloc"), &family));
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		ASSERT_NE(0, dladdr(dlsym(RTLD_DEFAULT, names[i]), &one));
		EXPECT_EQ(0, strcmp(one.dli_fname, family.dli_fname)) {
			TH_LOG("%s is of %s", names[i], one.dli_fname);
		}
	}
}

TEST(mallopt_takes_what_the_c_library_takes)
{
	EXPECT_EQ(1, mallopt(M_MMAP_THRESHOLD, 1 << 20));
	EXPECT_EQ(1, mallopt(M_TRIM_THRESHOLD, 1 << 20));
	EXPECT_EQ(1, mallopt(M_ARENA_MAX, 8));
	malloc_stats();
}

TEST_HARNESS_MAIN
