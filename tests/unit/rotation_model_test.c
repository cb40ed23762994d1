/* The tables of a run, tried against everything that can happen.
 *
 * A simulated vault, target and consumer are driven by the very functions that drive real runs.
 * Every order of events is explored: a crash at each step, a statement whose answer or which itself
 * is lost, a target that loses its last change, a consumer in trouble, a cancel at any moment, up
 * to three faults. Nothing may lead to a state in which the target accepts no value that the vault
 * has; and a drill never ends the old one. Where the target makes the values (`given`) it may forget any of
 * them, and nobody can prevent that it accepts none: there no step of the run may be what takes the last one
 * away, and from wherever it is, a freeze too, a run comes to an end. Where the old one was dead before, and meant to
 * be (`dead`), no step sets it again, whatever happens, and nobody is sent back to it. Rules are then taken away, one
 * after the other: the model has to notice. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "vaultd/rotation/machine.h"

#define FAULTS_MAX 3
#define WORLDS_MAX 400000u
#define SETTLE_MAX 100
#define PACKED     40

enum mutation { NO_MUTATION, NO_RULE_A, VALUE_LATE, DRILL_GOES_ON, BACK_UNASKED, DEAD_UNSAID };

struct world {
    struct machine m;
    bool stored;             /* the new value is in the vault */
    bool new_ok, old_ok;     /* what the target accepts */
    bool can_lose, lost_new, lost_old; /* the state before its last change */
    bool promoted;           /* the stage in the vault */
    bool runs_new;           /* the consumer */
    bool seen_dead;          /* the target was asked last, and refused the old one */
    bool unseen;             /* on the way back nobody could know what became of the old one since */
    uint8_t faults, cancels;
};

struct model {
    enum mutation mutation;
    bool drill, given, dead;
    struct world *worlds;
    size_t n;
    uint32_t *index; /* open addressing; 0: free */
    size_t index_size;
    const char *broken; /* what went wrong first */
    struct world at;
    unsigned ends[RUN_STATE_COUNT], frozen[FROZEN_CODE_COUNT];
};

/* ---- the set of worlds ---- */

static void pack(const struct world *w, unsigned char out[PACKED])
{
    const struct machine *m = &w->m;
    const unsigned char all[] = {
        (unsigned char)m->state, (unsigned char)m->back, (unsigned char)m->intent, m->open,
        m->promoted, m->past, m->applied_again, m->both_dead, m->revoked_again, m->restored,
        m->refused_back, m->said_no, m->bad_value, m->values,
        (unsigned char)m->frozen, (unsigned char)m->frozen_in, m->fresh, m->doubt, w->stored,
        w->new_ok, w->old_ok, w->can_lose, w->lost_new, w->lost_old, w->promoted, w->runs_new,
        w->faults, w->cancels, m->drills, m->turned, m->alone, m->old_dead, w->seen_dead,
        w->unseen};
    _Static_assert(sizeof all <= PACKED, "it fits");
    memset(out, 0, PACKED);
    memcpy(out, all, sizeof all);
}

static bool known(struct model *model, const struct world *w)
{
    unsigned char key[PACKED], other[PACKED];
    pack(w, key);
    uint64_t hash = 1469598103934665603u;
    for (size_t i = 0; i < sizeof key; i++)
        hash = (hash ^ key[i]) * 1099511628211u;
    size_t at = (size_t)hash & (model->index_size - 1);
    while (model->index[at] != 0) {
        pack(&model->worlds[model->index[at] - 1], other);
        if (memcmp(key, other, sizeof key) == 0)
            return true;
        at = (at + 1) & (model->index_size - 1);
    }
    assert_true(model->n < WORLDS_MAX);
    model->worlds[model->n++] = *w;
    model->index[at] = (uint32_t)model->n;
    return false;
}

/* ---- what must hold ---- */

static const char set_again[] = "what is meant to be dead is set again";

static bool saved(const struct world *w)
{
    return w->old_ok || (w->new_ok && w->stored);
}

