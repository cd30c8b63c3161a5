/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The frames of a capture file, one after the other, read by Wireshark's own file library:
 * in any format that Wireshark reads, compressed by gzip, zstd or lz4, or from a pipe.
 *
 * libpcap would read pcap and a part of pcapng: it refuses a file whose interfaces differ in
 * link type or snapshot length, and compressed ones. Wireshark's library needs no dissectors.
 * Its licence is GPL-2.0-or-later, so an expert of another licence has to read by other means.
 */
#ifndef CAPTURE_H
#define CAPTURE_H

#include <stdbool.h>
#include <wiretap/wtap.h>

#include "link.h"

#define CAPTURE_ERROR_SIZE 1024

/* What is open; only capture.c looks inside. */
struct capture {
	struct wtap *file;
	wtap_rec record;
	Buffer bytes;		/* of the record, before Wireshark 4.6 */
	bool any;		/* a frame was read */
	char error[CAPTURE_ERROR_SIZE];
};

struct frame {
	struct rest data;	/* the bytes captured; valid until the next frame is read */
	unsigned int length;	/* bytes that the frame had on the wire */
	enum layer first;	/* header that the frame begins with */
	const char *link_type;	/* Wireshark's name of its link type */
};

/* Open the file at @path. Return whether it worked; if not, capture->error says why. */
bool capture_open(struct capture *capture, const char *path);

/*
 * Read the next frame. Return false at the end of the capture, and where it cannot be read
 * any further: capture->error then says why, else it is empty.
 */
bool capture_next(struct capture *capture, struct frame *frame);

/* Percent of the file that are read, 0 to 99; 0 if nobody knows, as with a pipe. */
int capture_percent(const struct capture *capture);

void capture_close(struct capture *capture);

#endif /* CAPTURE_H */
