/* Going back on purpose, and how long it takes: drills by hand and on their schedule, the recovery time
 * objective, and that a drill is no rotation. On a simulated target; it is 08:00 on 15 January 2027. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/rotation_scene.h"
#include "vaultd/rotation/back.h"

#define MINUTE_MS ((int64_t)60 * 1000)

/* ---- words ---- */

static void drill(struct scene *s)
{
    need(s, 200, "POST", "rotation/drill/" SECRET, "{\"reason\":\"before the release\"}");
    text_at(s, "data.run", s->run, sizeof s->run);
}

static void load_secret(struct scene *s)
{
    need(s, 200, "GET", "rotation/secrets/" SECRET, NULL);
}

static void load_report(struct scene *s)
{
    char path[128];
    (void)snprintf(path, sizeof path, "rotation/runs/%s/report", s->run);
    need(s, 200, "GET", path, NULL);
}

/* A number of the last answer. */
static long number_at(struct scene *s, const char *member)
{
    char name[64];
    (void)snprintf(name, sizeof name, "\"%s\":", member);
    const char *at = strstr(s->vault->body, name);
    if (at == NULL)
        fail_msg("no %s in %.2000s", name, s->vault->body);
    return at == NULL ? 0 : strtol(at + strlen(name), NULL, 10);
}

static void minutes(struct scene *s, int64_t n)
{
    s->vault->now_ms += n * MINUTE_MS;
    rotation_wake(s->vault->core->rotation);
}

/* What the thread would have started by now it has started: another secret's run was behind it. */
static void looked_at_all(struct scene *s)
{
    static unsigned round;
    char path[64];
    for (int times = 0; times < 2; times++) {
        (void)snprintf(path, sizeof path, "rotation/secrets/secret/mark%u", round++);
        need(s, 204, "POST", path, "{\"period\":\"1s\"}");
        s->vault->now_ms += 2000;
        for (int i = 0; i < PATIENCE; i++) {
            need(s, 200, "GET", path, NULL);
            if (test_vault_said(s->vault, "\"current\":1"))
                break;
            rotation_wake(s->vault->core->rotation);
            pause_ms(1);
        }
        says(s, "\"current\":1");
        need(s, 204, "DELETE", path, NULL);
    }
}

static bool has_run(struct scene *s, const char *trigger)
{
    char wanted[64];
    need(s, 200, "LIST", "rotation/runs?secret=" SECRET "&limit=1", NULL);
    (void)snprintf(wanted, sizeof wanted, "\"trigger\":\"%s\"", trigger);
    return test_vault_said(s->vault, wanted);
}

static void takes_newest_run(struct scene *s)
{
    char id[64];
    const char *at = strstr(s->vault->body, "\"keys\":[\"");
    assert_non_null(at);
    (void)snprintf(id, sizeof id, "%.26s", at + strlen("\"keys\":[\""));
    (void)snprintf(s->run, sizeof s->run, "%s", id);
}

static void soon_drills(struct scene *s)
{
    for (int i = 0; i < PATIENCE; i++) {
        if (test_vault_call(s->vault, "LIST", "rotation/runs?secret=" SECRET "&limit=1", s->vault->root, NULL) ==
                200 &&
            test_vault_said(s->vault, "\"trigger\":\"drill\"")) {
            takes_newest_run(s);
            return;
        }
        rotation_wake(s->vault->core->rotation);
        pause_ms(1);
    }
    fail_msg("no drill began: %.1500s", s->vault->body);
}

/* Until the drill turns, which takes the overlap. */
static void turns(struct scene *s)
{
    until(s, "acking");
    acknowledge(s, "h1", 2);
    until(s, "rolling_back");
}

static void comes_back(struct scene *s)
{
    soon_says(s, "\"back_step\":\"redistribute\"");
    assert_int_equal(report(s, "h1", 1, "healthy"), 200);
    until(s, "rolled_back");
    current_is(s, 1, "app_a");
}

/* ---- by hand ---- */

