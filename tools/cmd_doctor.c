// SPDX-License-Identifier: GPL-2.0
/* expertmem doctor: what is wrong, and what to do about it. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <limits.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <linux/capability.h>

#include "args.h"
#include "command.h"
#include "nl.h"
#include "view.h"

#define GROUP	"expertmem"
#define THP	"/sys/kernel/mm/transparent_hugepage/shmem_enabled"
#define PARAMETERS "/sys/module/expertmem/parameters/"
/* the first interface with limits of users */
#define FIRST_ABI_WITH_USERS 2
/* how many experts, and with how much */
#define USE_TEXT 128
/* of the firmware: four bytes of attributes, then 1 where it is on */
#define SECURE_BOOT "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"

static const char help[] =
"Usage: expertmem doctor [OPTION]...\n"
"\n"
"Check all that experts need of this machine and of you: the kernel module, its version\n"
"and interface, the device and the right to open it, netlink, control group, huge pages\n"
"and secure boot; and how much of the limits you and all users have used up. A note is also\n"
"what gives away more than it should: a device or a directory of experts that everybody may\n"
"write to, and parameters that promise more memory than there is. For each problem it says\n"
"what to do. From 90 % on, the use of a limit is a note, and from 100 %\n"
"on a problem.\n"
"\n"
"  --json   print an array of objects\n"
"  --help   print this text\n"
"\n"
"Example: as the user that runs the experts\n"
"  sudo -u capture expertmem doctor\n"
"\n"
"The keys of each object:\n"
"  check                    what was looked at: command (its file), experts (their\n"
"                           directory), module, version, device, rights, group,\n"
"                           interface, user-limits (yours), addresses, data,\n"
"                           overcommit, seccomp, netlink, parameters (the module's),\n"
"                           limits (of all users; reclaimed experts do not count),\n"
"                           cgroup, huge-pages or secure-boot\n"
"  result                   ok, note or problem\n"
"  message                  what was seen, in words\n"
"  remedy                   what to do, or null\n"
"\n"
"Exit status:\n"
"  0    no problem\n"
"  1    problems, but neither of these\n"
"  2    wrong command line\n"
"  4    no permission for the device\n"
"  10   the module is not loaded\n";

enum result { OK, NOTE, PROBLEM };

struct checkup {
	bool json, some;
	bool loaded;
	int fd;		/* of the device while it is looked at, -1: it could not be opened */
	bool is_privileged;	/* has CAP_SYS_RESOURCE: no limits of a user, and the reserve */
	bool knows_user;	/* @uid_charged has been read */
	uint64_t uid_charged;	/* what this user's experts have, bytes */
	int status;
};

static void __attribute__((format(printf, 5, 6)))
tell(struct checkup *checkup, enum result result, const char *check, const char *remedy,
     const char *format, ...)
{
	static const char *const words[] = { "ok", "note", "problem" };
	static const enum colour colours[] = { GREEN, YELLOW, RED };
	char message[512];
	struct json json;
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	plain_text(message);
	if (result == PROBLEM && !checkup->status)
		checkup->status = EXIT_FAILED;
	if (!checkup->json) {
		printf("%s%-7s%s  %-11s  %s\n", escape(colours[result]), words[result],
		       escape(PLAIN), check, message);
		if (remedy)
			printf("%23s%s\n", "=> ", remedy);
		return;
	}
	fputs(checkup->some ? ",\n  " : "[\n  ", stdout);
	checkup->some = true;
	json_begin(&json, stdout, false);
	json_string(&json, "check", check);
	json_string(&json, "result", words[result]);
	json_string(&json, "message", message);
	json_string(&json, "remedy", remedy);
	json_end(&json);
}

/* A problem that has an exit status of its own: of several, the first. */
static void set_status(struct checkup *checkup, int status)
{
	if (!checkup->status || checkup->status == EXIT_FAILED)
		checkup->status = status;
}

/* The first line of a file. Return false where it cannot be read. */
static bool read_line(const char *path, char *line, size_t size)
{
	FILE *file = fopen(path, "re");
	bool read = file && fgets(line, size, file);

	if (file)
		fclose(file);
	if (read)
		line[strcspn(line, "\n")] = '\0';
	return read;
}

