/* SPDX-License-Identifier: GPL-2.0 */
/* Write events as a report for browsers: one file, which needs no other file and no network. */
#ifndef EVENTS_HTML_H
#define EVENTS_HTML_H

#include "events.h"

/* A line of "About this run", such as "Engine" and "Wireshark 4.0.17"; @text NULL: left out */
struct html_fact {
	const char *label, *text;
};

/**
 * struct html_page - what the report says beside the events
 * @library: path of the expert; <expert><ident>.htm beside it explains an event
 * @frames: number of frames in words, or NULL
 * @facts: lines at the end of the page; a NULL label ends them
 * @notes: warnings at the top of the page; NULL ends them
 */
struct html_page {
	const char *library;
	const char *frames;
	const struct html_fact *facts;
	const char *const *notes;
};

/* Return 0, or an error number of errno.h. */
int events_html_print(struct events *events, const struct html_page *page, FILE *out);

#endif /* EVENTS_HTML_H */
