// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Filters of Network Monitor, written as display filters of Wireshark.
 *
 * A filter is a list of objects in postfix order: values and properties, which are pushed on a
 * stack, and operators, which pop their operands from it. First build() makes a tree of the objects
 * and checks the operands; then put_test() writes the tree from its root. Each operator is in
 * parentheses, so that precedence does not matter. Strings of the expert are written in quotes, and
 * each byte that is not plain as \xHH. No other text of the expert gets into the filter.
 *
 * An expression that no display filter can say is NMERR_FILTER_INVALID_EXPRESSION.
 */
#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "capture.h"
#include "text.h"

#define NO_NODE		0xffffu

enum kind {
	TEST,		/* true or false for a frame */
	PROPERTY,	/* the value of a property */
	BYTES_AT,	/* some bytes of a protocol or property, FILTERACTION_DEREFPROPERTY */
	SUM,		/* of properties and numbers */
	NUMBER,
	STRING,
	ARRAY,
	TIME,
	OID,
	ADDRESS_OF,	/* the address of a station */
	ANY_ADDRESS,	/* FILTERACTION_ADDRESSANY */
};

/* How values of a property are written. */
enum form {
	FORM_NUMBER,
	FORM_DURATION,	/* nanoseconds, which filters write as seconds */
	FORM_DOUBLE,
	FORM_STRING,
	FORM_BYTES,
	FORM_IP,
	FORM_IP6,
	FORM_LINK,
	FORM_TIME,
	FORM_OID,
	FORM_NONE
};

/*
 * @text: receives the filter. @size: bytes of @text. @length: bytes written so far. @failed: @text
 * is full, or no display filter can say the expression.
 */
struct writer {
	const struct em_filter_node *nodes;
	const struct em_names_of *names;
	char *text;
	size_t size;
	size_t length;
	bool failed;
};

/* Bytes to be written. */
struct bytes {
	const BYTE *bytes;
	unsigned int length;
};

/* ------------------------------------------------------------------------ the tree */

/*
 * The stack. @top: index of the topmost node, or NO_NODE; node.below is the index of the next one.
 */
struct stack {
	struct em_filter_node *nodes;
	uint16_t top;
};

static bool pop(struct stack *stack, uint16_t *node)
{
	if (stack->top == NO_NODE)
		return false;
	*node = stack->top;
	stack->top = stack->nodes[*node].below;
	return true;
}

static bool top_is(const struct stack *stack, enum kind kind)
{
	return stack->top != NO_NODE && stack->nodes[stack->top].kind == kind;
}

static bool top_is_address(const struct stack *stack)
{
	return top_is(stack, ADDRESS_OF) || top_is(stack, ANY_ADDRESS);
}

/* Take the operands of a logical operator. */
static bool take_tests(struct stack *stack, struct em_filter_node *node, int count)
{
	if (!top_is(stack, TEST))
		return false;
	pop(stack, &node->right);
	if (count == 1)
		return true;
	if (!top_is(stack, TEST))
		return false;
	return pop(stack, &node->left);
}

/* Take two operands, neither of which may be a test. */
static bool take_values(struct stack *stack, struct em_filter_node *node)
{
	return pop(stack, &node->right) && stack->nodes[node->right].kind != TEST &&
	       pop(stack, &node->left) && stack->nodes[node->left].kind != TEST;
}

/* Take one address or two, of which the right one was added last. */
static bool take_addresses(struct stack *stack, struct em_filter_node *node)
{
	if (!top_is_address(stack))
		return false;
	pop(stack, &node->right);
	if (top_is_address(stack))
		pop(stack, &node->left);
	return true;
}

static bool is_summand(const struct em_filter_node *node)
{
	return node->kind == PROPERTY || node->kind == SUM || node->kind == NUMBER;
}

