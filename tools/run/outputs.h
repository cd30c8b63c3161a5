/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Outputs of the events of a job. A thread of the host reads the events of the expert and writes
 * them, so that a reader that is slow makes the expert wait, but not the host: that goes on to heed
 * signals and the timeout.
 */
#ifndef OUTPUTS_H
#define OUTPUTS_H

#include <pthread.h>

#include "events.h"
#include "job.h"

/* Sentences of the report of the run, and of the HTML report. */
#define DEGRADED_FORMAT	"The engine reached its memory limit and was started anew %u times: protocols " \
			"that need earlier frames may be missing."
#define CRASHED_FORMAT	"%u frames have no properties: their dissection crashed, or took more than 2 s."

enum events_format { FORMAT_DEFAULT, FORMAT_TABLE, FORMAT_CSV, FORMAT_JSON, FORMAT_NONE };

/**
 * struct outputs - what is written where
 * @format: what is printed to standard output after Run, or with @follow as the events come
 * @follow: print events as they come
 * @lines: path of the file that receives JSON lines, or "-"; NULL: none
 * @report: path of the HTML report; NULL: none
 * @annotate: path of the copy of the capture whose frames have comments; NULL: none
 * @max: most events
 * @events: the events
 * @fd: readable while events are there
 * @file: stream of @lines
 * @job: the job
 * @outcome: how the job ended, for the report; valid when @ended
 * @ended: the child has ended: read the rest, and write what is written then; atomic
 * @failed: a stream of events that are written as they come cannot be written; atomic
 * @message: why an output could not be written; ""
 * @thread: the thread
 */
struct outputs {
	enum events_format format;
	bool follow;
	const char *lines;
	const char *report;
	const char *annotate;
	uint64_t max;
	struct events events;
	int fd;
	FILE *file;
	const struct job *job;
	const struct outcome *outcome;
	bool ended;
	bool failed;
	char message[512];
	pthread_t thread;
};

/* Open the files, before the expert starts. Return 0, or -1 after a message. */
int outputs_open(struct outputs *outputs, const struct job *job);

/* Whether standard output has only events or JSON, so that the expert's output goes elsewhere. */
bool outputs_use_stdout(const struct outputs *outputs);

/* Begin to read events, in the host before the child is started. Return enum expertmem_error. */
int outputs_connect(struct outputs *outputs);
/* Start the thread, after the child was started. Return an error number of errno.h. */
int outputs_start(struct outputs *outputs);

/* Whether events can no longer be written: the expert shall stop. */
bool outputs_have_failed(const struct outputs *outputs);

/* The child has ended. The thread writes the rest. */
void outputs_end(struct outputs *outputs, const struct outcome *outcome);
/* Wait at most a tenth of a second for the thread. Return whether it has ended. */
bool outputs_wait(struct outputs *outputs);
/*
 * A signal interrupts the outputs: end the process that writes the copy of the capture, and remove
 * the files that are incomplete. The host must end by _exit() then.
 */
void outputs_abandon(void);

#endif /* OUTPUTS_H */
