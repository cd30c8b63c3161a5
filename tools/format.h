/* SPDX-License-Identifier: GPL-2.0 */
/* Reading and writing what people and scripts type and read. */
#ifndef FORMAT_H
#define FORMAT_H

#include <stdint.h>

/* Long enough for any size in words. */
#define SIZE_TEXT 32

/* "4096", "64M", "1.5 GiB": binary units. Return 0, or -1 if that is no size. */
int parse_size(const char *text, uint64_t *bytes);

/* "2", "0.25". Return 0, or -1 if that is no time. */
int parse_seconds(const char *text, double *seconds);

/* "512 B", "64.0 MiB". Return @text. */
const char *size_text(char text[static SIZE_TEXT], uint64_t bytes);

/* "1 region", "4 regions". Return @text. */
const char *count_text(char text[static SIZE_TEXT], uint64_t count, const char *noun);

/* "42s", "3m07s", "2h05m", "1d03h". Return @text. */
const char *duration_text(char text[static SIZE_TEXT], double seconds);

/*
 * Make @text safe for a terminal: a control character, of ASCII or of ISO 6429's eight-bit
 * set, and each byte that is not UTF-8, become '?'. Return @text.
 */
char *plain_text(char *text);

/* Characters, of which each takes a column as far as we know. */
int text_columns(const char *text);

#endif /* FORMAT_H */
