// SPDX-License-Identifier: GPL-2.0
/* Times, severities and values of columns of events as text. */
#include <arpa/inet.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "events.h"

#define NANOSECONDS	INT64_C(1000000000)

static const struct {
	const char *title;
	DWORD flag;
} fixed[FIXED_COLUMNS] = {
	[FIXED_SEVERITY]	= { "Severity", NMEVENTFLAG_DO_NOT_DISPLAY_SEVERITY },
	[FIXED_DATE]		= { "Date", NMEVENTFLAG_DO_NOT_DISPLAY_DATE },
	[FIXED_TIME]		= { "Time", NMEVENTFLAG_DO_NOT_DISPLAY_TIME },
	[FIXED_SOURCE]		= { "Source", NMEVENTFLAG_DO_NOT_DISPLAY_SOURCE },
	[FIXED_NAME]		= { "Event", NMEVENTFLAG_DO_NOT_DISPLAY_EVENT_NAME },
	[FIXED_DESCRIPTION]	= { "Description", NMEVENTFLAG_DO_NOT_DISPLAY_DESCRIPTION },
	[FIXED_MACHINE]		= { "Machine", NMEVENTFLAG_DO_NOT_DISPLAY_MACHINE },
};

const char *fixed_title(enum fixed_column column)
{
	return fixed[column].title;
}

DWORD fixed_flag(enum fixed_column column)
{
	return fixed[column].flag;
}

const char *severity_word(DWORD severity)
{
	static const char *const words[SEVERITIES] = {
		[NMEVENT_SEVERITY_INFORMATIONAL]	= "informational",
		[NMEVENT_SEVERITY_WARNING]		= "warning",
		[NMEVENT_SEVERITY_STRONG_WARNING]	= "strong warning",
		[NMEVENT_SEVERITY_ERROR]		= "error",
		[NMEVENT_SEVERITY_SEVERE_ERROR]		= "severe",
		[NMEVENT_SEVERITY_CRITICAL_ERROR]	= "critical",
	};

	return severity < SEVERITIES ? words[severity] : "unknown";
}

unsigned int severity_index(DWORD severity)
{
	return severity < SEVERITIES ? severity : SEVERITIES - 1;
}

/* Split a time into seconds, rounded down, and nanoseconds. */
static time_t split_time(int64_t time, unsigned int *nanoseconds)
{
	int64_t rest = time % NANOSECONDS;

	*nanoseconds = rest < 0 ? rest + NANOSECONDS : rest;
	return time / NANOSECONDS - (rest < 0);
}

/* Write a time in UTC by the format of strftime(). */
static size_t format_time(char text[static EVENT_VALUE], int64_t time, const char *format)
{
	unsigned int nanoseconds;
	time_t seconds = split_time(time, &nanoseconds);
	struct tm tm;

	return gmtime_r(&seconds, &tm) ? strftime(text, EVENT_VALUE, format, &tm) : 0;
}

const char *event_timestamp(char text[static EVENT_VALUE], int64_t time)
{
	size_t length = format_time(text, time, "%Y-%m-%dT%H:%M:%S");
	unsigned int nanoseconds;

	split_time(time, &nanoseconds);
	snprintf(text + length, EVENT_VALUE - length, ".%06u+00:00", nanoseconds / 1000);
	return text;
}

static const char *date_text(char text[static EVENT_VALUE], int64_t time)
{
	if (time == NO_TIME)
		return "";
	text[format_time(text, time, "%Y-%m-%d")] = '\0';
	return text;
}

static const char *clock_text(char text[static EVENT_VALUE], int64_t time)
{
	unsigned int nanoseconds;
	size_t length;

	if (time == NO_TIME)
		return "";
	length = format_time(text, time, "%H:%M:%S");
	split_time(time, &nanoseconds);
	snprintf(text + length, EVENT_VALUE - length, ".%03u", nanoseconds / 1000000);
	return text;
}

const char *fixed_text(char text[static EVENT_VALUE], const struct event *event,
		       enum fixed_column column)
{
	switch (column) {
	case FIXED_SEVERITY:
		return severity_word(event->data->Severity);
	case FIXED_DATE:
		return date_text(text, event->time);
	case FIXED_TIME:
		return clock_text(text, event->time);
	case FIXED_SOURCE:
		return event->data->szSourceName;
	case FIXED_NAME:
		return event->data->szEventName;
	case FIXED_DESCRIPTION:
		return event->data->szDescription;
	case FIXED_MACHINE:
		return event->data->szMachine;
	default:
		return "";
	}
}

const char *column_name(char text[static EVENT_VALUE], const NMEVENTDATA *data,
			unsigned int column)
{
	const char *name = data->Column[column].szColumnName;

	if (*name)
		return name;
	snprintf(text, EVENT_VALUE, "column %u", column + 1);
	return text;
}

