// SPDX-License-Identifier: GPL-2.0
/*
 * The library of the process has recorded addresses, and the path of the file that contains the
 * instruction. This file finds the name of the function in the symbol tables of that file.
 *
 * The process may have overwritten the record, so only a regular file is read.
 */
#include "crash.h"

#include <fcntl.h>
#include <gelf.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../format.h"

#define NAME_SIZE 256

/* Limits of the process that reads the file: bytes above those of the host, CPU and wall time. */
#define MEMORY_MAX	((rlim_t)512 << 20)
#define CPU_SECONDS	2
#define WALL_MS		5000

/* An address below this is reported as a null pointer, perhaps with an offset. */
#define NEAR_NULL 65536

/* Return the name of the function that contains @address, or NULL. */
static const char *find_in_table(Elf *elf, Elf_Scn *section, const GElf_Shdr *header,
				 uint64_t address)
{
	Elf_Data *data = elf_getdata(section, NULL);
	GElf_Sym symbol;

	for (int i = 0; data && gelf_getsym(data, i, &symbol); i++)
		if (GELF_ST_TYPE(symbol.st_info) == STT_FUNC && symbol.st_shndx != SHN_UNDEF &&
		    address - symbol.st_value < symbol.st_size)
			return elf_strptr(elf, header->sh_link, symbol.st_name);
	return NULL;
}

/*
 * Write the name of the function to @name. Look into one symbol table of each type: a hostile file
 * could have thousands of overlapping tables.
 */
static void read_symbols(const char *file, uint64_t address, char name[static NAME_SIZE])
{
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	const char *found = NULL;
	Elf_Scn *section = NULL;
	struct stat stat_buf;
	Elf *elf = NULL;
	bool seen[SHT_DYNSYM + 1] = {};
	GElf_Shdr header;

	if (fd >= 0 && !fstat(fd, &stat_buf) && S_ISREG(stat_buf.st_mode) &&
	    elf_version(EV_CURRENT) != EV_NONE)
		elf = elf_begin(fd, ELF_C_READ, NULL);
	while (elf && !found && (section = elf_nextscn(elf, section))) {
		if (!gelf_getshdr(section, &header) || !header.sh_entsize ||
		    (header.sh_type != SHT_SYMTAB && header.sh_type != SHT_DYNSYM) ||
		    seen[header.sh_type])
			continue;
		seen[header.sh_type] = true;
		found = find_in_table(elf, section, &header, address);
	}
	snprintf(name, NAME_SIZE, "%s", found ? found : "");
}

static void limit(int resource, rlim_t value)
{
	setrlimit(resource, &(struct rlimit){ value, value });
}

/*
 * Return the bytes of address space that this process has; most are those that the host reserved.
 */
static rlim_t address_space(void)
{
	unsigned long pages = 0;
	FILE *file = fopen("/proc/self/statm", "re");

	/* NOLINTNEXTLINE(cert-err34-c): the kernel writes a number that fits */
	if (!file || fscanf(file, "%lu", &pages) != 1)
		pages = 0;
	if (file)
		fclose(file);
	return (rlim_t)pages * sysconf(_SC_PAGESIZE);
}

/* In the new process: look the function up, and write its name to @out. */
static void __attribute__((noreturn)) look_up(const char *file, uint64_t address, int out)
{
	char name[NAME_SIZE];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	/* close all descriptors but the pipe, which becomes number 0 */
	if (dup2(out, 0) < 0 || close_range(1, UINT_MAX, 0))
		_exit(1);
	limit(RLIMIT_AS, address_space() + MEMORY_MAX);
	limit(RLIMIT_CPU, CPU_SECONDS);
	limit(RLIMIT_CORE, 0);
	limit(RLIMIT_FSIZE, 0);
	read_symbols(file, address, name);
	_exit(write(0, name, sizeof(name)) != sizeof(name));
}

/*
 * Kill and reap the process. Wait at most a second: a file system that hangs could keep it alive.
 */
static void end_look_up(pid_t process)
{
	static const struct timespec tick = { .tv_nsec = 10 * 1000 * 1000 };

	kill(process, SIGKILL);
	for (int i = 0; i < 100 && !waitpid(process, NULL, WNOHANG); i++)
		nanosleep(&tick, NULL);
}

/*
 * Find the name of the function that contains @address. Return false if it is not known. The expert
 * chooses the file, which may be malicious, so a process with limits of memory and time reads it.
 */
