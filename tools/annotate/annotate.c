// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * expertmem-annotate <CAPTURE >COPY 3<COMMENTS: write a copy of a capture, as pcapng, whose frames have
 * comments. Descriptor 3 has a line for each comment: the number of the frame, counted from 0, a space,
 * and the text. The frames are in ascending order.
 *
 * "expertmem run --annotate" starts this program. It is a process of its own, because the capture
 * may be malicious, and it enters the sandbox of the engines before it reads the capture: it can read
 * its descriptors and write to the copy and to standard error. It reads and writes by Wireshark's file
 * library, which keeps link types, times in nanoseconds, interfaces and the comments that are there.
 */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/close_range.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <wiretap/wtap.h>
#include <wiretap/wtap_opttypes.h>
#include <wsutil/wslog.h>

#include "../engine/record.h"
#include "../engine/worker.h"

/* The number of the descriptor of the comments. Capture, copy and messages have FD_CAPTURE to FD_ERROR. */
#define COMMENTS 3

/* Most bytes of memory. */
#define MEMORY_MAX (1UL << 30)

/* Seconds of CPU time: at least, and one more for so many bytes of the capture. */
#define CPU_SECONDS	60
#define CPU_BYTES	(4 << 20)
/* The program ends after this many times the CPU time. */
#define WALL_FACTOR	10

/**
 * struct comments - the comments
 * @file: the stream that they are read from
 * @line: the next comment, which belongs to @frame
 * @text: its text in @line
 * @size: bytes of @line
 * @frame: number of the frame
 * @left: there is such a comment
 */
struct comments {
	FILE *file;
	char *line;
	const char *text;
	size_t size;
	uint64_t frame;
	bool left;
};

/**
 * struct copy - the files
 * @in: the capture
 * @out: the copy
 * @record: the present record
 */
struct copy {
	wtap *in;
	wtap_dumper *out;
	struct record record;
};

static void __attribute__((noreturn)) fail(const char *what, int error, char *detail)
{
	fprintf(stderr, "%s: %s%s%s\n", what, wtap_strerror(error), detail ? ": " : "",
		detail ? detail : "");
	exit(EXIT_FAILURE);
}

/* --- comments */

/* Read the next comment. */
static void next_comment(struct comments *comments)
{
	ssize_t length = getline(&comments->line, &comments->size, comments->file);
	char *end;

	comments->left = length > 0;
	if (!comments->left)
		return;
	comments->line[strcspn(comments->line, "\n")] = '\0';
	errno = 0;
	comments->frame = strtoull(comments->line, &end, 10);
	if (errno || end == comments->line || *end != ' ') {
		fputs("the comments have a line without the number of a frame\n", stderr);
		exit(EXIT_FAILURE);
	}
	comments->text = end + 1;
}

/* Add the comments of the frame to its record. */
static void add_comments(struct copy *copy, struct comments *comments, uint64_t frame)
{
	for (; comments->left && comments->frame <= frame; next_comment(comments)) {
		if (comments->frame < frame)
			continue;
		if (!copy->record.rec.block)
			copy->record.rec.block = wtap_block_create(WTAP_BLOCK_PACKET);
		wtap_block_add_string_option(copy->record.rec.block, OPT_COMMENT, comments->text,
					     strlen(comments->text));
		copy->record.rec.block_was_modified = true;
	}
}

/* --- copy */

static void open_files(struct copy *copy, wtap_dump_params *params)
{
	char *detail = NULL;
	int error;

	copy->in = wtap_open_offline("-", WTAP_TYPE_AUTO, &error, &detail, false);
	if (!copy->in)
		fail("cannot read the capture", error, detail);
	wtap_dump_params_init(params, copy->in);
	copy->out = wtap_dump_fdopen(FD_OUTPUT, wtap_pcapng_file_type_subtype(), WTAP_UNCOMPRESSED,
				     params, &error, &detail);
	if (!copy->out)
		fail("cannot write the copy", error, detail);
	record_init(&copy->record);
}

/* Copy all records. A capture that is cut off gives a copy of what is there. */
static void copy_records(struct copy *copy, struct comments *comments)
{
	char *detail = NULL;
	uint64_t frame = 0;
	int error = 0;

	while (record_read(copy->in, &copy->record, &error, &detail)) {
		if (copy->record.rec.rec_type == REC_TYPE_PACKET)
			add_comments(copy, comments, frame++);
		if (!record_write(copy->out, &copy->record, &error, &detail))
			fail("cannot write the copy", error, detail);
		wtap_rec_reset(&copy->record.rec);
	}
	if (error && !frame)
		fail("cannot read the capture", error, detail);
}

/* --- sandbox */

static void limit(int resource, rlim_t soft)
{
	/* the signal of a soft limit can be blocked, and the hard limit kills */
	struct rlimit value = { .rlim_cur = soft, .rlim_max = resource == RLIMIT_CPU ? soft + 1 : soft };

	setrlimit(resource, &value);
}

/* Bound memory and time, and forbid what the program does not need. */
static void enter_sandbox(void)
{
	unsigned int seconds = CPU_SECONDS;
	struct stat capture;

	if (fstat(FD_CAPTURE, &capture) || !S_ISREG(capture.st_mode)) {
		fputs("the capture is not a regular file\n", stderr);
		exit(EXIT_FAILURE);
	}
	if (capture.st_size / CPU_BYTES < INT_MAX / WALL_FACTOR - CPU_SECONDS)
		seconds += capture.st_size / CPU_BYTES;
	limit(RLIMIT_CORE, 0);
	limit(RLIMIT_CPU, seconds);
#ifndef __SANITIZE_ADDRESS__
	limit(RLIMIT_AS, MEMORY_MAX);
#endif
	alarm(seconds * WALL_FACTOR);
	close_range(COMMENTS + 1, UINT_MAX, 0);
	if (!sandbox_enter(-1)) {
		fprintf(stderr, "the kernel refuses the sandbox: %s\n", strerror(errno));
		exit(EXIT_FAILURE);
	}
}

int main(int argc, char **argv)
{
	wtap_dump_params params = WTAP_DUMP_PARAMS_INIT;
	struct comments comments = {};
	struct copy copy = {};
	char *detail = NULL;
	int error;

	(void)argv;
	comments.file = fdopen(COMMENTS, "r");
	if (argc != 1 || !comments.file) {
		fputs("Usage: expertmem-annotate <CAPTURE >COPY 3<COMMENTS\n", stderr);
		return 2;
	}
	ws_log_set_level(LOG_LEVEL_CRITICAL);	/* print no debug messages */
	wtap_init(false);			/* without plug-ins */
	enter_sandbox();
	open_files(&copy, &params);
	next_comment(&comments);
	copy_records(&copy, &comments);
	if (!wtap_dump_close(copy.out, NULL, &error, &detail))
		fail("cannot write the copy", error, detail);
	wtap_dump_params_cleanup(&params);
	wtap_close(copy.in);
	wtap_cleanup();
	free(comments.line);
	return EXIT_SUCCESS;
}
