// SPDX-License-Identifier: GPL-2.0
/*
 * What a bad pointer costs, by kind and call, against a good pair: bad LIVE, where LIVE
 * blocks are live. Of each kind there are ten pointers, whatever LIVE is, so that only the
 * heap can make a difference. Every answer is checked.
 */
#include <sys/mman.h>

#include <expertmem.h>

#include "bench.h"

#define TIMES		1000
#define POINTERS	10
/* "freed" and "end" have a class to themselves, that good pairs do not use */
#define ODD		200
#define LARGE		(1UL << 20)

static HEXPERTKEY expert, other;
static void **live;
static size_t lives;

static void *get(HEXPERTKEY key, size_t size)
{
	DWORD error;
	void *block = ExpertAllocMemory(key, size, &error);

	if (!block)
		die("out of memory");
	use(block, size);
	return block;
}

/* The i-th of ten blocks, from all over the heap. */
static char *one_of(int i)
{
	return live[i * lives / POINTERS];
}

static void *unmapped(int i)
{
	char *page = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	munmap(page, PAGE);
	return page + i * 16;
}

static void *interior(int i)
{
	return one_of(i) + 16;
}

static void *before(int i)
{
	return one_of(i) - 16;
}

static void *end(int i)
{
	(void)i;
	return (char *)get(expert, ODD) + ODD;
}

static void *freed(int i)
{
	void *block = get(expert, ODD);

	(void)i;
	get(expert, ODD);	/* keeps what it is in from being given back */
	ExpertFreeMemory(expert, block);
	return block;
}

static void *inside_large(int i)
{
	static char *large;

	if (!large)
		large = get(expert, LARGE);
	return large + (i + 1) * PAGE;
}

static void *others(int i)
{
	(void)i;
	return get(other, 64);
}

static void *on_stack(int i)
{
	return (char *)__builtin_frame_address(0) - i * 16;
}

static void *in_static(int i)
{
	static char bytes[POINTERS * 16];

	return bytes + i * 16;
}

static void *null_page(int i)
{
	return (void *)(16UL + i * 16);
}

static void *non_canonical(int i)
{
	return (void *)((1UL << 63) + i * PAGE);
}

static struct kind {
	const char *name;
	void *(*make)(int i);
	DWORD error;
	void *pointers[POINTERS];
} kinds[] = {
	{ .name = "interior", .make = interior },
	{ .name = "p-16", .make = before },
	{ .name = "end", .make = end },
	{ .name = "freed", .make = freed },
	{ .name = "inside_large", .make = inside_large },
	{ .name = "other_expert", .make = others, .error = NMERR_ACCESS_DENIED },
	{ .name = "stack", .make = on_stack },
	{ .name = "static", .make = in_static },
	{ .name = "unmapped", .make = unmapped },
	{ .name = "null_page", .make = null_page },
	{ .name = "non_canonical", .make = non_canonical },
};

static bool bad_free(void *pointer, DWORD error)
{
	return ExpertFreeMemory(expert, pointer) == error;
}

static bool bad_realloc(void *pointer, DWORD expected)
{
	DWORD error;

	return !ExpertReallocMemory(expert, pointer, 100, &error) && error == expected;
}

static bool bad_size(void *pointer, DWORD error)
{
	(void)error;
	return !ExpertMemorySize(expert, pointer);
}

static const struct {
	const char *name;
	bool (*call)(void *pointer, DWORD error);
} calls[] = {
	{ "free", bad_free },
	{ "realloc", bad_realloc },
	{ "size", bad_size },
};

static bool good_pair(void *pointer, DWORD error)
{
	(void)pointer;
	return ExpertFreeMemory(expert, get(expert, 64)) == error;
}

static double cost(bool (*call)(void *pointer, DWORD error), void **pointers, DWORD error)
{
	uint64_t least = UINT64_MAX, spent;
	int slice, i;

	for (slice = 0; slice < SLICES; slice++) {
		spent = clock_ns();
		for (i = 0; i < TIMES; i++)
			if (!call(pointers[i % POINTERS], error))
				die("a call gave another answer than it must");
		spent = clock_ns() - spent;
		if (spent < least)
			least = spent;
	}
	return least / (double)TIMES;
}

static void round_of_all(void)
{
	char name[64];
	size_t k, c;

	say("pair", cost(good_pair, kinds[0].pointers, NMERR_SUCCESS));
	for (k = 0; k < ARRAY_SIZE(kinds); k++) {
		for (c = 0; c < ARRAY_SIZE(calls); c++) {
			snprintf(name, sizeof(name), "%s.%s", calls[c].name, kinds[k].name);
			say(name, cost(calls[c].call, kinds[k].pointers, kinds[k].error));
		}
	}
}

static void setup(void)
{
	struct expertmem_options options = { .name = "bench" };
	uint64_t seed = 3;
	size_t i, k;

	live = malloc(lives * sizeof(*live));
	if (!live || expertmem_open(&options, &expert) || expertmem_open(&options, &other))
		die("expertmem_open failed");
	for (i = 0; i < lives; i++)
		live[i] = get(expert, random_between(&seed, 64, 256));
	for (k = 0; k < ARRAY_SIZE(kinds); k++) {
		if (!kinds[k].error)
			kinds[k].error = NMERR_INVALID_PARAMETER;
		for (i = 0; i < POINTERS; i++)
			kinds[k].pointers[i] = kinds[k].make(i);
	}
}

int main(int argc, char **argv)
{
	lives = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
	if (lives < POINTERS)
		die("how many blocks are live? 10 at least");
	setup();
	return serve(round_of_all);
}
