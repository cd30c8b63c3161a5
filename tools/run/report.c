// SPDX-License-Identifier: GPL-2.0
/* Print the outcome of a job, as text and as JSON. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "../format.h"
#include "../json.h"
#include "crash.h"
#include "job.h"
#include "outputs.h"

/* Return whether the library counted blocks; otherwise only the kernel's numbers are known. */
static bool has_blocks(const struct job *job)
{
	return !job->program || (job->report && job->report->begun);
}

/* Print the numbers of frames and events, and the engine. */
static void report_capture(const struct job *job)
{
	const struct expertmem_capture_status *status = &job->status;
	char frames[SIZE_TEXT], events[SIZE_TEXT];

	/* before it has started, the engine does not say what software it is */
	if (job->capture)
		fprintf(stderr, "  capture    %s, read by %s%sengine %s%s\n",
			count_text(frames, status->frames, "frame"), status->software,
			*status->software ? " (" : "", engine_name(status->engine),
			*status->software ? ")" : "");
	if (!job->outputs)
		return;
	fprintf(stderr, "  events     %s", count_text(events, job->outputs->events.count, "event"));
	if (job->outputs->events.left_out)
		fprintf(stderr, ", and %" PRIu64 " left out (--max-events)",
			job->outputs->events.left_out);
	putc('\n', stderr);
}

/* Print that the capture ends early, or that protocols or properties may be missing. */
static void report_damage(const struct job *job)
{
	const struct expertmem_capture_status *status = &job->status;

	if (!job->capture)
		return;
	if (status->truncated)
		fprintf(stderr, "The capture ends early: %s\n", status->error);
	if (status->degraded)
		fprintf(stderr, DEGRADED_FORMAT "\n", status->degraded);
	if (status->crashed)
		fprintf(stderr, CRASHED_FORMAT "\n", status->crashed);
}

static void report_capture_json(struct json *json, const struct job *job)
{
	const struct expertmem_capture_status *status = &job->status;

	if (job->outputs) {
		json_number(json, "events", job->outputs->events.count);
		json_number(json, "events_left_out", job->outputs->events.left_out);
	}
	if (!job->capture)
		return;
	json_string(json, "engine", engine_name(status->engine));
	json_string(json, "engine_version", status->software);
	json_number(json, "frames", status->frames);
	json_string(json, "truncated", status->truncated ? status->error : NULL);
	json_number(json, "degraded", status->degraded);
	json_number(json, "crashed_frames", status->crashed);
}

/* Return whether the process recorded the signal that ended it. */
static bool has_crash(const struct job *job, const struct outcome *outcome)
{
	return job->report && outcome->signal && job->report->crash.signal == outcome->signal;
}

static bool used_expert(const struct job *job, bool device, const struct expertmem_heap_stats *stats)
{
	return has_blocks(job) || (device && stats->peak);
}

/* Print why the numbers of a program are not known. */
static void report_unknown(const struct job *job, bool device, const struct expertmem_heap_stats *stats)
{
	if (!device && !job->report)
		fputs("The memory that it used is not known: no file could be shared with it (ulimit -f, -n).\n",
		      stderr);
	else if (!used_expert(job, device, stats))
		fputs("It did not use the expert: it is static, has its own malloc(), or had too few addresses (ulimit -v).\n", stderr);
}

