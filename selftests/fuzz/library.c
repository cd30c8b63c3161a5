// SPDX-License-Identifier: GPL-2.0
/*
 * libexpertmem under libFuzzer: each input is a sequence of calls, many of them with
 * pointers and keys that are no one's, compared with a model of what they should do.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <expertmem.h>

#include "input.h"

#define EXPERTS	3
#define BLOCKS	16
#define OLD	16

struct block {
	unsigned char *at;
	size_t size;
	unsigned char seed;
};

/**
 * struct expert - what is known of an expert
 * @key: NULL: not open
 * @limit: 0: none
 * @terminating: it was asked to stop
 * @reclaimed: its memory is gone
 * @blocks: those with an address are live
 * @count: how many
 * @bytes: in them
 */
struct expert {
	HEXPERTKEY key;
	uint64_t limit;
	bool terminating, reclaimed;
	struct block blocks[BLOCKS];
	size_t count, bytes;
};

static struct expert experts[EXPERTS];
static unsigned char *freed[OLD];
static HEXPERTKEY closed[OLD];
static unsigned int nr_freed, nr_closed;
static unsigned char seed;

/* ------------------------------------------------------------------------- input */

static size_t word(void)
{
	size_t i, n = 0;

	for (i = 0; i < sizeof(n); i++)
		n = n << 8 | byte();
	return n;
}

/* Every kind of size, and those around which kinds change. */
static size_t any_size(void)
{
	static const size_t edges[] = {
		0, 16, 128, 1024, 3584, 4096, 20480, 32768, 65536, 131072, 262144, 1UL << 20,
		2UL << 20, 4UL << 20, SIZE_MAX, SIZE_MAX / 2, 1UL << 40, 1UL << 46,
	};
	unsigned int kind = byte();

	switch (kind % 4) {
	case 0:
		return edges[kind / 4 % (sizeof(edges) / sizeof(edges[0]))] + byte() % 5 - 2;
	case 1:
		return byte();
	case 2:
		return byte() << 8 | byte();
	default:
		return (byte() << 16 | byte() << 8 | byte()) % (6U << 20);
	}
}

/* ------------------------------------------------------------------------- model */

/* All bytes of small blocks, the ends of large ones. */
static size_t after(const struct block *block, size_t i)
{
	return i == 4095 && block->size > 3 * 4096 ? block->size - 4096 : i + 1;
}

static void fill(struct block *block)
{
	size_t i;

	block->seed = ++seed;
	for (i = 0; i < block->size; i = after(block, i))
		block->at[i] = block->seed + i;
}

static void look_at(const struct expert *expert, const struct block *block)
{
	size_t i;

	if (expert->reclaimed)
		return;
	CHECK(ExpertMemorySize(expert->key, block->at) == block->size);
	for (i = 0; i < block->size; i = after(block, i))
		CHECK(block->at[i] == (unsigned char)(block->seed + i));
}

static const struct block *find(const struct expert *expert, const void *p)
{
	size_t i;

	for (i = 0; i < BLOCKS; i++)
		if (expert->blocks[i].at && expert->blocks[i].at == p)
			return &expert->blocks[i];
	return NULL;
}

static void enter(struct expert *expert, struct block *block, unsigned char *at, size_t size)
{
	size_t i, e;

	CHECK((uintptr_t)at % (size < 4096 ? 16 : 4096) == 0);
	for (e = 0; e < EXPERTS; e++)
		for (i = 0; i < BLOCKS; i++) {
			const struct block *other = &experts[e].blocks[i];

			CHECK(!other->at || at + size + !size <= other->at ||
			      other->at + other->size + !other->size <= at);
		}
	block->at = at;
	block->size = size;
	expert->count++;
	expert->bytes += size;
	fill(block);
}

static void leave(struct expert *expert, struct block *block)
{
	freed[nr_freed++ % OLD] = block->at;
	block->at = NULL;
	expert->count--;
	expert->bytes -= block->size;
}

/* What a call that returns no block may say. */
static void check_refusal(const struct expert *expert, DWORD error, size_t size)
{
	if (expert->terminating || expert->reclaimed) {
		CHECK(error == NMERR_EXPERT_TERMINATE);
		return;
	}
	CHECK(error == NMERR_OUT_OF_MEMORY);
	CHECK(expert->limit || size > 64UL << 20);
}

