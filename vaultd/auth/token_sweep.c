#include "vaultd/auth/leased.h"
#include "vaultd/auth/tokens.h"
#include "vaultd/engine/cubbyhole.h"

#define FREE_COSTS 3u /* of giving a child away */

typedef enum kt_kind row_fn(struct job_step *step, const struct entry *row,
                            const unsigned char hash[32], struct kt_err *err);

/* Calls fn for the rows of an index whose values are sealed token hashes, as long as there is room.
 * KT_GONE from fn: the rest is not due yet, or another step's. A row that does not open is left alone: it
 * must not keep the others from ending. *ret_all: the end was seen. */
static enum kt_kind each_row(struct job_step *step, struct kt_bytes prefix, struct kt_bytes from, row_fn *fn,
                             bool *ret_all, struct kt_err *err)
{
    struct cursor *cursor = NULL;
    if (cursor_open(step->req->snapshot, prefix, from, &cursor) != STORE_OK)
        return kt_fail(err, KT_IO, "reading the token indexes");
    enum kt_kind kind = KT_OK;
    enum store_error found = STORE_OK;
    *ret_all = false;
    while (kind == KT_OK && step->room >= TOKEN_END_COSTS) {
        struct entry row;
        found = cursor_next(cursor, &row);
        if (found != STORE_OK)
            break;
        kt_autobuf struct kt_buf hash;
        kt_buf_init(&hash, 64);
        kind = barrier_open_entry(step->req->core->barrier, row.key, row.value, &hash, err);
        if (kind == KT_OK && hash.len == 32)
            kind = fn(step, &row, hash.at, err);
        if (kind == KT_CORRUPT)
            kind = KT_OK;
    }
    cursor_close(cursor);
    if (found != STORE_OK && found != STORE_NOT_FOUND)
        return kt_fail(err, KT_IO, "reading the token indexes");
    *ret_all = found == STORE_NOT_FOUND || kind == KT_GONE;
    return kind == KT_GONE ? KT_OK : kind;
}

static void delete_row(struct job_step *step, const struct entry *row)
{
    batch_delete(step->batch, row->key);
    step->room--;
}

static enum kt_kind end_token(struct job_step *step, const struct token *token, struct kt_err *err)
{
    step->room -= TOKEN_END_COSTS;
    return token_end(step->req->core, step->batch, token, false, err);
}

static bool is_due(const struct entry *row, int64_t life_ms)
{
    return (int64_t)kt_get_be64(row->key.at + 1) <= life_ms;
}

static bool is_anothers(const struct job_step *step, const struct entry *row)
{
    return step->due_until.len == TOKEN_DUE_KEY && memcmp(row->key.at, step->due_until.at, TOKEN_DUE_KEY) >= 0;
}

static enum kt_kind end_due(struct job_step *step, const struct entry *row,
                            const unsigned char hash[32], struct kt_err *err)
{
    if (!is_due(row, step->life_ms) || is_anothers(step, row))
        return KT_GONE;
    const struct token *token = NULL;
    enum kt_kind kind = token_load(step->req->core, step->req->snapshot, hash, &token, err);
    if (kind == KT_OK && token->expires_ms != 0 && token->expires_ms <= step->life_ms)
        return end_token(step, token, err);
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    delete_row(step, row); /* left over from a renewal that moved it */
    return KT_OK;
}

enum kt_kind token_due(struct job_step *step, bool *ret_more, struct kt_err *err)
{
    const unsigned char due[1] = {TABLE_TOKEN_DUE};
    bool all = false;
    enum kt_kind kind = each_row(step, kt_bytes(due, 1), step->due_from, end_due, &all, err);
    *ret_more = !all;
    return kind;
}

bool token_any_due(struct snapshot *snapshot, int64_t life_ms)
{
    const unsigned char prefix[1] = {TABLE_TOKEN_DUE};
    struct cursor *cursor = NULL;
    struct entry row;
    if (cursor_open(snapshot, kt_bytes(prefix, 1), kt_bytes(NULL, 0), &cursor) != STORE_OK)
        return false;
    bool due = cursor_next(cursor, &row) == STORE_OK && is_due(&row, life_ms);
    cursor_close(cursor);
    return due;
}

