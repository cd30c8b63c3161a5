// SPDX-License-Identifier: GPL-2.0
#include "outputs.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../format.h"
#include "../view.h"
#include "annotate.h"
#include "events_html.h"
#include "replace.h"

/* Milliseconds between two looks of the thread at outputs.ended. */
#define TICK 50

static bool is_set(const bool *flag)
{
	return __atomic_load_n(flag, __ATOMIC_ACQUIRE);
}

static void set(bool *flag)
{
	__atomic_store_n(flag, true, __ATOMIC_RELEASE);
}

/* Keep the first message: it has the cause. */
static void __attribute__((format(printf, 2, 3)))
complain(struct outputs *outputs, const char *format, ...)
{
	va_list args;

	if (*outputs->message)
		return;
	va_start(args, format);
	vsnprintf(outputs->message, sizeof(outputs->message), format, args);
	va_end(args);
}

/* --- opening */

/*
 * Check that a file can be made in the directory of @path: replace_begin() makes one there. Return
 * 0, or -1 after a message.
 */
static int check_directory(const char *option, const char *path)
{
	const char *slash = path ? strrchr(path, '/') : NULL;
	char *directory;
	struct stat stat_buf;
	int error = 0;

	if (!path)
		return 0;
	if (!stat(path, &stat_buf) && S_ISDIR(stat_buf.st_mode)) {
		fprintf(stderr, "expertmem run: %s: '%s' is a directory; name a file\n", option, path);
		return -1;
	}
	directory = slash ? strndup(path, slash - path + 1) : strdup(".");
	if (!directory || access(directory, W_OK | X_OK)) {
		fprintf(stderr, "expertmem run: %s: cannot write to the directory of '%s': %s\n",
			option, path, strerror(errno));
		error = -1;
	}
	free(directory);
	return error;
}

static int open_lines(struct outputs *outputs)
{
	const char *path = outputs->lines;

	if (!path)
		return 0;
	outputs->file = strcmp(path, "-") ? fopen(path, "we") : stdout;
	if (outputs->file)
		return 0;
	fprintf(stderr, "expertmem run: cannot write the events to '%s': %s\n", path, strerror(errno));
	return -1;
}

int outputs_open(struct outputs *outputs, const struct job *job)
{
	outputs->job = job;
	outputs->fd = -1;
	outputs->events = (struct events){
		.expert = job->name, .capture = job->startup.szCaptureFile, .max = outputs->max,
		.start = NO_TIME, .end = NO_TIME,
		.keep = (outputs->format != FORMAT_NONE && !outputs->follow) || outputs->report ||
			outputs->annotate,
	};
	if (check_directory("--report", outputs->report) ||
	    check_directory("--annotate", outputs->annotate))
		return -1;
	return open_lines(outputs);
}

bool outputs_use_stdout(const struct outputs *outputs)
{
	return (outputs->lines && !strcmp(outputs->lines, "-")) || outputs->format == FORMAT_CSV ||
	       outputs->format == FORMAT_JSON;
}

int outputs_connect(struct outputs *outputs)
{
	const struct expertmem_capture_status *status = &outputs->job->status;

	if (outputs->job->capture && status->frames) {
		outputs->events.start = status->start;
		outputs->events.end = status->end;
	}
	return expertmem_open_events(outputs->job->key, &outputs->fd);
}

/* --- as the events come */

static void flush(struct outputs *outputs, FILE *file, const char *what)
{
	if (!fflush(file) && !ferror(file))
		return;
	complain(outputs, "cannot write the events to %s: %s", what, strerror(errno));
	set(&outputs->failed);
}

static void on_event(const NMEVENTDATA *data, void *arg)
{
	struct outputs *outputs = arg;
	struct event event;

	if (!events_add(&outputs->events, data, &event) || is_set(&outputs->failed))
		return;
	if (outputs->file)
		events_json_print(&outputs->events, &event, outputs->file);
	if (!outputs->follow)
		return;
	if (outputs->format == FORMAT_JSON)
		events_json_print(&outputs->events, &event, stdout);
	else
		events_table_follow(&event, stdout);
}

/* Return the number of events that were there. */
static int read_events(struct outputs *outputs)
{
	int count;

	/* remove the line of progress; the cursor is at its start */
	if (outputs->follow && isatty(STDOUT_FILENO) && isatty(STDERR_FILENO))
		fputs("\033[K", stdout);
	count = expertmem_read_events(outputs->job->key, on_event, outputs);
	if (count <= 0)
		return 0;
	if (outputs->file && outputs->file != stdout && !is_set(&outputs->failed))
		flush(outputs, outputs->file, outputs->lines);
	if ((outputs->follow || outputs->file == stdout) && !is_set(&outputs->failed))
		flush(outputs, stdout, "standard output");
	return count;
}

/* --- after the run */

static void print_all(struct outputs *outputs)
{
	struct events *events = &outputs->events;
	int error = 0;

	if (outputs->follow || !events->kept)
		return;
	switch (outputs->format) {
	case FORMAT_TABLE:
		error = events_table_print(events, stdout, line_columns());
		break;
	case FORMAT_CSV:
		error = events_csv_print(events, stdout);
		break;
	case FORMAT_JSON:
		for (size_t i = 0; i < events->kept; i++)
			events_json_print(events, &events->list[i], stdout);
		break;
	default:
		return;
	}
	if (error == E2BIG)
		complain(outputs, "cannot print the events as CSV: they have more than 1024 columns; use --format json");
	else if (error)
		complain(outputs, "cannot print the events: %s", strerror(error));
	if (fflush(stdout) || ferror(stdout))
		complain(outputs, "cannot print the events: %s", strerror(errno));
}

