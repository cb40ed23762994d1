/* A dry run: every reason for which a rotation would not go ahead is found, with the next command, and
 * nothing is changed by looking. On a simulated target. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <time.h>

#include "lib/log.h"
#include "tests/support/rotation_scene.h"

static void dry_run(struct scene *s)
{
    unsigned runs = sim_ops(&s->sim, DRIVER_APPLY) + sim_ops(&s->sim, DRIVER_RESTORE) +
                    sim_ops(&s->sim, DRIVER_REVOKE) + sim_ops(&s->sim, DRIVER_CREATE);
    need(s, 200, "POST", "rotation/dry-run/" SECRET, "{}");
    unsigned after = sim_ops(&s->sim, DRIVER_APPLY) + sim_ops(&s->sim, DRIVER_RESTORE) +
                     sim_ops(&s->sim, DRIVER_REVOKE) + sim_ops(&s->sim, DRIVER_CREATE);
    assert_int_equal(after, runs);
    assert_false(test_vault_said(s->vault, "first-password-of-a"));
}

static void is_not_ready(struct scene *s, const char *why, const char *next)
{
    dry_run(s);
    says(s, "\"ok\":false,\"verdict\":\"NOT READY  " SECRET ": ");
    says(s, why);
    says(s, next);
}

static void is_ready(struct scene *s)
{
    dry_run(s);
    says(s, "\"ok\":true,\"verdict\":\"READY  " SECRET ": ");
    says(s, "\"next\":\"secretctl rotate " SECRET "\"");
}

static void all_is_well(void **state)
{
    struct scene *s = scene(*state);
    register_agent(s, "h1");
    is_ready(s);
    says(s, "{\"name\":\"start\",\"ok\":true");
    says(s, "{\"name\":\"new value\",\"ok\":true");
    says(s, "{\"name\":\"window\",\"ok\":true,\"text\":\"open\"}");
    says(s, "\"text\":\"1, all heard of and well\"");
    says(s, "{\"name\":\"administrative login\",\"ok\":true,\"text\":\"accepted\"}");
    says(s, "{\"name\":\"wrong password\",\"ok\":true,\"text\":\"refused, as it has to be\"}");
    says(s, "\"text\":\"version 1 is accepted\"");
    says(s, alternates(s) ? "nothing speaks against changing app_b" : "nothing speaks against changing app_a");
    /* It made no run and no version, and counts as a look. */
    need(s, 404, "LIST", "rotation/runs", NULL);
    current_is(s, 1, "app_a");
    need(s, 200, "GET", "rotation/secrets/" SECRET, NULL);
    says(s, "\"truth\":\"accepted\"");
    says(s, "\"next_look\":\"\"");
    rotate(s);
    soon_says(s, "consumers 0/1 on v2");
    acknowledge(s, "h1", 2);
    ends_done(s);
    scene_end(s);
}

static void the_target_is_in_the_way(void **state)
{
    struct scene *s = scene(*state);
    SIM_SET(&s->sim, down, true);
    is_not_ready(s, "connection refused", "secretctl target check pg");
    SIM_SET(&s->sim, down, false);
    SIM_SET(&s->sim, trust, true);
    is_not_ready(s, "ACCEPTED: no test proves anything there", "secretctl target check pg");
    SIM_SET(&s->sim, trust, false);
    SIM_SAY(&s->sim, admin_password, "changed");
    is_not_ready(s, "{\"name\":\"administrative login\",\"ok\":false", "secretctl target check pg");
    SIM_SAY(&s->sim, admin_password, "admin");
    is_ready(s);
    SIM_SAY(&s->sim, server_id, "another");
    need(s, 204, "POST", "rotation/targets/pg", "{\"server_id\":\"7000000000000000001\"}");
    is_not_ready(s, "{\"name\":\"server\",\"ok\":false", "secretctl target check pg");
    scene_end(s);
}

static void the_stored_one_is_refused(void **state)
{
    struct scene *s = scene(*state);
    SIM_SET(&s->sim, accounts[0].verifier[0], '\0'); /* of app_a */
    is_not_ready(s, "version 1 is REFUSED: the secret has drifted", "secretctl reconcile " SECRET);
    need(s, 200, "GET", "rotation/secrets/" SECRET, NULL);
    says(s, "\"truth\":\"drifted\"");
    change_rotation(s, "{\"old_is_dead\":true}");
    is_ready(s);
    change_rotation(s, "{\"old_is_dead\":false}");
    SIM_SET(&s->sim, vault, NULL); /* it accepts nothing that is stored: no watcher */
    need(s, 200, "POST", "rotation/reconcile/" SECRET, "{}");
    text_at(s, "data.run", s->run, sizeof s->run);
    until(s, "done");
    is_ready(s);
    scene_end(s);
}

static void consumers_are_in_the_way(void **state)
{
    struct scene *s = scene(*state);
    register_agent(s, "h1");
    assert_int_equal(report(s, "h1", 1, "unhealthy"), 200);
    is_not_ready(s, "orders@h1 is unhealthy: d", "require_healthy=false");
    change_rotation(s, "{\"require_healthy\":false}");
    is_ready(s);
    change_rotation(s, "{\"require_healthy\":true}");
    assert_int_equal(report(s, "h1", 1, "healthy"), 200);
    is_ready(s);
    scene_end(s);
}

