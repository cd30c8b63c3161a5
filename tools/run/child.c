// SPDX-License-Identifier: GPL-2.0
/*
 * Start the child process of a job and watch it to its end. The host shows the progress that the
 * library shares with it, asks the child to stop, and kills it. It never reads the expert's memory.
 */
#include "job.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../command.h"
#include "../format.h"

/**
 * struct stop - why and how the host stops the child
 * @reason: "timed out" or "interrupted"; NULL: the child was not asked to stop
 * @signal: the signal that interrupted the host, or 0
 * @since: when the child was asked to stop, CLOCK_MONOTONIC in seconds
 * @timed_out: the timeout is over; otherwise a signal interrupted the host
 * @at_once: a second signal interrupted the host: kill the child now
 * @killed: the child was sent SIGKILL
 */
struct stop {
	const char *reason;
	int signal;
	double since;
	bool timed_out;
	bool at_once;
	bool killed;
};

/* Send a signal to the child's process group, or only to the child if it is in the host's. */
static void send_signal(const struct job *job, pid_t child, int signal)
{
	kill(job->same_group ? child : -child, signal);
}

static pid_t start(struct job *job, struct child_state *state, const sigset_t *mask)
{
	pid_t host = getpid(), child;

	fflush(NULL);
	child = fork();
	if (child < 0)
		return child;

	/* both processes call it, so that neither runs on before the group exists */
	if (!job->same_group)
		setpgid(child, child);
	if (child)
		return child;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != host)
		_exit(EXIT_FAILED);
	if (job->report)
		job->report->pid = getpid();
	sigprocmask(SIG_SETMASK, mask, NULL);
	if (job->stdout_to_stderr)
		dup2(STDERR_FILENO, STDOUT_FILENO);
	job->ops->run(job, state);
	_exit(EXIT_FAILED);
}

#define MEMORY_TEXT (4 * SIZE_TEXT)

/* Write the kernel's numbers, or without the module those of the library. */
static void memory_text(char text[static MEMORY_TEXT], const struct expertmem_heap_stats *stats)
{
	char resident[SIZE_TEXT], committed[SIZE_TEXT], limit[SIZE_TEXT];

	if (stats->backend != EXPERTMEM_BACKEND_DEVICE) {
		snprintf(text, MEMORY_TEXT, "%s live", size_text(resident, stats->live_bytes));
		return;
	}
	size_text(resident, stats->resident);
	size_text(committed, stats->committed);
	if (stats->limit)
		snprintf(text, MEMORY_TEXT, "%s resident, %s of %s", resident, committed,
			 size_text(limit, stats->limit));
	else
		snprintf(text, MEMORY_TEXT, "%s resident, %s committed", resident, committed);
}

/*
 * Show the progress: on a terminal in one line that is rewritten, with the cursor at its start, so
 * that output of the expert overwrites it; otherwise in a new line for every ten per cent. The
 * memory of an expert that has @ended is not shown.
 */
static void show_progress(struct job *job, bool terminal, bool ended, LONG *shown)
{
	struct expertmem_progress progress;
	struct expertmem_heap_stats stats;
	char memory[MEMORY_TEXT] = "", line[512];
	struct winsize window;
	int width = 79;

	if (expertmem_progress(job->key, &progress) || expertmem_heap_stats(job->key, &stats))
		return;
	plain_text(progress.text);
	if (!ended)
		memory_text(memory, &stats);
	if (!terminal) {
		if (progress.calls && progress.percent / 10 > *shown / 10) {
			fprintf(stderr, "%s: %d %%, %s%s%s\n", job->name,
				(int)progress.percent, memory, *memory ? ", " : "",
				progress.text);
			*shown = progress.percent;
		}
		return;
	}
	if (!ioctl(STDERR_FILENO, TIOCGWINSZ, &window) && window.ws_col)
		width = window.ws_col - 1;
	snprintf(line, sizeof(line), "%s [%-20.*s] %2d %%  %s  %s", job->name,
		 (int)progress.percent / 5, "####################", (int)progress.percent,
		 memory, progress.text);
	fprintf(stderr, "\r\033[K%.*s\r", width, line);
}

static void ask_to_stop(struct job *job, pid_t child, struct stop *stop, const char *reason)
{
	/* a program gets only SIGTERM: its handler may need memory, which terminate would refuse */
	if (job->ops == &program_ops)
		send_signal(job, child, SIGTERM);
	else
		expertmem_terminate(job->key);
	stop->reason = reason;
	stop->since = clock_seconds(CLOCK_MONOTONIC);
	fprintf(stderr, "%s: %s; asked to stop, will be killed in %g s\n",
		job->name, reason, job->grace);
}

