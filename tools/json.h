/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Write JSON objects to a stream, key by key. A caller that nests arrays or objects writes their
 * brackets itself.
 */
#ifndef JSON_H
#define JSON_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/**
 * struct json - an object that is being written
 * @out: the stream
 * @lines: write each key on a line of its own
 * @some: a key was written before
 */
struct json {
	FILE *out;
	bool lines;
	bool some;
};

void json_begin(struct json *json, FILE *out, bool lines);
void json_end(struct json *json);

/* Write the key. The caller writes the value. */
void json_key(struct json *json, const char *key);

void json_number(struct json *json, const char *key, uint64_t value);
void json_bool(struct json *json, const char *key, bool value);
/* Write @value, or null if it is NULL. */
void json_string(struct json *json, const char *key, const char *value);
/* Write @value, or null if it is not @known. */
void json_maybe(struct json *json, const char *key, bool known, uint64_t value);

/*
 * Write a JSON string with its quotes. Each byte that is not UTF-8 becomes U+FFFD. Control characters,
 * and those that are invisible or change the direction of text, are written as \u and a number.
 */
void print_json_string(FILE *out, const char *text);

#endif /* JSON_H */
