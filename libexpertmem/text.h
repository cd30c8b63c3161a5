/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Parsers of sizes and names that the library and the command share. They call no function of the
 * C library, which may not have set up its locale yet.
 */
#ifndef EM_TEXT_H
#define EM_TEXT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* The length in bytes of the UTF-8 character at @s; 0: no valid character. */
static inline int em_utf8_length(const unsigned char *s)
{
	/* @low excludes overlong forms, @high surrogates and characters above U+10FFFF */
	unsigned char low = 0x80, high = 0xbf;
	int length;

	if (s[0] < 0x80)
		return 1;
	if (s[0] < 0xc2 || s[0] > 0xf4)
		return 0;
	length = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
	if (s[0] == 0xe0)
		low = 0xa0;
	else if (s[0] == 0xed)
		high = 0x9f;
	else if (s[0] == 0xf0)
		low = 0x90;
	else if (s[0] == 0xf4)
		high = 0x8f;
	if (s[1] < low || s[1] > high)
		return 0;
	for (int i = 2; i < length; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	return length;
}

/* Is it a control character? Some terminals take U+0080 to U+009F for escape sequences. */
static inline bool em_is_control(const unsigned char *s, int length)
{
	return *s < ' ' || *s == 0x7f || (length == 2 && *s == 0xc2 && s[1] < 0xa0);
}

/* The length in bytes of the character at @s; 0: not UTF-8, or a control character. */
static inline int em_plain_length(const unsigned char *s)
{
	int length = em_utf8_length(s);

	return length && !em_is_control(s, length) ? length : 0;
}

/* Write a number with a point, also where the locale of the program has a comma. */
static inline void em_write_double(char text[static 32], int digits, double number)
{
	snprintf(text, 32, "%.*g", digits, number);
	for (; *text; text++)
		if (*text == ',')
			*text = '.';
}

/* Replace each control character, and each byte that is not UTF-8, by a question mark. */
static inline void em_plain_text(char *text)
{
	unsigned char *from = (unsigned char *)text, *to = from;

	while (*from) {
		int length = em_plain_length(from);

		if (length) {
			while (length--)
				*to++ = *from++;
			continue;
		}
		*to++ = '?';
		length = em_utf8_length(from);
		from += length ? length : 1;
	}
	*to = '\0';
}

/*
 * Parse a decimal number, perhaps with a point: its value is @whole + @part / @scale. Returns the end
 * of the number. NULL: no number, or @whole is too large.
 */
static inline const char *em_parse_number(const char *text, uint64_t *whole, uint64_t *part,
					  uint64_t *scale)
{
	const char *start = text;
	bool point = false;

	*whole = 0;
	*part = 0;
	*scale = 1;
	for (; (*text >= '0' && *text <= '9') || (*text == '.' && !point); text++) {
		unsigned int digit = *text - '0';

		if (*text == '.') {
			point = true;
		} else if (!point) {
			if (__builtin_mul_overflow(*whole, 10, whole) ||
			    __builtin_add_overflow(*whole, digit, whole))
				return NULL;
		} else if (*scale < 1000000000000000000) {	/* further digits are less than a byte */
			*part = *part * 10 + digit;
			*scale *= 10;
		}
	}
	return text - start > point ? text : NULL;
}

static inline bool em_is_letter(char c, char capital)
{
	return c == capital || c == capital + ('a' - 'A');
}

/* Parse a size, as "65536", "64M" or "1.5 GiB"; units are binary. False: no size. */
static inline bool em_parse_size(const char *text, uint64_t *bytes)
{
	static const char units[] = "KMGTPE";
	uint64_t whole, part, scale;
	unsigned int shift = 0;

	text = em_parse_number(text, &whole, &part, &scale);
	if (!text)
		return false;
	while (*text == ' ')
		text++;
	for (int i = 0; units[i]; i++)
		if (em_is_letter(*text, units[i]))
			shift = 10 * (i + 1);
	if (shift && em_is_letter(text[1], 'I') && em_is_letter(text[2], 'B'))
		text += 3;
	else if (shift || em_is_letter(*text, 'B'))
		text++;
	if (*text || (shift && whole >> (64 - shift)))
		return false;
	*bytes = (whole << shift) + (uint64_t)(((unsigned __int128)part << shift) / scale);
	return true;
}

#endif /* EM_TEXT_H */
