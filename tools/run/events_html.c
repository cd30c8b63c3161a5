// SPDX-License-Identifier: GPL-2.0
/*
 * The report of events for browsers. The tables are plain HTML. report.js adds sorting and filters, and
 * report.css is the style; both are part of the page.
 *
 * Texts of events are from packets. Only put_text() writes them, which escapes what HTML or a
 * reader could misunderstand. They are never written into an attribute or a script. The content
 * security policy allows no access to a network, and no script but the one with the nonce, a random
 * number that no packet can contain.
 */
#include "events_html.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "../format.h"
#include "../visible.h"

/* Most rows of a kind, and of all kinds. Browsers become slow with more rows. */
#define KIND_ROWS	10000
#define ROWS		50000

/* Bars of the chart. Its picture is BINS * BIN_WIDTH by CHART_HEIGHT units. */
#define BINS		96
#define BIN_WIDTH	10
#define CHART_HEIGHT	150

#define NONCE_TEXT	33

__asm__(".section .rodata\n"
	"report_css: .incbin \"tools/run/report.css\"\n"
	".byte 0\n"
	"report_js: .incbin \"tools/run/report.js\"\n"
	".byte 0\n"
	".previous");
extern const char report_css[], report_js[];

/**
 * struct chart - the number of events in each part of the time of the capture
 * @start: time of the first bar; NO_TIME: there is no chart
 * @step: nanoseconds of a bar
 * @count: number of events of each bar and severity
 * @highest: most events of a bar
 */
struct chart {
	int64_t start;
	int64_t step;
	uint64_t count[BINS][SEVERITIES];
	uint64_t highest;
};

/* --- texts */

static void put_escaped(FILE *out, const char *character)
{
	static const char special[] = "&<>\"'";
	static const char *const names[] = { "&amp;", "&lt;", "&gt;", "&quot;", "&#39;" };
	const char *found = character[1] ? NULL : strchr(special, *character);

	fputs(found && *found ? names[found - special] : character, out);
}

/* Write a text as the content of an element. Escapes such as \x1b are marked; lines are kept. */
static void put_text(FILE *out, const char *text)
{
	char character[VISIBLE_TEXT];
	const char *start = text;

	for (; *text; start = text) {
		visible_next(character, &text);
		if (*start == '\n')
			putc('\n', out);
		else if (character[0] == '\\' && character[1])
			fprintf(out, "<span class=\"esc\">%s</span>", character);
		else
			put_escaped(out, character);
	}
}

/* Write "5,000". */
static void put_count(FILE *out, uint64_t count)
{
	if (count >= 1000) {
		put_count(out, count / 1000);
		fprintf(out, ",%03u", (unsigned int)(count % 1000));
	} else {
		fprintf(out, "%u", (unsigned int)count);
	}
}

static void put_events(FILE *out, uint64_t count)
{
	put_count(out, count);
	fputs(count == 1 ? " event" : " events", out);
}

/* Write "2026-11-29 15:20:51.123". */
static void put_time(FILE *out, int64_t time)
{
	char text[EVENT_VALUE];

	event_timestamp(text, time);
	text[10] = ' ';
	fprintf(out, "%.23s", text);
}

/* --- head */

static int make_nonce(char nonce[static NONCE_TEXT])
{
	unsigned char random[16];

	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return errno;
	for (size_t i = 0; i < sizeof(random); i++)
		snprintf(nonce + 2 * i, 3, "%02x", random[i]);
	return 0;
}

static void put_head(const struct events *events, const char *nonce, FILE *out)
{
	fprintf(out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
		"<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
		"script-src 'nonce-%s'; style-src 'nonce-%s'; base-uri 'none'; form-action 'none'\">\n"
		"<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
		"<meta name=\"color-scheme\" content=\"light dark\">\n"
		"<meta name=\"referrer\" content=\"no-referrer\">\n<title>", nonce, nonce);
	put_text(out, events->expert);
	fputs(": events of ", out);
	put_text(out, events->capture);
	fprintf(out, "</title>\n<style nonce=\"%s\">\n", nonce);
	fputs(report_css, out);
	fputs("</style>\n</head>\n<body>\n", out);
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash && slash[1] ? slash + 1 : path;
}

