// SPDX-License-Identifier: GPL-2.0
/* expertmem monitor: what happens to experts, as it happens. */
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

static const char help[] =
"Usage: expertmem monitor [OPTION]...\n"
"\n"
"Print a line for everything that happens to experts, until it is interrupted. It goes on\n"
"when the module is unloaded, and hears of it when it is loaded again. It needs\n"
"CAP_NET_ADMIN (root).\n"
"\n"
"  --bytes    print sizes in bytes, without units\n"
"  --json     print an object on each line\n"
"  --journal  print nothing: send each event to systemd's journal, with fields\n"
"  --help     print this text\n"
"\n"
"Example: how did experts end?\n"
"  expertmem monitor --json | jq 'select(.event == \"reclaimed\") | .name, .signal'\n"
"  journalctl EXPERT_NAME=topusers EXPERT_EVENT=reclaimed -o verbose    # with --journal\n"
"\n"
"The keys of each object are those of 'expertmem list --help', as they were then, and\n"
"  time                     when it was read, as 2026-01-31T12:34:56.789Z\n"
"  event                    opened, running (a process uses it), limit-hit (told at\n"
"                           most once a second for each expert), terminate (asked to\n"
"                           stop), reclaimed or released (nobody has it open)\n"
"Objects with these two keys alone have for event\n"
"  lost (events were lost, for they came faster than they were read), unloaded or\n"
"  loaded (the module)\n"
"The module sends at most 64 events a second (256 at once) of the experts of a user, but\n"
"all of those opened with CAP_SYS_RESOURCE (root). At most once a second, an object tells\n"
"how many it has not sent; its event is suppressed, and it has one more key:\n"
"  suppressed_events        how many, since the monitor began or last told\n"
"\n"
"The fields of the journal, of which an entry has those that are known:\n"
"  MESSAGE, PRIORITY        the event in words; 4 (warning) for limit-hit, reclaimed after\n"
"                           a signal, lost and suppressed, 5 (notice) for other reclaims\n"
"                           than by the end of the process, terminate, unloaded and\n"
"                           loaded, else 6 (info)\n"
"  EXPERT_EVENT             as event above\n"
"  EXPERT_ID, EXPERT_NAME   as id and name\n"
"  EXPERT_UID, EXPERT_USER  who opened it, as uid and user\n"
"  EXPERT_PID, EXPERT_OPENER_PID\n"
"                           as pid and opener_pid\n"
"  LIMIT_BYTES              as limit\n"
"  COMMITTED_BYTES          as committed\n"
"  PEAK_BYTES               as peak\n"
"  REFUSED_CALLS            as refused\n"
"  EXPERT_CAUSE, SIGNAL     as cause and signal; of reclaimed only\n"
"  RECLAIMED_BYTES          as reclaimed_bytes; of reclaimed only\n"
"  RECLAIMED_RESIDENT_BYTES as reclaimed_resident; of reclaimed only\n"
"  SUPPRESSED_EVENTS        as suppressed_events\n"
"\n"
"Exit status:\n"
"  0    never: it ends by a signal\n"
"  1    it failed\n"
"  2    wrong command line\n"
"  4    not permitted\n"
"  10   the module is not loaded when it starts\n";

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

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_REALTIME, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

/* The time of day, as on the wall. */
static void print_time(double seconds)
{
	time_t whole = seconds;
	struct tm parts;
	char text[SIZE_TEXT];

	localtime_r(&whole, &parts);
	strftime(text, sizeof(text), "%H:%M:%S", &parts);
	printf("%s.%03u  ", text, (unsigned int)((seconds - whole) * 1000));
}

/* What there is to say beyond the event's name. */
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
	print_time(now());
	printf("%4" PRIu64 "  %s%*s  ", expert->id, name,
	       text_columns(name) < 12 ? 12 - text_columns(name) : 0, "");
	printf("%s%-9s%s  ", escape(colour), event_word(expert->event), escape(PLAIN));
	print_details(stdout, expert, raw);
	putchar('\n');
}

/* @expert: NULL where the event is not of one. */
static void print_json(const char *event, const struct expert *expert)
{
	char time[SIZE_TEXT];
	struct json json;

	json_begin(&json, stdout, false);
	json_string(&json, "time", time_text(time, now()));
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

/* The fields that are of every event. */
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

/* --- in the way that the options say */

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
		print_time(now());
		puts(words);
	}
}

