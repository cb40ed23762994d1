#include <stdlib.h>

#include "lib/log.h"
#include "vaultd/core/rows.h"
#include "vaultd/rotation/places.h"
#include "vaultd/rotation/plan.h"
#include "vaultd/rotation/probe.h"
#include "vaultd/rotation/truth.h"

/* The rotation thread's part of truth.h: which look is due, whether it may be made now, and what became
 * of it. A look is counted and its row moved in a commit before it is sent. Who waits for a place at a
 * target keeps his row and costs a step over it (waiting.h). */

#define ROWS_MOST   256u   /* opened in one pass */
#define STEPS_MOST  65536u /* or stepped over */
#define PASSES_MOST 64u
#define HELD_MS     ((int64_t)30 * 1000)
#define LATER_MS    ((int64_t)10 * 60 * 1000)
/* A look costs an account one refused login; so many more should be left for a run. Where a target allows
 * fewer in all, a look is made when there was none within the hour. */
#define REFUSALS_LEFT 3u

struct truth_pass {
    struct rotation *rotation;
    struct job *job; /* to be sent, once its commit is made */
    bool more;
    bool on;    /* none of so many rows could be begun: those behind them are still to be looked at */
    bool waits; /* the row that was looked at waits for a place at its target */
    int64_t next_ms;
    unsigned char from[DUE_KEY]; /* rows up to here were passed over */
    bool has_from;
    int64_t held_ms; /* when to look again at those, of all passes */
};

static size_t at_work(struct rotation *rotation, const char *target, bool *ret_here)
{
    size_t n = 0;
    *ret_here = false;
    (void)pthread_mutex_lock(&rotation->lock);
    for (const struct job *job = rotation->jobs; job != NULL; job = job->next) {
        if ((job->kind != JOB_TRUTH && job->kind != JOB_DRY) || job->abandoned)
            continue;
        n += job->kind == JOB_TRUTH;
        *ret_here = *ret_here || strcmp(job->target, target) == 0;
    }
    (void)pthread_mutex_unlock(&rotation->lock);
    return n;
}

/* The account that the current version names. */
static enum kt_kind find_slot(struct request *req, const struct rotation_secret *secret,
                              const struct kv_secret *kv, uint32_t *ret, struct kt_err *err)
{
    struct credential now;
    const struct rotation_settings *s = &secret->settings;
    enum kt_kind kind = credential_load(req, secret, s, kv, kv->current, &now, NULL, err);
    if (kind != KT_OK)
        return kind;
    for (uint32_t slot = 0; slot < 2; slot++)
        if (s->accounts[slot][0] != '\0' && strcmp(now.username, s->accounts[slot]) == 0) {
            *ret = slot;
            return KT_OK;
        }
    return kt_fail(err, KT_INVALID, "its \"%s\" is none of the accounts", s->username_field);
}

/* It cannot be asked for as it is: said, and tried again. */
static enum kt_kind pass_over(struct request *req, struct rotation_secret *secret, const char *why,
                              struct kt_err *err)
{
    const char *look = kt_arena_printf(&req->arena, "not known: %.900s", why);
    secret->look = look == NULL ? "" : look;
    return truth_row(req, secret, req->now_ms + truth_soon_ms(secret), err);
}

static enum kt_kind begin(struct truth_pass *p, struct request *req, struct rotation_secret *secret,
                          struct kt_err *err)
{
    struct rotation_target target;
    struct kv_secret *kv = NULL;
    struct kt_err why = {0};
    uint32_t slot = 0;
    bool here = false;
    enum kt_kind kind = target_load(req, secret->settings.target, &target, &why);
    if (kind == KT_OK)
        kind = target_login(req, &target, &why);
    if (kind == KT_OK)
        kind = kv_load(req->core, secret->mount, req->snapshot, &req->arena, secret->path, &kv, &why);
    if (kind == KT_OK)
        kind = find_slot(req, secret, kv, &slot, &why);
    if (kind == KT_NOT_FOUND || kind == KT_INVALID)
        return pass_over(req, secret, why.what[0] == '\0' ? "its target or its value is gone" : why.what,
                         err);
    if (kind != KT_OK)
        return kt_fail(err, kind, "%s", why.what);
    int64_t steady = rotation_steady_ms(p->rotation), when = 0;
    (void)at_work(p->rotation, target.name, &here);
    if (here || !place_free(p->rotation, NULL, &target)) {
        p->waits = true;
        return KT_OK;
    }
    if (!budget_allows(&secret->budgets[slot], &target, 1 + REFUSALS_LEFT, steady, &when))
        return truth_row(req, secret, req->now_ms + (when - steady), err);
    budget_note(&secret->budgets[slot], 1, steady);
    kind = truth_row(req, secret, req->now_ms + truth_soon_ms(secret), err);
    return kind == KT_OK ? plan_truth(req, secret, kv, &target, slot, &p->job, err) : kind;
}

