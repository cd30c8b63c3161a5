/* SPDX-License-Identifier: GPL-2.0 */
/* One run of one expert, which is a library or a whole program, in a child process. */
#ifndef JOB_H
#define JOB_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <expertmem.h>

#include "../../libexpertmem/report.h"

/* What is to be done. */
struct job {
	const struct job_ops *ops;
	HEXPERTKEY key;
	int shared;		/* descriptor of the file that is shared with the child */
	struct em_report *report; /* the start of that file; NULL: there is none */
	const char *name;
	const char *library;	/* a path with a slash */
	EXPERTSTARTUPINFO startup;
	char **program;		/* its arguments, from its name on, and NULL */
	const char *preload;	/* the path of what makes a program an expert */
	/* bytes; 0: none; EXPERTMEM_LIMIT_DEFAULT; also for the programs that a program starts */
	uint64_t limit;
	bool has_limit;		/* the limit is from the command line */
	double grace;		/* seconds from asking to stop until killing */
	double timeout;		/* seconds, 0: none */
	bool stdout_to_stderr;
	bool device_only;	/* EXPERTMEM_BACKEND=device: nothing runs without the module */
	bool same_group;	/* as the host's: the terminal's keys are for the child */
};

/* How far the child came: in memory shared with it, which it alone writes. */
struct child_state {
	enum stage {
		LOADING,
		UNLOADABLE,
		REGISTERING,
		REFUSED,
		RUNNING,
		RETURNED_FALSE,
		OUTPUT_LOST,
		RETURNED_TRUE,
	} stage;
	int error;		/* errno: why a program is UNLOADABLE, or why OUTPUT_LOST */
	char text[1024];	/* why an expert is */
};

/* What became of it. */
struct outcome {
	const char *result;	/* one word, for scripts */
	int status;		/* EXIT_* */
	int signal;		/* that ended the expert, or 0 */
	double seconds;
	pid_t process;
	bool ran;		/* the program did, so that the expert was its to use */
	char message[1536];	/* for people */
};

/* What can be run. */
struct job_ops {
	/* in the child; does not return */
	void (*run)(struct job *job, struct child_state *state);
	/* what did it do? @status: as wait() says */
	void (*interpret_exit)(struct outcome *outcome, const struct job *job,
		      const struct child_state *state, int status);
	/* the command's exit status after a timeout */
	int timed_out;
};

extern const struct job_ops library_ops, program_ops;

/*
 * Open the expert of the job, with a file to share where there can be one; without, less is
 * known of a program. Return enum expertmem_error.
 */
int share_open(struct job *job);

/* Put the number of a copy of @fd, which exec() leaves open, into the environment. -1: errno. */
int pass_descriptor(const char *variable, int fd);

/*
 * Run the job to the expert's end. The signals that the host acts on stay blocked, so that
 * what the user sends late does not cut the report. Return 0, or -1 with errno set where
 * there could be no child.
 */
int job_run(struct job *job, struct outcome *outcome);

/* For job_ops: the outcome, in words. */
void __attribute__((format(printf, 4, 5)))
set_outcome(struct outcome *outcome, const char *result, int status, const char *format, ...);

/* The same where a signal has ended it, at a @place such as " in Register". */
void interpret_signal(struct outcome *outcome, const char *result, int status, int signal,
		  const char *place);

/* Find what makes a program an expert. Return 0, or -1 having said what is wrong. */
int program_prepare(struct job *job, char path[static PATH_MAX]);

/* What became of it, to standard error; or as JSON. Return 0, or -1 having said why not. */
void report(const struct job *job, const struct outcome *outcome,
	    const struct expertmem_heap_stats *stats);
int report_json(const struct job *job, const struct outcome *outcome,
		const struct expertmem_heap_stats *stats);

#endif /* JOB_H */
