// SPDX-License-Identifier: GPL-2.0
#include "args.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "command.h"

/* Width of a line of --help, and of the column of keys. */
#define LINE_WIDTH 88
#define KEYS_WIDTH 25

int wrong_usage(const char *command, const char *format, ...)
{
	va_list args;

	fprintf(stderr, "expertmem %s: ", command);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, "; see 'expertmem %s --help'\n", command);
	return EXIT_USAGE;
}

/* Print two columns: @left, then @text, wrapped to LINE_WIDTH. */
static void print_row(const char *left, int width, const char *text)
{
	int column = printf("  %-*s", width, left), length;

	for (; *text; text += length + (text[length] == ' ')) {
		length = strcspn(text, " ");
		if (column > width + 2 && column + 1 + length > LINE_WIDTH) {
			printf("\n%*s", width + 2, "");
			column = width + 2;
		}
		column += printf("%s%.*s", column > width + 2 ? " " : "", length, text);
	}
	putchar('\n');
}

/* "--sort KEY". Return its length. */
static int option_text(char text[static 32], const struct option_row *row)
{
	return snprintf(text, 32, "--%s%s%s", row->name, row->value ? " " : "",
			row->value ? row->value : "");
}

/* Print the words that a value may be. bash completion reads them after " one of ". */
static void print_choices(const struct option_row *row, int width)
{
	char text[256];
	int length = snprintf(text, sizeof(text), "%s is one of", row->value);

	for (size_t i = 0; row->choice(i); i++)
		length += snprintf(text + length, sizeof(text) - length, " %s%s", row->choice(i),
				   row->choice(i + 1) ? "," : "");
	print_row("", width, text);
}

static void print_options(const struct option_row *options)
{
	char text[32];
	int width = 0, length;

	for (const struct option_row *row = options; row->name; row++) {
		length = option_text(text, row) + 2;
		width = length > width ? length : width;
	}
	for (const struct option_row *row = options; row->name; row++) {
		option_text(text, row);
		print_row(text, width, row->help);
		if (row->choice)
			print_choices(row, width);
	}
}

static void print_statuses(const struct status_row *rows)
{
	char status[8];

	for (; rows->help; rows++) {
		snprintf(status, sizeof(status), "%d", rows->status);
		print_row(status, 5, rows->help);
	}
}

int print_help(const char *command, const struct help *help)
{
	const struct key_section *section = help->keys;

	printf("Usage: expertmem %s [OPTION]...%s%s\n\n%s\n", command,
	       *help->usage ? " " : "", help->usage, help->about);
	print_options(help->options);
	printf("\n%s\n", help->notes);
	for (; section && section->title; section++) {
		puts(section->title);
		for (const struct key_row *row = section->rows; row->keys; row++)
			print_row(row->keys, KEYS_WIDTH, row->help);
		putchar('\n');
	}
	puts("Exit status:");
	print_statuses(help->statuses);
	if (help->program_title) {
		puts(help->program_title);
		print_statuses(help->program_statuses);
	}
	return finish_output(command, EXIT_OK);
}

static bool is_choice(const struct option_row *row, const char *value)
{
	for (size_t i = 0; row->choice(i); i++)
		if (!strcmp(row->choice(i), value))
			return true;
	return false;
}

/* Store the option in its member. Return GO_ON or an exit status. */
static int take_option(struct options *options, const struct option_row *row)
{
	char *member = (char *)options + row->offset;

	if (!row->value) {
		*(bool *)member = true;
		return GO_ON;
	}
	if (row->choice && !is_choice(row, optarg))
		return wrong_usage(options->command, "there is no key '%s' for --%s", optarg,
				   row->name);
	*(const char **)member = optarg;
	return GO_ON;
}

/* Print why getopt_long() returned @option, which is ':' or '?'. Return EXIT_USAGE. */
static int refuse_option(const struct options *options, int option, char **argv)
{
	if (option == ':')
		return wrong_usage(options->command, "%s needs a value", argv[optind - 1]);
	if (optopt > ' ')
		return wrong_usage(options->command, "there is no option -%c", optopt);
	return wrong_usage(options->command, "there is no option %s, or it takes no value",
			   argv[optind - 1]);
}

void long_options(struct option offered[static OPTIONS_MAX + 1], const struct option_row *rows)
{
	size_t i;

	for (i = 0; i < OPTIONS_MAX && rows[i].name; i++)
		offered[i] = (struct option){
			.name = rows[i].name, .val = OPTION_VALUE(i),
			.has_arg = rows[i].value ? required_argument : no_argument,
		};
	offered[i] = (struct option){};
}

int read_options(struct options *options, int argc, char **argv)
{
	const struct option_row *rows = options->help->options;
	struct option offered[OPTIONS_MAX + 1];
	int option, status = GO_ON;

	long_options(offered, rows);
	while (status == GO_ON && (option = getopt_long(argc, argv, ":", offered, NULL)) != -1)
		status = option >= OPTION_VALUE(0) ?
			 take_option(options, &rows[option - OPTION_VALUE(0)]) :
			 refuse_option(options, option, argv);
	if (status == GO_ON && options->show_help)
		return print_help(options->command, options->help);
	if (status != GO_ON)
		return status;
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
	fprintf(stderr, "expertmem %s: cannot write standard output: %s\n", command,
		strerror(errno));
	return EXIT_FAILED;
}
