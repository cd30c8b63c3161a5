/* SPDX-License-Identifier: LGPL-2.1-or-later */
/**
 * DOC: expertmem-engine.h, the protocol between libexpertmem and its engines
 *
 * An *engine* is a process that reads a capture, and answers questions about its frames. The
 * library of the host starts it. It has two processes: a *supervisor*, which no packet
 * reaches, and a *worker* under seccomp, which reads the capture and dissects frames. If a
 * worker dies, the supervisor starts another one.
 *
 * The host starts the supervisor with a socket as descriptor 3, the control socket. All
 * sockets are SOCK_SEQPACKET, and each message is one structure of this header.
 *
 *	supervisor to host	ENGINE_HELLO with three read-only descriptors: the state, the
 *				index and the frames. Then ENGINE_PHASE each time when
 *				engine_state.phase has changed.
 *	host to supervisor	ENGINE_CONNECT with two descriptors: a socket on which an
 *				expert sends requests, and a file for the results, of
 *				ENGINE_RESULTS bytes
 *
 * The supervisor ends when the control socket and all sockets of experts are closed at their
 * other end. All files are without a name (memfd_create(), O_TMPFILE), so they end with
 * the processes that use them.
 *
 * Frames: the frames file has a struct FRAME of Netmon.h for each frame, aligned to 16 bytes.
 * The index has a uint64_t for each frame: the offset of the FRAME in bits 0 to 47, and its
 * link type in bits 48 to 63, as of libpcap's list of LINKTYPE_; 0xffff: not in that list.
 * Both files are complete when the phase is ENGINE_READY. From then on, no worker can change
 * them: files in memory are sealed, and RLIMIT_FSIZE 0 keeps workers from writing to files on a
 * disk. Numbers of frames begin at 0.
 *
 * Requests: an expert sends a struct engine_request, and gets a struct engine_reply. The engine
 * serves one request at a time. The results of a request are in the expert's results file until
 * the expert sends another request. An expert that did not wait for a reply recognises that reply
 * later by @sequence.
 *
 * An engine that was taken over by a malicious capture can write anything into the files and
 * the replies. So the reader copies each structure, and then checks each offset, length, number
 * and text in the copy.
 *
 * All integers have the byte order of the machine. Offsets are in bytes. Text is UTF-8.
 */
#ifndef EXPERTMEM_ENGINE_H
#define EXPERTMEM_ENGINE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ENGINE_VERSION		1
#define ENGINE_CONTROL_FD	3		/* the supervisor's end of the control socket */
#define ENGINE_RESULTS		(8u << 20)	/* bytes of a results file */
#define ENGINE_BATCH		256u		/* most frames of PROPERTIES and PROTOCOLS */

/* The number of a frame, a field, a protocol or a filter that does not exist. */
#define ENGINE_NONE		UINT32_MAX

enum engine_kind {
	ENGINE_PCAP		= 1,	/* frames, and filters of libpcap */
	ENGINE_WIRESHARK	= 2	/* frames, protocols, fields and display filters */
};

enum engine_phase {
	ENGINE_STARTING		= 0,	/* initialising the dissectors, compiling the filter */
	ENGINE_LOADING		= 1,	/* reading the capture */
	ENGINE_READY		= 2,	/* serving requests */
	ENGINE_FAILED		= 3,	/* no capture can be served; @error has the reason */
	ENGINE_LOST		= 4	/* workers died again and again; @error has the reason */
};

