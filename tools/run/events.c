// SPDX-License-Identifier: GPL-2.0
/*
 * Receive events, copy them, and sort them into kinds. Texts that are equal to those of the kind's
 * first event are not copied again.
 */
#include "events.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Bytes of a block of kept events, and the most that an event takes: 255 columns and all texts. */
#define BLOCK_SIZE	(1u << 20)
#define COLUMNS_MAX	255
#define TEXTS_MAX	(6 + 2 * COLUMNS_MAX)
#define EVENT_SPACE	(offsetof(NMEVENTDATA, Column) + COLUMNS_MAX * sizeof(NMCOLUMNINFO) + \
			 EVENT_TEXT_MAX + TEXTS_MAX)

/**
 * struct copy - where the texts of an event are copied to
 * @to: the next byte
 * @left: bytes of text that the event may still have
 */
struct copy {
	char *to;
	size_t left;
};

/* --- memory */

/* Return room for one event, or NULL. commit() then takes what the event needs. */
static void *reserve(struct events *events)
{
	char *block = events->blocks;

	if (events->block_left < EVENT_SPACE) {
		block = malloc(BLOCK_SIZE);
		if (!block)
			return NULL;
		*(void **)block = events->blocks;
		events->blocks = block;
		events->block_left = BLOCK_SIZE - _Alignof(max_align_t);
	}
	return block + BLOCK_SIZE - events->block_left;
}

static void commit(struct events *events, const NMEVENTDATA *data, const char *end)
{
	size_t alignment = _Alignof(max_align_t), size = end - (const char *)data;

	size = (size + alignment - 1) / alignment * alignment;
	events->block_left -= size;
	events->bytes += size;
}

/* --- texts */

/*
 * Copy a text, or share @shared if it is equal. A text that is too long is cut behind a whole
 * character. Return the copy, which is "" for NULL.
 */
static char *copy_text(struct copy *copy, const char *text, char *shared)
{
	size_t length = text ? strnlen(text, copy->left + 1) : 0;
	char *start = copy->to;

	if (!length)
		return (char *)"";
	if (shared && !strcmp(text, shared))
		return shared;
	if (length > copy->left) {
		for (length = copy->left; length && (text[length] & 0xc0) == 0x80; length--)
			;
	}
	memcpy(start, text, length);
	start[length] = '\0';
	copy->to += length + 1;
	copy->left -= length;
	return start;
}

/* --- kinds */

static int compare_kinds(const void *one, const void *other)
{
	const NMEVENTDATA *a = ((const struct event_kind *)one)->first;
	const NMEVENTDATA *b = ((const struct event_kind *)other)->first;
	int order = 0;

	if (a->EventIdent != b->EventIdent)
		return a->EventIdent < b->EventIdent ? -1 : 1;
	if (a->NumColumns != b->NumColumns)
		return a->NumColumns < b->NumColumns ? -1 : 1;
	for (unsigned int i = 0; i < a->NumColumns && !order; i++) {
		order = (int)a->Column[i].VariantData.Type - (int)b->Column[i].VariantData.Type;
		if (!order)
			order = strcmp(a->Column[i].szColumnName, b->Column[i].szColumnName);
	}
	return order;
}

static struct event_kind *find_kind(const struct events *events, const NMEVENTDATA *data)
{
	struct event_kind wanted = { .first = data };
	struct event_kind **found = tfind(&wanted, &events->kinds, compare_kinds);

	return found ? *found : NULL;
}

/**
 * struct used_key - a key of a column, in a tree for tsearch(3)
 * @text: the key
 * @number: the highest number that was appended to @text to make keys of later columns
 */
struct used_key {
	const char *text;
	unsigned int number;
};

static int compare_keys(const void *one, const void *other)
{
	return strcmp(((const struct used_key *)one)->text, ((const struct used_key *)other)->text);
}

/*
 * Make a key for a column that differs from the keys of the columns before it. For n columns this
 * takes O(n log n) time, whatever their names are, because each number is tried once only for each
 * name.
 */