static void report_memory(const struct job *job, const struct outcome *outcome, bool device,
			  const struct expertmem_heap_stats *stats)
{
	char size[SIZE_TEXT], with_heap[SIZE_TEXT];

	size_text(with_heap, stats->peak);
	if (has_blocks(job))
		fprintf(stderr, "  peak       %s in blocks, %s with the heap's own data\n",
			size_text(size, stats->peak_blocks), with_heap);
	else if (device)
		fprintf(stderr, "  peak       %s with the heap's own data\n", with_heap);
	if (used_expert(job, device, stats))
		fprintf(stderr, "  limit      %s\n",
			stats->limit ? size_text(size, stats->limit) : "none");
	if (has_blocks(job))
		fprintf(stderr, "  not freed  %s, %s\n",
			count_text(size, stats->live_blocks, "block"),
			count_text(with_heap, stats->live_bytes, "byte"));
	if (job->program && has_blocks(job))
		fprintf(stderr, "  process    %d, without the processes that it started\n",
			(int)outcome->process);
	if (device)
		fprintf(stderr,
			"  reclaimed  %s by the kernel\n"
			"  backend    the kernel module, expert %llu%s\n",
			size_text(size, stats->reclaimed_bytes), (unsigned long long)stats->id,
			job->report && job->report->went_private ?
			", and then private memory, which is not counted here" : "");
	else
		fprintf(stderr, "  reclaimed  0 B by the kernel, because the module is not used\n"
			"  backend    private memory of the process (anon)%s\n",
			job->few_addresses ? ", because RLIMIT_AS is below 256 GiB" : "");
}

void report_crash(const struct job *job, const struct outcome *outcome)
{
	if (has_crash(job, outcome))
		crash_report(&job->report->crash);
}

void report(const struct job *job, const struct outcome *outcome,
	    const struct expertmem_heap_stats *stats)
{
	bool device = stats->backend == EXPERTMEM_BACKEND_DEVICE;

	fprintf(stderr, "%s: %s\n", job->name, outcome->message);
	if (job->program && !outcome->ran)
		return;
	report_crash(job, outcome);
	fprintf(stderr, "  time       %.2f s\n", outcome->seconds);
	report_capture(job);
	report_memory(job, outcome, device, stats);
	report_damage(job);
	if (job->report && job->report->heap_lost)
		fputs("The program closed the descriptor of its heap, which then could not grow.\n",
		      stderr);
	if (job->program)
		report_unknown(job, device, stats);
}

/* The object of a plug-in goes to standard output, that of a program to standard error. */
int report_json(const struct job *job, const struct outcome *outcome,
		const struct expertmem_heap_stats *stats)
{
	bool device = stats->backend == EXPERTMEM_BACKEND_DEVICE, program = job->program;
	bool blocks = has_blocks(job);
	FILE *out = program ? stderr : stdout;
	const struct { const char *key, *value; } strings[] = {
		{ "name", job->name },
		{ "library", job->library },
		{ "capture", program ? NULL : job->startup.szCaptureFile },
		{ "program", program ? job->program[0] : NULL },
		{ "result", outcome->result },
		{ "message", outcome->message },
		{ "backend", device ? "device" : "anon" },
	};
	const struct { const char *key; bool known; uint64_t value; } numbers[] = {
		{ "status", true, outcome->status },
		{ "limit", used_expert(job, device, stats), stats->limit },
		{ "process", true, outcome->process },
		{ "peak_blocks", blocks, stats->peak_blocks },
		{ "peak", blocks || device, stats->peak },
		{ "live_blocks", blocks, stats->live_blocks },
		{ "live_bytes", blocks, stats->live_bytes },
		{ "reclaimed_bytes", true, stats->reclaimed_bytes },
	};
	struct json json;

	json_begin(&json, out, true);
	for (size_t i = 0; i < sizeof(strings) / sizeof(strings[0]); i++)
		if (strings[i].value)
			json_string(&json, strings[i].key, strings[i].value);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (numbers[i].known)
			json_number(&json, numbers[i].key, numbers[i].value);
	report_capture_json(&json, job);
	if (has_crash(job, outcome))
		crash_report_json(&json, &job->report->crash);
	if (program && job->report) {
		json_bool(&json, "heap_lost", job->report->heap_lost);
		json_bool(&json, "went_private", job->report->went_private);
	}
	json_maybe(&json, "signal", outcome->signal, outcome->signal);
	json_key(&json, "seconds");
	fprintf(out, "%.3f", outcome->seconds);
	json_end(&json);
	putc('\n', out);

	if (fflush(out) || ferror(out)) {
		fprintf(stderr, "expertmem run: cannot write the report: %s\n",
			strerror(errno));
		return -1;
	}
	return 0;
}