static void goes_there_and_back(void **state)
{
    struct scene *s = scene(*state);
    change_rotation(s, "{\"allow_gap\":true,\"rto\":\"1h\",\"cron\":\"0 3 * * *\",\"max_age\":\"90d\"}");
    register_agent(s, "h1");
    load_secret(s);
    char before[64], due[64];
    text_at(s, "data.state.last_done", before, sizeof before);
    text_at(s, "data.state.next_due", due, sizeof due);
    drill(s);
    says(s, "\"from\":1,\"to\":0");
    load_run(s);
    says(s, "\"drill\":\"under way\",\"back\":null");
    turns(s);
    comes_back(s);
    assert_int_equal(sim_ops(&s->sim, DRIVER_REVOKE), revokes(s) ? 1 : 0); /* of the new one */
    load_run(s);
    says(s, "\"drill\":\"good\"");
    says(s, "\"rto_s\":3600,\"measured\":true,\"missed\":false");
    load_report(s);
    says(s, "# DRILLED  secret/db/orders: v1 is in use, v2 is dead.");
    says(s, "within its objective of 1h0m0s.");
    says(s, "it was a drill: all consumers ran the new version");
    /* It was no rotation. */
    char text[64];
    load_secret(s);
    text_at(s, "data.state.last_done", text, sizeof text);
    assert_string_equal(text, before);
    text_at(s, "data.state.next_due", text, sizeof text);
    assert_string_equal(text, due);
    says(s, "\"last_result\":\"\",\"failures\":0");
    says(s, "\"drill_ok\":true");
    says(s, "it went back in ");
    need(s, 200, "GET", "rotation/targets/pg", NULL);
    says(s, "\"failures\":0");
    need(s, 200, "GET", "rotation/overdue", NULL);
    says(s, "\"count\":0");
    scene_end(s);
}

/* From the order until the last consumer's word: nothing else is counted. */
static void measures_until_everybody_is_back(void **state)
{
    struct scene *s = scene(*state);
    change_rotation(s, "{\"allow_gap\":true,\"rto\":\"100s\"}");
    register_agent(s, "h1");
    drill(s);
    turns(s);
    soon_says(s, "\"back_step\":\"redistribute\"");
    load_run(s);
    char ordered[64];
    text_at(s, "data.back.ordered", ordered, sizeof ordered);
    s->vault->now_ms += 70000; /* it takes that long to restart */
    assert_int_equal(report(s, "h1", 1, "healthy"), 200);
    s->vault->now_ms += 90000; /* and so long nobody looked */
    until(s, "rolled_back");
    load_run(s);
    text_at(s, "data.back.ordered", ordered, sizeof ordered);
    long took = number_at(s, "took_ms");
    if (took < 70000 || took > 100000)
        fail_msg("took %ld: %.2000s", took, s->vault->body);
    says(s, "\"missed\":false");
    load_secret(s);
    assert_int_equal(number_at(s, "drill_took_ms"), took);
    assert_int_equal(number_at(s, "back_took_ms"), took);
    scene_end(s);
}

static void a_missed_objective_is_said(void **state)
{
    struct scene *s = scene(*state);
    change_rotation(s, "{\"rto\":\"10s\"}");
    register_agent(s, "h1");
    need(s, 200, "GET", "rotation/plan", NULL);
    says(s, "that going back takes no longer than its objective of 10s was never measured: secretctl drill " SECRET);
    drill(s);
    turns(s);
    soon_says(s, "\"back_step\":\"redistribute\"");
    s->vault->now_ms += 11000;
    comes_back(s);
    load_run(s);
    says(s, "\"drill\":\"failed\"");
    says(s, "\"measured\":true,\"missed\":true");
    load_report(s);
    says(s, "# DRILL FAILED");
    says(s, ": the objective of 10s was MISSED.");
    says(s, "going back took longer than its objective");
    load_secret(s);
    says(s, "\"drill_ok\":false");
    need(s, 200, "GET", "rotation/plan", NULL);
    says(s, "its last drill did not end well: it went back in ");
    need(s, 200, "GET", "rotation/overdue", NULL);
    says(s, "\"why\":\"drill\"");
    scene_end(s);
}

/* A consumer that cannot take the new version: the drill says so, and the rotation's own record does not. */
static void a_consumer_that_fails(void **state)
{
    struct scene *s = scene(*state);
    register_agent(s, "h1");
    drill(s);
    until(s, "acking");
    read_version(s, 2);
    assert_int_equal(report(s, "h1", 2, "unhealthy"), 200);
    until(s, "rolling_back");
    comes_back(s);
    load_run(s);
    says(s, "\"drill\":\"failed\"");
    load_secret(s);
    says(s, "\"last_result\":\"\",\"failures\":0");
    says(s, "\"drill_ok\":false");
    says(s, "it did not come so far: ");
    scene_end(s);
}

