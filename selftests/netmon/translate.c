// SPDX-License-Identifier: GPL-2.0
/*
 * Filters of Network Monitor as display filters: for each FILTERACTION_, objects go in and text
 * comes out. With the argument --print, the texts are printed, each after the numbers of the frames
 * of filters_test's capture that have to pass; that script asks tshark.
 *
 * needs: native
 * also: asan fast
 */
#include <stdio.h>
#include <string.h>

#include "../../libexpertmem/capture.h"

#include "harness.h"

enum { PORT = 1, HOST, ETH_SRC, IP_SRC, IP6_SRC, TIME_OF, OID_OF, OPTIONS, HTTP, DSTPORT, FLAGS,
       NAMELESS, ELAPSED, RATIO, NR_FIELDS };
enum { TCP = 1, UDP, HTTP_PROTOCOL, IPV6 };

static const struct em_field fields[NR_FIELDS] = {
#define FIELD(id, type, name) [id] = { .info.DataType = PROP_TYPE_##type, .filter_name = (name) }
	FIELD(PORT, WORD, "tcp.srcport"),
	FIELD(HOST, STRING, "http.host"),
	FIELD(ETH_SRC, ETHERNET_ADDRESS, "eth.src"),
	FIELD(IP_SRC, IP_ADDRESS, "ip.src"),
	FIELD(IP6_SRC, IP6_ADDRESS, "ipv6.src"),
	FIELD(TIME_OF, TIME, "frame.time"),
	FIELD(OID_OF, OBJECT_IDENTIFIER, "snmp.name"),
	FIELD(OPTIONS, RAW_DATA, "tcp.payload"),
	FIELD(HTTP, SUMMARY, "http"),
	FIELD(DSTPORT, WORD, "tcp.dstport"),
	FIELD(FLAGS, WORD, "tcp.flags"),
	FIELD(NAMELESS, VOID, "nothing"),
	[ELAPSED] = { .info.DataType = PROP_TYPE_LARGEINT, .filter_name = "frame.time_relative",
		      .flags = ENGINE_FIELD_DURATION },
	[RATIO] = { .info.DataType = PROP_TYPE_RAW_DATA, .filter_name = "rtcp.report.ratio",
		    .flags = ENGINE_FIELD_DOUBLE },
#undef FIELD
};

static const struct em_field *property(HPROPERTY handle, void *arg)
{
	(void)arg;
	return handle > 0 && handle < NR_FIELDS ? &fields[handle] : NULL;
}

static const char *protocol(HPROTOCOL handle, void *arg)
{
	static const char *const names[] = { NULL, "tcp", "udp", "http", "ipv6" };

	(void)arg;
	return (uintptr_t)handle < 5 ? names[(uintptr_t)handle] : NULL;
}

static const struct em_names_of names = { property, protocol, NULL };

static ADDRESS2 a_ip = { .Type = ADDRESS_TYPE_IP, .IPAddress = { 10, 0, 0, 1 } };
static ADDRESS2 b_ip = { .Type = ADDRESS_TYPE_IP, .IPAddress = { 10, 0, 0, 2 } };
static ADDRESS2 a_eth = { .Type = ADDRESS_TYPE_ETHERNET,
			  .MACAddress = { 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb } };
static ADDRESS2 a_ip6 = { .Type = ADDRESS_TYPE_IP6, .IP6Address = { 0xfe, 0x80, [15] = 1 } };
static ADDRESS2 a_ipx = { .Type = ADDRESS_TYPE_IPX, .IPXRawAddress = { 1, 2, 3, 4, 5, 6 } };
static ADDRESS2 a_vines = { .Type = ADDRESS_TYPE_VINES_IP };
static SYSTEMTIME when = { 2023, 11, 2, 14, 22, 13, 20, 123 };
static LARGE_INTEGER large = { .QuadPart = 80 }, seconds = { .QuadPart = 1500000000 };
static double half = 0.5;
static DWORD arcs[] = { 1, 3, 6, 1, 2, 1, 1, 1, 0 };
static OBJECT_IDENTIFIER whole_oid = { 9, arcs }, start_oid = { 4, arcs };
static OBJECT_IDENTIFIER end_oid = { 3, arcs + 6 };
static OBJECT_IDENTIFIER long_oid = { 2, (DWORD[]){ 2, 999 } }, no_oid = { 0, arcs };
static union { PROTOCOLTABLE table; HPROTOCOL room[4]; } table = { .table = {
	2, { (HPROTOCOL)TCP } } };

