/* Which secrets are rotated before others: who waits, for how long, who goes ahead; no circles. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/meanwhile.h"
#include "tests/support/rotation_scene.h"

#define HOUR_MS ((int64_t)3600 * 1000)
#define MANY    140u /* more than one burst */
#define LATER   "secret/later"

static unsigned version(struct scene *s, const char *secret)
{
    char path[128], text[32] = "0";
    (void)snprintf(path, sizeof path, "rotation/secrets/%s", secret);
    need(s, 200, "GET", path, NULL);
    text_at(s, "data.state.current", text, sizeof text);
    return (unsigned)strtoul(text, NULL, 10);
}

static void becomes(struct scene *s, const char *secret, unsigned wanted)
{
    for (int i = 0; i < PATIENCE && version(s, secret) != wanted; i++) {
        rotation_wake(s->vault->core->rotation);
        pause_ms(1);
    }
    assert_int_equal(version(s, secret), wanted);
}

static void thread_looks(struct scene *s)
{
    for (int i = 0; i < 2; i++) {
        rotation_wake(s->vault->core->rotation);
        need(s, 200, "POST", "rotation/targets/pg/check", "{}");
    }
}

static void passes(struct scene *s, int64_t ms)
{
    s->vault->now_ms += ms;
    rotation_wake(s->vault->core->rotation);
}

/* The run that the schedule made of a secret, once there is one. */
static void take_run(struct scene *s, const char *secret)
{
    char path[128];
    (void)snprintf(path, sizeof path, "rotation/secrets/%s", secret);
    s->run[0] = '\0';
    for (int i = 0; i < PATIENCE && s->run[0] == '\0'; i++) {
        rotation_wake(s->vault->core->rotation);
        need(s, 200, "GET", path, NULL);
        text_at(s, "data.state.last_run", s->run, sizeof s->run);
        pause_ms(1);
    }
    assert_string_not_equal(s->run, "");
}

/* An authority, what it signs, and very many behind that: all are due at once, before they are looked at. */
static void issuers_first(void **state)
{
    struct scene *s = scene(*state);
    static char path[80], root[4096], chain[4096];
    need(s, 204, "POST", "rotation/secrets/secret/ca",
         "{\"generator\":{\"type\":\"x509-ca\",\"common_name\":\"Root\"},\"cron\":\"0 * * * *\"}");
    need(s, 200, "POST", "rotation/rotate/secret/ca", "{}");
    need(s, 204, "POST", "rotation/secrets/secret/leaf",
         "{\"generator\":{\"type\":\"x509\",\"issuer\":\"secret/ca\",\"names\":\"a.example.com\"},"
         "\"cron\":\"0 * * * *\"}");
    for (unsigned i = 0; i < MANY; i++) {
        (void)snprintf(path, sizeof path, "rotation/secrets/secret/m%u", i);
        need(s, 204, "POST", path, "{\"cron\":\"0 * * * *\",\"after\":[\"secret/leaf\"]}");
    }
    passes(s, HOUR_MS);
    for (unsigned i = 0; i < MANY; i++) {
        (void)snprintf(path, sizeof path, "secret/m%u", i);
        becomes(s, path, 1);
    }
    assert_int_equal(version(s, "secret/leaf"), 1);
    assert_int_equal(version(s, "secret/ca"), 2);
    need(s, 200, "GET", "secret/data/ca", NULL);
    text_at(s, "data.data.certificate", root, sizeof root);
    need(s, 200, "GET", "secret/data/leaf", NULL);
    text_at(s, "data.data.root_certificate", chain, sizeof chain);
    assert_string_equal(chain, root); /* the new one had signed it */
    scene_end(s);
}

/* A secret without a target that goes after the one at the target, both due at the same hour; an agent holds
 * the first one's run. */
static struct scene *two(const char *strategy)
{
    struct scene *s = scene(strategy);
    register_agent(s, "h1");
    change_rotation(s, "{\"cron\":\"0 * * * *\",\"on_ack_timeout\":\"hold\"}");
    need(s, 204, "POST", "rotation/secrets/" LATER, "{\"cron\":\"0 * * * *\",\"after\":\"" SECRET "\"}");
    passes(s, HOUR_MS);
    take_run(s, SECRET);
    soon(s, "acking");
    return s;
}

static void waits_for_a_run(void **state)
{
    struct scene *s = two(*state);
    thread_looks(s);
    assert_int_equal(version(s, LATER), 0);
    says(s, "\"blocked_by\":\"" SECRET ", which is rotated first: its run ");
    says(s, " is acking\"");
    need(s, 200, "GET", "rotation/due", NULL);
    says(s, "which is rotated first: its run ");
    need(s, 200, "GET", "rotation/overdue?grace=0s", NULL);
    says(s, "which is rotated first: its run ");
    test_vault_reseal(s->vault);
    passes(s, HOUR_MS);
    thread_looks(s);
    assert_int_equal(version(s, LATER), 0);
    acknowledge(s, "h1", 2);
    ends_done(s);
    becomes(s, LATER, 1);
    take_run(s, LATER);
    load_run(s);
    assert_false(test_vault_said(s->vault, "went ahead"));
    scene_end(s);
}