/* Set the kind and the operands of the node of an object. False: the object cannot be here. */
static bool place(struct stack *stack, struct em_filter_node *node)
{
	node->kind = TEST;
	switch (node->object->Action) {
	case FILTERACTION_PROPERTY:
		node->kind = PROPERTY;
		return true;
	case FILTERACTION_DEREFPROPERTY:
		node->kind = BYTES_AT;
		return true;
	case FILTERACTION_VALUE:
	case FILTERACTION_LARGEINT:
		node->kind = NUMBER;
		return true;
	case FILTERACTION_STRING:
		node->kind = STRING;
		return true;
	case FILTERACTION_ARRAY:
		node->kind = ARRAY;
		return true;
	case FILTERACTION_TIME:
		node->kind = TIME;
		return true;
	case FILTERACTION_OID:
		node->kind = OID;
		return true;
	case FILTERACTION_ADDRESS:
	case FILTERACTION_ADDR_ETHER:
	case FILTERACTION_ADDR_TOKEN:
	case FILTERACTION_ADDR_FDDI:
	case FILTERACTION_ADDR_IPX:
	case FILTERACTION_ADDR_IP:
	case FILTERACTION_ADDR_IP6:
		node->kind = ADDRESS_OF;
		return true;
	case FILTERACTION_ADDRESSANY:
		node->kind = ANY_ADDRESS;
		return true;
	case FILTERACTION_BOOL:
	case FILTERACTION_PROTOCOLEXIST:
	case FILTERACTION_PROTOCOLSEXIST:
		return true;
	case FILTERACTION_PROPERTYEXIST:
		if (node->object->hProperty)
			return true;
		return top_is(stack, PROPERTY) && pop(stack, &node->right);
	case FILTERACTION_NOT:
		return take_tests(stack, node, 1);
	case FILTERACTION_AND:
	case FILTERACTION_OR:
	case FILTERACTION_XOR:
		return take_tests(stack, node, 2);
	case FILTERACTION_FROM:
	case FILTERACTION_TO:
	case FILTERACTION_FROMTO:
		return take_addresses(stack, node);
	case FILTERACTION_PLUS:
	case FILTERACTION_MINUS:
		node->kind = SUM;
		return take_values(stack, node) && is_summand(&stack->nodes[node->left]) &&
		       is_summand(&stack->nodes[node->right]);
	case FILTERACTION_EQUAL:
	case FILTERACTION_EQUALNC:
	case FILTERACTION_NOTEQUAL:
	case FILTERACTION_NOTEQUALNC:
	case FILTERACTION_GREATER:
	case FILTERACTION_GREATERNC:
	case FILTERACTION_LESS:
	case FILTERACTION_LESSNC:
	case FILTERACTION_GREATEREQUAL:
	case FILTERACTION_GREATEREQUALNC:
	case FILTERACTION_LESSEQUAL:
	case FILTERACTION_LESSEQUALNC:
	case FILTERACTION_CONTAINS:
	case FILTERACTION_CONTAINSNC:
	case FILTERACTION_AREBITSON:
	case FILTERACTION_AREBITSOFF:
	case FILTERACTION_ARRAYEQUAL:
	case FILTERACTION_OID_CONTAINS:
	case FILTERACTION_OID_BEGINS_WITH:
	case FILTERACTION_OID_ENDS_WITH:
		return take_values(stack, node);
	default:	/* INVALID, NOEVAL, EXPRESSION, ADDR_VINES, and numbers without a meaning */
		return false;
	}
}

/* Build the tree. Returns its root, or NO_NODE. */
static uint16_t build(const FILTEROBJECT2 *objects, unsigned int count,
		      struct em_filter_node *nodes)
{
	struct stack stack = { .nodes = nodes, .top = NO_NODE };

	if (count > EM_FILTER_OBJECTS)
		return NO_NODE;
	for (unsigned int i = 0; i < count; i++) {
		nodes[i] = (struct em_filter_node){
			.object = &objects[i], .left = NO_NODE, .right = NO_NODE,
		};
		if (!place(&stack, &nodes[i]))
			return NO_NODE;
		nodes[i].below = stack.top;
		stack.top = i;
	}
	if (!top_is(&stack, TEST) || nodes[stack.top].below != NO_NODE)
		return NO_NODE;
	return stack.top;
}

/* --------------------------------------------------------------------------- writing */

__attribute__((format(printf, 2, 3)))
static void put(struct writer *writer, const char *format, ...)
{
	size_t left = writer->size - writer->length;
	va_list arguments;
	int length;

	if (writer->failed)
		return;
	va_start(arguments, format);
	length = vsnprintf(writer->text + writer->length, left, format, arguments);
	va_end(arguments);
	if (length < 0 || (size_t)length >= left)
		writer->failed = true;
	else
		writer->length += length;
}

static void fail(struct writer *writer)
{
	writer->failed = true;
}

/* Write bytes as 01:02:03. One byte is a string: since Wireshark 4.2, 01 is a decimal number. */
static void put_bytes(struct writer *writer, struct bytes bytes)
{
	if (!bytes.length)
		fail(writer);
	if (bytes.length == 1) {
		put(writer, "\"\\x%02x\"", bytes.bytes[0]);
		return;
	}
	for (unsigned int i = 0; i < bytes.length; i++)
		put(writer, "%s%02x", i ? ":" : "", bytes.bytes[i]);
}

static BYTE lower(BYTE c)
{
	return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c;
}

/* Write a string in quotes. @is_lower: letters of ASCII in lower case */
static void put_string(struct writer *writer, struct bytes string, bool is_lower)
{
	put(writer, "\"");
	for (unsigned int i = 0; i < string.length; i++) {
		BYTE c = is_lower ? lower(string.bytes[i]) : string.bytes[i];
		bool is_plain = c >= ' ' && c < 0x7f && c != '"' && c != '\\';

		put(writer, is_plain ? "%c" : "\\x%02x", c);
	}
	put(writer, "\"");
}

