// SPDX-License-Identifier: GPL-2.0
/*
 * What libFuzzer calls. It keeps the corpus and chooses what to mutate; here are the
 * mutations, of whole records, and the module's coverage. See "selftests/fuzz/device --help".
 */
#include <stddef.h>
#include <linux/kcov.h>

#include "../lib/memory_test.h"
#include "fuzz.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed);
size_t LLVMFuzzerCustomCrossOver(const uint8_t *data1, size_t size1, const uint8_t *data2,
				 size_t size2, uint8_t *out, size_t max_size, unsigned int seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);

/* ----------------------------------------------------------------- the module's coverage */

#define KCOV_WORDS	(512UL << 10)
#define BLOCKS		16384
#define TEXT_MAX	(1UL << 20)

/* libFuzzer takes what is not zero here for coverage, of each input anew. */
__attribute__((section("__libfuzzer_extra_counters"))) static uint8_t counters[BLOCKS];

static struct coverage {
	int fd;
	unsigned long *area;	/* the number of addresses, and they */
} coverage[PROCESSES];

static unsigned long text, text_size;
static uint16_t block_of[TEXT_MAX];	/* by offset in the module; 0: not seen yet */
static unsigned int nr_blocks;

static int coverage_open(struct coverage *of)
{
	of->fd = open("/sys/kernel/debug/kcov", O_RDWR | O_CLOEXEC);
	if (of->fd < 0)
		return -errno;
	if (ioctl(of->fd, KCOV_INIT_TRACE, KCOV_WORDS))
		return -errno;
	of->area = mmap(NULL, KCOV_WORDS * sizeof(long), PROT_READ | PROT_WRITE, MAP_SHARED,
			of->fd, 0);
	return of->area == MAP_FAILED ? -errno : 0;
}

static void coverage_setup(void)
{
	char line[256];
	FILE *file = fopen("/proc/modules", "re");

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "expertmem %lu %*d %*s %*s %lx", &text_size, &text) == 2)
			break;
	if (file)
		fclose(file);
	if (text_size > TEXT_MAX)
		text_size = TEXT_MAX;
	if (coverage_open(&coverage[HERE]) || coverage_open(&coverage[CHILD]) || !text ||
	    ioctl(coverage[HERE].fd, KCOV_ENABLE, KCOV_TRACE_PC)) {
		printf("no coverage of the kernel: this one has no KCOV\n");
		text_size = 0;
	}
}

/* In the child, which has the same memory for it. */
void coverage_child(void)
{
	if (text_size)
		ioctl(coverage[CHILD].fd, KCOV_ENABLE, KCOV_TRACE_PC);
}

static void collect(struct coverage *from)
{
	unsigned long i, offset, nr = __atomic_load_n(from->area, __ATOMIC_RELAXED);

	for (i = 1; i <= nr && i < KCOV_WORDS; i++) {
		offset = from->area[i] - text;
		if (offset >= text_size)
			continue;
		if (!block_of[offset] && nr_blocks < BLOCKS - 1)
			block_of[offset] = ++nr_blocks;
		if (counters[block_of[offset]] < 255)
			counters[block_of[offset]]++;
	}
	__atomic_store_n(from->area, 0, __ATOMIC_RELAXED);
}

void coverage_collect(void)
{
	if (!text_size)
		return;
	collect(&coverage[HERE]);
	collect(&coverage[CHILD]);
}

/* -------------------------------------------------------------------- the kernel's log */

static int log_fd = -1;

/*
 * Told to the kernel before it is run, below what its console shows: a kernel that dies
 * prints it with "panic_print=0x20".
 */
static void announce(const struct record *records, size_t nr)
{
	char line[40 + 2 * RECORDS_MAX * sizeof(*records)];
	const uint8_t *bytes = (const void *)records;
	size_t i, len = sprintf(line, "<7>expertmem-fuzz: ");

	for (i = 0; i < nr * sizeof(*records); i++)
		len += sprintf(line + len, "%02x", bytes[i]);
	if (write(log_fd, line, len) < 0) {
		perror("/dev/kmsg");
		exit(1);
	}
}

/*
 * What the rest of the kernel tells whoever uses it wrongly, and what it says of an
 * emulated CPU that had to wait for a real one.
 */
static bool is_excused(const char *said)
{
	static const char *const excused[] = {
		"netlink: ", "callbacks suppressed", "Zero length message",
		"deprecated remap_file_pages()",
		"clocksource: ", "tsc: ", "sched_clock: ", "hrtimer: interrupt took",
		"hogged CPU",
	};
	unsigned int i;

	if (strstr(said, "[expertmem]"))
		return false;
	for (i = 0; i < COUNT_OF(excused); i++)
		if (strstr(said, excused[i]))
			return true;
	return false;
}

static bool kernel_complained(void)
{
	char line[8192], *said;
	unsigned int level;
	ssize_t len;

	for (;;) {
		len = read(log_fd, line, sizeof(line) - 1);
		if (len < 0 && errno == EPIPE)
			continue;	/* overwritten before it was read */
		if (len <= 0)
			return false;
		line[len] = '\0';
		level = strtoul(line, NULL, 10) & 7;
		said = strchr(line, ';');
		if (level > 4 || !said || is_excused(said))
			continue;
		snprintf(sequence_failure, sizeof(sequence_failure), "the kernel says: %s",
			 said + 1);
		return true;
	}
}

/* ------------------------------------------------------------------------- one sequence */

static unsigned long nr_sequences;
static struct memory memory_before;

static bool is_good(const struct record *records, size_t nr)
{
	bool good;

	announce(records, nr);
	good = sequence_run(records, nr);
	nr_sequences++;
	return !kernel_complained() && good;
}

