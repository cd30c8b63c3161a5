// SPDX-License-Identifier: GPL-2.0
/* expertmem stats: the totals of all experts. */
#include <inttypes.h>

#include "args.h"
#include "command.h"
#include "operate.h"
#include "view.h"

static const struct option_row options_table[] = {
	OPTION_BYTES,
	OPTION_JSON("print a JSON object"),
	OPTION_HELP,
	{}
};

#define KEY(key, member, text) \
	{ key, text, offsetof(struct totals, member), sizeof(((struct totals *)0)->member) }

static const struct key_row totals_keys[] = {
	KEY("experts", experts, "number of open experts, without reclaimed ones"),
	KEY("max_experts", max_experts,
	    "the most experts that may be open, without reclaimed ones; 0: no limit"),
	KEY("uid_max_experts", uid_max_experts,
	    "the most experts that one user may have open, reclaimed ones included; "
	    "0: no limit"),
	KEY("opened", opened, "number of experts opened since the module was loaded"),
	KEY("regions", regions, "number of regions of all experts"),
	KEY("committed", committed, "bytes in regions"),
	KEY("pinned", pinned, "bytes in pages that were freed or reclaimed, but that a pipe, a socket "
	    "or a device still references; closed experts included"),
	KEY("resident", resident, "committed bytes that are in memory now"),
	KEY("total_limit", total_limit, "the most bytes of all experts; 0: no limit"),
	KEY("uid_limit", uid_limit, "the most bytes of all experts of one user; 0: no limit"),
	KEY("default_limit", default_limit,
	    "the limit of an expert whose host sets none; 0: no limit"),
	KEY("refused", refused, "number of calls that were refused for lack of memory"),
	KEY("reclaimed_detach", detached,
	    "number of experts reclaimed because their process ended or unmapped a window"),
	KEY("reclaimed_signal", killed,
	    "those of reclaimed_detach whose process was killed by a signal"),
	KEY("reclaimed_host", reclaimed, "number of experts reclaimed by their host"),
	KEY("reclaimed_operator", operated,
	    "number of experts reclaimed by an operator ('expertmem reclaim')"),
	KEY("reclaimed_bytes", reclaimed_bytes,
	    "bytes in regions of all reclaimed experts when they were reclaimed"),
	KEY("lost_events", lost_events, "number of events that the kernel could not send"),
	KEY("suppressed_events", suppressed_events,
	    "number of events that the module did not send because the user's "
	    "experts caused too many"),
	{}
};

static const struct key_section keys[] = {
	{ "The keys of the object; sizes are in bytes:", totals_keys },
	{}
};

static const struct status_row statuses[] = {
	STATUS_DONE, STATUS_FAILED, STATUS_USAGE, STATUS_PERMISSION, STATUS_NO_MODULE,
	{}
};

static const struct help help = {
	.usage = "",
	.about =
"Print the totals of all experts and the limits, and count the experts that were reclaimed\n"
"since the module was loaded.\n",
	.options = options_table,
	.notes =
"Limits of bytes count committed and pinned bytes together. The last sixteenth of\n"
"max_experts and of total_limit is reserved for experts that were opened with\n"
"CAP_SYS_RESOURCE (root). The limits of a user do not apply to these experts.\n"
"\n"
"Example: print how much of the module's total_limit is in use\n"
"  expertmem stats --json | jq '(.committed + .pinned) / .total_limit'\n",
	.keys = keys,
	.statuses = statuses,
};

static void print_json(const struct totals *totals)
{
	struct json json;

	json_begin(&json, stdout, true);
	for (const struct key_row *row = totals_keys; row->keys; row++) {
		const void *member = (const char *)totals + row->offset;

		json_number(&json, row->keys, row->size == sizeof(uint32_t) ?
			    *(const uint32_t *)member : *(const uint64_t *)member);
	}
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
	printf("refused    %s for lack of memory\n", count_text(size, totals->refused, "call"));
	printf("reclaimed  %s; %" PRIu64 " experts by detach, of these %" PRIu64
	       " killed by a signal;\n"
	       "           %" PRIu64 " by their host, %" PRIu64 " by an operator\n",
	       amount_text(size, totals->reclaimed_bytes, raw), totals->detached, totals->killed,
	       totals->reclaimed, totals->operated);
	printf("events     %" PRIu64 " could not be sent, %" PRIu64
	       " suppressed because a user's experts caused too many\n", totals->lost_events,
	       totals->suppressed_events);
}

int stats_main(int argc, char **argv)
{
	struct options options = {
		.command = "stats", .help = &help, .expected = "no arguments",
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
