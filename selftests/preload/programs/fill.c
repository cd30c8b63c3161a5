// SPDX-License-Identifier: GPL-2.0
/*
 * How much does malloc() give? Prints the KiB of blocks of one size that there are before it
 * fails, or before there are so many KiB.
 *
 *	fill SIZE KIB [lock|abort]
 *
 * lock: call mlockall() first, and print the KiB of the process that are resident at the end.
 * abort: end with a core file, in which each block has a mark at its start.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

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

int main(int argc, char **argv)
{
	size_t size, most, total = 0;
	char *block;

	if (argc < 3)
		return 2;
	size = strtoul(argv[1], NULL, 0);
	most = strtoul(argv[2], NULL, 0) << 10;
	if (argc > 3 && !strcmp(argv[3], "lock") && mlockall(MCL_CURRENT | MCL_FUTURE)) {
		perror("mlockall");
		return 2;
	}
	while (total < most && (block = malloc(size))) {
		memset(block, 1, size);
		snprintf(block, size, MARK);
		total += size;
	}
	if (argc > 3 && !strcmp(argv[3], "abort"))
		abort();
	printf("%zu\n", argc > 3 ? resident() : total >> 10);
	return 0;
}
