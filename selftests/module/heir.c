// SPDX-License-Identifier: GPL-2.0
/*
 * FORK: the next child of a thread gets the heir, a copy of its parent's memory. Which bytes
 * the child has, that no other process gets the heir, and that all memory is returned.
 *
 * needs: module root
 * also: slow
 */
#include <pthread.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <linux/futex.h>
#include <linux/sched.h>

#include "heir_test.h"

#define THREADS		4

struct action {
	CHILD_FN((*fn));
	const char *name;
};

/* ------------------------------------------------------------- what the child has */

static CHILD_FN(check_heir)
{
	struct expertmem_stat stat = expert_stat(heir), parents = expert_stat(m->w.fd);

	CHECK(!strcmp(stat.name, NAME) && stat.limit == LIMIT && !stat.flags);
	CHECK(stat.id != parents.id && stat.regions == parents.regions);
	CHECK(stat.committed == parents.committed && !stat.resident);
	CHECK(fcntl(heir, F_GETFD) == FD_CLOEXEC);
	CHECK(expert_configure(heir, "other", 0, 0) == -EBUSY);
	CHECK(has_bytes(m));
	CHECK(read_touch(at(&m->w, m->offset - 1)) == SIGSEGV);
	CHECK(read_touch(at(&m->w, m->offset + m->size)) == SIGSEGV);
	CHECK(read_touch(m->w.addr) == SIGSEGV);
	CHECK(expert_stat(heir).state == EXPERTMEM_STATE_RUNNING);
	CHECK(expert_stat(heir).resident == m->size);
}

TEST_F(heir, child_has_the_regions_bytes_name_and_limit_of_its_parent)
{
	EXPECT_EQ(0, heir_status(&self->m, check_heir));
}

static CHILD_FN(check_unswappable)
{
	CHECK(expert_stat(heir).flags == EXPERTMEM_CONFIG_UNSWAPPABLE && has_bytes(m));
}

TEST_F(heir, heir_of_an_unswappable_expert_is_unswappable)
{
	int fd = expert_open();
	struct memory m;

	if (expert_configure(fd, NAME, LIMIT, EXPERTMEM_CONFIG_UNSWAPPABLE))
		SKIP_TEST("may not make an expert unswappable; be root");
	ASSERT_EQ(0, memory_make(&m, &variant->kind, fd, HUGE));
	EXPECT_EQ(0, heir_status(&m, check_unswappable));
	window_close(&m.w);
}

static CHILD_FN(write_bytes)
{
	memset(at(&m->w, m->offset), 1, m->size);
}

TEST_F(heir, neither_sees_what_the_other_writes_later)
{
	struct memory *m = &self->m;
	pid_t pid;
	int heir;

	EXPECT_EQ(0, heir_status(m, write_bytes));
	EXPECT_TRUE(has_bytes(m));
	pid = spawn_waiting(m, &heir, wait_and_check);
	ASSERT_LT(0, pid);
	write_bytes(m, heir);
	EXPECT_EQ(0, finish(pid, heir));
	ASSERT_EQ(0, region_free(&m->w, m->offset));
	ASSERT_EQ(0, region_touched(&m->w, m->size, &m->offset));
}

static CHILD_FN(change_regions)
{
	struct window w = its_window(m, heir);
	__u64 before, after;

	/* before the first touch, and after it */
	CHECK(!region_alloc(&w, w.granule, &before));
	CHECK(!region_realloc(&w, m->offset, 3 * w.granule));
	CHECK(is_touched(&w, m->offset, 3 * w.granule));
	CHECK(read_touch(at(&w, m->offset + 3 * w.granule)) == SIGSEGV);
	CHECK(!region_touched(&w, w.granule, &after) && before != after);
	CHECK(all_bytes(at(&w, before), w.granule, 0));
	CHECK(!region_realloc(&w, m->offset, w.granule));
	CHECK(!region_realloc(&w, m->offset, 2 * w.granule));
	CHECK(all_bytes(at(&w, m->offset + w.granule), w.granule, 0));
	CHECK(!region_free(&w, before) && !region_free(&w, after));
	CHECK(!region_free(&w, m->offset) && is_empty(heir));
	CHECK(read_touch(at(&w, m->offset)) == SIGSEGV);
}

TEST_F(heir, child_can_make_resize_and_free_regions)
{
	EXPECT_EQ(0, heir_status(&self->m, change_regions));
}

