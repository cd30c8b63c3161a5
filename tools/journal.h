/* SPDX-License-Identifier: GPL-2.0 */
/* Entries of systemd's journal, by its native protocol: each field is a key and any bytes. */
#ifndef JOURNAL_H
#define JOURNAL_H

#include <stdint.h>

#include <sys/uio.h>

/**
 * struct journal_entry - an entry that is being made
 * @fields: "KEY=value", allocated
 * @count: how many there are
 */
struct journal_entry {
	struct iovec fields[20];
	int count;
};

void journal_text(struct journal_entry *entry, const char *key, const char *value);
void journal_number(struct journal_entry *entry, const char *key, uint64_t value);

/* Send the entry, and free its fields. journal_status() has what became of it. */
void journal_send(struct journal_entry *entry);

/* EXIT_OK, or EXIT_FAILED having said why there is no journal. */
int journal_open(const char *command);

/* EXIT_OK, or EXIT_FAILED having said why an entry was not sent. */
int journal_status(const char *command);

#endif /* JOURNAL_H */
