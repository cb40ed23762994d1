#include "vaultd/core/pipeline.h"

#include <errno.h>

#include "lib/assert.h"
#include "lib/cleanup.h"
#include "lib/log.h"
#include "vaultd/auth/token.h"
#include "vaultd/core/mounts.h"
#include "vaultd/core/private.h"
#include "vaultd/identity/identity.h"

/* A write whose conditions failed is tried again from a new snapshot. Each round at least one of
 * those who met on a record got through, so this many can meet. */
#define ATTEMPTS_MAX 256u

/* ---- a pass --------------------------------------------------------------------------------- */

/* Half a reading is no reading, whatever the handler made of it: a list without its end, a token that
 * could not be looked up. */
static enum kt_kind check_whole(struct request *req, enum kt_kind kind, struct kt_err *err)
{
    enum store_error error = snapshot_error(req->snapshot);
    enum kt_kind was = kind;
    errno = 0;
    if (error == STORE_NO_MEMORY)
        kind = kt_fail(err, KT_NO_MEMORY, "reading the store");
    else if (error != STORE_OK)
        kind = kt_fail(err, error == STORE_BUSY ? KT_BUSY : KT_IO, "reading the store: %s",
                       store_error_text(error));
    else if (kind == KT_OK && req->arena.failed)
        kind = kt_fail(err, KT_NO_MEMORY, "the request needs more memory than there is");
    if (kind != KT_OK)
        req->own->wait_on = NULL;
    if (kind != was) /* what status it had was the answer's */
        req->reply.status = 0;
    return kind;
}

/* A batch that will not be committed. Who wanted to hear of its end does. */
void pipeline_drop_batch(struct request *req)
{
    static const struct commit_result not_tried = {.error = STORE_BUSY};
    batch_free(req->batch);
    req->batch = NULL;
    request_log_forget(req);
    if (req->after_commit != NULL)
        req->after_commit(req, &not_tried);
    req->after_commit = NULL;
}

/* The same request does what it should when the disk, the device or memory is there again. */
static bool passes_by(enum kt_kind kind)
{
    return kind == KT_IO || kind == KT_FULL || kind == KT_NO_MEMORY || kind == KT_BUSY;
}

/* A refusal has no effect but the token's use: the handler's half-made batch is dropped. What is to be tried
 * again used nothing: a wrapping token's only use would take its answer with it. */
static enum kt_kind only_the_use(struct request *req, enum kt_kind why, struct kt_err *err)
{
    bool used = req->batch != NULL && !passes_by(why);
    pipeline_drop_batch(req);
    req->defer = NULL;
    return used ? pass_count_use(req, err) : KT_OK;
}

static void reset_pass(struct request *req)
{
    struct request_private *own = req->own;
    batch_free(req->batch);
    req->batch = NULL;
    kt_buf_reset(&req->reply.data);
    kt_buf_reset(&req->reply.auth);
    struct kt_buf data = req->reply.data, auth = req->reply.auth;
    req->reply = (struct reply){.data = data, .auth = auth};
    own->wait_on = NULL;
    own->wants_aside = false;
    own->ruled = false;
    own->changes = NULL;
    own->wants = NULL;
    request_log_forget(req);
    own->kept = false;
    approve_restore(req);
    req->told = NULL;
    req->report = NULL;
    kt_err_clear(&own->err);
    req->after_commit = NULL;
    req->defer = NULL;
    req->defer_seals = false;
    req->defer_long = false;
    req->defer_again = false;
    if (req->op == OP_CREATE)
        req->op = OP_UPDATE;
}

static void leave(struct request *req)
{
    snapshot_end(req->snapshot);
    req->snapshot = NULL;
    if (req->own->entered)
        barrier_leave(req->core->barrier);
    req->own->entered = false;
    mounts_release(req);
    token_pin(req->core, NULL);
    req->token = NULL;
    identity_unref(req->identity);
    req->identity = NULL;
    req->mount = NULL;
}

