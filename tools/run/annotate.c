// SPDX-License-Identifier: GPL-2.0
#include "annotate.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../visible.h"

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

/* A line for each comment: the number of the frame from 0, a space, and the comment. */
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

/* Start the program. @input: the comments; @output: its messages. Return an error number. */
static int start(const char *capture, const char *copy, int input, int output, pid_t *process)
{
	char path[PATH_MAX];
	char *arguments[] = { (char *)PROGRAM, (char *)capture, (char *)copy, NULL };
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	extern char **environ;
	sigset_t none;
	int error;

	find_program(path);
	sigemptyset(&none);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&actions, output, STDERR_FILENO);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
	error = posix_spawn(process, path, &actions, &attributes, arguments, environ);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	return error;
}

/* Read what the program says, and wait for its end. Return 0, or -1 with the reason in @why. */
static int finish(int output, pid_t process, char why[static 256])
{
	size_t length = 0;
	ssize_t got;
	int status = 0;

	while ((got = read(output, why + length, 255 - length)) > 0 && length < 255)
		length += got;
	why[length] = '\0';
	why[strcspn(why, "\n")] = '\0';
	if (waitpid(process, &status, 0) == process && WIFEXITED(status) && !WEXITSTATUS(status))
		return 0;
	if (!*why)
		snprintf(why, 256, PROGRAM " ended with status %d", status);
	return -1;
}

/* The program writes to a file beside the copy, which takes its place when it is complete. */
static bool part_path(char path[static PATH_MAX], const char *copy)
{
	return snprintf(path, PATH_MAX, "%s.%d", copy, (int)getpid()) < PATH_MAX;
}

void annotate_cancel(pid_t process, const char *copy)
{
	char path[PATH_MAX];

	kill(process, SIGKILL);
	if (part_path(path, copy))
		unlink(path);
}

int annotate(struct events *events, const char *capture, const char *copy, pid_t *process,
	     char why[static 256])
{
	int comments[2] = { -1, -1 }, messages[2] = { -1, -1 }, error;
	struct named *list;
	char path[PATH_MAX];
	size_t count;
	pid_t child;

	if (!part_path(path, copy)) {
		snprintf(why, 256, "%s", strerror(ENAMETOOLONG));
		return -1;
	}
	list = list_frames(events, &count);
	error = !list || pipe2(comments, O_CLOEXEC) || pipe2(messages, O_CLOEXEC) ? errno : 0;
	if (!error)
		error = start(capture, path, comments[0], messages[1], &child);
	if (comments[0] >= 0)
		close(comments[0]);
	if (messages[1] >= 0)
		close(messages[1]);
	if (error)
		goto err_close;
	__atomic_store_n(process, child, __ATOMIC_RELEASE);
	/* EPIPE if the program has failed, which says why */
	write_comments(comments[1], events, list, count);
	error = finish(messages[0], child, why);
	__atomic_store_n(process, 0, __ATOMIC_RELEASE);
	close(messages[0]);
	free(list);
	if (!error && rename(path, copy)) {
		snprintf(why, 256, "%s", strerror(errno));
		error = -1;
	}
	if (error)
		unlink(path);
	return error;

err_close:
	snprintf(why, 256, "cannot start " PROGRAM ": %s", strerror(error));
	if (comments[1] >= 0)
		close(comments[1]);
	if (messages[0] >= 0)
		close(messages[0]);
	free(list);
	return -1;
}
