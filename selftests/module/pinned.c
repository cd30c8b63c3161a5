// SPDX-License-Identifier: GPL-2.0
/*
 * Pinned pages of all kinds of users (pipes, sockets, io_uring, direct I/O): they stay
 * charged, and are returned when the last reference is gone. held.c tests the charge of one
 * page.
 *
 * needs: module root
 */
#include <linux/if_xdp.h>
#include <linux/io_uring.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "reclaim_test.h"
#include "tcp_test.h"

/*
 * Each makes somebody hold @size bytes at @addr until the descriptor that it returns
 * is closed.
 */
static int pin_by_io_uring(void *addr, size_t size)
{
	struct io_uring_params params = { };
	struct iovec iov = { .iov_base = addr, .iov_len = size };
	int fd = result(syscall(SYS_io_uring_setup, 4, &params));
	int err;

	if (fd < 0)
		return fd;
	err = result(syscall(SYS_io_uring_register, fd, IORING_REGISTER_BUFFERS, &iov, 1));
	if (err)
		close(fd);
	return err ? err : fd;
}

static int pin_by_af_xdp(void *addr, size_t size)
{
	struct xdp_umem_reg reg = {
		.addr = (unsigned long)addr, .len = size, .chunk_size = PAGE,
	};
	int fd = result(socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0));
	int err;

	if (fd < 0)
		return fd;
	err = result(setsockopt(fd, SOL_XDP, XDP_UMEM_REG, &reg, sizeof(reg)));
	if (err)
		close(fd);
	return err ? err : fd;
}

/* Its holder has let go: nothing stays charged. */
static void check_unpinned(struct __test_metadata *_metadata, FIXTURE_DATA(expert) *self)
{
	time_t end = time(NULL) + SETTLE;

	while (expert_stat(self->expert.fd).pinned && time(NULL) < end)
		usleep(20000);
	EXPECT_EQ(expert_stat(self->expert.fd).pinned, 0);
}

FIXTURE(pinned)
{
	FIXTURE_DATA(expert) of;
};

FIXTURE_VARIANT(pinned)
{
	int (*pin)(void *addr, size_t size);
	bool huge;
};

FIXTURE_VARIANT_ADD(pinned, io_uring_small) { .pin = pin_by_io_uring };
FIXTURE_VARIANT_ADD(pinned, io_uring_huge) { .pin = pin_by_io_uring, .huge = true };
FIXTURE_VARIANT_ADD(pinned, af_xdp_small) { .pin = pin_by_af_xdp };
FIXTURE_VARIANT_ADD(pinned, af_xdp_huge) { .pin = pin_by_af_xdp, .huge = true };

FIXTURE_SETUP(pinned)
{
	expert_setup(_metadata, &self->of, NULL);
}

FIXTURE_TEARDOWN(pinned)
{
	expert_teardown(_metadata, &self->of, NULL);
}

TEST_F(pinned, pages_are_back_when_their_holder_lets_go)
{
	struct expert *expert = &self->of.expert;
	struct expertmem_reclaim result;
	struct memory held;
	int fd;

	ASSERT_EQ(hold(expert, HELD), 0);
	fd = variant->pin(variant->huge ? at(&expert->huge, expert->huge_region) :
					  at(&expert->small, expert->small_region), HELD);
	if (fd == -ENOSYS || fd == -EOPNOTSUPP || fd == -EAFNOSUPPORT)
		SKIP_TEST("this kernel does not pin mappings of a device: %s",
			  strerror(-fd));
	ASSERT_GE(fd, 0);

	ASSERT_EQ(expert_reclaim(expert->fd, &result), 0);
	check_result(_metadata, &result, TOTAL, 2);
	check_stat(_metadata, expert->fd, EXPERTMEM_CAUSE_HOST, TOTAL);
	held = self->of.before;
	held.free -= HELD;
	EXPECT_TRUE(memory_is_back(&held, MEMORY_NOISE, SETTLE));
	EXPECT_FALSE(memory_is_back(&self->of.before, HELD - MEMORY_NOISE, 0));
	close(fd);
	check(_metadata, &self->of, EXPERTMEM_CAUSE_HOST);
}

