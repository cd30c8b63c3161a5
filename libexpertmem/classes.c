// SPDX-License-Identifier: LGPL-2.1-or-later
/* The size classes of small blocks. */
#include "internal.h"

/* Classes of a page or more are multiples of a page, so that their blocks are page aligned. */
const uint16_t em_class_size[EM_CLASSES] = {
	16, 32, 48, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 640, 768,
	896, 1024, 1280, 1536, 1792, 2048, 2560, 3072, 3584, 4096, 8192, 12288, 16384, 20480,
	32768,
};

#define C4(n)	n, n, n, n
#define C8(n)	C4(n), C4(n)
#define C16(n)	C8(n), C8(n)
#define C32(n)	C16(n), C16(n)

/* index of the class, by (size + 15) / 16 */
const uint8_t em_class[EM_FAST_MAX / 16 + 1] = {
	0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 8, 9, 9, 10, 10, 11, 11,
	C4(12), C4(13), C4(14), C4(15), C8(16), C8(17), C8(18), C8(19),
	C16(20), C16(21), C16(22), C16(23), C32(24), C32(25), C32(26), C32(27),
};

/*
 * The smallest class for @size whose block size is a multiple of @alignment, a power of two up to
 * EM_PAGE. Its blocks are aligned, as slabs start at pages.
 */
unsigned int em_class_of(size_t size, size_t alignment)
{
	unsigned int class = em_class_of_size(size);

	/* NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult): the last is a page's */
	while (em_class_size[class] & (alignment - 1))
		class++;
	return class;
}
