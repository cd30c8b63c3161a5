// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The tree of a dissected frame, written as properties and as layers.
 *
 * A property points to its bytes in the frame if they are its value: an integer of the type's size
 * in either byte order, a string without its null, an address. The engine compares the bytes with
 * the value that Wireshark has. It does not rely on the flags of Wireshark's tree, which are
 * missing where a dissector computed the value itself. If the bytes are not the value, the value is
 * sent.
 */
#include "ws.h"

#include <endian.h>
#include <time.h>

#include <Netmon.h>
#include <epan/tvbuff.h>

#define VALUE_MAX	UINT16_MAX	/* longer values are cut */

/* The frame's properties and their values, before they are copied to the results. */
static GArray *properties;
static GByteArray *values;

/* A node while its property is made. */
struct node {
	const field_info *info;
	const uint8_t *bytes;		/* in the frame, or NULL */
	uint32_t length;
	struct engine_property *property;
};

/* Find the bytes of a node in the frame. A node that was computed or reassembled has none there. */
static void find_bytes(struct node *node, tvbuff_t *frame_buffer)
{
	const field_info *info = node->info;
	uint32_t size;
	const uint8_t *frame = dissect_bytes(&size);

	node->property->offset = ENGINE_NONE;
	if (info->ds_tvb != frame_buffer || info->start < 0 || info->length < 0 ||
	    (uint32_t)info->start > size)
		return;
	node->bytes = frame + info->start;
	node->length = MIN((uint32_t)info->length, size - info->start);
	node->property->offset = info->start;
	node->property->length = node->length;
}

/*
 * Attach a value that is not in the frame. settle() corrects the offsets of values above 8 bytes.
 */
static void set_value(struct node *node, const void *value, size_t length)
{
	struct engine_property *property = node->property;
	uint64_t small = 0;

	length = MIN(length, VALUE_MAX);
	property->flags |= ENGINE_VALUE;
	property->value_length = length;
	if (length > sizeof(small)) {
		property->value = values->len;
		g_byte_array_append(values, value, length);
	} else if (length) {
		memcpy(&small, value, length);
		property->value = le64toh(small);
	}
	if (!property->length)
		property->offset = ENGINE_NONE;
}

/* Attach an integer of @width bytes in the byte order of the machine. */
static void set_integer(struct node *node, uint64_t value, unsigned int width)
{
	const char *first = (const char *)&value;

	if (BYTE_ORDER == BIG_ENDIAN)
		first += sizeof(value) - width;
	set_value(node, first, width);
}

static uint64_t big_endian(const uint8_t *bytes, unsigned int length)
{
	uint64_t value = 0;

	while (length--)
		value = value << 8 | *bytes++;
	return value;
}

static uint64_t little_endian(const uint8_t *bytes, unsigned int length)
{
	uint64_t value = 0;

	while (length--)
		value = value << 8 | bytes[length];
	return value;
}

static uint64_t cut(uint64_t value, unsigned int width)
{
	return width < 8 ? value & ((UINT64_C(1) << 8 * width) - 1) : value;
}

/* Set an integer of @form: its bytes in the frame, if they are its value in either byte order. */
static void integer(struct node *node, struct form form, uint64_t value)
{
	unsigned int length = node->length;
	bool fits = form.type == PROP_TYPE_VAR_LEN_SMALL_INT ? length >= 1 && length <= 8 :
							       length == form.width;

	if (node->bytes && fits && !node->info->hfinfo->bitmask) {
		uint64_t expected = cut(value, length);

		if (big_endian(node->bytes, length) == expected) {
			if (length > 1)
				node->property->flags |= ENGINE_SWAPPED;
			return;
		}
		if (little_endian(node->bytes, length) == expected)
			return;
	}
	set_integer(node, value, form.width);
}

/*
 * Set a string of bytes. The node's bytes in the frame may begin with a length, or end in a null or
 * in padding; these bytes do not belong to the value.
 */
static void string(struct node *node, const void *value, size_t length)
{
	struct engine_property *property = node->property;

	if (node->bytes && length <= node->length && (length || !node->length)) {
		size_t extra = node->length - length;

		if (!memcmp(node->bytes, value, length)) {
			property->length = length;
			return;
		}
		if (!memcmp(node->bytes + extra, value, length)) {
			property->offset += extra;
			property->length = length;
			return;
		}
	}
	set_value(node, value, length);
}

