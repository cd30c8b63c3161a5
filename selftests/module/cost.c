// SPDX-License-Identifier: GPL-2.0
/*
 * Measures the instructions that each call of the module takes. It is no test. Run it in
 * "vm/run --icount", whose clock counts one nanosecond for each instruction. With a clock of
 * real time it prints nanoseconds.
 */
#include "expertmem_test.h"

#define WINDOW	(256 * GIB)
#define TIMES	1000
/* touched page by page */
#define TOUCHED	(32 * MIB)
#define PAGES	(TOUCHED / PAGE)

static __u64 clock_ns(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC_RAW, &time);
	return time.tv_sec * 1000000000ULL + time.tv_nsec;
}

static __u64 begun;

static void begin(void)
{
	begun = clock_ns();
}

static void end(unsigned long times, const char *what, const char *where)
{
	__u64 cost = clock_ns() - begun;

	printf("%-36s%-20s%10llu\n", what, where, cost / times);
	fflush(stdout);
}

static void must(int err, const char *what)
{
	if (!err)
		return;
	fprintf(stderr, "cost: %s: %s\n", what, strerror(-err));
	exit(1);
}

static void window(struct window *window, const struct window *kind)
{
	must(window_open(window, kind, WINDOW, 0), DEVICE);
}

static __u64 alloc(const struct window *window, __u32 flags, __u64 size)
{
	__u64 offset;

	must(region_alloc_flags(window, flags, size, 0, &offset), "ALLOC");
	return offset;
}

static void free_region(const struct window *window, __u64 offset)
{
	must(region_free(window, offset), "FREE");
}

