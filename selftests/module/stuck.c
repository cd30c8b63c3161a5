// SPDX-License-Identifier: GPL-2.0
/*
 * A swap disk that does not answer: an operator can still list an expert whose page fault
 * waits for the disk, and terminate it.
 *
 * needs: module root
 * also: slow
 */
#include <pthread.h>

#include "nbd_test.h"
#include "pressure_test.h"

/* Pages that are in swap. */
#define SWAPPED		16

/* What a thread of the expert is to do when it is told to. */
enum job { FAULT, FREE, COPY, CHECK, JOBS };

/**
 * struct expert - a process with an expert whose pages are in swap, and with threads. Others do
 * not live in its mm: a fault that hangs may hold the lock of that.
 * @fds: the expert, and another one whose window is mapped, too
 * @windows: of these
 * @swapped: a region of SWAPPED pages in swap
 * @other: a region of a page that is in memory
 * @ready: the threads wait for their jobs; negative: what went wrong
 * @go: by job: to be done now
 * @tids: by job: whose it is
 * @done: by job: it is done
 * @results: by job
 */
struct expert {
	int fds[2];
	struct window windows[2];
	__u64 swapped;
	__u64 other;
	int ready;
	int go[JOBS];
	pid_t tids[JOBS];
	int done[JOBS];
	int results[JOBS];
};

/* Shared with the process. */
static struct expert *expert;

#define load(pointer)		__atomic_load_n(pointer, __ATOMIC_SEQ_CST)
#define store(pointer, value)	__atomic_store_n(pointer, value, __ATOMIC_SEQ_CST)

static int do_job(enum job job)
{
	struct expertmem_copy copy = { .fd = expert->fds[0] };
	__u64 value = 0;
	int sig;

	switch (job) {
	case FAULT:
		sig = peek((__u64 *)at(&expert->windows[0], expert->swapped), &value);
		return sig ? sig : value == expert->swapped ? 0 : -1;
	case FREE:
		return region_free(&expert->windows[0], expert->other);
	case COPY:
		return expert_ioctl(expert->fds[1], EXPERTMEM_IOC_COPY, &copy);
	default:
		return pages_are_right(&expert->windows[0], expert->swapped,
				       SWAPPED * PAGE) ? 0 : -1;
	}
}

static void *wait_for_job(void *arg)
{
	enum job job = (int *)arg - expert->go;

	store(&expert->tids[job], gettid());
	while (!load(&expert->go[job]))
		usleep(5000);
	expert->results[job] = do_job(job);
	store(&expert->done[job], 1);
	return NULL;
}

static int expert_begin(void)
{
	pthread_t thread;
	int i, err;

	/* nothing else of this process is to be in swap when that does not answer */
	if (join_group() || mlockall(MCL_CURRENT | MCL_FUTURE))
		return -EPERM;
	for (i = 0; i < 2; i++) {
		err = window_map(&expert->windows[i], &small_window, expert->fds[i], WINDOW);
		if (err)
			return err;
	}
	err = region_alloc(&expert->windows[0], SWAPPED * PAGE, &expert->swapped);
	if (err)
		return err;
	write_pages(&expert->windows[0], expert->swapped, SWAPPED * PAGE);
	if (!swap_out_all(&expert->windows[0], expert->swapped, SWAPPED))
		return -EBUSY;
	err = region_alloc(&expert->windows[0], PAGE, &expert->other);
	if (err)
		return err;
	*at(&expert->windows[0], expert->other) = 1;
	faults_catch();
	for (i = 0; i < JOBS; i++) {
		err = pthread_create(&thread, NULL, wait_for_job, &expert->go[i]);
		while (!err && !load(&expert->tids[i]))
			usleep(5000);
	}
	return -err;
}

FIXTURE(stuck)
{
	struct nbd nbd;
	struct nl nl;
	__u64 id;
	pid_t pid;		/* of the expert's process */
	time_t end;		/* of the patience */
};

