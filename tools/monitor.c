// SPDX-License-Identifier: GPL-2.0
/* expertmem monitor: what happens to experts, as it happens. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "command.h"
#include "operate.h"
#include "options.h"
#include "view.h"

static const char help[] =
"Usage: expertmem monitor [OPTION]...\n"
"\n"
"Print a line for everything that happens to experts, until it is interrupted. It goes on\n"
"when the module is unloaded, and hears of it when it is loaded again. It needs\n"
"CAP_NET_ADMIN (root).\n"
"\n"
"  --bytes  print sizes in bytes, without units\n"
"  --json   print an object on each line\n"
"  --help   print this text\n"
"\n"
"Example: how did experts end?\n"
"  expertmem monitor --json | jq 'select(.event == \"reclaimed\") | .name, .signal'\n"
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
static void print_details(const struct expert *expert, bool raw)
{
	char size[SIZE_TEXT], more[SIZE_TEXT], count[SIZE_TEXT], text[NAME_TEXT];

	switch (expert->event) {
	case EXPERTMEM_EVENT_OPENED:
		printf("by %s", user_text(text, expert->uid));
		if (expert->opener)
			printf(", pid %u", expert->opener);
		break;
	case EXPERTMEM_EVENT_RUNNING:
		if (expert->pid)
			printf("pid %u, ", expert->pid);
		printf("limit %s", limit_text(size, expert->limit, raw));
		break;
	case EXPERTMEM_EVENT_LIMIT_HIT:
		printf("has %s of %s, %s refused so far",
		       amount_text(size, expert->committed, raw),
		       limit_text(more, expert->limit, raw),
		       count_text(count, expert->refused, "call"));
		break;
	case EXPERTMEM_EVENT_TERMINATE:
		printf("asked to stop, has %s", amount_text(size, expert->committed, raw));
		break;
	case EXPERTMEM_EVENT_RECLAIMED:
		printf("%s; %s in %s taken back, %s of it from memory",
		       cause_text(text, expert), amount_text(size, expert->freed_bytes, raw),
		       count_text(count, expert->freed_regions, "region"),
		       amount_text(more, expert->freed_resident, raw));
		break;
	case EXPERTMEM_EVENT_RELEASED:
		printf("had at most %s", amount_text(size, expert->peak, raw));
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
	print_details(expert, raw);
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

static void print_notice(bool as_json, const char *event, const char *words)
{
	if (as_json) {
		print_json(event, NULL);
		return;
	}
	print_time(now());
	puts(words);
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
	/* the module was loaded anew, and the news of it were lost */
	if (suppressed->told > suppressed->count)
		suppressed->told = 0;
}

/* How long to wait for an event before the totals are read: milliseconds, -1: for ever. */
static int suppressed_timeout(const struct suppressed *suppressed)
{
	double left = suppressed->event + NOTICE_INTERVAL - clock_now();

	return !suppressed->is_due ? -1 : left > 0 ? (int)(left * 1000) + 1 : 0;
}

static void print_suppressed(struct suppressed *suppressed, bool as_json)
{
	uint64_t count = suppressed->count - suppressed->told;
	char text[SIZE_TEXT];
	struct json json;

	if (!count)
		return;
	suppressed->told = suppressed->count;
	suppressed->notice = clock_now();
	if (as_json) {
		json_begin(&json, stdout, false);
		json_string(&json, "time", time_text(text, now()));
		json_string(&json, "event", "suppressed");
		json_number(&json, "suppressed_events", count);
		json_end(&json);
		putchar('\n');
		return;
	}
	print_time(now());
	printf("%s not sent: a user had caused too many\n", count_text(text, count, "event"));
}

/* An event was received. */
static void hear_suppressed(struct suppressed *suppressed, const struct expert *event,
			    bool as_json)
{
	/* events of two experts may come in another order than they read the counter */
	if (event->suppressed > suppressed->count)
		suppressed->count = event->suppressed;
	suppressed->event = clock_now();
	suppressed->is_due = true;
	if (suppressed->event - suppressed->notice >= NOTICE_INTERVAL)
		print_suppressed(suppressed, as_json);
}

static int watch(struct link *link, const struct options *options,
		 struct suppressed *suppressed)
{
	struct expert expert;

	while (true) {
		int news = link_next(link, suppressed_timeout(suppressed), &expert);

		switch (news) {
		case NEWS_NONE:
			if (suppressed_timeout(suppressed))
				continue;
			read_suppressed(suppressed, link);
			print_suppressed(suppressed, options->json);
			break;
		case NEWS_EVENT:
			hear_suppressed(suppressed, &expert, options->json);
			if (options->json)
				print_json(event_word(expert.event), &expert);
			else
				print_event(&expert, options->bytes);
			break;
		case NEWS_LOST:
			print_notice(options->json, "lost",
				     "events were lost: they came faster than they were read");
			read_suppressed(suppressed, link);
			print_suppressed(suppressed, options->json);
			break;
		case NEWS_UNLOADED:
			print_suppressed(suppressed, options->json);
			*suppressed = (struct suppressed){};
			print_notice(options->json, "unloaded", "the module was unloaded");
			break;
		case NEWS_LOADED:
			*suppressed = (struct suppressed){};
			print_notice(options->json, "loaded", "the module was loaded");
			break;
		default:
			return operate_failed("monitor", link, news, NULL);
		}
		/* who reads a pipe is to read it now */
		if (finish_output("monitor", EXIT_OK))
			return EXIT_FAILED;
	}
}

int monitor_main(int argc, char **argv)
{
	struct options options = {
		.command = "monitor", .help = help, .expected = "no arguments",
		.takes = TAKES_BYTES,
	};
	int status = read_options(&options, argc, argv), error;
	struct suppressed suppressed = {};
	struct link *link;

	if (status != GO_ON)
		return status;
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