static void describe_left_out(const struct outputs *outputs, char text[static 128])
{
	*text = '\0';
	if (outputs->events.left_out)
		snprintf(text, 128, "%llu more events are left out: --max-events is %llu.",
			 (unsigned long long)outputs->events.left_out,
			 (unsigned long long)outputs->max);
}

static int write_page(struct outputs *outputs, FILE *out)
{
	const struct expertmem_capture_status *status = &outputs->job->status;
	char frames[SIZE_TEXT], left_out[128], degraded[256], crashed[128], truncated[1100], seconds[32];
	const char *notes[6] = {}, **note = notes;
	bool has_capture = outputs->job->capture;
	const struct html_fact facts[] = {
		{ "Result", outputs->outcome->message },
		{ "Time of the run", seconds },
		{ "Expert", outputs->job->library },
		{ "Capture", outputs->job->startup.szCaptureFile },
		{ "Comment", has_capture && *status->comment ? status->comment : NULL },
		{ "Filter", outputs->job->capture_options.filter },
		{ "Engine", has_capture ? status->software : NULL },
		{}
	};
	const struct html_page page = {
		.library = outputs->job->library, .facts = facts, .notes = notes,
		.frames = has_capture ? count_text(frames, status->frames, "frame") : NULL,
	};

	snprintf(seconds, sizeof(seconds), "%.2f s", outputs->outcome->seconds);
	if (outputs->outcome->status)
		*note++ = outputs->outcome->message;
	describe_left_out(outputs, left_out);
	if (*left_out)
		*note++ = left_out;
	if (has_capture && status->truncated) {
		snprintf(truncated, sizeof(truncated), "The capture ends early: %s", status->error);
		*note++ = truncated;
	}
	if (has_capture && status->degraded) {
		snprintf(degraded, sizeof(degraded), DEGRADED_FORMAT, status->degraded);
		*note++ = degraded;
	}
	if (has_capture && status->crashed) {
		snprintf(crashed, sizeof(crashed), CRASHED_FORMAT, status->crashed);
		*note++ = crashed;
	}
	return events_html_print(&outputs->events, &page, out);
}

/* Write the report to @fd. Return 0, or an error number of errno.h. */
static int write_page_to(struct outputs *outputs, int fd)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0), error;
	FILE *out = copy < 0 ? NULL : fdopen(copy, "w");

	if (!out) {
		error = errno;
		if (copy >= 0)
			close(copy);
		return error;
	}
	error = write_page(outputs, out);
	if (!error && (fflush(out) || ferror(out)))
		error = errno ? errno : EIO;
	if (fclose(out) && !error)
		error = errno;
	return error;
}

static void write_report(struct outputs *outputs)
{
	int fd, error, end;

	if (!outputs->report)
		return;
	fd = replace_begin(outputs->report);
	if (fd < 0) {
		error = errno;
	} else {
		error = write_page_to(outputs, fd);
		end = replace_end(fd, outputs->report, !error);
		error = error ? error : end;
	}
	if (error)
		complain(outputs, "cannot write the report '%s': %s", outputs->report, strerror(error));
}

/* A copy takes as long as the capture is large: none is written after an interruption or a timeout. */
static void write_annotations(struct outputs *outputs)
{
	char why[256];

	if (!outputs->annotate)
		return;
	if (outputs->outcome->stopped)
		complain(outputs, "'%s' is not written, because the run was stopped", outputs->annotate);
	else if (annotate(&outputs->events, outputs->job->capture_path, outputs->annotate, why))
		complain(outputs, "cannot write '%s': %s", outputs->annotate, why);
}

static void *run(void *arg)
{
	struct outputs *outputs = arg;
	struct pollfd poll_fd = { .fd = outputs->fd, .events = POLLIN };
	bool ended;
	int count;

	do {
		ended = is_set(&outputs->ended);
		/*
		 * A process that the expert started may still send events. From now on it gets
		 * EPIPE, so that reading ends when the socket's buffer is empty.
		 */
		if (ended)
			shutdown(outputs->fd, SHUT_RD);
		count = read_events(outputs);
		if (!count && !ended)
			poll(&poll_fd, 1, TICK);
	} while (count || !ended);
	if (!is_set(&outputs->failed))
		print_all(outputs);
	if (outputs->file && outputs->file != stdout && fclose(outputs->file))
		complain(outputs, "cannot write the events to %s: %s", outputs->lines, strerror(errno));
	write_report(outputs);
	write_annotations(outputs);
	return NULL;
}

int outputs_start(struct outputs *outputs)
{
	return pthread_create(&outputs->thread, NULL, run, outputs);
}

bool outputs_have_failed(const struct outputs *outputs)
{
	return is_set(&outputs->failed);
}

void outputs_end(struct outputs *outputs, const struct outcome *outcome)
{
	outputs->outcome = outcome;
	set(&outputs->ended);
}

bool outputs_wait(struct outputs *outputs)
{
	struct timespec end;

	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_nsec += 100 * 1000 * 1000;
	if (end.tv_nsec >= 1000000000) {
		end.tv_sec++;
		end.tv_nsec -= 1000000000;
	}
	return !pthread_timedjoin_np(outputs->thread, NULL, &end);
}

void outputs_abandon(void)
{
	annotate_abandon();
	replace_abandon();
}
