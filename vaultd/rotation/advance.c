#include "vaultd/rotation/pass.h"

#include <stdio.h>

#include "lib/failpoint.h"
#include "lib/log.h"
#include "lib/random.h"
#include "vaultd/rotation/candidates.h"
#include "vaultd/rotation/pause.h"
#include "vaultd/rotation/places.h"
#include "vaultd/rotation/plan.h"
#include "vaultd/rotation/served.h"
#include "vaultd/rotation/together.h"

/* What a run needs next, what is done for it, and what becomes of the run in memory. */

#define PAUSE_BASE_MS  ((int64_t)1000)
#define PAUSE_MOST_MS  ((int64_t)300 * 1000)
#define LATER_MS       ((int64_t)60 * 1000)
#define LOOK_LEAST_MS  100 /* between two looks for sessions, however low `settle` is */
#define FORGET_AT_ONCE 90u /* a batch has room for 100 operations */

void pass_wait(struct pass *p, int64_t until_ms, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(p->waits_for, sizeof p->waits_for, format, args);
    va_end(args);
    p->waits_until_ms = until_ms;
    p->wake_ms = until_ms == 0 ? p->now_ms + LATER_MS : until_ms;
}

enum kt_kind pass_event(struct pass *p, struct work *w, enum run_event event, const char *why,
                        struct kt_err *err)
{
    enum kt_kind kind = work_event(w, event, p->now_ms, why, err);
    p->moved = kind == KT_OK;
    return kind;
}

bool pass_allows(struct pass *p, const struct work *w, enum job_kind job_kind)
{
    int64_t when = 0;
    if (plan_allowed(w, job_kind, p->now_ms, &when))
        return true;
    pass_wait(p, when, "the target's limit for tests of a login (probe_spacing, "
                       "max_refusals_per_hour)");
    return false;
}

bool pass_has_login(struct pass *p, const struct work *w)
{
    if (!w->has_login)
        pass_wait(p, 0, "%s", w->no_login.what);
    return w->has_login;
}

/* While a job waits in the pool its run hears of nothing, not even that it is to go back: so it is not left
 * there to wait. */
static bool may_ask(struct pass *p, const struct work *w)
{
    if (!pass_has_login(p, w))
        return false;
    if (w->run.machine.state == RUN_ROLLING_BACK || job_has_room(p->rotation, &w->target))
        return true;
    pass_wait(p, 0, "what is asked at target %s now, to have its answer (max_runs)", w->target.name);
    return false;
}

bool pass_may_look(const struct pass *p, const struct work *w)
{
    return w->has_login && place_free(p->rotation, p->active, &w->target) &&
           job_has_room(p->rotation, &w->target);
}

/* Without asking the limits: what was decided upon is sent. */
static enum kt_kind leave_job(struct pass *p, struct work *w, enum job_kind job_kind,
                              struct kt_err *err)
{
    if (!may_ask(p, w))
        return KT_OK;
    enum kt_kind kind = plan_job(w, job_kind, &p->job, err);
    if (kind == KT_NOT_FOUND) {
        unsigned fx = 0;
        machine_freeze(&w->run.machine, FROZEN_STORE, &fx);
        kind = work_commit(w, fx, p->now_ms, err->what, err);
        p->moved = kind == KT_OK;
    }
    return kind;
}

enum kt_kind pass_job(struct pass *p, struct work *w, enum job_kind job_kind, struct kt_err *err)
{
    return pass_allows(p, w, job_kind) ? leave_job(p, w, job_kind, err) : KT_OK;
}

bool pass_deadline_over(const struct pass *p, const struct run *run, int64_t *ret_at)
{
    int64_t at = run->deadline_ms;
    if (p->active->floor_of_ms == run->deadline_ms && p->active->floor_ms > at)
        at = p->active->floor_ms;
    *ret_at = at;
    return run->deadline_ms != 0 && p->now_ms >= at;
}

/* ---- what it needs ---- */

/* A window and a calendar say when a scheduled run may begin to change something; it comes again after. */
static bool too_late_to_begin(const struct work *w)
{
    const struct run *run = &w->run;
    return !state_has_begun(run->machine.state) && run->closes_ms != 0 && w->req->now_ms >= run->closes_ms;
}

