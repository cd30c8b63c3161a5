// SPDX-License-Identifier: GPL-2.0
/* Events as tables for people: a table for each kind, or a line for each event as it comes. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "../format.h"
#include "../view.h"
#include "../visible.h"
#include "events.h"

#define GAP		2	/* columns between two cells */
#define NARROWEST	8	/* columns of a cell below which it is not cut */

/**
 * struct table - the columns of the table of a kind
 * @kind: the kind
 * @count: number of columns
 * @column: which column: enum fixed_column, or FIXED_COLUMNS and the index of a column of the event
 * @width: its width
 */
struct table {
	const struct event_kind *kind;
	int count;
	int *column;
	int *width;
};

static const char *cell_text(char room[static EVENT_VALUE], const struct event *event, int column)
{
	if (column < FIXED_COLUMNS)
		return fixed_text(room, event, column);
	return column_text(room, &event->data->Column[column - FIXED_COLUMNS].VariantData);
}

static const char *title_of(const struct event_kind *kind, int column)
{
	return column < FIXED_COLUMNS ? fixed_title(column) : kind->keys[column - FIXED_COLUMNS];
}

static bool is_number(const struct event_kind *kind, int column)
{
	return column >= FIXED_COLUMNS &&
	       column_is_number(kind->first->Column[column - FIXED_COLUMNS].VariantData.Type);
}

static bool is_hidden(const struct event_kind *kind, enum fixed_column column)
{
	return kind->hidden & fixed_flag(column) || !(kind->used & 1u << column);
}

/* Whether a fixed column has the same text in all events. The title of the table has it then. */
static bool is_in_title(const struct event_kind *kind, enum fixed_column column)
{
	return column != FIXED_SEVERITY && column != FIXED_TIME && column != FIXED_DESCRIPTION &&
	       !(kind->differs & 1u << column);
}

/* Choose the columns. Return 0, or an error number. */
static int table_begin(struct table *table, const struct event_kind *kind)
{
	size_t most = FIXED_COLUMNS + kind->first->NumColumns;

	*table = (struct table){
		.kind = kind,
		.column = calloc(most, sizeof(int)), .width = calloc(most, sizeof(int)),
	};
	if (!table->column || !table->width)
		return ENOMEM;
	for (int i = 0; i < FIXED_DESCRIPTION; i++)
		if (!is_hidden(kind, i) && !is_in_title(kind, i))
			table->column[table->count++] = i;
	for (int i = 0; i < kind->first->NumColumns; i++)
		table->column[table->count++] = FIXED_COLUMNS + i;
	for (int i = FIXED_DESCRIPTION; i < FIXED_COLUMNS; i++)
		if (!is_hidden(kind, i) && !is_in_title(kind, i))
			table->column[table->count++] = i;
	return 0;
}

static void table_end(struct table *table)
{
	free(table->column);
	free(table->width);
}

static void widen(struct table *table, int i, const char *text)
{
	int columns = visible_columns(text);

	if (columns > table->width[i])
		table->width[i] = columns;
}

/* Whether the column has sentences or names, which may be cut before numbers and times are. */
static bool is_text(const struct event_kind *kind, int column)
{
	if (column < FIXED_COLUMNS)
		return column >= FIXED_SOURCE;
	return kind->first->Column[column - FIXED_COLUMNS].VariantData.Type == NMCOLUMNTYPE_STRING;
}

/* Return the widest column that can become narrower, or -1. @texts: only columns with texts */
static int widest_column(const struct table *table, bool texts)
{
	int widest = -1;

	for (int i = 0; i < table->count; i++)
		if (table->width[i] > NARROWEST && (!texts || is_text(table->kind, table->column[i])) &&
		    (widest < 0 || table->width[i] > table->width[widest]))
			widest = i;
	return widest;
}

/*
 * Make the columns as wide as their texts. Then narrow the widest ones until a line fits in @room.
 */
static void fit(struct table *table, const struct event *events, size_t count, int room)
{
	char text[EVENT_VALUE];
	int64_t total = (table->count - 1) * GAP;
	int widest;

	for (int i = 0; i < table->count; i++) {
		widen(table, i, title_of(table->kind, table->column[i]));
		for (size_t event = 0; event < count; event++)
			widen(table, i, cell_text(text, &events[event], table->column[i]));
		total += table->width[i];
	}
	while (total > room) {
		widest = widest_column(table, true);
		if (widest < 0)
			widest = widest_column(table, false);
		if (widest < 0)
			return;
		table->width[widest]--;
		total--;
	}
}

