// SPDX-License-Identifier: GPL-2.0
/*
 * Access to a window from another process, by ptrace, /proc/PID/mem and process_vm_readv(). A
 * process that may trace the owner of the window reads and writes its regions, and nothing
 * else. A process that may not trace it gets an error.
 *
 * needs: module root
 */
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <linux/kcmp.h>
#include <linux/mempolicy.h>

#include "victim_test.h"

/* The byte that a test writes to the victim's region. */
#define OTHER		0x77

/* ---------------------------------------------------------- reading and writing */

/**
 * struct access - an access to the memory of another process
 * @way: the system call to use
 * @pid: the other process
 * @addr: address in the other process
 * @size: bytes, a multiple of the size of a long
 * @write: write; otherwise read
 * @buffer: the bytes to write, or those that were read
 */
struct access {
	const struct way *way;
	pid_t pid;
	unsigned char *addr;
	size_t size;
	bool write;
	unsigned char buffer[TRIED];
};

/**
 * struct way - a system call that accesses the memory of another process
 * @try: do it; returns the number of bytes, or a negative errno
 * @refused: the error where the process has no memory
 * @denied: the error for whoever may not trace the process
 */
struct way {
	int (*try)(struct access *access);
	int refused;
	int denied;
};

static int by_proc_mem(struct access *access)
{
	char path[64];
	int fd, done;

	snprintf(path, sizeof(path), "/proc/%d/mem", access->pid);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (access->write)
		done = result(pwrite(fd, access->buffer, access->size, (long)access->addr));
	else
		done = result(pread(fd, access->buffer, access->size, (long)access->addr));
	close(fd);
	return done;
}

static int by_process_vm(struct access *access)
{
	struct iovec here = { access->buffer, access->size };
	struct iovec there = { access->addr, access->size };

	if (access->write)
		return result(process_vm_writev(access->pid, &here, 1, &there, 1, 0));
	return result(process_vm_readv(access->pid, &here, 1, &there, 1, 0));
}

/* Word by word, while the process is stopped. */
static int by_ptrace(struct access *access)
{
	long *word = (long *)access->buffer;
	size_t done;
	int err = 0;

	if (ptrace(PTRACE_SEIZE, access->pid, NULL, NULL))
		return -errno;
	ptrace(PTRACE_INTERRUPT, access->pid, NULL, NULL);
	waitpid(access->pid, NULL, __WALL);
	for (done = 0; !err && done < access->size; done += sizeof(long), word++) {
		unsigned char *addr = access->addr + done;

		if (access->write)
			err = result(ptrace(PTRACE_POKEDATA, access->pid, addr, *word));
		else
			err = result(syscall(SYS_ptrace, PTRACE_PEEKDATA, access->pid, addr, word));
	}
	ptrace(PTRACE_DETACH, access->pid, NULL, NULL);
	if (err)
		done -= sizeof(long);
	return done ? (int)done : err;
}

FIXTURE(access) {
	FIXTURE_DATA(victim) of;
	unsigned char *addr;		/* of the region, in the victim */
};

FIXTURE_VARIANT(access) {
	struct window kind;
	struct way way;
};

#define PROC_MEM	{ .try = by_proc_mem, .refused = -EIO, .denied = -EACCES }
#define PROCESS_VM	{ .try = by_process_vm, .refused = -EFAULT, .denied = -EPERM }
#define PTRACE		{ .try = by_ptrace, .refused = -EIO, .denied = -EPERM }

FIXTURE_VARIANT_ADD(access, proc_mem_small) { .kind = SMALL_WINDOW, .way = PROC_MEM };
FIXTURE_VARIANT_ADD(access, proc_mem_huge) { .kind = HUGE_WINDOW, .way = PROC_MEM };
FIXTURE_VARIANT_ADD(access, process_vm_small) { .kind = SMALL_WINDOW, .way = PROCESS_VM };
FIXTURE_VARIANT_ADD(access, process_vm_huge) { .kind = HUGE_WINDOW, .way = PROCESS_VM };
FIXTURE_VARIANT_ADD(access, ptrace_small) { .kind = SMALL_WINDOW, .way = PTRACE };
FIXTURE_VARIANT_ADD(access, ptrace_huge) { .kind = HUGE_WINDOW, .way = PTRACE };

