// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Filters: lists of objects in postfix order, in the expert's memory. When a filter is used for the
 * first time, or for the first time after an object was added, translate.c writes it as a display
 * filter, and the engine compiles it.
 */
#include <string.h>
#include <time.h>

#include "capture.h"

/* The list of a filter grows by so many objects. */
#define STEP	16u
/* FilterFindFrame() with a callback: fewest and most frames that one request looks at. */
#define SEARCH_MIN	16u
#define SEARCH_MAX	4096u

/**
 * struct filter - a filter
 * @objects: copies of the expert's objects, which point to copies, too
 * @count: number of objects
 * @room: number of objects that @objects has memory for
 * @number: the engine's number of the compiled filter; ENGINE_NONE: it is not compiled
 */
struct filter {
	FILTEROBJECT2 *objects;
	uint32_t count;
	uint32_t room;
	uint32_t number;
};

/* @filters: struct filter, by number. @made: number of filters made so far, and the next number */
struct em_filters {
	struct em_index filters;
	uint32_t made;
};

/* -------------------------------------------------------------------------- objects */

/* The bytes that an object points to; NULL: it points to none. False: its pointer is NULL. */
static bool contents_of(const FILTEROBJECT2 *object, const void **contents, size_t *size)
{
	*contents = object->lpArray;
	switch (object->Action) {
	case FILTERACTION_STRING:
		/* a count of 0: the string ends before its null */
		*size = object->lpArray && !object->ByteCount ?
			strnlen(object->lpArray, ENGINE_TEXT) + 1 : object->ByteCount;
		break;
	case FILTERACTION_ARRAY:
		*size = object->ByteCount;
		break;
	case FILTERACTION_LARGEINT:
		*size = sizeof(LARGE_INTEGER);
		break;
	case FILTERACTION_TIME:
		*size = sizeof(SYSTEMTIME);
		break;
	case FILTERACTION_OID:
		*size = sizeof(OBJECT_IDENTIFIER);
		return object->lpOID && (object->lpOID->lpIdentifier || !object->lpOID->Length);
	case FILTERACTION_ADDRESS:
	case FILTERACTION_ADDR_ETHER:
	case FILTERACTION_ADDR_TOKEN:
	case FILTERACTION_ADDR_FDDI:
	case FILTERACTION_ADDR_IPX:
	case FILTERACTION_ADDR_IP:
	case FILTERACTION_ADDR_IP6:
	case FILTERACTION_ADDR_VINES:
		*size = sizeof(ADDRESS2);
		break;
	case FILTERACTION_PROTOCOLSEXIST:
		*size = object->lpProtocolTable ?
			PROTOCOLTABLE_SIZE + (size_t)object->lpProtocolTable->nProtocols *
			sizeof(HPROTOCOL) : 0;
		break;
	default:
		*contents = NULL;
		return true;
	}
	return *contents;
}

/* Copy an object identifier with its arcs behind it. */
static DWORD copy_oid(HEXPERTKEY key, const OBJECT_IDENTIFIER *from, OBJECT_IDENTIFIER **copy)
{
	size_t size = (size_t)from->Length * sizeof(*from->lpIdentifier);
	DWORD error;

	*copy = ExpertAllocMemory(key, sizeof(**copy) + size, &error);
	if (!*copy)
		return error;
	(*copy)->Length = from->Length;
	(*copy)->lpIdentifier = (LPDWORD)(*copy + 1);
	if (size)
		memcpy((*copy)->lpIdentifier, from->lpIdentifier, size);
	return NMERR_SUCCESS;
}

static DWORD copy_object(HEXPERTKEY key, const FILTEROBJECT2 *from, FILTEROBJECT2 *copy)
{
	const void *contents;
	DWORD error;
	size_t size;

	*copy = *from;
	copy->pNext = NULL;
	if (!contents_of(from, &contents, &size))
		return NMERR_INVALID_PARAMETER;
	if (!contents)
		return NMERR_SUCCESS;
	if (from->Action == FILTERACTION_OID)
		return copy_oid(key, from->lpOID, &copy->lpOID);
	copy->lpArray = ExpertAllocMemory(key, size + 1, &error);
	if (!copy->lpArray)
		return error;
	memcpy(copy->lpArray, contents, size);
	((char *)copy->lpArray)[size] = '\0';
	return NMERR_SUCCESS;
}

