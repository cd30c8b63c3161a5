// SPDX-License-Identifier: GPL-2.0
/*
 * The layout of the structures that programs pass to the module: size, alignment, offset of
 * each member, and the numbers of the ioctls. They are equal for 64 and 32 bit programs, and
 * never change. This program is built for both.
 *
 * needs: native
 * also: 32bit arm64 fast
 */
#include <stddef.h>

#include "harness.h"

#include <linux/expertmem.h>

#define MEMBER(type, member, offset)						\
	_Static_assert(offsetof(struct expertmem_##type, member) == (offset),	\
		       #type "." #member " is at " #offset)
#define SIZE(type, size)							\
	_Static_assert(sizeof(struct expertmem_##type) == (size) &&		\
		       _Alignof(struct expertmem_##type) == 8,			\
		       #type " has " #size " bytes")

_Static_assert(sizeof(struct expertmem_status) == 64, "status has 64 bytes");
MEMBER(status, flags, 0);
MEMBER(status, reserved, 4);

SIZE(info, 112);
MEMBER(info, abi, 0);
MEMBER(info, features, 4);
MEMBER(info, small_granule, 8);
MEMBER(info, huge_granule, 12);
MEMBER(info, window_max, 16);
MEMBER(info, default_limit, 24);
MEMBER(info, total_limit, 32);
MEMBER(info, max_experts, 40);
MEMBER(info, experts, 44);
MEMBER(info, uid_limit, 48);
MEMBER(info, uid_charged, 56);
MEMBER(info, uid_max_experts, 64);
MEMBER(info, uid_experts, 68);
MEMBER(info, reserved, 72);

SIZE(config, 48);
MEMBER(config, name, 0);
MEMBER(config, limit, 32);
MEMBER(config, flags, 40);
MEMBER(config, reserved, 44);

SIZE(alloc, 32);
MEMBER(alloc, size, 0);
MEMBER(alloc, room, 8);
MEMBER(alloc, offset, 16);
MEMBER(alloc, flags, 24);
MEMBER(alloc, reserved, 28);

SIZE(realloc, 24);
MEMBER(realloc, offset, 0);
MEMBER(realloc, size, 8);
MEMBER(realloc, flags, 16);
MEMBER(realloc, reserved, 20);

SIZE(free, 16);
MEMBER(free, offset, 0);
MEMBER(free, flags, 8);
MEMBER(free, reserved, 12);

SIZE(reclaim, 32);
MEMBER(reclaim, reclaimed_bytes, 0);
MEMBER(reclaim, reclaimed_resident, 8);
MEMBER(reclaim, reclaimed_regions, 16);
MEMBER(reclaim, flags, 24);
MEMBER(reclaim, reserved, 28);

SIZE(stat, 176);
MEMBER(stat, id, 0);
MEMBER(stat, name, 8);
MEMBER(stat, state, 40);
MEMBER(stat, flags, 44);
MEMBER(stat, limit, 48);
MEMBER(stat, regions, 56);
MEMBER(stat, committed, 64);
MEMBER(stat, resident, 72);
MEMBER(stat, peak, 80);
MEMBER(stat, refused, 88);
MEMBER(stat, reclaimed_bytes, 96);
MEMBER(stat, cause, 104);
MEMBER(stat, reserved0, 108);
MEMBER(stat, pinned, 112);
MEMBER(stat, reserved, 120);

SIZE(copy, 32);
MEMBER(copy, fd, 0);
MEMBER(copy, flags, 4);
MEMBER(copy, reserved, 8);

TEST(ioctls_have_their_numbers)
{
	EXPECT_EQ(0x8070ea00, EXPERTMEM_IOC_GET_INFO);
	EXPECT_EQ(0x4030ea01, EXPERTMEM_IOC_CONFIGURE);
	EXPECT_EQ(0xc020ea02, EXPERTMEM_IOC_ALLOC);
	EXPECT_EQ(0x4018ea03, EXPERTMEM_IOC_REALLOC);
	EXPECT_EQ(0x4010ea04, EXPERTMEM_IOC_FREE);
	EXPECT_EQ(0x0000ea05, EXPERTMEM_IOC_TERMINATE);
	EXPECT_EQ(0xc020ea06, EXPERTMEM_IOC_RECLAIM);
	EXPECT_EQ(0x80b0ea07, EXPERTMEM_IOC_STAT);
	EXPECT_EQ(0x4020ea08, EXPERTMEM_IOC_COPY);
	EXPECT_EQ(0xc020ea09, EXPERTMEM_IOC_FORK);
}

TEST_HARNESS_MAIN
