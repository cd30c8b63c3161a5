// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The size classes of small blocks. An expert uses some of them.
 *
 * Up to EM_FAST_MAX there are four classes to a doubling (FEW_CLASSES), because each class that a thread
 * uses takes a slab. In private memory, a class of which a thread has many slabs is split into
 * closer classes (MANY_CLASSES): full slabs hold at least 91 % of what the C library's heap gets
 * into the same memory, whatever the size of the blocks.
 *
 * Above EM_FAST_MAX, the sizes are the largest ones, in multiples of 64 bytes, of which 15, 14, ... 2 fit
 * into a slab. Or they are whole pages (PAGE_CLASSES), as the API promises page aligned blocks. In private
 * memory, there are also sizes between those and above, of which 50 to 13 fit into a span.
 */
#include "internal.h"

/*
 * Blocks that are aligned to more than this get whole pages above EM_PAGE: most sizes of MEDIUM_CLASSES are
 * multiples of 64 bytes only.
 */
#define PAGES_FROM	256

/* X(previous, size): the class of @size bytes is for blocks of more than @previous bytes. */
#define FEW_CLASSES(X) \
	X(0, 16) X(16, 32) X(32, 48) X(48, 64) X(64, 80) X(80, 96) X(96, 112) X(112, 128) \
	X(128, 160) X(160, 192) X(192, 224) X(224, 256) X(256, 320) X(320, 384) X(384, 448) \
	X(448, 512) X(512, 640) X(640, 768) X(768, 896) X(896, 1024) X(1024, 1280) \
	X(1280, 1536) X(1536, 1792) X(1792, 2048) X(2048, 2560) X(2560, 3072) X(3072, 3584) \
	X(3584, 4096)
#define MANY_CLASSES(X) \
	X(0, 16) X(16, 32) X(32, 48) X(48, 64) X(64, 80) X(80, 96) X(96, 112) X(112, 128) \
	X(128, 144) X(144, 160) X(160, 176) X(176, 192) X(192, 208) X(208, 224) X(224, 256) \
	X(256, 288) X(288, 320) X(320, 352) X(352, 384) X(384, 400) X(400, 448) X(448, 464) \
	X(464, 512) X(512, 544) X(544, 576) X(576, 608) X(608, 640) X(640, 704) X(704, 768) \
	X(768, 832) X(832, 896) X(896, 960) X(960, 1024) X(1024, 1088) X(1088, 1152) \
	X(1152, 1216) X(1216, 1280) X(1280, 1344) X(1344, 1408) X(1408, 1472) X(1472, 1536) \
	X(1536, 1664) X(1664, 1792) X(1792, 1920) X(1920, 2048) X(2048, 2176) X(2176, 2304) \
	X(2304, 2496) X(2496, 2560) X(2560, 2688) X(2688, 2816) X(2816, 2944) X(2944, 3072) \
	X(3072, 3264) X(3264, 3392) X(3392, 3584) X(3584, 3840) X(3840, 4096)
#define MEDIUM_CLASSES(X) \
	X(4096, 4352) X(4352, 4672) X(4672, 4992) X(4992, 5440) X(5440, 5952) X(5952, 6528) \
	X(6528, 7232) X(7232, 8192) X(8192, 9344) X(9344, 10880) X(10880, 13056) X(13056, 16384) \
	X(16384, 21824) X(21824, 32768)
/*
 * MEDIUM_CLASSES with classes of spans between them and above. em_block_at() is right in a span for
 * all of these sizes. It is not for every multiple of 64 bytes above 16 KiB.
 */
#define CLOSE_CLASSES(X) \
	X(4096, 4352) X(4352, 4672) X(4672, 4992) X(4992, 5184) X(5184, 5440) X(5440, 5696) \
	X(5696, 5952) X(5952, 6208) X(6208, 6528) X(6528, 6848) X(6848, 7232) X(7232, 7680) \
	X(7680, 8192) X(8192, 8704) X(8704, 9344) X(9344, 10048) X(10048, 10880) \
	X(10880, 11392) X(11392, 11904) X(11904, 12480) X(12480, 13056) X(13056, 13760) \
	X(13760, 14528) X(14528, 15360) X(15360, 16384) X(16384, 17408) X(17408, 18688) \
	X(18688, 20096) X(20096, 21824) X(21824, 23616) X(23616, 24832) X(24832, 25984) \
	X(25984, 27456) X(27456, 29056) X(29056, 30400) X(30400, 32768) X(32768, 34816) \
	X(34816, 37184) X(37184, 39872)
#define PAGE_CLASSES(X) \
	X(4096, 8192) X(8192, 12288) X(12288, 16384) X(16384, 20480) X(20480, 32768)

