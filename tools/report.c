// SPDX-License-Identifier: GPL-2.0
/* What became of a job, for people and for scripts. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "job.h"
#include "text.h"

void report(const struct job *job, const struct verdict *verdict,
	    const struct expertmem_stats *stats)
{
	bool device = stats->backend == EXPERTMEM_BACKEND_DEVICE, program = job->program;
	char size[SIZE_TEXT], with_heap[SIZE_TEXT];

	fprintf(stderr, "%s: %s\n", job->name, verdict->message);
	if (program && !verdict->ran)
		return;
	fprintf(stderr, "  time       %.2f s\n", verdict->seconds);
	size_text(with_heap, stats->peak_committed);
	if (!program)
		fprintf(stderr, "  peak       %s in blocks, %s with the heap's own data\n",
			size_text(size, stats->peak_bytes), with_heap);
	else if (device)
		fprintf(stderr, "  peak       %s with the heap's own data\n", with_heap);
	fprintf(stderr, "  limit      %s\n",
		stats->limit ? size_text(size, stats->limit) : "none");
	if (!program)
		fprintf(stderr, "  not freed  %s, %s\n",
			count_text(size, stats->live_blocks, "block"),
			count_text(with_heap, stats->live_bytes, "byte"));
	if (device)
		fprintf(stderr,
			"  reclaimed  %s by the kernel\n"
			"  backend    the kernel module, expert %llu\n",
			size_text(size, stats->reclaimed), (unsigned long long)stats->id);
	else if (!program)
		fputs("  reclaimed  0 B by the kernel: its promise needs the module\n"
		      "  backend    private memory of the process (anon)\n", stderr);
	else
		fputs("  backend    private memory of the process (anon): what it used is not\n"
		      "             known, and the kernel promises nothing without the module\n",
		      stderr);
	if (program && device && !stats->peak_committed)
		fputs("It did not use the expert: static and set-user-ID programs load no other malloc,\n"
		      "and one that is short of addresses (ulimit -v) has none for it.\n", stderr);
}

/* On whose stream, and what of the numbers is known, depends on what was run. */
int report_json(const struct job *job, const struct verdict *verdict,
		const struct expertmem_stats *stats)
{
	bool device = stats->backend == EXPERTMEM_BACKEND_DEVICE, program = job->program;
	FILE *out = program ? stderr : stdout;
	const struct { const char *key, *value; } strings[] = {
		{ "name", job->name },
		{ "library", job->library },
		{ "capture", program ? NULL : job->startup.szCaptureFile },
		{ "program", program ? job->program[0] : NULL },
		{ "result", verdict->result },
		{ "message", verdict->message },
		{ "backend", device ? "device" : "anon" },
	};
	const struct { const char *key; bool known; uint64_t value; } numbers[] = {
		{ "status", true, verdict->status },
		{ "limit", true, stats->limit },
		{ "peak_bytes", !program, stats->peak_bytes },
		{ "peak_committed", !program || device, stats->peak_committed },
		{ "live_blocks", !program, stats->live_blocks },
		{ "live_bytes", !program, stats->live_bytes },
		{ "reclaimed_bytes", !program || device, stats->reclaimed },
	};

	fputs("{\n", out);
	for (size_t i = 0; i < sizeof(strings) / sizeof(strings[0]); i++) {
		if (!strings[i].value)
			continue;
		fprintf(out, "  \"%s\": ", strings[i].key);
		print_json_string(out, strings[i].value);
		fputs(",\n", out);
	}
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (numbers[i].known)
			fprintf(out, "  \"%s\": %llu,\n", numbers[i].key,
				(unsigned long long)numbers[i].value);
	if (verdict->signal)
		fprintf(out, "  \"signal\": %d,\n", verdict->signal);
	else
		fputs("  \"signal\": null,\n", out);
	fprintf(out, "  \"seconds\": %.3f\n}\n", verdict->seconds);

	if (fflush(out) || ferror(out)) {
		fprintf(stderr, "expertmem run: cannot write the report: %s\n",
			strerror(errno));
		return -1;
	}
	return 0;
}
