// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Tables of properties and of protocols of frames, and instances of one property.
 *
 * The engine sends records for up to ENGINE_BATCH frames at once. Each frame becomes an *entry*:
 * the table, its instances and their values, one after the other, in the expert's memory.
 * Entries lie in *arenas* of 64 KiB, or of one larger entry. If the arenas would exceed ARENAS_MAX,
 * the least recently used one is reused: the addresses of its entries are not valid any more. So
 * an entry stays valid until the expert has got about 16 MiB of other entries.
 *
 * An entry is found by the number of its frame and its content: all properties, the protocols, or
 * the instances of one field. A second call for a frame gets the entry that the first call made.
 *
 * The library checks each member of a record. A frame whose records are inconsistent has no entry,
 * and the call that asked for it returns NMERR_INVALID_DATA.
 */
#include <string.h>

#include "capture.h"

#define ARENA_SIZE	(64u << 10)	/* bytes */
#define ARENAS_MAX	(16u << 20)	/* bytes of all arenas of an expert */
/*
 * When the entries that one reply made exceed so many bytes, the reply's other frames are dropped.
 */
#define AHEAD_MAX	(4u << 20)
/* A property table counts properties of a protocol in 16 bits, and protocols in 8 bits. */
#define PROPERTIES_MAX	0xffffu
#define LAYERS_MAX	0xffu
/* A DataLength of 0xffff means that the property is a PROPERTYINSTEX. */
#define LENGTH_MAX	0xfffeu
/* Most fields with equal names that a handle stands for. */
#define SAME_MAX	64u
/* A request continues a walk if its frame is at most so many frames behind the last reply. */
#define GAP_MAX		8u

/* The contents of entries that are not the number of a field. */
#define ALL_PROPERTIES	(ENGINE_NONE)
#define PROTOCOLS	(ENGINE_NONE - 1)

/* A text that FormatPropertyInstance() made. It is freed with the arena of its instance. */
struct text {
	struct text *next;
	char bytes[];
};

/*
 * @newer, @older: neighbours in the list of arenas, by their last use. @size, @used: bytes, with
 * this structure. @texts: texts of instances in the arena.
 */
struct arena {
	struct arena *newer, *older;
	uint32_t size;
	uint32_t used;
	struct text *texts;
};

/**
 * struct entry - properties or protocols of a frame
 * @frame: its number
 * @content: ALL_PROPERTIES, PROTOCOLS, or the number of a field
 * @size: bytes, with this structure; a multiple of 16
 * @error: NMERR_ code of the engine, if the dissection of the frame failed; @count is 0 then
 * @count: number of instances
 * @first: the instances; NULL for PROTOCOLS
 * @arena: the arena that contains the entry
 * @table: PROPERTYTABLE or RECOGNIZEDATATABLE, or NULL
 */
struct entry {
	uint32_t frame;
	uint32_t content;
	uint32_t size;
	uint32_t error;
	uint32_t count;
	LPPROPERTYINST first;
	struct arena *arena;
	void *table;
};

/*
 * Requests for consecutive frames. @last: last frame of the last reply; ENGINE_NONE: none. @window:
 * number of frames that the last request asked for.
 */
struct walk {
	uint32_t last;
	uint32_t window;
};

/**
 * struct em_tables - the tables of recent frames
 * @entries: struct entry, by content and frame
 * @newest, @oldest: ends of the list of arenas
 * @current: the arena where entries are made
 * @bytes: bytes of all arenas
 * @made: bytes of the entries that were made of the present reply
 * @properties, @protocols: walks of ALL_PROPERTIES and of PROTOCOLS
 */
struct em_tables {
	struct em_index entries;
	struct arena *newest, *oldest;
	struct arena *current;
	size_t bytes;
	size_t made;
	struct walk properties, protocols;
};

static size_t round_up(size_t size)
{
	return em_round_up(size, 16);
}

