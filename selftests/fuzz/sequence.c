// SPDX-License-Identifier: GPL-2.0
/*
 * Sequences: records one after the other, what concerns descriptors and processes, and
 * what is checked after each of them.
 */
#include <stdarg.h>
#include <sched.h>

#include "fuzz.h"
#include "ops.h"

#define OUTCOMES	256

char sequence_failure[1024];
bool sequence_tell;

static sigjmp_buf failed;
static struct step teller;
static struct shadow pristine;
static struct parameter total_limit, default_limit, max_experts;

/* --------------------------------------------------------------- telling and failing */

void tell(const char *fmt, ...)
{
	va_list args;

	if (!sequence_tell)
		return;
	printf("  %s expert %d: ", teller.process == CHILD ? "child" : "here ", teller.slot);
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	putchar('\n');
}

void fail(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(sequence_failure, sizeof(sequence_failure), fmt, args);
	va_end(args);
	siglongjmp(failed, 1);
}

/* How often a call ended how: what was not seen was not tested. */
static struct outcome {
	const char *call;
	int ret;
	unsigned long count;
} outcomes[OUTCOMES];

static void count_outcome(const char *call, int ret)
{
	unsigned int i;

	for (i = 0; i < OUTCOMES; i++) {
		if (!outcomes[i].call)
			outcomes[i] = (struct outcome) { .call = call, .ret = ret };
		if (!strcmp(outcomes[i].call, call) && outcomes[i].ret == ret) {
			outcomes[i].count++;
			return;
		}
	}
}

void sequence_outcomes(void)
{
	const char *call;
	unsigned int i, j;

	for (i = 0; i < OUTCOMES && outcomes[i].call; i++) {
		call = outcomes[i].call;
		for (j = 0; j < i && strcmp(outcomes[j].call, call); j++)
			;
		if (j < i)
			continue;
		printf("  %-22s", call);
		for (j = i; j < OUTCOMES && outcomes[j].call; j++)
			if (!strcmp(outcomes[j].call, call))
				printf(" %s %lu", outcomes[j].ret ?
				       strerrorname_np(-outcomes[j].ret) : "ok", outcomes[j].count);
		putchar('\n');
	}
}

void expect_result(const char *call, const struct errors *errors, int ret)
{
	char documented[256] = "";
	unsigned int i;

	count_outcome(call, ret);
	if (!errors->nr && !ret)
		return;
	for (i = 0; i < errors->nr; i++) {
		if (errors->list[i] == ret)
			return;
		strcat(documented, " ");
		strcat(documented, strerrorname_np(-errors->list[i]));
	}
	fail("%s returned %d (%s), documented are:%s", call, ret, ret > 0 ? "?" : strerror(-ret),
	     errors->nr ? documented : " success");
}

/* -------------------------------------------------------------------------- checking */

void check_stat(const struct shadow_expert *expert, const struct expertmem_stat *stat)
{
	struct expertmem_stat should = expert->stat;
	__u64 low, high;

	should.committed = shadow_committed(expert);
	should.regions = expert->windows[0].nr_regions + expert->windows[1].nr_regions;
	shadow_resident(expert, &low, &high);
	should.resident = stat->resident;
	if (memcmp(&should, stat, sizeof(should)))
		fail("STAT says state %u cause %u regions %llu committed %#llx peak %#llx limit %#llx refused %llu reclaimed %#llx, "
		     "not state %u cause %u regions %llu committed %#llx peak %#llx limit %#llx refused %llu reclaimed %#llx",
		     stat->state, stat->cause, stat->regions, stat->committed, stat->peak,
		     stat->limit, stat->refused, stat->reclaimed_bytes,
		     should.state, should.cause, should.regions, should.committed, should.peak,
		     should.limit, should.refused, should.reclaimed_bytes);
	if (stat->resident < low || stat->resident > high)
		fail("STAT says %#llx bytes are resident, not %#llx to %#llx", stat->resident, low,
		     high);
}

