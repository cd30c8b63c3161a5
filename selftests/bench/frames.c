// SPDX-License-Identifier: GPL-2.0
/*
 * frames CAPTURE [ENGINE]: measure how many frames an expert gets in a second of its CPU time. Each
 * line has a name, the number of frames, and the seconds of CPU:
 *
 *	order	each frame in order, one byte of each read
 *	random	as many frames at random, one byte of each read
 *	length	GetFrameLength() of each frame
 *	address	GetFrameSourceAddress() of each frame
 *
 * All run ten times, and the fastest run counts.
 */
#include <err.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <expertmem.h>

#define ROUNDS	10

static HEXPERTKEY key;
static HCAPTURE capture;
static DWORD nr_frames;
static volatile DWORD sink;	/* keeps what is read from being optimised away */

static DWORD get(DWORD direction, DWORD number)
{
	EXPERTFRAMEDESCRIPTOR frame;
	DWORD error = ExpertGetFrame(key, direction, 0, number, NULL, &frame);

	if (error)
		errx(1, "frame %u: error %u", number, error);
	sink += frame.pFrame->MacFrame[0];
	return frame.FrameNumber;
}

static void in_order(void)
{
	DWORD number = INVALID_FRAME_NUMBER, i;

	for (i = 0; i < nr_frames; i++)
		number = get(GET_FRAME_NEXT_FORWARD, number);
}

static void at_random(void)
{
	uint64_t state = 1;
	DWORD i;

	for (i = 0; i < nr_frames; i++) {
		state = state * 6364136223846793005 + 1442695040888963407;
		get(GET_SPECIFIED_FRAME, (DWORD)((state >> 32) * nr_frames >> 32));
	}
}

static void lengths(void)
{
	for (DWORD i = 0; i < nr_frames; i++)
		sink += GetFrameLength(GetFrame(capture, i));
}

static void addresses(void)
{
	ADDRESS2 address;

	for (DWORD i = 0; i < nr_frames; i++)
		sink += GetFrameSourceAddress(GetFrame(capture, i), &address,
					      ADDRESS_TYPE_FIND_HIGHEST, 0);
}

static double cpu_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return now.tv_sec + now.tv_nsec * 1e-9;
}

static void measure(const char *name, void (*run)(void))
{
	double best = 0;

	for (int i = 0; i < ROUNDS; i++) {
		double start = cpu_seconds(), took;

		run();
		took = cpu_seconds() - start;
		if (!i || took < best)
			best = took;
	}
	printf("%s %u %.6f\n", name, nr_frames, best);
}

static void expert(void)
{
	EXPERTSTARTUPINFO startup;

	ExpertGetStartupInfo(key, &startup);
	capture = startup.hCapture;
	nr_frames = GetCaptureTotalFrames(capture);
	measure("order", in_order);
	measure("random", at_random);
	measure("length", lengths);
	measure("address", addresses);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	struct expertmem_capture_options options = {
		.flags = EXPERTMEM_NO_RECOGNIZE,
		.engine = argc > 2 && !strcmp(argv[2], "wireshark") ?
			  EXPERTMEM_ENGINE_WIRESHARK : EXPERTMEM_ENGINE_PCAP,
	};
	expertmem_capture *opened;
	int error, status = 1;

	if (argc < 2)
		errx(1, "usage: frames CAPTURE [pcap|wireshark]");
	error = expertmem_open(NULL, &key);
	if (!error)
		error = expertmem_open_capture(argv[1], &options, &opened);
	if (!error)
		error = expertmem_wait_capture(opened, -1);
	if (!error)
		error = expertmem_use_capture(key, opened);
	if (error)
		errx(1, "%s", expertmem_strerror(error));
	if (!fork()) {
		expert();
		_exit(0);
	}
	wait(&status);
	expertmem_close_capture(opened);
	expertmem_close(key);
	return status != 0;
}
