// SPDX-License-Identifier: GPL-2.0
/*
 * Accounting: the limits of experts and users, and the charges that count against them.
 *
 * A page is charged to its expert, to the user who opened the expert, and to the total of
 * all experts. Charges are checked when regions are made or grow, never in a fault. Pinned
 * pages are charged without a check, because they exist already.
 */
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/user_namespace.h>
#include <linux/xarray.h>

#include "expertmem.h"

/* One sixteenth of total_limit and of max_experts is reserved for privileged experts. */
#define RESERVE_SHIFT	4

/* The budget of events of a user: 64 events a second, and bursts of 256. */
#define EVENT_INTERVAL	(NSEC_PER_SEC / 64)
#define EVENT_BURST	256

/* Number of users to check for removal whenever a user is added. */
#define SWEEP_USERS	16

/**
 * struct expertmem_user - charges and event budget of all experts of one user
 * @uid: the user; the key in the table of users; constant
 * @refs: number of experts that refer to this user; protected by the table's xa_lock
 * @pages: number of pages charged to the user, in regions or pinned
 * @experts: number of open experts, reclaimed ones included
 * @lock: protects @next_event
 * @next_event: earliest time (ns, CLOCK_MONOTONIC) of the next event if the budget had no
 *	burst; the used part of the burst is the time from now to @next_event
 *
 * A user without experts is kept until its budget of events is full again. Otherwise a user
 * could get a new budget by closing all experts and opening another one.
 */
struct expertmem_user {
	kuid_t uid;
	unsigned int refs;
	atomic_long_t pages;
	atomic_long_t experts;
	spinlock_t lock;	/* protects @next_event */
	u64 next_event;
};

static DEFINE_XARRAY_FLAGS(users, XA_FLAGS_ACCOUNT);
static unsigned long sweep_from;	/* uid of the next user to check; under xa_lock */

static atomic_long_t total_pages;	/* pages charged to all experts */
static atomic_long_t total_pinned;	/* pages in total_pages that are pinned */
static atomic_long_t nr_experts;	/* experts that are open and not reclaimed */

/* ---------------------------------------------------------------------- users */

/*
 * The uid that an expert of the current process is charged to. A user may map many uids into a
 * user namespace that it creates, and open experts as each of them. All these experts are charged
 * to the creator of the namespace. In a namespace that root of its parent namespace has created
 * (a container), experts are charged to the uid that opened them.
 */
static kuid_t paying_uid(void)
{
	struct user_namespace *ns;
	kuid_t uid = current_uid();

	for (ns = current_user_ns(); ns != &init_user_ns; ns = ns->parent)
		if (!uid_eq(ns->owner, make_kuid(ns->parent, 0)))
			uid = ns->owner;
	return uid;
}

/* Free some of the users that have no expert and a full budget of events. */
static void sweep_users(void)
{
	struct expertmem_user *user;
	u64 now = ktime_get_ns();
	int i;

	xa_lock(&users);
	for (i = 0; i < SWEEP_USERS; i++, sweep_from++) {
		user = xa_find(&users, &sweep_from, ULONG_MAX, XA_PRESENT);
		if (!user) {
			sweep_from = 0;
			break;
		}
		if (!user->refs && user->next_event <= now) {
			__xa_erase(&users, sweep_from);
			kfree(user);
		}
	}
	xa_unlock(&users);
}

static struct expertmem_user *user_of(kuid_t uid)
{
	struct expertmem_user *user;

	xa_lock(&users);
	user = xa_load(&users, __kuid_val(uid));
	if (user)
		user->refs++;
	xa_unlock(&users);
	return user;
}

/**
 * expertmem_user_get() - get the user that experts of the current process are charged to
 *
 * Context: process context; may sleep.
 * Return: the user, with a reference; NULL when memory cannot be allocated.
 */
struct expertmem_user *expertmem_user_get(void)
{
	kuid_t uid = paying_uid();
	struct expertmem_user *user, *new;
	int err;

	user = user_of(uid);
	if (user)
		return user;

	sweep_users();
	new = kzalloc(sizeof(*new), GFP_KERNEL_ACCOUNT);
	if (!new)
		return NULL;
	new->uid = uid;
	new->refs = 1;
	spin_lock_init(&new->lock);
	do {
		err = xa_insert(&users, __kuid_val(uid), new, GFP_KERNEL);
		if (!err)
			return new;
		/* another process inserted this user; a sweep may remove it again */
		user = err == -EBUSY ? user_of(uid) : NULL;
	} while (err == -EBUSY && !user);
	kfree(new);
	return user;
}

/**
 * expertmem_user_put() - drop a reference to a user
 * @user: the user
 *
 * Context: takes the xa_lock of the users.
 */
