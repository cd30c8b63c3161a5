/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * This header is for the files that have the calls of Netmon.h for captures. They are only in
 * libexpertmem.so and libexpertmem.a, and lie above netmon.c and host.c in the layers of internal.h:
 *
 *   frame.c		ExpertGetFrame(), GetFrame() and other calls about frames
 *   address.c		addresses of frames; comparing and writing addresses
 *   find.c		the next frame with a protocol and with addresses
 *   search.c		frames that pass filters
 *   offset.c		where protocols begin in frames
 *   filter.c		filters: objects in postfix order, compiled by the engine
 *   translate.c	objects of a filter, written as a display filter
 *   property.c		tables of properties, instances, finding them
 *   protocol.c		handles and descriptions of protocols and properties
 *   format.c		properties as text
 *   index.c		a hash table from numbers to addresses
 *   helpers.c		sets with labels, integers of any length
 *   event.c		events
 *   capture.c		the host's calls: start an engine, give a capture to an expert
 *   client.c		an expert's connection to its engine; handles
 *   spawn.c		the process of an engine
 *   link.c		the packet behind the link headers of a frame
 *
 * An expert's connection, struct em_client, is made in the host and inherited by fork(). A child of
 * the expert does not have it.
 *
 * Each slot of em_experts[] has one struct em_client, which is never freed. So a call whose expert
 * is closed by another thread still finds a valid lock. Two mechanisms keep calls apart:
 *
 *   lock	protects everything in struct em_client. A call that holds the lock checks em_is_open()
 *		before it uses the mappings. The lock of a client is taken before the lock of an
 *		expert.
 *   section	of internal.h: a call that only reads frames takes no lock. expertmem_close() unmaps the
 *		frames when all sections have ended.
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
 * Kinds of handles: the highest 4 bits. The 28 bits below are the lowest bits of the expert's key,
 * which are its slot and 16 bits of its generation. The lowest 32 bits are the number of the object.
 * The highest 17 bits of an address are equal, and the kinds are chosen so that no handle is an
 * address.
 */
enum em_handle {
	EM_HANDLE_CAPTURE	= 1,
	EM_HANDLE_FRAME		= 2,
	EM_HANDLE_PROTOCOL	= 3,
	EM_HANDLE_PROPERTY	= 4,
	EM_HANDLE_FILTER	= 5,
};

#define EM_HANDLE_KEY	0xfffffffUL	/* the bits of the key that are in a handle */

struct em_names;		/* protocol.c: descriptions of protocols and properties */
struct em_tables;		/* property.c: the tables of properties of recent frames */
struct em_filters;		/* filter.c */

/* Bytes of em_client.copy: results of a request, and of another one that is made meanwhile. */
#define EM_COPY_SIZE	(2 * (size_t)ENGINE_RESULTS)

/* Most frames that one request for a search looks at, so that other experts need not wait long. */
#define EM_SEARCH_MAX	4096U

/**
 * struct em_search - the last block of frames that the engine has searched
 * @step: number of frames that the last request asked for; 0: there is no block
 * @filter, @user, @forward: what was asked for, see em_search()
 * @from: first frame of the block
 * @next: first frame that was not looked at, in the direction of @forward; ENGINE_NONE: none is left
 * @count: number of entries of @found
 * @found: numbers of the frames that pass, in the order of the search, at most EM_SEARCH_MAX; NULL
 *	until first used
 */
struct em_search {
	uint32_t step;
	uint32_t filter;
	bool user;
	bool forward;
	uint32_t from;
	uint32_t next;
	uint32_t count;
	uint32_t *found;
};

/**
 * struct em_client - an expert's connection to an engine
 * @key: key of the expert; 0: the client is not in use; atomic
 * @flags: EXPERTMEM_NO_RECOGNIZE, ...
 * @kind: ENGINE_PCAP or ENGINE_WIRESHARK
 * @user_filter: the user has given a filter
 * @is_plain: lpRecognizeDataTable of a frame is always NULL
 * @frames: the frames, mapped read-only
 * @frames_size: bytes of @frames
 * @index: the index, mapped read-only
 * @nr_frames: number of frames
 * @link_type: LINKTYPE_ of all frames, or 0xffff
 * @start_time: time of the first frame, for GetCaptureTimeStamp()
 * @comment: comment of the capture
 * @lock: protects all that follows it; not recursive
 * @closing: expertmem_close() waits for the lock: em_request() stops to wait; atomic
 * @results: the results, mapped read-only
 * @fd: socket to the engine; -1: the connection is lost
 * @sequence: number of the last request
 * @forks: number of fork() between the process that made the client and this one
 * @copy: copies of results, which the engine cannot change any more; EM_COPY_SIZE bytes of memory
 *	of the library; NULL until first used
 * @names, @tables, @filters: NULL until first used
 * @search: see em_search()
 *
 * The structure is memory of the library (em_map()), not of the expert. Everything that the
 * files above allocate for the expert is from ExpertAllocMemory(), and so charged to it. When the
 * expert is closed, all of the structure but @lock becomes zero.
 */
