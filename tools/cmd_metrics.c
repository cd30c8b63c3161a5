// SPDX-License-Identifier: GPL-2.0
/* expertmem metrics: write the numbers for the textfile collector of node_exporter. */
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

static const struct option_row options_table[] = {
	OPTION("output", output, "FILE", "write to FILE, which is replaced by rename(2)"),
	OPTION("openmetrics", openmetrics, NULL,
	       "print OpenMetrics; the textfile collector of node_exporter does not "
	       "recognise its counters"),
	OPTION_JSON("print a JSON array with an object for each sample"),
	OPTION_HELP,
	{}
};

static const struct key_section keys[] = {
	{ "The keys of each object:", (const struct key_row[]){
		{ .keys = "metric", .help = "name of the metric" },
		{ .keys = "type", .help = "gauge or counter" },
		{ .keys = "labels", .help = "object: id, name and user of an expert, or cause of a reclaim" },
		{ .keys = "value", .help = "number" },
		{}
	} },
	{}
};

static const struct status_row statuses[] = {
	STATUS_DONE, STATUS_FAILED, STATUS_USAGE, STATUS_PERMISSION, STATUS_NO_MODULE,
	{}
};

static const struct help help = {
	.usage = "",
	.about =
"Print the numbers of the module and of each expert in the text format of Prometheus, for\n"
"the textfile collector of node_exporter. If the module is not loaded, print only\n"
"expertmem_up 0, and exit with status 10.\n",
	.options = options_table,
	.notes =
"Example: write the metrics every minute, by a line in /etc/cron.d/expertmem\n"
"  * * * * * root expertmem metrics --output /var/lib/prometheus/node-exporter/expertmem.prom\n",
	.keys = keys,
	.statuses = statuses,
};

/**
 * struct page - the output
 * @out: the stream
 * @json: print JSON
 * @openmetrics: print OpenMetrics
 * @some: a sample was printed before
 * @name: name of the metric whose samples are printed now
 * @type: gauge or counter
 */
struct page {
	FILE *out;
	bool json, openmetrics, some;
	const char *name, *type;
};

static void begin_metric(struct page *page, const char *name, const char *type,
			 const char *about)
{
	static const char total[] = "_total";
	int length = strlen(name);

	page->name = name;
	page->type = type;
	/* in OpenMetrics, the samples of a counter have this suffix, and its name has not */
	if (page->openmetrics && !strcmp(type, "counter"))
		length -= strlen(total);
	if (!page->json)
		fprintf(page->out, "# HELP %.*s %s\n# TYPE %.*s %s\n", length, name, about,
			length, name, type);
}

/* @labels: keys and values without control characters, in turn, ended by NULL; or NULL */
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
		/* Prometheus quotes a text without control characters as JSON does */
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
		  "Most experts that may be open, without reclaimed ones, 0 for no limit.",
		  totals->max_experts },
		{ "expertmem_uid_experts_limit", "gauge",
		  "Most experts that one user may have open, reclaimed ones included, 0 for no limit.",
		  totals->uid_max_experts },
		{ "expertmem_experts_opened_total", "counter",
		  "Experts opened since the module was loaded.", totals->opened },
		{ "expertmem_regions", "gauge", "Regions of all experts.", totals->regions },
		{ "expertmem_committed_bytes", "gauge", "Memory in regions of all experts.",
		  totals->committed },
		{ "expertmem_pinned_bytes", "gauge",
		  "Memory of all experts that was freed or reclaimed, but that a pipe, socket or device still references.",
		  totals->pinned },
		{ "expertmem_resident_bytes", "gauge",
		  "Memory in regions of all experts that is in memory now.", totals->resident },
		{ "expertmem_limit_bytes", "gauge",
		  "Most memory that all experts may have committed and pinned, 0 for no limit.",
		  totals->total_limit },
		{ "expertmem_uid_limit_bytes", "gauge",
		  "Most memory that the experts of one user may have committed and pinned, 0 for no limit.",
		  totals->uid_limit },
		{ "expertmem_default_limit_bytes", "gauge",
		  "Limit of experts whose host sets none, 0 for no limit.",
		  totals->default_limit },
		{ "expertmem_refused_calls_total", "counter",
		  "Calls refused for lack of memory.", totals->refused },
		{ "expertmem_signal_reclaims_total", "counter",
		  "Experts reclaimed because a signal killed their process.",
		  totals->killed },
		{ "expertmem_reclaimed_bytes_total", "counter",
		  "Memory in regions of experts when they were reclaimed.", totals->reclaimed_bytes },
		{ "expertmem_lost_events_total", "counter",
		  "Events that the kernel could not send.", totals->lost_events },
		{ "expertmem_suppressed_events_total", "counter",
		  "Events not sent because the experts of their user caused too many.",
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
		  "Memory of an expert that was freed or reclaimed, but that a pipe, socket or device still references.",
		  offsetof(struct expert, pinned) },
		{ "expertmem_expert_resident_bytes", "gauge",
		  "Memory in regions of an expert that is in memory now.",
		  offsetof(struct expert, resident) },
		{ "expertmem_expert_peak_bytes", "gauge",
		  "Most memory that an expert had committed and pinned at one time.",
		  offsetof(struct expert, peak) },
		{ "expertmem_expert_limit_bytes", "gauge",
		  "Most memory that an expert may have committed and pinned, 0 for no limit.",
		  offsetof(struct expert, limit) },
		{ "expertmem_expert_refused_calls_total", "counter",
		  "Calls of an expert refused for lack of memory.",
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

/* Write a temporary file and rename it, so that no reader sees a part of the page. */
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
	/* the collector, which runs as another user, must be able to read the file */
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
		.command = "metrics", .help = &help, .expected = "no arguments",
	};
	int status = read_options(&options, argc, argv);
	struct page page = { .out = stdout };

	if (status != GO_ON)
		return status;
	if (options.json && options.openmetrics)
		return wrong_usage("metrics", "it takes --json or --openmetrics, not both");
	page.json = options.json;
	page.openmetrics = options.openmetrics;
	if (options.output)
		return write_file(&page, options.output);
	return finish_output("metrics", print_page(&page));
}