static void check_expert(const struct shadow_expert *expert)
{
	const struct expertmem_status *status = expert->status[HERE];
	enum process process = expert->held & 1U << HERE ? HERE : CHILD;
	struct call call = { .kind = CALL_IOCTL, .size = sizeof(struct expertmem_stat) };

	if (status && status->flags != expert->status_flags)
		fail("the status page says %#x, not %#x", status->flags, expert->status_flags);
	if (!(expert->held & 3) || (process == CHILD && shadow.idle))
		return;
	call.arg[0] = expert - shadow.experts;
	call.arg[1] = EXPERTMEM_IOC_STAT;
	call.arg[2] = (long)scratch;
	if (process_call(process, &call))
		fail("STAT fails");
	check_stat(expert, (void *)call.data);
}

/* -------------------------------------------------------- descriptors and processes */

static void op_open(struct step *step)
{
	struct errors errors = { };
	struct expertmem_stat stat;
	struct call call = { .kind = CALL_OPEN, .arg[0] = step->slot };
	int ret;

	/* what is still mapped of the last expert of this slot is not forgotten */
	if (step->expert->exists || step->expert->status[HERE] || step->expert->status[CHILD] ||
	    step->expert->orphan[0] || step->expert->orphan[1])
		return;
	may_fail(&errors, shadow.max_experts && shadow_count_live() >= shadow.max_experts, ENFILE);
	ret = process_call(step->process, &call);
	tell("open: %d", ret);
	expect_result("open", &errors, ret);
	if (ret)
		return;
	call = (struct call) {
		.kind = CALL_IOCTL, .size = sizeof(stat),
		.arg = { step->slot, EXPERTMEM_IOC_STAT, (long)scratch },
	};
	if (process_call(step->process, &call))
		fail("STAT of a new expert fails");
	memcpy(&stat, call.data, sizeof(stat));
	shadow_open(step->expert, stat.id, step->process);
}

static void op_close(struct step *step)
{
	tell("close: %ld", call_simply(step->process, CALL_CLOSE, step->slot, 0, 0, 0, 0, 0));
	shadow_close(step->expert, step->process);
}

/* To the other process, or into a socket where nobody takes it out. */
static void op_pass(struct step *step)
{
	enum process to = step->process == HERE ? CHILD : HERE;
	int ret;

	if (step->record.a >> 6 == 3) {
		process_land();
		tell("what is in flight is closed");
		for (int i = 0; i < EXPERTS; i++)
			if (shadow.experts[i].exists)
				shadow_close(&shadow.experts[i], IN_FLIGHT);
		return;
	}
	if (step->record.a >> 6 == 2) {
		if (step->process != HERE || step->expert->held & 1U << IN_FLIGHT)
			return;
		tell("into the socket: %d", process_flight(step->slot));
		step->expert->held |= 1U << IN_FLIGHT;
		return;
	}
	if (!shadow.child || shadow.idle)
		return;
	ret = call_simply(CHILD, to == CHILD ? CALL_TAKE : CALL_SEND, step->slot, 0, 0, 0, 0, 0);
	tell("handed over: %d", ret);
	if (ret)
		fail("handing over a descriptor gives %d", ret);
	step->expert->held |= 1U << to;
}

static void op_fork(struct step *step)
{
	struct shadow_expert *expert;
	int i, j;

	if (shadow.child)
		return;
	shadow.child = process_fork();
	tell("fork: %d", shadow.child);
	if (shadow.child < 0)
		fail("fork gives %d", shadow.child);
	shadow.idle = false;
	for (i = 0; i < EXPERTS; i++) {
		expert = &shadow.experts[i];
		if (!expert->exists)
			continue;
		if (expert->held & 1U << HERE)
			expert->held |= 1U << CHILD;
		expert->status[CHILD] = expert->status[HERE];
		for (j = 0; j < 2; j++)
			if (expert->windows[j].addr && expert->windows[j].forkable)
				expert->orphan[j] = expert->windows[j].addr;
	}
}