static CHILD_FN(fork_again)
{
	struct memory own = { its_window(m, heir), m->offset, m->size };

	CHECK(has_bytes(m) && !heir_status(&own, write_bytes));
	CHECK(touch_status(m) == SIGSEGV && has_bytes(m));
}

TEST_F(heir, child_that_has_touched_its_memory_can_fork_as_its_parent_did)
{
	EXPECT_EQ(0, heir_status(&self->m, fork_again));
}

/* It has touched nothing yet. */
static CHILD_FN(fork_at_once)
{
	struct memory mine = *m;

	mine.w.fd = heir;
	CHECK(heir_status(&mine, check_heir) == 0);
	CHECK(has_bytes(m));
}

TEST_F(heir, child_can_fork_before_it_has_touched_its_memory)
{
	EXPECT_EQ(0, heir_status(&self->m, fork_at_once));
}

static CHILD_FN(alloc_populated)
{
	struct window w = its_window(m, heir);
	__u64 offset;

	CHECK(!region_alloc_flags(&w, EXPERTMEM_ALLOC_POPULATE, w.granule, 0, &offset));
	CHECK(expert_stat(heir).resident >= w.granule);
	CHECK(read_touch(at(&w, offset)) == 0);
	CHECK(has_bytes(m));
	CHECK(expert_stat(heir).resident >= m->size + w.granule);
}

TEST_F(heir, child_can_populate_before_it_has_touched_its_memory)
{
	EXPECT_EQ(0, heir_status(&self->m, alloc_populated));
}

/* The window that the parent has besides the one of the fixture. */
static struct memory other;

static CHILD_FN(check_both_windows)
{
	CHECK(has_bytes(m));
	CHECK(has_bytes(&other));
}

static CHILD_FN(touch_one_and_fork)
{
	struct memory mine = *m;

	mine.w.fd = heir;
	CHECK(has_bytes(m));
	CHECK(heir_status(&mine, check_both_windows) == 0);
}

TEST_F(heir, grandchild_has_the_window_that_the_child_has_not_touched)
{
	const struct window *kind = self->m.w.granule == PAGE ? &huge_window : &small_window;

	ASSERT_EQ(0, memory_make(&other, kind, self->m.w.fd, 2 * HUGE));
	EXPECT_EQ(0, heir_status(&self->m, touch_one_and_fork));
	munmap(other.w.addr, other.w.size);
}

static CHILD_FN(use_both_windows)
{
	CHECK(has_bytes(&other) && has_bytes(m));
	CHECK(expert_stat(heir).committed == m->size + other.size);
}

static CHILD_FN(use_one_window)
{
	CHECK(!munmap(other.w.addr, other.w.size) && has_bytes(m));
	CHECK(expert_stat(heir).committed == m->size);
}

TEST_F(heir, child_has_both_windows_and_can_unmap_either)
{
	const struct window *kind = self->m.w.granule == PAGE ? &huge_window : &small_window;

	ASSERT_EQ(0, memory_make(&other, kind, self->m.w.fd, HUGE));
	EXPECT_EQ(0, heir_status(&self->m, use_both_windows));
	EXPECT_EQ(0, heir_status(&self->m, use_one_window));
	munmap(other.w.addr, other.w.size);
}

/* ------------------------------------------------------------------ first touches */

static CHILD_FN(touch_by_read_call)
{
	int pipes[2];

	CHECK(!pipe(pipes) && write(pipes[1], "abcd", 4) == 4);
	CHECK(read(pipes[0], at(&m->w, m->offset) + 8, 4) == 4);
	CHECK(!memcmp(at(&m->w, m->offset) + 8, "abcd", 4));
}

static CHILD_FN(touch_by_vmsplice)
{
	struct iovec iov = { at(&m->w, m->offset), sizeof(__u64) };
	__u64 word;
	int pipes[2];

	CHECK(!pipe(pipes) && vmsplice(pipes[1], &iov, 1, 0) == sizeof(word));
	CHECK(read(pipes[0], &word, sizeof(word)) == sizeof(word));
	CHECK(word == word_at(m->offset));
}

static CHILD_FN(touch_by_futex)
{
	CHECK(!syscall(SYS_futex, at(&m->w, m->offset), FUTEX_WAKE, 1, NULL, NULL, 0));
}

