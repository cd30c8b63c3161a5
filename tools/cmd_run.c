// SPDX-License-Identifier: GPL-2.0
/* expertmem run: the command line. run/ has the code that runs the expert or program. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "args.h"
#include "command.h"
#include "format.h"
#include "run/job_file.h"
#include "run/job.h"

#ifndef EXPERTDIR
#define EXPERTDIR "/usr/lib/expertmem"
#endif

#define NAME_SIZE 32

/* --- help */

enum { NAME, LIMIT, TIMEOUT, GRACE, BACKEND, JOB, JSON, HELP };

static const char *backend_word(size_t i)
{
	static const char *const words[] = { "device", "anon" };

	return i < sizeof(words) / sizeof(words[0]) ? words[i] : NULL;
}

static const struct option_row rows[] = {
	[NAME] = { .name = "name", .value = "NAME", .help =
		"name of the expert, as operators see it (default: name of the file)" },
	[LIMIT] = { .name = "limit", .value = "SIZE", .help =
		"the most memory that the expert may have committed and pinned; beyond it, "
		"allocations of an expert fail with NMERR_OUT_OF_MEMORY, those of a program "
		"with ENOMEM (default: default). Only root (CAP_NET_ADMIN) may exceed the "
		"module's default_limit. SIZE is such as 64M or 1.5GiB, or one of default, none" },
	[TIMEOUT] = { .name = "timeout", .value = "SECONDS", .help =
		"ask the expert or program to stop after this time (default: never)" },
	[GRACE] = { .name = "grace", .value = "SECONDS", .help =
		"kill it if it has not stopped in this time after it was asked (default: 5)" },
	[BACKEND] = { .name = "backend", .value = "BACKEND", .choice = backend_word, .help =
		"where the memory comes from. device: the kernel module. The command fails if "
		"it cannot open /dev/expertmem, and refuses a static program and one with its "
		"own malloc(). If a program exits without having used the heap, the status "
		"is 125. anon: private memory of the process, which the kernel module does not "
		"reclaim. Without this option: the device, or anon if there is no "
		"/dev/expertmem" },
	[JOB] = { .name = "job", .value = "FILE", .help =
		"read from FILE what to run, as the unit expertmem@.service does" },
	[JSON] = { .name = "json", .help = "print the report as a JSON object" },
	[HELP] = { .name = "help", .help = "print this text" },
	{}
};

static const struct key_row report_keys[] = {
	{ .keys = "name", .help = "name of the expert" },
	{ .keys = "library, capture", .help = "paths of the expert and of its capture; only for an expert" },
	{ .keys = "program", .help = "the program, as on the command line; only for a program" },
	{ .keys = "result", .help =
		"for an expert finished, returned-false, output-lost, not-loaded, refused, "
		"crashed, exited, timeout or interrupted; for a program exited, killed, "
		"not-started, without-heap, timeout or interrupted" },
	{ .keys = "message", .help = "the result in words" },
	{ .keys = "status", .help = "exit status of this command" },
	{ .keys = "signal", .help = "number of the signal that ended the process, or null" },
	{ .keys = "seconds", .help = "run time" },
	{ .keys = "process", .help = "pid of the process" },
	{ .keys = "backend", .help = "device (the kernel module) or anon (private memory)" },
	{ .keys = "limit", .help = "limit in bytes; 0: no limit" },
	{ .keys = "peak_blocks", .help = "the most bytes that were in blocks at one time" },
	{ .keys = "peak", .help = "the most bytes that were committed and pinned at one time: blocks and "
		      "the heap's own data" },
	{ .keys = "live_blocks, live_bytes", .help = "blocks, and bytes in them, that were not freed" },
	{ .keys = "reclaimed_bytes", .help = "bytes that the kernel reclaimed" },
	{ .keys = "heap_lost", .help = "true if the program closed the descriptor of its heap, which then "
			   "could not grow; only for a program" },
	{ .keys = "crash_function", .help = "function that crashed, if the file has its name; the keys crash_* are "
				"only for SIGSEGV, SIGBUS, SIGILL, SIGFPE and SIGABRT" },
	{ .keys = "crash_file", .help = "program or library that contains the instruction" },
	{ .keys = "crash_offset", .help = "offset of the instruction in that file, for addr2line" },
	{ .keys = "crash_address", .help = "string: the address that was accessed; only for SIGSEGV and SIGBUS" },
	{ .keys = "crash_memory", .help =
		"what is at that address: live (a live block), behind or before (near a live "
		"block), freed (a freed block), unused (the heap, but no block), reclaimed (the "
		"heap after a reclaim), stack (the end of the stack) or foreign (not the heap)" },
	{ .keys = "crash_distance", .help =
		"number of bytes: for live from the start of the block, for behind from its "
		"end, for before to its start" },
	{ .keys = "crash_block", .help = "size of that block in bytes" },
	{}
};

