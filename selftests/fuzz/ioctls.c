// SPDX-License-Identifier: GPL-2.0
/*
 * The ioctls: with arguments good and bad, at addresses good and bad.
 */
#include "fuzz.h"
#include "ops.h"

/* Where the argument of an ioctl may be other than where it should. */
enum place { NOWHERE = 4, READONLY, IN_REGION, ACROSS_END };

/* A page of a region that the caller may write to, whoever's it is. */
static unsigned char *place_in_region(const struct step *step, struct shadow_window **window)
{
	struct shadow_region *region;
	struct shadow_window *w;
	unsigned int i;

	for (i = 0; i < 2 * EXPERTS; i++) {
		w = &shadow.experts[(step->slot + i / 2) % EXPERTS].windows[i % 2];
		if (w->state != MAPPED || w->process != step->process || !w->nr_regions ||
		    !(w->prot & PROT_WRITE) || !shadow_has_room(w, 1))
			continue;
		region = &w->regions[step->record.y % w->nr_regions];
		shadow_present(w, region->offset)->written = true;
		*window = w;
		return w->addr + (region->offset - w->offset) + 64;
	}
	return scratch;
}

/*
 * Make an ioctl with its argument where the record wants it, and add what that alone may
 * do to the call.
 */
static int device_call(const struct step *step, unsigned long cmd, void *arg, size_t size,
		       struct errors *errors)
{
	static void *const nowhere[] = {
		NULL, (void *)0x7ffffffff000, (void *)0xffff888000000000, (void *)0x1000,
	};
	struct call call = { .kind = CALL_IOCTL, .size = size };
	struct shadow_window *window = NULL;
	unsigned char *where = scratch;
	bool fill = true;
	int ret;

	memcpy(call.data, arg, size);
	switch (step->record.who >> 4 & 7) {
	case NOWHERE:
		where = nowhere[step->record.y % COUNT_OF(nowhere)];
		fill = false;
		may_fail(errors, true, EFAULT);
		break;
	case READONLY:
		where = SCRATCH_READONLY;
		may_fail(errors, _IOC_DIR(cmd) & _IOC_READ, EFAULT);
		break;
	case IN_REGION:
		where = place_in_region(step, &window);
		/* where the result is to be written is what RECLAIM takes back */
		may_fail(errors, cmd == EXPERTMEM_IOC_RECLAIM && window &&
				 (window == &step->expert->windows[0] ||
				  window == &step->expert->windows[1]), EFAULT);
		break;
	case ACROSS_END:
		where = SCRATCH_END - (size / 2 & ~7UL);
		fill = false;
		may_fail(errors, true, EFAULT);
		break;
	}
	call.arg[0] = step->slot;
	call.arg[1] = cmd;
	call.arg[2] = (long)where;
	call.arg[3] = fill;
	ret = process_call(step->process, &call);
	memcpy(arg, call.data, size);
	return ret;
}

/* What a call that charges counts when it fails. */
static void count_refused(struct shadow_expert *expert, int ret)
{
	if (ret == -EDQUOT || ret == -ENOMEM)
		expert->stat.refused++;
}

static void may_be_over(struct errors *errors, const struct shadow_expert *expert,
			const struct shadow_window *window)
{
	may_fail(errors, expert->stat.state == EXPERTMEM_STATE_RECLAIMED ||
			 window->state == GONE, ESHUTDOWN);
	may_fail(errors, expert->stat.state == EXPERTMEM_STATE_TERMINATING, ECANCELED);
}

static void may_pass_limits(struct errors *errors, const struct shadow_expert *expert,
			    __u64 more)
{
	may_fail(errors, shadow_would_pass(expert->stat.limit, shadow_committed(expert), more),
		 EDQUOT);
	may_fail(errors, shadow_would_pass(shadow.total_limit, shadow_total(), more), ENOMEM);
}

