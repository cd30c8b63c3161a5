// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Searching for frames that pass filters. The engine searches a block of frames at a time. The
 * library keeps the result of the last block, so that a walk from one passing frame to the next
 * needs few requests.
 */
#include <sys/mman.h>

#include "capture.h"

#define SEARCH_FIRST	64U	/* frames that the first request of a walk looks at */

/* Is @a before @b in this direction? */
static bool is_before(uint32_t a, uint32_t b, bool forward)
{
	return forward ? a < b : a > b;
}

/* Copy the result of a search, and check each number. False: the reply breaks the protocol. */
static bool copy_found(struct em_client *client, const struct engine_reply *reply)
{
	struct em_search *search = &client->search;
	uint32_t i, least = search->from;

	if (reply->count > search->step ||
	    reply->size < (uint64_t)reply->count * sizeof(*search->found))
		return false;
	/* The search went on by at least one frame, and by no more than was asked for. */
	if (reply->next != ENGINE_NONE &&
	    (reply->next >= client->nr_frames ||
	     !is_before(search->from, reply->next, search->forward) ||
	     (search->forward ? reply->next - search->from :
				search->from - reply->next) > search->step))
		return false;
	for (i = 0; i < reply->count; i++) {
		uint32_t found = em_read_once((const uint32_t *)client->results + i);

		if (found >= client->nr_frames || is_before(found, least, search->forward) ||
		    (i && found == least) ||
		    (reply->next != ENGINE_NONE &&
		     !is_before(found, reply->next, search->forward)))
			return false;
		search->found[i] = least = found;
	}
	search->count = reply->count;
	search->next = reply->next;
	return true;
}

/* Ask the engine for the next block, from @from on; the other members of @search are set. */
static DWORD search_block(struct em_client *client, uint32_t from, uint32_t step)
{
	struct em_search *search = &client->search;
	struct engine_request request = {
		.op = ENGINE_SEARCH,
		.flags = (search->user ? ENGINE_USER : 0) |
			 (search->forward ? 0 : ENGINE_BACKWARD),
		.frame = from,
		.count = step,
		.id = search->filter,
	};
	struct engine_reply reply;
	DWORD error;

	if (!search->found)
		search->found = em_map(EM_SEARCH_MAX * sizeof(*search->found), MAP_PRIVATE);
	if (!search->found)
		return NMERR_OUT_OF_MEMORY;
	search->step = 0;
	error = em_request(client, &request, &reply);
	if (error)
		return error;
	search->from = from;
	search->step = step;
	return copy_found(client, &reply) ? NMERR_SUCCESS : em_client_lose(client);
}

/* Does the block have the result of a search from @from on? */
static bool is_in_block(const struct em_search *search, uint32_t filter, bool user, bool forward,
			uint32_t from)
{
	return search->step && search->filter == filter && search->user == user &&
	       search->forward == forward && !is_before(from, search->from, forward) &&
	       (search->next == ENGINE_NONE || is_before(from, search->next, forward));
}

/* The first entry of the block that is not before @from; @count of the block if there is none. */
static uint32_t find_in_block(const struct em_search *search, uint32_t from)
{
	uint32_t low = 0, high = search->count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (is_before(search->found[middle], from, search->forward))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/*
 * Set the block to one that contains @from. Each request of a walk asks for twice as many frames as
 * the request before, up to EM_SEARCH_MAX. @single: the caller asks about this frame only.
 */
static DWORD get_block(struct em_client *client, uint32_t filter, bool user, bool forward,
		       uint32_t from, bool single)
{
	struct em_search *search = &client->search;
	bool goes_on = search->step && search->filter == filter && search->user == user &&
		       search->forward == forward && search->next == from && !single;
	uint32_t step = single ? 1 : SEARCH_FIRST;

	if (is_in_block(search, filter, user, forward, from))
		return NMERR_SUCCESS;
	if (goes_on)
		step = search->step < EM_SEARCH_MAX / 2 ? search->step * 2 : EM_SEARCH_MAX;
	search->filter = filter;
	search->user = user;
	search->forward = forward;
	return search_block(client, from, step);
}

DWORD em_search(struct em_client *client, uint32_t filter, bool user, bool forward,
		uint32_t from, uint32_t *found)
{
	struct em_search *search = &client->search;
	uint32_t i;

	while (from < client->nr_frames) {
		DWORD error = get_block(client, filter, user, forward, from, false);

		if (error)
			return error;
		i = find_in_block(search, from);
		if (i < search->count) {
			*found = search->found[i];
			return NMERR_SUCCESS;
		}
		from = search->next;
	}
	return NMERR_NO_MORE_FRAMES;
}

DWORD em_passes(struct em_client *client, uint32_t filter, bool user, uint32_t number)
{
	const struct em_search *search = &client->search;
	bool forward = search->step ? search->forward : true;
	DWORD error = get_block(client, filter, user, forward, number, true);
	uint32_t i;

	if (error)
		return error;
	i = find_in_block(search, number);
	return i < search->count && search->found[i] == number ? NMERR_SUCCESS :
								  NMERR_FRAME_FAILED_FILTER;
}
