// SPDX-License-Identifier: GPL-2.0
#include "walk.h"

#define FRAMES_PER_STATUS 1024

void walk_init(struct walk *walk, HEXPERTKEY key, HCAPTURE capture, const char *status)
{
	*walk = (struct walk){
		.key = key, .status = status,
		.flags = FLAGS_DEFER_TO_UI_FILTER | FLAGS_NO_RECOGNIZE_DATA,
		.frame.FrameNumber = INVALID_FRAME_NUMBER, .total = GetCaptureTotalFrames(capture),
	};
}

DWORD walk_next(struct walk *walk)
{
	/* INVALID_FRAME_NUMBER plus one is 0 */
	unsigned long long behind = (DWORD)(walk->frame.FrameNumber + 1);
	DWORD error = NMERR_SUCCESS;

	if (walk->frames % FRAMES_PER_STATUS == 0)
		error = ExpertIndicateStatus(walk->key, EXPERTSTATUS_RUNNING, 0, walk->status,
					     walk->total ? 99 * behind / walk->total : 0);
	if (error == NMERR_SUCCESS)
		error = ExpertGetFrame(walk->key, GET_FRAME_NEXT_FORWARD, walk->flags,
				       walk->frame.FrameNumber, walk->filter, &walk->frame);
	/* the frame is there in spite of this */
	if (error == NMERR_INTERNAL_EXCEPTION || error == NMERR_RUNAWAY_PROTOCOL) {
		walk->damaged++;
		error = NMERR_SUCCESS;
	}
	walk->frames += error == NMERR_SUCCESS;
	return error;
}
