// SPDX-License-Identifier: GPL-2.0
/*
 * The dynamic loader preloads the heap into a program. This needs a program that has a loader, that
 * has the loader of this C library, and that gains no rights when it is executed. The program's
 * file shows all three.
 */
#include "executable.h"

#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

/* A script's interpreter may be a script; the kernel follows so many interpreters. */
#define SCRIPTS_MAX 5

/**
 * struct image - properties of an executable file
 * @is_elf: the file is an ELF file, and the other members are set
 * @class: ELFCLASS32 or ELFCLASS64
 * @machine: e_machine, the processor
 * @loader: the path in PT_INTERP, or ""
 * @sanitizer: name of the sanitizer that the program is built with, or NULL
 * @has_malloc: the program defines malloc()
 */
struct image {
	bool is_elf;
	int class;
	int machine;
	char loader[256];
	const char *sanitizer;
	bool has_malloc;
};

static bool is_program(const char *path)
{
	struct stat stat_buf;

	return !access(path, X_OK) && !stat(path, &stat_buf) && S_ISREG(stat_buf.st_mode);
}

/* Search for the program as execvp() does. Return false if it is not found. */
static bool find_program(const char *name, char path[static PATH_MAX])
{
	const char *dir = getenv("PATH"), *end;

	if (strchr(name, '/'))
		return snprintf(path, PATH_MAX, "%s", name) < PATH_MAX && is_program(path);
	for (dir = dir ? dir : "/bin:/usr/bin"; ; dir = end + 1) {
		end = strchrnul(dir, ':');
		if (snprintf(path, PATH_MAX, "%.*s%s%s", (int)(end - dir), dir,
			     end > dir ? "/" : "", name) < PATH_MAX && is_program(path))
			return true;
		if (!*end)
			return false;
	}
}

/* Copy the word at @text, behind blanks. Return the text behind it. */
static const char *copy_word(const char *text, char word[static PATH_MAX])
{
	text += strspn(text, " \t");
	snprintf(word, PATH_MAX, "%.*s", (int)strcspn(text, " \t\n"), text);
	return text + strlen(word);
}

/*
 * Read the interpreter from a script's first line; without one, execvp() uses the shell. The interpreter
 * env executes the program that its next word names.
 */
static void find_interpreter(const char *text, char path[static PATH_MAX])
{
	char word[PATH_MAX];

	if (strncmp(text, "#!", 2)) {
		strcpy(path, "/bin/sh");
		return;
	}
	text = copy_word(text + 2, path);
	if (strlen(path) < 4 || strcmp(path + strlen(path) - 4, "/env"))
		return;
	text = copy_word(text, word);
	if (!strcmp(word, "-S"))
		copy_word(text, word);
	find_program(word, path);
}

/* Open the ELF file @path, or if it is a script, its interpreter. Return a descriptor, or -1. */
static int open_code(char path[static PATH_MAX])
{
	char text[256];
	ssize_t length;
	int fd;

	for (int i = 0; i <= SCRIPTS_MAX; i++) {
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			return -1;
		length = pread(fd, text, sizeof(text) - 1, 0);
		if (length >= SELFMAG && !memcmp(text, ELFMAG, SELFMAG))
			return fd;
		close(fd);
		if (length < 0)
			return -1;
		text[length] = '\0';
		find_interpreter(text, path);
	}
	return -1;
}

static void read_loader(Elf *elf, int fd, struct image *image)
{
	size_t count;
	GElf_Phdr header;

	if (elf_getphdrnum(elf, &count))
		return;
	for (size_t i = 0; i < count; i++)
		if (gelf_getphdr(elf, i, &header) && header.p_type == PT_INTERP &&
		    header.p_filesz < sizeof(image->loader) &&
		    pread(fd, image->loader, header.p_filesz, header.p_offset) < 0)
			image->loader[0] = '\0';
}

static void read_symbol(const char *name, bool defined, struct image *image)
{
	static const struct { const char *symbol, *name; } sanitizers[] = {
		{ "__tsan_init", "ThreadSanitizer" },
		{ "__msan_init", "MemorySanitizer" },
		{ "__asan_init", "AddressSanitizer" },
		{ "__lsan_init", "LeakSanitizer" },
		{ "__hwasan_init", "HWAddressSanitizer" },
	};

	if (!name)
		return;
	for (size_t i = 0; i < sizeof(sanitizers) / sizeof(sanitizers[0]); i++)
		if (!strcmp(name, sanitizers[i].symbol))
			image->sanitizer = sanitizers[i].name;
	if (defined && !strcmp(name, "malloc"))
		image->has_malloc = true;
}

