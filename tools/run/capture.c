// SPDX-License-Identifier: GPL-2.0
/* Start the engine that reads the capture of a job. */
#include <stdio.h>
#include <string.h>

#include "../command.h"
#include "job.h"

static const char *const engines[] = {
	[EXPERTMEM_ENGINE_AUTO]		= "auto",
	[EXPERTMEM_ENGINE_PCAP]		= "pcap",
	[EXPERTMEM_ENGINE_WIRESHARK]	= "wireshark",
};

const char *engine_name(enum expertmem_engine engine)
{
	return engines[engine];
}

/* Return the name of an option on the command line that needs an engine, or NULL. */
static const char *what_needs_engine(const struct job *job)
{
	if (job->capture_options.engine != EXPERTMEM_ENGINE_AUTO)
		return "--engine";
	if (job->capture_options.filter)
		return "--filter";
	return job->property ? "--property" : NULL;
}

/* Write NAME.engine, with at most 24 bytes of NAME: the name of an expert has at most 31. */
static void expert_name(char name[static 32], const char *job_name)
{
	size_t length = strlen(job_name);

	if (length > 24)
		for (length = 24; (job_name[length] & 0xc0) == 0x80; length--)
			;
	snprintf(name, 32, "%.*s.engine", (int)length, job_name);
}

int job_open_capture(struct job *job)
{
	const char *need = what_needs_engine(job);
	char name[32];
	int error;

	expert_name(name, job->name);
	job->capture_options.name = name;
	error = expertmem_open_capture(job->capture_path, &job->capture_options, &job->capture);
	job->capture_options.name = NULL;
	if (!error)
		return 0;
	job->capture = NULL;
	if (error != EXPERTMEM_E_NO_ENGINE) {
		fprintf(stderr, "expertmem run: cannot start an engine: %s\n",
			expertmem_strerror(error));
		return -1;
	}
	if (need) {
		fprintf(stderr, "expertmem run: %s needs an engine, but none%s%s is installed: %s\n",
			need, job->capture_options.engine ? " of the name " : "",
			job->capture_options.engine ? engine_name(job->capture_options.engine) : "",
			expertmem_strerror(error));
		return -1;
	}
	fputs("expertmem run: no engine is installed, so the expert gets no frames; install the package "
	      "expertmem or expertmem-engine-wireshark, set EXPERTMEM_ENGINES to the directory of the "
	      "engines, or say --engine none\n", stderr);
	return 0;
}
