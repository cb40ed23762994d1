/* vaultd/auth/wrapping.h - answers that wait for whoever brings their wrapping token.
 *
 * What:    A wrapping token is good for one use, and only to take the answer that waits with it. The
 *          answer is sealed under a key that comes from the token's text, as cubbyholes are: without
 *          the text nobody reads it, an unsealed vault's administrator included. What ends the token
 *          (its use, its time, whoever revokes it) deletes the answer in the same commit, so of two
 *          who unwrap at once one gets it and the other hears that there is no such token.
 * Owner:   what is found lives in the request's arena; struct wrapping's token as token_find()'s.
 * Threads: any thread, inside of a request's pass.
 * Errors:  KT_INVALID with Vault's one sentence for every token that is none, is over, was used, or
 *          wraps nothing. Who asks for an answer that somebody else took finds out with that: the
 *          hint says how to find out who. */
#pragma once

#include "vaultd/auth/token.h"
#include "vaultd/auth/wrapped_record.h"

struct wrapping {
    struct kt_bytes text;
    const struct token *token;
};

/* The wrapping token that a request is about: its field "token", else the token that it came with. */
enum kt_kind wrapping_find(struct request *req, int64_t now_ms, struct wrapping *ret,
                           struct kt_err *err) KT_MUST_CHECK;
/* The answer that waits with it, into arena memory. */
enum kt_kind wrapping_open(struct request *req, const struct wrapping *wrapping,
                           struct wrapped *ret, struct kt_err *err) KT_MUST_CHECK;
/* The same, and the request's batch ends the token: only a commit gives the answer away. */
enum kt_kind wrapping_take(struct request *req, const struct wrapping *wrapping,
                           struct wrapped *ret, struct kt_err *err) KT_MUST_CHECK;
/* Puts an answer under a new wrapping token into the request's batch, and its "wrap_info" into the
 * reply instead of all that stood there. It lives for wrapped->ttl_s from now on. */
enum kt_kind wrapping_put(struct request *req, const struct wrapped *wrapped, struct kt_err *err)
    KT_MUST_CHECK;
