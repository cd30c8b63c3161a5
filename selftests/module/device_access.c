// SPDX-License-Identifier: GPL-2.0
/*
 * Rights on the device: who may open it with which flags, which ioctls and mappings exist,
 * what a descriptor opened with O_RDONLY allows, and what is refused when the expert
 * terminates or was reclaimed. Each test acts as root, the owner, another member of the
 * device's group, and a stranger who was given the descriptor.
 *
 * needs: module root
 */
#include <linux/openat2.h>

#include "harness.h"
#include "netlink_test.h"
#include "device_test.h"

#define WINDOW		(16 * MIB)

/* The access mode that is neither of the three: not even reading is allowed by it. */
#define O_NOACCESS	O_ACCMODE

/* -------------------------------------------------------------------- opening */

TEST_F(device, opens_for_reading_and_writing_or_for_reading_only)
{
	static const int modes[] = { O_RDWR, O_RDONLY, O_WRONLY, O_NOACCESS };
	static const int errors[] = { 0, 0, -EINVAL, -EINVAL };
	size_t i, j;
	int fd;

	for (i = 0; i < COUNT_OF(actors); i++) {
		for (j = 0; j < COUNT_OF(modes); j++) {
			int err = actors[i] == &stranger ? -EACCES : errors[j];

			fd = open_flags_as(actors[i], modes[j]);
			EXPECT_EQ(fd < 0 ? fd : 0, err)
				TH_LOG("%s, mode %d", actors[i]->name, modes[j]);
			if (fd < 0)
				continue;
			EXPECT_EQ(expert_stat(fd).state, EXPERTMEM_STATE_IDLE);
			EXPECT_EQ(expert_info(fd).abi, EXPERTMEM_ABI_VERSION);
			close(fd);
		}
	}
}

TEST_F(device, opens_only_for_reading_where_its_mode_says_so)
{
	static const int modes[] = { O_RDWR, O_RDONLY, O_WRONLY, O_NOACCESS };
	static const int errors[] = { -EACCES, 0, -EACCES, -EACCES };
	size_t j;
	int fd;

	ASSERT_EQ(chmod(DEVICE, 0640), 0);
	for (j = 0; j < COUNT_OF(modes); j++) {
		fd = open_flags_as(&member, modes[j]);
		EXPECT_EQ(fd < 0 ? fd : 0, errors[j]) TH_LOG("mode %d", modes[j]);
		if (fd >= 0)
			close(fd);
	}
}

TEST_F(device, other_flags_of_open_give_an_expert_or_an_error)
{
	static const struct {
		int flags, err, of_root;
	} opens[] = {
		{ O_APPEND, 0, 0 }, { O_TRUNC, 0, 0 }, { O_NONBLOCK, 0, 0 }, { O_SYNC, 0, 0 },
		{ O_DSYNC, 0, 0 }, { O_NOFOLLOW, 0, 0 }, { O_NOCTTY, 0, 0 }, { O_CREAT, 0, 0 },
		{ O_ASYNC, 0, 0 }, { O_APPEND | O_TRUNC | O_CREAT, 0, 0 },
		{ O_NOATIME, -EPERM, 0 }, { O_DIRECT, -EINVAL, -EINVAL },
		{ O_DIRECTORY, -ENOTDIR, -ENOTDIR }, { O_TMPFILE, -ENOTDIR, -ENOTDIR },
		{ O_CREAT | O_EXCL, -EEXIST, -EEXIST },
	};
	size_t i, j;
	int fd, err;

	for (i = 0; i < COUNT_OF(actors); i++) {
		for (j = 0; j < COUNT_OF(opens); j++) {
			err = actors[i] == &root ? opens[j].of_root : opens[j].err;
			/* what it is, and that it is there, everybody sees */
			if (actors[i] == &stranger && err != -ENOTDIR && err != -EEXIST)
				err = -EACCES;
			fd = open_flags_as(actors[i], O_RDWR | opens[j].flags);
			EXPECT_EQ(fd < 0 ? fd : 0, err)
				TH_LOG("%s, flags %#o", actors[i]->name, opens[j].flags);
			if (fd < 0)
				continue;
			EXPECT_EQ(expert_stat(fd).state, EXPERTMEM_STATE_IDLE);
			EXPECT_EQ(expert_configure(fd, "opened", 0, 0), 0);
			close(fd);
		}
	}
	/* truncating asks for the right to write, and gives none */
	fd = open_flags_as(&owner, O_RDONLY | O_TRUNC);
	ASSERT_GE(fd, 0);
	EXPECT_EQ(expert_terminate(fd), -EBADF);
	close(fd);
	ASSERT_EQ(chmod(DEVICE, 0640), 0);
	EXPECT_EQ(open_flags_as(&owner, O_RDONLY | O_TRUNC), -EACCES);
}

