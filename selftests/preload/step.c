// SPDX-License-Identifier: GPL-2.0
/*
 * libexpertmem-malloc.so: calls that are interrupted at each instruction. A thread is
 * single-stepped through a call, and ends after its first instruction, its second, ... without
 * running destructors; or the handler of a signal calls malloc there. The heap still works
 * afterwards; one block may be lost. Run it as "expertmem run -- step".
 *
 * needs: native preload
 */
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <ucontext.h>

#include "malloc_test.h"

#ifdef __x86_64__

/* Where it is set, each instruction ends with SIGTRAP. */
#define TRAP_FLAG	0x100

enum { ALLOC, ALLOC_NEW_CLASS, ALLOC_LARGE, FREE, GROW, MOVE, SIZE, CALLS };

/* A thread, and the instruction of a call at which it ends, or is interrupted. */
struct victim {
	int call;
	bool ends;
	long at;
	long steps;		/* how many instructions there were */
	bool locked;		/* With a lock held, signals wait: so do we. */
	bool hit;
	bool wrong;
};

static __thread struct victim *self;

/* The library blocks signals while it has a lock; let ours through, but note it. */
int pthread_sigmask(int how, const sigset_t *set, sigset_t *old)
{
	static int (*real)(int how, const sigset_t *set, sigset_t *old);
	sigset_t ours;

	if (!real)
		real = (typeof(real))dlsym(RTLD_NEXT, "pthread_sigmask");
	if (!set)
		return real(how, set, old);
	if (self)
		self->locked = how != SIG_UNBLOCK && sigismember(set, SIGUSR1);
	ours = *set;
	sigdelset(&ours, SIGTRAP);
	return real(how, &ours, old);
}

/* As a handler may, but for what one thread frees twice. */
static bool calls_work(void)
{
	struct block *blocks[4];
	bool right = true;
	size_t i;

	for (i = 0; i < COUNT_OF(blocks); i++)
		blocks[i] = block_new(i * i * 1000 + 20, i);
	for (i = 0; i < COUNT_OF(blocks); i++) {
		right &= block_is_intact(blocks[i]);
		release(blocks[i]);
	}
	return right;
}

static void on_step(int signal, siginfo_t *info, void *context)
{
	ucontext_t *at = context;

	if (++self->steps < self->at || self->locked || self->hit)
		return;
	self->hit = true;
	if (self->ends)
		syscall(SYS_exit, 0);
	at->uc_mcontext.gregs[REG_EFL] &= ~TRAP_FLAG;
	self->wrong |= !calls_work();
}

#define STEPPING(on)								\
	asm volatile("pushfq\n\tandq %0, (%%rsp)\n\torq %1, (%%rsp)\n\tpopfq"	\
		     :: "i"(~TRAP_FLAG), "i"((on) ? TRAP_FLAG : 0) : "memory", "cc")

/* What is left of @block, which has @size bytes. */
static void *make_call(int call, void *block, size_t *size)
{
	switch (call) {
	case ALLOC:
		release(allocate(*size));
		return block;
	case ALLOC_NEW_CLASS:
		release(allocate(700));
		return block;
	case ALLOC_LARGE:
		release(allocate(100000));
		return block;
	case FREE:
		release(block);
		return NULL;
	case GROW:
		*size += 8;
		return resize(block, *size);
	case MOVE:
		*size += 500;
		return resize(block, *size);
	default:
		malloc_usable_size(block);
		return block;
	}
}

/* The compiler need not know that the stack pointer moves: no red zone is in use here. */
static __attribute__((noinline)) void *step(struct victim *victim, void *block, size_t *size)
{
	self = victim;
	STEPPING(true);
	block = make_call(victim->call, block, size);
	STEPPING(false);
	self = NULL;
	return block;
}

static void *be_interrupted(void *arg)
{
	struct victim *victim = arg;
	unsigned char *block, *others[40];
	size_t size = 33, i;

	for (i = 0; i < COUNT_OF(others); i++)
		others[i] = allocate(33);
	for (i = 0; i < COUNT_OF(others); i++)
		release(others[i]);
	block = allocate(size);
	memset(block, 0x5a, 33);
	block = step(victim, block, &size);
	/* only who was not ended comes here */
	if (block && (!all_bytes(block, 33, 0x5a) || malloc_usable_size(block) != size))
		victim->wrong = true;
	release(block);
	return NULL;
}

/* Takes over what an ended thread had. */
static void *inherit(void *arg)
{
	static pthread_mutex_t one_by_one = PTHREAD_MUTEX_INITIALIZER;
	struct block *blocks[200];
	uintptr_t wrong = 0;
	size_t i;

	pthread_mutex_lock(&one_by_one);
	for (i = 0; i < COUNT_OF(blocks); i++) {
		blocks[i] = block_new(i % 4 ? 33 : 500, i);
		wrong += malloc_usable_size(blocks[i]) != sizeof(*blocks[i]) + blocks[i]->size;
	}
	for (i = 0; i < COUNT_OF(blocks); i++) {
		wrong += !block_is_intact(blocks[i]);
		release(blocks[i]);
	}
	pthread_mutex_unlock(&one_by_one);
	return (void *)wrong;
}

/* One of them gets the record; there are some, for records are looked for by chance. */
static unsigned long heirs_find_wrong(void)
{
	pthread_t heirs[4];
	unsigned long wrong = 0;
	void *found;
	size_t i;

	for (i = 0; i < COUNT_OF(heirs); i++)
		if (pthread_create(&heirs[i], NULL, inherit, NULL))
			return ULONG_MAX;
	for (i = 0; i < COUNT_OF(heirs); i++) {
		pthread_join(heirs[i], &found);
		wrong += (uintptr_t)found;
	}
	return wrong;
}

FIXTURE(step) {
};

FIXTURE_VARIANT(step) {
	bool ends;
};

FIXTURE_VARIANT_ADD(step, thread_ends) {
	.ends = true,
};

FIXTURE_VARIANT_ADD(step, handler_makes_calls) {
	.ends = false,
};

FIXTURE_SETUP(step)
{
	struct sigaction action = { .sa_sigaction = on_step, .sa_flags = SA_SIGINFO };

	if (!is_experts_malloc())
		SKIP_TEST("needs libexpertmem-malloc.so: the C library's malloc cannot do this");
	ASSERT_EQ(0, sigaction(SIGTRAP, &action, NULL));
}

FIXTURE_TEARDOWN(step)
{
}

TEST_F(step, a_call_cut_off_at_any_instruction_leaves_a_heap_that_is_right)
{
	/* every instruction, or some of them where each takes long */
	long stride = rounds(100) < 100 ? 11 : 1, at, cut;
	struct victim victim;
	pthread_t thread;
	int call;

	for (call = 0; call < CALLS; call++) {
		at = 1;
		for (cut = 0;; cut++) {
			victim = (struct victim){
				.call = call, .ends = variant->ends, .at = at,
			};
			ASSERT_EQ(0, pthread_create(&thread, NULL, be_interrupted, &victim));
			ASSERT_EQ(0, pthread_join(thread, NULL));
			ASSERT_FALSE(victim.wrong) {
				TH_LOG("call %d, instruction %ld", call, victim.at);
			}
			ASSERT_EQ(0, heirs_find_wrong()) {
				TH_LOG("call %d, instruction %ld", call, victim.at);
			}
			if (!victim.hit)
				break;
			/* What was locked there is over now. */
			at = victim.steps + stride;
		}
		/* each call has some dozens */
		EXPECT_LE(20 / stride, cut);
	}
}

#endif /* __x86_64__ */

TEST_HARNESS_MAIN
