/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One page of one window of the module, in every order of events. What must hold:
 *
 *	no page, in memory or in swap, is in the file once its region has been freed, the
 *	window detached, or reclaim has returned, to whichever of its callers
 *	who touches memory finds a page of the region that is there now
 *	a page that somebody else holds when its range has been truncated is known as pinned
 *	nothing is used after it was freed; nobody waits for ever
 *
 * Which function of kmod/ each inline stands for is said above it. Processes:
 *
 *	thread	an expert's thread: a touch, and the faults that come of it
 *	caller	a thread of the expert in ALLOC and FREE
 *	expert	the process: mmap, then munmap or its death
 *	host	RECLAIM, the ioctl; it has a descriptor
 *	netlink	RECLAIM by netlink, and the worker that reclaims when a process has died: they
 *		have no descriptor, but a reference to the expert
 *	holder	a pipe or device that takes a page of the process, and lets go of it later
 *	vfs	the end of the device file, after its last reference
 *	swapper	the mm takes the page out, to swap
 *
 * Locks and other names are the code's. What the mm does is in a step where a lock of its
 * own makes it one. How often each process does what it does is bounded, below. Memory
 * order is not modelled: what is read without a lock is one word, and is looked at again
 * under the lock that matters.
 *
 * -DBREAK_... leaves one rule out; "check" makes sure that each is then missed.
 */

#ifndef THREADS
#define THREADS	1
#endif
#ifndef CALLERS
#define CALLERS	1
#endif
#ifndef TOUCHES
#define TOUCHES	2
#endif
#ifndef REGIONS
#define REGIONS	2	/* that a caller makes and frees */
#endif
#ifndef HOSTS
#define HOSTS	1
#endif
#ifndef NETLINKS
#define NETLINKS 1
#endif
#ifndef SWAPS
#define SWAPS	1
#endif
#ifndef HOLDERS
#define HOLDERS	0	/* 1 at most */
#endif

#define PAGES	4	/* no more exist at a time */
#define OBJECTS	3	/* of struct expertmem_region: the same */
#define NONE	15

/* ---------------------------------------------------------------------- the mm */

typedef rwsem {
	byte readers;
	bool writer
};

rwsem mmap_lock;
rwsem invalidate_lock;

inline down_read(sem)	{ atomic { !sem.writer -> sem.readers++ } }
inline up_read(sem)	{ sem.readers-- }
inline down_write(sem)	{ atomic { !sem.writer && !sem.readers -> sem.writer = true } }
inline up_write(sem)	{ sem.writer = false }

typedef folio {
	bool locked;
	bool in_file;	/* folio->mapping is that of the window's file */
	byte refs;	/* but for those of file and page table */
	byte made_for;	/* ghost: the region for which it was filled with zeros */
	bool pinned	/* there is a struct pin, which has a reference */
};

#define SWAPPED	14

folio pages[PAGES];
byte slot = NONE;	/* what the file has at the index: a page, or SWAPPED */
byte swapped_for;	/* ghost: that page's made_for */
byte pte = NONE;	/* what the process has mapped there */
bool vma;

/* ------------------------------------------------------------------ the module */

mtype = { UNMAPPED, MAPPED, GONE };		/* enum expertmem_window_state */
mtype = { FREE, USED, FREEING };		/* memory of a region; FREEING: kfree_rcu() */

mtype window = UNMAPPED;
byte tree = NONE;				/* window->regions */

typedef region {
	mtype memory = FREE;
	bool usable;				/* ->pages */
	bool busy				/* ->state */
};

region regions[OBJECTS];
byte rcu_readers;
bool reclaim_lock;
bool pins_lock;
bool expert_lock;
byte held = NONE;				/* the page that the holder has */
bool found = true;				/* in the xarray of experts */
bool released;
byte kref = 1;
byte file_refs = CALLERS + HOSTS + 1;		/* descriptors: of callers, hosts and expert */

byte newest;		/* ghost: counts the regions that were made */
bool given_back;	/* ghost: a reclaim has ended */
bool destroyed;		/* ghost: kfree(expert) */

#define NOTHING_LEFT	(slot == NONE && pte == NONE)

