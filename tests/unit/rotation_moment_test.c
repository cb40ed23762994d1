/* A run goes on at the very moment that it waits for: not before, not later, and not if somebody whom it
 * concerns comes just then. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>

#include "lib/log.h"
#include "tests/support/meanwhile.h"
#include "tests/support/rotation_scene.h"
#include "vaultd/rotation/engine.h"

/* Where it is: the state, and on the way back the step. */
static void place_of(struct scene *s, char out[128])
{
    char state[64], step[64];
    load_run(s);
    text_at(s, "data.state", state, sizeof state);
    text_at(s, "data.back_step", step, sizeof step);
    (void)snprintf(out, 128, "%s %s", state, step);
}

/* Sets the vault's time. */
static void at(struct scene *s, int64_t ms)
{
    s->vault->now_ms = ms;
    rotation_wake(s->vault->core->rotation);
}

/* The vault's rotation goes to sleep. */
static atomic_uint sleeps;
int __real_poll(struct pollfd *fds, nfds_t n, int timeout_ms);
int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout_ms);
int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout_ms)
{
    atomic_fetch_add(&sleeps, 1);
    return __real_poll(fds, n, timeout_ms);
}

/* It looks at everything once more. What it is at when it is woken first may have begun before. */
static void looks_around(struct scene *s)
{
    for (unsigned look = 0; look < 2; look++) {
        unsigned before = atomic_load(&sleeps);
        rotation_wake(s->vault->core->rotation);
        for (int i = 0; i < PATIENCE && atomic_load(&sleeps) == before; i++)
            pause_ms(1);
        assert_true(atomic_load(&sleeps) != before);
    }
}

/* From `since` on it waits where it is now, for so long. */
static void lasts(struct scene *s, const char *for_what, int64_t since_ms, int64_t long_ms)
{
    char before[128], now[128];
    place_of(s, before);
    at(s, since_ms + long_ms - 1);
    soon_says(s, for_what);
    looks_around(s);
    place_of(s, now);
    assert_string_equal(now, before);
    at(s, since_ms + long_ms);
    for (int i = 0; i < PATIENCE && strcmp(now, before) == 0; i++) {
        pause_ms(1);
        place_of(s, now);
    }
    if (strcmp(now, before) == 0)
        fail_msg("it still waits: %.1800s", s->vault->body);
}

static void somebody_reads(struct scene *s, unsigned version)
{
    char person[128], path[64];
    test_vault_token(s->vault, "person", "path \"secret/data/*\" { capabilities = [\"read\"] }", person,
                     sizeof person);
    (void)snprintf(path, sizeof path, "secret/data/db/orders?version=%u", version);
    assert_int_equal(test_vault_call(s->vault, "GET", path, person, NULL), 200);
}

/* The run that the schedule made, once it is there. */
static void scheduled(struct scene *s)
{
    for (int i = 0; i < PATIENCE && s->run[0] == '\0'; i++) {
        pause_ms(1);
        need(s, 200, "GET", "rotation/secrets/" SECRET, NULL);
        text_at(s, "data.state.last_run", s->run, sizeof s->run);
    }
    assert_true(s->run[0] != '\0');
}

/* Another one than the last. */
static void scheduled_again(struct scene *s)
{
    char last[sizeof s->run];
    memcpy(last, s->run, sizeof last);
    for (int i = 0; i < PATIENCE && strcmp(s->run, last) == 0; i++) {
        s->run[0] = '\0';
        scheduled(s);
    }
    assert_string_not_equal(s->run, last);
}

/* ---- when it goes on ---- */

static void the_overlap(void **state)
{
    struct scene *s = scene(*state);
    change_rotation(s, "{\"overlap\":60,\"drain\":0}");
    rotate(s);
    soon(s, "overlapping");
    lasts(s, "the overlap and the soak", s->vault->now_ms, 60000);
    ends_done(s);
    scene_end(s);
}

static void the_soak(void **state)
{
    struct scene *s = scene(*state);
    change_rotation(s, "{\"overlap\":1,\"soak\":60,\"drain\":0}");
    rotate(s);
    soon(s, "overlapping");
    lasts(s, "the overlap and the soak", s->vault->now_ms, 60000);
    ends_done(s);
    scene_end(s);
}

/* What a consumer needed from reading the new version to running it, another may have needed with the old
 * one: twice that, where it is more than the overlap. */