/* -------------------------------------------------------------------------- calls */

static void open_expert(struct expert *expert)
{
	static const uint64_t limits[] = { 0, 1UL << 16, 1UL << 20, 16UL << 20 };
	struct expertmem_options options = {
		.name = "fuzz",
		.backend = EXPERTMEM_BACKEND_ANON,
		.limit = limits[byte() % 4],
		.flags = byte() % 2 ? EXPERTMEM_NO_HUGE : 0,
	};

	if (expert->key)
		return;
	memset(expert, 0, sizeof(*expert));
	CHECK(expertmem_open(&options, &expert->key) == EXPERTMEM_OK);
	expert->limit = options.limit;
}

static void close_expert(struct expert *expert)
{
	size_t i;

	for (i = 0; i < BLOCKS; i++)
		if (expert->blocks[i].at)
			leave(expert, &expert->blocks[i]);
	CHECK(expertmem_close(expert->key) == EXPERTMEM_OK);
	closed[nr_closed++ % OLD] = expert->key;
	expert->key = NULL;
}

static void alloc(struct expert *expert, struct block *block)
{
	size_t size = any_size();
	DWORD error = 1;
	void *p;

	if (block->at)
		return;
	p = ExpertAllocMemory(expert->key, size, &error);
	if (p) {
		CHECK(error == NMERR_SUCCESS && !expert->terminating && !expert->reclaimed);
		enter(expert, block, p, size);
	} else {
		check_refusal(expert, error, size);
	}
}

static void free_block(struct expert *expert, struct block *block)
{
	SIZE_T code;

	look_at(expert, block);
	code = ExpertFreeMemory(expert->key, block->at);
	CHECK(code == (expert->terminating || expert->reclaimed ? NMERR_EXPERT_TERMINATE :
								  NMERR_SUCCESS));
	if (!expert->reclaimed)
		leave(expert, block);
}

static void resize_block(struct expert *expert, struct block *block)
{
	size_t size = any_size(), kept = size < block->size ? size : block->size;
	struct block old = *block, both;
	DWORD error = 1;
	unsigned char *p;
	size_t i;

	look_at(expert, block);
	p = ExpertReallocMemory(expert->key, block->at, size, &error);
	if (!p) {
		check_refusal(expert, error, size);
		CHECK(size > old.size || error == NMERR_EXPERT_TERMINATE);
		look_at(expert, block);
		return;
	}
	CHECK(error == NMERR_SUCCESS && !expert->terminating && !expert->reclaimed);
	both = (struct block){ p, old.size, old.seed };
	for (i = 0; i < kept; i = after(&both, i))
		CHECK(p[i] == (unsigned char)(old.seed + i));
	leave(expert, block);
	enter(expert, block, p, size);
}

/* Something that is no block of the expert's, but may be another one's. */
static unsigned char *any_pointer(const struct block *block)
{
	static unsigned char global[64];
	uintptr_t at = (uintptr_t)block->at;
	unsigned char local;

	switch (byte() % 10) {
	case 0:
		at += byte();
		break;
	case 1:
		at -= byte();
		break;
	case 2:
		at += block->size;
		break;
	case 3:
		return freed[byte() % OLD];
	case 4:
		at = word();
		break;
	case 5:
		at = (uintptr_t)&local;
		break;
	case 6:
		return global + byte() % sizeof(global);
	case 7:
		at ^= 1UL << byte() % 48;
		break;
	default:
		return experts[byte() % EXPERTS].blocks[byte() % BLOCKS].at;
	}
	/* cppcheck-suppress returnDanglingLifetime; it is to be refused */
	/* NOLINTNEXTLINE(clang-analyzer-core.StackAddressEscape): the same */
	return (unsigned char *)at;
}

static void bad_pointer(struct expert *expert, const struct block *block)
{
	unsigned char *p = any_pointer(block);
	SIZE_T code = NMERR_INVALID_PARAMETER;
	DWORD error = 1;
	size_t i;

	for (i = 0; i < EXPERTS; i++) {
		if (!find(&experts[i], p))
			continue;
		if (&experts[i] == expert)
			return;
		if (!experts[i].reclaimed)
			code = NMERR_ACCESS_DENIED;
	}
	if (!p)
		code = NMERR_SUCCESS;
	else if (expert->reclaimed)
		code = NMERR_EXPERT_TERMINATE;
	CHECK(ExpertFreeMemory(expert->key, p) == code);
	CHECK(ExpertMemorySize(expert->key, p) == 0);
	if (!p)
		return;
	CHECK(!ExpertReallocMemory(expert->key, p, any_size(), &error));
	CHECK(error == (expert->terminating ? NMERR_EXPERT_TERMINATE : code));
}

