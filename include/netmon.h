/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sources written on Windows, where case does not matter, spell it both ways. */
#ifndef NETMON_LOWER_CASE_H
#define NETMON_LOWER_CASE_H

#include <Netmon.h>

#endif /* NETMON_LOWER_CASE_H */
