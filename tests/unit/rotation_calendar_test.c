/* Calendars of blackouts: what is written, whom it moves, and that nothing starts in one. It is 08:00 on
 * 15 January 2027. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "lib/log.h"
#include "tests/support/vault.h"
#include "vaultd/rotation/engine.h"

#define MINUTE_MS ((int64_t)60 * 1000)
#define PATIENCE  30000 /* rounds of at least 1 ms: only what hangs needs so many */
#define MORNING   "{\"ranges\":\"2027-01-15T08:30..2027-01-15T12:00 the audit\"}"
#define NOTHING   "{\"ranges\":\"\"}"

static struct test_vault *vault;

static int set_up(void **state)
{
    (void)state;
    vault = test_vault_new(true);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    test_vault_free(vault);
    return 0;
}

static void need(unsigned wanted, const char *method, const char *path, const char *body)
{
    unsigned status = test_vault_call(vault, method, path, vault->root, body);
    if (status != wanted)
        fail_msg("%s %s %s: %u, wanted %u: %s", method, path, body == NULL ? "" : body, status,
                 wanted, vault->body);
}

static void says(const char *text)
{
    if (!test_vault_said(vault, text))
        fail_msg("no '%s' in %.2000s", text, vault->body);
}

static void comes_to_say(const char *path, const char *text)
{
    for (int i = 0; i < PATIENCE; i++) {
        need(200, "GET", path, NULL);
        if (test_vault_said(vault, text))
            return;
        rotation_wake(vault->core->rotation);
        const struct timespec left = {.tv_nsec = 1000000};
        (void)nanosleep(&left, NULL);
    }
    says(text);
}

static void minutes(int64_t n)
{
    vault->now_ms += n * MINUTE_MS;
    rotation_wake(vault->core->rotation);
}

/* What the thread would have started by now it has started: another secret's run was behind it. */
static void looked_at_all(void)
{
    static unsigned round;
    char path[64];
    (void)snprintf(path, sizeof path, "rotation/secrets/secret/mark%u", round++);
    need(204, "POST", path, "{\"period\":\"1s\"}");
    vault->now_ms += 2000;
    comes_to_say(path, "\"current\":1");
    need(204, "DELETE", path, NULL);
}

/* ---- writing ---- */

static void life(void **state)
{
    (void)state;
    need(404, "LIST", "rotation/calendars", NULL);
    need(404, "GET", "rotation/calendars/freeze", NULL);
    need(200, "POST", "rotation/calendars/freeze",
         "{\"zone\":\"Europe/Berlin\",\"ranges\":\"# ours\\n2027-01-14..2027-01-15 now\\n"
         "2027-12-20T18:00..2028-01-06T06:00 nobody is there\"}");
    says("\"now\":{\"from\":\"2027-01-13T23:00:00Z\",\"to\":\"2027-01-15T23:00:00Z\",\"reason\":\"now\"}");
    says("\"next\":{\"from\":\"2027-12-20T17:00:00Z\"");
    says("\"secrets\":[]");
    need(200, "GET", "rotation/calendars/freeze", NULL);
    says("\"zone\":\"Europe/Berlin\"");
    says("\"secrets\":0");
    need(200, "POST", "rotation/calendars/freeze", "{\"zone\":\"UTC\"}"); /* the rest stays */
    says("\"next\":{\"from\":\"2027-12-20T18:00:00Z\"");
    need(200, "POST", "rotation/calendars/another", NOTHING);
    says("\"now\":null,\"next\":null");
    need(200, "LIST", "rotation/calendars", NULL);
    says("[\"another\",\"freeze\"]");
    need(204, "DELETE", "rotation/calendars/another", NULL);
    need(204, "DELETE", "rotation/calendars/another", NULL);
    need(404, "GET", "rotation/calendars/another", NULL);
}

