/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Shared by the processes of the storm: a board in shared memory, random numbers, and
 * the shadow model, which knows what each page of a region must hold.
 */
#ifndef STORM_H
#define STORM_H

#include <stdarg.h>

#include "netlink_test.h"

#define EXPERTS		16	/* processes, at most */
#define SLOTS		6	/* regions of a thread */
#define PAGES_MAX	1024	/* of a region */
#define WORDS		(PAGE / sizeof(__u64))

#define OPS(X)								\
	X(open) X(configure) X(mmap) X(munmap) X(close)			\
	X(alloc) X(realloc) X(free) X(refused) X(write) X(read) X(check)	\
	X(remove) X(dontneed) X(pageout) X(populate) X(migrate) X(mbind)	\
	X(pipe) X(hold) X(stat) X(fork) X(share) X(copy) X(exec) X(exit) X(kill) X(died)	\
	X(terminate) X(reclaim) X(pass) X(receive)			\
	X(nl_get) X(nl_dump) X(nl_set) X(nl_terminate) X(nl_reclaim) X(parameter) \
	X(drop_caches) X(compact) X(split_huge) X(swapoff) X(pressure)

#define X(name) OP_##name,
enum op { OPS(X) NR_OPS };
#undef X

#define X(name) #name,
static const char *const op_names[] = { OPS(X) };
#undef X

/**
 * struct board - in shared memory
 * @stop: it is over, for whatever reason
 * @wrong: somebody has seen what must not be; taken by the first
 * @said: what that is
 * @done: how often what was done
 * @ids: of the experts that live, by process
 */
struct board {
	int stop;
	int wrong;
	char said[200];
	unsigned long done[NR_OPS];
	__u64 ids[EXPERTS];
};

static struct board *board;

static inline bool stopped(void)
{
	return __atomic_load_n(&board->stop, __ATOMIC_RELAXED);
}

static inline void count(enum op op)
{
	__atomic_fetch_add(&board->done[op], 1, __ATOMIC_RELAXED);
}

/* What must not be has been seen: the storm ends, and says the first such thing. */
static inline void __attribute__((format(printf, 1, 2))) wrong(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	if (!__atomic_exchange_n(&board->wrong, 1, __ATOMIC_SEQ_CST))
		vsnprintf(board->said, sizeof(board->said), fmt, args);
	va_end(args);
	__atomic_store_n(&board->stop, 1, __ATOMIC_SEQ_CST);
}

/* --------------------------------------------------------------- random numbers */

static __thread __u64 random_state;

static inline void random_seed(__u64 seed)
{
	random_state = (seed + 1) * 0x9e3779b97f4a7c15ULL;
}

/* one of 0 ... @n - 1 */
static inline unsigned int any(unsigned int n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (random_state >> 32) % n;
}

static inline bool once_in(unsigned int n)
{
	return !any(n);
}

/* --------------------------------------------------------------- the shadow model */

/**
 * struct slot - a region, which one thread alone makes, writes and frees
 * @window: where it is
 * @offset: its device offset
 * @pages: how many; 0: there is none
 * @tags: what each of them was filled with last; 0: it must read as zero
 */
struct slot {
	const struct window *window;
	__u64 offset;
	unsigned int pages;
	__u32 tags[PAGES_MAX];
};

static inline __u64 word_of(__u32 tag, unsigned int i)
{
	return tag ? (__u64)tag << 32 | (i * 2654435761U) : 0;
}

static inline __u64 *page_at(const struct slot *slot, unsigned int page)
{
	return (__u64 *)at(slot->window, slot->offset + page * PAGE);
}

/* Returns the signal that it raises, 0 for none. */
static inline int page_write(struct slot *slot, unsigned int page, __u32 tag)
{
	volatile __u64 *word = page_at(slot, page);
	int sig = sigsetjmp(fault_env, 0);
	unsigned int i;

	if (!sig) {
		fault_expected = true;
		for (i = 0; i < WORDS; i++)
			word[i] = word_of(tag, i);
		slot->tags[page] = tag;
	}
	fault_expected = false;
	return sig;
}

/* Is it what the model says? The first word that is not makes the storm end. */
static inline bool is_page(const __u64 *words, __u32 tag, const char *how)
{
	const volatile __u64 *word = words;
	unsigned int i;
	__u64 value;

	for (i = 0; i < WORDS; i++) {
		value = word[i];
		if (value != word_of(tag, i)) {
			wrong("%s: word %u of a page is %#llx, not %#llx", how, i, value,
			      word_of(tag, i));
			return false;
		}
	}
	return true;
}

static inline int page_read(const struct slot *slot, unsigned int page, const char *how)
{
	int sig = sigsetjmp(fault_env, 0);

	if (!sig) {
		fault_expected = true;
		is_page(page_at(slot, page), slot->tags[page], how);
	}
	fault_expected = false;
	return sig;
}

static inline int slot_read(const struct slot *slot, const char *how)
{
	unsigned int page;
	int sig = 0;

	for (page = 0; !sig && page < slot->pages; page++)
		sig = page_read(slot, page, how);
	return sig;
}

#endif /* STORM_H */