static void op_end(struct step *step)
{
	static const __u32 signals[] = { 0, SIGKILL, SIGSEGV, 0 };
	enum death how = step->record.a % DEATHS;

	if (!shadow.child)
		return;
	if (shadow.idle)
		how = DIE_KILLED;
	process_end(how);
	tell("the child ends: %d", how);
	shadow_process_ends(CHILD, signals[how], how != DIE_EXEC);
	shadow.idle = how == DIE_EXEC;
	if (how != DIE_EXEC)
		shadow.child = 0;
}

static void op_file(struct step *step)
{
	long ret = call_simply(step->process, CALL_FILE, step->slot, step->record.a,
			       step->record.b, 0, 0, 0);

	tell("file operation %d: %ld", step->record.a % 8, ret);
}

static void set_parameter(const struct parameter *parameter, __u64 value)
{
	char text[32];

	snprintf(text, sizeof(text), "%llu", value);
	if (file_write(parameter->path, text))
		fail("cannot write %s", parameter->path);
	tell("%s: %s", parameter->path, text);
}

static void op_parameter(struct step *step)
{
	__u64 value = step->record.b & 8 ? (__u64)step->record.x * PAGE / 4 : 0;

	switch (step->record.a % 3) {
	case 0:
		shadow.total_limit = step->record.b & 4 ? pristine.total_limit : value;
		set_parameter(&total_limit, shadow.total_limit);
		break;
	case 1:
		shadow.default_limit = value;
		set_parameter(&default_limit, value);
		break;
	default:
		shadow.max_experts = step->record.b & 7;
		set_parameter(&max_experts, shadow.max_experts);
	}
}

/* ------------------------------------------------------------------------- the table */

enum need { NOTHING, EXPERT, DESCRIPTOR, REGION };

static const struct operation {
	void (*do_it)(struct step *step);
	enum need need;
	unsigned int weight;
} operations[] = {
	{ op_open, NOTHING, 4 },
	{ op_mmap, DESCRIPTOR, 8 },
	{ op_alloc, DESCRIPTOR, 14 },
	{ op_realloc, REGION, 8 },
	{ op_free, REGION, 6 },
	{ op_touch, EXPERT, 14 },
	{ op_configure, DESCRIPTOR, 3 },
	{ op_terminate, DESCRIPTOR, 1 },
	{ op_reclaim, DESCRIPTOR, 1 },
	{ op_stat, DESCRIPTOR, 1 },
	{ op_info, DESCRIPTOR, 1 },
	{ op_copy, DESCRIPTOR, 4 },
	{ op_unknown, DESCRIPTOR, 1 },
	{ op_munmap, EXPERT, 2 },
	{ op_change, EXPERT, 3 },
	{ op_advise, EXPERT, 6 },
	{ op_orphan, EXPERT, 1 },
	{ op_close, DESCRIPTOR, 2 },
	{ op_pass, DESCRIPTOR, 2 },
	{ op_fork, NOTHING, 3 },
	{ op_end, NOTHING, 1 },
	{ op_file, DESCRIPTOR, 1 },
	{ op_parameter, NOTHING, 1 },
	{ op_request, NOTHING, 5 },
	{ op_message, NOTHING, 3 },
	{ op_raw, NOTHING, 3 },
};

static const struct operation *operation_of(__u8 op)
{
	unsigned int i, total = 0, at;

	for (i = 0; i < COUNT_OF(operations); i++)
		total += operations[i].weight;
	at = op % total;
	for (i = 0; at >= operations[i].weight; i++)
		at -= operations[i].weight;
	return &operations[i];
}

static __u8 op_of(void (*do_it)(struct step *step))
{
	unsigned int i;
	__u8 op = 0;

	for (i = 0; operations[i].do_it != do_it; i++)
		op += operations[i].weight;
	return op;
}

/* Most of what there is to find takes an expert with regions: have one to begin with. */
size_t sequence_begin(struct record *records, unsigned int who)
{
	records[0] = (struct record) { .op = op_of(op_open), .who = who };
	records[1] = (struct record) { .op = op_of(op_mmap), .who = who, .x = 0xf000 };
	records[2] = (struct record) { .op = op_of(op_mmap), .who = who, .a = 1, .x = 0xf000 };
	records[3] = (struct record) { .op = op_of(op_alloc), .who = who, .x = 0x0004 };
	records[4] = (struct record) { .op = op_of(op_alloc), .who = who, .a = 1, .x = 0x0002 };
	return 5;
}

