/* Whole runs on a simulated target: every way to end, every kind of trouble, crashes at each named
 * place. After each change at the target the store is looked into as if the vault had died then:
 * never may the target accept nothing that is stored. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/failpoint.h"
#include "lib/log.h"
#include "tests/support/rotation_scene.h"
#include "vaultd/rotation/engine.h"
#include "vaultd/rotation/run.h"

/* ---- the ways to end ---- */

static void full_run(void **state)
{
    struct scene *s = scene(*state);
    register_agent(s, "h1");
    rotate(s);
    soon_says(s, "consumers 0/1 on v2");
    assert_false(test_vault_said(s->vault, "\"name\":\"overlapping\"")); /* nobody runs it yet */
    acknowledge(s, "h1", 2);
    ends_done(s);
    says(s, "\"name\":\"overlapping\"");
    /* No value is in what people read. */
    load_run(s);
    assert_false(test_vault_said(s->vault, "first-password-of-a"));
    assert_false(test_vault_said(s->vault, "SCRAM-SHA-256"));
    scene_end(s);
}

static void without_consumers(void **state)
{
    struct scene *s = scene(*state);
    rotate(s);
    ends_done(s);
    /* And once more, the other way round. The test itself read version 2, and holds it. */
    rotate(s);
    soon(s, "overlapping");
    let_go(s);
    until(s, "done");
    current_is(s, 3, "app_a");
    scene_end(s);
}

static void first_account_is_made(void **state)
{
    struct scene *s = scene(*state);
    s->sim.n_accounts = 1; /* app_b does not exist yet */
    rotate(s);
    ends_done(s);
    assert_int_equal(sim_ops(&s->sim, DRIVER_CREATE), 1);
    scene_end(s);
}

/* As after a restart of vaultd: its steady clock begins anew. */
static void new_process(struct scene *s)
{
    core_seal(s->vault->core, "test");
    s->vault->core->rotation->clock.set = false;
    test_vault_reseal(s->vault);
}

static void unhealthy_consumer(void **state)
{
    struct scene *s = scene(*state);
    register_agent(s, "h1");
    rotate(s);
    soon(s, "acking");
    read_version(s, 2);
    assert_int_equal(report(s, "h1", 2, "unhealthy"), 200);
    soon(s, "rolling_back");
    assert_int_equal(report(s, "h1", 1, "rolled_back"), 200);
    ends_back(s);
    load_run(s);
    says(s, "orders@h1 is not healthy on v2");
    need(s, 200, "GET", "secret/data/db/orders?version=2", NULL); /* a backup of just now would accept it */
    scene_end(s);
}

/* Whoever sets the clock, even while vaultd is started anew: what a consumer says is of now. */
static void unhealthy_consumer_and_the_clock(void **state)
{
    for (int i = 0; i < 4; i++) {
        struct scene *s = scene(*state);
        int64_t by_ms = i % 2 == 0 ? -7200000 : 7200000;
        register_agent(s, "h1");
        rotate(s);
        soon(s, "acking");
        s->vault->wall_ahead_ms += by_ms;
        if (i >= 2)
            new_process(s);
        read_version(s, 2);
        assert_int_equal(report(s, "h1", 2, "unhealthy"), 200);
        soon(s, "rolling_back");
        assert_int_equal(report(s, "h1", 1, "rolled_back"), 200);
        ends_back(s);
        says(s, "orders@h1 is not healthy on v2");
        scene_end(s);
    }
}

/* What somebody read and said before that is not later than what he says after it. */
static void words_of_before(void **state)
{
    struct scene *s = scene(*state);
    change_rotation(s, "{\"ack_timeout\":3600,\"max_overlap\":86400,\"overlap\":2}");
    register_agent(s, "h1");
    rotate(s);
    soon(s, "acking");
    s->vault->now_ms += 1200000;
    read_version(s, 2);
    assert_int_equal(report(s, "h1", 1, "applying"), 200);
    s->vault->wall_ahead_ms -= 7200000;
    rotation_wake(s->vault->core->rotation);
    new_process(s);
    cancel(s, 200);
    soon(s, "rolling_back");
    assert_int_equal(report(s, "h1", 1, "healthy"), 200);
    s->vault->now_ms += 60000;
    ends_back(s);
    says(s, "\"ordered\":\"2027-01-15T06:20:");
    scene_end(s);
}

/* Of each word a step, though the later one is the earlier one by the wall clock. */
static void words_and_the_clock(void **state)
{
    struct scene *s = scene(*state);
    register_agent(s, "h1");
    rotate(s);
    soon(s, "acking");
    read_version(s, 2);
    assert_int_equal(report(s, "h1", 1, "applying"), 200);
    soon_says(s, "orders@h1: v1 applying");
    s->vault->wall_ahead_ms -= 3600000;
    assert_int_equal(report(s, "h1", 2, "healthy"), 200);
    ends_done(s);
    load_run(s);
    says(s, "orders@h1: v2 healthy");
    scene_end(s);
}

static void unhealthy_holds(void **state)
{
    struct scene *s = scene(*state);
    change_rotation(s, "{\"on_unhealthy\":\"hold\",\"on_ack_timeout\":\"hold\"}");
    register_agent(s, "h1");
    rotate(s);
    soon(s, "acking");
    read_version(s, 2);
    assert_int_equal(report(s, "h1", 2, "unhealthy"), 200);
    s->vault->now_ms += 120000;
    pause_ms(50);
    assert_true(is_in(s, "acking"));
    acknowledge(s, "h1", 2);
    ends_done(s);
    scene_end(s);
}

