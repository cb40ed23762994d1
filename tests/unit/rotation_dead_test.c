/* `old_is_dead`: somebody ended the old credential at the target, since it leaked perhaps. What comes to the run, it
 * is not set again, and nobody is sent back to it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "lib/log.h"
#include "tests/support/hearing.h"

#define FIRST "first-password-of-a"

static bool first_is_accepted(struct scene *s)
{
    return sim_accepts(&s->sim, "app_a", FIRST);
}

static void ended_by_hand(struct scene *s)
{
    SIM_SET(&s->sim, vault, NULL); /* the target accepts nothing that is stored: no watcher */
    SIM_SET(&s->sim, accounts[0].verifier[0], '\0');
    change_rotation(s, "{\"old_is_dead\":true}");
}

static void till_acking(struct scene *s)
{
    ended_by_hand(s);
    register_agent(s, "h1");
    rotate(s);
    soon(s, "acking");
}

static void has_setting(struct scene *s, const char *text)
{
    need(s, 200, "GET", "rotation/secrets/" SECRET, NULL);
    says(s, text);
}

static void stays_dead(struct scene *s)
{
    assert_false(first_is_accepted(s));
    assert_int_equal(sim_ops(&s->sim, DRIVER_RESTORE), 0);
}

/* A consumer that is late holds the run: it is told, and waited for. */
static void nobody_is_sent_back(void **state)
{
    struct people *p = people_of(1);
    struct scene *s = begin(p, *state);
    till_acking(s);
    s->vault->now_ms += 31000;
    rotation_wake(s->vault->core->rotation);
    soon_heard(p, "ops", "\"event\":\"no_way_back\"", 1);
    assert_int_equal(heard(p, "ops", "NO WAY BACK  " SECRET ": orders@h1 did not acknowledge v2 within 30 s"), 1);
    soon_says(s, "\"name\":\"no way back\"");
    assert_true(is_in(s, "acking"));
    stays_dead(s);
    cancel(s, 400);
    says(s, "KT-R-008");
    says(s, "version 1 was dead before and is not set again");
    acknowledge(s, "h1", 2);
    ends_done(s);
    stays_dead(s);
    assert_int_equal(heard(p, "ops", "no_way_back"), 1);
    has_setting(s, "\"old_is_dead\":false");
    scene_end(s);
}

/* One that nobody hears of does not hold the end of the old one for ever. */
static void who_never_comes_is_passed_over(void **state)
{
    struct scene *s = scene(*state);
    till_acking(s);
    let_go(s);
    ends_done(s);
    soon_says(s, "\"name\":\"passed over\"");
    stays_dead(s);
    scene_end(s);
}

/* The target was asked whether it is to blame, which it is not. */
static void is_waited_for(struct scene *s)
{
    for (int i = 0; i < PATIENCE; i++) {
        load_run(s);
        if (test_vault_said(s->vault, "consumers 0/1 on v2 and healthy; orders@h1 is unhealthy on v2"))
            break;
        (void)goes_by(s, 50);
        pause_ms(1);
    }
    says(s, "orders@h1 is unhealthy on v2");
    assert_true(is_in(s, "acking"));
}

static void one_that_is_not_well_goes_on(void **state)
{
    struct scene *s = scene(*state);
    till_acking(s);
    read_version(s, 2);
    assert_int_equal(report(s, "h1", 2, "unhealthy"), 200);
    is_waited_for(s);
    stays_dead(s);
    assert_int_equal(report(s, "h1", 2, "healthy"), 200);
    ends_done(s);
    scene_end(s);
}

/* Nobody waits for a time that is over, or for one that never is, to know of it. */
static void one_that_is_not_well_is_told(void **state)
{
    struct people *p = people_of(1);
    struct scene *s = begin(p, *state);
    change_rotation(s, "{\"ack_timeout\":0}");
    till_acking(s);
    read_version(s, 2);
    assert_int_equal(report(s, "h1", 2, "unhealthy"), 200);
    is_waited_for(s);
    soon_heard(p, "ops", "\"event\":\"no_way_back\"", 1);
    assert_int_equal(heard(p, "ops", "NO WAY BACK  " SECRET ": orders@h1 is unhealthy on v2, and v1 was dead before"), 1);
    assert_int_equal(report(s, "h1", 2, "healthy"), 200);
    ends_done(s);
    assert_int_equal(heard(p, "ops", "no_way_back"), 1);
    scene_end(s);
}

