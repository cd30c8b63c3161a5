/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the subcommands of the expertmem command share. Each one has one function here, in a
 * file of its own or with others of its kind, and a line in the table of expertmem.c.
 */
#ifndef COMMAND_H
#define COMMAND_H

#ifndef EXPERTMEM_VERSION
#define EXPERTMEM_VERSION "(built without a version)"
#endif

/* The exit status of every subcommand; documented in their --help. */
enum {
	EXIT_OK		 = 0,
	EXIT_FAILED	 = 1,	/* the command, or the expert that it ran */
	EXIT_USAGE	 = 2,
	EXIT_NO_MODULE	 = 3,
	EXIT_PERMISSION	 = 4,
	EXIT_CRASHED	 = 5,
	EXIT_TIMEOUT	 = 6,
	EXIT_INTERRUPTED = 130,	/* what shells say of Ctrl-C */
};

/* The same where a program is run, whose own statuses pass through; as env and timeout. */
enum {
	EXIT_PROGRAM_TIMEOUT	= 124,
	EXIT_PROGRAM_FAILED	= 125,	/* not the program, but the command */
	EXIT_NOT_EXECUTABLE	= 126,
	EXIT_NOT_FOUND		= 127,
	EXIT_SIGNAL		= 128,	/* plus its number */
};

int run_main(int argc, char **argv);
int list_main(int argc, char **argv);
int show_main(int argc, char **argv);
int top_main(int argc, char **argv);
int monitor_main(int argc, char **argv);
int limit_main(int argc, char **argv);
int terminate_main(int argc, char **argv);
int reclaim_main(int argc, char **argv);
int stats_main(int argc, char **argv);
int metrics_main(int argc, char **argv);
int doctor_main(int argc, char **argv);

#endif /* COMMAND_H */
