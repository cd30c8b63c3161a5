/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files of the library share.
 *
 * The files are layers: the object file of each needs only those of the layers below its own.
 * There is no circle. Backends and visitors are called by pointers.
 *
 *   preload.c, process.c, descriptors.c, filters.c, handlers.c, limits.c, mapping.c
 *			only in libexpertmem-malloc.so: the malloc family, what makes a child,
 *			closes the heap's descriptor, filters system calls, asks for signal
 *			handlers, sets limits, or maps memory
 *   capture.c, client.c, spawn.c, event.c, link.c, and all others that capture.h lists
 *			not in libexpertmem-malloc.so: captures, frames and events
 *   netmon.c		the calls of Netmon.h for memory and status
 *   host.c		the host's calls
 *   fork.c		experts across fork()
 *   region_device.c	regions from the kernel module; private.c copies them to private memory
 *   region_anon.c	regions from private memory; gaps.c is the tree of gaps between them
 *   attach.c		how an expert comes to be in this process, and ends there
 *   trim.c		a thread that trims experts which do nothing
 *   findings.c		who is told what the library finds
 *   heap.c		blocks, with the expert's lock held; trimming, walking
 *   check.c		the invariants of the heap, for EXPERTMEM_DEBUG=check
 *   slab.c, large.c	small blocks of any owner; large blocks
 *   tcache.c		what each thread has
 *   pool.c		slabs of no class, and the chunks that they are in
 *   array.c, classes.c, count.c	data of the heap; size classes; live and peak counts
 *   debug.c		what EXPERTMEM_DEBUG, valgrind and AddressSanitizer are told of blocks
 *   crash.c		how a process that "expertmem run" runs crashes
 *   access.c		the threads that make calls; sections, pauses and locks
 *   report.c		the file that "expertmem run" shares with that process
 *   registry.c		the table of experts: slots, keys, addresses
 *   os.c, errors.c	memory and system calls of the library itself; messages
 *
 * types.h has the structures, and explains the heap.
 *
 * The windows of an expert are one aligned range of addresses: the small window, then the huge
 * window. em_owner_of() finds the expert of an address.
 *
 * Three mechanisms keep calls apart:
 *
 *   section	Most calls take no lock. A call checks that em_self->word is its key, sets the word
 *		to em_busy(), checks the status word, works on slabs of the calling thread, and sets
 *		the word back. A section takes no lock, makes no system call and never waits.
 *   pause	A call that needs the whole expert (close, trim, walk, fork, a change of its table
 *		of classes) takes the expert's lock, closes the gate, and waits until each thread
 *		has been outside of a section: em_pause(). A call that finds the gate closed takes
 *		the lock.
 *   lock	The expert's mutex protects all that does not belong to one thread: the pool, the
 *		large blocks, and every call of an expert with EM_DEBUG_BLOCKS.
 *
 * A section stores the word and then loads its record's pointer to the status; a pause stores that
 * pointer and then loads the word. Both need a full memory barrier in between. The section has a
 * compiler barrier only; the pause executes the barrier for all threads, by membarrier().
 */
#ifndef EM_INTERNAL_H
#define EM_INTERNAL_H

#include "atomic.h"
#include "types.h"

#define likely(x)	__builtin_expect(!!(x), 1)
#define unlikely(x)	__builtin_expect(!!(x), 0)
#define noinline	__attribute__((noinline))

/* The library exports only what the public headers declare. */
#pragma GCC visibility push(hidden)

/* errors.c */
void em_abort(const char *what, const void *where) __attribute__((noreturn, cold));
void em_say(const char *who, const char *what, const char *which);

/* os.c */
void *em_map(size_t size, int sharing);
bool em_table_map(struct em_table *table, void *start, size_t size, int sharing);
bool em_table_use(struct em_table *table, size_t end);
size_t em_address_space(void);
bool em_limits_data(void);
bool em_is_strict(void);
bool em_kernel_suits(void);
int em_high_fd(int fd);
extern bool em_filtered;
bool em_unfiltered_begin(void);
void em_unfiltered_end(void);
void em_unfiltered_after_fork(void);
void em_set_filtered(void);

