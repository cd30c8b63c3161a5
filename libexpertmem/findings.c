// SPDX-License-Identifier: LGPL-2.1-or-later
/* Findings: how they are reported, walks, and leaks at close. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/expertmem.h>

#include "internal.h"
#include "raw.h"

/* The call site of memory that the library has allocated for itself. */
const void *const em_own_site = &em_own_site;

/* The most call sites that leaks are reported for. */
#define SITES_MAX	4096

/* " from libfoo.so(parse+0x1f)", as addr2line(1) takes it; "" if @site is NULL */
static const char *from(const void *site, char text[static 256])
{
	Dl_info info;

	if (!site)
		return "";
	if (!dladdr(site, &info) || !info.dli_fname)
		snprintf(text, 256, " from %p", site);
	else if (info.dli_sname)
		snprintf(text, 256, " from %s(%s+%#tx)", info.dli_fname, info.dli_sname,
			 (const char *)site - (const char *)info.dli_saddr);
	else
		snprintf(text, 256, " from %s(+%#tx)", info.dli_fname,
			 (const char *)site - (const char *)info.dli_fbase);
	return text;
}

static void print(const struct expertmem_finding *f)
{
	static const char *const calls[] = {
		[EXPERTMEM_BAD_FREE]	= "freed",
		[EXPERTMEM_BAD_REALLOC]	= "resized",
		[EXPERTMEM_BAD_SIZE]	= "asked for its size",
	};
	const char *whose = f->error == NMERR_ACCESS_DENIED ?
			    "a live block of another expert" : "no live block of this expert";
	char text[256], line[512];

	switch (f->kind) {
	case EXPERTMEM_BAD_FREE:
	case EXPERTMEM_BAD_REALLOC:
	case EXPERTMEM_BAD_SIZE:
		snprintf(line, sizeof(line), "%p was %s, but is %s", f->pointer,
			 calls[f->kind], whose);
		break;
	case EXPERTMEM_OVERRUN:
		snprintf(line, sizeof(line), "bytes behind the %zu of block %p%s were written",
			 f->size, f->pointer, from(f->site, text));
		break;
	case EXPERTMEM_LEAK:
		snprintf(line, sizeof(line), "%zu bytes in %zu blocks%s were not freed",
			 f->size, f->blocks, from(f->site, text));
		break;
	}
	dprintf(STDERR_FILENO, "expertmem: %s\n", line);
}

/* Print a finding, and abort, as EXPERTMEM_DEBUG asks for. */
static void report(const struct expertmem_finding *finding, unsigned int debug, bool has_listener)
{
	if (debug & EM_DEBUG_REPORT && !has_listener)
		print(finding);
	if (debug & EM_DEBUG_ABORT) {
		if (!has_listener && !(debug & EM_DEBUG_REPORT))
			print(finding);
		abort();
	}
}

int expertmem_listen(HEXPERTKEY key, expertmem_listener listener, void *arg)
{
	struct em_expert *expert = em_lock(key);

	if (!expert)
		return EXPERTMEM_E_KEY;
	expert->listener = listener;
	expert->listener_arg = arg;
	em_write_once(&expert->has_listener, listener || expert->debug & EM_DEBUG_LISTENS);
	em_unlock(expert);
	return EXPERTMEM_OK;
}

void em_report_finding(const struct expertmem_finding *finding)
{
	struct em_expert *expert = em_lock(finding->key);
	expertmem_listener listener;
	unsigned int debug;
	void *arg;

	if (!expert)
		return;
	listener = expert->listener;
	arg = expert->listener_arg;
	debug = expert->debug;
	em_unlock(expert);
	if (listener)
		listener(finding, arg);
	report(finding, debug, listener);
}

int expertmem_walk(HEXPERTKEY key, int (*visit)(void *block, size_t size, void *arg),
		   void *arg)
{
	struct em_expert *expert;
	int result = 0;

	if (!visit)
		return EXPERTMEM_E_INVALID;
	expert = em_lock(key);
	if (!expert)
		return EXPERTMEM_E_KEY;
	if (expert->attached && !(em_status(expert) & EXPERTMEM_STATUS_RECLAIMED))
		result = em_heap_walk(expert, visit, arg);
	em_unlock(expert);
	return result;
}

struct leaks {
	const struct em_expert *expert;
	struct expertmem_finding *sites;	/* hash table by site, open addressing */
	size_t used;
};

static int count_leak(void *block, size_t size, void *arg)
{
	struct leaks *leaks = arg;
	const void *site = em_debug_site(leaks->expert, block);
	size_t i = (uintptr_t)site * 0x9e3779b97f4a7c15 >> 40;

	if (site == em_own_site)
		return 0;
	while (leaks->sites[i %= SITES_MAX].blocks && leaks->sites[i].site != site)
		i++;
	if (!leaks->sites[i].blocks) {
		if (leaks->used == SITES_MAX - 1)
			return 1;
		leaks->used++;
	}
	leaks->sites[i].site = site;
	leaks->sites[i].blocks++;
	leaks->sites[i].size += size;
	return 0;
}

/*
 * Report the live blocks by call site. At exit no listener is called, because the library that it
 * is in may be gone.
 */
void em_debug_leaks(HEXPERTKEY key, bool is_exit)
{
	struct em_expert *expert = em_slot_of(key);
	struct leaks leaks = { .expert = expert };
	size_t bytes = SITES_MAX * sizeof(*leaks.sites), i;

	if (!(expert->debug & EM_DEBUG_SITES))
		return;
	leaks.sites = em_map(bytes, MAP_PRIVATE);
	if (!leaks.sites)
		return;
	expertmem_walk(key, count_leak, &leaks);
	for (i = 0; i < SITES_MAX; i++) {
		if (!leaks.sites[i].blocks)
			continue;
		leaks.sites[i].key = key;
		leaks.sites[i].kind = EXPERTMEM_LEAK;
		if (is_exit)
			report(&leaks.sites[i], expert->debug, false);
		else
			em_report_finding(&leaks.sites[i]);
	}
	munmap(leaks.sites, bytes);
}

/*
 * Report the leaks of the experts that are still open when the process exits. Children, which have
 * the sites of their parent, report nothing.
 */
void em_debug_exit(void)
{
	pid_t self = em_raw(SYS_getpid, 0, 0, 0);

	for (unsigned int i = 0; self == em_debug_process && i < EM_MAX_EXPERTS; i++)
		if (em_experts[i].key && em_experts[i].attached)
			em_debug_leaks(em_experts[i].key, true);
}

/*
 * Runs after the destructors of the experts' libraries, which depend on this library. In a preloaded
 * program it would run too early, and on_exit() does it: see preload.c.
 */
__attribute__((destructor)) static void at_exit(void)
{
	if (!em_preloaded)
		em_debug_exit();
}