inline mutex_lock(mutex)	{ assert(!destroyed); atomic { !mutex -> mutex = true } }
inline mutex_unlock(mutex)	{ assert(!destroyed); mutex = false }

/* For each process that calls; all are 0 or NONE where they do not matter. */
#define LOCALS		\
	byte page = NONE;	\
	byte victim = NONE;	\
	byte mine = NONE;	\
	byte seen = NONE;	\
	byte pin = NONE;	\
	bool open, err, retired, gone;

/* folio_lock(), folio_unlock(), folio_put() */
inline lock_page(p)	{ atomic { !pages[p].locked -> pages[p].locked = true } }
inline unlock_page(p)	{ pages[p].locked = false }
inline put_page(p)	{ d_step { pages[p].refs--; p = NONE } }

/* shmem_read_mapping_page_gfp(): the page that is there, from swap, or a new one */
inline read_page()
{
	d_step {
		assert(!given_back && !destroyed);
		if
		:: slot < PAGES -> page = slot
		:: else ->
			page = 0;
			do
			:: pages[page].refs || pages[page].in_file -> page++
			:: else -> break
			od;
			assert(page < PAGES);
			pages[page].in_file = true;
			if
			:: slot == SWAPPED -> pages[page].made_for = swapped_for
			:: else -> pages[page].made_for = newest
			fi;
			swapped_for = 0;
			slot = page
		fi;
		pages[page].refs++
	}
}

/* Take the page out of the page table, and out of the file. Its lock is held. */
inline remove_page(p, leaves)
{
	d_step {
		if
		:: pages[p].in_file && leaves == SWAPPED -> swapped_for = pages[p].made_for
		:: else
		fi;
		if
		:: pages[p].in_file ->
			if
			:: pte == p -> pte = NONE
			:: else
			fi;
			pages[p].in_file = false;
			pages[p].made_for = 0;
			slot = leaves
		:: else
		fi
	}
}

/* finish_fault(), filemap_map_pages(): with the page locked, under the page table's lock */
inline map_page()
{
	d_step {
		if
		:: pte == NONE ->
			assert(!given_back);
			pte = page
		:: else
		fi
	}
}

/* expertmem_region_gate() */
inline gate()
{
	assert(!destroyed);
	rcu_readers++;
	if
	:: window == MAPPED -> seen = tree
	:: else
	fi;
	if
	:: seen != NONE ->
		assert(regions[seen].memory != FREE);
		open = regions[seen].usable
	:: else -> open = false
	fi;
	d_step { seen = NONE; rcu_readers-- }
}

/* locked_page() */
inline locked_page()
{
	do
	:: read_page();
	   lock_page(page);
#ifdef BREAK_PAGE_IS_LOOKED_AT_AGAIN
	   break
#endif
	   if
	   :: pages[page].in_file -> break
	   :: else -> unlock_page(page); put_page(page)
	   fi
	od
}

/* window_map_pages(): what is there already; it does not wait for the invalidate_lock */
inline window_map_pages()
{
#ifdef BREAK_MAPPING_HOLDS_THE_INVALIDATE_LOCK
	retired = true;		/* borrowed: there was no one to wait for */
#else
	atomic {
		if
		:: !invalidate_lock.writer -> invalidate_lock.readers++; retired = true
		:: else
		fi
	}
#endif
	if
	:: retired -> gate()
	:: else
	fi;
	if
	:: open && slot < PAGES ->
		d_step {
			if	/* folio_try_get(), folio_trylock() */
			:: slot < PAGES && !pages[slot].locked ->
				page = slot;
				pages[page].refs++;
				pages[page].locked = true
			:: else
			fi
		}
		if
		:: page != NONE ->
			map_page();
			unlock_page(page);
			put_page(page)
		:: else
		fi
	:: else
	fi;
#ifndef BREAK_MAPPING_HOLDS_THE_INVALIDATE_LOCK
	if
	:: retired -> up_read(invalidate_lock)
	:: else
	fi;
#endif
	d_step { open = false; retired = false }
}

