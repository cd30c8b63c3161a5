// SPDX-License-Identifier: GPL-2.0
/* expertmem configure: let an expert make its configuration, and store it. */
#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "args.h"
#include "command.h"
#include "format.h"
#include "run/config.h"
#include "run/job.h"
#include "run/library.h"

static const struct option_row rows[] = {
	OPTION("frame", frame, "NUMBER",
	       "the frame that the user has selected, counted from 0, for experts that look at the "
	       "start-up information"),
	OPTION("show", show, NULL, "print the stored configuration, and do not call the expert"),
	OPTION("reset", reset, NULL, "remove the stored configuration, and do not call the expert"),
	OPTION_HELP,
	{}
};

static const struct status_row statuses[] = {
	STATUS_DONE,
	{ EXIT_FAILED, "the expert returned FALSE, which means that the user cancelled; it has no "
		       "configuration; or the configuration could not be read or stored" },
	STATUS_USAGE,
	{ EXIT_PERMISSION, "no permission for /dev/expertmem" },
	{ EXIT_CRASHED, "the expert crashed, or exited before Configure returned" },
	{ EXIT_SIGNAL + SIGINT, "SIGINT interrupted the command (143: SIGTERM did)" },
	{}
};

static const struct help help = {
	.usage = "EXPERT",
	.about =
"Call Configure() of an expert in a process of its own, with the configuration that is stored, and\n"
"store what it returns. expertmem run passes it to Run().\n"
"\n"
"EXPERT is the path of a shared library, or the name of an installed expert. The configuration of\n"
"NAME.so is the file $XDG_CONFIG_HOME/expertmem/NAME.config, or ~/.config/expertmem/NAME.config.\n"
"Only the expert knows what its bytes mean; the first four contain their number.\n",
	.options = rows,
	.notes =
"There are no windows: an expert asks on the terminal. A configuration replaces the stored one only\n"
"if Configure() returned TRUE.\n",
	.statuses = statuses,
};

/* Print 16 bytes in a line: their offset, their values, and the characters of ASCII. */
static void print_bytes(const unsigned char *bytes, size_t size)
{
	for (size_t line = 0; line < size; line += 16) {
		printf("%08zx ", line);
		for (size_t i = line; i < line + 16; i++)
			if (i < size)
				printf(" %02x", bytes[i]);
			else
				fputs("   ", stdout);
		fputs("  ", stdout);
		for (size_t i = line; i < line + 16 && i < size; i++)
			putchar(bytes[i] < 0x80 && isprint(bytes[i]) ? bytes[i] : '.');
		putchar('\n');
	}
}

static int show(const char *path)
{
	size_t size;
	void *config;

	if (config_read("configure", path, true, &config, &size))
		return EXIT_FAILED;
	if (!config) {
		printf("%s: there is no configuration\n", path);
	} else {
		printf("%s: %zu bytes\n", path, size);
		print_bytes(config, size);
	}
	free(config);
	return finish_output("configure", EXIT_OK);
}

static int reset(const char *path)
{
	if (!unlink(path) || errno == ENOENT || errno == ENOTDIR)
		return EXIT_OK;
	fprintf(stderr, "expertmem configure: cannot remove '%s': %s\n", path, strerror(errno));
	return EXIT_FAILED;
}

static int damaged(void)
{
	fputs("expertmem configure: the expert's process damaged the new configuration, which is "
	      "not stored; repair the expert\n", stderr);
	return EXIT_FAILED;
}

/*
 * Return whether the first DWORD of the configuration is its size. save_config() in the child has
 * checked this, but other code of the expert may have written to the file since.
 */
static bool is_consistent(const void *config, size_t size)
{
	DWORD length;

	memcpy(&length, config, sizeof(length));
	return length == size;
}

/* Store the configuration that the child wrote. If it is damaged, keep the stored configuration. */
static int store(const struct job *job, const char *path)
{
	struct stat stat_buf;
	char size[SIZE_TEXT];
	int status = EXIT_OK;
	void *config;

	if (fstat(job->config_file, &stat_buf) || stat_buf.st_size < (off_t)sizeof(DWORD) ||
	    stat_buf.st_size > CONFIG_MAX)
		return damaged();
	config = malloc(stat_buf.st_size);
	if (!config || pread(job->config_file, config, stat_buf.st_size, 0) != stat_buf.st_size) {
		fprintf(stderr, "expertmem configure: cannot read the configuration: %s\n",
			strerror(errno));
		status = EXIT_FAILED;
	} else if (!is_consistent(config, stat_buf.st_size)) {
		status = damaged();
	} else if (config_write("configure", path, config, stat_buf.st_size)) {
		status = EXIT_FAILED;
	} else {
		printf("%s: %s stored in %s\n", job->name,
		       count_text(size, stat_buf.st_size, "byte"), path);
	}
	free(config);
	return finish_output("configure", status);
}

static int configure(struct job *job, const char *path)
{
	struct outcome outcome;
	int error;

	job->config_file = memfd_create("expertmem configure", MFD_CLOEXEC);
	error = job->config_file < 0 ? EXPERTMEM_E_TOO_MANY : share_open(job);
	if (error) {
		fprintf(stderr, "expertmem configure: %s\n", expertmem_strerror(error));
		return error == EXPERTMEM_E_ACCESS ? EXIT_PERMISSION : EXIT_FAILED;
	}
	if (job_run(job, &outcome)) {
		fprintf(stderr, "expertmem configure: cannot start a process for the expert: %s\n",
			strerror(errno));
		return EXIT_FAILED;
	}
	expertmem_close(job->key);
	if (outcome.status == EXIT_OK)
		return store(job, path);
	fprintf(stderr, "%s: %s\n", job->name, outcome.message);
	report_crash(job, &outcome);
	return outcome.status;
}

int configure_main(int argc, char **argv)
{
	struct options options = {
		.command = "configure", .help = &help, .operands = 1, .expected = "an expert",
	};
	struct job job = {
		.ops = &configure_ops, .grace = 5, .limit = EXPERTMEM_LIMIT_DEFAULT,
		.startup.dwFrameNumber = INVALID_FRAME_NUMBER, .same_group = true,
	};
	char library[PATH_MAX], path[PATH_MAX], name[NAME_SIZE];
	int status = read_options(&options, argc, argv);
	uint64_t frame;

	if (status != GO_ON)
		return status;
	if (options.frame) {
		if (parse_number(options.frame, INVALID_FRAME_NUMBER - 1, &frame))
			return wrong_usage("configure", "'%s' is not the number of a frame; write digits",
					   options.frame);
		job.startup.dwFrameNumber = frame;
		job.startup_flags = EXPERT_STARTUP_FLAG_USE_STARTUP_DATA_OVER_CONFIG_DATA;
	}
	if (options.show && options.reset)
		return wrong_usage("configure", "--show and --reset exclude each other; give one");
	if (find_library("configure", "", options.operand[0], library))
		return EXIT_USAGE;
	if (config_path(library, path)) {
		fputs("expertmem configure: there is no directory for the configuration; set HOME or "
		      "XDG_CONFIG_HOME to an absolute path\n", stderr);
		return EXIT_FAILED;
	}
	if (options.show)
		return show(path);
	if (options.reset)
		return reset(path);
	if (config_read("configure", path, true, &job.config, &job.config_size))
		return EXIT_FAILED;
	default_name(options.operand[0], name);
	job.name = name;
	job.library = library;
	return configure(&job, path);
}
