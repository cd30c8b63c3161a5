// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The calls of expertmem.h, apart from expertmem_walk(), expertmem_listen() and
 * expertmem_strerror().
 */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/expertmem.h>

#include "internal.h"
#include "text.h"

#define NAME_SIZE sizeof(((struct expertmem_config *)0)->name)

/* Count another expert of this slot. */
static void new_generation(struct em_expert *expert)
{
	do
		em_store_release(&expert->generation, expert->generation + 1);
	while (em_is_word((uintptr_t)em_key_of(expert)));
}

/* Does EXPERTMEM_NO_HUGE forbid huge pages? Empty and "0" are as if it was not set. */
static bool without_huge(void)
{
	const char *text = secure_getenv("EXPERTMEM_NO_HUGE");

	return text && *text && strcmp(text, "0") != 0;
}

/* Open an expert in a free slot. @fd: descriptor to adopt, or -1. Returns enum expertmem_error. */
static int open_slot(const struct expertmem_options *options,
		     const struct em_backend *backend, int fd, HEXPERTKEY *key)
{
	struct em_shared *shared;
	struct em_expert *expert;
	struct em_table counts;
	unsigned int debug;
	int error;

	if (!em_debug_parse(&debug))
		return EXPERTMEM_E_INVALID;
	if (!em_kernel_suits())
		return EXPERTMEM_E_KERNEL;
	error = em_slot_get(&expert);
	if (error)
		return error;
	shared = em_shared_get(&counts);
	if (!shared) {
		em_slot_put(expert);
		return EXPERTMEM_E_NOMEM;
	}
	if (options->startup)
		shared->startup = *options->startup;

	em_lock_slot(expert);
	expert->base = NULL;
	expert->span = 0;
	expert->slabs = NULL;
	memset(&expert->opened, 0, sizeof(expert->opened));
	new_generation(expert);
	expert->status = &em_closed;
	expert->counts = counts;
	expert->backend = backend;
	expert->flags = options->flags | (without_huge() ? EXPERTMEM_NO_HUGE : 0);
	expert->inherit_on_fork = em_preloaded;
	expert->classes = em_classes_of_api;
	expert->debug = debug;
	expert->has_listener = debug & EM_DEBUG_LISTENS;
	expert->shared = shared;
	error = backend->open(expert, options, fd);
	if (error)
		expert->status = &em_closed;
	else
		*key = expert->key = em_key_of(expert);
	em_unlock(expert);

	if (error) {
		em_shared_put(&counts);
		em_slot_put(expert);
	}
	return error;
}

/*
 * If @backend is AUTO, set it from EXPERTMEM_BACKEND. False: the variable or @backend has an
 * unknown value.
 */
bool em_choose_backend(enum expertmem_backend *backend)
{
	const char *name = secure_getenv("EXPERTMEM_BACKEND");

	if (*backend == EXPERTMEM_BACKEND_AUTO && name && *name) {
		if (!strcmp(name, "device"))
			*backend = EXPERTMEM_BACKEND_DEVICE;
		else if (!strcmp(name, "anon"))
			*backend = EXPERTMEM_BACKEND_ANON;
		else
			return strcmp(name, "auto") == 0;
	}
	return *backend >= EXPERTMEM_BACKEND_AUTO && *backend <= EXPERTMEM_BACKEND_ANON;
}

/* Does the module accept the name: up to 31 bytes of UTF-8 without control characters? */
bool em_is_name(const char *name)
{
	const unsigned char *c = (const unsigned char *)name;
	int length = 1;

	while (length && *c) {
		length = em_plain_length(c);
		c += length;
	}
	return !*c && (size_t)(c - (const unsigned char *)name) < NAME_SIZE;
}

static bool options_are_valid(const struct expertmem_options *options)
{
	size_t i;

	for (i = 0; i < sizeof(options->reserved) / sizeof(options->reserved[0]); i++)
		if (options->reserved[i])
			return false;
	return em_is_name(options->name) &&
	       !(options->flags & ~(EXPERTMEM_NO_HUGE | EXPERTMEM_UNSWAPPABLE |
				    EXPERTMEM_POPULATE));
}

int expertmem_open(const struct expertmem_options *options, HEXPERTKEY *key)
{
	struct expertmem_options chosen = { .limit = EXPERTMEM_LIMIT_DEFAULT };
	char name[NAME_SIZE] = "";
	int error = EXPERTMEM_E_NO_MODULE;

	if (options)
		chosen = *options;
	if (!chosen.name) {
		strncpy(name, program_invocation_short_name, sizeof(name) - 1);
		/*
		 * The file name may have bytes that are not allowed, or be cut inside of a
		 * character.
		 */
		for (size_t i = strlen(name); !em_is_name(name); i--)
			name[i] = '\0';
		chosen.name = name;
	}
	if (!key || !options_are_valid(&chosen) || !em_choose_backend(&chosen.backend))
		return EXPERTMEM_E_INVALID;

	if (chosen.backend != EXPERTMEM_BACKEND_ANON)
		error = open_slot(&chosen, &em_device, -1, key);
	if (chosen.backend == EXPERTMEM_BACKEND_ANON ||
	    (chosen.backend == EXPERTMEM_BACKEND_AUTO && error == EXPERTMEM_E_NO_MODULE))
		error = open_slot(&chosen, &em_anon, -1, key);
	return error;
}

int expertmem_adopt(int fd, HEXPERTKEY *key)
{
	static const struct expertmem_options none;

	if (fd < 0 || !key)
		return EXPERTMEM_E_INVALID;
	return open_slot(&none, &em_device, fd, key);
}

