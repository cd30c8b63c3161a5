// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * ExpertGetFrame(), and the calls that ask about a capture or a frame.
 *
 * Each call has two paths. The first one begins a section of internal.h, takes no lock and sends no
 * request. The second one takes the client's lock; it can do everything, and is the only one before
 * the expert is attached and with EXPERTMEM_DEBUG.
 */
#include <linux/expertmem.h>

#include "capture.h"

/* ------------------------------------------------------------------- looking at frames */

/*
 * Begin a section of the expert in this slot, if the low bits @mask of its key are those of @key.
 * NULL: no section has begun; the gate is closed, or the expert has no capture.
 */
static inline struct em_client *begin(uintptr_t key, uintptr_t mask)
{
	struct em_expert *expert = em_slot_of((HEXPERTKEY)key);
	struct em_thread *self = em_self;
	struct em_client *client;
	uintptr_t gate;

	if (unlikely(!em_is_idle(self)))
		return NULL;
	em_enter(self);
	gate = (uintptr_t)em_load_acquire(&expert->gate);
	if (likely(gate) && likely((gate & mask) == key)) {
		client = em_load_acquire(&expert->client);
		if (likely(client)) {
			em_current_client = client;
			return client;
		}
	}
	em_end(self);
	return NULL;
}

static noinline bool open_locked(uint64_t handle, enum em_handle kind, struct em_view *view)
{
	em_register();
	view->client = em_client_of(handle, kind, &view->number);
	if (!view->client)
		return false;
	pthread_mutex_lock(&view->client->lock);
	view->locked = true;
	if (em_is_of_handle(view->client, handle))
		return true;
	pthread_mutex_unlock(&view->client->lock);
	return false;
}

/* Begin to look at the object of a handle. False: the handle is bad. */
static inline bool open_handle(uint64_t handle, enum em_handle kind, struct em_view *view)
{
	if (unlikely(handle >> 60 != kind))
		return false;
	view->client = begin(handle >> 32 & EM_HANDLE_KEY, EM_HANDLE_KEY);
	view->number = (uint32_t)handle;
	view->locked = false;
	return likely(view->client) || open_locked(handle, kind, view);
}

static inline void close_view(const struct em_view *view)
{
	if (likely(!view->locked))
		em_end(em_self);
	else
		pthread_mutex_unlock(&view->client->lock);
}

static inline bool open_frame(HFRAME handle, struct em_view *view)
{
	if (likely(open_handle((uintptr_t)handle, EM_HANDLE_FRAME, view))) {
		view->frame = em_frame_size(view->client, view->number, &view->link_type,
					    &view->size);
		if (likely(view->frame))
			return true;
		close_view(view);
	}
	em_set_last_error(NMERR_INVALID_HFRAME);
	return false;
}

static bool open_capture(HCAPTURE handle, struct em_view *view)
{
	if (open_handle((uintptr_t)handle, EM_HANDLE_CAPTURE, view)) {
		if (!view->number)
			return true;
		close_view(view);
	}
	em_set_last_error(NMERR_INVALID_HCAPTURE);
	return false;
}

bool em_view_frame(HFRAME handle, struct em_view *view)
{
	return open_frame(handle, view);
}

void em_view_end(const struct em_view *view)
{
	close_view(view);
}

/* --------------------------------------------------------------------- ExpertGetFrame */

/* The first frame to look at for these arguments. */
static inline DWORD first_frame(const struct em_client *client, DWORD direction, DWORD requested,
				uint32_t *number)
{
	bool at = client->flags & EXPERTMEM_NEXT_AT;
	uint32_t end = client->nr_frames;

	switch (direction) {
	case GET_SPECIFIED_FRAME:
		*number = requested;
		return likely(requested < end) ? NMERR_SUCCESS : NMERR_FRAME_NOT_FOUND;
	case GET_FRAME_NEXT_FORWARD:
		/* The number behind INVALID_FRAME_NUMBER is 0. */
		*number = at && requested != INVALID_FRAME_NUMBER ? requested : requested + 1;
		return likely(*number < end) ? NMERR_SUCCESS : NMERR_NO_MORE_FRAMES;
	default:
		if (requested >= end)
			requested = end;
		else if (at)
			requested++;
		*number = requested - 1;
		return likely(requested) ? NMERR_SUCCESS : NMERR_NO_MORE_FRAMES;
	}
}

/* Fill in the descriptor, without tables. */
static inline DWORD describe(const struct em_client *client, uint32_t number,
			     LPEXPERTFRAMEDESCRIPTOR descriptor)
{
	const FRAME *frame = em_frame(client, number);

	if (unlikely(!frame))
		return NMERR_FRAME_NOT_FOUND;
	descriptor->FrameNumber = number;
	descriptor->hFrame = (HFRAME)em_handle(client, EM_HANDLE_FRAME, number);
	descriptor->pFrame = (ULPFRAME)frame;
	descriptor->lpRecognizeDataTable = NULL;
	descriptor->lpPropertyTable = NULL;
	return NMERR_SUCCESS;
}

