// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The worker: loads the capture if it is the first one, and serves the requests of experts.
 *
 * A request stays in its socket until its reply is sent, because the worker reads it by MSG_PEEK.
 * If the worker dies, the next worker finds the request again. If the worker is killed after it
 * sent the reply and before it removed the request, the next worker sends the reply again; the
 * library ignores a reply with an old sequence number.
 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <Netmon.h>

#include "worker.h"

#define CLIENTS_MAX	1024	/* most clients at a time, as in supervisor.c */
#define SLICE		250000000LL	/* ns; a request is answered in part after this time */

/**
 * struct client - an expert that sends requests
 * @id: its number
 * @fd: its socket
 * @results: its results file, mapped
 */
struct client {
	uint32_t id;
	int fd;
	char *results;
};

static struct engine_state *state;
static struct frames frames;
static const char *user_text;		/* the user's filter; "" if there is none */
static void *user_filter;		/* compiled; NULL if there is none */
static bool renewing;			/* the memory limit is near: end after this request */

static struct client clients[CLIENTS_MAX];
static unsigned int nr_clients;
static void *compiled[FILTERS_MAX];	/* my_desk->filters as compiled by this worker, or NULL */

static void report(enum report_what what, uint32_t client)
{
	const struct report message = { .what = what, .client = client };

	if (send(FD_SUPERVISOR, &message, sizeof(message), MSG_NOSIGNAL) != sizeof(message))
		_exit(EXIT_ENDED);
}

/* ----------------------------------------------------------------------- filters */

/*
 * The compiled filter @id of a client; NULL: there is none. If an earlier worker compiled it, this
 * worker compiles it again.
 */
static void *filter_of(const struct client *client, uint32_t id, char text[static 484])
{
	if (id >= FILTERS_MAX || my_desk->filters[id].client != client->id)
		return NULL;
	if (!compiled[id] &&
	    engine_ops.compile(my_desk->filters[id].text, frames.link_type, &compiled[id], text))
		compiled[id] = NULL;
	return compiled[id];
}

static void drop_filter(uint32_t id)
{
	if (compiled[id])
		engine_ops.drop(compiled[id]);
	compiled[id] = NULL;
	my_desk->filters[id].client = 0;
}

static uint32_t op_filter(const struct client *client, const struct engine_request *request,
			  struct engine_reply *reply)
{
	uint32_t id = 0, error;

	while (id < FILTERS_MAX && my_desk->filters[id].client)
		id++;
	if (id == FILTERS_MAX) {
		snprintf(reply->text, sizeof(reply->text),
			 "the engine has %d filters already; destroy one", FILTERS_MAX);
		return NMERR_OUT_OF_MEMORY;
	}
	error = engine_ops.compile(request->text, frames.link_type, &compiled[id], reply->text);
	if (error) {
		compiled[id] = NULL;
		return error;
	}
	memcpy(my_desk->filters[id].text, request->text, request->length);
	my_desk->filters[id].client = client->id;
	reply->id = id;
	return NMERR_SUCCESS;
}

static uint32_t op_drop_filter(const struct client *client, const struct engine_request *request)
{
	if (request->id >= FILTERS_MAX || my_desk->filters[request->id].client != client->id)
		return NMERR_INVALID_HFILTER;
	drop_filter(request->id);
	return NMERR_SUCCESS;
}

/* ------------------------------------------------------------------------ frames */

/* The frame behind @frame in the direction of the request, or ENGINE_NONE. */
static uint32_t next_frame(const struct engine_request *request, uint32_t frame)
{
	if (request->flags & ENGINE_BACKWARD)
		return frame ? frame - 1 : ENGINE_NONE;
	return frame + 1 < frames.count ? frame + 1 : ENGINE_NONE;
}

static long long now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000LL + time.tv_nsec;
}

/*
 * Shall the request be answered with the frames so far? @calls: number of frames that the caller
 * has looked at. The memory is looked at once in 64 frames, because mallinfo2() takes a
 * microsecond. The clock is looked at for each frame if the engine has dissectors: there, one frame
 * can take milliseconds, and reading the clock takes nanoseconds. @end: time in nanoseconds.
 */
static bool is_enough(unsigned int calls, long long end)
{
	if (calls % 64)
		return engine_ops.dissected && now() > end;
	desk_step();
	if (engine_ops.dissected && desk_memory_above(6))
		renewing = true;
	return renewing || now() > end;
}

