/* The time of a schedule: whose it is where several rotate as one, and what it waits for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "tests/support/rotation_scene.h"
#include "vaultd/rotation/engine.h"

#define OTHER "secret/db/second"
#define THIRD "secret/db/third"
#define FIRST "first-password-of-c"
#define MINUTES(n) ((int64_t)(n) * 60 * 1000)

/* Another account of the target, of secret/db/NAME, changed in-place. */
static void account_in(struct scene *s, const char *name, const char *account, const char *settings)
{
    char path[96], body[512];
    (void)pthread_mutex_lock(&s->sim.lock);
    sim_add(&s->sim, account, FIRST);
    (void)pthread_mutex_unlock(&s->sim.lock);
    (void)snprintf(path, sizeof path, "secret/data/db/%s", name);
    (void)snprintf(body, sizeof body, "{\"data\":{\"username\":\"%s\",\"password\":\"" FIRST "\"}}", account);
    need(s, 200, "POST", path, body);
    (void)snprintf(path, sizeof path, "rotation/secrets/secret/db/%s", name);
    (void)snprintf(body, sizeof body,
                   "{\"target\":\"pg\",\"strategy\":\"in-place\",\"allow_gap\":true,\"accounts\":[\"%s\"],\"overlap\":2,"
                   "\"soak\":1,\"max_overlap\":600,\"ack_timeout\":7200,%s}",
                   account, settings);
    need(s, 204, "POST", path, body);
}

/* It is 08:00 on a Friday. */
static struct scene *two(const char *strategy)
{
    struct scene *s = scene(strategy);
    account_in(s, "second", "app_c", "\"owner\":\"\"");
    change_rotation(s, "{\"ack_timeout\":7200}");
    return s;
}

static struct scene *two_as_one(const char *strategy)
{
    struct scene *s = two(strategy);
    change_rotation(s, "{\"together\":[\"" OTHER "\"]}");
    return s;
}

static void look_at(struct scene *s, const char *run)
{
    (void)snprintf(s->run, sizeof s->run, "%s", run);
}

/* So often that whatever would happen by itself did. */
static void a_while(struct scene *s)
{
    for (int i = 0; i < 20; i++) {
        s->vault->now_ms += 1000;
        rotation_wake(s->vault->core->rotation);
        need(s, 200, "POST", "rotation/targets/pg/check", "{}");
    }
}

/* Of a secret, "data.state.WHAT". */
static void state_of(struct scene *s, const char *secret, const char *what, char out[64])
{
    char path[96], dotted[64];
    (void)snprintf(path, sizeof path, "rotation/secrets/%s", secret);
    (void)snprintf(dotted, sizeof dotted, "data.state.%s", what);
    need(s, 200, "GET", path, NULL);
    text_at(s, dotted, out, 64);
}

/* ---- of several that rotate as one ---- */

/* An agent of the other secret. */
static void other_says(struct scene *s, const char *state)
{
    char body[128];
    (void)snprintf(body, sizeof body, "{\"service\":\"orders\",\"version\":1,\"state\":\"%s\"}", state);
    s->vault->now_ms += 1;
    assert_int_equal(as_agent(s, "GET", "secret/data/db/second?version=1", NULL), 200);
    assert_int_equal(as_agent(s, "POST", "fleet/consumers/h2/" OTHER, body), 200);
}

/* By the schedule of the first, at 08:31. */
static void fires(struct scene *s, char first[64], char other[64])
{
    s->vault->now_ms += MINUTES(31);
    first[0] = '\0';
    for (int i = 0; i < PATIENCE && first[0] == '\0'; i++) {
        rotation_wake(s->vault->core->rotation);
        state_of(s, SECRET, "last_run", first);
        pause_ms(1);
    }
    state_of(s, OTHER, "last_run", other);
    assert_string_not_equal(other, "");
}

/* Window and calendar are those of the one whose fire it was: when they close before anything could begin, its fire
 * alone is not over, and nothing starts before they let it. */
