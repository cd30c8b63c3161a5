// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The supervisor: makes the files, starts workers, watches them, and tells the library.
 *
 * Of the capture, this process reads only the first four bytes, which tell whether it is
 * compressed. From the desk and the state, which a malicious worker may have overwritten, it reads
 * only numbers, and checks them. Its own data are static, and it calls no malloc() itself.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <linux/magic.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <Netmon.h>

#include "worker.h"

#ifndef MFD_NOEXEC_SEAL		/* Linux 6.3 */
#define MFD_NOEXEC_SEAL		0x0008U
#endif

#define CLIENTS_MAX	1024	/* most experts at a time; later ones are disconnected */
#define LARGE_CAPTURE	(256LL << 20)	/* bytes; frames of larger captures go to a disk */
#define DEATHS_MAX	3		/* workers that die in a row without progress */
#define RESTARTS_MAX	100	/* workers within a minute that end without a new bad frame */
#define TICK		100		/* ms between two looks at a busy worker */
#define FIRST_FD	16		/* above the descriptors that a worker gets */

/* Read a field that a worker may be writing. */
#define READ_ONCE(field) __atomic_load_n(&(field), __ATOMIC_RELAXED)

/**
 * struct client - an expert
 * @id: its number
 * @fd: a duplicate of its socket, for the next worker, and to see that it was closed
 * @results: its results file
 * @introduced: the present worker has it
 */
struct client {
	uint32_t id;
	int fd;
	int results;
	bool introduced;
};

/**
 * struct watch - what a worker was seen to do; it hangs if all but @cpu stays equal for too long
 * @step: desk.step
 * @frames: state.frames
 * @read: state.read
 * @cpu: CPU time of the worker when the others changed, in milliseconds
 * @activity: desk.activity
 * @ticks: number of looks since then. They replace a clock: a suspended machine takes no looks
 */
struct watch {
	uint64_t step;
	uint64_t frames;
	uint64_t read;
	long long cpu;
	uint32_t activity;
	uint32_t ticks;
};

/**
 * struct death - what a worker was doing when it ended
 * @activity: desk.activity
 * @frame: desk.frame
 * @client: desk.client
 * @sequence: desk.sequence
 */
struct death {
	uint32_t activity;
	uint32_t frame;
	uint32_t client;
	uint32_t sequence;
};

/*
 * The time without progress after which a worker is killed, by its activity. 0: it is not killed.
 */
static const struct {
	unsigned int cpu;	/* ms of its CPU time */
	unsigned int ticks;	/* looks, a TICK each */
} patience[] = {
	[ACTIVITY_STARTING]	= { .cpu = 60000 },
	[ACTIVITY_LOADING]	= { .cpu = 30000 },	/* a pipe may be slow */
	[ACTIVITY_IDLE]		= { 0 },
	[ACTIVITY_REQUEST]	= { .cpu = 10000, .ticks = 30000 / TICK },
	[ACTIVITY_FRAME]	= { .cpu = 2000, .ticks = 30000 / TICK },
};

static struct {
	const struct options *options;
	char **argv;
	int control;			/* -1: closed by the host */
	int signals;
	enum engine_kind kind;
	char program[64];		/* the worker's program, which was opened at the start */
	int desk_fd;
	int state_fd;
	int index;			/* write-only; -1: the frames are complete */
	int frames;			/* write-only; -1: the frames are complete */
	int index_read;
	int frames_read;
	bool on_disk;			/* index and frames are on a disk, and cannot be sealed */
	struct desk *desk;
	struct engine_state *state;
	int worker;			/* socket to the worker; -1: there is none */
	pid_t pid;
	bool loaded;			/* the frames are complete */
	bool over;			/* ENGINE_FAILED or ENGINE_LOST */
	struct watch watch;
	bool busy;			/* the worker may be at work; look at it each TICK */
	long long looked;		/* time of the last look, ms of CLOCK_MONOTONIC */
	bool hung;			/* the supervisor killed the worker */
	unsigned int deaths;		/* workers that died in a row without progress */
	unsigned int restarts;		/* workers since @restarts_begin without a new bad frame */
	long long restarts_begin;	/* milliseconds of CLOCK_MONOTONIC */
	struct death latest;		/* death of the worker before */
	struct death refused;		/* request that ended two workers; .activity 0: none */
	uint32_t begin;			/* desk.begin for the next worker */
	uint32_t next_client;		/* number of the latest client */
	struct client clients[CLIENTS_MAX];
	unsigned int nr_clients;
	struct bad_frame bad[BAD_MAX];
	uint32_t nr_bad;
} engine;

