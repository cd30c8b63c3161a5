// SPDX-License-Identifier: GPL-2.0
/* expertmem limit, terminate and reclaim: what an operator does to an expert. */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "args.h"
#include "command.h"
#include "operate.h"
#include "view.h"

/* Between two looks at an expert that is waited for, where no event tells, milliseconds. */
#define TICK 100

#define CHOICE_HELP \
"A number is an id. A name that several experts have is refused, with their ids.\n"
#define COMMON_HELP \
CHOICE_HELP \
"You may do this to experts that you opened, and root to all.\n"
#define JSON_HELP \
"The keys of the object are those of 'expertmem list --help', as they are afterwards, and\n"
#define STATUS_HELP \
"\n" \
"Exit status:\n" \
"  0    done\n" \
"  1    there is no such expert, or several, or it failed\n" \
"  2    wrong command line\n" \
"  4    not permitted\n" \
"  10   the module is not loaded\n"

static const char limit_help[] =
"Usage: expertmem limit [OPTION]... ID|NAME SIZE|default|none\n"
"\n"
"Set the most memory that an expert may have in regions and pinned (see 'expertmem list\n"
"--help'): a size; the module's default_limit, which 'expertmem stats' prints; or none.\n"
"The limit may be below what the expert has: then it gets no more, and loses nothing.\n"
"\n"
"You may lower the limit of experts that you opened. Root (CAP_NET_ADMIN) may set that of\n"
"all experts, and only root may raise one.\n"
"\n"
"  --wait   wait until what it has is within the limit, or it is gone\n"
"  --bytes  print sizes in bytes, without units\n"
"  --json   print one object\n"
"  --help   print this text\n"
"\n"
CHOICE_HELP
"\n"
"Example:\n"
"  expertmem limit topusers 1.5GiB\n"
"\n"
JSON_HELP
"  limit_before             bytes, 0 for none\n"
STATUS_HELP;

static const char terminate_help[] =
"Usage: expertmem terminate [OPTION]... ID|NAME\n"
"\n"
"Ask an expert to stop: it gets no more memory, and its calls say\n"
"NMERR_EXPERT_TERMINATE. What it has stays usable until it stops.\n"
"\n"
"  --wait   wait until it has stopped and its memory is back\n"
"  --bytes  print sizes in bytes, without units\n"
"  --json   print one object\n"
"  --help   print this text\n"
"\n"
COMMON_HELP
"\n"
"Example: and if it does not listen for ten seconds?\n"
"  timeout 10 expertmem terminate --wait topusers || expertmem reclaim topusers\n"
"\n"
JSON_HELP
"  gone                     true if, with --wait, it is closed already; the other keys\n"
"                           then say what it was last\n"
STATUS_HELP;

static const char reclaim_help[] =
"Usage: expertmem reclaim [OPTION]... ID|NAME\n"
"\n"
"Take all memory of an expert back, now. Its process lives on, but when it touches\n"
"what it had, it is killed by SIGSEGV or SIGBUS, and its calls fail.\n"
"\n"
"  --wait   wait until the expert is closed: its process and its host have let go\n"
"  --bytes  print sizes in bytes, without units\n"
"  --json   print one object\n"
"  --help   print this text\n"
"\n"
COMMON_HELP
"\n"
"Example:\n"
"  expertmem reclaim 12\n"
"\n"
JSON_HELP
"  gone                     true if it is closed already; the other keys then say what\n"
"                           it was last\n"
STATUS_HELP;

struct action {
	struct options options;
	uint64_t limit;		/* to set */
	bool is_default;	/* to set the module's default_limit; @limit is not known yet */
	struct link *link;
	struct expert expert;	/* as it was last seen */
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
	/* Who may not hear events looks more often. */
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

/* Take an event, if it is this expert's: the only chance to see what was freed at its end. */
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