int64_t pass_or_window(const struct pass *p, const struct work *w, int64_t at)
{
    int64_t closes_ms = w->run.closes_ms == 0 ? 0 : p->now_ms + (w->run.closes_ms - w->req->now_ms);
    return closes_ms != 0 && (at == 0 || closes_ms < at) ? closes_ms : at;
}

static void wait_for_place(struct pass *p, const struct work *w)
{
    const char *why = places_why(w->req, &w->target);
    pass_wait(p, 0, "%s", why == NULL || why[0] == '\0' ? "its turn" : why);
}

/* since_ms: when that began, for all that is known. Before this state did, another was held up. */
static void note_held(struct pass *p, const struct work *w, int64_t since_ms)
{
    since_ms = p->held_ms != 0 ? p->held_ms : since_ms;
    since_ms = since_ms < w->run.state_ms ? w->run.state_ms : since_ms;
    p->held_ms = since_ms > p->now_ms ? p->now_ms : since_ms;
}

/* A run that somebody started since is meant to go on; going back and mending are never held up. To have a
 * target make another value is no mending: nobody has that one yet. */
static enum kt_kind held_by_pause(struct pass *p, struct work *w, bool *ret, struct kt_err *err)
{
    struct rotation_pause pause;
    *ret = false;
    enum run_trigger trigger = w->run.trigger;
    bool mends = trigger == TRIGGER_RECONCILE && !w->run.machine.given;
    if (state_has_begun(w->run.machine.state) || trigger == TRIGGER_BACK || mends)
        return KT_OK;
    enum kt_kind kind = pause_load(w->req, &pause, ret, err);
    if (kind != KT_OK || !*ret)
        return kind;
    *ret = w->run.started_ms <= pause.since_ms;
    if (*ret)
        note_held(p, w, p->now_ms - (w->req->now_ms - pause.since_ms));
    const char *text = pause_text(w->req, &pause, *ret);
    if (*ret)
        pass_wait(p, 0, "secretctl run resume: rotation is %s", text == NULL ? "paused" : text);
    return KT_OK;
}

/* A run that was held gave its place at the target to others; so did one that a restart found there. */
static bool has_no_place(struct pass *p, const struct work *w)
{
    if (!pass_has_login(p, w))
        return true;
    if (p->active->touches || place_free(p->rotation, p->active, &w->target))
        return false;
    wait_for_place(p, w);
    return true;
}

/* One that waits for consumers to have both does so without a place: see want_apply(). */
static bool held_by_others(struct pass *p, const struct work *w)
{
    enum run_state state = w->run.machine.state;
    bool waits = state == RUN_GENERATED && candidates_matter(&w->run);
    return !waits && !state_has_begun(state) && state != RUN_PLANNED && has_no_place(p, w);
}

static enum kt_kind want_preflight(struct pass *p, struct work *w, struct kt_err *err)
{
    struct run *run = &w->run;
    struct acks acks;
    int64_t at = 0;
    acks_judge(run, w->consumers, w->n_consumers, &acks);
    /* Where the stored one is refused consumers are not well: that is what it mends. */
    if (!run->settings.require_healthy || acks.sick == NULL || run->machine.mends)
        return pass_job(p, w, JOB_PREFLIGHT, err);
    if (pass_deadline_over(p, run, &at)) {
        const char *why = kt_arena_printf(&w->req->arena, "%s@%s was unhealthy before the change: %s",
                                          acks.sick->service, acks.sick->host, acks.sick->detail);
        w->blameless = true;
        return pass_event(p, w, EV_TIMEOUT, why, err);
    }
    pass_wait(p, pass_or_window(p, w, at), "%s@%s to be healthy before anything is changed (%s)", acks.sick->service,
              acks.sick->host, acks.sick->detail);
    return KT_OK;
}

static enum kt_kind want_apply(struct pass *p, struct work *w, struct kt_err *err)
{
    bool held = false;
    enum kt_kind kind = await_candidates(p, w, &held, err);
    p->rests = kind == KT_OK && (held || has_no_place(p, w));
    /* In-place the probe follows the change at once, so there has to be room for it. */
    if (kind != KT_OK || p->rests || !pass_allows(p, w, JOB_APPLY))
        return kind;
    kind = candidates_note(w, err);
    return kind == KT_OK ? pass_event(p, w, EV_OK, NULL, err) : kind;
}

