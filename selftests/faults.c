// SPDX-License-Identifier: GPL-2.0
/*
 * Injected faults: of every way into the module, the first, second, third ... allocation
 * and user copy fails in turn, until there are no more. After each, nothing must have
 * changed, and the same call must work.
 *
 * The kernel needs FAULT_INJECTION with FAILSLAB, FAIL_PAGE_ALLOC, FAULT_INJECTION_USERCOPY
 * and FAULT_INJECTION_DEBUG_FS. What counts is what the calling thread does, be it the
 * module's or the mm's on its behalf.
 */
#include <sys/syscall.h>

#include "copy_test.h"
#include "memory_test.h"
#include "netlink_test.h"

#define WINDOW		TIB
#define TIMEOUT		3600
#define MODULE		"/expertmem.ko"
#define MODPROBE	"/proc/sys/kernel/modprobe"
#define KMEMLEAK	"/sys/kernel/debug/kmemleak"
#define INJECT		"/sys/kernel/debug/fail"

/* more than any call has allocations */
#define ENDLESS		20000

/* ----------------------------------------------------------------- injecting */

static int fail_nth = -1;

/* From here on the @nth allocation or user copy of this thread fails. */
static void arm(unsigned int nth)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%u", nth);

	if (pwrite(fail_nth, text, len, 0) != len)
		abort();
}

/* Did one fail? The read and the write here are user copies, too. */
static bool disarm(void)
{
	char text[16] = "";
	bool failed = pread(fail_nth, text, sizeof(text) - 1, 0) > 0 && !atoi(text);

	while (pwrite(fail_nth, "0", 1, 0) != 1)
		;
	return failed;
}

/* Which allocations may fail: all. By itself, this makes none fail. */
static const char *const knobs[][2] = {
	{ INJECT "slab/ignore-gfp-wait", "N" },
	{ INJECT "slab/verbose", "0" },
	{ INJECT "_page_alloc/ignore-gfp-wait", "N" },
	{ INJECT "_page_alloc/ignore-gfp-highmem", "N" },
	{ INJECT "_page_alloc/min-order", "0" },
	{ INJECT "_page_alloc/verbose", "0" },
	{ INJECT "_usercopy/verbose", "0" },
};

/* @missing: what the kernel does not have */
static int injection_set_up(const char **missing)
{
	size_t i;

	for (i = 0; i < COUNT_OF(knobs); i++) {
		*missing = knobs[i][0];
		if (file_write(knobs[i][0], knobs[i][1]))
			return -errno;
	}
	*missing = "/proc/thread-self/fail-nth";
	fail_nth = open(*missing, O_RDWR | O_CLOEXEC);
	return fail_nth < 0 ? -errno : 0;
}

/* The harness runs each test in a process of its own: this comes before all of them. */
static void __attribute__((constructor)) forget_older_leaks(void)
{
	file_write(KMEMLEAK, "scan");
	file_write(KMEMLEAK, "clear");
}

/* ----------------------------------------------------------------- the world */

/**
 * struct world - what calls work on, and what must not change when they fail
 * @nl: for requests
 * @ear: hears events, where the variant listens
 * @small: a window of the expert that is there all the time
 * @huge: the other one of that expert
 * @kept: a region in each, filled
 * @made: the expert of one attempt, with its windows where it has any
 * @made_huge: the other one of @made
 * @offset: a region of one attempt
 * @pid: the process of one attempt
 * @armed: that number; 0: not at all
 * @failed: whether something was made to fail in this attempt
 * @unsure: the answer was lost, and with it whether the deed is done
 * @told: how many messages a dump had
 */
struct world {
	struct nl nl;
	struct nl ear;
	struct window small;
	struct window huge;
	__u64 kept[2];
	struct window made;
	struct window made_huge;
	__u64 offset;
	pid_t pid;
	unsigned int armed;
	bool failed;
	bool unsure;
	unsigned int told;
};

/* The numbers that a failed call leaves as they were. */
struct numbers {
	struct expertmem_stat kept;
	struct expertmem_stat made;
	__u64 experts;
	__u64 regions;
	__u64 committed;
	__u64 resident;
};

