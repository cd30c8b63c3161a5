/* SPDX-License-Identifier: LGPL-2.1-or-later */
/**
 * DOC: expertmem.h, the host's side of libexpertmem
 *
 * A *host* is the program in Network Monitor's role. It opens an expert, sets its
 * limit, runs it, usually in a child process, and reads what became of it:
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
 * The process that first allocates with a key becomes the expert: the windows are
 * mapped there. The other processes that hold the key are hosts: they may terminate,
 * reclaim, and read statistics and progress, also after the expert's death, but
 * memory calls with that key answer NMERR_INVALID_EXPERT_HANDLE. A fork of the
 * expert itself does not inherit its memory; every key in use is closed in it.
 *
 * All calls may be made from any thread. They return EXPERTMEM_OK (0) or one of
 * enum expertmem_error (below zero), never abort, and never print. None but
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
	EXPERTMEM_E_INVALID	= -1,	/* an argument is not allowed */
	EXPERTMEM_E_KEY		= -2,	/* the key is not of an open expert */
	EXPERTMEM_E_NOMEM	= -3,	/* out of memory or of addresses */
	EXPERTMEM_E_NO_MODULE	= -4,	/* there is no /dev/expertmem */
	EXPERTMEM_E_ACCESS	= -5,	/* /dev/expertmem may not be opened */
	EXPERTMEM_E_ABI		= -6,	/* the module is too old for the library */
	EXPERTMEM_E_NO_DEVICE	= -7,	/* that is no expertmem device */
	EXPERTMEM_E_TOO_MANY	= -8,	/* too many experts, or descriptors */
	EXPERTMEM_E_PERM	= -9,	/* UNSWAPPABLE needs CAP_IPC_LOCK */
	EXPERTMEM_E_UNSUPPORTED	= -10,	/* the backend cannot do that */
	EXPERTMEM_E_BUSY	= -11,	/* the expert is in use already */
	EXPERTMEM_E_RECLAIMED	= -12,	/* the expert was reclaimed */
	EXPERTMEM_E_LIMIT	= -13,	/* a limit above the default needs CAP_NET_ADMIN */
	EXPERTMEM_E_KERNEL	= -14	/* pages not of 4 KiB, or longer addresses */
};

enum expertmem_backend {
	/* EXPERTMEM_BACKEND=device|anon if set, else DEVICE if there, else ANON */
	EXPERTMEM_BACKEND_AUTO,
	/* the kernel module: memory is back whatever happens to the expert */
	EXPERTMEM_BACKEND_DEVICE,
	/* private memory of the process: for development, no module needed */
	EXPERTMEM_BACKEND_ANON
};

/* No huge pages: for experts that must stay small. */
#define EXPERTMEM_NO_HUGE	(1U << 0)
/* Pages never go to swap; DEVICE only. */
#define EXPERTMEM_UNSWAPPABLE	(1U << 1)
/* Memory exists when a call returns it: running out is an error, not a signal. */
#define EXPERTMEM_POPULATE	(1U << 2)

/*
 * As a limit: the default_limit of the module. It is what the module gives an expert whose
 * host sets no limit, and the most that a host without CAP_NET_ADMIN may ask for. ANON has
 * no default limit: there it means none.
 */
#define EXPERTMEM_LIMIT_DEFAULT	UINT64_MAX

