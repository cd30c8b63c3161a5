/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Texts that are not trusted, in a form that people can read and that cannot act on a terminal.
 *
 * Control characters, bytes that are not UTF-8, and characters that change the direction of text or
 * are invisible, become escapes such as \x1b and \u202e. No other character is changed.
 */
#ifndef VISIBLE_H
#define VISIBLE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* Room for the text of one character: an escape, or UTF-8. */
#define VISIBLE_TEXT 16

/*
 * Whether a character is invisible or changes the direction of text: the marks and overrides of
 * bidirectional text, separators of lines and paragraphs, and characters of no width.
 */
bool is_deceptive(uint32_t character);

/* Decode the character at *@text and step over it. Return false for a byte that is not UTF-8. */
bool next_character(const char **text, uint32_t *character);

/* Write the next character of *@text, or its escape, and step over it. Return its columns. */
int visible_next(char out[static VISIBLE_TEXT], const char **text);

/* Return the number of columns of the text, as it is printed. */
int visible_columns(const char *text);

/*
 * Print the text in at most @width columns: a text that is longer ends in "…". Return the number of
 * columns that were printed.
 */
int visible_print(FILE *out, const char *text, int width);

#endif /* VISIBLE_H */
