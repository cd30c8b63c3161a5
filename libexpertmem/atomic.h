/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Atomic operations and barriers, named as in the kernel. Each takes the address of an object.
 *
 * The suffix is the order: _relaxed, _acquire or _release. em_xchg() and em_try_cmpxchg() have no
 * suffix and are acquire and release. The operations under "sequentially consistent" are for two
 * threads of which each writes its flag and then reads the other's.
 */
#ifndef EM_ATOMIC_H
#define EM_ATOMIC_H

#define em_read_once(p)			__atomic_load_n(p, __ATOMIC_RELAXED)
#define em_write_once(p, value)		__atomic_store_n(p, value, __ATOMIC_RELAXED)
#define em_load_acquire(p)		__atomic_load_n(p, __ATOMIC_ACQUIRE)
#define em_store_release(p, value)	__atomic_store_n(p, value, __ATOMIC_RELEASE)

/* These return the old value. */
#define em_xchg(p, value)		__atomic_exchange_n(p, value, __ATOMIC_ACQ_REL)
#define em_xchg_acquire(p, value)	__atomic_exchange_n(p, value, __ATOMIC_ACQUIRE)
#define em_xchg_relaxed(p, value)	__atomic_exchange_n(p, value, __ATOMIC_RELAXED)
#define em_fetch_add_relaxed(p, n)	__atomic_fetch_add(p, n, __ATOMIC_RELAXED)

/* These return the new value. */
#define em_add_return_relaxed(p, n)	__atomic_add_fetch(p, n, __ATOMIC_RELAXED)
#define em_sub_return_relaxed(p, n)	__atomic_sub_fetch(p, n, __ATOMIC_RELAXED)
#define em_or_return_relaxed(p, bits)	__atomic_or_fetch(p, bits, __ATOMIC_RELAXED)

#define em_sub_return_release(p, n)	__atomic_sub_fetch(p, n, __ATOMIC_RELEASE)

/* Sequentially consistent. */
#define em_add_return(p, n)		__atomic_add_fetch(p, n, __ATOMIC_SEQ_CST)
#define em_load_mb(p)			__atomic_load_n(p, __ATOMIC_SEQ_CST)
#define em_store_mb(p, value)		__atomic_store_n(p, value, __ATOMIC_SEQ_CST)

/* True: *@p was *@old, and is @new. False: *@old receives *@p. */
#define em_try_cmpxchg(p, old, new) \
	__atomic_compare_exchange_n(p, old, new, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)
#define em_try_cmpxchg_acquire(p, old, new) \
	__atomic_compare_exchange_n(p, old, new, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)
#define em_try_cmpxchg_release(p, old, new) \
	__atomic_compare_exchange_n(p, old, new, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED)
#define em_try_cmpxchg_relaxed(p, old, new) \
	__atomic_compare_exchange_n(p, old, new, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)

/* Full, acquire and release fences between threads. */
#define em_mb()				__atomic_thread_fence(__ATOMIC_SEQ_CST)
#define em_acquire_fence()		__atomic_thread_fence(__ATOMIC_ACQUIRE)
#define em_release_fence()		__atomic_thread_fence(__ATOMIC_RELEASE)

/* Compiler barrier: no instruction, but the compiler moves no access to memory across it. */
#define em_barrier()			__atomic_signal_fence(__ATOMIC_SEQ_CST)

#endif /* EM_ATOMIC_H */
