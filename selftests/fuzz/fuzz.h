/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A fuzzer of /dev/expertmem that knows what should happen.
 *
 * An input is a sequence of records. Each becomes an operation (sequence.c, messages.c):
 * it asks the shadow model (model.c) which results the documentation allows, makes the
 * call, in this process or in a child of it (process.c), and compares. device.c is what
 * libFuzzer calls: it mutates sequences, collects the module's coverage, listens to the
 * kernel's log, and makes a failing sequence short.
 */
#ifndef EXPERTMEM_FUZZ_H
#define EXPERTMEM_FUZZ_H

#include <stdint.h>
#include "../lib/expertmem_test.h"

#define EXPERTS		4
#define REGIONS_KNOWN	48	/* to the model, for each window; not to be passed */
#define PAGES_KNOWN	1024
#define GRANULES_KNOWN	16
#define RECORDS_MAX	56	/* what one line of the kernel's log holds */

/**
 * struct record - an operation, as a fuzzer sees it
 * @op: which
 * @who: bits 0 and 1 the expert, 2 exactly that one, 4 to 6 where the argument of an ioctl is, 7 the process
 * @a: the rest is up to the operation
 * @b: so
 * @x: so
 * @y: so
 */
struct record {
	__u8 op, who, a, b;
	__u16 x, y;
};

/* Who has a descriptor, or maps a window. */
enum process {
	HERE,
	CHILD,
	PROCESSES,
	IN_FLIGHT = PROCESSES,	/* a descriptor in a socket that nobody reads */
};

/* ---------------------------------------------------------------- the shadow model */

struct shadow_region {
	__u64 offset, size, room;
};

/**
 * struct shadow_page - a page that exists
 * @offset: where
 * @word: its first and last word
 * @written: it may have more than zeros between these
 */
struct shadow_page {
	__u64 offset;
	__u64 word;
	bool written;
};

/**
 * struct shadow_granule - a granule of the huge window with a page in it
 * @offset: where
 * @full: all its pages exist
 */
struct shadow_granule {
	__u64 offset;
	bool full;
};

enum shadow_state { UNMAPPED, MAPPED, GONE };

/**
 * struct shadow_window - what a window should be like
 * @offset: in the device
 * @granule: bytes
 * @state: one life
 * @addr: where it is mapped, also after it is gone; NULL: not, or not any more
 * @size: bytes
 * @prot: as mapped
 * @process: who mapped it
 * @forkable: a fork() will copy the mapping
 * @vague: clean pages may have been dropped, or not copied
 * @nr_regions: in use of @regions
 * @nr_pages: in use of @pages
 * @nr_granules: in use of @granules
 * @regions: by offset
 * @pages: in any order
 * @granules: in any order
 */
struct shadow_window {
	__u64 offset;
	__u64 granule;
	enum shadow_state state;
	unsigned char *addr;
	__u64 size;
	int prot;
	enum process process;
	bool forkable, vague;
	unsigned int nr_regions, nr_pages, nr_granules;
	struct shadow_region regions[REGIONS_KNOWN];
	struct shadow_page pages[PAGES_KNOWN];
	struct shadow_granule granules[GRANULES_KNOWN];
};

/**
 * struct shadow_expert - what an expert should be like
 * @exists: opened, and not released
 * @configured: CONFIGURE succeeded
 * @held: a bit for each enum process
 * @status: where the status page is mapped, by process
 * @orphan: a window that came to the child by fork(), by window
 * @stat: what STAT should say but for @regions, @committed and @resident
 * @opener: pid
 * @status_flags: what the status page should say
 * @mapper: pid of who mapped a window first, 0: nobody yet
 * @signal: that ended it
 * @freed: what was there when windows were taken back; @resident is a lower bound
 * @windows: small, huge
 */
struct shadow_expert {
	bool exists;
	bool configured;
	unsigned int held;
	struct expertmem_status *status[PROCESSES];
	unsigned char *orphan[2];
	struct expertmem_stat stat;
	__u32 status_flags;
	pid_t opener, mapper;
	__u32 signal;
	struct expertmem_reclaim freed;
	struct shadow_window windows[2];
};

/**
 * struct shadow - what all should be like
 * @child: its pid; 0: there is none
 * @idle: the child has called exec and does nothing any more
 * @default_limit: the module's parameter
 * @total_limit: so
 * @max_experts: so
 * @experts: the slots
 */
struct shadow {
	pid_t child;
	bool idle;
	__u64 default_limit, total_limit;
	unsigned int max_experts;
	struct shadow_expert experts[EXPERTS];
};

extern struct shadow shadow;

/* Errors that the documentation allows at this point; none: the call must succeed. */
struct errors {
	unsigned int nr;
	int list[16];
};

void may_fail(struct errors *errors, bool condition, int err);

