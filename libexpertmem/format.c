// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Properties as text. Microsoft's Netmon.h reference has a table with the output of its generic
 * formatter, and this file writes these forms. For many types the table says "does not support";
 * their forms are this project's.
 *
 * Control characters of a frame, and bytes that are not UTF-8, become \n, \r, \t or \xHH.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "capture.h"
#include "text.h"

/*
 * The text that is being written. @size: bytes of the buffer @text. @length: bytes of the whole
 * text, also those that did not fit. finish() writes the null.
 */
struct out {
	char *text;
	size_t size;
	size_t length;
};

/*
 * The property that is formatted. @field: NULL if the expert made the description. @data: the
 * value, which has @length bytes. @swapped: integers are in network order. @extended: the value is
 * in a PROPERTYINSTEX. @unicode: a string has 16-bit characters.
 */
struct value {
	const PROPERTYINFO *info;
	const struct em_field *field;
	const BYTE *data;
	uint32_t length;
	bool swapped;
	bool extended;
	bool unicode;
};

static void put_bytes(struct out *out, const char *bytes, size_t length)
{
	if (out->length < out->size)
		memcpy(out->text + out->length, bytes,
		       length < out->size - out->length ? length : out->size - out->length);
	out->length += length;
}

static void put(struct out *out, const char *text)
{
	put_bytes(out, text, strlen(text));
}

/* Write the null. A text that was cut ends with a whole character. */
static void finish(struct out *out)
{
	size_t end = out->length, start;

	if (!out->size)
		return;
	if (end > out->size - 1) {
		start = out->size - 1;
		while (start && ((unsigned char)out->text[start] & 0xc0) == 0x80)
			start--;
		end = start;
	}
	out->text[end] = '\0';
}

#define put_format(out, ...) \
	do { \
		char line[64]; \
		\
		snprintf(line, sizeof(line), __VA_ARGS__); \
		put(out, line); \
	} while (0)

/* Write the character at @s, or one byte that is no character, visibly. Returns its bytes in @s. */
static size_t put_visible(struct out *out, const unsigned char *s, size_t left)
{
	unsigned char character[5] = { 0 };
	int length;

	memcpy(character, s, left < 4 ? left : 4);
	length = character[0] ? em_plain_length(character) : 0;
	if (length) {
		put_bytes(out, (const char *)character, length);
		return length;
	}
	switch (*s) {
	case '\n':
		put(out, "\\n");
		break;
	case '\r':
		put(out, "\\r");
		break;
	case '\t':
		put(out, "\\t");
		break;
	default:
		put_format(out, "\\x%02x", *s);
	}
	return 1;
}

/* Write a text of the description, such as a label. */
static void put_label(struct out *out, const char *label)
{
	size_t left = label ? strlen(label) : 0;

	while (left) {
		size_t length = put_visible(out, (const unsigned char *)label, left);

		label += length;
		left -= length;
	}
}

/* ------------------------------------------------------------------------- strings */

/* Write a character of Unicode as UTF-8. A part of a surrogate pair becomes U+FFFD. */
static void put_code(struct out *out, uint32_t code)
{
	unsigned char s[4];
	size_t length;

	if (code >= 0xd800 && code < 0xe000)
		code = 0xfffd;
	if (code < 0x80) {
		s[0] = code;
		length = 1;
	} else if (code < 0x800) {
		s[0] = 0xc0 | code >> 6;
		s[1] = 0x80 | (code & 0x3f);
		length = 2;
	} else if (code < 0x10000) {
		s[0] = 0xe0 | code >> 12;
		s[1] = 0x80 | (code >> 6 & 0x3f);
		s[2] = 0x80 | (code & 0x3f);
		length = 3;
	} else {
		s[0] = 0xf0 | code >> 18;
		s[1] = 0x80 | (code >> 12 & 0x3f);
		s[2] = 0x80 | (code >> 6 & 0x3f);
		s[3] = 0x80 | (code & 0x3f);
		length = 4;
	}
	for (size_t i = 0; i < length; )
		i += put_visible(out, s + i, length - i);
}

static uint32_t unit_at(const struct value *value, uint32_t at)
{
	const BYTE *s = value->data + at;

	return value->swapped ? s[0] << 8 | s[1] : s[1] << 8 | s[0];
}

