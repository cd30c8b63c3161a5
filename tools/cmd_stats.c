// SPDX-License-Identifier: GPL-2.0
/* expertmem stats: the totals of all experts. */
#include <inttypes.h>

#include "args.h"
#include "command.h"
#include "operate.h"
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
"  expertmem stats --json | jq '(.committed + .pinned) / .total_limit'\n"
"\n"
"Limits of bytes limit what is committed and what is pinned together. The last sixteenth\n"
"of max_experts and of total_limit is for experts that were opened with CAP_SYS_RESOURCE\n"
"(root); for these, the limits of a user do not count.\n"
"\n"
"The keys of the object; sizes are bytes:\n"
"  experts                  open now, without reclaimed ones\n"
"  max_experts              most that may be open, without reclaimed ones, 0 for any\n"
"                           number\n"
"  uid_max_experts          most that one user may have open, with reclaimed ones, 0 for\n"
"                           any number\n"
"  opened                   since the module was loaded\n"
"  regions                  of all experts\n"
"  committed                in regions\n"
"  pinned                   in pages that were freed or reclaimed, and that a pipe, a\n"
"                           socket or a device still holds; also of closed experts\n"
"  resident                 of what is committed, in memory\n"
"  total_limit              most that all may have, 0 for none\n"
"  uid_limit                most that all experts of one user may have, 0 for none\n"
"  default_limit            that of an expert whose host sets none, 0 for none\n"
"  refused                  calls refused for want of memory\n"
"  reclaimed_detach         experts whose process ended, or let go\n"
"  reclaimed_signal         of these, whose process was killed by a signal\n"
"  reclaimed_host           experts reclaimed by their host\n"
"  reclaimed_operator       experts reclaimed by netlink: 'expertmem reclaim'\n"
"  reclaimed_bytes          that these all had when they were reclaimed\n"
"  lost_events              events that could not be sent\n"
"  suppressed_events        events not sent because their user had caused too many\n"
"\n"
"Exit status:\n"
"  0    done\n"
"  1    it failed\n"
"  2    wrong command line\n"
"  4    not permitted\n"
"  10   the module is not loaded\n";

static void print_json(const struct totals *totals)
{
	const struct { const char *key; uint64_t value; } numbers[] = {
		{ "experts", totals->experts },
		{ "max_experts", totals->max_experts },
		{ "uid_max_experts", totals->uid_max_experts },
		{ "opened", totals->opened },
		{ "regions", totals->regions },
		{ "committed", totals->committed },
		{ "pinned", totals->pinned },
		{ "resident", totals->resident },
		{ "total_limit", totals->total_limit },
		{ "uid_limit", totals->uid_limit },
		{ "default_limit", totals->default_limit },
		{ "refused", totals->refused },
		{ "reclaimed_detach", totals->detached },
		{ "reclaimed_signal", totals->killed },
		{ "reclaimed_host", totals->reclaimed },
		{ "reclaimed_operator", totals->operated },
		{ "reclaimed_bytes", totals->reclaimed_bytes },
		{ "lost_events", totals->lost_events },
		{ "suppressed_events", totals->suppressed_events },
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

	printf("experts    %u open, without reclaimed ones", totals->experts);
	if (totals->max_experts)
		printf(", at most %u", totals->max_experts);
	puts(";");
	if (totals->uid_max_experts)
		printf("           at most %u of one user;\n", totals->uid_max_experts);
	printf("           %" PRIu64 " since the module was loaded\n", totals->opened);
	printf("regions    %" PRIu64 "\n", totals->regions);
	printf("committed  %s\n", amount_text(size, totals->committed, raw));
	printf("pinned     %s\n", amount_text(size, totals->pinned, raw));
	printf("resident   %s\n", amount_text(size, totals->resident, raw));
	printf("limit      %s for all together", limit_text(size, totals->total_limit, raw));
	if (totals->total_limit)
		printf(", %u %% in use", percent_of(totals->committed + totals->pinned,
						    totals->total_limit));
	printf(";\n           %s for the experts of one user;\n",
	       limit_text(size, totals->uid_limit, raw));
	printf("           %s for an expert whose host sets none\n",
	       limit_text(size, totals->default_limit, raw));
	printf("refused    %s for want of memory\n", count_text(size, totals->refused, "call"));
	printf("reclaimed  %s; as a process ended or let go %" PRIu64 ", by a signal %" PRIu64
	       " of these;\n"
	       "           by a host %" PRIu64 ", by an operator %" PRIu64 "\n",
	       amount_text(size, totals->reclaimed_bytes, raw), totals->detached, totals->killed,
	       totals->reclaimed, totals->operated);
	printf("events     %" PRIu64 " could not be sent, %" PRIu64
	       " suppressed: their user had caused too many\n", totals->lost_events,
	       totals->suppressed_events);
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
