// SPDX-License-Identifier: GPL-2.0
/*
 * Addresses of frames: of each link type, behind each link header, and of frames that are cut. Then
 * comparing and writing addresses, and the helpers for labels and small integers.
 *
 * needs: native
 * also: asan fast
 */
#include <stdint.h>

#include "captures_test.h"

#define COUNT_OF(array)	(sizeof(array) / sizeof((array)[0]))
#define NONE		((DWORD)-1)

/* A frame: its LINKTYPE_, its bytes in hexadecimal, and where its packet's addresses are. */
struct sample {
	uint32_t link_type;
	const char *bytes;
	DWORD type;		/* of the packet's addresses; NONE */
	DWORD source, destination;
};

#define MAC		"0200000000010300000000a2"
#define IPV4		"4500001400000000401100007f0000010a000002"
#define IPV6		"6000000000003b40" \
			"20010db8000000000000000000000001" "20010db8000000000000000000000002"
#define IPX		"ffff001e0011" "00000001020304050607" "0451" "00000002020304050608" "0452"
#define VINES		"ffff001200010000000100020000000300040000"

static const struct sample samples[] = {
	{ 1, MAC "0800" IPV4, ADDRESS_TYPE_IP, 26, 30 },
	{ 1, MAC "81000001" "0800" IPV4, ADDRESS_TYPE_IP, 30, 34 },
	{ 1, MAC "88a80001" "81000002" "86dd" IPV6, ADDRESS_TYPE_IP6, 30, 46 },
	{ 1, MAC "8137" IPX, ADDRESS_TYPE_IPX, 32, 20 },
	{ 1, MAC "001e" IPX, ADDRESS_TYPE_IPX, 32, 20 },
	{ 1, MAC "0021" "e0e003" IPX, ADDRESS_TYPE_IPX, 35, 23 },
	{ 1, MAC "0600" IPX, ADDRESS_TYPE_XNS, 32, 20 },
	{ 1, MAC "0bad" VINES, ADDRESS_TYPE_VINES_IP, 26, 20 },
	{ 1, MAC "001c" "aaaa03" "000000" "0800" IPV4, ADDRESS_TYPE_IP, 34, 38 },
	{ 1, MAC "001c" "aaaa03" "00000c" "0800" IPV4, NONE, 0, 0 },
	{ 1, MAC "8864" "11000001" "0016" "0021" IPV4, ADDRESS_TYPE_IP, 34, 38 },
	{ 1, MAC "8847" "000010ff" "000011ff" IPV4, ADDRESS_TYPE_IP, 34, 38 },
	{ 1, MAC "0806" IPV4, NONE, 0, 0 },
	{ 6, "1040" MAC "aaaa03" "000000" "0800" IPV4, ADDRESS_TYPE_IP, 34, 38 },
	{ 6, "1040" "020000000001" "8300000000a2" "063000110020" "aaaa03" "000000" "0800" IPV4,
	  ADDRESS_TYPE_IP, 40, 44 },
	{ 6, "1000" MAC IPV4, NONE, 0, 0 },
	{ 10, "50" MAC "aaaa03" "000000" "86dd" IPV6, ADDRESS_TYPE_IP6, 29, 45 },
	{ 101, IPV4, ADDRESS_TYPE_IP, 12, 16 },
	{ 228, IPV4, ADDRESS_TYPE_IP, 12, 16 },
	{ 229, IPV6, ADDRESS_TYPE_IP6, 8, 24 },
	{ 113, "0000" "0001" "0006" "0200000000010000" "0800" IPV4, ADDRESS_TYPE_IP, 28, 32 },
	{ 276, "86dd" "0000" "00000001" "0001" "00" "06" "0200000000010000" IPV6,
	  ADDRESS_TYPE_IP6, 28, 44 },
	{ 0, "02000000" IPV4, ADDRESS_TYPE_IP, 16, 20 },
	{ 9, "ff03" "0021" IPV4, ADDRESS_TYPE_IP, 16, 20 },
	{ 104, "0f000800" IPV4, ADDRESS_TYPE_IP, 16, 20 },
	{ 147, IPV4, NONE, 0, 0 },
};

static uint32_t bytes_of(const struct sample *sample, unsigned char *bytes)
{
	uint32_t size = 0;
	unsigned int byte;

	while (sscanf(sample->bytes + 2 * size, "%2x", &byte) == 1)
		bytes[size++] = (unsigned char)byte;
	return size;
}

