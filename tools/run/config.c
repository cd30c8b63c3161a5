// SPDX-License-Identifier: GPL-2.0
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * Write the path of the directory of configurations to @path. Return false if the user has no home.
 */
static bool find_directory(char path[static PATH_MAX])
{
	const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
	const struct passwd *user;

	/* the specification says to ignore relative paths */
	if (config && *config == '/')
		return snprintf(path, PATH_MAX, "%s/expertmem", config) < PATH_MAX;
	if (!home || *home != '/') {
		user = getpwuid(getuid());
		home = user ? user->pw_dir : NULL;
	}
	return home && *home == '/' &&
	       snprintf(path, PATH_MAX, "%s/.config/expertmem", home) < PATH_MAX;
}

int config_path(const char *library, char path[static PATH_MAX])
{
	const char *slash = strrchr(library, '/'), *base = slash ? slash + 1 : library;
	size_t length = strlen(base), used;

	if (length > 3 && !strcmp(base + length - 3, ".so"))
		length -= 3;
	if (!find_directory(path))
		return -1;
	used = strlen(path);
	return snprintf(path + used, PATH_MAX - used, "/%.*s.config", (int)length, base) <
	       (int)(PATH_MAX - used) ? 0 : -1;
}

static int failed(const char *command, const char *path, const char *reason)
{
	fprintf(stderr, "expertmem %s: cannot read the configuration '%s': %s\n", command, path,
		reason);
	return -1;
}

/* Check that the first DWORD of the file is the file's size. Return 0, or -1 after a message. */
static int check(const char *command, const char *path, const void *config, size_t size)
{
	DWORD length = 0;

	if (size >= sizeof(length))
		memcpy(&length, config, sizeof(length));
	if (size >= sizeof(length) && length == size)
		return 0;
	fprintf(stderr, "expertmem %s: the configuration '%s' is damaged: it has %zu bytes, and says "
		"that it has %u; make a new one by 'expertmem configure', or use --no-config\n",
		command, path, size, length);
	return -1;
}

static int read_file(const char *command, const char *path, int fd, void **config, size_t *size)
{
	struct stat stat_buf;
	ssize_t got;

	if (fstat(fd, &stat_buf))
		return failed(command, path, strerror(errno));
	if (!S_ISREG(stat_buf.st_mode))
		return failed(command, path, "it is not a regular file");
	if (stat_buf.st_size > CONFIG_MAX)
		return failed(command, path, "it has more than 16 MiB, the most that is allowed");
	*size = stat_buf.st_size;
	*config = malloc(*size + 1);
	if (!*config)
		return failed(command, path, strerror(errno));
	got = read(fd, *config, *size);
	if (got != (ssize_t)*size)
		return failed(command, path, got < 0 ? strerror(errno) :
						       "another process truncated it; try again");
	return check(command, path, *config, *size);
}

int config_read(const char *command, const char *path, bool optional, void **config, size_t *size)
{
	/* O_NONBLOCK: do not wait for the writer of a pipe, which is refused */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), error;

	*config = NULL;
	*size = 0;
	if (fd < 0 && optional && (errno == ENOENT || errno == ENOTDIR))
		return 0;
	if (fd < 0)
		return failed(command, path, strerror(errno));
	error = read_file(command, path, fd, config, size);
	close(fd);
	if (error) {
		free(*config);
		*config = NULL;
	}
	return error;
}

/* Make the directories of a file. */
static int make_directories(char *path)
{
	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		int failed_to;

		*slash = '\0';
		failed_to = mkdir(path, 0700) && errno != EEXIST;
		*slash = '/';
		if (failed_to)
			return -1;
	}
	return 0;
}

int config_write(const char *command, const char *path, const void *config, size_t size)
{
	char new[PATH_MAX + 8];
	int fd = -1;

	snprintf(new, sizeof(new), "%s.XXXXXX", path);
	if (!make_directories(new))
		fd = mkostemp(new, O_CLOEXEC);	/* with mode 0600 */
	if (fd < 0)
		goto err_message;
	if (write(fd, config, size) != (ssize_t)size || fsync(fd) || rename(new, path))
		goto err_unlink;
	close(fd);
	return 0;

err_unlink:
	fprintf(stderr, "expertmem %s: cannot write the configuration '%s': %s\n", command, path,
		strerror(errno));
	close(fd);
	unlink(new);
	return -1;
err_message:
	fprintf(stderr, "expertmem %s: cannot write the configuration '%s': %s\n", command, path,
		strerror(errno));
	return -1;
}
