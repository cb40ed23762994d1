/* The rotation plan: what it says of a secret, what it finds missing and unproven, its order and pages; and
 * that no value is in it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "tests/support/rotation_scene.h"

#define PLAN_ROUTE "rotation/plan"

static void silent(struct scene *s, const char *text)
{
    if (test_vault_said(s->vault, text))
        fail_msg("'%s' in %.3000s", text, s->vault->body);
}

static void plan(struct scene *s)
{
    need(s, 200, "GET", PLAN_ROUTE, NULL);
}

static void of_a_secret(void **state)
{
    struct scene *s = scene(*state);
    need(s, 204, "POST", "rotation/classes", "{\"high\":{\"max_age\":\"90d\"}}");
    change_rotation(s, "{\"cron\":\"0 3 * * *\",\"owner\":\"team-db\",\"risk\":\"high\",\"notify\":\"ops\"}");
    plan(s);
    says(s, "\"total\":1,\"secrets\":[{\"secret\":\"secret/db/orders\",\"mount\":\"secret/\"");
    says(s, "\"target\":\"pg\"");
    says(s, "\"system\":{\"driver\":\"postgresql\",\"host\":\"/run/sim\",\"port\":5432,\"database\":\"d\",\"max_runs\":1,\"starts_per_minute\":0,\"reached\":false}");
    /* The vault's time stands at 2027-01-15 08:00. */
    says(s, "\"next\":[\"2027-01-16T03:00:00Z\",\"2027-01-17T03:00:00Z\"],\"next_reason\":\"cron\"");
    says(s, "\"max_age_s\":7776000,\"max_age_from\":\"class\"");
    says(s, "\"version\":1");
    says(s, "\"missing\":[]");
    says(s, "no rotation of it has ended well yet");
    says(s, "its target was never reached");
    says(s, "no agent says that it uses it");
    silent(s, "first-password-of-a");
    silent(s, "\"admin\"");
    scene_end(s);
}

/* Both times are those at which it will run. */
static void with_a_calendar(void **state)
{
    struct scene *s = scene(*state);
    need(s, 200, "POST", "rotation/calendars/freeze", "{\"ranges\":\"2027-01-17T00:00..2027-01-17T20:00 the move\"}");
    change_rotation(s, "{\"cron\":\"0 3 * * *\",\"blackout\":\"freeze\"}");
    plan(s);
    says(s, "\"next\":[\"2027-01-16T03:00:00Z\",\"2027-01-17T20:00:00Z\"],\"next_reason\":\"cron\"");
    silent(s, "cannot be read any more");
    scene_end(s);
}

static void missing(void **state)
{
    struct scene *s = scene(*state);
    plan(s);
    says(s, "\"missing\":[\"no schedule and no max_age: it is rotated only when somebody thinks of it\",\"no owner\","
            "\"no risk class\",\"nobody is named who is told (notify)\"]");
    change_rotation(s, "{\"period\":\"30d\"}");
    plan(s);
    says(s, "no max_age, neither its own nor by a risk class");
    change_rotation(s, "{\"max_age\":\"60d\"}");
    plan(s);
    silent(s, "no max_age");
    says(s, "\"max_age_from\":\"secret\"");
    scene_end(s);
}

static void consumers(void **state)
{
    struct scene *s = scene(*state);
    const char *flagged = "in-place with 2 consumers";
    register_agent(s, "h1");
    plan(s);
    says(s, "\"consumers_count\":1,\"consumers\":[{\"service\":\"orders\",\"host\":\"h1\",\"version\":1,\"state\":\"healthy\"");
    says(s, "1 of its consumers were never seen well by a health check (orders@h1)");
    silent(s, "no agent says");
    silent(s, "in-place with");
    register_agent(s, "h2");
    assert_int_equal(report(s, "h2", 1, "unhealthy"), 200);
    plan(s);
    if (alternates(s))
        silent(s, flagged);
    else
        says(s, flagged);
    says(s, "1 of its consumers are not healthy now (orders@h2)");
    scene_end(s);
}

static void proven(void **state)
{
    struct scene *s = scene(*state);
    rotate(s);
    ends_done(s);
    plan(s);
    silent(s, "no rotation of it has ended well yet");
    silent(s, "its target was never reached");
    says(s, "\"last_result\":\"done\"");
    says(s, "the way back was not tried lately");
    need(s, 200, "POST", "rotation/rotate/" SECRET, "{\"back\":true}");
    text_at(s, "data.run", s->run, sizeof s->run);
    until(s, "done");
    plan(s);
    silent(s, "the way back was not tried lately");
    says(s, "\"version\":3");
    silent(s, "first-password-of-a");
    scene_end(s);
}

