// SPDX-License-Identifier: GPL-2.0
/*
 * libexpertmem: random calls are compared with a model of contents, sizes, addresses, error
 * codes, statistics, walks and findings. One thread uses many experts one after the other;
 * several threads share one expert and pass blocks to each other.
 *
 * MODEL_SEED and MODEL_STEPS in the environment select the random numbers and the number of
 * calls. A failure prints both. Every test runs on both backends.
 *
 * needs: module native
 * also: asan tsan watched arm64
 */
#include <pthread.h>

#include "heap_test.h"

#define SEED	20261121
#define STEPS	60000

#define SLOTS	512
#define FREED	64

/* Blocks on their way from one thread to another. */
struct mailbox {
	struct block *parcels[32];
};

/**
 * struct model - what a thread knows about its blocks
 * @key: the expert's
 * @random: state of the generator
 * @limit: the expert's, 0: none
 * @terminating: the expert is
 * @mailbox: NULL: nobody else has blocks in the expert
 * @count: live blocks
 * @bytes: in them
 * @blocks: some are live, the others have no address
 * @freed: addresses of blocks freed some time ago
 * @heard: what the listener heard
 * @thread: that runs it
 */
struct model {
	HEXPERTKEY key;
	uint64_t random;
	uint64_t limit;
	bool terminating;
	struct mailbox *mailbox;
	size_t count, bytes;
	struct block blocks[SLOTS];
	unsigned char *freed[FREED];
	struct heard heard;
	pthread_t thread;
};

/* What differs from the model, in words; NULL: nothing. */
#define DIFFERS_IF(condition, text)	\
	do {				\
		if (condition)		\
			return text;	\
	} while (0)

static uint64_t from_environment(const char *name, uint64_t otherwise)
{
	const char *value = getenv(name);

	return value ? strtoull(value, NULL, 0) : otherwise;
}

static size_t below(struct model *model, size_t bound)
{
	return random_next(&model->random) % bound;
}

/* Small ones, mostly; now and then some MiB. */
static size_t any_size(struct model *model)
{
	switch (below(model, 64)) {
	case 0:
		return below(model, below(model, 64) ? 3 * MIB : 48 * MIB);
	case 1 ... 3:
		return below(model, 300000);
	case 4 ... 11:
		return below(model, 40000);
	case 12 ... 15:
		/* a page, a slab, a huge page, and what is next to them */
		return ((size_t[]){ PAGE, 32 * KIB, 64 * KIB, HUGE })[below(model, 4)] +
		       below(model, 3) - 1;
	case 16 ... 31:
		return below(model, 17);
	default:
		return below(model, 1500);
	}
}

/* Is any live block where @p is, or one of the @size bytes behind it? */
static bool overlaps(const struct model *model, const unsigned char *p, size_t size)
{
	size_t i;

	for (i = 0; i < SLOTS; i++) {
		const struct block *block = &model->blocks[i];

		if (block->at && p < block->at + block->size + !block->size &&
		    block->at < p + size + !size)
			return true;
	}
	return false;
}

/* A call that returns a block said this: was it allowed to, and is the block good? */
static const char *check_new(struct model *model, struct answer answer, size_t size)
{
	size_t alignment = size < PAGE ? 16 : PAGE;

	if (model->terminating) {
		DIFFERS_IF(!says(answer, NMERR_EXPERT_TERMINATE), "not told to terminate");
		return NULL;
	}
	if (!answer.block) {
		DIFFERS_IF(answer.error != NMERR_OUT_OF_MEMORY, "no block, and no reason");
		DIFFERS_IF(!model->limit, "out of memory without a limit");
		return NULL;
	}
	DIFFERS_IF(answer.error != NMERR_SUCCESS, "a block, and an error");
	DIFFERS_IF((uintptr_t)answer.block % alignment, "a block is not aligned");
	DIFFERS_IF(overlaps(model, answer.block, size), "blocks overlap");
	DIFFERS_IF(ExpertMemorySize(model->key, answer.block) != size, "a wrong size");
	return NULL;
}

static void enter(struct model *model, struct block *block, unsigned char *at, size_t size)
{
	*block = (struct block){ at, size, random_next(&model->random) };
	fill(block);
	model->count++;
	model->bytes += size;
}

static void leave(struct model *model, struct block *block)
{
	model->count--;
	model->bytes -= block->size;
	model->freed[below(model, FREED)] = block->at;
	block->at = NULL;
}

static const char *step_alloc(struct model *model, struct block *block)
{
	size_t size = any_size(model);
	struct answer answer = alloc(model->key, size);
	const char *differs = check_new(model, answer, size);

	if (answer.block && !differs)
		enter(model, block, answer.block, size);
	return differs;
}

static const char *step_free(struct model *model, struct block *block)
{
	DWORD code = ExpertFreeMemory(model->key, block->at);

	DIFFERS_IF(code != (model->terminating ? NMERR_EXPERT_TERMINATE : NMERR_SUCCESS),
		   "a wrong code of free");
	leave(model, block);
	return NULL;
}

