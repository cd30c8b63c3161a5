// SPDX-License-Identifier: GPL-2.0
/* expertmem doctor: check the machine and the user, and print remedies. */
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

#include <expertmem.h>

#include "args.h"
#include "command.h"
#include "nl.h"
#include "view.h"

#define GROUP	"expertmem"
#define THP	"/sys/kernel/mm/transparent_hugepage/"
#define PARAMETERS "/sys/module/expertmem/parameters/"
/* the first version of the interface that has limits of a user */
#define FIRST_ABI_WITH_USERS 2
/* size of the text of use_text() */
#define USE_TEXT 128
/* a variable of the firmware: four bytes of attributes, then 1 if secure boot is on */
#define SECURE_BOOT "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"

static const struct option_row options_table[] = {
	OPTION_JSON("print a JSON array with an object for each check"),
	OPTION_HELP,
	{}
};

static const struct key_section keys[] = {
	{ "The keys of each object:", (const struct key_row[]){
		{ .keys = "check", .help =
			"name of the check: command (its file), experts (their directory), engine, module, "
			"version, device, rights, group, interface, user-limits (of your user), "
			"addresses, data, overcommit, seccomp, netlink, parameters (of the module), "
			"limits (of all users, without reclaimed experts), cgroup, huge-pages or "
			"secure-boot" },
		{ .keys = "result", .help = "ok, note or problem" },
		{ .keys = "message", .help = "what the check found, in words" },
		{ .keys = "remedy", .help = "what to do, or null" },
		{}
	} },
	{}
};

static const struct status_row statuses[] = {
	{ EXIT_OK, "no check found a problem" },
	{ EXIT_FAILED, "a check found a problem other than those of status 4 and 10" },
	STATUS_USAGE,
	{ EXIT_PERMISSION, "you have no permission for the device" },
	STATUS_NO_MODULE,
	{}
};

static const struct help help = {
	.usage = "",
	.about =
"Check what experts need from this machine and from your user: the kernel module, its version\n"
"and interface, the device and the right to open it, netlink, the control group, huge pages\n"
"and secure boot. Also check how much of the limits you and all users have used, and whether\n"
"files, devices and parameters grant more than they should. Print a remedy for each problem.\n"
"The use of a limit is a note from 90 % on, and a problem from 100 % on.\n",
	.options = options_table,
	.notes =
"Example: check as the user who runs the experts\n"
"  sudo -u capture expertmem doctor\n",
	.keys = keys,
	.statuses = statuses,
};

enum result { OK, NOTE, PROBLEM };

/**
 * struct checkup - the state of one run
 * @json: print JSON
 * @some: an object was printed before
 * @loaded: the module is loaded
 * @fd: the open device, or -1 if it could not be opened
 * @is_privileged: the process has CAP_SYS_RESOURCE: the limits of a user do not apply to its
 *	experts, and they may use the reserve
 * @knows_user: @uid_charged is set
 * @uid_charged: committed and pinned bytes of this user's experts
 * @status: the exit status so far
 */
