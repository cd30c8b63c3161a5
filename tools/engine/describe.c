// SPDX-License-Identifier: GPL-2.0-or-later
/* Find protocols and fields by name, and describe them. */
#include "ws.h"

#include <Netmon.h>
#include <epan/exceptions.h>

#include "names.h"

#define NAME_SIZE	16u	/* most bytes of a protocol's name, with its null */

/* All protocols, in the order of Wireshark's numbers. A protocol's number is its place here. */
static struct protocol {
	int id;
	const protocol_t *protocol;
	const char *filter_name;
	bool layer;
} *protocols;
static unsigned int nr_protocols;

static int compare_ids(const void *a, const void *b)
{
	const struct protocol *first = a, *second = b;

	return (first->id > second->id) - (first->id < second->id);
}

/* Is it one of Wireshark's own notes about a frame, and no protocol of the frame? */
static bool is_note(const char *filter_name)
{
	return !strcmp(filter_name, "frame") || g_str_has_prefix(filter_name, "_ws.");
}

void describe_init(void)
{
	GArray *array = g_array_new(false, false, sizeof(struct protocol));
	void *cookie;

	/* Let protocols read their dictionaries now, while files may be read. */
	proto_initialize_all_prefixes();
	for (int id = proto_get_first_protocol(&cookie); id >= 0;
	     id = proto_get_next_protocol(&cookie)) {
		struct protocol new = { .id = id, .protocol = find_protocol_by_id(id) };

		if (!new.protocol || proto_is_pino(new.protocol))
			continue;
		new.filter_name = proto_get_protocol_filter_name(id);
		new.layer = !is_note(new.filter_name);
		g_array_append_val(array, new);
	}
	nr_protocols = MIN(array->len, 0xffffu);
	protocols = (struct protocol *)g_array_free(array, false);
	qsort(protocols, nr_protocols, sizeof(*protocols), compare_ids);
}

uint32_t protocol_number(int id)
{
	const struct protocol key = { .id = id };
	const struct protocol *found = bsearch(&key, protocols, nr_protocols, sizeof(*protocols),
					       compare_ids);

	return found ? found - protocols : ENGINE_NONE;
}

bool protocol_is_layer(uint32_t number)
{
	return protocols[number].layer;
}

header_field_info *field_of(uint32_t id)
{
	header_field_info *volatile field = NULL;

	/* libwireshark throws an exception if the number is wrong. */
	TRY {
		field = proto_registrar_get_nth(id);
	}
	CATCH_ALL {
		field = NULL;
	}
	ENDTRY;
	return field;
}

/*
 * The number of a field's protocol. Wireshark registers some parts of protocols as protocols, such
 * as tcp.options.mss. A field of such a part belongs to the protocol with which the part's name
 * begins.
 */
static uint32_t protocol_of(const header_field_info *field)
{
	uint32_t number = protocol_number(field->parent < 0 ? field->id : field->parent);
	const header_field_info *parent = field->parent < 0 ? field : field_of(field->parent);
	char *name;

	if (number != ENGINE_NONE || !parent)
		return number;
	name = g_strdup(parent->abbrev);
	while (number == ENGINE_NONE && strrchr(name, '.')) {
		*strrchr(name, '.') = '\0';
		number = protocol_number(proto_get_id_by_filter_name(name));
	}
	g_free(name);
	return number;
}

/*
 * Append a description of @size bytes, and directly behind it its three texts. Returns the address
 * of the description in the results; NULL: there is no room.
 */
static void *add_described(struct results *results, const void *description, uint32_t size,
			   const char *const texts[3], const uint32_t lengths[3])
{
	char *start = results_room(results, size + lengths[0] + lengths[1] + lengths[2]), *room;

	if (!start)
		return NULL;
	memcpy(start, description, size);
	room = start + size;
	for (int i = 0; i < 3; room += lengths[i++]) {
		memcpy(room, texts[i], lengths[i] - 1);
		room[lengths[i] - 1] = '\0';
	}
	return start;
}

static uint32_t count_fields(int id)
{
	uint32_t count = 0;
	void *cookie;

	for (header_field_info *field = proto_get_first_protocol_field(id, &cookie); field;
	     field = proto_get_next_protocol_field(id, &cookie))
		count++;
	return count;
}

/* Network Monitor's name of a protocol, or else Wireshark's short name. */
static const char *protocol_name(const struct protocol *protocol)
{
	const char *name = names_protocol(protocol->filter_name);

	return name ? name : proto_get_protocol_short_name(protocol->protocol);
}

static bool is_protocol_name(const struct protocol *protocol, const char *text)
{
	const char *name = proto_get_protocol_short_name(protocol->protocol);

	return !g_ascii_strcasecmp(name, text) ||
	       (strlen(text) == NAME_SIZE - 1 && !g_ascii_strncasecmp(name, text, NAME_SIZE - 1));
}

static uint32_t find_filter_name(const char *name)
{
	int id = proto_get_id_by_filter_name(name);

	return id < 0 ? ENGINE_NONE : protocol_number(id);
}

/* Find a protocol by Network Monitor's name, Wireshark's filter name, or Wireshark's short name. */
static uint32_t find_protocol(const char *text)
{
	uint32_t found = ENGINE_NONE;
	const char *name;

	for (unsigned int i = 0; found == ENGINE_NONE && (name = names_filter_name(text, i)); i++)
		found = find_filter_name(name);
	if (found == ENGINE_NONE)
		found = find_filter_name(text);
	for (unsigned int i = 0; found == ENGINE_NONE && i < nr_protocols; i++)
		if (is_protocol_name(&protocols[i], text))
			found = i;
	return found;
}