static uint32_t op_search(const struct client *client, const struct engine_request *request,
			  struct engine_reply *reply, struct results *results)
{
	void *user = request->flags & ENGINE_USER ? user_filter : NULL, *filter = NULL;
	long long end = now() + SLICE;
	uint32_t frame = request->frame;

	if (request->id != ENGINE_NONE) {
		filter = filter_of(client, request->id, reply->text);
		if (!filter)
			return NMERR_INVALID_HFILTER;
	}
	if (frame >= frames.count)
		return NMERR_FRAME_NOT_FOUND;
	for (uint32_t i = 0; i < request->count && frame != ENGINE_NONE; i++) {
		if (i && is_enough(i, end))
			break;
		desk_at = frame;
		if ((!user || engine_ops.passes(user, frame)) &&
		    (!filter || engine_ops.passes(filter, frame))) {
			if (ENGINE_RESULTS - results->used < sizeof(frame))
				break;
			memcpy(results->start + results->used, &frame, sizeof(frame));
			results->used += sizeof(frame);
			reply->count++;
		}
		frame = next_frame(request, frame);
	}
	reply->next = frame;
	return NMERR_SUCCESS;
}

/* The fields that a request names; NULL: all. *@error: NMERR_NOT_SUPPORTED if it is malformed. */
static const struct fields *fields_of(const struct engine_request *request, uint32_t *error)
{
	static struct fields fields;
	uint32_t size = request->length ? request->length - 1 : 0;

	*error = NMERR_SUCCESS;
	if (request->flags & ENGINE_FIELD) {
		fields = (struct fields){ .count = 1, .ids = { request->id } };
		return &fields;
	}
	if (!(request->flags & ENGINE_ASKED))
		return NULL;
	if (!size || size % sizeof(*fields.ids) || size > sizeof(fields.ids)) {
		*error = NMERR_NOT_SUPPORTED;
		return NULL;
	}
	fields.asked = true;
	fields.count = size / sizeof(*fields.ids);
	memcpy(fields.ids, request->text, size);
	return &fields;
}

/* ENGINE_PROPERTIES, and ENGINE_PROTOCOLS if @protocols */
static uint32_t op_frames(const struct engine_request *request, struct engine_reply *reply,
			  struct results *results, bool protocols)
{
	uint32_t frame = request->frame, used, error;
	const struct fields *fields = fields_of(request, &error);
	long long end = now() + SLICE;

	if (protocols ? !engine_ops.protocols : !engine_ops.properties)
		return NMERR_NOT_SUPPORTED;
	if (error)
		return error;
	if (frame >= frames.count)
		return NMERR_FRAME_NOT_FOUND;
	for (uint32_t i = 0; i < request->count && i < ENGINE_BATCH && frame != ENGINE_NONE; i++) {
		if (i && is_enough(i - 1, end))
			break;
		desk_at = frame;
		used = results->used;
		if (!(protocols ? engine_ops.protocols(frame, results) :
				  engine_ops.properties(frame, fields, results))) {
			results->used = used;
			if (!reply->count)
				return NMERR_OUT_OF_MEMORY;
			break;
		}
		reply->count++;
		frame = next_frame(request, frame);
	}
	reply->next = frame;
	return NMERR_SUCCESS;
}

/* ------------------------------------------------------------------------- names */

/* ENGINE_PROTOCOL and ENGINE_FIELD_INFO, whose results begin with the number */
static uint32_t op_find(uint32_t (*find)(const char *text, uint32_t id, struct results *results),
			const struct engine_request *request, struct engine_reply *reply,
			struct results *results)
{
	uint32_t error;

	if (!find)
		return NMERR_NOT_SUPPORTED;
	error = find(request->text, request->id, results);
	if (error) {
		results->used = 0;
		return error;
	}
	memcpy(&reply->id, results->start, sizeof(reply->id));
	reply->count = 1;
	return NMERR_SUCCESS;
}

static uint32_t op_fields(const struct engine_request *request, struct engine_reply *reply,
			  struct results *results)
{
	if (!engine_ops.fields)
		return NMERR_NOT_SUPPORTED;
	return engine_ops.fields(request->id, request->frame, &reply->count, results);
}

