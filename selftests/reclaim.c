// SPDX-License-Identifier: GPL-2.0
/*
 * Reclaim: whatever ends an expert, its memory is back. The test is the host, and
 * keeps a descriptor to ask the kernel what it thinks is left.
 */
#include <linux/if_xdp.h>
#include <linux/io_uring.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "kselftest_harness.h"
#include "memory_test.h"

/* in each of the two windows */
#define HELD		(32 * MIB)
#define TOTAL		(2 * HELD)
#define WINDOW		GIB
#define THREADS		8
#define TIMEOUT		600
#define CGROUP		"/sys/fs/cgroup/expertmem-reclaim"

/* How long freeing behind the scenes may take, even on a slow machine. */
#define SETTLE		10

/**
 * struct expert - an expert that holds memory
 * @fd: its descriptor
 * @line: to the other side: the expert's end, or the host's
 * @stuck: a socket of the host's, in which stays what is sent
 * @kin: shared with the host: somebody whom the expert started
 * @small: with a region of HELD bytes at @small_region
 * @huge: with a region of HELD bytes at @huge_region
 */
struct expert {
	int fd;
	int line;
	int stuck;
	volatile pid_t *kin;
	struct window small;
	struct window huge;
	__u64 small_region;
	__u64 huge_region;
};

static bool say(int line, char what)
{
	return write(line, &what, 1) == 1;
}

/* What the other side says; 0 when it is gone. */
static char hear(int line)
{
	char what;

	return read(line, &what, 1) == 1 ? what : 0;
}

static int hold(struct expert *expert, __u64 size)
{
	int err;

	err = window_map(&expert->small, &small_window, expert->fd, WINDOW);
	if (!err)
		err = window_map(&expert->huge, &huge_window, expert->fd, WINDOW);
	if (!err)
		err = region_alloc(&expert->small, size, &expert->small_region);
	if (!err)
		err = region_alloc(&expert->huge, size, &expert->huge_region);
	if (!err) {
		memset(at(&expert->small, expert->small_region), 's', size);
		memset(at(&expert->huge, expert->huge_region), 'h', size);
	}
	return err;
}

static void let_go(struct expert *expert)
{
	munmap(expert->small.addr, expert->small.size);
	munmap(expert->huge.addr, expert->huge.size);
}

/* ------------------------------------------------------ what an expert may do */

static void does_munmap(struct expert *expert)
{
	let_go(expert);
	say(expert->line, 'd');
	pause();
}

static void does_munmap_after_close(struct expert *expert)
{
	close(expert->fd);
	does_munmap(expert);
}

static void does_exit(struct expert *expert)
{
	exit(0);
}

static void does_exec(struct expert *expert)
{
	execlp("sleep", "sleep", "1000", NULL);
}

static void does_abort(struct expert *expert)
{
	abort();
}

static void does_segv(struct expert *expert)
{
	*(volatile char *)expert->small.addr = 0;
}

static void does_nothing(struct expert *expert)
{
	for (;;)
		pause();
}

static void *touch_forever(void *arg)
{
	struct expert *expert = arg;
	volatile unsigned char *small = at(&expert->small, expert->small_region);
	volatile unsigned char *huge = at(&expert->huge, expert->huge_region);
	size_t i;

	for (i = 0;; i = (i + PAGE) % HELD) {
		small[i]++;
		huge[i]++;
	}
	return NULL;
}

static void does_touch_in_threads(struct expert *expert)
{
	pthread_t thread;
	int i;

	for (i = 0; i < THREADS; i++)
		if (pthread_create(&thread, NULL, touch_forever, expert))
			_exit(3);
	say(expert->line, 't');
	does_nothing(expert);
}

static void does_fork(struct expert *expert)
{
	pid_t pid = fork();

	if (!pid) {
		/* has the descriptor, but not the line */
		close(expert->line);
		does_nothing(expert);
	}
	*expert->kin = pid;
	say(expert->line, 't');
	does_nothing(expert);
}

/* The child of a vfork is in the expert's memory, which it must not take along. */
static void does_vfork(struct expert *expert)
{
	unsigned char *small = at(&expert->small, expert->small_region);
	pid_t pid = vfork();

	if (!pid) {
		small[0]++;
		_exit(7);
	}
	say(expert->line, child_status(pid) == 7 && small[0] == 's' + 1 &&
			  all_bytes(small + 1, HELD - 1, 's') ? 't' : 'f');
	does_nothing(expert);
}

static void does_vfork_killed(struct expert *expert)
{
	unsigned char *small = at(&expert->small, expert->small_region);
	pid_t pid = vfork();

	if (!pid) {
		small[0]++;
		syscall(SYS_kill, syscall(SYS_getpid), SIGKILL);
	}
	say(expert->line, child_status(pid) == 128 + SIGKILL && small[0] == 's' + 1 &&
			  all_bytes(small + 1, HELD - 1, 's') ? 't' : 'f');
	does_nothing(expert);
}

/* The child says that it is there, for its parent sleeps until the child ends. */
static void does_vfork_and_wait(struct expert *expert)
{
	if (!vfork()) {
		*expert->kin = syscall(SYS_getpid);
		say(expert->line, 't');
		does_nothing(expert);
	}
	does_nothing(expert);
}

static void does_eat(struct expert *expert)
{
	__u64 offset;

	if (file_write(CGROUP "/cgroup.procs", "0") ||
	    region_alloc(&expert->small, 4 * HELD, &offset))
		_exit(3);
	memset(at(&expert->small, offset), 1, 4 * HELD);
}

