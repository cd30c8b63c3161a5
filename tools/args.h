/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The command line and the --help of a subcommand. Each subcommand has a table of its options
 * and one of its exit statuses; read_options() reads the first and --help prints both. "run" calls
 * getopt_long() itself, because its arguments may be those of a program.
 */
#ifndef ARGS_H
#define ARGS_H

#include <getopt.h>
#include <stdbool.h>
#include <stddef.h>

/**
 * struct option_row - an option of a subcommand
 * @name: without the two hyphens; NULL ends a table
 * @value: the word for its value in --help, or NULL if the option takes none
 * @offset: the member of struct options that it sets: a bool, or with @value a const char *
 * @help: text for --help, which wraps it
 * @choice: returns the i-th word that is allowed as value, and NULL after the last; NULL: the
 *	subcommand checks the value itself
 */
struct option_row {
	const char *name, *value;
	size_t offset;
	const char *help;
	const char *(*choice)(size_t i);
};

/**
 * struct key_row - keys of a JSON object, or fields of a journal entry
 * @keys: the names, separated by ", "; NULL ends a table
 * @help: text for --help, which wraps it
 * @offset: the member that has the value, for a subcommand that prints JSON from its table
 * @size: size of that member in bytes
 */
struct key_row {
	const char *keys, *help;
	size_t offset, size;
};

/* Keys under a title, such as "The keys of the object:"; a NULL title ends an array of these. */
struct key_section {
	const char *title;
	const struct key_row *rows;
};

/* A NULL help ends a table. */
struct status_row {
	int status;
	const char *help;
};

#define STATUS_DONE		{ EXIT_OK, "done" }
#define STATUS_FAILED		{ EXIT_FAILED, "the command failed" }
#define STATUS_USAGE		{ EXIT_USAGE, "the command line is wrong" }
#define STATUS_PERMISSION	{ EXIT_PERMISSION, "permission denied" }
#define STATUS_NO_MODULE	{ EXIT_NO_MODULE, "the module is not loaded" }

/**
 * struct help - what --help of a subcommand prints
 * @usage: what follows "expertmem NAME [OPTION]..."
 * @about: paragraphs before the options
 * @options: the table of options
 * @notes: paragraphs behind the options, with an example
 * @keys: tables of keys, or NULL
 * @statuses: the table of exit statuses
 * @program_title: line before @program_statuses, or NULL
 * @program_statuses: the exit statuses if "run" runs a program
 */
struct help {
	const char *usage, *about;
	const struct option_row *options;
	const char *notes;
	const struct key_section *keys;
	const struct status_row *statuses;
	const char *program_title;
	const struct status_row *program_statuses;
};

/**
 * struct options - a command line
 * @command: name of the subcommand, for messages
 * @help: text for --help
 * @operands: number of arguments that are not options
 * @expected: what these arguments are, for the message if their number is wrong
 * @operand: these arguments, set by read_options()
 *
 * read_options() sets the other members from the options. The caller may set defaults before.
 */
struct options {
	const char *command;
	const struct help *help;
	int operands;
	const char *expected;

	bool json, bytes, wait, all, openmetrics, journal, show, reset, show_help;
	const char *sort, *user, *output, *delay, *frame;
	char **operand;
};

/* Rows of struct option_row that several subcommands have. */
#define OPTION(option, member, value_word, text) \
	{ .name = (option), .value = (value_word), \
	  .offset = offsetof(struct options, member), .help = (text) }
#define OPTION_BYTES		OPTION("bytes", bytes, NULL, "print sizes in bytes, without units")
#define OPTION_JSON(text)	OPTION("json", json, NULL, text)
#define OPTION_HELP		OPTION("help", show_help, NULL, "print this text")

/* What getopt_long() returns for the row i of a table. */
#define OPTION_VALUE(i) (256 + (int)(i))
/* The most rows of a table of options. */
#define OPTIONS_MAX 32

/* Fill in what getopt_long() takes, from a table of options. */
void long_options(struct option offered[static OPTIONS_MAX + 1], const struct option_row *rows);

/* Print the help to standard output. Return EXIT_OK, or EXIT_FAILED after a message. */
int print_help(const char *command, const struct help *help);

/* Return GO_ON, or the exit status after --help or a wrong command line. */
#define GO_ON (-1)
int read_options(struct options *options, int argc, char **argv);

/* Print to standard error what is wrong with the command line. Return EXIT_USAGE. */
int __attribute__((format(printf, 2, 3)))
wrong_usage(const char *command, const char *format, ...);

/* Flush standard output. Return @status, or EXIT_FAILED after a message if the flush failed. */
int finish_output(const char *command, int status);

#endif /* ARGS_H */