/**
 * struct expertmem_options - how to open an expert
 * @name: shown to operators; at most 31 bytes of UTF-8 without control characters; NULL:
 *	the name of the program, as much of it as may be one
 * @limit: most bytes that its memory may take, with the heap's own; 0: none;
 *	EXPERTMEM_LIMIT_DEFAULT: the module's default
 * @flags: EXPERTMEM_NO_HUGE, EXPERTMEM_UNSWAPPABLE, EXPERTMEM_POPULATE
 * @backend: where memory comes from
 * @startup: what ExpertGetStartupInfo() returns; copied; NULL: zeros
 * @reserved: zero
 *
 * A member that is zero asks for nothing special. Only @limit does: no limit, which a module
 * that has a default_limit gives to CAP_NET_ADMIN alone.
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
 * struct expertmem_heap_stats - what an expert holds
 * @id: the kernel's number of the expert; 0 for ANON
 * @backend: DEVICE or ANON
 * @terminating: termination was asked for
 * @reclaimed_now: the memory is gone: it was reclaimed or, for DEVICE, the expert's
 *	process has ended
 * @live_blocks: blocks not yet freed; stays what it was when the expert ended
 * @live_bytes: bytes asked for in these blocks
 * @peak_blocks: the most that @live_bytes has been
 * @limit: bytes, 0: none
 * @committed: bytes in regions, blocks and heap data, counted against the limit
 * @resident: bytes in memory; for ANON the same as @committed
 * @peak: the most that @committed and @pinned together have been
 * @reclaimed_bytes: bytes in regions that the kernel took back; 0 for ANON
 * @pinned: bytes of freed pages that a pipe, a socket or a device still holds, counted
 *	against the limit as well; 0 for ANON
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
 * @calls: how many calls there have been; 0: the rest is zero
 * @status: EXPERTSTATUS_*
 * @sub_status: as given
 * @percent: 0 to 99; values above leave it as it was
 * @text: as given, cut to 255 bytes; never NULL
 */
struct expertmem_progress {
	uint64_t calls;
	EXPERTSTATUSENUMERATION status;
	DWORD sub_status;
	LONG percent;
	char text[256];
};

/**
 * expertmem_open() - make an expert
 * @options: NULL: zeros, and EXPERTMEM_LIMIT_DEFAULT for the limit
 * @key: receives the key; unchanged on error
 *
 * AUTO falls back to ANON only where there is no device (E_NO_MODULE). A device that
 * may not be opened, or is too old, is an error, so that nobody loses the kernel's
 * promise unawares. At most 4,096 experts are open in one process.
 *
 * Return: EXPERTMEM_OK, E_INVALID (name, flags, reserved, backend, or an unknown word in
 * EXPERTMEM_BACKEND or EXPERTMEM_DEBUG in the environment), E_NO_MODULE, E_ACCESS, E_ABI, E_NO_DEVICE,
 * E_TOO_MANY, E_PERM, E_LIMIT, E_NOMEM, E_KERNEL, E_UNSUPPORTED (UNSWAPPABLE on ANON).
 */
int expertmem_open(const struct expertmem_options *options, HEXPERTKEY *key);

/**
 * expertmem_adopt() - take over an expert whose descriptor was received
 * @fd: a descriptor of /dev/expertmem, inherited through exec or received over a
 *	socket; the library owns it on success
 * @key: receives the key; unchanged on error
 *
 * Name, limit and flags are what its host configured. Progress and counts of blocks
 * are not seen by that host.
 *
 * Return: EXPERTMEM_OK, E_INVALID (also for an unknown word in EXPERTMEM_DEBUG),
 * E_NO_DEVICE, E_ACCESS (it is not open for reading and writing), E_ABI, E_TOO_MANY,
 * E_NOMEM, E_KERNEL, E_RECLAIMED.
 */
int expertmem_adopt(int fd, HEXPERTKEY *key);

/**
 * expertmem_close() - end an expert; in the expert's process all its memory goes
 * @key: the key; never valid again
 *
 * Return: EXPERTMEM_OK, E_KEY.
 */
int expertmem_close(HEXPERTKEY key);

/**
 * expertmem_fd() - the expert's descriptor of /dev/expertmem
 * @key: the key
 *
 * Close-on-exec, owned by the library.
 *
 * Return: the descriptor, E_KEY, or E_UNSUPPORTED for ANON.
 */
int expertmem_fd(HEXPERTKEY key);

/**
 * expertmem_terminate() - ask an expert to stop
 * @key: the key
 *
 * From now on its calls say NMERR_EXPERT_TERMINATE.
 *
 * Return: EXPERTMEM_OK, E_KEY.
 */
int expertmem_terminate(HEXPERTKEY key);

/**
 * expertmem_reclaim() - take an expert's memory back, whatever it is doing
 * @key: the key
 * @bytes: receives the bytes that were in regions; may be NULL
 *
 * The expert's next touch of a block faults; its next call says
 * NMERR_EXPERT_TERMINATE. With ANON only the expert's own process can do this.
 *
 * Return: EXPERTMEM_OK, E_KEY, E_UNSUPPORTED, E_NOMEM (ANON: the process has too many
 * mappings; nothing has changed).
 */
