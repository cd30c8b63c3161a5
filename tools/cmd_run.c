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
#include "run/config.h"
#include "run/job.h"
#include "run/job_file.h"
#include "run/library.h"
#include "run/outputs.h"

/* --- help */

enum {
	NAME, LIMIT, TIMEOUT, GRACE, BACKEND, NO_HUGE, ENGINE, ENGINE_LIMIT, FILTER, RECOGNIZE,
	PROPERTIES, NEXT, FRAME_OPTION, PROPERTY, EVENTS, MAX_EVENTS, FORMAT, FOLLOW, REPORT,
	ANNOTATE, CONFIG, NO_CONFIG, JOB, JSON, HELP, OPTIONS
};

static const char *backend_word(size_t i)
{
	static const char *const words[] = { "device", "anon" };

	return i < sizeof(words) / sizeof(words[0]) ? words[i] : NULL;
}

static const char *engine_word(size_t i)
{
	static const char *const words[] = { "auto", "pcap", "wireshark", "none" };

	return i < sizeof(words) / sizeof(words[0]) ? words[i] : NULL;
}

static const char *recognize_word(size_t i)
{
	static const char *const words[] = { "yes", "no" };

	return i < sizeof(words) / sizeof(words[0]) ? words[i] : NULL;
}

static const char *properties_word(size_t i)
{
	static const char *const words[] = { "all", "asked" };

	return i < sizeof(words) / sizeof(words[0]) ? words[i] : NULL;
}

static const char *next_word(size_t i)
{
	static const char *const words[] = { "behind", "at" };

	return i < sizeof(words) / sizeof(words[0]) ? words[i] : NULL;
}

static const char *format_word(size_t i)
{
	static const char *const words[] = { "table", "csv", "json", "none" };

	return i < sizeof(words) / sizeof(words[0]) ? words[i] : NULL;
}