static void for_the_slowest(void **state)
{
    struct scene *s = scene(*state);
    change_rotation(s, "{\"overlap\":60,\"drain\":0,\"ack_timeout\":120}");
    register_agent(s, "h1");
    register_agent(s, "h2");
    rotate(s);
    soon(s, "acking");
    acknowledge(s, "h2", 2);
    s->vault->now_ms += 100000;
    acknowledge(s, "h1", 2);
    soon(s, "overlapping");
    /* The clock goes on by itself with each request: some milliseconds more than 100 s. */
    int64_t acked_ms = s->vault->now_ms;
    at(s, acked_ms + 199990);
    soon_says(s, "twice the 101 s that orders@h1 took from reading v2");
    looks_around(s);
    assert_true(is_in(s, "overlapping"));
    at(s, acked_ms + 200100);
    for (int i = 0; i < PATIENCE && is_in(s, "overlapping"); i++)
        pause_ms(1);
    assert_false(is_in(s, "overlapping"));
    ends_done(s);
    scene_end(s);
}

/* The same while somebody sets the clock between a consumer's reading and its word. */
static void for_the_slowest_by_no_clock(void **state)
{
    static const int64_t by_ms[] = {-3600000, 3600000};
    for (size_t i = 0; i < sizeof by_ms / sizeof by_ms[0]; i++) {
        struct scene *s = scene(*state);
        change_rotation(s, "{\"overlap\":60,\"drain\":0,\"ack_timeout\":120}");
        register_agent(s, "h1");
        rotate(s);
        soon(s, "acking");
        read_version(s, 2);
        s->vault->now_ms += 100000;
        s->vault->wall_ahead_ms += by_ms[i];
        acknowledge(s, "h1", 2);
        soon(s, "overlapping");
        s->vault->now_ms += 150000;
        soon_says(s, "twice the 101 s that orders@h1 took from reading v2");
        assert_true(is_in(s, "overlapping"));
        s->vault->now_ms += 60000;
        ends_done(s);
        scene_end(s);
    }
}

/* Who wants no overlap gets none. */
static void for_no_slowest(void **state)
{
    struct scene *s = scene(*state);
    change_rotation(s, "{\"overlap\":0,\"soak\":1,\"drain\":0,\"ack_timeout\":120}");
    register_agent(s, "h1");
    register_agent(s, "h2");
    rotate(s);
    soon(s, "acking");
    acknowledge(s, "h2", 2);
    s->vault->now_ms += 100000;
    acknowledge(s, "h1", 2);
    soon(s, "overlapping");
    lasts(s, "the overlap and the soak", s->vault->now_ms, 1000);
    ends_done(s);
    scene_end(s);
}

static void for_a_reader(void **state)
{
    struct scene *s = scene(*state);
    change_rotation(s, "{\"drain\":0}");
    somebody_reads(s, 1);
    rotate(s);
    soon(s, "overlapping");
    lasts(s, "1 readers of v1 that are no agents", s->vault->now_ms, 600000);
    ends_done(s);
    says(s, "when max_overlap ended");
    scene_end(s);
}

/* However the wall clock is set meanwhile. */
static void for_who_is_not_heard_of(void **state)
{
    static const int64_t by_ms[] = {0, -3600000, 3600000};
    for (size_t i = 0; i < sizeof by_ms / sizeof by_ms[0]; i++) {
        struct scene *s = scene(*state);
        change_rotation(s, "{\"overlap\":1000,\"max_overlap\":6000,\"drain\":0}");
        register_agent(s, "h1");
        int64_t promoted_ms = s->vault->now_ms;
        rotate(s);
        soon(s, "acking");
        acknowledge(s, "h1", 2);
        soon(s, "overlapping");
        s->vault->wall_ahead_ms += by_ms[i];
        at(s, promoted_ms + 3600000); /* set back by as much it is the time of its last word again */
        looks_around(s);
        lasts(s, "1 consumers that were not heard of", promoted_ms, 6000000);
        ends_done(s);
        says(s, "orders@h1 was not heard of any more");
        scene_end(s);
    }
}

static void for_sessions(void **state)
{
    struct scene *s = scene(*state);
    change_rotation(s, "{\"drain\":3600}");
    sim_account(&s->sim, "app_a")->sessions = 3;
    rotate(s);
    soon(s, "overlapping");
    lasts(s, "3 sessions of app_a to end by themselves", s->vault->now_ms, 3600000);
    ends_done(s);
    scene_end(s);
}

