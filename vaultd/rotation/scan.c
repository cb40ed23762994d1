#include <stdio.h>
#include <stdlib.h>

#include "lib/failpoint.h"
#include "lib/log.h"
#include "vaultd/core/rows.h"
#include "vaultd/rotation/calendar.h"
#include "vaultd/rotation/engine.h"
#include "vaultd/rotation/order.h"
#include "vaultd/rotation/pause.h"
#include "vaultd/rotation/places.h"
#include "vaultd/rotation/run.h"
#include "vaultd/rotation/together.h"

/* What is due is looked at from the front of its index, a row at a time: started, moved, or passed
 * over while the caps bind. Who waits for a place or for his turn keeps his row, so that the line stays as it was,
 * and costs a step over it (waiting.h). */

#define ROWS_MOST   256u   /* looked at in one pass */
#define STEPS_MOST  65536u /* or stepped over */
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
    bool burst; /* one of many that are looked at side by side: whose turn is before its own is left in `waits_for` */
    char waits_for[RUN_ID_TEXT];
    bool on; /* none of so many rows could be started: those behind them are still to be looked at */
    unsigned char run[RUN_ID];
    char target[TARGET_NAME_MAX + 1];
};

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

/* Nothing starts at the target of this row in this look: what waits there, too, is not opened. */
static void wait_for_place(struct scan_pass *p, struct kt_bytes key, const char *target, int64_t until_ms)
{
    waiting_close(&p->rotation->due_waiting, key, WAITING_PLACE, target);
    pass_over(p, key, until_ms);
}

/* Nor what waits for the same one, wherever that is. */
static void wait_for_turn(struct scan_pass *p, struct kt_bytes key, const unsigned char before[RUN_ID], int64_t now_ms)
{
    char name[RUN_ID_TEXT];
    run_id_text(before, name);
    if (p->burst) {
        memcpy(p->waits_for, name, sizeof name);
        return;
    }
    waiting_close(&p->rotation->due_waiting, key, WAITING_TURN, name);
    pass_over(p, key, now_ms + HELD_MS);
}

/* Nothing starts where runs fail one after the other, until one passes its preflight, nor where nobody could log in:
 * somebody will write that login again. */
static bool target_rests(struct request *req, struct rotation_target *target)
{
    return target->failures >= ROTATION_BREAKER || target_login(req, target, NULL) == KT_INVALID;
}

/* One account, and a pair of them, has one run at a time. All that want it are remembered by its lock, whose holder
 * may be another one in the next look. */
static bool waits_for_account(struct scan_pass *p, struct request *req, const struct rotation_secret *secret,
                              struct kt_bytes key)
{
    unsigned char holder[RUN_ID], lock[BARRIER_HASH_KEY];
    if (run_lock_holder(req, &secret->settings, holder, NULL) != KT_OK)
        return false;
    run_lock_key(req->core, &secret->settings, lock);
    wait_for_turn(p, key, lock + 1, req->now_ms);
    return true;
}

/* True: not now, for a reason that passes. */
static bool has_to_wait(struct scan_pass *p, struct request *req,
                        const struct rotation_secret *secret, struct kt_bytes key)
{
    struct rotation_target target;
    int64_t steady = rotation_steady_ms(p->rotation), when = 0;
    if (!settings_has_target(&secret->settings) ||
        target_load(req, secret->settings.target, &target, NULL) != KT_OK)
        return false; /* starting it says what is wrong */
    bool free = place_free(p->rotation, NULL, &target) && !target_rests(req, &target);
    if (free && starts_left_at(p->rotation, &target, steady, &when))
        return waits_for_account(p, req, secret, key);
    wait_for_place(p, key, target.name, req->now_ms + (free ? when - steady : HELD_MS));
    return true;
}

