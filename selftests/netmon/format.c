// SPDX-License-Identifier: GPL-2.0
/*
 * Properties as text: each type with each qualifier, values of wrong sizes, bytes that must not
 * reach a terminal, and buffers of each size.
 *
 * needs: native
 * also: asan fast
 */
#include <string.h>

#include "../../libexpertmem/capture.h"

#include "harness.h"

static BYTE bytes[] = { 1, 10 };
static WORD words[] = { 1, 10 };
static DWORD dwords[] = { 1, 10 };
static LARGE_INTEGER larges[] = { { .QuadPart = 1 }, { .QuadPart = 10 } };
static LABELED_BYTE byte_labels[] = { { 1, (LPSTR)"one" }, { 10, (LPSTR)"ten\n" } };
static LABELED_WORD word_labels[] = { { 1, (LPSTR)"one" }, { 10, (LPSTR)"ten" } };
static LABELED_DWORD dword_labels[] = { { 10, NULL }, { 11, (LPSTR)"eleven" } };
static LABELED_LARGEINT large_labels[] = { { { .QuadPart = 10 }, (LPSTR)"ten" } };
static LABELED_BIT bits[] = { { 0, (LPSTR)"off", (LPSTR)"on" }, { 1, (LPSTR)"off", (LPSTR)"on" },
			      { 99, (LPSTR)"never", (LPSTR)"never" } };
static RANGE range = { 1, 20 };

static SET byte_set = { 2, { bytes } }, word_set = { 2, { words } }, dword_set = { 2, { dwords } };
static SET large_set = { 2, { larges } }, bit_set = { 3, { bits } }, no_set;
static SET labeled_bytes = { 2, { byte_labels } }, labeled_words = { 2, { word_labels } };
static SET labeled_dwords = { 2, { dword_labels } }, labeled_larges = { 1, { large_labels } };

