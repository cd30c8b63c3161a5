// SPDX-License-Identifier: GPL-2.0
/*
 * The engines: what they load, their protocol, what they do when workers die, and their
 * sandbox. The client speaks the protocol itself, without the library.
 *
 * needs: native
 * also: slow
 */
#include <dirent.h>
#include <linux/magic.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/vfs.h>

#include "harness.h"
#include "protocol_test.h"

#define FAULTY		built("selftests/programs/faulty-engine")
#define FRAMES		1000

FIXTURE(engine)
{
	char directory[64];
	char capture[96];
	struct engine engine;
	struct session session;
};

FIXTURE_SETUP(engine)
{
	strcpy(self->directory, "/tmp/engine-XXXXXX");
	ASSERT_NE(NULL, mkdtemp(self->directory));
	ASSERT_EQ(0, chdir(self->directory));
	snprintf(self->capture, sizeof(self->capture), "%s/frames.pcap", self->directory);
	ASSERT_TRUE(pcap_write(self->capture, FRAMES));
	/* A tool that this process has started must not survive it. */
	signal(SIGPIPE, SIG_IGN);
}

FIXTURE_TEARDOWN(engine)
{
	char command[96];

	/* In 6.1's harness, an ASSERT here would never end after one that failed in the test. */
	snprintf(command, sizeof(command), "cd / && rm -rf %s", self->directory);
	if (system(command))
		fprintf(stderr, "# cannot remove %s\n", self->directory);
}

#define START(capture) ASSERT_TRUE(engine_start(&self->engine, pcap_engine(), capture, NULL, -1))
#define STOP() ASSERT_EQ(0, engine_stop(&self->engine))
#define CONNECT() ASSERT_TRUE(engine_connect(&self->engine, &self->session))
#define TOOL(command) do { if (system("{ " command "; } >/dev/null 2>&1"))	\
	SKIP(return, "this fails here: %s", command); } while (0)

/* Map the index or the frames of a capture that is READY. */
static const void *map_file(const struct engine *engine, int i)
{
	struct stat file;
	void *p;

	if (fstat(engine->files[i], &file) || !file.st_size)
		return NULL;
	p = mmap(NULL, (size_t)file.st_size, PROT_READ, MAP_SHARED, engine->files[i], 0);
	return p == MAP_FAILED ? NULL : p;
}

static const FRAME *frame_at(const uint64_t *index, const char *frames, uint32_t number)
{
	return (const FRAME *)(frames + (index[number] & 0xffffffffffff));
}

/* ------------------------------------------------------------------------ loading */

TEST_F(engine, the_state_has_the_numbers_of_the_capture)
{
	const volatile struct engine_state *state;

	START(self->capture);
	state = self->engine.state;
	ASSERT_EQ(ENGINE_READY, engine_wait(&self->engine));
	EXPECT_EQ(ENGINE_VERSION, state->version);
	EXPECT_EQ(ENGINE_PCAP, state->kind);
	EXPECT_EQ(1, state->link_type);
	EXPECT_EQ(FRAMES, state->frames);
	EXPECT_EQ(24 + FRAMES * (16 + 60), state->read);
	EXPECT_EQ(state->read, state->size);
	EXPECT_EQ(FRAMES * 80, state->frames_size);
	EXPECT_EQ(1000000000LL * 1000000000, state->start);
	EXPECT_EQ(state->start + 7000LL * (FRAMES - 1), state->end);
	EXPECT_EQ(1, state->workers);
	EXPECT_EQ(0, state->degraded);
	EXPECT_EQ(0, state->crashed);
	EXPECT_EQ(0, state->truncated);
	EXPECT_TRUE(is_alive((pid_t)state->process));
	EXPECT_STREQ("", (const char *)state->error);
	EXPECT_NE(NULL, strstr((const char *)state->software, "libpcap"));
	STOP();
}

TEST_F(engine, index_and_frames_are_those_of_the_capture)
{
	const uint64_t *index;
	const char *frames;

	START(self->capture);
	ASSERT_EQ(ENGINE_READY, engine_wait(&self->engine));
	index = map_file(&self->engine, 1);
	frames = map_file(&self->engine, 2);
	ASSERT_NE(NULL, index);
	ASSERT_NE(NULL, frames);
	for (uint32_t i = 0; i < FRAMES; i++) {
		const FRAME *frame = frame_at(index, frames, i);

		ASSERT_EQ(1, index[i] >> 48);
		ASSERT_EQ(0, (index[i] & 0xffffffffffff) % 16);
		ASSERT_EQ(7 * i, frame->TimeStamp);
		ASSERT_EQ(60, frame->FrameLength);
		ASSERT_EQ(60, frame->nBytesAvail);
		ASSERT_EQ(0, memcmp(&i, frame->MacFrame + 42, sizeof(i)));
	}
	STOP();
}

/* Compare with the lines of tshark: captured length, length on the wire, seconds since the first */
static void compare_with_tshark(struct __test_metadata *_metadata, const struct engine *engine,
				const char *capture)
{
	const uint64_t *index = map_file(engine, 1);
	const char *frames = map_file(engine, 2);
	unsigned int kept, length;
	char command[256];
	uint32_t n = 0;
	double time;
	FILE *lines;

	snprintf(command, sizeof(command), "tshark -n -r %s -T fields -e frame.cap_len "
		 "-e frame.len -e frame.time_relative 2>/dev/null", capture);
	lines = popen(command, "r");
	ASSERT_NE(NULL, lines);
	for (; fscanf(lines, "%u %u %lf", &kept, &length, &time) == 3; n++) {
		const FRAME *frame;

		ASSERT_LT(n, engine->state->frames);
		frame = frame_at(index, frames, n);
		EXPECT_EQ(kept, frame->nBytesAvail);
		EXPECT_EQ(length, frame->FrameLength);
		/* tshark prints nanoseconds; the engine rounds down to microseconds */
		EXPECT_GE(time * 1e6 + 0.01, (double)frame->TimeStamp);
		EXPECT_LT(time * 1e6 - 1.01, (double)frame->TimeStamp);
	}
	pclose(lines);
	EXPECT_EQ(n, engine->state->frames);
	EXPECT_GT(n, 0);
}

TEST_F(engine, captures_of_other_formats_equal_tshark)
{
	static const char *const formats[] = {
		"pcapng", "nsecpcap", "netmon2", "netmon1", "snoop", "lanalyzer", "nokiapcap",
	};

	TOOL("tshark --version && editcap --version");
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		char command[256];

		snprintf(command, sizeof(command), "editcap -s 50 -F %s frames.pcap other",
			 formats[i]);
		ASSERT_EQ(0, system(command)) TH_LOG("%s", formats[i]);
		START("other");
		ASSERT_EQ(ENGINE_READY, engine_wait(&self->engine)) TH_LOG("%s", formats[i]);
		EXPECT_EQ(FRAMES, self->engine.state->frames);
		EXPECT_EQ(1, self->engine.state->link_type);
		compare_with_tshark(_metadata, &self->engine, "other");
		STOP();
	}
}

TEST_F(engine, compressed_captures_are_read)
{
	static const char *const programs[] = { "gzip", "zstd -q", "lz4 -q" };

	for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++) {
		char command[256];

		snprintf(command, sizeof(command), "%s <frames.pcap >other 2>/dev/null",
			 programs[i]);
		if (system(command))
			continue;
		START("other");
		EXPECT_EQ(ENGINE_READY, engine_wait(&self->engine)) TH_LOG("%s", programs[i]);
		EXPECT_EQ(FRAMES, self->engine.state->frames);
		STOP();
	}
}