static bool has_secure_boot(void)
{
	unsigned char bytes[5] = {};
	FILE *file = fopen(SECURE_BOOT, "re");
	bool on = file && fread(bytes, sizeof(bytes), 1, file) == 1 && bytes[4] == 1;

	if (file)
		fclose(file);
	return on;
}

/* Whether all users are mapped to themselves, as in the initial user namespace. */
static bool sees_all_users(void)
{
	unsigned int inside, outside, count;
	char line[256];

	return read_line("/proc/self/uid_map", line, sizeof(line)) &&
	       /* NOLINTNEXTLINE(cert-err34-c): the kernel's own numbers fit */
	       sscanf(line, "%u %u %u", &inside, &outside, &count) == 3 &&
	       !inside && !outside && count == UINT32_MAX;
}

/* Whether this process has CAP_SYS_RESOURCE in the initial user namespace. */
static bool may_use_reserve(void)
{
	const uint64_t bit = UINT64_C(1) << CAP_SYS_RESOURCE;
	uint64_t capabilities = 0;
	char line[256];
	FILE *file;

	/* elsewhere, a capability is one over fewer users */
	if (!sees_all_users())
		return false;
	file = fopen("/proc/self/status", "re");
	while (file && fgets(line, sizeof(line), file))
		if (!strncmp(line, "CapEff:", 7))
			capabilities = strtoull(line + 7, NULL, 16);
	if (file)
		fclose(file);
	return capabilities & bit;
}

static enum result judge_use(uint64_t used, uint64_t limit)
{
	unsigned int percent = percent_of(used, limit);	/* 0 of no limit */

	return percent >= 100 ? PROBLEM : percent >= 90 ? NOTE : OK;
}

/* "2 of 8192 open, with 1.2 MiB of 1000.0 MiB", "2 open, with 1.2 MiB". */
static const char *use_text(char text[static USE_TEXT], unsigned int experts,
			    unsigned int max_experts, uint64_t bytes, uint64_t limit)
{
	char max[SIZE_TEXT] = "", has[SIZE_TEXT], most[SIZE_TEXT];

	if (max_experts)
		snprintf(max, sizeof(max), " of %u", max_experts);
	snprintf(text, USE_TEXT, "%u%s open, with %s%s%s", experts, max, size_text(has, bytes),
		 limit ? " of " : "", limit ? size_text(most, limit) : "");
	return text;
}

/* --- the checks, in the order in which one needs the other */

/* "expertmem run" runs what it is told to: with the rights of its own file, anybody has them. */
static void check_command(struct checkup *checkup)
{
	char path[PATH_MAX] = "", remedy[PATH_MAX + 64], value;
	struct stat file;

	if (readlink("/proc/self/exe", path, sizeof(path) - 1) < 0 || stat(path, &file))
		return;
	if (file.st_mode & (S_ISUID | S_ISGID)) {
		snprintf(remedy, sizeof(remedy), "chmod u-s,g-s %s", path);
		tell(checkup, PROBLEM, "command", remedy, "%s has mode %04o: whoever runs it runs "
		     "programs with the rights of its %s", path, file.st_mode & 07777,
		     file.st_mode & S_ISUID ? "owner" : "group");
	} else if (getxattr(path, "security.capability", &value, 0) > 0) {
		snprintf(remedy, sizeof(remedy), "setcap -r %s", path);
		tell(checkup, PROBLEM, "command", remedy, "%s has file capabilities: whoever runs it "
		     "is an operator", path);
	} else if (file.st_mode & S_IWOTH) {
		snprintf(remedy, sizeof(remedy), "chmod o-w %s", path);
		tell(checkup, PROBLEM, "command", remedy, "everybody may replace the contents of %s",
		     path);
	} else {
		tell(checkup, OK, "command", NULL, "%s has no rights of its own", path);
	}
}

