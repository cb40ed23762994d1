/* The tables of a run: every pair of state and event, every intent with every answer; and that
 * docs/rotation.md shows exactly these tables. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "lib/buf.h"
#include "vaultd/rotation/machine.h"

#define DOCS "docs/rotation.md"

/* ---- all pairs ---- */

static struct machine at(enum run_strategy strategy, enum run_state state, bool past)
{
    struct machine m = {.strategy = strategy, .state = state, .past = past};
    if (state == RUN_ROLLING_BACK) {
        m.back = BACK_REVOKE_NEW;
        m.intent = INTENT_REVOKE_NEW;
    }
    if (state == RUN_FROZEN) {
        m.frozen = FROZEN_ADMIN;
        m.frozen_in = past ? RUN_REVOKING : RUN_VERIFYING;
    }
    return m;
}

/* These come out of a probe, not out of an event. */
static bool by_answers(enum run_state state, enum run_event event)
{
    return event == EV_OK && (state == RUN_VERIFYING || state == RUN_CONFIRMING);
}

/* Field by field: there is padding between them. */
static bool same(const struct machine *a, const struct machine *b)
{
    return a->strategy == b->strategy && a->state == b->state && a->back == b->back &&
           a->intent == b->intent && a->open == b->open && a->promoted == b->promoted &&
           a->past == b->past && a->old_dead == b->old_dead && a->hold_unhealthy == b->hold_unhealthy &&
           a->hold_silent == b->hold_silent && a->said_no == b->said_no &&
           a->bad_value == b->bad_value && a->values == b->values &&
           a->applied_again == b->applied_again && a->both_dead == b->both_dead &&
           a->revoked_again == b->revoked_again && a->restored == b->restored &&
           a->refused_back == b->refused_back && a->frozen == b->frozen &&
           a->frozen_in == b->frozen_in && a->fresh == b->fresh && a->doubt == b->doubt;
}

static void refused_pairs_change_nothing(void **state)
{
    (void)state;
    for (unsigned s = 0; s < RUN_STATE_COUNT; s++)
        for (unsigned e = 0; e < RUN_EVENT_COUNT; e++) {
            const struct transition *t = transition_find((enum run_state)s, (enum run_event)e);
            if (t->act != ACT_UNKNOWN && t->act != ACT_REFUSE)
                continue;
            struct machine m = at(STRATEGY_ALTERNATE, (enum run_state)s, false), before = m;
            unsigned fx = 77;
            assert_false(machine_event(&m, (enum run_event)e, &fx));
            assert_true(same(&m, &before));
            assert_int_equal(fx, 77);
        }
}

static void known_pairs_go_where_the_table_says(void **state)
{
    (void)state;
    for (unsigned strategy = STRATEGY_ALTERNATE; strategy < STRATEGY_COUNT; strategy++)
        for (unsigned s = 0; s < RUN_STATE_COUNT; s++)
            for (unsigned e = 0; e < RUN_EVENT_COUNT; e++) {
                enum run_state from = (enum run_state)s;
                const struct transition *t = transition_find(from, (enum run_event)e);
                struct machine m = at((enum run_strategy)strategy, from, false);
                unsigned fx = 0;
                if (t->act == ACT_UNKNOWN || t->act == ACT_REFUSE ||
                    by_answers(from, (enum run_event)e))
                    continue;
                assert_true(machine_event(&m, (enum run_event)e, &fx));
                bool to_confirming = from == RUN_OVERLAPPING && t->next == RUN_REVOKING &&
                                     strategy == STRATEGY_IN_PLACE;
                if (t->act == ACT_GO)
                    assert_int_equal(m.state, to_confirming ? RUN_CONFIRMING : t->next);
                if (t->act == ACT_FREEZE && e != EV_PERMANENT) {
                    assert_int_equal(m.state, RUN_FROZEN);
                    assert_int_equal(m.frozen, t->code);
                    assert_int_equal(m.frozen_in, from);
                    assert_true((fx & FX_PAGE) != 0);
                }
                if (t->act == ACT_CANCEL)
                    assert_int_equal(m.state, RUN_CANCELLED);
                if (t->act == ACT_STAY || t->act == ACT_RETRY || t->act == ACT_PROBE)
                    assert_int_equal(m.state, from);
                if (t->act == ACT_BACK && from != RUN_FROZEN)
                    assert_int_equal(m.state, RUN_ROLLING_BACK);
            }
}

