// SPDX-License-Identifier: GPL-2.0
/*
 * An expert for the tests of tools that list and control experts. It is no test.
 *
 *   hold NAME LIMIT SIZE COUNT	open an expert with COUNT regions of SIZE bytes, all touched, and wait
 *				until it is terminated. SIGUSR1 makes it allocate one more region.
 *				The first SIGUSR2 makes it free a region of which a pipe pins the
 *				first page; the next SIGUSR2 makes it close the pipe
 *   hold --churn COUNT		open and close COUNT experts
 *   hold --crowd COUNT		hold COUNT experts, while others are opened and closed, until it is
 *				killed
 */
#include <sys/resource.h>
#include <sys/uio.h>

#include "expertmem_test.h"

static volatile sig_atomic_t more, pin;

static void on_signal(int signal)
{
	*(signal == SIGUSR1 ? &more : &pin) = 1;
}

static void take(const struct window *window, __u64 size)
{
	__u64 offset;
	int err = region_alloc(window, size, &offset);

	if (err)
		fprintf(stderr, "hold: %s\n", strerror(-err));
	else
		memset(at(window, offset), 1, size);
}

/* Free a region whose first page stays in @ends, a pipe; or, where there is one, close it. */
static void pin_or_let_go(const struct window *window, __u64 size, int ends[2])
{
	struct iovec page = { .iov_len = PAGE };
	__u64 offset;

	if (ends[0] >= 0) {
		close(ends[0]);
		close(ends[1]);
		ends[0] = -1;
		return;
	}
	if (region_alloc(window, size, &offset))
		return;
	page.iov_base = at(window, offset);
	memset(page.iov_base, 1, size);
	if (pipe(ends) || vmsplice(ends[1], &page, 1, 0) != (ssize_t)PAGE)
		fprintf(stderr, "hold: vmsplice: %s\n", strerror(errno));
	region_free(window, offset);
}

static int churn(int count)
{
	while (count--) {
		int fd = expert_open();

		if (fd < 0)
			return 1;
		close(fd);
	}
	return 0;
}

static int crowd(int count)
{
	const struct rlimit limit = { count + 100, count + 100 };

	setrlimit(RLIMIT_NOFILE, &limit);
	for (int i = 0; i < count; i++) {
		int fd = expert_open();

		if (fd < 0) {
			fprintf(stderr, "hold: expert %d: %s\n", i, strerror(errno));
			return 1;
		}
		if (!i)
			printf("%llu\n", expert_stat(fd).id);
	}
	fflush(stdout);
	while (!churn(1000))
		;
	return 1;
}

int main(int argc, char **argv)
{
	static const struct timespec tick = { .tv_nsec = 20 * 1000 * 1000 };
	const volatile struct expertmem_status *status;
	struct expertmem_config config = {};
	struct window window;
	int ends[2] = { -1, -1 };
	int fd, count;

	if (argc == 3 && !strcmp(argv[1], "--churn"))
		return churn(atoi(argv[2]));
	if (argc == 3 && !strcmp(argv[1], "--crowd"))
		return crowd(atoi(argv[2]));
	if (argc != 5)
		return 2;

	signal(SIGUSR1, on_signal);
	signal(SIGUSR2, on_signal);
	snprintf(config.name, sizeof(config.name), "%s", argv[1]);
	config.limit = strtoull(argv[2], NULL, 0);
	fd = expert_open();
	if (fd < 0 || expert_ioctl(fd, EXPERTMEM_IOC_CONFIGURE, &config) ||
	    window_map(&window, &small_window, fd, GIB)) {
		fprintf(stderr, "hold: cannot have an expert: %s\n", strerror(errno));
		return 1;
	}
	status = status_map(fd);
	for (count = atoi(argv[4]); count; count--)
		take(&window, strtoull(argv[3], NULL, 0));
	printf("%llu\n", expert_stat(fd).id);
	fflush(stdout);

	while (!(status->flags & EXPERTMEM_STATUS_TERMINATE)) {
		nanosleep(&tick, NULL);
		if (more) {
			more = 0;
			take(&window, strtoull(argv[3], NULL, 0));
		}
		if (pin) {
			pin = 0;
			pin_or_let_go(&window, strtoull(argv[3], NULL, 0), ends);
		}
	}
	return 0;
}
