// SPDX-License-Identifier: GPL-2.0
/*
 * I/O in flight: a pipe, a fixed buffer of io_uring, a direct read or write, or a socket
 * references a page of a region that is freed, shrunk or reclaimed before the I/O ends. The
 * I/O keeps the old page: it neither reads nor changes a later region at this address.
 *
 * needs: module root
 */
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/io_uring.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>

#include "held_test.h"
#include "memory_test.h"
#include "nbd_test.h"
#include "tcp_test.h"

#ifndef SO_ZEROCOPY
#define SO_ZEROCOPY	60
#endif
#ifndef MSG_ZEROCOPY
#define MSG_ZEROCOPY	0x4000000
#endif

/* ---------------------------------------------------- what the holder gets */

FIXTURE(bytes)
{
	struct window window;
	int ends[2];
};

FIXTURE_VARIANT(bytes)
{
	const struct window *kind;
};

FIXTURE_VARIANT_ADD(bytes, small) { .kind = &small_window };
FIXTURE_VARIANT_ADD(bytes, huge) { .kind = &huge_window };

FIXTURE_SETUP(bytes)
{
	NEED_DEVICE();
	ASSERT_EQ(pipe2(self->ends, O_CLOEXEC), 0);
	ASSERT_EQ(window_open(&self->window, variant->kind, WINDOW, 0), 0);
}

FIXTURE_TEARDOWN(bytes)
{
	close(self->ends[0]);
	close(self->ends[1]);
	window_close(&self->window);
}

static bool splice_page(const FIXTURE_DATA(bytes) *self, __u64 offset)
{
	struct iovec iov = { .iov_base = at(&self->window, offset), .iov_len = PAGE };

	return vmsplice(self->ends[1], &iov, 1, 0) == (ssize_t)PAGE;
}

static bool read_page(const FIXTURE_DATA(bytes) *self, unsigned char byte)
{
	unsigned char page[PAGE];

	return read(self->ends[0], page, PAGE) == (ssize_t)PAGE && all_bytes(page, PAGE, byte);
}

TEST_F(bytes, pipe_has_the_bytes_of_each_region_that_was_in_one_place)
{
	const __u64 size = 2 * variant->kind->granule;
	__u64 offset, again;
	int i;

	for (i = 0; i < 16; i++) {
		ASSERT_EQ(region_alloc(&self->window, size, &again), 0);
		if (!i)
			offset = again;
		ASSERT_EQ(again, offset);
		ASSERT_EQ(*at(&self->window, offset), 0);
		memset(at(&self->window, offset), 'a' + i, size);
		ASSERT_TRUE(splice_page(self, offset + size / 2));
		ASSERT_EQ(region_free(&self->window, offset), 0);
	}
	ASSERT_EQ(region_alloc(&self->window, size, &again), 0);
	ASSERT_EQ(again, offset);
	memset(at(&self->window, offset), OTHER, size);
	for (i = 0; i < 16; i++)
		ASSERT_TRUE(read_page(self, 'a' + i));
	EXPECT_EQ(expert_stat(self->window.fd).pinned, 0);
	EXPECT_TRUE(all_bytes(at(&self->window, offset), size, OTHER));
}

TEST_F(bytes, pipe_has_the_bytes_of_a_tail_that_was_shrunk_away)
{
	const __u64 granule = variant->kind->granule;
	__u64 offset;
	int i;

	ASSERT_EQ(region_alloc_flags(&self->window, 0, 2 * granule, 2 * granule, &offset), 0);
	for (i = 0; i < 16; i++) {
		memset(at(&self->window, offset + granule), 'a' + i, granule);
		ASSERT_TRUE(splice_page(self, offset + granule));
		ASSERT_EQ(region_realloc(&self->window, offset, granule), 0);
		ASSERT_EQ(region_realloc(&self->window, offset, 2 * granule), 0);
	}
	memset(at(&self->window, offset), OTHER, 2 * granule);
	for (i = 0; i < 16; i++)
		ASSERT_TRUE(read_page(self, 'a' + i));
	EXPECT_EQ(expert_stat(self->window.fd).pinned, 0);
}

