// SPDX-License-Identifier: GPL-2.0
/*
 * The worker of an engine under libFuzzer, with two experts that send whatever they want. An input is a
 * sequence of messages. Each reply has to keep to the protocol.
 *
 * The capture has 40 frames. The engine is the one whose operations are linked.
 */
#include <limits.h>

#include "../lib/protocol_test.h"
/* NOLINTNEXTLINE(bugprone-suspicious-include): what is static in it is called here */
#include "../../tools/engine/worker.c"
#include "input.h"

#define FRAMES_MADE	40
#define EXPERTS		2

/* ------------------------------------------------------------------------- input */

static uint32_t any_number(void)
{
	static const uint32_t edges[] = {
		0, 1, FRAMES_MADE - 1, FRAMES_MADE, FRAMES_MADE + 1, ENGINE_BATCH, FILTERS_MAX - 1,
		FILTERS_MAX, 0x7fff, 0x8000, 0xffff, 0x10000, 0x7fffffff, 0x80000000,
		UINT32_MAX - 1, UINT32_MAX,
	};
	unsigned int kind = byte();

	if (kind < 160)
		return kind % 64;
	if (kind < 224)
		return edges[kind % 16];
	kind = byte() << 24 | byte() << 16;
	return kind | byte() << 8 | byte();
}

/* ------------------------------------------------------------------------- experts */

/* An expert's end of its socket, and how many requests were sent. -1: the worker has left it. */
static struct {
	int fd;
	uint32_t sequence;
} experts[EXPERTS];

static int results_fds[EXPERTS];

static void connect_expert(int i)
{
	int pair[2];

	CHECK(!socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair));
	experts[i].fd = pair[0];
	experts[i].sequence = 0;
	add_client((uint32_t)i + 1, pair[1], dup(results_fds[i]));
}

static struct client *client_of(int i)
{
	for (unsigned int n = 0; n < nr_clients; n++)
		if (clients[n].id == (uint32_t)i + 1)
			return &clients[n];
	return NULL;
}

/* A text of a filter or a name: a word that is known, or bytes of the input. Returns its size. */
static uint32_t put_text(char text[ENGINE_TEXT])
{
	static const char *const words[] = {
		"ip", "udp", "port 53", "frame.number > 3", "udp.srcport == 1000", "eth.src", "UDP",
		"Source Port", "udp.port", "dns.id", "ip.addr == 10.0.0.1 && !(udp.length > 30)",
		"Checksum", "ether[0] & 1 = 0 or less 60", "ETHERNET", "", "(",
	};
	unsigned int kind = byte();
	size_t size;

	if (kind < 192) {
		strcpy(text, words[kind % 16]);
		return (uint32_t)strlen(text) + 1;
	}
	size = kind < 254 ? kind - 191 : ENGINE_TEXT;
	for (size_t i = 0; i < size; i++)
		text[i] = (char)(kind < 254 ? byte() : 'a');
	text[size - 1] = (char)(kind == 255);
	return (uint32_t)size;
}

/* Does the reply keep to the protocol? */
static void check_reply(const struct engine_request *request, const struct engine_reply *reply)
{
	CHECK(reply->op == request->op && reply->sequence == request->sequence);
	CHECK(reply->size <= ENGINE_RESULTS);
	CHECK(strnlen(reply->text, sizeof(reply->text)) < sizeof(reply->text));
	CHECK(reply->error || reply->op != ENGINE_SEARCH ||
	      (reply->size == reply->count * sizeof(uint32_t) && reply->count <= request->count));
	CHECK(reply->error || reply->op > ENGINE_PROTOCOLS || reply->count <= ENGINE_BATCH);
}