struct em_client {
	HEXPERTKEY key;
	unsigned int flags;
	enum engine_kind kind;
	bool user_filter;
	bool is_plain;
	const char *frames;
	uint64_t frames_size;
	const uint64_t *index;
	uint32_t nr_frames;
	uint16_t link_type;
	SYSTEMTIME start_time;
	char comment[sizeof(((struct engine_state *)0)->comment)];

	pthread_mutex_t lock;
	bool closing;
	const char *results;
	int fd;
	uint32_t sequence;
	unsigned int forks;
	char *copy;
	struct em_names *names;
	struct em_tables *tables;
	struct em_filters *filters;
	struct em_search search;
};

/* spawn.c */

/*
 * Start the program of an engine, which is no child of this process. @arguments: as of execv().
 * @input: the engine may read the standard input of this process. @control: becomes its descriptor
 * ENGINE_CONTROL_FD. Returns enum expertmem_error: E_NO_ENGINE (it cannot be executed), E_NOMEM.
 */
int em_spawn(const char *program, char *const arguments[], bool input, int control);

/* client.c */

/*
 * Give the expert of @key this connection, which becomes the library's if the call succeeds. @path:
 * of the capture. Returns enum expertmem_error.
 */
int em_client_give(HEXPERTKEY key, const struct em_client *made, const char *path);
/* Unmap and close what @client has. */
void em_client_free(struct em_client *client);

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

/* The client that em_client_current() returns, unless it is closed. The calls above set it. */
extern __thread struct em_client *em_current_client __attribute__((tls_model("initial-exec")));

/* Was the expert not closed since the client was found? @client->lock is held. */
static inline bool em_is_open(const struct em_client *client)
{
	return em_read_once(&client->key) && !em_read_once(&client->closing);
}

/*
 * Is the client open, and of the expert that @handle names? Between em_client_of() and taking the
 * lock, another thread may close the expert and give the slot to a new one. @client->lock is held.
 */
static inline bool em_is_of_handle(const struct em_client *client, uint64_t handle)
{
	return em_is_open(client) &&
	       ((uintptr_t)client->key & EM_HANDLE_KEY) == (handle >> 32 & EM_HANDLE_KEY);
}

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
 * The engine's answer breaks the protocol: end the connection; @client->lock is held. Returns
 * NMERR_LOST_CONNECTION.
 */
DWORD em_client_lose(struct em_client *client);

/* The handle @number of this kind, of the client's expert. */
static inline uint64_t em_handle(const struct em_client *client, enum em_handle kind,
				 uint32_t number)
{
	return (uint64_t)kind << 60 | ((uintptr_t)client->key & EM_HANDLE_KEY) << 32 | number;
}

#define EM_INDEX_OFFSET	0xffffffffffffUL	/* the bits of an entry of the index */
#define EM_FRAME_HEADER	offsetof(FRAME, MacFrame)

/*
 * The frame @number, whose header and @size bytes are checked to be inside of the mapping; NULL:
 * there is no such frame. @client->lock is held, or a section has begun.
 */
static inline const FRAME *em_frame_size(const struct em_client *client, uint32_t number,
					 uint16_t *link_type, uint32_t *size)
{
	uint64_t entry, offset;
	const FRAME *frame;

	if (number >= client->nr_frames)
		return NULL;
	entry = em_read_once(&client->index[number]);
	offset = entry & EM_INDEX_OFFSET;
	if (offset % 16 || offset + EM_FRAME_HEADER > client->frames_size)
		return NULL;
	frame = (const FRAME *)(client->frames + offset);
	*size = em_read_once(&frame->nBytesAvail);
	if (*size > client->frames_size - EM_FRAME_HEADER - offset)
		return NULL;
	*link_type = entry >> 48;
	return frame;
}

static inline const FRAME *em_frame(const struct em_client *client, uint32_t number)
{
	uint16_t link_type;
	uint32_t size;

	return em_frame_size(client, number, &link_type, &size);
}

