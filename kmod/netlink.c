// SPDX-License-Identifier: GPL-2.0
/*
 * Generic netlink: requests of operators and owners, and dumps.
 *
 * A request holds a reference to its expert, not to the device file. The expert may be released
 * meanwhile; the request then fails with ENOENT. Requests run in parallel. Between two messages, a
 * dump keeps only the id or the offset at which it goes on, and whether its sender is an operator.
 */
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/fs.h>
#include <linux/pid_namespace.h>
#include <linux/sched/signal.h>
#include <net/genetlink.h>
#include <net/sock.h>

#include "compat.h"
#include "expertmem.h"
#include "netlink.h"

static struct genl_family family;

static struct expertmem_reader this_reader(void)
{
	return (struct expertmem_reader) {
		.users	= current_user_ns(),
		.pids	= task_active_pid_ns(current),
	};
}

/* --------------------------------------------------------------------- rights */

/*
 * All processes that take part in a request must be the owner of the expert or an operator
 * (CAP_NET_ADMIN):
 *
 *	The opener of the socket. Otherwise a user could hand a socket to a privileged program that
 *	writes to it what the user wants.
 *	The sender of the request.
 *	The reader of a dump, because the dump goes on when somebody reads.
 *
 * The capability is checked only if the process is not the owner: file_ns_capable() writes every
 * failure to the audit log.
 */
static bool opener_is_operator(const struct sk_buff *request)
{
	return file_ns_capable(NETLINK_CB(request).sk->sk_socket->file, &init_user_ns,
			       CAP_NET_ADMIN);
}

static bool opener_may(const struct sk_buff *request, const struct expertmem_expert *expert)
{
	return uid_eq(NETLINK_CB(request).sk->sk_socket->file->f_cred->uid, expert->uid) ||
	       opener_is_operator(request);
}

static bool current_is_operator(void)
{
	return ns_capable_noaudit(&init_user_ns, CAP_NET_ADMIN);
}

static bool sender_may(const struct sk_buff *request, const struct expertmem_expert *expert)
{
	return uid_eq(NETLINK_CB(request).creds.uid, expert->uid) || current_is_operator();
}

static bool is_operator(const struct sk_buff *request)
{
	return current_is_operator() && opener_is_operator(request);
}

/* ------------------------------------------------------------------- requests */

/* Find the expert that a request is about, with a reference; an ERR_PTR() if it may not be had. */
static struct expertmem_expert *expert_of(struct sk_buff *request, struct nlattr *id,
					  struct netlink_ext_ack *extack)
{
	struct expertmem_expert *expert = expertmem_find(nla_get_u64(id));

	if (!expert) {
		NL_SET_ERR_MSG_ATTR(extack, id, "no such expert");
		return ERR_PTR(-ENOENT);
	}
	if (!sender_may(request, expert) || !opener_may(request, expert)) {
		expertmem_put(expert);
		NL_SET_ERR_MSG_ATTR(extack, id, "the expert was opened by someone else");
		return ERR_PTR(-EPERM);
	}
	return expert;
}

static struct expertmem_expert *get_requested_expert(struct sk_buff *request,
						     struct genl_info *info)
{
	if (GENL_REQ_ATTR_CHECK(info, EXPERTMEM_A_EXPERT_ID))
		return ERR_PTR(-EINVAL);
	return expert_of(request, info->attrs[EXPERTMEM_A_EXPERT_ID], info->extack);
}

/* Send the reply to a request, or free it and return @err if making it has failed. */
static int reply(struct sk_buff *skb, void *header, struct genl_info *info, int err)
{
	if (err) {
		nlmsg_free(skb);
		return err;
	}
	genlmsg_end(skb, header);
	return genlmsg_reply(skb, info);
}

static struct sk_buff *new_reply(struct genl_info *info, void **header)
{
	struct sk_buff *skb = genlmsg_new(expertmem_msg_size(), GFP_KERNEL);

	if (skb)
		*header = genlmsg_put_reply(skb, info, &family, 0, info->genlhdr->cmd);
	return skb;
}

static int expert_get(struct sk_buff *request, struct genl_info *info)
{
	struct expertmem_reader names = this_reader();
	struct expertmem_expert *expert;
	struct sk_buff *skb;
	void *header;
	int err;

	expert = get_requested_expert(request, info);
	if (IS_ERR(expert))
		return PTR_ERR(expert);
	skb = new_reply(info, &header);
	if (!skb) {
		expertmem_put(expert);
		return -ENOMEM;
	}
	expertmem_pins_check(expert);
	err = mutex_lock_killable(&expert->lock);
	if (!err) {
		err = expert->released ? -ENOENT :
					 expertmem_msg_put_expert(skb, expert, &names);
		mutex_unlock(&expert->lock);
	}
	expertmem_put(expert);
	return reply(skb, header, info, err);
}

