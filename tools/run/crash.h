/* SPDX-License-Identifier: GPL-2.0 */
/* Print how a process crashed, from the record that its library made. */
#ifndef CRASH_H
#define CRASH_H

#include "../../libexpertmem/report.h"
#include "../json.h"

/* Print to standard error where the instruction is, and which address it touched. */
void crash_report(const struct em_crash *crash);

/* Add the keys crash_* to the object. */
void crash_report_json(struct json *json, const struct em_crash *crash);

#endif /* CRASH_H */