static void does_populate(struct expert *expert)
{
	__u64 offset;

	say(expert->line, 't');
	region_alloc_flags(&expert->small, EXPERTMEM_ALLOC_POPULATE, 12 * HELD, 0, &offset);
}

static void does_populate_huge(struct expert *expert)
{
	__u64 offset;

	say(expert->line, 't');
	region_alloc_flags(&expert->huge, EXPERTMEM_ALLOC_POPULATE, 20 * HELD, 0, &offset);
}

/* -------------------------------------------------------- an expert of its own */

FIXTURE(expert)
{
	struct expert expert;
	struct memory before;
	struct parameter total_limit;
	pid_t pid;
};

FIXTURE_SETUP(expert)
{
	NEED_DEVICE();
	ASSERT_EQ(parameter_set(&self->total_limit, "total_limit", "1T"), 0);
	self->expert.kin = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
				MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(self->expert.kin, MAP_FAILED);

	/* what the first expert makes the kernel keep is no leak */
	self->expert.fd = expert_open();
	ASSERT_GE(self->expert.fd, 0);
	ASSERT_EQ(hold(&self->expert, HUGE), 0);
	let_go(&self->expert);
	close(self->expert.fd);

	self->before = memory_now();
	self->expert.fd = expert_open();
	ASSERT_GE(self->expert.fd, 0);
}

FIXTURE_TEARDOWN(expert)
{
	/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): the setup made it */
	if (*self->expert.kin)
		kill(*self->expert.kin, SIGKILL);
	EXPECT_EQ(parameter_restore(&self->total_limit), 0);
}

/* Start an expert that holds TOTAL bytes; once told to go on, it does @what. */
static void start(struct __test_metadata *_metadata, FIXTURE_DATA(expert) *self,
		  void (*what)(struct expert *expert))
{
	struct expertmem_stat stat;
	int line[2];

	ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, line), 0);
	self->pid = fork();
	ASSERT_GE(self->pid, 0);
	if (!self->pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(line[0]);
		self->expert.line = line[1];
		if (hold(&self->expert, HELD) || !say(line[1], 'h') || !hear(line[1]))
			_exit(1);
		what(&self->expert);
		_exit(2);
	}
	close(line[1]);
	self->expert.line = line[0];
	ASSERT_EQ(hear(line[0]), 'h');

	/* with the memory held, all that is checked later says so */
	stat = expert_stat(self->expert.fd);
	ASSERT_EQ(stat.state, EXPERTMEM_STATE_RUNNING);
	ASSERT_EQ(stat.cause, EXPERTMEM_CAUSE_NONE);
	ASSERT_EQ(stat.committed, TOTAL);
	ASSERT_EQ(stat.resident, TOTAL);
	ASSERT_EQ(stat.regions, 2);
	ASSERT_EQ(stat.reclaimed, 0);
	ASSERT_FALSE(memory_is_back(&self->before, TOTAL - MEMORY_NOISE, 0));
}

static void go(struct __test_metadata *_metadata, FIXTURE_DATA(expert) *self)
{
	ASSERT_TRUE(say(self->expert.line, 'g'));
}

static void kill_expert(struct __test_metadata *_metadata, FIXTURE_DATA(expert) *self)
{
	ASSERT_EQ(kill(self->pid, SIGKILL), 0);
	ASSERT_EQ(child_status(self->pid), 128 + SIGKILL);
}

static void check_stat(struct __test_metadata *_metadata, int fd, __u32 cause, __u64 bytes)
{
	struct expertmem_stat stat = expert_stat(fd);

	EXPECT_EQ(stat.state, EXPERTMEM_STATE_RECLAIMED);
	EXPECT_EQ(stat.cause, cause);
	EXPECT_EQ(stat.committed, 0);
	EXPECT_EQ(stat.resident, 0);
	EXPECT_EQ(stat.regions, 0);
	EXPECT_EQ(stat.reclaimed, bytes);
}

static void check(struct __test_metadata *_metadata, FIXTURE_DATA(expert) *self,
		  __u32 cause)
{
	struct expertmem_stat stat = expert_stat(self->expert.fd);

	check_stat(_metadata, self->expert.fd, cause, TOTAL);
	EXPECT_EQ(stat.peak, TOTAL);
	EXPECT_TRUE(memory_is_back(&self->before, MEMORY_NOISE, SETTLE));
}

TEST_F_TIMEOUT(expert, closing_its_descriptor_takes_nothing_from_its_windows, TIMEOUT)
{
	struct expertmem_stat stat;

	start(_metadata, self, does_munmap_after_close);
	close(self->expert.fd);
	EXPECT_FALSE(memory_is_back(&self->before, TOTAL - MEMORY_NOISE, 0));
	/* and the expert is not freed before them */
	go(_metadata, self);
	EXPECT_EQ(hear(self->expert.line), 'd');
	EXPECT_TRUE(memory_is_back(&self->before, MEMORY_NOISE, SETTLE));
	stat = expert_stat(self->expert.fd);
	EXPECT_EQ(stat.id, POISON64);
	kill_expert(_metadata, self);
}

