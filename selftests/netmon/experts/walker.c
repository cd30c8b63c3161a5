// SPDX-License-Identifier: GPL-2.0
/*
 * Walks through the capture again and again, keeps 1 MiB of memory, and submits an event for each
 * walk. Ends when it is told to, or when the engine is lost.
 */
#include <expertmem.h>

#include "expert.h"

RUN
{
	EXPERTFRAMEDESCRIPTOR frame;
	NMEVENTDATA event = { .szDescription = "a walk" };
	DWORD number = INVALID_FRAME_NUMBER, error;

	take(key, 1 << 20);
	do {
		error = ExpertGetFrame(key, GET_FRAME_NEXT_FORWARD, 0, number, NULL, &frame);
		number = error ? INVALID_FRAME_NUMBER : frame.FrameNumber;
		if (error == NMERR_NO_MORE_FRAMES)
			error = ExpertSubmitEvent(key, &event);
	} while (!error);
	printf("walker: error %u\n", error);
	return TRUE;
}