static const char *wrong(const struct model *model, const struct world *w)
{
    bool given = w->m.given, dead = model->dead;
    if (!given && !dead && !saved(w))
        return "the target accepts nothing that the vault has";
    if (machine_gave_up(&w->m)) /* a person did, before anybody got the new one */
        return w->promoted || w->runs_new ? "given up, and somebody has the new one" : NULL;
    bool old_only = w->old_ok && !w->new_ok && !w->promoted;
    if (w->m.state == RUN_DONE)
        return w->new_ok && !w->old_ok && w->promoted && w->runs_new ? NULL : "done, but it is not";
    if (w->m.state == RUN_ROLLED_BACK)
        return old_only && !w->runs_new ? NULL : "rolled back, but it is not";
    if (w->m.state == RUN_CANCELLED)
        return old_only || ((given || dead) && !w->new_ok && !w->promoted) ? NULL : "cancelled, but something happened";
    return w->m.promoted == w->promoted ? NULL : "the stage is not what the run thinks";
}

/* A drill is to leave everything as it was. Where the old one died of something else and cannot be set again
 * it is none any more. */
static const char *wrong_drill(const struct world *w)
{
    if (w->m.given && !w->m.drills)
        return NULL;
    bool revokes = w->m.intent == INTENT_REVOKE || w->m.past;
    return revokes || w->m.state == RUN_DONE ? "a drill ends the old one" : NULL;
}

static void reach(struct model *model, const struct world *w)
{
    if (model->broken != NULL || known(model, w))
        return;
    const char *what = wrong(model, w);
    if (what == NULL && model->drill)
        what = wrong_drill(w);
    if (what != NULL) {
        model->broken = what;
        model->at = *w;
    }
    model->ends[w->m.state]++;
    if (w->m.state == RUN_FROZEN)
        model->frozen[w->m.frozen]++;
}

/* ---- the simulated vault and target ---- */

static const char unasked[] = "everybody is sent back to what is refused, which nobody asked";

static void commit(struct model *model, struct world *w, unsigned fx)
{
    if ((fx & FX_OTHER) != 0) {
        assert_false(w->new_ok); /* what is thrown away is refused */
        w->lost_new = false;     /* and if the target turns back it is that one that it may take */
    }
    if ((fx & FX_VALUE) != 0 && model->mutation != VALUE_LATE) {
        w->stored = true;
        w->runs_new = false; /* if it is in the place of one that is lost */
    }
    if ((fx & FX_PROMOTE) != 0)
        w->promoted = true;
    if ((fx & FX_DEMOTE) != 0 && (w->seen_dead || (!w->old_ok && !w->unseen))) {
        model->broken = w->seen_dead ? "everybody is sent back to what was seen to be refused" : unasked;
        model->at = *w;
    }
    if ((fx & FX_DEMOTE) != 0)
        w->promoted = false;
}

static void event(struct model *model, struct world *w, enum run_event ev)
{
    unsigned fx = 0;
    assert_true(machine_event(&w->m, ev, &fx));
    commit(model, w, fx);
}

static void answers(struct model *model, struct world *w)
{
    unsigned fx = 0;
    machine_answers(&w->m, w->new_ok, w->old_ok, &fx);
    w->seen_dead = !w->old_ok;
    commit(model, w, fx);
}

/* Each step sets what the account accepts, whatever it did before. */
static void overlap_takes(struct world *w, enum machine_want want)
{
    w->new_ok = want != WANT_REVOKE_NEW;
    w->old_ok = want == WANT_APPLY ? !w->m.past && !w->m.old_dead : want != WANT_REVOKE;
}

static void target_takes(struct world *w, enum machine_want want)
{
    bool in_place = w->m.strategy == STRATEGY_IN_PLACE;
    w->can_lose = true;
    w->lost_new = w->new_ok;
    w->lost_old = w->old_ok;
    if (w->m.given && want == WANT_APPLY) {
        w->lost_new = false; /* another value */
        w->new_ok = true;
    } else if (w->m.given && w->m.strategy == STRATEGY_OVERLAP) {
        w->old_ok = w->old_ok && want != WANT_REVOKE;
        w->new_ok = w->new_ok && want != WANT_REVOKE_NEW;
    } else if (w->m.strategy == STRATEGY_OVERLAP) {
        overlap_takes(w, want);
    } else if (want == WANT_APPLY) {
        w->new_ok = true;
        w->old_ok = w->old_ok && !in_place;
    } else if (want == WANT_REVOKE) {
        w->old_ok = false;
    } else if (want == WANT_REVOKE_NEW) {
        w->new_ok = false;
    } else {
        w->old_ok = true;
        w->new_ok = w->new_ok && !in_place;
    }
}

