/* SPDX-License-Identifier: GPL-2.0 */
/* The file of "expertmem run --config", which has lines KEY=VALUE. */
#ifndef CONFIG_H
#define CONFIG_H

#include <stddef.h>

enum config_key { CONFIG_EXPERT, CONFIG_CAPTURE, CONFIG_PROGRAM, CONFIG_LIMIT, CONFIG_TIMEOUT, CONFIG_KEYS };

/**
 * struct config - the contents of the file; never freed
 * @value: the value of each key, without white space around it; NULL: the file lacks the key
 * @line: the line number of each value, counted from 1
 * @words: the words of PROGRAM, and NULL
 * @nr_words: number of words
 */
struct config {
	char *value[CONFIG_KEYS];
	unsigned int line[CONFIG_KEYS];
	char **words;
	int nr_words;
};

/* Return the name of a key in the file. */
const char *config_key_name(enum config_key key);

/*
 * Read the file, and check that it has either EXPERT and CAPTURE, or PROGRAM. Return 0, or -1 after a
 * message that names the file and the line.
 */
int config_read(struct config *config, const char *file);

#endif /* CONFIG_H */