static char *unique_key(const struct event_kind *kind, unsigned int column, void **tree)
{
	char room[EVENT_VALUE], *key;
	const char *name = column_name(room, kind->first, column);
	struct used_key wanted = { .text = name }, **found = tfind(&wanted, tree, compare_keys);
	struct used_key *same = found ? *found : NULL;

	if (!same)
		return strdup(name);
	do {
		same->number++;
		if (asprintf(&key, "%s (%u)", name, same->number) < 0)
			return NULL;
		wanted.text = key;
		if (!tfind(&wanted, tree, compare_keys))
			return key;
		free(key);
	} while (true);
}

static void keep_key(void *key)
{
	(void)key;
}

/* Make the keys of all columns. Return false if there is no memory. */
static bool make_keys(struct event_kind *kind)
{
	struct used_key used[COLUMNS_MAX];
	void *tree = NULL;
	bool made = true;

	kind->keys = calloc(kind->first->NumColumns + 1, sizeof(*kind->keys));
	for (unsigned int i = 0; kind->keys && made && i < kind->first->NumColumns; i++) {
		kind->keys[i] = unique_key(kind, i, &tree);
		used[i] = (struct used_key){ .text = kind->keys[i], .number = 1 };
		made = kind->keys[i] && tsearch(&used[i], &tree, compare_keys);
	}
	tdestroy(tree, keep_key);
	return kind->keys && made;
}

static void free_kind(struct event_kind *kind)
{
	for (unsigned int i = 0; kind->keys && i < kind->first->NumColumns; i++)
		free(kind->keys[i]);
	free(kind->keys);
	free(kind);
}

static struct event_kind *add_kind(struct events *events, const NMEVENTDATA *data)
{
	struct event_kind *kind = calloc(1, sizeof(*kind));

	if (!kind)
		return NULL;
	kind->first = data;
	kind->hidden = NMEVENTFLAG_DO_NOT_DISPLAY_FIXED_COLUMNS;
	kind->order = events->nr_kinds;
	if (!make_keys(kind) || !tsearch(kind, &events->kinds, compare_kinds))
		goto err_free;
	events->nr_kinds++;
	return kind;

err_free:
	free_kind(kind);
	return NULL;
}

/* Update kind->used and kind->differs for the fixed columns of an event. */
static void note_columns(const struct event *event)
{
	struct event first = *event;
	char one[EVENT_VALUE], other[EVENT_VALUE];
	struct event_kind *kind = event->kind;
	const char *text;

	kind->hidden &= event->data->Flags;
	for (int i = 0; i < FIXED_COLUMNS; i++) {
		first.data = kind->first;
		first.time = kind->first_time;
		text = fixed_text(one, event, i);
		if (*text)
			kind->used |= 1u << i;
		if (strcmp(text, fixed_text(other, &first, i)))
			kind->differs |= 1u << i;
	}
}

/* --- copy */

/* Copy the names of the columns. Afterwards the kind can be looked up. */
static void copy_columns(NMEVENTDATA *to, const NMEVENTDATA *from, struct copy *copy)
{
	memcpy(to, from, offsetof(NMEVENTDATA, Column) + from->NumColumns * sizeof(NMCOLUMNINFO));
	copy->to = (char *)&to->Column[from->NumColumns];
	for (unsigned int i = 0; i < from->NumColumns; i++)
		to->Column[i].szColumnName = copy_text(copy, from->Column[i].szColumnName, NULL);
}

/* Copy the other texts. @first: the first event of the kind; NULL: this is the first one */
static void copy_texts(NMEVENTDATA *to, const NMEVENTDATA *from, const NMEVENTDATA *first,
		       struct copy *copy)
{
	if (first) {
		/* give back the room of the names */
		copy->to = (char *)&to->Column[to->NumColumns];
		for (unsigned int i = 0; i < to->NumColumns; i++)
			to->Column[i].szColumnName = first->Column[i].szColumnName;
	}
	to->szSourceName = copy_text(copy, from->szSourceName, first ? first->szSourceName : NULL);
	to->szEventName = copy_text(copy, from->szEventName, first ? first->szEventName : NULL);
	to->szMachine = copy_text(copy, from->szMachine, first ? first->szMachine : NULL);
	for (unsigned int i = 0; i < to->NumColumns; i++) {
		NMCOLUMNVARIANT *value = &to->Column[i].VariantData;

		if (value->Type == NMCOLUMNTYPE_STRING)
			value->Value.pStringVal = copy_text(copy, value->Value.pStringVal, NULL);
	}
	to->szDescription = copy_text(copy, from->szDescription,
				      first ? first->szDescription : NULL);
	to->Justification = copy_text(copy, from->Justification,
				      first ? first->Justification : NULL);
	to->pszReserved = NULL;
	to->pvReserved = NULL;
}