static void every_state_has_a_crash_and_every_end_is_one(void **state)
{
    (void)state;
    for (unsigned s = 0; s < RUN_STATE_COUNT; s++) {
        const struct transition *t = transition_find((enum run_state)s, EV_CRASH);
        assert_int_equal(t->act == ACT_UNKNOWN, run_state_ended((enum run_state)s));
        /* Somebody always gets an answer to a cancel. */
        assert_int_not_equal(transition_find((enum run_state)s, EV_CANCEL)->act, ACT_UNKNOWN);
    }
}

/* After the intent to revoke nothing goes back by itself, whatever happens. */
static void nothing_goes_back_past_the_point(void **state)
{
    (void)state;
    static const enum run_state states[] = {RUN_APPLYING, RUN_APPLIED, RUN_VERIFYING, RUN_REVOKING,
                                            RUN_CONFIRMING, RUN_FROZEN};
    for (size_t s = 0; s < sizeof states / sizeof states[0]; s++)
        for (unsigned e = 0; e < RUN_EVENT_COUNT; e++) {
            struct machine m = at(STRATEGY_ALTERNATE, states[s], true);
            unsigned fx = 0;
            assert_false(machine_can_go_back(&m));
            if (by_answers(states[s], (enum run_event)e))
                continue;
            bool took = machine_event(&m, (enum run_event)e, &fx);
            if (e == EV_CANCEL)
                assert_false(took);
            assert_int_not_equal(m.state, RUN_ROLLING_BACK);
            assert_int_not_equal(m.state, RUN_CANCELLED);
        }
}

/* No step can be made without the version: a cancel ends the run wherever it is. Thawed, it goes on where it was. */
static void given_up_where_the_vault_lacks_a_version(void **state)
{
    (void)state;
    for (unsigned s = 0; s < RUN_STATE_COUNT; s++)
        for (int past = 0; past < 2; past++) {
            unsigned fx = 0;
            struct machine m = at(STRATEGY_ALTERNATE, (enum run_state)s, past != 0);
            bool untouched = s == RUN_PLANNED || s == RUN_PREFLIGHT || s == RUN_GENERATED;
            if (run_state_ended(m.state) || s == RUN_FROZEN || s == RUN_MENDING || (untouched && past))
                continue;
            machine_freeze(&m, FROZEN_STORE, &fx);
            struct machine thawed = m;
            assert_int_equal(machine_can_give_up(&m), !untouched);
            assert_true(machine_event(&m, EV_CANCEL, &fx));
            assert_int_equal(m.state, RUN_CANCELLED);
            assert_int_equal(machine_gave_up(&m), !untouched);
            assert_int_equal(fx & (FX_GIVE_UP | FX_DEAD_NEW | FX_DEAD_OLD | FX_DEMOTE), untouched ? 0 : FX_GIVE_UP);
            assert_true(machine_event(&thawed, EV_THAW, &fx));
            assert_false(machine_can_give_up(&thawed));
        }
}

/* What a consumer said before the freeze is not known any more after a restart: the target is. */
static void thawed_it_asks_the_target(void **state)
{
    (void)state;
    static const enum run_state waits[] = {RUN_ACKING, RUN_OVERLAPPING};
    for (unsigned strategy = STRATEGY_ALTERNATE; strategy < STRATEGY_COUNT; strategy++)
        for (size_t i = 0; i < sizeof waits / sizeof waits[0]; i++) {
            struct machine m = at((enum run_strategy)strategy, waits[i], false);
            unsigned fx = 0;
            m.promoted = true;
            assert_true(machine_event(&m, EV_UNHEALTHY, &fx));
            machine_freeze(&m, FROZEN_BOTH_DEAD, &fx);
            assert_int_equal(m.frozen_in, waits[i]);
            machine_resumed(&m);
            assert_true(machine_event(&m, EV_THAW, &fx));
            assert_int_equal(machine_want(&m), WANT_PROBE);
            machine_resumed(&m);
            assert_int_equal(machine_want(&m), WANT_PROBE);
            struct machine whole = m;
            machine_answers(&m, false, false, &fx);
            assert_int_equal(machine_want(&m), WANT_APPLY);
            bool both = strategy != STRATEGY_IN_PLACE;
            machine_answers(&whole, true, both, &fx);
            assert_int_equal(whole.state, both ? RUN_APPLIED : RUN_ACKING);
        }
}

