// SPDX-License-Identifier: GPL-2.0
/*
 * Every file operation that the kernel offers on a descriptor of the device: no operation
 * reads or writes an expert's memory, or changes the expert. Each test acts as root, the
 * owner, another member of the device's group, and a stranger who was given the descriptor.
 *
 * needs: module root
 */
#include <poll.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <linux/aio_abi.h>
#include <linux/falloc.h>
#include <linux/fiemap.h>
#include <linux/fs.h>

#include "harness.h"
#include "device_test.h"

#define WINDOW		(16 * MIB)

/* Each is called with a descriptor, and returns what the system call does, or -errno. */

/* The first byte is what is read and written. */
static char byte[256];
static char *const args[] = { "expertmem", NULL };
static struct iovec one = { .iov_base = byte, .iov_len = 1 };

static int memfd(void)
{
	int fd = syscall(SYS_memfd_create, "test", 0);

	return write(fd, byte, 1) == 1 ? fd : -1;
}

#define CALL(name, ...)								\
	static long name(int fd)						\
	{									\
		return result(__VA_ARGS__);					\
	}

/* The same with another file, that holds a byte and is closed afterwards. */
#define CALL_WITH_FILE(name, call)						\
	static long name(int fd)						\
	{									\
		int file = memfd();						\
		long ret = result(call);					\
										\
		close(file);							\
		return ret;							\
	}

/* The same with a pipe that holds a byte, and another, empty one. */
#define CALL_WITH_PIPES(name, call)						\
	static long name(int fd)						\
	{									\
		int full[2], empty[2];						\
		long ret;							\
										\
		if (pipe(full) || pipe(empty) || write(full[1], byte, 1) != 1)	\
			return -EBADMSG;					\
		ret = result(call);						\
		close(full[0]);							\
		close(full[1]);							\
		close(empty[0]);						\
		close(empty[1]);						\
		return ret;							\
	}

CALL(do_read, read(fd, byte, 1))
CALL(do_readv, readv(fd, &one, 1))
CALL(do_pread, pread(fd, byte, 1, 0))
CALL(do_preadv, preadv(fd, &one, 1, 0))
CALL(do_preadv2, preadv2(fd, &one, 1, -1, RWF_NOWAIT))
CALL(do_write, write(fd, byte, 1))
CALL(do_writev, writev(fd, &one, 1))
CALL(do_pwrite, pwrite(fd, byte, 1, 0))
CALL(do_pwritev, pwritev(fd, &one, 1, 0))
CALL(do_pwritev2, pwritev2(fd, &one, 1, -1, RWF_APPEND))
CALL(do_lseek_set, lseek(fd, 0, SEEK_SET))
CALL(do_lseek_cur, lseek(fd, 0, SEEK_CUR))
CALL(do_lseek_end, lseek(fd, 0, SEEK_END))
CALL(do_lseek_data, lseek(fd, 0, SEEK_DATA))
CALL(do_lseek_hole, lseek(fd, 0, SEEK_HOLE))
CALL(do_readahead, readahead(fd, 0, PAGE))
CALL_WITH_PIPES(do_splice_from, splice(fd, NULL, empty[1], NULL, 1, SPLICE_F_NONBLOCK))
CALL_WITH_PIPES(do_splice_to, splice(full[0], NULL, fd, NULL, 1, SPLICE_F_NONBLOCK))
CALL_WITH_PIPES(do_tee_from, tee(fd, empty[1], 1, SPLICE_F_NONBLOCK))
CALL_WITH_PIPES(do_tee_to, tee(full[0], fd, 1, SPLICE_F_NONBLOCK))
CALL(do_vmsplice, vmsplice(fd, &one, 1, SPLICE_F_NONBLOCK))
CALL_WITH_PIPES(do_sendfile_to_pipe, sendfile(empty[1], fd, NULL, 1))
CALL_WITH_FILE(do_sendfile_to_file, sendfile(file, fd, NULL, 1))
CALL_WITH_FILE(do_sendfile_from, sendfile(fd, file, &(off_t){ 0 }, 1))
CALL_WITH_FILE(do_copy_from, copy_file_range(fd, NULL, file, NULL, 1, 0))
CALL_WITH_FILE(do_copy_to, copy_file_range(file, &(loff_t){ 0 }, fd, NULL, 1, 0))
CALL(do_ftruncate, ftruncate(fd, 0))
CALL(do_ftruncate_up, ftruncate(fd, GIB))
CALL(do_fallocate, fallocate(fd, 0, 0, PAGE))
CALL(do_fallocate_punch,
     fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, EXPERTMEM_SMALL_OFFSET, PAGE))
