/* SPDX-License-Identifier: GPL-2.0 */
/* How a process crashed, from what its library has recorded. */
#ifndef CRASH_H
#define CRASH_H

#include "../../libexpertmem/report.h"
#include "../json.h"

/* Two lines for people: at which instruction, and what it touched. */
void crash_report(const struct em_crash *crash);

/* Add the keys crash_* to the object. */
void crash_report_json(struct json *json, const struct em_crash *crash);

#endif /* CRASH_H */