static void free_object(HEXPERTKEY key, const FILTEROBJECT2 *object)
{
	const void *contents;
	size_t size;

	if (contents_of(object, &contents, &size) && contents)
		ExpertFreeMemory(key, (void *)contents);
}

/* Make room for one more object. */
static DWORD make_room(HEXPERTKEY key, struct filter *filter)
{
	FILTEROBJECT2 *larger;
	DWORD error;

	if (filter->count < filter->room)
		return NMERR_SUCCESS;
	larger = ExpertReallocMemory(key, filter->objects,
				     (filter->room + STEP) * sizeof(*larger), &error);
	if (!larger)
		return error;
	filter->objects = larger;
	filter->room += STEP;
	return NMERR_SUCCESS;
}

/* -------------------------------------------------------------------------- filters */

/* The filter @number of a client, which is locked. */
static struct filter *filter_of(const struct em_client *client, uint32_t number)
{
	return client->filters ? em_index_get(&client->filters->filters, number) : NULL;
}

/* The client of a filter, locked. NULL: *@error says why. */
static struct em_client *enter(HFILTER handle, DWORD bad, struct filter **filter,
			       uint32_t *number, DWORD *error)
{
	struct em_client *client = em_client_lock_of((uintptr_t)handle, EM_HANDLE_FILTER, number,
						     bad, error);

	if (!client)
		return NULL;
	*filter = filter_of(client, *number);
	if (*filter)
		return client;
	em_client_unlock(client);
	*error = bad;
	return NULL;
}

/* Make an empty filter. */
static DWORD make_filter(struct em_client *client, struct filter **filter, uint32_t *number)
{
	DWORD error;

	if (!client->filters) {
		client->filters = em_own_alloc(client->key, sizeof(*client->filters), &error);
		if (!client->filters)
			return error;
		memset(client->filters, 0, sizeof(*client->filters));
	}
	if (client->filters->made == ENGINE_NONE)
		return NMERR_OUT_OF_MEMORY;
	*filter = ExpertAllocMemory(client->key, sizeof(**filter), &error);
	if (!*filter)
		return error;
	memset(*filter, 0, sizeof(**filter));
	(*filter)->number = ENGINE_NONE;
	*number = client->filters->made;
	error = em_index_put(client->key, &client->filters->filters, *number, *filter);
	if (error)
		ExpertFreeMemory(client->key, *filter);
	else
		client->filters->made++;
	return error;
}

/* Free the compiled filter in the engine. It does not matter if that fails. */
static void drop_compiled(struct em_client *client, struct filter *filter)
{
	struct engine_request request;
	struct engine_reply reply;

	if (filter->number == ENGINE_NONE)
		return;
	memset(&request, 0, offsetof(struct engine_request, text));
	request.op = ENGINE_DROP_FILTER;
	request.id = filter->number;
	filter->number = ENGINE_NONE;
	em_request(client, &request, &reply);
}

static void free_filter(struct em_client *client, struct filter *filter, uint32_t number)
{
	drop_compiled(client, filter);
	em_index_remove(&client->filters->filters, number);
	for (uint32_t i = 0; i < filter->count; i++)
		free_object(client->key, &filter->objects[i]);
	ExpertFreeMemory(client->key, filter->objects);
	ExpertFreeMemory(client->key, filter);
}

static DWORD add_object(struct em_client *client, struct filter *filter,
			const FILTEROBJECT2 *object)
{
	DWORD error;

	if (filter->count == EM_FILTER_OBJECTS)
		return NMERR_STACK_OVERFLOW;
	error = make_room(client->key, filter);
	if (!error)
		error = copy_object(client->key, object, &filter->objects[filter->count]);
	if (!error)
		filter->count++;
	return error;
}

/* ------------------------------------------------------------------------- compiling */

/* @error: why a name could not be found; NMERR_SUCCESS: none failed, or a handle is bad */
struct lookup {
	struct em_client *client;
	DWORD error;
};

static const struct em_field *find_property(HPROPERTY property, void *arg)
{
	struct lookup *lookup = arg;
	struct em_field *field;
	uint32_t number = ENGINE_NONE;
	DWORD error;

	if (em_client_of(property, EM_HANDLE_PROPERTY, &number) != lookup->client)
		return NULL;
	error = em_field_of(lookup->client, number, &field);
	if (error && error != NMERR_PROPERTY_NOT_FOUND)
		lookup->error = error;
	return error ? NULL : field;
}

