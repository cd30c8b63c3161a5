// SPDX-License-Identifier: GPL-2.0
#include "replace.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* @lock protects @temporary, the path of the file; NULL: there is none. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char *temporary;

int replace_begin(const char *target)
{
	char *path;
	int fd, error;

	if (asprintf(&path, "%s.XXXXXX", target) < 0) {
		errno = ENOMEM;
		return -1;
	}
	pthread_mutex_lock(&lock);
	fd = mkostemp(path, O_CLOEXEC);
	error = errno;
	temporary = fd < 0 ? NULL : path;
	pthread_mutex_unlock(&lock);
	if (fd < 0)
		free(path);
	errno = error;
	return fd;
}

int replace_end(int fd, const char *target, bool complete)
{
	mode_t mask = umask(0);
	int error = 0;

	umask(mask);
	pthread_mutex_lock(&lock);
	if (complete && (fchmod(fd, 0666 & ~mask) || rename(temporary, target)))
		error = errno;
	if (!complete || error)
		unlink(temporary);
	free(temporary);
	temporary = NULL;
	pthread_mutex_unlock(&lock);
	close(fd);
	return error;
}

void replace_abandon(void)
{
	pthread_mutex_lock(&lock);
	if (temporary)
		unlink(temporary);
}
