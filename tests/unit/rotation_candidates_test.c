/* In-place with consumers that try two credentials: they have the new one before the target, and say so; who does
 * not delays nothing; who does not say it ends the run before anything was changed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/log.h"
#include "tests/support/meanwhile.h"
#include "tests/support/rotation_scene.h"
#include "vaultd/core/core.h"

#define OVERLAP_MS 2000
#define TIMEOUT_MS 30000

/* What an agent says that declares two; holds 0: it has one. */
static unsigned says_that(struct scene *s, const char *host, unsigned version, const char *state, unsigned holds)
{
    char path[128], body[256];
    (void)snprintf(path, sizeof path, "fleet/consumers/%s/" SECRET, host);
    (void)snprintf(body, sizeof body,
                   "{\"service\":\"orders\",\"version\":%u,\"state\":\"%s\",\"candidates\":2,\"holds\":%u}", version,
                   state, holds);
    s->vault->now_ms += 1;
    return as_agent(s, "POST", path, body);
}

static void declare(struct scene *s, const char *host)
{
    read_version(s, 1);
    assert_int_equal(says_that(s, host, 1, "registered", 0), 200);
    assert_int_equal(says_that(s, host, 1, "healthy", 0), 200);
}

static void has_both(struct scene *s, const char *host, unsigned version)
{
    read_version(s, version);
    if (says_that(s, host, 1, "healthy", version) != 200)
        fail_msg("having v%u: %s", version, s->vault->body);
}

static void runs_new(struct scene *s, const char *host, unsigned version)
{
    if (says_that(s, host, version, "healthy", version - 1) != 200)
        fail_msg("acknowledging v%u: %s", version, s->vault->body);
}

static void passes(struct scene *s, int64_t ms)
{
    s->vault->now_ms += ms;
    rotation_wake(s->vault->core->rotation);
}

static void passes_until(struct scene *s, const char *text)
{
    load_run(s);
    for (int i = 0; i < PATIENCE && !test_vault_said(s->vault, text); i++) {
        (void)goes_by(s, 100);
        pause_ms(1);
        load_run(s);
    }
    says(s, text);
}

/* After it has looked once more. What it is at when it is woken first may have begun before. */
static void still_says(struct scene *s, const char *text)
{
    unsigned looks = 0;
    for (int i = 0; i < PATIENCE && looks < 3; i++) {
        looks += goes_by(s, 0);
        pause_ms(1);
    }
    load_run(s);
    says(s, text);
}

static void load_report(struct scene *s)
{
    char path[128];
    (void)snprintf(path, sizeof path, "rotation/runs/%s/report", s->run);
    need(s, 200, "GET", path, NULL);
}

static void says_nowhere(struct scene *s, const char *text)
{
    if (test_vault_said(s->vault, text))
        fail_msg("'%s' in %.1800s", text, s->vault->body);
}

static void nothing_was_sent(struct scene *s)
{
    assert_int_equal(sim_ops(&s->sim, DRIVER_APPLY), 0);
    current_is(s, 1, "app_a");
}

/* ---- waiting ---- */

static void they_have_it_before_the_target(void **state)
{
    struct scene *s = scene(*state);
    declare(s, "h1");
    declare(s, "h2");
    rotate(s);
    soon(s, "generated");
    soon_says(s, "consumers 0/2 to have v2 beside v1; orders@h");
    assert_int_equal(says_that(s, "h1", 1, "healthy", 2), 400);
    says(s, "KT-F-002 read version 2 of " SECRET " first");
    need(s, 200, "GET", "fleet/consumers/h1/" SECRET, NULL);
    says(s, "\"current\":1,\"pending\":2");
    has_both(s, "h1", 2);
    soon_says(s, "consumers 1/2 to have v2 beside v1; orders@h2 is healthy on v1");
    has_both(s, "h2", 2);
    soon_says(s, "the overlap, for who got v1 alone before each consumer had both");
    passes(s, OVERLAP_MS / 2);
    soon_says(s, "the overlap, for who got v1 alone");
    assert_int_equal(sim_ops(&s->sim, DRIVER_APPLY), 0);
    passes(s, OVERLAP_MS / 2);
    soon(s, "acking");
    runs_new(s, "h1", 2);
    runs_new(s, "h2", 2);
    ends_done(s);
    says(s, "each of 2 consumers has v2 beside v1");
    load_report(s);
    says(s, "\"gap_ms\":0,\"gap_until\":\"held\"");
    says(s, "each registered consumer had both before the change");
    says(s, "- gap: none: each");
    scene_end(s);
}

