// SPDX-License-Identifier: GPL-2.0-or-later
/* The command line of supervisor and worker, which have equal options. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "worker.h"

static const char usage[] =
	"Usage: %s --capture FILE [--filter TEXT] [--limit BYTES] [--name NAME] [--preload LIBRARY]\n"
	"\n"
	"Reads a capture for experts. libexpertmem starts this program, with a control socket as\n"
	"descriptor 3: see expertmem_open_capture(3).\n"
	"\n"
	"  --capture FILE     the capture; \"-\": standard input\n"
	"  --filter TEXT      the user's filter\n"
	"  --limit BYTES      most bytes of the engine's heap; 0: no limit\n"
	"  --name NAME        name of the engine's expert\n"
	"  --preload LIBRARY  libexpertmem-malloc.so\n"
	"  --version          print the version\n"
	"  --help             print this text\n";

#ifdef __SANITIZE_ADDRESS__
/*
 * A report of AddressSanitizer or UBSan ends the program by exit_group(), which the worker's sandbox
 * allows, with a status that no worker has. The sandbox forbids what the search for leaks and the
 * symbolizer need. Signals are left to end the worker, as in other builds.
 */
const char *__asan_default_options(void);

const char *__asan_default_options(void)
{
	return "detect_leaks=0:symbolize=0:handle_segv=0:handle_sigbus=0:handle_sigfpe=0:exitcode=99";
}
#endif

static bool parse_bytes(const char *text, uint64_t *bytes)
{
	char *end;

	errno = 0;
	*bytes = strtoull(text, &end, 10);
	return *text >= '0' && *text <= '9' && !*end && !errno;
}

/* Parse the command line. -1: go on; else the exit status. */
static int parse(int argc, char **argv, struct options *options)
{
	static const struct option known[] = {
		{ "capture", required_argument, NULL, 'c' },
		{ "filter", required_argument, NULL, 'f' },
		{ "limit", required_argument, NULL, 'l' },
		{ "name", required_argument, NULL, 'n' },
		{ "preload", required_argument, NULL, 'p' },
		{ "version", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },
		{ }
	};
	int option;

	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
		switch (option) {
		case 'c':
			options->capture = optarg;
			break;
		case 'f':
			options->filter = optarg;
			break;
		case 'l':
			if (!parse_bytes(optarg, &options->limit)) {
				fprintf(stderr,
					"%s: --limit '%s' is no number of bytes; write digits only\n",
					program_invocation_short_name, optarg);
				return 2;
			}
			break;
		case 'n':
			options->name = optarg;
			break;
		case 'p':
			options->preload = optarg;
			break;
		case 'v':
			printf("%s %s\n", program_invocation_short_name, EXPERTMEM_VERSION);
			return 0;
		case 'h':
			printf(usage, program_invocation_short_name);
			return 0;
		default:
			return 2;
		}
	}
	if (options->capture && optind == argc)
		return -1;
	fprintf(stderr,
		"%s: give --capture FILE, and no arguments that are not options; see --help\n",
		program_invocation_short_name);
	return 2;
}

int main(int argc, char **argv)
{
	struct options options = { .filter = "", .name = "engine" };
	int status = parse(argc, argv, &options);

	return status < 0 ? run_engine(&options, argv) : status;
}
