/* SPDX-License-Identifier: GPL-2.0 */
/* Objects of JSON, written as they come. */
#ifndef JSON_H
#define JSON_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct json {
	FILE *out;
	bool lines;	/* a key on each line, for objects that come alone */
	bool some;	/* there are keys before */
};

void json_begin(struct json *json, FILE *out, bool lines);
void json_end(struct json *json);

/* The key, after which the caller writes its value. */
void json_key(struct json *json, const char *key);

void json_number(struct json *json, const char *key, uint64_t value);
void json_bool(struct json *json, const char *key, bool value);
/* @value: NULL: null */
void json_string(struct json *json, const char *key, const char *value);
/* null where it is not known */
void json_maybe(struct json *json, const char *key, bool known, uint64_t value);

/* A JSON string, quotes included; what is not UTF-8 becomes U+FFFD. */
void print_json_string(FILE *out, const char *text);

#endif /* JSON_H */
