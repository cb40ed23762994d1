#include "vaultd/fleet/fleet.h"
#include "vaultd/rotation/back.h"
#include "vaultd/rotation/pass.h"
#include "vaultd/rotation/places.h"
#include "vaultd/rotation/plan.h"
#include "vaultd/rotation/served.h"
#include "vaultd/rotation/tell.h"
#include "vaultd/rotation/together.h"

#define LOST_LOOK_MS 5000 /* a poll wakes no run */
#define DRILL_TURNS  "it was a drill: all consumers ran the new version, and now they go back"

/* What a run waits for that is not the target: consumers, time, readers, open sessions. */

/* ---- consumers ---- */

static bool has_news(const struct pass *p, const struct acks *acks)
{
    return acks->trouble != NULL && acks->trouble->failed_ms > p->active->blamed_ms;
}

static enum kt_kind blame(struct pass *p, struct work *w, const struct acks *acks,
                          struct kt_err *err)
{
    p->blamed_ms = acks->trouble->failed_ms;
    return pass_event(p, w, EV_UNHEALTHY, NULL, err);
}

int64_t await_most_from(const struct pass *p, const struct run *run, int64_t from_ms)
{
    int64_t span = run->settings.max_overlap_s * 1000, until = from_ms + span;
    int64_t least = p->active->since_ms + (span < PASS_RESTART_MS ? span : PASS_RESTART_MS);
    return until > least ? until : least;
}

/* By the steady clock: whoever sets the other one back would have everybody cut off at once. */
int64_t await_most(const struct pass *p, const struct run *run)
{
    return await_most_from(p, run, run_given_ms(run));
}

static const char *who_is_late(struct work *w, const struct consumer *c)
{
    const struct run *run = &w->run;
    return kt_arena_printf(&w->req->arena, "%s@%s did not acknowledge v%u within %lld s (it is %s on v%u)", c->service,
                           c->host, run->to, (long long)run->settings.ack_timeout_s, consumer_state_text(c->state),
                           c->version);
}

/* Nobody can be sent back to what was dead before; people are to know that somebody is without. */
static enum kt_kind say_no_way_back(struct pass *p, struct work *w, const struct acks *acks, struct kt_err *err)
{
    const struct consumer *c = acks->trouble;
    const char *what = c == NULL ? who_is_late(w, acks->missing)
                                 : kt_arena_printf(&w->req->arena, "%s@%s is %s on v%u", c->service, c->host,
                                                   consumer_state_text(c->state), c->version);
    if (what == NULL)
        return kt_fail(err, KT_NO_MEMORY, "telling that there is no way back");
    enum kt_kind kind = tell_no_way_back(w, what, &p->moved, err);
    return kind == KT_OK && p->moved ? run_save(w->req, &w->run, err) : kind;
}

/* Is it left to a person what becomes of who did not acknowledge? */
static bool is_held(const struct run *run, const struct acks *acks)
{
    return run->machine.hold_silent || (run->machine.hold_unhealthy && acks->trouble != NULL);
}

static enum kt_kind pass_over_silent(struct pass *p, struct work *w, const struct acks *acks, struct kt_err *err)
{
    struct run *run = &w->run;
    const struct consumer *c = acks->missing;
    const char *text = kt_arena_printf(
        &w->req->arena, "%zu consumers had not acknowledged v%u when max_overlap ended, and it cannot go back any more: "
                        "%s@%s is %s on v%u",
        acks->required - acks->acked, run->to, c->service, c->host, consumer_state_text(c->state), c->version);
    if (text == NULL)
        return kt_fail(err, KT_NO_MEMORY, "noting who did not acknowledge");
    run->silent_passed = true;
    enum kt_kind kind = work_note(w, STEP_NOTE, STEP_NAME_SILENT, false, text, 0, err);
    if (kind != KT_OK || !served_wanted(&run->settings))
        return kind == KT_OK ? pass_event(p, w, EV_OK, NULL, err) : kind;
    p->moved = true; /* its listeners are asked all the same */
    return run_save(w->req, run, err);
}

