// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The names that a field's values have in Wireshark's tables. The tables have five types:
 * value_string, val64_string, an extended form of each, and range_string. A boolean has names for
 * true and false.
 */
#include "ws.h"

#include <Netmon.h>
#include <epan/tfs.h>

#define RANGE_MAX	64u	/* values of a range that get a label each; wider ranges get none */

static bool is_integer(enum ftenum type)
{
	return FT_IS_INT(type) || (FT_IS_UINT(type) && type != FT_FRAMENUM);
}

/*
 * Does the field have a table of names? field->strings may also be a function or the name of a
 * unit.
 */
static bool has_table(const header_field_info *field)
{
	return is_integer(field->type) && field->strings &&
	       FIELD_DISPLAY(field->display) != BASE_CUSTOM &&
	       !(field->display & (BASE_UNIT_STRING | BASE_PROTOCOL_INFO));
}

uint8_t labels_qualifier(const header_field_info *field)
{
	if (field->type == FT_BOOLEAN)
		return PROP_QUAL_FLAGS;
	return has_table(field) ? PROP_QUAL_LABELED_SET : PROP_QUAL_NONE;
}

/* Append a label. @off: the name of a clear bit, or NULL. False: there is no room. */
static bool add(struct results *results, uint64_t value, const char *name, const char *off,
		uint32_t *count)
{
	size_t length = strlen(name) + 1, off_length = off ? strlen(off) + 1 : 0;
	struct engine_label *label = results_room(results, sizeof(*label) + length + off_length);

	if (!label)
		return false;
	label->value = value;
	label->length = length;
	label->off_length = off_length;
	memcpy(label + 1, name, length);
	if (off)
		memcpy((char *)(label + 1) + length, off, off_length);
	++*count;
	return true;
}

/* Cut a table's value to the field's width: negative values are wider in the tables. */
static uint64_t cut(const header_field_info *field, uint64_t value)
{
	unsigned int width = field_form(field).width;

	return width < 8 ? value & ((UINT64_C(1) << 8 * width) - 1) : value;
}

static bool add_values(const header_field_info *field, const value_string *values,
		       struct results *results, uint32_t *count)
{
	for (; values && values->strptr; values++)
		if (!add(results, cut(field, values->value), values->strptr, NULL, count))
			return false;
	return true;
}

static bool add_values64(const header_field_info *field, const val64_string *values,
			 struct results *results, uint32_t *count)
{
	for (; values && values->strptr; values++)
		if (!add(results, cut(field, values->value), values->strptr, NULL, count))
			return false;
	return true;
}

static bool add_range(const header_field_info *field, const range_string *range,
		      struct results *results, uint32_t *count)
{
	uint64_t first = range->value_min, last = range->value_max;

	if (last < first || last - first >= RANGE_MAX)
		return true;
	for (uint64_t i = 0; i <= last - first; i++)
		if (!add(results, cut(field, first + i), range->strptr, NULL, count))
			return false;
	return true;
}

static bool add_ranges(const header_field_info *field, const range_string *range,
		       struct results *results, uint32_t *count)
{
	for (; range->strptr; range++)
		if (!add_range(field, range, results, count))
			return false;
	return true;
}

static bool add_boolean(const header_field_info *field, struct results *results, uint32_t *count)
{
	const true_false_string *names = field->strings;

	return add(results, 0, names ? names->true_string : "True",
		   names ? names->false_string : "False", count);
}

bool labels_add(const header_field_info *field, struct results *results, uint32_t *count)
{
	const int display = field->display;

	if (field->type == FT_BOOLEAN)
		return add_boolean(field, results, count);
	if (!has_table(field))
		return true;
	if (display & BASE_RANGE_STRING)
		return add_ranges(field, field->strings, results, count);
	if (display & BASE_VAL64_STRING && display & BASE_EXT_STRING)
		return add_values64(field,
				    VAL64_STRING_EXT_VS_P((val64_string_ext *)field->strings),
				    results, count);
	if (display & BASE_VAL64_STRING)
		return add_values64(field, field->strings, results, count);
	if (display & BASE_EXT_STRING)
		return add_values(field, VALUE_STRING_EXT_VS_P((value_string_ext *)field->strings),
				  results, count);
	return add_values(field, field->strings, results, count);
}
