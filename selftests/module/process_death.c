// SPDX-License-Identifier: GPL-2.0
/*
 * Death of the process that mapped a window, while another process shares its mm or reads from
 * it. The windows are reclaimed, and cause and signal are reported. While a thread of the
 * process lives, nothing is reclaimed.
 *
 * needs: module root
 */
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <linux/userfaultfd.h>

#include "netlink_test.h"
#include "reclaim_test.h"

/* The memory that processes which live on may use for themselves. */
#define PROCESS_NOISE	(8 * MIB)

FIXTURE(death)
{
	FIXTURE_DATA(expert) of;
	struct nl nl;		/* asks */
	struct nl listener;	/* hears */
	struct told stats;	/* before anything has died */
	__u64 id;
};

FIXTURE_SETUP(death)
{
	expert_setup(_metadata, &self->of, NULL);
	ASSERT_EQ(nl_open(&self->nl), 0);
	ASSERT_EQ(nl_open(&self->listener), 0);
	ASSERT_EQ(nl_join(&self->listener), 0);
	self->id = expert_stat(self->of.expert.fd).id;
	self->stats = nl_stats(&self->nl);
	/* The test can then wait for the children of an expert that has died. */
	ASSERT_EQ(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
}

FIXTURE_TEARDOWN(death)
{
	close(self->listener.fd);
	close(self->nl.fd);
	expert_teardown(_metadata, &self->of, NULL);
}

/* wait_until() - look until the expert has @bytes in regions, and in memory, and is in @state */
static struct expertmem_stat wait_until(int fd, __u32 state, __u64 bytes)
{
	time_t end = time(NULL) + 60;
	struct expertmem_stat stat;

	do {
		usleep(1000);
		stat = expert_stat(fd);
	} while ((stat.state != state || stat.committed != bytes || stat.resident != bytes) &&
		 time(NULL) < end);
	return stat;
}

/* Without a descriptor there is no STAT: wait until the system has no more shared memory. */
static void wait_for_shmem(__u64 bytes)
{
	time_t end = time(NULL) + 60;

	while (meminfo("Shmem") > bytes && time(NULL) < end)
		usleep(1000);
}

/* Wait for the event of the reclaim. It may come later than STAT shows the reclaim. */
static int hear_reclaimed(FIXTURE_DATA(death) *self, struct told *t)
{
	struct pollfd poll_fd = { .fd = self->listener.fd, .events = POLLIN };

	while (poll(&poll_fd, 1, 60000) == 1) {
		if (nl_event(&self->listener, t) == EXPERTMEM_EVENT_RECLAIMED &&
		    t->value[E(ID)] == self->id)
			return 0;
	}
	return -ETIMEDOUT;
}

/* All memory is back; cause and signal say that the process has ended by @signal (0: none). */
static void expect_death(struct __test_metadata *_metadata, FIXTURE_DATA(death) *self,
			 unsigned int signal)
{
	struct told t, stats;

	wait_until(self->of.expert.fd, EXPERTMEM_STATE_RECLAIMED, 0);
	check_stat(_metadata, self->of.expert.fd, EXPERTMEM_CAUSE_DETACH, TOTAL);
	EXPECT_TRUE(memory_is_back(&self->of.before, PROCESS_NOISE, SETTLE));

	ASSERT_EQ(hear_reclaimed(self, &t), 0);
	EXPECT_EQ(t.value[E(CAUSE)], EXPERTMEM_CAUSE_DETACH);
	EXPECT_EQ(t.value[E(SIGNAL)], signal);
	EXPECT_EQ(t.value[E(RECLAIMED_BYTES)], TOTAL);
	ASSERT_EQ(nl_do(&self->nl, EXPERTMEM_CMD_EXPERT_GET, self->id, &t), 0);
	EXPECT_EQ(t.value[E(STATE)], EXPERTMEM_STATE_RECLAIMED);
	EXPECT_EQ(t.value[E(CAUSE)], EXPERTMEM_CAUSE_DETACH);
	EXPECT_EQ(t.value[E(SIGNAL)], signal);
	EXPECT_EQ(t.value[E(RESIDENT)], 0);
	EXPECT_EQ(t.value[E(RECLAIMED_BYTES)], TOTAL);
	EXPECT_EQ(t.value[E(RECLAIMED_RESIDENT)], TOTAL);
	EXPECT_EQ(t.value[E(RECLAIMED_REGIONS)], 2);

	stats = nl_stats(&self->nl);
	EXPECT_EQ(stats.value[S(DETACHED)], self->stats.value[S(DETACHED)] + 1);
	EXPECT_EQ(stats.value[S(KILLED)], self->stats.value[S(KILLED)] + !!signal);
}

/* The expert keeps its @bytes for a while. */
static void expect_life(struct __test_metadata *_metadata, FIXTURE_DATA(death) *self, __u64 bytes)
{
	struct expertmem_stat stat;
	int i;

	for (i = 0; i < 20; i++) {
		stat = expert_stat(self->of.expert.fd);
		ASSERT_EQ(stat.state, EXPERTMEM_STATE_RUNNING);
		ASSERT_EQ(stat.cause, EXPERTMEM_CAUSE_NONE);
		ASSERT_EQ(stat.committed, bytes);
		ASSERT_EQ(stat.resident, bytes);
		usleep(10000);
	}
}

/* ------------------------------------------------- another process shares the mm */

static unsigned char stack[64 * KIB] __attribute__((aligned(16)));

/* Do both windows fault, and do calls say that the memory is gone? */
static bool has_lost_all(struct expert *expert)
{
	unsigned char *small = at(&expert->small, expert->small_region);
	unsigned char *huge = at(&expert->huge, expert->huge_region);
	__u64 offset;

	return read_touch(small) == SIGSEGV && write_touch(small) == SIGSEGV &&
	       read_touch(huge) == SIGSEGV && write_touch(huge + HELD - 1) == SIGSEGV &&
	       region_alloc(&expert->small, 1, &offset) == -ESHUTDOWN &&
	       region_free(&expert->huge, expert->huge_region) == -ESHUTDOWN &&
	       map(expert->fd, WINDOW, PROT_READ, MAP_SHARED, expert->small.offset) == -ESHUTDOWN;
}

/* A process in the mm of the expert: when told to, it looks whether the windows are gone. */
static int be_sharer(void *arg)
{
	struct expert *expert = arg;

	*expert->kin = syscall(SYS_getpid);
	say(expert->line, 't');
	if (hear(expert->line))
		say(expert->line, has_lost_all(expert) ? 'l' : 'f');
	does_nothing(expert);
	return 0;
}

static int does_nothing_in_mm(void *arg)
{
	does_nothing(arg);
	return 0;
}

static void exit_by_itself(int signal)
{
	_exit(3);
}

static void exec_something(int signal)
{
	static char *const argv[] = { "sleep", "1000", NULL };

	execve("/bin/sleep", argv, argv + 2);
	_exit(4);
}

static void does_share(struct expert *expert)
{
	signal(SIGUSR1, exit_by_itself);
	signal(SIGUSR2, exec_something);
	if (clone(be_sharer, stack + sizeof(stack), CLONE_VM | SIGCHLD, expert) < 0)
		_exit(5);
	does_nothing(expert);
}

/* The expert holds TOTAL, and another process shares its mm. */
static void start_sharing(struct __test_metadata *_metadata, FIXTURE_DATA(death) *self)
{
	start(_metadata, &self->of, does_share);
	go(_metadata, &self->of);
	ASSERT_EQ(hear(self->of.expert.line), 't');
	ASSERT_GT(*self->of.expert.kin, 0);
}

static void end_sharing(struct __test_metadata *_metadata, FIXTURE_DATA(death) *self)
{
	self->of.pid = *self->of.expert.kin;
	*self->of.expert.kin = 0;
	kill_expert(_metadata, &self->of);
	check(_metadata, &self->of, EXPERTMEM_CAUSE_DETACH);
}

FIXTURE(shared)
{
	FIXTURE_DATA(death) of;
};

FIXTURE_VARIANT(shared)
{
	int sent;		/* the signal that ends the process */
	unsigned int signal;	/* that is told of it */
	int status;		/* of the process, as child_status() has it */
};

FIXTURE_VARIANT_ADD(shared, sigkill) { SIGKILL, SIGKILL, 128 + SIGKILL };
FIXTURE_VARIANT_ADD(shared, sigterm) { SIGTERM, SIGTERM, 128 + SIGTERM };
FIXTURE_VARIANT_ADD(shared, sigsegv) { SIGSEGV, SIGSEGV, 128 + SIGSEGV };
FIXTURE_VARIANT_ADD(shared, exit) { SIGUSR1, 0, 3 };

FIXTURE_SETUP(shared)
{
	death_setup(_metadata, &self->of, NULL);
	start_sharing(_metadata, &self->of);
}

FIXTURE_TEARDOWN(shared)
{
	death_teardown(_metadata, &self->of, NULL);
}

TEST_F(shared, windows_are_reclaimed_and_fault_in_the_mm_that_lives_on)
{
	FIXTURE_DATA(death) *of = &self->of;

	ASSERT_EQ(kill(of->of.pid, variant->sent), 0);
	EXPECT_EQ(child_status(of->of.pid), variant->status);
	expect_death(_metadata, of, variant->signal);
	EXPECT_EQ(kill(*of->of.expert.kin, 0), 0);
	ASSERT_TRUE(say(of->of.expert.line, 'g'));
	EXPECT_EQ(hear(of->of.expert.line), 'l');
	EXPECT_EQ(expert_stat(of->of.expert.fd).resident, 0);
	end_sharing(_metadata, of);
}

TEST_F(shared, windows_are_reclaimed_before_anybody_waits_for_the_process)
{
	FIXTURE_DATA(death) *of = &self->of;

	ASSERT_EQ(kill(of->of.pid, variant->sent), 0);
	expect_death(_metadata, of, variant->signal);
	EXPECT_EQ(child_status(of->of.pid), variant->status);
	end_sharing(_metadata, of);
}

TEST_F(shared, memory_is_back_when_nobody_has_the_descriptor)
{
	FIXTURE_DATA(death) *of = &self->of;

	close(of->of.expert.fd);
	ASSERT_EQ(kill(of->of.pid, variant->sent), 0);
	EXPECT_EQ(child_status(of->of.pid), variant->status);
	wait_for_shmem(of->of.before.shmem + SHMEM_NOISE);
	EXPECT_TRUE(memory_is_back(&of->of.before, PROCESS_NOISE, SETTLE));
	EXPECT_GE(of->of.before.shmem + SHMEM_NOISE, meminfo("Shmem"));

	of->of.pid = *of->of.expert.kin;
	*of->of.expert.kin = 0;
	kill_expert(_metadata, &of->of);
	EXPECT_TRUE(memory_is_back(&of->of.before, MEMORY_NOISE, SETTLE));
}

/* exec() unmaps nothing when another process has the mm. The process that mapped lives. */
TEST_F(death, exec_leaves_windows_to_who_shares_the_mm_until_the_process_dies)
{
	start_sharing(_metadata, self);
	ASSERT_EQ(kill(self->of.pid, SIGUSR2), 0);
	expect_life(_metadata, self, TOTAL);
	ASSERT_EQ(kill(self->of.pid, SIGKILL), 0);
	EXPECT_EQ(child_status(self->of.pid), 128 + SIGKILL);
	expect_death(_metadata, self, SIGKILL);
	end_sharing(_metadata, self);
}

TEST_F(death, windows_of_who_only_shares_the_mm_stay)
{
	start_sharing(_metadata, self);
	ASSERT_EQ(kill(*self->of.expert.kin, SIGKILL), 0);
	expect_life(_metadata, self, TOTAL);
	*self->of.expert.kin = 0;
	kill_expert(_metadata, &self->of);
	expect_death(_metadata, self, SIGKILL);
}

/* While the process closes these, its mm has ended, but the process is not dead yet. */
#define PIPES	450

/* A process with a page in a window, and another process in its mm, which ends sooner. */
static void be_killed_together(int fd, int line)
{
	struct expert expert = { .fd = fd, .line = line };
	int ends[2], i;

	setpgid(0, 0);
	if (window_map(&expert.small, &small_window, fd, WINDOW) ||
	    region_alloc_flags(&expert.small, EXPERTMEM_ALLOC_POPULATE, 1, 0,
			       &expert.small_region) ||
	    clone(does_nothing_in_mm, stack + sizeof(stack), CLONE_VM | SIGCHLD, &expert) < 0)
		_exit(1);
	for (i = 0; i < PIPES; i++)
		if (pipe(ends))
			_exit(2);
	say(line, 't');
	does_nothing(&expert);
}

/* The process that shares the mm ends the mm before the one that mapped is dead. */
TEST_F(death, signal_is_told_whoever_ends_the_mm)
{
	unsigned long round, times = rounds(100), lost = 0;
	int fd, line[2];
	struct told t;
	pid_t pid;

	for (round = 0; round < times; round++) {
		fd = expert_open();
		ASSERT_GE(fd, 0);
		ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, line), 0);
		pid = fork();
		ASSERT_GE(pid, 0);
		if (!pid)
			be_killed_together(fd, line[1]);
		ASSERT_EQ(hear(line[0]), 't');
		ASSERT_EQ(kill(-pid, SIGKILL), 0);
		/* two children, for the test is the subreaper */
		ASSERT_GT(waitpid(-pid, NULL, 0), 0);
		ASSERT_GT(waitpid(-pid, NULL, 0), 0);
		wait_until(fd, EXPERTMEM_STATE_RECLAIMED, 0);
		ASSERT_EQ(nl_do(&self->nl, EXPERTMEM_CMD_EXPERT_GET, expert_stat(fd).id, &t), 0);
		EXPECT_EQ(t.value[E(CAUSE)], EXPERTMEM_CAUSE_DETACH);
		lost += t.value[E(SIGNAL)] != SIGKILL;
		close(line[0]);
		close(line[1]);
		close(fd);
	}
	EXPECT_EQ(lost, 0) TH_LOG("of %lu", times);
}