/* Close the capture and the events of an expert whose key is invalid. The lock is held. */
static void close_parts(struct em_expert *expert)
{
	for (int i = 0; i < EM_PARTS; i++) {
		if (!expert->parts[i])
			continue;
		/* A call that uses the part may wait for the expert's lock. */
		em_unlock(expert);
		expert->parts[i]->close(expert);
		em_lock_slot(expert);
	}
}

int expertmem_close(HEXPERTKEY key)
{
	struct em_expert *expert;

	em_register();
	em_debug_leaks(key, false);
	expert = em_lock(key);
	while (expert && expert->refs) {
		em_unlock(expert);
		sched_yield();
		expert = em_lock(key);
	}
	if (!expert)
		return EXPERTMEM_E_KEY;
	/* From here on em_lock() does not find the key, also while em_pause() releases the lock. */
	expert->key = 0;
	if (expert->attached)
		em_set_owner(expert, false);
	close_parts(expert);
	em_pause(expert);
	if (expert->attached && !(em_status(expert) & EXPERTMEM_STATUS_RECLAIMED)) {
		em_heap_check(expert);
		em_debug_on_close(expert);
	}
	em_teardown(expert);
	em_unlock(expert);
	em_slot_put(expert);
	return EXPERTMEM_OK;
}

int expertmem_fd(HEXPERTKEY key)
{
	struct em_expert *expert = em_lock(key);
	int fd;

	if (!expert)
		return EXPERTMEM_E_KEY;
	fd = expert->backend->id == EXPERTMEM_BACKEND_DEVICE ? expert->fd :
							     EXPERTMEM_E_UNSUPPORTED;
	em_unlock(expert);
	return fd;
}

int expertmem_terminate(HEXPERTKEY key)
{
	struct em_expert *expert = em_lock(key);

	if (!expert)
		return EXPERTMEM_E_KEY;
	expert->backend->terminate(expert);
	em_unlock(expert);
	return EXPERTMEM_OK;
}

int expertmem_reclaim(HEXPERTKEY key, uint64_t *bytes)
{
	struct em_expert *expert = em_lock(key);
	uint64_t given = 0;
	int error;

	if (!expert)
		return EXPERTMEM_E_KEY;
	/* Pause, so that no section touches pages that are reclaimed. */
	em_pause(expert);
	error = expert->backend->reclaim(expert, &given);
	em_unpause(expert);
	em_unlock(expert);
	if (bytes && !error)
		*bytes = given;
	return error;
}

/* Sum the counts. Threads count meanwhile, so the sums may be off, and even negative: then 0. */
static void sum_counts(struct em_shared *shared, struct expertmem_heap_stats *stats)
{
	uint32_t n = em_read_once(&shared->nr_counts), i;
	unsigned int threads;
	int64_t blocks = 0, bytes = em_live_bytes(shared, &threads);

	for (i = 0; i < n && i < EM_THREADS; i++)
		blocks += em_read_once(&shared->counts[i].blocks);
	blocks -= em_read_once(&shared->own_blocks);
	bytes -= em_read_once(&shared->own_bytes);
	stats->live_blocks = blocks > 0 ? blocks : 0;
	stats->live_bytes = bytes > 0 ? bytes : 0;
	stats->peak_blocks = em_read_once(&shared->peak_blocks);
	if (stats->peak_blocks < stats->live_bytes)
		stats->peak_blocks = stats->live_bytes;
}

int expertmem_heap_stats(HEXPERTKEY key, struct expertmem_heap_stats *stats)
{
	struct em_expert *expert;
	uint32_t status;

	if (!stats)
		return EXPERTMEM_E_INVALID;
	expert = em_lock(key);
	if (!expert)
		return EXPERTMEM_E_KEY;
	status = em_status(expert);
	*stats = (struct expertmem_heap_stats){
		.backend	= expert->backend->id,
		.terminating	= !!(status & EXPERTMEM_STATUS_TERMINATE),
		.reclaimed_now	= !!(status & EXPERTMEM_STATUS_RECLAIMED),
	};
	sum_counts(expert->shared, stats);
	expert->backend->stats(expert, stats);
	em_unlock(expert);
	return EXPERTMEM_OK;
}

/* Reads by a seqlock. If the writer died in the middle of a write, the result is torn. */
int expertmem_progress(HEXPERTKEY key, struct expertmem_progress *progress)
{
	struct em_expert *expert;
	uint64_t before, after;
	int tries = 1000;

	if (!progress)
		return EXPERTMEM_E_INVALID;
	expert = em_lock(key);
	if (!expert)
		return EXPERTMEM_E_KEY;
	do {
		before = em_load_acquire(&expert->shared->sequence);
		*progress = expert->shared->progress;
		em_acquire_fence();
		after = em_read_once(&expert->shared->sequence);
	} while ((before != after || before % 2) && --tries);
	progress->text[sizeof(progress->text) - 1] = '\0';
	em_unlock(expert);
	return EXPERTMEM_OK;
}

int expertmem_trim(HEXPERTKEY key, uint64_t *bytes)
{
	struct expertmem_heap_stats before = { 0 }, after = { 0 };
	struct em_expert *expert;

	em_register();
	expert = em_lock(key);
	if (!expert)
		return EXPERTMEM_E_KEY;
	if (expert->attached && !(em_status(expert) & EXPERTMEM_STATUS_RECLAIMED)) {
		expert->backend->stats(expert, &before);
		em_heap_trim(expert);
		expert->backend->stats(expert, &after);
	}
	em_unlock(expert);
	/* Pages that were freed but are pinned have not been given back. */
	before.committed += before.pinned;
	after.committed += after.pinned;
	if (bytes)
		*bytes = before.committed > after.committed ?
			 before.committed - after.committed : 0;
	return EXPERTMEM_OK;
}

__attribute__((constructor)) static void init(void)
{
	em_fork_init();
}
