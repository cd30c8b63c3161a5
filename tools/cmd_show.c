// SPDX-License-Identifier: GPL-2.0
/* expertmem show: all numbers of one expert, and its regions. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "command.h"
#include "operate.h"
#include "view.h"

/* Number of regions that are shown without --all. */
#define SOME 16
#define BAR 40

static const struct option_row options_table[] = {
	OPTION("all", all, NULL, "show all regions, not only the 16 largest"),
	OPTION_BYTES,
	OPTION_JSON("print a JSON object with all regions"),
	OPTION_HELP,
	{}
};

static const struct key_row list_key[] = {
	{ .keys = "region_list", .help = "array with an object for each region, sorted by offset" },
	{}
};

static const struct key_row region_keys[] = {
	{ .keys = "window", .help = "small (4 KiB pages) or huge (2 MiB pages)" },
	{ .keys = "offset", .help = "offset of the region in the device" },
	{ .keys = "size", .help = "committed bytes" },
	{ .keys = "room", .help = "size to which the region can grow in place; 0: none was asked for" },
	{ .keys = "resident", .help = "bytes that are in memory now" },
	{}
};

static const struct key_section keys[] = {
	{ "The keys of the object are those of 'expertmem list --help', and:", list_key },
	{ "The keys of a region; sizes are in bytes:", region_keys },
	{}
};

static const struct status_row statuses[] = {
	STATUS_DONE,
	{ EXIT_FAILED, "no expert, or several experts, have that id or name; or the command failed" },
	STATUS_USAGE, STATUS_PERMISSION, STATUS_NO_MODULE,
	{}
};

static const struct help help = {
	.usage = "ID|NAME",
	.about =
"Show all that the kernel knows of one expert, and its regions, the largest first.\n",
	.options = options_table,
	.notes =
"An argument of digits is an id. If several experts have the name, the command prints their\n"
"ids and fails.\n"
"\n"
"Example:\n"
"  expertmem show topusers\n",
	.keys = keys,
	.statuses = statuses,
};

static const char *window_of(const struct region *region)
{
	return region->offset < EXPERTMEM_HUGE_OFFSET ? "small" : "huge";
}

static int by_offset(const void *left, const void *right)
{
	const struct region *a = left, *b = right;

	return (a->offset > b->offset) - (a->offset < b->offset);
}

static int by_size(const void *left, const void *right)
{
	const struct region *a = left, *b = right;

	return a->size == b->size ? by_offset(a, b) : (b->size > a->size) - (b->size < a->size);
}

static void print_json(const struct expert *expert, const struct region *regions, size_t count)
{
	struct json json, one;

	json_begin(&json, stdout, true);
	json_expert(&json, expert);
	json_key(&json, "region_list");
	putchar('[');
	for (size_t i = 0; i < count; i++) {
		fputs(i ? ",\n    " : "\n    ", stdout);
		json_begin(&one, stdout, false);
		json_string(&one, "window", window_of(&regions[i]));
		json_number(&one, "offset", regions[i].offset);
		json_number(&one, "size", regions[i].size);
		json_number(&one, "room", regions[i].room);
		json_number(&one, "resident", regions[i].resident);
		json_end(&one);
	}
	fputs(count ? "\n  ]" : "]", stdout);
	json_end(&json);
	putchar('\n');
}

/* Print a bar of the used part of the limit on a terminal, in a line with @used columns of text. */
static void print_bar(const struct expert *expert, int used)
{
	unsigned int percent = percent_of(charged_of(expert), expert->limit);
	int length = line_columns() - used - 4, filled;

	if (length > BAR)
		length = BAR;
	if (!is_colourful() || length < 10)
		return;
	filled = percent < 100 ? (int)percent * length / 100 : length;
	printf("  [%s", escape(use_colour(expert)));
	for (int i = 0; i < length; i++)
		putchar(i < filled ? '#' : '.');
	printf("%s]", escape(PLAIN));
}

static const char *process_text(char text[static NAME_TEXT], uint32_t pid)
{
	char path[NAME_TEXT], comm[17] = "";
	FILE *file;

	if (!pid)
		return "none, or not in this pid namespace";
	snprintf(path, sizeof(path), "/proc/%u/comm", pid);
	file = fopen(path, "re");
	if (file) {
		if (fgets(comm, sizeof(comm), file))
			comm[strcspn(comm, "\n")] = '\0';
		fclose(file);
	}
	snprintf(text, NAME_TEXT, *comm ? "%u (%s)" : "%u", pid, comm);
	return plain_text(text);
}