/* A late consumer has nobody sent back, nor does a cancel: it ends as soon as the consumer has the new one. */
static void only_goes_ahead(struct scene *s)
{
    s->vault->now_ms += 31000;
    rotation_wake(s->vault->core->rotation);
    soon_says(s, "\"can_go_back\":false");
    soon_says(s, "consumers 0/1 on v2");
    cancel(s, 400);
    acknowledge(s, "h1", 2);
    ends_done(s);
    stays_dead(s);
}

/* What preflight saw is known after a restart. */
static void a_restart_forgets_nothing(void **state)
{
    struct scene *s = scene(*state);
    till_acking(s);
    test_vault_reseal(s->vault);
    only_goes_ahead(s);
    scene_end(s);
}

/* A vaultd of before began it, and kept nothing of what it saw: who said that the old one is dead is believed. */
static void begun_by_one_of_before(void **state)
{
    struct scene *s = scene(*state);
    till_acking(s);
    put_as_format(s, s->run, 3);
    only_goes_ahead(s);
    scene_end(s);
}

/* What it sends from then on does not keep the dead one beside the new one. */
static void sent_again_by_one_of_now(void **state)
{
    char path[128];
    struct scene *s = scene(*state);
    ended_by_hand(s);
    register_agent(s, "h1");
    SIM_SET(&s->sim, says_no, true);
    rotate(s);
    until(s, "frozen");
    put_as_format(s, s->run, 3);
    SIM_SET(&s->sim, says_no, false);
    (void)snprintf(path, sizeof path, "rotation/runs/%s/thaw", s->run);
    need(s, 200, "POST", path, "{}");
    until(s, "acking");
    stays_dead(s);
    acknowledge(s, "h1", 2);
    ends_done(s);
    stays_dead(s);
    scene_end(s);
}

/* From the first word to the target on there is nothing that a cancel could bring back. */
static void a_cancel_comes_too_late(void **state)
{
    struct scene *s = scene(*state);
    ended_by_hand(s);
    SIM_SET(&s->sim, slow, true);
    rotate(s);
    soon(s, "applying");
    cancel(s, 400);
    says(s, "KT-R-008");
    sim_answer(&s->sim);
    ends_done(s);
    stays_dead(s);
    scene_end(s);
}

/* It logs in, and is not all that it should be: still more than what nobody is let in with. */
static void a_check_that_fails_is_no_way_back(void **state)
{
    struct scene *s = scene(*state);
    ended_by_hand(s);
    SIM_SET(&s->sim, misplaced, true);
    rotate(s);
    ends_done(s);
    stays_dead(s);
    scene_end(s);
}

/* Somebody lets it in again meanwhile: it is no way back by that, and dead at the end. */
static void let_in_by_others(void **state)
{
    struct scene *s = scene(*state);
    struct sim_account *account = sim_account(&s->sim, "app_a");
    char first[sizeof account->verifier];
    memcpy(first, account->verifier, sizeof first);
    till_acking(s);
    SIM_SAY(&s->sim, accounts[0].also, first);
    assert_true(first_is_accepted(s));
    read_version(s, 2);
    assert_int_equal(report(s, "h1", 2, "unhealthy"), 200);
    is_waited_for(s);
    cancel(s, 400);
    assert_int_equal(report(s, "h1", 2, "healthy"), 200);
    ends_done(s);
    stays_dead(s);
    scene_end(s);
}

static void gives_up(struct scene *s)
{
    char path[128];
    cancel(s, 200);
    soon(s, "cancelled");
    (void)snprintf(path, sizeof path, "rotation/runs/%s/report", s->run);
    need(s, 200, "GET", path, NULL);
    says(s, "# GIVEN UP  " SECRET ": it was not seen whether pg accepts v1 or v2: look at both.");
}

/* The target says no to the new one, and nothing works: a person looks, and may end it. The next run tries anew, and
 * knows of the old one what this one knew. */
static void the_new_one_is_refused(void **state)
{
    struct scene *s = scene(*state);
    ended_by_hand(s);
    SIM_SET(&s->sim, says_no, true);
    rotate(s);
    until(s, "frozen");
    says(s, "KT-R-021");
    says(s, "pg does not take the NEW password (version 2); version 1 was dead before.");
    says(s, "secretctl run cancel ");
    stays_dead(s);
    gives_up(s);
    has_setting(s, "\"old_is_dead\":true");
    need(s, 200, "GET", "secret/metadata/db/orders", NULL);
    says(s, "\"pending\":0");
    SIM_SET(&s->sim, says_no, false);
    rotate(s);
    until(s, "done");
    current_is(s, 3, alternates(s) ? "app_b" : "app_a");
    stays_dead(s);
    scene_end(s);
}

