/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Sections, pauses and remote frees of the library's heap, in every order of events. What must hold:
 *
 *	no section uses the heap while the expert is paused
 *	of two threads that free one block, one succeeds
 *	nobody waits for ever
 *
 * Which function of libexpertmem/ each inline stands for is said above it. Processes:
 *
 *	owner	a thread that uses its slab in sections; in one of them it frees the block
 *	remote	a thread that frees the block, too; if it has to, it makes the slab shared first
 *	pauser	a thread that pauses the expert, and ends the pause
 *
 * Memory order is that of x86: the owner's store of its word may be delayed in a store buffer, while
 * later loads are executed. Stores leave the buffer in their order, so a later store waits for it here.
 * membarrier() empties the buffer. The other stores of a section need no buffer: what is stored before
 * the word is written back is seen before it.
 *
 * -DBREAK_... leaves one rule out; "check" makes sure that each is then missed.
 */

#ifndef SECTIONS
#define SECTIONS 3	/* of the owner */
#endif
#ifndef PAUSES
#define PAUSES	1
#endif
#ifndef REMOTES
#define REMOTES	1
#endif

mtype = { IDLE, KEY, BUSY };	/* em_thread.word; KEY: the record is about the expert */

/* The owner's record. */
mtype word = IDLE;
mtype key = IDLE;
bool buffered;			/* the store of BUSY is still in the store buffer */
bool status_open;		/* em_thread.status is that of the expert, not &em_closed */

/* The expert. */
bool gate = true;
bool expert_lock;

/* The slab of the owner, and its block. */
bool shared, sharing;		/* EM_SHARED, EM_SHARING */
mtype = { LIVE, CLAIMED, FREE };
mtype block = LIVE;

/* Ghosts. */
bool in_use;			/* the owner's section uses the heap */
bool paused;
byte frees;			/* frees of the block that succeeded */

inline lock()	{ atomic { !expert_lock -> expert_lock = true } }
inline unlock()	{ expert_lock = false }

/* ------------------------------------------------------------------ the owner's section */

/* A store of the owner, before which the buffered one becomes visible. */
inline flush()
{
	atomic {
		if
		:: buffered -> word = BUSY; buffered = false
		:: else
		fi
	}
}

/* em_enter() */
inline enter()	{ buffered = true }

/* em_end() */
inline end()	{ flush(); word = key }

/* em_fast_free(), and em_slab_free() of the owner */
inline free_own()
{
	if
	:: !shared && !sharing ->
		if
		:: block == LIVE ->
			flush();
			block = FREE;
			frees++
		:: else
		fi
	:: else ->
#ifdef BREAK_CLAIM_BY_THE_OWNER
		if
		:: shared && block == LIVE -> flush(); block = FREE; frees++
		:: else
		fi
#else
		flush();
		atomic {
			if
			:: shared && block == LIVE -> block = CLAIMED
			:: else -> goto not_freed
			fi
		}
		block = FREE;
		frees++;
#endif
not_freed:
		skip
	fi
}

/* What a section does. The loads are executed while the store of the word may be buffered. */
inline use_heap(may_free)
{
	in_use = true;
	if
	:: may_free -> free_own()
	:: true
	fi;
	in_use = false
}

active proctype owner()
{
	byte n = 0;

	do
	:: n == SECTIONS -> break
	:: else ->
		n++;
		if
		:: key == KEY ->
			/* em_begin() */
			enter();
			if
			:: status_open -> use_heap(n == SECTIONS)
			:: else -> end(); goto slow
			fi;
			end();
			goto done
		:: else
		fi;
slow:
		/* begin() of netmon.c */
		enter();
		if
#ifdef BREAK_GATE
		:: true ->
#else
		:: gate ->
#endif
			/* fill the record */
			flush();
			key = KEY;
			status_open = true;
			use_heap(n == SECTIONS);
			end()
		:: else ->
			end();
			/* the locked path */
			lock();
			unlock()
		fi;
done:
		skip
	od;
	assert(frees <= 1)
}

/* The store buffer empties by itself at any time. */
active proctype processor()
{
end_processor:
	do
	:: atomic { buffered -> word = BUSY; buffered = false }
	od
}

/* --------------------------------------------------------------------- other threads */

/* barrier() of access.c */
inline membarrier()
{
#ifdef BREAK_BARRIER
	skip
#else
	flush()
#endif
}

/* em_wait_all(), em_wait_for() */
inline wait_for_owner()
{
	membarrier();
#ifdef BREAK_WAIT
	skip
#else
	word != BUSY
#endif
}

/* em_close_gate() */
inline close_gate()
{
	gate = false;
	if
	:: key == KEY -> status_open = false
	:: else
	fi
}

active [PAUSES] proctype pauser()
{
	lock();
	/* em_pause() */
	close_gate();
	wait_for_owner();
#ifndef BREAK_SECOND_CLOSE
	close_gate();
	wait_for_owner();
#endif
	paused = true;
	assert(!in_use);
	paused = false;
	/* em_unpause() */
	gate = true;
	unlock()
}

active proctype monitor()
{
end_monitor:
	do
	:: atomic { in_use && paused -> assert(false) }
	od
}

active [REMOTES] proctype remote()
{
	bool won = false;

	/* em_slab_free() */
	if
	:: shared
	:: else ->
		lock();
		/* em_slab_share() */
		if
		:: shared
		:: else ->
			sharing = true;
#ifndef BREAK_WAIT_FOR_THE_OWNER
			wait_for_owner();
#endif
			atomic { shared = true; sharing = false }
		fi;
		unlock()
	fi;
#ifdef BREAK_CLAIM
	if
	:: block == LIVE -> won = true
	:: else
	fi;
	if
	:: won -> block = CLAIMED
	:: else
	fi;
#else
	atomic {
		if
		:: block == LIVE -> block = CLAIMED; won = true
		:: else
		fi
	}
#endif
	if
	:: won -> frees++; block = FREE
	:: else
	fi;
	assert(frees <= 1)
}