/* Where "expertmem run NAME" looks for an expert. */
static void check_experts(struct checkup *checkup)
{
	const char *path = getenv("EXPERTMEM_PATH");
	char remedy[PATH_MAX + 64];
	struct passwd *owner;
	struct stat directory;

	if (!path || !*path)
		path = EXPERTDIR;
	if (stat(path, &directory) || !S_ISDIR(directory.st_mode)) {
		tell(checkup, NOTE, "experts", "make install, or set EXPERTMEM_PATH to their directory",
		     "there is no directory %s: experts are found by their path only", path);
	} else if (directory.st_mode & S_IWOTH) {
		snprintf(remedy, sizeof(remedy), "chmod o-w %s", path);
		tell(checkup, NOTE, "experts", remedy,
		     "everybody may put experts into %s, which others then run", path);
	} else if (directory.st_uid && directory.st_uid != geteuid() && sees_all_users()) {
		owner = getpwuid(directory.st_uid);
		snprintf(remedy, sizeof(remedy), "chown root %s", path);
		tell(checkup, NOTE, "experts", remedy, "%s, whose experts you run by name, belongs to %s",
		     path, owner ? owner->pw_name : "a user without a name");
	} else {
		tell(checkup, OK, "experts", NULL, "experts are looked for in %s", path);
	}
}

/* Where modprobe would find the module of the running kernel. */
static bool find_module(const char *release, char *path, size_t size)
{
	char name[PATH_MAX], line[PATH_MAX], *end;
	bool found = false;
	FILE *file;

	snprintf(name, sizeof(name), "/lib/modules/%s/modules.dep", release);
	file = fopen(name, "re");
	while (file && !found && fgets(line, sizeof(line), file)) {
		end = strchr(line, ':');
		if (!end)
			continue;
		*end = '\0';
		found = strstr(line, "/expertmem.ko") &&
			(size_t)snprintf(path, size, "/lib/modules/%s/%s", release, line) < size;
	}
	if (file)
		fclose(file);
	return found;
}

/* A signature is at the end of the file; of a compressed one, it is not known. */
static bool is_unsigned(const char *path)
{
	static const char mark[] = "~Module signature appended~\n";
	size_t length = strlen(path);
	char end[sizeof(mark)] = "";
	FILE *file;

	if (length < 3 || strcmp(path + length - 3, ".ko"))
		return false;
	file = fopen(path, "re");
	if (!file)
		return false;
	if (fseek(file, -(long)strlen(mark), SEEK_END) || !fgets(end, sizeof(end), file))
		end[0] = '\0';
	fclose(file);
	return strcmp(end, mark);
}

/* Why the kernel loads signed modules only, or NULL. */
static const char *signing_enforced(void)
{
	char line[128] = "";

	if (read_line("/sys/kernel/security/lockdown", line, sizeof(line)) &&
	    strchr(line, '[') && !strstr(line, "[none]"))
		return "it is locked down";
	if (read_line("/sys/module/module/parameters/sig_enforce", line, sizeof(line)) &&
	    line[0] == 'Y')
		return "module.sig_enforce is on";
	return NULL;
}

static void check_not_loaded(struct checkup *checkup)
{
	const char *enforced = signing_enforced();
	char remedy[256], path[PATH_MAX];
	struct utsname system;

	set_status(checkup, EXIT_NO_MODULE);
	uname(&system);
	if (!find_module(system.release, path, sizeof(path))) {
		snprintf(path, sizeof(path), "/lib/modules/%s/build/Makefile", system.release);
		snprintf(remedy, sizeof(remedy), "modprobe expertmem; if it is not found: %s%s, "
			 "then dkms autoinstall",
			 access(path, F_OK) ? "install linux-headers-" : "the headers are here",
			 access(path, F_OK) ? system.release : "");
		tell(checkup, PROBLEM, "module", remedy,
		     "the kernel module is not loaded, and not installed for Linux %s", system.release);
	} else if (enforced && is_unsigned(path)) {
		tell(checkup, PROBLEM, "module",
		     "sign it by make sign, or build it by DKMS, which signs; enrol the key by "
		     "mokutil --import", "the kernel loads signed modules only (%s), and %s is not "
		     "signed", enforced, path);
	} else if (enforced) {
		tell(checkup, PROBLEM, "module",
		     "modprobe expertmem; if its key is rejected: enrol the key by mokutil --import",
		     "the kernel module is not loaded; the kernel loads signed modules only (%s)",
		     enforced);
	} else {
		tell(checkup, PROBLEM, "module", "modprobe expertmem", "the kernel module is not loaded");
	}
}