static void tell_suppressed_count(const struct options *options, uint64_t count)
{
	char text[SIZE_TEXT], message[NAME_TEXT + SIZE_TEXT];
	struct journal_entry entry;
	struct json json;

	snprintf(message, sizeof(message), "%s not sent: a user had caused too many",
		 count_text(text, count, "event"));
	if (options->journal) {
		begin_entry(&entry, "suppressed", message, LOG_WARNING);
		journal_number(&entry, "SUPPRESSED_EVENTS", count);
		journal_send(&entry);
	} else if (options->json) {
		json_begin(&json, stdout, false);
		json_string(&json, "time", time_text(text, now()));
		json_string(&json, "event", "suppressed");
		json_number(&json, "suppressed_events", count);
		json_end(&json);
		putchar('\n');
	} else {
		print_time(now());
		puts(message);
	}
}

/* --- events that the module has not sent */

/*
 * Least time between two notices about them; and how long after the last event the totals are
 * read. Seconds.
 */
#define NOTICE_INTERVAL 1.0

/*
 * The module counts events that it has not sent. @count and @told are values of that counter.
 *
 * Each event has the counter, and so tells of those that were suppressed before it. Those that
 * were suppressed after the last event are in the totals. They are read a second after it: the
 * budget of a user gains an event in a 64th of a second, so when one is suppressed, another one
 * was sent that shortly before.
 */
struct suppressed {
	uint64_t count;		/* last seen */
	uint64_t told;		/* up to where notices have been printed; at most @count */
	double notice;		/* when the last notice was printed; CLOCK_MONOTONIC, s */
	double event;		/* when the last event was received; the same clock */
	bool is_due;		/* the totals have not been read since that event */
};

static double clock_now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

static void read_suppressed(struct suppressed *suppressed, struct link *link)
{
	struct totals totals = {};

	suppressed->is_due = false;
	if (link_totals(link, &totals))
		return;
	suppressed->count = totals.suppressed_events;
	/* the module was loaded anew, and the next of it were lost */
	if (suppressed->told > suppressed->count)
		suppressed->told = 0;
}

/* How long to wait for an event before the totals are read: milliseconds, -1: for ever. */
static int suppressed_timeout(const struct suppressed *suppressed)
{
	double left = suppressed->event + NOTICE_INTERVAL - clock_now();

	return !suppressed->is_due ? -1 : left > 0 ? (int)(left * 1000) + 1 : 0;
}

static void tell_suppressed(const struct options *options, struct suppressed *suppressed)
{
	uint64_t count = suppressed->count - suppressed->told;

	if (!count)
		return;
	suppressed->told = suppressed->count;
	suppressed->notice = clock_now();
	tell_suppressed_count(options, count);
}

/* An event was received. */
static void hear_suppressed(const struct options *options, struct suppressed *suppressed,
			    const struct expert *event)
{
	/* events of two experts may come in another order than they read the counter */
	if (event->suppressed > suppressed->count)
		suppressed->count = event->suppressed;
	suppressed->event = clock_now();
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
				    "events were lost: they came faster than they were read",
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
		/* who reads a pipe is to read it now */
		if (options->journal ? journal_status("monitor") :
				       finish_output("monitor", EXIT_OK))
			return EXIT_FAILED;
	}
}

int monitor_main(int argc, char **argv)
{
	struct options options = {
		.command = "monitor", .help = help, .expected = "no arguments",
		.takes = TAKES_BYTES | TAKES_JOURNAL,
	};
	int status = read_options(&options, argc, argv), error;
	struct suppressed suppressed = {};
	struct link *link;

	if (status != GO_ON)
		return status;
	if (options.json && options.journal)
		return wrong_usage("monitor", "it is --json or --journal, not both");
	if (options.journal && journal_open("monitor"))
		return EXIT_FAILED;
	status = operate_open("monitor", &link);
	if (status)
		return status;
	/* before it hears events, so that none is suppressed in between */
	read_suppressed(&suppressed, link);
	suppressed.told = suppressed.count;
	error = link_subscribe(link);
	status = error ? operate_failed("monitor", link, error, NULL) :
			 watch(link, &options, &suppressed);
	link_close(link);
	return status;
}