static struct numbers numbers(struct world *w)
{
	struct told t = nl_stats(&w->nl);
	struct numbers n = {
		.kept = expert_stat(w->small.fd),
		.experts = t.value[S(EXPERTS)],
		.regions = t.value[S(REGIONS)],
		.committed = t.value[S(COMMITTED)],
		.resident = t.value[S(RESIDENT)],
	};

	n.kept.refused = 0;
	if (w->made.fd >= 0)
		n.made = expert_stat(w->made.fd);
	n.made.refused = 0;
	return n;
}

static bool is_unchanged(struct world *w, const struct numbers *before)
{
	struct numbers now = numbers(w);

	return !memcmp(&now, before, sizeof(now));
}

static bool is_kept(const struct world *w)
{
	return is_filled(&w->small, w->kept[0], 4 * PAGE) &&
	       is_touched(&w->huge, w->kept[1], HUGE);
}

static void begin(struct world *w)
{
	if (w->armed)
		arm(w->armed);
}

static void end(struct world *w)
{
	if (w->armed)
		w->failed = disarm();
	w->armed = 0;
}

/* In an attempt's call, all between these two; the answer is an errno or 0. */
#define INJECTED(w, expression)						\
	({								\
		int __err;						\
									\
		begin(w);						\
		__err = (expression);					\
		end(w);							\
		__err;							\
	})

/* ------------------------------------------- open, configure, and what has no region */

static int make_expert(struct world *w)
{
	w->made.fd = expert_open();
	return w->made.fd < 0 ? w->made.fd : 0;
}

static int drop_expert(struct world *w)
{
	int fd = w->made.fd;

	w->made.fd = -1;
	return result(close(fd));
}

static int call_open(struct world *w)
{
	return INJECTED(w, make_expert(w));
}

static int call_close(struct world *w)
{
	return INJECTED(w, drop_expert(w));
}

static int call_get_info(struct world *w)
{
	struct expertmem_info info;

	return INJECTED(w, expert_ioctl(w->small.fd, EXPERTMEM_IOC_GET_INFO, &info));
}

static int call_stat(struct world *w)
{
	struct expertmem_stat stat;

	return INJECTED(w, expert_ioctl(w->small.fd, EXPERTMEM_IOC_STAT, &stat));
}

static int call_configure(struct world *w)
{
	return INJECTED(w, expert_configure(w->made.fd, "configured", 64 * MIB, 0));
}

static int call_terminate(struct world *w)
{
	return INJECTED(w, expert_terminate(w->made.fd));
}

/* ---------------------------------------------------------- windows, mapped and not */

static int make_windows(struct world *w)
{
	int err = make_expert(w);

	if (!err)
		err = window_map(&w->made, &small_window, w->made.fd, WINDOW);
	if (!err)
		err = window_map(&w->made_huge, &huge_window, w->made.fd, WINDOW);
	return err;
}

/* with a region in each, touched */
static int make_regions(struct world *w)
{
	__u64 offset;
	int err = make_windows(w);

	if (!err)
		err = region_touched(&w->made_huge, HUGE, &offset);
	return err ? err : region_touched(&w->made, 4 * PAGE, &w->offset);
}

static int unmap(struct window *window)
{
	return result(munmap(window->addr, window->size));
}

static int drop_windows(struct world *w)
{
	return unmap(&w->made) ?: unmap(&w->made_huge) ?: drop_expert(w);
}

static int call_mmap_small(struct world *w)
{
	return INJECTED(w, window_map(&w->made, &small_window, w->made.fd, WINDOW));
}

static int call_mmap_huge(struct world *w)
{
	return INJECTED(w, window_map(&w->made, &huge_window, w->made.fd, WINDOW));
}

static int drop_window(struct world *w)
{
	return unmap(&w->made) ?: drop_expert(w);
}

static int call_mmap_status(struct world *w)
{
	const volatile struct expertmem_status *status;
	int err = INJECTED(w, result((status = status_map(w->made.fd)) == MAP_FAILED ? -1 : 0));

	return err ? err : result(munmap((void *)status, PAGE));
}

static int call_munmap(struct world *w)
{
	return INJECTED(w, unmap(&w->made));
}

static int drop_huge_window(struct world *w)
{
	return unmap(&w->made_huge) ?: drop_expert(w);
}