static void put_title(const struct events *events, const struct html_page *page, FILE *out)
{
	fputs("<header>\n<p class=\"over\">", out);
	put_text(out, events->expert);
	fputs("</p>\n<h1>", out);
	put_text(out, base_name(events->capture));
	fputs("</h1>\n<p class=\"facts\"><b>", out);
	put_events(out, events->count);
	fputs("</b>", out);
	if (page->frames) {
		fputs(" in ", out);
		put_text(out, page->frames);
	}
	if (events->start != NO_TIME) {
		fputs(" · ", out);
		put_time(out, events->start);
		fputs(" to ", out);
		put_time(out, events->end);
		fputs(" UTC", out);
	}
	fputs("</p>\n", out);
	for (const char *const *note = page->notes; *note; note++) {
		fputs("<p class=\"note\">", out);
		put_text(out, *note);
		fputs("</p>\n", out);
	}
	fputs("</header>\n", out);
}

static void put_tiles(const struct events *events, FILE *out)
{
	fputs("<ul class=\"tiles\" aria-label=\"Events by severity\">\n", out);
	for (int i = SEVERITIES - 1; i >= 0; i--) {
		fprintf(out, "<li><div class=\"tile s%d%s\" data-s=\"%d\"><b>", i,
			events->severity[i] ? "" : " none", i);
		put_count(out, events->severity[i]);
		fprintf(out, "</b><span>%s</span></div></li>\n", severity_word(i));
	}
	fputs("</ul>\n", out);
}

/* --- chart */

/* Return the bar of a time. */
static int bin_of(const struct chart *chart, int64_t time)
{
	int64_t bin = time < chart->start ? 0 : (time - chart->start) / chart->step;

	return bin < BINS ? bin : BINS - 1;
}

static void count_bins(struct chart *chart, const struct events *events)
{
	for (size_t i = 0; i < events->kept; i++) {
		const struct event *event = &events->list[i];
		uint64_t sum = 0;
		int bin;

		if (event->time == NO_TIME)
			continue;
		bin = bin_of(chart, event->time);
		chart->count[bin][severity_index(event->data->Severity)]++;
		for (int s = 0; s < SEVERITIES; s++)
			sum += chart->count[bin][s];
		if (sum > chart->highest)
			chart->highest = sum;
	}
}

/* The chart spans the capture and all events. */
static void make_chart(struct chart *chart, const struct events *events)
{
	int64_t start = events->start, end = events->end;

	memset(chart, 0, sizeof(*chart));
	chart->start = NO_TIME;
	if (start == NO_TIME)
		start = end = events->kept ? events->list[0].time : NO_TIME;
	for (size_t i = 0; i < events->kept && start != NO_TIME; i++) {
		int64_t time = events->list[i].time;

		if (time == NO_TIME)
			continue;
		start = time < start ? time : start;
		end = time > end ? time : end;
	}
	/*
	 * no chart of less than BINS nanoseconds, or if times are so far apart that they overflow
	 */
	if (start == NO_TIME || __builtin_sub_overflow(end, start, &chart->step) || chart->step < BINS)
		return;
	chart->step = chart->step / BINS + 1;
	/* the end of the last bar is after @end, and may not be a time */
	if (__builtin_add_overflow(start, BINS * chart->step, &end))
		return;
	chart->start = start;
	count_bins(chart, events);
}

/* Write time and counts of a bar, which browsers show when the pointer or the focus is on it. */
static void put_bar_title(const struct chart *chart, int bin, uint64_t sum, FILE *out)
{
	int64_t start = chart->start + bin * chart->step;
	const char *gap = ": ";

	fputs("<title>", out);
	put_time(out, start);
	fputs(" to ", out);
	put_time(out, start + chart->step);
	fputs(", ", out);
	put_events(out, sum);
	for (int s = SEVERITIES - 1; s >= 0; s--) {
		if (!chart->count[bin][s])
			continue;
		fputs(gap, out);
		put_count(out, chart->count[bin][s]);
		fprintf(out, " %s", severity_word(s));
		gap = ", ";
	}
	fputs("</title>", out);
}

