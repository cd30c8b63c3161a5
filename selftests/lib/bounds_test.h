/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Shared by the tests of the users' bounds: small bounds, experts opened until there are no
 * more, user namespaces, and threads that race.
 */
#ifndef BOUNDS_TEST_H
#define BOUNDS_TEST_H

#include <pthread.h>
#include <sys/socket.h>

#include "harness.h"
#include "netlink_test.h"
#include "users_test.h"

#define WINDOW		GIB
#define TOTAL		(64 * MIB)
#define UID_LIMIT	(TOTAL / 2)		/* what "auto" makes of it */
#define RESERVE		(TOTAL / 16)		/* for privileged experts only */

#define MAX_EXPERTS	32
#define UID_EXPERTS	(MAX_EXPERTS / 2)
#define EXPERTS_RESERVE	(MAX_EXPERTS / 16)

/* The owner, with the capability that lifts the bounds. */
static const struct actor exempt_owner = {
	.name = "owner with CAP_SYS_RESOURCE", .uid = OWNER_UID, .euid = OWNER_UID,
	.member = true, .caps = CAP(SYS_RESOURCE),
};

/* Who makes containers: root, in the group of the device. */
static const struct actor container_root = {
	.name = "root that makes a container", .member = true, .caps = CAPS_ALL,
};

static const struct {
	const char *name, *value;
} settings[] = {
	{ "total_limit", "64M" }, { "uid_limit", "auto" }, { "max_experts", "32" },
	{ "uid_max_experts", "auto" }, { "default_limit", "0" },
};

FIXTURE(bounds)
{
	struct nl nl;
	struct stat device;
	struct parameter parameters[COUNT_OF(settings)];
};

FIXTURE_SETUP(bounds)
{
	size_t i;

	NEED_USERS();
	/* of others, or counted though they are gone */
	ASSERT_EQ(open_experts(), 0);
	ASSERT_EQ(group_device(&self->device, 0660), 0);
	for (i = 0; i < COUNT_OF(settings); i++)
		ASSERT_EQ(parameter_set(&self->parameters[i], settings[i].name,
					settings[i].value), 0);
	ASSERT_EQ(nl_open(&self->nl), 0);
}

FIXTURE_TEARDOWN(bounds)
{
	size_t i;

	close(self->nl.fd);
	EXPECT_EQ(open_experts(), 0);
	for (i = 0; i < COUNT_OF(settings); i++)
		EXPECT_EQ(parameter_restore(&self->parameters[i]), 0);
	EXPECT_EQ(ungroup_device(&self->device), 0);
}

static inline int parameter_write(const char *name, const char *value)
{
	char path[128];

	snprintf(path, sizeof(path), PARAMETERS "%s", name);
	return file_write(path, value);
}

static inline const char *parameter_read(const char *name)
{
	static char value[32];
	char path[128];

	snprintf(path, sizeof(path), PARAMETERS "%s", name);
	return file_read(path, value, sizeof(value)) ? "cannot be read" : value;
}

/* ------------------------------------------------------------------ many experts */

#define MANY		64

/**
 * struct many - experts that somebody opens, until it cannot
 * @flags: of open()
 * @most: how many at most
 * @fds: they
 * @count: how many
 * @err: what ended it, 0 if nothing did
 */
struct many {
	int flags;
	int most;
	int fds[MANY];
	int count;
	int err;
};

static inline long open_many(void *arg)
{
	struct many *many = arg;
	int fd;

	for (many->count = many->err = 0; many->count < many->most; many->count++) {
		fd = open_expert(&many->flags);
		if (fd < 0) {
			many->err = fd;
			break;
		}
		many->fds[many->count] = fd;
	}
	return many->count;
}

static inline struct many *new_many(void)
{
	struct many *many = shared(sizeof(*many));

	many->flags = O_RDWR | O_CLOEXEC;
	many->most = MANY;
	return many;
}

static inline void close_many(struct many *many)
{
	while (many->count)
		close(many->fds[--many->count]);
}

#define EXPECT_OPENED(who, many, number, error)					\
	do {									\
		EXPECT_EQ(as(who, open_many, many), number);			\
		EXPECT_EQ((many)->err, error);					\
	} while (0)

/* --------------------------------------------------------------- user namespaces */

/**
 * struct level - a user namespace inside of another
 * @creator: the uid and gid, of the namespace around it, that make it
 * @map: what the root of the namespace around it writes to uid_map and gid_map
 * @uid: the uid and gid that are used in it
 */
