/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An engine reads a capture and answers questions about it: include/expertmem-engine.h has the
 * protocol. Two engines are built from these files, and each has two programs: the supervisor
 * expertmem-engine-NAME, which uses no library but C's, and expertmem-engine-NAME-worker.
 *
 *   main.c		options of both programs
 *   supervisor.c	the supervisor: the control socket, workers, their deaths
 *   worker.c		the worker: loads the capture, serves requests of experts in turn
 *   desk.c		what the worker tells the supervisor; results
 *   load.c		read the capture by Wireshark's file library into the frames file
 *   sandbox.c		seccomp
 *   pcap.c		engine_ops of expertmem-engine-pcap: filters by libpcap
 *   lookup.c		names of ports and protocols in libpcap's filters
 *   wireshark.c	engine_ops of expertmem-engine-wireshark: dissectors and display filters;
 *			ws.h lists the files that belong to it
 *   record.h		a record of a capture, for all versions of Wireshark's file library
 *   ws_compat.h	what differs between versions of libwireshark
 *
 * The supervisor executes the worker by posix_spawn(), so that each worker has its own random
 * addresses and no memory of the worker before it. The supervisor passes descriptors to the worker,
 * and shares struct desk of worker.h with it.
 */
#ifndef ENGINE_H
#define ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <expertmem-engine.h>

/**
 * struct frames - the capture, as the operations see it
 * @count: number of frames
 * @index: index file, mapped read-only
 * @data: frames file, mapped read-only
 * @start: as in struct engine_state
 * @link_type: LINKTYPE_ of all frames; 0xffff: they differ, or are not in the list
 * @begin: number of the frame where the dissectors' first pass begins. Not 0 if the worker before
 *	this one has reached its memory limit at that frame. Frames before it are dissected without
 *	a first pass
 */
struct frames {
	uint32_t count;
	const uint64_t *index;
	const char *data;
	int64_t start;
	uint16_t link_type;
	uint32_t begin;
};

/**
 * struct results - where an operation writes its results
 * @start: start of the client's results file, which is mapped
 * @used: bytes that are written
 */
struct results {
	char *start;
	uint32_t used;
};

/* desk.c */

/* Append @size bytes, padded to a multiple of 8. False: there is no room; nothing is written. */
bool results_add(struct results *results, const void *bytes, uint32_t size);
/* Room for @size bytes, padded to a multiple of 8, that the caller fills; NULL: no room. */
void *results_room(struct results *results, uint32_t size);

/**
 * struct fields - the fields that are wanted of a frame
 * @count: number of fields
 * @ids: their numbers
 * @asked: the request has ENGINE_ASKED; else it has ENGINE_FIELD, and @count is 1
 */
struct fields {
	uint32_t count;
	bool asked;
	uint32_t ids[ENGINE_ASKED_MAX];
};

/**
 * struct engine_ops - what pcap.c and wireshark.c implement
 * @kind: which engine
 * @init: prepare, before the sandbox; reads no file of the user. The caller has called wtap_init().
 *	Writes name and version to @software. False: @error has the reason
 * @loaded: the frames are complete. The first pass begins at the frame @frames->begin, which is 0
 *	unless the worker before reached its memory limit; earlier frames are dissected on their own
 * @compile: compile a filter. NMERR_SUCCESS; FILTER_INVALID_EXPRESSION or OUT_OF_MEMORY, with a
 *	reason in @text. Also called before @loaded, to check the user's filter
 * @drop: free a filter
 * @passes: does the frame pass the filter?
 * @properties: append a struct engine_frame, and the frame's properties; if @fields is not NULL,
 *	only those of @fields. False: there is no room; the caller removes what was appended
 * @protocols: append a struct engine_frame, and the frame's layers. False: as @properties
 * @find_protocol: describe the protocol @text, or @id if @text is ""; an NMERR_ code
 * @find_field: describe the field @text of the protocol @id, or the field @id; an NMERR_ code
 * @fields: append the numbers of all fields of @protocol, or of all protocols if @protocol is
 *	ENGINE_NONE, without the first @first ones; *@count receives how many; an NMERR_ code
 * @dissected: number of frames of the first pass so far
 *
 * In the pcap engine, all but @kind, @init, @loaded, @compile, @drop and @passes are NULL. Frames
 * are numbered from 0. The operations call desk_frame() before they dissect a frame.
 */
struct engine_ops {
	enum engine_kind kind;
	bool (*init)(char software[static 128], char error[static 1024]);
	void (*loaded)(const struct frames *frames);
	uint32_t (*compile)(const char *filter, uint16_t link_type, void **compiled,
			    char text[static 484]);
	void (*drop)(void *compiled);
	bool (*passes)(void *compiled, uint32_t frame);
	bool (*properties)(uint32_t frame, const struct fields *fields, struct results *results);
	bool (*protocols)(uint32_t frame, struct results *results);
	uint32_t (*find_protocol)(const char *text, uint32_t id, struct results *results);
	uint32_t (*find_field)(const char *text, uint32_t id, struct results *results);
	uint32_t (*fields)(uint32_t protocol, uint32_t first, uint32_t *count,
			   struct results *results);
	uint64_t (*dissected)(void);
};

extern const struct engine_ops engine_ops;

/*
 * Note in the desk which frame is about to be dissected. False: the dissection of this frame
 * crashed or hung before; the caller answers with *@error, and does not dissect the frame. If the
 * memory limit is near, the call ends this worker, and the next worker serves the request again.
 */
bool desk_frame(uint32_t frame, uint32_t *error);

/*
 * Note in the desk that the dissection of the frame is over, so that the frame gets no error if the
 * worker crashes later. Call this before a filter is applied: if the filter crashes or hangs, its
 * request is refused. desk_frame() and the end of a request call this, too.
 */
void desk_dissected(void);

/* lookup.c: read the files of names, before the sandbox */
void lookup_init(void);

#endif /* ENGINE_H */
