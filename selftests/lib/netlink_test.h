/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Raw generic netlink for the tests of the module: messages as they are on the socket,
 * so that a test can also send what no library would.
 */
#ifndef EXPERTMEM_NETLINK_TEST_H
#define EXPERTMEM_NETLINK_TEST_H

#include <poll.h>
#include <sys/socket.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>

#include "expertmem_test.h"

#define NL_ATTRS	32

/* attribute types of the three sets, shorter */
#define E(name)		EXPERTMEM_A_EXPERT_##name
#define R(name)		EXPERTMEM_A_REGION_##name
#define S(name)		EXPERTMEM_A_STATS_##name

/**
 * struct nl - a socket
 * @fd: it
 * @seq: of the last request
 * @family: the number of ours
 * @group: the number of the group of events
 * @interrupted: a message of the last dump said so
 * @bad: offset in the request that the last error points at; -1: none
 * @missing: type that the last error says is missing; 0: none
 * @said: the last error in words
 */
struct nl {
	int fd;
	__u32 seq;
	__u16 family;
	__u32 group;
	bool interrupted;
	int bad;
	__u32 missing;
	char said[128];
};

/* A request; room for what is wrong with it, too. */
struct request {
	struct nlmsghdr header;
	struct genlmsghdr genl;
	unsigned char attrs[256];
};

/**
 * struct told - a message from the module, or several in one
 * @cmd: EXPERTMEM_CMD_*
 * @has: a bit for each type that was there
 * @value: by type, of those that are numbers
 * @size: by type, of the payload
 * @name: the string
 */
struct told {
	__u8 cmd;
	__u32 has;
	__u64 value[NL_ATTRS];
	__u16 size[NL_ATTRS];
	char name[64];
};

static inline bool told(const struct told *t, int type)
{
	return t->has & 1U << type;
}

static inline struct request request(const struct nl *nl, __u8 cmd, __u16 flags)
{
	return (struct request) {
		.header = {
			.nlmsg_len = NLMSG_LENGTH(GENL_HDRLEN),
			.nlmsg_type = nl->family,
			.nlmsg_flags = NLM_F_REQUEST | flags,
		},
		.genl = { .cmd = cmd, .version = EXPERTMEM_FAMILY_VERSION },
	};
}

static inline void put(struct request *req, int type, const void *data, size_t size)
{
	const struct nlattr attr = { .nla_type = type, .nla_len = NLA_HDRLEN + size };
	char *end = (char *)req + req->header.nlmsg_len;

	memcpy(end, &attr, sizeof(attr));
	memcpy(end + NLA_HDRLEN, data, size);
	req->header.nlmsg_len += NLA_ALIGN(attr.nla_len);
}

static inline void put_u64(struct request *req, int type, __u64 value)
{
	put(req, type, &value, sizeof(value));
}

static inline void parse(const struct nlmsghdr *header, struct told *t)
{
	const struct genlmsghdr *genl = NLMSG_DATA(header);
	const char *at = (const char *)genl + GENL_HDRLEN;
	const char *end = (const char *)header + header->nlmsg_len;

	memset(t, 0, sizeof(*t));
	t->cmd = genl->cmd;
	while (end - at >= NLA_HDRLEN) {
		const struct nlattr *attr = (const void *)at;
		int type = attr->nla_type & NLA_TYPE_MASK;
		int size = attr->nla_len - NLA_HDRLEN;

		if (type < NL_ATTRS) {
			t->has |= 1U << type;
			t->size[type] = size;
			if (size <= 8)
				memcpy(&t->value[type], attr + 1, size);
			if (type == E(NAME) && size < (int)sizeof(t->name))
				memcpy(t->name, attr + 1, size);
		}
		at += NLA_ALIGN(attr->nla_len);
	}
}

