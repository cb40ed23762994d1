#include <stdio.h>

#include "lib/log.h"
#include "vaultd/core/rows.h"
#include "vaultd/rotation/calendar.h"
#include "vaultd/rotation/drill.h"
#include "vaultd/rotation/pause.h"

/* The rotation thread's part of drill.h: which drill is due, and whether it may start now. It is started in
 * the commit that plans the next one. */

#define ROWS_MOST   256u /* looked at in one pass */
#define PASSES_MOST 64u
#define HELD_MS     ((int64_t)10 * 1000)
#define LATER_MS    ((int64_t)10 * 60 * 1000)

struct drill_pass {
    struct rotation *rotation;
    unsigned char from[DUE_KEY]; /* rows up to here were passed over */
    bool has_from, more, started;
    bool on; /* none of so many rows could be started: those behind them are still to be looked at */
    int64_t next_ms;
    int64_t held_ms; /* when to look again at those that were passed over, of all passes */
    unsigned char run[RUN_ID];
    char target[TARGET_NAME_MAX + 1];
};

static void pass_over(struct drill_pass *p, struct kt_bytes key, int64_t until_ms)
{
    memcpy(p->from, key.at, DUE_KEY);
    p->has_from = true;
    if (until_ms < p->held_ms)
        p->held_ms = until_ms;
}

static enum kt_kind drop_row(struct drill_pass *p, struct request *req, struct kt_bytes key,
                             struct kt_err *err)
{
    struct batch *batch = request_batch(req);
    if (batch == NULL)
        return kt_fail(err, KT_NO_MEMORY, "looking for drills");
    batch_delete(batch, key);
    p->more = true;
    return KT_OK;
}

/* It cannot start as it is set: that is what came of it. */
static enum kt_kind note_refusal(struct request *req, struct rotation_secret *secret, struct kt_err *err)
{
    batch_free(req->batch);
    req->batch = NULL;
    const char *why = kt_arena_printf(&req->arena, "it could not start: %.400s", err->what);
    *err = (struct kt_err){0};
    if (why == NULL)
        return kt_fail(err, KT_NO_MEMORY, "noting a drill");
    secret->drilled_ms = req->now_ms;
    secret->drill_took_ms = -1;
    secret->drill_ok = false;
    secret->drill_text = why;
    enum kt_kind kind = drill_plan(req, secret, req->now_ms, err);
    return kind == KT_OK ? secret_save(req, secret, err) : kind;
}

static int64_t closes_ms(const struct request *req, const struct rotation_when *when,
                         const struct kt_due *due)
{
    int64_t begins = when->blackout == NULL ? INT64_MAX : kt_blackout_begins(when->blackout, req->now_ms);
    int64_t first = due->closes_ms < begins ? due->closes_ms : begins;
    return first == INT64_MAX ? 0 : first;
}

static enum kt_kind start(struct drill_pass *p, struct request *req, struct rotation_secret *secret,
                          int64_t closes, struct kt_err *err)
{
    const struct run_wish wish = {
        .trigger = TRIGGER_DRILL, .reason = "", .by = "keyturn", .closes_ms = closes};
    struct rotation_secret before = *secret;
    struct run *run = kt_arena_take(&req->arena, sizeof *run);
    if (run == NULL)
        return kt_fail(err, KT_NO_MEMORY, "starting a drill");
    enum kt_kind kind = drill_plan(req, secret, req->now_ms, err);
    if (kind == KT_OK)
        kind = run_start(req, secret, &wish, run, err);
    p->more = true;
    if (kind == KT_INVALID) {
        *secret = before;
        return note_refusal(req, secret, err);
    }
    if (kind != KT_OK)
        return kind;
    pause_require_off(req, req->batch);
    p->started = true;
    memcpy(p->run, run->id, RUN_ID);
    (void)snprintf(p->target, sizeof p->target, "%s", run->settings.target);
    return KT_OK;
}

static enum kt_kind judge(struct drill_pass *p, struct request *req, struct rotation_secret *secret,
                          struct kt_bytes key, struct kt_err *err)
{
    kt_autowhen struct rotation_when when = {0};
    enum kt_due_verdict verdict = KT_DUE_MISSED;
    struct kt_due due;
    int64_t at = 0;
    enum kt_kind kind = drill_judge(req, secret, &when, &verdict, &due, &at, err);
    if (kind != KT_OK)
        return kind;
    switch (verdict) {
    case KT_DUE_START:
        if (secret->active || start_is_held(p->rotation, req, secret)) {
            pass_over(p, key, req->now_ms + HELD_MS);
            return KT_OK;
        }
        return start(p, req, secret, closes_ms(req, &when, &due), err);
    case KT_DUE_WAIT:
        p->more = true;
        kind = drill_row(req, secret, at > req->now_ms ? at : req->now_ms + HELD_MS, err);
        break;
    case KT_DUE_MISSED:
        p->more = true;
        kind = drill_plan(req, secret, req->now_ms, err);
        break;
    }
    return kind == KT_OK ? secret_save(req, secret, err) : kind;
}

