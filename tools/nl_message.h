/* SPDX-License-Identifier: GPL-2.0 */
/* What the module's netlink messages say, read into the structs of nl.h. */
#ifndef NL_MESSAGE_H
#define NL_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>

struct nl_msg;

/* Where an attribute goes. */
struct field {
	int attribute;
	size_t offset, size;	/* no size: behind the last */
	bool is_text;
};

extern const struct field expert_fields[], region_fields[], totals_fields[];

/* Of @item, what the message says is filled in. */
void read_message(void *item, const struct field *fields, struct nl_msg *message);

#endif /* NL_MESSAGE_H */