/* A string of 16-bit characters. */
static void put_unicode(struct out *out, const struct value *value)
{
	for (uint32_t i = 0; i + 1 < value->length; i += 2) {
		uint32_t code = unit_at(value, i);

		if (code >= 0xd800 && code < 0xdc00 && i + 3 < value->length) {
			uint32_t low = unit_at(value, i + 2);

			if (low >= 0xdc00 && low < 0xe000) {
				code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
				i += 2;
			}
		}
		put_code(out, code);
	}
}

/* Write a string. Nulls at its end are padding of a field of fixed size, and are left out. */
static void put_string(struct out *out, const struct value *value)
{
	uint32_t length = value->length;

	if (value->unicode) {
		put_unicode(out, value);
		return;
	}
	while (length && !value->data[length - 1])
		length--;
	for (uint32_t i = 0; i < length; )
		i += put_visible(out, value->data + i, length - i);
}

/* ------------------------------------------------------------------------- integers */

/* The integer of @length bytes at @data, at most 8. */
static uint64_t integer_at(const BYTE *data, uint32_t length, bool swapped)
{
	uint64_t number = 0;

	for (uint32_t i = 0; i < length; i++)
		number = number << 8 | data[swapped ? i : length - 1 - i];
	return number;
}

static void put_number(struct out *out, const struct value *value, uint64_t number)
{
	unsigned int unused = 64 - 8 * value->length;

	if (value->field && value->field->flags & ENGINE_FIELD_SIGNED)
		put_format(out, "%lld (0x%llx)", (long long)(number << unused) >> unused,
			   (unsigned long long)number);
	else
		put_format(out, "%llu (0x%llx)", (unsigned long long)number,
			   (unsigned long long)number);
}

/* The number of the entry @i of a set. *@label: the entry's label; NULL: the set has no labels. */
static uint64_t entry_of(const struct value *value, const SET *set, uint32_t width, uint32_t i,
			 const char **label)
{
	bool is_labeled = value->info->DataQualifier == PROP_QUAL_LABELED_SET;

	*label = NULL;
	if (!is_labeled && width == 8)
		return set->lpLargeIntTable[i].QuadPart;
	if (!is_labeled)
		return width == 1 ? set->lpByteTable[i] :
		       width == 2 ? set->lpWordTable[i] : set->lpDwordTable[i];
	switch (width) {
	case 1:
		*label = set->lpLabeledByteTable[i].Label;
		return set->lpLabeledByteTable[i].Value;
	case 2:
		*label = set->lpLabeledWordTable[i].Label;
		return set->lpLabeledWordTable[i].Value;
	case 4:
		*label = set->lpLabeledDwordTable[i].Label;
		return set->lpLabeledDwordTable[i].Value;
	default:
		*label = set->lpLabeledLargeIntTable[i].Label;
		return set->lpLabeledLargeIntTable[i].Value.QuadPart;
	}
}

/* Look for a number in the description's set. @width: bytes of an entry's number. */
static bool find_in_set(const struct value *value, uint32_t width, uint64_t number,
			const char **label)
{
	const SET *set = value->info->lpSet;

	for (uint32_t i = 0; set && i < set->nEntries; i++)
		if (entry_of(value, set, width, i, label) == number)
			return true;
	return false;
}

/*
 * Write bits as "......1. = On". The bits of a masked field are shown at their places in the
 * integer.
 */
static void put_flags(struct out *out, const struct value *value, uint64_t number)
{
	uint64_t mask = value->field ? value->field->mask : 0;
	unsigned int shift = mask ? __builtin_ctzll(mask) : 0, bits = 8 * value->length;
	const SET *set = value->info->lpSet;

	while (mask && bits < 64 && mask >> bits)
		bits *= 2;
	for (uint32_t i = 0; set && i < set->nEntries; i++) {
		const LABELED_BIT *bit = &set->lpLabeledBit[i];
		unsigned int place = bit->BitNumber + shift;
		bool is_on;

		if (place >= bits || bit->BitNumber >= 64)
			continue;
		is_on = number >> bit->BitNumber & 1;
		if (i)
			put(out, " ");
		for (unsigned int at = bits; at--; )
			put(out, at != place ? "." : is_on ? "1" : "0");
		put(out, " = ");
		put_label(out, is_on ? bit->LabelOn : bit->LabelOff);
	}
	if (!set || !set->nEntries)
		put_number(out, value, number);
}