static const struct option_row rows[] = {
	[NAME] = { .name = "name", .value = "NAME", .help =
		"name of the expert, as operators see it (default: name of the file)" },
	[LIMIT] = { .name = "limit", .value = "SIZE", .help =
		"the most memory that the expert may have committed and pinned; beyond it, "
		"allocations of an expert fail with NMERR_OUT_OF_MEMORY, those of a program "
		"with ENOMEM (default: default). Only root (CAP_NET_ADMIN) may exceed the "
		"module's default_limit. SIZE is such as 64M or 1.5GiB, or 0 for none, or one of default, none" },
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
		"/dev/expertmem, or if a program has RLIMIT_AS (ulimit -v) below 256 GiB" },
	[NO_HUGE] = { .name = "no-huge", .help =
		"use no huge pages. An expert that writes to few of its pages needs less memory, "
		"others are slower" },
	[ENGINE] = { .name = "engine", .value = "ENGINE", .choice = engine_word, .help =
		"which engine reads the capture for the expert. pcap: frames, and filters of "
		"libpcap. wireshark: protocols and properties, too. none: the expert reads the "
		"file itself (default: auto, which is wireshark if it is installed, else pcap)" },
	[ENGINE_LIMIT] = { .name = "engine-limit", .value = "SIZE", .help =
		"the most memory of the engine, which is started anew when it reaches the limit "
		"(default: 1GiB)" },
	[FILTER] = { .name = "filter", .value = "TEXT", .help =
		"the user's filter, for experts that ask for frames that pass it: a display "
		"filter of Wireshark, or with --engine pcap a filter of libpcap (BPF)" },
	[RECOGNIZE] = { .name = "recognize", .value = "WORD", .choice = recognize_word, .help =
		"whether ExpertGetFrame() finds the protocols of each frame. no is faster "
		"(default: yes)" },
	[PROPERTIES] = { .name = "properties", .value = "WORD", .choice = properties_word, .help =
		"which properties are attached to frames: all, or only those asked for by "
		"GetProperty() before, which is faster (default: all)" },
	[NEXT] = { .name = "next", .value = "WORD", .choice = next_word, .help =
		"whether the search for the next frame begins behind the number that the expert "
		"gives, or at it (default: behind)" },
	[FRAME_OPTION] = { .name = "frame", .value = "NUMBER", .help =
		"the frame that the user has selected, counted from 0, for experts that look at "
		"the start-up information" },
	[PROPERTY] = { .name = "property", .value = "NAME", .help =
		"the property that the user has selected, as tcp.srcport or 'TCP/Source Port', in "
		"the frame of --frame" },
	[EVENTS] = { .name = "events", .value = "FILE", .help =
		"write the events as JSON lines to FILE; -: to standard output" },
	[MAX_EVENTS] = { .name = "max-events", .value = "NUMBER", .help =
		"count events beyond this number, but leave them out (default: 1000000)" },
	[FORMAT] = { .name = "format", .value = "FORMAT", .choice = format_word, .help =
		"how the events are printed after Run (default: table; with --json, or with "
		"--events -, none)" },
	[FOLLOW] = { .name = "follow", .help =
		"print the events as they come, as lines or with --format json as objects" },
	[REPORT] = { .name = "report", .value = "FILE", .help =
		"write the events as an HTML page" },
	[ANNOTATE] = { .name = "annotate", .value = "FILE", .help =
		"write a copy of the capture as pcapng, in which frames have their events as "
		"comments" },
	[CONFIG] = { .name = "config", .value = "FILE", .help =
		"use this configuration of the expert, not the one that expertmem configure "
		"has stored" },
	[NO_CONFIG] = { .name = "no-config", .help = "run the expert without a configuration" },
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
		"for an expert finished, returned-false, output-lost, no-capture, "
		"bad-configuration, not-loaded, refused, crashed, exited, timeout or "
		"interrupted; for a program exited, killed, "
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
	{ .keys = "events, events_left_out", .help =
		"number of events, and of those beyond --max-events; only for an expert" },
	{ .keys = "engine, engine_version", .help =
		"pcap or wireshark, and what reads the capture; this and the next keys only for "
		"an expert with an engine" },
	{ .keys = "frames", .help = "number of frames in the capture" },
	{ .keys = "truncated", .help = "null, or why frames are missing at the end of the capture" },
	{ .keys = "degraded", .help =
		"how often the engine was started anew in the middle of the capture, because it "
		"reached its memory limit" },
	{ .keys = "crashed_frames", .help =
		"number of frames whose dissection crashed or took more than two seconds" },
	{ .keys = "heap_lost", .help = "true if the program closed the descriptor of its heap, which then "
			   "could not grow; only for a program" },
	{ .keys = "went_private", .help = "true if the program could have no more memory of the module, and went on "
			   "with private memory, which no number here includes; only for a program" },
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
	{ EXIT_FAILED, "the expert returned FALSE, its output could not be written, or the expert, its "
		       "capture or its configuration could not be loaded" },
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
"pipe, or - for standard input, in any format that Wireshark reads, also compressed by gzip, zstd\n"
"or lz4. An engine reads it for the expert, in a process of its own.\n"
"\n"
"PROGRAM is searched for in PATH. Its heap (malloc, new) is the memory of one expert. Its stacks,\n"
"its libraries and its own mappings are not. A program that it starts is another expert with the\n"
"same limit. The dynamic loader preloads the heap, libexpertmem-malloc.so ($EXPERTMEM_PRELOAD: its\n"
"path). A static program, or one with its own malloc(), runs without the heap after a warning.\n"
"The command refuses a program with addresses of 32 bits, for another C library, with\n"
"set-user-ID or file capabilities, or built with AddressSanitizer, HWAddressSanitizer,\n"
"LeakSanitizer, MemorySanitizer or ThreadSanitizer.\n",
	.options = rows,
	.notes =
