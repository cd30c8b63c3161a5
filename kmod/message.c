// SPDX-License-Identifier: GPL-2.0
/*
 * Netlink messages: the attributes of an expert, of a region, and of the module's totals.
 */
#include <linux/mm.h>
#include <linux/pid.h>
#include <linux/sched.h>
#include <linux/uidgid.h>
#include <net/netlink.h>

#include "expertmem.h"
#include "netlink.h"

static int put_u64(struct sk_buff *skb, int attr, u64 value)
{
	BUILD_BUG_ON((int)EXPERTMEM_A_EXPERT_PAD != (int)EXPERTMEM_A_REGION_PAD ||
		     (int)EXPERTMEM_A_EXPERT_PAD != (int)EXPERTMEM_A_STATS_PAD);
	return nla_put_u64_64bit(skb, attr, value, EXPERTMEM_A_EXPERT_PAD);
}

static int put_pages(struct sk_buff *skb, int attr, unsigned long pages)
{
	return put_u64(skb, attr, (u64)pages << PAGE_SHIFT);
}

static int put_counter(struct sk_buff *skb, int attr, const atomic64_t *counter)
{
	return put_u64(skb, attr, atomic64_read(counter));
}

/**
 * expertmem_msg_size() - size to allocate for the attributes of a message
 *
 * Return: bytes; an upper bound for messages about an expert and about the module's totals.
 */
size_t expertmem_msg_size(void)
{
	return max_t(size_t, EXPERTMEM_A_EXPERT_MAX, EXPERTMEM_A_STATS_MAX) *
	       nla_total_size_64bit(sizeof(u64)) +
	       nla_total_size(sizeof_field(struct expertmem_expert, name));
}

/* Put owner, opener, time of open, name and mapping process. */
static int put_origin(struct sk_buff *skb, const struct expertmem_expert *expert,
		      const struct expertmem_reader *reader)
{
	int err;

	err = nla_put_u32(skb, EXPERTMEM_A_EXPERT_UID,
			  from_kuid_munged(reader->users, expert->uid)) ?:
	      nla_put_u32(skb, EXPERTMEM_A_EXPERT_OPENER,
			  pid_nr_ns(expert->opener, reader->pids)) ?:
	      put_u64(skb, EXPERTMEM_A_EXPERT_OPENED, expert->opened);
	if (!err && expert->configured)
		err = nla_put_string(skb, EXPERTMEM_A_EXPERT_NAME, expert->name);
	if (!err && expert->mapper)
		err = nla_put_u32(skb, EXPERTMEM_A_EXPERT_PID,
				  pid_nr_ns(expert->mapper, reader->pids));
	return err;
}

static int put_freed(struct sk_buff *skb, const struct expertmem_reclaim *freed)
{
	return put_u64(skb, EXPERTMEM_A_EXPERT_RECLAIMED_BYTES, freed->reclaimed_bytes) ?:
	       put_u64(skb, EXPERTMEM_A_EXPERT_RECLAIMED_RESIDENT, freed->reclaimed_resident) ?:
	       put_u64(skb, EXPERTMEM_A_EXPERT_RECLAIMED_REGIONS, freed->reclaimed_regions);
}

/**
 * expertmem_msg_put_expert() - put the attributes of an expert, all of one moment
 * @skb: the message
 * @expert: the expert
 * @reader: the namespaces for uids and pids
 *
 * Context: expert->lock held; does not sleep.
 * Return: 0, or -EMSGSIZE.
 */
int expertmem_msg_put_expert(struct sk_buff *skb, const struct expertmem_expert *expert,
			     const struct expertmem_reader *reader)
{
	struct expertmem_stat stat;
	int err;

	expertmem_snapshot(expert, &stat);
	err = put_u64(skb, EXPERTMEM_A_EXPERT_ID, stat.id) ?:
	      put_origin(skb, expert, reader) ?:
	      nla_put_u32(skb, EXPERTMEM_A_EXPERT_STATE, stat.state) ?:
	      nla_put_u32(skb, EXPERTMEM_A_EXPERT_FLAGS, stat.flags) ?:
	      put_u64(skb, EXPERTMEM_A_EXPERT_REGIONS, stat.regions) ?:
	      put_u64(skb, EXPERTMEM_A_EXPERT_COMMITTED, stat.committed) ?:
	      put_u64(skb, EXPERTMEM_A_EXPERT_RESIDENT, stat.resident) ?:
	      put_u64(skb, EXPERTMEM_A_EXPERT_PEAK, stat.peak) ?:
	      put_u64(skb, EXPERTMEM_A_EXPERT_LIMIT, stat.limit) ?:
	      put_u64(skb, EXPERTMEM_A_EXPERT_REFUSED, stat.refused) ?:
	      put_u64(skb, EXPERTMEM_A_EXPERT_PINNED, stat.pinned);
	if (!err && stat.state == EXPERTMEM_STATE_RECLAIMED)
		err = nla_put_u32(skb, EXPERTMEM_A_EXPERT_CAUSE, stat.cause) ?:
		      nla_put_u32(skb, EXPERTMEM_A_EXPERT_SIGNAL, expert->signal) ?:
		      put_freed(skb, &expert->freed);
	return err;
}

