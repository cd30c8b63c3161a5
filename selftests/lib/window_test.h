/* SPDX-License-Identifier: GPL-2.0 */
/* Shared by the tests of windows: a window of each kind, with a region in it. */
#ifndef WINDOW_TEST_H
#define WINDOW_TEST_H

#include "harness.h"
#include "expertmem_test.h"

#define WINDOW_SIZE	GIB
#define BYTE		0x5a

FIXTURE(window) {
	struct window w;
	__u64 offset;		/* a region in it, full of BYTE */
	__u64 size;
};

FIXTURE_VARIANT(window) {
	struct window kind;
};

FIXTURE_VARIANT_ADD(window, small) {
	.kind = SMALL_WINDOW,
};

FIXTURE_VARIANT_ADD(window, huge) {
	.kind = HUGE_WINDOW,
};

FIXTURE_SETUP(window)
{
	NEED_DEVICE();
	ASSERT_EQ(0, window_open(&self->w, &variant->kind, WINDOW_SIZE, 0));
	self->size = 4 * self->w.granule;
	ASSERT_EQ(0, region_alloc(&self->w, self->size, &self->offset));
	memset(at(&self->w, self->offset), BYTE, self->size);
}

FIXTURE_TEARDOWN(window)
{
	window_close(&self->w);
}

static inline bool intact(const FIXTURE_DATA(window) *self)
{
	struct expertmem_stat stat = expert_stat(self->w.fd);

	return stat.state == EXPERTMEM_STATE_RUNNING && stat.committed == self->size &&
	       stat.resident == self->size &&
	       all_bytes(at(&self->w, self->offset), self->size, BYTE);
}

#endif /* WINDOW_TEST_H */
