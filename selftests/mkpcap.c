// SPDX-License-Identifier: GPL-2.0
/*
 * mkpcap: write a capture whose hosts, frames and bytes are known.
 *
 *	mkpcap LINK ROUNDS	the nine frames below, ROUNDS times, on the link type LINK:
 *				ethernet, sll, sll2, null, loop, raw, ieee802_11, or
 *				pcapng: Ethernet in a file of that format
 *	mkpcap hosts COUNT	Ethernet; one frame of 60 bytes from each of COUNT hosts
 *				10.0.0.0 up to 192.0.2.1
 *
 * The files are written byte by byte: a test of what reads them shall not rest on the
 * library that it reads them with.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct link {
	const char *name;
	uint32_t type;		/* LINKTYPE_* */
	unsigned int header;	/* bytes */
	int ether_type_at;	/* where in the header, -1: none */
} links[] = {
	{ "ethernet",	1,   14, 12 },
	{ "sll",	113, 16, 14 },
	{ "sll2",	276, 20, 0 },
	{ "null",	0,   4,	 -1 },
	{ "loop",	108, 4,	 -1 },
	{ "raw",	101, 0,	 -1 },
	{ "ieee802_11",	105, 24, -1 },
	{ "pcapng",	1,   14, 12 },
};

enum { ARP = 0x0806, VLAN = 0x8100, QINQ = 0x88a8, IPV4 = 0x0800, IPV6 = 0x86dd };

/* Documentation addresses: 192.0.2.0/24 and 198.51.100.0/24, 2001:db8::/32 */
#define V4(a, b, c, d) { a, b, c, d }
#define V6(last) { 0x20, 0x01, 0x0d, 0xb8, [15] = (last) }

static const struct frame {
	unsigned int length;	/* on the wire, all headers included */
	int tags;		/* 1: VLAN, 2: QinQ; not on null, loop, raw */
	unsigned int type;
	unsigned char version;	/* first byte of the packet */
	unsigned int captured;	/* bytes of the packet */
	unsigned char source[16], destination[16];
} frames[] = {
	{ 100,	0, IPV4, 0x45, 60, V4(192, 0, 2, 1), V4(192, 0, 2, 2) },
	{ 1500,	0, IPV4, 0x45, 20, V4(192, 0, 2, 2), V4(192, 0, 2, 1) },
	{ 200,	1, IPV4, 0x46, 60, V4(192, 0, 2, 1), V4(198, 51, 100, 3) },
	{ 300,	0, IPV6, 0x60, 40, V6(1), V6(2) },
	{ 400,	2, IPV6, 0x6f, 80, V6(1), V6(3) },
	{ 60,	0, ARP,  0x00, 28, {}, {} },
	{ 80,	0, IPV4, 0x45, 19, V4(192, 0, 2, 9), V4(192, 0, 2, 8) },	/* cut */
	{ 90,	0, IPV4, 0x44, 40, V4(192, 0, 2, 7), V4(192, 0, 2, 6) },	/* malformed */
	{ 70,	0, IPV6, 0x50, 40, V6(9), V6(8) },				/* malformed */
};

static void put16(unsigned char *p, unsigned int value)
{
	p[0] = value >> 8;
	p[1] = value;
}

static int pcapng;

static void write_words(const uint32_t *words, size_t count)
{
	fwrite(words, sizeof(*words), count, stdout);
}

static void write_file_header(uint32_t link_type)
{
	struct {
		uint32_t magic;
		uint16_t major, minor;
		uint32_t reserved[2], longest, link_type;
	} header = { 0xa1b2c3d4, 2, 4, { 0, 0 }, 65535, link_type };
	struct {
		uint32_t type, size, magic;
		uint16_t major, minor;
		uint32_t section_size[2], size_again;
	} section = { 0x0a0d0d0a, 28, 0x1a2b3c4d, 1, 0, { -1, -1 }, 28 };

	if (!pcapng) {
		fwrite(&header, sizeof(header), 1, stdout);
		return;
	}
	fwrite(&section, sizeof(section), 1, stdout);
	/* one interface; the link type is 16 bits, the rest of the word reserved */
	write_words((uint32_t[]){ 1, 20, link_type, 65535, 20 }, 5);
}

static void write_record(const unsigned char *data, uint32_t captured, uint32_t length)
{
	static const unsigned char zeros[3];
	static uint32_t time;
	uint32_t padding = -captured % 4, size = 32 + captured + padding;

	time++;
	if (!pcapng) {
		write_words((uint32_t[]){ time, 0, captured, length }, 4);
		fwrite(data, captured, 1, stdout);
		return;
	}
	write_words((uint32_t[]){ 6, size, 0, 0, time, captured, length }, 7);
	fwrite(data, captured, 1, stdout);
	fwrite(zeros, padding, 1, stdout);
	write_words(&size, 1);
}

static void write_frame(const struct link *link, const struct frame *frame)
{
	unsigned char data[256] = {}, *packet = data + link->header;

	if (link->ether_type_at >= 0) {
		unsigned char *type = data + link->ether_type_at;

		if (frame->tags == 2) {
			put16(type, QINQ);
			type = packet + 2;
			packet += 4;
		}
		if (frame->tags) {
			put16(type, VLAN);
			type = packet + 2;
			packet += 4;
		}
		put16(type, frame->type);
	} else if (link->header == 4) {
		/* FreeBSD's families; loop is big-endian, null here little */
		unsigned int family = frame->type == IPV4 ? 2 : frame->type == IPV6 ? 28 : 99;

		data[strcmp(link->name, "loop") ? 0 : 3] = family;
	}
	packet[0] = frame->version;
	if (frame->type == IPV4) {
		memcpy(packet + 12, frame->source, 4);
		memcpy(packet + 16, frame->destination, 4);
	} else if (frame->type == IPV6) {
		memcpy(packet + 8, frame->source, 16);
		memcpy(packet + 24, frame->destination, 16);
	}
	write_record(data, packet - data + frame->captured, frame->length);
}

int main(int argc, char **argv)
{
	unsigned long count = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;
	const struct link *link = NULL;
	size_t i;

	for (i = 0; argc == 3 && i < sizeof(links) / sizeof(links[0]); i++)
		if (!strcmp(argv[1], links[i].name))
			link = &links[i];
	if (!link && (argc != 3 || strcmp(argv[1], "hosts"))) {
		fprintf(stderr, "Usage: mkpcap LINK ROUNDS | mkpcap hosts COUNT\n");
		return 2;
	}

	pcapng = !strcmp(argv[1], "pcapng");
	write_file_header(link ? link->type : 1);
	while (link && count--)
		for (i = 0; i < sizeof(frames) / sizeof(frames[0]); i++)
			write_frame(link, &frames[i]);
	for (i = 0; !link && i < count; i++)
		write_frame(&links[0], &(struct frame){
			60, 0, IPV4, 0x45, 20, V4(10, i >> 16, i >> 8, i), V4(192, 0, 2, 1) });
	return fflush(stdout) ? 1 : 0;
}
