// SPDX-License-Identifier: GPL-2.0
/*
 * Windows and the status page as mappings: mmap and what else the mm can do to them, and
 * touches of every kind, by the program and by the kernel on its behalf.
 */
#include "fuzz.h"
#include "ops.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif

static __u64 decode_length(__u16 x, __u64 granule)
{
	__u64 low = x & 0xfff;

	switch (x >> 12) {
	case 0 ... 1:
		return (low % 64 + 1) * PAGE;
	case 2 ... 6:
		return (low % 64 + 1) * HUGE;
	case 7 ... 8:
		return GIB << (low & 7);
	case 9:
		return EXPERTMEM_WINDOW_MAX;
	case 10:
		return EXPERTMEM_WINDOW_MAX + granule;
	case 11:
		return 0;
	case 12:
		return low;
	default:
		return 64 * MIB;
	}
}

static void map_status(struct step *step, int prot, int flags, __u64 length)
{
	struct shadow_expert *expert = step->expert;
	struct errors errors = { };
	long addr;

	if (expert->status[step->process])
		return;
	may_fail(&errors, !length || length > PAGE || flags & MAP_PRIVATE ||
			  prot & (PROT_WRITE | PROT_EXEC), EINVAL);
	may_fail(&errors, prot & PROT_EXEC, EPERM);	/* where /dev is noexec */
	addr = call_simply(step->process, CALL_MMAP, 0, length, prot, flags, step->slot,
			   EXPERTMEM_STATUS_OFFSET);
	tell("mmap status, length %#llx prot %d flags %#x: %#lx", length, prot, flags, addr);
	expect_result("mmap status", &errors, addr < 0 && addr > -4096 ? addr : 0);
	if (!errors.nr)
		expert->status[step->process] = (void *)addr;
}

/* What is mapped where the new mapping is to be goes first, whatever comes then. */
static bool displace(struct step *step, struct shadow_window *old, __u64 length)
{
	__u64 size = (length + PAGE - 1) & ~(PAGE - 1);

	if (!old->addr || old->process != step->process || !length || size > old->size)
		return false;
	if (size == old->size)
		unmap_window(step->expert, old);
	return true;
}

void op_mmap(struct step *step)
{
	static const int prots[] = { PROT_READ | PROT_WRITE, PROT_READ, PROT_NONE,
				     PROT_READ | PROT_WRITE | PROT_EXEC };
	struct shadow_expert *expert = step->expert;
	struct record *r = &step->record;
	struct shadow_window *window = &expert->windows[r->a & 1];
	struct shadow_window *other = &expert->windows[r->b >> 7];
	int prot = prots[(r->b & 15) < 13 ? 0 : r->b & 3];
	int flags = MAP_SHARED | ((r->b & 0x70) == 0x70 ? MAP_POPULATE : 0);
	bool private = (r->b & 0x70) == 0x60;
	/* more of it would be refused for its size */
	__u64 length = private ? 16 * MIB : decode_length(r->x, window->granule);
	__u64 pages = (length + PAGE - 1) & ~(PAGE - 1);
	__u64 offset = window->offset;
	struct errors errors = { };
	void *where = NULL;
	bool partial;
	long addr;

	if (private)
		flags = MAP_PRIVATE;
	if ((r->a >> 1 & 3) == 3) {
		map_status(step, prot | PROT_READ, flags, r->x & 0xc000 ? PAGE : length);
		return;
	}
	if (r->a >> 3 == 31)
		offset += ((__u64)r->y + 1) << 12;
	where = other->addr;
	partial = false;
	if (r->y >> 12 == 15) {
		partial = where && pages < other->size;
		prot &= ~PROT_EXEC;	/* which may be refused before */
		if (!displace(step, other, length))
			return;
		flags |= MAP_FIXED;
	} else {
		where = NULL;
	}
	may_fail(&errors, !length || pages > EXPERTMEM_WINDOW_MAX || pages % window->granule ||
			  flags & MAP_PRIVATE || prot & PROT_EXEC ||
			  offset != window->offset || partial, EINVAL);
	may_fail(&errors, prot & PROT_EXEC, EPERM);
	may_fail(&errors, partial, ENOMEM);
	may_fail(&errors, window->state != UNMAPPED, EBUSY);
	may_fail(&errors, expert->stat.state == EXPERTMEM_STATE_RECLAIMED, ESHUTDOWN);
	may_fail(&errors, expert->stat.state == EXPERTMEM_STATE_TERMINATING, ECANCELED);
	addr = call_simply(step->process, CALL_MMAP, (long)where, length, prot, flags, step->slot,
			   offset);
	tell("mmap %llu, at %p length %#llx prot %d flags %#x offset %#llx: %#lx",
	     window->granule, where, length, prot, flags, offset, addr);
	expect_result("mmap", &errors, addr < 0 && addr > -4096 ? addr : 0);
	if (errors.nr)
		return;
	window->state = MAPPED;
	window->addr = (void *)addr;
	window->size = pages;
	window->prot = prot;
	window->process = step->process;
	window->forkable = true;
	if (expert->stat.state == EXPERTMEM_STATE_IDLE)
		expert->stat.state = EXPERTMEM_STATE_RUNNING;
	if (!expert->mapper)
		expert->mapper = step->process == HERE ? getpid() : shadow.child;
}

