// SPDX-License-Identifier: GPL-2.0
/* expertmem limit, terminate and reclaim: the commands by which an operator controls an expert. */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "args.h"
#include "command.h"
#include "operate.h"
#include "view.h"

/* --wait reads the expert again after this time, in milliseconds, or at the next event. */
#define TICK 100

/* --- help */

static const struct option_row limit_options[] = {
	OPTION("wait", wait, NULL, "wait until the expert's committed and pinned bytes are within "
	       "the limit, or until it is closed"),
	OPTION_BYTES,
	OPTION_JSON("print a JSON object"),
	OPTION_HELP,
	{}
};

static const struct option_row terminate_options[] = {
	OPTION("wait", wait, NULL, "wait until the expert's memory is reclaimed or the expert is closed"),
	OPTION_BYTES,
	OPTION_JSON("print a JSON object"),
	OPTION_HELP,
	{}
};

static const struct option_row reclaim_options[] = {
	OPTION("wait", wait, NULL, "wait until the expert is closed: no process has it open or mapped"),
	OPTION_BYTES,
	OPTION_JSON("print a JSON object"),
	OPTION_HELP,
	{}
};

#define KEYS_TITLE \
	"The keys of the object are those of 'expertmem list --help', after the command, and:"

static const struct key_section limit_keys[] = {
	{ KEYS_TITLE, (const struct key_row[]){
		{ .keys = "limit_before",
		  .help = "the limit before the command, in bytes; 0: no limit" },
		{}
	} },
	{}
};

static const struct key_section gone_keys[] = {
	{ KEYS_TITLE, (const struct key_row[]){
		{ .keys = "gone", .help = "true if the expert is closed; the other keys then have the "
			      "last values that the command read" },
		{}
	} },
	{}
};

static const struct status_row statuses[] = {
	STATUS_DONE,
	{ EXIT_FAILED, "no expert, or several experts, have that id or name; or the command failed" },
	STATUS_USAGE, STATUS_PERMISSION, STATUS_NO_MODULE,
	{}
};

#define CHOICE_HELP \
"An argument of digits is an id. If several experts have the name, the command prints their\n" \
"ids and fails.\n"
#define RIGHTS_HELP \
"You may do this to the experts that you opened; root (CAP_NET_ADMIN) to all experts.\n"

static const struct help limit_help = {
	.usage = "ID|NAME SIZE|default|none",
	.about =
"Set the limit of an expert: the most bytes that it may have committed and pinned. SIZE is\n"
"such as 64M or 1.5GiB, 'default' is the module's default_limit (see 'expertmem stats'), and\n"
"'none' or 0 removes the limit. If the expert has more than the new limit, it keeps its memory, and\n"
"its allocations fail until it has less.\n"
"\n"
"You may lower the limit of the experts that you opened. Root (CAP_NET_ADMIN) may set the\n"
"limit of all experts. Only root may raise a limit.\n",
	.options = limit_options,
	.notes =
CHOICE_HELP
"\n"
"Example:\n"
"  expertmem limit topusers 1.5GiB\n",
	.keys = limit_keys,
	.statuses = statuses,
};

static const struct help terminate_help = {
	.usage = "ID|NAME",
	.about =
"Ask an expert to stop. From then on its memory calls fail with NMERR_EXPERT_TERMINATE. It\n"
"keeps the memory that it has until it stops.\n",
	.options = terminate_options,
	.notes =
CHOICE_HELP
RIGHTS_HELP
"\n"
"Example: reclaim the expert if it has not stopped after ten seconds\n"
"  timeout 10 expertmem terminate --wait topusers || expertmem reclaim topusers\n",
	.keys = gone_keys,
	.statuses = statuses,
};

static const struct help reclaim_help = {
	.usage = "ID|NAME",
	.about =
"Reclaim all memory of an expert, whatever it is doing. Its process goes on, but its memory\n"
"calls fail, and the kernel kills it with SIGSEGV or SIGBUS when it touches that memory.\n",
	.options = reclaim_options,
	.notes =
CHOICE_HELP
RIGHTS_HELP
"\n"
"Example:\n"
"  expertmem reclaim 12\n",
	.keys = gone_keys,
	.statuses = statuses,
};

/**
 * struct action - one run of limit, terminate or reclaim
 * @options: the command line
 * @limit: the limit to set, in bytes; 0: no limit
 * @is_default: set the module's default_limit, which set_limit() reads into @limit
 * @link: the connection to the kernel
 * @expert: the expert as it was last read
 * @gone: the expert is closed, or the module was unloaded
 */
struct action {
	struct options options;
	uint64_t limit;
	bool is_default;
	struct link *link;
	struct expert expert;
	bool gone;
};

