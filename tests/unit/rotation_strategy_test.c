/* In-place is taken where a target can do nothing better, or where somebody says that consumers may be cut off; what
 * stood before goes on. Each driver with each strategy, as lib/driver/info.c has them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/rotation_scene.h"
#include "vaultd/rotation/strategy.h"

#define ONE "secret/db/one"
/* For nobody. */
#define SSH_KEY                                                                                                        \
    "-----BEGIN OPENSSH PRIVATE KEY-----\\n"                                                                           \
    "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW\\n"                                       \
    "QyNTUxOQAAACCUqaOnFV80c5xto/j8uQ2/vq9RK7TPTJ+UgW0WDcwCYQAAAIhUwshKVMLI\\n"                                       \
    "SgAAAAtzc2gtZWQyNTUxOQAAACCUqaOnFV80c5xto/j8uQ2/vq9RK7TPTJ+UgW0WDcwCYQ\\n"                                       \
    "AAAEDMNb5G/Hct5Zdpt80LmeKKe1Z/kicPP+4M3+PhgXUrSJSpo6cVXzRznG2j+Py5Db++\\n"                                       \
    "r1ErtM9Mn5SBbRYNzAJhAAAAAAECAwQF\\n"                                                                              \
    "-----END OPENSSH PRIVATE KEY-----\\n"

/* ---- each driver ---- */

#define WITH "\\\"path\\\":\\\"/\\\",\\\"headers\\\":{\\\"A\\\":\\\"{admin}\\\"}"
#define ASKS                                                                                                           \
    "\\\"admin\\\":{\\\"method\\\":\\\"GET\\\"," WITH "},\\\"test\\\":{\\\"method\\\":\\\"GET\\\",\\\"path\\\":\\\"/\\\"," \
    "\\\"basic\\\":[\\\"{account}\\\",\\\"{value}\\\"]},"
#define SETS "\\\"set\\\":{\\\"method\\\":\\\"PUT\\\",\\\"path\\\":\\\"/\\\",\\\"body\\\":{\\\"p\\\":\\\"{value}\\\"}}"
#define ENDS ",\\\"delete\\\":{\\\"method\\\":\\\"DELETE\\\"," WITH "}"
#define API(what) "\"api\":\"{" ASKS what "}\""

/* It ends nothing: nothing but in-place is possible. */
static const char set_only[] = "{\"driver\":\"http\",\"host\":\"127.0.0.1\",\"database\":\"\",\"sslmode\":\"disable\","
                               "\"admin_username\":\"kt\",\"admin_password\":\"p\"," API(SETS) "}";

static const struct kt_programs programs = {.at = {{.name = "p"}}, .n = 1};

static unsigned ask(struct scene *s, const char *method, const char *path, const char *body)
{
    return test_vault_call(s->vault, method, path, s->vault->root, body);
}

static void make_target(struct scene *s, const struct driver_info *info)
{
    char body[4096], path[64];
    if (info->inside)
        (void)snprintf(body, sizeof body, "{\"driver\":\"%s\"}", info->name);
    else
        (void)snprintf(body, sizeof body, "{\"driver\":\"%s\",\"host\":\"127.0.0.1\",\"admin_username\":\"kt\"%s%s%s%s}",
                       info->name,
                       info->names_server ? ",\"admin_password\":\"" SSH_KEY "\",\"server_id\":"
                                            "\"SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\""
                                          : ",\"admin_password\":\"p\",\"sslmode\":\"disable\"",
                       info->databases ? ",\"database\":\"d\"" : "", info->program ? ",\"program\":\"p\"" : "",
                       info->api ? "," API(SETS ENDS) : "");
    (void)snprintf(path, sizeof path, "rotation/targets/%s", info->name);
    unsigned got = ask(s, "POST", path, body);
    if (got != 204 && got != 200)
        fail_msg("%s: %u %s", info->name, got, s->vault->body);
}