/* Whoever sets the clock while it waits makes the wait neither shorter nor longer. */
static void the_clock_is_set_meanwhile(void **state)
{
    static const int64_t by_ms[] = {-3600000, 3600000};
    for (size_t i = 0; i < sizeof by_ms / sizeof by_ms[0]; i++) {
        struct scene *s = scene(*state);
        change_rotation(s, "{\"overlap\":60}");
        declare(s, "h1");
        rotate(s);
        soon_says(s, "consumers 0/1 to have v2 beside v1");
        s->vault->wall_ahead_ms += by_ms[i];
        has_both(s, "h1", 2);
        soon_says(s, "the overlap, for who got v1 alone");
        says(s, i == 0 ? "\"waits_until\":\"2027-01-15T07:01:00" : "\"waits_until\":\"2027-01-15T09:01:00");
        passes(s, 50000);
        soon_says(s, "the overlap, for who got v1 alone");
        assert_int_equal(sim_ops(&s->sim, DRIVER_APPLY), 0);
        passes(s, 10000);
        soon(s, "acking");
        runs_new(s, "h1", 2);
        ends_done(s);
        scene_end(s);
    }
}

/* Its service may have been started again with the old one alone since. */
static void who_is_not_heard_of_holds_it(void **state)
{
    for (unsigned comes_back = 0; comes_back < 2; comes_back++) {
        struct scene *s = scene(*state);
        change_rotation(s, "{\"overlap\":60,\"ack_timeout\":7200,\"max_overlap\":86400,\"loose_readers\":\"ignore\"}");
        declare(s, "h1");
        declare(s, "h2");
        rotate(s);
        soon_says(s, "consumers 0/2 to have v2 beside v1");
        has_both(s, "h1", 2);
        passes(s, 3600000);
        has_both(s, "h2", 2);
        soon_says(s, "the overlap, for who got v1 alone");
        passes(s, 60000);
        soon_says(s, "1 consumers that were not heard of for 15 min (orders@h1), or max_overlap");
        still_says(s, "1 consumers that were not heard of");
        nothing_was_sent(s);
        if (comes_back == 1)
            has_both(s, "h1", 2);
        passes(s, comes_back == 1 ? 5000 : 86400000);
        soon(s, "acking");
        runs_new(s, "h1", 2);
        runs_new(s, "h2", 2);
        ends_done(s);
        load_report(s);
        says(s, comes_back == 1 ? "\"gap_until\":\"held\"" : "was not heard of any more when max_overlap ended");
        if (comes_back == 0)
            says_nowhere(s, "\"gap_until\":\"held\"");
        scene_end(s);
    }
}

/* Who was started again while vaultd was not there has not said so yet. */
static void a_restart_leaves_a_moment(void **state)
{
    struct scene *s = scene(*state);
    change_rotation(s, "{\"overlap\":60,\"ack_timeout\":7200,\"max_overlap\":86400,\"loose_readers\":\"ignore\"}");
    declare(s, "h1");
    rotate(s);
    soon_says(s, "consumers 0/1 to have v2 beside v1");
    has_both(s, "h1", 2);
    soon_says(s, "the overlap, for who got v1 alone");
    core_seal(s->vault->core, "test");
    s->vault->now_ms += 600000;
    test_vault_reseal(s->vault);
    still_says(s, "the overlap, for who got v1 alone");
    nothing_was_sent(s);
    assert_int_equal(says_that(s, "h1", 1, "healthy", 0), 200);
    soon_says(s, "consumers 0/1 to have v2 beside v1");
    has_both(s, "h1", 2);
    passes_until(s, "\"acking\"");
    runs_new(s, "h1", 2);
    ends_done(s);
    scene_end(s);
}