static void for_acknowledgements(void **state)
{
    struct scene *s = scene(*state);
    register_agent(s, "h1");
    rotate(s);
    soon(s, "acking");
    lasts(s, "consumers 0/1 on v2 and healthy", s->vault->now_ms, 30000);
    ends_back(s);
    scene_end(s);
}

static void the_spreading(void **state)
{
    struct scene *s = scene(*state);
    change_rotation(s, "{\"propagation\":60}");
    rotate(s);
    soon(s, "verifying");
    lasts(s, "the target to spread the change", s->vault->now_ms, 60000);
    ends_done(s);
    scene_end(s);
}

/* Nobody has read the new version, but somebody might have. */
static void the_overlap_on_the_way_back(void **state)
{
    struct scene *s = scene(*state);
    change_rotation(s, "{\"overlap\":60}");
    register_agent(s, "h1");
    rotate(s);
    soon(s, "acking");
    cancel(s, 200);
    static const char waits_for[] = "the overlap after the last consumer went back to v1";
    soon_says(s, waits_for);
    lasts(s, waits_for, s->vault->now_ms, 60000);
    ends_back(s);
    scene_end(s);
}

static void for_who_does_not_go_back(void **state)
{
    struct scene *s = scene(*state);
    register_agent(s, "h1");
    rotate(s);
    soon(s, "acking");
    acknowledge(s, "h1", 2);
    soon(s, "overlapping");
    cancel(s, 200);
    soon_says(s, "1 consumers that still run v2");
    lasts(s, "1 consumers that still run v2", s->vault->now_ms, 600000);
    ends_back(s);
    scene_end(s);
}

/* Who reads with a token of his own is no agent because there is one. */
static void for_a_reader_beside_an_agent(void **state)
{
    struct scene *s = scene(*state);
    change_rotation(s, "{\"drain\":0}");
    somebody_reads(s, 1);
    register_agent(s, "h1");
    rotate(s);
    soon(s, "acking");
    acknowledge(s, "h1", 2);
    soon(s, "overlapping");
    at(s, s->vault->now_ms + 2000);
    soon_says(s, "1 readers of v1 that are no agents");
    s->vault->now_ms += 600000;
    ends_done(s);
    scene_end(s);
}

/* Frozen, the target is looked at again. */
static void the_next_look(void **state)
{
    struct scene *s = scene(*state);
    (void)snprintf(s->sim.admin_password, sizeof s->sim.admin_password, "changed");
    int64_t since_ms = s->vault->now_ms;
    rotate(s);
    soon(s, "frozen");
    at(s, since_ms + 900000 - 1);
    looks_around(s);
    load_run(s);
    says(s, "\"looked\":\"\"");
    at(s, since_ms + 900000);
    soon_says(s, "\"now\":\"the old one unknown, the administrative login refused");
    cancel(s, 200);
    soon(s, "cancelled");
    scene_end(s);
}

/* It is 08:00. A run that has not begun when its window closes goes to the next one. */
static void the_window(void **state)
{
    struct scene *s = scene(*state);
    int64_t opens_ms = s->vault->now_ms;
    register_agent(s, "h1");
    assert_int_equal(report(s, "h1", 1, "unhealthy"), 200);
    change_rotation(s, "{\"cron\":\"30 8 * * *\",\"window\":\"08:00-09:00\"}");
    at(s, opens_ms + 31 * 60000);
    scheduled(s);
    soon_says(s, "to be healthy before anything is changed");
    lasts(s, "to be healthy before anything is changed", opens_ms, 3600000);
    soon(s, "cancelled");
    scene_end(s);
}

static void need_next_due(struct scene *s, const char *time)
{
    char text[64];
    for (int i = 0; i < PATIENCE; i++) {
        need(s, 200, "GET", "rotation/secrets/" SECRET, NULL);
        text_at(s, "data.state.next_due", text, sizeof text);
        if (strcmp(text, time) == 0)
            return;
        pause_ms(1);
    }
    fail_msg("next_due is %s, wanted %s", text, time);
}

