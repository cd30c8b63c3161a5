/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Every way into the module: what it needs is made before (make_), the call itself (call_),
 * and what it did is checked and undone (drop_, free_).
 */
#ifndef FAULTS_CALLS_H
#define FAULTS_CALLS_H

#include "faults.h"

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

/* -------------------------------------------------------------------------- forks */

static int do_fork(struct world *w, __u32 flags)
{
	struct expertmem_fork arg = { .flags = flags }, over = { .flags = EXPERTMEM_FORK_END };
	int err = INJECTED(w, expert_ioctl(w->small.fd, EXPERTMEM_IOC_FORK, &arg));

	if (err)
		return err;
	w->made.fd = arg.fd;
	return expert_ioctl(w->small.fd, EXPERTMEM_IOC_FORK, &over);
}

static int call_fork(struct world *w)
{
	return do_fork(w, 0);
}

static int call_fork_populate(struct world *w)
{
	return do_fork(w, EXPERTMEM_FORK_POPULATE);
}

/* An heir that has copied nothing yet, in this process. */
static int make_heir(struct world *w)
{
	int err = make_region(w) ?: do_fork(w, 0);

	return err ?: window_map(&w->made, &small_window, w->made.fd, WINDOW);
}

static int drop_heir(struct world *w)
{
	int err = is_touched(&w->made, w->offset, 4 * PAGE) &&
		  is_filled(&w->made, w->kept[0], 4 * PAGE) ? 0 : -EIO;

	return err ?: unmap(&w->made) ?: drop_expert(w) ?: region_free(&w->small, w->offset);
}

static int call_touch_borrower(struct world *w)
{
	volatile __u64 *word = (__u64 *)at(&w->made, w->offset);

	return INJECTED(w, poke(word, *word)) ? -EFAULT : 0;
}

static int call_remove_from_borrower(struct world *w)
{
	__u64 byte = w->offset + 3 * PAGE;
	int err = INJECTED(w, result(madvise(at(&w->made, byte), PAGE, MADV_REMOVE)));

	if (!err && !all_bytes(at(&w->made, byte), PAGE, 0))
		return -EIO;
	if (!err)	/* as drop_heir() looks for it */
		*(__u64 *)at(&w->made, byte) = word_at(byte);
	return err;
}

/* What the call could not copy for the borrower is lost to it. */
static int drop_freed_and_heir(struct world *w)
{
	__u64 word;

	if (!peek((__u64 *)at(&w->made, w->offset), &word) && word != word_at(w->offset))
		return -EIO;
	return unmap(&w->made) ?: drop_expert(w) ?: is_freed(w);
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

#endif /* FAULTS_CALLS_H */