TEST_F(bytes, pipe_has_the_bytes_of_reclaimed_experts)
{
	const __u64 size = variant->kind->granule;
	struct expertmem_reclaim arg;
	struct window window;
	__u64 offset;
	int i;

	for (i = 0; i < 16; i++) {
		struct iovec iov = { .iov_len = PAGE };

		ASSERT_EQ(window_open(&window, variant->kind, WINDOW, 0), 0);
		ASSERT_EQ(region_alloc(&window, size, &offset), 0);
		iov.iov_base = at(&window, offset);
		memset(iov.iov_base, 'a' + i, size);
		ASSERT_EQ(vmsplice(self->ends[1], &iov, 1, 0), PAGE);
		ASSERT_EQ(expert_reclaim(window.fd, &arg), 0);
		window_close(&window);
	}
	ASSERT_EQ(region_alloc(&self->window, 64 * size, &offset), 0);
	memset(at(&self->window, offset), OTHER, 64 * size);
	for (i = 0; i < 16; i++)
		ASSERT_TRUE(read_page(self, 'a' + i));
	EXPECT_TRUE(all_bytes(at(&self->window, offset), 64 * size, OTHER));
}

/* What MADV_REMOVE cannot take out of a huge page it must not fill with zeros either. */
TEST_F(bytes, pipe_has_the_bytes_of_pages_that_madv_remove_was_to_take)
{
	const __u64 granule = variant->kind->granule;
	__u64 offset;
	int i;

	ASSERT_EQ(region_alloc(&self->window, 2 * granule, &offset), 0);
	for (i = 0; i < 8; i++) {
		__u64 page = offset + (granule == PAGE ? i % 2 : i) * PAGE;

		memset(at(&self->window, page), 'a' + i, PAGE);
		ASSERT_TRUE(splice_page(self, page));
		madvise(at(&self->window, page), PAGE, MADV_REMOVE);
		ASSERT_TRUE(read_page(self, 'a' + i));
	}
	EXPECT_EQ(expert_stat(self->window.fd).pinned, 0);
}

/* ------------------------------------------------------------------- io_uring */

/**
 * struct uring - an io_uring for one request at a time
 * @fd: its descriptor
 * @params: offsets in @rings
 * @sqe: the only submission entry
 * @rings: submission and completion ring
 */
struct uring {
	int fd;
	struct io_uring_params params;
	struct io_uring_sqe *sqe;
	unsigned char *rings;
};

static int uring_open(struct uring *uring)
{
	memset(uring, 0, sizeof(*uring));
	uring->fd = result(syscall(SYS_io_uring_setup, 1, &uring->params));
	if (uring->fd < 0)
		return uring->fd;
	uring->sqe = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, uring->fd,
			  IORING_OFF_SQES);
	uring->rings = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, uring->fd,
			    IORING_OFF_SQ_RING);
	return uring->sqe == MAP_FAILED || uring->rings == MAP_FAILED ? -errno : 0;
}

static void uring_close(struct uring *uring)
{
	munmap(uring->sqe, PAGE);
	munmap(uring->rings, PAGE);
	close(uring->fd);
}

static int uring_register(const struct uring *uring, void *addr, size_t size)
{
	struct iovec iov = { .iov_base = addr, .iov_len = size };

	return result(syscall(SYS_io_uring_register, uring->fd, IORING_REGISTER_BUFFERS,
			      &iov, 1));
}

/* Have one request done; what it returns. */
static int uring_do(struct uring *uring, __u8 opcode, int fd, void *addr, size_t size)
{
	__u32 *tail = (__u32 *)(uring->rings + uring->params.sq_off.tail);
	__u32 *head = (__u32 *)(uring->rings + uring->params.cq_off.head);
	struct io_uring_cqe *cqe;
	int done;

	*uring->sqe = (struct io_uring_sqe) {
		.opcode = opcode, .fd = fd, .addr = (unsigned long)addr, .len = size,
		.off = -1,
	};
	__atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
	if (syscall(SYS_io_uring_enter, uring->fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) != 1)
		return -errno;
	cqe = (struct io_uring_cqe *)(uring->rings + uring->params.cq_off.cqes);
	done = cqe[*head % uring->params.cq_entries].res;
	__atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
	return done;
}