/* The whole of an exit, while this process holds the descriptor. */
static int call_exit(struct world *w)
{
	struct window window;
	siginfo_t info;
	char path[64], left[16];
	__u64 offset;
	pid_t pid = fork();

	if (!pid) {
		close(fail_nth);
		fail_nth = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
		if (window_map(&window, &small_window, w->made.fd, WINDOW) ||
		    region_touched(&window, 4 * PAGE, &offset))
			_exit(1);
		begin(w);
		_exit(0);
	}
	/* it has ended, but is there to be asked */
	if (pid < 0 || waitid(P_PID, pid, &info, WEXITED | WNOWAIT))
		return -errno;
	snprintf(path, sizeof(path), "/proc/%d/fail-nth", pid);
	if (file_read(path, left, sizeof(left)))
		return -EIO;
	w->failed = w->armed && !atoi(left);
	w->armed = 0;
	return child_status(pid) ? -ECHILD : 0;
}

static int drop_ended(struct world *w)
{
	struct expertmem_stat stat = expert_stat(w->made.fd);

	if (stat.state != EXPERTMEM_STATE_RECLAIMED || stat.resident || stat.regions)
		return -EBUSY;
	return drop_expert(w);
}

static int call_reclaim(struct world *w)
{
	struct expertmem_reclaim arg = { };

	return INJECTED(w, expert_ioctl(w->made.fd, EXPERTMEM_IOC_RECLAIM, &arg));
}

/* ----------------------------------------------------------------------- regions */

static int call_alloc_small(struct world *w)
{
	return INJECTED(w, region_alloc(&w->small, 4 * PAGE, &w->offset));
}

static int call_alloc_room(struct world *w)
{
	return INJECTED(w, region_alloc_flags(&w->small, 0, PAGE, GIB, &w->offset));
}

static int call_alloc_populated(struct world *w)
{
	return INJECTED(w, region_alloc_flags(&w->small, EXPERTMEM_ALLOC_POPULATE, 4 * PAGE, 0,
					      &w->offset));
}

static int call_alloc_huge(struct world *w)
{
	return INJECTED(w, region_alloc(&w->huge, HUGE, &w->offset));
}

static int call_alloc_huge_populated(struct world *w)
{
	return INJECTED(w, region_alloc_flags(&w->huge, EXPERTMEM_ALLOC_POPULATE, HUGE, 0,
					      &w->offset));
}

/* Is it there, zeroed and nothing else? Then it is free again. */
static int free_small(struct world *w)
{
	if (!all_bytes(at(&w->small, w->offset), PAGE, 0))
		return -EIO;
	return region_free(&w->small, w->offset);
}

static int free_huge(struct world *w)
{
	if (!all_bytes(at(&w->huge, w->offset), HUGE, 0))
		return -EIO;
	return region_free(&w->huge, w->offset);
}

static int make_region(struct world *w)
{
	return region_touched(&w->small, 4 * PAGE, &w->offset);
}

/* Freed: a touch faults, and freeing again says so. */
static int is_freed(struct world *w)
{
	if (read_touch(at(&w->small, w->offset)) != SIGSEGV)
		return -EIO;
	return region_free(&w->small, w->offset) == -ENOENT ? 0 : -EEXIST;
}

static int call_free(struct world *w)
{
	return INJECTED(w, region_free(&w->small, w->offset));
}

static int call_realloc_grow(struct world *w)
{
	return INJECTED(w, region_realloc(&w->small, w->offset, 64 * PAGE));
}

static int call_realloc_populated(struct world *w)
{
	return INJECTED(w, region_realloc_flags(&w->small, EXPERTMEM_ALLOC_POPULATE, w->offset,
						8 * PAGE));
}

static int call_realloc_shrink(struct world *w)
{
	return INJECTED(w, region_realloc(&w->small, w->offset, PAGE));
}

/* A region that can grow, for others are packed against their neighbour. */
static int make_growing(struct world *w)
{
	int err = region_alloc_flags(&w->small, 0, 512 * PAGE, 0, &w->offset);

	err = err ? err : region_realloc(&w->small, w->offset, 4 * PAGE);
	if (!err)
		fill(&w->small, w->offset, 4 * PAGE);
	return err;
}

