// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The host's calls for captures: start an engine, read its state, and give the capture to experts.
 *
 * The host reads the engine's state by pread(). If it mapped the file, an engine could crash it by
 * truncating the file. The host copies what the engine sends before it checks it.
 *
 * A child of the host closes the control sockets, so that it does not keep the engines alive.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "capture.h"
#include "raw.h"
#include "text.h"

#define PATH_SIZE	4096

/*
 * Milliseconds between two looks at the expert's status, and at the engine's, while a call waits.
 */
#define TICK		100

/* The files of ENGINE_HELLO. */
enum { STATE, INDEX, FRAMES, FILES };

/**
 * struct expertmem_capture - a capture that an engine reads
 * @lock: protects the other fields but @next and @options
 * @control: the control socket; -1: the engine has ended, or broke its protocol
 * @files: descriptors of the files of ENGINE_HELLO; -1: that message has not come yet
 * @why: why @control is -1; "" if it is not
 * @flags: of struct expertmem_capture_options
 * @engine: the engine that was started
 * @user_filter: the options have a filter that is not ""
 * @path: the path of the capture, or "" if it is too long for EXPERTSTARTUPINFO
 * @next: next capture of the list; captures_lock protects it
 */
struct expertmem_capture {
	pthread_mutex_t lock;
	int control;
	int files[FILES];
	char why[128];
	unsigned int flags;
	enum expertmem_engine engine;
	bool user_filter;
	char path[MAX_PATH];
	struct expertmem_capture *next;
};

/*
 * All captures of the process. captures_lock is held during fork(), and while this process has a
 * socket's end that belongs to an engine: so no child of this process inherits that end.
 */
static struct expertmem_capture *captures;
static pthread_mutex_t captures_lock = PTHREAD_MUTEX_INITIALIZER;

static void close_fd(int *fd)
{
	if (*fd >= 0)
		em_raw(SYS_close, *fd, 0, 0);
	*fd = -1;
}

static void close_all(struct expertmem_capture *capture)
{
	close_fd(&capture->control);
	for (int i = 0; i < FILES; i++)
		close_fd(&capture->files[i]);
}

/* ------------------------------------------------------------------------------- fork */

static void at_fork_prepare(void)
{
	pthread_mutex_lock(&captures_lock);
}

static void at_fork_parent(void)
{
	pthread_mutex_unlock(&captures_lock);
}

static void at_fork_child(void)
{
	struct expertmem_capture *capture;

	for (capture = captures; capture; capture = capture->next) {
		/* A thread of the parent may hold the lock; it is not in the child. */
		pthread_mutex_init(&capture->lock, NULL);
		close_all(capture);
		strcpy(capture->why, "only the process that opened the capture can use it");
	}
	pthread_mutex_unlock(&captures_lock);
}

static void init_fork(void)
{
	pthread_atfork(at_fork_prepare, at_fork_parent, at_fork_child);
}

/* --------------------------------------------------------------------------- starting */

static const char *const programs[] = {
	[EXPERTMEM_ENGINE_PCAP]		= "expertmem-engine-pcap",
	[EXPERTMEM_ENGINE_WIRESHARK]	= "expertmem-engine-wireshark",
};

/* Write directory/name. False: it is too long. */
static bool join(char path[PATH_SIZE], const char *directory, const char *name)
{
	int length = snprintf(path, PATH_SIZE, "%s/%s", directory, name);

	return length > 0 && length < PATH_SIZE;
}

/* The directory of this library, or of the program that it is linked into statically. */
static bool own_directory(char path[PATH_SIZE])
{
	char *slash;
	Dl_info info;

	if (!dladdr(&captures_lock, &info) || !info.dli_fname ||
	    strlen(info.dli_fname) >= PATH_SIZE)
		return false;
	strcpy(path, info.dli_fname);
	slash = strrchr(path, '/');
	if (slash)
		*slash = '\0';
	else
		strcpy(path, ".");
	return true;
}