static enum kt_kind drop_rows(struct request *req, struct kt_bytes key, struct kt_err *err)
{
    unsigned char id[RUN_ID], drift[RUN_KEY];
    struct batch *batch = request_batch(req);
    if (batch == NULL)
        return kt_fail(err, KT_NO_MEMORY, "looking at what is stored");
    memcpy(id, key.at + key.len - RUN_ID, RUN_ID);
    drift_key(id, drift);
    batch_delete(batch, key);
    batch_delete(batch, kt_bytes(drift, sizeof drift));
    return KT_OK;
}

static void pass_row(struct truth_pass *p, struct kt_bytes key, int64_t until_ms)
{
    memcpy(p->from, key.at, DUE_KEY);
    p->has_from = true;
    if (until_ms < p->held_ms)
        p->held_ms = until_ms;
}

/* What waits at this target, too, is not opened in this look. */
static void wait_there(struct truth_pass *p, struct kt_bytes key, const char *name, int64_t until_ms)
{
    waiting_close(&p->rotation->looks_waiting, key, WAITING_PLACE, name);
    p->more = false;
    pass_row(p, key, until_ms);
}

static enum kt_kind look_at_row(struct truth_pass *p, struct request *req,
                                const struct entry *entry, struct kt_err *err)
{
    struct rotation_secret secret;
    const char *name = NULL;
    enum kt_kind kind = due_row_name(req, entry, &name, err);
    if (kind == KT_OK)
        kind = secret_load(req, name, &secret, err);
    if (kind == KT_NOT_FOUND) {
        *err = (struct kt_err){0};
        return drop_rows(req, entry->key, err);
    }
    if (kind != KT_OK)
        return kind;
    if (secret.look_due_ms != due_time_of_key(entry->key)) {
        struct batch *batch = request_batch(req);
        if (batch == NULL)
            return kt_fail(err, KT_NO_MEMORY, "looking at what is stored");
        batch_delete(batch, entry->key);
        return KT_OK;
    }
    /* A run that is under way proves it, and plans the next look when it ends. */
    if (secret.active || truth_soon_ms(&secret) == 0)
        kind = truth_row(req, &secret, 0, err);
    else
        kind = begin(p, req, &secret, err);
    if (kind == KT_OK && p->waits) {
        wait_there(p, entry->key, secret.settings.target, req->now_ms + HELD_MS);
        return KT_OK;
    }
    return kind == KT_OK ? secret_save(req, &secret, err) : kind;
}

/* One row that cannot be read does not hold up all behind it. */
static void pass_damaged(struct truth_pass *p, struct request *req, struct kt_bytes key,
                         struct kt_err *err)
{
    int64_t until_ms = req->now_ms + LATER_MS;
    kt_log_err(KT_LOG_WARNING, "rotation-looks", err);
    *err = (struct kt_err){0};
    batch_free(req->batch);
    req->batch = NULL;
    job_free(p->job);
    p->job = NULL;
    p->more = false;
    pass_row(p, key, until_ms);
}

