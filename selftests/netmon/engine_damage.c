// SPDX-License-Identifier: GPL-2.0
/*
 * Captures of several formats with bytes changed at random: the engine answers READY or FAILED, and
 * ends with the host. EXPERTMEM_ROUNDS multiplies the number of captures. A capture that fails
 * the test is kept as /tmp/engine-damage-NUMBER.
 *
 * The program in build/asan starts an engine with AddressSanitizer and UBSan: main.c of the engine
 * has the status with which they end a worker.
 *
 * needs: native
 * also: slow asan
 */
#include "harness.h"
#include "protocol_test.h"

#define CAPTURES	10000
#ifdef __SANITIZE_ADDRESS__
#define SLOWNESS	5	/* an engine with sanitizers starts so slowly that there is time for fewer */
#else
#define SLOWNESS	1
#endif
#define SIZE_MAX_FILE	65536	/* larger ones are damaged in their first bytes only */

/* Programs that make a capture of each format out of frames.pcap */
static const char *const formats[] = {
	"cp frames.pcap %s",
	"editcap -F pcapng --capture-comment hello frames.pcap %s",
	"editcap -F nsecpcap frames.pcap %s",
	"editcap -F netmon1 frames.pcap %s",
	"editcap -F netmon2 frames.pcap %s",
	"editcap -F snoop frames.pcap %s",
	"editcap -F lanalyzer frames.pcap %s",
	"editcap -F nettl frames.pcap %s",
	"editcap -F ngwsniffer_2_0 frames.pcap %s",
	"editcap -F blf frames.pcap %s",
	"editcap -F 5views frames.pcap %s",
	"editcap -F k12text frames.pcap %s",
	"editcap -F visual frames.pcap %s",
	"mergecap -F pcapng -w %s frames.pcap raw.pcap",
	"gzip <frames.pcap >%s",
	"zstd -q <frames.pcap >%s",
	"lz4 -q <frames.pcap >%s",
};

#define NR_FORMATS (sizeof(formats) / sizeof(formats[0]))

FIXTURE(damage)
{
	char directory[64];
	char *bytes[NR_FORMATS];	/* of the intact captures; NULL: cannot be made here */
	size_t size[NR_FORMATS];
};

/* Read a file of up to SIZE_MAX_FILE bytes. */
static char *read_file(const char *path, size_t *size)
{
	char *bytes = malloc(SIZE_MAX_FILE);
	FILE *file = fopen(path, "r");

	if (!file || !bytes)
		return NULL;
	*size = fread(bytes, 1, SIZE_MAX_FILE, file);
	fclose(file);
	return bytes;
}

FIXTURE_SETUP(damage)
{
	static const uint8_t ip[40] = { 0x45, 0, 0, 40, 0, 0, 0, 0, 64, 17 };
	FILE *raw;

	strcpy(self->directory, "/tmp/engine-XXXXXX");
	ASSERT_NE(NULL, mkdtemp(self->directory));
	ASSERT_EQ(0, chdir(self->directory));
	ASSERT_TRUE(pcap_write("frames.pcap", 20));
	raw = pcap_create("raw.pcap", 101);
	ASSERT_NE(NULL, raw);
	pcap_add(raw, 7, 40, ip, 40);
	fclose(raw);
	for (size_t i = 0; i < NR_FORMATS; i++) {
		char command[256], name[16];
		int length;

		snprintf(name, sizeof(name), "intact%zu", i);
		length = snprintf(command, sizeof(command), formats[i], name);
		snprintf(command + length, sizeof(command) - (size_t)length, " 2>/dev/null");
		if (!system(command))
			self->bytes[i] = read_file(name, &self->size[i]);
	}
	ASSERT_NE(NULL, self->bytes[0]);
}

FIXTURE_TEARDOWN(damage)
{
	char command[96];

	snprintf(command, sizeof(command), "cd / && rm -rf %s", self->directory);
	if (system(command))
		fprintf(stderr, "# cannot remove %s\n", self->directory);
}

/* Write a damaged copy: bytes changed, most of them in the headers, and perhaps the end cut off. */
static bool write_damaged(const char *path, const char *bytes, size_t size)
{
	char copy[SIZE_MAX_FILE];
	long changes = 1 + random() % 8;
	FILE *file = fopen(path, "w");

	memcpy(copy, bytes, size);
	while (changes--) {
		size_t at = (size_t)random() % (random() % 2 && size > 200 ? 200 : size);
		static const uint8_t special[] = { 0, 1, 0x7f, 0x80, 0xff };

		copy[at] = (char)(random() % 2 ? random() :
				  special[(size_t)random() % sizeof(special)]);
	}
	if (random() % 4 == 0)
		size = (size_t)random() % size + 1;
	return file && fwrite(copy, size, 1, file) == 1 && !fclose(file);
}

/*
 * Has the engine a reason to fail that a damaged capture may give it? A crash of Wireshark's file
 * library is one. A call that the sandbox forbids (signal 31) is none, and neither is a status that
 * the engine does not know, such as that of a sanitizer's report.
 */
static bool is_reason(const char *error)
{
	return *error && !strstr(error, "ended with status") && !strstr(error, "signal 31;");
}

/* 10,000 engines may take a busy machine longer than the harness waits for a test. */
TEST_F_TIMEOUT(damage, an_engine_answers_whatever_bytes_a_capture_has, 3 * 3600)
{
	const char *factor = getenv("EXPERTMEM_ROUNDS"), *seed = getenv("SEED");
	long captures = factor ? (long)(CAPTURES * atof(factor)) : CAPTURES;
	long ready = 0, crashed = 0;
	const char *program = pcap_engine();
	char kept[64];

	if (captures < CAPTURES)
		captures /= SLOWNESS;
	srandom(seed ? (unsigned int)atoi(seed) : 1);
	for (long i = 0; i < captures || !i; i++) {
		size_t format = (size_t)i % NR_FORMATS;
		struct engine engine;
		struct session session;
		int phase;
		bool right;

		if (!self->bytes[format])
			continue;
		ASSERT_TRUE(write_damaged("damaged", self->bytes[format], self->size[format]));
		ASSERT_TRUE(engine_start(&engine, program, "damaged", NULL, -1));
		phase = engine_wait(&engine);
		if (phase == ENGINE_READY) {
			ready++;
			ASSERT_TRUE(engine_connect(&engine, &session));
			if (engine.state->frames)
				ASSERT_EQ(engine.state->frames, search(&session, ENGINE_NONE, 0, 0,
								       UINT32_MAX, NULL, 0));
			session_close(&session);
		}
		right = phase == ENGINE_FAILED ? is_reason((const char *)engine.state->error) :
						 phase == ENGINE_READY;
		/* No worker has ended while it served requests. */
		right &= engine.state->workers == 1;
		if (strstr((const char *)engine.state->error, "reading it crashed"))
			crashed++;
		if (!right) {
			snprintf(kept, sizeof(kept), "/tmp/engine-damage-%ld", i);
			rename("damaged", kept);
		}
		ASSERT_TRUE(right) TH_LOG("phase %d, see %s", phase, kept);
		ASSERT_EQ(0, engine_stop(&engine));
	}
	EXPECT_LT(0, ready);
	TH_LOG("%ld of %ld were ready, %ld crashed the loader", ready, captures, crashed);
}

TEST_HARNESS_MAIN
