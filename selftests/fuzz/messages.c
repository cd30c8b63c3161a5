// SPDX-License-Identifier: GPL-2.0
/*
 * Netlink: requests as they should be, with attributes as they should not be, and bytes.
 * Every one is answered, and the answer is a documented one.
 */
#include "fuzz.h"
#include "ops.h"
#include "../lib/netlink_test.h"

#define DEAD_ID		0xdead0000beef0000ULL	/* of which no few bytes make one that lives */

static struct nl nl, listener;

static void hear_events(void)
{
	struct told event;

	while (nl_event(&listener, &event) != -EAGAIN)
		;
}

/* ------------------------------------------------------------------- good requests */

static void check_freed(const struct told *t, const struct shadow_expert *expert)
{
	if (t->value[E(RECLAIMED_BYTES)] != expert->freed.reclaimed_bytes ||
	    t->value[E(RECLAIMED_REGIONS)] != expert->freed.reclaimed_regions)
		fail("netlink says %#llx bytes in %llu regions were freed, not %#llx in %llu",
		     t->value[E(RECLAIMED_BYTES)], t->value[E(RECLAIMED_REGIONS)], expert->freed.reclaimed_bytes,
		     expert->freed.reclaimed_regions);
}

/* It says what STAT says, and more. */
static void check_told(const struct told *t, const struct shadow_expert *expert)
{
	struct expertmem_stat stat = {
		.id = t->value[E(ID)],
		.state = t->value[E(STATE)],
		.flags = t->value[E(FLAGS)],
		.limit = t->value[E(LIMIT)],
		.regions = t->value[E(REGIONS)],
		.committed = t->value[E(COMMITTED)],
		.resident = t->value[E(RESIDENT)],
		.peak = t->value[E(PEAK)],
		.refused = t->value[E(REFUSED)],
		.reclaimed_bytes = expert->stat.reclaimed_bytes,
		.cause = t->value[E(CAUSE)],
	};
	bool over = expert->stat.state == EXPERTMEM_STATE_RECLAIMED;

	memcpy(stat.name, expert->stat.name, sizeof(stat.name));
	check_stat(expert, &stat);
	if (told(t, E(NAME)) != expert->configured || strcmp(t->name, expert->stat.name))
		fail("netlink says the name is '%s', not '%s'", t->name, expert->stat.name);
	if (t->value[E(OPENER)] != (__u32)expert->opener ||
	    told(t, E(PID)) != !!expert->mapper || t->value[E(PID)] != (__u32)expert->mapper)
		fail("netlink says pid %llu opened and %llu mapped, not %d and %d",
		     t->value[E(OPENER)], t->value[E(PID)], expert->opener, expert->mapper);
	if (told(t, E(CAUSE)) != over || told(t, E(SIGNAL)) != over ||
	    told(t, E(RECLAIMED_BYTES)) != over)
		fail("netlink says how it ended in state %u", expert->stat.state);
	if (!over)
		return;
	if (t->value[E(SIGNAL)] != expert->signal)
		fail("netlink says signal %llu, not %u", t->value[E(SIGNAL)], expert->signal);
	check_freed(t, expert);
}

static void count_experts(const struct told *t, void *arg)
{
	unsigned int *seen = arg;
	unsigned int i;

	for (i = 0; i < EXPERTS; i++)
		if (shadow.experts[i].exists && shadow.experts[i].stat.id == t->value[E(ID)])
			break;
	if (i == EXPERTS || *seen & 1U << i)
		fail("a dump says that there is expert %llu", t->value[E(ID)]);
	*seen |= 1U << i;
	check_told(t, &shadow.experts[i]);
}

static void dump_experts(void)
{
	unsigned int seen = 0;
	int ret = nl_dump(&nl, 0, count_experts, &seen);

	tell("EXPERT_GET of all: %d, of %d", ret, __builtin_popcount(seen));
	if (ret || nl.interrupted || __builtin_popcount(seen) != (int)shadow_count())
		fail("a dump gives %d and has %d of %u experts", ret, __builtin_popcount(seen),
		     shadow_count());
}

/* Where the next region of a dump should be. */
struct cursor {
	const struct shadow_expert *expert;
	unsigned int nr;
};

