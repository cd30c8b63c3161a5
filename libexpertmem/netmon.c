// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The calls of Netmon.h. Each has up to three paths:
 *
 *   fast	in a section, with slabs of the calling thread; all inline
 *   section	in a section, by functions that are not inline
 *   locked	with the expert's lock held; can do everything, and is the only path if the expert
 *		was terminated or is not attached yet
 *
 * "Ends a section" says that a function is called in a section, and that the section has ended when
 * it returns.
 */
#include <string.h>

#include <linux/expertmem.h>

#include "fast.h"

/* The return address of a call of Netmon.h. */
#define CALLER		__builtin_return_address(0)

/* --------------------------------------------------------------------- bad pointers */

/*
 * Report the finding that a call with @p returned @error, if there is a listener. Returns @error.
 */
static noinline SIZE_T report_answer(HEXPERTKEY key, enum expertmem_finding_kind kind,
				     const void *p, DWORD error)
{
	if (em_read_once(&em_slot_of(key)->has_listener))
		em_report_finding(&(struct expertmem_finding){
			.key = key, .kind = kind, .error = error, .pointer = p,
		});
	return error;
}

/*
 * @p is no live block of the expert of @key: report the finding, and return the error. That is
 * NMERR_ACCESS_DENIED if @p is a live block of another expert.
 */
static noinline SIZE_T report_bad(HEXPERTKEY key, enum expertmem_finding_kind kind, const void *p)
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
	return report_answer(key, kind, p, live ? NMERR_ACCESS_DENIED : NMERR_INVALID_PARAMETER);
}

/* Ends a section: @p is no live block of the expert. Reports the finding, and returns @error. */
static inline SIZE_T end_bad(HEXPERTKEY key, enum expertmem_finding_kind kind, const void *p,
			     DWORD error)
{
	bool has_listener = em_read_once(&em_self->expert->has_listener);

	em_end(em_self);
	return unlikely(has_listener) ? report_answer(key, kind, p, error) : error;
}

/* Ends a section: @p is in no other expert's windows. */
static inline SIZE_T bad_here(HEXPERTKEY key, enum expertmem_finding_kind kind, const void *p)
{
	return end_bad(key, kind, p, NMERR_INVALID_PARAMETER);
}

/* Ends a section: @p is in the windows of another expert. */
static noinline SIZE_T bad_others(HEXPERTKEY key, enum expertmem_finding_kind kind, const void *p,
				  const struct em_expert *owner)
{
	const struct em_slab *slab;
	uint32_t offset;
	int live = -1;
	size_t size;

	/* This section keeps the other expert open, too: em_pause() waits for all sections. */
	if (em_load_acquire(&owner->gate) &&
	    !(em_status(owner) & EXPERTMEM_STATUS_RECLAIMED)) {
		slab = em_slab_at(owner, p, &offset);
		live = slab ? em_slab_size(slab, offset, &size) :
			      em_large_lookup_unlocked(&owner->heap, p, &size);
	}
	if (live >= 0)
		return end_bad(key, kind, p,
			       live ? NMERR_ACCESS_DENIED : NMERR_INVALID_PARAMETER);
	em_end(em_self);
	return report_bad(key, kind, p);
}

/* Ends a section: @p is not in the windows of this expert. */
static inline SIZE_T bad_elsewhere(HEXPERTKEY key, enum expertmem_finding_kind kind,
				   const void *p)
{
	const struct em_expert *owner = em_owner_of(p);

	return unlikely(owner) ? bad_others(key, kind, p, owner) : bad_here(key, kind, p);
}

/* ------------------------------------------------------ with the expert's lock held */

/* Lock the expert of this key. NULL: there is none, or another process is attached. */
static struct em_expert *enter(HEXPERTKEY key)
{
	struct em_expert *expert;

	em_register();
	expert = em_lock(key);
	if (!expert || expert->attached ||
	    !em_read_once(&expert->shared->owner))
		return expert;
	em_unlock(expert);
	return NULL;
}

/* Unlock the expert. If slabs were pooled since trim.c looked last, start its thread. */
static void leave(struct em_expert *expert)
{
	bool idle = em_read_once(&expert->heap.nr_put) !=
		    expert->heap.nr_seen && !em_preloaded;

	em_unlock(expert);
	if (idle)
		em_idle_start();
}

/* The error of a failed allocation: the expert may have been terminated meanwhile. */
static DWORD no_memory(const struct em_expert *expert)
{
	return em_status(expert) ? NMERR_EXPERT_TERMINATE : NMERR_OUT_OF_MEMORY;
}