static CHILD_FN(touch_by_private_futex)
{
	__u32 another = ~(__u32)word_at(m->offset);

	CHECK(result(syscall(SYS_futex, at(&m->w, m->offset), FUTEX_WAIT_PRIVATE, another, NULL,
			     NULL, 0)) == -EAGAIN);
}

/* This fault makes the kernel map the window; then it finds nothing there. */
static CHILD_FN(touch_hole)
{
	CHECK(write_touch(at(&m->w, m->offset + m->size)) == SIGSEGV);
	CHECK(expert_stat(heir).state == EXPERTMEM_STATE_RUNNING);
}

/* The first touch writes, but for those of other tests. */
static CHILD_FN(touch_by_write)
{
	*at(&m->w, m->offset + m->size - 1) = 1;
	CHECK(*at(&m->w, m->offset + m->size - 1) == 1 && has_bytes(m));
}

TEST_F(heir, whatever_touches_the_window_first_finds_it)
{
	static const struct action touches[] = {
		{ touch_by_write, "a write" }, { touch_by_read_call, "read()" },
		{ touch_by_vmsplice, "vmsplice()" }, { touch_by_futex, "FUTEX_WAKE" },
		{ touch_by_private_futex, "FUTEX_WAIT_PRIVATE" }, { touch_hole, "a hole" },
	};
	size_t i;

	for (i = 0; i < COUNT_OF(touches); i++) {
		EXPECT_EQ(0, heir_status(&self->m, touches[i].fn))
			TH_LOG("the first touch was by %s", touches[i].name);
	}
}

/* The kernel writes to the child's memory before the child runs. */
TEST_F(heir, pid_of_the_child_can_be_the_first_write)
{
	int *tid = (int *)at(&self->m.w, self->m.offset + 8), before = *tid;
	struct clone_args args = {
		.flags = CLONE_CHILD_SETTID, .child_tid = (unsigned long)tid,
		.exit_signal = SIGCHLD,
	};
	int heir;
	pid_t pid;

	heir = expert_fork(self->m.w.fd);
	ASSERT_LE(0, heir);
	pid = syscall(SYS_clone3, &args, sizeof(args));
	if (!pid) {
		CHECK(*tid == syscall(SYS_getpid) && has_bytes(&self->m));
		_exit(0);
	}
	EXPECT_EQ(0, child_status(pid));
	EXPECT_EQ(before, *tid);
	EXPECT_EQ(0, expert_fork_end(self->m.w.fd, heir));
}

static pthread_barrier_t barrier;

static void *touch_at_once(void *arg)
{
	pthread_barrier_wait(&barrier);
	CHECK(has_bytes(arg));
	return NULL;
}

static CHILD_FN(touch_in_threads)
{
	pthread_t threads[THREADS];
	int i;

	CHECK(!pthread_barrier_init(&barrier, NULL, THREADS));
	for (i = 0; i < THREADS; i++)
		CHECK(!pthread_create(&threads[i], NULL, touch_at_once, (void *)m));
	for (i = 0; i < THREADS; i++)
		CHECK(!pthread_join(threads[i], NULL));
	CHECK(alike(heir, m->w.fd));
}

TEST_F(heir, threads_that_touch_at_the_same_moment_all_find_the_memory)
{
	unsigned long i;

	for (i = 0; i < rounds(500); i++)
		ASSERT_EQ(0, heir_status(&self->m, touch_in_threads));
}

/* --------------------------------------------------------- before the first touch */

static CHILD_FN(harm_parent)
{
	const struct window *w = &m->w;
	unsigned char *addr = at(w, m->offset);
	const size_t g = w->granule;

	CHECK(result(madvise(addr, m->size, MADV_REMOVE)) == -EACCES);
	CHECK(result(madvise(addr + PAGE, PAGE, MADV_REMOVE)) == -EACCES);
	CHECK(result(munmap(addr, g)) == -EINVAL && result(munmap(w->addr, g)) == -EINVAL);
	CHECK(result(mprotect(addr, g, PROT_READ)) == -EINVAL);
	CHECK(mremap(w->addr, w->size, w->size, MREMAP_MAYMOVE | MREMAP_FIXED,
		     w->addr - 4 * GIB) == MAP_FAILED && errno == EINVAL);
	CHECK(mremap(addr, g, 2 * g, MREMAP_MAYMOVE) == MAP_FAILED);
	CHECK(mremap(w->addr, w->size, w->size - g, MREMAP_MAYMOVE) == MAP_FAILED);
	CHECK(result(mprotect(w->addr, w->size, PROT_READ | PROT_EXEC)) == -EACCES);
	CHECK(remap_file_pages(addr, g, 0, w->offset / PAGE, 0) == -1);
	CHECK(expert_stat(heir).state == EXPERTMEM_STATE_IDLE && has_bytes(m));
	/* now the window is the child's own */
	CHECK(!madvise(addr, m->size, MADV_REMOVE) && all_bytes(addr, m->size, 0));
}

