/* The rotation plan: what it says of a secret, what it finds missing and unproven, its order and pages; and
 * that no value is in it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "lib/report_check.h"
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
    says(s, "\"secrets\":[{\"secret\":\"secret/db/orders\",\"mount\":\"secret/\"");
    says(s, "\"target\":\"pg\"");
    says(s, "\"system\":{\"driver\":\"postgresql\",\"host\":\"/run/sim\",\"port\":5432,\"hosts\":[],\"database\":\"d\",\"max_runs\":1,\"starts_per_minute\":0,\"reached\":false}");
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

/* The report says what is left to do, and that the next time is another than the schedule's. */
static void report_says_what_follows(void **state)
{
    struct scene *s = scene(*state);
    need(s, 200, "POST", "rotation/calendars/freeze", "{\"ranges\":\"2027-01-17T00:00..2027-01-17T20:00 the move\"}");
    need(s, 200, "POST", "rotation/secrets/" SECRET, "{\"cron\":\"0 3 17 * *\",\"blackout\":\"freeze\"}");
    register_agent(s, "h1");
    rotate(s);
    soon(s, "acking");
    cancel(s, 200);
    soon(s, "rolling_back");
    assert_int_equal(report(s, "h1", 1, "healthy"), 200);
    ends_back(s);
    says(s, "\"follow_ups\":[\"secretctl rotate secret/db/orders   # when what was wrong is mended: the old value is in use\"]");
    says(s, "## What is left to do\\n\\n- secretctl rotate secret/db/orders ");
    says(s, "\"next_due\":\"2027-01-17T20:00:00Z\",\"next_reason\":\"cron\",\"moved_from\":\"2027-01-17T03:00:00Z\","
            "\"moved_by\":\"the move\"");
    says(s, "- moved by its calendar: the move, from 2027-01-17T03:00:00Z");
    need(s, 200, "POST", "rotation/calendars/freeze", "{\"ranges\":\"\"}");
    rotate(s);
    soon(s, "acking");
    acknowledge(s, "h1", 3);
    until(s, "done");
    char path[128];
    (void)snprintf(path, sizeof path, "rotation/runs/%s/report", s->run);
    need(s, 200, "GET", path, NULL);
    silent(s, "moved by its calendar");
    scene_end(s);
}

/* The log has the hash of each report, as the report is given out. */
static void report_is_in_the_log(void **state)
{
    struct scene *s = scene(*state);
    static char text[65536];
    char path[128], hash[KT_REPORT_HASH], wanted[160];
    rotate(s);
    ends_done(s);
    says(s, "\"follow_ups\":[]");
    silent(s, "What is left to do");
    text_at(s, "data.text", text, sizeof text);
    kt_report_hash(kt_str(text), hash);
    (void)snprintf(wanted, sizeof wanted, "\"report\":\"%s %s ", s->run, hash);
    const char *from = strstr(s->vault->body, "\"report\":{"), *to = strstr(s->vault->body, ",\"text\":\"# ");
    assert_non_null(from);
    assert_non_null(to);
    from += strlen("\"report\":");
    kt_report_hash(kt_bytes(from, (size_t)(to - from)), hash);
    need(s, 200, "GET", "sys/audit-log/export?from=0", NULL);
    says(s, wanted);
    (void)snprintf(path, sizeof path, " %s\"", hash);
    says(s, path);
    scene_end(s);
}

/* The names of all pages, each as often as it was in one. */
struct seen {
    char names[16][64];
    unsigned n, pages;
};

static void take_page(struct scene *s, struct seen *seen)
{
    const char *at = s->vault->body;
    while ((at = strstr(at, "{\"secret\":\"")) != NULL) {
        at += strlen("{\"secret\":\"");
        assert_in_range(seen->n, 0, 15);
        (void)snprintf(seen->names[seen->n++], sizeof seen->names[0], "%.*s", (int)strcspn(at, "\""), at);
    }
    seen->pages++;
}

/* From `after` on; ends at the last page, or after `most` of them. */
static void take_pages(struct scene *s, const char *query, const char *from, unsigned most, struct seen *seen)
{
    char path[256], after[128];
    (void)snprintf(after, sizeof after, "%s", from);
    do {
        (void)snprintf(path, sizeof path, PLAN_ROUTE "?%s&after=%s", query, after);
        need(s, 200, "GET", path, NULL);
        take_page(s, seen);
        text_at(s, "data.after", after, sizeof after);
        if (after[0] != '\0')
            assert_string_equal(after, seen->names[seen->n - 1]);
    } while (after[0] != '\0' && seen->pages < most);
}

static unsigned times(const struct seen *seen, const char *name)
{
    unsigned n = 0;
    for (unsigned i = 0; i < seen->n; i++)
        n += strcmp(seen->names[i], name) == 0;
    return n;
}

static const char *const paged[] = {"secret/m", "secret/c",    "secret/x/y", "secret/a",  "secret/x",
                                    "secret/xylo", "other/a", "other/z",    "secret/db/orders"};
#define PAGED (sizeof paged / sizeof paged[0])

static void put_paged(struct scene *s)
{
    char path[80];
    need(s, 204, "POST", "sys/mounts/other", "{\"type\":\"kv\",\"options\":{\"version\":\"2\"}}");
    for (size_t i = 0; i < PAGED - 1; i++) {
        (void)snprintf(path, sizeof path, "rotation/secrets/%s", paged[i]);
        need(s, 204, "POST", path, "{}");
    }
}