/* Find the frame, with its filters. The client's lock is held. */
static DWORD find(struct em_client *client, DWORD direction, DWORD flags, DWORD requested,
		  HFILTER filter, uint32_t *number)
{
	bool user = flags & FLAGS_DEFER_TO_UI_FILTER && client->user_filter;
	uint32_t filter_number = ENGINE_NONE;
	DWORD error = NMERR_SUCCESS;

	/* A filter that is wrong is an error everywhere, also at the end of a walk. */
	if (filter)
		error = em_filter_number(client, filter, &filter_number);
	if (!error)
		error = first_frame(client, direction, requested, number);
	if (error || (!user && !filter))
		return error;
	if (direction == GET_SPECIFIED_FRAME)
		return em_passes(client, filter_number, user, *number);
	return em_search(client, filter_number, user, direction == GET_FRAME_NEXT_FORWARD, *number,
			 number);
}

/* Get the tables of a frame. If its dissection fails, the descriptor stays without them. */
static DWORD add_tables(const struct em_client *client, DWORD direction, DWORD flags,
			LPEXPERTFRAMEDESCRIPTOR descriptor)
{
	bool forward = direction != GET_FRAME_NEXT_BACKWARD;
	DWORD error = NMERR_SUCCESS;

	/* First the properties: the engine then has the protocols, and dissects the frame once. */
	if (flags & FLAGS_ATTACH_PROPERTIES)
		error = em_attach_properties(descriptor->hFrame, forward,
					     &descriptor->lpPropertyTable);
	if (!error && !(flags & FLAGS_NO_RECOGNIZE_DATA))
		error = em_recognize(client, descriptor->hFrame, forward,
				     &descriptor->lpRecognizeDataTable);
	return error;
}

static noinline DWORD get_locked(HEXPERTKEY key, DWORD direction, DWORD flags, DWORD requested,
				 HFILTER filter, LPEXPERTFRAMEDESCRIPTOR descriptor)
{
	DWORD error = em_become(key);
	EXPERTFRAMEDESCRIPTOR found;
	struct em_client *client;
	uint32_t number;

	if (error)
		return error;
	client = em_client_of_key(key, &error);
	if (!client)
		return error;
	pthread_mutex_lock(&client->lock);
	if (em_is_open(client) && client->key == key)
		error = find(client, direction, flags, requested, filter, &number);
	else
		error = NMERR_INVALID_EXPERT_HANDLE;
	if (!error)
		error = describe(client, number, &found);
	pthread_mutex_unlock(&client->lock);
	if (error)
		return error;
	error = add_tables(client, direction, flags, &found);
	if (!error || error == NMERR_INTERNAL_EXCEPTION || error == NMERR_RUNAWAY_PROTOCOL)
		*descriptor = found;
	return error;
}

DWORD WINAPI ExpertGetFrame(HEXPERTKEY hExpertKey, DWORD Direction, DWORD RequestFlags,
			    DWORD RequestedFrameNumber, HFILTER hFilter,
			    LPEXPERTFRAMEDESCRIPTOR pEFrameDescriptor)
{
	const struct em_client *client;
	uint32_t number;
	DWORD error;

	if (unlikely(!pEFrameDescriptor || Direction > GET_FRAME_NEXT_BACKWARD ||
		     RequestFlags & ~(FLAGS_DEFER_TO_UI_FILTER | FLAGS_ATTACH_PROPERTIES |
				      FLAGS_NO_RECOGNIZE_DATA)))
		return NMERR_INVALID_PARAMETER;
	if (hFilter || RequestFlags & FLAGS_ATTACH_PROPERTIES)
		goto locked;
	client = begin((uintptr_t)hExpertKey, UINTPTR_MAX);
	if (unlikely(!client))
		goto locked;
	if (unlikely(em_status(em_slot_of(hExpertKey)) ||
		     !(client->is_plain || RequestFlags & FLAGS_NO_RECOGNIZE_DATA) ||
		     (RequestFlags & FLAGS_DEFER_TO_UI_FILTER && client->user_filter))) {
		em_end(em_self);
		goto locked;
	}
	error = first_frame(client, Direction, RequestedFrameNumber, &number);
	if (likely(!error))
		error = describe(client, number, pEFrameDescriptor);
	em_end(em_self);
	return error;
locked:
	return get_locked(hExpertKey, Direction, RequestFlags, RequestedFrameNumber, hFilter,
			  pEFrameDescriptor);
}

/* ---------------------------------------------------------------------- about captures */

DWORD WINAPI GetCaptureTotalFrames(HCAPTURE hCapture)
{
	struct em_view view;
	DWORD count;

	if (!open_capture(hCapture, &view))
		return 0;
	count = view.client->nr_frames;
	close_view(&view);
	return count;
}

LPSYSTEMTIME WINAPI GetCaptureTimeStamp(HCAPTURE hCapture)
{
	struct em_view view;

	if (!open_capture(hCapture, &view))
		return NULL;
	close_view(&view);
	return &view.client->start_time;
}

LPSTR WINAPI GetCaptureComment(HCAPTURE hCapture)
{
	struct em_view view;

	if (!open_capture(hCapture, &view))
		return NULL;
	close_view(&view);
	return view.client->comment;
}