/* registry.c; em_owners: for each EM_WINDOW_MIN of addresses, 1 + the index of an expert, or 0 */
extern struct em_expert em_experts[EM_MAX_EXPERTS];
extern uint16_t em_owners[1UL << (EM_ADDRESS_BITS - EM_WINDOW_SHIFT)];
extern const uint32_t em_closed;	/* the status of experts that are not open */
extern bool em_preloaded;
extern pthread_mutex_t em_table_lock;
extern bool em_taken[EM_MAX_EXPERTS];
HEXPERTKEY em_key_of(const struct em_expert *expert);
int em_slot_get(struct em_expert **slot);
void em_slot_put(struct em_expert *expert);
extern pthread_mutex_t em_place_lock;
bool em_place(struct em_expert *expert, size_t most);
void em_set_owner(const struct em_expert *expert, bool owner);

/* report.c */
struct em_shared *em_shared_get(struct em_table *counts);
void em_shared_put(const struct em_table *counts);
bool em_shared_inherit(struct em_table *counts);
bool em_report_begin(const struct em_shared *shared);
void em_report_after_fork(void);
void em_report_heap_lost(void);
void em_report_went_private(void);
struct em_crash *em_report_crash(void);

/* crash.c */
void em_crash_catch(void);
void em_crash_freed(const void *start, size_t size);
bool em_crash_is_handler(void (*handler)(int number));

/* access.c */
extern __thread struct em_thread *em_self __attribute__((tls_model("initial-exec")));
extern __thread unsigned int em_pauses __attribute__((tls_model("initial-exec")));
extern __thread unsigned int em_relocks __attribute__((tls_model("initial-exec")));
extern struct em_thread *em_threads;
struct em_thread *em_register(void);
bool em_is_word(uintptr_t key);
bool em_is_dead(const struct em_thread *thread);
bool em_wait_for(const struct em_thread *thread);
bool em_wait_all(void);
pid_t em_process(void);
void em_threads_after_fork(void);
void em_lock_slot(struct em_expert *expert);
struct em_expert *em_lock(HEXPERTKEY key);
void em_unlock(struct em_expert *expert);
void em_relock(struct em_expert *expert);
void em_close_gate(struct em_expert *expert);
void em_pause(struct em_expert *expert);
void em_unpause(struct em_expert *expert);
void em_filter_begin(void);

/* debug.c */
extern pid_t em_debug_process;
const void *em_debug_site(const struct em_expert *expert, const void *p);
bool em_debug_parse(unsigned int *flags);
bool em_debug_attach(struct em_expert *expert);
void em_debug_on_map(const struct em_expert *expert, void *start, size_t size);
void em_debug_on_close(struct em_expert *expert);
void em_debug_detach(struct em_expert *expert);
size_t em_debug_padded_size(const struct em_expert *expert, size_t size);
bool em_debug_is_guarded(struct em_expert *expert, size_t size, size_t alignment);
void em_debug_on_alloc(struct em_expert *expert, void *p, size_t size, size_t room,
		       const void *site);
void em_debug_on_shrink(struct em_expert *expert, void *p, size_t old, size_t size, size_t room);
void em_debug_on_free(struct em_expert *expert, void *p, size_t size, size_t room,
		      struct expertmem_finding *found);
void em_debug_on_metadata(struct em_expert *expert, void *start, size_t size);
void em_debug_slab(struct em_expert *expert, void *start);
void em_debug_region(struct em_expert *expert, char *start, size_t size);

/* array.c */
bool em_array_grow(struct em_expert *expert, struct em_array *array, size_t more);
bool em_array_clear(struct em_expert *expert, struct em_array *array);
bool em_heap_prepare(struct em_expert *expert);

/* classes.c */
extern const uint16_t em_class_size[EM_CLASSES];
extern const uint16_t em_classes_of_api[EM_SMALL_MAX / 16 + 1];
extern uint16_t em_classes_of_malloc[EM_SMALL_MAX / 16 + 1];
void em_classes_split(unsigned int class);
void em_classes_save(struct em_expert *expert);
unsigned int em_class_of(const struct em_expert *expert, size_t size, size_t alignment);

/* Number of slabs of a span of @class. */
static inline unsigned int em_class_slabs(unsigned int class)
{
	return class < EM_SPAN_CLASS ? 1 : class < EM_LONG_SPAN_CLASS ? 4 : 8;
}

/* count.c */
int64_t em_live_bytes(const struct em_shared *shared, unsigned int *threads);
void em_note_peak(struct em_expert *expert, struct em_tcache *tcache);

/* pool.c */
struct em_slab *em_slab_get(struct em_expert *expert, const struct em_tcache *tcache,
			    unsigned int class, unsigned int count);
void em_slab_put(struct em_expert *expert, struct em_slab *slab);
bool em_pool_recycle(struct em_expert *expert);
bool em_pool_serves(const struct em_expert *expert, const struct em_tcache *tcache,
		    unsigned int class, unsigned int count);