/* window_fault(), and finish_fault() after it */
inline window_fault()
{
#ifdef BREAK_GATE_IS_LOOKED_AT_UNDER_THE_LOCK
	gate();
	down_read(invalidate_lock);
#else
#ifndef BREAK_FAULT_HOLDS_THE_INVALIDATE_LOCK
	down_read(invalidate_lock);
#endif
	gate();
#endif
	if
	:: open -> locked_page()
	:: else				/* SIGSEGV */
	fi;
#ifndef BREAK_FAULT_HOLDS_THE_INVALIDATE_LOCK
	up_read(invalidate_lock);
#endif
	if
	:: open ->
#ifdef BREAK_FAULT_RETURNS_THE_PAGE_LOCKED
		unlock_page(page);
		map_page();
		put_page(page)
#else
		map_page();
		unlock_page(page);
		put_page(page)
#endif
	:: else
	fi;
	open = false
}

/* A load or store of the expert's, or a copy to or from user space in a call. */
inline touch()
{
	if
	:: atomic { pte != NONE -> assert(pages[pte].in_file && pages[pte].made_for == newest) }
	:: atomic { pte == NONE && !mmap_lock.writer -> mmap_lock.readers++ }
	   if
	   :: vma ->
		window_map_pages();
		if
		:: pte == NONE -> window_fault()
		:: else
		fi
	   :: else
	   fi;
	   up_read(mmap_lock)
	fi
}

/* expertmem_pins_collect(): nobody but a fault can have got a page since it was unmapped */
inline collect()
{
	d_step {
		if
		:: slot < PAGES && (pages[slot].refs || pte == slot) ->
			pin = slot;
			pages[pin].refs++
		:: else
		fi
	}
}

/* expertmem_pins_settle(): whoever has the page now is no fault */
inline settle()
{
	d_step {
		if
		:: pages[pin].refs > 1 -> pages[pin].pinned = true
		:: else -> pages[pin].refs--
		fi;
		pin = NONE
	}
}

/* expertmem_window_truncate() */
inline window_truncate()
{
	if
	:: slot == NONE
	:: else ->
		pte = NONE;		/* unmap_mapping_pages() */
#if HOLDERS
		collect();
		if
		:: pin != NONE ->
#ifndef BREAK_PINS_ARE_LOOKED_FOR_BY_ONE_AT_A_TIME
			put_page(pin);
			mutex_lock(pins_lock);
			collect();
			if
			:: pin == NONE -> mutex_unlock(pins_lock)
			:: else
			fi
#endif
		:: else
		fi;
#endif
		do			/* shmem_truncate_range() */
		:: atomic { slot == NONE -> break }
		:: d_step { slot == SWAPPED -> slot = NONE; swapped_for = 0 }
		:: d_step { slot < PAGES -> victim = slot; pages[victim].refs++ }
		   lock_page(victim);
		   remove_page(victim, NONE);
		   unlock_page(victim);
		   put_page(victim)
		od;
#if HOLDERS
		if
		:: pin != NONE ->
			settle();
#ifndef BREAK_PINS_ARE_LOOKED_FOR_BY_ONE_AT_A_TIME
			mutex_unlock(pins_lock)
#endif
		:: else
		fi;
		assert(held == NONE || pages[held].in_file || pages[held].pinned || pins_lock)
#endif
	fi
}

/* kfree_rcu(): freed once nobody is reading */
inline free_region(r)
{
	d_step {
		assert(regions[r].memory == USED);
#ifdef BREAK_REGIONS_ARE_FREED_AFTER_READERS
		regions[r].memory = FREE;
#else
		regions[r].memory = FREEING;
#endif
		regions[r].usable = false;
		regions[r].busy = false
	}
}

/* expertmem_region_destroy() */
inline region_destroy(r)
{
	assert(NOTHING_LEFT);
	tree = NONE;
	free_region(r)
}

/* expertmem_window_wait_for_faults() */
inline wait_for_faults()
{
#ifndef BREAK_FAULTS_ARE_WAITED_FOR
	down_write(invalidate_lock);
	up_write(invalidate_lock)
#else
	skip
#endif
}

/* expertmem_window_populate(), make_page() */
inline window_populate()
{
	down_read(invalidate_lock);
	if
#ifndef BREAK_POPULATING_ENDS_WITH_THE_WINDOW
	:: window == GONE -> err = true
#endif
	:: else ->
		if
		:: locked_page()
		:: err = true		/* -ENOMEM */
		fi
	fi;
	up_read(invalidate_lock);
	if
	:: page != NONE -> unlock_page(page); put_page(page)
	:: else
	fi
}