static void check_frames(const char *results, const struct engine_reply *reply)
{
	const char *at = results, *end = results + reply->size;

	for (uint32_t i = 0; i < reply->count; i++) {
		const struct engine_frame *frame = (const struct engine_frame *)at;
		size_t record = reply->op == ENGINE_PROTOCOLS ? sizeof(struct engine_layer) :
								sizeof(struct engine_property);

		CHECK(sizeof(*frame) <= (size_t)(end - at));
		CHECK(frame->size <= (size_t)(end - at) && frame->size % 8 == 0);
		CHECK(sizeof(*frame) + frame->count * record <= frame->size);
		CHECK(frame->frame < FRAMES_MADE);
		at += frame->size;
	}
	CHECK(at == end);
}

/* Send a request of an expert, and let the worker serve it. */
static void send_one(int i)
{
	static struct {
		struct engine_request request;
		char more[16];
	} message;
	struct engine_request *request = &message.request;
	size_t size = offsetof(struct engine_request, text);
	struct client *client;
	struct engine_reply reply;
	unsigned int lie = byte();
	bool served;

	*request = (struct engine_request){
		.op = lie < 240 ? 1 + byte() % 8 : any_number(), .sequence = ++experts[i].sequence,
		.flags = byte() % 16, .frame = any_number(), .count = any_number(),
		.id = any_number(),
	};
	request->length = put_text(request->text);
	if (lie >= 250)
		request->length = any_number();
	size += request->length <= ENGINE_TEXT ? request->length : byte();
	if (lie == 249)
		size = byte();
	if (lie == 248)
		size += byte() % sizeof(message.more);
	if (send(experts[i].fd, &message, size, MSG_NOSIGNAL) < 0)
		return;
	client = client_of(i);
	if (!client)
		return;
	served = serve_client(client);
	if (recv(experts[i].fd, &reply, sizeof(reply), 0) == sizeof(reply)) {
		check_reply(request, &reply);
		if (!reply.error && reply.op <= ENGINE_PROTOCOLS)
			check_frames(client->results, &reply);
	} else {
		CHECK(!served);
	}
	if (!served)
		drop_client(client_of(i));
}

static void leave(int i)
{
	struct client *client = client_of(i);

	close(experts[i].fd);
	if (client) {
		CHECK(!serve_client(client));
		drop_client(client);
	}
}

/* -------------------------------------------------------------------------- worker */

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	CHECK(fcntl(FD_SUPERVISOR, F_GETFD) < 0 && fcntl(FD_FRAMES_WRITE, F_GETFD) < 0);
	make_file_at(FD_CAPTURE);
	make_file_at(FD_SUPERVISOR);
	make_file_at(FD_INDEX);
	make_file_at(FD_FRAMES);
	CHECK(dup2(FD_INDEX, FD_INDEX_WRITE) == FD_INDEX_WRITE);
	CHECK(dup2(FD_FRAMES, FD_FRAMES_WRITE) == FD_FRAMES_WRITE);
	my_desk = calloc(1, sizeof(*my_desk));
	state = calloc(1, sizeof(*state));
	CHECK(my_desk && state && pcap_write("/proc/self/fd/0", FRAMES_MADE));
	user_text = engine_ops.kind == ENGINE_PCAP ? "udp" : "frame.number != 3";
	load_init();
	CHECK(engine_ops.init(state->software, state->error));
	CHECK(!lseek(FD_CAPTURE, 0, SEEK_SET));
	CHECK(load_capture(&(struct loading){ .state = state, .first = check_user_filter }));
	map_frames();
	compile_user_filter();
	CHECK(frames.count == FRAMES_MADE && user_filter);
	for (int i = 0; i < EXPERTS; i++)
		results_fds[i] = results_file(ENGINE_RESULTS);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	input = data;
	input_end = data + size;
	for (int i = 0; i < EXPERTS; i++)
		connect_expert(i);
	my_desk->refused = byte() == 255;
	my_desk->refused_client = 1;
	my_desk->refused_sequence = byte() % 4;
	while (input < input_end)
		send_one(byte() % EXPERTS);
	for (int i = 0; i < EXPERTS; i++)
		leave(i);
	CHECK(!nr_clients);
	for (uint32_t id = 0; id < FILTERS_MAX; id++)
		CHECK(!compiled[id] && !my_desk->filters[id].client);
	return 0;
}
