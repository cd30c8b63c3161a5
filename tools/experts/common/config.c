// SPDX-License-Identifier: GPL-2.0
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "text.h"

void config_text(const EXPERTCONFIG *config, char text[CONFIG_TEXT])
{
	size_t length = 0;

	if (config && config->RawConfigLength > sizeof(*config))
		length = config->RawConfigLength - sizeof(*config);
	if (length > CONFIG_TEXT - 1)
		length = CONFIG_TEXT - 1;
	if (length)
		memcpy(text, config->RawConfigData, length);
	text[length] = '\0';
}

char *config_line(char **text)
{
	while (**text) {
		char *line = *text + strspn(*text, " \t\r\n"), *end = line + strcspn(line, "\n");

		*text = end + (*end == '\n');
		while (end > line && strchr(" \t\r", end[-1]))
			end--;
		*end = '\0';
		if (*line && *line != '#')
			return line;
	}
	return NULL;
}

static void print_config(const EXPERTCONFIG *config)
{
	char text[CONFIG_TEXT], *rest = text, *line;

	config_text(config, text);
	while ((line = config_line(&rest))) {
		char visible[256];

		printf("  %s\n", visible_text(line, visible, sizeof(visible)));
	}
}

/* Read lines up to an empty one. Return their bytes; 0: there are none, or one is wrong. */
static size_t read_lines(char text[CONFIG_TEXT], const char *(*check)(char *line))
{
	char line[256];
	size_t length = 0;

	while (fgets(line, sizeof(line), stdin) && line[strspn(line, " \t\r\n")]) {
		char copy[256], *rest = copy, *content;
		const char *mistake = NULL;

		memcpy(copy, line, sizeof(copy));
		content = config_line(&rest);
		if (!strchr(line, '\n') && !feof(stdin))
			mistake = "a line has at most 254 bytes";
		else if (content)
			mistake = check(content);
		if (!mistake && length + strlen(line) >= CONFIG_TEXT)
			mistake = "this is too much text";
		if (mistake) {
			visible_text(line, copy, sizeof(copy));
			fprintf(stderr, "%s: '%s'; nothing is changed\n", mistake, copy);
			return 0;
		}
		strcpy(text + length, line);
		length += strlen(line);
	}
	return length;
}

BOOL config_edit(HEXPERTKEY key, PEXPERTCONFIG *config, const char *help,
		 const char *(*check)(char *line))
{
	char text[CONFIG_TEXT];
	PEXPERTCONFIG changed;
	size_t length;
	DWORD error;

	printf("%s\nThe configuration is:\n", help);
	print_config(*config);
	printf("Write new lines, and an empty line at the end:\n");
	fflush(stdout);
	length = read_lines(text, check);
	if (!length)
		return FALSE;

	changed = ExpertReallocMemory(key, *config, sizeof(**config) + length, &error);
	if (!changed) {
		fprintf(stderr, "the configuration was not changed: %s (error %u)\n",
			error_text(error), error);
		return FALSE;
	}
	changed->RawConfigLength = sizeof(*changed) + length;
	memcpy(changed->RawConfigData, text, length);
	*config = changed;
	return TRUE;
}
