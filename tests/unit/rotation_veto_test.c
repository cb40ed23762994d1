/* Consumers that keep runs from ending well: they are counted, named, put aside, and waited for again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/log.h"
#include "tests/support/rotation_scene.h"

#define ASIDE "rotation/quarantine/h1/" SECRET
#define NAMED "{\"service\":\"orders\",\"reason\":\"broken release\"}"

/* The newest version has another number after each run that went back. */
static unsigned newest(struct scene *s)
{
    char text[32];
    load_run(s);
    text_at(s, "data.to", text, sizeof text);
    return (unsigned)strtoul(text, NULL, 10);
}

/* A run that the host's service does not let through: it says that it is not well each time. */
static void vetoed(struct scene *s)
{
    rotate(s);
    soon(s, "acking");
    unsigned to = newest(s);
    read_version(s, to);
    assert_int_equal(report(s, "h1", to, "unhealthy"), 200);
    soon(s, "rolling_back");
    assert_int_equal(report(s, "h1", 1, "rolled_back"), 200);
    until(s, "rolled_back");
    assert_int_equal(report(s, "h1", 1, "healthy"), 200);
}

/* Time passes, too: what was asked in vain is asked again. */
static void passes_until(struct scene *s, const char *text)
{
    load_run(s);
    for (int i = 0; i < PATIENCE && !test_vault_said(s->vault, text); i++) {
        (void)goes_by(s, 1000);
        pause_ms(1);
        load_run(s);
    }
    says(s, text);
}

static void report_of(struct scene *s)
{
    char path[128];
    (void)snprintf(path, sizeof path, "rotation/runs/%s/report", s->run);
    need(s, 200, "GET", path, NULL);
}

static void listed(struct scene *s, const char *text)
{
    need(s, 200, "GET", "rotation/quarantine", NULL);
    says(s, text);
}

/* ---- counting ---- */

static void second_time_is_an_alarm(void **state)
{
    struct scene *s = scene(*state);
    register_agent(s, "h1");
    listed(s, "\"consumers\":[],\"count\":0,\"quarantined\":0,\"vetoing\":0");
    vetoed(s);
    listed(s, "\"vetoes\":1,\"why\":\"not healthy on v2: d\"");
    listed(s, "\"vetoing\":0");
    report_of(s);
    assert_false(test_vault_said(s->vault, "runs in a row"));
    vetoed(s);
    listed(s, "\"vetoes\":2,\"why\":\"not healthy on v3: d\"");
    listed(s, "\"vetoing\":1");
    report_of(s);
    says(s, "a consumer kept more than one run in a row from ending well");
    says(s, "secretctl consumer quarantine orders@h1 " SECRET);
    need(s, 200, "GET", "fleet/consumers/h1/" SECRET, NULL);
    says(s, "\"vetoes\":2,\"quarantined\":false");
    scene_end(s);
}

static void silence_is_one_too(void **state)
{
    struct scene *s = scene(*state);
    register_agent(s, "h1");
    register_agent(s, "h2");
    rotate(s);
    soon(s, "acking");
    acknowledge(s, "h2", 2);
    until(s, "rolling_back");
    assert_int_equal(report(s, "h2", 1, "healthy"), 200);
    until(s, "rolled_back");
    listed(s, "\"host\":\"h1\"");
    listed(s, "\"vetoes\":1,\"why\":\"did not acknowledge v2 within 30 s, it was healthy on v1\"");
    listed(s, "\"count\":1,");
    scene_end(s);
}

static void a_good_run_ends_the_count(void **state)
{
    struct scene *s = scene(*state);
    register_agent(s, "h1");
    vetoed(s);
    listed(s, "\"count\":1,");
    rotate(s);
    soon(s, "acking");
    acknowledge(s, "h1", newest(s));
    until(s, "done");
    listed(s, "\"count\":0,");
    scene_end(s);
}

/* It took the new version, another one did not: that run was not its fault. */
static void not_in_a_row(void **state)
{
    struct scene *s = scene(*state);
    register_agent(s, "h1");
    register_agent(s, "h2");
    rotate(s);
    soon(s, "acking");
    acknowledge(s, "h2", 2);
    read_version(s, 2);
    assert_int_equal(report(s, "h1", 2, "unhealthy"), 200);
    soon(s, "rolling_back");
    assert_int_equal(report(s, "h1", 1, "rolled_back"), 200);
    assert_int_equal(report(s, "h2", 1, "healthy"), 200);
    until(s, "rolled_back");
    assert_int_equal(report(s, "h1", 1, "healthy"), 200);
    rotate(s);
    soon(s, "acking");
    acknowledge(s, "h1", 3);
    read_version(s, 3);
    assert_int_equal(report(s, "h2", 3, "unhealthy"), 200);
    soon(s, "rolling_back");
    listed(s, "\"host\":\"h2\"");
    listed(s, "\"count\":1,\"quarantined\":0,\"vetoing\":0");
    scene_end(s);
}