void em_pool_trim(struct em_expert *expert);
void em_pool_regions(struct em_expert *expert, em_region_visitor visit, void *arg);

/* large.c */
struct em_large *em_large_find(const struct em_expert *expert, const void *p);
void *em_large_alloc(struct em_expert *expert, size_t size, size_t room, size_t alignment,
		     bool zeroed);
void *em_large_alloc_guarded(struct em_expert *expert, size_t size);
bool em_large_resize(struct em_expert *expert, struct em_large *large, size_t size);
size_t em_large_free(struct em_expert *expert, struct em_large *large);
size_t em_large_size(const struct em_large *large);
size_t em_large_room(const struct em_large *large);
size_t em_large_taken(const struct em_expert *expert, const struct em_large *large);
bool em_large_drop_kept(struct em_expert *expert);
void em_large_trim(struct em_expert *expert);
void em_large_regions(struct em_expert *expert, em_region_visitor visit, void *arg);
int em_large_walk(struct em_expert *expert,
		  int (*visit)(void *block, size_t size, void *arg), void *arg);

/* tcache.c */
extern struct em_slab em_no_slab;
struct em_tcache *em_tcache_of(const struct em_expert *expert, const struct em_thread *thread);
void em_tcache_inherit(struct em_tcache *tcache, uint32_t user);
struct em_tcache *em_tcache_get(struct em_expert *expert);
void *em_tcache_alloc(struct em_expert *expert, struct em_tcache *tcache, size_t size,
		      unsigned int class);
void em_tcache_place(struct em_tcache *tcache, struct em_slab *slab);
void em_tcache_release(struct em_expert *expert, struct em_tcache *tcache);
void *em_slab_alloc(struct em_expert *expert, struct em_tcache *tcache, size_t size,
		    unsigned int class);
void *em_slab_use_quarantine(struct em_expert *expert, struct em_tcache *tcache, size_t size,
			     unsigned int class);
void em_collect(struct em_expert *expert, struct em_tcache *heir);

/* slab.c */
enum em_outcome em_slab_free(struct em_expert *expert, struct em_tcache *tcache,
			     struct em_slab *slab, uint32_t offset);
enum em_outcome em_slab_resize(struct em_expert *expert, struct em_tcache *tcache,
			       struct em_slab *slab, uint32_t offset, size_t size, unsigned int class);
bool em_slab_is_mine(const struct em_slab *slab, const struct em_tcache *tcache);
void em_slab_share(struct em_expert *expert, struct em_slab *slab);
int em_slabs_walk(struct em_expert *expert,
		  int (*visit)(void *block, size_t size, void *arg), void *arg);

/* check.c */
void em_heap_check(const struct em_expert *expert);

/* heap.c; the lock is held */
void em_heap_regions(struct em_expert *expert, em_region_visitor visit, void *arg);
void *em_heap_alloc(struct em_expert *expert, size_t size, size_t alignment, bool zeroed,
		    const void *site);
void *em_heap_realloc(struct em_expert *expert, void *p, size_t size, const void *site,
		      bool *bad, struct expertmem_finding *found);
bool em_heap_free(struct em_expert *expert, void *p, struct expertmem_finding *found);
bool em_heap_size(const struct em_expert *expert, const void *p, size_t *size);
void em_heap_trim(struct em_expert *expert);
int em_heap_walk(struct em_expert *expert,
		 int (*visit)(void *block, size_t size, void *arg), void *arg);

/* findings.c; em_own_site: the call site of em_own_alloc() */
extern const void *const em_own_site;
void em_report_finding(const struct expertmem_finding *finding);
void em_debug_leaks(HEXPERTKEY key, bool is_exit);
void em_debug_exit(void);

/* trim.c */
void em_idle_start(void);
void em_idle_after_fork(void);

/* attach.c */
int em_attach(struct em_expert *expert);
void em_teardown(struct em_expert *expert);

/* fork.c */
void em_fork_init(void);
int em_fork_prepare(void);
void em_fork_parent(bool shares_files);
void em_fork_child(bool shares_files);
int em_fork_wrapped(bool wrapped);
/* Held while preload.c replaces the program's expert. Taken before all other locks. */
extern pthread_mutex_t em_private_lock;

/* private.c */
struct em_copy *em_copy_make(struct em_expert *expert, bool moves);
void em_copy_drop(struct em_copy *copy);
bool em_copy_use(struct em_expert *expert, struct em_copy *copy);
void em_copy_free(char *region, size_t size);

