// SPDX-License-Identifier: GPL-2.0
/*
 * Opening an expert by libexpertmem: which options are accepted, which backend the expert
 * gets, and the error for each reason why the device cannot be used.
 *
 * needs: module native
 * also: fast
 */
#include <grp.h>
#include <sched.h>
#include <stdarg.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include "library_test.h"
#include "names.h"

#define NOBODY	65534

/* --------------------------------------- what the library hears from the system */

/* GET_INFO is answered by a module from before the first release. */
static bool module_is_old;
/* open() fails with this for the device. */
static int device_errno;

/* The library calls these in place of the C library's. */
int ioctl(int fd, unsigned long request, ...)
{
	va_list args;
	void *arg;
	int err;

	va_start(args, request);
	arg = va_arg(args, void *);
	va_end(args);
	err = syscall(SYS_ioctl, fd, request, arg);
	if (!err && request == EXPERTMEM_IOC_GET_INFO && module_is_old)
		((struct expertmem_info *)arg)->abi = 0;
	return err;
}

int open(const char *path, int flags, ...)
{
	mode_t mode = 0;
	va_list args;

	va_start(args, flags);
	if (flags & O_CREAT)
		mode = va_arg(args, mode_t);
	va_end(args);
	if (device_errno && !strcmp(path, DEVICE)) {
		errno = device_errno;
		return -1;
	}
	return syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

/* ------------------------------------------------------------- opening an expert */

/* The error of an open; 1 if the key was not set, or was changed by an error. */
static int open_error(const struct expertmem_options *options)
{
	HEXPERTKEY key = (HEXPERTKEY)POISON64;
	int error = expertmem_open(options, &key);

	if (error)
		return key == (HEXPERTKEY)POISON64 ? error : 1;
	return key == (HEXPERTKEY)POISON64 ? 1 : expertmem_close(key);
}

static int open_error_of(enum expertmem_backend backend)
{
	return open_error(&(struct expertmem_options){ .backend = backend });
}

TEST_F(expert, options_that_are_not_allowed_are_invalid)
{
	struct expertmem_options options = { .backend = variant->backend };
	size_t i;

	EXPECT_EQ(EXPERTMEM_OK, open_error(&options));
	EXPECT_EQ(EXPERTMEM_E_INVALID, expertmem_open(&options, NULL));
	EXPECT_EQ(EXPERTMEM_E_INVALID, expertmem_open(NULL, NULL));
	for (i = 3; i < 32; i++) {
		options.flags = 1U << i;
		EXPECT_EQ(EXPERTMEM_E_INVALID, open_error(&options));
	}
	options.flags = 0;
	for (i = 0; i < COUNT_OF(options.reserved); i++) {
		options.reserved[i] = 1ULL << 63;
		EXPECT_EQ(EXPERTMEM_E_INVALID, open_error(&options));
		options.reserved[i] = 0;
	}
	EXPECT_EQ(EXPERTMEM_E_INVALID, open_error_of(3));
	EXPECT_EQ(EXPERTMEM_E_INVALID, open_error_of(-1));
	EXPECT_EQ(EXPERTMEM_OK, open_error(&options));
}

TEST_F(expert, a_name_is_31_bytes_of_text)
{
	struct expertmem_options options = { .backend = variant->backend };
	char name[34] = "";
	size_t i;

	options.name = name;
	EXPECT_EQ(EXPERTMEM_OK, open_error(&options));
	memset(name, 'x', 31);
	EXPECT_EQ(EXPERTMEM_OK, open_error(&options));
	name[31] = 'x';
	EXPECT_EQ(EXPERTMEM_E_INVALID, open_error(&options));
	name[32] = 'x';
	EXPECT_EQ(EXPERTMEM_E_INVALID, open_error(&options));
	for (i = 0; i < COUNT_OF(good_names); i++) {
		options.name = good_names[i];
		EXPECT_EQ(EXPERTMEM_OK, open_error(&options))
			TH_LOG("good name %zu", i);
	}
	for (i = 0; i < COUNT_OF(bad_names); i++) {
		options.name = bad_names[i];
		EXPECT_EQ(EXPERTMEM_E_INVALID, open_error(&options))
			TH_LOG("bad name %zu", i);
	}
}

TEST_F(expert, no_name_is_as_much_of_the_programs_as_may_be_one)
{
	static const struct { char *program, *name; } names[] = {
		{ "a program whose name is longer than 31 bytes", "a program whose name is longer " },
		{ "its 31st byte is the first of \xc3\xa9", "its 31st byte is the first of " },
		{ "caf\xe9 of the old days", "caf" },
		{ "\n", "" },
	};
	struct expertmem_options options = { .backend = variant->backend };
	HEXPERTKEY key;
	size_t i;

	for (i = 0; i < COUNT_OF(names); i++) {
		program_invocation_short_name = names[i].program;
		ASSERT_EQ(EXPERTMEM_OK, expertmem_open(&options, &key));
		if (variant->backend == EXPERTMEM_BACKEND_DEVICE)
			EXPECT_STREQ(names[i].name, expert_stat(expertmem_fd(key)).name);
		EXPECT_EQ(EXPERTMEM_OK, expertmem_close(key));
	}
}

TEST(the_environment_chooses_where_the_caller_does_not)
{
	HEXPERTKEY key;

	setenv("EXPERTMEM_BACKEND", "anon", 1);
	ASSERT_EQ(EXPERTMEM_OK, expertmem_open(NULL, &key));
	EXPECT_EQ(EXPERTMEM_BACKEND_ANON, stats_of(key).backend);
	EXPECT_EQ(EXPERTMEM_OK, expertmem_close(key));

	setenv("EXPERTMEM_BACKEND", "no such backend", 1);
	EXPECT_EQ(EXPERTMEM_E_INVALID, open_error(NULL));
	EXPECT_EQ(EXPERTMEM_E_INVALID, open_error_of(EXPERTMEM_BACKEND_AUTO));
	EXPECT_EQ(EXPERTMEM_OK, open_error_of(EXPERTMEM_BACKEND_ANON));
	setenv("EXPERTMEM_BACKEND", "anonymous", 1);
	EXPECT_EQ(EXPERTMEM_E_INVALID, open_error(NULL));

	/* chosen by name, there is no falling back */
	device_errno = ENOENT;
	setenv("EXPERTMEM_BACKEND", "device", 1);
	EXPECT_EQ(EXPERTMEM_E_NO_MODULE, open_error(NULL));
	EXPECT_EQ(EXPERTMEM_OK, open_error_of(EXPERTMEM_BACKEND_ANON));
	setenv("EXPERTMEM_BACKEND", "", 1);
	EXPECT_EQ(EXPERTMEM_OK, open_error(NULL));
	setenv("EXPERTMEM_BACKEND", "auto", 1);
	EXPECT_EQ(EXPERTMEM_OK, open_error(NULL));
}

TEST_F(expert, the_limit_is_what_was_asked_for)
{
	HEXPERTKEY key = open_expert(variant->backend, 123 * MIB, 0);

	EXPECT_EQ(123 * MIB, stats_of(key).limit);
	EXPECT_EQ(EXPERTMEM_OK, expertmem_close(key));
	EXPECT_EQ(0, stats_of(self->key).limit);
	key = open_expert(variant->backend, UINT64_MAX - 1, 0);
	EXPECT_EQ(UINT64_MAX - 1, stats_of(key).limit);
	EXPECT_EQ(EXPERTMEM_OK, expertmem_close(key));
}

/* The limit of an expert that is opened, and closed again. */
static uint64_t limit_with(const struct expertmem_options *options)
{
	HEXPERTKEY key = NULL;
	uint64_t limit;

	expertmem_open(options, &key);
	limit = stats_of(key).limit;
	expertmem_close(key);
	return limit;
}

TEST(private_memory_has_no_default_limit)
{
	struct expertmem_options options = {
		.backend = EXPERTMEM_BACKEND_ANON, .limit = EXPERTMEM_LIMIT_DEFAULT,
	};

	setenv("EXPERTMEM_BACKEND", "anon", 1);
	EXPECT_EQ(0, limit_with(&options));
	EXPECT_EQ(0, limit_with(NULL));
}

/* As root, and with a default_limit of 64 MiB. */
FIXTURE(limited) {
	struct parameter parameter;
	struct expertmem_options options;
};

FIXTURE_SETUP(limited)
{
	NEED_DEVICE();
	if (geteuid())
		SKIP_TEST("be root, to set a default_limit and to give rights up");
	unsetenv("EXPERTMEM_BACKEND");
	self->options.backend = EXPERTMEM_BACKEND_DEVICE;
	ASSERT_EQ(0, parameter_set(&self->parameter, "default_limit", "64M"));
	ASSERT_EQ(0, chmod(DEVICE, 0666));
}

FIXTURE_TEARDOWN(limited)
{
	ASSERT_EQ(0, setresuid(0, 0, 0));
	EXPECT_EQ(0, chmod(DEVICE, 0660));
	EXPECT_EQ(0, parameter_restore(&self->parameter));
}

TEST_F(limited, the_default_is_asked_for_by_name_or_by_no_options)
{
	EXPECT_EQ(0, limit_with(&self->options));
	EXPECT_EQ(64 * MIB, limit_with(NULL));
	self->options.limit = EXPERTMEM_LIMIT_DEFAULT;
	EXPECT_EQ(64 * MIB, limit_with(&self->options));
	self->options.limit = GIB;
	EXPECT_EQ(GIB, limit_with(&self->options));
	ASSERT_EQ(0, setresuid(NOBODY, NOBODY, 0));
	EXPECT_EQ(64 * MIB, limit_with(NULL));
	self->options.limit = EXPERTMEM_LIMIT_DEFAULT;
	EXPECT_EQ(64 * MIB, limit_with(&self->options));
}

TEST_F(limited, only_cap_net_admin_exceeds_the_default)
{
	ASSERT_EQ(0, setresuid(NOBODY, NOBODY, 0));
	self->options.limit = 64 * MIB;
	EXPECT_EQ(64 * MIB, limit_with(&self->options));
	self->options.limit = 1;
	EXPECT_EQ(1, limit_with(&self->options));
	self->options.limit = 64 * MIB + 1;
	EXPECT_EQ(EXPERTMEM_E_LIMIT, open_error(&self->options));
	self->options.limit = UINT64_MAX - 1;
	EXPECT_EQ(EXPERTMEM_E_LIMIT, open_error(&self->options));
	self->options.limit = 0;
	EXPECT_EQ(EXPERTMEM_E_LIMIT, open_error(&self->options));
	/* and private memory is no way around it */
	self->options.backend = EXPERTMEM_BACKEND_AUTO;
	EXPECT_EQ(EXPERTMEM_E_LIMIT, open_error(&self->options));
}

TEST_F(limited, a_refused_limit_is_told_from_refused_unswappable_memory)
{
	struct rlimit memlock = { MIB, RLIM_INFINITY };

	self->options.flags = EXPERTMEM_UNSWAPPABLE;
	ASSERT_EQ(0, setrlimit(RLIMIT_MEMLOCK, &memlock));
	ASSERT_EQ(0, setresuid(NOBODY, NOBODY, 0));
	EXPECT_EQ(EXPERTMEM_E_PERM, open_error(&self->options));
	self->options.limit = GIB;
	EXPECT_EQ(EXPERTMEM_E_PERM, open_error(&self->options));
	self->options.limit = EXPERTMEM_LIMIT_DEFAULT;
	EXPECT_EQ(EXPERTMEM_E_PERM, open_error(&self->options));
	memlock.rlim_cur = RLIM_INFINITY;
	ASSERT_EQ(0, setrlimit(RLIMIT_MEMLOCK, &memlock));
	EXPECT_EQ(EXPERTMEM_OK, open_error(&self->options));
	self->options.limit = GIB;
	EXPECT_EQ(EXPERTMEM_E_LIMIT, open_error(&self->options));
	self->options.limit = 0;
	EXPECT_EQ(EXPERTMEM_E_LIMIT, open_error(&self->options));
	self->options.limit = MIB;
	EXPECT_EQ(EXPERTMEM_OK, open_error(&self->options));
}

TEST_F(limited, experts_of_one_user_are_too_many_at_uid_max_experts)
{
	struct parameter parameter;
	HEXPERTKEY keys[2];

	ASSERT_EQ(0, parameter_set(&parameter, "uid_max_experts", "2"));
	ASSERT_EQ(0, setresuid(NOBODY, NOBODY, 0));
	self->options.limit = MIB;
	EXPECT_EQ(EXPERTMEM_OK, expertmem_open(&self->options, &keys[0]));
	EXPECT_EQ(EXPERTMEM_OK, expertmem_open(&self->options, &keys[1]));
	EXPECT_EQ(EXPERTMEM_E_TOO_MANY, open_error(&self->options));
	EXPECT_EQ(EXPERTMEM_OK, expertmem_close(keys[0]));
	EXPECT_EQ(EXPERTMEM_OK, open_error(&self->options));
	EXPECT_EQ(EXPERTMEM_OK, expertmem_close(keys[1]));
	ASSERT_EQ(0, setresuid(0, 0, 0));
	EXPECT_EQ(0, parameter_restore(&parameter));
}

TEST_F(expert, unswappable_memory_needs_the_module_and_a_right)
{
	struct expertmem_options options = {
		.backend = variant->backend, .flags = EXPERTMEM_UNSWAPPABLE,
	};
	struct rlimit memlock = { MIB, RLIM_INFINITY };
	HEXPERTKEY key;

	if (variant->backend == EXPERTMEM_BACKEND_ANON) {
		EXPECT_EQ(EXPERTMEM_E_UNSUPPORTED, open_error(&options));
		return;
	}
	if (geteuid())
		SKIP_TEST("be root, to give the right up");
	ASSERT_EQ(EXPERTMEM_OK, expertmem_open(&options, &key));
	EXPECT_EQ(EXPERTMEM_CONFIG_UNSWAPPABLE, expert_stat(expertmem_fd(key)).flags);
	EXPECT_EQ(EXPERTMEM_OK, expertmem_close(key));
	ASSERT_EQ(0, chmod(DEVICE, 0666));
	ASSERT_EQ(0, setrlimit(RLIMIT_MEMLOCK, &memlock));
	ASSERT_EQ(0, setresuid(NOBODY, NOBODY, 0));
	EXPECT_EQ(EXPERTMEM_E_PERM, open_error(&options));
	options.limit = MIB;
	EXPECT_EQ(EXPERTMEM_E_PERM, open_error(&options));
	memlock.rlim_cur = RLIM_INFINITY;
	ASSERT_EQ(0, setrlimit(RLIMIT_MEMLOCK, &memlock));
	EXPECT_EQ(EXPERTMEM_OK, open_error(&options));
	ASSERT_EQ(0, setresuid(0, 0, 0));
	ASSERT_EQ(0, chmod(DEVICE, 0660));
}

/* How many of a block's pages exist. */
static size_t pages_present(const unsigned char *block, size_t size)
{
	static unsigned char present[4096];
	size_t i, count = 0;

	if (mincore((void *)block, size, present))
		return ~0UL;
	for (i = 0; i < size / PAGE; i++)
		count += present[i] & 1;
	return count;
}

TEST_F(expert, populated_memory_exists_when_it_is_returned)
{
	HEXPERTKEY key = open_expert(variant->backend, 32 * MIB, EXPERTMEM_POPULATE);
	unsigned char *block = get(self->key, 3 * MIB);
	struct answer answer;

	ASSERT_NE(NULL, block);
	EXPECT_EQ(0, pages_present(block, 3 * MIB));
	block = get(key, 3 * MIB);
	ASSERT_NE(NULL, block);
	EXPECT_EQ(3 * MIB / PAGE, pages_present(block, 3 * MIB));
	answer = resize(key, block, 5 * MIB);
	ASSERT_NE(NULL, answer.block);
	EXPECT_EQ(5 * MIB / PAGE, pages_present(answer.block, 5 * MIB));
	EXPECT_EQ(stats_of(key).committed, stats_of(key).resident);
	EXPECT_TRUE(says(alloc(key, 32 * MIB), NMERR_OUT_OF_MEMORY));
	EXPECT_EQ(5 * MIB, stats_of(key).live_bytes);
	EXPECT_EQ(EXPERTMEM_OK, expertmem_close(key));
}

TEST_F(expert, populated_memory_is_resident_before_it_is_touched)
{
	HEXPERTKEY key = open_expert(variant->backend, 0, EXPERTMEM_POPULATE);
	struct answer answer;
	uint64_t before;

	ASSERT_NE(NULL, get(key, 1));
	before = own_memory();
	answer = alloc(key, 20 * MIB);
	ASSERT_NE(NULL, answer.block);
	EXPECT_LE(before + 19 * MIB, own_memory());
	answer = resize(key, answer.block, 40 * MIB);
	ASSERT_NE(NULL, answer.block);
	EXPECT_LE(before + 39 * MIB, own_memory());
	EXPECT_EQ(NMERR_SUCCESS, ExpertFreeMemory(key, answer.block));
	EXPECT_GE(before + 10 * MIB, own_memory());
	EXPECT_EQ(EXPERTMEM_OK, expertmem_close(key));
}

/* What the process has in huge pages, in KiB. */
static unsigned long huge_pages(void)
{
	FILE *file = fopen("/proc/self/smaps_rollup", "re");
	unsigned long sum = 0, kib;
	char line[256];

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "AnonHugePages: %lu", &kib) == 1 ||
		    sscanf(line, "ShmemPmdMapped: %lu", &kib) == 1)
			sum += kib;
	if (file)
		fclose(file);
	return sum;
}