/* ---- setting the stored one again ---- */

static void mends_what_is_refused(void **state)
{
    (void)state;
    unsigned fx = 0;
    struct machine m = {.strategy = STRATEGY_ALTERNATE, .state = RUN_PREFLIGHT, .mends = true}, first = m;
    assert_true(machine_event(&m, EV_OK, &fx)); /* accepted: nothing to do */
    assert_int_equal(m.state, RUN_DONE);
    assert_int_equal(m.intent, INTENT_NONE);
    m = first;
    assert_true(machine_event(&m, EV_REFUSED, &fx));
    assert_int_equal(m.state, RUN_MENDING);
    assert_int_equal(fx, FX_INTENT | FX_PUBLIC);
    assert_int_equal(machine_want(&m), WANT_RESTORE);
    struct machine sent = m;
    machine_resumed(&sent); /* nobody knows whether it was sent: asked first */
    assert_int_equal(machine_want(&sent), WANT_PROBE);
    assert_true(machine_event(&m, EV_OK, &fx));
    assert_int_equal(machine_want(&m), WANT_PROBE); /* a yes is no proof */
    machine_answers(&m, false, false, &fx);
    assert_int_equal(machine_want(&m), WANT_RESTORE);
    assert_true(machine_event(&m, EV_OK, &fx));
    struct machine twice = m;
    machine_answers(&m, false, true, &fx);
    assert_int_equal(m.state, RUN_DONE);
    assert_int_equal(fx, FX_END);
    machine_answers(&twice, false, false, &fx);
    assert_int_equal(twice.frozen, FROZEN_UNMENDED);
    struct machine left = twice;
    assert_true(machine_event(&twice, EV_THAW, &fx));
    assert_int_equal(machine_want(&twice), WANT_PROBE);
    assert_true(machine_event(&left, EV_CANCEL, &fx));
    assert_int_equal(left.state, RUN_CANCELLED);
    assert_int_equal(fx, FX_END);
}

static void try_all(const struct machine *m, unsigned depth)
{
    static const bool may[RUN_STATE_COUNT] = {
        [RUN_PLANNED] = true, [RUN_PREFLIGHT] = true, [RUN_MENDING] = true,
        [RUN_DONE] = true,    [RUN_CANCELLED] = true, [RUN_FROZEN] = true};
    /* Stages and versions are none of its business. */
    const unsigned never = FX_VALUE | FX_MARK_NEW | FX_PROMOTE | FX_DEMOTE | FX_DROP_NEW | FX_DEAD_NEW |
                           FX_DEAD_OLD | FX_OTHER | FX_AGAIN | FX_ALONE;
    if (!may[m->state])
        fail_msg("it came to %s", run_state_text(m->state));
    for (unsigned e = 0; depth > 0 && e < RUN_EVENT_COUNT + 2; e++) {
        struct machine next = *m;
        unsigned fx = 0;
        if (e < RUN_EVENT_COUNT)
            (void)machine_event(&next, (enum run_event)e, &fx);
        else if (machine_want(m) == WANT_PROBE)
            machine_answers(&next, false, e == RUN_EVENT_COUNT, &fx);
        assert_int_equal(fx & never, 0);
        if (!same(&next, m))
            try_all(&next, depth - 1);
    }
}

static void mending_makes_no_version_and_ends_none(void **state)
{
    (void)state;
    for (unsigned strategy = STRATEGY_ALTERNATE; strategy < STRATEGY_COUNT; strategy++) {
        const struct machine m = {.strategy = (enum run_strategy)strategy, .mends = true};
        try_all(&m, 7);
    }
}

/* How the run learns that somebody ended the old one early: by the probe before everybody gets the new one, or by one
 * that a consumer's trouble, or what the target lost, had it make since. */
enum learns { BY_VERIFYING, BY_A_DOUBT, BY_SETTING_AGAIN, LEARNS_COUNT };