/* Somebody ends the old credential while it goes on: nobody is sent back before it is set again. */
static void the_old_one_dies_meanwhile(void **state)
{
    struct scene *s = scene(*state);
    register_agent(s, "h1");
    SIM_SET(&s->sim, late, true);
    drill(s);
    for (int i = 0; i < PATIENCE && sim_ops(&s->sim, DRIVER_APPLY) == 0; i++)
        pause_ms(1);
    (void)pthread_mutex_lock(&s->sim.lock);
    sim_account(&s->sim, "app_a")->verifier[0] = '\0';
    (void)pthread_mutex_unlock(&s->sim.lock);
    sim_answer(&s->sim);
    until(s, "acking");
    assert_false(sim_accepts(&s->sim, "app_a", "first-password-of-a"));
    acknowledge(s, "h1", 2);
    until(s, "rolling_back");
    soon_says(s, "\"back_step\":\"redistribute\"");
    current_is(s, 1, "app_a");
    assert_int_equal(sim_ops(&s->sim, DRIVER_RESTORE), 1);
    comes_back(s);
    load_run(s);
    says(s, "\"drill\":\"good\"");
    scene_end(s);
}

static void not_where_it_cuts_people_off(void **state)
{
    struct scene *s = scene(*state);
    gap_unsaid(s);
    need(s, 400, "POST", "rotation/drill/" SECRET, "{}");
    says(s, "KT-R-031");
    says(s, "allow_gap=true");
    need(s, 400, "POST", "rotation/secrets/" SECRET, "{\"drill\":\"0 4 1 * *\"}");
    says(s, "KT-R-031");
    need(s, 200, "POST", "rotation/drill/" SECRET, "{\"allow_gap\":true}");
    text_at(s, "data.run", s->run, sizeof s->run);
    until(s, "rolled_back");
    load_run(s);
    says(s, "\"drill\":\"good\"");
    current_is(s, 1, "app_a");
    change_rotation(s, "{\"allow_gap\":true,\"drill\":\"0 4 1 * *\"}");
    scene_end(s);
}

static void not_without_a_target(void **state)
{
    struct scene *s = scene(*state);
    need(s, 204, "POST", "rotation/secrets/secret/api", "{}");
    need(s, 400, "POST", "rotation/drill/secret/api", "{}");
    says(s, "KT-R-004");
    need(s, 400, "POST", "rotation/secrets/secret/api", "{\"drill\":\"0 4 1 * *\"}");
    need(s, 400, "POST", "rotation/drill/secret/none", "{}");
    need(s, 400, "POST", "rotation/secrets/" SECRET, "{\"drill\":\"never\"}");
    says(s, "drill: ");
    need(s, 200, "POST", "rotation/pause", "{\"reason\":\"x\"}");
    need(s, 400, "POST", "rotation/drill/" SECRET, "{}");
    says(s, "KT-R-030");
    scene_end(s);
}

/* What a rule of approval says of rotating a secret it says of its drills. */
static void not_without_approval(void **state)
{
    struct scene *s = scene(*state);
    char id[64], body[160];
    need(s, 200, "POST", "identity/entity", "{\"name\":\"tom\"}");
    text_at(s, "data.id", id, sizeof id);
    (void)snprintf(body, sizeof body, "{\"name\":\"approvers\",\"member_entity_ids\":[\"%s\"]}", id);
    need(s, 200, "POST", "identity/group", body);
    assert_true(test_vault_call(s->vault, "POST", "sys/approvals/rules/r", s->vault->root,
                                "{\"paths\":\"rotation/rotate/*\",\"group\":\"approvers\",\"needed\":1}") < 300);
    need(s, 403, "POST", "rotation/drill/" SECRET, "{}");
    says(s, "this needs approval (rule \\\"r\\\")");
    need(s, 403, "POST", "rotation/rotate/" SECRET, "{}");
    scene_end(s);
}

/* ---- other ways of going back ---- */

