/* SPDX-License-Identifier: LGPL-2.1-or-later */
/**
 * DOC: expertmem.h, the host's side of libexpertmem
 *
 * A *host* is the program in Network Monitor's role. It opens an expert, sets the expert's
 * limit, runs the expert, usually in a child process, and reads how the expert ended:
 *
 *	HEXPERTKEY key;
 *	struct expertmem_options options = { .name = "topusers", .limit = 64 << 20 };
 *	int error = expertmem_open(&options, &key);
 *
 *	if (error)
 *		errx(1, "%s", expertmem_strerror(error));
 *	if (fork() == 0)
 *		_exit(!Run(key, NULL, &startup, 0, NULL));
 *
 * The first process that allocates with a key becomes the expert: the library maps the
 * windows there. The other processes with the key are hosts. A host can terminate and
 * reclaim the expert, and read statistics and progress, also after the expert's end. Memory
 * calls with the key return NMERR_INVALID_EXPERT_HANDLE in a host. A child that the expert
 * forks has none of the memory: the library closes the keys of attached experts in it.
 *
 * All calls may be made from any thread. They return EXPERTMEM_OK (0) or a negative enum
 * expertmem_error. They neither abort nor print, unless EXPERTMEM_DEBUG asks for it. Only
 * expertmem_strerror() may be called from a signal handler.
 */
#ifndef EXPERTMEM_H
#define EXPERTMEM_H

#include <stddef.h>
#include <stdint.h>

#include <Netmon.h>