static int free_grown(struct world *w)
{
	if (!is_filled(&w->small, w->offset, 4 * PAGE) ||
	    !all_bytes(at(&w->small, w->offset + 4 * PAGE), 4 * PAGE, 0))
		return -EIO;
	return region_free(&w->small, w->offset);
}

static int free_shrunk(struct world *w)
{
	if (!is_touched(&w->small, w->offset, PAGE) ||
	    read_touch(at(&w->small, w->offset + PAGE)) != SIGSEGV)
		return -EIO;
	return region_free(&w->small, w->offset);
}

static int call_copy(struct world *w)
{
	return INJECTED(w, expert_copy(w->made.fd, w->small.fd));
}

static int drop_copy(struct world *w)
{
	if (!is_filled(&w->made, w->kept[0], 4 * PAGE) ||
	    !is_touched(&w->made_huge, w->kept[1], HUGE))
		return -EIO;
	return drop_windows(w);
}

/* ------------------------------------------------------------------------ faults */

static int make_untouched(struct world *w)
{
	return region_alloc(&w->small, 4 * PAGE, &w->offset);
}

static int make_untouched_huge(struct world *w)
{
	return region_alloc(&w->huge, HUGE, &w->offset);
}

/* For want of memory, the mm has the touch again: nobody sees it. */
static int call_touch(struct world *w)
{
	volatile __u64 *word = (__u64 *)at(&w->small, w->offset);

	return INJECTED(w, poke(word, 0)) ? -EFAULT : 0;
}

static int call_touch_huge(struct world *w)
{
	volatile __u64 *word = (__u64 *)at(&w->huge, w->offset);

	return INJECTED(w, poke(word, 0)) ? -EFAULT : 0;
}

/* The same page from inside the kernel, whom it tells. */
static int call_populate(struct world *w)
{
	unsigned char *page = at(&w->small, w->offset);

	return INJECTED(w, result(madvise(page, PAGE, MADV_POPULATE_WRITE)));
}

static int call_read_into(struct world *w)
{
	static int zero = -1;
	ssize_t len = -1;
	int err;

	if (zero < 0)
		zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	err = INJECTED(w, result(len = read(zero, at(&w->small, w->offset), PAGE)));
	return err < 0 ? err : len == PAGE ? 0 : -EFAULT;
}

/* ----------------------------------------------------------------------- netlink */

/* The request only: what it does is done when send() returns. */
static int nl_call(struct world *w, struct request *req, struct told *t)
{
	socklen_t len = sizeof(int);
	int err, lost = 0;

	memset(t, 0, sizeof(*t));
	req->header.nlmsg_flags |= NLM_F_ACK;
	err = INJECTED(w, nl_send(&w->nl, req));
	if (err)
		return err;
	getsockopt(w->nl.fd, SOL_SOCKET, SO_ERROR, &lost, &len);
	w->unsure = lost;
	return lost ? -lost : nl_receive(&w->nl, keep_one, t);
}

static int nl_about(struct world *w, __u8 cmd, int fd, struct told *t)
{
	struct request req = request(&w->nl, cmd, 0);

	put_u64(&req, E(ID), expert_stat(fd).id);
	return nl_call(w, &req, t);
}

static int call_nl_get(struct world *w)
{
	struct told t;
	int err = nl_about(w, EXPERTMEM_CMD_EXPERT_GET, w->small.fd, &t);

	if (!err && t.value[E(COMMITTED)] != expert_stat(w->small.fd).committed)
		return -EIO;
	return err;
}

static int call_nl_stats(struct world *w)
{
	struct request req = request(&w->nl, EXPERTMEM_CMD_STATS_GET, 0);
	struct told t;
	int err = nl_call(w, &req, &t);

	return !err && !told(&t, S(LOST_EVENTS)) ? -EIO : err;
}

static int call_nl_set(struct world *w)
{
	struct request req = request(&w->nl, EXPERTMEM_CMD_EXPERT_SET, 0);
	struct told t;
	int err;

	put_u64(&req, E(ID), expert_stat(w->made.fd).id);
	put_u64(&req, E(LIMIT), 32 * MIB);
	err = nl_call(w, &req, &t);
	return !err && expert_stat(w->made.fd).limit != 32 * MIB ? -EIO : err;
}

static int call_nl_terminate(struct world *w)
{
	struct told t;

	return nl_about(w, EXPERTMEM_CMD_TERMINATE, w->made.fd, &t);
}

