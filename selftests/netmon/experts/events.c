// SPDX-License-Identifier: GPL-2.0
/*
 * Raises events, of two kinds. The environment says how many (EVENTS_COUNT, 3 by default), which
 * texts they have (EVENTS_TEXT), which events have a date (EVENTS_DATED: the number of the first one),
 * and what happens afterwards (EVENTS_END: crash, hang, false, flood).
 */
#include <errno.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

#include "expert.h"

#define COLUMNS 16

/* A column for each type of value. */
struct event {
	NMEVENTDATA data;
	NMCOLUMNINFO columns[COLUMNS];
};

static const char *text;

static NMCOLUMNVARIANT *column(struct event *event, const char *name, NMCOLUMNTYPE type)
{
	NMCOLUMNINFO *info = &event->data.Column[event->data.NumColumns++];

	info->szColumnName = (char *)name;
	info->VariantData.Type = type;
	return &info->VariantData;
}

static void fill(struct event *event, DWORD number)
{
	const char *dated = getenv("EVENTS_DATED");

	memset(event, 0, sizeof(*event));
	event->data.EventIdent = number % 2 + 1;
	event->data.Flags = NMEVENTFLAG_EXPERT | NMEVENTFLAG_DO_NOT_DISPLAY_MACHINE;
	event->data.Severity = number % 6;
	event->data.szSourceName = (char *)"Tests";
	event->data.szEventName = (char *)(number % 2 ? "Many columns" : "Few columns");
	event->data.szDescription = (char *)text;
	event->data.Justification = (char *)(number % 2 ? "because the test says so" : NULL);
	if (dated && number >= strtoul(dated, NULL, 10)) {
		event->data.SysTime.wYear = 2026;
		event->data.SysTime.wMonth = event->data.SysTime.wDay = 1;
	}
	event->data.SysTime.wSecond = (WORD)(number / 1000 % 60);
	event->data.SysTime.wMilliseconds = (WORD)(number % 1000);
	column(event, "Frame", NMCOLUMNTYPE_FRAME)->Value.FrameVal = number;
}

static void fill_more(struct event *event)
{
	static const BYTE mac[6] = { 0, 0x11, 0x22, 0x33, 0x44, 0x55 };
	static const BYTE ip[4] = { 10, 0, 0, 1 };
	static const IPX_ADDR ipx = { { 0, 0, 0, 1 }, { 0, 1, 2, 3, 4, 5 } };

	column(event, "u8", NMCOLUMNTYPE_UINT8)->Value.Uint8Val = 200;
	column(event, "s8", NMCOLUMNTYPE_SINT8)->Value.Sint8Val = -100;
	column(event, "u16", NMCOLUMNTYPE_UINT16)->Value.Uint16Val = 60000;
	column(event, "s16", NMCOLUMNTYPE_SINT16)->Value.Sint16Val = -30000;
	column(event, "u32", NMCOLUMNTYPE_UINT32)->Value.Uint32Val = 4000000000U;
	column(event, "s32", NMCOLUMNTYPE_SINT32)->Value.Sint32Val = -2000000000;
	column(event, "float", NMCOLUMNTYPE_FLOAT64)->Value.Float64Val = 0.1;
	column(event, "yes", NMCOLUMNTYPE_YESNO)->Value.YesNoVal = TRUE;
	column(event, "off", NMCOLUMNTYPE_ONOFF)->Value.OnOffVal = FALSE;
	column(event, "true", NMCOLUMNTYPE_TRUEFALSE)->Value.TrueFalseVal = TRUE;
	memcpy(column(event, "mac", NMCOLUMNTYPE_MACADDR)->Value.MACAddrVal, mac, sizeof(mac));
	column(event, "ipx", NMCOLUMNTYPE_IPXADDR)->Value.IPXAddrVal = ipx;
	memcpy(&column(event, "ip", NMCOLUMNTYPE_IPADDR)->Value.IPAddrVal, ip, sizeof(ip));
	/* noon of 1 January 2000 */
	column(event, "time", NMCOLUMNTYPE_VARTIME)->Value.VarTimeVal = 36526.5;
	column(event, "text", NMCOLUMNTYPE_STRING)->Value.pStringVal = text;
}

/* Find the socket of events, and leave a process behind that sends events until that fails. */
static void leave_flood(void)
{
	static const char event[52];	/* a message of struct head in libexpertmem/event.c */
	int writer = -1, type;

	for (int fd = 3; fd < 65536 && writer < 0; fd++) {
		socklen_t size = sizeof(type);

		if (!getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) && type == SOCK_SEQPACKET)
			writer = dup(fd);	/* the library closes @fd in the new process */
	}
	if (writer < 0 || fork())
		return;
	setsid();
	while (send(writer, event, sizeof(event), MSG_NOSIGNAL) >= 0 || errno == EAGAIN)
		;
	_exit(0);
}

RUN
{
	const char *count = getenv("EVENTS_COUNT"), *end = getenv("EVENTS_END");
	unsigned long events = count ? strtoul(count, NULL, 10) : 3;
	struct event event;
	DWORD error = NMERR_SUCCESS;

	text = getenv("EVENTS_TEXT");
	if (!text)
		text = "a description";
	for (unsigned long i = 0; i < events && error == NMERR_SUCCESS; i++) {
		fill(&event, (DWORD)i);
		if (i % 2)
			fill_more(&event);
		error = ExpertSubmitEvent(key, &event.data);
	}
	printf("events: the last call returned %u\n", error);
	fflush(stdout);
	if (end && !strcmp(end, "flood"))
		leave_flood();
	if (end && !strcmp(end, "crash"))
		abort();
	while (end && !strcmp(end, "hang") && ExpertMemorySize(key, NULL) != NMERR_EXPERT_TERMINATE &&
	       ExpertIndicateStatus(key, EXPERTSTATUS_RUNNING, 0, "hanging", 50) == NMERR_SUCCESS)
		nap();
	return !end || strcmp(end, "false") != 0;
}