/* The path of the engine's program; false: there is no such file. */
static bool find_engine(enum expertmem_engine engine, const char *own, char path[PATH_SIZE])
{
	const char *directory = secure_getenv("EXPERTMEM_ENGINES");
	char beside[PATH_SIZE];

	if (!directory || !*directory) {
		if (!join(beside, own, "expertmem"))
			return false;
		directory = beside;
	}
	return join(path, directory, programs[engine]) && !access(path, X_OK);
}

/* If *@engine is AUTO, set it from EXPERTMEM_ENGINE. False: *@engine or the variable is unknown. */
static bool choose_engine(enum expertmem_engine *engine)
{
	const char *name = secure_getenv("EXPERTMEM_ENGINE");

	if (*engine == EXPERTMEM_ENGINE_AUTO && name && *name) {
		if (!strcmp(name, "pcap"))
			*engine = EXPERTMEM_ENGINE_PCAP;
		else if (!strcmp(name, "wireshark"))
			*engine = EXPERTMEM_ENGINE_WIRESHARK;
		else
			return !strcmp(name, "auto");
	}
	return *engine >= EXPERTMEM_ENGINE_AUTO && *engine <= EXPERTMEM_ENGINE_WIRESHARK;
}

/*
 * The descriptor of this process that a path names, which the engine gets as standard input; -1: it
 * names a file. A shell passes "<(command)" as /dev/fd/63.
 */
static int descriptor_of(const char *path)
{
	static const char *const folders[] = { "/dev/fd/", "/proc/self/fd/" };

	if (!strcmp(path, "-") || !strcmp(path, "/dev/stdin"))
		return STDIN_FILENO;
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		size_t length = strlen(folders[i]);
		uint64_t fd;

		if (!strncmp(path, folders[i], length) && em_parse_size(path + length, &fd) &&
		    fd <= INT32_MAX)
			return (int)fd;
	}
	return -1;
}

static int start(const char *path, const struct expertmem_capture_options *options,
		 struct expertmem_capture *capture, int control)
{
	int input = descriptor_of(path);
	char own[PATH_SIZE], program[PATH_SIZE], preload[PATH_SIZE], limit[24];
	const char *arguments[12];
	int n = 0, error = EXPERTMEM_E_NO_ENGINE;

	if (!own_directory(own))
		return error;
	if (capture->engine == EXPERTMEM_ENGINE_AUTO)
		capture->engine = find_engine(EXPERTMEM_ENGINE_WIRESHARK, own, program) ?
				  EXPERTMEM_ENGINE_WIRESHARK : EXPERTMEM_ENGINE_PCAP;
	if (!find_engine(capture->engine, own, program))
		return error;
	snprintf(limit, sizeof(limit), "%" PRIu64,
		 options->limit ? options->limit : EXPERTMEM_ENGINE_LIMIT);
	arguments[n++] = program;
	arguments[n++] = "--capture";
	arguments[n++] = input >= 0 ? "-" : path;
	if (options->filter) {
		arguments[n++] = "--filter";
		arguments[n++] = options->filter;
	}
	arguments[n++] = "--limit";
	arguments[n++] = limit;
	arguments[n++] = "--name";
	arguments[n++] = options->name ? options->name : "engine";
	if (join(preload, own, "libexpertmem-malloc.so") && !access(preload, R_OK)) {
		arguments[n++] = "--preload";
		arguments[n++] = preload;
	}
	arguments[n] = NULL;
	return em_spawn(program, (char *const *)arguments, input, control);
}

static bool options_are_valid(const struct expertmem_capture_options *options)
{
	size_t i;

	for (i = 0; i < sizeof(options->reserved) / sizeof(options->reserved[0]); i++)
		if (options->reserved[i])
			return false;
	return (!options->name || em_is_name(options->name)) &&
	       (!options->filter || strlen(options->filter) < ENGINE_TEXT) &&
	       !(options->flags & ~(EXPERTMEM_NO_RECOGNIZE | EXPERTMEM_ASKED_PROPERTIES |
				    EXPERTMEM_NEXT_AT));
}