TEST_F(engine, interfaces_of_different_link_types_are_kept_apart)
{
	static const uint8_t ip[40] = { 0x45, 0, 0, 40, 0, 0, 0, 0, 64, 17 };
	FILE *file = pcap_create("raw.pcap", 101);
	const uint64_t *index;
	uint32_t filter, found[4];

	ASSERT_NE(NULL, file);
	pcap_add(file, 2000000000LL * 1000000, 40, ip, 40);
	fclose(file);
	TOOL("mergecap -F pcapng -w both frames.pcap raw.pcap");
	START("both");
	ASSERT_EQ(ENGINE_READY, engine_wait(&self->engine));
	ASSERT_EQ(FRAMES + 1, self->engine.state->frames);
	EXPECT_EQ(0xffff, self->engine.state->link_type);
	index = map_file(&self->engine, 1);
	EXPECT_EQ(1, index[0] >> 48);
	EXPECT_EQ(101, index[FRAMES] >> 48);
	compare_with_tshark(_metadata, &self->engine, "both");
	CONNECT();
	filter = ask_filter(&self->session, "ip proto 17 and len == 40");
	ASSERT_NE(ENGINE_NONE, filter);
	EXPECT_EQ(1, search(&self->session, filter, 0, 0, UINT32_MAX, found, 4));
	EXPECT_EQ(FRAMES, found[0]);
	session_close(&self->session);
	STOP();
}

TEST_F(engine, the_comment_of_a_pcapng_is_in_the_state)
{
	TOOL("editcap -F pcapng --capture-comment 'Bücher' frames.pcap other");
	START("other");
	ASSERT_EQ(ENGINE_READY, engine_wait(&self->engine));
	EXPECT_STREQ("Bücher", (const char *)self->engine.state->comment);
	STOP();
}

TEST_F(engine, standard_input_can_be_a_file_or_a_pipe)
{
	FILE *pipe = popen("cat frames.pcap", "r");
	int file = open(self->capture, O_RDONLY);

	ASSERT_TRUE(engine_start(&self->engine, pcap_engine(), "-", NULL, file));
	EXPECT_EQ(ENGINE_READY, engine_wait(&self->engine));
	EXPECT_EQ(FRAMES, self->engine.state->frames);
	EXPECT_EQ(24 + FRAMES * 76, self->engine.state->size);
	STOP();
	close(file);
	ASSERT_TRUE(engine_start(&self->engine, pcap_engine(), "-", NULL, fileno(pipe)));
	EXPECT_EQ(ENGINE_READY, engine_wait(&self->engine));
	EXPECT_EQ(FRAMES, self->engine.state->frames);
	EXPECT_EQ(0, self->engine.state->size);
	STOP();
	pclose(pipe);
}

TEST_F(engine, a_named_pipe_is_read_when_somebody_writes_to_it)
{
	ASSERT_EQ(0, mkfifo("fifo", 0600));
	START("fifo");
	EXPECT_EQ(ENGINE_STARTING, self->engine.state->phase);
	ASSERT_EQ(0, system("cat frames.pcap >fifo"));
	EXPECT_EQ(ENGINE_READY, engine_wait(&self->engine));
	EXPECT_EQ(FRAMES, self->engine.state->frames);
	STOP();
}

TEST_F(engine, an_engine_ends_that_waits_for_a_named_pipe)
{
	ASSERT_EQ(0, mkfifo("fifo", 0600));
	START("fifo");
	engine_worker(&self->engine, 0);
	STOP();
}

TEST_F(engine, a_capture_without_frames_is_ready)
{
	fclose(pcap_create("none", 1));
	START("none");
	EXPECT_EQ(ENGINE_READY, engine_wait(&self->engine));
	EXPECT_EQ(0, self->engine.state->frames);
	EXPECT_EQ(1, self->engine.state->link_type);
	CONNECT();
	EXPECT_NE(ENGINE_NONE, ask_filter(&self->session, "tcp"));
	EXPECT_EQ(NMERR_FRAME_NOT_FOUND, ask(&self->session, (struct engine_request){
		.op = ENGINE_SEARCH, .count = 1, .id = ENGINE_NONE }, NULL));
	session_close(&self->session);
	STOP();
}

TEST_F(engine, what_is_no_capture_fails_with_a_reason_and_a_remedy)
{
	static const struct {
		const char *path, *reason;
	} wrong[] = {
		{ "/", "directory; name a file" },
		{ "absent", "No such file or directory; check the path" },
		{ "empty", "empty, or cut short" },
		{ "noise", "no format that Wireshark reads; if another program" },
		{ "/dev/null", "neither a file nor a pipe" },
		{ "head", "cut short" },
	};

	ASSERT_EQ(0, system(": >empty; head -c 30 frames.pcap >head;"
			    "head -c 100000 frames.pcap | tail -c 70000 | tr '\\0' '\\377' >noise"));
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		START(wrong[i].path);
		EXPECT_EQ(ENGINE_FAILED, engine_wait(&self->engine)) TH_LOG("%s", wrong[i].path);
		EXPECT_NE(NULL, strstr((const char *)self->engine.state->error, wrong[i].reason))
			TH_LOG("%s: %s", wrong[i].path, (const char *)self->engine.state->error);
		STOP();
	}
}

TEST_F(engine, a_capture_that_is_cut_off_has_the_frames_before)
{
	/* the header, nine frames, and a part of the tenth */
	ASSERT_EQ(0, truncate(self->capture, 24 + 9 * 76 + 40));
	START(self->capture);
	EXPECT_EQ(ENGINE_READY, engine_wait(&self->engine));
	EXPECT_EQ(9, self->engine.state->frames);
	EXPECT_EQ(1, self->engine.state->truncated);
	EXPECT_STREQ("it is cut short", (const char *)self->engine.state->error);
	STOP();
}

TEST_F(engine, a_damaged_capture_has_the_frames_before)
{
	const uint32_t huge = 0x7fffffff;
	int file = open(self->capture, O_WRONLY);

	ASSERT_EQ(4, pwrite(file, &huge, 4, 24 + 5 * 76 + 8));
	close(file);
	START(self->capture);
	EXPECT_EQ(ENGINE_READY, engine_wait(&self->engine));
	EXPECT_EQ(5, self->engine.state->frames);
	EXPECT_EQ(1, self->engine.state->truncated);
	EXPECT_NE(0, self->engine.state->error[0]);
	STOP();
}

/* Wireshark 4.0 returns true for such a record of this format, which is the record before then. */
TEST_F(engine, a_record_that_cannot_be_parsed_is_no_frame)
{
	FILE *file = fopen("netscreen", "w");

	ASSERT_NE(NULL, file);
	fputs("2000.0: trust(i) len=16:00121ebbd132->00600868d659/0800\n"
	      "              00 60 08 68 d6 59 00 12 1e bb d1 32 08 00 45 00     .`.h.Y.....2..E.\n"
	      "\n"
	      "2001.0: trust(i) len=zz:00121ebbd132->00600868d659/0800\n"
	      "              00 60 08 68 d6 59 00 12 1e bb d1 32 08 00 45 00     .`.h.Y.....2..E.\n"
	      "\n", file);
	fclose(file);
	START("netscreen");
	EXPECT_EQ(ENGINE_READY, engine_wait(&self->engine));
	EXPECT_EQ(1, self->engine.state->frames);
	EXPECT_EQ(1, self->engine.state->truncated);
	EXPECT_NE(NULL, strstr((const char *)self->engine.state->error, "packet-header"));
	STOP();
}

TEST_F(engine, time_stamps_may_go_backwards)
{
	FILE *file = pcap_create("back", 1);
	const uint64_t *index;
	const char *frames;

	pcap_add(file, 5000000, 4, "abcd", 4);
	pcap_add(file, 4999999, 100, "abcd", 4);
	fclose(file);
	START("back");
	ASSERT_EQ(ENGINE_READY, engine_wait(&self->engine));
	EXPECT_EQ(5000000000LL, self->engine.state->start);
	EXPECT_EQ(5000000000LL, self->engine.state->end);
	index = map_file(&self->engine, 1);
	frames = map_file(&self->engine, 2);
	EXPECT_EQ(-1, frame_at(index, frames, 1)->TimeStamp);
	EXPECT_EQ(100, frame_at(index, frames, 1)->FrameLength);
	EXPECT_EQ(4, frame_at(index, frames, 1)->nBytesAvail);
	STOP();
}