static long long milliseconds(clockid_t clock)
{
	struct timespec time;

	return clock_gettime(clock, &time) ? 0 : time.tv_sec * 1000LL + time.tv_nsec / 1000000;
}

/* Replace standard input, which later workers inherit and could write to if it is a terminal. */
static void leave_input(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (fd > STDIN_FILENO) {
		dup2(fd, STDIN_FILENO);
		close(fd);
	}
}

/* ------------------------------------------------------------------------- files */

/* Move a descriptor above those that a worker gets. */
static int move_up(int fd)
{
	int high = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, FIRST_FD);

	if (fd >= 0)
		close(fd);
	return high;
}

static int memory_file(const char *name)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);

	if (fd < 0 && errno == EINVAL)
		fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	return move_up(fd);
}

/* A file without a name in a directory on a disk; -1: it cannot be made there. */
static int file_in(const char *directory)
{
	int fd = open(directory, O_TMPFILE | O_RDWR | O_EXCL | O_CLOEXEC, 0600);
	struct statfs system;

	/*
	 * Refuse tmpfs: it is memory, and its files have neither seals nor the limit of
	 * memory_file().
	 */
	if (fd >= 0 && (fstatfs(fd, &system) || system.f_type == TMPFS_MAGIC ||
			system.f_type == RAMFS_MAGIC)) {
		close(fd);
		return -1;
	}
	return move_up(fd);
}

/* A file without a name beside the capture, or in a directory for temporary files; -1: none. */
static int disk_file(const char *capture)
{
	const char *temporary = secure_getenv("TMPDIR"), *slash = strrchr(capture, '/');
	char directory[PATH_MAX] = ".";
	int fd;

	if (slash)
		snprintf(directory, sizeof(directory), "%.*s",
			 slash == capture ? 1 : (int)(slash - capture), capture);
	fd = strcmp(capture, "-") ? file_in(directory) : -1;
	if (fd < 0 && temporary && *temporary)
		fd = file_in(temporary);
	return fd < 0 ? file_in("/var/tmp") : fd;
}

/* Does the file begin as files that gzip, zstd or lz4 wrote? */
static bool is_compressed(int fd)
{
	static const unsigned char zstd[] = { 0x28, 0xb5, 0x2f, 0xfd };
	static const unsigned char lz4[] = { 0x04, 0x22, 0x4d, 0x18 };
	unsigned char magic[4] = { 0 };

	if (pread(fd, magic, sizeof(magic), 0) < 2)
		return true;
	return (magic[0] == 0x1f && magic[1] == 0x8b) || !memcmp(magic, zstd, sizeof(zstd)) ||
	       !memcmp(magic, lz4, sizeof(lz4));
}

/*
 * May the frames of the capture take much memory? Those of an uncompressed file take about as much
 * as the file; the size of the frames of any other capture is unknown.
 */
static bool is_large(const char *capture)
{
	bool input = !strcmp(capture, "-"), large = true;
	struct stat file;
	int fd = STDIN_FILENO;

	if (input ? fstat(fd, &file) : stat(capture, &file))
		return false;
	if (!S_ISREG(file.st_mode))
		return true;
	if (!input)
		fd = open(capture, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd >= 0)
		large = file.st_size > LARGE_CAPTURE || is_compressed(fd);
	if (fd >= 0 && !input)
		close(fd);
	return large;
}

/* Make index and frames: on a disk, whose cache can be reclaimed, if the capture may be large. */
static void make_frames(int *index, int *frames)
{
	const char *capture = engine.options->capture;

	*index = *frames = -1;
	if (is_large(capture)) {
		*index = disk_file(capture);
		*frames = *index < 0 ? -1 : disk_file(capture);
	}
	engine.on_disk = *frames >= 0;
	if (engine.on_disk)
		return;
	if (*index >= 0)
		close(*index);
	*index = memory_file("expertmem-index");
	*frames = memory_file("expertmem-frames");
}

/* Most bytes of each file that the first worker writes; 0: only the user's RLIMIT_FSIZE counts. */
static uint64_t file_limit(void)
{
	struct sysinfo info;

	if (engine.on_disk || sysinfo(&info))
		return 0;
	return (uint64_t)info.totalram * info.mem_unit / 4;
}

/* Another descriptor, for reading only or for writing only, of a file without a name. */
static int reopen(int fd, int mode)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return move_up(open(path, mode | O_CLOEXEC));
}

static void *map_new(int fd, size_t size)
{
	void *p;

	if (ftruncate(fd, (off_t)size))
		return NULL;
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return NULL;
	fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK);
	return p;
}