/* do_alloc() */
inline do_alloc()
{
	atomic {	/* kzalloc() */
		if
		:: regions[0].memory == FREE || (regions[0].memory == FREEING && !rcu_readers) -> mine = 0
		:: else ->
			if
			:: regions[1].memory == FREE ||
			   (regions[1].memory == FREEING && !rcu_readers) -> mine = 1
			:: else ->
				regions[2].memory == FREE ||
				(regions[2].memory == FREEING && !rcu_readers);
				mine = 2
			fi
		fi;
		regions[mine].memory = USED;
		regions[mine].busy = true
	}
	mutex_lock(expert_lock);
	if		/* expertmem_region_insert() */
	:: window == MAPPED && tree == NONE -> d_step { tree = mine; newest++ }
	:: else -> d_step { regions[mine].memory = FREE; regions[mine].busy = false; mine = NONE }
	fi;
	mutex_unlock(expert_lock);

	if
	:: mine == NONE
	:: else ->
		if
		:: window_populate()
		:: true
		fi;
#ifdef BREAK_USER_MEMORY_IS_TOUCHED_WITHOUT_LOCKS
		mutex_lock(expert_lock);
		touch();
		mutex_unlock(expert_lock);
#else
		if		/* put_user() */
		:: !err -> touch()
		:: err = true	/* -EFAULT */
		fi;
#endif
		if
		:: err -> window_truncate()
		:: else
		fi;
		mutex_lock(expert_lock);
		if
#ifndef BREAK_CALLS_LEAVE_A_WINDOW_THAT_IS_GONE
		:: window == GONE		/* has freed it */
#endif
		:: else ->
			if
			:: err -> region_destroy(mine)
			/* expertmem_region_publish() */
			:: else -> d_step { regions[mine].usable = true; regions[mine].busy = false }
			fi
		fi;
		mutex_unlock(expert_lock)
	fi;
	d_step { mine = NONE; err = false }
}

/* do_free() */
inline do_free()
{
	mutex_lock(expert_lock);
	if		/* region_take() */
#ifdef BREAK_A_BUSY_REGION_IS_LEFT_ALONE
	:: window != GONE && tree != NONE ->
#else
	:: window != GONE && tree != NONE && !regions[tree].busy ->
#endif
		mine = tree;
		regions[mine].busy = true;
#ifdef BREAK_THE_GATE_IS_CLOSED_BEFORE_TRUNCATION
		mutex_unlock(expert_lock);
		window_truncate();
		mutex_lock(expert_lock);
		if
		:: window != GONE -> regions[mine].usable = false
		:: else
		fi;
		mutex_unlock(expert_lock);
		wait_for_faults();
#else
		regions[mine].usable = false;	/* expertmem_region_close() */
		mutex_unlock(expert_lock);
		wait_for_faults();
		window_truncate();
#endif
		mutex_lock(expert_lock);
		if
#ifndef BREAK_CALLS_LEAVE_A_WINDOW_THAT_IS_GONE
		:: window == GONE
#endif
		:: else -> region_destroy(mine)
		fi;
		mutex_unlock(expert_lock);
		mine = NONE
	:: else -> mutex_unlock(expert_lock)
	fi
}

/* expertmem_reclaim(), with close_window(), empty_window() and expertmem_regions_destroy() */
inline reclaim()
{
#ifndef BREAK_THE_SECOND_RECLAIM_WAITS
	mutex_lock(reclaim_lock);
#endif
	mutex_lock(expert_lock);
	gone = released;
	if
	:: !gone && window == MAPPED ->
		window = GONE;
		retired = true
	:: else -> window = GONE
	fi;
	mutex_unlock(expert_lock);
	if
	:: retired ->
		wait_for_faults();
		window_truncate();
		mutex_lock(expert_lock);	/* expertmem_uncharge() */
		mutex_unlock(expert_lock);
		atomic {
			if	/* kfree(): no fault that has passed the gate is under way */
			:: tree != NONE ->
				free_region(tree);
				regions[tree].memory = FREE;
				tree = NONE
			:: else
			fi
		}
		given_back = true;
		retired = false
	:: else
	fi;
#ifndef BREAK_THE_SECOND_RECLAIM_WAITS
	mutex_unlock(reclaim_lock);
#endif
	assert(NOTHING_LEFT);
	gone = false
}

