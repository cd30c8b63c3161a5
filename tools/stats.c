// SPDX-License-Identifier: GPL-2.0
/* expertmem stats: the totals of all experts. */
#include <inttypes.h>

#include "command.h"
#include "operate.h"
#include "options.h"
#include "view.h"

static const char help[] =
"Usage: expertmem stats [OPTION]...\n"
"\n"
"Print what all experts have together, and what became of those that there were since\n"
"the module was loaded.\n"
"\n"
"  --bytes  print sizes in bytes, without units\n"
"  --json   print one object\n"
"  --help   print this text\n"
"\n"
"Example: how much of the module's limit is in use?\n"
"  expertmem stats --json | jq '.committed / .total_limit'\n"
"\n"
"The keys of the object; sizes are bytes:\n"
"  experts                  open now\n"
"  max_experts              most that may be open, 0 for any number\n"
"  opened                   since the module was loaded\n"
"  regions                  of all experts\n"
"  committed                in regions\n"
"  resident                 in memory\n"
"  total_limit              most that all may have committed, 0 for none\n"
"  default_limit            that of an expert that has none of its own, 0 for none\n"
"  refused                  calls refused for want of memory\n"
"  reclaimed_detach         experts whose process ended, or let go\n"
"  reclaimed_signal         of these, whose process was killed by a signal\n"
"  reclaimed_host           experts reclaimed by their host\n"
"  reclaimed_operator       experts reclaimed by netlink: 'expertmem reclaim'\n"
"  freed_bytes              that these all had when they were reclaimed\n"
"  lost_events              events that could not be sent\n"
"\n"
"Exit status:\n"
"  0    done\n"
"  1    it failed\n"
"  2    wrong command line\n"
"  3    the module is not loaded\n"
"  4    not permitted\n";

static void print_json(const struct totals *totals)
{
	const struct { const char *key; uint64_t value; } numbers[] = {
		{ "experts", totals->experts },
		{ "max_experts", totals->max_experts },
		{ "opened", totals->opened },
		{ "regions", totals->regions },
		{ "committed", totals->committed },
		{ "resident", totals->resident },
		{ "total_limit", totals->total_limit },
		{ "default_limit", totals->default_limit },
		{ "refused", totals->refused },
		{ "reclaimed_detach", totals->detached },
		{ "reclaimed_signal", totals->killed },
		{ "reclaimed_host", totals->reclaimed },
		{ "reclaimed_operator", totals->operated },
		{ "freed_bytes", totals->freed_bytes },
		{ "lost_events", totals->lost_events },
	};
	struct json json;

	json_begin(&json, stdout, true);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		json_number(&json, numbers[i].key, numbers[i].value);
	json_end(&json);
	putchar('\n');
}

static void print_words(const struct totals *totals, bool raw)
{
	char size[SIZE_TEXT];

	printf("experts    %u open", totals->experts);
	if (totals->max_experts)
		printf(", at most %u", totals->max_experts);
	printf("; %" PRIu64 " since the module was loaded\n", totals->opened);
	printf("regions    %" PRIu64 "\n", totals->regions);
	printf("committed  %s\n", amount_text(size, totals->committed, raw));
	printf("resident   %s\n", amount_text(size, totals->resident, raw));
	printf("limit      %s for all together", limit_text(size, totals->total_limit, raw));
	if (totals->total_limit)
		printf(", %u %% in use", percent_of(totals->committed, totals->total_limit));
	printf("; %s for each, if its host sets no other\n",
	       limit_text(size, totals->default_limit, raw));
	printf("refused    %s for want of memory\n", count_text(size, totals->refused, "call"));
	printf("reclaimed  %s; as a process ended or let go %" PRIu64 ", by a signal %" PRIu64
	       " of these;\n"
	       "           by a host %" PRIu64 ", by an operator %" PRIu64 "\n",
	       amount_text(size, totals->freed_bytes, raw), totals->detached, totals->killed,
	       totals->reclaimed, totals->operated);
	if (totals->lost_events)
		printf("events     %" PRIu64 " could not be sent\n", totals->lost_events);
}

int stats_main(int argc, char **argv)
{
	struct options options = {
		.command = "stats", .help = help, .expected = "no arguments",
		.takes = TAKES_BYTES,
	};
	int status = read_options(&options, argc, argv), error;
	struct totals totals = {};
	struct link *link;

	if (status != GO_ON)
		return status;
	status = operate_open("stats", &link);
	if (status)
		return status;
	error = link_totals(link, &totals);
	if (error)
		status = operate_failed("stats", link, error, NULL);
	link_close(link);
	if (status)
		return status;
	if (options.json)
		print_json(&totals);
	else
		print_words(&totals, options.bytes);
	return finish_output("stats", EXIT_OK);
}