static bool find_function(const char *file, uint64_t address, char name[static NAME_SIZE])
{
	struct pollfd answer = { .events = POLLIN };
	int ends[2];
	bool found;
	pid_t process;

	*name = '\0';
	if (pipe2(ends, O_CLOEXEC))
		return false;
	fflush(NULL);
	process = fork();
	if (!process)
		look_up(file, address, ends[1]);
	close(ends[1]);
	answer.fd = ends[0];
	found = process > 0 && poll(&answer, 1, WALL_MS) == 1 &&
		read(ends[0], name, NAME_SIZE) == NAME_SIZE;
	name[NAME_SIZE - 1] = '\0';
	close(ends[0]);
	if (process > 0)
		end_look_up(process);
	return found && *name;
}

/* Copies of the record's strings with a null at the end, which the record's may lack. */
struct place {
	char file[sizeof(((struct em_crash *)0)->file) + 1];
	char function[NAME_SIZE];	/* "": not known */
};

static void find_place(const struct em_crash *crash, struct place *place)
{
	memset(place, 0, sizeof(*place));
	memcpy(place->file, crash->file, sizeof(crash->file));
	if (!*place->file || !find_function(place->file, crash->offset, place->function))
		*place->function = '\0';
}

static const char *memory_name(const struct em_crash *crash)
{
	switch (crash->memory) {
	case EM_MEMORY_LIVE:		return "live";
	case EM_MEMORY_BEHIND:		return "behind";
	case EM_MEMORY_BEFORE:		return "before";
	case EM_MEMORY_FREED:		return "freed";
	case EM_MEMORY_UNUSED:		return "unused";
	case EM_MEMORY_RECLAIMED:	return "reclaimed";
	case EM_MEMORY_STACK:		return "stack";
	default:			return "foreign";
	}
}

static bool is_about_block(const struct em_crash *crash)
{
	return crash->memory == EM_MEMORY_LIVE || crash->memory == EM_MEMORY_BEHIND ||
	       crash->memory == EM_MEMORY_BEFORE;
}

static void print_memory(const struct em_crash *crash)
{
	static const char *const where[] = {
		[EM_MEMORY_LIVE]	= "from the start",
		[EM_MEMORY_BEHIND]	= "behind the end",
		[EM_MEMORY_BEFORE]	= "before the start",
	};
	char distance[SIZE_TEXT], size[SIZE_TEXT];

	count_text(distance, crash->distance, "byte");
	count_text(size, crash->size, "byte");
	if (is_about_block(crash)) {
		fprintf(stderr, "%s %s of a live block of %s\n", distance, where[crash->memory], size);
		return;
	}
	switch (crash->memory) {
	case EM_MEMORY_FREED:
		fputs("in a block that was freed\n", stderr);
		break;
	case EM_MEMORY_UNUSED:
		fputs("in the heap, where no block is\n", stderr);
		break;
	case EM_MEMORY_RECLAIMED:
		fputs("in the heap, which was reclaimed\n", stderr);
		break;
	case EM_MEMORY_STACK:
		fputs("at the end of the stack, which has overflowed\n", stderr);
		break;
	default:
		fprintf(stderr, "not in the heap%s\n",
			crash->address < NEAR_NULL ? ": a null pointer" : "");
	}
}

void crash_report(const struct em_crash *crash)
{
	struct place place;

	find_place(crash, &place);
	plain_text(place.file);
	plain_text(place.function);
	if (*place.function)
		fprintf(stderr, "  where      in %s (%s+%#" PRIx64 ")\n", place.function, place.file,
			crash->offset);
	else if (*place.file)
		fprintf(stderr, "  where      at %s+%#" PRIx64 "\n", place.file, crash->offset);
	else
		fprintf(stderr, "  where      at %#" PRIx64 ", where no code was loaded\n",
			crash->pc);
	if (crash->memory == EM_MEMORY_NOWHERE) {
		fputs("  touched    an address that does not exist (not canonical)\n", stderr);
	} else if (crash->memory != EM_MEMORY_NONE) {
		fprintf(stderr, "  touched    0x%" PRIx64 ", ", crash->address);
		print_memory(crash);
	}
}

void crash_report_json(struct json *json, const struct em_crash *crash)
{
	struct place place;
	char address[32];

	find_place(crash, &place);
	if (*place.function)
		json_string(json, "crash_function", place.function);
	if (*place.file) {
		json_string(json, "crash_file", place.file);
		json_number(json, "crash_offset", crash->offset);
	}
	if (crash->memory == EM_MEMORY_NONE)
		return;
	if (crash->memory != EM_MEMORY_NOWHERE) {
		snprintf(address, sizeof(address), "0x%" PRIx64, crash->address);
		json_string(json, "crash_address", address);
	}
	json_string(json, "crash_memory", memory_name(crash));
	if (is_about_block(crash)) {
		json_number(json, "crash_distance", crash->distance);
		json_number(json, "crash_block", crash->size);
	}
}
