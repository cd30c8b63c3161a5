// SPDX-License-Identifier: GPL-2.0
/*
 * The host's side of libexpertmem: opening, adopting, fork, what the expert said, taking
 * memory back, and every way in which there can be no device. The memory calls are in
 * library.c.
 */
#include <grp.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include "library_test.h"
#include "names.h"

#define NOBODY	65534

/* For what only the device can do. */
FIXTURE(device) {
	HEXPERTKEY key;
};

FIXTURE_SETUP(device)
{
	NEED_DEVICE();
	self->key = open_expert(EXPERTMEM_BACKEND_DEVICE, 0, 0);
	ASSERT_NE(NULL, self->key);
}

FIXTURE_TEARDOWN(device)
{
	EXPECT_EQ(EXPERTMEM_OK, expertmem_close(self->key));
}

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
	if (variant->backend == EXPERTMEM_BACKEND_ANON) {
		EXPECT_EQ(0, stats_of(self->key).limit);
	} else {
		EXPECT_EQ(expert_info(expertmem_fd(self->key)).default_limit,
			  stats_of(self->key).limit);
	}
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

/* -------------------------------------------------- what the host and expert say */

static bool same_startup(const EXPERTSTARTUPINFO *a, const EXPERTSTARTUPINFO *b)
{
	return a->Flags == b->Flags && a->hCapture == b->hCapture &&
	       !memcmp(a->szCaptureFile, b->szCaptureFile, sizeof(a->szCaptureFile)) &&
	       a->dwFrameNumber == b->dwFrameNumber && a->hProtocol == b->hProtocol &&
	       a->lpPropertyInst == b->lpPropertyInst &&
	       a->sBitfield.BitNumber == b->sBitfield.BitNumber &&
	       a->sBitfield.bOn == b->sBitfield.bOn;
}

TEST_F(expert, startup_information_is_a_copy_of_the_hosts)
{
	EXPERTSTARTUPINFO startup, got;
	struct expertmem_options options = { .backend = variant->backend, .startup = &startup };
	HEXPERTKEY key;

	memset(&startup, 0x42, sizeof(startup));
	strcpy(startup.szCaptureFile, "/var/capture.pcap");
	ASSERT_EQ(EXPERTMEM_OK, expertmem_open(&options, &key));
	memset(&startup, 0x42, sizeof(startup));
	memset(&got, POISON, sizeof(got));
	EXPECT_EQ(NMERR_SUCCESS, ExpertGetStartupInfo(key, &got));
	EXPECT_EQ(0, strcmp("/var/capture.pcap", got.szCaptureFile));
	strcpy(startup.szCaptureFile, "/var/capture.pcap");
	EXPECT_TRUE(same_startup(&startup, &got));
	EXPECT_EQ(NMERR_INVALID_PARAMETER, ExpertGetStartupInfo(key, NULL));
	EXPECT_EQ(EXPERTMEM_OK, expertmem_close(key));

	EXPECT_EQ(NMERR_SUCCESS, ExpertGetStartupInfo(self->key, &got));
	EXPECT_TRUE(all_bytes((void *)&got, sizeof(got), 0));
}

/* Progress that could not be had is all poison. */
static struct expertmem_progress progress_of(HEXPERTKEY key)
{
	struct expertmem_progress progress;

	memset(&progress, POISON, sizeof(progress));
	expertmem_progress(key, &progress);
	return progress;
}

