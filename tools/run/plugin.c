// SPDX-License-Identifier: GPL-2.0
/* Run or configure a plug-in: load the shared library, call Register, then Run or Configure. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../command.h"
#include "config.h"
#include "job.h"

/* The reasons of a call of DllMain(), and its type; windows.h is only for experts. */
#define PROCESS_ATTACH	1
#define PROCESS_DETACH	0
typedef BOOL (WINAPI *dll_main_t)(HINSTANCE instance, DWORD reason, LPVOID reserved);

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

/* End the process because the plug-in, or what it gave, cannot be used. */
static void __attribute__((noreturn, format(printf, 3, 4)))
give_up(struct child_state *state, enum stage stage, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(state->text, sizeof(state->text), format, args);
	va_end(args);
	state->stage = stage;
	exit(EXIT_FAILED);
}

/*
 * Load the plug-in and call DllMain(), if it is exported, as Windows does. The instance is the handle
 * of dlopen(). Return the handle.
 */
static void *load(struct job *job, struct child_state *state)
{
	void *handle;
	dll_main_t dll_main;

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
	dll_main = (dll_main_t)dlsym(handle, "DllMain");
	if (dll_main && !dll_main(handle, PROCESS_ATTACH, NULL))
		give_up(state, UNLOADABLE, "cannot be loaded: DllMain() returned FALSE");
	return handle;
}

/* Call DllMain() before the process ends. As on Windows, the third argument is not NULL then. */
static void unload(void *handle)
{
	dll_main_t dll_main = (dll_main_t)dlsym(handle, "DllMain");

	if (dll_main)
		dll_main(handle, PROCESS_DETACH, handle);
}

static void call_register(void *handle, struct child_state *state, EXPERTENUMINFO *info)
{
	PEXPERTREGISTERPROC register_expert =
		(PEXPERTREGISTERPROC)find_symbol(handle, EXPERTENTRY_REGISTER, state);

	state->stage = REGISTERING;
	if (!register_expert(info)) {
		state->stage = REFUSED;
		exit(EXIT_FAILED);
	}
}

/* Copy the configuration into memory of the expert, which may change it. */
static PEXPERTCONFIG give_config(struct job *job, struct child_state *state)
{
	PEXPERTCONFIG config;
	DWORD error;

	if (!job->config)
		return NULL;
	config = ExpertAllocMemory(job->key, job->config_size, &error);
	if (!config)
		give_up(state, BAD_CONFIG, "no memory for its configuration of %zu bytes (error %u)",
			job->config_size, error);
	memcpy(config, job->config, job->config_size);
	return config;
}

/* Load and run the plug-in. End by exit(), which flushes the expert's stdio. */
static void library_run(struct job *job, struct child_state *state)
{
	int null = isatty(STDIN_FILENO) ? open("/dev/null", O_RDONLY | O_CLOEXEC) : -1;
	EXPERTSTARTUPINFO startup;
	EXPERTENUMINFO info = {};
	PEXPERTCONFIG config;
	PEXPERTRUNPROC run;
	void *handle;
	BOOL result;

	/* the child is in a background process group: reading the terminal would stop it */
	if (null >= 0)
		dup2(null, STDIN_FILENO);
	handle = load(job, state);
	run = (PEXPERTRUNPROC)find_symbol(handle, EXPERTENTRY_RUN, state);
	call_register(handle, state, &info);
	config = give_config(job, state);
	/* expertmem_use_capture() has set hCapture in the library's copy */
	if (!ExpertGetStartupInfo(job->key, &startup))
		job->startup.hCapture = startup.hCapture;
	check_frame(job, state);
	if (job->property)
		select_property(job, state);
	state->stage = RUNNING;
	result = run(job->key, config, &job->startup, job->startup_flags, NULL);
	if (config)	/* the host allocated it, so it must not count as not freed by the expert */
		ExpertFreeMemory(job->key, config);
	unload(handle);
	if (!result) {
		state->stage = RETURNED_FALSE;
		exit(EXIT_FAILED);
	}
	flush_output(state);
	state->stage = RETURNED_TRUE;
	exit(EXIT_OK);
}

