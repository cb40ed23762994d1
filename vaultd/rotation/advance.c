#include <stdio.h>
#include <stdlib.h>

#include <sodium.h>

#include "lib/failpoint.h"
#include "lib/log.h"
#include "lib/random.h"
#include "vaultd/rotation/plan.h"
#include "vaultd/rotation/probe.h"

/* What a run needs next: one request decides, stores at most one change, and may leave a job for
 * the pool, sent only after the change is stored. The request may be run again when somebody else
 * changed what it rests on, so all that it leaves is in struct pass until it was committed. */

#define PAUSE_BASE_MS  1000
#define PAUSE_MOST_MS  (300 * 1000)
#define LATER_MS       ((int64_t)60 * 1000)
#define SESSIONS_MS    1000
#define ACK_STEPS_MAX  30u
#define RESTART_MS     ((int64_t)30 * 1000)

struct pass {
    struct rotation *rotation;
    struct active *active;
    int64_t now_ms;
    /* left behind */
    struct job *job;
    bool moved;         /* look again at once */
    int64_t wake_ms;
    char waits_for[300];
    int64_t waits_until_ms;
    int64_t blamed_ms;
    enum run_state before, state;
    enum back_step before_back, back;
    enum run_intent intent;
    enum frozen_code frozen;
    unsigned fx;
    bool fresh, doubt, intended, touches;
    char target[TARGET_NAME_MAX + 1];
    struct noted noted[ACK_STEPS_MAX];
    size_t n_noted;
};

static void wait_for(struct pass *p, int64_t until_ms, const char *format, ...) KT_PRINTF(3, 4);
static void wait_for(struct pass *p, int64_t until_ms, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(p->waits_for, sizeof p->waits_for, format, args);
    va_end(args);
    p->waits_until_ms = until_ms;
    p->wake_ms = until_ms == 0 ? p->now_ms + LATER_MS : until_ms;
}

static enum kt_kind event(struct pass *p, struct work *w, enum run_event event, const char *why,
                          struct kt_err *err)
{
    enum kt_kind kind = work_event(w, event, p->now_ms, why, err);
    p->moved = kind == KT_OK;
    return kind;
}

static enum kt_kind send_job(struct pass *p, struct work *w, enum job_kind job_kind,
                             struct kt_err *err)
{
    int64_t when = 0;
    if (!plan_allowed(w, job_kind, p->now_ms, &when)) {
        wait_for(p, when, "the target's limit for tests of a login (probe_spacing, "
                          "max_refusals_per_hour)");
        return KT_OK;
    }
    enum kt_kind kind = plan_job(w, job_kind, &p->job, err);
    if (kind == KT_NOT_FOUND) {
        unsigned fx = 0;
        machine_freeze(&w->run.machine, FROZEN_STORE, &fx);
        kind = work_commit(w, fx, p->now_ms, err->what, err);
        p->moved = kind == KT_OK;
    }
    return kind;
}

/* ---- consumers ---- */

static void noted_digest(const char *host, const char *service, unsigned char out[16])
{
    unsigned char text[1024];
    size_t a = strnlen(host, 400), b = strnlen(service, 400);
    memcpy(text, host, a);
    text[a] = '\0';
    memcpy(text + a + 1, service, b);
    (void)crypto_generichash(out, 16, text, a + 1 + b, NULL, 0);
}

static bool is_noted(const struct active *active, const unsigned char digest[16], int64_t at_ms)
{
    for (size_t i = 0; i < active->n_noted; i++)
        if (memcmp(active->noted[i].digest, digest, 16) == 0)
            return active->noted[i].at_ms >= at_ms;
    return false;
}

static void remember_ack(struct active *active, const struct noted *noted)
{
    size_t at = 0;
    while (at < active->n_noted && memcmp(active->noted[at].digest, noted->digest, 16) != 0)
        at++;
    if (at == active->noted_room) {
        size_t room = active->noted_room == 0 ? 16 : active->noted_room * 2;
        struct noted *more = kt_calloc(room, sizeof *more);
        if (more == NULL)
            return; /* it is noted once more, that is all */
        if (active->n_noted > 0)
            memcpy(more, active->noted, active->n_noted * sizeof *more);
        free(active->noted);
        active->noted = more;
        active->noted_room = room;
    }
    active->noted[at] = *noted;
    if (at == active->n_noted)
        active->n_noted++;
}