/*
 * Open a file once for reading and once for writing, and close @fd. A shared writable mapping needs
 * a descriptor that is open for both, so a worker cannot make such a mapping, which would prevent
 * sealing.
 */
static bool split(int fd, int *reading, int *writing)
{
	*reading = *writing = -1;
	if (fd < 0)
		return false;
	*reading = reopen(fd, O_RDONLY);
	*writing = reopen(fd, O_WRONLY);
	close(fd);
	return *reading >= 0 && *writing >= 0;
}

static bool make_files(void)
{
	int index, frames;

	make_frames(&index, &frames);
	if (!split(index, &engine.index_read, &engine.index) ||
	    !split(frames, &engine.frames_read, &engine.frames))
		return false;
	engine.desk_fd = memory_file("expertmem-desk");
	engine.state_fd = memory_file("expertmem-state");
	if (engine.desk_fd < 0 || engine.state_fd < 0)
		return false;
	engine.desk = map_new(engine.desk_fd, sizeof(struct desk));
	engine.state = map_new(engine.state_fd, sizeof(struct engine_state));
	if (!engine.desk || !engine.state)
		return false;
	engine.state->version = ENGINE_VERSION;
	engine.state->kind = engine.kind;
	engine.state->link_type = 0xffff;
	return true;
}

/* -------------------------------------------------------------- messages to the host */

