/* Lists of what is revoked: made anew at once, whatever their issuer waits for, and when it has a new version. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "tests/support/rotation_scene.h"

#define HOUR_MS ((int64_t)3600 * 1000)
#define CA      "secret/ca"
#define LIST    "secret/list"
#define DAMAGED "version 2 of the issuer 'secret/ca'"

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

static void next_due(struct scene *s, const char *secret, char *out, size_t size)
{
    char path[128];
    (void)snprintf(path, sizeof path, "rotation/secrets/%s", secret);
    out[0] = '\0';
    need(s, 200, "GET", path, NULL);
    text_at(s, "data.state.next_due", out, size);
    assert_string_not_equal(out, "");
}

static void make(struct scene *s, const char *secret, const char *settings)
{
    char path[128];
    (void)snprintf(path, sizeof path, "rotation/secrets/%s", secret);
    need(s, 204, "POST", path, settings);
    (void)snprintf(path, sizeof path, "rotation/rotate/%s", secret);
    need(s, 200, "POST", path, "{}");
}

/* An authority, two certificates of it and its list, each at version 1. */
static struct scene *authority(const char *strategy)
{
    struct scene *s = scene(strategy);
    make(s, CA, "{\"generator\":{\"type\":\"x509-ca\",\"common_name\":\"Root\"}}");
    make(s, "secret/one", "{\"generator\":{\"type\":\"x509\",\"issuer\":\"" CA "\",\"names\":\"a.example.com\"}}");
    make(s, "secret/two", "{\"generator\":{\"type\":\"x509\",\"issuer\":\"" CA "\",\"names\":\"b.example.com\"}}");
    make(s, LIST, "{\"generator\":{\"type\":\"x509-crl\",\"issuer\":\"" CA "\"}}");
    return s;
}

static void revoke(struct scene *s, const char *secret)
{
    char path[128];
    (void)snprintf(path, sizeof path, "rotation/revoke/%s", secret);
    need(s, 200, "POST", path, "{\"reason\":\"lost\"}");
}

/* Due, and kept by its window for hours. */
static void not_after_its_issuer(void **state)
{
    struct scene *s = authority(*state);
    char body[160];
    int hour = (int)(s->vault->now_ms / HOUR_MS % 24 + 6) % 24;
    (void)snprintf(body, sizeof body,
                   "{\"period\":\"\",\"jitter\":\"\",\"cron\":\"0 * * * *\",\"window\":\"%02d:00-%02d:30\"}", hour, hour);
    need(s, 200, "POST", "rotation/secrets/" CA, body); /* it warns of the window */
    s->vault->now_ms += 2 * HOUR_MS;
    revoke(s, "secret/one");
    becomes(s, LIST, 2);
    assert_int_equal(version(s, CA), 1);
    need(s, 200, "GET", "secret/data/list", NULL);
    says(s, "\"revoked\":1");
    scene_end(s);
}

/* It waits for one that it was told to go after, which has a run under way: not anew from each revocation. */
static void waits_from_the_first(void **state)
{
    struct scene *s = authority(*state);
    char first[64], second[64];
    register_agent(s, "h1");
    change_rotation(s, "{\"on_ack_timeout\":\"hold\"}");
    rotate(s);
    soon(s, "acking");
    need(s, 204, "POST", "rotation/secrets/" LIST, "{\"after\":\"" SECRET "\"}");
    revoke(s, "secret/one");
    next_due(s, LIST, first, sizeof first);
    s->vault->now_ms += HOUR_MS;
    revoke(s, "secret/two");
    next_due(s, LIST, second, sizeof second);
    assert_string_equal(first, second);
    assert_int_equal(version(s, LIST), 1);
    acknowledge(s, "h1", 2);
    ends_done(s);
    becomes(s, LIST, 2);
    scene_end(s);
}

static unsigned lists_in(struct scene *s)
{
    static char text[16384];
    unsigned n = 0;
    need(s, 200, "GET", "secret/data/list", NULL);
    text_at(s, "data.data.crl", text, sizeof text);
    for (const char *at = text; (at = strstr(at, "BEGIN X509 CRL")) != NULL; at++)
        n++;
    return n;
}

static void names_a_new_version(void **state)
{
    struct scene *s = authority(*state);
    assert_int_equal(lists_in(s), 1);
    need(s, 200, "POST", "rotation/rotate/" CA, "{}");
    becomes(s, LIST, 2);
    assert_int_equal(lists_in(s), 2);
    scene_end(s);
}

