// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The memfd that "expertmem run" shares with the process that it runs, see report.h. The library in
 * the command makes it, with struct em_shared in it. The command passes the descriptor in
 * EXPERTMEM_REPORT. The library in the process uses it for the first expert that it opens.
 *
 * Each library closes the descriptor after it has mapped the file, so that the program cannot close
 * it, and the programs that it starts do not inherit it.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "internal.h"
#include "raw.h"
#include "report.h"
#include "text.h"

struct file {
	struct em_report report;
	struct em_shared shared __attribute__((aligned(EM_PAGE)));
};

static struct file *file;	/* the mapping; NULL: there is no file */
static bool is_taken;		/* an expert of this process uses file->shared */
static bool is_shared;		/* the heap of this preloaded program uses file->shared */
/* Memory for the counts of a child. It is mapped early, because RLIMIT_AS may refuse it later. */
static struct em_table spare;
static bool is_mine;		/* this process is attached to that expert, and writes the report */

/* Give a new file its size, and seal it. False: the file is not from the command. */
static bool set_size(int fd, bool *is_new)
{
	struct rlimit most;
	struct stat stat;

	/* Only a memfd has seals: leave other files of the program alone. */
	if (fcntl(fd, F_GET_SEALS) < 0 || fstat(fd, &stat))
		return false;
	*is_new = !stat.st_size;
	if (!*is_new)
		return stat.st_size == sizeof(struct file);
	/* Beyond the limit, ftruncate() sends SIGXFSZ. */
	return !getrlimit(RLIMIT_FSIZE, &most) && most.rlim_cur >= sizeof(struct file) &&
	       !ftruncate(fd, sizeof(struct file)) &&
	       !fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
}

/* Map the file, if it is for this process, and not for a process that started this one. */
static void map_file(int fd)
{
	pid_t self = em_raw(SYS_getpid, 0, 0, 0);
	struct file *found;
	bool is_new;

	if (!set_size(fd, &is_new))
		return;
	found = mmap(NULL, sizeof(*found), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (found == MAP_FAILED)
		return;
	if (is_new) {
		found->report.version = EM_REPORT_VERSION;
		found->report.pid = self;
	}
	if (found->report.version == EM_REPORT_VERSION)
		em_raw(SYS_close, fd, 0, 0);
	if (found->report.version != EM_REPORT_VERSION || found->report.pid != self) {
		munmap(found, sizeof(*found));
		return;
	}
	madvise(found, sizeof(*found), MADV_NOHUGEPAGE);
	file = found;
}

/**
 * em_shared_get() - get the memory that an expert and its hosts share
 * @counts: receives the mapping
 *
 * Return: the memory, of zeros; in the file of the command if there is one. NULL: no memory.
 */
struct em_shared *em_shared_get(struct em_table *counts)
{
	const size_t size = em_round_up(sizeof(struct em_shared), EM_PAGE);
	const char *passed = secure_getenv("EXPERTMEM_REPORT");
	uint64_t fd;

	if (passed) {
		/*
		 * Programs that this one starts must not take another file with this number for it.
		 */
		unsetenv("EXPERTMEM_REPORT");
		if (!file && em_parse_size(passed, &fd) && fd <= INT32_MAX)
			map_file((int)fd);
	}
	if (file && !is_taken &&
	    (!em_preloaded || em_table_map(&spare, NULL, size, MAP_PRIVATE))) {
		is_taken = true;
		is_shared = em_preloaded;
		*counts = (struct em_table){
			.start = (char *)&file->shared, .size = size, .writable = size,
		};
		return &file->shared;
	}
	/* A preloaded program without the command shares it with nobody: fork() copies it. */
	if (!em_table_map(counts, NULL, size, em_preloaded ? MAP_PRIVATE : MAP_SHARED))
		return NULL;
	if (em_table_use(counts, offsetof(struct em_shared, counts)))
		return (struct em_shared *)counts->start;
	munmap(counts->start, size);
	return NULL;
}

/* Undo em_shared_get(). Counts in the file stay for the command to read. */
void em_shared_put(const struct em_table *counts)
{
	if (!file || counts->start != (char *)&file->shared)
		munmap(counts->start, counts->size);
	else if (!file->shared.nr_counts)
		is_taken = false;
}

/* In a child with a copy of its parent's heap: give it counts of its own, at the same address. */
bool em_shared_inherit(struct em_table *counts)
{
	size_t used = offsetof(struct em_shared, counts) +
		      ((struct em_shared *)counts->start)->nr_counts * sizeof(struct em_count);

	if (!is_shared)
		return true;
	is_shared = false;
	/* all of it is writable, as all of the file is */
	if (!em_table_use(&spare, spare.size))
		return false;
	memcpy(spare.start, counts->start, used);
	return mremap(spare.start, counts->size, counts->size, MREMAP_MAYMOVE | MREMAP_FIXED,
		      counts->start) != MAP_FAILED;
}

/* This process is attached to the expert with @shared. True: it writes the report. */
bool em_report_begin(const struct em_shared *shared)
{
	if (!file || shared != &file->shared)
		return false;
	is_mine = true;
	file->report.begun = true;
	return true;
}

/* Where a crash of this process is to be recorded, or NULL. */
struct em_crash *em_report_crash(void)
{
	return is_mine ? &file->report.crash : NULL;
}

/* In a child: if its parent writes the report, the child does not. */
void em_report_after_fork(void)
{
	if (is_mine)
		file = NULL;
	is_mine = false;
}

/* The program has closed the descriptor of its heap. */
void em_report_heap_lost(void)
{
	if (is_mine)
		file->report.heap_lost = true;
}

/* New blocks of the program are private memory. */
void em_report_went_private(void)
{
	if (is_mine)
		file->report.went_private = true;
}
