// SPDX-License-Identifier: GPL-2.0
#include "view.h"

#include <inttypes.h>
#include <limits.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

const char *state_word(uint32_t state)
{
	static const char *const words[] = {
		[EXPERTMEM_STATE_IDLE]		= "idle",
		[EXPERTMEM_STATE_RUNNING]	= "running",
		[EXPERTMEM_STATE_TERMINATING]	= "terminating",
		[EXPERTMEM_STATE_RECLAIMED]	= "reclaimed",
	};

	/* a later version of the module may have more states */
	return state < sizeof(words) / sizeof(words[0]) ? words[state] : "unknown";
}

const char *cause_word(uint32_t cause)
{
	static const char *const words[] = {
		[EXPERTMEM_CAUSE_DETACH]	= "detach",
		[EXPERTMEM_CAUSE_HOST]	= "host",
		[EXPERTMEM_CAUSE_OPERATOR]	= "operator",
	};

	return cause < sizeof(words) / sizeof(words[0]) ? words[cause] : "unknown";
}

const char *cause_text(char text[static NAME_TEXT], const struct expert *expert)
{
	const char *signal = sigabbrev_np(expert->signal);

	if (expert->cause == EXPERTMEM_CAUSE_OPERATOR)
		return "reclaimed by an operator";
	if (expert->cause == EXPERTMEM_CAUSE_HOST)
		return "reclaimed by its host";
	if (expert->cause != EXPERTMEM_CAUSE_DETACH)
		return "reclaimed";
	if (!expert->signal)
		return "its process ended or unmapped it";
	if (signal)
		snprintf(text, NAME_TEXT, "its process was killed by SIG%s", signal);
	else
		snprintf(text, NAME_TEXT, "its process was killed by signal %u", expert->signal);
	return text;
}

const char *user_text(char text[static NAME_TEXT], uint32_t uid)
{
	/* cache the last user: lists have few users */
	static uint32_t last_uid;
	static char last[NAME_TEXT];
	struct passwd *user;

	if (!*last || last_uid != uid) {
		user = getpwuid(uid);
		if (user)
			snprintf(last, sizeof(last), "%s", user->pw_name);
		else
			snprintf(last, sizeof(last), "%u", uid);
		last_uid = uid;
	}
	memcpy(text, last, NAME_TEXT);
	return plain_text(text);
}

const char *name_text(char text[static NAME_TEXT], const struct expert *expert)
{
	snprintf(text, NAME_TEXT, "%s", *expert->name ? expert->name : "-");
	return plain_text(text);
}

const char *title_text(char text[static NAME_TEXT], const struct expert *expert)
{
	if (*expert->name)
		snprintf(text, NAME_TEXT, "%s (expert %" PRIu64 ")", expert->name, expert->id);
	else
		snprintf(text, NAME_TEXT, "expert %" PRIu64, expert->id);
	return plain_text(text);
}

const char *amount_text(char text[static SIZE_TEXT], uint64_t bytes, bool raw)
{
	if (!raw)
		return size_text(text, bytes);
	snprintf(text, SIZE_TEXT, "%" PRIu64, bytes);
	return text;
}

const char *limit_text(char text[static SIZE_TEXT], uint64_t bytes, bool raw)
{
	return bytes ? amount_text(text, bytes, raw) : "none";
}

uint64_t charged_of(const struct expert *expert)
{
	return expert->committed + expert->pinned;
}

const char *charged_text(char text[static CHARGED_TEXT], const struct expert *expert, bool raw)
{
	char committed[SIZE_TEXT], pinned[SIZE_TEXT];

	amount_text(committed, expert->committed, raw);
	amount_text(pinned, expert->pinned, raw);
	snprintf(text, CHARGED_TEXT, expert->pinned ? "%s and %s pinned" : "%s", committed, pinned);
	return text;
}

double age_of(const struct expert *expert)
{
	double age = clock_seconds(CLOCK_BOOTTIME) - expert->opened / 1e9;

	/* in a time namespace, CLOCK_BOOTTIME may be behind the kernel's */
	return age > 0 ? age : 0;
}

unsigned int percent_of(uint64_t part, uint64_t whole)
{
	return whole ? part * 100.0 / whole : 0;
}

const char *time_text(char text[static SIZE_TEXT], double seconds)
{
	time_t whole = seconds;
	struct tm parts;
	size_t length;

	gmtime_r(&whole, &parts);
	length = strftime(text, SIZE_TEXT, "%Y-%m-%dT%H:%M:%S", &parts);
	snprintf(text + length, SIZE_TEXT - length, ".%03uZ",
		 (unsigned int)((seconds - whole) * 1000));
	return text;
}

bool is_colourful(void)
{
	static int answer = -1;
	const char *no = getenv("NO_COLOR"), *terminal = getenv("TERM");

	if (answer < 0)
		answer = isatty(STDOUT_FILENO) && !(no && *no) && terminal &&
			 strcmp(terminal, "dumb");
	return answer;
}

int line_columns(void)
{
	struct winsize size;

	return !ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) && size.ws_col ? size.ws_col : INT_MAX;
}