/* The other one is cut off as ever, and named. */
static void who_does_not_try_two_delays_nothing(void **state)
{
    struct scene *s = scene(*state);
    change_rotation(s, "{\"loose_readers\":\"ignore\"}"); /* whoever looks at the secret in this test */
    register_agent(s, "h1");
    rotate(s);
    soon(s, "acking");
    acknowledge(s, "h1", 2);
    ends_done(s);
    says_nowhere(s, "\"name\":\"candidates\"");
    assert_int_equal(says_that(s, "h2", 2, "healthy", 0), 200);
    rotate(s);
    soon_says(s, "consumers 0/1 to have v3 beside v2; orders@h2");
    read_version(s, 3);
    assert_int_equal(says_that(s, "h2", 2, "healthy", 3), 200);
    passes(s, OVERLAP_MS);
    soon(s, "acking");
    runs_new(s, "h2", 3);
    acknowledge(s, "h1", 3);
    until(s, "done");
    says(s, "1 consumers have v3 beside v2; 1 have one at a time or are not well, and are cut off until they run v3 (orders@h1)");
    load_report(s);
    says(s, "\"gap_until\":\"acknowledged\"");
    scene_end(s);
}

/* Where both are accepted nobody needs it beforehand. */
static void where_both_are_accepted_nobody_waits(void **state)
{
    struct scene *s = scene(*state);
    declare(s, "h1");
    rotate(s);
    soon(s, "acking");
    read_version(s, 2);
    runs_new(s, "h1", 2);
    ends_done(s);
    says_nowhere(s, "\"name\":\"candidates\"");
    scene_end(s);
}

static void another_value_is_to_be_had_anew(void **state)
{
    struct scene *s = scene(*state);
    s->sim.bad_values = 1;
    change_rotation(s, "{\"ack_timeout\":3600}");
    declare(s, "h1");
    rotate(s);
    soon_says(s, "to have v2 beside v1");
    has_both(s, "h1", 2);
    passes(s, OVERLAP_MS);
    passes_until(s, "consumers 0/1 to have v3 beside v1"); /* after a pause the target is asked */
    has_both(s, "h1", 3);
    passes(s, OVERLAP_MS);
    soon(s, "acking");
    runs_new(s, "h1", 3);
    until(s, "done");
    current_is(s, 3, "app_a");
    scene_end(s);
}

/* It does not declare it any more by then: nobody had both for what was changed. */
static void nobody_has_both_of_the_other_value(void **state)
{
    struct scene *s = scene(*state);
    s->sim.bad_values = 1;
    change_rotation(s, "{\"ack_timeout\":3600}");
    declare(s, "h1");
    rotate(s);
    soon_says(s, "to have v2 beside v1");
    has_both(s, "h1", 2);
    passes(s, OVERLAP_MS);
    passes_until(s, "consumers 0/1 to have v3 beside v1");
    assert_int_equal(report(s, "h1", 1, "healthy"), 200);
    soon(s, "acking");
    acknowledge(s, "h1", 3);
    until(s, "done");
    load_report(s);
    says(s, "\"gap_until\":\"acknowledged\"");
    scene_end(s);
}

