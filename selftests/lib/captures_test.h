/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Shared by the tests of captures: captures that fake_engine reads, and experts that use them.
 */
#ifndef CAPTURES_TEST_H
#define CAPTURES_TEST_H

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <expertmem.h>

#include "harness.h"

#define WAIT	60000	/* milliseconds until a capture must be read */

/* What fake_engine has unless FAKE_ENGINE says otherwise. */
#define FRAMES		1000U
#define FRAME_BYTES	60U
#define START		INT64_C(1234567890123456789)

static char engines[] = "/tmp/expertmem-engines.XXXXXX";

/* Make a directory with fake_engine under the names of engines. */
static inline void make_engines(void)
{
	char self[4096], program[4200], path[128];
	ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);

	self[length > 0 ? length : 0] = '\0';
	*strrchr(self, '/') = '\0';
	snprintf(program, sizeof(program), "%s/programs/fake_engine", self);
	if (!mkdtemp(engines))
		abort();
	snprintf(path, sizeof(path), "%s/expertmem-engine-pcap", engines);
	if (symlink(program, path))
		abort();
	snprintf(path, sizeof(path), "%s/expertmem-engine-wireshark", engines);
	if (symlink(program, path))
		abort();
	setenv("EXPERTMEM_ENGINES", engines, 1);
	unsetenv("EXPERTMEM_ENGINE");
}

static inline void remove_engines(void)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/expertmem-engine-pcap", engines);
	unlink(path);
	snprintf(path, sizeof(path), "%s/expertmem-engine-wireshark", engines);
	unlink(path);
	rmdir(engines);
}

/* Open a capture whose engine has these words. NULL: it cannot be opened. */
static inline expertmem_capture *open_fake(const char *words, const char *path,
					   const struct expertmem_capture_options *options)
{
	struct expertmem_capture_options pcap = { .engine = EXPERTMEM_ENGINE_PCAP };
	expertmem_capture *capture = NULL;

	setenv("FAKE_ENGINE", words, 1);
	if (options) {
		pcap = *options;
		pcap.engine = options->engine ? options->engine : EXPERTMEM_ENGINE_PCAP;
	}
	expertmem_open_capture(path ? path : "/nonexistent", &pcap, &capture);
	return capture;
}

static inline HEXPERTKEY open_private(void)
{
	struct expertmem_options options = {
		.name = "frames", .backend = EXPERTMEM_BACKEND_ANON,
	};
	HEXPERTKEY key = NULL;

	expertmem_open(&options, &key);
	return key;
}

/* A new expert with a capture of these words; NULL: that fails. The capture is closed. */
static inline HEXPERTKEY open_with(const char *words, const char *path,
				   const struct expertmem_capture_options *options)
{
	expertmem_capture *capture = open_fake(words, path, options);
	HEXPERTKEY key = open_private();

	if (!capture || expertmem_wait_capture(capture, WAIT) ||
	    expertmem_use_capture(key, capture)) {
		expertmem_close(key);
		key = NULL;
	}
	expertmem_close_capture(capture);
	return key;
}

/* The capture's handle of an expert. */
static inline HCAPTURE capture_of(HEXPERTKEY key)
{
	EXPERTSTARTUPINFO startup = { 0 };

	ExpertGetStartupInfo(key, &startup);
	return startup.hCapture;
}

/* The frame of this number, or the next one; FAILED(code): there is none. */
#define FAILED(code)	(0xffffff00U + (code))

static inline DWORD get(HEXPERTKEY key, DWORD direction, DWORD flags, DWORD number)
{
	EXPERTFRAMEDESCRIPTOR frame;
	DWORD error = ExpertGetFrame(key, direction, flags, number, NULL, &frame);

	return error ? FAILED(error) : frame.FrameNumber;
}

#endif /* CAPTURES_TEST_H */
