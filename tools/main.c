// SPDX-License-Identifier: GPL-2.0
/* expertmem: call the subcommand that the first argument names. */
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "command.h"

static const struct command {
	const char *name;
	int (*main)(int argc, char **argv);
	const char *help;
} commands[] = {
	{ "run",       run_main,       "Run an expert on a capture file, or a program as an expert" },
	{ "configure", configure_main, "Let an expert make its configuration" },
	{ "list",      list_main,      "List the open experts" },
	{ "show",      show_main,      "Show one expert and its regions" },
	{ "top",       top_main,       "Show the experts on the full screen, and control them" },
	{ "monitor",   monitor_main,   "Print the events of experts" },
	{ "limit",     limit_main,     "Set the limit of an expert" },
	{ "terminate", terminate_main, "Ask an expert to stop" },
	{ "reclaim",   reclaim_main,   "Reclaim all memory of an expert" },
	{ "stats",     stats_main,     "Print the totals of all experts" },
	{ "metrics",   metrics_main,   "Print metrics for the node_exporter of Prometheus" },
	{ "doctor",    doctor_main,    "Check the machine, and print remedies" },
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void print_help(FILE *out)
{
	fputs("Usage: expertmem COMMAND [ARGUMENT]...\n"
	      "       expertmem --help | --version\n"
	      "\n"
	      "Run experts, which are plug-ins that analyse network captures. List them,\n"
	      "limit their memory, and reclaim it.\n"
	      "\n"
	      "Commands:\n", out);
	for (size_t i = 0; i < COMMANDS; i++)
		fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].help);
	fputs("\n"
	      "Examples: count the bytes of each host in a capture; list the experts, those that\n"
	      "used most memory first\n"
	      "  expertmem run topusers traffic.pcap\n"
	      "  expertmem list --sort peak\n"
	      "\n"
	      "'expertmem COMMAND --help' explains a command.\n", out);
}

/*
 * Open /dev/null for each standard stream that is closed, in the mode that refuses the stream's
 * use. Otherwise a file that is opened later would get the number of the stream, and its output.
 * O_CLOEXEC: a program that is started finds these streams closed again.
 */
static void occupy_standard_streams(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			open("/dev/null", O_CLOEXEC | (fd == STDIN_FILENO ? O_WRONLY : O_RDONLY));
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : NULL;

	occupy_standard_streams();

	if (!name) {
		print_help(stderr);
		return EXIT_USAGE;
	}
	if (!strcmp(name, "--help") || !strcmp(name, "-h")) {
		print_help(stdout);
		return EXIT_OK;
	}
	if (!strcmp(name, "--version")) {
		puts("expertmem " EXPERTMEM_VERSION);
		return EXIT_OK;
	}
	for (size_t i = 0; i < COMMANDS; i++)
		if (!strcmp(name, commands[i].name))
			return commands[i].main(argc - 1, argv + 1);

	fprintf(stderr, "expertmem: there is no command '%s'; 'expertmem --help' lists the commands\n",
		name);
	return EXIT_USAGE;
}