static struct machine learned(enum run_strategy strategy, enum learns how, enum run_state state, bool given)
{
    unsigned fx = 0;
    struct machine m = {.strategy = strategy, .state = RUN_VERIFYING, .given = given, .drills = given};
    machine_answers(&m, true, how != BY_VERIFYING, &fx);
    assert_int_equal(fx & (FX_PROMOTE | FX_ALONE), how == BY_VERIFYING ? FX_PROMOTE | FX_ALONE : FX_PROMOTE);
    m.state = state;
    if (how == BY_VERIFYING)
        return m;
    assert_true(machine_event(&m, EV_UNHEALTHY, &fx));
    machine_answers(&m, how == BY_A_DOUBT, false, &fx);
    assert_int_equal(fx & FX_ALONE, FX_ALONE);
    assert_int_equal(m.state, how == BY_A_DOUBT ? state : RUN_APPLYING);
    return m;
}

/* And a person turns back: it is set again before anybody has to use it. */
static void nobody_is_sent_back_to_what_is_refused(void **state)
{
    (void)state;
    static const enum run_strategy strategies[] = {STRATEGY_ALTERNATE, STRATEGY_OVERLAP};
    static const enum run_state states[] = {RUN_ACKING, RUN_OVERLAPPING};
    for (unsigned i = 0; i < 4 * LEARNS_COUNT; i++) {
        unsigned fx = 0;
        struct machine m = learned(strategies[i % 2], (enum learns)(i / 4), states[i / 2 % 2], false);
        assert_true(machine_event(&m, EV_CANCEL, &fx));
        assert_int_equal(fx & FX_DEMOTE, 0);
        assert_int_equal(machine_want(&m), WANT_RESTORE);
        assert_true(machine_event(&m, EV_OK, &fx));
        assert_int_equal(fx & FX_DEMOTE, 0);
        assert_int_equal(machine_want(&m), WANT_COMMIT);
        assert_true(machine_event(&m, EV_OK, &fx));
        assert_int_equal(fx & FX_DEMOTE, FX_DEMOTE);
    }
}

/* What the target made cannot be set again: there is no way back, of a drill either. */
static void where_none_can_be_set_again_nothing_goes_back(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2 * LEARNS_COUNT; i++) {
        unsigned fx = 0;
        enum run_state in = i % 2 == 0 ? RUN_ACKING : RUN_OVERLAPPING;
        struct machine m = learned(STRATEGY_OVERLAP, (enum learns)(i / 2), in, true), silent = m;
        assert_false(machine_event(&m, EV_CANCEL, &fx));
        assert_false(machine_can_go_back(&m) || m.drills);
        if (m.state == RUN_ACKING) {
            assert_true(machine_event(&silent, EV_SILENT, &fx));
            assert_int_equal(silent.state, RUN_ACKING);
        }
        m.state = RUN_OVERLAPPING;
        assert_true(machine_event(&m, EV_OK, &fx));
        assert_int_equal(m.state, RUN_REVOKING);
    }
}

/* Somebody let it in again: then it need not be set again. */
static void what_lives_again_is_not_set_again(void **state)
{
    (void)state;
    unsigned fx = 0;
    struct machine m = learned(STRATEGY_ALTERNATE, BY_VERIFYING, RUN_ACKING, false);
    m.hold_unhealthy = true;
    assert_true(machine_event(&m, EV_UNHEALTHY, &fx));
    machine_answers(&m, true, true, &fx);
    assert_int_equal(m.state, RUN_ACKING);
    assert_true(machine_event(&m, EV_CANCEL, &fx));
    assert_int_equal(machine_want(&m), WANT_ASK_OLD);
    machine_answers(&m, false, true, &fx);
    assert_int_equal(m.back, BACK_DEMOTE);
}

/* In which a run that has promoted turns back without having asked. */
static struct machine turning(enum run_strategy strategy, bool given)
{
    unsigned fx = 0;
    struct machine m = {.strategy = strategy, .state = RUN_ACKING, .promoted = true, .given = given,
                        .intent = INTENT_APPLY};
    assert_true(machine_event(&m, EV_CANCEL, &fx));
    assert_int_equal(fx & FX_DEMOTE, 0);
    return m;
}

