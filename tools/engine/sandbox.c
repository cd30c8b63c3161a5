// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The sandbox of a worker and of expertmem-annotate: a filter of system calls (seccomp). The
 * process sets it before it reads the first byte of the capture. Afterwards it cannot open a file,
 * make a socket or a process, or execute a program. A call that is in none of the lists below kills
 * the process.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <linux/expertmem.h>

#include "../../libexpertmem/raw.h"
#include "worker.h"

#if defined(__x86_64__)
#define ARCHITECTURE	AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE	AUDIT_ARCH_AARCH64
#else
#error "the sandbox knows x86_64 and arm64"
#endif

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

/* Calls that are allowed with any argument. */
static const int allowed[] = {
	/* the capture */
	SYS_read, SYS_pread64, SYS_lseek, SYS_fstat, SYS_dup, SYS_close,
	/* requests */
	SYS_recvfrom, SYS_recvmsg, SYS_sendto, SYS_sendmsg, SYS_shutdown, SYS_ppoll,
#ifdef SYS_poll
	SYS_poll,
#endif
	/* memory */
	SYS_munmap, SYS_madvise, SYS_brk, SYS_membarrier, SYS_futex, SYS_sched_yield,
	SYS_sysinfo,
	/* time, which mostly comes from the vDSO */
	SYS_clock_gettime, SYS_gettimeofday,
	/* the process itself */
	SYS_getpid, SYS_gettid, SYS_getrandom, SYS_rt_sigprocmask, SYS_rt_sigreturn,
	SYS_restart_syscall,
	SYS_exit, SYS_exit_group,
#ifdef __SANITIZE_ADDRESS__
	SYS_sigaltstack,	/* before each call that does not return, such as _exit() */
#endif
};

/**
 * struct condition - a call that is allowed if one of its arguments has a certain value
 * @call: number of the call
 * @argument: index of the argument; its lower 32 bits are compared
 * @mask: bits to compare
 * @value: what they must be
 */
struct condition {
	int call;
	unsigned int argument;
	uint32_t mask;
	uint32_t value;
};

static const struct condition conditions[] = {
	/* The C library's fstat(). With a path, it reveals only whether and how a file exists. */
	{ SYS_newfstatat,	3, UINT32_MAX, AT_EMPTY_PATH },
	{ SYS_fcntl,		1, UINT32_MAX, F_GETFL },	/* the C library's fdopen() */
	{ SYS_mmap,		2, PROT_EXEC, 0 },
	{ SYS_mprotect,		2, PROT_EXEC, 0 },
	{ SYS_mremap,		3, ~(uint32_t)(MREMAP_MAYMOVE | MREMAP_FIXED), 0 },
	/* Frames and index while the capture is loaded; these numbers are closed afterwards. */
	{ SYS_pwrite64,		0, UINT32_MAX, FD_FRAMES_WRITE },
	{ SYS_pwrite64,		0, UINT32_MAX, FD_INDEX_WRITE },
	/*
	 * For a worker, both are /dev/null, and libraries write warnings to them.
	 * expertmem-annotate writes its copy and its messages to them.
	 */
	{ SYS_write,		0, UINT32_MAX, FD_OUTPUT },
	{ SYS_write,		0, UINT32_MAX, FD_ERROR },
	{ SYS_writev,		0, UINT32_MAX, FD_OUTPUT },
	{ SYS_writev,		0, UINT32_MAX, FD_ERROR },
};

/*
 * Calls that fail by EACCES. A library may try to open a file and go on without it. The heap calls
 * tgkill() to find out whether a thread lives.
 */
static const int denied[] = {
	SYS_tgkill,
#ifdef SYS_open
	SYS_open, SYS_access,
#endif
	SYS_openat, SYS_faccessat, SYS_newfstatat, SYS_statx, SYS_readlinkat,
};

/**
 * struct program - the filter while it is written
 * @length: number of instructions
 * @code: instructions
 */
struct program {
	unsigned short length;
	struct sock_filter code[256];
};

static void add(struct program *program, uint16_t code, uint32_t k, uint8_t yes, uint8_t no)
{
	program->code[program->length++] = (struct sock_filter){ code, yes, no, k };
}

static void load_word(struct program *program, size_t offset)
{
	add(program, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0, 0);
}

static void answer(struct program *program, uint32_t action)
{
	add(program, BPF_RET | BPF_K, action, 0, 0);
}