static void a_cancelled_run_is_measured(void **state)
{
    struct scene *s = scene(*state);
    change_rotation(s, "{\"rto\":\"5m\"}");
    register_agent(s, "h1");
    rotate(s);
    until(s, "acking");
    acknowledge(s, "h1", 2);
    cancel(s, 200);
    comes_back(s);
    load_run(s);
    says(s, "\"drill\":\"\"");
    says(s, "\"rto_s\":300,\"measured\":true,\"missed\":false");
    load_report(s);
    says(s, "# ROLLED BACK");
    says(s, "within its objective of 5m0s.");
    load_secret(s);
    says(s, "\"drilled\":\"\"");
    assert_true(number_at(s, "back_took_ms") >= 0);
    scene_end(s);
}

/* One that nobody got: there is nothing to measure. */
static void nobody_had_it(void **state)
{
    struct scene *s = scene(*state);
    change_rotation(s, "{\"rto\":\"5m\"}");
    SIM_SET(&s->sim, says_no, true);
    rotate(s);
    until(s, "rolled_back");
    load_run(s);
    says(s, "\"measured\":false,\"missed\":false");
    scene_end(s);
}

static void afterwards_it_is_a_run_of_its_own(void **state)
{
    struct scene *s = scene(*state);
    change_rotation(s, "{\"rto\":\"5m\"}");
    register_agent(s, "h1");
    rotate(s);
    soon(s, "acking");
    acknowledge(s, "h1", 2);
    ends_done(s);
    need(s, 200, "POST", "rotation/rotate/" SECRET, "{\"back\":true}");
    text_at(s, "data.run", s->run, sizeof s->run);
    soon(s, "acking");
    load_run(s);
    says(s, "\"back\":{\"ordered\":\"2027");
    s->vault->now_ms += 20000;
    acknowledge(s, "h1", 3);
    until(s, "done");
    load_run(s);
    long took = number_at(s, "took_ms");
    if (took < 20000 || took > 300000)
        fail_msg("took %ld: %.2000s", took, s->vault->body);
    says(s, "\"measured\":true,\"missed\":false");
    load_report(s);
    says(s, "# DONE");
    says(s, "within its objective of 5m0s.");
    scene_end(s);
}

/* Somebody who does not come back is seen: nothing says that it went well. */
static void somebody_stays_ill(void **state)
{
    struct scene *s = scene(*state);
    change_rotation(s, "{\"rto\":\"5m\"}");
    register_agent(s, "h1");
    rotate(s);
    until(s, "acking");
    acknowledge(s, "h1", 2);
    cancel(s, 200);
    soon_says(s, "\"back_step\":\"redistribute\"");
    assert_int_equal(report(s, "h1", 1, "unhealthy"), 200);
    until(s, "rolled_back");
    load_report(s);
    says(s, "It was not seen that everybody is well with it again: the objective of 5m0s was MISSED.");
    scene_end(s);
}

/* ---- on a schedule ---- */

static void on_its_schedule(void **state)
{
    struct scene *s = scene(*state);
    change_rotation(s, "{\"drill\":\"0 9 * * *\",\"period\":\"30d\"}");
    load_secret(s);
    says(s, "\"next_drill\":\"2027-01-15T09:00:00Z\"");
    char due[64], text[64];
    text_at(s, "data.state.next_due", due, sizeof due);
    minutes(s, 59);
    looked_at_all(s);
    assert_int_equal(test_vault_call(s->vault, "LIST", "rotation/runs?secret=" SECRET, s->vault->root, NULL), 404);
    minutes(s, 1);
    soon_drills(s);
    until(s, "rolled_back");
    load_secret(s);
    says(s, "\"next_drill\":\"2027-01-16T09:00:00Z\"");
    says(s, "\"drill_ok\":true");
    text_at(s, "data.state.next_due", text, sizeof text);
    assert_string_equal(text, due);
    assert_int_equal(test_vault_rows(s->vault, TABLE_DRILL), 1);
    change_rotation(s, "{\"drill\":\"\"}");
    assert_int_equal(test_vault_rows(s->vault, TABLE_DRILL), 0);
    change_rotation(s, "{\"drill\":\"0 9 * * *\"}");
    assert_int_equal(test_vault_rows(s->vault, TABLE_DRILL), 1);
    need(s, 204, "DELETE", "rotation/secrets/" SECRET, NULL);
    assert_int_equal(test_vault_rows(s->vault, TABLE_DRILL), 0);
    scene_end(s);
}