/* Write a regular expression that matches these bytes, in quotes. */
static void put_pattern(struct writer *writer, struct bytes bytes, bool whole)
{
	put(writer, "\"%s", whole ? "^" : "");
	for (unsigned int i = 0; i < bytes.length; i++)
		put(writer, "\\\\x%02x", bytes.bytes[i]);
	put(writer, "%s\"", whole ? "\\\\z" : "");
}

/* --------------------------------------------------------------------- values of objects */

static uint64_t number_of(const FILTEROBJECT2 *object)
{
	return object->Action == FILTERACTION_LARGEINT ?
	       (uint64_t)object->lpLargeInt->QuadPart : object->Value;
}

/* The bytes of a string or an array; a string without a count ends before its null. */
static struct bytes bytes_of(const FILTEROBJECT2 *object)
{
	struct bytes bytes = { object->lpArray, object->ByteCount };

	if (object->Action == FILTERACTION_STRING && !bytes.length)
		bytes.length = strlen(object->lpArray);
	return bytes;
}

/* A number as bytes in network order, as few as it needs: 1, 2, 4 or 8. */
static struct bytes bytes_of_number(uint64_t number, BYTE bytes[static 8])
{
	unsigned int length = number <= 0xff ? 1 : number <= 0xffff ? 2 :
			      number <= 0xffffffff ? 4 : 8;

	for (unsigned int i = 0; i < length; i++)
		bytes[i] = number >> 8 * (length - 1 - i);
	return (struct bytes){ bytes, length };
}

/* The ADDRESS_TYPE_ that an object has. */
static DWORD address_type(const FILTEROBJECT2 *object)
{
	switch (object->Action) {
	case FILTERACTION_ADDR_ETHER:
		return ADDRESS_TYPE_ETHERNET;
	case FILTERACTION_ADDR_TOKEN:
		return ADDRESS_TYPE_TOKENRING;
	case FILTERACTION_ADDR_FDDI:
		return ADDRESS_TYPE_FDDI;
	case FILTERACTION_ADDR_IPX:
		return ADDRESS_TYPE_IPX;
	case FILTERACTION_ADDR_IP:
		return ADDRESS_TYPE_IP;
	case FILTERACTION_ADDR_IP6:
		return ADDRESS_TYPE_IP6;
	default:
		return object->lpAddress->Type;
	}
}

static void put_ip(struct writer *writer, const BYTE *ip)
{
	put(writer, "%u.%u.%u.%u", ip[0], ip[1], ip[2], ip[3]);
}

static void put_ip6(struct writer *writer, const BYTE *ip6)
{
	char text[INET6_ADDRSTRLEN];

	put(writer, "%s", inet_ntop(AF_INET6, ip6, text, sizeof(text)));
}

/* Room for the identifier of the most arcs, each of at most 5 bytes. */
#define ARCS_MAX	128u
#define OID_MAX		(5 * ARCS_MAX)

static unsigned int encode_arc(uint64_t arc, BYTE *to)
{
	unsigned int length = 1;

	while (arc >> 7 * length)
		length++;
	for (unsigned int i = 0; i < length; i++)
		to[i] = (arc >> 7 * (length - 1 - i) & 0x7f) | (i + 1 < length ? 0x80 : 0);
	return length;
}

/*
 * Encode arcs in BER. @is_start: the arcs begin an identifier, so the first two share one number.
 * False: no identifier has these arcs, or there are more than ARCS_MAX.
 */
static bool encode_oid(const OBJECT_IDENTIFIER *oid, bool is_start, BYTE bytes[static OID_MAX],
		       struct bytes *encoded)
{
	unsigned int length = 0, i = 0;

	if (!oid->Length || oid->Length > ARCS_MAX)
		return false;
	if (is_start) {
		const DWORD *arcs = oid->lpIdentifier;

		if (oid->Length < 2 || arcs[0] > 2 || (arcs[0] < 2 && arcs[1] >= 40))
			return false;
		length = encode_arc(arcs[0] * UINT64_C(40) + arcs[1], bytes);
		i = 2;
	}
	for (; i < oid->Length; i++)
		length += encode_arc(oid->lpIdentifier[i], bytes + length);
	*encoded = (struct bytes){ bytes, length };
	return true;
}

/* --------------------------------------------------------------------- properties */

static const struct em_field *field_of(const struct writer *writer,
				       const struct em_filter_node *node)
{
	return writer->names->property(node->object->hProperty, writer->names->arg);
}

