// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Names of ports and protocols in filters of libpcap.
 *
 * libpcap asks the C library for names. The C library would open files and sockets, which the
 * sandbox forbids. In the worker of the pcap engine, the functions below replace those of the C
 * library. They look names up in copies of /etc/services and /etc/protocols, which lookup_init()
 * reads before the sandbox. Hosts and networks must be numbers: a worker that has read a capture
 * must not send queries to name servers.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/ether.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine.h"

#define FILE_MAX	(256u << 10)	/* bytes of a file that are read */
#define LINE		256		/* bytes of a line that are looked at */

static char *services, *protocols;	/* texts of the files; NULL if there are none */

static char *read_text(const char *path)
{
	FILE *file = fopen(path, "re");
	char *text = NULL;
	size_t size;

	if (!file)
		return NULL;
	text = malloc(FILE_MAX);
	if (text) {
		size = fread(text, 1, FILE_MAX - 1, file);
		text[size] = '\0';
	}
	fclose(file);
	return text;
}

void lookup_init(void)
{
	services = read_text("/etc/services");
	protocols = read_text("/etc/protocols");
}

/* Copy the line at @text without its comment. Returns the start of the next line, or NULL. */
static const char *next_line(const char *text, char line[static LINE])
{
	size_t length = strcspn(text, "\n"), used = strcspn(text, "#\n");

	snprintf(line, LINE, "%.*s", (int)used, text);
	return text[length] ? text + length + 1 : NULL;
}

/*
 * Find the line whose name, or one of whose aliases, is @name: copies its second word to @second.
 * @suffix: what the second word has to end with
 */
static bool find(const char *text, const char *name, const char *suffix, char second[static LINE])
{
	char line[LINE], *rest, *first, *word, *end;

	while (text) {
		text = next_line(text, line);
		first = strtok_r(line, " \t", &rest);
		word = first ? strtok_r(NULL, " \t", &rest) : NULL;
		if (!word)
			continue;
		end = strchr(word, '/');
		if (strcmp(end ? end : "", suffix))
			continue;
		snprintf(second, LINE, "%s", word);
		for (word = first; word; word = strtok_r(NULL, " \t", &rest))
			if (!strcmp(word, name))
				return true;
	}
	return false;
}

/* A result of getaddrinfo() in one block, as freeaddrinfo() expects it; NULL: no memory. */
static struct addrinfo *new_result(const void *address, socklen_t size, int family, int protocol)
{
	struct addrinfo *result = calloc(1, sizeof(*result) + size);

	if (!result)
		return NULL;
	result->ai_family = family;
	result->ai_socktype = SOCK_STREAM;
	result->ai_protocol = protocol;
	result->ai_addrlen = size;
	result->ai_addr = memcpy(result + 1, address, size);
	return result;
}

static int find_port(const char *name, int protocol, struct addrinfo **result)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	const char *suffix = protocol == IPPROTO_TCP ? "/tcp" :
			     protocol == IPPROTO_UDP ? "/udp" : "/sctp";
	char port[LINE];

	if (!find(services, name, suffix, port))
		return EAI_SERVICE;
	address.sin_port = htons((uint16_t)strtoul(port, NULL, 10));
	*result = new_result(&address, sizeof(address), AF_INET, protocol);
	return *result ? 0 : EAI_MEMORY;
}

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
		struct addrinfo **result)
{
	struct sockaddr_in ip = { .sin_family = AF_INET };
	struct sockaddr_in6 ip6 = { .sin6_family = AF_INET6 };
	int protocol = hints ? hints->ai_protocol : 0;

	if (!node)
		return service ? find_port(service, protocol, result) : EAI_NONAME;
	if (inet_pton(AF_INET, node, &ip.sin_addr) == 1)
		*result = new_result(&ip, sizeof(ip), AF_INET, protocol);
	else if (inet_pton(AF_INET6, node, &ip6.sin6_addr) == 1)
		*result = new_result(&ip6, sizeof(ip6), AF_INET6, protocol);
	else
		return EAI_NONAME;
	return *result ? 0 : EAI_MEMORY;
}

int getprotobyname_r(const char *name, struct protoent *entry, char *buffer, size_t size,
		     struct protoent **result)
{
	char number[LINE];

	(void)buffer, (void)size;
	*result = NULL;
	if (!find(protocols, name, "", number))
		return ENOENT;
	*entry = (struct protoent){ .p_proto = (int)strtol(number, NULL, 10) };
	*result = entry;
	return 0;
}

int getnetbyname_r(const char *name, struct netent *entry, char *buffer, size_t size,
		   struct netent **result, int *error)
{
	(void)name, (void)entry, (void)buffer, (void)size;
	*result = NULL;
	*error = HOST_NOT_FOUND;
	return ENOENT;
}

struct hostent *gethostbyname(const char *name)
{
	(void)name;
	return NULL;
}

int ether_hostton(const char *name, struct ether_addr *address)
{
	(void)name, (void)address;
	return -1;
}