static const struct key_section keys[] = {
	{ "For a program, the numbers are those of its own process, up to an exec. Programs that it\n"
	  "starts and children that it forks have other experts. If a program did not use the expert,\n"
	  "the keys that are not known are left out. The keys of the object:", report_keys },
	{}
};

static const struct status_row statuses[] = {
	{ EXIT_OK, "Run returned TRUE" },
	{ EXIT_FAILED, "the expert returned FALSE, its output could not be written, or it could not be loaded" },
	STATUS_USAGE,
	{ EXIT_PERMISSION, "no permission for /dev/expertmem, or for a limit above the default_limit" },
	{ EXIT_NO_MODULE, "--backend device, and the kernel module is not loaded or not usable" },
	{ EXIT_CRASHED, "the expert crashed, or exited before Run returned" },
	{ EXIT_TIMEOUT, "the timeout was over; the expert stopped or was killed" },
	{ EXIT_SIGNAL + SIGINT, "SIGINT interrupted the command (143: SIGTERM did)" },
	{}
};

static const struct status_row program_statuses[] = {
	{ EXIT_PROGRAM_TIMEOUT, "the timeout was over; the program stopped or was killed" },
	{ EXIT_PROGRAM_FAILED, "the command failed for a reason of the statuses 1 to 10 above, or the program "
			       "exited without having used the heap, with --backend device" },
	{ EXIT_NOT_EXECUTABLE, "PROGRAM cannot be executed, or cannot have the heap" },
	{ EXIT_NOT_FOUND, "PROGRAM was not found" },
	{ EXIT_SIGNAL, "and above: the signal of number status - 128 killed the program; 143 also if "
		       "SIGTERM interrupted the command" },
	{}
};

static const struct help help = {
	.usage = "EXPERT CAPTURE\n"
"       expertmem run [OPTION]... -- PROGRAM [ARGUMENT]...\n"
"       expertmem run [OPTION]... --job FILE",
	.about =
"Run an expert on a capture file, or a program as an expert, in a process of its own. Then print\n"
"how it ended and how much memory it used.\n"
"\n"
"EXPERT is the path of a shared library, or the name of an installed expert, which is NAME.so in\n"
"the directory $EXPERTMEM_PATH (by default " EXPERTDIR "). CAPTURE is a file, a\n"
"pipe, or - for standard input. The sample expert topusers reads all formats that Wireshark\n"
"reads, also compressed by gzip, zstd or lz4.\n"
"\n"
"PROGRAM is searched for in PATH. Its heap (malloc, new) is the memory of one expert. Its stacks,\n"
"its libraries and its own mappings are not. A program that it starts is another expert with the\n"
"same limit. The dynamic loader preloads the heap, libexpertmem-malloc.so ($EXPERTMEM_PRELOAD: its\n"
"path). A static program, or one with its own malloc(), runs without the heap after a warning.\n"
"The command refuses a program with addresses of 32 bits, for another C library, with\n"
"set-user-ID or file capabilities, or built with AddressSanitizer, HWAddressSanitizer,\n"
"MemorySanitizer or ThreadSanitizer.\n",
	.options = rows,
	.notes =
"FILE has lines KEY=VALUE. The keys are EXPERT and CAPTURE, or PROGRAM with its arguments, and\n"
"LIMIT and TIMEOUT. The options --limit and --timeout override the last two. White space\n"
"separates the words of PROGRAM, except between two ' or two \". No shell reads the line. A line\n"
"that begins with # is a comment.\n"
"\n"
"To ask an expert to stop, the command makes its memory calls fail with\n"
"NMERR_EXPERT_TERMINATE. To ask a program, it sends SIGTERM. SIGTERM to the command, and for an\n"
"expert Ctrl-C, ask it to stop; the second one kills it. Other signals are forwarded to a program.\n"
"\n"
"Examples: limit the sample expert, and tshark, to 64 MiB and ten seconds\n"
"  expertmem run --limit 64M --timeout 10 topusers traffic.pcap\n"
"  expertmem run --limit 64M --timeout 10 -- tshark -r traffic.pcap -q -z conv,ip\n"
"\n"
"Progress and report are printed to standard error. With --json and an expert, standard output\n"
"has only the object, and the expert's output goes to standard error. With --json and a program,\n"
"the output of the program is unchanged, and the object is the last text on standard error.\n",
	.keys = keys,
	.statuses = statuses,
	.program_title =
"The exit status of a program is its own, or one of these; 125 also with --job and an expert:",
	.program_statuses = program_statuses,
};

