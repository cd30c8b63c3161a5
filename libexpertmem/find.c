// SPDX-License-Identifier: LGPL-2.1-or-later
/* Find the next or previous frame with a protocol and with addresses. */
#include "capture.h"

#define MOST_FRAMES	1000U	/* a search ends so many frames from the original one [Microsoft] */

/* The protocol and the addresses that a frame must have. */
struct wanted {
	uint32_t protocol;
	LPADDRESS2 destination;		/* NULL: any */
	LPADDRESS2 source;		/* NULL: any */
	bool forward;
};

/* The last frame to look at. */
static uint32_t last_frame(const struct wanted *wanted, DWORD original, DWORD limit)
{
	if (wanted->forward)
		return limit < MOST_FRAMES || limit - MOST_FRAMES < original ? limit :
									       original + MOST_FRAMES;
	return original < MOST_FRAMES || original - MOST_FRAMES < limit ? limit :
									  original - MOST_FRAMES;
}

/*
 * Does the frame have what is wanted? *@offset receives the offset of the protocol. A frame whose
 * dissection failed has no protocols.
 */
static DWORD matches(HFRAME frame, const struct wanted *wanted, DWORD *offset)
{
	LPRECOGNIZEDATATABLE table;
	DWORD error;

	*offset = ENGINE_NONE;
	if ((wanted->destination && !CompareFrameDestAddress(frame, wanted->destination)) ||
	    (wanted->source && !CompareFrameSourceAddress(frame, wanted->source)))
		return NMERR_SUCCESS;
	error = em_protocols(frame, wanted->forward, &table);
	if (error == NMERR_INTERNAL_EXCEPTION || error == NMERR_RUNAWAY_PROTOCOL)
		return NMERR_SUCCESS;
	if (!error)
		*offset = em_offset_in(table, wanted->protocol, 0);
	return error;
}

/* The handle of the frame @number in the capture of @frame. */
static HFRAME with_number(HFRAME frame, uint32_t number)
{
	return (HFRAME)(((uintptr_t)frame & ~(uintptr_t)UINT32_MAX) | number);
}

static HFRAME find(HFRAME current, LPSTR name, struct wanted *wanted, LPWORD found_offset,
		   DWORD original, DWORD limit)
{
	uint32_t number, last, total;
	DWORD error, offset;

	if (!name)
		return em_fail_null(NMERR_INVALID_PARAMETER);
	number = GetFrameNumber(current);
	if (number == INVALID_FRAME_NUMBER)
		return em_fail_null(NMERR_INVALID_HFRAME);
	total = GetCaptureTotalFrames(GetFrameCaptureHandle(current));
	error = em_protocol_named(current, name, &wanted->protocol);
	last = last_frame(wanted, original, limit);
	while (!error && (wanted->forward ? number < last && number + 1 < total : number > last)) {
		number += wanted->forward ? 1 : -1;
		current = with_number(current, number);
		error = matches(current, wanted, &offset);
		if (error || offset == ENGINE_NONE)
			continue;
		if (found_offset)
			*found_offset = (WORD)offset;
		return current;
	}
	return em_fail_null(error ? error : NMERR_FRAME_NOT_FOUND);
}

HFRAME WINAPI FindNextFrame(HFRAME hCurrentFrame, LPSTR ProtocolName, LPADDRESS2 lpDestAddress,
			    LPADDRESS2 lpSrcAddress, LPWORD ProtocolOffset,
			    DWORD OriginalFrameNumber, DWORD nHighestFrame)
{
	struct wanted wanted = {
		.destination = lpDestAddress, .source = lpSrcAddress, .forward = true,
	};

	return find(hCurrentFrame, ProtocolName, &wanted, ProtocolOffset, OriginalFrameNumber,
		    nHighestFrame);
}

HFRAME WINAPI FindPreviousFrame(HFRAME hCurrentFrame, LPSTR ProtocolName,
				LPADDRESS2 lpDstAddress, LPADDRESS2 lpSrcAddress,
				LPWORD ProtocolOffset, DWORD OriginalFrameNumber,
				DWORD nLowestFrame)
{
	struct wanted wanted = { .destination = lpDstAddress, .source = lpSrcAddress };

	return find(hCurrentFrame, ProtocolName, &wanted, ProtocolOffset, OriginalFrameNumber,
		    nLowestFrame);
}