static enum form form_of(const struct em_field *field)
{
	if (field->flags & ENGINE_FIELD_DURATION)
		return FORM_DURATION;
	if (field->flags & ENGINE_FIELD_DOUBLE)
		return FORM_DOUBLE;
	switch (field->info.DataType) {
	case PROP_TYPE_BYTE:
	case PROP_TYPE_WORD:
	case PROP_TYPE_DWORD:
	case PROP_TYPE_LARGEINT:
	case PROP_TYPE_BYTESWAPPED_WORD:
	case PROP_TYPE_BYTESWAPPED_DWORD:
	case PROP_TYPE_VAR_LEN_SMALL_INT:
		return FORM_NUMBER;
	case PROP_TYPE_STRING:
	case PROP_TYPE_TYPED_STRING:
	case PROP_TYPE_SRCFRIENDLYNAME:
	case PROP_TYPE_DSTFRIENDLYNAME:
		return FORM_STRING;
	case PROP_TYPE_SUMMARY:
	case PROP_TYPE_RAW_DATA:
		return FORM_BYTES;
	case PROP_TYPE_IP_ADDRESS:
		return FORM_IP;
	case PROP_TYPE_IP6_ADDRESS:
		return FORM_IP6;
	case PROP_TYPE_ADDR:
	case PROP_TYPE_ETHERNET_ADDRESS:
	case PROP_TYPE_TOKENRING_ADDRESS:
	case PROP_TYPE_FDDI_ADDRESS:
		return FORM_LINK;
	case PROP_TYPE_TIME:
		return FORM_TIME;
	case PROP_TYPE_OBJECT_IDENTIFIER:
		return FORM_OID;
	default:
		return FORM_NONE;
	}
}

/* Write the filter name of the object's property, or else of its protocol. */
static void put_owner(struct writer *writer, const struct em_filter_node *node)
{
	const FILTEROBJECT2 *object = node->object;
	const struct em_field *field = NULL;
	const char *name;

	if (object->hProperty) {
		field = field_of(writer, node);
		name = field ? field->filter_name : NULL;
	} else {
		name = writer->names->protocol(object->hProtocol, writer->names->arg);
	}
	if (name)
		put(writer, "%s", name);
	else
		fail(writer);
}

static void put_sum(struct writer *writer, uint16_t node);

/* Write a summand or the left side of a comparison of numbers. */
static void put_summand(struct writer *writer, uint16_t index)
{
	const struct em_filter_node *node = &writer->nodes[index];
	const struct em_field *field;

	if (node->kind == SUM) {
		put_sum(writer, index);
		return;
	}
	if (node->kind == NUMBER) {
		put(writer, "%llu", (unsigned long long)number_of(node->object));
		return;
	}
	field = field_of(writer, node);
	if (node->kind == PROPERTY && field && form_of(field) == FORM_NUMBER)
		put(writer, "%s", field->filter_name);
	else
		fail(writer);
}

/* Write a sum in curly brackets, which display filters use for arithmetic. */
static void put_sum(struct writer *writer, uint16_t index)
{
	const struct em_filter_node *node = &writer->nodes[index];

	put(writer, "{");
	put_summand(writer, node->left);
	put(writer, node->object->Action == FILTERACTION_PLUS ? " + " : " - ");
	put_summand(writer, node->right);
	put(writer, "}");
}

/* ------------------------------------------------------------------------ comparisons */

/*
 * A comparison whose left side is a property, bytes at an offset, or a sum. @action:
 * FILTERACTION_*, of which NC is removed. @nc: compare without regard to case.
 */
struct comparison {
	const struct em_filter_node *left, *right;
	uint16_t left_index, right_index;
	DWORD action;
	bool nc;
};

/* Is it an action without regard to case? Its number is one less than that of the other action. */
static bool is_nc(DWORD action)
{
	return action == FILTERACTION_EQUALNC || action == FILTERACTION_NOTEQUALNC ||
	       action == FILTERACTION_GREATERNC || action == FILTERACTION_LESSNC ||
	       action == FILTERACTION_GREATEREQUALNC || action == FILTERACTION_LESSEQUALNC ||
	       action == FILTERACTION_CONTAINSNC;
}

/* The action with an equal meaning when its two sides are exchanged; INVALID: there is none. */
static DWORD mirrored(DWORD action)
{
	switch (action) {
	case FILTERACTION_GREATER:
		return FILTERACTION_LESS;
	case FILTERACTION_LESS:
		return FILTERACTION_GREATER;
	case FILTERACTION_GREATEREQUAL:
		return FILTERACTION_LESSEQUAL;
	case FILTERACTION_LESSEQUAL:
		return FILTERACTION_GREATEREQUAL;
	case FILTERACTION_EQUAL:
	case FILTERACTION_NOTEQUAL:
	case FILTERACTION_ARRAYEQUAL:
	case FILTERACTION_AREBITSON:
	case FILTERACTION_AREBITSOFF:
		return action;
	default:
		return FILTERACTION_INVALID;
	}
}