TEST_F(engine, frames_larger_than_the_buffers_are_kept)
{
	static char large[262144];
	FILE *file = pcap_create("large", 1);
	const uint64_t *index;
	const char *frames;

	for (int i = 0; i < 20; i++) {
		memset(large, 'a' + i, sizeof(large));
		pcap_add(file, i, sizeof(large), large, (uint32_t)sizeof(large) - i);
	}
	fclose(file);
	START("large");
	ASSERT_EQ(ENGINE_READY, engine_wait(&self->engine));
	ASSERT_EQ(20, self->engine.state->frames);
	index = map_file(&self->engine, 1);
	frames = map_file(&self->engine, 2);
	for (int i = 0; i < 20; i++) {
		const FRAME *frame = frame_at(index, frames, i);

		memset(large, 'a' + i, sizeof(large));
		ASSERT_EQ(sizeof(large) - i, frame->nBytesAvail);
		ASSERT_EQ(0, memcmp(large, frame->MacFrame, sizeof(large) - i));
	}
	STOP();
}

/* -------------------------------------------------------------- files of the engine */

TEST_F(engine, nobody_can_write_to_the_files)
{
	char byte = 0;

	START(self->capture);
	ASSERT_EQ(ENGINE_READY, engine_wait(&self->engine));
	for (int i = 0; i < 3; i++) {
		EXPECT_EQ(-1, pwrite(self->engine.files[i], &byte, 1, 0));
		EXPECT_EQ(EBADF, errno);
		EXPECT_EQ(MAP_FAILED, mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED,
					   self->engine.files[i], 0));
	}
	for (int i = 1; i < 3; i++) {
		const int sealed = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK;

		EXPECT_EQ(sealed, fcntl(self->engine.files[i], F_GET_SEALS) & sealed);
	}
	EXPECT_NE(0, fcntl(self->engine.files[0], F_GET_SEALS) & F_SEAL_SHRINK);
	STOP();
}

/* Are the frames in memory? */
static bool in_memory(const struct engine *engine)
{
	return fcntl(engine->files[2], F_GET_SEALS) >= 0;
}

/* Does the kernel make files without a name in this directory, which is on a disk? */
static bool has_disk(const char *directory)
{
	int fd = open(directory, O_TMPFILE | O_RDWR | O_EXCL, 0600);
	struct statfs system;
	bool disk = fd >= 0 && !fstatfs(fd, &system) && system.f_type != TMPFS_MAGIC &&
		    system.f_type != RAMFS_MAGIC;

	if (fd >= 0)
		close(fd);
	return disk;
}

TEST_F(engine, frames_of_compressed_captures_and_pipes_are_on_a_disk)
{
	static const char *const programs[] = { "gzip", "zstd -q", "lz4 -q" };
	FILE *pipe = popen("cat frames.pcap", "r");

	if (!has_disk("/var/tmp"))
		SKIP(return, "/var/tmp is on no disk");
	START(self->capture);
	EXPECT_TRUE(in_memory(&self->engine));
	STOP();
	for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++) {
		char command[256];

		snprintf(command, sizeof(command), "%s <frames.pcap >other 2>/dev/null",
			 programs[i]);
		if (system(command))
			continue;
		START("other");
		EXPECT_EQ(ENGINE_READY, engine_wait(&self->engine)) TH_LOG("%s", programs[i]);
		EXPECT_FALSE(in_memory(&self->engine)) TH_LOG("%s", programs[i]);
		STOP();
	}
	ASSERT_TRUE(engine_start(&self->engine, pcap_engine(), "-", NULL, fileno(pipe)));
	EXPECT_EQ(ENGINE_READY, engine_wait(&self->engine));
	EXPECT_FALSE(in_memory(&self->engine));
	EXPECT_EQ(FRAMES, self->engine.state->frames);
	STOP();
	pclose(pipe);
}

TEST_F(engine, frames_that_exceed_the_limit_of_files_fail_with_a_remedy)
{
	struct rlimit limit, old;

	/* 20 MB of frames. The engine's other files take less than 16 MiB each. */
	ASSERT_TRUE(pcap_write(self->capture, 250000));
	ASSERT_EQ(0, getrlimit(RLIMIT_FSIZE, &old));
	limit = (struct rlimit){ 16 << 20, old.rlim_max };
	ASSERT_EQ(0, setrlimit(RLIMIT_FSIZE, &limit));
	START(self->capture);
	setrlimit(RLIMIT_FSIZE, &old);
	EXPECT_EQ(ENGINE_FAILED, engine_wait(&self->engine));
	EXPECT_NE(NULL, strstr((const char *)self->engine.state->error, "quarter"))
		TH_LOG("%s", (const char *)self->engine.state->error);
	EXPECT_NE(NULL, strstr((const char *)self->engine.state->error, "; set TMPDIR"));
	STOP();
}

/* ---------------------------------------------------------------- filters, searches */

TEST_F(engine, a_search_goes_both_ways_and_within_bounds)
{
	uint32_t filter, found[FRAMES];

	START(self->capture);
	ASSERT_EQ(ENGINE_READY, engine_wait(&self->engine));
	CONNECT();
	filter = ask_filter(&self->session, "udp src port 1003");
	ASSERT_NE(ENGINE_NONE, filter);
	EXPECT_EQ(FRAMES / 10, search(&self->session, filter, 0, 0, UINT32_MAX, found, FRAMES));
	for (int i = 0; i < FRAMES / 10; i++)
		EXPECT_EQ(10 * i + 3, found[i]);
	EXPECT_EQ(FRAMES / 10, search(&self->session, filter, ENGINE_BACKWARD, FRAMES - 1,
				      UINT32_MAX, found, FRAMES));
	EXPECT_EQ(993, found[0]);
	EXPECT_EQ(3, found[FRAMES / 10 - 1]);
	/* itself included */
	EXPECT_EQ(1, search(&self->session, filter, 0, 13, 1, found, 1));
	EXPECT_EQ(13, found[0]);
	EXPECT_EQ(0, search(&self->session, filter, 0, 14, 9, found, 1));
	EXPECT_EQ(1, search(&self->session, filter, ENGINE_BACKWARD, 14, 2, found, 1));
	/* without a filter all pass */
	EXPECT_EQ(7, search(&self->session, ENGINE_NONE, 0, 3, 7, found, FRAMES));
	EXPECT_EQ(9, found[6]);
	EXPECT_EQ(NMERR_FRAME_NOT_FOUND, ask(&self->session, (struct engine_request){
		.op = ENGINE_SEARCH, .frame = FRAMES, .count = 1, .id = filter }, NULL));
	EXPECT_EQ(NMERR_INVALID_HFILTER, ask(&self->session, (struct engine_request){
		.op = ENGINE_SEARCH, .count = 1, .id = filter + 1 }, NULL));
	session_close(&self->session);
	STOP();
}

TEST_F(engine, the_reply_says_where_a_search_goes_on)
{
	struct engine_request request = {
		.op = ENGINE_SEARCH, .frame = 10, .count = 5, .id = ENGINE_NONE,
	};

	START(self->capture);
	ASSERT_EQ(ENGINE_READY, engine_wait(&self->engine));
	CONNECT();
	EXPECT_EQ(NMERR_SUCCESS, ask(&self->session, request, NULL));
	EXPECT_EQ(5, self->session.reply.count);
	EXPECT_EQ(20, self->session.reply.size);
	EXPECT_EQ(15, self->session.reply.next);
	request.flags = ENGINE_BACKWARD;
	EXPECT_EQ(NMERR_SUCCESS, ask(&self->session, request, NULL));
	EXPECT_EQ(5, self->session.reply.next);
	request.count = 100;
	EXPECT_EQ(NMERR_SUCCESS, ask(&self->session, request, NULL));
	EXPECT_EQ(11, self->session.reply.count);
	EXPECT_EQ(ENGINE_NONE, self->session.reply.next);
	session_close(&self->session);
	STOP();
}

