// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Read a capture by Wireshark's file library, and write its frames and their index.
 *
 * Loading takes as much memory for a large capture as for a small one: frames are written to the
 * files through two buffers. They are written by pwrite(), not through a mapping: if the disk is
 * full, pwrite() fails, whereas a store would raise SIGBUS. It also saves the kernel zeroing the
 * pages.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <wiretap/pcap-encap.h>
#include <wiretap/wtap.h>
#include <wiretap/wtap_opttypes.h>
#include <wsutil/wslog.h>

#include <Netmon.h>

#include "record.h"
#include "worker.h"

#define LINK_TYPES	1024		/* LINKTYPE_ numbers are lower */
#define LINK_UNKNOWN	0xffff		/* the index's value for types that have no number */
#define ALIGNMENT	16		/* bytes; of a FRAME in the frames file */
#define HEADER		offsetof(FRAME, MacFrame)
#define FRAMES_BUFFER	(256u << 10)	/* fits the cache of a CPU */
#define INDEX_BUFFER	(64u << 10)

/**
 * struct writer - a file that is written sequentially
 * @fd: descriptor
 * @used: bytes in @buffer
 * @size: size of @buffer in bytes
 * @written: bytes that were written to the file so far
 * @buffer: bytes that are not written yet
 */
struct writer {
	int fd;
	size_t used;
	size_t size;
	uint64_t written;
	char *buffer;
};

/**
 * struct loader - a capture that is being loaded
 * @file: the open capture
 * @record: the present record
 * @state: state of the engine, in memory that the supervisor maps, too
 * @frames: writer of the frames file
 * @index: writer of the index
 * @encap: Wireshark's link type of the latest frame
 * @link_type: LINKTYPE_ for @encap
 * @time: TimeStamp of the latest frame, in microseconds since the first frame
 * @has_time: a frame had a time, so state->start is valid
 */
struct loader {
	struct wtap *file;
	struct record record;
	struct engine_state *state;
	struct writer frames;
	struct writer index;
	int encap;
	uint16_t link_type;
	int64_t time;
	bool has_time;
};

static char frames_buffer[FRAMES_BUFFER];
static char index_buffer[INDEX_BUFFER];

/* ----------------------------------------------------------------------- words */

