// SPDX-License-Identifier: GPL-2.0
/*
 * The storm: processes whose threads use experts, while other processes send netlink requests,
 * hold descriptors, kill, swap, compact, split and migrate pages. A shadow model knows the
 * content of each page, and every word that is read is compared with it. At the end all
 * numbers are as before.
 *
 * needs: module root swap
 * also: slow
 */
#include <getopt.h>
#include <sys/klog.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "kselftest.h"
#include "memory_test.h"
#include "storm_expert.h"

#define KMEMLEAK	"/sys/kernel/debug/kmemleak"
#define INODES		"/sys/kernel/slab/shmem_inode_cache/"
#define PATIENCE	300	/* seconds; what takes longer hangs */

static unsigned int nr_processes = 3, seconds = 20;
static __u64 main_seed;

/* ------------------------------------------------------------------- the others */

/* Holds descriptors of others' experts, and asks and orders by them. */
static void be_host(unsigned int number)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control;
	int fds[8], fd, i;
	char byte;
	struct iovec iov = { &byte, 1 };
	void *addr;

	memset(fds, -1, sizeof(fds));
	while (!stopped()) {
		struct msghdr message = {
			.msg_iov = &iov, .msg_iovlen = 1,
			.msg_control = &control, .msg_controllen = sizeof(control),
		};

		if (recvmsg(host_socket[0], &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) == 1 &&
		    message.msg_controllen >= sizeof(struct cmsghdr)) {
			count(OP_receive);
			i = any(COUNT_OF(fds));
			close(fds[i]);
			memcpy(&fds[i], CMSG_DATA(&control.header), sizeof(fd));
		}
		fd = fds[any(COUNT_OF(fds))];
		if (fd < 0) {
			usleep(1000);
			continue;
		}
		count(OP_stat);
		expert_stat(fd);
		addr = mmap(NULL, WINDOW, PROT_READ, MAP_SHARED, fd, EXPERTMEM_SMALL_OFFSET);
		if (addr != MAP_FAILED)
			wrong("a window was mapped twice");
		else if (errno != EBUSY && errno != ESHUTDOWN && errno != ENOMEM)
			wrong("mapping a window twice: %s", strerror(errno));
		if (once_in(20)) {
			count(OP_terminate);
			expert_terminate(fd);
		} else if (once_in(20)) {
			count(OP_reclaim);
			reclaim(fd);
		}
		usleep(any(3000));
	}
}

static void ignore(const struct told *t, void *arg)
{
}

static void be_operator(unsigned int number)
{
	static const char *const names[] = {
		"total_limit", "default_limit", "max_experts", "uid_limit", "uid_max_experts",
	};
	static const char *const values[][3] = {
		{ "0", "256M", "32M" }, { "0", "64M", "4M" }, { "0", "64", "4" },
		{ "auto", "128M", "16M" }, { "auto", "32", "2" },
	};
	struct parameter parameter;
	struct told t;
	struct nl nl;
	__u64 id;
	int err, i;

	if (nl_open(&nl))
		wrong("no netlink");
	while (!stopped()) {
		id = __atomic_load_n(&board->ids[any(nr_processes)], __ATOMIC_RELAXED);
		switch (any(40)) {
		case 0:
			count(OP_nl_reclaim);
			err = nl_do(&nl, EXPERTMEM_CMD_RECLAIM, id, &t);
			break;
		case 1:
			count(OP_nl_terminate);
			err = nl_do(&nl, EXPERTMEM_CMD_TERMINATE, id, &t);
			break;
		case 2 ... 10:
			count(OP_nl_set);
			err = nl_set(&nl, id, any(64) * MIB);
			break;
		case 11 ... 20:
			count(OP_nl_dump);
			err = nl_dump(&nl, once_in(2) ? id : 0, ignore, NULL);
			break;
		case 21 ... 25:
			count(OP_parameter);
			i = any(COUNT_OF(names));
			err = parameter_set(&parameter, names[i], values[i][any(3)]);
			break;
		default:
			count(OP_nl_get);
			err = nl_do(&nl, EXPERTMEM_CMD_EXPERT_GET, id, &t);
		}
		if (err && err != -ENOENT)
			wrong("netlink or a parameter: %s", strerror(-err));
		usleep(any(5000));
	}
}

/* A disk in memory gets its pages when they are written, and keeps them: have them now. */
static void fill(const char *path)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	char page[PAGE] = "";

	while (fd >= 0 && write(fd, page, PAGE) == PAGE)
		;
	close(fd);
}