TEST_F(engine, the_users_filter_is_applied_where_it_is_asked_for)
{
	static const char *const arguments[] = { "--filter", "udp src port 1003 or 1004", NULL };
	uint32_t filter, found[FRAMES];

	ASSERT_TRUE(engine_start(&self->engine, pcap_engine(), self->capture, arguments, -1));
	ASSERT_EQ(ENGINE_READY, engine_wait(&self->engine));
	CONNECT();
	filter = ask_filter(&self->session, "udp src port 1004 or 1005");
	EXPECT_EQ(200, search(&self->session, ENGINE_NONE, ENGINE_USER, 0, FRAMES, found, FRAMES));
	EXPECT_EQ(200, search(&self->session, filter, 0, 0, FRAMES, found, FRAMES));
	EXPECT_EQ(100, search(&self->session, filter, ENGINE_USER, 0, FRAMES, found, FRAMES));
	EXPECT_EQ(4, found[0]);
	EXPECT_EQ(FRAMES, search(&self->session, ENGINE_NONE, 0, 0, FRAMES, found, FRAMES));
	session_close(&self->session);
	STOP();
}

TEST_F(engine, a_wrong_filter_of_the_user_fails_with_libpcaps_words)
{
	static const char *const arguments[] = { "--filter", "tcp prt 80", NULL };

	ASSERT_TRUE(engine_start(&self->engine, pcap_engine(), self->capture, arguments, -1));
	EXPECT_EQ(ENGINE_FAILED, engine_wait(&self->engine));
	EXPECT_NE(NULL, strstr((const char *)self->engine.state->error, "syntax error"));
	STOP();
}

TEST_F(engine, a_wrong_filter_of_an_expert_has_libpcaps_words)
{
	START(self->capture);
	ASSERT_EQ(ENGINE_READY, engine_wait(&self->engine));
	CONNECT();
	EXPECT_EQ(NMERR_FILTER_INVALID_EXPRESSION, ask(&self->session,
		  (struct engine_request){ .op = ENGINE_FILTER }, "tcp prt 80"));
	EXPECT_NE(NULL, strstr(self->session.reply.text, "syntax error"));
	session_close(&self->session);
	STOP();
}

TEST_F(engine, a_filter_names_ports_and_protocols_but_no_hosts)
{
	uint32_t found[1];

	START(self->capture);
	ASSERT_EQ(ENGINE_READY, engine_wait(&self->engine));
	CONNECT();
	if (access("/etc/services", R_OK) || access("/etc/protocols", R_OK))
		SKIP(return, "/etc/services or /etc/protocols is not installed");
	EXPECT_EQ(FRAMES, search(&self->session, ask_filter(&self->session, "udp port domain"), 0,
				 0, FRAMES, found, 1));
	EXPECT_EQ(FRAMES, search(&self->session, ask_filter(&self->session, "ip proto udp"), 0, 0,
				 FRAMES, found, 1));
	EXPECT_EQ(FRAMES, search(&self->session, ask_filter(&self->session, "dst host 10.0.0.2"),
				 0, 0, FRAMES, found, 1));
	EXPECT_NE(ENGINE_NONE, ask_filter(&self->session, "ip6 host ::1"));
	EXPECT_EQ(ENGINE_NONE, ask_filter(&self->session, "port nosuchname"));
	EXPECT_EQ(ENGINE_NONE, ask_filter(&self->session, "host localhost"));
	EXPECT_NE(NULL, strstr(self->session.reply.text, "unknown host"));
	EXPECT_EQ(ENGINE_NONE, ask_filter(&self->session, "net loopback"));
	EXPECT_EQ(ENGINE_NONE, ask_filter(&self->session, "ether host nobody"));
	EXPECT_EQ(1, self->engine.state->workers);
	session_close(&self->session);
	STOP();
}

TEST_F(engine, a_filter_for_frames_without_their_pseudo_header_is_refused)
{
	FILE *file = pcap_create("bluetooth", 201);

	ASSERT_NE(NULL, file);
	pcap_add(file, 0, 8, "\0\0\0\1abcd", 8);
	fclose(file);
	START("bluetooth");
	ASSERT_EQ(ENGINE_READY, engine_wait(&self->engine));
	EXPECT_EQ(201, self->engine.state->link_type);
	CONNECT();
	EXPECT_EQ(ENGINE_NONE, ask_filter(&self->session, "len == 4"));
	EXPECT_NE(NULL, strstr(self->session.reply.text, "pseudo-header"));
	session_close(&self->session);
	STOP();
}

TEST_F(engine, a_filter_belongs_to_its_client)
{
	struct session other;
	uint32_t filter;

	START(self->capture);
	ASSERT_EQ(ENGINE_READY, engine_wait(&self->engine));
	CONNECT();
	ASSERT_TRUE(engine_connect(&self->engine, &other));
	filter = ask_filter(&self->session, "udp");
	ASSERT_NE(ENGINE_NONE, filter);
	EXPECT_EQ(-1, search(&other, filter, 0, 0, 1, NULL, 0));
	EXPECT_EQ(NMERR_INVALID_HFILTER, other.reply.error);
	EXPECT_EQ(NMERR_INVALID_HFILTER, ask(&other, (struct engine_request){
		.op = ENGINE_DROP_FILTER, .id = filter }, NULL));
	EXPECT_EQ(1, search(&self->session, filter, 0, 0, 1, NULL, 0));
	EXPECT_EQ(NMERR_SUCCESS, ask(&self->session, (struct engine_request){
		.op = ENGINE_DROP_FILTER, .id = filter }, NULL));
	EXPECT_EQ(NMERR_INVALID_HFILTER, ask(&self->session, (struct engine_request){
		.op = ENGINE_DROP_FILTER, .id = filter }, NULL));
	session_close(&self->session);
	session_close(&other);
	STOP();
}

TEST_F(engine, filters_are_limited_in_number_and_freed_with_their_client)
{
	START(self->capture);
	ASSERT_EQ(ENGINE_READY, engine_wait(&self->engine));
	for (int round = 0; round < 2; round++) {
		int n = 0;

		CONNECT();
		while (ask_filter(&self->session, "udp") != ENGINE_NONE)
			n++;
		EXPECT_EQ(1024, n);
		EXPECT_EQ(NMERR_OUT_OF_MEMORY, self->session.reply.error);
		session_close(&self->session);
	}
	STOP();
}

TEST_F(engine, the_pcap_engine_refuses_what_needs_dissectors)
{
	static const uint32_t ops[] = {
		ENGINE_PROPERTIES, ENGINE_PROTOCOLS, ENGINE_PROTOCOL, ENGINE_FIELD_INFO,
		ENGINE_FIELDS, 0, 9, UINT32_MAX,
	};

	START(self->capture);
	ASSERT_EQ(ENGINE_READY, engine_wait(&self->engine));
	CONNECT();
	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
		EXPECT_EQ(NMERR_NOT_SUPPORTED, ask(&self->session,
			  (struct engine_request){ .op = ops[i], .count = 1 }, "ip"));
		EXPECT_EQ(ops[i], self->session.reply.op);
	}
	session_close(&self->session);
	STOP();
}

/* ------------------------------------------------------------------------ garbage */