static const char *step_realloc(struct model *model, struct block *block)
{
	struct block old = *block;
	size_t size = below(model, 4) ? any_size(model) : old.size + below(model, 65) - 32;
	struct answer answer;
	const char *differs;

	if ((ssize_t)size < 0)
		size = 0;
	answer = resize(model->key, old.at, size);
	leave(model, block);
	differs = check_new(model, answer, size);
	if (differs || !answer.block) {
		*block = old;
		model->count++;
		model->bytes += old.size;
		DIFFERS_IF(!differs && size <= old.size && !model->terminating,
			   "a block could not shrink");
		return differs;
	}
	block->size = size;
	block->at = answer.block;
	block->seed = old.seed;
	DIFFERS_IF(!filled(&(struct block){ answer.block, old.size, old.seed },
			   old.size < size ? old.size : size), "realloc changed the contents");
	enter(model, block, answer.block, size);
	return NULL;
}

/* Something that is no block, made of what is or was one. */
static const unsigned char *any_bad(struct model *model, const struct block *block)
{
	const unsigned char *p;

	/* others may have what is outside */
	if (model->mailbox)
		return block->size > 1 ? block->at + 1 + below(model, block->size - 1) : NULL;
	switch (below(model, 8)) {
	case 0:
		p = block->at - 16;
		break;
	case 1:
		p = block->at + block->size;
		break;
	case 2:
		p = block->at + 16 * below(model, PAGE);
		break;
	case 3:
		p = (unsigned char *)random_next(&model->random);
		break;
	case 4 ... 5:
		p = model->freed[below(model, FREED)];
		break;
	default:
		p = block->at + 1 + below(model, block->size + 64);
	}
	return p && !overlaps(model, p, 0) ? p : NULL;
}

static const char *step_bad(struct model *model, const struct block *block)
{
	const unsigned char *p = any_bad(model, block);

	if (!p)
		return NULL;
	if (model->terminating) {
		DIFFERS_IF(ExpertFreeMemory(model->key, (void *)p) != NMERR_INVALID_PARAMETER,
			   "a bad pointer was freed");
		model->heard.count = 0;
	} else if (model->mailbox) {
		DIFFERS_IF(refused(model->key, (void *)p) != NMERR_INVALID_PARAMETER,
			   "a bad pointer was not refused");
	} else {
		DIFFERS_IF(!is_bad(model->key, &model->heard, p, NMERR_INVALID_PARAMETER,
				   any_size(model)), "a bad pointer was not refused or heard");
	}
	return NULL;
}

static size_t live_blocks(const struct model *model, struct block *blocks)
{
	size_t i, count = 0;

	for (i = 0; i < SLOTS; i++)
		if (model->blocks[i].at)
			blocks[count++] = model->blocks[i];
	return count;
}

/* Does a walk visit all of our blocks, and no other if there are none? */
static const char *step_walk(struct model *model)
{
	struct block own[SLOTS], *all = calloc(8 * SLOTS, sizeof(*all)), *found;
	struct visited visited = { .blocks = all, .room = 8 * SLOTS };
	size_t count = live_blocks(model, own), i;
	const char *differs = NULL;

	if (expertmem_walk(model->key, visit, &visited) || !disjoint(all, visited.count))
		differs = "a walk visited what is not there";
	if (!model->mailbox && visited.count != count)
		differs = "a walk visited more or less than there is";
	for (i = 0; i < count && !differs; i++) {
		found = bsearch(&own[i], all, visited.count, sizeof(*all), by_address);
		if (!found || found->size != own[i].size)
			differs = "a walk did not visit a live block";
	}
	free(all);
	return differs;
}

static const char *step_trim(struct model *model)
{
	uint64_t before = stats_of(model->key).committed, bytes = ~0ULL, after;

	DIFFERS_IF(expertmem_trim(model->key, below(model, 4) ? &bytes : NULL), "trim failed");
	after = stats_of(model->key).committed;
	DIFFERS_IF(!model->mailbox && after > before, "trim took memory");
	DIFFERS_IF(!model->mailbox && bytes != ~0ULL && bytes != before - after,
		   "trim gave back another number of bytes than it said");
	return NULL;
}

/* Give a block to whoever looks there next, and take what lies there. */
static const char *step_pass(struct model *model, struct block *block)
{
	struct block *parcel = malloc(sizeof(*parcel));
	struct block **place = &model->mailbox->parcels[below(model,
					COUNT_OF(model->mailbox->parcels))];

	*parcel = *block;
	leave(model, block);
	parcel = __atomic_exchange_n(place, parcel, __ATOMIC_ACQ_REL);
	if (!parcel)
		return NULL;
	*block = *parcel;
	free(parcel);
	model->count++;
	model->bytes += block->size;
	DIFFERS_IF(!intact(model->key, block), "a block changed on its way");
	return NULL;
}

