// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Network Monitor's names of protocols and of their fields, as printouts in Microsoft's Knowledge Base
 * show them, with Wireshark's filter names. Names that both have are not listed: they are found
 * without this table. If a filter name differs between versions of Wireshark, or if the fields of
 * several protocols have one label, all are given, and the first one that exists is taken.
 */
#include "names.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

struct label {
	const char *label;
	const char *fields;	/* filter names, separated by spaces */
};

static const struct label frame_labels[] = {
	{ "Time of capture", "frame.time" },
	{ "Time delta from previous physical frame", "frame.time_delta" },
	{ "Frame number", "frame.number" },
	{ "Total frame length", "frame.len" },
	{ "Capture frame length", "frame.cap_len" },
	{ NULL, NULL }
};

static const struct label ethernet_labels[] = {
	{ "Destination address", "eth.dst" },
	{ "Source address", "eth.src" },
	{ "Ethernet Type", "eth.type" },
	{ "Frame Length", "eth.len" },
	{ NULL, NULL }
};

static const struct label ip_labels[] = {
	{ "Header Length", "ip.hdr_len" },
	{ "Precedence", "ip.tos.precedence" },
	{ "Type of Service", "ip.dsfield ip.tos" },
	{ "Flags Summary", "ip.flags" },
	{ "Fragment Offset", "ip.frag_offset" },
	{ "Checksum", "ip.checksum" },
	{ NULL, NULL }
};

static const struct label tcp_labels[] = {
	{ "Sequence Number", "tcp.seq" },
	{ "Acknowledgement Number", "tcp.ack" },
	{ "Data Offset", "tcp.hdr_len" },
	{ "Reserved", "tcp.flags.res" },
	{ "Flags", "tcp.flags" },
	{ "Window", "tcp.window_size_value" },
	{ "Checksum", "tcp.checksum" },
	{ NULL, NULL }
};

static const struct label udp_labels[] = {
	{ "Src Port", "udp.srcport" },
	{ "Dst Port", "udp.dstport" },
	{ "Total length", "udp.length" },
	{ "UDP Checksum", "udp.checksum" },
	{ NULL, NULL }
};

/* A protocol of Network Monitor; @filter_names: Wireshark's protocols, separated by spaces. */
static const struct protocol {
	const char *name;
	const char *filter_names;
	const struct label *labels;
} protocols[] = {
	{ "FRAME", "frame", frame_labels },
	{ "ETHERNET", "eth", ethernet_labels },
	{ "IP", "ip", ip_labels },
	{ "TCP", "tcp", tcp_labels },
	{ "UDP", "udp", udp_labels },
	{ NULL, NULL, NULL }
};

#define WORD_SIZE 64

/* The word number @turn of a list that is separated by spaces; NULL: it has no more. */
static const char *word(const char *list, unsigned int turn, char buffer[static WORD_SIZE])
{
	size_t length;

	for (; turn && list; turn--) {
		list = strchr(list, ' ');
		if (list)
			list++;
	}
	if (!list)
		return NULL;
	length = strcspn(list, " ");
	if (length >= WORD_SIZE)
		return NULL;
	memcpy(buffer, list, length);
	buffer[length] = '\0';
	return buffer;
}

static bool has_word(const char *list, const char *name)
{
	char buffer[WORD_SIZE];
	const char *found;

	for (unsigned int i = 0; (found = word(list, i, buffer)); i++)
		if (!strcmp(found, name))
			return true;
	return false;
}

const char *names_protocol(const char *filter_name)
{
	for (const struct protocol *protocol = protocols; protocol->name; protocol++)
		if (has_word(protocol->filter_names, filter_name))
			return protocol->name;
	return NULL;
}

const char *names_filter_name(const char *name, unsigned int turn)
{
	static char buffer[WORD_SIZE];

	for (const struct protocol *protocol = protocols; protocol->name; protocol++)
		if (!strcasecmp(protocol->name, name))
			return word(protocol->filter_names, turn, buffer);
	return NULL;
}

const char *names_field(const char *filter_name, const char *label, unsigned int turn)
{
	static char buffer[WORD_SIZE];

	for (const struct protocol *protocol = protocols; protocol->name; protocol++) {
		if (!has_word(protocol->filter_names, filter_name))
			continue;
		for (const struct label *entry = protocol->labels; entry->label; entry++)
			if (!strcasecmp(entry->label, label))
				return word(entry->fields, turn, buffer);
	}
	return NULL;
}

const char *names_label(const char *field)
{
	for (const struct protocol *protocol = protocols; protocol->name; protocol++)
		for (const struct label *entry = protocol->labels; entry->label; entry++)
			if (has_word(entry->fields, field))
				return entry->label;
	return NULL;
}
