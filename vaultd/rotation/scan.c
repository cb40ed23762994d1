#include <stdio.h>
#include <stdlib.h>

#include "lib/failpoint.h"
#include "lib/log.h"
#include "vaultd/core/rows.h"
#include "vaultd/rotation/calendar.h"
#include "vaultd/rotation/engine.h"
#include "vaultd/rotation/pause.h"
#include "vaultd/rotation/run.h"

/* What is due is looked at from the front of its index, a row at a time: started, moved, or passed
 * over while the caps bind. */

#define ROWS_MOST   256u /* looked at in one pass */
#define PASSES_MOST 64u
#define BURST       128u /* runs without a target that are made at a time */
#define HELD_MS     ((int64_t)10 * 1000)
#define LATER_MS    ((int64_t)10 * 60 * 1000)

struct scan_pass {
    struct rotation *rotation;
    unsigned char from[DUE_KEY]; /* rows up to here were passed over */
    bool has_from;
    int64_t next_ms; /* when the next row is due */
    int64_t held_ms; /* when to look again at rows that were passed over, of all passes */
    bool more, started, touches;
    bool on; /* none of so many rows could be started: those behind them are still to be looked at */
    unsigned char run[RUN_ID];
    char target[TARGET_NAME_MAX + 1];
};

bool slot_free(struct rotation *rotation, const struct active *self, const char *target)
{
    unsigned running = 0;
    if (target[0] == '\0')
        return true;
    for (const struct active *a = rotation->actives; a != NULL; a = a->next) {
        if (a == self || !a->touches)
            continue;
        if (strcmp(a->target, target) == 0)
            return false;
        running++;
    }
    return running < ROTATION_RUNS_MAX;
}

static bool started_too_often(const struct rotation *rotation, int64_t now_ms)
{
    for (size_t i = 0; i < ROTATION_STARTS; i++)
        if (rotation->starts_ms[i] == 0 || now_ms - rotation->starts_ms[i] >= 60000)
            return false;
    return true;
}

static void count_start(struct rotation *rotation, int64_t now_ms)
{
    size_t oldest = 0;
    for (size_t i = 1; i < ROTATION_STARTS; i++)
        if (rotation->starts_ms[i] < rotation->starts_ms[oldest])
            oldest = i;
    rotation->starts_ms[oldest] = now_ms;
}

/* Another row of the same secret, or of one that is gone. */
static enum kt_kind drop_row(struct scan_pass *p, struct request *req, struct kt_bytes key,
                             struct kt_err *err)
{
    struct batch *batch = request_batch(req);
    if (batch == NULL)
        return kt_fail(err, KT_NO_MEMORY, "looking at what is due");
    batch_delete(batch, key);
    p->more = true;
    return KT_OK;
}

static void pass_over(struct scan_pass *p, struct kt_bytes key, int64_t until_ms)
{
    memcpy(p->from, key.at, DUE_KEY);
    p->has_from = true;
    if (until_ms < p->held_ms)
        p->held_ms = until_ms;
}

/* Nothing starts where runs fail one after the other, until one passes its preflight. */
static bool target_held(struct request *req, const struct rotation_secret *secret)
{
    if (!settings_has_target(&secret->settings))
        return false;
    struct rotation_target target;
    return target_load(req, secret->settings.target, &target, NULL) == KT_OK &&
           target.failures >= ROTATION_BREAKER;
}

static enum kt_kind is_paused(struct request *req, bool *ret, struct kt_err *err)
{
    struct rotation_pause pause;
    return pause_load(req, &pause, ret, err);
}

/* An age goes over a window, and nothing over a blackout. 0: never. */
static int64_t closes_ms(const struct request *req, const struct rotation_secret *secret,
                         const struct kt_blackout *blackout)
{
    int64_t window_ms = secret->reason == KT_DUE_MAX_AGE ? INT64_MAX : secret->closes_ms;
    int64_t begins_ms = blackout == NULL ? INT64_MAX : kt_blackout_begins(blackout, req->now_ms);
    int64_t first_ms = window_ms < begins_ms ? window_ms : begins_ms;
    return first_ms == INT64_MAX ? 0 : first_ms;
}

