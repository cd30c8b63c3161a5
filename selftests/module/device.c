// SPDX-License-Identifier: GPL-2.0
/*
 * The ioctls that concern an expert as a whole, and the parameters of the module: results,
 * refusals and error codes.
 *
 * needs: module root
 * also: 32bit
 */
#include <sys/resource.h>

#include "harness.h"

#include "expertmem_test.h"
#include "names.h"

FIXTURE(expert) {
	int fd;
	struct parameter parameter;
};

FIXTURE_SETUP(expert)
{
	NEED_DEVICE();
	self->fd = expert_open();
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(expert)
{
	close(self->fd);
	if (self->parameter.path[0])
		EXPECT_EQ(0, parameter_restore(&self->parameter));
}

/* A name exactly as given, all 32 bytes of it. */
static int configure_raw(int fd, const char name[32])
{
	struct expertmem_config arg = { };

	memcpy(arg.name, name, sizeof(arg.name));
	return expert_ioctl(fd, EXPERTMEM_IOC_CONFIGURE, &arg);
}

/* ------------------------------------------------------------------- GET_INFO */

TEST_F(expert, info_says_what_the_module_is)
{
	struct expertmem_info info = expert_info(self->fd);
	size_t i;

	EXPECT_EQ(EXPERTMEM_ABI_VERSION, info.abi);
	EXPECT_EQ(0, info.features & ~(EXPERTMEM_FEATURE_HUGE | EXPERTMEM_FEATURE_UNSWAPPABLE));
	EXPECT_NE(0, info.features & EXPERTMEM_FEATURE_UNSWAPPABLE);
	EXPECT_EQ(PAGE, info.small_granule);
	EXPECT_EQ(HUGE, info.huge_granule);
	EXPECT_EQ(EXPERTMEM_WINDOW_MAX, info.window_max);
	for (i = 0; i < COUNT_OF(info.reserved); i++)
		EXPECT_EQ(0, info.reserved[i]);
}

TEST_F(expert, info_says_what_the_parameters_are)
{
	struct expertmem_info info = expert_info(self->fd);
	char text[32];

	ASSERT_EQ(0, file_read(PARAMETERS "default_limit", text, sizeof(text)));
	EXPECT_EQ(strtoull(text, NULL, 10), info.default_limit);
	ASSERT_EQ(0, file_read(PARAMETERS "total_limit", text, sizeof(text)));
	EXPECT_EQ(strtoull(text, NULL, 10), info.total_limit);
	ASSERT_EQ(0, file_read(PARAMETERS "max_experts", text, sizeof(text)));
	EXPECT_EQ(strtoull(text, NULL, 10), info.max_experts);
}

TEST_F(expert, info_counts_the_open_experts)
{
	__u32 before = expert_info(self->fd).experts;
	int fd;

	ASSERT_LE(1, before);
	fd = expert_open();
	ASSERT_LE(0, fd);
	EXPECT_EQ(before + 1, expert_info(self->fd).experts);
	close(fd);
	EXPECT_EQ(before, expert_info(self->fd).experts);
}

/* ------------------------------------------------------- arguments that are wrong */

TEST_F(expert, unknown_ioctls_are_no_ioctls)
{
	unsigned char arg[256] = { };
	unsigned long number;

	for (number = 0x0a; number < 0x100; number++) {
		EXPECT_EQ(-ENOTTY, expert_ioctl(self->fd, _IO(EXPERTMEM_IOC_MAGIC, number), NULL));
		EXPECT_EQ(-ENOTTY, expert_ioctl(self->fd, _IOWR(EXPERTMEM_IOC_MAGIC, number,
								struct expertmem_alloc), arg));
	}
	EXPECT_EQ(-ENOTTY, expert_ioctl(self->fd, _IOR(EXPERTMEM_IOC_MAGIC + 1, 0x00,
						       struct expertmem_info), arg));
}

TEST_F(expert, ioctls_of_another_size_are_no_ioctls)
{
	static const unsigned long calls[] = {
		EXPERTMEM_IOC_GET_INFO, EXPERTMEM_IOC_CONFIGURE, EXPERTMEM_IOC_ALLOC,
		EXPERTMEM_IOC_REALLOC, EXPERTMEM_IOC_FREE, EXPERTMEM_IOC_TERMINATE,
		EXPERTMEM_IOC_RECLAIM, EXPERTMEM_IOC_STAT, EXPERTMEM_IOC_COPY,
		EXPERTMEM_IOC_FORK,
	};
	unsigned char arg[512] = { };
	size_t i;

	for (i = 0; i < COUNT_OF(calls); i++) {
		EXPECT_EQ(-ENOTTY, expert_ioctl(self->fd, calls[i] + (8UL << _IOC_SIZESHIFT), arg));
		EXPECT_EQ(-ENOTTY, expert_ioctl(self->fd, calls[i] ^ (_IOC_READ << _IOC_DIRSHIFT),
						arg));
	}
	EXPECT_EQ(EXPERTMEM_STATE_IDLE, expert_stat(self->fd).state);
}

TEST_F(expert, bad_pointers_fault)
{
	static const unsigned long calls[] = {
		EXPERTMEM_IOC_GET_INFO, EXPERTMEM_IOC_CONFIGURE, EXPERTMEM_IOC_RECLAIM,
		EXPERTMEM_IOC_STAT,
	};
	char *page = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t i;

	ASSERT_NE(MAP_FAILED, page);
	for (i = 0; i < COUNT_OF(calls); i++) {
		EXPECT_EQ(-EFAULT, expert_ioctl(self->fd, calls[i], NULL));
		EXPECT_EQ(-EFAULT, expert_ioctl(self->fd, calls[i], page));
		EXPECT_EQ(-EFAULT, expert_ioctl(self->fd, calls[i], page + PAGE - 1));
		EXPECT_EQ(-EFAULT, expert_ioctl(self->fd, calls[i], (void *)-PAGE));
	}
	EXPECT_EQ(EXPERTMEM_STATE_IDLE, expert_stat(self->fd).state);
	EXPECT_EQ(0, expert_configure(self->fd, "", 0, 0));
}

TEST_F(expert, results_for_read_only_memory_fault)
{
	char *page = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, page);
	EXPECT_EQ(-EFAULT, expert_ioctl(self->fd, EXPERTMEM_IOC_GET_INFO, page));
	EXPECT_EQ(-EFAULT, expert_ioctl(self->fd, EXPERTMEM_IOC_STAT, page));
	EXPECT_TRUE(all_bytes((unsigned char *)page, PAGE, 0));
}