TEST_F(bytes, fixed_buffer_reaches_the_old_page_only)
{
	unsigned char page[PAGE];
	struct uring uring;
	__u64 offset, again;
	void *addr;
	int err;

	err = uring_open(&uring);
	ASSERT_EQ(region_alloc(&self->window, variant->kind->granule, &offset), 0);
	addr = at(&self->window, offset);
	memset(addr, BYTE, PAGE);
	if (!err)
		err = uring_register(&uring, addr, PAGE);
	if (is_missing(err))
		SKIP(return, "this kernel has no fixed buffers in windows: %s", strerror(-err));
	ASSERT_EQ(err, 0);
	ASSERT_EQ(region_free(&self->window, offset), 0);
	EXPECT_GT(expert_stat(self->window.fd).pinned, 0);
	ASSERT_EQ(region_alloc(&self->window, variant->kind->granule, &again), 0);
	ASSERT_EQ(again, offset);
	memset(addr, OTHER, PAGE);

	/* what it writes from there is old */
	ASSERT_EQ(uring_do(&uring, IORING_OP_WRITE_FIXED, self->ends[1], addr, PAGE), PAGE);
	ASSERT_EQ(read(self->ends[0], page, PAGE), PAGE);
	EXPECT_TRUE(all_bytes(page, PAGE, BYTE));
	/* and what it reads to there is nowhere to be seen */
	memset(page, 'x', PAGE);
	ASSERT_EQ(write(self->ends[1], page, PAGE), PAGE);
	ASSERT_EQ(uring_do(&uring, IORING_OP_READ_FIXED, self->ends[0], addr, PAGE), PAGE);
	EXPECT_TRUE(all_bytes(addr, PAGE, OTHER));
	uring_close(&uring);
	EXPECT_TRUE(wait_unpinned(self->window.fd));
}

/* --------------------------------------------------------- reads in flight */

/* A read from a disk that does not answer. */
struct flight {
	pthread_t thread;
	int fd;
	void *addr;
	ssize_t got;
};

static void *read_direct(void *arg)
{
	struct flight *flight = arg;

	flight->got = pread(flight->fd, flight->addr, PAGE, 0);
	return NULL;
}

FIXTURE(flight)
{
	struct nbd nbd;
	struct window window;
	__u64 offset;		/* of the region */
	__u64 unit;		/* of its last page */
	struct flight flight;
};

FIXTURE_VARIANT(flight)
{
	const struct window *kind;
};

FIXTURE_VARIANT_ADD(flight, small) { .kind = &small_window };
FIXTURE_VARIANT_ADD(flight, huge) { .kind = &huge_window };

/* A read into the last granule of a region is in flight. */
FIXTURE_SETUP(flight)
{
	const __u64 granule = variant->kind->granule;
	unsigned char *last;
	__u64 before;
	int err;

	NEED_DEVICE();
	err = nbd_open(&self->nbd);
	if (err)
		SKIP_TEST("no module nbd for a disk that can be made to wait: %s",
			  strerror(-err));
	memset(self->nbd.bytes, OTHER, PAGE);
	ASSERT_EQ(window_open(&self->window, variant->kind, WINDOW, 0), 0);
	ASSERT_EQ(region_alloc(&self->window, 2 * granule, &self->offset), 0);
	memset(at(&self->window, self->offset), BYTE, granule);
	before = resident(self->window.fd);
	last = at(&self->window, self->offset + granule);
	*last = BYTE;
	self->unit = resident(self->window.fd) - before;
	memset(last, BYTE, granule);

	self->flight = (struct flight) {
		.fd = open(NBD_DISK, O_RDONLY | O_DIRECT | O_CLOEXEC), .addr = last,
	};
	ASSERT_GE(self->flight.fd, 0);
	nbd_hold(&self->nbd, true);
	ASSERT_EQ(pthread_create(&self->flight.thread, NULL, read_direct, &self->flight), 0);
	ASSERT_TRUE(nbd_wait_held(&self->nbd));
	ASSERT_EQ(expert_stat(self->window.fd).pinned, 0);
}

