// SPDX-License-Identifier: GPL-2.0
/* expertmem run: Network Monitor's role, small. The command line and the report. */
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "command.h"
#include "job.h"
#include "text.h"

#ifndef EXPERTDIR
#define EXPERTDIR "/usr/lib/expertmem"
#endif

static const char help[] =
"Usage: expertmem run [OPTION]... EXPERT CAPTURE\n"
"\n"
"Run an expert on a capture file, show its progress, and report what became of it\n"
"and of its memory. The expert runs in a process of its own, so it may well crash.\n"
"\n"
"EXPERT is the path of a shared library, or the name of an installed expert\n"
"(NAME.so in $EXPERTMEM_PATH, by default " EXPERTDIR ").\n"
"\n"
"  --name NAME        name shown to operators (default: that of the file)\n"
"  --limit SIZE       most memory that the expert may hold, such as 64M or 1.5GiB;\n"
"                     beyond it, its allocations fail with NMERR_OUT_OF_MEMORY\n"
"  --timeout SECONDS  ask the expert to stop after this time (default: never)\n"
"  --grace SECONDS    kill it if it then has not stopped in this time (default: 5)\n"
"  --json             print the report as one JSON object\n"
"  --help             print this text\n"
"\n"
"Ctrl-C asks the expert to stop as --timeout does; another Ctrl-C kills it at once.\n"
"\n"
"Example: give the sample expert at most 64 MiB and ten seconds\n"
"  expertmem run --limit 64M --timeout 10 topusers traffic.pcap\n"
"\n"
"Progress and report go to standard error: standard output is the expert's. With\n"
"--json, standard output holds the object alone, and what the expert prints goes to\n"
"standard error. The keys of the object:\n"
"  name, library, capture   strings: what was run\n"
"  result                   finished, returned-false, not-loaded, refused, crashed,\n"
"                           exited, timeout or interrupted\n"
"  message                  the same in words\n"
"  status                   exit status of this command\n"
"  signal                   number of the signal that ended the expert, or null\n"
"  seconds                  time taken\n"
"  backend                  device (the kernel module) or anon (private memory)\n"
"  limit                    bytes, 0 for none\n"
"  peak_bytes               most bytes in blocks that the expert held\n"
"  peak_committed           the same with the heap's own data: what is limited\n"
"  live_blocks, live_bytes  what the expert had not freed when it ended\n"
"  reclaimed_bytes          bytes that the kernel took back from it\n"
"\n"
"Exit status:\n"
"  0    Run returned TRUE\n"
"  1    the expert failed: Run or Register returned FALSE, or it could not be loaded\n"
"  2    wrong command line\n"
"  3    no usable kernel module, and EXPERTMEM_BACKEND=device asks for it\n"
"  4    no permission for /dev/expertmem\n"
"  5    the expert crashed, or exited before Run returned\n"
"  6    timed out, whether the expert then stopped or was killed\n"
"  130  interrupted by SIGINT or SIGTERM\n";

