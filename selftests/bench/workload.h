/* SPDX-License-Identifier: GPL-2.0 */
#ifndef WORKLOAD_H
#define WORKLOAD_H

#include "bench.h"

#define MAX_THREADS	64

/* A block says what it must contain, so that whoever gets it can look. */
struct block {
	uint32_t size;
	uint32_t size_again;
	unsigned char bytes[];
};

/* @size counts the head */
struct block *block_new(size_t size);
struct block *block_resize(struct block *block, size_t size);
void block_free(struct block *block);

/* make all of a new block what it must contain */
void block_fill(struct block *block, size_t size);

/* @memory, which is not NULL */
void *checked(void *memory);

/* A byte is not what was written there. */
void wrong(const char *what) __attribute__((noreturn));

/* Call it when as much is live as the program normally has, before all is freed. */
void live_phase_ends(void);

/* Run @main in as many threads, with arg 0, 1, ... */
void run_threads(unsigned int threads, void *(*main)(void *arg));

/* The programs; @scale is 100 for a fraction of a second */
void larson(unsigned int threads, unsigned int scale);
void xmalloc(unsigned int threads, unsigned int scale);
void cache_scratch(unsigned int threads, unsigned int scale);
void cache_thrash(unsigned int threads, unsigned int scale);
void mstress(unsigned int threads, unsigned int scale);
void sh6bench(unsigned int threads, unsigned int scale);
void sh8bench(unsigned int threads, unsigned int scale);
void alloc_test(unsigned int threads, unsigned int scale);
void malloc_large(unsigned int threads, unsigned int scale);
void glibc_simple(unsigned int threads, unsigned int scale);
void glibc_thread(unsigned int threads, unsigned int scale);
void rptest(unsigned int threads, unsigned int scale);
void mleak(unsigned int threads, unsigned int scale);
void phases(unsigned int threads, unsigned int scale);
void sparse(unsigned int threads, unsigned int scale);
void cfrac(unsigned int threads, unsigned int scale);

#endif /* WORKLOAD_H */
