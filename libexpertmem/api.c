// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The calls of Netmon.h. Each finds the expert of its key, looks whether it was asked to
 * terminate, and leaves the rest to the heap.
 */
#include <string.h>

#include <linux/expertmem.h>

#include "internal.h"

static void *fail(LPDWORD error, DWORD code)
{
	if (error)
		*error = code;
	return NULL;
}

/* The expert of this key, locked, unless it lives in another process. */
static struct em_expert *enter(HEXPERTKEY key)
{
	struct em_expert *expert = em_lock(key);

	if (!expert || expert->attached ||
	    !__atomic_load_n(&expert->control->owner, __ATOMIC_RELAXED))
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
	default:
		return no_memory(expert);
	}
}

/* What is wrong with @p, which was no live block of the expert when that looked? */
static DWORD bad_pointer(const struct em_expert *expert, const void *p)
{
	struct em_expert *owner = em_lock_owner_of(p);
	bool live;
	size_t size;

	if (!owner)
		return NMERR_INVALID_PARAMETER;
	live = owner != expert && !(em_status(owner) & EXPERTMEM_STATUS_RECLAIMED) &&
	       em_heap_size(owner, p, &size);
	em_unlock(owner);
	return live ? NMERR_ACCESS_DENIED : NMERR_INVALID_PARAMETER;
}

LPVOID WINAPI ExpertAllocMemory(HEXPERTKEY hExpertKey, SIZE_T nBytes, LPDWORD pError)
{
	struct em_expert *expert = enter(hExpertKey);
	DWORD error;
	void *block = NULL;

	if (!expert)
		return fail(pError, NMERR_INVALID_EXPERT_HANDLE);
	error = check(expert);
	if (!error) {
		block = em_heap_alloc(expert, nBytes);
		if (!block)
			error = no_memory(expert);
	}
	em_unlock(expert);
	fail(pError, error);
	return block;
}

LPVOID WINAPI ExpertReallocMemory(HEXPERTKEY hExpertKey, LPVOID pOriginalMemory, SIZE_T nBytes,
				  LPDWORD pError)
{
	struct em_expert *expert;
	bool bad = false;
	void *block = NULL;
	DWORD error;

	if (!pOriginalMemory)
		return ExpertAllocMemory(hExpertKey, nBytes, pError);
	expert = enter(hExpertKey);
	if (!expert)
		return fail(pError, NMERR_INVALID_EXPERT_HANDLE);
	error = check(expert);
	if (!error) {
		block = em_heap_realloc(expert, pOriginalMemory, nBytes, &bad);
		if (!block)
			error = no_memory(expert);
	}
	em_unlock(expert);
	if (bad)
		error = bad_pointer(expert, pOriginalMemory);
	fail(pError, error);
	return block;
}

SIZE_T WINAPI ExpertFreeMemory(HEXPERTKEY hExpertKey, LPVOID pMemory)
{
	struct em_expert *expert = enter(hExpertKey);
	uint32_t status;
	bool freed;

	if (!expert)
		return NMERR_INVALID_EXPERT_HANDLE;
	status = em_status(expert);
	freed = pMemory && expert->attached && !(status & EXPERTMEM_STATUS_RECLAIMED) &&
		em_heap_free(expert, pMemory);
	em_unlock(expert);
	if (!pMemory)
		return NMERR_SUCCESS;
	if (status & EXPERTMEM_STATUS_RECLAIMED || (status && freed))
		return NMERR_EXPERT_TERMINATE;
	return freed ? NMERR_SUCCESS : bad_pointer(expert, pMemory);
}

SIZE_T WINAPI ExpertMemorySize(HEXPERTKEY hExpertKey, LPVOID pOriginalMemory)
{
	struct em_expert *expert = enter(hExpertKey);
	size_t size = 0;

	if (!expert)
		return 0;
	if (expert->attached && !(em_status(expert) & EXPERTMEM_STATUS_RECLAIMED) &&
	    !em_heap_size(expert, pOriginalMemory, &size))
		size = 0;
	em_unlock(expert);
	return size;
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
	progress = &expert->control->progress;
	sequence = &expert->control->sequence;
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
	*pExpertStartupInfo = expert->control->startup;
	error = em_status(expert) ? NMERR_EXPERT_TERMINATE : NMERR_SUCCESS;
	em_unlock(expert);
	return error;
}
