// SPDX-License-Identifier: GPL-2.0
/*
 * topusers: count the bytes that each host of a capture sends and receives.
 *
 * This expert is an example of how to write one; Network Monitor had a sample of this name. An
 * expert is a shared library with two functions, Register() and Run(). topusers follows these
 * rules:
 *
 *   - It gets frames by ExpertGetFrame(), so it reads every format that the host's engine reads, and
 *     the user's filter selects the frames. GetFrameSourceAddress() and GetFrameDestAddress() know
 *     the headers of link layers: for a tunnel they find the outer IP packet.
 *   - It allocates all memory by ExpertAllocMemory() and ExpertReallocMemory(), so that the host can
 *     limit the memory, and the kernel reclaims it after a crash. The memory grows with the number
 *     of hosts. If it reaches the limit, the expert says so and fails: sums without some of the
 *     hosts would be wrong.
 *   - Each of these calls may fail. Functions return the error code, and Run() frees all memory,
 *     after success and after failure.
 *   - It reports its progress. If a call returns NMERR_EXPERT_TERMINATE, the host asks the expert
 *     to stop: it frees all memory and returns.
 *   - It prints how many frames it cannot analyse, and returns TRUE only if its result was written.
 *
 * Bytes are those on the wire, with all headers. tshark -z endpoints,ip counts the bytes in this
 * way, too, but also counts inner packets of tunnels.
 *
 * Build it:	cc -shared -fPIC topusers.c common/{table,text,walk}.c -o topusers.so -lexpertmem
 * Run it:	expertmem run ./topusers.so traffic.pcap
 *
 * TOPUSERS_COUNT in the environment sets how many hosts are shown (10).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <Netmon.h>

#include "common/table.h"
#include "common/text.h"
#include "common/walk.h"


struct user {
	struct host host;	/* the key in the table */
	unsigned long long sent, received; /* bytes */
	unsigned long long bytes, frames; /* sent or received; a frame to itself counts once */
};

struct survey {
	struct table users;
	unsigned long long frames, bytes;
	unsigned long long not_ip, cut;	/* frames without IP addresses: complete; cut short */
	unsigned long long unknown;	/* frames in which the library finds no address at all */
};

/* Read both addresses of a frame. False: it has no IP addresses. */
static bool frame_hosts(struct survey *survey, HFRAME frame, struct host *source,
			struct host *destination)
{
	ADDRESS from, to;

	if (GetFrameSourceAddress(frame, &from, ADDRESS_TYPE_FIND_HIGHEST, 0) != NMERR_SUCCESS ||
	    GetFrameDestAddress(frame, &to, ADDRESS_TYPE_FIND_HIGHEST, 0) != NMERR_SUCCESS) {
		survey->unknown++;
		return false;
	}
	return host_of(&from, source) && host_of(&to, destination);
}

/* Count a frame. Return an error if there is no memory, or if the expert is to stop. */
static DWORD survey_frame(struct survey *survey, const EXPERTFRAMEDESCRIPTOR *frame)
{
	DWORD length = frame->pFrame->FrameLength, error = NMERR_SUCCESS;
	struct host source, destination;
	bool itself;
	struct user *user;

	survey->frames++;
	survey->bytes += length;
	if (!frame_hosts(survey, frame->hFrame, &source, &destination)) {
		if (frame->pFrame->nBytesAvail < length)
			survey->cut++;
		else
			survey->not_ip++;
		return NMERR_SUCCESS;
	}
	itself = !memcmp(&source, &destination, sizeof(source));

	user = table_add(&survey->users, &source, &error);
	if (!user)
		return error;
	user->sent += length;
	user->bytes += length;
	user->frames++;

	user = table_add(&survey->users, &destination, &error);
	if (!user)
		return error;
	user->received += length;
	user->bytes += itself ? 0 : length;
	user->frames += !itself;
	return NMERR_SUCCESS;
}

/* Count all frames that pass the user's filter. */
static DWORD survey_capture(struct survey *survey, HEXPERTKEY key, HCAPTURE capture)
{
	struct walk walk;
	DWORD error;

	walk_init(&walk, key, capture, "adding up frames");
	while ((error = walk_next(&walk)) == NMERR_SUCCESS) {
		error = survey_frame(survey, &walk.frame);
		if (error != NMERR_SUCCESS)
			return error;
	}
	return error == NMERR_NO_MORE_FRAMES ? NMERR_SUCCESS : error;
}

/* Sort by bytes, the most first; hosts with equal bytes by address. */
static int compare_users(const void *left, const void *right)
{
	const struct user *a = left, *b = right;

	if (a->bytes != b->bytes)
		return a->bytes < b->bytes ? 1 : -1;
	return memcmp(&a->host, &b->host, sizeof(a->host));
}

/* Print the table, and the number of frames that it lacks. Return whether all was written. */
static bool survey_print(struct survey *survey)
{
	const char *wish = getenv("TOPUSERS_COUNT");
	uint32_t rows = wish ? strtoul(wish, NULL, 10) : 10;

	if (survey->frames && survey->unknown == survey->frames) {
		print_no_addresses("topusers", survey->frames, "endpoints,ip");
		return false;
	}

	table_sort(&survey->users, compare_users);
	printf("%-39s %11s %11s %9s %6s\n", "Host", "Sent", "Received", "Frames", "Share");
	for (uint32_t i = 0; i < rows && i < survey->users.count; i++) {
		const struct user *user = table_at(&survey->users, i);
		char name[HOST_TEXT];

		printf("%-39s %11llu %11llu %9llu %5.1f%%\n", host_text(&user->host, name),
		       user->sent, user->received, user->frames,
		       survey->bytes ? 100.0 * user->bytes / survey->bytes : 0);
	}
	printf("%u hosts, %llu frames, %llu bytes; %llu frames without IP addresses, %llu of them "
	       "cut short\n", survey->users.count, survey->frames, survey->bytes,
	       survey->not_ip + survey->cut, survey->cut);
	if (!fflush(stdout) && !ferror(stdout))
		return true;
	fprintf(stderr, "topusers: cannot write the table: %s\n", strerror(errno));
	return false;
}

/* The host calls Register() before Run(), and when it lists experts. */
BOOL WINAPI Register(PEXPERTENUMINFO info)
{
	strcpy(info->szName, "Top Users");
	strcpy(info->szVendor, "expertmem");
	strcpy(info->szDescription, "Hosts by the bytes and frames that they sent and received");
	info->Version = 0;
	info->Flags = EXPERT_ENUM_FLAG_NO_VIEWER;	/* it raises no events */
	return TRUE;
}

BOOL WINAPI Run(HEXPERTKEY key, PEXPERTCONFIG config, PEXPERTSTARTUPINFO startup, DWORD flags,
		HWND window)
{
	struct survey survey = { .frames = 0 };
	bool good = false;
	DWORD error;

	(void)config, (void)flags, (void)window;
	table_init(&survey.users, key, sizeof(struct host), sizeof(struct user));
	error = survey_capture(&survey, key, startup->hCapture);
	if (error == NMERR_SUCCESS)
		good = survey_print(&survey);
	else if (error != NMERR_EXPERT_TERMINATE)
		fprintf(stderr, "topusers: %s (error %u) after %llu frames and %u hosts\n",
			error_text(error), error, survey.frames, survey.users.count);
	table_free(&survey.users);
	return good;
}