/* A word counts as long as it is the last one: who was started again has one until he says otherwise. */
static void a_later_word_takes_it_back(void **state)
{
    struct scene *s = scene(*state);
    declare(s, "h1");
    rotate(s);
    soon_says(s, "to have v2 beside v1");
    has_both(s, "h1", 2);
    soon_says(s, "the overlap, for who got v1 alone");
    passes(s, OVERLAP_MS - 100);
    assert_int_equal(says_that(s, "h1", 1, "registered", 0), 200);
    soon_says(s, "consumers 0/1 to have v2 beside v1; orders@h1 is registered on v1");
    has_both(s, "h1", 2);
    has_both(s, "h1", 2); /* said twice it has it no later */
    soon_says(s, "the overlap, for who got v1 alone");
    passes(s, OVERLAP_MS - 1);
    soon(s, "acking");
    runs_new(s, "h1", 2);
    ends_done(s);
    scene_end(s);
}

/* Whether it can do with both nobody knows as long as it is not well, for whatever reason. */
static void who_is_not_well_has_not_both(void **state)
{
    static const char *const others[] = {"unhealthy", "registered", "applying", "rolled_back"};
    struct scene *s = scene(*state);
    change_rotation(s, "{\"ack_timeout\":3600}");
    declare(s, "h1");
    rotate(s);
    soon_says(s, "to have v2 beside v1");
    read_version(s, 2);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        char text[128];
        assert_int_equal(says_that(s, "h1", 1, others[i], 2), 200);
        (void)snprintf(text, sizeof text, "consumers 0/1 to have v2 beside v1; orders@h1 is %s on v1", others[i]);
        soon_says(s, text);
        passes(s, 2 * OVERLAP_MS);
        soon_says(s, text);
    }
    nothing_was_sent(s);
    has_both(s, "h1", 2);
    passes(s, OVERLAP_MS);
    soon(s, "acking");
    runs_new(s, "h1", 2);
    ends_done(s);
    scene_end(s);
}

/* Saying so again and again wins no time. */
static void who_stays_unwell_ends_it(void **state)
{
    struct scene *s = scene(*state);
    declare(s, "h1");
    declare(s, "h2");
    rotate(s);
    soon_says(s, "consumers 0/2 to have v2 beside v1");
    has_both(s, "h2", 2);
    for (unsigned words = 0; words < 3; words++) {
        assert_int_equal(says_that(s, "h1", 1, "unhealthy", 0), 200);
        passes(s, TIMEOUT_MS / 4);
    }
    assert_int_equal(says_that(s, "h1", 1, "unhealthy", 0), 200);
    passes(s, TIMEOUT_MS / 4 + 1000);
    soon(s, "cancelled");
    nothing_was_sent(s);
    scene_end(s);
}

/* ... but where it need not be well nobody waits for that: it is cut off as ever. */
static void who_need_not_be_well_delays_nothing(void **state)
{
    struct scene *s = scene(*state);
    change_rotation(s, "{\"require_healthy\":false}");
    declare(s, "h1");
    declare(s, "h2");
    assert_int_equal(says_that(s, "h1", 1, "unhealthy", 0), 200);
    rotate(s);
    soon_says(s, "consumers 0/1 to have v2 beside v1; orders@h2");
    has_both(s, "h2", 2);
    soon_says(s, "the overlap, for who got v1 alone");
    passes(s, OVERLAP_MS);
    soon(s, "acking");
    runs_new(s, "h1", 2);
    runs_new(s, "h2", 2);
    ends_done(s);
    says(s, "1 consumers have v2 beside v1; 1 have one at a time or are not well");
    says(s, "(orders@h1)");
    load_report(s);
    says(s, "\"gap_until\":\"acknowledged\"");
    scene_end(s);
}

/* Nor is it to blame that another one is silent. */
static void who_need_not_be_well_is_not_blamed(void **state)
{
    struct scene *s = scene(*state);
    change_rotation(s, "{\"require_healthy\":false}");
    declare(s, "h1");
    declare(s, "h2");
    assert_int_equal(says_that(s, "h1", 1, "unhealthy", 0), 200);
    rotate(s);
    soon_says(s, "consumers 0/1 to have v2 beside v1; orders@h2");
    passes(s, TIMEOUT_MS);
    soon(s, "cancelled");
    nothing_was_sent(s);
    need(s, 200, "GET", "rotation/quarantine", NULL);
    says(s, "\"count\":1");
    says(s, "\"host\":\"h2\"");
    scene_end(s);
}

