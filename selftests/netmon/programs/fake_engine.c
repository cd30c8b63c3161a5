// SPDX-License-Identifier: GPL-2.0
/*
 * An engine for tests, with the command line of an engine. It has made-up frames, and its
 * filters are numbers: a frame passes the filter N if N divides its number.
 *
 * FAKE_ENGINE in the environment has words, which are the facts that it lies about or the moment at
 * which it ends; say() looks for them. "frames=N" is the number of frames. If the capture is a
 * file, it has the frames: for each one its link type and its length, uint32_t each, and its bytes.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <Netmon.h>
#include <expertmem-engine.h>

#define MAX_EXPERTS	16
#define MAX_FILTERS	64

static const char *capture = "", *user_filter;
static struct engine_state *state;
static uint32_t nr_frames = 1000;
static int files[3];			/* state, index, frames; read-only */

static struct expert {
	int socket;
	char *results;
	uint32_t filters[MAX_FILTERS];	/* 0: not in use */
} experts[MAX_EXPERTS];
static int nr_experts;

/* Does FAKE_ENGINE have this word? Of "word=value": the value, else "" */
static const char *said(const char *word)
{
	static char value[64];
	const char *words = getenv("FAKE_ENGINE");
	size_t length = strlen(word);

	while (words && *words) {
		size_t all = strcspn(words, " ");

		if (!strncmp(words, word, length) && (all == length || words[length] == '=')) {
			snprintf(value, sizeof(value), "%.*s", (int)(all - length),
				 words + length);
			return value[0] ? value + 1 : value;
		}
		words += all + (words[all] == ' ');
	}
	return NULL;
}

