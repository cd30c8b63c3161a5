// SPDX-License-Identifier: GPL-2.0
/*
 * userfaultfd cannot register a part of a window. A process that has registered a mapping
 * decides which page a fault finds there, which would pass by the gate. The kernel refuses,
 * since a window is not a shmem mapping and has VM_DONTEXPAND.
 *
 * needs: module root
 */
#include <sys/syscall.h>
#include <linux/userfaultfd.h>

#include "advice_test.h"

/* The headers of Debian 12 do not have these. */
#ifndef UFFD_FEATURE_WP_UNPOPULATED
#define UFFD_FEATURE_WP_UNPOPULATED	(1 << 13)
#endif
#ifndef UFFD_FEATURE_WP_ASYNC
#define UFFD_FEATURE_WP_ASYNC		(1 << 15)
#endif
#ifndef UFFDIO_POISON
struct uffdio_poison {
	struct uffdio_range range;
	__u64 mode;
	__s64 updated;
};
#define UFFDIO_POISON	_IOWR(UFFDIO, 0x08, struct uffdio_poison)
#endif
#ifndef UFFDIO_MOVE
struct uffdio_move {
	__u64 dst;
	__u64 src;
	__u64 len;
	__u64 mode;
	__s64 move;
};
#define UFFDIO_MOVE	_IOWR(UFFDIO, 0x05, struct uffdio_move)
#endif
#define FEATURES_ASYNC	(UFFD_FEATURE_PAGEFAULT_FLAG_WP | UFFD_FEATURE_WP_ASYNC)

static int uffd_open(__u64 features)
{
	struct uffdio_api api = { .api = UFFD_API, .features = features };
	int fd = result(syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK));
	int err;

	if (fd < 0)
		return fd;
	err = result(ioctl(fd, UFFDIO_API, &api));
	if (err)
		close(fd);
	return err ? err : fd;
}

static int uffd_register(int fd, const void *addr, size_t size, __u64 mode)
{
	struct uffdio_register arg = {
		.range = { (unsigned long)addr, size }, .mode = mode,
	};

	return result(ioctl(fd, UFFDIO_REGISTER, &arg));
}

static int uffd_protect(int fd, const struct range *range)
{
	struct uffdio_writeprotect arg = {
		.range = { (unsigned long)range->addr, range->size },
		.mode = UFFDIO_WRITEPROTECT_MODE_WP,
	};

	return result(ioctl(fd, UFFDIO_WRITEPROTECT, &arg));
}

#define NEED_USERFAULTFD()							\
	do {									\
		int fd_ = uffd_open(0);						\
										\
		if (fd_ < 0)							\
			SKIP_TEST("no userfaultfd: %s", strerror(-fd_));	\
		close(fd_);							\
	} while (0)

/* ---------------------------------------------------------------- registering */

/* Since 6.7 any mapping could be registered to track writes, were it not for VM_DONTEXPAND. */
TEST_F(window, no_part_of_a_window_is_registered)
{
	const __u64 features[] = {
		0, UFFD_FEATURE_MINOR_SHMEM, UFFD_FEATURE_WP_HUGETLBFS_SHMEM,
		UFFD_FEATURE_WP_UNPOPULATED, FEATURES_ASYNC,
		FEATURES_ASYNC | UFFD_FEATURE_WP_UNPOPULATED,
	};
	struct range ranges[RANGES];
	size_t feature;
	int fd, mode, i;

	NEED_USERFAULTFD();
	ranges_of(self, ranges);
	for (feature = 0; feature < COUNT_OF(features); feature++) {
		fd = uffd_open(features[feature]);
		/* This kernel does not have the feature. */
		if (fd < 0)
			continue;
		for (i = 0; i < RANGES; i++) {
			for (mode = 0; mode < 8; mode++) {
				EXPECT_EQ(-EINVAL, uffd_register(fd, ranges[i].addr,
								 ranges[i].size, mode))
					TH_LOG("features %llx, mode %d, %s", features[feature],
					       mode, ranges[i].name);
			}
			EXPECT_EQ(-ENOENT, uffd_protect(fd, &ranges[i]))
				TH_LOG("%s", ranges[i].name);
			EXPECT_UNCHANGED(self, "registering %s", ranges[i].name);
		}
		close(fd);
	}
}

/* -------------------------------------------------------------- placing pages */

/* Each asks a userfaultfd to place a page at @addr. The page's bytes are at @from. */
static int place_copy(int fd, void *addr, const void *from)
{
	struct uffdio_copy arg = {
		.dst = (unsigned long)addr, .src = (unsigned long)from, .len = PAGE,
	};

	return result(ioctl(fd, UFFDIO_COPY, &arg));
}