/**
 * struct engine_state - the first bytes of the state file, which only the engine writes
 * @version: ENGINE_VERSION
 * @kind: enum engine_kind; 0 in ENGINE_STARTING and ENGINE_FAILED if it is not known
 * @phase: enum engine_phase; written last, with release order
 * @link_type: LINKTYPE_ of all frames; 0xffff: they differ, or are not in the list
 * @frames: number of frames that were read so far
 * @read: bytes of the capture file that were read so far
 * @size: size of the capture file in bytes; 0: unknown, such as of a pipe
 * @dissected: number of frames that the present worker's first pass has dissected so far
 * @frames_size: bytes of the frames file that are used
 * @start: time of the first frame, in nanoseconds since 1970 in UTC; 0: no frame has a time
 * @end: time of the latest frame, in nanoseconds since 1970 in UTC
 * @workers: number of workers that were started
 * @degraded: number of workers that began in the middle of the capture, because the worker
 *	before reached its memory limit; protocols that need earlier frames may be missing
 * @crashed: number of frames whose dissection crashed, or took more than two seconds
 * @truncated: the capture file is damaged or cut off behind the last frame; @error has the reason
 * @process: pid of the present worker; 0: none runs
 * @reserved: zeros
 * @comment: comment of the capture; "" if it has none
 * @error: why the phase is ENGINE_FAILED or ENGINE_LOST, or why frames are missing
 * @software: name and version of the library that reads the capture
 */
struct engine_state {
	uint32_t version;
	uint32_t kind;
	uint32_t phase;
	uint32_t link_type;
	uint64_t frames;
	uint64_t read;
	uint64_t size;
	uint64_t dissected;
	uint64_t frames_size;
	int64_t start;
	int64_t end;
	uint32_t workers;
	uint32_t degraded;
	uint32_t crashed;
	uint32_t truncated;
	uint32_t process;
	uint32_t reserved[7];
	char comment[1024];
	char error[1024];
	char software[128];
};

/* Messages on the control socket. */
enum engine_message {
	ENGINE_HELLO		= 1,
	ENGINE_PHASE		= 2,
	ENGINE_CONNECT		= 3
};

struct engine_control {
	uint32_t message;	/* enum engine_message */
	uint32_t version;	/* ENGINE_VERSION */
};

/* Requests. The pcap engine serves ENGINE_FILTER and ENGINE_SEARCH. */
enum engine_op {
	/*
	 * Properties of @count frames from @frame on, with ENGINE_BACKWARD to lower numbers. With
	 * ENGINE_FIELD only those of the field @id. With ENGINE_ASKED only those of the fields
	 * whose numbers, uint32_t, are in @text before its null, and of the protocols of level 0;
	 * an engine may send others, too. Result: for each frame a struct engine_frame, its struct
	 * engine_property, and their values. The reply has the number of frames in @count, which is
	 * lower if the results file is full or the time is over.
	 */
	ENGINE_PROPERTIES	= 1,
	/*
	 * Protocols of @count frames from @frame on, with ENGINE_BACKWARD to lower numbers. Result:
	 * for each frame a struct engine_frame and its struct engine_layer.
	 */
	ENGINE_PROTOCOLS	= 2,
	/*
	 * Compile the filter @text. The reply has the filter's number in @id, or @error and @text.
	 */
	ENGINE_FILTER		= 3,
	/*
	 * Look at up to @count frames from @frame on, with ENGINE_BACKWARD to lower numbers, and
	 * find those that pass the filter @id, unless that is ENGINE_NONE, and with ENGINE_USER the
	 * user's filter. Result: the numbers of the frames that pass, uint32_t. The reply has their
	 * count in @count, and in @next the first frame that was not looked at, or ENGINE_NONE.
	 */
	ENGINE_SEARCH		= 4,
	/*
	 * Find the protocol @text by Network Monitor's or Wireshark's name, or the protocol @id
	 * if @text is empty. Result: a struct engine_name.
	 */
	ENGINE_PROTOCOL		= 5,
	/*
	 * Find the field @text of the protocol @id, or the field @id if @text is empty. Result: a
	 * struct engine_field. If several fields have the filter name, it is the first of them:
	 * engine_field.same links the others.
	 */
	ENGINE_FIELD_INFO	= 6,
	/*
	 * Numbers of all fields of the protocol @id, without the first @frame ones. If @id is
	 * ENGINE_NONE: numbers of all protocols, without the first @frame ones. Result: uint32_t
	 * each.
	 */
	ENGINE_FIELDS		= 7,
	/* Free the filter @id. */
	ENGINE_DROP_FILTER	= 8
};

