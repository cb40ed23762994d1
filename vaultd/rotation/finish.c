#include "vaultd/rotation/drill.h"
#include "vaultd/rotation/engine.h"
#include "vaultd/rotation/gap.h"
#include "vaultd/rotation/own.h"
#include "vaultd/rotation/tell.h"
#include "vaultd/rotation/truth.h"
#include "vaultd/rotation/work.h"

/* The end of a run, in the commit that ends it: nothing is left to be tidied up after a crash. */

#define FORGET_MOST 30u /* a batch has room for 100 operations; the engine removes the rest */

static void release_locks(struct work *w, struct batch *batch)
{
    unsigned char active[RUN_KEY], lock[BARRIER_HASH_KEY];
    active_key(w->run.id, active);
    batch_delete(batch, kt_bytes(active, sizeof active));
    if (!run_touches_target(&w->run))
        return;
    run_lock_key(w->req->core, &w->run.settings, lock);
    batch_delete(batch, kt_bytes(lock, sizeof lock));
}

/* The schedule goes on behind what this run was for. A fire that has passed and was not its own still waits
 * for its window, or for a target where nothing starts. */
static int64_t passed_over_until(const struct work *w)
{
    const struct rotation_secret *secret = &w->secret;
    bool waits = secret->fire_ms > secret->last_fire_ms && secret->fire_ms <= w->req->now_ms;
    return waits ? secret->fire_ms - 1 : w->req->now_ms;
}

/* What was late for its window waits for the next one: the fire does, with who had it, for the window is his. A
 * drill's window is none of the schedule's. */
static enum kt_kind plan_next(struct work *w, bool rotated, struct kt_err *err)
{
    bool late = w->run.window_closed && !w->run.anothers_fire && !w->run.machine.drills;
    if (late || (w->run.fire_waits && !rotated))
        return due_plan_again(w->req, &w->secret, err);
    return due_plan(w->req, &w->secret, rotated ? w->req->now_ms : passed_over_until(w), err);
}

/* The value is as old as it was. */
static enum kt_kind settle_no_rotation(struct work *w, struct kt_err *err)
{
    struct rotation_secret *secret = &w->secret;
    enum kt_kind kind = truth_after_run(w, err);
    if (kind == KT_OK && w->run.machine.drills && w->run.window_closed)
        kind = drill_again(w->req, secret, err);
    if (kind == KT_OK)
        kind = plan_next(w, false, err);
    return kind == KT_OK ? secret_save(w->req, secret, err) : kind;
}

/* For the plan. One that was not measured takes no number's place. */
static enum kt_kind note_gap(struct work *w, struct kt_err *err)
{
    struct run_step *steps = NULL;
    size_t n = 0;
    if (w->run.machine.strategy != STRATEGY_IN_PLACE)
        return KT_OK;
    enum kt_kind kind = work_steps(w, &steps, &n, err);
    if (kind != KT_OK)
        return kind;
    const struct gap gap = gap_of(&w->run, steps, n);
    if (gap_word(&gap)[0] == '\0')
        return KT_OK;
    w->secret.gap_at_ms = w->run.ended_ms;
    w->secret.gap_ms = gap.ms;
    w->secret.gap_until = gap_word(&gap);
    return KT_OK;
}

static enum kt_kind settle_secret(struct work *w, struct kt_err *err)
{
    struct rotation_secret *secret = &w->secret;
    const struct run *run = &w->run;
    secret->active = false;
    memcpy(secret->budgets, run->budgets, sizeof secret->budgets);
    drill_note(w);
    enum kt_kind kind = note_gap(w, err);
    if (kind != KT_OK)
        return kind;
    if (run->machine.mends || run->machine.drills)
        return settle_no_rotation(w, err);
    secret->last_state = run->machine.state;
    if (run->machine.state == RUN_DONE) {
        /* Where listeners were waited for the value is older than its run's end. */
        bool served = !run_touches_target(run) && run->promoted_ms != 0;
        secret->last_done_ms = served ? run->promoted_ms : w->req->now_ms;
        secret->failures = 0;
        secret->done_from = run->from;
        secret->done_to = run->to;
        if (run->settings.old_is_dead) /* it was said of this run; of one that began without it is said of the next */
            secret->settings.old_is_dead = false;
    } else if (!run->cancel) {
        secret->failures++;
    }
    kind = truth_after_run(w, err);
    if (kind == KT_OK)
        kind = plan_next(w, run->machine.state == RUN_DONE, err);
    return kind == KT_OK ? secret_save(w->req, secret, err) : kind;
}

static enum kt_kind settle_target(struct work *w, struct kt_err *err)
{
    if (!run_touches_target(&w->run))
        return KT_OK;
    uint32_t failures = w->target.failures;
    bool theirs = w->run.back_with != 0; /* the fault was there */
    bool blames = !w->blameless && !theirs && !own_is(w->target.driver); /* there it is one role's or one secret's */
    if (w->run.machine.state == RUN_DONE)
        failures = 0;
    else if (!w->run.cancel && blames && !drill_passed(&w->run))
        failures++;
    if (failures == w->target.failures && !w->target_news)
        return KT_OK;
    w->target.failures = failures;
    if (failures == ROTATION_BREAKER)
        request_log(w->req, KT_LOG_WARNING, "rotation-target-held",
                    "failures=%u next=\"secretctl run list; a rotation by hand that passes its preflight "
                    "lets the schedules go on\"",
                    failures);
    enum kt_kind kind = failures == ROTATION_BREAKER ? tell_held(w, failures, err) : KT_OK;
    return kind == KT_OK ? target_save(w->req, &w->target, err) : kind;
}

enum kt_kind work_finish(struct work *w, struct kt_err *err)
{
    struct batch *batch = request_batch(w->req);
    if (batch == NULL)
        return kt_fail(err, KT_NO_MEMORY, "ending a run");
    w->run.ended_ms = w->req->now_ms;
    release_locks(w, batch);
    enum kt_kind kind = settle_secret(w, err);
    if (kind == KT_OK)
        kind = settle_target(w, err);
    if (kind == KT_OK && w->run.machine.state == RUN_DONE && !w->run.machine.mends)
        kind = readers_forget(w->req, w->run.secret_id, w->run.to, FORGET_MOST, &w->readers_left,
                              err);
    if (kind == KT_OK)
        kind = tell_ended(w, err);
    if (kind == KT_OK)
        kind = report_write(w, err);
    return kind;
}
