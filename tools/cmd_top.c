// SPDX-License-Identifier: GPL-2.0
/* expertmem top: show the experts on the full screen, and let an operator control them. */
#include <curses.h>
#include <errno.h>
#include <inttypes.h>
#include <locale.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "args.h"
#include "command.h"
#include "operate.h"
#include "view.h"

enum { ID, NAME, PID, USER, STATE, RESIDENT, RATE, COMMITTED, PEAK, LIMIT, USE, COLUMNS };

struct line {
	struct expert expert;
	double rate;		/* growth of resident, bytes per second */
};

/**
 * struct screen - all that is shown
 * @options: the command line
 * @link: the connection to the kernel
 * @delay: time between two readings, in seconds
 * @sorting: the order of @lines
 * @lines: the experts
 * @count: length of @lines
 * @first: index of the line at the top of the table
 * @chosen: index of the line that the arrow keys have chosen
 * @totals: the totals of all experts
 * @read: CLOCK_MONOTONIC of the last reading, in seconds; 0: none yet
 * @error: result of the last reading, a negative error number or 0
 * @asking: the key that the user is asked to confirm, or 0
 * @message: result of the last command, shown in the last line, or ""
 */
struct screen {
	const struct options *options;
	struct link *link;
	double delay;
	const struct sorting *sorting;
	struct line *lines;
	size_t count, first, chosen;
	struct totals totals;
	double read;
	int error;
	char asking;
	char message[160];
};

/* --- order */

static int descending(double a, double b)
{
	return (a < b) - (a > b);
}

#define BY(key, a_value, b_value) \
static int by_##key(const void *left, const void *right) \
{ \
	const struct line *a = left, *b = right; \
	int order = descending(a_value, b_value); \
\
	return order ? order : descending(b->expert.id, a->expert.id); \
}

BY(resident, a->expert.resident, b->expert.resident)
BY(rate, a->rate, b->rate)
BY(committed, a->expert.committed, b->expert.committed)
BY(peak, a->expert.peak, b->expert.peak)
BY(id, 0, 0)

static const struct sorting {
	char key;
	const char *word;
	int (*compare)(const void *left, const void *right);
	int column;
} orders[] = {
	{ 'r', "resident", by_resident, RESIDENT }, { 'g', "rate", by_rate, RATE },
	{ 'c', "committed", by_committed, COMMITTED }, { 'p', "peak", by_peak, PEAK },
	{ 'i', "id", by_id, ID },
	{}
};

static const char *sorting_word(size_t i)
{
	return i + 1 < sizeof(orders) / sizeof(orders[0]) ? orders[i].word : NULL;
}

/* --- help */

static const struct option_row options_table[] = {
	OPTION("delay", delay, "SECONDS", "time between two readings, 0.1 to 3600 (default: 1)"),
	{ "sort", "KEY", offsetof(struct options, sort),
	  "sort the experts by KEY (default: resident)", sorting_word },
	OPTION_BYTES,
	OPTION_HELP,
	{}
};

static const struct status_row statuses[] = {
	{ EXIT_OK, "the user has quit" },
	{ EXIT_FAILED, "there is no terminal, or the command failed" },
	STATUS_USAGE, STATUS_PERMISSION,
	{ EXIT_NO_MODULE, "the module was not loaded when the command started" },
	{}
};

static const struct help help = {
	.usage = "",
	.about =
"Show the experts on the full screen: all experts if you have CAP_NET_ADMIN (root), else your\n"
"own. The command goes on while the module is unloaded.\n",
	.options = options_table,
	.notes =
"RATE is the growth of RESIDENT in a second. USE is the share of LIMIT that COMMITTED and\n"
"pinned bytes use. Pinned bytes are in pages that were freed or reclaimed, but that a pipe, a\n"
"socket or a device still references; 'expertmem show' prints them. Scripts can use\n"
"'expertmem list --json'.\n"
"\n"
"The command leaves out columns that do not fit into a line. It leaves out the column to\n"
"sort by, ID and NAME last.\n"
"\n"
"Keys:\n"
"  r, g, c, p, i    sort by resident, rate (growth), committed, peak, id\n"
"  up, down, j, k   choose an expert; it stays chosen when the order changes\n"
"  t                ask the chosen expert to stop; y confirms\n"
"  x                reclaim all memory of the chosen expert; y confirms\n"
"  space            read the experts now\n"
"  q                quit\n"
"\n"
"Example: show the experts that grow fastest\n"
"  expertmem top --sort rate\n",
	.statuses = statuses,
};

