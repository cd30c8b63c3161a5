// SPDX-License-Identifier: GPL-2.0
/*
 * Events as JSON lines in the manner of Suricata's EVE log: an object on each line, with timestamp,
 * event_type, pcap_cnt and pcap_filename. Documentation/netmon/events.schema.json describes it.
 */
#include <inttypes.h>
#include <math.h>

#include "events.h"

/* Write a value with its type: a number, true or false, or a string; null if there is no value. */
static void print_value(struct json *json, const char *key, const NMCOLUMNVARIANT *value)
{
	char room[EVENT_VALUE];
	const char *text = column_data(room, value);

	switch (value->Type) {
	case NMCOLUMNTYPE_YESNO:
	case NMCOLUMNTYPE_ONOFF:
	case NMCOLUMNTYPE_TRUEFALSE:
		json_bool(json, key, value->Value.YesNoVal);
		return;
	case NMCOLUMNTYPE_FLOAT64:
		if (!isfinite(value->Value.Float64Val))
			break;
		/* fall through */
	case NMCOLUMNTYPE_UINT8:
	case NMCOLUMNTYPE_SINT8:
	case NMCOLUMNTYPE_UINT16:
	case NMCOLUMNTYPE_SINT16:
	case NMCOLUMNTYPE_UINT32:
	case NMCOLUMNTYPE_SINT32:
	case NMCOLUMNTYPE_FRAME:
		json_key(json, key);
		fputs(text, json->out);
		return;
	default:
		break;
	}
	/* an infinite number, a date out of range, and a type that Netmon.h does not have, are null */
	json_string(json, key, value->Type != NMCOLUMNTYPE_STRING &&
		    (!*text || value->Type == NMCOLUMNTYPE_FLOAT64) ? NULL : text);
}

static void print_columns(struct json *json, const struct event *event)
{
	struct json columns;

	json_key(json, "columns");
	json_begin(&columns, json->out, false);
	for (unsigned int i = 0; i < event->data->NumColumns; i++)
		print_value(&columns, event->kind->keys[i], &event->data->Column[i].VariantData);
	json_end(&columns);
}

void events_json_print(const struct events *events, const struct event *event, FILE *out)
{
	const NMEVENTDATA *data = event->data;
	char time[EVENT_VALUE];
	struct json json;

	json_begin(&json, out, false);
	json_string(&json, "timestamp",
		    event->time == NO_TIME ? NULL : event_timestamp(time, event->time));
	json_string(&json, "event_type", "expert");
	json_string(&json, "expert", events->expert);
	json_number(&json, "event", data->EventIdent);
	json_string(&json, "name", data->szEventName);
	json_string(&json, "severity", severity_word(data->Severity));
	json_number(&json, "severity_number", data->Severity);
	json_string(&json, "source", data->szSourceName);
	json_string(&json, "description", data->szDescription);
	json_string(&json, "justification", data->Justification);
	if (*data->szMachine)
		json_string(&json, "machine", data->szMachine);
	print_columns(&json, event);
	if (event->has_frame) {
		json_number(&json, "frame", event->frame);
		json_number(&json, "pcap_cnt", (uint64_t)event->frame + 1);
	}
	json_string(&json, "pcap_filename", events->capture);
	json_end(&json);
	putc('\n', out);
}
