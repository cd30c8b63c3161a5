// SPDX-License-Identifier: GPL-2.0
/*
 * Put the user's selection, a frame and a property in it, into the start-up information of an
 * expert. This runs in the expert's process, because handles and instances are valid only there.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../command.h"
#include "job.h"

static void __attribute__((noreturn)) cannot_select(struct child_state *state, const char *property,
						    const char *reason)
{
	state->stage = UNLOADABLE;
	snprintf(state->text, sizeof(state->text), "--property: '%.200s': %s", property, reason);
	exit(EXIT_FAILED);
}

void check_frame(const struct job *job, struct child_state *state)
{
	const EXPERTSTARTUPINFO *startup = &job->startup;
	DWORD count;

	if (!startup->hCapture || startup->dwFrameNumber == INVALID_FRAME_NUMBER)
		return;
	count = GetCaptureTotalFrames(startup->hCapture);
	if (startup->dwFrameNumber < count)
		return;
	state->stage = UNLOADABLE;
	snprintf(state->text, sizeof(state->text),
		 "--frame: the capture has no frame %u; it has %u, which count from 0",
		 startup->dwFrameNumber, count);
	exit(EXIT_FAILED);
}

/* Split "TCP/Source Port" or "tcp.port". Copy the protocol; return the name of the property. */
static const char *split(const char *text, char protocol[static 256])
{
	const char *slash = strchr(text, '/'), *end = slash ? slash : strchrnul(text, '.');

	snprintf(protocol, 256, "%.*s", (int)(end - text), text);
	return slash ? slash + 1 : text;
}

/* The first byte of a property's value; 0 if it has no value. */
static BYTE first_byte(const PROPERTYINST *instance)
{
	if (instance->DataLength == 0xffff)
		return instance->lpPropertyInstEx ? instance->lpPropertyInstEx->Byte[0] : 0;
	return instance->DataLength ? instance->lpByte[0] : 0;
}

/* If the property is a flag of one bit, set sBitfield to that bit. */
static void select_bit(EXPERTSTARTUPINFO *startup, const PROPERTYINST *instance)
{
	const PROPERTYINFO *info = instance->lpPropertyInfo;

	if (!info || info->DataQualifier != PROP_QUAL_FLAGS || !info->lpSet ||
	    info->lpSet->nEntries != 1 || !info->lpSet->lpLabeledBit)
		return;
	startup->sBitfield.BitNumber = info->lpSet->lpLabeledBit->BitNumber;
	startup->sBitfield.bOn = first_byte(instance) != 0;
}

void select_property(struct job *job, struct child_state *state)
{
	EXPERTSTARTUPINFO *startup = &job->startup;
	DWORD number = startup->dwFrameNumber;
	char protocol[256];
	const char *name = split(job->property, protocol);
	HPROPERTY property;
	HFRAME frame;

	startup->hProtocol = GetProtocolFromName(protocol);
	if (!startup->hProtocol)
		cannot_select(state, job->property,
			      "there is no such protocol; tshark -G protocols lists them");
	property = GetProperty(startup->hProtocol, (LPSTR)name);
	if (!property)
		cannot_select(state, job->property,
			      "the protocol has no such property; tshark -G fields lists them");
	frame = GetFrame(startup->hCapture, number == INVALID_FRAME_NUMBER ? 0 : number);
	if (!frame)
		cannot_select(state, job->property,
			      "the capture has no such frame; frames count from 0");
	startup->lpPropertyInst = FindPropertyInstance(frame, property);
	if (startup->lpPropertyInst)
		select_bit(startup, startup->lpPropertyInst);
	else if (number != INVALID_FRAME_NUMBER)
		cannot_select(state, job->property,
			      "the frame has no such property; select another frame by --frame");
}
