// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Hooks for EXPERTMEM_DEBUG, valgrind and AddressSanitizer. With EM_DEBUG_BLOCKS the expert's gate
 * stays closed: every call takes the lock, and runs the hooks. Without it the fast paths have no
 * hooks.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#else
#define VALGRIND_MALLOCLIKE_BLOCK(p, size, redzone, zeroed)	((void)(p), (void)(size))
#define VALGRIND_FREELIKE_BLOCK(p, redzone)			((void)(p))
#define VALGRIND_RESIZEINPLACE_BLOCK(p, old, size, redzone)	((void)(p), (void)(old), (void)(size))
#define VALGRIND_MAKE_MEM_NOACCESS(p, size)			((void)(p), (void)(size), 0)
#define VALGRIND_MAKE_MEM_DEFINED(p, size)			((void)(p), (void)(size), 0)
#endif
#include "internal.h"
#include "raw.h"

#define FILL_NEW	0xaa
#define FILL_FREED	0xdd

/* bytes of the canary or red zone behind each block */
#define BEHIND		16

/* EM_DEBUG_GUARD: one in so many blocks ends at a guard page */
#define GUARD_EVERY	16

/* the most regions of large blocks that are poisoned for AddressSanitizer */
#define POISONED_MAX	65536

/* The process that recorded the call sites. A child has copies of the sites of its parent. */
pid_t em_debug_process;

/* Not NULL if the program or the library is built with AddressSanitizer. */
void __asan_poison_memory_region(const volatile void *start, size_t size)
	__attribute__((weak, visibility("default")));
void __asan_unpoison_memory_region(const volatile void *start, size_t size)
	__attribute__((weak, visibility("default")));

/**
 * em_debug_parse() - parse EXPERTMEM_DEBUG, and detect valgrind and AddressSanitizer
 * @flags: receives EM_DEBUG_*
 *
 * Return: false if EXPERTMEM_DEBUG has an unknown word.
 */
bool em_debug_parse(unsigned int *flags)
{
	static const struct { const char *word; unsigned int flags; } words[] = {
		{ "canary", EM_DEBUG_CANARY },
		{ "fill", EM_DEBUG_FILL },
		{ "guard", EM_DEBUG_GUARD },
		{ "sites", EM_DEBUG_SITES },
		{ "report", EM_DEBUG_REPORT },
		{ "abort", EM_DEBUG_ABORT },
		{ "check", EM_DEBUG_CHECK },
		{ "all", EM_DEBUG_CANARY | EM_DEBUG_FILL | EM_DEBUG_GUARD | EM_DEBUG_SITES |
			 EM_DEBUG_REPORT },
	};
	const char *list = secure_getenv("EXPERTMEM_DEBUG");
	size_t length, i;

	*flags = 0;
	for (; list && *list; list += length + !!list[length]) {
		length = strcspn(list, ",");
		for (i = 0; i < sizeof(words) / sizeof(words[0]); i++)
			if (strlen(words[i].word) == length &&
			    !strncmp(list, words[i].word, length))
				break;
		if (length && i == sizeof(words) / sizeof(words[0]))
			return false;
		if (length)
			*flags |= words[i].flags;
	}
	/* Both find more than canaries do, and report the reads and writes that canaries need. */
	if (VALGRIND_MAKE_MEM_DEFINED(flags, sizeof(*flags)))	/* memcheck, of its tools */
		*flags |= EM_DEBUG_VALGRIND;
	if (__asan_poison_memory_region)
		*flags |= EM_DEBUG_ASAN;
	if (*flags & (EM_DEBUG_VALGRIND | EM_DEBUG_ASAN))
		*flags &= ~(EM_DEBUG_CANARY | EM_DEBUG_FILL);
	return true;
}

/*
 * The call site of the block at each multiple of 16 bytes of the windows. Parts are read-only until
 * they are written.
 */
struct em_sites {
	const void **of;		/* return address of the allocating call, by offset / 16 */
	size_t size;			/* bytes of @of */
	bool writable[];		/* whether @of can be written, for each EM_STEP of it */
};

static size_t sites_size(const struct em_expert *expert)
{
	return expert->window * 2 / 16 * sizeof(void *);
}