/* Return 0, or the exit status. */
static int begin(struct action *action)
{
	const struct options *options = &action->options;
	int status = operate_open(options->command, &action->link);

	if (!status)
		status = operate_choose(options->command, action->link, options->operand[0],
					&action->expert);
	/* without the right to events, --wait polls every TICK */
	if (!status && options->wait)
		link_subscribe(action->link);
	return status;
}

static int failed(struct action *action, int error)
{
	char title[NAME_TEXT];

	return operate_failed(action->options.command, action->link, error,
			      title_text(title, &action->expert));
}

/*
 * Receive one event. If it is about the expert, copy it to @action->expert: after the expert is
 * closed, only its last event has the reclaimed bytes.
 */
static int hear(struct action *action, int timeout)
{
	struct expert event;
	int next = link_next(action->link, timeout, &event);

	if (next == NEXT_EVENT && event.id == action->expert.id)
		action->expert = event;
	return next;
}

static int look(struct action *action)
{
	int error = link_expert(action->link, action->expert.id, &action->expert);

	/* if the module was unloaded, the expert was closed */
	action->gone = error == -ENOENT || error == -ENODEV;
	if (action->gone)
		while (hear(action, 0) > NEXT_NONE)
			;
	return action->gone ? 0 : error;
}

/* Wait for an event, or for TICK. */
static void wait_a_tick(struct action *action)
{
	static const struct timespec tick = { .tv_nsec = TICK * 1000 * 1000 };

	if (hear(action, TICK) < 0)
		nanosleep(&tick, NULL);
}

static int wait_until(struct action *action, bool (*is_so)(const struct expert *expert))
{
	int error;

	while (true) {
		error = look(action);
		if (error || action->gone || is_so(&action->expert))
			return error;
		wait_a_tick(action);
	}
}

/* Print what was done, in words or as JSON. Return the exit status. */
static int finish(struct action *action, const char *key, uint64_t value, const char *words)
{
	char title[NAME_TEXT];
	struct json json;

	if (action->options.json) {
		json_begin(&json, stdout, true);
		json_expert(&json, &action->expert);
		if (key)
			json_number(&json, key, value);
		else
			json_bool(&json, "gone", action->gone);
		json_end(&json);
		putchar('\n');
	} else {
		printf("%s: %s\n", title_text(title, &action->expert), words);
	}
	return finish_output(action->options.command, EXIT_OK);
}

/* --- limit */

static bool is_within(const struct expert *expert)
{
	return !expert->limit || charged_of(expert) <= expert->limit ||
	       expert->state == EXPERTMEM_STATE_RECLAIMED;
}

/* 0 is no limit, which is above every limit. */
static bool is_above(uint64_t limit, uint64_t other)
{
	return limit - 1 > other - 1;
}

static int may_not_raise(const struct action *action)
{
	char title[NAME_TEXT], from[SIZE_TEXT], to[SIZE_TEXT];
	bool raw = action->options.bytes;

	fprintf(stderr, "expertmem limit: cannot raise the limit of %s from %s to %s: only an "
		"operator (CAP_NET_ADMIN) may; run the command with sudo\n", title_text(title, &action->expert),
		limit_text(from, action->expert.limit, raw), limit_text(to, action->limit, raw));
	return EXIT_PERMISSION;
}

static int set_limit(struct action *action)
{
	char now[SIZE_TEXT], before[SIZE_TEXT], has[CHARGED_TEXT], over[SIZE_TEXT], words[256];
	const struct expert *expert = &action->expert;
	bool raw = action->options.bytes;
	struct totals totals = {};
	uint64_t limit, old;
	int error = 0;

	if (action->is_default) {
		error = link_totals(action->link, &totals);
		action->limit = totals.default_limit;
	}
	limit = action->limit;
	old = expert->limit;
	if (!error)
		error = link_limit(action->link, expert->id, limit);
	if (error == -EPERM && !look(action) && !action->gone && is_above(limit, expert->limit))
		return may_not_raise(action);
	if (!error)
		error = action->options.wait ? wait_until(action, is_within) : look(action);
	if (error)
		return failed(action, error);

	snprintf(words, sizeof(words), "limit %s, before %s; the expert has %s",
		 limit_text(now, limit, raw), limit_text(before, old, raw),
		 action->gone ? amount_text(has, 0, raw) : charged_text(has, expert, raw));
	if (action->gone)
		strcat(words, ": it is closed");
	else if (!is_within(expert))
		snprintf(words + strlen(words), sizeof(words) - strlen(words),
			 "\nIts allocations fail until it has freed %s%s.",
			 amount_text(over, charged_of(expert) - expert->limit, raw),
			 expert->pinned ? " or its pinned pages are released" : "");
	return finish(action, "limit_before", old, words);
}