static const char *step_any(struct model *model)
{
	struct block *block = &model->blocks[below(model, SLOTS)];
	struct expertmem_heap_stats stats;
	const char *differs;

	if (!below(model, 400))
		differs = step_walk(model);
	else if (!below(model, 400))
		differs = step_trim(model);
	else if (!block->at)
		differs = step_alloc(model, block);
	else if (!intact(model->key, block))
		differs = "a block changed";
	else if (!below(model, 6))
		differs = step_bad(model, block);
	else if (model->mailbox && !below(model, 4))
		differs = step_pass(model, block);
	else if (below(model, 2))
		differs = step_realloc(model, block);
	else
		differs = step_free(model, block);
	if (differs || model->mailbox)
		return differs;
	DIFFERS_IF(model->heard.count, "something was heard of a good call");
	stats = stats_of(model->key);
	DIFFERS_IF(stats.live_blocks != model->count, "live_blocks");
	DIFFERS_IF(stats.live_bytes != model->bytes, "live_bytes");
	DIFFERS_IF(stats.peak_blocks < model->bytes, "peak_blocks");
	DIFFERS_IF(stats.peak < stats.committed, "peak");
	DIFFERS_IF(stats.committed < model->bytes, "committed");
	DIFFERS_IF(model->limit && stats.committed > model->limit, "limit");
	return NULL;
}

static const char *steps(struct model *model, uint64_t count)
{
	const char *differs = NULL;

	while (count-- && !differs)
		differs = step_any(model);
	return differs;
}

/* An expert's whole life: options, calls, perhaps an end with and perhaps one without care. */
static const char *life(struct model *model, enum expertmem_backend backend, uint64_t count)
{
	static const unsigned int flags[8] = {
		0, 0, 0, 0, EXPERTMEM_NO_HUGE, EXPERTMEM_NO_HUGE, EXPERTMEM_POPULATE,
	};
	const char *differs;
	size_t i;

	*model = (struct model){ .random = model->random };
	model->limit = below(model, 3) ? 0 : (2 + below(model, 60)) * MIB;
	model->key = open_expert(backend, model->limit, flags[below(model, COUNT_OF(flags))]);
	DIFFERS_IF(!model->key, "no expert");
	expertmem_listen(model->key, hear, &model->heard);
	differs = steps(model, count);
	if (!differs && below(model, 2)) {
		model->terminating = true;
		expertmem_terminate(model->key);
		differs = steps(model, SLOTS);
	}
	for (i = below(model, 2) * SLOTS; i < SLOTS && !differs; i++)
		if (model->blocks[i].at)
			differs = step_free(model, &model->blocks[i]);
	DIFFERS_IF(expertmem_close(model->key), "no close");
	return differs;
}

TEST_F(expert, random_calls_do_what_the_model_does)
{
	uint64_t seed = from_environment("MODEL_SEED", SEED);
	uint64_t left = from_environment("MODEL_STEPS", STEPS), count;
	static struct model model;

	model.random = seed | 1;
	while (left) {
		const char *differs;

		count = 1 + below(&model, 6000);
		count = count < left ? count : left;
		differs = life(&model, variant->backend, count);
		ASSERT_EQ(NULL, differs) {
			TH_LOG("MODEL_SEED=%llu MODEL_STEPS=%llu: %s", (unsigned long long)seed,
			       (unsigned long long)from_environment("MODEL_STEPS", STEPS),
			       differs);
		}
		left -= count;
	}
}

static void *thread_steps(void *arg)
{
	return (void *)steps(arg, from_environment("MODEL_STEPS", STEPS) / 16);
}

#define THREADS	4

/*
 * Each round other threads go on with what is there, so that blocks are also freed when
 * whoever made them has ended.
 */
TEST_F(expert, threads_that_pass_blocks_around_do_what_their_models_do)
{
	static struct block live[THREADS * SLOTS + 32];
	uint64_t seed = from_environment("MODEL_SEED", SEED);
	static struct model models[THREADS];
	static struct mailbox mailbox;
	size_t round, i, count;
	void *differs;

	for (i = 0; i < THREADS; i++) {
		models[i].key = self->key;
		models[i].random = (seed + i) | 1;
		models[i].mailbox = &mailbox;
	}
	for (round = 0; round < 4; round++) {
		for (i = 0; i < THREADS; i++)
			ASSERT_EQ(0, pthread_create(&models[i].thread, NULL, thread_steps,
						    &models[i]));
		for (i = 0; i < THREADS; i++) {
			ASSERT_EQ(0, pthread_join(models[i].thread, &differs));
			EXPECT_EQ(NULL, differs) {
				TH_LOG("MODEL_SEED=%llu MODEL_STEPS=%llu: %s",
				       (unsigned long long)seed, (unsigned long long)
				       from_environment("MODEL_STEPS", STEPS),
				       (const char *)differs);
			}
		}
		for (i = count = 0; i < THREADS; i++)
			count += live_blocks(&models[i], live + count);
		for (i = 0; i < COUNT_OF(mailbox.parcels); i++)
			if (mailbox.parcels[i])
				live[count++] = *mailbox.parcels[i];
		ASSERT_TRUE(are_all(self->key, live, count));
		for (i = 0; i < count; i++)
			ASSERT_TRUE(intact(self->key, &live[i]));
	}
	for (i = 0; i < count; i++)
		ASSERT_EQ(NMERR_SUCCESS, ExpertFreeMemory(self->key, live[i].at));
	EXPECT_TRUE(are_all(self->key, live, 0));
}

TEST_HARNESS_MAIN
