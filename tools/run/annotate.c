// SPDX-License-Identifier: GPL-2.0
#include "annotate.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../format.h"
#include "../visible.h"
#include "replace.h"

#define PROGRAM "expertmem-annotate"

/* Most bytes of a comment; a block of pcapng cannot have options above 64 KiB. */
#define COMMENT_MAX 4096

/* A frame that an event names. */
struct named {
	uint32_t frame;
	const struct event *event;
};

/* Find the program in the directory of the engines. */
static void find_program(char path[static PATH_MAX])
{
	const char *directory = secure_getenv("EXPERTMEM_ENGINES");
	char library[PATH_MAX] = "";
	Dl_info info;
	char *slash;

	if (directory && *directory) {
		snprintf(path, PATH_MAX, "%s/" PROGRAM, directory);
		return;
	}
	if (dladdr(dlsym(RTLD_DEFAULT, "expertmem_open"), &info))
		snprintf(library, sizeof(library), "%s", info.dli_fname);
	slash = strrchr(library, '/');
	if (slash)
		*slash = '\0';
	if (snprintf(path, PATH_MAX, "%s/expertmem/" PROGRAM, slash ? library : ".") >= PATH_MAX)
		*path = '\0';
}

static int compare_named(const void *one, const void *other)
{
	const struct named *a = one, *b = other;

	if (a->frame != b->frame)
		return a->frame < b->frame ? -1 : 1;
	return a->event->number < b->event->number ? -1 : a->event->number > b->event->number;
}

/* List the frames of all columns of the type FRAME, in their order. Return NULL without memory. */
static struct named *list_frames(const struct events *events, size_t *count)
{
	struct named *list = NULL;
	size_t room = 0, n = 0;

	*count = 0;
	for (size_t i = 0; i < events->kept; i++)
		room += events->list[i].data->NumColumns;
	list = calloc(room + 1, sizeof(*list));
	for (size_t i = 0; list && i < events->kept; i++) {
		const NMEVENTDATA *data = events->list[i].data;

		for (unsigned int c = 0; c < data->NumColumns; c++)
			if (data->Column[c].VariantData.Type == NMCOLUMNTYPE_FRAME)
				list[n++] = (struct named){
					.frame = data->Column[c].VariantData.Value.FrameVal,
					.event = &events->list[i],
				};
	}
	if (list)
		qsort(list, n, sizeof(*list), compare_named);
	*count = n;
	return list;
}

/* Write a text without control characters, and at most @room bytes. Return the bytes left. */
static int put_comment(FILE *out, const char *text, int room)
{
	char character[VISIBLE_TEXT];

	while (*text && room > 0) {
		visible_next(character, &text);
		fputs(character, out);
		room -= strlen(character);
	}
	return room;
}

/* Write a line for each comment: the number of the frame from 0, a space, and the comment. */
static int write_comments(int fd, const struct events *events, const struct named *list,
			  size_t count)
{
	FILE *out = fdopen(fd, "w");
	int room, error = 0;

	if (!out)
		return errno;
	for (size_t i = 0; i < count; i++) {
		/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): each entry has an event */
		const NMEVENTDATA *data = list[i].event->data;

		fprintf(out, "%" PRIu32 " ", list[i].frame);
		room = put_comment(out, events->expert, COMMENT_MAX);
		fprintf(out, ": %s: ", severity_word(data->Severity));
		room = put_comment(out, data->szEventName, room);
		if (*data->szEventName && *data->szDescription)
			fputs(": ", out);
		put_comment(out, data->szDescription, room);
		putc('\n', out);
	}
	if (fflush(out) || ferror(out))
		error = errno;
	fclose(out);
	return error;
}

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

/* --- the program */

/* Descriptors 0 to 3 of the program: the capture, the copy, its messages, and the comments. */
enum { CAPTURE, COPY, MESSAGES, COMMENTS, DESCRIPTORS };

/*
 * @lock protects @process, the pid of the program until it is reaped; 0: it does not run. Before a
 * process is reaped, the kernel gives its pid to no other process.
 */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pid_t process;