static const char *find_protocol(HPROTOCOL handle, void *arg)
{
	struct lookup *lookup = arg;
	struct em_protocol *protocol;
	uint32_t number = ENGINE_NONE;
	DWORD error;

	if (em_client_of((uintptr_t)handle, EM_HANDLE_PROTOCOL, &number) != lookup->client)
		return NULL;
	error = em_protocol_of(lookup->client, number, &protocol);
	if (error && error != NMERR_PROTOCOL_NOT_FOUND)
		lookup->error = error;
	return error ? NULL : protocol->filter_name;
}

/* Write a filter as a display filter into the ENGINE_TEXT bytes at @text. */
static DWORD translate(struct em_client *client, const struct filter *filter, char *text)
{
	struct lookup lookup = { .client = client };
	const struct em_names_of names = { find_property, find_protocol, &lookup };
	struct em_filter_node *nodes;
	DWORD error;

	nodes = ExpertAllocMemory(client->key, filter->count * sizeof(*nodes), &error);
	if (!nodes)
		return error;
	error = em_translate(filter->objects, filter->count, nodes, &names, text, ENGINE_TEXT);
	ExpertFreeMemory(client->key, nodes);
	return lookup.error ? lookup.error : error;
}

/* Compile a filter, if it is not compiled. */
static DWORD compile(struct em_client *client, struct filter *filter)
{
	struct engine_request request;
	struct engine_reply reply;
	DWORD error;

	if (filter->number != ENGINE_NONE)
		return NMERR_SUCCESS;
	if (client->kind != ENGINE_WIRESHARK)
		return NMERR_NOT_SUPPORTED;
	memset(&request, 0, offsetof(struct engine_request, text));
	error = translate(client, filter, request.text);
	if (error)
		return error;
	request.op = ENGINE_FILTER;
	request.length = strlen(request.text) + 1;
	error = em_request(client, &request, &reply);
	if (error)
		return error;
	if (reply.id == ENGINE_NONE)
		return NMERR_INVALID_DATA;
	filter->number = reply.id;
	return NMERR_SUCCESS;
}

DWORD em_filter_number(struct em_client *client, HFILTER handle, uint32_t *number)
{
	struct filter *filter = NULL;
	uint32_t of_handle;
	DWORD error;

	if (em_client_of((uintptr_t)handle, EM_HANDLE_FILTER, &of_handle) == client)
		filter = filter_of(client, of_handle);
	if (!filter)
		return NMERR_INVALID_HFILTER;
	error = compile(client, filter);
	if (!error)
		*number = filter->number;
	return error;
}

/* -------------------------------------------------------------------- calls of Netmon.h */

/* End a call that returns a code. */
static DWORD leave(struct em_client *client, DWORD error)
{
	if (client)
		em_client_unlock(client);
	return error;
}

/* End a call that returns no code: set the code of BhGetLastError(). */
static DWORD leave_noting(struct em_client *client, DWORD error)
{
	if (error)
		em_set_last_error(error);
	return leave(client, error);
}

HFILTER WINAPI CreateFilter(void)
{
	struct em_client *client = em_client_current();
	struct filter *filter = NULL;
	uint64_t handle = 0;
	uint32_t number = ENGINE_NONE;
	DWORD error;

	if (!client)
		return em_fail_null(NMERR_INVALID_HCAPTURE);
	error = em_client_lock(client);
	if (error)
		return em_fail_null(error);
	error = make_filter(client, &filter, &number);
	if (!error)
		handle = em_handle(client, EM_HANDLE_FILTER, number);
	leave_noting(client, error);
	return (HFILTER)(uintptr_t)handle;
}

DWORD WINAPI DestroyFilter(HFILTER hFilter)
{
	struct em_client *client;
	struct filter *filter = NULL;
	uint32_t number = ENGINE_NONE;
	DWORD error;

	client = enter(hFilter, NMERR_INVALID_HFILTER, &filter, &number, &error);
	if (client)
		free_filter(client, filter, number);
	return leave(client, error);
}

