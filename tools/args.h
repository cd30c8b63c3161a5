/* SPDX-License-Identifier: GPL-2.0 */
/* The command line of all subcommands but run, whose options are its own. */
#ifndef ARGS_H
#define ARGS_H

#include <stdbool.h>

/* Options beyond --json and --help, which all take. */
enum {
	TAKES_BYTES	= 1 << 0,
	TAKES_WAIT	= 1 << 1,
	TAKES_SORT	= 1 << 2,
	TAKES_USER	= 1 << 3,
	TAKES_ALL	= 1 << 4,
	TAKES_OUTPUT	= 1 << 5,
	TAKES_DELAY	= 1 << 6,
	TAKES_OPENMETRICS = 1 << 7,
	NO_JSON		= 1 << 8,
	TAKES_JOURNAL	= 1 << 9,
};

struct options {
	const char *command, *help;
	unsigned int takes;
	int operands;		/* how many there are to be */
	const char *expected;	/* what these are, in words */

	/* what was said */
	bool json, bytes, wait, all, openmetrics, journal;
	const char *sort, *user, *output;
	double delay;
	char **operand;
};

/* Return GO_ON, or the exit status after --help or a mistake. */
#define GO_ON (-1)
int read_options(struct options *options, int argc, char **argv);

/* Say to standard error what is wrong with the command line. Return EXIT_USAGE. */
int __attribute__((format(printf, 2, 3)))
wrong_usage(const char *command, const char *format, ...);

/* Flush standard output. Return @status, or EXIT_FAILED having said why it failed. */
int finish_output(const char *command, int status);

#endif /* ARGS_H */
