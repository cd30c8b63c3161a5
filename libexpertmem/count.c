// SPDX-License-Identifier: LGPL-2.1-or-later
/* Counts of live blocks and bytes, and their peak. Hosts read them from other processes. */
#include "internal.h"

/*
 * The sum of the live bytes of all tcaches; @threads receives how many of them are not 0. The
 * counts are read one after the other while threads go on counting. So the sum can be above or
 * below the bytes that were live at any one moment, by what was allocated and freed meanwhile.
 */
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
 * em_note_peak() - raise the peak if the live bytes of all tcaches are above it
 * @expert: the expert
 * @tcache: the calling thread's tcache, whose credit is used up
 *
 * Sets a new credit: the bytes that this thread can allocate before the sum has to be computed
 * again. A free adds to the credit of its thread. With one thread the peak is exact. With more, the
 * peak can be too low, because each thread gets 4 KiB of extra credit, and because a thread that
 * freed bytes can allocate as many again without a look at the others. It can be too high, because
 * em_live_bytes() can be.
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
	/*
	 * em_live_bytes() loads the mark first: between these stores it finds too few bytes, not
	 * too many.
	 */
	bytes = count->peak_mark - count->credit;
	em_write_once(&count->credit, slack);
	em_store_release(&count->peak_mark, bytes + slack);
}
