// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Frames are dissected as by `tshark -2`: in a first pass in order, protocols learn which frames
 * belong together; then any frame can be dissected in any order. A frame that the expert gets in
 * order is dissected once, in the first pass, so its tree does not refer to later frames, such as
 * the response to a request. A second dissection of the frame adds these references.
 *
 * Between dissections, only struct ws_kept of a frame is kept. libwireshark's struct frame_data has
 * 100 bytes more, and is made anew for each dissection.
 */
#include "ws.h"

#include <Netmon.h>
#include <epan/packet.h>
#include <wiretap/pcap-encap.h>
#include <wiretap/wtap.h>

#define CHUNK		4096u
#define INDEX_OFFSET	((UINT64_C(1) << 48) - 1)
#define INDEX_LINK_SHIFT 48
#define LINK_UNKNOWN	0xffffu

/* What is kept of CHUNK frames; allocated when the first of them is dissected. */
struct chunk {
	struct ws_kept kept[CHUNK];
	uint8_t visited[CHUNK / 8];
};

static const struct frames *capture;
static struct chunk **chunks;
static uint32_t next_frame;	/* the frame that the first pass dissects next */
static uint64_t dissected;	/* number of frames of the first pass so far */
static bool ended;		/* the first pass is over */

static epan_t *session;
static wtap_rec record;
static frame_data current;	/* the frame that is dissected; libwireshark keeps no pointer */
static epan_dissect_t treeless, treed;
static bool begun;		/* between dissect_begin() and dissect_end() */

static const FRAME *frame_at(uint32_t number)
{
	return (const FRAME *)(capture->data + (capture->index[number] & INDEX_OFFSET));
}

/* A frame's time since 1970. */
static nstime_t frame_time(uint32_t number)
{
	const int64_t billion = 1000000000;
	int64_t time = capture->start, offset;
	nstime_t result;

	if (!__builtin_mul_overflow(frame_at(number)->TimeStamp, 1000, &offset) &&
	    __builtin_add_overflow(time, offset, &time))
		time = capture->start;
	result.secs = time / billion;
	result.nsecs = time % billion;
	if (result.nsecs < 0) {
		result.secs--;
		result.nsecs += billion;
	}
	return result;
}

/* Answer with the time of the frame @number, which counts from 1. */
static const nstime_t *provide_time(struct packet_provider_data *provider G_GNUC_UNUSED,
				    uint32_t number)
{
	static nstime_t times[4];	/* several: a caller compares the times of two frames */
	static unsigned int turn;

	if (!number || number > capture->count || !capture->start)
		return NULL;
	turn = (turn + 1) % G_N_ELEMENTS(times);
	times[turn] = frame_time(number - 1);
	return &times[turn];
}

void dissect_init(void)
{
	static const struct packet_provider_funcs functions = { .get_frame_ts = provide_time };

	session = epan_new(NULL, &functions);
	epan_dissect_init(&treeless, session, false, false);
	epan_dissect_init(&treed, session, true, false);
}

void dissect_loaded(const struct frames *frames)
{
	capture = frames;
	chunks = g_new0(struct chunk *, frames->count / CHUNK + 1);
	next_frame = frames->begin;
}

uint64_t dissect_count(void)
{
	return dissected;
}

static struct chunk *chunk_of(uint32_t number)
{
	struct chunk **chunk = &chunks[number / CHUNK];

	if (!*chunk)
		*chunk = g_new0(struct chunk, 1);
	return *chunk;
}

static bool is_visited(uint32_t number)
{
	const struct chunk *chunk = chunks[number / CHUNK];

	return chunk && chunk->visited[number % CHUNK / 8] >> number % 8 & 1;
}

