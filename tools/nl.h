/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Calls of the module by generic netlink. nl.c has the sockets and nl_message.c the attributes; the
 * other files use the structs below.
 *
 * Functions return 0 or a negative error number: the kernel's, which link_reason() may explain, or
 * -ENODEV if the module is not loaded. A link stays valid when the module is unloaded, and works
 * again after it is loaded.
 */
#ifndef NL_H
#define NL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/expertmem.h>

/**
 * struct expert - the attributes EXPERTMEM_A_EXPERT_* of an expert; sizes in bytes
 * @id: number of the expert
 * @name: the name that its host gave it, unchecked, or ""
 * @uid: the user who opened it
 * @opener: pid of the process that opened it; 0: not in our pid namespace
 * @pid: pid of the process that uses it; 0: none, or not in our pid namespace
 * @opened: time when it was opened, CLOCK_BOOTTIME in ns
 * @state: enum expertmem_state
 * @flags: EXPERTMEM_CONFIG_*
 * @regions: number of regions
 * @committed: bytes in regions
 * @resident: committed bytes that are in memory now
 * @peak: the most bytes that were committed and pinned at one time
 * @limit: the most bytes that may be committed and pinned; 0: no limit
 * @refused: number of calls refused for lack of memory
 * @pinned: bytes in pages that were freed or reclaimed and are still referenced
 * @cause: enum expertmem_cause; set once the expert is reclaimed, as the next four
 * @signal: the signal that killed its process, or 0
 * @reclaimed_bytes: bytes in regions when it was reclaimed
 * @reclaimed_resident: those of @reclaimed_bytes that were in memory
 * @reclaimed_regions: number of regions when it was reclaimed
 * @event: enum expertmem_event; set by link_next() only
 * @suppressed: totals.suppressed_events when the event was sent; set by link_next() only
 */
struct expert {
	uint64_t id;
	char name[32];
	uint32_t uid;
	uint32_t opener;
	uint32_t pid;
	uint64_t opened;
	uint32_t state;
	uint32_t flags;
	uint64_t regions, committed, resident, peak, limit, refused;
	uint64_t pinned;
	uint32_t cause;
	uint32_t signal;
	uint64_t reclaimed_bytes, reclaimed_resident, reclaimed_regions;
	uint32_t event;
	uint64_t suppressed;
};

/* A region; sizes in bytes. @room: size to which it can grow in place, or 0. */
struct region {
	uint64_t offset, size, room, resident;
};

/**
 * struct totals - the attributes EXPERTMEM_A_STATS_*; sizes in bytes
 * @experts: number of open experts, without reclaimed ones
 * @max_experts: the most open experts, without reclaimed ones; 0: no limit
 * @uid_max_experts: the most experts of one user, reclaimed ones included; 0: no limit
 * @total_limit: the most bytes of all experts; 0: no limit
 * @uid_limit: the most bytes of the experts of one user; 0: no limit
 * @default_limit: limit of an expert whose host sets none; 0: no limit
 * @opened: number of experts opened since the module was loaded
 * @regions: number of regions
 * @committed: bytes in regions
 * @pinned: bytes in pages that were freed or reclaimed and are still referenced
 * @resident: committed bytes that are in memory now
 * @refused: number of calls refused for lack of memory
 * @detached: number of experts reclaimed with the cause detach
 * @killed: those of @detached whose process was killed by a signal
 * @reclaimed: number of experts reclaimed by their host
 * @operated: number of experts reclaimed by an operator
 * @reclaimed_bytes: bytes in regions of these experts when they were reclaimed
 * @lost_events: number of events that the kernel could not send
 * @suppressed_events: number of events not sent because the user's experts caused too many
 */
struct totals {
	uint32_t experts;
	uint32_t max_experts;
	uint32_t uid_max_experts;
	uint64_t total_limit, uid_limit, default_limit;
	uint64_t opened, regions, committed, pinned, resident, refused;
	uint64_t detached, killed, reclaimed, operated;
	uint64_t reclaimed_bytes;
	uint64_t lost_events;
	uint64_t suppressed_events;
};

struct link;

int link_open(struct link **link);
void link_close(struct link *link);

/* Return the kernel's message about the last error, or NULL. */
const char *link_reason(const struct link *link);

/*
 * Read all experts that the caller may see, sorted by id. The caller frees @experts.
 *
 * An expert that is open during the whole call is in the array exactly once. If experts are opened
 * or closed meanwhile, the dump is repeated a few times. If the last dump was interrupted as
 * well, link_is_partial() returns true: experts that were opened or closed may be missing.
 */
int link_experts(struct link *link, struct expert **experts, size_t *count);
bool link_is_partial(const struct link *link);
int link_regions(struct link *link, uint64_t id, struct region **regions, size_t *count);
int link_expert(struct link *link, uint64_t id, struct expert *expert);
int link_totals(struct link *link, struct totals *totals);

int link_limit(struct link *link, uint64_t id, uint64_t limit);
int link_terminate(struct link *link, uint64_t id);
/*
 * Reclaim an expert. @freed->reclaimed_* receive what the request has reclaimed. A signal interrupts
 * the request, but not the reclaim in the kernel. The request is then repeated, and
 * @freed->reclaimed_* receive what the expert had when it was reclaimed.
 */
int link_reclaim(struct link *link, uint64_t id, struct expert *freed);

/* Subscribe to events, which link_next() then returns. -EPERM: the caller lacks CAP_NET_ADMIN. */
int link_subscribe(struct link *link);

enum link_next {
	NEXT_NONE,		/* the timeout is over, or a signal came */
	NEXT_EVENT,		/* @event is set */
	NEXT_LOST,		/* events were lost: no room in the socket's buffer, or no memory */
	NEXT_UNLOADED,		/* the module was unloaded */
	NEXT_LOADED,		/* the module was loaded */
};

/*
 * Wait for an event. @timeout: milliseconds; -1: no timeout. Return an enum link_next, or a negative
 * error number: -ENOTCONN if link_subscribe() was not called or failed.
 */
int link_next(struct link *link, int timeout, struct expert *event);

#endif /* NL_H */
