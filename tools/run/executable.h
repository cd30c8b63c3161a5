/* SPDX-License-Identifier: GPL-2.0 */
/* Check from a program's file whether libexpertmem-malloc.so can be its heap. */
#ifndef EXECUTABLE_H
#define EXECUTABLE_H

#define EXECUTABLE_WHY 512

enum executable {
	EXECUTABLE_RUNS,	/* it uses the heap, or the file does not tell */
	EXECUTABLE_UNLIMITED,	/* it runs without the heap; @why says which memory has no limit */
	EXECUTABLE_REFUSED,	/* it must not be started; @why is the reason */
};

/* @program: a name or path, as for execvp(); @why: receives a text unless it RUNS */
enum executable executable_judge(const char *program, char why[static EXECUTABLE_WHY]);

#endif /* EXECUTABLE_H */