static void check_module(struct checkup *checkup)
{
	char version[64] = "";

	checkup->loaded = !access("/sys/module/expertmem", F_OK);
	if (!checkup->loaded) {
		check_not_loaded(checkup);
		return;
	}
	tell(checkup, OK, "module", NULL, "the kernel module is loaded");
	if (!read_line("/sys/module/expertmem/version", version, sizeof(version)))
		return;
	if (strcmp(version, EXPERTMEM_VERSION))
		tell(checkup, NOTE, "version",
		     "install both of one version, then rmmod expertmem; modprobe expertmem",
		     "the module is %s, this command %s", version, EXPERTMEM_VERSION);
	else
		tell(checkup, OK, "version", NULL, "module and command are both %s", version);
}

/* Check owner, group and mode of the device; each of them may be wrong. */
static void check_node(struct checkup *checkup, const struct stat *node, const struct group *group)
{
	unsigned int mode = node->st_mode & 07777;
	bool fine = true;

	if (group && node->st_gid != group->gr_gid) {
		fine = false;
		tell(checkup, geteuid() ? PROBLEM : NOTE, "device",
		     "install udev's rule, 60-expertmem.rules; then udevadm trigger " DEVICE,
		     DEVICE " is there, but does not belong to the group " GROUP);
	}
	if (mode & 0007) {
		fine = false;
		tell(checkup, NOTE, "device", group ?
		     "chgrp " GROUP " " DEVICE "; chmod 0660 " DEVICE "; and remove the rule of udev "
		     "that sets this mode (grep -r expertmem /etc/udev/rules.d)" :
		     "groupadd --system " GROUP "; chgrp " GROUP " " DEVICE "; chmod 0660 " DEVICE
		     "; and install udev's rule, 60-expertmem.rules",
		     DEVICE " has mode %04o: everybody on this machine may use memory by it", mode);
	}
	if (group && (mode & 0060) != 0060) {
		fine = false;
		tell(checkup, geteuid() ? PROBLEM : NOTE, "device", "chmod 0660 " DEVICE,
		     DEVICE " has mode %04o: members of its group may not use it", mode);
	}
	if (node->st_uid && sees_all_users()) {
		fine = false;
		tell(checkup, NOTE, "device", "chown root " DEVICE,
		     DEVICE " belongs to user %u, who may let others open it", node->st_uid);
	}
	if (fine)
		tell(checkup, OK, "device", NULL, DEVICE " is there, mode %04o", mode);
}

static void check_device(struct checkup *checkup)
{
	unsigned int major = 0, minor = 0;
	char line[64] = "";
	struct group *group = getgrnam(GROUP);
	struct stat node;

	if (stat(DEVICE, &node)) {
		tell(checkup, PROBLEM, "device", checkup->loaded ?
		     "mount devtmpfs on /dev; in a container, pass the device to it" :
		     "load the module, which makes it", "there is no " DEVICE);
		return;
	}
	read_line("/sys/class/misc/expertmem/dev", line, sizeof(line));
	if (!S_ISCHR(node.st_mode) ||
	    /* NOLINTNEXTLINE(cert-err34-c): the kernel's own numbers fit */
	    (sscanf(line, "%u:%u", &major, &minor) == 2 && node.st_rdev != makedev(major, minor)))
		tell(checkup, PROBLEM, "device", "rm " DEVICE "; then load the module again",
		     DEVICE " is not the module's device");
	else
		check_node(checkup, &node, group);
}

static bool in_group(gid_t gid)
{
	gid_t groups[1024];
	int count = getgroups(1024, groups);

	for (int i = 0; i < count; i++)
		if (groups[i] == gid)
			return true;
	return getegid() == gid;
}

