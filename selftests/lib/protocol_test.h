/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A client of an engine without libexpertmem: it sends what a test wants, also garbage. And the
 * writing of small captures.
 */
#ifndef PROTOCOL_TEST_H
#define PROTOCOL_TEST_H

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <Netmon.h>
#include <expertmem-engine.h>

/**
 * struct engine - a running engine
 * @pid: its supervisor
 * @control: the control socket
 * @files: state, index and frames, read-only
 * @state: the state, mapped
 */
struct engine {
	pid_t pid;
	int control;
	int files[3];
	const volatile struct engine_state *state;
};

/**
 * struct session - an expert's connection
 * @fd: the socket
 * @results: the results, mapped read-only
 * @sequence: of the last request
 * @reply: the last reply
 */
struct session {
	int fd;
	const char *results;
	uint32_t sequence;
	struct engine_reply reply;
};

/*
 * The path of a file of the build, from the path of this program, which is in selftests/ or below.
 * Nobody frees it.
 */
static inline const char *built(const char *name)
{
	char self[PATH_MAX] = "";
	char *end, *path;

	if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0)
		abort();
	end = strstr(self, "/selftests/");
	if (end)
		*end = '\0';
	if (asprintf(&path, "%s/%s", self, name) < 0)
		abort();
	return path;
}

static inline const char *pcap_engine(void)
{
	const char *directory = getenv("EXPERTMEM_ENGINES");
	static char path[PATH_MAX];

	if (directory)
		snprintf(path, sizeof(path), "%s/expertmem-engine-pcap", directory);
	return directory ? path : built("lib/expertmem/expertmem-engine-pcap");
}

/* Receive a message of the supervisor with up to three descriptors. False: the socket is closed. */
static inline bool receive_control(int control, struct engine_control *body, int files[3])
{
	union {
		char bytes[CMSG_SPACE(3 * sizeof(int))];
		struct cmsghdr align;
	} space;
	struct iovec part = { .iov_base = body, .iov_len = sizeof(*body) };
	struct msghdr message = {
		.msg_iov = &part, .msg_iovlen = 1,
		.msg_control = &space, .msg_controllen = sizeof(space),
	};
	struct cmsghdr *head;

	if (recvmsg(control, &message, MSG_CMSG_CLOEXEC) != sizeof(*body))
		return false;
	head = CMSG_FIRSTHDR(&message);
	if (head && files)
		memcpy(files, CMSG_DATA(head), head->cmsg_len - CMSG_LEN(0));
	return true;
}

/*
 * Start the engine at @program on @capture. @arguments: more arguments, up to a NULL; or NULL.
 * @input: descriptor that becomes its standard input; -1: /dev/null. False: it does not say HELLO.
 */
static inline bool engine_start(struct engine *engine, const char *program, const char *capture,
				const char *const *arguments, int input)
{
	struct engine_control hello;
	const char *argv[16] = { program, "--capture", capture };
	int pair[2];

	for (int i = 0; arguments && arguments[i]; i++)
		argv[3 + i] = arguments[i];
	*engine = (struct engine){ .files = { -1, -1, -1 } };
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return false;
	engine->pid = fork();
	if (!engine->pid) {
		if (input < 0)
			input = open("/dev/null", O_RDONLY | O_CLOEXEC);
		if (dup2(input, 0) < 0)
			_exit(126);
		/* The descriptor may have its number already, with the flag. */
		if (pair[1] == ENGINE_CONTROL_FD)
			fcntl(pair[1], F_SETFD, 0);
		else
			dup2(pair[1], ENGINE_CONTROL_FD);
		execv(program, (char **)argv);
		_exit(127);
	}
	close(pair[1]);
	engine->control = pair[0];
	if (!receive_control(engine->control, &hello, engine->files) ||
	    hello.message != ENGINE_HELLO)
		return false;
	engine->state = mmap(NULL, sizeof(*engine->state), PROT_READ, MAP_SHARED,
			     engine->files[0], 0);
	return engine->state != MAP_FAILED;
}

