/* One account that accepts two passwords for a time: what else than with two accounts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "tests/support/rotation_scene.h"

#define FIRST "first-password-of-a"

static bool first_is_accepted(struct scene *s)
{
    return sim_accepts(&s->sim, "app_a", FIRST);
}

static void both_are_accepted_until_the_end(void **state)
{
    struct scene *s = scene(*state);
    register_agent(s, "h1");
    rotate(s);
    soon(s, "acking");
    assert_true(first_is_accepted(s));
    current_is(s, 2, "app_a");
    acknowledge(s, "h1", 2);
    until(s, "overlapping");
    assert_true(first_is_accepted(s));
    ends_done(s);
    assert_int_equal(s->sim.kept, 1);
    assert_int_equal(sim_ops(&s->sim, DRIVER_REVOKE), 1);
    scene_end(s);
}

static void going_back_leaves_the_old_one(void **state)
{
    struct scene *s = scene(*state);
    char user[64], second[128];
    register_agent(s, "h1");
    rotate(s);
    soon(s, "acking");
    (void)current(s, user, second);
    read_version(s, 2);
    assert_int_equal(report(s, "h1", 2, "unhealthy"), 200);
    soon(s, "rolling_back");
    assert_true(first_is_accepted(s));
    assert_int_equal(report(s, "h1", 1, "healthy"), 200);
    ends_back(s);
    assert_true(first_is_accepted(s));
    assert_false(sim_accepts(&s->sim, "app_a", second));
    scene_end(s);
}

/* Nobody can tell which of the two a session was opened with. */
static void no_session_is_waited_for_or_ended(void **state)
{
    struct scene *s = scene(*state);
    change_rotation(s, "{\"drain\":100000,\"max_overlap\":100000}");
    sim_account(&s->sim, "app_a")->sessions = 3;
    rotate(s);
    ends_done(s);
    assert_int_equal(sim_account(&s->sim, "app_a")->sessions, 3);
    scene_end(s);
}

/* The target loses everything after the intent to revoke: the new one is set again, alone. */
static void the_old_one_is_not_let_in_again(void **state)
{
    struct scene *s = scene(*state);
    rotate(s);
    soon(s, "overlapping");
    (void)pthread_mutex_lock(&s->sim.lock);
    s->sim.down = true;
    (void)pthread_mutex_unlock(&s->sim.lock);
    until(s, "revoking");
    (void)pthread_mutex_lock(&s->sim.lock);
    s->sim.vault = NULL; /* somebody else does this: no watcher */
    s->sim.accounts[0].verifier[0] = s->sim.accounts[0].also[0] = '\0';
    s->sim.down = false;
    (void)pthread_mutex_unlock(&s->sim.lock);
    ends_done(s);
    assert_int_equal(sim_ops(&s->sim, DRIVER_APPLY), 2);
    assert_int_equal(s->sim.kept, 1);
    scene_end(s);
}

/* Somebody ended it at the target, on purpose: the new one is set alone from the beginning. */
static void what_is_meant_to_be_dead_stays_so(void **state)
{
    struct scene *s = scene(*state);
    SIM_SET(&s->sim, vault, NULL); /* the target accepts nothing that is stored: no watcher */
    SIM_SET(&s->sim, accounts[0].verifier[0], '\0');
    change_rotation(s, "{\"old_is_dead\":true}");
    register_agent(s, "h1");
    rotate(s);
    soon(s, "acking");
    assert_false(first_is_accepted(s));
    current_is(s, 2, "app_a");
    acknowledge(s, "h1", 2);
    ends_done(s);
    assert_int_equal(s->sim.kept, 0);
    scene_end(s);
}

/* It was said to be dead and is in use: nobody is cut off before the overlap is over. */
static void what_was_said_to_be_dead_and_lives(void **state)
{
    struct scene *s = scene(*state);
    change_rotation(s, "{\"old_is_dead\":true}");
    register_agent(s, "h1");
    rotate(s);
    soon(s, "acking");
    assert_true(first_is_accepted(s));
    acknowledge(s, "h1", 2);
    ends_done(s);
    assert_int_equal(s->sim.kept, 1);
    scene_end(s);
}

/* The way back sets both, when the old one was lost on it: the new one may be in use. */
static void restored_beside_the_new_one(void **state)
{
    struct scene *s = scene(*state);
    register_agent(s, "h1");
    rotate(s);
    soon(s, "acking");
    (void)pthread_mutex_lock(&s->sim.lock);
    s->sim.accounts[0].also[0] = '\0'; /* the old one */
    (void)pthread_mutex_unlock(&s->sim.lock);
    assert_false(first_is_accepted(s));
    cancel(s, 200);
    ends_back(s);
    assert_true(first_is_accepted(s));
    assert_true(sim_ops(&s->sim, DRIVER_RESTORE) > 0);
    scene_end(s);
}

static void what_cannot_be_changed_is_left_alone(void **state)
{
    struct scene *s = scene(*state);
    s->sim.unfit = true;
    rotate(s);
    until(s, "cancelled");
    says(s, "it would forget what is changed");
    assert_int_equal(sim_ops(&s->sim, DRIVER_APPLY), 0);
    current_is(s, 1, "app_a");
    scene_end(s);
}

static void what_redis_can(void **state)
{
    static const struct {
        const char *body, *said;
    } rows[] = {
        {"{\"strategy\":\"in-place\"}", "it can: alternate overlap"},
        {"{\"group\":\"app\"}", "driver redis knows no groups"},
        {"{\"accounts\":[\"app_a\",\"app_b\"]}", "strategy overlap needs one account"},
        {"{\"strategy\":\"alternate\",\"accounts\":[\"app_a\",\"app_a\"]}", "two different accounts"},
    };
    struct scene *s = scene(*state);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        need(s, 400, "POST", "rotation/secrets/" SECRET, rows[i].body);
        says(s, rows[i].said);
    }
    need(s, 204, "POST", "rotation/secrets/" SECRET,
         "{\"strategy\":\"alternate\",\"accounts\":[\"app_a\",\"app_b\"]}");
    need(s, 400, "POST", "rotation/targets/pg", "{\"database\":\"0\"}");
    says(s, "logs in to no database");
    need(s, 400, "POST", "rotation/targets/other", "{\"driver\":\"dbase\"}");
    says(s, "it has: postgresql, mariadb, redis");
    need(s, 200, "GET", "rotation/targets/pg", NULL);
    says(s, "\"max_refusals_per_hour\":0");
    says(s, "\"port\":6379");
    scene_end(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        OVERLAP(both_are_accepted_until_the_end),
        OVERLAP(going_back_leaves_the_old_one),
        OVERLAP(no_session_is_waited_for_or_ended),
        OVERLAP(the_old_one_is_not_let_in_again),
        OVERLAP(what_is_meant_to_be_dead_stays_so),
        OVERLAP(what_was_said_to_be_dead_and_lives),
        OVERLAP(restored_beside_the_new_one),
        OVERLAP(what_cannot_be_changed_is_left_alone),
        OVERLAP(what_redis_can),
    };
    return cmocka_run_group_tests_name("rotation_overlap", tests, NULL, NULL);
}