FIXTURE_TEARDOWN(flight)
{
	close(self->flight.fd);
	nbd_close(&self->nbd);
	window_close(&self->window);
}

/* The disk answers; what it reads is in the old page, which is nobody's any more. */
static void land(struct __test_metadata *_metadata, FIXTURE_DATA(flight) *self)
{
	EXPECT_EQ(expert_stat(self->window.fd).pinned, self->unit);
	nbd_hold(&self->nbd, false);
	ASSERT_EQ(pthread_join(self->flight.thread, NULL), 0);
	EXPECT_EQ(self->flight.got, PAGE);
	EXPECT_TRUE(wait_unpinned(self->window.fd));
}

TEST_F(flight, read_that_ends_after_free_changes_no_later_region)
{
	const __u64 granule = variant->kind->granule;
	__u64 again;

	ASSERT_EQ(region_free(&self->window, self->offset), 0);
	ASSERT_EQ(region_alloc(&self->window, 2 * granule, &again), 0);
	ASSERT_EQ(again, self->offset);
	EXPECT_TRUE(all_bytes(at(&self->window, again), 2 * granule, 0));
	land(_metadata, self);
	EXPECT_TRUE(all_bytes(at(&self->window, again), 2 * granule, 0));
}

TEST_F(flight, read_that_ends_after_shrinking_changes_nothing_that_grows_there)
{
	const __u64 granule = variant->kind->granule;

	ASSERT_EQ(region_realloc(&self->window, self->offset, granule), 0);
	ASSERT_EQ(region_realloc(&self->window, self->offset, 2 * granule), 0);
	memset(at(&self->window, self->offset + granule), 1, granule);
	land(_metadata, self);
	EXPECT_TRUE(all_bytes(at(&self->window, self->offset), granule, BYTE));
	EXPECT_TRUE(all_bytes(at(&self->window, self->offset + granule), granule, 1));
}

TEST_F(flight, read_may_end_after_reclaim)
{
	struct expertmem_reclaim arg;

	ASSERT_EQ(expert_reclaim(self->window.fd, &arg), 0);
	EXPECT_EQ(arg.reclaimed_bytes, 2 * variant->kind->granule);
	EXPECT_EQ(resident(self->window.fd), 0);
	land(_metadata, self);
}

TEST_F(flight, madv_remove_is_busy_until_a_read_ends)
{
	const __u64 granule = variant->kind->granule;
	unsigned char *last = at(&self->window, self->offset + granule);

	errno = 0;
	EXPECT_EQ(madvise(last, granule, MADV_REMOVE), -1);
	EXPECT_EQ(errno, EBUSY);
	nbd_hold(&self->nbd, false);
	ASSERT_EQ(pthread_join(self->flight.thread, NULL), 0);
	EXPECT_EQ(self->flight.got, PAGE);
	EXPECT_TRUE(all_bytes(last, PAGE, OTHER));
	EXPECT_TRUE(all_bytes(last + PAGE, granule - PAGE, BYTE));
	EXPECT_EQ(madvise(last, granule, MADV_REMOVE), 0);
	EXPECT_TRUE(all_bytes(last, granule, 0));
}

/* ---------------------------------------------------- direct I/O races with FREE */

#define RACE_PAGES	8

/* Reads from a disk into a region, or writes a region to it, all the time. */
struct mover {
	pthread_t thread;
	int fd;
	unsigned char *region;
	size_t stride;
	bool reads;
	int stop;
	unsigned long done;
	unsigned long failed;
};

static void *move_pages(void *arg)
{
	struct mover *mover = arg;
	unsigned int i = 0;
	ssize_t moved;

	while (!__atomic_load_n(&mover->stop, __ATOMIC_RELAXED)) {
		unsigned char *page = mover->region + i % RACE_PAGES * mover->stride;

		moved = mover->reads ? pread(mover->fd, page, PAGE, 0) :
				       pwrite(mover->fd, page, PAGE, (1 + i % RACE_PAGES) * PAGE);
		if (moved == (ssize_t)PAGE)
			mover->done++;
		else
			mover->failed++;
		i++;
	}
	return NULL;
}