/* Words that came since the promotion become steps, a few a commit. */
static enum kt_kind note_acks(struct pass *p, struct work *w, struct kt_err *err)
{
    const struct run *run = &w->run;
    if (run->promoted_ms == 0 || run->machine.state == RUN_FROZEN)
        return KT_OK;
    enum kt_kind kind = KT_OK;
    for (size_t i = 0; i < w->n_consumers && kind == KT_OK && p->n_noted < ACK_STEPS_MAX; i++) {
        const struct consumer *c = &w->consumers[i];
        unsigned char digest[16];
        noted_digest(c->host, c->service, digest);
        if (c->at_ms < run->promoted_ms || is_noted(p->active, digest, c->at_ms))
            continue;
        const char *text = kt_arena_printf(&w->req->arena, "%s@%s: v%u %s%s%s", c->service, c->host,
                                           c->version, consumer_state_text(c->state),
                                           c->detail[0] == '\0' ? "" : ": ", c->detail);
        kind = step_add(w->req, &w->run,
                        (struct run_step){.kind = STEP_ACK,
                                          .name = consumer_state_text(c->state),
                                          .ok = c->state != CONSUMER_UNHEALTHY &&
                                                c->state != CONSUMER_ROLLED_BACK,
                                          .text = text == NULL ? "" : text,
                                          .host = c->host,
                                          .service = c->service,
                                          .version = c->version,
                                          .stamp_ms = c->at_ms},
                        err);
        struct noted *noted = &p->noted[p->n_noted++];
        memcpy(noted->digest, digest, sizeof digest);
        noted->at_ms = c->at_ms;
    }
    if (kind == KT_OK && p->n_noted > 0) {
        p->moved = true;
        kind = run_save(w->req, &w->run, err);
    }
    return kind;
}

/* ---- waiting for consumers ---- */

static bool deadline_over(const struct pass *p, const struct run *run, int64_t *ret_at)
{
    int64_t at = run->deadline_ms;
    if (p->active->floor_of_ms == run->deadline_ms && p->active->floor_ms > at)
        at = p->active->floor_ms;
    *ret_at = at;
    return run->deadline_ms != 0 && p->now_ms >= at;
}

static bool has_news(const struct pass *p, const struct acks *acks)
{
    return acks->trouble != NULL && acks->trouble->failed_ms > p->active->blamed_ms;
}

static enum kt_kind blame(struct pass *p, struct work *w, const struct acks *acks,
                          struct kt_err *err)
{
    p->blamed_ms = acks->trouble->failed_ms;
    return event(p, w, EV_UNHEALTHY, NULL, err);
}

static enum kt_kind want_acks(struct pass *p, struct work *w, struct kt_err *err)
{
    const struct run *run = &w->run;
    struct acks acks;
    int64_t at = 0;
    acks_judge(run, w->consumers, w->n_consumers, &acks);
    if (acks.acked == acks.required)
        return event(p, w, EV_OK, NULL, err);
    if (has_news(p, &acks))
        return blame(p, w, &acks, err);
    if (deadline_over(p, run, &at) && !run->machine.hold_silent) {
        const char *why = kt_arena_printf(
            &w->req->arena, "%s@%s did not acknowledge v%u within %lld s (it is %s on v%u)",
            acks.missing->service, acks.missing->host, run->to,
            (long long)run->settings.ack_timeout_s, consumer_state_text(acks.missing->state),
            acks.missing->version);
        return event(p, w, EV_SILENT, why, err);
    }
    wait_for(p, p->now_ms >= at ? 0 : at, "consumers %zu/%zu on v%u and healthy; %s@%s is %s on v%u",
             acks.acked, acks.required, run->to, acks.missing->service, acks.missing->host,
             consumer_state_text(acks.missing->state), acks.missing->version);
    return KT_OK;
}

static enum kt_kind want_return(struct pass *p, struct work *w, struct kt_err *err)
{
    struct run *run = &w->run;
    struct acks acks;
    int64_t at = 0;
    acks_judge(run, w->consumers, w->n_consumers, &acks);
    int64_t moved = acks.moved_ms > run->state_ms ? acks.moved_ms : run->state_ms;
    int64_t until = moved + run->settings.overlap_s * 1000;
    int64_t most = run->state_ms + run->settings.max_overlap_s * 1000;
    /* Without consumers nobody says that it went back; then only the overlap counts. */
    if (acks.on_new == 0 || p->now_ms >= most) {
        if (p->now_ms >= until || p->now_ms >= most)
            return event(p, w, EV_OK, NULL, err);
        wait_for(p, until, "the overlap after the last consumer went back to v%u", run->from);
        return KT_OK;
    }
    (void)deadline_over(p, run, &at);
    wait_for(p, p->now_ms < at ? at : most, "%zu consumers that still run v%u to go back to v%u",
             acks.on_new, run->to, run->from);
    return KT_OK;
}

