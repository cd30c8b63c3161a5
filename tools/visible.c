// SPDX-License-Identifier: GPL-2.0
#include "visible.h"

#include <limits.h>
#include <stddef.h>
#include <string.h>

#include "../libexpertmem/text.h"

struct range {
	uint32_t first, last;
};

static bool is_in(const struct range *ranges, size_t count, uint32_t character)
{
	for (size_t i = 0; i < count; i++)
		if (character >= ranges[i].first && character <= ranges[i].last)
			return true;
	return false;
}

bool is_deceptive(uint32_t character)
{
	static const struct range ranges[] = {
		{ 0xad, 0xad },			/* soft hyphen */
		{ 0x61c, 0x61c },		/* Arabic letter mark */
		{ 0x180e, 0x180e },		/* Mongolian vowel separator */
		{ 0x200b, 0x200f },		/* no width; marks of direction */
		{ 0x2028, 0x202e },		/* separators; embeddings and overrides */
		{ 0x2060, 0x206f },		/* no width; isolates */
		{ 0xfeff, 0xfeff },		/* byte order mark */
		{ 0xfff9, 0xfffb },		/* annotations */
		{ 0xe0000, 0xe0fff },		/* tags and variation selectors */
	};

	return is_in(ranges, sizeof(ranges) / sizeof(ranges[0]), character);
}

/* The columns of a character, as terminals show it: 2 for those of East Asia and for pictures. */
static int character_columns(uint32_t character)
{
	static const struct range wide[] = {
		{ 0x1100, 0x115f }, { 0x2e80, 0xa4cf }, { 0xac00, 0xd7a3 }, { 0xf900, 0xfaff },
		{ 0xfe30, 0xfe6f }, { 0xff00, 0xff60 }, { 0xffe0, 0xffe6 }, { 0x1f300, 0x1faff },
		{ 0x20000, 0x3fffd },
	};
	static const struct range combining[] = {
		{ 0x300, 0x36f }, { 0x483, 0x489 }, { 0x591, 0x5bd }, { 0x610, 0x61a },
		{ 0x64b, 0x65f }, { 0x1ab0, 0x1aff }, { 0x1dc0, 0x1dff }, { 0x20d0, 0x20ff },
		{ 0xfe00, 0xfe0f }, { 0xfe20, 0xfe2f },
	};

	if (character < 0x300)
		return 1;
	if (is_in(combining, sizeof(combining) / sizeof(combining[0]), character))
		return 0;
	return is_in(wide, sizeof(wide) / sizeof(wide[0]), character) ? 2 : 1;
}

bool next_character(const char **text, uint32_t *character)
{
	const unsigned char *s = (const unsigned char *)*text;
	int length = em_utf8_length(s);

	if (!length) {
		*character = *s;
		++*text;
		return false;
	}
	*character = length == 1 ? *s : *s & (0x7f >> length);
	for (int i = 1; i < length; i++)
		*character = *character << 6 | (s[i] & 0x3f);
	*text += length;
	return true;
}

int visible_next(char out[static VISIBLE_TEXT], const char **text)
{
	const char *start = *text;
	uint32_t character;
	bool valid = next_character(text, &character);

	if (valid && character == '\t')
		strcpy(out, "\\t");
	else if (valid && character == '\n')
		strcpy(out, "\\n");
	else if (valid && character == '\r')
		strcpy(out, "\\r");
	else if (!valid || character < ' ' || (character >= 0x7f && character < 0xa0))
		snprintf(out, VISIBLE_TEXT, "\\x%02x", (unsigned int)character);
	else if (is_deceptive(character))
		snprintf(out, VISIBLE_TEXT, "\\u%04x", (unsigned int)character);
	else {
		memcpy(out, start, *text - start);
		out[*text - start] = '\0';
		return character_columns(character);
	}
	return strlen(out);
}

int visible_columns(const char *text)
{
	char out[VISIBLE_TEXT];
	int columns = 0;

	while (*text && columns < INT_MAX / 2)
		columns += visible_next(out, &text);
	return columns;
}

int visible_print(FILE *out, const char *text, int width)
{
	bool cut = visible_columns(text) > width;
	int room = cut ? width - 1 : width, printed = 0, columns;
	char character[VISIBLE_TEXT];

	while (*text) {
		columns = visible_next(character, &text);
		if (printed + columns > room)
			break;
		fputs(character, out);
		printed += columns;
	}
	if (cut) {
		fputs("…", out);
		printed++;
	}
	return printed;
}