/* The test's own mm: a child of vfork() maps in it, and ends. */
TEST_F(death, windows_that_a_vfork_child_mapped_end_with_it)
{
	struct expert *expert = &self->of.expert;
	pid_t pid = vfork();

	if (!pid)
		_exit(hold(expert, HELD) ? 1 : 5);
	ASSERT_EQ(child_status(pid), 5);
	expect_death(_metadata, self, 0);
	EXPECT_TRUE(has_lost_all(expert));
	let_go(expert);
	check(_metadata, &self->of, EXPERTMEM_CAUSE_DETACH);
}

/* --------------------------------------------- another process reads from the mm */

static void does_tell(struct expert *expert)
{
	*(unsigned char **)(expert->kin + 2) = at(&expert->small, expert->small_region);
	say(expert->line, 't');
	does_nothing(expert);
}

/**
 * struct reader - a process that reads memory of another one, and never ends
 * @line: where it says that it is stuck
 * @uffd: with which the page is registered that it reads to
 */
struct reader {
	int line;
	int uffd;
};

static void *say_that_it_is_stuck(void *arg)
{
	struct reader *reader = arg;
	struct pollfd poll_fd = { .fd = reader->uffd, .events = POLLIN };

	if (poll(&poll_fd, 1, -1) == 1)
		say(reader->line, 's');
	return NULL;
}

