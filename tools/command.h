/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the subcommands of the expertmem command share. Each one is a file of its
 * own with one function here, and a line in the table of expertmem.c.
 */
#ifndef COMMAND_H
#define COMMAND_H

/* The exit status of every subcommand; documented in their --help. */
enum {
	EXIT_OK		 = 0,
	EXIT_FAILED	 = 1,	/* the expert failed, or could not be started */
	EXIT_USAGE	 = 2,
	EXIT_NO_MODULE	 = 3,
	EXIT_PERMISSION	 = 4,
	EXIT_CRASHED	 = 5,
	EXIT_TIMEOUT	 = 6,
	EXIT_INTERRUPTED = 130,	/* what shells say of Ctrl-C */
};

int run_main(int argc, char **argv);

#endif /* COMMAND_H */
