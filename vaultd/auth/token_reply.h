/* vaultd/auth/token_reply.h - how a token is shown: "auth" of an answer, "data" of a look-up. */
#pragma once

#include "vaultd/auth/token.h"

/* Fills req->reply.auth. text empty: client_token is "". */
void token_reply_auth(struct request *req, const struct token *token, struct kt_bytes text,
                      int64_t lease_s);
/* Fills req->reply.data; id is the token's text or "". */
void token_reply_lookup(struct request *req, const struct token *token, struct kt_bytes id);
