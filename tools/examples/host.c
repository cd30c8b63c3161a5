// SPDX-License-Identifier: GPL-2.0
/*
 * host: run three experts at once on one capture, with one engine that reads the capture. This is an
 * example of a host, a program in the role of Network Monitor. Each expert has a process of its
 * own, so that an expert that crashes ends only itself. The host prints events as they come.
 *
 * Build it:	cc host.c -o host -lexpertmem -ldl
 * Run it:	./host traffic.pcap ./topusers.so ./protocols.so ./retransmissions.so
 */
#include <dlfcn.h>
#include <err.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <expertmem.h>

#define EXPERTS 3

static void check(const char *what, int error)
{
	if (error < 0)
		errx(1, "%s: %s", what, expertmem_strerror(error));
}

/* Print an event. Its texts may come from packets, so replace control characters. */
static void print_event(const NMEVENTDATA *event, void *expert)
{
	const char *name = event->szEventName ? event->szEventName : "event";

	printf("%s: ", (const char *)expert);
	for (; *name; name++)
		putchar(*name >= ' ' && *name < 127 ? *name : '?');
	for (int i = 0; i < event->NumColumns; i++)
		if (event->Column[i].VariantData.Type == NMCOLUMNTYPE_FRAME)
			printf(", frame %u", event->Column[i].VariantData.Value.FrameVal);
	putchar('\n');
}

/* Run an expert in a process of its own. */
static void start_expert(HEXPERTKEY key, const char *path)
{
	EXPERTSTARTUPINFO startup;
	PEXPERTRUNPROC run;
	void *library;

	switch (fork()) {
	case -1: err(1, "fork");
	case 0: break;
	default: return;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);	/* no expert stays without its host */
	library = dlopen(path, RTLD_NOW);
	if (!library || !(run = (PEXPERTRUNPROC)dlsym(library, EXPERTENTRY_RUN)))
		errx(1, "%s", dlerror());
	exit(ExpertGetStartupInfo(key, &startup) != NMERR_SUCCESS ||
	     !run(key, NULL, &startup, 0, NULL));
}

int main(int argc, char **argv)
{
	struct expertmem_options options = { .limit = 256 << 20 };
	struct expertmem_capture_status status;
	struct pollfd events[EXPERTS] = { 0 };
	expertmem_capture *capture;
	HEXPERTKEY key[EXPERTS];
	int running = EXPERTS, failed = 0, result;

	if (argc != 2 + EXPERTS)
		errx(2, "Usage: host CAPTURE EXPERT.so EXPERT.so EXPERT.so");
	check(argv[1], expertmem_open_capture(argv[1], NULL, &capture));
	if (expertmem_wait_capture(capture, -1)) {
		expertmem_capture_status(capture, &status);
		errx(1, "%s: %s", argv[1], status.error);
	}

	for (int i = 0; i < EXPERTS; i++) {
		check("open", expertmem_open(&options, &key[i]));
		check("capture", expertmem_use_capture(key[i], capture));
		check("events", expertmem_open_events(key[i], &events[i].fd));
		events[i].events = POLLIN;
		start_expert(key[i], argv[2 + i]);
	}

	expertmem_close_capture(capture);	/* the experts have their own connections */

	/* An expert waits while too many of its events are unread: read until all have ended. */
	do {
		poll(events, EXPERTS, 100);
		for (; running && waitpid(-1, &result, WNOHANG) > 0; running--)
			failed |= result != 0;
		for (int i = 0; i < EXPERTS; i++)
			expertmem_read_events(key[i], print_event, argv[2 + i]);
	} while (running);
	return failed;
}