static enum kt_kind start_due(struct scan_pass *p, struct request *req,
                              struct rotation_secret *secret, const struct kt_blackout *blackout,
                              struct kt_err *err)
{
    const struct run_wish wish = {
        .trigger = secret->reason == KT_DUE_MAX_AGE ? TRIGGER_MAX_AGE : TRIGGER_SCHEDULE,
        .reason = "",
        .by = "keyturn",
        .closes_ms = closes_ms(req, secret, blackout)};
    struct run run;
    bool held = false;
    enum kt_kind kind = is_paused(req, &held, err);
    if (kind != KT_OK || held)
        return kind;
    kind = run_start(req, secret, &wish, &run, err);
    if (kind == KT_OK) {
        pause_require_off(req, req->batch);
        p->started = true;
        p->touches = run_touches_target(&run);
        p->more = true;
        memcpy(p->run, run.id, RUN_ID);
        (void)snprintf(p->target, sizeof p->target, "%s", run.settings.target);
        return KT_OK;
    }
    if (kind != KT_INVALID)
        return kind;
    /* It cannot start as it is set: said, and tried again later. */
    batch_free(req->batch);
    req->batch = NULL;
    secret->failures++;
    secret->held = kt_arena_text(&req->arena, kt_str(err->what));
    *err = (struct kt_err){0};
    p->more = true;
    if (secret->held == NULL)
        secret->held = "";
    secret->last_fire_ms = secret->fire_ms;
    kind = due_plan(req, secret, req->now_ms, err);
    return kind == KT_OK ? secret_save(req, secret, err) : kind;
}

static enum kt_kind judge(struct scan_pass *p, struct request *req, struct rotation_secret *secret,
                          struct kt_bytes key, struct kt_err *err)
{
    kt_autowhen struct rotation_when by = {0};
    enum kt_kind kind = when_load(req, &secret->settings, NULL, &by, err);
    if (kind != KT_OK)
        return kind;
    struct kt_due due = {.fire_ms = secret->fire_ms,
                         .due_ms = secret->due_ms,
                         .closes_ms = secret->closes_ms,
                         .reason = secret->reason};
    int64_t when = 0;
    enum kt_due_verdict verdict = kt_schedule_judge(by.schedule, &due, req->now_ms, &when);
    secret->closes_ms = due.closes_ms;
    switch (verdict) {
    case KT_DUE_START:
        if (settings_has_target(&secret->settings) &&
            (!slot_free(p->rotation, NULL, secret->settings.target) || target_held(req, secret) ||
             started_too_often(p->rotation, rotation_steady_ms(p->rotation)))) {
            pass_over(p, key, req->now_ms + HELD_MS);
            return KT_OK;
        }
        return start_due(p, req, secret, by.blackout, err);
    case KT_DUE_WAIT:
        p->more = true;
        kind = due_move(req, secret, when > req->now_ms ? when : req->now_ms + HELD_MS, err);
        break;
    case KT_DUE_MISSED:
        p->more = true;
        secret->last_fire_ms = secret->fire_ms;
        kind = due_plan(req, secret, req->now_ms, err);
        break;
    }
    return kind == KT_OK ? secret_save(req, secret, err) : kind;
}

static enum kt_kind look_at_row(struct scan_pass *p, struct request *req,
                                const struct entry *entry, struct kt_err *err)
{
    const char *name = NULL;
    enum kt_kind kind = due_row_name(req, entry, &name, err);
    struct rotation_secret secret;
    if (kind == KT_OK)
        kind = secret_load(req, name, &secret, err);
    if (kind == KT_NOT_FOUND) {
        *err = (struct kt_err){0};
        return drop_row(p, req, entry->key, err);
    }
    if (kind != KT_OK)
        return kind;
    if (!secret.due || secret.due_ms != due_time_of_key(entry->key))
        return drop_row(p, req, entry->key, err);
    if (secret.active) {
        p->more = true;
        kind = due_remove(req, &secret, err);
        return kind == KT_OK ? secret_save(req, &secret, err) : kind;
    }
    if (!rotation_clock_trusts(p->rotation, req->now_ms)) {
        p->next_ms = secret.due_ms; /* the next look says what is wrong with the clock */
        return KT_OK;
    }
    return judge(p, req, &secret, entry->key, err);
}

