// SPDX-License-Identifier: GPL-2.0
/* expertmem monitor: print the events of experts, or send them to the journal. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>

#include "args.h"
#include "command.h"
#include "journal.h"
#include "operate.h"
#include "view.h"

static const struct option_row options_table[] = {
	OPTION_BYTES,
	OPTION_JSON("print a JSON object on each line"),
	OPTION("journal", journal, NULL,
	       "print nothing; send each event to systemd's journal, with fields"),
	OPTION_HELP,
	{}
};

static const struct key_row json_keys[] = {
	{ .keys = "time", .help = "time when the event was read, as 2026-01-31T12:34:56.789Z" },
	{ .keys = "event", .help =
		"opened, running (a process mapped a window), limit-hit (a call was refused "
		"for lack of memory; at most one event a second for each expert), terminate "
		"(the expert was asked to stop), reclaimed, released (no process has the "
		"expert open); lost (events were lost because they came faster than the "
		"command read them, or because the kernel had no memory for them), suppressed (the module did not send events of a user "
		"whose experts caused too many), unloaded or loaded (the module)" },
	{ .keys = "suppressed_events", .help =
		"only if event is suppressed: number of events that were not sent since the "
		"command started or since the last such object" },
	{}
};

static const struct key_row journal_fields[] = {
	{ .keys = "MESSAGE", .help = "the event in words" },
	{ .keys = "PRIORITY", .help =
		"4 (warning): limit-hit, reclaimed after a signal, lost and suppressed; "
		"5 (notice): reclaimed by the host or an operator, terminate, unloaded and "
		"loaded; 6 (info): the other events" },
	{ .keys = "EXPERT_EVENT", .help = "the key event" },
	{ .keys = "EXPERT_ID, EXPERT_NAME", .help = "the keys id and name" },
	{ .keys = "EXPERT_UID, EXPERT_USER", .help = "the keys uid and user" },
	{ .keys = "EXPERT_PID", .help = "the key pid" },
	{ .keys = "EXPERT_OPENER_PID", .help = "the key opener_pid" },
	{ .keys = "LIMIT_BYTES", .help = "the key limit" },
	{ .keys = "COMMITTED_BYTES", .help = "the key committed" },
	{ .keys = "PEAK_BYTES", .help = "the key peak" },
	{ .keys = "REFUSED_CALLS", .help = "the key refused" },
	{ .keys = "EXPERT_CAUSE, SIGNAL", .help = "the keys cause and signal; only if the event is reclaimed" },
	{ .keys = "RECLAIMED_BYTES", .help = "the key reclaimed_bytes; only if the event is reclaimed" },
	{ .keys = "RECLAIMED_RESIDENT_BYTES", .help = "the key reclaimed_resident; only if the event is reclaimed" },
	{ .keys = "SUPPRESSED_EVENTS", .help = "the key suppressed_events" },
	{}
};

static const struct key_section keys[] = {
	{ "The keys of an object about an expert are those of 'expertmem list --help', at the time\n"
	  "of the event. The keys of each object are also:", json_keys },
	{ "The fields of a journal entry, without those that are not known:", journal_fields },
	{}
};

static const struct status_row statuses[] = {
	{ EXIT_OK, "never: a signal ends the command" },
	STATUS_FAILED, STATUS_USAGE, STATUS_PERMISSION,
	{ EXIT_NO_MODULE, "the module was not loaded when the command started" },
	{}
};

static const struct help help = {
	.usage = "",
	.about =
"Print a line for each event of an expert, until a signal ends the command. The command needs\n"
"CAP_NET_ADMIN (root). It goes on while the module is unloaded.\n",
	.options = options_table,
	.notes =
"The module sends at most 64 events a second, and 256 at once, for the experts of one user.\n"
"Experts that were opened with CAP_SYS_RESOURCE (root) are exempt. At most once a second the\n"
"command prints the number of events that were not sent.\n"
"\n"
"Examples: print how experts ended; search the journal for it, with --journal\n"
"  expertmem monitor --json | jq 'select(.event == \"reclaimed\") | .name, .signal'\n"
"  journalctl EXPERT_NAME=topusers EXPERT_EVENT=reclaimed -o verbose\n",
	.keys = keys,
	.statuses = statuses,
};

static const char *event_word(uint32_t event)
{
	static const char *const words[] = {
		[EXPERTMEM_EVENT_OPENED]	= "opened",
		[EXPERTMEM_EVENT_RUNNING]	= "running",
		[EXPERTMEM_EVENT_LIMIT_HIT]	= "limit-hit",
		[EXPERTMEM_EVENT_TERMINATE]	= "terminate",
		[EXPERTMEM_EVENT_RECLAIMED]	= "reclaimed",
		[EXPERTMEM_EVENT_RELEASED]	= "released",
	};

	return event < sizeof(words) / sizeof(words[0]) ? words[event] : "unknown";
}

/* Print the local time of day. */
static void print_time(double seconds)
{
	time_t whole = seconds;
	struct tm parts;
	char text[SIZE_TEXT];

	localtime_r(&whole, &parts);
	strftime(text, sizeof(text), "%H:%M:%S", &parts);
	printf("%s.%03u  ", text, (unsigned int)((seconds - whole) * 1000));
}