CALL(do_fallocate_zero, fallocate(fd, FALLOC_FL_ZERO_RANGE, EXPERTMEM_SMALL_OFFSET, PAGE))
CALL(do_fsync, fsync(fd))
CALL(do_fdatasync, fdatasync(fd))
CALL(do_sync_file_range, sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE))
CALL(do_syncfs, syncfs(fd))
CALL(do_flock_shared, flock(fd, LOCK_SH | LOCK_NB))
CALL(do_flock, flock(fd, LOCK_EX | LOCK_NB))
CALL(do_unflock, flock(fd, LOCK_UN))
CALL(do_setlk, fcntl(fd, F_SETLK, &(struct flock){ .l_type = F_WRLCK, .l_len = 1 }))
CALL(do_unlk, fcntl(fd, F_SETLK, &(struct flock){ .l_type = F_UNLCK, .l_len = 1 }))
CALL(do_ofd_setlk, fcntl(fd, F_OFD_SETLK, &(struct flock){ .l_type = F_RDLCK, .l_len = 1 }))
CALL(do_ofd_unlk, fcntl(fd, F_OFD_SETLK, &(struct flock){ .l_type = F_UNLCK, .l_len = 1 }))
CALL(do_setlease, fcntl(fd, F_SETLEASE, F_RDLCK))
CALL(do_setlease_write, fcntl(fd, F_SETLEASE, F_WRLCK))
CALL(do_getlease, fcntl(fd, F_GETLEASE))
CALL(do_notify, fcntl(fd, F_NOTIFY, DN_ACCESS))
CALL(do_get_seals, fcntl(fd, F_GET_SEALS))
CALL(do_add_seals, fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK))
CALL(do_getpipe, fcntl(fd, F_GETPIPE_SZ))
CALL(do_setpipe, fcntl(fd, F_SETPIPE_SZ, PAGE))
CALL(do_setfl_direct, fcntl(fd, F_SETFL, O_DIRECT))
CALL(do_setfl_noatime, fcntl(fd, F_SETFL, O_NOATIME))
CALL(do_setfl_others, fcntl(fd, F_SETFL, O_APPEND | O_NONBLOCK | O_SYNC | O_TRUNC | O_CREAT))
CALL(do_setfl_none, fcntl(fd, F_SETFL, 0))
CALL(do_setown, fcntl(fd, F_SETOWN, getpid()))
CALL(do_setsig, fcntl(fd, F_SETSIG, SIGUSR1))
CALL(do_fgetxattr, fgetxattr(fd, "user.test", byte, 1))
CALL(do_fsetxattr, fsetxattr(fd, "user.test", byte, 1, 0))
CALL(do_getdents, syscall(SYS_getdents64, fd, byte, 1))
CALL(do_fchdir, fchdir(fd))
CALL(do_recv, recv(fd, byte, 1, MSG_DONTWAIT))
CALL(do_execveat, syscall(SYS_execveat, fd, "", args, NULL, AT_EMPTY_PATH))
CALL(do_finit_module, syscall(SYS_finit_module, fd, "", 0))
CALL(do_fionread, ioctl(fd, FIONREAD, &(int){ 0 }))
CALL(do_fionbio, ioctl(fd, FIONBIO, &(int){ 0 }))
CALL(do_fioasync, ioctl(fd, FIOASYNC, &(int){ 1 }))
CALL(do_fioqsize, ioctl(fd, FIOQSIZE, &(loff_t){ 0 }))
CALL(do_tcgets, ioctl(fd, TCGETS, byte))
CALL(do_fibmap, ioctl(fd, FIBMAP, &(int){ 0 }))
CALL(do_fiemap, ioctl(fd, FS_IOC_FIEMAP, &(struct fiemap){ .fm_length = PAGE }))
CALL_WITH_FILE(do_ficlone, ioctl(fd, FICLONE, file))