TEST_F(expert, reclaim_takes_the_memory_even_if_it_cannot_say_so)
{
	struct window w;
	__u64 offset;
	char *page = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, page);
	ASSERT_EQ(0, window_map(&w, &small_window, self->fd, MIB));
	ASSERT_EQ(0, region_alloc(&w, 1, &offset));
	*at(&w, offset) = 1;
	EXPECT_EQ(-EFAULT, expert_ioctl(self->fd, EXPERTMEM_IOC_RECLAIM, page));
	EXPECT_EQ(EXPERTMEM_STATE_RECLAIMED, expert_stat(self->fd).state);
	EXPECT_EQ(0, expert_stat(self->fd).resident);
	EXPECT_EQ(SIGSEGV, read_touch(at(&w, offset)));
}

TEST_F(expert, terminate_with_an_argument_is_invalid)
{
	EXPECT_EQ(-EINVAL, expert_ioctl(self->fd, EXPERTMEM_IOC_TERMINATE, (void *)1));
	EXPECT_EQ(EXPERTMEM_STATE_IDLE, expert_stat(self->fd).state);
	EXPECT_EQ(0, expert_ioctl(self->fd, EXPERTMEM_IOC_TERMINATE, NULL));
	EXPECT_EQ(EXPERTMEM_STATE_TERMINATING, expert_stat(self->fd).state);
}

TEST_F(expert, reclaim_with_a_flag_is_invalid)
{
	struct expertmem_reclaim arg;
	int bit;

	for (bit = 0; bit < 32; bit++) {
		arg = (struct expertmem_reclaim){ .flags = 1U << bit, .reclaimed_bytes = POISON64 };
		EXPECT_EQ(-EINVAL, expert_ioctl(self->fd, EXPERTMEM_IOC_RECLAIM, &arg));
		EXPECT_EQ(POISON64, arg.reclaimed_bytes);
	}
	EXPECT_EQ(EXPERTMEM_STATE_IDLE, expert_stat(self->fd).state);
}

TEST_F(expert, reclaim_with_a_reserved_field_is_invalid)
{
	struct expertmem_reclaim arg = { .reserved = 1, .reclaimed_bytes = POISON64 };

	EXPECT_EQ(-EINVAL, expert_ioctl(self->fd, EXPERTMEM_IOC_RECLAIM, &arg));
	EXPECT_EQ(POISON64, arg.reclaimed_bytes);
	EXPECT_EQ(EXPERTMEM_STATE_IDLE, expert_stat(self->fd).state);
}

