// SPDX-License-Identifier: LGPL-2.1-or-later
/* An expert's connection to its engine, and the handles of its objects; see capture.h. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "capture.h"
#include "raw.h"

#define INDEX	(EM_MAX_EXPERTS - 1)	/* the bits of a key that are the index of its slot */

/* By the slot of the expert. NULL: no expert of that slot had a capture so far. Never freed. */
static struct em_client *clients[EM_MAX_EXPERTS];
static pthread_mutex_t clients_lock = PTHREAD_MUTEX_INITIALIZER;

__thread struct em_client *em_current_client;
static __thread DWORD last_error __attribute__((tls_model("initial-exec")));

/* ---------------------------------------------------------- memory of the library itself */

static void count(HEXPERTKEY key, int64_t blocks, int64_t bytes)
{
	struct em_shared *shared = em_slot_of(key)->shared;

	em_fetch_add_relaxed(&shared->own_blocks, blocks);
	em_fetch_add_relaxed(&shared->own_bytes, bytes);
}

/* Errors: as ExpertAllocMemory() */
void *em_own_alloc(HEXPERTKEY key, size_t size, DWORD *error)
{
	void *p = em_alloc(key, size, 1, false, em_own_site, error);

	if (p)
		count(key, 1, (int64_t)size);
	return p;
}

void em_own_free(HEXPERTKEY key, void *p)
{
	if (!p)
		return;
	count(key, -1, -(int64_t)ExpertMemorySize(key, p));
	ExpertFreeMemory(key, p);
}

/* -------------------------------------------------------------------- finding clients */

struct em_client *em_client_of(uint64_t handle, enum em_handle kind, uint32_t *number)
{
	uint64_t key_bits = handle >> 32 & EM_HANDLE_KEY;
	struct em_client *client = em_load_acquire(&clients[key_bits & INDEX]);
	uintptr_t key;

	if (!client || handle >> 60 != kind)
		return NULL;
	key = (uintptr_t)em_load_acquire(&client->key);
	if (!key || (key & EM_HANDLE_KEY) != key_bits)
		return NULL;
	*number = (uint32_t)handle;
	em_current_client = client;
	return client;
}

struct em_client *em_client_of_key(HEXPERTKEY key, DWORD *error)
{
	struct em_expert *expert = em_slot_of(key);
	struct em_client *client = em_load_acquire(&clients[(uintptr_t)key & INDEX]);

	*error = NMERR_SUCCESS;
	if (!key || em_read_once(&expert->key) != key)
		*error = NMERR_INVALID_EXPERT_HANDLE;
	else if (!client || em_load_acquire(&client->key) != key)
		*error = NMERR_INVALID_HCAPTURE;
	else
		em_current_client = client;
	return *error ? NULL : client;
}

struct em_client *em_client_current(void)
{
	struct em_client *client = em_current_client;
	int i;

	if (client && em_load_acquire(&client->key))
		return client;
	for (i = 0; i < EM_MAX_EXPERTS; i++) {
		client = em_load_acquire(&clients[i]);
		if (client && em_load_acquire(&client->key))
			return client;
	}
	return NULL;
}

void em_set_last_error(DWORD error)
{
	last_error = error;
}

void *em_fail_null(DWORD error)
{
	last_error = error;
	return NULL;
}

/**
 * BhGetLastError() - see Netmon.h
 */
DWORD WINAPI BhGetLastError(void)
{
	return last_error;
}

DWORD WINAPI BhSetLastError(DWORD Error)
{
	DWORD before = last_error;

	last_error = Error;
	return before;
}

/* ------------------------------------------------------------------- making and closing */

void em_client_free(struct em_client *client)
{
	if (client->frames_size)
		munmap((void *)client->frames, client->frames_size);
	if (client->nr_frames)
		munmap((void *)client->index, client->nr_frames * sizeof(*client->index));
	if (client->results)
		munmap((void *)client->results, ENGINE_RESULTS);
	if (client->search.found)
		munmap(client->search.found, EM_SEARCH_MAX * sizeof(*client->search.found));
	if (client->copy)
		munmap(client->copy, EM_COPY_SIZE);
	if (client->fd >= 0)
		em_raw(SYS_close, client->fd, 0, 0);
	client->fd = -1;
}