/* The system's database, which a session heeds only from its start. */
static bool is_member(const struct group *group, const char *name)
{
	for (char **member = group->gr_mem; *member; member++)
		if (!strcmp(*member, name))
			return true;
	return false;
}

static void check_rights(struct checkup *checkup)
{
	checkup->fd = open(DEVICE, O_RDWR | O_CLOEXEC);
	if (checkup->fd >= 0) {
		tell(checkup, OK, "rights", NULL, "you may open " DEVICE);
	} else if (errno == EACCES || errno == EPERM) {
		set_status(checkup, EXIT_PERMISSION);
		tell(checkup, PROBLEM, "rights", "become a member of its group, see below",
		     "you may not open " DEVICE);
	} else if (errno == EDQUOT) {
		tell(checkup, PROBLEM, "user-limits",
		     "close some ('expertmem list' has yours), or as root raise "
		     PARAMETERS "uid_max_experts",
		     "you have as many experts open as one user may, reclaimed ones included");
	} else if (errno == ENFILE) {
		tell(checkup, PROBLEM, "limits",
		     "close some ('sudo expertmem list --sort user' has all), or as root raise "
		     PARAMETERS "max_experts",
		     "all users together have as many experts open as there may be");
	} else if (errno != ENOENT) {
		tell(checkup, PROBLEM, "rights", "load the module again",
		     DEVICE " cannot be opened: %s", strerror(errno));
	}
}

static void check_group(struct checkup *checkup)
{
	struct passwd *user = getpwuid(geteuid());
	const char *name = user ? user->pw_name : "USER";
	struct group *group = getgrnam(GROUP);
	char remedy[256];

	if (!group) {
		tell(checkup, NOTE, "group", "groupadd --system " GROUP "; then load the module again",
		     "there is no group " GROUP ": only root may run experts");
	} else if (in_group(group->gr_gid) || !geteuid()) {
		tell(checkup, OK, "group", NULL, "%s", geteuid() ?
		     "you are a member of the group " GROUP :
		     "there is the group " GROUP "; root needs none");
	} else if (is_member(group, name)) {
		tell(checkup, PROBLEM, "group", "log in again",
		     "you are a member of the group " GROUP ", but were not when you logged in");
	} else {
		snprintf(remedy, sizeof(remedy), "usermod -aG " GROUP " %s, then log in again",
			 name);
		tell(checkup, checkup->fd < 0 ? PROBLEM : NOTE, "group", remedy,
		     "you are not a member of the group " GROUP);
	}
}

/* Of the experts that this user has, one is that of checkup->fd. */
static void check_user_limits(struct checkup *checkup, const struct expertmem_info *info)
{
	unsigned int experts = info->uid_experts - 1;
	enum result number = judge_use(experts, info->uid_max_experts);
	enum result bytes = judge_use(info->uid_charged, info->uid_limit);
	char use[USE_TEXT];

	checkup->uid_charged = info->uid_charged;
	checkup->knows_user = true;
	if (checkup->is_privileged)
		tell(checkup, OK, "user-limits", NULL,
		     "your experts: %s; with CAP_SYS_RESOURCE, no limits of a user count",
		     use_text(use, experts, 0, info->uid_charged, 0));
	else
		tell(checkup, number > bytes ? number : bytes, "user-limits",
		     number > bytes ?
			"close some ('expertmem list' has yours), or as root raise "
			PARAMETERS "uid_max_experts" :
		     bytes ?
			"end some ('expertmem list' has yours), or as root raise "
			PARAMETERS "uid_limit" : NULL,
		     "your experts: %s", use_text(use, experts, info->uid_max_experts,
						  info->uid_charged, info->uid_limit));
}

