// SPDX-License-Identifier: LGPL-2.1-or-later
/* The texts of errors, and lines on standard error. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"
#include "raw.h"

/* Write a line of three parts to standard error. Not by stdio, which allocates memory. */
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
	/* write() may be of another preloaded library, which allocates. */
	em_raw(SYS_write, STDERR_FILENO, (long)text, (long)size);
}

/* EXPERTMEM_DEBUG=check: an invariant does not hold. @where: address of the object. */
void em_abort(const char *what, const void *where)
{
	char text[40];

	snprintf(text, sizeof(text), ", at %p", where);
	em_say("expertmem: check: ", what, text);
	abort();
}

const char *expertmem_strerror(int error)
{
	switch (error) {
	case EXPERTMEM_OK:
		return "success";
	case EXPERTMEM_E_INVALID:
		return "invalid argument; see expertmem_open(3), and EXPERTMEM_BACKEND and EXPERTMEM_DEBUG";
	case EXPERTMEM_E_KEY:
		return "no open expert has this key; open an expert first";
	case EXPERTMEM_E_NOMEM:
		return "out of memory or addresses; raise the expert's limit, uid_limit, ulimit -v or the cgroup's limit";
	case EXPERTMEM_E_NO_MODULE:
		return "no /dev/expertmem; run modprobe expertmem, or set EXPERTMEM_BACKEND=anon";
	case EXPERTMEM_E_ACCESS:
		return "no permission for /dev/expertmem; join its group (usermod -aG expertmem USER), or pass an O_RDWR fd";
	case EXPERTMEM_E_ABI:
		return "the loaded module is older than this library; install the same version, and reload expertmem";
	case EXPERTMEM_E_NO_DEVICE:
		return "not the expertmem device; pass its descriptor, or remove /dev/expertmem and load the kernel module";
	case EXPERTMEM_E_TOO_MANY:
		return "too many experts or open files; close some, or raise max_experts, uid_max_experts or ulimit -n";
	case EXPERTMEM_E_PERM:
		return "unswappable memory not permitted; get CAP_IPC_LOCK, or set ulimit -l unlimited";
	case EXPERTMEM_E_UNSUPPORTED:
		return "the backend cannot do this; it needs the kernel module";
	case EXPERTMEM_E_BUSY:
		return "the expert is in use by another process; open another one";
	case EXPERTMEM_E_RECLAIMED:
		return "the expert was reclaimed or terminated; open a new expert";
	case EXPERTMEM_E_LIMIT:
		return "limit above the module's default_limit; ask for less, --limit default, or get CAP_NET_ADMIN";
	case EXPERTMEM_E_KERNEL:
		return "page or address size differs from the library's; boot a kernel with pages of 4 KiB";
	case EXPERTMEM_E_NO_ENGINE:
		return "the engine is not installed; install expertmem or expertmem-engine-wireshark, or set EXPERTMEM_ENGINES to its directory";
	case EXPERTMEM_E_CAPTURE:
		return "the capture cannot be read, or the filter is wrong; expertmem_capture_status() has the reason";
	case EXPERTMEM_E_ENGINE:
		return "the engine has ended or broke its protocol; expertmem_capture_status() has the reason; open the capture again";
	case EXPERTMEM_E_LOADING:
		return "the capture is still being read; wait by expertmem_wait_capture()";
	default:
		return "unknown error";
	}
}
