/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Show how far a job is, on standard error: on a terminal in one line that is rewritten, with the
 * cursor at its start, so that output of the expert overwrites it; otherwise in a new line for every
 * ten per cent of a phase, or, while the expert says nothing, of the frames that the engine dissects.
 */
#ifndef PROGRESS_H
#define PROGRESS_H

#include "job.h"

/**
 * struct rate - frames a second
 * @time: time of the last measurement, CLOCK_MONOTONIC in seconds
 * @frames: number of frames then
 * @value: frames a second, smoothed
 */
struct rate {
	double time;
	uint64_t frames;
	double value;
};

/**
 * struct progress - what is shown
 * @job: the job
 * @terminal: standard error is a terminal
 * @shown: percent of the last line, without a terminal
 * @shown_dissected: percent of dissected frames in a line, without a terminal
 * @loading: rate of the loading of the capture
 * @dissecting: rate of the engine's first pass
 * @running: rate of the expert, if it goes through the capture once
 */
struct progress {
	struct job *job;
	bool terminal;
	int shown;
	int shown_dissected;
	struct rate loading, dissecting, running;
};

void progress_begin(struct progress *progress, struct job *job);
/* Show from @job->status that the engine starts, or how much of the capture is read. */
void progress_load(struct progress *progress);
/* Show that the expert runs. Without its memory, if the expert has @ended. */
void progress_run(struct progress *progress, bool ended);
/* Remove the line from the terminal. */
void progress_clear(const struct progress *progress);

#endif /* PROGRESS_H */
