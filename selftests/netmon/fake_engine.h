/* SPDX-License-Identifier: GPL-2.0 */
/*
 * An engine in a thread of the test, for the files of the library that ask for protocols and
 * properties. It serves a small capture of its own; a test can change each answer before it is
 * sent.
 *
 * All frames are equal: Ethernet, IP, TCP, and 8 bytes of text.
 */
#ifndef FAKE_ENGINE_H
#define FAKE_ENGINE_H

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../libexpertmem/capture.h"

#ifndef FAKE_FRAMES
#define FAKE_FRAMES	10240u		/* their FRAMEs fill pages */
#endif
#define FAKE_BYTES	62u		/* of each frame */
#define FAKE_STEP	96u		/* bytes from one FRAME to the next one */

enum fake_protocol { FAKE_ETH, FAKE_IP, FAKE_TCP, FAKE_PROTOCOLS };

enum fake_field {
	FAKE_ETH_SUMMARY = 10,
	FAKE_IP_SUMMARY,
	FAKE_TCP_SUMMARY,
	FAKE_SRCPORT,		/* a WORD in network order */
	FAKE_ACK,		/* a bit: FLAGS, with a value */
	FAKE_TEXT,		/* a string in the frame */
	FAKE_CHECKSUM,		/* has the same name as the next one, wrong */
	FAKE_CHECKSUM2,		/* in the frame before the other one */
	FAKE_LONG,		/* a value of 20 bytes */
	FAKE_HIDDEN,		/* only if asked for; in even frames */
	FAKE_VERSION,		/* a BYTE with labels */
	FAKE_FIELDS_END
};

struct fake_engine {
	HEXPERTKEY key;
	HCAPTURE capture;
	int fd;
	char *frames, *results;
	uint64_t *index;
	pthread_t thread;
	/* called before a reply is sent; may change it and the results */
	void (*change)(struct fake_engine *engine, struct engine_reply *reply);
	unsigned int arg[3];
	uint32_t crashed;		/* this frame's dissection crashes; or ENGINE_NONE */
	uint32_t requests;
	uint32_t frames_sent;
	struct engine_request request;	/* the last one */
	unsigned int filters;		/* compiled, and not dropped */
	char filter[200];		/* the text of the last one */
};

static const char *const fake_names[FAKE_PROTOCOLS][3] = {
	{ "ETHERNET", "eth", "Ethernet" },
	{ "IP", "ip", "Internet Protocol Version 4" },
	{ "TCP", "tcp", "Transmission Control Protocol" },
};

struct fake_info {
	struct engine_field field;
	const char *label, *filter_name;
};

