// SPDX-License-Identifier: GPL-2.0
#include "nl.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/genetlink.h>
#include <netlink/genl/ctrl.h>
#include <netlink/genl/genl.h>
#include <netlink/netlink.h>

#include "nl_message.h"

/* How often a dump is repeated that was interrupted by changes in the kernel. */
#define TRIES 8
/* Size of the receive buffer in bytes: about ten thousand events. */
#define EVENT_BUFFER (4 << 20)

/**
 * struct link - a connection to the module
 * @socket: for queries and their replies, or NULL
 * @events: for events, and for the controller's messages that the module was loaded or
 *	unloaded; NULL before link_subscribe()
 * @family: number of the module's netlink family; 0: not resolved yet
 * @done: the current or last query was answered to its end
 * @interrupted: the dump was interrupted by a change in the kernel
 * @error: result of the query, a negative error number or 0
 * @reason: the kernel's message about @error, or ""
 */
struct link {
	struct nl_sock *socket;
	struct nl_sock *events;
	int family;
	bool done, interrupted;
	int error;
	char reason[128];
};

/**
 * struct replies - a growing array of the items that a query returns
 * @fields: how a message is read into an item
 * @size: size of an item in bytes
 * @items: the array, allocated
 * @count: number of items
 * @room: number of items that the array has room for
 */
struct replies {
	const struct field *fields;
	size_t size;
	char *items;
	size_t count, room;
};

/**
 * struct query - a request
 * @command: EXPERTMEM_CMD_*
 * @flags: NLM_F_DUMP or 0
 * @id_attribute: the attribute for @id; 0: send no id
 * @id: number of an expert
 * @limit: the limit to set, or NULL
 * @replies: receives the items; NULL: only success is expected
 */
struct query {
	int command, flags;
	int id_attribute;
	uint64_t id;
	const uint64_t *limit;
	struct replies *replies;
};

/* --- libnl's callbacks for replies */

static int on_valid(struct nl_msg *message, void *arg)
{
	struct replies *replies = arg;
	void *item;

	if (replies->count == replies->room) {
		size_t room = replies->room ? replies->room * 2 : 16;
		char *items = reallocarray(replies->items, room, replies->size);

		if (!items)
			return -NLE_NOMEM;
		replies->items = items;
		replies->room = room;
	}
	item = replies->items + replies->count++ * replies->size;
	memset(item, 0, replies->size);
	read_message(item, replies->fields, message);
	return NL_OK;
}

static int on_done(struct nl_msg *message, void *arg)
{
	const struct nlmsghdr *header = nlmsg_hdr(message);
	struct link *link = arg;

	/* the last message of a dump has the error that ended it, or 0 */
	if (header->nlmsg_type == NLMSG_DONE && nlmsg_datalen(header) >= (int)sizeof(int))
		memcpy(&link->error, nlmsg_data(header), sizeof(int));
	link->done = true;
	return NL_OK;
}

static int on_interrupted(struct nl_msg *message, void *arg)
{
	(void)message;
	((struct link *)arg)->interrupted = true;
	return NL_OK;
}

/* The kernel's message is an attribute behind the copy of the request, or of its header. */
static int on_error(struct sockaddr_nl *from, struct nlmsgerr *error, void *arg)
{
	const struct nlmsghdr *header = (struct nlmsghdr *)((char *)error - NLMSG_HDRLEN);
	size_t skip = NLMSG_ALIGN(sizeof(*error));
	struct link *link = arg;
	struct nlattr *attr;
	int left;

	(void)from;
	link->error = error->error;
	link->done = true;
	if (!(header->nlmsg_flags & NLM_F_CAPPED))
		skip += NLMSG_ALIGN(error->msg.nlmsg_len - NLMSG_HDRLEN);
	left = (int)header->nlmsg_len - NLMSG_HDRLEN - (int)skip;
	if (!(header->nlmsg_flags & NLM_F_ACK_TLVS) || left <= 0)
		return NL_STOP;
	attr = nla_find((struct nlattr *)((char *)error + skip), left, NLMSGERR_ATTR_MSG);
	if (attr)
		nla_strlcpy(link->reason, attr, sizeof(link->reason));
	return NL_STOP;
}

