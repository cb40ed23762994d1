/* The tables of a run, tried against everything that can happen.
 *
 * A simulated vault, target and consumer are driven by the very functions that drive real runs.
 * Every order of events is explored: a crash at each step, a statement whose answer or which itself
 * is lost, a target that loses its last change, a consumer in trouble, a cancel at any moment, up
 * to three faults. Nothing may lead to a state in which the target accepts no value that the vault
 * has; and a drill never ends the old one. Rules are then taken away, one after the other: the model has to
 * notice. */
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

enum mutation { NO_MUTATION, NO_RULE_A, VALUE_LATE, DRILL_GOES_ON };

struct world {
    struct machine m;
    bool stored;             /* the new value is in the vault */
    bool new_ok, old_ok;     /* what the target accepts */
    bool can_lose, lost_new, lost_old; /* the state before its last change */
    bool promoted;           /* the stage in the vault */
    bool runs_new;           /* the consumer */
    uint8_t faults, cancels;
};

struct model {
    enum mutation mutation;
    bool drill;
    struct world *worlds;
    size_t n;
    uint32_t *index; /* open addressing; 0: free */
    size_t index_size;
    const char *broken; /* what went wrong first */
    struct world at;
    unsigned ends[RUN_STATE_COUNT], frozen[FROZEN_CODE_COUNT];
};

/* ---- the set of worlds ---- */

static void pack(const struct world *w, unsigned char out[32])
{
    const struct machine *m = &w->m;
    const unsigned char all[] = {
        (unsigned char)m->state, (unsigned char)m->back, (unsigned char)m->intent, m->open,
        m->promoted, m->past, m->applied_again, m->both_dead, m->revoked_again, m->restored,
        m->refused_back, m->said_no, m->bad_value, m->values,
        (unsigned char)m->frozen, (unsigned char)m->frozen_in, m->fresh, m->doubt, w->stored,
        w->new_ok, w->old_ok, w->can_lose, w->lost_new, w->lost_old, w->promoted, w->runs_new,
        w->faults, w->cancels, m->drills, m->turned, m->alone};
    _Static_assert(sizeof all <= 32, "it fits");
    memset(out, 0, 32);
    memcpy(out, all, sizeof all);
}