/* ---------------------------------------------------------------------- requests */

static uint32_t serve(const struct client *client, const struct engine_request *request,
		      struct engine_reply *reply, struct results *results)
{
	switch (request->op) {
	case ENGINE_PROPERTIES:
		return op_frames(request, reply, results, false);
	case ENGINE_PROTOCOLS:
		return op_frames(request, reply, results, true);
	case ENGINE_FILTER:
		return op_filter(client, request, reply);
	case ENGINE_SEARCH:
		return op_search(client, request, reply, results);
	case ENGINE_PROTOCOL:
		return op_find(engine_ops.find_protocol, request, reply, results);
	case ENGINE_FIELD_INFO:
		return op_find(engine_ops.find_field, request, reply, results);
	case ENGINE_FIELDS:
		return op_fields(request, reply, results);
	case ENGINE_DROP_FILTER:
		return op_drop_filter(client, request);
	default:
		return NMERR_NOT_SUPPORTED;
	}
}

static bool is_refused(const struct client *client, const struct engine_request *request)
{
	return my_desk->refused && my_desk->refused_client == client->id &&
	       my_desk->refused_sequence == request->sequence;
}

/* Fill the reply to a request. */
static void answer(const struct client *client, const struct engine_request *request,
		   struct engine_reply *reply)
{
	struct results results = { .start = client->results };

	*reply = (struct engine_reply){
		.op = request->op,
		.sequence = request->sequence,
		.next = ENGINE_NONE,
	};
	my_desk->client = client->id;
	my_desk->sequence = request->sequence;
	desk_step();
	desk_activity(ACTIVITY_REQUEST);
	if (is_refused(client, request)) {
		reply->error = request->op == ENGINE_FILTER ? NMERR_FILTER_INVALID_EXPRESSION :
			       NMERR_NOT_SUPPORTED;
		snprintf(reply->text, sizeof(reply->text),
			 "the engine crashed or hung on this request before; change it");
	} else {
		reply->error = serve(client, request, reply, &results);
	}
	desk_dissected();
	reply->size = results.used;
	if (engine_ops.dissected)
		state->dissected = engine_ops.dissected();
	my_desk->done++;
	desk_activity(ACTIVITY_IDLE);
}

/* ----------------------------------------------------------------------- clients */

/* Remove a client. shutdown() disconnects it, because close() leaves the supervisor's copy open. */
static void drop_client(struct client *client)
{
	for (uint32_t id = 0; id < FILTERS_MAX; id++)
		if (my_desk->filters[id].client == client->id)
			drop_filter(id);
	shutdown(client->fd, SHUT_RDWR);
	close(client->fd);
	munmap(client->results, ENGINE_RESULTS);
	*client = clients[--nr_clients];
}

static bool is_valid(const struct engine_request *request, ssize_t size)
{
	const size_t head = offsetof(struct engine_request, text);

	return size >= (ssize_t)head && request->length <= ENGINE_TEXT &&
	       (size_t)size == head + request->length &&
	       (!request->length || !request->text[request->length - 1]);
}

/*
 * Serve one request of a client. False: the client has closed its socket, has broken the protocol,
 * or does not read its replies.
 */
static bool serve_client(const struct client *client)
{
	static struct engine_request request;
	static struct engine_reply reply;
	ssize_t size;
	char none;

	/* MSG_TRUNC: recv() returns the message's size, also if it is larger than the structure. */
	size = recv(client->fd, &request, sizeof(request), MSG_PEEK | MSG_DONTWAIT | MSG_TRUNC);
	if (size < 0)
		return errno == EAGAIN || errno == EINTR;
	if (!is_valid(&request, size))
		return false;
	if (!request.length)
		request.text[0] = '\0';
	answer(client, &request, &reply);
	if (send(client->fd, &reply, sizeof(reply), MSG_DONTWAIT | MSG_NOSIGNAL) != sizeof(reply))
		return false;
	recv(client->fd, &none, sizeof(none), MSG_DONTWAIT);
	if (renewing)
		desk_renew();
	return true;
}