static int drop_terminating(struct world *w)
{
	if (expert_stat(w->made.fd).state != EXPERTMEM_STATE_TERMINATING)
		return -EIO;
	return drop_expert(w);
}

static int call_nl_reclaim(struct world *w)
{
	struct told t;

	return nl_about(w, EXPERTMEM_CMD_RECLAIM, w->made.fd, &t);
}

static int drop_reclaimed(struct world *w)
{
	struct expertmem_stat stat = expert_stat(w->made.fd);

	if (stat.state != EXPERTMEM_STATE_RECLAIMED || stat.resident || stat.regions ||
	    read_touch(at(&w->made, w->offset)) != SIGSEGV)
		return -EIO;
	return drop_windows(w);
}

static void count_told(const struct told *t, void *arg)
{
	++*(unsigned int *)arg;
}

/* Messages of a dump are made while it is received. One that broke off is not gone on with. */
static int nl_dumped(struct world *w, __u64 id, unsigned int expected)
{
	unsigned int told = 0;
	int err = INJECTED(w, nl_dump(&w->nl, id, count_told, &told));

	if (!err)
		return told == expected ? 0 : -EIO;
	close(w->nl.fd);
	return nl_open(&w->nl) ? -EIO : err;
}

static int call_nl_dump(struct world *w)
{
	return nl_dumped(w, 0, 1);
}

static int call_nl_regions(struct world *w)
{
	return nl_dumped(w, expert_stat(w->small.fd).id, 2);
}

static int call_nl_join(struct world *w)
{
	return INJECTED(w, nl_join(&w->nl));
}

static int leave(struct world *w)
{
	return result(setsockopt(w->nl.fd, SOL_NETLINK, NETLINK_DROP_MEMBERSHIP, &w->nl.group,
				 sizeof(w->nl.group)));
}

/* ------------------------------------------------------------------ every way in */

FIXTURE(entry)
{
	struct world world;
};

/**
 * struct entry - one way into the module
 * @make: what it needs, made anew for each attempt
 * @call: it
 * @drop: check what it did, and undo that
 * @errors: what it may fail with
 * @charges: where it is refused memory, that is counted
 * @changes: one that fails may have done its work, as the uAPI header says
 * @listens: somebody hears of it, or of having missed something
 */
FIXTURE_VARIANT(entry)
{
	int (*make)(struct world *w);
	int (*call)(struct world *w);
	int (*drop)(struct world *w);
	int errors[4];
	bool charges;
	bool changes;
	bool listens;
};

#define ENTRY(name, ...) FIXTURE_VARIANT_ADD(entry, name) { __VA_ARGS__ }
#define MEMORY	{ ENOMEM, EFAULT }

ENTRY(open, .call = call_open, .drop = drop_expert, .errors = MEMORY);
ENTRY(open_heard, .call = call_open, .drop = drop_expert, .errors = MEMORY, .listens = true);
ENTRY(close, .make = make_expert, .call = call_close);
ENTRY(close_heard, .make = make_expert, .call = call_close, .listens = true);
ENTRY(exit, .make = make_expert, .call = call_exit, .drop = drop_ended);
ENTRY(exit_heard, .make = make_expert, .call = call_exit, .drop = drop_ended, .listens = true);
ENTRY(get_info, .call = call_get_info, .errors = { EFAULT });
ENTRY(stat, .call = call_stat, .errors = { EFAULT });
ENTRY(configure, .make = make_expert, .call = call_configure, .drop = drop_expert,
      .errors = { EFAULT });
ENTRY(terminate, .make = make_expert, .call = call_terminate, .drop = drop_terminating);
ENTRY(terminate_heard, .make = make_expert, .call = call_terminate, .drop = drop_terminating,
      .listens = true);
ENTRY(reclaim, .make = make_regions, .call = call_reclaim, .drop = drop_reclaimed,
      .errors = { EFAULT }, .changes = true);
ENTRY(reclaim_heard, .make = make_regions, .call = call_reclaim, .drop = drop_reclaimed,
      .errors = { EFAULT }, .changes = true, .listens = true);
ENTRY(mmap_small, .make = make_expert, .call = call_mmap_small, .drop = drop_window,
      .errors = { ENOMEM });