void expertmem_user_put(struct expertmem_user *user)
{
	xa_lock(&users);
	user->refs--;
	xa_unlock(&users);
}

/**
 * expertmem_users_destroy() - free all users
 *
 * Context: the module is being unloaded; no expert is left.
 */
void expertmem_users_destroy(void)
{
	struct expertmem_user *user;
	unsigned long uid;

	xa_for_each(&users, uid, user)
		kfree(user);
	xa_destroy(&users);
}

/**
 * expertmem_user_may_tell() - take one event from the budget of an expert's user
 * @expert: the expert
 *
 * Context: any that may take a spinlock.
 * Return: true if the event may be sent. Privileged experts have no budget, and may always send.
 */
bool expertmem_user_may_tell(struct expertmem_expert *expert)
{
	struct expertmem_user *user = expert->user;
	u64 now = ktime_get_ns();
	bool may;

	if (expert->privileged)
		return true;
	spin_lock(&user->lock);
	user->next_event = max(user->next_event, now);
	may = user->next_event - now <= (u64)(EVENT_BURST - 1) * EVENT_INTERVAL;
	if (may)
		user->next_event += EVENT_INTERVAL;
	spin_unlock(&user->lock);
	return may;
}

/* --------------------------------------------------------------------- limits */

/**
 * expertmem_effective_uid_limit() - limit of the bytes of one user's experts
 *
 * Return: bytes, 0: no limit.
 */
u64 expertmem_effective_uid_limit(void)
{
	u64 limit = READ_ONCE(expertmem_uid_limit);

	return limit == EXPERTMEM_AUTO ?
	       DIV_ROUND_UP_ULL(READ_ONCE(expertmem_total_limit), 2) : limit;
}

/**
 * expertmem_effective_uid_max_experts() - limit of the number of one user's experts
 *
 * Return: number of experts that may be open, 0: any number.
 */
unsigned int expertmem_effective_uid_max_experts(void)
{
	u64 max = READ_ONCE(expertmem_uid_max_experts);

	if (max == EXPERTMEM_AUTO)
		max = DIV_ROUND_UP_ULL(READ_ONCE(expertmem_max_experts), 2);
	return min_t(u64, max, UINT_MAX);
}

/*
 * The part of @limit that may be used, LONG_MAX where @limit is 0. @privileged experts may use all
 * of it, others all but the reserve.
 */
static unsigned long allowed(u64 limit, bool privileged)
{
	if (!limit)
		return LONG_MAX;
	return privileged ? limit : limit - (limit >> RESERVE_SHIFT);
}

/*
 * Add to a counter unless it would pass @max. A refused request never changes the counter, not
 * even for a moment, and so cannot make another request fail.
 */
static bool add_within(atomic_long_t *counter, unsigned long amount, unsigned long max)
{
	long old = atomic_long_read(counter);

	do {
		if (amount > max || old > (long)(max - amount))
			return false;
	} while (!atomic_long_try_cmpxchg(counter, &old, old + amount));
	return true;
}

/**
 * expertmem_charge_expert() - count an expert that is being opened
 * @expert: the expert, with @user and @privileged set
 *
 * Return: 0; -EDQUOT if the limit of its user is reached; -ENFILE if max_experts is reached.
 */
int expertmem_charge_expert(struct expertmem_expert *expert)
{
	unsigned int of_user = expertmem_effective_uid_max_experts();
	unsigned int of_all = READ_ONCE(expertmem_max_experts);

	if (!add_within(&expert->user->experts, 1,
			expert->privileged ? LONG_MAX : allowed(of_user, true)))
		return -EDQUOT;
	if (!add_within(&nr_experts, 1, allowed(of_all, expert->privileged))) {
		atomic_long_dec(&expert->user->experts);
		return -ENFILE;
	}
	return 0;
}

/**
 * expertmem_uncharge_expert() - stop counting an expert in max_experts
 *
 * Called once for each expert, when it is reclaimed, or released without a reclaim. The limit of
 * its user counts it until expertmem_uncharge_expert_user().
 */
void expertmem_uncharge_expert(void)
{
	atomic_long_dec(&nr_experts);
}

/**
 * expertmem_uncharge_expert_user() - stop counting an expert for its user
 * @expert: the expert, which is being released
 */
void expertmem_uncharge_expert_user(struct expertmem_expert *expert)
{
	atomic_long_dec(&expert->user->experts);
}

/**
 * expertmem_nr_experts() - count experts
 *
 * Return: number of experts that are open and not reclaimed.
 */
unsigned int expertmem_nr_experts(void)
{
	return atomic_long_read(&nr_experts);
}

