// SPDX-License-Identifier: GPL-2.0
/*
 * Accounting: what experts and their users may have, and what they have.
 *
 * A page is charged to its expert, to the user who opened the expert, and to the total of
 * all experts. Charges are checked when regions are made or grow, never in a fault. Pinned
 * pages are charged without a check: they exist already.
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

/* The part of total_limit and max_experts that only privileged experts get: 1/16. */
#define RESERVE_SHIFT	4

/* The budget of events of a user: 64 a second, and 256 at once. */
#define EVENT_INTERVAL	(NSEC_PER_SEC / 64)
#define EVENT_BURST	256

/* How many users to look at, whether they can be forgotten, when one is added. */
#define SWEEP_USERS	16

/**
 * struct expertmem_user - what the experts of one user have together
 * @uid: the user; the key in the table of users
 * @refs: experts that refer to it; under the table's xa_lock
 * @pages: charged: in regions, and pinned
 * @experts: open, the reclaimed ones included
 * @lock: protects @next_event
 * @next_event: earliest time (ns, CLOCK_MONOTONIC) of the next event if the budget had no
 *	burst; the time that it lies ahead of now is what has been used of the burst
 *
 * A user without experts is kept until its budget of events is full again, or a new budget
 * could be had by closing all experts and opening one.
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
static unsigned long sweep_from;	/* uid of the next user to look at; under xa_lock */

static atomic_long_t total_pages;	/* charged to all experts */
static atomic_long_t total_pinned;	/* of these, pinned */
static atomic_long_t nr_experts;	/* open and not reclaimed */

/* ---------------------------------------------------------------------- users */

/*
 * Who pays. A user may map many uids into a user namespace that it creates, and open experts
 * as each of them. These are its own. Namespaces that the root of the namespace around them
 * has set up (containers) hold users of their own.
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

/* Forget a few users that have no expert and a full budget. */
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
 * expertmem_user_get() - the account that the current process's experts are charged to
 *
 * Context: process context; may sleep.
 * Return: the user, with a reference; NULL when there is no memory.
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
		/* another process of this user was first; its entry may go again */
		user = err == -EBUSY ? user_of(uid) : NULL;
	} while (err == -EBUSY && !user);
	kfree(new);
	return user;
}

/**
 * expertmem_user_put() - drop a reference
 * @user: the user
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
 * Return: whether the budget had one. Privileged experts have no budget.
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

/* --------------------------------------------------------------------- bounds */

/**
 * expertmem_effective_uid_limit() - the bound of a user's bytes
 *
 * Return: bytes, 0: none.
 */
u64 expertmem_effective_uid_limit(void)
{
	u64 limit = READ_ONCE(expertmem_uid_limit);

	return limit == EXPERTMEM_AUTO ?
	       DIV_ROUND_UP_ULL(READ_ONCE(expertmem_total_limit), 2) : limit;
}

/**
 * expertmem_effective_uid_max_experts() - the bound of a user's experts
 *
 * Return: how many may be open, 0: any number.
 */
unsigned int expertmem_effective_uid_max_experts(void)
{
	u64 max = READ_ONCE(expertmem_uid_max_experts);

	if (max == EXPERTMEM_AUTO)
		max = DIV_ROUND_UP_ULL(READ_ONCE(expertmem_max_experts), 2);
	return min_t(u64, max, UINT_MAX);
}

/* What a limit, where 0 means none, allows: @privileged experts all, others not the reserve. */
static unsigned long allowed(u64 limit, bool privileged)
{
	if (!limit)
		return LONG_MAX;
	return privileged ? limit : limit - (limit >> RESERVE_SHIFT);
}

/*
 * Add to a counter unless it would pass @max. The counter never shows more than what was
 * granted, so that requests which are refused do not make others fail.
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
 * @expert: the expert; its user and whether it is privileged are set
 *
 * Return: 0, -EDQUOT where its user has too many, -ENFILE where all have.
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
 * expertmem_uncharge_expert() - a counted expert was reclaimed, or released before that
 *
 * From now on it keeps nobody from opening another, but its user.
 */
void expertmem_uncharge_expert(void)
{
	atomic_long_dec(&nr_experts);
}

/**
 * expertmem_uncharge_expert_user() - a counted expert was released
 * @expert: the expert
 */
void expertmem_uncharge_expert_user(struct expertmem_expert *expert)
{
	atomic_long_dec(&expert->user->experts);
}

/**
 * expertmem_nr_experts() - count experts
 *
 * Return: how many are open and not reclaimed.
 */
unsigned int expertmem_nr_experts(void)
{
	return atomic_long_read(&nr_experts);
}

/**
 * expertmem_user_usage() - what a user has
 * @expert: an expert of this user
 * @pages: receives the charged pages
 *
 * Return: how many experts of the user are open, the reclaimed ones included.
 */
unsigned int expertmem_user_usage(const struct expertmem_expert *expert, unsigned long *pages)
{
	*pages = atomic_long_read(&expert->user->pages);
	return atomic_long_read(&expert->user->experts);
}

/* -------------------------------------------------------------------- charges */

/**
 * expertmem_committed() - what the expert has in regions
 * @expert: the expert
 *
 * Context: expert->lock held.
 * Return: pages in the regions of both windows.
 */
unsigned long expertmem_committed(const struct expertmem_expert *expert)
{
	lockdep_assert_held(&expert->lock);
	return expert->small.committed + expert->huge.committed;
}

/**
 * expertmem_charged() - what counts against the expert's limit
 * @expert: the expert
 *
 * Context: expert->lock held.
 * Return: pages in the regions of both windows, and pinned.
 */
unsigned long expertmem_charged(const struct expertmem_expert *expert)
{
	return expertmem_committed(expert) + atomic_long_read(&expert->pinned);
}

/**
 * expertmem_charge() - charge pages of a region that is made or grows
 * @window: the region's window
 * @pages: how many
 *
 * Context: expert->lock held.
 * Return: 0, -EDQUOT where the expert's or its user's limit would be passed, -ENOMEM where
 *	that of all experts would.
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
 * expertmem_uncharge() - pages of a region have been given back
 * @window: the region's window
 * @pages: how many
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
 * @window: the window that they were in
 * @pages: how many
 *
 * Until the window has been emptied they are charged for their region. That charge becomes
 * that of pinned pages: whoever works on the region is to take them off region->charged.
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
 * expertmem_uncharge_pinned() - pinned pages have been let go
 * @expert: the expert
 * @pages: how many
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
 * Return: pages, those of released experts included.
 */
unsigned long expertmem_total_pinned(void)
{
	return atomic_long_read(&total_pinned);
}