"The FILE of --job has lines KEY=VALUE. The keys are EXPERT and CAPTURE, or PROGRAM with its\n"
"arguments; LIMIT and TIMEOUT; and for an expert ENGINE, FILTER and EVENTS. Options of the command\n"
"line override those of the same name. White space separates the words of PROGRAM, except between\n"
"two ' or two \". No shell reads the line. A line that begins with # is a comment.\n"
"\n"
"To ask an expert to stop, the command makes its memory calls fail with\n"
"NMERR_EXPERT_TERMINATE. To ask a program, it sends SIGTERM. SIGTERM to the command, and for an\n"
"expert Ctrl-C, ask it to stop; the second one kills it. Other signals are forwarded to a program.\n"
"\n"
"Examples: limit the sample expert, and tshark, to 64 MiB and ten seconds\n"
"  expertmem run --limit 64M --timeout 10 topusers traffic.pcap\n"
"  expertmem run --limit 64M --timeout 10 -- tshark -r traffic.pcap -q -z conv,ip\n"
"Write the events of an expert as a page for browsers, and as comments for Wireshark\n"
"  expertmem run --report events.html --annotate marked.pcapng EXPERT traffic.pcap\n"
"\n"
"Progress and report are printed to standard error. With --json, --format csv, --format json or\n"
"--events -, and an expert, standard output has only that, and the expert's output goes to standard\n"
"error. With --json and a program, the output of the program is unchanged, and the object is the\n"
"last text on standard error.\n",
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

/* The name and the limit were checked before, so only variables of the environment can be invalid. */
static void print_invalid(void)
{
	char *backend = getenv("EXPERTMEM_BACKEND"), *debug = getenv("EXPERTMEM_DEBUG");

	fputs("expertmem run: an invalid word in the environment:", stderr);
	if (backend && *backend && strcmp(backend, "auto") && strcmp(backend, "device") && strcmp(backend, "anon"))
		fprintf(stderr, " EXPERTMEM_BACKEND=%s (auto, device or anon)", plain_text(backend));
	else if (debug)
		fprintf(stderr, " EXPERTMEM_DEBUG=%s (words with commas between them: see libexpertmem(7))",
			plain_text(debug));
	fputc('\n', stderr);
}

