// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Children of a preloaded program, however it makes them: fork(), _Fork(), clone(), and
 * syscall() with SYS_clone, SYS_clone3 or SYS_fork. A child with an mm of its own gets a copy of the
 * heap. A child that shares its parent's mm (vfork(), posix_spawn(), threads) needs none.
 *
 * The handlers of pthread_atfork() do most of the work, and catch fork() inside of the C library
 * (daemon(), forkpty()). The wrappers are for calls that run no handlers, for stacks in the heap, and
 * to return an error if the child cannot have the heap.
 */
#include <dlfcn.h>
#include <errno.h>
#include <linux/sched.h>
#include <sched.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include "internal.h"
#include "raw.h"

#define STACK	(64UL << 10)

static pid_t (*real_fork)(void);
static pid_t (*real__Fork)(void);
static int (*real_clone)(int (*entry)(void *), void *stack, int flags, void *arg, ...);

/* In a constructor, because dlsym() takes a lock, and fork() may be called while it is held. */
__attribute__((constructor)) static void find_real(void)
{
	*(void **)&real_fork = dlsym(RTLD_NEXT, "fork");
	*(void **)&real__Fork = dlsym(RTLD_NEXT, "_Fork");
	*(void **)&real_clone = dlsym(RTLD_NEXT, "clone");
}

/* Set the errno of fork() for enum expertmem_error: ENOMEM or EAGAIN. Returns -1. */
static int set_errno(int error)
{
	errno = error == EXPERTMEM_E_NOMEM ? ENOMEM : EAGAIN;
	return -1;
}

/* Prepare the heap for a child. False, with errno set: there can be none. */
static bool prepare(void)
{
	int error = em_fork_prepare();

	if (!error)
		return true;
	em_fork_parent(false);
	set_errno(error);
	return false;
}

/* ---------------------------------------------------------------- another stack */

/**
 * struct detour - a function call on a stack that is not in the heap
 * @from: context of the caller
 * @to: context of the call
 * @call: the function
 * @arg: its argument
 * @answer: its return value
 * @stack: its stack
 *
 * A stack in the heap is copied with the heap before the child is made. Writes to the stack between
 * these two moments would be missing in the child.
 */
struct detour {
	ucontext_t from, to;
	long (*call)(void *arg);
	void *arg;
	long answer;
	char stack[STACK] __attribute__((aligned(16)));
};

static void run_detour(unsigned int high, unsigned int low)
{
	struct detour *detour = (struct detour *)((uintptr_t)high << 32 | low);

	detour->answer = detour->call(detour->arg);
}