static DWORD prepare(struct em_client *client)
{
	DWORD error;

	if (client->kind != ENGINE_WIRESHARK)
		return NMERR_NOT_SUPPORTED;
	if (client->tables)
		return NMERR_SUCCESS;
	client->tables = em_own_alloc(client->key, sizeof(*client->tables), &error);
	if (!client->tables)
		return error;
	memset(client->tables, 0, sizeof(*client->tables));
	client->tables->properties.last = ENGINE_NONE;
	client->tables->protocols.last = ENGINE_NONE;
	return NMERR_SUCCESS;
}

/* --------------------------------------------------------------------------- arenas */

static void unlink_arena(struct em_tables *tables, struct arena *arena)
{
	*(arena->newer ? &arena->newer->older : &tables->newest) = arena->older;
	*(arena->older ? &arena->older->newer : &tables->oldest) = arena->newer;
}

static void link_newest(struct em_tables *tables, struct arena *arena)
{
	arena->newer = NULL;
	arena->older = tables->newest;
	*(tables->newest ? &tables->newest->newer : &tables->oldest) = arena;
	tables->newest = arena;
}

static uint64_t key_of(uint32_t frame, uint32_t content)
{
	return (uint64_t)content << 32 | frame;
}

/* Forget the entries of an arena, and take it from the list. */
static void empty_arena(struct em_client *client, struct arena *arena)
{
	struct em_tables *tables = client->tables;
	uint32_t at = round_up(sizeof(*arena));

	while (at < arena->used) {
		struct entry *entry = (struct entry *)((char *)arena + at);

		em_index_remove(&tables->entries, key_of(entry->frame, entry->content));
		at += entry->size;
	}
	while (arena->texts) {
		struct text *text = arena->texts;

		arena->texts = text->next;
		em_own_free(client->key, text);
	}
	unlink_arena(tables, arena);
	tables->bytes -= arena->size;
	if (tables->current == arena)
		tables->current = NULL;
}

/* Make an arena with room for @size bytes. Frees or reuses the oldest ones above ARENAS_MAX. */
static struct arena *new_arena(struct em_client *client, size_t size, DWORD *error)
{
	struct em_tables *tables = client->tables;
	size_t bytes = round_up(sizeof(struct arena)) + size;
	struct arena *arena = NULL;

	if (bytes < ARENA_SIZE)
		bytes = ARENA_SIZE;
	while (tables->oldest && tables->bytes + bytes > ARENAS_MAX) {
		struct arena *oldest = tables->oldest;

		empty_arena(client, oldest);
		if (oldest->size == bytes) {
			arena = oldest;
			break;
		}
		em_own_free(client->key, oldest);
	}
	if (!arena)
		arena = em_own_alloc(client->key, bytes, error);
	if (!arena)
		return NULL;
	arena->size = bytes;
	arena->used = round_up(sizeof(*arena));
	arena->texts = NULL;
	tables->bytes += bytes;
	link_newest(tables, arena);
	tables->current = arena;
	return arena;
}

/* Begin an entry of @size bytes, which are zeros. find_entry() finds it after end_entry(). */
static DWORD begin_entry(struct em_client *client, size_t size, struct entry **begun)
{
	struct arena *arena = client->tables->current;
	struct entry *entry = NULL;
	DWORD error;

	if (size > ARENAS_MAX / 2)
		return NMERR_OUT_OF_MEMORY;
	size = round_up(size);
	if (!arena || size > arena->size - arena->used) {
		arena = new_arena(client, size, &error);
		if (!arena)
			return error;
	}
	entry = (struct entry *)((char *)arena + arena->used);
	memset(entry, 0, size);
	entry->size = size;
	entry->arena = arena;
	*begun = entry;
	return NMERR_SUCCESS;
}

static DWORD end_entry(struct em_client *client, struct entry *entry, uint32_t frame,
		       uint32_t content)
{
	struct em_tables *tables = client->tables;
	DWORD error;

	entry->frame = frame;
	entry->content = content;
	error = em_index_put(client->key, &tables->entries, key_of(frame, content), entry);
	if (error)
		return error;
	entry->arena->used += entry->size;
	tables->made += entry->size;
	return NMERR_SUCCESS;
}