/* Bytes, of every order of magnitude, and around what matters. */
static __u64 decode_size(const struct step *step, const struct shadow_window *window, __u16 x)
{
	const __u64 hostile[] = {
		0, 1, EXPERTMEM_WINDOW_MAX, EXPERTMEM_WINDOW_MAX + 1, ~0ULL, ~0ULL - PAGE + 2,
		1ULL << 63, ~0ULL << 12, step->expert->stat.limit, step->expert->stat.limit + 1,
		shadow.total_limit - shadow_total(), shadow.total_limit - shadow_total() + 1,
		window->size - window->granule, window->size - 2 * window->granule,
		window->size - 2 * window->granule + 1, step->expert->stat.limit -
			shadow_committed(step->expert),
	};
	__u64 low = x & 0xfff;

	switch (x >> 12) {
	case 0 ... 3:
		return (low & 0x1f) * window->granule + 1;
	case 4 ... 6:
		return low * 2 + 1;
	case 7 ... 8:
		return (low & 0x3f) * 64 * KIB;
	case 9 ... 10:
		return (low & 0xf) * window->granule * 16;
	case 11:
		return (1ULL << (low & 0x1f)) - (low >> 5 & 1) + (low >> 6 & 1);
	case 12 ... 13:
		return window->size >> (low & 15);
	default:
		return hostile[low % COUNT_OF(hostile)];
	}
}

/* Mostly where a region is. */
static __u64 decode_offset(const struct step *step, __u16 y)
{
	struct shadow_window *windows = step->expert->windows;
	struct shadow_window *window = &windows[windows[y & 1].nr_regions ? y & 1 : ~y & 1];
	unsigned int n = window->nr_regions;
	__u64 offset = n ? window->regions[(y >> 1 & 0xff) % n].offset : window->offset;
	const __u64 hostile[] = {
		0, 1, offset + 1, offset + PAGE, offset - PAGE, offset + window->granule,
		window->offset, window->offset + window->size, ~0ULL, ~0ULL << 12,
		offset ^ EXPERTMEM_SMALL_OFFSET ^ EXPERTMEM_HUGE_OFFSET, 1ULL << 63,
		EXPERTMEM_HUGE_OFFSET + EXPERTMEM_WINDOW_MAX, EXPERTMEM_HUGE_OFFSET - PAGE,
	};

	return y >> 12 < 12 ? offset : hostile[(y >> 1 & 0xff) % COUNT_OF(hostile)];
}

static struct shadow_window *window_at(const struct step *step, __u64 offset)
{
	unsigned int i;

	for (i = 0; i < 2; i++)
		if (offset - step->expert->windows[i].offset < EXPERTMEM_WINDOW_MAX)
			return &step->expert->windows[i];
	return NULL;
}

static __u64 round_up_to(__u64 size, __u64 granule)
{
	return (size + granule - 1) / granule * granule;
}

/* Only what is small enough is populated: the machine's memory is not what is tested. */
static bool can_populate(const struct shadow_window *window, __u64 bytes)
{
	return bytes <= 16 * window->granule && shadow_has_room(window, bytes / window->granule);
}

void op_alloc(struct step *step)
{
	struct shadow_expert *expert = step->expert;
	struct record *r = &step->record;
	bool other = r->a & 4 && expert->windows[r->a & 1].state != MAPPED;
	struct expertmem_alloc arg = {
		.offset = POISON64,
		.flags = ((r->a & 3) ^ other) | (r->a >> 3 == 31 ? 1U << (r->b & 31) : 0),
		.reserved = r->a >> 3 == 30,
	};
	struct shadow_window *window = &expert->windows[arg.flags & EXPERTMEM_ALLOC_HUGE];
	bool unknown = arg.flags & ~3U || arg.reserved, large;
	struct shadow_region region;
	struct errors errors = { };
	int ret;

	if (window->nr_regions == REGIONS_KNOWN)
		return;
	arg.size = decode_size(step, window, r->x);
	if (r->b >> 6 == 1)
		arg.room = arg.size + (r->b & 63) * window->granule;
	else if (r->b >> 3 == 31)
		arg.room = decode_size(step, window, r->y);
	large = arg.size > EXPERTMEM_WINDOW_MAX || arg.room > EXPERTMEM_WINDOW_MAX;
	region.size = large ? arg.size : round_up_to(arg.size, window->granule);
	region.room = large ? arg.room : round_up_to(arg.room, window->granule);
	if (!can_populate(window, region.size))
		arg.flags &= ~EXPERTMEM_ALLOC_POPULATE;

	may_fail(&errors, unknown || !arg.size || (arg.room && arg.room < arg.size), EINVAL);
	may_be_over(&errors, expert, window);
	may_fail(&errors, window->state == UNMAPPED, ENXIO);
	may_fail(&errors, large || (window->state == MAPPED &&
				    !shadow_fits(window, region.room > region.size ?
							 region.room : region.size)), ENOSPC);
	may_pass_limits(&errors, expert, region.size);
	ret = device_call(step, EXPERTMEM_IOC_ALLOC, &arg, sizeof(arg), &errors);
	tell("ALLOC size %#llx room %#llx flags %#x: %d, offset %#llx", arg.size, arg.room,
	     arg.flags, ret, arg.offset);
	expect_result("ALLOC", &errors, ret);
	count_refused(expert, ret);
	if (ret)
		return;
	region.offset = arg.offset;
	if (!shadow_placed_well(window, &region))
		fail("ALLOC put a region of %#llx bytes, room %#llx, at %#llx", region.size,
		     region.room, region.offset);
	shadow_insert(expert, window, &region);
	if (arg.flags & EXPERTMEM_ALLOC_POPULATE)
		shadow_populate(window, region.offset, region.offset + region.size);
}

