/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Netlink messages: shared by the files that fill them (message.c), that send events (events.c)
 * and that answer requests (netlink.c).
 */
#ifndef EXPERTMEM_NETLINK_H
#define EXPERTMEM_NETLINK_H

#include <linux/types.h>

struct expertmem_expert;
struct expertmem_reclaim;
struct expertmem_region;
struct expertmem_window;
struct genl_family;
struct pid_namespace;
struct sk_buff;
struct user_namespace;

/* the index of EXPERTMEM_MCGRP_EVENTS in the family's groups */
#define EXPERTMEM_GROUP_EVENTS	0

/**
 * struct expertmem_reader - namespaces of the process that gets a message
 * @users: the user namespace for uids in the message
 * @pids: the pid namespace for pids in the message
 */
struct expertmem_reader {
	struct user_namespace *users;
	struct pid_namespace *pids;
};

/* message.c */
size_t expertmem_msg_size(void);
int expertmem_msg_put_expert(struct sk_buff *skb, const struct expertmem_expert *expert,
			     const struct expertmem_reader *reader);
int expertmem_msg_put_freed(struct sk_buff *skb, u64 id,
			    const struct expertmem_reclaim *freed);
int expertmem_msg_put_region(struct sk_buff *skb, struct expertmem_window *window,
			     const struct expertmem_region *region);
int expertmem_msg_put_stats(struct sk_buff *skb);

/* events.c */
void expertmem_events_init(const struct genl_family *events_family);

#endif /* EXPERTMEM_NETLINK_H */
