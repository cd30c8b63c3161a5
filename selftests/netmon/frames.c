// SPDX-License-Identifier: GPL-2.0
/*
 * Captures and frames: the calls of the host and of the expert, with an engine that is a fake. It
 * ends at any moment, and lies in each field of the protocol. addresses.c tests addresses.
 *
 * needs: native
 * also: asan fast
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>

#include "captures_test.h"

#define COUNT_OF(array)	(sizeof(array) / sizeof((array)[0]))

FIXTURE(frames) {
	HEXPERTKEY key;
};

FIXTURE_SETUP(frames)
{
	make_engines();
	self->key = open_with("", NULL, NULL);
	ASSERT_NE(NULL, self->key);
}

FIXTURE_TEARDOWN(frames)
{
	expertmem_close(self->key);
	remove_engines();
}

FIXTURE(capture) {
	expertmem_capture *capture;
};

FIXTURE_SETUP(capture)
{
	make_engines();
}

FIXTURE_TEARDOWN(capture)
{
	expertmem_close_capture(self->capture);
	remove_engines();
}

/* ---------------------------------------------------------------- opening, and its status */

TEST_F(capture, status_is_what_the_engine_says)
{
	struct expertmem_capture_status status;

	self->capture = open_fake("", NULL, NULL);
	ASSERT_NE(NULL, self->capture);
	EXPECT_EQ(EXPERTMEM_OK, expertmem_wait_capture(self->capture, WAIT));
	EXPECT_EQ(EXPERTMEM_OK, expertmem_capture_status(self->capture, &status));
	EXPECT_EQ(EXPERTMEM_ENGINE_PCAP, status.engine);
	EXPECT_EQ(1, status.loaded);
	EXPECT_EQ(0, status.failed);
	EXPECT_EQ(FRAMES, status.frames);
	EXPECT_EQ(START, status.start);
	EXPECT_STREQ("a comment", status.comment);
	EXPECT_STREQ("", status.error);
	/* A control character of an engine does not reach a terminal. */
	EXPECT_STREQ("fake?engine", status.software);
	EXPECT_EQ(EXPERTMEM_E_INVALID, expertmem_capture_status(NULL, &status));
	EXPECT_EQ(EXPERTMEM_E_INVALID, expertmem_capture_status(self->capture, NULL));
	EXPECT_EQ(EXPERTMEM_E_INVALID, expertmem_wait_capture(NULL, 0));
	EXPECT_EQ(EXPERTMEM_E_INVALID, expertmem_wait_capture(self->capture, -2));
}

TEST_F(capture, wrong_options_are_refused)
{
	static char text[8193];
	const struct expertmem_capture_options wrong[] = {
		{ .engine = 3 }, { .engine = -1 }, { .flags = 8 }, { .reserved = { 0, 0, 0, 1 } },
		{ .name = "a\n" }, { .name = "a name of more than thirty-one bytes" },
		{ .filter = text },
	};
	expertmem_capture *capture = (void *)text;

	memset(text, 'x', sizeof(text) - 1);
	for (size_t i = 0; i < COUNT_OF(wrong); i++)
		EXPECT_EQ(EXPERTMEM_E_INVALID, expertmem_open_capture("x", &wrong[i], &capture));
	EXPECT_EQ(EXPERTMEM_E_INVALID, expertmem_open_capture(NULL, NULL, &capture));
	EXPECT_EQ(EXPERTMEM_E_INVALID, expertmem_open_capture("x", NULL, NULL));
	setenv("EXPERTMEM_ENGINE", "other", 1);
	EXPECT_EQ(EXPERTMEM_E_INVALID, expertmem_open_capture("x", NULL, &capture));
	EXPECT_EQ((void *)text, capture);
}

TEST_F(capture, an_engine_that_cannot_be_executed_is_missing)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/expertmem-engine-pcap", engines);
	setenv("EXPERTMEM_ENGINES", "/nonexistent", 1);
	EXPECT_EQ(EXPERTMEM_E_NO_ENGINE,
		  expertmem_open_capture("x", NULL, &self->capture));
	setenv("EXPERTMEM_ENGINES", engines, 1);
	unlink(path);
	fd = open(path, O_CREAT | O_WRONLY, 0700);
	ASSERT_EQ(5, write(fd, "empty", 5));
	close(fd);
	setenv("EXPERTMEM_ENGINE", "pcap", 1);
	EXPECT_EQ(EXPERTMEM_E_NO_ENGINE,
		  expertmem_open_capture("x", NULL, &self->capture));
	EXPECT_EQ(NULL, self->capture);
}

/* The engine that is started for @engine, with EXPERTMEM_ENGINE as @variable. */
static int chosen(enum expertmem_engine engine, const char *variable)
{
	struct expertmem_capture_options options = { .engine = engine };
	struct expertmem_capture_status status = { .engine = -1 };
	expertmem_capture *capture = NULL;

	setenv("EXPERTMEM_ENGINE", variable, 1);
	if (expertmem_open_capture("x", &options, &capture))
		return -1;
	expertmem_wait_capture(capture, WAIT);
	expertmem_capture_status(capture, &status);
	expertmem_close_capture(capture);
	return status.engine;
}

TEST_F(capture, wireshark_is_preferred)
{
	char path[128];

	EXPECT_EQ(EXPERTMEM_ENGINE_WIRESHARK, chosen(EXPERTMEM_ENGINE_AUTO, ""));
	EXPECT_EQ(EXPERTMEM_ENGINE_WIRESHARK, chosen(EXPERTMEM_ENGINE_AUTO, "auto"));
	EXPECT_EQ(EXPERTMEM_ENGINE_PCAP, chosen(EXPERTMEM_ENGINE_AUTO, "pcap"));
	EXPECT_EQ(EXPERTMEM_ENGINE_PCAP, chosen(EXPERTMEM_ENGINE_PCAP, "wireshark"));
	snprintf(path, sizeof(path), "%s/expertmem-engine-wireshark", engines);
	unlink(path);
	EXPECT_EQ(EXPERTMEM_ENGINE_PCAP, chosen(EXPERTMEM_ENGINE_AUTO, ""));
	EXPECT_EQ(-1, chosen(EXPERTMEM_ENGINE_AUTO, "wireshark"));
}

static volatile sig_atomic_t children;

static void count_child(int number)
{
	children++;
}

