// SPDX-License-Identifier: GPL-2.0
#include "json.h"

#include <inttypes.h>

#include "../libexpertmem/text.h"

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

void print_json_string(FILE *out, const char *text)
{
	const unsigned char *s = (const unsigned char *)text;

	putc('"', out);
	while (*s) {
		int length = em_utf8_length(s);

		if (!length) {
			fputs("\\ufffd", out);
			s++;
			continue;
		}
		if (*s == '"' || *s == '\\')
			fprintf(out, "\\%c", *s);
		else if (em_is_control(s, length))
			fprintf(out, "\\u%04x", length == 2 ? s[1] : s[0]);
		else
			fwrite(s, 1, length, out);
		s += length;
	}
	putc('"', out);
}
