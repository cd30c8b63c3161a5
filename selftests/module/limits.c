// SPDX-License-Identifier: GPL-2.0
/*
 * Experts and other parts of the kernel: windows are charged to memory control groups, their
 * pages are swapped, a module in use is not unloaded, and tracepoints report the calls.
 *
 * needs: module root
 * also: 32bit
 */
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "harness.h"

#include "memory_test.h"
#include "module_test.h"

#define CGROUP		"/sys/fs/cgroup/"
#define GROUP		CGROUP "expertmem-test/"
#define TRACING		"/sys/kernel/tracing/instances/"
#define INSTANCE	TRACING "expertmem-test/"

/* What the counters of a group may lag behind. */
#define SLACK		(2 * MIB)

/* A memory control group, that the test may join. */
FIXTURE(group) {
	__u64 shmem;		/* what is in it already */
};

FIXTURE_VARIANT(group) {
	struct window kind;
};

FIXTURE_VARIANT_ADD(group, small) {
	.kind = SMALL_WINDOW,
};

FIXTURE_VARIANT_ADD(group, huge) {
	.kind = HUGE_WINDOW,
};

static __u64 group_shmem(void)
{
	return value_in(GROUP "memory.stat", "shmem");
}

static void remove_group(struct __test_metadata *_metadata)
{
	EXPECT_EQ(0, file_write(CGROUP "cgroup.procs", "0"));
	EXPECT_EQ(0, rmdir(GROUP));
}

FIXTURE_SETUP(group)
{
	NEED_DEVICE();
	NEED_GROUP(GROUP);
	self->shmem = group_shmem();
}

FIXTURE_TEARDOWN(group)
{
	remove_group(_metadata);
}

static int join_group(void)
{
	return file_write(GROUP "cgroup.procs", "0");
}

static int limit_group(const char *max)
{
	int err = file_write(GROUP "memory.max", max);

	/* there is no such file where the kernel has no swap */
	file_write(GROUP "memory.swap.max", "0");
	return err;
}

/* ------------------------------------------------------- memory control groups */

/* In a child: a bit for whatever is not as it should be. */
static int populate_too_much(const struct window *kind)
{
	struct window w;
	__u64 offset, other;
	int err = 0;

	if (join_group() || window_open(&w, kind, TIB, 0))
		return 1;
	if (region_alloc_flags(&w, EXPERTMEM_ALLOC_POPULATE, 256 * MIB, 0, &offset) != -ENOMEM ||
	    offset != POISON64)
		err |= 2;
	if (expert_stat(w.fd).committed || expert_stat(w.fd).regions ||
	    expert_stat(w.fd).resident)
		err |= 4;
	if (expert_stat(w.fd).refused != 1)
		err |= 8;

	/* what fits is not refused, and is not lost when more does not fit */
	if (region_alloc_flags(&w, EXPERTMEM_ALLOC_POPULATE, 16 * MIB, GIB, &other))
		err |= 16;
	memset(at(&w, other), 1, 16 * MIB);
	if (region_realloc_flags(&w, EXPERTMEM_ALLOC_POPULATE, other, 256 * MIB) != -ENOMEM)
		err |= 32;
	if (expert_stat(w.fd).committed != 16 * MIB || expert_stat(w.fd).resident != 16 * MIB ||
	    !all_bytes(at(&w, other), 16 * MIB, 1))
		err |= 64;
	return err;
}

TEST_F(group, populating_more_than_the_group_may_have_fails_and_kills_nobody)
{
	pid_t pid;

	NEED_LONG_WINDOW();
	ASSERT_EQ(0, limit_group("64M"));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(populate_too_much(&variant->kind));
	EXPECT_EQ(0, child_status(pid));
	EXPECT_EQ(0, value_in(GROUP "memory.events", "oom_kill"));
}