/* Set the code of BhGetLastError() for this thread. em_fail_null() returns NULL. */
void em_set_last_error(DWORD error);
void *em_fail_null(DWORD error);

/* frame.c */

/**
 * struct em_view - a frame that a call looks at
 * @client: the client of its expert
 * @number: number of the frame
 * @link_type: its LINKTYPE_
 * @locked: the client's lock is held; else a section has begun
 * @size: number of its bytes, which are in the mapping
 * @frame: the frame; an engine that lies may change it, so do not read nBytesAvail for @size
 */
struct em_view {
	struct em_client *client;
	uint32_t number;
	uint16_t link_type;
	bool locked;
	uint32_t size;
	const FRAME *frame;
};

/*
 * Begin to look at a frame. True: call em_view_end() soon, and no call of Netmon.h before that.
 * False: the handle is bad; the last error is set.
 */
bool em_view_frame(HFRAME handle, struct em_view *view);
void em_view_end(const struct em_view *view);

/* The MAC_TYPE_ of a LINKTYPE_. */
DWORD em_mac_type(uint16_t link_type);

/* search.c */

/*
 * The number of the first frame from @from on, itself included, that passes the filter @filter
 * (ENGINE_NONE: none) and, with @user, the user's filter. @client->lock is held. Errors: as
 * em_request(), or NMERR_NO_MORE_FRAMES.
 */
DWORD em_search(struct em_client *client, uint32_t filter, bool user, bool forward,
		uint32_t from, uint32_t *found);
/* Does the frame pass? NMERR_SUCCESS: yes; NMERR_FRAME_FAILED_FILTER: no; errors as em_request(). */
DWORD em_passes(struct em_client *client, uint32_t filter, bool user, uint32_t number);

/* index.c: a hash table from numbers to addresses, in the expert's memory; the client is locked */
struct em_index {
	struct em_index_entry {
		uint64_t key;
		void *value;		/* NULL: the entry is free */
	} *entries;
	uint32_t size;			/* number of entries, a power of two, or 0 */
	uint32_t used;
};

void *em_index_get(const struct em_index *index, uint64_t key);
/* Errors: as ExpertAllocMemory(). An entry of @key must not exist. */
DWORD em_index_put(HEXPERTKEY key, struct em_index *index, uint64_t number, void *value);
void em_index_remove(struct em_index *index, uint64_t number);

/* protocol.c */

/**
 * struct em_protocol - a protocol that was seen or asked for
 * @info: what GetProtocolInfo() returns; @info.PropertyDatabase is NULL until then
 * @fields: number of its fields
 * @filter_name: Wireshark's name
 */
struct em_protocol {
	PROTOCOLINFO info;
	uint32_t fields;
	const char *filter_name;
};

/**
 * struct em_field - a property that was seen or asked for
 * @info: what GetPropertyInfo() returns
 * @set: labels, if @info.lpSet points here
 * @id, @protocol, @same, @mask, @flags: as in struct engine_field
 * @width: bytes of a value of a fixed size; 0: any
 * @asked: the expert got its handle before it first attached properties
 * @last, @window: for FindPropertyInstance(): last frame that was asked for, and how many
 *	frames together
 * @filter_name: Wireshark's name
 */
struct em_field {
	PROPERTYINFO info;
	SET set;
	uint32_t id;
	uint32_t protocol;
	uint32_t same;
	uint8_t width;
	uint8_t flags;
	bool asked;
	uint64_t mask;
	uint32_t last;
	uint32_t window;
	const char *filter_name;
};

/*
 * Lock a client, for a call of the expert. Errors: NMERR_INVALID_EXPERT_HANDLE (its expert was
 * closed), NMERR_EXPERT_TERMINATE; the client is not locked then. em_client_unlock() unlocks it.
 */
DWORD em_client_lock(struct em_client *client);
void em_client_unlock(struct em_client *client);
/*
 * The client of a handle, locked. NULL: *@error is @bad (no such handle, or its expert was closed),
 * or NMERR_EXPERT_TERMINATE.
 */
struct em_client *em_client_lock_of(uint64_t handle, enum em_handle kind, uint32_t *number,
				  DWORD bad, DWORD *error);

/*
 * Copy the results of a request to memory of the library. @part: 0 or 1, which half of
 * client->copy. NULL: out of memory. @client is locked.
 */
const char *em_results(struct em_client *client, const struct engine_reply *reply, int part);