static void check_region(const struct told *t, void *arg)
{
	struct cursor *cursor = arg;
	const struct shadow_window *window = &cursor->expert->windows[0];
	const struct shadow_region *region;
	unsigned int i = cursor->nr++;

	if (i >= window->nr_regions)
		i -= window++->nr_regions;
	if (window > &cursor->expert->windows[1] || i >= window->nr_regions)
		fail("a dump of regions goes on after %u", cursor->nr - 1);
	region = &window->regions[i];
	if (t->value[R(ID)] != cursor->expert->stat.id ||
	    t->value[R(OFFSET)] != region->offset || t->value[R(SIZE)] != region->size ||
	    t->value[R(ROOM)] != region->room || t->value[R(RESIDENT)] > region->size)
		fail("region %u is %#llx, %#llx bytes, room %#llx, resident %#llx; not %#llx, %#llx, %#llx",
		     cursor->nr - 1, t->value[R(OFFSET)], t->value[R(SIZE)], t->value[R(ROOM)],
		     t->value[R(RESIDENT)], region->offset, region->size, region->room);
}

static void dump_regions(const struct shadow_expert *expert, __u64 id)
{
	struct cursor cursor = { .expert = expert };
	struct errors errors = { };
	int ret;

	may_fail(&errors, !expert->exists || id != expert->stat.id, ENOENT);
	ret = nl_dump(&nl, id, check_region, &cursor);
	tell("REGION_GET of %llu: %d, %u of them", id, ret, cursor.nr);
	expect_result("REGION_GET", &errors, ret);
	if (!ret && cursor.nr != expert->windows[0].nr_regions + expert->windows[1].nr_regions)
		fail("a dump has %u regions", cursor.nr);
}

static void reclaimed_by_netlink(struct shadow_expert *expert, const struct told *t)
{
	struct expertmem_reclaim before = expert->freed;

	shadow_reclaim(expert, NULL, EXPERTMEM_CAUSE_OPERATOR, 0);
	if (t->value[E(RECLAIMED_BYTES)] != expert->freed.reclaimed_bytes - before.reclaimed_bytes ||
	    t->value[E(RECLAIMED_REGIONS)] != expert->freed.reclaimed_regions - before.reclaimed_regions)
		fail("RECLAIM by netlink gave back %#llx bytes in %llu regions",
		     t->value[E(RECLAIMED_BYTES)], t->value[E(RECLAIMED_REGIONS)]);
}

void messages_check_totals(void)
{
	struct told t = nl_stats(&nl);
	__u64 low, high, lowest = 0, highest = 0;
	unsigned int i;

	for (i = 0; i < EXPERTS; i++) {
		if (!shadow.experts[i].exists)
			continue;
		shadow_resident(&shadow.experts[i], &low, &high);
		lowest += low;
		highest += high;
	}
	hear_events();
	if (t.value[S(EXPERTS)] != shadow_count_live() || t.value[S(COMMITTED)] != shadow_total())
		fail("STATS_GET says %llu experts have %#llx bytes, not %u and %#llx",
		     t.value[S(EXPERTS)], t.value[S(COMMITTED)], shadow_count_live(),
		     shadow_total());
	if (t.value[S(RESIDENT)] < lowest || t.value[S(RESIDENT)] > highest)
		fail("STATS_GET says %#llx bytes are resident, not %#llx to %#llx",
		     t.value[S(RESIDENT)], lowest, highest);
}

