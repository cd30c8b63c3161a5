// SPDX-License-Identifier: GPL-2.0
/*
 * Makes it hard to get the memory back: fills 256 MiB (or HOLDER_MIB), and has a child
 * that keeps the expert's descriptor open. Prints when all is so, then waits to be
 * killed. The child ends by itself after some minutes.
 */
#include <fcntl.h>

#include <expertmem.h>

#include "expert.h"

RUN
{
	const char *mib = getenv("HOLDER_MIB");
	int fd = expertmem_fd(key);
	pid_t child;

	take(key, (mib ? strtoul(mib, NULL, 10) : 256) << 20);
	/* The library closes its own descriptor in a fork of the expert; not this one. */
	if (fd >= 0 && dup(fd) < 0) {
		perror("holder: dup");
		return FALSE;
	}
	fflush(stdout);
	child = fork();
	if (child < 0) {
		perror("holder: fork");
		return FALSE;
	}
	if (!child) {
		int null = open("/dev/null", O_RDWR);

		/* whoever reads our output shall not wait for this one */
		for (int i = STDIN_FILENO; i <= STDERR_FILENO; i++)
			dup2(null, i);
		sleep(600);
		_exit(0);
	}
	printf("holder: expert %d, its child %d\n", getpid(), child);
	fflush(stdout);
	while (1)
		pause();
}