TEST_F(heir, child_cannot_harm_its_parent_before_the_first_touch)
{
	EXPECT_EQ(0, heir_status(&self->m, harm_parent));
	EXPECT_EQ(self->m.size, expert_stat(self->m.w.fd).resident);
}

static CHILD_FN(protect)
{
	const struct window *w = &m->w;

	CHECK(!mprotect(w->addr, w->size, PROT_NONE));
	CHECK(read_touch(at(w, m->offset)) == SIGSEGV);
	CHECK(!mprotect(w->addr, w->size, PROT_READ));
	CHECK(write_touch(at(w, m->offset)) == SIGSEGV && has_bytes(m));
	CHECK(!mprotect(w->addr, w->size, PROT_READ | PROT_WRITE));
	CHECK(!write_touch(at(w, m->offset)) && has_bytes(m));
}

TEST_F(heir, child_can_protect_the_whole_window_before_the_first_touch)
{
	EXPECT_EQ(0, heir_status(&self->m, protect));
}

/* ------------------------------------------------------------ who gets the heir */

TEST_F(heir, one_child_gets_the_heir_and_the_next_does_not)
{
	pid_t pid;
	int heir;

	ASSERT_EQ(0, pipe(ends));
	heir = expert_fork(self->m.w.fd);
	ASSERT_LE(0, heir);
	pid = fork();
	if (!pid) {
		wait_and_check(&self->m, heir);
		_exit(0);
	}
	EXPECT_EQ(SIGSEGV, touch_status(&self->m));
	EXPECT_EQ(0, expert_fork_end(self->m.w.fd, -1));
	EXPECT_EQ(SIGSEGV, touch_status(&self->m));
	EXPECT_EQ(0, finish(pid, heir));

	/* the child that comes after FORK_END does not, either */
	heir = expert_fork(self->m.w.fd);
	ASSERT_LE(0, heir);
	EXPECT_EQ(0, expert_fork_end(self->m.w.fd, heir));
	EXPECT_EQ(SIGSEGV, touch_status(&self->m));
}

static void *fork_in_thread(void *arg)
{
	return (void *)(long)touch_status(arg);
}

static int vfork_status(void)
{
	pid_t pid = vfork();

	if (!pid)
		_exit(0);
	return child_status(pid);
}

TEST_F(heir, other_threads_and_vfork_do_not_use_the_heir_up)
{
	pthread_t thread;
	void *status;
	int heir;

	heir = expert_fork(self->m.w.fd);
	ASSERT_LE(0, heir);
	ASSERT_EQ(0, pthread_create(&thread, NULL, fork_in_thread, &self->m));
	ASSERT_EQ(0, pthread_join(thread, &status));
	EXPECT_EQ(SIGSEGV, (long)status);
	EXPECT_EQ(0, vfork_status());
	EXPECT_EQ(0, touch_status(&self->m));
	EXPECT_EQ(SIGSEGV, touch_status(&self->m));
	EXPECT_EQ(0, expert_fork_end(self->m.w.fd, heir));
}

static CHILD_FN(fork_before_touching)
{
	CHECK(touch_status(m) == SIGSEGV && has_bytes(m));
	CHECK(touch_status(m) == SIGSEGV && has_bytes(m));
}

static void *fork_and_leave(void *fd)
{
	return (void *)(long)expert_fork(*(int *)fd);
}