static void check_interface(struct checkup *checkup)
{
	struct expertmem_info info;

	if (checkup->fd < 0)
		return;
	if (ioctl(checkup->fd, EXPERTMEM_IOC_GET_INFO, &info)) {
		tell(checkup, PROBLEM, "interface", "rm " DEVICE "; then load the module again",
		     DEVICE " does not answer as the module does: %s", strerror(errno));
		close(checkup->fd);
		return;
	}
	if (info.abi < EXPERTMEM_ABI_VERSION)
		tell(checkup, PROBLEM, "interface",
		     "install the module of this version, then rmmod expertmem; modprobe expertmem",
		     "the module's interface is %u, older than the %u that is needed",
		     info.abi, EXPERTMEM_ABI_VERSION);
	else
		tell(checkup, OK, "interface", NULL, "the module's interface is %u, %u is needed",
		     info.abi, EXPERTMEM_ABI_VERSION);
	if (!(info.features & EXPERTMEM_FEATURE_HUGE))
		tell(checkup, NOTE, "huge-pages", "run a kernel with transparent huge pages",
		     "this kernel has none for experts: large blocks are slower");
	if (info.abi >= FIRST_ABI_WITH_USERS)
		check_user_limits(checkup, &info);
	/* it made an expert, which shall not be counted below */
	close(checkup->fd);
}

/* The library maps windows of the module, of which it uses the least part. */
static void check_addresses(struct checkup *checkup)
{
	struct rlimit limit;
	char size[SIZE_TEXT];

	if (getrlimit(RLIMIT_AS, &limit) || limit.rlim_cur == RLIM_INFINITY)
		tell(checkup, OK, "addresses", NULL, "address space is not limited");
	else
		tell(checkup, PROBLEM, "addresses",
		     "ulimit -v unlimited; limit memory by control group instead",
		     "address space is limited to %s: windows of the module take three quarters, "
		     "and all of it where that is less than 3 GiB",
		     size_text(size, limit.rlim_cur));
	if (getrlimit(RLIMIT_DATA, &limit) || limit.rlim_cur == RLIM_INFINITY)
		tell(checkup, OK, "data", NULL, "private memory is not limited");
	else
		tell(checkup, NOTE, "data", "ulimit -d unlimited; limit memory by control group instead",
		     "private memory is limited to %s: that counts an expert without the module, "
		     "and not one with it", size_text(size, limit.rlim_cur));
}

static void check_overcommit(struct checkup *checkup)
{
	char line[64] = "";

	if (!read_line("/proc/sys/vm/overcommit_memory", line, sizeof(line)))
		return;
	if (!strcmp(line, "2"))
		tell(checkup, NOTE, "overcommit", "sysctl vm.overcommit_memory=0, or raise vm.overcommit_ratio",
		     "the kernel promises no more memory than it has: experts without the module count as "
		     "their heaps grow, and a fork of such a program counts its heap again");
	else
		tell(checkup, OK, "overcommit", NULL, "vm.overcommit_memory is %s: not strict", line);
}

/* What this command was started with, its children and experts have, too. */
static void check_filter(struct checkup *checkup)
{
	FILE *file = fopen("/proc/self/status", "re");
	char line[256];
	long mode = 0;

	while (file && fgets(line, sizeof(line), file))
		if (!strncmp(line, "Seccomp:", 8))
			mode = strtol(line + 8, NULL, 10);
	if (file)
		fclose(file);
	if (mode)
		tell(checkup, NOTE, "seccomp", "allow ioctl, membarrier, rt_sigprocmask, gettid, getpid and prctl",
		     "system calls are filtered here: experts need those below, or have private memory");
	else
		tell(checkup, OK, "seccomp", NULL, "system calls are not filtered");
}

/* What this user may use of a limit of all users: not the reserve, without the right to it. */
static uint64_t usable(const struct checkup *checkup, uint64_t limit)
{
	return checkup->is_privileged ? limit : limit - limit / 16;
}

