// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Protocols and properties: their handles and descriptions.
 *
 * The engine knows thousands of protocols and some hundred thousand fields. A description is made
 * when the expert asks for a handle, or when a frame has the protocol or field for the first
 * time. It is one block of the expert's memory, and stays until the expert ends.
 *
 * The library copies what the engine sends before it checks it. Texts come from Wireshark, but an
 * engine that a malicious capture has taken over can send anything: so the library also replaces
 * control characters.
 */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "capture.h"
#include "text.h"

/*
 * Most names that are remembered, with the protocol or field of that name, or that there is none.
 */
#define NAMES_MAX	16384u
/* Most labels of a field, and most bytes of a text with its null. Larger answers are refused. */
#define LABELS_MAX	65536u
#define TEXT_MAX	65536u
/* GetProtocolInfo() makes a PropertyDatabase only for protocols with at most so many fields. */
#define DATABASE_MAX	1024u

/* A name that the expert has asked for. */
struct name {
	struct name *next;		/* next name with an equal hash */
	uint32_t protocol;		/* of the field; ENGINE_NONE: @text names a protocol */
	uint32_t id;			/* ENGINE_NONE: nothing has this name */
	char text[];
};

/**
 * struct em_names - descriptions of protocols and properties
 * @protocols: struct em_protocol, by number
 * @fields: struct em_field, by number
 * @names: struct name, by hash
 * @nr_names: number of names
 * @nr_asked: number of fields whose handles the expert got before em_asked_end()
 * @asked: the numbers of the first ENGINE_ASKED_MAX of these fields
 * @asked_ended: em_asked_end() was called
 * @enabled: the table of GetEnabledProtocols(), or NULL
 */
struct em_names {
	struct em_index protocols;
	struct em_index fields;
	struct em_index names;
	uint32_t nr_names;
	uint32_t nr_asked;
	uint32_t asked[ENGINE_ASKED_MAX];
	bool asked_ended;
	LPPROTOCOLTABLE enabled;
};

/* ---------------------------------------------------------------- locking, requests */

/* Make this process the expert of a client whose lock was taken. Unlocks it after an error. */
static DWORD become_locked(struct em_client *client, bool is_open, DWORD bad)
{
	DWORD error = is_open ? em_become(client->key) : bad;

	if (error)
		pthread_mutex_unlock(&client->lock);
	return error;
}

DWORD em_client_lock(struct em_client *client)
{
	pthread_mutex_lock(&client->lock);
	return become_locked(client, em_is_open(client), NMERR_INVALID_EXPERT_HANDLE);
}

void em_client_unlock(struct em_client *client)
{
	pthread_mutex_unlock(&client->lock);
}

struct em_client *em_client_lock_of(uint64_t handle, enum em_handle kind, uint32_t *number,
				  DWORD bad, DWORD *error)
{
	struct em_client *client = em_client_of(handle, kind, number);

	*error = bad;
	if (!client)
		return NULL;
	pthread_mutex_lock(&client->lock);
	*error = become_locked(client, em_is_of_handle(client, handle), bad);
	return *error ? NULL : client;
}

const char *em_results(struct em_client *client, const struct engine_reply *reply, int part)
{
	if (!client->copy)
		client->copy = em_map(EM_COPY_SIZE, MAP_PRIVATE);
	if (!client->copy || reply->size > ENGINE_RESULTS)
		return NULL;
	return memcpy(client->copy + part * (size_t)ENGINE_RESULTS, client->results, reply->size);
}

/* Make a request about @id, or about the name @text. */
static DWORD ask(struct em_client *client, enum engine_op op, uint32_t id, uint32_t from,
		 const char *text, struct engine_reply *reply)
{
	struct engine_request request;

	memset(&request, 0, offsetof(struct engine_request, text));
	request.op = op;
	request.id = id;
	request.frame = from;
	request.length = strlen(text) + 1;
	memcpy(request.text, text, request.length);
	return em_request(client, &request, reply);
}

