// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A signal handler that records how a process of "expertmem run" crashes: the address, what the heap
 * has there, and the instruction. After the handler the signal ends the process at the instruction
 * that raised it, so a core dump is as without the handler.
 *
 * The handler is installed only in processes that "expertmem run" runs, and only for signals with
 * the default action. It takes no lock. If an instruction is at fault, it makes no system call: a
 * seccomp filter could end the process by another signal. It reads metadata without a lock, so the
 * record may be wrong if another thread changes the heap.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include <linux/expertmem.h>

#include "internal.h"
#include "raw.h"
#include "report.h"

/* number of freed regions that are remembered, to tell a use after free */
#define FREED		256

/* an address within so many bytes of a large block is before or behind it */
#define NEAR		(1UL << 20)

/* an address within so many bytes of the stack pointer counts as the stack */
#define STACK_NEAR	(64UL << 10)

/* bytes of the alternate stack of the handler, for stack overflows */
#define STACK_SIZE	(64UL << 10)

static struct {
	uintptr_t start;
	size_t size;
} freed[FREED];
static uint32_t nr_freed;

static char program[sizeof(((struct em_crash *)0)->file)];

/* Remember a region that is about to be freed. Two experts' threads may call this at once. */
void em_crash_freed(const void *start, size_t size)
{
	uint32_t i = em_fetch_add_relaxed(&nr_freed, 1) % FREED;

	em_write_once(&freed[i].start, (uintptr_t)start);
	em_write_once(&freed[i].size, size);
}

/* ------------------------------------------------------------- what is at an address */

static enum em_memory in_slab(const struct em_slab *slab, uint32_t offset,
			      struct em_crash *crash)
{
	unsigned int i;
	uint16_t state;

	if (!slab->inverse)	/* the slab is in the pool */
		return slab->clean ? EM_MEMORY_UNUSED : EM_MEMORY_FREED;
	i = offset / slab->block;
	if (i >= slab->blocks)
		i = slab->blocks - 1;	/* the rest of the slab is behind the last block */
	state = em_get_state(slab->states, i);
	if (!em_is_live(state))
		return i < slab->fresh ? EM_MEMORY_FREED : EM_MEMORY_UNUSED;
	crash->distance = offset - i * slab->block;
	crash->size = state - 1;
	if (crash->distance < crash->size)
		return EM_MEMORY_LIVE;
	crash->distance -= crash->size;
	return EM_MEMORY_BEHIND;
}

static bool was_freed(uintptr_t address)
{
	for (unsigned int i = 0; i < FREED; i++)
		if (address - freed[i].start < freed[i].size)
			return true;
	return false;
}

/*
 * Return where an address is: in the block, before or behind it. @distance receives the bytes from the
 * block's start, or from its end if the address is behind it.
 */
static enum em_memory is_at(const struct em_large *large, uintptr_t address, size_t *distance)
{
	uintptr_t start = large->address, end = start + large->size;

	if (address >= end) {
		*distance = address - end;
		return EM_MEMORY_BEHIND;
	}
	*distance = address < start ? start - address : address - start;
	return address < start ? EM_MEMORY_BEFORE : EM_MEMORY_LIVE;
}

/*
 * Is the address in a large block, or less than NEAR from one? The nearest block counts. Pages behind a
 * region may be mapped, so that an overrun faults only some pages later.
 */
static enum em_memory in_large(const struct em_expert *expert, uintptr_t address,
			       struct em_crash *crash)
{
	const struct em_large_table *table = expert->heap.large;
	enum em_memory nearest = EM_MEMORY_UNUSED;
	size_t least = NEAR, distance;

	for (size_t i = 0; table && i <= table->mask; i++) {
		const struct em_large *large = &table->places[i];
		enum em_memory at = is_at(large, address, &distance);

		if (!large->address || (at != EM_MEMORY_LIVE && distance >= least))
			continue;
		crash->size = large->size;
		crash->distance = distance;
		if (at == EM_MEMORY_LIVE)
			return at;
		nearest = at;
		least = distance;
	}
	return was_freed(address) ? EM_MEMORY_FREED : nearest;
}

static enum em_memory look_at(uintptr_t address, uintptr_t stack, struct em_crash *crash)
{
	const struct em_expert *expert = em_owner_of((void *)address);
	const struct em_slab *slab;
	bool is_stack = address - (stack - STACK_NEAR) < 2 * STACK_NEAR;
	uint32_t offset;

	/* Addresses without a region may have become a stack. */
	if (!expert || (expert->unmapped && is_stack))
		return is_stack ? EM_MEMORY_STACK : EM_MEMORY_FOREIGN;
	if (em_status(expert) & EXPERTMEM_STATUS_RECLAIMED)
		return EM_MEMORY_RECLAIMED;
	slab = em_slab_at(expert, (void *)address, &offset);
	return slab ? in_slab(slab, offset, crash) : in_large(expert, address, crash);
}