TEST_F(expert, progress_is_what_the_expert_said_last)
{
	static const LONG ignored[] = { 100, 101, -1, INT_MIN, INT_MAX };
	struct expertmem_progress progress = progress_of(self->key);
	size_t i;

	EXPECT_TRUE(all_bytes((void *)&progress, sizeof(progress), 0));
	EXPECT_EQ(EXPERTMEM_E_INVALID, expertmem_progress(self->key, NULL));
	EXPECT_EQ(NMERR_SUCCESS,
		  ExpertIndicateStatus(self->key, EXPERTSTATUS_PROBLEM, 77, "half", 50));
	progress = progress_of(self->key);
	EXPECT_EQ(1, progress.calls);
	EXPECT_EQ(EXPERTSTATUS_PROBLEM, progress.status);
	EXPECT_EQ(77, progress.sub_status);
	EXPECT_EQ(50, progress.percent);
	EXPECT_EQ(0, strcmp("half", progress.text));
	for (i = 0; i < COUNT_OF(ignored); i++) {
		EXPECT_EQ(NMERR_SUCCESS, ExpertIndicateStatus(self->key, EXPERTSTATUS_RUNNING,
							      i, NULL, ignored[i]));
		progress = progress_of(self->key);
		EXPECT_EQ(2 + i, progress.calls);
		EXPECT_EQ(EXPERTSTATUS_RUNNING, progress.status);
		EXPECT_EQ(i, progress.sub_status);
		EXPECT_EQ(50, progress.percent);
		EXPECT_TRUE(all_bytes((void *)progress.text, sizeof(progress.text), 0));
	}
	EXPECT_EQ(NMERR_SUCCESS,
		  ExpertIndicateStatus(self->key, EXPERTSTATUS_RUNNING, 0, "", 99));
	EXPECT_EQ(99, progress_of(self->key).percent);
	EXPECT_EQ(NMERR_SUCCESS,
		  ExpertIndicateStatus(self->key, EXPERTSTATUS_DONE, 0, "", 0));
	EXPECT_EQ(0, progress_of(self->key).percent);
}

TEST_F(expert, a_text_is_cut_to_255_bytes)
{
	static const size_t lengths[] = { 254, 255, 256, 1000 };
	struct expertmem_progress progress;
	char text[1001] = "";
	size_t i;

	for (i = 0; i < COUNT_OF(lengths); i++) {
		size_t kept = lengths[i] < 255 ? lengths[i] : 255;

		memset(text, 'a' + i, lengths[i]);
		EXPECT_EQ(NMERR_SUCCESS, ExpertIndicateStatus(self->key, EXPERTSTATUS_RUNNING,
							      0, text, 1));
		progress = progress_of(self->key);
		EXPECT_EQ(kept, strlen(progress.text));
		EXPECT_EQ(0, memcmp(text, progress.text, kept));
	}
}

TEST(every_error_has_words_of_its_own_and_a_remedy)
{
	static const struct {
		int error;
		const char *remedy;
	} errors[] = {
		{ EXPERTMEM_OK, "success" },
		{ EXPERTMEM_E_INVALID, "EXPERTMEM_BACKEND" },
		{ EXPERTMEM_E_KEY, "key" },
		{ EXPERTMEM_E_NOMEM, "ulimit -v" },
		{ EXPERTMEM_E_NO_MODULE, "modprobe expertmem" },
		{ EXPERTMEM_E_ACCESS, "group" },
		{ EXPERTMEM_E_ABI, "same version" },
		{ EXPERTMEM_E_NO_DEVICE, "load the kernel module" },
		{ EXPERTMEM_E_TOO_MANY, "max_experts" },
		{ EXPERTMEM_E_PERM, "CAP_IPC_LOCK" },
		{ EXPERTMEM_E_UNSUPPORTED, "needs the kernel module" },
		{ EXPERTMEM_E_BUSY, "in use" },
		{ EXPERTMEM_E_RECLAIMED, "open a new expert" },
	};
	static const int unknown[] = { 1, -13, -999, INT_MIN, INT_MAX };
	size_t i, j;

	for (i = 0; i < COUNT_OF(errors); i++) {
		EXPECT_NE(NULL, strstr(expertmem_strerror(errors[i].error), errors[i].remedy));
		for (j = 0; j < i; j++)
			EXPECT_NE(0, strcmp(expertmem_strerror(errors[i].error),
					    expertmem_strerror(errors[j].error)));
		for (j = 0; j < COUNT_OF(unknown); j++) {
			ASSERT_NE(NULL, expertmem_strerror(unknown[j]));
			EXPECT_NE(0, strcmp(expertmem_strerror(errors[i].error),
					    expertmem_strerror(unknown[j])));
		}
	}
}

/* ------------------------------------------------------------------ hosts and fork */

