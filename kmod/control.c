// SPDX-License-Identifier: GPL-2.0
/*
 * Control: CONFIGURE, changes of the limit, and TERMINATE, by ioctl and by netlink.
 */
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/nls.h>
#include <linux/sched/signal.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/user_namespace.h>

#include "expertmem.h"
#include "trace.h"

/*
 * Tools and logs print names, so a name is one line of UTF-8 without control characters, padded
 * with NUL. Some terminals execute U+0080 to U+009F like escape sequences.
 */
static bool name_is_valid(const char *name, size_t size)
{
	size_t len = strnlen(name, size);
	unicode_t c;
	size_t i;
	int n;

	for (i = 0; i < len; i += n) {
		n = utf8_to_utf32((const u8 *)name + i, len - i, &c);
		if (n < 0 || c < ' ' || (c >= 0x7f && c < 0xa0))
			return false;
	}
	return len < size && !memchr_inv(name + len, 0, size - len);
}

/* Is @limit greater than the expert's limit? 0 means no limit. */
static bool is_raised(const struct expertmem_expert *expert, u64 limit)
{
	lockdep_assert_held(&expert->lock);
	return expert->limit && (!limit || limit > expert->limit);
}

#define CONFIG_FLAGS	(EXPERTMEM_CONFIG_UNSWAPPABLE | EXPERTMEM_CONFIG_DEFAULT_LIMIT)

/**
 * expertmem_configure() - the CONFIGURE ioctl
 * @expert: the expert
 * @uarg: its argument
 *
 * Context: process context, may sleep; takes expert->lock.
 * Return: 0 or a negative errno, as the uAPI header says.
 */
int expertmem_configure(struct expertmem_expert *expert, struct expertmem_config __user *uarg)
{
	struct expertmem_config config;
	bool keep_limit, may_raise;
	int err = 0;

	if (copy_from_user(&config, uarg, sizeof(config)))
		return -EFAULT;
	keep_limit = config.flags & EXPERTMEM_CONFIG_DEFAULT_LIMIT;
	if (config.flags & ~CONFIG_FLAGS || config.reserved || (keep_limit && config.limit) ||
	    !name_is_valid(config.name, sizeof(config.name)))
		return -EINVAL;
	may_raise = keep_limit || ns_capable_noaudit(&init_user_ns, CAP_NET_ADMIN);
	/* The pages are not counted as locked: the caller must be allowed to lock any amount. */
	if (config.flags & EXPERTMEM_CONFIG_UNSWAPPABLE &&
	    rlimit(RLIMIT_MEMLOCK) != RLIM_INFINITY && !capable(CAP_IPC_LOCK))
		return -EPERM;

	mutex_lock(&expert->lock);
	if (expert->state == EXPERTMEM_STATE_RECLAIMED) {
		err = -ESHUTDOWN;
	} else if (expert->configured || expert->small.state != WINDOW_UNMAPPED ||
		   expert->huge.state != WINDOW_UNMAPPED) {
		err = -EBUSY;
	} else if (!may_raise && is_raised(expert, config.limit)) {
		err = -EPERM;
	} else {
		expert->configured = true;
		expert->flags = config.flags & EXPERTMEM_CONFIG_UNSWAPPABLE;
		if (!keep_limit)
			expert->limit = config.limit;
		memcpy(expert->name, config.name, sizeof(expert->name));
	}
	mutex_unlock(&expert->lock);
	trace_expertmem_configure(expert->id, &config, err);
	return err;
}

/**
 * expertmem_terminate() - ask an expert to stop
 * @expert: the expert
 *
 * Context: takes expert->lock.
 * Return: 0; -EINTR if the caller is being killed; -ENOENT if the expert was released, which a
 *	caller that holds the device file cannot get.
 */
int expertmem_terminate(struct expertmem_expert *expert)
{
	int err = 0;

	if (mutex_lock_killable(&expert->lock))
		return -EINTR;
	if (expert->released) {
		err = -ENOENT;
	} else if (expert->state < EXPERTMEM_STATE_TERMINATING) {
		expert->state = EXPERTMEM_STATE_TERMINATING;
		expertmem_set_status(expert, EXPERTMEM_STATUS_TERMINATE);
		expertmem_event(expert, EXPERTMEM_EVENT_TERMINATE);
	}
	mutex_unlock(&expert->lock);
	if (!err)
		trace_expertmem_terminate(expert->id);
	return err;
}

/**
 * expertmem_set_limit() - change the limit of an expert
 * @expert: the expert
 * @limit: new limit in bytes, 0: no limit; if the expert has more, it keeps that and gets no more
 * @may_raise: the caller may set a limit greater than the present one
 *
 * Context: takes expert->lock.
 * Return: 0; -EINTR if the caller is being killed; -ENOENT if the expert was released; -EPERM if
 *	@limit is greater than the present one and @may_raise is false.
 */
int expertmem_set_limit(struct expertmem_expert *expert, u64 limit, bool may_raise)
{
	int err = 0;

	if (mutex_lock_killable(&expert->lock))
		return -EINTR;
	if (expert->released)
		err = -ENOENT;
	else if (!may_raise && is_raised(expert, limit))
		err = -EPERM;
	else
		expert->limit = limit;
	mutex_unlock(&expert->lock);
	return err;
}