static bool known(struct model *model, const struct world *w)
{
    unsigned char key[32], other[32];
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

static const char *wrong(const struct world *w)
{
    bool saved = w->old_ok || (w->new_ok && w->stored);
    if (!saved)
        return "the target accepts nothing that the vault has";
    bool old_only = w->old_ok && !w->new_ok && !w->promoted;
    if (w->m.state == RUN_DONE)
        return w->new_ok && !w->old_ok && w->promoted && w->runs_new ? NULL : "done, but it is not";
    if (w->m.state == RUN_ROLLED_BACK)
        return old_only && !w->runs_new ? NULL : "rolled back, but it is not";
    if (w->m.state == RUN_CANCELLED)
        return old_only ? NULL : "cancelled, but something happened";
    return w->m.promoted == w->promoted ? NULL : "the stage is not what the run thinks";
}

/* A drill is to leave everything as it was. */
static const char *wrong_drill(const struct world *w)
{
    bool revokes = w->m.intent == INTENT_REVOKE || w->m.past;
    return revokes || w->m.state == RUN_DONE ? "a drill ends the old one" : NULL;
}

static void reach(struct model *model, const struct world *w)
{
    if (model->broken != NULL || known(model, w))
        return;
    const char *what = wrong(w);
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

static void commit(const struct model *model, struct world *w, unsigned fx)
{
    if ((fx & FX_OTHER) != 0) {
        assert_false(w->new_ok); /* what is thrown away is refused */
        w->lost_new = false;     /* and if the target turns back it is that one that it may take */
    }
    if ((fx & FX_VALUE) != 0 && model->mutation != VALUE_LATE)
        w->stored = true;
    if ((fx & FX_PROMOTE) != 0)
        w->promoted = true;
    if ((fx & FX_DEMOTE) != 0)
        w->promoted = false;
}

static void event(const struct model *model, struct world *w, enum run_event ev)
{
    unsigned fx = 0;
    assert_true(machine_event(&w->m, ev, &fx));
    commit(model, w, fx);
}

static void answers(const struct model *model, struct world *w)
{
    unsigned fx = 0;
    machine_answers(&w->m, w->new_ok, w->old_ok, &fx);
    commit(model, w, fx);
}

/* Each step sets what the account accepts, whatever it did before. */
static void overlap_takes(struct world *w, enum machine_want want)
{
    w->new_ok = want != WANT_REVOKE_NEW;
    w->old_ok = want == WANT_APPLY ? !w->m.past : want != WANT_REVOKE;
}

static void target_takes(struct world *w, enum machine_want want)
{
    bool in_place = w->m.strategy == STRATEGY_IN_PLACE;
    w->can_lose = true;
    w->lost_new = w->new_ok;
    w->lost_old = w->old_ok;
    if (w->m.strategy == STRATEGY_OVERLAP) {
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
static void sent_well(const struct model *model, struct world *w, enum machine_want want)
{
    event(model, w, EV_OK);
    if (want == WANT_APPLY && model->mutation == VALUE_LATE)
        w->stored = true;
    if (want == WANT_APPLY && w->m.strategy == STRATEGY_IN_PLACE) {
        event(model, w, EV_OK);
        answers(model, w);
    }
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
    sent_well(model, &w, want);
    reach(model, &w);
    if (from->faults == FAULTS_MAX)
        return;
    w = *from; /* done, and the answer is lost */
    w.faults++;
    target_takes(&w, want);
    event(model, &w, EV_UNREACH);
    reach(model, &w);
    w = *from; /* lost on the way */
    w.faults++;
    event(model, &w, EV_UNREACH);
    reach(model, &w);
    w = *from; /* done, and a crash before its outcome is stored */
    w.faults++;
    target_takes(&w, want);
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
    if (from->can_lose) {
        w = *from;
        w.faults++;
        w.can_lose = false;
        w.new_ok = w.lost_new;
        w.old_ok = w.lost_old;
        reach(model, &w);
    }
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
        break;
    case WANT_PREFLIGHT:
        event(model, &next, EV_OK);
        reach(model, &next);
        break;
    case WANT_PROBE:
    case WANT_VERIFY:
        probe(model, w);
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

static void model_run_as(struct model *model, enum run_strategy strategy, bool drill, enum mutation mutation)
{
    *model = (struct model){.mutation = mutation, .drill = drill, .index_size = 1u << 20};
    model->worlds = calloc(WORLDS_MAX, sizeof *model->worlds);
    model->index = calloc(model->index_size, sizeof *model->index);
    assert_non_null(model->worlds);
    assert_non_null(model->index);
    struct world first = {.m = {.strategy = strategy, .drills = drill && mutation != DRILL_GOES_ON}, .old_ok = true};
    reach(model, &first);
    for (size_t i = 0; i < model->n && model->broken == NULL; i++) {
        struct world w = model->worlds[i];
        explore_from(model, &w);
    }
}

static void model_run(struct model *model, enum run_strategy strategy, enum mutation mutation)
{
    model_run_as(model, strategy, false, mutation);
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
    enum run_strategy strategy = *(const enum run_strategy *)*state;
    struct model model;
    model_run(&model, strategy, NO_MUTATION);
    describe(&model);
    print_message("%s: %zu worlds; done %u, rolled back %u, cancelled %u, frozen %u\n",
                  run_strategy_text(strategy), model.n, model.ends[RUN_DONE],
                  model.ends[RUN_ROLLED_BACK], model.ends[RUN_CANCELLED], model.ends[RUN_FROZEN]);
    for (size_t i = 1; i < FROZEN_CODE_COUNT; i++)
        if (model.frozen[i] != 0)
            print_message("  %s %u\n", frozen_code_word((enum frozen_code)i), model.frozen[i]);
    assert_true(model.ends[RUN_DONE] > 0);
    assert_true(model.ends[RUN_ROLLED_BACK] > 0);
    assert_true(model.ends[RUN_CANCELLED] > 0);
    /* Three faults may come at the same thing three times: then a person has to look. Anything else
     * than these reasons would be a guess. */
    for (size_t i = 1; i < FROZEN_CODE_COUNT; i++)
        if (i != FROZEN_CANNOT_REVOKE && i != FROZEN_ROLLBACK && i != FROZEN_OLD_ALIVE &&
            i != FROZEN_NEW_DEAD)
            assert_int_equal(model.frozen[i], 0);
    model_free(&model);
}

/* Whatever comes to it, a drill goes back, or was cancelled before anything happened. */
static void drills_end_nothing(void **state)
{
    enum run_strategy strategy = *(const enum run_strategy *)*state;
    struct model model;
    unsigned turned = 0;
    model_run_as(&model, strategy, true, NO_MUTATION);
    describe(&model);
    for (size_t i = 0; i < model.n; i++)
        turned += model.worlds[i].m.turned && model.worlds[i].m.state == RUN_ROLLED_BACK;
    print_message("%s: %zu worlds; rolled back %u (turned %u), cancelled %u, frozen %u\n",
                  run_strategy_text(strategy), model.n, model.ends[RUN_ROLLED_BACK], turned,
                  model.ends[RUN_CANCELLED], model.ends[RUN_FROZEN]);
    assert_true(turned > 0 && turned < model.ends[RUN_ROLLED_BACK]);
    assert_int_equal(model.ends[RUN_DONE], 0);
    for (size_t i = 1; i < FROZEN_CODE_COUNT; i++)
        if (i != FROZEN_ROLLBACK)
            assert_int_equal(model.frozen[i], 0);
    model_free(&model);
}

/* From wherever a run got, without further faults it ends: nothing waits for ever. */
static void ends_from_all(enum run_strategy strategy, bool drill)
{
    struct model model;
    model_run_as(&model, strategy, drill, NO_MUTATION);
    for (size_t i = 0; i < model.n; i++) {
        struct world w = model.worlds[i];
        int steps = 0;
        for (;; steps++) {
            enum machine_want want = machine_want(&w.m);
            if (want == WANT_NOTHING || want == WANT_PERSON || steps == SETTLE_MAX)
                break;
            if (want == WANT_COMMIT || want == WANT_PREFLIGHT) {
                event(&model, &w, EV_OK);
            } else if (want == WANT_PROBE || want == WANT_VERIFY) {
                answers(&model, &w);
            } else if (want == WANT_ACKS || want == WANT_OVERLAP) {
                w.runs_new = w.new_ok;
                event(&model, &w, w.new_ok ? EV_OK : EV_UNHEALTHY);
            } else if (want == WANT_RETURN) {
                w.runs_new = false;
                event(&model, &w, EV_OK);
            } else if (may_not_revoke(&w, want)) {
                answers(&model, &w);
            } else {
                target_takes(&w, want);
                sent_well(&model, &w, want);
            }
        }
        if (steps == SETTLE_MAX)
            fail_msg("does not end from %s/%s", run_state_text(model.worlds[i].m.state),
                     back_step_text(model.worlds[i].m.back));
        assert_null(wrong(&w));
    }
    model_free(&model);
}

static void always_ends(void **state)
{
    ends_from_all(*(const enum run_strategy *)*state, false);
}

static void drills_end(void **state)
{
    ends_from_all(*(const enum run_strategy *)*state, true);
}

static void notices(void **state)
{
    static const struct {
        enum run_strategy strategy;
        enum mutation mutation;
    } rows[] = {
        {STRATEGY_ALTERNATE, NO_RULE_A},
        {STRATEGY_ALTERNATE, VALUE_LATE},
        {STRATEGY_IN_PLACE, VALUE_LATE},
        {STRATEGY_OVERLAP, VALUE_LATE},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct model model;
        model_run(&model, rows[i].strategy, rows[i].mutation);
        if (model.broken == NULL)
            fail_msg("a run without rule %d of strategy %s is not noticed", rows[i].mutation,
                     run_strategy_text(rows[i].strategy));
        assert_string_equal(model.broken, "the target accepts nothing that the vault has");
        model_free(&model);
    }
    struct model model;
    model_run_as(&model, STRATEGY_ALTERNATE, true, DRILL_GOES_ON);
    assert_non_null(model.broken);
    assert_string_equal(model.broken, "a drill ends the old one");
    model_free(&model);
}

int main(void)
{
    static enum run_strategy alternate = STRATEGY_ALTERNATE, in_place = STRATEGY_IN_PLACE,
                             overlap = STRATEGY_OVERLAP;
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
        {"a rule taken away is noticed", notices, NULL, NULL, NULL},
    };
    return cmocka_run_group_tests_name("rotation_model", tests, NULL, NULL);
}