/* A page whose first touch never returns, for nobody resolves the fault; NULL: no such page. */
static void *stuck_page(struct reader *reader)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register arg = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	pthread_t thread;
	void *page;

	page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	arg.range.start = (unsigned long)page;
	arg.range.len = PAGE;
	reader->uffd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (reader->uffd < 0 || ioctl(reader->uffd, UFFDIO_API, &api) ||
	    ioctl(reader->uffd, UFFDIO_REGISTER, &arg) ||
	    pthread_create(&thread, NULL, say_that_it_is_stuck, reader))
		return NULL;
	return page;
}

static void read_by_process_vm(pid_t pid, unsigned char *addr, void *page)
{
	struct iovec here = { page, PAGE }, there = { addr, PAGE };

	process_vm_readv(pid, &here, 1, &there, 1, 0);
}

static void read_by_proc_mem(pid_t pid, unsigned char *addr, void *page)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	pread(fd, page, PAGE, (long)addr);
}

FIXTURE(stalled)
{
	FIXTURE_DATA(death) of;
};

FIXTURE_VARIANT(stalled)
{
	void (*read)(pid_t pid, unsigned char *addr, void *page);
};

FIXTURE_VARIANT_ADD(stalled, process_vm) { .read = read_by_process_vm };
FIXTURE_VARIANT_ADD(stalled, proc_mem) { .read = read_by_proc_mem };