struct checkup {
	bool json, some;
	bool loaded;
	int fd;
	bool is_privileged;
	bool knows_user;
	uint64_t uid_charged;
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

/* Set the exit status of a problem. The first one set stays, but replaces EXIT_FAILED. */
static void set_status(struct checkup *checkup, int status)
{
	if (!checkup->status || checkup->status == EXIT_FAILED)
		checkup->status = status;
}

/* Read the first line of a file. Return false if it cannot be read. */
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

/* Return whether every uid is mapped to itself, as in the initial user namespace. */
static bool sees_all_users(void)
{
	unsigned int inside, outside, count;
	char line[256];

	return read_line("/proc/self/uid_map", line, sizeof(line)) &&
	       /* NOLINTNEXTLINE(cert-err34-c): the kernel's own numbers fit */
	       sscanf(line, "%u %u %u", &inside, &outside, &count) == 3 &&
	       !inside && !outside && count == UINT32_MAX;
}

/* Return whether this process has CAP_SYS_RESOURCE in the initial user namespace. */
static bool may_use_reserve(void)
{
	const uint64_t bit = UINT64_C(1) << CAP_SYS_RESOURCE;
	uint64_t capabilities = 0;
	char line[256];
	FILE *file;

	/* a capability of another user namespace does not count for the module */
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
	unsigned int percent = percent_of(used, limit);	/* 0 if there is no limit */

	return percent >= 100 ? PROBLEM : percent >= 90 ? NOTE : OK;
}

/* Write "2 of 8192 open, with 1.2 MiB of 1000.0 MiB" or "2 open, with 1.2 MiB". */
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

/* --- the checks; later ones use results of earlier ones */

/*
 * Check that the file of this command grants no rights: "expertmem run" runs any program, so every
 * user would get these rights.
 */
static void check_command(struct checkup *checkup)
{
	char path[PATH_MAX] = "", remedy[PATH_MAX + 64], value;
	struct stat file;

	if (readlink("/proc/self/exe", path, sizeof(path) - 1) < 0 || stat(path, &file))
		return;
	if (file.st_mode & (S_ISUID | S_ISGID)) {
		snprintf(remedy, sizeof(remedy), "chmod u-s,g-s %s", path);
		tell(checkup, PROBLEM, "command", remedy, "%s has mode %04o: every user who runs it "
		     "gets the rights of its %s", path, file.st_mode & 07777,
		     file.st_mode & S_ISUID ? "owner" : "group");
	} else if (getxattr(path, "security.capability", &value, 0) > 0) {
		snprintf(remedy, sizeof(remedy), "setcap -r %s", path);
		tell(checkup, PROBLEM, "command", remedy, "%s has file capabilities: every user who "
		     "runs it gets them", path);
	} else if (file.st_mode & S_IWOTH) {
		snprintf(remedy, sizeof(remedy), "chmod o-w %s", path);
		tell(checkup, PROBLEM, "command", remedy, "every user may write to the file %s",
		     path);
	} else {
		tell(checkup, OK, "command", NULL, "%s grants no rights", path);
	}
}

/* Check the directory in which "expertmem run NAME" looks for an expert. */
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
		     "there is no directory %s: 'expertmem run' finds experts only by their path", path);
	} else if (directory.st_mode & S_IWOTH) {
		snprintf(remedy, sizeof(remedy), "chmod o-w %s", path);
		tell(checkup, NOTE, "experts", remedy,
		     "every user may write to %s, from which other users run experts", path);
	} else if (directory.st_uid && directory.st_uid != geteuid() && sees_all_users()) {
		owner = getpwuid(directory.st_uid);
		snprintf(remedy, sizeof(remedy), "chown root %s", path);
		tell(checkup, NOTE, "experts", remedy, "%s, from which you run experts by name, belongs to the user %s",
		     path, owner ? owner->pw_name : "without a name");
	} else {
		tell(checkup, OK, "experts", NULL, "'expertmem run' looks for experts in %s", path);
	}
}

/* Look up in modules.dep where modprobe finds the module of the running kernel. */
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

/* Look for the mark at the end of the file. A compressed module counts as signed. */
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

/* Return why the kernel loads only signed modules, or NULL if it loads all. */
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

/* How long an engine may take to start, in milliseconds. */
#define ENGINE_WAIT 10000