uint32_t describe_protocol(const char *text, uint32_t id, struct results *results)
{
	const struct protocol *protocol;
	struct engine_name name = { 0 };
	const char *texts[3];

	if (*text)
		id = find_protocol(text);
	if (id >= nr_protocols)
		return NMERR_PROTOCOL_NOT_FOUND;

	protocol = &protocols[id];
	texts[0] = protocol_name(protocol);
	texts[1] = protocol->filter_name;
	texts[2] = proto_get_protocol_long_name(protocol->protocol);
	name.id = id;
	name.fields = count_fields(protocol->id);
	for (int i = 0; i < 3; i++)
		name.lengths[i] = strlen(texts[i]) + 1;
	name.lengths[0] = MIN(name.lengths[0], NAME_SIZE);
	if (!add_described(results, &name, sizeof(name), texts, name.lengths))
		return NMERR_OUT_OF_MEMORY;
	return NMERR_SUCCESS;
}

static unsigned int count_dots(const char *name)
{
	unsigned int count = 0;

	for (; *name; name++)
		count += *name == '.';
	return count;
}

/* Order fields of one display name: the one with the fewest dots in its filter name is first. */
static bool is_before(const header_field_info *a, const header_field_info *b)
{
	unsigned int dots_a = count_dots(a->abbrev), dots_b = count_dots(b->abbrev);

	return dots_a != dots_b ? dots_a < dots_b : a->id < b->id;
}

/* The first field of a protocol with the display name @name. */
static const header_field_info *find_display_name(int protocol, const char *name)
{
	const header_field_info *found = NULL;
	void *cookie;

	for (header_field_info *field = proto_get_first_protocol_field(protocol, &cookie); field;
	     field = proto_get_next_protocol_field(protocol, &cookie))
		if (!g_ascii_strcasecmp(field->name, name) &&
		    (!found || is_before(field, found)))
			found = field;
	return found;
}

/* A field by its filter name, or by one that it had in earlier versions. */
static const header_field_info *find_abbrev(const char *name)
{
	const header_field_info *field = proto_registrar_get_byname(name);

	if (!field)
		field = proto_registrar_get_byalias(name);
	/* Several fields may have one filter name: begin with the first. */
	while (field && field->same_name_prev_id >= 0)
		field = field_of(field->same_name_prev_id);
	return field;
}

/* Find a field by Network Monitor's label, Wireshark's filter name, or its display name. */
static const header_field_info *find_field(const char *text, uint32_t protocol)
{
	const char *filter_name = protocol < nr_protocols ? protocols[protocol].filter_name : NULL;
	const header_field_info *found = NULL;
	const char *name;

	for (unsigned int i = 0; !found && filter_name &&
	     (name = names_field(filter_name, text, i)); i++)
		found = find_abbrev(name);
	if (!found)
		found = find_abbrev(text);
	if (!found && filter_name)
		found = find_display_name(protocols[protocol].id, text);
	return found;
}

uint32_t describe_field(const char *text, uint32_t id, struct results *results)
{
	const header_field_info *field, *next;
	struct engine_field *added, new;
	const char *texts[3];
	struct form form;

	if (*text && id != ENGINE_NONE && id >= nr_protocols)
		return NMERR_PROTOCOL_NOT_FOUND;
	field = *text ? find_field(text, id) : field_of(id);
	if (!field)
		return NMERR_PROPERTY_NOT_FOUND;

	form = field_form(field);
	next = field->same_name_next;
	new = (struct engine_field){
		.id = field->id, .protocol = protocol_of(field), .type = form.type,
		.qualifier = labels_qualifier(field), .width = form.width, .flags = form.flags,
		.mask = field->bitmask, .same = next ? (uint32_t)next->id : ENGINE_NONE,
	};
	texts[0] = names_label(field->abbrev);
	if (!texts[0])
		texts[0] = field->name;
	texts[1] = field->abbrev;
	texts[2] = field->blurb ? field->blurb : "";
	for (int i = 0; i < 3; i++)
		new.lengths[i] = strlen(texts[i]) + 1;
	added = add_described(results, &new, sizeof(new), texts, new.lengths);
	if (!added || !labels_add(field, results, &added->labels))
		return NMERR_OUT_OF_MEMORY;
	return NMERR_SUCCESS;
}

uint32_t describe_fields(uint32_t protocol, uint32_t first, uint32_t *count,
			 struct results *results)
{
	GArray *numbers;
	uint32_t number = 0;
	void *cookie;
	bool complete;

	*count = 0;
	if (protocol != ENGINE_NONE && protocol >= nr_protocols)
		return NMERR_PROTOCOL_NOT_FOUND;
	numbers = g_array_new(false, false, sizeof(uint32_t));
	if (protocol == ENGINE_NONE) {
		for (number = first; number < nr_protocols; number++)
			g_array_append_val(numbers, number);
	} else {
		for (header_field_info *field =
			proto_get_first_protocol_field(protocols[protocol].id, &cookie); field;
		     field = proto_get_next_protocol_field(protocols[protocol].id, &cookie))
			if (number++ >= first)
				g_array_append_val(numbers, field->id);
	}
	complete = !numbers->len || results_add(results, numbers->data,
						    numbers->len * sizeof(uint32_t));
	*count = complete ? numbers->len : 0;
	g_array_free(numbers, true);
	return complete ? NMERR_SUCCESS : NMERR_OUT_OF_MEMORY;
}
