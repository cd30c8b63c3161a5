// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Regions from the kernel module. See <linux/expertmem.h> for what each call does.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/expertmem.h>

#include "internal.h"
#include "raw.h"

#define DEVICE "/dev/expertmem"

static const uint64_t window_offset[] = {
	[EM_SMALL_WINDOW]	= EXPERTMEM_SMALL_OFFSET,
	[EM_HUGE_WINDOW]	= EXPERTMEM_HUGE_OFFSET,
};

static uint64_t to_offset(const struct em_expert *expert, const void *region)
{
	enum em_window window = em_window_of(expert, region);

	return window_offset[window] +
	       (uint64_t)((const char *)region - em_window_base(expert, window));
}

static uint32_t populate(const struct em_expert *expert)
{
	return expert->flags & EXPERTMEM_POPULATE ? EXPERTMEM_ALLOC_POPULATE : 0;
}

static int error_of(int err)
{
	switch (err) {
	case ENOENT:
	case ENXIO:
	case ENODEV:
		return EXPERTMEM_E_NO_MODULE;
	case EACCES:
		return EXPERTMEM_E_ACCESS;
	case EPERM:
		return EXPERTMEM_E_PERM;
	case EMFILE:
	case ENFILE:
		return EXPERTMEM_E_TOO_MANY;
	case ENOTTY:
	case EINVAL:
	case EBADF:
	case EISDIR:
		return EXPERTMEM_E_NO_DEVICE;
	case EBUSY:
		return EXPERTMEM_E_BUSY;
	case ECANCELED:		/* a terminating expert maps no window any more */
	case ESHUTDOWN:
		return EXPERTMEM_E_RECLAIMED;
	default:
		return EXPERTMEM_E_NOMEM;
	}
}

/* The error of open(). A device cgroup that forbids the device answers EPERM. */
static int open_error_of(int err)
{
	switch (err) {
	case EPERM:
		return EXPERTMEM_E_ACCESS;
	case EDQUOT:		/* uid_max_experts */
		return EXPERTMEM_E_TOO_MANY;
	default:
		return error_of(err);
	}
}

static int call_configure(int fd, const struct expertmem_config *config)
{
	return ioctl(fd, EXPERTMEM_IOC_CONFIGURE, config) ? errno : 0;
}

static void set_default_limit(struct expertmem_config *config)
{
	config->limit = 0;
	config->flags |= EXPERTMEM_CONFIG_DEFAULT_LIMIT;
}

/* Configure a new expert; enum expertmem_error. After an error the caller closes @fd. */
static int configure(int fd, const struct expertmem_options *options)
{
	struct expertmem_config config = { .limit = options->limit };
	int err;

	strncpy(config.name, options->name, sizeof(config.name) - 1);
	if (options->flags & EXPERTMEM_UNSWAPPABLE)
		config.flags = EXPERTMEM_CONFIG_UNSWAPPABLE;
	if (options->limit == EXPERTMEM_LIMIT_DEFAULT)
		set_default_limit(&config);
	err = call_configure(fd, &config);
	if (err == EINVAL)
		return EXPERTMEM_E_INVALID;
	if (err != EPERM || options->limit == EXPERTMEM_LIMIT_DEFAULT)
		return err ? error_of(err) : EXPERTMEM_OK;
	/* EPERM is about the limit, unless UNSWAPPABLE is refused with the default limit, too. */
	set_default_limit(&config);
	return options->flags & EXPERTMEM_UNSWAPPABLE && call_configure(fd, &config) == EPERM ?
	       EXPERTMEM_E_PERM : EXPERTMEM_E_LIMIT;
}

/*
 * A descriptor that is adopted must be open for reading and writing: the module lets others
 * look at the expert only.
 */