DWORD WINAPI FilterAddObject(HFILTER hFilter, LPFILTEROBJECT2 lpFilterObject)
{
	struct em_client *client = NULL;
	DWORD error = NMERR_INVALID_PARAMETER;
	struct filter *filter = NULL;
	uint32_t number = ENGINE_NONE;

	if (lpFilterObject)
		client = enter(hFilter, NMERR_INVALID_PARAMETER, &filter, &number, &error);
	if (client)
		error = add_object(client, filter, lpFilterObject);
	if (client && !error)
		drop_compiled(client, filter);
	return leave(client, error);
}

HFILTER WINAPI FilterDuplicate(HFILTER hFilter)
{
	struct filter *filter = NULL, *copy = NULL;
	struct em_client *client;
	uint64_t handle = 0;
	uint32_t number = ENGINE_NONE;
	DWORD error;

	client = enter(hFilter, NMERR_INVALID_HFILTER, &filter, &number, &error);
	if (client)
		error = make_filter(client, &copy, &number);
	if (!error && filter) {
		for (uint32_t i = 0; i < filter->count && !error; i++)
			error = add_object(client, copy, &filter->objects[i]);
		if (error)
			free_filter(client, copy, number);
		else
			handle = em_handle(client, EM_HANDLE_FILTER, number);
	}
	leave_noting(client, error);
	return (HFILTER)(uintptr_t)handle;
}

BOOL WINAPI FilterAttachesProperties(HFILTER hFilter)
{
	struct em_client *client;
	struct filter *filter = NULL;
	BOOL has = FALSE;
	uint32_t number = ENGINE_NONE;
	DWORD error;

	client = enter(hFilter, NMERR_INVALID_HFILTER, &filter, &number, &error);
	for (uint32_t i = 0; client && i < filter->count; i++) {
		const FILTEROBJECT2 *object = &filter->objects[i];

		has |= object->Action == FILTERACTION_PROPERTY ||
		       object->Action == FILTERACTION_PROPERTYEXIST ||
		       (object->Action == FILTERACTION_DEREFPROPERTY && object->hProperty);
	}
	leave_noting(client, error);
	return has;
}

/* ---------------------------------------------------------------------------- searching */

/*
 * A search. @filter: the engine's number of the filter. @flags: of struct engine_request. @next:
 * the first frame that was not looked at. @found: the frame that passes; ENGINE_NONE: none so far.
 */
struct search {
	uint32_t filter;
	uint32_t flags;
	uint32_t next;
	uint32_t found;
};

/* Is the frame one of the @count frames from @search->next on, in the direction of the search? */
static bool is_near(const struct search *search, uint32_t frame, uint32_t count)
{
	return search->flags & ENGINE_BACKWARD ?
	       frame <= search->next && search->next - frame < count :
	       frame >= search->next && frame - search->next < count;
}

/*
 * Look at up to @count frames from @search->next on. The client is locked. An engine that finds a
 * frame which it was not asked for, or does not come nearer to the end, breaks the protocol.
 */
static DWORD look_at(struct em_client *client, struct search *search, uint32_t count)
{
	struct engine_request request;
	struct engine_reply reply;
	DWORD error;

	memset(&request, 0, offsetof(struct engine_request, text));
	request.op = ENGINE_SEARCH;
	request.flags = search->flags;
	request.frame = search->next;
	request.count = count;
	request.id = search->filter;
	error = em_request(client, &request, &reply);
	if (error)
		return error;
	if (reply.count > count || reply.size < reply.count * sizeof(search->found))
		return em_client_lose(client);
	if (reply.count) {
		memcpy(&search->found, client->results, sizeof(search->found));
		if (search->found < client->nr_frames && is_near(search, search->found, count))
			return NMERR_SUCCESS;
		search->found = ENGINE_NONE;
		return em_client_lose(client);
	}
	if (reply.next == ENGINE_NONE)
		return NMERR_NO_MORE_FRAMES;
	if (reply.next >= client->nr_frames || reply.next == search->next ||
	    !is_near(search, reply.next, count + 1))
		return em_client_lose(client);
	search->next = reply.next;
	return NMERR_SUCCESS;
}

/* Are both handles of one expert's capture? */
static bool is_capture_of(const struct em_client *client, HCAPTURE capture)
{
	uint32_t number = ENGINE_NONE;

	return em_client_of((uintptr_t)capture, EM_HANDLE_CAPTURE, &number) == client;
}

