/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Shared by the tests of the module.
 *
 * Calls return 0 (or what they make) or a negative errno, so that a test compares one
 * value. The memory that a call fills in is poisoned before it.
 */
#ifndef EXPERTMEM_TEST_H
#define EXPERTMEM_TEST_H

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <linux/expertmem.h>

#define DEVICE		"/dev/expertmem"
#define PARAMETERS	"/sys/module/expertmem/parameters/"

#define PAGE		4096UL
#define KIB		(1UL << 10)
#define MIB		(1UL << 20)
#define GIB		(1UL << 30)
#define TIB		(1ULL << 40)
#define HUGE		(2 * MIB)

#define POISON		0xa5
#define POISON64	0xa5a5a5a5a5a5a5a5ULL

#define COUNT_OF(array)	(sizeof(array) / sizeof((array)[0]))

/*
 * 6.1's harness goes on with a test whose setup was skipped, unless the process ends. The harness
 * knows a skipped test by its exit status, which changed when XFAIL_ADD() came (6.9).
 */
#ifdef XFAIL_ADD
#define SKIPPED		KSFT_SKIP
#else
#define SKIPPED		255
#endif
#define SKIP_TEST(fmt, ...) SKIP(_exit(SKIPPED), fmt, ##__VA_ARGS__)

/* For the setup of every fixture, and every test that has none. */
#define NEED_DEVICE()								\
	do {									\
		if (access(DEVICE, R_OK | W_OK))				\
			SKIP_TEST(DEVICE ": %s; load the module, be root",	\
				  strerror(errno));				\
	} while (0)

/* For what forks: its children have the window, too. */
#define NEED_INHERITANCE(window)						\
	do {									\
		if (madvise((window)->addr, (window)->size, MADV_DOFORK))	\
			SKIP_TEST("this kernel lets no child inherit a window");	\
	} while (0)

/* For what needs a longer window than a 32 bit program can map. */
#define NEED_LONG_WINDOW()							\
	do {									\
		if (sizeof(long) == 4)						\
			SKIP(return, "a 32 bit program has too few addresses");	\
	} while (0)

static inline int result(long ret)
{
	return ret < 0 ? -errno : (int)ret;
}

static inline int expert_ioctl(int fd, unsigned long cmd, const void *arg)
{
	return result(ioctl(fd, cmd, arg));
}

static inline int expert_open(void)
{
	return result(open(DEVICE, O_RDWR | O_CLOEXEC));
}

static inline int expert_configure(int fd, const char *name, __u64 limit, __u32 flags)
{
	struct expertmem_config arg = { .limit = limit, .flags = flags };

	strncpy(arg.name, name, sizeof(arg.name));
	return expert_ioctl(fd, EXPERTMEM_IOC_CONFIGURE, &arg);
}

static inline int expert_terminate(int fd)
{
	return expert_ioctl(fd, EXPERTMEM_IOC_TERMINATE, NULL);
}

static inline int expert_reclaim(int fd, struct expertmem_reclaim *arg)
{
	memset(arg, POISON, sizeof(*arg));
	arg->flags = 0;
	arg->reserved = 0;
	return expert_ioctl(fd, EXPERTMEM_IOC_RECLAIM, arg);
}

/* A stat that failed is all poison, which no test expects. */
static inline struct expertmem_stat expert_stat(int fd)
{
	struct expertmem_stat stat;

	memset(&stat, POISON, sizeof(stat));
	expert_ioctl(fd, EXPERTMEM_IOC_STAT, &stat);
	return stat;
}

static inline struct expertmem_info expert_info(int fd)
{
	struct expertmem_info info;

	memset(&info, POISON, sizeof(info));
	expert_ioctl(fd, EXPERTMEM_IOC_GET_INFO, &info);
	return info;
}

/* map() - can that be mapped of the device? */
static inline int map(int fd, size_t size, int prot, int flags, __u64 offset)
{
	void *addr = mmap(NULL, size, prot, flags, fd, offset);

	return addr == MAP_FAILED ? -errno : 0;
}

static inline const volatile struct expertmem_status *status_map(int fd)
{
	return mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, EXPERTMEM_STATUS_OFFSET);
}

