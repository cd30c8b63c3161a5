/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The start of the memfd that "expertmem run" shares with the process that it runs. The library finds
 * its descriptor in EXPERTMEM_REPORT. The process writes while it runs, so that the command can read
 * the report after a crash.
 */
#ifndef EM_REPORT_H
#define EM_REPORT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

/*
 * Changes with the layout of this file. The command and the library may be of different versions.
 */
#define EM_REPORT_VERSION	2

/* What was at the address that a process touched when it crashed. */
enum em_memory {
	EM_MEMORY_NONE,		/* the signal has no address */
	EM_MEMORY_LIVE,		/* a live block: @distance from its start */
	EM_MEMORY_BEHIND,	/* no block: @distance from the end of a live one */
	EM_MEMORY_BEFORE,	/* no block: @distance to the start of a live one */
	EM_MEMORY_FREED,	/* a block that was freed */
	EM_MEMORY_UNUSED,	/* in the windows, where no block is known to have been */
	EM_MEMORY_RECLAIMED,	/* in the windows of an expert that was reclaimed */
	EM_MEMORY_STACK,	/* beyond the end of the stack */
	EM_MEMORY_FOREIGN,	/* not in the windows of an expert */
	EM_MEMORY_NOWHERE,	/* x86: not canonical; the kernel does not tell the address */
};

/**
 * struct em_crash - the signal that ends a process by its own fault
 * @signal: number of the signal; 0: none, or the program handles the signal itself
 * @memory: enum em_memory: what was at @address
 * @address: the address that was touched
 * @distance: bytes from or to a block, see enum em_memory
 * @size: bytes of that block
 * @pc: address of the instruction
 * @offset: offset of the instruction in @file, as addr2line(1) takes it
 * @file: path of the program or library with the instruction; if there is no code at @pc, of the one
 *	that called @pc; empty: not known
 */
struct em_crash {
	int32_t signal;
	uint32_t memory;
	uint64_t address;
	uint64_t distance;
	uint64_t size;
	uint64_t pc;
	uint64_t offset;
	char file[1024];
};

/**
 * struct em_report - the report of a process to the command that runs it
 * @version: EM_REPORT_VERSION; written by the library in the command
 * @pid: the process that writes the report; written by the command
 * @begun: the process has attached an expert, so that counts of blocks are known
 * @heap_lost: the program has closed the descriptor of its heap
 * @went_private: the program can have no more memory of the module, and new blocks are private memory
 * @crash: how the process has crashed
 *
 * The process can overwrite all of it, so the command only prints it.
 */
struct em_report {
	uint32_t version;
	pid_t pid;
	uint32_t begun;
	uint32_t heap_lost;
	uint32_t went_private;
	struct em_crash crash;
};

/*
 * Has the process too few addresses for the module's windows? They take several addresses for each
 * byte of memory, and RLIMIT_AS counts them whole. The heap of a program is then private memory.
 */
static inline bool em_addresses_are_few(void)
{
	struct rlimit limit;

	return !getrlimit(RLIMIT_AS, &limit) && limit.rlim_cur < 1UL << 38;
}

#endif /* EM_REPORT_H */
