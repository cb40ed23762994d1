/* vaultd/auth/token_tree.h - all live tokens in one answer: auth/token/accessors, and auth/token/tree, which
 * token ends with which.
 *
 * What:    The accessor of each; in the tree its parent's, too: what ends when a token is revoked. Whoever may
 *          list all accessors may ask for it, nobody else: who knows a token's parent by its accessor may be
 *          able to revoke that.
 * Limits:  TOKEN_LIST_MAX; more is a warning. Where more than TOKENS_HERE are to be opened, living or over, the
 *          request goes aside.
 * Threads: any thread with the barrier entered. */
#pragma once

#include "vaultd/core/request.h"

#define TOKEN_LIST_MAX 10000u
#define TOKENS_HERE    500u

enum kt_kind token_accessors(struct request *req, struct kt_err *err) KT_MUST_CHECK;
enum kt_kind token_tree(struct request *req, struct kt_err *err) KT_MUST_CHECK;