ENTRY(mmap_huge, .make = make_expert, .call = call_mmap_huge, .drop = drop_window,
      .errors = { ENOMEM });
ENTRY(mmap_status, .make = make_expert, .call = call_mmap_status, .drop = drop_expert,
      .errors = { ENOMEM });
ENTRY(mmap_heard, .make = make_expert, .call = call_mmap_small, .drop = drop_window,
      .errors = { ENOMEM }, .listens = true);
ENTRY(munmap, .make = make_regions, .call = call_munmap, .drop = drop_huge_window,
      .errors = { ENOMEM });
ENTRY(alloc_small, .call = call_alloc_small, .drop = free_small, .errors = MEMORY,
      .charges = true);
ENTRY(alloc_room, .call = call_alloc_room, .drop = free_small, .errors = MEMORY,
      .charges = true);
ENTRY(alloc_populated, .call = call_alloc_populated, .drop = free_small, .errors = MEMORY,
      .charges = true);
ENTRY(alloc_huge, .call = call_alloc_huge, .drop = free_huge, .errors = MEMORY,
      .charges = true);
ENTRY(alloc_huge_populated, .call = call_alloc_huge_populated, .drop = free_huge,
      .errors = MEMORY, .charges = true);
ENTRY(realloc_grow, .make = make_growing, .call = call_realloc_grow, .drop = free_grown,
      .errors = MEMORY, .charges = true);
ENTRY(realloc_populated, .make = make_growing, .call = call_realloc_populated,
      .drop = free_grown, .errors = MEMORY, .charges = true);
ENTRY(realloc_shrink, .make = make_region, .call = call_realloc_shrink, .drop = free_shrunk,
      .errors = { EFAULT });
ENTRY(free, .make = make_region, .call = call_free, .drop = is_freed, .errors = { EFAULT });
ENTRY(copy, .make = make_windows, .call = call_copy, .drop = drop_copy, .errors = MEMORY,
      .charges = true);
ENTRY(touch, .make = make_untouched, .call = call_touch, .drop = free_small);
ENTRY(touch_huge, .make = make_untouched_huge, .call = call_touch_huge, .drop = free_huge);
ENTRY(touch_by_madvise, .make = make_untouched, .call = call_populate, .drop = free_small,
      .errors = { ENOMEM });
ENTRY(touch_by_read, .make = make_untouched, .call = call_read_into, .drop = free_small,
      .errors = { EFAULT }, .changes = true);
ENTRY(netlink_get, .call = call_nl_get, .errors = { ENOMEM, EFAULT, ENOBUFS });
ENTRY(netlink_dump, .call = call_nl_dump, .errors = { ENOMEM, EFAULT, ENOBUFS });
ENTRY(netlink_regions, .call = call_nl_regions, .errors = { ENOMEM, EFAULT, ENOBUFS });
ENTRY(netlink_stats, .call = call_nl_stats, .errors = { ENOMEM, EFAULT, ENOBUFS });
ENTRY(netlink_set, .make = make_expert, .call = call_nl_set, .drop = drop_expert,
      .errors = { ENOMEM, EFAULT, ENOBUFS });
ENTRY(netlink_terminate, .make = make_expert, .call = call_nl_terminate,
      .drop = drop_terminating, .errors = { ENOMEM, EFAULT, ENOBUFS });
ENTRY(netlink_reclaim, .make = make_regions, .call = call_nl_reclaim, .drop = drop_reclaimed,
      .errors = { ENOMEM, EFAULT, ENOBUFS });
ENTRY(netlink_join, .call = call_nl_join, .drop = leave, .errors = { ENOMEM, EFAULT });

FIXTURE_SETUP(entry)
{
	struct world *w = &self->world;
	const char *missing;

	NEED_DEVICE();
	if (injection_set_up(&missing))
		SKIP_TEST("%s: %s; the kernel must have fault injection", missing,
			  strerror(errno));
	faults_catch();
	w->made.fd = -1;
	ASSERT_EQ(0, nl_open(&w->nl));
	ASSERT_EQ(0, window_open(&w->small, &small_window, WINDOW, 0));
	ASSERT_EQ(0, window_map(&w->huge, &huge_window, w->small.fd, WINDOW));
	ASSERT_EQ(0, region_alloc(&w->small, 4 * PAGE, &w->kept[0]));
	fill(&w->small, w->kept[0], 4 * PAGE);
	ASSERT_EQ(0, region_touched(&w->huge, HUGE, &w->kept[1]));
	if (variant->listens) {
		ASSERT_EQ(0, nl_open(&w->ear));
		ASSERT_EQ(0, nl_join(&w->ear));
	}
}