/* Flags of requests; see enum engine_op. */
#define ENGINE_BACKWARD		(1u << 0)	/* go from @frame to lower numbers */
#define ENGINE_FIELD		(1u << 1)	/* only the field @id */
#define ENGINE_USER		(1u << 2)	/* frames must pass the user's filter, too */
#define ENGINE_ASKED		(1u << 3)	/* only the fields in @text */

#define ENGINE_TEXT		8192u		/* most bytes of a filter, with its null */
#define ENGINE_ASKED_MAX	64u		/* most fields of ENGINE_ASKED */

/**
 * struct engine_request - a request; see enum engine_op for the members that it uses
 * @op: enum engine_op
 * @sequence: number of the request, which the reply repeats; the expert counts its requests
 * @flags: ENGINE_BACKWARD, ENGINE_FIELD, ENGINE_USER, ENGINE_ASKED
 * @frame: number of the first frame; for ENGINE_FIELDS how many numbers to leave out
 * @count: most frames to look at
 * @id: number of a field, protocol or filter
 * @length: bytes of @text, with the null; 0: @text is empty. The message ends there
 * @text: a filter, a name, or numbers of fields
 */
struct engine_request {
	uint32_t op;
	uint32_t sequence;
	uint32_t flags;
	uint32_t frame;
	uint32_t count;
	uint32_t id;
	uint32_t length;
	char text[ENGINE_TEXT];
};

/**
 * struct engine_reply - the answer to a request
 * @op: @op of the request
 * @sequence: @sequence of the request
 * @error: NMERR_ code: SUCCESS, FILTER_INVALID_EXPRESSION, PROTOCOL_NOT_FOUND,
 *	PROPERTY_NOT_FOUND, FRAME_NOT_FOUND, INVALID_HFILTER, NOT_SUPPORTED, OUT_OF_MEMORY
 * @id: number of the filter, protocol or field
 * @count: number of results
 * @next: the first frame that the engine did not look at; ENGINE_NONE: the end of the capture was
 *	reached, or the request has no frames
 * @size: bytes of the results
 * @text: the reason for @error; "": there is none
 */
struct engine_reply {
	uint32_t op;
	uint32_t sequence;
	uint32_t error;
	uint32_t id;
	uint32_t count;
	uint32_t next;
	uint32_t size;
	char text[484];
};

/**
 * struct engine_frame - a frame in the results of ENGINE_PROPERTIES and ENGINE_PROTOCOLS
 * @frame: number of the frame
 * @error: NMERR_SUCCESS; INTERNAL_EXCEPTION: its dissection crashed; RUNAWAY_PROTOCOL: its
 *	dissection took more than two seconds. After an error, @count is 0
 * @count: number of properties or layers, which follow this structure
 * @size: bytes of this structure and of all that belongs to it, a multiple of 8: the next
 *	struct engine_frame begins there
 */
struct engine_frame {
	uint32_t frame;
	uint32_t error;
	uint32_t count;
	uint32_t size;
};

/**
 * struct engine_layer - a protocol in a frame
 * @protocol: number of the protocol
 * @offset: offset in the frame, in bytes; 0xffff: the protocol begins behind byte 65,534, or has no
 *	bytes in the frame
 */
struct engine_layer {
	uint16_t protocol;
	uint16_t offset;
};