/* What it was made for is not its schedule's own time: the next one comes at half of its life, give or take 1/24. */
static void keeps_its_refresh(void **state)
{
    struct scene *s = authority(*state);
    char text[64];
    int64_t due_ms = 0;
    s->vault->now_ms += 10 * HOUR_MS;
    revoke(s, "secret/one");
    becomes(s, LIST, 2);
    next_due(s, LIST, text, sizeof text);
    assert_true(kt_time_parse(text, strlen(text), &due_ms));
    assert_true(due_ms <= s->vault->now_ms + (84 + 7) * HOUR_MS);
    assert_true(due_ms >= s->vault->now_ms + (84 - 10 - 7) * HOUR_MS);
    scene_end(s);
}

/* What of the list was revoked cannot be written down, for somebody wrote a damaged version of its issuer. */
static void cannot_be_made(struct scene *s)
{
    need(s, 200, "POST", "rotation/pause", "{\"reason\":\"a look at the authority\"}");
    revoke(s, "secret/one");
    need(s, 200, "POST", "secret/data/ca", "{\"data\":{\"private_key\":\"x\",\"certificate\":\"y\"}}");
    need(s, 200, "DELETE", "rotation/pause", NULL);
    for (int i = 0; i < PATIENCE && !test_vault_said(s->vault, DAMAGED); i++) {
        rotation_wake(s->vault->core->rotation);
        pause_ms(1);
        need(s, 200, "GET", "rotation/secrets/" LIST, NULL);
    }
    says(s, DAMAGED);
}

/* One that cannot be made is tried again soon, not when it would have been made anyway. */
static void is_tried_again(void **state)
{
    struct scene *s = authority(*state);
    cannot_be_made(s);
    need(s, 204, "POST", "secret/delete/ca", "{\"versions\":[2]}");
    s->vault->now_ms += 61000;
    becomes(s, LIST, 2);
    scene_end(s);
}

#define HOURLY     "secret/hourly"
#define AFTERWARDS "\"next_due\":\"2027-01-15T12:00:00Z\""

/* All is planned anew meanwhile, and what was to be tried soon is none the later for it. */
static void is_tried_again_by_a_new_plan(void **state)
{
    struct scene *s = authority(*state);
    need(s, 200, "POST", "rotation/calendars/freeze", "{\"ranges\":\"\"}");
    need(s, 204, "POST", "rotation/secrets/" HOURLY, "{\"cron\":\"@hourly\",\"blackout\":\"freeze\"}");
    cannot_be_made(s);
    need(s, 200, "POST", "rotation/calendars/freeze", "{\"ranges\":\"2027-01-15T08:30..2027-01-15T12:00 the audit\"}");
    for (int i = 0; i < PATIENCE; i++) { /* that is in the commit which looks at the list, too */
        need(s, 200, "GET", "rotation/secrets/" HOURLY, NULL);
        if (test_vault_said(s->vault, AFTERWARDS))
            break;
        rotation_wake(s->vault->core->rotation);
        pause_ms(1);
    }
    says(s, AFTERWARDS);
    need(s, 204, "POST", "secret/delete/ca", "{\"versions\":[2]}");
    s->vault->now_ms += 61000;
    becomes(s, LIST, 2);
    scene_end(s);
}

static void is_due_for_news(struct scene *s)
{
    need(s, 200, "GET", "rotation/secrets/" LIST, NULL);
    says(s, "\"next_reason\":\"news\"");
}

/* It waits for the end of a blackout, whatever else is planned anew meanwhile, and changed about it. */
static void waits_with_its_news(void **state)
{
    struct scene *s = authority(*state);
    need(s, 200, "POST", "rotation/calendars/quiet", "{\"zone\":\"UTC\",\"ranges\":\"2027-01-01..2027-03-01 quiet\"}");
    need(s, 200, "POST", "rotation/secrets/" LIST, "{\"blackout\":\"quiet\",\"catchup\":\"none\"}");
    revoke(s, "secret/one");
    is_due_for_news(s);
    for (int i = 0; i < 3; i++) {
        s->vault->now_ms += HOUR_MS;
        rotation_wake(s->vault->core->rotation);
        pause_ms(1);
    }
    need(s, 200, "POST", "rotation/secrets/" LIST, "{\"cron\":\"0 4 * * *\",\"period\":\"\",\"jitter\":\"\"}");
    is_due_for_news(s);
    test_vault_reseal(s->vault);
    is_due_for_news(s);
    assert_int_equal(version(s, LIST), 1);
    need(s, 200, "POST", "rotation/calendars/quiet", "{\"ranges\":\"\"}");
    becomes(s, LIST, 2);
    scene_end(s);
}

