// SPDX-License-Identifier: GPL-2.0
#include "format.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "../libexpertmem/text.h"

/*
 * Parse digits with an optional fraction. strtod() also takes a sign, space, an exponent,
 * hexadecimal digits and "inf"; these are refused. Return the text behind the number, or NULL.
 */
static const char *parse_decimal(const char *text, double *value)
{
	const char *after = text + strspn(text, "0123456789.");
	char *end;

	*value = strtod(text, &end);
	/* strtod() reads past @after for an exponent or "0x", and less for a second point */
	return end == after && end != text ? after : NULL;
}

int parse_size(const char *text, uint64_t *bytes)
{
	return em_parse_size(text, bytes) ? 0 : -1;
}

int parse_number(const char *text, uint64_t most, uint64_t *number)
{
	char *end;

	errno = 0;
	*number = strtoull(text, &end, 10);
	return *text < '0' || *text > '9' || *end || errno || *number > most ? -1 : 0;
}

int parse_seconds(const char *text, double *seconds)
{
	const char *rest;
	double value;

	rest = parse_decimal(text, &value);
	/* at most a thousand years, which fits into a timespec */
	if (!rest || *rest || value > 3.2e10)
		return -1;
	*seconds = value;
	return 0;
}

const char *size_text(char text[static SIZE_TEXT], uint64_t bytes)
{
	static const char units[] = "KMGTPE";
	double value = bytes / 1024.0;
	const char *unit = units;

	if (bytes < 1024) {
		snprintf(text, SIZE_TEXT, "%u B", (unsigned int)bytes);
		return text;
	}
	/* 1023.96 KiB would be printed as 1024.0 KiB: use the next unit */
	for (; value >= 1023.95; value /= 1024)
		unit++;
	snprintf(text, SIZE_TEXT, "%.1f %ciB", value, *unit);
	return text;
}

const char *count_text(char text[static SIZE_TEXT], uint64_t count, const char *noun)
{
	snprintf(text, SIZE_TEXT, "%" PRIu64 " %s%s", count, noun, count == 1 ? "" : "s");
	return text;
}

double clock_seconds(clockid_t clock)
{
	struct timespec time;

	clock_gettime(clock, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

const char *duration_text(char text[static SIZE_TEXT], double seconds)
{
	unsigned long long s = seconds;

	if (s < 60)
		snprintf(text, SIZE_TEXT, "%llus", s);
	else if (s < 3600)
		snprintf(text, SIZE_TEXT, "%llum%02llus", s / 60, s % 60);
	else if (s < 24 * 3600)
		snprintf(text, SIZE_TEXT, "%lluh%02llum", s / 3600, s / 60 % 60);
	else
		snprintf(text, SIZE_TEXT, "%llud%02lluh", s / (24 * 3600), s / 3600 % 24);
	return text;
}

char *plain_text(char *text)
{
	em_plain_text(text);
	return text;
}

int text_columns(const char *text)
{
	int columns = 0;

	for (; *text; text++)
		columns += (*text & 0xc0) != 0x80;
	return columns;
}