/* Objects. */
#define P(id)		{ .Action = FILTERACTION_PROPERTY, .hProperty = (id) }
#define V(number)	{ .Action = FILTERACTION_VALUE, .Value = (number) }
#define S(text)		{ .Action = FILTERACTION_STRING, .lpArray = (LPVOID)(text), \
			  .ByteCount = sizeof(text) - 1 }
#define Z(text)		{ .Action = FILTERACTION_STRING, .lpArray = (LPVOID)(text) }
#define A(text)		{ .Action = FILTERACTION_ARRAY, .lpArray = (LPVOID)(text), \
			  .ByteCount = sizeof(text) - 1 }
#define D(id, at)	{ .Action = FILTERACTION_DEREFPROPERTY, .hProperty = (id), .ByteOffset = (at) }
#define DP(id, at)	{ .Action = FILTERACTION_DEREFPROPERTY, .hProtocol = (HPROTOCOL)(id), \
			  .ByteOffset = (at) }
#define X(id)		{ .Action = FILTERACTION_PROTOCOLEXIST, .hProtocol = (HPROTOCOL)(id) }
#define AD(action, to)	{ .Action = FILTERACTION_##action, .lpAddress = &(to) }
#define O(oid)		{ .Action = FILTERACTION_OID, .lpOID = &(oid) }
#define OP(action)	{ .Action = FILTERACTION_##action }
#define PTR8(to)	{ .Action = FILTERACTION_ARRAY, .lpArray = &(to), .ByteCount = 8 }
#define PTR(action, to)	{ .Action = FILTERACTION_##action, .lpArray = &(to) }

/*
 * @frames: those of the capture of filters_test that pass; NULL: it is not asked. Frame 1 is a
 * request of HTTP, from port 1234 to 80; 2 the answer, which is not taken for HTTP; 3 a SYN from
 * port 5 to 6; 4 a query of DNS; 5 a request of SNMP.
 */
