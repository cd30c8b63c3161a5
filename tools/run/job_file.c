// SPDX-License-Identifier: GPL-2.0
#include "job_file.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../format.h"

#define BLANKS " \t\r\n\v\f"

static const char *const names[JOB_KEYS] = {
	[JOB_EXPERT]		= "EXPERT",
	[JOB_CAPTURE]		= "CAPTURE",
	[JOB_PROGRAM]		= "PROGRAM",
	[JOB_LIMIT]		= "LIMIT",
	[JOB_TIMEOUT]		= "TIMEOUT",
	[JOB_ENGINE]		= "ENGINE",
	[JOB_FILTER]		= "FILTER",
	[JOB_EVENTS]		= "EVENTS",
};

const char *job_key_name(enum job_key key)
{
	return names[key];
}

/* Print an error. @line: its line number; 0: the error concerns the whole file. Return -1. */
static int __attribute__((format(printf, 3, 4)))
wrong(const char *file, unsigned int line, const char *format, ...)
{
	va_list args;

	fprintf(stderr, "expertmem run: %s", file);
	if (line)
		fprintf(stderr, ", line %u", line);
	fputs(": ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	putc('\n', stderr);
	return -1;
}

/* Remove white space from both ends. */
static char *trim(char *text)
{
	size_t length;

	text += strspn(text, BLANKS);
	for (length = strlen(text); length && strchr(BLANKS, text[length - 1]); length--)
		;
	text[length] = '\0';
	return text;
}

/* Read a line, which is "KEY = VALUE", empty, or a comment. Return 0, or -1 after a message. */
static int read_line(struct job_file *job, const char *file, unsigned int line, char *text)
{
	char *value = strchr(text, '='), *key = trim(text);
	int i;

	if (!*key || *key == '#')
		return 0;
	if (!value)
		return wrong(file, line, "the line is not KEY=VALUE: '%s'", plain_text(key));
	*value++ = '\0';
	key = trim(key);
	for (i = 0; i < JOB_KEYS && strcmp(key, names[i]); i++)
		;
	if (i == JOB_KEYS)
		return wrong(file, line,
			     "there is no key '%s'; the keys are EXPERT, CAPTURE, PROGRAM, LIMIT, TIMEOUT, ENGINE, FILTER and EVENTS",
			     plain_text(key));
	if (job->value[i])
		return wrong(file, line, "%s is also in line %u; remove one of the two lines", key,
			     job->line[i]);
	job->value[i] = strdup(trim(value));
	if (!job->value[i])
		return wrong(file, line, "%s", strerror(errno));
	job->line[i] = line;
	return *job->value[i] ? 0 : wrong(file, line, "%s has no value; remove the line", key);
}

/* Move the next word of *@text to *@to. Return false if a quotation mark is not closed. */
static bool next_word(char **text, char **to)
{
	char quote = '\0', c;

	for (; (c = **text) && (quote || !strchr(BLANKS, c)); ++*text) {
		if (c == quote)
			quote = '\0';
		else if (!quote && (c == '"' || c == '\''))
			quote = c;
		else
			*(*to)++ = c;
	}
	*text += strspn(*text, BLANKS);
	*(*to)++ = '\0';
	return !quote;
}

/* Split PROGRAM into words at white space that is not between quotation marks. */
static int split_program(struct job_file *job, const char *file)
{
	char *text = job->value[JOB_PROGRAM], *to = text;

	/* a word and the white space behind it take at least two bytes */
	job->words = calloc(strlen(text) / 2 + 2, sizeof(*job->words));
	if (!job->words)
		return wrong(file, 0, "%s", strerror(errno));
	while (*text) {
		job->words[job->nr_words++] = to;
		if (!next_word(&text, &to))
			return wrong(file, job->line[JOB_PROGRAM],
				     "a quotation mark of PROGRAM is not closed");
	}
	return 0;
}

static int check(struct job_file *job, const char *file)
{
	const char *expert = job->value[JOB_EXPERT], *program = job->value[JOB_PROGRAM];

	if (expert && program)
		return wrong(file, 0, "the file has EXPERT and PROGRAM; remove one of the two");
	if (!expert && !program)
		return wrong(file, 0,
			     "the file has neither EXPERT nor PROGRAM; write EXPERT=NAME and CAPTURE=FILE, or PROGRAM=COMMAND");
	if (expert && !job->value[JOB_CAPTURE])
		return wrong(file, 0, "the file has EXPERT, but no CAPTURE; write CAPTURE=FILE");
	if (program && job->value[JOB_CAPTURE])
		return wrong(file, job->line[JOB_CAPTURE],
			     "CAPTURE is not used with PROGRAM; write the file into PROGRAM");
	return program ? split_program(job, file) : 0;
}

int job_file_read(struct job_file *job, const char *file)
{
	FILE *in = fopen(file, "re");
	unsigned int line = 0;
	char *text = NULL;
	size_t size = 0;
	ssize_t length;
	int error = 0;

	*job = (struct job_file){};
	if (!in)
		return wrong(file, 0, "cannot open the file: %s", strerror(errno));
	while (!error && (length = getline(&text, &size, in)) >= 0) {
		line++;
		if (strlen(text) != (size_t)length)
			error = wrong(file, line, "the line has a byte 0; the file must be text");
		else
			error = read_line(job, file, line, text);
	}
	if (!error && ferror(in))
		error = wrong(file, 0, "cannot read the file: %s", strerror(errno));
	free(text);
	fclose(in);
	return error ? error : check(job, file);
}