/* Every advice, about what could be the device's and what could be a window's. */
static long do_fadvise(int fd)
{
	int advice, err = 0;

	for (advice = POSIX_FADV_NORMAL; advice <= POSIX_FADV_NOREUSE && !err; advice++)
		err = posix_fadvise(fd, 0, 0, advice) ?:
		      posix_fadvise(fd, EXPERTMEM_SMALL_OFFSET, HUGE, advice);
	return -err;
}

/* Asked for with or without success, it is not there afterwards. */
static long do_setfl_async(int fd)
{
	if (fcntl(fd, F_SETFL, O_ASYNC))
		return -errno;
	return fcntl(fd, F_GETFL) & O_ASYNC;
}

/* There is nothing to wait for: it is always ready, as a file is. */
static long do_poll(int fd)
{
	struct pollfd wait = { .fd = fd, .events = POLLIN | POLLOUT | POLLPRI };

	return poll(&wait, 1, 0) == 1 ? wait.revents : -errno;
}

static long do_epoll(int fd)
{
	struct epoll_event event = { .events = EPOLLIN };
	int set = epoll_create1(0);
	long ret = result(epoll_ctl(set, EPOLL_CTL_ADD, fd, &event));

	close(set);
	return ret;
}

static long submit(int fd, int opcode)
{
	struct iocb cb = {
		.aio_fildes = fd, .aio_lio_opcode = opcode, .aio_buf = (unsigned long)byte,
		.aio_nbytes = opcode == IOCB_CMD_FSYNC ? 0 : 1,
	};
	struct iocb *list = &cb;
	aio_context_t context = 0;
	long ret;

	if (syscall(SYS_io_setup, 1, &context))
		return -errno;
	ret = result(syscall(SYS_io_submit, context, 1, &list));
	syscall(SYS_io_destroy, context);
	return ret;
}

static long do_aio_read(int fd)
{
	return submit(fd, IOCB_CMD_PREAD);
}

static long do_aio_write(int fd)
{
	return submit(fd, IOCB_CMD_PWRITE);
}

static long do_aio_fsync(int fd)
{
	return submit(fd, IOCB_CMD_FSYNC);
}

static long do_truncate_path(int fd)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return result(truncate(path, 0));
}

static long do_swapon(int fd)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return result(syscall(SYS_swapon, path, 0));
}

/* Not as root, whom it would succeed for. */
static long do_fchmod(int fd)
{
	return geteuid() ? result(fchmod(fd, 0777)) : -EPERM;
}

static long do_fchown(int fd)
{
	return geteuid() ? result(fchown(fd, geteuid(), -1)) : -EPERM;
}

/**
 * struct operation - a file operation, and what it must answer
 * @name: for messages
 * @call: does it
 * @want: the answer
 * @reader: the answer on a descriptor for reading only; 0: the same
 * @or: another answer, that some kernel or user gets; 0: none
 */
struct operation {
	const char *name;
	long (*call)(int fd);
	long want;
	long reader;
	long or;
};

#define OPERATION(op, ...)	{ .name = #op, .call = do_##op, .want = __VA_ARGS__ }