/* Do all memory calls say that the memory is another process's? */
static bool is_hosts_key(HEXPERTKEY key)
{
	return says(alloc(key, 1), NMERR_INVALID_EXPERT_HANDLE) &&
	       says(resize(key, NULL, 1), NMERR_INVALID_EXPERT_HANDLE) &&
	       says(resize(key, &key, 1), NMERR_INVALID_EXPERT_HANDLE) &&
	       ExpertFreeMemory(key, &key) == NMERR_INVALID_EXPERT_HANDLE &&
	       ExpertFreeMemory(key, NULL) == NMERR_INVALID_EXPERT_HANDLE &&
	       ExpertMemorySize(key, &key) == 0;
}

TEST_F(expert, the_host_reads_what_its_dead_child_left)
{
	struct expertmem_progress progress;
	struct expertmem_stats stats;
	unsigned char *p;
	pid_t child;

	child = fork();
	if (child == 0) {
		get(self->key, 1000);
		get(self->key, 100000);
		p = get(self->key, 5000);
		ExpertFreeMemory(self->key, get(self->key, 300));
		p = resize(self->key, p, 7000).block;
		memset(p, 1, 7000);
		ExpertIndicateStatus(self->key, EXPERTSTATUS_RUNNING, 3, "dying", 42);
		raise(SIGKILL);
	}
	ASSERT_EQ(128 + SIGKILL, child_status(child));
	stats = stats_of(self->key);
	EXPECT_EQ(3, stats.live_blocks);
	EXPECT_EQ(108000, stats.live_bytes);
	EXPECT_EQ(108000, stats.peak_bytes);
	EXPECT_LE(108000, stats.peak_committed);
	if (variant->backend == EXPERTMEM_BACKEND_DEVICE) {
		EXPECT_EQ(1, stats.reclaimed_now);
		EXPECT_EQ(0, stats.committed);
		EXPECT_EQ(0, stats.resident);
		EXPECT_LE(108000, stats.reclaimed);
	}
	progress = progress_of(self->key);
	EXPECT_EQ(1, progress.calls);
	EXPECT_EQ(EXPERTSTATUS_RUNNING, progress.status);
	EXPECT_EQ(3, progress.sub_status);
	EXPECT_EQ(42, progress.percent);
	EXPECT_EQ(0, strcmp("dying", progress.text));
	EXPECT_TRUE(is_hosts_key(self->key));
	EXPECT_EQ(0, expertmem_walk(self->key, visit, &(struct visited){ .room = 0 }));
}

/*
 * A child that does what it is told on a socket: it allocates, and answers each further
 * message with the code of an allocation, or 0xff if it may touch its block, else with
 * the signal.
 */
static void obey(HEXPERTKEY key, int line)
{
	unsigned char *block = get(key, MIB), what = 0;

	while (block && write(line, &what, 1) == 1 && read(line, &what, 1) == 1) {
		if (what == 'a')
			what = alloc(key, 10).error;
		else
			what = write_touch(block) ?: 0xff;
	}
	_exit(0);
}

static int ask(int line, char question)
{
	unsigned char answer = 0;

	if (question && write(line, &question, 1) != 1)
		return -1;
	return read(line, &answer, 1) == 1 ? answer : -1;
}

TEST_F(expert, the_host_terminates_its_child)
{
	int line[2];
	pid_t child;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_SEQPACKET, 0, line));
	child = fork();
	if (child == 0)
		obey(self->key, line[1]);
	ASSERT_EQ(0, ask(line[0], 0));
	EXPECT_EQ(NMERR_SUCCESS, ask(line[0], 'a'));
	EXPECT_EQ(2, stats_of(self->key).live_blocks);
	EXPECT_TRUE(is_hosts_key(self->key));
	EXPECT_EQ(EXPERTMEM_OK, expertmem_terminate(self->key));
	EXPECT_EQ(NMERR_EXPERT_TERMINATE, ask(line[0], 'a'));
	EXPECT_EQ(0xff, ask(line[0], 't'));
	EXPECT_EQ(2, stats_of(self->key).live_blocks);
	shutdown(line[0], SHUT_RDWR);
	EXPECT_EQ(0, child_status(child));
}