/* The most severe events are at the bottom, where they are easy to compare. */
static void put_bar(const struct chart *chart, int bin, FILE *out)
{
	double y = CHART_HEIGHT, height;
	uint64_t sum = 0;

	for (int s = 0; s < SEVERITIES; s++)
		sum += chart->count[bin][s];
	fprintf(out, "<g class=\"bin\" data-b=\"%d\">", bin);
	put_bar_title(chart, bin, sum, out);
	for (int s = SEVERITIES - 1; s >= 0; s--) {
		if (!chart->count[bin][s])
			continue;
		height = (double)CHART_HEIGHT * chart->count[bin][s] / chart->highest;
		y -= height;
		fprintf(out, "<rect class=\"s%d\" x=\"%d\" y=\"%.2f\" width=\"%d\" height=\"%.2f\"/>", s,
			bin * BIN_WIDTH + 1, y, BIN_WIDTH - 2, height);
	}
	fprintf(out, "<rect class=\"hit\" x=\"%d\" y=\"0\" width=\"%d\" height=\"%d\"/></g>\n",
		bin * BIN_WIDTH, BIN_WIDTH, CHART_HEIGHT);
}

static void put_chart(const struct chart *chart, FILE *out)
{
	if (chart->start == NO_TIME || !chart->highest)
		return;
	fputs("<figure class=\"chart\">\n<figcaption><span id=\"span\">Events over the time of the "
	      "capture</span><span>at most ", out);
	put_count(out, chart->highest);
	fprintf(out, " a bar</span></figcaption>\n<svg viewBox=\"0 0 %d %d\" preserveAspectRatio=\"none\" "
		"role=\"img\" aria-label=\"Events over the time of the capture, by severity\">\n",
		BINS * BIN_WIDTH, CHART_HEIGHT);
	for (int bin = 0; bin < BINS; bin++)
		put_bar(chart, bin, out);
	fprintf(out, "<line class=\"base\" x1=\"0\" x2=\"%d\" y1=\"%d\" y2=\"%d\"/>\n</svg>\n"
		"<div class=\"axis\"><span>", BINS * BIN_WIDTH, CHART_HEIGHT, CHART_HEIGHT);
	put_time(out, chart->start);
	fputs("</span><span>", out);
	put_time(out, chart->start + (BINS - 1) * chart->step + chart->step);
	fputs("</span></div>\n</figure>\n", out);
}

/* --- tables */

static bool is_shown(const struct event_kind *kind, enum fixed_column column)
{
	return kind->used & 1u << column && !(kind->hidden & fixed_flag(column));
}

/* Equal dates, sources and machines are in the line under the heading. */
static bool has_column(const struct event_kind *kind, enum fixed_column column)
{
	if (!is_shown(kind, column) || column == FIXED_DATE)
		return false;
	return column == FIXED_SEVERITY || column == FIXED_TIME || column == FIXED_DESCRIPTION ||
	       kind->differs & 1u << column;
}

/* Addresses and other values whose digits shall be below each other. */
static bool is_monospaced(NMCOLUMNTYPE type)
{
	return type >= NMCOLUMNTYPE_MACADDR && type <= NMCOLUMNTYPE_VARTIME;
}

/* Write the path of a file as the reference of a link. */
static void put_file_url(FILE *out, const char *path)
{
	fputs("file://", out);
	for (; *path; path++)
		if (strchr("/._-", *path) || (*path >= '0' && *path <= '9') ||
		    ((*path | 0x20) >= 'a' && (*path | 0x20) <= 'z'))
			putc(*path, out);
		else
			fprintf(out, "%%%02X", (unsigned char)*path);
}

/* The page <expert><ident>.htm beside the expert, if it exists. It is anyone's HTML: only linked. */
static void put_explanation(const struct html_page *page, DWORD ident, FILE *out)
{
	size_t length = strlen(page->library);
	char path[PATH_MAX];

	if (length > 3 && !strcmp(page->library + length - 3, ".so"))
		length -= 3;
	if (snprintf(path, sizeof(path), "%.*s%u.htm", (int)length, page->library, ident) >=
	    (int)sizeof(path) || access(path, R_OK))
		return;
	fputs(" · <a rel=\"noopener noreferrer\" href=\"", out);
	put_file_url(out, path);
	fputs("\">What this event means</a>", out);
}