/* --- reading */

static int by_expert_id(const void *left, const void *right)
{
	const struct expert *a = left, *b = right;

	return (a->id > b->id) - (a->id < b->id);
}

static uint64_t chosen_id(const struct screen *screen)
{
	return screen->count ? screen->lines[screen->chosen].expert.id : 0;
}

static void sort(struct screen *screen, uint64_t chosen)
{
	if (screen->count)
		qsort(screen->lines, screen->count, sizeof(*screen->lines),
		      screen->sorting->compare);
	for (size_t i = 0; i < screen->count; i++)
		if (screen->lines[i].expert.id == chosen)
			screen->chosen = i;
	if (screen->chosen >= screen->count)
		screen->chosen = screen->count ? screen->count - 1 : 0;
}

/* Replace the lines by @experts, which are sorted by id, and compute their rates. */
static void take_lines(struct screen *screen, struct line *lines,
		       const struct expert *experts, size_t count)
{
	double time = clock_seconds(CLOCK_MONOTONIC), passed = time - screen->read;
	uint64_t chosen = chosen_id(screen);

	for (size_t i = 0; i < count; i++)
		lines[i] = (struct line){ .expert = experts[i] };
	for (size_t i = 0; i < screen->count && passed > 0; i++) {
		const struct expert *old = &screen->lines[i].expert;
		const struct expert *found = bsearch(old, experts, count, sizeof(*experts),
						     by_expert_id);

		if (found)
			lines[found - experts].rate =
				((double)found->resident - (double)old->resident) / passed;
	}
	free(screen->lines);
	screen->lines = lines;
	screen->count = count;
	screen->read = time;
	sort(screen, chosen);
}

static void read_experts(struct screen *screen)
{
	struct expert *experts = NULL;
	struct line *lines;
	size_t count = 0;

	screen->error = link_experts(screen->link, &experts, &count);
	if (!screen->error)
		screen->error = link_totals(screen->link, &screen->totals);
	if (screen->error)
		count = 0;
	if (count)
		qsort(experts, count, sizeof(*experts), by_expert_id);
	lines = calloc(count ? count : 1, sizeof(*lines));
	if (lines)
		take_lines(screen, lines, experts, count);
	else
		screen->error = -ENOMEM;
	free(experts);
}

/* --- showing */

/* The attribute of ncurses for a colour. */
static int attribute(enum colour colour)
{
	return colour == BOLD ? A_BOLD : has_colors() ? COLOR_PAIR(colour) : 0;
}

/* Add text, cut at the end of the line. */
static void __attribute__((format(printf, 2, 3))) add(int colour, const char *format, ...)
{
	int left = getmaxx(stdscr) - getcurx(stdscr);
	char text[512], *end = text;
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	while (*end && left >= 0)
		left -= (*end++ & 0xc0) != 0x80;
	if (left < 0)
		*--end = '\0';
	attron(colour);
	addstr(text);
	attroff(colour);
}

/* Add text if all of it fits into the line. Return whether it fits. */
static bool __attribute__((format(printf, 1, 2))) add_whole(const char *format, ...)
{
	char text[128];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	/* text in the last column would move the cursor to the next line */
	if (text_columns(text) >= getmaxx(stdscr) - getcurx(stdscr))
		return false;
	addstr(text);
	return true;
}