static enum colour severity_colour(DWORD severity)
{
	if (severity >= NMEVENT_SEVERITY_ERROR)
		return RED;
	return severity == NMEVENT_SEVERITY_INFORMATIONAL ? PLAIN : YELLOW;
}

/* Print a cell, and white space up to the next one. */
static void print_cell(const struct table *table, int i, const char *text, enum colour colour,
		       FILE *out)
{
	bool right = is_number(table->kind, table->column[i]), last = i == table->count - 1;
	int width = table->width[i], columns = visible_columns(text);

	if (right && columns < width)
		fprintf(out, "%*s", width - columns, "");
	fputs(colour == PLAIN ? "" : escape(colour), out);
	columns = visible_print(out, text, width);
	fputs(colour == PLAIN ? "" : escape(PLAIN), out);
	if (!last)
		fprintf(out, "%*s", GAP + (right ? 0 : width - columns), "");
}

static void print_titles(const struct table *table, FILE *out)
{
	for (int i = 0; i < table->count; i++)
		print_cell(table, i, title_of(table->kind, table->column[i]), BOLD, out);
	putc('\n', out);
}

static void print_row(const struct table *table, const struct event *event, FILE *out)
{
	char text[EVENT_VALUE];

	for (int i = 0; i < table->count; i++)
		print_cell(table, i, cell_text(text, event, table->column[i]),
			   table->column[i] == FIXED_SEVERITY ?
			   severity_colour(event->data->Severity) : PLAIN, out);
	putc('\n', out);
}

/* "Slow response (event 3, HTTP, 2026-11-29): 5 events" */
static void print_heading(const struct event_kind *kind, const struct event *first, int width,
			  FILE *out)
{
	const char *name = first->data->szEventName;
	char text[EVENT_VALUE], count[SIZE_TEXT];
	bool has_name = *name && is_in_title(kind, FIXED_NAME) && !is_hidden(kind, FIXED_NAME);

	fputs(escape(BOLD), out);
	if (has_name)
		visible_print(out, name, width);
	else
		fprintf(out, "Event %u", kind->first->EventIdent);
	fputs(escape(PLAIN), out);
	if (has_name)
		fprintf(out, " (event %u", kind->first->EventIdent);
	for (int i = 0; i < FIXED_COLUMNS; i++) {
		if (i == FIXED_NAME || is_hidden(kind, i) || !is_in_title(kind, i))
			continue;
		fputs(has_name ? ", " : " (", out);
		visible_print(out, fixed_text(text, first, i), width);
		has_name = true;
	}
	fprintf(out, "%s: %s\n", has_name ? ")" : "", count_text(count, kind->count, "event"));
}

static int print_kind(const struct event *events, size_t count, int width, FILE *out)
{
	struct table table;
	int error = table_begin(&table, events->kind);

	if (!error) {
		print_heading(events->kind, events, width, out);
		fit(&table, events, count, width);
		print_titles(&table, out);
		for (size_t i = 0; i < count; i++)
			print_row(&table, &events[i], out);
	}
	table_end(&table);
	return error;
}

int events_table_print(struct events *events, FILE *out, int width)
{
	const struct event *list = events_sorted(events);
	size_t start = 0, end;
	int error = 0;

	for (; start < events->kept && !error; start = end) {
		for (end = start; end < events->kept && list[end].kind == list[start].kind; end++)
			;
		if (start)
			putc('\n', out);
		error = print_kind(&list[start], end - start, width, out);
	}
	return error;
}

/* Print "name=value" of each column, so that a line needs no titles. */
void events_table_follow(const struct event *event, FILE *out)
{
	static const enum fixed_column order[] = {
		FIXED_TIME, FIXED_SEVERITY, FIXED_NAME, FIXED_DESCRIPTION,
	};
	const NMEVENTDATA *data = event->data;
	const char *gap = "", *text;
	char room[EVENT_VALUE];

	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		text = fixed_text(room, event, order[i]);
		if (!*text || data->Flags & fixed_flag(order[i]))
			continue;
		fputs(gap, out);
		if (order[i] == FIXED_SEVERITY)
			fputs(escape(severity_colour(data->Severity)), out);
		visible_print(out, text, INT_MAX);
		if (order[i] == FIXED_SEVERITY)
			fputs(escape(PLAIN), out);
		gap = "  ";
	}
	for (unsigned int i = 0; i < data->NumColumns; i++) {
		fputs(gap, out);
		visible_print(out, event->kind->keys[i], INT_MAX);
		putc('=', out);
		visible_print(out, column_text(room, &data->Column[i].VariantData), INT_MAX);
		gap = "  ";
	}
	putc('\n', out);
}
