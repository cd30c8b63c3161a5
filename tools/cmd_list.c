// SPDX-License-Identifier: GPL-2.0
/* expertmem list: a table of the open experts. */
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
/* 0 means no limit, which sorts above every limit */
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

/* @key is one of the table's, as read_options() has checked. */
static const struct order *find_order(const char *key)
{
	const struct order *order = orders;

	while (strcmp(key, order->key))
		order++;
	return order;
}

static const char *order_key(size_t i)
{
	return i < sizeof(orders) / sizeof(orders[0]) ? orders[i].key : NULL;
}

/* --- help */

static const struct option_row options_table[] = {
	{ "sort", "KEY", offsetof(struct options, sort),
	  "sort the experts by KEY (default: id); all sizes, limit and age come largest first", order_key },
	OPTION("user", user, "USER", "list only the experts that USER, a name or a uid, opened"),
	OPTION_BYTES,
	OPTION_JSON("print a JSON array with an object for each expert"),
	OPTION_HELP,
	{}
};

static const struct key_section keys[] = {
	{ "The keys of each object; sizes are in bytes:", expert_keys },
	{}
};

static const struct status_row statuses[] = {
	{ EXIT_OK, "done, also if no expert is open" },
	STATUS_FAILED, STATUS_USAGE, STATUS_PERMISSION, STATUS_NO_MODULE,
	{}
};

static const struct help help = {
	.usage = "",
	.about =
"List the open experts: all experts if you have CAP_NET_ADMIN (root), else your own.\n",
	.options = options_table,
	.notes =
"The columns:\n"
"  PID        the process that uses the expert\n"
"  STATE      idle: no process uses the expert yet; running; terminating: the expert was\n"
"             asked to stop; reclaimed: its memory was reclaimed, and a process still has\n"
"             it open\n"
"  COMMITTED  bytes in regions\n"
"  PINNED     bytes in pages that were freed or reclaimed, but that a pipe, a socket or a\n"
"             device still references; printed only if a listed expert has such pages\n"
"  RESIDENT   committed bytes that are in memory now\n"
"  PEAK       the most bytes that were committed and pinned at one time\n"
"  LIMIT      the most bytes that may be committed and pinned\n"
"\n"
"On a terminal, the command leaves out columns that do not fit into a line. It leaves\n"
"out the column to sort by, ID, NAME and STATE last.\n"
"\n"
"If experts are opened and closed all the time, the kernel cannot list all experts of\n"
"one moment. The list then has every expert that was open the whole time, and a message\n"
"on standard error says that others may be missing.\n"
"\n"
"Example: list the experts of alice, the largest first\n"
"  expertmem list --user alice --sort resident\n",
	.keys = keys,
	.statuses = statuses,
};

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

/* The order in which columns get room; a narrow terminal shows only the first of them. */
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

/* @gap: number of spaces before the cell */
static void print_cell(int column, int gap, const char *text, int width, enum colour colour)
{
	int pad = width - text_columns(text);

	printf("%*s%s%s%s%*s", gap + (columns[column].left ? 0 : pad), "",
	       colour == PLAIN ? "" : escape(colour), text,
	       colour == PLAIN ? "" : escape(PLAIN), columns[column].left ? pad : 0, "");
}

/* PINNED is left out if it is 0 for all experts; the other columns then fit into 80. */
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
 * Say why the list is empty. The totals count the experts of all users, without reclaimed ones;
 * if the count is 0, another user may still have a reclaimed expert open.
 */
static void print_nothing(struct link *link, const struct options *options)
{
	struct totals totals = {};
	char open[SIZE_TEXT];

	if (options->user)
		printf("No expert of user %s is open.\n", options->user);
	else if (!link_totals(link, &totals) && totals.experts)
		printf("None of the %s is yours; root sees the experts of all users.\n",
		       count_text(open, totals.experts, "open expert"));
	else
		puts(geteuid() ? "You have no expert open; root sees the experts of all users." :
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
		.command = "list", .help = &help, .expected = "no arguments", .sort = "id",
	};
	int status = read_options(&options, argc, argv), error;
	struct expert *experts;
	size_t count, kept = 0;
	struct link *link;
	uint32_t uid = 0;

	if (status != GO_ON)
		return status;
	if (options.user && !find_user(options.user, &uid))
		return wrong_usage("list", "there is no user '%s'; --user takes a name or a uid",
				   options.user);

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
		fputs("expertmem list: experts were opened and closed meanwhile; some of them may be missing\n",
		      stderr);
	for (size_t i = 0; i < count; i++)
		if (!options.user || experts[i].uid == uid)
			experts[kept++] = experts[i];
	if (kept)
		qsort(experts, kept, sizeof(*experts), find_order(options.sort)->compare);
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