void shadow_open(struct shadow_expert *expert, __u64 id, enum process process);
void shadow_close(struct shadow_expert *expert, enum process process);
bool shadow_release(struct shadow_expert *expert);
unsigned int shadow_count(void);
unsigned int shadow_count_live(void);
__u64 shadow_committed(const struct shadow_expert *expert);
__u64 shadow_total(void);
bool shadow_would_pass(__u64 limit, __u64 committed, __u64 more);
bool shadow_fits(const struct shadow_window *window, __u64 span);
bool shadow_placed_well(const struct shadow_window *window,
			const struct shadow_region *region);
bool shadow_can_grow(const struct shadow_window *window,
		     const struct shadow_region *region, __u64 size);
struct shadow_region *shadow_region_at(struct shadow_window *window, __u64 offset);
bool shadow_touchable(const struct shadow_window *window, __u64 offset);
void shadow_insert(struct shadow_expert *expert, struct shadow_window *window,
		   const struct shadow_region *region);
void shadow_resize(struct shadow_expert *expert, struct shadow_window *window,
		   struct shadow_region *region, __u64 size);
void shadow_remove(struct shadow_window *window, struct shadow_region *region);
bool shadow_has_room(const struct shadow_window *window, __u64 pages);
struct shadow_page *shadow_page(struct shadow_window *window, __u64 offset);
struct shadow_page *shadow_present(struct shadow_window *window, __u64 offset);
void shadow_populate(struct shadow_window *window, __u64 from, __u64 to);
void shadow_drop(struct shadow_window *window, __u64 from, __u64 to);
void shadow_resident(const struct shadow_expert *expert, __u64 *low, __u64 *high);
void shadow_reclaim(struct shadow_expert *expert, struct shadow_window *only,
		    enum expertmem_cause cause, __u32 signal);
void shadow_copy(struct shadow_expert *to, const struct shadow_expert *from);
void shadow_terminate(struct shadow_expert *expert);
void shadow_process_ends(enum process process, __u32 signal, bool all);

/* ---------------------------------------------------------------------- processes */

#define DATA_MAX	512

enum call_kind {
	CALL_OPEN,	/* slot */
	CALL_CLOSE,	/* slot */
	CALL_IOCTL,	/* slot, cmd, address, whether data goes there first */
	CALL_MMAP,	/* address, length, prot, flags, slot, offset */
	CALL_MUNMAP,	/* address, length */
	CALL_MPROTECT,	/* address, length, prot */
	CALL_MREMAP,	/* address, old length, new length, flags, new address */
	CALL_MADVISE,	/* address, length, advice */
	CALL_MLOCK,	/* address, length, unlock */
	CALL_REMAP,	/* address, length, page offset: remap_file_pages() */
	CALL_PEEK,	/* address: the signal; data is the page */
	CALL_POKE,	/* address, word: the signal */
	CALL_WRITE,	/* address, length: into a file */
	CALL_FILE,	/* slot, which: what the device is not made for */
	CALL_SEND,	/* slot: hand the descriptor over */
	CALL_TAKE,	/* slot: receive what was handed over */
	CALL_DIE,	/* how: enum death */
};

enum death { DIE_EXIT, DIE_KILLED, DIE_CRASH, DIE_EXEC, DEATHS };

struct call {
	enum call_kind kind;
	__u32 size;
	long arg[6];
	unsigned char data[DATA_MAX];
};

/* Memory at the same addresses in both processes. */
extern unsigned char *scratch;
#define SCRATCH_READONLY	(scratch + PAGE)
#define SCRATCH_END		(scratch + 3 * PAGE)

int process_setup(void);
long process_call(enum process process, struct call *call);
int process_fork(void);
void process_end(enum death how);
void process_reap(void);
int process_flight(int slot);
void process_land(void);
long call_simply(enum process process, enum call_kind kind, long a, long b, long c, long d,
		 long e, long f);
int slot_fd(int slot);

/* ---------------------------------------------------------------------- sequences */

/**
 * struct step - an operation that is being done
 * @record: which
 * @slot: the expert's
 * @expert: the expert
 * @process: who calls
 */
struct step {
	struct record record;
	int slot;
	struct shadow_expert *expert;
	enum process process;
};

int sequence_setup(void);
size_t sequence_begin(struct record *records, unsigned int who);
bool sequence_run(const struct record *records, size_t nr);
void sequence_outcomes(void);
extern char sequence_failure[1024];
extern bool sequence_tell;

/* a documented result, or the end of the sequence */
void expect_result(const char *call, const struct errors *errors, int ret);
__attribute__((noreturn, format(printf, 1, 2))) void fail(const char *fmt, ...);
__attribute__((format(printf, 1, 2))) void tell(const char *fmt, ...);
void check_stat(const struct shadow_expert *expert, const struct expertmem_stat *stat);
void check_reclaimed(const struct shadow_expert *expert, __u64 bytes, __u64 regions,
		     __u64 resident);

/* device.c: after every operation, before the coverage buffer is full */
void coverage_collect(void);
void coverage_child(void);

/* messages.c */
int messages_setup(void);
void messages_check_totals(void);

#endif /* EXPERTMEM_FUZZ_H */
