// SPDX-License-Identifier: GPL-2.0
#include "library.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "../args.h"
#include "../format.h"

static bool is_library_file(const char *file)
{
	size_t length = strlen(file);

	return length > 3 && !strcmp(file + length - 3, ".so");
}

int find_library(const char *command, const char *hint, const char *expert, char path[static PATH_MAX])
{
	const char *dir = getenv("EXPERTMEM_PATH");
	char installed[PATH_MAX];
	struct stat stat_buf;

	if (strchr(expert, '/') || is_library_file(expert)) {
		if (!realpath(expert, path) || stat(path, &stat_buf))
			return wrong_usage(command, "cannot find the expert '%s': %s", expert,
				     strerror(errno));
		if (S_ISDIR(stat_buf.st_mode))
			return wrong_usage(command, "'%s' is a directory; give the path of a .so file",
				     expert);
		return 0;
	}
	if (!dir || !*dir)
		dir = EXPERTDIR;
	snprintf(installed, sizeof(installed), "%s/%s.so", dir, expert);
	if (!realpath(installed, path))
		return wrong_usage(command, "no expert '%s' in %s (%s); give the path of its .so file, "
			     "or set EXPERTMEM_PATH to the directory of the experts%s",
			     expert, dir, strerror(errno), hint);
	return 0;
}

void default_name(const char *expert, char name[static NAME_SIZE])
{
	const char *slash = strrchr(expert, '/');
	const char *base = slash ? slash + 1 : expert;
	size_t length = strlen(base);

	if (is_library_file(base))
		length -= 3;
	snprintf(name, NAME_SIZE, "%.*s", (int)length, base);
	plain_text(name);
}
