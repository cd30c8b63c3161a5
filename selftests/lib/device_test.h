/* SPDX-License-Identifier: GPL-2.0 */
/* Shared by the tests of the device: the users who may try to open it. */
#ifndef EXPERTMEM_DEVICE_TEST_H
#define EXPERTMEM_DEVICE_TEST_H

#include "users_test.h"

static const struct actor *const actors[] = { &root, &owner, &member, &stranger };

FIXTURE(device)
{
	struct stat device;
	unsigned long experts;
};

FIXTURE_SETUP(device)
{
	NEED_USERS();
	ASSERT_EQ(group_device(&self->device, 0660), 0);
	self->experts = open_experts();
}

FIXTURE_TEARDOWN(device)
{
	/* no expert is left of what failed to open */
	EXPECT_EQ(open_experts(), self->experts);
	EXPECT_EQ(ungroup_device(&self->device), 0);
}

#endif /* EXPERTMEM_DEVICE_TEST_H */
