// SPDX-License-Identifier: GPL-2.0
/*
 * Events as CSV (RFC 4180): one table for all kinds, whose columns are the fixed columns and then
 * those of every kind. Columns of two kinds with equal names are one column.
 *
 * A spreadsheet takes a cell that begins with = + - @ for a formula, also behind white space. Excel
 * for East Asian languages also takes the full-width forms of these characters. Such a cell gets an
 * apostrophe before it, unless it is the value of a number.
 */
#include <errno.h>
#include <inttypes.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "../visible.h"
#include "events.h"

/* Most columns of events; spreadsheets take some thousands. */
#define COLUMNS_MAX 1024

/**
 * struct csv - the columns that follow the fixed ones
 * @names: the name of each, in the order in which they were found
 * @count: number of them
 * @index: tree of struct csv_name, see tsearch(3)
 * @error: ENOMEM, or E2BIG: there are more than COLUMNS_MAX columns
 */
struct csv {
	const char **names;
	size_t count;
	void *index;
	int error;
};

struct csv_name {
	const char *name;
	size_t column;
};

static int compare_names(const void *one, const void *other)
{
	const struct csv_name *a = one, *b = other;

	return strcmp(a->name, b->name);
}

/* Return the number of a column; SIZE_MAX: there is no such column. */
static size_t column_of(const struct csv *csv, const char *name)
{
	struct csv_name wanted = { .name = name };
	struct csv_name **found = tfind(&wanted, &csv->index, compare_names);

	return found ? (*found)->column : SIZE_MAX;
}

static void add_column(struct csv *csv, const char *name)
{
	struct csv_name *added;

	if (column_of(csv, name) != SIZE_MAX)
		return;
	if (csv->count == COLUMNS_MAX) {
		csv->error = E2BIG;
		return;
	}
	added = malloc(sizeof(*added));
	if (!added || !csv->names) {
		free(added);
		csv->error = ENOMEM;
		return;
	}
	*added = (struct csv_name){ .name = name, .column = csv->count };
	csv->names[csv->count++] = name;
	if (!tsearch(added, &csv->index, compare_names))
		csv->error = ENOMEM;
}

/* Whether a spreadsheet could take the text for a formula. */
static bool is_formula(const char *text)
{
	/* full-width = + - @: U+FF1D, U+FF0B, U+FF0D, U+FF20 */
	static const char *const wide[] = {
		"\xef\xbc\x9d", "\xef\xbc\x8b", "\xef\xbc\x8d", "\xef\xbc\xa0",
	};

	if (*text == '\t' || *text == '\r' || *text == '\n')
		return true;
	text += strspn(text, " ");
	for (size_t i = 0; i < sizeof(wide) / sizeof(wide[0]); i++)
		if (!strncmp(text, wide[i], strlen(wide[i])))
			return true;
	return *text && strchr("=+-@\t\r\n", *text);
}

/* Write a cell. @plain: the text is a number, which is not changed */
static void print_cell(FILE *out, const char *text, bool plain)
{
	bool quoted = strpbrk(text, "\",\r\n;\t' ") || (!plain && is_formula(text));
	const char *start = text;
	uint32_t character;

	if (quoted)
		putc('"', out);
	if (!plain && is_formula(text))
		putc('\'', out);
	for (; *text; start = text) {
		if (!next_character(&text, &character))
			fputs("\xef\xbf\xbd", out);
		else if (character == '"')
			fputs("\"\"", out);
		else if (character == '\n' || character == '\t')
			putc(character, out);
		else if (character < ' ' || (character >= 0x7f && character < 0xa0) ||
			 is_deceptive(character))
			fprintf(out, "\\u%04x", (unsigned int)character);
		else
			fwrite(start, 1, text - start, out);
	}
	if (quoted)
		putc('"', out);
}

static void print_titles(const struct csv *csv, FILE *out)
{
	fputs("timestamp,severity,severity_number,event,name,source,description,justification,"
	      "machine,frame,pcap_cnt", out);
	for (size_t i = 0; i < csv->count; i++) {
		putc(',', out);
		print_cell(out, csv->names[i], false);
	}
	fputs("\r\n", out);
}

static void print_frame(const struct event *event, FILE *out)
{
	if (event->has_frame)
		fprintf(out, ",%" PRIu32 ",%" PRIu64, event->frame, (uint64_t)event->frame + 1);
	else
		fputs(",,", out);
}

static void print_fixed(const struct event *event, FILE *out)
{
	const NMEVENTDATA *data = event->data;
	const char *const texts[] = {
		data->szEventName, data->szSourceName, data->szDescription, data->Justification,
		data->szMachine,
	};
	char time[EVENT_VALUE];

	if (event->time != NO_TIME)
		fputs(event_timestamp(time, event->time), out);
	fprintf(out, ",%s,%u,%u", severity_word(data->Severity), data->Severity, data->EventIdent);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		putc(',', out);
		print_cell(out, texts[i], false);
	}
	print_frame(event, out);
}

static void print_row(const struct csv *csv, const struct event *event, FILE *out)
{
	const NMCOLUMNVARIANT *cells[COLUMNS_MAX] = {};
	const NMEVENTDATA *data = event->data;
	char room[EVENT_VALUE];

	for (unsigned int i = 0; i < data->NumColumns; i++)
		cells[column_of(csv, event->kind->keys[i])] = &data->Column[i].VariantData;
	print_fixed(event, out);
	for (size_t i = 0; i < csv->count; i++) {
		putc(',', out);
		if (cells[i])
			print_cell(out, column_data(room, cells[i]),
				   column_is_number(cells[i]->Type));
	}
	fputs("\r\n", out);
}

int events_csv_print(struct events *events, FILE *out)
{
	const struct event *list = events_sorted(events);
	struct csv csv = { .names = calloc(COLUMNS_MAX, sizeof(*csv.names)) };

	for (size_t i = 0; i < events->kept && !csv.error; i++) {
		if (i && list[i].kind == list[i - 1].kind)
			continue;
		for (unsigned int c = 0; c < list[i].data->NumColumns && !csv.error; c++)
			add_column(&csv, list[i].kind->keys[c]);
	}
	if (!csv.error) {
		print_titles(&csv, out);
		for (size_t i = 0; i < events->kept; i++)
			print_row(&csv, &list[i], out);
	}
	tdestroy(csv.index, free);
	free(csv.names);
	return csv.error;
}