FIXTURE_TEARDOWN(entry)
{
	/* the process ends: all of it goes */
}

static int nothing(struct world *w)
{
	return 0;
}

static bool is_one_of(int err, const int *errors, size_t n)
{
	while (n--)
		if (errors[n] && err == -errors[n])
			return true;
	return false;
}

static __u64 refused(struct world *w)
{
	return expert_stat(w->small.fd).refused +
	       (w->made.fd < 0 ? 0 : expert_stat(w->made.fd).refused);
}

/* Has somebody who listens got a message, or the news that one was lost? */
static bool is_heard(struct world *w)
{
	struct told t;
	int event = nl_event(&w->ear, &t);

	while (nl_event(&w->ear, &t) != -EAGAIN)
		;
	return event >= 0 || event == -ENOBUFS;
}

TEST_F_TIMEOUT(entry, fails_as_documented_changes_nothing_and_then_works, TIMEOUT)
{
	int (*make)(struct world *w) = variant->make ?: nothing;
	int (*drop)(struct world *w) = variant->drop ?: nothing;
	unsigned int nth, tries = 0, failures = 0, unsure = 0;
	struct world *w = &self->world;
	struct numbers start, before;
	__u64 were_refused;
	int err;

	/* what is made only once is made here */
	ASSERT_EQ(0, make(w));
	ASSERT_EQ(0, variant->call(w));
	ASSERT_EQ(0, drop(w));

	/* very many are those of a loop, of which not every round is tried */
	for (nth = 1; nth < ENDLESS; nth += 1 + nth / 16, tries++) {
		start = numbers(w);
		ASSERT_EQ(0, make(w));
		before = numbers(w);
		were_refused = refused(w);
		if (variant->listens)
			is_heard(w);
		w->armed = nth;
		w->failed = false;
		w->unsure = false;
		err = variant->call(w);
		unsure += w->unsure;
		if (err) {
			failures++;
			ASSERT_TRUE(w->failed);
			EXPECT_TRUE(is_one_of(err, variant->errors,
					      COUNT_OF(variant->errors)))
				TH_LOG("number %u made it fail with %s", nth, strerror(-err));
			EXPECT_TRUE(variant->changes || w->unsure || is_unchanged(w, &before))
				TH_LOG("number %u", nth);
			EXPECT_EQ(refused(w) - were_refused,
				  variant->charges && err == -ENOMEM);
			ASSERT_EQ(0, variant->call(w)) TH_LOG("after number %u", nth);
		}
		if (variant->listens)
			EXPECT_TRUE(is_heard(w)) TH_LOG("number %u", nth);
		ASSERT_EQ(0, drop(w)) TH_LOG("number %u", nth);
		EXPECT_TRUE(is_unchanged(w, &start)) TH_LOG("number %u", nth);
		ASSERT_TRUE(is_kept(w));
		if (!w->failed)
			break;
	}
	ASSERT_FALSE(w->failed);
	TH_LOG("%u injected, %u calls failed, %u answers lost", tries, failures, unsure);
	/* what has no error to fail with did not fail */
	EXPECT_EQ(!failures, !variant->errors[0]);
}

/* --------------------------------------------------------------------- the module */

FIXTURE(module)
{
	__u64 shmem;
	__u32 features;
	char modprobe[128];
	int file;
};

static int load(int file)
{
	return result(syscall(SYS_finit_module, file, "max_experts=100", 0));
}

static int unload(void)
{
	return result(syscall(SYS_delete_module, "expertmem", O_NONBLOCK));
}

