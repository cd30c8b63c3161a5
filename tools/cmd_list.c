// SPDX-License-Identifier: GPL-2.0
/* expertmem list: which experts there are. */
#include <inttypes.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "args.h"
#include "command.h"
#include "operate.h"
#include "view.h"

static const char help[] =
"Usage: expertmem list [OPTION]...\n"
"\n"
"List the experts that are open: all of them with CAP_NET_ADMIN (root), else your own.\n"
"\n"
"  --sort KEY   by id (default), name, pid, user, state, committed, pinned, resident,\n"
"               peak, limit or age; numbers but id and pid come largest first\n"
"  --user USER  only those that this user, by name or number, has opened\n"
"  --bytes      print sizes in bytes, without units\n"
"  --json       print an array of objects\n"
"  --help       print this text\n"
"\n"
"COMMITTED is what the expert has in regions, and RESIDENT what of it is in memory now.\n"
"PINNED is what was freed or reclaimed, and that a pipe, a socket or a device still\n"
"holds; the column is printed only if an expert in the list has such pages. LIMIT limits\n"
"COMMITTED and PINNED together, and PEAK is the most that both together ever were. PID is\n"
"the process that uses the expert. STATE is idle (nobody uses it yet), running,\n"
"terminating (asked to stop) or reclaimed (its memory was taken back; somebody still has\n"
"it open).\n"
"\n"
"On a terminal, columns that do not fit into a line are left out, and none is cut. The\n"
"column to sort by, ID, NAME and STATE are the last to go.\n"
"\n"
"Where experts come and go so fast that the kernel cannot tell all of one moment, those\n"
"that were there all the time are listed; that others may be missing is said on standard\n"
"error.\n"
"\n"
"Example: who of alice's has most?\n"
"  expertmem list --user alice --sort resident\n"
"\n"
"The keys of each object; sizes are bytes:\n"
"  id                       number of the expert, not used again while the module is\n"
"                           loaded\n"
"  name                     string, or null if it has none yet\n"
"  state                    idle, running, terminating or reclaimed\n"
"  user, uid                who opened it: login name, number\n"
"  pid, opener_pid          process that uses it, and that opened it; null if not seen\n"
"  opened                   time, as 2026-01-31T12:34:56.789Z\n"
"  age_seconds              since then\n"
"  regions                  how many\n"
"  committed                in regions\n"
"  pinned                   in pages that were freed or reclaimed, and that a pipe, a\n"
"                           socket or a device still holds\n"
"  resident                 of what is committed, in memory\n"
"  peak                     most ever committed and pinned\n"
"  limit                    most that may be committed and pinned, 0 for none\n"
"  refused                  calls refused for want of memory\n"
"  unswappable              true or false\n"
"  cause                    detach (the process ended, or let go), host (its host asked),\n"
"                           operator, or null if it was not reclaimed\n"
"  signal                   number of the signal that killed the process, or null\n"
"  reclaimed_bytes          in regions when it was reclaimed, or null\n"
"  reclaimed_resident       of these, in memory, or null\n"
"  reclaimed_regions        how many regions, or null\n"
"\n"
"Exit status:\n"
"  0    done, also where there is no expert\n"
"  1    it failed\n"
"  2    wrong command line\n"
"  4    not permitted\n"
"  10   the module is not loaded\n";

/* --- order */

static int ascending(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

#define BY(key, compare) \
static int by_##key(const void *left, const void *right) \
{ \
	const struct expert *a = left, *b = right; \
	int order = compare; \
\
	return order ? order : ascending(a->id, b->id); \
}

BY(id, 0)
BY(name, strcmp(a->name, b->name))
BY(pid, ascending(a->pid, b->pid))
BY(user, ascending(a->uid, b->uid))
BY(state, ascending(a->state, b->state))
BY(committed, ascending(b->committed, a->committed))
BY(pinned, ascending(b->pinned, a->pinned))
BY(resident, ascending(b->resident, a->resident))
BY(peak, ascending(b->peak, a->peak))
/* none is the largest */
BY(limit, ascending(b->limit - 1, a->limit - 1))
BY(age, ascending(a->opened, b->opened))

static const struct order {
	const char *key;
	int (*compare)(const void *left, const void *right);
} orders[] = {
	{ "id", by_id }, { "name", by_name }, { "pid", by_pid }, { "user", by_user },
	{ "state", by_state }, { "committed", by_committed }, { "pinned", by_pinned },
	{ "resident", by_resident }, { "peak", by_peak }, { "limit", by_limit },
	{ "age", by_age },
};

static const struct order *find_order(const char *key)
{
	for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++)
		if (!strcmp(key, orders[i].key))
			return &orders[i];
	return NULL;
}

/* --- the table */

enum { ID, NAME, PID, USER, STATE, COMMITTED, PINNED, RESIDENT, PEAK, LIMIT, AGE, COLUMNS };

static const struct {
	const char *title;
	bool left;
} columns[] = {
	[ID]		= { "ID", false },
	[NAME]		= { "NAME", true },
	[PID]		= { "PID", false },
	[USER]		= { "USER", true },
	[STATE]		= { "STATE", true },
	[COMMITTED]	= { "COMMITTED", false },
	[PINNED]	= { "PINNED", false },
	[RESIDENT]	= { "RESIDENT", false },
	[PEAK]		= { "PEAK", false },
	[LIMIT]		= { "LIMIT", false },
	[AGE]		= { "AGE", false },
};

/* Which to leave out on a narrow terminal: the last first. */
static const int rank[COLUMNS] = {
	ID, NAME, STATE, COMMITTED, LIMIT, PID, USER, RESIDENT, PINNED, PEAK, AGE,
};

typedef char row[COLUMNS][NAME_TEXT];

