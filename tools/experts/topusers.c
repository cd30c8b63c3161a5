// SPDX-License-Identifier: GPL-2.0
/*
 * topusers: count the bytes that each host of a capture sends and receives.
 *
 * This expert is an example of how to write one; Network Monitor had a sample of this name. An
 * expert is a shared library with two functions, Register() and Run(). topusers follows these
 * rules:
 *
 *   - It allocates all memory by ExpertAllocMemory() and ExpertReallocMemory(), so that the host can
 *     limit the memory, and the kernel reclaims it after a crash.
 *   - Each of these calls may fail. Functions return the error code, and one function frees
 *     everything, after success and after failure.
 *   - It reports its progress. If that call returns NMERR_EXPERT_TERMINATE, the user wants the expert
 *     to stop: free everything and return.
 *   - It checks each length in the capture, which may come from an attacker.
 *   - It prints which frames it cannot analyse, and returns TRUE only if its result was written.
 *
 * It reads captures with Wireshark's file library (common/capture.c), and finds the
 * outermost IP packet behind the headers of link layers (common/link.c).
 *
 * Build it:	cc -shared -fPIC topusers.c common/capture.c common/link.c -o topusers.so \
 *		   -I/usr/include/wireshark $(pkg-config --cflags --libs glib-2.0) \
 *		   -lexpertmem -lwiretap -lwsutil
 * Run it:	expertmem run ./topusers.so traffic.pcap
 *
 * TOPUSERS_COUNT in the environment sets how many hosts are shown (10).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <Netmon.h>

#include "common/capture.h"

#define FRAMES_PER_STATUS 1024	/* report the progress after this number of frames */

struct host {
	struct in6_addr address;	/* an IPv4 host as ::ffff:a.b.c.d */
	unsigned long long sent, received; /* bytes */
	unsigned long long bytes, frames; /* sent or received; a frame to itself counts once */
};

/*
 * The hosts in the order in which they were found, and a hash table of them. A slot has the
 * index of a host plus one, or 0 if it is free. At least half of the slots are free.
 */
struct survey {
	HEXPERTKEY key;
	struct host *hosts;
	uint32_t count, room;
	uint32_t *slots;
	uint32_t slot_count;		/* a power of two */
	uint64_t seed[2];
	unsigned long long frames, bytes;
	unsigned long long not_ip, cut, malformed; /* frames without addresses, and why */
	unsigned long long unknown;	/* frames of link types that link.c cannot walk */
	const char *unknown_type;	/* name of the first of them */
};

/* The seed is random, so that no capture can be made whose hosts all hash to one slot. */
static uint32_t first_slot(const struct survey *survey, const struct in6_addr *address)
{
	uint64_t half[2], hash;

	memcpy(half, address, sizeof(half));
	hash = (half[0] ^ survey->seed[0]) * 0x9e3779b97f4a7c15;
	hash = (hash ^ hash >> 32 ^ half[1] ^ survey->seed[1]) * 0xd6e8feb86659fd93;
	return (hash ^ hash >> 32) & (survey->slot_count - 1);
}

/* Return the slot of this host, or the free slot for it. */
static uint32_t *find_slot(const struct survey *survey, const struct in6_addr *address)
{
	uint32_t i = first_slot(survey, address);

	/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): there are slots from the first host on */
	while (survey->slots[i] &&
	       memcmp(&survey->hosts[survey->slots[i] - 1].address, address, sizeof(*address)))
		i = (i + 1) & (survey->slot_count - 1);
	return &survey->slots[i];
}

/*
 * Double the room for hosts. ExpertReallocMemory() of NULL allocates a block. If it fails, the old
 * block is unchanged, and survey_free() frees it.
 */
static DWORD survey_grow(struct survey *survey)
{
	uint32_t room = survey->room ? 2 * survey->room : 256;
	uint32_t slot_count = 2 * room;
	uint32_t *slots;
	struct host *hosts;
	DWORD error;

	if (slot_count < room)
		return NMERR_OUT_OF_MEMORY;
	hosts = ExpertReallocMemory(survey->key, survey->hosts, room * sizeof(*hosts), &error);
	if (!hosts)
		return error;
	survey->hosts = hosts;

	slots = ExpertReallocMemory(survey->key, survey->slots, slot_count * sizeof(*slots),
				    &error);
	if (!slots)
		return error;
	survey->slots = slots;
	survey->room = room;
	survey->slot_count = slot_count;

	memset(slots, 0, slot_count * sizeof(*slots));
	for (uint32_t i = 0; i < survey->count; i++)
		*find_slot(survey, &hosts[i].address) = i + 1;
	return NMERR_SUCCESS;
}