/* --- terminate */

static bool is_reclaimed(const struct expert *expert)
{
	return expert->state == EXPERTMEM_STATE_RECLAIMED;
}

static int terminate(struct action *action)
{
	const struct expert *expert = &action->expert;
	char size[SIZE_TEXT], regions[SIZE_TEXT], words[256], why[NAME_TEXT];
	bool raw = action->options.bytes;
	uint32_t before = expert->state;
	int error;

	error = link_terminate(action->link, expert->id);
	if (!error)
		error = action->options.wait ? wait_until(action, is_reclaimed) : look(action);
	if (error)
		return failed(action, error);

	if (before == EXPERTMEM_STATE_RECLAIMED)
		snprintf(words, sizeof(words), "its memory was taken back before");
	else if (is_reclaimed(expert))
		snprintf(words, sizeof(words), "stopped (%s); %s in %s freed",
			 cause_text(why, expert), amount_text(size, expert->reclaimed_bytes, raw),
			 count_text(regions, expert->reclaimed_regions, "region"));
	else if (action->gone)
		snprintf(words, sizeof(words), "stopped and closed; it had %s",
			 amount_text(size, expert->committed, raw));
	else
		snprintf(words, sizeof(words), "%s; it has %s in %s",
			 before == EXPERTMEM_STATE_TERMINATING ?
				 "was asked to stop before" : "asked to stop",
			 amount_text(size, expert->committed, raw),
			 count_text(regions, expert->regions, "region"));
	return finish(action, NULL, 0, words);
}

/* --- reclaim */

static bool is_gone(const struct expert *expert)
{
	(void)expert;
	return false;
}

static int reclaim(struct action *action)
{
	char size[SIZE_TEXT], regions[SIZE_TEXT], resident[SIZE_TEXT], pinned[SIZE_TEXT];
	const struct expert *expert = &action->expert;
	char words[256];
	bool raw = action->options.bytes;
	struct expert freed;
	int error;

	error = link_reclaim(action->link, expert->id, &freed);
	if (!error)
		error = action->options.wait ? wait_until(action, is_gone) : look(action);
	if (error)
		return failed(action, error);

	if (freed.reclaimed_regions)
		snprintf(words, sizeof(words), "%s in %s taken back, %s of it from memory%s",
			 amount_text(size, freed.reclaimed_bytes, raw),
			 count_text(regions, freed.reclaimed_regions, "region"),
			 amount_text(resident, freed.reclaimed_resident, raw),
			 action->gone ? "; the expert is closed" : "");
	else
		snprintf(words, sizeof(words), "there was no memory to take back%s",
			 action->gone ? "; the expert is closed" : "");
	if (expert->pinned)
		snprintf(words + strlen(words), sizeof(words) - strlen(words),
			 "\nA pipe, a socket or a device still references %s.",
			 amount_text(pinned, expert->pinned, raw));
	return finish(action, NULL, 0, words);
}

/* --- all three */

static int read_limit(struct action *action)
{
	const char *size = action->options.operand[1];

	action->is_default = !strcmp(size, "default");
	if (!action->is_default && strcmp(size, "none") && parse_size(size, &action->limit))
		return wrong_usage("limit", "'%s' is not a size; write a size as 64M, 1.5GiB or 65536, "
				   "or default, or none", size);
	return GO_ON;
}

static int run(struct action *action, int (*act)(struct action *action), int argc, char **argv)
{
	int status;

	status = read_options(&action->options, argc, argv);
	/* before begin(), so that a wrong size is reported also without the module */
	if (status == GO_ON && act == set_limit)
		status = read_limit(action);
	if (status != GO_ON)
		return status;
	status = begin(action);
	if (!status)
		status = act(action);
	link_close(action->link);
	return status;
}

int limit_main(int argc, char **argv)
{
	struct action action = { .options = {
		.command = "limit", .help = &limit_help,
		.operands = 2, .expected = "an expert and a size",
	} };

	return run(&action, set_limit, argc, argv);
}

int terminate_main(int argc, char **argv)
{
	struct action action = { .options = {
		.command = "terminate", .help = &terminate_help,
		.operands = 1, .expected = "one expert",
	} };

	return run(&action, terminate, argc, argv);
}

int reclaim_main(int argc, char **argv)
{
	struct action action = { .options = {
		.command = "reclaim", .help = &reclaim_help,
		.operands = 1, .expected = "one expert",
	} };

	return run(&action, reclaim, argc, argv);
}