/* ------------------------------------------------------------------ CONFIGURE */

TEST_F(expert, configure_sets_name_limit_and_flags)
{
	struct expertmem_stat stat;
	size_t i;

	ASSERT_EQ(0, expert_configure(self->fd, "http \xc3\xa9", 12345,
				      EXPERTMEM_CONFIG_UNSWAPPABLE));
	stat = expert_stat(self->fd);
	EXPECT_STREQ("http \xc3\xa9", stat.name);
	for (i = strlen(stat.name); i < sizeof(stat.name); i++)
		EXPECT_EQ(0, stat.name[i]);
	EXPECT_EQ(12345, stat.limit);
	EXPECT_EQ(EXPERTMEM_CONFIG_UNSWAPPABLE, stat.flags);
	EXPECT_EQ(EXPERTMEM_STATE_IDLE, stat.state);
}

TEST_F(expert, longest_name_has_31_bytes)
{
	char name[32];

	memset(name, 'x', sizeof(name));
	EXPECT_EQ(-EINVAL, configure_raw(self->fd, name));
	EXPECT_EQ('\0', expert_stat(self->fd).name[0]);
	name[31] = '\0';
	EXPECT_EQ(0, configure_raw(self->fd, name));
	EXPECT_STREQ(name, expert_stat(self->fd).name);
}

TEST_F(expert, name_with_a_control_character_or_no_utf8_is_invalid)
{
	char name[32];
	size_t i;
	int fd;

	for (i = 0; i < COUNT_OF(bad_names); i++) {
		memset(name, 0, sizeof(name));
		memcpy(name, bad_names[i], strlen(bad_names[i]));
		EXPECT_EQ(-EINVAL, configure_raw(self->fd, name))
			TH_LOG("bad name %zu", i);
	}
	EXPECT_EQ('\0', expert_stat(self->fd).name[0]);
	for (i = 0; i < COUNT_OF(good_names); i++) {
		memset(name, 0, sizeof(name));
		memcpy(name, good_names[i], strlen(good_names[i]));
		fd = expert_open();
		EXPECT_EQ(0, configure_raw(fd, name))
			TH_LOG("good name %zu", i);
		EXPECT_STREQ(good_names[i], expert_stat(fd).name);
		close(fd);
	}
}

TEST_F(expert, name_with_bytes_after_its_end_is_invalid)
{
	char name[32] = "name";
	size_t i;

	for (i = strlen(name) + 1; i < sizeof(name); i++) {
		name[i] = 'x';
		EXPECT_EQ(-EINVAL, configure_raw(self->fd, name));
		name[i] = '\0';
	}
	EXPECT_EQ('\0', expert_stat(self->fd).name[0]);
	EXPECT_EQ(0, configure_raw(self->fd, name));
}

TEST_F(expert, configure_with_an_unknown_flag_is_invalid)
{
	int bit;

	for (bit = 1; bit < 32; bit++)
		EXPECT_EQ(-EINVAL, expert_configure(self->fd, "name", 1, 1U << bit));
	EXPECT_EQ('\0', expert_stat(self->fd).name[0]);
	EXPECT_EQ(0, expert_configure(self->fd, "name", 1, 0));
}

TEST_F(expert, configure_with_a_reserved_field_is_invalid)
{
	struct expertmem_config arg = { .name = "name", .reserved = 1 };

	EXPECT_EQ(-EINVAL, expert_ioctl(self->fd, EXPERTMEM_IOC_CONFIGURE, &arg));
	EXPECT_EQ('\0', expert_stat(self->fd).name[0]);
}

TEST_F(expert, second_configure_is_busy)
{
	ASSERT_EQ(0, expert_configure(self->fd, "first", MIB, 0));
	EXPECT_EQ(-EBUSY, expert_configure(self->fd, "second", 0, 0));
	EXPECT_STREQ("first", expert_stat(self->fd).name);
	EXPECT_EQ(MIB, expert_stat(self->fd).limit);
}

TEST_F(expert, configure_after_a_mapping_is_busy)
{
	static const struct window *const kinds[] = { &small_window, &huge_window };
	struct window w;
	size_t i;
	int fd;

	for (i = 0; i < COUNT_OF(kinds); i++) {
		fd = expert_open();
		ASSERT_LE(0, fd);
		ASSERT_EQ(0, window_map(&w, kinds[i], fd, 8 * MIB));
		EXPECT_EQ(-EBUSY, expert_configure(fd, "late", 0, 0));
		EXPECT_EQ('\0', expert_stat(fd).name[0]);
		window_close(&w);
	}
}