/* region_device.c, region_anon.c */
extern const struct em_backend em_device, em_anon;
extern const char *em_device_refused;
extern bool em_device_only;

/* host.c */
bool em_choose_backend(enum expertmem_backend *backend);
bool em_is_name(const char *name);

/* netmon.c: the calls of Netmon.h for the malloc family; @site is the caller of malloc() */
enum em_fast;
void *em_alloc(HEXPERTKEY key, size_t size, size_t alignment, bool zeroed, const void *site,
	       DWORD *error);
void *em_end_peak(void *block, DWORD *error);
void em_end_free(HEXPERTKEY key, void *p, enum em_fast done, struct em_slab *slab);
void *em_realloc(HEXPERTKEY key, void *p, size_t size, const void *site, DWORD *error);
DWORD em_become(HEXPERTKEY key);

/* preload.c */
int em_program_fd(void);
bool em_descriptor_call(long number, const long args[static 3], long *answer);
bool em_program_is_here(void);
bool em_program_fd_moves(void);
void em_program_save(bool locks);
void em_program_unreserve(size_t limit);

/* The slot of a key. The slot may hold an expert with another key, or none. */
static inline struct em_expert *em_slot_of(HEXPERTKEY key)
{
	return &em_experts[(uintptr_t)key & (EM_MAX_EXPERTS - 1)];
}

/* The expert in whose windows @p is, or NULL. @p is not dereferenced. */
static inline struct em_expert *em_owner_of(const void *p)
{
	uintptr_t address = (uintptr_t)p;
	unsigned int owner;

	if (address >> EM_ADDRESS_BITS)
		return NULL;
	owner = em_read_once(&em_owners[address >> EM_WINDOW_SHIFT]);
	return owner ? &em_experts[owner - 1] : NULL;
}

/*
 * For EXPERTMEM_DEBUG=check: end the process if the calling thread does not hold the expert's lock.
 */
static inline void em_assert_locked(const struct em_expert *expert)
{
	if (unlikely(expert->debug & EM_DEBUG_CHECK) && expert->holder != &em_self)
		em_abort("the lock of the expert is not held", expert);
}

static inline char *em_window_base(const struct em_expert *expert, enum em_window window)
{
	return expert->base + (window == EM_HUGE_WINDOW ? expert->window : 0);
}

static inline enum em_window em_window_of(const struct em_expert *expert, const void *p)
{
	return (size_t)((const char *)p - expert->base) >= expert->window ?
	       EM_HUGE_WINDOW : EM_SMALL_WINDOW;
}

/* Addresses and sizes of the regions of @window are multiples of its granule. */
static inline size_t em_granule(enum em_window window)
{
	return window == EM_HUGE_WINDOW ? EM_HUGE : EM_PAGE;
}

/* @unit: a power of two */
static inline size_t em_round_up(size_t size, size_t unit)
{
	return (size + unit - 1) & ~(unit - 1);
}

static inline uint32_t em_status(const struct em_expert *expert)
{
	return em_read_once(expert->status);
}

/*
 * If @slab is a later slab of a span: the span's first slab, and @offset from there. A thread that
 * looks up a bad pointer in a section may get the first slab of a span that was pooled meanwhile;
 * em_slab_read_state() finds no block there.
 */
static inline struct em_slab *em_slab_first(struct em_slab *slab, uint32_t *offset)
{
	unsigned int before = em_read_once(&slab->before);

	*offset += before * EM_SLAB_SIZE;
	return slab - before;
}

/*
 * The slab, or first slab of the span, that @p points into; or NULL: @p is outside of the windows or
 * in a part without slabs.
 */
static inline struct em_slab *em_slab_at(const struct em_expert *expert, const void *p,
					 uint32_t *offset)
{
	size_t at = (uintptr_t)p - (uintptr_t)expert->base;
	struct em_slab *slab;

	if (at >= expert->span)
		return NULL;
	slab = &expert->slabs[at / EM_SLAB_SIZE];
	*offset = at % EM_SLAB_SIZE;
	return em_load_acquire(&slab->base) ? em_slab_first(slab, offset) : NULL;
}

static inline void *em_set_error(DWORD *error, DWORD code)
{
	if (error)
		*error = code;
	return NULL;
}

/*
 * Divide @offset by the size of the slab's blocks, by a multiplication with the rounded up inverse.
 * @i receives the quotient, the number of the block. The low 32 bits of the product are less than
 * the inverse if and only if the remainder is 0. False: no block starts at @offset.
 */
