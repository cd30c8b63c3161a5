// SPDX-License-Identifier: GPL-2.0
/*
 * A process that loses its windows, in whatever way, returns all their memory: by munmap(), exit,
 * exec, a fatal signal, or the OOM killer. Closing a descriptor alone returns nothing. reclaim.c
 * tests what a host does with an expert that still runs.
 *
 * needs: module root
 * also: slow
 */
#include <pthread.h>
#include <sched.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "reclaim_test.h"

#define CGROUP		"/sys/fs/cgroup/expertmem-reclaim"

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

TEST_F(expert, closing_its_descriptor_takes_nothing_from_its_windows)
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

TEST_F(expert, one_window_less_gives_back_what_was_in_it)
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
	EXPECT_EQ(stat.reclaimed_bytes, HELD);
	EXPECT_FALSE(memory_is_back(&self->before, HELD - MEMORY_NOISE, 0));
	EXPECT_TRUE(memory_is_back(&self->before, HELD + MEMORY_NOISE, SETTLE));
	EXPECT_TRUE(all_bytes(at(&expert->small, expert->small_region), HELD, 's'));

	ASSERT_EQ(munmap(expert->small.addr, expert->small.size), 0);
	check(_metadata, self, EXPERTMEM_CAUSE_DETACH);
}

TEST_F(expert, sigkill_gives_all_back_while_a_grandchild_holds_the_descriptor)
{
	start(_metadata, self, does_fork);
	go(_metadata, self);
	ASSERT_EQ(hear(self->expert.line), 't');
	kill_expert(_metadata, self);
	check(_metadata, self, EXPERTMEM_CAUSE_DETACH);
	EXPECT_EQ(kill(*self->expert.kin, 0), 0);
}

TEST_F(expert, sigkill_of_eight_touching_threads_gives_all_back)
{
	start(_metadata, self, does_touch_in_threads);
	go(_metadata, self);
	ASSERT_EQ(hear(self->expert.line), 't');
	kill_expert(_metadata, self);
	check(_metadata, self, EXPERTMEM_CAUSE_DETACH);
}

/* @does: its vfork child ends, in some way */
static void takes_nothing(struct __test_metadata *_metadata, FIXTURE_DATA(expert) *self,
			  typeof(does_vfork) *does)
{
	struct expertmem_stat stat;

	start(_metadata, self, does);
	go(_metadata, self);
	EXPECT_EQ(hear(self->expert.line), 't');
	stat = expert_stat(self->expert.fd);
	EXPECT_EQ(stat.state, EXPERTMEM_STATE_RUNNING);
	EXPECT_EQ(stat.resident, TOTAL);
	kill_expert(_metadata, self);
	check(_metadata, self, EXPERTMEM_CAUSE_DETACH);
}

TEST_F(expert, the_end_of_a_vfork_child_takes_nothing)
{
	takes_nothing(_metadata, self, does_vfork);
}

TEST_F(expert, sigkill_of_a_vfork_child_takes_nothing)
{
	takes_nothing(_metadata, self, does_vfork_killed);
}

/* Wait, at most ten seconds, for a reclaim that a worker of the kernel does. */
static bool is_reclaimed(int fd)
{
	int i;

	for (i = 0; i < 1000; i++) {
		if (expert_stat(fd).state == EXPERTMEM_STATE_RECLAIMED && !expert_stat(fd).committed)
			return true;
		usleep(10000);
	}
	return false;
}

/* The child of vfork() runs in the mm of the process that has died. */
TEST_F(expert, a_vfork_child_that_outlives_the_expert_does_not_keep_its_memory)
{
	ASSERT_EQ(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	start(_metadata, self, does_vfork_and_wait);
	go(_metadata, self);
	ASSERT_EQ(hear(self->expert.line), 't');
	kill_expert(_metadata, self);
	EXPECT_TRUE(is_reclaimed(self->expert.fd));
	check(_metadata, self, EXPERTMEM_CAUSE_DETACH);

	self->pid = *self->expert.kin;
	EXPECT_EQ(0, kill(self->pid, 0));
	kill_expert(_metadata, self);
	*self->expert.kin = 0;
}

TEST_F(expert, sigkill_of_a_traced_and_stopped_expert_gives_all_back)
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

TEST_F(expert, the_oom_killer_gets_all_of_it_back)
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

TEST_F(expert, sigkill_cuts_a_populate_of_small_pages_short)
{
	kill_in_populate(_metadata, self, does_populate, 12 * HELD);
}

TEST_F(expert, sigkill_cuts_a_populate_of_huge_pages_short)
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

TEST_F(expert, sigkill_gives_all_back_while_the_descriptor_is_in_flight)
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

TEST_F(expert, sigkill_gives_all_back_while_a_stranger_holds_the_descriptor)
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

TEST_F(end, memory_is_back)
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

TEST_HARNESS_MAIN