static unsigned set(struct scene *s, const struct driver_info *info, enum run_strategy strategy, bool allow_gap)
{
    char body[512];
    bool two = strategy == STRATEGY_ALTERNATE;
    (void)snprintf(body, sizeof body, "{\"target\":\"%s\",\"strategy\":\"%s\",\"accounts\":[\"cn=a\"%s]%s%s}", info->name,
                   run_strategy_text(strategy), two ? ",\"cn=b\"" : "", two && info->groups ? ",\"group\":\"g\"" : "",
                   allow_gap ? ",\"allow_gap\":true" : "");
    return ask(s, "POST", "rotation/secrets/" ONE, body);
}

static void said(struct scene *s, const char *driver, bool wanted, const char *text)
{
    if (test_vault_said(s->vault, text) != wanted)
        fail_msg("%s: '%s' %s in %s", driver, text, wanted ? "is not" : "is", s->vault->body);
}

/* What its target declares, in place of what the driver can. */
static struct driver_info declared(const struct driver_info *info)
{
    struct driver_info can = *info;
    can.overlap = can.overlap && !info->api;
    return can;
}

static void with_each_strategy(struct scene *s, const struct driver_info *info, unsigned *refused)
{
    const struct driver_info can = declared(info);
    make_target(s, info);
    for (unsigned i = 0; i < STRATEGY_COUNT; i++) {
        enum run_strategy strategy = (enum run_strategy)i;
        if (strategy == STRATEGY_GENERATE)
            continue;
        bool better = strategy == STRATEGY_IN_PLACE && (can.alternate || can.overlap);
        unsigned got = set(s, info, strategy, false);
        said(s, info->name, !strategy_possible(&can, strategy), "cannot do strategy");
        said(s, info->name, strategy_possible(&can, strategy) && better, "KT-R-032");
        if (got == 204)
            need(s, 204, "DELETE", "rotation/secrets/" ONE, NULL);
        if (!strategy_possible(&can, strategy) || !better)
            continue;
        assert_int_equal(got, 400);
        said(s, info->name, can.alternate, "strategy=alternate accounts=cn=a,SECOND");
        said(s, info->name, can.alternate && can.groups, "SECOND group=GROUP");
        said(s, info->name, can.overlap, "strategy=overlap");
        said(s, info->name, true, "if consumers may be cut off: allow_gap=true");
        need(s, 404, "GET", "rotation/secrets/" ONE, NULL);
        assert_int_equal(set(s, info, strategy, true), 204);
        need(s, 204, "DELETE", "rotation/secrets/" ONE, NULL);
        (*refused)++;
    }
}

static void each_driver_with_each(void **state)
{
    (void)state;
    struct scene *s = scene(scene_alternate);
    size_t n = 0;
    unsigned refused = 0, better = 0;
    const struct driver_info *infos = kt_driver_infos(&n);
    s->executor.programs = &programs;
    need(s, 200, "POST", "secret/data/db/one", "{\"data\":{\"username\":\"cn=a\",\"password\":\"p\",\"key_id\":\"i\"}}");
    for (size_t i = 0; i < n; i++) {
        if (infos[i].listens)
            continue;
        const struct driver_info can = declared(&infos[i]);
        better += can.in_place && (can.alternate || can.overlap);
        with_each_strategy(s, &infos[i], &refused);
    }
    assert_true(better > 0);
    assert_int_equal(refused, better);
    scene_end(s);
}

/* ---- what stands ---- */

static void where_nothing_else_is_possible(void **state)
{
    (void)state;
    struct scene *s = scene(scene_alternate);
    need(s, 200, "POST", "secret/data/db/one", "{\"data\":{\"username\":\"uid=a,ou=x\",\"password\":\"p\"}}");
    assert_int_equal(ask(s, "POST", "rotation/targets/api", set_only), 200);
    need(s, 204, "POST", "rotation/secrets/" ONE,
         "{\"target\":\"api\",\"strategy\":\"in-place\",\"accounts\":[\"uid=a,ou=x\"]}");
    need(s, 204, "POST", "rotation/secrets/" ONE, "{\"owner\":\"x\"}");
    /* The API learns to end a password: two accounts in turn are possible now. */
    assert_int_equal(ask(s, "POST", "rotation/targets/api", "{" API(SETS ENDS) "}"), 200);
    need(s, 200, "POST", "rotation/secrets/" ONE, "{\"owner\":\"y\",\"allow_gap\":false}");
    says(s, "\"warnings\":[\"in-place, who connects between the change and his own reload is cut off; target 'api' can do "
            "without: strategy=alternate 'accounts=uid=a,ou=x;SECOND'; if consumers may be cut off: allow_gap=true\"]");
    need(s, 200, "GET", "rotation/secrets/" ONE, NULL);
    says(s, "\"owner\":\"y\"");
    need(s, 204, "POST", "rotation/secrets/" ONE, "{\"allow_gap\":true}");
    need(s, 400, "POST", "rotation/secrets/" ONE, "{\"allow_gap\":false}");
    says(s, "KT-R-032");
    scene_end(s);
}

