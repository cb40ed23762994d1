#include "vaultd/auth/token_tree.h"

#include <stdio.h>

#include "vaultd/auth/token.h"
#include "vaultd/core/rows.h"

#define ACCESSOR_TEXT 128u
#define TOKENS_HERE 500u /* more are opened where they hold up nobody */

static void write_token(struct kt_jsonw *w, const struct token *token, const char *parent,
                        int64_t now_ms)
{
    kt_jsonw_object(w);
    kt_jsonw_kv_text(w, "accessor", token->accessor);
    kt_jsonw_kv_text(w, "display_name", token->display_name);
    kt_jsonw_key(w, "parent");
    if (parent[0] == '\0')
        kt_jsonw_null(w);
    else
        kt_jsonw_text(w, parent);
    kt_jsonw_kv_text(w, "path", token->path);
    kt_jsonw_key(w, "policies");
    kt_jsonw_array(w);
    for (size_t i = 0; i < token->n_policies; i++)
        kt_jsonw_text(w, token->policies[i]);
    kt_jsonw_end(w);
    kt_jsonw_kv_int(w, "ttl", token->expires_ms == 0 ? 0 : (token->expires_ms - now_ms) / 1000);
    kt_jsonw_end(w);
}

/* The accessor of the token's parent, "" of an orphan's; a text of the caller's, for a token that was found
 * lives only until the next one is looked for. KT_DENIED: either is over. */
static enum kt_kind find_parent(struct request *req, const unsigned char hash[32],
                                char accessor[ACCESSOR_TEXT], struct kt_err *err)
{
    const struct token *token = NULL;
    unsigned char parent[32];
    accessor[0] = '\0';
    enum kt_kind kind = token_find_hash(req->core, req->snapshot, hash, req->life_ms, &token, err);
    if (kind != KT_OK || !token->has_parent)
        return kind;
    memcpy(parent, token->parent, sizeof parent);
    kind = token_find_hash(req->core, req->snapshot, parent, req->life_ms, &token, err);
    if (kind == KT_OK)
        (void)snprintf(accessor, ACCESSOR_TEXT, "%s", token->accessor);
    return kind;
}

/* *ret_written: it is alive. */
static enum kt_kind add(struct request *req, struct kt_jsonw *w, const unsigned char hash[32],
                        bool *ret_written, struct kt_err *err)
{
    const struct token *token = NULL;
    char parent[ACCESSOR_TEXT];
    *ret_written = false;
    enum kt_kind kind = find_parent(req, hash, parent, err);
    if (kind == KT_OK)
        kind = token_find_hash(req->core, req->snapshot, hash, req->life_ms, &token, err);
    if (kind == KT_DENIED)
        kt_err_clear(err);
    if (kind != KT_OK)
        return kind == KT_DENIED ? KT_OK : kind;
    write_token(w, token, parent, req->life_ms);
    *ret_written = true;
    return KT_OK;
}

/* *ret_n: how many there are; one more than `most` when they are more. */
static enum kt_kind read_tokens(struct request *req, unsigned most, unsigned *ret_n, struct kt_err *err)
{
    const unsigned char prefix[1] = {TABLE_TOKEN};
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    struct rows rows;
    enum kt_kind kind = KT_OK;
    unsigned n = 0;
    kt_jsonw_object(&w);
    kt_jsonw_key(&w, "tokens");
    kt_jsonw_array(&w);
    rows_begin(&rows, req, kt_bytes(prefix, 1), kt_bytes(NULL, 0), "reading the tokens");
    while (kind == KT_OK && n <= most && rows_next(&rows)) {
        bool written = n == most; /* one more than there is room for */
        if (rows.entry.key.len != BARRIER_HASH_KEY)
            continue;
        if (!written)
            kind = add(req, &w, rows.entry.key.at + 1, &written, err);
        n += written;
    }
    kind = rows_end(&rows, kind, err);
    kt_jsonw_end(&w);
    kt_jsonw_end(&w);
    *ret_n = n;
    return kind;
}

enum kt_kind token_tree(struct request *req, struct kt_err *err)
{
    unsigned n = 0;
    enum kt_kind kind = read_tokens(req, TOKENS_HERE, &n, err);
    if (kind == KT_OK && n > TOKENS_HERE) {
        kt_buf_reset(&req->reply.data);
        if (request_aside(req))
            return KT_OK;
        kind = read_tokens(req, TOKEN_TREE_MAX, &n, err);
    }
    if (kind == KT_OK && n > TOKEN_TREE_MAX)
        request_warn(req, "only the first %u tokens are here", TOKEN_TREE_MAX);
    return kind;
}