/* The entry of a frame, which counts as used; NULL: there is none. */
static struct entry *find_entry(struct em_tables *tables, uint32_t frame, uint32_t content)
{
	struct entry *entry = em_index_get(&tables->entries, key_of(frame, content));

	if (entry && tables->newest != entry->arena) {
		unlink_arena(tables, entry->arena);
		link_newest(tables, entry->arena);
	}
	return entry;
}

/* The arena that @p points into. @p is not dereferenced. */
static struct arena *arena_of(const struct em_tables *tables, const void *p)
{
	struct arena *arena = tables ? tables->newest : NULL;

	while (arena && (uintptr_t)p - (uintptr_t)arena >= arena->used)
		arena = arena->older;
	return arena;
}

char *em_text_alloc(struct em_client *client, const PROPERTYINST *instance, size_t size,
		    DWORD *error)
{
	struct arena *arena = arena_of(client->tables, instance);
	struct text *text;

	if (!arena)
		return em_own_alloc(client->key, size, error);
	text = em_own_alloc(client->key, sizeof(*text) + size, error);
	if (!text)
		return NULL;
	text->next = arena->texts;
	arena->texts = text;
	return text->bytes;
}

/* -------------------------------------------------------------------------- records */

/*
 * A frame in a copy of results, from @start on. @frame: the frame in the frames file. @frame_size:
 * number of its bytes. A malicious engine may change the header of @frame, so nBytesAvail is not
 * read again.
 */
struct source {
	struct engine_frame header;
	const char *start;
	const FRAME *frame;
	uint32_t frame_size;
};

static bool is_error_of_frame(uint32_t error)
{
	return error == NMERR_INTERNAL_EXCEPTION || error == NMERR_RUNAWAY_PROTOCOL;
}

/*
 * Read the header of the frame @number, whose records have @record bytes each. @left: bytes of the
 * results from @at on. False: the header is inconsistent.
 */
static bool read_source(struct em_client *client, const char *at, size_t left, uint32_t number,
			size_t record, struct source *source)
{
	struct engine_frame *header = &source->header;
	uint16_t link_type;

	if (left < sizeof(*header))
		return false;
	memcpy(header, at, sizeof(*header));
	if (header->frame != number || header->size % 8 || header->size > left ||
	    header->size < sizeof(*header) ||
	    header->count > (header->size - sizeof(*header)) / record)
		return false;
	if (header->error && (header->count || !is_error_of_frame(header->error)))
		return false;
	source->start = at;
	source->frame = em_frame_size(client, number, &link_type, &source->frame_size);
	return source->frame;
}

static void read_record(const struct source *source, uint32_t i, struct engine_property *record)
{
	memcpy(record, source->start + sizeof(source->header) + i * sizeof(*record),
	       sizeof(*record));
}

/* Bytes of a PROPERTYINSTEX with a value, and a null behind it. */
static size_t extended_size(uint32_t value_length)
{
	size_t size = offsetof(PROPERTYINSTEX, Byte) + value_length + 1;

	return em_round_up(size < sizeof(PROPERTYINSTEX) ? sizeof(PROPERTYINSTEX) : size, 8);
}

/*
 * The address of a record's bytes in the frame; NULL: it has none. False: they lie outside of it.
 */
static bool bytes_of(const struct source *source, const struct engine_property *record,
		     const BYTE **bytes)
{
	uint32_t available = source->frame_size;

	*bytes = NULL;
	if (record->offset == ENGINE_NONE)
		return !record->length;
	if (record->offset > available || record->length > available - record->offset)
		return false;
	*bytes = source->frame->MacFrame + record->offset;
	return true;
}

/* Copy the value of a record. False: it is not in the results. */
static bool copy_value(const struct source *source, const struct engine_property *record,
		       BYTE *to)
{
	size_t behind = sizeof(source->header) + source->header.count * sizeof(*record);

	if (record->value_length <= 8) {
		for (unsigned int i = 0; i < record->value_length; i++)
			to[i] = record->value >> (8 * i);
		return true;
	}
	if (record->value < behind || record->value > source->header.size ||
	    record->value_length > source->header.size - record->value)
		return false;
	memcpy(to, source->start + record->value, record->value_length);
	return true;
}

