// SPDX-License-Identifier: GPL-2.0
/* Fill in the outcome of a job. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE	/* sigabbrev_np() */
#endif
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "job.h"

void set_outcome(struct outcome *outcome, const char *result, int status,
		  const char *format, ...)
{
	va_list args;

	outcome->result = result;
	outcome->status = status;
	va_start(args, format);
	vsnprintf(outcome->message, sizeof(outcome->message), format, args);
	va_end(args);
}

void interpret_signal(struct outcome *outcome, const char *result, int status, int signal,
		  const char *place)
{
	const char *name = sigabbrev_np(signal), *words = sigdescr_np(signal);

	outcome->signal = signal;
	if (name)	/* lower-case "Segmentation fault", but not "CPU time limit exceeded" */
		set_outcome(outcome, result, status, "killed by SIG%s (%c%s)%s", name,
			     islower((unsigned char)words[1]) ? tolower(words[0]) : words[0],
			     words + 1, place);
	else
		set_outcome(outcome, result, status, "killed by signal %d%s", signal, place);
}