static void the_old_one_is_asked_for_first(void **state)
{
    (void)state;
    static const enum run_strategy strategies[] = {STRATEGY_ALTERNATE, STRATEGY_OVERLAP};
    for (unsigned i = 0; i < 4; i++) {
        unsigned fx = 0;
        const struct machine first = turning(strategies[i % 2], i / 2 != 0);
        assert_int_equal(machine_want(&first), WANT_ASK_OLD);
        struct machine m = first;
        machine_resumed(&m);
        assert_true(same(&m, &first)); /* asked once more */
        machine_answers(&m, false, false, &fx);
        assert_int_equal(fx & (FX_PAGE | FX_ALONE | FX_DEMOTE), FX_PAGE | FX_ALONE);
        if (first.given) { /* it cannot be set again */
            assert_int_equal(m.state, RUN_VERIFYING);
            assert_true(m.past && m.promoted);
        } else {
            assert_int_equal(machine_want(&m), WANT_RESTORE);
        }
        for (unsigned accepted = 0; accepted < 2; accepted++) {
            m = first;
            machine_answers(&m, accepted != 0, true, &fx);
            assert_int_equal(m.back, BACK_DEMOTE);
            assert_int_equal(fx, 0);
        }
    }
    const struct machine in_place = turning(STRATEGY_IN_PLACE, false), none = turning(STRATEGY_GENERATE, false);
    assert_int_equal(in_place.back, BACK_RESTORE_OLD);
    assert_int_equal(none.back, BACK_DEMOTE);
}

/* Whatever comes instead of an answer is none: it goes back, and counts for no later try. */
static void what_is_no_answer_holds_nobody_up(void **state)
{
    (void)state;
    const struct machine first = turning(STRATEGY_ALTERNATE, false);
    for (unsigned e = 0; e < RUN_EVENT_COUNT; e++) {
        enum run_act act = transition_find(RUN_ROLLING_BACK, (enum run_event)e)->act;
        struct machine m = first;
        unsigned fx = 0;
        bool stays = e == EV_CRASH || e == EV_UNHEALTHY || e == EV_SILENT;
        if (act == ACT_UNKNOWN || act == ACT_REFUSE)
            continue;
        assert_true(machine_event(&m, (enum run_event)e, &fx));
        assert_int_equal(m.state, RUN_ROLLING_BACK);
        assert_int_equal(m.back, stays ? BACK_ASK_OLD : BACK_DEMOTE);
        assert_int_equal(m.refused_back, 0);
        assert_int_equal(fx, 0);
    }
}

static void texts_are_there(void **state)
{
    (void)state;
    for (unsigned i = 0; i < RUN_STATE_COUNT; i++)
        assert_true(run_state_text((enum run_state)i)[0] != '\0');
    for (unsigned i = 0; i < RUN_EVENT_COUNT; i++)
        assert_true(run_event_text((enum run_event)i)[0] != '\0');
    for (unsigned i = 1; i < FROZEN_CODE_COUNT; i++)
        for (unsigned k = 1; k < i; k++)
            assert_string_not_equal(frozen_code_text((enum frozen_code)i),
                                    frozen_code_text((enum frozen_code)k));
    for (unsigned i = 0; i < STRATEGY_COUNT; i++) {
        enum run_strategy back;
        assert_true(run_strategy_parse(run_strategy_text((enum run_strategy)i), &back));
        assert_int_equal(back, i);
    }
    enum run_strategy none;
    assert_false(run_strategy_parse("sideways", &none));
}

/* ---- what a probe decides ---- */