TEST_F(capture, the_engine_is_a_stranger_to_the_host)
{
	struct expertmem_capture_options options = {
		.name = "a name", .filter = "7", .limit = 4096,
	};
	char record[64], words[96], line[4200], all[16384] = "";
	int pid, session, group, leak = dup(1);
	FILE *file;

	snprintf(record, sizeof(record), "%s.record", engines);
	snprintf(words, sizeof(words), "record=%s", record);
	signal(SIGCHLD, count_child);
	signal(SIGUSR1, SIG_IGN);
	self->capture = open_fake(words, "/x y", &options);
	ASSERT_NE(NULL, self->capture);
	EXPECT_EQ(EXPERTMEM_OK, expertmem_wait_capture(self->capture, WAIT));
	EXPECT_EQ(0, children);
	EXPECT_EQ(-1, waitpid(-1, NULL, WNOHANG));
	EXPECT_EQ(ECHILD, errno);

	file = fopen(record, "r");
	ASSERT_NE(NULL, file);
	while (fgets(line, sizeof(line), file) && strncmp(line, "pid", 3))
		if ((strncmp(line, "--preload", 9) && line[0] != '/') || !strcmp(line, "/x y\n"))
			strcat(all, line);
	EXPECT_STREQ("--capture\n/x y\n--filter\n7\n--limit\n4096\n--name\na name\n", all);
	ASSERT_EQ(3, sscanf(line, "pid %d session %d group %d", &pid, &session, &group));
	EXPECT_EQ(pid, session);
	EXPECT_EQ(pid, group);
	for (int fd = 0; fd < 4; fd++) {
		snprintf(all, sizeof(all), "descriptor %d\n", fd);
		EXPECT_STREQ(all, fgets(line, sizeof(line), file));
	}
	EXPECT_EQ(NULL, fgets(line, sizeof(line), file));
	fclose(file);
	close(leak);
	unlink(record);
}

TEST_F(capture, waiting_ends_at_its_time)
{
	HEXPERTKEY key = open_private();

	self->capture = open_fake("loading", NULL, NULL);
	ASSERT_NE(NULL, self->capture);
	EXPECT_EQ(EXPERTMEM_E_LOADING, expertmem_wait_capture(self->capture, 0));
	EXPECT_EQ(EXPERTMEM_E_LOADING, expertmem_wait_capture(self->capture, 150));
	EXPECT_EQ(EXPERTMEM_E_LOADING, expertmem_use_capture(key, self->capture));
	EXPECT_EQ(NULL, capture_of(key));
	expertmem_close(key);
}

/* What waiting for an engine with these words returns; then @text is in the status. */
static int wait_for(const char *words, const char *text)
{
	expertmem_capture *capture = open_fake(words, NULL, NULL);
	struct expertmem_capture_status status = { .failed = -1 };
	HEXPERTKEY key = open_private();
	int error = expertmem_wait_capture(capture, WAIT);

	/* An engine that ends later: the host finds out when it looks. */
	while (!error && !expertmem_wait_capture(capture, 10))
		;
	error = expertmem_wait_capture(capture, 0);
	expertmem_capture_status(capture, &status);
	if (status.failed != 1 || !strstr(status.error, text) ||
	    expertmem_use_capture(key, capture) != EXPERTMEM_E_ENGINE)
		error = -1000;
	expertmem_close_capture(capture);
	expertmem_close(key);
	return error;
}

TEST_F(capture, an_engine_that_fails_or_ends_says_why)
{
	EXPECT_EQ(EXPERTMEM_E_CAPTURE, wait_for("failed", "it is no capture"));
	EXPECT_EQ(EXPERTMEM_E_ENGINE, wait_for("lost", ""));
	EXPECT_EQ(EXPERTMEM_E_ENGINE, wait_for("die-start", "has ended"));
	EXPECT_EQ(EXPERTMEM_E_ENGINE, wait_for("die-hello", "has ended"));
	EXPECT_EQ(EXPERTMEM_E_ENGINE, wait_for("die-ready", "has ended"));
}

TEST_F(capture, a_wrong_greeting_ends_the_connection)
{
	static const char *const lies[] = {
		"hello-message", "hello-version", "hello-phase", "hello-two", "hello-five",
		"hello-none", "hello-pipe", "hello-writable", "hello-empty", "hello-twice",
		"hello-long", "state-short", "state-version", "state-phase", "kind=3", "kind=0",
	};

	for (size_t i = 0; i < COUNT_OF(lies); i++) {
		EXPECT_EQ(EXPERTMEM_E_ENGINE, wait_for(lies[i], "protocol"))
			TH_LOG("%s", lies[i]);
	}
}

TEST_F(capture, wrong_sizes_are_found_before_use)
{
	static const char *const lies[] = { "state-frames", "state-many", "state-size" };
	HEXPERTKEY key = open_private();

	for (size_t i = 0; i < COUNT_OF(lies); i++) {
		self->capture = open_fake(lies[i], NULL, NULL);
		EXPECT_EQ(EXPERTMEM_OK, expertmem_wait_capture(self->capture, WAIT));
		EXPECT_EQ(EXPERTMEM_E_ENGINE, expertmem_use_capture(key, self->capture))
			TH_LOG("%s", lies[i]);
		expertmem_close_capture(self->capture);
	}
	self->capture = NULL;
	EXPECT_EQ(FAILED(NMERR_INVALID_HCAPTURE), get(key, GET_SPECIFIED_FRAME, 0, 0));
	expertmem_close(key);
}

TEST_F(capture, it_is_given_once_to_an_open_expert)
{
	EXPERTSTARTUPINFO startup = { 0 };
	HEXPERTKEY key = open_private(), closed = open_private();

	expertmem_close(closed);
	self->capture = open_fake("", "/some/file", NULL);
	ASSERT_EQ(EXPERTMEM_OK, expertmem_wait_capture(self->capture, WAIT));
	EXPECT_EQ(EXPERTMEM_E_INVALID, expertmem_use_capture(key, NULL));
	EXPECT_EQ(EXPERTMEM_E_KEY, expertmem_use_capture(closed, self->capture));
	EXPECT_EQ(EXPERTMEM_E_KEY, expertmem_use_capture(NULL, self->capture));
	EXPECT_EQ(EXPERTMEM_OK, expertmem_use_capture(key, self->capture));
	EXPECT_EQ(EXPERTMEM_E_BUSY, expertmem_use_capture(key, self->capture));
	EXPECT_EQ(NMERR_SUCCESS, ExpertGetStartupInfo(key, &startup));
	EXPECT_NE(NULL, startup.hCapture);
	EXPECT_STREQ("/some/file", startup.szCaptureFile);
	expertmem_close(key);
}