static void be_weather(unsigned int number)
{
	static const char *const caches[] = { "1", "2", "3" };
	static const char *const maxima[] = { "12M", "24M", "48M", "max" };

	while (!stopped()) {
		switch (any(16)) {
		case 0:
			count(OP_drop_caches);
			file_write("/proc/sys/vm/drop_caches", caches[any(3)]);
			break;
		case 1:
			if (!file_write("/proc/sys/vm/compact_memory", "1"))
				count(OP_compact);
			break;
		case 2:
			if (!file_write("/sys/kernel/debug/split_huge_pages", "1"))
				count(OP_split_huge);
			break;
		case 3:
			if (swapoff(RAMDISK))
				break;
			count(OP_swapoff);
			if (swapon(RAMDISK, 0))
				wrong("swapon: %s", strerror(errno));
			break;
		case 4 ... 7:
			if (!file_write(GROUP "memory.max", maxima[any(4)]))
				count(OP_pressure);
			break;
		default:
			file_write(GROUP "memory.reclaim", "4M");
		}
		usleep(any(200000));
	}
}

/* ------------------------------------------------------------------ before and after */

/* What there is of the module's, and must be again. */
struct census {
	__u64 experts, regions, committed, resident, pinned, inodes;
	struct memory memory;
};

static struct census take_census(void)
{
	struct census census = { .memory = memory_now() };
	char objects[64] = "0";
	struct told t;
	struct nl nl;

	if (!nl_open(&nl)) {
		t = nl_stats(&nl);
		census.experts = t.value[S(EXPERTS)];
		census.regions = t.value[S(REGIONS)];
		census.committed = t.value[S(COMMITTED)];
		census.resident = t.value[S(RESIDENT)];
		census.pinned = t.value[S(PINNED)];
	}
	close(nl.fd);
	file_write(INODES "shrink", "1");
	file_read(INODES "objects", objects, sizeof(objects));
	census.inodes = strtoull(objects, NULL, 10);
	return census;
}

/*
 * RCU, and work that was put off, may take their time. Kernels that look for errors
 * keep some of what is freed, so that nobody gets it again too soon.
 */
static bool is_as_before(const struct census *before)
{
	__u64 noise = access(KMEMLEAK, F_OK) ? 8 * MIB : 128 * MIB;
	struct census now;
	int i;

	for (i = 0; i < 100; i++) {
		now = take_census();
		if (now.experts == before->experts && now.regions == before->regions &&
		    now.committed == before->committed && now.resident == before->resident &&
		    now.pinned == before->pinned &&
		    now.inodes <= before->inodes &&
		    memory_is_back(&before->memory, noise, 0))
			return true;
		usleep(100000);
	}
	ksft_print_msg("%llu experts, %llu regions, %llu committed, %llu resident, %llu pinned, inodes %llu, before %llu\n",
		       now.experts, now.regions, now.committed, now.resident, now.pinned, now.inodes,
		       before->inodes);
	memory_is_back(&before->memory, noise, 1);
	return false;
}

/* No file of it is open; its mounts have no inode left. The kernel says so if they do. */
static bool can_be_unloaded(void)
{
	static char text[1 << 20];
	int len;

	file_write("/dev/kmsg", "<6>storm: unloads the module\n");
	if (syscall(SYS_delete_module, "expertmem", O_NONBLOCK)) {
		ksft_print_msg("unloading: %s\n", strerror(errno));
		return false;
	}
	len = klogctl(3, text, sizeof(text) - 1);
	if (len < 0)
		return false;
	text[len] = '\0';
	return !strstr(strstr(text, "storm: unloads the module") ?: text, "Busy inodes");
}

static bool is_leak_free(void)
{
	char line[256];
	int lines = 0;
	FILE *file;

	if (file_write(KMEMLEAK, "scan"))
		return true;
	sleep(6);	/* it leaves what is younger than five seconds alone */
	file_write(KMEMLEAK, "scan");
	file = fopen(KMEMLEAK, "re");
	while (file && fgets(line, sizeof(line), file) && lines++ < 100)
		ksft_print_msg("%s", line);
	if (file)
		fclose(file);
	return !lines;
}

/* ---------------------------------------------------------------------- processes */

/* After the experts come these, one of each. */
static void (*const others[])(unsigned int number) = { be_host, be_operator, be_weather };

static pid_t start(unsigned int number, __u64 serial)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	random_seed(main_seed + serial * 1000003);
	(number < nr_processes ? be_expert : others[number - nr_processes])(number);
	_exit(0);
}

/* Killed, by us or for want of memory in its cgroup; or it has ended. Nothing else. */
static void ended(int status)
{
	if (WIFSIGNALED(status))
		count(OP_died);
	if (WIFSIGNALED(status) ? WTERMSIG(status) != SIGKILL : WEXITSTATUS(status) > 1)
		wrong("a process ended with status %#x", status);
}

