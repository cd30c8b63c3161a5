/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Functions of the subcommands that call the kernel. Each returns 0, or after a message to standard
 * error the exit status.
 */
#ifndef OPERATE_H
#define OPERATE_H

#include "nl.h"

int operate_open(const char *command, struct link **link);

/* Print why a call of nl.h returned @error. @expert: title of the expert concerned, or NULL. */
int operate_failed(const char *command, const struct link *link, int error,
		   const char *expert);

/* Find the expert by @text: an id if it consists of digits, else a name. */
int operate_choose(const char *command, struct link *link, const char *text,
		   struct expert *expert);

#endif /* OPERATE_H */