TEST_F(group, touching_more_than_the_group_may_have_kills_the_toucher)
{
	struct expertmem_stat stat;
	int fd = expert_open();
	struct window w;
	__u64 offset;
	pid_t pid;
	int status;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, limit_group("64M"));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		if (join_group() || window_map(&w, &variant->kind, fd, TIB) ||
		    region_alloc(&w, 256 * MIB, &offset))
			_exit(1);
		memset(at(&w, offset), 1, 256 * MIB);
		_exit(2);
	}
	status = child_status(pid);
	EXPECT_TRUE(status == 128 + SIGKILL || status == 128 + SIGBUS)
		TH_LOG("status %d", status);
	stat = expert_stat(fd);
	EXPECT_EQ(EXPERTMEM_STATE_RECLAIMED, stat.state);
	EXPECT_EQ(EXPERTMEM_CAUSE_DETACH, stat.cause);
	EXPECT_EQ(256 * MIB, stat.reclaimed_bytes);
	EXPECT_EQ(0, stat.resident);
	EXPECT_GE(self->shmem + SLACK, group_shmem());
	close(fd);
}

TEST_F(group, memory_is_charged_to_the_group_of_the_toucher)
{
	const __u64 size = 16 * MIB;
	struct window w;
	__u64 offset;

	ASSERT_EQ(0, window_open(&w, &variant->kind, TIB, 0));
	ASSERT_EQ(0, region_alloc(&w, 2 * size, &offset));
	memset(at(&w, offset), 1, size);
	EXPECT_GE(self->shmem + SLACK, group_shmem());
	ASSERT_EQ(0, join_group());
	memset(at(&w, offset + size), 1, size);
	EXPECT_LE(self->shmem + size, group_shmem() + SLACK);
	EXPECT_GE(self->shmem + size + SLACK, group_shmem());
	ASSERT_EQ(0, region_free(&w, offset));
	EXPECT_GE(self->shmem + SLACK, group_shmem());
	window_close(&w);
}

TEST_F(group, populated_memory_is_charged_to_the_group_of_the_caller)
{
	const __u64 size = 16 * MIB;
	struct window w;
	__u64 offset;

	ASSERT_EQ(0, window_open(&w, &variant->kind, TIB, 0));
	ASSERT_EQ(0, join_group());
	ASSERT_EQ(0, region_alloc_flags(&w, EXPERTMEM_ALLOC_POPULATE, size, 0, &offset));
	EXPECT_LE(self->shmem + size, group_shmem() + SLACK);
	window_close(&w);
	EXPECT_GE(self->shmem + SLACK, group_shmem());
}

/* ----------------------------------------------------------------------- swap */

#define SWAPPED		(16 * MIB)

/* A swap space in memory, and a control group from which to swap out. */
FIXTURE(swap) {
	__u64 free;		/* swap space, when nothing is swapped out */
};

FIXTURE_VARIANT(swap) {
	struct window kind;
};

FIXTURE_VARIANT_ADD(swap, small) {
	.kind = SMALL_WINDOW,
};

FIXTURE_VARIANT_ADD(swap, huge) {
	.kind = HUGE_WINDOW,
};

FIXTURE_SETUP(swap)
{
	NEED_DEVICE();
	if (!access(RAMDISK, F_OK))
		SKIP_TEST(RAMDISK " is somebody's");
	if (system("modprobe brd rd_nr=1 rd_size=131072 2>/dev/null"))
		SKIP_TEST("no module brd for a disk in memory");
	ASSERT_EQ(0, swap_on(RAMDISK));
	NEED_GROUP(GROUP);
	ASSERT_EQ(0, join_group());
	self->free = meminfo("SwapFree");
}

FIXTURE_TEARDOWN(swap)
{
	remove_group(_metadata);
	EXPECT_EQ(0, swapoff(RAMDISK));
	EXPECT_EQ(0, syscall(SYS_delete_module, "brd", O_NONBLOCK));
}

/* Have what the group has in memory swapped out, or as much as can be. */
static void swap_out(void)
{
	int tries;

	for (tries = 0; tries < 10; tries++)
		file_write(GROUP "memory.reclaim", "64M");
}

/* Every page begins with its address in the device. */
static void write_pages(const struct window *w, __u64 offset)
{
	__u64 end = offset + SWAPPED;

	for (; offset < end; offset += PAGE)
		*(__u64 *)at(w, offset) = offset;
}