static const struct {
	FILTEROBJECT2 objects[8];
	const char *text;
	const char *frames;
} cases[] = {
	{ { X(TCP) }, "(tcp)", "1 2 3" },
	{ { X(TCP), OP(NOT) }, "(!(tcp))", "4 5" },
	{ { X(TCP), X(HTTP_PROTOCOL), OP(AND) }, "((tcp) && (http))", "1" },
	{ { X(UDP), X(HTTP_PROTOCOL), OP(OR) }, "((udp) || (http))", "1 4 5" },
	{ { X(TCP), X(HTTP_PROTOCOL), OP(XOR) },
	  "(((tcp) || (http)) && !((tcp) && (http)))", "2 3" },
	{ { PTR(PROTOCOLSEXIST, table) }, "(tcp || udp)", "1 2 3 4 5" },
	{ { { .Action = FILTERACTION_PROPERTYEXIST, .hProperty = HOST } }, "(http.host)", "1" },
	{ { P(HOST), OP(PROPERTYEXIST) }, "(http.host)", "1" },
	{ { { .Action = FILTERACTION_BOOL, .Value = 1 } }, "(frame)", "1 2 3 4 5" },
	{ { OP(BOOL) }, "(!frame)", "" },

	{ { P(PORT), V(80), OP(EQUAL) }, "(tcp.srcport == 80)", "2" },
	{ { P(PORT), V(80), OP(EQUALNC) }, "(tcp.srcport == 80)", "2" },
	{ { V(80), P(PORT), OP(EQUAL) }, "(tcp.srcport == 80)", "2" },
	{ { P(PORT), PTR(LARGEINT, large), OP(EQUAL) }, "(tcp.srcport == 80)", "2" },
	{ { P(PORT), V(80), OP(NOTEQUAL) }, "(tcp.srcport != 80)", "1 3" },
	{ { P(PORT), V(80), OP(NOTEQUALNC) }, "(tcp.srcport != 80)", "1 3" },
	{ { P(PORT), V(80), OP(GREATER) }, "(tcp.srcport > 80)", "1" },
	{ { P(PORT), V(80), OP(GREATERNC) }, "(tcp.srcport > 80)", "1" },
	{ { V(80), P(PORT), OP(GREATER) }, "(tcp.srcport < 80)", "3" },
	{ { P(PORT), V(80), OP(LESS) }, "(tcp.srcport < 80)", "3" },
	{ { P(PORT), V(80), OP(LESSNC) }, "(tcp.srcport < 80)", "3" },
	{ { P(PORT), V(80), OP(GREATEREQUAL) }, "(tcp.srcport >= 80)", "1 2" },
	{ { P(PORT), V(80), OP(GREATEREQUALNC) }, "(tcp.srcport >= 80)", "1 2" },
	{ { P(PORT), V(80), OP(LESSEQUAL) }, "(tcp.srcport <= 80)", "2 3" },
	{ { V(80), P(PORT), OP(LESSEQUALNC) }, "(tcp.srcport >= 80)", "1 2" },
	{ { P(PORT), V(80), OP(LESSEQUALNC) }, "(tcp.srcport <= 80)", "2 3" },
	{ { P(PORT), P(DSTPORT), OP(LESS) }, "(tcp.srcport < tcp.dstport)", "2 3" },
	{ { P(PORT), V(1), OP(PLUS), V(81), OP(EQUAL) }, "({tcp.srcport + 1} == 81)", "2" },
	{ { P(DSTPORT), P(PORT), OP(MINUS), V(1), OP(EQUAL) },
	  "({tcp.dstport - tcp.srcport} == 1)", "3" },
	{ { V(81), P(PORT), V(1), OP(PLUS), OP(EQUAL) }, "({tcp.srcport + 1} == 81)", "2" },
	{ { P(FLAGS), V(16), OP(AREBITSON) }, "({tcp.flags & 16} == 16)", "1 2" },
	{ { P(FLAGS), V(16), OP(AREBITSOFF) }, "({tcp.flags & 16} == 0)", "3" },

	{ { P(ELAPSED), PTR(LARGEINT, seconds), OP(GREATEREQUAL) },
	  "(frame.time_relative >= 1.500000000)", "3 4 5" },
	{ { P(RATIO), V(3), OP(GREATER) }, "(rtcp.report.ratio > 3)", NULL },
	{ { P(RATIO), PTR8(half), OP(LESS) }, "(rtcp.report.ratio < 0.5)", NULL },

	{ { P(HOST), S("Example.COM"), OP(EQUAL) }, "(http.host == \"Example.COM\")", "1" },
	{ { P(HOST), Z("example.com"), OP(EQUAL) }, "(http.host == \"example.com\")", "" },
	{ { P(HOST), Z("example.com"), OP(EQUALNC) }, "(lower(http.host) == \"example.com\")",
	  "1" },
	{ { P(HOST), Z("EXAMPLE.com"), OP(NOTEQUALNC) },
	  "(http.host && lower(http.host) != \"example.com\")", "" },
	{ { P(HOST), P(HOST), OP(NOTEQUALNC) },
	  "(http.host && http.host && lower(http.host) != lower(http.host))", "" },
	{ { P(HOST), Z("AMPLE"), OP(CONTAINS) }, "(http.host contains \"AMPLE\")", "" },
	{ { P(HOST), Z("AMPLE"), OP(CONTAINSNC) }, "(lower(http.host) contains \"ample\")", "1" },
	{ { P(HOST), Z("D"), OP(GREATERNC) }, "(lower(http.host) > \"d\")", "1" },
	{ { P(HOST), S("x\" || frame || \"\\\n\0\xff"), OP(EQUAL) },
	  "(http.host == \"x\\x22 || frame || \\x22\\x5c\\x0a\\x00\\xff\")", "" },
	{ { P(HOST), A("Ex"), OP(CONTAINS) }, "(http.host contains \"Ex\")", "1" },

	{ { P(HTTP), S("GET"), OP(CONTAINS) }, "(http contains 47:45:54)", "1" },
	{ { P(HTTP), S("gEt"), OP(CONTAINSNC) }, "(http matches \"\\\\x67\\\\x45\\\\x74\")", "1" },
	{ { P(OPTIONS), S("g"), OP(EQUALNC) }, "(tcp.payload matches \"^\\\\x67\\\\z\")", "" },
	{ { P(OPTIONS), S("g"), OP(NOTEQUALNC) },
	  "(tcp.payload && !(tcp.payload matches \"^\\\\x67\\\\z\"))", "1" },
	{ { P(OPTIONS), A("GE"), OP(CONTAINS) }, "(tcp.payload contains 47:45)", "1" },
	{ { P(OPTIONS), A("\x47"), OP(GREATER) }, "(tcp.payload > \"\\x47\")", "1" },
	{ { P(PORT), A("\0\x50"), OP(ARRAYEQUAL) }, "(tcp.srcport == 80)", "2" },
	{ { DP(TCP, 0), A("\0\x50"), OP(ARRAYEQUAL) }, "(tcp[0:2] == 00:50)", "2" },
	{ { DP(TCP, 1), V(0x50), OP(EQUAL) }, "(tcp[1:1] == \"\\x50\")", "2" },
	{ { DP(TCP, 2), V(0x4d2), OP(EQUAL) }, "(tcp[2:2] == 04:d2)", "2" },
	{ { D(OPTIONS, 1), S("ET"), OP(EQUAL) }, "(tcp.payload[1:2] == 45:54)", "1" },
	{ { D(OPTIONS, 1), S("GET"), OP(CONTAINS) }, "(tcp.payload[1:] contains 47:45:54)", "" },
	{ { D(OPTIONS, 0), S("get"), OP(CONTAINSNC) },
	  "(tcp.payload[0:] matches \"\\\\x67\\\\x65\\\\x74\")", "1" },

	{ { P(TIME_OF), PTR(TIME, when), OP(EQUAL) },
	  "(frame.time == \"2023-11-14 22:13:20.123Z\")", "1" },
	{ { P(TIME_OF), PTR(TIME, when), OP(GREATER) },
	  "(frame.time > \"2023-11-14 22:13:20.123Z\")", "2 3 4 5" },
	{ { P(OID_OF), O(whole_oid), OP(EQUAL) }, "(snmp.name == 1.3.6.1.2.1.1.1.0)", "5" },
	{ { P(OID_OF), O(whole_oid), OP(NOTEQUAL) }, "(snmp.name != 1.3.6.1.2.1.1.1.0)", "" },
	{ { P(OID_OF), O(start_oid), OP(OID_BEGINS_WITH) }, "(snmp.name[0:3] == 2b:06:01)", "5" },
	{ { P(OID_OF), O(end_oid), OP(OID_ENDS_WITH) }, "(snmp.name[-3:3] == 01:01:00)", "5" },
	{ { P(OID_OF), O(end_oid), OP(OID_CONTAINS) },
	  "(snmp.name[0:] contains 01:01:00 || snmp.name[0:2] == 29:00)", "5" },
	{ { P(OID_OF), O(long_oid), OP(OID_BEGINS_WITH) }, "(snmp.name[0:2] == 88:37)", "" },

	{ { AD(ADDRESS, a_ip), OP(FROM) }, "((ip.src == 10.0.0.1))", "1 3 4 5" },
	{ { AD(ADDRESS, a_ip), OP(TO) }, "((ip.dst == 10.0.0.1))", "2" },
	{ { AD(ADDRESS, a_ip), OP(FROMTO) }, "((ip.src == 10.0.0.1) || (ip.dst == 10.0.0.1))",
	  "1 2 3 4 5" },
	{ { AD(ADDRESS, a_ip), AD(ADDRESS, b_ip), OP(FROM) },
	  "((ip.src == 10.0.0.1 && ip.dst == 10.0.0.2))", "1 3 4 5" },
	{ { AD(ADDR_IP, a_ip), AD(ADDR_IP, b_ip), OP(TO) },
	  "((ip.src == 10.0.0.2 && ip.dst == 10.0.0.1))", "2" },
	{ { AD(ADDRESS, b_ip), OP(ADDRESSANY), OP(FROMTO) },
	  "((ip.src == 10.0.0.2) || (ip.dst == 10.0.0.2))", "1 2 3 4 5" },
	{ { OP(ADDRESSANY), OP(ADDRESSANY), OP(FROM) }, "((frame))", "1 2 3 4 5" },
	{ { AD(ADDR_ETHER, a_eth), OP(FROM) }, "((eth.src == 66:77:88:99:aa:bb))", "1 2 3 4 5" },
	{ { AD(ADDR_TOKEN, a_eth), OP(FROM) }, "((tr.src == 66:77:88:99:aa:bb))", "" },
	{ { AD(ADDR_FDDI, a_eth), OP(TO) }, "((fddi.dst == 66:77:88:99:aa:bb))", "" },
	{ { AD(ADDR_IP6, a_ip6), OP(FROM) }, "((ipv6.src == fe80::1))", "" },
	{ { AD(ADDR_IPX, a_ipx), OP(FROM) },
	  "(((ipx.src.net == 0x01020304 && ipx.src.node == 05:06:00:00:00:00)))", "" },
	{ { P(IP_SRC), AD(ADDRESS, a_ip), OP(EQUAL) }, "(ip.src == 10.0.0.1)", "1 3 4 5" },
	{ { P(IP_SRC), PTR(ADDRESS, a_ip), OP(NOTEQUAL) }, "(ip.src != 10.0.0.1)", "2" },
	{ { P(IP_SRC), A("\x0a\0\0\x01"), OP(EQUAL) }, "(ip.src == 10.0.0.1)", "1 3 4 5" },
	{ { P(IP_SRC), V(0x0100000a), OP(EQUAL) }, "(ip.src == 10.0.0.1)", "1 3 4 5" },
	{ { P(IP6_SRC), AD(ADDRESS, a_ip6), OP(EQUAL) }, "(ipv6.src == fe80::1)", "" },
	{ { P(ETH_SRC), AD(ADDRESS, a_eth), OP(EQUAL) }, "(eth.src == 66:77:88:99:aa:bb)",
	  "1 2 3 4 5" },
};