/* Another month need not pass for that: the fire of the 15th waits for the window of the 16th. */
static void the_next_window(void **state)
{
    struct scene *s = scene(*state);
    int64_t opens_ms = s->vault->now_ms;
    register_agent(s, "h1");
    assert_int_equal(report(s, "h1", 1, "unhealthy"), 200);
    need(s, 200, "POST", "rotation/calendars/freeze", "{\"ranges\":\"\"}");
    change_rotation(s, "{\"cron\":\"30 8 15 * *\",\"window\":\"08:00-09:00\",\"blackout\":\"freeze\"}");
    at(s, opens_ms + 31 * 60000);
    scheduled(s);
    soon_says(s, "to be healthy before anything is changed");
    at(s, opens_ms + 61 * 60000);
    rotation_wake(s->vault->core->rotation);
    soon(s, "cancelled");
    need(s, 200, "GET", "rotation/secrets/" SECRET, NULL);
    says(s, "\"next_due\":\"2027-01-16T08:00:00Z\"");
    /* All is planned anew, by a calendar, too: it still is. */
    need(s, 200, "POST", "rotation/calendars/freeze",
         "{\"ranges\":\"2027-01-16T07:30..2027-01-16T08:30 audit\"}");
    need_next_due(s, "2027-01-16T08:30:00Z");
    need(s, 200, "POST", "rotation/calendars/freeze", "{\"ranges\":\"\"}");
    need_next_due(s, "2027-01-16T08:00:00Z");
    assert_int_equal(report(s, "h1", 1, "healthy"), 200);
    at(s, opens_ms + 24 * 3600000 + 60000);
    scheduled_again(s);
    soon(s, "acking");
    acknowledge(s, "h1", 2);
    ends_done(s);
    need(s, 200, "GET", "rotation/secrets/" SECRET, NULL);
    says(s, "\"next_due\":\"2027-02-15T08:30:00Z\"");
    scene_end(s);
}

/* A run that has not begun when a blackout begins comes again at its end, though it has no window. */
static void a_blackout_begins(void **state)
{
    struct scene *s = scene(*state);
    int64_t begin_ms = s->vault->now_ms;
    register_agent(s, "h1");
    assert_int_equal(report(s, "h1", 1, "unhealthy"), 200);
    need(s, 200, "POST", "rotation/calendars/freeze",
         "{\"ranges\":\"2027-01-15T09:00..2027-01-15T12:00 audit\\n2027-01-20..2027-01-21 fair\"}");
    change_rotation(s, "{\"cron\":\"30 8 15 * *\",\"blackout\":\"freeze\"}");
    at(s, begin_ms + 31 * 60000);
    scheduled(s);
    soon_says(s, "to be healthy before anything is changed");
    at(s, begin_ms + 61 * 60000);
    rotation_wake(s->vault->core->rotation);
    soon(s, "cancelled");
    need_next_due(s, "2027-01-15T12:00:00Z");
    assert_int_equal(report(s, "h1", 1, "healthy"), 200);
    at(s, begin_ms + 241 * 60000);
    scheduled_again(s);
    soon(s, "acking");
    acknowledge(s, "h1", 2);
    ends_done(s);
    need_next_due(s, "2027-02-15T08:30:00Z");
    scene_end(s);
}

/* A fire of the morning waits for the evening: a run by hand in between that comes to nothing takes
 * nothing from it, one that ends well does. */
static void by_hand_meanwhile(void **state)
{
    struct scene *s = scene(*state);
    int64_t begin_ms = s->vault->now_ms;
    register_agent(s, "h1");
    assert_int_equal(report(s, "h1", 1, "unhealthy"), 200);
    need(s, 200, "POST", "rotation/secrets/" SECRET, /* warned that it waits for the window */
         "{\"cron\":\"30 8 15 * *\",\"window\":\"22:00-23:00\"}");
    at(s, begin_ms + 31 * 60000);
    need_next_due(s, "2027-01-15T22:00:00Z");
    rotate(s);
    soon_says(s, "to be healthy before anything is changed");
    cancel(s, 200);
    soon(s, "cancelled");
    need_next_due(s, "2027-01-15T22:00:00Z");
    assert_int_equal(report(s, "h1", 1, "healthy"), 200);
    rotate(s);
    soon(s, "acking");
    acknowledge(s, "h1", 2);
    ends_done(s);
    need_next_due(s, "2027-02-15T22:00:00Z");
    scene_end(s);
}