static bool has_regions(const struct shadow_expert *expert)
{
	return expert->windows[0].nr_regions + expert->windows[1].nr_regions;
}

/*
 * The expert that a record is about: the one that it says, or the next with which the
 * operation can do more than fail. Records with bit 2 set have no such wishes.
 */
static int choose_slot(const struct record *record, enum need need, enum process process)
{
	const struct shadow_expert *expert;
	int i, slot, second = -1;

	for (i = 0; i < EXPERTS; i++) {
		slot = (record->who + i) % EXPERTS;
		expert = &shadow.experts[slot];
		if (need == NOTHING)
			return slot;
		if (!expert->exists || (need != EXPERT && !(expert->held & 1U << process)))
			continue;
		if (need == DESCRIPTOR || record->who & 4 || has_regions(expert))
			return slot;
		if (second < 0)
			second = slot;
	}
	return second;
}

static void do_record(const struct record *record)
{
	const struct operation *operation = operation_of(record->op);
	enum process process = record->who >> 7 && shadow.child && !shadow.idle ? CHILD : HERE;
	int slot = choose_slot(record, operation->need, process);

	if (slot < 0)
		return;
	teller = (struct step) {
		.record = *record,
		.slot = slot,
		.expert = &shadow.experts[slot],
		.process = process,
	};
	operation->do_it(&teller);
	if (teller.expert->exists)
		check_expert(teller.expert);
	coverage_collect();
}

/* ------------------------------------------------------------- beginning and ending */

static void give_all_up(void)
{
	struct shadow_expert *expert;
	int i, j;

	if (shadow.child)
		process_reap();
	process_land();
	for (i = 0; i < EXPERTS; i++) {
		expert = &shadow.experts[i];
		close(slot_fd(i));
		for (j = 0; j < 2; j++)
			if (expert->windows[j].addr && expert->windows[j].process == HERE)
				munmap(expert->windows[j].addr, expert->windows[j].size);
		if (expert->status[HERE])
			munmap(expert->status[HERE], PAGE);
	}
	if (shadow.total_limit != pristine.total_limit)
		parameter_restore(&total_limit);
	if (shadow.default_limit != pristine.default_limit)
		parameter_restore(&default_limit);
	if (shadow.max_experts != pristine.max_experts)
		parameter_restore(&max_experts);
	shadow = pristine;
}

static void do_records(const struct record *records, size_t nr)
{
	size_t i;

	for (i = 0; i < nr; i++)
		do_record(&records[i]);
	for (i = 0; i < EXPERTS; i++)
		if (shadow.experts[i].exists)
			check_expert(&shadow.experts[i]);
	messages_check_totals();
}

/* Did all go as documented? Where not, sequence_failure says what did not. */
bool sequence_run(const struct record *records, size_t nr)
{
	volatile bool good = false;

	sequence_failure[0] = '\0';
	if (!sigsetjmp(failed, 0)) {
		do_records(records, nr);
		good = true;
	}
	give_all_up();
	if (good && !sigsetjmp(failed, 0))
		messages_check_totals();
	else
		good = false;
	return good && !sequence_failure[0];
}

int sequence_setup(void)
{
	/* more than all windows have addresses for, so that one call at most is refused by it */
	static const char total[] = "17592186044416";
	int err = parameter_set(&total_limit, "total_limit", total);

	if (!err)
		err = parameter_set(&default_limit, "default_limit", "0");
	if (!err)
		err = parameter_set(&max_experts, "max_experts", "0");
	if (err)
		return err;
	strcpy(total_limit.old, total);
	strcpy(default_limit.old, "0");
	strcpy(max_experts.old, "0");
	pristine.total_limit = strtoull(total, NULL, 10);
	shadow = pristine;
	return process_setup();
}