static void rests_while_paused(void **state)
{
    struct scene *s = scene(*state);
    change_rotation(s, "{\"drill\":\"0 9 * * *\"}");
    need(s, 200, "POST", "rotation/pause", "{\"reason\":\"migration\"}");
    minutes(s, 61);
    s->vault->now_ms += 1;
    need(s, 200, "POST", "rotation/targets/pg/check", "{}"); /* the thread has looked */
    rotation_wake(s->vault->core->rotation);
    need(s, 200, "POST", "rotation/targets/pg/check", "{}");
    assert_int_equal(test_vault_call(s->vault, "LIST", "rotation/runs?secret=" SECRET, s->vault->root, NULL), 404);
    need(s, 200, "GET", "rotation/overdue", NULL);
    minutes(s, 5);
    need(s, 200, "GET", "rotation/overdue", NULL);
    says(s, "\"why\":\"drill\"");
    test_vault_reseal(s->vault);
    need(s, 200, "DELETE", "rotation/pause", NULL);
    soon_drills(s);
    until(s, "rolled_back");
    scene_end(s);
}

/* What a window and a calendar keep from rotations they keep from drills. */
static void waits_for_its_window(void **state)
{
    struct scene *s = scene(*state);
    need(s, 200, "POST", "rotation/calendars/freeze", "{\"ranges\":\"2027-01-15T08:30..2027-01-15T10:00 x\"}");
    change_rotation(s, "{\"drill\":\"0 9 * * *\",\"blackout\":\"freeze\",\"window\":\"10:30-11:30\",\"period\":\"30d\"}");
    load_secret(s);
    says(s, "\"next_drill\":\"2027-01-15T10:30:00Z\"");
    minutes(s, 149);
    looked_at_all(s);
    assert_int_equal(test_vault_call(s->vault, "LIST", "rotation/runs?secret=" SECRET, s->vault->root, NULL), 404);
    minutes(s, 2);
    soon_drills(s);
    until(s, "rolled_back");
    assert_true(has_run(s, "drill"));
    load_secret(s);
    says(s, "\"next_drill\":\"2027-01-16T10:30:00Z\"");
    scene_end(s);
}

/* It cannot start as the secret is: that is said, and it comes again. */
static void cannot_start(void **state)
{
    struct scene *s = scene(*state);
    change_rotation(s, "{\"drill\":\"0 9 * * *\"}");
    need(s, 200, "POST", "secret/data/db/orders",
         "{\"data\":{\"username\":\"somebody\",\"password\":\"first-password-of-a\"}}");
    minutes(s, 61);
    looked_at_all(s);
    load_secret(s);
    says(s, "\"drill_ok\":false");
    says(s, "it could not start: KT-R-004");
    says(s, "\"next_drill\":\"2027-01-16T09:00:00Z\"");
    says(s, "\"failures\":0");
    scene_end(s);
}

/* Exactly as long as it may take is no miss. */
static void to_the_millisecond(void **state)
{
    (void)state;
    static struct run run;
    for (int64_t more_ms = 0; more_ms < 2; more_ms++) {
        run = (struct run){.trigger = TRIGGER_BACK, .back_asked_ms = 1000, .back_ready_ms = 11000 + more_ms};
        run.settings.rto_s = 10;
        run.machine.state = RUN_DONE;
        struct back_time time = back_time(&run);
        assert_true(time.measured);
        assert_int_equal(time.took_ms, 10000 + more_ms);
        assert_int_equal(time.missed, more_ms != 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(to_the_millisecond),
        EACH(goes_there_and_back),
        EACH(measures_until_everybody_is_back),
        ALTERNATE(a_missed_objective_is_said),
        ALTERNATE(a_consumer_that_fails),
        OVERLAP(a_consumer_that_fails),
        ALTERNATE(the_old_one_dies_meanwhile),
        IN_PLACE(not_where_it_cuts_people_off),
        ALTERNATE(not_without_a_target),
        ALTERNATE(not_without_approval),
        EACH(a_cancelled_run_is_measured),
        ALTERNATE(nobody_had_it),
        EACH(afterwards_it_is_a_run_of_its_own),
        ALTERNATE(somebody_stays_ill),
        ALTERNATE(on_its_schedule),
        OVERLAP(on_its_schedule),
        ALTERNATE(rests_while_paused),
        ALTERNATE(waits_for_its_window),
        ALTERNATE(cannot_start),
    };
    return cmocka_run_group_tests_name("rotation_drill", tests, NULL, NULL);
}