static void put_kind_head(const struct event *first, const struct html_page *page, FILE *out)
{
	const struct event_kind *kind = first->kind;
	static const enum fixed_column columns[] = { FIXED_DATE, FIXED_SOURCE, FIXED_MACHINE };
	const char *name = first->data->szEventName;
	char text[EVENT_VALUE];

	fprintf(out, "<section class=\"kind\" aria-labelledby=\"k%zu\">\n<h2 id=\"k%zu\">", kind->order,
		kind->order);
	if (*name && is_shown(kind, FIXED_NAME) && !has_column(kind, FIXED_NAME))
		put_text(out, name);
	else
		fprintf(out, "Event %u", first->data->EventIdent);
	fputs(" <span class=\"count\">", out);
	put_count(out, kind->count);
	fprintf(out, "</span></h2>\n<p class=\"about\">Event %u", first->data->EventIdent);
	for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++) {
		if (!is_shown(kind, columns[i]) || kind->differs & 1u << columns[i])
			continue;
		fputs(" · ", out);
		put_text(out, fixed_text(text, first, columns[i]));
	}
	put_explanation(page, first->data->EventIdent, out);
	fputs("</p>\n", out);
}

static void put_column_heads(const struct event_kind *kind, FILE *out)
{
	fputs("<thead><tr>", out);
	for (int i = 0; i < FIXED_DESCRIPTION; i++)
		if (has_column(kind, i))
			fprintf(out, "<th scope=\"col\"%s>%s</th>",
				i <= FIXED_TIME ? " data-n" : "", fixed_title(i));
	for (unsigned int i = 0; i < kind->first->NumColumns; i++) {
		bool number = column_is_number(kind->first->Column[i].VariantData.Type);

		fputs(number ? "<th scope=\"col\" class=\"n\" data-n>" : "<th scope=\"col\">", out);
		put_text(out, kind->keys[i]);
		fputs("</th>", out);
	}
	for (int i = FIXED_DESCRIPTION; i < FIXED_COLUMNS; i++)
		if (has_column(kind, i))
			fprintf(out, "<th scope=\"col\">%s</th>", fixed_title(i));
	fputs("</tr></thead>\n<tbody>\n", out);
}

static void put_justification(const struct event *event, FILE *out)
{
	if (!*event->data->Justification)
		return;
	fputs("<details><summary>Why</summary>", out);
	put_text(out, event->data->Justification);
	fputs("</details>", out);
}

static void put_fixed_cell(const struct event *event, enum fixed_column column, FILE *out)
{
	char text[EVENT_VALUE];
	DWORD severity = event->data->Severity;

	if (column == FIXED_SEVERITY) {
		fprintf(out, "<td data-v=\"%u\"><span class=\"sev s%u\">%s</span></td>", severity,
			severity_index(severity), severity_word(severity));
	} else if (column == FIXED_TIME && event->time == NO_TIME) {
		fputs("<td class=\"m\" data-v=\"\"></td>", out);
	} else if (column == FIXED_TIME) {
		fprintf(out, "<td class=\"m\" data-v=\"%.3f\">", event->time / 1e6);
		if (event->kind->differs & 1u << FIXED_DATE)
			put_time(out, event->time);
		else
			fputs(fixed_text(text, event, column), out);
		fputs("</td>", out);
	} else {
		fputs(column == FIXED_DESCRIPTION ? "<td class=\"w d\">" : "<td class=\"w\">", out);
		put_text(out, fixed_text(text, event, column));
		if (column == FIXED_DESCRIPTION)
			put_justification(event, out);
		fputs("</td>", out);
	}
}

static void put_column_cell(const NMCOLUMNVARIANT *value, FILE *out)
{
	char text[EVENT_VALUE], data[EVENT_VALUE];

	if (column_is_number(value->Type))
		fprintf(out, "<td class=\"n\" data-v=\"%s\">", column_data(data, value));
	else
		fputs(is_monospaced(value->Type) ? "<td class=\"m\">" :
		      value->Type == NMCOLUMNTYPE_STRING ? "<td class=\"w\">" : "<td>", out);
	put_text(out, column_text(text, value));
	fputs("</td>", out);
}