/* Print the details of an event, which follow its name. */
static void print_details(FILE *out, const struct expert *expert, bool raw)
{
	char size[SIZE_TEXT], more[SIZE_TEXT], count[SIZE_TEXT], text[NAME_TEXT];

	switch (expert->event) {
	case EXPERTMEM_EVENT_OPENED:
		fprintf(out, "by %s", user_text(text, expert->uid));
		if (expert->opener)
			fprintf(out, ", pid %u", expert->opener);
		break;
	case EXPERTMEM_EVENT_RUNNING:
		if (expert->pid)
			fprintf(out, "pid %u, ", expert->pid);
		fprintf(out, "limit %s", limit_text(size, expert->limit, raw));
		break;
	case EXPERTMEM_EVENT_LIMIT_HIT:
		fprintf(out, "has %s of %s, %s refused so far",
		       amount_text(size, expert->committed, raw),
		       limit_text(more, expert->limit, raw),
		       count_text(count, expert->refused, "call"));
		break;
	case EXPERTMEM_EVENT_TERMINATE:
		fprintf(out, "asked to stop, has %s", amount_text(size, expert->committed, raw));
		break;
	case EXPERTMEM_EVENT_RECLAIMED:
		fprintf(out, "%s; %s in %s taken back, %s of it from memory",
		       cause_text(text, expert), amount_text(size, expert->reclaimed_bytes, raw),
		       count_text(count, expert->reclaimed_regions, "region"),
		       amount_text(more, expert->reclaimed_resident, raw));
		break;
	case EXPERTMEM_EVENT_RELEASED:
		fprintf(out, "had at most %s", amount_text(size, expert->peak, raw));
		break;
	}
}

static void print_event(const struct expert *expert, bool raw)
{
	static const enum colour colours[] = {
		[EXPERTMEM_EVENT_RUNNING]	= GREEN,
		[EXPERTMEM_EVENT_LIMIT_HIT]	= YELLOW,
		[EXPERTMEM_EVENT_TERMINATE]	= YELLOW,
		[EXPERTMEM_EVENT_RECLAIMED]	= RED,
		[EXPERTMEM_EVENT_RELEASED]	= PLAIN,
	};
	enum colour colour = expert->event < sizeof(colours) / sizeof(colours[0]) ?
			     colours[expert->event] : PLAIN;
	char name[NAME_TEXT];

	name_text(name, expert);
	print_time(clock_seconds(CLOCK_REALTIME));
	printf("%4" PRIu64 "  %s%*s  ", expert->id, name,
	       text_columns(name) < 12 ? 12 - text_columns(name) : 0, "");
	printf("%s%-9s%s  ", escape(colour), event_word(expert->event), escape(PLAIN));
	print_details(stdout, expert, raw);
	putchar('\n');
}

/* @expert: NULL if the event is about the module or about lost events */
static void print_json(const char *event, const struct expert *expert)
{
	char time[SIZE_TEXT];
	struct json json;

	json_begin(&json, stdout, false);
	json_string(&json, "time", time_text(time, clock_seconds(CLOCK_REALTIME)));
	json_string(&json, "event", event);
	if (expert)
		json_expert(&json, expert);
	json_end(&json);
	putchar('\n');
}

/* --- the journal */

static int priority_of(const struct expert *expert)
{
	switch (expert->event) {
	case EXPERTMEM_EVENT_LIMIT_HIT:
		return LOG_WARNING;
	case EXPERTMEM_EVENT_TERMINATE:
		return LOG_NOTICE;
	case EXPERTMEM_EVENT_RECLAIMED:
		return expert->signal ? LOG_WARNING :
		       expert->cause == EXPERTMEM_CAUSE_DETACH ? LOG_INFO : LOG_NOTICE;
	default:
		return LOG_INFO;
	}
}

