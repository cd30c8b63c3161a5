// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Memory for the library's own tables, questions to the kernel, and the program's filter of system
 * calls.
 *
 * The kernel counts each writable private mapping as memory of the process, touched or not: for
 * vm.overcommit_memory=2, for RLIMIT_DATA, for mlockall() and in a core file. The library maps far
 * more than it touches. So its mappings are read-only or inaccessible, and not in core files, until
 * they are used.
 */
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "internal.h"
#include "raw.h"

/**
 * em_map() - memory of the library itself
 * @size: bytes
 * @sharing: MAP_PRIVATE or MAP_SHARED
 *
 * Much of it is never touched, so it does not come in huge pages.
 *
 * Return: the memory, or NULL.
 */
void *em_map(size_t size, int sharing)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       sharing | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	madvise(p, size, MADV_NOHUGEPAGE);
	return p;
}

/**
 * em_table_map() - addresses for a table that reads as zeros
 * @table: the table
 * @start: where it is to be; NULL: anywhere
 * @size: bytes, a multiple of EM_PAGE
 * @sharing: MAP_PRIVATE or MAP_SHARED
 *
 * Return: false if the kernel refuses.
 */
bool em_table_map(struct em_table *table, void *start, size_t size, int sharing)
{
	void *p = mmap(start, size, PROT_READ, sharing | MAP_ANONYMOUS | MAP_NORESERVE |
		       (start ? MAP_FIXED : 0), -1, 0);

	*table = (struct em_table){ .start = p, .size = size };
	if (p == MAP_FAILED)
		return false;
	madvise(p, size, MADV_NOHUGEPAGE);
	madvise(p, size, MADV_DONTDUMP);
	return true;
}

/**
 * em_table_use() - make the first bytes of a table writable
 * @table: the table
 * @end: how many bytes
 *
 * Threads may call this at the same time.
 *
 * Return: false if the kernel refuses.
 */
bool em_table_use(struct em_table *table, size_t end)
{
	size_t before = em_load_acquire(&table->writable);

	end = em_round_up(end, EM_STEP);
	if (end > table->size)
		end = table->size;
	if (end <= before)
		return true;
	if (mprotect(table->start + before, end - before, PROT_READ | PROT_WRITE))
		return false;
	while (before < end &&
	       !em_try_cmpxchg_release(&table->writable, &before, end))
		;
	return true;
}

/*
 * Are pages as large as EM_PAGE, and do addresses have no more than EM_ADDRESS_BITS? The kernel
 * puts the stack of a process near the highest address.
 */
bool em_kernel_suits(void)
{
	const int on_stack = 0;

	return sysconf(_SC_PAGESIZE) == EM_PAGE && !((uintptr_t)&on_stack >> EM_ADDRESS_BITS);
}

/* Read the start of a file of /proc. Text that cannot be read is empty. */
static void read_start(const char *path, char *text, size_t size)
{
	long fd = em_raw6(SYS_openat, AT_FDCWD, (long)path, O_RDONLY | O_CLOEXEC, 0, 0, 0);
	long length = 0;

	if (fd >= 0) {
		length = em_raw(SYS_read, fd, (long)text, (long)size - 1);
		em_raw(SYS_close, fd, 0, 0);
	}
	text[length > 0 ? length : 0] = '\0';
}

/*
 * Is vm.overcommit_memory 2? Then the kernel promises no more memory than it has. False where the program's
 * filter of system calls may refuse to tell.
 */
bool em_is_strict(void)
{
	char text[2] = "";

	if (em_unfiltered_begin()) {
		read_start("/proc/sys/vm/overcommit_memory", text, sizeof(text));
		em_unfiltered_end();
	}
	return *text == '2';
}

/* Bytes of addresses that the process has mapped, which RLIMIT_AS limits. 0: not known. */
size_t em_address_space(void)
{
	char text[32] = "";

	if (em_unfiltered_begin()) {
		read_start("/proc/self/statm", text, sizeof(text));
		em_unfiltered_end();
	}
	return strtoul(text, NULL, 10) * EM_PAGE;
}

/* Does RLIMIT_DATA limit private memory, or is that not known? */
bool em_limits_data(void)
{
	struct rlimit limit = { .rlim_cur = 0 };

	if (em_unfiltered_begin()) {
		getrlimit(RLIMIT_DATA, &limit);
		em_unfiltered_end();
	}
	return limit.rlim_cur != RLIM_INFINITY;
}

/* Programs expect open() to return the lowest free number, and use low numbers themselves. */
#define HIGH_FD		1000

/**
 * em_high_fd() - move a descriptor of the library to a high number, close-on-exec
 * @fd: the descriptor
 *
 * Return: the new descriptor; @fd itself, unchanged, if there is no high number.
 */
int em_high_fd(int fd)
{
	struct rlimit limit;
	long lowest = HIGH_FD;
	int high = -1;

	if (!getrlimit(RLIMIT_NOFILE, &limit) && limit.rlim_cur < HIGH_FD + 24)
		lowest = (long)limit.rlim_cur - 24;
	for (; high < 0 && lowest > fd; lowest /= 2)
		high = (int)em_raw(SYS_fcntl, fd, F_DUPFD_CLOEXEC, lowest);
	if (high < 0)
		return fd;
	em_raw(SYS_close, fd, 0, 0);
	return high;
}

/* ---------------------------------------------------------- filters of system calls */

/*
 * The program has set a filter of its system calls (seccomp). From then on the library makes only
 * system calls that malloc() of the C library makes. Without membarrier() it cannot wait for
 * sections, so no section begins any more, and every call takes the lock.
 */
bool em_filtered;

/* number of threads between em_unfiltered_begin() and em_unfiltered_end() */
static unsigned int unfiltered;

/**
 * em_unfiltered_begin() - begin to make system calls that malloc() of the C library does not make
 *
 * Return: false if there is a filter, which may refuse them. True: call em_unfiltered_end() afterwards.
 */
bool em_unfiltered_begin(void)
{
	if (!em_read_once(&em_filtered)) {
		em_add_return(&unfiltered, 1);
		if (!em_load_mb(&em_filtered))
			return true;
		em_unfiltered_end();
	}
	return false;
}

void em_unfiltered_end(void)
{
	em_sub_return_release(&unfiltered, 1);
}

/*
 * Set em_filtered, and wait for the threads that are making such system calls. The wait ends after
 * a number of tries, because this may be a signal's handler that has interrupted such a thread.
 */
void em_set_filtered(void)
{
	unsigned int tries = 10000;

	em_store_mb(&em_filtered, true);
	while (em_load_acquire(&unfiltered) && tries--)
		sched_yield();
}

/* The threads that were making such calls are not in the child. */
void em_unfiltered_after_fork(void)
{
	unfiltered = 0;
}
