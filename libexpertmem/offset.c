// SPDX-License-Identifier: LGPL-2.1-or-later
/* Where protocols begin in frames. */
#include "capture.h"

/* Get the client of a frame, and the frame's table of protocols. */
static DWORD protocols_of(HFRAME frame, struct em_client **client, LPRECOGNIZEDATATABLE *table)
{
	uint32_t number;

	*client = em_client_of((uintptr_t)frame, EM_HANDLE_FRAME, &number);
	if (!*client)
		return NMERR_INVALID_HFRAME;
	return em_protocols(frame, true, table);
}

DWORD em_offset_in(LPRECOGNIZEDATATABLE table, uint32_t id, DWORD before)
{
	DWORD found = ENGINE_NONE;

	for (WORD i = 0; i < table->nRecognizeDatas; i++) {
		const RECOGNIZEDATA *data = &table->RecognizeData[i];

		if (data->ProtocolID != id || data->nProtocolOffset == 0xffff)
			continue;
		if (!before)
			return data->nProtocolOffset;
		if (data->nProtocolOffset < before &&
		    (found == ENGINE_NONE || data->nProtocolOffset > found))
			found = data->nProtocolOffset;
	}
	return found;
}

static DWORD fail_offset(DWORD error)
{
	em_set_last_error(error);
	return ENGINE_NONE;
}

DWORD WINAPI GetProtocolStartOffset(HFRAME hFrame, LPSTR ProtocolName)
{
	LPRECOGNIZEDATATABLE table;
	struct em_client *client;
	DWORD error, offset;
	uint32_t id = ENGINE_NONE;

	if (!ProtocolName)
		return fail_offset(NMERR_INVALID_PARAMETER);
	error = protocols_of(hFrame, &client, &table);
	if (!error)
		error = em_protocol_named(hFrame, ProtocolName, &id);
	if (error)
		return fail_offset(error);
	offset = em_offset_in(table, id, 0);
	return offset == ENGINE_NONE ? fail_offset(NMERR_PROTOCOL_NOT_FOUND) : offset;
}

DWORD WINAPI GetProtocolStartOffsetHandle(HFRAME hFrame, HPROTOCOL hProtocol)
{
	LPRECOGNIZEDATATABLE table;
	struct em_client *client;
	DWORD error, offset;
	uint32_t id = ENGINE_NONE;

	error = protocols_of(hFrame, &client, &table);
	if (error)
		return fail_offset(error);
	if (em_client_of((uintptr_t)hProtocol, EM_HANDLE_PROTOCOL, &id) != client)
		return fail_offset(NMERR_INVALID_HPROTOCOL);
	offset = em_offset_in(table, id, 0);
	return offset == ENGINE_NONE ? fail_offset(NMERR_PROTOCOL_NOT_FOUND) : offset;
}

DWORD WINAPI GetPreviousProtocolOffsetByName(HFRAME hFrame, DWORD dwStartOffset,
					     LPSTR szProtocolName, DWORD *pdwPreviousOffset)
{
	DWORD error, offset = ENGINE_NONE;
	LPRECOGNIZEDATATABLE table;
	struct em_client *client;
	uint32_t id = ENGINE_NONE;

	if (!szProtocolName || !pdwPreviousOffset)
		return NMERR_INVALID_PARAMETER;
	error = protocols_of(hFrame, &client, &table);
	if (!error)
		error = em_protocol_named(hFrame, szProtocolName, &id);
	if (!error && dwStartOffset)
		offset = em_offset_in(table, id, dwStartOffset);
	if (error)
		return error;
	if (offset == ENGINE_NONE)
		return NMERR_PROTOCOL_NOT_FOUND;
	*pdwPreviousOffset = offset;
	return NMERR_SUCCESS;
}