void fit_columns(bool *shown, const int *rank, const int *width, int count, int sorted, int room)
{
	memset(shown, 0, count * sizeof(*shown));
	shown[sorted] = width[sorted] > 0;
	room -= width[sorted];
	for (int i = 0; i < count; i++) {
		int column = rank[i];

		if (column == sorted || !width[column])
			continue;
		room -= 2 + width[column];
		if (room < 0)
			break;
		shown[column] = true;
	}
}

enum colour state_colour(const struct expert *expert)
{
	switch (expert->state) {
	case EXPERTMEM_STATE_RUNNING:
		return GREEN;
	case EXPERTMEM_STATE_TERMINATING:
		return YELLOW;
	case EXPERTMEM_STATE_RECLAIMED:
		return RED;
	default:
		return PLAIN;
	}
}

enum colour use_colour(const struct expert *expert)
{
	unsigned int percent = percent_of(charged_of(expert), expert->limit);

	return percent >= 90 ? RED : percent >= 75 ? YELLOW : PLAIN;
}

const char *escape(enum colour colour)
{
	static const char *const sequences[] = {
		[PLAIN] = "\033[0m", [BOLD] = "\033[1m", [GREEN] = "\033[32m",
		[YELLOW] = "\033[33m", [RED] = "\033[31m",
	};

	return is_colourful() ? sequences[colour] : "";
}

const struct key_row expert_keys[] = {
	{ .keys = "id", .help = "number of the expert; it is not used again while the module is loaded" },
	{ .keys = "name", .help = "string, or null if the expert has no name yet" },
	{ .keys = "state", .help = "idle, running, terminating or reclaimed" },
	{ .keys = "user, uid", .help = "login name and uid of the user who opened the expert" },
	{ .keys = "pid, opener_pid", .help = "the process that uses the expert, and the process that opened "
				 "it; null if there is none, or if it is not in your pid namespace" },
	{ .keys = "opened", .help = "time when the expert was opened, as 2026-01-31T12:34:56.789Z" },
	{ .keys = "age_seconds", .help = "seconds since the expert was opened" },
	{ .keys = "regions", .help = "number of regions" },
	{ .keys = "committed", .help = "bytes in regions" },
	{ .keys = "pinned", .help = "bytes in pages that were freed or reclaimed, but that a pipe, a "
			"socket or a device still references" },
	{ .keys = "resident", .help = "committed bytes that are in memory now" },
	{ .keys = "peak", .help = "the most bytes that were committed and pinned at one time" },
	{ .keys = "limit", .help = "the most bytes that may be committed and pinned; 0: no limit" },
	{ .keys = "refused", .help = "number of calls that were refused for lack of memory" },
	{ .keys = "unswappable", .help = "true if the kernel never swaps the expert's pages" },
	{ .keys = "cause", .help = "why the expert was reclaimed: detach (its process ended or unmapped "
		       "a window), host (its host asked for it) or operator; null if it was "
		       "not reclaimed" },
	{ .keys = "signal", .help = "number of the signal that killed the expert's process, or null" },
	{ .keys = "reclaimed_bytes", .help = "bytes in regions when the expert was reclaimed, or null" },
	{ .keys = "reclaimed_resident", .help = "those of reclaimed_bytes that were in memory, or null" },
	{ .keys = "reclaimed_regions", .help = "number of regions when the expert was reclaimed, or null" },
	{}
};

void json_expert(struct json *json, const struct expert *expert)
{
	bool reclaimed = expert->state == EXPERTMEM_STATE_RECLAIMED;
	char user[NAME_TEXT], opened[SIZE_TEXT];
	/* time of boot, CLOCK_REALTIME in seconds; computed once, so that all experts have the same */
	static double boot;

	if (!boot)
		boot = clock_seconds(CLOCK_REALTIME) - clock_seconds(CLOCK_BOOTTIME);
	json_number(json, "id", expert->id);
	json_string(json, "name", *expert->name ? expert->name : NULL);
	json_string(json, "state", state_word(expert->state));
	json_string(json, "user", user_text(user, expert->uid));
	json_number(json, "uid", expert->uid);
	json_maybe(json, "pid", expert->pid, expert->pid);
	json_maybe(json, "opener_pid", expert->opener, expert->opener);
	json_string(json, "opened", time_text(opened, boot + expert->opened / 1e9));
	json_number(json, "age_seconds", age_of(expert));
	json_number(json, "regions", expert->regions);
	json_number(json, "committed", expert->committed);
	json_number(json, "pinned", expert->pinned);
	json_number(json, "resident", expert->resident);
	json_number(json, "peak", expert->peak);
	json_number(json, "limit", expert->limit);
	json_number(json, "refused", expert->refused);
	json_bool(json, "unswappable", expert->flags & EXPERTMEM_CONFIG_UNSWAPPABLE);
	json_string(json, "cause", reclaimed ? cause_word(expert->cause) : NULL);
	json_maybe(json, "signal", reclaimed && expert->signal, expert->signal);
	json_maybe(json, "reclaimed_bytes", reclaimed, expert->reclaimed_bytes);
	json_maybe(json, "reclaimed_resident", reclaimed, expert->reclaimed_resident);
	json_maybe(json, "reclaimed_regions", reclaimed, expert->reclaimed_regions);
}