/* Leave out whatever can be left out of a failing sequence; how many records are left. */
static size_t minimise(struct record *records, size_t nr)
{
	struct record shorter[RECORDS_MAX];
	size_t at, drop;

	for (drop = nr / 2; drop; drop /= 2) {
		for (at = 0; at + drop <= nr;) {
			memcpy(shorter, records, at * sizeof(*records));
			memcpy(shorter + at, records + at + drop, (nr - at - drop) * sizeof(*records));
			if (is_good(shorter, nr - drop)) {
				at += drop;
				continue;
			}
			nr -= drop;
			memcpy(records, shorter, nr * sizeof(*records));
		}
	}
	return nr;
}

static void report(struct record *records, size_t nr)
{
	char first[sizeof(sequence_failure)];
	const uint8_t *bytes = (const void *)records;
	size_t i;

	strcpy(first, sequence_failure);
	printf("\nFAILED after %lu sequences: %s\n", nr_sequences, first);
	/* what the kernel says only once is not to be had again */
	if (!is_good(records, nr))
		nr = minimise(records, nr);
	printf("the shortest sequence that fails:\n");
	sequence_tell = true;
	printf("%s\n", is_good(records, nr) ? "which succeeds the next time" : sequence_failure);
	printf("to see it again: selftests/fuzz/device --replay ");
	for (i = 0; i < nr * sizeof(*records); i++)
		printf("%02x", bytes[i]);
	printf("\n");
	fflush(stdout);
	_exit(1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct record records[RECORDS_MAX];
	size_t nr = size / sizeof(*records);

	if (nr > RECORDS_MAX)
		nr = RECORDS_MAX;
	memcpy(records, data, nr * sizeof(*records));
	if (!is_good(records, nr))
		report(records, nr);
	return 0;
}

/* ---------------------------------------------------------------------------- mutations */

static void random_record(struct record *record)
{
	size_t i;

	for (i = 0; i < sizeof(*record); i++)
		((uint8_t *)record)[i] = rand();
	/* mostly about few experts, by this process, with an argument where it should be */
	if (rand() % 2)
		record->who &= ~0x70;
	if (rand() % 4)
		record->who &= ~0x06;
	if (rand() % 2)
		record->who &= ~0x80;
}

/* Insert, remove, repeat, exchange and change records; a change of bytes is libFuzzer's. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
	struct record *records = (void *)data, moved;
	size_t nr = size / sizeof(*records), max = max_size / sizeof(*records);
	size_t at, from;

	if (max > RECORDS_MAX)
		max = RECORDS_MAX;
	if (nr > max)
		nr = max;
	srand(seed);
	if (nr < 2 && max > 10) {
		nr = sequence_begin(records, 0);
		if (rand() % 4 == 0)
			nr += sequence_begin(records + nr, 1);
	}
	do {
		at = nr ? rand() % nr : 0;
		from = nr ? rand() % nr : 0;
		switch (nr ? rand() % 8 : 0) {
		case 0:
		case 1:
		case 2:
			if (nr == max)
				break;
			memmove(records + at + 1, records + at, (nr - at) * sizeof(*records));
			random_record(&records[at]);
			nr++;
			break;
		case 3:
			nr--;
			memmove(records + at, records + at + 1, (nr - at) * sizeof(*records));
			break;
		case 4:
			if (nr < max)
				records[nr++] = records[from];
			break;
		case 5:
			moved = records[at];
			records[at] = records[from];
			records[from] = moved;
			break;
		default:
			LLVMFuzzerMutate((uint8_t *)&records[at], sizeof(*records), sizeof(*records));
		}
	} while (rand() % 4);
	return nr * sizeof(*records);
}

/* The beginning of one, and the end of another. */
size_t LLVMFuzzerCustomCrossOver(const uint8_t *data1, size_t size1, const uint8_t *data2,
				 size_t size2, uint8_t *out, size_t max_size, unsigned int seed)
{
	size_t nr1 = size1 / sizeof(struct record), nr2 = size2 / sizeof(struct record);
	size_t max = max_size / sizeof(struct record), head, tail;

	srand(seed);
	head = nr1 ? rand() % (nr1 + 1) : 0;
	tail = nr2 ? rand() % (nr2 + 1) : 0;
	if (head > max)
		head = max;
	if (tail > max - head)
		tail = max - head;
	memcpy(out, data1, head * sizeof(struct record));
	memcpy(out + head * sizeof(struct record), data2 + (nr2 - tail) * sizeof(struct record),
	       tail * sizeof(struct record));
	return (head + tail) * sizeof(struct record);
}

/* ------------------------------------------------------------------------------- figures */

/* The corpus is in memory too, and so is what KASAN keeps back of freed objects. */
#define FIGURES_NOISE	(128 * MIB)

static void figures(void)
{
	printf("\nresults seen:\n");
	sequence_outcomes();
	if (text_size)
		printf("blocks of the module covered: %u\n", nr_blocks);
	printf("sequences: %lu\n", nr_sequences);
	if (!memory_is_back(&memory_before, FIGURES_NOISE, 20)) {
		printf("FAILED: not all memory is back\n");
		fflush(stdout);
		_exit(1);
	}
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	int err;

	setvbuf(stdout, NULL, _IOLBF, 0);
	log_fd = open("/dev/kmsg", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	err = log_fd < 0 ? -errno : messages_setup();
	if (!err)
		err = sequence_setup();
	if (err) {
		printf("cannot begin: %s; load the module, be root\n", strerror(-err));
		_exit(1);
	}
	lseek(log_fd, 0, SEEK_END);
	sequence_tell = getenv("FUZZ_TELL");
	coverage_setup();
	memory_before = memory_now();
	atexit(figures);
	return 0;
}