static enum kt_kind scan_handler(struct request *req, struct kt_err *err)
{
    struct scan_pass *p = req->handler_data;
    unsigned char table = TABLE_DUE;
    p->more = p->started = p->touches = p->on = false;
    p->next_ms = INT64_MAX;
    bool paused = false; /* who ends that wakes the thread */
    enum kt_kind kind = is_paused(req, &paused, err);
    if (kind != KT_OK || paused)
        return kind;
    unsigned looked = 0;
    struct rows rows;
    rows_begin(&rows, req, kt_bytes(&table, 1), kt_bytes(p->from, p->has_from ? DUE_KEY : 0),
               "looking at what is due");
    for (; looked < ROWS_MOST && kind == KT_OK && !p->more && rows_next(&rows); looked++) {
        struct kt_bytes key = rows.entry.key;
        if (key.len != DUE_KEY || (p->has_from && memcmp(key.at, p->from, DUE_KEY) == 0))
            continue;
        int64_t due = due_time_of_key(key);
        if (due > req->now_ms) {
            p->next_ms = due < p->next_ms ? due : p->next_ms;
            break;
        }
        kind = look_at_row(p, req, &rows.entry, err);
        if (kind == KT_CORRUPT || kind == KT_INVALID || kind == KT_NOT_FOUND) {
            /* One row that cannot be read does not hold up all behind it. */
            kt_log_err(KT_LOG_WARNING, "rotation-due", err);
            pass_over(p, key, req->now_ms + LATER_MS);
            batch_free(req->batch);
            req->batch = NULL;
            p->more = p->started = false;
            *err = (struct kt_err){0};
            kind = KT_OK;
        }
    }
    p->on = looked == ROWS_MOST && !p->more;
    return rows_end(&rows, kind, err);
}

/* ---- many at a time ----
 *
 * A run without a target is one commit and binds nothing, so many of them are made side by side and
 * share commits. Those with a target are passed over here: the caps want them one after the other. */

struct burst_row {
    struct scan_pass pass;
    unsigned char key[DUE_KEY];
};

struct burst {
    struct rotation *rotation;
    struct burst_row rows[BURST];
    struct internal_request requests[BURST];
    size_t n;
    unsigned char from[DUE_KEY]; /* rows up to here were looked at */
    bool has_from, ended;
};

static bool binds_nothing(struct request *req, const struct entry *entry)
{
    const char *name = NULL;
    struct rotation_secret secret;
    return due_row_name(req, entry, &name, NULL) == KT_OK &&
           secret_load(req, name, &secret, NULL) == KT_OK &&
           !settings_has_target(&secret.settings);
}

static enum kt_kind gather_handler(struct request *req, struct kt_err *err)
{
    struct burst *burst = req->handler_data;
    unsigned char table = TABLE_DUE;
    burst->n = 0;
    burst->ended = false;
    enum kt_kind kind = is_paused(req, &burst->ended, err);
    if (kind != KT_OK || burst->ended)
        return kind;
    struct rows rows;
    rows_begin(&rows, req, kt_bytes(&table, 1), kt_bytes(burst->from, burst->has_from ? DUE_KEY : 0),
               "looking at what is due");
    for (unsigned i = 0; i < ROWS_MOST && burst->n < BURST && !burst->ended; i++) {
        struct kt_bytes key = {0};
        if (rows_next(&rows))
            key = rows.entry.key;
        if (key.len != DUE_KEY || due_time_of_key(key) > req->now_ms) {
            burst->ended = true;
            continue;
        }
        bool seen = burst->has_from && memcmp(key.at, burst->from, DUE_KEY) == 0;
        if (!seen && binds_nothing(req, &rows.entry))
            memcpy(burst->rows[burst->n++].key, key.at, DUE_KEY);
        memcpy(burst->from, key.at, DUE_KEY);
        burst->has_from = true;
    }
    return rows_end(&rows, KT_OK, err);
}

static enum kt_kind row_handler(struct request *req, struct kt_err *err)
{
    struct burst_row *row = req->handler_data;
    struct entry entry;
    enum store_error found = snapshot_get(req->snapshot, kt_bytes(row->key, DUE_KEY), &entry);
    if (found == STORE_NOT_FOUND)
        return KT_OK;
    if (found != STORE_OK)
        return kt_fail(err, KT_IO, "looking at what is due");
    return binds_nothing(req, &entry) ? look_at_row(&row->pass, req, &entry, err) : KT_OK;
}

/* False: there are no more, or something failed that the other way is to find and say. */
static bool burst_once(struct burst *burst)
{
    struct kt_err err = {0};
    if (request_internal(burst->rotation->core, "rotation/due", gather_handler, burst, &err) !=
        KT_OK)
        return false;
    for (size_t i = 0; i < burst->n; i++) {
        burst->rows[i].pass = (struct scan_pass){.rotation = burst->rotation};
        burst->requests[i] = (struct internal_request){
            .path = "rotation/due", .fn = row_handler, .arg = &burst->rows[i]};
    }
    request_internal_all(burst->rotation->core, burst->requests, burst->n);
    for (size_t i = 0; i < burst->n; i++)
        if (burst->requests[i].kind != KT_OK)
            return false;
    return !burst->ended;
}

