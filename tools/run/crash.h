/* SPDX-License-Identifier: GPL-2.0 */
/* How a process crashed, from what its library has recorded. */
#ifndef CRASH_H
#define CRASH_H

#include <stdio.h>

#include "../../libexpertmem/report.h"

/* Two lines for people: at which instruction, and what it touched. */
void crash_report(const struct em_crash *crash);

/* Keys of the JSON object; each line ends in a comma. */
void crash_report_json(FILE *out, const struct em_crash *crash);

#endif /* CRASH_H */