static void goes_ahead_of_one_that_went_back(void **state)
{
    struct scene *s = two(*state);
    cancel(s, 200);
    assert_int_equal(report(s, "h1", 1, "healthy"), 200);
    until(s, "rolled_back");
    becomes(s, LATER, 1);
    scene_end(s);
}

static void goes_ahead_of_one_that_failed(void **state)
{
    struct scene *s = scene(*state);
    SIM_SET(&s->sim, unfit, true);
    change_rotation(s, "{\"cron\":\"0 * * * *\"}");
    need(s, 204, "POST", "rotation/secrets/" LATER, "{\"cron\":\"0 * * * *\",\"after\":\"" SECRET "\"}");
    passes(s, HOUR_MS);
    take_run(s, SECRET);
    soon(s, "cancelled");
    becomes(s, LATER, 1);
    take_run(s, LATER);
    load_run(s);
    says(s, "it did not wait for " SECRET ", which is rotated first: its last run did not end well");
    char path[128];
    (void)snprintf(path, sizeof path, "rotation/runs/%s/report", s->run);
    need(s, 200, "GET", path, NULL);
    says(s, "a secret that is rotated first was not waited for");
    scene_end(s);
}

static void goes_ahead_of_one_that_froze(void **state)
{
    struct scene *s = scene(*state);
    SIM_SET(&s->sim, trust, true);
    change_rotation(s, "{\"cron\":\"0 * * * *\"}");
    need(s, 204, "POST", "rotation/secrets/" LATER, "{\"cron\":\"0 * * * *\",\"after\":\"" SECRET "\"}");
    passes(s, HOUR_MS);
    take_run(s, SECRET);
    soon(s, "frozen");
    becomes(s, LATER, 1);
    take_run(s, LATER);
    load_run(s);
    says(s, "is frozen");
    SIM_SET(&s->sim, trust, false);
    scene_end(s);
}

static void waits_a_day_at_most(void **state)
{
    struct scene *s = two(*state);
    for (int hour = 0; hour < 23; hour++) {
        passes(s, HOUR_MS);
        thread_looks(s);
    }
    assert_int_equal(version(s, LATER), 0);
    passes(s, 2 * HOUR_MS);
    becomes(s, LATER, 1);
    take_run(s, LATER);
    load_run(s);
    says(s, "it did not wait for " SECRET);
    says(s, " is acking");
    scene_end(s);
}

/* By hand nothing waits; a rotation that was removed is nobody's to wait for. */
static void only_by_schedule(void **state)
{
    struct scene *s = two(*state);
    need(s, 200, "POST", "rotation/rotate/" LATER, "{}");
    assert_int_equal(version(s, LATER), 1);
    acknowledge(s, "h1", 2);
    ends_done(s);
    need(s, 204, "POST", "rotation/secrets/secret/first", "{\"cron\":\"0 * * * *\"}");
    need(s, 204, "POST", "rotation/secrets/" LATER, "{\"after\":[\"" SECRET "\",\"secret/first\"]}");
    need(s, 204, "DELETE", "rotation/secrets/secret/first", NULL);
    change_rotation(s, "{\"cron\":\"\"}");
    passes(s, 2 * HOUR_MS);
    becomes(s, LATER, 2);
    scene_end(s);
}

static void refused(struct scene *s, const char *secret, const char *body, const char *text)
{
    char path[128];
    (void)snprintf(path, sizeof path, "rotation/secrets/%s", secret);
    need(s, 400, "POST", path, body);
    says(s, text);
}

/* Whoever removes a rotation that another one names leaves that one as it is: all else of it can be written, and the
 * same list with it. Another list names what is there. */
static void names_one_that_was_removed(void **state)
{
    struct scene *s = scene(*state);
    need(s, 204, "POST", "rotation/secrets/secret/first", "{}");
    need(s, 204, "POST", "rotation/secrets/secret/second", "{}");
    need(s, 204, "POST", "rotation/secrets/" LATER, "{\"after\":[\"secret/first\",\"secret/second\"]}");
    need(s, 204, "DELETE", "rotation/secrets/secret/first", NULL);
    need(s, 204, "POST", "rotation/secrets/" LATER, "{\"description\":\"x\"}");
    need(s, 204, "POST", "rotation/secrets/" LATER, "{\"after\":[\"secret/first\",\"secret/second\"]}");
    refused(s, LATER, "{\"after\":[\"secret/first\"]}", "after: 'secret/first' has no rotation");
    need(s, 204, "POST", "rotation/secrets/" LATER, "{\"after\":[\"secret/second\"]}");
    refused(s, LATER, "{\"after\":[\"secret/first\",\"secret/second\"]}", "after: 'secret/first' has no rotation");
    /* Circles are looked for all the same. */
    need(s, 204, "POST", "rotation/secrets/secret/first", "{\"after\":\"" LATER "\"}");
    refused(s, "secret/second", "{\"after\":\"secret/first\"}", "a circle, none of them could go first");
    scene_end(s);
}