/* Objects that are no filter. */
static const struct {
	FILTEROBJECT2 objects[8];
	const char *why;
} wrong[] = {
	{ { OP(INVALID) }, "INVALID" },
	{ { OP(NOEVAL) }, "NOEVAL" },
	{ { OP(EXPRESSION) }, "EXPRESSION" },
	{ { { .Action = 50 } }, "an unknown action" },
	{ { AD(ADDR_VINES, a_vines), OP(FROM) }, "ADDR_VINES" },
	{ { AD(ADDRESS, a_vines), OP(FROM) }, "a VINES address" },
	{ { OP(AND) }, "AND without operands" },
	{ { X(TCP), OP(AND) }, "AND with one operand" },
	{ { X(TCP), P(PORT), OP(AND) }, "AND of a property" },
	{ { OP(NOT) }, "NOT without an operand" },
	{ { P(PORT) }, "only a property" },
	{ { V(1) }, "only a value" },
	{ { X(TCP), X(UDP) }, "two results" },
	{ { P(PORT), V(80) }, "no operator" },
	{ { P(PORT), OP(EQUAL) }, "one side" },
	{ { V(1), V(1), OP(EQUAL) }, "no property" },
	{ { X(TCP), V(1), OP(EQUAL) }, "a test as a side" },
	{ { P(99), V(1), OP(EQUAL) }, "an unknown property" },
	{ { X(99) }, "an unknown protocol" },
	{ { P(NAMELESS), V(1), OP(EQUAL) }, "a property without values" },
	{ { P(PORT), S("80"), OP(EQUAL) }, "a number and a string" },
	{ { P(HOST), V(1), OP(EQUAL) }, "a string and a number" },
	{ { P(PORT), V(80), OP(CONTAINS) }, "CONTAINS in a number" },
	{ { S("x"), P(HOST), OP(CONTAINS) }, "CONTAINS with its sides exchanged" },
	{ { P(HOST), S("x"), OP(AREBITSON) }, "bits of a string" },
	{ { P(IP_SRC), AD(ADDRESS, a_eth), OP(EQUAL) }, "an IP and a link address" },
	{ { P(IP_SRC), A("\x0a"), OP(EQUAL) }, "an IP address of one byte" },
	{ { P(OID_OF), O(no_oid), OP(OID_CONTAINS) }, "an identifier without arcs" },
	{ { P(OID_OF), S("1.3"), OP(EQUAL) }, "an identifier and a string" },
	{ { P(TIME_OF), V(1), OP(EQUAL) }, "a time and a number" },
	{ { P(PORT), S("x"), OP(ARRAYEQUAL) }, "ARRAYEQUAL without an array" },
	{ { P(OPTIONS), Z(""), OP(EQUAL) }, "no bytes" },
	{ { P(OPTIONS), S("x"), OP(LESSNC) }, "an order of bytes without case" },
	{ { P(HOST), P(PORT), OP(EQUAL) }, "properties of two forms" },
	{ { P(ELAPSED), V(1), OP(AREBITSON) }, "bits of a duration" },
	{ { P(ELAPSED), V(1), OP(PLUS), V(1), OP(EQUAL) }, "a sum with a duration" },
	{ { P(RATIO), S("x"), OP(EQUAL) }, "a double and a string" },
	{ { P(HOST), V(1), OP(PLUS), V(1), OP(EQUAL) }, "a sum with a string" },
	{ { OP(FROM) }, "FROM without an address" },
	{ { P(IP_SRC), OP(FROM) }, "FROM with a property" },
	{ { OP(PROPERTYEXIST) }, "PROPERTYEXIST without a property" },
};

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))