bool column_is_number(NMCOLUMNTYPE type)
{
	return type <= NMCOLUMNTYPE_FRAME;
}

/* Write the shortest text that is read as the same number. */
static void double_text(char text[static EVENT_VALUE], double value)
{
	snprintf(text, EVENT_VALUE, "%.15g", value);
	if (isfinite(value) && strtod(text, NULL) != value)
		snprintf(text, EVENT_VALUE, "%.17g", value);
}

/* Write a time in days since 30 December 1899 as date and time; "" if the year has not 4 digits. */
static void variant_time_text(char text[static EVENT_VALUE], double days)
{
	const double epoch = 25569;	/* 1 January 1970 */
	int64_t milliseconds;

	*text = '\0';
	if (!(days >= -657434 && days < 2958466))
		return;
	days = (days - epoch) * 86400000;
	milliseconds = days < 0 ? days - 0.5 : days + 0.5;
	/* nanoseconds of these years do not fit into 64 bits */
	if (milliseconds > -9000000000000 && milliseconds < 9000000000000)
		event_timestamp(text, milliseconds * 1000000);
}

static void mac_text(char *text, size_t size, const BYTE mac[static 6])
{
	snprintf(text, size, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4],
		 mac[5]);
}

static void ipx_text(char text[static EVENT_VALUE], const IPX_ADDR *address)
{
	const BYTE *net = address->Subnet;
	int length = snprintf(text, EVENT_VALUE, "%02x%02x%02x%02x.", net[0], net[1], net[2], net[3]);

	mac_text(text + length, EVENT_VALUE - length, address->Address);
}

static long signed_value(const NMCOLUMNVARIANT *value)
{
	switch (value->Type) {
	case NMCOLUMNTYPE_SINT8:
		return value->Value.Sint8Val;
	case NMCOLUMNTYPE_SINT16:
		return value->Value.Sint16Val;
	default:
		return value->Value.Sint32Val;
	}
}

static unsigned long unsigned_value(const NMCOLUMNVARIANT *value)
{
	switch (value->Type) {
	case NMCOLUMNTYPE_UINT8:
		return value->Value.Uint8Val;
	case NMCOLUMNTYPE_UINT16:
		return value->Value.Uint16Val;
	case NMCOLUMNTYPE_FRAME:
		return value->Value.FrameVal;
	default:
		return value->Value.Uint32Val;
	}
}

const char *column_text(char text[static EVENT_VALUE], const NMCOLUMNVARIANT *value)
{
	if (value->Type == NMCOLUMNTYPE_FRAME)
		snprintf(text, EVENT_VALUE, "#%" PRIu64, (uint64_t)value->Value.FrameVal + 1);
	else if (value->Type == NMCOLUMNTYPE_FLOAT64)
		snprintf(text, EVENT_VALUE, "%.6g", value->Value.Float64Val);
	else
		return column_data(text, value);
	return text;
}

const char *column_data(char text[static EVENT_VALUE], const NMCOLUMNVARIANT *value)
{
	switch (value->Type) {
	case NMCOLUMNTYPE_UINT8:
	case NMCOLUMNTYPE_UINT16:
	case NMCOLUMNTYPE_UINT32:
	case NMCOLUMNTYPE_FRAME:
		snprintf(text, EVENT_VALUE, "%lu", unsigned_value(value));
		return text;
	case NMCOLUMNTYPE_SINT8:
	case NMCOLUMNTYPE_SINT16:
	case NMCOLUMNTYPE_SINT32:
		snprintf(text, EVENT_VALUE, "%ld", signed_value(value));
		return text;
	case NMCOLUMNTYPE_FLOAT64:
		double_text(text, value->Value.Float64Val);
		return text;
	case NMCOLUMNTYPE_YESNO:
		return value->Value.YesNoVal ? "yes" : "no";
	case NMCOLUMNTYPE_ONOFF:
		return value->Value.OnOffVal ? "on" : "off";
	case NMCOLUMNTYPE_TRUEFALSE:
		return value->Value.TrueFalseVal ? "true" : "false";
	case NMCOLUMNTYPE_MACADDR:
		mac_text(text, EVENT_VALUE, value->Value.MACAddrVal);
		return text;
	case NMCOLUMNTYPE_IPXADDR:
		ipx_text(text, &value->Value.IPXAddrVal);
		return text;
	case NMCOLUMNTYPE_IPADDR:
		/* in the order of the bytes in memory, as in a packet */
		return inet_ntop(AF_INET, &value->Value.IPAddrVal, text, EVENT_VALUE);
	case NMCOLUMNTYPE_VARTIME:
		variant_time_text(text, value->Value.VarTimeVal);
		return text;
	case NMCOLUMNTYPE_STRING:
		return value->Value.pStringVal;
	}
	return "";	/* a type that Netmon.h does not have */
}