/* Add the fields of every event. */
static void begin_entry(struct journal_entry *entry, const char *event, const char *message,
			int priority)
{
	entry->count = 0;
	journal_text(entry, "MESSAGE", message);
	journal_number(entry, "PRIORITY", priority);
	journal_text(entry, "EXPERT_EVENT", event);
}

static void add_reclaim(struct journal_entry *entry, const struct expert *expert)
{
	journal_text(entry, "EXPERT_CAUSE", cause_word(expert->cause));
	if (expert->signal)
		journal_number(entry, "SIGNAL", expert->signal);
	journal_number(entry, "RECLAIMED_BYTES", expert->reclaimed_bytes);
	journal_number(entry, "RECLAIMED_RESIDENT_BYTES", expert->reclaimed_resident);
}

static void journal_event(const struct expert *expert, bool raw)
{
	char *message = NULL, text[NAME_TEXT];
	struct journal_entry entry;
	size_t size;
	FILE *out = open_memstream(&message, &size);

	if (out) {
		fprintf(out, "%s: %s: ", title_text(text, expert), event_word(expert->event));
		print_details(out, expert, raw);
		fclose(out);
	}
	begin_entry(&entry, event_word(expert->event),
		    message ? message : event_word(expert->event), priority_of(expert));
	free(message);
	journal_number(&entry, "EXPERT_ID", expert->id);
	if (*expert->name)
		journal_text(&entry, "EXPERT_NAME", expert->name);
	journal_number(&entry, "EXPERT_UID", expert->uid);
	journal_text(&entry, "EXPERT_USER", user_text(text, expert->uid));
	if (expert->pid)
		journal_number(&entry, "EXPERT_PID", expert->pid);
	if (expert->opener)
		journal_number(&entry, "EXPERT_OPENER_PID", expert->opener);
	journal_number(&entry, "LIMIT_BYTES", expert->limit);
	journal_number(&entry, "COMMITTED_BYTES", expert->committed);
	journal_number(&entry, "PEAK_BYTES", expert->peak);
	journal_number(&entry, "REFUSED_CALLS", expert->refused);
	if (expert->event == EXPERTMEM_EVENT_RECLAIMED)
		add_reclaim(&entry, expert);
	journal_send(&entry);
}

/* --- output as the options say */

static void tell_event(const struct options *options, const struct expert *expert)
{
	if (options->journal)
		journal_event(expert, options->bytes);
	else if (options->json)
		print_json(event_word(expert->event), expert);
	else
		print_event(expert, options->bytes);
}

static void tell_notice(const struct options *options, const char *event, const char *words,
			int priority)
{
	struct journal_entry entry;

	if (options->journal) {
		begin_entry(&entry, event, words, priority);
		journal_send(&entry);
	} else if (options->json) {
		print_json(event, NULL);
	} else {
		print_time(clock_seconds(CLOCK_REALTIME));
		puts(words);
	}
}

static void tell_suppressed_count(const struct options *options, uint64_t count)
{
	char text[SIZE_TEXT], message[NAME_TEXT + SIZE_TEXT];
	struct journal_entry entry;
	struct json json;

	snprintf(message, sizeof(message), "%s not sent, because the experts of a user caused too many",
		 count_text(text, count, "event"));
	if (options->journal) {
		begin_entry(&entry, "suppressed", message, LOG_WARNING);
		journal_number(&entry, "SUPPRESSED_EVENTS", count);
		journal_send(&entry);
	} else if (options->json) {
		json_begin(&json, stdout, false);
		json_string(&json, "time", time_text(text, clock_seconds(CLOCK_REALTIME)));
		json_string(&json, "event", "suppressed");
		json_number(&json, "suppressed_events", count);
		json_end(&json);
		putchar('\n');
	} else {
		print_time(clock_seconds(CLOCK_REALTIME));
		puts(message);
	}
}

/* --- events that the module has not sent */

/*
 * The least time between two notices about suppressed events, and the time from the last event
 * until the totals are read; in seconds.
 */
#define NOTICE_INTERVAL 1.0