/* Make client->names, if it is not there. NMERR_NOT_SUPPORTED: the engine has no protocols. */
static DWORD prepare(struct em_client *client)
{
	DWORD error;

	if (client->kind != ENGINE_WIRESHARK)
		return NMERR_NOT_SUPPORTED;
	if (client->names)
		return NMERR_SUCCESS;
	client->names = em_own_alloc(client->key, sizeof(*client->names), &error);
	if (!client->names)
		return error;
	memset(client->names, 0, sizeof(*client->names));
	return NMERR_SUCCESS;
}

/* ---------------------------------------------------------------- results, as read */

/* @left: bytes from @at on that were not read yet */
struct reader {
	const char *at;
	size_t left;
};

static bool read_bytes(struct reader *reader, void *to, size_t size)
{
	if (size > reader->left)
		return false;
	memcpy(to, reader->at, size);
	reader->at += size;
	reader->left -= size;
	return true;
}

/* Read a text of @length bytes with its null, and no other null. *@text points into the results. */
static bool read_text(struct reader *reader, uint32_t length, const char **text)
{
	if (!length || length > TEXT_MAX || length > reader->left ||
	    strnlen(reader->at, length) != length - 1)
		return false;
	*text = reader->at;
	reader->at += length;
	reader->left -= length;
	return true;
}

static bool skip_to_multiple(struct reader *reader, const char *start)
{
	size_t gap = -(size_t)(reader->at - start) % 8;

	if (gap > reader->left)
		return false;
	reader->at += gap;
	reader->left -= gap;
	return true;
}

/* Copy a text to *@to, and move *@to behind the copy. Returns the copy. */
static char *put_text(char **to, const char *text)
{
	size_t size = strlen(text) + 1;
	char *copy = memcpy(*to, text, size);

	*to += size;
	em_plain_text(copy);
	return copy;
}