void op_realloc(struct step *step)
{
	struct shadow_expert *expert = step->expert;
	struct record *r = &step->record;
	struct expertmem_realloc arg = {
		.offset = decode_offset(step, r->y),
		.flags = (r->a & 2) | (r->a >> 3 == 31 ? 1U << (r->b & 31) : 0),
		.reserved = r->a >> 3 == 30,
	};
	bool unknown = arg.flags & ~2U || arg.reserved;
	struct shadow_window *window = window_at(step, arg.offset);
	struct shadow_region *region = window ? shadow_region_at(window, arg.offset) : NULL;
	struct shadow_window *kind = window ? window : &expert->windows[0];
	struct errors errors = { };
	__u64 size, old = region ? region->size : 0;
	int ret;

	arg.size = decode_size(step, kind, r->x);
	size = arg.size > EXPERTMEM_WINDOW_MAX ? arg.size : round_up_to(arg.size, kind->granule);
	if (size > old && !can_populate(kind, size - old))
		arg.flags &= ~EXPERTMEM_ALLOC_POPULATE;

	may_fail(&errors, unknown || !arg.size, EINVAL);
	may_be_over(&errors, expert, kind);
	may_fail(&errors, !region, ENOENT);
	may_fail(&errors, arg.size > EXPERTMEM_WINDOW_MAX ||
			  (region && !shadow_can_grow(kind, region, size)), ENOSPC);
	if (region && size > old)
		may_pass_limits(&errors, expert, size - old);
	ret = device_call(step, EXPERTMEM_IOC_REALLOC, &arg, sizeof(arg), &errors);
	tell("REALLOC offset %#llx size %#llx flags %#x: %d", arg.offset, arg.size, arg.flags,
	     ret);
	expect_result("REALLOC", &errors, ret);
	count_refused(expert, ret);
	if (ret)
		return;
	shadow_resize(expert, window, region, size);
	if (size > old && arg.flags & EXPERTMEM_ALLOC_POPULATE)
		shadow_populate(window, arg.offset + old, arg.offset + size);
}

void op_free(struct step *step)
{
	struct record *r = &step->record;
	struct expertmem_free arg = {
		.offset = decode_offset(step, r->y),
		.flags = r->a >> 3 == 31 ? 1U << (r->b & 31) : 0,
		.reserved = r->a >> 3 == 30,
	};
	struct shadow_window *window = window_at(step, arg.offset);
	struct shadow_region *region = window ? shadow_region_at(window, arg.offset) : NULL;
	struct errors errors = { };
	int ret;

	may_fail(&errors, arg.flags || arg.reserved, EINVAL);
	may_fail(&errors, !region, ENOENT);
	may_fail(&errors, step->expert->stat.state == EXPERTMEM_STATE_RECLAIMED ||
			  (window && window->state == GONE), ESHUTDOWN);
	ret = device_call(step, EXPERTMEM_IOC_FREE, &arg, sizeof(arg), &errors);
	tell("FREE offset %#llx: %d", arg.offset, ret);
	expect_result("FREE", &errors, ret);
	if (!ret)
		shadow_remove(window, region);
}

#define DEFAULT		EXPERTMEM_CONFIG_DEFAULT_LIMIT