/*
 * Handle a signal to the host. The first one asks a plug-in to stop, the second one kills it. For a
 * program, only SIGTERM does that. Other signals are forwarded to the program, unless the
 * terminal has sent them to the whole process group already.
 */
static void act_on(struct job *job, pid_t child, const siginfo_t *info, struct stop *stop)
{
	if (job->ops == &program_ops && info->si_signo != SIGTERM) {
		if (!job->same_group || info->si_code != SI_KERNEL)
			send_signal(job, child, info->si_signo);
	} else if (stop->reason) {
		stop->at_once = true;
	} else {
		stop->signal = info->si_signo;
		ask_to_stop(job, child, stop, "interrupted");
	}
}

/* Watch the child to its end. Return its wait status. */
static int watch(struct job *job, pid_t child, const sigset_t *signals, double started,
		 struct stop *stop)
{
	static const struct timespec tick = { .tv_nsec = 100 * 1000 * 1000 };
	bool terminal = job->ops == &library_ops && isatty(STDERR_FILENO);
	const char *clear = terminal ? "\r\033[K" : "";
	LONG shown = -10;
	siginfo_t info;
	int status;

	while (true) {
		/* returns for a signal, such as SIGCHLD, or after a tick */
		int signal = sigtimedwait(signals, &info, &tick);
		bool ended = waitpid(child, &status, WNOHANG) == child;

		if (job->ops == &library_ops)
			show_progress(job, terminal, ended, &shown);
		if (ended)
			break;
		if (signal > 0 && signal != SIGCHLD) {
			fputs(clear, stderr);
			act_on(job, child, &info, stop);
		} else if (!stop->reason && job->timeout &&
			   clock_seconds(CLOCK_MONOTONIC) - started >= job->timeout) {
			fputs(clear, stderr);
			stop->timed_out = true;
			ask_to_stop(job, child, stop, "timed out");
		}
		if (stop->reason && !stop->killed &&
		    (stop->at_once || clock_seconds(CLOCK_MONOTONIC) - stop->since >= job->grace)) {
			/* the child is not reaped yet, so its pid is not used again */
			send_signal(job, child, SIGKILL);
			stop->killed = true;
		}
	}
	fputs(clear, stderr);
	return status;
}

/* Put what the host did in front of the outcome. */
static void interpret_stop(struct outcome *outcome, const struct stop *stop, const struct job *job)
{
	const char *result = stop->timed_out ? "timeout" : "interrupted";
	int status = stop->timed_out ? job->ops->timed_out : EXIT_SIGNAL + stop->signal;
	char end[sizeof(outcome->message)];

	memcpy(end, outcome->message, sizeof(end));
	if (stop->killed && outcome->signal == SIGKILL && stop->at_once)
		set_outcome(outcome, result, status, "%s, interrupted again and killed",
			     stop->reason);
	else if (stop->killed && outcome->signal == SIGKILL)
		set_outcome(outcome, result, status,
			     "%s, did not stop within %g s and was killed", stop->reason,
			     job->grace);
	else if (job->ops == &library_ops && !outcome->signal && outcome->status != EXIT_CRASHED)
		set_outcome(outcome, result, status, "%s, stopped when asked", stop->reason);
	else
		set_outcome(outcome, result, status, "%s, then %s", stop->reason, end);
}

int job_run(struct job *job, struct outcome *outcome)
{
	struct child_state *state;
	struct stop stop = {};
	sigset_t signals, mask;
	double started;
	pid_t child;
	int status;

	state = mmap(NULL, sizeof(*state), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (state == MAP_FAILED)
		return -1;

	/* a parent may have left SIGCHLD ignored, and then waitpid() would fail */
	signal(SIGCHLD, SIG_DFL);
	sigemptyset(&signals);
	sigaddset(&signals, SIGCHLD);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	if (job->ops == &program_ops) {
		sigaddset(&signals, SIGHUP);
		sigaddset(&signals, SIGQUIT);
	}
	sigprocmask(SIG_BLOCK, &signals, &mask);

	started = clock_seconds(CLOCK_MONOTONIC);
	child = start(job, state, &mask);
	if (child < 0) {
		int error = errno;

		munmap(state, sizeof(*state));
		errno = error;
		return -1;
	}
	status = watch(job, child, &signals, started, &stop);

	*outcome = (struct outcome){
		.seconds = clock_seconds(CLOCK_MONOTONIC) - started, .process = child,
	};
	job->ops->interpret_exit(outcome, job, state, status);
	if (stop.reason)
		interpret_stop(outcome, &stop, job);
	munmap(state, sizeof(*state));
	return 0;
}