static void the_window_is_the_leaders(void **state)
{
    static const char *const settings[] = {"\"window\":\"08:00-09:00\"", "\"blackout\":\"freeze\""};
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
        struct scene *s = two_as_one(*state);
        char first[64], other[64], now[64], body[128];
        need(s, 200, "POST", "rotation/calendars/freeze", "{\"ranges\":\"2027-01-15T09:00..2027-01-20 the audit\"}");
        (void)snprintf(body, sizeof body, "{\"cron\":\"30 8 * * 5\",%s}", settings[i]);
        change_rotation(s, body);
        register_agent(s, "h1");
        assert_int_equal(report(s, "h1", 1, "unhealthy"), 200);
        fires(s, first, other);
        s->vault->now_ms += MINUTES(30); /* 09:01 */
        look_at(s, other);
        soon(s, "cancelled");
        look_at(s, first);
        soon(s, "cancelled");
        assert_int_equal(report(s, "h1", 1, "healthy"), 200);
        s->vault->now_ms += MINUTES(2);
        a_while(s);
        state_of(s, SECRET, "last_run", now);
        assert_string_equal(now, first);
        state_of(s, SECRET, "next_due", now);
        assert_memory_equal(now, i == 0 ? "2027-01-16T08:00" : "2027-01-21T00:00", 16);
        state_of(s, OTHER, "next_due", now);
        assert_string_equal(now, "");
        scene_end(s);
    }
}

/* The first has begun when the window closes over the other, and goes back with it: its fire is not over, either. */
static void late_with_another(void **state)
{
    struct scene *s = two_as_one(*state);
    char first[64], other[64], now[64];
    need(s, 204, "POST", "rotation/targets/pg", "{\"max_runs\":2}");
    change_rotation(s, "{\"cron\":\"30 8 * * 5\",\"window\":\"08:00-09:00\"}");
    register_agent(s, "h1");
    other_says(s, "registered");
    other_says(s, "unhealthy");
    fires(s, first, other);
    look_at(s, first);
    soon(s, "acking");
    s->vault->now_ms += MINUTES(30); /* 09:01 */
    look_at(s, other);
    soon(s, "cancelled");
    look_at(s, first);
    soon(s, "rolling_back");
    assert_int_equal(report(s, "h1", 1, "healthy"), 200);
    ends_back(s);
    state_of(s, SECRET, "next_due", now);
    assert_memory_equal(now, "2027-01-16T08:00", 16);
    scene_end(s);
}

/* A fire of the other's own that waits for its window outlives a run that comes to nothing, and is dropped by one that
 * ends well. */
static void the_others_own_fire(void **state)
{
    struct scene *s = two_as_one(*state);
    char first[64], other[64], now[64];
    need(s, 200, "POST", "rotation/secrets/" OTHER, "{\"cron\":\"15 8 * * 5\",\"window\":\"10:00-11:00\"}");
    change_rotation(s, "{\"cron\":\"30 8 * * *\",\"window\":\"08:00-09:00\"}");
    SIM_SET(&s->sim, unfit, true);
    fires(s, first, other);
    look_at(s, other);
    soon(s, "cancelled");
    look_at(s, first);
    soon(s, "cancelled");
    SIM_SET(&s->sim, unfit, false);
    state_of(s, OTHER, "next_due", now);
    assert_memory_equal(now, "2027-01-15T10:00", 16);
    rotate(s);
    ends_done(s);
    state_of(s, OTHER, "last_run", other);
    look_at(s, other);
    until(s, "done");
    state_of(s, OTHER, "next_due", now);
    assert_memory_equal(now, "2027-01-22T10:00", 16);
    scene_end(s);
}

/* ---- what it waits for ---- */

/* Time passes until the state of the secret says something there. */
static void comes(struct scene *s, const char *secret, const char *what, char out[64])
{
    out[0] = '\0';
    for (int i = 0; i < PATIENCE && out[0] == '\0'; i++) {
        (void)goes_by(s, 500);
        state_of(s, secret, what, out);
        pause_ms(1);
    }
}

/* The secret's run by schedule is there, and ends well. */
static void starts_and_ends(struct scene *s, const char *secret)
{
    char run[64];
    comes(s, secret, "last_run", run);
    look_at(s, run);
    until(s, "done");
}

static void drill_ends_well(struct scene *s, const char *secret)
{
    char result[64];
    comes(s, secret, "drill_result", result);
    assert_memory_equal(result, "it went back in ", 16);
}

/* For a start that was to be at 08:30: nothing came of it yet, not even a failure. */
static void waits_since(struct scene *s, const char *secret, const char *what)
{
    char now[64];
    state_of(s, secret, what, now);
    assert_memory_equal(now, "2027-01-15T08:30", 16);
    says(s, "\"failures\":0");
    says(s, "\"held\":\"\"");
    says(s, "\"drill_result\":\"\"");
}