TEST_F(engine, a_client_that_sends_garbage_is_disconnected_and_others_go_on)
{
	static const uint32_t head = offsetof(struct engine_request, text);
	struct engine_request request = { .op = ENGINE_SEARCH, .id = ENGINE_NONE, .count = 1 };
	static char large[65536];
	struct session other;

	START(self->capture);
	ASSERT_EQ(ENGINE_READY, engine_wait(&self->engine));
	ASSERT_TRUE(engine_connect(&self->engine, &other));
	for (int i = 0; i < 6; i++) {
		const void *bytes = &request;
		size_t size = head;

		CONNECT();
		request.length = 0;
		request.op = ENGINE_FILTER;
		switch (i) {
		case 0:		/* too short */
			size = head - 1;
			break;
		case 1:		/* one byte */
			size = 1;
			break;
		case 2:		/* a length that is not that of the message */
			request.length = 5;
			break;
		case 3:		/* a text without a null */
			request.length = 4;
			memcpy(request.text, "ipip", 4);
			size = head + 4;
			break;
		case 4:		/* larger than any request */
			bytes = large;
			size = sizeof(large);
			break;
		case 5:		/* a length of 4 GiB */
			request.length = UINT32_MAX;
			break;
		}
		ASSERT_EQ(size, send(self->session.fd, bytes, size, MSG_NOSIGNAL));
		/* the end, or ECONNRESET as the message was not read */
		EXPECT_GE(0, recv(self->session.fd, large, sizeof(large), 0))
			TH_LOG("message %d", i);
		session_close(&self->session);
		request.length = 0;
		request.op = ENGINE_SEARCH;
		EXPECT_EQ(NMERR_SUCCESS, ask(&other, request, NULL));
	}
	EXPECT_EQ(1, self->engine.state->workers);
	session_close(&other);
	STOP();
}

TEST_F(engine, garbage_on_the_control_socket_is_ignored)
{
	struct engine_control body = { ENGINE_CONNECT, ENGINE_VERSION };
	int many[8], pair[2], short_file = results_file(ENGINE_RESULTS - 1);

	START(self->capture);
	ASSERT_EQ(ENGINE_READY, engine_wait(&self->engine));
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair));
	for (int i = 0; i < 8; i++)
		many[i] = pair[1];
	/* without descriptors, with one, with too many, with wrong ones */
	EXPECT_TRUE(send_control(self->engine.control, &body, sizeof(body), NULL, 0));
	EXPECT_TRUE(send_control(self->engine.control, &body, sizeof(body), many, 1));
	EXPECT_TRUE(send_control(self->engine.control, &body, sizeof(body), many, 2));
	EXPECT_TRUE(send_control(self->engine.control, &body, sizeof(body), many, 8));
	many[1] = short_file;
	EXPECT_TRUE(send_control(self->engine.control, &body, sizeof(body), many, 2));
	many[0] = many[1] = open(self->capture, O_RDWR);
	EXPECT_TRUE(send_control(self->engine.control, &body, sizeof(body), many, 2));
	/* other messages */
	EXPECT_TRUE(send_control(self->engine.control, &body, 3, NULL, 0));
	body.message = 77;
	EXPECT_TRUE(send_control(self->engine.control, &body, sizeof(body), NULL, 0));
	body = (struct engine_control){ ENGINE_CONNECT, ENGINE_VERSION + 1 };
	EXPECT_TRUE(send_control(self->engine.control, &body, sizeof(body), many, 2));
	close(pair[1]);
	/* no descriptor of all these is left: the other end is closed */
	EXPECT_EQ(0, recv(pair[0], many, sizeof(many), 0));
	CONNECT();
	EXPECT_NE(ENGINE_NONE, ask_filter(&self->session, "udp"));
	session_close(&self->session);
	STOP();
}

TEST_F(engine, a_client_that_reads_no_replies_does_not_hold_up_others)
{
	struct engine_request request = { .op = ENGINE_SEARCH, .id = ENGINE_NONE, .count = 1 };
	struct session other;
	char byte;

	START(self->capture);
	ASSERT_EQ(ENGINE_READY, engine_wait(&self->engine));
	CONNECT();
	ASSERT_TRUE(engine_connect(&self->engine, &other));
	/* The engine drops the client when its socket is full. */
	while (request_send(&self->session, &request, NULL))
		;
	EXPECT_EQ(NMERR_SUCCESS, ask(&other, request, NULL));
	while (recv(self->session.fd, &byte, 1, MSG_DONTWAIT) > 0)
		;
	EXPECT_NE(EAGAIN, errno == EAGAIN ? EAGAIN : 0);
	session_close(&self->session);
	session_close(&other);
	STOP();
}

TEST_F(engine, many_clients_are_served)
{
	struct engine_request request = { .op = ENGINE_SEARCH, .id = ENGINE_NONE, .count = 3 };
	struct session sessions[100];

	START(self->capture);
	for (int i = 0; i < 100; i++)
		ASSERT_TRUE(engine_connect(&self->engine, &sessions[i]));
	for (int i = 0; i < 100; i++)
		ASSERT_TRUE(request_send(&sessions[i], &request, NULL));
	for (int i = 99; i >= 0; i--) {
		ASSERT_TRUE(reply_receive(&sessions[i]));
		EXPECT_EQ(3, sessions[i].reply.count);
		EXPECT_EQ(2, ((const uint32_t *)sessions[i].results)[2]);
	}
	for (int i = 0; i < 100; i++)
		session_close(&sessions[i]);
	STOP();
}

/* Set the limit of descriptors of a process. The hard one stays as it is if @hard is 0. */
static bool limit_files(pid_t pid, rlim_t soft, rlim_t hard)
{
	struct rlimit limit;

	if (prlimit(pid, RLIMIT_NOFILE, NULL, &limit))
		return false;
	limit = (struct rlimit){ soft, hard ? hard : limit.rlim_max };
	return !prlimit(pid, RLIMIT_NOFILE, &limit, NULL);
}

TEST_F(engine, a_low_soft_limit_of_descriptors_is_raised)
{
	struct rlimit limit;

	ASSERT_TRUE(limit_files(0, 64, 0));
	START(self->capture);
	ASSERT_EQ(ENGINE_READY, engine_wait(&self->engine));
	ASSERT_EQ(0, prlimit(self->engine.pid, RLIMIT_NOFILE, NULL, &limit));
	EXPECT_EQ(limit.rlim_max, limit.rlim_cur);
	STOP();
}

TEST_F(engine, a_client_for_whom_the_supervisor_has_no_descriptor_is_disconnected)
{
	struct session sessions[100];
	int served = 0;

	START(self->capture);
	ASSERT_EQ(ENGINE_READY, engine_wait(&self->engine));
	ASSERT_TRUE(limit_files(self->engine.pid, 64, 64));
	for (int i = 0; i < 100; i++) {
		ASSERT_TRUE(engine_connect(&self->engine, &sessions[i]));
		served += ask(&sessions[i], (struct engine_request){ .op = ENGINE_SEARCH,
			      .id = ENGINE_NONE, .count = 1 }, NULL) == NMERR_SUCCESS;
	}
	EXPECT_LT(10, served);
	EXPECT_GT(32, served);
	for (int i = 0; i < 100; i++)
		session_close(&sessions[i]);
	/* The supervisor ends, so it holds no client without a socket. */
	STOP();
}

TEST_F(engine, a_client_for_whom_the_worker_has_no_descriptor_is_disconnected)
{
	struct session sessions[30];
	int served = 0;

	START(self->capture);
	ASSERT_EQ(ENGINE_READY, engine_wait(&self->engine));
	ASSERT_TRUE(limit_files(engine_worker(&self->engine, 0), 20, 20));
	for (int i = 0; i < 30; i++) {
		ASSERT_TRUE(engine_connect(&self->engine, &sessions[i]));
		served += ask(&sessions[i], (struct engine_request){ .op = ENGINE_SEARCH,
			      .id = ENGINE_NONE, .count = 1 }, NULL) == NMERR_SUCCESS;
	}
	EXPECT_LT(5, served);
	EXPECT_GT(20, served);
	EXPECT_EQ(1, self->engine.state->workers);
	for (int i = 0; i < 30; i++)
		session_close(&sessions[i]);
	STOP();
}