/**
 * struct window - an expert and one of its windows
 * @offset: EXPERTMEM_SMALL_OFFSET or EXPERTMEM_HUGE_OFFSET
 * @granule: bytes
 * @flags: what ALLOC needs to hear for a region in this window
 * @fd: the expert
 * @addr: where the window is mapped
 * @size: bytes
 */
struct window {
	__u64 offset;
	__u64 granule;
	__u32 flags;
	int fd;
	unsigned char *addr;
	__u64 size;
};

#define SMALL_WINDOW	{ .offset = EXPERTMEM_SMALL_OFFSET, .granule = PAGE }
#define HUGE_WINDOW	{ .offset = EXPERTMEM_HUGE_OFFSET, .granule = HUGE, \
			  .flags = EXPERTMEM_ALLOC_HUGE }

static const struct window small_window = SMALL_WINDOW;
static const struct window huge_window = HUGE_WINDOW;

/* window_map() - map a window like @kind of an expert; 32 bit programs get 1 GiB at most */
static inline int window_map(struct window *window, const struct window *kind, int fd,
			     __u64 size)
{
	if (sizeof(long) == 4 && size > GIB)
		size = GIB;
	*window = *kind;
	window->fd = fd;
	window->size = size;
	window->addr = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
			    kind->offset);
	return window->addr == MAP_FAILED ? -errno : 0;
}

/* window_open() - a new expert with one window; @limit may be 0 */
static inline int window_open(struct window *window, const struct window *kind,
			      __u64 size, __u64 limit)
{
	int fd = expert_open();
	int err;

	if (fd < 0)
		return fd;
	err = expert_configure(fd, "test", limit, 0);
	return err ? err : window_map(window, kind, fd, size);
}

static inline void window_close(const struct window *window)
{
	munmap(window->addr, window->size);
	close(window->fd);
}

/* at() - the address of a device offset */
static inline unsigned char *at(const struct window *window, __u64 offset)
{
	return window->addr + (offset - window->offset);
}

static inline int region_alloc_flags(const struct window *window, __u32 flags,
				     __u64 size, __u64 room, __u64 *offset)
{
	struct expertmem_alloc arg = {
		.size = size, .room = room, .flags = window->flags | flags,
		.offset = POISON64,
	};
	int err = expert_ioctl(window->fd, EXPERTMEM_IOC_ALLOC, &arg);

	*offset = arg.offset;
	return err;
}

static inline int region_alloc(const struct window *window, __u64 size, __u64 *offset)
{
	return region_alloc_flags(window, 0, size, 0, offset);
}

static inline int region_realloc_flags(const struct window *window, __u32 flags,
				       __u64 offset, __u64 size)
{
	struct expertmem_realloc arg = {
		.offset = offset, .size = size, .flags = flags,
	};

	return expert_ioctl(window->fd, EXPERTMEM_IOC_REALLOC, &arg);
}

static inline int region_realloc(const struct window *window, __u64 offset, __u64 size)
{
	return region_realloc_flags(window, 0, offset, size);
}

static inline int region_free(const struct window *window, __u64 offset)
{
	struct expertmem_free arg = { .offset = offset };

	return expert_ioctl(window->fd, EXPERTMEM_IOC_FREE, &arg);
}

/* ------------------------------------------------------------------- touching */

static sigjmp_buf touch_env;

static inline void touch_failed(int sig)
{
	siglongjmp(touch_env, sig);
}

static inline int touch(volatile unsigned char *addr, bool write)
{
	struct sigaction action = { .sa_handler = touch_failed }, segv, bus;
	int sig;

	sigaction(SIGSEGV, &action, &segv);
	sigaction(SIGBUS, &action, &bus);
	sig = sigsetjmp(touch_env, 1);
	if (!sig) {
		unsigned char byte = *addr;

		if (write)
			*addr = byte;
	}
	sigaction(SIGSEGV, &segv, NULL);
	sigaction(SIGBUS, &bus, NULL);
	return sig;
}

/* read_touch() - the signal that reading that byte raises, 0 for none */
static inline int read_touch(const void *addr)
{
	return touch((unsigned char *)addr, false);
}