FIXTURE_SETUP(stalled)
{
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		SKIP_TEST("no userfaultfd: %s", strerror(errno));
	close(fd);
	death_setup(_metadata, &self->of, NULL);
}

FIXTURE_TEARDOWN(stalled)
{
	death_teardown(_metadata, &self->of, NULL);
}

TEST_F(stalled, sigkill_gives_all_back_while_another_process_reads)
{
	FIXTURE_DATA(expert) *of = &self->of.of;
	unsigned char *addr;
	struct reader reader;
	int line[2];
	pid_t pid;

	start(_metadata, of, does_tell);
	go(_metadata, of);
	ASSERT_EQ(hear(of->expert.line), 't');
	addr = *(unsigned char **)(of->expert.kin + 2);
	ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, line), 0);
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		void *page;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		reader.line = line[1];
		page = stuck_page(&reader);
		if (page)
			variant->read(of->pid, addr, page);
		/* Here only after a failure: the read has returned. */
		say(line[1], 'f');
		_exit(0);
	}
	close(line[1]);
	*of->expert.kin = pid;
	ASSERT_EQ(hear(line[0]), 's');
	kill_expert(_metadata, of);
	expect_death(_metadata, &self->of, SIGKILL);
	/* The reader has not finished: it still holds the mm. */
	EXPECT_EQ(recv(line[0], line + 1, 1, MSG_DONTWAIT), -1);
	EXPECT_EQ(errno, EAGAIN);
	of->pid = pid;
	*of->expert.kin = 0;
	kill_expert(_metadata, of);
	check(_metadata, of, EXPERTMEM_CAUSE_DETACH);
}

