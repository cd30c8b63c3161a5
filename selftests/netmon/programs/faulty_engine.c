// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Operations of an engine for tests: its dissector does what a frame says. The supervisor, worker
 * and sandbox are those of the real engines.
 *
 *	CRASH	write to address 0
 *	ABORT	abort(), as GLib does when memory is exhausted
 *	SPIN	never end
 *	SLOW	take 50 ms
 *	SOCKET	make a system call that the sandbox forbids
 *	OPEN	open a file, which fails
 *	EXEC	map executable memory
 *	WRITE	write to the frames by a descriptor that was kept from the load
 *	LIE	end with the claim that the request is done
 *	EAT	allocate 1 MiB that is never freed
 *
 * A filter with one of these words does so when it is compiled. The filter APPLY crashes when it is
 * applied to a frame. Any other filter passes the frames that contain its text.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <Netmon.h>

#include "../../../tools/engine/worker.h"

static struct frames frames;
static uint64_t dissected;

static int kept = -1;		/* a duplicate of FD_FRAMES_WRITE */
static bool mapped;		/* the frames could be mapped for writing */

static bool init(char software[static 128], char error[static 1024])
{
	(void)error;
	if (fcntl(FD_FRAMES_WRITE, F_GETFD) >= 0) {
		mapped = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, FD_FRAMES_WRITE, 0) !=
			 MAP_FAILED;
		kept = dup(FD_FRAMES_WRITE);
	}
	snprintf(software, 128, "faulty engine");
	return true;
}

static void loaded(const struct frames *all)
{
	frames = *all;
	dissected = all->begin;
}

static bool has(const void *bytes, size_t size, const char *word)
{
	return memmem(bytes, size, word, strlen(word));
}

static void lie(void)
{
	struct desk *desk = mmap(NULL, sizeof(*desk), PROT_READ | PROT_WRITE, MAP_SHARED, FD_DESK, 0);

	if (desk == MAP_FAILED)
		abort();
	desk->done = 1;
	desk->activity = ACTIVITY_IDLE;
	_exit(EXIT_ENDED);
}

/* The sandbox forbids nanosleep(). */
static void wait_50_ms(void)
{
	struct timespec begin, now;

	clock_gettime(CLOCK_MONOTONIC, &begin);
	do
		clock_gettime(CLOCK_MONOTONIC, &now);
	while ((now.tv_sec - begin.tv_sec) * 1000 + (now.tv_nsec - begin.tv_nsec) / 1000000 < 50);
}

/* The sandbox allows pwrite() to FD_FRAMES_WRITE, so a duplicate has to get that number first. */
static uint32_t write_frames(void)
{
	char byte = 0;
	int fd;

	do
		fd = dup(kept);
	while (fd >= 0 && fd < FD_FRAMES_WRITE);
	if (mapped || fd != FD_FRAMES_WRITE || pwrite(fd, &byte, 1, 0) == 1)
		return NMERR_ACCESS_DENIED;
	return errno == EPERM || errno == EFBIG ? NMERR_SUCCESS : NMERR_ACCESS_DENIED;
}

/* Do what @bytes say. Returns an NMERR_ code that tells the test that the sandbox holds. */
static uint32_t obey(const void *bytes, size_t size)
{
	volatile int *nowhere = NULL;
	void *eaten;

	if (has(bytes, size, "CRASH"))
		*nowhere = 1;
	if (has(bytes, size, "ABORT"))
		abort();
	while (has(bytes, size, "SPIN"))
		;
	if (has(bytes, size, "LIE"))
		lie();
	if (has(bytes, size, "SLOW"))
		wait_50_ms();
	if (has(bytes, size, "SOCKET"))
		return socket(AF_UNIX, SOCK_STREAM, 0) < 0 ? NMERR_SUCCESS : NMERR_ACCESS_DENIED;
	if (has(bytes, size, "OPEN"))
		return open("/etc/passwd", O_RDONLY) < 0 && errno == EACCES ? NMERR_SUCCESS :
		       NMERR_ACCESS_DENIED;
	if (has(bytes, size, "WRITE"))
		return write_frames();
	if (has(bytes, size, "EXEC"))
		return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			    0) == MAP_FAILED ? NMERR_SUCCESS : NMERR_ACCESS_DENIED;
	if (has(bytes, size, "EAT")) {
		eaten = malloc(1 << 20);
		if (!eaten)
			abort();
		memset(eaten, 1, 1 << 20);
	}
	return NMERR_SUCCESS;
}

static const FRAME *frame_of(uint32_t number)
{
	return (const FRAME *)(frames.data + (frames.index[number] & 0xffffffffffff));
}

static uint32_t dissect(uint32_t number)
{
	const FRAME *frame = frame_of(number);
	uint32_t error;

	if (!desk_frame(number, &error))
		return error;
	error = obey(frame->MacFrame, frame->nBytesAvail);
	if (number >= dissected)
		dissected = number + 1;
	return error;
}

static uint32_t compile(const char *text, uint16_t link_type, void **compiled,
			char error[static 484])
{
	(void)link_type;
	if (!strcmp(text, "wrong")) {
		snprintf(error, 484, "the word is wrong");
		return NMERR_FILTER_INVALID_EXPRESSION;
	}
	obey(text, strlen(text));
	*compiled = strdup(text);
	return *compiled ? NMERR_SUCCESS : NMERR_OUT_OF_MEMORY;
}

static bool passes(void *compiled, uint32_t number)
{
	const FRAME *frame = frame_of(number);

	if (dissect(number))
		return false;
	desk_dissected();
	if (!strcmp(compiled, "APPLY"))
		abort();
	return has(frame->MacFrame, frame->nBytesAvail, compiled);
}

/* Each frame has one property, field 7. */
static bool properties(uint32_t number, const struct fields *fields, struct results *results)
{
	const struct engine_property property = { .field = 7, .offset = 0, .length = 1 };
	struct engine_frame head = { .frame = number, .size = sizeof(head) };

	(void)fields;
	head.error = dissect(number);
	if (head.error)
		return results_add(results, &head, sizeof(head));
	head.count = 1;
	head.size += sizeof(property);
	return results_add(results, &head, sizeof(head)) &&
	       results_add(results, &property, sizeof(property));
}

static uint64_t get_dissected(void)
{
	return dissected;
}

const struct engine_ops engine_ops = {
	.kind		= ENGINE_WIRESHARK,
	.init		= init,
	.loaded		= loaded,
	.compile	= compile,
	.drop		= free,
	.passes		= passes,
	.properties	= properties,
	.dissected	= get_dissected,
};
