#include "vaultd/core/reencrypt.h"

#include "lib/failpoint.h"
#include "vaultd/barrier/format.h"
#include "vaultd/barrier/reseal.h"
#include "vaultd/core/request.h"

#define FORMAT      1u
#define RECORD_MAX  256u
#define PATH        "sys/storage/reencrypt"

struct record {
    struct reencryption now;
    struct reseal walk;
    generation changed; /* 0: there is none */
};

const char *reencrypt_phase_text(enum reencrypt_phase phase)
{
    static const char *const texts[] = {
#define X(name, text) [name] = (text),
        REENCRYPT_PHASES(X)
#undef X
    };
    return (size_t)phase < sizeof texts / sizeof texts[0] ? texts[phase] : "";
}

/* ---- the record ---- */

static void record_key(struct core *core, unsigned char key[BARRIER_NAME_KEY])
{
    static const unsigned char no_scope[BARRIER_SCOPE];
    barrier_name_key(core->barrier, TABLE_CONFIG, no_scope, kt_str("reencrypt"), key);
}

static enum kt_kind read_record(struct kt_bytes plain, struct record *ret, struct kt_err *err)
{
    struct kt_reader r = kt_reader(plain);
    unsigned format = kt_read_u8(&r);
    if (format != FORMAT)
        return format_refuse("the state of the re-encryption", format, FORMAT, err);
    struct record record = {0};
    unsigned phase = kt_read_u8(&r);
    record.now.term = kt_read_u32(&r);
    record.now.looked_at = kt_read_u64(&r);
    record.now.rewritten = kt_read_u64(&r);
    record.now.begun_ms = kt_read_i64(&r);
    record.now.ended_ms = kt_read_i64(&r);
    struct kt_bytes at = kt_read_field(&r);
    if (!kt_reader_done(&r) || phase >= REENCRYPT_PHASE_COUNT || at.len > sizeof record.walk.at)
        return kt_fail(err, KT_CORRUPT, "the state of the re-encryption is damaged");
    record.now.phase = (enum reencrypt_phase)phase;
    record.walk.at_len = at.len;
    if (at.len != 0)
        memcpy(record.walk.at, at.at, at.len);
    *ret = record;
    return KT_OK;
}

static enum kt_kind load(struct request *req, struct record *ret, struct kt_err *err)
{
    unsigned char key[BARRIER_NAME_KEY];
    record_key(req->core, key);
    struct kt_bytes plain = {0};
    generation changed = 0;
    enum kt_kind kind = request_record(req, kt_bytes(key, sizeof key), &plain, &changed, err);
    if (kind == KT_NOT_FOUND) {
        *ret = (struct record){.now = {.phase = REENCRYPT_NONE}};
        return KT_OK;
    }
    if (kind == KT_OK)
        kind = read_record(plain, ret, err);
    if (kind == KT_OK)
        ret->changed = changed;
    return kind;
}

static enum kt_kind save(struct request *req, const struct record *record, struct batch *batch,
                         struct kt_err *err)
{
    unsigned char key[BARRIER_NAME_KEY];
    record_key(req->core, key);
    batch_require(batch, record->changed == 0 ? KEY_ABSENT : KEY_CHANGED_AT,
                  kt_bytes(key, sizeof key), record->changed);
    kt_autobuf struct kt_buf plain;
    kt_buf_init(&plain, RECORD_MAX);
    kt_buf_add_u8(&plain, FORMAT);
    kt_buf_add_u8(&plain, (uint8_t)record->now.phase);
    kt_buf_add_u32(&plain, record->now.term);
    kt_buf_add_u64(&plain, record->now.looked_at);
    kt_buf_add_u64(&plain, record->now.rewritten);
    kt_buf_add_i64(&plain, record->now.begun_ms);
    kt_buf_add_i64(&plain, record->now.ended_ms);
    kt_buf_add_field(&plain, kt_bytes(record->walk.at, record->walk.at_len));
    if (!kt_buf_ok(&plain))
        return kt_fail(err, KT_NO_MEMORY, "noting how far the re-encryption is");
    return barrier_put(req->core->barrier, batch, kt_bytes(key, sizeof key), kt_buf_bytes(&plain),
                       err);
}

