// SPDX-License-Identifier: GPL-2.0
/*
 * The host never touches the expert's memory. It watches the progress and the numbers
 * that the library shares with it, asks the expert to stop, and in the end kills it.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE	/* sigabbrev_np() */
#endif
#include "job.h"

#include <ctype.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "command.h"
#include "text.h"

/* How far the expert came: in memory shared with the child, which alone writes it. */
struct account {
	enum stage {
		LOADING,
		UNLOADABLE,
		REGISTERING,
		REFUSED,
		RUNNING,
		RETURNED_FALSE,
		RETURNED_TRUE,
	} stage;
	char text[1024];	/* why UNLOADABLE */
};

/* Why and how the host ends the expert. */
struct stop {
	const char *reason;	/* NULL: it was not asked to stop */
	double since;
	bool timed_out;		/* else the user interrupted */
	bool at_once;		/* the user would not wait */
	bool killed;
};

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

static void *find_symbol(void *library, const char *symbol, struct account *account)
{
	void *address = dlsym(library, symbol);

	if (!address) {
		account->stage = UNLOADABLE;
		snprintf(account->text, sizeof(account->text),
			 "is not an expert: %s() is not exported", symbol);
		_exit(EXIT_FAILED);
	}
	return address;
}

/* Load, register and run. Ends by exit(), so that the expert's stdio is flushed. */
static void __attribute__((noreturn)) child_main(struct job *job, struct account *account)
{
	PEXPERTREGISTERPROC register_expert;
	PEXPERTRUNPROC run;
	EXPERTENUMINFO info = {};
	void *library;

	library = dlopen(job->library, RTLD_NOW | RTLD_LOCAL);
	if (!library) {
		account->stage = UNLOADABLE;
		snprintf(account->text, sizeof(account->text), "could not be loaded: %s",
			 dlerror());
		_exit(EXIT_FAILED);
	}
	register_expert = (PEXPERTREGISTERPROC)find_symbol(library, EXPERTENTRY_REGISTER, account);
	run = (PEXPERTRUNPROC)find_symbol(library, EXPERTENTRY_RUN, account);

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
	account->stage = RETURNED_TRUE;
	exit(EXIT_OK);
}

static pid_t start(struct job *job, struct account *account, const sigset_t *mask)
{
	pid_t host = getpid(), child;
	int null;

	fflush(NULL);
	child = fork();
	if (child < 0)
		return child;

	/*
	 * A group of its own: the terminal's Ctrl-C is for the host to act on. Both
	 * processes see to it, for neither may go on before it is so.
	 */
	setpgid(child, child);
	if (child)
		return child;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != host)
		_exit(EXIT_FAILED);
	sigprocmask(SIG_SETMASK, mask, NULL);
	if (job->stdout_to_stderr)
		dup2(STDERR_FILENO, STDOUT_FILENO);
	/* Such a group is stopped when it reads the terminal. */
	null = isatty(STDIN_FILENO) ? open("/dev/null", O_RDONLY | O_CLOEXEC) : -1;
	if (null >= 0)
		dup2(null, STDIN_FILENO);
	child_main(job, account);
}

/*
 * On a terminal one line, rewritten in place; the cursor stays at its start, where
 * the expert's own output may come. Elsewhere a line for every ten per cent.
 */
static void show_progress(struct job *job, bool terminal, LONG *shown)
{
	struct expertmem_progress progress;
	struct expertmem_stats stats;
	char size[SIZE_TEXT], line[512];
	struct winsize window;
	int width = 79;

	if (expertmem_progress(job->key, &progress) || expertmem_stats(job->key, &stats))
		return;
	plain_text(progress.text);
	size_text(size, stats.live_bytes);
	if (!terminal) {
		if (progress.calls && progress.percent / 10 > *shown / 10) {
			fprintf(stderr, "%s: %d %%, %s live, %s\n", job->name,
				(int)progress.percent, size, progress.text);
			*shown = progress.percent;
		}
		return;
	}
	if (!ioctl(STDERR_FILENO, TIOCGWINSZ, &window) && window.ws_col)
		width = window.ws_col - 1;
	snprintf(line, sizeof(line), "%s [%-20.*s] %2d %%  %s live  %s", job->name,
		 (int)progress.percent / 5, "####################", (int)progress.percent,
		 size, progress.text);
	fprintf(stderr, "\r\033[K%.*s\r", width, line);
}

static void ask_to_stop(struct job *job, struct stop *stop, const char *reason)
{
	expertmem_terminate(job->key);
	stop->reason = reason;
	stop->since = now();
	fprintf(stderr, "%s: %s; asked to stop, will be killed if it has not in %g s\n",
		job->name, reason, job->grace);
}

/* Watch the child to its end. Return its wait status. */
static int watch(struct job *job, pid_t child, const sigset_t *signals, double started,
		 struct stop *stop)
{
	static const struct timespec tick = { .tv_nsec = 100 * 1000 * 1000 };
	bool terminal = isatty(STDERR_FILENO);
	const char *clear = terminal ? "\r\033[K" : "";
	LONG shown = -10;
	int status;

