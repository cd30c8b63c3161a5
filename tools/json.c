// SPDX-License-Identifier: GPL-2.0
#include "json.h"

#include <inttypes.h>

#include "visible.h"

void json_begin(struct json *json, FILE *out, bool lines)
{
	*json = (struct json){ .out = out, .lines = lines };
	putc('{', out);
}

void json_end(struct json *json)
{
	fputs(json->lines ? "\n}" : "}", json->out);
}

void json_key(struct json *json, const char *key)
{
	if (json->some)
		fputs(json->lines ? "," : ", ", json->out);
	if (json->lines)
		fputs("\n  ", json->out);
	json->some = true;
	print_json_string(json->out, key);
	fputs(": ", json->out);
}

void json_number(struct json *json, const char *key, uint64_t value)
{
	json_key(json, key);
	fprintf(json->out, "%" PRIu64, value);
}

void json_bool(struct json *json, const char *key, bool value)
{
	json_key(json, key);
	fputs(value ? "true" : "false", json->out);
}

void json_string(struct json *json, const char *key, const char *value)
{
	json_key(json, key);
	if (value)
		print_json_string(json->out, value);
	else
		fputs("null", json->out);
}

void json_maybe(struct json *json, const char *key, bool known, uint64_t value)
{
	if (known)
		json_number(json, key, value);
	else
		json_string(json, key, NULL);
}

/* Write \u and four digits, or for characters above U+FFFF the two surrogates. */
static void print_escape(FILE *out, uint32_t character)
{
	if (character > 0xffff) {
		character -= 0x10000;
		fprintf(out, "\\u%04x", 0xd800 + (character >> 10));
		character = 0xdc00 + (character & 0x3ff);
	}
	fprintf(out, "\\u%04x", character);
}

void print_json_string(FILE *out, const char *text)
{
	const char *start = text;
	uint32_t character;

	putc('"', out);
	for (; *text; start = text) {
		if (!next_character(&text, &character))
			fputs("\\ufffd", out);
		else if (character == '"' || character == '\\')
			fprintf(out, "\\%c", (char)character);
		else if (character < ' ' || (character >= 0x7f && character < 0xa0) ||
			 is_deceptive(character))
			print_escape(out, character);
		else
			fwrite(start, 1, text - start, out);
	}
	putc('"', out);
}