/* Open an expert with EXPERTMEM_NO_HUGE in the environment. */
static HEXPERTKEY open_with(enum expertmem_backend backend, const char *value)
{
	HEXPERTKEY key;

	setenv("EXPERTMEM_NO_HUGE", value, 1);
	key = open_expert(backend, 0, 0);
	unsetenv("EXPERTMEM_NO_HUGE");
	return key;
}

TEST_F(expert, the_environment_forbids_huge_pages_unless_it_says_0)
{
	static const struct { const char *value; size_t more; } rows[] = {
		{ "1", 3 * MIB + 900 * KIB }, { "yes", 3 * MIB + 900 * KIB },
		{ "0", 4 * MIB }, { "", 4 * MIB },
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		HEXPERTKEY key = open_with(variant->backend, rows[i].value);
		uint64_t committed;

		ASSERT_NE(NULL, get(key, 10));
		ASSERT_NE(NULL, get(key, 50000));
		committed = stats_of(key).committed;
		ASSERT_NE(NULL, get(key, 3 * MIB + 900 * KIB));
		EXPECT_EQ(rows[i].more, stats_of(key).committed - committed) {
			TH_LOG("EXPERTMEM_NO_HUGE=%s", rows[i].value);
		}
		EXPECT_EQ(EXPERTMEM_OK, expertmem_close(key));
	}
}