TEST_F(capture, an_expert_keeps_its_own_path)
{
	EXPERTSTARTUPINFO startup = { .szCaptureFile = "chosen" };
	struct expertmem_options options = {
		.backend = EXPERTMEM_BACKEND_ANON, .startup = &startup,
	};
	HEXPERTKEY key;

	ASSERT_EQ(EXPERTMEM_OK, expertmem_open(&options, &key));
	self->capture = open_fake("", "/some/file", NULL);
	ASSERT_EQ(EXPERTMEM_OK, expertmem_wait_capture(self->capture, WAIT));
	EXPECT_EQ(EXPERTMEM_OK, expertmem_use_capture(key, self->capture));
	EXPECT_EQ(NMERR_SUCCESS, ExpertGetStartupInfo(key, &startup));
	EXPECT_STREQ("chosen", startup.szCaptureFile);
	expertmem_close(key);
}

TEST_F(capture, one_capture_serves_several_experts)
{
	HEXPERTKEY keys[4];

	self->capture = open_fake("", NULL, NULL);
	ASSERT_EQ(EXPERTMEM_OK, expertmem_wait_capture(self->capture, WAIT));
	for (int i = 0; i < 4; i++) {
		keys[i] = open_private();
		EXPECT_EQ(EXPERTMEM_OK, expertmem_use_capture(keys[i], self->capture));
	}
	for (int i = 0; i < 4; i++)
		EXPECT_EQ(7, get(keys[i], GET_SPECIFIED_FRAME, 0, 7));
	EXPECT_NE(capture_of(keys[0]), capture_of(keys[1]));
	for (int i = 0; i < 4; i++)
		expertmem_close(keys[i]);
}

/* Does the process end within the time of a test? */
static bool ends(pid_t pid)
{
	for (int i = 0; i < WAIT / 10; i++) {
		if (kill(pid, 0) && errno == ESRCH)
			return true;
		usleep(10000);
	}
	return false;
}

TEST_F(capture, the_engine_ends_with_its_last_user)
{
	struct expertmem_capture_status status;
	HEXPERTKEY key = open_private();
	pid_t expert, child;
	int ready[2];

	self->capture = open_fake("", NULL, NULL);
	ASSERT_EQ(EXPERTMEM_OK, expertmem_wait_capture(self->capture, WAIT));
	ASSERT_EQ(EXPERTMEM_OK, expertmem_use_capture(key, self->capture));
	expertmem_capture_status(self->capture, &status);
	ASSERT_EQ(0, pipe(ready));
	expert = fork();
	if (!expert) {
		/* The child of an expert outlives it, but must not keep the engine. */
		get(key, GET_SPECIFIED_FRAME, 0, 0);
		child = fork();
		if (child && write(ready[1], &child, sizeof(child)) != sizeof(child))
			_exit(1);
		pause();
	}
	ASSERT_EQ(sizeof(child), read(ready[0], &child, sizeof(child)));
	expertmem_close_capture(self->capture);
	self->capture = NULL;
	expertmem_close(key);
	EXPECT_EQ(0, kill((pid_t)status.process, 0));
	kill(expert, SIGKILL);
	waitpid(expert, NULL, 0);
	EXPECT_TRUE(ends((pid_t)status.process));
	EXPECT_EQ(0, kill(child, SIGKILL));
	close(ready[0]);
	close(ready[1]);
}

/* ------------------------------------------------------------------------- ExpertGetFrame */

TEST_F(frames, a_frame_is_described)
{
	EXPERTFRAMEDESCRIPTOR frame;
	DWORD number;

	memset(&frame, 0xa5, sizeof(frame));
	ASSERT_EQ(NMERR_SUCCESS,
		  ExpertGetFrame(self->key, GET_SPECIFIED_FRAME, 0, 123, NULL, &frame));
	EXPECT_EQ(123, frame.FrameNumber);
	EXPECT_EQ(123000, frame.pFrame->TimeStamp);
	EXPECT_EQ(FRAME_BYTES, frame.pFrame->nBytesAvail);
	EXPECT_EQ(FRAME_BYTES + 4, frame.pFrame->FrameLength);
	memcpy(&number, frame.pFrame->MacFrame + 14, sizeof(number));
	EXPECT_EQ(123, number);
	EXPECT_EQ(NULL, frame.lpRecognizeDataTable);
	EXPECT_EQ(NULL, frame.lpPropertyTable);
	EXPECT_EQ(frame.hFrame, GetFrame(capture_of(self->key), 123));
	EXPECT_EQ(0, (uintptr_t)frame.pFrame % 16);
}

TEST_F(frames, the_next_frame_is_behind_the_number)
{
	const DWORD none = FAILED(NMERR_NO_MORE_FRAMES);
	DWORD number = INVALID_FRAME_NUMBER;

	for (DWORD i = 0; i < FRAMES; i++) {
		number = get(self->key, GET_FRAME_NEXT_FORWARD, 0, number);
		ASSERT_EQ(i, number);
	}
	EXPECT_EQ(none, get(self->key, GET_FRAME_NEXT_FORWARD, 0, number));
	EXPECT_EQ(none, get(self->key, GET_FRAME_NEXT_FORWARD, 0, FRAMES));
	EXPECT_EQ(none, get(self->key, GET_FRAME_NEXT_FORWARD, 0, INVALID_FRAME_NUMBER - 1));
	number = INVALID_FRAME_NUMBER;
	for (DWORD i = FRAMES; i--; ) {
		number = get(self->key, GET_FRAME_NEXT_BACKWARD, 0, number);
		ASSERT_EQ(i, number);
	}
	EXPECT_EQ(none, get(self->key, GET_FRAME_NEXT_BACKWARD, 0, 0));
	EXPECT_EQ(FRAMES - 1, get(self->key, GET_FRAME_NEXT_BACKWARD, 0, FRAMES));
	EXPECT_EQ(FRAMES - 1, get(self->key, GET_FRAME_NEXT_BACKWARD, 0, FRAMES + 7));
}

