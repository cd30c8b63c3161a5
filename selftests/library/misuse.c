// SPDX-License-Identifier: GPL-2.0
/*
 * Uses memory of an expert correctly, or makes one mistake, so that valgrind or
 * AddressSanitizer can report it. It is no test: sanitizer_test runs it under valgrind, and
 * built with AddressSanitizer.
 */
#include <expertmem.h>

#include "expertmem_test.h"

static volatile unsigned char sink;
static HEXPERTKEY key;

/* Out of line, or the compiler sees the mistakes that are made. */
static __attribute__((noinline)) volatile unsigned char *get(size_t size)
{
	return ExpertAllocMemory(key, size, NULL);
}

static volatile unsigned char *resize(volatile unsigned char *block, size_t size)
{
	return ExpertReallocMemory(key, (void *)block, size, NULL);
}

static void put(volatile unsigned char *block)
{
	if (ExpertFreeMemory(key, (void *)block) != NMERR_SUCCESS)
		exit(3);
}

/* Every byte of it is ours. */
static void use(volatile unsigned char *block, size_t size)
{
	size_t i;

	for (i = 0; i < size; i++)
		block[i] = i;
	for (i = 0; i < size; i++)
		sink = block[i];
}

static void read_behind(size_t size)
{
	sink = get(size)[size];
}

static void write_behind(size_t size)
{
	get(size)[size] = 1;
}

static void read_before(size_t size)
{
	get(size);
	get(size);
	sink = get(size)[-1];
}

static void read_freed(size_t size)
{
	volatile unsigned char *block = get(size);

	block[0] = 1;
	put(block);
	sink = block[0];
}

static void write_freed(size_t size)
{
	volatile unsigned char *block = get(size);

	put(block);
	block[size - 1] = 1;
}

static void read_moved(size_t size)
{
	volatile unsigned char *block = get(size);

	use(block, size);
	if (resize(block, 100 * size + 100000) != block)
		sink = block[0];
}

static void read_behind_shrunk(size_t size)
{
	volatile unsigned char *block = get(size);

	use(block, size);
	sink = resize(block, size - 1)[size - 1];
}

/* None: also where memory is used again, by the same expert, by others, or by nobody. */
static void clean(size_t size)
{
	volatile unsigned char *blocks[200];
	volatile unsigned char *block;
	size_t i, round;

	for (round = 0; round < 3; round++) {
		for (i = 0; i < 200; i++) {
			blocks[i] = get(size + i);
			use(blocks[i], size + i);
		}
		for (i = 0; i < 200; i++) {
			blocks[i] = resize(blocks[i], round ? size / 2 + i : size + i + 1);
			use(blocks[i], round ? size / 2 + i : size + i + 1);
			blocks[i] = resize(blocks[i], size + 30);
			use(blocks[i], size + 30);
		}
		for (i = 0; i < 200; i++)
			put(blocks[i]);
		if (expertmem_trim(key, NULL))
			exit(3);
	}
	block = get(2 * size + 40000);
	use(block, 2 * size + 40000);
	if (expertmem_close(key))
		exit(3);
	/* the addresses are anybody's now */
	for (i = 0; i < 200; i++) {
		void *page = (void *)((uintptr_t)(i < 199 ? blocks[i] : block) & -PAGE);

		page = mmap(page, PAGE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
		if (page != MAP_FAILED)
			use(page, PAGE);
	}
	if (expertmem_open(NULL, &key))
		exit(3);
	use(get(size), size);
}

static const struct {
	const char *name;
	void (*make)(size_t size);
} mistakes[] = {
	{ "clean", clean },
	{ "read-behind", read_behind },
	{ "write-behind", write_behind },
	{ "read-before", read_before },
	{ "read-freed", read_freed },
	{ "write-freed", write_freed },
	{ "read-moved", read_moved },
	{ "read-behind-shrunk", read_behind_shrunk },
};

int main(int argc, char **argv)
{
	size_t i;

	for (i = 0; argc == 3 && i < COUNT_OF(mistakes); i++) {
		if (strcmp(argv[1], mistakes[i].name))
			continue;
		if (expertmem_open(NULL, &key))
			return 3;
		mistakes[i].make(strtoul(argv[2], NULL, 0));
		return 0;
	}
	fprintf(stderr, "Usage: misuse MISTAKE SIZE\n\nMISTAKE is one of");
	for (i = 0; i < COUNT_OF(mistakes); i++)
		fprintf(stderr, " %s", mistakes[i].name);
	fprintf(stderr, ".\n");
	return 2;
}