static void under_way(void **state)
{
    struct scene *s = scene(*state);
    register_agent(s, "h1");
    rotate(s);
    soon(s, "acking");
    plan(s);
    says(s, s->run);
    need(s, 200, "POST", "rotation/pause", "{\"reason\":\"night\"}");
    plan(s);
    says(s, "\"paused\":\"paused by root since ");
    need(s, 200, "DELETE", "rotation/pause", NULL);
    acknowledge(s, "h1", 2);
    until(s, "done");
    scene_end(s);
}

static void drifted(void **state)
{
    struct scene *s = scene(*state);
    plan(s);
    says(s, "its target was never seen to accept the version that is current");
    rotate(s);
    ends_done(s);
    plan(s);
    silent(s, "never seen to accept");
    says(s, "\"truth\":\"accepted\"");
    sim_account(&s->sim, alternates(s) ? "app_b" : "app_a")->verifier[0] = '\0';
    rotate(s);
    until(s, "frozen");
    plan(s);
    says(s, "\"overdue\":\"frozen\",\"truth\":\"drifted\"");
    says(s, "its target refuses what the vault has: it drifted");
    s->sim.locked_out[0] = '\0'; /* it was meant */
    scene_end(s);
}

static void pages(void **state)
{
    struct scene *s = scene(*state);
    static const char *const names[] = {"m", "c", "x/y", "a", "x", "xylo"};
    char path[80];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        (void)snprintf(path, sizeof path, "rotation/secrets/secret/%s", names[i]);
        need(s, 204, "POST", path, "{}");
    }
    need(s, 200, "GET", PLAN_ROUTE "?limit=3", NULL);
    says(s, "\"total\":7,\"secrets\":[{\"secret\":\"secret/a\"");
    says(s, "],\"after\":\"secret/db/orders\"}");
    silent(s, "\"secret/m\"");
    need(s, 200, "GET", PLAN_ROUTE "?limit=3&after=secret/db/orders", NULL);
    says(s, "\"secrets\":[{\"secret\":\"secret/m\"");
    says(s, "],\"after\":\"secret/x/y\"}");
    need(s, 200, "GET", PLAN_ROUTE "?limit=3&after=secret/x/y", NULL);
    says(s, "\"secrets\":[{\"secret\":\"secret/xylo\"");
    says(s, "],\"after\":\"\"}");
    need(s, 200, "GET", PLAN_ROUTE "?prefix=secret/x/", NULL);
    says(s, "\"total\":2,\"secrets\":[{\"secret\":\"secret/x\"");
    says(s, "],\"after\":\"\"}");
    silent(s, "secret/xylo");
    need(s, 200, "GET", PLAN_ROUTE "?prefix=nothing", NULL);
    says(s, "\"total\":0,\"secrets\":[],\"after\":\"\"}");
    need(s, 400, "GET", PLAN_ROUTE "?limit=1001", NULL);
    need(s, 400, "GET", PLAN_ROUTE "?limit=0", NULL);
    scene_end(s);
}

/* A page ends before its answer gets long, and the next begins there. */
static void long_pages(void **state)
{
    struct scene *s = scene(*state);
    enum { MANY = 900, LONG = 250 };
    char path[200], text[LONG + 1], body[3 * LONG], after[128];
    memset(text, 'x', LONG);
    text[LONG] = '\0';
    (void)snprintf(body, sizeof body, "{\"owner\":\"%s\",\"notify\":\"%s\"}", text, text);
    for (unsigned i = 0; i < MANY; i++) {
        (void)snprintf(path, sizeof path, "rotation/secrets/secret/many/%04u", i);
        need(s, 204, "POST", path, body);
    }
    need(s, 200, "GET", PLAN_ROUTE "?limit=1000&prefix=secret/many", NULL);
    says(s, "\"total\":900,");
    text_at(s, "data.after", after, sizeof after);
    unsigned last = 0;
    assert_int_equal(sscanf(after, "secret/many/%4u", &last), 1);
    assert_in_range(last, MANY / 2, MANY - 2);
    (void)snprintf(path, sizeof path, PLAN_ROUTE "?limit=1000&prefix=secret/many&after=%s", after);
    need(s, 200, "GET", path, NULL);
    (void)snprintf(text, sizeof text, "\"secrets\":[{\"secret\":\"secret/many/%04u\"", last + 1);
    says(s, text);
    says(s, "],\"after\":\"\"}");
    scene_end(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ALTERNATE(of_a_secret), ALTERNATE(missing),   BOTH(consumers),
        BOTH(proven),           ALTERNATE(under_way), BOTH(drifted),
        ALTERNATE(pages),       ALTERNATE(with_a_calendar),
        ALTERNATE(long_pages),
    };
    return cmocka_run_group_tests_name("rotation plan", tests, NULL, NULL);
}