static void target_lost_it(void **state)
{
    struct scene *s = scene(*state);
    register_agent(s, "h1");
    rotate(s);
    soon(s, "acking");
    /* The consumer fails because the target lost the change: nobody is blamed, it is applied again. */
    sim_lose_last(&s->sim);
    read_version(s, 2);
    assert_int_equal(report(s, "h1", 2, "unhealthy"), 200);
    for (int i = 0; i < PATIENCE && sim_ops(&s->sim, DRIVER_APPLY) < 2; i++)
        pause_ms(1);
    assert_int_equal(sim_ops(&s->sim, DRIVER_APPLY), 2);
    soon(s, "acking");
    acknowledge(s, "h1", 2);
    ends_done(s);
    scene_end(s);
}

static void was_passed_over(struct run *run)
{
    run->machine.bound = run->silent_passed = true;
}

/* max_overlap passed over who was silent. Since then the target got it once more, and all of them said that they have
 * it: who starts with the old one afterwards is waited for again. */
static void passed_over_until_it_is_set_again(void **state)
{
    struct scene *s = scene(*state);
    register_agent(s, "h1");
    rotate(s);
    soon(s, "acking");
    put_into_run(s, s->run, was_passed_over);
    sim_lose_last(&s->sim);
    read_version(s, 2);
    assert_int_equal(report(s, "h1", 2, "unhealthy"), 200);
    for (int i = 0; i < PATIENCE && sim_ops(&s->sim, DRIVER_APPLY) < 2; i++)
        pause_ms(1);
    soon(s, "acking");
    acknowledge(s, "h1", 2);
    soon(s, "overlapping"); /* and no time passes */
    assert_int_equal(report(s, "h1", 1, "healthy"), 200);
    soon(s, "acking");
    acknowledge(s, "h1", 2);
    ends_done(s);
    scene_end(s);
}

/* The old one is not ended while the target lacks the new one. */
static void target_lost_it_before_the_revocation(void **state)
{
    struct scene *s = scene(*state);
    rotate(s);
    soon(s, "overlapping");
    SIM_SET(&s->sim, down, true);
    until(s, "revoking");
    sim_lose_last(&s->sim);
    SIM_SET(&s->sim, down, false);
    ends_done(s);
    assert_int_equal(sim_ops(&s->sim, DRIVER_APPLY), 2);
    scene_end(s);
}

/* Even where it was there a moment before: the step that ends the old one looks for itself. */
static void target_loses_it_after_the_proof(void **state)
{
    struct scene *s = scene(*state);
    SIM_SET(&s->sim, loses_then, true);
    rotate(s);
    ends_done(s);
    assert_string_equal(s->sim.locked_out, "");
    assert_int_equal(sim_ops(&s->sim, DRIVER_APPLY), 2);
    scene_end(s);
}

static void target_loses_the_old_one_after_the_proof(void **state)
{
    struct scene *s = scene(*state);
    register_agent(s, "h1");
    rotate(s);
    soon(s, "acking");
    read_version(s, 2);
    assert_int_equal(report(s, "h1", 2, "unhealthy"), 200);
    soon(s, "rolling_back");
    (void)pthread_mutex_lock(&s->sim.lock);
    memcpy(s->sim.undo, s->sim.accounts, sizeof s->sim.undo);
    memset(s->sim.undo[0].verifier, 0, sizeof s->sim.undo[0].verifier);
    s->sim.loses_then = true;
    (void)pthread_mutex_unlock(&s->sim.lock);
    assert_int_equal(report(s, "h1", 1, "rolled_back"), 200);
    ends_back(s);
    assert_int_equal(sim_ops(&s->sim, DRIVER_RESTORE), 1);
    scene_end(s);
}

/* Nor is the new one, going back, while the target lacks the old one. */
static void target_lost_the_old_one_going_back(void **state)
{
    struct scene *s = scene(*state);
    register_agent(s, "h1");
    rotate(s);
    soon(s, "acking");
    read_version(s, 2);
    assert_int_equal(report(s, "h1", 2, "unhealthy"), 200);
    soon(s, "rolling_back");
    SIM_SET(&s->sim, down, true);
    sim_account(&s->sim, "app_a")->verifier[0] = '\0';
    assert_int_equal(report(s, "h1", 1, "rolled_back"), 200);
    SIM_SET(&s->sim, down, false);
    ends_back(s);
    assert_int_equal(sim_ops(&s->sim, DRIVER_RESTORE), 1);
    scene_end(s);
}

static void silent_consumer(void **state)
{
    struct scene *s = scene(*state);
    register_agent(s, "h1");
    register_agent(s, "h2");
    rotate(s);
    soon(s, "acking");
    acknowledge(s, "h1", 2);
    s->vault->now_ms += 31000;
    rotation_wake(s->vault->core->rotation);
    /* One of them runs the new version: it is not cut off. */
    soon_says(s, "1 consumers that still run v2");
    assert_int_equal(report(s, "h1", 1, "healthy"), 200);
    ends_back(s);
    load_run(s);
    says(s, "orders@h2 did not acknowledge v2 within 30 s");
    scene_end(s);
}

/* It fetched the new version, and then nothing was heard of it when the run was turned back. */
static void unheard_consumer(void **state)
{
    struct scene *s = scene(*state);
    register_agent(s, "h1");
    rotate(s);
    soon(s, "acking");
    read_version(s, 2);
    cancel(s, 200);
    soon(s, "rolling_back");
    s->vault->now_ms += 60000;
    rotation_wake(s->vault->core->rotation);
    soon_says(s, "1 consumers that read v2 to say what they run (orders@h1)");
    assert_int_equal(sim_ops(&s->sim, DRIVER_REVOKE), 0);
    assert_int_equal(report(s, "h1", 1, "healthy"), 200);
    ends_back(s);
    scene_end(s);
}

/* The vault was away for longer than max_overlap while the run went back: the consumer that runs the new
 * version had no chance to hear of it. */