/* Has the value a size that its type can have? */
static bool fits(const struct em_field *field, uint32_t length)
{
	if (field->info.DataType == PROP_TYPE_VAR_LEN_SMALL_INT)
		return length >= 1 && length <= 8;
	return !field->width || length == field->width;
}

static uint16_t cut(uint32_t length)
{
	return length < LENGTH_MAX ? length : LENGTH_MAX;
}

/*
 * Make an instance of a record. *@extended: room for a PROPERTYINSTEX; moves behind the one made.
 */
static DWORD make_instance(const struct source *source, const struct engine_property *record,
			   struct em_field *field, LPPROPERTYINST instance, char **extended)
{
	/* a value with ENGINE_VALUE has the byte order of the machine */
	uint8_t in_order = record->flags & (ENGINE_SWAPPED | ENGINE_VALUE);
	LPPROPERTYINSTEX ex = (LPPROPERTYINSTEX)*extended;
	const BYTE *bytes;

	if (!bytes_of(source, record, &bytes))
		return NMERR_INVALID_DATA;
	instance->lpPropertyInfo = &field->info;
	instance->Level = record->level < 15 ? record->level : 15;
	instance->IFlags = (record->flags & ENGINE_WRONG ? IFLAG_ERROR : 0) |
			   (in_order == ENGINE_SWAPPED ? IFLAG_SWAPPED : 0);
	if (!(record->flags & ENGINE_VALUE)) {
		instance->lpData = (LPVOID)bytes;
		instance->DataLength = cut(record->length);
		return fits(field, record->length) ? NMERR_SUCCESS : NMERR_INVALID_DATA;
	}
	if (!fits(field, record->value_length) || !copy_value(source, record, ex->Byte))
		return NMERR_INVALID_DATA;
	ex->Length = cut(record->length);
	ex->LengthEx = record->value_length;
	ex->lpData = (ULPVOID)bytes;
	instance->lpPropertyInstEx = ex;
	instance->DataLength = 0xffff;
	*extended += extended_size(record->value_length);
	return NMERR_SUCCESS;
}

/* ------------------------------------------------------------------ entries of frames */

/*
 * Which properties of a frame become an entry. @content: of struct entry. @field: the only field;
 * ENGINE_NONE: any. @asked: only fields whose em_field.asked is set.
 */
struct wanted {
	uint32_t content;
	uint32_t field;
	bool asked;
};

/* Count the protocols, and the bytes of values in PROPERTYINSTEX. False: a record is invalid. */
static bool measure(const struct source *source, uint32_t count, uint32_t *layers,
		    size_t *extended)
{
	struct engine_property record;

	*layers = 0;
	*extended = 0;
	for (uint32_t i = 0; i < count; i++) {
		read_record(source, i, &record);
		if (record.flags & ~(ENGINE_SWAPPED | ENGINE_VALUE | ENGINE_WRONG) ||
		    record.field >= PROTOCOLS)
			return false;
		*layers += !i || !record.level;
		if (record.flags & ENGINE_VALUE)
			*extended += extended_size(record.value_length);
	}
	return true;
}

/* Fill in the instances of an entry, and its table if it has one. */
static DWORD fill(struct em_client *client, const struct source *source, uint32_t count,
		  const struct wanted *wanted, struct entry *entry, char *extended)
{
	LPPROPERTYTABLE table = entry->table;
	struct engine_property record;
	uint32_t layer = ENGINE_NONE;
	struct em_field *field;
	DWORD error;

	for (uint32_t i = 0; i < count; i++) {
		read_record(source, i, &record);
		if (wanted->field != ENGINE_NONE && record.field != wanted->field)
			return NMERR_INVALID_DATA;
		error = em_field_of(client, record.field, &field);
		if (error)
			return error == NMERR_PROPERTY_NOT_FOUND ? NMERR_INVALID_DATA : error;
		if (table && (!i || !record.level) && ++layer < LAYERS_MAX) {
			table->PropertyInstTable[layer].nPropertyInstIndex = entry->count;
			table->nPropertyInstTables = layer + 1;
		}
		if (wanted->asked && !field->asked)
			continue;
		error = make_instance(source, &record, field, &entry->first[entry->count],
				      &extended);
		if (error)
			return error;
		entry->count++;
		if (table && layer < LAYERS_MAX)
			table->PropertyInstTable[layer].nPropertyInsts++;
	}
	if (table) {
		table->nTotalPropertyInsts = entry->count;
		table->lpFirstPropertyInst = entry->first;
	}
	return NMERR_SUCCESS;
}

