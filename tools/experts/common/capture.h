/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Read the frames of a capture file by Wireshark's file library: in any format that Wireshark
 * reads, also compressed by gzip, zstd or lz4, and from a pipe.
 *
 * libpcap refuses compressed files, and pcapng files whose interfaces differ in link type or
 * snapshot length. Wireshark's library needs no dissectors. Its licence is GPL-2.0-or-later, so an
 * expert with an incompatible licence cannot use it.
 */
#ifndef CAPTURE_H
#define CAPTURE_H

#include <stdbool.h>
#include <wiretap/wtap.h>

#include "link.h"

#define CAPTURE_ERROR_SIZE 1024

/* An open capture; its members belong to capture.c. */
struct capture {
	struct wtap *file;
	wtap_rec record;
	Buffer bytes;		/* buffer of the record, before Wireshark 4.6 */
	bool any;		/* a frame was read */
	char error[CAPTURE_ERROR_SIZE];
};

struct frame {
	struct rest data;	/* captured bytes; valid until the next frame is read */
	unsigned int length;	/* bytes on the wire */
	enum layer first;	/* the first header of the frame */
	const char *link_type;	/* Wireshark's name of its link type */
};

/* Open the file at @path. Return false on failure, with a message in capture->error. */
bool capture_open(struct capture *capture, const char *path);

/*
 * Read the next frame. Return false at the end of the capture, with an empty capture->error, or
 * after a read error, with a message in capture->error.
 */
bool capture_next(struct capture *capture, struct frame *frame);

/* Return the part of the file that was read in per cent, 0 to 99; 0 for a pipe. */
int capture_percent(const struct capture *capture);

void capture_close(struct capture *capture);

#endif /* CAPTURE_H */