/* What the extended ack of an error says, behind what it quotes of the request. */
static inline void parse_error(struct nl *nl, const struct nlmsghdr *header)
{
	const struct nlmsgerr *error = NLMSG_DATA(header);
	const char *at = (const char *)(error + 1);
	const char *end = (const char *)header + header->nlmsg_len;

	if (!(header->nlmsg_flags & NLM_F_ACK_TLVS))
		return;
	if (!(header->nlmsg_flags & NLM_F_CAPPED))
		at += NLMSG_ALIGN(error->msg.nlmsg_len) - sizeof(error->msg);
	while (end - at >= NLA_HDRLEN) {
		const struct nlattr *attr = (const void *)at;

		switch (attr->nla_type & NLA_TYPE_MASK) {
		case NLMSGERR_ATTR_MSG:
			snprintf(nl->said, sizeof(nl->said), "%s", (char *)(attr + 1));
			break;
		case NLMSGERR_ATTR_OFFS:
			nl->bad = *(const __u32 *)(attr + 1);
			break;
		case NLMSGERR_ATTR_MISS_TYPE:
			nl->missing = *(const __u32 *)(attr + 1);
			break;
		}
		at += NLA_ALIGN(attr->nla_len);
	}
}

static inline int nl_send(struct nl *nl, struct request *req)
{
	req->header.nlmsg_seq = ++nl->seq;
	nl->interrupted = false;
	nl->bad = -1;
	nl->missing = 0;
	nl->said[0] = '\0';
	return send(nl->fd, req, req->header.nlmsg_len, 0) < 0 ? -errno : 0;
}

typedef void (*told_fn)(const struct told *t, void *arg);

/* Receive until the ack, the error or the end of the dump; tell @fn each message. */
static inline int nl_receive(struct nl *nl, told_fn fn, void *arg)
{
	static __thread struct nlmsghdr buffer[64 * KIB / NLMSG_HDRLEN];
	const struct nlmsghdr *header;
	struct told t;
	ssize_t len;
	int err;

	for (;;) {
		len = recv(nl->fd, buffer, sizeof(buffer), 0);
		if (len < 0)
			return -errno;
		for (header = buffer; NLMSG_OK(header, len);
		     header = NLMSG_NEXT(header, len)) {
			if (header->nlmsg_seq != nl->seq)
				continue;
			if (header->nlmsg_flags & NLM_F_DUMP_INTR)
				nl->interrupted = true;
			switch (header->nlmsg_type) {
			case NLMSG_ERROR:
				parse_error(nl, header);
				return ((struct nlmsgerr *)NLMSG_DATA(header))->error;
			case NLMSG_DONE:
				err = *(int *)NLMSG_DATA(header);
				return err;
			default:
				parse(header, &t);
				fn(&t, arg);
			}
		}
	}
}

static inline void keep_one(const struct told *t, void *arg)
{
	*(struct told *)arg = *t;
}

/* nl_talk() - send a request that is not a dump, get the reply if there is one */
static inline int nl_talk(struct nl *nl, struct request *req, struct told *t)
{
	struct told none;
	int err;

	memset(t ? t : &none, 0, sizeof(none));
	req->header.nlmsg_flags |= NLM_F_ACK;
	err = nl_send(nl, req);
	return err ? err : nl_receive(nl, keep_one, t ? t : &none);
}

/* nl_do() - the same for a request with nothing but an id */
static inline int nl_do(struct nl *nl, __u8 cmd, __u64 id, struct told *t)
{
	struct request req = request(nl, cmd, 0);

	put_u64(&req, E(ID), id);
	return nl_talk(nl, &req, t);
}

static inline int nl_set(struct nl *nl, __u64 id, __u64 limit)
{
	struct request req = request(nl, EXPERTMEM_CMD_EXPERT_SET, 0);

	put_u64(&req, E(ID), id);
	put_u64(&req, E(LIMIT), limit);
	return nl_talk(nl, &req, NULL);
}

