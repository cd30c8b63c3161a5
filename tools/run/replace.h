/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Write a file that replaces another one when it is complete. It is written beside the other file, to a
 * name that nobody can predict. There is one such file at a time.
 */
#ifndef REPLACE_H
#define REPLACE_H

#include <stdbool.h>

/* Create the file, with mode 0600. Return its descriptor, or -1 with errno set. */
int replace_begin(const char *target);

/*
 * Give the file the mode of a new file and the name of the target if it is @complete, or else remove
 * it, and close @fd. Return 0, or an error number of errno.h; the file is removed then.
 */
int replace_end(int fd, const char *target, bool complete);

/*
 * Remove the file, from another thread, before the process ends. Later calls of replace_begin() and
 * replace_end() wait for ever.
 */
void replace_abandon(void);

#endif /* REPLACE_H */
