/* SPDX-License-Identifier: GPL-2.0 */
/* Shared by the tests whose threads race with each other. */
#ifndef RACE_TEST_H
#define RACE_TEST_H

#include <pthread.h>
#include <sched.h>

#include "harness.h"
#include "expertmem_test.h"

#define WINDOW		GIB

static inline void check_empty(struct __test_metadata *_metadata, int fd)
{
	struct expertmem_stat stat = expert_stat(fd);

	EXPECT_EQ(stat.regions, 0);
	EXPECT_EQ(stat.committed, 0);
	EXPECT_EQ(stat.resident, 0);
}

#endif /* RACE_TEST_H */