static enum pipeline_state finish(struct request *req, enum kt_kind kind)
{
    struct request_private *own = req->own;
    own->outcome_kind = kind;
    if (kind != KT_OK) { /* nothing of what the handler had begun to say */
        if ((kind != KT_INVALID && kind != KT_UNKNOWN) || !req->reply.explains)
            kt_buf_reset(&req->reply.data);
        kt_buf_reset(&req->reply.auth);
        req->reply.n_warnings = 0;
    }
    render_reply(req, kind, &own->err);
    /* A client may take its time to read, and what it reads is in the body. */
    kt_buf_free(&req->reply.data);
    kt_buf_free(&req->reply.auth);
    kt_buf_free(&own->outcome);
    if (req->origin != ORIGIN_INTERNAL)
        counts_add(&req->core->own->counts, req->op, own->status);
    own->stage = STAGE_DONE;
    if (own->entered)
        leave(req);
    return PIPELINE_DONE;
}

/* 503, with the cause, if it passes by. */
static void set_unrecorded(struct request *req, enum kt_kind why)
{
    req->reply.status = passes_by(why) ? 503 : 0;
    req->reply.retry_after_s = passes_by(why) ? 1 : 0;
    req->reply.explains = false;
}

/* Records what happened; if that fails nothing may be told of it (fail-closed). */
static enum pipeline_state record_and_finish(struct request *req, enum kt_kind kind)
{
    pipeline_drop_batch(req);
    KT_UNINIT struct kt_err failed;
    kt_err_clear(&failed);
    struct request_private *own = req->own;
    enum kt_kind recorded = record_result(req, kind, &own->err, &failed);
    /* Its attempt was recorded; what may be committed has to be told. */
    bool must_tell = kind == KT_UNKNOWN && req->reply.explains;
    if (recorded == KT_OK || must_tell)
        return finish(req, kind);
    set_unrecorded(req, recorded);
    own->err = failed;
    return finish(req, recorded);
}

/* What was asked could not be recorded, so it was not done. */
static enum pipeline_state unrecorded(struct request *req, enum kt_kind kind)
{
    set_unrecorded(req, kind);
    return record_and_finish(req, kind);
}

/* The barrier was left for a commit or the desk that then failed. If the vault was sealed meanwhile,
 * the attempt's record has to stand alone. */
static enum pipeline_state record_late(struct request *req, enum kt_kind kind)
{
    req->own->entered = barrier_enter(req->core->barrier);
    return record_and_finish(req, kind);
}

/* Whoever runs it aside has suspended the carrier already; now somebody else owes the resume. */
static void suspend(struct request *req)
{
    if (!req->own->aside)
        req->carrier->suspend(req);
    req->own->aside = false;
}

/* ---- commit ---------------------------------------------------------------------------------- */

static void uncount(struct core *core)
{
    struct core_private *own = core->own;
    (void)pthread_mutex_lock(&own->lock);
    if (--own->committing == 0)
        (void)pthread_cond_broadcast(&own->idle);
    (void)pthread_mutex_unlock(&own->lock);
}

static bool count_commit(struct core *core)
{
    struct core_private *own = core->own;
    (void)pthread_mutex_lock(&own->lock);
    bool admitted = !own->refusing;
    if (admitted)
        own->committing++;
    (void)pthread_mutex_unlock(&own->lock);
    return admitted;
}

/* On the store thread, once. The outcome's copy goes into the log before anybody is answered. */
static void committed(void *arg, const struct commit_result *result)
{
    struct request *req = KT_OBJECT(struct request, arg, REQUEST_MAGIC);
    struct core *core = req->core;
    req->own->result = *result;
    audit_outcome_done(core->audit, kt_buf_bytes(&req->own->outcome), result);
    req->carrier->resume(req);  /* from here the carrier's thread owns req */
    uncount(core);
}

