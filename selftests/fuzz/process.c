// SPDX-License-Identifier: GPL-2.0
/*
 * Who makes a call: this process, or a child that was forked from it and is told what to
 * do through a socket. Both know an expert by the same descriptor.
 */
#include <sys/socket.h>
#include <sys/uio.h>

#include "fuzz.h"

#define FIRST_FD	200	/* above all that libraries open */

unsigned char *scratch;

static int channel[2] = { -1, -1 };
static int flight[2];
static int waste;

int slot_fd(int slot)
{
	return FIRST_FD + slot;
}

/* ----------------------------------------------------------------- sending and such */

static int hand_over(int socket, void *data, size_t size, int fd)
{
	char control[CMSG_SPACE(sizeof(int))] = "";
	struct iovec iov = { .iov_base = data, .iov_len = size };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *cmsg;

	if (fd >= 0) {
		msg.msg_control = control;
		msg.msg_controllen = sizeof(control);
		cmsg = CMSG_FIRSTHDR(&msg);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	}
	return result(sendmsg(socket, &msg, MSG_NOSIGNAL));
}

/* What was received, in bytes; 0: nobody is there any more. */
static int take_over(int socket, void *data, size_t size, int flags, int *fd)
{
	char control[CMSG_SPACE(sizeof(int))];
	struct iovec iov = { .iov_base = data, .iov_len = size };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg;
	int len = result(recvmsg(socket, &msg, flags));

	*fd = -EBADF;
	cmsg = CMSG_FIRSTHDR(&msg);
	if (len > 0 && cmsg && cmsg->cmsg_type == SCM_RIGHTS)
		memcpy(fd, CMSG_DATA(cmsg), sizeof(*fd));
	return len;
}

/* An expert's descriptor goes where everybody looks for it. */
static long adopt(int fd, int slot)
{
	if (fd < 0)
		return fd;
	if (dup2(fd, slot_fd(slot)) < 0)
		return -errno;
	close(fd);
	return 0;
}

/* ------------------------------------------------------------------- making a call */

/* Copy where a fault is not the end. */
static bool copy_words(void *to, const void *from, size_t size, bool reading)
{
	__u64 word;
	size_t i;

	for (i = 0; i + sizeof(word) <= size; i += sizeof(word)) {
		if (reading) {
			if (peek((const __u64 *)((const char *)from + i), &word))
				return false;
			memcpy((char *)to + i, &word, sizeof(word));
		} else {
			memcpy(&word, (const char *)from + i, sizeof(word));
			if (poke((__u64 *)((char *)to + i), word))
				return false;
		}
	}
	return true;
}

static long call_ioctl(struct call *call)
{
	void *where = (void *)call->arg[2];
	bool readonly = where == SCRATCH_READONLY;
	bool filled;
	long ret;

	if (readonly)
		mprotect(where, PAGE, PROT_READ | PROT_WRITE);
	filled = !call->arg[3] || copy_words(where, call->data, call->size, false);
	if (readonly)
		mprotect(where, PAGE, PROT_READ);
	if (!filled)
		return -EDOM;	/* no ioctl says that */
	ret = expert_ioctl(slot_fd(call->arg[0]), call->arg[1], where);
	copy_words(call->data, where, call->size, true);
	return ret;
}

static long call_mmap(const struct call *call)
{
	void *addr = mmap((void *)call->arg[0], call->arg[1], call->arg[2], call->arg[3],
			  slot_fd(call->arg[4]), call->arg[5]);

	return addr == MAP_FAILED ? -errno : (long)addr;
}

static long call_mremap(const struct call *call)
{
	void *addr = mremap((void *)call->arg[0], call->arg[1], call->arg[2], call->arg[3],
			    (void *)call->arg[4]);

	return addr == MAP_FAILED ? -errno : (long)addr;
}

/* The first and the last word of a page, and whether the rest is zero. */
static long call_peek(struct call *call)
{
	const unsigned char *page = (void *)call->arg[0];
	__u64 *words = (__u64 *)call->data;
	int sig = peek((const __u64 *)page, &words[0]);

	call->size = 3 * sizeof(__u64);
	if (sig)
		return sig;
	sig = peek((const __u64 *)(page + PAGE) - 1, &words[1]);
	words[2] = !sig && all_bytes(page + 8, PAGE - 16, 0);
	return sig;
}

static long call_poke(const struct call *call)
{
	__u64 *page = (void *)call->arg[0];
	int sig = poke(page, call->arg[1]);

	return sig ? sig : poke(page + PAGE / sizeof(*page) - 1, call->arg[1]);
}

static long call_write(const struct call *call)
{
	return result(pwrite(waste, (void *)call->arg[0], call->arg[1], 0));
}

/* Whatever these say, they must not matter. */
static long call_file(const struct call *call)
{
	int fd = slot_fd(call->arg[0]);
	char buffer[64] = "";

	switch (call->arg[1] % 8) {
	case 0:
		return result(read(fd, buffer, sizeof(buffer)));
	case 1:
		return result(write(fd, buffer, sizeof(buffer)));
	case 2:
		return result(lseek(fd, 4096, SEEK_SET));
	case 3:
		return result(ftruncate(fd, 0));
	case 4:
		return result(fallocate(fd, 3, EXPERTMEM_SMALL_OFFSET, 1 << 30));
	case 5:
		return result(fsync(fd));
	case 6:
		return result(fcntl(fd, F_SETFL, O_NONBLOCK | O_ASYNC | O_DIRECT));
	default:
		return result(ioctl(fd, call->arg[1] << 8 | call->arg[2], buffer));
	}
}

