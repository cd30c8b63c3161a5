/* SPDX-License-Identifier: GPL-2.0 */
/* Text for terminals: names of hosts, text from packets, and what error codes mean. */
#ifndef TEXT_H
#define TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <Netmon.h>

#define HOST_TEXT	40	/* bytes of an IP address as text, with the null */
#define ENDPOINT_TEXT	48	/* and with a port: "[2001:db8::1]:80" */

/* An IP address. IPv4 addresses are ::ffff:a.b.c.d, so that both versions have one type. */
struct host {
	BYTE bytes[16];
};

/* Convert @address. False: it is no IP address. */
bool host_of(const ADDRESS *address, struct host *host);

/* Write a host, or a host and its port, to @text, and return @text. */
char *host_text(const struct host *host, char text[HOST_TEXT]);
char *endpoint_text(const struct host *host, unsigned int port, char text[ENDPOINT_TEXT]);

/*
 * Copy @from to @text of @size bytes, and return @text. What could act on a terminal, or is no
 * UTF-8, becomes \xNN for each of its bytes. A text that is too long ends in "...".
 */
char *visible_text(const char *from, char *text, size_t size);

/* What an error code of ExpertGetFrame() or of a memory call means for the user. */
const char *error_text(DWORD error);

/*
 * Print that the library finds no address in any of the frames of the capture, and how tshark counts
 * them: an empty table would look like a result. @expert: its name. @statistics: of tshark -z
 */
void print_no_addresses(const char *expert, unsigned long long frames, const char *statistics);

#endif /* TEXT_H */