/* It comes when the order is about to be committed. */
static bool is_a_runs_step(const struct request *req)
{
    static const char steps[] = "rotation/runs/";
    return req->origin == ORIGIN_INTERNAL && strncmp(req->path, steps, sizeof steps - 1) == 0;
}

static void one_comes_just_then(void **state)
{
    struct scene *s = scene(*state);
    const struct visit visits[] = {
        {"POST", "fleet/consumers/h2/" SECRET, s->agent,
         "{\"service\":\"orders\",\"version\":1,\"state\":\"healthy\",\"candidates\":2}", 200, 0},
        {0}};
    declare(s, "h1");
    rotate(s);
    soon_says(s, "to have v2 beside v1");
    has_both(s, "h1", 2);
    soon_says(s, "the overlap, for who got v1 alone");
    meanwhile(s->vault, visits, is_a_runs_step);
    passes(s, OVERLAP_MS);
    soon_says(s, "consumers 1/2 to have v2 beside v1; orders@h2");
    assert_true(meanwhile_over());
    nothing_was_sent(s);
    has_both(s, "h2", 2);
    passes(s, OVERLAP_MS);
    soon(s, "acking");
    runs_new(s, "h1", 2);
    runs_new(s, "h2", 2);
    ends_done(s);
    scene_end(s);
}

/* ---- who does not say it ---- */

static void who_says_nothing_ends_it(void **state)
{
    struct scene *s = scene(*state);
    declare(s, "h1");
    rotate(s);
    soon_says(s, "to have v2 beside v1");
    passes(s, TIMEOUT_MS - 1);
    soon_says(s, "to have v2 beside v1");
    assert_true(is_in(s, "generated"));
    passes(s, 1);
    soon(s, "cancelled");
    nothing_was_sent(s);
    need(s, 404, "GET", "secret/data/db/orders?version=2", NULL);
    load_report(s);
    says(s, "orders@h1 did not say within 30 s that it has v2 beside v1 (it is healthy on v1)");
    need(s, 200, "GET", "rotation/quarantine", NULL);
    says(s, "\"vetoes\":1,\"why\":\"did not say within 30 s that it has v2 beside v1, it was healthy on v1\"");
    need(s, 200, "GET", "rotation/targets/pg", NULL);
    says(s, "\"failures\":0");
    scene_end(s);
}

/* Nobody is blamed for what nobody waited for. */
static void a_pause_stops_its_time(void **state)
{
    struct scene *s = scene(*state);
    declare(s, "h1");
    rotate(s);
    soon_says(s, "to have v2 beside v1");
    s->vault->now_ms += 1;
    need(s, 200, "POST", "rotation/pause", "{\"reason\":\"migration\"}");
    soon_says(s, "rotation is paused");
    passes(s, 3600 * 1000);
    need(s, 200, "DELETE", "rotation/pause", NULL);
    soon_says(s, "to have v2 beside v1");
    passes(s, TIMEOUT_MS - 2000);
    soon_says(s, "to have v2 beside v1");
    assert_true(is_in(s, "generated"));
    passes(s, 2000);
    soon(s, "cancelled");
    nothing_was_sent(s);
    scene_end(s);
}

