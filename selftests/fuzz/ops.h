/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The operations, of which sequence.c has the table.
 */
#ifndef EXPERTMEM_FUZZ_OPS_H
#define EXPERTMEM_FUZZ_OPS_H

struct shadow_expert;
struct shadow_window;
struct step;

/* ioctls.c */
void op_alloc(struct step *step);
void op_realloc(struct step *step);
void op_free(struct step *step);
void op_configure(struct step *step);
void op_terminate(struct step *step);
void op_reclaim(struct step *step);
void op_stat(struct step *step);
void op_info(struct step *step);
void op_copy(struct step *step);
void op_unknown(struct step *step);

/* mappings.c */
void op_mmap(struct step *step);
void op_munmap(struct step *step);
void op_change(struct step *step);
void op_touch(struct step *step);
void op_orphan(struct step *step);
void op_advise(struct step *step);
void unmap_window(struct shadow_expert *expert, struct shadow_window *window);

/* messages.c */
void op_request(struct step *step);
void op_message(struct step *step);
void op_raw(struct step *step);

#endif /* EXPERTMEM_FUZZ_OPS_H */