static enum kt_kind look_at_row(struct drill_pass *p, struct request *req, const struct entry *entry,
                                struct kt_err *err)
{
    struct rotation_secret secret;
    const char *name = NULL;
    enum kt_kind kind = due_row_name(req, entry, &name, err);
    if (kind == KT_OK)
        kind = secret_load(req, name, &secret, err);
    if (kind == KT_NOT_FOUND) {
        *err = (struct kt_err){0};
        return drop_row(p, req, entry->key, err);
    }
    if (kind != KT_OK)
        return kind;
    if (secret.drill_due_ms != due_time_of_key(entry->key))
        return drop_row(p, req, entry->key, err);
    if (!rotation_clock_trusts(p->rotation, req->now_ms)) {
        p->next_ms = secret.drill_due_ms; /* the next look says what is wrong with the clock */
        return KT_OK;
    }
    return judge(p, req, &secret, entry->key, err);
}

/* One row that cannot be read does not hold up all behind it. */
static void pass_damaged(struct drill_pass *p, struct request *req, struct kt_bytes key, struct kt_err *err)
{
    kt_log_err(KT_LOG_WARNING, "rotation-drills", err);
    pass_over(p, key, req->now_ms + LATER_MS);
    batch_free(req->batch);
    req->batch = NULL;
    p->more = p->started = false;
    *err = (struct kt_err){0};
}

static enum kt_kind scan_handler(struct request *req, struct kt_err *err)
{
    struct drill_pass *p = req->handler_data;
    unsigned char table = TABLE_DRILL;
    struct rotation_pause pause;
    struct rows rows;
    bool paused = false; /* who ends that has it looked at */
    unsigned looked = 0;
    p->more = p->started = p->on = false;
    p->next_ms = INT64_MAX;
    enum kt_kind kind = pause_load(req, &pause, &paused, err);
    if (kind != KT_OK || paused)
        return kind;
    rows_begin(&rows, req, kt_bytes(&table, 1), kt_bytes(p->from, p->has_from ? DUE_KEY : 0),
               "looking for drills");
    for (; looked < ROWS_MOST && kind == KT_OK && !p->more && rows_next(&rows); looked++) {
        struct kt_bytes key = rows.entry.key;
        if (key.len != DUE_KEY || (p->has_from && memcmp(key.at, p->from, DUE_KEY) == 0))
            continue;
        if (due_time_of_key(key) > req->now_ms) {
            p->next_ms = due_time_of_key(key);
            break;
        }
        kind = look_at_row(p, req, &rows.entry, err);
        if (kind == KT_CORRUPT || kind == KT_INVALID || kind == KT_NOT_FOUND) {
            pass_damaged(p, req, key, err);
            kind = KT_OK;
        }
        if (p->next_ms != INT64_MAX)
            break;
    }
    p->on = looked == ROWS_MOST && !p->more;
    return rows_end(&rows, kind, err);
}

void drill_scan(struct rotation *rotation)
{
    struct drill_pass pass = {.rotation = rotation, .next_ms = INT64_MAX, .held_ms = INT64_MAX};
    for (unsigned i = 0; i < PASSES_MOST && !atomic_load(&rotation->stopping); i++) {
        struct kt_err err = {0};
        enum kt_kind kind =
            request_internal(rotation->core, "rotation/drills", scan_handler, &pass, &err);
        if (kind != KT_OK) {
            if (kind != KT_SEALED)
                kt_log_err(KT_LOG_WARNING, "rotation-drills", &err);
            pass.held_ms = kt_wall_ms(rotation->core->clock) + HELD_MS;
            pass.more = false;
            break;
        }
        if (pass.started)
            start_counted(rotation, pass.run, pass.target);
        if (!pass.more && !pass.on)
            break;
    }
    rotation->next_drill_ms = pass.more                        ? 0
                              : pass.next_ms < pass.held_ms ? pass.next_ms
                                                            : pass.held_ms;
}
