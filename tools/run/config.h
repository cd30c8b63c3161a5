/* SPDX-License-Identifier: GPL-2.0 */
/* The file of "expertmem run --config": what is to be run, a line KEY=VALUE for each fact. */
#ifndef CONFIG_H
#define CONFIG_H

#include <stddef.h>

enum config_key { CONFIG_EXPERT, CONFIG_CAPTURE, CONFIG_PROGRAM, CONFIG_LIMIT, CONFIG_TIMEOUT, CONFIG_KEYS };

/**
 * struct config - the file as it was read; never freed
 * @value: of each key, without white space around it; NULL: the key is not there
 * @line: the line that each value is from, counted from 1
 * @words: of PROGRAM, up to a NULL
 * @nr_words: how many words there are
 */
struct config {
	char *value[CONFIG_KEYS];
	unsigned int line[CONFIG_KEYS];
	char **words;
	int nr_words;
};

/* The name of a key, as it is in the file. */
const char *config_key_name(enum config_key key);

/*
 * Read the file. There is an expert with a capture, or a program, and never both. Return 0, or -1
 * having said what is wrong, in which line.
 */
int config_read(struct config *config, const char *file);

#endif /* CONFIG_H */