/* -------------------------------------------------------- two processes have mapped */

/**
 * struct pair - a process that maps the small window, and its child, which maps the huge one
 * @pid: of the two
 * @line: to the two
 */
struct pair {
	pid_t pid[2];
	int line[2];
};

/* Say that the memory is there, and then, each time when asked, if its bytes are. */
static void be_mapper(int line, const struct window *w, __u64 offset, unsigned char byte)
{
	unsigned char *addr = at(w, offset);

	say(line, 'h');
	while (hear(line) == 'a')
		say(line, !read_touch(addr) && all_bytes(addr, HELD, byte) ? 'y' : 'n');
	_exit(0);
}

static int map_and_fill(struct window *w, const struct window *kind, int fd, __u64 *offset,
			unsigned char byte)
{
	int err = window_map(w, kind, fd, WINDOW);

	if (!err)
		err = region_alloc(w, HELD, offset);
	if (!err)
		memset(at(w, *offset), byte, HELD);
	return err;
}

static void start_pair(struct __test_metadata *_metadata, FIXTURE_DATA(death) *self,
		       struct pair *pair)
{
	int fd = self->of.expert.fd, lines[2][2];
	struct window w;
	__u64 offset;

	ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, lines[0]), 0);
	ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, lines[1]), 0);
	pair->line[0] = lines[0][0];
	pair->line[1] = lines[1][0];
	pair->pid[0] = fork();
	ASSERT_GE(pair->pid[0], 0);
	if (!pair->pid[0]) {
		close(lines[0][0]);
		close(lines[1][0]);
		if (map_and_fill(&w, &small_window, fd, &offset, 's'))
			_exit(1);
		if (!fork()) {
			close(lines[0][1]);
			*self->of.expert.kin = getpid();
			if (map_and_fill(&w, &huge_window, fd, &offset, 'h'))
				_exit(1);
			be_mapper(lines[1][1], &w, offset, 'h');
		}
		close(lines[1][1]);
		be_mapper(lines[0][1], &w, offset, 's');
	}
	close(lines[0][1]);
	close(lines[1][1]);
	ASSERT_EQ(hear(pair->line[0]), 'h');
	ASSERT_EQ(hear(pair->line[1]), 'h');
	pair->pid[1] = *self->of.expert.kin;
}

