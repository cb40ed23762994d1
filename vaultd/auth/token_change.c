
#include "lib/token_text.h"
#include "vaultd/auth/held.h"
#include "vaultd/auth/lease.h"
#include "vaultd/auth/token_record.h"
#include "vaultd/auth/tokens.h"

static void child_key(const unsigned char parent[32], const unsigned char child[32],
                      unsigned char key[TOKEN_CHILD_KEY])
{
    key[0] = TABLE_CHILD;
    memcpy(key + 1, parent, 32);
    memcpy(key + 33, child, 16);
}

static void due_key(int64_t ms, const unsigned char hash[32], unsigned char key[TOKEN_DUE_KEY])
{
    key[0] = TABLE_TOKEN_DUE;
    kt_put_be64(key + 1, (uint64_t)ms);
    memcpy(key + 9, hash, 16);
}

bool token_leaves_traces(struct snapshot *snapshot, const unsigned char hash[32])
{
    unsigned char key[1 + JOB_ID];
    job_key(hash, key);
    struct entry entry;
    return snapshot_get(snapshot, kt_bytes(key, sizeof key), &entry) != STORE_NOT_FOUND;
}

static enum kt_kind put_record(struct core *core, struct batch *batch, const struct token *token,
                               struct kt_err *err)
{
    kt_autobuf struct kt_buf record;
    kt_buf_init(&record, TOKEN_RECORD_MAX);
    token_record_write(token, &record);
    if (record.full)
        return kt_fail(err, KT_INVALID, "the token's policies and metadata are too large");
    if (!kt_buf_ok(&record))
        return kt_fail(err, KT_NO_MEMORY, "writing a token");
    unsigned char key[BARRIER_HASH_KEY];
    token_key(token->hash, key);
    return barrier_put(core->barrier, batch, kt_bytes(key, sizeof key), kt_buf_bytes(&record), err);
}

/* Index rows hold the whole hash; the key holds only a part. */
static enum kt_kind put_hash(struct core *core, struct batch *batch, struct kt_bytes key,
                             const unsigned char hash[32], struct kt_err *err)
{
    return barrier_put(core->barrier, batch, key, kt_bytes(hash, 32), err);
}

static enum kt_kind put_due(struct core *core, struct batch *batch, const struct token *token,
                            struct kt_err *err)
{
    if (token->expires_ms == 0)
        return KT_OK;
    unsigned char key[TOKEN_DUE_KEY];
    due_key(token->expires_ms, token->hash, key);
    return put_hash(core, batch, kt_bytes(key, sizeof key), token->hash, err);
}

static enum kt_kind make_text(struct kt_bytes text, struct kt_buf *ret_text, struct kt_err *err)
{
    if (text.len > 0) {
        kt_buf_add_bytes(ret_text, text);
    } else {
        kt_token_make(ret_text);
    }
    return kt_buf_ok(ret_text) ? KT_OK : kt_fail(err, KT_NO_MEMORY, "making a token");
}

enum kt_kind token_create(struct core *core, struct kt_arena *arena, struct batch *batch,
                          struct token *token, struct kt_bytes text, struct kt_buf *ret_text,
                          struct kt_err *err)
{
    size_t start = ret_text->len;
    enum kt_kind kind = make_text(text, ret_text, err);
    if (kind != KT_OK)
        return kind;
    struct kt_bytes made = kt_bytes(ret_text->at + start, ret_text->len - start);
    unsigned char key[BARRIER_HASH_KEY];
    barrier_hash_key(core->barrier, TABLE_TOKEN, made, key);
    memcpy(token->hash, key + 1, sizeof token->hash);
    char accessor[KT_ACCESSOR_CHARS + 1];
    kt_accessor_make(accessor);
    token->accessor = kt_arena_text(arena, kt_str(accessor));
    if (token->accessor == NULL)
        return kt_fail(err, KT_NO_MEMORY, "making a token");

