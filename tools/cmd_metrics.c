// SPDX-License-Identifier: GPL-2.0
/* expertmem metrics: for the textfile collector of Prometheus' node_exporter. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "args.h"
#include "command.h"
#include "operate.h"
#include "view.h"

static const char help[] =
"Usage: expertmem metrics [OPTION]...\n"
"\n"
"Print numbers of the module and of each expert in the text format of Prometheus, which\n"
"the textfile collector of node_exporter reads. Without the module that is expertmem_up 0\n"
"alone, and the exit status is 10.\n"
"\n"
"  --output FILE  write to FILE, which is replaced in one step\n"
"  --openmetrics  print OpenMetrics, for what reads that; the collector of node_exporter\n"
"                 does not know counters in it\n"
"  --json         print an array of objects\n"
"  --help         print this text\n"
"\n"
"Example: every minute, in /etc/cron.d/expertmem\n"
"  * * * * * root expertmem metrics --output /var/lib/prometheus/node-exporter/expertmem.prom\n"
"\n"
"The keys of each object:\n"
"  metric                   its name\n"
"  type                     gauge or counter\n"
"  labels                   object: id, name and user of an expert, cause of a reclaim\n"
"  value                    number\n"
"\n"
"Exit status:\n"
"  0    done\n"
"  1    it failed\n"
"  2    wrong command line\n"
"  4    not permitted\n"
"  10   the module is not loaded\n";

struct page {
	FILE *out;
	bool json, openmetrics, some;
	const char *name, *type;	/* of the samples that follow */
};

static void begin_metric(struct page *page, const char *name, const char *type,
			 const char *about)
{
	static const char total[] = "_total";
	int length = strlen(name);

	page->name = name;
	page->type = type;
	/* of a counter, OpenMetrics has this at the end of samples only */
	if (page->openmetrics && !strcmp(type, "counter"))
		length -= strlen(total);
	if (!page->json)
		fprintf(page->out, "# HELP %.*s %s\n# TYPE %.*s %s\n", length, name, about,
			length, name, type);
}

/* @labels: pairs of key and value that are safe for a terminal, up to a NULL key. */
static void print_sample(struct page *page, const char *const *labels, uint64_t value)
{
	const char *separator = page->json ? "" : "{";
	struct json json;

	if (page->json) {
		fputs(page->some ? ",\n  " : "\n  ", page->out);
		page->some = true;
		json_begin(&json, page->out, false);
		json_string(&json, "metric", page->name);
		json_string(&json, "type", page->type);
		json_key(&json, "labels");
		putc('{', page->out);
	} else {
		fputs(page->name, page->out);
	}
	for (int i = 0; labels && labels[i]; i += 2) {
		fprintf(page->out, page->json ? "%s\"%s\": " : "%s%s=", separator, labels[i]);
		/* without control characters, a label is quoted as JSON is */
		print_json_string(page->out, labels[i + 1]);
		separator = page->json ? ", " : ",";
	}
	if (page->json) {
		putc('}', page->out);
		json_number(&json, "value", value);
		json_end(&json);
	} else {
		fprintf(page->out, "%s %" PRIu64 "\n", labels && labels[0] ? "}" : "", value);
	}
}

static void print_metric(struct page *page, const char *name, const char *type,
			 const char *about, uint64_t value)
{
	begin_metric(page, name, type, about);
	print_sample(page, NULL, value);
}

static void print_totals(struct page *page, const struct totals *totals)
{
	const struct { const char *name, *type, *about; uint64_t value; } metrics[] = {
		{ "expertmem_experts", "gauge", "Experts that are open, without reclaimed ones.",
		  totals->experts },
		{ "expertmem_experts_limit", "gauge",
		  "Most experts that may be open, without reclaimed ones, 0 for any number.",
		  totals->max_experts },
		{ "expertmem_uid_experts_limit", "gauge",
		  "Most experts that one user may have open, with reclaimed ones, 0 for any number.",
		  totals->uid_max_experts },
		{ "expertmem_experts_opened_total", "counter",
		  "Experts opened since the module was loaded.", totals->opened },
		{ "expertmem_regions", "gauge", "Regions of all experts.", totals->regions },
		{ "expertmem_committed_bytes", "gauge", "Memory in regions of all experts.",
		  totals->committed },
		{ "expertmem_pinned_bytes", "gauge",
		  "Memory of all experts that was freed, but is still held by a pipe, socket or device.",
		  totals->pinned },
		{ "expertmem_resident_bytes", "gauge",
		  "Memory in regions of all experts that is not swapped out.", totals->resident },
		{ "expertmem_limit_bytes", "gauge",
		  "Most that all experts may have in regions and pinned, 0 for no limit.",
		  totals->total_limit },
		{ "expertmem_uid_limit_bytes", "gauge",
		  "Most that the experts of one user may have in regions and pinned, 0 for no limit.",
		  totals->uid_limit },
		{ "expertmem_default_limit_bytes", "gauge",
		  "Limit of experts whose host sets none, 0 for no limit.",
		  totals->default_limit },
		{ "expertmem_refused_calls_total", "counter",
		  "Calls refused for want of memory.", totals->refused },
		{ "expertmem_signal_reclaims_total", "counter",
		  "Experts reclaimed because a signal killed their process.",
		  totals->killed },
		{ "expertmem_reclaimed_bytes_total", "counter",
		  "Memory that experts had when they were reclaimed.", totals->reclaimed_bytes },
		{ "expertmem_lost_events_total", "counter",
		  "Events that could not be sent.", totals->lost_events },
		{ "expertmem_suppressed_events_total", "counter",
		  "Events not sent because their user had caused too many.",
		  totals->suppressed_events },
	};
	const struct { const char *cause; uint64_t value; } reclaims[] = {
		{ "detach", totals->detached },
		{ "host", totals->reclaimed },
		{ "operator", totals->operated },
	};

	for (size_t i = 0; i < sizeof(metrics) / sizeof(metrics[0]); i++)
		print_metric(page, metrics[i].name, metrics[i].type, metrics[i].about,
			     metrics[i].value);
	begin_metric(page, "expertmem_reclaims_total", "counter", "Experts reclaimed, by cause.");
	for (size_t i = 0; i < sizeof(reclaims) / sizeof(reclaims[0]); i++)
		print_sample(page, (const char *[]){ "cause", reclaims[i].cause, NULL },
			     reclaims[i].value);
}