/* The kernel uses the memory of an ended thread again, for the next one. */
TEST_F(heir, thread_that_comes_after_the_one_that_called_does_not_get_the_heir)
{
	unsigned long i, n = rounds(20);
	pthread_t thread;
	void *answer;
	int heir, j;

	for (i = 0; i < n; i++) {
		ASSERT_EQ(0, pthread_create(&thread, NULL, fork_and_leave, &self->m.w.fd));
		ASSERT_EQ(0, pthread_join(thread, &answer));
		heir = (long)answer;
		ASSERT_LE(0, heir);
		usleep(30000);
		for (j = 0; j < 8; j++) {
			ASSERT_EQ(0, pthread_create(&thread, NULL, fork_in_thread, &self->m));
			ASSERT_EQ(0, pthread_join(thread, &answer));
			ASSERT_EQ(SIGSEGV, (long)answer);
		}
		expert_fork_end(self->m.w.fd, heir);
	}
}

/* Whoever holds the descriptor of the dead parent does not keep the heir. */
TEST_F(heir, heir_of_a_parent_that_was_reclaimed_is_released)
{
	const unsigned long experts = open_experts();
	struct expertmem_reclaim arg = { };
	struct memory parent;
	int heir;

	ASSERT_EQ(0, memory_make(&parent, &variant->kind, expert_open(),
				 2 * variant->kind.granule));
	heir = expert_fork(parent.w.fd);
	ASSERT_LE(0, heir);
	close(heir);
	EXPECT_EQ(experts + 2, open_experts());
	ASSERT_EQ(0, expert_ioctl(parent.w.fd, EXPERTMEM_IOC_RECLAIM, &arg));
	EXPECT_EQ(experts, open_experts());
	EXPECT_EQ(-ESHUTDOWN, expert_fork(parent.w.fd));
	window_close(&parent.w);
}

TEST_F(heir, grandchild_does_not_get_the_heir)
{
	EXPECT_EQ(0, heir_status(&self->m, fork_before_touching));
}

TEST_F(heir, second_call_replaces_the_first_heir)
{
	int first = expert_fork(self->m.w.fd), second = expert_fork(self->m.w.fd);

	EXPECT_EQ(self->experts + 3, open_experts());
	EXPECT_EQ(0, touch_status(&self->m));
	EXPECT_TRUE(gets_reclaimed(second));
	EXPECT_FALSE(is_reclaimed(first));
	close(first);
	EXPECT_EQ(self->experts + 1, open_experts());
	EXPECT_EQ(0, expert_fork_end(self->m.w.fd, second));
}

/* ----------------------------------------------------------- memory comes back */

static CHILD_FN(just_exit)
{
}

static CHILD_FN(run_program)
{
	execlp("sleep", "sleep", "1000", NULL);
}

static CHILD_FN(touch_and_run_program)
{
	CHECK(has_bytes(m));
	run_program(m, heir);
}

static CHILD_FN(touch_and_die)
{
	CHECK(has_bytes(m));
	raise(SIGKILL);
}

static CHILD_FN(unmap)
{
	CHECK(!munmap(m->w.addr, m->w.size) && is_reclaimed(heir));
	close(ends[1]);
	pause();
}

static CHILD_FN(map_over)
{
	CHECK(mmap(m->w.addr, m->w.size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE |
		   MAP_FIXED, -1, 0) == m->w.addr);
	close(ends[1]);
	pause();
}

TEST_F(heir, memory_comes_back_while_the_parent_has_the_descriptor_of_the_heir)
{
	static const struct action ways[] = {
		{ just_exit, "exit" }, { run_program, "exec" }, { unmap, "munmap" },
		{ map_over, "mmap over the window" }, { touch_and_die, "SIGKILL" },
		{ touch_and_run_program, "a touch and exec" },
	};
	pid_t pid;
	size_t i;
	int heir;

	for (i = 0; i < COUNT_OF(ways); i++) {
		/* a child closes its end when the memory has to be back */
		ASSERT_EQ(0, pipe2(ends, O_CLOEXEC));
		pid = spawn(&self->m, &heir, ways[i].fn);
		ASSERT_LT(0, pid);
		wait_for_others();
		EXPECT_TRUE(gets_reclaimed(heir)) TH_LOG("after %s", ways[i].name);
		EXPECT_EQ(self->m.size, expert_stat(heir).reclaimed_bytes);
		EXPECT_EQ(self->experts + 1, open_experts());
		kill(pid, SIGKILL);
		EXPECT_NE(1, child_status(pid));
		close(heir);
	}
}