static bool say(const char *word)
{
	return said(word);
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

/* A file of @size bytes that is mapped. *@readable receives a descriptor that cannot write. */
static void *make_file(const char *name, size_t size, int *readable)
{
	int fd = memfd_create(name, MFD_CLOEXEC);
	char path[64];
	void *start;

	if (fd < 0 || ftruncate(fd, (off_t)size))
		die("memfd_create");
	start = mmap(NULL, size ? size : 1, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	*readable = open(path, O_RDONLY | O_CLOEXEC);
	if (start == MAP_FAILED || *readable < 0)
		die("a file");
	close(fd);
	return start;
}

/* ------------------------------------------------------------------------------ frames */

static uint64_t *frame_index;
static char *frame_bytes;
static size_t frames_used;

static void add_frame(uint32_t number, uint32_t link_type, const void *bytes, uint32_t size)
{
	FRAME *frame = (FRAME *)(frame_bytes + frames_used);

	frame->TimeStamp = number * INT64_C(1000);
	frame->FrameLength = size + 4;
	frame->nBytesAvail = size;
	memcpy(frame->MacFrame, bytes, size);
	frame_index[number] = (uint64_t)link_type << 48 | frames_used;
	frames_used += (offsetof(FRAME, MacFrame) + size + 15) & ~15UL;
}

/* Frame N is an Ethernet frame of 60 bytes. The bytes from 14 on are N, in the machine's order. */
static void make_frames(void)
{
	unsigned char bytes[60] = { 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x88, 0xb5 };

	frame_index = make_file("index", nr_frames * sizeof(*frame_index), &files[1]);
	frame_bytes = make_file("frames", (size_t)nr_frames * 80, &files[2]);
	for (uint32_t i = 0; i < nr_frames; i++) {
		memcpy(bytes + 14, &i, sizeof(i));
		add_frame(i, 1, bytes, sizeof(bytes));
	}
	state->link_type = 1;
}

static bool read_frames(void)
{
	FILE *file = fopen(capture, "r");
	static char bytes[1 << 16];
	uint32_t head[2];

	if (!file)
		return false;
	nr_frames = 0;
	frame_index = make_file("index", 8192, &files[1]);
	frame_bytes = make_file("frames", 1 << 20, &files[2]);
	state->link_type = 0xffff;
	while (fread(head, sizeof(head), 1, file) == 1 && head[1] <= sizeof(bytes) &&
	       fread(bytes, 1, head[1], file) == head[1]) {
		add_frame(nr_frames++, head[0], bytes, head[1]);
		state->link_type = head[0];
	}
	fclose(file);
	return true;
}

static void lie_about_frames(void)
{
	FRAME *frame;

	if (!nr_frames)
		return;
	frame = (FRAME *)(frame_bytes + (frame_index[nr_frames / 2] & 0xffffffffffff));
	if (say("index-offset"))
		frame_index[nr_frames / 2] = (1UL << 48) - 16;
	if (say("index-end"))
		frame_index[nr_frames / 2] = frames_used;
	if (say("index-unaligned"))
		frame_index[nr_frames / 2] += 4;
	if (say("frame-size"))
		frame->nBytesAvail = UINT32_MAX;
	if (say("frame-end"))
		frame->nBytesAvail = (uint32_t)(frames_used - ((char *)frame - frame_bytes));
	if (say("state-frames"))
		state->frames = nr_frames + 4096;
	if (say("state-many"))
		state->frames = UINT64_MAX;
	if (say("state-size"))
		state->frames_size = UINT64_MAX;
	if (say("state-cut"))
		state->frames_size = 8;
}

/* ------------------------------------------------------------------- the control socket */

static void send_files(struct engine_control *control, const int *fds, unsigned int n)
{
	char space[CMSG_SPACE(8 * sizeof(int))] __attribute__((aligned(8))) = { 0 };
	struct iovec vector = { .iov_base = control, .iov_len = sizeof(*control) };
	struct msghdr message = { .msg_iov = &vector, .msg_iovlen = 1 };

	if (say("hello-long"))
		vector.iov_len = sizeof(*control) - 4;
	if (n) {
		struct cmsghdr *part;

		message.msg_control = space;
		message.msg_controllen = CMSG_SPACE(n * sizeof(int));
		part = CMSG_FIRSTHDR(&message);
		part->cmsg_level = SOL_SOCKET;
		part->cmsg_type = SCM_RIGHTS;
		part->cmsg_len = CMSG_LEN(n * sizeof(int));
		memcpy(CMSG_DATA(part), fds, n * sizeof(int));
	}
	if (sendmsg(ENGINE_CONTROL_FD, &message, MSG_NOSIGNAL) < 0)
		exit(0);
}

static void greet(void)
{
	struct engine_control control = { .message = ENGINE_HELLO, .version = ENGINE_VERSION };
	int fds[8] = { files[0], files[1], files[2], files[2], files[2] };
	unsigned int n = 3;

	if (say("hello-message"))
		control.message = 77;
	if (say("hello-version"))
		control.version = 77;
	if (say("hello-phase"))
		control.message = ENGINE_PHASE;
	if (say("hello-two"))
		n = 2;
	if (say("hello-five"))
		n = 5;
	if (say("hello-none"))
		n = 0;
	if (say("hello-pipe") && pipe(fds + 1))
		die("pipe");
	if (say("hello-writable"))
		fds[2] = memfd_create("writable", MFD_CLOEXEC);
	if (say("hello-empty"))
		fds[0] = open("/dev/null", O_RDONLY);
	send_files(&control, fds, n);
	if (say("hello-twice"))
		send_files(&control, fds, n);
}

static void set_phase(uint32_t phase)
{
	struct engine_control control = { .message = ENGINE_PHASE, .version = ENGINE_VERSION };

	__atomic_store_n(&state->phase, phase, __ATOMIC_RELEASE);
	send_files(&control, NULL, 0);
}

static void take_expert(void)
{
	char space[CMSG_SPACE(2 * sizeof(int))] __attribute__((aligned(8)));
	struct engine_control control = { 0 };
	struct iovec vector = { .iov_base = &control, .iov_len = sizeof(control) };
	struct msghdr message = {
		.msg_iov = &vector, .msg_iovlen = 1,
		.msg_control = space, .msg_controllen = sizeof(space),
	};
	struct expert *expert = &experts[nr_experts];
	int fds[2];

	if (recvmsg(ENGINE_CONTROL_FD, &message, MSG_CMSG_CLOEXEC) <= 0) {
		close(ENGINE_CONTROL_FD);
		return;
	}
	if (control.message != ENGINE_CONNECT || nr_experts == MAX_EXPERTS ||
	    !CMSG_FIRSTHDR(&message))
		exit(1);
	memcpy(fds, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(fds));
	*expert = (struct expert){
		.socket = fds[0],
		.results = mmap(NULL, ENGINE_RESULTS, PROT_READ | PROT_WRITE, MAP_SHARED, fds[1],
				0),
	};
	if (expert->results == MAP_FAILED)
		die("results");
	close(fds[1]);
	nr_experts++;
}

/* ---------------------------------------------------------------------------- requests */

/* The number that a filter is; 0: none */
static uint32_t parse(const char *text)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	return *end || end == text || n > UINT32_MAX ? 0 : (uint32_t)n;
}

static void compile(struct expert *expert, const struct engine_request *request,
		    struct engine_reply *reply)
{
	uint32_t n = parse(request->text), i;

	for (i = 0; i < MAX_FILTERS && expert->filters[i]; i++)
		;
	if (!n || i == MAX_FILTERS) {
		reply->error = n ? NMERR_OUT_OF_MEMORY : NMERR_FILTER_INVALID_EXPRESSION;
		strcpy(reply->text, "a filter is a number");
		return;
	}
	expert->filters[i] = n;
	reply->id = i;
}

static bool passes(const struct expert *expert, const struct engine_request *request,
		   uint32_t frame)
{
	if (request->flags & ENGINE_USER && user_filter && frame % parse(user_filter))
		return false;
	return request->id == ENGINE_NONE || frame % expert->filters[request->id] == 0;
}

static void lie_about_search(const struct engine_request *request, struct engine_reply *reply,
			     uint32_t *found)
{
	bool backward = request->flags & ENGINE_BACKWARD;

	if (say("search-count"))
		reply->count = request->count + 1;
	if (say("search-size"))
		reply->size = reply->count * 4 - 1;
	if (say("search-before") && reply->count)
		found[0] = backward ? request->frame + 1 : request->frame - 1;
	if (say("search-beyond"))
		found[0] = nr_frames;
	if (say("search-order") && reply->count > 1)
		found[1] = found[0];
	if (say("search-behind") && reply->count)
		found[reply->count - 1] = reply->next;
	if (say("search-still"))
		reply->next = request->frame;
	if (say("search-back"))
		reply->next = backward ? request->frame + 1 : request->frame - 1;
	if (say("search-next"))
		reply->next = nr_frames;
}

static void search(struct expert *expert, const struct engine_request *request,
		   struct engine_reply *reply)
{
	uint32_t *found = (uint32_t *)expert->results, frame = request->frame, looked;

	if (request->id != ENGINE_NONE &&
	    (request->id >= MAX_FILTERS || !expert->filters[request->id])) {
		reply->error = NMERR_INVALID_HFILTER;
		return;
	}
	for (looked = 0; looked < request->count && frame < nr_frames; looked++) {
		if (passes(expert, request, frame))
			found[reply->count++] = frame;
		frame += request->flags & ENGINE_BACKWARD ? -1 : 1;
	}
	reply->next = frame < nr_frames ? frame : ENGINE_NONE;
	reply->size = reply->count * sizeof(*found);
	lie_about_search(request, reply, found);
}

/* Fill in the results of a request that has been received. */
static void answer(struct expert *expert, const struct engine_request *request,
		   struct engine_reply *reply)
{
	switch (request->op) {
	case ENGINE_FILTER:
		compile(expert, request, reply);
		break;
	case ENGINE_DROP_FILTER:
		if (request->id < MAX_FILTERS)
			expert->filters[request->id] = 0;
		break;
	case ENGINE_SEARCH:
		search(expert, request, reply);
		break;
	default:
		reply->error = NMERR_NOT_SUPPORTED;
	}
}

static void lie_about_reply(struct engine_reply *reply, size_t *size)
{
	if (say("reply-op"))
		reply->op++;
	if (say("reply-sequence"))
		reply->sequence++;
	if (say("reply-error"))
		reply->error = 12345;
	if (say("reply-size"))
		reply->size = ENGINE_RESULTS + 1;
	if (say("reply-text"))
		memset(reply->text, 'x', sizeof(reply->text));
	if (say("reply-short"))
		*size -= 1;
	if (say("reply-empty"))
		*size = 0;
}

static void serve(struct expert *expert)
{
	static char long_reply[2 * sizeof(struct engine_reply)];
	struct engine_request request;
	struct engine_reply reply = { 0 };
	size_t size = sizeof(reply);

	memset(&request, 0, sizeof(request));
	if (recv(expert->socket, &request, sizeof(request), 0) <= 0) {
		close(expert->socket);
		expert->socket = -1;
		return;
	}
	if (say("die-request"))
		_exit(0);
	if (say("no-reply"))
		return;
	reply.op = request.op;
	reply.sequence = request.sequence;
	answer(expert, &request, &reply);
	lie_about_reply(&reply, &size);
	if (say("reply-stale")) {
		struct engine_reply stale = reply;

		stale.sequence--;
		stale.count = 0;
		send(expert->socket, &stale, sizeof(stale), MSG_NOSIGNAL);
	}
	if (say("reply-flood")) {
		reply.sequence--;
		while (send(expert->socket, &reply, sizeof(reply), MSG_NOSIGNAL) > 0 ||
		       errno == EAGAIN)
			;
		return;
	}
	memcpy(long_reply, &reply, sizeof(reply));
	send(expert->socket, long_reply, say("reply-long") ? sizeof(long_reply) : size,
	     MSG_NOSIGNAL);
}

/* Do nothing until the host closes the control socket. */
static void wait_for_host(void)
{
	char byte;

	while (recv(ENGINE_CONTROL_FD, &byte, 1, 0) > 0)
		;
	exit(0);
}

static void parse_options(int argc, char **argv)
{
	for (int i = 1; i + 1 < argc; i += 2) {
		if (!strcmp(argv[i], "--capture"))
			capture = argv[i + 1];
		else if (!strcmp(argv[i], "--filter"))
			user_filter = argv[i + 1];
	}
	if (said("frames"))
		nr_frames = (uint32_t)atoi(said("frames"));
}

/* Write arguments, ids and descriptors of this process to the file that FAKE_ENGINE names. */
static void record(int argc, char **argv)
{
	const char *path = said("record");
	FILE *file = path ? fopen(path, "w") : NULL;

	if (!file)
		return;
	for (int i = 1; i < argc; i++)
		fprintf(file, "%s\n", argv[i]);
	fprintf(file, "pid %d session %d group %d\n", getpid(), getsid(0), getpgrp());
	for (int fd = 0; fd < 4096; fd++)
		if (fd != fileno(file) && fcntl(fd, F_GETFD) >= 0)
			fprintf(file, "descriptor %d\n", fd);
	fclose(file);
}

/* Serve until all sockets are closed at their other end. */
static void serve_all(void)
{
	struct pollfd fds[MAX_EXPERTS + 1];
	int open;

	do {
		open = fcntl(ENGINE_CONTROL_FD, F_GETFD) >= 0;
		fds[0] = (struct pollfd){ .fd = open ? ENGINE_CONTROL_FD : -1, .events = POLLIN };
		for (int i = 0; i < nr_experts; i++) {
			fds[i + 1] = (struct pollfd){ .fd = experts[i].socket, .events = POLLIN };
			open += experts[i].socket >= 0;
		}
		if (!open || poll(fds, (nfds_t)nr_experts + 1, -1) < 0)
			return;
		for (int i = 0; i < nr_experts; i++)
			if (fds[i + 1].revents)
				serve(&experts[i]);
		if (fds[0].revents)
			take_expert();
	} while (open);
}

int main(int argc, char **argv)
{
	record(argc, argv);
	parse_options(argc, argv);
	if (say("die-start"))
		return 1;
	state = make_file("state", say("state-short") ? 100 : sizeof(*state), &files[0]);
	state->version = say("state-version") ? 77 : ENGINE_VERSION;
	state->kind = said("kind") ? (uint32_t)atoi(said("kind")) :
		      strstr(argv[0], "wireshark") ? ENGINE_WIRESHARK : ENGINE_PCAP;
	state->process = (uint32_t)getpid();
	state->start = INT64_C(1234567890123456789);
	snprintf(state->comment, sizeof(state->comment), "a comment");
	snprintf(state->software, sizeof(state->software), "fake\033engine");
	if (!read_frames())
		make_frames();
	state->frames = nr_frames;
	state->frames_size = frames_used;
	lie_about_frames();
	if (say("state-comment"))
		memset(state->comment, 'x', sizeof(state->comment));
	if (say("die-silent"))
		wait_for_host();
	greet();
	if (say("die-hello"))
		return 1;
	set_phase(ENGINE_LOADING);
	if (say("loading"))
		wait_for_host();
	if (say("failed")) {
		strcpy(state->error, "it is no capture");
		set_phase(ENGINE_FAILED);
	} else {
		set_phase(say("state-phase") ? 77 : ENGINE_READY);
	}
	if (say("lost"))
		set_phase(ENGINE_LOST);
	if (say("die-ready"))
		return 1;
	serve_all();
	return 0;
}
