// SPDX-License-Identifier: GPL-2.0
#include "text.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

bool host_of(const ADDRESS *address, struct host *host)
{
	switch (address->Type) {
	case ADDRESS_TYPE_IP:
		*host = (struct host){ .bytes = { [10] = 0xff, 0xff } };
		memcpy(host->bytes + 12, address->IPAddress, IP_ADDRESS_SIZE);
		return true;
	case ADDRESS_TYPE_IP6:
		memcpy(host->bytes, address->IP6Address, IP6_ADDRESS_SIZE);
		return true;
	default:
		return false;
	}
}

static bool is_ipv4(const struct host *host)
{
	static const BYTE prefix[12] = { [10] = 0xff, 0xff };

	return !memcmp(host->bytes, prefix, sizeof(prefix));
}

char *host_text(const struct host *host, char text[HOST_TEXT])
{
	if (is_ipv4(host))
		snprintf(text, HOST_TEXT, "%u.%u.%u.%u", host->bytes[12], host->bytes[13],
			 host->bytes[14], host->bytes[15]);
	else if (!inet_ntop(AF_INET6, host->bytes, text, HOST_TEXT))
		text[0] = '\0';
	return text;
}

char *endpoint_text(const struct host *host, unsigned int port, char text[ENDPOINT_TEXT])
{
	char name[HOST_TEXT];

	snprintf(text, ENDPOINT_TEXT, is_ipv4(host) ? "%s:%u" : "[%s]:%u",
		 host_text(host, name), port & 0xffff);
	return text;
}

/* The bytes of the UTF-8 sequence at @from, and its character; 0: there is none. */
static unsigned int sequence(const unsigned char *from, unsigned int *character)
{
	static const unsigned int least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	unsigned int bytes = from[0] < 0x80 ? 1 : from[0] < 0xc2 ? 0 : from[0] < 0xe0 ? 2 :
			     from[0] < 0xf0 ? 3 : from[0] < 0xf5 ? 4 : 0;

	if (!bytes)
		return 0;
	*character = bytes == 1 ? from[0] : from[0] & (0x7f >> bytes);
	for (unsigned int i = 1; i < bytes; i++) {
		if ((from[i] & 0xc0) != 0x80)	/* which the null is not either */
			return 0;
		*character = *character << 6 | (from[i] & 0x3f);
	}
	if (*character < least[bytes] || *character > 0x10ffff || *character >> 11 == 0x1b)
		return 0;
	return bytes;
}

/* Control characters, and those that change the direction of the text. */
static bool acts(unsigned int character)
{
	return character < 0x20 || (character >= 0x7f && character < 0xa0) ||
	       character == 0x061c || (character >= 0x200e && character <= 0x200f) ||
	       (character >= 0x2028 && character <= 0x202e) ||
	       (character >= 0x2066 && character <= 0x2069);
}

char *visible_text(const char *from, char *text, size_t size)
{
	const unsigned char *byte = (const unsigned char *)from;
	size_t used = 0;

	while (*byte) {
		unsigned int character, bytes = sequence(byte, &character);
		char piece[20];

		if (bytes && !acts(character)) {
			memcpy(piece, byte, bytes);
			piece[bytes] = '\0';
		} else {
			bytes = bytes ? bytes : 1;
			for (unsigned int i = 0; i < bytes; i++)
				snprintf(piece + 4 * i, 5, "\\x%02x", byte[i]);
		}
		if (used + strlen(piece) + sizeof("...") > size) {
			strcpy(text + used, "...");
			return text;
		}
		strcpy(text + used, piece);
		used += strlen(piece);
		byte += bytes;
	}
	text[used] = '\0';
	return text;
}

const char *error_text(DWORD error)
{
	switch (error) {
	case NMERR_OUT_OF_MEMORY:
		return "out of memory";
	case NMERR_INVALID_HCAPTURE:
		return "the host has given no capture";
	case NMERR_NOT_SUPPORTED:
		return "only the wireshark engine can do this: install expertmem-engine-wireshark";
	case NMERR_LOST_CONNECTION:
		return "the engine that reads the capture has ended";
	case NMERR_PROTOCOL_NOT_FOUND:
		return "there is no such protocol";
	case NMERR_PROPERTY_NOT_FOUND:
		return "the protocol has no such property";
	case NMERR_INVALID_HFILTER:
	case NMERR_FILTER_INVALID_EXPRESSION:
		return "the filter is wrong";
	default:
		return "stopped";
	}
}

void print_no_addresses(const char *expert, unsigned long long frames, const char *statistics)
{
	fprintf(stderr, "%s: libexpertmem finds no addresses in these %llu frames; for all link types:\n"
		"%s: expertmem run -- tshark -r CAPTURE -q -z %s\n", expert, frames, expert, statistics);
}