static int __attribute__((format(printf, 1, 2))) wrong(const char *format, ...)
{
	va_list args;

	fputs("expertmem run: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputs("\nTry 'expertmem run --help'.\n", stderr);
	return EXIT_USAGE;
}

static bool is_library(const char *file)
{
	size_t length = strlen(file);

	return length > 3 && !strcmp(file + length - 3, ".so");
}

/* From "topusers" or the path of a library to an absolute path. */
static int find_library(const char *expert, char path[static PATH_MAX])
{
	const char *dir = getenv("EXPERTMEM_PATH");
	char installed[PATH_MAX];
	struct stat stat_buf;

	if (strchr(expert, '/') || is_library(expert)) {
		if (!realpath(expert, path) || stat(path, &stat_buf))
			return wrong("cannot find the expert '%s': %s", expert,
				     strerror(errno));
		if (S_ISDIR(stat_buf.st_mode))
			return wrong("'%s' is a directory; give the path of a .so file",
				     expert);
		return 0;
	}
	if (!dir || !*dir)
		dir = EXPERTDIR;
	snprintf(installed, sizeof(installed), "%s/%s.so", dir, expert);
	if (!realpath(installed, path))
		return wrong("no expert '%s' in %s (%s); give the path of its .so file,\n"
			     "or set EXPERTMEM_PATH to the directory of the experts",
			     expert, dir, strerror(errno));
	return 0;
}

/* Everything that the expert could only fail on later, and less clearly. */
static int check_capture(const char *capture, char file[static MAX_PATH])
{
	struct stat stat_buf;

	if (strlen(capture) >= MAX_PATH)
		return wrong("the path of the capture is longer than the %d bytes that an\n"
			     "expert is given; use a shorter one, or a symbolic link",
			     MAX_PATH - 1);
	/* access(), for opening a pipe would wait for its writer */
	if (access(capture, R_OK) || stat(capture, &stat_buf))
		return wrong("cannot read the capture '%s': %s", capture, strerror(errno));
	if (S_ISDIR(stat_buf.st_mode))
		return wrong("'%s' is a directory; give one of its capture files", capture);
	strcpy(file, capture);
	return 0;
}

/* The file's name without its .so, as far as a name may be long. */
static void default_name(const char *expert, char name[static 32])
{
	const char *slash = strrchr(expert, '/');
	const char *base = slash ? slash + 1 : expert;
	size_t length = strlen(base);

	if (is_library(base))
		length -= 3;
	snprintf(name, 32, "%.*s", (int)length, base);
	plain_text(name);
}

static int open_failed(int error)
{
	fprintf(stderr, "expertmem run: %s\n", expertmem_strerror(error));
	switch (error) {
	case EXPERTMEM_E_INVALID:
		return EXIT_USAGE;
	case EXPERTMEM_E_NO_MODULE:
	case EXPERTMEM_E_ABI:
	case EXPERTMEM_E_NO_DEVICE:
		return EXIT_NO_MODULE;
	case EXPERTMEM_E_ACCESS:
	case EXPERTMEM_E_PERM:
		return EXIT_PERMISSION;
	default:
		return EXIT_FAILED;
	}
}

static void report(const struct job *job, const struct verdict *verdict,
		   const struct expertmem_stats *stats)
{
	bool device = stats->backend == EXPERTMEM_BACKEND_DEVICE;
	char size[SIZE_TEXT], with_heap[SIZE_TEXT];

	fprintf(stderr, "%s: %s\n", job->name, verdict->message);
	fprintf(stderr, "  time       %.2f s\n", verdict->seconds);
	fprintf(stderr, "  peak       %s in blocks, %s with the heap's own data\n",
		size_text(size, stats->peak_bytes),
		size_text(with_heap, stats->peak_committed));
	fprintf(stderr, "  limit      %s\n",
		stats->limit ? size_text(size, stats->limit) : "none");
	fprintf(stderr, "  not freed  %llu block%s, %llu byte%s\n",
		(unsigned long long)stats->live_blocks, stats->live_blocks == 1 ? "" : "s",
		(unsigned long long)stats->live_bytes, stats->live_bytes == 1 ? "" : "s");
	if (device)
		fprintf(stderr,
			"  reclaimed  %s by the kernel\n"
			"  backend    the kernel module, expert %llu\n",
			size_text(size, stats->reclaimed), (unsigned long long)stats->id);
	else
		fputs("  reclaimed  0 B by the kernel: its promise needs the module\n"
		      "  backend    private memory of the process (anon)\n", stderr);
}

static int report_json(const struct job *job, const struct verdict *verdict,
		       const struct expertmem_stats *stats)
{
	const struct { const char *key, *value; } strings[] = {
		{ "name", job->name },
		{ "library", job->library },
		{ "capture", job->startup.szCaptureFile },
		{ "result", verdict->result },
		{ "message", verdict->message },
		{ "backend", stats->backend == EXPERTMEM_BACKEND_DEVICE ? "device" : "anon" },
	};
	const struct { const char *key; uint64_t value; } numbers[] = {
		{ "status", verdict->status },
		{ "limit", stats->limit },
		{ "peak_bytes", stats->peak_bytes },
		{ "peak_committed", stats->peak_committed },
		{ "live_blocks", stats->live_blocks },
		{ "live_bytes", stats->live_bytes },
		{ "reclaimed_bytes", stats->reclaimed },
	};

	fputs("{\n", stdout);
	for (size_t i = 0; i < sizeof(strings) / sizeof(strings[0]); i++) {
		printf("  \"%s\": ", strings[i].key);
		print_json_string(stdout, strings[i].value);
		fputs(",\n", stdout);
	}
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		printf("  \"%s\": %llu,\n", numbers[i].key,
		       (unsigned long long)numbers[i].value);
	if (verdict->signal)
		printf("  \"signal\": %d,\n", verdict->signal);
	else
		fputs("  \"signal\": null,\n", stdout);
	printf("  \"seconds\": %.3f\n}\n", verdict->seconds);

	if (fflush(stdout) || ferror(stdout)) {
		fprintf(stderr, "expertmem run: cannot write the report: %s\n",
			strerror(errno));
		return EXIT_FAILED;
	}
	return 0;
}

int run_main(int argc, char **argv)
{
	enum { NAME, LIMIT, TIMEOUT, GRACE, JSON, HELP };
	static const struct option options[] = {
		{ "name",    required_argument, NULL, NAME },
		{ "limit",   required_argument, NULL, LIMIT },
		{ "timeout", required_argument, NULL, TIMEOUT },
		{ "grace",   required_argument, NULL, GRACE },
		{ "json",    no_argument,	NULL, JSON },
		{ "help",    no_argument,	NULL, HELP },
		{}
	};
	struct expertmem_options open_options = {};
	struct job job = { .grace = 5 };
	struct expertmem_stats stats = {};
	struct verdict verdict;
	char library[PATH_MAX], name[32];
	bool json = false;
	int option, error;

	opterr = 0;
	while ((option = getopt_long(argc, argv, ":", options, NULL)) != -1) {
		switch (option) {
		case NAME:
			if (!*optarg || strlen(optarg) >= sizeof(name))
				return wrong("a --name has 1 to 31 bytes, not %zu",
					     strlen(optarg));
			for (const char *c = optarg; *c; c++)
				if (iscntrl((unsigned char)*c))
					return wrong("a --name has no control characters");
			job.name = optarg;
			break;
		case LIMIT:
			if (parse_size(optarg, &open_options.limit) || !open_options.limit)
				return wrong("'%s' is not a size for --limit; write it as 64M,\n"
					     "1.5GiB or 65536", optarg);
			break;
		case TIMEOUT:
			if (parse_seconds(optarg, &job.timeout) || job.timeout <= 0)
				return wrong("'%s' is not a time for --timeout; write seconds\n"
					     "above 0, as 10 or 0.5", optarg);
			break;
		case GRACE:
			if (parse_seconds(optarg, &job.grace))
				return wrong("'%s' is not a time for --grace; write seconds,\n"
					     "as 10, 0.5 or 0", optarg);
			break;
		case JSON:
			json = true;
			break;
		case HELP:
			fputs(help, stdout);
			return EXIT_OK;
		case ':':
			return wrong("%s needs a value", argv[optind - 1]);
		default:
			if (optopt > ' ')
				return wrong("there is no option -%c", optopt);
			return wrong("there is no option %s, or it takes no value",
				     argv[optind - 1]);
		}
	}
	if (argc - optind != 2)
		return wrong("it takes an expert and a capture file, not %d arguments",
			     argc - optind);
	error = find_library(argv[optind], library);
	if (!error)
		error = check_capture(argv[optind + 1], job.startup.szCaptureFile);
	if (error)
		return error;
	if (!job.name) {
		default_name(argv[optind], name);
		job.name = name;
	}
	job.library = library;
	job.stdout_to_stderr = json;

	open_options.name = job.name;
	open_options.startup = &job.startup;
	error = expertmem_open(&open_options, &job.key);
	if (error)
		return open_failed(error);
	if (job_run(&job, &verdict)) {
		fprintf(stderr, "expertmem run: cannot start a process for the expert: %s\n",
			strerror(errno));
		return EXIT_FAILED;
	}
	expertmem_stats(job.key, &stats);
	if (!json)
		report(&job, &verdict, &stats);
	else if (report_json(&job, &verdict, &stats))
		verdict.status = EXIT_FAILED;
	expertmem_close(job.key);
	return verdict.status;
}