/* The same of all that would start with it: *ret true: one of them may not now. */
static enum kt_kind mates_have_to_wait(struct scan_pass *p, struct request *req, const struct rotation_secret *secret,
                                       struct kt_bytes key, bool *ret, struct kt_err *err)
{
    const char *names[TOGETHER_MAX];
    size_t n = 0;
    *ret = false;
    enum kt_kind kind = together_others(req, secret, names, &n, err);
    for (size_t i = 0; i < n && kind == KT_OK && !*ret; i++) {
        struct rotation_secret mate;
        kind = secret_load(req, names[i], &mate, err);
        *ret = kind == KT_OK && start_is_held(p->rotation, req, &mate);
        if (kind == KT_NOT_FOUND) /* starting it says so */
            kind = KT_OK;
    }
    if (*ret)
        pass_over(p, key, req->now_ms + HELD_MS);
    return kind;
}

/* True: others are rotated first. *ret_ahead: of whom it does not wait for. */
static enum kt_kind has_to_follow(struct scan_pass *p, struct request *req, const struct rotation_secret *secret,
                                  struct kt_bytes key, bool *ret, const char **ret_ahead, struct kt_err *err)
{
    struct order_wait wait;
    enum kt_kind kind = order_look(req, secret, &wait, err);
    if (kind != KT_OK)
        return kind;
    *ret = wait.waits;
    *ret_ahead = wait.text;
    if (wait.waits)
        wait_for_turn(p, key, wait.id, req->now_ms);
    return KT_OK;
}

/* Nothing that has a target starts at all: only when the next row is due is asked for. What has none was
 * looked at before. */
static void pass_over_all(struct scan_pass *p, int64_t now_ms)
{
    unsigned char last[RUN_ID];
    int64_t steady = rotation_steady_ms(p->rotation), when = 0;
    bool taken = places_taken(p->rotation);
    if (starts_left(p->rotation, steady, &when) && !taken)
        return;
    memset(last, 0xff, sizeof last);
    due_key(now_ms, last, p->from);
    p->has_from = true;
    when = taken ? now_ms + HELD_MS : now_ms + (when - steady);
    if (when < p->held_ms)
        p->held_ms = when;
}

bool start_is_held(struct rotation *rotation, struct request *req, const struct rotation_secret *secret)
{
    struct rotation_target target;
    unsigned char holder[RUN_ID];
    int64_t steady = rotation_steady_ms(rotation), when = 0;
    if (!settings_has_target(&secret->settings) ||
        target_load(req, secret->settings.target, &target, NULL) != KT_OK)
        return false; /* starting it says what is wrong */
    return !place_free(rotation, NULL, &target) || places_taken(rotation) ||
           target_rests(req, &target) || !starts_left(rotation, steady, &when) ||
           !starts_left_at(rotation, &target, steady, &when) ||
           run_lock_holder(req, &secret->settings, holder, NULL) == KT_OK;
}

static enum kt_kind is_paused(struct request *req, bool *ret, struct kt_err *err)
{
    struct rotation_pause pause;
    return pause_load(req, &pause, ret, err);
}

/* An age goes over a window, as news do, and nothing over a blackout. 0: never. */
static int64_t closes_ms(const struct request *req, const struct rotation_secret *secret,
                         const struct kt_blackout *blackout)
{
    int64_t window_ms = kt_due_over_windows(secret->reason) ? INT64_MAX : secret->closes_ms;
    int64_t begins_ms = blackout == NULL ? INT64_MAX : kt_blackout_begins(blackout, req->now_ms);
    int64_t first_ms = window_ms < begins_ms ? window_ms : begins_ms;
    return first_ms == INT64_MAX ? 0 : first_ms;
}