static void send_control(uint32_t message, const int *fds, size_t nr_fds)
{
	struct engine_control body = { .message = message, .version = ENGINE_VERSION };
	union {
		char bytes[CMSG_SPACE(3 * sizeof(int))];
		struct cmsghdr align;
	} control = { { 0 } };
	struct iovec part = { .iov_base = &body, .iov_len = sizeof(body) };
	struct msghdr message_header = { .msg_iov = &part, .msg_iovlen = 1 };
	struct cmsghdr *head = &control.align;

	if (engine.control < 0)
		return;
	if (nr_fds) {
		message_header.msg_control = &control;
		message_header.msg_controllen = CMSG_SPACE(nr_fds * sizeof(int));
		*head = (struct cmsghdr){
			.cmsg_level = SOL_SOCKET,
			.cmsg_type = SCM_RIGHTS,
			.cmsg_len = CMSG_LEN(nr_fds * sizeof(int)),
		};
		memcpy(CMSG_DATA(head), fds, nr_fds * sizeof(int));
	}
	/* A host that does not read its messages sees the phase in the state. */
	sendmsg(engine.control, &message_header, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static bool say_hello(void)
{
	int fds[] = { reopen(engine.state_fd, O_RDONLY), engine.index_read, engine.frames_read };

	if (fds[0] < 0)
		return false;
	send_control(ENGINE_HELLO, fds, 3);
	close(fds[0]);
	return true;
}

static void set_phase(enum engine_phase phase)
{
	__atomic_store_n(&engine.state->phase, phase, __ATOMIC_RELEASE);
	send_control(ENGINE_PHASE, NULL, 0);
}

static void drop_client(struct client *client)
{
	shutdown(client->fd, SHUT_RDWR);
	close(client->fd);
	close(client->results);
	*client = engine.clients[--engine.nr_clients];
}

/* Disconnect all clients, and start no worker any more. @phase: ENGINE_FAILED or ENGINE_LOST. */
static void give_up(enum engine_phase phase)
{
	engine.over = true;
	while (engine.nr_clients)
		drop_client(&engine.clients[0]);
	engine.state->error[sizeof(engine.state->error) - 1] = '\0';
	set_phase(phase);
}

/* ------------------------------------------------------------------------ workers */

/*
 * The worker's environment. WIRESHARK_CONFIG_DIR and HOME keep Wireshark's library from the user's
 * profiles, plug-ins and scripts.
 */
static char **worker_environment(void)
{
	static const char *const passed[] = { "EXPERTMEM_BACKEND", "EXPERTMEM_NO_HUGE" };
	static char preload[PATH_MAX + 16], name[64], limit[64], zone[256], values[2][64];
	static char *environment[16];
	const char *tz = secure_getenv("TZ"), *value;
	const struct options *options = engine.options;
	int n = 0;

	environment[n++] = "PATH=/usr/bin:/bin";
	environment[n++] = "LC_ALL=C.UTF-8";
	environment[n++] = "HOME=/nonexistent";
	environment[n++] = "XDG_CONFIG_HOME=/nonexistent";
	environment[n++] = "WIRESHARK_CONFIG_DIR=/nonexistent";
	environment[n++] = "WIRESHARK_PLUGIN_DIR=/nonexistent";
	/*
	 * If TZ is not set, each localtime() calls stat() for the file, which the sandbox denies.
	 */
	snprintf(zone, sizeof(zone), "TZ=%s", tz ? tz : ":/etc/localtime");
	environment[n++] = zone;
	if (options->preload) {
		snprintf(preload, sizeof(preload), "LD_PRELOAD=%s", options->preload);
		snprintf(name, sizeof(name), "EXPERTMEM_NAME=%s", options->name);
		if (options->limit)
			snprintf(limit, sizeof(limit), "EXPERTMEM_LIMIT=%llu",
				 (unsigned long long)options->limit);
		else
			strcpy(limit, "EXPERTMEM_LIMIT=none");
		environment[n++] = preload;
		environment[n++] = name;
		environment[n++] = limit;
		for (size_t i = 0; i < sizeof(passed) / sizeof(passed[0]); i++) {
			value = secure_getenv(passed[i]);
			if (!value)
				continue;
			snprintf(values[i], sizeof(values[i]), "%s=%s", passed[i], value);
			environment[n++] = values[i];
		}
	}
	environment[n] = NULL;
	return environment;
}

/* Execute the worker with the descriptors of enum worker_fd. Returns an error number of errno.h. */
static int spawn(int socket)
{
	const int fds[][2] = {
		{ socket, FD_SUPERVISOR }, { engine.desk_fd, FD_DESK },
		{ engine.state_fd, FD_STATE }, { engine.index_read, FD_INDEX },
		{ engine.frames_read, FD_FRAMES },
		{ engine.index, FD_INDEX_WRITE }, { engine.frames, FD_FRAMES_WRITE },
	};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none;
	int error;

	sigemptyset(&none);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
	posix_spawn_file_actions_init(&actions);
	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		if (fds[i][0] >= 0)
			posix_spawn_file_actions_adddup2(&actions, fds[i][0], fds[i][1]);
	error = posix_spawn(&engine.pid, engine.program, &actions, &attributes, engine.argv,
			    worker_environment());
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attributes);
	return error;
}

/* Put on the desk what a new worker has to know. */
static void set_desk(void)
{
	struct desk *desk = engine.desk;

	desk->supervisor = (uint32_t)getpid();
	desk->loads = !engine.loaded;
	desk->file_limit = file_limit();
	desk->activity = ACTIVITY_STARTING;
	desk->frame = ENGINE_NONE;
	desk->done = 0;
	desk->begin = engine.begin;
	desk->refused_client = engine.refused.client;
	desk->refused_sequence = engine.refused.sequence;
	desk->refused = engine.refused.activity != 0;
	desk->nr_bad = engine.nr_bad;
	memcpy(desk->bad, engine.bad, engine.nr_bad * sizeof(engine.bad[0]));
}

static void start_worker(void)
{
	int pair[2], error;

	set_desk();
	engine.hung = false;
	engine.busy = true;
	memset(&engine.watch, 0, sizeof(engine.watch));
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair)) {
		error = errno;
	} else {
		int theirs = move_up(pair[1]);

		engine.worker = move_up(pair[0]);
		error = spawn(theirs);
		close(theirs);
	}
	if (error) {
		engine.pid = 0;
		snprintf(engine.state->error, sizeof(engine.state->error),
			 "cannot start the engine's worker: %s; raise ulimit -u and -n",
			 strerror(error));
		give_up(engine.loaded ? ENGINE_LOST : ENGINE_FAILED);
		return;
	}
	engine.state->workers++;
	engine.state->process = (uint32_t)engine.pid;
	for (unsigned int i = 0; i < engine.nr_clients; i++)
		engine.clients[i].introduced = false;
}

/*
 * Send a client's descriptors to the worker. False: the worker cannot get them, and the client has
 * to be dropped.
 */
static bool introduce(struct client *client)
{
	const int fds[] = { client->fd, client->results };
	struct introduction body = { .client = client->id };
	union {
		char bytes[CMSG_SPACE(sizeof(fds))];
		struct cmsghdr align;
	} control = { { 0 } };
	struct iovec part = { .iov_base = &body, .iov_len = sizeof(body) };
	struct msghdr message = {
		.msg_iov = &part, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};

	control.align = (struct cmsghdr){
		.cmsg_level = SOL_SOCKET,
		.cmsg_type = SCM_RIGHTS,
		.cmsg_len = CMSG_LEN(sizeof(fds)),
	};
	memcpy(CMSG_DATA(&control.align), fds, sizeof(fds));
	if (sendmsg(engine.worker, &message, MSG_DONTWAIT | MSG_NOSIGNAL) == sizeof(body))
		client->introduced = true;
	/* EPIPE and ECONNRESET: the worker has ended. The next one gets the client. */
	return client->introduced || errno == EAGAIN || errno == EINTR || errno == EPIPE ||
	       errno == ECONNRESET;
}