/* What cat sends back says that exec() is over, and with it the old memory. */
static void become_cat(int socket)
{
	dup2(socket, 0);
	dup2(socket, 1);
	execl("/bin/cat", "cat", NULL);
}

static void die(enum death how)
{
	signal(SIGSEGV, SIG_DFL);
	switch (how) {
	case DIE_CRASH:
		*(volatile int *)SCRATCH_READONLY = 0;
		break;
	case DIE_EXEC:
		become_cat(channel[1]);
		break;
	default:
		break;
	}
	_exit(0);
}

/* One that moves a descriptor is made by process_call(), or the child's loop. */
static long call_here(struct call *call)
{
	long *arg = call->arg;

	switch (call->kind) {
	case CALL_OPEN:
		return adopt(expert_open(), arg[0]);
	case CALL_CLOSE:
		return result(close(slot_fd(arg[0])));
	case CALL_IOCTL:
		return call_ioctl(call);
	case CALL_MMAP:
		return call_mmap(call);
	case CALL_MUNMAP:
		return result(munmap((void *)arg[0], arg[1]));
	case CALL_MPROTECT:
		return result(mprotect((void *)arg[0], arg[1], arg[2]));
	case CALL_MREMAP:
		return call_mremap(call);
	case CALL_MADVISE:
		return result(madvise((void *)arg[0], arg[1], arg[2]));
	case CALL_MLOCK:
		return result(arg[2] ? munlock((void *)arg[0], arg[1]) :
				       mlock((void *)arg[0], arg[1]));
	case CALL_REMAP:
		return result(remap_file_pages((void *)arg[0], arg[1], 0, arg[2], 0));
	case CALL_PEEK:
		return call_peek(call);
	case CALL_POKE:
		return call_poke(call);
	case CALL_WRITE:
		return call_write(call);
	case CALL_FILE:
		return call_file(call);
	case CALL_DIE:
		die(arg[0]);
		break;
	default:
		break;
	}
	return -ENOSYS;
}

/* ----------------------------------------------------------------------- the child */

static void child_loop(int socket)
{
	struct call call;
	int fd;

	while (take_over(socket, &call, sizeof(call), MSG_CMSG_CLOEXEC, &fd) > 0) {
		if (call.kind == CALL_TAKE)
			call.arg[0] = adopt(fd, call.arg[0]);
		fd = call.kind == CALL_SEND ? slot_fd(call.arg[0]) : -1;
		if (call.kind == CALL_SEND)
			call.arg[0] = 0;
		else if (call.kind != CALL_TAKE)
			call.arg[0] = call_here(&call);
		if (hand_over(socket, &call, sizeof(call), fd) < 0)
			break;
	}
	_exit(0);
}

int process_fork(void)
{
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, channel))
		return -errno;
	pid = fork();
	if (!pid) {
		close(channel[0]);
		close(flight[0]);
		close(flight[1]);
		coverage_child();
		child_loop(channel[1]);
	}
	close(channel[1]);
	return pid < 0 ? -errno : pid;
}

/* Its answer; or that it is gone, which only @how should bring about. */
long process_call(enum process process, struct call *call)
{
	int fd, slot = call->arg[0];
	bool sends = call->kind == CALL_SEND;

	if (process == HERE)
		return call_here(call);
	fd = call->kind == CALL_TAKE ? slot_fd(slot) : -1;
	if (hand_over(channel[0], call, sizeof(*call), fd) < 0 ||
	    take_over(channel[0], call, sizeof(*call), MSG_CMSG_CLOEXEC, &fd) <= 0)
		return -EPIPE;
	return sends ? adopt(fd, slot) : call->arg[0];
}

long call_simply(enum process process, enum call_kind kind, long a, long b, long c, long d,
		 long e, long f)
{
	struct call call = { .kind = kind, .arg = { a, b, c, d, e, f } };

	return process_call(process, &call);
}

void process_reap(void)
{
	kill(shadow.child, SIGKILL);
	waitpid(shadow.child, NULL, 0);
	close(channel[0]);
}

/* With exec() the child lives on, but its memory is another. */
void process_end(enum death how)
{
	struct call call = { .kind = CALL_DIE, .arg[0] = how };
	char byte = 0;

	if (how == DIE_KILLED) {
		process_reap();
		return;
	}
	if (how == DIE_EXEC) {
		send(channel[0], &call, sizeof(call), 0);
		send(channel[0], &byte, 1, 0);
		if (recv(channel[0], &byte, 1, 0) != 1)
			fail("exec gives nothing");
		return;
	}
	call_simply(CHILD, CALL_DIE, how, 0, 0, 0, 0, 0);
	waitpid(shadow.child, NULL, 0);
	close(channel[0]);
}

/* ------------------------------------------------------------------------ in flight */

int process_flight(int slot)
{
	char byte = 0;

	return hand_over(flight[0], &byte, 1, slot_fd(slot));
}

void process_land(void)
{
	char byte;
	int fd;

	while (take_over(flight[1], &byte, 1, MSG_DONTWAIT | MSG_CMSG_CLOEXEC, &fd) > 0)
		close(fd);
}

int process_setup(void)
{
	faults_catch();
	waste = memfd_create("waste", MFD_CLOEXEC);
	if (waste < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, flight))
		return -errno;
	scratch = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (scratch == MAP_FAILED)
		return -errno;
	mprotect(SCRATCH_READONLY, PAGE, PROT_READ);
	mprotect(SCRATCH_END, PAGE, PROT_NONE);
	return 0;
}