static enum pipeline_state commit(struct request *req)
{
    struct request_private *own = req->own;
    enum kt_kind kind = KT_OK;
    if (!render_reserve(req))
        return record_and_finish(req, kt_fail(&own->err, KT_NO_MEMORY, "answering"));
    /* Tried again, it ends the run with another report. */
    if (!own->attempt_recorded || req->report != NULL)
        kind = record_attempt(req, &own->err);
    if (kind != KT_OK)
        return unrecorded(req, kind);
    own->attempt_recorded = true;
    if (!count_commit(req->core))
        return record_and_finish(req, kt_fail(&own->err, KT_SEALED, "%s", kt_kind_text(KT_SEALED)));
    kt_buf_reset(&own->outcome);
    kind = record_outcome(req, &own->err);
    if (kind != KT_OK) {
        uncount(req->core);
        return unrecorded(req, kind);
    }
    mounts_require(req, req->batch);
    batch_outcome(req->batch, kt_buf_bytes(&own->outcome));
    struct batch *batch = req->batch;
    struct store *store = req->core->store;
    req->batch = NULL;
    own->stage = STAGE_COMMITTED;
    leave(req);
    suspend(req);
    store_commit(store, batch, committed, req);  /* req is not ours any more */
    return PIPELINE_WAIT;
}

static enum kt_kind store_failure(enum store_error error, struct kt_err *err)
{
    static const struct {
        enum store_error error;
        enum kt_kind kind;
        const char *what, *hint;
    } rows[] = {
        {STORE_TOO_LARGE, KT_TOO_LARGE, "the change is larger than one write may be",
         "keep a secret below 512 KiB"},
        {STORE_NO_MEMORY, KT_NO_MEMORY, "out of memory: nothing was changed", "try again"},
        {STORE_BUSY, KT_BUSY, "the store has too much to do", "try again in a second"},
        {STORE_NOT_LEADER, KT_BUSY, "node is not active", ""},
        {STORE_FULL, KT_FULL, "the store is full: nothing was changed",
         "make room on the data folder's disk; deleting and revoking still work"},
        {STORE_UNKNOWN, KT_UNKNOWN, "outcome unknown: the disk failed while it was written",
         "look whether the change is there before you repeat it"},
        {STORE_BROKEN, KT_IO, "the store has stopped after a disk error",
         "look into vaultd's log, mend the disk, start vaultd again"},
    };
    errno = 0;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].error == error) {
            (void)kt_fail(err, rows[i].kind, "%s", rows[i].what);
            kt_hint(err, "%s", rows[i].hint);
            return rows[i].kind;
        }
    return kt_fail(err, KT_INTERNAL, "the store answered %s", store_error_text(error));
}

static enum pipeline_state post(struct request *req);

/* Once when the store gets full, once when it has room again. */
static void note_room(struct core *core, enum store_error error)
{
    bool full = error == STORE_FULL;
    if ((error != STORE_OK && !full) || atomic_load(&core->own->store_full) == full ||
        atomic_exchange(&core->own->store_full, full) == full)
        return;
    if (full)
        kt_log(KT_LOG_ERROR, "store_full", "next=\"%s\"",
               "make room on the data folder's disk; deleting and revoking still work");
    else
        kt_log(KT_LOG_NOTICE, "store_has_room", "%s", "after=store_full");
}

static enum pipeline_state after_commit(struct request *req, bool *ret_again)
{
    struct request_private *own = req->own;
    note_room(req->core, own->result.error);
    if (own->result.error == STORE_OK)
        request_log_now(req);
    if (req->after_commit != NULL)
        req->after_commit(req, &own->result);
    req->after_commit = NULL;
    if (own->result.error == STORE_CONFLICT && req->attempt + 1 < ATTEMPTS_MAX) {
        req->attempt++;
        own->stage = STAGE_PASS;
        *ret_again = true;
        return PIPELINE_DONE;
    }
    enum kt_kind failed = KT_OK;
    if (own->result.error == STORE_CONFLICT)
        failed = kt_fail(&own->err, KT_CONFLICT, "%s", kt_kind_text(KT_CONFLICT));
    else if (own->result.error != STORE_OK)
        failed = store_failure(own->result.error, &own->err);
    if (failed != KT_OK) {
        req->reply.status = 0;
        return record_late(req, failed);
    }
    return req->defer != NULL ? post(req) : finish(req, own->outcome_kind);
}

