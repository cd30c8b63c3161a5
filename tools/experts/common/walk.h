/* SPDX-License-Identifier: GPL-2.0 */
/* Walk over all frames that pass, from the first to the last, and report the progress. */
#ifndef WALK_H
#define WALK_H

#include <Netmon.h>

/**
 * struct walk - a walk over the frames
 * @key: key of the expert
 * @status: what the user reads while the expert walks
 * @flags: flags for ExpertGetFrame(); walk_init() sets FLAGS_NO_RECOGNIZE_DATA
 * @filter: a filter of the expert, or NULL
 * @frame: the current frame
 * @frames: number of frames so far
 * @damaged: frames in which a dissector has failed, so that they have no tables
 * @total: number of frames of the capture
 */
struct walk {
	HEXPERTKEY key;
	const char *status;
	DWORD flags;
	HFILTER filter;
	EXPERTFRAMEDESCRIPTOR frame;
	unsigned long long frames, damaged, total;
};

/* Start before the first frame. The user's filter selects frames; @filter may stay NULL. */
void walk_init(struct walk *walk, HEXPERTKEY key, HCAPTURE capture, const char *status);

/*
 * Go to the next frame. Return NMERR_SUCCESS; NMERR_NO_MORE_FRAMES behind the last frame; else the expert
 * has to clean up and return, or cannot go on.
 */
DWORD walk_next(struct walk *walk);

#endif /* WALK_H */