FIXTURE(direct)
{
	int fd;
	struct window window;
};

FIXTURE_VARIANT(direct)
{
	const struct window *kind;
	unsigned long rounds;
};

FIXTURE_VARIANT_ADD(direct, small) { .kind = &small_window, .rounds = 5000 };
FIXTURE_VARIANT_ADD(direct, huge) { .kind = &huge_window, .rounds = 500 };

FIXTURE_SETUP(direct)
{
	NEED_DEVICE();
	if (access(RAMDISK, F_OK) && system("modprobe brd rd_nr=1 rd_size=65536 2>/dev/null"))
		SKIP_TEST("no module brd for a disk in memory");
	self->fd = open(RAMDISK, O_RDWR | O_DIRECT | O_CLOEXEC);
	ASSERT_GE(self->fd, 0);
	ASSERT_EQ(window_open(&self->window, variant->kind, WINDOW, 0), 0);
}

FIXTURE_TEARDOWN(direct)
{
	close(self->fd);
	window_close(&self->window);
}

/* A page, which is read from the disk or not: whole, in either case. */
static bool is_page_of(const unsigned char *page, unsigned char one, unsigned char other)
{
	return all_bytes(page, PAGE, one) || all_bytes(page, PAGE, other) ||
	       all_bytes(page, PAGE, OTHER);
}

TEST_F(direct, direct_io_that_races_with_free_reaches_no_other_region)
{
	const __u64 granule = variant->kind->granule;
	const size_t stride = granule == PAGE ? PAGE : granule / RACE_PAGES;
	unsigned long i, n = rounds(variant->rounds);
	__u64 region, again, neighbour;
	unsigned char *buffer, *page;
	struct mover movers[2];
	int m, p;

	ASSERT_EQ(posix_memalign((void **)&buffer, PAGE, PAGE), 0);
	memset(buffer, OTHER, PAGE);
	ASSERT_EQ(pwrite(self->fd, buffer, PAGE, 0), PAGE);
	memset(buffer, BYTE, PAGE);
	for (p = 1; p <= RACE_PAGES; p++)
		ASSERT_EQ(pwrite(self->fd, buffer, PAGE, p * PAGE), PAGE);
	ASSERT_EQ(region_alloc(&self->window, RACE_PAGES * stride, &region), 0);
	ASSERT_EQ(region_alloc(&self->window, granule, &neighbour), 0);
	memset(at(&self->window, neighbour), 'n', granule);

	for (m = 0; m < 2; m++) {
		movers[m] = (struct mover) {
			.fd = self->fd, .region = at(&self->window, region),
			.stride = stride, .reads = m == 0,
		};
		ASSERT_EQ(pthread_create(&movers[m].thread, NULL, move_pages, &movers[m]), 0);
	}
	for (i = 0; i < n; i++) {
		for (p = 0; p < RACE_PAGES; p++) {
			page = at(&self->window, region) + p * stride;
			if (*page != OTHER)
				memset(page, BYTE, PAGE);
		}
		sched_yield();
		ASSERT_EQ(region_free(&self->window, region), 0);
		ASSERT_EQ(read_touch(at(&self->window, region)), SIGSEGV);
		if (i % 4 == 0)
			sched_yield();
		ASSERT_EQ(region_alloc(&self->window, RACE_PAGES * stride, &again), 0);
		ASSERT_EQ(again, region);
	}
	for (m = 0; m < 2; m++) {
		__atomic_store_n(&movers[m].stop, 1, __ATOMIC_RELAXED);
		ASSERT_EQ(pthread_join(movers[m].thread, NULL), 0);
		TH_LOG("%s: %lu done, %lu failed", m ? "writes" : "reads", movers[m].done,
		       movers[m].failed);
		EXPECT_GT(movers[m].done, 0);
		EXPECT_GT(movers[m].failed, 0);
	}
	for (p = 0; p < RACE_PAGES; p++) {
		EXPECT_TRUE(is_page_of(at(&self->window, region) + p * stride, 0, OTHER));
		ASSERT_EQ(pread(self->fd, buffer, PAGE, (p + 1) * PAGE), PAGE);
		/* a page is written byte by byte meanwhile */
		for (i = 0; i < PAGE; i++)
			ASSERT_TRUE(!buffer[i] || buffer[i] == BYTE || buffer[i] == OTHER);
	}
	EXPECT_TRUE(all_bytes(at(&self->window, neighbour), granule, 'n'));
	EXPECT_TRUE(wait_unpinned(self->window.fd));
	ASSERT_EQ(region_free(&self->window, region), 0);
	ASSERT_EQ(region_alloc(&self->window, RACE_PAGES * stride, &again), 0);
	EXPECT_TRUE(all_bytes(at(&self->window, again), RACE_PAGES * stride, 0));
	free(buffer);
}