static const struct fake_info fake_infos[FAKE_FIELDS_END - FAKE_ETH_SUMMARY] = {
#define INFO(number, owner, kind, text, name, next, ...) \
	[number - FAKE_ETH_SUMMARY] = { { .id = number, .protocol = owner, \
					  .type = PROP_TYPE_##kind, .same = next, __VA_ARGS__ }, \
					text, name }
	INFO(FAKE_ETH_SUMMARY, FAKE_ETH, SUMMARY, "Ethernet", "eth", ENGINE_NONE),
	INFO(FAKE_IP_SUMMARY, FAKE_IP, SUMMARY, "Internet Protocol", "ip", ENGINE_NONE),
	INFO(FAKE_TCP_SUMMARY, FAKE_TCP, SUMMARY, "TCP", "tcp", ENGINE_NONE),
	INFO(FAKE_SRCPORT, FAKE_TCP, WORD, "Source Port", "tcp.srcport", ENGINE_NONE, .width = 2),
	INFO(FAKE_ACK, FAKE_TCP, BYTE, "Acknowledgment", "tcp.flags.ack", ENGINE_NONE, .width = 1,
	     .qualifier = PROP_QUAL_FLAGS, .mask = 0x10, .labels = 1),
	INFO(FAKE_TEXT, FAKE_TCP, STRING, "Text", "fake.text", ENGINE_NONE),
	INFO(FAKE_CHECKSUM, FAKE_TCP, WORD, "Checksum", "tcp.checksum",
	     FAKE_CHECKSUM2, .width = 2),
	INFO(FAKE_CHECKSUM2, FAKE_TCP, WORD, "Checksum", "tcp.options.checksum",
	     FAKE_CHECKSUM, .width = 2),
	INFO(FAKE_LONG, FAKE_TCP, RAW_DATA, "Long", "fake.long", ENGINE_NONE),
	INFO(FAKE_HIDDEN, FAKE_TCP, DWORD, "Hidden", "fake.hidden", ENGINE_NONE, .width = 4),
	INFO(FAKE_VERSION, FAKE_IP, BYTE, "Version", "ip.version", ENGINE_NONE, .width = 1,
	     .qualifier = PROP_QUAL_LABELED_SET, .labels = 2, .mask = 0xf0),
#undef INFO
};

/* The records of each frame, in the order of the tree. */
static const struct engine_property fake_records[] = {
	{ FAKE_ETH_SUMMARY, 0, 14, .level = 0 },
	{ FAKE_IP_SUMMARY, 14, 20, .level = 0 },
	{ FAKE_VERSION, 14, 1, .level = 1, .flags = ENGINE_VALUE, .value_length = 1, .value = 4 },
	{ FAKE_TCP_SUMMARY, 34, 20, .level = 0 },
	{ FAKE_SRCPORT, 34, 2, .level = 1, .flags = ENGINE_SWAPPED },
	{ FAKE_CHECKSUM2, 52, 2, .level = 3, .flags = ENGINE_SWAPPED },
	{ FAKE_ACK, 47, 1, .level = 2, .flags = ENGINE_VALUE, .value_length = 1, .value = 1 },
	{ FAKE_CHECKSUM, 50, 2, .level = 1, .flags = ENGINE_SWAPPED | ENGINE_WRONG },
	{ FAKE_CHECKSUM, 48, 2, .level = 20, .flags = ENGINE_SWAPPED },
	{ FAKE_LONG, ENGINE_NONE, 0, .level = 1, .flags = ENGINE_VALUE, .value_length = 20 },
	{ FAKE_TEXT, 54, 8, .level = 1 },
};
#define FAKE_RECORDS	(sizeof(fake_records) / sizeof(fake_records[0]))

static const char fake_long[20] = "twenty bytes of data";

/* ---------------------------------------------------------------------------- answers */

static void *fake_add(struct fake_engine *engine, struct engine_reply *reply, const void *bytes,
		      size_t size)
{
	char *to = engine->results + reply->size;

	memcpy(to, bytes, size);
	reply->size += size;
	return to;
}

static void fake_pad(struct engine_reply *reply)
{
	reply->size = (reply->size + 7) / 8 * 8;
}

static bool fake_is_asked(const struct engine_request *request, uint32_t field)
{
	for (uint32_t at = 0; at + sizeof(field) < request->length; at += sizeof(field))
		if (!memcmp(request->text + at, &field, sizeof(field)))
			return true;
	return false;
}

static void fake_properties(struct fake_engine *engine, const struct engine_request *request,
			    uint32_t frame, struct engine_reply *reply)
{
	uint32_t start = reply->size, longs[FAKE_RECORDS] = { 0 };
	struct engine_frame *header = fake_add(engine, reply, &(struct engine_frame){
		.frame = frame }, sizeof(*header));
	struct engine_property *records = (void *)(header + 1);

	for (size_t i = 0; i < FAKE_RECORDS; i++) {
		if (request->flags & ENGINE_FIELD && fake_records[i].field != request->id)
			continue;
		if (request->flags & ENGINE_ASKED && fake_records[i].level &&
		    !fake_is_asked(request, fake_records[i].field))
			continue;
		if (fake_records[i].field == FAKE_LONG)
			longs[header->count] = 1;
		fake_add(engine, reply, &fake_records[i], sizeof(fake_records[i]));
		header->count++;
	}
	if (request->flags & ENGINE_FIELD && request->id == FAKE_HIDDEN && frame % 2 == 0) {
		const struct engine_property hidden = { FAKE_HIDDEN, 40, 4, .level = 1 };

		fake_add(engine, reply, &hidden, sizeof(hidden));
		header->count++;
	}
	for (uint32_t i = 0; i < header->count; i++) {
		if (!longs[i])
			continue;
		records[i].value = reply->size - start;
		fake_add(engine, reply, fake_long, sizeof(fake_long));
		fake_pad(reply);
	}
	header->size = reply->size - start;
}

static void fake_layers(struct fake_engine *engine, uint32_t frame, struct engine_reply *reply)
{
	static const struct engine_layer layers[] = {
		{ FAKE_ETH, 0 }, { FAKE_IP, 14 }, { FAKE_TCP, 34 }, { FAKE_IP, 40 },
		{ FAKE_TCP, 0xffff },
	};
	uint32_t start = reply->size;
	struct engine_frame *header = fake_add(engine, reply, &(struct engine_frame){
		.frame = frame, .count = 5 }, sizeof(*header));

	fake_add(engine, reply, layers, sizeof(layers));
	fake_pad(reply);
	header->size = reply->size - start;
}

static void fake_frames(struct fake_engine *engine, const struct engine_request *request,
			struct engine_reply *reply)
{
	uint32_t frame = request->frame;

	if (frame >= FAKE_FRAMES) {
		reply->error = NMERR_FRAME_NOT_FOUND;
		return;
	}
	for (; reply->count < request->count && frame < FAKE_FRAMES; reply->count++) {
		if (frame == engine->crashed) {
			struct engine_frame header = { frame, NMERR_INTERNAL_EXCEPTION, 0,
						       sizeof(header) };

			fake_add(engine, reply, &header, sizeof(header));
		} else if (request->op == ENGINE_PROTOCOLS) {
			fake_layers(engine, frame, reply);
		} else {
			fake_properties(engine, request, frame, reply);
		}
		frame += request->flags & ENGINE_BACKWARD ? -1 : 1;
	}
	engine->frames_sent += reply->count;
}

static void fake_protocol(struct fake_engine *engine, const struct engine_request *request,
			  struct engine_reply *reply)
{
	struct engine_name name = { .id = FAKE_PROTOCOLS, .fields = FAKE_FIELDS_END };

	for (uint32_t i = 0; i < FAKE_PROTOCOLS; i++)
		if (request->text[0] ? !strcasecmp(request->text, fake_names[i][0]) ||
				       !strcmp(request->text, fake_names[i][1]) : i == request->id)
			name.id = i;
	if (name.id == FAKE_PROTOCOLS) {
		reply->error = NMERR_PROTOCOL_NOT_FOUND;
		return;
	}
	for (int i = 0; i < 3; i++)
		name.lengths[i] = strlen(fake_names[name.id][i]) + 1;
	fake_add(engine, reply, &name, sizeof(name));
	for (int i = 0; i < 3; i++)
		fake_add(engine, reply, fake_names[name.id][i], name.lengths[i]);
	reply->count = 1;
	reply->id = name.id;
}

static void fake_label(struct fake_engine *engine, struct engine_reply *reply, uint64_t value,
		       const char *text, const char *off)
{
	struct engine_label label = { value, strlen(text) + 1, off ? strlen(off) + 1 : 0 };

	fake_pad(reply);
	fake_add(engine, reply, &label, sizeof(label));
	fake_add(engine, reply, text, label.length);
	if (off)
		fake_add(engine, reply, off, label.off_length);
}

static void fake_field(struct fake_engine *engine, const struct engine_request *request,
		       struct engine_reply *reply)
{
	const struct fake_info *found = NULL;
	struct engine_field field;

	for (uint32_t id = FAKE_ETH_SUMMARY; id < FAKE_FIELDS_END && !found; id++) {
		const struct fake_info *info = &fake_infos[id - FAKE_ETH_SUMMARY];

		if (request->text[0] ? !strcmp(request->text, info->filter_name) ||
				       !strcasecmp(request->text, info->label) : id == request->id)
			found = info;
	}
	if (!found) {
		reply->error = NMERR_PROPERTY_NOT_FOUND;
		return;
	}
	field = found->field;
	field.lengths[0] = strlen(found->label) + 1;
	field.lengths[1] = strlen(found->filter_name) + 1;
	field.lengths[2] = sizeof("a comment");
	fake_add(engine, reply, &field, sizeof(field));
	fake_add(engine, reply, found->label, field.lengths[0]);
	fake_add(engine, reply, found->filter_name, field.lengths[1]);
	fake_add(engine, reply, "a comment", field.lengths[2]);
	if (field.id == FAKE_ACK)
		fake_label(engine, reply, 0, "Set", "Not set");
	if (field.id == FAKE_VERSION) {
		fake_label(engine, reply, 4, "four", NULL);
		fake_label(engine, reply, 6, "six\x1b", NULL);
	}
	fake_pad(reply);
	reply->count = 1;
	reply->id = field.id;
}

/* The even frames pass any filter. */
static void fake_search(struct fake_engine *engine, const struct engine_request *request,
			struct engine_reply *reply)
{
	bool backward = request->flags & ENGINE_BACKWARD;
	uint32_t frame = request->frame, looked = 0;

	for (; looked < request->count && frame < FAKE_FRAMES; looked++) {
		if (frame % 2 == 0) {
			fake_add(engine, reply, &frame, sizeof(frame));
			reply->count++;
		}
		frame += backward ? -1 : 1;
	}
	reply->next = frame < FAKE_FRAMES ? frame : ENGINE_NONE;
}

static void fake_numbers(struct fake_engine *engine, const struct engine_request *request,
			 struct engine_reply *reply)
{
	uint32_t end = request->id == ENGINE_NONE ? FAKE_PROTOCOLS : FAKE_FIELDS_END;
	uint32_t i = request->id == ENGINE_NONE ? 0 : FAKE_ETH_SUMMARY;

	for (; i < end; i++)
		if (request->id == ENGINE_NONE ||
		    fake_infos[i - FAKE_ETH_SUMMARY].field.protocol == request->id) {
			fake_add(engine, reply, &i, sizeof(i));
			reply->count++;
		}
}

static void fake_answer(struct fake_engine *engine, const struct engine_request *request,
			struct engine_reply *reply)
{
	switch (request->op) {
	case ENGINE_PROPERTIES:
	case ENGINE_PROTOCOLS:
		fake_frames(engine, request, reply);
		break;
	case ENGINE_PROTOCOL:
		fake_protocol(engine, request, reply);
		break;
	case ENGINE_FIELD_INFO:
		fake_field(engine, request, reply);
		break;
	case ENGINE_FIELDS:
		fake_numbers(engine, request, reply);
		break;
	case ENGINE_FILTER:
		reply->id = 7;
		snprintf(engine->filter, sizeof(engine->filter), "%.199s",
			 request->text);
		engine->filters++;
		break;
	case ENGINE_DROP_FILTER:
		engine->filters--;
		break;
	case ENGINE_SEARCH:
		fake_search(engine, request, reply);
		break;
	default:
		reply->error = NMERR_NOT_SUPPORTED;
	}
}

static void *fake_serve(void *arg)
{
	struct fake_engine *engine = arg;
	struct engine_request request;

	for (;;) {
		struct engine_reply reply = { 0 };
		ssize_t got = recv(engine->fd, &request, sizeof(request), 0);

		if (got < (ssize_t)offsetof(struct engine_request, text))
			return NULL;
		engine->request = request;
		engine->requests++;
		reply.op = request.op;
		reply.sequence = request.sequence;
		memset(engine->results, 0xee, 4096);
		if (!request.length)
			request.text[0] = '\0';
		fake_answer(engine, &request, &reply);
		if (engine->change)
			engine->change(engine, &reply);
		send(engine->fd, &reply, sizeof(reply), MSG_NOSIGNAL);
	}
}

/* --------------------------------------------------------------------- start and stop */

#define FAKE_FRAMES_SIZE	((size_t)FAKE_FRAMES * FAKE_STEP)
#define FAKE_INDEX_SIZE		(FAKE_FRAMES * sizeof(uint64_t))

static void fake_make_frames(char *frames, uint64_t *index)
{
	for (uint32_t i = 0; i < FAKE_FRAMES; i++) {
		FRAME *frame = (FRAME *)(frames + i * FAKE_STEP);

		frame->TimeStamp = i;
		frame->FrameLength = FAKE_BYTES;
		frame->nBytesAvail = FAKE_BYTES;
		for (uint32_t b = 0; b < FAKE_BYTES; b++)
			frame->MacFrame[b] = b;
		memcpy(frame->MacFrame + 54, "ab\ncdefg", 8);
		index[i] = (uint64_t)i * FAKE_STEP | (uint64_t)1 << 48;
	}
}

/* A file with the frames and the index, which is made once; each engine has a private copy. */
static int fake_file(void)
{
	static int file = -1;
	char *memory;

	if (file >= 0)
		return file;
	file = memfd_create("fake", MFD_CLOEXEC);
	if (ftruncate(file, FAKE_FRAMES_SIZE + FAKE_INDEX_SIZE))
		return -1;
	memory = mmap(NULL, FAKE_FRAMES_SIZE + FAKE_INDEX_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
		      file, 0);
	if (memory == MAP_FAILED)
		return -1;
	fake_make_frames(memory, (uint64_t *)(memory + FAKE_FRAMES_SIZE));
	munmap(memory, FAKE_FRAMES_SIZE + FAKE_INDEX_SIZE);
	return file;
}

static void *fake_map(size_t offset, size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fake_file(), offset);

	return memory == MAP_FAILED ? NULL : memory;
}