static void fill_row(row cells, const struct expert *expert, bool raw)
{
	char text[NAME_TEXT];

	snprintf(cells[ID], NAME_TEXT, "%" PRIu64, expert->id);
	name_text(cells[NAME], expert);
	snprintf(cells[PID], NAME_TEXT, expert->pid ? "%u" : "-", expert->pid);
	user_text(cells[USER], expert->uid);
	snprintf(cells[STATE], NAME_TEXT, "%s", state_word(expert->state));
	amount_text(cells[COMMITTED], expert->committed, raw);
	amount_text(cells[PINNED], expert->pinned, raw);
	amount_text(cells[RESIDENT], expert->resident, raw);
	amount_text(cells[PEAK], expert->peak, raw);
	snprintf(cells[LIMIT], NAME_TEXT, "%s", limit_text(text, expert->limit, raw));
	duration_text(cells[AGE], age_of(expert));
}

/* @gap: spaces before the cell. */
static void print_cell(int column, int gap, const char *text, int width, enum colour colour)
{
	int pad = width - text_columns(text);

	printf("%*s%s%s%s%*s", gap + (columns[column].left ? 0 : pad), "",
	       colour == PLAIN ? "" : escape(colour), text,
	       colour == PLAIN ? "" : escape(PLAIN), columns[column].left ? pad : 0, "");
}

/* The column PINNED is nearly always zero: without it, a line fits into 80 columns. */
static void print_table(const struct expert *experts, size_t count, const char *key, bool raw)
{
	bool has_pinned = false, shown[COLUMNS];
	int width[COLUMNS], sorted = ID, gap;
	row cells;

	for (int c = 0; c < COLUMNS; c++)
		width[c] = strlen(columns[c].title);
	for (size_t i = 0; i < count; i++) {
		fill_row(cells, &experts[i], raw);
		for (int c = 0; c < COLUMNS; c++)
			if (text_columns(cells[c]) > width[c])
				width[c] = text_columns(cells[c]);
		has_pinned = has_pinned || experts[i].pinned;
	}
	if (!has_pinned)
		width[PINNED] = 0;
	while (strcasecmp(columns[sorted].title, key))
		sorted++;
	fit_columns(shown, rank, width, COLUMNS, sorted, line_columns());
	gap = 0;
	for (int c = 0; c < COLUMNS; c++) {
		if (!shown[c])
			continue;
		print_cell(c, gap, columns[c].title, width[c], BOLD);
		gap = 2;
	}
	putchar('\n');
	for (size_t i = 0; i < count; i++) {
		fill_row(cells, &experts[i], raw);
		gap = 0;
		for (int c = 0; c < COLUMNS; c++) {
			if (!shown[c])
				continue;
			print_cell(c, gap, cells[c], width[c],
				   c == STATE ? state_colour(&experts[i]) :
				   c == COMMITTED ? use_colour(&experts[i]) : PLAIN);
			gap = 2;
		}
		putchar('\n');
	}
}

static void print_json(const struct expert *experts, size_t count)
{
	struct json json;

	putchar('[');
	for (size_t i = 0; i < count; i++) {
		fputs(i ? ",\n  " : "\n  ", stdout);
		json_begin(&json, stdout, false);
		json_expert(&json, &experts[i]);
		json_end(&json);
	}
	puts(count ? "\n]" : "]");
}

/*
 * An empty list may be so because the others are not ours to see. The totals do not count
 * reclaimed experts: where they are 0, somebody else may have one of these open.
 */
static void print_nothing(struct link *link, const struct options *options)
{
	struct totals totals = {};
	char open[SIZE_TEXT];

	if (options->user)
		printf("No expert of user %s is open.\n", options->user);
	else if (!link_totals(link, &totals) && totals.experts)
		printf("None of the %s is yours; root sees all.\n",
		       count_text(open, totals.experts, "open expert"));
	else
		puts(geteuid() ? "No expert of yours is open; root sees all." :
				 "No expert is open.");
}

static bool find_user(const char *text, uint32_t *uid)
{
	struct passwd *user = getpwnam(text);
	char *end;

	if (user) {
		*uid = user->pw_uid;
		return true;
	}
	*uid = strtoul(text, &end, 10);
	return *text >= '0' && *text <= '9' && !*end;
}

int list_main(int argc, char **argv)
{
	struct options options = {
		.command = "list", .help = help, .expected = "no arguments", .sort = "id",
		.takes = TAKES_BYTES | TAKES_SORT | TAKES_USER,
	};
	int status = read_options(&options, argc, argv), error;
	const struct order *order;
	struct expert *experts;
	size_t count, kept = 0;
	struct link *link;
	uint32_t uid = 0;

	if (status != GO_ON)
		return status;
	order = find_order(options.sort);
	if (!order)
		return wrong_usage("list", "there is no key '%s' to sort by", options.sort);
	if (options.user && !find_user(options.user, &uid))
		return wrong_usage("list", "there is no user '%s'", options.user);

	status = operate_open("list", &link);
	if (status)
		return status;
	error = link_experts(link, &experts, &count);
	if (error) {
		status = operate_failed("list", link, error, NULL);
		link_close(link);
		return status;
	}
	if (link_is_partial(link))
		fputs("expertmem list: experts came and went meanwhile; some of these may be missing\n",
		      stderr);
	for (size_t i = 0; i < count; i++)
		if (!options.user || experts[i].uid == uid)
			experts[kept++] = experts[i];
	if (kept)
		qsort(experts, kept, sizeof(*experts), order->compare);
	if (options.json)
		print_json(experts, kept);
	else if (kept)
		print_table(experts, kept, options.sort, options.bytes);
	else
		print_nothing(link, &options);
	free(experts);
	link_close(link);
	return finish_output("list", EXIT_OK);
}
