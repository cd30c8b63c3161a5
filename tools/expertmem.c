// SPDX-License-Identifier: GPL-2.0
/* expertmem: the command. What it can do is in the table below. */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "command.h"

#ifndef EXPERTMEM_VERSION
#define EXPERTMEM_VERSION "(built without a version)"
#endif

static const struct command {
	const char *name;
	int (*main)(int argc, char **argv);
	const char *help;
} commands[] = {
	{ "run", run_main, "Run an expert on a capture file and report what became of it" },
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void print_help(FILE *out)
{
	fputs("Usage: expertmem COMMAND [ARGUMENT]...\n"
	      "       expertmem --help | --version\n"
	      "\n"
	      "Run experts, plug-ins that analyse network captures, and see what they do\n"
	      "with their memory.\n"
	      "\n"
	      "Commands:\n", out);
	for (size_t i = 0; i < COMMANDS; i++)
		fprintf(out, "  %-8s %s\n", commands[i].name, commands[i].help);
	fputs("\n"
	      "Example: who talks most in a capture?\n"
	      "  expertmem run topusers traffic.pcap\n"
	      "\n"
	      "'expertmem COMMAND --help' explains a command.\n", out);
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : NULL;

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
