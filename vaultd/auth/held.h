/* vaultd/auth/held.h - what one token keeps in the vault beside itself: entries of its cubbyhole, answers
 * that it had wrapped. Bounded, since every token may keep them (the policy "default").
 *
 * What:    A row for each thing, with its size; who would keep one more counts them. So things come and go
 *          without a counter that all of them would have to change. Requests at once do not see each
 *          other's things: what is under way when the bound is reached may go over it.
 * Format:  TABLE_HELD ‖ token's hash32 ‖ what16 -> u8 format 1 ‖ u32 bytes; in clear, for the store shows as
 *          much anyway. What was kept before there were such rows is not counted.
 * Limits:  core_config.token_entries and token_storage; 0: none.
 * Threads: any thread, with the barrier entered. */
#pragma once

#include "vaultd/core/jobs.h"

#define HELD_WHAT 16u
#define HELD_KEY  49u

/* Puts the row of a thing of so many bytes into the request's batch. KT_INVALID: the token keeps as much as
 * it may. One that is there already is replaced, and only what it grows is counted. */
enum kt_kind held_put(struct request *req, const unsigned char token[32],
                      const unsigned char what[HELD_WHAT], size_t bytes, struct kt_err *err) KT_MUST_CHECK;
/* The same for what takes the place of another one of the same size: nothing is counted. */
enum kt_kind held_move(struct request *req, const unsigned char token[32],
                       const unsigned char what[HELD_WHAT], size_t bytes, struct kt_err *err) KT_MUST_CHECK;
void held_delete(struct batch *batch, const unsigned char token[32], const unsigned char what[HELD_WHAT]);
/* All rows of a token that has ended, while there is room; *ret_all: none is left. */
enum kt_kind held_clear(struct job_step *step, const unsigned char token[32], bool *ret_all,
                        struct kt_err *err) KT_MUST_CHECK;