static bool pages_are_right(const struct window *w, __u64 offset)
{
	__u64 end = offset + SWAPPED;

	for (; offset < end; offset += PAGE)
		if (*(__u64 *)at(w, offset) != offset)
			return false;
	return true;
}

TEST_F(swap, pages_go_to_swap_and_come_back)
{
	struct window w;
	__u64 offset;

	ASSERT_EQ(0, window_open(&w, &variant->kind, TIB, 0));
	ASSERT_EQ(0, region_alloc(&w, SWAPPED, &offset));
	write_pages(&w, offset);
	swap_out();
	EXPECT_GE(SWAPPED / 2, expert_stat(w.fd).resident);
	EXPECT_EQ(SWAPPED, expert_stat(w.fd).committed);
	EXPECT_GE(self->free - SWAPPED / 2, meminfo("SwapFree"));
	EXPECT_TRUE(pages_are_right(&w, offset));
	EXPECT_EQ(SWAPPED, expert_stat(w.fd).resident);
	EXPECT_EQ(SIGSEGV, read_touch(at(&w, offset + SWAPPED)));
	window_close(&w);
}

TEST_F(swap, free_gives_swap_back)
{
	struct window w;
	__u64 offset;

	ASSERT_EQ(0, window_open(&w, &variant->kind, TIB, 0));
	ASSERT_EQ(0, region_alloc(&w, SWAPPED, &offset));
	write_pages(&w, offset);
	swap_out();
	EXPECT_GE(self->free - SWAPPED / 2, meminfo("SwapFree"));
	ASSERT_EQ(0, region_free(&w, offset));
	EXPECT_LE(self->free, meminfo("SwapFree") + SLACK);
	EXPECT_EQ(0, expert_stat(w.fd).resident);
	window_close(&w);
}

TEST_F(swap, shrinking_gives_swap_back_and_what_grows_again_is_zero)
{
	const __u64 granule = variant->kind.granule;
	struct window w;
	__u64 offset;

	ASSERT_EQ(0, window_open(&w, &variant->kind, TIB, 0));
	ASSERT_EQ(0, region_alloc(&w, SWAPPED, &offset));
	write_pages(&w, offset);
	swap_out();
	EXPECT_GE(self->free - SWAPPED / 2, meminfo("SwapFree"));
	ASSERT_EQ(0, region_realloc(&w, offset, granule));
	EXPECT_LE(self->free, meminfo("SwapFree") + granule + SLACK);
	ASSERT_EQ(0, region_realloc(&w, offset, SWAPPED));
	EXPECT_TRUE(all_bytes(at(&w, offset + granule), SWAPPED - granule, 0));
	EXPECT_EQ(offset, *(__u64 *)at(&w, offset));
	window_close(&w);
}

TEST_F(swap, reclaim_gives_swap_back)
{
	struct expertmem_reclaim arg;
	struct window w;
	__u64 offset;

	ASSERT_EQ(0, window_open(&w, &variant->kind, TIB, 0));
	ASSERT_EQ(0, region_alloc(&w, SWAPPED, &offset));
	write_pages(&w, offset);
	swap_out();
	EXPECT_GE(self->free - SWAPPED / 2, meminfo("SwapFree"));
	ASSERT_EQ(0, expert_reclaim(w.fd, &arg));
	EXPECT_EQ(SWAPPED, arg.reclaimed_bytes);
	EXPECT_GE(SWAPPED / 2, arg.reclaimed_resident);
	EXPECT_LE(self->free, meminfo("SwapFree") + SLACK);
	window_close(&w);
}

TEST_F(swap, unswappable_expert_stays_in_memory)
{
	struct window normal, unswappable = { .fd = expert_open() };
	__u64 offset, other;

	ASSERT_LE(0, unswappable.fd);
	ASSERT_EQ(0, expert_configure(unswappable.fd, "", 0, EXPERTMEM_CONFIG_UNSWAPPABLE));
	ASSERT_EQ(0, window_map(&unswappable, &variant->kind, unswappable.fd, TIB));
	ASSERT_EQ(0, region_alloc(&unswappable, SWAPPED, &offset));
	ASSERT_EQ(0, window_open(&normal, &variant->kind, TIB, 0));
	ASSERT_EQ(0, region_alloc(&normal, SWAPPED, &other));
	write_pages(&unswappable, offset);
	write_pages(&normal, other);
	swap_out();
	EXPECT_EQ(SWAPPED, expert_stat(unswappable.fd).resident);
	EXPECT_GE(SWAPPED / 2, expert_stat(normal.fd).resident);
	EXPECT_EQ(0, madvise(at(&unswappable, offset), SWAPPED, MADV_PAGEOUT));
	EXPECT_EQ(SWAPPED, expert_stat(unswappable.fd).resident);
	EXPECT_TRUE(pages_are_right(&unswappable, offset));
	window_close(&unswappable);
	window_close(&normal);
}