static enum kt_kind want_commit(struct pass *p, struct work *w, struct kt_err *err)
{
    struct run *run = &w->run;
    if (run->machine.state == RUN_PLANNED && !pass_has_login(p, w))
        return KT_OK;
    if (run->machine.state == RUN_PLANNED &&
        !place_free(p->rotation, p->active, &w->target)) {
        wait_for_place(p, w);
        return KT_OK;
    }
    if (run->machine.state == RUN_PLANNED && !rotation_can_run(p->rotation)) {
        pass_wait(p, 0, "this vaultd was started without what runs drivers");
        return KT_OK;
    }
    return run->machine.state == RUN_GENERATED ? want_apply(p, w, err) : pass_event(p, w, EV_OK, NULL, err);
}

static enum kt_kind want_verify(struct pass *p, struct work *w, struct kt_err *err)
{
    int64_t spread = w->run.state_ms + w->run.settings.propagation_s * 1000;
    if (p->now_ms < spread) {
        pass_wait(p, spread, "the target to spread the change");
        return KT_OK;
    }
    return pass_job(p, w, JOB_VERIFY, err);
}

/* Consumers that are to go back wait neither for room nor for a login. */
static enum kt_kind want_ask_old(struct pass *p, struct work *w, struct kt_err *err)
{
    int64_t at = 0;
    bool allowed = rotation_can_run(p->rotation) && w->has_login && plan_allowed(w, JOB_PROBE, p->now_ms, &at);
    return allowed ? leave_job(p, w, JOB_PROBE, err) : pass_event(p, w, EV_OK, NULL, err);
}

static enum kt_kind next_step(struct pass *p, struct work *w, struct kt_err *err)
{
    switch (machine_want(&w->run.machine)) {
    case WANT_NOTHING:
        return KT_OK;
    case WANT_PERSON:
        return await_person(p, w, err);
    case WANT_COMMIT:
        return want_commit(p, w, err);
    case WANT_PREFLIGHT:
        return want_preflight(p, w, err);
    case WANT_PROBE:
        return pass_job(p, w, JOB_PROBE, err);
    case WANT_ASK_OLD:
        return want_ask_old(p, w, err);
    case WANT_VERIFY:
        return want_verify(p, w, err);
    case WANT_APPLY:
        return leave_job(p, w, JOB_APPLY, err);
    case WANT_RESTORE:
        return leave_job(p, w, JOB_RESTORE, err);
    case WANT_REVOKE:
        return pass_job(p, w, JOB_REVOKE, err);
    case WANT_REVOKE_NEW:
        return pass_job(p, w, JOB_REVOKE_NEW, err);
    case WANT_ACKS:
        return await_acks(p, w, err);
    case WANT_OVERLAP:
        return await_overlap(p, w, err);
    case WANT_RETURN:
        return await_return(p, w, err);
    }
    return kt_fail(err, KT_INTERNAL, "a run wants what nobody knows");
}

/* What a wait has left did not run out while nothing came of anybody's word; nor less than after a restart. */
static enum kt_kind go_on(struct pass *p, struct work *w, struct kt_err *err)
{
    struct run *run = &w->run;
    int64_t held_ms = p->now_ms - p->held_ms;
    int64_t least = p->now_ms + (run->span_ms < PASS_RESTART_MS ? run->span_ms : PASS_RESTART_MS);
    run->state_ms += held_ms;
    if (run->deadline_ms != 0 && (run->deadline_ms += held_ms) < least)
        run->deadline_ms = least;
    p->held_ms = 0;
    p->moved = true;
    return run_save(w->req, run, err);
}

static enum kt_kind decide(struct pass *p, struct work *w, struct kt_err *err)
{
    struct active *active = p->active;
    if (active->finished != NULL) {
        if (KT_FAILPOINT(run_outcome_commit))
            return kt_fail(err, KT_FULL, "storing an outcome");
        enum kt_kind settled = job_settle(w, active->finished, p->now_ms, err);
        p->moved = settled == KT_OK;
        return settled;
    }
    const char *with = NULL;
    enum kt_kind kind = together_back(w, &with, err);
    if (kind != KT_OK)
        return kind;
    if (with != NULL)
        return pass_event(p, w, EV_CANCEL, with, err);
    if (w->run.cancel && machine_can_go_back(&w->run.machine))
        return pass_event(p, w, EV_CANCEL, w->run.cancel_why, err);
    if (too_late_to_begin(w)) {
        w->blameless = w->run.window_closed = true;
        return pass_event(p, w, EV_CANCEL, "its window closed before it could begin, or a blackout began", err);
    }
    kind = pass_note_acks(p, w, err);
    if (kind == KT_OK && !p->moved)
        kind = held_by_pause(p, w, &p->rests, err);
    if (kind != KT_OK || p->moved)
        return kind;
    p->rests = p->rests || held_by_others(p, w);
    if (p->rests) {
        note_held(p, w, p->now_ms);
        return KT_OK;
    }
    return p->held_ms == 0 ? next_step(p, w, err) : go_on(p, w, err);
}

