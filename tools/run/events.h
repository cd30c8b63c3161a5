/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Events that an expert raised by ExpertSubmitEvent(). All texts of events are from the expert, and
 * often from packets: each output escapes what its reader could misunderstand.
 *
 *   events.c		receive events: count, limit, copy and sort them
 *   event_text.c	times, severities and values of columns as text
 *   events_table.c	tables for a terminal
 *   events_csv.c	CSV for spreadsheets
 *   events_json.c	a JSON object on each line
 *   events_html.c	a report for browsers
 *   annotate.c		comments in a copy of the capture
 */
#ifndef EVENTS_H
#define EVENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <Netmon.h>

#include "../json.h"

/* Most events by default. */
#define EVENTS_MAX	1000000
/* Most bytes of the texts of one event: expertmem_read_events() passes no more. */
#define EVENT_TEXT_MAX	(64u << 10)
/* Most bytes that the host keeps for the outputs that are written after Run. */
#define EVENTS_KEPT_MAX	(UINT64_C(1) << 30)

/* The number of severities: NMEVENT_SEVERITY_INFORMATIONAL to _CRITICAL_ERROR. */
#define SEVERITIES	6

/* The time of a struct event whose time is not known. */
#define NO_TIME		INT64_MIN

/**
 * struct event_kind - events with equal EventIdent and equal columns
 * @first: the first event: it has the number, the names and types of the columns
 * @first_time: time of @first, as in struct event
 * @count: number of events
 * @hidden: NMEVENTFLAG_DO_NOT_DISPLAY_*: fixed columns that all these events hide
 * @differs: fixed columns, as bits 1 << enum fixed_column, whose texts are not equal in all events
 * @used: fixed columns that have a text in some event
 * @keys: the names of the columns, each once: a second "port" is "port (2)"
 * @order: number of the kind, in the order of the first events
 */
struct event_kind {
	const NMEVENTDATA *first;
	int64_t first_time;
	uint64_t count;
	DWORD hidden;
	unsigned int differs;
	unsigned int used;
	char **keys;
	size_t order;
};

/**
 * struct event - an event as the outputs see it
 * @data: the event; no text of it is NULL
 * @kind: its kind
 * @number: number of the event, from 0, in the order in which they were raised
 * @time: nanoseconds since 1970 in UTC, or NO_TIME
 * @frame: the number of the frame in its first column of the type FRAME, from 0
 * @has_frame: there is such a column
 */
struct event {
	const NMEVENTDATA *data;
	struct event_kind *kind;
	uint64_t number;
	int64_t time;
	uint32_t frame;
	bool has_frame;
};

/**
 * struct events - all events of a run
 * @expert: name of the expert
 * @capture: path of the capture
 * @start: time of the first frame, in nanoseconds since 1970 in UTC; NO_TIME: not known
 * @end: time of the latest frame
 * @max: most events that are accepted
 * @keep: keep the events for events_sorted()
 * @count: number of events that were accepted
 * @left_out: number of events that were not accepted
 * @severity: number of accepted events of each severity; others count as the last one
 * @list: the events that are kept, in the order in which they were raised
 * @kept: number of entries of @list
 * @room: number of entries that @list has room for
 * @bytes: bytes of the events that are kept
 * @kinds: root of the tree of kinds, see tsearch(3)
 * @nr_kinds: number of kinds
 * @blocks: blocks of memory of kept events, linked by their first word
 * @block_left: bytes that are free in the newest block
 */
struct events {
	const char *expert;
	const char *capture;
	int64_t start;
	int64_t end;
	uint64_t max;
	bool keep;
	uint64_t count;
	uint64_t left_out;
	uint64_t severity[SEVERITIES];
	struct event *list;
	size_t kept, room;
	uint64_t bytes;
	void *kinds;
	size_t nr_kinds;
	void *blocks;
	size_t block_left;
};

/*
 * Take a copy of an event. @event receives it, for outputs that print events as they come; it is valid
 * until the next call. Return false if the event was left out.
 */
bool events_add(struct events *events, const NMEVENTDATA *data, struct event *event);

/*
 * Sort the kept events: by kind, in the order of the kinds' first events; then the most severe first;
 * then by time, those without a time last; then as they were raised. Return @events->list.
 */
const struct event *events_sorted(struct events *events);

/* --- event_text.c */

/* Fixed columns of an event, in the order in which tables show them. */
enum fixed_column {
	FIXED_SEVERITY, FIXED_DATE, FIXED_TIME, FIXED_SOURCE, FIXED_NAME, FIXED_DESCRIPTION,
	FIXED_MACHINE, FIXED_COLUMNS
};

/* The title of a fixed column, such as "Severity", and the flag of NMEVENTDATA that hides it. */
const char *fixed_title(enum fixed_column column);
DWORD fixed_flag(enum fixed_column column);

/* Return "warning", or "unknown" for a number that Netmon.h does not have. */
const char *severity_word(DWORD severity);
/* Return the index of a severity in an array of SEVERITIES numbers. */
unsigned int severity_index(DWORD severity);

/* Room for a time, a number or an address as text. */
#define EVENT_VALUE 64

/* Write "2026-11-29T15:20:51.123456+00:00". Return @text. */
const char *event_timestamp(char text[static EVENT_VALUE], int64_t time);

/* Return the text of a fixed column: of the event, or written to @text. */
const char *fixed_text(char text[static EVENT_VALUE], const struct event *event,
		       enum fixed_column column);

/* The name of a column, or "column 3" if it has none. */
const char *column_name(char text[static EVENT_VALUE], const NMEVENTDATA *data,
			unsigned int column);

/* The value of a column as programs read it: a frame is counted from 0, a number has all digits. */
const char *column_data(char text[static EVENT_VALUE], const NMCOLUMNVARIANT *value);

/*
 * The value of a column as a person reads it. Frames are counted from 1, as Wireshark does, and
 * written as "#42". Floating point numbers have six digits.
 */
const char *column_text(char text[static EVENT_VALUE], const NMCOLUMNVARIANT *value);

/* Whether values of this type are numbers, which tables align to the right. */
bool column_is_number(NMCOLUMNTYPE type);

/* --- outputs; each returns 0, or an error number of errno.h */

int events_table_print(struct events *events, FILE *out, int width);
/* Print an event as it comes, in one line. */
void events_table_follow(const struct event *event, FILE *out);
int events_csv_print(struct events *events, FILE *out);
void events_json_print(const struct events *events, const struct event *event, FILE *out);

#endif /* EVENTS_H */
