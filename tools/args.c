// SPDX-License-Identifier: GPL-2.0
#include "args.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "format.h"

enum { JSON = 1, HELP, BYTES, WAIT, SORT, USER, ALL, OUTPUT, DELAY, OPENMETRICS, JOURNAL };

static const struct {
	struct option option;
	unsigned int takes;
} known[] = {
	{ { "help",   no_argument,	 NULL, HELP },	 0 },
	{ { "json",   no_argument,	 NULL, JSON },	 0 },
	{ { "bytes",  no_argument,	 NULL, BYTES },	 TAKES_BYTES },
	{ { "wait",   no_argument,	 NULL, WAIT },	 TAKES_WAIT },
	{ { "sort",   required_argument, NULL, SORT },	 TAKES_SORT },
	{ { "user",   required_argument, NULL, USER },	 TAKES_USER },
	{ { "all",    no_argument,	 NULL, ALL },	 TAKES_ALL },
	{ { "output", required_argument, NULL, OUTPUT }, TAKES_OUTPUT },
	{ { "delay",  required_argument, NULL, DELAY },	 TAKES_DELAY },
	{ { "openmetrics", no_argument,	 NULL, OPENMETRICS }, TAKES_OPENMETRICS },
	{ { "journal", no_argument,	 NULL, JOURNAL }, TAKES_JOURNAL },
};

#define KNOWN (sizeof(known) / sizeof(known[0]))

int wrong_usage(const char *command, const char *format, ...)
{
	va_list args;

	fprintf(stderr, "expertmem %s: ", command);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, "\nTry 'expertmem %s --help'.\n", command);
	return EXIT_USAGE;
}

static bool takes(const struct options *options, size_t i)
{
	if (known[i].option.val == JSON)
		return !(options->takes & NO_JSON);
	return !known[i].takes || options->takes & known[i].takes;
}

/* Return as read_options(). */
static int read_option(struct options *options, int option, char **argv)
{
	switch (option) {
	case HELP:
		fputs(options->help, stdout);
		return finish_output(options->command, EXIT_OK);
	case JSON:
		options->json = true;
		break;
	case BYTES:
		options->bytes = true;
		break;
	case WAIT:
		options->wait = true;
		break;
	case SORT:
		options->sort = optarg;
		break;
	case USER:
		options->user = optarg;
		break;
	case ALL:
		options->all = true;
		break;
	case OPENMETRICS:
		options->openmetrics = true;
		break;
	case JOURNAL:
		options->journal = true;
		break;
	case OUTPUT:
		options->output = optarg;
		break;
	case DELAY:
		if (parse_seconds(optarg, &options->delay) || options->delay < 0.1 ||
		    options->delay > 3600)
			return wrong_usage(options->command,
					   "'%s' is not a time for --delay; write seconds,\n"
					   "0.1 to 3600", optarg);
		break;
	case ':':
		return wrong_usage(options->command, "%s needs a value", argv[optind - 1]);
	default:
		if (optopt > ' ')
			return wrong_usage(options->command, "there is no option -%c", optopt);
		return wrong_usage(options->command,
				   "there is no option %s, or it takes no value",
				   argv[optind - 1]);
	}
	return GO_ON;
}

int read_options(struct options *options, int argc, char **argv)
{
	struct option offered[KNOWN + 1] = {};
	int option, status;

	for (size_t i = 0, n = 0; i < KNOWN; i++)
		if (takes(options, i))
			offered[n++] = known[i].option;
	while ((option = getopt_long(argc, argv, ":", offered, NULL)) != -1) {
		status = read_option(options, option, argv);
		if (status != GO_ON)
			return status;
	}
	options->operand = argv + optind;
	if (argc - optind != options->operands)
		return wrong_usage(options->command, "it takes %s, not %d argument%s",
				   options->expected, argc - optind,
				   argc - optind == 1 ? "" : "s");
	return GO_ON;
}

int finish_output(const char *command, int status)
{
	if (!fflush(stdout) && !ferror(stdout))
		return status;
	fprintf(stderr, "expertmem %s: cannot write: %s\n", command, strerror(errno));
	return EXIT_FAILED;
}