static void leave_behind(struct pass *p, const struct work *w)
{
    const struct machine *m = &w->run.machine;
    p->state = m->state;
    p->back = m->back;
    p->frozen = m->frozen;
    p->fx = w->fx;
    p->fresh = m->fresh;
    p->doubt = m->doubt;
    p->intent = m->intent;
    p->intended = m->open && m->fresh;
    p->touches = run_touches_target(&w->run);
    p->together = w->run.mates.n > 0;
    p->readers_left = w->readers_left && !w->run.machine.mends;
    p->settle_ms = w->target.settle_s * 1000 > LOOK_LEAST_MS ? w->target.settle_s * 1000
                                                             : LOOK_LEAST_MS;
    p->recheck_ms = w->target.recheck_s * 1000;
    p->version = w->run.to;
    memcpy(p->secret, w->run.secret_id, RUN_ID);
    (void)snprintf(p->target, sizeof p->target, "%s", w->run.settings.target);
}

/* The named places at which a test has a commit fail, or ends the vault after it. */
enum place { PLACE_NONE, PLACE_GENERATED, PLACE_INTENT_APPLY, PLACE_INTENT_REVOKE, PLACE_PROMOTED };

static enum place place_of(const struct pass *p)
{
    bool entered = p->state != p->before;
    if (entered && p->state == RUN_GENERATED)
        return PLACE_GENERATED;
    if (p->intended && p->job == NULL && p->intent == INTENT_APPLY)
        return PLACE_INTENT_APPLY;
    if (entered && p->state == RUN_REVOKING)
        return PLACE_INTENT_REVOKE;
    return entered && p->state == RUN_PROMOTED ? PLACE_PROMOTED : PLACE_NONE;
}

static bool has_no_room(const struct pass *p)
{
    switch (place_of(p)) {
    case PLACE_GENERATED:
        return KT_FAILPOINT(run_full_generate);
    case PLACE_INTENT_APPLY:
        return KT_FAILPOINT(run_full_apply);
    case PLACE_INTENT_REVOKE:
        return KT_FAILPOINT(run_full_revoke);
    case PLACE_PROMOTED:
        return KT_FAILPOINT(run_full_promote);
    case PLACE_NONE:
        break;
    }
    return false;
}

/* After a restart: what is noted already, and time for what had no chance meanwhile. */
static enum kt_kind first_look(struct pass *p, struct work *w, struct kt_err *err)
{
    struct active *active = p->active;
    int64_t least = w->run.span_ms < PASS_RESTART_MS ? w->run.span_ms : PASS_RESTART_MS;
    active->since_ms = p->now_ms;
    active->floor_of_ms = w->run.deadline_ms;
    active->floor_ms = p->now_ms + least;
    return noted_load(active, w->req, &w->run, err);
}

static enum kt_kind pass_handler(struct request *req, struct kt_err *err)
{
    struct pass *p = req->handler_data;
    struct active *active = p->active;
    job_free(p->job);
    p->job = NULL;
    p->moved = false;
    p->rests = false;
    p->n_noted = 0;
    p->wake_ms = 0;
    p->waits_for[0] = '\0';
    p->waits_until_ms = 0;
    p->held_ms = active->held_ms;
    p->blamed_ms = active->blamed_ms;
    p->had_both = active->had_both;
    p->lost_ms = active->lost_ms;
    struct work *w = kt_arena_take(&req->arena, sizeof *w);
    if (w == NULL)
        return kt_fail(err, KT_NO_MEMORY, "advancing a run");
    enum kt_kind kind = work_load(req, active->id, w, err);
    if (kind != KT_OK)
        return kind;
    p->before = w->run.machine.state;
    p->state = p->before;
    p->before_back = w->run.machine.back;
    if (run_state_ended(p->state))
        return KT_OK;
    if (!active->loaded)
        kind = first_look(p, w, err);
    if (kind == KT_OK)
        kind = served_look_back(w, err);
    if (kind != KT_OK)
        return kind;
    w->run.machine.fresh = active->fresh;
    w->run.machine.doubt = active->doubt;
    kind = decide(p, w, err);
    if (kind != KT_OK)
        return kind;
    leave_behind(p, w);
    return has_no_room(p) ? kt_fail(err, KT_FULL, "storing a run's step") : KT_OK;
}