static bool has_its_bytes(const struct pair *pair, int which)
{
	return say(pair->line[which], 'a') && hear(pair->line[which]) == 'y';
}

TEST_F(death, death_of_one_of_two_mappers_takes_its_window_only)
{
	struct expertmem_stat stat;
	struct pair pair;
	__u64 offset;

	start_pair(_metadata, self, &pair);
	expect_life(_metadata, self, TOTAL);
	ASSERT_EQ(kill(pair.pid[1], SIGKILL), 0);
	stat = wait_until(self->of.expert.fd, EXPERTMEM_STATE_RUNNING, HELD);
	EXPECT_EQ(stat.reclaimed_bytes, HELD);
	EXPECT_EQ(stat.regions, 1);
	expect_life(_metadata, self, HELD);
	EXPECT_TRUE(has_its_bytes(&pair, 0));
	self->of.expert.huge = huge_window;
	self->of.expert.huge.fd = self->of.expert.fd;
	EXPECT_EQ(region_alloc(&self->of.expert.huge, 1, &offset), -ESHUTDOWN);

	*self->of.expert.kin = 0;
	ASSERT_EQ(kill(pair.pid[0], SIGTERM), 0);
	EXPECT_EQ(child_status(pair.pid[0]), 128 + SIGTERM);
	expect_death(_metadata, self, SIGTERM);
	EXPECT_EQ(child_status(pair.pid[1]), 128 + SIGKILL);
}

TEST_F(death, signal_is_that_of_the_mapper_that_died_last)
{
	struct expertmem_stat stat;
	struct pair pair;

	start_pair(_metadata, self, &pair);
	ASSERT_EQ(kill(pair.pid[0], SIGKILL), 0);
	EXPECT_EQ(child_status(pair.pid[0]), 128 + SIGKILL);
	stat = wait_until(self->of.expert.fd, EXPERTMEM_STATE_RUNNING, HELD);
	EXPECT_EQ(stat.reclaimed_bytes, HELD);
	expect_life(_metadata, self, HELD);
	EXPECT_TRUE(has_its_bytes(&pair, 1));

	/* The other process ends without a signal. */
	*self->of.expert.kin = 0;
	ASSERT_TRUE(say(pair.line[1], 'q'));
	EXPECT_EQ(child_status(pair.pid[1]), 0);
	expect_death(_metadata, self, 0);
}

/* ------------------------------------------------------------ threads of a process */

/* The state of the first thread of this process, as in ps(1). */
static char leader_state(void)
{
	char text[512];
	const char *end;

	if (file_read("/proc/self/stat", text, sizeof(text)))
		return 0;
	end = strrchr(text, ')');
	return end ? end[2] : 0;
}