/* Wait until the phase is READY, FAILED or LOST, and return it. -1: the supervisor has ended. */
static inline int engine_wait(struct engine *engine)
{
	struct engine_control body;

	while (engine->state->phase < ENGINE_READY)
		if (!receive_control(engine->control, &body, NULL))
			return -1;
	return (int)engine->state->phase;
}

/* Close the control socket and what was mapped. Returns the supervisor's wait status. */
static inline int engine_stop(struct engine *engine)
{
	int status = -1;

	close(engine->control);
	waitpid(engine->pid, &status, 0);
	if (engine->state && engine->state != MAP_FAILED)
		munmap((void *)engine->state, sizeof(*engine->state));
	for (int i = 0; i < 3; i++)
		if (engine->files[i] >= 0)
			close(engine->files[i]);
	return status;
}

/* The pid of the present worker; waits until there is one that was started after @before others. */
static inline pid_t engine_worker(const struct engine *engine, uint32_t before)
{
	while (engine->state->workers <= before || !engine->state->process)
		usleep(1000);
	return (pid_t)engine->state->process;
}

/* Send a message with @count descriptors on the control socket. */
static inline bool send_control(int control, const void *bytes, size_t size, const int *fds,
				size_t count)
{
	union {
		char bytes[CMSG_SPACE(8 * sizeof(int))];
		struct cmsghdr align;
	} space = { { 0 } };
	struct iovec part = { .iov_base = (void *)bytes, .iov_len = size };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };

	if (count) {
		message.msg_control = &space;
		message.msg_controllen = CMSG_SPACE(count * sizeof(int));
		space.align = (struct cmsghdr){
			.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS,
			.cmsg_len = CMSG_LEN(count * sizeof(int)),
		};
		memcpy(CMSG_DATA(&space.align), fds, count * sizeof(int));
	}
	return sendmsg(control, &message, MSG_NOSIGNAL) == (ssize_t)size;
}