static void check_limits(struct checkup *checkup, const struct totals *totals)
{
	uint64_t charged = totals->committed + totals->pinned;
	uint64_t limit = usable(checkup, totals->total_limit);
	unsigned int max_experts = usable(checkup, totals->max_experts);
	enum result number = judge_use(totals->experts, max_experts);
	enum result bytes = judge_use(charged, limit);
	char use[USE_TEXT], size[SIZE_TEXT], others[64] = "";

	/* both numbers change while they are read */
	if (checkup->knows_user)
		snprintf(others, sizeof(others), "; other users have %s",
			 size_text(size, charged > checkup->uid_charged ?
					 charged - checkup->uid_charged : 0));
	tell(checkup, number > bytes ? number : bytes, "limits",
	     number > bytes ?
		"close some ('sudo expertmem list --sort user' has all), or as root raise "
		PARAMETERS "max_experts" :
	     bytes ?
		"end some ('sudo expertmem list --sort committed' has all), or as root raise "
		PARAMETERS "total_limit" : NULL,
	     "all users' experts: %s%s%s",
	     use_text(use, totals->experts, max_experts, charged, limit),
	     checkup->is_privileged || (!limit && !max_experts) ? "" :
		", without what is reserved for CAP_SYS_RESOURCE", others);
}

/* The size of this machine's memory, bytes. */
static uint64_t memory_size(void)
{
	struct sysinfo system;

	return sysinfo(&system) ? UINT64_MAX : (uint64_t)system.totalram * system.mem_unit;
}

/* Limits that are promises which the machine, or a lower limit, cannot keep. */
static void check_parameters(struct checkup *checkup, const struct totals *totals)
{
	const uint64_t total = totals->total_limit;
	const struct { const char *name; uint64_t value; } inner[] = {
		{ "default_limit", totals->default_limit }, { "uid_limit", totals->uid_limit },
	};
	char size[SIZE_TEXT], most[SIZE_TEXT], remedy[128];
	const uint64_t memory = memory_size();
	bool fine = true;

	size_text(most, memory);
	if (!total || total > memory) {
		fine = false;
		snprintf(remedy, sizeof(remedy), "as root: echo %" PRIu64 "M >" PARAMETERS "total_limit",
			 memory >> 21);
		tell(checkup, NOTE, "parameters", remedy,
		     "total_limit is %s, and this machine has %s of memory: experts may use up all of it",
		     limit_text(size, total, false), most);
	}
	size_text(most, total);
	for (size_t i = 0; i < sizeof(inner) / sizeof(inner[0]) && total; i++) {
		if (inner[i].value <= total)
			continue;
		fine = false;
		snprintf(remedy, sizeof(remedy), "as root: echo %s >" PARAMETERS "%s",
			 i ? "auto" : "0", inner[i].name);
		tell(checkup, NOTE, "parameters", remedy, "%s is %s, which experts never get: "
		     "total_limit is %s", inner[i].name, size_text(size, inner[i].value), most);
	}
	if (totals->uid_limit && totals->default_limit > totals->uid_limit) {
		fine = false;
		tell(checkup, NOTE, "parameters", "as root: lower " PARAMETERS "default_limit",
		     "default_limit is %s, which experts without CAP_SYS_RESOURCE never get: "
		     "uid_limit is %s", size_text(size, totals->default_limit),
		     size_text(most, totals->uid_limit));
	}
	if (totals->max_experts && totals->uid_max_experts > totals->max_experts) {
		fine = false;
		tell(checkup, NOTE, "parameters", "as root: echo auto >" PARAMETERS "uid_max_experts",
		     "uid_max_experts is %u, which users never get: max_experts is %u",
		     totals->uid_max_experts, totals->max_experts);
	}
	if (fine)
		tell(checkup, OK, "parameters", NULL, "experts together may have %s of %s of memory",
		     size_text(size, total), size_text(most, memory));
}

static void check_netlink(struct checkup *checkup)
{
	struct link *link = NULL;
	struct totals totals = {};
	int error;

	if (!checkup->loaded)
		return;
	error = link_open(&link);
	if (!error)
		error = link_totals(link, &totals);
	if (error == -ENODEV) {
		tell(checkup, PROBLEM, "netlink",
		     "use the initial network namespace; if this is it, update the module",
		     "the module does not answer by netlink here");
	} else if (error) {
		tell(checkup, PROBLEM, "netlink", NULL, "the module does not answer by netlink: %s",
		     strerror(-error));
	} else {
		error = link_subscribe(link);
		tell(checkup, OK, "netlink", NULL, "the module answers: you see %s",
		     error ? "your own experts (root sees all)" : "all experts, and events");
		check_parameters(checkup, &totals);
		check_limits(checkup, &totals);
	}
	link_close(link);
}

