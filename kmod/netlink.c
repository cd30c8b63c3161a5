// SPDX-License-Identifier: GPL-2.0
/*
 * Generic netlink: what operators ask, do and hear.
 *
 * A request holds a reference to its expert, not to its file: the expert may be released
 * meanwhile, and is then as good as not there. Requests run side by side. A dump holds
 * nothing from one message to the next but the number at which it goes on.
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
 * All who take part in a request must have the right: whoever opened the socket, or it could be
 * handed to a program that has the right and writes to it what it is told to; whoever sends;
 * and, in a dump, which goes on when somebody reads, the reader. An owner is asked for no
 * capability, or the audit log would tell of each request.
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

/* The expert that a request is about, with a reference; or why not. */
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

/* The reply to a request, if there was no @err in making it. */
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
	/* not to fail for want of memory with the deed done */
	skb = new_reply(info, &header);
	if (!skb) {
		expertmem_put(expert);
		return -ENOMEM;
	}
	err = expertmem_reclaim_for_request(expert, EXPERTMEM_CAUSE_OPERATOR, &freed) ?:
	      expertmem_msg_put_freed(skb, expert->id, &freed);
	expertmem_put(expert);
	/* netlink_rcv_skb() does not answer after -EINTR: there it means that one has answered. */
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

/* A message of a dump's, whose contents put() fills in; -EMSGSIZE: for the next skb. */
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
 * What a dump keeps from one message to the next, in cb->args: where it goes on, and whether
 * its sender is an operator.
 */
enum { ARG_NEXT, ARG_OPERATOR };

static void start_dump(struct netlink_callback *cb)
{
	cb->args[ARG_OPERATOR] = current_is_operator();
}

/* May a message of a dump be about that expert? */
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
	NL_SET_ERR_MSG_ATTR(cb->extack, id, "a dump is of all experts");
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
		NL_SET_ERR_MSG(cb->extack, "which expert's regions?");
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

	/* It may vanish in the middle of the dump. */
	if (!expert)
		return 0;
	if (!may_dump(cb, expert, current_is_operator())) {
		expertmem_put(expert);
		return -EPERM;
	}
	for (; (window = expertmem_region_next(expert, from, &region));
	     from = region.first + 1) {
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
 * expertmem_netlink_register() - answer requests from now on
 *
 * Return: 0 or a negative errno.
 */
int expertmem_netlink_register(void)
{
	expertmem_events_init(&family);
	return compat_genl_register_family(&family);
}

/**
 * expertmem_netlink_unregister() - wait for running requests, and answer no more
 */
void expertmem_netlink_unregister(void)
{
	genl_unregister_family(&family);
}