	/* a module that is not there has no experts */
	action->gone = error == -ENOENT || error == -ENODEV;
	if (action->gone)
		while (hear(action, 0) > NEXT_NONE)
			;
	return action->gone ? 0 : error;
}

/* Wait for something that the next look may tell. */
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

/* 0, no limit, is above all others. */
static bool is_above(uint64_t limit, uint64_t other)
{
	return limit - 1 > other - 1;
}

static int may_not_raise(const struct action *action)
{
	char title[NAME_TEXT], from[SIZE_TEXT], to[SIZE_TEXT];
	bool raw = action->options.bytes;

	fprintf(stderr, "expertmem limit: only an operator (CAP_NET_ADMIN) may raise the limit of "
		"%s from %s to %s; run it with sudo\n", title_text(title, &action->expert),
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

	snprintf(words, sizeof(words), "limit %s, before %s; it has %s",
		 limit_text(now, limit, raw), limit_text(before, old, raw),
		 action->gone ? amount_text(has, 0, raw) : charged_text(has, expert, raw));
	if (action->gone)
		strcat(words, ", for it is gone");
	else if (!is_within(expert))
		snprintf(words + strlen(words), sizeof(words) - strlen(words),
			 "\nIt gets no more until it has freed %s%s.",
			 amount_text(over, charged_of(expert) - expert->limit, raw),
			 expert->pinned ? ", or others have let go of what is pinned" : "");
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
		snprintf(words, sizeof(words), "its memory had been taken back already");
	else if (is_reclaimed(expert))
		snprintf(words, sizeof(words), "stopped (%s); %s in %s freed",
			 cause_text(why, expert), amount_text(size, expert->reclaimed_bytes, raw),
			 count_text(regions, expert->reclaimed_regions, "region"));
	else if (action->gone)
		snprintf(words, sizeof(words), "stopped, and is gone; it had %s",
			 amount_text(size, expert->committed, raw));
	else
		snprintf(words, sizeof(words), "%s; it has %s in %s",
			 before == EXPERTMEM_STATE_TERMINATING ?
				 "had been asked to stop already" : "asked to stop",
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
			 action->gone ? "; it is closed now" : "");
	else
		snprintf(words, sizeof(words), "there was nothing to take back%s",
			 action->gone ? "; it is closed now" : "");
	if (expert->pinned)
		snprintf(words + strlen(words), sizeof(words) - strlen(words),
			 "\nA pipe, a socket or a device still holds %s.",
			 amount_text(pinned, expert->pinned, raw));
	return finish(action, NULL, 0, words);
}

/* --- all three */

static int read_limit(struct action *action)
{
	const char *size = action->options.operand[1];

	action->is_default = !strcmp(size, "default");
	if (!action->is_default && strcmp(size, "none") &&
	    (parse_size(size, &action->limit) || !action->limit))
		return wrong_usage("limit", "'%s' is not a size; write it as 64M, 1.5GiB or 65536,\n"
				   "or default, or none", size);
	return GO_ON;
}

static int run(struct action *action, int (*act)(struct action *action), int argc, char **argv)
{
	int status;

	status = read_options(&action->options, argc, argv);
	/* a wrong size is told even where there is no such expert, or no module */
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
		.command = "limit", .help = limit_help, .takes = TAKES_WAIT | TAKES_BYTES,
		.operands = 2, .expected = "an expert and a size",
	} };

	return run(&action, set_limit, argc, argv);
}

int terminate_main(int argc, char **argv)
{
	struct action action = { .options = {
		.command = "terminate", .help = terminate_help,
		.takes = TAKES_WAIT | TAKES_BYTES, .operands = 1, .expected = "one expert",
	} };

	return run(&action, terminate, argc, argv);
}

int reclaim_main(int argc, char **argv)
{
	struct action action = { .options = {
		.command = "reclaim", .help = reclaim_help, .takes = TAKES_WAIT | TAKES_BYTES,
		.operands = 1, .expected = "one expert",
	} };

	return run(&action, reclaim, argc, argv);
}