/* Open an expert with a limit (0: none), and give it the engine. False: that has failed. */
static inline bool fake_start(struct fake_engine *engine, uint64_t limit, unsigned int flags)
{
	const struct expertmem_options options = {
		.name = "fake", .limit = limit, .backend = EXPERTMEM_BACKEND_ANON,
	};
	struct em_client made = {
		.flags = flags, .kind = ENGINE_WIRESHARK, .nr_frames = FAKE_FRAMES,
		.frames_size = FAKE_FRAMES_SIZE, .link_type = 1,
	};
	EXPERTSTARTUPINFO startup;
	int fds[2];

	memset(engine, 0, sizeof(*engine));
	engine->crashed = ENGINE_NONE;
	engine->frames = fake_map(0, FAKE_FRAMES_SIZE);
	engine->index = fake_map(FAKE_FRAMES_SIZE, FAKE_INDEX_SIZE);
	engine->results = em_map(ENGINE_RESULTS, MAP_PRIVATE);
	if (!engine->frames || !engine->index || !engine->results ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds))
		return false;
	made.frames = engine->frames;
	made.index = engine->index;
	made.results = engine->results;
	made.fd = fds[0];
	engine->fd = fds[1];
	if (expertmem_open(&options, &engine->key) ||
	    em_client_give(engine->key, &made, "fake.pcap") ||
	    ExpertGetStartupInfo(engine->key, &startup))
		return false;
	engine->capture = startup.hCapture;
	return !pthread_create(&engine->thread, NULL, fake_serve, engine);
}

/* Close the expert: the library unmaps the frames, the index and the results. */
static inline void fake_stop(struct fake_engine *engine)
{
	shutdown(engine->fd, SHUT_RDWR);
	pthread_join(engine->thread, NULL);
	expertmem_close(engine->key);
	close(engine->fd);
}

static inline HFRAME fake_frame(const struct fake_engine *engine, uint32_t number)
{
	return GetFrame(engine->capture, number);
}

static inline HPROPERTY fake_property(const char *name)
{
	return GetProperty(GetProtocolFromName((LPSTR)"TCP"), (LPSTR)name);
}

#endif /* FAKE_ENGINE_H */