TEST_F(expert, without_huge_pages_memory_is_counted_in_small_ones)
{
	HEXPERTKEY key = open_expert(variant->backend, 0, EXPERTMEM_NO_HUGE);
	unsigned long before = huge_pages();
	unsigned char *small, *huge;
	uint64_t committed;
	size_t i;

	ASSERT_NE(NULL, get(key, 10));
	ASSERT_NE(NULL, get(key, 50000));
	ASSERT_NE(NULL, get(self->key, 10));
	ASSERT_NE(NULL, get(self->key, 50000));
	committed = stats_of(self->key).committed;
	huge = get(self->key, 8 * MIB - PAGE);
	ASSERT_NE(NULL, huge);
	EXPECT_EQ(committed + 8 * MIB, stats_of(self->key).committed);
	committed = stats_of(key).committed;
	small = get(key, 8 * MIB - PAGE);
	ASSERT_NE(NULL, small);
	EXPECT_EQ(committed + 8 * MIB - PAGE, stats_of(key).committed);
	memset(small, 1, 8 * MIB - PAGE);
	EXPECT_EQ(before, huge_pages());
	for (i = 0; i < 8000; i++) {
		committed = stats_of(key).committed;
		ASSERT_NE(NULL, get(key, 1000));
		ASSERT_GT(committed + MIB, stats_of(key).committed);
	}
	EXPECT_EQ(EXPERTMEM_OK, expertmem_close(key));
}