/* ---- the overlap ---- */

static enum kt_kind held_by_readers(struct pass *p, struct work *w, bool *ret_held,
                                    struct kt_err *err)
{
    struct run *run = &w->run;
    *ret_held = false;
    if (run->settings.ignore_loose)
        return KT_OK;
    struct loose loose;
    enum kt_kind kind = loose_look(w->req, run, w->consumers, w->n_consumers, &loose, err);
    if (kind != KT_OK || loose.n == 0)
        return kind;
    int64_t most = run->promoted_ms + run->settings.max_overlap_s * 1000;
    if (p->now_ms >= most) {
        run->loose_passed = true;
        return KT_OK;
    }
    *ret_held = true;
    wait_for(p, most, "%zu readers of v%u that are no agents (%s from %s) to read v%u, or "
                      "max_overlap",
             loose.n, run->from, loose.first->identity, loose.first->host, run->to);
    return KT_OK;
}

/* Sessions of the old account: looked at until there is none twice, or `drain` is over. */
static enum kt_kind held_by_sessions(struct pass *p, struct work *w, bool *ret_held,
                                     struct kt_err *err)
{
    struct run *run = &w->run;
    *ret_held = false;
    if (run->drained || run->machine.strategy == STRATEGY_IN_PLACE || run->settings.drain_s == 0)
        return KT_OK;
    int64_t most = run->acked_ms + run->settings.drain_s * 1000;
    if (p->now_ms >= most)
        return KT_OK;
    *ret_held = true;
    wait_for(p, most, "%u sessions of %s to end by themselves", run->sessions,
             run_account(run, run->slot_old));
    if (p->now_ms >= p->active->look_ms)
        return plan_job(w, JOB_SESSIONS, &p->job, err);
    p->wake_ms = p->active->look_ms < most ? p->active->look_ms : most;
    return KT_OK;
}

static enum kt_kind go_revoking(struct pass *p, struct work *w, struct kt_err *err)
{
    struct run *run = &w->run;
    int64_t when = 0;
    enum job_kind next = run->machine.strategy == STRATEGY_IN_PLACE ? JOB_PROBE : JOB_REVOKE;
    if (!slot_free(p->rotation, p->active, run->settings.target)) {
        wait_for(p, 0, "another run at %s", run->settings.target);
        return KT_OK;
    }
    if (!plan_allowed(w, next, p->now_ms, &when)) {
        wait_for(p, when, "the target's limit for tests of a login (probe_spacing, "
                          "max_refusals_per_hour)");
        return KT_OK;
    }
    /* Whoever reads or registers while this is on its way makes it look again. */
    struct batch *batch = request_batch(w->req);
    if (batch == NULL)
        return kt_fail(err, KT_NO_MEMORY, "ending the overlap");
    consumers_require(w->req, run->secret_id, batch);
    readers_require(w->req, run->secret_id, batch);
    return event(p, w, EV_OK, NULL, err);
}

static enum kt_kind want_overlap(struct pass *p, struct work *w, struct kt_err *err)
{
    struct run *run = &w->run;
    struct acks acks;
    acks_judge(run, w->consumers, w->n_consumers, &acks);
    if (has_news(p, &acks))
        return blame(p, w, &acks, err);
    if (acks.acked < acks.required)
        return event(p, w, EV_LATE, NULL, err);
    int64_t overlap = run->settings.overlap_s > run->settings.soak_s ? run->settings.overlap_s
                                                                     : run->settings.soak_s;
    int64_t until = run->acked_ms + overlap * 1000;
    /* A clock that was set back does not make it longer than it is. */
    if (until > p->now_ms + overlap * 1000)
        until = p->now_ms + overlap * 1000;
    if (p->now_ms < until) {
        wait_for(p, until, "the overlap and the soak");
        return KT_OK;
    }
    bool held = false;
    enum kt_kind kind = held_by_readers(p, w, &held, err);
    if (kind == KT_OK && !held)
        kind = held_by_sessions(p, w, &held, err);
    return kind != KT_OK || held ? kind : go_revoking(p, w, err);
}

/* ---- the rest ---- */

