/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files share that have the calls of Netmon.h for captures. They are only in
 * libexpertmem.so, and lie above netmon.c and host.c in the layers of internal.h:
 *
 *   frame.c		ExpertGetFrame(), GetFrame() and other calls about frames
 *   address.c		addresses of frames; comparing and writing addresses
 *   filter.c		filters: objects in postfix order, written as a display filter
 *   property.c		tables of properties, instances, finding them
 *   protocol.c		handles and descriptions of protocols and properties
 *   format.c		properties as text
 *   event.c		events
 *   capture.c		the host's calls: start an engine, give a capture to an expert
 *   client.c		an expert's connection to its engine; handles
 *
 * An expert's connection, struct em_client, is made in the host and inherited by fork(). Its
 * lock protects everything in it. The lock of a client is taken before the lock of an expert.
 *
 * Handles are numbers: see em_handle(). A handle names the slot and the generation of an expert,
 * so that a call which gets no key still finds the expert, and a bad handle is an error.
 */
#ifndef EM_CAPTURE_H
#define EM_CAPTURE_H

#include <expertmem-engine.h>

#include "internal.h"

#pragma GCC visibility push(hidden)

/*
 * Kinds of handles: the highest 4 bits. The bits below are 16 bits of the expert's generation, 12
 * bits for its slot, and 32 bits for the number of the object. The highest 17 bits of an address
 * are equal, and the kinds are chosen so that no handle is an address.
 */
enum em_handle {
	EM_HANDLE_CAPTURE	= 1,
	EM_HANDLE_FRAME		= 2,
	EM_HANDLE_PROTOCOL	= 3,
	EM_HANDLE_PROPERTY	= 4,
	EM_HANDLE_FILTER	= 5,
};

struct em_names;		/* protocol.c: descriptions of protocols and properties */
struct em_tables;		/* property.c: the tables of properties of recent frames */
struct em_filters;		/* filter.c */

/**
 * struct em_client - an expert's connection to an engine
 * @lock: protects all that follows @flags; recursive: no
 * @key: key of the expert
 * @flags: EXPERTMEM_NO_RECOGNIZE, ...
 * @kind: ENGINE_PCAP or ENGINE_WIRESHARK
 * @state: the engine's state, mapped read-only
 * @frames: the frames, mapped read-only
 * @frames_size: bytes of @frames
 * @index: the index, mapped read-only
 * @nr_frames: number of frames
 * @link_type: LINKTYPE_ of all frames, or 0xffff
 * @results: the results, mapped read-only
 * @fd: socket to the engine; -1: the connection is lost
 * @sequence: number of the last request
 * @names, @tables, @filters: NULL until first used
 *
 * The structure is memory of the library (em_map()), not of the expert. Everything that the
 * files above allocate for the expert is from ExpertAllocMemory(), and so charged to it.
 */
struct em_client {
	HEXPERTKEY key;
	unsigned int flags;
	enum engine_kind kind;
	const struct engine_state *state;
	const char *frames;
	uint64_t frames_size;
	const uint64_t *index;
	uint32_t nr_frames;
	uint16_t link_type;
	pthread_mutex_t lock;
	const char *results;
	int fd;
	uint32_t sequence;
	struct em_names *names;
	struct em_tables *tables;
	struct em_filters *filters;
};

/* client.c */

/* The handle @number of this kind, of the client's expert. */
uint64_t em_handle(const struct em_client *client, enum em_handle kind, uint32_t number);

/*
 * Find the client of a handle of this kind. NULL: it is no such handle, or its expert is closed or
 * has no capture. @number receives the object's number, which the caller checks.
 */
struct em_client *em_client_of(uint64_t handle, enum em_handle kind, uint32_t *number);

/* The client of an expert; NULL: the key is bad, or the expert has no capture: *@error says which. */
struct em_client *em_client_of_key(HEXPERTKEY key, DWORD *error);

/*
 * The client for calls that get neither key nor handle, such as GetProtocolFromName(): that of the
 * last call of this thread which named one; else the first one of the process; else NULL.
 */
struct em_client *em_client_current(void);
void em_client_set_current(struct em_client *client);

/*
 * Send a request and wait for its reply; @client->lock is held. Sets @request->sequence. The results
 * are at @client->results, reply->size bytes, which the callee has checked against ENGINE_RESULTS.
 *
 * Return: NMERR_SUCCESS, or reply->error (only codes that the protocol allows), or
 * NMERR_EXPERT_TERMINATE (asked to stop while waiting), NMERR_LOST_CONNECTION.
 */
DWORD em_request(struct em_client *client, struct engine_request *request,
		 struct engine_reply *reply);

/*
 * The frame @number, whose header and bytes are checked to be inside of the mapping; NULL: there is
 * no such frame. @link_type may be NULL.
 */
const FRAME *em_frame(const struct em_client *client, uint32_t number, uint16_t *link_type);

/* Set the code of BhGetLastError() for this thread. em_fail_null() returns NULL. */
void em_set_last_error(DWORD error);
void *em_fail_null(DWORD error);

/* frame.c */

/*
 * The number of the first frame from @from on, itself included, that passes the filter @filter
 * (ENGINE_NONE: none) and, with @user, the user's filter. @client->lock is held. Errors: as
 * em_request(), or NMERR_NO_MORE_FRAMES.
 */
DWORD em_search(struct em_client *client, uint32_t filter, bool user, bool forward,
		uint32_t from, uint32_t *found);

/* protocol.c */

/* Called without the lock. The handle's description, or NULL; it stays until the expert ends. */
LPPROTOCOLINFO em_protocol_info(struct em_client *client, uint32_t protocol);
LPPROPERTYINFO em_property_info(struct em_client *client, uint32_t field);
/* Wireshark's names of a protocol and of a field, for filters; NULL: unknown. */
const char *em_protocol_filter_name(struct em_client *client, uint32_t protocol);
const char *em_field_filter_name(struct em_client *client, uint32_t field);

/* property.c */

/*
 * The table of properties of a frame, for FLAGS_ATTACH_PROPERTIES; @ahead: the direction in which
 * the expert goes, for the frames that are asked for together. Errors: as ExpertGetFrame().
 */
DWORD em_attach_properties(struct em_client *client, uint32_t frame, bool forward,
			   LPPROPERTYTABLE *table);
/* The table of protocols of a frame; *@table is NULL with EXPERTMEM_NO_RECOGNIZE or ENGINE_PCAP. */
DWORD em_recognize(struct em_client *client, uint32_t frame, bool forward,
		   LPRECOGNIZEDATATABLE *table);
/* filter.c */

/*
 * The engine's number of a filter, which is translated and compiled at first use.
 * @client->lock is held.
 */
DWORD em_filter_number(struct em_client *client, HFILTER filter, uint32_t *number);

#pragma GCC visibility pop

#endif /* EM_CAPTURE_H */
