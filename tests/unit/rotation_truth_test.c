/* Staying true: the stored credential is compared with the target on a schedule, a difference is told
 * and ends by itself, and a reconciliation mends it. On a simulated target. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <unistd.h>

#include "lib/log.h"
#include "tests/support/rotation_scene.h"
#include "vaultd/rotation/names.h"

#define HOUR_MS  3600000
#define YEARS_MS ((int64_t)3652 * 24 * HOUR_MS) /* ten of them */

/* ---- words ---- */

/* Somebody changes the password at the target: the vault is not told. */
static void by_hand(struct scene *s, const char *password)
{
    (void)pthread_mutex_lock(&s->sim.lock);
    s->sim.vault = NULL; /* the target accepts nothing that is stored: that is the point */
    unsigned n = s->sim.n_accounts;
    sim_add(&s->sim, "made", password);
    memcpy(sim_account(&s->sim, "app_a")->verifier, s->sim.accounts[n].verifier,
           sizeof s->sim.accounts[n].verifier);
    s->sim.n_accounts = n;
    (void)pthread_mutex_unlock(&s->sim.lock);
}

static void load_secret(struct scene *s)
{
    need(s, 200, "GET", "rotation/secrets/" SECRET, NULL);
}

static bool secret_says(struct scene *s, const char *text)
{
    load_secret(s);
    return test_vault_said(s->vault, text);
}

/* Without letting time pass. */
static void soon_secret(struct scene *s, const char *text)
{
    for (int i = 0; i < PATIENCE && !secret_says(s, text); i++)
        pause_ms(1);
    says(s, text);
}

static void pass(struct scene *s, int64_t ms)
{
    s->vault->now_ms += ms;
    rotation_wake(s->vault->core->rotation);
}

static void verify_hourly(struct scene *s)
{
    change_rotation(s, "{\"verify_every\":\"1h\"}");
    soon_secret(s, "\"truth\":\"accepted\"");
}

static void drifts(struct scene *s)
{
    verify_hourly(s);
    by_hand(s, "by-hand-of-a-dba");
    pass(s, HOUR_MS + 1000);
    soon_secret(s, "\"truth\":\"drifted\"");
}

static void reconcile(struct scene *s)
{
    need(s, 200, "POST", "rotation/reconcile/" SECRET, "{\"reason\":\"test\"}");
    text_at(s, "data.run", s->run, sizeof s->run);
}

static void mended(struct scene *s, unsigned restores)
{
    until(s, "done");
    current_is(s, 1, "app_a");
    assert_int_equal(sim_ops(&s->sim, DRIVER_RESTORE), restores);
    assert_int_equal(sim_ops(&s->sim, DRIVER_APPLY), 0);
    assert_true(secret_says(s, "\"truth\":\"accepted\""));
    says(s, "\"current\":1,\"pending\":0,\"previous\":0");
}

/* ---- looking ---- */

static void asks_and_changes_nothing(void **state)
{
    struct scene *s = scene(*state);
    assert_true(secret_says(s, "\"truth\":\"\""));
    verify_hourly(s);
    says(s, "the stored one accepted, a wrong password refused (28P01), the administrative login accepted");
    unsigned first = sim_ops(&s->sim, DRIVER_PROBE);
    assert_int_equal(sim_refusals(&s->sim, "app_a"), 1);
    for (int i = 0; i < PATIENCE && sim_ops(&s->sim, DRIVER_PROBE) == first; i++) {
        pass(s, i == 0 ? HOUR_MS : 0);
        pause_ms(1);
    }
    assert_int_equal(sim_ops(&s->sim, DRIVER_PROBE), first + 1);
    assert_int_equal(sim_ops(&s->sim, DRIVER_APPLY) + sim_ops(&s->sim, DRIVER_RESTORE), 0);
    /* No more when it is not wanted any more. */
    change_rotation(s, "{\"verify_every\":0}");
    assert_true(secret_says(s, "\"next_look\":\"\""));
    scene_end(s);
}

