// SPDX-License-Identifier: GPL-2.0
/*
 * Reclaim: free all pages of an expert, whatever it is doing.
 *
 *	Close the gates of the windows, under expert->lock.
 *	Wait for the faults that passed the gates before. Then no fault and no populate adds a page.
 *	Truncate the files. Before that, copy the pages that borrowers still owe.
 *	Uncharge the regions, under expert->lock, and free them. No other call finds them any more.
 *
 * Reclaim is started by the ioctl, by netlink, by the end of a mapping, by the death of the process
 * that mapped a window, and by the loss of pages that a borrower owed (loan.c). The death needs a
 * case of its own, because an mm may outlive its process: another process shares the mm, or is
 * reading from it.
 */
#include <linux/completion.h>
#include <linux/mm.h>
#include <linux/pid.h>
#include <linux/rcupdate.h>
#include <linux/refcount.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "expertmem.h"
#include "trace.h"

/* Close the gate of a whole window for good. Return true if the window was not gone before. */
static bool close_window(struct expertmem_window *window, struct expertmem_reclaim *result)
{
	bool lives = expertmem_window_lives(window);

	lockdep_assert_held(&window->expert->lock);
	WRITE_ONCE(window->state, WINDOW_GONE);
	if (lives) {
		result->reclaimed_bytes += (u64)window->committed << PAGE_SHIFT;
		result->reclaimed_resident += (u64)expertmem_window_resident(window) << PAGE_SHIFT;
		result->reclaimed_regions += window->nr_regions;
	}
	return lives;
}

/* Free the pages of a gone window. The first caller to finish uncharges and frees the regions. */
static void empty_window(struct expertmem_window *window)
{
	struct rb_root regions = RB_ROOT;

	expertmem_window_wait_for_faults(window);
	expertmem_loan_stop(window);
	expertmem_window_truncate(window, 0, window->pages);
	expertmem_loan_end(window);
	mutex_lock(&window->expert->lock);
	if (!window->emptied) {
		window->emptied = true;
		expertmem_uncharge(window, window->committed);
		window->nr_regions = 0;
		swap(regions, window->regions);
	}
	mutex_unlock(&window->expert->lock);
	expertmem_regions_destroy(regions);
}

static bool is_empty(const struct expertmem_window *window)
{
	return !window->file || window->emptied;
}

/* Send the event RECLAIMED, once, when all memory is free. */
static void tell(struct expertmem_expert *expert)
{
	mutex_lock(&expert->lock);
	if (expert->state == EXPERTMEM_STATE_RECLAIMED && !expert->told &&
	    is_empty(&expert->small) && is_empty(&expert->huge)) {
		expert->told = true;
		expertmem_event(expert, EXPERTMEM_EVENT_RECLAIMED);
	}
	mutex_unlock(&expert->lock);
}

/* The signal that killed a process, or 0 if it called exit(). */
static u32 exit_signal(const struct task_struct *leader)
{
	const struct signal_struct *signal = leader->signal;

	return (signal->flags & SIGNAL_GROUP_EXIT ? signal->group_exit_code :
						    leader->exit_code) & 0x7f;
}

/*
 * Signal that killed the process that mapped @window, or 0 if the process lives or called exit().
 * The process may not be dead yet: it is exiting and unmaps the window, or another process that
 * shared its mm has unmapped the window.
 */
static u32 fatal_signal(const struct expertmem_window *window)
{
	u32 signal = READ_ONCE(window->signal);
	struct task_struct *leader;

	rcu_read_lock();
	leader = pid_task(window->mapper, PIDTYPE_TGID);
	if (leader && (leader->flags & PF_EXITING || leader->signal->flags & SIGNAL_GROUP_EXIT))
		signal = exit_signal(leader);
	rcu_read_unlock();
	return signal;
}

/* If no window is left, set the expert's state to reclaimed. */
static void check_end(struct expertmem_expert *expert, struct expertmem_window *only,
		      enum expertmem_cause cause)
{
	lockdep_assert_held(&expert->lock);
	if (expert->state == EXPERTMEM_STATE_RECLAIMED ||
	    expertmem_window_lives(&expert->small) || expertmem_window_lives(&expert->huge))
		return;
	expert->state = EXPERTMEM_STATE_RECLAIMED;
	expert->cause = cause;
	expertmem_disinherit(expert);
	expertmem_set_status(expert, EXPERTMEM_STATUS_RECLAIMED);
	expertmem_uncharge_expert();
	atomic64_inc(&expertmem_totals.reclaimed[cause]);
	if (only)
		expert->signal = fatal_signal(only);
	if (expert->signal)
		atomic64_inc(&expertmem_totals.killed);
}