/* The outcome is committed; in-place the probe and the promotion are part of the same step. */
static void sent_well(struct model *model, struct world *w, enum machine_want want)
{
    w->seen_dead = w->seen_dead && want != WANT_RESTORE;
    event(model, w, EV_OK);
    if (want == WANT_APPLY && model->mutation == VALUE_LATE)
        w->stored = true;
    if (want == WANT_APPLY && w->m.strategy == STRATEGY_IN_PLACE) {
        event(model, w, EV_OK);
        answers(model, w);
    }
}

/* What was made, and nobody heard of it, is no value of the run's; nor is what was there before it. */
static void nobody_heard(struct world *w, enum machine_want want)
{
    target_takes(w, want);
    if (w->m.given && want == WANT_APPLY)
        w->new_ok = w->lost_new = false;
}

static bool may_not_revoke(const struct world *w, enum machine_want want)
{
    return (want == WANT_REVOKE && !w->new_ok) || (want == WANT_REVOKE_NEW && !w->old_ok);
}

static void send(struct model *model, const struct world *from, enum machine_want want)
{
    struct world w = *from;
    if (may_not_revoke(&w, want) && model->mutation != NO_RULE_A) {
        answers(model, &w);
        reach(model, &w);
        return;
    }
    target_takes(&w, want);
    if (model->dead && w.old_ok && !from->old_ok) {
        model->broken = set_again;
        model->at = w;
        return;
    }
    bool ends = want == WANT_REVOKE || want == WANT_REVOKE_NEW;
    if ((w.m.given || model->dead) && (want == WANT_RESTORE || (ends && saved(from) && !saved(&w)))) {
        model->broken = want == WANT_RESTORE ? "what the target made is set again" : "the run ends the last one that works";
        model->at = w;
        return;
    }
    sent_well(model, &w, want);
    reach(model, &w);
    if (from->faults == FAULTS_MAX)
        return;
    w = *from; /* done, and the answer is lost */
    w.faults++;
    nobody_heard(&w, want);
    event(model, &w, EV_UNREACH);
    reach(model, &w);
    w = *from; /* lost on the way */
    w.faults++;
    event(model, &w, EV_UNREACH);
    reach(model, &w);
    w = *from; /* done, and a crash before its outcome is stored */
    w.faults++;
    nobody_heard(&w, want);
    machine_resumed(&w.m);
    reach(model, &w);
    w = *from; /* the target says no */
    w.faults++;
    event(model, &w, EV_PERMANENT);
    reach(model, &w);
    if (want != WANT_APPLY)
        return;
    w = *from; /* its rules do not allow the value */
    w.faults++;
    event(model, &w, EV_VALUE);
    reach(model, &w);
}

/* ---- what can happen next ---- */

static void probe(struct model *model, const struct world *from)
{
    struct world w = *from;
    answers(model, &w);
    reach(model, &w);
}

static void waits(struct model *model, const struct world *from, enum machine_want want)
{
    struct world w = *from;
    if (want == WANT_RETURN) {
        if (w.runs_new && w.old_ok)
            w.runs_new = false;
        if (!w.runs_new) {
            event(model, &w, EV_OK);
            reach(model, &w);
        } else if (w.faults < FAULTS_MAX) {
            /* It cannot come back while the old one is dead: the probe after the wait sees it. */
            event(model, &w, EV_OK);
            w.runs_new = false;
            reach(model, &w);
        }
        return;
    }
    if (w.new_ok) {
        w.runs_new = true;
        event(model, &w, EV_OK);
        reach(model, &w);
    }
    w = *from;
    if (!w.new_ok || w.faults < FAULTS_MAX) {
        w.faults = (uint8_t)(w.faults + (w.new_ok ? 1 : 0));
        event(model, &w, EV_UNHEALTHY);
        reach(model, &w);
    }
    w = *from;
    if (w.faults < FAULTS_MAX) {
        w.faults++;
        if (want == WANT_ACKS) {
            event(model, &w, EV_SILENT);
        } else {
            w.runs_new = false;
            event(model, &w, EV_LATE);
        }
        reach(model, &w);
    }
}

