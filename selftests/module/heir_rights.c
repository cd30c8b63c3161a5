// SPDX-License-Identifier: GPL-2.0
/*
 * FORK: the cases in which it is refused, the bounds of bytes and experts that it obeys, and
 * the rights that it does not require.
 *
 * needs: module root
 * also: slow
 */
#include <sys/resource.h>

#include "heir_test.h"

/* ----------------------------------------------------------------------- errors */

/* FORK fails with @err, and nothing has changed. */
static bool refused(int fd, int err)
{
	struct expertmem_info info = expert_info(fd);
	struct expertmem_stat stat = expert_stat(fd);

	return expert_fork(fd) == err && same_info(fd, &info) && unchanged(fd, &stat);
}

TEST_F(heir, unknown_flags_and_other_fields_that_are_not_zero_are_invalid)
{
	const int fd = self->m.w.fd;
	struct expertmem_info before = expert_info(fd);
	struct expertmem_fork arg;
	size_t i;

	for (i = 0; i < 32; i++) {
		arg = (struct expertmem_fork){ .flags = (1U << i) ^ EXPERTMEM_FORK_END };
		if (arg.flags)
			EXPECT_EQ(-EINVAL, expert_ioctl(fd, EXPERTMEM_IOC_FORK, &arg));
		arg = (struct expertmem_fork){ .fd = 1U << i };
		EXPECT_EQ(-EINVAL, expert_ioctl(fd, EXPERTMEM_IOC_FORK, &arg));
	}
	for (i = 0; i < COUNT_OF(arg.reserved); i++) {
		arg = (struct expertmem_fork){ };
		arg.reserved[i] = 1ULL << 63;
		EXPECT_EQ(-EINVAL, expert_ioctl(fd, EXPERTMEM_IOC_FORK, &arg));
	}
	EXPECT_EQ(-EFAULT, expert_ioctl(fd, EXPERTMEM_IOC_FORK, NULL));
	/* where the descriptor cannot be told, there is none, and no heir */
	EXPECT_EQ(-EFAULT, expert_ioctl(fd, EXPERTMEM_IOC_FORK,
					mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS,
					     -1, 0)));
	EXPECT_TRUE(same_info(fd, &before));
	EXPECT_EQ(SIGSEGV, touch_status(&self->m));
	EXPECT_TRUE(works(&self->m.w, self->m.offset));
}

TEST_F(heir, only_who_has_mapped_the_windows_may_call_fork)
{
	int idle = expert_open(), looking = open(DEVICE, O_RDONLY | O_CLOEXEC);
	struct expertmem_reclaim freed;
	struct memory m;
	pid_t pid;

	EXPECT_TRUE(refused(idle, -ENXIO));
	EXPECT_TRUE(refused(looking, -EBADF));
	EXPECT_EQ(-EBADF, expert_fork_end(looking, -1));
	fflush(NULL);
	pid = fork();
	if (!pid)
		_exit(!refused(self->m.w.fd, -EPERM));
	EXPECT_EQ(0, child_status(pid));
	ASSERT_EQ(0, memory_make(&m, &variant->kind, idle, HUGE));
	EXPECT_EQ(0, expert_reclaim(idle, &freed));
	EXPECT_TRUE(refused(idle, -ESHUTDOWN));
	EXPECT_EQ(0, expert_fork_end(idle, -1));
	window_close(&m.w);
	close(looking);
	EXPECT_TRUE(works(&self->m.w, self->m.offset));
}

TEST_F(heir, fork_fails_without_a_free_descriptor)
{
	int next = dup(self->m.w.fd);
	struct rlimit old, few;

	close(next);
	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &old));
	few = (struct rlimit){ next, old.rlim_max };
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &few));
	EXPECT_TRUE(refused(self->m.w.fd, -EMFILE));
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &old));
	EXPECT_TRUE(works(&self->m.w, self->m.offset));
}

/* The value of a parameter refuses the heir, until an expert and 8 MiB are given back. */
struct bound {
	struct window kind;
	const char *parameter, *value;
	int err;
};

static long meet_bound(void *arg)
{
	const struct bound *bound = arg;
	int second = expert_open();
	__u64 kept, given;
	struct window w;

	CHECK(second >= 0 && !window_open(&w, &bound->kind, WINDOW_SIZE, 0));
	CHECK(!region_alloc(&w, 24 * MIB, &kept) && !region_alloc(&w, 8 * MIB, &given));
	CHECK(refused(w.fd, bound->err));
	CHECK(!close(second) && !region_free(&w, given) && works(&w, kept));
	window_close(&w);
	return 0;
}