enum kt_kind await_acks(struct pass *p, struct work *w, struct kt_err *err)
{
    const struct run *run = &w->run;
    struct acks acks;
    int64_t at = 0, most = 0;
    acks_judge(run, w->consumers, w->n_consumers, &acks);
    if (acks_enough(run, &acks))
        return served_wanted(&run->settings) ? await_served(p, w, err) : pass_event(p, w, EV_OK, NULL, err);
    if (has_news(p, &acks))
        return blame(p, w, &acks, err);
    bool late = pass_deadline_over(p, run, &at);
    if (late && !run->machine.hold_silent && machine_can_go_back(&run->machine)) {
        return pass_event(p, w, EV_SILENT, who_is_late(w, acks.missing), err);
    }
    if ((late || acks.trouble != NULL) && run->machine.old_dead) { /* the target was asked and is not to blame */
        enum kt_kind kind = say_no_way_back(p, w, &acks, err);
        if (kind != KT_OK || p->moved)
            return kind;
    }
    if (!machine_can_go_back(&run->machine) && !is_held(run, &acks))
        most = await_most(p, run);
    if (most != 0 && p->now_ms >= at && p->now_ms >= most) /* `at` is 0 without an ack_timeout */
        return pass_over_silent(p, w, &acks, err);
    pass_wait(p, p->now_ms >= at ? most : at,
              "consumers %zu/%zu on v%u and healthy; %s@%s is %s on v%u", acks.acked,
              acks.required, run->to, acks.missing->service, acks.missing->host,
              consumer_state_text(acks.missing->state), acks.missing->version);
    return KT_OK;
}

/* Whoever reads or registers while this is on its way makes it look again. */
static enum kt_kind go_unless_read(struct pass *p, struct work *w, struct kt_err *err)
{
    struct batch *batch = request_batch(w->req);
    if (batch == NULL)
        return kt_fail(err, KT_NO_MEMORY, "ending a wait");
    consumers_require(w->req, w->run.secret_id, batch);
    readers_require(w->req, w->run.secret_id, batch);
    return pass_event(p, w, EV_OK, NULL, err);
}

/* A consumer that fetched the new version and could not say so may run it. */
static enum kt_kind held_by_unsaid(struct pass *p, struct work *w, int64_t most, bool *ret_held,
                                   struct kt_err *err)
{
    const struct run *run = &w->run;
    const struct consumer *first = NULL;
    size_t n = 0;
    enum kt_kind kind =
        acks_unsaid(w->req, run, w->consumers, w->n_consumers, &n, &first, err);
    *ret_held = kind == KT_OK && n > 0;
    if (*ret_held)
        pass_wait(p, most, "%zu consumers that read v%u to say what they run (%s@%s), or max_overlap",
                  n, run->to, first->service, first->host);
    return kind;
}

/* What they run is ended without them. */
static enum kt_kind pass_over_returning(struct pass *p, struct work *w, const struct acks *acks, struct kt_err *err)
{
    const struct run *run = &w->run;
    const struct consumer *first = acks->runs_new;
    size_t n = acks->on_new;
    enum kt_kind kind = KT_OK;
    if (n == 0)
        kind = acks_unsaid(w->req, run, w->consumers, w->n_consumers, &n, &first, err);
    if (kind == KT_OK && n > 0) {
        const char *text = kt_arena_printf(&w->req->arena,
                                           "%zu consumers %s v%u when max_overlap ended: %s@%s", n,
                                           acks->on_new > 0 ? "still ran" : "had read, and may run,", run->to,
                                           first->service, first->host);
        kind = text == NULL ? kt_fail(err, KT_NO_MEMORY, "noting who did not go back")
                            : work_note(w, STEP_NOTE, STEP_NAME_SILENT, false, text, 0, err);
    }
    return kind == KT_OK ? pass_event(p, w, EV_OK, NULL, err) : kind;
}

enum kt_kind await_return(struct pass *p, struct work *w, struct kt_err *err)
{
    struct run *run = &w->run;
    struct acks acks;
    int64_t at = 0;
    acks_judge(run, w->consumers, w->n_consumers, &acks);
    int64_t moved = acks.moved_ms > run->state_ms ? acks.moved_ms : run->state_ms;
    bool ends = run_touches_target(run); /* else nobody can be cut off */
    int64_t until = moved + (ends ? run->settings.overlap_s * 1000 : 0);
    int64_t most = await_most_from(p, run, run->state_ms);
    if (p->now_ms >= most)
        return pass_over_returning(p, w, &acks, err);
    if (acks.on_new > 0) {
        (void)pass_deadline_over(p, run, &at);
        pass_wait(p, p->now_ms < at ? at : most,
                  "%zu consumers that still run v%u to go back to v%u", acks.on_new, run->to,
                  run->from);
        return KT_OK;
    }
    bool held = false;
    enum kt_kind kind = held_by_unsaid(p, w, most, &held, err);
    if (kind != KT_OK || held)
        return kind;
    back_returned(run, w->consumers, w->n_consumers, p->now_ms);
    /* Without consumers nobody says that it went back; then only the overlap counts. */
    if (p->now_ms >= until)
        return go_unless_read(p, w, err);
    pass_wait(p, until, "the overlap after the last consumer went back to v%u", run->from);
    return KT_OK;
}