static unsigned char *anonymous(size_t size, int advice)
{
	/* room to align in, so that both have the same huge pages */
	unsigned char *addr = mmap(NULL, size + HUGE, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t head = -(unsigned long)addr % HUGE;

	must(addr == MAP_FAILED ? -errno : 0, "mmap");
	if (head)
		munmap(addr, head);
	munmap(addr + head + size, HUGE - head);
	madvise(addr + head, size, advice);
	return addr + head;
}

static void touch_each(unsigned char *addr, size_t size)
{
	size_t i;

	for (i = 0; i < size; i += PAGE)
		addr[i] = 1;
}

static void cost_of_experts(const struct window *kind, const char *where)
{
	struct window one;
	int i, fd;

	begin();
	for (i = 0; i < TIMES; i++) {
		fd = expert_open();
		must(fd < 0 ? fd : 0, DEVICE);
		close(fd);
	}
	end(TIMES, "open, close", "");

	begin();
	for (i = 0; i < TIMES; i++) {
		fd = expert_open();
		must(window_map(&one, kind, fd, WINDOW), "mmap");
		munmap(one.addr, WINDOW);
		close(fd);
	}
	end(TIMES, "open, mmap, munmap, close", where);
}

static void cost_of_memfd(void)
{
	void *addr;
	int i, fd;

	begin();
	for (i = 0; i < TIMES; i++) {
		fd = memfd_create("cost", MFD_CLOEXEC);
		must(ftruncate(fd, WINDOW) ? -errno : 0, "ftruncate");
		addr = mmap(NULL, WINDOW, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		must(addr == MAP_FAILED ? -errno : 0, "mmap");
		munmap(addr, WINDOW);
		close(fd);
	}
	end(TIMES, "open, mmap, munmap, close", "memfd");
}

static void cost_of_calls(void)
{
	struct expertmem_stat stat;
	struct window one;
	__u64 offset;
	int i;

	window(&one, &small_window);
	begin();
	for (i = 0; i < TIMES; i++)
		expert_ioctl(one.fd, EXPERTMEM_IOC_STAT, &stat);
	end(TIMES, "STAT", "");

	begin();
	for (i = 0; i < TIMES; i++)
		free_region(&one, alloc(&one, 0, 64 * KIB));
	end(TIMES, "ALLOC, FREE 64 KiB, untouched", "empty window");

	begin();
	for (i = 0; i < TIMES; i++)
		munmap(mmap(NULL, 64 * KIB, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 64 * KIB);
	end(TIMES, "mmap, munmap 64 KiB, untouched", "anonymous");

	offset = alloc(&one, 0, MIB);
	begin();
	for (i = 1; i <= TIMES; i++)
		must(region_realloc(&one, offset, MIB + i * PAGE), "REALLOC");
	end(TIMES, "REALLOC, 4 KiB more", "");
	begin();
	for (i = TIMES - 1; i >= 0; i--)
		must(region_realloc(&one, offset, MIB + i * PAGE), "REALLOC");
	end(TIMES, "REALLOC, 4 KiB less, untouched", "");
	window_close(&one);
}

/* Does a call cost more where there are many regions already? */
static void cost_among(unsigned long regions, __u64 size, const char *where)
{
	struct window one;
	unsigned long i;

	window(&one, &small_window);
	begin();
	for (i = 0; i < regions; i++)
		alloc(&one, 0, size);
	end(regions, "ALLOC, on the average", where);

	begin();
	for (i = 0; i < TIMES; i++)
		free_region(&one, alloc(&one, 0, PAGE));
	end(TIMES, "ALLOC, FREE 4 KiB, untouched", where);
	begin();
	for (i = 0; i < TIMES; i++)
		free_region(&one, alloc(&one, 0, 64 * KIB));
	end(TIMES, "ALLOC, FREE 64 KiB, untouched", where);
	begin();
	for (i = 0; i < TIMES; i++)
		free_region(&one, alloc(&one, 0, MIB));
	end(TIMES, "ALLOC, FREE 1 MiB, untouched", where);

	begin();
	munmap(one.addr, one.size);
	end(regions, "munmap, for each region", where);
	close(one.fd);
}

static void cost_of_pages(const struct window *kind, const char *where)
{
	struct window one;
	__u64 offset;

	window(&one, kind);
	offset = alloc(&one, 0, TOUCHED);
	begin();
	touch_each(at(&one, offset), TOUCHED);
	end(PAGES, "touch a fresh page", where);
	begin();
	free_region(&one, offset);
	end(PAGES, "FREE, for each page", where);

	begin();
	offset = alloc(&one, EXPERTMEM_ALLOC_POPULATE, TOUCHED);
	end(PAGES, "populate, for each page", where);
	begin();
	touch_each(at(&one, offset), TOUCHED);
	end(PAGES, "touch a populated page", where);
	begin();
	munmap(one.addr, one.size);
	end(PAGES, "munmap, for each page", where);
	close(one.fd);
}

static void cost_of_anonymous_pages(int advice, const char *where)
{
	unsigned char *addr = anonymous(TOUCHED, advice);

	begin();
	touch_each(addr, TOUCHED);
	end(PAGES, "touch a fresh page", where);
	begin();
	munmap(addr, TOUCHED);
	end(PAGES, "munmap, for each page", where);

	addr = anonymous(TOUCHED, advice);
	begin();
	must(madvise(addr, TOUCHED, MADV_POPULATE_WRITE) ? -errno : 0, "MADV_POPULATE_WRITE");
	end(PAGES, "populate, for each page", where);
	munmap(addr, TOUCHED);
}

/* Get, touch and give back memory, as a program that frees what it allocates. */
static void cost_of_use(size_t size, const char *what)
{
	struct window one;
	__u64 offset;
	void *addr;
	int i;

	window(&one, &small_window);
	begin();
	for (i = 0; i < TIMES; i++) {
		offset = alloc(&one, 0, size);
		touch_each(at(&one, offset), size);
		free_region(&one, offset);
	}
	end(TIMES, what, "small window");
	window_close(&one);

	begin();
	for (i = 0; i < TIMES; i++) {
		addr = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		must(addr == MAP_FAILED ? -errno : 0, "mmap");
		touch_each(addr, size);
		munmap(addr, size);
	}
	end(TIMES, what, "anonymous");
}

int main(void)
{
	struct parameter total_limit = { };

	must(parameter_set(&total_limit, "total_limit", "0"), PARAMETERS "total_limit");
	/* First: the regions of cost_among() are freed by RCU long after their measure. */
	cost_of_use(64 * KIB, "get, touch, give 64 KiB");
	cost_of_use(MIB, "get, touch, give 1 MiB");
	cost_of_pages(&small_window, "small window");
	cost_of_anonymous_pages(MADV_NOHUGEPAGE, "anonymous");
	cost_of_pages(&huge_window, "huge window");
	cost_of_anonymous_pages(MADV_HUGEPAGE, "anonymous, huge");
	cost_of_experts(&small_window, "small window");
	cost_of_experts(&huge_window, "huge window");
	cost_of_memfd();
	cost_of_calls();
	cost_among(10, PAGE, "10 of 4 KiB");
	cost_among(1000, PAGE, "1000 of 4 KiB");
	cost_among(100000, PAGE, "100000 of 4 KiB");
	cost_among(10, MIB, "10 of 1 MiB");
	cost_among(1000, MIB, "1000 of 1 MiB");
	cost_among(100000, MIB, "100000 of 1 MiB");
	return parameter_restore(&total_limit) ? 1 : 0;
}
