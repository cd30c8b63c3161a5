// SPDX-License-Identifier: GPL-2.0
/*
 * Pages that a child borrows from its parent after FORK, and that are copied when parent or
 * child touches them. After each operation of either of them, parent and child have the bytes
 * of the moment of the fork, and what they wrote themselves.
 *
 * needs: module root
 * also: slow
 */
#include <pthread.h>

#include "heir_test.h"

/* Pages of the region that the fixture makes; in the huge window, 2 MiB are one. */
#define PAGES		4

static unsigned char *page_of(const struct memory *m, unsigned int i)
{
	return at(&m->w, m->offset + i * m->w.granule);
}

static void restore(const struct memory *m)
{
	__u64 i;

	for (i = 0; i < m->size; i += PAGE)
		*(__u64 *)at(&m->w, m->offset + i) = word_at(m->offset + i);
}

/* How a child ends whose parent writes to all pages, once the child has had some time. */
static int status_beside_writer(const struct memory *m, CHILD_FN((*fn)))
{
	int heir, status;
	pid_t pid;

	pid = spawn_waiting(m, &heir, fn);
	if (pid < 0)
		return pid;
	usleep(100000);
	memset(page_of(m, 0), 7, m->size);
	status = finish(pid, heir);
	restore(m);
	return status;
}

/* ------------------------------------------------------------------- what is copied */

static CHILD_FN(touch_one_by_one)
{
	unsigned int i;

	CHECK(!expert_stat(heir).resident);
	for (i = 0; i < PAGES; i++) {
		CHECK(!read_touch(page_of(m, i)));
		CHECK(expert_stat(heir).resident == (i + 1) * m->w.granule);
	}
	CHECK(has_bytes(m));
}

TEST_F(heir, a_page_is_copied_when_the_child_touches_it)
{
	EXPECT_EQ(0, heir_status(&self->m, touch_one_by_one));
}

TEST_F(heir, a_page_is_copied_when_the_parent_touches_it)
{
	unsigned int i;
	pid_t pid;
	int heir;

	pid = spawn_waiting(&self->m, &heir, wait_and_check);
	ASSERT_LT(0, pid);
	for (i = 0; i < PAGES; i++) {
		EXPECT_EQ(i * self->m.w.granule, expert_stat(heir).resident);
		page_of(&self->m, i)[0]++;
	}
	EXPECT_EQ(self->m.size, expert_stat(heir).resident);
	EXPECT_EQ(0, finish(pid, heir));
	restore(&self->m);
}

TEST_F(heir, populate_copies_all_pages_at_once)
{
	struct expertmem_fork arg = { .flags = EXPERTMEM_FORK_POPULATE };

	ASSERT_EQ(0, expert_ioctl(self->m.w.fd, EXPERTMEM_IOC_FORK, &arg));
	EXPECT_EQ(self->m.size, expert_stat(arg.fd).resident);
	EXPECT_EQ(0, expert_fork_end(self->m.w.fd, arg.fd));
	arg = (struct expertmem_fork){ .flags = EXPERTMEM_FORK_POPULATE | EXPERTMEM_FORK_END };
	EXPECT_EQ(-EINVAL, expert_ioctl(self->m.w.fd, EXPERTMEM_IOC_FORK, &arg));
}

static CHILD_FN(copy_by_call)
{
	struct memory copy = *m;
	int fd = expert_open();

	CHECK(!read_touch(page_of(m, 2)));
	CHECK(!window_map(&copy.w, &m->w, fd, WINDOW_SIZE));
	CHECK(!expert_copy(fd, heir) && has_bytes(&copy));
	CHECK(alike(fd, heir));
}

TEST_F(heir, a_copy_of_a_child_has_what_the_child_has_not_touched)
{
	EXPECT_EQ(0, heir_status(&self->m, copy_by_call));
}

/* ------------------------------------------------------- the parent gives memory up */

typedef void (*parent_fn)(struct memory *m);

static void frees(struct memory *m)
{
	if (region_free(&m->w, m->offset))
		m->size = 0;
}