static void a_difference_is_told_and_ends_by_itself(void **state)
{
    struct scene *s = scene(*state);
    FILE *log = tmpfile();
    int was = dup(STDERR_FILENO);
    assert_true(log != NULL && was >= 0 && dup2(fileno(log), STDERR_FILENO) >= 0);
    kt_log_set_level(KT_LOG_NOTICE);
    drifts(s);
    says(s, "the stored one refused (28P01), a wrong password refused (28P01)");
    need(s, 200, "GET", "rotation/due", NULL);
    says(s, "\"drifted\":[{\"secret\":\"" SECRET "\",\"target\":\"pg\",\"version\":1,\"since\":\"");
    says(s, "\"mend\":\"reconcile\"");
    need(s, 200, "GET", "sys/metrics", NULL);
    says(s, "{\"Name\":\"keyturn_rotation_drifted\",\"Value\":1,");
    by_hand(s, "first-password-of-a");
    pass(s, HOUR_MS + 1000);
    soon_secret(s, "\"truth\":\"accepted\"");
    says(s, "\"drifted\":\"\"");
    need(s, 200, "GET", "rotation/due", NULL);
    says(s, "\"drifted\":[]");
    need(s, 200, "GET", "sys/metrics", NULL);
    says(s, "{\"Name\":\"keyturn_rotation_drifted\",\"Value\":0,");
    char line[1024];
    unsigned drifted = 0, healed = 0;
    for (int i = 0; i < PATIENCE && healed == 0; i++) {
        rewind(log);
        drifted = 0;
        while (fgets(line, sizeof line, log) != NULL) {
            drifted += strstr(line, "rotation-drifted") != NULL;
            healed += strstr(line, "rotation-agrees") != NULL;
        }
        pause_ms(1);
    }
    kt_log_set_level(KT_LOG_ERROR);
    (void)dup2(was, STDERR_FILENO);
    (void)close(was);
    (void)fclose(log);
    assert_int_equal(drifted, 1);
    assert_int_equal(healed, 1);
    scene_end(s);
}

/* Nobody looks any more: what was seen is of a version that is not current. */
static void what_was_replaced_is_not_counted(void **state)
{
    struct scene *s = scene(*state);
    drifts(s);
    change_rotation(s, "{\"verify_every\":0}");
    need(s, 200, "GET", "sys/metrics", NULL);
    says(s, "{\"Name\":\"keyturn_rotation_drifted\",\"Value\":1,");
    need(s, 200, "POST", "secret/data/db/orders",
         "{\"data\":{\"username\":\"app_a\",\"password\":\"by-hand-of-a-dba\"}}");
    need(s, 200, "GET", "sys/metrics", NULL);
    says(s, "{\"Name\":\"keyturn_rotation_drifted\",\"Value\":0,");
    need(s, 200, "GET", "rotation/due", NULL);
    says(s, "\"drifted\":[]");
    scene_end(s);
}

static enum kt_kind put_damaged(struct request *req, struct kt_err *err)
{
    static const unsigned char id[RUN_ID];
    unsigned char key[DUE_KEY];
    struct batch *batch = request_batch(req);
    look_key(1, id, key);
    if (batch == NULL)
        return kt_fail(err, KT_NO_MEMORY, "a row");
    return barrier_put(req->core->barrier, batch, kt_bytes(key, sizeof key), kt_bytes("\x01", 1), err);
}

/* It stands in front of all others. */
static void one_row_is_damaged(void **state)
{
    struct scene *s = scene(*state);
    assert_int_equal(request_internal(s->vault->core, "test/row", put_damaged, NULL, NULL), KT_OK);
    drifts(s);
    scene_end(s);
}

static void look_again(struct scene *s, const char *text)
{
    pass(s, HOUR_MS + 1000);
    soon_secret(s, text);
}