static void away_while_going_back(void **state)
{
    struct scene *s = scene(*state);
    register_agent(s, "h1");
    rotate(s);
    soon(s, "acking");
    acknowledge(s, "h1", 2);
    cancel(s, 200);
    soon_says(s, "1 consumers that still run v2");
    core_seal(s->vault->core, "test");
    s->vault->now_ms += 7200000;
    test_vault_reseal(s->vault);
    soon_says(s, "1 consumers that still run v2");
    s->vault->now_ms += 20000;
    rotation_wake(s->vault->core->rotation);
    soon_says(s, "1 consumers that still run v2");
    assert_int_equal(sim_ops(&s->sim, DRIVER_REVOKE), 0);
    assert_int_equal(report(s, "h1", 1, "healthy"), 200);
    ends_back(s);
    scene_end(s);
}

/* It was waited for, and is cut off all the same: that is said. */
static void never_goes_back(void **state)
{
    struct scene *s = scene(*state);
    register_agent(s, "h1");
    rotate(s);
    soon(s, "acking");
    acknowledge(s, "h1", 2);
    cancel(s, 200);
    soon_says(s, "1 consumers that still run v2");
    s->vault->now_ms += 7200000;
    ends_back(s);
    says(s, "1 consumers still ran v2 when max_overlap ended: orders@h1");
    says(s, "consumers had not gone back to the old version when max_overlap ended");
    says(s, "\"gap_ms\":null");
    scene_end(s);
}

static void late_consumer(void **state)
{
    struct scene *s = scene(*state);
    change_rotation(s, "{\"overlap\":60}");
    register_agent(s, "h1");
    rotate(s);
    soon(s, "acking");
    acknowledge(s, "h1", 2);
    soon(s, "overlapping");
    /* Started from an old image: the acknowledgement is withdrawn. */
    assert_int_equal(report(s, "h1", 1, "healthy"), 200);
    soon(s, "acking");
    assert_int_equal(sim_ops(&s->sim, DRIVER_REVOKE), 0);
    acknowledge(s, "h1", 2);
    ends_done(s);
    scene_end(s);
}

static void loose_reader(void **state)
{
    struct scene *s = scene(*state);
    char person[128];
    test_vault_token(s->vault, "person", "path \"secret/data/*\" { capabilities = [\"read\"] }",
                     person, sizeof person);
    assert_int_equal(test_vault_call(s->vault, "GET", "secret/data/db/orders", person, NULL), 200);
    rotate(s);
    soon(s, "overlapping");
    s->vault->now_ms += 60000;
    rotation_wake(s->vault->core->rotation);
    pause_ms(50);
    assert_true(is_in(s, "overlapping"));
    soon_says(s, "1 readers of v1 that are no agents");
    assert_int_equal(sim_ops(&s->sim, DRIVER_REVOKE), 0);
    assert_int_equal(test_vault_call(s->vault, "GET", "secret/data/db/orders", person, NULL), 200);
    ends_done(s);
    scene_end(s);
}

/* max_overlap is as long as it is, whoever sets the wall clock. */
static void loose_reader_and_the_clock(void **state)
{
    for (int i = -1; i <= 1; i += 2) {
        struct scene *s = scene(*state);
        char person[128];
        s->vault->wall_ahead_ms += i * 7200000;
        test_vault_token(s->vault, "person", "path \"secret/data/*\" { capabilities = [\"read\"] }", person,
                         sizeof person);
        assert_int_equal(test_vault_call(s->vault, "GET", "secret/data/db/orders", person, NULL), 200);
        rotate(s);
        soon(s, "overlapping");
        s->vault->now_ms += 60000;
        soon_says(s, "1 readers of v1 that are no agents");
        assert_int_equal(sim_ops(&s->sim, DRIVER_REVOKE), 0);
        int64_t begun_ms = s->vault->now_ms;
        s->vault->now_ms += 541000;
        ends_done(s);
        assert_true(s->vault->now_ms - begun_ms < 3600000);
        says(s, "when max_overlap ended");
        scene_end(s);
    }
}

static void loose_reader_ends(void **state)
{
    struct scene *s = scene(*state);
    char person[128];
    test_vault_token(s->vault, "person", "path \"secret/data/*\" { capabilities = [\"read\"] }",
                     person, sizeof person);
    assert_int_equal(test_vault_call(s->vault, "GET", "secret/data/db/orders", person, NULL), 200);
    rotate(s);
    soon(s, "overlapping");
    /* A token that ended reads nothing any more. */
    assert_int_equal(
        test_vault_call(s->vault, "POST", "auth/token/revoke-self", person, NULL), 204);
    ends_done(s);
    scene_end(s);
}

static void loose_reader_is_passed(void **state)
{
    struct scene *s = scene(*state);
    char person[128];
    test_vault_token(s->vault, "person", "path \"secret/data/*\" { capabilities = [\"read\"] }",
                     person, sizeof person);
    assert_int_equal(test_vault_call(s->vault, "GET", "secret/data/db/orders", person, NULL), 200);
    rotate(s);
    soon(s, "overlapping");
    s->vault->now_ms += 601000;
    ends_done(s);
    says(s, "when max_overlap ended");
    assert_false(test_vault_said(s->vault, "Nobody was cut off"));
    scene_end(s);
}

static unsigned first_reads(struct scene *s, uint32_t version)
{
    const unsigned char table = TABLE_LEDGER;
    struct snapshot *snapshot = NULL;
    struct cursor *cursor = NULL;
    struct entry entry;
    unsigned n = 0;
    assert_int_equal(snapshot_begin(s->vault->store, &snapshot), STORE_OK);
    assert_int_equal(cursor_open(snapshot, kt_bytes(&table, 1), kt_bytes(NULL, 0), &cursor),
                     STORE_OK);
    while (cursor_next(cursor, &entry) == STORE_OK)
        n += entry.key.len == BARRIER_NAME_KEY + 4 &&
             kt_get_be32(entry.key.at + BARRIER_NAME_KEY) == version;
    cursor_close(cursor);
    snapshot_end(snapshot);
    return n;
}