TEST_F(capture, the_next_frame_can_be_the_number_itself)
{
	const struct expertmem_capture_options at = { .flags = EXPERTMEM_NEXT_AT, .filter = "3" };
	HEXPERTKEY key = open_with("", NULL, &at);
	const DWORD none = FAILED(NMERR_NO_MORE_FRAMES);

	EXPECT_EQ(0, get(key, GET_FRAME_NEXT_FORWARD, 0, INVALID_FRAME_NUMBER));
	EXPECT_EQ(5, get(key, GET_FRAME_NEXT_FORWARD, 0, 5));
	EXPECT_EQ(FRAMES - 1, get(key, GET_FRAME_NEXT_FORWARD, 0, FRAMES - 1));
	EXPECT_EQ(none, get(key, GET_FRAME_NEXT_FORWARD, 0, FRAMES));
	EXPECT_EQ(FRAMES - 1, get(key, GET_FRAME_NEXT_BACKWARD, 0, INVALID_FRAME_NUMBER));
	EXPECT_EQ(5, get(key, GET_FRAME_NEXT_BACKWARD, 0, 5));
	EXPECT_EQ(0, get(key, GET_FRAME_NEXT_BACKWARD, 0, 0));
	EXPECT_EQ(6, get(key, GET_FRAME_NEXT_FORWARD, FLAGS_DEFER_TO_UI_FILTER, 4));
	EXPECT_EQ(6, get(key, GET_FRAME_NEXT_FORWARD, FLAGS_DEFER_TO_UI_FILTER, 6));
	EXPECT_EQ(6, get(key, GET_FRAME_NEXT_BACKWARD, FLAGS_DEFER_TO_UI_FILTER, 8));
	expertmem_close(key);
}

TEST_F(frames, wrong_arguments_have_their_codes)
{
	HEXPERTKEY other = open_private(), closed = open_private();
	EXPERTFRAMEDESCRIPTOR frame;
	unsigned char poison[sizeof(frame)];
	const void *whole = &frame;

	expertmem_close(closed);
	memset(&frame, 0xa5, sizeof(frame));
	memset(poison, 0xa5, sizeof(poison));
	EXPECT_EQ(NMERR_INVALID_PARAMETER,
		  ExpertGetFrame(self->key, GET_SPECIFIED_FRAME, 0, 0, NULL, NULL));
	EXPECT_EQ(NMERR_INVALID_PARAMETER, ExpertGetFrame(self->key, 3, 0, 0, NULL, &frame));
	EXPECT_EQ(NMERR_INVALID_PARAMETER, ExpertGetFrame(self->key, 0, 4, 0, NULL, &frame));
	EXPECT_EQ(NMERR_INVALID_EXPERT_HANDLE, ExpertGetFrame(NULL, 0, 0, 0, NULL, &frame));
	EXPECT_EQ(NMERR_INVALID_EXPERT_HANDLE, ExpertGetFrame(closed, 0, 0, 0, NULL, &frame));
	EXPECT_EQ(NMERR_INVALID_EXPERT_HANDLE,
		  ExpertGetFrame((HEXPERTKEY)0x123456789000, 0, 0, 0, NULL, &frame));
	EXPECT_EQ(NMERR_INVALID_HCAPTURE, ExpertGetFrame(other, 0, 0, 0, NULL, &frame));
	EXPECT_EQ(NMERR_FRAME_NOT_FOUND,
		  ExpertGetFrame(self->key, 0, 0, FRAMES, NULL, &frame));
	EXPECT_EQ(NMERR_FRAME_NOT_FOUND,
		  ExpertGetFrame(self->key, 0, 0, INVALID_FRAME_NUMBER, NULL, &frame));
	EXPECT_EQ(NMERR_NOT_SUPPORTED,
		  ExpertGetFrame(self->key, 0, FLAGS_ATTACH_PROPERTIES, 3, NULL, &frame));
	/* The filter is looked at before the number of the frame. */
	for (DWORD direction = GET_SPECIFIED_FRAME; direction <= GET_FRAME_NEXT_BACKWARD; direction++)
		for (DWORD number = 0; number <= FRAMES; number++)
			EXPECT_EQ(NMERR_INVALID_HFILTER,
				  ExpertGetFrame(self->key, direction, 0, number, (HFILTER)0x1234, &frame));
	EXPECT_EQ(0, memcmp(whole, poison, sizeof(poison)));
	expertmem_close(other);
}

TEST_F(frames, a_terminated_expert_gets_no_frame)
{
	HFRAME frame = GetFrame(capture_of(self->key), 1);

	EXPECT_EQ(1, get(self->key, GET_SPECIFIED_FRAME, 0, 1));
	EXPECT_EQ(EXPERTMEM_OK, expertmem_terminate(self->key));
	EXPECT_EQ(FAILED(NMERR_EXPERT_TERMINATE), get(self->key, GET_SPECIFIED_FRAME, 0, 1));
	EXPECT_EQ(FAILED(NMERR_EXPERT_TERMINATE),
		  get(self->key, GET_FRAME_NEXT_FORWARD, FLAGS_DEFER_TO_UI_FILTER, 1));
	/* It can look at those that it has. */
	EXPECT_EQ(FRAME_BYTES, GetFrameStoredLength(frame));
}

TEST_F(capture, an_empty_capture_has_no_frame)
{
	HEXPERTKEY key = open_with("frames=0", NULL, NULL);

	ASSERT_NE(NULL, key);
	EXPECT_EQ(FAILED(NMERR_FRAME_NOT_FOUND), get(key, GET_SPECIFIED_FRAME, 0, 0));
	EXPECT_EQ(FAILED(NMERR_NO_MORE_FRAMES),
		  get(key, GET_FRAME_NEXT_FORWARD, 0, INVALID_FRAME_NUMBER));
	EXPECT_EQ(FAILED(NMERR_NO_MORE_FRAMES),
		  get(key, GET_FRAME_NEXT_BACKWARD, 0, INVALID_FRAME_NUMBER));
	EXPECT_EQ(0, GetCaptureTotalFrames(capture_of(key)));
	expertmem_close(key);
}

TEST_F(capture, a_damaged_index_spoils_one_frame)
{
	static const char *const lies[] = {
		"index-offset", "index-end", "index-unaligned", "frame-size", "frame-end",
	};

	for (size_t i = 0; i < COUNT_OF(lies); i++) {
		HEXPERTKEY key = open_with(lies[i], NULL, NULL);

		ASSERT_NE(NULL, key) TH_LOG("%s", lies[i]);
		EXPECT_EQ(FAILED(NMERR_FRAME_NOT_FOUND),
			  get(key, GET_SPECIFIED_FRAME, 0, FRAMES / 2)) TH_LOG("%s", lies[i]);
		EXPECT_EQ(NULL, GetFrame(capture_of(key), FRAMES / 2));
		EXPECT_EQ(NMERR_FRAME_NOT_FOUND, BhGetLastError());
		EXPECT_EQ(FRAMES / 2 - 1, get(key, GET_SPECIFIED_FRAME, 0, FRAMES / 2 - 1));
		EXPECT_EQ(FRAMES / 2 + 1, get(key, GET_SPECIFIED_FRAME, 0, FRAMES / 2 + 1));
		expertmem_close(key);
	}
}