/* ---- the overlap ---- */

/* The overlap is there for who got the old credential and has not logged in with it yet. How long that may
 * take is seen on the new one: twice the longest is allowed for, if there is to be an overlap at all. */
static enum kt_kind held_by_slowness(struct pass *p, struct work *w, bool *ret_held,
                                     struct kt_err *err)
{
    const struct run *run = &w->run;
    const struct rotation_settings *settings = &run->settings;
    const struct consumer *who = NULL;
    int64_t took_ms = 0, most_ms = settings->max_overlap_s * 1000;
    *ret_held = false;
    if (settings->overlap_s == 0)
        return KT_OK;
    enum kt_kind kind =
        acks_slowest(w->req, run, w->consumers, w->n_consumers, &took_ms, &who, err);
    if (kind != KT_OK || who == NULL)
        return kind;
    int64_t until = run->acked_ms + (took_ms < most_ms / 2 ? 2 * took_ms : most_ms);
    *ret_held = p->now_ms < until;
    if (*ret_held)
        pass_wait(p, until, "twice the %lld s that %s@%s took from reading v%u to running it",
                  (long long)((took_ms + 999) / 1000), who->service, who->host, run->to);
    return KT_OK;
}

static enum kt_kind held_by_readers(struct pass *p, struct work *w, bool *ret_held,
                                    struct kt_err *err)
{
    struct run *run = &w->run;
    *ret_held = false;
    if (run->settings.ignore_loose)
        return KT_OK;
    struct loose loose;
    enum kt_kind kind = loose_look(w->req, run, w->consumers, w->n_all, &loose, err);
    if (kind != KT_OK || loose.n == 0)
        return kind;
    int64_t most = await_most(p, run);
    if (p->now_ms >= most) {
        run->loose_passed = true;
        return KT_OK;
    }
    *ret_held = true;
    pass_wait(p, most,
              "%zu readers of v%u that are no agents (%s from %s) to read v%u, or max_overlap",
              loose.n, run->from, loose.first.identity, loose.first.host, run->to);
    return KT_OK;
}

bool await_lost(struct pass *p, size_t n, const struct consumer *first, int64_t most)
{
    if (n == 0 || p->now_ms >= most)
        return false;
    pass_wait(p, most, "%zu consumers that were not heard of for %d min (%s@%s), or max_overlap", n,
              (int)(FLEET_LOST_MS / 60000), first->service, first->host);
    if (p->now_ms + LOST_LOOK_MS < most)
        p->wake_ms = p->now_ms + LOST_LOOK_MS;
    return true;
}

/* An acknowledgement counts while its host is heard of: since then it may have been restarted with the
 * old version, or not be well. *ret_lost: of those, one that holds nothing any more. */
static bool held_by_lost(struct pass *p, const struct work *w, const struct consumer **ret_lost)
{
    size_t n = 0;
    acks_lost(w->req, w->consumers, w->n_consumers, &n, ret_lost);
    return await_lost(p, n, *ret_lost, await_most(p, &w->run));
}

enum kt_kind await_note_lost(struct work *w, const struct consumer *lost, struct kt_err *err)
{
    char seen[KT_TIME_TEXT];
    kt_time_text(lost->at_ms, seen);
    const char *text = kt_arena_printf(
        &w->req->arena, "%s@%s was not heard of any more when max_overlap ended; its last word: %s "
                        "on v%u, %s",
        lost->service, lost->host, consumer_state_text(lost->state), lost->version, seen);
    if (text == NULL)
        return kt_fail(err, KT_NO_MEMORY, "noting who was not heard of");
    return work_note(w, STEP_NOTE, STEP_NAME_LOST, false, text, 0, err);
}