static bool is_program;
static bool has_job_file;		/* with --job, is_program is not known before the file is read */

/* Return the exit status of a failure of this command: @status, or 125 for a program. */
static int failure(int status)
{
	return is_program || has_job_file ? EXIT_PROGRAM_FAILED : status;
}

static int __attribute__((format(printf, 1, 2))) wrong(const char *format, ...)
{
	va_list args;

	fputs("expertmem run: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputs("; see 'expertmem run --help'\n", stderr);
	return failure(EXIT_USAGE);
}

/* For command lines of a program without the --. */
#define HINT	"; to run a program, put -- before it: expertmem run -- PROGRAM"

static bool is_library(const char *file)
{
	size_t length = strlen(file);

	return length > 3 && !strcmp(file + length - 3, ".so");
}

/* Find the library of an expert by its name, such as "topusers", or by its path. */
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
		return wrong("no expert '%s' in %s (%s); give the path of its .so file, "
			     "or set EXPERTMEM_PATH to the directory of the experts",
			     expert, dir, strerror(errno));
	return 0;
}

/* Check the capture before the expert is started, which might print a less clear error. */
static int check_capture(const char *capture, char file[static MAX_PATH])
{
	struct stat stat_buf;

	if (!strcmp(capture, "-")) {
		int mode = fcntl(STDIN_FILENO, F_GETFL);

		if (mode < 0 || (mode & O_ACCMODE) == O_WRONLY)
			return wrong("the capture '-' is standard input, which is closed; name a "
				     "file, or pipe a capture into this command");
		if (isatty(STDIN_FILENO))
			return wrong("the capture '-' is standard input, which is a terminal; name a "
				     "file, or pipe a capture into this command");
		capture = "/dev/stdin";
	}
	if (strlen(capture) >= MAX_PATH)
		return wrong("the path of the capture has more than %d bytes; use a shorter "
			     "path, or a symbolic link",
			     MAX_PATH - 1);
	/* not open(), which would wait for the writer of a pipe */
	if (access(capture, R_OK) || stat(capture, &stat_buf))
		return wrong("cannot read the capture '%s': %s", capture, strerror(errno));
	if (S_ISDIR(stat_buf.st_mode))
		return wrong("'%s' is a directory; give one of its capture files", capture);
	strcpy(file, capture);
	return 0;
}

/* Write the name of the file without .so, cut to the length of a name. */
static void default_name(const char *expert, char name[static NAME_SIZE])
{
	const char *slash = strrchr(expert, '/');
	const char *base = slash ? slash + 1 : expert;
	size_t length = strlen(base);

	if (is_library(base))
		length -= 3;
	snprintf(name, NAME_SIZE, "%.*s", (int)length, base);
	plain_text(name);
}

static void print_limit_refused(uint64_t limit)
{
	char size[SIZE_TEXT];

	if (limit)
		fprintf(stderr, "expertmem run: a limit of %s is above", size_text(size, limit));
	else
		fputs("expertmem run: no limit is above", stderr);
	fputs(" the module's default_limit, and only root (CAP_NET_ADMIN) may exceed it; use --limit "
	      "default, or a SIZE up to the default_limit that 'expertmem stats' prints\n", stderr);
}

/* Return why the device cannot be opened, with more detail than expertmem_strerror(). */
static const char *device_problem(int error)
{
	bool loaded = !access("/sys/module/expertmem", F_OK);

	if (error == EXPERTMEM_E_NO_MODULE && !loaded)
		return "the kernel module is not loaded: modprobe expertmem";
	if (error == EXPERTMEM_E_NO_MODULE)
		return "the kernel module is loaded, but there is no " DEVICE ": leave PrivateDevices= out of the systemd unit, give the container --device " DEVICE;
	if (error == EXPERTMEM_E_ACCESS && access(DEVICE, R_OK | W_OK))
		return "no permission for " DEVICE ": add the user to the group expertmem (usermod -aG expertmem USER, then log in again), give the systemd unit SupplementaryGroups=expertmem";
	if (error == EXPERTMEM_E_ACCESS)
		return "the device control group, or a mount with nodev, refuses " DEVICE ": give the systemd unit DeviceAllow=" DEVICE ", the container --device " DEVICE;
	return expertmem_strerror(error);
}