/* ------------------------------------------------------------- MSG_ZEROCOPY */

FIXTURE(zerocopy)
{
	struct window window;
	int line[2];
	size_t ahead;
};

FIXTURE_VARIANT(zerocopy)
{
	const struct window *kind;
	unsigned long rounds;
};

FIXTURE_VARIANT_ADD(zerocopy, small) { .kind = &small_window, .rounds = 5000 };
FIXTURE_VARIANT_ADD(zerocopy, huge) { .kind = &huge_window, .rounds = 500 };

FIXTURE_SETUP(zerocopy)
{
	int on = 1;

	NEED_DEVICE();
	ASSERT_EQ(tcp_stuck(self->line, &self->ahead, 32 * MIB), 0);
	if (setsockopt(self->line[0], SOL_SOCKET, SO_ZEROCOPY, &on, sizeof(on)))
		SKIP_TEST("this kernel has no MSG_ZEROCOPY: %s", strerror(errno));
	ASSERT_EQ(window_open(&self->window, variant->kind, WINDOW, 0), 0);
}

FIXTURE_TEARDOWN(zerocopy)
{
	close(self->line[0]);
	close(self->line[1]);
	window_close(&self->window);
}

/* Read the notifications of what has been sent: they take memory of the socket. */
static void drain_errors(int socket)
{
	char control[128];
	struct msghdr message = { .msg_control = control };

	do {
		message.msg_controllen = sizeof(control);
	} while (recvmsg(socket, &message, MSG_ERRQUEUE | MSG_DONTWAIT) >= 0);
}

#define SENDS		8

TEST_F(zerocopy, bytes_sent_are_those_of_the_freed_region)
{
	const __u64 granule = variant->kind->granule;
	static unsigned char buffer[64 * KIB];
	__u64 offset, again, unit = 0;
	size_t left;
	int i;

	for (i = 0; i < SENDS; i++) {
		ASSERT_EQ(region_alloc(&self->window, granule, &again), 0);
		if (!i)
			offset = again;
		ASSERT_EQ(again, offset);
		*at(&self->window, offset) = 1;
		unit = resident(self->window.fd);
		memset(at(&self->window, offset), 'a' + i, granule);
		ASSERT_EQ(send(self->line[0], at(&self->window, offset), PAGE,
			       MSG_ZEROCOPY | MSG_DONTWAIT), PAGE);
		ASSERT_EQ(region_free(&self->window, offset), 0);
	}
	EXPECT_EQ(expert_stat(self->window.fd).pinned, SENDS * unit);
	ASSERT_EQ(region_alloc(&self->window, granule, &again), 0);
	ASSERT_EQ(again, offset);
	memset(at(&self->window, offset), OTHER, granule);

	for (left = self->ahead; left; left -= i) {
		i = recv(self->line[1], buffer, left < sizeof(buffer) ? left : sizeof(buffer), 0);
		ASSERT_GT(i, 0);
	}
	for (i = 0; i < SENDS; i++) {
		ASSERT_EQ(recv(self->line[1], buffer, PAGE, MSG_WAITALL), PAGE);
		ASSERT_TRUE(all_bytes(buffer, PAGE, 'a' + i));
	}
	drain_errors(self->line[0]);
	EXPECT_TRUE(wait_unpinned(self->window.fd));
	EXPECT_TRUE(all_bytes(at(&self->window, offset), granule, OTHER));
}

