/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Write a file that replaces another one when it is complete. Until then, it is beside the other
 * file and has a random name. The process can have one such file at a time.
 */
#ifndef REPLACE_H
#define REPLACE_H

#include <stdbool.h>

/* Create the file, with mode 0600. Return its descriptor, or -1 with errno set. */
int replace_begin(const char *target);

/*
 * If the file is @complete, give it the mode of a new file, and rename it to @target. Otherwise,
 * and after an error, remove it. Close @fd. Return 0, or an error number of errno.h.
 */
int replace_end(int fd, const char *target, bool complete);

/*
 * Remove the file. A thread calls this before the process ends; later calls of replace_begin() and
 * replace_end() in other threads wait for ever.
 */
void replace_abandon(void);

#endif /* REPLACE_H */