static enum kt_kind want_preflight(struct pass *p, struct work *w, struct kt_err *err)
{
    struct run *run = &w->run;
    struct acks acks;
    int64_t at = 0;
    acks_judge(run, w->consumers, w->n_consumers, &acks);
    if (!run->settings.require_healthy || acks.sick == NULL)
        return send_job(p, w, JOB_PREFLIGHT, err);
    if (deadline_over(p, run, &at)) {
        const char *why = kt_arena_printf(&w->req->arena, "%s@%s was unhealthy before the change: %s",
                                          acks.sick->service, acks.sick->host, acks.sick->detail);
        return event(p, w, EV_TIMEOUT, why, err);
    }
    wait_for(p, at, "%s@%s to be healthy before anything is changed (%s)", acks.sick->service,
             acks.sick->host, acks.sick->detail);
    return KT_OK;
}

static enum kt_kind want_commit(struct pass *p, struct work *w, struct kt_err *err)
{
    struct run *run = &w->run;
    int64_t when = 0;
    if (run->machine.state == RUN_PLANNED &&
        !slot_free(p->rotation, p->active, run->settings.target)) {
        wait_for(p, 0, "another run at %s, or one of %u at a time", run->settings.target,
                 ROTATION_RUNS_MAX);
        return KT_OK;
    }
    if (run->machine.state == RUN_PLANNED && !rotation_can_run(p->rotation)) {
        wait_for(p, 0, "this vaultd was started without what runs drivers");
        return KT_OK;
    }
    /* In-place the probe follows the change at once, so there has to be room for it. */
    if (run->machine.state == RUN_GENERATED && !plan_allowed(w, JOB_APPLY, p->now_ms, &when)) {
        wait_for(p, when, "the target's limit for tests of a login (probe_spacing, "
                          "max_refusals_per_hour)");
        return KT_OK;
    }
    return event(p, w, EV_OK, NULL, err);
}

static enum kt_kind want_verify(struct pass *p, struct work *w, struct kt_err *err)
{
    int64_t spread = w->run.state_ms + w->run.settings.propagation_s * 1000;
    if (p->now_ms < spread) {
        wait_for(p, spread, "the target to spread the change");
        return KT_OK;
    }
    return send_job(p, w, JOB_VERIFY, err);
}

static enum kt_kind next_step(struct pass *p, struct work *w, struct kt_err *err)
{
    switch (machine_want(&w->run.machine)) {
    case WANT_NOTHING:
        return KT_OK;
    case WANT_PERSON:
        wait_for(p, 0, "a person: %s", w->run.frozen_text);
        return KT_OK;
    case WANT_COMMIT:
        return want_commit(p, w, err);
    case WANT_PREFLIGHT:
        return want_preflight(p, w, err);
    case WANT_PROBE:
        return send_job(p, w, JOB_PROBE, err);
    case WANT_VERIFY:
        return want_verify(p, w, err);
    case WANT_APPLY:
        return plan_job(w, JOB_APPLY, &p->job, err);
    case WANT_RESTORE:
        return plan_job(w, JOB_RESTORE, &p->job, err);
    case WANT_REVOKE:
        return send_job(p, w, JOB_REVOKE, err);
    case WANT_REVOKE_NEW:
        return send_job(p, w, JOB_REVOKE_NEW, err);
    case WANT_ACKS:
        return want_acks(p, w, err);
    case WANT_OVERLAP:
        return want_overlap(p, w, err);
    case WANT_RETURN:
        return want_return(p, w, err);
    }
    return kt_fail(err, KT_INTERNAL, "a run wants what nobody knows");
}

static enum kt_kind decide(struct pass *p, struct work *w, struct kt_err *err)
{
    struct active *active = p->active;
    if (active->finished != NULL) {
        if (KT_FAILPOINT(run_outcome_commit))
            return kt_fail(err, KT_FULL, "storing an outcome");
        enum kt_kind kind = job_settle(w, active->finished, p->now_ms, err);
        p->moved = kind == KT_OK;
        return kind;
    }
    if (w->run.cancel && machine_can_go_back(&w->run.machine))
        return event(p, w, EV_CANCEL, w->run.cancel_why, err);
    enum kt_kind kind = note_acks(p, w, err);
    return kind != KT_OK || p->moved ? kind : next_step(p, w, err);
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
    (void)snprintf(p->target, sizeof p->target, "%s", w->run.settings.target);
}