enum kt_kind reencrypt_load(struct request *req, struct reencryption *ret, struct kt_err *err)
{
    struct record record;
    enum kt_kind kind = load(req, &record, err);
    if (kind == KT_OK)
        *ret = record.now;
    return kind;
}

/* ---- the beginning ---- */

static void rotated(struct request *req, const struct commit_result *result)
{
    barrier_rotate_done(req->core->barrier, req->staged, result->error == STORE_OK);
}

enum kt_kind reencrypt_begin(struct request *req, struct kt_err *err)
{
    struct record old;
    enum kt_kind kind = load(req, &old, err);
    if (kind != KT_OK)
        return kind;
    if (reencrypt_active(&old.now)) {
        (void)kt_fail(err, KT_CONFLICT, "a re-encryption is under way already");
        kt_hint(err, "see how far it is: secretctl operator reencrypt -status");
        return KT_CONFLICT;
    }
    struct batch *batch = request_batch(req);
    if (batch == NULL)
        return kt_fail(err, KT_NO_MEMORY, "beginning to re-encrypt");
    struct barrier_status status;
    barrier_status(req->core->barrier, &status);
    kind = barrier_rotate(req->core->barrier, req->now_ms, batch, &req->staged, err);
    if (kind != KT_OK)
        return kind;
    req->after_commit = rotated;
    const struct record record = {.now = {.phase = REENCRYPT_BEGUN,
                                          .term = status.term + 1,
                                          .begun_ms = req->now_ms},
                                  .changed = old.changed};
    return save(req, &record, batch, err);
}

/* ---- the pieces ---- */

unsigned reencrypt_piece(unsigned attempt)
{
    static const unsigned pieces[] = {40, 5, 1}; /* two operations each */
    const unsigned last = sizeof pieces / sizeof pieces[0] - 1;
    return pieces[attempt < last ? attempt : last];
}

/* A request's own batch that is refused for its age is made anew; a row that it queues beside it (who
 * reads a secret first: vaultd/rotation/ledger.h) is not. So those are in the store before anything is
 * refused: whoever made one with an older term holds a snapshot until it is queued, and what is queued
 * is committed before a batch that comes later. */
static enum kt_kind stay(struct request *req, struct kt_err *err)
{
    struct record record;
    enum kt_kind kind = load(req, &record, err);
    if (kind != KT_OK || record.now.phase != REENCRYPT_BEGUN)
        return kind;
    struct batch *batch = request_batch(req);
    return batch == NULL ? kt_fail(err, KT_NO_MEMORY, "re-encrypting")
                         : save(req, &record, batch, err);
}

static enum kt_kind let_older_through(struct core *core, uint32_t term, struct kt_err *err)
{
    struct barrier_status status;
    barrier_status(core->barrier, &status);
    if (status.term < term) /* its commit is known to the store alone yet */
        return kt_fail(err, KT_BUSY, "the new term is not in use yet");
    store_await_snapshots(core->store);
    return request_internal(core, PATH, stay, NULL, err);
}

/* This batch is not older than the new term, so it comes after all that are. */
static enum kt_kind shut_out(struct request *req, struct record *record, struct batch *batch,
                             struct kt_err *err)
{
    (void)batch;
    if (KT_FAILPOINT(reencrypt_begun))
        return kt_fail(err, KT_INTERNAL, "failpoint reencrypt_begun");
    store_refuse_older(req->core->store, record->now.term);
    record->now.phase = REENCRYPT_REWRITING;
    return KT_OK;
}

static enum kt_kind rewrite(struct request *req, struct record *record, struct batch *batch,
                            struct kt_err *err)
{
    enum kt_kind kind = barrier_reseal(req->core->barrier, req->snapshot, record->now.term,
                                       reencrypt_piece(req->attempt), batch, &record->walk, err);
    if (kind != KT_OK)
        return kind;
    record->now.looked_at += record->walk.looked_at;
    record->now.rewritten += record->walk.rewritten;
    if (record->walk.whole) {
        record->now.phase = REENCRYPT_DROPPING;
        record->walk.at_len = 0;
    }
    return KT_OK;
}

