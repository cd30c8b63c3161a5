/* SPDX-License-Identifier: GPL-2.0 */
/* A TCP connection over loopback that delivers nothing until the test reads. */
#ifndef EXPERTMEM_TCP_TEST_H
#define EXPERTMEM_TCP_TEST_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "expertmem_test.h"

/*
 * tcp_stuck() - make a connection whose receive buffer is full
 *
 * What is sent into @line[0] stays in its send queue, behind @ahead bytes, until somebody
 * reads from @line[1]. Loopback copies zero-copy data only when it delivers them. The send
 * queue takes @size bytes more.
 */
static inline int tcp_stuck(int line[2], size_t *ahead, int size)
{
	static const char zeros[64 * KIB];
	struct sockaddr_in addr;
	socklen_t len = sizeof(addr);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ssize_t sent;

	line[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (listen(listener, 1) || getsockname(listener, (struct sockaddr *)&addr, &len) ||
	    connect(line[0], (struct sockaddr *)&addr, len))
		return -errno;
	line[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	close(listener);
	*ahead = 0;
	while ((sent = send(line[0], zeros, sizeof(zeros), MSG_DONTWAIT)) > 0)
		*ahead += sent;
	if (errno != EAGAIN)
		return -errno;
	/* the kernel doubles @size, for the structures that hold the bytes together */
	return result(setsockopt(line[0], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)));
}

#endif /* EXPERTMEM_TCP_TEST_H */
