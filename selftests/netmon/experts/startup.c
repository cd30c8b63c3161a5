// SPDX-License-Identifier: GPL-2.0
/* Prints what it was started with: its argument, and what the library says. */
#include "expert.h"

RUN
{
	EXPERTSTARTUPINFO info;
	char line[8] = "(empty)";

	printf("startup: error %u\n", ExpertGetStartupInfo(key, &info));
	printf("startup: %s\n", startup->szCaptureFile);
	printf("startup: %s\n", info.szCaptureFile);
	printf("startup: config %s, flags %u\n", config ? "given" : "none", flags);
	if (read(STDIN_FILENO, line, sizeof(line) - 1) < 0)
		perror("startup: standard input");
	printf("startup: input %s\n", line);
	fprintf(stderr, "startup: to stderr\n");
	return TRUE;
}