/* One question whether the old one is accepted: the target does not say, or may not be asked so soon. */
static void asks_old(struct model *model, const struct world *from)
{
    static const enum run_event events[] = {EV_OK, EV_UNREACH, EV_ADMIN, EV_PERMANENT, EV_TIMEOUT};
    struct world w = *from;
    if (model->mutation == BACK_UNASKED)
        event(model, &w, EV_OK);
    else
        answers(model, &w);
    reach(model, &w);
    for (size_t i = 0; i < sizeof events / sizeof events[0] && from->faults < FAULTS_MAX; i++) {
        w = *from;
        w.faults++;
        w.unseen = true;
        event(model, &w, events[i]);
        assert_int_equal(w.m.back, BACK_DEMOTE);
        reach(model, &w);
    }
}

/* What happens to the old one between the answer and the commit that sends everybody back. */
static void may_be_unseen(struct world *w)
{
    w->unseen = w->unseen || (w->m.state == RUN_ROLLING_BACK && w->m.back == BACK_DEMOTE);
}

/* Somebody ended the old one by hand. Not the last one that works, and the target keeps to it. */
static void ends_early(struct model *model, const struct world *from)
{
    struct world w = *from;
    if (!w.old_ok || !w.new_ok || !w.stored)
        return;
    w.faults++;
    w.old_ok = w.can_lose = false;
    may_be_unseen(&w);
    reach(model, &w);
}

/* Somebody has the target accept what was dead. */
static void lets_in(struct model *model, const struct world *from)
{
    struct world w = *from;
    if (w.old_ok)
        return;
    w.faults++;
    w.old_ok = true;
    w.new_ok = w.new_ok && w.m.strategy != STRATEGY_IN_PLACE;
    w.can_lose = false;
    reach(model, &w);
}

/* Somebody deletes what the target made. */
static void forgets(struct model *model, const struct world *from)
{
    struct world w = *from;
    w.faults++;
    w.old_ok = false;
    may_be_unseen(&w);
    reach(model, &w);
    w.new_ok = false;
    reach(model, &w);
    w.old_ok = from->old_ok;
    reach(model, &w);
}

static void anytime(struct model *model, const struct world *from)
{
    struct world w = *from;
    unsigned fx = 0;
    if (w.cancels == 0 && machine_event(&w.m, EV_CANCEL, &fx)) {
        w.cancels++;
        commit(model, &w, fx);
        reach(model, &w);
    }
    if (from->faults == FAULTS_MAX)
        return;
    w = *from;
    w.faults++;
    machine_resumed(&w.m);
    reach(model, &w);
    if (from->m.given)
        forgets(model, from);
    else if (!model->dead)
        ends_early(model, from);
    if (model->dead)
        lets_in(model, from);
    if (from->can_lose) {
        w = *from;
        w.faults++;
        w.can_lose = false;
        w.new_ok = w.lost_new;
        w.old_ok = w.lost_old;
        may_be_unseen(&w);
        reach(model, &w);
    }
}

/* Consumers that are to have the new one before the target does. */
static void silent_beforehand(struct model *model, const struct world *from)
{
    struct world w = *from;
    if (w.m.state != RUN_GENERATED || w.faults == FAULTS_MAX)
        return;
    w.faults++;
    event(model, &w, EV_SILENT);
    reach(model, &w);
}

static void explore_from(struct model *model, const struct world *w)
{
    enum machine_want want = machine_want(&w->m);
    struct world next = *w;
    switch (want) {
    case WANT_NOTHING:
    case WANT_PERSON:
        return;
    case WANT_COMMIT:
        event(model, &next, EV_OK);
        reach(model, &next);
        silent_beforehand(model, w);
        break;
    case WANT_PREFLIGHT:
        event(model, &next, EV_OK);
        reach(model, &next);
        break;
    case WANT_PROBE:
    case WANT_VERIFY:
        probe(model, w);
        break;
    case WANT_ASK_OLD:
        asks_old(model, w);
        break;
    case WANT_APPLY:
    case WANT_REVOKE:
    case WANT_REVOKE_NEW:
    case WANT_RESTORE:
        send(model, w, want);
        break;
    case WANT_ACKS:
    case WANT_OVERLAP:
    case WANT_RETURN:
        waits(model, w, want);
        break;
    }
    anytime(model, w);
}

