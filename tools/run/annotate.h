/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Write a copy of a capture, as pcapng, in which frames have comments: the events whose columns of the
 * type FRAME name them. Wireshark shows a comment as frame.comment.
 *
 * The program expertmem-annotate reads the capture and writes the copy, in a sandbox, so that a
 * malicious capture cannot harm the host. It uses Wireshark's file library, as the engines do.
 */
#ifndef ANNOTATE_H
#define ANNOTATE_H

#include "events.h"

/* Return 0, or -1 with the reason in @why; then there is no copy. */
int annotate(struct events *events, const char *capture, const char *copy, char why[static 256]);

/*
 * Kill the program if it runs. A thread calls this before the process ends, while another thread
 * may be in annotate(): that thread, and later calls of annotate(), wait for ever.
 */
void annotate_abandon(void);

#endif /* ANNOTATE_H */