static int place_protected_copy(int fd, void *addr, const void *from)
{
	struct uffdio_copy arg = {
		.dst = (unsigned long)addr, .src = (unsigned long)from, .len = PAGE,
		.mode = UFFDIO_COPY_MODE_WP,
	};

	return result(ioctl(fd, UFFDIO_COPY, &arg));
}

static int place_zeros(int fd, void *addr, const void *from)
{
	struct uffdio_zeropage arg = { .range = { (unsigned long)addr, PAGE } };

	return result(ioctl(fd, UFFDIO_ZEROPAGE, &arg));
}

static int place_page_of_file(int fd, void *addr, const void *from)
{
	struct uffdio_continue arg = { .range = { (unsigned long)addr, PAGE } };

	return result(ioctl(fd, UFFDIO_CONTINUE, &arg));
}

static int place_poison(int fd, void *addr, const void *from)
{
	struct uffdio_poison arg = { .range = { (unsigned long)addr, PAGE } };

	return result(ioctl(fd, UFFDIO_POISON, &arg));
}

static int place_moved(int fd, void *addr, const void *from)
{
	struct uffdio_move arg = {
		.dst = (unsigned long)addr, .src = (unsigned long)from, .len = PAGE,
	};

	return result(ioctl(fd, UFFDIO_MOVE, &arg));
}

static const struct {
	const char *name;
	int (*place)(int fd, void *addr, const void *from);
} placings[] = {
	{ "UFFDIO_COPY", place_copy },
	{ "UFFDIO_COPY with MODE_WP", place_protected_copy },
	{ "UFFDIO_ZEROPAGE", place_zeros },
	{ "UFFDIO_CONTINUE", place_page_of_file },
	{ "UFFDIO_POISON", place_poison },
	{ "UFFDIO_MOVE", place_moved },
};

TEST_F(window, userfaultfd_places_no_page_in_a_window)
{
	const struct window *w = &self->w;
	unsigned char *page, *addrs[4];
	__u64 untouched;
	int fd, answer;
	size_t i, j;

	NEED_USERFAULTFD();
	page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, page);
	memset(page, OTHER, PAGE);
	ASSERT_EQ(0, region_alloc(w, 1, &untouched));
	addrs[0] = at(w, untouched);
	addrs[1] = at(w, self->offset);
	addrs[2] = at(w, self->offset + self->size);
	addrs[3] = w->addr + w->size - PAGE;

	fd = uffd_open(0);
	ASSERT_LE(0, fd);
	for (i = 0; i < COUNT_OF(placings); i++) {
		for (j = 0; j < COUNT_OF(addrs); j++) {
			answer = placings[i].place(fd, addrs[j], page);
			/* EINVAL: this kernel does not have the call. */
			EXPECT_TRUE(answer == -ENOENT || answer == -EINVAL)
				TH_LOG("%s, address %zu: %d", placings[i].name, j, answer);
			EXPECT_EQ(self->size, expert_stat(w->fd).resident);
		}
		EXPECT_TRUE(all_bytes(page, PAGE, OTHER)) TH_LOG("%s", placings[i].name);
	}
	close(fd);
	EXPECT_TRUE(all_bytes(at(w, untouched), w->granule, 0));
	ASSERT_EQ(0, region_free(w, untouched));
	EXPECT_UNCHANGED(self, "placing pages");
	munmap(page, PAGE);
}

TEST_F(window, userfaultfd_moves_no_page_out_of_a_window)
{
	const struct window *w = &self->w;
	unsigned char *addrs[] = { at(w, self->offset), at(w, self->offset + self->size) };
	unsigned char *target;
	int fd, answer;
	size_t i;

	NEED_USERFAULTFD();
	target = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, target);
	fd = uffd_open(0);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, uffd_register(fd, target, PAGE, UFFDIO_REGISTER_MODE_MISSING));
	for (i = 0; i < COUNT_OF(addrs); i++) {
		answer = place_moved(fd, target, addrs[i]);
		EXPECT_EQ(-EINVAL, answer) TH_LOG("place %zu", i);
	}
	/* The kernel copies what the process can read, and nothing else. */
	EXPECT_EQ(-EFAULT, place_copy(fd, target, addrs[1]));
	EXPECT_EQ(0, place_copy(fd, target, addrs[0]));
	EXPECT_TRUE(all_bytes(target, PAGE, BYTE));
	close(fd);
	EXPECT_UNCHANGED(self, "UFFDIO_MOVE");
}

TEST_HARNESS_MAIN