/* A file for results. @size: bytes; the right size is ENGINE_RESULTS. */
static inline int results_file(size_t size)
{
	int fd = memfd_create("results", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	return fd >= 0 && !ftruncate(fd, (off_t)size) ? fd : -1;
}

static inline bool engine_connect(struct engine *engine, struct session *session)
{
	const struct engine_control body = { ENGINE_CONNECT, ENGINE_VERSION };
	int pair[2], fds[2];
	bool sent;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return false;
	fds[0] = pair[1];
	fds[1] = results_file(ENGINE_RESULTS);
	*session = (struct session){
		.fd = pair[0],
		.results = mmap(NULL, ENGINE_RESULTS, PROT_READ, MAP_SHARED, fds[1], 0),
	};
	sent = send_control(engine->control, &body, sizeof(body), fds, 2);
	close(fds[0]);
	close(fds[1]);
	return sent && session->results != MAP_FAILED;
}

static inline void session_close(struct session *session)
{
	close(session->fd);
	munmap((void *)session->results, ENGINE_RESULTS);
}

/* Send a request. @text: NULL for none */
static inline bool request_send(struct session *session, struct engine_request *request,
				const char *text)
{
	size_t size = offsetof(struct engine_request, text);

	request->sequence = ++session->sequence;
	request->length = text ? (uint32_t)strlen(text) + 1 : 0;
	if (text)
		memcpy(request->text, text, request->length);
	size += request->length;
	return send(session->fd, request, size, MSG_NOSIGNAL) == (ssize_t)size;
}

/* Receive the reply to the last request. False: the socket is closed. */
static inline bool reply_receive(struct session *session)
{
	do {
		if (recv(session->fd, &session->reply, sizeof(session->reply), 0) !=
		    sizeof(session->reply))
			return false;
	} while (session->reply.sequence != session->sequence);
	return true;
}

/* Send a request and receive its reply: the reply's error, or UINT32_MAX: the socket is closed. */
static inline uint32_t ask(struct session *session, struct engine_request request,
			   const char *text)
{
	memset(&session->reply, 0xa5, sizeof(session->reply));
	if (!request_send(session, &request, text) || !reply_receive(session))
		return UINT32_MAX;
	return session->reply.error;
}

/* Compile a filter: its number, or ENGINE_NONE. */
static inline uint32_t ask_filter(struct session *session, const char *text)
{
	return ask(session, (struct engine_request){ .op = ENGINE_FILTER }, text) ? ENGINE_NONE :
	       session->reply.id;
}

/*
 * Search for up to @count frames from @frame on, by as many requests as it takes. Returns how many
 * passed, with up to @room of their numbers in @found; -1: an error.
 */
static inline long search(struct session *session, uint32_t filter, uint32_t flags, uint32_t frame,
			  uint32_t count, uint32_t *found, long room)
{
	long n = 0;

	while (frame != ENGINE_NONE && count) {
		const struct engine_request request = {
			.op = ENGINE_SEARCH, .flags = flags, .frame = frame, .count = count,
			.id = filter,
		};
		const uint32_t *numbers = (const uint32_t *)session->results;
		uint32_t next;

		if (ask(session, request, NULL) || session->reply.size !=
		    session->reply.count * sizeof(uint32_t))
			return -1;
		for (uint32_t i = 0; i < session->reply.count; i++, n++)
			if (n < room)
				found[n] = numbers[i];
		next = session->reply.next;
		if (next != ENGINE_NONE)
			count -= flags & ENGINE_BACKWARD ? frame - next : next - frame;
		frame = next;
	}
	return n;
}

/* --------------------------------------------------------------------- captures */

/* Start a capture file in pcap's format with microseconds. */
static inline FILE *pcap_create(const char *path, uint32_t link_type)
{
	const uint32_t header[] = { 0xa1b2c3d4, 2 | 4 << 16, 0, 0, 262144, link_type };
	FILE *file = fopen(path, "w");

	if (file)
		fwrite(header, sizeof(header), 1, file);
	return file;
}

/* Append a frame. @time: microseconds since 1970; @length: on the wire */
static inline void pcap_add(FILE *file, int64_t time, uint32_t length, const void *bytes,
			    uint32_t size)
{
	const uint32_t header[] = {
		(uint32_t)(time / 1000000), (uint32_t)(time % 1000000), size, length
	};

	fwrite(header, sizeof(header), 1, file);
	fwrite(bytes, size, 1, file);
}

/* Write @count frames of 60 bytes, Ethernet, IP, UDP. Frame i comes from port 1000 + i % 10. */
static inline bool pcap_write(const char *path, uint32_t count)
{
	FILE *file = pcap_create(path, 1);
	uint8_t frame[60] = {
		2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0,
		0x45, 0, 0, 46, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
		0, 0, 0, 53, 0, 26, 0, 0,
	};

	if (!file)
		return false;
	for (uint32_t i = 0; i < count; i++) {
		frame[34] = (uint8_t)((1000 + i % 10) >> 8);
		frame[35] = (uint8_t)(1000 + i % 10);
		memcpy(frame + 42, &i, sizeof(i));
		pcap_add(file, 1000000000LL * 1000000 + 7 * i, 60, frame, 60);
	}
	return !fclose(file);
}

/* -------------------------------------------------------------------- processes */

static inline bool is_alive(pid_t pid)
{
	char path[64], text[512] = "";
	const char *state;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	fd = open(path, O_RDONLY);
	if (fd < 0)
		return false;
	if (read(fd, text, sizeof(text) - 1) < 0)
		text[0] = '\0';
	close(fd);
	state = strrchr(text, ')');
	return state && state[2] != 'Z' && state[2] != 'X';
}

/* Wait until a process that is no child has ended. False: it still lives after a minute. */
static inline bool has_ended(pid_t pid)
{
	for (int i = 0; i < 60000 && is_alive(pid); i++)
		usleep(1000);
	return !is_alive(pid);
}

/* Wait for all children, also later ones. False: one still runs after 60 s. */
static inline bool all_have_ended(void)
{
	for (int i = 0; i < 60000; i++) {
		pid_t pid;

		do
			pid = waitpid(-1, NULL, WNOHANG);
		while (pid > 0);
		if (pid < 0)
			return errno == ECHILD;
		usleep(1000);
	}
	return false;
}

#endif /* PROTOCOL_TEST_H */