/* The same place, and other bytes. */
static void frees_and_allocates(struct memory *m)
{
	__u64 offset;

	if (region_free(&m->w, m->offset) || region_alloc(&m->w, m->size, &offset) ||
	    offset != m->offset)
		m->size = 0;
	else
		memset(page_of(m, 0), 7, m->size);
}

static void shrinks_and_grows(struct memory *m)
{
	if (region_realloc(&m->w, m->offset, m->w.granule) ||
	    region_realloc(&m->w, m->offset, m->size))
		m->size = 0;
	else
		memset(page_of(m, 0), 7, m->size);
}

static void removes_pages(struct memory *m)
{
	if (madvise(page_of(m, 0), m->size, MADV_REMOVE))
		m->size = 0;
	else
		page_of(m, 1)[0] = 7;
}

static void removes_parts_of_pages(struct memory *m)
{
	__u64 part = m->w.granule > PAGE ? 3 * PAGE : PAGE;

	if (madvise(page_of(m, 1), part, MADV_REMOVE) ||
	    madvise(page_of(m, 3), part, MADV_REMOVE))
		m->size = 0;
}

static void populates(struct memory *m)
{
	if (region_realloc(&m->w, m->offset, 2 * m->w.granule) ||
	    region_realloc_flags(&m->w, EXPERTMEM_ALLOC_POPULATE, m->offset, m->size))
		m->size = 0;
	else
		memset(page_of(m, 0), 7, m->size);
}

static void unmaps(struct memory *m)
{
	munmap(m->w.addr, m->w.size);
}

static void reclaims(struct memory *m)
{
	struct expertmem_reclaim freed;

	if (expert_reclaim(m->w.fd, &freed) || freed.reclaimed_resident != m->size)
		m->size = 0;
}

static void closes(struct memory *m)
{
	window_close(&m->w);
}

TEST_F(heir, child_has_what_its_parent_gives_up)
{
	static const struct {
		parent_fn fn;
		const char *name;
	} ways[] = {
		{ frees, "FREE" }, { frees_and_allocates, "FREE and ALLOC" },
		{ shrinks_and_grows, "REALLOC" }, { removes_pages, "MADV_REMOVE" },
		{ removes_parts_of_pages, "MADV_REMOVE of parts" }, { populates, "POPULATE" },
		{ unmaps, "munmap()" }, { reclaims, "RECLAIM" }, { closes, "close()" },
	};
	struct memory m;
	size_t i, size;
	pid_t pid;
	int heir;

	for (i = 0; i < COUNT_OF(ways); i++) {
		ASSERT_EQ(0, memory_make(&m, &variant->kind, expert_open(), self->m.size));
		size = m.size;
		pid = spawn_waiting(&m, &heir, wait_and_check);
		ASSERT_LT(0, pid);
		ways[i].fn(&m);
		EXPECT_EQ(size, m.size) TH_LOG("%s failed", ways[i].name);
		EXPECT_EQ(0, finish(pid, heir)) TH_LOG("after %s", ways[i].name);
		if (ways[i].fn != closes)
			window_close(&m.w);
	}
}

static CHILD_FN(check_first_and_wait)
{
	CHECK(*(__u64 *)page_of(m, 0) == word_at(m->offset));
	wait_and_check(m, heir);
}

TEST_F(heir, child_that_has_touched_a_part_has_the_rest_when_its_parent_is_gone)
{
	struct memory m;
	pid_t pid;
	int heir;

	ASSERT_EQ(0, memory_make(&m, &variant->kind, expert_open(), self->m.size));
	pid = spawn_waiting(&m, &heir, check_first_and_wait);
	ASSERT_LT(0, pid);
	page_of(&m, 2)[0]++;
	window_close(&m.w);
	EXPECT_EQ(0, finish(pid, heir));
}

/* -------------------------------------------------------- the child gives memory up */

static CHILD_FN(discard_and_wait)
{
	struct window w = its_window(m, heir);

	CHECK(!read_touch(page_of(m, 2)));
	CHECK(!madvise(page_of(m, 1), m->w.granule, MADV_REMOVE));
	CHECK(!region_realloc(&w, m->offset, 3 * m->w.granule));
	CHECK(!region_realloc(&w, m->offset, 4 * m->w.granule));
	wait_for_others();
	CHECK(is_touched(&m->w, m->offset, m->w.granule));
	CHECK(all_bytes(page_of(m, 1), m->w.granule, 0));
	CHECK(is_touched(&m->w, m->offset + 2 * m->w.granule, m->w.granule));
	CHECK(all_bytes(page_of(m, 3), m->w.granule, 0));
}