/* More of them than fit into the commit that ends the run. */
static void many_readers_are_forgotten(void **state)
{
    enum { READERS = 250 };
    struct scene *s = scene(*state);
    char person[128];
    change_rotation(s, "{\"loose_readers\":\"ignore\"}");
    for (unsigned i = 0; i < READERS; i++) {
        test_vault_token(s->vault, "person", "path \"secret/data/*\" { capabilities = [\"read\"] }",
                         person, sizeof person);
        assert_int_equal(test_vault_call(s->vault, "GET", "secret/data/db/orders", person, NULL),
                         200);
    }
    rotate(s);
    soon(s, "overlapping");
    assert_int_equal(first_reads(s, 1), READERS);
    until(s, "done");
    for (int i = 0; i < PATIENCE && first_reads(s, 1) > 0; i++)
        pause_ms(1);
    assert_int_equal(first_reads(s, 1), 0);
    scene_end(s);
}

static void sessions_drain(void **state)
{
    struct scene *s = scene(*state);
    change_rotation(s, "{\"drain\":3600}");
    sim_account(&s->sim, "app_a")->sessions = 3;
    rotate(s);
    soon(s, "overlapping");
    for (int i = 0; i < PATIENCE && sim_ops(&s->sim, DRIVER_INSPECT) < 4; i++) {
        s->vault->now_ms += i < 1000 ? 1000 : 0; /* much less than the drain */
        rotation_wake(s->vault->core->rotation);
        pause_ms(2);
    }
    assert_true(sim_ops(&s->sim, DRIVER_INSPECT) >= 4);
    assert_true(is_in(s, "overlapping"));
    soon_says(s, "3 sessions of app_a to end by themselves");
    (void)pthread_mutex_lock(&s->sim.lock);
    sim_account(&s->sim, "app_a")->sessions = 0;
    (void)pthread_mutex_unlock(&s->sim.lock);
    ends_done(s);
    scene_end(s);
}

/* ---- cancel ---- */

/* No answer is no evidence of anything: it goes on looking. */
static void sessions_of_a_silent_target(void **state)
{
    struct scene *s = scene(*state);
    change_rotation(s, "{\"drain\":3600}");
    sim_account(&s->sim, "app_a")->sessions = 1;
    rotate(s);
    soon(s, "overlapping");
    unsigned inspected = sim_ops(&s->sim, DRIVER_INSPECT);
    s->sim.down = true;
    sim_account(&s->sim, "app_a")->sessions = 0;
    for (int i = 0; i < 60 || sim_ops(&s->sim, DRIVER_INSPECT) < inspected + 3; i++) {
        assert_true(i < PATIENCE);
        s->vault->now_ms += i < 3000 ? 1000 : 0;
        rotation_wake(s->vault->core->rotation);
        pause_ms(2);
    }
    assert_true(is_in(s, "overlapping"));
    s->sim.down = false;
    ends_done(s);
    scene_end(s);
}

static void cancel_before(void **state)
{
    struct scene *s = scene(*state);
    register_agent(s, "h1");
    assert_int_equal(report(s, "h1", 1, "unhealthy"), 200); /* holds it in preflight */
    rotate(s);
    soon_says(s, "to be healthy before anything is changed");
    cancel(s, 200);
    soon(s, "cancelled");
    current_is(s, 1, "app_a");
    assert_int_equal(sim_ops(&s->sim, DRIVER_APPLY), 0);
    cancel(s, 400);
    says(s, "KT-R-008");
    scene_end(s);
}

static void cancel_while_acking(void **state)
{
    struct scene *s = scene(*state);
    register_agent(s, "h1");
    rotate(s);
    soon(s, "acking");
    cancel(s, 200);
    ends_back(s);
    scene_end(s);
}

static void cancel_while_overlapping(void **state)
{
    struct scene *s = scene(*state);
    change_rotation(s, "{\"overlap\":600,\"max_overlap\":6000}");
    register_agent(s, "h1");
    rotate(s);
    soon(s, "acking");
    acknowledge(s, "h1", 2);
    soon(s, "overlapping");
    cancel(s, 200);
    soon(s, "rolling_back");
    assert_int_equal(report(s, "h1", 1, "healthy"), 200);
    let_go(s);
    ends_back(s);
    scene_end(s);
}

/* What a target says that it did counts for nothing until a probe saw it: an old login that still works is no
 * revoked one (0.5.3 (2016), 1.0.1 (2018)). */
static void cancel_too_late(void **state)
{
    struct scene *s = scene(*state);
    rotate(s);
    soon(s, "overlapping");
    s->sim.no_revoke = true;
    until(s, "frozen");
    says(s, "KT-R-024");
    cancel(s, 400);
    says(s, "it goes forward");
    s->sim.no_revoke = false;
    char path[128];
    (void)snprintf(path, sizeof path, "rotation/runs/%s/thaw", s->run);
    need(s, 200, "POST", path, NULL);
    ends_done(s);
    scene_end(s);
}

/* ---- the target in trouble ---- */

static void lost_replies(void **state)
{
    struct scene *s = scene(*state);
    s->sim.lose_reply = 1;
    rotate(s);
    until(s, "overlapping");
    /* Adopted by the probe, not repeated; but where it may not have been written down. */
    bool saves = strcmp(s->strategy, "overlap") == 0;
    assert_int_equal(sim_ops(&s->sim, DRIVER_APPLY), saves ? 2 : 1);
    s->sim.lose_reply = 1;
    ends_done(s);
    scene_end(s);
}

static void says_no(void **state)
{
    struct scene *s = scene(*state);
    s->sim.says_no = true;
    rotate(s);
    ends_back(s);
    load_run(s);
    says(s, "\"why\":\"apply: permission denied\"");
    scene_end(s);
}

