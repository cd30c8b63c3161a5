/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The users of the device. A test that runs as root acts as each of them in a child.
 */
#ifndef EXPERTMEM_USERS_TEST_H
#define EXPERTMEM_USERS_TEST_H

#include <grp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <linux/capability.h>

#include "expertmem_test.h"

/* The group of the device while a test runs. */
#define DEVICE_GROUP	900

#define OWNER_UID	1000
#define OPERATOR_UID	1001
#define MEMBER_UID	1002
#define STRANGER_UID	1003

#define CAP(name)	(1ULL << CAP_##name)
#define CAPS_ALL	(~0ULL)

/**
 * struct actor - a user, and what its processes may do
 * @name: for messages
 * @uid: the real uid
 * @euid: the effective and the saved uid
 * @member: the process is in the group of the device
 * @caps: bits of the effective and permitted capabilities
 * @userns: the process is in a user namespace of its own, where it has all capabilities
 */
struct actor {
	const char *name;
	uid_t uid;
	uid_t euid;
	bool member;
	__u64 caps;
	bool userns;
};

static const struct actor root = { .name = "root", .caps = CAPS_ALL };

/* who may administer the network, and is not root */
static const struct actor operator = {
	.name = "operator", .uid = OPERATOR_UID, .euid = OPERATOR_UID, .member = true,
	.caps = CAP(NET_ADMIN),
};

/* whose expert most tests are about */
static const struct actor owner = {
	.name = "owner", .uid = OWNER_UID, .euid = OWNER_UID, .member = true,
};

/* another user of the device */
static const struct actor member = {
	.name = "member", .uid = MEMBER_UID, .euid = MEMBER_UID, .member = true,
};

/* who may not open the device */
static const struct actor stranger = {
	.name = "stranger", .uid = STRANGER_UID, .euid = STRANGER_UID,
};

/* The right of an operator, as far as the kernel is concerned. */
static inline bool is_operator(const struct actor *who)
{
	return !who->userns && who->caps & CAP(NET_ADMIN);
}

/* may_touch() - may @who do what owners may do to an expert that @uid opened? */
static inline bool may_touch(const struct actor *who, uid_t uid)
{
	return who->uid == uid || is_operator(who);
}

/* Keep those of @caps that the caller has. */
static inline int capabilities_set(__u64 caps)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];
	int i;

	if (syscall(SYS_capget, &header, data))
		return -errno;
	for (i = 0; i < 2; i++) {
		data[i].permitted &= (__u32)(caps >> 32 * i);
		data[i].effective = data[i].permitted;
		data[i].inheritable = 0;
	}
	return result(syscall(SYS_capset, &header, data));
}

/* become() - the calling process, which is root's, is @who from now on */
static inline int become(const struct actor *who)
{
	const gid_t group = DEVICE_GROUP;

	if (setgroups(who->member ? 1 : 0, &group) ||
	    setresgid(who->uid, who->euid, who->euid) ||
	    prctl(PR_SET_KEEPCAPS, 1) || setresuid(who->uid, who->euid, who->euid))
		return -errno;
	if (capabilities_set(who->caps))
		return -errno;
	if (who->userns && unshare(CLONE_NEWUSER))
		return -errno;
	/* as after exec(): /proc/self is the user's own */
	return result(prctl(PR_SET_DUMPABLE, 1));
}

/* shared() - zeroed memory that children write results to */
static inline void *shared(size_t size)
{
	void *addr = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return addr == MAP_FAILED ? NULL : addr;
}

/*
 * as() - call @fn in a child that is @who; what it returns
 *
 * The child shares the table of descriptors: what it opens, the caller has. What it writes to
 * memory that is not shared() is lost. The caller must have no other thread: in the child
 * setresuid() would wait for it. -ECHILD: the child died, or could not become @who.
 */
static inline long as(const struct actor *who, long (*fn)(void *arg), void *arg)
{
	long *answer = shared(sizeof(*answer)), value = -ECHILD;
	pid_t pid;

	if (!answer)
		return -ENOMEM;
	fflush(NULL);
	pid = syscall(SYS_clone, CLONE_FILES | SIGCHLD, NULL, NULL, NULL, NULL);
	if (!pid) {
		if (become(who))
			_exit(1);
		*answer = fn(arg);
		_exit(0);
	}
	if (pid > 0 && !child_status(pid))
		value = *answer;
	munmap(answer, sizeof(*answer));
	return value;
}

static inline long open_expert(void *flags)
{
	return result(open(DEVICE, *(int *)flags, 0600));
}

/* open_flags_as() - an expert that @who opens with these flags of open() */
static inline int open_flags_as(const struct actor *who, int flags)
{
	return as(who, open_expert, &flags);
}

/* open_as() - an expert that @who opens */
static inline int open_as(const struct actor *who)
{
	return open_flags_as(who, O_RDWR | O_CLOEXEC);
}

/* open_by_uid() - an expert of a user, whoever that is; opened with all capabilities */
static inline int open_by_uid(uid_t uid)
{
	int fd;

	if (setresuid(uid, -1, -1))
		return -errno;
	fd = expert_open();
	return setresuid(0, -1, -1) ? -errno : fd;
}

/* group_device() - let the members of DEVICE_GROUP open the device with @mode */
static inline int group_device(struct stat *old, mode_t mode)
{
	if (stat(DEVICE, old) || chown(DEVICE, 0, DEVICE_GROUP))
		return -errno;
	return result(chmod(DEVICE, mode));
}

static inline int ungroup_device(const struct stat *old)
{
	if (chown(DEVICE, old->st_uid, old->st_gid))
		return -errno;
	return result(chmod(DEVICE, old->st_mode & 07777));
}

/* open_experts() - how many experts are open, those that were reclaimed not included */
static inline unsigned long open_experts(void)
{
	struct expertmem_info info;
	int fd = expert_open();

	info = expert_info(fd);
	close(fd);
	return info.experts - 1;
}

static inline long nothing(void *arg)
{
	return 0;
}

/* For the setup of fixtures that act as users: NEED_DEVICE() and the rights to be anybody. */
#define NEED_USERS()								\
	do {									\
		NEED_DEVICE();							\
		if (geteuid() || as(&owner, nothing, NULL))			\
			SKIP_TEST("cannot become another user; be root");	\
	} while (0)

/* For tests whose actors have user namespaces. */
#define NEED_USER_NAMESPACES()							\
	do {									\
		const struct actor in_namespace = {				\
			.uid = STRANGER_UID, .euid = STRANGER_UID, .userns = true, \
		};								\
										\
		if (as(&in_namespace, nothing, NULL))				\
			SKIP(return, "this kernel has no user namespaces for users"); \
	} while (0)

#endif /* EXPERTMEM_USERS_TEST_H */