/* No connection, a refused administrative login, a server that lets anybody in. */
static void unknown_decides_nothing(void **state)
{
    struct scene *s = scene(*state);
    verify_hourly(s);
    SIM_SET(&s->sim, down, true);
    look_again(s, "\"look\":\"not known: connection refused");
    assert_true(secret_says(s, "\"truth\":\"accepted\""));
    SIM_SET(&s->sim, down, false);
    SIM_SET(&s->sim, trust, true);
    look_again(s, "a wrong password accepted");
    assert_true(secret_says(s, "\"truth\":\"accepted\""));
    SIM_SET(&s->sim, trust, false);
    SIM_SAY(&s->sim, admin_password, "changed");
    by_hand(s, "by-hand-of-a-dba");
    look_again(s, "the administrative login refused");
    assert_true(secret_says(s, "\"truth\":\"accepted\""));
    /* And what is known to have drifted stays so. */
    SIM_SAY(&s->sim, admin_password, "admin");
    look_again(s, "\"truth\":\"drifted\"");
    SIM_SET(&s->sim, down, true);
    look_again(s, "\"look\":\"not known: connection refused");
    assert_true(secret_says(s, "\"truth\":\"drifted\""));
    scene_end(s);
}

/* However short the time between two looks is, an account has the refusals left that a run needs. */
static void looks_leave_room_for_a_run(void **state)
{
    struct scene *s = scene(*state);
    need(s, 204, "POST", "rotation/targets/pg", "{\"max_refusals_per_hour\":4,\"probe_spacing\":30}");
    change_rotation(s, "{\"verify_every\":60}");
    soon_secret(s, "\"truth\":\"accepted\"");
    int64_t began = s->vault->now_ms;
    for (int i = 0; i < 60 * 6; i++) {
        pass(s, 60000);
        pause_ms(2);
    }
    /* A thread that had no turn meanwhile makes one look for all the hours: it is waited for. */
    for (int i = 0; i < PATIENCE && sim_refusals(&s->sim, "app_a") < 2; i++) {
        rotation_wake(s->vault->core->rotation);
        pause_ms(1);
    }
    unsigned hours = (unsigned)((s->vault->now_ms - began) / HOUR_MS);
    assert_in_range(sim_refusals(&s->sim, "app_a"), 2, hours + 1);
    rotate(s);
    until(s, "done"); /* gives up when it has to wait for an hour */
    scene_end(s);
}

/* The vault is not there for a moment: what was asked in between is asked again. */
static void after_a_restart(void **state)
{
    struct scene *s = scene(*state);
    drifts(s);
    test_vault_reseal(s->vault);
    assert_true(secret_says(s, "\"truth\":\"drifted\""));
    by_hand(s, "first-password-of-a");
    look_again(s, "\"truth\":\"accepted\"");
    scene_end(s);
}

static void accept_jump(struct scene *s, int64_t by_ms)
{
    s->vault->wall_ahead_ms += by_ms;
    for (int i = 0; i < PATIENCE; i++) {
        need(s, 200, "GET", "rotation/clock", NULL);
        if (test_vault_said(s->vault, "\"alarm\":true"))
            break;
        pause_ms(1);
    }
    need(s, 204, "POST", "rotation/clock", "{\"accept\":true}");
}

/* A clock that was ten years ahead, and was believed: the next look does not wait for them. */
static void a_clock_is_set_back(void **state)
{
    struct scene *s = scene(*state);
    verify_hourly(s);
    accept_jump(s, YEARS_MS);
    soon_secret(s, "\"verified\":\"2037-");
    by_hand(s, "by-hand-of-a-dba");
    accept_jump(s, -YEARS_MS);
    soon_secret(s, "\"next_look\":\"2027-");
    look_again(s, "\"truth\":\"drifted\"");
    scene_end(s);
}

/* What is known is of one version at one target. */
static void another_value_is_not_known(void **state)
{
    struct scene *s = scene(*state);
    drifts(s);
    need(s, 200, "POST", "secret/data/db/orders",
         "{\"data\":{\"username\":\"app_a\",\"password\":\"by-hand-of-a-dba\"}}");
    assert_true(secret_says(s, "\"truth\":\"\""));
    need(s, 200, "GET", "rotation/due", NULL);
    says(s, "\"drifted\":[]");
    look_again(s, "\"truth\":\"accepted\"");
    need(s, 204, "DELETE", "rotation/secrets/" SECRET, NULL);
    pass(s, HOUR_MS);
    scene_end(s);
}

static void a_run_counts_as_a_look(void **state)
{
    struct scene *s = scene(*state);
    verify_hourly(s);
    pass(s, HOUR_MS / 2);
    rotate(s);
    ends_done(s);
    assert_true(secret_says(s, "proved that it is accepted"));
    says(s, "\"truth\":\"accepted\"");
    scene_end(s);
}