static void print_expert(const struct expert *expert, bool raw)
{
	char text[NAME_TEXT], size[SIZE_TEXT];
	enum colour colour = state_colour(expert);
	int used;

	printf("%s%s%s\n", escape(BOLD), title_text(text, expert), escape(PLAIN));
	printf("  state      %s%s%s\n", escape(colour), state_word(expert->state),
	       escape(PLAIN));
	if (expert->state == EXPERTMEM_STATE_RECLAIMED) {
		printf("             %s;\n", cause_text(text, expert));
		printf("             %s were taken back, ",
		       amount_text(size, expert->reclaimed_bytes, raw));
		printf("%s of it from memory\n",
		       amount_text(size, expert->reclaimed_resident, raw));
	}
	printf("  user       %s\n", user_text(text, expert->uid));
	printf("  opened     %s ago", duration_text(size, age_of(expert)));
	printf(" by process %s\n", process_text(text, expert->opener));
	printf("  process    %s\n", process_text(text, expert->pid));
	printf("  committed  %s\n", amount_text(size, expert->committed, raw));
	printf("  pinned     %s%s\n", amount_text(size, expert->pinned, raw), expert->pinned ?
	       ", freed or reclaimed, but still referenced by a pipe, a socket or a device" : "");
	printf("  resident   %s\n", amount_text(size, expert->resident, raw));
	printf("  peak       %s\n", amount_text(size, expert->peak, raw));
	used = printf("  limit      %s", limit_text(size, expert->limit, raw));
	if (expert->limit) {
		used += printf(", %u %% of it used", percent_of(charged_of(expert), expert->limit));
		print_bar(expert, used);
	}
	putchar('\n');
	printf("  refused    %s for lack of memory\n", count_text(size, expert->refused, "call"));
	if (expert->flags & EXPERTMEM_CONFIG_UNSWAPPABLE)
		puts("  swap       never");
	printf("  regions    %" PRIu64 "\n", expert->regions);
}

enum { WINDOW, OFFSET, SIZE, RESIDENT, ROOM, COLUMNS };

static const char *const titles[COLUMNS] = { "WINDOW", "OFFSET", "SIZE", "RESIDENT", "ROOM" };
static const int widths[COLUMNS] = { 6, 14, 14, 14, 14 };
/* the order in which columns get room; a narrow terminal shows only the first of them */
static const int rank[COLUMNS] = { SIZE, OFFSET, RESIDENT, WINDOW, ROOM };

static void print_row(const char *const cells[COLUMNS])
{
	bool shown[COLUMNS];

	/* two columns of a line are its indent */
	fit_columns(shown, rank, widths, COLUMNS, SIZE, line_columns() - 2);
	for (int c = 0; c < COLUMNS; c++)
		if (shown[c])
			printf("  %*s", c == WINDOW ? -widths[c] : widths[c], cells[c]);
	putchar('\n');
}

static void print_regions(const struct region *regions, size_t count, bool all, bool raw)
{
	char offset[SIZE_TEXT], size[SIZE_TEXT], resident[SIZE_TEXT], room[SIZE_TEXT];

	if (!count)
		return;
	putchar('\n');
	print_row(titles);
	for (size_t i = 0; i < count && (all || i < SOME); i++) {
		snprintf(offset, sizeof(offset), "%#" PRIx64, regions[i].offset);
		print_row((const char *const[COLUMNS]){
			[WINDOW] = window_of(&regions[i]), [OFFSET] = offset,
			[SIZE] = amount_text(size, regions[i].size, raw),
			[RESIDENT] = amount_text(resident, regions[i].resident, raw),
			[ROOM] = regions[i].room ? amount_text(room, regions[i].room, raw) : "-",
		});
	}
	if (!all && count > SOME)
		printf("  and %zu smaller; --all shows them\n", count - SOME);
}

int show_main(int argc, char **argv)
{
	struct options options = {
		.command = "show", .help = &help,
		.operands = 1, .expected = "one expert",
	};
	int status = read_options(&options, argc, argv), error;
	struct region *regions = NULL;
	char title[NAME_TEXT];
	struct expert expert;
	struct link *link;
	size_t count;

	if (status != GO_ON)
		return status;
	status = operate_open("show", &link);
	if (status)
		return status;
	status = operate_choose("show", link, options.operand[0], &expert);
	if (status)
		goto out_close;
	error = link_regions(link, expert.id, &regions, &count);
	if (error) {
		status = operate_failed("show", link, error, title_text(title, &expert));
		goto out_close;
	}
	if (count)
		qsort(regions, count, sizeof(*regions), options.json ? by_offset : by_size);
	if (options.json) {
		print_json(&expert, regions, count);
	} else {
		print_expert(&expert, options.bytes);
		print_regions(regions, count, options.all, options.bytes);
	}
	free(regions);
	status = finish_output("show", EXIT_OK);
out_close:
	link_close(link);
	return status;
}