	while (true) {
		/* A signal ends the wait, SIGCHLD for one; the rest are ticks. */
		int signal = sigtimedwait(signals, NULL, &tick);
		bool ended = waitpid(child, &status, WNOHANG) == child;

		show_progress(job, terminal, &shown);
		if (ended)
			break;
		if (signal == SIGINT || signal == SIGTERM) {
			fputs(clear, stderr);
			if (stop->reason)
				stop->at_once = true;
			else
				ask_to_stop(job, stop, "interrupted");
		} else if (!stop->reason && job->timeout && now() - started >= job->timeout) {
			fputs(clear, stderr);
			stop->timed_out = true;
			ask_to_stop(job, stop, "timed out");
		}
		if (stop->reason && !stop->killed &&
		    (stop->at_once || now() - stop->since >= job->grace)) {
			/* with its helpers; not reaped, so the number is still its own */
			kill(-child, SIGKILL);
			stop->killed = true;
		}
	}
	fputs(clear, stderr);
	return status;
}

static void __attribute__((format(printf, 4, 5)))
give_verdict(struct verdict *verdict, const char *result, int status, const char *format, ...)
{
	va_list args;

	verdict->result = result;
	verdict->status = status;
	va_start(args, format);
	vsnprintf(verdict->message, sizeof(verdict->message), format, args);
	va_end(args);
}

static void judge_signal(struct verdict *verdict, enum stage stage, int signal)
{
	static const char *const where[] = {
		[LOADING]	 = " while it was loaded",
		[REGISTERING]	 = " in Register",
		[REFUSED]	 = " after Register returned",
		[RUNNING]	 = "",
		[RETURNED_FALSE] = " after Run returned",
		[RETURNED_TRUE]	 = " after Run returned",
	};
	const char *name = sigabbrev_np(signal), *words = sigdescr_np(signal);
	const char *place = where[stage] ? where[stage] : "";

	verdict->signal = signal;
	if (name)	/* "Segmentation fault", but also "CPU time limit exceeded" */
		give_verdict(verdict, "crashed", EXIT_CRASHED, "killed by SIG%s (%c%s)%s",
			     name, islower((unsigned char)words[1]) ? tolower(words[0]) : words[0],
			     words + 1, place);
	else
		give_verdict(verdict, "crashed", EXIT_CRASHED, "killed by signal %d%s",
			     signal, place);
}

/* What the expert itself did. */
static void judge(struct verdict *verdict, const struct account *account, int status)
{
	/* A wild write of the expert may have hit the account. */
	enum stage stage = account->stage > RETURNED_TRUE ? RUNNING : account->stage;

	if (WIFSIGNALED(status)) {
		judge_signal(verdict, stage, WTERMSIG(status));
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

/* What the host did comes first, where it did something. */
static void judge_stop(struct verdict *verdict, const struct stop *stop, double grace)
{
	const char *result = stop->timed_out ? "timeout" : "interrupted";
	int status = stop->timed_out ? EXIT_TIMEOUT : EXIT_INTERRUPTED;
	char end[sizeof(verdict->message)];

	memcpy(end, verdict->message, sizeof(end));
	if (stop->killed && verdict->signal == SIGKILL && stop->at_once)
		give_verdict(verdict, result, status, "%s, interrupted again and killed",
			     stop->reason);
	else if (stop->killed && verdict->signal == SIGKILL)
		give_verdict(verdict, result, status,
			     "%s, did not stop within %g s and was killed", stop->reason,
			     grace);
	else if (!verdict->signal && verdict->status != EXIT_CRASHED)
		give_verdict(verdict, result, status, "%s, stopped when asked", stop->reason);
	else
		give_verdict(verdict, result, status, "%s, then %s", stop->reason, end);
}

int job_run(struct job *job, struct verdict *verdict)
{
	struct account *account;
	struct stop stop = {};
	sigset_t signals, mask;
	double started;
	pid_t child;
	int status;

	account = mmap(NULL, sizeof(*account), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (account == MAP_FAILED)
		return -1;

	/* Not ignored, as a careless parent may have left it: no child could be awaited. */
	signal(SIGCHLD, SIG_DFL);
	sigemptyset(&signals);
	sigaddset(&signals, SIGCHLD);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigprocmask(SIG_BLOCK, &signals, &mask);

	started = now();
	child = start(job, account, &mask);
	if (child < 0) {
		int error = errno;

		munmap(account, sizeof(*account));
		errno = error;
		return -1;
	}
	status = watch(job, child, &signals, started, &stop);

	*verdict = (struct verdict){ .seconds = now() - started };
	judge(verdict, account, status);
	if (stop.reason)
		judge_stop(verdict, &stop, job->grace);
	munmap(account, sizeof(*account));
	return 0;
}