static struct detour *detour_new(void)
{
	void *p = mmap(NULL, sizeof(struct detour), PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

/* Run the call of @detour on the stack of @size bytes at @stack, and wait for its return. */
static void take_detour(struct detour *detour, void *stack, size_t size)
{
	getcontext(&detour->to);
	detour->to.uc_stack.ss_sp = stack;
	detour->to.uc_stack.ss_size = size;
	detour->to.uc_link = &detour->from;
	makecontext(&detour->to, (void (*)(void))run_detour, 2,
		    (unsigned int)((uintptr_t)detour >> 32), (unsigned int)(uintptr_t)detour);
	detour->answer = -1;
	swapcontext(&detour->from, &detour->to);
}

/* Is @p in a window of the module? fork() itself copies private memory. */
static bool is_in_window(const void *p)
{
	const struct em_expert *expert = em_owner_of(p);

	return expert && expert->backend->id == EXPERTMEM_BACKEND_DEVICE && expert->fd >= 0;
}

static long call_outside_heap(long (*call)(void *arg), void *arg)
{
	struct detour *detour;
	long answer;

	if (!is_in_window(__builtin_frame_address(0)))
		return call(arg);
	detour = detour_new();
	if (!detour)
		return set_errno(EXPERTMEM_E_NOMEM);
	detour->call = call;
	detour->arg = arg;
	take_detour(detour, detour->stack, sizeof(detour->stack));
	answer = detour->answer;
	munmap(detour, sizeof(*detour));
	return answer;
}

/* ---------------------------------------------------------------------- forking */

static long do_fork(void *arg)
{
	int status, error;
	pid_t pid;

	(void)arg;
	em_fork_wrapped(true);
	pid = real_fork();
	error = em_fork_wrapped(false);
	if (pid <= 0 || !error)
		return pid;
	/* The child has ended at once, by em_fork_child(). */
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return set_errno(error);
}

pid_t fork(void)
{
	return call_outside_heap(do_fork, NULL);
}

/* The arguments of a system call that makes a child. */
struct cloning {
	long number, args[6];
	bool shares_files;
	bool by_libc;	/* _Fork() */
};

static long do_cloning(void *arg)
{
	const struct cloning *cloning = arg;
	const long *args = cloning->args;
	long pid;

	if (!prepare())
		return -1;
	if (cloning->by_libc) {
		pid = real__Fork();
		if (pid < 0)
			pid = -errno;
	} else {
		pid = em_raw6(cloning->number, args[0], args[1], args[2], args[3], args[4],
			      args[5]);
	}
	if (!pid)
		em_fork_child(cloning->shares_files);
	else
		em_fork_parent(pid > 0 && cloning->shares_files);
	return em_answer(pid);
}

/* NOLINTNEXTLINE(bugprone-reserved-identifier): POSIX has named it so */
pid_t _Fork(void)
{
	struct cloning cloning = { .by_libc = true };

	return call_outside_heap(do_cloning, &cloning);
}

/* Copy the arguments of clone3(). Return false if the kernel cannot read them: it then answers EFAULT. */
static bool read_args(struct clone_args *copy, long args)
{
	const struct iovec to = { copy, CLONE_ARGS_SIZE_VER0 };
	const struct iovec from = { (void *)args, CLONE_ARGS_SIZE_VER0 };

	/* A filter of system calls may refuse this call. */
	if (!em_filtered) {
		long got = em_raw6(SYS_process_vm_readv, em_process(), (long)&to, 1, (long)&from, 1, 0);

		if (got >= 0 || got == -EFAULT)
			return got == CLONE_ARGS_SIZE_VER0;
	}
	memcpy(copy, from.iov_base, CLONE_ARGS_SIZE_VER0);
	return true;
}

/* Does the call make a child with an mm of its own, which goes on with the caller's stack? */
static bool is_like_fork(struct cloning *cloning)
{
	struct clone_args args;
	unsigned long flags, stack;

	switch (cloning->number) {
#ifdef SYS_fork
	case SYS_fork:
		return true;
#endif
	case SYS_clone:
		flags = cloning->args[0];
		stack = cloning->args[1];
		break;
	case SYS_clone3:
		if (cloning->args[1] < (long)CLONE_ARGS_SIZE_VER0 || !read_args(&args, cloning->args[0]))
			return false;
		flags = args.flags;
		stack = args.stack;
		break;
	default:
		return false;
	}
	cloning->shares_files = flags & CLONE_FILES;
	return !(flags & CLONE_VM) && !stack;
}

long syscall(long number, ...)
{
	struct cloning cloning = { .number = number };
	long *args = cloning.args, answer;
	va_list list;

	va_start(list, number);
	for (int i = 0; i < 6; i++)
		args[i] = va_arg(list, long);
	va_end(list);

	if (number == SYS_seccomp || (number == SYS_prctl && args[0] == PR_SET_SECCOMP))
		em_filter_begin();
	if (em_descriptor_call(number, args, &answer))
		return em_answer(answer);
	if (is_like_fork(&cloning))
		return call_outside_heap(do_cloning, &cloning);
	return em_answer(em_raw6(number, args[0], args[1], args[2], args[3], args[4], args[5]));
}

/* ------------------------------------------------------------------------ clone() */

/* What the child of clone() runs, and on which stack. */
struct start {
	int (*entry)(void *arg);
	void *arg;
	void *stack;
	bool shares_files;
	struct detour *detour;	/* where @stack is in the heap */
};

static long run_entry(void *arg)
{
	const struct start *start = arg;

	_exit(start->entry(start->arg));
}

static int begin_child(void *arg)
{
	struct start *start = arg;

	em_fork_child(start->shares_files);
	if (!start->detour)
		return start->entry(start->arg);
	start->detour->call = run_entry;
	start->detour->arg = start;
	take_detour(start->detour, (char *)start->stack - STACK, STACK);
	return 0;
}

/* The arguments of a clone(). */
struct clone_call {
	struct start start;
	int flags;
	pid_t *parent_tid, *child_tid;
	void *tls;
};

static long do_clone(void *arg)
{
	struct clone_call *call = arg;
	void *stack = call->start.stack;
	int pid, saved;

	if (!prepare())
		return -1;
	if (call->start.detour)
		stack = call->start.detour->stack + STACK;
	pid = real_clone(begin_child, stack, call->flags, &call->start, call->parent_tid,
			 call->tls, call->child_tid);
	saved = errno;
	em_fork_parent(pid > 0 && call->start.shares_files);
	errno = saved;
	return pid;
}

int clone(int (*entry)(void *), void *stack, int flags, void *arg, ...)
{
	struct clone_call call = {
		.start = {
			.entry = entry, .arg = arg, .stack = stack,
			.shares_files = flags & CLONE_FILES,
		},
		.flags = flags,
	};
	va_list list;
	long pid;

	va_start(list, arg);
	call.parent_tid = va_arg(list, pid_t *);
	call.tls = va_arg(list, void *);
	call.child_tid = va_arg(list, pid_t *);
	va_end(list);

	if (flags & CLONE_VM || !entry || !stack)
		return real_clone(entry, stack, flags, arg, call.parent_tid, call.tls,
				  call.child_tid);
	/* The C library writes to the child's stack after the heap was copied. */
	if (is_in_window((char *)stack - 1)) {
		call.start.detour = detour_new();
		if (!call.start.detour)
			return set_errno(EXPERTMEM_E_NOMEM);
	}
	pid = call_outside_heap(do_clone, &call);
	if (call.start.detour)
		munmap(call.start.detour, sizeof(*call.start.detour));
	return pid;
}