TEST_F_TIMEOUT(expert, one_window_less_gives_back_what_was_in_it, TIMEOUT)
{
	struct expertmem_stat stat;
	struct expert *expert = &self->expert;

	ASSERT_EQ(hold(expert, HELD), 0);
	ASSERT_EQ(munmap(expert->huge.addr, expert->huge.size), 0);
	stat = expert_stat(expert->fd);
	EXPECT_EQ(stat.state, EXPERTMEM_STATE_RUNNING);
	EXPECT_EQ(stat.cause, EXPERTMEM_CAUSE_NONE);
	EXPECT_EQ(stat.committed, HELD);
	EXPECT_EQ(stat.resident, HELD);
	EXPECT_EQ(stat.regions, 1);
	EXPECT_EQ(stat.reclaimed, HELD);
	EXPECT_FALSE(memory_is_back(&self->before, HELD - MEMORY_NOISE, 0));
	EXPECT_TRUE(memory_is_back(&self->before, HELD + MEMORY_NOISE, SETTLE));
	EXPECT_TRUE(all_bytes(at(&expert->small, expert->small_region), HELD, 's'));

	ASSERT_EQ(munmap(expert->small.addr, expert->small.size), 0);
	check(_metadata, self, EXPERTMEM_CAUSE_DETACH);
}

TEST_F_TIMEOUT(expert, sigkill_gives_all_back_while_a_grandchild_holds_the_descriptor,
	       TIMEOUT)
{
	start(_metadata, self, does_fork);
	go(_metadata, self);
	ASSERT_EQ(hear(self->expert.line), 't');
	kill_expert(_metadata, self);
	check(_metadata, self, EXPERTMEM_CAUSE_DETACH);
	EXPECT_EQ(kill(*self->expert.kin, 0), 0);
}

TEST_F_TIMEOUT(expert, sigkill_of_eight_touching_threads_gives_all_back, TIMEOUT)
{
	start(_metadata, self, does_touch_in_threads);
	go(_metadata, self);
	ASSERT_EQ(hear(self->expert.line), 't');
	kill_expert(_metadata, self);
	check(_metadata, self, EXPERTMEM_CAUSE_DETACH);
}

TEST_F_TIMEOUT(expert, the_end_of_a_vfork_child_takes_nothing, TIMEOUT)
{
	struct expertmem_stat stat;

	start(_metadata, self, does_vfork);
	go(_metadata, self);
	EXPECT_EQ(hear(self->expert.line), 't');
	stat = expert_stat(self->expert.fd);
	EXPECT_EQ(stat.state, EXPERTMEM_STATE_RUNNING);
	EXPECT_EQ(stat.resident, TOTAL);
	kill_expert(_metadata, self);
	check(_metadata, self, EXPERTMEM_CAUSE_DETACH);
}

TEST_F_TIMEOUT(expert, sigkill_of_a_vfork_child_takes_nothing, TIMEOUT)
{
	struct expertmem_stat stat;

	start(_metadata, self, does_vfork_killed);
	go(_metadata, self);
	EXPECT_EQ(hear(self->expert.line), 't');
	stat = expert_stat(self->expert.fd);
	EXPECT_EQ(stat.state, EXPERTMEM_STATE_RUNNING);
	EXPECT_EQ(stat.resident, TOTAL);
	kill_expert(_metadata, self);
	check(_metadata, self, EXPERTMEM_CAUSE_DETACH);
}

/* An mm is gone with the last who runs in it. */
TEST_F_TIMEOUT(expert, a_vfork_child_that_outlives_the_expert_keeps_its_memory, TIMEOUT)
{
	struct expertmem_stat stat;

	ASSERT_EQ(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	start(_metadata, self, does_vfork_and_wait);
	go(_metadata, self);
	ASSERT_EQ(hear(self->expert.line), 't');
	kill_expert(_metadata, self);
	stat = expert_stat(self->expert.fd);
	EXPECT_EQ(stat.state, EXPERTMEM_STATE_RUNNING);
	EXPECT_EQ(stat.resident, TOTAL);
	self->pid = *self->expert.kin;
	kill_expert(_metadata, self);
	*self->expert.kin = 0;
	check(_metadata, self, EXPERTMEM_CAUSE_DETACH);
}

TEST_F_TIMEOUT(expert, sigkill_of_a_traced_and_stopped_expert_gives_all_back, TIMEOUT)
{
	int status;

	start(_metadata, self, does_nothing);
	ASSERT_EQ(ptrace(PTRACE_SEIZE, self->pid, NULL, NULL), 0);
	ASSERT_EQ(ptrace(PTRACE_INTERRUPT, self->pid, NULL, NULL), 0);
	ASSERT_EQ(waitpid(self->pid, &status, 0), self->pid);
	ASSERT_TRUE(WIFSTOPPED(status));
	kill_expert(_metadata, self);
	check(_metadata, self, EXPERTMEM_CAUSE_DETACH);
}

TEST_F_TIMEOUT(expert, the_oom_killer_gets_all_of_it_back, TIMEOUT)
{
	__u64 kills;

	file_write("/sys/fs/cgroup/cgroup.subtree_control", "+memory");
	if (mkdir(CGROUP, 0755) && errno != EEXIST)
		SKIP_TEST(CGROUP ": %s", strerror(errno));
	if (file_write(CGROUP "/memory.max", "67108864"))
		SKIP_TEST(CGROUP "/memory.max: no cgroup v2 with memory");
	file_write(CGROUP "/memory.swap.max", "0");
	kills = value_in(CGROUP "/memory.events", "oom_kill");

	start(_metadata, self, does_eat);
	go(_metadata, self);
	EXPECT_EQ(child_status(self->pid), 128 + SIGKILL);
	EXPECT_EQ(value_in(CGROUP "/memory.events", "oom_kill"), kills + 1);
	check_stat(_metadata, self->expert.fd, EXPERTMEM_CAUSE_DETACH, TOTAL + 4 * HELD);
	EXPECT_TRUE(memory_is_back(&self->before, MEMORY_NOISE, SETTLE));
	EXPECT_EQ(rmdir(CGROUP), 0);
}

/* A populate that was cut short has taken its region back: only the others remain. */
static void kill_in_populate(struct __test_metadata *_metadata,
			     FIXTURE_DATA(expert) *self,
			     void (*what)(struct expert *expert), __u64 size)
{
	struct expertmem_stat stat;

	start(_metadata, self, what);
	go(_metadata, self);
	ASSERT_EQ(hear(self->expert.line), 't');
	do {
		sched_yield();
		stat = expert_stat(self->expert.fd);
	} while (stat.resident < TOTAL + 4 * HUGE);
	ASSERT_EQ(stat.committed, TOTAL + size);
	ASSERT_LT(stat.resident, TOTAL + size);
	kill_expert(_metadata, self);
	check_stat(_metadata, self->expert.fd, EXPERTMEM_CAUSE_DETACH, TOTAL);
	EXPECT_TRUE(memory_is_back(&self->before, MEMORY_NOISE, SETTLE));
}

TEST_F_TIMEOUT(expert, sigkill_cuts_a_populate_of_small_pages_short, TIMEOUT)
{
	kill_in_populate(_metadata, self, does_populate, 12 * HELD);
}

TEST_F_TIMEOUT(expert, sigkill_cuts_a_populate_of_huge_pages_short, TIMEOUT)
{
	kill_in_populate(_metadata, self, does_populate_huge, 20 * HELD);
}

/* ------------------------------------------------- the descriptor, in other hands */

static int send_descriptor(int socket, int fd)
{
	char byte = 0, control[CMSG_SPACE(sizeof(fd))] = { };
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	return result(sendmsg(socket, &msg, 0));
}

static int receive_descriptor(int socket)
{
	char byte, control[CMSG_SPACE(sizeof(int))] = { };
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg;
	int fd = -1;

	if (recvmsg(socket, &msg, 0) == 1) {
		cmsg = CMSG_FIRSTHDR(&msg);
		if (cmsg)
			memcpy(&fd, CMSG_DATA(cmsg), sizeof(fd));
	}
	return fd;
}

TEST_F_TIMEOUT(expert, sigkill_gives_all_back_while_the_descriptor_is_in_flight, TIMEOUT)
{
	int queue[2];

	ASSERT_EQ(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, queue), 0);
	start(_metadata, self, does_nothing);
	ASSERT_EQ(send_descriptor(queue[0], self->expert.fd), 1);
	close(self->expert.fd);
	kill_expert(_metadata, self);
	/* now only the queue has it */
	EXPECT_TRUE(memory_is_back(&self->before, MEMORY_NOISE, SETTLE));
	self->expert.fd = receive_descriptor(queue[1]);
	ASSERT_GE(self->expert.fd, 0);
	check(_metadata, self, EXPERTMEM_CAUSE_DETACH);
}