/* Send clients to the worker while its socket has room. True: the worker has all clients. */
static bool introduce_clients(void)
{
	unsigned int i = 0;

	while (i < engine.nr_clients) {
		struct client *client = &engine.clients[i];

		if (!client->introduced && !introduce(client)) {
			drop_client(client);	/* another one is at this index now */
			continue;
		}
		if (!client->introduced)
			return false;
		i++;
	}
	return true;
}

/* ------------------------------------------------------------------ host's messages */

/* A results file must not be truncated while a worker has it mapped. */
static bool is_results_file(int fd)
{
	struct stat file;
	int seals;

	fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK);
	seals = fcntl(fd, F_GET_SEALS);
	return seals >= 0 && seals & F_SEAL_SHRINK && !(seals & F_SEAL_WRITE) &&
	       !fstat(fd, &file) && file.st_size >= ENGINE_RESULTS;
}

static bool is_seqpacket(int fd)
{
	socklen_t size = sizeof(int);
	int type;

	return !getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) && type == SOCK_SEQPACKET;
}

static void connect_client(int socket, int results)
{
	/* Each is closed by move_up(), also if no descriptor is free. */
	socket = move_up(socket);
	results = move_up(results);
	if (engine.over || engine.nr_clients == CLIENTS_MAX || !is_seqpacket(socket) ||
	    !is_results_file(results)) {
		if (socket >= 0)
			close(socket);
		if (results >= 0)
			close(results);
		return;
	}
	engine.clients[engine.nr_clients++] = (struct client){
		.id = ++engine.next_client,
		.fd = socket,
		.results = results,
	};
}