static long openat2_expert(void *arg)
{
	return result(syscall(SYS_openat2, AT_FDCWD, DEVICE, arg, sizeof(struct open_how)));
}

TEST_F(device, openat2_opens_as_open_does)
{
	struct open_how how = { .flags = O_RDWR | O_CLOEXEC };
	int fd = as(&owner, openat2_expert, &how);

	ASSERT_GE(fd, 0);
	EXPECT_EQ(expert_configure(fd, "openat2", 0, 0), 0);
	close(fd);
	how.resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
	fd = as(&owner, openat2_expert, &how);
	EXPECT_GE(fd, 0);
	close(fd);
	EXPECT_EQ(as(&stranger, openat2_expert, &how), -EACCES);
	how.resolve = RESOLVE_BENEATH;
	EXPECT_EQ(as(&owner, openat2_expert, &how), -EXDEV);
	how = (struct open_how) { .flags = O_WRONLY };
	EXPECT_EQ(as(&owner, openat2_expert, &how), -EINVAL);
	how.flags = O_NOACCESS;
	EXPECT_EQ(as(&owner, openat2_expert, &how), -EINVAL);
}

/* ------------------------------------------------------ other ways to a descriptor */

TEST_F(device, a_duplicate_is_the_same_expert_and_keeps_it)
{
	int fd = open_as(&owner), copies[5];
	__u64 id = expert_stat(fd).id;
	struct told t;
	struct nl nl;
	size_t i;

	ASSERT_GE(fd, 0);
	ASSERT_EQ(nl_open(&nl), 0);
	copies[0] = dup(fd);
	copies[1] = dup2(fd, 200);
	copies[2] = dup3(fd, 201, O_CLOEXEC);
	copies[3] = fcntl(fd, F_DUPFD, 300);
	copies[4] = fcntl(fd, F_DUPFD_CLOEXEC, 300);
	close(fd);
	for (i = 0; i < COUNT_OF(copies); i++) {
		ASSERT_GE(copies[i], 0);
		EXPECT_EQ(expert_stat(copies[i]).id, id);
		EXPECT_EQ(nl_do(&nl, EXPERTMEM_CMD_EXPERT_GET, id, &t), 0);
		close(copies[i]);
	}
	EXPECT_EQ(nl_do(&nl, EXPERTMEM_CMD_EXPERT_GET, id, &t), -ENOENT);
	close(nl.fd);
}

struct reopen {
	int fd;
	int flags;
};

static long open_again(void *arg)
{
	const struct reopen *reopen = arg;
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", reopen->fd);
	return result(open(path, reopen->flags | O_CLOEXEC));
}