static bool sites_get(struct em_expert *expert)
{
	size_t size = sites_size(expert);
	struct em_table table;
	struct em_sites *sites;

	sites = em_map(sizeof(*sites) + size / EM_STEP, MAP_PRIVATE);
	if (!sites)
		return false;
	if (!em_table_map(&table, NULL, size, MAP_PRIVATE)) {
		munmap(sites, sizeof(*sites) + size / EM_STEP);
		return false;
	}
	sites->of = (const void **)table.start;
	sites->size = size;
	expert->sites = sites;
	return true;
}

static void sites_put(struct em_expert *expert)
{
	struct em_sites *sites = expert->sites;

	expert->sites = NULL;
	munmap(sites->of, sites->size);
	munmap(sites, sizeof(*sites) + sites->size / EM_STEP);
}

/* The call site of the block at @p. NULL: not recorded. */
const void *em_debug_site(const struct em_expert *expert, const void *p)
{
	return expert->sites ? expert->sites->of[((const char *)p - expert->base) / 16] : NULL;
}

/* Record the call site of the block at @p, unless the kernel has no memory for it. */
static void set_site(struct em_expert *expert, const void *p, const void *site)
{
	struct em_sites *sites = expert->sites;
	const void **of = &sites->of[((const char *)p - expert->base) / 16];
	size_t step = ((char *)of - (char *)sites->of) / EM_STEP;

	if (!sites->writable[step]) {
		if (mprotect((char *)sites->of + step * EM_STEP, EM_STEP, PROT_READ | PROT_WRITE))
			return;
		sites->writable[step] = true;
	}
	*of = site;
}

/* Hook: a part of the windows was mapped. It has no block yet. */
void em_debug_on_map(const struct em_expert *expert, void *start, size_t size)
{
	if (expert->debug & EM_DEBUG_VALGRIND)
		(void)VALGRIND_MAKE_MEM_NOACCESS(start, size);
}

/* Hook of em_attach(): allocate the tables for debugging. False: no memory. */
bool em_debug_attach(struct em_expert *expert)
{
	if (expert->debug & EM_DEBUG_ASAN) {
		expert->poisoned = em_map(POISONED_MAX * sizeof(*expert->poisoned), MAP_PRIVATE);
		if (!expert->poisoned)
			return false;
	}
	if (!(expert->debug & EM_DEBUG_SITES))
		return true;
	em_debug_process = em_raw(SYS_getpid, 0, 0, 0);
	return sites_get(expert);
}

/* Hook: the windows are about to be unmapped, and others may get the addresses. Unpoison them. */
void em_debug_on_close(struct em_expert *expert)
{
	const struct em_heap *heap = &expert->heap;
	size_t i;

	if (!(expert->debug & EM_DEBUG_ASAN))
		return;
	__asan_unpoison_memory_region(heap->small.base, heap->small.used);
	__asan_unpoison_memory_region(expert->base + heap->huge_first * EM_SLAB_SIZE,
				      (heap->huge_end - heap->huge_first) * EM_SLAB_SIZE);
	for (i = 0; i < expert->nr_poisoned; i++)
		__asan_unpoison_memory_region(expert->poisoned[i].start,
					      expert->poisoned[i].size);
}

void em_debug_detach(struct em_expert *expert)
{
	if (expert->sites)
		sites_put(expert);
	if (expert->poisoned)
		munmap(expert->poisoned, POISONED_MAX * sizeof(*expert->poisoned));
	expert->poisoned = NULL;
}

/* Bytes to allocate for a block of @size, with its canary or red zone. */
size_t em_debug_padded_size(const struct em_expert *expert, size_t size)
{
	return expert->debug & (EM_DEBUG_CANARY | EM_DEBUG_VALGRIND | EM_DEBUG_ASAN) ?
	       size + BEHIND : size;
}

/* Is the next block one that ends at a guard page? Not large blocks: their region ends at one. */
bool em_debug_is_guarded(struct em_expert *expert, size_t size, size_t alignment)
{
	return expert->debug & EM_DEBUG_GUARD && size <= EM_PAGE - 16 && alignment <= 16 &&
	       ++expert->guard_tick % GUARD_EVERY == 0;
}

static unsigned char canary(const unsigned char *p)
{
	return 0xc5 ^ (uintptr_t)p;
}