TEST_F(expert, the_host_reclaims_its_childs_memory_where_the_module_is)
{
	uint64_t bytes = POISON64;
	int line[2];
	pid_t child;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_SEQPACKET, 0, line));
	child = fork();
	if (child == 0)
		obey(self->key, line[1]);
	ASSERT_EQ(0, ask(line[0], 0));
	EXPECT_EQ(0xff, ask(line[0], 't'));
	if (variant->backend == EXPERTMEM_BACKEND_ANON) {
		EXPECT_EQ(EXPERTMEM_E_UNSUPPORTED, expertmem_reclaim(self->key, &bytes));
		EXPECT_EQ(POISON64, bytes);
		EXPECT_EQ(0, stats_of(self->key).reclaimed_now);
		EXPECT_EQ(0xff, ask(line[0], 't'));
		EXPECT_EQ(NMERR_SUCCESS, ask(line[0], 'a'));
	} else {
		EXPECT_EQ(EXPERTMEM_OK, expertmem_reclaim(self->key, &bytes));
		EXPECT_LE(MIB, bytes);
		EXPECT_EQ(bytes, stats_of(self->key).reclaimed);
		EXPECT_EQ(1, stats_of(self->key).reclaimed_now);
		EXPECT_EQ(0, stats_of(self->key).committed);
		EXPECT_EQ(1, stats_of(self->key).live_blocks);
		EXPECT_NE(0xff, ask(line[0], 't'));
		EXPECT_EQ(NMERR_EXPERT_TERMINATE, ask(line[0], 'a'));
	}
	shutdown(line[0], SHUT_RDWR);
	EXPECT_EQ(0, child_status(child));
}

/* The exit status of a child says which of its checks failed first. */
#define CHECK(condition)							\
	do {									\
		if (!(condition)) {						\
			fprintf(stderr, "# %s:%d: %s\n", __FILE__, __LINE__, #condition); \
			_exit(1);						\
		}								\
	} while (0)

TEST_F(expert, a_fork_of_an_expert_has_none_of_its_memory)
{
	struct block block = { .size = 100 };
	HEXPERTKEY fresh;
	pid_t child;

	block.at = get(self->key, block.size);
	ASSERT_NE(NULL, block.at);
	fill(&block);
	child = fork();
	if (child == 0) {
		CHECK(is_hosts_key(self->key));
		CHECK(expertmem_close(self->key) == EXPERTMEM_E_KEY);
		CHECK(expertmem_terminate(self->key) == EXPERTMEM_E_KEY);
		CHECK(read_touch(block.at) == SIGSEGV);
		fresh = open_expert(variant->backend, 0, 0);
		CHECK(fresh && fresh != self->key);
		CHECK(refused(fresh, block.at) == NMERR_INVALID_PARAMETER);
		CHECK(get(fresh, 100000));
		CHECK(expertmem_close(fresh) == EXPERTMEM_OK);
		_exit(0);
	}
	EXPECT_EQ(0, child_status(child));
	EXPECT_TRUE(intact(self->key, &block));
	EXPECT_TRUE(are_all(self->key, &block, 1));
	EXPECT_EQ(0, stats_of(self->key).terminating);
	EXPECT_EQ(NMERR_SUCCESS, ExpertFreeMemory(self->key, block.at));
	EXPECT_NE(NULL, get(self->key, 100000));
}

/* Only the process that has the memory ends the expert. */
TEST_F(expert, a_hosts_close_leaves_its_child_running)
{
	int line[2];
	pid_t child;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_SEQPACKET, 0, line));
	child = fork();
	if (child == 0)
		obey(self->key, line[1]);
	ASSERT_EQ(0, ask(line[0], 0));
	EXPECT_EQ(EXPERTMEM_OK, expertmem_close(self->key));
	self->key = NULL;
	EXPECT_EQ(0xff, ask(line[0], 't'));
	EXPECT_EQ(NMERR_SUCCESS, ask(line[0], 'a'));
	shutdown(line[0], SHUT_RDWR);
	EXPECT_EQ(0, child_status(child));
}

struct busy {
	HEXPERTKEY key;
	bool stop;
};