int expertmem_reclaim(HEXPERTKEY key, uint64_t *bytes);

/**
 * expertmem_heap_stats() - what an expert holds
 * @key: the key
 * @stats: receives the numbers
 *
 * Return: EXPERTMEM_OK, E_KEY, E_INVALID (@stats is NULL).
 */
int expertmem_heap_stats(HEXPERTKEY key, struct expertmem_heap_stats *stats);

/**
 * expertmem_progress() - the last ExpertIndicateStatus() of an expert
 * @key: the key
 * @progress: receives it
 *
 * Works across fork(): the host reads what its child said.
 *
 * Return: EXPERTMEM_OK, E_KEY, E_INVALID (@progress is NULL).
 */
int expertmem_progress(HEXPERTKEY key, struct expertmem_progress *progress);

/**
 * expertmem_walk() - visit every live block
 * @key: the key, in the expert's own process
 * @visit: called with each block's address and size asked for; a result other
 *	than 0 ends the walk. It must make no call of this library. The expert's other
 *	threads wait meanwhile.
 * @arg: passed on
 *
 * Return: what @visit returned last (0 if never called), or E_KEY, E_INVALID.
 */
int expertmem_walk(HEXPERTKEY key, int (*visit)(void *block, size_t size, void *arg),
		   void *arg);

/**
 * expertmem_trim() - give memory back that no block needs
 * @key: the key, in the expert's own process
 * @bytes: receives by how much the committed and pinned bytes shrank; may be NULL
 *
 * Also takes in what other threads, and threads that have ended, kept for their next
 * blocks. The threads of the expert wait meanwhile. Without this call, memory that
 * stays unused is given back a second or two after the last block in it was freed (not
 * where the expert is the heap of a whole program: there no thread is started for that).
 *
 * Return: EXPERTMEM_OK, E_KEY.
 */
int expertmem_trim(HEXPERTKEY key, uint64_t *bytes);

enum expertmem_finding_kind {
	/* a call was given what is no live block of the expert; @error says what it answered */
	EXPERTMEM_BAD_FREE,
	EXPERTMEM_BAD_REALLOC,
	EXPERTMEM_BAD_SIZE,
	/* EXPERTMEM_DEBUG=canary: bytes behind a block that is freed or resized were changed */
	EXPERTMEM_OVERRUN,
	/* EXPERTMEM_DEBUG=sites: at close, blocks allocated at @site were still live */
	EXPERTMEM_LEAK
};

/**
 * struct expertmem_finding - what the library has found wrong with the use of memory
 * @key: the expert's
 * @kind: what it is; more may come
 * @error: NMERR_INVALID_PARAMETER, NMERR_ACCESS_DENIED; for the last two kinds
 *	NMERR_SUCCESS
 * @pointer: what was given, or the block; NULL for LEAK
 * @size: of the block that was overrun; of all blocks that leaked from @site
 * @blocks: how many leaked from @site; else 0
 * @site: with EXPERTMEM_DEBUG=sites, the return address of the call that allocated
 *	the block; else NULL
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
 * expertmem_listen() - hear of every finding about an expert
 * @key: the key
 * @listener: called in the thread whose call found it, with no lock held, before that
 *	call returns; it may log, count or abort, and may call memory calls. NULL:
 *	nobody listens
 * @arg: passed on
 *
 * One listener per expert; a second one replaces the first. A thread that finds
 * something while that happens tells one of the two, but never one with the other's
 * @arg.
 *
 * Return: EXPERTMEM_OK, E_KEY.
 */
int expertmem_listen(HEXPERTKEY key, expertmem_listener listener, void *arg);

/**
 * expertmem_strerror() - an error in words, with its remedy
 * @error: what a call of this header returned
 *
 * Return: a constant string, never NULL.
 */
const char *expertmem_strerror(int error);

#ifdef __cplusplus
}
#endif

#endif /* EXPERTMEM_H */