/* Soon: a run that ended just now has its place for a moment, which is told of first. */
static void blocked_by(struct scene *s, const char *secret, const char *text)
{
    char path[96];
    (void)snprintf(path, sizeof path, "rotation/secrets/%s", secret);
    for (int i = 0; i < PATIENCE; i++) {
        need(s, 200, "GET", path, NULL);
        if (test_vault_said(s->vault, text))
            return;
        pause_ms(1);
    }
    says(s, text);
}

/* A run of the other of a pair lasts: the fire, or the drill, waits for its end. What has another account does not. */
static void a_run_of_the_pair(void **state)
{
    struct scene *s = two(*state);
    char first[64];
    account_in(s, "third", "app_d", "\"cron\":\"31 8 * * 5\"");
    account_in(s, "fourth", "app_e", "\"group\":\"app\",\"drill\":\"30 8 * * 5\"");
    need(s, 204, "POST", "rotation/secrets/" OTHER, "{\"group\":\"app\",\"cron\":\"30 8 * * 5\"}");
    register_agent(s, "h1");
    rotate(s);
    memcpy(first, s->run, sizeof first);
    soon(s, "acking");
    s->vault->now_ms += MINUTES(32);
    starts_and_ends(s, THIRD);
    waits_since(s, OTHER, "next_due");
    waits_since(s, "secret/db/fourth", "next_drill");
    blocked_by(s, OTHER, ", which changes an account of its group\"");
    look_at(s, first);
    acknowledge(s, "h1", 2);
    ends_done(s);
    starts_and_ends(s, OTHER);
    drill_ends_well(s, "secret/db/fourth");
    scene_end(s);
}

/* The administrative login is a secret's, which has no version for a while. */
static void no_login(void **state)
{
    struct scene *s = two(*state);
    need(s, 200, "POST", "secret/data/adm", "{\"data\":{\"username\":\"kt\",\"password\":\"admin\"}}");
    need(s, 204, "POST", "rotation/targets/pg",
         "{\"admin_username\":\"\",\"admin_password\":\"\",\"admin_secret\":\"secret/adm\"}");
    change_rotation(s, "{\"cron\":\"30 8 * * 5\"}");
    need(s, 204, "POST", "rotation/secrets/" OTHER, "{\"drill\":\"30 8 * * 5\"}");
    need(s, 204, "DELETE", "secret/data/adm", NULL);
    s->vault->now_ms += MINUTES(31);
    unsigned looks = 0;
    for (int i = 0; i < PATIENCE && looks < 20; i++) {
        looks += goes_by(s, 1000);
        pause_ms(1);
    }
    assert_int_equal(looks, 20);
    waits_since(s, SECRET, "next_due");
    waits_since(s, OTHER, "next_drill");
    blocked_by(s, SECRET, "the administrative login of target 'pg': the secret 'secret/adm' has no version to log in with");
    need(s, 200, "POST", "secret/data/adm", "{\"data\":{\"username\":\"kt\",\"password\":\"admin\"}}");
    starts_and_ends(s, SECRET);
    drill_ends_well(s, OTHER);
    scene_end(s);
}

/* So does one that starts with others, of which one has to wait. */
static void a_run_of_a_mates_pair(void **state)
{
    struct scene *s = two(*state);
    account_in(s, "third", "app_d", "\"cron\":\"30 8 * * 5\",\"together\":[\"" OTHER "\"]");
    need(s, 204, "POST", "rotation/secrets/" OTHER, "{\"group\":\"app\"}");
    register_agent(s, "h1");
    rotate(s);
    soon(s, "acking");
    s->vault->now_ms += MINUTES(31);
    a_while(s);
    waits_since(s, THIRD, "next_due");
    blocked_by(s, THIRD, OTHER ", which rotates together with it: run ");
    acknowledge(s, "h1", 2);
    ends_done(s);
    starts_and_ends(s, THIRD);
    scene_end(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ALTERNATE(the_window_is_the_leaders), ALTERNATE(late_with_another), ALTERNATE(the_others_own_fire),
        ALTERNATE(a_run_of_the_pair), ALTERNATE(a_run_of_a_mates_pair), ALTERNATE(no_login),
    };
    return cmocka_run_group_tests_name("rotation fires", tests, NULL, NULL);
}
