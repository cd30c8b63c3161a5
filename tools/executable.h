/* SPDX-License-Identifier: GPL-2.0 */
/* Can a program have this heap? */
#ifndef EXECUTABLE_H
#define EXECUTABLE_H

#define EXECUTABLE_WHY 512

enum executable {
	EXECUTABLE_UNKNOWN,	/* it cannot be read, or found */
	EXECUTABLE_USES_HEAP,
	EXECUTABLE_STATIC,	/* no loader gives it the heap; what it starts may have it */
	EXECUTABLE_HAS_MALLOC,	/* of its own, which may use the heap or not */
	EXECUTABLE_REFUSED,	/* it would run without the heap, or not at all */
};

/* @program: as for execvp(). @why: if refused, the reason: "it is built with ..." */
enum executable executable_judge(const char *program, char why[static EXECUTABLE_WHY]);

#endif /* EXECUTABLE_H */