struct kind {
    enum run_strategy strategy;
    bool given, dead;
};

static void model_run_as(struct model *model, struct kind of, bool drill, enum mutation mutation)
{
    *model = (struct model){
        .mutation = mutation, .drill = drill, .given = of.given, .dead = of.dead, .index_size = 1u << 20};
    model->worlds = calloc(WORLDS_MAX, sizeof *model->worlds);
    model->index = calloc(model->index_size, sizeof *model->index);
    assert_non_null(model->worlds);
    assert_non_null(model->index);
    struct world first = {.m = {.strategy = of.strategy,
                                .given = of.given,
                                .old_dead = of.dead && mutation != DEAD_UNSAID,
                                .drills = drill && mutation != DRILL_GOES_ON},
                          .old_ok = !of.dead};
    reach(model, &first);
    for (size_t i = 0; i < model->n && model->broken == NULL; i++) {
        struct world w = model->worlds[i];
        explore_from(model, &w);
    }
}

static void model_run(struct model *model, struct kind of, enum mutation mutation)
{
    model_run_as(model, of, false, mutation);
}

static void model_free(struct model *model)
{
    free(model->worlds);
    free(model->index);
}

/* ---- tests ---- */

static void describe(const struct model *model)
{
    if (model->broken == NULL)
        return;
    const struct world *w = &model->at;
    fail_msg("%s: state %s/%s, new %d old %d stored %d promoted %d runs_new %d faults %d",
             model->broken, run_state_text(w->m.state), back_step_text(w->m.back), w->new_ok,
             w->old_ok, w->stored, w->promoted, w->runs_new, w->faults);
}

static void never_locks_out(void **state)
{
    struct kind of = *(const struct kind *)*state;
    struct model model;
    model_run(&model, of, NO_MUTATION);
    describe(&model);
    print_message("%s: %zu worlds; done %u, rolled back %u, cancelled %u, frozen %u\n",
                  run_strategy_text(of.strategy), model.n, model.ends[RUN_DONE],
                  model.ends[RUN_ROLLED_BACK], model.ends[RUN_CANCELLED], model.ends[RUN_FROZEN]);
    for (size_t i = 1; i < FROZEN_CODE_COUNT; i++)
        if (model.frozen[i] != 0)
            print_message("  %s %u\n", frozen_code_word((enum frozen_code)i), model.frozen[i]);
    assert_true(model.ends[RUN_DONE] > 0);
    assert_int_equal(model.ends[RUN_ROLLED_BACK] > 0, !of.dead);
    assert_int_equal(model.ends[RUN_ROLLING_BACK] > 0, !of.dead);
    assert_true(model.ends[RUN_CANCELLED] > 0);
    /* Three faults may come at the same thing three times: then a person has to look. Anything else
     * than these reasons would be a guess. */
    for (size_t i = 1; i < FROZEN_CODE_COUNT; i++)
        if (i != FROZEN_CANNOT_REVOKE && i != FROZEN_ROLLBACK && i != FROZEN_OLD_ALIVE &&
            i != FROZEN_NEW_DEAD && !((of.given || of.dead) && i == FROZEN_BOTH_DEAD))
            assert_int_equal(model.frozen[i], 0);
    model_free(&model);
}

/* Whatever comes to it, a drill goes back, or was cancelled before anything happened. */
static void drills_end_nothing(void **state)
{
    struct kind of = *(const struct kind *)*state;
    struct model model;
    unsigned turned = 0;
    model_run_as(&model, of, true, NO_MUTATION);
    describe(&model);
    for (size_t i = 0; i < model.n; i++)
        turned += model.worlds[i].m.turned && model.worlds[i].m.state == RUN_ROLLED_BACK;
    print_message("%s: %zu worlds; rolled back %u (turned %u), cancelled %u, frozen %u\n",
                  run_strategy_text(of.strategy), model.n, model.ends[RUN_ROLLED_BACK], turned,
                  model.ends[RUN_CANCELLED], model.ends[RUN_FROZEN]);
    assert_true(turned > 0 && turned < model.ends[RUN_ROLLED_BACK]);
    assert_int_equal(model.ends[RUN_DONE] > 0, of.given);
    for (size_t i = 1; i < FROZEN_CODE_COUNT; i++)
        if (i != FROZEN_ROLLBACK && !of.given)
            assert_int_equal(model.frozen[i], 0);
    model_free(&model);
}

