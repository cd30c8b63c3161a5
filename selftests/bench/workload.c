// SPDX-License-Identifier: GPL-2.0
/* workload NAME [THREADS] [SCALE]: run a program that allocates, and say what it took. */
#include <pthread.h>
#include <unistd.h>

#include "workload.h"

void wrong(const char *what)
{
	fprintf(stderr, "workload: %s\n", what);
	exit(1);
}

static size_t live;

void live_phase_ends(void)
{
	live = resident_bytes();
}

void *checked(void *memory)
{
	if (!memory)
		wrong("out of memory");
	return memory;
}

void block_fill(struct block *block, size_t size)
{
	block->size = size;
	block->size_again = ~size;
	memset(block->bytes, size, size - sizeof(*block));
}

static bool all_are(const unsigned char *bytes, size_t count, unsigned char value)
{
	/* each is like the one before */
	return !count || (bytes[0] == value && !memcmp(bytes, bytes + 1, count - 1));
}

static void block_check(const struct block *block)
{
	if (block->size_again != ~block->size)
		wrong("the head of a block has changed");
	if (!all_are(block->bytes, block->size - sizeof(*block), block->size))
		wrong("a byte of a block has changed");
}

struct block *block_new(size_t size)
{
	struct block *block = checked(malloc(size));

	block_fill(block, size);
	return block;
}

void block_free(struct block *block)
{
	if (!block)
		return;
	block_check(block);
	free(block);
}

struct block *block_resize(struct block *block, size_t size)
{
	uint32_t old = block->size;
	size_t kept = size < old ? size : old;

	block_check(block);
	block = checked(realloc(block, size));
	if (block->size != old || !all_are(block->bytes, kept - sizeof(*block), old))
		wrong("realloc lost a byte of a block");
	block_fill(block, size);
	return block;
}

void run_threads(unsigned int threads, void *(*main)(void *arg))
{
	pthread_t ids[MAX_THREADS];
	uintptr_t i;

	for (i = 0; i < threads; i++)
		if (pthread_create(&ids[i], NULL, main, (void *)i))
			wrong("no more threads");
	for (i = 0; i < threads; i++)
		pthread_join(ids[i], NULL);
}

static const struct workload {
	const char *name;
	void (*run)(unsigned int threads, unsigned int scale);
	unsigned int threads;
} workloads[] = {
	{ "larson", larson, 2 },
	{ "xmalloc", xmalloc, 2 },
	{ "cache-scratch", cache_scratch, 2 },
	{ "cache-thrash", cache_thrash, 2 },
	{ "mstress", mstress, 2 },
	{ "sh6bench", sh6bench, 1 },
	{ "sh8bench", sh8bench, 2 },
	{ "alloc-test", alloc_test, 1 },
	{ "malloc-large", malloc_large, 1 },
	{ "glibc-simple", glibc_simple, 1 },
	{ "glibc-thread", glibc_thread, 2 },
	{ "rptest", rptest, 2 },
	{ "mleak", mleak, 2 },
	{ "phases", phases, 1 },
	{ "sparse", sparse, 1 },
	{ "cfrac", cfrac, 1 },
};

static size_t peak_blocks(void)
{
	unsigned long kib = 0;
	char line[256];
	FILE *file = fopen("/proc/self/status", "r");

	while (file && fgets(line, sizeof(line), file) && !kib)
		sscanf(line, "VmHWM: %lu kB", &kib);
	if (!file || !kib)
		wrong("/proc/self/status cannot be read");
	fclose(file);
	/* the kernel counts both by rough batches */
	return kib * 1024 > live ? kib * 1024 : live;
}

static unsigned int number(const char *word, unsigned int max)
{
	char *end;
	unsigned long value = strtoul(word, &end, 10);

	if (!*word || *end || !value || value > max) {
		fprintf(stderr, "workload: %s is no number of 1 to %u\n", word, max);
		exit(1);
	}
	return value;
}

int main(int argc, char **argv)
{
	const struct workload *workload = NULL;
	size_t before = resident_bytes(), left;
	uint64_t begun;
	size_t i;

	for (i = 0; argc > 1 && i < ARRAY_SIZE(workloads); i++)
		if (!strcmp(workloads[i].name, argv[1]))
			workload = &workloads[i];
	if (!workload || argc > 4) {
		fputs("Usage: workload NAME [THREADS] [SCALE]\n"
		      "Prints seconds; MiB resident before all is freed, and at most; and what is\n"
		      "left of it two seconds after the end. SCALE is 100 unless told.\n"
		      "Exit status: 0, or 1 if a block was not as it was left.\n"
		      "NAME:", stderr);
		for (i = 0; i < ARRAY_SIZE(workloads); i++)
			fprintf(stderr, " %s", workloads[i].name);
		fputc('\n', stderr);
		return 1;
	}
	begun = clock_ns();
	workload->run(argc > 2 ? number(argv[2], MAX_THREADS) : workload->threads,
		      argc > 3 ? number(argv[3], 10000) : 100);
	say("seconds", (clock_ns() - begun) / 1e9);
	say("live", live / (double)MIB);
	say("peak", peak_blocks() / (double)MIB);
	/* some allocators give memory back by and by */
	sleep(2);
	left = resident_bytes();
	say("left", left > before ? (left - before) / (double)MIB : 0);
	puts("");
	return 0;
}