/*
 * @client is locked. Find or describe a protocol or a field; they stay until the expert ends.
 * Errors: as em_request() and ExpertAllocMemory(); NMERR_PROTOCOL_NOT_FOUND, PROPERTY_NOT_FOUND;
 * NMERR_INVALID_DATA: the engine does not keep to its protocol; NMERR_NOT_SUPPORTED: ENGINE_PCAP.
 */
DWORD em_protocol_by_name(struct em_client *client, const char *name, uint32_t *protocol);
DWORD em_protocol_of(struct em_client *client, uint32_t id, struct em_protocol **protocol);
DWORD em_field_of(struct em_client *client, uint32_t id, struct em_field **field);
/* Called without the lock: as em_protocol_by_name(), for the engine of a frame. */
DWORD em_protocol_named(HFRAME frame, const char *name, uint32_t *protocol);
/* The field whose description @info is; NULL: @info was made by the expert. */
const struct em_field *em_field_of_info(struct em_client *client, const PROPERTYINFO *info);
/*
 * Number of fields that the expert has asked for; @ids receives the numbers of the first
 * ENGINE_ASKED_MAX ones.
 */
uint32_t em_asked_fields(struct em_client *client, const uint32_t **ids);
/* From now on, GetProperty() adds no field to those. */
void em_asked_end(struct em_client *client);

/* property.c; called without the lock */

/*
 * The table of properties of a frame, for FLAGS_ATTACH_PROPERTIES; @forward: the direction in which
 * the expert goes, for the frames that are asked for together. Errors: as ExpertGetFrame().
 */
DWORD em_attach_properties(HFRAME frame, bool forward, LPPROPERTYTABLE *table);
/* The table of protocols of a frame; *@table is NULL with EXPERTMEM_NO_RECOGNIZE or ENGINE_PCAP. */
DWORD em_recognize(const struct em_client *client, HFRAME frame, bool forward,
		   LPRECOGNIZEDATATABLE *table);
/*
 * The table of protocols of a frame, also with EXPERTMEM_NO_RECOGNIZE. With ENGINE_PCAP:
 * NMERR_NOT_SUPPORTED.
 */
DWORD em_protocols(HFRAME frame, bool forward, LPRECOGNIZEDATATABLE *table);
/*
 * Memory for the text of an instance, which is freed with its table, or by the expert if @instance
 * is in no table. @client is locked.
 */
char *em_text_alloc(struct em_client *client, const PROPERTYINST *instance, size_t size,
		    DWORD *error);

/* offset.c */

/*
 * The highest offset of a protocol @id that is less than @before, or the offset of the first one if
 * @before is 0; ENGINE_NONE: there is none.
 */
DWORD em_offset_in(LPRECOGNIZEDATATABLE table, uint32_t id, DWORD before);

/* format.c */

/*
 * Write the text of a property to @text, at most @size bytes with the null. Returns the bytes that
 * the whole text needs, without the null. @field: NULL if the expert has made the description.
 */
size_t em_format(const PROPERTYINST *instance, const struct em_field *field, char *text,
		 size_t size);

/* translate.c */

/**
 * struct em_names_of - how translate.c gets names
 * @property: the field of a handle; NULL: it is none
 * @protocol: Wireshark's name of a protocol; NULL: the handle is none
 * @arg: passed to both
 */
struct em_names_of {
	const struct em_field *(*property)(HPROPERTY property, void *arg);
	const char *(*protocol)(HPROTOCOL protocol, void *arg);
	void *arg;
};

#define EM_FILTER_OBJECTS	1024u	/* most objects of a filter */

/**
 * struct em_filter_node - an object of a filter, in the tree of the expression
 * @object: the object; an operator, or a value
 * @left, @right: operands, as indices of nodes; 0xffff: none
 * @below: the node below it on the stack, while the tree is built
 * @kind: what it is; enum kind of translate.c
 */
struct em_filter_node {
	const FILTEROBJECT2 *object;
	uint16_t left, right;
	uint16_t below;
	uint8_t kind;
};

/*
 * Write objects in postfix order as a display filter. @nodes: work space, one for each object.
 * Returns NMERR_SUCCESS or NMERR_FILTER_INVALID_EXPRESSION.
 */
DWORD em_translate(const FILTEROBJECT2 *objects, unsigned int count,
		   struct em_filter_node *nodes, const struct em_names_of *names,
		   char *text, size_t size);

/* filter.c */

/*
 * The engine's number of a filter, which is translated and compiled at first use.
 * @client->lock is held.
 */
DWORD em_filter_number(struct em_client *client, HFILTER filter, uint32_t *number);

#pragma GCC visibility pop

#endif /* EM_CAPTURE_H */