/* Find the index of a host; add the host if it is new. */
static DWORD survey_host(struct survey *survey, const struct in6_addr *address, uint32_t *number)
{
	uint32_t *slot = survey->slots ? find_slot(survey, address) : NULL;

	if (!slot || !*slot) {
		if (survey->count == survey->room) {
			DWORD error = survey_grow(survey);

			if (error != NMERR_SUCCESS)
				return error;
			slot = find_slot(survey, address);
		}
		survey->hosts[survey->count] = (struct host){ .address = *address };
		/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): there are slots from the first host on */
		*slot = ++survey->count;
	}
	*number = *slot - 1;
	return NMERR_SUCCESS;
}

static void survey_free(struct survey *survey)
{
	/* freeing NULL does nothing; freeing works also after NMERR_EXPERT_TERMINATE */
	ExpertFreeMemory(survey->key, survey->slots);
	ExpertFreeMemory(survey->key, survey->hosts);
}

/* Read the addresses from the header of an IP packet. */
static bool read_addresses(const struct rest *packet, bool ipv4, struct in6_addr *source,
			   struct in6_addr *destination)
{
	const unsigned char *header = packet->bytes;

	if (ipv4) {
		if (header[0] >> 4 != 4 || (header[0] & 0xf) < 5)
			return false;
		*source = *destination = (struct in6_addr){ .s6_addr = { [10] = 0xff, 0xff } };
		memcpy(&source->s6_addr[12], header + 12, 4);
		memcpy(&destination->s6_addr[12], header + 16, 4);
	} else {
		if (header[0] >> 4 != 6)
			return false;
		memcpy(source, header + 8, 16);
		memcpy(destination, header + 24, 16);
	}
	return true;
}

/* Read both addresses of a frame, or count the reason why it has none. */
static bool frame_addresses(struct survey *survey, const struct frame *frame,
			    struct in6_addr *source, struct in6_addr *destination)
{
	struct rest packet = frame->data;
	enum layer layer = walk_to_ip(frame->first, &packet);

	if (layer == LAYER_UNKNOWN) {
		if (!survey->unknown++)
			survey->unknown_type = frame->link_type;
	} else if (layer == LAYER_NOT_IP) {
		survey->not_ip++;
	} else if (layer == LAYER_CUT || packet.length < (layer == LAYER_IPV4 ? 20 : 40)) {
		survey->cut++;
	} else if (!read_addresses(&packet, layer == LAYER_IPV4, source, destination)) {
		survey->malformed++;
	} else {
		return true;
	}
	return false;
}

/* Count a frame. Return an error if there is no memory, or if the expert is to stop. */
static DWORD survey_frame(struct survey *survey, const struct frame *frame)
{
	struct in6_addr source, destination;
	uint32_t from, to;
	DWORD error;

	survey->frames++;
	survey->bytes += frame->length;
	if (!frame_addresses(survey, frame, &source, &destination))
		return NMERR_SUCCESS;

	error = survey_host(survey, &source, &from);
	if (error == NMERR_SUCCESS)
		error = survey_host(survey, &destination, &to);
	if (error != NMERR_SUCCESS)
		return error;
	survey->hosts[from].sent += frame->length;
	survey->hosts[from].bytes += frame->length;
	survey->hosts[from].frames++;
	survey->hosts[to].received += frame->length;
	if (from != to) {
		survey->hosts[to].bytes += frame->length;
		survey->hosts[to].frames++;
	}
	return NMERR_SUCCESS;
}

/* Sort by bytes, the most first; hosts with equal bytes by address. */
static int compare_hosts(const void *left, const void *right)
{
	const struct host *a = left, *b = right;

	if (a->bytes != b->bytes)
		return a->bytes < b->bytes ? 1 : -1;
	return memcmp(&a->address, &b->address, sizeof(a->address));
}