/* Has the name only characters that names in display filters have? */
static bool is_filter_name(const char *name)
{
	return *name && name[strspn(name, "abcdefghijklmnopqrstuvwxyz"
				    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")] == '\0';
}

/* Copy @text to the @size bytes at @to, cut behind a whole character. The rest is zeros. */
static void copy_cut(BYTE *to, size_t size, const char *text)
{
	size_t length;

	memset(to, 0, size);
	strncpy((char *)to, text, size - 1);
	length = strlen((char *)to);
	while (length && (text[length] & 0xc0) == 0x80)
		to[--length] = '\0';
	em_plain_text((char *)to);
}

/* ------------------------------------------------------------------------ protocols */

/* Make the description of a protocol from results. */
static DWORD add_protocol(struct em_client *client, const struct engine_reply *reply,
			  struct em_protocol **added)
{
	const char *results = em_results(client, reply, 1), *texts[3];
	struct reader reader = { results, reply->size };
	struct em_protocol *protocol;
	struct engine_name name;
	DWORD error;
	char *to;

	if (!results)
		return NMERR_OUT_OF_MEMORY;
	if (!read_bytes(&reader, &name, sizeof(name)) || name.id >= 0xffff ||
	    name.lengths[0] > sizeof(protocol->info.ProtocolName))
		return NMERR_INVALID_DATA;
	for (int i = 0; i < 3; i++)
		if (!read_text(&reader, name.lengths[i], &texts[i]))
			return NMERR_INVALID_DATA;
	if (!is_filter_name(texts[1]))
		return NMERR_INVALID_DATA;
	*added = em_index_get(&client->names->protocols, name.id);
	if (*added)
		return NMERR_SUCCESS;
	protocol = em_own_alloc(client->key, sizeof(*protocol) + name.lengths[1], &error);
	if (!protocol)
		return error;
	memset(protocol, 0, sizeof(*protocol));
	to = (char *)(protocol + 1);
	protocol->info.ProtocolID = name.id;
	copy_cut(protocol->info.ProtocolName, sizeof(protocol->info.ProtocolName), texts[0]);
	copy_cut(protocol->info.Comment, sizeof(protocol->info.Comment), texts[2]);
	protocol->fields = name.fields;
	protocol->filter_name = put_text(&to, texts[1]);
	error = em_index_put(client->key, &client->names->protocols, name.id, protocol);
	if (error) {
		em_own_free(client->key, protocol);
		return error;
	}
	*added = protocol;
	return NMERR_SUCCESS;
}

DWORD em_protocol_of(struct em_client *client, uint32_t id, struct em_protocol **protocol)
{
	struct engine_reply reply;
	DWORD error = prepare(client);

	if (error)
		return error;
	*protocol = em_index_get(&client->names->protocols, id);
	if (*protocol)
		return NMERR_SUCCESS;
	if (id >= 0xffff)
		return NMERR_PROTOCOL_NOT_FOUND;
	error = ask(client, ENGINE_PROTOCOL, id, 0, "", &reply);
	if (!error)
		error = add_protocol(client, &reply, protocol);
	if (!error && (!*protocol || (*protocol)->info.ProtocolID != id))
		error = NMERR_INVALID_DATA;
	return error;
}

/* --------------------------------------------------------------------------- fields */

/* Bytes of a value of this type; 0: any number. */
static uint8_t width_of(uint8_t type)
{
	switch (type) {
	case PROP_TYPE_BYTE:
		return 1;
	case PROP_TYPE_WORD:
	case PROP_TYPE_BYTESWAPPED_WORD:
		return 2;
	case PROP_TYPE_DWORD:
	case PROP_TYPE_BYTESWAPPED_DWORD:
	case PROP_TYPE_IP_ADDRESS:
		return 4;
	case PROP_TYPE_LARGEINT:
		return 8;
	case PROP_TYPE_ADDR:
	case PROP_TYPE_TOKENRING_ADDRESS:
	case PROP_TYPE_FDDI_ADDRESS:
	case PROP_TYPE_ETHERNET_ADDRESS:
	case PROP_TYPE_VINES_IP_ADDRESS:
		return 6;
	case PROP_TYPE_IPX_ADDRESS:
		return sizeof(IPX_ADDR);
	case PROP_TYPE_IP6_ADDRESS:
		return IP6_ADDRESS_SIZE;
	case PROP_TYPE_TIME:
		return sizeof(SYSTEMTIME);
	default:
		return 0;
	}
}

/* Put the label @number of @set. False: its value does not fit into the type; it is left out. */
static bool put_label(const struct em_field *field, SET *set, uint32_t number,
		      const struct engine_label *label, char *text, char *off)
{
	uint8_t width = field->info.DataType == PROP_TYPE_VAR_LEN_SMALL_INT ? 8 : field->width;

	if (field->info.DataQualifier == PROP_QUAL_FLAGS) {
		if (label->value >= 64)
			return false;
		set->lpLabeledBit[number] = (LABELED_BIT){
			.BitNumber = label->value, .LabelOff = off, .LabelOn = text,
		};
		return true;
	}
	if (width < 8 && label->value >> (8 * width))
		return false;
	if (width == 1)
		set->lpLabeledByteTable[number] = (LABELED_BYTE){ label->value, text };
	else if (width == 2)
		set->lpLabeledWordTable[number] = (LABELED_WORD){ label->value, text };
	else if (width == 4)
		set->lpLabeledDwordTable[number] = (LABELED_DWORD){ label->value, text };
	else
		set->lpLabeledLargeIntTable[number] = (LABELED_LARGEINT){
			.Value.QuadPart = label->value, .Label = text,
		};
	return true;
}

/* The largest structure of a label. */
#define LABEL_SIZE	sizeof(LABELED_BIT)

/* Fill in the labels, whose texts go to *@to. */
static DWORD put_labels(struct em_field *field, struct reader *reader, const char *start,
			uint32_t labels, char **to)
{
	bool is_flags = field->info.DataQualifier == PROP_QUAL_FLAGS;
	SET *set = &field->set;

	if (!labels)
		return NMERR_SUCCESS;
	set->lpVoidTable = field + 1;
	for (uint32_t i = 0; i < labels; i++) {
		const char *text, *off = NULL;
		struct engine_label label;
		char *before = *to;

		if (!skip_to_multiple(reader, start) ||
		    !read_bytes(reader, &label, sizeof(label)) ||
		    !read_text(reader, label.length, &text) ||
		    (is_flags ? !read_text(reader, label.off_length, &off) :
				label.off_length != 0))
			return NMERR_INVALID_DATA;
		text = put_text(to, text);
		off = off ? put_text(to, off) : NULL;
		if (put_label(field, set, set->nEntries, &label, (char *)text, (char *)off))
			set->nEntries++;
		else
			*to = before;
	}
	field->info.lpSet = set;
	return NMERR_SUCCESS;
}

/* Are the numbers and the type of the field possible? @size: bytes of the results. */
static bool is_plausible(const struct engine_field *field, size_t size)
{
	bool is_integer = width_of(field->type) && width_of(field->type) <= 8 &&
			  field->type != PROP_TYPE_IP_ADDRESS;

	is_integer |= field->type == PROP_TYPE_VAR_LEN_SMALL_INT;
	if (field->id >= ENGINE_NONE - 1 ||
	    (field->protocol >= 0xffff && field->protocol != ENGINE_NONE) ||
	    field->type > PROP_TYPE_IP6_ADDRESS || field->labels > LABELS_MAX ||
	    field->labels > size / sizeof(struct engine_label))
		return false;
	if (field->qualifier == PROP_QUAL_LABELED_SET || field->qualifier == PROP_QUAL_FLAGS)
		return is_integer;
	return field->qualifier == PROP_QUAL_NONE && !field->labels;
}

/* Make the description of a field from results. */
static DWORD make_field(struct em_client *client, const char *results, uint32_t size,
			struct em_field **made)
{
	struct reader reader = { results, size };
	struct engine_field from;
	struct em_field *field;
	const char *texts[3];
	DWORD error;
	char *to;

	if (!read_bytes(&reader, &from, sizeof(from)) || !is_plausible(&from, size))
		return NMERR_INVALID_DATA;
	for (int i = 0; i < 3; i++)
		if (!read_text(&reader, from.lengths[i], &texts[i]))
			return NMERR_INVALID_DATA;
	if (!is_filter_name(texts[1]))
		return NMERR_INVALID_DATA;
	*made = em_index_get(&client->names->fields, from.id);
	if (*made)
		return NMERR_SUCCESS;
	/* the copies of the texts need no more than the @size bytes of the results */
	field = em_own_alloc(client->key, sizeof(*field) + from.labels * LABEL_SIZE + size, &error);
	if (!field)
		return error;
	memset(field, 0, sizeof(*field));
	to = (char *)(field + 1) + from.labels * LABEL_SIZE;
	field->info.hProperty = em_handle(client, EM_HANDLE_PROPERTY, from.id);
	field->info.Label = put_text(&to, texts[0]);
	field->filter_name = put_text(&to, texts[1]);
	field->info.Comment = put_text(&to, texts[2]);
	field->info.DataType = from.type;
	field->info.DataQualifier = from.qualifier;
	field->info.FormatStringSize = from.lengths[0] < 0xff00 ? from.lengths[0] + 0xff : 0xffff;
	field->info.InstanceData = (LPVOID)FormatPropertyInstance;
	field->id = from.id;
	field->protocol = from.protocol;
	field->same = from.same;
	field->mask = from.mask;
	field->flags = from.flags;
	field->width = width_of(from.type);
	field->last = ENGINE_NONE;
	error = put_labels(field, &reader, results, from.labels, &to);
	if (!error)
		error = em_index_put(client->key, &client->names->fields, from.id, field);
	if (error) {
		em_own_free(client->key, field);
		return error;
	}
	*made = field;
	return NMERR_SUCCESS;
}

static DWORD add_field(struct em_client *client, const struct engine_reply *reply,
		       struct em_field **field)
{
	const char *results = em_results(client, reply, 1);

	if (!results)
		return NMERR_OUT_OF_MEMORY;
	return make_field(client, results, reply->size, field);
}

DWORD em_field_of(struct em_client *client, uint32_t id, struct em_field **field)
{
	struct engine_reply reply;
	DWORD error = prepare(client);

	if (error)
		return error;
	*field = em_index_get(&client->names->fields, id);
	if (*field)
		return NMERR_SUCCESS;
	if (id >= ENGINE_NONE - 1)
		return NMERR_PROPERTY_NOT_FOUND;
	error = ask(client, ENGINE_FIELD_INFO, id, 0, "", &reply);
	if (!error)
		error = add_field(client, &reply, field);
	if (!error && (!*field || (*field)->id != id))
		error = NMERR_INVALID_DATA;
	return error;
}

const struct em_field *em_field_of_info(struct em_client *client, const PROPERTYINFO *info)
{
	struct em_field *field;
	uint32_t id;

	if (!info || !client || !client->names ||
	    em_client_of(info->hProperty, EM_HANDLE_PROPERTY, &id) != client)
		return NULL;
	field = em_index_get(&client->names->fields, id);
	return field && &field->info == info ? field : NULL;
}

uint32_t em_asked_fields(struct em_client *client, const uint32_t **ids)
{
	*ids = client->names ? client->names->asked : NULL;
	return client->names ? client->names->nr_asked : 0;
}

void em_asked_end(struct em_client *client)
{
	if (client->names)
		client->names->asked_ended = true;
}

/* ---------------------------------------------------------------------------- names */

static uint64_t hash_of(uint32_t protocol, const char *text)
{
	uint64_t hash = 0xcbf29ce484222325 ^ protocol;

	for (; *text; text++)
		hash = (hash ^ (unsigned char)*text) * 0x100000001b3;
	return hash;
}

static const struct name *find_name(const struct em_names *names, uint32_t protocol,
				    const char *text)
{
	const struct name *name = em_index_get(&names->names, hash_of(protocol, text));

	while (name && (name->protocol != protocol || strcmp(name->text, text) != 0))
		name = name->next;
	return name;
}

/* Remember a name. If there is no memory for it, the next call asks the engine again. */
static void remember_name(struct em_client *client, uint32_t protocol, const char *text,
			  uint32_t id)
{
	struct em_names *names = client->names;
	uint64_t hash = hash_of(protocol, text);
	struct name *first = em_index_get(&names->names, hash), *name;
	size_t size = strlen(text) + 1;
	DWORD error;

	if (names->nr_names == NAMES_MAX)
		return;
	name = em_own_alloc(client->key, sizeof(*name) + size, &error);
	if (!name)
		return;
	*name = (struct name){ .protocol = protocol, .id = id };
	memcpy(name->text, text, size);
	if (first) {
		name->next = first->next;
		first->next = name;
	} else if (em_index_put(client->key, &names->names, hash, name)) {
		em_own_free(client->key, name);
		return;
	}
	names->nr_names++;
}

DWORD em_protocol_by_name(struct em_client *client, const char *text, uint32_t *id)
{
	struct em_protocol *protocol;
	struct engine_reply reply;
	DWORD error = prepare(client);
	const struct name *name;

	if (error)
		return error;
	name = find_name(client->names, ENGINE_NONE, text);
	if (name) {
		*id = name->id;
		return name->id == ENGINE_NONE ? NMERR_PROTOCOL_NOT_FOUND : NMERR_SUCCESS;
	}
	if (!*text || strnlen(text, ENGINE_TEXT) == ENGINE_TEXT)
		return NMERR_PROTOCOL_NOT_FOUND;
	error = ask(client, ENGINE_PROTOCOL, ENGINE_NONE, 0, text, &reply);
	if (!error)
		error = add_protocol(client, &reply, &protocol);
	*id = error ? ENGINE_NONE : protocol->info.ProtocolID;
	if (!error || error == NMERR_PROTOCOL_NOT_FOUND)
		remember_name(client, ENGINE_NONE, text, *id);
	return error;
}

DWORD em_protocol_named(HFRAME frame, const char *name, uint32_t *protocol)
{
	struct em_client *client;
	uint32_t number;
	DWORD error;

	client = em_client_lock_of((uintptr_t)frame, EM_HANDLE_FRAME, &number,
				   NMERR_INVALID_HFRAME, &error);
	if (!client)
		return error;
	error = em_protocol_by_name(client, name, protocol);
	em_client_unlock(client);
	return error;
}

/* Note that the expert got the handle of a field. */
static void note_asked(struct em_names *names, struct em_field *field)
{
	if (names->asked_ended || field->asked)
		return;
	field->asked = true;
	if (names->nr_asked < ENGINE_ASKED_MAX)
		names->asked[names->nr_asked] = field->id;
	names->nr_asked++;
}

static DWORD field_by_name(struct em_client *client, uint32_t protocol, const char *text,
			   struct em_field **field)
{
	const struct name *name = find_name(client->names, protocol, text);
	struct engine_reply reply;
	DWORD error;

	if (name && name->id == ENGINE_NONE)
		return NMERR_PROPERTY_NOT_FOUND;
	if (name)
		return em_field_of(client, name->id, field);
	if (!*text || strnlen(text, ENGINE_TEXT) == ENGINE_TEXT)
		return NMERR_PROPERTY_NOT_FOUND;
	error = ask(client, ENGINE_FIELD_INFO, protocol, 0, text, &reply);
	if (!error)
		error = add_field(client, &reply, field);
	if (!error || error == NMERR_PROPERTY_NOT_FOUND)
		remember_name(client, protocol, text,
			      error || !*field ? ENGINE_NONE : (*field)->id);
	return error;
}

/* -------------------------------------------------------------------- calls of Netmon.h */

HPROTOCOL WINAPI GetProtocolFromName(LPSTR ProtocolName)
{
	struct em_client *client = em_client_current();
	uint64_t handle = 0;
	uint32_t id;
	DWORD error;

	if (!ProtocolName)
		return em_fail_null(NMERR_INVALID_PARAMETER);
	if (!client)
		return em_fail_null(NMERR_INVALID_HCAPTURE);
	error = em_client_lock(client);
	if (error)
		return em_fail_null(error);
	error = em_protocol_by_name(client, ProtocolName, &id);
	if (!error)
		handle = em_handle(client, EM_HANDLE_PROTOCOL, id);
	em_client_unlock(client);
	return error ? em_fail_null(error) : (HPROTOCOL)(uintptr_t)handle;
}

/* The error code of a call that gets the protocol as a handle. */
static DWORD bad_protocol(DWORD error)
{
	return error == NMERR_PROTOCOL_NOT_FOUND ? NMERR_INVALID_HPROTOCOL : error;
}

/* Ask for the numbers of all fields of a protocol, or of all protocols if @id is ENGINE_NONE. */
static DWORD ask_numbers(struct em_client *client, uint32_t id, uint32_t from, uint32_t *count,
			 const char **numbers)
{
	struct engine_reply reply;
	DWORD error = ask(client, ENGINE_FIELDS, id, from, "", &reply);

	if (error)
		return error;
	if (reply.count > reply.size / sizeof(uint32_t))
		return NMERR_INVALID_DATA;
	*count = reply.count;
	*numbers = em_results(client, &reply, 0);
	return *numbers ? NMERR_SUCCESS : NMERR_OUT_OF_MEMORY;
}

static uint32_t number_at(const char *numbers, uint32_t i)
{
	uint32_t number;

	memcpy(&number, numbers + i * sizeof(number), sizeof(number));
	return number;
}

/*
 * Fill in PropertyDatabase of a protocol. It stays NULL if the protocol has more than DATABASE_MAX
 * fields, or if the database would exceed the expert's limit.
 */
static void add_database(struct em_client *client, struct em_protocol *protocol)
{
	LPPROPERTYDATABASE database;
	struct em_field *field;
	const char *numbers;
	uint32_t count;
	DWORD error;

	if (protocol->info.PropertyDatabase || protocol->fields > DATABASE_MAX ||
	    ask_numbers(client, protocol->info.ProtocolID, 0, &count, &numbers) ||
	    count > DATABASE_MAX)
		return;
	database = em_own_alloc(client->key, sizeof(*database) + count * sizeof(void *), &error);
	if (!database)
		return;
	database->nProperties = count;
	for (uint32_t i = 0; i < count; i++) {
		if (em_field_of(client, number_at(numbers, i), &field)) {
			em_own_free(client->key, database);
			return;
		}
		database->PropertyInfo[i] = &field->info;
	}
	protocol->info.PropertyDatabase = database;
}

LPPROTOCOLINFO WINAPI GetProtocolInfo(HPROTOCOL hProtocol)
{
	struct em_protocol *protocol;
	struct em_client *client;
	uint32_t id;
	DWORD error;

	client = em_client_lock_of((uintptr_t)hProtocol, EM_HANDLE_PROTOCOL, &id,
				 NMERR_INVALID_HPROTOCOL, &error);
	if (!client)
		return em_fail_null(error);
	error = bad_protocol(em_protocol_of(client, id, &protocol));
	if (!error)
		add_database(client, protocol);
	em_client_unlock(client);
	return error ? em_fail_null(error) : &protocol->info;
}

static DWORD make_enabled(struct em_client *client)
{
	LPPROTOCOLTABLE table;
	const char *numbers;
	uint32_t count;
	DWORD error;

	error = ask_numbers(client, ENGINE_NONE, 0, &count, &numbers);
	if (error)
		return error;
	if (count > 0xffff)
		return NMERR_INVALID_DATA;
	table = em_own_alloc(client->key, sizeof(*table) + count * sizeof(void *), &error);
	if (!table)
		return error;
	table->nProtocols = count;
	for (uint32_t i = 0; i < count; i++)
		table->hProtocol[i] = (HPROTOCOL)(uintptr_t)
			em_handle(client, EM_HANDLE_PROTOCOL, number_at(numbers, i));
	client->names->enabled = table;
	return NMERR_SUCCESS;
}

LPPROTOCOLTABLE WINAPI GetEnabledProtocols(HCAPTURE hCapture)
{
	LPPROTOCOLTABLE table = NULL;
	struct em_client *client;
	uint32_t number;
	DWORD error;

	client = em_client_lock_of((uintptr_t)hCapture, EM_HANDLE_CAPTURE, &number,
				 NMERR_INVALID_HCAPTURE, &error);
	if (!client)
		return em_fail_null(error);
	error = prepare(client);
	if (!error && !client->names->enabled)
		error = make_enabled(client);
	if (!error)
		table = client->names->enabled;
	em_client_unlock(client);
	return error ? em_fail_null(error) : table;
}

HPROPERTY WINAPI GetProperty(HPROTOCOL hProtocol, LPSTR PropertyName)
{
	struct em_protocol *protocol;
	struct em_client *client;
	struct em_field *field;
	uint32_t id;
	DWORD error;

	if (!PropertyName) {
		em_set_last_error(NMERR_INVALID_PARAMETER);
		return 0;
	}
	client = em_client_lock_of((uintptr_t)hProtocol, EM_HANDLE_PROTOCOL, &id,
				 NMERR_INVALID_HPROTOCOL, &error);
	if (client) {
		error = bad_protocol(em_protocol_of(client, id, &protocol));
		if (!error)
			error = field_by_name(client, id, PropertyName, &field);
		if (!error)
			note_asked(client->names, field);
		em_client_unlock(client);
	}
	if (!error)
		return field->info.hProperty;
	em_set_last_error(error);
	return 0;
}

LPPROPERTYINFO WINAPI GetPropertyInfo(HPROPERTY hProperty)
{
	struct em_client *client;
	struct em_field *field;
	uint32_t id;
	DWORD error;

	client = em_client_lock_of(hProperty, EM_HANDLE_PROPERTY, &id, NMERR_INVALID_HPROPERTY,
				 &error);
	if (!client)
		return em_fail_null(error);
	error = em_field_of(client, id, &field);
	em_client_unlock(client);
	if (error)
		return em_fail_null(error == NMERR_PROPERTY_NOT_FOUND ?
				    NMERR_INVALID_HPROPERTY : error);
	return &field->info;
}
