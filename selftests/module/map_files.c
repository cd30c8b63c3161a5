// SPDX-License-Identifier: GPL-2.0
/*
 * /proc/PID/map_files has a link to the file of each mapping, for root. A descriptor of the
 * file of a window would show pages without a check of the gate. No use of the link gives such
 * a descriptor.
 *
 * needs: module root
 */
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/swap.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "victim_test.h"

/* This capability alone allows to follow the links. */
static const struct actor checkpointer = {
	.name = "CAP_CHECKPOINT_RESTORE", .uid = OWNER_UID, .euid = OWNER_UID,
	.caps = CAP(CHECKPOINT_RESTORE),
};

/* The link to the file of the mapping of @size bytes at @addr. */
static void link_name(char path[128], pid_t pid, const void *addr, size_t size)
{
	snprintf(path, 128, "/proc/%d/map_files/%lx-%lx", pid, (unsigned long)addr,
		 (unsigned long)((const char *)addr + size));
}

/* ------------------------------------------------------------ what root tries */

/* A descriptor that open() returns, which no test expects, is closed. */
static int try_open(const char *path, int flags)
{
	int fd = result(open(path, flags | O_CLOEXEC, 0600));

	close(fd);
	return fd;
}

static int try_reading(const char *path)
{
	return try_open(path, O_RDONLY);
}

static int try_writing(const char *path)
{
	return try_open(path, O_WRONLY);
}

static int try_both(const char *path)
{
	return try_open(path, O_RDWR);
}

static int try_creating(const char *path)
{
	return try_open(path, O_RDWR | O_CREAT | O_TRUNC);
}

static int try_direct(const char *path)
{
	return try_open(path, O_RDWR | O_DIRECT | O_NOATIME);
}

static int try_truncating(const char *path)
{
	return result(truncate(path, 0));
}

static int try_extending(const char *path)
{
	return result(truncate(path, 16 * TIB));
}

static int try_stat(const char *path)
{
	struct stat stat_buffer;

	return result(stat(path, &stat_buffer));
}

static int try_statx(const char *path)
{
	struct statx statx_buffer;

	return result(statx(AT_FDCWD, path, AT_STATX_DONT_SYNC, STATX_ALL, &statx_buffer));
}

static int try_access(const char *path)
{
	return result(access(path, R_OK | W_OK));
}

static int try_chmod(const char *path)
{
	return result(chmod(path, 0666));
}

static int try_chown(const char *path)
{
	return result(chown(path, 1, 1));
}

static int try_touching(const char *path)
{
	return result(utimensat(AT_FDCWD, path, NULL, 0));
}

static int try_getxattr(const char *path)
{
	char value[16];

	return result(getxattr(path, "trusted.x", value, sizeof(value)));
}

static int try_setxattr(const char *path)
{
	return result(setxattr(path, "trusted.x", "x", 1, 0));
}

static int try_swapon(const char *path)
{
	return result(swapon(path, 0));
}

static int try_executing(const char *path)
{
	char *const argv[] = { "x", NULL };

	return result(execve(path, argv, argv + 1));
}

static int try_watching(const char *path)
{
	int fd = inotify_init1(IN_CLOEXEC);
	int err = result(inotify_add_watch(fd, path, IN_ALL_EVENTS));

	close(fd);
	return err;
}

static const struct {
	const char *name;
	int (*try)(const char *path);
} uses[] = {
	{ "open(O_RDONLY)", try_reading },
	{ "open(O_WRONLY)", try_writing },
	{ "open(O_RDWR)", try_both },
	{ "open(O_CREAT | O_TRUNC)", try_creating },
	{ "open(O_DIRECT)", try_direct },
	{ "truncate(0)", try_truncating },
	{ "truncate(16T)", try_extending },
	{ "stat()", try_stat },
	{ "statx()", try_statx },
	{ "access()", try_access },
	{ "chmod()", try_chmod },
	{ "chown()", try_chown },
	{ "utimensat()", try_touching },
	{ "getxattr()", try_getxattr },
	{ "setxattr()", try_setxattr },
	{ "swapon()", try_swapon },
	{ "execve()", try_executing },
	{ "inotify_add_watch()", try_watching },
};

/* Every use of the victim's link fails with EIO. */
static void expect_useless(struct __test_metadata *_metadata, const FIXTURE_DATA(victim) *self)
{
	char path[128];
	size_t i;

	link_name(path, self->pid, self->w.addr, self->w.size);
	for (i = 0; i < COUNT_OF(uses); i++) {
		EXPECT_EQ(-EIO, uses[i].try(path)) TH_LOG("%s", uses[i].name);
	}
}

