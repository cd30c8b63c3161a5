// SPDX-License-Identifier: LGPL-2.1-or-later
/* Messages: texts of errors, and a line on standard error. */
#include <string.h>
#include <unistd.h>

#include "internal.h"

/* A line on standard error. Not by stdio, which allocates: a lock of the heap may be held. */
void em_say(const char *who, const char *what, const char *which)
{
	const char *words[] = { who, what, which, "\n" };
	char text[1024];
	size_t size = 0;

	for (int i = 0; i < 4; i++) {
		size_t length = strlen(words[i]), left = sizeof(text) - size;

		length = length < left ? length : left;
		memcpy(text + size, words[i], length);
		size += length;
	}
	(void)!write(STDERR_FILENO, text, size);
}

const char *expertmem_strerror(int error)
{
	switch (error) {
	case EXPERTMEM_OK:
		return "success";
	case EXPERTMEM_E_INVALID:
		return "an argument is not allowed, or in the environment EXPERTMEM_BACKEND is none of device, anon and auto, or EXPERTMEM_DEBUG has a word other than canary, fill, guard, sites, report, abort and all";
	case EXPERTMEM_E_KEY:
		return "the key is not of an open expert";
	case EXPERTMEM_E_NOMEM:
		return "out of memory or of addresses, or beyond the limit of the expert or of its user: raise the limit of the expert (expertmem limit), the module's uid_limit, or the memory limit of the process (ulimit -v) or of its control group";
	case EXPERTMEM_E_NO_MODULE:
		return "there is no /dev/expertmem: load the kernel module (modprobe expertmem), or work without it (EXPERTMEM_BACKEND=anon)";
	case EXPERTMEM_E_ACCESS:
		return "/dev/expertmem may not be opened, or its descriptor is not open for reading and writing: become a member of the group that owns it (usermod -aG expertmem USER, then log in again), or pass a descriptor that was opened O_RDWR";
	case EXPERTMEM_E_ABI:
		return "the loaded expertmem module is older than this library: install the module of the same version, then rmmod expertmem and modprobe expertmem";
	case EXPERTMEM_E_NO_DEVICE:
		return "that is not the expertmem device: remove what is at /dev/expertmem and load the kernel module again, or pass a descriptor of the device";
	case EXPERTMEM_E_TOO_MANY:
		return "too many experts or open files: close some, or raise the limit that is reached: the module's uid_max_experts (experts of one user) or max_experts (of all users), 4096 experts in one process, or the limit of open files (ulimit -n)";
	case EXPERTMEM_E_PERM:
		return "unswappable memory is not permitted: it needs CAP_IPC_LOCK, or an unlimited RLIMIT_MEMLOCK (ulimit -l unlimited)";
	case EXPERTMEM_E_UNSUPPORTED:
		return "the backend in use cannot do that: it needs the kernel module";
	case EXPERTMEM_E_BUSY:
		return "the expert is in use by another process: open one of your own";
	case EXPERTMEM_E_RECLAIMED:
		return "the expert's memory was reclaimed, or it was asked to stop: open a new expert";
	case EXPERTMEM_E_LIMIT:
		return "the memory limit is above the module's default_limit, and no limit is above any: ask for less, or for the default (EXPERTMEM_LIMIT_DEFAULT, expertmem run --limit default), or have CAP_NET_ADMIN (root), which may ask for more";
	case EXPERTMEM_E_KERNEL:
		return "this kernel's pages are not of 4 KiB, or its addresses have more bits than the library is built for (47 on x86-64, 48 on arm64): boot a kernel with pages of 4 KiB";
	default:
		return "unknown error";
	}
}