static void answers(void **state)
{
    (void)state;
    static const struct {
        enum run_strategy strategy;
        enum run_intent intent;
        bool new_, old;
        enum decision want;
    } rows[] = {
        {STRATEGY_ALTERNATE, INTENT_APPLY, true, true, DECIDE_APPLIED},
        {STRATEGY_ALTERNATE, INTENT_APPLY, false, true, DECIDE_APPLY},
        {STRATEGY_ALTERNATE, INTENT_APPLY, true, false, DECIDE_PROMOTE},
        {STRATEGY_ALTERNATE, INTENT_APPLY, false, false, DECIDE_REAPPLY},
        {STRATEGY_IN_PLACE, INTENT_APPLY, true, false, DECIDE_PROMOTE},
        {STRATEGY_IN_PLACE, INTENT_APPLY, false, true, DECIDE_APPLY},
        {STRATEGY_ALTERNATE, INTENT_REVOKE, true, true, DECIDE_REVOKE},
        {STRATEGY_ALTERNATE, INTENT_REVOKE, false, true, DECIDE_APPLY},
        {STRATEGY_ALTERNATE, INTENT_REVOKE, true, false, DECIDE_REVOKED},
        {STRATEGY_ALTERNATE, INTENT_REVOKE, false, false, DECIDE_REAPPLY},
        {STRATEGY_ALTERNATE, INTENT_REVOKE_NEW, true, true, DECIDE_REVOKE_NEW},
        {STRATEGY_ALTERNATE, INTENT_REVOKE_NEW, false, true, DECIDE_RETURNED},
        {STRATEGY_ALTERNATE, INTENT_REVOKE_NEW, true, false, DECIDE_RESTORE},
        {STRATEGY_ALTERNATE, INTENT_REVOKE_NEW, false, false, DECIDE_RESTORE},
        {STRATEGY_IN_PLACE, INTENT_RESTORE, false, true, DECIDE_RETURNED},
        {STRATEGY_IN_PLACE, INTENT_RESTORE, true, false, DECIDE_RESTORE},
        {STRATEGY_IN_PLACE, INTENT_RESTORE, false, false, DECIDE_RESTORE},
        {STRATEGY_OVERLAP, INTENT_APPLY, true, true, DECIDE_APPLIED},
        {STRATEGY_OVERLAP, INTENT_APPLY, false, true, DECIDE_APPLY},
        {STRATEGY_OVERLAP, INTENT_APPLY, true, false, DECIDE_PROMOTE},
        {STRATEGY_OVERLAP, INTENT_APPLY, false, false, DECIDE_REAPPLY},
        {STRATEGY_OVERLAP, INTENT_REVOKE, true, true, DECIDE_REVOKE},
        {STRATEGY_OVERLAP, INTENT_REVOKE, false, true, DECIDE_APPLY},
        {STRATEGY_OVERLAP, INTENT_REVOKE, true, false, DECIDE_REVOKED},
        {STRATEGY_OVERLAP, INTENT_REVOKE, false, false, DECIDE_REAPPLY},
        {STRATEGY_OVERLAP, INTENT_REVOKE_NEW, true, true, DECIDE_REVOKE_NEW},
        {STRATEGY_OVERLAP, INTENT_REVOKE_NEW, false, true, DECIDE_RETURNED},
        {STRATEGY_OVERLAP, INTENT_REVOKE_NEW, true, false, DECIDE_RESTORE},
        {STRATEGY_OVERLAP, INTENT_REVOKE_NEW, false, false, DECIDE_RESTORE},
        {STRATEGY_OVERLAP, INTENT_RESTORE, true, true, DECIDE_REVOKE_NEW},
        {STRATEGY_OVERLAP, INTENT_RESTORE, false, true, DECIDE_RETURNED},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (resume_decide(rows[i].strategy, rows[i].intent, rows[i].new_, rows[i].old) !=
            rows[i].want)
            fail_msg("row %zu", i);
}

/* ---- the manual ---- */

static void print_transitions(struct kt_buf *out)
{
    for (unsigned s = 0; s < RUN_STATE_COUNT; s++) {
        kt_buf_printf(out, "**%s**", run_state_text((enum run_state)s));
        if (run_state_waits((enum run_state)s)[0] != '\0')
            kt_buf_printf(out, " waits for %s.", run_state_waits((enum run_state)s));
        kt_buf_add_text(out, "\n\n");
        for (unsigned e = 0; e < RUN_EVENT_COUNT; e++) {
            const struct transition *t = transition_find((enum run_state)s, (enum run_event)e);
            if (t->act == ACT_UNKNOWN)
                continue;
            kt_buf_printf(out, "- %s: %s", run_event_text((enum run_event)e), run_act_text(t->act));
            if (t->act == ACT_GO)
                kt_buf_printf(out, " %s", run_state_text(t->next));
            if (t->act == ACT_FREEZE)
                kt_buf_printf(out, " (%s %s)", frozen_code_text(t->code), frozen_code_word(t->code));
            kt_buf_add_text(out, "\n");
        }
        kt_buf_add_text(out, "\n");
    }
}

static void print_answers(struct kt_buf *out)
{
    static const struct {
        const char *name;
        enum run_strategy strategy;
        enum run_intent intent;
    } rows[] = {
        {"apply, alternate and overlap", STRATEGY_ALTERNATE, INTENT_APPLY},
        {"apply, in-place", STRATEGY_IN_PLACE, INTENT_APPLY},
        {"revoke", STRATEGY_ALTERNATE, INTENT_REVOKE},
        {"revoke_new (going back)", STRATEGY_ALTERNATE, INTENT_REVOKE_NEW},
        {"restore_old (going back)", STRATEGY_IN_PLACE, INTENT_RESTORE},
    };
    kt_buf_add_text(out, "| last intent | both accepted | only the old one | only the new one | "
                         "neither |\n|---|---|---|---|---|\n");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        kt_buf_printf(out, "| %s |", rows[i].name);
        for (int column = 0; column < 4; column++)
            kt_buf_printf(out, " %s |",
                          decision_text(resume_decide(rows[i].strategy, rows[i].intent,
                                                      column == 0 || column == 2,
                                                      column == 0 || column == 1)));
        kt_buf_add_text(out, "\n");
    }
    kt_buf_add_text(out, "\n");
}