/**
 * expertmem_msg_put_freed() - put the result of a reclaim
 * @skb: the message
 * @id: id of the expert that was reclaimed
 * @freed: the result
 *
 * Return: 0, or -EMSGSIZE.
 */
int expertmem_msg_put_freed(struct sk_buff *skb, u64 id,
			    const struct expertmem_reclaim *freed)
{
	return put_u64(skb, EXPERTMEM_A_EXPERT_ID, id) ?: put_freed(skb, freed);
}

/**
 * expertmem_msg_put_region() - put the attributes of a region
 * @skb: the message
 * @window: the region's window
 * @region: a copy of the region from expertmem_region_next()
 *
 * Context: a reference to the expert held; may sleep.
 * Return: 0, or -EMSGSIZE.
 */
int expertmem_msg_put_region(struct sk_buff *skb, struct expertmem_window *window,
			     const struct expertmem_region *region)
{
	return put_u64(skb, EXPERTMEM_A_REGION_ID, window->expert->id) ?:
	       put_pages(skb, EXPERTMEM_A_REGION_OFFSET, window->first + region->first) ?:
	       put_pages(skb, EXPERTMEM_A_REGION_SIZE, region->pages) ?:
	       put_pages(skb, EXPERTMEM_A_REGION_ROOM, region->room) ?:
	       put_pages(skb, EXPERTMEM_A_REGION_RESIDENT,
			 expertmem_window_resident_in(window, region->first,
						      region->pages));
}

/* Add up regions, committed and resident bytes of all open experts. */
static int sum_up(struct expertmem_stat *sum)
{
	struct expertmem_expert *expert;
	struct expertmem_stat stat;
	unsigned long id = 0;
	int err;

	*sum = (struct expertmem_stat) { };
	for (; (expert = expertmem_next(&id)); id++) {
		err = mutex_lock_killable(&expert->lock);
		if (!err) {
			expertmem_snapshot(expert, &stat);
			mutex_unlock(&expert->lock);
		}
		expertmem_put(expert);
		if (err)
			return err;
		sum->regions += stat.regions;
		sum->committed += stat.committed;
		sum->resident += stat.resident;
		cond_resched();
	}
	return 0;
}

/**
 * expertmem_msg_put_stats() - put the module's totals
 * @skb: the message
 *
 * Context: takes expert->lock of one expert after the other; may sleep.
 * Return: 0; -EMSGSIZE; -EINTR if the caller is being killed.
 */
int expertmem_msg_put_stats(struct sk_buff *skb)
{
	const struct expertmem_totals *totals = &expertmem_totals;
	struct expertmem_stat sum;
	int err = sum_up(&sum);

	return err ?: nla_put_u32(skb, EXPERTMEM_A_STATS_EXPERTS, expertmem_nr_experts()) ?:
	       nla_put_u32(skb, EXPERTMEM_A_STATS_MAX_EXPERTS,
			   READ_ONCE(expertmem_max_experts)) ?:
	       put_counter(skb, EXPERTMEM_A_STATS_OPENED, &totals->opened) ?:
	       put_u64(skb, EXPERTMEM_A_STATS_REGIONS, sum.regions) ?:
	       put_u64(skb, EXPERTMEM_A_STATS_COMMITTED, sum.committed) ?:
	       put_u64(skb, EXPERTMEM_A_STATS_RESIDENT, sum.resident) ?:
	       put_u64(skb, EXPERTMEM_A_STATS_TOTAL_LIMIT,
		       READ_ONCE(expertmem_total_limit)) ?:
	       put_u64(skb, EXPERTMEM_A_STATS_DEFAULT_LIMIT,
		       READ_ONCE(expertmem_default_limit)) ?:
	       put_counter(skb, EXPERTMEM_A_STATS_REFUSED, &totals->refused) ?:
	       put_counter(skb, EXPERTMEM_A_STATS_DETACHED,
			   &totals->reclaimed[EXPERTMEM_CAUSE_DETACH]) ?:
	       put_counter(skb, EXPERTMEM_A_STATS_KILLED, &totals->killed) ?:
	       put_counter(skb, EXPERTMEM_A_STATS_RECLAIMED,
			   &totals->reclaimed[EXPERTMEM_CAUSE_HOST]) ?:
	       put_counter(skb, EXPERTMEM_A_STATS_OPERATOR,
			   &totals->reclaimed[EXPERTMEM_CAUSE_OPERATOR]) ?:
	       put_counter(skb, EXPERTMEM_A_STATS_RECLAIMED_BYTES, &totals->reclaimed_bytes) ?:
	       put_counter(skb, EXPERTMEM_A_STATS_LOST_EVENTS, &totals->lost_events) ?:
	       put_pages(skb, EXPERTMEM_A_STATS_PINNED, expertmem_total_pinned()) ?:
	       put_u64(skb, EXPERTMEM_A_STATS_UID_LIMIT, expertmem_effective_uid_limit()) ?:
	       nla_put_u32(skb, EXPERTMEM_A_STATS_UID_MAX_EXPERTS,
			   expertmem_effective_uid_max_experts()) ?:
	       put_counter(skb, EXPERTMEM_A_STATS_SUPPRESSED_EVENTS,
			   &totals->suppressed_events);
}