/* Write the samples to the file, each of which lacks its last @cut bytes. */
static void write_samples(const char *path, uint32_t cut)
{
	FILE *file = fopen(path, "w");
	unsigned char bytes[256];

	for (size_t i = 0; i < COUNT_OF(samples); i++) {
		uint32_t head[2] = { samples[i].link_type, bytes_of(&samples[i], bytes) };

		head[1] -= cut < head[1] ? cut : head[1];
		fwrite(head, sizeof(head), 1, file);
		fwrite(bytes, head[1], 1, file);
	}
	fclose(file);
}

FIXTURE(addresses) {
	HEXPERTKEY key;
	HCAPTURE capture;
	char path[128];
};

static HEXPERTKEY open_samples(const char *path, uint32_t cut)
{
	write_samples(path, cut);
	return open_with("", path, NULL);
}

FIXTURE_SETUP(addresses)
{
	make_engines();
	snprintf(self->path, sizeof(self->path), "%s.frames", engines);
	self->key = open_samples(self->path, 0);
	ASSERT_NE(NULL, self->key);
	self->capture = capture_of(self->key);
	ASSERT_EQ(COUNT_OF(samples), GetCaptureTotalFrames(self->capture));
}

FIXTURE_TEARDOWN(addresses)
{
	expertmem_close(self->key);
	unlink(self->path);
	remove_engines();
}

TEST_F(addresses, packets_are_found_behind_each_link_header)
{
	for (size_t i = 0; i < COUNT_OF(samples); i++) {
		const struct sample *sample = &samples[i];
		HFRAME frame = GetFrame(self->capture, (DWORD)i);
		DWORD type = sample->type == NONE ? ADDRESS_TYPE_IP : sample->type;
		DWORD source = GetFrameSrcAddressOffset(frame, type, NULL);
		DWORD destination = GetFrameDstAddressOffset(frame, type, NULL);

		EXPECT_EQ(sample->type == NONE ? NONE : sample->source, source)
			TH_LOG("%zu", i);
		EXPECT_EQ(sample->type == NONE ? NONE : sample->destination, destination)
			TH_LOG("%zu", i);
		if (sample->type == NONE)
			EXPECT_EQ(NMERR_PROTOCOL_NOT_FOUND, BhGetLastError());
	}
}

TEST_F(addresses, no_frame_has_addresses_of_other_types)
{
	static const DWORD types[] = {
		ADDRESS_TYPE_IP, ADDRESS_TYPE_IP6, ADDRESS_TYPE_IPX, ADDRESS_TYPE_XNS,
		ADDRESS_TYPE_VINES_IP, ADDRESS_TYPE_ANY, ADDRESS_TYPE_ANY_GROUP, ADDRESS_TYPE_ATM,
		ADDRESS_TYPE_1394, ADDRESS_TYPE_LOCAL_ONLY, 14, NONE,
	};
	ADDRESS2 address;

	for (size_t i = 0; i < COUNT_OF(samples); i++) {
		HFRAME frame = GetFrame(self->capture, (DWORD)i);

		for (size_t t = 0; t < COUNT_OF(types); t++) {
			DWORD error = GetFrameSourceAddress(frame, &address, types[t], 0);

			EXPECT_EQ(types[t] == samples[i].type && types[t] != NONE ?
				  NMERR_SUCCESS : NMERR_PROTOCOL_NOT_FOUND, error)
				TH_LOG("frame %zu, type %u", i, types[t]);
		}
	}
}

TEST_F(addresses, an_address_that_was_not_captured_is_none)
{
	unsigned char bytes[256];
	HEXPERTKEY key;

	for (uint32_t cut = 1; cut < 100; cut++) {
		key = open_samples(self->path, cut);
		ASSERT_NE(NULL, key);
		for (size_t i = 0; i < COUNT_OF(samples); i++) {
			HFRAME frame = GetFrame(capture_of(key), (DWORD)i);
			uint32_t size = bytes_of(&samples[i], bytes);
			DWORD length = 0, offset;

			offset = GetFrameSrcAddressOffset(frame, ADDRESS_TYPE_FIND_HIGHEST,
							  &length);
			size -= cut < size ? cut : size;
			EXPECT_TRUE(offset == NONE || offset + length <= size)
				TH_LOG("frame %zu, cut %u", i, cut);
		}
		expertmem_close(key);
	}
}

