// SPDX-License-Identifier: GPL-2.0
/*
 * topusers: which hosts send and receive most?
 *
 * Network Monitor's classic sample, re-imagined, and the example of how to write an
 * expert. An expert is a shared library with two functions, Register() and Run().
 * What makes it a good one:
 *
 *   - All its memory comes from ExpertAllocMemory() and its sisters, so that the host
 *     can limit it, and has it back whatever happens to the expert.
 *   - Any of these calls may fail: the reason is passed up, and one place frees
 *     everything, at a good end or a bad one.
 *   - It tells its progress, and so learns that the user wants it to stop:
 *     NMERR_EXPERT_TERMINATE means clean up and return at once.
 *   - A capture is written by strangers: no length in it is believed unchecked.
 *
 * Build it:	cc -shared -fPIC topusers.c -o topusers.so -lexpertmem -lpcap
 * Run it:	expertmem run ./topusers.so traffic.pcap
 *
 * TOPUSERS_COUNT in the environment sets how many hosts are shown (10).
 */
#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <Netmon.h>
#include <pcap/pcap.h>

#define FRAMES_PER_STATUS 1024	/* often for a human, rarely for a loop */

enum { ETHER_IPV4 = 0x0800, ETHER_IPV6 = 0x86dd };

struct host {
	struct in6_addr address;	/* an IPv4 host as ::ffff:a.b.c.d */
	unsigned long long sent, received; /* bytes */
	unsigned long long bytes, frames; /* that it took part in; to itself counts once */
};

/*
 * The hosts seen, in the order they came in, and a hash table to find them: slots hold
 * the host's number plus one, 0 is free. At least half of the slots are free.
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
};

/* Seeded, so that nobody can make a capture whose hosts all fall into one slot. */
static uint32_t first_slot(const struct survey *survey, const struct in6_addr *address)
{
	uint64_t half[2], hash;

	memcpy(half, address, sizeof(half));
	hash = (half[0] ^ survey->seed[0]) * 0x9e3779b97f4a7c15;
	hash = (hash ^ hash >> 32 ^ half[1] ^ survey->seed[1]) * 0xd6e8feb86659fd93;
	return (hash ^ hash >> 32) & (survey->slot_count - 1);
}

/* The slot of this host, or the free one where it belongs. */
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
 * Make room for twice the hosts. ExpertReallocMemory() makes a first block from NULL;
 * where it fails the old block is still ours, and survey_free() will see to it.
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

/* The number of this host, new ones included. */
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
	/* NULL is fine to free; asked to terminate or not, the blocks are freed. */
	ExpertFreeMemory(survey->key, survey->slots);
	ExpertFreeMemory(survey->key, survey->hosts);
}

/*
 * Step over the link layer's header. Return how long it is, or -1 if the frame ends
 * within it; @type is ETHER_IPV4, ETHER_IPV6, or anything else.
 */
static int link_header(int link_type, const u_char *frame, unsigned int captured,
		       unsigned int *type)
{
	unsigned int at, length;	/* of the type, of the header */

	switch (link_type) {
	case DLT_EN10MB:
		at = 12, length = 14;
		break;
	case DLT_LINUX_SLL:
		at = 14, length = 16;
		break;
	case DLT_LINUX_SLL2:
		at = 0, length = 20;
		break;
	case DLT_NULL: case DLT_LOOP:
		/* The system's own AF_INET or AF_INET6, in its own byte order. */
		if (captured < 4)
			return -1;
		at = frame[0] ? frame[0] : frame[3];
		*type = at == 2 ? ETHER_IPV4 :
			at == 10 || at == 24 || at == 28 || at == 30 ? ETHER_IPV6 : 0;
		return 4;
	default: /* raw: the packet itself says what it is */
		if (captured < 1)
			return -1;
		*type = frame[0] >> 4 == 4 ? ETHER_IPV4 : frame[0] >> 4 == 6 ? ETHER_IPV6 : 0;
		return 0;
	}

	if (captured < length)
		return -1;
	*type = frame[at] << 8 | frame[at + 1];
	/* VLAN tags, each with the next type at its end */
	while (*type == 0x8100 || *type == 0x88a8 || *type == 0x9100) {
		if (captured < length + 4)
			return -1;
		*type = frame[length + 2] << 8 | frame[length + 3];
		length += 4;
	}
	return length;
}

