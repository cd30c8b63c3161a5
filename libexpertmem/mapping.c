// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The functions by which libexpertmem-malloc.so maps memory, as system calls. They are not exported:
 * malloc.map makes them local, so only this library calls them. The program or another preloaded
 * library may have functions of these names that allocate memory, which would wait for the lock
 * that the heap holds when it maps memory.
 */
#include <stdarg.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "raw.h"

void *mmap(void *start, size_t size, int protection, int flags, int fd, off_t offset)
{
	return (void *)em_answer(em_raw6(SYS_mmap, (long)start, (long)size, protection, flags, fd,
					 offset));
}

int munmap(void *start, size_t size)
{
	return (int)em_answer(em_raw(SYS_munmap, (long)start, (long)size, 0));
}

void *mremap(void *start, size_t old, size_t size, int flags, ...)
{
	void *new = NULL;
	va_list list;

	va_start(list, flags);
	if (flags & MREMAP_FIXED)
		new = va_arg(list, void *);
	va_end(list);
	return (void *)em_answer(em_raw6(SYS_mremap, (long)start, (long)old, (long)size, flags,
					 (long)new, 0));
}

int mprotect(void *start, size_t size, int protection)
{
	return (int)em_answer(em_raw(SYS_mprotect, (long)start, (long)size, protection));
}

int madvise(void *start, size_t size, int advice)
{
	return (int)em_answer(em_raw(SYS_madvise, (long)start, (long)size, advice));
}

int munlock(const void *start, size_t size)
{
	return (int)em_answer(em_raw(SYS_munlock, (long)start, (long)size, 0));
}

/* of /dev/expertmem */
#ifdef __GLIBC__
int ioctl(int fd, unsigned long request, ...)
#else
int ioctl(int fd, int request, ...)
#endif
{
	va_list list;
	void *arg;

	va_start(list, request);
	arg = va_arg(list, void *);
	va_end(list);
	return (int)em_answer(em_raw(SYS_ioctl, fd, (long)request, (long)arg));
}
