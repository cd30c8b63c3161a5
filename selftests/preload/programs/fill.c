// SPDX-License-Identifier: GPL-2.0
/*
 * How much does malloc() give? Prints the KiB of blocks of one size that there are before it
 * fails, or before there are so many KiB.
 *
 *	fill SIZE KIB [lock|abort|data|limit|lose]
 *
 * lock: call mlockall() first, and print the KiB of the process that are resident at the end.
 * abort: end with a core file, in which each block has a mark at its start.
 * data: set RLIMIT_DATA to KIB first, and allocate until malloc() fails.
 * limit: allocate half of KIB, set RLIMIT_AS, map memory and start a thread, and allocate the rest there.
 * lose: close the descriptor of the heap first, by an instruction of the program's own.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../../../libexpertmem/raw.h"

#define MARK "mark-of-a-live-block"

static unsigned long resident(void)
{
	FILE *file = fopen("/proc/self/status", "re");
	unsigned long kib = 0;
	char line[256];

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "VmRSS: %lu", &kib) == 1)
			break;
	if (file)
		fclose(file);
	return kib;
}

static size_t size, most, total;

static void fill(void)
{
	char *block;

	while (total < most && (block = malloc(size))) {
		memset(block, 1, size);
		snprintf(block, size, MARK);
		total += size;
	}
}

static void *fill_all(void *half)
{
	(void)half;
	most *= 2;
	fill();
	return NULL;
}

/* Returns 0 if the thread has ended. */
static int fill_under_limit(void)
{
	struct rlimit limit = { .rlim_cur = 16UL << 30, .rlim_max = RLIM_INFINITY };
	pthread_t thread;
	void *p;

	most /= 2;
	fill();
	if (setrlimit(RLIMIT_AS, &limit))
		return 2;
	p = mmap(NULL, 1UL << 30, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED) {
		perror("mmap");
		return 2;
	}
	return pthread_create(&thread, NULL, fill_all, NULL) || pthread_join(thread, NULL);
}

static void lose_descriptor(void)
{
	char path[64], name[64];

	for (int fd = 3; fd < 2000; fd++) {
		ssize_t length;

		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		length = readlink(path, name, sizeof(name) - 1);
		name[length < 0 ? 0 : length] = '\0';
		if (!strcmp(name, "/dev/expertmem"))
			em_raw(SYS_close, fd, 0, 0);
	}
}

/* Returns 0 if the limit is set. */
static int limit_data(void)
{
	struct rlimit limit = { .rlim_cur = most, .rlim_max = RLIM_INFINITY };

	/* the first block before the limit: the heap exists */
	free(malloc(size));
	most = SIZE_MAX;
	return setrlimit(RLIMIT_DATA, &limit);
}

/* Returns 0 if what precedes the first block is done. */
static int prepare(const char *mode)
{
	if (!strcmp(mode, "lock") && mlockall(MCL_CURRENT | MCL_FUTURE)) {
		perror("mlockall");
		return 2;
	}
	if (!strcmp(mode, "lose"))
		lose_descriptor();
	if (!strcmp(mode, "data"))
		return limit_data();
	return strcmp(mode, "limit") ? 0 : fill_under_limit();
}

int main(int argc, char **argv)
{
	const char *mode = argc > 3 ? argv[3] : "";

	if (argc < 3)
		return 2;
	size = strtoul(argv[1], NULL, 0);
	most = strtoul(argv[2], NULL, 0) << 10;
	if (prepare(mode))
		return 2;
	fill();
	if (!strcmp(mode, "abort"))
		abort();
	printf("%zu\n", strcmp(mode, "lock") ? total >> 10 : resident());
	return 0;
}