/* The client of a slot, which may be new; NULL: no memory. */
static struct em_client *client_of_slot(size_t i)
{
	struct em_client *client;

	pthread_mutex_lock(&clients_lock);
	client = clients[i];
	if (!client) {
		client = em_map(sizeof(*client), MAP_PRIVATE);
		if (client) {
			pthread_mutex_init(&client->lock, NULL);
			client->fd = -1;
			em_store_release(&clients[i], client);
		}
	}
	pthread_mutex_unlock(&clients_lock);
	return client;
}

/* Copy all but the key and the lock. */
static void copy(struct em_client *to, const struct em_client *from)
{
	const size_t before = offsetof(struct em_client, flags);
	const size_t lock = offsetof(struct em_client, lock);
	const size_t behind = offsetof(struct em_client, closing);

	memcpy((char *)to + before, (const char *)from + before, lock - before);
	memcpy((char *)to + behind, (const char *)from + behind, sizeof(*to) - behind);
}

static void client_release(struct em_expert *expert)
{
	struct em_client none = { .fd = -1 };
	struct em_client *client = expert->client;

	expert->parts[EM_PART_CLIENT] = NULL;
	em_store_release(&expert->client, NULL);
	em_store_release(&client->key, 0);
	em_client_free(client);
	copy(client, &none);
}

/* Requests that wait return soon; later calls find that the client is closed. */
static void client_close(struct em_expert *expert)
{
	struct em_client *client = expert->client;

	em_write_once(&client->closing, true);
	pthread_mutex_lock(&client->lock);
	em_store_release(&client->key, 0);
	pthread_mutex_unlock(&client->lock);
}

/*
 * A child of the process that made the client may be the expert. A child of the expert is not: it
 * closes its copy of the socket, because the engine runs until all copies are closed.
 */
static void client_after_fork(struct em_expert *expert)
{
	/* A thread of the parent may hold the lock; it is not in the child. */
	pthread_mutex_init(&expert->client->lock, NULL);
	if (++expert->client->forks > 1)
		client_release(expert);
}

static const struct em_part client_part = {
	.close		= client_close,
	.release	= client_release,
	.after_fork	= client_after_fork,
};

/*
 * Enter the client into the expert and its start-up information. The locks of the client and of the
 * expert are held.
 */
static void publish(struct em_expert *expert, struct em_client *client, const char *path)
{
	EXPERTSTARTUPINFO *startup = &expert->shared->startup;

	em_store_release(&client->key, expert->key);
	startup->hCapture = (HCAPTURE)em_handle(client, EM_HANDLE_CAPTURE, 0);
	if (!startup->szCaptureFile[0] && strlen(path) < sizeof(startup->szCaptureFile))
		strcpy(startup->szCaptureFile, path);
	expert->parts[EM_PART_CLIENT] = &client_part;
	em_store_release(&expert->client, client);
}

int em_client_give(HEXPERTKEY key, const struct em_client *made, const char *path)
{
	struct em_client *client = client_of_slot((uintptr_t)key & INDEX);
	struct em_expert *expert;
	int error = EXPERTMEM_OK;

	if (!client)
		return EXPERTMEM_E_NOMEM;
	pthread_mutex_lock(&client->lock);
	expert = em_lock(key);
	if (!expert) {
		error = EXPERTMEM_E_KEY;
	} else if (expert->client) {
		error = EXPERTMEM_E_BUSY;
	} else {
		copy(client, made);
		publish(expert, client, path);
	}
	if (expert)
		em_unlock(expert);
	pthread_mutex_unlock(&client->lock);
	return error;
}

/* --------------------------------------------------------------------------- requests */