FIXTURE_SETUP(access)
{
	const FIXTURE_VARIANT(victim) kind = { .kind = variant->kind };

	victim_setup(_metadata, &self->of, &kind);
	self->addr = at(&self->of.w, self->of.offset);
}

FIXTURE_TEARDOWN(access)
{
	victim_teardown(_metadata, &self->of, NULL);
}

/* read_at() - read TRIED bytes of the victim to @buffer */
static int read_at(const FIXTURE_DATA(access) *self, const struct way *way, unsigned char *addr,
		   unsigned char *buffer)
{
	struct access access = { .way = way, .pid = self->of.pid, .addr = addr, .size = TRIED };
	int done = way->try(&access);

	memcpy(buffer, access.buffer, TRIED);
	return done;
}

/* write_at() - write TRIED times @byte to the victim */
static int write_at(const FIXTURE_DATA(access) *self, const struct way *way, unsigned char *addr,
		    unsigned char byte)
{
	struct access access = {
		.way = way, .pid = self->of.pid, .addr = addr, .size = TRIED, .write = true,
	};

	memset(access.buffer, byte, TRIED);
	return way->try(&access);
}

/* Nothing can be read or written at @addr. */
static void expect_refused(struct __test_metadata *_metadata, const FIXTURE_DATA(access) *self,
			   const struct way *way, unsigned char *addr)
{
	struct expertmem_stat before = expert_stat(self->of.w.fd), after;
	unsigned char buffer[TRIED];

	EXPECT_EQ(way->refused, read_at(self, way, addr, buffer))
		TH_LOG("%ld bytes from the region", (long)(addr - self->addr));
	EXPECT_EQ(way->refused, write_at(self, way, addr, OTHER))
		TH_LOG("%ld bytes from the region", (long)(addr - self->addr));
	after = expert_stat(self->of.w.fd);
	EXPECT_EQ(0, memcmp(&before, &after, sizeof(before)));
}

TEST_F(access, regions_can_be_read_and_written)
{
	unsigned char buffer[TRIED];

	EXPECT_EQ(TRIED, read_at(self, &variant->way, self->addr, buffer));
	EXPECT_TRUE(all_bytes(buffer, TRIED, BYTE));
	EXPECT_EQ(TRIED, write_at(self, &variant->way, self->addr, OTHER));
	EXPECT_TRUE(ask(&self->of, OTHER));
	EXPECT_EQ(TRIED, write_at(self, &variant->way, self->addr, BYTE));
	EXPECT_TRUE(is_unharmed(&self->of));
}

TEST_F(access, nothing_outside_regions_can_be_read_or_written)
{
	const struct window *w = &self->of.w;

	expect_refused(_metadata, self, &variant->way, w->addr);
	expect_refused(_metadata, self, &variant->way, self->addr - TRIED);
	expect_refused(_metadata, self, &variant->way, self->addr + self->of.size);
	expect_refused(_metadata, self, &variant->way, w->addr + w->size - TRIED);
	EXPECT_TRUE(is_unharmed(&self->of));
}

TEST_F(access, access_that_runs_past_a_region_ends_there)
{
	unsigned char *addr = self->addr + self->of.size - TRIED / 2, buffer[TRIED];

	EXPECT_EQ(TRIED / 2, read_at(self, &variant->way, addr, buffer));
	EXPECT_TRUE(all_bytes(buffer, TRIED / 2, BYTE));
	EXPECT_EQ(TRIED / 2, write_at(self, &variant->way, addr, BYTE));
	/* The first byte of this access is outside the region, so nothing is read or written. */
	expect_refused(_metadata, self, &variant->way, self->addr - TRIED / 2);
	EXPECT_TRUE(is_unharmed(&self->of));
}