static int ignore_sequence(struct nl_msg *message, void *arg)
{
	(void)message;
	(void)arg;
	return NL_OK;
}

/* --- queries */

/*
 * Resolving the family would make the kernel load the module. Check sysfs first, so that a command
 * that only reads does not load a module that an administrator has unloaded.
 */
static bool is_unloaded(void)
{
	return !access("/sys/module", F_OK) && access("/sys/module/expertmem", F_OK);
}

static int find_family(struct link *link)
{
	int one = 1;

	link->family = 0;
	if (is_unloaded())
		return -ENODEV;
	if (!link->socket) {
		link->socket = nl_socket_alloc();
		if (!link->socket)
			return -ENOMEM;
		if (genl_connect(link->socket)) {
			nl_socket_free(link->socket);
			link->socket = NULL;
			return errno ? -errno : -EIO;
		}
		setsockopt(nl_socket_get_fd(link->socket), SOL_NETLINK, NETLINK_EXT_ACK,
			   &one, sizeof(one));
	}
	link->family = genl_ctrl_resolve(link->socket, EXPERTMEM_FAMILY_NAME);
	if (link->family > 0)
		return 0;
	link->family = 0;
	return -ENODEV;
}

static int send_query(struct link *link, const struct query *query)
{
	struct nl_msg *message = nlmsg_alloc();
	int error = -NLE_NOMEM;

	if (message &&
	    genlmsg_put(message, NL_AUTO_PORT, NL_AUTO_SEQ, link->family, 0, query->flags,
			query->command, EXPERTMEM_FAMILY_VERSION) &&
	    (!query->id_attribute || !nla_put_u64(message, query->id_attribute, query->id)) &&
	    (!query->limit || !nla_put_u64(message, EXPERTMEM_A_EXPERT_LIMIT, *query->limit)))
		error = nl_send_auto(link->socket, message);
	nlmsg_free(message);
	return error;
}

static int exchange(struct link *link, const struct query *query)
{
	struct nl_cb *callbacks = nl_cb_alloc(NL_CB_DEFAULT);
	int error;

	if (!callbacks)
		return -ENOMEM;
	link->done = link->interrupted = false;
	link->error = 0;
	link->reason[0] = '\0';
	if (query->replies) {
		query->replies->count = 0;
		nl_cb_set(callbacks, NL_CB_VALID, NL_CB_CUSTOM, on_valid, query->replies);
	}
	nl_cb_set(callbacks, NL_CB_ACK, NL_CB_CUSTOM, on_done, link);
	nl_cb_set(callbacks, NL_CB_FINISH, NL_CB_CUSTOM, on_done, link);
	nl_cb_set(callbacks, NL_CB_DUMP_INTR, NL_CB_CUSTOM, on_interrupted, link);
	nl_cb_err(callbacks, NL_CB_CUSTOM, on_error, link);

	error = send_query(link, query);
	while (error >= 0 && !link->done)
		error = nl_recvmsgs(link->socket, callbacks);
	nl_cb_put(callbacks);
	if (link->done)
		return link->error;
	/* close the socket, so that a late reply is not taken for that of a later query */
	nl_socket_free(link->socket);
	link->socket = NULL;
	link->family = 0;
	return error == -NLE_NOMEM ? -ENOMEM : -EIO;
}

static int ask(struct link *link, const struct query *query)
{
	int error = 0;

	for (int i = 0; i < TRIES; i++) {
		int family = link->family;

		error = family ? 0 : find_family(link);
		if (!error)
			error = exchange(link, query);
		/* -ENOENT: no such expert, or the family has gone or has another number now */
		if (error == -ENOENT && family) {
			error = find_family(link);
			if (error || link->family == family)
				return error ? error : -ENOENT;
			continue;
		}
		if (error || !link->interrupted)
			return error;
	}
	return error;
}

/* Send a query that returns one item, and copy it to @item. */
static int ask_one(struct link *link, struct query *query, const struct field *fields,
		   void *item, size_t size)
{
	struct replies replies = { .fields = fields, .size = size };
	int error;

	/* cppcheck-suppress autoVariables; its only reader is ask() */
	query->replies = &replies;
	error = ask(link, query);
	if (!error && replies.count)
		memcpy(item, replies.items, size);
	else if (!error)
		error = -EIO;
	free(replies.items);
	/* NOLINTNEXTLINE(clang-analyzer-core.StackAddressEscape): @query is not used again */
	return error;
}

