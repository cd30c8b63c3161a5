/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the programs that measure share. Each is told "go" for every round, so that a
 * driver can run many in turn, all warm: whatever slows the machine down slows all.
 */
#ifndef BENCH_H
#define BENCH_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PAGE	4096UL
#define MIB	(1UL << 20)

#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))

/* A round is cut into slices, and the best counts: most interruptions miss it. */
#define SLICES	5

static inline void die(const char *what)
{
	fprintf(stderr, "bench: %s\n", what);
	exit(1);
}

static inline uint64_t clock_ns(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC_RAW, &time);
	return time.tv_sec * 1000000000ULL + time.tv_nsec;
}

static inline void say(const char *what, double value)
{
	printf("%s=%.4f ", what, value);
}

/* xorshift; seeds are fixed, so that every allocator is asked for the same */
static inline uint32_t random_next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state >> 32;
}

static inline uint32_t random_between(uint64_t *state, uint32_t min, uint32_t max)
{
	return min + random_next(state) % (max - min + 1);
}

/* as a program would, which wants memory to put something there */
static inline void use(void *block, size_t size)
{
	((volatile char *)block)[0] = 1;
	((volatile char *)block)[size - 1] = 1;
}

static inline size_t resident_bytes(void)
{
	unsigned long pages = 0;
	char line[128] = "";
	FILE *file = fopen("/proc/self/statm", "r");

	if (!file || !fgets(line, sizeof(line), file) || sscanf(line, "%*u %lu", &pages) != 1)
		die("/proc/self/statm cannot be read");
	fclose(file);
	return pages * PAGE;
}

/* Run @round for each line of the input; one line of name=value for each. */
static inline int serve(void (*round)(void))
{
	char line[16];

	while (fgets(line, sizeof(line), stdin)) {
		round();
		puts("");
		fflush(stdout);
	}
	return 0;
}

#endif /* BENCH_H */