/* Another value is made, as another version; the first is destroyed. */
static void value_not_allowed(void **state)
{
    struct scene *s = scene(*state);
    s->sim.bad_values = 1;
    rotate(s);
    until(s, "done");
    current_is(s, 3, alternates(s) ? "app_b" : "app_a");
    need(s, 404, "GET", "secret/data/db/orders?version=2", NULL);
    char path[128];
    (void)snprintf(path, sizeof path, "rotation/runs/%s/report", s->run);
    need(s, 200, "GET", path, NULL);
    says(s, "the target did not allow the first value, another one was made");
    says(s, "v3 is in use, v1 is refused");
    scene_end(s);
}

/* Two are enough. */
static void no_value_allowed(void **state)
{
    struct scene *s = scene(*state);
    s->sim.bad_values = 2;
    rotate(s);
    ends_back(s);
    load_run(s);
    says(s, "the server does not accept the value");
    assert_int_equal(sim_ops(&s->sim, DRIVER_APPLY), 2);
    need(s, 404, "GET", "secret/data/db/orders?version=2", NULL);
    need(s, 404, "GET", "secret/data/db/orders?version=3", NULL);
    scene_end(s);
}

static void down_before(void **state)
{
    struct scene *s = scene(*state);
    s->sim.down = true;
    rotate(s);
    until(s, "cancelled");
    load_run(s);
    assert_int_equal(sim_ops(&s->sim, DRIVER_APPLY), 0);
    s->sim.down = false;
    current_is(s, 1, "app_a");
    scene_end(s);
}

static void down_while_revoking(void **state)
{
    struct scene *s = scene(*state);
    rotate(s);
    soon(s, "overlapping");
    (void)pthread_mutex_lock(&s->sim.lock);
    s->sim.down = true;
    (void)pthread_mutex_unlock(&s->sim.lock);
    until(s, revokes(s) ? "revoking" : "confirming");
    for (int i = 0; i < 200; i++) {
        s->vault->now_ms += 3000;
        pause_ms(1);
    }
    assert_true(is_in(s, revokes(s) ? "revoking" : "confirming"));
    (void)pthread_mutex_lock(&s->sim.lock);
    s->sim.down = false;
    (void)pthread_mutex_unlock(&s->sim.lock);
    ends_done(s);
    scene_end(s);
}

/* ---- how often it may ask ---- */

static void default_limits(struct scene *s)
{
    need(s, 204, "POST", "rotation/targets/pg",
         "{\"max_refusals_per_hour\":3,\"probe_spacing\":30}");
}

static void within_limits(struct scene *s, int64_t started_ms)
{
    for (unsigned i = 0; i < s->sim.n_accounts; i++) {
        assert_true(s->sim.accounts[i].refusals <= 3);
        assert_true(s->sim.accounts[i].least_gap_ms >= 30000);
    }
    /* It did not have to wait for an hour to pass. */
    assert_true(s->vault->now_ms - started_ms < 600000);
}

static void default_limits_suffice(void **state)
{
    struct scene *s = scene(*state);
    default_limits(s);
    int64_t started = s->vault->now_ms;
    rotate(s);
    until(s, "done");
    within_limits(s, started);
    scene_end(s);
}

/* The login of who stays, which the step that ends the other makes, counts as well. */
static void limits_hold_where_it_is_lost_then(void **state)
{
    struct scene *s = scene(*state);
    default_limits(s);
    int64_t started = s->vault->now_ms;
    SIM_SET(&s->sim, loses_then, true);
    rotate(s);
    for (int i = 0; i < 20000 && !is_in(s, "done"); i++) {
        s->vault->now_ms += 1000;
        rotation_wake(s->vault->core->rotation);
        pause_ms(1);
        if (sim_refusals(&s->sim, "app_b") > 3)
            assert_true(s->vault->now_ms - started >= 3600000);
    }
    assert_true(is_in(s, "done"));
    assert_true(sim_refusals(&s->sim, "app_b") >= 3);
    scene_end(s);
}

static void default_limits_suffice_to_go_back(void **state)
{
    struct scene *s = scene(*state);
    default_limits(s);
    int64_t started = s->vault->now_ms;
    register_agent(s, "h1");
    rotate(s);
    until(s, "acking");
    read_version(s, 2);
    assert_int_equal(report(s, "h1", 2, "unhealthy"), 200);
    until(s, "rolling_back");
    assert_int_equal(report(s, "h1", 1, "healthy"), 200);
    until(s, "rolled_back");
    current_is(s, 1, "app_a");
    within_limits(s, started);
    scene_end(s);
}

static void one_run_at_a_target(void **state)
{
    struct scene *s = scene(*state);
    char first[64];
    sim_add(&s->sim, "web_a", "first-password-of-a");
    need(s, 200, "POST", "secret/data/db/web",
         "{\"data\":{\"username\":\"web_a\",\"password\":\"first-password-of-a\"}}");
    need(s, 204, "POST", "rotation/secrets/secret/db/web",
         "{\"target\":\"pg\",\"strategy\":\"in-place\",\"allow_gap\":true,\"accounts\":\"web_a\",\"overlap\":1}");
    register_agent(s, "h1");
    assert_int_equal(report(s, "h1", 1, "unhealthy"), 200); /* holds it in preflight */
    rotate(s);
    soon(s, "preflight");
    (void)snprintf(first, sizeof first, "%s", s->run);
    need(s, 200, "POST", "rotation/rotate/secret/db/web", "{}");
    text_at(s, "data.run", s->run, sizeof s->run);
    soon_says(s, "its turn at target pg");
    assert_true(is_in(s, "planned"));
    (void)snprintf(s->run, sizeof s->run, "%s", first);
    cancel(s, 200);
    soon(s, "cancelled");
    need(s, 200, "LIST", "rotation/runs?secret=secret/db/web", NULL);
    s->sim.secret = "db/web";
    for (int i = 0; i < PATIENCE && !test_vault_said(s->vault, "\"state\":\"done\""); i++) {
        s->vault->now_ms += 500;
        rotation_wake(s->vault->core->rotation);
        pause_ms(1);
        need(s, 200, "LIST", "rotation/runs?secret=secret/db/web", NULL);
    }
    says(s, "\"state\":\"done\"");
    scene_end(s);
}