/* Have something done that hangs until the disk answers, or until what hangs is over. */
static void start(enum job job)
{
	store(&expert->go[job], 1);
}

static bool is_done(enum job job)
{
	return load(&expert->done[job]);
}

FIXTURE_SETUP(stuck)
{
	int i, err;

	NEED_DEVICE();
	make_group(_metadata);
	err = nbd_open(&self->nbd);
	if (err)
		SKIP_TEST("no module nbd for a disk that can be made to wait: %s",
			  strerror(-err));
	ASSERT_EQ(swap_on(NBD_DISK), 0);
	ASSERT_EQ(nl_open(&self->nl), 0);
	expert = mmap(NULL, sizeof(*expert), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(expert, MAP_FAILED);
	for (i = 0; i < 2; i++) {
		expert->fds[i] = expert_open();
		ASSERT_GE(expert->fds[i], 0);
	}
	self->id = expert_stat(expert->fds[0]).id;
	self->pid = fork();
	ASSERT_GE(self->pid, 0);
	if (!self->pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		err = expert_begin();
		store(&expert->ready, err ? err : 1);
		for (;;)
			pause();
	}
	self->end = time(NULL) + PATIENCE;
	while (!load(&expert->ready) && time(NULL) < self->end)
		usleep(20000);
	ASSERT_EQ(expert->ready, 1);
	nbd_hold(&self->nbd, true);
}

FIXTURE_TEARDOWN(stuck)
{
	int i;

	nbd_hold(&self->nbd, false);
	kill(self->pid, SIGKILL);
	child_status(self->pid);
	for (i = 0; i < 2; i++)
		close(expert->fds[i]);
	EXPECT_EQ(swapoff(NBD_DISK), 0);
	nbd_close(&self->nbd);
	close(self->nl.fd);
	remove_group(_metadata);
}

/* Wait until a thread of the expert sleeps and cannot be interrupted. */
static bool wait_blocked(const FIXTURE_DATA(stuck) *self, enum job job)
{
	time_t end = time(NULL) + PATIENCE;
	char path[64], stat[256];
	const char *state;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", self->pid, expert->tids[job]);
	for (; time(NULL) < end; usleep(20000)) {
		state = file_read(path, stat, sizeof(stat)) ? NULL : strrchr(stat, ')');
		if (state && state[2] == 'D')
			return true;
	}
	return false;
}

/* Let the disk answer, and wait for what that ends. */
static void finish(struct __test_metadata *_metadata, FIXTURE_DATA(stuck) *self, enum job job)
{
	time_t end = time(NULL) + PATIENCE;

	EXPECT_FALSE(is_done(job));
	nbd_hold(&self->nbd, false);
	while (!is_done(job) && time(NULL) < end)
		usleep(20000);
	EXPECT_TRUE(is_done(job));
}

static void count_told(const struct told *told, void *arg)
{
	++*(int *)arg;
}

/*
 * In a child, which the test can end: ask everything that an operator may ask of an expert.
 * Returns which request failed.
 */
static int ask(__u64 id, int fd)
{
	struct told answer;
	struct nl nl;
	int n = 0;

	if (nl_open(&nl))
		return 1;
	if (nl_do(&nl, EXPERTMEM_CMD_EXPERT_GET, id, &answer) || answer.value[E(ID)] != id)
		return 2;
	if (nl_dump(&nl, 0, count_told, &n) || !n)
		return 3;
	if (nl_dump(&nl, id, count_told, &n))
		return 4;
	answer = nl_stats(&nl);
	if (!told(&answer, S(EXPERTS)))
		return 5;
	if (nl_set(&nl, id, GIB))
		return 6;
	if (nl_do(&nl, EXPERTMEM_CMD_TERMINATE, id, NULL))
		return 7;
	if (expert_stat(fd).id != id)
		return 8;
	return 0;
}

/* Wait for the end of a child; it is killed when that takes too long. 128 + the signal. */
static int patient_status(pid_t pid)
{
	time_t end = time(NULL) + PATIENCE;
	int status;

	while (!waitpid(pid, &status, WNOHANG)) {
		if (time(NULL) >= end)
			kill(pid, SIGKILL);
		usleep(20000);
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int ask_all(int fd)
{
	__u64 id = expert_stat(fd).id;
	pid_t pid = fork();

	if (!pid)
		_exit(ask(id, fd));
	return pid < 0 ? -errno : patient_status(pid);
}

TEST_F(stuck, requests_are_answered_while_a_fault_hangs)
{
	start(FAULT);
	ASSERT_TRUE(nbd_wait_held(&self->nbd));
	EXPECT_EQ(ask_all(expert->fds[0]), 0);
	EXPECT_EQ(expert_stat(expert->fds[0]).state, EXPERTMEM_STATE_TERMINATING);
	EXPECT_EQ(ask_all(expert->fds[0]), 0);
	finish(_metadata, self, FAULT);
	EXPECT_EQ(expert->results[FAULT], 0);
	start(CHECK);
	while (!is_done(CHECK) && time(NULL) < self->end)
		usleep(20000);
	EXPECT_TRUE(is_done(CHECK));
	EXPECT_EQ(expert->results[CHECK], 0);
}

TEST_F(stuck, requests_are_answered_while_free_waits_for_a_fault)
{
	start(FAULT);
	ASSERT_TRUE(nbd_wait_held(&self->nbd));
	start(FREE);
	EXPECT_TRUE(wait_blocked(self, FREE));
	EXPECT_EQ(ask_all(expert->fds[0]), 0);
	EXPECT_FALSE(is_done(FREE));
	finish(_metadata, self, FAULT);
	EXPECT_EQ(expert->results[FAULT], 0);
	while (!is_done(FREE) && time(NULL) < self->end)
		usleep(20000);
	EXPECT_EQ(expert->results[FREE], 0);
	EXPECT_EQ(expert_stat(expert->fds[0]).regions, 1);
}

TEST_F(stuck, requests_are_answered_while_copy_hangs)
{
	start(COPY);
	ASSERT_TRUE(nbd_wait_held(&self->nbd));
	EXPECT_EQ(ask_all(expert->fds[0]), 0);
	finish(_metadata, self, COPY);
	EXPECT_EQ(expert->results[COPY], 0);
	EXPECT_EQ(expert_stat(expert->fds[1]).regions, 2);
	EXPECT_EQ(expert_stat(expert->fds[1]).resident, (SWAPPED + 1) * PAGE);
}

TEST_F(stuck, requests_to_the_other_expert_are_answered_while_copy_hangs)
{
	start(COPY);
	ASSERT_TRUE(nbd_wait_held(&self->nbd));
	EXPECT_EQ(ask_all(expert->fds[1]), 0);
	finish(_metadata, self, COPY);
	/* it was terminated meanwhile; that stops no call which has begun */
	EXPECT_EQ(expert->results[COPY], 0);
}

static void interrupted(int sig)
{
}

/* In a child: what a RECLAIM that is interrupted by a signal returns. */
static pid_t reclaim_in_child(__u64 id)
{
	struct sigaction action = { .sa_handler = interrupted };
	pid_t pid = fork();
	struct nl nl;

	if (pid)
		return pid;
	sigaction(SIGUSR1, &action, NULL);
	if (nl_open(&nl))
		_exit(255);
	_exit(-nl_do(&nl, EXPERTMEM_CMD_RECLAIM, id, NULL));
}

/* Signal a child until it ends: what comes before it waits, it does not notice. */
static int interrupt(pid_t pid, int sig)
{
	time_t end = time(NULL) + PATIENCE;
	int status;

	while (!waitpid(pid, &status, WNOHANG)) {
		if (time(NULL) >= end)
			return -ETIMEDOUT;
		kill(pid, sig);
		usleep(100000);
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* A signal came, or the two seconds were over before one did. */
static bool is_cut_short(int status)
{
	return status == EINTR || status == EINPROGRESS;
}

static bool wait_reclaimed(int fd)
{
	time_t end = time(NULL) + PATIENCE;

	while (expert_stat(fd).state != EXPERTMEM_STATE_RECLAIMED && time(NULL) < end)
		usleep(20000);
	return expert_stat(fd).state == EXPERTMEM_STATE_RECLAIMED;
}

TEST_F(stuck, reclaim_can_be_interrupted_and_goes_on)
{
	pid_t first, second;

	start(FAULT);
	ASSERT_TRUE(nbd_wait_held(&self->nbd));
	first = reclaim_in_child(self->id);
	ASSERT_GT(first, 0);
	EXPECT_TRUE(wait_reclaimed(expert->fds[0]));
	EXPECT_TRUE(is_cut_short(interrupt(first, SIGUSR1)));
	EXPECT_EQ(ask_all(expert->fds[0]), 0);

	/* who comes second waits for the first; it can be interrupted and killed as well */
	first = reclaim_in_child(self->id);
	second = reclaim_in_child(self->id);
	usleep(200000);
	EXPECT_EQ(ask_all(expert->fds[0]), 0);
	EXPECT_TRUE(is_cut_short(interrupt(first, SIGUSR1)));
	EXPECT_EQ(interrupt(second, SIGKILL), 128 + SIGKILL);

	finish(_metadata, self, FAULT);
	/* it had passed the gate before */
	EXPECT_TRUE(!expert->results[FAULT] || expert->results[FAULT] == SIGSEGV);
	EXPECT_EQ(nl_do(&self->nl, EXPERTMEM_CMD_RECLAIM, self->id, NULL), 0);
	check_empty(_metadata, expert->fds[0]);
	EXPECT_EQ(expert_stat(expert->fds[0]).cause, EXPERTMEM_CAUSE_OPERATOR);
	EXPECT_EQ(expert_stat(expert->fds[0]).reclaimed_bytes, (SWAPPED + 1) * PAGE);
}

TEST_F(stuck, reclaim_that_takes_long_is_in_progress_and_goes_on)
{
	start(FAULT);
	ASSERT_TRUE(nbd_wait_held(&self->nbd));
	EXPECT_EQ(nl_do(&self->nl, EXPERTMEM_CMD_RECLAIM, self->id, NULL), -EINPROGRESS);
	EXPECT_EQ(nl_do(&self->nl, EXPERTMEM_CMD_RECLAIM, self->id, NULL), -EINPROGRESS);
	EXPECT_EQ(ask_all(expert->fds[0]), 0);
	finish(_metadata, self, FAULT);
	EXPECT_EQ(nl_do(&self->nl, EXPERTMEM_CMD_RECLAIM, self->id, NULL), 0);
	check_empty(_metadata, expert->fds[0]);
	EXPECT_EQ(expert_stat(expert->fds[0]).cause, EXPERTMEM_CAUSE_OPERATOR);
}

/* A process that was killed in a fault that hangs is not gone. Its expert can be seen. */
TEST_F(stuck, requests_are_answered_while_a_killed_process_hangs)
{
	start(FAULT);
	ASSERT_TRUE(nbd_wait_held(&self->nbd));
	ASSERT_EQ(kill(self->pid, SIGKILL), 0);
	EXPECT_EQ(ask_all(expert->fds[0]), 0);
	EXPECT_EQ(waitpid(self->pid, NULL, WNOHANG), 0);
	nbd_hold(&self->nbd, false);
	EXPECT_EQ(child_status(self->pid), 128 + SIGKILL);
	check_empty(_metadata, expert->fds[0]);
	EXPECT_EQ(expert_stat(expert->fds[0]).cause, EXPERTMEM_CAUSE_DETACH);
	self->pid = fork();
	if (!self->pid)
		_exit(0);
}

TEST_HARNESS_MAIN
