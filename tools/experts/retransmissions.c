// SPDX-License-Identifier: GPL-2.0
/*
 * retransmissions: find out which TCP conversations lose segments, and where receivers are too slow.
 *
 * This expert reads the bytes of the frames. The library finds the IP addresses, and so the IP
 * header; the expert itself reads the headers of IP and TCP. So it is fast, and needs no
 * dissectors. Each frame gets the findings that Wireshark calls tcp.analysis.*, by the rules of the
 * chapter "TCP Analysis" in the Wireshark User's Guide: see struct side and analyse(). Each finding
 * is an event, and the conversations with the most retransmissions are printed.
 *
 * Wireshark's findings differ for these frames:
 *   - TCP in tunnels: this expert looks at the outer IP header only.
 *   - TCP in fragments of IP: Wireshark joins them. Here they are counted and left out.
 *   - Multipath TCP: its data sequence numbers are not analysed here.
 *   - Frames less than a microsecond apart: time stamps have microseconds here, and nanoseconds in
 *     Wireshark.
 *
 * A conversation takes 200 bytes. When the expert's limit is reached, new conversations are left
 * out, and the number of their frames is printed. So a flood of SYN segments does not end the
 * analysis of the conversations before it.
 *
 * Build it:	cc -shared -fPIC retransmissions.c common/{table,text,event,walk}.c -lexpertmem \
 *		   -o retransmissions.so
 * Run it:	expertmem run --events findings.json ./retransmissions.so traffic.pcap
 *
 * RETRANSMISSIONS_COUNT in the environment sets how many conversations are shown (10).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <Netmon.h>

#include "common/event.h"
#include "common/table.h"
#include "common/text.h"
#include "common/walk.h"


enum finding {
	RETRANSMISSION,
	FAST_RETRANSMISSION,	/* after two duplicate ACKs; in Wireshark a retransmission, too */
	SPURIOUS_RETRANSMISSION, /* of acknowledged data; in Wireshark a retransmission, too */
	OUT_OF_ORDER,
	LOST_SEGMENT,		/* a segment before this one is not in the capture */
	DUPLICATE_ACK,
	ZERO_WINDOW,
	ZERO_WINDOW_PROBE,
	ZERO_WINDOW_PROBE_ACK,
	KEEP_ALIVE,
	KEEP_ALIVE_ACK,
	FINDINGS
};

static const struct {
	const char *name, *justification;
	DWORD severity;
} kinds[FINDINGS] = {
	[RETRANSMISSION] = { "Retransmission",
		"These bytes were sent before.", NMEVENT_SEVERITY_WARNING },
	[FAST_RETRANSMISSION] = { "Fast retransmission",
		"The receiver asked for these bytes by duplicate ACKs.", NMEVENT_SEVERITY_WARNING },
	[SPURIOUS_RETRANSMISSION] = { "Spurious retransmission",
		"The receiver had acknowledged these bytes.", NMEVENT_SEVERITY_WARNING },
	[OUT_OF_ORDER] = { "Out of order",
		"A segment that follows these bytes came just before.", NMEVENT_SEVERITY_WARNING },
	[LOST_SEGMENT] = { "Previous segment missing",
		"The bytes before these are not in the capture.", NMEVENT_SEVERITY_WARNING },
	[DUPLICATE_ACK] = { "Duplicate ACK",
		"The receiver repeats what it waits for.", NMEVENT_SEVERITY_INFORMATIONAL },
	[ZERO_WINDOW] = { "Zero window",
		"The receiver has no room: its program reads too slowly.",
		NMEVENT_SEVERITY_STRONG_WARNING },
	[ZERO_WINDOW_PROBE] = { "Zero window probe",
		"The sender asks if the receiver has room.", NMEVENT_SEVERITY_INFORMATIONAL },
	[ZERO_WINDOW_PROBE_ACK] = { "Zero window probe ACK",
		"The receiver still has no room.", NMEVENT_SEVERITY_INFORMATIONAL },
	[KEEP_ALIVE] = { "Keep-alive",
		"The sender asks if the other end is still there.", NMEVENT_SEVERITY_INFORMATIONAL },
	[KEEP_ALIVE_ACK] = { "Keep-alive ACK",
		"The other end is still there.", NMEVENT_SEVERITY_INFORMATIONAL },
};

/* A TCP segment. */
struct segment {
	struct host host[2];	/* source, destination */
	unsigned int port[2];
	uint32_t sequence, ack;
	uint32_t length;	/* bytes of data */
	unsigned int window;
	bool fin, syn, rst, has_ack;
	int64_t time;		/* microseconds */
};