/* Make an entry of the properties of a frame. */
static DWORD add_properties(struct em_client *client, const struct source *source,
			    const struct wanted *wanted)
{
	uint32_t count = source->header.count, layers;
	bool has_table = wanted->content == ALL_PROPERTIES;
	size_t table_size = 0, extended;
	struct entry *entry = NULL;
	DWORD error;

	if (count > PROPERTIES_MAX)
		count = PROPERTIES_MAX;
	if (!measure(source, count, &layers, &extended))
		return NMERR_INVALID_DATA;
	if (has_table)
		table_size = round_up(sizeof(PROPERTYTABLE) + layers * sizeof(PROPERTYINSTTABLE));
	error = begin_entry(client, round_up(sizeof(*entry)) + table_size +
			    count * sizeof(PROPERTYINST) + extended, &entry);
	if (error || !entry)
		return error;
	entry->error = source->header.error;
	if (has_table)
		entry->table = (char *)entry + round_up(sizeof(*entry));
	entry->first = (LPPROPERTYINST)((char *)entry + round_up(sizeof(*entry)) + table_size);
	error = fill(client, source, count, wanted, entry, (char *)(entry->first + count));
	if (error)
		return error;
	return end_entry(client, entry, source->header.frame, wanted->content);
}

/* Make an entry of the protocols of a frame. */
static DWORD add_protocols(struct em_client *client, const struct source *source)
{
	uint32_t count = source->header.count;
	LPRECOGNIZEDATATABLE table;
	struct entry *entry = NULL;
	DWORD error;

	if (count > 0xffff)
		return NMERR_INVALID_DATA;
	error = begin_entry(client, round_up(sizeof(*entry)) +
			    offsetof(RECOGNIZEDATATABLE, RecognizeData) +
			    count * sizeof(RECOGNIZEDATA), &entry);
	if (error || !entry)
		return error;
	entry->error = source->header.error;
	entry->table = table = (LPRECOGNIZEDATATABLE)((char *)entry + round_up(sizeof(*entry)));
	for (uint32_t i = 0; i < count; i++) {
		struct engine_layer layer;

		memcpy(&layer, source->start + sizeof(source->header) + i * sizeof(layer),
		       sizeof(layer));
		if (layer.protocol == 0xffff ||
		    (layer.offset != 0xffff && layer.offset > source->frame_size))
			return NMERR_INVALID_DATA;
		table->RecognizeData[i].ProtocolID = layer.protocol;
		table->RecognizeData[i].nProtocolOffset = layer.offset;
	}
	table->nRecognizeDatas = count;
	return end_entry(client, entry, source->header.frame, PROTOCOLS);
}

/* ------------------------------------------------------------------------- requests */

/*
 * Choose how many frames a request asks for. A request that continues the walk asks for four times
 * as many frames as the last one; any other request asks only for its own frame. The first request
 * continues the walk if its frame is one of the first GAP_MAX in the direction.
 */
static uint32_t widen(struct walk *walk, uint32_t frame, bool forward, uint32_t nr_frames)
{
	uint32_t distance = forward ? frame - walk->last : walk->last - frame;
	uint32_t left = forward ? nr_frames - frame : frame + 1;

	if (walk->last == ENGINE_NONE)
		distance = forward ? frame + 1 : nr_frames - frame;
	if (distance && distance <= GAP_MAX)
		walk->window = walk->window ? walk->window * 4 : 4;
	else
		walk->window = 1;
	if (walk->window > ENGINE_BATCH)
		walk->window = ENGINE_BATCH;
	return walk->window < left ? walk->window : left;
}