DWORD WINAPI FilterFrame(HFRAME hFrame, HFILTER hFilter, HCAPTURE hCapture)
{
	struct search search = { .found = ENGINE_NONE };
	struct em_client *client;
	uint32_t frame = ENGINE_NONE;
	DWORD error;

	client = em_client_lock_of((uintptr_t)hFrame, EM_HANDLE_FRAME, &frame,
				   NMERR_INVALID_HFRAME, &error);
	if (client && !is_capture_of(client, hCapture))
		error = NMERR_INVALID_HCAPTURE;
	if (client && !error && frame >= client->nr_frames)
		error = NMERR_INVALID_HFRAME;
	if (client && !error)
		error = em_filter_number(client, hFilter, &search.filter);
	search.next = frame;
	if (!error)
		error = look_at(client, &search, 1);
	if (!error && search.found != ENGINE_NONE && search.found != frame)
		error = NMERR_INVALID_DATA;
	if (error == NMERR_NO_MORE_FRAMES)	/* the last frame does not pass */
		error = NMERR_SUCCESS;
	if (leave_noting(client, error))
		return (DWORD)FILTER_FAIL_WITH_ERROR;
	return search.found == frame ? FILTER_PASSED : FILTER_FAILED;
}

/* The first frame to look at, by the rules of ExpertGetFrame(). False: there is none. */
static bool first_frame(const struct em_client *client, DWORD frame, bool forward,
			uint32_t *first)
{
	bool at = client->flags & EXPERTMEM_NEXT_AT && frame < client->nr_frames;

	if (forward)
		*first = at ? frame : frame + 1;
	else if (frame > client->nr_frames)
		*first = client->nr_frames - 1;
	else
		*first = at ? frame : frame - 1;
	return *first < client->nr_frames;
}

/* The arguments of FilterFindFrame(). */
struct find {
	HFILTER filter;
	HCAPTURE capture;
	DWORD frame;
	STATUSPROC function;
	LPVOID instance;
	DWORD milliseconds;
	bool forward;
};

/*
 * Make one step of a search: find the next frame that passes, or with a callback look at the next
 * @count frames. The client is locked only during a step, so that the callback can make calls.
 */
static DWORD step(const struct find *find, struct search *search, uint32_t count, bool first)
{
	struct em_client *client;
	struct filter *filter = NULL;
	uint32_t number = ENGINE_NONE;
	DWORD error;

	client = enter(find->filter, NMERR_INVALID_HFILTER, &filter, &number, &error);
	if (client && !is_capture_of(client, find->capture))
		error = NMERR_INVALID_HCAPTURE;
	if (!error && filter)
		error = compile(client, filter);
	if (!error && first && !first_frame(client, find->frame, find->forward, &search->next))
		error = NMERR_NO_MORE_FRAMES;
	if (!error && filter) {
		search->filter = filter->number;
		if (find->function)
			error = look_at(client, search, count);
		else
			error = em_search(client, filter->number, false, find->forward,
					  search->next, &search->found);
	}
	return leave_noting(client, error);
}

static uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * UINT64_C(1000) + time.tv_nsec / 1000000;
}

DWORD WINAPI FilterFindFrame(HFILTER hFilter, HCAPTURE hCapture, DWORD nFrame,
			     STATUSPROC StatusProc, LPVOID UIInstance, DWORD TimeDelta,
			     BOOL FilterDirection)
{
	const struct find find = {
		hFilter, hCapture, nFrame, StatusProc, UIInstance, TimeDelta, FilterDirection,
	};
	struct search search = {
		.flags = FilterDirection ? 0 : ENGINE_BACKWARD, .found = ENGINE_NONE,
	};
	uint32_t count = SEARCH_MIN;
	uint64_t last = now();
	bool first = true;

	while (search.found == ENGINE_NONE) {
		if (step(&find, &search, count, first))
			return FILTER_NO_MORE_FRAMES;
		first = false;
		if (count < SEARCH_MAX)
			count *= 2;
		if (search.found == ENGINE_NONE && now() - last >= TimeDelta) {
			last = now();
			if (!StatusProc(search.next, hCapture, hFilter, UIInstance))
				return FILTER_CANCELED;
		}
	}
	return search.found;
}
