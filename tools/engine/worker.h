/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the supervisor and its worker share: descriptors, messages, exit statuses, and the desk.
 */
#ifndef WORKER_H
#define WORKER_H

#include "engine.h"

/**
 * struct options - the command line of an engine
 * @capture: path of the capture; "-": standard input
 * @filter: the user's filter; "": all frames pass
 * @name: name of the worker's expert
 * @preload: path of libexpertmem-malloc.so; NULL: the worker uses the C library's heap
 * @limit: most bytes of the worker's heap; 0: no limit
 */
struct options {
	const char *capture;
	const char *filter;
	const char *name;
	const char *preload;
	uint64_t limit;
};

/* Descriptors of a worker. Only the first worker gets FD_INDEX_WRITE and FD_FRAMES_WRITE. */
enum worker_fd {
	FD_CAPTURE,		/* standard input: the first worker opens the capture as this one */
	FD_OUTPUT,
	FD_ERROR,
	FD_SUPERVISOR,
	FD_DESK,
	FD_STATE,
	FD_INDEX,		/* read-only */
	FD_FRAMES,		/* read-only */
	FD_INDEX_WRITE,
	FD_FRAMES_WRITE,
	NR_WORKER_FDS
};

/**
 * struct report - a message from a worker to its supervisor
 * @what: enum report_what
 * @client: with REPORT_REFUSED: number of the client; else 0
 */
struct report {
	uint32_t what;
	uint32_t client;
};

enum report_what {
	REPORT_LOADING,		/* the first bytes of the capture are about to be read */
	REPORT_LOADED,		/* index and frames are complete, and closed for writing */
	REPORT_REFUSED,		/* the worker cannot serve the client @client */
};

/* A message from the supervisor to its worker, with a socket and a results file. */
struct introduction {
	uint32_t client;	/* number of the client, from 1; no other client gets it */
};

enum worker_exit {
	EXIT_ENDED	= 0,	/* the supervisor has ended */
	EXIT_FAILED	= 1,	/* engine_state.error has the reason */
	EXIT_RENEW	= 2,	/* the memory limit is near; the next worker begins at desk.begin */
	EXIT_NOT_STARTED = 127,	/* the dynamic loader or the preloaded library ended the program */
};

enum activity {
	ACTIVITY_STARTING,	/* initialising the dissectors */
	ACTIVITY_LOADING,	/* reading the capture */
	ACTIVITY_IDLE,		/* waiting for requests */
	ACTIVITY_REQUEST,	/* serving the request @client, @sequence */
	ACTIVITY_FRAME,		/* dissecting @frame, for the request @client, @sequence */
};

#define BAD_MAX		65536	/* most frames in desk.bad */
#define FILTERS_MAX	1024	/* most filters of all clients */

/**
 * struct bad_frame - a frame that no worker dissects any more
 * @frame: its number
 * @error: NMERR_INTERNAL_EXCEPTION or NMERR_RUNAWAY_PROTOCOL
 */
struct bad_frame {
	uint32_t frame;
	uint32_t error;
};

/**
 * struct stored_filter - the text of a filter, so that the next worker can compile it again
 * @client: client that owns it; 0: the entry is free
 * @text: the filter
 */
struct stored_filter {
	uint32_t client;
	char text[ENGINE_TEXT];
};

/**
 * struct desk - memory of supervisor and worker, which outlives the worker
 * @supervisor: pid of the supervisor
 * @loads: 1 for the first worker, which reads the capture
 * @file_limit: most bytes of each file that the first worker writes; 0: no limit
 * @activity: enum activity
 * @frame: the frame that is being dissected, or ENGINE_NONE
 * @client: client whose request is served
 * @sequence: sequence number of that request
 * @begin: with EXIT_RENEW: the frame at which the next worker's dissection begins
 * @step: number of frames and requests begun, by all workers; if it does not change, the supervisor
 *	kills the worker after some time
 * @done: number of frames and requests finished by this worker
 * @refused: 1: the worker answers the request @refused_sequence of @refused_client with an error,
 *	because that request ended workers before; else 0
 * @refused_client: see @refused
 * @refused_sequence: see @refused
 * @nr_bad: number of entries of @bad
 * @bad: frames that crashed or hung a worker, sorted by number
 * @filters: filters by their number
 *
 * Before it starts a worker, the supervisor writes @supervisor, @loads, @file_limit, @begin, all
 * @refused, @nr_bad and @bad from its own records, because a worker may have been taken over by a
 * capture. It also resets @activity, @frame and @done. The worker writes @activity, @frame,
 * @client, @sequence, @step, @done, @filters and, before EXIT_RENEW, @begin. The supervisor reads
 * each of these once, and does not rely on it. The file is sparse, so pages that are never touched
 * take no memory.
 */
struct desk {
	uint32_t supervisor;
	uint32_t loads;
	uint32_t activity;
	uint32_t frame;
	uint32_t client;
	uint32_t sequence;
	uint32_t begin;
	uint64_t file_limit;
	uint64_t step;
	uint64_t done;
	uint32_t refused;
	uint32_t refused_client;
	uint32_t refused_sequence;
	uint32_t nr_bad;
	struct bad_frame bad[BAD_MAX];
	struct stored_filter filters[FILTERS_MAX];
};

/* desk.c: of the worker */
extern struct desk *my_desk;
extern uint64_t desk_memory_limit;	/* bytes; 0: no limit */
extern uint32_t desk_at;		/* number of the frame that the present request looks at */
void desk_activity(enum activity activity);
/* Count a step, by which the supervisor sees that the worker does not hang. */
void desk_step(void);
/* Does the heap have more than @part eighths of desk_memory_limit? */
bool desk_memory_above(unsigned int part);
/* End this worker, so that the next one begins to dissect at the frame desk_at. */
void desk_renew(void) __attribute__((noreturn));

/* supervisor.c and worker.c each have one, for their program; returns its exit status. */
int run_engine(const struct options *options, char **argv);

/* sandbox.c */

/*
 * Find the descriptor of the expert that the preloaded library has opened; -1: there is none. If
 * the expert's limit is lower than *@limit, set *@limit to it. In bytes; 0: no limit.
 */
int sandbox_find_device(uint64_t *limit);

/*
 * Forbid all system calls that a worker does not need. @device: descriptor of the expert, or -1.
 * False, with errno set: the kernel refuses.
 */
bool sandbox_enter(int device);

/* load.c */

/* Prepare Wireshark's file library. Called before the sandbox. */
void load_init(void);

/**
 * struct loading - what load_capture() needs
 * @state: receives progress, numbers, comment, and the reason if the capture is truncated or bad
 * @first: called with the link type of the first frame, or of the file if it has no frame; false:
 *	stop, @state->error has the reason
 */
struct loading {
	struct engine_state *state;
	bool (*first)(uint16_t link_type);
};

/* Read FD_CAPTURE into FD_INDEX_WRITE and FD_FRAMES_WRITE. False: @state->error has the reason. */
bool load_capture(const struct loading *loading);

/* Write to @error, for the user, why open(2) of the capture failed with errno @err. */
void load_explain_open(int err, char error[static 1024]);

#endif /* WORKER_H */