/* Long after it had both, and unseen till then: it has as long as in the beginning to have them again. */
static void who_is_started_again_has_time(void **state)
{
    struct scene *s = scene(*state);
    change_rotation(s, "{\"overlap\":600,\"max_overlap\":3600}");
    declare(s, "h1");
    rotate(s);
    soon_says(s, "to have v2 beside v1");
    has_both(s, "h1", 2);
    soon_says(s, "the overlap, for who got v1 alone");
    s->vault->now_ms += 2 * (int64_t)TIMEOUT_MS;
    assert_int_equal(says_that(s, "h1", 1, "registered", 0), 200);
    soon_says(s, "consumers 0/1 to have v2 beside v1; orders@h1 is registered on v1");
    passes(s, TIMEOUT_MS - 10); /* each word takes 1 ms */
    soon_says(s, "consumers 0/1 to have v2 beside v1");
    has_both(s, "h1", 2);
    soon_says(s, "the overlap, for who got v1 alone");
    assert_int_equal(says_that(s, "h1", 1, "registered", 0), 200);
    soon_says(s, "consumers 0/1 to have v2 beside v1");
    passes(s, TIMEOUT_MS);
    soon(s, "cancelled");
    nothing_was_sent(s);
    need(s, 200, "GET", "rotation/quarantine", NULL);
    says(s, "\"vetoes\":1,\"why\":\"did not say within 30 s that it has v2 beside v1, it was registered on v1\"");
    scene_end(s);
}

/* Another one did not have both by then; and it says that it is gone before it is stopped. */
static void one_of_two_is_started_again(void **state)
{
    for (int i = 0; i < 2; i++) {
        struct scene *s = scene(*state);
        declare(s, "h1");
        declare(s, "h2");
        rotate(s);
        soon_says(s, "consumers 0/2 to have v2 beside v1");
        has_both(s, "h1", 2);
        soon_says(s, "consumers 1/2 to have v2 beside v1; orders@h2");
        passes(s, TIMEOUT_MS - 5000);
        if (i == 1)
            assert_int_equal(says_that(s, "h1", 1, "gone", 0), 200);
        assert_int_equal(says_that(s, "h1", 1, "registered", 0), 200);
        passes(s, 10000);
        soon_says(s, "consumers 0/2 to have v2 beside v1");
        assert_true(is_in(s, "generated"));
        has_both(s, "h2", 2);
        soon_says(s, "consumers 1/2 to have v2 beside v1; orders@h1 is registered on v1");
        passes(s, TIMEOUT_MS - 15000);
        soon_says(s, "consumers 1/2 to have v2 beside v1");
        assert_true(is_in(s, "generated"));
        has_both(s, "h1", 2);
        soon_says(s, "the overlap, for who got v1 alone");
        passes(s, OVERLAP_MS);
        soon(s, "acking");
        runs_new(s, "h1", 2);
        runs_new(s, "h2", 2);
        ends_done(s);
        scene_end(s);
    }
}

/* But not for ever. */
/* Though another one did not have both yet. */
static void who_counts_again_has_time(void **state)
{
    static const char aside[] = "{\"service\":\"orders\",\"reason\":\"broken release\"}";
    enum { WELL_AGAIN, TRIES_TWO, LET_BACK, WAYS };
    for (unsigned way = 0; way < WAYS; way++) {
        struct scene *s = scene(*state);
        change_rotation(s, "{\"require_healthy\":false,\"ack_timeout\":120,\"overlap\":600,\"max_overlap\":86400}");
        declare(s, "h1");
        declare(s, "h2");
        if (way == WELL_AGAIN)
            assert_int_equal(says_that(s, "h1", 1, "unhealthy", 0), 200);
        else if (way == TRIES_TWO)
            register_agent(s, "h1");
        else
            need(s, 200, "POST", "rotation/quarantine/h1/" SECRET, aside);
        rotate(s);
        soon_says(s, "consumers 0/1 to have v2 beside v1; orders@h2");
        passes(s, 110000);
        if (way == LET_BACK)
            need(s, 200, "DELETE", "rotation/quarantine/h1/" SECRET "?service=orders", NULL);
        else
            assert_int_equal(says_that(s, "h1", 1, "healthy", 0), 200);
        soon_says(s, "consumers 0/2 to have v2 beside v1");
        passes(s, 4000);
        has_both(s, "h2", 2);
        soon_says(s, "consumers 1/2 to have v2 beside v1; orders@h1");
        passes(s, 115000);
        still_says(s, "consumers 1/2 to have v2 beside v1; orders@h1");
        passes(s, 1000);
        until(s, "cancelled");
        says(s, "orders@h1 did not say within 120 s that it has v2");
        scene_end(s);
    }
}