static void no_circles(void **state)
{
    struct scene *s = scene(*state);
    char path[80], body[128];
    need(s, 204, "POST", "rotation/secrets/secret/a", "{}");
    need(s, 204, "POST", "rotation/secrets/secret/b", "{\"after\":\"secret/a\"}");
    need(s, 204, "POST", "rotation/secrets/secret/c", "{\"after\":\"secret/b\"}");
    refused(s, "secret/a", "{\"after\":\"secret/a\"}", "a circle, none of them could go first: secret/a after secret/a");
    refused(s, "secret/a", "{\"after\":[\"" SECRET "\",\"secret/c\"]}",
            "a circle, none of them could go first: secret/a after secret/c after secret/b after secret/a");
    refused(s, "secret/a", "{\"after\":\"secret/none\"}", "after: 'secret/none' has no rotation");
    refused(s, "secret/a", "{\"after\":\"nowhere/none\"}", "\\\"nowhere/none\\\" is not the path of a secret");
    refused(s, "secret/a", "{\"after\":[\"secret/b,x\"]}", "has a comma");
    refused(s, "secret/a", "{\"after\":[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\"]}",
            "after: 8 at most, 9 are given");
    /* By way of an issuer. */
    need(s, 204, "POST", "rotation/secrets/secret/root", "{\"generator\":{\"type\":\"x509-ca\",\"common_name\":\"R\"}}");
    need(s, 200, "POST", "rotation/secrets/secret/below", /* a warning: the root has no version yet */
         "{\"generator\":{\"type\":\"x509-ca\",\"common_name\":\"B\",\"issuer\":\"secret/root\"}}");
    refused(s, "secret/root", "{\"after\":\"secret/below\"}", "secret/root after secret/below after secret/root");
    refused(s, "secret/root", "{\"generator\":{\"type\":\"x509-ca\",\"common_name\":\"R\",\"issuer\":\"secret/below\"}}",
            "secret/root after secret/below after secret/root");
    /* What is let go makes no circle. */
    need(s, 204, "POST", "rotation/secrets/secret/b", "{\"after\":\"\"}");
    need(s, 204, "POST", "rotation/secrets/secret/a", "{\"after\":\"secret/c\"}");
    need(s, 200, "GET", "rotation/secrets/secret/a", NULL);
    says(s, "\"after\":[\"secret/c\"]");
    for (unsigned i = 0; i < 26; i++) {
        (void)snprintf(path, sizeof path, "rotation/secrets/secret/line%u", i);
        (void)snprintf(body, sizeof body, "{\"after\":\"secret/line%u\"}", i - 1);
        need(s, i < 25 ? 204 : 400, "POST", path, i == 0 ? "{}" : body);
    }
    says(s, "more than 24 secrets would go before 'secret/line25'");
    scene_end(s);
}

/* Two writes that make a circle only together. */
static void a_write_meets_another(void **state)
{
    struct scene *s = scene(*state);
    static const struct visit visits[] = {
        {"POST", "rotation/secrets/secret/b", NULL, "{\"after\":\"secret/a\"}", 204, 0}, {0}};
    need(s, 204, "POST", "rotation/secrets/secret/a", "{}");
    need(s, 204, "POST", "rotation/secrets/secret/b", "{}");
    meanwhile(s->vault, visits, NULL);
    refused(s, "secret/a", "{\"after\":\"secret/b\"}", "secret/a after secret/b after secret/a");
    assert_true(meanwhile_over());
    scene_end(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ALTERNATE(issuers_first),
        BOTH(waits_for_a_run),
        ALTERNATE(goes_ahead_of_one_that_went_back),
        ALTERNATE(goes_ahead_of_one_that_failed),
        ALTERNATE(goes_ahead_of_one_that_froze),
        ALTERNATE(waits_a_day_at_most),
        ALTERNATE(only_by_schedule),
        ALTERNATE(names_one_that_was_removed),
        ALTERNATE(no_circles),
        ALTERNATE(a_write_meets_another),
    };
    return cmocka_run_group_tests_name("rotation order", tests, NULL, NULL);
}