/* ------------------------------------------------------------------ unloading */

FIXTURE(module) {
	struct module loaded;
};

FIXTURE_SETUP(module)
{
	NEED_DEVICE();
	module_look(_metadata, &self->loaded);
}

FIXTURE_TEARDOWN(module)
{
	EXPECT_EQ(0, module_load(&self->loaded));
	close(self->loaded.file);
}

TEST_F(module, module_stays_while_an_expert_is_open)
{
	int fd = expert_open();

	ASSERT_LE(0, fd);
	EXPECT_EQ(-EWOULDBLOCK, module_unload());
	EXPECT_EQ(EXPERTMEM_STATE_IDLE, expert_stat(fd).state);
	close(fd);
	EXPECT_EQ(0, module_unload());
	EXPECT_EQ(-1, access(DEVICE, F_OK));
}

TEST_F(module, module_stays_while_a_window_is_mapped)
{
	struct window w;
	__u64 offset;

	ASSERT_EQ(0, window_open(&w, &small_window, MIB, 0));
	ASSERT_EQ(0, region_alloc(&w, 1, &offset));
	close(w.fd);
	EXPECT_EQ(-EWOULDBLOCK, module_unload());
	EXPECT_EQ(0, write_touch(at(&w, offset)));
	munmap(w.addr, w.size);
	EXPECT_EQ(0, module_unload());
}

TEST_F(module, module_stays_while_a_status_page_is_mapped)
{
	int fd = expert_open();
	const volatile struct expertmem_status *page;

	ASSERT_LE(0, fd);
	page = status_map(fd);
	ASSERT_NE(MAP_FAILED, page);
	close(fd);
	EXPECT_EQ(-EWOULDBLOCK, module_unload());
	EXPECT_EQ(0, read_touch((void *)page));
	munmap((void *)page, PAGE);
	EXPECT_EQ(0, module_unload());
}

TEST_F(module, module_stays_while_a_child_holds_an_inherited_window)
{
	struct window w;
	pid_t pid;

	ASSERT_EQ(0, window_open(&w, &small_window, MIB, 0));
	NEED_INHERITANCE(&w);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		close(w.fd);
		pause();
		_exit(1);
	}
	window_close(&w);
	EXPECT_EQ(-EWOULDBLOCK, module_unload());
	EXPECT_EQ(0, kill(pid, SIGKILL));
	EXPECT_EQ(128 + SIGKILL, child_status(pid));
	EXPECT_EQ(0, module_unload());
}

TEST_F(module, module_need_not_stay_for_a_page_in_a_pipe)
{
	unsigned char page[PAGE];
	struct iovec iov;
	struct window w;
	__u64 offset;
	int ends[2];

	ASSERT_EQ(0, pipe(ends));
	ASSERT_EQ(0, window_open(&w, &small_window, MIB, 0));
	ASSERT_EQ(0, region_alloc(&w, 1, &offset));
	memset(at(&w, offset), 1, PAGE);
	iov.iov_base = at(&w, offset);
	iov.iov_len = PAGE;
	ASSERT_EQ(PAGE, vmsplice(ends[1], &iov, 1, 0));
	window_close(&w);
	EXPECT_EQ(0, module_unload());
	ASSERT_EQ(PAGE, read(ends[0], page, PAGE));
	EXPECT_TRUE(all_bytes(page, PAGE, 1));
}