/* Make entries of the frames in a reply. Errors count only for the first frame, @frame. */
static DWORD add_frames(struct em_client *client, const struct engine_reply *reply,
			uint32_t frame, bool forward, uint32_t count,
			const struct wanted *wanted)
{
	const char *results = em_results(client, reply, 0);
	uint32_t at = 0;

	if (!results)
		return NMERR_OUT_OF_MEMORY;
	if (!reply->count || reply->count > count)
		return NMERR_INVALID_DATA;
	client->tables->made = 0;
	for (uint32_t i = 0; i < reply->count; i++) {
		uint32_t number = forward ? frame + i : frame - i;
		size_t record = wanted->content == PROTOCOLS ? sizeof(struct engine_layer) :
							       sizeof(struct engine_property);
		struct source source;
		DWORD error = NMERR_INVALID_DATA;

		if (read_source(client, results + at, reply->size - at, number, record, &source)) {
			if (i && em_index_get(&client->tables->entries,
					      key_of(number, wanted->content)))
				error = NMERR_SUCCESS;
			else if (wanted->content == PROTOCOLS)
				error = add_protocols(client, &source);
			else
				error = add_properties(client, &source, wanted);
		}
		if (error)
			return i ? NMERR_SUCCESS : error;
		at += source.header.size;
		if (client->tables->made > AHEAD_MAX)
			break;
	}
	return NMERR_SUCCESS;
}

/* Let the request name the fields of em_asked_fields(), unless there are more than it can name. */
static void name_asked(struct em_client *client, struct engine_request *request)
{
	const uint32_t *ids;
	uint32_t count = em_asked_fields(client, &ids);

	if (!count || count > ENGINE_ASKED_MAX)
		return;
	request->flags |= ENGINE_ASKED;
	request->length = count * sizeof(*ids) + 1;
	memcpy(request->text, ids, count * sizeof(*ids));
	request->text[request->length - 1] = '\0';
}

/* Get the entry of a frame. If there is none, ask the engine for the frame. */
static DWORD get_entry(struct em_client *client, uint32_t frame, bool forward,
		       const struct wanted *wanted, struct walk *walk, struct entry **entry)
{
	struct engine_request request;
	struct engine_reply reply;
	uint32_t count;
	DWORD error;

	*entry = find_entry(client->tables, frame, wanted->content);
	if (*entry)
		return NMERR_SUCCESS;
	if (frame >= client->nr_frames)
		return NMERR_FRAME_NOT_FOUND;
	count = widen(walk, frame, forward, client->nr_frames);
	memset(&request, 0, offsetof(struct engine_request, text));
	request.op = wanted->content == PROTOCOLS ? ENGINE_PROTOCOLS : ENGINE_PROPERTIES;
	request.flags = (forward ? 0 : ENGINE_BACKWARD) |
			(wanted->field == ENGINE_NONE ? 0 : ENGINE_FIELD);
	request.frame = frame;
	request.count = count;
	request.id = wanted->field;
	if (wanted->asked && wanted->field == ENGINE_NONE)
		name_asked(client, &request);
	error = em_request(client, &request, &reply);
	if (!error)
		error = add_frames(client, &reply, frame, forward, count, wanted);
	if (error)
		return error;
	walk->last = forward ? frame + reply.count - 1 : frame - (reply.count - 1);
	*entry = find_entry(client->tables, frame, wanted->content);
	return *entry ? NMERR_SUCCESS : NMERR_OUT_OF_MEMORY;
}

