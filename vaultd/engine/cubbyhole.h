/* vaultd/engine/cubbyhole.h - storage private to one token, gone with it.
 *
 * Scope of its names is the token's hash; values have an inner layer whose key comes from the token's
 * text, so nobody without the text reads them, an unsealed vault's administrator included.
 * Threads: any thread with the barrier entered. */
#pragma once

#include "vaultd/core/core.h"

extern const struct engine cubbyhole_engine;

/* Deletes up to `most` entries of an ended token's cubbyhole in req's batch. *ret_any is set when
 * there were some, *ret_more when there may be more; neither is cleared. */
enum kt_kind cubbyhole_clear(struct request *req, const unsigned char token_hash[32], unsigned most,
                             bool *ret_any, bool *ret_more, struct kt_err *err) KT_MUST_CHECK;
