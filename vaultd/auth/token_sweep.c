#include "lib/cleanup.h"
#include "vaultd/auth/tokens.h"
#include "vaultd/engine/cubbyhole.h"

#define STEP 20u  /* rows a batch looks at: each ends in at most five operations */

struct work {
    int64_t now_ms;
    bool any, more;
};

typedef enum kt_kind row_fn(struct request *req, const struct entry *row,
                            const unsigned char hash[32], struct work *work, struct kt_err *err);

/* Calls fn for up to STEP rows of an index whose values are sealed token hashes. */
static enum kt_kind each_row(struct request *req, struct kt_bytes prefix, row_fn *fn,
                             struct work *work, struct kt_err *err)
{
    struct cursor *cursor = NULL;
    if (cursor_open(req->snapshot, prefix, kt_bytes(NULL, 0), &cursor) != STORE_OK)
        return kt_fail(err, KT_IO, "reading the token indexes");
    enum kt_kind kind = KT_OK;
    struct entry row;
    unsigned count = 0;
    while (kind == KT_OK && count < STEP && cursor_next(cursor, &row) == STORE_OK) {
        kt_autobuf struct kt_buf hash;
        kt_buf_init(&hash, 64);
        kind = barrier_open_entry(req->core->barrier, row.key, row.value, &hash, err);
        if (kind == KT_OK && hash.len == 32)
            kind = fn(req, &row, hash.at, work, err);
        if (kind == KT_GONE) {  /* the rest of the index is not due yet */
            kind = KT_OK;
            break;
        }
        count++;
    }
    cursor_close(cursor);
    if (count == STEP)
        work->more = true;
    return kind;
}

static enum kt_kind end_due(struct request *req, const struct entry *row,
                            const unsigned char hash[32], struct work *work, struct kt_err *err)
{
    if ((int64_t)kt_get_be64(row->key.at + 1) > work->now_ms)
        return KT_GONE;
    work->any = true;
    struct batch *batch = request_batch(req);
    if (batch == NULL)
        return kt_fail(err, KT_NO_MEMORY, "tidying tokens");
    const struct token *token = NULL;
    enum kt_kind kind = token_load(req->core, req->snapshot, hash, &token, err);
    if (kind == KT_OK && token->expires_ms != 0 && token->expires_ms <= work->now_ms)
        return token_end(req->core, req->snapshot, batch, token, false, err);
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    batch_delete(batch, row->key);  /* left over from a renewal that moved it */
    return KT_OK;
}

static enum kt_kind end_child(struct request *req, const struct entry *row,
                              const unsigned char hash[32], struct work *work, struct kt_err *err)
{
    work->any = true;
    struct batch *batch = request_batch(req);
    if (batch == NULL)
        return kt_fail(err, KT_NO_MEMORY, "tidying tokens");
    const struct token *token = NULL;
    enum kt_kind kind = token_load(req->core, req->snapshot, hash, &token, err);
    if (kind == KT_OK)
        return token_end(req->core, req->snapshot, batch, token, false, err);
    if (kind == KT_NOT_FOUND)
        batch_delete(batch, row->key);
    return kind == KT_NOT_FOUND ? KT_OK : kind;
}

/* A cubbyhole's rows all begin with folders' prefixes under its token's scope; what a folder holds
 * is found through the folder, so the whole tree goes level by level. */
static enum kt_kind clear_cubby(struct request *req, const unsigned char hash[32],
                                struct work *work, struct kt_err *err)
{
    return cubbyhole_clear(req, hash, STEP, &work->any, &work->more, err);
}

/* One job row: children first, then the cubbyhole, then the row (and the ghost) itself. */
static enum kt_kind do_job(struct request *req, const struct entry *row,
                           const unsigned char hash[32], struct work *work, struct kt_err *err)
{
    struct batch *batch = request_batch(req);
    if (batch == NULL)
        return kt_fail(err, KT_NO_MEMORY, "tidying tokens");
    work->any = true;
    const struct token *token = NULL;
    enum kt_kind kind = token_load(req->core, req->snapshot, hash, &token, err);
    bool ghost = kind == KT_OK && token->revoked;
    struct work children = {.now_ms = work->now_ms};
    unsigned char prefix[33] = {TABLE_CHILD};
    memcpy(prefix + 1, hash, 32);
    if (!ghost)
        kind = each_row(req, kt_bytes(prefix, sizeof prefix), end_child, &children, err);
    if (kind == KT_OK)
        kind = clear_cubby(req, hash, &children, err);
    if (kind != KT_OK)
        return kind;
    if (children.more || (children.any && batch_ops(batch) > 0)) {
        work->more = true;
        return KT_GONE;  /* one job a batch */
    }
    batch_delete(batch, row->key);
    return KT_GONE;
}

static enum kt_kind sweep_step(struct request *req, struct kt_err *err)
{
    struct work *work = req->handler_data;
    work->any = work->more = false;
    const unsigned char due[1] = {TABLE_TOKEN_DUE}, jobs[1] = {TABLE_JOB};
    enum kt_kind kind = each_row(req, kt_bytes(due, 1), end_due, work, err);
    if (kind == KT_OK && !work->any)
        kind = each_row(req, kt_bytes(jobs, 1), do_job, work, err);
    return kind;
}

/* A look without a request: nothing due means nothing to record. */
static bool anything_due(struct core *core, int64_t now_ms)
{
    struct snapshot *snapshot = NULL;
    if (snapshot_begin(core->store, &snapshot) != STORE_OK)
        return false;
    bool due = false;
    const unsigned char prefixes[2] = {TABLE_TOKEN_DUE, TABLE_JOB};
    for (int i = 0; i < 2 && !due; i++) {
        struct cursor *cursor = NULL;
        struct entry row;
        if (cursor_open(snapshot, kt_bytes(&prefixes[i], 1), kt_bytes(NULL, 0), &cursor) !=
            STORE_OK)
            continue;
        if (cursor_next(cursor, &row) == STORE_OK)
            due = prefixes[i] == TABLE_JOB || (int64_t)kt_get_be64(row.key.at + 1) <= now_ms;
        cursor_close(cursor);
    }
    snapshot_end(snapshot);
    return due;
}

enum kt_kind token_sweep(struct core *core, bool *ret_more, struct kt_err *err)
{
    struct work work = {.now_ms = kt_wall_ms(core->clock)};
    *ret_more = false;
    if (!anything_due(core, work.now_ms))
        return KT_OK;
    enum kt_kind kind = request_internal(core, "sys/token-sweep", sweep_step, &work, err);
    *ret_more = kind == KT_OK && (work.more || work.any);
    return kind;
}
