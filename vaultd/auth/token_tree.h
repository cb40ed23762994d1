/* vaultd/auth/token_tree.h - auth/token/tree: which token ends with which.
 *
 * What:    All live tokens in one answer, each with its accessor and its parent's: what ends when a token is
 *          revoked. Whoever may list all accessors may ask it, nobody else: who knows a token's parent
 *          by its accessor may be able to revoke that.
 * Limits:  TOKEN_TREE_MAX; more is a warning. A long answer goes aside.
 * Threads: any thread with the barrier entered. */
#pragma once

#include "vaultd/core/request.h"

#define TOKEN_TREE_MAX 10000u

enum kt_kind token_tree(struct request *req, struct kt_err *err) KT_MUST_CHECK;
