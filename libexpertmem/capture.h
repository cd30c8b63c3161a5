/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * This header is for the files that implement the calls of Netmon.h for captures. These files are
 * linked into libexpertmem.so and libexpertmem.a only, and lie above netmon.c and host.c in the
 * layers of internal.h:
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
 * The host makes an expert's connection, struct em_client, and the expert inherits it by fork(). A
 * child of the expert releases its copy.
 *
 * Each slot of em_experts[] has one struct em_client, which is never freed. So a call whose expert
 * is closed by another thread still finds a valid lock. Two mechanisms keep calls apart:
 *
 *   lock	protects struct em_client. A call that holds the lock checks em_is_open() before it
 *		uses the mappings. The lock of a client is taken before the lock of an expert.
 *   section	see internal.h. A call that only reads the index and the frames begins a section,
 *		and takes no lock. expertmem_close() unmaps the frames when all sections have ended.
 *
 * Handles are numbers, which em_handle() makes. A handle contains the slot and the generation of an
 * expert. A call that gets a handle and no key finds the expert by them, and refuses a bad handle.
 */
#ifndef EM_CAPTURE_H
#define EM_CAPTURE_H

#include <expertmem-engine.h>

#include "internal.h"

#pragma GCC visibility push(hidden)

/*
 * Kinds of handles: the highest 4 bits. The 28 bits below are the lowest bits of the expert's key:
 * its slot, and 16 bits of its generation. The lowest 32 bits are the number of the object. The
 * highest 17 bits of an address are all 0 or all 1, so no kind may be 0 or 15: no handle is an
 * address then.
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

/*
 * Bytes of em_client.copy: the results of a request, and of a second one made while they are read.
 */
#define EM_COPY_SIZE	(2 * (size_t)ENGINE_RESULTS)

/* Most frames that one ENGINE_SEARCH looks at. Other experts' requests wait until it is served. */
#define EM_SEARCH_MAX	4096U

/**
 * struct em_search - the last block of frames that the engine has searched
 * @step: number of frames that the last request asked for; 0: there is no block
 * @filter: the engine's number of the filter; ENGINE_NONE: none
 * @user: the frames passed the user's filter, too
 * @forward: the search went to higher numbers
 * @from: number of the first frame of the block
 * @next: number of the first frame that the engine did not look at, in the direction of the search;
 *	ENGINE_NONE: the search has reached the end of the capture
 * @count: number of entries of @found
 * @found: numbers of the frames that pass, in the order of the search, at most EM_SEARCH_MAX;
 *	memory of the library; NULL until first used
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
 * @flags: as of struct expertmem_capture_options
 * @kind: ENGINE_PCAP or ENGINE_WIRESHARK
 * @user_filter: the user has given a filter
 * @is_plain: ExpertGetFrame() always sets lpRecognizeDataTable to NULL
 * @frames: the frames, mapped read-only
 * @frames_size: bytes of @frames
 * @index: the index, mapped read-only
 * @nr_frames: number of frames
 * @link_type: LINKTYPE_ of all frames, or 0xffff
 * @start_time: time of the first frame in UTC, for GetCaptureTimeStamp()
 * @comment: comment of the capture, as the engine sent it; "" if it has none
 * @lock: protects the members below it; not recursive. Those above it do not change while the
 *	client is open
 * @closing: expertmem_close() waits for the lock, so em_request() must return soon; atomic
 * @results: the file into which the engine writes results, mapped read-only
 * @fd: socket to the engine; -1: the connection is lost
 * @sequence: sequence number of the last request
 * @forks: number of fork() calls between the process that made the client and this one
 * @copy: copies of results, because the engine can change @results; EM_COPY_SIZE bytes of memory
 *	of the library; NULL until first used
 * @names, @tables, @filters: memory of the expert; NULL until first used
 * @search: see em_search()
 *
 * The structure is memory of the library (em_map()). All that the files above allocate for the
 * expert is from em_own_alloc() or, if the expert has to free it, ExpertAllocMemory(), so it is
 * charged to the expert. When the expert is closed, all members but @lock are reset.
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
 * @input: a descriptor that becomes the engine's standard input; -1: none. @control: a socket, which
 * becomes the engine's descriptor ENGINE_CONTROL_FD; the caller closes its own. Returns enum
 * expertmem_error: E_NO_ENGINE (the program cannot be executed), E_NOMEM.
 */