TEST_F(capture, a_frames_file_without_room_for_a_header_has_no_frame)
{
	HEXPERTKEY key = open_with("state-cut", NULL, NULL);

	ASSERT_NE(NULL, key);
	EXPECT_EQ(FAILED(NMERR_FRAME_NOT_FOUND), get(key, GET_SPECIFIED_FRAME, 0, 0));
	expertmem_close(key);
}

/* ----------------------------------------------------------------------- the user's filter */

static const struct expertmem_capture_options thirds = { .filter = "3" };

TEST_F(capture, frames_that_fail_the_users_filter_are_left_out)
{
	HEXPERTKEY key = open_with("", NULL, &thirds);
	const DWORD user = FLAGS_DEFER_TO_UI_FILTER;
	DWORD number = INVALID_FRAME_NUMBER;

	for (DWORD i = 0; i < FRAMES; i += 3) {
		number = get(key, GET_FRAME_NEXT_FORWARD, user, number);
		ASSERT_EQ(i, number);
	}
	EXPECT_EQ(FAILED(NMERR_NO_MORE_FRAMES), get(key, GET_FRAME_NEXT_FORWARD, user, number));
	for (DWORD i = (FRAMES - 1) / 3 * 3; i; i -= 3)
		ASSERT_EQ(i - 3, get(key, GET_FRAME_NEXT_BACKWARD, user, i));
	EXPECT_EQ(FAILED(NMERR_NO_MORE_FRAMES), get(key, GET_FRAME_NEXT_BACKWARD, user, 0));
	EXPECT_EQ(FAILED(NMERR_FRAME_FAILED_FILTER), get(key, GET_SPECIFIED_FRAME, user, 4));
	EXPECT_EQ(6, get(key, GET_SPECIFIED_FRAME, user, 6));
	EXPECT_EQ(FAILED(NMERR_FRAME_NOT_FOUND), get(key, GET_SPECIFIED_FRAME, user, FRAMES));
	/* From anywhere, and without the filter. */
	EXPECT_EQ(501, get(key, GET_FRAME_NEXT_FORWARD, user, 499));
	EXPECT_EQ(498, get(key, GET_FRAME_NEXT_BACKWARD, user, 500));
	EXPECT_EQ(4, get(key, GET_SPECIFIED_FRAME, 0, 4));
	expertmem_close(key);
}

TEST_F(frames, all_frames_pass_if_the_user_has_no_filter)
{
	EXPECT_EQ(4, get(self->key, GET_FRAME_NEXT_FORWARD, FLAGS_DEFER_TO_UI_FILTER, 3));
}

TEST_F(capture, a_walk_goes_on_over_many_requests)
{
	const struct expertmem_capture_options few = { .filter = "9973" };
	HEXPERTKEY key = open_with("frames=100000", NULL, &few);
	DWORD number = INVALID_FRAME_NUMBER;

	for (DWORD i = 0; i < 100000; i += 9973) {
		number = get(key, GET_FRAME_NEXT_FORWARD, FLAGS_DEFER_TO_UI_FILTER, number);
		ASSERT_EQ(i, number);
	}
	EXPECT_EQ(FAILED(NMERR_NO_MORE_FRAMES),
		  get(key, GET_FRAME_NEXT_FORWARD, FLAGS_DEFER_TO_UI_FILTER, number));
	expertmem_close(key);
}

/* A walk with the user's filter; its last code. */
static DWORD walk(HEXPERTKEY key, DWORD direction)
{
	DWORD number = INVALID_FRAME_NUMBER, next;

	for (;;) {
		next = get(key, direction, FLAGS_DEFER_TO_UI_FILTER, number);
		if (next >= FAILED(0))
			return next;
		number = next;
	}
}

TEST_F(capture, an_engine_that_lies_in_a_reply_loses_the_connection)
{
	static const char *const lies[] = {
		"reply-op", "reply-sequence", "reply-error", "reply-size", "reply-short",
		"reply-empty", "reply-long", "die-request", "search-count", "search-size",
		"search-beyond", "search-order", "search-behind", "search-still", "search-next",
	};

	for (size_t i = 0; i < COUNT_OF(lies); i++) {
		HEXPERTKEY key = open_with(lies[i], NULL, &thirds);

		ASSERT_NE(NULL, key) TH_LOG("%s", lies[i]);
		EXPECT_EQ(FAILED(NMERR_LOST_CONNECTION), walk(key, GET_FRAME_NEXT_FORWARD))
			TH_LOG("%s", lies[i]);
		/* For ever; but frames need no connection. */
		EXPECT_EQ(FAILED(NMERR_LOST_CONNECTION),
			  get(key, GET_SPECIFIED_FRAME, FLAGS_DEFER_TO_UI_FILTER, 3));
		EXPECT_EQ(3, get(key, GET_SPECIFIED_FRAME, 0, 3));
		expertmem_close(key);
	}
}

TEST_F(capture, a_search_that_goes_the_wrong_way_loses_the_connection)
{
	static const char *const lies[] = { "search-before", "search-still", "search-back" };

	for (size_t i = 0; i < COUNT_OF(lies); i++) {
		HEXPERTKEY key = open_with(lies[i], NULL, &thirds);

		EXPECT_EQ(FAILED(NMERR_LOST_CONNECTION),
			  get(key, GET_FRAME_NEXT_BACKWARD, FLAGS_DEFER_TO_UI_FILTER, 600))
			TH_LOG("%s", lies[i]);
		expertmem_close(key);
		key = open_with(lies[i], NULL, &thirds);
		EXPECT_EQ(FAILED(NMERR_LOST_CONNECTION),
			  get(key, GET_FRAME_NEXT_FORWARD, FLAGS_DEFER_TO_UI_FILTER, 599))
			TH_LOG("%s", lies[i]);
		expertmem_close(key);
	}
}

TEST_F(capture, stale_replies_and_texts_without_an_end_do_no_harm)
{
	HEXPERTKEY key = open_with("reply-stale reply-text", NULL, &thirds);

	EXPECT_EQ(FAILED(NMERR_NO_MORE_FRAMES), walk(key, GET_FRAME_NEXT_FORWARD));
	EXPECT_EQ(FAILED(NMERR_NO_MORE_FRAMES), walk(key, GET_FRAME_NEXT_BACKWARD));
	expertmem_close(key);
}