void op_request(struct step *step)
{
	static const char *const names[] = { "EXPERT_GET", "EXPERT_SET", "TERMINATE (netlink)",
					     "RECLAIM (netlink)" };
	static const __u8 cmds[] = { EXPERTMEM_CMD_EXPERT_GET, EXPERTMEM_CMD_EXPERT_SET,
				     EXPERTMEM_CMD_TERMINATE, EXPERTMEM_CMD_RECLAIM };
	static const __u64 strange[] = { 0, 1, DEAD_ID, ~0ULL };
	struct shadow_expert *expert = step->expert;
	struct record *r = &step->record;
	bool right = r->b >> 4 != 15;
	__u64 limit = (__u64)r->x << (r->y & 31);
	__u64 id = right ? expert->stat.id : strange[r->b & 3];
	struct errors errors = { };
	struct told t = { };
	int which, ret;

	hear_events();
	/* one that ends an expert is a rare one */
	which = (r->a & 15) < 4 ? 0 : (r->a & 15) < 8 ? 1 : (r->a & 15) - 6;
	if (which > 3) {
		if (r->a & 1)
			dump_regions(expert, id ? id : DEAD_ID);
		else
			dump_experts();
		return;
	}
	may_fail(&errors, !expert->exists || id != expert->stat.id, ENOENT);
	if (!right && expert->exists && id == expert->stat.id)
		return;
	if (shadow_count() > 1 && !right && id == 1)
		return;		/* which may be another one's */
	if (cmds[which] == EXPERTMEM_CMD_EXPERT_SET)
		ret = nl_set(&nl, id, limit);
	else
		ret = nl_do(&nl, cmds[which], id, &t);
	tell("%s of %llu: %d", names[which], id, ret);
	expect_result(names[which], &errors, ret);
	if (ret)
		return;
	switch (cmds[which]) {
	case EXPERTMEM_CMD_EXPERT_GET:
		check_told(&t, expert);
		break;
	case EXPERTMEM_CMD_EXPERT_SET:
		expert->stat.limit = limit;
		break;
	case EXPERTMEM_CMD_TERMINATE:
		shadow_terminate(expert);
		break;
	default:
		reclaimed_by_netlink(expert, &t);
	}
}

/* -------------------------------------------------------------------- bad attributes */

/**
 * struct form - what is said of a request while it is made
 * @good: its attributes are what the command takes
 * @has_id: it has an id
 * @has_limit: it has a limit
 * @id: the last one
 */
struct form {
	bool good, has_id, has_limit;
	__u64 id;
};

static void put_strange(struct request *req, struct form *form, __u8 how, __u64 live)
{
	static const __u8 types[] = { E(ID), E(ID), E(ID), E(LIMIT), 0, E(PAD), 30, 200 };
	static const __u8 sizes[] = { 8, 8, 8, 8, 0, 4, 7, 16 };
	__u8 type = types[how & 7], size = sizes[how >> 3 & 7];
	bool nested = how >> 6 == 1;
	__u64 value[2] = { how >> 6 == 2 ? live : DEAD_ID, 0 };
	bool taken = type == E(ID) ||
		     (type == E(LIMIT) && req->genl.cmd == EXPERTMEM_CMD_EXPERT_SET);

	if (!taken || size != 8 || nested)
		form->good = false;
	if (taken && type == E(ID)) {
		form->has_id = true;
		form->id = value[0];
	}
	form->has_limit |= type == E(LIMIT);
	put(req, type | (nested ? NLA_F_NESTED : 0), value, size);
}

static void ignore(const struct told *t, void *arg)
{
}

void op_message(struct step *step)
{
	struct record *r = &step->record;
	__u8 cmd = r->a % 10, hows[] = { r->x, r->x >> 8, r->y, r->y >> 8 };
	bool dump = r->b & 4, changes = cmd >= EXPERTMEM_CMD_EXPERT_SET &&
					cmd <= EXPERTMEM_CMD_RECLAIM;
	struct request req = request(&nl, cmd, (dump ? NLM_F_DUMP : 0) | NLM_F_ACK);
	struct form form = { .good = true };
	struct errors errors = { };
	unsigned int i;
	int ret;

	for (i = 0; i < (r->b & 3) + 1U && r->b >> 4; i++)
		put_strange(&req, &form, hows[i], step->expert->exists ? step->expert->stat.id :
								       DEAD_ID);
	if (changes && form.good && form.id != DEAD_ID)
		return;		/* what works is op_request()'s */
	if (r->b & 8)
		req.genl.reserved = r->x;

	may_fail(&errors, cmd == 0 || cmd >= EXPERTMEM_CMD_EVENT, EOPNOTSUPP);
	may_fail(&errors, dump ? cmd > EXPERTMEM_CMD_REGION_GET : cmd == EXPERTMEM_CMD_REGION_GET,
		 EOPNOTSUPP);
	may_fail(&errors, !form.good || req.genl.reserved, EINVAL);
	if (cmd == EXPERTMEM_CMD_EXPERT_GET && dump) {
		may_fail(&errors, form.has_id, EINVAL);
	} else if (cmd == EXPERTMEM_CMD_STATS_GET) {
		may_fail(&errors, r->b >> 4, EINVAL);
	} else {
		may_fail(&errors, !form.has_id, EINVAL);
		may_fail(&errors, form.has_id && form.id == DEAD_ID, ENOENT);
	}
	may_fail(&errors, cmd == EXPERTMEM_CMD_EXPERT_SET && !form.has_limit, EINVAL);
	ret = nl_send(&nl, &req);
	if (!ret)
		ret = nl_receive(&nl, ignore, NULL);
	tell("command %u%s with %u attributes: %d, %s", cmd, dump ? " as a dump" : "", i, ret,
	     nl.said);
	expect_result("a bad message", &errors, ret);
}

