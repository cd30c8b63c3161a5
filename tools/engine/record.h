/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A record of a capture, and what differs between the versions of Wireshark's file library that read
 * and write it: 4.0 (Debian 12), 4.4 (Debian 13) and 4.6. What differs in libwireshark is in
 * ws_compat.h. Only these two files depend on the version.
 */
#ifndef ENGINE_RECORD_H
#define ENGINE_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include <wiretap/wtap.h>
#include <ws_version.h>

#define WS_SINCE(major, minor)								\
	(WIRESHARK_VERSION_MAJOR > (major) ||						\
	 (WIRESHARK_VERSION_MAJOR == (major) && WIRESHARK_VERSION_MINOR >= (minor)))

/**
 * struct record - a record
 * @rec: Wireshark's structure
 * @bytes: buffer of its bytes; not used since 4.6, where @rec contains it
 */
struct record {
	wtap_rec rec;
	Buffer bytes;
};

static inline void record_init(struct record *record)
{
#if WS_SINCE(4, 6)
	wtap_rec_init(&record->rec, 0);
#else
	wtap_rec_init(&record->rec);
	ws_buffer_init(&record->bytes, 0);
#endif
}

static inline void record_free(struct record *record)
{
	wtap_rec_cleanup(&record->rec);
#if !WS_SINCE(4, 6)
	ws_buffer_free(&record->bytes);
#endif
}

/*
 * Read the next record. False at the end; with an error, *@error is not 0. Of some formats,
 * wtap_read() of Wireshark 4.0 returns true for a record that it could not parse.
 */
static inline bool record_read(wtap *file, struct record *record, int *error, char **detail)
{
#if WS_SINCE(4, 6)
	int64_t offset;

	return wtap_read(file, &record->rec, error, detail, &offset) && !*error;
#else
	gint64 offset;

	return wtap_read(file, &record->rec, &record->bytes, error, detail, &offset) && !*error;
#endif
}

static inline const void *record_bytes(struct record *record)
{
#if WS_SINCE(4, 6)
	return ws_buffer_start_ptr(&record->rec.data);
#else
	return ws_buffer_start_ptr(&record->bytes);
#endif
}

static inline bool record_write(wtap_dumper *file, struct record *record, int *error, char **detail)
{
#if WS_SINCE(4, 6)
	return wtap_dump(file, &record->rec, error, detail);
#else
	return wtap_dump(file, &record->rec, record_bytes(record), error, detail);
#endif
}

#endif /* ENGINE_RECORD_H */
