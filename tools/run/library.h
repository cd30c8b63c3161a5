/* SPDX-License-Identifier: GPL-2.0 */
/* Find the shared library of an expert. */
#ifndef LIBRARY_H
#define LIBRARY_H

#include <limits.h>

#ifndef EXPERTDIR
#define EXPERTDIR "/usr/lib/expertmem"
#endif

/* Room for the name of an expert, as operators see it. */
#define NAME_SIZE 32

/*
 * Find the library of an expert by its name, such as "topusers", or by its path. Return 0, or
 * EXIT_USAGE after a message, which ends with @hint if no expert has the name.
 */
int find_library(const char *command, const char *hint, const char *expert, char path[static PATH_MAX]);

/* Write the name of the file without .so, cut to the length of a name. */
void default_name(const char *expert, char name[static NAME_SIZE]);

#endif /* LIBRARY_H */