static void put_row(const struct event *event, const struct chart *chart, FILE *out)
{
	const struct event_kind *kind = event->kind;

	fprintf(out, "<tr data-s=\"%u\"", severity_index(event->data->Severity));
	if (event->time != NO_TIME && chart->start != NO_TIME)
		fprintf(out, " data-b=\"%d\"", bin_of(chart, event->time));
	putc('>', out);
	for (int i = 0; i < FIXED_DESCRIPTION; i++)
		if (has_column(kind, i))
			put_fixed_cell(event, i, out);
	for (unsigned int i = 0; i < event->data->NumColumns; i++)
		put_column_cell(&event->data->Column[i].VariantData, out);
	for (int i = FIXED_DESCRIPTION; i < FIXED_COLUMNS; i++)
		if (has_column(kind, i))
			put_fixed_cell(event, i, out);
	fputs("</tr>\n", out);
}

/* Write the table of a kind, whose events are at @list. Return the number of its rows. */
static size_t put_kind(const struct event *list, size_t room, const struct html_page *page,
		       const struct chart *chart, FILE *out)
{
	size_t rows = list->kind->count;

	rows = rows < KIND_ROWS ? rows : KIND_ROWS;
	rows = rows < room ? rows : room;
	if (!rows)
		return 0;
	put_kind_head(list, page, out);
	fprintf(out, "<div class=\"sheet\" role=\"region\" aria-labelledby=\"k%zu\" tabindex=\"0\">\n"
		"<table>\n", list->kind->order);
	put_column_heads(list->kind, out);
	for (size_t i = 0; i < rows; i++)
		put_row(&list[i], chart, out);
	fputs("</tbody>\n</table>\n", out);
	if (rows < list->kind->count) {
		fputs("<p class=\"more\">The table has the first ", out);
		put_count(out, rows);
		fputs(" of ", out);
		put_events(out, list->kind->count);
		fputs(", by severity. expertmem run --events FILE writes all.</p>\n", out);
	}
	fputs("</div>\n</section>\n", out);
	return rows;
}

static void put_tables(const struct events *events, const struct html_page *page,
		       const struct chart *chart, FILE *out)
{
	size_t room = ROWS;

	fputs("<main>\n<div class=\"tools\" role=\"search\" hidden>\n"
	      "<label class=\"plain\" for=\"query\">Search in all columns</label>\n"
	      "<input id=\"query\" type=\"search\" placeholder=\"Search in all columns\" "
	      "autocomplete=\"off\" spellcheck=\"false\">\n"
	      "<output id=\"status\" for=\"query\" aria-live=\"polite\"></output>\n"
	      "<button id=\"clear\" type=\"button\" class=\"small\" hidden>Show all events</button>\n"
	      "</div>\n", out);
	if (!events->count)
		fputs("<p class=\"empty\">The expert raised no event.</p>\n", out);
	for (size_t i = 0; i < events->kept; i += events->list[i].kind->count)
		room -= put_kind(&events->list[i], room, page, chart, out);
	fputs("</main>\n", out);
}

static void put_foot(const struct html_page *page, const char *nonce, FILE *out)
{
	fputs("<footer>\n<dl>\n", out);
	for (const struct html_fact *fact = page->facts; fact->label; fact++) {
		if (!fact->text)
			continue;
		fprintf(out, "<dt>%s</dt><dd>", fact->label);
		put_text(out, fact->text);
		fputs("</dd>\n", out);
	}
	fputs("</dl>\n<p>Times are in UTC. Frames such as #42 are numbered from 1, as in Wireshark.</p>\n"
	      "</footer>\n", out);
	fprintf(out, "<script nonce=\"%s\">\n", nonce);
	fputs(report_js, out);
	fputs("</script>\n</body>\n</html>\n", out);
}

int events_html_print(struct events *events, const struct html_page *page, FILE *out)
{
	struct chart *chart = malloc(sizeof(*chart));
	char nonce[NONCE_TEXT];
	int error = chart ? make_nonce(nonce) : ENOMEM;

	if (!error) {
		events_sorted(events);
		make_chart(chart, events);
		put_head(events, nonce, out);
		put_title(events, page, out);
		put_tiles(events, out);
		put_chart(chart, out);
		put_tables(events, page, chart, out);
		put_foot(page, nonce, out);
	}
	free(chart);
	return error;
}