static void text(struct node *node, fvalue_t *value)
{
	const wmem_strbuf_t *buffer = fvalue_get_strbuf(value);

	string(node, wmem_strbuf_get_str((wmem_strbuf_t *)buffer),
	       wmem_strbuf_get_len((wmem_strbuf_t *)buffer));
}

static void bytes(struct node *node, fvalue_t *value)
{
	size_t length;
	const void *data = ws_bytes(value, &length);

	string(node, data ? data : "", length);
}

/* Set a SYSTEMTIME in UTC. All members are 0 if a WORD cannot hold the year. */
static void absolute_time(struct node *node, fvalue_t *value)
{
	const nstime_t *when = fvalue_get_time(value);
	SYSTEMTIME time = { 0 };
	struct tm tm;

	if (gmtime_r(&when->secs, &tm) && tm.tm_year >= -1900 && tm.tm_year <= 30000) {
		time.wYear = tm.tm_year + 1900;
		time.wMonth = tm.tm_mon + 1;
		time.wDayOfWeek = tm.tm_wday;
		time.wDay = tm.tm_mday;
		time.wHour = tm.tm_hour;
		time.wMinute = tm.tm_min;
		time.wSecond = tm.tm_sec;
		time.wMilliseconds = when->nsecs / 1000000;
	}
	set_value(node, &time, sizeof(time));
}

/*
 * Set a duration in nanoseconds. One that does not fit into 64 bits becomes the nearest that does.
 */
static void relative_time(struct node *node, fvalue_t *value)
{
	const nstime_t *time = fvalue_get_time(value);
	int64_t result;

	if (__builtin_mul_overflow((int64_t)time->secs, 1000000000, &result) ||
	    __builtin_add_overflow(result, (int64_t)time->nsecs, &result))
		result = time->secs < 0 ? INT64_MIN : INT64_MAX;
	set_integer(node, result, 8);
}

static void floating(struct node *node, fvalue_t *value)
{
	double number = fvalue_get_floating(value);

	set_value(node, &number, sizeof(number));
}

/* Set a value whose byte order depends on the protocol: its bytes, unchanged. */
static void raw(struct node *node)
{
	const field_info *info = node->info;
	size_t length = MAX(info->length, 0);

	if (node->bytes)
		return;
	if (info->ds_tvb && info->start >= 0 && length &&
	    tvb_captured_length(info->ds_tvb) >= info->start + length)
		set_value(node, tvb_get_ptr(info->ds_tvb, info->start, length), length);
	else
		set_value(node, "", 0);
}

static void guid(struct node *node, fvalue_t *value)
{
	const e_guid_t *id = fvalue_get_guid(value);
	uint8_t network[FT_GUID_LEN];
	uint32_t data1 = htobe32(id->data1);
	uint16_t data2 = htobe16(id->data2), data3 = htobe16(id->data3);

	if (node->bytes && node->length == FT_GUID_LEN)
		return;
	memcpy(network, &data1, 4);
	memcpy(network + 4, &data2, 2);
	memcpy(network + 6, &data3, 2);
	memcpy(network + 8, id->data4, 8);
	set_value(node, network, sizeof(network));
}

/* Set the text of a node without a field, such as the heading of a group. */
static void label(struct node *node)
{
	const item_label_t *rep = node->info->rep;

	if (rep)
		set_value(node, rep->representation,
			  strnlen(rep->representation, sizeof(rep->representation)));
	else
		set_value(node, "", 0);
}

static void heading(struct node *node)
{
	if (!node->bytes)
		set_value(node, "", 0);
}

