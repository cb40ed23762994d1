/* vaultd/engine/cubbyhole.h - storage private to one token, gone with it.
 *
 * Scope of its names is the token's hash; values have an inner layer whose key comes from the token's
 * text, so nobody without the text reads them, an unsealed vault's administrator included.
 * Threads: any thread with the barrier entered. */
#pragma once

#include "vaultd/core/core.h"

extern const struct engine cubbyhole_engine;

/* Deletes an ended token's cubbyhole as far as there is room; *ret_done: nothing is left. */
struct job_step;
enum kt_kind cubbyhole_clear(struct job_step *step, const unsigned char token_hash[32],
                             bool *ret_done, struct kt_err *err) KT_MUST_CHECK;