/* ---- around the request ---- */

/* As after a crash: what is in memory is forgotten, what is in the store decides. */
static void forget(struct active *active)
{
    active->fresh = active->doubt = false;
    job_free(active->finished);
    active->finished = NULL;
    active->wake_ms = active->not_before_ms = 0;
    active->look_ms = active->recheck_ms = 0;
    active->blamed_ms = active->lost_ms = active->held_ms = 0;
    active->had_both = false;
    active->loaded = false;
}

static int64_t next_pause(struct active *active)
{
    int64_t top = active->pause_ms * 3;
    if (top < 2 * PAUSE_BASE_MS)
        top = 2 * PAUSE_BASE_MS;
    int64_t pause = PAUSE_BASE_MS + (int64_t)kt_random_below((uint32_t)(top - PAUSE_BASE_MS));
    active->pause_ms = pause > PAUSE_MOST_MS ? PAUSE_MOST_MS : pause;
    return active->pause_ms;
}

/* As after the commit: an error there is the same as a crash. */
static bool crashes(const struct pass *p)
{
    switch (place_of(p)) {
    case PLACE_GENERATED:
        return KT_FAILPOINT(run_generated);
    case PLACE_INTENT_APPLY:
        return KT_FAILPOINT(run_intent_apply);
    case PLACE_INTENT_REVOKE:
        return KT_FAILPOINT(run_intent_revoke);
    case PLACE_PROMOTED:
        return KT_FAILPOINT(run_promoted);
    case PLACE_NONE:
        break;
    }
    return false;
}

static bool crashes_before(const struct job *job)
{
    if (job == NULL)
        return false;
    if (job->kind == JOB_APPLY && KT_FAILPOINT(run_apply_done))
        return true;
    if (job->kind == JOB_VERIFY && KT_FAILPOINT(run_verified))
        return true;
    return job->kind == JOB_REVOKE && KT_FAILPOINT(run_revoke_done);
}

/* Names and paths stay out of the log: the run's id leads to them. */
static void say(const struct active *active, const struct pass *p)
{
    if (active->ended)
        kt_log(KT_LOG_NOTICE, "rotation-ended", "run=%s state=%s", active->text,
               run_state_text(p->state));
    else if (p->state == RUN_FROZEN && p->before != RUN_FROZEN)
        kt_log(KT_LOG_ERROR, "rotation-frozen", "run=%s code=%s why=%s next=\"secretctl run show %s\"",
               active->text, frozen_code_text(p->frozen), frozen_code_word(p->frozen),
               active->text);
    else if ((p->fx & FX_PAGE) != 0)
        kt_log(KT_LOG_WARNING, "rotation-page", "run=%s state=%s next=\"secretctl run show %s\"",
               active->text, run_state_text(p->state), active->text);
}

static enum kt_kind forget_handler(struct request *req, struct kt_err *err)
{
    struct pass *p = req->handler_data;
    return readers_forget(req, p->secret, p->version, FORGET_AT_ONCE, &p->readers_left, err);
}

/* Who read versions that are dead by now: a fleet's rows do not fit into the run's last commit. What a
 * crash leaves, the next run of the secret removes. */
static void forget_readers(struct rotation *rotation, struct pass *p)
{
    struct kt_err err = {0};
    while (p->readers_left && !atomic_load(&rotation->stopping))
        if (request_internal(rotation->core, "rotation/readers", forget_handler, p, &err) != KT_OK)
            return;
}

/* True: what finished was a look, which is no try of anything. */
static bool note_look(struct active *active, const struct pass *p)
{
    enum job_kind kind = active->finished == NULL ? JOB_CHECK : active->finished->kind;
    if (kind == JOB_SESSIONS)
        active->look_ms = p->now_ms + p->settle_ms;
    else if (kind == JOB_SERVED)
        active->look_ms = p->now_ms + (active->pause_ms = served_pause(active->finished, active->pause_ms));
    else if (kind == JOB_LOOK)
        active->recheck_ms = p->now_ms + p->recheck_ms;
    return kind == JOB_SESSIONS || kind == JOB_LOOK || kind == JOB_SERVED;
}

