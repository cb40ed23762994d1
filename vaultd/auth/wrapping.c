#include "vaultd/auth/wrapping.h"

#include <sodium.h>

#include "vaultd/auth/held.h"
#include "vaultd/auth/tokens.h"

#define LABEL    "kt/wrap/1"
#define TEXT_MAX 256u

void wrapped_key(const unsigned char hash[32], unsigned char key[BARRIER_HASH_KEY])
{
    key[0] = TABLE_WRAPPED;
    memcpy(key + 1, hash, 32);
}

static enum kt_kind refused(struct kt_err *err)
{
    (void)kt_fail(err, KT_INVALID, "wrapping token is not valid or does not exist");
    kt_hint(err, "it is over, or was used: if by nobody who should have, the audit log has who it was, "
                 "under the token's hash (sys/audit-hash)");
    return KT_INVALID;
}

/* ---- finding ---- */

enum kt_kind wrapping_find(struct request *req, int64_t now_ms, struct wrapping *ret,
                           struct kt_err *err)
{
    const char *named = "";
    enum kt_kind kind = request_string(req, "token", &named, err);
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    ret->text = named[0] != '\0' ? kt_str(named) : req->token_text;
    ret->token = NULL;
    kind = token_find(req->core, req->snapshot, ret->text, now_ms, &ret->token, err);
    if (kind == KT_DENIED || (kind == KT_OK && !ret->token->wraps))
        return refused(err);
    return kind;
}

static enum kt_kind open_record(struct request *req, const struct wrapping *wrapping,
                                struct kt_bytes key, struct kt_bytes sealed, struct wrapped *ret,
                                struct kt_err *err)
{
    unsigned char secret[KT_AEAD_KEY];
    kt_autobuf struct kt_buf plain;
    kt_buf_init(&plain, STORE_VALUE_MAX);
    struct wrapped found;
    barrier_derive(req->core->barrier, LABEL, wrapping->text, secret);
    enum kt_kind kind = wrapped_record_open(secret, key, sealed, &plain, &found, err);
    sodium_memzero(secret, sizeof secret);
    if (kind != KT_OK)
        return kind;
    struct kt_bytes *const parts[] = {&found.creation_path, &found.accessor, &found.content_type,
                                      &found.body};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        const char *copy = kt_arena_text(&req->arena, *parts[i]);
        if (copy == NULL)
            return kt_fail(err, KT_NO_MEMORY, "unwrapping an answer");
        *parts[i] = kt_bytes(copy, parts[i]->len);
    }
    *ret = found;
    return KT_OK;
}

enum kt_kind wrapping_open(struct request *req, const struct wrapping *wrapping,
                           struct wrapped *ret, struct kt_err *err)
{
    unsigned char key[BARRIER_HASH_KEY];
    wrapped_key(wrapping->token->hash, key);
    struct entry entry;
    enum store_error found = snapshot_get(req->snapshot, kt_bytes(key, sizeof key), &entry);
    if (found == STORE_NOT_FOUND)
        return refused(err);
    if (found != STORE_OK)
        return kt_fail(err, KT_IO, "reading a wrapped answer");
    return open_record(req, wrapping, kt_bytes(key, sizeof key), entry.value, ret, err);
}

enum kt_kind wrapping_take(struct request *req, const struct wrapping *wrapping,
                           struct wrapped *ret, struct kt_err *err)
{
    enum kt_kind kind = wrapping_open(req, wrapping, ret, err);
    size_t len = sizeof wrapping->token->hash;
    bool own = memcmp(req->token->hash, wrapping->token->hash, len) == 0;
    if (kind != KT_OK || own) /* its only use is in the batch already, which ends it */
        return kind;
    struct batch *batch = request_batch(req);
    if (batch == NULL)
        return kt_fail(err, KT_NO_MEMORY, "unwrapping an answer");
    return token_end(req->core, batch, wrapping->token, false, err);
}

/* ---- making ---- */

/* Who keeps it: the token that asked, or that whose answer is wrapped anew. */
static void keeper(const struct request *req, unsigned char ret[32])
{
    const struct token *token = req->token;
    if (token != NULL)
        memcpy(ret, token->wraps ? token->parent : token->hash, 32);
}

static enum kt_kind note_held(struct request *req, const struct token *token, size_t bytes,
                              struct kt_err *err)
{
    static const unsigned char nobody[32];
    if (memcmp(token->parent, nobody, sizeof nobody) == 0)
        return KT_OK;
    return req->token->wraps ? held_move(req, token->parent, token->hash, bytes, err)
                             : held_put(req, token->parent, token->hash, bytes, err);
}