/* ---- waiting --------------------------------------------------------------------------------- */

static enum pipeline_state wait(struct request *req)
{
    struct request_private *own = req->own;
    if (own->wait_entry == NULL)
        own->wait_entry = kt_arena_take(&req->arena, wait_entry_bytes());
    if (own->wait_entry == NULL)
        return record_and_finish(req, kt_fail(&own->err, KT_NO_MEMORY, "waiting"));
    own->stage = STAGE_PASS;
    struct wait_list *list = own->wait_on;
    uint64_t seen = own->wakes_seen;
    look_remember(req);
    leave(req);
    req->wakes++;
    suspend(req);
    wait_list_add(list, req, own->wait_entry, seen);  /* req is not ours any more */
    return PIPELINE_WAIT;
}

static enum pipeline_state post(struct request *req)
{
    req->own->stage = STAGE_DEFERRED;
    struct core_private *own = req->core->own;
    struct desk *desk = req->defer_long ? own->errands : own->desk;
    leave(req);
    suspend(req);
    desk_post(desk, req);  /* req is not ours any more */
    return PIPELINE_WAIT;
}

static enum pipeline_state defer(struct request *req)
{
    struct kt_err failed = {0};
    enum kt_kind recorded = req->defer_seals ? record_result(req, KT_OK, NULL, &failed)
                                             : record_attempt(req, &failed);
    if (recorded != KT_OK) {
        set_unrecorded(req, recorded);
        req->own->err = failed;
        return finish(req, recorded);
    }
    req->own->attempt_recorded = req->own->entered && !req->defer_seals;
    return post(req);
}

/* What began while the vault was sealed has no attempt in the log, and the core's own record. */
static enum pipeline_state deferred_done(struct request *req)
{
    enum kt_kind kind = req->own->outcome_kind;
    return kind == KT_OK && !req->own->attempt_recorded ? finish(req, KT_OK) : record_late(req, kind);
}

/* ---- aside ----------------------------------------------------------------------------------- */

static enum pipeline_state go_aside(struct request *req)
{
    struct request_private *own = req->own;
    struct desk *desk = req->core->own->aside;
    pipeline_drop_batch(req);
    leave(req);
    suspend(req);
    own->aside = true;
    desk_post(desk, req);  /* req is not ours any more */
    return PIPELINE_WAIT;
}

void pipeline_aside(struct request *req)
{
    if (pipeline_run(req) == PIPELINE_WAIT)
        return; /* committing: it is resumed after that */
    req->own->aside = false;
    req->carrier->resume(req);
}

void pipeline_deferred(struct request *req)
{
    req->own->err = (struct kt_err){0};
    req->own->outcome_kind = req->defer(req, &req->own->err);
    if (req->own->outcome_kind == KT_OK)
        input_warn_unknown(req);
    req->carrier->resume(req);
}

/* ---- the whole ------------------------------------------------------------------------------- */

static enum kt_kind sealed_answer(struct request *req, struct kt_err *err)
{
    if (req->origin != ORIGIN_INTERNAL)
        (void)atomic_fetch_add(&req->core->own->refused_sealed, 1);
    return kt_fail(err, KT_SEALED, "%s", kt_kind_text(KT_SEALED));
}

/* While sealed only the rows that say so are there, all below sys/, without a snapshot. */
static enum pipeline_state run_sealed(struct request *req)
{
    struct request_private *own = req->own;
    if (own->internal != NULL)
        return finish(req, sealed_answer(req, &own->err));
    enum kt_kind kind = mounts_route_sealed(req);
    if (kind != KT_OK)
        return finish(req, sealed_answer(req, &own->err));
    kind = pass_walk_sealed(req, &own->err);
    if (kind == KT_OK && req->defer != NULL)
        return defer(req);
    return finish(req, kind);
}