static void put_array(struct out *out, const struct value *value, uint32_t width)
{
	for (uint32_t i = 0; i + width <= value->length; i += width)
		put_format(out, "%s%0*llx", i ? " " : "", (int)width * 2, (unsigned long long)
			   integer_at(value->data + i, width, value->swapped));
}

/* Write an integer of @width bytes. 0: of 1 to 8 bytes; the numbers in sets have 64 bits then. */
static void put_integer(struct out *out, const struct value *value, uint32_t width)
{
	const PROPERTYINFO *info = value->info;
	const char *label = NULL;
	uint64_t number;
	bool found;

	if (info->DataQualifier == PROP_QUAL_ARRAY) {
		put_array(out, value, width ? width : 1);
		return;
	}
	number = integer_at(value->data, value->length, value->swapped);
	switch (info->DataQualifier) {
	case PROP_QUAL_LABELED_SET:
		if (find_in_set(value, width ? width : 8, number, &label) && label)
			put_label(out, label);
		else
			put_number(out, value, number);
		break;
	case PROP_QUAL_FLAGS:
	case PROP_QUAL_LABELED_BITFIELD:
		put_flags(out, value, number);
		break;
	case PROP_QUAL_RANGE:
		put_number(out, value, number);
		if (info->lpRange)
			put_format(out, " Range:(%u (0x%x) - %u (0x%x))", info->lpRange->MinValue,
				   info->lpRange->MinValue, info->lpRange->MaxValue,
				   info->lpRange->MaxValue);
		break;
	case PROP_QUAL_SET:
		found = find_in_set(value, width ? width : 8, number, &label);
		put_number(out, value, number);
		put(out, found ? " Matches Set Value" : " Unknown Set Value");
		break;
	default:
		put_number(out, value, number);
	}
}

/* ---------------------------------------------------------------------- other types */

static void put_hex(struct out *out, const BYTE *bytes, uint32_t length, const char *separator)
{
	for (uint32_t i = 0; i < length; i++)
		put_format(out, "%s%02x", i ? separator : "", bytes[i]);
}

static void put_time(struct out *out, const struct value *value)
{
	SYSTEMTIME time;

	memcpy(&time, value->data, sizeof(time));
	put_format(out, "%04u-%02u-%02u %02u:%02u:%02u.%03u", time.wYear, time.wMonth, time.wDay,
		   time.wHour, time.wMinute, time.wSecond, time.wMilliseconds);
}

/* An object identifier in BER: 7 bits in a byte; the first number has two arcs in it. */
static void put_oid(struct out *out, const struct value *value)
{
	uint64_t arc = 0;
	bool first = true;

	for (uint32_t i = 0; i < value->length; i++) {
		if (arc >> 57) {	/* longer than any arc that is in use */
			put(out, "...");
			return;
		}
		arc = arc << 7 | (value->data[i] & 0x7f);
		if (value->data[i] & 0x80)
			continue;
		if (first) {
			unsigned int top = arc < 80 ? arc / 40 : 2;

			put_format(out, "%u.%llu", top, (unsigned long long)(arc - top * 40));
		} else {
			put_format(out, ".%llu", (unsigned long long)arc);
		}
		first = false;
		arc = 0;
	}
}

static void put_ip6(struct out *out, const struct value *value)
{
	char text[INET6_ADDRSTRLEN];

	put(out, inet_ntop(AF_INET6, value->data, text, sizeof(text)));
}

static void put_ipx(struct out *out, const BYTE *address)
{
	put_hex(out, address, 4, "");
	put(out, ".");
	put_hex(out, address + 4, 6, "");
}

/* Bytes of a value of this type; 0: any number. */
static uint32_t size_of(BYTE type)
{
	switch (type) {
	case PROP_TYPE_BYTE:
		return sizeof(BYTE);
	case PROP_TYPE_WORD:
	case PROP_TYPE_BYTESWAPPED_WORD:
		return sizeof(WORD);
	case PROP_TYPE_DWORD:
	case PROP_TYPE_BYTESWAPPED_DWORD:
		return sizeof(DWORD);
	case PROP_TYPE_LARGEINT:
		return sizeof(LARGE_INTEGER);
	case PROP_TYPE_TIME:
		return sizeof(SYSTEMTIME);
	case PROP_TYPE_IP_ADDRESS:
		return IP_ADDRESS_SIZE;
	case PROP_TYPE_IP6_ADDRESS:
		return IP6_ADDRESS_SIZE;
	case PROP_TYPE_IPX_ADDRESS:
		return IPX_ADDR_SIZE;
	case PROP_TYPE_VINES_IP_ADDRESS:
		return VINES_IP_ADDRESS_SIZE;
	default:
		return 0;
	}
}