/* If the loaded call is @call, return @action. */
static void add_call(struct program *program, int call, uint32_t action)
{
	add(program, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)call, 0, 1);
	answer(program, action);
}

/* The offset of an argument's lower half: both architectures are little-endian. */
static size_t argument_offset(unsigned int argument)
{
	return offsetof(struct seccomp_data, args) + argument * sizeof(uint64_t);
}

/* If the loaded call is @condition->call, and its argument has the required value, allow it. */
static void add_condition(struct program *program, const struct condition *condition)
{
	add(program, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)condition->call, 0, 5);
	load_word(program, argument_offset(condition->argument));
	add(program, BPF_ALU | BPF_AND | BPF_K, condition->mask, 0, 0);
	add(program, BPF_JMP | BPF_JEQ | BPF_K, condition->value, 0, 1);
	answer(program, SECCOMP_RET_ALLOW);
	load_word(program, offsetof(struct seccomp_data, nr));
}

/* Allow ioctl() of the module on the expert's descriptor. */
static void add_device(struct program *program, int device)
{
	add(program, BPF_JMP | BPF_JEQ | BPF_K, SYS_ioctl, 0, 7);
	load_word(program, argument_offset(0));
	add(program, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)device, 0, 4);
	load_word(program, argument_offset(1));
	add(program, BPF_ALU | BPF_AND | BPF_K, _IOC_TYPEMASK << _IOC_TYPESHIFT, 0, 0);
	add(program, BPF_JMP | BPF_JEQ | BPF_K,
	    _IOC_TYPE(EXPERTMEM_IOC_STAT) << _IOC_TYPESHIFT, 0, 1);
	answer(program, SECCOMP_RET_ALLOW);
	load_word(program, offsetof(struct seccomp_data, nr));
}

static void write_program(struct program *program, int device)
{
	load_word(program, offsetof(struct seccomp_data, arch));
	add(program, BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0);
	answer(program, SECCOMP_RET_KILL_PROCESS);
	load_word(program, offsetof(struct seccomp_data, nr));
	for (size_t i = 0; i < ARRAY_SIZE(allowed); i++)
		add_call(program, allowed[i], SECCOMP_RET_ALLOW);
	for (size_t i = 0; i < ARRAY_SIZE(conditions); i++)
		add_condition(program, &conditions[i]);
	for (size_t i = 0; i < ARRAY_SIZE(denied); i++)
		add_call(program, denied[i], SECCOMP_RET_ERRNO | EACCES);
	if (device >= 0)
		add_device(program, device);
	answer(program, SECCOMP_RET_KILL_PROCESS);
}

bool sandbox_enter(int device)
{
	struct program program = { 0 };
	struct sock_fprog filter = { .filter = program.code };

	write_program(&program, device);
	filter.len = program.length;
	/*
	 * By em_raw(), because the preloaded library wraps prctl(): after a filter is set by
	 * prctl(), its malloc() takes locks. This filter allows the calls that malloc() without
	 * locks needs; see libexpertmem/filters.c.
	 */
	return !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) &&
	       !em_raw(SYS_prctl, PR_SET_SECCOMP, SECCOMP_MODE_FILTER, (long)&filter);
}

/* Is @fd the expert that the preloaded library has opened? Lower *@limit to its limit. */
static bool is_device(int fd, dev_t device, uint64_t *limit)
{
	struct expertmem_stat stat;
	struct stat file;

	if (fstat(fd, &file) || !S_ISCHR(file.st_mode) || file.st_rdev != device ||
	    ioctl(fd, EXPERTMEM_IOC_STAT, &stat))
		return false;
	if (stat.limit && (!*limit || stat.limit < *limit))
		*limit = stat.limit;
	return true;
}

int sandbox_find_device(uint64_t *limit)
{
	DIR *directory;
	struct dirent *entry;
	struct stat file;
	int found = -1;

	if (stat("/dev/expertmem", &file))
		return -1;
	directory = opendir("/proc/self/fd");
	while (directory && found < 0 && (entry = readdir(directory)) != NULL) {
		int fd = (int)strtol(entry->d_name, NULL, 10);

		if (fd > FD_ERROR && is_device(fd, file.st_rdev, limit))
			found = fd;
	}
	if (directory)
		closedir(directory);
	return found;
}