/* However many there are. */
static void many(void **state)
{
    (void)state;
    enum { MANY = 1100 };
    for (unsigned i = 0; i < MANY; i++) {
        char path[64];
        (void)snprintf(path, sizeof path, "rotation/calendars/c%04u", i * 7 % MANY);
        need(200, "POST", path, NOTHING);
    }
    need(200, "LIST", "rotation/calendars", NULL);
    const char *at = strstr(vault->body, "\"keys\":[");
    assert_non_null(at);
    at += sizeof "\"keys\":[" - 1;
    for (unsigned i = 0; i < MANY; i++) {
        char name[16];
        int len = snprintf(name, sizeof name, "\"c%04u\"%c", i, i + 1 < MANY ? ',' : ']');
        if (strncmp(at, name, (size_t)len) != 0)
            fail_msg("calendar %u: %.20s", i, at);
        at += len;
    }
}

static void wrong_ones(void **state)
{
    (void)state;
    static const struct {
        const char *body, *text;
    } rows[] = {
        {"{\"ranges\":\"christmas\"}", "line 1 of the calendar"},
        {"{\"ranges\":\"2027-01-02..2027-01-01\"}", "ends before it begins"},
        {"{\"zone\":\"CET\"}", "CET"},
        {"{\"zone\":\"Europe/Atlantis\"}", "there is no"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        need(400, "POST", "rotation/calendars/freeze", rows[i].body);
        says(rows[i].text);
    }
    need(404, "GET", "rotation/calendars/freeze", NULL);
    need(400, "POST", "rotation/secrets/secret/s", "{\"cron\":\"@daily\",\"blackout\":\"freeze\"}");
    says("there is no calendar 'freeze'");
    says("secretctl calendar set freeze");
}

/* One that secrets name stays. */
static void named(void **state)
{
    (void)state;
    need(200, "POST", "rotation/calendars/a", NOTHING);
    need(200, "POST", "rotation/calendars/b", NOTHING);
    need(204, "POST", "rotation/secrets/secret/s", "{\"cron\":\"@daily\",\"blackout\":\"a\"}");
    need(204, "POST", "rotation/secrets/secret/t", "{\"cron\":\"@daily\",\"blackout\":\"a\"}");
    need(400, "DELETE", "rotation/calendars/a", NULL);
    says("2 secrets name the calendar");
    need(204, "POST", "rotation/secrets/secret/s", "{\"blackout\":\"b\"}");
    need(204, "DELETE", "rotation/secrets/secret/t", NULL);
    need(204, "DELETE", "rotation/calendars/a", NULL);
    need(400, "DELETE", "rotation/calendars/b", NULL);
    need(204, "POST", "rotation/secrets/secret/s", "{\"blackout\":\"\"}");
    need(204, "DELETE", "rotation/calendars/b", NULL);
}

/* ---- running ---- */

static void nothing_starts_in_one(void **state)
{
    (void)state;
    need(200, "POST", "rotation/calendars/freeze", MORNING);
    need(200, "POST", "rotation/secrets/secret/s", "{\"cron\":\"0 * * * *\",\"blackout\":\"freeze\"}");
    says("the next time, 2027-01-15T09:00:00Z, lies in a blackout: the audit and waits until 2027-01-15T12:00:00Z");
    need(200, "POST", "rotation/secrets/secret/aged", "{\"max_age\":\"2h\",\"blackout\":\"freeze\"}");
    says("beyond max_age");
    need(200, "GET", "rotation/secrets/secret/s", NULL);
    says("\"next_due\":\"2027-01-15T12:00:00Z\"");
    minutes(239);
    looked_at_all();
    need(404, "GET", "secret/data/s", NULL);
    need(404, "GET", "secret/data/aged", NULL);
    /* By hand it is his business. */
    need(200, "POST", "rotation/rotate/secret/s", "{}");
    says("\"state\":\"done\"");
    minutes(2);
    comes_to_say("rotation/secrets/secret/aged", "\"current\":1");
    looked_at_all();
    need(200, "GET", "rotation/secrets/secret/s", NULL);
    says("\"current\":2"); /* at twelve, as nothing is in the way any more */
    says("\"next_due\":\"2027-01-15T13:00:00Z\"");
}

/* All that fell into it is one run. */
static void one_run_behind_it(void **state)
{
    (void)state;
    need(200, "POST", "rotation/calendars/freeze", MORNING);
    need(200, "POST", "rotation/secrets/secret/s", "{\"cron\":\"0 * * * *\",\"blackout\":\"freeze\"}");
    says("the next time, 2027-01-15T09:00:00Z, lies in a blackout: the audit and waits until 2027-01-15T12:00:00Z");
    minutes(241);
    comes_to_say("rotation/secrets/secret/s", "\"current\":1");
    looked_at_all();
    need(200, "GET", "rotation/secrets/secret/s", NULL);
    says("\"current\":1");
    says("\"next_due\":\"2027-01-15T13:00:00Z\"");
}

/* What was planned before somebody wrote it is moved, and told in the answer; and back. */
static void moved_there_and_back(void **state)
{
    (void)state;
    need(200, "POST", "rotation/calendars/freeze", NOTHING);
    need(204, "POST", "rotation/secrets/secret/s", "{\"cron\":\"0 * * * *\",\"blackout\":\"freeze\"}");
    need(204, "POST", "rotation/secrets/secret/free", "{\"cron\":\"0 * * * *\"}");
    need(200, "POST", "rotation/calendars/freeze", MORNING);
    says("{\"secret\":\"secret/s\",\"was_due\":\"2027-01-15T09:00:00Z\",\"next_due\":\"2027-01-15T12:00:00Z\","
         "\"next_reason\":\"cron\",\"moved_from\":\"2027-01-15T09:00:00Z\",\"moved_by\":\"the audit\"}");
    assert_false(test_vault_said(vault, "secret/free"));
    comes_to_say("rotation/secrets/secret/s", "\"next_due\":\"2027-01-15T12:00:00Z\"");
    need(200, "POST", "rotation/calendars/freeze", NOTHING);
    says("\"was_due\":\"2027-01-15T12:00:00Z\",\"next_due\":\"2027-01-15T09:00:00Z\"");
    comes_to_say("rotation/secrets/secret/s", "\"next_due\":\"2027-01-15T09:00:00Z\"");
    need(200, "GET", "rotation/secrets/secret/free", NULL);
    says("\"next_due\":\"2027-01-15T09:00:00Z\"");
}

/* The vault is sealed before it could plan anew. */
static void moved_after_a_restart(void **state)
{
    (void)state;
    need(200, "POST", "rotation/calendars/freeze", MORNING);
    need(200, "POST", "rotation/secrets/secret/s", "{\"cron\":\"0 * * * *\",\"blackout\":\"freeze\"}");
    says("the next time, 2027-01-15T09:00:00Z, lies in a blackout: the audit and waits until 2027-01-15T12:00:00Z");
    need(200, "POST", "rotation/calendars/freeze", NOTHING);
    test_vault_reseal(vault);
    comes_to_say("rotation/secrets/secret/s", "\"next_due\":\"2027-01-15T09:00:00Z\"");
}

/* One that is due and held up meanwhile does not start in it either. */
static void found_when_its_turn_comes(void **state)
{
    (void)state;
    need(200, "POST", "rotation/calendars/freeze", NOTHING);
    need(204, "POST", "rotation/secrets/secret/s", "{\"cron\":\"0 * * * *\",\"blackout\":\"freeze\"}");
    /* The clock is not trusted: what is due at nine is not looked at. */
    vault->wall_ahead_ms = -(int64_t)5 * 60 * MINUTE_MS;
    comes_to_say("rotation/clock", "\"alarm\":true");
    need(200, "POST", "rotation/calendars/freeze",
         "{\"ranges\":\"2027-01-15T09:00..2027-01-15T12:00 the audit\"}");
    vault->now_ms += 90 * MINUTE_MS;
    vault->wall_ahead_ms = 0;
    comes_to_say("rotation/clock", "\"alarm\":false");
    looked_at_all();
    need(404, "GET", "secret/data/s", NULL);
    minutes(151);
    comes_to_say("rotation/secrets/secret/s", "\"current\":1");
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(life),
        TEST(many),
        TEST(wrong_ones),
        TEST(named),
        TEST(nothing_starts_in_one),
        TEST(one_run_behind_it),
        TEST(moved_there_and_back),
        TEST(moved_after_a_restart),
        TEST(found_when_its_turn_comes),
    };
    kt_log_set_level(KT_LOG_ERROR);
    return cmocka_run_group_tests_name("rotation_calendar", tests, NULL, NULL);
}