static enum kt_kind scan_handler(struct request *req, struct kt_err *err)
{
    struct truth_pass *p = req->handler_data;
    unsigned char table = TABLE_LOOK;
    enum kt_kind kind = KT_OK;
    struct rows rows;
    job_free(p->job);
    p->job = NULL;
    p->more = false;
    p->next_ms = INT64_MAX;
    unsigned looked = 0, stepped = 0;
    rows_begin(&rows, req, kt_bytes(&table, 1), kt_bytes(p->from, p->has_from ? DUE_KEY : 0),
               "looking at what is stored");
    while (kind == KT_OK && !p->more && looked < ROWS_MOST && stepped < STEPS_MOST && rows_next(&rows)) {
        struct kt_bytes key = rows.entry.key;
        if (key.len != DUE_KEY || (p->has_from && memcmp(key.at, p->from, DUE_KEY) == 0))
            continue;
        int64_t due = due_time_of_key(key);
        if (due > req->now_ms) {
            p->next_ms = due;
            break;
        }
        if (waiting_closed(&p->rotation->looks_waiting, key)) {
            pass_row(p, key, INT64_MAX); /* until the one before it */
            stepped++;
            continue;
        }
        looked++;
        p->more = true;
        p->waits = false;
        kind = look_at_row(p, req, &rows.entry, err);
        if (kind == KT_CORRUPT || kind == KT_INVALID || kind == KT_NOT_FOUND) {
            pass_damaged(p, req, key, err);
            kind = KT_OK;
        }
    }
    p->on = !p->more && (looked == ROWS_MOST || stepped == STEPS_MOST);
    return rows_end(&rows, kind, err);
}

void truth_scan(struct rotation *rotation)
{
    struct truth_pass pass = {.rotation = rotation, .held_ms = INT64_MAX};
    bool here = false;
    rotation->next_look_ms = INT64_MAX;
    if (!rotation_can_run(rotation))
        return;
    waiting_begin(&rotation->looks_waiting, kt_mono_ms(rotation->core->clock));
    for (unsigned i = 0; i < PASSES_MOST && !atomic_load(&rotation->stopping); i++) {
        struct kt_err err = {0};
        if (at_work(rotation, "", &here) >= TRUTHS_MAX)
            return; /* the one that ends first looks for the next */
        enum kt_kind kind =
            request_internal(rotation->core, "rotation/looks", scan_handler, &pass, &err);
        if (kind != KT_OK) {
            job_free(pass.job);
            if (kind != KT_SEALED)
                kt_log_err(KT_LOG_WARNING, "rotation-looks", &err);
            rotation->next_look_ms = kt_wall_ms(rotation->core->clock) + LATER_MS;
            return;
        }
        if (pass.job != NULL)
            job_post(rotation, pass.job);
        pass.job = NULL;
        if (!pass.more && !pass.on)
            break;
    }
    rotation->next_look_ms = pass.more                        ? 0
                             : pass.next_ms < pass.held_ms ? pass.next_ms
                                                           : pass.held_ms;
}

/* ---- what became of it ---- */

struct settle_pass {
    const struct job *job;
    enum truth_change change;
};

static enum kt_kind settle_handler(struct request *req, struct kt_err *err)
{
    struct settle_pass *p = req->handler_data;
    const struct job *job = p->job;
    const struct job_part *probe = &job->parts[job->n - 1];
    const struct truth_seen seen = {.secret = job->secret,
                                    .target = job->target,
                                    .version = job->version,
                                    .slot = job->slot,
                                    .uncounted = job->kind == JOB_DRY ? 1 : 0,
                                    .ran = probe->ran,
                                    .result = &probe->result};
    return truth_settle(req, &seen, &p->change, err);
}

/* Names and paths stay out of the log. */
static void say(enum truth_change change)
{
    if (change == TRUTH_DRIFTED)
        kt_log(KT_LOG_ERROR, "rotation-drifted",
               "why=\"a target refuses a credential that is stored as current\" "
               "next=\"secretctl due\"");
    else if (change == TRUTH_HEALED)
        kt_log(KT_LOG_NOTICE, "rotation-agrees",
               "why=\"a target accepts a stored credential again that it refused\"");
}

void truth_finish(struct rotation *rotation, struct job *take_job)
{
    struct settle_pass pass = {.job = take_job};
    struct kt_err err = {0};
    enum kt_kind kind =
        request_internal(rotation->core, "rotation/looks", settle_handler, &pass, &err);
    /* It is made again when its row comes: begin() left one. */
    if (kind != KT_OK && kind != KT_SEALED)
        kt_log_err(KT_LOG_WARNING, "rotation-looks", &err);
    if (kind == KT_OK)
        say(pass.change);
    rotation->next_look_ms = 0;
    if (take_job->kind == JOB_DRY)
        job_tell(rotation, take_job);
    else
        job_free(take_job);
}