/*
 * Attach the expert, if it is not. NMERR_SUCCESS: it can allocate. The heap of a reclaimed one
 * faults.
 */
static DWORD check(struct em_expert *expert)
{
	if (em_status(expert))
		return NMERR_EXPERT_TERMINATE;
	switch (em_attach(expert)) {
	case EXPERTMEM_OK:
		return NMERR_SUCCESS;
	case EXPERTMEM_E_BUSY:
		return NMERR_INVALID_EXPERT_HANDLE;
	case EXPERTMEM_E_RECLAIMED:	/* reclaimed or terminated since em_status() above */
		return NMERR_EXPERT_TERMINATE;
	default:
		return no_memory(expert);
	}
}

static noinline void *alloc_locked(HEXPERTKEY key, size_t size, size_t alignment, bool zeroed,
				   const void *site, LPDWORD error)
{
	struct em_expert *expert = enter(key);
	void *block = NULL;
	DWORD code;

	if (!expert)
		return em_set_error(error, NMERR_INVALID_EXPERT_HANDLE);
	code = check(expert);
	if (!code) {
		block = em_heap_alloc(expert, size, alignment, zeroed, site);
		if (!block)
			code = no_memory(expert);
	}
	leave(expert);
	em_set_error(error, code);
	return block;
}

/* Free a block that was not returned to the caller. */
static noinline void drop(HEXPERTKEY key, void *block)
{
	struct em_expert *expert = em_lock(key);
	struct expertmem_finding none;

	if (!expert)
		return;
	if (!(em_status(expert) & EXPERTMEM_STATUS_RECLAIMED))
		em_heap_free(expert, block, &none);
	leave(expert);
}

/* Report a finding, if @found has one. */
static void tell(const struct expertmem_finding *found)
{
	if (found->key)
		em_report_finding(found);
}

static noinline void *realloc_locked(HEXPERTKEY key, void *p, size_t size, const void *site,
				     LPDWORD error)
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
	leave(expert);
	tell(&found);
	em_set_error(error, is_bad ? report_bad(key, EXPERTMEM_BAD_REALLOC, p) : code);
	return block;
}

static noinline SIZE_T free_locked(HEXPERTKEY key, void *p)
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
	leave(expert);
	tell(&found);
	if (!p)
		return NMERR_SUCCESS;
	if (status & EXPERTMEM_STATUS_RECLAIMED || (status && freed))
		return NMERR_EXPERT_TERMINATE;
	return freed ? NMERR_SUCCESS : report_bad(key, EXPERTMEM_BAD_FREE, p);
}

static noinline SIZE_T size_locked(HEXPERTKEY key, void *p)
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
		report_bad(key, EXPERTMEM_BAD_SIZE, p);
	return 0;
}

/* ------------------------------------------------------------------------ sections */

/* Begin a section, also if the thread's record is about another expert: fill the record. */
static noinline bool begin(HEXPERTKEY key)
{
	struct em_expert *expert = em_slot_of(key);
	struct em_thread *self = em_register();
	struct em_tcache *tcache = NULL;

	if (!self || !em_is_idle(self))
		return false;
	em_enter(self);
	if (key && em_load_acquire(&expert->gate) == key &&
	    !em_status(expert))
		tcache = em_tcache_of(expert, self);
	if (!tcache) {
		em_end(self);
		return false;
	}
	if (tcache->user != self->user)
		em_tcache_inherit(tcache, self->user);
	self->key = (uintptr_t)key;
	self->tcache = tcache;
	self->count = tcache->count;
	self->base = expert->base;
	self->nr_slabs = expert->span / EM_SLAB_SIZE;
	self->slabs = expert->slabs;
	self->classes = expert->classes;
	em_write_once(&self->expert, expert);
	em_write_once(&self->status, expert->status);
	return true;
}

static inline bool begin_any(HEXPERTKEY key)
{
	return likely(em_begin(em_self, key)) || begin(key);
}

/* Pool the spare slabs of the calling thread. */
static void release(HEXPERTKEY key)
{
	struct em_expert *expert = em_lock(key);

	if (!expert)
		return;
	em_tcache_release(expert, em_tcache_get(expert));
	leave(expert);
}

static void end(HEXPERTKEY key)
{
	struct em_tcache *tcache = em_self->tcache;
	bool spare = tcache->spare, passed = tcache->passed;

	tcache->passed = false;
	em_end(em_self);
	if (spare)
		release(key);
	else if (passed && !em_preloaded)
		em_idle_start();
}