FIXTURE_SETUP(module)
{
	const char *missing;
	int fd;

	NEED_DEVICE();
	if (injection_set_up(&missing))
		SKIP_TEST("%s: %s; the kernel must have fault injection", missing,
			  strerror(errno));
	self->file = open(MODULE, O_RDONLY | O_CLOEXEC);
	if (self->file < 0)
		SKIP_TEST(MODULE ": %s", strerror(errno));
	/* to ask for its netlink family would load it */
	ASSERT_EQ(0, file_read(MODPROBE, self->modprobe, sizeof(self->modprobe)));
	ASSERT_EQ(0, file_write(MODPROBE, "\n"));
	fd = expert_open();
	self->features = expert_info(fd).features;
	close(fd);
	/* a first time, for what is made only once */
	ASSERT_EQ(0, unload());
	ASSERT_EQ(0, load(self->file));
	ASSERT_EQ(0, unload());
	self->shmem = memory_now().shmem;
}

FIXTURE_TEARDOWN(module)
{
	/* what else was lost is for kmemleak to say: such kernels free late */
	EXPECT_LE(memory_now().shmem, self->shmem + MEMORY_NOISE);
	EXPECT_EQ(0, load(self->file));
	EXPECT_EQ(0, file_write(MODPROBE, self->modprobe));
}

/* All that @features promises is there, or nothing is. */
static int is_loaded(__u32 features)
{
	struct window window;
	struct nl nl;
	__u64 offset;
	int err;

	err = nl_open(&nl);
	close(nl.fd);
	if (access(DEVICE, F_OK))
		return err == -ENOENT ? 0 : -EIO;
	if (err)
		return -EIO;
	if (window_open(&window, &huge_window, GIB, 0) ||
	    expert_info(window.fd).features != features ||
	    region_touched(&window, HUGE, &offset))
		return -EIO;
	window_close(&window);
	return 1;
}

/* With fewer rounds, not every number is tried. */
static unsigned int stride(void)
{
	return 1000 / rounds(1000);
}

TEST_F_TIMEOUT(module, loads_whole_or_fails_and_leaves_nothing, TIMEOUT)
{
	unsigned int nth, injected = 0, failures = 0;
	bool failed = true;
	int err;

	for (nth = 1; failed && nth < ENDLESS; nth += stride()) {
		arm(nth);
		err = load(self->file);
		failed = disarm();
		injected += failed;
		failures += !!err;
		EXPECT_EQ(err ? 0 : 1, is_loaded(self->features)) TH_LOG("number %u", nth);
		EXPECT_TRUE(!err || err == -ENOMEM || err == -EFAULT)
			TH_LOG("number %u made it fail with %s", nth, strerror(-err));
		if (!err)
			ASSERT_EQ(0, unload());
	}
	ASSERT_FALSE(failed);
	ASSERT_EQ(0, err);
	TH_LOG("%u injected, %u calls failed", injected, failures);
	EXPECT_GT(failures, 0);
}

TEST_F_TIMEOUT(module, unloads_whatever_fails, TIMEOUT)
{
	unsigned int nth, failures = 0;
	bool failed = true;
	int err;

	for (nth = 1; failed && nth < ENDLESS; nth++) {
		ASSERT_EQ(0, load(self->file));
		arm(nth);
		err = unload();
		failed = disarm();
		if (err) {
			failures++;
			EXPECT_EQ(-EFAULT, err);	/* its name */
			EXPECT_EQ(1, is_loaded(self->features));
			ASSERT_EQ(0, unload());
		}
		EXPECT_EQ(0, is_loaded(self->features));
	}
	ASSERT_FALSE(failed);
	TH_LOG("%u injected, %u calls failed", nth - 2, failures);
}

/* ----------------------------------------------------------------- after all that */

FIXTURE(after)
{
};

FIXTURE_SETUP(after)
{
}

FIXTURE_TEARDOWN(after)
{
}

TEST_F_TIMEOUT(after, kmemleak_finds_nothing, TIMEOUT)
{
	char line[256];
	int lines = 0;
	FILE *file;

	if (file_write(KMEMLEAK, "scan"))
		SKIP_TEST(KMEMLEAK ": %s", strerror(errno));
	sleep(6);	/* it leaves what is younger than five seconds alone */
	ASSERT_EQ(0, file_write(KMEMLEAK, "scan"));
	file = fopen(KMEMLEAK, "re");
	ASSERT_NE(NULL, file);
	while (fgets(line, sizeof(line), file) && lines++ < 100)
		printf("# %s", line);
	fclose(file);
	EXPECT_EQ(0, lines);
}

TEST_HARNESS_MAIN