static void set(struct node *node)
{
	const header_field_info *field = node->info->hfinfo;
	struct form form = field_form(field);
	fvalue_t *value = ws_value(node->info);
	uint32_t ipv4;

	switch (field->type) {
	case FT_NONE:
		if (field->id == hf_text_only)
			label(node);
		else
			heading(node);
		break;
	case FT_PROTOCOL:
		heading(node);
		break;
	case FT_BOOLEAN:
		integer(node, form, fvalue_get_uinteger64(value) != 0);
		break;
	case FT_IPv4:
		ipv4 = htobe32(ws_ipv4(value));
		string(node, &ipv4, sizeof(ipv4));
		break;
	case FT_ABSOLUTE_TIME:
		absolute_time(node, value);
		break;
	case FT_RELATIVE_TIME:
		relative_time(node, value);
		break;
	case FT_FLOAT:
	case FT_DOUBLE:
		floating(node, value);
		break;
	case FT_GUID:
		guid(node, value);
		break;
	case FT_IEEE_11073_SFLOAT:
	case FT_IEEE_11073_FLOAT:
	case FT_EUI64:
		raw(node);
		break;
	case FT_IPXNET:
		integer(node, form, fvalue_get_uinteger(value));
		break;
	default:
		if (FT_IS_UINT32(field->type))
			integer(node, form, fvalue_get_uinteger(value));
		else if (FT_IS_UINT64(field->type))
			integer(node, form, fvalue_get_uinteger64(value));
		else if (FT_IS_INT32(field->type))
			integer(node, form, (int64_t)fvalue_get_sinteger(value));
		else if (FT_IS_INT64(field->type))
			integer(node, form, fvalue_get_sinteger64(value));
		else if (FT_IS_STRING(field->type))
			text(node, value);
		else
			bytes(node, value);
		break;
	}
}

/* Did the protocol's checks find an error in the node? */
static bool is_wrong(const field_info *info)
{
	unsigned int severity = info->flags & PI_SEVERITY_MASK;
	unsigned int group = info->flags & PI_GROUP_MASK;

	return severity == PI_ERROR ||
	       (severity == PI_WARN && (group == PI_CHECKSUM || group == PI_MALFORMED));
}

static void add(const field_info *info, tvbuff_t *frame_buffer, unsigned int level)
{
	struct engine_property property = {
		.field = info->hfinfo->id,
		.level = MIN(level, UINT8_MAX),
		.flags = is_wrong(info) ? ENGINE_WRONG : 0,
	};
	struct node node = { .info = info, .property = &property };

	find_bytes(&node, frame_buffer);
	set(&node);
	g_array_append_val(properties, property);
}

/* The next node behind @node, depth first, that is not below @node. Updates *@level. */
static const proto_node *node_behind(const proto_node *node, const proto_node *root, int *level)
{
	while (node != root && !node->next) {
		node = node->parent;
		--*level;
	}
	return node == root ? NULL : node->next;
}

/* Call @visit for each visible node, depth first; with @hidden, for hidden nodes, too. */
static void walk(const proto_node *root,
		 void (*visit)(const field_info *info, tvbuff_t *frame_buffer, unsigned int level),
		 tvbuff_t *frame_buffer, bool hidden)
{
	const proto_node *node = root->first_child;
	int level = 0;

	while (node) {
		const field_info *info = PNODE_FINFO(node);
		bool visible = info && (hidden || !(info->flags & FI_HIDDEN));

		if (visible)
			visit(info, frame_buffer, level);
		if (visible && node->first_child) {
			node = node->first_child;
			level++;
		} else {
			node = node_behind(node, root, &level);
		}
	}
}

/*
 * Write a frame's header, its @count records and @values to the results. False: there is no room.
 */
static bool finish(struct results *results, uint32_t frame, uint32_t error, uint32_t count,
		   const void *records, uint32_t records_size)
{
	uint32_t padded = (records_size + 7) / 8 * 8;
	uint32_t size = sizeof(struct engine_frame) + padded + (values->len + 7) / 8 * 8;
	struct engine_frame *head = results_room(results, size);

	if (!head)
		return false;
	*head = (struct engine_frame){ frame, error, count, size };
	memset((char *)head + size - 8, 0, size > sizeof(*head) ? 8 : 0);
	if (records_size)
		memcpy(head + 1, records, records_size);
	if (values->len)
		memcpy((char *)(head + 1) + padded, values->data, values->len);
	return true;
}

/*
 * Values above 8 bytes lie behind the properties: make their offsets start at struct engine_frame.
 */
static void settle(void)
{
	uint32_t base = sizeof(struct engine_frame) +
			properties->len * sizeof(struct engine_property);

	for (unsigned int i = 0; i < properties->len; i++) {
		struct engine_property *property =
			&g_array_index(properties, struct engine_property, i);

		if (property->flags & ENGINE_VALUE && property->value_length > 8)
			property->value += base;
	}
}

static void clear(void)
{
	if (!properties) {
		properties = g_array_new(false, false, sizeof(struct engine_property));
		values = g_byte_array_new();
	}
	g_array_set_size(properties, 0);
	g_byte_array_set_size(values, 0);
}