/* What one end of a conversation has sent so far. */
struct side {
	bool started;		/* @next is valid */
	uint32_t next;		/* the sequence number behind the highest byte that was sent */
	int64_t next_time;	/* when that byte was sent */
	uint32_t ack;		/* the last acknowledgement; 0: none */
	int64_t ack_time;
	unsigned int window;	/* the last one, without scaling: only 0 and changes matter */
	uint32_t duplicates;	/* number of duplicate ACKs since @ack has changed */
	unsigned int last;	/* findings of the last segment, a bit each */
	bool has_first;		/* @first is valid */
	uint32_t first;		/* sequence number of the SYN */
};

struct conversation {
	struct {		/* the key in the table; the lower end is the first one */
		struct host host[2];
		uint16_t port[2];
		uint32_t zero;
	} key;
	struct side side[2];
	bool has_syn;		/* @syn_time is valid */
	int64_t syn_time;
	int64_t round_trip;	/* of the handshake; 0: not known */
	uint32_t frames, findings[FINDINGS];
};

struct survey {
	HEXPERTKEY key;
	struct table conversations;
	unsigned long long frames, segments, fragments, cut, left_out;
	unsigned long long unknown;	/* frames in which the library finds no address at all */
	unsigned long long findings[FINDINGS];
	bool full;		/* there is no memory for more conversations */
};

static unsigned int get16(const BYTE *bytes)
{
	return bytes[0] << 8 | bytes[1];
}

static uint32_t get32(const BYTE *bytes)
{
	return (uint32_t)get16(bytes) << 16 | get16(bytes + 2);
}

