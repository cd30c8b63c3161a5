/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The kernel's harness with a longer timeout. A test that hangs must end; a test on a busy
 * emulated machine must not be ended early.
 */
#ifndef HARNESS_H
#define HARNESS_H

#include "kselftest_harness.h"

#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT	1800	/* seconds */

#endif /* HARNESS_H */