void unmap_window(struct shadow_expert *expert, struct shadow_window *window)
{
	window->addr = NULL;
	shadow_reclaim(expert, window, EXPERTMEM_CAUSE_DETACH, 0);
	shadow_release(expert);
}

/* A mapped window of the expert's, gone or not, and who has it; rather one with regions. */
static struct shadow_window *mapped_window(struct step *step, unsigned int which)
{
	struct shadow_window *window = &step->expert->windows[which & 1];

	if (!window->addr || (!window->nr_regions && step->expert->windows[~which & 1].nr_regions &&
			      which & 0x10))
		window = &step->expert->windows[~which & 1];
	step->process = window->process;
	return window->addr ? window : NULL;
}

void op_munmap(struct step *step)
{
	struct record *r = &step->record;
	struct shadow_window *window;
	struct errors errors = { };
	__u64 from = 0, size;
	long ret;

	if (r->a >> 4 == 15) {
		if (!step->expert->status[step->process])
			return;
		ret = call_simply(step->process, CALL_MUNMAP,
				  (long)step->expert->status[step->process], PAGE, 0, 0, 0, 0);
		tell("munmap status: %ld", ret);
		expect_result("munmap status", &errors, ret);
		step->expert->status[step->process] = NULL;
		shadow_release(step->expert);
		return;
	}
	window = mapped_window(step, r->a);
	if (!window)
		return;
	size = window->size;
	if (r->b & 1 && size > PAGE) {
		from = r->b & 2 ? PAGE : 0;
		size -= PAGE;
	}
	may_fail(&errors, size != window->size, EINVAL);
	ret = call_simply(step->process, CALL_MUNMAP, (long)window->addr + from, size, 0, 0, 0, 0);
	tell("munmap %llu from %#llx size %#llx: %ld", window->granule, from, size, ret);
	expect_result("munmap", &errors, ret);
	if (!ret)
		unmap_window(step->expert, window);
}

/* Windows cannot be split, moved, grown or made executable. */
void op_change(struct step *step)
{
	static const int prots[] = { PROT_READ | PROT_WRITE, PROT_READ, PROT_NONE, PROT_EXEC };
	struct record *r = &step->record;
	struct shadow_window *window = mapped_window(step, r->a);
	int prot = prots[r->b & 3];
	struct errors errors = { };
	long addr, size, ret, new_size;
	bool part;

	if (!window)
		return;
	addr = (long)window->addr;
	size = window->size;
	part = r->x & 1 && size > (long)PAGE;
	switch (r->a >> 1 & 3) {
	case 0:
	case 1:
		may_fail(&errors, prot == PROT_EXEC, EACCES);
		may_fail(&errors, part && prot != window->prot, EINVAL);
		ret = call_simply(step->process, CALL_MPROTECT, addr, part ? size / 2 & ~(PAGE - 1) :
				  size, prot, 0, 0, 0);
		tell("mprotect %llu %d of %s: %ld", window->granule, prot,
		     part ? "half" : "all", ret);
		expect_result("mprotect", &errors, ret);
		if (!ret && !part)
			window->prot = prot;
		break;
	case 2:
		new_size = r->x & 2 ? size + HUGE : part ? size / 2 & ~(PAGE - 1) : size;
		ret = call_simply(step->process, CALL_MREMAP, addr, r->x & 4 ? 0 : size, new_size,
				  r->b & 3, addr ^ (long)(64 * TIB), 0);
		tell("mremap %llu to %#lx flags %d: %#lx", window->granule, new_size, r->b & 3, ret);
		if (ret != addr && (ret > 0 || ret <= -4096))
			fail("mremap moved a window to %#lx", ret);
		if (ret == addr && new_size != size)
			fail("mremap made a window %#lx long", new_size);
		break;
	default:
		ret = call_simply(step->process, CALL_REMAP, addr, PAGE, r->y, 0, 0, 0);
		tell("remap_file_pages: %ld", ret);
		if (!ret)
			fail("remap_file_pages succeeded");
	}
}

