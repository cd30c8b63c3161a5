// SPDX-License-Identifier: GPL-2.0
#include "event.h"

#include <string.h>

void event_begin(struct event *event, DWORD kind, DWORD severity, const char *name, int64_t time)
{
	int64_t milliseconds = time > 0 ? time / 1000 : 0;
	NMEVENTDATA *data = &event->data;

	memset(event, 0, sizeof(*event));
	data->EventIdent = kind;
	/* the expert is always on the machine that the user sees */
	data->Flags = NMEVENTFLAG_EXPERT | NMEVENTFLAG_DO_NOT_DISPLAY_MACHINE |
		      NMEVENTFLAG_DO_NOT_DISPLAY_DATE;
	data->Severity = severity;
	data->szEventName = (LPSTR)name;
	/* the time is measured from the start of the capture */
	data->SysTime.wMilliseconds = milliseconds % 1000;
	data->SysTime.wSecond = milliseconds / 1000 % 60;
	data->SysTime.wMinute = milliseconds / 60000 % 60;
	data->SysTime.wHour = milliseconds / 3600000;
}

static NMCOLUMNVARIANT *add_column(struct event *event, const char *name, NMCOLUMNTYPE type)
{
	static NMCOLUMNVARIANT none;
	NMCOLUMNINFO *column;

	if (event->data.NumColumns == EVENT_COLUMNS)
		return &none;
	column = &event->data.Column[event->data.NumColumns++];
	column->szColumnName = (LPSTR)name;
	column->VariantData.Type = type;
	return &column->VariantData;
}

void event_frame(struct event *event, const char *column, DWORD frame)
{
	add_column(event, column, NMCOLUMNTYPE_FRAME)->Value.FrameVal = frame;
}

void event_number(struct event *event, const char *column, double number)
{
	add_column(event, column, NMCOLUMNTYPE_FLOAT64)->Value.Float64Val = number;
}

void event_text(struct event *event, const char *column, const char *text)
{
	add_column(event, column, NMCOLUMNTYPE_STRING)->Value.pStringVal = text;
}

DWORD event_submit(struct event *event, HEXPERTKEY key)
{
	return ExpertSubmitEvent(key, &event->data);
}