TEST_F(module, module_can_be_loaded_again_and_again)
{
	struct window w;
	__u64 offset;
	int i;

	for (i = 0; i < 5; i++) {
		ASSERT_EQ(0, module_unload());
		ASSERT_EQ(0, module_load(&self->loaded));
		ASSERT_EQ(0, window_open(&w, i % 2 ? &small_window : &huge_window, GIB, 0));
		EXPECT_EQ(1, expert_stat(w.fd).id);
		EXPECT_EQ(1, expert_info(w.fd).experts);
		ASSERT_EQ(0, region_alloc(&w, HUGE, &offset));
		memset(at(&w, offset), 1, HUGE);
		window_close(&w);
	}
}

TEST_F(module, module_is_not_loaded_with_junk)
{
	static const char *const junk[] = {
		"total_limit=junk", "default_limit=64MB", "default_limit=", "max_experts=-1",
	};
	size_t i;

	ASSERT_EQ(0, module_unload());
	for (i = 0; i < COUNT_OF(junk); i++) {
		EXPECT_EQ(-EINVAL, result(syscall(SYS_finit_module, self->loaded.file, junk[i], 0)))
			TH_LOG("%s", junk[i]);
	}
	EXPECT_EQ(-1, access(DEVICE, F_OK));
}

TEST_F(module, limits_can_be_given_at_load)
{
	struct expertmem_info info;
	int fd;

	ASSERT_EQ(0, module_unload());
	ASSERT_EQ(0, syscall(SYS_finit_module, self->loaded.file,
			     "default_limit=64M total_limit=1G max_experts=1", 0));
	fd = expert_open();
	ASSERT_LE(0, fd);
	info = expert_info(fd);
	EXPECT_EQ(64 * MIB, info.default_limit);
	EXPECT_EQ(GIB, info.total_limit);
	EXPECT_EQ(1, info.max_experts);
	EXPECT_EQ(64 * MIB, expert_stat(fd).limit);
	EXPECT_EQ(-ENFILE, expert_open());
	close(fd);
	EXPECT_EQ(0, module_unload());
}

/* -------------------------------------------------------------------- tracing */

/* An instance of the tracer, which sees this module's events only. */
FIXTURE(trace) {
	FILE *lines;
};

FIXTURE_SETUP(trace)
{
	NEED_DEVICE();
	if (mkdir(INSTANCE, 0755) && errno != EEXIST)
		SKIP_TEST(INSTANCE ": %s; mount tracefs, be root", strerror(errno));
	ASSERT_EQ(0, file_write(INSTANCE "events/expertmem/enable", "1"));
}

FIXTURE_TEARDOWN(trace)
{
	EXPECT_EQ(0, file_write(INSTANCE "events/expertmem/enable", "0"));
	if (self->lines)
		fclose(self->lines);
	EXPECT_EQ(0, rmdir(INSTANCE));
}

/* The next event: all of the line from its name on; NULL after the last one. */
static const char *next_event(FIXTURE_DATA(trace) *self, char *line, size_t size)
{
	if (!self->lines)
		self->lines = fopen(INSTANCE "trace", "re");
	while (self->lines && fgets(line, size, self->lines)) {
		if (*line == '#')
			continue;
		line[strcspn(line, "\n")] = '\0';
		return strstr(line, "expertmem_");
	}
	return NULL;
}

