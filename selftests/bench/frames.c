// SPDX-License-Identifier: GPL-2.0
/*
 * frames pcap|wireshark CAPTURE WHAT [PROPERTY...]: an expert that does one thing, for the measure
 * "frames" of selftests/bench/run, which counts the CPU time. The engine is that of the first word.
 * WHAT is one of these:
 *
 *	start		get the first frame
 *	bytes		get each frame in order, then ten times as many at random, and read one byte of
 *			each
 *	property	ask for the first instance of the PROPERTY in each frame
 *	attach		get each frame with its protocols and properties, and read each property's size.
 *			If there is a PROPERTY, only those that are named are attached.
 *	filter		count the frames in which the second word behind WHAT is the value of the PROPERTY
 *
 * The line that is printed has "frames", the number of frames in the capture; "found", the number of
 * what was found; "first", the milliseconds from the start of main() to the first frame; and of
 * "bytes", the seconds of CPU time of the expert for "order" and "random".
 */
#include <err.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <expertmem.h>

static HEXPERTKEY key;
static HFILTER filter;
static HFRAME frame_handle;
static LPPROPERTYTABLE table;
static DWORD nr_frames, found;
static volatile DWORD sink;	/* keeps what is read from being optimised away */

static double seconds(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec + now.tv_nsec * 1e-9;
}

static DWORD get(DWORD direction, DWORD flags, DWORD number)
{
	EXPERTFRAMEDESCRIPTOR frame;
	DWORD error = ExpertGetFrame(key, direction, flags, number, filter, &frame);

	if (error == NMERR_NO_MORE_FRAMES)
		return INVALID_FRAME_NUMBER;
	if (error)
		errx(1, "the frame behind %u: error %u", number, error);
	sink += frame.pFrame->MacFrame[0];
	frame_handle = frame.hFrame;
	table = frame.lpPropertyTable;
	return frame.FrameNumber;
}

/* Get each frame that passes the filter, and call @look unless it is NULL. */
static void walk(DWORD flags, void (*look)(HPROPERTY property), HPROPERTY property)
{
	DWORD number = INVALID_FRAME_NUMBER;

	while ((number = get(GET_FRAME_NEXT_FORWARD, flags, number)) != INVALID_FRAME_NUMBER) {
		if (look)
			look(property);
		else
			found++;
	}
}

static void at_random(void)
{
	uint64_t state = 1;

	for (DWORD i = 0; i < 10 * nr_frames; i++) {
		state = state * 6364136223846793005 + 1442695040888963407;
		get(GET_SPECIFIED_FRAME, FLAGS_NO_RECOGNIZE_DATA,
		    (DWORD)((state >> 32) * nr_frames >> 32));
	}
}

static void find(HPROPERTY property)
{
	found += FindPropertyInstance(frame_handle, property) != NULL;
}

static void read_table(HPROPERTY property)
{
	(void)property;
	for (DWORD i = 0; i < table->nTotalPropertyInsts; i++)
		sink += table->lpFirstPropertyInst[i].DataLength;
	found += table->nTotalPropertyInsts;
}

/* The handle of a property, such as of "tcp.srcport". */
static HPROPERTY property_of(const char *name)
{
	char protocol[64];
	HPROPERTY property;

	snprintf(protocol, sizeof(protocol), "%.*s", (int)strcspn(name, "."), name);
	property = GetProperty(GetProtocolFromName(protocol), (LPSTR)name);
	if (!property)
		errx(1, "%s: error %u", name, BhGetLastError());
	return property;
}

static void add(FILTEROBJECT object)
{
	DWORD error = FilterAddObject(filter, &object);

	if (error)
		errx(1, "FilterAddObject: error %u", error);
}

static void make_filter(HPROPERTY property, const char *value)
{
	filter = CreateFilter();
	add((FILTEROBJECT){ .Action = FILTERACTION_PROPERTY, .hProperty = property });
	add((FILTEROBJECT){ .Action = FILTERACTION_VALUE, .Value = strtoul(value, NULL, 10) });
	add((FILTEROBJECT){ .Action = FILTERACTION_EQUAL });
}

static void expert(const char *what, char **words)
{
	double start = seconds(CLOCK_PROCESS_CPUTIME_ID), middle;

	if (!strcmp(what, "bytes")) {
		walk(FLAGS_NO_RECOGNIZE_DATA, NULL, 0);
		middle = seconds(CLOCK_PROCESS_CPUTIME_ID);
		at_random();
		printf("order=%.6f random=%.6f ", middle - start,
		       seconds(CLOCK_PROCESS_CPUTIME_ID) - middle);
	} else if (!strcmp(what, "property")) {
		walk(FLAGS_NO_RECOGNIZE_DATA, find, property_of(words[0]));
	} else if (!strcmp(what, "attach")) {
		for (int i = 0; words[i]; i++)
			property_of(words[i]);
		walk(FLAGS_ATTACH_PROPERTIES, read_table, 0);
	} else if (!strcmp(what, "filter")) {
		make_filter(property_of(words[0]), words[1]);
		walk(FLAGS_NO_RECOGNIZE_DATA, NULL, 0);
	}
}

static void run(const char *what, char **words, double start)
{
	EXPERTSTARTUPINFO startup;
	double first;

	ExpertGetStartupInfo(key, &startup);
	nr_frames = GetCaptureTotalFrames(startup.hCapture);
	get(GET_SPECIFIED_FRAME, FLAGS_NO_RECOGNIZE_DATA, 0);
	first = seconds(CLOCK_MONOTONIC) - start;
	expert(what, words);
	printf("frames=%u found=%u first=%.3f\n", nr_frames, found, first * 1e3);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	double start = seconds(CLOCK_MONOTONIC);
	struct expertmem_capture_options options = { .engine = EXPERTMEM_ENGINE_PCAP };
	expertmem_capture *opened;
	int error, status = 1;

	if (argc < 4)
		errx(1, "usage: frames pcap|wireshark CAPTURE WHAT [PROPERTY...]");
	if (!strcmp(argv[1], "wireshark"))
		options.engine = EXPERTMEM_ENGINE_WIRESHARK;
	if (!strcmp(argv[3], "attach") && argc > 4)
		options.flags = EXPERTMEM_ASKED_PROPERTIES;
	error = expertmem_open(NULL, &key);
	if (!error)
		error = expertmem_open_capture(argv[2], &options, &opened);
	if (!error)
		error = expertmem_wait_capture(opened, -1);
	if (!error)
		error = expertmem_use_capture(key, opened);
	if (error)
		errx(1, "%s", expertmem_strerror(error));
	if (!fork()) {
		run(argv[3], argv + 4, start);
		_exit(0);
	}
	wait(&status);
	expertmem_close_capture(opened);
	expertmem_close(key);
	return status != 0;
}