/* The operator in display filters; NULL: display filters have none for this action. */
static const char *operator_of(DWORD action)
{
	switch (action) {
	case FILTERACTION_EQUAL:
	case FILTERACTION_ARRAYEQUAL:
		return "==";
	case FILTERACTION_NOTEQUAL:
		return "!=";
	case FILTERACTION_GREATER:
		return ">";
	case FILTERACTION_LESS:
		return "<";
	case FILTERACTION_GREATEREQUAL:
		return ">=";
	case FILTERACTION_LESSEQUAL:
		return "<=";
	case FILTERACTION_CONTAINS:
		return "contains";
	default:
		return NULL;
	}
}

/* Is it an order of values, not a test of their parts? */
static bool is_order(DWORD action)
{
	return operator_of(action) && action != FILTERACTION_CONTAINS;
}

/* Compare numbers. The right side may be a property or a sum, too. */
static void put_numbers(struct writer *writer, const struct comparison *c)
{
	bool on = c->action == FILTERACTION_AREBITSON;

	if (is_order(c->action)) {
		put_summand(writer, c->left_index);
		put(writer, " %s ", operator_of(c->action));
		put_summand(writer, c->right_index);
	} else if (on || c->action == FILTERACTION_AREBITSOFF) {
		put(writer, "{");
		put_summand(writer, c->left_index);
		put(writer, " & ");
		put_summand(writer, c->right_index);
		put(writer, "} == ");
		if (on)
			put_summand(writer, c->right_index);
		else
			put(writer, "0");
	} else {
		fail(writer);
	}
}

/* Since Wireshark 4.4, lower() of a field that a frame does not have is unequal to all. */
static void put_presence(struct writer *writer, const struct comparison *c, const char *name)
{
	if (c->nc && c->action == FILTERACTION_NOTEQUAL)
		put(writer, "%s && ", name);
}

/* Compare a property that is a string. */
static void put_strings(struct writer *writer, const struct comparison *c, const char *name,
			struct bytes string)
{
	const char *operator = operator_of(c->action);

	if (!operator) {
		fail(writer);
		return;
	}
	put_presence(writer, c, name);
	put(writer, c->nc ? "lower(%s) %s " : "%s %s ", name, operator);
	put_string(writer, string, c->nc);
}

/* Compare bytes of the left side with @bytes: a slice, if the left side is BYTES_AT, or all. */
static void put_slices(struct writer *writer, const struct comparison *c, struct bytes bytes)
{
	bool has_letters = c->right->kind == STRING && c->nc;
	bool contains = c->action == FILTERACTION_CONTAINS;
	bool negated = c->action == FILTERACTION_NOTEQUAL;

	if (has_letters && !contains && c->action != FILTERACTION_EQUAL && !negated) {
		fail(writer);	/* there is no order of bytes without regard to case */
		return;
	}
	if (has_letters && negated) {
		put_owner(writer, c->left);
		put(writer, " && !(");
	}
	put_owner(writer, c->left);
	if (c->left->kind == BYTES_AT && contains)
		put(writer, "[%u:]", c->left->object->ByteOffset);
	else if (c->left->kind == BYTES_AT)
		put(writer, "[%u:%u]", c->left->object->ByteOffset, bytes.length);
	if (has_letters) {
		put(writer, " matches ");
		put_pattern(writer, bytes, !contains);
		put(writer, negated ? ")" : "");
	} else if (operator_of(c->action)) {
		put(writer, " %s ", operator_of(c->action));
		put_bytes(writer, bytes);
	} else {
		fail(writer);
	}
}

/* Get the right side as bytes. @room: for those of a number. False: the right side has no bytes. */
static bool right_bytes(const struct comparison *c, BYTE room[static 8], struct bytes *bytes)
{
	const FILTEROBJECT2 *object = c->right->object;

	switch (c->right->kind) {
	case STRING:
	case ARRAY:
		*bytes = bytes_of(object);
		return bytes->length;
	case NUMBER:
		*bytes = bytes_of_number(number_of(object), room);
		return true;
	case ADDRESS_OF:
		if (address_type(object) == ADDRESS_TYPE_IP)
			*bytes = (struct bytes){ object->lpAddress->IPAddress, IP_ADDRESS_SIZE };
		else if (address_type(object) == ADDRESS_TYPE_IP6)
			*bytes = (struct bytes){ object->lpAddress->IP6Address, IP6_ADDRESS_SIZE };
		else if (address_type(object) == ADDRESS_TYPE_IPX)
			*bytes = (struct bytes){ object->lpAddress->IPXRawAddress, IPX_ADDR_SIZE };
		else
			*bytes = (struct bytes){ object->lpAddress->MACAddress, MAC_ADDRESS_SIZE };
		return true;
	default:
		return false;
	}
}

/* Compare a property that is a number with an array, which has the number in network order. */
static void put_number_of_array(struct writer *writer, const struct comparison *c,
				const char *name, struct bytes bytes)
{
	uint64_t number = 0;

	if (bytes.length > 8 || !is_order(c->action)) {
		fail(writer);
		return;
	}
	for (unsigned int i = 0; i < bytes.length; i++)
		number = number << 8 | bytes.bytes[i];
	put(writer, "%s %s %llu", name, operator_of(c->action), (unsigned long long)number);
}