TEST_F_TIMEOUT(expert, sigkill_gives_all_back_while_a_stranger_holds_the_descriptor,
	       TIMEOUT)
{
	int queue[2];
	pid_t pid;

	ASSERT_EQ(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, queue), 0);
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		close(self->expert.fd);
		if (receive_descriptor(queue[1]) < 0 || !say(queue[1], 'r'))
			_exit(1);
		does_nothing(&self->expert);
	}
	*self->expert.kin = pid;
	start(_metadata, self, does_nothing);
	ASSERT_EQ(send_descriptor(queue[0], self->expert.fd), 1);
	ASSERT_EQ(hear(queue[0]), 'r');
	kill_expert(_metadata, self);
	check(_metadata, self, EXPERTMEM_CAUSE_DETACH);
	EXPECT_EQ(kill(*self->expert.kin, 0), 0);
}

/* ------------------------------------------------------------------ ways to end */

FIXTURE(end)
{
	FIXTURE_DATA(expert) of;
};

FIXTURE_VARIANT(end)
{
	void (*what)(struct expert *expert);
	int signal;		/* sent by the host */
	int status;		/* of the child, as child_status() has it */
};

FIXTURE_SETUP(end)
{
	expert_setup(_metadata, &self->of, NULL);
}

FIXTURE_TEARDOWN(end)
{
	expert_teardown(_metadata, &self->of, NULL);
}

#define WAY(name, ...) \
	FIXTURE_VARIANT_ADD(end, name) { __VA_ARGS__ }

/* these live on without their windows, until they are killed */
WAY(munmap, .what = does_munmap, .status = 128 + SIGKILL);
WAY(munmap_after_close, .what = does_munmap_after_close, .status = 128 + SIGKILL);
WAY(exec, .what = does_exec, .status = 128 + SIGKILL);
WAY(exit, .what = does_exit, .status = 0);
WAY(abort, .what = does_abort, .status = 128 + SIGABRT);
WAY(sigsegv, .what = does_segv, .status = 128 + SIGSEGV);
WAY(sigkill, .what = does_nothing, .signal = SIGKILL, .status = 128 + SIGKILL);
WAY(sigterm, .what = does_nothing, .signal = SIGTERM, .status = 128 + SIGTERM);

TEST_F_TIMEOUT(end, memory_is_back, TIMEOUT)
{
	FIXTURE_DATA(expert) *of = &self->of;

	start(_metadata, of, variant->what);
	go(_metadata, of);
	if (variant->signal)
		ASSERT_EQ(kill(of->pid, variant->signal), 0);
	/* done, or gone: exec and death close the line after the memory went */
	hear(of->expert.line);
	check(_metadata, of, EXPERTMEM_CAUSE_DETACH);
	if (variant->status == 128 + SIGKILL)
		kill(of->pid, SIGKILL);
	EXPECT_EQ(child_status(of->pid), variant->status);
	check(_metadata, of, EXPERTMEM_CAUSE_DETACH);
}