static inline bool em_block_at(const struct em_slab *slab, uint32_t offset, uint32_t *i)
{
	uint64_t inverse = em_read_once(&slab->inverse), quotient = offset * inverse;

	/* Keeps GCC from copying @inverse to another register. */
	__asm__("" : "+r"(quotient), "+r"(inverse));
	*i = quotient >> 32;
	return (uint32_t)quotient < (uint32_t)inverse;
}

static inline uint16_t em_get_state(const uint16_t *states, unsigned int i)
{
	return em_read_once(&states[i]);
}

static inline void em_set_state(uint16_t *states, unsigned int i, uint16_t state)
{
	em_write_once(&states[i], state);
}

/*
 * Precompute the addresses of the block at @head and of its state. A store whose address is known
 * late stalls the loads after it.
 */
static inline void em_bin_peek(struct em_bin *bin, const struct em_slab *slab, uint32_t head)
{
	size_t place = head & slab->mask, i = slab->queue[place] ^ place;

	bin->next_state = &slab->states[i];
	bin->next_block = slab->base + i * slab->block;
}

/* Take the block at the head of the queue, and precompute the next one. */
static inline void *em_bin_pop(struct em_bin *bin, struct em_slab *slab, size_t size)
{
	uint32_t head = slab->head + 1;
	void *block;

	em_set_state(bin->next_state, 0, size + 1);
	/*
	 * Compiler barrier: keeps bin->next_block from being loaded early into a callee-saved
	 * register.
	 */
	em_barrier();
	block = bin->next_block;
	slab->head = head;
	em_bin_peek(bin, slab, head);
	return block;
}

/*
 * Put a block into the queue of its slab. A thread may end between any two stores, and then another
 * thread takes over its slabs. In this order of stores a block may get lost, but is never
 * allocated twice. Returns the new tail.
 */
static inline uint32_t em_slab_push(struct em_slab *slab, unsigned int i)
{
	uint32_t tail = slab->tail;
	size_t place = tail & slab->mask;
	uint16_t *states = slab->states, *queue = slab->queue;

	/* Keeps GCC from extending @place to 64 bits once more. */
	__asm__("" : "+r"(place));
	/*
	 * Compiler barrier: the loads above come before the stores, whose addresses depend on them.
	 */
	em_barrier();
	em_set_state(states, i, EM_STATE_FREE);
	queue[place] = i ^ place;
	em_store_release(&slab->tail, tail + 1);
	return tail + 1;
}

/* Single-writer counter that other threads read; compiles to one add. Returns the new value. */
static inline int64_t em_add(int64_t *counter, int64_t n)
{
#ifdef __SANITIZE_THREAD__
	return em_add_return_relaxed(counter, n);
#else
	return *counter += n;
#endif
}

/* Add to the counts of @tcache, which must be of the calling thread. Negative: freed. */
static inline void em_count(struct em_expert *expert, struct em_tcache *tcache, int blocks,
			    int64_t bytes)
{
	em_add(&tcache->count->blocks, blocks);
	if (em_add(&tcache->count->credit, -bytes) < 0)
		em_note_peak(expert, tcache);
}

static inline bool em_is_live(uint16_t state)
{
	return state - 1U <= EM_SMALL_MAX;
}

/* Is block @i in @slab? With a stale @before, em_slab_first() gives offsets behind the end of a slab. */
static inline bool em_is_inside(const struct em_slab *slab, uint32_t offset, uint32_t i)
{
	return offset < EM_SLAB_SIZE || i < em_read_once(&slab->blocks);
}

/* The state of the block at @offset; 0 if no block starts there. @owner receives slab->owner. */
static inline uint16_t em_slab_read_state(const struct em_slab *slab, uint32_t offset,
					  uintptr_t *owner, uint32_t *i)
{
	const uint16_t *states;
	uint16_t state;

	/*
	 * A shared slab keeps its class until em_wait_all() has waited for this section. A slab
	 * that is not shared can be pooled and get another class between these loads. Then its
	 * owner or its states have changed, and the loads are repeated.
	 */
	do {
		*owner = em_load_acquire(&slab->owner);
		states = em_load_acquire(&slab->states);
		/* @states is NULL in a slab without a class, and in a later slab of a span. */
		state = em_block_at(slab, offset, i) && likely(states && em_is_inside(slab, offset, *i)) ?
			em_get_state(states, *i) : 0;
		em_acquire_fence();
	} while (unlikely(*owner != em_read_once(&slab->owner) ||
			  states != em_read_once(&slab->states)));
	return state;
}

