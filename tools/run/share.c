// SPDX-License-Identifier: GPL-2.0
/*
 * The file that the command shares with the child. The child's library keeps its counters there, so
 * that expertmem_heap_stats() in the host knows them. The file starts with a struct em_report.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "job.h"

/* Since Linux 6.3; if vm.memfd_noexec is 2, memfd_create() fails without this flag. */
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8U
#endif

/* The least number for a passed descriptor: programs use fixed lower numbers themselves. */
#define HIGH_FD 512

int pass_descriptor(const char *variable, int fd)
{
	int passed = fcntl(fd, F_DUPFD, HIGH_FD);
	char text[16];

	if (passed < 0)
		passed = fcntl(fd, F_DUPFD, 0);
	snprintf(text, sizeof(text), "%d", passed);
	return passed < 0 ? -1 : setenv(variable, text, true);
}

static int make_file(void)
{
	const unsigned int flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	int fd = memfd_create("expertmem run", flags | MFD_NOEXEC_SEAL);

	return fd < 0 && errno == EINVAL ? memfd_create("expertmem run", flags) : fd;
}

int share_open(struct job *job)
{
	int error;

	job->shared = make_file();
	/* the library of this process uses the file for its first expert, and closes the copy */
	if (job->shared >= 0)
		pass_descriptor("EXPERTMEM_REPORT", job->shared);
	error = expertmem_open(&(struct expertmem_options){
		.name = job->name, .limit = job->limit, .startup = &job->startup,
		.backend = job->few_addresses ? EXPERTMEM_BACKEND_ANON : EXPERTMEM_BACKEND_AUTO,
	}, &job->key);
	if (!error && job->shared >= 0 && lseek(job->shared, 0, SEEK_END) > 0)
		job->report = mmap(NULL, sizeof(*job->report), PROT_READ | PROT_WRITE, MAP_SHARED,
				   job->shared, 0);
	if (job->report == MAP_FAILED)
		job->report = NULL;
	return error;
}
