/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the kernel knows of experts, by its netlink family. All else of the command speaks
 * in these structs; nl.c alone knows of sockets, and nl_message.c of attributes.
 *
 * Functions return 0 or a negative error number: that of the kernel, whose words for it
 * link_reason() has, or -ENODEV where the module is not loaded. A link outlives the
 * module: once it is loaded again, the next call finds it.
 */
#ifndef NL_H
#define NL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/expertmem.h>

/* Sizes in bytes; what EXPERTMEM_A_EXPERT_* in the header says of each. */
struct expert {
	uint64_t id;
	char name[32];		/* as its host wrote it, or "" */
	uint32_t uid;
	uint32_t opener;	/* 0: a process that we do not see */
	uint32_t pid;		/* 0: the same, or none */
	uint64_t opened;	/* ns of CLOCK_BOOTTIME */
	uint32_t state;		/* enum expertmem_state */
	uint32_t flags;
	uint64_t regions, committed, resident, peak, limit, refused;
	uint64_t pinned;	/* of freed pages that a pipe, socket or device still holds */
	/* once it was reclaimed */
	uint32_t cause;		/* enum expertmem_cause */
	uint32_t signal;	/* 0: none */
	uint64_t reclaimed_bytes, reclaimed_resident, reclaimed_regions;
	/* from link_next() only */
	uint32_t event;		/* enum expertmem_event */
	uint64_t suppressed;	/* totals.suppressed_events when the event was sent */
};

struct region {
	uint64_t offset, size, room, resident;
};

/* Of all experts, and since the module was loaded. */
struct totals {
	uint32_t experts;	/* open, without reclaimed ones */
	uint32_t max_experts;	/* 0: any number */
	uint32_t uid_max_experts;	/* of one user, with reclaimed ones; 0: any number */
	/* limits: 0 for none; uid_limit: of all experts of one user together */
	uint64_t total_limit, uid_limit, default_limit;
	uint64_t opened, regions, committed, pinned, resident, refused;
	uint64_t detached, killed, reclaimed, operated;
	uint64_t reclaimed_bytes;
	uint64_t lost_events;		/* could not be sent */
	uint64_t suppressed_events;	/* not sent: their user had caused too many */
};

struct link;

int link_open(struct link **link);
void link_close(struct link *link);

/* What the kernel said to the last error, or NULL. */
const char *link_reason(const struct link *link);

/*
 * All that the caller may read, by id. The caller frees @experts.
 *
 * An expert that is there from beginning to end is in it once. Where others came or went
 * meanwhile the kernel is asked anew, but not for ever: link_is_partial() tells that the last
 * answer was so, too, and some of those may be missing.
 */
int link_experts(struct link *link, struct expert **experts, size_t *count);
bool link_is_partial(const struct link *link);
int link_regions(struct link *link, uint64_t id, struct region **regions, size_t *count);
int link_expert(struct link *link, uint64_t id, struct expert *expert);
int link_totals(struct link *link, struct totals *totals);

int link_limit(struct link *link, uint64_t id, uint64_t limit);
int link_terminate(struct link *link, uint64_t id);
/*
 * @freed: freed_* are set: what this request has freed. After a signal the request is repeated,
 * for the kernel goes on with a reclaim that it has begun; freed_* are then what the expert had
 * when it was reclaimed.
 */
int link_reclaim(struct link *link, uint64_t id, struct expert *freed);

/* From now on, events wait for link_next(). -EPERM: they are not for the caller. */
int link_subscribe(struct link *link);

enum link_next {
	NEXT_NONE,		/* until the time was up, or a signal came */
	NEXT_EVENT,		/* @event is filled in */
	NEXT_LOST,		/* there were more than the socket could hold */
	NEXT_UNLOADED,
	NEXT_LOADED,
};

/*
 * @timeout: milliseconds, -1 for none. Return an enum link_next, or a negative error: -ENOTCONN
 * without link_subscribe().
 */
int link_next(struct link *link, int timeout, struct expert *event);

#endif /* NL_H */