TEST_F(access, first_access_makes_a_page_of_the_region_and_no_other)
{
	const struct window *w = &self->of.w;
	unsigned char buffer[TRIED];
	__u64 offset;

	ASSERT_EQ(0, region_alloc(w, 4 * w->granule, &offset));
	EXPECT_EQ(self->of.size, expert_stat(w->fd).resident);
	EXPECT_EQ(TRIED, write_at(self, &variant->way, at(w, offset + w->granule), OTHER));
	EXPECT_EQ(self->of.size + w->granule, expert_stat(w->fd).resident);
	EXPECT_EQ(TRIED, read_at(self, &variant->way, at(w, offset + w->granule), buffer));
	EXPECT_TRUE(all_bytes(buffer, TRIED, OTHER));
	EXPECT_EQ(TRIED, read_at(self, &variant->way, at(w, offset + w->granule + TRIED), buffer));
	EXPECT_TRUE(all_bytes(buffer, TRIED, 0));
	expect_refused(_metadata, self, &variant->way, at(w, offset + 4 * w->granule));
	ASSERT_EQ(0, region_free(w, offset));
	EXPECT_TRUE(is_unharmed(&self->of));
}

TEST_F(access, freed_memory_cannot_be_read_or_written)
{
	const struct window *w = &self->of.w;
	unsigned char *addr, buffer[TRIED];
	__u64 offset;

	ASSERT_EQ(0, region_realloc(w, self->of.offset, self->of.size - w->granule));
	expect_refused(_metadata, self, &variant->way, self->addr + self->of.size - w->granule);
	ASSERT_EQ(0, region_free(w, self->of.offset));
	expect_refused(_metadata, self, &variant->way, self->addr);
	EXPECT_EQ(0, expert_stat(w->fd).resident);

	/* A region that is made in the same place has none of the old bytes. */
	ASSERT_EQ(0, region_alloc(w, self->of.size, &offset));
	addr = at(w, offset);
	EXPECT_EQ(TRIED, read_at(self, &variant->way, addr, buffer));
	EXPECT_TRUE(all_bytes(buffer, TRIED, 0));
}

TEST_F(access, reclaimed_memory_cannot_be_read_or_written)
{
	struct expertmem_reclaim freed;

	ASSERT_EQ(0, expert_reclaim(self->of.w.fd, &freed));
	EXPECT_EQ(self->of.size, freed.reclaimed_resident);
	expect_refused(_metadata, self, &variant->way, self->addr);
	expect_refused(_metadata, self, &variant->way, self->addr + self->of.size - TRIED);
	EXPECT_EQ(0, expert_stat(self->of.w.fd).resident);
}

static long try_access(void *arg)
{
	struct access *access = arg;

	return access->way->try(access);
}

TEST_F(access, whoever_may_not_trace_the_process_reaches_nothing)
{
	struct access *access = shared(sizeof(*access));
	int write;

	ASSERT_NE(NULL, access);
	for (write = 0; write < 2; write++) {
		*access = (struct access) {
			.way = &variant->way, .pid = self->of.pid, .addr = self->addr,
			.size = TRIED, .write = write,
		};
		memset(access->buffer, OTHER, TRIED);
		EXPECT_EQ(variant->way.denied, as(&stranger, try_access, access));
		EXPECT_EQ(variant->way.denied, as(&member, try_access, access));
		EXPECT_EQ(variant->way.denied, as(&operator, try_access, access));
		EXPECT_TRUE(all_bytes(access->buffer, TRIED, OTHER));
		EXPECT_TRUE(is_unharmed(&self->of));
	}
	/* Another process of the same user may trace the process. */
	EXPECT_EQ(TRIED, as(&owner, try_access, access));
	EXPECT_TRUE(ask(&self->of, OTHER));
}

/* --------------------------------------------------------------------- cgroups */

#define CGROUPS		"/sys/fs/cgroup/"
#define MAPPERS		CGROUPS "expertmem-mapper"
#define FOREIGN		CGROUPS "expertmem-foreign"

/* How much a foreign process makes, and by how much the accounts of a cgroup may be late. */
#define MADE		(8 * MIB)
#define CHARGE_NOISE	MIB