TEST_F(expert, the_descriptor_is_the_devices_and_closed_on_exec)
{
	int fd = expertmem_fd(self->key);

	if (variant->backend == EXPERTMEM_BACKEND_ANON) {
		EXPECT_EQ(EXPERTMEM_E_UNSUPPORTED, fd);
		return;
	}
	ASSERT_LE(0, fd);
	EXPECT_EQ(FD_CLOEXEC, fcntl(fd, F_GETFD));
	EXPECT_EQ(stats_of(self->key).id, expert_stat(fd).id);
	EXPECT_EQ(0, strcmp("library", expert_stat(fd).name));
	EXPECT_EQ(fd, expertmem_fd(self->key));
	EXPECT_EQ(EXPERTMEM_OK, expertmem_close(self->key));
	EXPECT_EQ(-1, fcntl(fd, F_GETFD));
	self->key = NULL;
}

TEST(at_most_4096_experts_are_open)
{
	static HEXPERTKEY keys[4096];
	size_t i;

	for (i = 0; i < COUNT_OF(keys); i++) {
		keys[i] = open_expert(EXPERTMEM_BACKEND_ANON, 0, 0);
		ASSERT_NE(NULL, keys[i]);
	}
	EXPECT_EQ(EXPERTMEM_E_TOO_MANY, open_error_of(EXPERTMEM_BACKEND_ANON));
	EXPECT_EQ(EXPERTMEM_OK, expertmem_close(keys[1234]));
	EXPECT_EQ(EXPERTMEM_OK, open_error_of(EXPERTMEM_BACKEND_ANON));
	keys[1234] = open_expert(EXPERTMEM_BACKEND_ANON, 0, 0);
	for (i = 0; i < COUNT_OF(keys); i++)
		ASSERT_EQ(EXPERTMEM_OK, expertmem_close(keys[i]));
}

