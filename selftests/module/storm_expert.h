/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The storm: processes whose threads use experts. A thread's regions are its own; all
 * else may be taken away from it at any time.
 */
#ifndef STORM_EXPERT_H
#define STORM_EXPERT_H

#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <linux/mempolicy.h>

#include "storm.h"

#define WINDOW		(4 * GIB)
#define CGROUP		"/sys/fs/cgroup/"
#define GROUP		CGROUP "expertmem-storm/"

#define SHARER_STACK	65536
#define NOBODY		65534

static unsigned int nr_threads = 2;
/* descriptors are passed to the host here */
static int host_socket[2];

/**
 * struct life - an expert, from open to close
 * @fd: it
 * @windows: small, huge
 * @gone: of a window: somebody here is about to unmap it
 * @status: its status page
 */
struct life {
	int fd;
	struct window windows[2];
	int gone[2];
	const volatile struct expertmem_status *status;
};

/**
 * struct worker - a thread of a life
 * @thread: it
 * @life: that
 * @seed: its random numbers'
 * @serial: of what it writes
 * @pipe: bytes go through the kernel here
 * @held: pages are held here, over whatever becomes of their regions
 * @sharer: a process that shares the mm, 0: none now
 * @stack: of @sharer
 * @slots: its regions
 */
struct worker {
	pthread_t thread;
	struct life *life;
	__u64 seed;
	__u32 serial;
	int pipe[2];
	int held[2];
	pid_t sharer;
	char *stack;
	struct slot slots[SLOTS];
};

static bool is_reclaimed(int fd)
{
	return expert_stat(fd).state == EXPERTMEM_STATE_RECLAIMED;
}

/* A call or a touch failed as it does without the window: is the window gone? */
static bool is_over(const struct worker *w, const struct window *window, const char *what)
{
	if (!__atomic_load_n(&w->life->gone[window == &w->life->windows[1]],
			     __ATOMIC_SEQ_CST) && !is_reclaimed(w->life->fd))
		wrong("%s in a window that nobody took away", what);
	return true;
}

/* --------------------------------------- what a worker does; true: its expert is over */

/* What a call for more memory may fail with, while it is there. */
static bool is_refused(const struct worker *w, const struct window *window, int err,
		       const char *what)
{
	count(OP_refused);
	switch (err) {
	case -EDQUOT:
	case -ENOMEM:
	case -ENOSPC:
		return false;
	case -ECANCELED:
		if (expert_stat(w->life->fd).state < EXPERTMEM_STATE_TERMINATING)
			wrong("%s was canceled, but nobody terminates", what);
		return once_in(8);
	case -ESHUTDOWN:
		return is_over(w, window, what);
	default:
		wrong("%s: %s", what, strerror(-err));
		return true;
	}
}

static unsigned int any_size(const struct window *window)
{
	if (window->granule == HUGE)
		return once_in(4) ? 1024 : 512;
	return once_in(8) ? 64 + any(64) : 1 + any(16);
}

static bool work_alloc(struct worker *w, struct slot *slot)
{
	const struct window *window = &w->life->windows[once_in(8)];
	unsigned int pages = any_size(window);
	__u32 flags = once_in(3) ? EXPERTMEM_ALLOC_POPULATE : 0;
	int err = region_alloc_flags(window, flags, pages * PAGE,
				     once_in(4) ? 2 * pages * PAGE : 0, &slot->offset);

	if (err)
		return is_refused(w, window, err, "ALLOC");
	count(OP_alloc);
	slot->window = window;
	slot->pages = pages;
	memset(slot->tags, 0, sizeof(slot->tags));
	return false;
}

static bool work_realloc(struct worker *w, struct slot *slot)
{
	unsigned int pages = any_size(slot->window), i;
	__u32 flags = once_in(3) ? EXPERTMEM_ALLOC_POPULATE : 0;
	int err = region_realloc_flags(slot->window, flags, slot->offset, pages * PAGE);

	if (err && err != -ESHUTDOWN && err != -ECANCELED && pages <= slot->pages)
		wrong("REALLOC to fewer pages: %s", strerror(-err));
	if (err)
		return is_refused(w, slot->window, err, "REALLOC");
	count(OP_realloc);
	for (i = pages; i < slot->pages; i++)
		slot->tags[i] = 0;
	slot->pages = pages;
	return false;
}

static bool work_free(struct worker *w, struct slot *slot)
{
	int err = region_free(slot->window, slot->offset);

	if (err == -ESHUTDOWN)
		return is_over(w, slot->window, "FREE");
	if (err)
		wrong("FREE: %s", strerror(-err));
	count(OP_free);
	slot->pages = 0;
	return err;
}