/* Receive a message of the host. False: the host has closed the socket. */
static bool receive_control(void)
{
	struct engine_control body = { 0 };
	union {
		char bytes[CMSG_SPACE(8 * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec part = { .iov_base = &body, .iov_len = sizeof(body) };
	struct msghdr message = {
		.msg_iov = &part, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};
	ssize_t size = recvmsg(engine.control, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	struct cmsghdr *head = size < 0 ? NULL : CMSG_FIRSTHDR(&message);
	size_t nr_fds = 0;
	int fds[8];

	if (size < 0)
		return errno == EAGAIN || errno == EINTR;
	if (head && head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_RIGHTS) {
		nr_fds = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(fds, CMSG_DATA(head), nr_fds * sizeof(int));
	}
	if (size == sizeof(body) && body.message == ENGINE_CONNECT &&
	    body.version == ENGINE_VERSION && nr_fds == 2) {
		connect_client(fds[0], fds[1]);
		nr_fds = 0;
	}
	while (nr_fds)
		close(fds[--nr_fds]);
	return size > 0;
}

/* --------------------------------------------------------------------- worker's life */

/* Seal a file in memory against all changes. */
static bool seal(int fd)
{
	const int seals = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL;

	return !fcntl(fd, F_ADD_SEALS, seals) && (fcntl(fd, F_GET_SEALS) & seals) == seals;
}

/*
 * Let no worker change index and frames any more. The worker may have kept its descriptors, and
 * files on a disk have no seals. So its RLIMIT_FSIZE is set to 0, and it cannot write to these
 * files either.
 */
static bool freeze_files(void)
{
	const struct rlimit none = { 0, 0 };

	/* ESRCH: the worker has ended. */
	if (prlimit(engine.pid, RLIMIT_FSIZE, &none, NULL) && errno != ESRCH)
		return false;
	return engine.on_disk || (seal(engine.index) && seal(engine.frames));
}

/* All frames are in the files: protect the files, and tell the host. */
static void finish_loading(void)
{
	if (!freeze_files()) {
		snprintf(engine.state->error, sizeof(engine.state->error),
			 "cannot protect its frames against changes: %s; the capture may be malicious",
			 strerror(errno));
		engine.busy = false;
		kill(engine.pid, SIGKILL);
		give_up(ENGINE_FAILED);
		return;
	}
	close(engine.index);
	close(engine.frames);
	engine.index = engine.frames = -1;
	engine.loaded = true;
	leave_input();
	set_phase(ENGINE_READY);
}

static void drop_client_of(uint32_t id)
{
	for (unsigned int i = 0; i < engine.nr_clients; i++) {
		if (engine.clients[i].id == id) {
			drop_client(&engine.clients[i]);
			return;
		}
	}
}

static void receive_reports(void)
{
	struct report report;

	while (recv(engine.worker, &report, sizeof(report), MSG_DONTWAIT) == sizeof(report)) {
		if (engine.over)
			continue;
		if (report.what == REPORT_LOADING && !engine.loaded)
			set_phase(ENGINE_LOADING);
		else if (report.what == REPORT_LOADED && !engine.loaded)
			finish_loading();
		else if (report.what == REPORT_REFUSED)
			drop_client_of(report.client);
	}
}

/* The worker has ended while it loaded the capture. */
static void fail_loading(int status)
{
	struct engine_state *state = engine.state;

	if (engine.hung)
		snprintf(state->error, sizeof(state->error),
			 "reading it does not end; the capture is damaged or malicious");
	else if (WIFSIGNALED(status) && READ_ONCE(engine.desk->activity) == ACTIVITY_STARTING)
		snprintf(state->error, sizeof(state->error),
			 "the engine crashed by signal %d before it read the capture; raise its memory limit, which is %llu bytes",
			 WTERMSIG(status), (unsigned long long)engine.options->limit);
	else if (WIFSIGNALED(status))
		snprintf(state->error, sizeof(state->error),
			 "reading it crashed by signal %d; the capture is damaged or malicious",
			 WTERMSIG(status));
	else if (WEXITSTATUS(status) == EXIT_NOT_STARTED)
		snprintf(state->error, sizeof(state->error),
			 "the engine's worker cannot start; reinstall the engine, or raise ulimit -v and the engine's memory limit");
	else if (WEXITSTATUS(status) != EXIT_FAILED || !state->error[0])
		snprintf(state->error, sizeof(state->error),
			 "the engine's worker has ended with status %d", WEXITSTATUS(status));
	give_up(ENGINE_FAILED);
}

static void lose(bool by_memory)
{
	if (by_memory)
		snprintf(engine.state->error, sizeof(engine.state->error),
			 "the engine's memory limit, %llu bytes, is too low for this capture; raise it",
			 (unsigned long long)engine.options->limit);
	else if (engine.deaths == DEATHS_MAX)
		snprintf(engine.state->error, sizeof(engine.state->error),
			 "%d workers in a row ended before they had finished one frame; the capture is damaged or malicious",
			 DEATHS_MAX);
	else
		snprintf(engine.state->error, sizeof(engine.state->error),
			 "the engine's workers end again and again; the capture is damaged or malicious");
	give_up(ENGINE_LOST);
}

/* Let no worker dissect the frame again. False: the list is full. */
static bool add_bad_frame(uint32_t frame, uint32_t error)
{
	uint32_t i = engine.nr_bad;

	if (i == BAD_MAX)
		return false;
	for (; i && engine.bad[i - 1].frame >= frame; i--) {
		if (engine.bad[i - 1].frame == frame)
			return true;
	}
	memmove(&engine.bad[i + 1], &engine.bad[i], (engine.nr_bad - i) * sizeof(engine.bad[0]));
	engine.bad[i] = (struct bad_frame){ .frame = frame, .error = error };
	engine.nr_bad++;
	engine.state->crashed = engine.nr_bad;
	return true;
}

/*
 * Find the frame or the request that killed the worker, and let no later worker serve it. SIGKILL
 * and SIGTERM may come from another process: then the frame or request is refused only if it was
 * also the last one of the worker before. False: there are too many bad frames.
 */
static bool take_blame(const struct death *death, int status)
{
	bool outside = !engine.hung && WIFSIGNALED(status) &&
		       (WTERMSIG(status) == SIGKILL || WTERMSIG(status) == SIGTERM);
	bool again = !memcmp(death, &engine.latest, sizeof(*death));

	if (outside && !again)
		return true;
	if (death->activity == ACTIVITY_FRAME)
		return add_bad_frame(death->frame, engine.hung ? NMERR_RUNAWAY_PROTOCOL :
				     NMERR_INTERNAL_EXCEPTION);
	if (death->activity == ACTIVITY_REQUEST && (again || engine.hung))
		engine.refused = *death;
	return true;
}

/*
 * Count a worker that has ended without a new bad frame. True: more than RESTARTS_MAX have ended
 * within a minute. engine.deaths is not enough, because a worker that was taken over can pretend
 * progress.
 */
static bool restarts_too_often(void)
{
	long long now = milliseconds(CLOCK_MONOTONIC);

	if (now - engine.restarts_begin >= 60000) {
		engine.restarts_begin = now;
		engine.restarts = 0;
	}
	return ++engine.restarts > RESTARTS_MAX;
}

/*
 * Start another worker after the end of one, or give up. @status: wait status of the one that
 * ended.
 */
static void replace_worker(int status)
{
	const struct desk *desk = engine.desk;
	struct death death = {
		.activity = READ_ONCE(desk->activity),
		.frame = READ_ONCE(desk->frame),
		.client = READ_ONCE(desk->client),
		.sequence = READ_ONCE(desk->sequence),
	};
	uint32_t nr_bad = engine.nr_bad;
	bool progress = READ_ONCE(desk->done) || death.activity == ACTIVITY_IDLE;
	bool by_memory = WIFEXITED(status) && WEXITSTATUS(status) == EXIT_RENEW;
	bool known = true;

	if (by_memory) {
		engine.begin = READ_ONCE(desk->begin);
		engine.state->degraded++;
	} else {
		known = take_blame(&death, status);
	}
	engine.latest = death;
	engine.deaths = progress ? 0 : engine.deaths + 1;
	if (engine.deaths == DEATHS_MAX || !known ||
	    (engine.nr_bad == nr_bad && restarts_too_often()))
		lose(by_memory);
	else
		start_worker();
}

static void reap(void)
{
	struct signalfd_siginfo info;
	int status;

	while (read(engine.signals, &info, sizeof(info)) > 0)
		;
	if (engine.pid <= 0 || waitpid(engine.pid, &status, WNOHANG) != engine.pid)
		return;
	receive_reports();
	engine.pid = 0;
	engine.state->process = 0;
	close(engine.worker);
	engine.worker = -1;
	if (engine.over)
		return;
	if (!engine.loaded)
		fail_loading(status);
	else
		replace_worker(status);
}

/* -------------------------------------------------------------------------- watching */

static long long cpu_time(void)
{
	clockid_t clock;

	return clock_getcpuclockid(engine.pid, &clock) ? 0 : milliseconds(clock);
}

/*
 * Look at the worker, and kill it if it hangs. The worker's counters may be false. They are only
 * compared with their last values.
 */
static void watch_worker(void)
{
	struct watch seen = {
		.activity = READ_ONCE(engine.desk->activity),
		.step = READ_ONCE(engine.desk->step),
		.frames = READ_ONCE(engine.state->frames),
		.read = READ_ONCE(engine.state->read),
		.cpu = engine.watch.cpu,
		.ticks = engine.watch.ticks,
	};
	long long now = milliseconds(CLOCK_MONOTONIC);

	if (now - engine.looked < TICK)
		return;
	engine.looked = now;
	if (seen.activity > ACTIVITY_FRAME)
		seen.activity = ACTIVITY_FRAME;
	engine.busy = seen.activity != ACTIVITY_IDLE;
	if (memcmp(&seen, &engine.watch, sizeof(seen))) {
		seen.cpu = cpu_time();
		seen.ticks = 0;
		engine.watch = seen;
		return;
	}
	engine.watch.ticks++;
	if ((patience[seen.activity].cpu &&
	     cpu_time() - seen.cpu >= patience[seen.activity].cpu) ||
	    (patience[seen.activity].ticks &&
	     engine.watch.ticks >= patience[seen.activity].ticks)) {
		engine.hung = true;
		kill(engine.pid, SIGKILL);
	}
}

/* --------------------------------------------------------------------------- loop */

enum { POLL_CONTROL, POLL_SIGNALS, POLL_WORKER, POLL_CLIENTS };

static struct pollfd fds[POLL_CLIENTS + CLIENTS_MAX];

/*
 * Wait for messages, signals and requests. A request stays in its socket until it is answered, so
 * the supervisor, which has a copy of the socket, sees it, too. From the first request on, the
 * supervisor looks at the worker each TICK, until the worker is idle.
 */
static void wait_for_events(bool introduced)
{
	bool watching = engine.pid > 0 && engine.busy;

	fds[POLL_CONTROL] = (struct pollfd){ .fd = engine.control, .events = POLLIN };
	fds[POLL_SIGNALS] = (struct pollfd){ .fd = engine.signals, .events = POLLIN };
	fds[POLL_WORKER] = (struct pollfd){
		.fd = engine.worker,
		.events = POLLIN | (introduced ? 0 : POLLOUT),
	};
	for (unsigned int i = 0; i < engine.nr_clients; i++)
		fds[POLL_CLIENTS + i] = (struct pollfd){
			.fd = engine.clients[i].fd,
			.events = watching ? 0 : POLLIN,
		};
	if (poll(fds, POLL_CLIENTS + engine.nr_clients, watching ? TICK : -1) < 0)
		memset(fds, 0, sizeof(fds));
	if (watching)
		watch_worker();
}

static bool is_closed(const struct pollfd *fd)
{
	return fd->revents & (POLLHUP | POLLERR | POLLNVAL);
}

static void handle_events(void)
{
	for (unsigned int i = engine.nr_clients; i-- > 0;) {
		if (is_closed(&fds[POLL_CLIENTS + i]))
			drop_client(&engine.clients[i]);
		else if (fds[POLL_CLIENTS + i].revents)
			engine.busy = true;
	}
	if (fds[POLL_WORKER].revents & POLLIN)
		receive_reports();
	/* The worker has ended, or has closed its socket. */
	if (is_closed(&fds[POLL_WORKER]) && engine.pid > 0)
		kill(engine.pid, SIGKILL);
	if (fds[POLL_SIGNALS].revents)
		reap();
	if (fds[POLL_CONTROL].revents && !receive_control()) {
		close(engine.control);
		engine.control = -1;
	}
}

/* Run until the host and all experts have closed their sockets. */
static void run(void)
{
	while (engine.control >= 0 || engine.nr_clients) {
		bool introduced = !engine.loaded || engine.worker < 0 || introduce_clients();

		wait_for_events(introduced);
		handle_events();
	}
}

/* Kill the worker when the supervisor ends. */
static void end_worker(void)
{
	if (engine.pid <= 0)
		return;
	kill(engine.pid, SIGKILL);
	while (waitpid(engine.pid, NULL, 0) < 0 && errno == EINTR)
		;
}

/* A client takes two descriptors, so CLIENTS_MAX are more than the usual soft limit. */
static void raise_file_limit(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files))
		return;
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
}

/*
 * Leave the host's session, so that signals of the terminal's keys do not end the engine. Close all
 * descriptors that were inherited: they could keep sockets of other engines open.
 */
static bool leave_the_host(void)
{
	sigset_t child;

	setsid();
	close_range(ENGINE_CONTROL_FD + 1, UINT_MAX, 0);
	umask(077);
	raise_file_limit();
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	signal(SIGCHLD, SIG_DFL);
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_SETMASK, &child, NULL);
	engine.signals = move_up(signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK));
	engine.control = move_up(ENGINE_CONTROL_FD);
	return engine.signals >= 0 && engine.control >= 0;
}

