/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the subcommands of the expertmem command share. Each one has one function here, in a
 * file of its own or with others of its kind, and a line in the table of main.c.
 */
#ifndef COMMAND_H
#define COMMAND_H

#ifndef EXPERTMEM_VERSION
#define EXPERTMEM_VERSION "(built without a version)"
#endif

#define DEVICE "/dev/expertmem"

/*
 * The exit status of every subcommand; documented in their --help. systemd.exec(5) gives a
 * meaning to 2 to 7 (LSB), 64 to 78 (BSD) and 200 to 245, and systemctl shows that meaning: 2 is
 * INVALIDARGUMENT, 4 is NOPERMISSION. No other status of these ranges is used.
 */
enum {
	EXIT_OK		= 0,
	EXIT_FAILED	= 1,	/* the command, or the expert that it ran */
	EXIT_USAGE	= 2,
	EXIT_PERMISSION	= 4,
	EXIT_NO_MODULE	= 10,
	EXIT_CRASHED	= 20,
	EXIT_TIMEOUT	= 21,
	EXIT_SIGNAL	= 128,	/* plus the number of the signal, as shells have it */
};

/* Exit statuses of "run -- PROGRAM" beside the program's own, as of env(1) and timeout(1). */
enum {
	EXIT_PROGRAM_TIMEOUT	= 124,
	EXIT_PROGRAM_FAILED	= 125,	/* not the program, but the command */
	EXIT_NOT_EXECUTABLE	= 126,
	EXIT_NOT_FOUND		= 127,
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