static const struct operation operations[] = {
	OPERATION(read, -EINVAL),
	OPERATION(readv, -EINVAL),
	OPERATION(pread, -ESPIPE),
	OPERATION(preadv, -ESPIPE),
	OPERATION(preadv2, -EINVAL, .or = -EOPNOTSUPP),
	OPERATION(write, -EINVAL, .reader = -EBADF),
	OPERATION(writev, -EINVAL, .reader = -EBADF),
	OPERATION(pwrite, -ESPIPE),
	OPERATION(pwritev, -ESPIPE),
	OPERATION(pwritev2, -EINVAL, .reader = -EBADF, .or = -EOPNOTSUPP),
	OPERATION(lseek_set, -ESPIPE),
	OPERATION(lseek_cur, -ESPIPE),
	OPERATION(lseek_end, -ESPIPE),
	OPERATION(lseek_data, -ESPIPE),
	OPERATION(lseek_hole, -ESPIPE),
	OPERATION(readahead, -EINVAL),
	OPERATION(splice_from, -EINVAL),
	OPERATION(splice_to, -EINVAL, .reader = -EBADF),
	OPERATION(tee_from, -EINVAL),
	OPERATION(tee_to, -EINVAL, .reader = -EBADF),
	OPERATION(vmsplice, -EBADF),
	OPERATION(sendfile_to_pipe, -EINVAL),
	OPERATION(sendfile_to_file, -EINVAL),
	OPERATION(sendfile_from, -EINVAL, .reader = -EBADF),
	OPERATION(copy_from, -EINVAL, .or = -EXDEV),
	OPERATION(copy_to, -EINVAL, .or = -EXDEV),
	OPERATION(ftruncate, -EINVAL),
	OPERATION(ftruncate_up, -EINVAL),
	OPERATION(truncate_path, -EINVAL),
	OPERATION(fallocate, -ENODEV, .reader = -EBADF),
	OPERATION(fallocate_punch, -ENODEV, .reader = -EBADF),
	OPERATION(fallocate_zero, -ENODEV, .reader = -EBADF),
	OPERATION(fsync, -EINVAL),
	OPERATION(fdatasync, -EINVAL),
	OPERATION(sync_file_range, -ESPIPE),
	OPERATION(syncfs, 0),
	OPERATION(flock_shared, 0),
	OPERATION(flock, 0),
	OPERATION(unflock, 0),
	OPERATION(setlk, 0, .reader = -EBADF),
	OPERATION(unlk, 0),
	OPERATION(ofd_setlk, 0),
	OPERATION(ofd_unlk, 0),
	OPERATION(setlease, -EINVAL, .or = -EACCES),
	OPERATION(setlease_write, -EINVAL, .or = -EACCES),
	OPERATION(getlease, F_UNLCK),
	OPERATION(notify, -ENOTDIR, .or = -EINVAL),
	OPERATION(get_seals, -EINVAL),
	OPERATION(add_seals, -EINVAL, .reader = -EPERM),
	OPERATION(getpipe, -EBADF),
	OPERATION(setpipe, -EBADF),
	OPERATION(setfl_direct, -EINVAL),
	OPERATION(setfl_noatime, 0, .or = -EPERM),
	OPERATION(setfl_async, 0),
	OPERATION(setfl_others, 0),
	OPERATION(setfl_none, 0),
	OPERATION(setown, 0),
	OPERATION(setsig, 0),
	OPERATION(fadvise, 0),
	OPERATION(poll, POLLIN | POLLOUT),
	OPERATION(epoll, -EPERM),
	OPERATION(aio_read, -EINVAL),
	OPERATION(aio_write, -EINVAL, .reader = -EBADF),
	OPERATION(aio_fsync, -EINVAL),
	OPERATION(fgetxattr, -ENODATA, .or = -EOPNOTSUPP),
	OPERATION(fsetxattr, -EPERM, .or = -EOPNOTSUPP),
	OPERATION(getdents, -ENOTDIR),
	OPERATION(fchdir, -ENOTDIR),
	OPERATION(fchmod, -EPERM),
	OPERATION(fchown, -EPERM),
	OPERATION(recv, -ENOTSOCK),
	OPERATION(execveat, -EACCES),
	OPERATION(finit_module, -EPERM, .or = -EINVAL),
	OPERATION(swapon, -EPERM, .or = -EINVAL),
	OPERATION(fionread, -ENOTTY),
	OPERATION(fionbio, 0),
	OPERATION(fioasync, -ENOTTY),
	OPERATION(fioqsize, -ENOTTY),
	OPERATION(tcgets, -ENOTTY),
	OPERATION(fibmap, -ENOTTY, .or = -EPERM),
	OPERATION(fiemap, -EOPNOTSUPP),
	OPERATION(ficlone, -EINVAL, .reader = -EBADF, .or = -EXDEV),
};

