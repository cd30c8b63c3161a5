/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Shared by the tests of libexpertmem: a fixture with an expert on either backend, calls
 * that poison the memory that they fill in, and blocks filled with a pattern.
 */
#ifndef LIBRARY_TEST_H
#define LIBRARY_TEST_H

#include <sys/resource.h>

#include <expertmem.h>

#include "harness.h"
#include "expertmem_test.h"

#define POISON32	0xa5a5a5a5U

/* volatile: or the compiler warns that no block can be that large */
static const volatile size_t too_large = SIZE_MAX;

FIXTURE(expert) {
	HEXPERTKEY key;
};

FIXTURE_VARIANT(expert) {
	enum expertmem_backend backend;
};

FIXTURE_VARIANT_ADD(expert, anon) {
	.backend = EXPERTMEM_BACKEND_ANON,
};

FIXTURE_VARIANT_ADD(expert, device) {
	.backend = EXPERTMEM_BACKEND_DEVICE,
};

/* $TEST_BACKEND=device leaves private memory out, which the same test tries without a VM. */
#define NEED_BACKEND(backend)							\
	do {									\
		const char *only = getenv("TEST_BACKEND");			\
										\
		if ((backend) == EXPERTMEM_BACKEND_DEVICE)			\
			NEED_DEVICE();						\
		else if (only && !strcmp(only, "device"))			\
			SKIP_TEST("TEST_BACKEND is device");			\
	} while (0)

/* For what looks at windows in whole: under RLIMIT_AS they are mapped in parts. */
#define NEED_WHOLE_WINDOWS()							\
	do {									\
		struct rlimit limit;						\
										\
		if (!getrlimit(RLIMIT_AS, &limit) && limit.rlim_cur != RLIM_INFINITY) \
			SKIP(return, "RLIMIT_AS is set (ulimit -v): windows are mapped in parts"); \
	} while (0)

/* qemu-user refuses calls of the module before it looks at the descriptor. */
#define NEED_REAL_KERNEL(why)							\
	do {									\
		struct expertmem_info info;					\
										\
		if (ioctl(-1, EXPERTMEM_IOC_GET_INFO, &info) && errno != EBADF)	\
			SKIP(return, "this is qemu-user: " why);		\
	} while (0)

/* A new expert, NULL if there is none to be had. */
static inline HEXPERTKEY open_expert(enum expertmem_backend backend, uint64_t limit,
				     unsigned int flags)
{
	struct expertmem_options options = {
		.name = "library", .backend = backend, .limit = limit, .flags = flags,
	};
	HEXPERTKEY key = NULL;

	expertmem_open(&options, &key);
	return key;
}

FIXTURE_SETUP(expert)
{
	NEED_BACKEND(variant->backend);
	self->key = open_expert(variant->backend, 0, 0);
	ASSERT_NE(NULL, self->key);
}

FIXTURE_TEARDOWN(expert)
{
	if (self->key)
		EXPECT_EQ(EXPERTMEM_OK, expertmem_close(self->key));
}

/* For what only the device can do. */
FIXTURE(device) {
	HEXPERTKEY key;
};

FIXTURE_SETUP(device)
{
	NEED_DEVICE();
	self->key = open_expert(EXPERTMEM_BACKEND_DEVICE, 0, 0);
	ASSERT_NE(NULL, self->key);
}

FIXTURE_TEARDOWN(device)
{
	EXPECT_EQ(EXPERTMEM_OK, expertmem_close(self->key));
}
/* ------------------------------------------------------------ calls and answers */

/* What a call that returns a block said. */
struct answer {
	unsigned char *block;
	DWORD error;
};

static inline struct answer alloc(HEXPERTKEY key, size_t size)
{
	struct answer answer = { .error = POISON32 };

	answer.block = ExpertAllocMemory(key, size, &answer.error);
	return answer;
}

static inline struct answer resize(HEXPERTKEY key, void *block, size_t size)
{
	struct answer answer = { .error = POISON32 };

	answer.block = ExpertReallocMemory(key, block, size, &answer.error);
	return answer;
}

/* Is that the answer of a call that failed, with this code? */
static inline bool says(struct answer answer, DWORD code)
{
	return !answer.block && answer.error == code;
}

/* A block; NULL also where there is one but the code is wrong. */
static inline unsigned char *get(HEXPERTKEY key, size_t size)
{
	struct answer answer = alloc(key, size);

	return answer.error == NMERR_SUCCESS ? answer.block : NULL;
}

/* The code with which every call refuses a pointer; ~0 if they do not agree. */
static inline DWORD refused(HEXPERTKEY key, void *p)
{
	static const size_t sizes[] = { 0, 1, 64, 4096, 100000 };
	DWORD code = ExpertFreeMemory(key, p);
	size_t i;

	if (ExpertMemorySize(key, p))
		return ~0U;
	for (i = 0; i < COUNT_OF(sizes); i++)
		if (!says(resize(key, p, sizes[i]), code))
			return ~0U;
	return code;
}

/* Statistics that could not be had are all poison, which no test expects. */
static inline struct expertmem_heap_stats stats_of(HEXPERTKEY key)
{
	struct expertmem_heap_stats stats;

	memset(&stats, POISON, sizeof(stats));
	expertmem_heap_stats(key, &stats);
	return stats;
}

/* ------------------------------------------------------------ blocks and patterns */