static unsigned int length_of(const FILTEROBJECT2 objects[8])
{
	unsigned int length = 8;

	while (length > 1 && objects[length - 1].Action == FILTERACTION_INVALID)
		length--;
	return length;
}

static DWORD translate(const FILTEROBJECT2 *objects, unsigned int count, char *text, size_t size)
{
	static struct em_filter_node nodes[EM_FILTER_OBJECTS];

	return em_translate(objects, count, nodes, &names, text, size);
}

TEST(every_action_has_its_text)
{
	char text[ENGINE_TEXT];

	table.table.hProtocol[0] = (HPROTOCOL)TCP;
	table.room[2] = (HPROTOCOL)UDP;
	for (size_t i = 0; i < COUNT(cases); i++) {
		EXPECT_EQ(NMERR_SUCCESS, translate(cases[i].objects, length_of(cases[i].objects),
						   text, sizeof(text)))
			TH_LOG("%s", cases[i].text);
		EXPECT_STREQ(cases[i].text, text);
	}
}

TEST(every_action_is_in_the_tables)
{
	for (DWORD action = 1; action < 50; action++) {
		bool found = false;

		for (size_t i = 0; i < COUNT(cases); i++)
			for (int o = 0; o < 8; o++)
				found |= cases[i].objects[o].Action == action;
		EXPECT_TRUE(found || action == FILTERACTION_ADDR_VINES)
			TH_LOG("action %u", action);
	}
}