/*
 * Compare an address. A number on the right side is an IPv4 address, in the order of its bytes in
 * memory.
 */
static void put_address(struct writer *writer, const struct comparison *c, const char *name,
			enum form form, struct bytes bytes)
{
	unsigned int size = form == FORM_IP ? IP_ADDRESS_SIZE :
			    form == FORM_IP6 ? IP6_ADDRESS_SIZE : MAC_ADDRESS_SIZE;
	const char *operator = operator_of(c->action);

	if (c->right->kind == NUMBER && form == FORM_IP)
		bytes = (struct bytes){ (const BYTE *)&c->right->object->Value, size };
	if (!operator || bytes.length != size ||
	    (c->action == FILTERACTION_CONTAINS && form != FORM_LINK)) {
		fail(writer);
		return;
	}
	put(writer, "%s %s ", name, operator);
	if (form == FORM_IP)
		put_ip(writer, bytes.bytes);
	else if (form == FORM_IP6)
		put_ip6(writer, bytes.bytes);
	else
		put_bytes(writer, bytes);
}

static void put_times(struct writer *writer, const struct comparison *c, const char *name)
{
	SYSTEMTIME t;

	if (c->right->kind != TIME || !is_order(c->action)) {
		fail(writer);
		return;
	}
	memcpy(&t, c->right->object->lpTime, sizeof(t));
	put(writer, "%s %s \"%04u-%02u-%02u %02u:%02u:%02u.%03uZ\"", name, operator_of(c->action),
	    t.wYear, t.wMonth, t.wDay, t.wHour, t.wMinute, t.wSecond, t.wMilliseconds);
}

/* Write arcs with dots. */
static void put_arcs(struct writer *writer, const OBJECT_IDENTIFIER *oid)
{
	for (DWORD i = 0; i < oid->Length; i++)
		put(writer, "%s%u", i ? "." : "", oid->lpIdentifier[i]);
}

/* Compare an object identifier. Its parts are compared as bytes of BER. */
static void put_oids(struct writer *writer, const struct comparison *c, const char *name)
{
	BYTE start_room[OID_MAX], room[OID_MAX];
	const OBJECT_IDENTIFIER *oid = c->right->object->lpOID;
	bool has_start, has_arcs;
	struct bytes start, arcs;

	if (c->right->kind != OID) {
		fail(writer);
		return;
	}
	has_start = encode_oid(oid, true, start_room, &start);
	has_arcs = encode_oid(oid, false, room, &arcs);
	if (c->action == FILTERACTION_OID_CONTAINS && has_arcs) {
		put(writer, "%s[0:] contains ", name);
		put_bytes(writer, arcs);
		if (!has_start)
			return;
		put(writer, " || %s[0:%u] == ", name, start.length);
		put_bytes(writer, start);
	} else if (c->action == FILTERACTION_OID_BEGINS_WITH && has_start) {
		put(writer, "%s[0:%u] == ", name, start.length);
		put_bytes(writer, start);
	} else if (c->action == FILTERACTION_OID_ENDS_WITH && has_arcs) {
		put(writer, "%s[-%u:%u] == ", name, arcs.length, arcs.length);
		put_bytes(writer, arcs);
	} else if ((c->action == FILTERACTION_EQUAL || c->action == FILTERACTION_NOTEQUAL) &&
		   has_start) {
		put(writer, "%s %s ", name, operator_of(c->action));
		put_arcs(writer, oid);
	} else {
		fail(writer);
	}
}

/* Compare a duration with nanoseconds, or a double with a number or with the bytes of a double. */
static void put_fractions(struct writer *writer, const struct comparison *c, const char *name,
			  enum form form)
{
	const FILTEROBJECT2 *object = c->right->object;
	bool is_double = form == FORM_DOUBLE && c->right->kind == ARRAY &&
			 object->ByteCount == sizeof(double);
	const uint64_t billion = 1000000000;
	char text[32];
	double number;

	if (!is_order(c->action) || (c->right->kind != NUMBER && !is_double)) {
		fail(writer);
		return;
	}
	put(writer, "%s %s ", name, operator_of(c->action));
	if (is_double) {
		memcpy(&number, object->lpArray, sizeof(number));
		em_write_double(text, 17, number);
		put(writer, "%s", text);
	} else if (form == FORM_DOUBLE) {
		put(writer, "%llu", (unsigned long long)number_of(object));
	} else {
		bool is_negative = (int64_t)number_of(object) < 0;
		uint64_t time = is_negative ? -number_of(object) : number_of(object);

		put(writer, "%s%llu.%09u", is_negative ? "-" : "",
		    (unsigned long long)(time / billion), (unsigned int)(time % billion));
	}
}