/* Start the engine on an empty file, which it refuses: its state has its name and version then. */
static void check_engine(struct checkup *checkup)
{
	struct expertmem_capture_status status = {};
	expertmem_capture *capture;
	int error = expertmem_open_capture("/dev/null", NULL, &capture);

	if (error) {
		tell(checkup, NOTE, "engine", "install an engine, or set EXPERTMEM_ENGINES to their directory",
		     "no engine can be started, so experts get no frames: %s", expertmem_strerror(error));
		return;
	}
	expertmem_wait_capture(capture, ENGINE_WAIT);
	expertmem_capture_status(capture, &status);
	expertmem_close_capture(capture);
	if (!*status.software)
		tell(checkup, PROBLEM, "engine", "install the engine again, or say expertmem run --engine none",
		     "the engine does not start: %s", status.error);
	else
		tell(checkup, OK, "engine", NULL, "%s reads captures for experts: %s",
		     status.engine == EXPERTMEM_ENGINE_PCAP ? "the engine pcap" : "the engine wireshark",
		     status.software);
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

/* Check owner, group and mode of the device, and report each that is wrong. */
static void check_node(struct checkup *checkup, const struct stat *node, const struct group *group)
{
	unsigned int mode = node->st_mode & 07777;
	bool fine = true;

	if (group && node->st_gid != group->gr_gid) {
		fine = false;
		tell(checkup, geteuid() ? PROBLEM : NOTE, "device",
		     "install udev's rule, 60-expertmem.rules; then udevadm trigger " DEVICE,
		     DEVICE " does not belong to the group " GROUP);
	}
	if (mode & 0007) {
		fine = false;
		tell(checkup, NOTE, "device", group ?
		     "chgrp " GROUP " " DEVICE "; chmod 0660 " DEVICE "; and remove the rule of udev "
		     "that sets this mode (grep -r expertmem /etc/udev/rules.d)" :
		     "groupadd --system " GROUP "; chgrp " GROUP " " DEVICE "; chmod 0660 " DEVICE
		     "; and install udev's rule, 60-expertmem.rules",
		     DEVICE " has mode %04o: every user may open experts", mode);
	}
	if (group && (mode & 0060) != 0060) {
		fine = false;
		tell(checkup, geteuid() ? PROBLEM : NOTE, "device", "chmod 0660 " DEVICE,
		     DEVICE " has mode %04o: members of its group may not open it", mode);
	}
	if (node->st_uid && sees_all_users()) {
		fine = false;
		tell(checkup, NOTE, "device", "chown root " DEVICE,
		     DEVICE " belongs to user %u, who may change its mode", node->st_uid);
	}
	if (fine)
		tell(checkup, OK, "device", NULL, DEVICE " exists, with mode %04o", mode);
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
		     "load the module: modprobe expertmem", "there is no " DEVICE);
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

/* Return whether the database has the user as a member; a session reads it at login. */
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
		tell(checkup, PROBLEM, "rights", "become a member of the group " GROUP ": see the check group",
		     "you may not open " DEVICE);
	} else if (errno == EDQUOT) {
		tell(checkup, PROBLEM, "user-limits",
		     "close some ('expertmem list' has yours), or as root raise "
		     PARAMETERS "uid_max_experts",
		     "you have uid_max_experts experts open, reclaimed ones included");
	} else if (errno == ENFILE) {
		tell(checkup, PROBLEM, "limits",
		     "close some ('sudo expertmem list --sort user' has all), or as root raise "
		     PARAMETERS "max_experts",
		     "all users together have max_experts experts open");
	} else if (errno != ENOENT) {
		tell(checkup, PROBLEM, "rights", "load the module again",
		     "cannot open " DEVICE ": %s", strerror(errno));
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
		     "there is no group " GROUP ": only root may open " DEVICE);
	} else if (in_group(group->gr_gid) || !geteuid()) {
		tell(checkup, OK, "group", NULL, "%s", geteuid() ?
		     "you are a member of the group " GROUP :
		     "the group " GROUP " exists; root need not be a member");
	} else if (is_member(group, name)) {
		tell(checkup, PROBLEM, "group", "log in again",
		     "you became a member of the group " GROUP " after you logged in");
	} else {
		snprintf(remedy, sizeof(remedy), "usermod -aG " GROUP " %s, then log in again",
			 name);
		tell(checkup, checkup->fd < 0 ? PROBLEM : NOTE, "group", remedy,
		     "you are not a member of the group " GROUP);
	}
}