static enum kt_kind put_record(struct request *req, const struct token *token, struct kt_bytes text,
                               const struct wrapped *wrapped, struct kt_err *err)
{
    unsigned char key[BARRIER_HASH_KEY], secret[KT_AEAD_KEY];
    kt_autobuf struct kt_buf sealed;
    kt_buf_init(&sealed, STORE_VALUE_MAX);
    wrapped_key(token->hash, key);
    barrier_derive(req->core->barrier, LABEL, text, secret);
    enum kt_kind kind = wrapped_record_seal(secret, kt_bytes(key, sizeof key), wrapped, &sealed, err);
    sodium_memzero(secret, sizeof secret);
    if (kind != KT_OK)
        return kind;
    batch_put(req->batch, kt_bytes(key, sizeof key), kt_buf_bytes(&sealed));
    return note_held(req, token, sealed.len, err);
}

/* Nothing of the answer itself stays in the reply, nor in what is recorded of it. */
static void answer_with(struct request *req, const struct audit_wrap *wrap)
{
    kt_buf_reset(&req->reply.data);
    kt_buf_reset(&req->reply.auth);
    struct kt_buf data = req->reply.data, auth = req->reply.auth;
    req->reply = (struct reply){.data = data, .auth = auth, .wrap = wrap};
}

static enum kt_kind fill(struct request *req, const struct token *token, struct kt_bytes text,
                         const struct wrapped *wrapped, struct kt_err *err)
{
    struct audit_wrap *wrap = kt_arena_take(&req->arena, sizeof *wrap);
    const char *copy = kt_arena_text(&req->arena, text);
    const char *path = kt_arena_text(&req->arena, wrapped->creation_path);
    const char *inside = kt_arena_text(&req->arena, wrapped->accessor);
    if (wrap == NULL || copy == NULL || path == NULL || inside == NULL)
        return kt_fail(err, KT_NO_MEMORY, "wrapping an answer");
    *wrap = (struct audit_wrap){.token = kt_bytes(copy, text.len),
                                .accessor = token->accessor,
                                .ttl_s = wrapped->ttl_s,
                                .created_ms = wrapped->created_ms,
                                .creation_path = path,
                                .wrapped_accessor = inside[0] == '\0' ? NULL : inside};
    answer_with(req, wrap);
    return KT_OK;
}

enum kt_kind wrapping_put(struct request *req, const struct wrapped *wrapped, struct kt_err *err)
{
    static const char *const policies[] = {"response-wrapping"};
    struct batch *batch = request_batch(req);
    if (batch == NULL)
        return kt_fail(err, KT_NO_MEMORY, "wrapping an answer");
    if (wrapped->body.len > WRAPPED_BODY_MAX) {
        (void)kt_fail(err, KT_INVALID, "the answer is larger than %zu KiB: it cannot be wrapped",
                      WRAPPED_BODY_MAX / 1024);
        kt_hint(err, "ask for less of it, or without X-Vault-Wrap-TTL");
        return KT_INVALID;
    }
    struct wrapped now = *wrapped;
    now.created_ms = req->now_ms;
    const char *path = kt_arena_text(&req->arena, wrapped->creation_path);
    if (path == NULL)
        return kt_fail(err, KT_NO_MEMORY, "wrapping an answer");
    struct token token = {.display_name = "",
                          .entity_id = "",
                          .path = path,
                          .policies = policies,
                          .n_policies = 1,
                          .meta = kt_str("null"),
                          .created_ms = req->life_ms,
                          .expires_ms = req->life_ms + now.ttl_s * 1000,
                          .creation_ttl_s = now.ttl_s,
                          .explicit_max_ttl_s = now.ttl_s,
                          .num_uses = 1,
                          .wraps = true};
    keeper(req, token.parent);
    unsigned char memory[TEXT_MAX];
    kt_autobuf struct kt_buf text;
    kt_buf_init_in(&text, TEXT_MAX, memory, sizeof memory);
    enum kt_kind kind = token_create(req->core, &req->arena, batch, &token, kt_bytes(NULL, 0), &text, err);
    if (kind == KT_OK)
        kind = put_record(req, &token, kt_buf_bytes(&text), &now, err);
    return kind == KT_OK ? fill(req, &token, kt_buf_bytes(&text), &now, err) : kind;
}