/* Make a socket pair: the first end stays here, with a high number; the second is for an engine. */
static int make_sockets(int ends[2])
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		return errno == EMFILE || errno == ENFILE ? EXPERTMEM_E_TOO_MANY :
							    EXPERTMEM_E_NOMEM;
	ends[0] = em_high_fd(ends[0]);
	return EXPERTMEM_OK;
}

int expertmem_open_capture(const char *path, const struct expertmem_capture_options *options,
			   expertmem_capture **capture)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	static const struct expertmem_capture_options none;
	struct expertmem_capture *new;
	int ends[2], error;

	if (!options)
		options = &none;
	new = em_map(sizeof(*new), MAP_PRIVATE);
	if (!new)
		return EXPERTMEM_E_NOMEM;
	*new = (struct expertmem_capture){
		.files = { -1, -1, -1 },
		.flags = options->flags,
		.engine = options->engine,
		.user_filter = options->filter && *options->filter,
	};
	error = EXPERTMEM_E_INVALID;
	if (!path || !capture || !options_are_valid(options) || !choose_engine(&new->engine))
		goto err_new;
	if (strlen(path) < sizeof(new->path))
		strcpy(new->path, path);
	pthread_mutex_init(&new->lock, NULL);
	pthread_once(&once, init_fork);

	pthread_mutex_lock(&captures_lock);
	error = make_sockets(ends);
	if (error)
		goto err_lock;
	new->control = ends[0];
	error = start(path, options, new, ends[1]);
	close_fd(&ends[1]);
	if (error)
		goto err_control;
	new->next = captures;
	captures = new;
	pthread_mutex_unlock(&captures_lock);
	*capture = new;
	return EXPERTMEM_OK;

err_control:
	close_fd(&new->control);
err_lock:
	pthread_mutex_unlock(&captures_lock);
err_new:
	munmap(new, sizeof(*new));
	return error;
}

void expertmem_close_capture(expertmem_capture *capture)
{
	struct expertmem_capture **link = &captures;

	if (!capture)
		return;
	pthread_mutex_lock(&captures_lock);
	while (*link && *link != capture)
		link = &(*link)->next;
	if (*link)
		*link = capture->next;
	pthread_mutex_unlock(&captures_lock);
	close_all(capture);
	munmap(capture, sizeof(*capture));
}

/* ---------------------------------------------------- messages and state of the engine */

/* Close the control socket. @why: the reason, for expertmem_capture_status(). */
static void lose(struct expertmem_capture *capture, const char *why)
{
	close_fd(&capture->control);
	strcpy(capture->why, why);
}

/* Take the descriptors of a message, and close those beyond FILES. Returns how many it had. */
static int take_descriptors(struct msghdr *message, int files[FILES])
{
	struct cmsghdr *part;
	int n = 0, fd;

	for (part = CMSG_FIRSTHDR(message); part; part = CMSG_NXTHDR(message, part)) {
		size_t size = part->cmsg_len - CMSG_LEN(0), i;

		if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
			continue;
		for (i = 0; i < size / sizeof(int); i++, n++) {
			memcpy(&fd, CMSG_DATA(part) + i * sizeof(int), sizeof(fd));
			if (n < FILES)
				files[n] = em_high_fd(fd);
			else
				em_raw(SYS_close, fd, 0, 0);
		}
	}
	return n;
}