static void bad_key(unsigned char *p)
{
	HEXPERTKEY key = byte() % 2 ? closed[byte() % OLD] : (HEXPERTKEY)word();
	struct expertmem_heap_stats stats;
	DWORD error = 1;
	size_t i;

	for (i = 0; i < EXPERTS; i++)
		if (experts[i].key && experts[i].key == key)
			return;
	CHECK(!ExpertAllocMemory(key, any_size(), &error));
	CHECK(error == NMERR_INVALID_EXPERT_HANDLE);
	CHECK(!ExpertReallocMemory(key, p, any_size(), &error));
	CHECK(error == NMERR_INVALID_EXPERT_HANDLE);
	CHECK(ExpertFreeMemory(key, p) == NMERR_INVALID_EXPERT_HANDLE);
	CHECK(ExpertMemorySize(key, p) == 0);
	CHECK(expertmem_heap_stats(key, &stats) == EXPERTMEM_E_KEY);
	CHECK(expertmem_trim(key, NULL) == EXPERTMEM_E_KEY);
	CHECK(expertmem_reclaim(key, NULL) == EXPERTMEM_E_KEY);
	CHECK(expertmem_terminate(key) == EXPERTMEM_E_KEY);
	CHECK(expertmem_close(key) == EXPERTMEM_E_KEY);
}

static int visit(void *p, size_t size, void *arg)
{
	const struct block *block = find(arg, p);

	CHECK(block && block->size == size);
	return 0;
}

static void look_around(struct expert *expert)
{
	struct expertmem_heap_stats stats;
	size_t i;

	CHECK(expertmem_heap_stats(expert->key, &stats) == EXPERTMEM_OK);
	CHECK(stats.live_blocks == expert->count && stats.live_bytes == expert->bytes);
	CHECK(stats.peak_blocks >= expert->bytes && stats.limit == expert->limit);
	CHECK(!expert->limit || stats.peak <= expert->limit);
	CHECK(stats.terminating == expert->terminating);
	CHECK(stats.reclaimed_now == expert->reclaimed);
	CHECK(expertmem_walk(expert->key, visit, expert) == 0);
	for (i = 0; i < BLOCKS; i++)
		if (expert->blocks[i].at)
			look_at(expert, &expert->blocks[i]);
}

static void step(void)
{
	unsigned int call = byte();
	struct expert *expert = &experts[byte() % EXPERTS];
	struct block *block = &expert->blocks[byte() % BLOCKS];

	if (!expert->key) {
		if (call % 4 == 0)
			bad_key(freed[call % OLD]);
		open_expert(expert);
		return;
	}
	switch (call % 32) {
	case 0 ... 9:
		alloc(expert, block);
		break;
	case 10 ... 15:
		if (block->at)
			free_block(expert, block);
		break;
	case 16 ... 21:
		if (block->at)
			resize_block(expert, block);
		break;
	case 22 ... 25:
		bad_pointer(expert, block);
		break;
	case 26:
		bad_key(block->at);
		break;
	case 27:
		CHECK(expertmem_trim(expert->key, NULL) == EXPERTMEM_OK);
		break;
	case 28:
		look_around(expert);
		break;
	case 29:
		CHECK(expertmem_terminate(expert->key) == EXPERTMEM_OK);
		expert->terminating = true;
		break;
	case 30:
		CHECK(expertmem_reclaim(expert->key, NULL) == EXPERTMEM_OK);
		expert->reclaimed = true;
		break;
	default:
		close_expert(expert);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t i;

	input = data;
	input_end = data + size;
	memset(freed, 0, sizeof(freed));
	seed = 0;
	while (input < input_end)
		step();
	for (i = 0; i < EXPERTS; i++) {
		if (!experts[i].key)
			continue;
		look_around(&experts[i]);
		close_expert(&experts[i]);
	}
	return 0;
}