/* Without further faults. */
static void go_on(struct model *model, struct world *w)
{
    for (int steps = 0;; steps++) {
        enum machine_want want = machine_want(&w->m);
        if (want == WANT_NOTHING || want == WANT_PERSON)
            return;
        if (steps == SETTLE_MAX)
            fail_msg("does not end: it is %s/%s", run_state_text(w->m.state), back_step_text(w->m.back));
        if (want == WANT_COMMIT || want == WANT_PREFLIGHT) {
            event(model, w, EV_OK);
        } else if (want == WANT_PROBE || want == WANT_VERIFY || want == WANT_ASK_OLD) {
            answers(model, w);
        } else if (want == WANT_ACKS || want == WANT_OVERLAP) {
            w->runs_new = w->new_ok;
            event(model, w, w->new_ok ? EV_OK : EV_UNHEALTHY);
        } else if (want == WANT_RETURN) {
            w->runs_new = false;
            event(model, w, EV_OK);
        } else if (may_not_revoke(w, want)) {
            answers(model, w);
        } else {
            target_takes(w, want);
            sent_well(model, w, want);
        }
    }
}

/* From wherever a run got it ends: nothing waits for ever. Where the target makes the values, or there is no way back,
 * a person who types what a freeze says ends it, too. */
static void ends_from_all(struct kind of, bool drill)
{
    struct model model;
    unsigned thawed = 0;
    model_run_as(&model, of, drill, NO_MUTATION);
    describe(&model);
    for (size_t i = 0; i < model.n; i++) {
        struct world w = model.worlds[i];
        go_on(&model, &w);
        assert_null(wrong(&model, &w));
        if ((!of.given && !of.dead) || w.m.state != RUN_FROZEN)
            continue;
        event(&model, &w, EV_THAW);
        go_on(&model, &w);
        assert_null(wrong(&model, &w));
        assert_true(run_state_ended(w.m.state));
        thawed++;
    }
    assert_true(thawed > 0 || (!of.given && !of.dead));
    model_free(&model);
}

static void always_ends(void **state)
{
    ends_from_all(*(const struct kind *)*state, false);
}

static void drills_end(void **state)
{
    ends_from_all(*(const struct kind *)*state, true);
}

