// SPDX-License-Identifier: GPL-2.0
/*
 * properties: how often each value of a property occurs in a capture.
 *
 * A property is a field of a protocol, such as the destination port of TCP. The expert gets its
 * handle by GetProtocolFromName() and GetProperty(), and asks for its instances in each frame by
 * FindPropertyInstanceRestart(). It does not attach all properties to the frames. So the engine
 * looks for one field only, which is several times as fast.
 *
 * The expert counts the properties of the first of these that is there:
 *   1. PROPERTIES in the environment: names that are separated by commas
 *   2. the property that the user has selected, if there is no configuration, or if StartupFlags
 *      has EXPERT_STARTUP_FLAG_USE_STARTUP_DATA_OVER_CONFIG_DATA
 *   3. the configuration: a name in each line, see Configure()
 *   4. IP/Protocol
 * A name is PROTOCOL/PROPERTY with Network Monitor's or Wireshark's names, such as "TCP/Source Port",
 * or Wireshark's filter name, such as tcp.srcport.
 *
 * Values are equal if their bytes are equal. The text of a value is that of its first instance.
 * Memory is bounded: a value takes up to 256 bytes. After 100,000 values of a property, or when the
 * expert's limit is reached, new values are counted together as "other values".
 *
 * tshark has no statistics for most fields. tshark -T fields -e FIELD | sort | uniq -c gives these
 * counts.
 *
 * Build it:	cc -shared -fPIC properties.c common/{table,text,config,property,walk}.c \
 *		   -o properties.so -lexpertmem
 * Run it:	PROPERTIES='TCP/Destination Port,dns.qry.name' expertmem run ./properties.so traffic.pcap
 *
 * PROPERTIES_COUNT in the environment sets how many values are shown (20).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <Netmon.h>

#include "common/config.h"
#include "common/property.h"
#include "common/table.h"
#include "common/text.h"
#include "common/walk.h"

#define NAMES_MAX		16
#define VALUES_MAX		100000	/* of each property */

struct value {
	struct {		/* the key in the table */
		uint64_t length;	/* bytes of the value */
		uint64_t hash;		/* of all its bytes */
		BYTE first[48];		/* its first bytes */
	} key;
	unsigned long long count;
	char text[160];
};

struct property {
	const char *name;	/* as the user wrote it */
	HPROPERTY handle;
	struct table values;
	bool full;		/* no new values are added */
	unsigned long long frames, instances, other; /* frames with it; instances of other values */
};

struct survey {
	HEXPERTKEY key;
	struct property properties[NAMES_MAX];
	int count;
	unsigned long long frames, damaged;
};

/* Add a property that is to be counted. */
static DWORD survey_add(struct survey *survey, const char *name, HPROPERTY handle)
{
	struct property *property = &survey->properties[survey->count];
	DWORD error = NMERR_SUCCESS;
	char visible[128];

	if (survey->count == NAMES_MAX) {
		fprintf(stderr,
			"properties: only %d properties can be counted at once; name fewer\n",
			NAMES_MAX);
		return NMERR_OUT_OF_RANGE;
	}
	if (!handle)
		handle = property_find(name, &error);
	if (error != NMERR_SUCCESS) {
		fprintf(stderr, "properties: cannot find the property '%s': %s (error %u)\n",
			visible_text(name, visible, sizeof(visible)), error_text(error), error);
		return error;
	}
	property->name = name;
	property->handle = handle;
	table_init(&property->values, survey->key, sizeof(((struct value *)NULL)->key),
		   sizeof(struct value));
	survey->count++;
	return NMERR_SUCCESS;
}

