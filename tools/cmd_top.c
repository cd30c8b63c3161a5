// SPDX-License-Identifier: GPL-2.0
/* expertmem top: the experts on the full screen, and what can be done to them. */
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

static const char help[] =
"Usage: expertmem top [OPTION]...\n"
"\n"
"Watch the experts on the full screen: all of them with CAP_NET_ADMIN (root), else your\n"
"own. It goes on while the module is unloaded, and when it is loaded again.\n"
"\n"
"  --delay SECONDS  between two looks (default: 1)\n"
"  --sort KEY       by resident (default), rate, committed, peak or id\n"
"  --bytes          print sizes in bytes, without units\n"
"  --help           print this text\n"
"\n"
"RATE is how much RESIDENT grows in a second. USE is what COMMITTED and pinned pages are of\n"
"LIMIT: pages that were freed, but that a pipe, a socket or a device still holds, count,\n"
"too; 'expertmem show' has them. For scripts there is 'expertmem list --json'.\n"
"\n"
"Columns that do not fit into a line are left out, and none is cut. The column to sort by, ID\n"
"and NAME are the last to go.\n"
"\n"
"Keys:\n"
"  r, g, c, p, i    sort by resident, rate (growth), committed, peak, id\n"
"  up, down, j, k   choose an expert, which stays chosen wherever it moves\n"
"  t                ask it to stop; y confirms\n"
"  x                take all of its memory back; y confirms\n"
"  space            look now\n"
"  q                quit\n"
"\n"
"Example: what grows?\n"
"  expertmem top --sort rate\n"
"\n"
"Exit status:\n"
"  0    quit\n"
"  1    it failed, or there is no terminal\n"
"  2    wrong command line\n"
"  4    not permitted\n"
"  10   the module is not loaded when it starts\n";

enum { ID, NAME, PID, USER, STATE, RESIDENT, RATE, COMMITTED, PEAK, LIMIT, USE, COLUMNS };

struct line {
	struct expert expert;
	double rate;		/* bytes in a second */
};

struct screen {
	const struct options *options;
	struct link *link;
	const struct sorting *sorting;
	struct line *lines;
	size_t count, first, chosen;	/* @first: on top of what is shown */
	struct totals totals;
	double looked;			/* when, 0: never */
	int error;			/* of the last look */
	char asking;			/* the key that is to be confirmed, or 0 */
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

/* --- looking */

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

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

/* @experts are in the order of ids, which the old lines are not. */
static void take_lines(struct screen *screen, struct line *lines,
		       const struct expert *experts, size_t count)
{
	double time = now(), passed = time - screen->looked;
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
	screen->looked = time;
	sort(screen, chosen);
}

static void look(struct screen *screen)
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

/* Colours of ncurses, from those of the other commands. */
static int attribute(enum colour colour)
{
	return colour == BOLD ? A_BOLD : has_colors() ? COLOR_PAIR(colour) : 0;
}

/* Add text, as far as the line goes. */
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

/* Add text if the line has room for all of it. Return whether it has. */
static bool __attribute__((format(printf, 1, 2))) add_whole(const char *format, ...)
{
	char text[128];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	/* behind the last column, the cursor would be in the next line */
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
		add(attribute(RED), "The module is not loaded; waiting for it.");
		return;
	}
	if (screen->error) {
		const char *reason = link_reason(screen->link);

		add(attribute(RED), "The kernel says: %s", reason ? reason :
		    strerror(-screen->error));
		return;
	}
	/* what a narrow terminal shows ends where the next number does not fit */
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

#define HEAD	3	/* lines above the experts */
#define FOOT	1	/* and below */
#define BAR	10

/* @width: of what a column usually has, so that the others stay where they are. */
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

/* Which to leave out on a narrow terminal: the last first. */
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

/* Titles, and @count lines from @lines on. */
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
		    "Ask %s to stop? y/n" : "Take all memory of %s back? y/n",
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
		add(0, geteuid() ? "None is yours; root sees all." : "No expert is open.");
	}
	show_foot(screen);
	refresh();
}

/* --- keys */

/* The answer to what was asked. */
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
		look(screen);
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
		look(screen);
		break;
	}
	if (key != KEY_RESIZE)
		screen->message[0] = '\0';
	return true;
}

static void watch(struct screen *screen)
{
	double delay = screen->options->delay, left;
	int key;

	look(screen);
	do {
		left = screen->looked + delay - now();
		/* who is asked about an expert must not see another one in its place */
		if (left <= 0 && !screen->asking) {
			look(screen);
			left = delay;
		}
		show(screen);
		timeout(left > 0 ? (int)(left * 1000) + 1 : (int)(delay * 1000));
		key = getch();
	} while (key == ERR || obey(screen, key));
}

static bool begin_screen(void)
{
	const char *no_colour = getenv("NO_COLOR");

	/* names may have any character; numbers are to be read as ever */
	setlocale(LC_CTYPE, "");
	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO) || !newterm(NULL, stdout, stdin))
		return false;
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
		.command = "top", .help = help, .expected = "no arguments", .delay = 1,
		.takes = TAKES_BYTES | TAKES_SORT | TAKES_DELAY | NO_JSON, .sort = "resident",
	};
	struct screen screen = { .options = &options, .sorting = orders };
	int status = read_options(&options, argc, argv);

	if (status != GO_ON)
		return status;
	while (screen.sorting->key && strcmp(options.sort, screen.sorting->word))
		screen.sorting++;
	if (!screen.sorting->key)
		return wrong_usage("top", "there is no key '%s' to sort by", options.sort);
	status = operate_open("top", &screen.link);
	if (status)
		return status;
	if (begin_screen()) {
		watch(&screen);
		endwin();
	} else {
		fputs("expertmem top: there is no terminal that it can fill; 'expertmem list'\n"
		      "needs none\n", stderr);
		status = EXIT_FAILED;
	}
	free(screen.lines);
	link_close(screen.link);
	return status;
}