/* Bytes of shared memory that are charged to a cgroup. */
static __u64 charged_to(const char *cgroup)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/memory.stat", cgroup);
	return value_in(path, "shmem");
}

static int join(pid_t pid, const char *cgroup)
{
	char path[128], number[16];

	snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup);
	snprintf(number, sizeof(number), "%d", pid);
	return file_write(path, number);
}

/* Make the cgroups and put the victim in one; false: the system has no cgroups for memory. */
static bool have_cgroups(pid_t victim)
{
	file_write(CGROUPS "cgroup.subtree_control", "+memory");
	return (!mkdir(MAPPERS, 0755) || errno == EEXIST) &&
	       (!mkdir(FOREIGN, 0755) || errno == EEXIST) &&
	       !access(MAPPERS "/memory.max", F_OK) && !join(victim, MAPPERS);
}

/* The kernel adds up what was charged within a few seconds. */
static void expect_charged(struct __test_metadata *_metadata, __u64 before)
{
	time_t end = time(NULL) + 30;

	while (charged_to(MAPPERS) < before + MADE && time(NULL) < end)
		usleep(50000);
	EXPECT_LE(before + MADE, charged_to(MAPPERS));
	EXPECT_GE(CHARGE_NOISE, charged_to(FOREIGN));
}

/* Join another cgroup, and write to each page of a region. */
static long write_pages(void *arg)
{
	struct access *access = arg;
	unsigned char *end = access->addr + MADE;
	int done = join(getpid(), FOREIGN);

	for (; done >= 0 && access->addr < end; access->addr += PAGE)
		done = access->way->try(access);
	return done;
}

TEST_F(access, pages_are_charged_to_the_cgroup_of_the_process_that_mapped)
{
	struct access *access = shared(sizeof(*access));
	__u64 offset, before;

	ASSERT_NE(NULL, access);
	if (!have_cgroups(self->of.pid))
		SKIP_TEST("no cgroups for memory");
	before = charged_to(MAPPERS);
	ASSERT_EQ(0, region_alloc(&self->of.w, MADE, &offset));
	*access = (struct access) {
		.way = &variant->way, .pid = self->of.pid, .addr = at(&self->of.w, offset),
		.size = sizeof(long), .write = true,
	};
	EXPECT_EQ(sizeof(long), as(&root, write_pages, access));
	EXPECT_EQ(self->of.size + MADE, expert_stat(self->of.w.fd).resident);
	expect_charged(_metadata, before);
	EXPECT_EQ(0, join(self->of.pid, CGROUPS));
	EXPECT_EQ(0, rmdir(FOREIGN));
	EXPECT_EQ(0, rmdir(MAPPERS));
}

struct populate {
	struct window w;
	__u64 offset;
};

static long populate_elsewhere(void *arg)
{
	struct populate *job = arg;

	return join(getpid(), FOREIGN) ?: region_alloc_flags(&job->w, EXPERTMEM_ALLOC_POPULATE,
							     MADE, 0, &job->offset);
}

TEST_F(victim, populated_pages_are_charged_to_the_cgroup_of_the_process_that_mapped)
{
	struct populate *job = shared(sizeof(*job));
	__u64 before;

	ASSERT_NE(NULL, job);
	if (!have_cgroups(self->pid))
		SKIP_TEST("no cgroups for memory");
	before = charged_to(MAPPERS);
	job->w = self->w;
	EXPECT_EQ(0, as(&root, populate_elsewhere, job));
	EXPECT_EQ(self->size + MADE, expert_stat(self->w.fd).resident);
	expect_charged(_metadata, before);
	EXPECT_EQ(0, join(self->pid, CGROUPS));
	EXPECT_EQ(0, rmdir(FOREIGN));
	EXPECT_EQ(0, rmdir(MAPPERS));
}

/* --------------------------------------------------------------------- advice */

static int advise(int pidfd, void *addr, size_t size, int value)
{
	struct iovec iov = { addr, size };
	long advised = syscall(SYS_process_madvise, pidfd, &iov, 1, value, 0);

	return advised == (long)size ? 0 : advised < 0 ? -errno : -EIO;
}