TEST_F(heir, what_the_child_has_discarded_is_zero_for_good)
{
	EXPECT_EQ(0, status_beside_writer(&self->m, discard_and_wait));
}

static CHILD_FN(free_and_alloc)
{
	struct window w = its_window(m, heir);
	__u64 offset;

	CHECK(!region_free(&w, m->offset));
	CHECK(!region_alloc(&w, m->size, &offset) && offset == m->offset);
	wait_for_others();
	CHECK(all_bytes(page_of(m, 0), m->size, 0));
}

TEST_F(heir, a_new_region_of_the_child_has_nothing_of_its_parents)
{
	EXPECT_EQ(0, status_beside_writer(&self->m, free_and_alloc));
}

/* ------------------------------------------------------------------- untouched pages */

static CHILD_FN(find_zeros)
{
	wait_for_others();
	CHECK(all_bytes(page_of(m, 0), m->size, 0));
}

TEST_F(heir, what_was_untouched_at_the_fork_is_zero_in_the_child)
{
	struct memory fresh = self->m;
	pid_t pid;
	int heir;

	ASSERT_EQ(0, region_alloc(&fresh.w, fresh.size, &fresh.offset));
	pid = spawn_waiting(&fresh, &heir, find_zeros);
	ASSERT_LT(0, pid);
	memset(page_of(&fresh, 0), 7, fresh.size / 2);
	EXPECT_EQ(0, region_free(&fresh.w, fresh.offset));
	EXPECT_EQ(0, finish(pid, heir));
}

/* -------------------------------------------------------------- children of children */

static CHILD_FN(check_changed)
{
	CHECK(page_of(m, 0)[0] == 1 && page_of(m, 1)[0] == 2);
	CHECK(is_touched(&m->w, m->offset + 2 * m->w.granule, 2 * m->w.granule));
	page_of(m, 2)[0] = 9;
}

static CHILD_FN(wait_and_check_changed)
{
	wait_for_others();
	check_changed(m, heir);
}

/* Pages 0 and 1 are changed, 2 is read, 3 is not touched. */
static CHILD_FN(change_and_fork)
{
	struct memory mine = { its_window(m, heir), m->offset, m->size };
	int second;
	pid_t pid;

	page_of(m, 0)[0] = 1;
	page_of(m, 1)[0] = 2;
	CHECK(!read_touch(page_of(m, 2)));
	CHECK(!heir_status(&mine, check_changed));
	pid = spawn(&mine, &second, wait_and_check_changed);
	CHECK(pid > 0);
	memset(page_of(m, 0), 3, m->size);
	close(ends[1]);
	CHECK(!child_status(pid));
}

TEST_F(heir, a_grandchild_has_the_bytes_of_both)
{
	EXPECT_EQ(0, status_beside_writer(&self->m, change_and_fork));
}

/* The child and the parent are gone when it looks. */
static CHILD_FN(fork_and_exit)
{
	struct memory mine = { its_window(m, heir), m->offset, m->size };
	int second;

	page_of(m, 0)[0] = 1;
	page_of(m, 1)[0] = 2;
	CHECK(spawn(&mine, &second, wait_and_check_changed) > 0);
}

TEST_F(heir, a_grandchild_has_them_when_both_are_gone)
{
	int heir, status;
	struct memory m;
	pid_t pid;

	ASSERT_EQ(0, prctl(PR_SET_CHILD_SUBREAPER, 1));
	ASSERT_EQ(0, memory_make(&m, &variant->kind, expert_open(), self->m.size));
	pid = spawn_waiting(&m, &heir, fork_and_exit);
	ASSERT_LT(0, pid);
	EXPECT_EQ(0, child_status(pid));
	close(heir);
	window_close(&m.w);
	close(ends[1]);
	EXPECT_LT(0, wait(&status));
	EXPECT_EQ(0, status);
	close(ends[0]);
}