#define NEED_MAP_FILES()							\
	do {									\
		if (access("/proc/self/map_files", R_OK))			\
			SKIP_TEST("no map_files: %s", strerror(errno));		\
	} while (0)

TEST_F(victim, root_cannot_use_the_file_of_a_window)
{
	NEED_MAP_FILES();
	expect_useless(_metadata, self);
	EXPECT_TRUE(is_unharmed(self));
}

TEST_F(victim, root_cannot_use_the_file_of_a_reclaimed_window)
{
	struct expertmem_reclaim freed;

	NEED_MAP_FILES();
	ASSERT_EQ(0, region_free(&self->w, self->offset));
	expect_useless(_metadata, self);
	EXPECT_EQ(0, expert_stat(self->w.fd).resident);
	ASSERT_EQ(0, expert_reclaim(self->w.fd, &freed));
	expect_useless(_metadata, self);
	EXPECT_EQ(0, expert_stat(self->w.fd).resident);
}

/* ------------------------------------------------------ a handle, but no file */

static int try_handle(int fd, int flags)
{
	char buffer[sizeof(struct file_handle) + MAX_HANDLE_SZ] = { };
	struct file_handle *handle = (struct file_handle *)buffer;
	int mount, got;

	handle->handle_bytes = MAX_HANDLE_SZ;
	if (name_to_handle_at(fd, "", handle, &mount, AT_EMPTY_PATH))
		return -errno;
	got = result(open_by_handle_at(fd, handle, flags | O_CLOEXEC));
	close(got);
	return got;
}

/* What is opened with O_PATH names the file, and gives no access to it. */
static void expect_handle_useless(struct __test_metadata *_metadata, int fd)
{
	char *const argv[] = { "x", NULL };
	char path[64], bytes[16];
	struct stat stat_buffer;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	EXPECT_EQ(-EIO, try_open(path, O_RDONLY));
	EXPECT_EQ(-EIO, try_open(path, O_RDWR));
	EXPECT_EQ(-EIO, try_open(path, O_WRONLY | O_TRUNC));
	EXPECT_EQ(-EIO, result(truncate(path, 0)));
	EXPECT_EQ(-EIO, result(fstat(fd, &stat_buffer)));
	EXPECT_EQ(-EIO, result(chmod(path, 0666)));
	EXPECT_EQ(-EIO, result(syscall(SYS_execveat, fd, "", argv, argv + 1, AT_EMPTY_PATH)));
	EXPECT_EQ(-EBADF, result(read(fd, bytes, sizeof(bytes))));
	EXPECT_EQ(-EBADF, result(pwrite(fd, bytes, sizeof(bytes), 0)));
	EXPECT_EQ(-EBADF, result(ftruncate(fd, 0)));
	EXPECT_EQ(-EBADF, result(fallocate(fd, 0, 0, PAGE)));
	EXPECT_EQ(-EBADF, map(fd, PAGE, PROT_READ, MAP_SHARED, EXPERTMEM_SMALL_OFFSET));
	/* The file gets neither another name nor another mount. */
	EXPECT_GT(0, linkat(fd, "", AT_FDCWD, "/tmp/expertmem-link", AT_EMPTY_PATH));
	EXPECT_GT(0, mount(path, "/tmp", NULL, MS_BIND, NULL));
	EXPECT_GT(0, syscall(SYS_open_tree, fd, "", AT_EMPTY_PATH | 1 /* OPEN_TREE_CLONE */));
	EXPECT_GT(0, try_handle(fd, O_RDONLY));
	EXPECT_GT(0, try_handle(fd, O_RDWR));
}

TEST_F(victim, path_to_the_file_of_a_window_leads_nowhere)
{
	struct expertmem_reclaim freed;
	char path[128];
	int fd;

	NEED_MAP_FILES();
	link_name(path, self->pid, self->w.addr, self->w.size);
	fd = open(path, O_PATH | O_CLOEXEC);
	if (fd < 0)
		SKIP_TEST("this kernel opens no path to it: %s", strerror(errno));
	expect_handle_useless(_metadata, fd);
	EXPECT_TRUE(is_unharmed(self));
	ASSERT_EQ(0, expert_reclaim(self->w.fd, &freed));
	EXPECT_EQ(self->size, freed.reclaimed_resident);
	expect_handle_useless(_metadata, fd);
	EXPECT_EQ(0, expert_stat(self->w.fd).resident);
	close(fd);
}

