// SPDX-License-Identifier: GPL-2.0
/* expertmem: the command. What it can do is in the table below. */
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
	{ "run",       run_main,       "Run an expert on a capture file and report what became of it" },
	{ "list",      list_main,      "List the experts that are open" },
	{ "show",      show_main,      "Show everything of one expert, and its regions" },
	{ "top",       top_main,       "Watch the experts on the full screen, and act on them" },
	{ "monitor",   monitor_main,   "Print what happens to experts, as it happens" },
	{ "limit",     limit_main,     "Set the most memory that an expert may have" },
	{ "terminate", terminate_main, "Ask an expert to stop" },
	{ "reclaim",   reclaim_main,   "Take all memory of an expert back, now" },
	{ "stats",     stats_main,     "Print what all experts have together" },
	{ "metrics",   metrics_main,   "Print numbers for Prometheus' node_exporter" },
	{ "doctor",    doctor_main,    "Find out what is wrong, and what to do about it" },
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void print_help(FILE *out)
{
	fputs("Usage: expertmem COMMAND [ARGUMENT]...\n"
	      "       expertmem --help | --version\n"
	      "\n"
	      "Run experts, plug-ins that analyse network captures; see what they do with\n"
	      "their memory, limit it, and take it back.\n"
	      "\n"
	      "Commands:\n", out);
	for (size_t i = 0; i < COMMANDS; i++)
		fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].help);
	fputs("\n"
	      "Example: who talks most in a capture, and how much memory does it take to know?\n"
	      "  expertmem run topusers traffic.pcap\n"
	      "  expertmem list --sort peak\n"
	      "\n"
	      "'expertmem COMMAND --help' explains a command.\n", out);
}

/*
 * Standard streams that are closed get a descriptor that refuses to be read or written.
 * Else a file opened later would have that number, and receive what is meant for the stream.
 * A program that is started finds them closed, as they were.
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

	fprintf(stderr, "expertmem: there is no command '%s'; 'expertmem --help' lists them\n",
		name);
	return EXIT_USAGE;
}