/* --------------------------------------------------------------- ends and new workers */

TEST_F(engine, the_engine_ends_with_the_host_and_its_experts)
{
	pid_t worker;

	START(self->capture);
	ASSERT_EQ(ENGINE_READY, engine_wait(&self->engine));
	CONNECT();
	EXPECT_NE(ENGINE_NONE, ask_filter(&self->session, "udp"));
	worker = engine_worker(&self->engine, 0);
	/* An expert goes on without the host. */
	close(self->engine.control);
	EXPECT_NE(ENGINE_NONE, ask_filter(&self->session, "udp"));
	EXPECT_TRUE(is_alive(self->engine.pid));
	session_close(&self->session);
	EXPECT_EQ(self->engine.pid, waitpid(self->engine.pid, NULL, 0));
	EXPECT_FALSE(is_alive(worker));
}

TEST_F(engine, a_killed_supervisor_takes_its_worker_along)
{
	pid_t worker;

	START(self->capture);
	ASSERT_EQ(ENGINE_READY, engine_wait(&self->engine));
	CONNECT();
	worker = engine_worker(&self->engine, 0);
	ASSERT_EQ(0, kill(self->engine.pid, SIGKILL));
	EXPECT_EQ(self->engine.pid, waitpid(self->engine.pid, NULL, 0));
	EXPECT_TRUE(has_ended(worker));
	EXPECT_EQ(UINT32_MAX, ask(&self->session, (struct engine_request){
		.op = ENGINE_SEARCH, .id = ENGINE_NONE, .count = 1 }, NULL));
	session_close(&self->session);
}

/* The supervisor of whoever is killed at a random moment, and its worker, come to an end. */
TEST_F(engine, whoever_is_killed_at_a_random_time_leaves_no_process)
{
	const char *factor = getenv("EXPERTMEM_ROUNDS");
	int rounds = factor ? (int)(1000 * atof(factor)) : 1000;

	/* An engine is no child of its host; when the host has ended, it becomes one of the test. */
	ASSERT_EQ(0, prctl(PR_SET_CHILD_SUBREAPER, 1));
	srandom(1);
	for (int i = 0; i < rounds; i++) {
		int link[2];
		pid_t host, pids[2];

		ASSERT_EQ(0, pipe2(link, O_CLOEXEC));
		host = fork();
		if (!host) {
			struct engine engine;
			struct session session;

			if (!engine_start(&engine, pcap_engine(), self->capture, NULL, -1))
				_exit(1);
			pids[0] = engine.pid;
			pids[1] = (pid_t)engine.state->process;
			write(link[1], pids, sizeof(pids));
			engine_wait(&engine);
			engine_connect(&engine, &session);
			while (ask(&session, (struct engine_request){ .op = ENGINE_SEARCH,
				   .id = ENGINE_NONE, .count = 9 }, NULL) != UINT32_MAX)
				;
			pause();
		}
		close(link[1]);
		ASSERT_EQ(sizeof(pids), read(link[0], pids, sizeof(pids)));
		close(link[0]);
		usleep((useconds_t)(random() % 40000));
		/* the host, the supervisor, or the first worker and then the host */
		if (i % 3 == 1)
			kill(pids[0], SIGKILL);
		if (i % 3 == 2 && pids[1] > 0)
			kill(pids[1], SIGKILL);
		if (i % 3 == 2)
			usleep((useconds_t)(random() % 20000));
		kill(host, SIGKILL);
		ASSERT_TRUE(all_have_ended());
	}
}

TEST_F(engine, answers_go_on_when_workers_are_killed)
{
	uint32_t filter, found[FRAMES];

	START(self->capture);
	ASSERT_EQ(ENGINE_READY, engine_wait(&self->engine));
	CONNECT();
	filter = ask_filter(&self->session, "udp src port 1003");
	for (uint32_t i = 0; i < 20; i++) {
		kill(engine_worker(&self->engine, i), i % 2 ? SIGKILL : SIGSEGV);
		ASSERT_EQ(100, search(&self->session, filter, 0, 0, FRAMES, found, FRAMES));
		ASSERT_EQ(993, found[99]);
	}
	EXPECT_EQ(ENGINE_READY, self->engine.state->phase);
	EXPECT_LE(20, self->engine.state->workers);
	EXPECT_EQ(0, self->engine.state->degraded);
	EXPECT_EQ(FRAMES, self->engine.state->frames);
	session_close(&self->session);
	STOP();
}

/* ----------------------------------------------------------- frames that crash or hang */

/* Write a capture whose frames are words. */
static bool write_words(const char *path, const char *const *words)
{
	FILE *file = pcap_create(path, 1);

	for (int i = 0; file && words[i]; i++)
		pcap_add(file, i, 64, words[i], (uint32_t)strlen(words[i]));
	return file && !fclose(file);
}

#define WORDS(...) ASSERT_TRUE(write_words("words", (const char *const[]){ __VA_ARGS__, NULL }))
#define START_FAULTY(...) do {								\
	static const char *const faulty_arguments[] = { __VA_ARGS__ };			\
	ASSERT_TRUE(engine_start(&self->engine, FAULTY, "words", faulty_arguments, -1));	\
	ASSERT_EQ(ENGINE_READY, engine_wait(&self->engine));				\
	CONNECT(); } while (0)

/* Get the properties of a frame by one request: the error of the frame, or UINT32_MAX. */
static uint32_t frame_error(struct session *session, uint32_t frame)
{
	const struct engine_request request = {
		.op = ENGINE_PROPERTIES, .frame = frame, .count = 1,
	};
	const struct engine_frame *head = (const struct engine_frame *)session->results;

	if (ask(session, request, NULL) || session->reply.count != 1 || head->frame != frame)
		return UINT32_MAX;
	return head->error;
}

TEST_F(engine, a_request_that_names_fields_names_1_to_64_whole_numbers)
{
	const struct engine_request request = {
		.op = ENGINE_PROPERTIES, .flags = ENGINE_ASKED, .count = 1,
	};
	const size_t most = ENGINE_ASKED_MAX * sizeof(uint32_t);

	WORDS("good");
	START_FAULTY(NULL);
	EXPECT_EQ(NMERR_NOT_SUPPORTED, ask(&self->session, request, NULL));
	for (size_t size = 0; size < most + 9; size++) {
		char text[300] = "";

		memset(text, 'f', size);
		EXPECT_EQ(size && size % 4 == 0 && size <= most ? NMERR_SUCCESS :
								  NMERR_NOT_SUPPORTED,
			  ask(&self->session, request, text));
	}
	session_close(&self->session);
	STOP();
}

TEST_F(engine, a_crash_costs_one_frame_its_properties)
{
	WORDS("good", "CRASH", "good", "ABORT", "good");
	START_FAULTY(NULL);
	for (int round = 0; round < 2; round++) {
		EXPECT_EQ(0, frame_error(&self->session, 0));
		EXPECT_EQ(NMERR_INTERNAL_EXCEPTION, frame_error(&self->session, 1));
		EXPECT_EQ(0, frame_error(&self->session, 2));
		EXPECT_EQ(NMERR_INTERNAL_EXCEPTION, frame_error(&self->session, 3));
		EXPECT_EQ(0, frame_error(&self->session, 4));
	}
	EXPECT_EQ(2, self->engine.state->crashed);
	EXPECT_EQ(3, self->engine.state->workers);
	EXPECT_EQ(0, self->engine.state->degraded);
	session_close(&self->session);
	STOP();
}