DWORD em_client_lose(struct em_client *client)
{
	if (client->fd >= 0)
		em_raw(SYS_close, client->fd, 0, 0);
	client->fd = -1;
	client->search.step = 0;
	return NMERR_LOST_CONNECTION;
}

/* May a reply have this code? See struct engine_reply. */
static bool is_answer(uint32_t error)
{
	switch (error) {
	case NMERR_SUCCESS:
	case NMERR_FILTER_INVALID_EXPRESSION:
	case NMERR_PROTOCOL_NOT_FOUND:
	case NMERR_PROPERTY_NOT_FOUND:
	case NMERR_FRAME_NOT_FOUND:
	case NMERR_INVALID_HFILTER:
	case NMERR_NOT_SUPPORTED:
	case NMERR_OUT_OF_MEMORY:
		return true;
	default:
		return false;
	}
}

/* Was the expert asked to stop, or does expertmem_close() wait for this call? */
static bool must_stop(const struct em_client *client)
{
	return em_status(em_slot_of(client->key)) || em_read_once(&client->closing);
}

/*
 * Look at the result @done of a send() or recv() that transferred nothing, and at errno.
 * NMERR_SUCCESS: the socket's time-out has passed, or a signal came; try again.
 */
static DWORD check(struct em_client *client, ssize_t done)
{
	if (must_stop(client))
		return NMERR_EXPERT_TERMINATE;
	if (!done || (errno != EAGAIN && errno != EINTR))
		return em_client_lose(client);
	return NMERR_SUCCESS;
}

static DWORD send_request(struct em_client *client, const struct engine_request *request)
{
	size_t size = offsetof(struct engine_request, text) + request->length;
	DWORD error = NMERR_SUCCESS;
	ssize_t sent = -1;

	while (!error && sent < 0) {
		sent = send(client->fd, request, size, MSG_NOSIGNAL);
		if (sent < 0)
			error = check(client, sent);
	}
	return error;
}

/*
 * Receive the reply to @request. Replies to earlier requests, whose calls did not wait for them,
 * come before it and are skipped: their sequence numbers are lower.
 */
static DWORD receive_reply(struct em_client *client, const struct engine_request *request,
			   struct engine_reply *reply)
{
	DWORD error;
	ssize_t got;

	for (;;) {
		got = recv(client->fd, reply, sizeof(*reply), MSG_TRUNC);
		if (got <= 0) {
			error = check(client, got);
			if (error)
				return error;
			continue;
		}
		if (got != sizeof(*reply))
			return em_client_lose(client);
		if (reply->sequence == request->sequence)
			break;
		if ((int32_t)(reply->sequence - request->sequence) > 0)
			return em_client_lose(client);
		/* An engine that floods the socket with old replies never lets recv() time out. */
		if (must_stop(client))
			return NMERR_EXPERT_TERMINATE;
	}
	reply->text[sizeof(reply->text) - 1] = '\0';
	if (reply->op != request->op || !is_answer(reply->error) || reply->size > ENGINE_RESULTS)
		return em_client_lose(client);
	return reply->error;
}

DWORD em_request(struct em_client *client, struct engine_request *request,
		 struct engine_reply *reply)
{
	int saved = errno;
	DWORD error;

	/*
	 * check() is called only if a reply is late. A call that makes many requests, such as a
	 * search, would otherwise never see that the expert has to stop.
	 */
	if (!em_is_open(client) || must_stop(client))
		return NMERR_EXPERT_TERMINATE;
	if (client->fd < 0)
		return NMERR_LOST_CONNECTION;
	/* The engine reuses numbers of filters, so the block that was searched is out of date. */
	if (request->op == ENGINE_FILTER || request->op == ENGINE_DROP_FILTER)
		client->search.step = 0;
	request->sequence = ++client->sequence;
	error = send_request(client, request);
	if (!error)
		error = receive_reply(client, request, reply);
	errno = saved;
	return error;
}