static void a_run_is_in_the_way(void **state)
{
    struct scene *s = scene(*state);
    register_agent(s, "h1");
    rotate(s);
    soon(s, "acking");
    is_not_ready(s, "KT-R-003", "secretctl run watch ");
    acknowledge(s, "h1", 2);
    ends_done(s);
    scene_end(s);
}

static void everything_is_paused(void **state)
{
    struct scene *s = scene(*state);
    need(s, 200, "POST", "rotation/pause", "{\"reason\":\"migration\"}");
    is_not_ready(s, "KT-R-030", "secretctl run resume");
    need(s, 200, "DELETE", "rotation/pause", NULL);
    is_ready(s);
    scene_end(s);
}

/* What a look costs is counted as a run's: not more than the target allows. */
static void the_limits_are_kept(void **state)
{
    struct scene *s = scene(*state);
    need(s, 204, "POST", "rotation/targets/pg", "{\"max_refusals_per_hour\":3,\"probe_spacing\":30}");
    is_ready(s);
    unsigned asked = sim_ops(&s->sim, DRIVER_PROBE);
    is_not_ready(s, "{\"name\":\"limits\",\"ok\":false", "not before");
    assert_int_equal(sim_ops(&s->sim, DRIVER_PROBE), asked);
    for (int i = 0; i < 10; i++) {
        s->vault->now_ms += 60000;
        dry_run(s);
    }
    assert_int_equal(sim_refusals(&s->sim, "app_a"), 3);
    scene_end(s);
}

/* Until its time is over; the vault's passes. */
static unsigned ask_in_a_hurry(struct scene *s)
{
    const struct test_request request = {.method = kt_str("POST"),
                                         .target = kt_str("/v1/rotation/dry-run/" SECRET),
                                         .token = kt_str(s->vault->root),
                                         .body = kt_str("{}"),
                                         .hurry = true};
    return test_vault_ask(s->vault, &request);
}

/* Whoever hangs up has asked all the same; and nobody asks beside him before that is counted. */
static void who_does_not_wait_is_counted(void **state)
{
    struct scene *s = scene(*state);
    need(s, 204, "POST", "rotation/targets/pg", "{\"max_refusals_per_hour\":3,\"probe_spacing\":600}");
    (void)pthread_mutex_lock(&s->sim.lock); /* it does not answer */
    assert_int_equal(ask_in_a_hurry(s), 504);
    says(s, "the target did not answer in time");
    assert_int_equal(ask_in_a_hurry(s), 503);
    says(s, "another dry run asks pg");
    (void)pthread_mutex_unlock(&s->sim.lock);
    for (int i = 0; i < PATIENCE; i++) {
        need(s, 200, "GET", "rotation/secrets/" SECRET, NULL);
        if (test_vault_said(s->vault, "\"truth\":\"accepted\""))
            break;
        pause_ms(1);
    }
    says(s, "\"truth\":\"accepted\"");
    is_not_ready(s, "{\"name\":\"limits\",\"ok\":false", "not before");
    assert_int_equal(sim_ops(&s->sim, DRIVER_PROBE), 1);
    assert_int_equal(sim_refusals(&s->sim, "app_a"), 1);
    scene_end(s);
}

static void the_window_is_told(void **state)
{
    struct scene *s = scene(*state);
    /* The vault's time stands at some minute: a window that is not open then, whatever it is. */
    time_t now = (time_t)(s->vault->now_ms / 1000);
    struct tm tm;
    char body[128];
    assert_non_null(gmtime_r(&now, &tm));
    (void)snprintf(body, sizeof body, "{\"period\":\"30d\",\"window\":\"%02d:00-%02d:00\",\"zone\":\"UTC\"}",
                   (tm.tm_hour + 2) % 24, (tm.tm_hour + 3) % 24);
    change_rotation(s, body);
    is_ready(s);
    says(s, "closed until ");
    scene_end(s);
}

static void a_blackout_is_told(void **state)
{
    struct scene *s = scene(*state);
    need(s, 200, "POST", "rotation/calendars/freeze",
         "{\"ranges\":\"2027-01-10..2027-01-31 the audit\"}");
    change_rotation(s, "{\"period\":\"90d\",\"blackout\":\"freeze\"}");
    is_ready(s);
    says(s, "closed until 2027-02-01T00:00:00Z");
    scene_end(s);
}

static void without_a_target(void **state)
{
    struct scene *s = scene(*state);
    need(s, 204, "POST", "rotation/secrets/secret/api", "{\"strategy\":\"generate\"}");
    need(s, 200, "POST", "rotation/dry-run/secret/api", "{}");
    says(s, "\"verdict\":\"READY  secret/api: ");
    need(s, 404, "GET", "secret/data/api", NULL);
    need(s, 400, "POST", "rotation/dry-run/secret/none", "{}");
    says(s, "KT-R-004");
    assert_int_equal(sim_ops(&s->sim, DRIVER_PROBE), 0);
    scene_end(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(all_is_well),
        BOTH(the_target_is_in_the_way),
        BOTH(the_stored_one_is_refused),
        BOTH(consumers_are_in_the_way),
        BOTH(a_run_is_in_the_way),
        ALTERNATE(everything_is_paused),
        BOTH(the_limits_are_kept),
        BOTH(who_does_not_wait_is_counted),
        ALTERNATE(the_window_is_told),
        ALTERNATE(a_blackout_is_told),
        ALTERNATE(without_a_target),
    };
    kt_log_set_level(KT_LOG_ERROR);
    return cmocka_run_group_tests_name("rotation_dry_run", tests, NULL, NULL);
}