/*
 * Add the nodes of one field. The tree has only these nodes, so their depth is unknown: they get
 * level 0 if they are protocols, else 1.
 */
static void add_field(epan_dissect_t *edt, const header_field_info *field)
{
	const GPtrArray *found = proto_get_finfo_ptr_array(edt->tree, field->id);

	for (unsigned int i = 0; found && i < found->len; i++)
		add(g_ptr_array_index(found, i), edt->tvb, field->type != FT_PROTOCOL);
}

/* The fields that add_asked() looks for. */
static const struct fields *asked;

/* Add a node if it is a protocol of level 0, or one of the fields @asked. */
static void add_asked(const field_info *info, tvbuff_t *frame_buffer, unsigned int level)
{
	bool wanted = !level && info->hfinfo->type == FT_PROTOCOL;

	for (uint32_t i = 0; !wanted && i < asked->count; i++)
		wanted = asked->ids[i] == (uint32_t)info->hfinfo->id;
	if (wanted)
		add(info, frame_buffer, level);
}

/**
 * struct layers - the protocols of a frame
 * @number: number of the frame plus 1; 0: the entry has no frame
 * @count: number of @layers
 * @layers: in the order of the tree
 */
struct layers {
	uint32_t number;
	uint32_t count;
	struct engine_layer layers[256];
};

/*
 * The protocols of the last frames whose properties were sent. An expert that attaches properties
 * mostly asks for the protocols of the frame next: then it is not dissected a second time.
 */
static struct layers kept[ENGINE_BATCH];
static struct layers *current;

static void add_layer(const field_info *info, tvbuff_t *frame_buffer, unsigned int level)
{
	struct engine_layer *layer = &current->layers[current->count];
	uint32_t number;

	(void)level;
	if (info->hfinfo->type != FT_PROTOCOL || current->count == G_N_ELEMENTS(current->layers))
		return;
	number = protocol_number(info->hfinfo->id);
	if (number == ENGINE_NONE || !protocol_is_layer(number))
		return;
	layer->protocol = number;
	layer->offset = 0xffff;
	if (info->ds_tvb == frame_buffer && info->start >= 0 && info->start < 0xffff)
		layer->offset = info->start;
	current->count++;
}

static void keep_layers(uint32_t frame, epan_dissect_t *edt)
{
	current = &kept[frame % ENGINE_BATCH];
	current->number = frame + 1;
	current->count = 0;
	/* Unless the tree is TREE_ALL, libwireshark marks all nodes as hidden. */
	walk(edt->tree, add_layer, edt->tvb, true);
}

bool properties_of(uint32_t frame, const struct fields *fields, struct results *results)
{
	struct wanted wanted = { .fields = fields };
	uint32_t error = NMERR_SUCCESS;
	epan_dissect_t *edt;

	clear();
	if (!fields)
		wanted.tree = TREE_ALL;
	else
		wanted.tree = fields->asked ? TREE_ASKED : TREE_FIELD;
	if (wanted.tree == TREE_FIELD && !field_of(fields->ids[0]))
		return finish(results, frame, NMERR_SUCCESS, 0, NULL, 0);
	edt = dissect_begin(frame, &wanted, &error);
	if (edt) {
		asked = fields;
		if (wanted.tree == TREE_FIELD)
			add_field(edt, field_of(fields->ids[0]));
		else
			walk(edt->tree, fields ? add_asked : add, edt->tvb, fields);
		if (wanted.tree != TREE_FIELD)
			keep_layers(frame, edt);
		settle();
		dissect_end();
	}
	return finish(results, frame, error, properties->len, properties->data,
		      properties->len * sizeof(struct engine_property));
}

bool protocols_of(uint32_t frame, struct results *results)
{
	const struct wanted wanted = { .tree = TREE_PROTOCOLS };
	struct layers *layers = &kept[frame % ENGINE_BATCH];
	uint32_t error = NMERR_SUCCESS;
	epan_dissect_t *edt;

	clear();
	if (layers->number != frame + 1) {
		layers->count = 0;
		edt = dissect_begin(frame, &wanted, &error);
		if (edt) {
			keep_layers(frame, edt);
			dissect_end();
		}
	}
	/* Use them once: a second dissection may find protocols by later frames. */
	layers->number = 0;
	return finish(results, frame, error, layers->count, layers->layers,
		      layers->count * sizeof(*layers->layers));
}