static void add_freed(struct expertmem_expert *expert, const struct expertmem_reclaim *result)
{
	lockdep_assert_held(&expert->lock);
	expert->freed.reclaimed_bytes += result->reclaimed_bytes;
	expert->freed.reclaimed_resident += result->reclaimed_resident;
	expert->freed.reclaimed_regions += result->reclaimed_regions;
	atomic64_add(result->reclaimed_bytes, &expertmem_totals.reclaimed_bytes);
}

/**
 * expertmem_reclaim() - free the pages of windows; an expert without windows is reclaimed
 * @expert: the expert
 * @only: the one window to reclaim, whose mapping has ended; NULL: both windows
 * @cause: the cause, if this call reclaims the last window
 * @result: receives what this call freed; flags and reserved are zero
 *
 * On return no page is left in the windows' files, even if another call began to reclaim them. That
 * call may still be giving its last batch of pages (15 at most) back to the mm.
 *
 * Context: process context; may sleep; mmap_lock may be held; takes
 *	expert->reclaim_lock, expert->pins_lock and expert->lock.
 * Return: 0; -ENOENT if the expert was released, which a caller that holds the device file cannot
 *	get.
 */
int expertmem_reclaim(struct expertmem_expert *expert, struct expertmem_window *only,
		      enum expertmem_cause cause, struct expertmem_reclaim *result)
{
	struct expertmem_window *windows[] = { &expert->small, &expert->huge };
	bool closed[ARRAY_SIZE(windows)] = { }, full[ARRAY_SIZE(windows)] = { };
	bool released;
	int i;

	memset(result, 0, sizeof(*result));
	down_read(&expert->reclaim_lock);
	mutex_lock(&expert->lock);
	released = expert->released;
	if (!released) {
		for (i = 0; i < ARRAY_SIZE(windows); i++) {
			if (only && only != windows[i])
				continue;
			closed[i] = close_window(windows[i], result);
			full[i] = !is_empty(windows[i]);
		}
		add_freed(expert, result);
		check_end(expert, only, cause);
	}
	mutex_unlock(&expert->lock);

	for (i = 0; i < ARRAY_SIZE(windows); i++)
		if (full[i])
			empty_window(windows[i]);
	if (!released)
		tell(expert);
	up_read(&expert->reclaim_lock);
	if (closed[0] || closed[1])
		trace_expertmem_reclaim(expert->id, cause, result);
	return released ? -ENOENT : 0;
}

/* ------------------------------------------------------------ in a worker */

/* How long a netlink request waits for a reclaim. */
#define PATIENCE	(2 * HZ)

/**
 * struct expertmem_request - a reclaim that a worker runs for netlink requests
 * @work: the work, queued once
 * @refs: reference count: one of the worker, and one of each request that waits
 * @done: completed when the reclaim has ended
 * @expert: the expert, with a reference
 * @cause: the cause for expertmem_reclaim()
 * @result: the result of expertmem_reclaim(), written before @done
 * @err: the return value of expertmem_reclaim(), written before @done
 */
struct expertmem_request {
	struct work_struct work;
	refcount_t refs;
	struct completion done;
	struct expertmem_expert *expert;
	enum expertmem_cause cause;
	struct expertmem_reclaim result;
	int err;
};

static void put_request(struct expertmem_request *request)
{
	if (refcount_dec_and_test(&request->refs)) {
		expertmem_put(request->expert);
		kfree(request);
	}
}

static void do_request(struct work_struct *work)
{
	struct expertmem_request *request = container_of(work, struct expertmem_request, work);
	struct expertmem_expert *expert = request->expert;

	request->err = expertmem_reclaim(expert, NULL, request->cause, &request->result);
	mutex_lock(&expert->lock);
	expert->request = NULL;
	mutex_unlock(&expert->lock);
	complete_all(&request->done);
	put_request(request);
}

/* Return the running request of an expert, or @new, which is queued; with a reference. */
static struct expertmem_request *join_request(struct expertmem_expert *expert,
					      struct expertmem_request *new)
{
	struct expertmem_request *request;