#ifdef __cplusplus
extern "C" {
#endif

enum expertmem_error {
	EXPERTMEM_OK		= 0,
	EXPERTMEM_E_INVALID	= -1,	/* invalid argument or environment variable */
	EXPERTMEM_E_KEY		= -2,	/* no open expert has this key */
	EXPERTMEM_E_NOMEM	= -3,	/* out of memory or addresses */
	EXPERTMEM_E_NO_MODULE	= -4,	/* there is no /dev/expertmem */
	EXPERTMEM_E_ACCESS	= -5,	/* no permission for /dev/expertmem */
	EXPERTMEM_E_ABI		= -6,	/* the module is too old for the library */
	EXPERTMEM_E_NO_DEVICE	= -7,	/* not the expertmem device */
	EXPERTMEM_E_TOO_MANY	= -8,	/* too many experts, or descriptors */
	EXPERTMEM_E_PERM	= -9,	/* UNSWAPPABLE needs CAP_IPC_LOCK or RLIMIT_MEMLOCK */
	EXPERTMEM_E_UNSUPPORTED	= -10,	/* the backend cannot do this */
	EXPERTMEM_E_BUSY	= -11,	/* another process uses the expert */
	EXPERTMEM_E_RECLAIMED	= -12,	/* the expert was reclaimed or terminated */
	EXPERTMEM_E_LIMIT	= -13,	/* a limit above the default needs CAP_NET_ADMIN */
	EXPERTMEM_E_KERNEL	= -14,	/* other page size than 4 KiB, or longer addresses */
	EXPERTMEM_E_NO_ENGINE	= -15,	/* the engine is not installed, or cannot be started */
	EXPERTMEM_E_CAPTURE	= -16,	/* the capture cannot be read, or the filter is wrong */
	EXPERTMEM_E_ENGINE	= -17,	/* the engine has ended, or does not keep to its protocol */
	EXPERTMEM_E_LOADING	= -18	/* the capture is still being read */
};

enum expertmem_backend {
	/* EXPERTMEM_BACKEND if set to device or anon; else DEVICE if it exists, else ANON */
	EXPERTMEM_BACKEND_AUTO,
	/* the kernel module, which reclaims the memory however the expert ends */
	EXPERTMEM_BACKEND_DEVICE,
	/* private memory of the process: for development, no module needed */
	EXPERTMEM_BACKEND_ANON
};

/* Use no huge pages, which take memory in steps of 2 MiB. */
#define EXPERTMEM_NO_HUGE	(1U << 0)
/* Pages never go to swap; DEVICE only. */
#define EXPERTMEM_UNSWAPPABLE	(1U << 1)
/* Populate regions in the call: running out of memory is an error, not SIGBUS at a touch. */
#define EXPERTMEM_POPULATE	(1U << 2)

/*
 * As a limit: the module's parameter default_limit. That is also the largest limit that a
 * host without CAP_NET_ADMIN may set. For ANON it means no limit.
 */
#define EXPERTMEM_LIMIT_DEFAULT	UINT64_MAX

/**
 * struct expertmem_options - how to open an expert
 * @name: name that operators see; at most 31 bytes of UTF-8 without control characters;
 *	NULL: the name of the program, up to the first byte that is not allowed
 * @limit: most bytes that the expert can have committed and pinned, with the heap's
 *	metadata; 0: no limit; EXPERTMEM_LIMIT_DEFAULT: the module's default_limit
 * @flags: EXPERTMEM_NO_HUGE, EXPERTMEM_UNSWAPPABLE, EXPERTMEM_POPULATE
 * @backend: where memory comes from
 * @startup: what ExpertGetStartupInfo() returns; copied; NULL: zeros
 * @reserved: zero
 *
 * Zero is the default of each member but @limit: there 0 means no limit, which needs
 * CAP_NET_ADMIN if the module has a default_limit.
 */
struct expertmem_options {
	const char *name;
	uint64_t limit;
	unsigned int flags;
	enum expertmem_backend backend;
	const EXPERTSTARTUPINFO *startup;
	uint64_t reserved[4];
};

/**
 * struct expertmem_heap_stats - statistics of an expert
 * @id: the expert's id in the module; 0 for ANON
 * @backend: DEVICE or ANON
 * @terminating: 1 if the expert was terminated, else 0
 * @reclaimed_now: 1 if the expert was reclaimed, by a host, an operator or, for DEVICE,
 *	because its process has ended; else 0
 * @live_blocks: number of live blocks, without those that the library has for frames, protocols and
 *	properties; after the expert's end, of those that were live then
 * @live_bytes: bytes that were asked for in live blocks
 * @peak_blocks: highest @live_bytes so far. With several threads it is an estimate: a thread
 *	does not look at the others while it allocates as much as it freed before, and 4 KiB more
 * @limit: limit in bytes; 0: no limit
 * @committed: bytes in regions, of blocks and metadata; charged to the limit
 * @resident: bytes in memory; for ANON equal to @committed
 * @peak: highest sum of @committed and @pinned so far, in bytes
 * @reclaimed_bytes: bytes in regions that the module reclaimed; 0 for ANON
 * @pinned: bytes that were freed, but that a pipe, a socket or a device still references;
 *	charged to the limit; 0 for ANON
 * @reserved: zero
 */
struct expertmem_heap_stats {
	uint64_t id;
	enum expertmem_backend backend;
	int terminating;
	int reclaimed_now;
	uint64_t live_blocks;
	uint64_t live_bytes;
	uint64_t peak_blocks;
	uint64_t limit;
	uint64_t committed;
	uint64_t resident;
	uint64_t peak;
	uint64_t reclaimed_bytes;
	uint64_t pinned;
	uint64_t reserved[3];
};

/**
 * struct expertmem_progress - the last ExpertIndicateStatus() of an expert
 * @calls: number of calls so far; 0: all other members are zero
 * @status: EXPERTSTATUS_*
 * @sub_status: value of the last call
 * @percent: 0 to 99; a call with another value leaves it unchanged
 * @text: text of the last call, cut to 255 bytes; "" if that was NULL
 */
struct expertmem_progress {
	uint64_t calls;
	EXPERTSTATUSENUMERATION status;
	DWORD sub_status;
	LONG percent;
	char text[256];
};

/**
 * expertmem_open() - open an expert
 * @options: the options; NULL: zeros, with EXPERTMEM_LIMIT_DEFAULT as limit
 * @key: receives the key; unchanged on error
 *
 * AUTO falls back to ANON only if there is no device (E_NO_MODULE). Other failures of the
 * device are errors, so that no host loses the module's guarantees without notice. One
 * process can have at most 4,096 open experts.
 *
 * Return: EXPERTMEM_OK, E_INVALID (name, flags, reserved, backend, or an unknown word in
 * EXPERTMEM_BACKEND or EXPERTMEM_DEBUG in the environment), E_NO_MODULE, E_ACCESS, E_ABI, E_NO_DEVICE,
 * E_TOO_MANY, E_PERM, E_LIMIT, E_NOMEM, E_KERNEL, E_UNSUPPORTED (UNSWAPPABLE on ANON).
 */
int expertmem_open(const struct expertmem_options *options, HEXPERTKEY *key);

/**
 * expertmem_adopt() - make an expert from a descriptor of another process's expert
 * @fd: descriptor of /dev/expertmem, inherited through exec or received over a socket; on
 *	success the library owns it
 * @key: receives the key; unchanged on error
 *
 * Name, limit and flags are those that its host configured. The host that opened the expert
 * sees neither progress nor counts of blocks.
 *
 * Return: EXPERTMEM_OK, E_INVALID (also for an unknown word in EXPERTMEM_DEBUG),
 * E_NO_DEVICE, E_ACCESS (it is not open for reading and writing), E_ABI, E_TOO_MANY,
 * E_NOMEM, E_KERNEL, E_RECLAIMED.
 */
int expertmem_adopt(int fd, HEXPERTKEY *key);

/**
 * expertmem_close() - close an expert; in the expert's process, this frees all its memory
 * @key: the key, which is never valid again
 *
 * Return: EXPERTMEM_OK, E_KEY.
 */
int expertmem_close(HEXPERTKEY key);

/**
 * expertmem_fd() - the expert's descriptor of /dev/expertmem
 * @key: the key
 *
 * The descriptor is close-on-exec, and belongs to the library: do not close it.
 *
 * Return: the descriptor, E_KEY, or E_UNSUPPORTED for ANON.
 */
int expertmem_fd(HEXPERTKEY key);

/**
 * expertmem_terminate() - ask an expert to stop
 * @key: the key
 *
 * From now on the expert's calls return NMERR_EXPERT_TERMINATE.
 *
 * Return: EXPERTMEM_OK, E_KEY.
 */
int expertmem_terminate(HEXPERTKEY key);

/**
 * expertmem_reclaim() - give all pages of an expert back, whatever it is doing
 * @key: the key
 * @bytes: receives the number of bytes that were in regions; may be NULL
 *
 * A touch of a block then faults, and calls return NMERR_EXPERT_TERMINATE. An ANON expert can
 * only be reclaimed in its own process.
 *
 * Return: EXPERTMEM_OK, E_KEY, E_UNSUPPORTED, E_NOMEM (ANON: the process has too many
 * mappings; nothing has changed).
 */
int expertmem_reclaim(HEXPERTKEY key, uint64_t *bytes);

/**
 * expertmem_heap_stats() - read the statistics of an expert
 * @key: the key
 * @stats: receives the statistics
 *
 * Return: EXPERTMEM_OK, E_KEY, E_INVALID (@stats is NULL).
 */
int expertmem_heap_stats(HEXPERTKEY key, struct expertmem_heap_stats *stats);

/**
 * expertmem_progress() - read the last ExpertIndicateStatus() of an expert
 * @key: the key
 * @progress: receives the progress
 *
 * A host reads the progress of its child.
 *
 * Return: EXPERTMEM_OK, E_KEY, E_INVALID (@progress is NULL).
 */
int expertmem_progress(HEXPERTKEY key, struct expertmem_progress *progress);

/**
 * expertmem_walk() - visit every live block
 * @key: the key, in the expert's own process
 * @visit: called with the address of each block and the size that was asked for; a result
 *	other than 0 ends the walk. @visit must make no call of this library. Calls of
 *	other threads wait until the walk has ended.
 * @arg: passed to @visit
 *
 * Return: the last result of @visit, or 0 if there is no block; E_KEY, E_INVALID.
 */
int expertmem_walk(HEXPERTKEY key, int (*visit)(void *block, size_t size, void *arg),
		   void *arg);

/**
 * expertmem_trim() - give memory that holds no block back to the kernel
 * @key: the key, in the expert's own process
 * @bytes: receives the decrease of committed and pinned bytes; may be NULL
 *
 * This includes the slabs that other threads, and threads that have ended, kept for their
 * next blocks. Calls of other threads wait meanwhile. Without this call, a thread of the
 * library trims an expert one to two seconds after its last free. A program that
 * libexpertmem-malloc.so is preloaded in has no such thread.
 *
 * Return: EXPERTMEM_OK, E_KEY.
 */
int expertmem_trim(HEXPERTKEY key, uint64_t *bytes);

enum expertmem_finding_kind {
	/* a call got a pointer that is no live block of the expert, and returned @error */
	EXPERTMEM_BAD_FREE,
	EXPERTMEM_BAD_REALLOC,
	EXPERTMEM_BAD_SIZE,
	/* EXPERTMEM_DEBUG=canary: bytes behind a block were changed; found by free or realloc */
	EXPERTMEM_OVERRUN,
	/* EXPERTMEM_DEBUG=sites: at close, blocks allocated at @site were still live */
	EXPERTMEM_LEAK
};

/**
 * struct expertmem_finding - an error in the use of memory
 * @key: key of the expert
 * @kind: kind of error; later versions may have more kinds
 * @error: for the BAD_ kinds NMERR_INVALID_PARAMETER or NMERR_ACCESS_DENIED; else
 *	NMERR_SUCCESS
 * @pointer: for the BAD_ kinds the pointer; for OVERRUN the block; NULL for LEAK
 * @size: for OVERRUN the bytes of the block; for LEAK the bytes of all blocks of @site;
 *	else 0
 * @blocks: for LEAK the number of live blocks of @site; else 0
 * @site: with EXPERTMEM_DEBUG=sites, the return address of the call that allocated the
 *	block; else NULL
 */
struct expertmem_finding {
	HEXPERTKEY key;
	enum expertmem_finding_kind kind;
	DWORD error;
	const void *pointer;
	size_t size;
	size_t blocks;
	const void *site;
};

typedef void (*expertmem_listener)(const struct expertmem_finding *finding, void *arg);

/**
 * expertmem_listen() - set the function that is called with each finding of an expert
 * @key: the key
 * @listener: called without a lock, in the thread whose call has the finding, before that
 *	call returns; may log, count or abort, and make memory calls. NULL: none
 * @arg: passed to @listener
 *
 * An expert has one listener; a second one replaces the first. A finding at the time of the
 * replacement goes to one of the two, with the @arg of that listener.
 *
 * Return: EXPERTMEM_OK, E_KEY.
 */
int expertmem_listen(HEXPERTKEY key, expertmem_listener listener, void *arg);

/* A capture that an engine reads. It may be used by several experts at once. */
typedef struct expertmem_capture expertmem_capture;

enum expertmem_engine {
	/* EXPERTMEM_ENGINE if set to pcap or wireshark; else WIRESHARK if installed, else PCAP */
	EXPERTMEM_ENGINE_AUTO,
	/* frames, and filters in the language of libpcap (BPF) */
	EXPERTMEM_ENGINE_PCAP,
	/* and protocols, properties and Wireshark's display filters */
	EXPERTMEM_ENGINE_WIRESHARK
};

/* lpRecognizeDataTable is NULL: getting a frame costs no request to the engine. */
#define EXPERTMEM_NO_RECOGNIZE		(1U << 0)
/* Attach only those properties whose handles the expert got before the first ATTACH. */
#define EXPERTMEM_ASKED_PROPERTIES	(1U << 1)
/* "Next" frame begins at the number given, not behind it. */
#define EXPERTMEM_NEXT_AT		(1U << 2)

/* Limit of an engine's memory where the options have 0. */
#define EXPERTMEM_ENGINE_LIMIT		(UINT64_C(1) << 30)

/**
 * struct expertmem_capture_options - how to open a capture
 * @name: name of the engine's expert, as @name of struct expertmem_options; NULL: "engine"
 * @engine: which engine
 * @flags: EXPERTMEM_NO_RECOGNIZE, EXPERTMEM_ASKED_PROPERTIES, EXPERTMEM_NEXT_AT
 * @filter: the user's filter, for FLAGS_DEFER_TO_UI_FILTER; a display filter, or BPF with PCAP;
 *	NULL: all frames pass
 * @limit: most memory of the engine in bytes; 0: EXPERTMEM_ENGINE_LIMIT. An engine that
 *	reaches it is started anew, see @degraded of struct expertmem_capture_status
 * @reserved: zero
 */
struct expertmem_capture_options {
	const char *name;
	enum expertmem_engine engine;
	unsigned int flags;
	const char *filter;
	uint64_t limit;
	uint64_t reserved[4];
};

/**
 * struct expertmem_capture_status - state of a capture and of its engine
 * @engine: PCAP or WIRESHARK
 * @loaded: 1 if all frames are read, else 0
 * @failed: 1 if the capture cannot be used (any more); @error has the reason
 * @truncated: 1 if the file is damaged or cut off behind the last frame; @error has the reason
 * @frames: number of frames read so far
 * @read: bytes of the file read so far
 * @size: bytes of the file; 0: unknown
 * @dissected: number of frames of the dissectors' first pass so far
 * @degraded: how often the engine was started anew in the middle of the capture, because it
 *	reached its memory limit: protocols that need earlier frames may be missing
 * @crashed: number of frames whose dissection crashed or took more than two seconds
 * @process: pid of the engine
 * @start: time of the first frame, in nanoseconds since 1970 in UTC
 * @end: time of the latest frame
 * @comment: comment of the capture, or ""
 * @error: see @failed and @truncated; else ""
 * @software: name and version of what reads the capture
 */
struct expertmem_capture_status {
	enum expertmem_engine engine;
	int loaded;
	int failed;
	int truncated;
	uint64_t frames;
	uint64_t read;
	uint64_t size;
	uint64_t dissected;
	uint32_t degraded;
	uint32_t crashed;
	uint32_t process;
	int64_t start;
	int64_t end;
	char comment[1024];
	char error[1024];
	char software[128];
};

/**
 * expertmem_open_capture() - start an engine that reads a capture
 * @path: the file; "-": standard input
 * @options: the options; NULL: zeros
 * @capture: receives the capture; unchanged on error
 *
 * The engine is a process of its own and an expert of its own. The directory of engines is
 * EXPERTMEM_ENGINES in the environment, or else expertmem/ beside the library. The call does
 * not wait until the capture is read: expertmem_wait_capture() does.
 *
 * Return: EXPERTMEM_OK, E_INVALID, E_NO_ENGINE, E_NOMEM, E_TOO_MANY (descriptors).
 */
int expertmem_open_capture(const char *path, const struct expertmem_capture_options *options,
			   expertmem_capture **capture);

/**
 * expertmem_wait_capture() - wait until a capture is read
 * @capture: the capture
 * @milliseconds: how long to wait at most; -1: for ever
 *
 * Return: EXPERTMEM_OK; E_LOADING (time is over); E_CAPTURE, E_ENGINE (the status has the
 * reason); E_INVALID.
 */
int expertmem_wait_capture(expertmem_capture *capture, int milliseconds);

/**
 * expertmem_capture_status() - read the state of a capture
 * @capture: the capture
 * @status: receives the state
 *
 * Return: EXPERTMEM_OK, E_INVALID.
 */
int expertmem_capture_status(expertmem_capture *capture,
			     struct expertmem_capture_status *status);

/**
 * expertmem_use_capture() - give a capture that is read to an expert
 * @key: the key of an expert that has no capture yet
 * @capture: the capture
 *
 * Sets hCapture of the start-up information, and szCaptureFile if it is empty. Call it before
 * fork(), in the process that opened both. The expert's process then has the frames mapped, and a
 * connection of its own to the engine.
 *
 * A child inherits the connections of all experts that have a capture at the fork, and the engine
 * serves a connection until no process has it. A host that gives each expert its capture just before
 * its fork(), and closes the expert's key after it ended, leaves nothing behind.
 *
 * Return: EXPERTMEM_OK, E_KEY, E_INVALID, E_LOADING, E_BUSY (the expert has a capture), E_ENGINE,
 * E_NOMEM, E_TOO_MANY.
 */
int expertmem_use_capture(HEXPERTKEY key, expertmem_capture *capture);

/**
 * expertmem_close_capture() - let go of a capture
 * @capture: the capture, which is no longer valid; NULL: nothing is done
 *
 * Experts that use it keep it. The engine ends when the last of them has ended.
 */
void expertmem_close_capture(expertmem_capture *capture);

/**
 * expertmem_open_events() - collect the events of an expert
 * @key: the key
 * @fd: receives a descriptor that is readable, as of poll(2), while events are there. It
 *	belongs to the library
 *
 * Call it before fork(). Without it, ExpertSubmitEvent() succeeds and drops the event.
 *
 * Return: EXPERTMEM_OK, E_KEY, E_INVALID, E_BUSY (called before), E_TOO_MANY, E_NOMEM.
 */
int expertmem_open_events(HEXPERTKEY key, int *fd);

typedef void (*expertmem_event_handler)(const NMEVENTDATA *event, void *arg);

/**
 * expertmem_read_events() - call a function for each event that is there
 * @key: the key
 * @handler: called with each event; no pointer of it is NULL unless the expert's was, and all
 *	are valid until the function returns
 * @arg: passed to @handler
 *
 * The call does not wait. Events of an expert that has ended or crashed are still there. An expert
 * that raises events waits while too many are unread: so a host that calls Run() itself reads
 * them in another thread.
 *
 * Return: the number of events; E_KEY, E_INVALID, E_UNSUPPORTED (no expertmem_open_events()),
 * E_NOMEM.
 */
int expertmem_read_events(HEXPERTKEY key, expertmem_event_handler handler, void *arg);

/**
 * expertmem_strerror() - describe an error and its remedy
 * @error: result of a call of this header
 *
 * Return: a constant string, never NULL.
 */
const char *expertmem_strerror(int error);

#ifdef __cplusplus
}
#endif

#endif /* EXPERTMEM_H */