/* Write @reason, @detail and @remedy to the state's error. @detail may come from the file. */
static void set_error(struct engine_state *state, const char *reason, const char *detail,
		      const char *remedy)
{
	g_autofree char *valid = g_utf8_make_valid(detail ? detail : "", -1);

	for (char *p = valid; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = ' ';
	snprintf(state->error, sizeof(state->error), "%s%s%.*s%s", reason, *valid ? ": " : "",
		 768, valid, remedy);
}

/* Write the reason for an error of Wireshark's library, and the remedy if there is one. */
static void explain(struct engine_state *state, int error, char *detail)
{
	const char *reason = wtap_strerror(error), *remedy = "";

	switch (error) {
	case WTAP_ERR_FILE_UNKNOWN_FORMAT:
		reason = "it is in no format that Wireshark reads";
		remedy = "; if another program than gzip, zstd or lz4 compressed it, decompress it first";
		break;
	case WTAP_ERR_SHORT_READ:
		reason = "it is cut short";
		break;
	case WTAP_ERR_NOT_REGULAR_FILE:
		reason = "it is neither a file nor a pipe";
		break;
	case WTAP_ERR_RANDOM_OPEN_PIPE:
	case WTAP_ERR_RANDOM_OPEN_STDIN:
	case WTAP_ERR_CANT_SEEK:
		remedy = "; save it to a file, and name that";
		break;
	case EISDIR:
		reason = "it is a directory";
		remedy = "; name a file in it";
		break;
	}
	set_error(state, reason, detail, remedy);
	g_free(detail);
}

void load_explain_open(int err, char error[static 1024])
{
	const char *remedy = "";

	switch (err) {
	case ENOENT:
	case ENOTDIR:
		remedy = "; check the path";
		break;
	case EACCES:
	case EPERM:
		remedy = "; become a user who may read it";
		break;
	case EISDIR:
		remedy = "; name a file in it";
		break;
	}
	snprintf(error, 1024, "cannot open it: %s%s", strerror(err), remedy);
}

/* ------------------------------------------------------------------------ files */

static bool write_all(struct writer *writer, const char *bytes, size_t size)
{
	while (size) {
		ssize_t n = pwrite(writer->fd, bytes, size, (off_t)writer->written);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		bytes += n;
		size -= (size_t)n;
		writer->written += (uint64_t)n;
	}
	return true;
}

static bool flush(struct writer *writer)
{
	size_t used = writer->used;

	writer->used = 0;
	return write_all(writer, writer->buffer, used);
}

/* Append @size bytes and then zeros, @padded bytes in all; fewer than ALIGNMENT are zeros. */
static bool append(struct writer *writer, const void *bytes, size_t size, size_t padded)
{
	if (writer->size - writer->used < padded) {
		if (!flush(writer))
			return false;
		if (padded > writer->size) {
			static const char zeros[ALIGNMENT];

			return write_all(writer, bytes, size) &&
			       write_all(writer, zeros, padded - size);
		}
	}
	memcpy(writer->buffer + writer->used, bytes, size);
	memset(writer->buffer + writer->used + size, 0, padded - size);
	writer->used += padded;
	return true;
}

static uint64_t position(const struct writer *writer)
{
	return writer->written + writer->used;
}

/* -------------------------------------------------------------------- link types */

/* LINKTYPE_ numbers by Wireshark's types. Wireshark's library exports only the other direction. */
static uint16_t link_types[LINK_TYPES];

/*
 * Several numbers may stand for one of Wireshark's types; the first one that is added counts.
 * Numbers from 11 to 98 are those of single operating systems, but for 50 and 51 (PPP), so they are
 * added last.
 */
static void add_link_types(int first, int last)
{
	for (int type = first; type <= last; type++) {
		int encap = wtap_pcap_encap_to_wtap_encap(type);

		if (encap >= 0 && encap < LINK_TYPES && link_types[encap] == LINK_UNKNOWN)
			link_types[encap] = (uint16_t)type;
	}
}

static void init_link_types(void)
{
	for (int i = 0; i < LINK_TYPES; i++)
		link_types[i] = LINK_UNKNOWN;
	add_link_types(0, 10);
	add_link_types(50, 51);
	add_link_types(99, LINK_TYPES - 1);
	add_link_types(11, 98);
	link_types[WTAP_ENCAP_UNKNOWN] = LINK_UNKNOWN;
}

static uint16_t link_type_of(int encap)
{
	return encap >= 0 && encap < LINK_TYPES ? link_types[encap] : LINK_UNKNOWN;
}

/* ------------------------------------------------------------------------ frames */

/* The time of the record in nanoseconds; false: it has none, or one beyond the year 2262. */
static bool time_of(const wtap_rec *record, int64_t *time)
{
	return record->presence_flags & WTAP_HAS_TS &&
	       !__builtin_mul_overflow((int64_t)record->ts.secs, INT64_C(1000000000), time) &&
	       !__builtin_add_overflow(*time, (int64_t)record->ts.nsecs, time);
}

/* Set loader->time for the record. A frame without a time has that of the frame before. */
static void take_time(struct loader *loader)
{
	struct engine_state *state = loader->state;
	int64_t time, since;

	if (!time_of(&loader->record.rec, &time))
		return;
	if (!loader->has_time) {
		loader->has_time = true;
		state->start = state->end = time;
	}
	if (time > state->end)
		state->end = time;
	if (__builtin_sub_overflow(time, state->start, &since))
		return;
	/* Round down, also before the first frame. */
	loader->time = since / 1000 - (since % 1000 < 0);
}

/* Set loader->link_type for the record, and the state's. */
static void take_link_type(struct loader *loader)
{
	struct engine_state *state = loader->state;
	int encap = loader->record.rec.rec_header.packet_header.pkt_encap;

	if (encap == loader->encap)
		return;
	loader->encap = encap;
	loader->link_type = link_type_of(encap);
	if (!state->frames)
		state->link_type = loader->link_type;
	else if (state->link_type != loader->link_type)
		state->link_type = LINK_UNKNOWN;
}

static void show_progress(struct loader *loader)
{
	struct engine_state *state = loader->state;
	gint64 read = wtap_read_so_far(loader->file);

	state->frames_size = position(&loader->frames);
	if (read > 0)
		state->read = (uint64_t)read;
}

/* Append the record's frame. False: the files cannot be written; errno is set. */
static bool add_frame(struct loader *loader)
{
	const wtap_packet_header *packet = &loader->record.rec.rec_header.packet_header;
	struct engine_state *state = loader->state;
	uint64_t entry;
	FRAME frame;
	size_t padding;

	take_time(loader);
	take_link_type(loader);
	frame = (FRAME){
		.TimeStamp = loader->time,
		.FrameLength = packet->len,
		.nBytesAvail = packet->caplen,
	};
	entry = position(&loader->frames) | (uint64_t)loader->link_type << 48;
	padding = -(HEADER + packet->caplen) % ALIGNMENT;
	if (!append(&loader->frames, &frame, HEADER, HEADER) ||
	    !append(&loader->frames, record_bytes(&loader->record), packet->caplen,
		    packet->caplen + padding) ||
	    !append(&loader->index, &entry, sizeof(entry), sizeof(entry)))
		return false;
	state->frames++;
	if (state->frames % 1024 == 0)
		show_progress(loader);
	return true;
}

/* Read the next record that is a frame. False at the end; with an error, *@error is not 0. */
static bool next_frame(struct loader *loader, int *error, char **detail)
{
	do {
		wtap_rec_reset(&loader->record.rec);
		if (!record_read(loader->file, &loader->record, error, detail))
			return false;
	} while (loader->record.rec.rec_type != REC_TYPE_PACKET);
	return true;
}

/* Write to the state why the files could not be written, from errno. Returns false. */
static bool disk_full(struct engine_state *state)
{
	if (errno == EFBIG)
		set_error(state, "its frames take more than a quarter of the machine's memory, or than ulimit -f",
			  NULL, "; set TMPDIR to a directory on a disk, and raise ulimit -f");
	else
		set_error(state, "cannot write its frames", strerror(errno),
			  "; set TMPDIR to a directory with more space");
	return false;
}

/* Read all frames. False: the capture cannot be used; state->error has the reason. */
static bool read_frames(struct loader *loader, const struct loading *loading)
{
	struct engine_state *state = loader->state;
	char *detail = NULL;
	int error = 0;

	while (next_frame(loader, &error, &detail)) {
		/* The highest numbers are results of calls, such as FILTER_CANCELED. */
		if (state->frames == INT32_MAX) {
			set_error(state, "it has more than 2,147,483,647 frames", NULL,
				  "; split it, for example by editcap -c");
			state->truncated = 1;
			return true;
		}
		if (!add_frame(loader))
			return disk_full(state);
		if (state->frames == 1 && !loading->first(loader->link_type))
			return false;
	}
	if (!error)
		return true;
	explain(state, error, detail);
	state->truncated = state->frames > 0;
	return state->frames > 0;
}

/*
 * Is the capture empty? Wireshark's library takes an empty file for one of the format ERF, which
 * has no file header; and so a file whose compressed data end within the first block.
 */
static bool has_nothing(struct loader *loader)
{
	int type = wtap_file_type_subtype(loader->file);

	return !loader->state->frames &&
	       !strcmp(wtap_file_type_subtype_name(type), "erf");
}

/* Copy the comment of the capture into the state, if the file format has one. */
static void take_comment(struct loader *loader)
{
	struct engine_state *state = loader->state;
	wtap_block_t section = wtap_file_get_shb(loader->file, 0);
	char *text = NULL;

	if (!section || wtap_block_get_nth_string_option_value(section, OPT_COMMENT, 0, &text) !=
	    WTAP_OPTTYPE_SUCCESS || !text)
		return;
	g_autofree char *valid = g_utf8_make_valid(text, -1);
	size_t size = strlen(valid);

	if (size >= sizeof(state->comment)) {
		const char *end = g_utf8_find_prev_char(valid, valid + sizeof(state->comment));

		size = end ? (size_t)(end - valid) : 0;
	}
	memcpy(state->comment, valid, size);
	state->comment[size] = '\0';
}

/* Read the open capture. False: the capture cannot be used; state->error has the reason. */
static bool load_file(struct loader *loader, const struct loading *loading)
{
	struct engine_state *state = loader->state;

	if (!read_frames(loader, loading))
		return false;
	if (has_nothing(loader)) {
		set_error(state, "it is empty, or cut short", NULL, "");
		return false;
	}
	if (!flush(&loader->frames) || !flush(&loader->index))
		return disk_full(state);
	take_comment(loader);
	show_progress(loader);
	if (state->frames)
		return true;
	state->link_type = link_type_of(wtap_file_encap(loader->file));
	return loading->first((uint16_t)state->link_type);
}

bool load_capture(const struct loading *loading)
{
	struct engine_state *state = loading->state;
	struct loader loader = {
		.state = state,
		.frames = { .fd = FD_FRAMES_WRITE, .buffer = frames_buffer, .size = FRAMES_BUFFER },
		.index = { .fd = FD_INDEX_WRITE, .buffer = index_buffer, .size = INDEX_BUFFER },
		.encap = INT_MIN,
		.link_type = LINK_UNKNOWN,
	};
	char *detail = NULL;
	gint64 size;
	int error = 0;
	bool done;

	loader.file = wtap_open_offline("-", WTAP_TYPE_AUTO, &error, &detail, false);
	if (!loader.file) {
		explain(state, error, detail);
		return false;
	}
	size = wtap_file_size(loader.file, &error);
	state->size = size > 0 ? (uint64_t)size : 0;
	record_init(&loader.record);
	done = load_file(&loader, loading);
	record_free(&loader.record);
	wtap_close(loader.file);
	return done;
}

void load_init(void)
{
	ws_log_set_level(LOG_LEVEL_CRITICAL);	/* print no debug messages */
	wtap_init(false);			/* without plug-ins */
	init_link_types();
}