/* Compare sequence numbers, which wrap around. */
static bool before(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

enum parse { PARSE_TCP, PARSE_OTHER, PARSE_UNKNOWN, PARSE_CUT, PARSE_FRAGMENT };

/*
 * Step over the extension headers of IPv6. *@at: offset of the first header, then of TCP. *@next: its
 * number, then that of the last header.
 */
static enum parse skip_extensions(const FRAME *frame, uint32_t *at, unsigned int *next)
{
	for (;;) {
		const BYTE *header = frame->MacFrame + *at;

		if (*next != 0 && *next != 43 && *next != 44 && *next != 51 && *next != 60)
			return PARSE_TCP;
		if (*at + 8 > frame->nBytesAvail)
			return PARSE_CUT;
		if (*next == 44 && get16(header + 2) & 0xfff9)
			return PARSE_FRAGMENT;
		*at += *next == 44 ? 8 : *next == 51 ? 4 * (header[1] + 2) : 8 * (header[1] + 1);
		*next = header[0];
	}
}

/* Find the TCP header behind the IP header at *@at, and the end of the packet at *@end. */
static enum parse find_tcp(const FRAME *frame, bool is_ipv4, uint32_t *at, uint32_t *end)
{
	const BYTE *ip = frame->MacFrame + *at;
	unsigned int next, length;
	enum parse parse = PARSE_TCP;

	if (ip[0] >> 4 != (is_ipv4 ? 4 : 6) || (is_ipv4 && (ip[0] & 0xf) < 5))
		return PARSE_OTHER;
	if (is_ipv4) {
		length = get16(ip + 2);
		next = ip[9];
		if (get16(ip + 6) & 0x3fff)
			parse = PARSE_FRAGMENT;
		*end = *at + length;
		*at += 4 * (ip[0] & 0xf);
	} else {
		length = get16(ip + 4);
		next = ip[6];
		*end = *at + 40 + length;
		*at += 40;
		parse = skip_extensions(frame, at, &next);
	}
	/* length 0: segmentation offload, where the network card sets the length of each packet */
	if (!length || *end > frame->FrameLength)
		*end = frame->FrameLength;
	return next == 6 ? parse : PARSE_OTHER;
}

/* Read the headers of a frame. Lengths in the frame are checked against the bytes that are there. */
static enum parse parse_frame(const EXPERTFRAMEDESCRIPTOR *descriptor, struct segment *segment)
{
	const FRAME *frame = descriptor->pFrame;
	DWORD size = 0, offset = GetFrameSrcAddressOffset(descriptor->hFrame, ADDRESS_TYPE_FIND_HIGHEST,
						      &size);
	bool is_ipv4 = size == IP_ADDRESS_SIZE;
	uint32_t at, end, header;
	ADDRESS address = { .Type = is_ipv4 ? ADDRESS_TYPE_IP : ADDRESS_TYPE_IP6 };
	enum parse parse;
	const BYTE *tcp;

	if (offset == (DWORD)-1)
		return PARSE_UNKNOWN;
	if (!is_ipv4 && size != IP6_ADDRESS_SIZE)
		return PARSE_OTHER;
	at = offset - (is_ipv4 ? 12 : 8);
	if (offset + 2 * size > frame->nBytesAvail)
		return PARSE_CUT;
	for (int i = 0; i < 2; i++) {
		memcpy(address.IP6Address, frame->MacFrame + offset + i * size, size);
		host_of(&address, &segment->host[i]);
	}

	parse = find_tcp(frame, is_ipv4, &at, &end);
	if (parse != PARSE_TCP)
		return parse;
	if (at + 20 > frame->nBytesAvail)
		return PARSE_CUT;
	tcp = frame->MacFrame + at;
	header = 4 * (tcp[12] >> 4);
	if (header < 20 || at + header > end)
		return PARSE_OTHER;
	segment->port[0] = get16(tcp);
	segment->port[1] = get16(tcp + 2);
	segment->sequence = get32(tcp + 4);
	segment->ack = get32(tcp + 8);
	segment->length = end - at - header;
	segment->fin = tcp[13] & 0x01;
	segment->syn = tcp[13] & 0x02;
	segment->rst = tcp[13] & 0x04;
	segment->has_ack = tcp[13] & 0x10;
	segment->window = get16(tcp + 14);
	segment->time = frame->TimeStamp;
	return PARSE_TCP;
}

/* Does the segment repeat the last one in its direction? Their windows may differ. */
static bool repeats(const struct side *from, const struct segment *segment)
{
	return segment->length == 0 && from->started && segment->sequence == from->next &&
	       segment->ack == from->ack && !segment->syn && !segment->fin && !segment->rst;
}

/*
 * Find zero windows, keep-alive segments, duplicate ACKs and lost ones. Returns a bit for each.
 */
static unsigned int analyse_state(const struct side *from, const struct side *to,
				  const struct segment *segment)
{
	bool control = segment->syn || segment->fin || segment->rst;
	unsigned int found = 0;

	if (segment->length == 1 && from->started && segment->sequence == from->next && to->started &&
	    to->window == 0)
		return 1 << ZERO_WINDOW_PROBE;
	if (segment->window == 0 && !control)
		found |= 1 << ZERO_WINDOW;
	if (from->started && before(from->next, segment->sequence) && !segment->rst)
		found |= 1 << LOST_SEGMENT;
	if (segment->length <= 1 && from->started && segment->sequence == from->next - 1 && !control)
		found |= 1 << KEEP_ALIVE;

	if (!repeats(from, segment) || segment->window != from->window)
		return found;
	if (segment->window && to->last & 1 << KEEP_ALIVE)
		return found | 1 << KEEP_ALIVE_ACK;
	if (!segment->window && to->last & 1 << ZERO_WINDOW_PROBE)
		return found | 1 << ZERO_WINDOW_PROBE_ACK;
	return segment->window ? found | 1 << DUPLICATE_ACK : found;
}

/* Which retransmission is a segment without a new sequence number? Returns a finding, or 0. */
static unsigned int analyse_old(const struct conversation *conversation, const struct side *from,
				const struct side *to, const struct segment *segment)
{
	uint32_t end = segment->sequence + segment->length;
	uint32_t next = end + (segment->syn || segment->fin);
	int64_t threshold = conversation->round_trip ? conversation->round_trip : 3000;
	bool is_old = from->started && before(segment->sequence, from->next);

	/* a segment that begins with the byte of a zero window probe or keep-alive is no old one */
	if (segment->length > 1 && from->next - 1 == segment->sequence)
		is_old = false;
	if (segment->length && to->ack && !before(to->ack, end))
		return 1 << SPURIOUS_RETRANSMISSION;
	if (!is_old)
		return 0;
	if (to->duplicates >= 2 && to->ack == segment->sequence &&
	    segment->time - to->ack_time < 20000)
		return 1 << FAST_RETRANSMISSION;
	/* less than a round trip after later bytes: no ACK can have asked for these yet */
	if (segment->time - from->next_time < threshold && from->next != next)
		return 1 << OUT_OF_ORDER;
	return 1 << RETRANSMISSION;
}

/* Find out what a segment is, and remember it. Returns findings, a bit each. */
static unsigned int analyse(struct conversation *conversation, struct side *from, struct side *to,
			    const struct segment *segment)
{
	unsigned int found = analyse_state(from, to, segment);
	uint32_t next = segment->sequence + segment->length + (segment->syn || segment->fin);

	if (found & 1 << DUPLICATE_ACK)
		from->duplicates++;
	if (segment->ack != from->ack)
		from->duplicates = 0;
	if ((segment->length || segment->syn || segment->fin) && !(found & 1 << KEEP_ALIVE))
		found |= analyse_old(conversation, from, to, segment);

	/* the byte of a zero window probe does not count as sent */
	if ((!from->started || before(from->next, next)) && !(found & 1 << ZERO_WINDOW_PROBE)) {
		from->started = true;
		from->next = next;
		from->next_time = segment->time;
	}
	from->ack = segment->ack;
	from->ack_time = segment->time;
	from->window = segment->window;
	from->last = found;
	return found;
}

/* A SYN with another number than the last one begins a new conversation between the same ports. */
static void note_start(struct conversation *conversation, struct side *from,
		       const struct segment *segment)
{
	if (segment->syn && !segment->has_ack && from->has_first &&
	    from->first != segment->sequence) {
		memset(conversation->side, 0, sizeof(conversation->side));
		conversation->has_syn = false;
		conversation->round_trip = 0;
	}
	if (segment->syn) {
		from->has_first = true;
		from->first = segment->sequence;
	}
	if (segment->syn && !segment->has_ack) {
		conversation->has_syn = true;
		conversation->syn_time = segment->time;
	} else if (!segment->syn && segment->has_ack && conversation->has_syn &&
		   !conversation->round_trip) {
		conversation->round_trip = segment->time - conversation->syn_time;
	}
}

static DWORD submit(struct survey *survey, const struct segment *segment, DWORD frame,
		    enum finding finding)
{
	char from[ENDPOINT_TEXT], to[ENDPOINT_TEXT];
	struct event event;

	event_begin(&event, finding + 1, kinds[finding].severity, kinds[finding].name,
		    segment->time);
	event.data.szSourceName = (LPSTR)"TCP";
	event.data.Justification = (LPSTR)kinds[finding].justification;
	event_frame(&event, "Frame", frame);
	event_text(&event, "From", endpoint_text(&segment->host[0], segment->port[0], from));
	event_text(&event, "To", endpoint_text(&segment->host[1], segment->port[1], to));
	event_number(&event, "Sequence", segment->sequence);
	event_number(&event, "Bytes", segment->length);
	return event_submit(&event, survey->key);
}

/* Find the conversation of a segment. *@is_second: the source is its second end. */
static struct conversation *find_conversation(struct survey *survey, const struct segment *segment,
					      bool *is_second, DWORD *error)
{
	struct conversation wanted = { .key.zero = 0 }, *found;
	int order = memcmp(&segment->host[0], &segment->host[1], sizeof(segment->host[0]));

	*is_second = order > 0 || (!order && segment->port[0] > segment->port[1]);
	for (int i = 0; i < 2; i++) {
		wanted.key.host[i] = segment->host[*is_second ^ i];
		wanted.key.port[i] = segment->port[*is_second ^ i];
	}
	if (survey->full)
		return table_find(&survey->conversations, &wanted.key);
	found = table_add(&survey->conversations, &wanted.key, error);
	if (!found && *error == NMERR_OUT_OF_MEMORY) {
		survey->full = true;
		*error = NMERR_SUCCESS;
	}
	return found;
}

static DWORD survey_frame(struct survey *survey, const EXPERTFRAMEDESCRIPTOR *frame)
{
	struct conversation *conversation;
	DWORD error = NMERR_SUCCESS;
	struct segment segment;
	unsigned int found;
	bool second;

	survey->frames++;
	switch (parse_frame(frame, &segment)) {
	case PARSE_OTHER:
		return NMERR_SUCCESS;
	case PARSE_UNKNOWN:
		survey->unknown++;
		return NMERR_SUCCESS;
	case PARSE_CUT:
		survey->cut++;
		return NMERR_SUCCESS;
	case PARSE_FRAGMENT:
		survey->fragments++;
		return NMERR_SUCCESS;
	case PARSE_TCP:
		survey->segments++;
	}
	conversation = find_conversation(survey, &segment, &second, &error);
	if (!conversation) {
		survey->left_out += error == NMERR_SUCCESS;
		return error;
	}

	note_start(conversation, &conversation->side[second], &segment);
	conversation->frames++;
	found = analyse(conversation, &conversation->side[second], &conversation->side[!second],
			&segment);
	for (int i = 0; i < FINDINGS && error == NMERR_SUCCESS; i++) {
		if (!(found & 1 << i))
			continue;
		conversation->findings[i]++;
		survey->findings[i]++;
		error = submit(survey, &segment, frame->FrameNumber, i);
	}
	return error;
}

static DWORD survey_capture(struct survey *survey, HCAPTURE capture)
{
	struct walk walk;
	DWORD error;

	walk_init(&walk, survey->key, capture, "following TCP conversations");
	while ((error = walk_next(&walk)) == NMERR_SUCCESS) {
		error = survey_frame(survey, &walk.frame);
		if (error != NMERR_SUCCESS)
			return error;
	}
	return error == NMERR_NO_MORE_FRAMES ? NMERR_SUCCESS : error;
}

static uint32_t retransmissions(const struct conversation *conversation)
{
	return conversation->findings[RETRANSMISSION] + conversation->findings[FAST_RETRANSMISSION] +
	       conversation->findings[SPURIOUS_RETRANSMISSION];
}

/* Sort by retransmissions, the most first; then by zero windows, by frames, and by ends. */
static int compare_conversations(const void *left, const void *right)
{
	const struct conversation *a = left, *b = right;
	uint32_t of_a[] = { retransmissions(a), a->findings[ZERO_WINDOW], a->frames };
	uint32_t of_b[] = { retransmissions(b), b->findings[ZERO_WINDOW], b->frames };

	for (int i = 0; i < 3; i++)
		if (of_a[i] != of_b[i])
			return of_a[i] < of_b[i] ? 1 : -1;
	return memcmp(&a->key, &b->key, sizeof(a->key));
}

static bool survey_print(struct survey *survey)
{
	const char *wish = getenv("RETRANSMISSIONS_COUNT");
	uint32_t rows = wish ? strtoul(wish, NULL, 10) : 10;

	if (survey->frames && survey->unknown == survey->frames) {
		print_no_addresses("retransmissions", survey->frames, "conv,tcp");
		return false;
	}

	table_sort(&survey->conversations, compare_conversations);
	printf("%8s %8s %6s %8s %8s %8s %8s  %s\n", "Frames", "Retrans.", "Share", "Order", "Dup.ACK",
	       "ZeroWin", "KeepAl.", "Conversation");
	for (uint32_t i = 0; i < rows && i < survey->conversations.count; i++) {
		const struct conversation *row = table_at(&survey->conversations, i);
		char first[ENDPOINT_TEXT], second[ENDPOINT_TEXT];

		printf("%8u %8u %5.1f%% %8u %8u %8u %8u  %s %s\n", row->frames, retransmissions(row),
		       100.0 * retransmissions(row) / row->frames, row->findings[OUT_OF_ORDER],
		       row->findings[DUPLICATE_ACK], row->findings[ZERO_WINDOW],
		       row->findings[KEEP_ALIVE],
		       endpoint_text(&row->key.host[0], row->key.port[0], first),
		       endpoint_text(&row->key.host[1], row->key.port[1], second));
	}
	printf("\n");
	for (int i = 0; i < FINDINGS; i++)
		printf("%10llu  %s\n", survey->findings[i], kinds[i].name);
	printf("%u conversations, %llu frames, %llu of them TCP; not analysed: %llu fragments, "
	       "%llu cut short, %llu for want of memory\n", survey->conversations.count,
	       survey->frames, survey->segments, survey->fragments, survey->cut, survey->left_out);
	if (survey->unknown)
		printf("In %llu frames, the library finds no addresses.\n", survey->unknown);
	if (!fflush(stdout) && !ferror(stdout))
		return true;
	fprintf(stderr, "retransmissions: cannot write the table: %s\n", strerror(errno));
	return false;
}

BOOL WINAPI Register(PEXPERTENUMINFO info)
{
	strcpy(info->szName, "TCP Retransmissions");
	strcpy(info->szVendor, "expertmem");
	strcpy(info->szDescription,
	       "Retransmissions, duplicate ACKs, zero windows and keep-alive segments by conversation");
	info->Version = 0;
	info->Flags = 0;
	return TRUE;
}

BOOL WINAPI Run(HEXPERTKEY key, PEXPERTCONFIG config, PEXPERTSTARTUPINFO startup, DWORD flags,
		HWND window)
{
	struct survey survey = { .key = key };
	bool good = false;
	DWORD error;

	(void)config, (void)flags, (void)window;
	table_init(&survey.conversations, key, sizeof(((struct conversation *)NULL)->key),
		   sizeof(struct conversation));
	error = survey_capture(&survey, startup->hCapture);
	if (error == NMERR_SUCCESS)
		good = survey_print(&survey);
	else if (error != NMERR_EXPERT_TERMINATE)
		fprintf(stderr, "retransmissions: %s (error %u) after %llu frames\n",
			error_text(error), error, survey.frames);
	table_free(&survey.conversations);
	return good;
}
