// SPDX-License-Identifier: LGPL-2.1-or-later
/* Counts of live blocks and bytes, and their peak. Hosts read them from other processes. */
#include "internal.h"

/* The bytes that all threads have. Never more than there were at some moment. */
int64_t em_live_bytes(const struct em_shared *shared, unsigned int *threads)
{
	unsigned int n = em_read_once(&shared->nr_counts), i;
	int64_t bytes = 0;

	*threads = 0;
	for (i = 0; i < n && i < EM_THREADS; i++) {
		const struct em_count *count = &shared->counts[i];
		int64_t mark = em_load_acquire(&count->peak_mark);
		int64_t left = em_read_once(&count->credit);

		bytes += mark - left;
		*threads += mark != left;
	}
	return bytes;
}

/**
 * em_note_peak() - more bytes are live than this thread has seen
 * @expert: the expert
 * @tcache: of the calling thread
 *
 * The peak of one thread is exact. With more of them each may be 4 KiB above its mark
 * before the sum is looked at.
 */
void em_note_peak(struct em_expert *expert, struct em_tcache *tcache)
{
	struct em_shared *shared = expert->shared;
	uint64_t peak = em_read_once(&shared->peak_blocks);
	struct em_count *count = tcache->count;
	int64_t bytes, slack = 0;
	unsigned int threads;

	bytes = em_live_bytes(shared, &threads);
	if (threads > 1)
		slack = 4096;
	while (bytes > (int64_t)peak &&
	       !em_try_cmpxchg_relaxed(&shared->peak_blocks, &peak, bytes))
		;
	if (bytes < (int64_t)peak && threads)
		slack += ((int64_t)peak - bytes) / threads;
	/* Who reads in between finds too little, not too much. */
	bytes = count->peak_mark - count->credit;
	em_write_once(&count->credit, slack);
	em_store_release(&count->peak_mark, bytes + slack);
}
