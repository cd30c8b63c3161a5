/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Each subcommand is a function in a file cmd_NAME.c, a declaration here and a row in the table of
 * main.c. limit, terminate and reclaim share cmd_control.c.
 */
#ifndef COMMAND_H
#define COMMAND_H

#ifndef EXPERTMEM_VERSION
#define EXPERTMEM_VERSION "(built without a version)"
#endif

#define DEVICE "/dev/expertmem"

/*
 * The exit statuses of the subcommands. systemctl prints a name for the statuses 2 to 7 (LSB), 64 to
 * 78 (BSD) and 200 to 245, see systemd.exec(5). Of these the command uses only 2
 * (INVALIDARGUMENT) and 4 (NOPERMISSION), whose names are right.
 */
enum {
	EXIT_OK		= 0,
	EXIT_FAILED	= 1,	/* the command failed, or the expert that it ran */
	EXIT_USAGE	= 2,
	EXIT_PERMISSION	= 4,
	EXIT_NO_MODULE	= 10,
	EXIT_CRASHED	= 20,
	EXIT_TIMEOUT	= 21,
	EXIT_SIGNAL	= 128,	/* plus the number of the signal, as in shells */
};

/* Exit statuses of "run -- PROGRAM" beside the program's own, as of env(1) and timeout(1). */
enum {
	EXIT_PROGRAM_TIMEOUT	= 124,
	EXIT_PROGRAM_FAILED	= 125,	/* the command itself failed */
	EXIT_NOT_EXECUTABLE	= 126,
	EXIT_NOT_FOUND		= 127,
};

int run_main(int argc, char **argv);
int configure_main(int argc, char **argv);
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
