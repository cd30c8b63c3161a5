// SPDX-License-Identifier: GPL-2.0
#define SD_JOURNAL_SUPPRESS_LOCATION	/* do not add CODE_FILE= and the like to each entry */
#include "journal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#include "command.h"

#define JOURNAL "/run/systemd/journal/socket"

static int error;	/* the errno of the first entry that was not sent, or 0 */

static void add(struct journal_entry *entry, char *field, int length)
{
	if (length < 0 || entry->count == sizeof(entry->fields) / sizeof(entry->fields[0])) {
		error = error ? error : ENOMEM;
		return;
	}
	entry->fields[entry->count++] = (struct iovec){ .iov_base = field, .iov_len = length };
}

void journal_text(struct journal_entry *entry, const char *key, const char *value)
{
	char *field = NULL;
	int length = asprintf(&field, "%s=%s", key, value);

	add(entry, field, length);
}

void journal_number(struct journal_entry *entry, const char *key, uint64_t value)
{
	char *field = NULL;
	int length = asprintf(&field, "%s=%" PRIu64, key, value);

	add(entry, field, length);
}

/* sd_journal_sendv() returns success if there is no journal. Return 0 or an errno. */
static int look_for_journal(void)
{
	return access(JOURNAL, F_OK) ? errno : 0;
}

void journal_send(struct journal_entry *entry)
{
	if (!error)
		error = look_for_journal();
	if (!error)
		error = -sd_journal_sendv(entry->fields, entry->count);
	for (int i = 0; i < entry->count; i++)
		free(entry->fields[i].iov_base);
	entry->count = 0;
}

int journal_status(const char *command)
{
	if (error == ENOENT)
		fprintf(stderr, "expertmem %s: there is no journal at " JOURNAL "; start systemd-journald, or print the events with --json\n",
			command);
	else if (error)
		fprintf(stderr, "expertmem %s: cannot write to the journal at " JOURNAL ": %s\n",
			command, strerror(error));
	return error ? EXIT_FAILED : EXIT_OK;
}

int journal_open(const char *command)
{
	error = look_for_journal();
	return journal_status(command);
}