static void show_head(const struct screen *screen)
{
	const struct totals *totals = &screen->totals;
	char committed[SIZE_TEXT], limit[SIZE_TEXT], resident[SIZE_TEXT], count[SIZE_TEXT];
	char pinned[SIZE_TEXT];
	bool raw = screen->options->bytes, whole;

	move(0, 0);
	if (screen->error == -ENODEV) {
		add(attribute(RED), "The kernel module is not loaded; waiting for it.");
		return;
	}
	if (screen->error) {
		const char *reason = link_reason(screen->link);

		add(attribute(RED), "cannot read the experts: %s", reason ? reason :
		    strerror(-screen->error));
		return;
	}
	/* on a narrow terminal, stop at the first number that does not fit */
	whole = add_whole("%s open", count_text(count, totals->experts, "expert")) &&
		add_whole(", %s committed", amount_text(committed, totals->committed, raw));
	if (totals->pinned)
		whole = whole && add_whole(" and %s pinned",
					   amount_text(pinned, totals->pinned, raw));
	if (totals->total_limit)
		whole = whole && add_whole(" of %s", amount_text(limit, totals->total_limit, raw));
	if (whole && add_whole(", %s resident", amount_text(resident, totals->resident, raw)) &&
	    add_whole(", %" PRIu64 " calls refused", totals->refused))
		add_whole("; by %s", screen->sorting->word);
}

#define HEAD	3	/* number of lines above the experts */
#define FOOT	1	/* number of lines below the experts */
#define BAR	10	/* width of the bar in the column USE */

/* @width: width of the usual values, so that columns rarely move. */
static const struct {
	const char *title;
	bool left;
	int width;
} columns[COLUMNS] = {
	[ID]		= { "ID", false, 6 },
	[NAME]		= { "NAME", true, 16 },
	[PID]		= { "PID", false, 7 },
	[USER]		= { "USER", true, 9 },
	[STATE]		= { "STATE", true, 11 },
	[RESIDENT]	= { "RESIDENT", false, 10 },
	[RATE]		= { "RATE /s", false, 11 },
	[COMMITTED]	= { "COMMITTED", false, 10 },
	[PEAK]		= { "PEAK", false, 10 },
	[LIMIT]		= { "LIMIT", false, 10 },
	[USE]		= { "USE", true, 17 },
};

/* The order in which columns get room; a narrow terminal shows only the first of them. */
static const int rank[COLUMNS] = {
	ID, NAME, RESIDENT, STATE, COMMITTED, LIMIT, PID, USER, RATE, USE, PEAK,
};

typedef char row[COLUMNS][NAME_TEXT];

static void fill_row(row cells, const struct line *line, bool raw)
{
	const struct expert *expert = &line->expert;
	int percent = percent_of(charged_of(expert), expert->limit);
	int filled = percent < 100 ? percent * BAR / 100 : BAR;
	char text[SIZE_TEXT];

	snprintf(cells[ID], NAME_TEXT, "%" PRIu64, expert->id);
	name_text(cells[NAME], expert);
	snprintf(cells[PID], NAME_TEXT, expert->pid ? "%u" : "-", expert->pid);
	user_text(cells[USER], expert->uid);
	snprintf(cells[STATE], NAME_TEXT, "%s", state_word(expert->state));
	amount_text(cells[RESIDENT], expert->resident, raw);
	amount_text(text, line->rate < 0 ? -line->rate : line->rate, raw);
	snprintf(cells[RATE], NAME_TEXT, "%s%s", line->rate < 0 ? "-" : "", text);
	amount_text(cells[COMMITTED], expert->committed, raw);
	amount_text(cells[PEAK], expert->peak, raw);
	snprintf(cells[LIMIT], NAME_TEXT, "%s", limit_text(text, expert->limit, raw));
	cells[USE][0] = '\0';
	if (expert->limit)
		snprintf(cells[USE], NAME_TEXT, "[%.*s%.*s]%4d%%", filled, "##########",
			 BAR - filled, "..........", percent);
}

