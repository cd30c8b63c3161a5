// SPDX-License-Identifier: GPL-2.0
/*
 * mkpcap: write a capture whose hosts, frames and bytes are known.
 *
 *	mkpcap LINK ROUNDS	the nine frames below, ROUNDS times, on the link type LINK:
 *				ethernet, sll, sll2, null, loop, raw or ieee802_11
 *	mkpcap FORMAT ROUNDS	the same on Ethernet in another format:
 *				swapped		pcap in the other byte order
 *				nanosecond	pcap whose time stamps have nanoseconds
 *				pcapng		one interface
 *				mixed		pcapng of two sections in both byte orders, whose
 *						interfaces differ in link type, snapshot length
 *						and resolution, with blocks of every kind: each
 *						frame eight times
 *				unknown		like pcapng; one more frame on a second interface,
 *						whose link type nobody knows
 *	mkpcap hosts COUNT	Ethernet; one frame of 60 bytes from each of COUNT hosts
 *				10.0.0.0 up to 192.0.2.1
 *	mkpcap simple COUNT	the same in Simple Packet Blocks of pcapng
 *	mkpcap layers LINKTYPE	a frame with each stack of headers in layers_test.h that begins
 *				as LINKTYPE, a number, does; the hosts are 192.0.2.N, or
 *				2001:db8::N, where N counts the stacks
 *
 * The files are written byte by byte: a test of what reads them shall not rest on the
 * library that it reads them with.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "layers_test.h"

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
};

enum { AT_ETHERNET, AT_SLL };	/* in the table */
enum { ARP = 0x0806 };

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

#define FRAMES (sizeof(frames) / sizeof(frames[0]))

static void put16(unsigned char *p, unsigned int value)
{
	p[0] = value >> 8;
	p[1] = value;
}

static bool swapped;		/* against this machine's byte order */
static unsigned int now;	/* seconds: counts the frames */

static void write16(uint16_t value)
{
	value = swapped ? __builtin_bswap16(value) : value;
	fwrite(&value, sizeof(value), 1, stdout);
}

static void write32(uint32_t value)
{
	value = swapped ? __builtin_bswap32(value) : value;
	fwrite(&value, sizeof(value), 1, stdout);
}

/* pcap, whose first number says what time stamps count */

enum { MICROSECONDS = 0xa1b2c3d4, NANOSECONDS = 0xa1b23c4d };

static void write_file_header(uint32_t magic, uint32_t link_type)
{
	write32(magic);
	write16(2);			/* version 2.4 */
	write16(4);
	write32(0);
	write32(0);
	write32(65535);
	write32(link_type);
}

static void write_record(const unsigned char *data, uint32_t captured, uint32_t length)
{
	write32(++now);
	write32(0);
	write32(captured);
	write32(length);
	fwrite(data, captured, 1, stdout);
}

/* pcapng, which consists of blocks of these types */

enum {
	INTERFACE	= 1,
	OLD_PACKET	= 2,
	SIMPLE_PACKET	= 3,
	STATISTICS	= 5,
	PACKET		= 6,
	CUSTOM		= 0xbad,
	FROM_THE_FUTURE	= 0x0badf00d,
	SECTION		= 0x0a0d0d0a,
};

static void begin_block(uint32_t type, uint32_t body)
{
	write32(type);
	write32(12 + body);
}

static void end_block(uint32_t body)
{
	write32(12 + body);
}

static void write_section(void)
{
	begin_block(SECTION, 16);
	write32(0x1a2b3c4d);
	write16(1);			/* version 1.0 */
	write16(0);
	write32(-1);			/* its length is not known */
	write32(-1);
	end_block(16);
}

/* @resolution: time stamps count 10^-@resolution seconds */
static void write_interface(uint32_t link_type, uint32_t snapshot_length, unsigned char resolution)
{
	begin_block(INTERFACE, 20);
	write16(link_type);
	write16(0);
	write32(snapshot_length);
	write16(9);			/* the option if_tsresol, of one byte */
	write16(1);
	fwrite((unsigned char[4]){ resolution }, 4, 1, stdout);
	write32(0);			/* no more options */
	end_block(20);
}

