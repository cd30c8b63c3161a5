/* SPDX-License-Identifier: GPL-2.0 */
/* Read the attributes of the module's netlink messages into the structs of nl.h. */
#ifndef NL_MESSAGE_H
#define NL_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>

struct nl_msg;

/**
 * struct field - the member of a struct that an attribute sets
 * @attribute: EXPERTMEM_A_*
 * @offset: offset of the member in the struct
 * @size: size of the member in bytes; 0 ends a table
 * @is_text: the member is a string
 */
struct field {
	int attribute;
	size_t offset, size;
	bool is_text;
};

extern const struct field expert_fields[], region_fields[], totals_fields[];

/* Set the members of @item whose attributes are in the message; leave the others. */
void read_message(void *item, const struct field *fields, struct nl_msg *message);

#endif /* NL_MESSAGE_H */