TEST_F(heir, memory_comes_back_where_fork_is_never_called)
{
	struct expertmem_info before = expert_info(self->m.w.fd), info;
	int heir = expert_fork(self->m.w.fd);

	ASSERT_LE(0, heir);
	info = expert_info(self->m.w.fd);
	EXPECT_EQ(before.experts + 1, info.experts);
	EXPECT_EQ(before.uid_charged + self->m.size, info.uid_charged);
	EXPECT_EQ(0, expert_fork_end(self->m.w.fd, -1));
	EXPECT_EQ(before.experts + 1, expert_info(self->m.w.fd).experts);
	close(heir);
	EXPECT_TRUE(same_info(self->m.w.fd, &before));
	EXPECT_EQ(0, expert_fork_end(self->m.w.fd, expert_fork(self->m.w.fd)));
	EXPECT_TRUE(same_info(self->m.w.fd, &before));
}

static long fork_without_processes(void *kind)
{
	const struct rlimit none = { 0, 1000 }, many = { 1000, 1000 };
	struct expertmem_info before;
	struct memory m;
	int heir;

	CHECK(!memory_make(&m, kind, expert_open(), HUGE));
	before = expert_info(m.w.fd);
	heir = expert_fork(m.w.fd);
	CHECK(heir >= 0 && !setrlimit(RLIMIT_NPROC, &none) && fork() == -1 && errno == EAGAIN);
	CHECK(!expert_fork_end(m.w.fd, heir) && same_info(m.w.fd, &before));
	CHECK(!setrlimit(RLIMIT_NPROC, &many) && works(&m.w, m.offset));
	window_close(&m.w);
	return 0;
}

TEST_F(heir, memory_comes_back_where_fork_fails)
{
	struct stat device;

	NEED_USERS();
	ASSERT_EQ(0, group_device(&device, 0660));
	EXPECT_EQ(0, as(&owner, fork_without_processes, (void *)&variant->kind));
	EXPECT_EQ(0, ungroup_device(&device));
}

/* The kernel has copied the mm when it finds that the pid is in use. */
TEST_F(heir, memory_comes_back_where_fork_fails_after_it_has_copied_the_mappings)
{
	pid_t own = getpid();
	struct clone_args args = {
		.exit_signal = SIGCHLD, .set_tid = (unsigned long)&own, .set_tid_size = 1,
	};
	int heir = expert_fork(self->m.w.fd);

	ASSERT_LE(0, heir);
	if (syscall(SYS_clone3, &args, sizeof(args)) != -1 || errno != EEXIST)
		SKIP_TEST("clone3() may not choose a pid; be root");
	EXPECT_TRUE(gets_reclaimed(heir));
	EXPECT_EQ(SIGSEGV, touch_status(&self->m));
	EXPECT_EQ(0, expert_fork_end(self->m.w.fd, heir));
	EXPECT_TRUE(works(&self->m.w, self->m.offset));
}

static CHILD_FN(outlive_parent)
{
	struct window w = its_window(m, heir);
	__u64 more;

	wait_and_check(m, heir);
	CHECK(!region_touched(&w, w.granule, &more) && is_touched(&w, more, w.granule));
}

TEST_F(heir, child_keeps_its_memory_when_its_parent_is_dead)
{
	struct memory m;
	int heir, status;
	pid_t pid;

	/* the child is a child of this process then */
	ASSERT_EQ(0, prctl(PR_SET_CHILD_SUBREAPER, 1));
	fflush(NULL);
	pid = fork();
	if (!pid) {
		CHECK(!memory_make(&m, &variant->kind, expert_open(), self->m.size));
		CHECK(!pipe(ends) && spawn(&m, &heir, outlive_parent) > 0);
		raise(SIGKILL);
	}
	EXPECT_EQ(128 + SIGKILL, child_status(pid));
	EXPECT_LT(0, wait(&status));
	EXPECT_EQ(0, status);
}

/* ------------------------------------------------- others use the heir's descriptor */

static CHILD_FN(wait_and_fault)
{
	wait_for_others();
	CHECK(read_touch(at(&m->w, m->offset)) == SIGSEGV);
	CHECK(write_touch(at(&m->w, m->offset)) == SIGSEGV);
	CHECK(!munmap(m->w.addr, m->w.size));
}