/* ------------------------------------------------------------------------- touching */

/* A page of a window: in a region, at its ends, or wherever. */
static __u64 decode_page(const struct shadow_window *window, __u16 x, __u16 y)
{
	const struct shadow_region *region;
	__u64 page;

	if (!window->nr_regions || y >> 12 == 15)
		return window->offset + ((__u64)x * 0x9e3779b97f4a7c15ULL) % window->size / PAGE * PAGE;
	region = &window->regions[(y & 0xff) % window->nr_regions];
	switch (y >> 12) {
	case 0 ... 3:
		page = region->offset;
		break;
	case 4:
		page = region->offset - PAGE;
		break;
	case 5:
		page = region->offset + region->size;
		break;
	case 6 ... 8:
		page = region->offset + region->size - PAGE;
		break;
	default:
		page = region->offset + (x & 15) * PAGE;
	}
	return page < window->offset + window->size ? page : window->offset;
}

static void check_page(struct shadow_window *window, __u64 offset, const __u64 *words)
{
	struct shadow_page *page = shadow_page(window, offset);
	__u64 word = page ? page->word : 0;

	if (words[0] != word || words[1] != word)
		fail("page %#llx has %#llx and %#llx, not %#llx", offset, words[0], words[1], word);
	if (!(page && page->written) && !words[2])
		fail("page %#llx is new, and not zero", offset);
}

void op_touch(struct step *step)
{
	static __u64 last_word;
	struct record *r = &step->record;
	struct shadow_window *window = mapped_window(step, r->a);
	bool write = r->a & 2, by_kernel = r->a >> 4 == 15;
	struct call call = { .kind = write ? CALL_POKE : CALL_PEEK };
	struct shadow_page *page;
	long ret, expected;
	bool touchable;
	__u64 offset;

	if (!window || !shadow_has_room(window, 1))
		return;
	offset = decode_page(window, r->x, r->y);
	call.arg[0] = (long)window->addr + (offset - window->offset);
	touchable = shadow_touchable(window, offset) &&
		    window->prot & (write && !by_kernel ? PROT_WRITE : PROT_READ);
	expected = touchable ? 0 : SIGSEGV;
	call.arg[1] = ++last_word;
	if (by_kernel) {
		call.kind = CALL_WRITE;
		call.arg[1] = PAGE;
		expected = touchable ? (long)PAGE : -EFAULT;
	}
	ret = process_call(step->process, &call);
	tell("%s page %#llx: %ld", by_kernel ? "write() from" : write ? "write" : "read", offset, ret);
	if (ret != expected)
		fail("touching page %#llx gives %ld, not %ld", offset, ret, expected);
	if (!touchable)
		return;
	if (call.kind == CALL_PEEK)
		check_page(window, offset, (__u64 *)call.data);
	page = shadow_present(window, offset);
	if (call.kind == CALL_POKE) {
		page->word = last_word;
		page->written = true;
	}
}

