/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Outputs of the events of a job. A thread of the host reads the events of the expert and writes
 * them. If a reader of an output is slow, the thread and the expert wait; the main thread still
 * handles signals and the timeout.
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
 * @format: format on standard output, after Run, or with @follow as the events come
 * @follow: print events as they come
 * @lines: path of the file that receives JSON lines, or "-"; NULL: none
 * @report: path of the HTML report; NULL: none
 * @annotate: path of the copy of the capture whose frames have comments; NULL: none
 * @max: most events that are accepted
 * @events: the events
 * @fd: descriptor that is readable while there are events; it belongs to the library
 * @file: stream of @lines, or NULL
 * @job: the job
 * @outcome: how the job ended, for the report; valid when @ended
 * @ended: the child has ended, so the thread reads the last events and writes the other outputs;
 *	atomic
 * @failed: events that are written as they come could not be written; atomic
 * @message: why an output could not be written; "": none failed
 * @thread: the thread that reads and writes events
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

/*
 * Return whether standard output is for CSV or JSON only; the expert's goes to standard error then.
 */
bool outputs_use_stdout(const struct outputs *outputs);

/* Begin to read events, in the host before the child is started. Return enum expertmem_error. */
int outputs_connect(struct outputs *outputs);
/* Start the thread, after the child was started. Return an error number of errno.h. */
int outputs_start(struct outputs *outputs);

/* Return whether events can no longer be written; the host then asks the expert to stop. */
bool outputs_have_failed(const struct outputs *outputs);

/* Tell the thread that the child has ended. */
void outputs_end(struct outputs *outputs, const struct outcome *outcome);
/* Wait at most a tenth of a second for the thread. Return whether it has ended. */
bool outputs_wait(struct outputs *outputs);
/*
 * Abandon the outputs after a signal: kill the process that writes the copy of the capture, and
 * remove the incomplete file. Afterwards the host must end by _exit().
 */
void outputs_abandon(void);

#endif /* OUTPUTS_H */