/* Sends a page of a region all the time. */
struct sender {
	pthread_t thread;
	int socket;
	void *page;
	int stop;
	unsigned long sent;
	unsigned long failed;
};

static void *send_pages(void *arg)
{
	struct sender *sender = arg;
	ssize_t sent;

	while (!__atomic_load_n(&sender->stop, __ATOMIC_RELAXED)) {
		sent = send(sender->socket, sender->page, PAGE,
			    MSG_ZEROCOPY | MSG_DONTWAIT | MSG_NOSIGNAL);
		if (sent > 0) {
			sender->sent++;
		} else {
			if (errno == EFAULT)
				sender->failed++;
			drain_errors(sender->socket);
			sched_yield();
		}
	}
	shutdown(sender->socket, SHUT_WR);
	return NULL;
}

/* Receives; what is not a byte of that region, or zero, is wrong. */
static void *receive_pages(void *arg)
{
	static unsigned char buffer[64 * KIB];
	int socket = *(int *)arg;
	ssize_t got, i;

	while ((got = recv(socket, buffer, sizeof(buffer), 0)) > 0)
		for (i = 0; i < got; i++)
			if (buffer[i] && buffer[i] != BYTE)
				return (void *)(unsigned long)buffer[i];
	return NULL;
}

TEST_F(zerocopy, send_that_races_with_free_sends_no_other_region)
{
	const __u64 granule = variant->kind->granule;
	unsigned long i, n = rounds(variant->rounds);
	__u64 region, again, neighbour;
	struct sender sender;
	pthread_t receiver;
	void *wrong;

	ASSERT_EQ(region_alloc(&self->window, granule, &region), 0);
	ASSERT_EQ(region_alloc(&self->window, granule, &neighbour), 0);
	memset(at(&self->window, neighbour), 'n', granule);
	sender = (struct sender) {
		.socket = self->line[0], .page = at(&self->window, region),
	};
	ASSERT_EQ(pthread_create(&receiver, NULL, receive_pages, &self->line[1]), 0);
	ASSERT_EQ(pthread_create(&sender.thread, NULL, send_pages, &sender), 0);
	for (i = 0; i < n; i++) {
		memset(at(&self->window, region), BYTE, PAGE);
		sched_yield();
		ASSERT_EQ(region_free(&self->window, region), 0);
		/* pages that others have are filled in between */
		if (i % 4 == 0)
			memset(at(&self->window, neighbour), 'n', granule);
		ASSERT_EQ(region_alloc(&self->window, granule, &again), 0);
		ASSERT_EQ(again, region);
	}
	__atomic_store_n(&sender.stop, 1, __ATOMIC_RELAXED);
	ASSERT_EQ(pthread_join(sender.thread, NULL), 0);
	ASSERT_EQ(pthread_join(receiver, &wrong), 0);
	EXPECT_EQ(wrong, NULL);
	TH_LOG("%lu sends, %lu refused", sender.sent, sender.failed);
	EXPECT_GT(sender.sent, 0);
	EXPECT_TRUE(all_bytes(at(&self->window, neighbour), granule, 'n'));
	drain_errors(self->line[0]);
	EXPECT_TRUE(wait_unpinned(self->window.fd));
}

/* ------------------------------------------------------------ rings of AF_PACKET */

#define FRAME		2048U
#define FRAMES		32U

/**
 * struct packet - a packet socket on the loopback device, with rings
 * @fd: it
 * @rx: ring of received frames
 * @tx: ring of frames to send
 */
struct packet {
	int fd;
	unsigned char *rx;
	unsigned char *tx;
};