struct level {
	uid_t creator;
	const char *map;
	uid_t uid;
};

static inline int become_inside(uid_t id)
{
	if (setresgid(id, id, id) || setresuid(id, id, id))
		return -errno;
	/* or /proc/PID/uid_map would be the initial namespace's root's */
	return result(prctl(PR_SET_DUMPABLE, 1));
}

static inline int enter(const struct actor *creator, const struct level *level, int line)
{
	char byte = 0;

	if ((creator ? become(creator) : become_inside(level->creator)) ||
	    unshare(CLONE_NEWUSER) || write(line, &byte, 1) != 1 || read(line, &byte, 1) != 1)
		return -EBADE;
	return become_inside(level->uid);
}

static inline int write_maps(pid_t pid, const char *map)
{
	char path[64];
	int err;

	snprintf(path, sizeof(path), "/proc/%d/uid_map", pid);
	err = file_write(path, map);
	snprintf(path, sizeof(path), "/proc/%d/gid_map", pid);
	return err ?: file_write(path, map);
}

/*
 * Open as many experts as can be inside of @count namespaces, the first of which @creator
 * makes; it is NULL for those further inside. How many, or a negative errno.
 */
static inline int open_inside(const struct actor *creator, const struct level *levels,
			      int count, struct many *many)
{
	int line[2], err;
	char byte;
	pid_t pid;

	if (!count)
		return open_many(many);
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, line))
		return -errno;
	many->count = 0;
	pid = syscall(SYS_clone, CLONE_FILES | SIGCHLD, NULL, NULL, NULL, NULL);
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		err = enter(creator, levels, line[1]);
		if (!err)
			err = open_inside(NULL, levels + 1, count - 1, many);
		_exit(err < 0);
	}
	err = read(line[0], &byte, 1) == 1 ? write_maps(pid, levels->map) : -EBADE;
	if (write(line[0], &byte, 1) != 1)
		err = -EBADE;
	if (child_status(pid))
		err = -ECHILD;
	close(line[0]);
	close(line[1]);
	return err ?: many->count;
}

/* The owner itself, and ids that were delegated to it. */
#define OWNERS_MAP	"0 1000 1\n1 200000 16\n"
#define CONTAINERS_MAP	"0 300000 16\n"

/* ----------------------------------------------------------------------- threads */

#define THREADS		4

/* What the bound allows at a time, where threads take and give back one each. */
#define ALLOWED		2

/**
 * struct racer - a thread that takes what it gets
 * @start: when all are ready
 * @w: its window, where it takes memory
 * @uid: whose experts it opens, where it opens some
 * @fds: these
 * @got: granules, or experts
 * @err: that it met first
 * @go_on: give back and take again until this is false
 * @tries: or so often
 * @holders: how many threads have taken one just now
 * @most: the most that this thread has seen, of holders or of what is counted
 */
struct racer {
	pthread_barrier_t *start;
	struct window w;
	uid_t uid;
	int fds[MANY];
	unsigned long got;
	int err;
	volatile bool *go_on;
	unsigned long tries;
	int *holders;
	int most;
};

/*
 * Between taking and giving back: how many threads have taken one, at the least, and how many
 * the kernel has counted.
 */
static inline void count_holders(struct racer *racer, int counted)
{
	int now = __atomic_add_fetch(racer->holders, 1, __ATOMIC_SEQ_CST);

	if (now > racer->most)
		racer->most = now;
	if (counted > racer->most)
		racer->most = counted;
	racer->got++;
	/* let the others try while this thread has one */
	sched_yield();
	__atomic_sub_fetch(racer->holders, 1, __ATOMIC_SEQ_CST);
}

static inline void run(struct __test_metadata *_metadata, struct racer *racers,
		       void *(*what)(void *arg))
{
	pthread_t threads[THREADS];
	pthread_barrier_t start;
	int i;

	ASSERT_EQ(pthread_barrier_init(&start, NULL, THREADS), 0);
	for (i = 0; i < THREADS; i++) {
		racers[i].start = &start;
		racers[i].got = 0;
		ASSERT_EQ(pthread_create(&threads[i], NULL, what, &racers[i]), 0);
	}
	for (i = 0; i < THREADS; i++)
		ASSERT_EQ(pthread_join(threads[i], NULL), 0);
	pthread_barrier_destroy(&start);
}

#endif /* BOUNDS_TEST_H */