DWORD em_mac_type(uint16_t link_type)
{
	switch (link_type) {
	case 1:
		return MAC_TYPE_ETHERNET;
	case 6:
		return MAC_TYPE_TOKENRING;
	case 10:
		return MAC_TYPE_FDDI;
	case 100:	/* LLC in AAL5 */
	case 123:	/* SunATM */
		return MAC_TYPE_ATM;
	case 138:	/* IP over IEEE 1394 */
		return MAC_TYPE_1394;
	default:
		return MAC_TYPE_UNKNOWN;
	}
}

DWORD WINAPI GetCaptureMacType(HCAPTURE hCapture)
{
	struct em_view view;
	DWORD type;

	if (!open_capture(hCapture, &view))
		return MAC_TYPE_UNKNOWN;
	type = em_mac_type(view.client->link_type);
	close_view(&view);
	return type;
}

HFRAME WINAPI GetFrame(HCAPTURE hCapture, DWORD FrameNumber)
{
	HFRAME frame = NULL;
	struct em_view view;

	if (!open_capture(hCapture, &view))
		return NULL;
	if (em_frame(view.client, FrameNumber))
		frame = (HFRAME)em_handle(view.client, EM_HANDLE_FRAME, FrameNumber);
	close_view(&view);
	return frame ? frame : em_fail_null(NMERR_FRAME_NOT_FOUND);
}

HFRAME WINAPI ModifyFrame(HCAPTURE hCapture, DWORD FrameNumber, LPBYTE FrameData,
			  DWORD FrameLength, int64_t TimeStamp)
{
	(void)hCapture, (void)FrameNumber, (void)FrameData, (void)FrameLength, (void)TimeStamp;
	return em_fail_null(NMERR_NOT_SUPPORTED);
}

/* ------------------------------------------------------------------------ about frames */

HCAPTURE WINAPI GetFrameCaptureHandle(HFRAME hFrame)
{
	struct em_view view;
	HCAPTURE capture;

	if (!open_frame(hFrame, &view))
		return NULL;
	capture = (HCAPTURE)em_handle(view.client, EM_HANDLE_CAPTURE, 0);
	close_view(&view);
	return capture;
}

DWORD WINAPI GetFrameNumber(HFRAME hFrame)
{
	struct em_view view;

	if (!open_frame(hFrame, &view))
		return INVALID_FRAME_NUMBER;
	close_view(&view);
	return view.number;
}

ULPFRAME WINAPI GetFrameFromFrameHandle(HFRAME hFrame)
{
	struct em_view view;

	if (!open_frame(hFrame, &view))
		return NULL;
	close_view(&view);
	return (ULPFRAME)view.frame;
}

ULPBYTE WINAPI ParserTemporaryLockFrame(HFRAME hFrame)
{
	struct em_view view;

	if (!open_frame(hFrame, &view))
		return NULL;
	close_view(&view);
	return (ULPBYTE)view.frame->MacFrame;
}

LPRECOGNIZEDATATABLE WINAPI GetFrameRecognizeData(HFRAME hFrame)
{
	LPRECOGNIZEDATATABLE table;
	struct em_view view;
	DWORD error;

	if (!open_frame(hFrame, &view))
		return NULL;
	close_view(&view);
	error = em_protocols(hFrame, true, &table);
	return error ? em_fail_null(error) : table;
}

DWORD WINAPI GetFrameLength(HFRAME hFrame)
{
	struct em_view view;
	DWORD length;

	if (!open_frame(hFrame, &view))
		return 0;
	length = view.frame->FrameLength;
	close_view(&view);
	return length;
}

DWORD WINAPI GetFrameStoredLength(HFRAME hFrame)
{
	struct em_view view;
	DWORD length;

	if (!open_frame(hFrame, &view))
		return 0;
	length = view.size;
	close_view(&view);
	return length;
}

int64_t WINAPI GetFrameTimeStamp(HFRAME hFrame)
{
	struct em_view view;
	int64_t time;

	if (!open_frame(hFrame, &view))
		return -1;
	time = view.frame->TimeStamp;
	close_view(&view);
	return time;
}

DWORD WINAPI GetFrameMacType(HFRAME hFrame)
{
	struct em_view view;

	if (!open_frame(hFrame, &view))
		return MAC_TYPE_UNKNOWN;
	close_view(&view);
	return em_mac_type(view.link_type);
}

DWORD WINAPI GetFrameMacHeaderLength(HFRAME hFrame)
{
	struct em_view view;
	DWORD length = 0;

	if (!open_frame(hFrame, &view))
		return 0;
	switch (em_mac_type(view.link_type)) {
	case MAC_TYPE_ETHERNET:
		length = ETHERNET_HEADER_LENGTH;
		break;
	case MAC_TYPE_TOKENRING:
		length = TOKENRING_HEADER_LENGTH;
		if (view.size > length)
			length += GetRoutingInfoLength(view.frame->MacFrame);
		break;
	case MAC_TYPE_FDDI:
		length = FDDI_HEADER_LENGTH;
		break;
	}
	close_view(&view);
	return length;
}