/**
 * expertmem_user_usage() - count pages and experts of a user
 * @expert: an expert of this user
 * @pages: receives the number of pages charged to the user
 *
 * Return: number of open experts of the user, reclaimed ones included.
 */
unsigned int expertmem_user_usage(const struct expertmem_expert *expert, unsigned long *pages)
{
	*pages = atomic_long_read(&expert->user->pages);
	return atomic_long_read(&expert->user->experts);
}

/* -------------------------------------------------------------------- charges */

/**
 * expertmem_committed() - count the pages in regions of an expert
 * @expert: the expert
 *
 * Context: expert->lock held.
 * Return: pages charged for the regions of both windows.
 */
unsigned long expertmem_committed(const struct expertmem_expert *expert)
{
	lockdep_assert_held(&expert->lock);
	return expert->small.committed + expert->huge.committed;
}

/**
 * expertmem_charged() - count the pages that count against the expert's limit
 * @expert: the expert
 *
 * Context: expert->lock held.
 * Return: pages in the regions of both windows, and pinned pages.
 */
unsigned long expertmem_charged(const struct expertmem_expert *expert)
{
	return expertmem_committed(expert) + atomic_long_read(&expert->pinned);
}

/**
 * expertmem_charge() - charge pages of a region that is made or grows
 * @window: the region's window
 * @pages: number of pages
 *
 * Context: expert->lock held.
 * Return: 0; -EDQUOT if the limit of the expert or of its user would be passed; -ENOMEM if
 *	total_limit would be passed.
 */
int expertmem_charge(struct expertmem_window *window, unsigned long pages)
{
	struct expertmem_expert *expert = window->expert;
	u64 of_user = expert->privileged ? 0 : expertmem_effective_uid_limit();
	u64 of_all = READ_ONCE(expertmem_total_limit);

	lockdep_assert_held(&expert->lock);
	if (expert->limit && expertmem_charged(expert) + pages > expert->limit >> PAGE_SHIFT)
		return -EDQUOT;
	if (!add_within(&expert->user->pages, pages,
			of_user ? of_user >> PAGE_SHIFT : LONG_MAX))
		return -EDQUOT;
	if (!add_within(&total_pages, pages,
			of_all ? allowed(of_all, expert->privileged) >> PAGE_SHIFT : LONG_MAX)) {
		atomic_long_sub(pages, &expert->user->pages);
		return -ENOMEM;
	}
	window->committed += pages;
	return 0;
}

static void sub_charge(struct expertmem_expert *expert, unsigned long pages)
{
	atomic_long_sub(pages, &expert->user->pages);
	atomic_long_sub(pages, &total_pages);
}

/**
 * expertmem_uncharge() - uncharge pages of a region that were freed
 * @window: the region's window
 * @pages: number of pages
 *
 * Context: expert->lock held.
 */
void expertmem_uncharge(struct expertmem_window *window, unsigned long pages)
{
	lockdep_assert_held(&window->expert->lock);
	window->committed -= pages;
	sub_charge(window->expert, pages);
}

/**
 * expertmem_charge_pinned() - charge pages that have become pinned
 * @window: the window that the pages were in
 * @pages: number of pages
 *
 * Until the window has been emptied, the pages are charged for their region. Here that charge
 * becomes the charge for pinned pages. The caller that works on the region must not uncharge
 * them again: it passes their number to expertmem_region_destroy() or expertmem_region_trim().
 *
 * Context: takes expert->lock.
 */
void expertmem_charge_pinned(struct expertmem_window *window, unsigned long pages)
{
	struct expertmem_expert *expert = window->expert;

	mutex_lock(&expert->lock);
	if (window->emptied) {
		atomic_long_add(pages, &expert->user->pages);
		atomic_long_add(pages, &total_pages);
	} else {
		window->committed -= pages;
	}
	atomic_long_add(pages, &total_pinned);
	atomic_long_add(pages, &expert->pinned);
	mutex_unlock(&expert->lock);
}

/**
 * expertmem_uncharge_pinned() - uncharge pages that are not pinned any more
 * @expert: the expert
 * @pages: number of pages
 *
 * Context: any.
 */
void expertmem_uncharge_pinned(struct expertmem_expert *expert, unsigned long pages)
{
	atomic_long_sub(pages, &expert->pinned);
	atomic_long_sub(pages, &total_pinned);
	sub_charge(expert, pages);
}

/**
 * expertmem_total_pinned() - count the pinned pages of all experts
 *
 * Return: number of pages, those of released experts included.
 */
unsigned long expertmem_total_pinned(void)
{
	return atomic_long_read(&total_pinned);
}