void op_configure(struct step *step)
{
	static const char *const names[] = {
		"", "expert", "expert with a rather long name..", "tab\there", "\x7f", "\xc3\xa9",
	};
	struct shadow_expert *expert = step->expert;
	struct record *r = &step->record;
	unsigned int n = r->a % COUNT_OF(names);
	struct expertmem_config arg = {
		.limit = decode_size(step, &expert->windows[r->b & 1], r->x),
		.flags = r->b >> 2 & 1 ? 1U << (r->b >> 3) : 0,
		.reserved = r->b >> 1 & 1 && r->y & 1,
	};
	bool unclean = r->a >> 4 == 15;
	struct errors errors = { };
	int ret;

	strncpy(arg.name, names[n], sizeof(arg.name));
	if (unclean)
		arg.name[31] = 'x';
	may_fail(&errors, unclean || n == 2 || n == 3 || n == 4 ||
			  arg.flags & ~(EXPERTMEM_CONFIG_UNSWAPPABLE | DEFAULT) ||
			  (arg.flags & DEFAULT && arg.limit) || arg.reserved, EINVAL);
	may_fail(&errors, expert->configured || expert->windows[0].state != UNMAPPED ||
			  expert->windows[1].state != UNMAPPED, EBUSY);
	may_fail(&errors, expert->stat.state == EXPERTMEM_STATE_RECLAIMED, ESHUTDOWN);
	ret = device_call(step, EXPERTMEM_IOC_CONFIGURE, &arg, sizeof(arg), &errors);
	tell("CONFIGURE limit %#llx flags %#x: %d", arg.limit, arg.flags, ret);
	expect_result("CONFIGURE", &errors, ret);
	if (ret)
		return;
	expert->configured = true;
	expert->stat.flags = arg.flags & ~DEFAULT;
	if (!(arg.flags & DEFAULT))
		expert->stat.limit = arg.limit;
	memcpy(expert->stat.name, arg.name, sizeof(arg.name));
}

void op_terminate(struct step *step)
{
	bool argument = step->record.a >> 4 == 15;
	struct errors errors = { };
	int ret;

	may_fail(&errors, argument, EINVAL);
	ret = call_simply(step->process, CALL_IOCTL, step->slot, EXPERTMEM_IOC_TERMINATE,
			  argument ? step->record.x + 1 : 0, 0, 0, 0);
	tell("TERMINATE: %d", ret);
	expect_result("TERMINATE", &errors, ret);
	if (!ret)
		shadow_terminate(step->expert);
}

void op_reclaim(struct step *step)
{
	struct shadow_expert *expert = step->expert;
	struct expertmem_reclaim arg, before = expert->freed;
	bool unknown = step->record.a >> 4 == 15;
	struct errors errors = { };
	enum place place;
	__u64 low, high, bytes, regions;
	int ret;

	memset(&arg, POISON, sizeof(arg));
	arg.flags = unknown;
	arg.reserved = step->record.a >> 4 == 14;
	unknown |= arg.reserved;
	may_fail(&errors, unknown, EINVAL);
	shadow_resident(expert, &low, &high);
	ret = device_call(step, EXPERTMEM_IOC_RECLAIM, &arg, sizeof(arg), &errors);
	tell("RECLAIM: %d, %#llx bytes %#llx resident %llu regions", ret, arg.reclaimed_bytes,
	     arg.reclaimed_resident, arg.reclaimed_regions);
	expect_result("RECLAIM", &errors, ret);
	/* read, done, and not to be written */
	place = step->record.who >> 4 & 7;
	if (ret == -EFAULT && !unknown && (place == READONLY || place == IN_REGION))
		ret = 1;
	if (ret < 0)
		return;
	shadow_reclaim(expert, NULL, EXPERTMEM_CAUSE_HOST, 0);
	bytes = expert->freed.reclaimed_bytes - before.reclaimed_bytes;
	regions = expert->freed.reclaimed_regions - before.reclaimed_regions;
	if (!ret && (arg.reclaimed_bytes != bytes || arg.reclaimed_regions != regions ||
		     (arg.reclaimed_bytes &&
		      (arg.reclaimed_resident < low || arg.reclaimed_resident > high))))
		fail("RECLAIM gave back %#llx bytes, %#llx resident, in %llu regions; had %#llx in %llu",
		     arg.reclaimed_bytes, arg.reclaimed_resident, arg.reclaimed_regions, bytes,
		     regions);
}

void op_stat(struct step *step)
{
	struct errors errors = { };
	struct expertmem_stat stat;
	int ret;

	memset(&stat, POISON, sizeof(stat));
	ret = device_call(step, EXPERTMEM_IOC_STAT, &stat, sizeof(stat), &errors);
	tell("STAT: %d", ret);
	expect_result("STAT", &errors, ret);
	if (!ret)
		check_stat(step->expert, &stat);
}