static bool is_touched(const struct worker *w, const struct slot *slot, int sig)
{
	if (sig && sig != SIGSEGV)
		wrong("a touch raised %s", strsignal(sig));
	return sig && is_over(w, slot->window, "SIGSEGV");
}

static bool work_write(struct worker *w, struct slot *slot)
{
	count(OP_write);
	return is_touched(w, slot, page_write(slot, any(slot->pages), ++w->serial));
}

static bool work_read(struct worker *w, struct slot *slot)
{
	count(OP_read);
	return is_touched(w, slot, page_read(slot, any(slot->pages), "read"));
}

static bool work_check(struct worker *w, struct slot *slot)
{
	count(OP_check);
	return is_touched(w, slot, slot_read(slot, "check"));
}

/* Some pages of a region: how many; sets the first. */
static unsigned int any_pages(const struct slot *slot, unsigned int *first)
{
	*first = any(slot->pages);
	return 1 + any(slot->pages - *first);
}

static bool work_remove(struct worker *w, struct slot *slot)
{
	unsigned int first, n = any_pages(slot, &first), i;

	/* EBUSY: somebody holds a page of it; EINVAL: somebody has unmapped it */
	if (madvise(page_at(slot, first), n * PAGE, MADV_REMOVE))
		return errno != EBUSY && is_over(w, slot->window, "MADV_REMOVE");
	count(OP_remove);
	for (i = first; i < first + n; i++)
		slot->tags[i] = 0;
	return false;
}

/* What asks the mm for something, and changes no byte whether it has succeeded or not. */
static void work_mm(struct slot *slot, enum op op)
{
	unsigned int first, n = any_pages(slot, &first), i;
	unsigned long nodes = 1 + any(3);
	int to[32], status[32];
	void *pages[32];

	count(op);
	switch (op) {
	case OP_dontneed:
		madvise(page_at(slot, first), n * PAGE, MADV_DONTNEED);
		break;
	case OP_pageout:
		madvise(page_at(slot, first), n * PAGE, MADV_PAGEOUT);
		break;
	case OP_populate:
		madvise(page_at(slot, first), n * PAGE,
			once_in(2) ? MADV_POPULATE_READ : MADV_POPULATE_WRITE);
		break;
	case OP_mbind:
		syscall(SYS_mbind, slot->window->addr, slot->window->size, MPOL_BIND,
			&nodes, sizeof(nodes) * 8, MPOL_MF_MOVE);
		break;
	default:
		for (i = 0; i < n && i < COUNT_OF(pages); i++) {
			pages[i] = page_at(slot, first + i);
			to[i] = any(2);
		}
		syscall(SYS_move_pages, 0, i, pages, to, status, MPOL_MF_MOVE);
	}
}

/* The kernel reads a page: a copy, or the page itself, on its way through a pipe. */
static bool work_pipe(struct worker *w, struct slot *slot)
{
	unsigned int page = any(slot->pages);
	struct iovec iov = { page_at(slot, page), PAGE };
	__u64 words[WORDS];
	ssize_t len;

	count(OP_pipe);
	len = once_in(2) ? vmsplice(w->pipe[1], &iov, 1, 0) :
			   write(w->pipe[1], iov.iov_base, PAGE);
	if (len < 0)
		return is_over(w, slot->window, "EFAULT");
	if (read(w->pipe[0], words, PAGE) != len)
		wrong("a pipe lost bytes");
	/* a page that was taken away meanwhile is what it is */
	if (len == PAGE && !is_reclaimed(w->life->fd))
		is_page(words, slot->tags[page], "pipe");
	return false;
}

/* A pipe holds a page, until another takes its place. */
static bool work_hold(struct worker *w, struct slot *slot)
{
	struct iovec iov = { page_at(slot, any(slot->pages)), 1 + any(PAGE) };
	char bytes[PAGE];

	count(OP_hold);
	while (read(w->held[0], bytes, sizeof(bytes)) > 0)
		;
	return vmsplice(w->held[1], &iov, 1, 0) < 0 && errno == EFAULT &&
	       is_over(w, slot->window, "EFAULT");
}

/* It runs in the memory of who has made it: no call may fail, and set errno. */
static int share(void *unused)
{
	struct timespec time = { .tv_nsec = 20000000 };

	syscall(SYS_nanosleep, &time, NULL);
	syscall(SYS_exit, 0);
	return 0;
}

/* Another process shares the mm, and may outlive this one. */
static void work_share(struct worker *w)
{
	if (w->sharer > 0 && waitpid(w->sharer, NULL, WNOHANG) != w->sharer)
		return;
	count(OP_share);
	w->sharer = clone(share, w->stack + SHARER_STACK, CLONE_VM | CLONE_FILES | SIGCHLD, NULL);
}