static void print_experts(struct page *page, const struct expert *experts, size_t count)
{
	static const struct {
		const char *name, *type, *about;
		size_t offset;
	} metrics[] = {
		{ "expertmem_expert_regions", "gauge", "Regions of an expert.",
		  offsetof(struct expert, regions) },
		{ "expertmem_expert_committed_bytes", "gauge", "Memory in regions of an expert.",
		  offsetof(struct expert, committed) },
		{ "expertmem_expert_pinned_bytes", "gauge",
		  "Memory of an expert that was freed, but is still held by a pipe, socket or device.",
		  offsetof(struct expert, pinned) },
		{ "expertmem_expert_resident_bytes", "gauge",
		  "Memory in regions of an expert that is not swapped out.",
		  offsetof(struct expert, resident) },
		{ "expertmem_expert_peak_bytes", "gauge",
		  "Most that an expert ever had in regions and pinned.",
		  offsetof(struct expert, peak) },
		{ "expertmem_expert_limit_bytes", "gauge",
		  "Most that an expert may have in regions and pinned, 0 for no limit.",
		  offsetof(struct expert, limit) },
		{ "expertmem_expert_refused_calls_total", "counter",
		  "Calls of an expert refused for want of memory.",
		  offsetof(struct expert, refused) },
	};
	char id[24], name[NAME_TEXT], user[NAME_TEXT];
	const char *const labels[] = { "id", id, "name", name, "user", user, NULL };

	for (size_t m = 0; count && m < sizeof(metrics) / sizeof(metrics[0]); m++) {
		begin_metric(page, metrics[m].name, metrics[m].type, metrics[m].about);
		for (size_t i = 0; i < count; i++) {
			const char *field = (const char *)&experts[i] + metrics[m].offset;

			snprintf(id, sizeof(id), "%" PRIu64, experts[i].id);
			name_text(name, &experts[i]);
			user_text(user, experts[i].uid);
			print_sample(page, labels, *(const uint64_t *)field);
		}
	}
}

/* Return the exit status. */
static int print_page(struct page *page)
{
	struct expert *experts = NULL;
	struct totals totals = {};
	struct link *link = NULL;
	size_t count = 0;
	int error;

	error = link_open(&link);
	if (!error)
		error = link_totals(link, &totals);
	if (!error)
		error = link_experts(link, &experts, &count);

	if (page->json)
		putc('[', page->out);
	print_metric(page, "expertmem_up", "gauge", "Whether the module is loaded.",
		     error != -ENODEV);
	if (!error) {
		print_totals(page, &totals);
		print_experts(page, experts, count);
	}
	fputs(page->json ? "\n]\n" : page->openmetrics ? "# EOF\n" : "", page->out);
	if (error)
		error = operate_failed("metrics", link, error, NULL);
	free(experts);
	link_close(link);
	return error;
}

static int cannot_write(const char *file)
{
	fprintf(stderr, "expertmem metrics: cannot write '%s': %s\n", file, strerror(errno));
	return EXIT_FAILED;
}

/* By a file beside it, for whoever reads it must never see a part. */
static int write_file(struct page *page, const char *file)
{
	char *beside = NULL;
	int fd, status;
	bool bad;

	if (asprintf(&beside, "%s.XXXXXX", file) < 0)
		return cannot_write(file);
	fd = mkostemp(beside, O_CLOEXEC);
	page->out = fd < 0 ? NULL : fdopen(fd, "w");
	if (!page->out) {
		status = cannot_write(file);
		goto out_free;
	}
	status = print_page(page);
	/* the collector runs as another user */
	bad = fchmod(fd, 0644) || ferror(page->out);
	if (fclose(page->out) || bad || rename(beside, file)) {
		status = cannot_write(file);
		unlink(beside);
	}
out_free:
	free(beside);
	return status;
}

int metrics_main(int argc, char **argv)
{
	struct options options = {
		.command = "metrics", .help = help, .expected = "no arguments",
		.takes = TAKES_OUTPUT | TAKES_OPENMETRICS,
	};
	int status = read_options(&options, argc, argv);
	struct page page = { .out = stdout };

	if (status != GO_ON)
		return status;
	if (options.json && options.openmetrics)
		return wrong_usage("metrics", "it is --json or --openmetrics, not both");
	page.json = options.json;
	page.openmetrics = options.openmetrics;
	if (options.output)
		return write_file(&page, options.output);
	return finish_output("metrics", print_page(&page));
}