TEST_F(addresses, the_highest_address_is_the_packets_or_else_the_links)
{
	static const BYTE localhost[] = { 127, 0, 0, 1 };
	HFRAME packet = GetFrame(self->capture, 0), none = GetFrame(self->capture, 12);
	ADDRESS2 address;
	DWORD length;

	memset(&address, 0xa5, sizeof(address));
	EXPECT_EQ(NMERR_SUCCESS,
		  GetFrameSourceAddress(packet, &address, ADDRESS_TYPE_FIND_HIGHEST, 0));
	EXPECT_EQ(ADDRESS_TYPE_IP, address.Type);
	EXPECT_EQ(0, memcmp(address.IPAddress, localhost, sizeof(localhost)));
	EXPECT_EQ(0, address.Flags);
	EXPECT_EQ(NMERR_SUCCESS,
		  GetFrameDestAddress(none, &address, ADDRESS_TYPE_FIND_HIGHEST, 0));
	EXPECT_EQ(ADDRESS_TYPE_ETHERNET, address.Type);
	EXPECT_EQ(0, GetFrameDstAddressOffset(none, ADDRESS_TYPE_ETHERNET, &length));
	EXPECT_EQ(6, length);
	EXPECT_EQ(6, GetFrameSrcAddressOffset(none, ADDRESS_TYPE_ETHERNET, NULL));
}

TEST_F(addresses, link_addresses_are_changed_as_the_flags_say)
{
	static const BYTE raw[] = { 3, 0, 0, 0, 0, 0xa2 }, clear[] = { 2, 0, 0, 0, 0, 0xa2 };
	static const BYTE routed[] = { 0x83, 0, 0, 0, 0, 0xa2 }, plain[] = { 3, 0, 0, 0, 0, 0xa2 };
	static const BYTE reversed[] = { 0xc0, 0, 0, 0, 0, 0x45 };
	HFRAME ethernet = GetFrame(self->capture, 0), ring = GetFrame(self->capture, 14);
	HFRAME fddi = GetFrame(self->capture, 16);
	const DWORD normal = ADDRESSTYPE_FLAGS_NORMALIZE, reverse = ADDRESSTYPE_FLAGS_BIT_REVERSE;
	ADDRESS2 address;

	GetFrameSourceAddress(ethernet, &address, ADDRESS_TYPE_ETHERNET, 0);
	EXPECT_EQ(0, memcmp(address.MACAddress, raw, 6));
	GetFrameSourceAddress(ethernet, &address, ADDRESS_TYPE_ETHERNET, normal | reverse);
	EXPECT_EQ(0, memcmp(address.MACAddress, clear, 6));
	EXPECT_EQ(normal | reverse, address.Flags);
	GetFrameSourceAddress(ring, &address, ADDRESS_TYPE_TOKENRING, 0);
	EXPECT_EQ(0, memcmp(address.MACAddress, routed, 6));
	GetFrameSourceAddress(ring, &address, ADDRESS_TYPE_TOKENRING, normal);
	EXPECT_EQ(0, memcmp(address.MACAddress, plain, 6));
	GetFrameSourceAddress(ring, &address, ADDRESS_TYPE_TOKENRING, normal | reverse);
	EXPECT_EQ(0, memcmp(address.MACAddress, reversed, 6));
	GetFrameSourceAddress(fddi, &address, ADDRESS_TYPE_FDDI, normal);
	EXPECT_EQ(0, memcmp(address.MACAddress, clear, 6));
	EXPECT_EQ(7, GetFrameSrcAddressOffset(fddi, ADDRESS_TYPE_FDDI, NULL));
	EXPECT_EQ(1, GetFrameDstAddressOffset(fddi, ADDRESS_TYPE_FDDI, NULL));
	EXPECT_EQ(13, GetFrameMacHeaderLength(fddi));
	EXPECT_EQ(20, GetFrameMacHeaderLength(ring));
	EXPECT_EQ(MAC_TYPE_TOKENRING, GetFrameMacType(ring));
	EXPECT_EQ(MAC_TYPE_UNKNOWN, GetFrameMacType(GetFrame(self->capture, 17)));
	EXPECT_EQ(0, GetFrameMacHeaderLength(GetFrame(self->capture, 17)));

	memset(&address, 0xa5, sizeof(address));
	EXPECT_EQ(NMERR_INVALID_PARAMETER, GetFrameSourceAddress(ethernet, NULL, 0, 0));
	EXPECT_EQ(NMERR_INVALID_PARAMETER, GetFrameDestAddress(ethernet, &address, 0, 4));
	EXPECT_EQ(NMERR_PROTOCOL_NOT_FOUND,
		  GetFrameDestAddress(ethernet, &address, ADDRESS_TYPE_FDDI, 0));
	EXPECT_EQ(0xa5a5a5a5, address.Type);
}