static void *terminate_soon(void *key)
{
	usleep(100000);
	expertmem_terminate(key);
	return NULL;
}

TEST_F(capture, terminate_ends_the_wait_for_an_engine)
{
	HEXPERTKEY key = open_with("no-reply", NULL, &thirds);
	pthread_t thread;

	pthread_create(&thread, NULL, terminate_soon, key);
	EXPECT_EQ(FAILED(NMERR_EXPERT_TERMINATE), walk(key, GET_FRAME_NEXT_FORWARD));
	pthread_join(thread, NULL);
	expertmem_close(key);
}

static void *close_soon(void *key)
{
	usleep(100000);
	expertmem_close(key);
	return NULL;
}

static void close_while_an_engine_does(struct __test_metadata *_metadata, const char *words)
{
	HEXPERTKEY key = open_with(words, NULL, &thirds);
	pthread_t thread;
	DWORD error;

	pthread_create(&thread, NULL, close_soon, key);
	error = walk(key, GET_FRAME_NEXT_FORWARD);
	EXPECT_TRUE(error == FAILED(NMERR_EXPERT_TERMINATE) ||
		    error == FAILED(NMERR_INVALID_EXPERT_HANDLE));
	pthread_join(thread, NULL);
	EXPECT_EQ(FAILED(NMERR_INVALID_EXPERT_HANDLE), get(key, 0, 0, 0));
}

TEST_F(capture, close_ends_the_wait_for_an_engine)
{
	close_while_an_engine_does(_metadata, "no-reply");
}

TEST_F(capture, close_ends_the_wait_while_old_replies_flood_in)
{
	close_while_an_engine_does(_metadata, "reply-flood");
}

TEST_F(capture, terminate_ends_the_wait_while_old_replies_flood_in)
{
	HEXPERTKEY key = open_with("reply-flood", NULL, &thirds);
	pthread_t thread;

	pthread_create(&thread, NULL, terminate_soon, key);
	EXPECT_EQ(FAILED(NMERR_EXPERT_TERMINATE), walk(key, GET_FRAME_NEXT_FORWARD));
	pthread_join(thread, NULL);
	expertmem_close(key);
}

/* -------------------------------------------------------------------------------- handles */

TEST_F(frames, calls_about_a_frame_say_what_it_has)
{
	HCAPTURE capture = capture_of(self->key);
	HFRAME frame = GetFrame(capture, 77);

	ASSERT_NE(NULL, frame);
	EXPECT_EQ(77, GetFrameNumber(frame));
	EXPECT_EQ(capture, GetFrameCaptureHandle(frame));
	EXPECT_EQ(FRAME_BYTES + 4, GetFrameLength(frame));
	EXPECT_EQ(FRAME_BYTES, GetFrameStoredLength(frame));
	EXPECT_EQ(77000, GetFrameTimeStamp(frame));
	EXPECT_EQ(MAC_TYPE_ETHERNET, GetFrameMacType(frame));
	EXPECT_EQ(14, GetFrameMacHeaderLength(frame));
	EXPECT_EQ(77, GetFrameFromFrameHandle(frame)->MacFrame[14]);
	EXPECT_EQ(77, ParserTemporaryLockFrame(frame)[14]);
	EXPECT_EQ(NULL, GetFrameRecognizeData(frame));
	EXPECT_EQ(NMERR_NOT_SUPPORTED, BhGetLastError());
}

TEST_F(frames, calls_about_a_capture_say_what_it_has)
{
	HCAPTURE capture = capture_of(self->key);
	LPSYSTEMTIME time = GetCaptureTimeStamp(capture);

	EXPECT_EQ(FRAMES, GetCaptureTotalFrames(capture));
	EXPECT_EQ(MAC_TYPE_ETHERNET, GetCaptureMacType(capture));
	EXPECT_STREQ("a comment", GetCaptureComment(capture));
	/* 1,234,567,890.123 seconds after 1970 */
	ASSERT_NE(NULL, time);
	EXPECT_EQ(2009, time->wYear);
	EXPECT_EQ(2, time->wMonth);
	EXPECT_EQ(13, time->wDay);
	EXPECT_EQ(5, time->wDayOfWeek);
	EXPECT_EQ(23, time->wHour);
	EXPECT_EQ(31, time->wMinute);
	EXPECT_EQ(30, time->wSecond);
	EXPECT_EQ(123, time->wMilliseconds);
	EXPECT_EQ(NULL, ModifyFrame(capture, 0, NULL, 0, 0));
	EXPECT_EQ(NMERR_NOT_SUPPORTED, BhGetLastError());
	EXPECT_EQ(NULL, GetFrame(capture, FRAMES));
	EXPECT_EQ(NMERR_FRAME_NOT_FOUND, BhGetLastError());
}

TEST_F(capture, a_comment_without_an_end_is_cut)
{
	HEXPERTKEY key = open_with("state-comment", NULL, NULL);

	EXPECT_EQ(1023, strlen(GetCaptureComment(capture_of(key))));
	expertmem_close(key);
}

TEST_F(frames, finding_frames_needs_an_engine_with_protocols)
{
	HFRAME frame = GetFrame(capture_of(self->key), 1);
	char name[] = "TCP";
	WORD offset = 7;

	EXPECT_EQ(NULL, FindNextFrame(frame, name, NULL, NULL, &offset, 1, FRAMES));
	EXPECT_EQ(NMERR_NOT_SUPPORTED, BhGetLastError());
	EXPECT_EQ(NULL, FindPreviousFrame(frame, NULL, NULL, NULL, &offset, 1, 0));
	EXPECT_EQ(NMERR_INVALID_PARAMETER, BhGetLastError());
	EXPECT_EQ(NULL, FindPreviousFrame(NULL, name, NULL, NULL, NULL, 1, 0));
	EXPECT_EQ(NMERR_INVALID_HFRAME, BhGetLastError());
	EXPECT_EQ(7, offset);
}

/* The code of a call that failed with @failed, or SUCCESS if it did not fail. */
#define CODE(call, failed) \
	(BhSetLastError(NMERR_SUCCESS), (call) == (failed) ? BhGetLastError() : NMERR_SUCCESS)