/* ------------------------------------------------------------------------------ bytes */

/* Was the message with the sequence number 0 answered, and how? */
static bool answer_of(__u32 last, int *ret)
{
	static struct nlmsghdr buffer[64 * KIB / NLMSG_HDRLEN];
	const struct nlmsghdr *header;
	bool answered = false;
	ssize_t len;

	for (;;) {
		len = recv(nl.fd, buffer, sizeof(buffer), 0);
		if (len < 0)
			fail("nothing comes from the socket any more: %s", strerror(errno));
		for (header = buffer; NLMSG_OK(header, len);
		     header = NLMSG_NEXT(header, len)) {
			if (header->nlmsg_type != NLMSG_ERROR && header->nlmsg_type != NLMSG_DONE)
				continue;
			if (header->nlmsg_seq == last)
				return answered;
			answered = true;
			*ret = *(int *)NLMSG_DATA(header);
		}
	}
}

/*
 * Bytes of a good message are replaced, and it is cut or has others behind it. A request
 * that is sent after it shows that the socket still works, and ends the wait.
 */
void op_raw(struct step *step)
{
	struct record *r = &step->record;
	struct request raw = request(&nl, r->a % 8, NLM_F_ACK), probe;
	unsigned char *bytes = (void *)&raw;
	size_t size, at;
	bool intact;
	int ret = 0;

	put_u64(&raw, E(ID), DEAD_ID);
	size = raw.header.nlmsg_len;
	at = r->b % size;
	bytes[at] = r->x;
	bytes[r->y % size] ^= r->x >> 8;
	raw.header.nlmsg_seq = 0;
	if (r->b >> 7)
		raw.header.nlmsg_type = r->b & 1 ? r->x & 15 : nl.family;
	else
		raw.header.nlmsg_type = nl.family;
	size = r->a >> 6 == 1 ? r->y >> 8 & 63 : size + (r->a >> 6 == 2 ? r->y >> 8 : 0);
	intact = size == raw.header.nlmsg_len && raw.header.nlmsg_flags & NLM_F_REQUEST &&
		 raw.header.nlmsg_flags & NLM_F_ACK && raw.header.nlmsg_type == nl.family;

	if (send(nl.fd, &raw, size, 0) < 0 && size)
		fail("sending %zu bytes gives %s", size, strerror(errno));
	probe = request(&nl, EXPERTMEM_CMD_STATS_GET, NLM_F_ACK);
	if (nl_send(&nl, &probe))
		fail("the socket takes no more");
	if (!answer_of(nl.seq, &ret) && intact)
		fail("a message of %zu bytes is not answered", size);
	tell("%zu bytes, length %u type %u flags %#x command %u: %d", size, raw.header.nlmsg_len,
	     raw.header.nlmsg_type, raw.header.nlmsg_flags, raw.genl.cmd, ret);
	if (ret && ret != -EINVAL && ret != -ENOENT && ret != -EOPNOTSUPP)
		fail("a message of %zu bytes is answered with %d", size, ret);
}

int messages_setup(void)
{
	int err = nl_open(&nl);

	if (!err)
		err = nl_open(&listener);
	return err ? err : nl_join(&listener);
}
