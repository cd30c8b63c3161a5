// SPDX-License-Identifier: GPL-2.0
/*
 * "expertmem run" has an expert that reads a capture: the expert, the host, the engine's supervisor
 * or its worker is killed at a random time. Nothing of them may be left: no process, no file, and
 * with the module no expert and no memory. EXPERTMEM_ROUNDS multiplies the number of runs.
 *
 * needs: module native
 * vm: build/selftests/mkpcap:/selftests/ build/selftests/experts/walker.so:/selftests/experts/
 * vm: build/lib/expertmem/expertmem-engine-pcap:/usr/lib/expertmem/ build/lib/expertmem/expertmem-engine-pcap-worker:/usr/lib/expertmem/
 */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <linux/expertmem.h>

#include "harness.h"
#include "protocol_test.h"

#define RUNS	1000

FIXTURE(storm)
{
	char directory[64];
	char capture[128];
	char config[128];
};

FIXTURE_SETUP(storm)
{
	char command[512];

	strcpy(self->directory, "/tmp/run_storm.XXXXXX");
	ASSERT_NE(NULL, mkdtemp(self->directory));
	snprintf(self->capture, sizeof(self->capture), "%s/capture", self->directory);
	snprintf(self->config, sizeof(self->config), "%s/config", self->directory);
	snprintf(command, sizeof(command), "%s ethernet 500 >%s", built("selftests/mkpcap"),
		 self->capture);
	ASSERT_EQ(0, system(command));
	setenv("TMPDIR", self->directory, 1);
	setenv("XDG_CONFIG_HOME", self->config, 1);
	setenv("EXPERTMEM_ENGINE", "pcap", 1);
	/* An engine is no child of its host; here it becomes one of the test. */
	ASSERT_EQ(0, prctl(PR_SET_CHILD_SUBREAPER, 1));
}

FIXTURE_TEARDOWN(storm)
{
	unlink(self->capture);
	rmdir(self->directory);
}

/* Number of names in the directory. */
static int count_names(const char *path)
{
	DIR *directory = opendir(path);
	int n = -2;	/* . and .. */

	while (directory && readdir(directory))
		n++;
	if (directory)
		closedir(directory);
	return n;
}

/* The module's open experts that are not reclaimed; 0 without the module. */
static unsigned int open_experts(void)
{
	int fd = open("/dev/expertmem", O_RDONLY | O_CLOEXEC);
	struct expertmem_info info = { .experts = 1 };

	if (fd < 0)
		return 0;
	ioctl(fd, EXPERTMEM_IOC_GET_INFO, &info);
	close(fd);
	return info.experts - 1;	/* the descriptor is an expert, too */
}

/* Bytes of all experts of the module, pinned ones included; 0 without the module. */
static unsigned long long module_bytes(void)
{
	FILE *stats = access("/dev/expertmem", R_OK) ? NULL : popen("expertmem stats --json", "r");
	unsigned long long bytes, all = 0;
	char line[256];

	while (stats && fgets(line, sizeof(line), stats))
		if (sscanf(line, " \"committed\": %llu", &bytes) == 1 ||
		    sscanf(line, " \"pinned\": %llu", &bytes) == 1)
			all += bytes;
	if (stats)
		pclose(stats);
	return all;
}

/* Start "expertmem run" with the expert walker. */
static pid_t start_run(const char *capture, bool limited)
{
	const char *program = built("tools/expertmem");
	pid_t pid = fork();
	int null;

	if (pid)
		return pid;
	null = open("/dev/null", O_RDWR);
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		dup2(null, fd);
	if (access(program, X_OK))
		program = "expertmem";
	execlp(program, program, "run", "--timeout", "120", "--limit", limited ? "16M" : "none",
	       built("selftests/experts/walker.so"), capture, NULL);
	_exit(127);
}

/* The processes below this one. Returns how many there are; the first @most are stored. */
static int descendants(pid_t of, pid_t *pids, int most)
{
	char path[64];
	int pid, n = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", of, of);
	file = fopen(path, "r");
	while (file && n < most && fscanf(file, "%d", &pid) == 1) {
		pids[n++] = pid;
		n += descendants(pid, pids + n, most - n);
	}
	if (file)
		fclose(file);
	return n;
}

TEST_F(storm, whoever_is_killed_leaves_nothing_behind)
{
	const char *factor = getenv("EXPERTMEM_ROUNDS");
	double rounds = factor ? atof(factor) : 1;
	/* In full, each of the four processes is killed some thousand times. */
	int runs = (int)(RUNS * rounds * (rounds < 1 ? 1 : 4));
	unsigned int experts = open_experts();
	unsigned long long bytes = module_bytes();
	int most = 0;

	srandom(1);
	for (int i = 0; i < runs; i++) {
		pid_t host = start_run(self->capture, i % 2), pids[16];
		int n, tries = 0;

		ASSERT_LT(0, host);
		/* The host comes first, then the engine's supervisor, its worker, and the expert. */
		do
			usleep((useconds_t)(random() % 30000));
		while (descendants(getpid(), pids, 16) < 1 + i % 4 && ++tries < 100);
		n = descendants(getpid(), pids, 16);
		ASSERT_LT(0, n);
		most = n > most ? n : most;
		kill(pids[random() % n], SIGKILL);
		usleep((useconds_t)(random() % 20000));
		/* A worker is replaced, and the expert goes on. */
		kill(host, SIGKILL);
		ASSERT_TRUE(all_have_ended());
		ASSERT_EQ(experts, open_experts());
		ASSERT_EQ(1, count_names(self->directory));
	}
	EXPECT_EQ(bytes, module_bytes());
	EXPECT_LE(4, most);
}

TEST_HARNESS_MAIN
