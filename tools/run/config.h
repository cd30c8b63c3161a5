/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The configuration of an expert: the bytes that its Configure() returned, whose first DWORD is their
 * number. It is kept in $XDG_CONFIG_HOME/expertmem/NAME.config, or below ~/.config, where NAME is the
 * name of the expert's file without .so.
 */
#ifndef CONFIG_H
#define CONFIG_H

#include <limits.h>
#include <stddef.h>

#include "job.h"

/* Most bytes of a configuration. */
#define CONFIG_MAX	(16u << 20)

/* Write the path of the configuration of the expert @library. Return 0, or -1: there is no home. */
int config_path(const char *library, char path[static PATH_MAX]);

/*
 * Read a configuration into memory of malloc(). With @optional, a file that does not exist is no
 * error: *@config is NULL then. Return 0, or -1 after a message that begins with "expertmem
 * @command".
 */
int config_read(const char *command, const char *path, bool optional, void **config, size_t *size);

/*
 * Write a configuration to a new file with mode 0600, and rename that to @path. Missing directories
 * are made. Return 0, or -1 after a message.
 */
int config_write(const char *command, const char *path, const void *config, size_t size);

#endif /* CONFIG_H */