/* In a child of fork(): an expert of its own, with all that this thread knows about. */
static int check_copy(const struct worker *w)
{
	struct expertmem_copy arg = { .fd = w->life->fd };
	struct window windows[2];
	struct slot slot;
	int fd, i, err;

	fd = expert_open();
	if (fd < 0)
		return fd;
	err = window_map(&windows[0], &small_window, fd, WINDOW);
	err = err ? err : window_map(&windows[1], &huge_window, fd, WINDOW);
	err = err ? err : expert_ioctl(fd, EXPERTMEM_IOC_COPY, &arg);
	for (i = 0; !err && i < SLOTS; i++) {
		slot = w->slots[i];
		if (!slot.pages)
			continue;
		slot.window = &windows[slot.window == &w->life->windows[1]];
		if (slot_read(&slot, "copy") == SIGSEGV && !is_reclaimed(fd))
			wrong("a region was not copied");
	}
	return err;
}

static bool work_fork(struct worker *w)
{
	static const int fine[] = { 0, ENFILE, ENOMEM, EDQUOT, ECANCELED, ESHUTDOWN };
	volatile __u64 *inherited = (__u64 *)w->life->windows[0].addr;
	bool copy = once_in(2);
	pid_t pid = fork();
	__u64 value;
	size_t i;
	int err;

	if (!pid) {
		if (peek(inherited, &value) != SIGSEGV)
			wrong("a child sees the window");
		err = copy ? check_copy(w) : 0;
		for (i = 0; i < COUNT_OF(fine) && err != -fine[i]; i++)
			;
		if (i == COUNT_OF(fine))
			wrong("COPY in a child: %s", strerror(-err));
		_exit(err ? 1 : 0);
	}
	count(copy ? OP_copy : OP_fork);
	return pid > 0 && waitpid(pid, NULL, 0) != pid;
}

static bool is_empty(int fd)
{
	struct expertmem_stat stat = expert_stat(fd);

	return stat.state == EXPERTMEM_STATE_RECLAIMED && !stat.regions &&
	       !stat.committed && !stat.resident;
}

static void reclaim(int fd)
{
	struct expertmem_reclaim arg;
	int err = expert_reclaim(fd, &arg);

	if (err)
		wrong("RECLAIM: %s", strerror(-err));
	else if (!is_empty(fd))
		wrong("RECLAIM left something");
}

/* A new program, whom the descriptor came to: of the windows nothing is left. */
static void work_exec(struct life *life)
{
	char fd[16];

	count(OP_exec);
	snprintf(fd, sizeof(fd), "%d", life->fd);
	if (once_in(2))
		fcntl(life->fd, F_SETFD, 0);
	execl("/proc/self/exe", "storm", "--holds", fd, NULL);
	_exit(1);
}

/* In one step: no other mapping may come where threads still touch. */
static void unmap(struct life *life, int i)
{
	struct window *window = &life->windows[i];

	count(OP_munmap);
	__atomic_store_n(&life->gone[i], 1, __ATOMIC_SEQ_CST);
	if (mmap(window->addr, window->size, PROT_NONE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED)
		wrong("unmapping: %s", strerror(errno));
}

/* What happens to a whole expert. */
static bool work_end(struct life *life)
{
	switch (any(8)) {
	case 0:
		unmap(life, any(2));
		return true;
	case 1:
		count(OP_reclaim);
		reclaim(life->fd);
		return true;
	case 2:
		work_exec(life);
		return true;
	case 3:
		count(OP_exit);
		_exit(0);
	default:
		count(OP_terminate);
		if (expert_terminate(life->fd))
			wrong("TERMINATE failed");
		if (!life->status->flags)
			wrong("the status page does not say so");
		return false;
	}
}

static bool work_on(struct worker *w, struct slot *slot)
{
	if (!slot->pages)
		return work_alloc(w, slot);
	switch (any(20)) {
	case 0: return work_free(w, slot);
	case 1: return work_realloc(w, slot);
	case 2: return work_check(w, slot);
	case 3: return work_remove(w, slot);
	case 4: work_mm(slot, OP_dontneed); return false;
	case 5: work_mm(slot, OP_pageout); return false;
	case 6: work_mm(slot, OP_populate); return false;
	case 7: work_mm(slot, OP_migrate); return false;
	case 8: work_mm(slot, OP_mbind); return false;
	case 9: return once_in(2) ? work_hold(w, slot) : work_pipe(w, slot);
	case 10 ... 14: return work_read(w, slot);
	default: return work_write(w, slot);
	}
}

static void *work(void *arg)
{
	struct worker *w = arg;
	unsigned int left;
	bool over = false;
	int i;

	random_seed(w->seed);
	for (left = any(2000); left && !over && !stopped(); left--) {
		if (once_in(100))
			over = work_fork(w);
		else if (once_in(100))
			work_share(w);
		else if (once_in(1000))
			over = work_end(w->life);
		else
			over = work_on(w, &w->slots[any(SLOTS)]);
	}
	for (i = 0; !over && i < SLOTS; i++)
		over = w->slots[i].pages && work_check(w, &w->slots[i]);
	return NULL;
}

/* ------------------------------------------------------------- lives, in a process */

static void pass(int fd)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control = { .header = { CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS } };
	struct iovec iov = { "", 1 };
	struct msghdr message = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};

	memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	if (sendmsg(host_socket[1], &message, MSG_DONTWAIT) > 0)
		count(OP_pass);
}

