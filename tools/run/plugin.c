// SPDX-License-Identifier: GPL-2.0
/* Run a plug-in: load the shared library, call Register, call Run. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../command.h"
#include "job.h"

static void *find_symbol(void *handle, const char *symbol, struct child_state *state)
{
	void *address = dlsym(handle, symbol);

	if (!address) {
		state->stage = UNLOADABLE;
		snprintf(state->text, sizeof(state->text),
			 "is not an expert: %s() is not exported", symbol);
		_exit(EXIT_FAILED);
	}
	return address;
}

/*
 * Flush standard output. If that fails, the job fails, even though Run returned TRUE: many experts
 * do not check whether their output was written.
 */
static void flush_output(struct child_state *state)
{
	if (fflush(stdout))
		state->error = errno;
	else if (ferror(stdout))	/* an earlier write failed, whose errno is lost */
		state->error = EIO;
	else
		return;
	state->stage = OUTPUT_LOST;
	exit(EXIT_FAILED);
}

/* Set the name that ps and top show: at most 15 bytes, and no part of a character. */
static void set_process_name(const char *name)
{
	size_t length = strlen(name);
	char comm[16];

	if (length >= sizeof(comm))
		for (length = sizeof(comm) - 1; (name[length] & 0xc0) == 0x80; length--)
			;
	snprintf(comm, sizeof(comm), "%.*s", (int)length, name);
	prctl(PR_SET_NAME, comm);
}

/* Load and run the plug-in. End by exit(), which flushes the expert's stdio. */
static void library_run(struct job *job, struct child_state *state)
{
	int null = isatty(STDIN_FILENO) ? open("/dev/null", O_RDONLY | O_CLOEXEC) : -1;
	PEXPERTREGISTERPROC register_expert;
	PEXPERTRUNPROC run;
	EXPERTENUMINFO info = {};
	void *handle;

	/* the child is in a background process group: reading the terminal would stop it */
	if (null >= 0)
		dup2(null, STDIN_FILENO);
	set_process_name(job->name);
	/* the first block attaches this process to the expert, so that the library records its crash */
	ExpertFreeMemory(job->key, ExpertAllocMemory(job->key, 0, NULL));
	handle = dlopen(job->library, RTLD_NOW | RTLD_LOCAL);
	if (!handle) {
		state->stage = UNLOADABLE;
		snprintf(state->text, sizeof(state->text), "cannot be loaded: %s",
			 dlerror());
		_exit(EXIT_FAILED);
	}
	register_expert = (PEXPERTREGISTERPROC)find_symbol(handle, EXPERTENTRY_REGISTER, state);
	run = (PEXPERTRUNPROC)find_symbol(handle, EXPERTENTRY_RUN, state);

	state->stage = REGISTERING;
	if (!register_expert(&info)) {
		state->stage = REFUSED;
		exit(EXIT_FAILED);
	}
	state->stage = RUNNING;
	if (!run(job->key, NULL, &job->startup, 0, NULL)) {
		state->stage = RETURNED_FALSE;
		exit(EXIT_FAILED);
	}
	flush_output(state);
	state->stage = RETURNED_TRUE;
	exit(EXIT_OK);
}

static void library_interpret_exit(struct outcome *outcome, const struct job *job,
			  const struct child_state *state, int status)
{
	static const char *const where[] = {
		[LOADING]	 = " while it was loaded",
		[UNLOADABLE]	 = "",
		[REGISTERING]	 = " in Register",
		[REFUSED]	 = " after Register returned",
		[RUNNING]	 = "",
		[RETURNED_FALSE] = " after Run returned",
		[OUTPUT_LOST]	 = " after Run returned",
		[RETURNED_TRUE]	 = " after Run returned",
	};
	/* a wild write of the expert may have changed the state */
	enum stage stage = state->stage > RETURNED_TRUE ? RUNNING : state->stage;

	(void)job;
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE) {
		interpret_signal(outcome, "crashed", EXIT_CRASHED, SIGPIPE,
			     ": the reader of its output has ended");
		return;
	}
	if (WIFSIGNALED(status)) {
		interpret_signal(outcome, "crashed", EXIT_CRASHED, WTERMSIG(status), where[stage]);
		return;
	}
	switch (stage) {
	case UNLOADABLE:
		set_outcome(outcome, "not-loaded", EXIT_FAILED, "%.*s",
			     (int)sizeof(state->text), state->text);
		break;
	case REFUSED:
		set_outcome(outcome, "refused", EXIT_FAILED, "Register returned FALSE");
		break;
	case RETURNED_FALSE:
		set_outcome(outcome, "returned-false", EXIT_FAILED, "Run returned FALSE");
		break;
	case OUTPUT_LOST:
		set_outcome(outcome, "output-lost", EXIT_FAILED,
			     "cannot write its output: %s", strerror(state->error));
		break;
	case RETURNED_TRUE:
		set_outcome(outcome, "finished", EXIT_OK, "finished");
		break;
	case LOADING:
	case REGISTERING:
	case RUNNING:
		set_outcome(outcome, "exited", EXIT_CRASHED,
			     "exited with status %d before Run returned", WEXITSTATUS(status));
		break;
	}
}

const struct job_ops library_ops = {
	.run		= library_run,
	.interpret_exit		= library_interpret_exit,
	.timed_out	= EXIT_TIMEOUT,
};
