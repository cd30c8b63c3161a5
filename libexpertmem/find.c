// SPDX-License-Identifier: LGPL-2.1-or-later
/* Find the next or previous frame with a protocol and with addresses. */
#include "capture.h"

#define MOST_FRAMES	1000U	/* how far from the original frame, by Microsoft's pages */

/* What a frame must have. */
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
static DWORD matches(struct em_client *client, const struct wanted *wanted, uint32_t number,
		     DWORD *offset)
{
	HFRAME frame = (HFRAME)em_handle(client, EM_HANDLE_FRAME, number);
	LPRECOGNIZEDATATABLE table;
	DWORD error;

	*offset = ENGINE_NONE;
	if ((wanted->destination && !CompareFrameDestAddress(frame, wanted->destination)) ||
	    (wanted->source && !CompareFrameSourceAddress(frame, wanted->source)))
		return NMERR_SUCCESS;
	error = em_protocols(client, number, wanted->forward, &table);
	if (error == NMERR_INTERNAL_EXCEPTION || error == NMERR_RUNAWAY_PROTOCOL)
		return NMERR_SUCCESS;
	if (!error)
		*offset = em_offset_in(table, wanted->protocol, 0);
	return error;
}

/* The number of the protocol with this name. */
static DWORD protocol_of(struct em_client *client, const char *name, uint32_t *protocol)
{
	DWORD error = em_client_lock(client);

	if (error)
		return error;
	error = em_protocol_by_name(client, name, protocol);
	em_client_unlock(client);
	return error;
}

static HFRAME find(HFRAME current, LPSTR name, struct wanted *wanted, LPWORD found_offset,
		   DWORD original, DWORD limit)
{
	uint32_t number, last, total;
	struct em_client *client;
	DWORD error, offset;

	if (!name)
		return em_fail_null(NMERR_INVALID_PARAMETER);
	client = em_client_of((uintptr_t)current, EM_HANDLE_FRAME, &number);
	if (!client || GetFrameNumber(current) == INVALID_FRAME_NUMBER)
		return em_fail_null(NMERR_INVALID_HFRAME);
	total = GetCaptureTotalFrames(GetFrameCaptureHandle(current));
	error = protocol_of(client, name, &wanted->protocol);
	last = last_frame(wanted, original, limit);
	while (!error && (wanted->forward ? number < last && number + 1 < total : number > last)) {
		number += wanted->forward ? 1 : -1;
		error = matches(client, wanted, number, &offset);
		if (error || offset == ENGINE_NONE)
			continue;
		if (found_offset)
			*found_offset = (WORD)offset;
		return (HFRAME)em_handle(client, EM_HANDLE_FRAME, number);
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
