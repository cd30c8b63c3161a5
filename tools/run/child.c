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
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../command.h"
#include "../format.h"
#include "outputs.h"
#include "progress.h"

/**
 * struct stop - why and how the host stops the child
 * @reason: "timed out", "interrupted" or why events are lost; NULL: the child was not asked to stop
 * @signal: the signal that interrupted the host, or 0
 * @since: when the child was asked to stop, CLOCK_MONOTONIC in seconds
 * @timed_out: the child ran longer than job.timeout
 * @output_lost: an output of the events failed
 * @at_once: a second signal interrupted the host: kill the child now
 * @killed: the child was sent SIGKILL
 */
struct stop {
	const char *reason;
	int signal;
	double since;
	bool timed_out;
	bool output_lost;
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
 * Handle a signal to the host. The first signal asks a plug-in to stop, the second one kills it.
 * For a program, only SIGTERM does so. Other signals are forwarded to the program, unless the
 * terminal has already sent them to the whole process group.
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

/* Return whether the job has run for job->timeout. */
static bool is_over(const struct job *job, double started)
{
	return job->timeout && clock_seconds(CLOCK_MONOTONIC) - started >= job->timeout;
}

static void stop_by_host(struct job *job, pid_t child, struct stop *stop, double started)
{
	const char *reason;

	if (job->outputs && outputs_have_failed(job->outputs)) {
		stop->output_lost = true;
		reason = job->outputs->message;
	} else if (is_over(job, started)) {
		stop->timed_out = true;
		reason = "timed out";
	} else {
		return;
	}
	ask_to_stop(job, child, stop, reason);
}

/* Watch the child to its end. Return its wait status. */
static int watch(struct job *job, pid_t child, const sigset_t *signals, double started,
		 struct stop *stop, struct progress *progress)
{
	static const struct timespec tick = { .tv_nsec = 100 * 1000 * 1000 };
	siginfo_t info;
	int status;

	while (true) {
		/* returns for a signal, such as SIGCHLD, or after a tick */
		int signal = sigtimedwait(signals, &info, &tick);
		bool ended = waitpid(child, &status, WNOHANG) == child;

		if (is_library(job))
			progress_run(progress, ended);
		if (ended)
			break;
		if (signal > 0 && signal != SIGCHLD && signal != SIGPIPE) {
			progress_clear(progress);
			act_on(job, child, &info, stop);
		} else if (!stop->reason) {
			stop_by_host(job, child, stop, started);
		}
		if (stop->reason && !stop->killed &&
		    (stop->at_once || clock_seconds(CLOCK_MONOTONIC) - stop->since >= job->grace)) {
			/* the child is not reaped yet, so its pid is not used again */
			send_signal(job, child, SIGKILL);
			stop->killed = true;
		}
	}
	progress_clear(progress);
	return status;
}

/* Let the outcome begin with the reason why the host stopped the child. */
static void interpret_stop(struct outcome *outcome, const struct stop *stop, const struct job *job)
{
	const char *result = stop->timed_out ? "timeout" :
			     stop->output_lost ? "output-lost" : "interrupted";
	int status = stop->timed_out ? job->ops->timed_out :
		     stop->output_lost ? EXIT_FAILED : EXIT_SIGNAL + stop->signal;
	char end[sizeof(outcome->message)];

	outcome->stopped = true;
	memcpy(end, outcome->message, sizeof(end));
	if (stop->killed && outcome->signal == SIGKILL && stop->at_once)
		set_outcome(outcome, result, status, "%s, interrupted again and killed",
			     stop->reason);
	else if (stop->killed && outcome->signal == SIGKILL)
		set_outcome(outcome, result, status,
			     "%s, did not stop within %g s and was killed", stop->reason,
			     job->grace);
	else if (job->ops != &program_ops && !outcome->signal && outcome->status != EXIT_CRASHED)
		set_outcome(outcome, result, status, "%s, stopped when asked", stop->reason);
	else
		set_outcome(outcome, result, status, "%s, then %s", stop->reason, end);
}

/* --- loading */

static void loading_failed(const struct job *job, int error, struct outcome *outcome)
{
	const char *reason = *job->status.error ? job->status.error : expertmem_strerror(error);

	if (error == EXPERTMEM_E_CAPTURE && job->capture_options.filter)
		set_outcome(outcome, "no-capture", EXIT_FAILED,
			    "cannot read the capture '%s' with the filter '%.200s': %s",
			    job->startup.szCaptureFile, job->capture_options.filter, reason);
	else if (error == EXPERTMEM_E_CAPTURE)
		set_outcome(outcome, "no-capture", EXIT_FAILED, "cannot read the capture '%s': %s",
			    job->startup.szCaptureFile, reason);
	else
		set_outcome(outcome, "no-capture", EXIT_FAILED,
			    "the engine cannot serve the capture '%s': %s",
			    job->startup.szCaptureFile, reason);
}

/* Return whether a signal or the timeout ends the wait for the capture; set the outcome then. */
static bool loading_stopped(const struct job *job, const sigset_t *signals, double started,
			    struct outcome *outcome)
{
	static const struct timespec none = {};
	int signal = sigtimedwait(signals, NULL, &none);