/* The count of the user's experts includes the one of checkup->fd. */
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
		     "your experts: %s; with CAP_SYS_RESOURCE, limits of a user do not apply",
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
		     DEVICE " does not answer EXPERTMEM_IOC_GET_INFO: %s", strerror(errno));
		close(checkup->fd);
		return;
	}
	if (info.abi < EXPERTMEM_ABI_VERSION)
		tell(checkup, PROBLEM, "interface",
		     "install the module of this version, then rmmod expertmem; modprobe expertmem",
		     "the module has version %u of the interface, and this command needs version %u",
		     info.abi, EXPERTMEM_ABI_VERSION);
	else
		tell(checkup, OK, "interface", NULL, "the module has version %u of the interface; this command needs version %u",
		     info.abi, EXPERTMEM_ABI_VERSION);
	if (!(info.features & EXPERTMEM_FEATURE_HUGE))
		tell(checkup, NOTE, "huge-pages", "run a kernel with transparent huge pages",
		     "this kernel has no huge pages for experts: large blocks are slower");
	if (info.abi >= FIRST_ABI_WITH_USERS)
		check_user_limits(checkup, &info);
	/* close this expert, so that check_limits() does not count it */
	close(checkup->fd);
}

/* RLIMIT_AS counts the windows whole, though most of their addresses are unused. */
static void check_addresses(struct checkup *checkup)
{
	struct rlimit limit;
	char size[SIZE_TEXT];

	if (getrlimit(RLIMIT_AS, &limit) || limit.rlim_cur == RLIM_INFINITY)
		tell(checkup, OK, "addresses", NULL, "RLIMIT_AS does not limit addresses");
	else
		tell(checkup, PROBLEM, "addresses",
		     "ulimit -v unlimited; limit memory by a control group instead",
		     "RLIMIT_AS limits addresses to %s: an expert's windows need three quarters of "
		     "them, or 3 GiB if that is more",
		     size_text(size, limit.rlim_cur));
	if (getrlimit(RLIMIT_DATA, &limit) || limit.rlim_cur == RLIM_INFINITY)
		tell(checkup, OK, "data", NULL, "RLIMIT_DATA does not limit private memory");
	else
		tell(checkup, NOTE, "data", "ulimit -d unlimited; limit memory by a control group instead",
		     "RLIMIT_DATA limits private memory to %s: it counts the heap of the anon backend, "
		     "not that of the device", size_text(size, limit.rlim_cur));
}

static void check_overcommit(struct checkup *checkup)
{
	char line[64] = "";

	if (!read_line("/proc/sys/vm/overcommit_memory", line, sizeof(line)))
		return;
	if (!strcmp(line, "2"))
		tell(checkup, NOTE, "overcommit", "sysctl vm.overcommit_memory=0, or raise vm.overcommit_ratio",
		     "vm.overcommit_memory is 2 (strict): the kernel counts the heap of the anon backend "
		     "as it grows, and once more in each fork");
	else
		tell(checkup, OK, "overcommit", NULL, "vm.overcommit_memory is %s: not strict", line);
}

/* Experts and programs inherit the seccomp filter of this process. */
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
		     "a seccomp filter is active: if it refuses the calls of the remedy, experts use private memory");
	else
		tell(checkup, OK, "seccomp", NULL, "no seccomp filter is active");
}

/* Return a limit of all users, less the reserve if this process may not use it. */
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

	/* the two numbers were read at different times, so the difference may be negative */
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
		", without the reserve for CAP_SYS_RESOURCE", others);
}

/* Return the size of this machine's memory in bytes. */
static uint64_t memory_size(void)
{
	struct sysinfo system;

	return sysinfo(&system) ? UINT64_MAX : (uint64_t)system.totalram * system.mem_unit;
}