struct answers {
	int fd;
	long answer[COUNT_OF(operations)];
};

static long operate(void *arg)
{
	struct answers *answers = arg;
	size_t i;

	for (i = 0; i < COUNT_OF(operations); i++)
		answers->answer[i] = operations[i].call(answers->fd);
	return 0;
}

static void check_operations(struct __test_metadata *_metadata, const struct actor *who, int fd,
			     bool reader)
{
	struct answers *answers = shared(sizeof(*answers));
	size_t i;

	answers->fd = fd;
	ASSERT_EQ(as(who, operate, answers), 0);
	for (i = 0; i < COUNT_OF(operations); i++) {
		const struct operation *operation = &operations[i];
		long want = reader && operation->reader ? operation->reader : operation->want;
		long answer = answers->answer[i];

		EXPECT_TRUE(answer == want || (answer && answer == operation->or))
			TH_LOG("%s by %s%s: %ld, not %ld", operation->name, who->name,
			       reader ? ", for reading only" : "", answer, want);
	}
	munmap(answers, sizeof(*answers));
}

TEST_F(device, no_file_operation_reaches_the_memory_or_changes_the_expert)
{
	struct expertmem_stat before, after;
	struct window small, huge;
	__u64 offset, other;
	size_t i;
	int fd;

	for (i = 0; i < COUNT_OF(actors); i++) {
		/* of the owner, for the stranger too, who was given it */
		fd = open_as(&owner);
		ASSERT_GE(fd, 0);
		ASSERT_EQ(window_map(&small, &small_window, fd, WINDOW), 0);
		ASSERT_EQ(window_map(&huge, &huge_window, fd, WINDOW), 0);
		ASSERT_EQ(region_alloc(&small, MIB, &offset), 0);
		ASSERT_EQ(region_alloc(&huge, HUGE, &other), 0);
		memset(at(&small, offset), 's', MIB);
		memset(at(&huge, other), 'h', HUGE);
		before = expert_stat(fd);
		check_operations(_metadata, actors[i], fd, false);
		after = expert_stat(fd);
		EXPECT_EQ(memcmp(&before, &after, sizeof(before)), 0);
		EXPECT_TRUE(all_bytes(at(&small, offset), MIB, 's'));
		EXPECT_TRUE(all_bytes(at(&huge, other), HUGE, 'h'));
		munmap(huge.addr, huge.size);
		window_close(&small);

		if (actors[i] == &stranger)
			continue;
		fd = open_as(actors[i]);
		ASSERT_GE(fd, 0);
		check_operations(_metadata, actors[i], fd, false);
		EXPECT_EQ(expert_stat(fd).state, EXPERTMEM_STATE_IDLE);
		close(fd);
	}
}

TEST_F(device, no_file_operation_does_more_on_a_descriptor_for_reading_only)
{
	int fd = open_flags_as(&owner, O_RDONLY);
	struct expertmem_stat before, after;
	size_t i;

	ASSERT_GE(fd, 0);
	before = expert_stat(fd);
	for (i = 0; i < COUNT_OF(actors); i++)
		check_operations(_metadata, actors[i], fd, true);
	after = expert_stat(fd);
	EXPECT_EQ(memcmp(&before, &after, sizeof(before)), 0);
	close(fd);
}

TEST_HARNESS_MAIN