/* The advice that the kernel takes for another process: MADV_WILLNEED, MADV_COLD, MADV_PAGEOUT. */
static bool is_for_others(int value)
{
	return value == 3 || value == 20 || value == 21;
}

TEST_F(victim, advice_of_another_process_changes_nothing)
{
	const struct window *w = &self->w;
	unsigned char *addr = at(w, self->offset);
	const struct iovec ranges[] = {
		{ addr, self->size }, { addr, PAGE }, { w->addr, w->size },
		{ addr + self->size, w->granule },
	};
	int value, expected;
	size_t i;

	for (value = -1; value <= 128; value++) {
		/* These two take memory away from the machine. */
		if (value == 100 || value == 101)
			continue;
		expected = is_for_others(value) ? 0 : -EINVAL;
		for (i = 0; i < COUNT_OF(ranges); i++) {
			EXPECT_EQ(expected, advise(self->pidfd, ranges[i].iov_base,
						   ranges[i].iov_len, value))
				TH_LOG("advice %d of range %zu", value, i);
		}
		EXPECT_TRUE(is_unharmed(self)) TH_LOG("after advice %d", value);
	}
}

/**
 * struct meddling - a system call on another process
 * @pidfd: refers to the other process
 * @pid: the pid of the other process
 * @fd: a descriptor that the other process has
 * @addr: the address of its region
 * @value: the advice, or the type of the comparison
 */
struct meddling {
	int pidfd;
	pid_t pid;
	int fd;
	unsigned char *addr;
	int value;
};

static long meddle_by_advice(void *arg)
{
	struct meddling *with = arg;

	return advise(with->pidfd, with->addr, PAGE, with->value);
}

static long meddle_by_mrelease(void *arg)
{
	struct meddling *with = arg;

	return result(syscall(SYS_process_mrelease, with->pidfd, 0));
}

static long meddle_by_getfd(void *arg)
{
	struct meddling *with = arg;

	return result(syscall(SYS_pidfd_getfd, with->pidfd, with->fd, 0));
}

static long meddle_by_kcmp(void *arg)
{
	struct meddling *with = arg;

	return result(syscall(SYS_kcmp, getppid(), with->pid, with->value, with->fd, with->fd));
}

static struct meddling *meddling_with(const FIXTURE_DATA(victim) *self)
{
	struct meddling *with = shared(sizeof(*with));

	if (with)
		*with = (struct meddling) {
			.pidfd = self->pidfd, .pid = self->pid, .fd = self->w.fd,
			.addr = at(&self->w, self->offset),
		};
	return with;
}

TEST_F(victim, advice_of_a_stranger_is_refused)
{
	struct meddling *with = meddling_with(self);
	long answer;

	ASSERT_NE(NULL, with);
	for (with->value = 0; with->value <= 25; with->value++) {
		answer = as(&stranger, meddle_by_advice, with);
		EXPECT_TRUE(answer == -EPERM || answer == -EACCES ||
			    (answer == -EINVAL && !is_for_others(with->value)))
			TH_LOG("advice %d: %ld", with->value, answer);
	}
	EXPECT_TRUE(is_unharmed(self));
}

static long meddle_by_moving(void *arg)
{
	struct meddling *with = arg;
	void *pages[] = { with->addr };
	int nodes[] = { 0 }, status[1];
	unsigned long all = ~0UL, first = 1;

	if (syscall(SYS_move_pages, with->pid, 1, pages, nodes, status, MPOL_MF_MOVE_ALL) < 0)
		return -errno;
	if (syscall(SYS_migrate_pages, with->pid, 8 * sizeof(all), &all, &first) < 0)
		return -errno;
	return status[0];
}