    /* A token of an old one's text must not find the old one's cubbyhole. */
    unsigned char job[1 + JOB_ID];
    job_key(token->hash, job);
    batch_require(batch, KEY_ABSENT, kt_bytes(job, sizeof job), 0);
    batch_require(batch, KEY_ABSENT, kt_bytes(key, sizeof key), 0);
    kind = put_record(core, batch, token, err);
    if (kind == KT_OK)
        kind = put_due(core, batch, token, err);
    if (kind == KT_OK && (token->has_parent || token->logged_in)) {
        unsigned char child[TOKEN_CHILD_KEY];
        child_key(token->parent, token->hash, child);
        kind = put_hash(core, batch, kt_bytes(child, sizeof child), token->hash, err);
    }
    if (kind == KT_OK)
        kind = lease_put(core, batch, token, err);
    if (kind != KT_OK)
        return kind;
    barrier_hash_key(core->barrier, TABLE_ACCESSOR, kt_str(accessor), key);
    return put_hash(core, batch, kt_bytes(key, sizeof key), token->hash, err);
}

enum kt_kind token_create_root(struct core *core, struct kt_arena *arena, struct batch *batch,
                               struct kt_buf *ret_text, struct kt_err *err)
{
    static const char *const policies[] = {"root"};
    struct token root = {.display_name = "root",
                         .entity_id = "",
                         .path = "auth/token/root",
                         .policies = policies,
                         .n_policies = 1,
                         .meta = kt_str("null"),
                         .created_ms = kt_wall_ms(core->clock),
                         .is_root = true};
    return token_create(core, arena, batch, &root, kt_bytes(NULL, 0), ret_text, err);
}

enum kt_kind token_update(struct core *core, struct batch *batch, const struct token *old,
                          const struct token *new_, struct kt_err *err)
{
    unsigned char key[BARRIER_HASH_KEY];
    token_key(old->hash, key);
    batch_require(batch, KEY_CHANGED_AT, kt_bytes(key, sizeof key), old->changed);
    if (old->expires_ms != new_->expires_ms) {
        if (old->expires_ms != 0) {
            unsigned char due[TOKEN_DUE_KEY];
            due_key(old->expires_ms, old->hash, due);
            batch_delete(batch, kt_bytes(due, sizeof due));
        }
        enum kt_kind kind = put_due(core, batch, new_, err);
        if (kind != KT_OK)
            return kind;
    }
    return put_record(core, batch, new_, err);
}

/* What hangs from an ended token is more than one batch may hold: a job ends it bit by bit. */
enum kt_kind token_end(struct core *core, struct batch *batch, const struct token *token,
                       bool keep_children, struct kt_err *err)
{
    unsigned char key[BARRIER_HASH_KEY], due[TOKEN_DUE_KEY], child[TOKEN_CHILD_KEY];
    token_key(token->hash, key);
    batch_relief(batch);
    batch_require(batch, KEY_CHANGED_AT, kt_bytes(key, sizeof key), token->changed);
    if (token->expires_ms != 0) {
        due_key(token->expires_ms, token->hash, due);
        batch_delete(batch, kt_bytes(due, sizeof due));
    }
    static const unsigned char none[32];
    if (memcmp(token->parent, none, sizeof none) == 0) {
        /* nothing tells of it */
    } else if (token->wraps) {
        held_delete(batch, token->parent, token->hash);
    } else {
        child_key(token->parent, token->hash, child);
        batch_delete(batch, kt_bytes(child, sizeof child));
    }
    enum kt_kind kind = lease_delete(core, batch, token, err);
    if (kind != KT_OK)
        return kind;
    if (keep_children && !token->wraps) {
        struct token ghost = *token;
        ghost.revoked = true;
        ghost.expires_ms = 0;
        kind = put_record(core, batch, &ghost, err);
    } else {
        batch_delete(batch, kt_bytes(key, sizeof key));
    }
    barrier_hash_key(core->barrier, TABLE_ACCESSOR, kt_str(token->accessor), key);
    batch_delete(batch, kt_bytes(key, sizeof key));
    if (kind != KT_OK)
        return kind;
    if (token->wraps) { /* nothing else hangs from it: one use makes neither children nor a cubbyhole */
        wrapped_key(token->hash, key);
        batch_delete(batch, kt_bytes(key, sizeof key));
        return KT_OK;
    }
    return job_put(core, batch, JOB_TOKEN, token->hash, kt_bytes(token->hash, 32), err);
}
