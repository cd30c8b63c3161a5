/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The start of the file that "expertmem run" shares with the process that it runs: a memfd, whose
 * descriptor the library finds in EXPERTMEM_REPORT. The process writes to it as it goes, so that
 * the command can read it whatever became of the process.
 */
#ifndef EM_REPORT_H
#define EM_REPORT_H

#include <stdint.h>
#include <sys/types.h>

/* Another version of the library or of the command has another layout. */
#define EM_REPORT_VERSION	1

/**
 * struct em_report - what the process that is run tells of itself
 * @version: EM_REPORT_VERSION; set by the library of the command
 * @pid: the process that may write to the file; set by the command
 * @begun: that process has a heap, so that counts of blocks are known
 * @heap_lost: the program has closed the descriptor of its heap
 *
 * The process can spoil all of it, so the command only prints what it finds here.
 */
struct em_report {
	uint32_t version;
	pid_t pid;
	uint32_t begun;
	uint32_t heap_lost;
};

#endif /* EM_REPORT_H */
