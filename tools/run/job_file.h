/* SPDX-License-Identifier: GPL-2.0 */
/* The file of "expertmem run --job", which has lines KEY=VALUE. */
#ifndef JOB_FILE_H
#define JOB_FILE_H

#include <stddef.h>

/* JOB_EXPERT is 0, so that a table of the keys of options needs no entry for the others. */
enum job_key {
	JOB_EXPERT, JOB_CAPTURE, JOB_PROGRAM, JOB_LIMIT, JOB_TIMEOUT, JOB_ENGINE, JOB_FILTER, JOB_EVENTS,
	JOB_KEYS
};

/**
 * struct job_file - the contents of the file; never freed
 * @value: the value of each key, without white space around it; NULL: the file lacks the key
 * @line: the line number of each value, counted from 1
 * @words: the words of PROGRAM, and NULL
 * @nr_words: number of words
 */
struct job_file {
	char *value[JOB_KEYS];
	unsigned int line[JOB_KEYS];
	char **words;
	int nr_words;
};

/* Return the name of a key in the file. */
const char *job_key_name(enum job_key key);

/*
 * Read the file, and check that it has either EXPERT and CAPTURE, or PROGRAM. Return 0, or -1 after a
 * message that names the file and the line.
 */
int job_file_read(struct job_file *job, const char *file);

#endif /* JOB_FILE_H */
