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

/* What is at the address that a process has touched when it crashed. */
enum em_memory {
	EM_MEMORY_NONE,		/* the signal is not about an address */
	EM_MEMORY_LIVE,		/* a live block: @distance from its start */
	EM_MEMORY_BEHIND,	/* no block: @distance from the end of a live one */
	EM_MEMORY_BEFORE,	/* no block: @distance to the start of a live one */
	EM_MEMORY_FREED,	/* a block that was freed */
	EM_MEMORY_UNUSED,	/* the heap, but no block that is known */
	EM_MEMORY_RECLAIMED,	/* the heap, all of which was reclaimed */
	EM_MEMORY_STACK,	/* beyond the end of the stack */
	EM_MEMORY_FOREIGN,	/* not the heap */
	EM_MEMORY_NOWHERE,	/* x86: not canonical; the kernel does not tell the address */
};

/**
 * struct em_crash - the signal that ends a process by its own fault
 * @signal: its number; 0: there was none, or a handler of the program's own has it
 * @memory: enum em_memory, of @address
 * @address: that was touched
 * @distance: bytes, see enum em_memory
 * @size: bytes of that block
 * @pc: address of the instruction
 * @offset: of the instruction in @file, as addr2line(1) takes it
 * @file: the program or library that has the instruction, or, where no code is, the call of it;
 *	empty: not known
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
 * struct em_report - what the process that is run tells of itself
 * @version: EM_REPORT_VERSION; set by the library of the command
 * @pid: the process that may write to the file; set by the command
 * @begun: that process has a heap, so that counts of blocks are known
 * @heap_lost: the program has closed the descriptor of its heap
 * @crash: how it has crashed
 *
 * The process can spoil all of it, so the command only prints what it finds here.
 */
struct em_report {
	uint32_t version;
	pid_t pid;
	uint32_t begun;
	uint32_t heap_lost;
	struct em_crash crash;
};

#endif /* EM_REPORT_H */