static void add_cell(int column, const char *text, int width, int padding, int colour)
{
	int pad = width - text_columns(text);

	add(padding, "%*s", (getcurx(stdscr) ? 2 : 0) + (columns[column].left ? 0 : pad), "");
	add(colour, "%s", text);
	add(padding, "%*s", columns[column].left ? pad : 0, "");
}

static void show_line(const struct line *line, const bool *shown, const int *width, bool chosen,
		      bool raw)
{
	int plain = chosen ? A_REVERSE : 0;
	row cells;

	fill_row(cells, line, raw);
	hline(' ' | plain, getmaxx(stdscr));
	for (int c = 0; c < COLUMNS; c++)
		if (shown[c])
			add_cell(c, cells[c], width[c], plain, plain |
				 (c == STATE ? attribute(state_colour(&line->expert)) :
				  c == USE ? attribute(use_colour(&line->expert)) : 0));
}

/* Show the titles and @count lines from @lines on. */
static void show_table(const struct screen *screen, const struct line *lines, size_t count)
{
	bool raw = screen->options->bytes, shown[COLUMNS];
	int width[COLUMNS];
	row cells;

	for (int c = 0; c < COLUMNS; c++)
		width[c] = columns[c].width;
	for (size_t i = 0; i < count; i++) {
		fill_row(cells, &lines[i], raw);
		for (int c = 0; c < COLUMNS; c++)
			if (text_columns(cells[c]) > width[c])
				width[c] = text_columns(cells[c]);
	}
	fit_columns(shown, rank, width, COLUMNS, screen->sorting->column, getmaxx(stdscr));
	move(HEAD - 1, 0);
	for (int c = 0; c < COLUMNS; c++)
		if (shown[c])
			add_cell(c, columns[c].title, width[c], 0, A_BOLD);
	for (size_t i = 0; i < count; i++) {
		move(HEAD + i, 0);
		show_line(&lines[i], shown, width, &lines[i] == screen->lines + screen->chosen, raw);
	}
}

static void show_foot(const struct screen *screen)
{
	static const char *const keys[] = {
		"q quit", "  r g c p i sort", "  t terminate", "  x reclaim", "  arrows choose", NULL
	};
	char title[NAME_TEXT];

	move(getmaxy(stdscr) - 1, 0);
	if (screen->asking)
		add(A_BOLD, screen->asking == 't' ?
		    "Ask %s to stop? y/n" : "Reclaim all memory of %s? y/n",
		    title_text(title, &screen->lines[screen->chosen].expert));
	else if (*screen->message)
		add(A_DIM, "%s", screen->message);
	else {
		attron(A_DIM);
		for (const char *const *key = keys; *key && add_whole("%s", *key); key++)
			;
		attroff(A_DIM);
	}
}

static void show(struct screen *screen)
{
	int height = getmaxy(stdscr) - HEAD - FOOT;
	size_t room = height > 0 ? height : 0;

	if (screen->chosen < screen->first)
		screen->first = screen->chosen;
	if (room && screen->chosen >= screen->first + room)
		screen->first = screen->chosen - room + 1;

	erase();
	show_head(screen);
	if (room > screen->count - screen->first)
		room = screen->count - screen->first;
	show_table(screen, screen->lines + screen->first, room);
	if (!screen->count && !screen->error) {
		move(HEAD, 0);
		add(0, geteuid() ? "You have no expert open; root sees the experts of all users." : "No expert is open.");
	}
	show_foot(screen);
	refresh();
}

/* --- keys */

/* Do what the user was asked to confirm, if @key is 'y'. */
static void act(struct screen *screen, int key)
{
	const struct expert *expert = &screen->lines[screen->chosen].expert;
	char title[NAME_TEXT], size[SIZE_TEXT];
	struct expert freed = {};
	int error;

	title_text(title, expert);
	if (key != 'y') {
		screen->message[0] = '\0';
	} else if (screen->asking == 't') {
		error = link_terminate(screen->link, expert->id);
		snprintf(screen->message, sizeof(screen->message), "%s: %s", title,
			 error ? strerror(-error) : "asked to stop");
	} else {
		error = link_reclaim(screen->link, expert->id, &freed);
		snprintf(screen->message, sizeof(screen->message), "%s: %s%s", title,
			 error ? strerror(-error) :
				 amount_text(size, freed.reclaimed_bytes, screen->options->bytes),
			 error ? "" : " taken back");
	}
	screen->asking = 0;
	if (key == 'y')
		read_experts(screen);
}

