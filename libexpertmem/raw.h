/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * System calls without the C library, whose functions may be interposed: by another preloaded
 * library, which may allocate memory, or by libexpertmem-malloc.so.
 */
#ifndef EM_RAW_H
#define EM_RAW_H

#include <errno.h>
#include <sys/syscall.h>

/* Returns what the kernel returns: a negative errno for an error. */
static inline long em_raw6(long number, long a, long b, long c, long d, long e, long f)
{
#if defined(__x86_64__)
	register long r10 __asm__("r10") = d, r8 __asm__("r8") = e, r9 __asm__("r9") = f;
	long answer;

	__asm__ volatile("syscall" : "=a"(answer)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return answer;
#elif defined(__aarch64__)
	register long x8 __asm__("x8") = number, x0 __asm__("x0") = a, x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c, x3 __asm__("x3") = d, x4 __asm__("x4") = e;
	register long x5 __asm__("x5") = f;

	__asm__ volatile("svc 0" : "+r"(x0)
			 : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
	return x0;
#else
#error "expertmem needs x86_64 or arm64"
#endif
}

static inline long em_raw(long number, long a, long b, long c)
{
	return em_raw6(number, a, b, c, 0, 0, 0);
}

/* Convert what the kernel returns to what the C library returns: -1 and errno for an error. */
static inline long em_answer(long answer)
{
	if (answer >= 0 || answer < -4095)
		return answer;
	errno = (int)-answer;
	return -1;
}

#endif /* EM_RAW_H */