/* True: there may be more of them. */
static bool burst_scan(struct rotation *rotation)
{
    struct burst *burst = kt_calloc(1, sizeof *burst);
    bool more = false;
    if (burst == NULL)
        return false;
    burst->rotation = rotation;
    for (unsigned i = 0; i < PASSES_MOST && !atomic_load(&rotation->stopping); i++) {
        more = burst_once(burst);
        if (!more)
            break;
    }
    free(burst);
    return more;
}

/* ---- one after the other ---- */

/* Counts against the caps from now on, not only when it was looked at. */
static void note_started(struct rotation *rotation, const struct scan_pass *p)
{
    count_start(rotation, rotation_steady_ms(rotation));
    for (struct active *a = rotation->actives; a != NULL; a = a->next) {
        if (memcmp(a->id, p->run, RUN_ID) != 0)
            continue;
        a->touches = true;
        memcpy(a->target, p->target, sizeof a->target);
    }
}

void due_scan(struct rotation *rotation)
{
    struct scan_pass pass = {
        .rotation = rotation, .next_ms = INT64_MAX, .held_ms = INT64_MAX};
    if (burst_scan(rotation)) {
        rotation->next_due_ms = 0;
        return;
    }
    rotation->next_due_ms = INT64_MAX;
    for (unsigned i = 0; i < PASSES_MOST && !atomic_load(&rotation->stopping); i++) {
        struct kt_err err = {0};
        enum kt_kind kind =
            request_internal(rotation->core, "rotation/due", scan_handler, &pass, &err);
        if (kind != KT_OK) {
            if (kind != KT_SEALED)
                kt_log_err(KT_LOG_WARNING, "rotation-due", &err);
            pass.held_ms = kt_wall_ms(rotation->core->clock) + HELD_MS;
            pass.more = false;
            break;
        }
        if (pass.started && pass.touches) {
            actives_scan(rotation);
            note_started(rotation, &pass);
        }
        if (!pass.more && !pass.on)
            break;
    }
    rotation->next_due_ms = pass.more                        ? 0
                            : pass.next_ms < pass.held_ms ? pass.next_ms
                                                          : pass.held_ms;
}

/* ---- runs that have not ended ---- */

struct actives_pass {
    unsigned char (*ids)[RUN_ID];
    size_t n;
};

static enum kt_kind actives_handler(struct request *req, struct kt_err *err)
{
    struct actives_pass *p = req->handler_data;
    unsigned char table = TABLE_ACTIVE;
    free(p->ids);
    p->ids = NULL;
    p->n = 0;
    size_t room = 0;
    enum kt_kind kind = KT_OK;
    struct rows rows;
    rows_begin(&rows, req, kt_bytes(&table, 1), kt_bytes(NULL, 0), "looking for runs");
    while (kind == KT_OK && rows_next(&rows)) {
        if (rows.entry.key.len != RUN_KEY)
            continue;
        if (p->n == room) {
            room = room == 0 ? 16 : room * 2;
            unsigned char(*more)[RUN_ID] = realloc(p->ids, room * sizeof *more);
            if (more == NULL) {
                kind = kt_fail(err, KT_NO_MEMORY, "looking for runs");
                break;
            }
            p->ids = more;
        }
        memcpy(p->ids[p->n++], rows.entry.key.at + 1, RUN_ID);
    }
    return rows_end(&rows, kind, err);
}

static bool is_known(const struct rotation *rotation, const unsigned char id[RUN_ID])
{
    for (const struct active *a = rotation->actives; a != NULL; a = a->next)
        if (memcmp(a->id, id, RUN_ID) == 0)
            return true;
    return false;
}

/* It counts against the caps when it was looked at; one that due_scan() started, at once (note_started()). */
static void add_active(struct rotation *rotation, const unsigned char id[RUN_ID])
{
    struct active *active = kt_calloc(1, sizeof *active);
    if (active == NULL)
        return; /* found again at the next look */
    memcpy(active->id, id, RUN_ID);
    run_id_text(id, active->text);
    (void)pthread_mutex_lock(&rotation->lock);
    active->next = rotation->actives;
    rotation->actives = active;
    (void)pthread_mutex_unlock(&rotation->lock);
}

void actives_scan(struct rotation *rotation)
{
    struct actives_pass pass = {0};
    struct kt_err err = {0};
    enum kt_kind kind =
        request_internal(rotation->core, "rotation/runs", actives_handler, &pass, &err);
    if (kind != KT_OK && kind != KT_SEALED)
        kt_log_err(KT_LOG_WARNING, "rotation-runs", &err);
    for (size_t i = 0; i < pass.n; i++)
        if (!is_known(rotation, pass.ids[i]))
            add_active(rotation, pass.ids[i]);
    free(pass.ids);
}