/* A stats that failed has no attributes, which no test expects. */
static inline struct told nl_stats(struct nl *nl)
{
	struct request req = request(nl, EXPERTMEM_CMD_STATS_GET, 0);
	struct told t;

	nl_talk(nl, &req, &t);
	return t;
}

/* nl_dump() - all experts; or the regions of one, where @id is not 0 */
static inline int nl_dump(struct nl *nl, __u64 id, told_fn fn, void *arg)
{
	__u8 cmd = id ? EXPERTMEM_CMD_REGION_GET : EXPERTMEM_CMD_EXPERT_GET;
	struct request req = request(nl, cmd, NLM_F_DUMP);
	int err;

	if (id)
		put_u64(&req, R(ID), id);
	err = nl_send(nl, &req);
	return err ? err : nl_receive(nl, fn, arg);
}

/* The numbers of the family and its group, as the controller tells them. */
static inline int nl_resolve(struct nl *nl)
{
	struct request req = request(nl, CTRL_CMD_GETFAMILY, 0);
	static const char name[] = EXPERTMEM_FAMILY_NAME;
	struct nlmsghdr buffer[8 * KIB / NLMSG_HDRLEN];
	const char *at, *end;
	ssize_t len;

	req.header.nlmsg_type = GENL_ID_CTRL;
	put(&req, CTRL_ATTR_FAMILY_NAME, name, sizeof(name));
	if (nl_send(nl, &req))
		return -EIO;
	len = recv(nl->fd, buffer, sizeof(buffer), 0);
	if (len < (ssize_t)NLMSG_LENGTH(GENL_HDRLEN))
		return -EIO;
	if (buffer->nlmsg_type == NLMSG_ERROR)
		return ((struct nlmsgerr *)NLMSG_DATA(buffer))->error;
	at = (char *)NLMSG_DATA(buffer) + GENL_HDRLEN;
	end = (char *)buffer + len;
	while (end - at >= NLA_HDRLEN) {
		const struct nlattr *attr = (const void *)at;
		const struct nlattr *inner;

		switch (attr->nla_type & NLA_TYPE_MASK) {
		case CTRL_ATTR_FAMILY_ID:
			nl->family = *(const __u16 *)(attr + 1);
			break;
		case CTRL_ATTR_MCAST_GROUPS:
			/* the only group: its attributes, in any order */
			inner = attr + 2;
			while ((const char *)inner < at + attr->nla_len) {
				if (inner->nla_type == CTRL_ATTR_MCAST_GRP_ID)
					nl->group = *(const __u32 *)(inner + 1);
				inner = (const void *)((const char *)inner +
						       NLA_ALIGN(inner->nla_len));
			}
			break;
		}
		at += NLA_ALIGN(attr->nla_len);
	}
	return nl->family && nl->group ? 0 : -EIO;
}

static inline int nl_open(struct nl *nl)
{
	struct timeval patience = { .tv_sec = 60 };	/* a kernel that never answers */
	int on = 1;

	*nl = (struct nl) { .fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC,
					 NETLINK_GENERIC) };
	if (nl->fd < 0)
		return -errno;
	setsockopt(nl->fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
	setsockopt(nl->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	return nl_resolve(nl);
}

/* nl_join() - hear events from now on */
static inline int nl_join(struct nl *nl)
{
	return result(setsockopt(nl->fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &nl->group,
				 sizeof(nl->group)));
}

/* nl_event() - the next event that is there already; -EAGAIN: none is, and nothing is told */
static inline int nl_event(struct nl *nl, struct told *t)
{
	struct nlmsghdr buffer[4 * KIB / NLMSG_HDRLEN];
	ssize_t len = recv(nl->fd, buffer, sizeof(buffer), MSG_DONTWAIT);

	memset(t, 0, sizeof(*t));
	if (len < 0)
		return -errno;
	parse(buffer, t);
	return t->cmd == EXPERTMEM_CMD_EVENT ? (int)t->value[E(EVENT)] : -EIO;
}

#endif /* EXPERTMEM_NETLINK_TEST_H */