/* ------------------------------------------------------------------------ the handler */

static void get_registers(const ucontext_t *context, uintptr_t *pc, uintptr_t *stack)
{
#if defined(__x86_64__)
	*pc = context->uc_mcontext.gregs[REG_RIP];
	*stack = context->uc_mcontext.gregs[REG_RSP];
#elif defined(__aarch64__)
	*pc = context->uc_mcontext.pc;
	*stack = context->uc_mcontext.sp;
#endif
}

/* The call instruction that jumped to an address without code, from the return address. */
static uintptr_t caller(const ucontext_t *context)
{
#if defined(__x86_64__)
	return *(uintptr_t *)context->uc_mcontext.gregs[REG_RSP] - 1;
#elif defined(__aarch64__)
	return context->uc_mcontext.regs[30] - 4;
#endif
}

/* Find the file with this instruction. dladdr() would take the dynamic loader's lock. */
static void find_file(struct em_crash *crash, uintptr_t pc)
{
#ifdef DLFO_STRUCT_HAS_EH_DBASE	/* glibc 2.35 */
	struct dl_find_object found;
	const char *name;

	if (_dl_find_object((void *)pc, &found))
		return;
	crash->offset = pc - found.dlfo_link_map->l_addr;
	name = found.dlfo_link_map->l_name;
	if (*name)
		strncpy(crash->file, name, sizeof(crash->file) - 1);
	else
		memcpy(crash->file, program, sizeof(program));
#else
	(void)crash, (void)pc;
#endif
}

static void record(struct em_crash *crash, const siginfo_t *info, const ucontext_t *context)
{
	bool has_address = (info->si_signo == SIGSEGV || info->si_signo == SIGBUS) &&
			   info->si_code > 0;
	uintptr_t pc, stack;

	get_registers(context, &pc, &stack);
	crash->pc = pc;
	find_file(crash, pc);
	/* Publish the record now, in case the rest of this function faults. */
	crash->signal = info->si_signo;
	if (!has_address)
		return;
	crash->memory = EM_MEMORY_NOWHERE;
	if (info->si_code == SI_KERNEL)
		return;
	crash->address = (uintptr_t)info->si_addr;
	crash->memory = look_at(crash->address, stack, crash);
	if (crash->address == pc && !*crash->file)
		find_file(crash, caller(context));
}

/* Does the instruction at fault raise the signal again when the handler returns? */
static bool is_repeated(const siginfo_t *info)
{
	return info->si_code > 0 &&
	       !(info->si_signo == SIGBUS && info->si_code == BUS_MCEERR_AO);
}

/* SA_RESETHAND: the action of the signal is the default again. */
static void on_crash(int number, siginfo_t *info, void *context)
{
	struct em_crash *crash = em_report_crash();
	pid_t pid, tid;

	if (crash)
		record(crash, info, context);
	if (is_repeated(info))
		return;
	pid = em_raw(SYS_getpid, 0, 0, 0);
	tid = em_raw(SYS_gettid, 0, 0, 0);
	/* Send the signal again: by tgkill() as abort() and raise() did, else with its siginfo. */
	if (info->si_code == SI_TKILL)
		em_raw(SYS_tgkill, pid, tid, number);
	else
		em_raw6(SYS_rt_tgsigqueueinfo, pid, tid, number, (long)info, 0, 0);
}

/* Is @handler on_crash()? */
bool em_crash_is_handler(void (*handler)(int number))
{
	return (uintptr_t)handler == (uintptr_t)on_crash;
}

/*
 * sigaction() of the C library by its other name, as libexpertmem-malloc.so interposes sigaction().
 */
int __sigaction(int number, const struct sigaction *action, struct sigaction *before);

/*
 * Set an alternate stack for the handler, so that stack overflows are recorded. Not in a preloaded
 * program, which may query its alternate stack.
 */
static void get_stack(void)
{
	stack_t stack = { .ss_size = STACK_SIZE }, before;

	if (em_preloaded || sigaltstack(NULL, &before) || !(before.ss_flags & SS_DISABLE))
		return;
	stack.ss_sp = em_map(STACK_SIZE, MAP_PRIVATE);
	if (stack.ss_sp)
		sigaltstack(&stack, NULL);
}

/* Install the handler. */
void em_crash_catch(void)
{
	static const int signals[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT };
	struct sigaction action = {
		.sa_sigaction = on_crash,
		.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESETHAND,
	}, before;

	em_raw6(SYS_readlinkat, AT_FDCWD, (long)"/proc/self/exe", (long)program,
		sizeof(program) - 1, 0, 0);
	get_stack();
	sigfillset(&action.sa_mask);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		if (!__sigaction(signals[i], NULL, &before) && before.sa_handler == SIG_DFL)
			__sigaction(signals[i], &action, NULL);
}