/* --------------------------------------------------------------- RECLAIM by the host */

static void check_result(struct __test_metadata *_metadata,
			 const struct expertmem_reclaim *result, __u64 bytes, int regions)
{
	EXPECT_EQ(result->bytes, bytes);
	EXPECT_EQ(result->resident, bytes);
	EXPECT_EQ(result->regions, regions);
	EXPECT_EQ(result->flags, 0);
	EXPECT_EQ(result->reserved, 0);
}

static void does_as_told(struct expert *expert)
{
	unsigned char *addr[] = {
		at(&expert->small, expert->small_region), at(&expert->huge, expert->huge_region),
		expert->small.addr, expert->huge.addr,
	};
	char answer = 'y';
	__u64 offset;
	size_t i;

	for (i = 0; i < COUNT_OF(addr); i++)
		if (read_touch(addr[i]) != SIGSEGV || write_touch(addr[i]) != SIGSEGV)
			answer = 't';
	if (region_alloc(&expert->small, PAGE, &offset) != -ESHUTDOWN ||
	    region_alloc(&expert->huge, HUGE, &offset) != -ESHUTDOWN ||
	    offset != POISON64)
		answer = 'a';
	if (region_realloc(&expert->small, expert->small_region, PAGE) != -ESHUTDOWN)
		answer = 'r';
	if (region_free(&expert->small, expert->small_region) != -ESHUTDOWN)
		answer = 'f';
	say(expert->line, answer);
	does_segv(expert);
}

TEST_F_TIMEOUT(expert, reclaim_takes_all_from_a_living_expert_for_good, TIMEOUT)
{
	const volatile struct expertmem_status *status = status_map(self->expert.fd);
	struct expertmem_reclaim result;

	ASSERT_NE(status, MAP_FAILED);
	start(_metadata, self, does_as_told);
	EXPECT_EQ(status->flags, 0);
	ASSERT_EQ(expert_reclaim(self->expert.fd, &result), 0);
	check_result(_metadata, &result, TOTAL, 2);
	EXPECT_EQ(status->flags, EXPERTMEM_STATUS_RECLAIMED);
	check(_metadata, self, EXPERTMEM_CAUSE_RECLAIM);

	ASSERT_EQ(expert_reclaim(self->expert.fd, &result), 0);
	check_result(_metadata, &result, 0, 0);

	go(_metadata, self);
	EXPECT_EQ(hear(self->expert.line), 'y');
	EXPECT_EQ(child_status(self->pid), 128 + SIGSEGV);
	check(_metadata, self, EXPERTMEM_CAUSE_RECLAIM);
}

TEST_F(expert, reclaim_of_an_idle_expert_ends_it)
{
	struct expertmem_reclaim result;
	struct window window;
	int i;

	for (i = 0; i < 2; i++) {
		ASSERT_EQ(expert_reclaim(self->expert.fd, &result), 0);
		check_result(_metadata, &result, 0, 0);
		check_stat(_metadata, self->expert.fd, EXPERTMEM_CAUSE_RECLAIM, 0);
	}
	EXPECT_EQ(window_map(&window, &small_window, self->expert.fd, MIB), -ESHUTDOWN);
	EXPECT_EQ(window_map(&window, &huge_window, self->expert.fd, HUGE), -ESHUTDOWN);
	EXPECT_EQ(expert_configure(self->expert.fd, "late", 0, 0), -ESHUTDOWN);
}

static unsigned long touches[THREADS];

static void *touch_until_fault(void *arg)
{
	struct expert *expert = arg;
	static unsigned int next;
	unsigned int me = __atomic_fetch_add(&next, 1, __ATOMIC_RELAXED) % THREADS;
	struct window *window = me % 2 ? &expert->huge : &expert->small;
	__u64 *region = (__u64 *)at(window, me % 2 ? expert->huge_region :
						     expert->small_region);
	unsigned long i;
	int sig;

	for (i = me * 512;; i = (i + 512) % (HELD / 8)) {
		sig = poke(region + i, i);
		if (sig)
			return (void *)(long)sig;
		__atomic_store_n(&touches[me], touches[me] + 1, __ATOMIC_RELAXED);
	}
}

TEST_F_TIMEOUT(expert, reclaim_faults_every_one_of_eight_touching_threads, TIMEOUT)
{
	struct expertmem_reclaim result;
	pthread_t threads[THREADS];
	void *sig;
	int i;

	faults_catch();
	ASSERT_EQ(hold(&self->expert, HELD), 0);
	for (i = 0; i < THREADS; i++)
		ASSERT_EQ(pthread_create(&threads[i], NULL, touch_until_fault,
					 &self->expert), 0);
	for (i = 0; i < THREADS; i++)
		while (__atomic_load_n(&touches[i], __ATOMIC_RELAXED) < 100)
			sched_yield();

	ASSERT_EQ(expert_reclaim(self->expert.fd, &result), 0);
	check_result(_metadata, &result, TOTAL, 2);
	check_stat(_metadata, self->expert.fd, EXPERTMEM_CAUSE_RECLAIM, TOTAL);
	for (i = 0; i < THREADS; i++) {
		ASSERT_EQ(pthread_join(threads[i], &sig), 0);
		EXPECT_EQ((long)sig, SIGSEGV);
	}
	check(_metadata, self, EXPERTMEM_CAUSE_RECLAIM);
}