static int expert_set(struct sk_buff *request, struct genl_info *info)
{
	struct expertmem_expert *expert;
	int err;

	if (GENL_REQ_ATTR_CHECK(info, EXPERTMEM_A_EXPERT_LIMIT))
		return -EINVAL;
	expert = get_requested_expert(request, info);
	if (IS_ERR(expert))
		return PTR_ERR(expert);
	err = expertmem_set_limit(expert,
				  nla_get_u64(info->attrs[EXPERTMEM_A_EXPERT_LIMIT]),
				  is_operator(request));
	if (err == -EPERM)
		NL_SET_ERR_MSG_ATTR(info->extack, info->attrs[EXPERTMEM_A_EXPERT_LIMIT],
				    "raising a limit needs CAP_NET_ADMIN");
	expertmem_put(expert);
	return err;
}

static int terminate(struct sk_buff *request, struct genl_info *info)
{
	struct expertmem_expert *expert;
	int err;

	expert = get_requested_expert(request, info);
	if (IS_ERR(expert))
		return PTR_ERR(expert);
	err = expertmem_terminate(expert);
	expertmem_put(expert);
	return err;
}

static int reclaim(struct sk_buff *request, struct genl_info *info)
{
	struct expertmem_reclaim freed;
	struct expertmem_expert *expert;
	struct sk_buff *skb;
	void *header;
	int err;

	expert = get_requested_expert(request, info);
	if (IS_ERR(expert))
		return PTR_ERR(expert);
	/* allocate the reply first: a reclaim that was done must not end in ENOMEM */
	skb = new_reply(info, &header);
	if (!skb) {
		expertmem_put(expert);
		return -ENOMEM;
	}
	err = expertmem_reclaim_for_request(expert, EXPERTMEM_CAUSE_OPERATOR, &freed) ?:
	      expertmem_msg_put_freed(skb, expert->id, &freed);
	expertmem_put(expert);
	/* netlink_rcv_skb() sends no ack after -EINTR: it takes that for "already acknowledged" */
	if (err == -EINTR)
		netlink_ack(request, nlmsg_hdr(request), err, info->extack);
	return reply(skb, header, info, err);
}

static int stats_get(struct sk_buff *request, struct genl_info *info)
{
	struct sk_buff *skb;
	void *header;

	skb = new_reply(info, &header);
	if (!skb)
		return -ENOMEM;
	return reply(skb, header, info, expertmem_msg_put_stats(skb));
}

/* ---------------------------------------------------------------------- dumps */

/* Begin a message of a dump; NULL if it does not fit into @skb and belongs into the next one. */
static void *dump_begin(struct sk_buff *skb, struct netlink_callback *cb, u8 cmd)
{
	void *header = genlmsg_put(skb, NETLINK_CB(cb->skb).portid, cb->nlh->nlmsg_seq,
				   &family, NLM_F_MULTI, cmd);

	if (header)
		genl_dump_check_consistent(cb, header);
	return header;
}

static int dump_end(struct sk_buff *skb, void *header, int err)
{
	if (err)
		genlmsg_cancel(skb, header);
	else
		genlmsg_end(skb, header);
	return err;
}

/*
 * The elements of cb->args, which a dump keeps from one message to the next: the id or offset at
 * which it goes on, and whether its sender is an operator.
 */
enum { ARG_NEXT, ARG_OPERATOR };

static void start_dump(struct netlink_callback *cb)
{
	cb->args[ARG_OPERATOR] = current_is_operator();
}

/* May a dump show @expert? Sender, reader and the opener of the socket must have the right. */
static bool may_dump(const struct netlink_callback *cb, const struct expertmem_expert *expert,
		     bool reader_is_operator)
{
	return (reader_is_operator || uid_eq(current_uid(), expert->uid)) &&
	       (cb->args[ARG_OPERATOR] ||
		uid_eq(NETLINK_CB(cb->skb).creds.uid, expert->uid)) &&
	       opener_may(cb->skb, expert);
}

static int expert_get_start(struct netlink_callback *cb)
{
	struct nlattr *id = compat_dump_attrs(cb)[EXPERTMEM_A_EXPERT_ID];

	if (!id) {
		start_dump(cb);
		return 0;
	}
	NL_SET_ERR_MSG_ATTR(cb->extack, id, "a dump of experts takes no ID");
	return -EINVAL;
}

static int dump_expert(struct sk_buff *skb, struct netlink_callback *cb,
		       struct expertmem_expert *expert)
{
	struct expertmem_reader names = this_reader();
	void *header;
	int err = 0;

	header = dump_begin(skb, cb, EXPERTMEM_CMD_EXPERT_GET);
	if (!header)
		return -EMSGSIZE;
	err = mutex_lock_killable(&expert->lock);
	if (!err) {
		err = expertmem_msg_put_expert(skb, expert, &names);
		mutex_unlock(&expert->lock);
	}
	return dump_end(skb, header, err);
}

static int expert_get_dump(struct sk_buff *skb, struct netlink_callback *cb)
{
	bool operator = current_is_operator();
	unsigned long id = cb->args[ARG_NEXT];
	struct expertmem_expert *expert;
	int err = 0;

	cb->seq = expertmem_generation();
	for (; (expert = expertmem_next(&id)); id++) {
		if (may_dump(cb, expert, operator))
			err = dump_expert(skb, cb, expert);
		expertmem_put(expert);
		if (err)
			break;
		cond_resched();
	}
	cb->args[ARG_NEXT] = id;
	return skb->len ?: err;
}