int em_spawn(const char *program, char *const arguments[], int input, int control);

/* client.c */

/*
 * Give the connection @made to the expert of @key. The call copies it; after an error, the caller
 * frees it by em_client_free(). @path: path of the capture. Returns enum expertmem_error.
 */
int em_client_give(HEXPERTKEY key, const struct em_client *made, const char *path);
/* Unmap the mappings of @client, and close its socket. */
void em_client_free(struct em_client *client);

/*
 * Find the client of a handle of this kind. NULL: @handle is of another kind, or its expert is
 * closed or has no capture. @number receives the object's number, which the caller checks.
 */
struct em_client *em_client_of(uint64_t handle, enum em_handle kind, uint32_t *number);

/* The client of an expert; NULL: the key is bad, or the expert has no capture: *@error says which. */
struct em_client *em_client_of_key(HEXPERTKEY key, DWORD *error);

/*
 * The client for calls that get neither key nor handle, such as GetProtocolFromName(): the client
 * of this thread's last call with a key or handle; else the first client of the process; else NULL.
 */
struct em_client *em_client_current(void);

/* The client of this thread's last call with a key or handle; it may be closed since. */
extern __thread struct em_client *em_current_client __attribute__((tls_model("initial-exec")));

/* Is the expert still open? @client->lock is held. */
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
 * are reply->size bytes at @client->results; em_request() checks that they are at most
 * ENGINE_RESULTS.
 *
 * Return: NMERR_SUCCESS; reply->error, if struct engine_reply allows that code;
 * NMERR_EXPERT_TERMINATE (the expert has to stop, or is being closed); NMERR_LOST_CONNECTION.
 */
DWORD em_request(struct em_client *client, struct engine_request *request,
		 struct engine_reply *reply);

/*
 * Close the socket to an engine that broke the protocol; @client->lock is held. Returns
 * NMERR_LOST_CONNECTION.
 */
DWORD em_client_lose(struct em_client *client);

/* The handle @number of this kind, of the client's expert. */
static inline uint64_t em_handle(const struct em_client *client, enum em_handle kind,
				 uint32_t number)
{
	return (uint64_t)kind << 60 | ((uintptr_t)client->key & EM_HANDLE_KEY) << 32 | number;
}

#define EM_INDEX_OFFSET	0xffffffffffffUL	/* offset of the FRAME in an entry of the index */
#define EM_FRAME_HEADER	offsetof(FRAME, MacFrame)

/*
 * The frame @number. NULL: there is no such frame, or its header or its bytes lie outside of the
 * mapping. @size receives the number of its bytes, @link_type its LINKTYPE_. @client->lock is held,
 * or a section has begun.
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
 * @size: number of the frame's bytes, which em_frame_size() has checked against the mapping
 * @frame: the frame. A malicious engine may change it: use @size, and do not read nBytesAvail again
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
 * Begin to look at a frame. True: the caller calls em_view_end() soon, and no function of Netmon.h
 * before that. False: the handle is bad; BhGetLastError() has the code.
 */
bool em_view_frame(HFRAME handle, struct em_view *view);
void em_view_end(const struct em_view *view);

/* The MAC_TYPE_ of a LINKTYPE_; MAC_TYPE_UNKNOWN: Netmon.h has none for it. */
DWORD em_mac_type(uint16_t link_type);

/* search.c */

/*
 * Find the first frame, from @from on and including @from, that passes the filter @filter
 * (ENGINE_NONE: none) and, with @user, the user's filter. @found receives its number.
 * @client->lock is held. Errors: as em_request(), or NMERR_NO_MORE_FRAMES.
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
	uint32_t used;			/* number of entries that are not free */
};

void *em_index_get(const struct em_index *index, uint64_t key);
/* Errors: as ExpertAllocMemory(). An entry of @key must not exist. */
DWORD em_index_put(HEXPERTKEY key, struct em_index *index, uint64_t number, void *value);
void em_index_remove(struct em_index *index, uint64_t number);

/* client.c: memory of the expert for the library itself. It is no block of the expert in statistics. */
void *em_own_alloc(HEXPERTKEY key, size_t size, DWORD *error);
void em_own_free(HEXPERTKEY key, void *p);