/**
 * struct suppressed - the count of events that the module did not send
 * @count: the module's counter as it was last read
 * @told: the value of the counter that the notices so far have reported; at most @count
 * @notice: time of the last notice, CLOCK_MONOTONIC in seconds
 * @event: time of the last event, CLOCK_MONOTONIC in seconds
 * @is_due: the totals have not been read since that event
 *
 * Each event has the counter as it was when the event was sent. Events that were suppressed
 * after the last event are counted in the totals, which are read a second after that event. One
 * reading is enough: the budget of a user gains an event in a 64th of a second, so the module
 * sent an event at most that long before it suppressed one.
 */
struct suppressed {
	uint64_t count;
	uint64_t told;
	double notice;
	double event;
	bool is_due;
};

static void read_suppressed(struct suppressed *suppressed, struct link *link)
{
	struct totals totals = {};

	suppressed->is_due = false;
	if (link_totals(link, &totals))
		return;
	suppressed->count = totals.suppressed_events;
	/* the module was loaded again, and the event that says so was lost */
	if (suppressed->told > suppressed->count)
		suppressed->told = 0;
}

/* Return the time until the totals are to be read, in milliseconds; -1: do not read them. */
static int suppressed_timeout(const struct suppressed *suppressed)
{
	double left = suppressed->event + NOTICE_INTERVAL - clock_seconds(CLOCK_MONOTONIC);

	return !suppressed->is_due ? -1 : left > 0 ? (int)(left * 1000) + 1 : 0;
}

static void tell_suppressed(const struct options *options, struct suppressed *suppressed)
{
	uint64_t count = suppressed->count - suppressed->told;

	if (!count)
		return;
	suppressed->told = suppressed->count;
	suppressed->notice = clock_seconds(CLOCK_MONOTONIC);
	tell_suppressed_count(options, count);
}

/* Take the counter from an event. */
static void hear_suppressed(const struct options *options, struct suppressed *suppressed,
			    const struct expert *event)
{
	/* two CPUs may read the counter in one order and send their events in the other */
	if (event->suppressed > suppressed->count)
		suppressed->count = event->suppressed;
	suppressed->event = clock_seconds(CLOCK_MONOTONIC);
	suppressed->is_due = true;
	if (suppressed->event - suppressed->notice >= NOTICE_INTERVAL)
		tell_suppressed(options, suppressed);
}

static int watch(struct link *link, const struct options *options,
		 struct suppressed *suppressed)
{
	struct expert expert;

	while (true) {
		int next = link_next(link, suppressed_timeout(suppressed), &expert);

		switch (next) {
		case NEXT_NONE:
			if (suppressed_timeout(suppressed))
				continue;
			read_suppressed(suppressed, link);
			tell_suppressed(options, suppressed);
			break;
		case NEXT_EVENT:
			hear_suppressed(options, suppressed, &expert);
			tell_event(options, &expert);
			break;
		case NEXT_LOST:
			tell_notice(options, "lost",
				    "events were lost: they came faster than they were read, or the kernel had no memory for them",
				    LOG_WARNING);
			read_suppressed(suppressed, link);
			tell_suppressed(options, suppressed);
			break;
		case NEXT_UNLOADED:
			tell_suppressed(options, suppressed);
			*suppressed = (struct suppressed){};
			tell_notice(options, "unloaded", "the module was unloaded", LOG_NOTICE);
			break;
		case NEXT_LOADED:
			*suppressed = (struct suppressed){};
			tell_notice(options, "loaded", "the module was loaded", LOG_NOTICE);
			break;
		default:
			return operate_failed("monitor", link, next, NULL);
		}
		/* flush, so that the reader of a pipe gets the event now */
		if (options->journal ? journal_status("monitor") :
				       finish_output("monitor", EXIT_OK))
			return EXIT_FAILED;
	}
}

int monitor_main(int argc, char **argv)
{
	struct options options = {
		.command = "monitor", .help = &help, .expected = "no arguments",
	};
	int status = read_options(&options, argc, argv), error;
	struct suppressed suppressed = {};
	struct link *link;

	if (status != GO_ON)
		return status;
	if (options.json && options.journal)
		return wrong_usage("monitor", "it takes --json or --journal, not both");
	if (options.journal && journal_open("monitor"))
		return EXIT_FAILED;
	status = operate_open("monitor", &link);
	if (status)
		return status;
	/* read the counter before subscribing, so that no suppressed event is missed */
	read_suppressed(&suppressed, link);
	suppressed.told = suppressed.count;
	error = link_subscribe(link);
	status = error ? operate_failed("monitor", link, error, NULL) :
			 watch(link, &options, &suppressed);
	link_close(link);
	return status;
}