/* A block of words that a reader has no use for. */
static void write_block(uint32_t type, uint32_t words)
{
	begin_block(type, 4 * words);
	for (uint32_t i = 0; i < words; i++)
		write32(0);
	end_block(4 * words);
}

static void write_padded(const unsigned char *data, uint32_t length)
{
	static const unsigned char zeros[3];

	fwrite(data, length, 1, stdout);
	fwrite(zeros, -length % 4, 1, stdout);
}

static void write_packet(uint32_t type, uint32_t interface, const unsigned char *data,
			 uint32_t captured, uint32_t length)
{
	uint32_t body = 20 + captured + -captured % 4;

	begin_block(type, body);
	if (type == OLD_PACKET) {
		write16(interface);
		write16(-1);	/* drops: not counted */
	} else {
		write32(interface);
	}
	write32(0);
	write32(++now);
	write32(captured);
	write32(length);
	write_padded(data, captured);
	end_block(body);
}

static void write_simple_packet(const unsigned char *data, uint32_t captured, uint32_t length)
{
	uint32_t body = 4 + captured + -captured % 4;

	begin_block(SIMPLE_PACKET, body);
	write32(length);
	write_padded(data, captured);
	end_block(body);
}

/* The frames */

#define FRAME_ROOM 256

/* Write a frame's bytes to @data, and return how many there are. */
static unsigned int make_frame(const struct link *link, const struct frame *frame,
			       unsigned char data[FRAME_ROOM])
{
	unsigned char *packet = data + link->header;

	memset(data, 0, FRAME_ROOM);
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
	return packet - data + frame->captured;
}

static void write_frames(const struct link *link)
{
	unsigned char data[FRAME_ROOM];

	for (size_t i = 0; i < FRAMES; i++) {
		unsigned int captured = make_frame(link, &frames[i], data);

		write_record(data, captured, frames[i].length);
	}
}

static void write_pcap(uint32_t magic, const struct link *link, unsigned long rounds)
{
	write_file_header(magic, link->type);
	while (rounds--)
		write_frames(link);
}

static void write_packets(uint32_t type, uint32_t interface, const struct link *link)
{
	unsigned char data[FRAME_ROOM];

	for (size_t i = 0; i < FRAMES; i++) {
		unsigned int captured = make_frame(link, &frames[i], data);

		write_packet(type, interface, data, captured, frames[i].length);
	}
}

static void write_swapped(unsigned long rounds)
{
	swapped = true;
	write_pcap(MICROSECONDS, &links[AT_ETHERNET], rounds);
}

static void write_nanosecond(unsigned long rounds)
{
	write_pcap(NANOSECONDS, &links[AT_ETHERNET], rounds);
}

static void write_pcapng(unsigned long rounds)
{
	write_section();
	write_interface(1, 65535, 6);
	while (rounds--)
		write_packets(PACKET, 0, &links[AT_ETHERNET]);
}

static void write_mixed_section(void)
{
	write_section();
	write_interface(links[AT_ETHERNET].type, 65535, 6);
	write_interface(links[AT_SLL].type, 0, 9);
	write_block(FROM_THE_FUTURE, 7);
	write_packets(PACKET, 0, &links[AT_ETHERNET]);
	write_packets(PACKET, 1, &links[AT_SLL]);
	write_interface(links[AT_ETHERNET].type, 128, 3);
	write_packets(OLD_PACKET, 0, &links[AT_ETHERNET]);
	write_block(CUSTOM, 3);
	write_packets(PACKET, 2, &links[AT_ETHERNET]);
	write_block(STATISTICS, 3);
}

static void write_mixed(unsigned long rounds)
{
	while (rounds--) {
		swapped = false;
		write_mixed_section();
		swapped = true;
		write_mixed_section();
	}
}