static void who_is_started_over_and_over_ends_it(void **state)
{
    struct scene *s = scene(*state);
    change_rotation(s, "{\"overlap\":50,\"max_overlap\":60}");
    declare(s, "h1");
    rotate(s);
    for (int i = 0; i < 2; i++) {
        soon_says(s, "to have v2 beside v1");
        has_both(s, "h1", 2);
        soon_says(s, "the overlap, for who got v1 alone");
        passes(s, 25000);
        assert_int_equal(says_that(s, "h1", 1, "registered", 0), 200);
    }
    soon_says(s, "consumers 0/1 to have v2 beside v1; orders@h1 is registered on v1");
    assert_true(is_in(s, "generated"));
    passes(s, 11000);
    soon(s, "cancelled");
    nothing_was_sent(s);
    scene_end(s);
}

/* `hold`: for as long as it takes, or until somebody puts it aside. */
static void who_says_nothing_holds_it(void **state)
{
    struct scene *s = scene(*state);
    change_rotation(s, "{\"on_ack_timeout\":\"hold\"}");
    declare(s, "h1");
    rotate(s);
    soon_says(s, "to have v2 beside v1");
    passes(s, 10 * (int64_t)TIMEOUT_MS);
    soon_says(s, "\"waits_until\":\"\"");
    assert_true(is_in(s, "generated"));
    nothing_was_sent(s);
    need(s, 200, "POST", "rotation/quarantine/h1/" SECRET, "{\"service\":\"orders\",\"reason\":\"broken release\"}");
    ends_done(s);
    current_is(s, 2, "app_a");
    scene_end(s);
}

static void cancelled_meanwhile(void **state)
{
    struct scene *s = scene(*state);
    declare(s, "h1");
    rotate(s);
    soon_says(s, "to have v2 beside v1");
    has_both(s, "h1", 2);
    cancel(s, 200);
    soon(s, "cancelled");
    nothing_was_sent(s);
    need(s, 200, "GET", "rotation/quarantine", NULL);
    says(s, "\"count\":0");
    scene_end(s);
}

/* Sealed for two hours it had no chance to say it: half a minute is left. */
static void sealed_meanwhile(void **state)
{
    struct scene *s = scene(*state);
    declare(s, "h1");
    rotate(s);
    soon_says(s, "to have v2 beside v1");
    core_seal(s->vault->core, "test");
    s->vault->now_ms += 7200000;
    test_vault_reseal(s->vault);
    s->vault->now_ms += TIMEOUT_MS - 10;
    soon_says(s, "consumers 0/1 to have v2 beside v1; orders@h1");
    assert_true(is_in(s, "generated"));
    has_both(s, "h1", 2);
    soon_says(s, "the overlap, for who got v1 alone");
    test_vault_reseal(s->vault);
    soon_says(s, "the overlap, for who got v1 alone");
    passes(s, OVERLAP_MS);
    soon(s, "acking");
    runs_new(s, "h1", 2);
    ends_done(s);
    scene_end(s);
}

#ifdef KT_FAULT
/* The commit that orders the change, the one before it and the answer behind it are lost. Nothing is sent before each
 * has both, and it is waited for again. In a process of its own each: the places count how often they were passed. */
static void crash_at(const char *strategy, const char *name)
{
    char armed[64];
    (void)snprintf(armed, sizeof armed, "%s=error@1", name);
    struct scene *s = scene(strategy);
    declare(s, "h1");
    (void)setenv("KEYTURN_FAILPOINTS", armed, 1);
    rotate(s);
    passes_until(s, "to have v2 beside v1");
    assert_int_equal(sim_ops(&s->sim, DRIVER_APPLY), 0);
    has_both(s, "h1", 2);
    until(s, "acking");
    runs_new(s, "h1", 2);
    ends_done(s);
    says(s, "each of 1 consumers has v2 beside v1");
    says(s, "\"gap_until\":\"held\"");
    scene_end(s);
}