/* Another account is another choice; a strategy without a gap needs nobody's leave. */
static void what_is_chosen_anew(void **state)
{
    struct scene *s = scene(*state);
    gap_unsaid(s);
    need(s, 200, "POST", "rotation/secrets/" SECRET, "{\"overlap\":3}");
    says(s, "\"warnings\":[\"in-place, who connects");
    need(s, 400, "POST", "rotation/secrets/" SECRET, "{\"accounts\":\"app_b\"}");
    says(s, "KT-R-032");
    need(s, 204, "POST", "rotation/targets/other",
         "{\"driver\":\"postgresql\",\"host\":\"/run/other\",\"database\":\"d\",\"sslmode\":\"disable\","
         "\"admin_username\":\"kt\",\"admin_password\":\"admin\"}");
    need(s, 400, "POST", "rotation/secrets/" SECRET, "{\"target\":\"other\"}");
    says(s, "KT-R-032");
    change_rotation(s, "{\"strategy\":\"alternate\",\"accounts\":[\"app_a\",\"app_b\"],\"group\":\"app\"}");
    need(s, 400, "POST", "rotation/secrets/" SECRET, "{\"strategy\":\"in-place\",\"accounts\":\"app_a\"}");
    says(s, "KT-R-032");
    /* The group that it had is named. */
    says(s, "strategy=alternate accounts=app_a,SECOND group=app;");
    scene_end(s);
}

/* What has to be said is not cut off by names. */
static void names_are_long(void **state)
{
    static const char name[] = "n23456789012345678901234567890123456789012345678901234567890123456789012345678901234567890"
                               "12345678901234567890123456789012345"; /* 125 bytes */
    struct scene *s = scene(*state);
    char body[1024];
    (void)snprintf(body, sizeof body, "{\"data\":{\"username\":\"%s\",\"password\":\"p\"}}", name);
    need(s, 200, "POST", "secret/data/db/one", body);
    for (unsigned i = 0; i < 2; i++) {
        (void)snprintf(body, sizeof body, "{\"target\":\"pg\",\"strategy\":\"in-place\",\"accounts\":[\"%s\"],\"group\":\"%s\"}", name,
                       i == 0 ? "" : name);
        assert_int_equal(ask(s, "POST", "rotation/secrets/" ONE, body), 400);
        says(s, "if consumers may be cut off: allow_gap=true\"]");
        says(s, i == 0 ? "\"strategy=alternate accounts=n23456789" : "\"strategy=alternate; if consumers");
    }
    scene_end(s);
}

/* No upgrade stops a rotation. */
static void what_stood_goes_on(void **state)
{
    struct scene *s = scene(*state);
    gap_unsaid(s);
    register_agent(s, "h1");
    rotate(s);
    soon(s, "acking");
    acknowledge(s, "h1", 2);
    ends_done(s);
    current_is(s, 2, "app_a");
    scene_end(s);
}

/* ---- what is shown of it ---- */

static void shows(struct scene *s, const char *text)
{
    need(s, 200, "GET", "rotation/plan", NULL);
    says(s, text);
    need(s, 200, "GET", "rotation/secrets/" SECRET, NULL);
    says(s, text);
}

#define INSTEAD "\"gap_instead\":[\"strategy=alternate accounts=app_a,SECOND group=GROUP\"],"
#define NO_GAP  "\"last_gap\":\"\",\"last_gap_ms\":null,\"last_gap_until\":\"\""