TEST(what_is_no_filter_is_an_error)
{
	char text[ENGINE_TEXT];

	for (size_t i = 0; i < COUNT(wrong); i++) {
		EXPECT_EQ(NMERR_FILTER_INVALID_EXPRESSION,
			  translate(wrong[i].objects, length_of(wrong[i].objects), text,
				    sizeof(text)))
			TH_LOG("%s: %s", wrong[i].why, text);
	}
	EXPECT_EQ(NMERR_FILTER_INVALID_EXPRESSION, translate(NULL, 0, text, sizeof(text)));
}

/* A text that does not fit is an error, and nothing is written behind the buffer. */
TEST(a_text_that_is_too_long_is_an_error)
{
	const FILTEROBJECT2 objects[] = { P(HOST), S("0123456789"), OP(EQUAL) };
	char text[64];

	for (size_t size = 1; size < sizeof(text); size++) {
		DWORD error;

		memset(text, '#', sizeof(text));
		error = translate(objects, 3, text, size);
		EXPECT_EQ(size <= strlen("(http.host == \"0123456789\")"),
			  error == NMERR_FILTER_INVALID_EXPRESSION);
		for (size_t i = size; i < sizeof(text); i++)
			ASSERT_EQ('#', text[i]);
	}
}

/* The deepest tree, and one whose text doubles with each operator. */
TEST(filters_of_many_objects)
{
	static FILTEROBJECT2 objects[EM_FILTER_OBJECTS + 1];
	const FILTEROBJECT2 negate = OP(NOT), differ = OP(XOR), tcp = X(TCP);
	char text[ENGINE_TEXT];

	objects[0] = tcp;
	for (unsigned int i = 1; i <= EM_FILTER_OBJECTS; i++)
		objects[i] = negate;
	EXPECT_EQ(NMERR_SUCCESS, translate(objects, EM_FILTER_OBJECTS, text, sizeof(text)));
	EXPECT_EQ(NMERR_FILTER_INVALID_EXPRESSION,
		  translate(objects, EM_FILTER_OBJECTS + 1, text, sizeof(text)));
	for (unsigned int i = 1; i < EM_FILTER_OBJECTS; i++)
		objects[i] = i % 2 ? tcp : differ;
	EXPECT_EQ(NMERR_FILTER_INVALID_EXPRESSION,
		  translate(objects, EM_FILTER_OBJECTS - 1, text, sizeof(text)));
}

static void print_cases(void)
{
	for (size_t i = 0; i < COUNT(cases); i++)
		if (cases[i].frames)
			printf("%s\t%s\n", cases[i].frames, cases[i].text);
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "--print")) {
		print_cases();
		return 0;
	}
	return test_harness_run(argc, argv);
}
