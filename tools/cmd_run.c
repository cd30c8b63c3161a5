// SPDX-License-Identifier: GPL-2.0
/* expertmem run: Network Monitor's role, small. The command line. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "command.h"
#include "format.h"
#include "run/config.h"
#include "run/job.h"

#ifndef EXPERTDIR
#define EXPERTDIR "/usr/lib/expertmem"
#endif

#define NAME_SIZE 32

static const char help[] =
"Usage: expertmem run [OPTION]... EXPERT CAPTURE\n"
"       expertmem run [OPTION]... -- PROGRAM [ARGUMENT]...\n"
"       expertmem run [OPTION]... --config FILE\n"
"\n"
"Run an expert on a capture file, or any program as an expert, and report what became\n"
"of it and of its memory. It runs in a process of its own, so it may well crash.\n"
"\n"
"EXPERT is the path of a shared library, or the name of an installed expert\n"
"(NAME.so in $EXPERTMEM_PATH, by default " EXPERTDIR "). Its progress\n"
"is shown. CAPTURE is a file or a pipe, or - for standard input. The sample expert topusers\n"
"reads every file that Wireshark reads, also compressed by gzip, zstd or lz4.\n"
"\n"
"PROGRAM is looked up in PATH. Its whole heap (malloc, new) is the expert's memory; what\n"
"it maps itself, stacks and libraries are not. Programs that it starts are experts of\n"
"their own with the same limit. The heap is a library, libexpertmem-malloc.so\n"
"($EXPERTMEM_PRELOAD is another path of it), that the loader puts into the program. A static\n"
"program has no loader, and one with its own malloc() does not use the heap: this is said,\n"
"and they run. A 32-bit program, one for another C library, one that is set-user-ID or has\n"
"file capabilities, and one that is built with AddressSanitizer, MemorySanitizer or\n"
"ThreadSanitizer are refused.\n"
"\n"
"  --name NAME        name shown to operators (default: that of the file)\n"
"  --limit SIZE       most memory that it may hold, such as 64M or 1.5GiB; beyond it,\n"
"                     allocations fail with NMERR_OUT_OF_MEMORY, a program's with ENOMEM.\n"
"                     Or default, the module's default_limit, which is taken without this\n"
"                     option; or none. Only root (CAP_NET_ADMIN) may exceed the default\n"
"  --timeout SECONDS  ask it to stop after this time (default: never)\n"
"  --grace SECONDS    kill it if it then has not stopped in this time (default: 5)\n"
"  --backend BACKEND  device: only with the kernel module's promise. What cannot have it is\n"
"                     refused, also a static program and one with its own malloc(). A\n"
"                     program that has run without it is told: status 125.\n"
"                     anon: private memory of the process, without that promise. Default:\n"
"                     the module, and private memory where there is no /dev/expertmem\n"
"  --config FILE      take what to run from FILE, as the unit expertmem@.service does\n"
"  --json             print the report as one JSON object\n"
"  --help             print this text\n"
"\n"
"FILE has lines KEY=VALUE: EXPERT and CAPTURE, or PROGRAM with its arguments; LIMIT and\n"
"TIMEOUT, as the options, which come before them. White space separates the words of\n"
"PROGRAM, but not between '' or \"\". Nothing else is special there: no shell reads it. Lines\n"
"that begin with # are comments.\n"
"\n"
"To ask means for an expert that its calls say NMERR_EXPERT_TERMINATE, and for a program\n"
"SIGTERM. Ctrl-C asks an expert to stop, and another Ctrl-C kills it at once. SIGTERM does\n"
"that to both; other signals are passed on to a program.\n"
"\n"
"Examples: give the sample expert, and tshark, at most 64 MiB and ten seconds\n"
"  expertmem run --limit 64M --timeout 10 topusers traffic.pcap\n"
"  expertmem run --limit 64M --timeout 10 -- tshark -r traffic.pcap -q -z conv,ip\n"
"\n"
"Progress and report go to standard error: standard output is the expert's. With\n"
"--json, standard output holds the object alone, and what the expert prints goes to\n"
"standard error; but a program's output is never touched, and its object comes last on\n"
"standard error. The keys of the object:\n"
"  name                     string\n"
"  library, capture         strings: what was run; not for a program\n"
"  program                  string: what was run; only for a program\n"
"  result                   finished, returned-false, output-lost, not-loaded, refused,\n"
"                           crashed, exited, timeout or interrupted; for a program\n"
"                           exited, killed, not-started, without-heap, timeout or\n"
"                           interrupted\n"
"  message                  the same in words\n"
"  status                   exit status of this command\n"
"  signal                   number of the signal that ended it, or null\n"
"  seconds                  time taken\n"
"  process                  number of the process that was run\n"
"  backend                  device (the kernel module) or anon (private memory)\n"
"  limit                    bytes, 0 for none\n"
"  peak_blocks              most bytes that it had in blocks\n"
"  peak                     most bytes committed: blocks and the heap's own data;\n"
"                           the limit is on this\n"
"  live_blocks, live_bytes  what it had not freed\n"
"  reclaimed_bytes          bytes that the kernel took back from it\n"
"  heap_lost                true if the program has closed the descriptor of its heap, which\n"
"                           then could not grow any more; only for a program\n"
"  crash_function           where it crashed, if the name is known; only for SIGSEGV, SIGBUS,\n"
"                           SIGILL, SIGFPE and SIGABRT\n"
"  crash_file               program or library that has the instruction\n"
"  crash_offset             of the instruction in that file, for addr2line\n"
"  crash_address            string: what it touched; only for SIGSEGV and SIGBUS\n"
"  crash_memory             what is there: live (a block), behind or before (a live block),\n"
"                           freed (a block that was), unused (no block), reclaimed (the heap\n"
"                           was), stack (its end) or foreign (not the heap's)\n"
"  crash_distance           of live, behind and before: bytes from the start of the block,\n"
"                           from its end, or to its start\n"
"  crash_block              size of that block\n"
"The numbers of a program are those of its own process, up to an exec. Programs that it\n"
"starts and children that it forks have others. Where a program did not use the expert,\n"
"what is not known is left out.\n"
"\n"
"Exit status:\n"
"  0    Run returned TRUE\n"
"  1    the expert failed: returned FALSE, lost its output, or could not be loaded\n"
"  2    wrong command line\n"
"  4    no permission for /dev/expertmem\n"
"  10   no usable kernel module, and --backend device asks for it\n"
"  20   the expert crashed, or exited before Run returned\n"
"  21   timed out, whether the expert then stopped or was killed\n"
"  130  interrupted by SIGINT (143: by SIGTERM)\n"
"With a program, its own, or these; 125 also with --config and an expert:\n"
"  124  timed out, whatever it then did\n"
"  125  this command failed, for any reason above (1 to 10); or --backend device asks for\n"
"       the module, and PROGRAM has exited without the heap\n"
"  126  PROGRAM cannot be executed, or cannot have the heap\n"
"  127  there is no such program\n"
"  128  and more: it was killed by the signal with the number that is more; 143 also\n"
"       where this command was interrupted by SIGTERM\n";

static bool is_program;
static bool has_config;		/* only the file tells whether it is a program */