TEST_F(engine, a_batch_of_frames_survives_the_crashes_in_it)
{
	const struct engine_request request = { .op = ENGINE_PROPERTIES, .count = 64 };
	const struct engine_frame *head;

	WORDS("good", "good", "CRASH", "good", "CRASH", "ABORT", "CRASH", "CRASH", "good");
	START_FAULTY(NULL);
	ASSERT_EQ(NMERR_SUCCESS, ask(&self->session, request, NULL));
	ASSERT_EQ(9, self->session.reply.count);
	head = (const struct engine_frame *)self->session.results;
	for (uint32_t i = 0; i < 9; i++) {
		bool good = i < 2 || i == 3 || i == 8;

		EXPECT_EQ(i, head->frame);
		EXPECT_EQ(good ? 0 : NMERR_INTERNAL_EXCEPTION, head->error);
		EXPECT_EQ(good, head->count);
		head = (const struct engine_frame *)((const char *)head + head->size);
	}
	EXPECT_EQ(5, self->engine.state->crashed);
	session_close(&self->session);
	STOP();
}

TEST_F(engine, a_frame_that_never_ends_is_a_runaway)
{
	WORDS("good", "SPIN", "good");
	START_FAULTY(NULL);
	EXPECT_EQ(NMERR_RUNAWAY_PROTOCOL, frame_error(&self->session, 1));
	EXPECT_EQ(0, frame_error(&self->session, 2));
	EXPECT_EQ(1, self->engine.state->crashed);
	EXPECT_EQ(2, self->engine.state->workers);
	session_close(&self->session);
	STOP();
}

TEST_F(engine, three_deaths_without_progress_end_the_engine)
{
	struct engine_control body;

	WORDS("CRASH", "CRASH", "CRASH", "good");
	START_FAULTY(NULL);
	/* A reply is progress. */
	for (uint32_t i = 0; i < 3; i++)
		EXPECT_EQ(NMERR_INTERNAL_EXCEPTION, frame_error(&self->session, i));
	session_close(&self->session);
	STOP();
	/* All at once, the third is the last. */
	START_FAULTY(NULL);
	EXPECT_EQ(UINT32_MAX, ask(&self->session, (struct engine_request){
		.op = ENGINE_PROPERTIES, .count = 4 }, NULL));
	while (self->engine.state->phase != ENGINE_LOST)
		ASSERT_TRUE(receive_control(self->engine.control, &body, NULL));
	EXPECT_NE(NULL, strstr((const char *)self->engine.state->error, "3 workers in a row"));
	EXPECT_EQ(0, self->engine.state->process);
	/* A client that comes now is disconnected. */
	session_close(&self->session);
	CONNECT();
	EXPECT_EQ(0, recv(self->session.fd, &body, sizeof(body), 0));
	session_close(&self->session);
	STOP();
}

TEST_F(engine, workers_that_end_again_and_again_and_claim_progress_end_the_engine)
{
	struct engine_control body;

	WORDS("LIE");
	START_FAULTY(NULL);
	EXPECT_EQ(UINT32_MAX, frame_error(&self->session, 0));
	while (self->engine.state->phase != ENGINE_LOST)
		ASSERT_TRUE(receive_control(self->engine.control, &body, NULL));
	EXPECT_NE(NULL, strstr((const char *)self->engine.state->error, "again and again"));
	EXPECT_EQ(101, self->engine.state->workers);
	session_close(&self->session);
	STOP();
}

TEST_F(engine, a_filter_that_crashes_or_hangs_the_engine_is_refused)
{
	WORDS("good");
	START_FAULTY(NULL);
	EXPECT_EQ(NMERR_FILTER_INVALID_EXPRESSION, ask(&self->session,
		  (struct engine_request){ .op = ENGINE_FILTER }, "CRASH"));
	EXPECT_EQ(NMERR_FILTER_INVALID_EXPRESSION, ask(&self->session,
		  (struct engine_request){ .op = ENGINE_FILTER }, "wrong"));
	EXPECT_STREQ("the word is wrong", self->session.reply.text);
	EXPECT_EQ(NMERR_FILTER_INVALID_EXPRESSION, ask(&self->session,
		  (struct engine_request){ .op = ENGINE_FILTER }, "SPIN"));
	EXPECT_NE(ENGINE_NONE, ask_filter(&self->session, "good"));
	EXPECT_EQ(0, self->engine.state->crashed);
	session_close(&self->session);
	STOP();
}

TEST_F(engine, a_filter_that_crashes_on_a_frame_costs_its_request_and_not_the_frame)
{
	const struct engine_request request = { .op = ENGINE_SEARCH, .count = 3 };
	struct session other;

	WORDS("good", "good", "good");
	START_FAULTY(NULL);
	ASSERT_TRUE(engine_connect(&self->engine, &other));
	ASSERT_EQ(0, ask_filter(&self->session, "APPLY"));
	EXPECT_EQ(NMERR_NOT_SUPPORTED, ask(&self->session, request, NULL));
	EXPECT_STREQ("the engine crashed or hung on this request before; change it",
		     self->session.reply.text);
	EXPECT_EQ(0, self->engine.state->crashed);
	EXPECT_EQ(3, self->engine.state->workers);
	for (uint32_t i = 0; i < 3; i++)
		EXPECT_EQ(0, frame_error(&other, i));
	session_close(&self->session);
	session_close(&other);
	STOP();
}

TEST_F(engine, a_search_of_slow_frames_is_answered_in_part_after_250_ms)
{
	const struct engine_request request = {
		.op = ENGINE_SEARCH, .count = 40, .id = ENGINE_NONE, .flags = ENGINE_USER,
	};
	FILE *file = pcap_create("words", 1);

	for (int i = 0; i < 40; i++)
		pcap_add(file, i, 4, "SLOW", 4);
	fclose(file);
	START_FAULTY("--filter", "LOW", NULL);
	EXPECT_EQ(NMERR_SUCCESS, ask(&self->session, request, NULL));
	/* 5 frames of 50 ms, and one that ends after the limit */
	EXPECT_LE(1, self->session.reply.count);
	EXPECT_GE(6, self->session.reply.count);
	EXPECT_EQ(self->session.reply.count, self->session.reply.next);
	session_close(&self->session);
	STOP();
}

TEST_F(engine, a_filter_outlives_its_worker)
{
	uint32_t filter;

	WORDS("good", "CRASH", "other", "good");
	START_FAULTY(NULL);
	filter = ask_filter(&self->session, "good");
	EXPECT_EQ(2, search(&self->session, filter, 0, 0, 4, NULL, 0));
	EXPECT_EQ(1, self->engine.state->crashed);
	EXPECT_EQ(1, search(&self->session, filter, 0, 1, 4, NULL, 0));
	session_close(&self->session);
	STOP();
}

/* --------------------------------------------------------------------------- memory */

TEST_F(engine, a_worker_at_its_memory_limit_is_replaced_from_there)
{
	FILE *file = pcap_create("words", 1);
	uint32_t filter;

	for (int i = 0; i < 2000; i++)
		pcap_add(file, i, 3, "EAT", 3);
	fclose(file);
	START_FAULTY("--limit", "268435456", NULL);
	filter = ask_filter(&self->session, "EAT");
	/* 2000 MiB in all, and each frame is found once */
	EXPECT_EQ(2000, search(&self->session, filter, 0, 0, 2000, NULL, 0));
	EXPECT_LE(7, self->engine.state->degraded);
	EXPECT_EQ(0, self->engine.state->crashed);
	EXPECT_EQ(2000, self->engine.state->dissected);
	EXPECT_EQ(ENGINE_READY, self->engine.state->phase);
	session_close(&self->session);
	STOP();
}