/* Start the program. Return an error number of errno.h. */
static int start(const int fds[static DESCRIPTORS])
{
	char path[PATH_MAX];
	char *arguments[] = { (char *)PROGRAM, NULL };
	/* no variable and no file of the user changes what Wireshark's library does */
	char *environment[] = {
		(char *)"PATH=/usr/bin:/bin", (char *)"LC_ALL=C.UTF-8", (char *)"HOME=/nonexistent",
		(char *)"WIRESHARK_CONFIG_DIR=/nonexistent", NULL
	};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none, defaults;
	int high[DESCRIPTORS], error;

	find_program(path);
	sigemptyset(&none);
	sigfillset(&defaults);
	posix_spawn_file_actions_init(&actions);
	/* by way of high numbers, because dup2() to a low one may close another of @fds */
	for (int i = 0; i < DESCRIPTORS; i++) {
		high[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, DESCRIPTORS);
		posix_spawn_file_actions_adddup2(&actions, high[i], i);
	}
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setsigdefault(&attributes, &defaults);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	pthread_mutex_lock(&lock);
	error = posix_spawn(&process, path, &actions, &attributes, arguments, environment);
	if (error)
		process = 0;
	pthread_mutex_unlock(&lock);
	for (int i = 0; i < DESCRIPTORS; i++)
		close_fd(high[i]);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	return error;
}

/* Wait for the end of the program. Return its wait status. */
static int reap(void)
{
	siginfo_t info;
	int status = 0;

	while (waitid(P_PID, process, &info, WEXITED | WNOWAIT) && errno == EINTR)
		;
	pthread_mutex_lock(&lock);
	if (waitpid(process, &status, 0) != process)
		status = -1;
	process = 0;
	pthread_mutex_unlock(&lock);
	return status;
}

void annotate_abandon(void)
{
	pthread_mutex_lock(&lock);
	if (process)
		kill(process, SIGKILL);
}

/*
 * Read the program's messages, and wait for its end. Close @messages. Return 0, or -1 with the
 * reason in @why.
 */
static int finish(int messages, char why[static 256])
{
	size_t length = 0;
	ssize_t got;
	int status;

	while (length < 255 && (got = read(messages, why + length, 255 - length)) > 0)
		length += got;
	/* what the program writes from now on is lost */
	close(messages);
	why[length] = '\0';
	why[strcspn(why, "\n")] = '\0';
	plain_text(why);	/* the program may quote the capture */
	status = reap();
	if (WIFEXITED(status) && !WEXITSTATUS(status))
		return 0;
	if (WIFSIGNALED(status))
		snprintf(why, 256, PROGRAM " was killed by signal %d (%s)%s", WTERMSIG(status),
			 strsignal(WTERMSIG(status)),
			 WTERMSIG(status) == SIGSYS ? ": the sandbox forbids a system call" : "");
	else if (!*why)
		snprintf(why, 256, PROGRAM " ended with status %d", WEXITSTATUS(status));
	return -1;
}

/* Run the program. @capture, @copy: descriptors. Return 0, or -1 with the reason in @why. */
static int run(const struct events *events, int capture, int copy, char why[static 256])
{
	int comments[2] = { -1, -1 }, messages[2] = { -1, -1 }, error;
	size_t count;
	struct named *list = list_frames(events, &count);

	error = !list || pipe2(comments, O_CLOEXEC) || pipe2(messages, O_CLOEXEC) ? errno : 0;
	/* the host writes comments before it reads messages, so a message must never wait */
	if (!error && fcntl(messages[1], F_SETFL, O_NONBLOCK))
		error = errno;
	if (!error)
		error = start((int[]){ capture, copy, messages[1], comments[0] });
	close_fd(comments[0]);
	close_fd(messages[1]);
	if (error) {
		snprintf(why, 256, "cannot start " PROGRAM ": %s", strerror(error));
		close_fd(comments[1]);
		close_fd(messages[0]);
	} else {
		/* EPIPE is ignored: the program has failed then, and its message says why */
		write_comments(comments[1], events, list, count);
		error = finish(messages[0], why);
	}
	free(list);
	return error ? -1 : 0;
}

/* Open the capture, which must be a regular file. Return a descriptor, or -1 with errno set. */
static int open_capture(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat stat_buf;

	if (fd >= 0 && !fstat(fd, &stat_buf) && !S_ISREG(stat_buf.st_mode)) {
		close(fd);
		errno = ESPIPE;
		fd = -1;
	}
	return fd;
}

int annotate(struct events *events, const char *capture, const char *copy, char why[static 256])
{
	int in = open_capture(capture), out, error, end;

	if (in < 0) {
		snprintf(why, 256, "cannot read the capture: %s", errno != ESPIPE ? strerror(errno) :
			 "it is not a regular file; save it to a file first");
		return -1;
	}
	out = replace_begin(copy);
	if (out < 0) {
		snprintf(why, 256, "%s", strerror(errno));
		close(in);
		return -1;
	}
	error = run(events, in, out, why);
	close(in);
	end = replace_end(out, copy, !error);
	if (end && !error)
		snprintf(why, 256, "%s", strerror(end));
	return error || end ? -1 : 0;
}