/* Five minutes of the vault's, and a moment of ours in which it may do something. */
static void five_minutes(struct scene *s)
{
    s->vault->now_ms += 300000;
    rotation_wake(s->vault->core->rotation);
    pause_ms(4);
    need(s, 200, "GET", "rotation/targets/pg", NULL);
}

/* What carries out steps, until it is gone: then as the spawner says it. */
static struct carrier {
    atomic_bool gone;
    struct rotation_executor behind;
} carrier;

static enum kt_kind carry(void *arg, const struct driver_step *step, struct driver_result *ret, struct kt_err *err)
{
    (void)arg;
    return atomic_load(&carrier.gone) ? kt_fail(err, KT_IO, "vaultd-spawn has ended")
                                      : carrier.behind.run(carrier.behind.arg, step, ret, err);
}

static void are_gone(struct scene *s, const char *state)
{
    atomic_store(&carrier.gone, true);
    soon(s, state);
    for (int i = 0; i < 24; i++)
        five_minutes(s);
    says(s, "\"failures\":0");
    load_run(s);
    assert_true(is_in(s, state));
    says(s, "vaultd-spawn has ended");
    atomic_store(&carrier.gone, false);
}

/* What the vault could not start is held against nobody: the run neither ends nor goes back for it. */
static void what_could_not_be_started(void **state)
{
    struct scene *s = scene(*state);
    carrier.behind = s->executor;
    atomic_store(&carrier.gone, true);
    s->executor.run = carry;
    change_rotation(s, "{\"propagation\":60,\"overlap\":0}");
    rotate(s);
    are_gone(s, "preflight");
    if (alternates(s)) {
        until(s, "verifying");
        are_gone(s, "verifying");
    }
    ends_done(s);
    scene_end(s);
}

static void schedules_rest_where_runs_fail(void **state)
{
    struct scene *s = scene(*state);
    change_rotation(s, "{\"cron\":\"0 * * * *\"}");
    s->sim.down = true;
    five_minutes(s);
    for (int i = 0; i < PATIENCE / 4 && !test_vault_said(s->vault, "\"failures\":3"); i++)
        five_minutes(s);
    for (int i = 0; i < 8 * 12; i++) /* and that is all */
        five_minutes(s);
    says(s, "\"failures\":3");
    need(s, 200, "GET", "rotation/due", NULL);
    says(s, "3 runs in a row failed at target pg");
    /* By hand, and it works: schedules go on. */
    s->sim.down = false;
    rotate(s);
    ends_done(s);
    need(s, 200, "GET", "rotation/targets/pg", NULL);
    says(s, "\"failures\":0");
    scene_end(s);
}

/* The run that the schedule made, once it is there. */
static void scheduled_run(struct scene *s)
{
    for (int i = 0; i < PATIENCE; i++) {
        rotation_wake(s->vault->core->rotation);
        pause_ms(1);
        need(s, 200, "GET", "rotation/secrets/" SECRET, NULL);
        text_at(s, "data.state.last_run", s->run, sizeof s->run);
        if (s->run[0] != '\0')
            return;
    }
    fail_msg("no run: %s", s->vault->body);
}

/* Who has the first steps asks for the rest; a wait ends at once where there are some. */
static void tells_what_is_new(void **state)
{
    struct scene *s = scene(*state);
    char path[128];
    rotate(s);
    ends_done(s);
    (void)snprintf(path, sizeof path, "rotation/runs/%s?since=2&wait=0", s->run);
    need(s, 200, "GET", path, NULL);
    says(s, "\"seq\":3");
    assert_false(test_vault_said(s->vault, "\"seq\":1,"));
    assert_false(test_vault_said(s->vault, "\"seq\":2,"));
    (void)snprintf(path, sizeof path, "rotation/runs/%s?since=some", s->run);
    need(s, 400, "GET", path, NULL);
    says(s, "since");
    scene_end(s);
}

/* It is 08:00. What somebody does by hand is not what the schedule wants at half past; what the schedule did
 * is. */
static void a_rotation_by_hand_is_no_scheduled_one(void **state)
{
    struct scene *s = scene(*state);
    change_rotation(s, "{\"cron\":\"30 8 * * *\"}");
    rotate(s);
    ends_done(s);
    need(s, 200, "GET", "rotation/secrets/" SECRET, NULL);
    says(s, "\"next_due\":\"2027-01-15T08:30:00");
    s->vault->now_ms += 31 * 60000;
    s->run[0] = '\0';
    for (int i = 0; i < PATIENCE && !test_vault_said(s->vault, "\"trigger\":\"schedule\""); i++) {
        rotation_wake(s->vault->core->rotation);
        pause_ms(1);
        need(s, 200, "LIST", "rotation/runs", NULL);
    }
    says(s, "\"trigger\":\"schedule\"");
    scene_end(s);
}

/* It is 08:00. */
static void keeps_to_its_window(void **state)
{
    struct scene *s = scene(*state);
    register_agent(s, "h1");
    assert_int_equal(report(s, "h1", 1, "unhealthy"), 200);
    change_rotation(s, "{\"cron\":\"30 8 * * *\",\"window\":\"08:00-09:00\"}");
    s->vault->now_ms += 31 * 60000;
    scheduled_run(s);
    soon_says(s, "to be healthy before anything is changed");
    s->vault->now_ms += 28 * 60000;
    rotation_wake(s->vault->core->rotation);
    pause_ms(20);
    assert_true(is_in(s, "preflight"));
    s->vault->now_ms += 2 * 60000;
    rotation_wake(s->vault->core->rotation);
    soon(s, "cancelled");
    says(s, "its window closed before it could begin");
    assert_int_equal(sim_ops(&s->sim, DRIVER_APPLY), 0);
    need(s, 200, "GET", "rotation/secrets/" SECRET, NULL);
    says(s, "\"next_due\":\"2027-01-16T08:30:00");
    need(s, 200, "GET", "rotation/targets/pg", NULL);
    says(s, "\"failures\":0"); /* it was never asked */
    scene_end(s);
}