static void set_canary(unsigned char *p, const unsigned char *end)
{
	for (; p < end; p++)
		*p = canary(p);
}

static bool is_overrun(const unsigned char *p, const unsigned char *end)
{
	while (p < end && *p == canary(p))
		p++;
	return p < end;
}

/**
 * em_debug_on_alloc() - hook: a block was allocated
 * @expert: the expert
 * @p: the block
 * @size: bytes that were asked for
 * @room: bytes of the block with its canary
 * @site: return address of the call that asked for it
 */
void em_debug_on_alloc(struct em_expert *expert, void *p, size_t size, size_t room,
		   const void *site)
{
	if (expert->debug & EM_DEBUG_FILL)
		memset(p, FILL_NEW, size);
	if (expert->debug & EM_DEBUG_CANARY)
		set_canary((unsigned char *)p + size, (unsigned char *)p + room);
	if (expert->sites)
		set_site(expert, p, site);
	if (expert->debug & EM_DEBUG_VALGRIND)
		VALGRIND_MALLOCLIKE_BLOCK(p, size, BEHIND, 0);
	if (expert->debug & EM_DEBUG_ASAN)
		__asan_unpoison_memory_region(p, size);
}

/* Hook: a block was shrunk in place, from @old to @size bytes. */
void em_debug_on_shrink(struct em_expert *expert, void *p, size_t old, size_t size, size_t room)
{
	if (expert->debug & EM_DEBUG_CANARY)
		set_canary((unsigned char *)p + size, (unsigned char *)p + room);
	if (expert->debug & EM_DEBUG_VALGRIND)
		VALGRIND_RESIZEINPLACE_BLOCK(p, old, size, BEHIND);
	if (expert->debug & EM_DEBUG_ASAN)
		__asan_poison_memory_region((char *)p + size, old - size);
	(void)old;
}

/* Hook: a block is about to be freed. @found receives an overrun of it. */
void em_debug_on_free(struct em_expert *expert, void *p, size_t size, size_t room,
		   struct expertmem_finding *found)
{
	unsigned char *end = (unsigned char *)p + size;

	if (expert->debug & EM_DEBUG_CANARY && is_overrun(end, (unsigned char *)p + room))
		*found = (struct expertmem_finding){
			.key = expert->key, .kind = EXPERTMEM_OVERRUN, .pointer = p,
			.size = size, .site = em_debug_site(expert, p),
		};
	if (expert->debug & EM_DEBUG_FILL)
		memset(p, FILL_FREED, size);
	if (expert->debug & EM_DEBUG_VALGRIND)
		VALGRIND_FREELIKE_BLOCK(p, BEHIND);
	if (expert->debug & EM_DEBUG_ASAN)
		__asan_poison_memory_region(p, size);
}

/* Hook: memory for metadata was allocated. It reads as zeros. */
void em_debug_on_metadata(struct em_expert *expert, void *start, size_t size)
{
	if (expert->debug & EM_DEBUG_VALGRIND)
		(void)VALGRIND_MAKE_MEM_DEFINED(start, size);
}

/* Hook: a slab got a class. It has no block yet, so any touch is an error. */
void em_debug_slab(struct em_expert *expert, void *start)
{
	if (expert->debug & EM_DEBUG_VALGRIND)
		(void)VALGRIND_MAKE_MEM_NOACCESS(start, EM_SLAB_SIZE);
	if (expert->debug & EM_DEBUG_ASAN)
		__asan_poison_memory_region(start, EM_SLAB_SIZE);
}

/*
 * Hook: a region for a large block was allocated. It, and the BEHIND bytes before it, have no
 * block.
 */
void em_debug_region(struct em_expert *expert, char *start, size_t size)
{
	if (expert->debug & EM_DEBUG_VALGRIND)
		(void)VALGRIND_MAKE_MEM_NOACCESS(start, size);
	if (!(expert->debug & EM_DEBUG_ASAN) || expert->nr_poisoned == POISONED_MAX)
		return;
	__asan_poison_memory_region(start - BEHIND, size + BEHIND);
	expert->poisoned[expert->nr_poisoned].start = start - BEHIND;
	expert->poisoned[expert->nr_poisoned++].size = size + BEHIND;
}
