// SPDX-License-Identifier: GPL-2.0
#include "operate.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "view.h"

int operate_failed(const char *command, const struct link *link, int error,
		   const char *expert)
{
	const char *reason = link_reason(link);

	fprintf(stderr, "expertmem %s: ", command);
	switch (error) {
	case -ENODEV:
		fputs(access("/sys/module/expertmem", F_OK) ?
		      "the kernel module is not loaded: modprobe expertmem; see 'expertmem doctor'\n" :
		      "the kernel module does not answer in this network namespace; run the command in the initial one\n",
		      stderr);
		return EXIT_NO_MODULE;
	case -EPERM:
		fprintf(stderr, "%s%snot permitted: %s\n", expert ? expert : "",
			expert ? ": " : "",
			expert ? "another user opened the expert; run the command with sudo" :
				 "the command needs CAP_NET_ADMIN; run it with sudo");
		return EXIT_PERMISSION;
	case -ENOENT:
		fprintf(stderr, "%s is closed\n", expert ? expert : "the expert");
		return EXIT_FAILED;
	}
	fprintf(stderr, "%s%s%s\n", expert ? expert : "", expert ? ": " : "",
		reason ? reason : strerror(-error));
	return EXIT_FAILED;
}

int operate_open(const char *command, struct link **link)
{
	int error = link_open(link);

	return error ? operate_failed(command, NULL, error, NULL) : 0;
}

/* Find the expert with that name. If there are several, set *@several and print their ids. */
static const struct expert *by_name(const char *command, const char *name,
				    const struct expert *experts, size_t count, bool *several)
{
	const struct expert *found = NULL;
	char user[NAME_TEXT];

	for (size_t i = 0; i < count; i++) {
		if (strcmp(experts[i].name, name))
			continue;
		if (found && !*several)
			fprintf(stderr,
				"expertmem %s: several experts have this name; name one by its id:\n"
				"  %" PRIu64 "  (%s, pid %u)\n", command, found->id,
				user_text(user, found->uid), found->pid);
		*several = *several || found;
		found = &experts[i];
		if (*several)
			fprintf(stderr, "  %" PRIu64 "  (%s, pid %u)\n", found->id,
				user_text(user, found->uid), found->pid);
	}
	return found;
}

/* Digits are always an id: a stranger could name an expert 12, and be taken for expert 12. */
static bool parse_id(const char *text, uint64_t *id)
{
	if (!*text || text[strspn(text, "0123456789")])
		return false;
	errno = 0;
	*id = strtoull(text, NULL, 10);
	return !errno;
}

int operate_choose(const char *command, struct link *link, const char *text,
		   struct expert *expert)
{
	const struct expert *found;
	struct expert *experts;
	bool several = false;
	char title[NAME_TEXT];
	size_t count;
	uint64_t id;
	int error;

	if (parse_id(text, &id)) {
		error = link_expert(link, id, expert);
		if (error != -ENOENT) {
			snprintf(title, sizeof(title), "expert %" PRIu64, id);
			return error ? operate_failed(command, link, error, title) : 0;
		}
		found = NULL;
	} else {
		error = link_experts(link, &experts, &count);
		if (error)
			return operate_failed(command, link, error, NULL);
		found = by_name(command, text, experts, *text ? count : 0, &several);
		if (found)
			*expert = *found;
		free(experts);
	}
	if (several)
		return EXIT_FAILED;
	if (found)
		return 0;
	snprintf(title, sizeof(title), "%s", text);
	fprintf(stderr, "expertmem %s: there is no expert '%s'; 'expertmem list' lists the open "
		"experts\n", command, plain_text(title));
	return EXIT_FAILED;
}