static u64 region_get_id(struct netlink_callback *cb)
{
	return nla_get_u64(compat_dump_attrs(cb)[EXPERTMEM_A_REGION_ID]);
}

static int region_get_start(struct netlink_callback *cb)
{
	struct nlattr *id = compat_dump_attrs(cb)[EXPERTMEM_A_REGION_ID];
	struct expertmem_expert *expert;

	if (!id) {
		NL_SET_ERR_MSG(cb->extack, "a dump of regions needs the ID of an expert");
		return -EINVAL;
	}
	expert = expert_of(cb->skb, id, cb->extack);
	if (IS_ERR(expert))
		return PTR_ERR(expert);
	expertmem_put(expert);
	start_dump(cb);
	return 0;
}

static int dump_region(struct sk_buff *skb, struct netlink_callback *cb,
		       struct expertmem_window *window,
		       const struct expertmem_region *region)
{
	void *header;
	int err;

	header = dump_begin(skb, cb, EXPERTMEM_CMD_REGION_GET);
	if (!header)
		return -EMSGSIZE;
	err = expertmem_msg_put_region(skb, window, region);
	return dump_end(skb, header, err);
}

static int region_get_dump(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct expertmem_expert *expert = expertmem_find(region_get_id(cb));
	struct expertmem_window *window;
	struct expertmem_region region;
	pgoff_t from = cb->args[ARG_NEXT];
	int err = 0;

	/* The expert was released during the dump, which then ends. */
	if (!expert)
		return 0;
	if (!may_dump(cb, expert, current_is_operator())) {
		expertmem_put(expert);
		return -EPERM;
	}
	for (; (window = expertmem_region_next(expert, from, &region));
	     from = window->first + region.first + 1) {
		err = dump_region(skb, cb, window, &region);
		if (!err && fatal_signal_pending(current))
			err = -EINTR;
		if (err)
			break;
		cond_resched();
	}
	expertmem_put(expert);
	cb->args[ARG_NEXT] = from;
	return skb->len ?: err;
}

/* --------------------------------------------------------------------- family */

static const struct nla_policy id_policy[] = {
	[EXPERTMEM_A_EXPERT_ID]		= { .type = NLA_U64 },
};

static const struct nla_policy set_policy[] = {
	[EXPERTMEM_A_EXPERT_ID]		= { .type = NLA_U64 },
	[EXPERTMEM_A_EXPERT_LIMIT]	= { .type = NLA_U64 },
};

static const struct nla_policy region_policy[] = {
	[EXPERTMEM_A_REGION_ID]		= { .type = NLA_U64 },
};

static const struct genl_ops ops[] = {
	{
		.cmd		= EXPERTMEM_CMD_EXPERT_GET,
		.doit		= expert_get,
		.start		= expert_get_start,
		.dumpit		= expert_get_dump,
		.policy		= id_policy,
		.maxattr	= ARRAY_SIZE(id_policy) - 1,
	}, {
		.cmd		= EXPERTMEM_CMD_REGION_GET,
		.start		= region_get_start,
		.dumpit		= region_get_dump,
		.policy		= region_policy,
		.maxattr	= ARRAY_SIZE(region_policy) - 1,
	}, {
		.cmd		= EXPERTMEM_CMD_EXPERT_SET,
		.doit		= expert_set,
		.policy		= set_policy,
		.maxattr	= ARRAY_SIZE(set_policy) - 1,
	}, {
		.cmd		= EXPERTMEM_CMD_TERMINATE,
		.doit		= terminate,
		.policy		= id_policy,
		.maxattr	= ARRAY_SIZE(id_policy) - 1,
	}, {
		.cmd		= EXPERTMEM_CMD_RECLAIM,
		.doit		= reclaim,
		.policy		= id_policy,
		.maxattr	= ARRAY_SIZE(id_policy) - 1,
	}, {
		.cmd		= EXPERTMEM_CMD_STATS_GET,
		.doit		= stats_get,
	},
};

static const struct genl_multicast_group groups[] = {
	[EXPERTMEM_GROUP_EVENTS] = {
		.name	= EXPERTMEM_MCGRP_EVENTS,
		.flags	= GENL_MCAST_CAP_NET_ADMIN,
	},
};

static struct genl_family family = {
	.name		= EXPERTMEM_FAMILY_NAME,
	.version	= EXPERTMEM_FAMILY_VERSION,
	.module		= THIS_MODULE,
	.parallel_ops	= true,
	.ops		= ops,
	.n_ops		= ARRAY_SIZE(ops),
	.mcgrps		= groups,
	.n_mcgrps	= ARRAY_SIZE(groups),
};

/**
 * expertmem_netlink_register() - register the family, and answer requests from now on
 *
 * Return: 0 or a negative errno.
 */
int expertmem_netlink_register(void)
{
	expertmem_events_init(&family);
	return compat_genl_register_family(&family);
}

/**
 * expertmem_netlink_unregister() - unregister the family, and wait for running requests
 */
void expertmem_netlink_unregister(void)
{
	genl_unregister_family(&family);
}