/* ---- mending ---- */

static void reconciles(void **state)
{
    struct scene *s = scene(*state);
    register_agent(s, "h1");
    drifts(s);
    assert_int_equal(report(s, "h1", 1, "unhealthy"), 200); /* it cannot log in */
    reconcile(s);
    mended(s, 1);
    char path[128];
    (void)snprintf(path, sizeof path, "rotation/runs/%s/report", s->run);
    need(s, 200, "GET", path, NULL);
    says(s, "# DONE  " SECRET ": pg accepts v1 again.");
    says(s, "the stored one accepted");
    assert_false(test_vault_said(s->vault, "first-password-of-a"));
    /* It is as before: the next rotation goes on from there. */
    assert_int_equal(report(s, "h1", 1, "healthy"), 200);
    rotate(s);
    soon_says(s, "consumers 0/1 on v2");
    acknowledge(s, "h1", 2);
    ends_done(s);
    scene_end(s);
}

static void what_is_accepted_is_left_alone(void **state)
{
    struct scene *s = scene(*state);
    reconcile(s);
    mended(s, 0);
    char path[128];
    (void)snprintf(path, sizeof path, "rotation/runs/%s/report", s->run);
    need(s, 200, "GET", path, NULL);
    says(s, "pg accepts v1; nothing was changed.");
    scene_end(s);
}

/* Nobody looked before: it asks, and mends. */
static void reconciles_what_was_not_known(void **state)
{
    struct scene *s = scene(*state);
    by_hand(s, "by-hand-of-a-dba");
    reconcile(s);
    mended(s, 1);
    scene_end(s);
}

/* A look that found the drift, mending, and its proof fit into an hour's refusals. */
static void the_limits_have_room_for_it(void **state)
{
    struct scene *s = scene(*state);
    need(s, 204, "POST", "rotation/targets/pg", "{\"max_refusals_per_hour\":3,\"probe_spacing\":30}");
    drifts(s);
    unsigned before = sim_refusals(&s->sim, "app_a");
    reconcile(s);
    mended(s, 1); /* gives up when it has to wait for an hour */
    assert_int_equal(sim_refusals(&s->sim, "app_a") - before, 1);
    scene_end(s);
}

static void answers_get_lost(void **state)
{
    struct scene *s = scene(*state);
    drifts(s);
    SIM_SET(&s->sim, lose_reply, 1);
    reconcile(s);
    mended(s, 1);
    scene_end(s);
}

static void a_crash_between_intent_and_answer(void **state)
{
    struct scene *s = scene(*state);
    drifts(s);
    SIM_SET(&s->sim, down, true);
    reconcile(s);
    soon(s, "preflight");
    SIM_SET(&s->sim, late, true);
    SIM_SET(&s->sim, ignores, true); /* it says yes, and has it not */
    SIM_SET(&s->sim, down, false);
    until(s, "mending");
    for (int i = 0; i < PATIENCE && sim_ops(&s->sim, DRIVER_RESTORE) == 0; i++)
        pause_ms(1);
    test_vault_reseal(s->vault);
    SIM_SET(&s->sim, ignores, false);
    sim_answer(&s->sim);
    until(s, "done");
    assert_int_equal(sim_ops(&s->sim, DRIVER_RESTORE), 2);
    current_is(s, 1, "app_a");
    scene_end(s);
}

static void told_no_it_freezes(void **state)
{
    struct scene *s = scene(*state);
    drifts(s);
    SIM_SET(&s->sim, says_no, true);
    reconcile(s);
    until(s, "frozen");
    says(s, "KT-R-027");
    says(s, "permission denied");
    assert_true(secret_says(s, "\"truth\":\"drifted\""));
    SIM_SET(&s->sim, says_no, false);
    char path[128];
    (void)snprintf(path, sizeof path, "rotation/runs/%s/thaw", s->run);
    need(s, 200, "POST", path, NULL);
    until(s, "done");
    current_is(s, 1, "app_a");
    scene_end(s);
}