/* This command's own failure must not look like a program's. */
static int failure(int status)
{
	return is_program || has_config ? EXIT_PROGRAM_FAILED : status;
}

static int __attribute__((format(printf, 1, 2))) wrong(const char *format, ...)
{
	va_list args;

	fputs("expertmem run: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputs("\nTry 'expertmem run --help'.\n", stderr);
	return failure(EXIT_USAGE);
}

/* The command line may be that of a program, with the -- forgotten. */
#define HINT	";\nto run a program, put -- before it: expertmem run -- PROGRAM"

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

	if (!strcmp(capture, "-")) {
		int mode = fcntl(STDIN_FILENO, F_GETFL);

		if (mode < 0 || (mode & O_ACCMODE) == O_WRONLY)
			return wrong("the capture '-' is standard input, which is closed; name a\n"
				     "file, or pipe a capture into this command");
		if (isatty(STDIN_FILENO))
			return wrong("the capture '-' is standard input, which is a terminal; name a\n"
				     "file, or pipe a capture into this command");
		capture = "/dev/stdin";
	}
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
	fputs(" the module's default_limit, and only root (CAP_NET_ADMIN) may exceed that; set\n"
	      "--limit default, or a SIZE within the default_limit that 'expertmem stats' prints\n",
	      stderr);
}

/* Why the device cannot be opened, where that can be said in more detail than by the library. */
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

enum { OPERAND = 1 /* as getopt says */, NAME, LIMIT, TIMEOUT, GRACE, BACKEND, CONFIG, JSON, HELP };
static const struct option options[] = {
	{ "name",    required_argument, NULL, NAME },
	{ "limit",   required_argument, NULL, LIMIT },
	{ "timeout", required_argument, NULL, TIMEOUT },
	{ "grace",   required_argument, NULL, GRACE },
	{ "backend", required_argument, NULL, BACKEND },
	{ "config",  required_argument, NULL, CONFIG },
	{ "json",    no_argument,	NULL, JSON },
	{ "help",    no_argument,	NULL, HELP },
	{}
};

/*
 * A program comes after "--", with nothing but options before. To be known before these
 * are looked at: wrong ones have another exit status then.
 */