static void crashes(void **state)
{
    static const char *const names[] = {"run_generated", "run_full_generate", "run_intent_apply",
                                        "run_full_apply", "run_apply_sent", "run_apply_done"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            crash_at(*state, names[i]);
            _exit(0);
        }
        int status = 0;
        (void)waitpid(pid, &status, 0);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
            fail_msg("%s: status %d", names[i], status);
    }
}
#endif

/* ---- what may be said ---- */

static void what_may_be_said(void **state)
{
    static const struct {
        const char *body, *says;
    } rows[] = {
        {"\"candidates\":3", "candidates must be 1 or 2"},
        {"\"candidates\":-1", "candidates must not be negative"},
        {"\"candidates\":2,\"holds\":-1", "holds must not be negative"},
        {"\"candidates\":2,\"holds\":4294967296", "holds must be the number of a version"},
        {"\"holds\":1", "holds needs candidates to be 2"},
        {"\"candidates\":1,\"holds\":1", "holds needs candidates to be 2"},
        {"\"candidates\":2,\"holds\":7", "KT-F-003 '" SECRET "' has no version 7"},
    };
    struct scene *s = scene(*state);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char body[256];
        (void)snprintf(body, sizeof body, "{\"service\":\"orders\",\"version\":1,\"state\":\"registered\",%s}",
                       rows[i].body);
        assert_int_equal(as_agent(s, "POST", "fleet/consumers/h1/" SECRET, body), 400);
        says(s, rows[i].says);
    }
    declare(s, "h1");
    need(s, 200, "GET", "fleet/consumers/h1/" SECRET, NULL);
    says(s, "\"candidates\":2,\"holds\":0");
    register_agent(s, "h2");
    need(s, 200, "GET", "fleet/consumers/h2/" SECRET, NULL);
    says(s, "\"candidates\":1,\"holds\":0");
    scene_end(s);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        IN_PLACE(they_have_it_before_the_target),
        IN_PLACE(the_clock_is_set_meanwhile),
        IN_PLACE(who_is_not_heard_of_holds_it),
        IN_PLACE(a_restart_leaves_a_moment),
        IN_PLACE(who_does_not_try_two_delays_nothing),
        ALTERNATE(where_both_are_accepted_nobody_waits),
        OVERLAP(where_both_are_accepted_nobody_waits),
        IN_PLACE(another_value_is_to_be_had_anew),
        IN_PLACE(nobody_has_both_of_the_other_value),
        IN_PLACE(a_later_word_takes_it_back),
        IN_PLACE(who_is_not_well_has_not_both),
        IN_PLACE(who_stays_unwell_ends_it),
        IN_PLACE(who_need_not_be_well_delays_nothing),
        IN_PLACE(who_need_not_be_well_is_not_blamed),
        IN_PLACE(one_comes_just_then),
        IN_PLACE(who_says_nothing_ends_it), IN_PLACE(a_pause_stops_its_time),
        IN_PLACE(who_is_started_again_has_time),
        IN_PLACE(one_of_two_is_started_again),
        IN_PLACE(who_counts_again_has_time),
        IN_PLACE(who_is_started_over_and_over_ends_it),
        IN_PLACE(who_says_nothing_holds_it),
        IN_PLACE(cancelled_meanwhile),
        IN_PLACE(sealed_meanwhile),
        IN_PLACE(what_may_be_said),
#ifdef KT_FAULT
        IN_PLACE(crashes),
#endif
    };
    kt_log_set_level(KT_LOG_ERROR);
    (void)setenv("KEYTURN_FAILPOINTS", "", 1);
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("rotation_candidates", tests, NULL, NULL);
}