/* The target says yes twice and refuses it all the same. */
static void not_mended_it_freezes(void **state)
{
    struct scene *s = scene(*state);
    drifts(s);
    SIM_SET(&s->sim, ignores, true);
    reconcile(s);
    until(s, "frozen");
    says(s, "KT-R-027");
    assert_int_equal(sim_ops(&s->sim, DRIVER_RESTORE), 2);
    cancel(s, 200);
    soon(s, "cancelled");
    assert_true(secret_says(s, "\"truth\":\"drifted\""));
    char path[128];
    (void)snprintf(path, sizeof path, "rotation/runs/%s/report", s->run);
    need(s, 200, "GET", path, NULL);
    says(s, "# CANCELLED  " SECRET ": v1 was sent to pg; whether it is accepted was not seen.");
    scene_end(s);
}

static void without_rights_nothing_is_sent(void **state)
{
    struct scene *s = scene(*state);
    drifts(s);
    SIM_SAY(&s->sim, admin_password, "changed");
    reconcile(s);
    until(s, "frozen");
    says(s, "KT-R-011");
    assert_int_equal(sim_ops(&s->sim, DRIVER_RESTORE), 0);
    cancel(s, 200);
    soon(s, "cancelled");
    scene_end(s);
}

/* A run that freezes because of it makes it known, and then it can be mended. */
static void after_a_frozen_run(void **state)
{
    struct scene *s = scene(*state);
    by_hand(s, "by-hand-of-a-dba");
    rotate(s);
    until(s, "frozen");
    says(s, "KT-R-010");
    says(s, "secretctl reconcile " SECRET);
    assert_true(secret_says(s, "\"truth\":\"drifted\""));
    need(s, 400, "POST", "rotation/reconcile/" SECRET, "{}");
    says(s, "KT-R-003");
    cancel(s, 200);
    soon(s, "cancelled");
    reconcile(s);
    mended(s, 1);
    scene_end(s);
}

/* One that is no rotation does not pass for one: the value is as old as it was. */
static void it_is_no_rotation(void **state)
{
    struct scene *s = scene(*state);
    char before[64], after[64];
    load_secret(s);
    text_at(s, "data.state.last_done", before, sizeof before);
    drifts(s);
    reconcile(s);
    mended(s, 1);
    load_secret(s);
    text_at(s, "data.state.last_done", after, sizeof after);
    assert_string_equal(before, after);
    says(s, "\"last_result\":\"\"");
    need(s, 400, "POST", "rotation/rotate/" SECRET, "{\"back\":true}");
    says(s, "KT-R-006");
    scene_end(s);
}

static void without_a_target_there_is_nothing(void **state)
{
    struct scene *s = scene(*state);
    need(s, 204, "POST", "rotation/secrets/secret/api", "{\"strategy\":\"generate\",\"verify_every\":60}");
    need(s, 400, "POST", "rotation/reconcile/secret/api", "{}");
    says(s, "KT-R-004");
    need(s, 400, "POST", "rotation/reconcile/secret/none", "{}");
    says(s, "KT-R-004");
    scene_end(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(asks_and_changes_nothing),
        BOTH(a_difference_is_told_and_ends_by_itself),
        ALTERNATE(what_was_replaced_is_not_counted),
        ALTERNATE(one_row_is_damaged),
        BOTH(unknown_decides_nothing),
        BOTH(looks_leave_room_for_a_run),
        ALTERNATE(after_a_restart),
        ALTERNATE(a_clock_is_set_back),
        BOTH(another_value_is_not_known),
        BOTH(a_run_counts_as_a_look),
        BOTH(reconciles),
        BOTH(what_is_accepted_is_left_alone),
        BOTH(reconciles_what_was_not_known),
        BOTH(the_limits_have_room_for_it),
        BOTH(answers_get_lost),
        BOTH(a_crash_between_intent_and_answer),
        BOTH(told_no_it_freezes),
        BOTH(not_mended_it_freezes),
        BOTH(without_rights_nothing_is_sent),
        BOTH(after_a_frozen_run),
        BOTH(it_is_no_rotation),
        ALTERNATE(without_a_target_there_is_nothing),
    };
    kt_log_set_level(KT_LOG_ERROR);
    return cmocka_run_group_tests_name("rotation_truth", tests, NULL, NULL);
}