void token_due_shares(struct snapshot *snapshot, int64_t life_ms, unsigned each,
                      unsigned char starts[][TOKEN_DUE_KEY], unsigned n)
{
    const unsigned char prefix[1] = {TABLE_TOKEN_DUE};
    memset(starts, 0xff, (size_t)n * TOKEN_DUE_KEY);
    for (unsigned i = 0; i < n; i++)
        starts[i][0] = TABLE_TOKEN_DUE;
    struct cursor *cursor = NULL;
    struct entry row;
    if (cursor_open(snapshot, kt_bytes(prefix, 1), kt_bytes(NULL, 0), &cursor) != STORE_OK)
        return;
    for (unsigned i = 0; i < n * each && cursor_next(cursor, &row) == STORE_OK && is_due(&row, life_ms); i++)
        if (i % each == 0)
            memcpy(starts[i / each], row.key.at, TOKEN_DUE_KEY);
    cursor_close(cursor);
}

/* ---- what hangs from an ended token ---- */

static enum kt_kind end_child(struct job_step *step, const struct entry *row,
                              const unsigned char hash[32], struct kt_err *err)
{
    const struct token *token = NULL;
    enum kt_kind kind = token_load(step->req->core, step->req->snapshot, hash, &token, err);
    if (kind == KT_OK)
        return end_token(step, token, err);
    if (kind != KT_NOT_FOUND)
        return kind;
    delete_row(step, row);
    return KT_OK;
}

/* The children of a token that was revoked alone become orphans, each by itself; until then they
 * are ones because their parent's record says that it was revoked. */
static enum kt_kind free_child(struct job_step *step, const struct entry *row,
                               const unsigned char hash[32], struct kt_err *err)
{
    const struct token *token = NULL;
    enum kt_kind kind = token_load(step->req->core, step->req->snapshot, hash, &token, err);
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    if (kind == KT_OK) {
        struct token orphan = *token;
        orphan.has_parent = false;
        memset(orphan.parent, 0, sizeof orphan.parent);
        kind = token_update(step->req->core, step->batch, token, &orphan, err);
        step->room -= FREE_COSTS - 1;
        if (kind != KT_OK)
            return kind;
    }
    delete_row(step, row);
    return KT_OK;
}

enum kt_kind token_way_closed(struct job_step *step, const unsigned char scope[BARRIER_SCOPE],
                              bool *ret_all, struct kt_err *err)
{
    unsigned char prefix[33] = {TABLE_CHILD};
    memcpy(prefix + 1, scope, BARRIER_SCOPE);
    return each_row(step, kt_bytes(prefix, sizeof prefix), kt_bytes(NULL, 0), end_child, ret_all, err);
}

enum kt_kind token_job(struct job_step *step, struct kt_bytes subject, struct kt_err *err)
{
    if (subject.len != 32)
        return kt_fail(err, KT_CORRUPT, "a token's job is damaged");
    struct request *req = step->req;
    const struct token *token = NULL;
    enum kt_kind kind = token_load(req->core, req->snapshot, subject.at, &token, err);
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    bool ghost = kind == KT_OK && token->revoked;
    unsigned char prefix[33] = {TABLE_CHILD};
    memcpy(prefix + 1, subject.at, 32);
    bool all = false;
    kind = each_row(step, kt_bytes(prefix, sizeof prefix), kt_bytes(NULL, 0), ghost ? free_child : end_child, &all,
                    err);
    if (kind == KT_OK && all)
        kind = cubbyhole_clear(step, subject.at, &all, err);
    if (kind == KT_OK && all)
        kind = leased_of_ended(step, subject.at, &all, err);
    if (kind != KT_OK || !all || step->room < 1)
        return kind;
    if (ghost) { /* a revoked token's record changes no more */
        unsigned char key[BARRIER_HASH_KEY];
        token_key(subject.at, key);
        batch_delete(step->batch, kt_bytes(key, sizeof key));
        step->room--;
    }
    step->done = true;
    return KT_OK;
}