/* Map the results file of a new client. */
static void add_client(uint32_t id, int fd, int file)
{
	char *results = MAP_FAILED;

	if (nr_clients < CLIENTS_MAX)
		results = mmap(NULL, ENGINE_RESULTS, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	close(file);
	if (results == MAP_FAILED) {
		close(fd);
		report(REPORT_REFUSED, id);
		return;
	}
	clients[nr_clients++] = (struct client){ .id = id, .fd = fd, .results = results };
}

/* Take the clients that the supervisor introduces. */
static void take_introductions(void)
{
	for (;;) {
		struct introduction introduction;
		union {
			char bytes[CMSG_SPACE(2 * sizeof(int))];
			struct cmsghdr align;
		} control;
		struct iovec part = { .iov_base = &introduction, .iov_len = sizeof(introduction) };
		struct msghdr message = {
			.msg_iov = &part, .msg_iovlen = 1,
			.msg_control = &control, .msg_controllen = sizeof(control),
		};
		ssize_t size = recvmsg(FD_SUPERVISOR, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
		struct cmsghdr *head = size > 0 ? CMSG_FIRSTHDR(&message) : NULL;
		size_t nr_fds;
		int fds[2];

		if (size < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (size <= 0)
			_exit(EXIT_ENDED);
		nr_fds = head ? (head->cmsg_len - CMSG_LEN(0)) / sizeof(int) : 0;
		if (nr_fds)
			memcpy(fds, CMSG_DATA(head), nr_fds * sizeof(int));
		if (nr_fds == 2) {
			add_client(introduction.client, fds[0], fds[1]);
			continue;
		}
		/* MSG_CTRUNC: there was no free descriptor for one or both of them. */
		if (nr_fds)
			close(fds[0]);
		report(REPORT_REFUSED, introduction.client);
	}
}

/*
 * Serve one request of each client that has sent one. drop_client() moves the last client of the
 * list into the hole, so the loop goes from the end of the list to its start.
 */
static void serve_clients(void)
{
	static struct pollfd fds[CLIENTS_MAX + 1];
	unsigned int n = nr_clients;

	for (unsigned int i = 0; i < n; i++)
		fds[i] = (struct pollfd){ .fd = clients[i].fd, .events = POLLIN };
	fds[n] = (struct pollfd){ .fd = FD_SUPERVISOR, .events = POLLIN };
	if (poll(fds, n + 1, -1) < 0)
		return;
	for (unsigned int i = n; i-- > 0;)
		if (fds[i].revents && !serve_client(&clients[i]))
			drop_client(&clients[i]);
	if (fds[n].revents)
		take_introductions();
}

/* ------------------------------------------------------------------------- start */

static void __attribute__((noreturn)) fail(void)
{
	_exit(EXIT_FAILED);
}

static void *map_file(int fd, size_t size, int protection)
{
	void *p = mmap(NULL, size ? size : 1, protection, MAP_SHARED, fd, 0);

	if (p != MAP_FAILED)
		return p;
	snprintf(state->error, sizeof(state->error),
		 "cannot map %zu bytes of frames or index: %s; raise ulimit -v", size,
		 strerror(errno));
	fail();
}

/*
 * Check the user's filter before the capture is read. The compiled filter is freed, because its
 * link types are known only when the capture is read.
 */
static bool check_user_filter(uint16_t link_type)
{
	char text[484] = "";
	void *filter;

	if (!*user_text)
		return true;
	if (!engine_ops.compile(user_text, link_type, &filter, text)) {
		engine_ops.drop(filter);
		return true;
	}
	snprintf(state->error, sizeof(state->error), "the filter is wrong: %s", text);
	return false;
}

static void compile_user_filter(void)
{
	char text[484] = "";

	if (!*user_text ||
	    !engine_ops.compile(user_text, frames.link_type, &user_filter, text))
		return;
	snprintf(state->error, sizeof(state->error), "the filter is wrong: %s", text);
	fail();
}

static void load(void)
{
	const struct loading loading = { .state = state, .first = check_user_filter };

	report(REPORT_LOADING, 0);
	desk_activity(ACTIVITY_LOADING);
	if (!load_capture(&loading))
		fail();
	close(FD_INDEX_WRITE);
	close(FD_FRAMES_WRITE);
	close(FD_CAPTURE);
}

/* Map the frames. A worker that was taken over may have changed their number, so check it. */
static void map_frames(void)
{
	struct stat index;

	if (fstat(FD_INDEX, &index) || state->frames > UINT32_MAX - 1 ||
	    state->frames * sizeof(uint64_t) > (uint64_t)index.st_size)
		fail();
	frames = (struct frames){
		.count = (uint32_t)state->frames,
		.start = state->start,
		.link_type = (uint16_t)state->link_type,
		.begin = my_desk->begin,
		.index = map_file(FD_INDEX, state->frames * sizeof(uint64_t), PROT_READ),
		.data = map_file(FD_FRAMES, state->frames_size, PROT_READ),
	};
	if (engine_ops.loaded)
		engine_ops.loaded(&frames);
}

/* Let the kernel kill this process when the supervisor ends, which may have happened already. */
static void follow_supervisor(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != (pid_t)my_desk->supervisor)
		_exit(EXIT_ENDED);
}

/* Limit the files that this worker may write; only the first one writes any. */
static void limit_files(void)
{
	const struct rlimit none = { 0, 0 };
	struct rlimit files;

	/* Let pwrite() fail by EFBIG. */
	signal(SIGXFSZ, SIG_IGN);
	if (!my_desk->loads) {
		setrlimit(RLIMIT_FSIZE, &none);
		return;
	}
	if (!my_desk->file_limit || getrlimit(RLIMIT_FSIZE, &files))
		return;
	/* The user's limit may be lower. */
	if (files.rlim_cur > my_desk->file_limit)
		files.rlim_cur = my_desk->file_limit;
	files.rlim_max = files.rlim_cur;
	setrlimit(RLIMIT_FSIZE, &files);
}

static void set_limits(void)
{
	const struct rlimit none = { 0, 0 };

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	setrlimit(RLIMIT_CORE, &none);
	limit_files();
	umask(077);
}

/*
 * Open the capture as standard input, which Wireshark's library reads in the sandbox. If the user's
 * standard input is writable, it is opened again for reading only: the sandbox allows dup(), which
 * could move it to a number that may be written to.
 */
static void open_capture(const char *path)
{
	bool input = !strcmp(path, "-");
	int fd, flags = input ? fcntl(FD_CAPTURE, F_GETFL) : 0;
	off_t offset = input ? lseek(FD_CAPTURE, 0, SEEK_CUR) : 0;

	if (input && (flags < 0 || (flags & O_ACCMODE) == O_RDONLY))
		return;
	if (input)
		path = "/proc/self/fd/0";
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0) {
		load_explain_open(errno, state->error);
		fail();
	}
	if (offset > 0)
		lseek(fd, offset, SEEK_SET);
	dup2(fd, FD_CAPTURE);
	close(fd);
}

/* Let standard output and error be /dev/null: texts of the capture must not get to a terminal. */
static void silence(void)
{
	int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);

	dup2(fd, FD_OUTPUT);
	dup2(fd, FD_ERROR);
	if (fd > FD_ERROR)
		close(fd);
}

