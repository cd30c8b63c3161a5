/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Configurations that are text. The host stores the bytes behind EXPERTCONFIG.RawConfigLength, and
 * passes them to Run() and Configure(). They may be damaged, or be those of another expert: the
 * text is checked like any input.
 */
#ifndef CONFIG_H
#define CONFIG_H

#include <stddef.h>
#include <Netmon.h>

#define CONFIG_TEXT 4096	/* most bytes of a text, with its null */

/* Copy the text of a configuration. An empty text: there is no configuration. */
void config_text(const EXPERTCONFIG *config, char text[CONFIG_TEXT]);

/*
 * Return the next line of a text, without white space at its ends; NULL: there is none.
 * Lines that are empty or begin with # are left out. The text is cut into lines.
 */
char *config_line(char **text);

/*
 * For Configure(): print @help and the present configuration, and read the lines of a new one from
 * standard input, up to an empty line. @check returns what is wrong with a line, or NULL.
 * FALSE: the user gave no line, or wrong ones, and the configuration is unchanged.
 */
BOOL config_edit(HEXPERTKEY key, PEXPERTCONFIG *config, const char *help,
		 const char *(*check)(char *line));

#endif /* CONFIG_H */