static int open_failed(int error, uint64_t limit)
{
	if (error == EXPERTMEM_E_LIMIT)
		print_limit_refused(limit);
	else if (error == EXPERTMEM_E_INVALID)
		print_invalid();
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

/**
 * struct command_line - what the command line and the file of --job say
 * @job: the job
 * @outputs: outputs of its events
 * @value: value of each option, "" for one that takes none; NULL: not given
 * @source: what gave the value, for messages: the option, or the key of the file and its line
 */
struct command_line {
	struct job job;
	struct outputs outputs;
	const char *value[OPTIONS];
	const char *source[OPTIONS];
};

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

/* --- the values of options; each returns 0, or the exit status after a message */

static int set_name(struct command_line *line, const char *text)
{
	char plain[NAME_SIZE];

	if (!*text || strlen(text) >= NAME_SIZE)
		return wrong("--name takes 1 to 31 bytes, not %zu", strlen(text));
	strcpy(plain, text);
	if (strcmp(plain_text(plain), text))
		return wrong("--name takes UTF-8 without control characters");
	line->job.name = text;
	return 0;
}

static int set_limit(struct command_line *line, const char *text)
{
	struct job *job = &line->job;

	if (parse_limit(text, &job->limit))
		return wrong("'%s' is not a size for %s; write a size as 64M, 1.5GiB or 65536, "
			     "or default, or none", text, line->source[LIMIT]);
	job->has_limit = true;
	return 0;
}

static int set_timeout(struct command_line *line, const char *text)
{
	if (parse_seconds(text, &line->job.timeout) || line->job.timeout <= 0)
		return wrong("'%s' is not a time for %s; write seconds above 0, as 10 or 0.5", text,
			     line->source[TIMEOUT]);
	return 0;
}

static int set_grace(struct command_line *line, const char *text)
{
	if (parse_seconds(text, &line->job.grace))
		return wrong("'%s' is not a time for --grace; write seconds, as 10, 0.5 or 0", text);
	return 0;
}

static int set_backend(struct command_line *line, const char *text)
{
	(void)line;
	if (strcmp(text, "device") && strcmp(text, "anon"))
		return wrong("'%s' is not a --backend; write device or anon", text);
	/* the library reads it, also in programs that the program starts */
	setenv("EXPERTMEM_BACKEND", text, true);
	return 0;
}

static int set_no_huge(struct command_line *line, const char *text)
{
	(void)line;
	(void)text;
	/* the library reads it, also in programs that the program starts */
	setenv("EXPERTMEM_NO_HUGE", "1", true);
	return 0;
}

/* Return the index of the value among the words of the option, or -1 after a message. */
static int choose(const struct command_line *line, int option, const char *text)
{
	char words[128];
	size_t length = 0;

	for (int i = 0; rows[option].choice(i); i++) {
		const char *word = rows[option].choice(i);

		if (!strcmp(word, text))
			return i;
		length += snprintf(words + length, sizeof(words) - length, "%s%s",
				   !i ? "" : rows[option].choice(i + 1) ? ", " : " or ", word);
	}
	wrong("'%s' is not a value for %s; write %s", text, line->source[option], words);
	return -1;
}

#define ENGINE_NO	3	/* index of "none" */

static int set_engine(struct command_line *line, const char *text)
{
	int engine = choose(line, ENGINE, text);

	if (engine < 0)
		return failure(EXIT_USAGE);
	line->job.no_engine = engine == ENGINE_NO;
	line->job.capture_options.engine = line->job.no_engine ? EXPERTMEM_ENGINE_AUTO : engine;
	return 0;
}

static int set_engine_limit(struct command_line *line, const char *text)
{
	uint64_t *limit = &line->job.capture_options.limit;

	if (parse_size(text, limit) || !*limit)
		return wrong("'%s' is not a size for --engine-limit; write a size as 512M or 2GiB", text);
	return 0;
}

static int set_filter(struct command_line *line, const char *text)
{
	line->job.capture_options.filter = text;
	return 0;
}

/* Set @flag if the value is the second word of the option. */
static int set_flag(struct command_line *line, int option, const char *text, unsigned int flag)
{
	int word = choose(line, option, text);

	if (word < 0)
		return failure(EXIT_USAGE);
	if (word)
		line->job.capture_options.flags |= flag;
	return 0;
}

static int set_recognize(struct command_line *line, const char *text)
{
	return set_flag(line, RECOGNIZE, text, EXPERTMEM_NO_RECOGNIZE);
}

static int set_properties(struct command_line *line, const char *text)
{
	return set_flag(line, PROPERTIES, text, EXPERTMEM_ASKED_PROPERTIES);
}

static int set_next(struct command_line *line, const char *text)
{
	return set_flag(line, NEXT, text, EXPERTMEM_NEXT_AT);
}

static int set_frame(struct command_line *line, const char *text)
{
	uint64_t number;

	if (parse_number(text, INVALID_FRAME_NUMBER - 1, &number))
		return wrong("'%s' is not the number of a frame; write a number from 0 to %u", text,
			     INVALID_FRAME_NUMBER - 1);
	line->job.startup.dwFrameNumber = number;
	line->job.startup_flags = EXPERT_STARTUP_FLAG_USE_STARTUP_DATA_OVER_CONFIG_DATA;
	return 0;
}

static int set_property(struct command_line *line, const char *text)
{
	line->job.property = text;
	line->job.startup_flags = EXPERT_STARTUP_FLAG_USE_STARTUP_DATA_OVER_CONFIG_DATA;
	return 0;
}

static int set_events(struct command_line *line, const char *text)
{
	line->outputs.lines = text;
	return 0;
}

static int set_max_events(struct command_line *line, const char *text)
{
	if (parse_number(text, UINT64_MAX, &line->outputs.max))
		return wrong("'%s' is not a number of events for --max-events; write digits", text);
	return 0;
}

static int set_format(struct command_line *line, const char *text)
{
	int format = choose(line, FORMAT, text);

	if (format < 0)
		return failure(EXIT_USAGE);
	line->outputs.format = FORMAT_TABLE + format;
	return 0;
}

static int set_follow(struct command_line *line, const char *text)
{
	(void)text;
	line->outputs.follow = true;
	return 0;
}

static int set_report(struct command_line *line, const char *text)
{
	line->outputs.report = text;
	return 0;
}

static int set_annotate(struct command_line *line, const char *text)
{
	line->outputs.annotate = text;
	return 0;
}

static int show_help(struct command_line *line, const char *text)
{
	(void)line, (void)text;
	exit(print_help("run", &help));
}

/* NULL: run_main() looks at the value. */
static int (*const setters[OPTIONS])(struct command_line *line, const char *text) = {
	[NAME]		= set_name,
	[LIMIT]		= set_limit,
	[TIMEOUT]	= set_timeout,
	[GRACE]		= set_grace,
	[BACKEND]	= set_backend,
	[NO_HUGE]	= set_no_huge,
	[ENGINE]	= set_engine,
	[ENGINE_LIMIT]	= set_engine_limit,
	[FILTER]	= set_filter,
	[RECOGNIZE]	= set_recognize,
	[PROPERTIES]	= set_properties,
	[NEXT]		= set_next,
	[FRAME_OPTION]	= set_frame,
	[PROPERTY]	= set_property,
	[EVENTS]	= set_events,
	[MAX_EVENTS]	= set_max_events,
	[FORMAT]	= set_format,
	[FOLLOW]	= set_follow,
	[REPORT]	= set_report,
	[ANNOTATE]	= set_annotate,
	[HELP]		= show_help,
};

static int set_value(struct command_line *line, int option, const char *source, const char *text)
{
	line->value[option] = text;
	line->source[option] = source;
	return setters[option] ? setters[option](line, text) : 0;
}

/* Return 0, or the exit status. */
static int parse(struct command_line *line, const struct option *options, int argc, char **argv)
{
	static char sources[OPTIONS][24];
	int option, error = 0;

	while (!error && (option = getopt_long(argc, argv, ":", options, NULL)) != -1) {
		if (option == ':')
			return wrong("%s needs a value", argv[optind - 1]);
		if (option < OPTION_VALUE(0) && optopt > ' ')
			return wrong("there is no option -%c" HINT, optopt);
		if (option < OPTION_VALUE(0))
			return wrong("there is no option %s, or it takes no value" HINT,
				     argv[optind - 1]);
		option -= OPTION_VALUE(0);
		snprintf(sources[option], sizeof(sources[option]), "--%s", rows[option].name);
		error = set_value(line, option, sources[option], optarg ? optarg : "");
	}
	return error;
}

/*
 * Read the file of --job. Its expert and capture, or its program, become the operands. Its other
 * values are used if the options were not given. Return 0, or the exit status.
 */
static int use_job_file(struct command_line *line, int *argc, char ***argv)
{
	static const enum job_key keys_of[OPTIONS] = {
		[LIMIT] = JOB_LIMIT, [TIMEOUT] = JOB_TIMEOUT, [ENGINE] = JOB_ENGINE,
		[FILTER] = JOB_FILTER, [EVENTS] = JOB_EVENTS,
	};
	static char *operands[2], source[PATH_MAX + 64];
	static struct job_file file;
	const char *path = line->value[JOB];
	int error = 0;

	if (*argc || is_program)
		return wrong("with --job, the command line must not have an expert or a program");
	if (job_file_read(&file, path))
		return failure(EXIT_USAGE);
	is_program = file.value[JOB_PROGRAM];
	operands[0] = file.value[JOB_EXPERT];
	operands[1] = file.value[JOB_CAPTURE];
	*argv = is_program ? file.words : operands;
	*argc = is_program ? file.nr_words : 2;
	for (int i = 0; i < OPTIONS && !error; i++) {
		enum job_key key = keys_of[i];

		if (!key || line->value[i] || !file.value[key])
			continue;
		snprintf(source, sizeof(source), "%s (%s, line %u)", job_key_name(key), path,
			 file.line[key]);
		error = set_value(line, i, source, file.value[key]);
	}
	return error;
}

/* Outputs that would be mixed with each other are refused. */
static int check_outputs(struct command_line *line)
{
	struct outputs *outputs = &line->outputs;
	bool json = line->value[JSON], lines = outputs->lines && !strcmp(outputs->lines, "-");
	bool prints = outputs->follow || (outputs->format && outputs->format != FORMAT_NONE);

	if (json + lines + prints > 1)
		return wrong("standard output can have one of --json, --events - and what --format "
			     "or --follow prints; write the others to files");
	if (outputs->follow && outputs->format >= FORMAT_CSV && outputs->format != FORMAT_JSON)
		return wrong("--follow prints lines or JSON; use --format table or json, or leave "
			     "--follow out");
	if (outputs->annotate && !strcmp(line->job.capture_path, "-"))
		return wrong("--annotate reads the capture a second time, so it cannot be standard "
			     "input; name a file");
	if (!outputs->format)
		outputs->format = json || lines ? FORMAT_NONE : FORMAT_TABLE;
	return 0;
}

/* Look at the file @path, or at its directory if it does not exist. Return its name there, or NULL. */
static const char *look_at(const char *path, struct stat *file)
{
	const char *slash = strrchr(path, '/');
	char folder[PATH_MAX] = ".";

	if (!stat(path, file))
		return "";
	if (slash)
		snprintf(folder, sizeof(folder), "%.*s", (int)(slash - path + 1), path);
	if (stat(folder, file))
		return NULL;
	return slash ? slash + 1 : path;
}

/* Do both paths name one regular file, or one that does not exist yet? */
static bool is_same_file(const char *one, const char *other)
{
	struct stat file, other_file;
	const char *name = look_at(one, &file), *other_name = look_at(other, &other_file);

	return name && other_name && !strcmp(name, other_name) && file.st_dev == other_file.st_dev &&
	       file.st_ino == other_file.st_ino && (*name || S_ISREG(file.st_mode));
}

/* An output must not replace a file that the run reads, or another output. */
static int check_files(const struct command_line *line)
{
	const struct outputs *outputs = &line->outputs;
	const struct { const char *what, *path; } files[] = {
		{ "--events", outputs->lines },
		{ "--report", outputs->report },
		{ "--annotate", outputs->annotate },
		{ "the capture", line->job.capture_path },
		{ "the expert", line->job.library },
		{ "--config", line->value[CONFIG] },
	};
	const size_t nr_outputs = 3, count = sizeof(files) / sizeof(files[0]);

	for (size_t i = 0; i < nr_outputs; i++)
		for (size_t j = i + 1; j < count; j++)
			if (files[i].path && files[j].path && strcmp(files[i].path, "-") &&
			    strcmp(files[j].path, "-") && is_same_file(files[i].path, files[j].path))
				return wrong("%s and %s are the same file, '%s'; name another file for %s",
					     files[i].what, files[j].what, files[i].path, files[i].what);
	return 0;
}

static int choose_config(struct command_line *line)
{
	const char *path = line->value[CONFIG];
	char standard[PATH_MAX];
	struct job *job = &line->job;

	if (path && line->value[NO_CONFIG])
		return wrong("--config and --no-config exclude each other; give one");
	if (line->value[NO_CONFIG] || (!path && config_path(job->library, standard)))
		return 0;
	return config_read("run", path ? path : standard, !path, &job->config, &job->config_size) ?
	       failure(EXIT_FAILED) : 0;
}

static int choose_expert(struct command_line *line, int count, char **operands,
			 char path[static PATH_MAX])
{
	struct job *job = &line->job;
	int error;

	if (count != 2)
		return wrong("it takes an expert and a capture file, not %d argument%s" HINT, count,
			     count == 1 ? "" : "s");
	if (find_library("run", HINT, operands[0], path))
		return failure(EXIT_USAGE);
	error = check_capture(operands[1], job->startup.szCaptureFile);
	job->ops = &library_ops;
	job->library = path;
	job->capture_path = operands[1];
	job->outputs = &line->outputs;
	if (!error)
		error = check_outputs(line);
	if (!error)
		error = check_files(line);
	if (!error)
		error = choose_config(line);
	return error;
}

/* Options that are only for experts. */
static int refuse_options(const struct command_line *line)
{
	for (int i = ENGINE; i <= NO_CONFIG; i++)
		if (line->value[i])
			return wrong("%s is only for an expert, not for a program", line->source[i]);
	return 0;
}

static int choose_program(struct command_line *line, int count, char **operands,
			  char path[static PATH_MAX])
{
	const char *limit = getenv("EXPERTMEM_LIMIT");
	struct job *job = &line->job;
	int error = refuse_options(line);

	if (error)
		return error;
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

/* Run the job and print the report. Return the exit status. */
static int run_job(struct job *job, bool json)
{
	struct expertmem_heap_stats stats = {};
	struct outcome outcome;

	if (job_run(job, &outcome)) {
		fprintf(stderr, "expertmem run: cannot start a process for the expert: %s\n",
			strerror(errno));
		return failure(EXIT_FAILED);
	}
	expertmem_heap_stats(job->key, &stats);
	if (!json)
		report(job, &outcome, &stats);
	else if (report_json(job, &outcome, &stats))
		outcome.status = failure(EXIT_FAILED);
	return outcome.status;
}

/* Open the files of the outputs and the expert, and start the engine. Return 0, or the exit status. */
static int open_job(struct job *job)
{
	int error;

	if (job->outputs && outputs_open(job->outputs, job))
		return failure(EXIT_FAILED);
	error = share_open(job);
	if (error)
		return open_failed(error, job->limit);
	return job->outputs && !job->no_engine && job_open_capture(job) ? failure(EXIT_FAILED) : 0;
}

int run_main(int argc, char **argv)
{
	static struct command_line line = {
		.job = {
			.grace = 5, .limit = EXPERTMEM_LIMIT_DEFAULT,
			.startup.dwFrameNumber = INVALID_FRAME_NUMBER,
		},
		.outputs.max = EVENTS_MAX,
	};
	static char path[PATH_MAX], name[NAME_SIZE];
	struct option options[OPTIONS_MAX + 1];
	struct job *job = &line.job;
	const char *backend;
	int error;

	long_options(options, rows);
	look_for_program(options, argc, argv);
	error = parse(&line, options, argc, argv);
	if (error)
		return error;
	argc -= optind;
	argv += optind;
	if (line.value[JOB])
		error = use_job_file(&line, &argc, &argv);
	if (error)
		return error;
	error = is_program ? choose_program(&line, argc, argv, path) :
			     choose_expert(&line, argc, argv, path);
	if (error)
		return error;
	if (!job->name) {
		default_name(argv[0], name);
		job->name = name;
	}
	job->stdout_to_stderr = !is_program &&
				(line.value[JSON] || outputs_use_stdout(&line.outputs));
	backend = getenv("EXPERTMEM_BACKEND");
	job->device_only = backend && !strcmp(backend, "device");
	job->few_addresses = is_program && (!backend || !*backend || !strcmp(backend, "auto")) &&
			     !access("/dev/expertmem", F_OK) && em_addresses_are_few();
	error = open_job(job);
	if (!error) {
		error = run_job(job, line.value[JSON]);
		expertmem_close(job->key);
	}
	expertmem_close_capture(job->capture);
	return error;
}