TEST_F(device, experts_are_too_many_where_files_are)
{
	struct rlimit files = { 3, 3 };

	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &files));
	EXPECT_EQ(EXPERTMEM_E_TOO_MANY, open_error_of(EXPERTMEM_BACKEND_DEVICE));
	EXPECT_EQ(EXPERTMEM_E_TOO_MANY, open_error_of(EXPERTMEM_BACKEND_AUTO));
}

TEST_F(expert, without_addresses_there_is_no_memory_until_there_are_some)
{
	struct rlimit space, none = { 0 };

	ASSERT_EQ(0, getrlimit(RLIMIT_AS, &space));
	none.rlim_max = space.rlim_max;
	ASSERT_EQ(0, setrlimit(RLIMIT_AS, &none));
	EXPECT_TRUE(says(alloc(self->key, 1), NMERR_OUT_OF_MEMORY));
	EXPECT_TRUE(says(alloc(self->key, 1), NMERR_OUT_OF_MEMORY));
	EXPECT_EQ(EXPERTMEM_E_NOMEM, open_error_of(variant->backend));
	ASSERT_EQ(0, setrlimit(RLIMIT_AS, &space));
	EXPECT_NE(NULL, get(self->key, 1));
	EXPECT_EQ(EXPERTMEM_OK, open_error_of(variant->backend));
}

