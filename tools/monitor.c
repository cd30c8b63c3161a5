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
"\n"
"Exit status:\n"
"  0    never: it ends by a signal\n"
"  1    it failed\n"
"  2    wrong command line\n"
"  3    the module is not loaded when it starts\n"
"  4    not permitted\n";

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

static int watch(struct link *link, const struct options *options)
{
	struct expert expert;

	while (true) {
		int news = link_next(link, -1, &expert);

		switch (news) {
		case NEWS_NONE:
			continue;
		case NEWS_EVENT:
			if (options->json)
				print_json(event_word(expert.event), &expert);
			else
				print_event(&expert, options->bytes);
			break;
		case NEWS_LOST:
			print_notice(options->json, "lost",
				     "events were lost: they came faster than they were read");
			break;
		case NEWS_UNLOADED:
			print_notice(options->json, "unloaded", "the module was unloaded");
			break;
		case NEWS_LOADED:
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
	struct link *link;

	if (status != GO_ON)
		return status;
	status = operate_open("monitor", &link);
	if (status)
		return status;
	error = link_subscribe(link);
	status = error ? operate_failed("monitor", link, error, NULL) : watch(link, &options);
	link_close(link);
	return status;
}