static CHILD_FN(check_zero)
{
	CHECK(all_bytes(page_of(m, 0), m->size, 0));
}

/* Where the parent has bytes, the child has a new region, and has not touched it. */
static CHILD_FN(replace_and_fork)
{
	struct memory mine = { its_window(m, heir), m->offset, m->size };
	__u64 offset;

	CHECK(!region_free(&mine.w, m->offset));
	CHECK(!region_alloc(&mine.w, m->size, &offset) && offset == m->offset);
	CHECK(!heir_status(&mine, check_zero));
}

TEST_F(heir, a_grandchild_has_nothing_of_what_its_parent_has_freed)
{
	EXPECT_EQ(0, heir_status(&self->m, replace_and_fork));
}

/* --------------------------------------------------------- many, and at the same time */

#define CHILDREN	8
#define VERSIONS	rounds(60)
#define EXTRA		64	/* pages */

/* The region has one byte throughout, the version. */
static CHILD_FN(check_version)
{
	unsigned char version = page_of(m, 0)[0];

	usleep(rand() % 3000);
	CHECK(all_bytes(page_of(m, 0), m->size, version));
	memset(page_of(m, 0), 0xff, m->size);
	CHECK(all_bytes(page_of(m, 0), m->size, 0xff));
}

static bool stop;

/* A region of its own is written, resized and discarded meanwhile. */
static void *disturb(void *arg)
{
	const struct window *w = arg;
	unsigned int i = 0;
	__u64 offset;

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		if (region_alloc(w, 2 * w->granule, &offset))
			return "ALLOC failed";
		memset(at(w, offset), ++i, 2 * w->granule);
		if (i % 3 == 0 && madvise(at(w, offset), w->granule, MADV_REMOVE) && errno != EBUSY)
			return "MADV_REMOVE failed";
		if (i % 2 && region_realloc(w, offset, w->granule))
			return "REALLOC failed";
		if (((unsigned char *)at(w, offset))[0] != (unsigned char)i &&
		    ((unsigned char *)at(w, offset))[0])
			return "other bytes";
		if (region_free(w, offset))
			return "FREE failed";
	}
	return NULL;
}

TEST_F(heir, each_of_many_children_has_the_bytes_of_its_time)
{
	pid_t pids[CHILDREN] = { };
	struct memory m = self->m;
	unsigned int i, version;
	pthread_t thread;
	void *failure;
	int heir;

	if (m.w.granule == PAGE)
		m.size = EXTRA * PAGE;
	ASSERT_EQ(0, region_alloc(&m.w, m.size, &m.offset));
	ASSERT_EQ(0, pthread_create(&thread, NULL, disturb, &self->m.w));
	for (version = 1; version <= VERSIONS; version++) {
		i = version % CHILDREN;
		if (pids[i])
			EXPECT_EQ(0, child_status(pids[i])) TH_LOG("version %u", version);
		memset(page_of(&m, 0), version % 200, m.size);
		pids[i] = spawn(&m, &heir, check_version);
		ASSERT_LT(0, pids[i]);
		close(heir);
		if (version % 5 == 0)
			EXPECT_TRUE(!madvise(page_of(&m, 1), m.w.granule, MADV_REMOVE) || errno == EBUSY);
	}
	for (i = 0; i < CHILDREN; i++)
		if (pids[i])
			EXPECT_EQ(0, child_status(pids[i]));
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	ASSERT_EQ(0, pthread_join(thread, &failure));
	EXPECT_EQ(NULL, failure) TH_LOG("%s", (char *)failure);
	EXPECT_EQ(0, region_free(&m.w, m.offset));
}

/* The grandchild has the bytes of both, whatever other threads of the child do meanwhile. */
struct work {
	const struct memory *m;
	void (*fn)(const struct memory *m);
	bool begin;
};

static void *do_work(void *arg)
{
	struct work *work = arg;

	while (!__atomic_load_n(&work->begin, __ATOMIC_ACQUIRE))
		;
	work->fn(work->m);
	return NULL;
}