TEST_F(expert, configure_after_the_status_page_is_not_late)
{
	ASSERT_NE(MAP_FAILED, status_map(self->fd));
	EXPECT_EQ(0, expert_configure(self->fd, "name", 0, 0));
}

TEST_F(expert, configure_after_reclaim_is_shut_down)
{
	struct expertmem_reclaim arg;

	ASSERT_EQ(0, expert_reclaim(self->fd, &arg));
	EXPECT_EQ(-ESHUTDOWN, expert_configure(self->fd, "late", 0, 0));
	EXPECT_EQ('\0', expert_stat(self->fd).name[0]);
}

/* Who may not lock memory has to name a limit that RLIMIT_MEMLOCK allows. */
TEST_F(expert, unswappable_memory_is_for_who_may_lock_any_amount)
{
	const struct rlimit memlock = { .rlim_cur = MIB, .rlim_max = MIB };
	const struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };
	pid_t pid = fork();

	ASSERT_LE(0, pid);
	if (!pid) {
		int err = 0;

		if (setrlimit(RLIMIT_MEMLOCK, &memlock) || setresuid(65534, 65534, 65534))
			_exit(1);
		if (expert_configure(self->fd, "", 0, EXPERTMEM_CONFIG_UNSWAPPABLE) != -EPERM)
			err |= 2;
		if (expert_configure(self->fd, "", MIB, EXPERTMEM_CONFIG_UNSWAPPABLE) != -EPERM)
			err |= 4;
		if (expert_stat(self->fd).flags)
			err |= 8;
		_exit(err);
	}
	EXPECT_EQ(0, child_status(pid));

	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		if (setrlimit(RLIMIT_MEMLOCK, &unlimited) || setresuid(65534, 65534, 65534))
			_exit(1);
		_exit(!!expert_configure(self->fd, "", MIB, EXPERTMEM_CONFIG_UNSWAPPABLE));
	}
	EXPECT_EQ(0, child_status(pid));
	EXPECT_EQ(EXPERTMEM_CONFIG_UNSWAPPABLE, expert_stat(self->fd).flags);
	EXPECT_EQ(MIB, expert_stat(self->fd).limit);
}

/* ----------------------------------------------------------------------- STAT */

TEST_F(expert, stat_follows_the_life_of_an_expert)
{
	struct expertmem_reclaim arg;
	struct expertmem_stat stat = expert_stat(self->fd);
	struct window small, huge;
	__u64 offset;
	size_t i;

	EXPECT_EQ(EXPERTMEM_STATE_IDLE, stat.state);
	EXPECT_EQ(EXPERTMEM_CAUSE_NONE, stat.cause);
	EXPECT_EQ('\0', stat.name[0]);
	EXPECT_EQ(0, stat.flags);
	EXPECT_EQ(expert_info(self->fd).default_limit, stat.limit);
	EXPECT_EQ(0, stat.regions);
	EXPECT_EQ(0, stat.committed);
	EXPECT_EQ(0, stat.resident);
	EXPECT_EQ(0, stat.peak);
	EXPECT_EQ(0, stat.refused);
	EXPECT_EQ(0, stat.reclaimed_bytes);
	EXPECT_EQ(0, stat.reserved0);
	for (i = 0; i < COUNT_OF(stat.reserved); i++)
		EXPECT_EQ(0, stat.reserved[i]);

	ASSERT_EQ(0, expert_configure(self->fd, "", 3 * HUGE, 0));
	ASSERT_EQ(0, window_map(&small, &small_window, self->fd, 16 * MIB));
	EXPECT_EQ(EXPERTMEM_STATE_RUNNING, expert_stat(self->fd).state);
	ASSERT_EQ(0, window_map(&huge, &huge_window, self->fd, 16 * MIB));
	ASSERT_EQ(0, region_alloc(&small, 2 * PAGE, &offset));
	*at(&small, offset) = 1;
	ASSERT_EQ(0, region_alloc(&huge, 1, &offset));
	stat = expert_stat(self->fd);
	EXPECT_EQ(2, stat.regions);
	EXPECT_EQ(HUGE + 2 * PAGE, stat.committed);
	EXPECT_EQ(PAGE, stat.resident);
	EXPECT_EQ(HUGE + 2 * PAGE, stat.peak);

	EXPECT_EQ(-EDQUOT, region_alloc(&small, 2 * HUGE, &offset));
	EXPECT_EQ(1, expert_stat(self->fd).refused);
	EXPECT_EQ(-ENOSPC, region_alloc(&small, 17 * MIB, &offset));
	EXPECT_EQ(1, expert_stat(self->fd).refused);

	ASSERT_EQ(0, expert_terminate(self->fd));
	EXPECT_EQ(EXPERTMEM_STATE_TERMINATING, expert_stat(self->fd).state);
	ASSERT_EQ(0, expert_reclaim(self->fd, &arg));
	EXPECT_EQ(HUGE + 2 * PAGE, arg.reclaimed_bytes);
	EXPECT_EQ(PAGE, arg.reclaimed_resident);
	EXPECT_EQ(2, arg.reclaimed_regions);
	EXPECT_EQ(0, arg.flags);
	EXPECT_EQ(0, arg.reserved);
	stat = expert_stat(self->fd);
	EXPECT_EQ(EXPERTMEM_STATE_RECLAIMED, stat.state);
	EXPECT_EQ(EXPERTMEM_CAUSE_HOST, stat.cause);
	EXPECT_EQ(0, stat.regions);
	EXPECT_EQ(0, stat.committed);
	EXPECT_EQ(0, stat.resident);
	EXPECT_EQ(HUGE + 2 * PAGE, stat.peak);
	EXPECT_EQ(HUGE + 2 * PAGE, stat.reclaimed_bytes);
}