	mutex_lock(&expert->lock);
	request = expert->request;
	if (request) {
		refcount_inc(&request->refs);
	} else {
		request = new;
		expert->request = new;
		queue_work(expertmem_workqueue, &new->work);
	}
	mutex_unlock(&expert->lock);
	return request;
}

/**
 * expertmem_reclaim_for_request() - reclaim in a worker, and wait for it for a limited time
 * @expert: the expert, to which the caller has a reference
 * @cause: the cause
 * @result: receives the result; a call that joins a running request gets the result of that one
 *
 * Reclaim waits for faults of the expert, which may take long: they read from swap, or wait for
 * memory. The wait here is interruptible and has a timeout, because generic netlink holds a lock
 * that all its families share. The reclaim goes on after that. An expert has at most one request:
 * further calls join it.
 *
 * Context: process context; may sleep.
 * Return: 0; -ENOENT if the expert was released; -EINTR if a signal came; -EINPROGRESS after the
 *	timeout; -ENOMEM if nothing was begun.
 */
int expertmem_reclaim_for_request(struct expertmem_expert *expert, enum expertmem_cause cause,
				  struct expertmem_reclaim *result)
{
	struct expertmem_request *new, *request;
	long left;
	int err;

	new = kzalloc(sizeof(*new), GFP_KERNEL_ACCOUNT);
	if (!new)
		return -ENOMEM;
	INIT_WORK(&new->work, do_request);
	refcount_set(&new->refs, 2);
	init_completion(&new->done);
	kref_get(&expert->ref);
	new->expert = expert;
	new->cause = cause;

	request = join_request(expert, new);
	if (request != new) {
		put_request(new);
		put_request(new);
	}
	left = wait_for_completion_interruptible_timeout(&request->done, PATIENCE);
	if (left > 0) {
		err = request->err;
		*result = request->result;
	} else {
		err = left ? -EINTR : -EINPROGRESS;
	}
	put_request(request);
	return err;
}

/* ------------------------------------------------------- death of a process */

static void reclaim_window(struct work_struct *work)
{
	struct expertmem_window *window = container_of(work, struct expertmem_window,
						       work);
	struct expertmem_expert *expert = window->expert;
	struct expertmem_reclaim result;

	expertmem_reclaim(expert, window, EXPERTMEM_CAUSE_DETACH, &result);
	expertmem_put(expert);
}

/**
 * expertmem_reclaim_init() - initialize the work of a new window
 * @window: the window
 */
void expertmem_reclaim_init(struct expertmem_window *window)
{
	INIT_WORK(&window->work, reclaim_window);
}

/*
 * Wait queue callback, called when pollers of a pidfd are woken: a thread of the process has ended,
 * perhaps the last one. The lock of the wait queue is held, and interrupts are off.
 */
static int process_ended(struct wait_queue_entry *entry, unsigned int mode, int sync, void *key)
{
	struct expertmem_window *window = container_of(entry, struct expertmem_window, death);
	struct task_struct *leader;
	bool dead;

	rcu_read_lock();
	leader = pid_task(window->mapper, PIDTYPE_TGID);
	dead = !leader || (READ_ONCE(leader->exit_state) && thread_group_empty(leader));
	if (leader && dead)
		WRITE_ONCE(window->signal, exit_signal(leader));
	rcu_read_unlock();
	if (!dead)
		return 0;

	/* the mapping keeps the expert while the entry waits; the work gets its own reference */
	expertmem_reclaim_soon(window);
	return 0;
}

/**
 * expertmem_death_watch() - have a window reclaimed when the process that mapped it dies
 * @window: the window, just mapped by the current process
 *
 * Context: mmap_lock held; none of the expert's locks held.
 */
void expertmem_death_watch(struct expertmem_window *window)
{
	init_waitqueue_func_entry(&window->death, process_ended);
	add_wait_queue(&window->mapper->wait_pidfd, &window->death);
}

/**
 * expertmem_death_unwatch() - stop watching the process that mapped a window
 * @window: the window, whose mapping has ended
 *
 * Context: mmap_lock held; none of the expert's locks held.
 */
void expertmem_death_unwatch(struct expertmem_window *window)
{
	remove_wait_queue(&window->mapper->wait_pidfd, &window->death);
}
