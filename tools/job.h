/* SPDX-License-Identifier: GPL-2.0 */
/* One run of one expert, in a child process. */
#ifndef JOB_H
#define JOB_H

#include <stdbool.h>
#include <stdint.h>

#include <expertmem.h>

/* What is to be done. */
struct job {
	HEXPERTKEY key;
	const char *name;
	const char *library;	/* a path with a slash */
	EXPERTSTARTUPINFO startup;
	double grace;		/* seconds from asking to stop until killing */
	double timeout;		/* seconds, 0: none */
	bool stdout_to_stderr;
};

/* What became of it. */
struct verdict {
	const char *result;	/* one word, for scripts */
	int status;		/* EXIT_* */
	int signal;		/* that ended the expert, or 0 */
	double seconds;
	char message[1536];	/* for people */
};

/*
 * Run the job to the expert's end. SIGINT, SIGTERM and SIGCHLD stay blocked, so that
 * what the user sends late does not cut the report. Return 0, or -1 with errno set
 * where there could be no child.
 */
int job_run(struct job *job, struct verdict *verdict);

#endif /* JOB_H */