TEST_F(engine, the_worker_is_an_expert_with_a_name_and_a_limit)
{
	const char *const arguments[] = {
		"--preload", built("lib/libexpertmem-malloc.so"), "--limit", "536870912",
		"--name", "test.engine", NULL
	};
	char path[64], line[512];
	bool preloaded = false;
	FILE *maps;

	setenv("EXPERTMEM_NO_HUGE", "1", 1);
	ASSERT_TRUE(engine_start(&self->engine, pcap_engine(), self->capture, arguments, -1));
	ASSERT_EQ(ENGINE_READY, engine_wait(&self->engine));
	snprintf(path, sizeof(path), "/proc/%d/maps", engine_worker(&self->engine, 0));
	maps = fopen(path, "r");
	ASSERT_NE(NULL, maps);
	while (fgets(line, sizeof(line), maps))
		preloaded |= strstr(line, "libexpertmem-malloc") != NULL;
	fclose(maps);
	EXPECT_TRUE(preloaded);
	snprintf(path, sizeof(path), "/proc/%d/environ", engine_worker(&self->engine, 0));
	maps = fopen(path, "r");
	ASSERT_NE(NULL, maps);
	line[fread(line, 1, sizeof(line) - 1, maps)] = '\0';
	EXPECT_NE(NULL, memmem(line, sizeof(line), "EXPERTMEM_NAME=test.engine", 27));
	EXPECT_NE(NULL, memmem(line, sizeof(line), "EXPERTMEM_LIMIT=536870912", 26));
	EXPECT_NE(NULL, memmem(line, sizeof(line), "EXPERTMEM_NO_HUGE=1", 20));
	fclose(maps);
	CONNECT();
	EXPECT_EQ(100, search(&self->session, ask_filter(&self->session, "udp src port 1001"), 0,
			      0, FRAMES, NULL, 0));
	session_close(&self->session);
	STOP();
}

/* -------------------------------------------------------------------------- sandbox */

TEST_F(engine, a_worker_makes_no_call_that_the_sandbox_forbids)
{
	WORDS("good", "OPEN", "SOCKET", "good", "EXEC", "good");
	START_FAULTY(NULL);
	/* open() fails; a socket and executable memory end the worker */
	EXPECT_EQ(0, frame_error(&self->session, 1));
	EXPECT_EQ(1, self->engine.state->workers);
	EXPECT_EQ(NMERR_INTERNAL_EXCEPTION, frame_error(&self->session, 2));
	EXPECT_EQ(0, frame_error(&self->session, 3));
	EXPECT_EQ(NMERR_INTERNAL_EXCEPTION, frame_error(&self->session, 4));
	EXPECT_EQ(3, self->engine.state->workers);
	session_close(&self->session);
	STOP();
}

TEST_F(engine, a_worker_cannot_change_the_frames_once_they_are_ready)
{
	WORDS("WRITE", "good");
	START_FAULTY(NULL);
	EXPECT_TRUE(in_memory(&self->engine));
	EXPECT_EQ(0, frame_error(&self->session, 0));
	EXPECT_EQ(1, self->engine.state->workers);
	session_close(&self->session);
	STOP();
	TOOL("gzip -c words >other && mv other words");
	START_FAULTY(NULL);
	EXPECT_EQ(0, frame_error(&self->session, 0));
	EXPECT_EQ(1, self->engine.state->workers);
	session_close(&self->session);
	STOP();
}

TEST_F(engine, a_worker_cannot_write_to_standard_input)
{
	int file = open(self->capture, O_RDWR);
	char path[64], target[PATH_MAX] = "";

	ASSERT_TRUE(engine_start(&self->engine, pcap_engine(), "-", NULL, file));
	ASSERT_EQ(ENGINE_READY, engine_wait(&self->engine));
	EXPECT_EQ(FRAMES, self->engine.state->frames);
	/* Later workers inherit it from the supervisor. */
	snprintf(path, sizeof(path), "/proc/%d/fd/0", self->engine.pid);
	ASSERT_LT(0, readlink(path, target, sizeof(target) - 1));
	EXPECT_STREQ("/dev/null", target);
	close(file);
	STOP();
}

/* The value of a line of /proc/PID/status */
static int status_of(pid_t pid, const char *key)
{
	char path[64], line[256];
	int value = -1;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	file = fopen(path, "r");
	while (file && fgets(line, sizeof(line), file))
		if (!strncmp(line, key, strlen(key)))
			sscanf(line + strlen(key), "%d", &value);
	if (file)
		fclose(file);
	return value;
}

TEST_F(engine, a_worker_has_few_rights_and_few_files)
{
	char path[64], link[400], target[PATH_MAX];
	struct dirent *entry;
	struct rlimit core;
	pid_t worker;
	DIR *fds;

	START(self->capture);
	ASSERT_EQ(ENGINE_READY, engine_wait(&self->engine));
	worker = engine_worker(&self->engine, 0);
	EXPECT_EQ(2, status_of(worker, "Seccomp:"));
	EXPECT_EQ(1, status_of(worker, "NoNewPrivs:"));
	EXPECT_EQ(1, status_of(self->engine.pid, "NoNewPrivs:"));
	ASSERT_EQ(0, prlimit(worker, RLIMIT_CORE, NULL, &core));
	EXPECT_EQ(0, core.rlim_max);
	/* The capture is closed, and nothing but its own files is open. */
	snprintf(path, sizeof(path), "/proc/%d/fd", worker);
	fds = opendir(path);
	ASSERT_NE(NULL, fds);
	while ((entry = readdir(fds)) != NULL) {
		ssize_t length;

		if (entry->d_name[0] == '.')
			continue;
		snprintf(link, sizeof(link), "%s/%s", path, entry->d_name);
		length = readlink(link, target, sizeof(target) - 1);
		ASSERT_LT(0, length);
		target[length] = '\0';
		EXPECT_TRUE(!strcmp(target, "/dev/null") || !strncmp(target, "socket:", 7) ||
			    !strncmp(target, "/memfd:expertmem-", 17))
			TH_LOG("%s is open", target);
	}
	closedir(fds);
	STOP();
}

TEST_F(engine, a_worker_gets_no_environment_of_the_user)
{
	char path[64], text[4096];
	size_t length;
	FILE *file;

	setenv("HOME", self->directory, 1);
	setenv("WIRESHARK_CONFIG_DIR", self->directory, 1);
	setenv("LD_LIBRARY_PATH", self->directory, 1);
	setenv("SECRET", "secret", 1);
	START(self->capture);
	ASSERT_EQ(ENGINE_READY, engine_wait(&self->engine));
	snprintf(path, sizeof(path), "/proc/%d/environ", engine_worker(&self->engine, 0));
	file = fopen(path, "r");
	length = fread(text, 1, sizeof(text), file);
	fclose(file);
	EXPECT_LT(0, length);
	EXPECT_EQ(NULL, memmem(text, length, self->directory, strlen(self->directory)));
	EXPECT_EQ(NULL, memmem(text, length, "SECRET", 6));
	STOP();
}

/* -------------------------------------------------------------------------- programs */

TEST_F(engine, the_programs_say_what_is_wrong_when_they_are_started_by_hand)
{
	char command[3 * PATH_MAX];

	snprintf(command, sizeof(command), "%s --capture x 3<&- 2>&1 | grep -q control.socket",
		 pcap_engine());
	EXPECT_EQ(0, system(command));
	snprintf(command, sizeof(command), "%s-worker --capture x 2>&1 | grep -q supervisor",
		 pcap_engine());
	EXPECT_EQ(0, system(command));
	snprintf(command, sizeof(command), "%s --limit 3x --capture x 2>&1 | grep -q 3x",
		 pcap_engine());
	EXPECT_EQ(0, system(command));
	snprintf(command, sizeof(command), "%s --version | grep -q ^expertmem-engine-pcap",
		 pcap_engine());
	EXPECT_EQ(0, system(command));
}

TEST_HARNESS_MAIN