static void read_pages(const struct memory *m)
{
	__u64 i;

	for (i = 0; i < m->size; i += PAGE)
		read_touch(page_of(m, 0) + i);
}

static void remove_last(const struct memory *m)
{
	usleep(1000);
	madvise(page_of(m, 0) + m->size - m->w.granule, m->w.granule, MADV_REMOVE);
}

/* The parent has written to the last page since the child was made. */
static CHILD_FN(check_or_zero)
{
	__u64 last = m->offset + m->size - m->w.granule, i;

	CHECK(is_touched(&m->w, m->offset, m->size - m->w.granule));
	wait_for_others();
	for (i = 0; i < m->w.granule; i += PAGE) {
		__u64 word = *(__u64 *)at(&m->w, last + i);

		CHECK(word == word_at(last + i) || !word);
	}
}

static void (*beside_fork)(const struct memory *m);

static CHILD_FN(fork_and_work)
{
	struct memory mine = { its_window(m, heir), m->offset, m->size };
	struct work work = { .m = m, .fn = beside_fork };
	pthread_t thread;
	int second;

	CHECK(!read_touch(page_of(m, 0)));
	if (beside_fork == remove_last)
		read_pages(m);
	CHECK(!pthread_create(&thread, NULL, do_work, &work));
	__atomic_store_n(&work.begin, true, __ATOMIC_RELEASE);
	CHECK(spawn(&mine, &second, check_or_zero) > 0);
	pthread_join(thread, NULL);
	_exit(0);
}

static int beside(struct memory *m, void (*fn)(const struct memory *m))
{
	int heir, status, first;
	pid_t pid;

	beside_fork = fn;
	if (pipe(ends))
		return -errno;
	pid = spawn(m, &heir, fork_and_work);
	memset(page_of(m, 0) + m->size - m->w.granule, 7, m->w.granule);
	first = child_status(pid);
	memset(page_of(m, 0) + m->size - m->w.granule, 8, m->w.granule);
	close(heir);
	close(ends[1]);
	if (wait(&status) < 0)
		status = -errno;
	close(ends[0]);
	return first ?: status;
}

TEST_F(heir, a_grandchild_has_the_bytes_of_both_whatever_threads_do)
{
	struct memory m = self->m;
	unsigned int i;

	ASSERT_EQ(0, prctl(PR_SET_CHILD_SUBREAPER, 1));
	m.size = 16 * MIB;
	ASSERT_EQ(0, region_touched(&m.w, m.size, &m.offset));
	for (i = 0; i < rounds(40); i++) {
		EXPECT_EQ(0, beside(&m, i % 2 ? read_pages : remove_last)) TH_LOG("round %u", i);
		restore(&m);
	}
	EXPECT_EQ(0, region_free(&m.w, m.offset));
}

/* An operator reclaims the heir by its id, which is known before FORK returns. */
struct reclaimer {
	struct nl nl;
	__u64 id;
	bool over;
	bool done;
};

static void *reclaim_next(void *arg)
{
	struct reclaimer *reclaimer = arg;
	struct told told;

	while (!__atomic_load_n(&reclaimer->over, __ATOMIC_RELAXED) && !reclaimer->done)
		reclaimer->done = !nl_do(&reclaimer->nl, EXPERTMEM_CMD_RECLAIM, reclaimer->id, &told);
	return NULL;
}

TEST_F(heir, an_heir_may_be_reclaimed_while_it_is_made)
{
	struct reclaimer reclaimer = { .id = expert_stat(self->m.w.fd).id };
	struct expertmem_info before = expert_info(self->m.w.fd);
	struct memory both = self->m;
	pthread_t thread;
	unsigned int i;
	int heir;

	ASSERT_EQ(0, nl_open(&reclaimer.nl));
	ASSERT_EQ(0, region_touched(&self->m.w, 16 * MIB, &both.offset));
	for (i = 0; i < rounds(60); i++) {
		reclaimer.id++;
		reclaimer.over = reclaimer.done = false;
		ASSERT_EQ(0, pthread_create(&thread, NULL, reclaim_next, &reclaimer));
		heir = expert_fork(self->m.w.fd);
		EXPECT_TRUE(heir >= 0 || heir == -ESHUTDOWN);
		__atomic_store_n(&reclaimer.over, true, __ATOMIC_RELAXED);
		ASSERT_EQ(0, pthread_join(thread, NULL));
		EXPECT_EQ(0, expert_fork_end(self->m.w.fd, heir));
		EXPECT_TRUE(is_touched(&self->m.w, both.offset, 16 * MIB));
	}
	EXPECT_EQ(0, region_free(&self->m.w, both.offset));
	EXPECT_TRUE(same_info(self->m.w.fd, &before));
}

