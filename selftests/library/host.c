// SPDX-License-Identifier: GPL-2.0
/*
 * The host's side of libexpertmem: messages of experts, fork, reclaim and adopt. open.c tests
 * opening, library.c tests the calls that allocate memory.
 *
 * needs: module native
 * also: arm64 fast
 */
#include <limits.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "library_test.h"

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
		{ EXPERTMEM_E_NOMEM, "uid_limit" },
		{ EXPERTMEM_E_NO_MODULE, "modprobe expertmem" },
		{ EXPERTMEM_E_ACCESS, "group" },
		{ EXPERTMEM_E_ABI, "same version" },
		{ EXPERTMEM_E_NO_DEVICE, "load the kernel module" },
		{ EXPERTMEM_E_TOO_MANY, "uid_max_experts" },
		{ EXPERTMEM_E_TOO_MANY, " max_experts" },
		{ EXPERTMEM_E_PERM, "CAP_IPC_LOCK" },
		{ EXPERTMEM_E_LIMIT, "CAP_NET_ADMIN" },
		{ EXPERTMEM_E_LIMIT, "less" },
		{ EXPERTMEM_E_LIMIT, "--limit default" },
		{ EXPERTMEM_E_UNSUPPORTED, "needs the kernel module" },
		{ EXPERTMEM_E_BUSY, "in use" },
		{ EXPERTMEM_E_RECLAIMED, "open a new expert" },
		{ EXPERTMEM_E_KERNEL, "pages of 4 KiB" },
	};
	static const int unknown[] = { 1, -15, -999, INT_MIN, INT_MAX };
	size_t i, j;

	for (i = 0; i < COUNT_OF(errors); i++) {
		EXPECT_NE(NULL, strstr(expertmem_strerror(errors[i].error), errors[i].remedy));
		for (j = 0; j < i; j++)
			EXPECT_EQ(errors[i].error == errors[j].error,
				  !strcmp(expertmem_strerror(errors[i].error),
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
	struct expertmem_heap_stats stats;
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
	EXPECT_EQ(108000, stats.peak_blocks);
	EXPECT_LE(108000, stats.peak);
	if (variant->backend == EXPERTMEM_BACKEND_DEVICE) {
		EXPECT_EQ(1, stats.reclaimed_now);
		EXPECT_EQ(0, stats.committed);
		EXPECT_EQ(0, stats.resident);
		EXPECT_LE(108000, stats.reclaimed_bytes);
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

/* Terminates the expert that maps this window. */
static uint64_t window_of_terminated;

/* The library calls this in place of the C library's. */
void *mmap(void *addr, size_t size, int prot, int flags, int fd, off_t offset)
{
	if (fd >= 0 && offset && (uint64_t)offset == window_of_terminated)
		expert_terminate(fd);
	return (void *)syscall(SYS_mmap, addr, size, prot, flags, fd, offset);
}

TEST_F(device, an_expert_that_is_terminated_while_it_maps_its_windows_is_told_so)
{
	static const uint64_t windows[] = { EXPERTMEM_SMALL_OFFSET, EXPERTMEM_HUGE_OFFSET };
	HEXPERTKEY key;
	size_t i;

	for (i = 0; i < COUNT_OF(windows); i++) {
		key = open_expert(EXPERTMEM_BACKEND_DEVICE, 0, 0);
		ASSERT_NE(NULL, key);
		window_of_terminated = windows[i];
		EXPECT_TRUE(says(alloc(key, 1), NMERR_EXPERT_TERMINATE));
		window_of_terminated = 0;
		EXPECT_TRUE(says(alloc(key, 1), NMERR_EXPERT_TERMINATE));
		EXPECT_TRUE(says(resize(key, NULL, 1), NMERR_EXPERT_TERMINATE));
		EXPECT_EQ(1, stats_of(key).terminating);
		EXPECT_EQ(0, stats_of(key).committed);
		EXPECT_EQ(EXPERTMEM_OK, expertmem_close(key));
	}
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
		EXPECT_EQ(bytes, stats_of(self->key).reclaimed_bytes);
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

	NEED_REAL_KERNEL("it crashes where a process with threads forks");
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

	NEED_REAL_KERNEL("it does not know the calls of the module");
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

/* The module lets such a descriptor look only. */
TEST_F(device, what_is_open_for_reading_only_is_not_adopted)
{
	HEXPERTKEY key = (HEXPERTKEY)POISON64;
	int fd = open(DEVICE, O_RDONLY | O_CLOEXEC);

	ASSERT_LE(0, fd);
	EXPECT_EQ(EXPERTMEM_E_ACCESS, expertmem_adopt(fd, &key));
	EXPECT_EQ((HEXPERTKEY)POISON64, key);
	EXPECT_NE(-1, fcntl(fd, F_GETFD));
	EXPECT_EQ(EXPERTMEM_STATE_IDLE, expert_stat(fd).state);
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
	struct expertmem_heap_stats stats;
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
	EXPECT_LE(MIB, stats.reclaimed_bytes);
	EXPECT_EQ(EXPERTMEM_OK, expertmem_close(host));
}

TEST_HARNESS_MAIN