TEST_F(victim, moving_pages_of_another_process_changes_nothing)
{
	struct meddling *with = meddling_with(self);

	ASSERT_NE(NULL, with);
	if (meddle_by_moving(with) == -ENOSYS)
		SKIP_TEST("this kernel moves no pages");
	EXPECT_EQ(0, meddle_by_moving(with));
	EXPECT_EQ(-EPERM, as(&stranger, meddle_by_moving, with));
	with->addr += self->size;
	EXPECT_GT(0, meddle_by_moving(with));
	EXPECT_TRUE(is_unharmed(self));
}

TEST_F(victim, process_that_lives_is_not_released)
{
	struct meddling *with = meddling_with(self);

	ASSERT_NE(NULL, with);
	if (meddle_by_mrelease(with) == -ENOSYS)
		SKIP_TEST("this kernel has no process_mrelease()");
	EXPECT_EQ(-EINVAL, meddle_by_mrelease(with));
	EXPECT_EQ(-EINVAL, as(&stranger, meddle_by_mrelease, with));
	EXPECT_TRUE(is_unharmed(self));
}

/* ---------------------------------------------------------------- descriptors */

TEST_F(victim, descriptor_got_from_a_process_is_the_same_expert)
{
	struct meddling *with = meddling_with(self);
	const struct window *w = &self->w;
	struct window got = *w;
	__u64 offset;

	ASSERT_NE(NULL, with);
	EXPECT_EQ(-EPERM, as(&stranger, meddle_by_getfd, with));
	EXPECT_EQ(-EPERM, as(&member, meddle_by_getfd, with));
	got.fd = as(&owner, meddle_by_getfd, with);
	ASSERT_LE(0, got.fd);
	EXPECT_EQ(expert_stat(w->fd).id, expert_stat(got.fd).id);
	EXPECT_EQ(-EBUSY, map(got.fd, WINDOW_SIZE, PROT_READ, MAP_SHARED, w->offset));
	EXPECT_EQ(0, region_alloc(&got, 1, &offset));
	EXPECT_EQ(self->size + w->granule, expert_stat(w->fd).committed);
	EXPECT_EQ(0, region_free(&got, offset));
	EXPECT_TRUE(is_unharmed(self));

	/* Opening the device makes another expert. */
	close(got.fd);
	got.fd = expert_open();
	ASSERT_LE(0, got.fd);
	EXPECT_NE(expert_stat(w->fd).id, expert_stat(got.fd).id);
	EXPECT_EQ(-ENXIO, region_alloc(&got, 1, &offset));
	close(got.fd);
	EXPECT_TRUE(is_unharmed(self));
}

TEST_F(victim, comparing_processes_changes_nothing)
{
	struct meddling *with = meddling_with(self);

	ASSERT_NE(NULL, with);
	if (syscall(SYS_kcmp, getpid(), getpid(), KCMP_VM, 0, 0))
		SKIP_TEST("this kernel has no kcmp()");
	for (with->value = 0; with->value < KCMP_TYPES; with->value++) {
		EXPECT_EQ(-EPERM, as(&stranger, meddle_by_kcmp, with)) TH_LOG("%d", with->value);
		as(&root, meddle_by_kcmp, with);
	}
	/* The test and the victim have the same open file. */
	EXPECT_EQ(0, syscall(SYS_kcmp, getpid(), self->pid, KCMP_FILE, self->w.fd, self->w.fd));
	EXPECT_NE(0, syscall(SYS_kcmp, getpid(), self->pid, KCMP_VM, 0, 0));
	EXPECT_TRUE(is_unharmed(self));
}

/* ----------------------------------------------------- what /proc tells of it */

static int proc_open(const FIXTURE_DATA(victim) *self, const char *name, int flags)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", self->pid, name);
	return result(open(path, flags | O_CLOEXEC));
}

#define PAGEMAP_PRESENT	(1ULL << 63)
#define PAGEMAP_SWAP	(1ULL << 62)