static void write_unknown(unsigned long rounds)
{
	write_pcapng(rounds);
	write_interface(65000, 65535, 6);
	write_packet(PACKET, 1, (unsigned char[4]){ 1, 2, 3, 4 }, 4, 60);
}

#define HOST_FRAME	60
#define HOST_CAPTURED	34

static void make_host_frame(unsigned long i, unsigned char data[FRAME_ROOM])
{
	const struct frame frame = { HOST_FRAME, 0, IPV4, 0x45, 20, V4(10, i >> 16, i >> 8, i),
				     V4(192, 0, 2, 1) };

	make_frame(&links[AT_ETHERNET], &frame, data);
}

static void write_hosts(unsigned long count)
{
	unsigned char data[FRAME_ROOM];

	write_file_header(MICROSECONDS, 1);
	for (unsigned long i = 0; i < count; i++) {
		make_host_frame(i, data);
		write_record(data, HOST_CAPTURED, HOST_FRAME);
	}
}

/* A Simple Packet Block has as many bytes as the snapshot length allows. */
static void write_simple(unsigned long count)
{
	unsigned char data[FRAME_ROOM];

	write_section();
	write_interface(1, HOST_CAPTURED, 6);
	for (unsigned long i = 0; i < count; i++) {
		make_host_frame(i, data);
		write_simple_packet(data, HOST_CAPTURED, HOST_FRAME);
	}
}

static void write_layers(unsigned long link_type)
{
	write_file_header(MICROSECONDS, link_type);
	for (unsigned int i = 0; i < STACKS; i++) {
		const struct stack *stack = &stacks[i];
		unsigned char data[FRAME_ROOM] = {}, *packet = data + stack->length;
		unsigned int length = stack->end == EM_LAYER_IPV6 ? 40 : 20;

		if (stack->link_type != link_type)
			continue;
		memcpy(data, stack->headers, stack->length);
		if (link_type == LINK_RAW_IP)
			packet = data;
		if (stack->end == EM_LAYER_IPV6) {
			/* no next header; hop limit */
			memcpy(packet, (unsigned char[]){ 0x60, 0, 0, 0, 0, 0, 59, 64 }, 8);
			memcpy(packet + 8, (unsigned char[])V6(i), 16);
			memcpy(packet + 24, (unsigned char[])V6(255), 16);
		} else if (stack->end == EM_LAYER_IPV4) {
			memcpy(packet, (unsigned char[]){ 0x45, 0, 0, 20, 0, 0, 0, 0, 64, 59 }, 10);
			memcpy(packet + 12, (unsigned char[])V4(192, 0, 2, i), 4);
			memcpy(packet + 16, (unsigned char[])V4(192, 0, 2, 255), 4);
		}
		length += packet - data;
		write_record(data, length, length);
	}
}

static const struct format {
	const char *name;
	void (*write)(unsigned long count);
} formats[] = {
	{ "swapped",	write_swapped },
	{ "nanosecond",	write_nanosecond },
	{ "pcapng",	write_pcapng },
	{ "mixed",	write_mixed },
	{ "unknown",	write_unknown },
	{ "hosts",	write_hosts },
	{ "simple",	write_simple },
	{ "layers",	write_layers },
};

int main(int argc, char **argv)
{
	unsigned long count = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;

	for (size_t i = 0; argc == 3 && i < sizeof(links) / sizeof(links[0]); i++)
		if (!strcmp(argv[1], links[i].name)) {
			write_pcap(MICROSECONDS, &links[i], count);
			return fflush(stdout) ? 1 : 0;
		}
	for (size_t i = 0; argc == 3 && i < sizeof(formats) / sizeof(formats[0]); i++)
		if (!strcmp(argv[1], formats[i].name)) {
			formats[i].write(count);
			return fflush(stdout) ? 1 : 0;
		}
	fprintf(stderr, "Usage: mkpcap LINK|FORMAT ROUNDS | hosts|simple COUNT | layers LINKTYPE\n");
	return 2;
}