/* Its fire had a run that was too late; one by hand that comes to nothing leaves it waiting, as it was. */
static void by_hand_after_a_late_run(void **state)
{
    struct scene *s = scene(*state);
    int64_t opens_ms = s->vault->now_ms;
    register_agent(s, "h1");
    assert_int_equal(report(s, "h1", 1, "unhealthy"), 200);
    change_rotation(s, "{\"cron\":\"30 8 15 * *\",\"window\":\"08:00-09:00\"}");
    at(s, opens_ms + 31 * 60000);
    scheduled(s);
    soon_says(s, "to be healthy before anything is changed");
    at(s, opens_ms + 61 * 60000);
    soon(s, "cancelled");
    need_next_due(s, "2027-01-16T08:00:00Z");
    rotate(s);
    soon_says(s, "to be healthy before anything is changed");
    cancel(s, 200);
    soon(s, "cancelled");
    need_next_due(s, "2027-01-16T08:00:00Z");
    assert_int_equal(report(s, "h1", 1, "healthy"), 200);
    rotate(s);
    soon(s, "acking");
    acknowledge(s, "h1", 2);
    ends_done(s);
    need_next_due(s, "2027-02-15T08:30:00Z");
    scene_end(s);
}

/* What was not looked at while its window was open runs in the next one, and has the time of that. */
static void a_later_window(void **state)
{
    struct scene *s = scene(*state);
    int64_t opens_ms = s->vault->now_ms;
    register_agent(s, "h1");
    change_rotation(s, "{\"cron\":\"30 8 15 * *\",\"window\":\"08:00-09:00\"}");
    at(s, opens_ms + 24 * 3600000 + 60000);
    scheduled(s);
    soon(s, "acking");
    acknowledge(s, "h1", 2);
    ends_done(s);
    scene_end(s);
}

/* Nobody says that it started: what follows is looked at all the same. */
static void a_scheduled_run_goes_on_by_itself(void **state)
{
    struct scene *s = scene(*state);
    register_agent(s, "h1");
    change_rotation(s, "{\"cron\":\"30 8 * * *\"}");
    looks_around(s);
    s->vault->now_ms += 31 * 60000;
    scheduled(s);
    soon(s, "acking");
    acknowledge(s, "h1", 2);
    ends_done(s);
    scene_end(s);
}

/* Runs that the schedule began, of those that many_are_due() made. */
static unsigned begun(struct scene *s)
{
    unsigned n = 0;
    (void)test_vault_call(s->vault, "LIST", "rotation/runs", s->vault->root, NULL);
    for (const char *at = s->vault->body; (at = strstr(at, "\"trigger\":\"schedule\"")) != NULL; at++)
        n++;
    return n;
}

/* Each at a target of its own, which nobody is at. */
static void many_are_due(struct scene *s, unsigned n)
{
    char path[96], body[256];
    for (unsigned i = 0; i < n; i++) {
        (void)snprintf(path, sizeof path, "rotation/targets/t%u", i);
        need(s, 204, "POST", path,
             "{\"driver\":\"postgresql\",\"host\":\"/run/other\",\"database\":\"d\",\"sslmode\":\"disable\","
             "\"admin_username\":\"kt\",\"admin_password\":\"admin\"}");
        (void)snprintf(path, sizeof path, "secret/data/m%u", i);
        (void)snprintf(body, sizeof body, "{\"data\":{\"username\":\"u%u\",\"password\":\"p\"}}", i);
        need(s, 200, "POST", path, body);
        (void)snprintf(path, sizeof path, "rotation/secrets/secret/m%u", i);
        (void)snprintf(body, sizeof body,
                       "{\"target\":\"t%u\",\"strategy\":\"in-place\",\"allow_gap\":true,\"accounts\":\"u%u\",\"period\":\"30m\"}",
                       i, i);
        need(s, 204, "POST", path, body);
    }
}

/* What a consumer says at the promotion's very moment is one of the run's steps. */
static void a_word_at_the_promotion(void **state)
{
    struct scene *s = scene(*state);
    register_agent(s, "h1");
    s->vault->now_ms++;
    rotate(s);
    soon(s, "acking");
    assert_int_equal(as_agent(s, "POST", "fleet/consumers/h1/" SECRET,
                              "{\"service\":\"orders\",\"version\":1,\"state\":\"applying\"}"),
                     200);
    soon_says(s, "orders@h1: v1 applying");
    acknowledge(s, "h1", 2);
    ends_done(s);
    scene_end(s);
}

