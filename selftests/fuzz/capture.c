// SPDX-License-Identifier: GPL-2.0
/*
 * The loader of the engines under libFuzzer: each input is a capture file. Afterwards index, frames
 * and state have to be what experts are promised, and filters of libpcap look at all frames.
 *
 * Wireshark's file library and libpcap have no sanitizers. A crash in them is none of this project's;
 * the sandbox of the engines is made for these.
 */
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* NOLINTNEXTLINE(bugprone-suspicious-include): what is static in it is called here */
#include "../../tools/engine/pcap.c"
#include "../../tools/engine/worker.h"
#include "input.h"

static struct engine_state state;
static bool has_first;		/* the loader has told the link type of the first frame */

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	load_init();
	CHECK(engine_ops.init(state.software, state.error));
	make_file_at(FD_CAPTURE);
	make_file_at(FD_INDEX_WRITE);
	make_file_at(FD_FRAMES_WRITE);
	return 0;
}

static void try_filter(const char *text, uint16_t link_type)
{
	char error[484] = "";
	void *filter;

	if (engine_ops.compile(text, link_type, &filter, error)) {
		CHECK(error[0] && strnlen(error, sizeof(error)) < sizeof(error));
		return;
	}
	for (uint32_t i = 0; i < frames.count; i++)
		engine_ops.passes(filter, i);
	engine_ops.drop(filter);
}

static bool first(uint16_t link_type)
{
	CHECK(!has_first);
	has_first = true;
	frames.count = 0;
	try_filter("ip", link_type);
	return true;
}

static uint64_t size_of(int fd)
{
	struct stat file;

	CHECK(!fstat(fd, &file));
	return (uint64_t)file.st_size;
}

static const void *map(int fd, uint64_t size)
{
	void *start = size ? mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0) : NULL;

	CHECK(start != MAP_FAILED);
	return start;
}

/* Are the frames in the file, one behind the other? */
static void check_frames(const struct frames *all)
{
	uint64_t at = 0;

	CHECK(!all->count || (all->index && all->data));
	for (uint32_t i = 0; i < all->count; i++) {
		const FRAME *frame = (const FRAME *)(all->data + at);
		uint64_t size = offsetof(FRAME, MacFrame);

		CHECK((all->index[i] & 0xffffffffffff) == at);
		CHECK(all->link_type == LINK_DIFFERENT || all->index[i] >> 48 == all->link_type);
		CHECK(size <= state.frames_size - at);
		size += frame->nBytesAvail;
		CHECK(size <= state.frames_size - at);
		at += (size + 15) & ~15UL;
	}
	CHECK(at == state.frames_size);
}

static void use_frames(void)
{
	const struct frames all = {
		.count = (uint32_t)state.frames,
		.index = map(FD_INDEX_WRITE, size_of(FD_INDEX_WRITE)),
		.data = map(FD_FRAMES_WRITE, state.frames_size),
		.link_type = (uint16_t)state.link_type,
	};

	check_frames(&all);
	nr_types = 0;		/* else those of earlier inputs are still there */
	engine_ops.loaded(&all);
	try_filter("ip", all.link_type);
	try_filter("greater 64 or ether[12:2] = 0x800 or tcp port 80", all.link_type);
	if (all.index)
		munmap((void *)all.index, size_of(FD_INDEX_WRITE));
	if (all.data)
		munmap((void *)all.data, state.frames_size);
}

static void check_text(const char *text, size_t size)
{
	CHECK(strnlen(text, size) < size);
	CHECK(g_utf8_validate(text, -1, NULL));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct loading loading = { .state = &state, .first = first };
	bool loaded;

	CHECK(!ftruncate(FD_CAPTURE, 0) && !ftruncate(FD_INDEX_WRITE, 0) &&
	      !ftruncate(FD_FRAMES_WRITE, 0));
	CHECK(pwrite(FD_CAPTURE, data, size, 0) == (ssize_t)size);
	CHECK(!lseek(FD_CAPTURE, 0, SEEK_SET));
	memset(&state, 0, sizeof(state));
	state.link_type = LINK_DIFFERENT;
	has_first = false;
	loaded = load_capture(&loading);
	check_text(state.error, sizeof(state.error));
	check_text(state.comment, sizeof(state.comment));
	CHECK(loaded ? has_first : state.error[0] != '\0');
	CHECK(!state.truncated || state.error[0]);
	if (!loaded)
		return 0;
	CHECK(size_of(FD_INDEX_WRITE) == state.frames * sizeof(uint64_t));
	CHECK(size_of(FD_FRAMES_WRITE) == state.frames_size);
	CHECK(state.start <= state.end);
	use_frames();
	return 0;
}
