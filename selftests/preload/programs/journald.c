// SPDX-License-Identifier: GPL-2.0
/*
 * A journal that prints what it is sent, for tests of those who write to systemd's: each datagram as
 * it is, and a line "--" after it. It makes the socket and the directories above it, and runs until
 * it is killed.
 *
 *	journald PATH
 */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

static char datagram[64 << 10];

int main(int argc, char **argv)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	char *slash = address.sun_path;
	ssize_t size;

	if (argc != 2 || strlen(argv[1]) >= sizeof(address.sun_path)) {
		fputs("journald: it takes the path of a socket\n", stderr);
		return 2;
	}
	strcpy(address.sun_path, argv[1]);
	while ((slash = strchr(slash + 1, '/'))) {
		*slash = '\0';
		mkdir(address.sun_path, 0755);
		*slash = '/';
	}
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address))) {
		perror("journald: bind");
		return 1;
	}
	while ((size = recv(fd, datagram, sizeof(datagram), 0)) >= 0) {
		fwrite(datagram, 1, size, stdout);
		puts("--");
		fflush(stdout);
	}
	perror("journald: recv");
	return 1;
}
