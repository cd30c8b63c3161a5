/* SPDX-License-Identifier: GPL-2.0 */
/* Print an expert as text or JSON, and format tables for a terminal. */
#ifndef VIEW_H
#define VIEW_H

#include <stdbool.h>

#include "format.h"
#include "args.h"
#include "json.h"
#include "nl.h"

/* Size of a text with a name and a few words. */
#define NAME_TEXT 64

const char *state_word(uint32_t state);

/* Return the cause of a reclaim as a word: detach, host or operator. */
const char *cause_word(uint32_t cause);

/* Return the cause of a reclaim in words, such as "its process was killed by SIGKILL". */
const char *cause_text(char text[static NAME_TEXT], const struct expert *expert);

/* Return the login name of a user, or the uid if the user has no name. */
const char *user_text(char text[static NAME_TEXT], uint32_t uid);

/* Return the name of the expert without control characters, or "-". */
const char *name_text(char text[static NAME_TEXT], const struct expert *expert);

/* Return "topusers (expert 12)", or "expert 12" for an expert without a name. */
const char *title_text(char text[static NAME_TEXT], const struct expert *expert);

/* Return @bytes with a unit, or if @raw as a number of bytes. */
const char *amount_text(char text[static SIZE_TEXT], uint64_t bytes, bool raw);

/* Return amount_text(), or "none" if @bytes is 0. */
const char *limit_text(char text[static SIZE_TEXT], uint64_t bytes, bool raw);

#define CHARGED_TEXT (2 * SIZE_TEXT + 16)

/* Return the bytes that count against the limit: committed and pinned. */
uint64_t charged_of(const struct expert *expert);

/* Return "1.2 MiB", or with pinned bytes "1.2 MiB and 4.0 KiB pinned". */
const char *charged_text(char text[static CHARGED_TEXT], const struct expert *expert, bool raw);

/* Return the seconds since the expert was opened. */
double age_of(const struct expert *expert);

/* Return @part in per cent of @whole, rounded down; 0 if @whole is 0. */
unsigned int percent_of(uint64_t part, uint64_t whole);

/* Return whether standard output is a terminal that shows colours and bars. */
bool is_colourful(void);

/* Return the width of the terminal, or INT_MAX if standard output is no terminal. */
int line_columns(void);

/**
 * fit_columns() - choose the columns of a table that fit into a line
 * @shown: receives whether each column is shown
 * @rank: the columns in the order in which they get room
 * @width: the width of each column; 0: do not show it
 * @count: number of columns, the length of the three arrays
 * @sorted: the column that is shown first, even if it does not fit
 * @room: width of the line; between two columns are two spaces
 */
void fit_columns(bool *shown, const int *rank, const int *width, int count, int sorted, int room);

enum colour { PLAIN, BOLD, GREEN, YELLOW, RED };
enum colour state_colour(const struct expert *expert);
/* RED from 90 % of the limit on, YELLOW from 75 % on. */
enum colour use_colour(const struct expert *expert);
/* Return the escape sequence of the colour, or "" if !is_colourful(). */
const char *escape(enum colour colour);

/* The keys that json_expert() prints, for --help. */
extern const struct key_row expert_keys[];

/* Add the keys of an expert, those of expert_keys, to the object. */
void json_expert(struct json *json, const struct expert *expert);

/* Return a time of CLOCK_REALTIME as "2026-01-31T12:34:56.789Z". */
const char *time_text(char text[static SIZE_TEXT], double seconds);

#endif /* VIEW_H */
