/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* For sources that include <netmon.h>: file names on Windows ignore case. */
#ifndef NETMON_LOWER_CASE_H
#define NETMON_LOWER_CASE_H

#include <Netmon.h>

#endif /* NETMON_LOWER_CASE_H */