static void *alloc_in_section(HEXPERTKEY key, size_t size, size_t alignment)
{
	unsigned int class;
	void *block = NULL;

	if (size > EM_SMALL_MAX || !begin_any(key))
		return NULL;
	class = em_class_of(em_self->expert, size, alignment);
	if (class != EM_NO_CLASS)
		block = em_tcache_alloc(em_self->expert, em_self->tcache, size, class);
	end(key);
	return block;
}

/* --------------------------------------------------------------------- slower ways */

/* Ends a section after EM_FAST_PEAK, see em_note_peak(). Returns @block. */
noinline void *em_end_peak(void *block, DWORD *error)
{
	em_note_peak(em_self->expert, em_self->tcache);
	em_end(em_self);
	em_set_error(error, NMERR_SUCCESS);
	return block;
}

/*
 * Allocate where em_fast_alloc() has done nothing. @alignment: a power of two. @zeroed: as of
 * em_heap_alloc(). @site: who asks for the block, which is reported with findings.
 */
noinline void *em_alloc(HEXPERTKEY key, size_t size, size_t alignment, bool zeroed,
			const void *site, DWORD *error)
{
	void *block = alloc_in_section(key, size, alignment);

	if (!block)
		return alloc_locked(key, size, alignment, zeroed, site, error);
	em_set_error(error, NMERR_SUCCESS);
	return block;
}

/* Ends a section. */
static noinline void *realloc_bad(HEXPERTKEY key, const void *p, LPDWORD error)
{
	return em_set_error(error, bad_here(key, EXPERTMEM_BAD_REALLOC, p));
}

/* Ends a section. */
static noinline void *realloc_elsewhere(HEXPERTKEY key, const void *p, LPDWORD error)
{
	return em_set_error(error, bad_elsewhere(key, EXPERTMEM_BAD_REALLOC, p));
}

/* Ends a section: @p is in a part of the windows without slabs. */
static noinline void *realloc_large(HEXPERTKEY key, void *p, size_t size, const void *site,
				    LPDWORD error)
{
	size_t old;

	if (!em_large_lookup_unlocked(&em_self->expert->heap, p, &old))
		return realloc_bad(key, p, error);
	em_end(em_self);
	return realloc_locked(key, p, size, site, error);
}

/*
 * In a section: is @p a live block of a span, of which *@slab is a later slab? Then @size receives its bytes,
 * and @slab the span's first slab.
 */
static bool span_size(const void *p, struct em_slab **slab, size_t *size)
{
	uint32_t offset = (uintptr_t)p % EM_SLAB_SIZE;

	*slab = em_slab_first(*slab, &offset);
	return offset >= EM_SLAB_SIZE && em_slab_size(*slab, offset, size);
}

/* Ends a section: @p was a live block of @slab. */
static noinline void *realloc_small(HEXPERTKEY key, void *p, size_t size, const void *site,
				    LPDWORD error, struct em_slab *slab)
{
	struct em_expert *expert = em_self->expert;
	struct em_tcache *tcache = em_self->tcache;
	uint32_t offset = (char *)p - slab->base;
	void *new = NULL;
	bool done = false;
	unsigned int class = em_class_of(expert, size, 1);
	size_t old;

	if (em_slab_resize(expert, tcache, slab, offset, size, class) == EM_DONE) {
		new = p;
		done = true;
	} else if (class != EM_NO_CLASS && em_slab_is_mine(slab, tcache) &&
		   em_slab_size(slab, offset, &old)) {
		new = em_tcache_alloc(expert, tcache, size, class);
		if (new) {
			memcpy(new, p, old < size ? old : size);
			done = em_slab_free(expert, tcache, slab, offset) == EM_DONE;
		}
	}
	end(key);
	if (done) {
		em_set_error(error, NMERR_SUCCESS);
		return new;
	}
	/*
	 * Another thread frees the block now, or the slab becomes shared. The locked path finds
	 * out.
	 */
	if (new)
		drop(key, new);
	return realloc_locked(key, p, size, site, error);
}

/* Ends a section: @p is no block of @slab, but may be one of the span that @slab is in. */
static noinline void *realloc_span(HEXPERTKEY key, void *p, size_t size, const void *site,
				   LPDWORD error, struct em_slab *slab)
{
	size_t old;

	return span_size(p, &slab, &old) ? realloc_small(key, p, size, site, error, slab) :
					   realloc_bad(key, p, error);
}