/*
 * Find out by the name of this program which engine it is, and open the worker's program, which
 * lies beside it. Later workers are executed from this descriptor, so they have the version of the
 * supervisor, also if the package was upgraded in between.
 */
static bool open_program(void)
{
	char path[PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - sizeof("-worker"));
	const char *name;
	int fd;

	if (length < 0)
		return false;
	path[length] = '\0';
	name = strrchr(path, '-');
	engine.kind = name && !strcmp(name, "-wireshark") ? ENGINE_WIRESHARK : ENGINE_PCAP;
	strcpy(path + length, "-worker");
	fd = move_up(open(path, O_PATH | O_CLOEXEC));
	snprintf(engine.program, sizeof(engine.program), "/proc/self/fd/%d", fd);
	return fd >= 0;
}

int run_engine(const struct options *options, char **argv)
{
	engine.options = options;
	engine.argv = argv;
	engine.worker = -1;
	engine.latest.frame = ENGINE_NONE;
	if (!is_seqpacket(ENGINE_CONTROL_FD)) {
		fprintf(stderr,
			"%s: descriptor %d is no control socket; let libexpertmem start this program, as by 'expertmem run'\n",
			program_invocation_short_name, ENGINE_CONTROL_FD);
		return EXIT_FAILURE;
	}
	if (!leave_the_host() || !open_program()) {
		fprintf(stderr,
			"%s: cannot open the worker's program %s-worker: %s; reinstall the engine\n",
			program_invocation_short_name, program_invocation_short_name,
			strerror(errno));
		return EXIT_FAILURE;
	}
	if (!make_files() || !say_hello()) {
		fprintf(stderr,
			"%s: cannot make the files of frames, index, desk and state: %s; raise ulimit -n\n",
			program_invocation_short_name, strerror(errno));
		return EXIT_FAILURE;
	}
	start_worker();
	run();
	end_worker();
	return EXIT_SUCCESS;
}