void op_info(struct step *step)
{
	const struct expertmem_info zero = { };
	struct expertmem_info info;
	struct errors errors = { };
	int ret;

	memset(&info, POISON, sizeof(info));
	ret = device_call(step, EXPERTMEM_IOC_GET_INFO, &info, sizeof(info), &errors);
	tell("GET_INFO: %d, %u experts", ret, info.experts);
	expect_result("GET_INFO", &errors, ret);
	if (!ret && (info.abi != EXPERTMEM_ABI_VERSION || info.small_granule != PAGE ||
		     info.huge_granule != HUGE || info.window_max != EXPERTMEM_WINDOW_MAX ||
		     info.default_limit != shadow.default_limit ||
		     info.total_limit != shadow.total_limit ||
		     info.max_experts != shadow.max_experts ||
		     memcmp(info.reserved, zero.reserved, sizeof(zero.reserved))))
		fail("GET_INFO is wrong");
}

static void may_not_copy(struct errors *errors, const struct shadow_expert *to,
			 const struct shadow_expert *from)
{
	const struct shadow_window *window, *source;
	const struct shadow_region *last;
	unsigned int i;
	__u64 span;

	for (i = 0; i < 2; i++) {
		window = &to->windows[i];
		source = &from->windows[i];
		may_fail(errors, window->state == GONE, ESHUTDOWN);
		may_fail(errors, source->nr_regions && window->state != MAPPED, ENXIO);
		if (!source->nr_regions || window->state != MAPPED)
			continue;
		last = &source->regions[source->nr_regions - 1];
		span = last->room > last->size ? last->room : last->size;
		may_fail(errors, last->offset + span + source->granule >
				 window->offset + window->size, ENOSPC);
	}
}

void op_copy(struct step *step)
{
	struct shadow_expert *to = step->expert;
	struct record *r = &step->record;
	int slot = r->a % EXPERTS;
	struct shadow_expert *from = &shadow.experts[slot];
	struct expertmem_copy arg = {
		.fd = slot_fd(slot),
		.flags = r->b >> 4 == 15,
		.reserved[2] = r->b >> 4 == 14,
	};
	bool held = from->exists && from->held & 1U << step->process;
	struct errors errors = { };
	int ret;

	if (r->b >> 4 == 13)
		arg.fd = r->x & 1 ? -1 : 0;
	may_fail(&errors, arg.flags || arg.reserved[2], EINVAL);
	may_fail(&errors, arg.fd == -1 || (arg.fd && !held), EBADF);
	may_fail(&errors, arg.fd == 0 || from == to, EINVAL);
	if (held && arg.fd > 0 && from != to) {
		may_fail(&errors, from->stat.state == EXPERTMEM_STATE_RECLAIMED ||
				  to->stat.state == EXPERTMEM_STATE_RECLAIMED, ESHUTDOWN);
		may_fail(&errors, to->stat.state == EXPERTMEM_STATE_TERMINATING, ECANCELED);
		may_fail(&errors, to->windows[0].nr_regions || to->windows[1].nr_regions, EBUSY);
		may_not_copy(&errors, to, from);
		may_pass_limits(&errors, to, shadow_committed(from));
	}
	ret = device_call(step, EXPERTMEM_IOC_COPY, &arg, sizeof(arg), &errors);
	tell("COPY from expert %d, fd %d: %d", slot, arg.fd, ret);
	expect_result("COPY", &errors, ret);
	count_refused(to, ret);
	if (!ret)
		shadow_copy(to, from);
}

/* A number that is no ioctl, or one of another size. */
void op_unknown(struct step *step)
{
	unsigned long cmd = _IOC(step->record.a & 3, EXPERTMEM_IOC_MAGIC, step->record.b & 15,
				 step->record.x & 0x1ff);
	static const unsigned long known[] = {
		EXPERTMEM_IOC_GET_INFO, EXPERTMEM_IOC_CONFIGURE, EXPERTMEM_IOC_ALLOC,
		EXPERTMEM_IOC_REALLOC, EXPERTMEM_IOC_FREE, EXPERTMEM_IOC_TERMINATE,
		EXPERTMEM_IOC_RECLAIM, EXPERTMEM_IOC_STAT, EXPERTMEM_IOC_COPY, EXPERTMEM_IOC_FORK,
	};
	struct errors errors = { };
	unsigned int i;
	int ret;

	for (i = 0; i < COUNT_OF(known); i++)
		if (cmd == known[i])
			return;
	may_fail(&errors, true, ENOTTY);
	ret = call_simply(step->process, CALL_IOCTL, step->slot, cmd, (long)scratch, 0, 0, 0);
	tell("ioctl %#lx: %d", cmd, ret);
	expect_result("unknown", &errors, ret);
}