/* write_touch() - the same for writing it; what it holds does not change */
static inline int write_touch(void *addr)
{
	return touch(addr, true);
}

/* all_bytes() - is every byte that? */
static inline bool all_bytes(const unsigned char *addr, size_t size, unsigned char byte)
{
	return !size || (addr[0] == byte && !memcmp(addr, addr + 1, size - 1));
}

/* ----------------------------------------------------------------- the system */

/* child_status() - how a child ended: its exit status, or 128 + the signal */
static inline int child_status(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		return -errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* file_read() - a small file as a string, without the newline at its end */
static inline int file_read(const char *path, char *buffer, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len;

	if (fd < 0)
		return -errno;
	len = read(fd, buffer, size - 1);
	close(fd);
	if (len < 0)
		return -EIO;
	while (len && buffer[len - 1] == '\n')
		len--;
	buffer[len] = '\0';
	return 0;
}

static inline int file_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int err;

	if (fd < 0)
		return -errno;
	err = write(fd, text, strlen(text)) < 0 ? -errno : 0;
	close(fd);
	return err;
}

/* value_in() - the number that follows a word at the start of a line, ~0 if none */
static inline __u64 value_in(const char *path, const char *word)
{
	size_t len = strlen(word);
	char line[256];
	__u64 value = ~0ULL;
	FILE *file = fopen(path, "re");

	while (file && fgets(line, sizeof(line), file)) {
		if (!strncmp(line, word, len) && strchr(": ", line[len])) {
			value = strtoull(line + len + 1, NULL, 10);
			break;
		}
	}
	if (file)
		fclose(file);
	return value;
}

/* The kernel adds up the shared memory of each CPU late: "Shmem" may be so far off. */
#define SHMEM_NOISE	(256 * KIB)

/* meminfo() - a line of /proc/meminfo, in bytes */
static inline __u64 meminfo(const char *word)
{
	return value_in("/proc/meminfo", word) * KIB;
}

/* Resident bytes of this process. */
static inline __u64 own_memory(void)
{
	return value_in("/proc/self/status", "VmRSS") * KIB;
}

/* A parameter of the module, that is put back by parameter_restore(). */
struct parameter {
	char path[128];
	char old[32];
};

static inline int parameter_set(struct parameter *parameter, const char *name,
				const char *value)
{
	int err;

	snprintf(parameter->path, sizeof(parameter->path), PARAMETERS "%s", name);
	err = file_read(parameter->path, parameter->old, sizeof(parameter->old));
	return err ? err : file_write(parameter->path, value);
}

static inline int parameter_restore(const struct parameter *parameter)
{
	return file_write(parameter->path, parameter->old);
}

/* ----------------------------------------------------- touching in many threads */

static __thread sigjmp_buf fault_env;
static __thread volatile sig_atomic_t fault_expected;

static inline void fault_caught(int sig)
{
	if (fault_expected)
		siglongjmp(fault_env, sig);
	signal(sig, SIG_DFL);
}

/* faults_catch() - from here on peek() and poke() answer in any thread */
static inline void faults_catch(void)
{
	struct sigaction action = { .sa_handler = fault_caught, .sa_flags = SA_NODEFER };

	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
}

/* peek() - read a word; the signal that it raises, 0 for none */
static inline int peek(const volatile __u64 *addr, __u64 *value)
{
	int sig = sigsetjmp(fault_env, 0);

	if (!sig) {
		fault_expected = true;
		*value = *addr;
	}
	fault_expected = false;
	return sig;
}

/* poke() - write a word; the signal that it raises, 0 for none */
static inline int poke(volatile __u64 *addr, __u64 value)
{
	int sig = sigsetjmp(fault_env, 0);

	if (!sig) {
		fault_expected = true;
		*addr = value;
	}
	fault_expected = false;
	return sig;
}

/* rounds() - how often to try what is to be tried @count times */
static inline unsigned long rounds(unsigned long count)
{
	const char *factor = getenv("EXPERTMEM_ROUNDS");
	unsigned long times = factor ? strtod(factor, NULL) * count : count;

	return times ? times : 1;
}

#endif /* EXPERTMEM_TEST_H */