static bool has_all(struct expert *expert)
{
	return all_bytes(at(&expert->small, expert->small_region), HELD, 's') &&
	       all_bytes(at(&expert->huge, expert->huge_region), HELD, 'h');
}

static void *outlive_leader(void *arg)
{
	struct expert *expert = arg;

	while (leader_state() != 'Z')
		usleep(1000);
	say(expert->line, 't');
	for (;;) {
		switch (hear(expert->line)) {
		case 'a':
			say(expert->line, has_all(expert) ? 'y' : 'n');
			break;
		case 'e':
			_exit(7);
		default:
			syscall(SYS_exit, 9);
		}
	}
	return NULL;
}

/* SYS_exit ends one thread, not the process. */
static void does_exit_as_leader(struct expert *expert)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, outlive_leader, expert))
		_exit(3);
	syscall(SYS_exit, 9);
}

FIXTURE(leaderless)
{
	FIXTURE_DATA(death) of;
};

FIXTURE_VARIANT(leaderless)
{
	char what;		/* tells the last thread how to end; 0: by SIGKILL */
	unsigned int signal;
	int status;
};

FIXTURE_VARIANT_ADD(leaderless, last_thread_ends) { 'q', 0, 9 };
FIXTURE_VARIANT_ADD(leaderless, exit) { 'e', 0, 7 };
FIXTURE_VARIANT_ADD(leaderless, sigkill) { 0, SIGKILL, 128 + SIGKILL };

FIXTURE_SETUP(leaderless)
{
	death_setup(_metadata, &self->of, NULL);
	start(_metadata, &self->of.of, does_exit_as_leader);
	go(_metadata, &self->of.of);
	ASSERT_EQ(hear(self->of.of.expert.line), 't');
}

FIXTURE_TEARDOWN(leaderless)
{
	death_teardown(_metadata, &self->of, NULL);
}

TEST_F(leaderless, windows_stay_until_the_last_thread_ends)
{
	FIXTURE_DATA(expert) *of = &self->of.of;

	expect_life(_metadata, &self->of, TOTAL);
	ASSERT_TRUE(say(of->expert.line, 'a'));
	EXPECT_EQ(hear(of->expert.line), 'y');
	ASSERT_TRUE(variant->what ? say(of->expert.line, variant->what) : !kill(of->pid, SIGKILL));
	EXPECT_EQ(child_status(of->pid), variant->status);
	expect_death(_metadata, &self->of, variant->signal);
	check(_metadata, of, EXPERTMEM_CAUSE_DETACH);
}

static void *exec_in_thread(void *arg)
{
	execlp("sleep", "sleep", "1000", NULL);
	_exit(4);
}

static void does_exec_in_thread(struct expert *expert)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, exec_in_thread, NULL))
		_exit(3);
	does_nothing(expert);
}

/* The thread takes the place of the first thread, which ends. */
TEST_F(death, exec_by_a_thread_gives_all_back_and_the_end_of_the_program_tells_nothing_more)
{
	struct told t;

	start(_metadata, &self->of, does_exec_in_thread);
	go(_metadata, &self->of);
	EXPECT_EQ(hear(self->of.expert.line), 0);
	expect_death(_metadata, self, 0);
	EXPECT_EQ(kill(self->of.pid, 0), 0);
	kill_expert(_metadata, &self->of);
	check(_metadata, &self->of, EXPERTMEM_CAUSE_DETACH);
	ASSERT_EQ(nl_do(&self->nl, EXPERTMEM_CMD_EXPERT_GET, self->id, &t), 0);
	EXPECT_EQ(t.value[E(SIGNAL)], 0);
	EXPECT_EQ(nl_stats(&self->nl).value[S(DETACHED)], self->stats.value[S(DETACHED)] + 1);
}

TEST_HARNESS_MAIN