static void took(struct rotation *rotation, struct active *active, struct pass *p)
{
    bool retried = active->finished != NULL && p->state == p->before &&
                   p->back == p->before_back && p->job == NULL;
    bool looked = note_look(active, p);
    job_free(active->finished);
    active->finished = NULL;
    active->loaded = true;
    active->fresh = p->fresh;
    active->doubt = p->doubt;
    active->held_ms = p->held_ms;
    active->blamed_ms = p->blamed_ms;
    active->had_both = p->had_both;
    active->lost_ms = p->lost_ms;
    bool asks = p->job != NULL && p->job->target != NULL;
    bool touched = active->touches, touches = p->touches && !p->rests && (state_has_place(p->state) || asks);
    if (touched && !touches)
        rotation_wake(rotation); /* another one may have its turn at the target */
    for (size_t i = 0; i < p->n_noted; i++)
        noted_add(active, &p->noted[i]);
    if (p->state != p->before)
        active->pause_ms = 0;
    (void)pthread_mutex_lock(&rotation->lock);
    active->state = p->state;
    active->ended = run_state_ended(p->state);
    active->touches = touches;
    memcpy(active->target, p->target, sizeof active->target);
    memcpy(active->waits_for, p->waits_for, sizeof active->waits_for);
    active->wake_ms = p->moved ? 0 : p->wake_ms;
    active->not_before_ms = 0;
    if (retried && !looked && !active->fresh && !active->ended)
        active->wake_ms = active->not_before_ms = p->now_ms + next_pause(active);
    active->waits_until_ms = active->not_before_ms != 0 ? active->not_before_ms : p->waits_until_ms;
    (void)pthread_mutex_unlock(&rotation->lock);
    if (p->moved)
        rotation_tell(rotation, active->id);
    if (p->moved && p->together)
        rotation_wake(rotation); /* the others may wait for that */
    say(active, p);
    if (active->ended)
        forget_readers(rotation, p);
}

static void failed(struct rotation *rotation, struct active *active, enum kt_kind kind,
                   const struct kt_err *err)
{
    /* The outcome that could not be stored is kept and tried again: it happened. */
    if (kind == KT_UNKNOWN || kind == KT_CORRUPT)
        forget(active);
    int64_t pause = kind == KT_FULL || kind == KT_BUSY || kind == KT_CONFLICT || kind == KT_IO
                        ? PAUSE_BASE_MS
                        : LATER_MS;
    if (kind == KT_UNKNOWN)
        pause = 0;
    active->wake_ms = active->not_before_ms = rotation_steady_ms(rotation) + pause;
    if (kind == KT_SEALED)
        return;
    (void)pthread_mutex_lock(&rotation->lock);
    (void)snprintf(active->waits_for, sizeof active->waits_for, "the vault: %.250s", err->what);
    active->waits_until_ms = 0;
    (void)pthread_mutex_unlock(&rotation->lock);
    kt_log(KT_LOG_WARNING, "rotation-run", "run=%s error=\"%.300s\" next=\"%.300s\"", active->text, err->what, err->hint);
}

void run_advance(struct rotation *rotation, struct active *active)
{
    if (active->finished != NULL && crashes_before(active->finished)) {
        forget(active);
        return;
    }
    struct pass pass = {
        .rotation = rotation, .active = active, .now_ms = rotation_steady_ms(rotation)};
    struct kt_err err = {0};
    char path[64 + RUN_ID_TEXT];
    (void)snprintf(path, sizeof path, "rotation/runs/%s/step", active->text);
    enum kt_kind kind = request_internal(rotation->core, path, pass_handler, &pass, &err);
    if (kind != KT_OK) {
        job_free(pass.job);
        failed(rotation, active, kind, &err);
        return;
    }
    took(rotation, active, &pass);
    if (crashes(&pass)) {
        job_free(pass.job);
        forget(active);
        return;
    }
    if (pass.job == NULL)
        return;
    active->working = true;
    active->fresh = false;
    job_post(rotation, pass.job);
}