/* After a restart: what is noted already, and time for what had no chance meanwhile. */
static enum kt_kind first_look(struct pass *p, struct work *w, struct kt_err *err)
{
    struct active *active = p->active;
    int64_t least = w->run.span_ms < RESTART_MS ? w->run.span_ms : RESTART_MS;
    active->floor_of_ms = w->run.deadline_ms;
    active->floor_ms = p->now_ms + least;
    active->n_noted = 0;
    if (w->run.promoted_ms == 0)
        return KT_OK;
    struct run_step *steps = NULL;
    size_t n = 0;
    enum kt_kind kind = steps_load(w->req, w->run.id, 0, &steps, &n, err);
    for (size_t i = 0; i < n && kind == KT_OK; i++) {
        struct noted noted = {.at_ms = steps[i].stamp_ms};
        if (steps[i].kind != STEP_ACK)
            continue;
        noted_digest(steps[i].host, steps[i].service, noted.digest);
        remember_ack(active, &noted);
    }
    return kind;
}

static enum kt_kind pass_handler(struct request *req, struct kt_err *err)
{
    struct pass *p = req->handler_data;
    struct active *active = p->active;
    job_free(p->job);
    p->job = NULL;
    p->moved = false;
    p->n_noted = 0;
    p->wake_ms = 0;
    p->waits_for[0] = '\0';
    p->waits_until_ms = 0;
    p->blamed_ms = active->blamed_ms;
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
    if (kind != KT_OK)
        return kind;
    w->run.machine.fresh = active->fresh;
    w->run.machine.doubt = active->doubt;
    kind = decide(p, w, err);
    if (kind == KT_OK)
        leave_behind(p, w);
    return kind;
}

/* ---- around the request ---- */

/* As after a crash: what is in memory is forgotten, what is in the store decides. */
static void forget(struct active *active)
{
    active->fresh = active->doubt = false;
    job_free(active->finished);
    active->finished = NULL;
    active->wake_ms = active->not_before_ms = 0;
    active->look_ms = 0;
    active->blamed_ms = 0;
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

/* The named places at which a test ends the vault; an error there is the same as a crash. */
static bool crashes(const struct pass *p, const struct active *active)
{
    bool entered = p->state != p->before;
    if (entered && p->state == RUN_GENERATED && KT_FAILPOINT(run_generated))
        return true;
    if (p->intended && p->job == NULL && p->intent == INTENT_APPLY &&
        KT_FAILPOINT(run_intent_apply))
        return true;
    if (entered && p->state == RUN_REVOKING && KT_FAILPOINT(run_intent_revoke))
        return true;
    if (entered && p->state == RUN_PROMOTED && KT_FAILPOINT(run_promoted))
        return true;
    (void)active;
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

static bool touches_now(enum run_state state)
{
    return state != RUN_PLANNED && state != RUN_PROMOTED && state != RUN_ACKING &&
           state != RUN_OVERLAPPING && state != RUN_FROZEN && !run_state_ended(state);
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

static void took(struct rotation *rotation, struct active *active, struct pass *p)
{
    bool retried = active->finished != NULL && p->state == p->before &&
                   p->back == p->before_back && p->job == NULL;
    bool looked = active->finished != NULL && active->finished->kind == JOB_SESSIONS;
    job_free(active->finished);
    active->finished = NULL;
    active->loaded = true;
    active->fresh = p->fresh;
    active->doubt = p->doubt;
    active->blamed_ms = p->blamed_ms;
    active->state = p->state;
    bool touched = active->touches;
    active->touches = p->touches && touches_now(p->state);
    if (touched && !active->touches)
        rotation_wake(rotation); /* another one may have its turn at the target */
    memcpy(active->target, p->target, sizeof active->target);
    active->ended = run_state_ended(p->state);
    for (size_t i = 0; i < p->n_noted; i++)
        remember_ack(active, &p->noted[i]);
    if (p->state != p->before)
        active->pause_ms = 0;
    (void)pthread_mutex_lock(&rotation->lock);
    memcpy(active->waits_for, p->waits_for, sizeof active->waits_for);
    active->waits_until_ms = p->waits_until_ms;
    (void)pthread_mutex_unlock(&rotation->lock);
    active->wake_ms = p->moved ? 0 : p->wake_ms;
    if (looked)
        active->look_ms = p->now_ms + SESSIONS_MS;
    active->not_before_ms = 0;
    if (retried && !looked && !active->fresh && !active->ended)
        active->wake_ms = active->not_before_ms = p->now_ms + next_pause(active);
    if (p->moved)
        rotation_tell(rotation, active->id);
    say(active, p);
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
    struct kt_err shown = {.kind = err->kind};
    (void)snprintf(shown.what, sizeof shown.what, "run %s: %s", active->text,
                   kt_kind_text(kind));
    kt_log_err(KT_LOG_WARNING, "rotation-run", &shown);
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
    if (crashes(&pass, active)) {
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