TEST_F(device, reopening_a_descriptor_by_proc_makes_another_expert_and_needs_the_right)
{
	static const int from[] = { O_RDWR, O_RDONLY, O_PATH };
	static const int to[] = { O_RDWR, O_RDONLY, O_WRONLY };
	size_t i, j, k;
	int fd;

	for (i = 0; i < COUNT_OF(actors); i++) {
		for (j = 0; j < COUNT_OF(from); j++) {
			struct reopen reopen = { .fd = open_flags_as(&owner, from[j]) };

			ASSERT_GE(reopen.fd, 0);
			for (k = 0; k < COUNT_OF(to); k++) {
				reopen.flags = to[k];
				fd = as(actors[i], open_again, &reopen);
				EXPECT_EQ(fd < 0 ? fd : 0, actors[i] == &stranger ? -EACCES :
							   to[k] == O_WRONLY ? -EINVAL : 0)
					TH_LOG("%s, %d, %d", actors[i]->name, from[j], to[k]);
				if (fd < 0)
					continue;
				EXPECT_NE(expert_stat(fd).id, expert_stat(reopen.fd).id);
				EXPECT_EQ(expert_terminate(fd),
					  to[k] == O_RDWR ? 0 : -EBADF);
				if (from[j] == O_RDONLY)
					EXPECT_EQ(expert_terminate(reopen.fd), -EBADF);
				close(fd);
			}
			if (from[j] != O_PATH)
				EXPECT_EQ(expert_stat(reopen.fd).state, EXPERTMEM_STATE_IDLE);
			close(reopen.fd);
		}
	}
}

TEST_F(device, a_descriptor_of_the_path_is_no_expert)
{
	size_t i;
	int fd, number;

	for (i = 0; i < COUNT_OF(actors); i++) {
		fd = open_flags_as(actors[i], O_PATH | O_RDWR);
		ASSERT_GE(fd, 0);
		EXPECT_EQ(open_experts(), self->experts);
		for (number = 0; number < 256; number++)
			EXPECT_EQ(expert_ioctl(fd, _IO(EXPERTMEM_IOC_MAGIC, number), NULL),
				  -EBADF);
		EXPECT_EQ(expert_ioctl(fd, EXPERTMEM_IOC_STAT, &(struct expertmem_stat){ }),
			  -EBADF);
		EXPECT_EQ(map(fd, PAGE, PROT_READ, MAP_SHARED, EXPERTMEM_STATUS_OFFSET), -EBADF);
		EXPECT_EQ(map(fd, HUGE, PROT_READ, MAP_SHARED, EXPERTMEM_SMALL_OFFSET), -EBADF);
		EXPECT_EQ(result(read(fd, &number, 1)), -EBADF);
		EXPECT_EQ(result(fcntl(fd, F_SETFL, O_RDWR)), -EBADF);
		EXPECT_EQ(result(ftruncate(fd, 0)), -EBADF);
		close(fd);
	}
}

/* --------------------------------------------------------------------- ioctls */

static const unsigned long calls[] = {
	EXPERTMEM_IOC_GET_INFO, EXPERTMEM_IOC_CONFIGURE, EXPERTMEM_IOC_ALLOC,
	EXPERTMEM_IOC_REALLOC, EXPERTMEM_IOC_FREE, EXPERTMEM_IOC_TERMINATE,
	EXPERTMEM_IOC_RECLAIM, EXPERTMEM_IOC_STAT, EXPERTMEM_IOC_COPY, EXPERTMEM_IOC_FORK,
};

static bool is_call(unsigned long cmd)
{
	size_t i;

	for (i = 0; i < COUNT_OF(calls); i++)
		if (calls[i] == cmd)
			return true;
	return false;
}

static bool only_looks(unsigned long cmd)
{
	return cmd == EXPERTMEM_IOC_GET_INFO || cmd == EXPERTMEM_IOC_STAT;
}

/* The sizes of our structures and some others; an ioctl has room for 14 bits of it. */
static const unsigned int sizes[] = {
	0, 4, sizeof(struct expertmem_free), sizeof(struct expertmem_realloc),
	sizeof(struct expertmem_alloc), sizeof(struct expertmem_config),
	sizeof(struct expertmem_info), sizeof(struct expertmem_stat), 16383,
};