static void unwell_before_it_counts(void **state)
{
    struct scene *s = scene(*state);
    register_agent(s, "h1");
    assert_int_equal(report(s, "h1", 1, "unhealthy"), 200);
    for (unsigned i = 1; i <= 2; i++) {
        rotate(s);
        soon(s, "preflight");
        s->vault->now_ms += 3601000;
        until(s, "cancelled");
    }
    listed(s, "\"vetoes\":2,\"why\":\"not healthy before anything was changed: d\"");
    need(s, 200, "POST", ASIDE, NAMED);
    rotate(s);
    until(s, "done");
    scene_end(s);
}

/* ---- putting aside ---- */

static void nobody_waits_for_it(void **state)
{
    struct scene *s = scene(*state);
    register_agent(s, "h1");
    vetoed(s);
    vetoed(s);
    need(s, 200, "POST", ASIDE, NAMED);
    says(s, "\"quarantined\":true");
    rotate(s);
    until(s, "done");
    report_of(s);
    says(s, "consumers that are put aside were not waited for");
    says(s, "nobody waited for orders@h1 (healthy on v1): root put it aside: broken release");
    need(s, 200, "GET", "rotation/plan", NULL);
    says(s, "\"quarantined\":true");
    says(s, "1 of its consumers are put aside");
    scene_end(s);
}

/* The run that waits for it goes on at once, others are waited for. */
static void a_waiting_run_goes_on(void **state)
{
    struct scene *s = scene(*state);
    change_rotation(s, "{\"on_unhealthy\":\"hold\",\"on_ack_timeout\":\"hold\"}");
    register_agent(s, "h1");
    register_agent(s, "h2");
    rotate(s);
    soon(s, "acking");
    read_version(s, 2);
    assert_int_equal(report(s, "h1", 2, "unhealthy"), 200);
    need(s, 200, "POST", ASIDE, NAMED);
    passes_until(s, "consumers 0/1 on v2");
    assert_true(is_in(s, "acking"));
    acknowledge(s, "h2", 2);
    until(s, "done");
    scene_end(s);
}

static void released_it_is_waited_for(void **state)
{
    struct scene *s = scene(*state);
    register_agent(s, "h1");
    need(s, 200, "POST", ASIDE, NAMED);
    need(s, 200, "POST", ASIDE, "{\"service\":\"orders\",\"reason\":\"again\"}");
    says(s, "root put it aside already");
    says(s, "\"reason\":\"broken release\"");
    test_vault_reseal(s->vault);
    listed(s, "\"quarantined\":1,");
    need(s, 200, "DELETE", ASIDE "?service=orders", NULL);
    listed(s, "\"count\":0,");
    need(s, 404, "DELETE", ASIDE "?service=orders", NULL);
    rotate(s);
    soon(s, "acking");
    soon_says(s, "consumers 0/1 on v2");
    acknowledge(s, "h1", 2);
    until(s, "done");
    scene_end(s);
}

/* Leaving and coming again does not make it count again, for whoever it is that says so. */
static void coming_again_changes_nothing(void **state)
{
    struct scene *s = scene(*state);
    register_agent(s, "h1");
    need(s, 200, "POST", ASIDE, NAMED);
    assert_int_equal(report(s, "h1", 1, "gone"), 200);
    register_agent(s, "h1");
    rotate(s);
    until(s, "done");
    scene_end(s);
}

static void bad_input(void **state)
{
    struct scene *s = scene(*state);
    register_agent(s, "h1");
    need(s, 400, "POST", ASIDE, "{\"service\":\"orders\"}");
    says(s, "reason is missing");
    need(s, 400, "POST", ASIDE, "{\"reason\":\"x\"}");
    says(s, "service must name the service");
    need(s, 404, "POST", ASIDE, "{\"service\":\"other\",\"reason\":\"x\"}");
    says(s, "no service 'other' on 'h1' uses '" SECRET "'");
    need(s, 404, "POST", "rotation/quarantine/h1/nowhere/x", NAMED);
    assert_int_equal(as_agent(s, "POST", ASIDE, NAMED), 403);
    listed(s, "\"count\":0,");
    scene_end(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        EACH(second_time_is_an_alarm),
        ALTERNATE(silence_is_one_too),
        ALTERNATE(a_good_run_ends_the_count),
        ALTERNATE(not_in_a_row),
        ALTERNATE(unwell_before_it_counts),
        EACH(nobody_waits_for_it),
        BOTH(a_waiting_run_goes_on),
        ALTERNATE(released_it_is_waited_for),
        ALTERNATE(coming_again_changes_nothing),
        ALTERNATE(bad_input),
    };
    kt_log_set_level(KT_LOG_ERROR);
    return cmocka_run_group_tests_name("rotation_veto", tests, NULL, NULL);
}
