// SPDX-License-Identifier: GPL-2.0
/*
 * Run a program as an expert: LD_PRELOAD makes its dynamic loader load libexpertmem-malloc.so, and
 * EXPERTMEM_FD has the descriptor of the expert.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../command.h"
#include "executable.h"
#include "job.h"

#define PRELOAD "libexpertmem-malloc.so.1"

/* Find libexpertmem-malloc.so in the directory of the libexpertmem that this command uses. */
static void find_beside(char path[static PATH_MAX])
{
	void *symbol = dlsym(RTLD_DEFAULT, "expertmem_open");
	char *slash;
	Dl_info info;

	path[0] = '\0';
	if (symbol && dladdr(symbol, &info) && !realpath(info.dli_fname, path))
		path[0] = '\0';
	slash = strrchr(path, '/');
	slash = slash ? slash + 1 : path;
	snprintf(slash, PATH_MAX - (slash - path), "%s", PRELOAD);
}

/*
 * Return whether this process has a controlling terminal. Then the program must stay in the
 * foreground process group: only that group may read the terminal, and gets the signals of its keys.
 */
static bool has_terminal(void)
{
	int fd = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/*
 * Check that the loader can load the library, by mapping it executable: a file system mounted noexec
 * refuses that. The loader would only print a warning, and run the program without the library.
 * Return 0, or -1 with errno set.
 */
static int try_library(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), error;
	void *code;

	if (fd < 0)
		return -1;
	code = mmap(NULL, 1, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
	error = errno;
	if (code != MAP_FAILED)
		munmap(code, 1);
	close(fd);
	errno = error;
	return code == MAP_FAILED ? -1 : 0;
}

int program_prepare(struct job *job, char path[static PATH_MAX])
{
	const char *given = getenv("EXPERTMEM_PRELOAD");

	if (given && *given)
		snprintf(path, PATH_MAX, "%s", given);
	else
		find_beside(path);
	if (try_library(path)) {
		fprintf(stderr, "expertmem run: cannot load %s: %s%s; "
			"set EXPERTMEM_PRELOAD to the path of " PRELOAD "\n", path, strerror(errno),
			errno == EPERM ? " (is its file system mounted noexec?)" : "");
		return -1;
	}
	if (strpbrk(path, " :")) {
		fprintf(stderr, "expertmem run: cannot preload %s: LD_PRELOAD takes no path with a space or colon; "
			"set EXPERTMEM_PRELOAD to a symbolic link without them\n", path);
		return -1;
	}
	job->preload = path;
	job->same_group = has_terminal();
	return 0;
}

/*
 * Pass the descriptors of the shared file and of the expert to the program. Its library closes the
 * first, and sets close-on-exec for the second.
 */
static int pass_descriptors(const struct job *job)
{
	int fd = expertmem_fd(job->key);

	if (job->report && pass_descriptor("EXPERTMEM_REPORT", job->shared))
		return -1;
	/* the anon backend has no descriptor */
	return fd < 0 ? unsetenv("EXPERTMEM_FD") : pass_descriptor("EXPERTMEM_FD", fd);
}

static int set_environment(const struct job *job)
{
	const char *others = getenv("LD_PRELOAD");
	char limit[24] = "default", *preload;
	int error;

	if (others && *others)
		error = asprintf(&preload, "%s:%s", job->preload, others);
	else
		error = asprintf(&preload, "%s", job->preload);
	if (error < 0 || setenv("LD_PRELOAD", preload, true))
		return -1;
	if (job->limit != EXPERTMEM_LIMIT_DEFAULT)
		snprintf(limit, sizeof(limit), "%" PRIu64, job->limit);
	if (setenv("EXPERTMEM_LIMIT", job->limit ? limit : "none", true))
		return -1;
	return pass_descriptors(job);
}

/* Return false if the program must not be started. Print a warning if it runs without a limit. */
static bool can_have_heap(const struct job *job, struct child_state *state)
{
	char why[EXECUTABLE_WHY];

	switch (executable_judge(job->program[0], why)) {
	case EXECUTABLE_REFUSED:
		snprintf(state->text, sizeof(state->text), "%s", why);
		state->stage = REFUSED;
		return false;
	case EXECUTABLE_UNLIMITED:
		if (job->device_only) {
			snprintf(state->text, sizeof(state->text),
				 "it %s would not be the expert's, which --backend device does not allow", why);
			state->stage = REFUSED;
			return false;
		}
		fprintf(stderr, "expertmem run: '%s' %s is not the expert's and has no limit\n",
			job->program[0], why);
		return true;
	default:
		return true;
	}
}

static void program_run(struct job *job, struct child_state *state)
{
	if (!can_have_heap(job, state))
		_exit(EXIT_PROGRAM_FAILED);
	if (!set_environment(job))
		execvp(job->program[0], job->program);
	state->error = errno;
	state->stage = UNLOADABLE;
	_exit(EXIT_PROGRAM_FAILED);
}

/* Return whether the program used the heap: from the shared file, or else from the kernel's peak. */
static bool has_used_expert(const struct job *job)
{
	struct expertmem_heap_stats stats = {};

	if (job->report && job->report->begun)
		return true;
	return !expertmem_heap_stats(job->key, &stats) && stats.peak;
}

static void program_interpret_exit(struct outcome *outcome, const struct job *job,
			  const struct child_state *state, int status)
{
	outcome->ran = state->stage != UNLOADABLE && state->stage != REFUSED;
	if (state->stage == REFUSED)
		set_outcome(outcome, "not-started", EXIT_NOT_EXECUTABLE,
			     "cannot run '%s' as an expert: %s", job->program[0], state->text);
	else if (!outcome->ran)
		set_outcome(outcome, "not-started",
			     state->error == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE,
			     "cannot run '%s': %s", job->program[0], strerror(state->error));
	else if (WIFSIGNALED(status))
		interpret_signal(outcome, "killed", EXIT_SIGNAL + WTERMSIG(status),
			     WTERMSIG(status), "");
	else if (job->device_only && !has_used_expert(job))
		set_outcome(outcome, "without-heap", EXIT_PROGRAM_FAILED,
			     "exited with status %d, without the heap of expertmem: the loader did not load %s",
			     WEXITSTATUS(status), job->preload);
	else
		set_outcome(outcome, "exited", WEXITSTATUS(status),
			     "exited with status %d", WEXITSTATUS(status));
}

const struct job_ops program_ops = {
	.run		= program_run,
	.interpret_exit		= program_interpret_exit,
	.timed_out	= EXIT_PROGRAM_TIMEOUT,
};
