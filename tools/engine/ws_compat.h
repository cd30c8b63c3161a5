/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The differences between libwireshark 4.0 (Debian 12), 4.4 (Debian 13) and 4.6. Only
 * this file and record.h depend on the version. Functions and types here begin with ws_.
 */
#ifndef ENGINE_WS_COMPAT_H
#define ENGINE_WS_COMPAT_H

#include <string.h>

#include <wireshark.h>

#include <epan/dfilter/dfilter.h>
#include <epan/epan.h>
#include <epan/epan_dissect.h>
#include <epan/ftypes/ftypes.h>
#include <epan/proto.h>

#include "record.h"

/* Since 4.2, the macros that classify types have other names. */
#if !WS_SINCE(4, 2)
#define FT_IS_INT	IS_FT_INT
#define FT_IS_INT32	IS_FT_INT32
#define FT_IS_INT64	IS_FT_INT64
#define FT_IS_UINT	IS_FT_UINT
#define FT_IS_UINT32	IS_FT_UINT32
#define FT_IS_UINT64	IS_FT_UINT64
#define FT_IS_STRING	IS_FT_STRING
#endif

/* Since 4.2, the value of a field is an object of its own, which is read by functions only. */
#if WS_SINCE(4, 2)

static inline fvalue_t *ws_value(const field_info *info)
{
	return info->value;
}

static inline uint32_t ws_ipv4(fvalue_t *value)
{
	return fvalue_get_ipv4(value)->addr;
}

static inline const void *ws_bytes(fvalue_t *value, size_t *length)
{
	if (fvalue_type_ftenum(value) == FT_IPv6) {
		*length = FT_IPv6_LEN;
		return &fvalue_get_ipv6(value)->addr;
	}
	*length = fvalue_get_bytes_size(value);
	return fvalue_get_bytes_data(value);
}

static inline bool ws_compile(const char *text, dfilter_t **filter, char error[static 484])
{
	df_error_t *why = NULL;

	if (dfilter_compile(text, filter, &why))
		return true;
	g_strlcpy(error, why ? why->msg : "the filter is wrong", 484);
	df_error_free(&why);
	return false;
}

#define ws_requires_columns dfilter_requires_columns

#else

static inline fvalue_t *ws_value(const field_info *info)
{
	return (fvalue_t *)&info->value;
}

static inline uint32_t ws_ipv4(fvalue_t *value)
{
	return value->value.ipv4.addr;
}

static inline const void *ws_bytes(fvalue_t *value, size_t *length)
{
	const GByteArray *bytes;

	if (fvalue_type_ftenum(value) == FT_IPv6) {
		*length = FT_IPv6_LEN;
		return &value->value.ipv6.addr;
	}
	bytes = value->value.bytes;
	*length = bytes ? bytes->len : 0;
	return bytes ? bytes->data : NULL;
}

static inline bool ws_compile(const char *text, dfilter_t **filter, char error[static 484])
{
	char *why = NULL;

	if (dfilter_compile(text, filter, &why))
		return true;
	g_strlcpy(error, why ? why : "the filter is wrong", 484);
	g_free(why);
	return false;
}

static inline bool ws_requires_columns(const dfilter_t *filter G_GNUC_UNUSED)
{
	return false;
}

#endif

/*
 * struct ws_kept: what libwireshark attaches to a frame and needs at the next dissection: data of
 * protocols, and since 4.2 the set of frames that the frame depends on.
 */
#if WS_SINCE(4, 2)
struct ws_kept {
	GSList *data;
	GHashTable *frames;
};

static inline void ws_keep(struct ws_kept *kept, const frame_data *data)
{
	kept->data = data->pfd;
	kept->frames = data->dependent_frames;
}

static inline void ws_restore(const struct ws_kept *kept, frame_data *data)
{
	data->pfd = kept->data;
	data->dependent_frames = kept->frames;
}
#else
struct ws_kept {
	GSList *data;
};

static inline void ws_keep(struct ws_kept *kept, const frame_data *data)
{
	kept->data = data->pfd;
}

static inline void ws_restore(const struct ws_kept *kept, frame_data *data)
{
	data->pfd = kept->data;
}
#endif

/*
 * Since 4.6, a record contains the buffer for its bytes. This function lets the buffer point to
 * @bytes, which libwireshark neither writes to nor frees.
 */
static inline void ws_dissect(epan_dissect_t *edt, wtap_rec *record, const uint8_t *bytes,
			      frame_data *data)
{
#if WS_SINCE(4, 6)
	record->data.data = (uint8_t *)bytes;
	record->data.allocated = data->cap_len;
	record->data.start = 0;
	record->data.first_free = data->cap_len;
	epan_dissect_run(edt, 0, record, data, NULL);
#else
	epan_dissect_run(edt, 0, record, tvb_new_real_data(bytes, data->cap_len, data->pkt_len),
			 data, NULL);
#endif
}

/* Make the record one of a packet. Since 4.6, a record also has the name of its type. */
static inline void ws_packet(wtap_rec *record)
{
	record->rec_type = REC_TYPE_PACKET;
#if WS_SINCE(4, 6)
	record->rec_type_name = "Frame";
#endif
}

#endif /* ENGINE_WS_COMPAT_H */
