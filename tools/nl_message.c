// SPDX-License-Identifier: GPL-2.0
#include "nl_message.h"

#include <string.h>

#include <linux/genetlink.h>
#include <netlink/genl/genl.h>

#include "nl.h"

#define FIELD(set, name, type, member) \
	{ EXPERTMEM_A_##set##_##name, offsetof(struct type, member), \
	  sizeof(((struct type *)0)->member), false }

const struct field expert_fields[] = {
	FIELD(EXPERT, ID, expert, id),
	{ EXPERTMEM_A_EXPERT_NAME, offsetof(struct expert, name),
	  sizeof(((struct expert *)0)->name), true },
	FIELD(EXPERT, UID, expert, uid),
	FIELD(EXPERT, OPENER, expert, opener),
	FIELD(EXPERT, PID, expert, pid),
	FIELD(EXPERT, OPENED, expert, opened),
	FIELD(EXPERT, STATE, expert, state),
	FIELD(EXPERT, FLAGS, expert, flags),
	FIELD(EXPERT, REGIONS, expert, regions),
	FIELD(EXPERT, COMMITTED, expert, committed),
	FIELD(EXPERT, RESIDENT, expert, resident),
	FIELD(EXPERT, PEAK, expert, peak),
	FIELD(EXPERT, LIMIT, expert, limit),
	FIELD(EXPERT, REFUSED, expert, refused),
	FIELD(EXPERT, CAUSE, expert, cause),
	FIELD(EXPERT, SIGNAL, expert, signal),
	FIELD(EXPERT, RECLAIMED_BYTES, expert, reclaimed_bytes),
	FIELD(EXPERT, RECLAIMED_RESIDENT, expert, reclaimed_resident),
	FIELD(EXPERT, RECLAIMED_REGIONS, expert, reclaimed_regions),
	FIELD(EXPERT, EVENT, expert, event),
	FIELD(EXPERT, PINNED, expert, pinned),
	FIELD(EXPERT, SUPPRESSED, expert, suppressed),
	{}
};

const struct field region_fields[] = {
	FIELD(REGION, OFFSET, region, offset),
	FIELD(REGION, SIZE, region, size),
	FIELD(REGION, ROOM, region, room),
	FIELD(REGION, RESIDENT, region, resident),
	{}
};

const struct field totals_fields[] = {
	FIELD(STATS, EXPERTS, totals, experts),
	FIELD(STATS, MAX_EXPERTS, totals, max_experts),
	FIELD(STATS, OPENED, totals, opened),
	FIELD(STATS, REGIONS, totals, regions),
	FIELD(STATS, COMMITTED, totals, committed),
	FIELD(STATS, RESIDENT, totals, resident),
	FIELD(STATS, TOTAL_LIMIT, totals, total_limit),
	FIELD(STATS, DEFAULT_LIMIT, totals, default_limit),
	FIELD(STATS, REFUSED, totals, refused),
	FIELD(STATS, DETACHED, totals, detached),
	FIELD(STATS, KILLED, totals, killed),
	FIELD(STATS, RECLAIMED, totals, reclaimed),
	FIELD(STATS, OPERATOR, totals, operated),
	FIELD(STATS, RECLAIMED_BYTES, totals, reclaimed_bytes),
	FIELD(STATS, LOST_EVENTS, totals, lost_events),
	FIELD(STATS, PINNED, totals, pinned),
	FIELD(STATS, UID_LIMIT, totals, uid_limit),
	FIELD(STATS, UID_MAX_EXPERTS, totals, uid_max_experts),
	FIELD(STATS, SUPPRESSED_EVENTS, totals, suppressed_events),
	{}
};

void read_message(void *item, const struct field *fields, struct nl_msg *message)
{
	struct nlattr *attrs[EXPERTMEM_A_EXPERT_MAX + 1] = {};

	_Static_assert((int)EXPERTMEM_A_REGION_MAX <= EXPERTMEM_A_EXPERT_MAX &&
		       (int)EXPERTMEM_A_STATS_MAX <= EXPERTMEM_A_EXPERT_MAX,
		       "@attrs has room for the attributes of each set");
	genlmsg_parse(nlmsg_hdr(message), 0, attrs, EXPERTMEM_A_EXPERT_MAX, NULL);
	for (; fields->size; fields++) {
		const struct nlattr *attr = attrs[fields->attribute];
		char *member = (char *)item + fields->offset;

		if (attr && fields->is_text)
			nla_strlcpy(member, attr, fields->size);
		else if (attr && (size_t)nla_len(attr) == fields->size)
			memcpy(member, nla_data(attr), fields->size);
	}
}