/*
 * Have io_uring send without a copy; the ring stays open. Returns how many bytes it has
 * taken, and holds until it notifies.
 */
static int send_zc(int socket, void *addr, size_t size)
{
	struct io_uring_params params = { };
	int fd = result(syscall(SYS_io_uring_setup, 1, &params));
	struct io_uring_sqe *sqe;
	struct io_uring_cqe *cqe;
	unsigned char *rings;

	if (fd < 0)
		return fd;
	sqe = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, IORING_OFF_SQES);
	rings = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, IORING_OFF_SQ_RING);
	if (sqe == MAP_FAILED || rings == MAP_FAILED)
		return -errno;
	sqe->opcode = IORING_OP_SEND_ZC;
	sqe->fd = socket;
	sqe->addr = (unsigned long)addr;
	sqe->len = size;
	__atomic_store_n((__u32 *)(rings + params.sq_off.tail), 1, __ATOMIC_RELEASE);
	if (syscall(SYS_io_uring_enter, fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) != 1)
		return -errno;
	cqe = (struct io_uring_cqe *)(rings + params.cq_off.cqes);
	return cqe->flags & IORING_CQE_F_MORE ? cqe->res : -EPROTO;
}

static void does_send(struct expert *expert, void *addr)
{
	int sent = send_zc(expert->stuck, addr, HELD);

	say(expert->line, sent == (int)HELD ? 't' : sent == -ENOSYS ? 'n' : 'f');
	does_nothing(expert);
}

static void does_send_small(struct expert *expert)
{
	does_send(expert, at(&expert->small, expert->small_region));
}

static void does_send_huge(struct expert *expert)
{
	does_send(expert, at(&expert->huge, expert->huge_region));
}

FIXTURE(sent)
{
	FIXTURE_DATA(expert) of;
	int line[2];
	size_t ahead;
};

FIXTURE_VARIANT(sent)
{
	void (*what)(struct expert *expert);
	unsigned char byte;
};

FIXTURE_VARIANT_ADD(sent, io_uring_small) { .what = does_send_small, .byte = 's' };
FIXTURE_VARIANT_ADD(sent, io_uring_huge) { .what = does_send_huge, .byte = 'h' };

FIXTURE_SETUP(sent)
{
	struct memory held;
	cpu_set_t cpu;
	char answer;

	/* what one CPU receives from another may wait there until it is freed */
	CPU_ZERO(&cpu);
	CPU_SET(sched_getcpu(), &cpu);
	ASSERT_EQ(sched_setaffinity(0, sizeof(cpu), &cpu), 0);

	expert_setup(_metadata, &self->of, NULL);
	ASSERT_EQ(tcp_stuck(self->line, &self->ahead, HELD), 0);
	self->of.expert.stuck = self->line[0];
	start(_metadata, &self->of, variant->what);
	held = memory_now();
	go(_metadata, &self->of);
	answer = hear(self->of.expert.line);
	if (answer == 'n')
		SKIP_TEST("this kernel has no io_uring");
	ASSERT_EQ(answer, 't');
	/* a copy would take as much again */
	ASSERT_TRUE(memory_is_back(&held, HELD / 4, SETTLE));
}

FIXTURE_TEARDOWN(sent)
{
	expert_teardown(_metadata, &self->of, NULL);
}

/* What is sent is held, and nothing else. What is ahead of it takes more than its size. */
static void check_held(struct __test_metadata *_metadata, FIXTURE_DATA(sent) *self,
		       __u32 cause)
{
	struct memory held = self->of.before;

	check_stat(_metadata, self->of.expert.fd, cause, TOTAL);
	EXPECT_EQ(expert_stat(self->of.expert.fd).pinned, HELD);
	held.free -= HELD + 2 * self->ahead;
	EXPECT_TRUE(memory_is_back(&held, MEMORY_NOISE, SETTLE));
	EXPECT_FALSE(memory_is_back(&self->of.before, HELD - MEMORY_NOISE, 0));
}