/* Choose the properties to count. @text: room for their names, which properties point to. */
static DWORD survey_choose(struct survey *survey, PEXPERTCONFIG config, PEXPERTSTARTUPINFO startup,
			   DWORD flags, char text[CONFIG_TEXT])
{
	const char *wish = getenv("PROPERTIES");
	const PROPERTYINST *selected = startup->lpPropertyInst;
	DWORD error = NMERR_SUCCESS;
	char *rest = text, *line;

	config_text(config, text);
	if (wish) {
		snprintf(text, CONFIG_TEXT, "%s", wish);
		for (char *comma = text; (comma = strchr(comma, ',')); )
			*comma = '\n';
	} else if (selected && (!*text || flags & EXPERT_STARTUP_FLAG_USE_STARTUP_DATA_OVER_CONFIG_DATA)) {
		return survey_add(survey, selected->lpPropertyInfo->Label,
				  selected->lpPropertyInfo->hProperty);
	} else if (!*text) {
		strcpy(text, "IP/Protocol");
	}
	while (error == NMERR_SUCCESS && (line = config_line(&rest)))
		error = survey_add(survey, line, 0);
	return error;
}

static void make_key(LPPROPERTYINST instance, struct value *value)
{
	DWORD length;
	const BYTE *bytes = property_bytes(instance, &length);

	value->key.length = length;
	value->key.hash = property_hash(instance);
	memcpy(value->key.first, bytes,
	       length < sizeof(value->key.first) ? length : sizeof(value->key.first));
}

/* The text of a value. GetPropertyText() writes "Label = value": the label is in the heading. */
static void describe(HFRAME frame, LPPROPERTYINST instance, struct value *value)
{
	char text[sizeof(value->text)] = "", *start = text;
	const char *label = instance->lpPropertyInfo->Label;
	size_t length = label ? strlen(label) : 0;

	if (!GetPropertyText(frame, instance, text, sizeof(text)))
		strcpy(text, "(no text)");
	text[sizeof(text) - 1] = '\0';
	if (length && !strncmp(text, label, length) && !strncmp(text + length, " = ", 3))
		start = text + length + 3;
	visible_text(start, value->text, sizeof(value->text));
}

/* Count an instance of a property. */
static DWORD count_value(struct property *property, HFRAME frame, LPPROPERTYINST instance)
{
	struct value wanted = { .count = 0 }, *value;
	DWORD error = NMERR_SUCCESS;

	property->instances++;
	make_key(instance, &wanted);
	if (property->values.count >= VALUES_MAX)
		property->full = true;
	value = property->full ? table_find(&property->values, &wanted.key) :
				 table_add(&property->values, &wanted.key, &error);
	if (!value) {
		if (error == NMERR_OUT_OF_MEMORY)
			property->full = true;
		else if (error != NMERR_SUCCESS)
			return error;
		property->other++;
		return NMERR_SUCCESS;
	}
	if (!value->count++)
		describe(frame, instance, value);
	return NMERR_SUCCESS;
}

/* Count all instances of a property in a frame. */
static DWORD count_frame(struct survey *survey, struct property *property, HFRAME frame)
{
	LPPROPERTYINST key = NULL, instance;
	unsigned long long before = property->instances;
	DWORD error = NMERR_SUCCESS;

	while (error == NMERR_SUCCESS &&
	       (instance = FindPropertyInstanceRestart(frame, property->handle, &key, TRUE)))
		error = count_value(property, frame, instance);
	property->frames += property->instances > before;
	if (error != NMERR_SUCCESS || property->instances > before)
		return error;

	error = property_absent();
	if (error != NMERR_INTERNAL_EXCEPTION && error != NMERR_RUNAWAY_PROTOCOL)
		return error;
	survey->damaged++;
	return NMERR_SUCCESS;
}

static DWORD survey_capture(struct survey *survey, HCAPTURE capture)
{
	struct walk walk;
	DWORD error;

	walk_init(&walk, survey->key, capture, "counting values");
	while ((error = walk_next(&walk)) == NMERR_SUCCESS) {
		for (int i = 0; i < survey->count && error == NMERR_SUCCESS; i++)
			error = count_frame(survey, &survey->properties[i], walk.frame.hFrame);
		if (error != NMERR_SUCCESS)
			return error;
		survey->frames++;
	}
	return error == NMERR_NO_MORE_FRAMES ? NMERR_SUCCESS : error;
}