static void *populate_until_shutdown(void *arg)
{
	struct expert *expert = arg;
	struct window *window;
	__u64 offset;
	long err, i;

	for (i = 0;; i++) {
		window = i % 8 ? &expert->small : &expert->huge;
		err = region_alloc_flags(window, EXPERTMEM_ALLOC_POPULATE,
					 i % 8 ? 64 * KIB : HUGE, 0, &offset);
		if (!err && i % 4)
			err = region_free(window, offset);
		if (err)
			return (void *)err;
	}
}

TEST_F_TIMEOUT(expert, reclaim_leaves_nothing_of_a_racing_alloc_and_populate, TIMEOUT)
{
	unsigned long i, n = rounds(40);
	struct expertmem_reclaim result;
	struct expertmem_stat stat;
	pthread_t threads[4];
	struct expert expert;
	size_t t;
	void *err;

	for (i = 0; i < n; i++) {
		expert.fd = expert_open();
		ASSERT_GE(expert.fd, 0);
		ASSERT_EQ(hold(&expert, HUGE), 0);
		for (t = 0; t < COUNT_OF(threads); t++)
			ASSERT_EQ(pthread_create(&threads[t], NULL,
						 populate_until_shutdown, &expert), 0);
		do {
			sched_yield();
			stat = expert_stat(expert.fd);
		} while (stat.resident < 2 * HUGE + i * 128 * KIB);
		ASSERT_EQ(expert_reclaim(expert.fd, &result), 0);
		EXPECT_GE(result.bytes, result.resident);
		EXPECT_GE(result.bytes, 2 * HUGE);
		EXPECT_EQ(expert_stat(expert.fd).resident, 0);
		for (t = 0; t < COUNT_OF(threads); t++) {
			ASSERT_EQ(pthread_join(threads[t], &err), 0);
			ASSERT_EQ((long)err, -ESHUTDOWN);
		}
		check_stat(_metadata, expert.fd, EXPERTMEM_CAUSE_RECLAIM, result.bytes);
		let_go(&expert);
		close(expert.fd);
	}
	EXPECT_TRUE(memory_is_back(&self->before, MEMORY_NOISE, SETTLE));
}

/*
 * An expert that ends at the same moment: each byte is reclaimed once. Who comes too
 * early waits longer the next time.
 */
static void race_with_reclaim(struct __test_metadata *_metadata,
			      FIXTURE_DATA(expert) *self, bool by_munmap)
{
	unsigned long i, n = rounds(60), first = 0, second = 0;
	volatile unsigned long spin, delay = 0;
	struct expertmem_reclaim result;
	struct expertmem_stat stat;
	struct expert expert;
	int line[2];
	pid_t pid;

	for (i = 0; i < n; i++) {
		expert.fd = expert_open();
		ASSERT_GE(expert.fd, 0);
		ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, line), 0);
		*self->expert.kin = 0;
		pid = fork();
		ASSERT_GE(pid, 0);
		if (!pid) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			if (hold(&expert, HUGE) || !say(line[1], 'h'))
				_exit(1);
			while (!*self->expert.kin)
				;
			if (by_munmap)
				let_go(&expert);
			_exit(0);
		}
		close(line[1]);
		ASSERT_EQ(hear(line[0]), 'h');
		*self->expert.kin = 1;
		for (spin = 0; spin < delay; spin++)
			;
		ASSERT_EQ(expert_reclaim(expert.fd, &result), 0);
		stat = expert_stat(expert.fd);
		EXPECT_EQ(stat.state, EXPERTMEM_STATE_RECLAIMED);
		EXPECT_EQ(stat.resident, 0);
		EXPECT_EQ(result.bytes, HUGE * result.regions);
		EXPECT_LE(result.regions, 2);
		EXPECT_LE(result.resident, result.bytes);
		EXPECT_EQ(child_status(pid), 0);
		check_stat(_metadata, expert.fd, result.regions ? EXPERTMEM_CAUSE_RECLAIM :
			   EXPERTMEM_CAUSE_DETACH, 2 * HUGE);
		if (result.regions)
			delay += 1000 + delay / 2;
		else
			delay -= delay / 4;
		first += result.regions == 2;
		second += result.regions == 0;
		close(line[0]);
		close(expert.fd);
	}
	*self->expert.kin = 0;
	TH_LOG("RECLAIM was first %lu times, second %lu times, between %lu times", first,
	       second, n - first - second);
	EXPECT_TRUE(memory_is_back(&self->before, MEMORY_NOISE, SETTLE));
}

TEST_F_TIMEOUT(expert, reclaim_and_munmap_at_once_give_each_byte_back_once, TIMEOUT)
{
	race_with_reclaim(_metadata, self, true);
}

TEST_F_TIMEOUT(expert, reclaim_and_exit_at_once_give_each_byte_back_once, TIMEOUT)
{
	race_with_reclaim(_metadata, self, false);
}

/* ------------------------------------------- pages that others hold by reference */

/*
 * Each makes somebody hold @size bytes at @addr until the descriptor that it returns
 * is closed.
 */
static int pin_by_io_uring(void *addr, size_t size)
{
	struct io_uring_params params = { };
	struct iovec iov = { .iov_base = addr, .iov_len = size };
	int fd = result(syscall(SYS_io_uring_setup, 4, &params));
	int err;

	if (fd < 0)
		return fd;
	err = result(syscall(SYS_io_uring_register, fd, IORING_REGISTER_BUFFERS, &iov, 1));
	if (err)
		close(fd);
	return err ? err : fd;
}