/* How many pages of the window the victim has mapped; -1: one of them is in no region. */
static long pages_mapped(const FIXTURE_DATA(victim) *self)
{
	unsigned long first = (self->offset - self->w.offset) / PAGE;
	size_t pages = self->w.size / PAGE, i;
	__u64 *map = calloc(pages, sizeof(*map));
	int fd = proc_open(self, "pagemap", O_RDONLY);
	long mapped = 0;

	if (!map || pread(fd, map, pages * sizeof(*map), (unsigned long)self->w.addr / PAGE *
			  sizeof(*map)) != (ssize_t)(pages * sizeof(*map)))
		mapped = -1;
	for (i = 0; mapped >= 0 && i < pages; i++) {
		if (!(map[i] & (PAGEMAP_PRESENT | PAGEMAP_SWAP)))
			continue;
		mapped = i >= first && i < first + self->size / PAGE ? mapped + 1 : -1;
	}
	close(fd);
	free(map);
	return mapped;
}

TEST_F(victim, page_tables_have_pages_of_regions_only)
{
	struct expertmem_reclaim freed;

	if (access("/proc/self/pagemap", R_OK))
		SKIP_TEST("this kernel has no pagemap");
	EXPECT_EQ(self->size / PAGE, pages_mapped(self));
	EXPECT_TRUE(is_unharmed(self));
	ASSERT_EQ(0, region_realloc(&self->w, self->offset, self->w.granule));
	EXPECT_EQ(self->w.granule / PAGE, pages_mapped(self));
	ASSERT_EQ(0, expert_reclaim(self->w.fd, &freed));
	EXPECT_EQ(0, pages_mapped(self));
}

static void read_all(struct __test_metadata *_metadata, const FIXTURE_DATA(victim) *self,
		     const char *name)
{
	static char buffer[64 * KIB];
	int fd = proc_open(self, name, O_RDONLY);
	ssize_t len;

	/* This kernel does not have the file. */
	if (fd == -ENOENT)
		return;
	ASSERT_LE(0, fd) TH_LOG("%s", name);
	do {
		len = read(fd, buffer, sizeof(buffer));
	} while (len > 0);
	EXPECT_EQ(0, len) TH_LOG("%s", name);
	close(fd);
	EXPECT_TRUE(is_unharmed(self)) TH_LOG("after reading %s", name);
}

TEST_F(victim, what_proc_says_of_a_window_changes_nothing)
{
	static const char *const names[] = {
		"maps", "smaps", "smaps_rollup", "numa_maps", "stat", "statm", "status",
	};
	char what[2] = "0";
	size_t i;
	int fd;

	for (i = 0; i < COUNT_OF(names); i++)
		read_all(_metadata, self, names[i]);

	/* 1 to 3 clear referenced bits, 4 soft dirty bits, and 5 the peak of the RSS. */
	for (what[0] = '1'; what[0] <= '5'; what[0]++) {
		fd = proc_open(self, "clear_refs", O_WRONLY);
		if (fd == -ENOENT)
			break;
		ASSERT_LE(0, fd);
		EXPECT_EQ(1, write(fd, what, 1)) TH_LOG("%s", what);
		close(fd);
		EXPECT_TRUE(is_unharmed(self)) TH_LOG("after writing %s to clear_refs", what);
	}
}

struct proc_file {
	const FIXTURE_DATA(victim) *victim;
	const char *name;
	int flags;
};

static long open_proc_file(void *arg)
{
	const struct proc_file *file = arg;
	int fd = proc_open(file->victim, file->name, file->flags);

	close(fd);
	return fd;
}

TEST_F(victim, stranger_opens_no_file_of_the_process)
{
	struct proc_file files[] = {
		{ self, "maps", O_RDONLY }, { self, "smaps", O_RDONLY },
		{ self, "pagemap", O_RDONLY }, { self, "clear_refs", O_WRONLY },
		{ self, "map_files", O_RDONLY | O_DIRECTORY }, { self, "mem", O_RDONLY },
	};
	size_t i;

	for (i = 0; i < COUNT_OF(files); i++) {
		long answer = as(&stranger, open_proc_file, &files[i]);

		EXPECT_TRUE(answer == -EACCES || answer == -ENOENT)
			TH_LOG("%s: %ld", files[i].name, answer);
	}
	EXPECT_TRUE(is_unharmed(self));
}

TEST_HARNESS_MAIN