/* Sort by count, the most first; then by text. */
static int compare_values(const void *left, const void *right)
{
	const struct value *a = left, *b = right;

	if (a->count != b->count)
		return a->count < b->count ? 1 : -1;
	return strcmp(a->text, b->text);
}

static void print_property(struct property *property, uint32_t rows)
{
	char name[128];

	table_sort(&property->values, compare_values);
	printf("%s: %llu instances in %llu frames, %s%u values\n",
	       visible_text(property->name, name, sizeof(name)), property->instances,
	       property->frames, property->other ? "more than " : "", property->values.count);
	printf("%10s %6s  %s\n", "Count", "Share", "Value");
	for (uint32_t i = 0; i < property->values.count && i < rows; i++) {
		const struct value *value = table_at(&property->values, i);

		printf("%10llu %5.1f%%  %s\n", value->count,
		       100.0 * value->count / property->instances, value->text);
	}
	if (property->values.count > rows)
		printf("%17s  (%u more values)\n", "", property->values.count - rows);
	if (property->other)
		printf("%10llu %5.1f%%  (other values)\n", property->other,
		       100.0 * property->other / property->instances);
	printf("\n");
}

static bool survey_print(struct survey *survey)
{
	const char *wish = getenv("PROPERTIES_COUNT");

	for (int i = 0; i < survey->count; i++)
		print_property(&survey->properties[i], wish ? strtoul(wish, NULL, 10) : 20);
	printf("%llu frames; %llu of them could not be dissected\n", survey->frames,
	       survey->damaged);
	if (!fflush(stdout) && !ferror(stdout))
		return true;
	fprintf(stderr, "properties: cannot write the table: %s\n", strerror(errno));
	return false;
}

BOOL WINAPI Register(PEXPERTENUMINFO info)
{
	strcpy(info->szName, "Property Distribution");
	strcpy(info->szVendor, "expertmem");
	strcpy(info->szDescription, "How often each value of a property occurs");
	info->Version = 0;
	info->Flags = EXPERT_ENUM_FLAG_CONFIGURABLE | EXPERT_ENUM_FLAG_NO_VIEWER |
		      EXPERT_ENUM_FLAG_ADD_ME_TO_RMC_IN_DETAIL;
	return TRUE;
}

/* Check only the form of a name. Configure() has no capture, so no engine can look the name up. */
static const char *check_line(char *line)
{
	return strpbrk(line, "/.") ? NULL : "a property is PROTOCOL/PROPERTY or a filter name";
}

BOOL WINAPI Configure(HEXPERTKEY key, PEXPERTCONFIG *config, PEXPERTSTARTUPINFO startup, DWORD flags,
		      HWND window)
{
	(void)startup, (void)flags, (void)window;
	return config_edit(key, config,
			   "Which properties are counted? Each line names one, for instance:\n"
			   "  TCP/Destination Port\n"
			   "  dns.qry.name", check_line);
}

BOOL WINAPI Run(HEXPERTKEY key, PEXPERTCONFIG config, PEXPERTSTARTUPINFO startup, DWORD flags,
		HWND window)
{
	struct survey survey = { .key = key };
	char text[CONFIG_TEXT];
	bool good = false;
	DWORD error;

	(void)window;
	error = survey_choose(&survey, config, startup, flags, text);
	if (error == NMERR_SUCCESS) {
		error = survey_capture(&survey, startup->hCapture);
		if (error == NMERR_SUCCESS)
			good = survey_print(&survey);
		else if (error != NMERR_EXPERT_TERMINATE)
			fprintf(stderr, "properties: %s (error %u) after %llu frames\n",
				error_text(error), error, survey.frames);
	}
	for (int i = 0; i < survey.count; i++)
		table_free(&survey.properties[i].values);
	return good;
}