TEST_F(addresses, frames_are_compared_with_addresses_of_their_types)
{
	HFRAME frame = GetFrame(self->capture, 0);
	ADDRESS2 address;

	GetFrameSourceAddress(frame, &address, ADDRESS_TYPE_ETHERNET, ADDRESSTYPE_FLAGS_NORMALIZE);
	EXPECT_EQ(TRUE, CompareFrameSourceAddress(frame, &address));
	EXPECT_EQ(FALSE, CompareFrameDestAddress(frame, &address));
	EXPECT_EQ(NMERR_SUCCESS, BhGetLastError());
	address.Flags = 0;
	EXPECT_EQ(FALSE, CompareFrameSourceAddress(frame, &address));
	EXPECT_EQ(NMERR_SUCCESS, BhGetLastError());
	GetFrameDestAddress(frame, &address, ADDRESS_TYPE_IP, 0);
	EXPECT_EQ(TRUE, CompareFrameDestAddress(frame, &address));
	address.Type = ADDRESS_TYPE_IP6;
	EXPECT_EQ(FALSE, CompareFrameDestAddress(frame, &address));
	EXPECT_EQ(NMERR_PROTOCOL_NOT_FOUND, BhGetLastError());
	EXPECT_EQ(FALSE, CompareFrameDestAddress(NULL, &address));
	EXPECT_EQ(NMERR_INVALID_HFRAME, BhGetLastError());
	EXPECT_EQ(FALSE, CompareFrameSourceAddress(frame, NULL));
	EXPECT_EQ(NMERR_INVALID_PARAMETER, BhGetLastError());
	address.Type = ADDRESS_TYPE_FIND_HIGHEST;
	EXPECT_EQ(FALSE, CompareFrameSourceAddress(frame, &address));
	EXPECT_EQ(NMERR_INVALID_PARAMETER, BhGetLastError());
}

/* ------------------------------------------------------------------- without a capture */

TEST(addresses_are_ordered_by_type_and_then_by_bytes)
{
	ADDRESS2 a = { .Type = ADDRESS_TYPE_IP, .IPAddress = { 10, 0, 0, 1 } }, b = a;

	EXPECT_EQ(0, CompareAddresses(&a, &b));
	b.IPAddress[3] = 2;
	EXPECT_GT(0, CompareAddresses(&a, &b));
	EXPECT_LT(0, CompareAddresses(&b, &a));
	b.IPAddress[3] = 1;
	b.Flags = 3;
	b.IP6Address[4] = 9;	/* behind an IPv4 address */
	EXPECT_EQ(0, CompareAddresses(&a, &b));
	b.Type = ADDRESS_TYPE_IP6;
	EXPECT_GT(0, CompareAddresses(&a, &b));
	a.Type = ADDRESS_TYPE_IP6;
	EXPECT_GT(0, CompareAddresses(&a, &b));
	BhSetLastError(NMERR_SUCCESS);
	EXPECT_GT(0, CompareAddresses(NULL, &b));
	EXPECT_EQ(NMERR_INVALID_PARAMETER, BhGetLastError());
	EXPECT_LT(0, CompareAddresses(&b, NULL));
	EXPECT_EQ(0, CompareAddresses(NULL, NULL));
}

TEST(link_types_have_addresses)
{
	EXPECT_EQ(ADDRESS_TYPE_ETHERNET, MacTypeToAddressType(MAC_TYPE_ETHERNET));
	EXPECT_EQ(ADDRESS_TYPE_TOKENRING, MacTypeToAddressType(MAC_TYPE_TOKENRING));
	EXPECT_EQ(ADDRESS_TYPE_FDDI, MacTypeToAddressType(MAC_TYPE_FDDI));
	EXPECT_EQ(ADDRESS_TYPE_ATM, MacTypeToAddressType(MAC_TYPE_ATM));
	EXPECT_EQ(ADDRESS_TYPE_1394, MacTypeToAddressType(MAC_TYPE_1394));
	EXPECT_EQ(NONE, MacTypeToAddressType(MAC_TYPE_UNKNOWN));
	EXPECT_EQ(NMERR_UNKNOWN_MACTYPE, BhGetLastError());
	EXPECT_EQ(NONE, MacTypeToAddressType(6));
}