TEST_F(expert, ids_are_never_used_again)
{
	__u64 last = expert_stat(self->fd).id;
	__u64 id;
	int fd, i;

	EXPECT_LT(0, last);
	for (i = 0; i < 1000; i++) {
		fd = expert_open();
		ASSERT_LE(0, fd);
		id = expert_stat(fd).id;
		close(fd);
		ASSERT_LT(last, id);
		last = id;
	}
}

TEST_F(expert, terminating_twice_is_no_error)
{
	struct expertmem_reclaim arg;

	ASSERT_EQ(0, expert_terminate(self->fd));
	EXPECT_EQ(0, expert_terminate(self->fd));
	EXPECT_EQ(EXPERTMEM_STATE_TERMINATING, expert_stat(self->fd).state);
	ASSERT_EQ(0, expert_reclaim(self->fd, &arg));
	EXPECT_EQ(0, expert_terminate(self->fd));
	EXPECT_EQ(EXPERTMEM_STATE_RECLAIMED, expert_stat(self->fd).state);
}

TEST_F(expert, reclaiming_twice_takes_nothing_the_second_time)
{
	struct expertmem_reclaim arg;
	struct window w;
	__u64 offset;

	ASSERT_EQ(0, window_map(&w, &small_window, self->fd, MIB));
	ASSERT_EQ(0, region_alloc(&w, 1, &offset));
	ASSERT_EQ(0, expert_reclaim(self->fd, &arg));
	EXPECT_EQ(PAGE, arg.reclaimed_bytes);
	EXPECT_EQ(0, expert_reclaim(self->fd, &arg));
	EXPECT_EQ(0, arg.reclaimed_bytes);
	EXPECT_EQ(0, arg.reclaimed_resident);
	EXPECT_EQ(0, arg.reclaimed_regions);
	EXPECT_EQ(PAGE, expert_stat(self->fd).reclaimed_bytes);
}

/* ----------------------------------------------------------------- parameters */

TEST_F(expert, default_limit_is_for_new_experts_without_a_limit)
{
	__u64 old = expert_stat(self->fd).limit;
	struct window w;
	__u64 offset;
	int fd;

	ASSERT_EQ(0, parameter_set(&self->parameter, "default_limit", "64K"));
	EXPECT_EQ(old, expert_stat(self->fd).limit);
	EXPECT_EQ(64 * KIB, expert_info(self->fd).default_limit);

	fd = expert_open();
	ASSERT_LE(0, fd);
	EXPECT_EQ(64 * KIB, expert_stat(fd).limit);
	ASSERT_EQ(0, window_map(&w, &small_window, fd, MIB));
	EXPECT_EQ(-EDQUOT, region_alloc(&w, 64 * KIB + 1, &offset));
	EXPECT_EQ(0, region_alloc(&w, 64 * KIB, &offset));
	window_close(&w);

	ASSERT_EQ(0, window_open(&w, &small_window, MIB, 128 * KIB));
	EXPECT_EQ(128 * KIB, expert_stat(w.fd).limit);
	EXPECT_EQ(0, region_alloc(&w, 128 * KIB, &offset));
	window_close(&w);
}

