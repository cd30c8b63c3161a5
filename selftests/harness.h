/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The kernel's harness. A test that hangs must end, one in an emulated machine that is
 * busy must not.
 */
#ifndef HARNESS_H
#define HARNESS_H

#include "kselftest_harness.h"

#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT	1800	/* seconds */

#endif /* HARNESS_H */