static void read_symbols(Elf *elf, struct image *image)
{
	Elf_Scn *section = NULL;
	GElf_Shdr header;
	GElf_Sym symbol;
	Elf_Data *data;

	while ((section = elf_nextscn(elf, section))) {
		if (!gelf_getshdr(section, &header) || header.sh_type != SHT_DYNSYM ||
		    !header.sh_entsize)
			continue;
		data = elf_getdata(section, NULL);
		for (int i = 0; data && gelf_getsym(data, i, &symbol); i++)
			read_symbol(elf_strptr(elf, header.sh_link, symbol.st_name),
				    symbol.st_shndx != SHN_UNDEF, image);
	}
}

static void read_image(int fd, struct image *image)
{
	GElf_Ehdr header;
	Elf *elf = NULL;

	memset(image, 0, sizeof(*image));
	if (elf_version(EV_CURRENT) != EV_NONE)
		elf = elf_begin(fd, ELF_C_READ, NULL);
	if (elf && gelf_getehdr(elf, &header)) {
		image->is_elf = true;
		image->class = gelf_getclass(elf);
		image->machine = header.e_machine;
		read_loader(elf, fd, image);
		read_symbols(elf, image);
	}
	elf_end(elf);
}

static const char *file_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* Return whether @file is the loader, which has no loader itself, but runs programs with one. */
static bool is_loader(const char *loader, const struct stat *file)
{
	struct stat stat_buf;

	return !stat(loader, &stat_buf) && stat_buf.st_dev == file->st_dev &&
	       stat_buf.st_ino == file->st_ino;
}

/*
 * Return why the program gains rights when it is executed, or NULL if it gains none. The loader of
 * such a program ignores LD_PRELOAD. See cap_bprm_creds_from_file() in the kernel.
 */
static const char *gained_right(int fd, const struct stat *file)
{
	struct statvfs fs;

	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ||
	    (!fstatvfs(fd, &fs) && (fs.f_flag & ST_NOSUID)))
		return NULL;
	if ((file->st_mode & S_ISUID) && file->st_uid != getuid())
		return "it is set-user-ID, so its loader preloads no library; run this command as the owner of the program";
	if ((file->st_mode & S_ISGID) && (file->st_mode & S_IXGRP) && file->st_gid != getgid())
		return "it is set-group-ID, so its loader preloads no library; run this command with the group of the program";
	if (getuid() && fgetxattr(fd, "security.capability", NULL, 0) > 0)
		return "it has file capabilities, so its loader preloads no library; run this command as root";
	return NULL;
}

/* Judge whether a program that may be started uses the heap. */
static enum executable judge_heap(const struct image *image, bool is_loader,
				  char why[static EXECUTABLE_WHY])
{
	if (!*image->loader && !is_loader)
		snprintf(why, EXECUTABLE_WHY, "is static: its memory");
	else if (image->has_malloc)
		snprintf(why, EXECUTABLE_WHY, "has its own malloc(): its memory");
	else
		return EXECUTABLE_RUNS;
	return EXECUTABLE_UNLIMITED;
}

/*
 * Judge a program. @own: the image of this command, which uses the heap's C library; if its is_elf
 * is false, it is not known.
 */
static enum executable classify(int fd, const struct image *image, const struct image *own,
			     char why[static EXECUTABLE_WHY])
{
	struct stat file;
	const char *right;

	if (fstat(fd, &file))
		return EXECUTABLE_RUNS;
	right = gained_right(fd, &file);
	if (own->is_elf && image->class != own->class)
		snprintf(why, EXECUTABLE_WHY, "it has addresses of %d bits, and the heap has %d",
			 image->class == ELFCLASS32 ? 32 : 64, own->class == ELFCLASS32 ? 32 : 64);
	else if (own->is_elf && image->machine != own->machine)
		snprintf(why, EXECUTABLE_WHY, "it is for another kind of processor");
	else if (*image->loader && *own->loader &&
		 strcmp(file_name(image->loader), file_name(own->loader)))
		snprintf(why, EXECUTABLE_WHY, "it is for another C library (its loader is %s)",
			 image->loader);
	else if (image->sanitizer)
		snprintf(why, EXECUTABLE_WHY, "it is built with %s, which needs its own malloc()",
			 image->sanitizer);
	else if (right)
		snprintf(why, EXECUTABLE_WHY, "%s", right);
	else
		return judge_heap(image, is_loader(own->loader, &file), why);
	return EXECUTABLE_REFUSED;
}

enum executable executable_judge(const char *program, char why[static EXECUTABLE_WHY])
{
	enum executable answer = EXECUTABLE_RUNS;
	struct image image, own = {};
	char path[PATH_MAX];
	int fd;

	if (!find_program(program, path))
		return EXECUTABLE_RUNS;
	fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		read_image(fd, &own);
		close(fd);
	}
	fd = open_code(path);
	if (fd < 0)
		return EXECUTABLE_RUNS;
	read_image(fd, &image);
	if (image.is_elf)
		answer = classify(fd, &image, &own, why);
	close(fd);
	return answer;
}
