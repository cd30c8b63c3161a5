// SPDX-License-Identifier: GPL-2.0-or-later
/* The operations of expertmem-engine-pcap: filters in libpcap's language. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pcap/pcap.h>
#include <wiretap/pcap-encap.h>
#include <ws_version.h>

#include <Netmon.h>

#include "engine.h"

#define LINK_DIFFERENT	0xffff	/* of a capture: link types differ; of a frame: it is unknown */
#define TYPES_MAX	64	/* most link types in a capture that filters are compiled for */
#define SNAPLEN		262144	/* bytes of a frame, for pcap_open_dead(); tcpdump's default */

/**
 * struct filter - a filter, compiled for each link type of the capture
 * @nr_programs: number of programs
 * @programs: a program and its link type
 */
struct filter {
	unsigned int nr_programs;
	struct {
		uint16_t link_type;
		struct bpf_program program;
	} programs[];
};

static struct frames frames;
static uint16_t types[TYPES_MAX];	/* link types of the capture */
static unsigned int nr_types;

static bool init(char software[static 128], char error[static 1024])
{
	(void)error;
	lookup_init();
	snprintf(software, 128, "Wireshark's file library %d.%d.%d, %s", WIRESHARK_VERSION_MAJOR,
		 WIRESHARK_VERSION_MINOR, WIRESHARK_VERSION_MICRO, pcap_lib_version());
	return true;
}

static void add_type(uint16_t type)
{
	for (unsigned int i = 0; i < nr_types; i++)
		if (types[i] == type)
			return;
	if (nr_types < TYPES_MAX)
		types[nr_types++] = type;
}

static void loaded(const struct frames *all)
{
	uint16_t latest = LINK_DIFFERENT;

	frames = *all;
	if (frames.link_type != LINK_DIFFERENT) {
		add_type(frames.link_type);
		return;
	}
	for (uint32_t i = 0; i < frames.count; i++) {
		uint16_t type = (uint16_t)(frames.index[i] >> 48);

		if (type != latest)
			add_type(type);
		latest = type;
	}
}

/*
 * The DLT_ number, which libpcap's functions take, of a LINKTYPE_ number, which files have. They
 * differ where operating systems define DLT_ numbers differently.
 */
static int dlt_of(uint16_t type)
{
	switch (type) {
	case 100:
		return DLT_ATM_RFC1483;
	case 101:
		return DLT_RAW;
	case 102:
		return DLT_SLIP_BSDOS;
	case 103:
		return DLT_PPP_BSDOS;
	case 106:
		return DLT_ATM_CLIP;
	default:
		return type;
	}
}

enum outcome { COMPILED, NO_FRAME, WRONG };

/* Compile a filter for a link type. NO_FRAME: no frame of this type can pass it. */
static enum outcome compile_for(const char *text, uint16_t type, struct bpf_program *program,
				char error[static 484])
{
	const char *name = pcap_datalink_val_to_name(dlt_of(type));
	enum outcome outcome = COMPILED;
	pcap_t *pcap;

	if (type == LINK_DIFFERENT) {
		snprintf(error, 484,
			 "libpcap has no number for the link type of some frames; use the Wireshark engine and a display filter");
		return WRONG;
	}
	/* Wireshark's file library removes the pseudo-header from the frame's bytes. */
	if (wtap_encap_requires_phdr(wtap_pcap_encap_to_wtap_encap(type))) {
		snprintf(error, 484,
			 "frames of link type %s have no pseudo-header here, which libpcap needs; use the Wireshark engine and a display filter",
			 name ? name : "unknown");
		return WRONG;
	}
	pcap = pcap_open_dead(dlt_of(type), SNAPLEN);
	if (!pcap) {
		snprintf(error, 484, "out of memory");
		return WRONG;
	}
	if (pcap_compile(pcap, program, text, 1, PCAP_NETMASK_UNKNOWN)) {
		outcome = strstr(pcap_geterr(pcap), "rejects all packets") ? NO_FRAME : WRONG;
		snprintf(error, 484, "%s (link type %s)", pcap_geterr(pcap),
			 name ? name : "unknown");
	}
	pcap_close(pcap);
	return outcome;
}

static void drop(void *compiled)
{
	struct filter *filter = compiled;

	for (unsigned int i = 0; i < filter->nr_programs; i++)
		pcap_freecode(&filter->programs[i].program);
	free(filter);
}

static uint32_t compile(const char *text, uint16_t link_type, void **compiled,
			char error[static 484])
{
	const uint16_t *list = link_type == LINK_DIFFERENT && nr_types ? types : &link_type;
	unsigned int count = list == types ? nr_types : 1;
	struct filter *filter = calloc(1, sizeof(*filter) + count * sizeof(filter->programs[0]));

	if (!filter) {
		snprintf(error, 484, "out of memory");
		return NMERR_OUT_OF_MEMORY;
	}
	for (unsigned int i = 0; i < count; i++) {
		unsigned int n = filter->nr_programs;
		enum outcome outcome = compile_for(text, list[i], &filter->programs[n].program,
						   error);

		if (outcome == WRONG || (outcome == NO_FRAME && count == 1)) {
			drop(filter);
			return NMERR_FILTER_INVALID_EXPRESSION;
		}
		if (outcome == NO_FRAME)
			continue;
		filter->programs[n].link_type = list[i];
		filter->nr_programs++;
	}
	*error = '\0';
	*compiled = filter;
	return NMERR_SUCCESS;
}

static bool passes(void *compiled, uint32_t number)
{
	const struct filter *filter = compiled;
	uint64_t entry = frames.index[number];
	const FRAME *frame = (const FRAME *)(frames.data + (entry & 0xffffffffffff));
	struct pcap_pkthdr header = {
		.caplen = frame->nBytesAvail,
		.len = frame->FrameLength,
	};

	for (unsigned int i = 0; i < filter->nr_programs; i++)
		if (filter->programs[i].link_type == entry >> 48)
			return pcap_offline_filter(&filter->programs[i].program, &header,
						   frame->MacFrame);
	return false;
}

const struct engine_ops engine_ops = {
	.kind		= ENGINE_PCAP,
	.init		= init,
	.loaded		= loaded,
	.compile	= compile,
	.drop		= drop,
	.passes		= passes,
};