	if (signal == SIGINT || signal == SIGTERM)
		set_outcome(outcome, "interrupted", EXIT_SIGNAL + signal,
			    "interrupted while the capture was loaded");
	else if (is_over(job, started))
		set_outcome(outcome, "timeout", job->ops->timed_out,
			    "timed out while the capture was loaded");
	else
		return false;
	outcome->stopped = true;
	return true;
}

/* Wait until the engine has read the capture, and give it to the expert. Return false on failure. */
static bool load(struct job *job, const sigset_t *signals, double started, struct progress *progress,
		 struct outcome *outcome)
{
	bool first = true;
	int error;

	while (true) {
		error = expertmem_wait_capture(job->capture, 100);
		expertmem_capture_status(job->capture, &job->status);
		if (error != EXPERTMEM_E_LOADING)
			break;
		if (loading_stopped(job, signals, started, outcome)) {
			progress_clear(progress);
			return false;
		}
		progress_load(progress);
		first = false;
	}
	if (!first)
		progress_clear(progress);
	progress->shown = -10;
	if (!error)
		error = expertmem_use_capture(job->key, job->capture);
	if (error)
		loading_failed(job, error, outcome);
	return !error;
}

/* --- all of it */

/* Wait until the events are written. SIGINT, SIGTERM or the timeout ends the wait, and the host. */
static void finish_outputs(struct job *job, const sigset_t *signals, double started,
			   struct outcome *outcome)
{
	static const struct timespec none = {};
	struct outputs *outputs = job->outputs;
	bool was_over = is_over(job, started), over;
	int signal;

	outputs_end(outputs, outcome);
	while (!outputs_wait(outputs)) {
		signal = sigtimedwait(signals, NULL, &none);
		over = !was_over && is_over(job, started);
		if (signal != SIGINT && signal != SIGTERM && !over)
			continue;
		/* the thread may wait for a reader for ever, and hold the lock of stdout */
		outputs_abandon();
		fprintf(stderr, "%s: %s; %s while the events were written\n", job->name,
			outcome->message, over ? "timed out" : "interrupted");
		_exit(over ? job->ops->timed_out : EXIT_SIGNAL + signal);
	}
	if (*outputs->message && outcome->status == EXIT_OK)
		set_outcome(outcome, "output-lost", EXIT_FAILED, "%s", outputs->message);
	else if (*outputs->message)
		fprintf(stderr, "%s: %s\n", job->name, outputs->message);
}

static void block_signals(const struct job *job, sigset_t *signals, sigset_t *mask)
{
	/* a parent may have left SIGCHLD ignored, and then waitpid() would fail */
	signal(SIGCHLD, SIG_DFL);
	sigemptyset(signals);
	sigaddset(signals, SIGCHLD);
	sigaddset(signals, SIGINT);
	sigaddset(signals, SIGTERM);
	if (job->ops == &program_ops) {
		sigaddset(signals, SIGHUP);
		sigaddset(signals, SIGQUIT);
	}
	if (job->outputs)
		sigaddset(signals, SIGPIPE);	/* a reader of events has ended: an error, EPIPE */
	sigprocmask(SIG_BLOCK, signals, mask);
}

/* Run the child to its end. Return 0, or an error number of errno.h if none could be started. */
static int run_child(struct job *job, struct child_state *state, const sigset_t *signals,
		     const sigset_t *mask, double started, struct progress *progress,
		     struct outcome *outcome)
{
	struct stop stop = {};
	pid_t child;
	int status, error;

	child = start(job, state, mask);
	if (child < 0)
		return errno;
	error = job->outputs ? outputs_start(job->outputs) : 0;
	if (error) {
		send_signal(job, child, SIGKILL);
		waitpid(child, &status, 0);
		return error;
	}
	status = watch(job, child, signals, started, &stop, progress);
	*outcome = (struct outcome){
		.seconds = clock_seconds(CLOCK_MONOTONIC) - started, .process = child,
	};
	job->ops->interpret_exit(outcome, job, state, status);
	if (stop.reason)
		interpret_stop(outcome, &stop, job);
	return 0;
}

int job_run(struct job *job, struct outcome *outcome)
{
	double started = clock_seconds(CLOCK_MONOTONIC);
	struct child_state *state;
	struct progress progress;
	sigset_t signals, mask;
	int error = 0;

	state = mmap(NULL, sizeof(*state), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (state == MAP_FAILED)
		return -1;
	*outcome = (struct outcome){};
	block_signals(job, &signals, &mask);
	progress_begin(&progress, job);
	if (job->capture && !load(job, &signals, started, &progress, outcome)) {
		outcome->seconds = clock_seconds(CLOCK_MONOTONIC) - started;
		goto out;
	}
	if (job->outputs && outputs_connect(job->outputs)) {
		error = ENOMEM;
		goto out;
	}
	error = run_child(job, state, &signals, &mask, started, &progress, outcome);
	if (!error && job->capture)
		expertmem_capture_status(job->capture, &job->status);
	if (!error && job->outputs)
		finish_outputs(job, &signals, started, outcome);
out:
	munmap(state, sizeof(*state));
	errno = error;
	return error ? -1 : 0;
}