TEST_F(heir, child_faults_when_the_heir_was_reclaimed)
{
	struct expertmem_reclaim freed;
	pid_t pid;
	int heir;

	pid = spawn_waiting(&self->m, &heir, wait_and_fault);
	ASSERT_LT(0, pid);
	EXPECT_EQ(0, expert_reclaim(heir, &freed));
	EXPECT_EQ(self->m.size, freed.reclaimed_bytes);
	EXPECT_EQ(1, freed.reclaimed_regions);
	EXPECT_EQ(0, finish(pid, heir));

	/* before fork() */
	heir = expert_fork(self->m.w.fd);
	EXPECT_EQ(0, expert_reclaim(heir, &freed));
	EXPECT_EQ(SIGSEGV, touch_status(&self->m));
	EXPECT_EQ(0, expert_fork_end(self->m.w.fd, heir));
}

static CHILD_FN(wait_and_alloc)
{
	struct window w = its_window(m, heir);
	__u64 more;

	wait_for_others();
	CHECK(region_alloc(&w, 1, &more) == -ECANCELED);
	CHECK(has_bytes(m) && !write_touch(at(&w, m->offset)));
	CHECK(region_alloc(&w, 1, &more) == -ECANCELED);
	CHECK(expert_stat(heir).state == EXPERTMEM_STATE_TERMINATING);
	CHECK(!region_free(&w, m->offset));
}

TEST_F(heir, child_has_its_memory_when_the_heir_was_asked_to_stop)
{
	pid_t pid;
	int heir;

	pid = spawn_waiting(&self->m, &heir, wait_and_alloc);
	ASSERT_LT(0, pid);
	EXPECT_EQ(0, expert_terminate(heir));
	EXPECT_EQ(0, finish(pid, heir));
}

TEST_F(heir, window_of_the_heir_can_be_mapped_by_its_descriptor_instead)
{
	const int rw = PROT_READ | PROT_WRITE;
	struct memory copy = self->m;
	pid_t pid;
	int heir;

	pid = spawn_waiting(&self->m, &heir, wait_and_fault);
	ASSERT_LT(0, pid);
	EXPECT_EQ(-EINVAL, map(heir, WINDOW_SIZE - HUGE, rw, MAP_SHARED, copy.w.offset));
	EXPECT_EQ(-EINVAL, map(heir, WINDOW_SIZE + HUGE, rw, MAP_SHARED, copy.w.offset));
	ASSERT_EQ(0, window_map(&copy.w, &variant->kind, heir, WINDOW_SIZE));
	EXPECT_TRUE(has_bytes(&copy));
	EXPECT_EQ(-EBUSY, map(heir, WINDOW_SIZE, rw, MAP_SHARED, copy.w.offset));
	EXPECT_EQ(0, finish(pid, heir));
	EXPECT_TRUE(has_bytes(&copy));
	munmap(copy.w.addr, copy.w.size);
}

/* -------------------------------------------------------------------------- races */

static bool stop;

/* Make, touch and free regions until one of this fails, or the test stops. */
static void *churn(void *arg)
{
	const struct window *w = &((struct memory *)arg)->w;
	__u64 offsets[4];
	bool good = true;
	size_t i;

	while (good && !__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		for (i = 0; good && i < COUNT_OF(offsets); i++)
			good = !region_touched(w, w->granule, &offsets[i]);
		for (i = 0; good && i < COUNT_OF(offsets); i++)
			good = is_touched(w, offsets[i], w->granule) && !region_free(w, offsets[i]);
	}
	return good ? NULL : arg;
}

static CHILD_FN(check_and_churn)
{
	struct window w = its_window(m, heir);
	__u64 more;
	int i;

	CHECK(has_bytes(m));
	for (i = 0; i < 8; i++)
		CHECK(!region_touched(&w, w.granule, &more) && (i % 2 || !region_free(&w, more)));
	CHECK(has_bytes(m) && !region_free(&w, m->offset));
}

TEST_F(heir, child_is_consistent_while_other_threads_make_and_free_regions)
{
	pthread_t threads[2];
	unsigned long n;
	void *failed;
	size_t i;

	for (i = 0; i < COUNT_OF(threads); i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, churn, &self->m));
	for (n = 0; n < rounds(300); n++)
		ASSERT_EQ(0, heir_status(&self->m, check_and_churn));
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (i = 0; i < COUNT_OF(threads); i++) {
		ASSERT_EQ(0, pthread_join(threads[i], &failed));
		EXPECT_EQ(NULL, failed);
	}
}

TEST_HARNESS_MAIN