static void *keep_busy(void *arg)
{
	struct busy *busy = arg;

	while (!__atomic_load_n(&busy->stop, __ATOMIC_RELAXED))
		ExpertFreeMemory(busy->key, get(busy->key, 40000));
	return NULL;
}

static void *keep_opening(void *arg)
{
	struct busy *busy = arg;
	HEXPERTKEY key;

	while (!__atomic_load_n(&busy->stop, __ATOMIC_RELAXED)) {
		key = open_expert(EXPERTMEM_BACKEND_ANON, 0, 0);
		get(key, 10);
		expertmem_close(key);
	}
	return NULL;
}

TEST_F(expert, a_fork_finds_no_lock_held_by_threads_it_does_not_have)
{
	struct busy busy = { .key = self->key };
	pthread_t threads[2];
	int i;

	ASSERT_EQ(0, pthread_create(&threads[0], NULL, keep_busy, &busy));
	ASSERT_EQ(0, pthread_create(&threads[1], NULL, keep_opening, &busy));
	for (i = 0; i < 50; i++) {
		pid_t child = fork();

		if (child == 0) {
			HEXPERTKEY key;

			/* who waits for nobody is killed, and the status says so */
			alarm(20);
			key = open_expert(variant->backend, 0, 0);
			CHECK(get(key, 100));
			CHECK(expertmem_close(key) == EXPERTMEM_OK);
			_exit(0);
		}
		EXPECT_EQ(0, child_status(child));
	}
	__atomic_store_n(&busy.stop, true, __ATOMIC_RELAXED);
	ASSERT_EQ(0, pthread_join(threads[0], NULL));
	ASSERT_EQ(0, pthread_join(threads[1], NULL));
	EXPECT_EQ(0, stats_of(self->key).live_blocks);
}

/* ------------------------------------------------------------------------ adopting */

TEST_F(expert, what_is_no_device_is_not_adopted)
{
	HEXPERTKEY key = (HEXPERTKEY)POISON64;
	int fds[4], i, line[2];

	ASSERT_EQ(0, pipe(line));
	fds[0] = open("/dev/null", O_RDWR);
	fds[1] = open("/", O_RDONLY);
	fds[2] = line[0];
	fds[3] = socket(AF_UNIX, SOCK_STREAM, 0);
	for (i = 0; i < 4; i++) {
		ASSERT_LE(0, fds[i]);
		EXPECT_EQ(EXPERTMEM_E_NO_DEVICE, expertmem_adopt(fds[i], &key));
		/* still the caller's */
		EXPECT_NE(-1, fcntl(fds[i], F_GETFD));
	}
	EXPECT_EQ(EXPERTMEM_E_NO_DEVICE, expertmem_adopt(1000000, &key));
	EXPECT_EQ(EXPERTMEM_E_INVALID, expertmem_adopt(-1, &key));
	EXPECT_EQ(EXPERTMEM_E_INVALID, expertmem_adopt(INT_MIN, &key));
	EXPECT_EQ(EXPERTMEM_E_INVALID, expertmem_adopt(fds[0], NULL));
	EXPECT_EQ((HEXPERTKEY)POISON64, key);
}

TEST_F(device, a_duplicate_is_adopted_as_the_same_expert)
{
	HEXPERTKEY host, key;
	int fd;

	host = open_expert(EXPERTMEM_BACKEND_DEVICE, 5 * MIB, 0);
	fd = dup(expertmem_fd(host));
	ASSERT_LE(0, fd);
	ASSERT_EQ(EXPERTMEM_OK, expertmem_adopt(fd, &key));
	EXPECT_NE(host, key);
	EXPECT_EQ(fd, expertmem_fd(key));
	EXPECT_EQ(FD_CLOEXEC, fcntl(fd, F_GETFD));
	EXPECT_EQ(stats_of(host).id, stats_of(key).id);
	EXPECT_EQ(5 * MIB, stats_of(key).limit);

	EXPECT_NE(NULL, get(key, MIB));
	EXPECT_TRUE(says(alloc(key, 5 * MIB), NMERR_OUT_OF_MEMORY));
	EXPECT_LE(MIB, stats_of(host).committed);
	/* counts of blocks are the adopter's */
	EXPECT_EQ(0, stats_of(host).live_blocks);
	EXPECT_EQ(1, stats_of(key).live_blocks);
	/* one expert has one memory */
	EXPECT_TRUE(says(alloc(host, 1), NMERR_INVALID_EXPERT_HANDLE));
	EXPECT_NE(NULL, get(key, 1));
	EXPECT_EQ(EXPERTMEM_OK, expertmem_terminate(host));
	EXPECT_TRUE(says(alloc(key, 1), NMERR_EXPERT_TERMINATE));
	EXPECT_EQ(EXPERTMEM_OK, expertmem_close(key));
	EXPECT_EQ(-1, fcntl(fd, F_GETFD));
	EXPECT_EQ(1, stats_of(host).reclaimed_now);
	EXPECT_EQ(0, stats_of(host).committed);
	EXPECT_EQ(EXPERTMEM_OK, expertmem_close(host));
}

