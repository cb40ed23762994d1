/* The brake of all rotations: what does not begin, what goes on, who sees it, and that it outlives a
 * restart. */
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

#define WHY "{\"reason\":\"migration of the night\"}"

static void brake(struct scene *s)
{
    s->vault->now_ms += 1;
    need(s, 200, "POST", "rotation/pause", WHY);
    says(s, "\"paused\":true,\"by\":\"root\"");
    s->vault->now_ms += 1; /* what is asked for next comes after it */
}

static unsigned version(struct scene *s, const char *path)
{
    char text[32] = "0";
    if (test_vault_call(s->vault, "GET", path, s->vault->root, NULL) == 200)
        text_at(s, "data.metadata.version", text, sizeof text);
    return (unsigned)strtoul(text, NULL, 10);
}

static void becomes(struct scene *s, const char *path, unsigned wanted)
{
    for (int i = 0; i < PATIENCE && version(s, path) != wanted; i++) {
        rotation_wake(s->vault->core->rotation);
        pause_ms(1);
    }
    assert_int_equal(version(s, path), wanted);
}

/* The rotation thread has looked at everything since: a check of the target was taken from it. */
static void thread_looks(struct scene *s)
{
    rotation_wake(s->vault->core->rotation);
    need(s, 200, "POST", "rotation/targets/pg/check", "{}");
    rotation_wake(s->vault->core->rotation);
    need(s, 200, "POST", "rotation/targets/pg/check", "{}");
}

static void schedules_rest(void **state)
{
    struct scene *s = scene(*state);
    need(s, 204, "POST", "rotation/secrets/secret/hourly", "{\"cron\":\"0 * * * *\"}");
    need(s, 204, "POST", "rotation/secrets/secret/gone", "{\"cron\":\"0 * * * *\",\"catchup\":\"none\"}");
    need(s, 200, "GET", "rotation/due", NULL);
    says(s, "\"paused\":null");
    brake(s);
    for (int hour = 0; hour < 3; hour++) {
        s->vault->now_ms += 3600000;
        thread_looks(s);
    }
    assert_int_equal(version(s, "secret/data/hourly"), 0);
    test_vault_reseal(s->vault);
    thread_looks(s);
    assert_int_equal(version(s, "secret/data/hourly"), 0);
    need(s, 200, "GET", "rotation/pause", NULL);
    says(s, "\"reason\":\"migration of the night\",\"late\":2,\"active\":0");
    need(s, 200, "GET", "rotation/due", NULL);
    says(s, "\"paused\":{\"by\":\"root\"");
    says(s, "\"blocked_by\":\"paused by root since ");
    need(s, 200, "GET", "rotation/secrets/secret/hourly", NULL);
    says(s, "\"paused\":\"paused by root since ");
    need(s, 200, "DELETE", "rotation/pause", NULL);
    says(s, "\"paused\":false,\"by\":\"root\"");
    /* Three times were missed: one run, and none where they are to be dropped. */
    becomes(s, "secret/data/hourly", 1);
    thread_looks(s);
    assert_int_equal(version(s, "secret/data/hourly"), 1);
    assert_int_equal(version(s, "secret/data/gone"), 0);
    need(s, 200, "GET", "rotation/pause", NULL);
    says(s, "\"paused\":false,\"by\":\"\"");
    scene_end(s);
}

static bool starts_by_schedule(const struct request *req)
{
    return req->path != NULL && strcmp(req->path, "rotation/due") == 0 && req->batch != NULL &&
           batch_ops(req->batch) > 2;
}

/* Who has the answer to his pause sees nothing start after it, however far a start was on its way. */
static void a_start_meets_the_pause(void **state)
{
    struct scene *s = scene(*state);
    static const struct visit visits[] = {{"POST", "rotation/pause", NULL, WHY, 200, 0}, {0}};
    need(s, 204, "POST", "rotation/secrets/secret/hourly", "{\"cron\":\"0 * * * *\"}");
    meanwhile(s->vault, visits, starts_by_schedule);
    s->vault->now_ms += 3600000;
    rotation_wake(s->vault->core->rotation);
    for (int i = 0; i < PATIENCE; i++) {
        need(s, 200, "GET", "rotation/pause", NULL);
        if (test_vault_said(s->vault, "\"paused\":true"))
            break;
        pause_ms(1);
    }
    says(s, "\"paused\":true");
    thread_looks(s);
    assert_true(meanwhile_over());
    assert_int_equal(version(s, "secret/data/hourly"), 0);
    need(s, 200, "DELETE", "rotation/pause", NULL);
    becomes(s, "secret/data/hourly", 1);
    scene_end(s);
}