TEST_F(victim, path_to_the_file_of_a_window_keeps_no_memory)
{
	__u64 before = meminfo("Shmem") + SHMEM_NOISE;
	time_t end = time(NULL) + 30;
	char path[128];
	__u64 offset;
	int fd;

	NEED_MAP_FILES();
	ASSERT_EQ(0, region_alloc_flags(&self->w, EXPERTMEM_ALLOC_POPULATE, 32 * MIB, 0, &offset));
	EXPECT_LE(before + 30 * MIB, meminfo("Shmem"));
	link_name(path, self->pid, self->w.addr, self->w.size);
	fd = open(path, O_PATH | O_CLOEXEC);
	if (fd < 0)
		SKIP_TEST("this kernel opens no path to it: %s", strerror(errno));
	EXPECT_EQ(0, kill(self->pid, SIGKILL));
	while (meminfo("Shmem") > before && time(NULL) < end)
		usleep(50000);
	EXPECT_GE(before, meminfo("Shmem"));
	EXPECT_EQ(EXPERTMEM_STATE_RECLAIMED, expert_stat(self->w.fd).state);
	expect_handle_useless(_metadata, fd);
	close(fd);
	/* The teardown waits for a victim that ends by itself. */
	EXPECT_EQ(128 + SIGKILL, child_status(self->pid));
	self->pid = fork();
	if (!self->pid)
		_exit(0);
}

/* -------------------------------------------------------------- who is not root */

struct opening {
	char path[128];
	int flags;
};

static long open_link(void *arg)
{
	struct opening *opening = arg;

	return try_open(opening->path, opening->flags);
}

TEST_F(victim, users_do_not_even_get_to_the_file)
{
	const struct actor *const who[] = { &owner, &member, &operator, &stranger };
	struct opening *opening = shared(sizeof(*opening));
	const int flags[] = { O_RDONLY, O_RDWR, O_PATH };
	long answer;
	size_t i, j;

	NEED_MAP_FILES();
	ASSERT_NE(NULL, opening);
	link_name(opening->path, self->pid, self->w.addr, self->w.size);
	for (i = 0; i < COUNT_OF(flags); i++) {
		opening->flags = flags[i];
		for (j = 0; j < COUNT_OF(who); j++) {
			answer = as(who[j], open_link, opening);
			EXPECT_TRUE(answer == -EPERM || answer == -EACCES)
				TH_LOG("%s: %ld", who[j]->name, answer);
		}
		if (flags[i] == O_PATH)
			continue;
		EXPECT_EQ(-EIO, as(&checkpointer, open_link, opening));
	}
	EXPECT_TRUE(is_unharmed(self));
}

/* ------------------------------------------------------------------ own windows */

TEST(own_link_leads_nowhere_either)
{
	const struct window *kinds[] = { &small_window, &huge_window };
	struct window w;
	__u64 offset;
	char path[128];
	size_t i, j;

	NEED_DEVICE();
	NEED_MAP_FILES();
	for (i = 0; i < COUNT_OF(kinds); i++) {
		ASSERT_EQ(0, window_open(&w, kinds[i], WINDOW_SIZE, 0));
		ASSERT_EQ(0, region_alloc(&w, 1, &offset));
		memset(at(&w, offset), BYTE, w.granule);
		link_name(path, getpid(), w.addr, w.size);
		for (j = 0; j < COUNT_OF(uses); j++) {
			EXPECT_EQ(-EIO, uses[j].try(path)) TH_LOG("%s", uses[j].name);
		}
		EXPECT_TRUE(all_bytes(at(&w, offset), w.granule, BYTE));
		EXPECT_EQ(w.granule, expert_stat(w.fd).resident);
		window_close(&w);
	}
}

TEST(status_page_is_not_opened_by_its_link)
{
	const int ways[] = { O_RDONLY, O_WRONLY, O_RDWR, O_RDWR | O_TRUNC };
	const volatile struct expertmem_status *status;
	char path[128];
	size_t i;
	int fd;

	NEED_DEVICE();
	NEED_MAP_FILES();
	fd = expert_open();
	ASSERT_LE(0, fd);
	status = status_map(fd);
	ASSERT_NE(MAP_FAILED, status);
	link_name(path, getpid(), (const void *)status, PAGE);
	for (i = 0; i < COUNT_OF(ways); i++) {
		EXPECT_GT(0, try_open(path, ways[i])) TH_LOG("flags %x", ways[i]);
	}
	EXPECT_GT(0, truncate(path, 0));
	EXPECT_EQ(0, status->flags);
	ASSERT_EQ(0, expert_terminate(fd));
	EXPECT_EQ(EXPERTMEM_STATUS_TERMINATE, status->flags);
	close(fd);
}

TEST_HARNESS_MAIN