static int packet_open(struct packet *packet)
{
	struct tpacket_req req = {
		.tp_block_size = FRAME * FRAMES, .tp_block_nr = 1,
		.tp_frame_size = FRAME, .tp_frame_nr = FRAMES,
	};
	struct sockaddr_ll addr = {
		.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = if_nametoindex("lo"),
	};
	int version = TPACKET_V2;

	packet->fd = result(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL)));
	if (packet->fd < 0)
		return packet->fd;
	if (setsockopt(packet->fd, SOL_PACKET, PACKET_VERSION, &version, sizeof(version)) ||
	    setsockopt(packet->fd, SOL_PACKET, PACKET_RX_RING, &req, sizeof(req)) ||
	    setsockopt(packet->fd, SOL_PACKET, PACKET_TX_RING, &req, sizeof(req)) ||
	    bind(packet->fd, (struct sockaddr *)&addr, sizeof(addr)))
		return -errno;
	packet->rx = mmap(NULL, 2 * FRAME * FRAMES, PROT_READ | PROT_WRITE, MAP_SHARED,
			  packet->fd, 0);
	if (packet->rx == MAP_FAILED)
		return -errno;
	packet->tx = packet->rx + FRAME * FRAMES;
	return 0;
}

/* Send a frame of @byte from slot @i. */
static bool packet_send(struct packet *packet, unsigned int i, unsigned char byte)
{
	struct tpacket2_hdr *header = (void *)(packet->tx + i % FRAMES * FRAME);
	unsigned char *data = (unsigned char *)header + TPACKET2_HDRLEN -
			      sizeof(struct sockaddr_ll);

	if (__atomic_load_n(&header->tp_status, __ATOMIC_ACQUIRE) != TP_STATUS_AVAILABLE)
		return false;
	memset(data, 0, ETH_HLEN);
	data[12] = 0x88;	/* ETH_P_802_EX1, for experiments */
	data[13] = 0xb5;
	memset(data + ETH_HLEN, byte, 1000);
	header->tp_len = ETH_HLEN + 1000;
	__atomic_store_n(&header->tp_status, TP_STATUS_SEND_REQUEST, __ATOMIC_RELEASE);
	return send(packet->fd, NULL, 0, 0) == ETH_HLEN + 1000;
}

/* Receive the next of our frames in slot *@i; its byte, or a negative number. */
static int packet_receive(struct packet *packet, unsigned int *i)
{
	struct pollfd ready = { .fd = packet->fd, .events = POLLIN };
	struct tpacket2_hdr *header;
	unsigned char *data;
	int byte;

	for (;; (*i)++) {
		header = (void *)(packet->rx + *i % FRAMES * FRAME);
		while (!(__atomic_load_n(&header->tp_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER))
			if (poll(&ready, 1, 60000) != 1)
				return -1;
		data = (unsigned char *)header + header->tp_mac;
		byte = -2;
		if (header->tp_snaplen == ETH_HLEN + 1000 &&
		    all_bytes(data + ETH_HLEN, 1000, data[ETH_HLEN]))
			byte = data[ETH_HLEN];
		data[12] = 0;
		__atomic_store_n(&header->tp_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
		if (byte >= 0) {
			(*i)++;
			return byte;
		}
	}
}

TEST_F(bytes, packet_rings_work_beside_a_window)
{
	const __u64 granule = variant->kind->granule;
	unsigned int i, slot = 0, n = rounds(500);
	struct packet packet = { .rx = MAP_FAILED };
	int err = packet_open(&packet), byte;
	__u64 offset;

	if (err == -EAFNOSUPPORT || err == -EPERM)
		SKIP(return, "no packet sockets: %s", strerror(-err));
	ASSERT_EQ(err, 0);
	for (i = 0; i < n; i++) {
		ASSERT_EQ(region_alloc(&self->window, granule, &offset), 0);
		ASSERT_EQ(*at(&self->window, offset), 0);
		ASSERT_TRUE(packet_send(&packet, i, i));
		byte = packet_receive(&packet, &slot);
		ASSERT_EQ(byte, i % 256);
		/* an expert copies the frame into its memory */
		memset(at(&self->window, offset), byte, PAGE);
		ASSERT_TRUE(all_bytes(at(&self->window, offset), PAGE, i));
		ASSERT_EQ(region_free(&self->window, offset), 0);
	}
	EXPECT_EQ(expert_stat(self->window.fd).pinned, 0);
	munmap(packet.rx, 2 * FRAME * FRAMES);
	close(packet.fd);
}

TEST_HARNESS_MAIN
