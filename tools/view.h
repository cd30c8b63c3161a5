/* SPDX-License-Identifier: GPL-2.0 */
/* An expert as people and scripts read it. */
#ifndef VIEW_H
#define VIEW_H

#include <stdbool.h>

#include "format.h"
#include "json.h"
#include "nl.h"

/* A name, or a few words with it. */
#define NAME_TEXT 64

const char *state_word(uint32_t state);

/* Why it was reclaimed: detach, reclaim or operator. */
const char *cause_word(uint32_t cause);

/* Why it was reclaimed: "its process was killed by SIGKILL". */
const char *cause_text(char text[static NAME_TEXT], const struct expert *expert);

/* The login name, or the number where it has none. */
const char *user_text(char text[static NAME_TEXT], uint32_t uid);

/* Its name, safe for a terminal, or "-". */
const char *name_text(char text[static NAME_TEXT], const struct expert *expert);

/* For sentences: "topusers (expert 12)", "expert 12". */
const char *title_text(char text[static NAME_TEXT], const struct expert *expert);

/* With units, or just the number. */
const char *amount_text(char text[static SIZE_TEXT], uint64_t bytes, bool raw);

/* The same, or "none" for 0. */
const char *limit_text(char text[static SIZE_TEXT], uint64_t bytes, bool raw);

#define CHARGED_TEXT (2 * SIZE_TEXT + 16)

/* What counts against its limit: bytes in regions, and pinned ones. */
uint64_t charged_of(const struct expert *expert);

/*
 * What it has, for sentences: "1.2 MiB", "1.2 MiB and 4.0 KiB pinned". Return @text.
 */
const char *charged_text(char text[static CHARGED_TEXT], const struct expert *expert, bool raw);

/* Seconds since it was opened. */
double age_of(const struct expert *expert);

/* What @part of @whole is: 0 to 100, or more. */
unsigned int percent_of(uint64_t part, uint64_t whole);

/* Whether standard output takes colours and bars. */
bool is_colourful(void);

/* Columns in a line of standard output: of the terminal, or any number. */
int line_columns(void);

/*
 * Choose the columns of a table that are shown in a line of @room columns: @sorted first, then
 * those of @rank in this order, as long as each fits whole with a gap of two. @sorted is shown
 * even if it does not fit. A column whose @width is 0 is left out. @shown receives the choice;
 * it, @rank and @width have @count elements.
 */
void fit_columns(bool *shown, const int *rank, const int *width, int count, int sorted, int room);

enum colour { PLAIN, BOLD, GREEN, YELLOW, RED };
enum colour state_colour(const struct expert *expert);
/* How near it is to its limit. */
enum colour use_colour(const struct expert *expert);
/* The escape sequence for standard output, empty where it takes none; PLAIN ends it. */
const char *escape(enum colour colour);

/* Keys and values of an expert, as "expertmem list --help" documents them. */
void json_expert(struct json *json, const struct expert *expert);

/* "2026-01-31T12:34:56.789Z" */
const char *time_text(char text[static SIZE_TEXT], double seconds);

#endif /* VIEW_H */
