/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Write a copy of a capture, as pcapng, in which frames have comments: the events whose columns of the
 * type FRAME name them. Wireshark shows a comment as frame.comment.
 *
 * The program expertmem-annotate reads the capture and writes the copy, so that a damaged capture
 * cannot harm the host. It uses Wireshark's file library, as the engines do.
 */
#ifndef ANNOTATE_H
#define ANNOTATE_H

#include <sys/types.h>

#include "events.h"

/*
 * @process receives the pid of the program while it runs. Return 0, or -1 with the reason in @why; then
 * there is no copy.
 */
int annotate(struct events *events, const char *capture, const char *copy, pid_t *process,
	     char why[static 256]);

/* Kill the program, from another thread, and remove the incomplete copy. */
void annotate_cancel(pid_t process, const char *copy);

#endif /* ANNOTATE_H */