static void check_cgroup(struct checkup *checkup)
{
	char line[512], path[640], limit[64] = "", *group;
	FILE *file = fopen("/proc/self/cgroup", "re");
	bool unified = false;

	/* "0::/path" is the unified hierarchy's */
	while (file && !unified && fgets(line, sizeof(line), file))
		unified = !strncmp(line, "0::", 3);
	if (file)
		fclose(file);
	if (!unified) {
		tell(checkup, NOTE, "cgroup", NULL, "this process is in no control group (version 2)");
		return;
	}
	group = line + 3;
	group[strcspn(group, "\n")] = '\0';
	snprintf(path, sizeof(path), "/sys/fs/cgroup%s/memory.max", group);
	if (!read_line(path, limit, sizeof(limit)) || !strcmp(limit, "max"))
		tell(checkup, NOTE, "cgroup", "systemd-run -p MemoryMax=2G COMMAND, or MemoryMax= in the unit",
		     "control group %s does not limit memory", group);
	else if (strtoull(limit, NULL, 10) > memory_size())
		tell(checkup, NOTE, "cgroup", "lower MemoryMax= in the unit",
		     "control group %s limits memory to %s bytes, more than this machine has",
		     group, limit);
	else
		tell(checkup, OK, "cgroup", NULL, "control group %s limits memory to %s bytes",
		     group, limit);
}

static void check_huge_pages(struct checkup *checkup)
{
	char line[256] = "", *chosen, *end;

	if (!read_line(THP, line, sizeof(line))) {
		tell(checkup, NOTE, "huge-pages", "run a kernel with transparent huge pages",
		     "this kernel has no transparent huge pages: large blocks are slower");
		return;
	}
	chosen = strchr(line, '[');
	end = chosen ? strchr(chosen, ']') : NULL;
	if (!end)
		return;
	*end = '\0';
	chosen++;
	if (!strcmp(chosen, "deny"))
		tell(checkup, NOTE, "huge-pages", "echo never > " THP,
		     "huge pages are denied to all shared memory: large blocks are slower");
	else if (!strcmp(chosen, "force"))
		tell(checkup, PROBLEM, "huge-pages", "echo never > " THP,
		     "huge pages are forced on all shared memory, a switch for testing the "
		     "kernel: experts may hold more than their limit");
	else
		tell(checkup, OK, "huge-pages", NULL, "shmem_enabled is %s: the module decides",
		     chosen);
}

static void check_secure_boot(struct checkup *checkup)
{
	if (!has_secure_boot())
		tell(checkup, OK, "secure-boot", NULL, "secure boot is off, or not known");
	else if (checkup->loaded)
		tell(checkup, OK, "secure-boot", NULL, "secure boot is on, and the module is loaded");
	else
		tell(checkup, NOTE, "secure-boot",
		     "sign the module with a key that mokutil --import has made known",
		     "secure boot is on: a module that is not signed is refused "
		     "(Key was rejected by service)");
}

int doctor_main(int argc, char **argv)
{
	struct options options = {
		.command = "doctor", .help = help, .expected = "no arguments",
	};
	int status = read_options(&options, argc, argv);
	struct checkup checkup = { .fd = -1 };

	if (status != GO_ON)
		return status;
	checkup.json = options.json;
	checkup.is_privileged = may_use_reserve();
	check_command(&checkup);
	check_experts(&checkup);
	check_module(&checkup);
	check_device(&checkup);
	check_rights(&checkup);
	check_group(&checkup);
	check_interface(&checkup);
	check_addresses(&checkup);
	check_overcommit(&checkup);
	check_filter(&checkup);
	check_netlink(&checkup);
	check_cgroup(&checkup);
	check_huge_pages(&checkup);
	check_secure_boot(&checkup);
	if (checkup.json)
		puts("\n]");
	return finish_output("doctor", checkup.status);
}
