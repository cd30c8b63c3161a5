// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The desk, which worker and supervisor map, as the worker writes it; and the results that the
 * worker writes for an expert.
 */
#include <malloc.h>
#include <string.h>
#include <unistd.h>

#include "worker.h"

struct desk *my_desk;
uint64_t desk_memory_limit;
uint32_t desk_at;

/* ----------------------------------------------------------------------- results */

static uint32_t padded(uint32_t size)
{
	return (size + 7) & ~7u;
}

void *results_room(struct results *results, uint32_t size)
{
	char *room = results->start + results->used;
	uint32_t left = ENGINE_RESULTS - results->used;

	if (size > left || padded(size) > left)
		return NULL;
	results->used += padded(size);
	memset(room + size, 0, padded(size) - size);
	return room;
}

bool results_add(struct results *results, const void *bytes, uint32_t size)
{
	void *room = results_room(results, size);

	if (room)
		memcpy(room, bytes, size);
	return room;
}

/* -------------------------------------------------------------------------- desk */

void desk_activity(enum activity activity)
{
	__atomic_store_n(&my_desk->activity, activity, __ATOMIC_RELEASE);
}

void desk_step(void)
{
	__atomic_store_n(&my_desk->step, my_desk->step + 1, __ATOMIC_RELAXED);
}

bool desk_memory_above(unsigned int part)
{
	struct mallinfo2 info;

	if (!desk_memory_limit)
		return false;
	info = mallinfo2();
	return info.arena + info.hblkhd > desk_memory_limit / 8 * part;
}

void desk_renew(void)
{
	my_desk->begin = desk_at;
	_exit(EXIT_RENEW);
}

/* Is the frame in my_desk->bad? */
static bool is_bad(uint32_t frame, uint32_t *error)
{
	uint32_t low = 0, high = my_desk->nr_bad;

	while (low < high) {
		uint32_t middle = (low + high) / 2;

		if (my_desk->bad[middle].frame == frame) {
			*error = my_desk->bad[middle].error;
			return true;
		}
		if (my_desk->bad[middle].frame < frame)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

void desk_dissected(void)
{
	if (my_desk->frame == ENGINE_NONE)
		return;
	my_desk->done++;
	my_desk->frame = ENGINE_NONE;
	desk_activity(ACTIVITY_REQUEST);
}

bool desk_frame(uint32_t frame, uint32_t *error)
{
	static unsigned int calls;

	desk_dissected();
	if (is_bad(frame, error))
		return false;
	if (++calls % 64 == 0 && desk_memory_above(7))
		desk_renew();
	desk_step();
	my_desk->frame = frame;
	desk_activity(ACTIVITY_FRAME);
	return true;
}
