/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A disk whose reads take as long as a test wants: a network block device that a child serves
 * from memory.
 */
#ifndef EXPERTMEM_NBD_TEST_H
#define EXPERTMEM_NBD_TEST_H

#include <endian.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <linux/fs.h>
#include <linux/nbd.h>

#include "expertmem_test.h"

#define NBD_DISK	"/dev/nbd0"
#define NBD_SIZE	(64 * MIB)
#define NBD_HELD_MAX	256

/**
 * struct nbd_control - what the test and the server share
 * @hold: answer no reads while this is set; the test writes it
 * @held: number of reads that wait for an answer; the server writes it
 */
struct nbd_control {
	int hold;
	int held;
};

/**
 * struct nbd - a disk and the processes behind it
 * @fd: the disk
 * @server: child that answers requests
 * @driver: child that lends its thread to the kernel's driver
 * @control: shared with @server
 * @bytes: contents of the disk, NBD_SIZE bytes; shared with @server
 */
struct nbd {
	int fd;
	pid_t server;
	pid_t driver;
	struct nbd_control *control;
	unsigned char *bytes;
};

static inline bool nbd_receive(int line, void *buffer, size_t size)
{
	return recv(line, buffer, size, MSG_WAITALL) == (ssize_t)size;
}

static inline bool nbd_send(int line, const void *buffer, size_t size)
{
	ssize_t sent;

	for (; size; size -= sent, buffer = (const char *)buffer + sent) {
		sent = send(line, buffer, size, MSG_NOSIGNAL);
		if (sent <= 0)
			return false;
	}
	return true;
}

static inline bool nbd_answer(int line, const struct nbd_request *request,
			      const unsigned char *bytes)
{
	struct nbd_reply reply = { .magic = htobe32(NBD_REPLY_MAGIC) };

	/* its name is "handle" or "cookie", after the release of the header */
	memcpy((char *)&reply + 8, (const char *)request + 8, 8);
	return nbd_send(line, &reply, sizeof(reply)) &&
	       (!bytes || nbd_send(line, bytes, be32toh(request->len)));
}

/* Serve requests until the driver disconnects. */
static inline void nbd_serve(int line, struct nbd_control *control, unsigned char *bytes)
{
	static struct nbd_request held[NBD_HELD_MAX];
	struct pollfd ready = { .fd = line, .events = POLLIN };
	struct nbd_request request;
	bool ok = true;
	int nr = 0, i;

	while (ok) {
		if (nr && !__atomic_load_n(&control->hold, __ATOMIC_SEQ_CST)) {
			for (i = 0; i < nr; i++)
				ok = ok && nbd_answer(line, &held[i],
						      bytes + be64toh(held[i].from));
			nr = 0;
			__atomic_store_n(&control->held, nr, __ATOMIC_SEQ_CST);
		}
		if (poll(&ready, 1, nr ? 10 : -1) <= 0)
			continue;
		ok = ok && nbd_receive(line, &request, sizeof(request));
		if (!ok)
			break;
		switch (be32toh(request.type) & 0xffff) {
		case NBD_CMD_READ:
			if (nr < NBD_HELD_MAX &&
			    __atomic_load_n(&control->hold, __ATOMIC_SEQ_CST)) {
				held[nr++] = request;
				__atomic_store_n(&control->held, nr, __ATOMIC_SEQ_CST);
				break;
			}
			ok = nbd_answer(line, &request, bytes + be64toh(request.from));
			break;
		case NBD_CMD_WRITE:
			ok = nbd_receive(line, bytes + be64toh(request.from),
					 be32toh(request.len)) &&
			     nbd_answer(line, &request, NULL);
			break;
		case NBD_CMD_DISC:
			return;
		default:
			ok = nbd_answer(line, &request, NULL);
		}
	}
}

static inline int nbd_drive(int line)
{
	int fd = open(NBD_DISK, O_RDWR | O_CLOEXEC);

	if (fd < 0 || ioctl(fd, NBD_CLEAR_SOCK) || ioctl(fd, NBD_SET_BLKSIZE, PAGE) ||
	    ioctl(fd, NBD_SET_SIZE_BLOCKS, NBD_SIZE / PAGE) ||
	    ioctl(fd, NBD_SET_SOCK, line))
		return 1;
	ioctl(fd, NBD_DO_IT);
	ioctl(fd, NBD_CLEAR_SOCK);
	return 0;
}

/* How large the disk is; 0 while there is none. */
static inline __u64 nbd_size(void)
{
	int fd = open(NBD_DISK, O_RDONLY | O_CLOEXEC);
	__u64 size = 0;

	if (fd >= 0 && ioctl(fd, BLKGETSIZE64, &size))
		size = 0;
	close(fd);
	return size;
}

/* nbd_open() - have a disk; -ENODEV where the kernel has no such driver */
static inline int nbd_open(struct nbd *nbd)
{
	struct timespec nap = { .tv_nsec = 20 * 1000 * 1000 };
	int line[2], tries;
	char *memory;

	if (system("modprobe nbd nbds_max=1 2>/dev/null") || access(NBD_DISK, R_OK | W_OK) ||
	    nbd_size())
		return -ENODEV;
	memory = mmap(NULL, PAGE + NBD_SIZE, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, line))
		return -errno;
	*nbd = (struct nbd) {
		.control = (struct nbd_control *)memory,
		.bytes = (unsigned char *)memory + PAGE,
	};
	nbd->server = fork();
	if (!nbd->server) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(line[0]);
		nbd_serve(line[1], nbd->control, nbd->bytes);
		_exit(0);
	}
	nbd->driver = fork();
	if (!nbd->driver) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(line[1]);
		_exit(nbd_drive(line[0]));
	}
	close(line[0]);
	close(line[1]);
	for (tries = 0; tries < 1000 && nbd_size() != NBD_SIZE; tries++)
		nanosleep(&nap, NULL);
	nbd->fd = open(NBD_DISK, O_RDWR | O_CLOEXEC);
	return nbd->fd < 0 ? -errno : 0;
}

static inline void nbd_hold(struct nbd *nbd, bool hold)
{
	__atomic_store_n(&nbd->control->hold, hold, __ATOMIC_SEQ_CST);
}

/* nbd_wait_held() - wait until a read hangs; false: none did */
static inline bool nbd_wait_held(struct nbd *nbd)
{
	struct timespec nap = { .tv_nsec = 10 * 1000 * 1000 };
	int tries;

	for (tries = 0; tries < 6000; tries++) {
		if (__atomic_load_n(&nbd->control->held, __ATOMIC_SEQ_CST))
			return true;
		nanosleep(&nap, NULL);
	}
	return false;
}

static inline void nbd_close(struct nbd *nbd)
{
	nbd_hold(nbd, false);
	ioctl(nbd->fd, NBD_DISCONNECT);
	child_status(nbd->driver);
	child_status(nbd->server);
	close(nbd->fd);
	munmap(nbd->control, PAGE + NBD_SIZE);
}

#endif /* EXPERTMEM_NBD_TEST_H */