/* The old bytes arrive. */
static void receive(struct __test_metadata *_metadata, FIXTURE_DATA(sent) *self,
		    unsigned char byte)
{
	static unsigned char buffer[64 * KIB];
	size_t i;

	ASSERT_EQ(recv(self->line[1], NULL, self->ahead, MSG_TRUNC | MSG_WAITALL),
		  self->ahead);
	for (i = 0; i < HELD; i += sizeof(buffer)) {
		ASSERT_EQ(recv(self->line[1], buffer, sizeof(buffer), MSG_WAITALL),
			  sizeof(buffer));
		ASSERT_TRUE(all_bytes(buffer, sizeof(buffer), byte));
	}
	close(self->line[0]);
	close(self->line[1]);
	check_unpinned(_metadata, &self->of);
}

TEST_F(sent, pages_outlive_reclaim_until_they_are_received)
{
	struct expertmem_reclaim result;

	ASSERT_EQ(expert_reclaim(self->of.expert.fd, &result), 0);
	check_result(_metadata, &result, TOTAL, 2);
	check_held(_metadata, self, EXPERTMEM_CAUSE_HOST);
	receive(_metadata, self, variant->byte);
	kill_expert(_metadata, &self->of);
	check(_metadata, &self->of, EXPERTMEM_CAUSE_HOST);
}

TEST_F(sent, pages_outlive_sigkill_until_they_are_received)
{
	kill_expert(_metadata, &self->of);
	check_held(_metadata, self, EXPERTMEM_CAUSE_DETACH);
	receive(_metadata, self, variant->byte);
	check(_metadata, &self->of, EXPERTMEM_CAUSE_DETACH);
}

/* One page in the pipe keeps all of its huge page from being free. */
TEST_F(expert, a_pipe_keeps_the_old_bytes_until_it_is_read)
{
	unsigned char *huge, *small, page[PAGE];
	struct expertmem_reclaim result;
	struct iovec iov[16];
	size_t i, nr_huge = 12;
	struct memory held;
	int fds[2];

	ASSERT_EQ(hold(&self->expert, HELD), 0);
	huge = at(&self->expert.huge, self->expert.huge_region);
	small = at(&self->expert.small, self->expert.small_region);
	for (i = 0; i < COUNT_OF(iov); i++) {
		iov[i].iov_base = i < nr_huge ? huge + i * HUGE + PAGE : small + i * PAGE;
		iov[i].iov_len = PAGE;
		memset(iov[i].iov_base, 'A' + i, PAGE);
	}
	ASSERT_EQ(pipe(fds), 0);
	ASSERT_EQ(vmsplice(fds[1], iov, COUNT_OF(iov), 0), COUNT_OF(iov) * PAGE);

	ASSERT_EQ(expert_reclaim(self->expert.fd, &result), 0);
	check_result(_metadata, &result, TOTAL, 2);
	check_stat(_metadata, self->expert.fd, EXPERTMEM_CAUSE_HOST, TOTAL);
	if (expert_info(self->expert.fd).features & EXPERTMEM_FEATURE_HUGE) {
		EXPECT_EQ(expert_stat(self->expert.fd).pinned,
			  nr_huge * HUGE + (COUNT_OF(iov) - nr_huge) * PAGE);
		held = self->before;
		held.free -= nr_huge * HUGE;
		EXPECT_TRUE(memory_is_back(&held, MEMORY_NOISE, SETTLE));
		EXPECT_FALSE(memory_is_back(&self->before,
					    nr_huge * HUGE - MEMORY_NOISE, 0));
	}
	for (i = 0; i < COUNT_OF(iov); i++) {
		ASSERT_EQ(read(fds[0], page, PAGE), PAGE);
		EXPECT_TRUE(all_bytes(page, PAGE, 'A' + i));
	}
	EXPECT_EQ(expert_stat(self->expert.fd).pinned, 0);
	check(_metadata, self, EXPERTMEM_CAUSE_HOST);
}

TEST_HARNESS_MAIN
