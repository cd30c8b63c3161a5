// SPDX-License-Identifier: GPL-2.0
/* Read captures with Wireshark's library. Only this file depends on its version. */
#include "capture.h"

#include <stdio.h>
#include <string.h>
#include <ws_version.h>
#include <wsutil/wslog.h>

/* Since 4.6, a record contains the buffer for its bytes. */
#if WIRESHARK_VERSION_MAJOR > 4 || (WIRESHARK_VERSION_MAJOR == 4 && WIRESHARK_VERSION_MINOR >= 6)

static void record_init(struct capture *capture)
{
	wtap_rec_init(&capture->record, 0);
}

static bool record_read(struct capture *capture, int *error, char **detail)
{
	int64_t offset;

	return wtap_read(capture->file, &capture->record, error, detail, &offset);
}

static const unsigned char *record_bytes(struct capture *capture)
{
	return ws_buffer_start_ptr(&capture->record.data);
}

#else

static void record_init(struct capture *capture)
{
	wtap_rec_init(&capture->record);
	ws_buffer_init(&capture->bytes, 0);
}

static bool record_read(struct capture *capture, int *error, char **detail)
{
	gint64 offset;

	return wtap_read(capture->file, &capture->record, &capture->bytes, error, detail, &offset);
}

static const unsigned char *record_bytes(struct capture *capture)
{
	return ws_buffer_start_ptr(&capture->bytes);
}

#endif

/* Return the first header of a frame of Wireshark's link type @type. */
static enum layer first_layer(int type)
{
	switch (type) {
	case WTAP_ENCAP_ETHERNET:
		return LAYER_ETHERNET;
	case WTAP_ENCAP_SLL:
		return LAYER_SLL;
	case WTAP_ENCAP_SLL2:
		return LAYER_SLL2;
	case WTAP_ENCAP_NULL:
	case WTAP_ENCAP_LOOP:
		return LAYER_LOOPBACK;
	case WTAP_ENCAP_RAW_IP:
	case WTAP_ENCAP_RAW_IP4:
	case WTAP_ENCAP_RAW_IP6:
		return LAYER_RAW_IP;
	case WTAP_ENCAP_PPP:
	case WTAP_ENCAP_PPP_WITH_PHDR:
		return LAYER_PPP;
	case WTAP_ENCAP_PPP_ETHER:
		return LAYER_PPPOE;
	case WTAP_ENCAP_CHDLC:
	case WTAP_ENCAP_CHDLC_WITH_PHDR:
		return LAYER_CISCO_HDLC;
	default:
		return LAYER_UNKNOWN;
	}
}

/* Set the error message: the cause, and the remedy if there is one. */
static void explain(struct capture *capture, int error, char *detail)
{
	const char *reason = wtap_strerror(error), *remedy = "";

	switch (error) {
	case WTAP_ERR_FILE_UNKNOWN_FORMAT:
		reason = "it is in no format that Wireshark reads";
		remedy = ";\nif another program than gzip, zstd or lz4 compressed it, decompress it first";
		break;
	case WTAP_ERR_SHORT_READ:
		reason = "it is cut short";
		break;
	case WTAP_ERR_NOT_REGULAR_FILE:
		reason = "it is neither a file nor a pipe";
		break;
	case WTAP_ERR_RANDOM_OPEN_PIPE:
	case WTAP_ERR_RANDOM_OPEN_STDIN:
	case WTAP_ERR_CANT_SEEK:
		remedy = ";\nsave it to a file, and name that";
		break;
	}
	snprintf(capture->error, sizeof(capture->error), "%s%s%s%s", reason,
		 detail ? ": " : "", detail ? detail : "", remedy);
	g_free(detail);
}

bool capture_open(struct capture *capture, const char *path)
{
	char *detail = NULL;
	int error;

	memset(capture, 0, sizeof(*capture));
	ws_log_set_level(LOG_LEVEL_CRITICAL);	/* print no debug messages */
	wtap_init(false);			/* without plug-ins */
	capture->file = wtap_open_offline(path, WTAP_TYPE_AUTO, &error, &detail, false);
	if (!capture->file) {
		explain(capture, error, detail);
		wtap_cleanup();
		return false;
	}
	record_init(capture);
	return true;
}

/*
 * Wireshark takes an empty file, or one whose compressed data end within the first block, for the
 * only format without a file header.
 */
static bool has_nothing(struct capture *capture)
{
	int type = wtap_file_type_subtype(capture->file);

	return !capture->any && !strcmp(wtap_file_type_subtype_name(type), "erf");
}

bool capture_next(struct capture *capture, struct frame *frame)
{
	const wtap_packet_header *packet = &capture->record.rec_header.packet_header;
	char *detail = NULL;
	int error = 0;

	do {
		wtap_rec_reset(&capture->record);
		if (!record_read(capture, &error, &detail)) {
			if (error)
				explain(capture, error, detail);
			else if (has_nothing(capture))
				strcpy(capture->error, "it is empty, or cut short");
			return false;
		}
	} while (capture->record.rec_type != REC_TYPE_PACKET);

	capture->any = true;
	frame->data.bytes = record_bytes(capture);
	frame->data.length = packet->caplen;
	frame->length = packet->len;
	frame->first = first_layer(packet->pkt_encap);
	frame->link_type = wtap_encap_description(packet->pkt_encap);
	return true;
}

int capture_percent(const struct capture *capture)
{
	int error;
	gint64 size = wtap_file_size(capture->file, &error);
	gint64 read = wtap_read_so_far(capture->file);

	if (size <= 0)
		return 0;
	return read < size ? 99 * read / size : 99;
}

void capture_close(struct capture *capture)
{
	wtap_rec_cleanup(&capture->record);
	if (capture->bytes.data)
		ws_buffer_free(&capture->bytes);
	wtap_close(capture->file);
	wtap_cleanup();
}
