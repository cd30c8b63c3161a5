/* SPDX-License-Identifier: GPL-2.0 */
/* Parse and format sizes, times and text. */
#ifndef FORMAT_H
#define FORMAT_H

#include <stdint.h>
#include <time.h>

/* Size of a text with a size and its unit. */
#define SIZE_TEXT 32

/* Parse a size with a binary unit: "4096", "64M", "1.5 GiB". Return 0, or -1 if it is invalid. */
int parse_size(const char *text, uint64_t *bytes);

/* Parse digits. Return 0, or -1 if there are other characters, or the number is above @most. */
int parse_number(const char *text, uint64_t most, uint64_t *number);

/* Parse a number of seconds: "2", "0.25". Return 0, or -1 if it is invalid. */
int parse_seconds(const char *text, double *seconds);

/* Write "512 B" or "64.0 MiB". Return @text. */
const char *size_text(char text[static SIZE_TEXT], uint64_t bytes);

/* Write "1 region" or "4 regions". Return @text. */
const char *count_text(char text[static SIZE_TEXT], uint64_t count, const char *noun);

/* Return the time of a clock in seconds. */
double clock_seconds(clockid_t clock);

/* Write "42s", "3m07s", "2h05m" or "1d03h". Return @text. */
const char *duration_text(char text[static SIZE_TEXT], double seconds);

/*
 * Replace each control character (of ASCII and of the C1 set of ISO 6429) and each byte that is not
 * UTF-8 by '?', so that the text is safe for a terminal. Return @text.
 */
char *plain_text(char *text);

/* Return the number of characters; each is taken to be one column wide. */
int text_columns(const char *text);

#endif /* FORMAT_H */