static void many_are_due(void **state)
{
    struct scene *s = scene(*state);
    char path[80];
    for (unsigned i = 0; i < 5; i++) {
        (void)snprintf(path, sizeof path, "rotation/secrets/secret/many%u", i);
        need(s, 204, "POST", path, "{\"period\":\"1h\"}");
    }
    brake(s);
    s->vault->now_ms += 2 * 3600000;
    thread_looks(s);
    for (unsigned i = 0; i < 5; i++) {
        (void)snprintf(path, sizeof path, "secret/data/many%u", i);
        assert_int_equal(version(s, path), 0);
    }
    need(s, 200, "DELETE", "rotation/pause", NULL);
    for (unsigned i = 0; i < 5; i++) {
        (void)snprintf(path, sizeof path, "secret/data/many%u", i);
        becomes(s, path, 1);
    }
    scene_end(s);
}

static void by_hand(void **state)
{
    struct scene *s = scene(*state);
    brake(s);
    need(s, 400, "POST", "rotation/rotate/" SECRET, "{}");
    says(s, "KT-R-030 rotation is paused by root since ");
    says(s, "migration of the night");
    says(s, "secretctl run resume");
    need(s, 200, "POST", "rotation/rotate/" SECRET, "{\"force\":true}");
    text_at(s, "data.run", s->run, sizeof s->run);
    ends_done(s);
    /* Going back is what one may need most. */
    need(s, 200, "POST", "rotation/rotate/" SECRET, "{\"back\":true}");
    text_at(s, "data.run", s->run, sizeof s->run);
    until(s, "done");
    current_is(s, 3, "app_a");
    scene_end(s);
}

static void not_begun_waits(void **state)
{
    struct scene *s = scene(*state);
    register_agent(s, "h1");
    assert_int_equal(report(s, "h1", 1, "unhealthy"), 200);
    rotate(s);
    soon_says(s, "to be healthy before anything is changed");
    brake(s);
    assert_int_equal(report(s, "h1", 1, "healthy"), 200);
    soon_says(s, "\"waits_for\":\"secretctl run resume: rotation is paused by root since ");
    thread_looks(s);
    assert_true(is_in(s, "preflight"));
    test_vault_reseal(s->vault);
    soon_says(s, "\"waits_for\":\"secretctl run resume: rotation is paused by root since ");
    need(s, 200, "GET", "rotation/pause", NULL);
    says(s, "\"active\":1");
    need(s, 200, "DELETE", "rotation/pause", NULL);
    soon(s, "acking");
    acknowledge(s, "h1", 2);
    ends_done(s);
    scene_end(s);
}

static void minutes_pass(struct scene *s, int64_t n)
{
    s->vault->now_ms += n * 60000;
    rotation_wake(s->vault->core->rotation);
}

/* What a run waits for has as long after a pause as it had before, whoever was stopped meanwhile. */
static void the_pause_uses_up_nothing(struct scene *s, bool restart)
{
    register_agent(s, "h1");
    assert_int_equal(report(s, "h1", 1, "unhealthy"), 200);
    rotate(s);
    soon_says(s, "to be healthy before anything is changed");
    minutes_pass(s, 50);
    soon_says(s, "to be healthy before anything is changed");
    brake(s);
    soon_says(s, "rotation is paused");
    minutes_pass(s, 180);
    if (restart)
        test_vault_reseal(s->vault);
    soon_says(s, "rotation is paused");
    need(s, 200, "DELETE", "rotation/pause", NULL);
    soon_says(s, "to be healthy before anything is changed");
    minutes_pass(s, 9);
    soon_says(s, "to be healthy before anything is changed");
    minutes_pass(s, 2);
    soon(s, "cancelled");
    scene_end(s);
}

static void the_hour_of_preflight_stands(void **state)
{
    the_pause_uses_up_nothing(scene(*state), false);
}

static void it_stands_over_a_restart(void **state)
{
    the_pause_uses_up_nothing(scene(*state), true);
}

static void not_begun_may_be_cancelled(void **state)
{
    struct scene *s = scene(*state);
    register_agent(s, "h1");
    assert_int_equal(report(s, "h1", 1, "unhealthy"), 200);
    rotate(s);
    soon_says(s, "to be healthy before anything is changed");
    brake(s);
    assert_int_equal(report(s, "h1", 1, "healthy"), 200);
    soon_says(s, "rotation is paused");
    cancel(s, 200);
    soon(s, "cancelled");
    current_is(s, 1, "app_a");
    scene_end(s);
}

static void begun_goes_on(void **state)
{
    struct scene *s = scene(*state);
    register_agent(s, "h1");
    rotate(s);
    soon(s, "acking");
    brake(s);
    test_vault_reseal(s->vault);
    acknowledge(s, "h1", 2);
    ends_done(s);
    need(s, 200, "GET", "rotation/pause", NULL);
    says(s, "\"paused\":true");
    scene_end(s);
}

/* As by_hand, but the pause comes while the start is on its way. */
static void a_start_by_hand_meets_the_pause(void **state)
{
    struct scene *s = scene(*state);
    static const struct visit visits[] = {{"POST", "rotation/pause", NULL, WHY, 200, 0}, {0}};
    meanwhile(s->vault, visits, NULL);
    need(s, 400, "POST", "rotation/rotate/" SECRET, "{}");
    says(s, "KT-R-030");
    assert_true(meanwhile_over());
    need(s, 404, "LIST", "rotation/runs", NULL);
    scene_end(s);
}

