/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Events with columns. Begin an event, add columns, submit it:
 *
 *	struct event event;
 *
 *	event_begin(&event, 1, NMEVENT_SEVERITY_WARNING, "Retransmission", microseconds);
 *	event_frame(&event, "Frame", number);
 *	error = event_submit(&event, key);
 *
 * The texts are not copied: they have to stay until the event is submitted.
 */
#ifndef EVENT_H
#define EVENT_H

#include <stdint.h>
#include <Netmon.h>

#define EVENT_COLUMNS 8

struct event {
	union {
		NMEVENTDATA data;
		/* behind the members of NMEVENTDATA there is room for its columns */
		char room[sizeof(NMEVENTDATA) + EVENT_COLUMNS * sizeof(NMCOLUMNINFO)];
	};
};

/*
 * Begin an event without columns. @kind: number of the kind of event, which the expert chooses.
 * @time: microseconds since the capture started.
 */
void event_begin(struct event *event, DWORD kind, DWORD severity, const char *name, int64_t time);

/* Add a column: the number of a frame, a number, or a text. An event has up to 8. */
void event_frame(struct event *event, const char *column, DWORD frame);
void event_number(struct event *event, const char *column, double number);
void event_text(struct event *event, const char *column, const char *text);

/* Return NMERR_SUCCESS, or a code of ExpertSubmitEvent(). */
DWORD event_submit(struct event *event, HEXPERTKEY key);

#endif /* EVENT_H */