/* A window that came by fork() faults, wherever it is touched. */
void op_orphan(struct step *step)
{
	unsigned int which = step->record.a & 1;
	struct shadow_window *window = &step->expert->windows[which];
	struct errors errors = { };
	long ret;

	if (!step->expert->orphan[which] || shadow.idle)
		return;
	if (step->record.a & 2) {
		ret = call_simply(CHILD, CALL_MUNMAP, (long)step->expert->orphan[which],
				  window->size, 0, 0, 0, 0);
		tell("munmap of an orphan: %ld", ret);
		expect_result("munmap of an orphan", &errors, ret);
		step->expert->orphan[which] = NULL;
		shadow_release(step->expert);
		return;
	}
	ret = call_simply(CHILD, CALL_PEEK, (long)step->expert->orphan[which] +
			  decode_page(window, step->record.x, step->record.y) - window->offset,
			  0, 0, 0, 0, 0);
	tell("touch an orphan: %ld", ret);
	if (ret != SIGSEGV)
		fail("touching a window that came by fork gives %ld", ret);
}

/* -------------------------------------------------------------------------- advising */

/* Pages come one after the other, up to the first that must not be touched. */
static bool populate_by_advice(struct shadow_window *window, __u64 from, __u64 to, bool write)
{
	for (; from < to; from += PAGE) {
		if (!shadow_touchable(window, from) ||
		    !(window->prot & (write ? PROT_WRITE : PROT_READ)))
			return false;
		shadow_present(window, from);
	}
	return true;
}

static void after_advice(struct shadow_window *window, int advice, __u64 from, __u64 to, long ret)
{
	bool all = to - from == window->size;

	switch (advice) {
	case MADV_REMOVE:
		if (ret && window->prot & PROT_WRITE)
			fail("MADV_REMOVE gives %ld", ret);
		if (!ret)
			shadow_drop(window, from, to);
		break;
	case MADV_POPULATE_READ:
	case MADV_POPULATE_WRITE:
		if (populate_by_advice(window, from, to, advice == MADV_POPULATE_WRITE) != !ret)
			fail("MADV_POPULATE_* of %#llx to %#llx gives %ld", from, to, ret);
		break;
	case MADV_DOFORK:
	case MADV_DONTFORK:
		if (!ret && all)
			window->forkable = advice == MADV_DOFORK;
		if (ret && all)
			fail("madvise %d of a window gives %ld", advice, ret);
		break;
	case MADV_PAGEOUT:
	case MADV_COLD:
	case MADV_FREE:
		window->vague = true;
		break;
	default:
		break;
	}
}

void op_advise(struct step *step)
{
	static const int advices[] = {
		MADV_REMOVE, MADV_REMOVE, MADV_REMOVE, MADV_DONTNEED, MADV_DOFORK, MADV_DONTFORK,
		MADV_POPULATE_READ, MADV_POPULATE_WRITE, MADV_PAGEOUT, MADV_COLD, MADV_FREE,
		MADV_WILLNEED, MADV_HUGEPAGE, MADV_NOHUGEPAGE, MADV_COLLAPSE, MADV_DODUMP,
		MADV_SEQUENTIAL, MADV_WIPEONFORK, MADV_MERGEABLE, MADV_UNMERGEABLE,
	};
	struct record *r = &step->record;
	struct shadow_window *window = mapped_window(step, r->a);
	int advice = advices[r->b % COUNT_OF(advices)];
	bool lock = r->a >> 4 == 15;
	__u64 from, to;
	long addr, ret;

	if (!window || !shadow_has_room(window, 8))
		return;
	from = decode_page(window, r->x, r->y);
	to = from + (r->a >> 2 & 3) * 2 * PAGE + PAGE;
	if (to > window->offset + window->size || !(r->a & 2)) {
		from = window->offset;
		to = from + window->size;
	}
	addr = (long)window->addr + (from - window->offset);
	if (lock) {
		/* never locks such a mapping, but reads all of it up to the first fault */
		ret = call_simply(step->process, CALL_MLOCK, addr, to - from, r->b & 1, 0, 0, 0);
		tell("%s %#llx to %#llx: %ld", r->b & 1 ? "munlock" : "mlock", from, to, ret);
		if (!(r->b & 1))
			populate_by_advice(window, from, to, false);
		return;
	}
	if (to - from > 8 * PAGE && (advice == MADV_POPULATE_READ || advice == MADV_POPULATE_WRITE))
		return;
	ret = call_simply(step->process, CALL_MADVISE, addr, to - from, advice, 0, 0, 0);
	tell("madvise %d %#llx to %#llx: %ld", advice, from, to, ret);
	after_advice(window, advice, from, to, ret);
}
