// SPDX-License-Identifier: LGPL-2.1-or-later
/* The calls of Netmon.h with the expert's lock held: each can do everything here. */
#include <string.h>

#include <linux/expertmem.h>

#include "internal.h"

/* Tell who listens that a call has answered @error to @p. Returns @error. */
SIZE_T em_report_answer(HEXPERTKEY key, enum expertmem_finding_kind kind, const void *p,
		     DWORD error)
{
	if (__atomic_load_n(&em_slot_of(key)->has_listener, __ATOMIC_RELAXED))
		em_report_finding(&(struct expertmem_finding){
			.key = key, .kind = kind, .error = error, .pointer = p,
		});
	return error;
}

/* What is wrong with @p, which was no live block of the expert of @key? */
SIZE_T em_report_bad(HEXPERTKEY key, enum expertmem_finding_kind kind, const void *p)
{
	struct em_expert *owner = em_owner_of(p);
	bool live = false;
	size_t size;

	if (owner && owner != em_slot_of(key)) {
		em_lock_slot(owner);
		live = owner->attached && em_owner_of(p) == owner &&
		       !(em_status(owner) & EXPERTMEM_STATUS_RECLAIMED) &&
		       em_heap_size(owner, p, &size);
		em_unlock(owner);
	}
	return em_report_answer(key, kind, p, live ? NMERR_ACCESS_DENIED : NMERR_INVALID_PARAMETER);
}

/* The expert of this key, locked, unless it lives in another process. */
static struct em_expert *enter(HEXPERTKEY key)
{
	struct em_expert *expert;

	em_register();
	expert = em_lock(key);
	if (!expert || expert->attached ||
	    !__atomic_load_n(&expert->shared->owner, __ATOMIC_RELAXED))
		return expert;
	em_unlock(expert);
	return NULL;
}

/* Why is there no memory? An expert that was asked to stop meanwhile hears that. */
static DWORD no_memory(const struct em_expert *expert)
{
	return em_status(expert) ? NMERR_EXPERT_TERMINATE : NMERR_OUT_OF_MEMORY;
}

/* May the expert allocate? A reclaimed one may not even look at its heap. */
static DWORD check(struct em_expert *expert)
{
	if (em_status(expert))
		return NMERR_EXPERT_TERMINATE;
	switch (em_attach(expert)) {
	case EXPERTMEM_OK:
		return NMERR_SUCCESS;
	case EXPERTMEM_E_BUSY:
		return NMERR_INVALID_EXPERT_HANDLE;
	case EXPERTMEM_E_RECLAIMED:	/* or terminated, since its status was read */
		return NMERR_EXPERT_TERMINATE;
	default:
		return no_memory(expert);
	}
}

void *em_alloc_locked(HEXPERTKEY key, size_t size, size_t alignment, const void *site,
		      LPDWORD error)
{
	struct em_expert *expert = enter(key);
	void *block = NULL;
	DWORD code;

	if (!expert)
		return em_set_error(error, NMERR_INVALID_EXPERT_HANDLE);
	code = check(expert);
	if (!code) {
		block = em_heap_alloc(expert, size, alignment, site);
		if (!block)
			code = no_memory(expert);
	}
	em_unlock(expert);
	em_set_error(error, code);
	return block;
}

/* Free a block that nobody has heard of. */
void em_drop(HEXPERTKEY key, void *block)
{
	struct em_expert *expert = em_lock(key);
	struct expertmem_finding none;

	if (!expert)
		return;
	if (!(em_status(expert) & EXPERTMEM_STATUS_RECLAIMED))
		em_heap_free(expert, block, &none);
	em_unlock(expert);
}

/* Tell what a call has found besides what it answers. */
static void tell(const struct expertmem_finding *found)
{
	if (found->key)
		em_report_finding(found);
}

void *em_realloc_locked(HEXPERTKEY key, void *p, size_t size, const void *site, LPDWORD error)
{
	struct expertmem_finding found = { 0 };
	struct em_expert *expert = enter(key);
	bool is_bad = false;
	void *block = NULL;
	DWORD code;

	if (!expert)
		return em_set_error(error, NMERR_INVALID_EXPERT_HANDLE);
	code = check(expert);
	if (!code) {
		block = em_heap_realloc(expert, p, size, site, &is_bad, &found);
		if (!block)
			code = no_memory(expert);
	}
	em_unlock(expert);
	tell(&found);
	em_set_error(error, is_bad ? em_report_bad(key, EXPERTMEM_BAD_REALLOC, p) : code);
	return block;
}

SIZE_T em_free_locked(HEXPERTKEY key, void *p)
{
	struct em_expert *expert = enter(key);
	struct expertmem_finding found = { 0 };
	uint32_t status;
	bool freed;

	if (!expert)
		return NMERR_INVALID_EXPERT_HANDLE;
	status = em_status(expert);
	freed = p && expert->attached && !(status & EXPERTMEM_STATUS_RECLAIMED) &&
		em_heap_free(expert, p, &found);
	em_unlock(expert);
	tell(&found);
	if (!p)
		return NMERR_SUCCESS;
	if (status & EXPERTMEM_STATUS_RECLAIMED || (status && freed))
		return NMERR_EXPERT_TERMINATE;
	return freed ? NMERR_SUCCESS : em_report_bad(key, EXPERTMEM_BAD_FREE, p);
}

SIZE_T em_size_locked(HEXPERTKEY key, void *p)
{
	struct em_expert *expert = enter(key);
	size_t size = 0;
	bool live;

	if (!expert)
		return 0;
	live = expert->attached && !(em_status(expert) & EXPERTMEM_STATUS_RECLAIMED) &&
	       em_heap_size(expert, p, &size);
	em_unlock(expert);
	if (live)
		return size;
	if (p)
		em_report_bad(key, EXPERTMEM_BAD_SIZE, p);
	return 0;
}

DWORD WINAPI ExpertIndicateStatus(HEXPERTKEY hExpertKey, EXPERTSTATUSENUMERATION Status,
				  DWORD SubStatus, const char *szText, LONG PercentDone)
{
	struct em_expert *expert = em_lock(hExpertKey);
	struct expertmem_progress *progress;
	uint64_t *sequence;
	DWORD error;

	if (!expert)
		return NMERR_INVALID_EXPERT_HANDLE;
	progress = &expert->shared->progress;
	sequence = &expert->shared->sequence;
	__atomic_store_n(sequence, *sequence | 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	progress->calls++;
	progress->status = Status;
	progress->sub_status = SubStatus;
	if (PercentDone >= 0 && PercentDone <= 99)
		progress->percent = PercentDone;
	strncpy(progress->text, szText ? szText : "", sizeof(progress->text) - 1);
	__atomic_store_n(sequence, *sequence + 1, __ATOMIC_RELEASE);
	error = em_status(expert) ? NMERR_EXPERT_TERMINATE : NMERR_SUCCESS;
	em_unlock(expert);
	return error;
}

DWORD WINAPI ExpertGetStartupInfo(HEXPERTKEY hExpertKey, PEXPERTSTARTUPINFO pExpertStartupInfo)
{
	struct em_expert *expert;
	DWORD error;

	if (!pExpertStartupInfo)
		return NMERR_INVALID_PARAMETER;
	expert = em_lock(hExpertKey);
	if (!expert)
		return NMERR_INVALID_EXPERT_HANDLE;
	*pExpertStartupInfo = expert->shared->startup;
	error = em_status(expert) ? NMERR_EXPERT_TERMINATE : NMERR_SUCCESS;
	em_unlock(expert);
	return error;
}
