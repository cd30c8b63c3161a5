/* SPDX-License-Identifier: GPL-2.0 */
/* Can a program have this heap? */
#ifndef EXECUTABLE_H
#define EXECUTABLE_H

#define EXECUTABLE_WHY 512

enum executable {
	EXECUTABLE_RUNS,	/* with the heap, as far as its file tells */
	EXECUTABLE_UNLIMITED,	/* it runs, and @why says what is not the expert's */
	EXECUTABLE_REFUSED,	/* it would run without the heap, or not at all; @why: the reason */
};

/* @program: as for execvp() */
enum executable executable_judge(const char *program, char why[static EXECUTABLE_WHY]);

#endif /* EXECUTABLE_H */
