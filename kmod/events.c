// SPDX-License-Identifier: GPL-2.0
/*
 * Events: netlink messages about experts to the multicast group "events".
 */
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/pid_namespace.h>
#include <linux/user_namespace.h>
#include <net/genetlink.h>
#include <net/sock.h>

#include "compat.h"
#include "expertmem.h"
#include "netlink.h"

/* The family of netlink.c, to whose group events are sent; set before an expert can be opened. */
static const struct genl_family *family;

/**
 * expertmem_events_init() - set the family whose group events are sent to
 * @events_family: the generic netlink family of the module
 *
 * Context: the module is being loaded; no expert is open.
 */
void expertmem_events_init(const struct genl_family *events_family)
{
	family = events_family;
}

static struct sk_buff *new_event(const struct expertmem_expert *expert,
				 enum expertmem_event event, gfp_t gfp)
{
	const struct expertmem_reader names = { .users = &init_user_ns, .pids = &init_pid_ns };
	struct sk_buff *skb;
	void *header;

	skb = genlmsg_new(expertmem_msg_size(), gfp);
	if (!skb)
		return NULL;
	header = genlmsg_put(skb, 0, 0, family, 0, EXPERTMEM_CMD_EVENT);
	if (nla_put_u32(skb, EXPERTMEM_A_EXPERT_EVENT, event) ||
	    nla_put_u64_64bit(skb, EXPERTMEM_A_EXPERT_SUPPRESSED,
			      atomic64_read(&expertmem_totals.suppressed_events),
			      EXPERTMEM_A_EXPERT_PAD) ||
	    expertmem_msg_put_expert(skb, expert, &names)) {
		nlmsg_free(skb);
		return NULL;
	}
	genlmsg_end(skb, header);
	return skb;
}

/*
 * Does a listener lack the right to hear events? Joining the group checks the right too, but not if
 * the number of the group was joined before the family was registered.
 */
static int listener_not_permitted(struct sock *listener, struct sk_buff *skb, void *unused)
{
	return !file_ns_capable(listener->sk_socket->file, &init_user_ns, CAP_NET_ADMIN);
}

/**
 * expertmem_event() - send an event about an expert
 * @expert: the expert
 * @event: what has just happened to the expert
 *
 * The caller neither waits nor fails. An event that cannot be sent is lost, and listeners get
 * ENOBUFS. An event beyond the budget of the expert's user is only counted.
 *
 * Context: expert->lock held, so that events come in the order in which they happen;
 *	mmap_lock may be held. Does not sleep.
 */
void expertmem_event(struct expertmem_expert *expert, enum expertmem_event event)
{
	const gfp_t gfp = GFP_NOWAIT | __GFP_NOWARN;
	struct sk_buff *skb;

	lockdep_assert_held(&expert->lock);
	if (!genl_has_listeners(family, &init_net, EXPERTMEM_GROUP_EVENTS))
		return;
	if (!expertmem_user_may_tell(expert)) {
		atomic64_inc(&expertmem_totals.suppressed_events);
		return;
	}
	skb = new_event(expert, event, gfp);
	if (!skb) {
		genl_set_err(family, &init_net, 0, EXPERTMEM_GROUP_EVENTS, -ENOBUFS);
		atomic64_inc(&expertmem_totals.lost_events);
	} else if (compat_genlmsg_multicast(family, &init_net, skb, EXPERTMEM_GROUP_EVENTS, gfp,
					    listener_not_permitted) == -ENOBUFS) {
		atomic64_inc(&expertmem_totals.lost_events);
	}
}
