// SPDX-License-Identifier: GPL-2.0
/* An expert's library: load, register, run. */
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

#include "command.h"
#include "job.h"

static void *find_symbol(void *handle, const char *symbol, struct account *account)
{
	void *address = dlsym(handle, symbol);

	if (!address) {
		account->stage = UNLOADABLE;
		snprintf(account->text, sizeof(account->text),
			 "is not an expert: %s() is not exported", symbol);
		_exit(EXIT_FAILED);
	}
	return address;
}

/*
 * Write what the expert's stdio still holds. A result that is lost is no success, whatever
 * the expert says; many do not look.
 */
static void flush_output(struct account *account)
{
	if (fflush(stdout))
		account->error = errno;
	else if (ferror(stdout))	/* an earlier write, whose reason is not known */
		account->error = EIO;
	else
		return;
	account->stage = OUTPUT_LOST;
	exit(EXIT_FAILED);
}

/* What ps and top show. The kernel takes 15 bytes; a character is taken whole or not at all. */
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

/* Ends by exit(), so that the expert's stdio is flushed. */
static void library_run(struct job *job, struct account *account)
{
	int null = isatty(STDIN_FILENO) ? open("/dev/null", O_RDONLY | O_CLOEXEC) : -1;
	PEXPERTREGISTERPROC register_expert;
	PEXPERTRUNPROC run;
	EXPERTENUMINFO info = {};
	void *handle;

	/* Out of the terminal's group, it would be stopped when it reads the terminal. */
	if (null >= 0)
		dup2(null, STDIN_FILENO);
	set_process_name(job->name);
	/* The first block makes this process the expert, whose crash the library records. */
	ExpertFreeMemory(job->key, ExpertAllocMemory(job->key, 0, NULL));
	handle = dlopen(job->library, RTLD_NOW | RTLD_LOCAL);
	if (!handle) {
		account->stage = UNLOADABLE;
		snprintf(account->text, sizeof(account->text), "could not be loaded: %s",
			 dlerror());
		_exit(EXIT_FAILED);
	}
	register_expert = (PEXPERTREGISTERPROC)find_symbol(handle, EXPERTENTRY_REGISTER, account);
	run = (PEXPERTRUNPROC)find_symbol(handle, EXPERTENTRY_RUN, account);

	account->stage = REGISTERING;
	if (!register_expert(&info)) {
		account->stage = REFUSED;
		exit(EXIT_FAILED);
	}
	account->stage = RUNNING;
	if (!run(job->key, NULL, &job->startup, 0, NULL)) {
		account->stage = RETURNED_FALSE;
		exit(EXIT_FAILED);
	}
	flush_output(account);
	account->stage = RETURNED_TRUE;
	exit(EXIT_OK);
}

static void library_judge(struct verdict *verdict, const struct job *job,
			  const struct account *account, int status)
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
	/* A wild write of the expert may have hit the account. */
	enum stage stage = account->stage > RETURNED_TRUE ? RUNNING : account->stage;

	(void)job;
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE) {
		judge_signal(verdict, "crashed", EXIT_CRASHED, SIGPIPE,
			     ": what read its output has ended");
		return;
	}
	if (WIFSIGNALED(status)) {
		judge_signal(verdict, "crashed", EXIT_CRASHED, WTERMSIG(status), where[stage]);
		return;
	}
	switch (stage) {
	case UNLOADABLE:
		give_verdict(verdict, "not-loaded", EXIT_FAILED, "%.*s",
			     (int)sizeof(account->text), account->text);
		break;
	case REFUSED:
		give_verdict(verdict, "refused", EXIT_FAILED, "Register returned FALSE");
		break;
	case RETURNED_FALSE:
		give_verdict(verdict, "returned-false", EXIT_FAILED, "Run returned FALSE");
		break;
	case OUTPUT_LOST:
		give_verdict(verdict, "output-lost", EXIT_FAILED,
			     "its output cannot be written: %s", strerror(account->error));
		break;
	case RETURNED_TRUE:
		give_verdict(verdict, "finished", EXIT_OK, "finished");
		break;
	case LOADING:
	case REGISTERING:
	case RUNNING:
		give_verdict(verdict, "exited", EXIT_CRASHED,
			     "exited with status %d before Run returned", WEXITSTATUS(status));
		break;
	}
}

const struct kind library_kind = {
	.run		= library_run,
	.judge		= library_judge,
	.timed_out	= EXIT_TIMEOUT,
};