static bool frame_is_bad(HFRAME frame)
{
	const DWORD bad = NMERR_INVALID_HFRAME;
	ADDRESS2 address;
	DWORD length;

	return CODE(GetFrameNumber(frame), INVALID_FRAME_NUMBER) == bad &&
	       CODE(GetFrameCaptureHandle(frame), NULL) == bad &&
	       CODE(GetFrameFromFrameHandle(frame), NULL) == bad &&
	       CODE(ParserTemporaryLockFrame(frame), NULL) == bad &&
	       CODE(GetFrameRecognizeData(frame), NULL) == bad &&
	       CODE(GetFrameLength(frame), 0) == bad &&
	       CODE(GetFrameStoredLength(frame), 0) == bad &&
	       CODE(GetFrameTimeStamp(frame), -1) == bad &&
	       CODE(GetFrameMacType(frame), MAC_TYPE_UNKNOWN) == bad &&
	       CODE(GetFrameMacHeaderLength(frame), 0) == bad &&
	       CODE(GetFrameSrcAddressOffset(frame, 0, &length), (DWORD)-1) == bad &&
	       CODE(GetFrameDstAddressOffset(frame, 0, &length), (DWORD)-1) == bad &&
	       GetFrameSourceAddress(frame, &address, 0, 0) == bad &&
	       GetFrameDestAddress(frame, &address, 0, 0) == bad;
}

static bool capture_is_bad(HCAPTURE capture)
{
	const DWORD bad = NMERR_INVALID_HCAPTURE;

	return CODE(GetCaptureTotalFrames(capture), 0) == bad &&
	       CODE(GetCaptureTimeStamp(capture), NULL) == bad &&
	       CODE(GetCaptureMacType(capture), MAC_TYPE_UNKNOWN) == bad &&
	       CODE(GetCaptureComment(capture), NULL) == bad &&
	       CODE(GetFrame(capture, 0), NULL) == bad;
}

TEST_F(frames, bad_handles_are_errors)
{
	const uintptr_t capture = (uintptr_t)capture_of(self->key);
	const uintptr_t frame = (uintptr_t)GetFrame((HCAPTURE)capture, 5);
	uintptr_t wild[] = {
		0, 1, (uintptr_t)self, (uintptr_t)&wild, UINTPTR_MAX, UINTPTR_MAX >> 1,
		frame ^ 1UL << 32, frame ^ 1UL << 44, frame ^ 1UL << 59, frame ^ 1UL << 60,
		frame ^ 1UL << 63, (uintptr_t)self->key,
	};

	EXPECT_FALSE(frame_is_bad((HFRAME)frame));
	EXPECT_FALSE(capture_is_bad((HCAPTURE)capture));
	for (size_t i = 0; i < COUNT_OF(wild); i++) {
		EXPECT_TRUE(frame_is_bad((HFRAME)wild[i])) TH_LOG("%zu", i);
		EXPECT_TRUE(capture_is_bad((HCAPTURE)wild[i])) TH_LOG("%zu", i);
	}
	/* of the other kind, beyond the capture, and with a number where there is none */
	EXPECT_TRUE(frame_is_bad((HFRAME)capture));
	EXPECT_TRUE(capture_is_bad((HCAPTURE)frame));
	EXPECT_TRUE(frame_is_bad((HFRAME)(frame - 5 + FRAMES)));
	EXPECT_TRUE(frame_is_bad((HFRAME)(frame | UINT32_MAX)));
	EXPECT_TRUE(capture_is_bad((HCAPTURE)(capture + 1)));
}

TEST_F(frames, handles_of_a_closed_expert_are_bad_for_ever)
{
	HEXPERTKEY old = open_with("", NULL, NULL), new;
	HCAPTURE capture = capture_of(old);
	HFRAME frame = GetFrame(capture, 5);

	EXPECT_FALSE(frame_is_bad(frame));
	EXPECT_EQ(5, get(old, 0, 0, 5));
	EXPECT_FALSE(frame_is_bad(frame));
	expertmem_close(old);
	EXPECT_TRUE(frame_is_bad(frame));
	EXPECT_TRUE(capture_is_bad(capture));
	/* The new expert has the slot of the old one. */
	new = open_with("", NULL, NULL);
	EXPECT_NE(capture, capture_of(new));
	EXPECT_TRUE(frame_is_bad(frame));
	EXPECT_TRUE(capture_is_bad(capture));
	EXPECT_EQ(5, get(new, 0, 0, 5));
	EXPECT_TRUE(frame_is_bad(frame));
	expertmem_close(new);
}

static void *last_error_of_a_new_thread(void *arg)
{
	(void)arg;
	return (void *)(uintptr_t)BhGetLastError();
}

TEST_F(frames, each_thread_has_its_last_error)
{
	pthread_t thread;
	void *other;

	EXPECT_EQ(NULL, GetFrame(NULL, 0));
	EXPECT_EQ(NMERR_INVALID_HCAPTURE, BhGetLastError());
	GetFrame(capture_of(self->key), 0);
	EXPECT_EQ(NMERR_INVALID_HCAPTURE, BhGetLastError());
	pthread_create(&thread, NULL, last_error_of_a_new_thread, NULL);
	pthread_join(thread, &other);
	EXPECT_EQ(NMERR_SUCCESS, (DWORD)(uintptr_t)other);
	EXPECT_EQ(NMERR_INVALID_HCAPTURE, BhSetLastError(7));
	EXPECT_EQ(7, BhGetLastError());
}

/* ------------------------------------------------------------------- processes and threads */

TEST_F(frames, the_process_that_gets_a_frame_is_the_expert)
{
	HFRAME frame = GetFrame(capture_of(self->key), 1);
	int status;
	pid_t child = fork();

	if (!child) {
		/* The child of the expert has neither frames nor key. */
		bool fine = get(self->key, 0, 0, 3) == 3 && GetFrameNumber(frame) == 1;

		child = fork();
		if (!child)
			_exit(get(self->key, 0, 0, 3) != FAILED(NMERR_INVALID_EXPERT_HANDLE) ||
			      !frame_is_bad(frame));
		waitpid(child, &status, 0);
		_exit(!fine || status);
	}
	waitpid(child, &status, 0);
	EXPECT_EQ(0, status);
	/* The host is not the expert, but can look at frames. */
	EXPECT_EQ(FAILED(NMERR_INVALID_EXPERT_HANDLE), get(self->key, 0, 0, 3));
	EXPECT_EQ(1, GetFrameNumber(frame));
}