/**
 * struct engine_property - a property in a frame
 * @field: number of the field
 * @offset: offset of its bytes in the frame; ENGINE_NONE: it has no bytes in the frame
 * @length: number of its bytes in the frame
 * @level: depth in the tree, 0 for a protocol
 * @flags: ENGINE_SWAPPED, ENGINE_VALUE, ENGINE_WRONG
 * @value_length: with ENGINE_VALUE, bytes of the value
 * @value: with ENGINE_VALUE: a value of up to 8 bytes, the first byte lowest; of a longer value its
 *	offset from the start of the struct engine_frame
 *
 * Without ENGINE_VALUE, the bytes in the frame are the value. With ENGINE_VALUE, the value is not
 * in the frame as it is: it was computed, is some bits of the bytes, or was reassembled. The value
 * has the form of the field's type in Netmon.h, with integers in the byte order of the machine. The
 * bits of a masked field are shifted, so that the lowest bit of the mask is bit 0.
 *
 * A value, or the bytes that are one, has exactly the size of its type: BYTE 1, WORD 2, DWORD 4,
 * LARGEINT 8, IP_ADDRESS 4, IP6_ADDRESS 16, ETHERNET_ADDRESS and other link addresses 6, TIME 16
 * (SYSTEMTIME in UTC), VAR_LEN_SMALL_INT 1 to 8 bytes. The reader refuses other sizes.
 */
struct engine_property {
	uint32_t field;
	uint32_t offset;
	uint32_t length;
	uint8_t level;
	uint8_t flags;
	uint16_t value_length;
	uint64_t value;
};

#define ENGINE_SWAPPED		(1u << 0)	/* an integer in network order */
#define ENGINE_VALUE		(1u << 1)	/* @value has the value, or its offset */
#define ENGINE_WRONG		(1u << 2)	/* a protocol's check failed, as of a checksum */

/**
 * struct engine_name - a protocol
 * @id: its number, below 65,535
 * @fields: number of its fields
 * @lengths: bytes of the three texts that follow, with their nulls: Network Monitor's name, or
 *	else Wireshark's short name, in at most 16 bytes; Wireshark's filter name; its full name
 */
struct engine_name {
	uint32_t id;
	uint32_t fields;
	uint32_t lengths[3];
};

/**
 * struct engine_field - a field
 * @id: its number
 * @protocol: number of its protocol; ENGINE_NONE: it has none
 * @type: PROP_TYPE_*
 * @qualifier: PROP_QUAL_NONE, LABELED_SET or FLAGS
 * @width: bytes of an integer, else 0
 * @flags: ENGINE_FIELD_*
 * @mask: bits of the integer that are the field; 0: all bits
 * @labels: number of labels. With LABELED_SET, a label is a value and its name; with FLAGS, a bit
 *	and its two names. The struct engine_label follow the texts, aligned to 8 bytes
 * @same: number of the next field with an equal filter name, such as one of another width;
 *	ENGINE_NONE: there is none
 * @lengths: bytes of the three texts that follow, with their nulls: the label (Network Monitor's
 *	or Wireshark's display name), Wireshark's filter name, the comment
 */
struct engine_field {
	uint32_t id;
	uint32_t protocol;
	uint8_t type;
	uint8_t qualifier;
	uint8_t width;
	uint8_t flags;
	uint32_t labels;
	uint64_t mask;
	uint32_t same;
	uint32_t lengths[3];
};

#define ENGINE_FIELD_HEX	(1u << 0)	/* shown in hexadecimal by Wireshark */
#define ENGINE_FIELD_SIGNED	(1u << 1)	/* a signed integer */
#define ENGINE_FIELD_DURATION	(1u << 2)	/* LARGEINT: nanoseconds; filters write seconds */
#define ENGINE_FIELD_DOUBLE	(1u << 3)	/* RAW_DATA: a double of the machine, 8 bytes */

/**
 * struct engine_label - a label of a field
 * @value: LABELED_SET: the value; FLAGS: number of the bit in the value, from 0
 * @length: bytes of the text that follows this structure, with its null
 * @off_length: FLAGS: bytes of the name of a clear bit, with its null, which follows the first
 *	text at once; LABELED_SET: 0
 *
 * The next label begins at the next multiple of 8 bytes.
 */
struct engine_label {
	uint64_t value;
	uint32_t length;
	uint32_t off_length;
};

#ifdef __cplusplus
}
#endif

#endif /* EXPERTMEM_ENGINE_H */