/* Call every ioctl of our magic number with no argument; how many were answered wrongly. */
static long call_all(void *arg)
{
	int fd = *(int *)arg;
	bool looks = (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY;
	unsigned int number, dir;
	long wrong = 0;
	size_t i;

	for (number = 0; number < 256; number++) {
		for (dir = 0; dir < 4; dir++) {
			for (i = 0; i < COUNT_OF(sizes); i++) {
				unsigned long cmd = _IOC(dir, EXPERTMEM_IOC_MAGIC, number,
							 sizes[i]);
				int err = -ENOTTY;

				if (is_call(cmd))
					err = looks && !only_looks(cmd) ? -EBADF : -EFAULT;
				/* without an argument it succeeds */
				if (cmd == EXPERTMEM_IOC_TERMINATE && !looks)
					continue;
				if (expert_ioctl(fd, cmd, NULL) != err) {
					fprintf(stderr, "# ioctl %#lx: %s\n", cmd, strerror(errno));
					wrong++;
				}
			}
		}
	}
	return wrong;
}

TEST_F(device, every_other_ioctl_of_256_is_none)
{
	static const int modes[] = { O_RDWR, O_RDONLY };
	size_t i, j;
	int fd;

	for (j = 0; j < COUNT_OF(modes); j++) {
		fd = open_flags_as(&owner, modes[j]);
		ASSERT_GE(fd, 0);
		for (i = 0; i < COUNT_OF(actors); i++) {
			EXPECT_EQ(as(actors[i], call_all, &fd), 0)
				TH_LOG("%s, mode %d", actors[i]->name, modes[j]);
		}
		EXPECT_EQ(expert_stat(fd).state, EXPERTMEM_STATE_IDLE);
		EXPECT_EQ(expert_stat(fd).name[0], '\0');
		close(fd);
	}
}

/* Calls whose arguments are good: a bit for each that does not say EBADF, or changes something. */
static long call_in_vain(void *arg)
{
	struct expertmem_config config = { .name = "name", .limit = PAGE };
	struct expertmem_alloc alloc = { .size = PAGE, .offset = POISON64 };
	struct expertmem_realloc grow = { .offset = EXPERTMEM_SMALL_OFFSET, .size = PAGE };
	struct expertmem_free unalloc = { .offset = EXPERTMEM_SMALL_OFFSET };
	struct expertmem_reclaim reclaim = { .reclaimed_bytes = POISON64 };
	struct expertmem_copy copy = { .fd = ((int *)arg)[1] };
	int fd = *(int *)arg;
	long wrong = 0;

	wrong |= expert_ioctl(fd, EXPERTMEM_IOC_CONFIGURE, &config) != -EBADF;
	wrong |= (expert_ioctl(fd, EXPERTMEM_IOC_ALLOC, &alloc) != -EBADF) << 1;
	wrong |= (expert_ioctl(fd, EXPERTMEM_IOC_REALLOC, &grow) != -EBADF) << 2;
	wrong |= (expert_ioctl(fd, EXPERTMEM_IOC_FREE, &unalloc) != -EBADF) << 3;
	wrong |= (expert_ioctl(fd, EXPERTMEM_IOC_TERMINATE, NULL) != -EBADF) << 4;
	wrong |= (expert_ioctl(fd, EXPERTMEM_IOC_TERMINATE, (void *)1) != -EBADF) << 5;
	wrong |= (expert_ioctl(fd, EXPERTMEM_IOC_RECLAIM, &reclaim) != -EBADF) << 6;
	wrong |= (expert_ioctl(fd, EXPERTMEM_IOC_COPY, &copy) != -EBADF) << 7;
	wrong |= (alloc.offset != POISON64 || reclaim.reclaimed_bytes != POISON64) << 8;
	wrong |= (expert_info(fd).abi != EXPERTMEM_ABI_VERSION) << 9;
	wrong |= (expert_stat(fd).state != EXPERTMEM_STATE_IDLE) << 10;
	return wrong;
}

TEST_F(device, a_descriptor_for_reading_only_looks)
{
	int fds[2] = { open_flags_as(&owner, O_RDONLY), open_as(&owner) };
	struct expertmem_stat before, after;
	size_t i;

	ASSERT_GE(fds[0], 0);
	before = expert_stat(fds[0]);
	for (i = 0; i < COUNT_OF(actors); i++) {
		EXPECT_EQ(as(actors[i], call_in_vain, fds), 0) TH_LOG("%s", actors[i]->name);
		/* it stays so, whatever fcntl() is told */
		EXPECT_EQ(fcntl(fds[0], F_SETFL, O_RDWR), 0);
		EXPECT_EQ(fcntl(fds[0], F_GETFL) & O_ACCMODE, O_RDONLY);
	}
	after = expert_stat(fds[0]);
	EXPECT_EQ(memcmp(&before, &after, sizeof(before)), 0);
	close(fds[0]);
	close(fds[1]);
}

TEST_F(device, a_descriptor_for_reading_only_maps_the_status_page)
{
	int fd = open_flags_as(&owner, O_RDONLY);
	const volatile struct expertmem_status *page = status_map(fd);
	struct nl nl;

	ASSERT_NE((void *)page, MAP_FAILED);
	ASSERT_EQ(nl_open(&nl), 0);
	EXPECT_EQ(page->flags, 0);
	EXPECT_EQ(result(mprotect((void *)page, PAGE, PROT_READ | PROT_WRITE)), -EACCES);
	EXPECT_EQ(nl_do(&nl, EXPERTMEM_CMD_TERMINATE, expert_stat(fd).id, NULL), 0);
	EXPECT_EQ(page->flags, EXPERTMEM_STATUS_TERMINATE);
	munmap((void *)page, PAGE);
	close(nl.fd);
	close(fd);
}

TEST_F(device, nothing_is_copied_from_a_descriptor_for_reading_only)
{
	struct expertmem_copy copy = { .fd = open_flags_as(&owner, O_RDONLY) };
	struct window w;

	ASSERT_GE(copy.fd, 0);
	ASSERT_EQ(window_open(&w, &small_window, WINDOW, 0), 0);
	EXPECT_EQ(expert_ioctl(w.fd, EXPERTMEM_IOC_COPY, &copy), -EBADF);
	EXPECT_EQ(expert_stat(w.fd).refused, 0);
	close(copy.fd);
	copy.fd = open_flags_as(&owner, O_PATH);
	EXPECT_EQ(expert_ioctl(w.fd, EXPERTMEM_IOC_COPY, &copy), -EBADF);
	close(copy.fd);
	/* what can be written to is a source, if an empty one */
	copy.fd = open_as(&owner);
	EXPECT_EQ(expert_ioctl(w.fd, EXPERTMEM_IOC_COPY, &copy), 0);
	close(copy.fd);
	window_close(&w);
}

/* ----------------------------------------------------------------------- mmap */

static const __u64 offsets[] = {
	EXPERTMEM_STATUS_OFFSET, PAGE, HUGE,
	EXPERTMEM_SMALL_OFFSET - PAGE, EXPERTMEM_SMALL_OFFSET, EXPERTMEM_SMALL_OFFSET + PAGE,
	EXPERTMEM_HUGE_OFFSET - HUGE, EXPERTMEM_HUGE_OFFSET, EXPERTMEM_HUGE_OFFSET + HUGE,
	EXPERTMEM_HUGE_OFFSET + EXPERTMEM_WINDOW_MAX, 1ULL << 63,
};

static const size_t lengths[] = { PAGE, 3 * PAGE, HUGE };

/* No flag of mmap() yet. */
#define UNKNOWN_FLAG	(1 << 22)

static const int flags_of_mmap[] = {
	MAP_SHARED, MAP_SHARED_VALIDATE, MAP_PRIVATE, 0, 0x8, MAP_TYPE,
	MAP_SHARED | MAP_POPULATE, MAP_SHARED | MAP_POPULATE | MAP_NONBLOCK,
	MAP_SHARED | MAP_LOCKED, MAP_SHARED | MAP_NORESERVE, MAP_SHARED | MAP_STACK,
#ifdef MAP_32BIT
	MAP_SHARED | MAP_32BIT,
#endif
	MAP_SHARED | MAP_DENYWRITE | MAP_EXECUTABLE,
	MAP_SHARED | UNKNOWN_FLAG, MAP_SHARED | MAP_GROWSDOWN, MAP_SHARED | MAP_HUGETLB,
	MAP_SHARED | MAP_SYNC, MAP_SHARED_VALIDATE | MAP_SYNC,
	MAP_SHARED_VALIDATE | UNKNOWN_FLAG, MAP_PRIVATE | MAP_LOCKED | MAP_POPULATE,
};

/* What the mm says of these flags before it asks us; 0: nothing. */
static int mm_error(int flags)
{
	int type = flags & MAP_TYPE;

	if (flags & MAP_HUGETLB)
		return -EINVAL;
	if (type != MAP_SHARED && type != MAP_SHARED_VALIDATE && type != MAP_PRIVATE)
		return -EINVAL;
	if (type == MAP_SHARED_VALIDATE && flags & (MAP_SYNC | UNKNOWN_FLAG))
		return -EOPNOTSUPP;
	return flags & MAP_GROWSDOWN ? -EINVAL : 0;
}

static int mmap_error(__u64 offset, size_t length, int prot, int flags)
{
	int err = mm_error(flags);
	bool good = false;

	if (err)
		return err;
	if (offset == EXPERTMEM_STATUS_OFFSET)
		good = length == PAGE && !(prot & PROT_WRITE);
	else if (offset == EXPERTMEM_SMALL_OFFSET)
		good = true;
	else if (offset == EXPERTMEM_HUGE_OFFSET)
		good = length % HUGE == 0;
	return good && !(prot & PROT_EXEC) && flags & MAP_SHARED ? 0 : -EINVAL;
}

static bool is_window(__u64 offset)
{
	return offset == EXPERTMEM_SMALL_OFFSET || offset == EXPERTMEM_HUGE_OFFSET;
}

/* What is so on a descriptor for reading only, where it is @err on others. */
static int reader_error(__u64 offset, int prot, int flags, int err)
{
	/* the mm looks at most flags after that */
	if (prot & PROT_WRITE && flags & MAP_SHARED && !(flags & MAP_HUGETLB) &&
	    (!mm_error(flags) || flags & MAP_GROWSDOWN))
		return -EACCES;
	return is_window(offset) && !mm_error(flags) ? -EACCES : err;
}

/* As many as there are ways to map a window; each can be mapped once only. */
#define ENOUGH_EXPERTS	200

/**
 * struct mappings - descriptors to map, as every offset, length, protection and flag
 * @fds: of experts none of whose windows was mapped
 * @reader: they are for reading only
 * @used: how many were mapped
 * @wrong: how many answers were wrong; the first is printed
 */
struct mappings {
	int fds[ENOUGH_EXPERTS];
	bool reader;
	unsigned int used;
	unsigned long wrong;
};

static void map_one(struct mappings *mappings, __u64 offset, size_t length, int prot, int flags)
{
	int want = mmap_error(offset, length, prot, flags);
	void *addr = mmap(NULL, length, prot, flags, mappings->fds[mappings->used], offset);
	int err = addr == MAP_FAILED ? -errno : 0;

	if (mappings->reader)
		want = reader_error(offset, prot, flags, want);
	if (!err) {
		munmap(addr, length);
		if (is_window(offset) && ++mappings->used == ENOUGH_EXPERTS)
			_exit(1);
	}
	if (err == want)
		return;
	if (!mappings->wrong++)
		fprintf(stderr, "# offset %#llx, length %#zx, prot %d, flags %#x: %d, not %d\n",
			offset, length, prot, flags, err, want);
}

static long map_all(void *arg)
{
	struct mappings *mappings = arg;
	size_t i, j, k;
	int prot;

	for (i = 0; i < COUNT_OF(offsets); i++)
		for (j = 0; j < COUNT_OF(lengths); j++)
			for (k = 0; k < COUNT_OF(flags_of_mmap); k++)
				for (prot = 0; prot < 8; prot++)
					map_one(mappings, offsets[i], lengths[j], prot,
						flags_of_mmap[k]);
	return mappings->wrong;
}

TEST_F(device, mmap_takes_nothing_but_what_is_documented)
{
	struct mappings *mappings = shared(sizeof(*mappings));
	size_t i, j;

	for (i = 0; i < COUNT_OF(actors); i++) {
		for (j = 0; j < ENOUGH_EXPERTS; j++) {
			mappings->fds[j] = open_by_uid(actors[i]->uid);
			ASSERT_GE(mappings->fds[j], 0);
		}
		mappings->used = 0;
		mappings->wrong = 0;
		EXPECT_EQ(as(actors[i], map_all, mappings), 0) TH_LOG("%s", actors[i]->name);
		EXPECT_GT(mappings->used, 0);
		for (j = 0; j < ENOUGH_EXPERTS; j++) {
			EXPECT_EQ(expert_stat(mappings->fds[j]).state,
				  j < mappings->used ? EXPERTMEM_STATE_RECLAIMED :
						       EXPERTMEM_STATE_IDLE);
			close(mappings->fds[j]);
		}
	}
}

TEST_F(device, a_descriptor_for_reading_only_maps_no_window)
{
	struct mappings *mappings = shared(sizeof(*mappings));
	size_t i;

	mappings->reader = true;
	mappings->fds[0] = open_flags_as(&owner, O_RDONLY);
	ASSERT_GE(mappings->fds[0], 0);
	for (i = 0; i < COUNT_OF(actors); i++) {
		EXPECT_EQ(as(actors[i], map_all, mappings), 0) TH_LOG("%s", actors[i]->name);
		EXPECT_EQ(mappings->used, 0);
	}
	EXPECT_EQ(expert_stat(mappings->fds[0]).state, EXPERTMEM_STATE_IDLE);
	close(mappings->fds[0]);
}

/* ------------------------------------------------------ terminating and status page */

TEST_F(device, an_expert_that_is_terminating_maps_no_further_window)
{
	static const struct window *const kinds[] = { &small_window, &huge_window };
	const volatile struct expertmem_status *page;
	struct window first, second;
	__u64 offset, other;
	struct nl nl;
	size_t i;
	int fd;

	ASSERT_EQ(nl_open(&nl), 0);
	for (i = 0; i < COUNT_OF(kinds); i++) {
		fd = open_as(&owner);
		ASSERT_GE(fd, 0);
		ASSERT_EQ(window_map(&first, kinds[i], fd, WINDOW), 0);
		ASSERT_EQ(region_alloc(&first, HUGE, &offset), 0);
		memset(at(&first, offset), 'x', HUGE);
		ASSERT_EQ(i ? expert_terminate(fd) :
			  nl_do(&nl, EXPERTMEM_CMD_TERMINATE, expert_stat(fd).id, NULL), 0);
		EXPECT_EQ(window_map(&second, kinds[!i], fd, WINDOW), -ECANCELED);
		/* what is mapped was so before */
		EXPECT_EQ(window_map(&second, kinds[i], fd, WINDOW), -EBUSY);
		EXPECT_EQ(expert_stat(fd).state, EXPERTMEM_STATE_TERMINATING);
		EXPECT_TRUE(all_bytes(at(&first, offset), HUGE, 'x'));
		EXPECT_EQ(region_alloc(&first, PAGE, &other), -ECANCELED);
		page = status_map(fd);
		ASSERT_NE((void *)page, MAP_FAILED);
		EXPECT_EQ(page->flags, EXPERTMEM_STATUS_TERMINATE);
		munmap((void *)page, PAGE);
		EXPECT_EQ(region_free(&first, offset), 0);
		window_close(&first);
	}
	close(nl.fd);
}

TEST_F(device, an_idle_expert_that_is_terminating_maps_no_window)
{
	const volatile struct expertmem_status *page;
	struct expertmem_reclaim reclaim;
	int fd = open_as(&owner);
	struct window window;

	ASSERT_GE(fd, 0);
	ASSERT_EQ(expert_terminate(fd), 0);
	EXPECT_EQ(window_map(&window, &small_window, fd, WINDOW), -ECANCELED);
	EXPECT_EQ(window_map(&window, &huge_window, fd, WINDOW), -ECANCELED);
	EXPECT_EQ(expert_stat(fd).state, EXPERTMEM_STATE_TERMINATING);
	page = status_map(fd);
	ASSERT_NE((void *)page, MAP_FAILED);
	EXPECT_EQ(page->flags, EXPERTMEM_STATUS_TERMINATE);

	ASSERT_EQ(expert_reclaim(fd, &reclaim), 0);
	EXPECT_EQ(window_map(&window, &small_window, fd, WINDOW), -ESHUTDOWN);
	EXPECT_EQ(window_map(&window, &huge_window, fd, WINDOW), -ESHUTDOWN);
	EXPECT_EQ(page->flags, EXPERTMEM_STATUS_TERMINATE | EXPERTMEM_STATUS_RECLAIMED);
	close(fd);
	munmap((void *)page, PAGE);
}

TEST_F(device, a_mapped_status_page_does_not_keep_the_expert)
{
	const volatile struct expertmem_status *page;
	int fd = open_as(&owner);
	__u64 id = expert_stat(fd).id;
	struct told t;
	struct nl nl;
	pid_t pid;

	ASSERT_GE(fd, 0);
	ASSERT_EQ(nl_open(&nl), 0);
	page = status_map(fd);
	ASSERT_NE((void *)page, MAP_FAILED);
	EXPECT_EQ(open_experts(), self->experts + 1);
	ASSERT_EQ(nl_do(&nl, EXPERTMEM_CMD_EXPERT_GET, id, &t), 0);
	ASSERT_EQ(expert_terminate(fd), 0);
	close(fd);
	EXPECT_EQ(open_experts(), self->experts);
	EXPECT_EQ(nl_do(&nl, EXPERTMEM_CMD_EXPERT_GET, id, &t), -ENOENT);

	/* it says what it said, in a child as well */
	EXPECT_NE(page->flags & EXPERTMEM_STATUS_TERMINATE, 0);
	pid = fork();
	if (!pid)
		_exit(read_touch((void *)page) || write_touch((void *)page) != SIGSEGV ||
		      !(page->flags & EXPERTMEM_STATUS_TERMINATE));
	EXPECT_EQ(child_status(pid), 0);
	EXPECT_EQ(result(mprotect((void *)page, PAGE, PROT_READ | PROT_WRITE)), -EACCES);
	EXPECT_EQ(read_touch((void *)page), 0);
	munmap((void *)page, PAGE);
	close(nl.fd);
}

TEST_F(device, mapped_status_pages_of_experts_that_are_closed_keep_nobody_out)
{
	struct parameter max_experts = { };
	char number[16];
	size_t i;
	int fd;

	snprintf(number, sizeof(number), "%lu", self->experts + 1);
	ASSERT_EQ(parameter_set(&max_experts, "max_experts", number), 0);
	for (i = 0; i < 200; i++) {
		fd = expert_open();
		ASSERT_GE(fd, 0);
		ASSERT_NE((void *)status_map(fd), MAP_FAILED);
		close(fd);
	}
	EXPECT_EQ(parameter_restore(&max_experts), 0);
}

TEST_F(device, a_status_page_is_no_way_to_a_file)
{
	int fd = open_as(&owner), err;
	void *page = (void *)status_map(fd);
	char path[96];

	ASSERT_NE(page, MAP_FAILED);
	snprintf(path, sizeof(path), "/proc/self/map_files/%lx-%lx", (unsigned long)page,
		 (unsigned long)page + PAGE);
	err = result(open(path, O_RDONLY));
	if (err == -ENOENT)
		SKIP(return, "this kernel has no /proc/PID/map_files");
	EXPECT_LT(err, 0);
	EXPECT_LT(result(open(path, O_RDWR)), 0);
	EXPECT_LT(result(truncate(path, 0)), 0);
	EXPECT_EQ(read_touch(page), 0);
	munmap(page, PAGE);
	close(fd);
}

TEST_HARNESS_MAIN