static void survey_print(struct survey *survey)
{
	const char *wish = getenv("TOPUSERS_COUNT");
	uint32_t rows = wish ? strtoul(wish, NULL, 10) : 10;

	/* sorting changes the indices, so the slots become invalid */
	if (survey->count)
		qsort(survey->hosts, survey->count, sizeof(*survey->hosts), compare_hosts);

	printf("%-39s %11s %11s %9s %6s\n", "Host", "Sent", "Received", "Frames", "Share");
	for (uint32_t i = 0; i < rows && i < survey->count; i++) {
		const struct host *host = &survey->hosts[i];
		char name[INET6_ADDRSTRLEN];

		if (IN6_IS_ADDR_V4MAPPED(&host->address))
			inet_ntop(AF_INET, &host->address.s6_addr[12], name, sizeof(name));
		else
			inet_ntop(AF_INET6, &host->address, name, sizeof(name));
		printf("%-39s %11llu %11llu %9llu %5.1f%%\n", name, host->sent, host->received,
		       host->frames, survey->bytes ? 100.0 * host->bytes / survey->bytes : 0);
	}
	printf("%u hosts, %llu frames, %llu bytes; %llu frames not IP, %llu cut short, "
	       "%llu malformed\n", survey->count, survey->frames, survey->bytes,
	       survey->not_ip, survey->cut, survey->malformed);
}

/* Print the table and the frames that are missing in it. Return whether it was written. */
static bool survey_report(struct survey *survey, const struct capture *capture)
{
	if (survey->unknown)
		fprintf(stderr,
			"topusers: %llu of %llu frames are left out: %s is none of the link types that\n"
			"topusers knows (Ethernet, Linux cooked, loopback, PPP, PPPoE, Cisco HDLC, raw IP);\n"
			"for all link types: expertmem run -- tshark -r CAPTURE -q -z endpoints,ip\n",
			survey->unknown, survey->frames, survey->unknown_type);
	if (*capture->error)
		fprintf(stderr, "topusers: the capture cannot be read beyond %llu frames: %s\n",
			survey->frames, capture->error);
	/* an empty table would look like a result */
	if (survey->unknown == survey->frames && (survey->unknown || *capture->error))
		return false;

	survey_print(survey);
	if (fflush(stdout) || ferror(stdout)) {
		fprintf(stderr, "topusers: cannot write the table: %s\n", strerror(errno));
		return false;
	}
	return !*capture->error;
}

/* The host calls it before Run(), and to list experts. */
BOOL WINAPI Register(PEXPERTENUMINFO info)
{
	strcpy(info->szName, "Top Users");
	strcpy(info->szVendor, "expertmem");
	strcpy(info->szDescription, "Hosts by the bytes and frames that they sent and received");
	info->Version = 1;
	info->Flags = 0;	/* nothing to configure */
	return TRUE;
}

BOOL WINAPI Run(HEXPERTKEY key, PEXPERTCONFIG config, PEXPERTSTARTUPINFO startup, DWORD flags,
		HWND window)
{
	struct survey survey = { .key = key };
	struct capture capture;
	struct frame frame;
	DWORD error = NMERR_SUCCESS;
	bool good = false;

	(void)config, (void)flags, (void)window;
	if (!capture_open(&capture, startup->szCaptureFile)) {
		fprintf(stderr, "topusers: cannot read the capture '%s': %s\n",
			startup->szCaptureFile, capture.error);
		return FALSE;
	}
	if (getrandom(survey.seed, sizeof(survey.seed), 0) < 0) {
		fprintf(stderr, "topusers: the kernel gives no random numbers: %s\n", strerror(errno));
		capture_close(&capture);
		return FALSE;
	}

	while (capture_next(&capture, &frame)) {
		if (survey.frames % FRAMES_PER_STATUS == 0)
			error = ExpertIndicateStatus(key, EXPERTSTATUS_RUNNING, 0, "reading frames",
						     capture_percent(&capture));
		if (error == NMERR_SUCCESS)
			error = survey_frame(&survey, &frame);
		if (error != NMERR_SUCCESS)
			break;
	}

	if (error == NMERR_SUCCESS)
		good = survey_report(&survey, &capture);
	else if (error != NMERR_EXPERT_TERMINATE)
		fprintf(stderr, "topusers: %s (error %u) after %llu frames and %u hosts\n",
			error == NMERR_OUT_OF_MEMORY ? "out of memory" : "stopped", error,
			survey.frames, survey.count);

	survey_free(&survey);
	capture_close(&capture);
	return good;
}