/* ----------------------------------------------------------------- for want of memory */

#define GROUP		"/sys/fs/cgroup/loan"

/* It cannot have all, but what it has is right. */
static CHILD_FN(count_pages)
{
	__u64 i, word;
	bool lost = false;

	wait_for_others();
	for (i = 0; i < m->size; i += PAGE) {
		if (peek((__u64 *)at(&m->w, m->offset + i), &word))
			lost = true;
		else
			CHECK(word == word_at(m->offset + i));
	}
	CHECK(!lost || gets_reclaimed(heir));
}

static void fork_in_group(const struct window *kind, __u64 size, bool close_first)
{
	struct memory m;
	pid_t pid;
	int heir;

	CHECK(!memory_make(&m, kind, expert_open(), size) && !pipe(ends));
	pid = spawn(&m, &heir, count_pages);
	CHECK(pid > 0);
	if (close_first)
		window_close(&m.w);
	else	/* page by page */
		CHECK(!region_free(&m.w, m.offset));
	CHECK(!finish(pid, heir));
	_exit(0);
}

/* The copies do not fit into the group beside the pages, but in their place. */
TEST_F(heir, child_has_its_memory_in_place_of_the_parents)
{
	int status, way;
	pid_t pid;

	file_write("/sys/fs/cgroup/cgroup.subtree_control", "+memory");
	if (mkdir(GROUP, 0700) || file_write(GROUP "/memory.max", "160M"))
		SKIP_TEST("needs a memory controller of cgroup v2; be root");
	file_write(GROUP "/memory.swap.max", "0");
	for (way = 0; way < 2; way++) {
		fflush(NULL);
		pid = fork();
		if (!pid) {
			CHECK(!file_write(GROUP "/cgroup.procs", "0"));
			fork_in_group(&variant->kind, 128 * MIB, way);
		}
		status = child_status(pid);
		EXPECT_EQ(0, status);
	}
	EXPECT_EQ(0, rmdir(GROUP));
}

/* A reclaim meets children that are copying, and parents that do. */
static CHILD_FN(read_all)
{
	__u64 i;

	for (i = 0; i < m->size; i += PAGE)
		if (read_touch(page_of(m, 0) + i))
			_exit(0);	/* it has been reclaimed */
	CHECK(has_bytes(m));
}

static void *reclaim_soon(void *arg)
{
	struct expertmem_reclaim freed;

	usleep(rand() % 2000);
	expert_reclaim(*(int *)arg, &freed);
	return NULL;
}

TEST_F(heir, a_reclaim_may_come_at_any_time)
{
	struct expertmem_info before = expert_info(self->m.w.fd);
	time_t end = time(NULL) + 60;
	struct memory m;
	pthread_t thread;
	unsigned int i;
	pid_t pid;
	int heir;

	for (i = 0; i < rounds(60); i++) {
		ASSERT_EQ(0, memory_make(&m, &variant->kind, expert_open(), 4 * self->m.w.granule + HUGE));
		pid = spawn(&m, &heir, read_all);
		ASSERT_LT(0, pid);
		ASSERT_EQ(0, pthread_create(&thread, NULL, reclaim_soon, i % 2 ? &m.w.fd : &heir));
		ASSERT_EQ(0, pthread_join(thread, NULL));
		EXPECT_EQ(0, child_status(pid));
		close(heir);
		window_close(&m.w);
	}
	while (!same_info(self->m.w.fd, &before) && time(NULL) < end)
		usleep(10000);
	EXPECT_TRUE(same_info(self->m.w.fd, &before));
}

TEST_HARNESS_MAIN