/* Whatever their size, the pages have each secret once. */
static void pages(void **state)
{
    struct scene *s = scene(*state);
    put_paged(s);
    for (unsigned limit = 1; limit <= PAGED + 1; limit++) {
        struct seen seen = {.n = 0};
        char query[32];
        (void)snprintf(query, sizeof query, "limit=%u", limit);
        take_pages(s, query, "", 20, &seen);
        assert_int_equal(seen.n, PAGED);
        assert_int_equal(seen.pages, (PAGED + limit - 1) / limit);
        for (size_t i = 0; i < PAGED; i++)
            assert_int_equal(times(&seen, paged[i]), 1);
    }
    need(s, 400, "GET", PLAN_ROUTE "?limit=1001", NULL);
    need(s, 400, "GET", PLAN_ROUTE "?limit=0", NULL);
    scene_end(s);
}

static void pages_below(void **state)
{
    struct scene *s = scene(*state);
    static const struct {
        const char *query, *names[3];
    } rows[] = {{"prefix=secret/x/", {"secret/x", "secret/x/y"}}, {"prefix=secret/x", {"secret/x", "secret/x/y"}},
                {"prefix=other", {"other/a", "other/z"}},        {"prefix=other/", {"other/a", "other/z"}},
                {"prefix=secret/x/y", {"secret/x/y"}},            {"prefix=nothing", {NULL}},
                {"prefix=secr", {NULL}}};
    put_paged(s);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (unsigned limit = 1; limit <= 3; limit++) {
            struct seen seen = {.n = 0};
            char query[64];
            unsigned n = 0;
            (void)snprintf(query, sizeof query, "%s&limit=%u", rows[i].query, limit);
            take_pages(s, query, "", 20, &seen);
            for (; n < 3 && rows[i].names[n] != NULL; n++)
                assert_int_equal(times(&seen, rows[i].names[n]), 1);
            assert_int_equal(seen.n, n);
        }
    scene_end(s);
}

/* Between two pages the last secret of the first goes, and then its mount. */
static void pages_of_what_changes(void **state)
{
    struct scene *s = scene(*state);
    char path[128];
    put_paged(s);
    struct seen seen = {.n = 0};
    take_pages(s, "limit=4", "", 1, &seen);
    (void)snprintf(path, sizeof path, "rotation/secrets/%s", seen.names[3]);
    need(s, 204, "DELETE", path, NULL);
    take_pages(s, "limit=4", seen.names[3], 20, &seen);
    assert_int_equal(seen.n, PAGED);
    for (size_t i = 0; i < PAGED; i++)
        assert_int_equal(times(&seen, paged[i]), 1);
    need(s, 204, "DELETE", "rotation/secrets/other/a", NULL);
    need(s, 204, "DELETE", "rotation/secrets/other/z", NULL);
    need(s, 204, "DELETE", "sys/mounts/other", NULL);
    seen = (struct seen){.n = 0};
    take_pages(s, "limit=4", "other/z", 20, &seen);
    assert_int_equal(seen.n, PAGED - 3);
    seen = (struct seen){.n = 0};
    take_pages(s, "limit=4", "zzz/behind/all", 20, &seen);
    assert_int_equal(seen.n, 0);
    scene_end(s);
}

/* A page ends before its answer gets long, and the next begins there. */
static void long_pages(void **state)
{
    struct scene *s = scene(*state);
    enum { MANY = 900, LONG = 250 };
    static bool there[MANY];
    char path[200], text[LONG + 1], body[3 * LONG], after[128] = "";
    unsigned n = 0, number = 0, page_no = 0;
    memset(there, 0, sizeof there);
    memset(text, 'x', LONG);
    text[LONG] = '\0';
    (void)snprintf(body, sizeof body, "{\"owner\":\"%s\",\"notify\":\"%s\"}", text, text);
    for (unsigned i = 0; i < MANY; i++) {
        (void)snprintf(path, sizeof path, "rotation/secrets/secret/many/%04u", i);
        need(s, 204, "POST", path, body);
    }
    do {
        (void)snprintf(path, sizeof path, PLAN_ROUTE "?limit=1000&prefix=secret/many&after=%s", after);
        need(s, 200, "GET", path, NULL);
        const char *at = s->vault->body;
        for (; (at = strstr(at, "{\"secret\":\"")) != NULL; n++, at++) {
            assert_int_equal(sscanf(at, "{\"secret\":\"secret/many/%4u", &number), 1);
            assert_in_range(number, 0, MANY - 1);
            assert_false(there[number]);
            there[number] = true;
        }
        if (page_no++ == 0)
            assert_in_range(n, MANY / 2, MANY - 1);
        text_at(s, "data.after", after, sizeof after);
    } while (after[0] != '\0' && page_no < 4);
    assert_int_equal(n, MANY);
    assert_int_equal(page_no, 2);
    scene_end(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ALTERNATE(of_a_secret), ALTERNATE(missing),   BOTH(consumers),
        BOTH(proven),           ALTERNATE(under_way), BOTH(drifted),
        ALTERNATE(pages),       ALTERNATE(with_a_calendar),
        ALTERNATE(pages_below), ALTERNATE(pages_of_what_changes),
        ALTERNATE(long_pages),  ALTERNATE(report_says_what_follows),
        BOTH(report_is_in_the_log),
    };
    return cmocka_run_group_tests_name("rotation plan", tests, NULL, NULL);
}