/* Keep them going for @seconds, kill some, and see them all end. */
static void rage(void)
{
	unsigned int n = nr_processes + COUNT_OF(others), i;
	time_t end = time(NULL) + seconds;
	pid_t pids[EXPERTS + COUNT_OF(others)], pid;
	__u64 serial = 0;
	int status;

	for (i = 0; i < n; i++)
		pids[i] = start(i, ++serial);
	while (time(NULL) < end + PATIENCE) {
		if (time(NULL) >= end)
			__atomic_store_n(&board->stop, 1, __ATOMIC_SEQ_CST);
		pid = waitpid(-1, &status, WNOHANG);
		if (pid < 0)
			return;
		if (pid)
			ended(status);
		for (i = 0; pid && i < n; i++)
			if (pids[i] == pid)
				pids[i] = stopped() ? 0 : start(i, ++serial);
		i = any(50 * nr_processes);
		if (!pid && i < nr_processes && pids[i] > 0) {
			count(OP_kill);
			kill(pids[i], SIGKILL);
		}
		if (!pid)
			usleep(10000);
	}
	wrong("somebody hangs");
}

static void print_counts(void)
{
	unsigned int i;

	for (i = 0; i < NR_OPS; i++)
		ksft_print_msg("%-14s %lu\n", op_names[i], board->done[i]);
}

static void usage(void)
{
	puts("Usage: storm [--seconds N] [--seed N] [--threads N] [--processes N]\n\n"
	     "Uses experts in every way there is, all at once, and checks every byte it reads.\n\n"
	     "  --seconds    how long (20, times EXPERTMEM_ROUNDS)\n"
	     "  --seed       of its random numbers (the time)\n"
	     "  --threads    of each process (2)\n"
	     "  --processes  that use experts, at most 16 (3)\n\n"
	     "Swaps to /dev/ram0 where that is; unloads the module in the end.");
}

static void parse_options(int argc, char **argv)
{
	static const struct option options[] = {
		{ "seconds", required_argument, NULL, 's' },
		{ "seed", required_argument, NULL, 'r' },
		{ "threads", required_argument, NULL, 't' },
		{ "processes", required_argument, NULL, 'p' },
		{ "holds", required_argument, NULL, 'h' },
		{ "help", no_argument, NULL, '?' },
		{ }
	};
	int option, fd;

	main_seed = time(NULL);
	seconds = rounds(seconds);
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 's': seconds = atoi(optarg); break;
		case 'r': main_seed = strtoull(optarg, NULL, 0); break;
		case 't': nr_threads = atoi(optarg); break;
		case 'p': nr_processes = atoi(optarg); break;
		case 'h':
			/* the other half of work_exec(): 2 is an answer that nobody expects */
			fd = atoi(optarg);
			exit(fcntl(fd, F_GETFD) < 0 || is_empty(fd) ? 0 : 2);
		default: usage(); exit(option == '?' ? 0 : 1);
		}
	}
	if (!nr_threads || !nr_processes || nr_processes > EXPERTS) {
		usage();
		exit(1);
	}
}

int main(int argc, char **argv)
{
	struct parameter parameters[5];
	struct census before;
	size_t i;
	int swaps;

	parse_options(argc, argv);
	setvbuf(stdout, NULL, _IOLBF, 0);
	ksft_print_header();
	if (access(DEVICE, R_OK | W_OK))
		ksft_exit_skip(DEVICE ": %s; load the module, be root\n", strerror(errno));
	ksft_set_plan(4);
	ksft_print_msg("seed %llu, %u seconds, %u processes of %u threads\n", main_seed, seconds,
		       nr_processes, nr_threads);
	file_write(KMEMLEAK, "scan");
	file_write(KMEMLEAK, "clear");

	fill(RAMDISK);
	swaps = !swap_on(RAMDISK);
	file_write(CGROUP "cgroup.subtree_control", "+memory");
	mkdir(GROUP, 0755);
	parameter_set(&parameters[0], "total_limit", "0");
	parameter_set(&parameters[1], "default_limit", "0");
	parameter_set(&parameters[2], "max_experts", "0");
	parameter_set(&parameters[3], "uid_limit", "auto");
	parameter_set(&parameters[4], "uid_max_experts", "auto");
	/* of the experts, some are nobody's */
	chmod(DEVICE, 0666);
	board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		     -1, 0);
	if (board == MAP_FAILED ||
	    socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, host_socket) ||
	    prctl(PR_SET_CHILD_SUBREAPER, 1))
		ksft_exit_fail_msg("cannot start: %s\n", strerror(errno));
	random_seed(main_seed);
	before = take_census();
	rage();
	close(host_socket[0]);
	close(host_socket[1]);
	for (i = 0; i < COUNT_OF(parameters); i++)
		parameter_restore(&parameters[i]);
	chmod(DEVICE, 0660);
	if (swaps)
		swapoff(RAMDISK);
	rmdir(GROUP);

	print_counts();
	if (board->wrong)
		ksft_print_msg("seed %llu: %s\n", main_seed, board->said);
	ksft_test_result(!board->wrong, "what is read is what was written, and errors are documented ones\n");
	ksft_test_result(is_as_before(&before), "experts, regions, pages and inodes are as many as before\n");
	ksft_test_result(can_be_unloaded(), "nothing holds the module, nor an inode on its mounts\n");
	ksft_test_result(is_leak_free(), "kmemleak finds nothing\n");
	if (ksft_get_fail_cnt())
		ksft_exit_fail();
	ksft_exit_pass();
}