/* Check that no limit is above the machine's memory, or above a limit that contains it. */
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
		     "total_limit is %s, and this machine has %s of memory: experts may use all of it",
		     limit_text(size, total, false), most);
	}
	size_text(most, total);
	for (size_t i = 0; i < sizeof(inner) / sizeof(inner[0]) && total; i++) {
		if (inner[i].value <= total)
			continue;
		fine = false;
		snprintf(remedy, sizeof(remedy), "as root: echo %s >" PARAMETERS "%s",
			 i ? "auto" : "0", inner[i].name);
		tell(checkup, NOTE, "parameters", remedy, "%s is %s, more than "
		     "total_limit, which is %s", inner[i].name, size_text(size, inner[i].value), most);
	}
	if (totals->uid_limit && totals->default_limit > totals->uid_limit) {
		fine = false;
		tell(checkup, NOTE, "parameters", "as root: lower " PARAMETERS "default_limit",
		     "default_limit is %s, more than uid_limit, which is %s and applies to experts "
		     "without CAP_SYS_RESOURCE", size_text(size, totals->default_limit),
		     size_text(most, totals->uid_limit));
	}
	if (totals->max_experts && totals->uid_max_experts > totals->max_experts) {
		fine = false;
		tell(checkup, NOTE, "parameters", "as root: echo auto >" PARAMETERS "uid_max_experts",
		     "uid_max_experts is %u, more than max_experts, which is %u",
		     totals->uid_max_experts, totals->max_experts);
	}
	if (fine)
		tell(checkup, OK, "parameters", NULL, "total_limit is %s, and this machine has %s of memory",
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
		     "run the command in the initial network namespace; if it is there, update the module",
		     "the module does not answer by netlink in this network namespace");
	} else if (error) {
		tell(checkup, PROBLEM, "netlink", NULL, "the module does not answer by netlink: %s",
		     strerror(-error));
	} else {
		error = link_subscribe(link);
		tell(checkup, OK, "netlink", NULL, "the module answers by netlink: you see %s",
		     error ? "your own experts (root sees all)" : "all experts and events");
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

	/* the line "0::/path" is that of version 2 */
	while (file && !unified && fgets(line, sizeof(line), file))
		unified = !strncmp(line, "0::", 3);
	if (file)
		fclose(file);
	if (!unified) {
		tell(checkup, NOTE, "cgroup", NULL, "this process is in no control group of version 2");
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

/* Read which value of a setting of huge pages is chosen: the one in brackets. False: there is none. */
static bool read_choice(const char *path, char *choice, size_t size)
{
	char line[256] = "", *start, *end;

	if (!read_line(path, line, sizeof(line)))
		return false;
	start = strchr(line, '[');
	end = start ? strchr(start, ']') : NULL;
	if (!end)
		return false;
	*end = '\0';
	snprintf(choice, size, "%s", start + 1);
	return true;
}

static void check_huge_pages(struct checkup *checkup)
{
	char choice[32], anon[32];

	if (!read_choice(THP "shmem_enabled", choice, sizeof(choice))) {
		tell(checkup, NOTE, "huge-pages", "run a kernel with transparent huge pages",
		     "this kernel has no transparent huge pages: large blocks are slower");
		return;
	}
	if (!strcmp(choice, "deny"))
		tell(checkup, NOTE, "huge-pages", "echo never > " THP "shmem_enabled",
		     "shmem_enabled is deny: large blocks are slower without huge pages");
	else if (!strcmp(choice, "force"))
		tell(checkup, PROBLEM, "huge-pages", "echo never > " THP "shmem_enabled",
		     "shmem_enabled is force, a value for testing the kernel: experts may use "
		     "more memory than their limit");
	else
		tell(checkup, OK, "huge-pages", NULL, "shmem_enabled is %s, which leaves the decision to the module",
		     choice);
	if (read_choice(THP "enabled", anon, sizeof(anon)) &&
	    !strcmp(anon, "never"))
		tell(checkup, NOTE, "huge-pages", "echo madvise > " THP "enabled",
		     "enabled is never: large heaps of the anon backend are slower without huge pages");
}

static void check_secure_boot(struct checkup *checkup)
{
	if (!has_secure_boot())
		tell(checkup, OK, "secure-boot", NULL, "secure boot is off, or its state is not known");
	else if (checkup->loaded)
		tell(checkup, OK, "secure-boot", NULL, "secure boot is on, and the module is loaded");
	else
		tell(checkup, NOTE, "secure-boot",
		     "sign the module with a key that was enrolled by mokutil --import",
		     "secure boot is on: the kernel refuses a module without a valid signature "
		     "(Key was rejected by service)");
}

int doctor_main(int argc, char **argv)
{
	struct options options = {
		.command = "doctor", .help = &help, .expected = "no arguments",
	};
	int status = read_options(&options, argc, argv);
	struct checkup checkup = { .fd = -1 };

	if (status != GO_ON)
		return status;
	checkup.json = options.json;
	checkup.is_privileged = may_use_reserve();
	check_command(&checkup);
	check_experts(&checkup);
	check_engine(&checkup);
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
