// SPDX-License-Identifier: GPL-2.0
/*
 * FORK: make an heir, the expert of the next child of a thread.
 *
 *	FORK, in the parent, makes the heir. Its windows are prepared: they have files and
 *	copies of the parent's regions, but no mapping. The pages are copied when the parent
 *	or the child touches them (loan.c).
 *	fork(), in the same thread, has the mm copy the mappings of the parent's windows. The
 *	copies are orphans, which refer to the heir's windows (orphan.c).
 *	The first touch of an orphan in the child maps the heir's window in its place.
 */
#include <linux/cred.h>
#include <linux/fcntl.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/pid.h>
#include <linux/sched.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "expertmem.h"

/*
 * Has the current process mapped the windows of @expert? Windows that it has inherited and not
 * touched yet are mapped first.
 */
static int check_caller(struct expertmem_expert *expert)
{
	struct expertmem_window *windows[] = { &expert->small, &expert->huge };
	int err = -ENXIO, i;

	expertmem_orphans_take_over(expert);
	mutex_lock(&expert->lock);
	for (i = 0; i < ARRAY_SIZE(windows); i++) {
		if (!expertmem_window_lives(windows[i]))
			continue;
		err = windows[i]->state == WINDOW_MAPPED && windows[i]->mm == current->mm ?
		      0 : -EPERM;
		if (err)
			break;
	}
	if (expert->state == EXPERTMEM_STATE_RECLAIMED)
		err = -ESHUTDOWN;
	mutex_unlock(&expert->lock);
	return err;
}

static void configure(struct expertmem_expert *heir, struct expertmem_expert *expert)
{
	struct expertmem_stat stat;

	mutex_lock(&expert->lock);
	expertmem_snapshot(expert, &stat);
	mutex_unlock(&expert->lock);

	mutex_lock(&heir->lock);
	heir->configured = true;
	heir->limit = stat.limit;
	heir->flags = stat.flags;
	memcpy(heir->name, stat.name, sizeof(heir->name));
	mutex_unlock(&heir->lock);
}

static int prepare(struct expertmem_window *window, const struct expertmem_window *from)
{
	struct file *file;
	int err = 0;

	if (READ_ONCE(from->state) != WINDOW_MAPPED)
		return 0;
	file = expertmem_window_file(window, from->pages);
	if (IS_ERR(file))
		return PTR_ERR(file);
	mutex_lock(&window->expert->lock);
	if (window->state == WINDOW_UNMAPPED) {
		expertmem_window_set_file(window, file, from->pages);
		window->state = WINDOW_PREPARED;
	} else {	/* an operator has reclaimed the heir already */
		err = -ESHUTDOWN;
	}
	mutex_unlock(&window->expert->lock);
	if (err)
		fput(file);
	return err;
}

static int inherit(struct expertmem_expert *heir, struct expertmem_expert *expert, bool lend)
{
	int err;

	configure(heir, expert);
	err = prepare(&heir->small, &expert->small);
	if (!err)
		err = prepare(&heir->huge, &expert->huge);
	if (!err)
		err = expertmem_copy_regions(heir, expert, lend);
	return err;
}

static struct file *make_heir(struct expertmem_expert *expert, bool lend)
{
	struct expertmem_reclaim result;
	struct file *heir;
	int err;

	heir = dentry_open(&expert->file->f_path, O_RDWR | O_LARGEFILE, current_cred());
	if (IS_ERR(heir))
		return heir;
	err = inherit(heir->private_data, expert, lend);
	if (!err)
		return heir;
	/* the heir is released when the call returns; uncharge its regions before that */
	expertmem_reclaim(heir->private_data, NULL, EXPERTMEM_CAUSE_DETACH, &result);
	fput(heir);
	return ERR_PTR(err);
}

/* Make @heir the heir of @expert, unless the expert was reclaimed meanwhile. */
static int set_heir(struct expertmem_expert *expert, struct file *heir)
{
	int err = -ESHUTDOWN;

	mutex_lock(&expert->lock);
	expertmem_disinherit(expert);
	if (expert->state != EXPERTMEM_STATE_RECLAIMED) {
		expert->heir = get_file(heir);
		expert->testator = get_pid(task_pid(current));
		err = 0;
	}
	mutex_unlock(&expert->lock);
	return err;
}

/**
 * expertmem_fork() - the FORK ioctl
 * @expert: the expert
 * @uarg: its argument
 *
 * Context: process context, may sleep; takes expert->lock of the expert and of the heir.
 * Return: 0 or a negative errno, as the uAPI header says.
 */
int expertmem_fork(struct expertmem_expert *expert, struct expertmem_fork __user *uarg)
{
	struct expertmem_fork arg;
	struct file *heir;
	int err;

	if (copy_from_user(&arg, uarg, sizeof(arg)))
		return -EFAULT;
	if (arg.fd || (arg.flags && arg.flags != EXPERTMEM_FORK_END &&
		       arg.flags != EXPERTMEM_FORK_POPULATE) ||
	    memchr_inv(arg.reserved, 0, sizeof(arg.reserved)))
		return -EINVAL;
	if (arg.flags == EXPERTMEM_FORK_END) {
		mutex_lock(&expert->lock);
		expertmem_disinherit(expert);
		mutex_unlock(&expert->lock);
		return 0;
	}
	err = check_caller(expert);
	if (err)
		return err;
	arg.fd = get_unused_fd_flags(O_CLOEXEC);
	if (arg.fd < 0)
		return arg.fd;
	heir = make_heir(expert, arg.flags != EXPERTMEM_FORK_POPULATE);
	/* another thread has paid off what the parent itself borrowed: copy all pages instead */
	if (heir == ERR_PTR(-EAGAIN))
		heir = make_heir(expert, false);
	err = PTR_ERR_OR_ZERO(heir);
	if (err)
		goto err_fd;
	if (copy_to_user(uarg, &arg, sizeof(arg)))
		err = -EFAULT;
	if (!err)
		err = set_heir(expert, heir);
	if (err)
		goto err_heir;
	fd_install(arg.fd, heir);
	return 0;

err_heir:
	fput(heir);
err_fd:
	put_unused_fd(arg.fd);
	return err;
}