static enum pipeline_state run_pass(struct request *req)
{
    struct request_private *own = req->own;
    struct core *core = req->core;
    reset_pass(req);
    own->wakes_seen = wait_clock_wakes(core->waits);
    own->quiet = own->wait_entry != NULL && !own->look.changed &&
                 wait_entry_quiet(own->wait_entry, own->wakes_seen);
    own->entered = barrier_enter(core->barrier);
    if (!own->entered)
        return run_sealed(req);
    req->now_ms = kt_wall_ms(core->clock);
    req->life_ms = pass_expiry_ms(core, req->now_ms);
    enum store_error error = snapshot_begin(core->store, &req->snapshot);
    if (error != STORE_OK)
        return record_and_finish(req, store_failure(error, &own->err));
    enum kt_kind kind = check_whole(req, pass_walk(req, &own->err), &own->err);
    if (kind == KT_OK && own->wait_on != NULL)
        return wait(req);
    if (kind == KT_OK && own->wants_aside)
        return go_aside(req);
    bool changes = req->batch != NULL && batch_ops(req->batch) > 0;
    if (kind == KT_OK && req->defer != NULL && !changes)
        return defer(req);
    if (kind != KT_OK) {
        struct kt_err first = own->err;
        enum kt_kind counted = only_the_use(req, kind, &own->err);
        if (counted == KT_OK)
            own->err = first;
        else
            kind = counted;
    }
    own->outcome_kind = kind;
    if (req->batch != NULL && batch_ops(req->batch) > 0)
        return commit(req);
    return record_and_finish(req, kind);
}

enum pipeline_state pipeline_run(struct request *req)
{
    KT_ASSERT(req->magic == REQUEST_MAGIC);
    struct request_private *own = req->own;
    if (own == NULL) {
        own = req->own = kt_arena_take(&req->arena, sizeof *own);
        if (own == NULL)
            return PIPELINE_DONE;  /* pipeline_status() and pipeline_body() know */
    }
    if (own->stage == STAGE_NEW) {
        kt_buf_init(&own->outcome, STORE_OUTCOME_MAX);
        kt_buf_init(&own->body, SIZE_MAX / 4);
        own->stage = STAGE_PASS;
        enum kt_kind kind = own->internal != NULL ? KT_OK : pass_prepare(req, &own->err);
        if (kind != KT_OK)
            return record_late(req, kind);
    }
    if (own->stage == STAGE_COMMITTED) {
        bool again = false;
        enum pipeline_state state = after_commit(req, &again);
        if (!again)
            return state;
    }
    if (own->stage == STAGE_DONE)
        return PIPELINE_DONE; /* aside */
    if (own->stage == STAGE_DEFERRED) {
        if (own->outcome_kind != KT_OK || !req->defer_again)
            return deferred_done(req);
        own->stage = STAGE_PASS;
    }
    return run_pass(req);
}

unsigned pipeline_status(const struct request *req)
{
    return req->own == NULL ? 503 : req->own->status;
}

struct kt_bytes pipeline_body(const struct request *req)
{
    static const char no_memory[] = "{\"errors\":[\"out of memory: try again\"]}\n";
    bool none = req->own == NULL || req->own->no_body;
    return none ? kt_bytes(no_memory, sizeof no_memory - 1) : kt_buf_bytes(&req->own->body);
}

const char *pipeline_content_type(const struct request *req)
{
    return req->own == NULL ? "application/json" : req->own->content_type;
}

bool pipeline_authenticated(const struct request *req)
{
    return req->own != NULL && req->own->authenticated;
}

bool pipeline_waited(const struct request *req)
{
    return req->own != NULL && req->own->stage == STAGE_PASS && req->own->wait_on != NULL;
}