/* Check what Configure() returned, and write it to the file of the host. */
static void save_config(struct job *job, struct child_state *state, PEXPERTCONFIG config)
{
	SIZE_T size;

	if (!config)
		give_up(state, BAD_CONFIG, "Configure returned TRUE, but set no configuration");
	size = ExpertMemorySize(job->key, config);
	if (size < sizeof(config->RawConfigLength))
		give_up(state, BAD_CONFIG,
			"Configure returned a configuration that is not from ExpertAllocMemory()");
	if (config->RawConfigLength < sizeof(config->RawConfigLength) ||
	    config->RawConfigLength > size)
		give_up(state, BAD_CONFIG,
			"Configure returned a configuration whose length is %u, in a block of %zu bytes",
			config->RawConfigLength, (size_t)size);
	if (config->RawConfigLength > CONFIG_MAX)
		give_up(state, BAD_CONFIG,
			"Configure returned a configuration of %u bytes; the most are %u",
			config->RawConfigLength, CONFIG_MAX);
	if (write(job->config_file, config, config->RawConfigLength) !=
	    (ssize_t)config->RawConfigLength)
		give_up(state, BAD_CONFIG, "the configuration cannot be stored: %s", strerror(errno));
}

/* Load the plug-in and call Configure(). */
static void configure_run(struct job *job, struct child_state *state)
{
	void *handle = load(job, state);
	PEXPERTCONFIGPROC configure;
	EXPERTENUMINFO info = {};
	PEXPERTCONFIG config;

	call_register(handle, state, &info);
	if (!(info.Flags & EXPERT_ENUM_FLAG_CONFIGURABLE))
		give_up(state, UNLOADABLE, "it has no configuration: Register() does not set "
			"EXPERT_ENUM_FLAG_CONFIGURABLE");
	configure = (PEXPERTCONFIGPROC)find_symbol(handle, EXPERTENTRY_CONFIGURE, state);
	config = give_config(job, state);
	state->stage = RUNNING;
	if (!configure(job->key, &config, &job->startup, job->startup_flags, NULL)) {
		unload(handle);
		state->stage = RETURNED_FALSE;
		exit(EXIT_FAILED);
	}
	save_config(job, state, config);
	unload(handle);
	flush_output(state);
	state->stage = RETURNED_TRUE;
	exit(EXIT_OK);
}

/* @call: the name of the function that the host called */
static void interpret(struct outcome *outcome, const struct child_state *state, int status,
		      const char *call)
{
	static const char *const where[] = {
		[LOADING]	 = " while it was loaded",
		[UNLOADABLE]	 = "",
		[REGISTERING]	 = " in Register",
		[REFUSED]	 = " after Register returned",
		[RUNNING]	 = "",
		[BAD_CONFIG]	 = "",
	};
	/* a wild write of the expert may have changed the state */
	enum stage stage = state->stage > RETURNED_TRUE ? RUNNING : state->stage;
	char place[64] = "";

	if (stage >= RETURNED_FALSE)
		snprintf(place, sizeof(place), " after %s returned", call);
	else if (stage == RUNNING && strcmp(call, EXPERTENTRY_RUN))
		snprintf(place, sizeof(place), " in %s", call);
	else
		strcpy(place, where[stage]);
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE) {
		interpret_signal(outcome, "crashed", EXIT_CRASHED, SIGPIPE,
			     ": the reader of its output has ended");
		return;
	}
	if (WIFSIGNALED(status)) {
		interpret_signal(outcome, "crashed", EXIT_CRASHED, WTERMSIG(status), place);
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
	case BAD_CONFIG:
		set_outcome(outcome, "bad-configuration", EXIT_FAILED, "%.*s",
			     (int)sizeof(state->text), state->text);
		break;
	case RETURNED_FALSE:
		set_outcome(outcome, "returned-false", EXIT_FAILED, "%s returned FALSE", call);
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
			     "exited with status %d before %s returned", WEXITSTATUS(status), call);
		break;
	}
}

static void library_interpret_exit(struct outcome *outcome, const struct job *job,
				   const struct child_state *state, int status)
{
	(void)job;
	interpret(outcome, state, status, EXPERTENTRY_RUN);
}

static void configure_interpret_exit(struct outcome *outcome, const struct job *job,
				     const struct child_state *state, int status)
{
	(void)job;
	interpret(outcome, state, status, EXPERTENTRY_CONFIGURE);
}

const struct job_ops library_ops = {
	.run		= library_run,
	.interpret_exit		= library_interpret_exit,
	.timed_out	= EXIT_TIMEOUT,
};

const struct job_ops configure_ops = {
	.run		= configure_run,
	.interpret_exit	= configure_interpret_exit,
	.timed_out	= EXIT_TIMEOUT,
};