/* False: not so many experts at once, or out of memory. */
static bool is_born(struct life *life)
{
	__u64 limit = once_in(2) ? (1 + any(16)) * MIB : 0;
	int err, i;

	life->fd = expert_open();
	if (life->fd < 0) {
		if (life->fd != -ENFILE && life->fd != -ENOMEM && life->fd != -EDQUOT)
			wrong("open: %s", strerror(-life->fd));
		return false;
	}
	count(OP_open);
	err = expert_configure(life->fd, "storm", limit, 0);
	/* others than root may not have more than the parameter default_limit says */
	if (err == -EPERM && getuid())
		err = expert_configure(life->fd, "storm", 0, EXPERTMEM_CONFIG_DEFAULT_LIMIT);
	for (i = 0; !err && i < 2; i++) {
		count(i ? OP_mmap : OP_configure);
		err = window_map(&life->windows[i], i ? &huge_window : &small_window, life->fd,
				 WINDOW);
	}
	life->status = status_map(life->fd);
	if (err && err != -ENOMEM && !(err == -ESHUTDOWN && is_reclaimed(life->fd)))
		wrong("CONFIGURE or mmap: %s", strerror(-err));
	if (!err && life->status != MAP_FAILED)
		return true;
	for (i = 0; i < 2; i++)
		if (life->windows[i].size)
			munmap(life->windows[i].addr, WINDOW);
	close(life->fd);
	return false;
}

static void end(struct life *life)
{
	int i;

	if (once_in(3)) {
		count(OP_reclaim);
		reclaim(life->fd);
	}
	munmap((void *)life->status, PAGE);
	for (i = 0; i < 2; i++)
		munmap(life->windows[i].addr, life->windows[i].size);
	if (!is_empty(life->fd))
		wrong("something is left with no window mapped");
	count(OP_close);
	close(life->fd);
}

static void live(unsigned int number)
{
	struct worker *workers = calloc(nr_threads, sizeof(*workers));
	struct life life = { };
	unsigned int i;

	if (!is_born(&life)) {
		sched_yield();
		goto out;
	}
	__atomic_store_n(&board->ids[number], expert_stat(life.fd).id, __ATOMIC_RELAXED);
	if (once_in(2))
		pass(life.fd);
	for (i = 0; i < nr_threads; i++) {
		workers[i] = (struct worker) {
			.life = &life, .seed = random_state + i, .serial = i << 24,
		};
		workers[i].stack = malloc(SHARER_STACK);
		if (!workers[i].stack || pipe2(workers[i].pipe, O_CLOEXEC) ||
		    pipe2(workers[i].held, O_CLOEXEC | O_NONBLOCK) ||
		    pthread_create(&workers[i].thread, NULL, work, &workers[i]))
			_exit(0);	/* out of memory */
	}
	for (i = 0; i < nr_threads; i++) {
		pthread_join(workers[i].thread, NULL);
		close(workers[i].pipe[0]);
		close(workers[i].pipe[1]);
		close(workers[i].held[0]);
		close(workers[i].held[1]);
		if (workers[i].sharer > 0)
			waitpid(workers[i].sharer, NULL, 0);
		free(workers[i].stack);
	}
	if (once_in(8))
		work_exec(&life);
	if (once_in(8))
		_exit(0);
	end(&life);
out:
	free(workers);
}

static void be_expert(unsigned int number)
{
	file_write(GROUP "cgroup.procs", "0");
	/* every other one is bounded as a user that is not root */
	if (number % 2 && setresuid(NOBODY, NOBODY, NOBODY))
		wrong("setresuid: %s", strerror(errno));
	faults_catch();
	while (!stopped())
		live(number);
}

#endif /* STORM_EXPERT_H */