/* The wall clock's window, however far it was set since vaultd was started. */
static void keeps_to_its_window_by_the_wall(void **state)
{
    static const struct {
        int64_t minutes;
        const char *schedule, *next;
    } rows[] = {
        {-90, "{\"cron\":\"0 7 * * *\",\"window\":\"06:30-07:30\"}", "\"next_due\":\"2027-01-16T07:00:00"},
        {90, "{\"cron\":\"0 10 * * *\",\"window\":\"09:30-10:30\"}", "\"next_due\":\"2027-01-16T10:00:00"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct scene *s = scene(*state);
        s->vault->wall_ahead_ms += rows[i].minutes * 60000;
        register_agent(s, "h1");
        assert_int_equal(report(s, "h1", 1, "unhealthy"), 200);
        change_rotation(s, rows[i].schedule);
        s->vault->now_ms += 31 * 60000;
        scheduled_run(s);
        soon_says(s, "to be healthy before anything is changed");
        s->vault->now_ms += 28 * 60000;
        soon_says(s, "to be healthy before anything is changed");
        assert_true(is_in(s, "preflight"));
        s->vault->now_ms += 2 * 60000;
        soon(s, "cancelled");
        says(s, "its window closed before it could begin");
        need(s, 200, "GET", "rotation/secrets/" SECRET, NULL);
        says(s, rows[i].next);
        scene_end(s);
    }
}

/* Given up on a consumer that was unhealthy before: that is not the target's fault either. */
static void unhealthy_before(void **state)
{
    struct scene *s = scene(*state);
    register_agent(s, "h1");
    assert_int_equal(report(s, "h1", 1, "unhealthy"), 200);
    rotate(s);
    soon_says(s, "to be healthy before anything is changed");
    s->vault->now_ms += 3601000;
    rotation_wake(s->vault->core->rotation);
    soon(s, "cancelled");
    says(s, "orders@h1 was unhealthy before the change");
    need(s, 200, "GET", "rotation/targets/pg", NULL);
    says(s, "\"failures\":0");
    scene_end(s);
}

static void missed_fires(void **state)
{
    struct scene *s = scene(*state);
    change_rotation(s, "{\"cron\":\"0 * * * *\",\"catchup\":\"none\"}");
    s->vault->now_ms += 135 * 60000; /* 10:15: two are missed */
    for (int i = 0; i < PATIENCE; i++) {
        rotation_wake(s->vault->core->rotation);
        pause_ms(1);
        need(s, 200, "GET", "rotation/secrets/" SECRET, NULL);
        if (test_vault_said(s->vault, "\"next_due\":\"2027-01-15T11:00:00"))
            break;
    }
    says(s, "\"next_due\":\"2027-01-15T11:00:00");
    says(s, "\"last_run\":\"\"");
    s->vault->now_ms += 46 * 60000; /* 11:01 */
    scheduled_run(s);
    ends_done(s);
    /* The default: one run for all of them. */
    change_rotation(s, "{\"catchup\":\"one\"}");
    s->vault->now_ms += 5 * 3600000;
    char first[64];
    (void)snprintf(first, sizeof first, "%s", s->run);
    for (int i = 0; i < PATIENCE && strcmp(first, s->run) == 0; i++)
        scheduled_run(s);
    assert_string_not_equal(first, s->run);
    soon(s, "overlapping");
    let_go(s);
    until(s, "done");
    need(s, 200, "LIST", "rotation/runs?secret=" SECRET, NULL);
    unsigned runs = 0;
    for (const char *at = s->vault->body; (at = strstr(at, "\"trigger\":")) != NULL; at++)
        runs++;
    assert_int_equal(runs, 2);
    scene_end(s);
}

/* ---- people and tokens ---- */

static void acknowledging_without_reading(void **state)
{
    struct scene *s = scene(*state);
    register_agent(s, "h1");
    rotate(s);
    soon(s, "acking");
    assert_int_equal(report(s, "h1", 2, "healthy"), 400);
    says(s, "KT-F-002 read version 2 of " SECRET " first");
    /* Another identity that read it does not help. */
    char other[128];
    test_vault_token(s->vault, "reader", "path \"secret/data/*\" { capabilities = [\"read\"] }",
                     other, sizeof other);
    assert_int_equal(test_vault_call(s->vault, "GET", "secret/data/db/orders", other, NULL), 200);
    assert_int_equal(report(s, "h1", 2, "healthy"), 400);
    assert_int_equal(test_vault_call(s->vault, "POST", "fleet/consumers/h1/" SECRET, other,
                                     "{\"service\":\"x\",\"state\":\"registered\"}"),
                     403);
    acknowledge(s, "h1", 2);
    ends_done(s);
    scene_end(s);
}

static void twice_at_once(void **state)
{
    struct scene *s = scene(*state);
    register_agent(s, "h1");
    rotate(s);
    need(s, 400, "POST", "rotation/rotate/" SECRET, "{}");
    says(s, "KT-R-003");
    says(s, s->run);
    need(s, 400, "DELETE", "rotation/secrets/" SECRET, NULL);
    says(s, s->run);
    need(s, 400, "DELETE", "secret/metadata/db/orders", NULL);
    says(s, s->run);
    need(s, 400, "POST", "secret/data/db/orders", "{\"data\":{}}");
    says(s, s->run);
    need(s, 400, "POST", "secret/destroy/db/orders", "{\"versions\":[1]}");
    need(s, 400, "DELETE", "rotation/targets/pg", NULL);
    soon(s, "acking");
    need(s, 400, "POST", "secret/import/db/orders", "{\"cas\":2,\"replace\":true}");
    says(s, s->run);
    acknowledge(s, "h1", 2);
    ends_done(s);
    scene_end(s);
}

static void going_back_afterwards(void **state)
{
    struct scene *s = scene(*state);
    rotate(s);
    ends_done(s);
    need(s, 200, "POST", "rotation/rotate/" SECRET, "{\"back\":true}");
    text_at(s, "data.run", s->run, sizeof s->run);
    soon(s, "overlapping");
    let_go(s);
    until(s, "done");
    char user[64], password[128];
    assert_int_equal(current(s, user, password), 3);
    assert_string_equal(user, "app_a");
    assert_string_equal(password, "first-password-of-a");
    assert_true(sim_accepts(&s->sim, user, password));
    scene_end(s);
}

/* ---- restarts ---- */

static void sealed_in_between(void **state)
{
    static const char *const states[] = {"acking", "overlapping"};
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
        struct scene *s = scene(*state);
        change_rotation(s, "{\"overlap\":60}");
        register_agent(s, "h1");
        rotate(s);
        soon(s, "acking");
        if (i == 1)
            acknowledge(s, "h1", 2);
        soon(s, states[i]);
        test_vault_reseal(s->vault);
        if (i == 0) {
            /* Two hours later: it had no chance to acknowledge meanwhile. */
            core_seal(s->vault->core, "test");
            s->vault->now_ms += 7200000;
            test_vault_reseal(s->vault);
            s->vault->now_ms += 20000;
            pause_ms(30);
            assert_true(is_in(s, "acking"));
            acknowledge(s, "h1", 2);
        }
        ends_done(s);
        scene_end(s);
    }
}