static int open_failed(int error, uint64_t limit)
{
	if (error == EXPERTMEM_E_LIMIT)
		print_limit_refused(limit);
	else
		fprintf(stderr, "expertmem run: %s\n", device_problem(error));
	switch (error) {
	case EXPERTMEM_E_INVALID:
		return failure(EXIT_USAGE);
	case EXPERTMEM_E_NO_MODULE:
	case EXPERTMEM_E_ABI:
	case EXPERTMEM_E_NO_DEVICE:
		return failure(EXIT_NO_MODULE);
	case EXPERTMEM_E_ACCESS:
	case EXPERTMEM_E_PERM:
	case EXPERTMEM_E_LIMIT:
		return failure(EXIT_PERMISSION);
	default:
		return failure(EXIT_FAILED);
	}
}

/* getopt_long() returns it for an argument that is no option, if the option string begins with - */
#define OPERAND 1

/*
 * Set is_program if the command line has only options before a "--". parse() needs to know this:
 * the exit status of a wrong option is 125 if a program is to be run.
 */
static void look_for_program(const struct option *options, int argc, char **argv)
{
	int option;

	opterr = 0;
	do {
		option = getopt_long(argc, argv, "-:", options, NULL);
		has_job_file = has_job_file || option == OPTION_VALUE(JOB);
	} while (option != -1 && option != OPERAND);
	is_program = option == -1 && optind > 1 && !strcmp(argv[optind - 1], "--");
	optind = 0;	/* getopt_long() starts again */
}

/* Parse "default", "none" or a size. Return 0, or -1 if the text is none of these. */
static int parse_limit(const char *text, uint64_t *limit)
{
	if (!strcmp(text, "default"))
		*limit = EXPERTMEM_LIMIT_DEFAULT;
	else if (!strcmp(text, "none"))
		*limit = 0;
	else
		return parse_size(text, limit);
	return 0;
}

/* @what: the option, or the key of the file with its line, for the message */
static int set_limit(struct job *job, const char *what, const char *text)
{
	if (parse_limit(text, &job->limit) || (!job->limit && strcmp(text, "none")))
		return wrong("'%s' is not a size for %s; write a size as 64M, 1.5GiB or 65536, "
			     "or default, or none", text, what);
	job->has_limit = true;
	return 0;
}

static int set_timeout(struct job *job, const char *what, const char *text)
{
	if (parse_seconds(text, &job->timeout) || job->timeout <= 0)
		return wrong("'%s' is not a time for %s; write seconds above 0, as 10 or 0.5", text, what);
	return 0;
}

/* Return 0, or the exit status. */
static int parse(struct job *job, const char **job_file, bool *json, const struct option *options,
		 int argc, char **argv)
{
	char plain[NAME_SIZE];
	int option, error = 0;

	while (!error && (option = getopt_long(argc, argv, ":", options, NULL)) != -1) {
		switch (option) {
		case OPTION_VALUE(NAME):
			if (!*optarg || strlen(optarg) >= NAME_SIZE)
				return wrong("--name takes 1 to 31 bytes, not %zu",
					     strlen(optarg));
			strcpy(plain, optarg);
			if (strcmp(plain_text(plain), optarg))
				return wrong("--name takes UTF-8 without control characters");
			job->name = optarg;
			break;
		case OPTION_VALUE(LIMIT):
			error = set_limit(job, "--limit", optarg);
			break;
		case OPTION_VALUE(TIMEOUT):
			error = set_timeout(job, "--timeout", optarg);
			break;
		case OPTION_VALUE(GRACE):
			if (parse_seconds(optarg, &job->grace))
				return wrong("'%s' is not a time for --grace; write seconds, as 10, 0.5 or 0", optarg);
			break;
		case OPTION_VALUE(BACKEND):
			if (strcmp(optarg, "device") && strcmp(optarg, "anon"))
				return wrong("'%s' is not a --backend; write device or anon", optarg);
			/* the library reads it, also in programs that the program starts */
			setenv("EXPERTMEM_BACKEND", optarg, true);
			break;
		case OPTION_VALUE(JOB):
			*job_file = optarg;
			break;
		case OPTION_VALUE(JSON):
			*json = true;
			break;
		case OPTION_VALUE(HELP):
			exit(print_help("run", &help));
		case ':':
			return wrong("%s needs a value", argv[optind - 1]);
		default:
			if (optopt > ' ')
				return wrong("there is no option -%c" HINT, optopt);
			return wrong("there is no option %s, or it takes no value" HINT,
				     argv[optind - 1]);
		}
	}
	return error;
}