static bool is_writable(int fd)
{
	return (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDWR;
}

static int device_open(struct em_expert *expert, const struct expertmem_options *options,
		       int adopted)
{
	int fd = adopted >= 0 ? adopted : open(DEVICE, O_RDWR | O_CLOEXEC);
	int error = EXPERTMEM_OK;
	struct expertmem_info info;
	void *status;

	if (fd < 0)
		return open_error_of(errno);
	if (ioctl(fd, EXPERTMEM_IOC_GET_INFO, &info))
		error = error_of(errno);
	else if (info.abi < EXPERTMEM_ABI_VERSION)
		error = EXPERTMEM_E_ABI;
	else if (!is_writable(fd))
		error = EXPERTMEM_E_ACCESS;
	else if (adopted < 0)
		error = configure(fd, options);
	else
		fcntl(fd, F_SETFD, FD_CLOEXEC);
	if (error)
		goto err_fd;

	status = mmap(NULL, EM_PAGE, PROT_READ, MAP_SHARED, fd, EXPERTMEM_STATUS_OFFSET);
	if (status == MAP_FAILED) {
		error = error_of(errno);
		goto err_fd;
	}
	/* A host may go on using the number of a descriptor that it passed. */
	if (adopted < 0 || em_preloaded)
		fd = em_high_fd(fd);
	expert->fd = fd;
	expert->status = status;
	if (adopted >= 0 && em_status(expert) & EXPERTMEM_STATUS_RECLAIMED) {
		munmap(status, EM_PAGE);
		return EXPERTMEM_E_RECLAIMED;
	}
	return EXPERTMEM_OK;

err_fd:
	if (adopted < 0)
		em_raw(SYS_close, fd, 0, 0);
	return error;
}

static int device_attach(struct em_expert *expert)
{
	for (; expert->mapped <= EM_HUGE_WINDOW; expert->mapped++)
		if (mmap(em_window_base(expert, expert->mapped), expert->window,
			 PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, expert->fd,
			 window_offset[expert->mapped]) == MAP_FAILED)
			return error_of(errno);
	/*
	 * vm.overcommit_memory=2: the kernel may refuse pages. An error is better than SIGBUS at a
	 * touch.
	 */
	if (em_is_strict())
		expert->flags |= EXPERTMEM_POPULATE;
	em_debug_on_map(expert, expert->base, expert->window * 2);
	return EXPERTMEM_OK;
}

/*
 * Windows may be part of a larger mapping, which is split, unless there are too many. Then their
 * pages can be given back: by the module, for advice to remove them fails where one is held. In a
 * child of the expert's process no window is mapped, and the descriptor is still the parent's.
 */
static void device_unmap(struct em_expert *expert)
{
	uint64_t bytes;

	if (munmap(expert->base, expert->window * 2) && expert->mapped)
		expert->backend->reclaim(expert, &bytes);
}

/* Pages outside of regions fault by themselves. */
static void device_guard(struct em_expert *expert, void *page, bool guard)
{
	(void)expert, (void)page, (void)guard;
}

/* Why the expert gets no more memory of the module; NULL: it does. preload.c uses private memory then. */
const char *em_device_refused;

/* EXPERTMEM_BACKEND=device: preload.c must not use private memory. */
bool em_device_only;

/*
 * Has a filter of system calls refused a call of the module with @err, and is private memory allowed
 * instead? The module itself never returns these errors to the calls in question.
 */
static bool is_refused(int err)
{
	static bool said;

	if (!em_filtered || (err != EPERM && err != EACCES && err != ENOSYS))
		return false;
	if (em_device_only) {
		if (!em_xchg_relaxed(&said, true))
			em_say("expertmem: a filter of system calls refuses those of /dev/expertmem;",
			       " the program gets no more memory,",
			       " for EXPERTMEM_BACKEND=device forbids private memory");
		return false;
	}
	em_write_once(&em_device_refused, "a filter of system calls refuses those of /dev/expertmem");
	return true;
}

/*
 * The module copies what there is now, and maps it in the child where that touches it. Where it is
 * refused, the copy is private memory. A child that has got such a copy has no descriptor, and
 * its children get theirs by the fork itself.
 */
static int device_fork_prepare(struct em_expert *expert)
{
	/*
	 * vm.overcommit_memory=2: the child must not run out of memory at a touch. A filter may refuse to
	 * tell. Then it is as when the expert was attached.
	 */
	bool strict = em_filtered ? expert->flags & EXPERTMEM_POPULATE : em_is_strict();
	struct expertmem_fork arg = { .flags = strict ? EXPERTMEM_FORK_POPULATE : 0 };

	expert->heir = -1;
	if (expert->fd < 0)
		return EXPERTMEM_OK;
	if (!ioctl(expert->fd, EXPERTMEM_IOC_FORK, &arg)) {
		expert->heir = arg.fd;
		return EXPERTMEM_OK;
	}
	if (!is_refused(errno))
		return error_of(errno);
	expert->copy = em_copy_make(expert, false);
	return expert->copy ? EXPERTMEM_OK : EXPERTMEM_E_NOMEM;
}

static void device_fork_parent(struct em_expert *expert, bool shares_files)
{
	struct expertmem_fork arg = { .flags = EXPERTMEM_FORK_END };

	if (expert->copy)
		em_copy_drop(expert->copy);
	expert->copy = NULL;
	if (expert->heir < 0)
		return;
	ioctl(expert->fd, EXPERTMEM_IOC_FORK, &arg);
	if (!shares_files)
		em_raw(SYS_close, expert->heir, 0, 0);
}

static int use_copy(struct em_expert *expert, bool shares_files)
{
	bool used = em_copy_use(expert, expert->copy);

	expert->copy = NULL;
	/* After the program has set a filter, close() could end the process. */
	if (!shares_files && !em_filtered)
		em_raw(SYS_close, expert->fd, 0, 0);
	expert->fd = -1;
	return used ? EXPERTMEM_OK : EXPERTMEM_E_NOMEM;
}

/*
 * The descriptor keeps its number if it can, unless parent and child share the table of descriptors. The
 * module maps a window when the child touches it first, and a limit of the program could prevent
 * that later. Therefore STAT is told here to write to the start of each window: the module maps the
 * window, and the call itself fails, because no region is there.
 */
static int device_fork_child(struct em_expert *expert, bool shares_files)
{
	if (expert->copy)
		return use_copy(expert, shares_files);
	if (expert->heir < 0)
		return EXPERTMEM_OK;
	if (shares_files) {
		expert->fd = em_high_fd(expert->heir);
	} else {
		long fd = em_raw(SYS_dup3, expert->heir, expert->fd, O_CLOEXEC);

		/* The program may have lowered RLIMIT_NOFILE: then the number is not allowed any more. */
		em_raw(SYS_close, fd < 0 ? expert->fd : expert->heir, 0, 0);
		if (fd < 0)
			em_write_once(&expert->fd, em_high_fd(expert->heir));
	}
	ioctl(expert->fd, EXPERTMEM_IOC_STAT, em_window_base(expert, EM_SMALL_WINDOW));
	ioctl(expert->fd, EXPERTMEM_IOC_STAT, em_window_base(expert, EM_HUGE_WINDOW));
	if (mmap((void *)expert->status, EM_PAGE, PROT_READ, MAP_SHARED | MAP_FIXED, expert->fd,
		 EXPERTMEM_STATUS_OFFSET) == MAP_FAILED)
		return error_of(errno);
	return EXPERTMEM_OK;
}

/*
 * Report, once, that the program has closed the descriptor by a raw system call. Sets errno to
 * @err.
 */
static void check_refusal(int err)
{
	static bool said;

	is_refused(err);
	if ((err == EBADF || err == ENOTTY) && em_preloaded &&
	    !em_xchg_relaxed(&said, true)) {
		em_report_heap_lost();
		em_say("expertmem: ", "the program has closed the descriptor of its heap,",
		       " which cannot grow any more");
	}
	errno = err;
}

/* Does the process have one thread? A thread that was joined can be there for another moment. */
static bool is_alone(void)
{
	struct stat stat;

	for (int i = 0; i < 10; i++) {
		if (em_raw6(SYS_newfstatat, AT_FDCWD, (long)"/proc/self/task", (long)&stat, 0, 0, 0))
			return false;
		/* the number of threads, and 2 */
		if (stat.st_nlink == 3)
			return true;
		em_raw(SYS_sched_yield, 0, 0, 0);
	}
	return false;
}

/*
 * RLIMIT_AS counts the windows. If it would leave the process less than EM_ADDRESSES_LEAST, this moves
 * the heap to private memory, and closes the descriptor. Otherwise the process could map nothing, and its
 * children could not map the windows of their experts. The heap stays
 *
 * - if there are other threads: they would lose what they write during the move;
 * - if the caller's stack is in the heap: it is unmapped for a moment;
 * - if it does not fit into @limit.
 */
static void device_unreserve(struct em_expert *expert, size_t limit)
{
	size_t has = em_address_space();	/* 0: not known */
	struct expertmem_stat stat;

	if (has < expert->window * 2)
		has = expert->window * 2;
	if (em_device_only || em_filtered || expert->fd < 0 || em_status(expert) ||
	    has + EM_ADDRESSES_LEAST <= limit || em_owner_of(&has) == expert || !is_alone() ||
	    ioctl(expert->fd, EXPERTMEM_IOC_STAT, &stat) || stat.committed > limit)
		return;
	em_pause(expert);
	expert->copy = em_copy_make(expert, true);
	if (expert->copy) {
		if (use_copy(expert, false)) {
			em_say("expertmem: ", "private memory cannot replace the module's:",
			       " the kernel refuses a mapping");
			_exit(127);
		}
		em_write_once(&em_device_refused,
			      "RLIMIT_AS leaves too few addresses for the windows of /dev/expertmem");
	}
	em_unpause(expert);
}

static void *device_alloc(struct em_expert *expert, enum em_window window, size_t size,
			  size_t room)
{
	struct expertmem_alloc arg = {
		.size = size,
		.room = room,
		.flags = populate(expert) |
			 (window == EM_HUGE_WINDOW ? EXPERTMEM_ALLOC_HUGE : 0),
	};

	if (expert->fd < 0)
		return NULL;
	if (ioctl(expert->fd, EXPERTMEM_IOC_ALLOC, &arg)) {
		check_refusal(errno);
		return NULL;
	}
	return em_window_base(expert, window) + (arg.offset - window_offset[window]);
}

static bool device_resize(struct em_expert *expert, void *region, size_t old, size_t size, bool huge)
{
	struct expertmem_realloc arg = {
		.offset = to_offset(expert, region),
		.size = size,
		.flags = populate(expert),
	};

	(void)old;
	(void)huge;
	if (expert->fd < 0)
		return false;
	if (!ioctl(expert->fd, EXPERTMEM_IOC_REALLOC, &arg))
		return true;
	check_refusal(errno);
	return false;
}

static void device_free(struct em_expert *expert, void *region, size_t size)
{
	struct expertmem_free arg = { .offset = to_offset(expert, region) };

	if (expert->fd < 0)
		em_copy_free(region, size);
	else
		ioctl(expert->fd, EXPERTMEM_IOC_FREE, &arg);
}

/*
 * The module gives back all pages of a range or, where somebody else holds one of them, none
 * (EBUSY). Then those of the others are given back one at a time. The kernel refuses to do this to
 * private memory, to which the heap may have moved (EINVAL).
 */
static bool device_discard(void *start, size_t size)
{
	char *page = start, *end = page + size;
	bool all = true;

	if (!madvise(start, size, MADV_REMOVE))
		return true;
	if (errno == EINVAL)
		return !madvise(start, size, MADV_DONTNEED);
	if (errno != EBUSY)
		return false;
	for (; page < end; page += EM_PAGE)
		if (madvise(page, EM_PAGE, MADV_REMOVE))
			all = false;
	return all;
}

static bool device_terminate(struct em_expert *expert)
{
	return !ioctl(expert->fd, EXPERTMEM_IOC_TERMINATE, 0);
}

static int device_reclaim(struct em_expert *expert, uint64_t *bytes)
{
	struct expertmem_reclaim arg = { 0 };

	if (ioctl(expert->fd, EXPERTMEM_IOC_RECLAIM, &arg))
		return EXPERTMEM_E_UNSUPPORTED;
	*bytes = arg.reclaimed_bytes;
	return EXPERTMEM_OK;
}

static void device_stats(struct em_expert *expert, struct expertmem_heap_stats *stats)
{
	struct expertmem_stat stat;

	if (expert->fd < 0 || ioctl(expert->fd, EXPERTMEM_IOC_STAT, &stat))
		return;
	stats->id = stat.id;
	stats->limit = stat.limit;
	stats->committed = stat.committed;
	stats->resident = stat.resident;
	stats->peak = stat.peak;
	stats->reclaimed_bytes = stat.reclaimed_bytes;
	stats->pinned = stat.pinned;
}

static void device_close(struct em_expert *expert)
{
	munmap((void *)expert->status, EM_PAGE);
	em_raw(SYS_close, expert->fd, 0, 0);
}

const struct em_backend em_device = {
	.id		= EXPERTMEM_BACKEND_DEVICE,
	.open		= device_open,
	.attach		= device_attach,
	.unmap		= device_unmap,
	.alloc		= device_alloc,
	.resize		= device_resize,
	.free		= device_free,
	.discard	= device_discard,
	.guard		= device_guard,
	.fork_prepare	= device_fork_prepare,
	.fork_parent	= device_fork_parent,
	.fork_child	= device_fork_child,
	.unreserve	= device_unreserve,
	.terminate	= device_terminate,
	.reclaim	= device_reclaim,
	.stats		= device_stats,
	.close		= device_close,
};
