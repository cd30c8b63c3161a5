/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A job runs or configures a plug-in, or runs a program, in a child process. cmd_run.c and
 * cmd_configure.c set it up, child.c runs and watches the process, report.c prints the outcome.
 */
#ifndef JOB_H
#define JOB_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <expertmem.h>

#include "../../libexpertmem/report.h"

/**
 * struct job - what to run, and how
 * @ops: library_ops, configure_ops or program_ops
 * @key: the expert
 * @shared: descriptor of the file that the host shares with the child
 * @report: the start of that file, mapped; NULL: there is no file
 * @name: name of the expert
 * @library: path of the plug-in, with a slash; NULL for a program
 * @startup: start-up information of the plug-in: the capture, and what the user has selected
 * @property: name of the selected property, such as "tcp.port"; NULL: none is selected
 * @startup_flags: what Run() or Configure() gets as StartupFlags
 * @config: configuration of the plug-in, or NULL
 * @config_size: bytes of @config
 * @config_file: descriptor of a file that receives the configuration that Configure() returned
 * @capture_path: path of the capture, or "-"
 * @capture: the capture that an engine reads; NULL: the plug-in runs without an engine
 * @capture_options: options for expertmem_open_capture()
 * @no_engine: --engine none: the plug-in reads the file itself
 * @status: the last state of @capture that was read
 * @outputs: outputs of the events; NULL for a program, and for Configure()
 * @program: name and arguments of the program, ended by NULL; NULL for a plug-in
 * @preload: path of libexpertmem-malloc.so
 * @limit: limit in bytes, 0 for none, or EXPERTMEM_LIMIT_DEFAULT; programs that the program
 *	starts get it as well
 * @has_limit: the limit is from the command line
 * @grace: seconds from asking the child to stop until killing it
 * @timeout: seconds until the child is asked to stop; 0: never
 * @stdout_to_stderr: the child's standard output goes to standard error
 * @device_only: EXPERTMEM_BACKEND=device: run nothing on private memory
 * @few_addresses: a program, with too few addresses (RLIMIT_AS) for the module: it has private memory
 * @same_group: the child stays in the host's process group, so that it can read the terminal
 *	and gets the signals of its keys
 */
struct outputs;

struct job {
	const struct job_ops *ops;
	HEXPERTKEY key;
	int shared;
	struct em_report *report;
	const char *name;
	const char *library;
	EXPERTSTARTUPINFO startup;
	const char *property;
	DWORD startup_flags;
	void *config;
	size_t config_size;
	int config_file;
	const char *capture_path;
	expertmem_capture *capture;
	struct expertmem_capture_options capture_options;
	bool no_engine;
	struct expertmem_capture_status status;
	struct outputs *outputs;
	char **program;
	const char *preload;
	uint64_t limit;
	bool has_limit;
	double grace;
	double timeout;
	bool stdout_to_stderr;
	bool device_only;
	bool few_addresses;
	bool same_group;
};

/**
 * struct child_state - how far the child came, in shared memory that only the child writes
 * @stage: the last step of the child
 * @error: errno, if a program is UNLOADABLE, or OUTPUT_LOST
 * @text: why a plug-in is UNLOADABLE, a program is REFUSED, or a configuration is BAD_CONFIG
 */
struct child_state {
	enum stage {
		LOADING,
		UNLOADABLE,
		REGISTERING,
		REFUSED,
		RUNNING,
		BAD_CONFIG,
		RETURNED_FALSE,
		OUTPUT_LOST,
		RETURNED_TRUE,
	} stage;
	int error;
	char text[1024];
};

/**
 * struct outcome - how a job ended
 * @result: one word, for scripts
 * @status: exit status of the command
 * @signal: the signal that ended the child, or 0
 * @seconds: run time
 * @process: pid of the child
 * @ran: the program was started; always false for a plug-in
 * @stopped: a signal, the timeout or a lost output has ended the job
 * @message: a sentence, for people
 */
struct outcome {
	const char *result;
	int status;
	int signal;
	double seconds;
	pid_t process;
	bool ran;
	bool stopped;
	char message[1536];
};

/**
 * struct job_ops - how a plug-in or a program is run
 * @run: runs it in the child; does not return
 * @interpret_exit: fills in the outcome from the wait status @status
 * @timed_out: exit status of the command after a timeout
 */
struct job_ops {
	void (*run)(struct job *job, struct child_state *state);
	void (*interpret_exit)(struct outcome *outcome, const struct job *job,
		      const struct child_state *state, int status);
	int timed_out;
};

extern const struct job_ops library_ops, configure_ops, program_ops;

/* Return whether the job calls Run() of a plug-in. Only such a job shows its progress. */
static inline bool is_library(const struct job *job)
{
	return job->ops == &library_ops;
}

/*
 * Open the expert of the job, and create the file that is shared with the child. If the file cannot
 * be created, the report of a program has fewer numbers. Return enum expertmem_error.
 */
int share_open(struct job *job);

/*
 * Duplicate @fd without close-on-exec, and put the number of the copy into the environment. Return
 * 0, or -1 with errno set.
 */
int pass_descriptor(const char *variable, int fd);

/*
 * Start the engine that reads the capture; do not wait for it. If no engine is installed and no
 * option needs one, print a warning and leave @job->capture NULL. Return 0, or -1 after a message.
 */
int job_open_capture(struct job *job);

/* In the expert's process: if the capture has no frame of the selected number, end the process. */
void check_frame(const struct job *job, struct child_state *state);

/*
 * In the expert's process, find the protocol and the property that the user has selected, and put
 * them into the start-up information. If there is no such property, end the process.
 */
void select_property(struct job *job, struct child_state *state);

/* Return the word for an engine that --engine takes. */
const char *engine_name(enum expertmem_engine engine);

/*
 * Run the job until the child has ended. The signals that the host handles stay blocked afterwards,
 * so that none interrupts the report. Return 0, or -1 with errno set if no child could be started.
 */
int job_run(struct job *job, struct outcome *outcome);

/* Set result, exit status and message of the outcome. */
void __attribute__((format(printf, 4, 5)))
set_outcome(struct outcome *outcome, const char *result, int status, const char *format, ...);

/* Set the outcome of a child that a signal has ended. @place: such as " in Register", or "". */
void interpret_signal(struct outcome *outcome, const char *result, int status, int signal,
		  const char *place);

/* Find libexpertmem-malloc.so and write its path to @path. Return 0, or -1 after a message. */
int program_prepare(struct job *job, char path[static PATH_MAX]);

/*
 * Print the outcome: report() as text to standard error, report_json() as JSON. report_json() returns
 * 0, or -1 after a message if the output cannot be written.
 */
void report(const struct job *job, const struct outcome *outcome,
	    const struct expertmem_heap_stats *stats);
int report_json(const struct job *job, const struct outcome *outcome,
		const struct expertmem_heap_stats *stats);

/* Print where the process crashed and what it touched, if its library has recorded that. */
void report_crash(const struct job *job, const struct outcome *outcome);

#endif /* JOB_H */