static int choose_expert(struct job *job, int count, char **operands, char path[static PATH_MAX])
{
	int error;

	if (count != 2)
		return wrong("it takes an expert and a capture file, not %d argument%s" HINT, count,
			     count == 1 ? "" : "s");
	error = find_library(operands[0], path);
	if (!error)
		error = check_capture(operands[1], job->startup.szCaptureFile);
	job->ops = &library_ops;
	job->library = path;
	return error;
}

static int choose_program(struct job *job, int count, char **operands, char path[static PATH_MAX])
{
	const char *limit = getenv("EXPERTMEM_LIMIT");

	if (!count)
		return wrong("there is no program after the --");
	if (!job->has_limit && limit && *limit && parse_limit(limit, &job->limit))
		return wrong("'%s' in EXPERTMEM_LIMIT is not a size; write a size as 64M, or default, or none", limit);
	if (program_prepare(job, path))
		return failure(EXIT_FAILED);
	job->ops = &program_ops;
	job->program = operands;
	return 0;
}

/* Set a value of the file, if it has the key. Return 0, or the exit status. */
static int use_value(struct job *job, const struct job_file *values, const char *file, enum job_key key,
		     int (*set)(struct job *job, const char *what, const char *text))
{
	char what[PATH_MAX + 64];

	if (!values->value[key])
		return 0;
	snprintf(what, sizeof(what), "%s (%s, line %u)", job_key_name(key), file, values->line[key]);
	return set(job, what, values->value[key]);
}

/*
 * Read the file of --job. Its expert and capture, or its program, become the operands. LIMIT and
 * TIMEOUT are used if the options were not given. Return 0, or the exit status.
 */
static int use_job_file(struct job *job, const char *file, int *argc, char ***argv)
{
	static char *operands[2];
	static struct job_file values;
	char *const *value = values.value;
	int error = 0;

	if (*argc || is_program)
		return wrong("with --job, the command line must not have an expert or a program");
	if (job_file_read(&values, file))
		return failure(EXIT_USAGE);
	is_program = value[JOB_PROGRAM];
	operands[0] = value[JOB_EXPERT];
	operands[1] = value[JOB_CAPTURE];
	*argv = is_program ? values.words : operands;
	*argc = is_program ? values.nr_words : 2;
	if (!job->has_limit)
		error = use_value(job, &values, file, JOB_LIMIT, set_limit);
	if (!error && !job->timeout)
		error = use_value(job, &values, file, JOB_TIMEOUT, set_timeout);
	return error;
}

int run_main(int argc, char **argv)
{
	struct job job = { .grace = 5, .limit = EXPERTMEM_LIMIT_DEFAULT };
	struct expertmem_heap_stats stats = {};
	struct outcome outcome;
	char path[PATH_MAX], name[NAME_SIZE];
	const char *backend, *job_file = NULL;
	struct option options[OPTIONS_MAX + 1];
	bool json = false;
	int error;

	long_options(options, rows);
	look_for_program(options, argc, argv);
	error = parse(&job, &job_file, &json, options, argc, argv);
	if (error)
		return error;
	argc -= optind;
	argv += optind;
	if (job_file)
		error = use_job_file(&job, job_file, &argc, &argv);
	if (error)
		return error;
	error = is_program ? choose_program(&job, argc, argv, path) :
			     choose_expert(&job, argc, argv, path);
	if (error)
		return error;
	if (!job.name) {
		default_name(argv[0], name);
		job.name = name;
	}
	job.stdout_to_stderr = json && !is_program;
	backend = getenv("EXPERTMEM_BACKEND");

	job.device_only = backend && !strcmp(backend, "device");
	error = share_open(&job);
	if (error)
		return open_failed(error, job.limit);
	if (job_run(&job, &outcome)) {
		fprintf(stderr, "expertmem run: cannot start a process for the expert: %s\n",
			strerror(errno));
		return failure(EXIT_FAILED);
	}
	expertmem_heap_stats(job.key, &stats);
	if (!json)
		report(&job, &outcome, &stats);
	else if (report_json(&job, &outcome, &stats))
		outcome.status = failure(EXIT_FAILED);
	expertmem_close(job.key);
	return outcome.status;
}