int run_engine(const struct options *options, char **argv)
{
	int device;

	(void)argv;
	my_desk = mmap(NULL, sizeof(*my_desk), PROT_READ | PROT_WRITE, MAP_SHARED, FD_DESK, 0);
	state = mmap(NULL, sizeof(*state), PROT_READ | PROT_WRITE, MAP_SHARED, FD_STATE, 0);
	if (my_desk == MAP_FAILED || state == MAP_FAILED) {
		fprintf(stderr,
			"%s: only its supervisor can start this program; use 'expertmem run'\n",
			program_invocation_short_name);
		return EXIT_FAILED;
	}
	follow_supervisor();
	set_limits();
	state->kind = engine_ops.kind;
	desk_memory_limit = options->limit;
	user_text = options->filter;
	tzset();		/* reads files, as localtime() would in the sandbox */
	load_init();
	if (!engine_ops.init(state->software, state->error))
		fail();
	if (my_desk->loads)
		open_capture(options->capture);
	device = sandbox_find_device(&desk_memory_limit);
	silence();
	if (!sandbox_enter(device)) {
		snprintf(state->error, sizeof(state->error),
			 "the kernel refuses the engine's sandbox: %s; use a kernel with CONFIG_SECCOMP_FILTER",
			 strerror(errno));
		fail();
	}
	if (my_desk->loads)
		load();
	map_frames();
	compile_user_filter();
	if (my_desk->loads)
		report(REPORT_LOADED, 0);
	desk_activity(ACTIVITY_IDLE);
	for (;;)
		serve_clients();
}