/* expertmem_put(), expert_destroy() */
inline expert_put()
{
	d_step {
		assert(!destroyed && kref);
		kref--;
		if
		:: !kref ->
			assert(NOTHING_LEFT && !vma && tree == NONE);
			assert(!reclaim_lock && !expert_lock && !pins_lock);
			destroyed = true
		:: else
		fi
	}
}

/* fput(expert->file): its release comes later, from no one's locks */
inline put_file()
{
	d_step { assert(file_refs); file_refs-- }
}

/* ------------------------------------------------------------------- processes */

active [THREADS] proctype thread()
{
	LOCALS
	byte n;

	do
	:: n < TOUCHES -> touch(); n++
	:: else -> break
	od
}

active [CALLERS] proctype caller()
{
	LOCALS
	byte n;

	do
	:: n < REGIONS -> do_alloc(); do_free(); n++
	:: else -> break
	od;
	put_file()
}

/* expertmem_window_mmap(); munmap() or exit_mmap(), and window_close() */
active proctype expert()
{
	LOCALS

	down_write(mmap_lock);
	mutex_lock(expert_lock);
	if
	:: window == UNMAPPED -> d_step { window = MAPPED; vma = true; file_refs++ }
	:: else				/* -ESHUTDOWN */
	fi;
	mutex_unlock(expert_lock);
	up_write(mmap_lock);

	put_file();	/* the descriptor is closed before the window is unmapped */
	if
	:: vma ->
		down_write(mmap_lock);
		vma = false;
		pte = NONE;
#ifdef BREAK_A_WINDOW_HOLDS_THE_FILE
		put_file();
		reclaim();
#else
		reclaim();
		put_file();
#endif
		up_write(mmap_lock)
	:: else
	fi
}

#if HOSTS
/* expert_reclaim() */
active [HOSTS] proctype host()
{
	LOCALS

	if
	:: reclaim()
	:: true
	fi;
	put_file()
}
#endif

#if NETLINKS
/* expertmem_find(); the RECLAIM of netlink.c */
active [NETLINKS] proctype netlink()
{
	LOCALS

	atomic {
		if
#ifdef BREAK_WHO_FINDS_AN_EXPERT_HOLDS_IT
		:: found -> skip
#else
		:: found -> kref++
#endif
		:: goto out
		fi
	}
	reclaim();
#ifndef BREAK_WHO_FINDS_AN_EXPERT_HOLDS_IT
	expert_put();
#endif
out:	skip
}
#endif

/* expert_release(), expert_leave() */
active proctype vfs()
{
	file_refs == 0;
	found = false;
	mutex_lock(reclaim_lock);
	mutex_lock(expert_lock);
	released = true;
	mutex_unlock(expert_lock);
	mutex_unlock(reclaim_lock);
	expert_put()
}

#if SWAPS
/* shmem_writepage(): from file to swap, under the folio lock alone */
active proctype swapper()
{
	byte victim = NONE;
	byte n;

	do
	:: n < SWAPS ->
		if
		:: d_step { slot < PAGES -> victim = slot; pages[victim].refs++ }
		   lock_page(victim);
		   remove_page(victim, SWAPPED);
		   unlock_page(victim);
		   put_page(victim)
		:: true
		fi;
		n++
	:: else -> break
	od
}
#endif

#if HOLDERS
/* Takes what the process has mapped, as get_user_pages_fast() does, and look_again() later. */
active proctype holder()
{
	if
	:: d_step { pte != NONE -> held = pte; pages[held].refs++ }
	   if
	   :: true		/* and keeps it */
	   :: d_step {
		pages[held].refs--;
		if
		:: pages[held].pinned -> pages[held].pinned = false; pages[held].refs--
		:: else
		fi;
		held = NONE
	      }
	   fi
	:: true
	fi
}
#endif