/* Return false to quit. */
static bool obey(struct screen *screen, int key)
{
	if (screen->asking) {
		if (key != KEY_RESIZE)
			act(screen, key);
		return true;
	}
	for (const struct sorting *sorting = orders; sorting->key; sorting++) {
		if (key != sorting->key)
			continue;
		screen->sorting = sorting;
		sort(screen, chosen_id(screen));
	}
	switch (key) {
	case 'q':
		return false;
	case 't':
	case 'x':
		screen->asking = screen->count ? key : 0;
		break;
	case KEY_UP:
	case 'k':
		screen->chosen -= screen->chosen > 0;
		break;
	case KEY_DOWN:
	case 'j':
		screen->chosen += screen->chosen + 1 < screen->count;
		break;
	case ' ':
		read_experts(screen);
		break;
	}
	if (key != KEY_RESIZE)
		screen->message[0] = '\0';
	return true;
}

static void watch(struct screen *screen)
{
	double delay = screen->delay, left;
	int key;

	read_experts(screen);
	do {
		left = screen->read + delay - clock_seconds(CLOCK_MONOTONIC);
		/* while the user is asked, the chosen line must stay the same expert */
		if (left <= 0 && !screen->asking) {
			read_experts(screen);
			left = delay;
		}
		show(screen);
		timeout(left > 0 ? (int)(left * 1000) + 1 : (int)(delay * 1000));
		key = getch();
	} while (key == ERR || obey(screen, key));
}

/* Return false if there is no terminal, after a message. */
static bool begin_screen(void)
{
	const char *no_colour = getenv("NO_COLOR"), *type = getenv("TERM");

	/* names may have any character; numbers keep the decimal point of the C locale */
	setlocale(LC_CTYPE, "");
	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) {
		fputs("expertmem top: standard input or output is no terminal; use 'expertmem list'\n",
		      stderr);
		return false;
	}
	if (!newterm(NULL, stdout, stdin)) {
		fprintf(stderr, "expertmem top: the terminal type '%s' is not known; "
			"set TERM to one that is, as xterm, or install ncurses-term\n",
			type ? type : "");
		return false;
	}
	if (!(no_colour && *no_colour) && has_colors() && start_color() == OK) {
		use_default_colors();
		init_pair(GREEN, COLOR_GREEN, -1);
		init_pair(YELLOW, COLOR_YELLOW, -1);
		init_pair(RED, COLOR_RED, -1);
	}
	cbreak();
	noecho();
	keypad(stdscr, true);
	curs_set(0);
	return true;
}

int top_main(int argc, char **argv)
{
	struct options options = {
		.command = "top", .help = &help, .expected = "no arguments", .sort = "resident",
	};
	struct screen screen = { .options = &options, .delay = 1, .sorting = orders };
	int status = read_options(&options, argc, argv);

	if (status != GO_ON)
		return status;
	if (options.delay && (parse_seconds(options.delay, &screen.delay) ||
			      screen.delay < 0.1 || screen.delay > 3600))
		return wrong_usage("top", "'%s' is not a time for --delay; write seconds, 0.1 to 3600",
				   options.delay);
	while (strcmp(options.sort, screen.sorting->word))
		screen.sorting++;
	status = operate_open("top", &screen.link);
	if (status)
		return status;
	if (begin_screen()) {
		watch(&screen);
		endwin();
	} else {
		status = EXIT_FAILED;
	}
	free(screen.lines);
	link_close(screen.link);
	return status;
}