#define EXPECT_EVENT(fmt, ...)							\
	do {									\
		char want[256], line[512];					\
		const char *event = next_event(self, line, sizeof(line));	\
										\
		snprintf(want, sizeof(want), fmt, ##__VA_ARGS__);		\
		EXPECT_STREQ(want, event ?: "no more events");			\
	} while (0)

TEST_F(trace, every_transition_is_one_event)
{
	const __u64 limit = 4 * HUGE;
	int fd = expert_open();
	struct expertmem_reclaim arg;
	__u64 id, one, two, three, none;
	struct window small, huge;

	ASSERT_LE(0, fd);
	id = expert_stat(fd).id;
	ASSERT_EQ(0, expert_configure(fd, "a name", limit, 0));
	ASSERT_EQ(-EBUSY, expert_configure(fd, "b", 1, EXPERTMEM_CONFIG_UNSWAPPABLE));
	ASSERT_EQ(0, window_map(&small, &small_window, fd, GIB));
	ASSERT_EQ(0, window_map(&huge, &huge_window, fd, GIB));
	ASSERT_EQ(0, region_alloc(&small, 5000, &one));
	ASSERT_EQ(0, region_alloc_flags(&huge, EXPERTMEM_ALLOC_POPULATE, 1, 0, &two));
	ASSERT_EQ(-EDQUOT, region_alloc(&small, limit, &none));
	ASSERT_EQ(0, region_realloc(&huge, two, HUGE + 1));
	ASSERT_EQ(-ENOENT, region_realloc(&huge, two + HUGE, 1));
	ASSERT_EQ(0, region_free(&small, one));
	ASSERT_EQ(-ENOENT, region_free(&small, one));
	ASSERT_EQ(0, region_alloc(&small, 1, &three));
	ASSERT_EQ(0, expert_terminate(fd));
	ASSERT_EQ(0, expert_reclaim(fd, &arg));
	munmap(small.addr, small.size);
	window_close(&huge);

	EXPECT_EVENT("expertmem_open: id=%llu", id);
	EXPECT_EVENT("expertmem_configure: id=%llu name=\"a name\" limit=%llu flags=0x0 err=0",
		     id, limit);
	EXPECT_EVENT("expertmem_configure: id=%llu name=\"b\" limit=1 flags=0x1 err=%d",
		     id, -EBUSY);
	EXPECT_EVENT("expertmem_alloc: id=%llu offset=%#llx size=5000 flags=0x0 err=0", id, one);
	EXPECT_EVENT("expertmem_alloc: id=%llu offset=%#llx size=1 flags=0x3 err=0", id, two);
	EXPECT_EVENT("expertmem_alloc: id=%llu offset=0x0 size=%llu flags=0x0 err=%d",
		     id, limit, -EDQUOT);
	EXPECT_EVENT("expertmem_realloc: id=%llu offset=%#llx size=%lu flags=0x0 err=0",
		     id, two, HUGE + 1);
	EXPECT_EVENT("expertmem_realloc: id=%llu offset=%#llx size=1 flags=0x0 err=%d",
		     id, two + HUGE, -ENOENT);
	EXPECT_EVENT("expertmem_free: id=%llu offset=%#llx size=8192 flags=0x0 err=0", id, one);
	EXPECT_EVENT("expertmem_free: id=%llu offset=%#llx size=0 flags=0x0 err=%d",
		     id, one, -ENOENT);
	EXPECT_EVENT("expertmem_alloc: id=%llu offset=%#llx size=1 flags=0x0 err=0", id, three);
	EXPECT_EVENT("expertmem_terminate: id=%llu", id);
	EXPECT_EVENT("expertmem_reclaim: id=%llu cause=host reclaimed_bytes=%lu "
		     "reclaimed_resident=%lu reclaimed_regions=2",
		     id, 2 * HUGE + PAGE, HUGE);
	EXPECT_EVENT("expertmem_release: id=%llu peak=%lu", id, 2 * HUGE + 2 * PAGE);
	EXPECT_EVENT("no more events");
}

TEST_F(trace, unmapping_is_traced_as_detach)
{
	struct window w;
	__u64 id, offset;

	ASSERT_EQ(0, window_open(&w, &small_window, MIB, 0));
	id = expert_stat(w.fd).id;
	ASSERT_EQ(0, region_alloc(&w, 3 * PAGE, &offset));
	*at(&w, offset) = 1;
	window_close(&w);

	EXPECT_EVENT("expertmem_open: id=%llu", id);
	EXPECT_EVENT("expertmem_configure: id=%llu name=\"test\" limit=%llu flags=0x0 err=0",
		     id, 0ULL);
	EXPECT_EVENT("expertmem_alloc: id=%llu offset=%#llx size=12288 flags=0x0 err=0", id, offset);
	EXPECT_EVENT("expertmem_reclaim: id=%llu cause=detach reclaimed_bytes=12288 "
		     "reclaimed_resident=4096 reclaimed_regions=1",
		     id);
	EXPECT_EVENT("expertmem_release: id=%llu peak=12288", id);
	EXPECT_EVENT("no more events");
}

TEST_HARNESS_MAIN