static void is_away(struct scene *s, bool away)
{
    SIM_SET(&s->sim, down, away);
}

/* What was asked for before the pause, and waits for the target. */
static void going_back_is_not_held(void **state)
{
    struct scene *s = scene(*state);
    rotate(s);
    ends_done(s);
    is_away(s, true);
    need(s, 200, "POST", "rotation/rotate/" SECRET, "{\"back\":true}");
    text_at(s, "data.run", s->run, sizeof s->run);
    soon(s, "preflight");
    brake(s);
    is_away(s, false);
    until(s, "done");
    current_is(s, 3, "app_a");
    need(s, 200, "DELETE", "rotation/pause", NULL);
    is_away(s, true);
    need(s, 200, "POST", "rotation/reconcile/" SECRET, "{}");
    text_at(s, "data.run", s->run, sizeof s->run);
    soon(s, "preflight");
    brake(s);
    is_away(s, false);
    until(s, "done");
    current_is(s, 3, "app_a");
    scene_end(s);
}

/* Another secret at the same target, with a run that has not begun. */
static void start_other(struct scene *s, char run[64])
{
    (void)pthread_mutex_lock(&s->sim.lock);
    sim_add(&s->sim, "app_c", "first-password-of-c");
    (void)pthread_mutex_unlock(&s->sim.lock);
    need(s, 200, "POST", "secret/data/db/other",
         "{\"data\":{\"username\":\"app_c\",\"password\":\"first-password-of-c\"}}");
    need(s, 204, "POST", "rotation/secrets/secret/db/other",
         "{\"target\":\"pg\",\"strategy\":\"in-place\",\"allow_gap\":true,\"accounts\":[\"app_c\"],\"overlap\":2,\"soak\":1}");
    assert_int_equal(as_agent(s, "GET", "secret/data/db/other?version=1", NULL), 200);
    assert_int_equal(as_agent(s, "POST", "fleet/consumers/h2/secret/db/other",
                              "{\"service\":\"other\",\"version\":1,\"state\":\"registered\"}"), 200);
    assert_int_equal(as_agent(s, "POST", "fleet/consumers/h2/secret/db/other",
                              "{\"service\":\"other\",\"version\":1,\"state\":\"unhealthy\"}"), 200);
    need(s, 200, "POST", "rotation/rotate/secret/db/other", "{}");
    text_at(s, "data.run", run, 64);
}

/* A run that is held is in nobody's way, and has its turn at the target after the pause. */
static void held_keeps_no_place(void **state)
{
    struct scene *s = scene(*state);
    char first[64], other[64];
    register_agent(s, "h1");
    rotate(s);
    memcpy(first, s->run, sizeof first);
    soon(s, "acking");
    start_other(s, other);
    memcpy(s->run, other, sizeof other);
    soon_says(s, "to be healthy before anything is changed");
    brake(s);
    soon_says(s, "rotation is paused");
    memcpy(s->run, first, sizeof first);
    acknowledge(s, "h1", 2);
    until(s, "overlapping");
    is_away(s, true);
    until(s, revokes(s) ? "revoking" : "confirming");
    need(s, 200, "DELETE", "rotation/pause", NULL);
    memcpy(s->run, other, sizeof other);
    soon_says(s, "\"waits_for\":\"its turn at target pg");
    is_away(s, false);
    memcpy(s->run, first, sizeof first);
    ends_done(s);
    memcpy(s->run, other, sizeof other);
    soon_says(s, "to be healthy before anything is changed");
    cancel(s, 200);
    soon(s, "cancelled");
    scene_end(s);
}

static void words(void **state)
{
    struct scene *s = scene(*state);
    need(s, 200, "GET", "rotation/pause", NULL);
    says(s, "\"paused\":false");
    need(s, 400, "POST", "rotation/pause", "{}");
    says(s, "reason is missing");
    need(s, 400, "POST", "rotation/pause", "{\"reason\":\"\"}");
    need(s, 204, "DELETE", "rotation/pause", NULL);
    brake(s);
    /* The first reason stands: who gave it has not let go. */
    need(s, 200, "POST", "rotation/pause", "{\"reason\":\"another one\"}");
    says(s, "that stays as it is");
    says(s, "\"reason\":\"migration of the night\"");
    need(s, 200, "DELETE", "rotation/pause", NULL);
    need(s, 204, "DELETE", "rotation/pause", NULL);
    scene_end(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ALTERNATE(a_start_meets_the_pause), ALTERNATE(schedules_rest), ALTERNATE(many_are_due), BOTH(by_hand),
        BOTH(not_begun_waits),     BOTH(begun_goes_on),     ALTERNATE(not_begun_may_be_cancelled), ALTERNATE(the_hour_of_preflight_stands), ALTERNATE(it_stands_over_a_restart),
        ALTERNATE(words),
        BOTH(a_start_by_hand_meets_the_pause), ALTERNATE(going_back_is_not_held), BOTH(held_keeps_no_place),
    };
    return cmocka_run_group_tests_name("rotation pause", tests, NULL, NULL);
}