#define FLAGGED(kind, qualifier, info, value, out, flags) \
	{ PROP_TYPE_##kind, PROP_QUAL_##qualifier, info, value, sizeof(value) - 1, out, flags }
#define CASE(kind, qualifier, info, value, out) FLAGGED(kind, qualifier, info, value, out, 0)
#define IP6 "\xfe\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\1"
/* 23 November 2026, 1:02:03.004 */
#define WHEN "\xea\7\13\0\1\0\27\0\1\0\2\0\3\0\4\0"

static const struct {
	BYTE type, qualifier;
	void *info;
	const char *value;
	DWORD length;
	const char *text;
	DWORD flags;
} cases[] = {
	CASE(BYTE, NONE, NULL, "\n", "L = 10 (0xa)"),
	CASE(BYTE, RANGE, &range, "\n", "L = 10 (0xa) Range:(1 (0x1) - 20 (0x14))"),
	CASE(BYTE, RANGE, NULL, "\n", "L = 10 (0xa)"),
	CASE(BYTE, SET, &byte_set, "\n", "L = 10 (0xa) Matches Set Value"),
	CASE(BYTE, SET, &byte_set, "\t", "L = 9 (0x9) Unknown Set Value"),
	CASE(BYTE, SET, NULL, "\t", "L = 9 (0x9) Unknown Set Value"),
	CASE(BYTE, BITFIELD, NULL, "\n", "L = 10 (0xa)"),
	CASE(BYTE, LABELED_SET, &labeled_bytes, "\n", "L = ten\\n"),
	CASE(BYTE, LABELED_SET, &labeled_bytes, "\t", "L = 9 (0x9)"),
	CASE(BYTE, LABELED_BITFIELD, &bit_set, "\n", "L = .......0 = off ......1. = on"),
	CASE(BYTE, CONST, NULL, "\n", "L"),
	CASE(BYTE, FLAGS, &bit_set, "\n", "L = .......0 = off ......1. = on"),
	CASE(BYTE, FLAGS, &no_set, "\n", "L = 10 (0xa)"),
	CASE(BYTE, ARRAY, NULL, "\n\xff", "L = 0a ff"),
	CASE(WORD, NONE, NULL, "\n\0", "L = 10 (0xa)"),
	FLAGGED(WORD, NONE, NULL, "\0\n", "L = 10 (0xa)", IFLAG_SWAPPED),
	FLAGGED(WORD, SET, &word_set, "\0\n", "L = 10 (0xa) Matches Set Value", IFLAG_SWAPPED),
	CASE(WORD, LABELED_SET, &labeled_words, "\n\0", "L = ten"),
	CASE(WORD, FLAGS, &bit_set, "\1\0", "L = ...............1 = on ..............0. = off"),
	FLAGGED(WORD, ARRAY, NULL, "\0\n\xff\xff\1", "L = 000a ffff", IFLAG_SWAPPED),
	CASE(WORD, NONE, NULL, "\1", "L = 01"),
	CASE(BYTESWAPPED_WORD, NONE, NULL, "\0\n", "L = 10 (0xa)"),
	CASE(DWORD, NONE, NULL, "\n\0\0\0", "L = 10 (0xa)"),
	CASE(DWORD, SET, &dword_set, "\n\0\0\0", "L = 10 (0xa) Matches Set Value"),
	CASE(DWORD, LABELED_SET, &labeled_dwords, "\n\0\0\0", "L = 10 (0xa)"),
	CASE(DWORD, LABELED_SET, &labeled_dwords, "\13\0\0\0", "L = eleven"),
	CASE(DWORD, ARRAY, NULL, "\n\0\0\0\xff\xff\xff\xff", "L = 0000000a ffffffff"),
	CASE(BYTESWAPPED_DWORD, NONE, NULL, "\0\0\0\n", "L = 10 (0xa)"),
	CASE(LARGEINT, NONE, NULL, "\n\0\0\0\0\0\0\0", "L = 10 (0xa)"),
	CASE(LARGEINT, SET, &large_set, "\n\0\0\0\0\0\0\0", "L = 10 (0xa) Matches Set Value"),
	CASE(LARGEINT, LABELED_SET, &labeled_larges, "\n\0\0\0\0\0\0\0", "L = ten"),
	FLAGGED(VAR_LEN_SMALL_INT, NONE, NULL, "\1\0\0", "L = 65536 (0x10000)", IFLAG_SWAPPED),
	CASE(VAR_LEN_SMALL_INT, LABELED_SET, &labeled_larges, "\n\0\0", "L = ten"),
	CASE(VAR_LEN_SMALL_INT, NONE, NULL, "123456789", "L = 31 32 33 34 35 36 37 38 39"),

	CASE(STRING, NONE, NULL, "plain \"text\"\\", "L = plain \"text\"\\"),
	CASE(STRING, CONST, NULL, "x\0\0", "L = x"),
	CASE(STRING, NONE, NULL, "\x1b[31m\r\n\t\x7f\xff", "L = \\x1b[31m\\r\\n\\t\\x7f\\xff"),
	CASE(STRING, NONE, NULL, "\xc3\xa4\xe2\x82\xac\xc2\x9b",
	     "L = \xc3\xa4\xe2\x82\xac\\xc2\\x9b"),
	CASE(STRING, NONE, NULL, "\xe2\x82", "L = \\xe2\\x82"),
	CASE(STRING, NONE, NULL, "a\0b", "L = a\\x00b"),
	FLAGGED(STRING, NONE, NULL, "A\0\xac\x20\x3d\xd8\0\xde\n\0x",
		"L = A\xe2\x82\xac\xf0\x9f\x98\x80\\n", IFLAG_UNICODE),
	FLAGGED(STRING, NONE, NULL, "\0A\xd8\x3d", "L = A\xef\xbf\xbd",
		IFLAG_UNICODE | IFLAG_SWAPPED),
	CASE(TYPED_STRING, NONE, NULL, "x", "L = x"),
	CASE(SRCFRIENDLYNAME, NONE, NULL, "x", "L = x"),
	CASE(DSTFRIENDLYNAME, NONE, NULL, "x", "L = x"),
	CASE(VOID, NONE, NULL, "XYZ", "XYZ"),
	CASE(VOID, NONE, NULL, "", "L"),
	CASE(COMMENT, FLAGS, NULL, "XYZ", "XYZ"),
	CASE(SUMMARY, NONE, NULL, "XYZ", "XYZ"),
	CASE(RAW_DATA, ARRAY, NULL, "XYZ", "L"),
	CASE(TIME, NONE, NULL, WHEN, "L = 2026-11-23 01:02:03.004"),
	CASE(TIME, CONST, NULL, "x", "L = 78"),
	CASE(IP_ADDRESS, NONE, NULL, "\x81\x41\x64\2", "L = 129.65.100.2"),
	CASE(IP_ADDRESS, FLAGS, NULL, "\x81\x41\x64\2", "L = 129.65.100.2"),
	CASE(IP_ADDRESS, NONE, NULL, "\x81\x41", "L = 81 41"),
	CASE(IP6_ADDRESS, NONE, NULL, IP6, "L = fe80::1"),
	CASE(IPX_ADDRESS, NONE, NULL, "\1\2\3\4\5\6\7\10\11\12", "L = 01020304.05060708090a"),
	CASE(VINES_IP_ADDRESS, NONE, NULL, "\1\2\3\4\5\6", "L = 01020304.0506"),
	CASE(ADDR, NONE, NULL, "\1\2\3\4\5\xff", "L = 01-02-03-04-05-ff"),
	CASE(TOKENRING_ADDRESS, NONE, NULL, "\1\2\3\4\5\xff", "L = 01-02-03-04-05-ff"),
	CASE(FDDI_ADDRESS, NONE, NULL, "\1\2\3\4\5\xff", "L = 01-02-03-04-05-ff"),
	CASE(ETHERNET_ADDRESS, NONE, NULL, "\1\2\3\4\5\xff", "L = 01-02-03-04-05-ff"),
	CASE(ATM_ADDRESS, NONE, NULL, "\1\2", "L = 01-02"),
	CASE(1394_ADDRESS, NONE, NULL, "\1\2", "L = 01-02"),
	CASE(OBJECT_IDENTIFIER, NONE, NULL, "\x2b\6\1\x82\x37", "L = 1.3.6.1.311"),
	CASE(OBJECT_IDENTIFIER, NONE, NULL, "\x88\x37", "L = 2.999"),
	CASE(OBJECT_IDENTIFIER, NONE, NULL, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\1",
	     "L = ..."),
};

#define COUNT	(sizeof(cases) / sizeof(cases[0]))

static PROPERTYINFO info_of(size_t i)
{
	return (PROPERTYINFO){
		.Label = (LPSTR)"L", .DataType = cases[i].type, .DataQualifier = cases[i].qualifier,
		.lpExtendedInfo = cases[i].info,
	};
}

static PROPERTYINST instance_of(size_t i, PROPERTYINFO *info)
{
	*info = info_of(i);
	return (PROPERTYINST){
		.lpPropertyInfo = info, .lpData = (LPVOID)cases[i].value,
		.DataLength = cases[i].length, .IFlags = cases[i].flags,
	};
}

TEST(every_type_and_qualifier)
{
	char text[200];

	for (size_t i = 0; i < COUNT; i++) {
		PROPERTYINFO info;
		PROPERTYINST inst = instance_of(i, &info);

		EXPECT_EQ(strlen(cases[i].text), em_format(&inst, NULL, text, sizeof(text)));
		EXPECT_STREQ(cases[i].text, text);
	}
}

TEST(every_type_is_in_the_table)
{
	for (int type = 0; type <= PROP_TYPE_IP6_ADDRESS; type++) {
		bool found = false;

		for (size_t i = 0; i < COUNT; i++)
			found |= cases[i].type == type;
		EXPECT_TRUE(found)
			TH_LOG("type %d", type);
	}
}

/* The value is in a PROPERTYINSTEX, and the text is the same. */
TEST(every_value_outside_of_the_frame)
{
	union {
		PROPERTYINSTEX ex;
		char room[sizeof(PROPERTYINSTEX) + 64];
	} value;
	char text[200];

	for (size_t i = 0; i < COUNT; i++) {
		PROPERTYINFO info;
		PROPERTYINST inst = instance_of(i, &info);

		value.ex = (PROPERTYINSTEX){ .LengthEx = cases[i].length };
		memcpy(value.ex.Byte, cases[i].value, cases[i].length);
		inst.lpPropertyInstEx = &value.ex;
		inst.DataLength = 0xffff;
		em_format(&inst, NULL, text, sizeof(text));
		EXPECT_STREQ(cases[i].text, text);
	}
}

/* A text that is cut is a start of the whole text, has whole characters, and no byte behind it. */
TEST(buffers_of_every_size)
{
	char whole[200], text[200];

	for (size_t i = 0; i < COUNT; i++) {
		PROPERTYINFO info;
		PROPERTYINST inst = instance_of(i, &info);
		size_t length = em_format(&inst, NULL, whole, sizeof(whole));

		for (size_t size = 0; size < length + 2; size++) {
			memset(text, '#', sizeof(text));
			ASSERT_EQ(length, em_format(&inst, NULL, text, size));
			for (size_t b = size; b < sizeof(text); b++)
				ASSERT_EQ('#', text[b]);
			if (!size)
				continue;
			ASSERT_LT(strlen(text), size);
			ASSERT_EQ(0, strncmp(whole, text, strlen(text)));
			ASSERT_NE(0x80, (unsigned char)whole[strlen(text)] & 0xc0);
		}
	}
}

/* What only the engine's descriptions have. */
TEST(fields_of_the_engine)
{
	const int64_t time = -1500000001;
	const double number = 0.25;
	struct em_field field = { .info = { .Label = (LPSTR)"L" } };
	PROPERTYINST inst = { .lpPropertyInfo = &field.info };
	char text[100];

	field.info.DataType = PROP_TYPE_LARGEINT;
	field.flags = ENGINE_FIELD_DURATION | ENGINE_FIELD_SIGNED;
	inst.lpData = (LPVOID)&time;
	inst.DataLength = 8;
	em_format(&inst, &field, text, sizeof(text));
	EXPECT_STREQ("L = -1.500000001 seconds", text);
	field.flags = ENGINE_FIELD_SIGNED;
	em_format(&inst, &field, text, sizeof(text));
	EXPECT_STREQ("L = -1500000001 (0xffffffffa697d0ff)", text);
	field.info.DataType = PROP_TYPE_RAW_DATA;
	field.flags = ENGINE_FIELD_DOUBLE;
	inst.lpData = (LPVOID)&number;
	em_format(&inst, &field, text, sizeof(text));
	EXPECT_STREQ("L = 0.25", text);

	/* a masked bit is drawn where it is in the integer around it */
	field.info.DataType = PROP_TYPE_BYTE;
	field.info.DataQualifier = PROP_QUAL_FLAGS;
	field.info.lpSet = &(SET){ 1, { bits } };
	field.flags = 0;
	field.mask = 0x100;
	inst.lpData = (LPVOID)"\1";
	inst.DataLength = 1;
	em_format(&inst, &field, text, sizeof(text));
	EXPECT_STREQ("L = .......1........ = on", text);

	/* the bytes of a protocol in the frame are no text */
	field.info.DataType = PROP_TYPE_SUMMARY;
	em_format(&inst, &field, text, sizeof(text));
	EXPECT_STREQ("L", text);
	/* text of the tree has no label */
	field.info.DataType = PROP_TYPE_STRING;
	field.protocol = ENGINE_NONE;
	inst.lpData = (LPVOID)"x";
	em_format(&inst, &field, text, sizeof(text));
	EXPECT_STREQ("x", text);
}

TEST_HARNESS_MAIN
