/* vaultd/auth/tokens.h - what the token store's files share; nobody else includes it.
 *
 * Keys: token = TABLE_TOKEN ‖ hash32; child = TABLE_CHILD ‖ parent32 ‖ child16 (value: child32);
 * due = TABLE_TOKEN_DUE ‖ u64be ms ‖ hash16 (value: hash32); JOB_TOKEN's
 * id is hash16, its subject hash32: a token has ended whose children and cubbyhole are still there. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "vaultd/auth/token.h"
#include "vaultd/core/jobs.h"

struct tokens {
    pthread_key_t cache;
    atomic_uint_fast64_t last_change; /* newest fold that touched a token's record */
};

#define TOKEN_CHILD_KEY 49u
/* A token has ended, and what hung from it is not gone yet. */
bool token_leaves_traces(struct snapshot *snapshot, const unsigned char hash[32]);
void token_key(const unsigned char hash[32], unsigned char key[BARRIER_HASH_KEY]);
/* Of the answer that waits with a wrapping token. */
void wrapped_key(const unsigned char hash[32], unsigned char key[BARRIER_HASH_KEY]);
/* The record alone, dead or alive. KT_NOT_FOUND. Same lifetime as token_find(). */
enum kt_kind token_load(struct core *core, struct snapshot *snapshot,
                        const unsigned char hash[32], const struct token **ret,
                        struct kt_err *err) KT_MUST_CHECK;