/* The target's rules do not allow the first value: another one is tried, as ever. */
static void another_value_is_tried(void **state)
{
    struct scene *s = scene(*state);
    ended_by_hand(s);
    SIM_SET(&s->sim, bad_values, 1);
    rotate(s);
    until(s, "done");
    current_is(s, 3, alternates(s) ? "app_b" : "app_a");
    stays_dead(s);
    scene_end(s);
}

/* A drill would set it again, and so would who mends. */
static void neither_drilled_nor_reconciled(void **state)
{
    struct scene *s = scene(*state);
    ended_by_hand(s);
    change_rotation(s, "{\"drill\":\"0 4 1 * *\",\"allow_gap\":true}");
    need(s, 400, "POST", "rotation/drill/" SECRET, "{}");
    says(s, "KT-R-004");
    says(s, "meant to be dead (old_is_dead): there is no way back to be tried");
    need(s, 400, "POST", "rotation/reconcile/" SECRET, "{}");
    says(s, "KT-R-004");
    says(s, "meant to be dead (old_is_dead): it is not set again");
    change_rotation(s, "{\"old_is_dead\":false}");
    need(s, 200, "POST", "rotation/reconcile/" SECRET, "{}");
    scene_end(s);
}

/* The answer says that it applies from the next run. */
static void said_during_a_run_it_is_of_the_next(void **state)
{
    struct scene *s = scene(*state);
    rotate(s);
    soon(s, "overlapping");
    need(s, 200, "POST", "rotation/secrets/" SECRET, "{\"old_is_dead\":true}");
    says(s, "from the next run");
    ends_done(s);
    has_setting(s, "\"old_is_dead\":true");
    scene_end(s);
}

/* Said of a run that finds it alive: it was said of that one. */
static void said_of_one_that_lives(void **state)
{
    struct scene *s = scene(*state);
    change_rotation(s, "{\"old_is_dead\":true}");
    register_agent(s, "h1");
    rotate(s);
    soon(s, "acking");
    soon_says(s, "\"can_go_back\":true");
    acknowledge(s, "h1", 2);
    ends_done(s);
    has_setting(s, "\"old_is_dead\":false");
    scene_end(s);
}

/* A target that cannot say whether it accepts the old one proves nothing: it is asked again. */
static void no_answer_is_no_death(void **state)
{
    struct scene *s = scene(*state);
    change_rotation(s, "{\"old_is_dead\":true}");
    register_agent(s, "h1");
    SIM_SET(&s->sim, unsure, 1);
    rotate(s);
    until(s, "acking");
    soon_says(s, "\"can_go_back\":true");
    acknowledge(s, "h1", 2);
    ends_done(s);
    scene_end(s);
}

static void dead_once_it_is_seen(void **state)
{
    struct scene *s = scene(*state);
    ended_by_hand(s);
    register_agent(s, "h1");
    SIM_SET(&s->sim, unsure, 1);
    rotate(s);
    until(s, "acking");
    soon_says(s, "\"can_go_back\":false");
    acknowledge(s, "h1", 2);
    ends_done(s);
    stays_dead(s);
    scene_end(s);
}

/* A right password for which no connection is free is accepted. */
static void barred_is_no_death(void **state)
{
    struct scene *s = scene(*state);
    change_rotation(s, "{\"old_is_dead\":true}");
    register_agent(s, "h1");
    SIM_SET(&s->sim, bars, true);
    SIM_SET(&s->sim, slow, true);
    rotate(s);
    soon(s, "applying");
    soon_says(s, "\"can_go_back\":true");
    SIM_SET(&s->sim, bars, false);
    sim_answer(&s->sim);
    soon(s, "acking");
    acknowledge(s, "h1", 2);
    ends_done(s);
    scene_end(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        EACH(nobody_is_sent_back),
        EACH(who_never_comes_is_passed_over),
        EACH(one_that_is_not_well_goes_on),
        EACH(one_that_is_not_well_is_told),
        EACH(a_restart_forgets_nothing),
        EACH(begun_by_one_of_before),
        OVERLAP(sent_again_by_one_of_now),
        EACH(a_cancel_comes_too_late),
        ALTERNATE(a_check_that_fails_is_no_way_back),
        ALTERNATE(let_in_by_others),
        OVERLAP(let_in_by_others),
        EACH(the_new_one_is_refused),
        EACH(another_value_is_tried),
        EACH(neither_drilled_nor_reconciled),
        EACH(said_during_a_run_it_is_of_the_next),
        EACH(said_of_one_that_lives),
        EACH(no_answer_is_no_death),
        EACH(dead_once_it_is_seen),
        EACH(barred_is_no_death),
    };
    kt_log_set_level(KT_LOG_ERROR);
    return cmocka_run_group_tests_name("rotation_dead", tests, NULL, NULL);
}