static inline void *realloc_in_section(HEXPERTKEY key, void *p, size_t size, const void *site,
				       LPDWORD error)
{
	struct em_slab *slab;
	uint32_t offset;
	size_t old;

	if (unlikely(!em_slab_of(em_self, p, &slab, &offset)))
		return realloc_elsewhere(key, p, error);
	if (unlikely(!em_load_acquire(&slab->base)))
		return realloc_large(key, p, size, site, error);
	if (likely(em_slab_size(slab, offset, &old)))
		return realloc_small(key, p, size, site, error, slab);
	return realloc_span(key, p, size, site, error, slab);
}

static noinline void *realloc_slow(HEXPERTKEY key, void *p, size_t size, const void *site,
				   LPDWORD error)
{
	if (!p)
		return em_alloc(key, size, 1, false, site, error);
	return begin(key) ? realloc_in_section(key, p, size, site, error) :
			    realloc_locked(key, p, size, site, error);
}

/* Ends a section: the tail of the slab has reached its @wake. */
static noinline SIZE_T free_and_place(struct em_slab *slab)
{
	em_tcache_place(em_self->tcache, slab);
	end((HEXPERTKEY)em_self->key);
	return NMERR_SUCCESS;
}

/* Ends a section. */
static noinline SIZE_T free_bad(HEXPERTKEY key, const void *p)
{
	return bad_here(key, EXPERTMEM_BAD_FREE, p);
}

/* Ends a section. */
static noinline SIZE_T free_elsewhere(HEXPERTKEY key, const void *p)
{
	if (p)
		return bad_elsewhere(key, EXPERTMEM_BAD_FREE, p);
	em_end(em_self);
	return NMERR_SUCCESS;
}

/* Ends a section: the slab of @p is shared, or another thread owns it. */
static inline SIZE_T free_foreign(HEXPERTKEY key, void *p, struct em_slab *slab)
{
	uint32_t offset = (uintptr_t)p % EM_SLAB_SIZE;
	enum em_outcome freed;

	slab = em_slab_first(slab, &offset);
	freed = em_slab_free(em_self->expert, em_self->tcache, slab, offset);
	if (freed == EM_NOT_A_BLOCK)
		return free_bad(key, p);
	end(key);
	return freed == EM_DONE ? NMERR_SUCCESS : free_locked(key, p);
}

/* Ends a section: @p is in the windows, and not in an unshared slab of this thread. */
static noinline SIZE_T free_any(HEXPERTKEY key, void *p, struct em_slab *slab)
{
	size_t size;

	if (em_load_acquire(&slab->base))
		return free_foreign(key, p, slab);
	if (!em_large_lookup_unlocked(&em_self->expert->heap, p, &size))
		return free_bad(key, p);
	em_end(em_self);
	return free_locked(key, p);
}

static noinline SIZE_T free_slow(HEXPERTKEY key, void *p)
{
	struct em_slab *slab;
	uint32_t offset;

	if (!p || !begin(key))
		return free_locked(key, p);
	if (!em_slab_of(em_self, p, &slab, &offset))
		return free_elsewhere(key, p);
	return free_any(key, p, slab);
}

/* Ends a section. */
static noinline SIZE_T size_bad(HEXPERTKEY key, const void *p)
{
	bad_here(key, EXPERTMEM_BAD_SIZE, p);
	return 0;
}

/* Ends a section. */
static noinline SIZE_T size_elsewhere(HEXPERTKEY key, const void *p)
{
	if (p)
		bad_elsewhere(key, EXPERTMEM_BAD_SIZE, p);
	else
		em_end(em_self);
	return 0;
}

/* Ends a section: @p is in a part of the windows without slabs. */
static noinline SIZE_T size_large(HEXPERTKEY key, void *p)
{
	size_t size;
	int live = em_large_lookup_unlocked(&em_self->expert->heap, p, &size);

	if (!live)
		return size_bad(key, p);
	em_end(em_self);
	return live > 0 ? size : size_locked(key, p);
}

/* Ends a section: @p is no block of @slab, but may be one of the span that @slab is in. */
static noinline SIZE_T size_span(HEXPERTKEY key, void *p, struct em_slab *slab)
{
	size_t size;

	if (!span_size(p, &slab, &size))
		return size_bad(key, p);
	em_end(em_self);
	return size;
}

static inline SIZE_T size_in_section(HEXPERTKEY key, void *p)
{
	struct em_slab *slab;
	uint32_t offset;
	size_t size;

	if (unlikely(!em_slab_of(em_self, p, &slab, &offset)))
		return size_elsewhere(key, p);
	if (unlikely(!em_load_acquire(&slab->base)))
		return size_large(key, p);
	if (unlikely(!em_slab_size(slab, offset, &size)))
		return size_span(key, p, slab);
	em_end(em_self);
	return size;
}

