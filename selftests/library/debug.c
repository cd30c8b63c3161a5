// SPDX-License-Identifier: GPL-2.0
/*
 * libexpertmem with EXPERTMEM_DEBUG: each kind of misuse that the options detect is reported.
 * The library reads the environment when it starts, so each test executes this program again,
 * as "debug SCENE BACKEND". Every test runs on both backends.
 *
 * needs: module native
 * also: tsan
 */
#include "heap_test.h"

static struct classes classes;
static HEXPERTKEY key;

/* Findings in a row. */
static struct expertmem_finding findings[16];
static size_t nr_findings;

static void note(const struct expertmem_finding *finding, void *arg)
{
	if (nr_findings < COUNT_OF(findings))
		findings[nr_findings] = *finding;
	nr_findings++;
}

/* Was this, and nothing else, found since the last look? */
static bool found(enum expertmem_finding_kind kind, DWORD error, const void *p, size_t size)
{
	const struct expertmem_finding *one = &findings[0];
	bool is = nr_findings == 1 && one->key == key && one->kind == kind &&
		  one->error == error && one->pointer == p && one->size == size &&
		  !one->blocks;

	nr_findings = 0;
	return is;
}

/* In a scene: what must hold, or the scene has failed, and says where. */
#define MUST(condition)								\
	do {									\
		if (!(condition)) {						\
			fprintf(stderr, "# %s:%d: %s\n", __FILE__, __LINE__,	\
				#condition);					\
			return false;						\
		}								\
	} while (0)

/* Change the first byte behind. Out of line, or the compiler warns of it. */
static __attribute__((noinline)) void overrun(unsigned char *block, size_t size)
{
	block[size] ^= 0xff;
}

/* sizes of every kind: all small ones, each class and its neighbours, some large ones */
static size_t any_size(size_t i)
{
	static const size_t large[] = {
		32767, 32768, 32769, 40000, 65536, 100000, MIB, 2 * MIB - 1, 2 * MIB, 3 * MIB,
	};

	if (i < 300)
		return i;
	i -= 300;
	if (i < 3 * classes.count)
		return classes.size[i / 3] + i % 3 - 1;
	i -= 3 * classes.count;
	return i < COUNT_OF(large) ? large[i] : SIZE_MAX;
}

/* ------------------------------------------------------------------------- canaries */

static bool an_overrun_is_found_when_freed(void)
{
	size_t i, size;

	for (i = 0; (size = any_size(i)) != SIZE_MAX; i++) {
		struct block block = { get(key, size), size, i };

		MUST(block.at);
		fill(&block);
		overrun(block.at, size);
		MUST(intact(key, &block));
		MUST(!nr_findings);
		MUST(ExpertFreeMemory(key, block.at) == NMERR_SUCCESS);
		MUST(found(EXPERTMEM_OVERRUN, NMERR_SUCCESS, block.at, size));
		MUST(ExpertFreeMemory(key, block.at) == NMERR_INVALID_PARAMETER);
		MUST(found(EXPERTMEM_BAD_FREE, NMERR_INVALID_PARAMETER, block.at, 0));
	}
	MUST(stats_of(key).live_blocks == 0);
	return true;
}

static bool an_overrun_is_found_when_resized(void)
{
	size_t i, j, size;

	for (i = 0; (size = any_size(i)) != SIZE_MAX; i++) {
		/* to less, to the same, to what is next, and to much more */
		const size_t to[] = { size / 2, size, size + 1, size + 16, 2 * size + 5000 };

		for (j = 0; j < COUNT_OF(to); j++) {
			struct block block = { get(key, size), size, i };
			unsigned char *old = block.at;
			size_t kept = size < to[j] ? size : to[j];

			MUST(old);
			fill(&block);
			overrun(block.at, size);
			block.at = resize(key, old, to[j]).block;
			MUST(block.at);
			MUST(found(EXPERTMEM_OVERRUN, NMERR_SUCCESS, old, size));
			MUST(filled(&block, kept));
			/* from here on it is a block like others */
			block.size = to[j];
			fill(&block);
			MUST(intact(key, &block));
			MUST(ExpertFreeMemory(key, block.at) == NMERR_SUCCESS);
			MUST(!nr_findings);
		}
	}
	return true;
}

/* Each block is used to its last byte, and not beyond. */
static bool good_use_is_not_found(void)
{
	static struct block blocks[500];
	uint64_t random = 17;
	size_t i;

	for (i = 0; i < 30000; i++) {
		struct block *block = &blocks[random_next(&random) % COUNT_OF(blocks)];
		size_t size = random_next(&random) % (i % 100 ? 2000 : i % 700 ? 70000 : 3 * MIB);
		size_t old = block->at ? block->size : 0;

		MUST(!block->at || intact(key, block));
		if (random_next(&random) % 3 == 0) {
			MUST(ExpertFreeMemory(key, block->at) == NMERR_SUCCESS);
			block->at = NULL;
			continue;
		}
		if (random_next(&random) % 2 && old >= 16)
			size = old + random_next(&random) % 33 - 16;
		block->at = resize(key, block->at, size).block;
		MUST(block->at);
		MUST(filled(block, old < size ? old : size));
		block->size = size;
		fill(block);
	}
	for (i = 0; i < COUNT_OF(blocks); i++)
		MUST(ExpertFreeMemory(key, blocks[i].at) == NMERR_SUCCESS);
	MUST(stats_of(key).live_blocks == 0);
	MUST(expertmem_close(key) == EXPERTMEM_OK);
	MUST(!nr_findings);
	key = NULL;
	return true;
}

/* ------------------------------------------------------------------------------ fill */

static bool new_bytes_and_freed_ones_are_told_apart(void)
{
	size_t i, size;

	for (i = 0; (size = any_size(i)) != SIZE_MAX; i++) {
		unsigned char *p = get(key, size), *neighbour = get(key, size);

		MUST(p && neighbour);
		MUST(all_bytes(p, size, 0xaa));
		memset(p, 0x11, size);
		p = resize(key, p, size + 3000).block;
		MUST(p);
		MUST(all_bytes(p, size, 0x11));
		MUST(all_bytes(p + size, 3000, 0xaa));
		memset(p, 0x22, size + 3000);
		MUST(ExpertFreeMemory(key, p) == NMERR_SUCCESS);
		/* the pages of a large one may be gone */
		if (size + 3000 <= 16 * KIB)
			MUST(all_bytes(p, size + 3000, 0xdd));
		MUST(ExpertFreeMemory(key, neighbour) == NMERR_SUCCESS);
	}
	return true;
}

/* ----------------------------------------------------------------------------- guard */

#define GUARDED	8000

/* Some blocks end where their page does, and nothing is mapped behind. */
static bool some_blocks_fault_one_byte_behind(void)
{
	static struct block blocks[GUARDED];
	size_t i, faults = 0;

	for (i = 0; i < GUARDED; i++) {
		/* 199 and 16 have no common factor: every size, 0 too, is guarded some time */
		size_t size = 16 * (i % 199);

		blocks[i] = (struct block){ get(key, size), size, i };
		MUST(blocks[i].at);
		MUST((uintptr_t)blocks[i].at % 16 == 0);
		fill(&blocks[i]);
		faults += read_touch(blocks[i].at + size) == SIGSEGV;
	}
	printf("# %zu of %d blocks had a guard page\n", faults, GUARDED);
	MUST(faults > 0);
	MUST(faults < GUARDED / 2);
	for (i = 0; i < GUARDED; i += 2) {
		size_t size = blocks[i].size;

		blocks[i].at = resize(key, blocks[i].at, 2 * size + 16).block;
		MUST(blocks[i].at);
		MUST(filled(&blocks[i], size));
		blocks[i].size = 2 * size + 16;
		fill(&blocks[i]);
	}
	MUST(are_all(key, blocks, GUARDED));
	for (i = 0; i < GUARDED; i++) {
		MUST(intact(key, &blocks[i]));
		MUST(refused(key, blocks[i].at + 1) == NMERR_INVALID_PARAMETER);
		MUST(ExpertFreeMemory(key, blocks[i].at) == NMERR_SUCCESS);
		MUST(refused(key, blocks[i].at) == NMERR_INVALID_PARAMETER);
	}
	MUST(stats_of(key).live_blocks == 0);
	return true;
}

/* ----------------------------------------------------------------------------- sites */

static __attribute__((noinline)) unsigned char *from_here(size_t size)
{
	unsigned char *p = ExpertAllocMemory(key, size, NULL);

	/* no tail call: its return address would be the caller's */
	__asm__ volatile ("" : : "r" (p));
	return p;
}

static __attribute__((noinline)) unsigned char *from_there(size_t size)
{
	unsigned char *p = ExpertReallocMemory(key, NULL, size, NULL);

	__asm__ volatile ("" : : "r" (p));
	return p;
}

/* In the one of these two that starts next below? */
static bool is_in(const void *site, unsigned char *(*function)(size_t))
{
	uintptr_t here = (uintptr_t)site - (uintptr_t)from_here;
	uintptr_t there = (uintptr_t)site - (uintptr_t)from_there;

	return function == from_here ? here < 512 && here < there :
				       there < 512 && there < here;
}

static bool sites_of_what_leaked_are_found_at_close(void)
{
	size_t i;

	nr_findings = 0;
	for (i = 0; i < 1000; i++) {
		unsigned char *kept = from_here(100), *gone = from_here(50);

		MUST(kept && gone);
		MUST(ExpertFreeMemory(key, gone) == NMERR_SUCCESS);
	}
	for (i = 0; i < 7; i++)
		MUST(from_there(10000 * i));
	MUST(expertmem_close(key) == EXPERTMEM_OK);
	MUST(nr_findings == 2);
	for (i = 0; i < 2; i++) {
		const struct expertmem_finding *leak = &findings[i];
		bool here = is_in(leak->site, from_here);

		MUST(leak->key == key);
		MUST(leak->kind == EXPERTMEM_LEAK);
		MUST(leak->error == NMERR_SUCCESS);
		MUST(!leak->pointer);
		MUST(here || is_in(leak->site, from_there));
		MUST(leak->blocks == (here ? 1000 : 7));
		MUST(leak->size == (here ? 100000 : 210000));
	}
	MUST(findings[0].site != findings[1].site);
	key = NULL;
	return true;
}

static bool the_site_of_an_overrun_block_is_found(void)
{
	unsigned char *p = from_here(100), *q = from_there(100);

	overrun(p, 100);
	overrun(q, 100);
	MUST(ExpertFreeMemory(key, p) == NMERR_SUCCESS);
	MUST(is_in(findings[0].site, from_here));
	MUST(found(EXPERTMEM_OVERRUN, NMERR_SUCCESS, p, 100));
	MUST(ExpertFreeMemory(key, q) == NMERR_SUCCESS);
	MUST(is_in(findings[0].site, from_there));
	MUST(found(EXPERTMEM_OVERRUN, NMERR_SUCCESS, q, 100));
	return true;
}

/* ---------------------------------------------------------------------- report, abort */

static FILE *caught;
static int real_stderr;

static void catch_stderr(void)
{
	caught = tmpfile();
	real_stderr = dup(2);
	dup2(fileno(caught), 2);
}

/* What went there since: how many lines, and whether @text is in each. */
static int caught_lines(const char *text)
{
	int lines = 0, with_text = 0;
	char line[1024];

	dup2(real_stderr, 2);
	rewind(caught);
	while (fgets(line, sizeof(line), caught)) {
		lines++;
		with_text += strstr(line, text) != NULL;
	}
	fclose(caught);
	return lines == with_text ? lines : -1;
}

/* One bad call of each kind, with this pointer. */
static bool err(void *p)
{
	return ExpertFreeMemory(key, p) == NMERR_INVALID_PARAMETER &&
	       says(resize(key, p, 1), NMERR_INVALID_PARAMETER) &&
	       ExpertMemorySize(key, p) == 0;
}

static bool findings_are_printed_where_nobody_listens(void)
{
	unsigned char *p = get(key, 100);
	char text[32];

	snprintf(text, sizeof(text), "%p", p + 1);
	catch_stderr();
	MUST(err(p + 1));
	MUST(nr_findings == 3);
	MUST(caught_lines("") == 0);
	MUST(expertmem_listen(key, NULL, NULL) == EXPERTMEM_OK);
	catch_stderr();
	MUST(err(p + 1));
	MUST(caught_lines(text) == 3);
	return true;
}

/* Overrun a block, free it, and close with another one leaked: what is said of each? */
static bool is_said(const char *behind_block, const char *leak, int leaks)
{
	unsigned char *p = from_here(100);
	char text[128];

	MUST(from_there(1000));
	MUST(expertmem_listen(key, NULL, NULL) == EXPERTMEM_OK);
	catch_stderr();
	overrun(p, 100);
	MUST(ExpertFreeMemory(key, p) == NMERR_SUCCESS);
	snprintf(text, sizeof(text), "bytes behind the 100 of block %p%s", p, behind_block);
	MUST(caught_lines(text) == 1);
	catch_stderr();
	MUST(expertmem_close(key) == EXPERTMEM_OK);
	MUST(caught_lines(leak) == leaks);
	key = NULL;
	return true;
}

static bool it_is_printed_where_blocks_are_from(void)
{
	/* as addr2line takes it: this program, and an offset */
	return is_said(" from debug(+0x", "1000 bytes in 1 blocks from debug(+0x", 1);
}

static bool nothing_is_printed_of_sites_that_are_not_kept(void)
{
	return is_said(" were written", "", 0);
}

static void not_at_exit(const struct expertmem_finding *finding, void *arg)
{
	_exit(3);
}

/* The process has the expert open when it exits; its child has not. */
static bool leaks_are_printed_at_exit(void)
{
	pid_t pid;

	catch_stderr();
	pid = fork();
	if (pid == 0) {
		key = open_expert(EXPERTMEM_BACKEND_AUTO, 0, 0);
		if (!from_there(1000) || expertmem_listen(key, not_at_exit, NULL))
			_exit(1);
		pid = fork();
		if (pid)
			exit(child_status(pid));
		exit(0);
	}
	MUST(child_status(pid) == 0);
	MUST(caught_lines("1000 bytes in 1 blocks from debug(+0x") == 1);
	return true;
}

static bool nothing_is_printed(void)
{
	unsigned char *p = get(key, 100);

	MUST(expertmem_listen(key, NULL, NULL) == EXPERTMEM_OK);
	catch_stderr();
	MUST(err(p + 1));
	MUST(caught_lines("") == 0);
	return true;
}

/* Whoever listens hears of it first. */
static void note_and_say(const struct expertmem_finding *finding, void *arg)
{
	*(size_t *)arg += finding->kind == EXPERTMEM_BAD_FREE;
}

static bool a_finding_aborts_when_it_was_heard(void)
{
	size_t *heard = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid = fork();

	if (pid == 0) {
		HEXPERTKEY own = open_expert(EXPERTMEM_BACKEND_AUTO, 0, 0);
		void *p = get(own, 100);

		expertmem_listen(own, note_and_say, heard);
		if (ExpertFreeMemory(own, p) == NMERR_SUCCESS)
			ExpertFreeMemory(own, p);
		_exit(0);
	}
	MUST(child_status(pid) == 128 + SIGABRT);
	MUST(*heard == 1);
	return true;
}

/* ------------------------------------------------------------------------------- none */

static bool without_it_nothing_more_is_found(void)
{
	unsigned char *p = get(key, 100);

	/* there is room for it: blocks are multiples of 16 */
	overrun(p, 100);
	MUST(ExpertFreeMemory(key, p) == NMERR_SUCCESS);
	MUST(!nr_findings);
	MUST(get(key, 100));
	MUST(expertmem_close(key) == EXPERTMEM_OK);
	MUST(!nr_findings);
	key = NULL;
	return true;
}

static bool all_of_them_are_at_work(void)
{
	unsigned char *p = from_here(1000);

	MUST(all_bytes(p, 1000, 0xaa));
	overrun(p, 1000);
	MUST(ExpertFreeMemory(key, p) == NMERR_SUCCESS);
	MUST(is_in(findings[0].site, from_here));
	MUST(found(EXPERTMEM_OVERRUN, NMERR_SUCCESS, p, 1000));
	return some_blocks_fault_one_byte_behind();
}

TEST_F(expert, a_word_that_is_not_known_is_an_error)
{
	static const char *const settings[] = { "canaries", "canary,", "fill,,sites", "fill;sites",
						"FILL", " fill", "canary,no" };
	struct expertmem_options options = { .backend = variant->backend };
	HEXPERTKEY none = NULL;
	size_t i;

	for (i = 0; i < COUNT_OF(settings); i++) {
		bool known = i == 1 || i == 2;

		ASSERT_EQ(0, setenv("EXPERTMEM_DEBUG", settings[i], 1));
		EXPECT_EQ(known ? EXPERTMEM_OK : EXPERTMEM_E_INVALID,
			  expertmem_open(&options, &none)) {
			TH_LOG("%s", settings[i]);
		}
	}
}

/* ----------------------------------------------------------------------------- scenes */

/* of a test: its name, the setting, what is played */
#define SCENES(scene)									\
	scene(canary_of_a_freed_block, "canary", an_overrun_is_found_when_freed)	\
	scene(canary_of_a_resized_block, "canary", an_overrun_is_found_when_resized)	\
	scene(canary_of_good_blocks, "canary", good_use_is_not_found)			\
	scene(fill, "fill", new_bytes_and_freed_ones_are_told_apart)			\
	scene(fill_of_good_blocks, "fill", good_use_is_not_found)			\
	scene(guard, "guard", some_blocks_fault_one_byte_behind)			\
	scene(guard_of_good_blocks, "guard", good_use_is_not_found)			\
	scene(sites, "sites", sites_of_what_leaked_are_found_at_close)			\
	scene(sites_of_good_blocks, "sites", good_use_is_not_found)			\
	scene(sites_of_overruns, "sites,canary", the_site_of_an_overrun_block_is_found)	\
	scene(report, "report", findings_are_printed_where_nobody_listens)		\
	scene(report_of_sites, "report,canary,sites", it_is_printed_where_blocks_are_from) \
	scene(report_at_exit, "report,sites", leaks_are_printed_at_exit)		\
	scene(report_without_sites, "report,canary", nothing_is_printed_of_sites_that_are_not_kept) \
	scene(no_report, "canary", nothing_is_printed)					\
	scene(aborting, "abort", a_finding_aborts_when_it_was_heard)			\
	scene(nothing, "", without_it_nothing_more_is_found)				\
	scene(nothing_printed, "", nothing_is_printed)					\
	scene(all, "all", all_of_them_are_at_work)					\
	scene(all_of_good_blocks, "all", good_use_is_not_found)

static const struct {
	const char *name;
	bool (*play)(void);
} scenes[] = {
#define ENTRY(name, setting, function) { #name, function },
	SCENES(ENTRY)
};

/* How a scene ends that is played under a setting: 0 if it went as it should. */
static int play(const char *name, const char *setting, enum expertmem_backend backend)
{
	pid_t pid = fork();

	if (pid == 0) {
		setenv("EXPERTMEM_DEBUG", setting, 1);
		setenv("EXPERTMEM_BACKEND",
		       backend == EXPERTMEM_BACKEND_ANON ? "anon" : "device", 1);
		execl("/proc/self/exe", "debug", name, NULL);
		_exit(127);
	}
	return child_status(pid);
}

#define TEST_OF(name, setting, function)					\
	TEST_F(expert, name)					\
	{									\
		EXPECT_EQ(0, play(#name, setting, variant->backend));		\
	}

SCENES(TEST_OF)

static int play_here(const char *name)
{
	size_t i;

	key = open_expert(EXPERTMEM_BACKEND_AUTO, 0, 0);
	if (!key || !find_classes(key, &classes) || expertmem_listen(key, note, NULL))
		return 1;
	for (i = 0; i < COUNT_OF(scenes); i++)
		if (!strcmp(scenes[i].name, name))
			return !scenes[i].play();
	return 1;
}

#define main tests_main
TEST_HARNESS_MAIN
#undef main

int main(int argc, char **argv)
{
	return argc == 2 ? play_here(argv[1]) : tests_main(argc, argv);
}
