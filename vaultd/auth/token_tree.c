#include "vaultd/auth/token_tree.h"

#include <stdio.h>

#include "vaultd/auth/token.h"
#include "vaultd/core/rows.h"

#define ACCESSOR_TEXT 128u

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

/* ---- all that live ---- */

/* One token into the answer; *ret_written: it is alive. */
typedef enum kt_kind write_fn(struct request *req, struct kt_jsonw *w, const unsigned char hash[32],
                              bool *ret_written, struct kt_err *err);

/* Tokens are keyed by hash, so each is opened; also those that are over and not swept yet. *ret_n: how many live,
 * one more than TOKEN_LIST_MAX when they are more. *ret_aside: it goes on elsewhere. */
static enum kt_kind walk(struct request *req, struct kt_jsonw *w, write_fn *write, unsigned *ret_n,
                         bool *ret_aside, struct kt_err *err)
{
    const unsigned char prefix[1] = {TABLE_TOKEN};
    struct rows rows;
    enum kt_kind kind = KT_OK;
    unsigned n = 0, opened = 0;
    bool aside = false;
    rows_begin(&rows, req, kt_bytes(prefix, 1), kt_bytes(NULL, 0), "reading the tokens");
    while (kind == KT_OK && !aside && n <= TOKEN_LIST_MAX && rows_next(&rows)) {
        bool written = n == TOKEN_LIST_MAX; /* one more than there is room for */
        if (rows.entry.key.len != BARRIER_HASH_KEY)
            continue;
        aside = opened++ == TOKENS_HERE && request_aside(req);
        if (!aside && !written)
            kind = write(req, w, rows.entry.key.at + 1, &written, err);
        if (kind == KT_DENIED) { /* it is over */
            kt_err_clear(err);
            kind = KT_OK;
        }
        n += written;
    }
    *ret_n = n;
    *ret_aside = aside;
    return rows_end(&rows, kind, err);
}

static enum kt_kind list(struct request *req, const char *key, const char *what, write_fn *write,
                         struct kt_err *err)
{
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    unsigned n = 0;
    bool aside = false;
    kt_jsonw_object(&w);
    kt_jsonw_key(&w, key);
    kt_jsonw_array(&w);
    enum kt_kind kind = walk(req, &w, write, &n, &aside, err);
    kt_jsonw_end(&w);
    kt_jsonw_end(&w);
    if (aside)
        kt_buf_reset(&req->reply.data);
    else if (kind == KT_OK && n > TOKEN_LIST_MAX)
        request_warn(req, "only the first %u %s", TOKEN_LIST_MAX, what);
    return kind;
}

static enum kt_kind write_in_tree(struct request *req, struct kt_jsonw *w, const unsigned char hash[32],
                                  bool *ret_written, struct kt_err *err)
{
    const struct token *token = NULL;
    char parent[ACCESSOR_TEXT];
    enum kt_kind kind = find_parent(req, hash, parent, err);
    if (kind == KT_OK)
        kind = token_find_hash(req->core, req->snapshot, hash, req->life_ms, &token, err);
    if (kind != KT_OK)
        return kind;
    write_token(w, token, parent, req->life_ms);
    *ret_written = true;
    return KT_OK;
}

enum kt_kind token_tree(struct request *req, struct kt_err *err)
{
    return list(req, "tokens", "tokens are here", write_in_tree, err);
}

static enum kt_kind write_accessor(struct request *req, struct kt_jsonw *w, const unsigned char hash[32],
                                   bool *ret_written, struct kt_err *err)
{
    const struct token *token = NULL;
    enum kt_kind kind = token_find_hash(req->core, req->snapshot, hash, req->life_ms, &token, err);
    if (kind != KT_OK)
        return kind;
    kt_jsonw_text(w, token->accessor);
    *ret_written = true;
    return KT_OK;
}

enum kt_kind token_accessors(struct request *req, struct kt_err *err)
{
    return list(req, "keys", "accessors are listed", write_accessor, err);
}