/* Fill in the record that Wireshark's file library would have read. */
static void set_record(uint32_t number, const FRAME *frame)
{
	wtap_packet_header *packet = &record.rec_header.packet_header;
	unsigned int link = capture->index[number] >> INDEX_LINK_SHIFT;

	ws_packet(&record);
	record.presence_flags = WTAP_HAS_CAP_LEN | (capture->start ? WTAP_HAS_TS : 0);
	record.ts = current.abs_ts;
	record.tsprec = current.tsprec;
	memset(packet, 0, sizeof(*packet));
	packet->caplen = frame->nBytesAvail;
	packet->len = frame->FrameLength;
	packet->pkt_encap = link == LINK_UNKNOWN ? WTAP_ENCAP_UNKNOWN :
			    wtap_pcap_encap_to_wtap_encap(link);
	/* -1: it is not known whether frames end with a checksum */
	if (packet->pkt_encap == WTAP_ENCAP_ETHERNET)
		packet->pseudo_header.eth.fcs_len = -1;
	else if (packet->pkt_encap == WTAP_ENCAP_IEEE_802_11 ||
		 packet->pkt_encap == WTAP_ENCAP_IEEE_802_11_RADIOTAP)
		packet->pseudo_header.ieee_802_11.fcs_len = -1;
}

/* Fill in @current. Times are relative to the first frame and to the one before. */
static void set_current(uint32_t number, const FRAME *frame)
{
	frame_data first = { .num = 1, .has_ts = true }, before = { .num = number };
	const frame_data *reference = number ? &first : NULL;
	nstime_t elapsed = { 0 };

	memset(&current, 0, sizeof(current));
	current.num = number + 1;
	current.pkt_len = MIN(frame->FrameLength, (DWORD)G_MAXINT);
	current.cap_len = frame->nBytesAvail;
	current.has_ts = capture->start != 0;
	current.tsprec = WTAP_TSPREC_USEC;
	current.abs_ts = frame_time(number);
	current.visited = is_visited(number);
	first.abs_ts = frame_time(0);
	frame_data_set_before_dissect(&current, &elapsed, &reference, number ? &before : NULL);
	ws_restore(&chunk_of(number)->kept[number % CHUNK], &current);
}

static void run(epan_dissect_t *edt, uint32_t number)
{
	const FRAME *frame = frame_at(number);
	struct chunk *chunk;

	set_current(number, frame);
	set_record(number, frame);
	ws_dissect(edt, &record, frame->MacFrame, &current);

	chunk = chunk_of(number);
	ws_keep(&chunk->kept[number % CHUNK], &current);
	chunk->visited[number % CHUNK / 8] |= 1u << number % 8;
}

/* Count next_frame as dissected by the first pass, which continues behind it. */
static void advance(void)
{
	next_frame++;
	dissected++;
}

/*
 * When each frame was dissected once, let protocols free what only a first dissection needs. If the
 * first pass began in the middle, frames before it may not be dissected yet.
 */
static void first_pass_ends(void)
{
	if (next_frame == capture->count && !capture->begin && !ended) {
		postseq_cleanup_all_protocols();
		ended = true;
	}
}

static void first_pass(uint32_t end)
{
	uint32_t error;

	while (next_frame < end) {
		if (!is_visited(next_frame) && desk_frame(next_frame, &error)) {
			run(&treeless, next_frame);
			epan_dissect_reset(&treeless);
		}
		advance();
	}
}

epan_dissect_t *dissect_begin(uint32_t frame, const struct wanted *wanted, uint32_t *error)
{
	if (frame >= capture->count) {
		*error = NMERR_FRAME_NOT_FOUND;
		return NULL;
	}
	first_pass(frame);
	if (!desk_frame(frame, error)) {
		if (frame == next_frame)
			advance();
		return NULL;
	}
	proto_tree_set_visible(treed.tree, wanted->tree == TREE_ALL);
	epan_dissect_fake_protocols(&treed, wanted->tree == TREE_FIELD ||
					    wanted->tree == TREE_FILTER);
	for (uint32_t i = 0; wanted->fields && i < wanted->fields->count; i++)
		if (field_of(wanted->fields->ids[i]))
			epan_dissect_prime_with_hfid(&treed, (int)wanted->fields->ids[i]);
	if (wanted->tree == TREE_FILTER && wanted->filter)
		epan_dissect_prime_with_dfilter(&treed, wanted->filter);
	run(&treed, frame);
	begun = true;
	if (frame == next_frame)
		advance();
	return &treed;
}

void dissect_end(void)
{
	if (!begun)
		return;
	epan_dissect_reset(&treed);
	begun = false;
	first_pass_ends();
}

const uint8_t *dissect_bytes(uint32_t *length)
{
	*length = current.cap_len;
	return frame_at(current.num - 1)->MacFrame;
}