/* Compare a property with a value that is no property. */
static void put_property(struct writer *writer, const struct comparison *c)
{
	const struct em_field *field = field_of(writer, c->left);
	bool is_number = c->right->kind == NUMBER;
	struct bytes bytes = { NULL, 0 };
	enum form form;
	BYTE room[8];

	if (!field) {
		fail(writer);
		return;
	}
	form = form_of(field);
	if (form == FORM_TIME) {
		put_times(writer, c, field->filter_name);
		return;
	}
	if (form == FORM_OID) {
		put_oids(writer, c, field->filter_name);
		return;
	}
	if (form == FORM_DURATION || form == FORM_DOUBLE) {
		put_fractions(writer, c, field->filter_name, form);
		return;
	}
	if (form == FORM_NUMBER && is_number) {
		put_numbers(writer, c);
		return;
	}
	if (!right_bytes(c, room, &bytes)) {
		fail(writer);
		return;
	}
	if (form == FORM_NUMBER && c->right->kind == ARRAY)
		put_number_of_array(writer, c, field->filter_name, bytes);
	else if (form == FORM_STRING && !is_number && c->right->kind != ADDRESS_OF)
		put_strings(writer, c, field->filter_name, bytes);
	else if (form == FORM_BYTES)
		put_slices(writer, c, bytes);
	else if (form == FORM_IP || form == FORM_IP6 || form == FORM_LINK)
		put_address(writer, c, field->filter_name, form, bytes);
	else
		fail(writer);
}

/* Compare two properties of one form. */
static void put_properties(struct writer *writer, const struct comparison *c)
{
	const struct em_field *left = field_of(writer, c->left);
	const struct em_field *right = field_of(writer, c->right);
	bool is_string;

	if (!left || !right || !operator_of(c->action) ||
	    form_of(left) != form_of(right)) {
		fail(writer);
		return;
	}
	is_string = c->nc && form_of(left) == FORM_STRING;
	if (is_string) {
		put_presence(writer, c, left->filter_name);
		put_presence(writer, c, right->filter_name);
	}
	put(writer, is_string ? "lower(%s) %s lower(%s)" : "%s %s %s", left->filter_name,
	    operator_of(c->action), right->filter_name);
}

static bool is_value(const struct em_filter_node *node)
{
	return node->kind != PROPERTY && node->kind != BYTES_AT && node->kind != SUM;
}

static void put_comparison(struct writer *writer, const struct em_filter_node *node)
{
	struct comparison c = {
		.left_index = node->left, .right_index = node->right,
		.action = node->object->Action, .nc = is_nc(node->object->Action),
	};
	struct bytes bytes;
	BYTE room[8];

	if (c.nc)
		c.action++;
	if (is_value(&writer->nodes[c.left_index])) {
		c.left_index = node->right;
		c.right_index = node->left;
		c.action = mirrored(c.action);
	}
	c.left = &writer->nodes[c.left_index];
	c.right = &writer->nodes[c.right_index];
	if (is_value(c.left) || c.right->kind == BYTES_AT ||
	    (c.action == FILTERACTION_ARRAYEQUAL && c.right->kind != ARRAY)) {
		fail(writer);
		return;
	}
	if (c.left->kind == SUM || c.right->kind == SUM)
		put_numbers(writer, &c);
	else if (c.left->kind == BYTES_AT && right_bytes(&c, room, &bytes))
		put_slices(writer, &c, bytes);
	else if (c.left->kind == PROPERTY && c.right->kind == PROPERTY)
		put_properties(writer, &c);
	else if (c.left->kind == PROPERTY)
		put_property(writer, &c);
	else
		fail(writer);
}

/* -------------------------------------------------------------------------- addresses */

/* Write that a frame comes from an address, or goes to it. @end: "src", "dst" or "addr". */
static void put_station(struct writer *writer, const FILTEROBJECT2 *object, const char *end)
{
	const ADDRESS2 *address = object->lpAddress;

	switch (address_type(object)) {
	case ADDRESS_TYPE_IP:
		put(writer, "ip.%s == ", end);
		put_ip(writer, address->IPAddress);
		break;
	case ADDRESS_TYPE_IP6:
		put(writer, "ipv6.%s == ", end);
		put_ip6(writer, address->IP6Address);
		break;
	case ADDRESS_TYPE_ETHERNET:
		put(writer, "eth.%s == ", end);
		put_bytes(writer, (struct bytes){ address->MACAddress, MAC_ADDRESS_SIZE });
		break;
	case ADDRESS_TYPE_TOKENRING:
		put(writer, "tr.%s == ", end);
		put_bytes(writer, (struct bytes){ address->MACAddress, MAC_ADDRESS_SIZE });
		break;
	case ADDRESS_TYPE_FDDI:
		put(writer, "fddi.%s == ", end);
		put_bytes(writer, (struct bytes){ address->MACAddress, MAC_ADDRESS_SIZE });
		break;
	case ADDRESS_TYPE_IPX:
		put(writer, "(ipx.%s.net == 0x%02x%02x%02x%02x && ipx.%s.node == ", end,
		    address->IPXRawAddress[0], address->IPXRawAddress[1],
		    address->IPXRawAddress[2], address->IPXRawAddress[3], end);
		put_bytes(writer, (struct bytes){ address->IPXRawAddress + 4, 6 });
		put(writer, ")");
		break;
	default:	/* VINES, XNS, ATM, 1394; ANY and others, which are no addresses */
		fail(writer);
	}
}