static void put_value(struct out *out, struct value *value)
{
	BYTE type = value->info->DataType;

	switch (type) {
	case PROP_TYPE_BYTESWAPPED_WORD:
	case PROP_TYPE_BYTESWAPPED_DWORD:
		value->swapped = true;
		/* fallthrough */
	case PROP_TYPE_BYTE:
	case PROP_TYPE_WORD:
	case PROP_TYPE_DWORD:
	case PROP_TYPE_LARGEINT:
		put_integer(out, value, size_of(type));
		break;
	case PROP_TYPE_VAR_LEN_SMALL_INT:
		put_integer(out, value, 0);
		break;
	case PROP_TYPE_TIME:
		put_time(out, value);
		break;
	case PROP_TYPE_IP_ADDRESS:
		put_format(out, "%u.%u.%u.%u", value->data[0], value->data[1], value->data[2],
			   value->data[3]);
		break;
	case PROP_TYPE_IP6_ADDRESS:
		put_ip6(out, value);
		break;
	case PROP_TYPE_IPX_ADDRESS:
		put_ipx(out, value->data);
		break;
	case PROP_TYPE_VINES_IP_ADDRESS:
		put_hex(out, value->data, 4, "");
		put(out, ".");
		put_hex(out, value->data + 4, 2, "");
		break;
	case PROP_TYPE_OBJECT_IDENTIFIER:
		put_oid(out, value);
		break;
	case PROP_TYPE_VOID:
	case PROP_TYPE_SUMMARY:
	case PROP_TYPE_COMMENT:
	case PROP_TYPE_STRING:
	case PROP_TYPE_TYPED_STRING:
	case PROP_TYPE_SRCFRIENDLYNAME:
	case PROP_TYPE_DSTFRIENDLYNAME:
		put_string(out, value);
		break;
	default:	/* link addresses */
		put_hex(out, value->data, value->length, "-");
	}
}

static bool is_integer(BYTE type)
{
	return (size_of(type) && size_of(type) <= 8 && type != PROP_TYPE_IP_ADDRESS &&
		type != PROP_TYPE_VINES_IP_ADDRESS) || type == PROP_TYPE_VAR_LEN_SMALL_INT;
}

/* Is the value as long as its type? */
static bool fits(const struct value *value)
{
	uint32_t size = size_of(value->info->DataType);

	if (is_integer(value->info->DataType) && value->info->DataQualifier == PROP_QUAL_ARRAY)
		return true;
	if (value->info->DataType == PROP_TYPE_VAR_LEN_SMALL_INT)
		return value->length >= 1 && value->length <= 8;
	return !size || value->length == size;
}

/* Is the value a double? Netmon.h has no type for numbers with a fraction. */
static bool is_double(const struct value *value)
{
	return value->field && value->field->flags & ENGINE_FIELD_DOUBLE &&
	       value->length == sizeof(double);
}

static void put_double(struct out *out, const struct value *value)
{
	double number;
	char text[32];

	memcpy(&number, value->data, sizeof(number));
	em_write_double(text, 9, number);
	put(out, text);
}

static bool is_duration(const struct value *value)
{
	return value->field && value->field->flags & ENGINE_FIELD_DURATION &&
	       value->length == sizeof(int64_t);
}

/* Nanoseconds, as seconds. */
static void put_duration(struct out *out, const struct value *value)
{
	const uint64_t billion = 1000000000;
	uint64_t time = integer_at(value->data, value->length, value->swapped);
	bool is_negative = (int64_t)time < 0;

	time = is_negative ? -time : time;
	put_format(out, "%s%llu.%09u seconds", is_negative ? "-" : "",
		   (unsigned long long)(time / billion), (unsigned int)(time % billion));
}

/*
 * Is the text only the label? By Microsoft's table, raw data and constants have only a label.
 * Headings of protocols and groups have only a label, too: their bytes in the frame belong to other
 * properties.
 */
static bool is_only_label(const struct value *value)
{
	switch (value->info->DataType) {
	case PROP_TYPE_RAW_DATA:
		return !is_double(value);
	case PROP_TYPE_VOID:
	case PROP_TYPE_SUMMARY:
	case PROP_TYPE_COMMENT:
		return !value->length || (value->field && !value->extended);
	default:
		return is_integer(value->info->DataType) &&
		       value->info->DataQualifier == PROP_QUAL_CONST;
	}
}