static void look_for_program(int argc, char **argv)
{
	int option;

	opterr = 0;
	do {
		option = getopt_long(argc, argv, "-:", options, NULL);
		has_config = has_config || option == CONFIG;
	} while (option != -1 && option != OPERAND);
	is_program = option == -1 && optind > 1 && !strcmp(argv[optind - 1], "--");
	optind = 0;	/* from the start again */
}

/* "default", "none" or a size. Return 0, or -1 if that is no limit. */
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

/* @what: the option, or the key and its place */
static int set_limit(struct job *job, const char *what, const char *text)
{
	if (parse_limit(text, &job->limit) || (!job->limit && strcmp(text, "none")))
		return wrong("'%s' is not a size for %s; write it as 64M,\n"
			     "1.5GiB or 65536, or default, or none", text, what);
	job->has_limit = true;
	return 0;
}

static int set_timeout(struct job *job, const char *what, const char *text)
{
	if (parse_seconds(text, &job->timeout) || job->timeout <= 0)
		return wrong("'%s' is not a time for %s; write seconds\n"
			     "above 0, as 10 or 0.5", text, what);
	return 0;
}

/* Return 0, or the exit status. */
static int parse(struct job *job, const char **config, bool *json, int argc, char **argv)
{
	char plain[NAME_SIZE];
	int option, error = 0;

	while (!error && (option = getopt_long(argc, argv, ":", options, NULL)) != -1) {
		switch (option) {
		case NAME:
			if (!*optarg || strlen(optarg) >= NAME_SIZE)
				return wrong("a --name has 1 to 31 bytes, not %zu",
					     strlen(optarg));
			strcpy(plain, optarg);
			if (strcmp(plain_text(plain), optarg))
				return wrong("a --name is UTF-8 without control characters");
			job->name = optarg;
			break;
		case LIMIT:
			error = set_limit(job, "--limit", optarg);
			break;
		case TIMEOUT:
			error = set_timeout(job, "--timeout", optarg);
			break;
		case GRACE:
			if (parse_seconds(optarg, &job->grace))
				return wrong("'%s' is not a time for --grace; write seconds,\n"
					     "as 10, 0.5 or 0", optarg);
			break;
		case BACKEND:
			if (strcmp(optarg, "device") && strcmp(optarg, "anon"))
				return wrong("'%s' is not a --backend; it is device or anon", optarg);
			/* for the library, and for the programs that a program starts */
			setenv("EXPERTMEM_BACKEND", optarg, true);
			break;
		case CONFIG:
			*config = optarg;
			break;
		case JSON:
			*json = true;
			break;
		case HELP:
			fputs(help, stdout);
			exit(EXIT_OK);
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
		return wrong("'%s' in EXPERTMEM_LIMIT is not a size; write it as 64M,\n"
			     "or default, or none", limit);
	if (program_prepare(job, path))
		return failure(EXIT_FAILED);
	job->ops = &program_ops;
	job->program = operands;
	return 0;
}

/* Return 0, or the exit status. */
static int use_value(struct job *job, const struct config *config, const char *file, enum config_key key,
		     int (*set)(struct job *job, const char *what, const char *text))
{
	char what[PATH_MAX + 64];

	if (!config->value[key])
		return 0;
	snprintf(what, sizeof(what), "%s (%s, line %u)", config_key_name(key), file, config->line[key]);
	return set(job, what, config->value[key]);
}

/*
 * Take from the file what the options do not say. Its expert and capture, or its program, take the
 * place of operands. Return 0, or the exit status.
 */
static int use_config(struct job *job, const char *file, int *argc, char ***argv)
{
	static char *operands[2];
	static struct config config;
	char *const *value = config.value;
	int error = 0;

	if (*argc || is_program)
		return wrong("what to run is in the file of --config, not on the command line");
	if (config_read(&config, file))
		return failure(EXIT_USAGE);
	is_program = value[CONFIG_PROGRAM];
	operands[0] = value[CONFIG_EXPERT];
	operands[1] = value[CONFIG_CAPTURE];
	*argv = is_program ? config.words : operands;
	*argc = is_program ? config.nr_words : 2;
	if (!job->has_limit)
		error = use_value(job, &config, file, CONFIG_LIMIT, set_limit);
	if (!error && !job->timeout)
		error = use_value(job, &config, file, CONFIG_TIMEOUT, set_timeout);
	return error;
}

int run_main(int argc, char **argv)
{
	struct job job = { .grace = 5, .limit = EXPERTMEM_LIMIT_DEFAULT };
	struct expertmem_heap_stats stats = {};
	struct outcome outcome;
	char path[PATH_MAX], name[NAME_SIZE];
	const char *backend, *config = NULL;
	bool json = false;
	int error;

	look_for_program(argc, argv);
	error = parse(&job, &config, &json, argc, argv);
	if (error)
		return error;
	argc -= optind;
	argv += optind;
	if (config)
		error = use_config(&job, config, &argc, &argv);
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