/* Write that a frame goes from one station to the other. */
static void put_way(struct writer *writer, const struct em_filter_node *from,
		    const struct em_filter_node *to)
{
	bool any_from = !from || from->kind == ANY_ADDRESS, any_to = !to || to->kind == ANY_ADDRESS;

	put(writer, "(");
	if (!any_from)
		put_station(writer, from->object, "src");
	if (!any_from && !any_to)
		put(writer, " && ");
	if (!any_to)
		put_station(writer, to->object, "dst");
	if (any_from && any_to)
		put(writer, "frame");
	put(writer, ")");
}

/*
 * Write FROM, TO or FROMTO. With two addresses, FROM means from the first to the second, TO from
 * the second to the first, FROMTO either way. With one address, FROM means that it is the source,
 * TO the destination, FROMTO one of both.
 */
static void put_stations(struct writer *writer, const struct em_filter_node *node)
{
	const struct em_filter_node *second = &writer->nodes[node->right];
	const struct em_filter_node *first = node->left == NO_NODE ? NULL :
					     &writer->nodes[node->left];
	DWORD action = node->object->Action;

	if (!first) {
		first = second;
		second = NULL;
	}
	if (action != FILTERACTION_TO)
		put_way(writer, first, second);
	if (action == FILTERACTION_FROMTO)
		put(writer, " || ");
	if (action != FILTERACTION_FROM)
		put_way(writer, second, first);
}

/* ------------------------------------------------------------------------------ tests */

static void put_protocol(struct writer *writer, HPROTOCOL protocol)
{
	const char *name = writer->names->protocol(protocol, writer->names->arg);

	if (name)
		put(writer, "%s", name);
	else
		fail(writer);
}

/* Write that one of the protocols of a table exists. */
static void put_protocols(struct writer *writer, const PROTOCOLTABLE *table)
{
	if (!table->nProtocols)
		fail(writer);
	for (DWORD i = 0; i < table->nProtocols && !writer->failed; i++) {
		put(writer, i ? " || " : "");
		put_protocol(writer, table->hProtocol[i]);
	}
}

static void put_test(struct writer *writer, uint16_t index);

static void put_binary(struct writer *writer, const struct em_filter_node *node,
		       const char *operator)
{
	put_test(writer, node->left);
	put(writer, " %s ", operator);
	put_test(writer, node->right);
}

/* Write a test in parentheses. */
static void put_test(struct writer *writer, uint16_t index)
{
	const struct em_filter_node *node = &writer->nodes[index];

	if (writer->failed)
		return;
	put(writer, "(");
	switch (node->object->Action) {
	case FILTERACTION_AND:
		put_binary(writer, node, "&&");
		break;
	case FILTERACTION_OR:
		put_binary(writer, node, "||");
		break;
	case FILTERACTION_XOR:
		put(writer, "(");
		put_binary(writer, node, "||");
		put(writer, ") && !(");
		put_binary(writer, node, "&&");
		put(writer, ")");
		break;
	case FILTERACTION_NOT:
		put(writer, "!");
		put_test(writer, node->right);
		break;
	case FILTERACTION_BOOL:
		put(writer, node->object->Value ? "frame" : "!frame");
		break;
	case FILTERACTION_PROTOCOLEXIST:
		put_protocol(writer, node->object->hProtocol);
		break;
	case FILTERACTION_PROTOCOLSEXIST:
		put_protocols(writer, node->object->lpProtocolTable);
		break;
	case FILTERACTION_PROPERTYEXIST:
		put_owner(writer, node->right == NO_NODE ? node : &writer->nodes[node->right]);
		break;
	case FILTERACTION_FROM:
	case FILTERACTION_TO:
	case FILTERACTION_FROMTO:
		put_stations(writer, node);
		break;
	default:
		put_comparison(writer, node);
	}
	put(writer, ")");
}

DWORD em_translate(const FILTEROBJECT2 *objects, unsigned int count,
		   struct em_filter_node *nodes, const struct em_names_of *names,
		   char *text, size_t size)
{
	struct writer writer = { .nodes = nodes, .names = names, .text = text, .size = size };
	uint16_t root = build(objects, count, nodes);

	if (root == NO_NODE)
		return NMERR_FILTER_INVALID_EXPRESSION;
	put_test(&writer, root);
	return writer.failed ? NMERR_FILTER_INVALID_EXPRESSION : NMERR_SUCCESS;
}