static enum kt_kind start_due(struct scan_pass *p, struct request *req,
                              struct rotation_secret *secret, const struct kt_blackout *blackout,
                              const char *ahead, struct kt_err *err)
{
    const struct run_wish wish = {
        .went_ahead = ahead,
        .trigger = secret->reason == KT_DUE_MAX_AGE ? TRIGGER_MAX_AGE : TRIGGER_SCHEDULE,
        .reason = "",
        .by = "keyturn",
        .closes_ms = closes_ms(req, secret, blackout)};
    struct run *run = NULL;
    size_t n = 0;
    bool held = false;
    enum kt_kind kind = is_paused(req, &held, err);
    if (kind != KT_OK || held)
        return kind;
    kind = together_start(req, secret, &wish, &run, &n, err);
    if (kind == KT_OK) {
        pause_require_off(req, req->batch);
        p->started = true;
        p->touches = run_touches_target(run);
        p->more = true;
        memcpy(p->run, run->id, RUN_ID);
        (void)snprintf(p->target, sizeof p->target, "%s", run->settings.target);
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
    kind = due_refused(req, secret, err);
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
    bool waits = false;
    const char *ahead = "";
    enum kt_due_verdict verdict = kt_schedule_judge(by.schedule, &due, req->now_ms, &when);
    secret->closes_ms = due.closes_ms;
    switch (verdict) {
    case KT_DUE_START:
        kind = has_to_follow(p, req, secret, key, &waits, &ahead, err);
        if (kind != KT_OK || waits || has_to_wait(p, req, secret, key))
            return kind;
        kind = mates_have_to_wait(p, req, secret, key, &waits, err);
        if (kind != KT_OK || waits)
            return kind;
        return start_due(p, req, secret, by.blackout, ahead, err);
    case KT_DUE_WAIT:
        p->more = true;
        kind = due_move(req, secret, when > req->now_ms ? when : req->now_ms + HELD_MS, err);
        break;
    case KT_DUE_MISSED:
        p->more = true;
        due_began(secret, req->now_ms);
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
    pass_over_all(p, req->now_ms);
    unsigned looked = 0, stepped = 0;
    struct rows rows;
    rows_begin(&rows, req, kt_bytes(&table, 1), kt_bytes(p->from, p->has_from ? DUE_KEY : 0),
               "looking at what is due");
    while (looked < ROWS_MOST && stepped < STEPS_MOST && kind == KT_OK && !p->more &&
           rows_next(&rows)) {
        struct kt_bytes key = rows.entry.key;
        if (key.len != DUE_KEY || (p->has_from && memcmp(key.at, p->from, DUE_KEY) == 0))
            continue;
        int64_t due = due_time_of_key(key);
        if (due > req->now_ms) {
            p->next_ms = due < p->next_ms ? due : p->next_ms;
            break;
        }
        if (waiting_closed(&p->rotation->due_waiting, key)) {
            pass_over(p, key, INT64_MAX); /* until the one before it */
            stepped++;
            continue;
        }
        looked++;
        kind = look_at_row(p, req, &rows.entry, err);
        if (kind == KT_CORRUPT || kind == KT_INVALID || kind == KT_NOT_FOUND || kind == KT_NO_MEMORY) {
            /* One row that cannot be read, or whose start cannot be written, does not hold up all behind it. */
            kt_log_err(KT_LOG_WARNING, "rotation-due", err);
            pass_over(p, key, req->now_ms + LATER_MS);
            batch_free(req->batch);
            req->batch = NULL;
            p->more = p->started = false;
            *err = (struct kt_err){0};
            kind = KT_OK;
        }
    }
    p->on = (looked == ROWS_MOST || stepped == STEPS_MOST) && !p->more;
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
    bool made, waits; /* some were made; some wait for others to go first */
};

/* NULL: it cannot be said. */
static const char *target_of(struct request *req, const struct entry *entry)
{
    const char *name = NULL;
    struct rotation_secret secret;
    return due_row_name(req, entry, &name, NULL) == KT_OK &&
                   secret_load(req, name, &secret, NULL) == KT_OK
               ? secret.settings.target
               : NULL;
}

/* Into the burst, when it binds nothing. */
static void gather(struct burst *burst, struct request *req, const struct entry *entry)
{
    const char *target = target_of(req, entry);
    if (target == NULL)
        return;
    if (target[0] == '\0')
        memcpy(burst->rows[burst->n++].key, entry->key.at, DUE_KEY);
    else
        (void)waiting_add(&burst->rotation->due_waiting, entry->key, WAITING_PLACE, target);
}

/* It has a target, or waits for another to go first, which was looked at. */
static bool waits_elsewhere(const struct burst *burst, struct kt_bytes key)
{
    const struct waiting_line *waiting = &burst->rotation->due_waiting;
    return waiting_has_target(waiting, key) || waiting_closed(waiting, key);
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
    unsigned looked = 0, stepped = 0;
    while (looked < ROWS_MOST && stepped < STEPS_MOST && burst->n < BURST && !burst->ended) {
        struct kt_bytes key = {0};
        if (rows_next(&rows))
            key = rows.entry.key;
        if (key.len != DUE_KEY || due_time_of_key(key) > req->now_ms) {
            burst->ended = true;
            continue;
        }
        bool seen = burst->has_from && memcmp(key.at, burst->from, DUE_KEY) == 0;
        if (seen || waits_elsewhere(burst, key)) {
            stepped++;
        } else {
            gather(burst, req, &rows.entry);
            looked++;
        }
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
    const char *target = target_of(req, &entry);
    return target != NULL && target[0] == '\0' ? look_at_row(&row->pass, req, &entry, err) : KT_OK;
}

/* What its request left behind. */
static void took_row(struct burst *burst, const struct burst_row *row)
{
    burst->made = burst->made || row->pass.started;
    if (row->pass.waits_for[0] == '\0')
        return;
    waiting_close(&burst->rotation->due_waiting, kt_bytes(row->key, DUE_KEY), WAITING_TURN, row->pass.waits_for);
    burst->waits = true;
}

/* False: there are no more, or something failed that the other way is to find and say. */
static bool burst_once(struct burst *burst)
{
    struct kt_err err = {0};
    if (request_internal(burst->rotation->core, "rotation/due", gather_handler, burst, &err) !=
        KT_OK)
        return false;
    for (size_t i = 0; i < burst->n; i++) {
        burst->rows[i].pass = (struct scan_pass){.rotation = burst->rotation, .burst = true};
        burst->requests[i] = (struct internal_request){
            .path = "rotation/due", .fn = row_handler, .arg = &burst->rows[i]};
    }
    request_internal_all(burst->rotation->core, burst->requests, burst->n);
    for (size_t i = 0; i < burst->n; i++)
        if (burst->requests[i].kind != KT_OK)
            return false;
    for (size_t i = 0; i < burst->n; i++)
        took_row(burst, &burst->rows[i]);
    return !burst->ended;
}

/* True: some were made, and there may be more of them, or some that waited for those. */
static bool burst_scan(struct rotation *rotation, bool *ret_waits)
{
    struct burst *burst = kt_calloc(1, sizeof *burst);
    bool more = false, again = false;
    if (burst == NULL)
        return false;
    burst->rotation = rotation;
    for (unsigned i = 0; i < PASSES_MOST && !atomic_load(&rotation->stopping); i++) {
        more = burst_once(burst);
        if (!more)
            break;
    }
    again = burst->made && (more || burst->waits);
    *ret_waits = burst->waits;
    free(burst);
    return again;
}

/* ---- one after the other ---- */

/* Counts against the caps from now on, not only when it was looked at. */
void start_counted(struct rotation *rotation, const unsigned char run[RUN_ID], const char *target)
{
    bool counted = false;
    actives_scan(rotation);
    for (struct active *a = rotation->actives; a != NULL; a = a->next) {
        if (memcmp(a->id, run, RUN_ID) != 0)
            continue;
        counted = a->counted;
        (void)pthread_mutex_lock(&rotation->lock);
        a->touches = true;
        (void)snprintf(a->target, sizeof a->target, "%s", target);
        (void)pthread_mutex_unlock(&rotation->lock);
    }
    if (!counted)
        start_count(rotation, target, rotation_steady_ms(rotation));
}

void due_scan(struct rotation *rotation)
{
    struct scan_pass pass = {
        .rotation = rotation, .next_ms = INT64_MAX, .held_ms = INT64_MAX};
    waiting_begin(&rotation->due_waiting, kt_mono_ms(rotation->core->clock));
    bool waits = false;
    if (burst_scan(rotation, &waits)) {
        rotation->next_due_ms = 0;
        return;
    }
    if (waits)
        pass.held_ms = kt_wall_ms(rotation->core->clock) + HELD_MS;
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
        if (pass.started && pass.touches)
            start_counted(rotation, pass.run, pass.target);
        if (!pass.more && !pass.on)
            break;
    }
    rotation->next_due_ms = pass.more                        ? 0
                            : pass.next_ms < pass.held_ms ? pass.next_ms
                                                          : pass.held_ms;
}
