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

#include "command.h"
#include "operate.h"
#include "options.h"
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
} orders[] = {
	{ 'r', "resident", by_resident }, { 'g', "rate", by_rate },
	{ 'c', "committed", by_committed }, { 'p', "peak", by_peak }, { 'i', "id", by_id },
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

static void show_head(const struct screen *screen)
{
	const struct totals *totals = &screen->totals;
	char committed[SIZE_TEXT], limit[SIZE_TEXT], resident[SIZE_TEXT], count[SIZE_TEXT];
	char pinned[SIZE_TEXT];
	bool raw = screen->options->bytes;

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
	add(0, "%s open, %s committed", count_text(count, totals->experts, "expert"),
	    amount_text(committed, totals->committed, raw));
	if (totals->pinned)
		add(0, " and %s pinned", amount_text(pinned, totals->pinned, raw));
	if (totals->total_limit)
		add(0, " of %s", amount_text(limit, totals->total_limit, raw));
	add(0, ", %s resident, %" PRIu64 " calls refused; by %s",
	    amount_text(resident, totals->resident, raw), totals->refused,
	    screen->sorting->word);
}

#define HEAD	3	/* lines above the experts */
#define FOOT	1	/* and below */
#define BAR	10

static void show_line(const struct line *line, bool chosen, bool raw)
{
	const struct expert *expert = &line->expert;
	int plain = chosen ? A_REVERSE : 0, percent = percent_of(charged_of(expert), expert->limit);
	char name[NAME_TEXT], user[NAME_TEXT], text[SIZE_TEXT];

	name_text(name, expert);
	add(plain, "%6" PRIu64 "  %s%*s  ", expert->id, name,
	    text_columns(name) < 16 ? 16 - text_columns(name) : 0, "");
	add(plain, expert->pid ? "%7u" : "      -", expert->pid);
	add(plain, "  %-9.9s  ", user_text(user, expert->uid));
	add(plain | attribute(state_colour(expert)), "%-11s", state_word(expert->state));
	add(plain, "  %10s", amount_text(text, expert->resident, raw));
	amount_text(text, line->rate < 0 ? -line->rate : line->rate, raw);
	add(plain, "  %c%10s", line->rate < 0 ? '-' : ' ', text);
	add(plain, "  %10s", amount_text(text, expert->committed, raw));
	add(plain, "  %10s", amount_text(text, expert->peak, raw));
	add(plain, "  %10s", limit_text(text, expert->limit, raw));
	if (expert->limit) {
		int filled = percent < 100 ? percent * BAR / 100 : BAR;

		add(plain | attribute(use_colour(expert)), "  [%.*s%.*s]%4d%%", filled,
		    "##########", BAR - filled, "..........", percent);
	}
	add(plain, "%*s", getmaxx(stdscr) - getcurx(stdscr), "");
}

static void show_foot(const struct screen *screen)
{
	static const char keys[] =
		"q quit  r g c p i sort  t terminate  x reclaim  arrows choose";
	char title[NAME_TEXT];

	move(getmaxy(stdscr) - 1, 0);
	if (screen->asking)
		add(A_BOLD, screen->asking == 't' ?
		    "Ask %s to stop? y/n" : "Take all memory of %s back? y/n",
		    title_text(title, &screen->lines[screen->chosen].expert));
	else
		add(A_DIM, "%s", *screen->message ? screen->message : keys);
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
	move(HEAD - 1, 0);
	add(A_BOLD, "%6s  %-16s  %7s  %-9s  %-11s  %10s  %11s  %10s  %10s  %10s  %s", "ID",
	    "NAME", "PID", "USER", "STATE", "RESIDENT", "RATE /s", "COMMITTED", "PEAK",
	    "LIMIT", "USE");
	for (size_t i = 0; i < room && screen->first + i < screen->count; i++) {
		move(HEAD + i, 0);
		show_line(&screen->lines[screen->first + i],
			  screen->first + i == screen->chosen, screen->options->bytes);
	}
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
				 amount_text(size, freed.freed_bytes, screen->options->bytes),
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