static int pin_by_af_xdp(void *addr, size_t size)
{
	struct xdp_umem_reg reg = {
		.addr = (unsigned long)addr, .len = size, .chunk_size = PAGE,
	};
	int fd = result(socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0));
	int err;

	if (fd < 0)
		return fd;
	err = result(setsockopt(fd, SOL_XDP, XDP_UMEM_REG, &reg, sizeof(reg)));
	if (err)
		close(fd);
	return err ? err : fd;
}

FIXTURE(pinned)
{
	FIXTURE_DATA(expert) of;
};

FIXTURE_VARIANT(pinned)
{
	int (*pin)(void *addr, size_t size);
	bool huge;
};

FIXTURE_VARIANT_ADD(pinned, io_uring_small) { .pin = pin_by_io_uring };
FIXTURE_VARIANT_ADD(pinned, io_uring_huge) { .pin = pin_by_io_uring, .huge = true };
FIXTURE_VARIANT_ADD(pinned, af_xdp_small) { .pin = pin_by_af_xdp };
FIXTURE_VARIANT_ADD(pinned, af_xdp_huge) { .pin = pin_by_af_xdp, .huge = true };

FIXTURE_SETUP(pinned)
{
	expert_setup(_metadata, &self->of, NULL);
}

FIXTURE_TEARDOWN(pinned)
{
	expert_teardown(_metadata, &self->of, NULL);
}

TEST_F_TIMEOUT(pinned, pages_are_back_when_their_holder_lets_go, TIMEOUT)
{
	struct expert *expert = &self->of.expert;
	struct expertmem_reclaim result;
	struct memory held;
	int fd;

	ASSERT_EQ(hold(expert, HELD), 0);
	fd = variant->pin(variant->huge ? at(&expert->huge, expert->huge_region) :
					  at(&expert->small, expert->small_region), HELD);
	if (fd == -ENOSYS || fd == -EOPNOTSUPP || fd == -EAFNOSUPPORT)
		SKIP_TEST("this kernel does not pin mappings of a device: %s",
			  strerror(-fd));
	ASSERT_GE(fd, 0);

	ASSERT_EQ(expert_reclaim(expert->fd, &result), 0);
	check_result(_metadata, &result, TOTAL, 2);
	check_stat(_metadata, expert->fd, EXPERTMEM_CAUSE_RECLAIM, TOTAL);
	held = self->of.before;
	held.free -= HELD;
	EXPECT_TRUE(memory_is_back(&held, MEMORY_NOISE, SETTLE));
	EXPECT_FALSE(memory_is_back(&self->of.before, HELD - MEMORY_NOISE, 0));
	close(fd);
	check(_metadata, &self->of, EXPERTMEM_CAUSE_RECLAIM);
}

/*
 * A connection that delivers no more: what is sent into @line[0] stays in its queue,
 * behind @ahead bytes, until somebody reads from @line[1]. Delivered over loopback, it
 * would have been copied.
 */
static int tcp_stuck(int line[2], size_t *ahead)
{
	static const char zeros[64 * KIB];
	struct sockaddr_in addr;
	socklen_t len = sizeof(addr);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), room = HELD;
	ssize_t sent;

	line[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (listen(listener, 1) || getsockname(listener, (struct sockaddr *)&addr, &len) ||
	    connect(line[0], (struct sockaddr *)&addr, len))
		return -errno;
	line[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	close(listener);
	*ahead = 0;
	while ((sent = send(line[0], zeros, sizeof(zeros), MSG_DONTWAIT)) > 0)
		*ahead += sent;
	if (errno != EAGAIN)
		return -errno;
	/* and takes HELD bytes more: the kernel doubles it, for what holds them together */
	return result(setsockopt(line[0], SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room)));
}

/*
 * Have io_uring send without a copy; the ring stays open. Returns how many bytes it has
 * taken, and holds until it notifies.
 */
static int send_zc(int socket, void *addr, size_t size)
{
	struct io_uring_params params = { };
	int fd = result(syscall(SYS_io_uring_setup, 1, &params));
	struct io_uring_sqe *sqe;
	struct io_uring_cqe *cqe;
	unsigned char *rings;

	if (fd < 0)
		return fd;
	sqe = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, IORING_OFF_SQES);
	rings = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, IORING_OFF_SQ_RING);
	if (sqe == MAP_FAILED || rings == MAP_FAILED)
		return -errno;
	sqe->opcode = IORING_OP_SEND_ZC;
	sqe->fd = socket;
	sqe->addr = (unsigned long)addr;
	sqe->len = size;
	__atomic_store_n((__u32 *)(rings + params.sq_off.tail), 1, __ATOMIC_RELEASE);
	if (syscall(SYS_io_uring_enter, fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) != 1)
		return -errno;
	cqe = (struct io_uring_cqe *)(rings + params.cq_off.cqes);
	return cqe->flags & IORING_CQE_F_MORE ? cqe->res : -EPROTO;
}

static void does_send(struct expert *expert, void *addr)
{
	int sent = send_zc(expert->stuck, addr, HELD);

	say(expert->line, sent == (int)HELD ? 't' : sent == -ENOSYS ? 'n' : 'f');
	does_nothing(expert);
}

static void does_send_small(struct expert *expert)
{
	does_send(expert, at(&expert->small, expert->small_region));
}

static void does_send_huge(struct expert *expert)
{
	does_send(expert, at(&expert->huge, expert->huge_region));
}

FIXTURE(sent)
{
	FIXTURE_DATA(expert) of;
	int line[2];
	size_t ahead;
};

FIXTURE_VARIANT(sent)
{
	void (*what)(struct expert *expert);
	unsigned char byte;
};

FIXTURE_VARIANT_ADD(sent, io_uring_small) { .what = does_send_small, .byte = 's' };
FIXTURE_VARIANT_ADD(sent, io_uring_huge) { .what = does_send_huge, .byte = 'h' };