/* Sessions of the old account: looked at until there is none twice, or `drain` is over. */
static enum kt_kind held_by_sessions(struct pass *p, struct work *w, bool *ret_held,
                                     struct kt_err *err)
{
    struct run *run = &w->run;
    *ret_held = false;
    /* On one account nobody can tell which credential a session was opened with. */
    if (run->drained || run->machine.strategy != STRATEGY_ALTERNATE || run->settings.drain_s == 0)
        return KT_OK;
    int64_t most = run->acked_ms + run->settings.drain_s * 1000;
    if (p->now_ms >= most)
        return KT_OK;
    *ret_held = true;
    pass_wait(p, most, "%u sessions of %s to end by themselves", run->sessions,
              run_account(run, run->slot_old));
    if (p->now_ms >= p->active->look_ms)
        return pass_may_look(p, w) ? pass_job(p, w, JOB_SESSIONS, err) : KT_OK;
    p->wake_ms = p->active->look_ms < most ? p->active->look_ms : most;
    return KT_OK;
}

static enum kt_kind go_revoking(struct pass *p, struct work *w, const struct consumer *lost,
                                struct kt_err *err)
{
    struct run *run = &w->run;
    enum job_kind next = run->machine.strategy == STRATEGY_IN_PLACE ? JOB_PROBE : JOB_REVOKE;
    bool held = false;
    enum kt_kind others = together_hold(p, w, &held, err);
    if (others != KT_OK || held)
        return others;
    if (!pass_has_login(p, w))
        return KT_OK;
    if (!place_free(p->rotation, p->active, &w->target)) {
        pass_wait(p, 0, "another run at %s", run->settings.target);
        return KT_OK;
    }
    if (!pass_allows(p, w, next))
        return KT_OK;
    enum kt_kind kind = lost == NULL ? KT_OK : await_note_lost(w, lost, err);
    return kind == KT_OK ? go_unless_read(p, w, err) : kind;
}

enum kt_kind await_overlap(struct pass *p, struct work *w, struct kt_err *err)
{
    struct run *run = &w->run;
    struct acks acks;
    acks_judge(run, w->consumers, w->n_consumers, &acks);
    if (has_news(p, &acks))
        return blame(p, w, &acks, err);
    if (acks.acked < acks.required && !run->silent_passed)
        return pass_event(p, w, EV_LATE, NULL, err);
    int64_t overlap = run->settings.overlap_s > run->settings.soak_s ? run->settings.overlap_s
                                                                     : run->settings.soak_s;
    int64_t until = run->acked_ms + overlap * 1000;
    if (p->now_ms < until) {
        pass_wait(p, until, "the overlap and the soak");
        return KT_OK;
    }
    if (run->machine.drills) /* nothing is ended, so nobody can be cut off by that */
        return pass_event(p, w, EV_OK, DRILL_TURNS, err);
    bool held = false;
    const struct consumer *lost = NULL;
    enum kt_kind kind = held_by_slowness(p, w, &held, err);
    if (kind == KT_OK && !held)
        kind = held_by_readers(p, w, &held, err);
    if (kind == KT_OK && !held)
        held = held_by_lost(p, w, &lost);
    if (kind == KT_OK && !held)
        kind = held_by_sessions(p, w, &held, err);
    return kind != KT_OK || held ? kind : go_revoking(p, w, lost, err);
}

/* ---- a person ---- */

/* Frozen: nothing is changed, but what the target says now is worth knowing to who comes. */
enum kt_kind await_person(struct pass *p, struct work *w, struct kt_err *err)
{
    const struct run *run = &w->run;
    int64_t every = w->target.recheck_s * 1000, next = run->state_ms + every, when = 0;
    pass_wait(p, 0, "a person: %s", run->frozen_text);
    if (every == 0 || run->machine.frozen == FROZEN_STORE || !rotation_can_run(p->rotation))
        return KT_OK;
    if (next < p->active->recheck_ms)
        next = p->active->recheck_ms;
    if (p->now_ms >= next && !plan_allowed(w, JOB_LOOK, p->now_ms, &when))
        next = when;
    if (p->now_ms < next) {
        p->wake_ms = next;
        return KT_OK;
    }
    if (!pass_may_look(p, w))
        return KT_OK;
    enum kt_kind kind = plan_job(w, JOB_LOOK, &p->job, err);
    if (kind != KT_NOT_FOUND)
        return kind;
    *err = (struct kt_err){0}; /* what it would ask with is gone */
    return KT_OK;
}