/* protocol.c */

/**
 * struct em_protocol - a protocol that was seen or asked for
 * @info: what GetProtocolInfo() returns; its first call sets @info.PropertyDatabase
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
 * @set: the labels, if @info.lpSet points to it
 * @id, @protocol, @same, @mask, @flags: as in struct engine_field
 * @width: bytes of a value; 0: values may have any number of bytes
 * @asked: the expert got its handle by GetProperty() before it first attached properties
 * @last: for FindPropertyInstance(): the last frame in the engine's last reply; ENGINE_NONE: none
 * @window: for FindPropertyInstance(): number of frames that the last request asked for
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
 * closed), NMERR_EXPERT_TERMINATE; after an error, the client is not locked. em_client_unlock()
 * unlocks it.
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
 * Find or describe a protocol or a field; the descriptions stay until the expert ends. @client is
 * locked. Errors: as em_request() and ExpertAllocMemory(); NMERR_PROTOCOL_NOT_FOUND,
 * PROPERTY_NOT_FOUND; NMERR_INVALID_DATA: the engine broke the protocol; NMERR_NOT_SUPPORTED: the
 * engine is ENGINE_PCAP.
 */
DWORD em_protocol_by_name(struct em_client *client, const char *name, uint32_t *protocol);
DWORD em_protocol_of(struct em_client *client, uint32_t id, struct em_protocol **protocol);
DWORD em_field_of(struct em_client *client, uint32_t id, struct em_field **field);
/* As em_protocol_by_name(), for the client of @frame. Called without the lock. */
DWORD em_protocol_named(HFRAME frame, const char *name, uint32_t *protocol);
/* The field whose description @info is; NULL: @info was made by the expert. */
const struct em_field *em_field_of_info(struct em_client *client, const PROPERTYINFO *info);
/*
 * Number of fields whose handles the expert got before em_asked_end(). *@ids points to the numbers
 * of the first ENGINE_ASKED_MAX ones. @client is locked.
 */
uint32_t em_asked_fields(struct em_client *client, const uint32_t **ids);
/* From now on, GetProperty() adds no field to the list of em_asked_fields(). @client is locked. */
void em_asked_end(struct em_client *client);

/* property.c; called without the lock */

/*
 * Get the table of properties of a frame, for FLAGS_ATTACH_PROPERTIES. @forward: the expert goes to
 * higher numbers, so the request also asks for frames behind @frame; else for frames before it.
 * Errors: as ExpertGetFrame().
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
 * Allocate memory for the text of an instance. It is freed with the table of @instance; if
 * @instance is in no table, the expert frees it. @client is locked.
 */
char *em_text_alloc(struct em_client *client, const PROPERTYINST *instance, size_t size,
		    DWORD *error);

/* offset.c */

/*
 * The highest offset of the protocol @id that is less than @before; if @before is 0, the offset of
 * its first entry in the table. ENGINE_NONE: there is none.
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
 * @property: returns the field of a handle; NULL: the handle is bad
 * @protocol: returns Wireshark's filter name of a protocol; NULL: the handle is bad
 * @arg: passed to both functions
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
 * @below: index of the node below it on the stack, while the tree is built
 * @kind: enum kind of translate.c
 */
struct em_filter_node {
	const FILTEROBJECT2 *object;
	uint16_t left, right;
	uint16_t below;
	uint8_t kind;
};

/*
 * Write objects in postfix order as a display filter into the @size bytes at @text, with a null.
 * @nodes: work space, one node for each object. Returns NMERR_SUCCESS, or
 * NMERR_FILTER_INVALID_EXPRESSION (no display filter says this, or @text is too small).
 */
DWORD em_translate(const FILTEROBJECT2 *objects, unsigned int count,
		   struct em_filter_node *nodes, const struct em_names_of *names,
		   char *text, size_t size);

/* filter.c */

/*
 * Get the engine's number of a filter. The filter is translated and compiled first, if it is not
 * compiled. @client->lock is held. Errors: NMERR_INVALID_HFILTER, and as em_request(),
 * em_translate() and ExpertAllocMemory().
 */
DWORD em_filter_number(struct em_client *client, HFILTER filter, uint32_t *number);

#pragma GCC visibility pop

#endif /* EM_CAPTURE_H */