#ifdef KT_FAULT
static void crash_at(const char *strategy, const char *name, bool back)
{
    char armed[64];
    (void)snprintf(armed, sizeof armed, "%s=error@1", name);
    struct scene *s = scene(strategy);
    register_agent(s, "h1");
    (void)setenv("KEYTURN_FAILPOINTS", armed, 1);
    rotate(s);
    until(s, "acking");
    read_version(s, 2);
    assert_int_equal(report(s, "h1", 2, back ? "unhealthy" : "healthy"), 200);
    if (back) {
        soon(s, "rolling_back");
        assert_int_equal(report(s, "h1", 1, "healthy"), 200);
        ends_back(s);
    } else {
        ends_done(s);
    }
    scene_end(s);
}

/* In a process of its own: the places count how often they were passed. */
static void crashes(void **state)
{
    static const char *const names[] = {
        "run_generated",      "run_intent_apply", "run_apply_sent",    "run_apply_done",
        "run_outcome_commit", "run_verified",     "run_promoted",      "run_intent_revoke",
        "run_revoke_sent",    "run_revoke_done",  "run_full_generate", "run_full_apply",
        "run_full_promote",   "run_full_revoke",
    };
    for (size_t i = 0; i < 2 * sizeof names / sizeof names[0]; i++) {
        const char *name = names[i / 2];
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            crash_at(*state, name, i % 2 == 1);
            _exit(0);
        }
        int status = 0;
        (void)waitpid(pid, &status, 0);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
            fail_msg("%s, %s, %s: status %d", (const char *)*state, name,
                     i % 2 == 1 ? "back" : "forward", status);
    }
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        EACH(full_run),
        EACH(without_consumers),
        ALTERNATE(first_account_is_made),
        EACH(unhealthy_consumer),
        EACH(unhealthy_consumer_and_the_clock),
        EACH(words_of_before),
        EACH(words_and_the_clock),
        EACH(unhealthy_holds),
        EACH(target_lost_it),
        ALTERNATE(passed_over_until_it_is_set_again),
        ALTERNATE(target_lost_it_before_the_revocation),
        OVERLAP(target_lost_it_before_the_revocation),
        ALTERNATE(limits_hold_where_it_is_lost_then),
        ALTERNATE(target_loses_it_after_the_proof),
        ALTERNATE(target_loses_the_old_one_after_the_proof),
        ALTERNATE(target_lost_the_old_one_going_back),
        EACH(silent_consumer),
        ALTERNATE(unheard_consumer),
        ALTERNATE(away_while_going_back),
        ALTERNATE(never_goes_back),
        OVERLAP(never_goes_back),
        EACH(late_consumer),
        EACH(loose_reader),
        ALTERNATE(loose_reader_and_the_clock),
        EACH(loose_reader_ends),
        EACH(loose_reader_is_passed),
        ALTERNATE(many_readers_are_forgotten),
        ALTERNATE(sessions_drain),
        ALTERNATE(sessions_of_a_silent_target),
        EACH(cancel_before),
        EACH(cancel_while_acking),
        EACH(cancel_while_overlapping),
        ALTERNATE(cancel_too_late),
        EACH(lost_replies),
        EACH(says_no),
        EACH(value_not_allowed),
        EACH(no_value_allowed),
        EACH(down_before),
        EACH(down_while_revoking),
        BOTH(default_limits_suffice),
        BOTH(default_limits_suffice_to_go_back),
        ALTERNATE(one_run_at_a_target),
        ALTERNATE(schedules_rest_where_runs_fail), BOTH(what_could_not_be_started),
        ALTERNATE(tells_what_is_new),
        ALTERNATE(a_rotation_by_hand_is_no_scheduled_one),
        ALTERNATE(keeps_to_its_window),
        ALTERNATE(keeps_to_its_window_by_the_wall),
        ALTERNATE(unhealthy_before),
        ALTERNATE(missed_fires),
        EACH(acknowledging_without_reading),
        EACH(twice_at_once),
        EACH(going_back_afterwards),
        EACH(sealed_in_between),
#ifdef KT_FAULT
        EACH(crashes),
#endif
    };
    kt_log_set_level(KT_LOG_ERROR);
    (void)setenv("KEYTURN_FAILPOINTS", "", 1);
    return cmocka_run_group_tests_name("rotation_engine", tests, NULL, NULL);
}