static void notices(void **state)
{
    static const char nothing_works[] = "the target accepts nothing that the vault has";
    static const struct {
        struct kind of;
        enum mutation mutation;
        const char *broken;
    } rows[] = {
        {{STRATEGY_ALTERNATE, false, false}, NO_RULE_A, nothing_works},
        {{STRATEGY_ALTERNATE, false, false}, VALUE_LATE, nothing_works},
        {{STRATEGY_IN_PLACE, false, false}, VALUE_LATE, nothing_works},
        {{STRATEGY_OVERLAP, false, false}, VALUE_LATE, nothing_works},
        {{STRATEGY_ALTERNATE, false, false}, BACK_UNASKED, unasked},
        {{STRATEGY_OVERLAP, false, false}, BACK_UNASKED, unasked},
        {{STRATEGY_ALTERNATE, true, false}, BACK_UNASKED, unasked},
        {{STRATEGY_OVERLAP, true, false}, BACK_UNASKED, unasked},
        {{STRATEGY_OVERLAP, true, false}, NO_RULE_A, "the run ends the last one that works"},
        {{STRATEGY_ALTERNATE, true, false}, NO_RULE_A, "the run ends the last one that works"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct model model;
        model_run(&model, rows[i].of, rows[i].mutation);
        if (model.broken == NULL)
            fail_msg("a run without rule %d of strategy %s is not noticed", rows[i].mutation,
                     run_strategy_text(rows[i].of.strategy));
        assert_string_equal(model.broken, rows[i].broken);
        model_free(&model);
    }
    struct model model;
    model_run_as(&model, (struct kind){STRATEGY_ALTERNATE, false, false}, true, DRILL_GOES_ON);
    assert_non_null(model.broken);
    assert_string_equal(model.broken, "a drill ends the old one");
    model_free(&model);
    for (int i = 0; i < 3; i++) {
        const enum run_strategy strategies[] = {STRATEGY_ALTERNATE, STRATEGY_IN_PLACE, STRATEGY_OVERLAP};
        model_run(&model, (struct kind){strategies[i], false, true}, DEAD_UNSAID);
        assert_non_null(model.broken);
        assert_string_equal(model.broken, set_again);
        model_free(&model);
    }
}

int main(void)
{
    static struct kind alternate = {STRATEGY_ALTERNATE, false, false}, in_place = {STRATEGY_IN_PLACE, false, false},
                       overlap = {STRATEGY_OVERLAP, false, false}, slots = {STRATEGY_ALTERNATE, true, false},
                       keys = {STRATEGY_OVERLAP, true, false},
                       dead_alternate = {STRATEGY_ALTERNATE, false, true},
                       dead_in_place = {STRATEGY_IN_PLACE, false, true},
                       dead_overlap = {STRATEGY_OVERLAP, false, true}, dead_slots = {STRATEGY_ALTERNATE, true, true},
                       dead_keys = {STRATEGY_OVERLAP, true, true};
    const struct CMUnitTest tests[] = {
        {"alternate never locks out", never_locks_out, NULL, NULL, &alternate},
        {"in-place never locks out", never_locks_out, NULL, NULL, &in_place},
        {"overlap never locks out", never_locks_out, NULL, NULL, &overlap},
        {"alternate always ends", always_ends, NULL, NULL, &alternate},
        {"in-place always ends", always_ends, NULL, NULL, &in_place},
        {"overlap always ends", always_ends, NULL, NULL, &overlap},
        {"drills alternate end nothing", drills_end_nothing, NULL, NULL, &alternate},
        {"drills in-place end nothing", drills_end_nothing, NULL, NULL, &in_place},
        {"drills overlapping end nothing", drills_end_nothing, NULL, NULL, &overlap},
        {"drills alternate always end", drills_end, NULL, NULL, &alternate},
        {"drills in-place always end", drills_end, NULL, NULL, &in_place},
        {"drills overlapping always end", drills_end, NULL, NULL, &overlap},
        {"slots that the target fills: no step locks out", never_locks_out, NULL, NULL, &slots},
        {"keys that the target makes: no step locks out", never_locks_out, NULL, NULL, &keys},
        {"slots that the target fills: always ends", always_ends, NULL, NULL, &slots},
        {"keys that the target makes: always ends", always_ends, NULL, NULL, &keys},
        {"slots that the target fills: drills end nothing", drills_end_nothing, NULL, NULL, &slots},
        {"keys that the target makes: drills end nothing", drills_end_nothing, NULL, NULL, &keys},
        {"slots that the target fills: drills end", drills_end, NULL, NULL, &slots},
        {"keys that the target makes: drills end", drills_end, NULL, NULL, &keys},
        {"alternate, the old one dead before: it stays so", never_locks_out, NULL, NULL, &dead_alternate},
        {"in-place, the old one dead before: it stays so", never_locks_out, NULL, NULL, &dead_in_place},
        {"overlap, the old one dead before: it stays so", never_locks_out, NULL, NULL, &dead_overlap},
        {"slots, the old one dead before: it stays so", never_locks_out, NULL, NULL, &dead_slots},
        {"keys, the old one dead before: it stays so", never_locks_out, NULL, NULL, &dead_keys},
        {"alternate, the old one dead before: always ends", always_ends, NULL, NULL, &dead_alternate},
        {"in-place, the old one dead before: always ends", always_ends, NULL, NULL, &dead_in_place},
        {"overlap, the old one dead before: always ends", always_ends, NULL, NULL, &dead_overlap},
        {"slots, the old one dead before: always ends", always_ends, NULL, NULL, &dead_slots},
        {"keys, the old one dead before: always ends", always_ends, NULL, NULL, &dead_keys},
        {"a rule taken away is noticed", notices, NULL, NULL, NULL},
    };
    return cmocka_run_group_tests_name("rotation_model", tests, NULL, NULL);
}
