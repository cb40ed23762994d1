/* vaultd/auth/token_reply.h - how a token is shown: "auth" of an answer, "data" of a look-up. */
#pragma once

#include "vaultd/auth/token.h"

/* Fills req->reply.auth. text empty: client_token is "". */
enum kt_kind token_reply_auth(struct request *req, const struct token *token, struct kt_bytes text,
                              int64_t lease_s, struct kt_err *err) KT_MUST_CHECK;
/* Fills req->reply.data; id is the token's text or "". */
enum kt_kind token_reply_lookup(struct request *req, const struct token *token, struct kt_bytes id,
                                struct kt_err *err) KT_MUST_CHECK;