/* Of more than may begin in a minute the others begin when the first one's minute is over. */
static void the_next_minute(void **state)
{
    struct scene *s = scene(*state);
    many_are_due(s, ROTATION_STARTS_DEFAULT + 2);
    int64_t now_ms = s->vault->now_ms + 31 * 60000;
    at(s, now_ms);
    for (int i = 0; i < PATIENCE && begun(s) < ROTATION_STARTS_DEFAULT; i++) {
        rotation_wake(s->vault->core->rotation);
        pause_ms(1);
    }
    at(s, now_ms + 60000 - 1);
    for (unsigned i = 0; i < 3; i++)
        looks_around(s);
    assert_int_equal(begun(s), ROTATION_STARTS_DEFAULT);
    at(s, now_ms + 60000);
    for (int i = 0; i < PATIENCE && begun(s) < ROTATION_STARTS_DEFAULT + 2; i++) {
        rotation_wake(s->vault->core->rotation);
        pause_ms(1);
    }
    assert_int_equal(begun(s), ROTATION_STARTS_DEFAULT + 2);
    scene_end(s);
}

/* ---- who comes just then ---- */

static bool is_a_runs_step(const struct request *req)
{
    static const char steps[] = "rotation/runs/";
    return req->origin == ORIGIN_INTERNAL && strncmp(req->path, steps, sizeof steps - 1) == 0;
}

/* The step that ends the overlap meets somebody; then it waits for him instead. */
static void meets(struct scene *s, const struct visit *visit, const char *for_what)
{
    const struct visit visits[] = {*visit, {0}};
    soon_says(s, "the overlap and the soak");
    meanwhile(s->vault, visits, is_a_runs_step);
    at(s, s->vault->now_ms + 60000);
    soon_says(s, for_what);
    assert_true(meanwhile_over());
    if (alternates(s)) /* in place nothing is revoked */
        assert_int_equal(sim_ops(&s->sim, DRIVER_REVOKE), 0);
}

static void a_reader_comes(void **state)
{
    struct scene *s = scene(*state);
    char person[128];
    test_vault_token(s->vault, "person", "path \"secret/data/*\" { capabilities = [\"read\"] }", person,
                     sizeof person);
    change_rotation(s, "{\"overlap\":60,\"drain\":0}");
    rotate(s);
    soon(s, "overlapping");
    meets(s, &(struct visit){"GET", "secret/data/db/orders?version=1", person, NULL, 200, 0},
          "1 readers of v1 that are no agents");
    s->vault->now_ms += 600000;
    ends_done(s);
    scene_end(s);
}

/* It was started from an old image, by an agent who read what is in there long ago. */
static void a_consumer_comes(void **state)
{
    struct scene *s = scene(*state);
    change_rotation(s, "{\"overlap\":60,\"drain\":0,\"ack_timeout\":3600}");
    register_agent(s, "h1");
    rotate(s);
    soon(s, "acking");
    acknowledge(s, "h1", 2);
    soon(s, "overlapping");
    meets(s,
          &(struct visit){"POST", "fleet/consumers/h2/" SECRET, s->agent,
                          "{\"service\":\"orders\",\"version\":1,\"state\":\"healthy\"}", 200, 0},
          "consumers 1/2 on v2 and healthy");
    assert_true(is_in(s, "acking"));
    acknowledge(s, "h2", 2);
    ends_done(s);
    scene_end(s);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        EACH(the_overlap),
        EACH(the_soak),
        EACH(for_the_slowest),
        EACH(for_the_slowest_by_no_clock),
        EACH(for_no_slowest),
        EACH(for_a_reader),
        EACH(for_who_is_not_heard_of),
        ALTERNATE(for_sessions),
        EACH(for_acknowledgements),
        ALTERNATE(the_spreading),
        ALTERNATE(the_overlap_on_the_way_back),
        ALTERNATE(for_who_does_not_go_back),
        EACH(for_a_reader_beside_an_agent),
        ALTERNATE(the_next_look),
        ALTERNATE(a_word_at_the_promotion),
        ALTERNATE(the_window),
        ALTERNATE(the_next_window),
        ALTERNATE(a_blackout_begins),
        ALTERNATE(by_hand_meanwhile),
        ALTERNATE(a_later_window),
        ALTERNATE(by_hand_after_a_late_run),
        IN_PLACE(the_next_minute),
        ALTERNATE(a_scheduled_run_goes_on_by_itself),
        EACH(a_reader_comes),
        EACH(a_consumer_comes),
    };
    kt_log_set_level(KT_LOG_ERROR);
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("rotation_moment", tests, NULL, NULL);
}
