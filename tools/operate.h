/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What subcommands that deal with the kernel have in common. They return 0, or having
 * said why not, the exit status.
 */
#ifndef OPERATE_H
#define OPERATE_H

#include "nl.h"

int operate_open(const char *command, struct link **link);

/* Say what became of a call that returned @error; @expert: what it was about, or NULL. */
int operate_failed(const char *command, const struct link *link, int error,
		   const char *expert);

/* The expert that @text names: its id if it is a number, else its name. */
int operate_choose(const char *command, struct link *link, const char *text,
		   struct expert *expert);

#endif /* OPERATE_H */