/* The pages of this process that are mapped alone, and inaccessible: guards of the library. */
static size_t find_guards(unsigned char **pages, size_t room)
{
	FILE *file = fopen("/proc/self/maps", "r");
	unsigned long start, end, inode;
	size_t n = 0;
	char line[512];

	while (file && n < room && fgets(line, sizeof(line), file))
		if (sscanf(line, "%lx-%lx ---p %*x %*s %lu", &start, &end, &inode) == 3 &&
		    !inode && end - start == PAGE)
			pages[n++] = (unsigned char *)start;
	if (file)
		fclose(file);
	return n;
}

/* Under RLIMIT_AS, addresses of a window are only chosen, and somebody else may map them. */
TEST(what_others_map_among_a_windows_addresses_is_left_alone)
{
	struct rlimit space = { 8 * GIB, 8 * GIB };
	unsigned char *pages[64];
	size_t n, i, j, taken = 0;
	HEXPERTKEY key;

	ASSERT_EQ(0, setrlimit(RLIMIT_AS, &space));
	key = open_expert(EXPERTMEM_BACKEND_ANON, 0, 0);
	ASSERT_NE(NULL, get(key, 100));
	n = find_guards(pages, COUNT_OF(pages));
	ASSERT_EQ(EXPERTMEM_OK, expertmem_close(key));
	for (i = 0; i < n; i++) {
		volatile unsigned char *others = mmap(pages[i], PAGE, PROT_READ | PROT_WRITE,
						      MAP_PRIVATE | MAP_ANONYMOUS |
						      MAP_FIXED_NOREPLACE, -1, 0);

		if (others == MAP_FAILED)
			continue;
		taken++;
		memset(pages[i], 0xaa, PAGE);
		/* the next expert gets the same windows */
		key = open_expert(EXPERTMEM_BACKEND_ANON, 0, 0);
		ASSERT_NE(NULL, get(key, 100));
		for (j = 0; j < PAGE; j++)
			ASSERT_EQ(0xaa, others[j]);
		ASSERT_EQ(EXPERTMEM_OK, expertmem_close(key));
		for (j = 0; j < PAGE; j++)
			ASSERT_EQ(0xaa, others[j]);
		ASSERT_EQ(0, munmap(pages[i], PAGE));
	}
	EXPECT_LT(2, taken);
}