/* Send a query that returns an array. The caller frees *@items. */
static int ask_all(struct link *link, struct query *query, const struct field *fields,
		   void **items, size_t size, size_t *count)
{
	struct replies replies = { .fields = fields, .size = size };
	int error;

	query->flags = NLM_F_DUMP;
	/* cppcheck-suppress autoVariables; its only reader is ask() */
	query->replies = &replies;
	error = ask(link, query);
	if (error) {
		free(replies.items);
		replies = (struct replies){};
	}
	*items = replies.items;
	*count = replies.count;
	/* NOLINTNEXTLINE(clang-analyzer-core.StackAddressEscape): @query is not used again */
	return error;
}

int link_experts(struct link *link, struct expert **experts, size_t *count)
{
	struct query query = { .command = EXPERTMEM_CMD_EXPERT_GET };
	void *items;
	int error;

	error = ask_all(link, &query, expert_fields, &items, sizeof(**experts), count);
	*experts = items;
	return error;
}

bool link_is_partial(const struct link *link)
{
	return link->interrupted;
}

int link_regions(struct link *link, uint64_t id, struct region **regions, size_t *count)
{
	struct query query = {
		.command = EXPERTMEM_CMD_REGION_GET,
		.id_attribute = EXPERTMEM_A_REGION_ID,
		.id = id,
	};
	void *items;
	int error;

	error = ask_all(link, &query, region_fields, &items, sizeof(**regions), count);
	*regions = items;
	return error;
}

int link_totals(struct link *link, struct totals *totals)
{
	struct query query = { .command = EXPERTMEM_CMD_STATS_GET };

	return ask_one(link, &query, totals_fields, totals, sizeof(*totals));
}

static struct query about_expert(int command, uint64_t id)
{
	return (struct query){
		.command = command, .id_attribute = EXPERTMEM_A_EXPERT_ID, .id = id,
	};
}

int link_expert(struct link *link, uint64_t id, struct expert *expert)
{
	struct query query = about_expert(EXPERTMEM_CMD_EXPERT_GET, id);

	return ask_one(link, &query, expert_fields, expert, sizeof(*expert));
}

int link_limit(struct link *link, uint64_t id, uint64_t limit)
{
	struct query query = about_expert(EXPERTMEM_CMD_EXPERT_SET, id);

	query.limit = &limit;
	return ask(link, &query);
}

int link_terminate(struct link *link, uint64_t id)
{
	struct query query = about_expert(EXPERTMEM_CMD_TERMINATE, id);

	return ask(link, &query);
}

int link_reclaim(struct link *link, uint64_t id, struct expert *freed)
{
	struct query query = about_expert(EXPERTMEM_CMD_RECLAIM, id);
	bool again, repeated = false;
	int error;

	do {
		error = ask_one(link, &query, expert_fields, freed, sizeof(*freed));
		again = error == -EINTR || error == -EINPROGRESS;
		repeated |= again;
	} while (again);
	/* the interrupted request has reclaimed the memory, so the last one reported 0 bytes */
	if (!error && repeated)
		error = link_expert(link, id, freed);
	return error;
}

/* --- events */

/* Resolve the group on link->socket: on link->events the reply would mix with events. */
static int join(struct link *link, const char *family, const char *name)
{
	int group = genl_ctrl_resolve_grp(link->socket, family, name);

	if (group < 0)
		return -ENODEV;
	if (setsockopt(nl_socket_get_fd(link->events), SOL_NETLINK, NETLINK_ADD_MEMBERSHIP,
		       &group, sizeof(group)))
		return -errno;
	return 0;
}

static int join_events(struct link *link)
{
	int error = find_family(link);

	return error ? error : join(link, EXPERTMEM_FAMILY_NAME, EXPERTMEM_MCGRP_EVENTS);
}

