/* SPDX-License-Identifier: GPL-2.0 */
/* Send entries to systemd's journal by its native protocol. */
#ifndef JOURNAL_H
#define JOURNAL_H

#include <stdint.h>

#include <sys/uio.h>

/**
 * struct journal_entry - an entry before it is sent
 * @fields: texts "KEY=value", allocated
 * @count: number of fields
 */
struct journal_entry {
	struct iovec fields[20];
	int count;
};

void journal_text(struct journal_entry *entry, const char *key, const char *value);
void journal_number(struct journal_entry *entry, const char *key, uint64_t value);

/* Send the entry and free its fields. journal_status() reports an error. */
void journal_send(struct journal_entry *entry);

/* Return EXIT_OK, or EXIT_FAILED after a message if there is no journal. */
int journal_open(const char *command);

/* Return EXIT_OK, or EXIT_FAILED after a message if an entry was not sent. */
int journal_status(const char *command);

#endif /* JOURNAL_H */