static void dropped(struct request *req, const struct commit_result *result)
{
    if (result->error == STORE_OK)
        (void)KT_FAILPOINT(reencrypt_dropped);
    barrier_drop_done(req->core->barrier, req->staged, result->error == STORE_OK);
}

static enum kt_kind drop(struct request *req, struct record *record, struct batch *batch,
                         struct kt_err *err)
{
    if (KT_FAILPOINT(reencrypt_rewritten))
        return kt_fail(err, KT_INTERNAL, "failpoint reencrypt_rewritten");
    enum kt_kind kind = barrier_drop_terms(req->core->barrier, record->now.term, batch, &req->staged, err);
    if (kind == KT_OK)
        req->after_commit = dropped;
    else if (kind != KT_NOT_FOUND)
        return kind;
    record->now.phase = REENCRYPT_DONE;
    record->now.ended_ms = req->now_ms;
    return KT_OK;
}

static enum kt_kind run_piece(struct request *req, struct kt_err *err)
{
    static enum kt_kind (*const steps[REENCRYPT_PHASE_COUNT])(struct request *, struct record *,
                                                             struct batch *, struct kt_err *) = {
        [REENCRYPT_BEGUN] = shut_out,
        [REENCRYPT_REWRITING] = rewrite,
        [REENCRYPT_DROPPING] = drop,
    };
    bool *more = req->handler_data;
    *more = false;
    struct record record;
    enum kt_kind kind = load(req, &record, err);
    if (kind != KT_OK || steps[record.now.phase] == NULL)
        return kind;
    struct batch *batch = request_batch(req);
    if (batch == NULL)
        return kt_fail(err, KT_NO_MEMORY, "re-encrypting");
    kind = steps[record.now.phase](req, &record, batch, err);
    if (kind == KT_OK)
        kind = save(req, &record, batch, err);
    *more = kind == KT_OK && reencrypt_active(&record.now);
    return kind;
}

/* A look without a request: nothing to do means nothing to record. */
static enum kt_kind look(struct core *core, struct reencryption *ret, struct kt_err *err)
{
    unsigned char key[BARRIER_NAME_KEY];
    struct snapshot *snapshot = NULL;
    struct record record = {.now = {.phase = REENCRYPT_NONE}};
    kt_autobuf struct kt_buf plain;
    kt_buf_init(&plain, STORE_VALUE_MAX);
    if (!barrier_enter(core->barrier))
        return kt_fail(err, KT_SEALED, "%s", kt_kind_text(KT_SEALED));
    record_key(core, key);
    enum kt_kind kind = KT_OK;
    if (snapshot_begin(core->store, &snapshot) != STORE_OK)
        kind = kt_fail(err, KT_BUSY, "the store cannot be read now");
    if (kind == KT_OK)
        kind = barrier_get(core->barrier, snapshot, kt_bytes(key, sizeof key), &plain, NULL, err);
    snapshot_end(snapshot);
    barrier_leave(core->barrier);
    if (kind == KT_OK)
        kind = read_record(kt_buf_bytes(&plain), &record, err);
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    *ret = record.now;
    return KT_OK;
}

enum kt_kind reencrypt_run(struct core *core, bool *ret_more, struct kt_err *err)
{
    struct reencryption now = {.phase = REENCRYPT_NONE};
    enum kt_kind kind = look(core, &now, err);
    bool more = false;
    if (kind == KT_OK && now.phase == REENCRYPT_BEGUN)
        kind = let_older_through(core, now.term, err);
    if (kind == KT_OK && reencrypt_active(&now))
        kind = request_internal(core, PATH, run_piece, &more, err);
    if (kind == KT_OK && more && KT_FAILPOINT(reencrypt_piece))
        kind = kt_fail(err, KT_INTERNAL, "failpoint reencrypt_piece");
    if (kind == KT_OK)
        *ret_more = more;
    return kind;
}