/* -------------------------------------------- every way in which there is no device */

/* A /dev of this process's own, with nothing in it. */
static bool own_dev(void)
{
	return unshare(CLONE_NEWNS) == 0 &&
	       mount("none", "/", "", MS_REC | MS_PRIVATE, "") == 0 &&
	       mount("none", "/dev", "tmpfs", 0, "mode=755") == 0;
}

#define NEED_OWN_DEV()								\
	do {									\
		unsetenv("EXPERTMEM_BACKEND");					\
		if (!own_dev())							\
			SKIP_TEST("cannot mount a /dev: %s; be root", strerror(errno)); \
	} while (0)

TEST(no_node_is_no_module_and_falls_back)
{
	HEXPERTKEY key;

	NEED_OWN_DEV();
	EXPECT_EQ(EXPERTMEM_E_NO_MODULE, open_error_of(EXPERTMEM_BACKEND_DEVICE));
	ASSERT_EQ(EXPERTMEM_OK, expertmem_open(NULL, &key));
	EXPECT_EQ(EXPERTMEM_BACKEND_ANON, stats_of(key).backend);
	EXPECT_NE(NULL, get(key, 1));
	EXPECT_EQ(EXPERTMEM_OK, expertmem_close(key));
}

/* Left behind by a module that is not there: a number that nobody has. */
TEST(a_node_without_a_driver_is_no_module)
{
	NEED_OWN_DEV();
	ASSERT_EQ(0, mknod(DEVICE, S_IFCHR | 0666, makedev(4000, 1)));
	EXPECT_EQ(EXPERTMEM_E_NO_MODULE, open_error_of(EXPERTMEM_BACKEND_DEVICE));
	EXPECT_EQ(EXPERTMEM_OK, open_error(NULL));
}

TEST(a_node_that_may_not_be_opened_is_an_error)
{
	NEED_OWN_DEV();
	ASSERT_EQ(0, mknod(DEVICE, S_IFCHR | 0600, makedev(1, 3)));
	ASSERT_EQ(0, setgroups(0, NULL));
	ASSERT_EQ(0, setresgid(NOBODY, NOBODY, NOBODY));
	ASSERT_EQ(0, setresuid(NOBODY, NOBODY, NOBODY));
	EXPECT_EQ(EXPERTMEM_E_ACCESS, open_error_of(EXPERTMEM_BACKEND_DEVICE));
	EXPECT_EQ(EXPERTMEM_E_ACCESS, open_error(NULL));
	EXPECT_EQ(EXPERTMEM_OK, open_error_of(EXPERTMEM_BACKEND_ANON));
}