/*
 * SysTime is a time since the start of the capture if its year is 0. Its days count from 0 then.
 * Otherwise it is a date in UTC, as GetCaptureTimeStamp() returns.
 */
static int64_t time_of(const SYSTEMTIME *system, int64_t start)
{
	struct tm tm = {
		.tm_year = system->wYear - 1900, .tm_mon = system->wMonth - 1,
		.tm_mday = system->wDay, .tm_hour = system->wHour, .tm_min = system->wMinute,
		.tm_sec = system->wSecond,
	};
	int64_t seconds;

	if (system->wYear) {
		seconds = timegm(&tm);
		start = 0;
	} else {
		seconds = ((system->wDay * 24 + system->wHour) * 60 + system->wMinute) * INT64_C(60) +
			  system->wSecond;
	}
	if (start == NO_TIME ||
	    __builtin_mul_overflow(seconds, INT64_C(1000000000), &seconds) ||
	    __builtin_add_overflow(seconds, system->wMilliseconds * INT64_C(1000000), &seconds) ||
	    __builtin_add_overflow(seconds, start, &seconds))
		return NO_TIME;
	return seconds;
}

static void find_frame(struct event *event)
{
	const NMEVENTDATA *data = event->data;

	for (unsigned int i = 0; i < data->NumColumns && !event->has_frame; i++) {
		event->has_frame = data->Column[i].VariantData.Type == NMCOLUMNTYPE_FRAME;
		event->frame = data->Column[i].VariantData.Value.FrameVal;
	}
}

static bool make_room(struct events *events)
{
	size_t room = events->room ? 2 * events->room : 256;
	struct event *list;

	if (!events->keep || events->kept < events->room)
		return true;
	list = reallocarray(events->list, room, sizeof(*list));
	if (!list)
		return false;
	events->list = list;
	events->room = room;
	return true;
}

/* Return false if there is no memory. */
static bool take(struct events *events, const NMEVENTDATA *data, struct event *event)
{
	struct copy copy = { .left = EVENT_TEXT_MAX };
	NMEVENTDATA *to = reserve(events);
	struct event_kind *kind;

	if (!to || !make_room(events))
		return false;
	copy_columns(to, data, &copy);
	kind = find_kind(events, to);
	copy_texts(to, data, kind ? kind->first : NULL, &copy);
	*event = (struct event){
		.data = to, .number = events->count,
		.time = time_of(&data->SysTime, events->start),
	};
	if (!kind) {
		kind = add_kind(events, to);
		if (!kind)
			return false;
		kind->first_time = event->time;
	}
	event->kind = kind;
	find_frame(event);
	note_columns(event);
	if (events->keep)
		events->list[events->kept++] = *event;
	if (events->keep || kind->first == to)
		commit(events, to, copy.to);
	kind->count++;
	return true;
}

bool events_add(struct events *events, const NMEVENTDATA *data, struct event *event)
{
	if (events->count >= events->max || events->bytes >= EVENTS_KEPT_MAX ||
	    !take(events, data, event)) {
		events->left_out++;
		return false;
	}
	events->count++;
	events->severity[severity_index(data->Severity)]++;
	return true;
}

static int compare_events(const void *one, const void *other)
{
	const struct event *a = one, *b = other;

	if (a->kind != b->kind)
		return a->kind->order < b->kind->order ? -1 : 1;
	if (a->data->Severity != b->data->Severity)
		return a->data->Severity > b->data->Severity ? -1 : 1;
	if (a->time != b->time) {
		if (a->time == NO_TIME || b->time == NO_TIME)
			return a->time == NO_TIME ? 1 : -1;
		return a->time < b->time ? -1 : 1;
	}
	return a->number < b->number ? -1 : a->number > b->number;
}

const struct event *events_sorted(struct events *events)
{
	if (events->kept)
		qsort(events->list, events->kept, sizeof(*events->list), compare_events);
	return events->list;
}
