/* SPDX-License-Identifier: GPL-2.0 */
/* What the fuzzers of the library and of the engines share. */
#ifndef FUZZ_INPUT_H
#define FUZZ_INPUT_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* The code under test is wrong, not the input. */
#define CHECK(condition)								\
	do {										\
		if (!(condition)) {							\
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);	\
			abort();							\
		}									\
	} while (0)

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The rest of the input. */
static const uint8_t *input, *input_end;

/* Take a byte of the input; 0 at its end. */
static inline unsigned int byte(void)
{
	return input < input_end ? *input++ : 0;
}

/* Make an empty file whose descriptor is @fd. */
static inline void make_file_at(int fd)
{
	int made = memfd_create("fuzz", 0);

	CHECK(made >= 0);
	if (made == fd)
		return;
	CHECK(dup2(made, fd) == fd);
	close(made);
}

#endif /* FUZZ_INPUT_H */