TEST_F(capture, only_its_own_process_can_use_a_capture)
{
	struct expertmem_capture_status status;
	HEXPERTKEY key = open_private();
	int result;
	pid_t child;

	self->capture = open_fake("", NULL, NULL);
	ASSERT_EQ(EXPERTMEM_OK, expertmem_wait_capture(self->capture, WAIT));
	child = fork();
	if (!child)
		_exit(expertmem_wait_capture(self->capture, 0) != EXPERTMEM_E_ENGINE ||
		      expertmem_capture_status(self->capture, &status) || !status.failed ||
		      expertmem_use_capture(key, self->capture) != EXPERTMEM_E_ENGINE);
	waitpid(child, &result, 0);
	EXPECT_EQ(0, result);
	EXPECT_EQ(EXPERTMEM_OK, expertmem_use_capture(key, self->capture));
	expertmem_close(key);
}

static HEXPERTKEY shared_key;

static void *walk_both_ways(void *wrong)
{
	DWORD number = INVALID_FRAME_NUMBER, next, count = 0;

	while ((next = get(shared_key, GET_FRAME_NEXT_FORWARD, 0, number)) < FAILED(0)) {
		HFRAME frame = GetFrame(capture_of(shared_key), next);

		if (GetFrameTimeStamp(frame) != next * INT64_C(1000))
			*(bool *)wrong = true;
		number = next;
		count++;
	}
	if (count != FRAMES || walk(shared_key, GET_FRAME_NEXT_FORWARD) != FAILED(5) ||
	    walk(shared_key, GET_FRAME_NEXT_BACKWARD) != FAILED(5))
		*(bool *)wrong = true;
	return NULL;
}

TEST_F(capture, threads_share_an_expert)
{
	pthread_t threads[8];
	bool wrong = false;

	shared_key = open_with("", NULL, &thirds);
	for (int i = 0; i < 8; i++)
		pthread_create(&threads[i], NULL, walk_both_ways, &wrong);
	for (int i = 0; i < 8; i++)
		pthread_join(threads[i], NULL);
	EXPECT_FALSE(wrong);
	expertmem_close(shared_key);
}

static void *get_until_closed(void *frame)
{
	DWORD next, number = 0;

	do {
		GetFrameLength(frame);
		GetFrameMacHeaderLength(frame);
		next = get(shared_key, GET_SPECIFIED_FRAME, number % 2, number % FRAMES);
		number++;
	} while (next < FAILED(0) || next == FAILED(NMERR_FRAME_FAILED_FILTER));
	return (void *)(uintptr_t)next;
}

TEST_F(capture, an_expert_can_be_closed_while_threads_get_frames)
{
	pthread_t threads[4];
	void *error;

	for (int round = 0; round < 20; round++) {
		shared_key = open_with("", NULL, &thirds);
		get(shared_key, 0, 0, 0);
		for (int i = 0; i < 4; i++)
			pthread_create(&threads[i], NULL, get_until_closed,
				       GetFrame(capture_of(shared_key), 1));
		usleep(2000);
		expertmem_close(shared_key);
		for (int i = 0; i < 4; i++) {
			pthread_join(threads[i], &error);
			EXPECT_TRUE((uintptr_t)error == FAILED(NMERR_INVALID_EXPERT_HANDLE) ||
				    (uintptr_t)error == FAILED(NMERR_EXPERT_TERMINATE))
				TH_LOG("%lx", (uintptr_t)error);
		}
	}
}

TEST_F(capture, calls_take_the_lock_where_blocks_are_checked)
{
	HEXPERTKEY key;

	setenv("EXPERTMEM_DEBUG", "canary", 1);
	key = open_with("", NULL, &thirds);
	ASSERT_NE(NULL, key);
	EXPECT_EQ(7, get(key, GET_SPECIFIED_FRAME, 0, 7));
	EXPECT_EQ(8, get(key, GET_FRAME_NEXT_FORWARD, 0, 7));
	EXPECT_EQ(FAILED(NMERR_NO_MORE_FRAMES), walk(key, GET_FRAME_NEXT_FORWARD));
	EXPECT_EQ(FRAME_BYTES, GetFrameStoredLength(GetFrame(capture_of(key), 3)));
	expertmem_close(key);
}

/* ------------------------------------------------------------------ comment of any capture */

TEST_F(capture, the_comment_of_a_file_is_read_by_an_engine)
{
	char path[128], text[16];

	snprintf(path, sizeof(path), "%s.file", engines);
	setenv("FAKE_ENGINE", "", 1);
	EXPECT_EQ(NMERR_FILE_NOT_FOUND, GetCaptureCommentFromFilename(path, text, sizeof(text)));
	close(open(path, O_CREAT | O_WRONLY, 0600));
	EXPECT_EQ(NMERR_INVALID_PARAMETER, GetCaptureCommentFromFilename(NULL, text, 16));
	EXPECT_EQ(NMERR_INVALID_PARAMETER, GetCaptureCommentFromFilename(path, NULL, 16));
	EXPECT_EQ(NMERR_INVALID_PARAMETER, GetCaptureCommentFromFilename(path, text, 0));
	EXPECT_EQ(NMERR_FILE_READ_ERROR, GetCaptureCommentFromFilename(engines, text, 16));
	EXPECT_EQ(NMERR_SUCCESS, GetCaptureCommentFromFilename(path, text, sizeof(text)));
	EXPECT_STREQ("a comment", text);
	EXPECT_EQ(NMERR_SUCCESS, GetCaptureCommentFromFilename(path, text, 4));
	EXPECT_STREQ("a c", text);
	setenv("FAKE_ENGINE", "failed", 1);
	EXPECT_EQ(NMERR_INVALID_FILE_FORMAT, GetCaptureCommentFromFilename(path, text, 16));
	setenv("FAKE_ENGINE", "die-hello", 1);
	EXPECT_EQ(NMERR_LOST_CONNECTION, GetCaptureCommentFromFilename(path, text, 16));
	setenv("EXPERTMEM_ENGINES", "/nonexistent", 1);
	EXPECT_EQ(NMERR_NOT_SUPPORTED, GetCaptureCommentFromFilename(path, text, 16));
	EXPECT_STREQ("a c", text);
	unlink(path);
}

TEST_F(capture, terminate_ends_the_wait_for_a_comment)
{
	HEXPERTKEY key = open_with("", NULL, NULL);
	char path[128], text[16];
	pthread_t thread;

	snprintf(path, sizeof(path), "%s.file", engines);
	close(open(path, O_CREAT | O_WRONLY, 0600));
	setenv("FAKE_ENGINE", "loading", 1);
	pthread_create(&thread, NULL, terminate_soon, key);
	EXPECT_EQ(NMERR_EXPERT_TERMINATE, GetCaptureCommentFromFilename(path, text, 16));
	pthread_join(thread, NULL);
	unlink(path);
	expertmem_close(key);
}

TEST_HARNESS_MAIN