FIXTURE_SETUP(sent)
{
	struct memory held;
	cpu_set_t cpu;
	char answer;

	/* what one CPU receives from another may wait there until it is freed */
	CPU_ZERO(&cpu);
	CPU_SET(sched_getcpu(), &cpu);
	ASSERT_EQ(sched_setaffinity(0, sizeof(cpu), &cpu), 0);

	expert_setup(_metadata, &self->of, NULL);
	ASSERT_EQ(tcp_stuck(self->line, &self->ahead), 0);
	self->of.expert.stuck = self->line[0];
	start(_metadata, &self->of, variant->what);
	held = memory_now();
	go(_metadata, &self->of);
	answer = hear(self->of.expert.line);
	if (answer == 'n')
		SKIP_TEST("this kernel has no io_uring");
	ASSERT_EQ(answer, 't');
	/* a copy would take as much again */
	ASSERT_TRUE(memory_is_back(&held, HELD / 4, SETTLE));
}

FIXTURE_TEARDOWN(sent)
{
	expert_teardown(_metadata, &self->of, NULL);
}

/* What is sent is held, and nothing else. What is ahead of it takes more than its size. */
static void check_held(struct __test_metadata *_metadata, FIXTURE_DATA(sent) *self,
		       __u32 cause)
{
	struct memory held = self->of.before;

	check_stat(_metadata, self->of.expert.fd, cause, TOTAL);
	held.free -= HELD + 2 * self->ahead;
	EXPECT_TRUE(memory_is_back(&held, MEMORY_NOISE, SETTLE));
	EXPECT_FALSE(memory_is_back(&self->of.before, HELD - MEMORY_NOISE, 0));
}

/* The old bytes arrive. */
static void receive(struct __test_metadata *_metadata, FIXTURE_DATA(sent) *self,
		    unsigned char byte)
{
	static unsigned char buffer[64 * KIB];
	size_t i;

	ASSERT_EQ(recv(self->line[1], NULL, self->ahead, MSG_TRUNC | MSG_WAITALL),
		  self->ahead);
	for (i = 0; i < HELD; i += sizeof(buffer)) {
		ASSERT_EQ(recv(self->line[1], buffer, sizeof(buffer), MSG_WAITALL),
			  sizeof(buffer));
		ASSERT_TRUE(all_bytes(buffer, sizeof(buffer), byte));
	}
	close(self->line[0]);
	close(self->line[1]);
}

TEST_F_TIMEOUT(sent, pages_outlive_reclaim_until_they_are_received, TIMEOUT)
{
	struct expertmem_reclaim result;

	ASSERT_EQ(expert_reclaim(self->of.expert.fd, &result), 0);
	check_result(_metadata, &result, TOTAL, 2);
	check_held(_metadata, self, EXPERTMEM_CAUSE_RECLAIM);
	receive(_metadata, self, variant->byte);
	kill_expert(_metadata, &self->of);
	check(_metadata, &self->of, EXPERTMEM_CAUSE_RECLAIM);
}

TEST_F_TIMEOUT(sent, pages_outlive_sigkill_until_they_are_received, TIMEOUT)
{
	kill_expert(_metadata, &self->of);
	check_held(_metadata, self, EXPERTMEM_CAUSE_DETACH);
	receive(_metadata, self, variant->byte);
	check(_metadata, &self->of, EXPERTMEM_CAUSE_DETACH);
}

/* One page in the pipe keeps all of its huge page from being free. */
TEST_F_TIMEOUT(expert, a_pipe_keeps_the_old_bytes_until_it_is_read, TIMEOUT)
{
	unsigned char *huge, *small, page[PAGE];
	struct expertmem_reclaim result;
	struct iovec iov[16];
	size_t i, nr_huge = 12;
	struct memory held;
	int fds[2];

	ASSERT_EQ(hold(&self->expert, HELD), 0);
	huge = at(&self->expert.huge, self->expert.huge_region);
	small = at(&self->expert.small, self->expert.small_region);
	for (i = 0; i < COUNT_OF(iov); i++) {
		iov[i].iov_base = i < nr_huge ? huge + i * HUGE + PAGE : small + i * PAGE;
		iov[i].iov_len = PAGE;
		memset(iov[i].iov_base, 'A' + i, PAGE);
	}
	ASSERT_EQ(pipe(fds), 0);
	ASSERT_EQ(vmsplice(fds[1], iov, COUNT_OF(iov), 0), COUNT_OF(iov) * PAGE);

	ASSERT_EQ(expert_reclaim(self->expert.fd, &result), 0);
	check_result(_metadata, &result, TOTAL, 2);
	check_stat(_metadata, self->expert.fd, EXPERTMEM_CAUSE_RECLAIM, TOTAL);
	if (expert_info(self->expert.fd).features & EXPERTMEM_FEATURE_HUGE) {
		held = self->before;
		held.free -= nr_huge * HUGE;
		EXPECT_TRUE(memory_is_back(&held, MEMORY_NOISE, SETTLE));
		EXPECT_FALSE(memory_is_back(&self->before,
					    nr_huge * HUGE - MEMORY_NOISE, 0));
	}
	for (i = 0; i < COUNT_OF(iov); i++) {
		ASSERT_EQ(read(fds[0], page, PAGE), PAGE);
		EXPECT_TRUE(all_bytes(page, PAGE, 'A' + i));
	}
	check(_metadata, self, EXPERTMEM_CAUSE_RECLAIM);
}

TEST_HARNESS_MAIN