/* Is the descriptor a regular file of at least @size bytes, and read-only? */
static bool is_file(int fd, uint64_t size)
{
	struct stat stat;

	return (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY && !fstat(fd, &stat) &&
	       S_ISREG(stat.st_mode) && (uint64_t)stat.st_size >= size;
}

/*
 * Check a message and its descriptors, and keep those of ENGINE_HELLO. False: it breaks the
 * protocol.
 */
static bool accept_message(struct expertmem_capture *capture, const struct engine_control *control,
			   const int files[FILES], int n)
{
	bool greeted = capture->files[STATE] >= 0;

	if (control->message == ENGINE_PHASE)
		return control->version == ENGINE_VERSION && greeted && !n;
	if (control->message != ENGINE_HELLO || control->version != ENGINE_VERSION || greeted ||
	    n != FILES || !is_file(files[STATE], sizeof(struct engine_state)) ||
	    !is_file(files[INDEX], 0) || !is_file(files[FRAMES], 0))
		return false;
	memcpy(capture->files, files, sizeof(capture->files));
	return true;
}

/* Receive one message, if there is one. False: there is none, or the connection is lost. */
static bool receive(struct expertmem_capture *capture)
{
	char space[CMSG_SPACE(sizeof(int) * 16)] __attribute__((aligned(8)));
	struct engine_control control;
	struct iovec vector = { .iov_base = &control, .iov_len = sizeof(control) };
	struct msghdr message = {
		.msg_iov = &vector, .msg_iovlen = 1,
		.msg_control = space, .msg_controllen = sizeof(space),
	};
	int files[FILES] = { -1, -1, -1 }, n;
	ssize_t got;

	if (capture->control < 0)
		return false;
	got = recvmsg(capture->control, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (got <= 0) {
		lose(capture,
		     "the engine has ended; dmesg says whether the kernel killed it; open the capture again");
		return false;
	}
	n = take_descriptors(&message, files);
	if (got == sizeof(control) && !(message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) &&
	    accept_message(capture, &control, files, n))
		return true;
	for (n = 0; n < FILES; n++)
		close_fd(&files[n]);
	lose(capture, "the engine broke its protocol; install engines of the library's version");
	return false;
}

/* The @size bytes at @offset of the state. */
static bool read_part(int fd, void *part, size_t size, size_t offset)
{
	return pread(fd, part, size, (off_t)offset) == (ssize_t)size;
}

/*
 * Copy the state of the engine. The phase is read first: the engine writes it last, so the other
 * members in the copy are at least as new. False: there is no state.
 */
static bool read_state(struct expertmem_capture *capture, struct engine_state *state)
{
	const int fd = capture->files[STATE];
	uint32_t phase;

	memset(state, 0, sizeof(*state));
	if (fd < 0)
		return false;
	if (!read_part(fd, &phase, sizeof(phase), offsetof(struct engine_state, phase)) ||
	    !read_part(fd, state, sizeof(*state), 0) || state->version != ENGINE_VERSION ||
	    phase > ENGINE_LOST || state->kind > ENGINE_WIRESHARK ||
	    (phase == ENGINE_READY && !state->kind)) {
		memset(state, 0, sizeof(*state));
		lose(capture,
		     "the engine broke its protocol; install engines of the library's version");
		return false;
	}
	state->phase = phase;
	state->comment[sizeof(state->comment) - 1] = '\0';
	state->error[sizeof(state->error) - 1] = '\0';
	state->software[sizeof(state->software) - 1] = '\0';
	em_plain_text(state->error);
	em_plain_text(state->software);
	return true;
}

/* Receive all messages, and copy the state. Returns what expertmem_wait_capture() returns. */
static int look(struct expertmem_capture *capture, struct engine_state *state)
{
	while (receive(capture))
		;
	read_state(capture, state);
	if (state->phase == ENGINE_FAILED)
		return EXPERTMEM_E_CAPTURE;
	if (capture->control < 0 || state->phase == ENGINE_LOST)
		return EXPERTMEM_E_ENGINE;
	return state->phase == ENGINE_READY ? EXPERTMEM_OK : EXPERTMEM_E_LOADING;
}

static int64_t milliseconds_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

int expertmem_wait_capture(expertmem_capture *capture, int milliseconds)
{
	int64_t end = milliseconds_now() + milliseconds, left;
	struct engine_state state;
	struct pollfd poll_fd = { .events = POLLIN };
	int error;

	if (!capture || milliseconds < -1)
		return EXPERTMEM_E_INVALID;
	for (;;) {
		pthread_mutex_lock(&capture->lock);
		error = look(capture, &state);
		poll_fd.fd = capture->control;
		pthread_mutex_unlock(&capture->lock);
		left = milliseconds < 0 ? TICK : end - milliseconds_now();
		if (error != EXPERTMEM_E_LOADING || left <= 0)
			return error;
		poll(&poll_fd, 1, left < TICK ? (int)left : TICK);
	}
}

int expertmem_capture_status(expertmem_capture *capture, struct expertmem_capture_status *status)
{
	struct engine_state state;
	int error;

	if (!capture || !status)
		return EXPERTMEM_E_INVALID;
	pthread_mutex_lock(&capture->lock);
	error = look(capture, &state);
	*status = (struct expertmem_capture_status){
		.engine		= state.kind == ENGINE_PCAP ? EXPERTMEM_ENGINE_PCAP :
				  state.kind == ENGINE_WIRESHARK ? EXPERTMEM_ENGINE_WIRESHARK :
				  capture->engine,
		.loaded		= state.phase == ENGINE_READY || state.phase == ENGINE_LOST,
		.failed		= error == EXPERTMEM_E_CAPTURE || error == EXPERTMEM_E_ENGINE,
		.truncated	= !!state.truncated,
		.frames		= state.frames,
		.read		= state.read,
		.size		= state.size,
		.dissected	= state.dissected,
		.degraded	= state.degraded,
		.crashed	= state.crashed,
		.process	= state.process,
		.start		= state.start,
		.end		= state.end,
	};
	strcpy(status->comment, state.comment);
	strcpy(status->error, state.error[0] ? state.error : capture->why);
	strcpy(status->software, state.software);
	pthread_mutex_unlock(&capture->lock);
	return EXPERTMEM_OK;
}

/* ------------------------------------------------------------- giving it to an expert */

/* The time, in nanoseconds since 1970, as year, month and so on in UTC. */
static SYSTEMTIME to_system_time(int64_t nanoseconds)
{
	int64_t milliseconds = nanoseconds / 1000000 - (nanoseconds % 1000000 < 0);
	time_t seconds = milliseconds / 1000 - (milliseconds % 1000 < 0);
	struct tm tm = { 0 };

	gmtime_r(&seconds, &tm);
	return (SYSTEMTIME){
		.wYear		= (WORD)(tm.tm_year + 1900),
		.wMonth		= (WORD)(tm.tm_mon + 1),
		.wDayOfWeek	= (WORD)tm.tm_wday,
		.wDay		= (WORD)tm.tm_mday,
		.wHour		= (WORD)tm.tm_hour,
		.wMinute	= (WORD)tm.tm_min,
		.wSecond	= (WORD)tm.tm_sec,
		.wMilliseconds	= (WORD)(milliseconds - seconds * 1000),
	};
}

/* Map the first @size bytes of a file of the engine; *@start is NULL if @size is 0. */
static int map_file(int fd, uint64_t size, const void **start)
{
	void *p;

	*start = NULL;
	if (!size)
		return EXPERTMEM_OK;
	if (!is_file(fd, size))
		return EXPERTMEM_E_ENGINE;
	p = mmap(NULL, size, PROT_READ, MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (p == MAP_FAILED)
		return EXPERTMEM_E_NOMEM;
	*start = p;
	return EXPERTMEM_OK;
}

/* Map frames and index. On error the caller frees @client. */
static int map_frames(struct expertmem_capture *capture, const struct engine_state *state,
		      struct em_client *client)
{
	uint32_t nr_frames = state->frames < ENGINE_NONE ? (uint32_t)state->frames :
							  ENGINE_NONE - 1;
	const void *start;
	int error;

	error = map_file(capture->files[INDEX], nr_frames * sizeof(uint64_t), &start);
	if (error)
		return error;
	client->index = start;
	client->nr_frames = nr_frames;
	error = map_file(capture->files[FRAMES], state->frames_size, &start);
	if (error)
		return error;
	client->frames = start;
	client->frames_size = state->frames_size;
	return EXPERTMEM_OK;
}

/*
 * Make and map the results file, and seal its size. Returns its descriptor, or -1 with errno set.
 */
static int make_results(struct em_client *client)
{
	int fd = memfd_create("expertmem-results", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	void *start;

	if (fd < 0)
		return -1;
	if (ftruncate(fd, ENGINE_RESULTS) ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))
		goto err_fd;
	start = mmap(NULL, ENGINE_RESULTS, PROT_READ, MAP_SHARED, fd, 0);
	if (start == MAP_FAILED)
		goto err_fd;
	client->results = start;
	return fd;
err_fd:
	em_raw(SYS_close, fd, 0, 0);
	return -1;
}

/* Send ENGINE_CONNECT with the engine's end of a client's socket, and the results file. */
static bool send_connect(int control, int socket, int results)
{
	char space[CMSG_SPACE(2 * sizeof(int))] __attribute__((aligned(8))) = { 0 };
	struct engine_control connect = { .message = ENGINE_CONNECT, .version = ENGINE_VERSION };
	struct iovec vector = { .iov_base = &connect, .iov_len = sizeof(connect) };
	struct msghdr message = {
		.msg_iov = &vector, .msg_iovlen = 1,
		.msg_control = space, .msg_controllen = sizeof(space),
	};
	struct cmsghdr *part = CMSG_FIRSTHDR(&message);
	int both[] = { socket, results };

	part->cmsg_level = SOL_SOCKET;
	part->cmsg_type = SCM_RIGHTS;
	part->cmsg_len = CMSG_LEN(sizeof(both));
	memcpy(CMSG_DATA(part), both, sizeof(both));
	return sendmsg(control, &message, MSG_NOSIGNAL | MSG_DONTWAIT) == sizeof(connect);
}

/* Connect @client to the engine. On error the caller frees it. */
static int connect_client(struct expertmem_capture *capture, struct em_client *client)
{
	const struct timeval tick = { .tv_usec = TICK * 1000 };
	int ends[2], results, error;

	results = make_results(client);
	if (results < 0)
		return errno == EMFILE || errno == ENFILE ? EXPERTMEM_E_TOO_MANY :
							    EXPERTMEM_E_NOMEM;
	pthread_mutex_lock(&captures_lock);
	error = make_sockets(ends);
	if (!error) {
		client->fd = ends[0];
		setsockopt(client->fd, SOL_SOCKET, SO_RCVTIMEO, &tick, sizeof(tick));
		setsockopt(client->fd, SOL_SOCKET, SO_SNDTIMEO, &tick, sizeof(tick));
		if (!send_connect(capture->control, ends[1], results))
			error = EXPERTMEM_E_ENGINE;
		close_fd(&ends[1]);
	}
	pthread_mutex_unlock(&captures_lock);
	close_fd(&results);
	return error;
}

static int use(struct expertmem_capture *capture, HEXPERTKEY key)
{
	struct em_client client = { .fd = -1, .flags = capture->flags };
	struct engine_state state;
	int error = look(capture, &state);

	if (error == EXPERTMEM_E_CAPTURE)
		error = EXPERTMEM_E_ENGINE;
	if (error)
		return error;
	client.kind = state.kind;
	client.user_filter = capture->user_filter;
	client.is_plain = client.kind == ENGINE_PCAP || client.flags & EXPERTMEM_NO_RECOGNIZE;
	client.link_type = (uint16_t)(state.link_type < 0xffff ? state.link_type : 0xffff);
	client.start_time = to_system_time(state.start);
	strcpy(client.comment, state.comment);
	error = map_frames(capture, &state, &client);
	if (!error)
		error = connect_client(capture, &client);
	if (!error)
		error = em_client_give(key, &client, capture->path);
	if (error)
		em_client_free(&client);
	return error;
}

int expertmem_use_capture(HEXPERTKEY key, expertmem_capture *capture)
{
	struct em_expert *expert;
	bool has_one;
	int error;

	if (!capture)
		return EXPERTMEM_E_INVALID;
	expert = em_lock(key);
	if (!expert)
		return EXPERTMEM_E_KEY;
	has_one = expert->client;
	em_unlock(expert);
	if (has_one)
		return EXPERTMEM_E_BUSY;
	pthread_mutex_lock(&capture->lock);
	error = use(capture, key);
	pthread_mutex_unlock(&capture->lock);
	return error;
}

/* ---------------------------------------------------------- comment of any capture file */

/* Is there a file that an engine can read? Returns an NMERR_ code. */
static DWORD check_file(const char *path)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	DWORD error = NMERR_SUCCESS;
	struct stat stat;

	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR ? NMERR_FILE_NOT_FOUND :
							     NMERR_FILE_READ_ERROR;
	if (fstat(fd, &stat) || !S_ISREG(stat.st_mode))
		error = NMERR_FILE_READ_ERROR;
	em_raw(SYS_close, fd, 0, 0);
	return error;
}

/* Was the expert of this thread's last call asked to stop? */
static bool must_stop(void)
{
	struct em_client *client = em_client_current();
	bool stop;

	if (!client)
		return false;
	pthread_mutex_lock(&client->lock);
	stop = em_is_open(client) && em_status(em_slot_of(client->key));
	pthread_mutex_unlock(&client->lock);
	return stop;
}

/* Copy a comment into @size bytes. If it is too long, cut it before a whole character of UTF-8. */
static void copy_comment(char *to, const char *comment, size_t size)
{
	size_t length = strlen(comment);

	if (length >= size) {
		length = size - 1;
		for (int i = 0; i < 3 && length && (comment[length] & 0xc0) == 0x80; i++)
			length--;
	}
	memcpy(to, comment, length);
	to[length] = '\0';
}

static DWORD code_of(int error)
{
	switch (error) {
	case EXPERTMEM_OK:
		return NMERR_SUCCESS;
	case EXPERTMEM_E_NO_ENGINE:
		return NMERR_NOT_SUPPORTED;
	case EXPERTMEM_E_CAPTURE:
		return NMERR_INVALID_FILE_FORMAT;
	case EXPERTMEM_E_ENGINE:
		return NMERR_LOST_CONNECTION;
	default:
		return NMERR_OUT_OF_MEMORY;
	}
}

DWORD WINAPI GetCaptureCommentFromFilename(LPSTR lpFilename, LPSTR lpComment, DWORD BufferSize)
{
	const struct expertmem_capture_options options = { .engine = EXPERTMEM_ENGINE_PCAP };
	struct expertmem_capture_status status;
	expertmem_capture *capture;
	DWORD error;
	int waited;

	if (!lpFilename || !lpComment || !BufferSize)
		return NMERR_INVALID_PARAMETER;
	error = check_file(lpFilename);
	if (error)
		return error;
	/* "-" is standard input for an engine, and a file here. */
	waited = expertmem_open_capture(strcmp(lpFilename, "-") ? lpFilename : "./-", &options,
					&capture);
	if (waited)
		return code_of(waited);
	do
		waited = expertmem_wait_capture(capture, TICK);
	while (waited == EXPERTMEM_E_LOADING && !must_stop());
	if (waited == EXPERTMEM_E_LOADING) {
		error = NMERR_EXPERT_TERMINATE;
	} else {
		error = code_of(waited);
		expertmem_capture_status(capture, &status);
	}
	if (!error)
		copy_comment(lpComment, status.comment, BufferSize);
	expertmem_close_capture(capture);
	return error;
}