TEST(link_addresses_are_written_and_read)
{
	static const char *const wrong[] = {
		"", "0200000000a", "0200000000a1f", "02:00:00:00:00", "02:00:00:00:00:a1:",
		"0200.0000.00a1", ":0200000000a1", "02000000 0a1", "02::00:00:00:00:a1",
	};
	BYTE address[] = { 2, 0, 0, 0, 0, 0xa1 }, read[6];
	char text[14] = "xxxxxxxxxxxxx";

	EXPECT_EQ(&text[0], AddressToString(text, address));
	EXPECT_STREQ("0200000000A1", text);
	EXPECT_EQ(&read[0], StringToAddress(read, text));
	EXPECT_EQ(0, memcmp(address, read, 6));
	memset(read, 0, 6);
	EXPECT_EQ(&read[0], StringToAddress(read, (char *)"02-00-00-00-00-a1"));
	EXPECT_EQ(0, memcmp(address, read, 6));
	EXPECT_EQ(&read[0], StringToAddress(read, (char *)"02:00:00:00:00:A1"));
	memset(read, 7, 6);
	for (size_t i = 0; i < COUNT_OF(wrong); i++) {
		BhSetLastError(NMERR_SUCCESS);
		EXPECT_EQ(NULL, StringToAddress(read, (char *)wrong[i])) TH_LOG("%s", wrong[i]);
		EXPECT_EQ(NMERR_INVALID_PARAMETER, BhGetLastError());
	}
	EXPECT_EQ(7, read[0]);
	EXPECT_EQ(NULL, StringToAddress(NULL, text));
	EXPECT_EQ(NULL, StringToAddress(read, NULL));
	EXPECT_EQ(NULL, AddressToString(NULL, address));
	EXPECT_EQ(NULL, AddressToString(text, NULL));
}

TEST(labels_of_sets_are_found)
{
	LABELED_BYTE bytes[] = { { 1, (char *)"one" }, { 200, (char *)"many" } };
	LABELED_WORD words[] = { { 1, (char *)"one" }, { 60000, (char *)"many" } };
	LABELED_DWORD dwords[] = { { 1, (char *)"one" }, { 4000000000, (char *)"many" } };
	SET set = { .nEntries = 2, .lpLabeledByteTable = bytes };

	EXPECT_STREQ("many", (char *)LookupByteSetString(&set, 200));
	EXPECT_EQ(NULL, LookupByteSetString(&set, 2));
	EXPECT_EQ(NMERR_OUT_OF_RANGE, BhGetLastError());
	set.lpLabeledWordTable = words;
	EXPECT_STREQ("one", (char *)LookupWordSetString(&set, 1));
	EXPECT_STREQ("many", (char *)LookupWordSetString(&set, 60000));
	EXPECT_EQ(NULL, LookupWordSetString(&set, 0));
	set.lpLabeledDwordTable = dwords;
	EXPECT_STREQ("many", (char *)LookupDwordSetString(&set, 4000000000));
	set.nEntries = 1;
	EXPECT_EQ(NULL, LookupDwordSetString(&set, 4000000000));
	EXPECT_EQ(NULL, LookupDwordSetString(NULL, 1));
	EXPECT_EQ(NMERR_INVALID_PARAMETER, BhGetLastError());
	set.lpVoidTable = NULL;
	EXPECT_EQ(NULL, LookupWordSetString(&set, 1));
	EXPECT_EQ(NMERR_INVALID_PARAMETER, BhGetLastError());
}

TEST(integers_of_any_length_become_dwords)
{
	BYTE bytes[] = { 1, 2, 3, 4, 0, 0, 0, 0, 0 };
	DWORD value = 7;

	EXPECT_EQ(&value, VarLenSmallIntToDword(bytes, 1, TRUE, &value));
	EXPECT_EQ(1, value);
	EXPECT_EQ(&value, VarLenSmallIntToDword(bytes, 3, TRUE, &value));
	EXPECT_EQ(0x010203, value);
	EXPECT_EQ(&value, VarLenSmallIntToDword(bytes, 3, FALSE, &value));
	EXPECT_EQ(0x030201, value);
	EXPECT_EQ(&value, VarLenSmallIntToDword(bytes, 8, FALSE, &value));
	EXPECT_EQ(0x04030201, value);
	EXPECT_EQ(NULL, VarLenSmallIntToDword(bytes, 8, TRUE, &value));
	EXPECT_EQ(NMERR_OUT_OF_RANGE, BhGetLastError());
	EXPECT_EQ(NULL, VarLenSmallIntToDword(bytes, 9, FALSE, &value));
	EXPECT_EQ(NMERR_INVALID_PARAMETER, BhGetLastError());
	EXPECT_EQ(NULL, VarLenSmallIntToDword(bytes, 0, FALSE, &value));
	EXPECT_EQ(NULL, VarLenSmallIntToDword(NULL, 1, FALSE, &value));
	EXPECT_EQ(NULL, VarLenSmallIntToDword(bytes, 1, FALSE, NULL));
	EXPECT_EQ(0x04030201, value);
}

TEST_HARNESS_MAIN
