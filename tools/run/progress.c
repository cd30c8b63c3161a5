// SPDX-License-Identifier: GPL-2.0
#include "progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "../format.h"

#define LINE 512

/* A rate is measured over at least this time, in seconds. */
#define RATE_TIME 0.3

void progress_begin(struct progress *progress, struct job *job)
{
	*progress = (struct progress){
		.job = job, .terminal = isatty(STDERR_FILENO), .shown = -10,
	};
}

void progress_clear(const struct progress *progress)
{
	if (progress->terminal)
		fputs("\r\033[K", stderr);
}

static void print_line(const char *line)
{
	struct winsize window;
	int width = 79;

	if (!ioctl(STDERR_FILENO, TIOCGWINSZ, &window) && window.ws_col)
		width = window.ws_col - 1;
	fprintf(stderr, "\r\033[K%.*s\r", width, line);
}

/* Return whether @percent has passed another multiple of ten since @shown; note it there. */
static bool passes_ten(int *shown, int percent)
{
	if (percent / 10 <= *shown / 10)
		return false;
	*shown = percent;
	return true;
}

/* Write ", 712,000 frames/s" or "". @gap: the text before the number */
static void rate_text(char text[static SIZE_TEXT], struct rate *rate, uint64_t frames, const char *gap)
{
	double now = clock_seconds(CLOCK_MONOTONIC), passed = now - rate->time;

	if (!rate->time || frames < rate->frames) {
		rate->time = now;
		rate->frames = frames;
	} else if (passed >= RATE_TIME) {
		double value = (frames - rate->frames) / passed;

		rate->value = rate->value ? (rate->value + value) / 2 : value;
		rate->time = now;
		rate->frames = frames;
	}
	*text = '\0';
	if (rate->value >= 1)
		snprintf(text, SIZE_TEXT, "%s%.0f frames/s", gap, rate->value);
}

void progress_load(struct progress *progress)
{
	const struct expertmem_capture_status *status = &progress->job->status;
	const char *name = progress->job->name;
	int percent = status->size ? (status->read < status->size ?
		      (int)(status->read * 100.0 / status->size) : 99) : 0;
	char rate[SIZE_TEXT], line[LINE];

	rate_text(rate, &progress->loading, status->frames, ", ");
	if (!status->read && !status->frames)
		snprintf(line, sizeof(line), "%s: starting the engine", name);
	else if (progress->terminal)
		snprintf(line, sizeof(line), "%s [%-20.*s] %2d %%  loading: %" PRIu64 " frames%s", name,
			 percent / 5, "####################", percent, status->frames, rate);
	else
		snprintf(line, sizeof(line), "%s: loading, %d %%, %" PRIu64 " frames%s", name, percent,
			 status->frames, rate);
	if (progress->terminal)
		print_line(line);
	else if (status->frames && passes_ten(&progress->shown, percent))
		fprintf(stderr, "%s\n", line);
}

#define MEMORY_TEXT (4 * SIZE_TEXT)

/* Write the kernel's numbers, or without the module those of the library. */
static void memory_text(char text[static MEMORY_TEXT], const struct expertmem_heap_stats *stats)
{
	char resident[SIZE_TEXT], committed[SIZE_TEXT], limit[SIZE_TEXT];

	if (stats->backend != EXPERTMEM_BACKEND_DEVICE) {
		snprintf(text, MEMORY_TEXT, "%s live", size_text(resident, stats->live_bytes));
		return;
	}
	size_text(resident, stats->resident);
	size_text(committed, stats->committed);
	if (stats->limit)
		snprintf(text, MEMORY_TEXT, "%s resident, %s of %s", resident, committed,
			 size_text(limit, stats->limit));
	else
		snprintf(text, MEMORY_TEXT, "%s resident, %s committed", resident, committed);
}

/* Percent of the frames that the dissectors' first pass has dissected. */
static int dissected_percent(const struct progress *progress)
{
	const struct expertmem_capture_status *status = &progress->job->status;

	return (int)(status->dissected * 100 / status->frames);
}

/* Write the rate of the expert, and the progress and the rate of the dissectors' first pass. */
static void frames_text(char text[static MEMORY_TEXT], struct progress *progress, int percent,
			const char *gap)
{
	struct expertmem_capture_status *status = &progress->job->status;
	char rate[SIZE_TEXT];
	int length = 0;

	*text = '\0';
	if (!progress->job->capture ||
	    expertmem_capture_status(progress->job->capture, status) || !status->frames)
		return;
	rate_text(rate, &progress->running, status->frames * percent / 100, gap);
	length = snprintf(text, MEMORY_TEXT, "%s", rate);
	rate_text(rate, &progress->dissecting, status->dissected, " at ");
	if (status->dissected && status->dissected < status->frames)
		snprintf(text + length, MEMORY_TEXT - length, "%sdissected %d %%%s", gap,
			 dissected_percent(progress), rate);
}

void progress_run(struct progress *progress, bool ended)
{
	const char *name = progress->job->name, *gap = progress->terminal ? "  " : ", ";
	char memory[MEMORY_TEXT] = "", frames[MEMORY_TEXT] = "", line[LINE];
	struct expertmem_progress said;
	struct expertmem_heap_stats stats;

	if (expertmem_progress(progress->job->key, &said) ||
	    expertmem_heap_stats(progress->job->key, &stats))
		return;
	plain_text(said.text);
	if (!ended) {
		memory_text(memory, &stats);
		frames_text(frames, progress, said.percent, gap);
	}
	if (progress->terminal) {
		snprintf(line, sizeof(line), "%s [%-20.*s] %2d %%  %s%s  %s", name,
			 (int)said.percent / 5, "####################", (int)said.percent, memory,
			 frames, said.text);
		print_line(line);
	} else if ((said.calls && passes_ten(&progress->shown, said.percent)) ||
		   (*frames && (int)said.percent <= progress->shown &&
		    passes_ten(&progress->shown_dissected, dissected_percent(progress)))) {
		fprintf(stderr, "%s: %d %%, %s%s%s%s\n", name, (int)said.percent, memory, frames,
			*memory ? ", " : "", said.text);
	}
}
