/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files of expertmem-engine-wireshark share:
 *
 *   wireshark.c	start libwireshark; display filters; the table of operations
 *   dissect.c		frames: first pass, dissection
 *   properties.c	the tree of a dissected frame as properties and layers
 *   describe.c		protocols and fields by name and by number
 *   form.c		types of fields
 *   labels.c		names of a field's values
 *   names.c		Network Monitor's names
 *
 * Numbers of fields are Wireshark's (header field index). Numbers of protocols are places in
 * describe.c's table, because Wireshark's numbers of protocols do not fit in 16 bits.
 */
#ifndef ENGINE_WS_H
#define ENGINE_WS_H

#include "engine.h"
#include "ws_compat.h"

/* dissect.c */

void dissect_init(void);
void dissect_loaded(const struct frames *frames);
uint64_t dissect_count(void);

/* Which nodes of a frame's tree are needed. Fewer nodes make the dissection faster. */
enum tree {
	TREE_ALL,		/* each node, with its text */
	TREE_PROTOCOLS,		/* only protocols */
	TREE_FIELD,		/* only the one field of @fields */
	TREE_ASKED,		/* protocols, and the fields @fields */
	TREE_FILTER		/* what the filter @filter looks at */
};

struct wanted {
	enum tree tree;
	const struct fields *fields;
	const dfilter_t *filter;
};

/*
 * Dissect the frames before @frame that were not yet dissected, without a tree, and then @frame.
 * NULL: the frame cannot be dissected; *@error is an NMERR_ code. The tree stays valid until
 * dissect_end(), which the caller calls before the next dissect_begin().
 */
epan_dissect_t *dissect_begin(uint32_t frame, const struct wanted *wanted, uint32_t *error);
void dissect_end(void);

/* The bytes of the frame that is being dissected. */
const uint8_t *dissect_bytes(uint32_t *length);

/* properties.c */

bool properties_of(uint32_t frame, const struct fields *fields, struct results *results);
bool protocols_of(uint32_t frame, struct results *results);

/* describe.c */

void describe_init(void);
uint32_t describe_protocol(const char *text, uint32_t id, struct results *results);
uint32_t describe_field(const char *text, uint32_t id, struct results *results);
uint32_t describe_fields(uint32_t protocol, uint32_t first, uint32_t *count,
			 struct results *results);

/*
 * The number of the protocol with Wireshark's number @id; ENGINE_NONE: it is only part of a
 * protocol.
 */
uint32_t protocol_number(int id);
/* Do tables of protocols contain this one? They lack Wireshark's own notes, such as `frame`. */
bool protocol_is_layer(uint32_t number);
/* The description of a field; NULL: there is none of that number. */
header_field_info *field_of(uint32_t id);

/* form.c */

/* The form that a field has in Netmon.h. */
struct form {
	uint8_t type;		/* PROP_TYPE_* */
	uint8_t width;		/* bytes of an integer, else 0 */
	uint8_t flags;		/* ENGINE_FIELD_* */
};

struct form field_form(const header_field_info *field);

/* labels.c */

/* PROP_QUAL_LABELED_SET, PROP_QUAL_FLAGS, or PROP_QUAL_NONE if the field's values have no names. */
uint8_t labels_qualifier(const header_field_info *field);
/*
 * Append a struct engine_label for each name; adds their number to *@count. False: no room for all.
 */
bool labels_add(const header_field_info *field, struct results *results, uint32_t *count);

#endif /* ENGINE_WS_H */