/* Get the table of the entry of a frame; the content is @wanted->content. */
static DWORD get_table(HFRAME handle, bool forward, struct wanted *wanted, void **table)
{
	struct entry *entry = NULL;
	struct em_client *client;
	const uint32_t *ids;
	uint32_t frame;
	DWORD error;

	client = em_client_lock_of((uintptr_t)handle, EM_HANDLE_FRAME, &frame,
				   NMERR_INVALID_EXPERT_HANDLE, &error);
	if (!client)
		return error;
	error = prepare(client);
	if (!error && wanted->content == ALL_PROPERTIES &&
	    client->flags & EXPERTMEM_ASKED_PROPERTIES) {
		em_asked_end(client);
		wanted->asked = true;
		if (em_asked_fields(client, &ids) == 1)
			wanted->field = *ids;
	}
	if (!error)
		error = get_entry(client, frame, forward, wanted,
				  wanted->content == PROTOCOLS ? &client->tables->protocols :
								 &client->tables->properties,
				  &entry);
	if (!error && entry) {
		error = entry->error;
		if (!error)
			*table = entry->table;
	}
	em_client_unlock(client);
	return error;
}

DWORD em_attach_properties(HFRAME frame, bool forward, LPPROPERTYTABLE *table)
{
	struct wanted wanted = { .content = ALL_PROPERTIES, .field = ENGINE_NONE };
	void *found = NULL;
	DWORD error = get_table(frame, forward, &wanted, &found);

	*table = found;
	return error;
}

DWORD em_protocols(HFRAME frame, bool forward, LPRECOGNIZEDATATABLE *table)
{
	struct wanted wanted = { .content = PROTOCOLS, .field = ENGINE_NONE };
	void *found = NULL;
	DWORD error = get_table(frame, forward, &wanted, &found);

	*table = found;
	return error;
}

DWORD em_recognize(const struct em_client *client, HFRAME frame, bool forward,
		   LPRECOGNIZEDATATABLE *table)
{
	*table = NULL;
	if (client->flags & EXPERTMEM_NO_RECOGNIZE || client->kind == ENGINE_PCAP)
		return NMERR_SUCCESS;
	return em_protocols(frame, forward, table);
}

/* ---------------------------------------------------------- instances of one property */

/*
 * Does the expert walk forward over this field? If not, the request also asks for frames before
 * @frame.
 */
static bool goes_forward(const struct em_field *field, uint32_t frame)
{
	return field->last == ENGINE_NONE || frame > field->last ||
	       field->last - frame > GAP_MAX;
}

/* Get the entry that has only the instances of this field. */
static DWORD get_field_entry(struct em_client *client, uint32_t frame, struct em_field *field,
			     struct entry **entry)
{
	struct wanted wanted = { .content = field->id, .field = field->id };
	struct walk walk = { field->last, field->window };
	DWORD error = get_entry(client, frame, goes_forward(field, frame), &wanted, &walk, entry);

	field->last = walk.last;
	field->window = walk.window;
	return error ? error : (*entry)->error;
}

/*
 * The next instance of a field in an entry, from index @from on; NULL: there is none. Backwards,
 * @from is the index behind the first one to look at.
 */
static LPPROPERTYINST next_in(const struct entry *entry, const struct em_field *field,
			      uint32_t from, bool forward)
{
	while (forward ? from < entry->count : from > 0) {
		LPPROPERTYINST instance = &entry->first[forward ? from : from - 1];

		if (instance->lpPropertyInfo == &field->info)
			return instance;
		from += forward ? 1 : -1;
	}
	return NULL;
}

static LPPROPERTYINST first_in(const struct entry *entry, const struct em_field *field,
			       bool forward)
{
	return next_in(entry, field, forward ? 0 : entry->count, forward);
}

/*
 * Find the first instance of a field in a frame. If the frame's table has one, that is the
 * instance. Otherwise the engine is asked for this field, because tables have no hidden properties.
 * *@found is NULL if there is none.
 */
static DWORD find_first(struct em_client *client, uint32_t frame, struct em_field *field,
			bool forward, LPPROPERTYINST *found)
{
	struct entry *entry = find_entry(client->tables, frame, ALL_PROPERTIES);
	DWORD error;

	*found = NULL;
	if (entry && entry->error)
		return entry->error;
	if (entry)
		*found = first_in(entry, field, forward);
	if (*found)
		return NMERR_SUCCESS;
	error = get_field_entry(client, frame, field, &entry);
	if (!error)
		*found = first_in(entry, field, forward);
	return error;
}