/* A window is for what disturbs somebody, and a list without a schedule has no other time. */
static void over_its_window(void **state)
{
    struct scene *s = authority(*state);
    char body[160];
    int hour = (int)(s->vault->now_ms / HOUR_MS % 24 + 6) % 24;
    (void)snprintf(body, sizeof body, "{\"window\":\"%02d:00-%02d:30\"}", hour, hour);
    need(s, 204, "POST", "rotation/secrets/" LIST, body);
    revoke(s, "secret/one");
    becomes(s, LIST, 2);
    need(s, 204, "POST", "rotation/secrets/" LIST,
         "{\"window\":\"\",\"period\":\"\",\"jitter\":\"\",\"max_age\":\"\"}");
    revoke(s, "secret/two");
    becomes(s, LIST, 3);
    scene_end(s);
}

/* News of what it was are none to what it is now; and one of before lacks what was revoked since. */
static void a_list_no_more(void **state)
{
    struct scene *s = authority(*state);
    revoke(s, "secret/one");
    becomes(s, LIST, 2);
    unsigned status = test_vault_call(s->vault, "POST", "rotation/rotate/" LIST, s->vault->root, "{\"back\":true}");
    assert_int_equal(status, 400);
    says(s, "lists what is revoked: one of before lacks what was since");
    need(s, 200, "POST", "rotation/pause", "{\"reason\":\"a look at the list\"}");
    revoke(s, "secret/two");
    is_due_for_news(s);
    need(s, 204, "POST", "rotation/secrets/" LIST,
         "{\"generator\":{\"type\":\"password\"},\"period\":\"\",\"jitter\":\"\",\"max_age\":\"\"}");
    need(s, 200, "GET", "rotation/secrets/" LIST, NULL);
    says(s, "\"next_due\":\"\"");
    need(s, 200, "DELETE", "rotation/pause", NULL);
    scene_end(s);
}

/* What its certificates are revoked under is its name: it stays while they have not ended. */
static void keeps_its_issuers_name(void **state)
{
    struct scene *s = authority(*state);
    revoke(s, "secret/one");
    becomes(s, LIST, 2);
    need(s, 204, "DELETE", "rotation/secrets/" CA, NULL);
    need(s, 400, "POST", "secret/move/ca", "{\"to\":\"secret/other\"}");
    says(s, "secretctl certificate revoked secret/ca");
    need(s, 200, "GET", "secret/data/ca", NULL);
    s->vault->now_ms += 40 * 365 * 24 * HOUR_MS;
    need(s, 200, "POST", "secret/move/ca", "{\"to\":\"secret/other\"}");
    scene_end(s);
}

/* An SSH authority's lists have its key from what was revoked; they are found by its name as well. */
static void keeps_its_ssh_issuers_name(void **state)
{
    struct scene *s = scene(*state);
    make(s, "secret/sshca", "{\"password_field\":\"private_key\",\"generator\":{\"type\":\"ssh-ed25519\"}}");
    make(s, "secret/host", "{\"generator\":{\"type\":\"ssh-cert\",\"issuer\":\"secret/sshca\",\"names\":\"deploy\"}}");
    revoke(s, "secret/host");
    need(s, 204, "DELETE", "rotation/secrets/secret/sshca", NULL);
    need(s, 400, "POST", "secret/move/sshca", "{\"to\":\"secret/other\"}");
    says(s, "secretctl certificate revoked secret/sshca");
    scene_end(s);
}

/* Nothing is revoked under its name. */
static void does_not_keep_a_copy_of_its_issuer(void **state)
{
    struct scene *s = authority(*state);
    revoke(s, "secret/one");
    becomes(s, LIST, 2);
    need(s, 200, "POST", "secret/copy/ca", "{\"to\":\"secret/copy\"}");
    need(s, 400, "DELETE", "secret/data/ca", NULL);
    need(s, 204, "DELETE", "secret/data/copy", NULL);
    scene_end(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ALTERNATE(not_after_its_issuer),
        ALTERNATE(waits_from_the_first),
        ALTERNATE(names_a_new_version),
        ALTERNATE(keeps_its_refresh),
        ALTERNATE(is_tried_again),
        ALTERNATE(is_tried_again_by_a_new_plan),
        ALTERNATE(waits_with_its_news),
        ALTERNATE(over_its_window),
        ALTERNATE(a_list_no_more),
        ALTERNATE(keeps_its_issuers_name),
        ALTERNATE(keeps_its_ssh_issuers_name),
        ALTERNATE(does_not_keep_a_copy_of_its_issuer),
    };
    return cmocka_run_group_tests_name("rotation lists", tests, NULL, NULL);
}