#define SIZE(previous, size) size,
const uint16_t em_class_size[EM_CLASSES] = {
	MANY_CLASSES(SIZE)
	4352, 4672, 4992, 5440, 5952, 6528, 7232, 8192, 9344, 10880, 12288, 13056, 16384, 20480, 21824,
	32768,
	/* of spans */
	5184, 5696, 6208, 6848, 7680, 8704, 10048, 11392, 11904, 12480, 13760, 14528, 15360, 17408,
	18688, 20096,
	/* of long spans */
	23616, 24832, 25984, 27456, 29056, 30400, 34816, 37184, 39872,
};

/* The index of each class in em_class_size. */
#define INDEX(previous, size) CLASS_##size,
enum {
	MANY_CLASSES(INDEX)
	CLASS_4352, CLASS_4672, CLASS_4992, CLASS_5440, CLASS_5952, CLASS_6528, CLASS_7232,
	CLASS_8192, CLASS_9344, CLASS_10880, CLASS_12288, CLASS_13056, CLASS_16384, CLASS_20480,
	CLASS_21824, CLASS_32768,
	CLASS_5184, CLASS_5696, CLASS_6208, CLASS_6848, CLASS_7680, CLASS_8704, CLASS_10048,
	CLASS_11392, CLASS_11904, CLASS_12480, CLASS_13760, CLASS_14528, CLASS_15360, CLASS_17408,
	CLASS_18688, CLASS_20096,
	CLASS_23616, CLASS_24832, CLASS_25984, CLASS_27456, CLASS_29056, CLASS_30400, CLASS_34816,
	CLASS_37184, CLASS_39872,
};
_Static_assert(CLASS_5184 == EM_SPAN_CLASS && CLASS_23616 == EM_LONG_SPAN_CLASS,
	       "the classes of spans are the last ones");
_Static_assert(CLASS_39872 == EM_CLASSES - 1, "the enumeration has all classes");

#define BIN(class)	((class) * sizeof(struct em_bin))
#define RANGE(previous, size) [(previous) / 16 + 1 ... (size) / 16] = BIN(CLASS_##size),
#define LARGE		[32768 / 16 + 1 ... EM_SMALL_MAX / 16] = BIN(EM_NO_CLASS),

const uint16_t em_classes_of_api[] = { FEW_CLASSES(RANGE) PAGE_CLASSES(RANGE) LARGE };

/* for malloc(); after em_classes_split(), the split classes are those of split_classes */
uint16_t em_classes_of_malloc[] = { FEW_CLASSES(RANGE) MEDIUM_CLASSES(RANGE) LARGE };

/* All classes of em_classes_of_malloc are among these. */
static const uint16_t split_classes[] = { MANY_CLASSES(RANGE) CLOSE_CLASSES(RANGE) };

#define ENTRIES		(sizeof(split_classes) / sizeof(split_classes[0]))

/*
 * Split a class of malloc() into closer ones. EM_NO_CLASS: blocks that were large get classes of spans. Other
 * threads read the table meanwhile, or split the same class: they write the same values.
 */
void em_classes_split(unsigned int class)
{
	size_t i = class == EM_NO_CLASS ? ENTRIES - 1 : em_class_size[class] / 16;

	/* A class may be split already: do not write to cache lines that all threads read. */
	for (; i && em_read_once(&em_classes_of_malloc[i]) == BIN(class); i--)
		if (split_classes[i] != BIN(class))
			em_write_once(&em_classes_of_malloc[i], split_classes[i]);
}

static unsigned int class_in(const uint16_t *classes, size_t size)
{
	return em_read_once(&classes[(size + 15) / 16]) / sizeof(struct em_bin);
}

/* Save memory of @expert, the program's, from now on, also if that costs time. Its lock is held. */
void em_classes_save(struct em_expert *expert)
{
	if (expert->saves)
		return;
	expert->saves = true;
	for (unsigned int class = 0; class <= EM_NO_CLASS; class++)
		em_classes_split(class);
}

/*
 * The smallest class of a table for @size whose block size is a multiple of @alignment, a power of two. Its
 * blocks are aligned, as slabs start at pages. Large alignments, and those that a class of spans does not
 * have, use the table with whole pages. EM_NO_CLASS: the block shall be large.
 */
unsigned int em_class_of(const struct em_expert *expert, size_t size, size_t alignment)
{
	const uint16_t *classes = alignment > PAGES_FROM ? em_classes_of_api : expert->classes;
	unsigned int class;

	if (size > EM_SMALL_MAX || alignment > EM_PAGE)
		return EM_NO_CLASS;
	class = class_in(classes, size);
	/* The last class before those of spans has 32 KiB, a multiple of @alignment. */
	while (class < EM_SPAN_CLASS && em_class_size[class] & (alignment - 1))
		class++;
	if (class < EM_CLASSES && em_class_size[class] & (alignment - 1))
		return class_in(em_classes_of_api, size);
	return class;
}