/* List the fields that a handle stands for. A malicious engine may link them in a circle. */
static DWORD get_chain(struct em_client *client, uint32_t id,
		       struct em_field *chain[static SAME_MAX], uint32_t *count)
{
	DWORD error = em_field_of(client, id, &chain[0]);

	if (error)
		return error == NMERR_PROPERTY_NOT_FOUND ? NMERR_INVALID_HPROPERTY : error;
	for (*count = 1; *count < SAME_MAX; (*count)++) {
		id = chain[*count - 1]->same;
		for (uint32_t i = 0; i < *count; i++)
			if (chain[i]->id == id)
				return NMERR_SUCCESS;
		if (id == ENGINE_NONE || em_field_of(client, id, &chain[*count]))
			break;
	}
	return NMERR_SUCCESS;
}

/*
 * Find the entry of @frame that contains @key; *@index receives the index of @key. NULL: none does.
 */
static struct entry *entry_with(struct em_client *client, uint32_t frame,
				const struct em_field *field, const PROPERTYINST *key,
				uint32_t *index)
{
	const uint32_t contents[] = { ALL_PROPERTIES, field->id };

	for (int i = 0; i < 2; i++) {
		struct entry *entry = find_entry(client->tables, frame, contents[i]);
		uintptr_t distance = entry ? (uintptr_t)key - (uintptr_t)entry->first : 0;

		*index = distance / sizeof(*key);
		if (entry && distance % sizeof(*key) == 0 && *index < entry->count)
			return entry;
	}
	return NULL;
}

/* Find the next instance behind or before @key, or the first or last one if @key is NULL. */
static DWORD find(struct em_client *client, uint32_t frame, uint32_t id, LPPROPERTYINST key,
		  bool forward, LPPROPERTYINST *found)
{
	struct em_field *chain[SAME_MAX];
	uint32_t count, i, index;
	struct entry *entry = NULL;
	DWORD error;

	error = get_chain(client, id, chain, &count);
	if (error)
		return error;
	i = forward ? 0 : count - 1;
	if (key) {
		if ((uintptr_t)key % _Alignof(PROPERTYINST) || !arena_of(client->tables, key))
			return NMERR_INVALID_PARAMETER;
		while (i < count && &chain[i]->info != key->lpPropertyInfo)
			i += forward ? 1 : -1;
		entry = i < count ? entry_with(client, frame, chain[i], key, &index) : NULL;
		if (!entry)
			return NMERR_INVALID_PARAMETER;
		*found = next_in(entry, chain[i], forward ? index + 1 : index, forward);
		if (*found)
			return NMERR_SUCCESS;
		i += forward ? 1 : -1;
	}
	/* backwards, the unsigned @i wraps around below 0, and is then not less than @count */
	for (; i < count; i += forward ? 1 : -1) {
		error = find_first(client, frame, chain[i], forward, found);
		if (error || *found)
			return error;
	}
	return NMERR_PROPERTY_NOT_FOUND;
}

LPPROPERTYINST WINAPI FindPropertyInstanceRestart(HFRAME hFrame, HPROPERTY hProperty,
						  LPPROPERTYINST *lpRestartKey, BOOL DirForward)
{
	struct em_client *client;
	uint32_t frame, field;
	LPPROPERTYINST found;
	DWORD error;

	client = em_client_lock_of((uintptr_t)hFrame, EM_HANDLE_FRAME, &frame,
				 NMERR_INVALID_HFRAME, &error);
	if (!client)
		return em_fail_null(error);
	if (em_client_of(hProperty, EM_HANDLE_PROPERTY, &field) != client)
		error = NMERR_INVALID_HPROPERTY;
	if (!error)
		error = prepare(client);
	if (!error)
		error = find(client, frame, field, lpRestartKey ? *lpRestartKey : NULL,
			     DirForward, &found);
	em_client_unlock(client);
	if (error)
		return em_fail_null(error);
	if (lpRestartKey)
		*lpRestartKey = found;
	return found;
}

LPPROPERTYINST WINAPI FindPropertyInstance(HFRAME hFrame, HPROPERTY hProperty)
{
	return FindPropertyInstanceRestart(hFrame, hProperty, NULL, TRUE);
}