/* The number of the newest report, and of this place alone. */
static void the_gap_that_was_measured(void **state)
{
    struct scene *s = scene(*state);
    char path[128], text[128];
    shows(s, alternates(s) ? "\"gap_instead\":[]," NO_GAP : INSTEAD NO_GAP);
    register_agent(s, "h1");
    rotate(s);
    soon(s, "acking");
    s->vault->now_ms += 15000;
    acknowledge(s, "h1", 2);
    soon(s, "overlapping");
    ends_done(s);
    (void)snprintf(path, sizeof path, "rotation/runs/%s/report", s->run);
    need(s, 200, "GET", path, NULL);
    const char *at = strstr(s->vault->body, "\"gap_ms\":");
    assert_non_null(at);
    long ms = strtol(at + strlen("\"gap_ms\":"), NULL, 10);
    (void)snprintf(text, sizeof text, "\"last_gap_ms\":%ld,\"last_gap_until\":\"acknowledged\"", ms);
    shows(s, alternates(s) ? "\"gap_instead\":[]," NO_GAP : text);
    if (alternates(s)) {
        assert_int_equal(ms, 0);
    } else {
        assert_true(ms >= 15000);
        change_rotation(s, "{\"owner\":\"x\"}");
        shows(s, text);
        change_rotation(s, "{\"strategy\":\"alternate\",\"accounts\":[\"app_a\",\"app_b\"],\"group\":\"app\"}");
        shows(s, "\"gap_instead\":[]," NO_GAP);
    }
    scene_end(s);
}

/* The plan names what could be better where nobody chose the gap, and how many it cuts off in any case. */
static void what_the_plan_finds(void **state)
{
    static const char avoidable[] =
        "in-place, though target pg can do without a gap: secretctl schedule set secret/db/orders strategy=alternate "
        "accounts=app_a,SECOND group=GROUP; that consumers may be cut off is said by allow_gap=true";
    struct scene *s = scene(*state);
    need(s, 200, "GET", "rotation/plan", NULL);
    assert_false(test_vault_said(s->vault, "in-place, though"));
    gap_unsaid(s);
    register_agent(s, "h1");
    need(s, 200, "GET", "rotation/plan", NULL);
    says(s, avoidable);
    assert_false(test_vault_said(s->vault, "in-place with"));
    register_agent(s, "h2");
    change_rotation(s, "{\"allow_gap\":true}");
    need(s, 200, "GET", "rotation/plan", NULL);
    assert_false(test_vault_said(s->vault, "in-place, though"));
    says(s, "in-place with 2 consumers: who connects between the change and his own reload is refused\"");
    assert_int_equal(ask(s, "POST", "rotation/targets/pg", set_only), 200);
    need(s, 200, "GET", "rotation/plan", NULL);
    says(s, "in-place with 2 consumers: who connects between the change and his own reload is refused; its target can do "
            "nothing else\"");
    says(s, "\"gap_instead\":[],");
    scene_end(s);
}

/* What comes of a run that nobody could measure takes no number's place; nor does one that ordered nothing. */
static void one_that_was_not_measured(void **state)
{
    struct scene *s = scene(*state);
    rotate(s);
    ends_done(s);
    shows(s, "\"last_gap_until\":\"readable\"");
    register_agent(s, "h1");
    need(s, 200, "POST", "rotation/reconcile/" SECRET, "{}");
    text_at(s, "data.run", s->run, sizeof s->run);
    until(s, "done");
    shows(s, "\"last_gap_until\":\"readable\"");
    assert_int_equal(report(s, "h1", 2, "unhealthy"), 200);
    rotate(s);
    soon(s, "preflight");
    cancel(s, 200);
    soon(s, "cancelled");
    shows(s, "\"last_gap_until\":\"readable\"");
    scene_end(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_driver_with_each),
        cmocka_unit_test(where_nothing_else_is_possible),
        IN_PLACE(what_is_chosen_anew),
        ALTERNATE(names_are_long),
        IN_PLACE(what_stood_goes_on),
        BOTH(the_gap_that_was_measured),
        IN_PLACE(one_that_was_not_measured),
        IN_PLACE(what_the_plan_finds),
    };
    return cmocka_run_group_tests_name("rotation_strategy", tests, NULL, NULL);
}