/* Is the block at @offset live? @size receives its bytes. In a section or with the lock held. */
static inline bool em_slab_size(const struct em_slab *slab, uint32_t offset, size_t *size)
{
	uintptr_t owner;
	uint32_t i;
	uint16_t state = em_slab_read_state(slab, offset, &owner, &i);

	*size = state - 1U;
	return em_is_live(state);
}

/* The entry of the table that has the large block at @address, or the free entry for it. */
static inline struct em_large *em_large_slot(struct em_large_table *table, uintptr_t address)
{
	size_t i = (address >> 4) * 0x9e3779b97f4a7c15 >> 20;

	for (;; i++) {
		struct em_large *large = &table->places[i & table->mask];
		uintptr_t found = em_read_once(&large->address);

		if (found == address || !found)
			return large;
	}
}

/*
 * In a section. 1: a large block starts at @p. 0: none does. -1: a writer interfered; take the
 * lock.
 */
static inline int em_large_lookup_unlocked(const struct em_heap *heap, const void *p, size_t *size)
{
	uint32_t version = em_load_acquire(&heap->large_version);
	struct em_large_table *table = em_load_acquire(&heap->large);
	const struct em_large *large;
	bool found;

	/*
	 * Large blocks are page aligned; with EM_DEBUG_GUARD they are not, but then no section
	 * begins.
	 */
	if (!table || (uintptr_t)p % EM_PAGE)
		return 0;
	if (version & 1)
		return -1;
	large = em_large_slot(table, (uintptr_t)p);
	found = em_read_once(&large->address);
	*size = em_read_once(&large->size);
	em_acquire_fence();
	return em_read_once(&heap->large_version) == version ? found : -1;
}

/* Is the thread outside of a section, and not in a signal's handler that has interrupted one? */
static inline bool em_is_idle(const struct em_thread *self)
{
	return self->word == self->key;
}

/*
 * Is *@word, which others write, not 0? In assembly, because GCC does not combine an atomic load with a
 * comparison: that would be one instruction more.
 */
static inline __attribute__((always_inline)) bool em_is_set(const uint32_t *word)
{
#ifdef __x86_64__
	__asm__ goto("cmpl $0, %0\n\tjne %l1" : : "m"(*(const volatile uint32_t *)word) : "cc" : set);
	return false;
set:
	return true;
#else
	return em_read_once(word);
#endif
}

static inline void em_enter(struct em_thread *self)
{
	em_write_once(&self->word, em_busy(self));
	em_barrier();	/* pairs with membarrier() in barrier() of access.c */
}

/* End the section. @key: self->key, which the caller has in a register. */
static inline void em_end_of(struct em_thread *self, HEXPERTKEY key)
{
	em_store_release(&self->word, (uintptr_t)key);
}

static inline void em_end(struct em_thread *self)
{
	em_store_release(&self->word, self->key);
}

/*
 * Begin a section of the expert with this key, if the thread's record is about that expert. True:
 * until em_end() the expert stays open and attached, and what the record has of it is valid. False:
 * no section has begun; the thread is in a section, or the record is about another expert, or the
 * expert's gate was closed since begin() of netmon.c has looked at it, or the expert was asked to stop.
 *
 * The key is compared before the section begins. A signal's handler in between must not use another
 * expert, because that would make the record be about it.
 */
static inline bool em_begin(struct em_thread *self, HEXPERTKEY key)
{
	if (unlikely(self->word != (uintptr_t)key))
		return false;
	em_enter(self);
	if (likely(!em_is_set(em_read_once(&self->status))))
		return true;
	em_end_of(self, key);
	return false;
}

/*
 * In a section: the entry of the table of slabs for the address @p, and the offset of @p in that
 * slab. There may be no slab: then slab->base is NULL. The slab may be a later one of a span: see
 * em_slab_first(). False: @p is not in the windows.
 */
static inline bool em_slab_of(const struct em_thread *self, const void *p, struct em_slab **slab,
			      uint32_t *offset)
{
	size_t i = ((uintptr_t)p - (uintptr_t)self->base) >> EM_SLAB_SHIFT;

	if (unlikely(i >= self->nr_slabs))
		return false;
	*slab = &self->slabs[i];
	*offset = (uintptr_t)p % EM_SLAB_SIZE;
	return true;
}

#pragma GCC visibility pop

#endif /* EM_INTERNAL_H */