TEST_F(expert, total_limit_is_for_all_experts_together)
{
	struct window one, two;
	__u64 offset, other;

	ASSERT_EQ(0, window_open(&one, &small_window, 16 * MIB, 0));
	ASSERT_EQ(0, window_open(&two, &small_window, 16 * MIB, 0));
	ASSERT_EQ(0, parameter_set(&self->parameter, "total_limit", "1M"));
	ASSERT_EQ(0, region_alloc(&one, 768 * KIB, &offset));
	EXPECT_EQ(-ENOMEM, region_alloc(&two, 512 * KIB, &other));
	EXPECT_EQ(POISON64, other);
	EXPECT_EQ(0, expert_stat(two.fd).committed);
	EXPECT_EQ(0, expert_stat(two.fd).peak);
	EXPECT_EQ(1, expert_stat(two.fd).refused);
	ASSERT_EQ(0, region_alloc(&two, 256 * KIB, &other));
	EXPECT_EQ(-ENOMEM, region_realloc(&two, other, 257 * KIB));
	EXPECT_EQ(-ENOMEM, region_realloc(&one, offset, 769 * KIB));
	EXPECT_EQ(768 * KIB, expert_stat(one.fd).committed);

	/* what one gives back the other may have, however it was given back */
	ASSERT_EQ(0, region_realloc(&one, offset, 512 * KIB));
	EXPECT_EQ(0, region_realloc(&two, other, 512 * KIB));
	EXPECT_EQ(-ENOMEM, region_realloc(&two, other, MIB));
	window_close(&one);
	EXPECT_EQ(0, region_realloc(&two, other, MIB));
	window_close(&two);
}

TEST_F(expert, max_experts_is_how_many_may_be_open)
{
	char number[16];
	int fd;

	snprintf(number, sizeof(number), "%u", expert_info(self->fd).experts + 1);
	ASSERT_EQ(0, parameter_set(&self->parameter, "max_experts", number));
	fd = expert_open();
	ASSERT_LE(0, fd);
	EXPECT_EQ(-ENFILE, expert_open());
	EXPECT_EQ(-ENFILE, expert_open());
	close(fd);
	fd = expert_open();
	EXPECT_LE(0, fd);
	close(fd);
}

TEST_F(expert, max_experts_of_zero_is_no_limit)
{
	int fd;

	ASSERT_EQ(0, parameter_set(&self->parameter, "max_experts", "0"));
	fd = expert_open();
	EXPECT_LE(0, fd);
	close(fd);
}

TEST_F(expert, parameters_in_bytes_have_units)
{
	static const struct {
		const char *text, *bytes;
	} sizes[] = {
		{ "0", "0" }, { "1", "1" }, { "64K", "65536" }, { "64k", "65536" },
		{ "64M\n", "67108864" }, { "3G", "3221225472" }, { "1T", "1099511627776" },
		{ "0x1000", "4096" },
	};
	char text[32];
	size_t i;

	ASSERT_EQ(0, parameter_set(&self->parameter, "default_limit", "0"));
	for (i = 0; i < COUNT_OF(sizes); i++) {
		EXPECT_EQ(0, file_write(PARAMETERS "default_limit", sizes[i].text));
		ASSERT_EQ(0, file_read(PARAMETERS "default_limit", text, sizeof(text)));
		EXPECT_STREQ(sizes[i].bytes, text);
	}
}

TEST_F(expert, parameters_that_are_no_size_are_invalid)
{
	static const char *const junk[] = {
		"junk", "M", "-1", "64MB", "64 M", " 64M", "1M junk", " ", "\n", "64M\n\n",
	};
	char text[32];
	size_t i;

	ASSERT_EQ(0, parameter_set(&self->parameter, "default_limit", "4096"));
	for (i = 0; i < COUNT_OF(junk); i++) {
		EXPECT_EQ(-EINVAL, file_write(PARAMETERS "default_limit", junk[i]))
			TH_LOG("\"%s\"", junk[i]);
	}
	ASSERT_EQ(0, file_read(PARAMETERS "default_limit", text, sizeof(text)));
	EXPECT_STREQ("4096", text);
}

TEST_HARNESS_MAIN