static int subscribe(struct link *link)
{
	int size = EVENT_BUFFER, error;

	if (genl_connect(link->events))
		return -ENOMEM;
	/* SO_RCVBUFFORCE exceeds rmem_max, but needs CAP_NET_ADMIN; SO_RCVBUF is cut to rmem_max */
	if (setsockopt(nl_socket_get_fd(link->events), SOL_SOCKET, SO_RCVBUFFORCE, &size,
		       sizeof(size)))
		setsockopt(nl_socket_get_fd(link->events), SOL_SOCKET, SO_RCVBUF, &size,
			   sizeof(size));
	/* join the controller's group first, so that no loading of the module is missed */
	error = join(link, "nlctrl", "notify");
	return error ? error : join_events(link);
}

int link_subscribe(struct link *link)
{
	int error;

	link->events = nl_socket_alloc();
	error = link->events ? subscribe(link) : -ENOMEM;
	if (error) {
		nl_socket_free(link->events);
		link->events = NULL;
	}
	return error;
}

/* The result of receiving a message: link_next()'s return value and event. */
struct message {
	struct link *link;
	int next;
	struct expert *event;
};

static int on_event(struct nl_msg *message, void *arg)
{
	const struct genlmsghdr *header = genlmsg_hdr(nlmsg_hdr(message));
	struct message *got = arg;
	struct nlattr *name;

	if (nlmsg_hdr(message)->nlmsg_type != GENL_ID_CTRL) {
		if (header->cmd == EXPERTMEM_CMD_EVENT) {
			memset(got->event, 0, sizeof(*got->event));
			read_message(got->event, expert_fields, message);
			got->next = NEXT_EVENT;
		}
		return NL_OK;
	}
	name = nlmsg_find_attr(nlmsg_hdr(message), GENL_HDRLEN, CTRL_ATTR_FAMILY_NAME);
	if (!name || nla_strcmp(name, EXPERTMEM_FAMILY_NAME))
		return NL_OK;
	if (header->cmd == CTRL_CMD_DELFAMILY) {
		got->link->family = 0;
		got->next = NEXT_UNLOADED;
	} else if (header->cmd == CTRL_CMD_NEWFAMILY) {
		got->next = NEXT_LOADED;
	}
	return NL_OK;
}

static int receive(struct link *link, struct expert *event)
{
	struct message got = { .link = link, .next = NEXT_NONE, .event = event };
	struct nl_cb *callbacks = nl_cb_alloc(NL_CB_DEFAULT);
	int error;

	if (!callbacks)
		return -ENOMEM;
	nl_cb_set(callbacks, NL_CB_SEQ_CHECK, NL_CB_CUSTOM, ignore_sequence, NULL);
	nl_cb_set(callbacks, NL_CB_VALID, NL_CB_CUSTOM, on_event, &got);
	errno = 0;
	error = nl_recvmsgs(link->events, callbacks);
	nl_cb_put(callbacks);
	if (error < 0 && errno != ENOBUFS)
		return errno == EINTR || errno == EAGAIN ? NEXT_NONE : -EIO;
	if (error < 0)
		got.next = NEXT_LOST;
	/* the lost message may be that the module was loaded; joining twice is harmless */
	if (got.next == NEXT_LOADED || got.next == NEXT_LOST) {
		error = join_events(link);
		if (error && error != -ENODEV)
			return error;
	}
	return got.next;
}

int link_next(struct link *link, int timeout, struct expert *event)
{
	struct pollfd poll_fd = { .events = POLLIN };
	int ready;

	if (!link->events)
		return -ENOTCONN;
	poll_fd.fd = nl_socket_get_fd(link->events);
	ready = poll(&poll_fd, 1, timeout);
	if (ready < 0 && errno != EINTR)
		return -errno;
	return ready > 0 ? receive(link, event) : NEXT_NONE;
}

/* --- opening and closing */

int link_open(struct link **link)
{
	int error;

	*link = calloc(1, sizeof(**link));
	if (!*link)
		return -ENOMEM;
	error = find_family(*link);
	if (error) {
		link_close(*link);
		*link = NULL;
	}
	return error;
}

void link_close(struct link *link)
{
	if (!link)
		return;
	nl_socket_free(link->socket);
	nl_socket_free(link->events);
	free(link);
}

const char *link_reason(const struct link *link)
{
	return link && link->reason[0] ? link->reason : NULL;
}