static noinline SIZE_T size_slow(HEXPERTKEY key, void *p)
{
	return begin(key) ? size_in_section(key, p) : size_locked(key, p);
}

/* --------------------------------------------------------------------- the calls */

static inline void *realloc_from(HEXPERTKEY key, void *p, size_t size, const void *site,
				 LPDWORD error)
{
	if (unlikely(!p || !em_begin(em_self, key)))
		return realloc_slow(key, p, size, site, error);
	return realloc_in_section(key, p, size, site, error);
}

LPVOID WINAPI ExpertAllocMemory(HEXPERTKEY hExpertKey, SIZE_T nBytes, LPDWORD pError)
{
	void *block;

	switch (em_fast_alloc(hExpertKey, nBytes, &block)) {
	case EM_FAST_DONE:
		EM_STAY("D"(hExpertKey), "S"(nBytes), "d"(pError));
		if (pError)
			*pError = NMERR_SUCCESS;
		return block;
	case EM_FAST_PEAK:
		return em_end_peak(block, pError);
	default:
		return em_alloc(hExpertKey, nBytes, 1, false, CALLER, pError);
	}
}

LPVOID WINAPI ExpertReallocMemory(HEXPERTKEY hExpertKey, LPVOID pOriginalMemory, SIZE_T nBytes,
				  LPDWORD pError)
{
	return realloc_from(hExpertKey, pOriginalMemory, nBytes, CALLER, pError);
}

/* Go on after em_fast_free(); ends a section. Returns what ExpertFreeMemory() does. */
static inline SIZE_T end_free(HEXPERTKEY key, void *p, enum em_fast done, struct em_slab *slab)
{
	switch (done) {
	case EM_FAST_DONE:
		return NMERR_SUCCESS;
	case EM_FAST_WAKE:
		return free_and_place(slab);
	case EM_FAST_ELSEWHERE:
		return free_elsewhere(key, p);
	case EM_FAST_OTHER:
		return free_any(key, p, slab);
	case EM_FAST_BAD:
		return free_bad(key, p);
	default:
		return free_slow(key, p);
	}
}

/* Ends a section after EM_FAST_OTHER. */
static noinline SIZE_T free_other(HEXPERTKEY key, void *p, struct em_slab *slab)
{
	return end_free(key, p, em_fast_free_shared(key, p, slab), slab);
}

SIZE_T WINAPI ExpertFreeMemory(HEXPERTKEY hExpertKey, LPVOID pMemory)
{
	struct em_slab *slab;
	enum em_fast done = em_fast_free(hExpertKey, pMemory, &slab);

	if (likely(done == EM_FAST_DONE)) {
		EM_STAY("D"(hExpertKey), "S"(pMemory));
		return NMERR_SUCCESS;
	}
	if (done == EM_FAST_OTHER)
		return free_other(hExpertKey, pMemory, slab);
	return end_free(hExpertKey, pMemory, done, slab);
}

/* For free(), which has called the fast paths. */
void em_end_free(HEXPERTKEY key, void *p, enum em_fast done, struct em_slab *slab)
{
	end_free(key, p, done, slab);
}

SIZE_T WINAPI ExpertMemorySize(HEXPERTKEY hExpertKey, LPVOID pOriginalMemory)
{
	return likely(em_begin(em_self, hExpertKey)) ?
	       size_in_section(hExpertKey, pOriginalMemory) :
	       size_slow(hExpertKey, pOriginalMemory);
}

/* For the malloc family. @site: the caller of realloc(), which is reported with findings. */
void *em_realloc(HEXPERTKEY key, void *p, size_t size, const void *site, DWORD *error)
{
	return realloc_from(key, p, size, site, error);
}

/*
 * Make this process the expert, if no other one is, for calls that need no memory of it. Returns
 * an NMERR_ code, as of ExpertAllocMemory().
 */
DWORD em_become(HEXPERTKEY key)
{
	struct em_expert *expert = enter(key);
	DWORD error;

	if (!expert)
		return NMERR_INVALID_EXPERT_HANDLE;
	error = check(expert);
	leave(expert);
	return error;
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
	em_write_once(sequence, *sequence | 1);
	em_release_fence();
	progress->calls++;
	progress->status = Status;
	progress->sub_status = SubStatus;
	if (PercentDone >= 0 && PercentDone <= 99)
		progress->percent = PercentDone;
	strncpy(progress->text, szText ? szText : "", sizeof(progress->text) - 1);
	em_store_release(sequence, *sequence + 1);
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