/* Count a frame. Fails only for want of memory, or when told to terminate. */
static DWORD survey_frame(struct survey *survey, int link_type,
			  const struct pcap_pkthdr *header, const u_char *frame)
{
	struct in6_addr source, destination;
	unsigned int type, captured = header->caplen;
	int skip = link_header(link_type, frame, captured, &type);
	uint32_t from, to;
	DWORD error;

	survey->frames++;
	survey->bytes += header->len;
	if (skip >= 0 && type != ETHER_IPV4 && type != ETHER_IPV6) {
		survey->not_ip++;
		return NMERR_SUCCESS;
	}
	if (skip < 0 || captured < skip + (type == ETHER_IPV4 ? 20u : 40u)) {
		survey->cut++;
		return NMERR_SUCCESS;
	}
	frame += skip;
	if (type == ETHER_IPV4 ? frame[0] >> 4 != 4 || (frame[0] & 0xf) < 5 : frame[0] >> 4 != 6) {
		survey->malformed++;
		return NMERR_SUCCESS;
	}
	if (type == ETHER_IPV4) {
		source = destination = (struct in6_addr){ .s6_addr = { [10] = 0xff, 0xff } };
		memcpy(&source.s6_addr[12], frame + 12, 4);
		memcpy(&destination.s6_addr[12], frame + 16, 4);
	} else {
		memcpy(&source, frame + 8, 16);
		memcpy(&destination, frame + 24, 16);
	}

	error = survey_host(survey, &source, &from);
	if (error == NMERR_SUCCESS)
		error = survey_host(survey, &destination, &to);
	if (error != NMERR_SUCCESS)
		return error;
	survey->hosts[from].sent += header->len;
	survey->hosts[from].bytes += header->len;
	survey->hosts[from].frames++;
	survey->hosts[to].received += header->len;
	if (from != to) {
		survey->hosts[to].bytes += header->len;
		survey->hosts[to].frames++;
	}
	return NMERR_SUCCESS;
}

/* Most bytes first; hosts with the same in the order of their addresses. */
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

	/* The slots are of no use any more once the order changes. */
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

/* How far we are in the file, 0 to 99: the host itself says 100 when Run() returns. */
static LONG percent_done(FILE *file)
{
	struct stat stat_buf;
	off_t at = ftello(file);

	/* a pipe has no size */
	if (at < 0 || fstat(fileno(file), &stat_buf) || stat_buf.st_size <= 0)
		return 0;
	return at < stat_buf.st_size ? 99 * at / stat_buf.st_size : 99;
}

/* Called before Run(), and whenever a host looks which experts there are. */
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
	char why[PCAP_ERRBUF_SIZE];
	struct pcap_pkthdr *header;
	const u_char *frame;
	DWORD error = NMERR_SUCCESS;
	int link_type, result;
	pcap_t *capture;

	(void)config, (void)flags, (void)window;
	capture = pcap_open_offline(startup->szCaptureFile, why);
	if (!capture) {
		fprintf(stderr, "topusers: cannot read the capture: %s\n", why);
		return FALSE;
	}
	link_type = pcap_datalink(capture);
	switch (link_type) {
	case DLT_EN10MB: case DLT_LINUX_SLL: case DLT_LINUX_SLL2: case DLT_NULL:
	case DLT_LOOP: case DLT_RAW: case DLT_IPV4: case DLT_IPV6:
		break;
	default:
		fprintf(stderr, "topusers: cannot read link type %s (%d); it reads Ethernet,\n"
			"Linux cooked (SLL, SLL2), loopback and raw IP\n",
			pcap_datalink_val_to_description_or_dlt(link_type), link_type);
		pcap_close(capture);
		return FALSE;
	}
	getrandom(survey.seed, sizeof(survey.seed), 0);

	while ((result = pcap_next_ex(capture, &header, &frame)) == 1) {
		if (survey.frames % FRAMES_PER_STATUS == 0)
			error = ExpertIndicateStatus(key, EXPERTSTATUS_RUNNING, 0, "reading frames",
						     percent_done(pcap_file(capture)));
		if (error == NMERR_SUCCESS)
			error = survey_frame(&survey, link_type, header, frame);
		if (error != NMERR_SUCCESS)
			break;
	}

	if (error == NMERR_SUCCESS)
		survey_print(&survey);
	else if (error != NMERR_EXPERT_TERMINATE)
		fprintf(stderr, "topusers: %s (error %u) after %llu frames and %u hosts\n",
			error == NMERR_OUT_OF_MEMORY ? "out of memory" : "stopped", error,
			survey.frames, survey.count);
	if (result == PCAP_ERROR)
		fprintf(stderr, "topusers: the capture is damaged after %llu frames: %s\n",
			survey.frames, pcap_geterr(capture));

	survey_free(&survey);
	pcap_close(capture);
	return error == NMERR_SUCCESS && result == PCAP_ERROR_BREAK && !fflush(stdout);
}