TEST_F(heir, bounds_of_a_user_and_of_all_users_are_kept)
{
	static const char * const names[] = {
		"uid_limit", "total_limit", "uid_max_experts", "max_experts", "default_limit",
	};
	/* the expert of the fixture counts where all do */
	const struct bound bounds[] = {
		{ variant->kind, "uid_max_experts", "2", -EDQUOT },
		{ variant->kind, "max_experts", "3", -ENFILE },
		{ variant->kind, "uid_limit", "48M", -EDQUOT },
		{ variant->kind, "total_limit", "64M", -ENOMEM },
	};
	struct parameter parameters[COUNT_OF(names)], bounded;
	struct stat device;
	size_t i;

	NEED_USERS();
	ASSERT_EQ(0, self->experts);
	ASSERT_EQ(0, group_device(&device, 0660));
	for (i = 0; i < COUNT_OF(names); i++)
		ASSERT_EQ(0, parameter_set(&parameters[i], names[i], "0"));
	for (i = 0; i < COUNT_OF(bounds); i++) {
		ASSERT_EQ(0, parameter_set(&bounded, bounds[i].parameter, bounds[i].value));
		EXPECT_EQ(0, as(&owner, meet_bound, (void *)&bounds[i]))
			TH_LOG("%s is %s", bounds[i].parameter, bounds[i].value);
		EXPECT_EQ(0, parameter_restore(&bounded));
	}
	for (i = 0; i < COUNT_OF(names); i++)
		EXPECT_EQ(0, parameter_restore(&parameters[i]));
	EXPECT_EQ(0, ungroup_device(&device));
}

/* ------------------------------------------------------------------------- rights */

static long fork_without_rights(void *kind)
{
	struct memory m;

	CHECK(!memory_make(&m, kind, expert_open(), HUGE));
	CHECK(!chmod(DEVICE, 0) && !chroot("/proc/self/net") && !chdir("/"));
	CHECK(!become(&stranger) && expert_open() < 0 && works(&m.w, m.offset));
	window_close(&m.w);
	return 0;
}

TEST_F(heir, rights_to_open_the_device_are_not_needed)
{
	struct stat device;

	NEED_USERS();
	ASSERT_EQ(0, group_device(&device, 0660));
	EXPECT_EQ(0, as(&root, fork_without_rights, (void *)&variant->kind));
	EXPECT_EQ(0, ungroup_device(&device));
}

/* @arg: an expert of the owner, without windows, whose limit root has raised to LIMIT */
static long inherit_limit(void *arg)
{
	struct memory m;
	struct nl nl;
	__u64 id;
	int heir;

	CHECK(!memory_make(&m, &huge_window, *(int *)arg, HUGE) && !nl_open(&nl));
	heir = expert_fork(m.w.fd);
	id = expert_stat(heir).id;
	CHECK(expert_stat(heir).limit == LIMIT);
	CHECK(expert_configure(heir, NAME, 2 * LIMIT, 0) == -EBUSY);
	CHECK(nl_set(&nl, id, 2 * LIMIT) == -EPERM && nl_set(&nl, id, 0) == -EPERM);
	CHECK(!nl_set(&nl, id, LIMIT / 2) && expert_stat(heir).limit == LIMIT / 2);
	CHECK(expert_stat(m.w.fd).limit == LIMIT);
	CHECK(!expert_fork_end(m.w.fd, heir) && works(&m.w, m.offset));
	close(nl.fd);
	window_close(&m.w);
	return 0;
}

TEST_F(heir, limit_that_was_raised_is_the_heirs_and_its_owner_cannot_raise_it)
{
	struct parameter parameter;
	struct stat device;
	struct nl nl;
	int fd;

	NEED_USERS();
	ASSERT_EQ(0, group_device(&device, 0660));
	ASSERT_EQ(0, parameter_set(&parameter, "default_limit", "4M"));
	ASSERT_EQ(0, nl_open(&nl));
	fd = open_as(&owner);
	EXPECT_EQ(4 * MIB, expert_stat(fd).limit);
	EXPECT_EQ(0, nl_set(&nl, expert_stat(fd).id, LIMIT));
	EXPECT_EQ(0, as(&owner, inherit_limit, &fd));
	close(nl.fd);
	EXPECT_EQ(0, parameter_restore(&parameter));
	EXPECT_EQ(0, ungroup_device(&device));
}

TEST_HARNESS_MAIN