TEST(another_device_in_its_place_is_an_error)
{
	NEED_OWN_DEV();
	ASSERT_EQ(0, mknod(DEVICE, S_IFCHR | 0666, makedev(1, 3)));
	EXPECT_EQ(EXPERTMEM_E_NO_DEVICE, open_error_of(EXPERTMEM_BACKEND_DEVICE));
	EXPECT_EQ(EXPERTMEM_E_NO_DEVICE, open_error(NULL));
	EXPECT_EQ(EXPERTMEM_OK, open_error_of(EXPERTMEM_BACKEND_ANON));
}

/* What container engines make of a device that the host did not have. */
TEST(a_directory_in_its_place_is_an_error)
{
	NEED_OWN_DEV();
	ASSERT_EQ(0, mkdir(DEVICE, 0755));
	EXPECT_EQ(EXPERTMEM_E_NO_DEVICE, open_error_of(EXPERTMEM_BACKEND_DEVICE));
	EXPECT_EQ(EXPERTMEM_E_NO_DEVICE, open_error(NULL));
}

TEST(a_file_in_its_place_is_an_error)
{
	NEED_OWN_DEV();
	ASSERT_EQ(0, mknod(DEVICE, S_IFREG | 0666, 0));
	EXPECT_EQ(EXPERTMEM_E_NO_DEVICE, open_error_of(EXPERTMEM_BACKEND_DEVICE));
	EXPECT_EQ(EXPERTMEM_E_NO_DEVICE, open_error(NULL));
}

/* What the control group of a container says of a device that it does not allow. */
TEST(a_device_that_is_not_permitted_is_an_error)
{
	unsetenv("EXPERTMEM_BACKEND");
	device_errno = EPERM;
	EXPECT_EQ(EXPERTMEM_E_ACCESS, open_error_of(EXPERTMEM_BACKEND_DEVICE));
	EXPECT_EQ(EXPERTMEM_E_ACCESS, open_error(NULL));
}

TEST(too_many_experts_in_the_system_is_an_error)
{
	unsetenv("EXPERTMEM_BACKEND");
	device_errno = ENFILE;
	EXPECT_EQ(EXPERTMEM_E_TOO_MANY, open_error_of(EXPERTMEM_BACKEND_DEVICE));
	EXPECT_EQ(EXPERTMEM_E_TOO_MANY, open_error(NULL));
}

TEST(too_many_experts_of_the_user_is_an_error)
{
	unsetenv("EXPERTMEM_BACKEND");
	device_errno = EDQUOT;
	EXPECT_EQ(EXPERTMEM_E_TOO_MANY, open_error_of(EXPERTMEM_BACKEND_DEVICE));
	EXPECT_EQ(EXPERTMEM_E_TOO_MANY, open_error(NULL));
}

TEST_F(device, a_module_that_is_too_old_is_an_error)
{
	HEXPERTKEY key = (HEXPERTKEY)POISON64;
	int fd;

	unsetenv("EXPERTMEM_BACKEND");
	fd = dup(expertmem_fd(self->key));
	module_is_old = true;
	EXPECT_EQ(EXPERTMEM_E_ABI, open_error_of(EXPERTMEM_BACKEND_DEVICE));
	EXPECT_EQ(EXPERTMEM_E_ABI, open_error(NULL));
	EXPECT_EQ(EXPERTMEM_E_ABI, expertmem_adopt(fd, &key));
	EXPECT_EQ((HEXPERTKEY)POISON64, key);
	EXPECT_EQ(EXPERTMEM_OK, open_error_of(EXPERTMEM_BACKEND_ANON));
	module_is_old = false;
	EXPECT_EQ(EXPERTMEM_OK, open_error(NULL));
}

TEST_HARNESS_MAIN