TEST_F(device, what_was_reclaimed_is_not_adopted)
{
	HEXPERTKEY key = (HEXPERTKEY)POISON64;
	int fd;

	fd = dup(expertmem_fd(self->key));
	ASSERT_EQ(EXPERTMEM_OK, expertmem_reclaim(self->key, NULL));
	EXPECT_EQ(EXPERTMEM_E_RECLAIMED, expertmem_adopt(fd, &key));
	EXPECT_EQ((HEXPERTKEY)POISON64, key);
	EXPECT_EQ(0, expert_stat(fd).committed);
	EXPECT_EQ(EXPERTMEM_STATE_RECLAIMED, expert_stat(fd).state);
}

union control {
	struct cmsghdr header;
	char space[CMSG_SPACE(sizeof(int))];
};

static bool send_fd(int line, int fd)
{
	union control control = { .header = {
		.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET,
		.cmsg_type = SCM_RIGHTS,
	} };
	struct msghdr message = {
		.msg_iov = &(struct iovec){ "", 1 }, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};

	memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	return sendmsg(line, &message, 0) == 1;
}

static int receive_fd(int line)
{
	union control control;
	char byte;
	struct msghdr message = {
		.msg_iov = &(struct iovec){ &byte, 1 }, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};
	int fd = -1;

	if (recvmsg(line, &message, 0) == 1 && message.msg_controllen)
		memcpy(&fd, CMSG_DATA(&control.header), sizeof(fd));
	return fd;
}

TEST_F(device, a_descriptor_from_a_socket_is_adopted)
{
	struct expertmem_stats stats;
	HEXPERTKEY host, key;
	int line[2], fd;
	pid_t child;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_SEQPACKET, 0, line));
	child = fork();
	if (child == 0) {
		fd = receive_fd(line[1]);
		CHECK(fd >= 0);
		CHECK(expertmem_adopt(fd, &key) == EXPERTMEM_OK);
		CHECK(fcntl(fd, F_GETFD) == FD_CLOEXEC);
		CHECK(stats_of(key).limit == 7 * MIB);
		obey(key, line[1]);
	}
	host = open_expert(EXPERTMEM_BACKEND_DEVICE, 7 * MIB, 0);
	ASSERT_TRUE(send_fd(line[0], expertmem_fd(host)));
	ASSERT_EQ(0, ask(line[0], 0));
	EXPECT_EQ(NMERR_SUCCESS, ask(line[0], 'a'));
	EXPECT_EQ(0xff, ask(line[0], 't'));
	EXPECT_LE(MIB, stats_of(host).committed);
	EXPECT_EQ(EXPERTMEM_OK, expertmem_terminate(host));
	EXPECT_EQ(NMERR_EXPERT_TERMINATE, ask(line[0], 'a'));
	shutdown(line[0], SHUT_RDWR);
	EXPECT_EQ(0, child_status(child));
	stats = stats_of(host);
	EXPECT_EQ(1, stats.reclaimed_now);
	EXPECT_EQ(0, stats.committed);
	EXPECT_LE(MIB, stats.reclaimed);
	EXPECT_EQ(EXPERTMEM_OK, expertmem_close(host));
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