struct block {
	unsigned char *at;
	size_t size;
	uint64_t seed;
};

static inline uint64_t random_next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state >> 11;
}

static inline unsigned char pattern(uint64_t seed, size_t i)
{
	return (uint32_t)(seed ^ i) * 0x9e3779b1U >> 24;
}

/* All bytes of the first 16 KiB, then some. */
static inline size_t step(size_t i)
{
	return i + (i < 16 * KIB ? 1 : 32749);
}

static inline void fill(const struct block *block)
{
	size_t i;

	for (i = 0; i < block->size; i = step(i))
		block->at[i] = pattern(block->seed, i);
	if (block->size)
		block->at[block->size - 1] = pattern(block->seed, block->size - 1);
}

/* Are the first @size bytes those that fill() wrote? */
static inline bool filled(const struct block *block, size_t size)
{
	size_t i;

	for (i = 0; i < size; i = step(i))
		if (block->at[i] != pattern(block->seed, i))
			return false;
	return !size || size != block->size ||
	       block->at[size - 1] == pattern(block->seed, size - 1);
}

/* Is that block there as it was filled? */
static inline bool intact(HEXPERTKEY key, const struct block *block)
{
	return ExpertMemorySize(key, block->at) == block->size && filled(block, block->size);
}

static inline int by_address(const void *a, const void *b)
{
	const struct block *left = a, *right = b;

	return (left->at > right->at) - (left->at < right->at);
}

/* Sorts them. A block of size 0 has an address of its own too. */
static inline bool disjoint(struct block *blocks, size_t count)
{
	size_t i;

	qsort(blocks, count, sizeof(*blocks), by_address);
	for (i = 1; i < count; i++)
		if (blocks[i].at < blocks[i - 1].at + blocks[i - 1].size + !blocks[i - 1].size)
			return false;
	return true;
}

/* What expertmem_walk() visits. */
struct visited {
	struct block *blocks;
	size_t count, room;
};

static inline int visit(void *block, size_t size, void *arg)
{
	struct visited *visited = arg;

	if (visited->count == visited->room)
		return -1;
	visited->blocks[visited->count].at = block;
	visited->blocks[visited->count++].size = size;
	return 0;
}

/* Sorts @blocks. Are exactly these live, for the walk and the statistics? */
static inline bool are_all(HEXPERTKEY key, struct block *blocks, size_t count)
{
	struct expertmem_heap_stats stats = stats_of(key);
	struct visited visited = { .room = count };
	uint64_t bytes = 0;
	bool same;
	size_t i;

	visited.blocks = calloc(count + 1, sizeof(*blocks));
	same = expertmem_walk(key, visit, &visited) == 0 && visited.count == count &&
	       disjoint(visited.blocks, count) && disjoint(blocks, count);
	for (i = 0; i < count && same; i++) {
		same = visited.blocks[i].at == blocks[i].at &&
		       visited.blocks[i].size == blocks[i].size;
		bytes += blocks[i].size;
	}
	free(visited.blocks);
	return same && stats.live_blocks == count && stats.live_bytes == bytes;
}

/* Blocks of every kind, with freed ones between them. */
static const size_t sizes[] = {
	0, 1, 15, 16, 17, 48, 100, 128, 129, 1000, 1024, 2048, 3584, 3585, 4095, 4096, 4097,
	8192, 20480, 20481, 32767, 32768, 32769, 65536, 100000, MIB, 2 * MIB, 3 * MIB + 1,
};

#define CROWD	(6 * COUNT_OF(sizes))

struct crowd {
	HEXPERTKEY key;
	struct block blocks[CROWD];
};

static inline bool crowd_make(struct crowd *crowd, HEXPERTKEY key)
{
	unsigned char *freed[COUNT_OF(sizes)];
	size_t i;

	crowd->key = key;
	for (i = 0; i < CROWD; i++) {
		struct block *block = &crowd->blocks[i];

		if (i < COUNT_OF(sizes))
			freed[i] = get(key, sizes[i]);
		*block = (struct block){
			.size = sizes[i % COUNT_OF(sizes)], .seed = i,
		};
		block->at = get(key, block->size);
		if (!block->at)
			return false;
		fill(block);
	}
	for (i = 0; i < COUNT_OF(sizes); i++)
		if (ExpertFreeMemory(key, freed[i]))
			return false;
	return true;
}

static inline bool crowd_has(const struct crowd *crowd, const void *p)
{
	size_t i;

	for (i = 0; i < CROWD; i++)
		if (crowd->blocks[i].at == p)
			return true;
	return false;
}

/* Nothing has changed, and the heap goes on. */
static inline bool crowd_is_well(struct crowd *crowd)
{
	size_t i;

	if (!are_all(crowd->key, crowd->blocks, CROWD))
		return false;
	for (i = 0; i < CROWD; i++)
		if (!intact(crowd->key, &crowd->blocks[i]))
			return false;
	for (i = 0; i < COUNT_OF(sizes); i++) {
		struct block block = { get(crowd->key, sizes[i]), sizes[i], ~i };

		if (!block.at || crowd_has(crowd, block.at))
			return false;
		fill(&block);
		if (!intact(crowd->key, &block) || ExpertFreeMemory(crowd->key, block.at))
			return false;
	}
	return are_all(crowd->key, crowd->blocks, CROWD);
}

#endif /* LIBRARY_TEST_H */