/*
 * Is the text only the value? By Microsoft's table for these types; and for text without a field.
 */
static bool is_only_value(const struct value *value)
{
	return (value->field && value->field->protocol == ENGINE_NONE) ||
	       value->info->DataType == PROP_TYPE_VOID ||
	       value->info->DataType == PROP_TYPE_SUMMARY ||
	       value->info->DataType == PROP_TYPE_COMMENT;
}

size_t em_format(const PROPERTYINST *instance, const struct em_field *field, char *text,
		 size_t size)
{
	struct out out = { .text = text, .size = size };
	struct value value = {
		.info = instance->lpPropertyInfo,
		.field = field,
		.data = instance->lpByte,
		.length = instance->DataLength,
		.swapped = instance->IFlags & IFLAG_SWAPPED,
		.extended = instance->DataLength == 0xffff,
		.unicode = instance->IFlags & IFLAG_UNICODE,
	};

	if (value.extended) {
		value.data = instance->lpPropertyInstEx->Byte;
		value.length = instance->lpPropertyInstEx->LengthEx;
	}
	if (!value.data)
		value.length = 0;
	if (is_only_label(&value)) {
		put_label(&out, value.info->Label);
	} else {
		if (!is_only_value(&value)) {
			put_label(&out, value.info->Label);
			put(&out, " = ");
		}
		if (is_double(&value))
			put_double(&out, &value);
		else if (is_duration(&value))
			put_duration(&out, &value);
		else if (fits(&value))
			put_value(&out, &value);
		else
			put_hex(&out, value.data, value.length, " ");
	}
	finish(&out);
	return out.length;
}

/* -------------------------------------------------------------------- calls of Netmon.h */

LPSTR WINAPI GetPropertyText(HFRAME hFrame, LPPROPERTYINST lpPI, LPSTR szBuffer,
			     DWORD BufferSize)
{
	struct em_client *client;
	uint32_t number;
	size_t length;
	DWORD error;

	if (!lpPI || !lpPI->lpPropertyInfo || !szBuffer || !BufferSize)
		return em_fail_null(NMERR_INVALID_PARAMETER);
	client = em_client_lock_of((uintptr_t)hFrame, EM_HANDLE_FRAME, &number,
				   NMERR_INVALID_HFRAME, &error);
	if (!client)
		return em_fail_null(error);
	length = em_format(lpPI, em_field_of_info(client, lpPI->lpPropertyInfo), szBuffer,
			   BufferSize);
	em_client_unlock(client);
	em_set_last_error(length < BufferSize ? NMERR_SUCCESS : NMERR_BUFFER_TOO_SMALL);
	return szBuffer;
}

/* Format an instance, with the client locked. */
static DWORD format(struct em_client *client, LPPROPERTYINST instance)
{
	const struct em_field *field = em_field_of_info(client, instance->lpPropertyInfo);
	size_t size = em_format(instance, field, NULL, 0) + 1;
	DWORD error = NMERR_SUCCESS;
	char *text;

	if (instance->szPropertyText)
		return NMERR_SUCCESS;
	text = em_text_alloc(client, instance, size, &error);
	if (!text)
		return error;
	em_format(instance, field, text, size);
	instance->szPropertyText = text;
	return NMERR_SUCCESS;
}

DWORD FormatPropertyInstance(LPPROPERTYINST lpPropertyInst, ...)
{
	struct em_client *client = NULL;
	uint32_t number;
	DWORD error;

	if (!lpPropertyInst || !lpPropertyInst->lpPropertyInfo) {
		error = NMERR_INVALID_PARAMETER;
	} else {
		client = em_client_lock_of(lpPropertyInst->lpPropertyInfo->hProperty,
					   EM_HANDLE_PROPERTY, &number, NMERR_INVALID_HPROPERTY,
					   &error);
		/* The expert made the description itself, so the property has no handle. */
		if (error == NMERR_INVALID_HPROPERTY) {
			client = em_client_current();
			error = client ? em_client_lock(client) : NMERR_INVALID_HCAPTURE;
		}
	}
	if (!error) {
		error = format(client, lpPropertyInst);
		em_client_unlock(client);
	}
	return error;
}