static char *read_file(const char *path)
{
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return NULL;
    char *text = calloc(1, 1u << 20);
    if (text != NULL && fread(text, 1, (1u << 20) - 1, file) == 0)
        text[0] = '\0';
    (void)fclose(file);
    return text;
}

/* Between "<!-- NAME begin -->" and "<!-- NAME end -->" stands what the tables print.
 * KT_WRITE_DOCS=1 writes it there. */
static void section(const char *name, struct kt_buf *printed)
{
    char begin[64], end[64];
    (void)snprintf(begin, sizeof begin, "<!-- %s begin -->\n\n", name);
    (void)snprintf(end, sizeof end, "<!-- %s end -->", name);
    char *text = read_file(DOCS);
    if (text == NULL)
        skip(); /* not started at the top of the tree */
    char *from = strstr(text, begin), *to = from == NULL ? NULL : strstr(from, end);
    assert_non_null(to);
    from += strlen(begin);
    size_t len = (size_t)(to - from);
    bool same = len == printed->len && memcmp(from, printed->at, len) == 0;
    if (!same && getenv("KT_WRITE_DOCS") != NULL) {
        FILE *file = fopen(DOCS, "w");
        assert_non_null(file);
        (void)fwrite(text, 1, (size_t)(from - text), file);
        (void)fwrite(printed->at, 1, printed->len, file);
        (void)fputs(to, file);
        (void)fclose(file);
    } else if (!same) {
        fail_msg("%s: section '%s' is not what the tables say; KT_WRITE_DOCS=1 %s writes it", DOCS,
                 name, "build/release/unit/rotation_machine_test");
    }
    free(text);
}

static void manual_shows_the_tables(void **state)
{
    (void)state;
    struct kt_buf out;
    kt_buf_init(&out, 1u << 18);
    print_transitions(&out);
    section("transitions", &out);
    kt_buf_reset(&out);
    print_answers(&out);
    section("answers", &out);
    kt_buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refused_pairs_change_nothing),
        cmocka_unit_test(known_pairs_go_where_the_table_says),
        cmocka_unit_test(every_state_has_a_crash_and_every_end_is_one),
        cmocka_unit_test(nothing_goes_back_past_the_point),
        cmocka_unit_test(given_up_where_the_vault_lacks_a_version),
        cmocka_unit_test(thawed_it_asks_the_target),
        cmocka_unit_test(mends_what_is_refused),
        cmocka_unit_test(mending_makes_no_version_and_ends_none),
        cmocka_unit_test(nobody_is_sent_back_to_what_is_refused),
        cmocka_unit_test(where_none_can_be_set_again_nothing_goes_back),
        cmocka_unit_test(what_lives_again_is_not_set_again),
        cmocka_unit_test(the_old_one_is_asked_for_first),
        cmocka_unit_test(what_is_no_answer_holds_nobody_up),
        cmocka_unit_test(texts_are_there),
        cmocka_unit_test(answers),
        cmocka_unit_test(manual_shows_the_tables),
    };
    return cmocka_run_group_tests_name("rotation_machine", tests, NULL, NULL);
}
